"""Readers of meteorological formats; which one is for which file."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from obsnet.errors import ConfigError, FormatError
from obsnet.met.options import MetOptions
from obsnet.opening import open_netcdf4
from obsnet.reading import at_file, reading

__all__ = ["reader_for"]


# Options that a format has a use for; elsewhere it says itself what they would say.
_USES = {"netcdf": ("accumulated", "heat_flux"), "grib": ("heat_flux",), "wrf": (), "arl": ()}


def reader_for(files: Sequence[Path], options: MetOptions | None = None) -> Any:
    """Return the reader of these files, told by their first bytes.

    Parameters
    ----------
    files : sequence of path
        All of one format.
    options : MetOptions, optional
        ``accumulated`` and ``heat_flux`` are used.

    Raises
    ------
    ConfigError
        An option that the format has no use for.
    FormatError
        No file, a file that is absent, or a format that is not known.
    """
    if not files:
        raise FormatError("no meteorological file given")
    with reading(files[0], "meteorology"):
        return _open(files, options or MetOptions())


def _open(files: Sequence[Path], options: MetOptions) -> Any:
    kinds = {path: _kind(path) for path in files}
    found = set(kinds.values())
    if len(found) > 1:
        raise FormatError(
            f"meteorological files of several formats: {', '.join(sorted(found))}; give one at a time"
        )
    kind = found.pop()
    for name in ("accumulated", "heat_flux"):
        if getattr(options, name) != "auto" and name not in _USES[kind]:
            raise ConfigError(
                f"{files[0]}: {name} = {getattr(options, name)!r} does nothing with {kind.upper()} files, which say it "
                "themselves; leave it out"
            )
    if kind == "netcdf":
        from obsnet.met.readers.netcdf import NetcdfReader

        return NetcdfReader(files, options.accumulated, options.heat_flux)
    if kind == "wrf":
        from obsnet.met.readers.wrf import WrfReader

        return WrfReader(files)
    if kind == "grib":
        from obsnet.met.readers.grib import GribReader

        return GribReader(files, options.heat_flux)
    from obsnet.met.readers.arl import ArlReader

    return ArlReader(files)


def _kind(path: Path) -> str:
    at_file(path)
    try:
        with path.open("rb") as stream:
            head = stream.read(64)
    except OSError as error:
        raise FormatError(f"{path}: cannot be opened ({error.strerror})") from None
    if head[:3] == b"CDF" or head[1:4] == b"HDF":
        return "wrf" if _is_wrf(path) else "netcdf"
    if b"GRIB" in head:
        return "grib"
    # An ARL file begins with the label of its index: date, level 0, grid 99 or letters, INDX.
    if head[14:18] == b"INDX":
        return "arl"
    raise FormatError(f"{path}: neither netCDF, GRIB nor ARL; it begins with {head[:8]!r}")


def _is_wrf(path: Path) -> bool:
    try:
        with open_netcdf4(path) as data:
            title = str(getattr(data, "TITLE", ""))
            if "METGRID" in title or "num_metgrid_levels" in data.dimensions:
                raise FormatError(
                    f"{path}: a met_em file, the input that WPS makes for WRF; give WRF's output (wrfout), or the "
                    "fields that WPS was given"
                )
            return "WRF" in title or "bottom_top" in data.dimensions
    except (OSError, RuntimeError) as error:
        raise FormatError(f"{path}: cannot be read as netCDF ({error})") from None
