"""Readers of meteorological formats; which one is for which file."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from obsnet.errors import FormatError

__all__ = ["reader_for"]


def reader_for(files: Sequence[Path]) -> Any:
    """Return the reader of these files, told by their first bytes.

    Raises
    ------
    FormatError
        No file, a file that is absent, or a format that is not known.
    """
    if not files:
        raise FormatError("no meteorological file given")
    kinds = {path: _kind(path) for path in files}
    found = set(kinds.values())
    if len(found) > 1:
        raise FormatError(f"meteorological files of several formats: {', '.join(sorted(found))}; give one at a time")
    kind = found.pop()
    if kind == "netcdf":
        from obsnet.met.readers.netcdf import NetcdfReader

        return NetcdfReader(files)
    raise FormatError(f"{files[0]}: format not known")


def _kind(path: Path) -> str:
    try:
        with path.open("rb") as stream:
            head = stream.read(64)
    except OSError as error:
        raise FormatError(f"{path}: cannot be opened ({error.strerror})") from None
    if head[:3] == b"CDF" or head[1:4] == b"HDF":
        return "netcdf"
    raise FormatError(f"{path}: neither netCDF, GRIB nor ARL; it begins with {head[:8]!r}")
