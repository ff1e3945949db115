"""Files that appear whole or not at all."""

from __future__ import annotations

import contextlib
import errno
import os
import platform
import re
import secrets
import tempfile
from collections.abc import Iterator
from pathlib import Path

from obsnet.errors import ObsnetError, StorageError

__all__ = ["DISK_ERRORS", "alive", "atomic_path", "sweep", "write_text"]

DISK_ERRORS = {errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EFBIG, errno.EIO, errno.EACCES, errno.EPERM}
_PROBE = 1 << 20  # bytes
_HOST = re.sub(r"[^A-Za-z0-9]", "", platform.node()) or "host"
_TEMPORARY = re.compile(r"\.tmp-(?P<host>[A-Za-z0-9]+)-(?P<pid>\d+)-[0-9a-f]{8}-")


@contextlib.contextmanager
def atomic_path(path: str | os.PathLike[str]) -> Iterator[Path]:
    """Give a temporary path beside `path` and rename it there when the block ends without an error.

    The temporary name is hidden, keeps the suffix and is removed on failure. After a kill it stays until
    `sweep` finds it.

    Raises
    ------
    StorageError
        The disk is full, read-only or over quota.
    """
    target = Path(path)
    temporary = target.with_name(f".tmp-{_HOST}-{os.getpid()}-{secrets.token_hex(4)}-{target.name}")
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        yield temporary
        os.replace(temporary, target)
    except ObsnetError:
        raise
    except (OSError, RuntimeError) as error:
        refusal = _refusal(target.parent, error)
        if refusal:
            raise StorageError(f"{target}: cannot be written ({refusal}); mend that and run again") from error
        raise
    finally:
        with contextlib.suppress(OSError):
            temporary.unlink(missing_ok=True)


def _refusal(folder: Path, error: Exception) -> str:
    """Return why the disk refuses to be written; libraries that hide its reason are asked by writing a little."""
    if isinstance(error, OSError) and error.errno in DISK_ERRORS:
        return os.strerror(error.errno)
    try:
        with tempfile.TemporaryFile(dir=folder) as probe:
            probe.write(bytes(_PROBE))
            probe.flush()
    except OSError as refused:
        return os.strerror(refused.errno) if refused.errno in DISK_ERRORS else ""
    return ""


def sweep(folder: str | os.PathLike[str]) -> int:
    """Remove temporary files that killed processes of this machine left below a folder.

    Files of processes that still run, here or on another node of a shared file system, are left alone.

    Returns
    -------
    int
        How many were removed.
    """
    removed = 0
    for path in Path(folder).rglob(".tmp-*"):
        match = _TEMPORARY.match(path.name)
        if match and match["host"] == _HOST and not alive(int(match["pid"])):
            path.unlink(missing_ok=True)
            removed += 1
    return removed


def alive(pid: int) -> bool:
    """Tell whether a process of this machine runs."""
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:  # somebody else's
        return True
    return True


def write_text(path: str | os.PathLike[str], text: str) -> None:
    """Write a UTF-8 text file atomically."""
    with atomic_path(path) as temporary:
        temporary.write_text(text, encoding="utf-8")
