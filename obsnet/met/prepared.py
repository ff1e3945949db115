"""The folder of prepared meteorology: whose it is, how it appears whole, and that nothing else is ever removed."""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import platform
import re
import secrets
import shutil
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from obsnet.atomic import write_text
from obsnet.content import sha256
from obsnet.errors import FormatError
from obsnet.met.fields import Met
from obsnet.seal import read_json, sealed_json

__all__ = ["contents", "fingerprint", "found", "move_in", "scratch"]

_DIGESTS = "contents.json"
_OWN = {"met.json", _DIGESTS, *(f"{name}.npy" for name in ("wind", "state", "surface", "terrain"))}
_TOKEN = "token"
_HOST = re.sub(r"[^A-Za-z0-9]", "", platform.node()) or "host"


def contents(files: Sequence[str | Path], folder: Path | None = None) -> dict[str, str]:
    """Return the sha256 of each file.

    Parameters
    ----------
    files : sequence of path
        Whose content counts, not their names or times.
    folder : Path, optional
        Of meteorology prepared from them: hashes kept there hold for files that have not been written to since
        (same inode, size, times of writing and of change).
    """
    known: dict[str, Any] = {}
    if folder is not None:
        with contextlib.suppress(OSError, FormatError):
            known = read_json(folder / _DIGESTS)
    return {str(f): known.get(_state(f)) or sha256(f) for f in files}


def _state(path: str | Path) -> str:
    stat = Path(path).stat()
    parts = (stat.st_dev, stat.st_ino, stat.st_size, stat.st_mtime_ns, stat.st_ctime_ns)
    return "-".join(map(str, parts))


def fingerprint(hashes: Sequence[str], options: dict[str, Any]) -> str:
    """Return what fields prepared from files of this content with these options are known by."""
    return hashlib.sha256(json.dumps([options, sorted(hashes)]).encode()).hexdigest()[:16]


def found(folder: Path, mark: str) -> Met | None:
    """Return fields that were prepared from the same files with the same options."""
    try:
        met = Met.load(folder)
    except FormatError:
        return None
    return met if met.meta.get("fingerprint") == mark else None


@contextlib.contextmanager
def scratch(folder: Path) -> Iterator[Path]:
    """Give a place beside `folder` that no other process on any node has; it is gone afterwards."""
    folder.parent.mkdir(parents=True, exist_ok=True)
    _forget_killed(folder)
    own = folder.with_name(f".{folder.name}.{_HOST}-{os.getpid()}-{secrets.token_hex(8)}.tmp")
    own.mkdir()
    (own / _TOKEN).write_text(own.name, encoding="utf-8")
    try:
        yield own
    finally:
        shutil.rmtree(own, ignore_errors=True)


def _forget_killed(folder: Path) -> None:
    """Remove what processes of this machine left beside `folder` when they were killed."""
    pattern = re.compile(rf"\.{re.escape(folder.name)}\.{_HOST}-(\d+)-[0-9a-f]+\.tmp")
    for path in folder.parent.glob(f".{folder.name}.*.tmp"):
        match = pattern.fullmatch(path.name)
        if match and not Path(f"/proc/{match[1]}").exists() and Path("/proc").is_dir():
            shutil.rmtree(path, ignore_errors=True)


def move_in(
    met: Met, own: Path, folder: Path, mark: str, files: Sequence[str | Path], hashes: dict[str, str]
) -> None:
    """Write what is left of prepared fields and put them in their place, unless another process was first.

    Raises
    ------
    FormatError
        Something else stands there.
    """
    met.meta["fingerprint"] = mark
    if (own / _TOKEN).exists():
        (own / _TOKEN).unlink()
        met.save(own)
    else:
        # Somebody has swept our place away; what we filled is still mapped.
        shutil.rmtree(own, ignore_errors=True)
        met.save(own, anew=True)
    write_text(own / _DIGESTS, sealed_json({_state(f): hashes[str(f)] for f in files}))
    try:
        own.rename(folder)
    except OSError:  # something stands there
        if found(folder, mark) is None:
            _remove(folder)
            own.rename(folder)


def _remove(folder: Path) -> None:
    """Remove meteorology that was prepared otherwise; nothing else."""
    names = {p.name for p in folder.iterdir()} if folder.is_dir() else {folder.name}
    strange = sorted(n for n in names - _OWN if not n.startswith(".tmp-"))
    if strange or (names and "met.json" not in names):
        raise FormatError(
            f"{folder}: holds {', '.join(strange[:3] or sorted(names)[:3])}, which is no prepared meteorology; "
            "it is not removed for it, so name another folder"
        )
    shutil.rmtree(folder)
