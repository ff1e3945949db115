"""What station files hold, said without a store: each file in a worker that loads what its format needs."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from obsnet.errors import FormatError, ObsnetError
from stations.readers import expand, read_plain

if TYPE_CHECKING:
    from obsnet.work.work import Work
    from stations.store.options import ReadTable

__all__ = ["summarise_files"]


class _File(NamedTuple):
    """A file, the species wanted of it (None: its usual one), and what was said of it."""

    path: Path
    species: Sequence[str | None]
    said: dict[str, Any]


def summarise_files(
    options: ReadTable, folder: Path, work: Work | None = None
) -> tuple[list[dict[str, Any]], list[dict[str, str]]]:
    """Say what is in files.

    Returns
    -------
    summaries : list of dict
        See `stations.record.summary.summary`, in the order of the files.
    bad : list of dict
        ``path, error`` of those that cannot be read.

    Raises
    ------
    ObsnetError
        The only file cannot be read.
    """
    # here, and not above: the worker that reads one file needs none of it
    from obsnet.work.parallel import ENOUGH_BYTES, map_unordered, shard
    from obsnet.work.progress import counted
    from obsnet.work.work import Work

    said = options.placed(folder).said
    files = [_File(p, options.species or [None], said) for p in expand(options.files, folder)]
    files = list(shard(files, work or Work()))
    enough = sum(f.path.stat().st_size for f in files if f.path.is_file()) > ENOUGH_BYTES
    on_death = None if work is None and not enough else _untold
    each = map_unordered(_summaries, files, work, enough=enough, on_death=on_death)
    outcome = {f.path: done for f, done in counted(each, "station files", len(files))}
    found: list[dict[str, Any]] = []
    bad: list[dict[str, str]] = []
    for file in files:
        done = outcome[file.path]
        if isinstance(done, ObsnetError):
            if len(files) == 1:
                raise done
            bad.append({"path": str(file.path), "error": str(done)})
        else:
            found += done
    return found, bad


def _summaries(file: _File) -> list[dict[str, Any]] | ObsnetError:
    from stations.record.summary import summary

    try:
        return [summary(r) for name in file.species for r in read_plain(file.path, name, **file.said)]
    except ObsnetError as error:
        return error


def _untold(file: _File, reason: str) -> ObsnetError:
    """Return the error of a file that killed the process which read it."""
    return FormatError(f"{file.path}: {reason}")
