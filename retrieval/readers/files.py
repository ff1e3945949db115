"""Which files of a folder are granules."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from obsnet.config import resolve_files
from obsnet.errors import ConfigError

__all__ = ["granule_files"]

_SUFFIXES = {".nc", ".nc4", ".h5", ".he5", ".hdf", ".hdf5", ".csv"}


def granule_files(patterns: Iterable[str | Path], base: str | Path = ".") -> list[Path]:
    """Expand files, folders and globs into granules.

    Of a folder only files with a suffix of granules are taken, because download tools leave others beside
    them; a file or glob that is named is taken whatever its suffix.

    Parameters
    ----------
    patterns, base
        See `obsnet.config.resolve_files`.

    Raises
    ------
    ConfigError
        A pattern matches nothing.
    """
    found: set[Path] = set()
    for pattern in patterns:
        files = resolve_files([pattern], base)
        if (Path(base) / Path(pattern).expanduser()).is_dir():
            files = [f for f in files if f.suffix.lower() in _SUFFIXES]
            if not files:
                raise ConfigError(
                    f"{pattern}: no granules in this folder (suffixes {' '.join(sorted(_SUFFIXES))})"
                )
        found.update(files)
    return sorted(found)
