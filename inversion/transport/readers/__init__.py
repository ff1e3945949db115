"""Footprints of every make: `open_footprints` finds out by content which reader a file needs."""

from __future__ import annotations

from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING

from inversion.transport.files.probe import Probe, probe
from inversion.transport.readers.options import ReaderOptions, Receptor
from obsnet.errors import ConfigError, FormatError, nearest
from obsnet.reading import door

if TYPE_CHECKING:
    import xarray as xr

    from inversion.transport.files.footprint import FootprintFile

__all__ = ["FORMATS", "Probe", "ReaderOptions", "Receptor", "open_footprints", "read"]

# In this order: the first whose `matches(probe)` holds reads the file with its `open_file(probe, options)`.
FORMATS = ("store", "cf", "pystilt", "particles", "stilt", "flexpart", "openghg", "ctlagrange", "hysplit")


@door("footprints")
def open_footprints(path: str | Path, options: ReaderOptions | None = None) -> FootprintFile:
    """Open a footprint file without reading its values.

    Parameters
    ----------
    path : path
        netCDF, Parquet, cdump, or the folder of a sparse Jacobian.
    options : ReaderOptions, optional
        What the file does not say and the user knows; ``format`` names the reader, found out by content otherwise.

    Returns
    -------
    FootprintFile

    Raises
    ------
    FormatError
        No reader knows the file, or it breaks its format.
    UnitError
        The unit is missing or unknown.
    """
    options = options or ReaderOptions()
    format, found = options.format, probe(path)
    if format is not None and format not in FORMATS:
        raise ConfigError(f"no footprint format {format!r}{nearest(format, FORMATS)}")
    for name in FORMATS if format is None else (format,):
        module = import_module(f"{__name__}.{name}")
        if module.matches(found):
            opened: FootprintFile = module.open_file(found, options)
            return opened
    if format is not None:
        raise FormatError(f"{path}: no {format} footprint ({found.describe()})")
    raise FormatError(
        f"{path}: no footprint format known here ({found.describe()}); formats: {', '.join(FORMATS)}"
    )


def read(path: str | Path, options: ReaderOptions | None = None) -> xr.Dataset:
    """Open a footprint file and read all of it; see `open_footprints` and `inversion.transport.files.footprint`."""
    return open_footprints(path, options).read()
