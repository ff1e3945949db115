"""Results in the order of their items, and results that are arrays kept on disk as they come.

A run that was killed takes from there what it had made, and does the rest. Results are of one question, whose hash is
in the names of the files: those of another question are never taken, and go when the first new one is kept.
"""

from __future__ import annotations

import hashlib
import shutil
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import numpy.typing as npt

from obsnet.atomic import atomic_path
from obsnet.errors import FormatError
from obsnet.reading import reading
from obsnet.seal import check_file, seal_file
from obsnet.work.parallel import map_unordered
from obsnet.work.progress import progress
from obsnet.work.work import Work

__all__ = ["Arrays", "KeptResults", "fingerprint_of", "map_kept", "map_ordered"]

Item = TypeVar("Item")
Result = TypeVar("Result")
Arrays = dict[str, npt.NDArray[Any]]


class KeptResults:
    """Arrays of one question, a file an item.

    Parameters
    ----------
    folder : Path
        Is made when something is kept.
    question : str
        Hash of all that decides the results, see `fingerprint_of`.
    """

    def __init__(self, folder: Path, question: str) -> None:
        self.folder, self.question = folder, question[:16]

    def read(self, name: str) -> Arrays | None:
        """Return what was kept under a name; None where there is nothing, or it is damaged."""
        path = self._path(name)
        try:
            if not check_file(path):
                return None
            with reading(path), open(path, "rb") as stream, np.load(stream, allow_pickle=False) as kept:
                return {k: kept[k] for k in kept.files}
        except FormatError:
            return None

    def write(self, name: str, arrays: Mapping[str, npt.NDArray[Any]]) -> None:
        """Keep arrays; what the folder holds of another question goes."""
        for other in self.folder.glob("*.npz"):
            if not other.name.startswith(f"{self.question}-"):
                other.unlink(missing_ok=True)
        with atomic_path(self._path(name)) as temporary:
            with open(temporary, "wb") as stream:
                np.savez(stream, **arrays)  # type: ignore[arg-type]
            seal_file(temporary)

    def forget(self) -> None:
        """Remove the folder: what it was kept for has been written."""
        shutil.rmtree(self.folder, ignore_errors=True)

    def _path(self, name: str) -> Path:
        return self.folder / f"{self.question}-{name}.npz"


def fingerprint_of(*parts: Any) -> str:
    """Return a hash of arrays and of anything that has an exact text."""
    digest = hashlib.sha256()
    for part in parts:
        if isinstance(part, np.ndarray):
            digest.update(f"{part.shape}{part.dtype.str}".encode())
            digest.update(np.ascontiguousarray(part).tobytes())
        else:
            digest.update(repr(part).encode())
        digest.update(b"\0")
    return digest.hexdigest()


def map_ordered(
    function: Callable[[Item], Result],
    items: Iterable[Item],
    work: Work | None = None,
    *,
    what: str,
    enough: bool = True,
) -> list[Result]:
    """Return the results of `obsnet.work.parallel.map_unordered` in the order of the items.

    Parameters
    ----------
    function, items, work, enough
        As there.
    what : str
        ``"scenarios"``, for the progress.
    """
    numbered = list(enumerate(items))
    found: dict[int, Result] = {}
    with progress(len(numbered), what) as advance:
        for (k, _), result in map_unordered(partial(_second, function), numbered, work, enough=enough):
            found[k] = result
            advance(1)
    return [found[k] for k, _ in numbered]


def map_kept(
    function: Callable[[Item], Arrays],
    items: Sequence[Item],
    work: Work | None = None,
    *,
    names: Sequence[str],
    kept: KeptResults | None = None,
    what: str,
    enough: bool = True,
) -> list[Arrays]:
    """Return the results of items in their order: those that were kept, and the others after they were made.

    Parameters
    ----------
    function, items, work, enough
        As of `obsnet.work.parallel.map_unordered`.
    names : sequence of str
        Of the items, different, fit for a file's name.
    kept : KeptResults, optional
        Where results are kept as they come; by default nowhere.
    what : str
        ``"periods"``, for the progress.

    Raises
    ------
    WorkerError, ClusterError
        As of `obsnet.work.parallel.map_unordered`; what was made stays kept.
    """
    found: dict[int, Arrays] = {}
    for k, name in enumerate(names):
        before = None if kept is None else kept.read(name)
        if before is not None:
            found[k] = before
    todo = [(k, item) for k, item in enumerate(items) if k not in found]
    with progress(len(items), what) as advance:
        if found:
            advance(len(found))
        for (k, _), result in map_unordered(partial(_second, function), todo, work, enough=enough):
            if kept is not None:
                kept.write(names[k], result)
            found[k] = result
            advance(1)
    return [found[k] for k in range(len(items))]


def _second(function: Callable[[Any], Any], numbered: tuple[int, Any]) -> Any:
    return function(numbered[1])
