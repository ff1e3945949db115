"""Files by what they hold: hashes of bytes, remembered only where nothing about the file can have changed.

Size and time of change are not enough: ``cp -p``, ``rsync -t`` and archives restore the time, and a file of fixed
layout keeps its size. The inode's own time of change (ctime) cannot be set by a user, so a remembered hash holds only
while size, both times, inode and device are all the same, and only if the file had lain still when it was hashed.
Small files, which people edit, are hashed every time.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import time
from collections.abc import Iterable
from pathlib import Path

from obsnet.atomic import write_text
from obsnet.errors import FormatError
from obsnet.seal import read_json, sealed_json

__all__ = ["Contents", "file_id", "files_below", "sha256"]

SMALL = 1 << 20  # bytes; hashed in a millisecond, so not worth trusting anything but the bytes
SETTLED = 10.0  # seconds since the last change; clocks of file servers differ, and their ticks are coarse


class Contents:
    """Hashes of files, remembered from run to run.

    Parameters
    ----------
    memory : Path, optional
        JSON file of the hashes; without it nothing is remembered beyond this object.
    trust : bool
        Whether hashes of earlier runs count at all.
    """

    def __init__(self, memory: Path | None = None, *, trust: bool = True) -> None:
        self._memory = memory
        self._known: dict[str, list[str | int]] = {}
        self._now: dict[str, list[str | int]] = {}  # of this run, of any size
        self._changed = False
        if memory is not None and trust:
            # The first run, or a damaged file: everything is hashed again.
            with contextlib.suppress(FileNotFoundError, FormatError):
                self._known = {k: v for k, v in read_json(memory, sealed=True).items() if isinstance(v, list)}

    def digest(self, path: Path) -> str | None:
        """Return the hex sha256 of a file; None where there is none."""
        name = os.path.abspath(path)
        try:
            # Opening first makes a network file system look whether its idea of the file is still true.
            with open(name, "rb") as stream:
                seen = _identity(os.fstat(stream.fileno()))
                for kept in (self._now.get(name), self._known.get(name)):
                    if kept is not None and kept[:-1] == seen:
                        return str(kept[-1])
                found = hashlib.file_digest(stream, "sha256").hexdigest()
                still = _identity(os.fstat(stream.fileno()))
        except (FileNotFoundError, NotADirectoryError):
            return None
        self._now[name] = [*seen, found]
        size, *times = map(int, seen[:3])
        if size >= SMALL and still == seen and max(times) < time.time_ns() - SETTLED * 1e9:
            self._known[name] = [*seen, found]
            self._changed = True
        return found

    def save(self) -> None:
        """Write what is new to the memory."""
        if self._memory is not None and self._changed:
            write_text(self._memory, sealed_json(self._known))
            self._changed = False


def _identity(about: os.stat_result) -> list[str | int]:
    return [about.st_size, about.st_mtime_ns, about.st_ctime_ns, about.st_ino, about.st_dev]


def files_below(paths: Iterable[Path]) -> list[Path]:
    """Return files as they are, and those below folders, hidden ones left out; sorted, without repeats.

    A path that is not there stays: that it appears is a change too.
    """
    found: set[Path] = set()
    for path in paths:
        if path.is_dir():
            below = (p for p in path.rglob("*") if p.is_file())
            found.update(p for p in below if not any(x[0] == "." for x in p.relative_to(path).parts))
        else:
            found.add(path)
    return sorted(found)


def sha256(path: str | os.PathLike[str]) -> str:
    """Return the hex sha256 of a file's bytes."""
    with open(path, "rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def file_id(digest: str) -> str:
    """Return the short name under which a file of this sha256 is known in tables."""
    return digest[:16]
