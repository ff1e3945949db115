"""STILT and X-STILT footprints ``<yyyymmddHHMM>_<lon>_<lat>_<height>_foot.nc``.

Time stamps are the beginning of the hour of influence; missing is -1. The receptor stands only in the file's
name, which is checked against the hours and the grid inside. X-STILT writes ``X`` for the height of a column;
whether its averaging kernel and pressure weights are in the values is set in its run script and not in the
file, so it must be said before such a footprint is used. Format: uataq/stilt docs/output-files.md.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import numpy as np

from inversion.transport.files.footprint import FootprintFile, ReceptorBlock, Weighting
from inversion.transport.files.probe import Probe, open_netcdf
from inversion.transport.readers.common import (
    HOUR,
    Axes,
    axes,
    check_values,
    factor,
    receptors,
    text,
    times,
    values,
)
from inversion.transport.readers.options import ReaderOptions, Receptor
from inversion.transport.readers.projected import Projected, projected_axes
from obsnet.errors import FormatError
from obsnet.grid import Grid
from obsnet.times import as_utc

__all__ = ["matches", "open_file", "parse_name"]

_NAME = re.compile(
    r"(?P<time>\d{10}(?:\d{2})?)_(?P<a>-?\d+(?:\.\d*)?)_(?P<b>-?\d+(?:\.\d*)?)_(?P<height>X|\d+(?:\.\d*)?)(?:_|$)"
)


def matches(found: Probe) -> bool:
    """Tell a STILT footprint by its variable ``foot``."""
    dims = set(found.variables.get("foot", ()))
    return found.container == "netcdf" and "time" in dims and ({"lat", "lon"} < dims or {"y", "x"} < dims)


def open_file(found: Probe, options: ReaderOptions) -> FootprintFile:
    """Open a STILT footprint; see `inversion.transport.readers.open_footprints`."""
    path = found.path
    notes: list[str] = []
    with open_netcdf(path) as nc:
        foot = nc["foot"]
        scale, unit = factor(text(foot, "units"), options, path, "foot")
        stamps = times(nc["time"], path)
        where: Axes | Projected
        if "lat" in foot.dimensions:
            where = axes(nc["lat"][:], nc["lon"][:], path)
            cells = ("lat", "lon")
        else:
            where = projected_axes(nc, path, options.grid)
            cells = ("y", "x")
        shape = foot.shape
    column = False
    if options.receptor is None:
        receptor, column = parse_name(path, where.grid)
    else:
        receptor = options.receptor
        column = bool(np.isnan(receptor.height_m))
    time = as_utc(receptor.time)
    start, resolved = hours(stamps, time, path)
    weighting: Weighting = options.weighting or ("unknown" if column else "none")
    if weighting == "unknown":
        notes.append(
            "column footprint of X-STILT: the file does not say whether averaging kernel and pressure "
            "weights are in it; say weighting='kernel' (X-STILT's default run), 'pressure' or 'none' before "
            "using it"
        )

    def load(_start: int, _stop: int) -> ReceptorBlock:
        with open_netcdf(path) as nc:
            raw = values(nc["foot"], ("time", *cells))
        # STILT's fill is -1 whether or not the attribute survived.
        raw = np.where(raw == -1.0, np.nan, raw)
        field = check_values(where.sort(raw) * scale, path, signed=weighting != "none")
        end = np.asarray(start + HOUR if resolved else [time])
        begin = start if resolved else np.full(1, np.datetime64("NaT", "us"))
        return ReceptorBlock(field[None], begin[None], end[None], np.full(start.size, resolved))

    span = (start[0], start[-1] + HOUR) if resolved else (time, time)
    row = {"time": time, "time_start": time, "time_end": time, **vars_of(receptor)}
    return FootprintFile(
        path=path,
        format="stilt",
        model="X-STILT" if column else "STILT",
        grid=where.grid,
        receptors=receptors([row], "stilt", path),
        unit=unit,
        load=load,
        bytes_per_receptor=4 * shape[0] * max(where.grid.size, shape[1] * shape[2]),
        span=span,
        column=column,
        weighting=weighting,
        kind=options.kind,
        notes=tuple(notes),
    )


def vars_of(receptor: Receptor) -> dict[str, Any]:
    """Return position and height of a receptor."""
    return {"latitude": receptor.latitude, "longitude": receptor.longitude, "height_m": receptor.height_m}


def parse_name(path: Path, grid: Grid) -> tuple[Receptor, bool]:
    """Read the receptor from a file's name; return it and whether it is a column.

    Parameters
    ----------
    path : Path
        ``yyyymmddHH[MM]_lon_lat_height_foot.nc``. Some versions of the documentation print latitude first;
        the order that puts the receptor inside `grid` is taken, longitude first where both do.

    Raises
    ------
    FormatError
        The name is of another form, or the receptor is outside the grid either way.
    """
    match = _NAME.search(path.stem)
    if match is None:
        raise FormatError(
            f"{path}: the receptor of a STILT footprint stands only in its name, "
            "yyyymmddHHMM_lon_lat_height_foot.nc, and this is none; give the receptor (--receptor "
            "TIME,LAT,LON,HEIGHT)"
        )
    a, b = float(match["a"]), float(match["b"])
    digits = match["time"].ljust(12, "0")
    stamp = f"{digits[:4]}-{digits[4:6]}-{digits[6:8]}T{digits[8:10]}:{digits[10:12]}"
    try:
        time = np.datetime64(stamp, "us")
    except ValueError as error:
        raise FormatError(f"{path}: {match['time']} in the name is no time ({error})") from error
    height = float("nan") if match["height"] == "X" else float(match["height"])
    for lon, lat in ((a, b), (b, a)):
        if abs(lat) <= 90 and int(grid.index(lat, lon)) >= 0:
            return Receptor(time, lat, lon, height), match["height"] == "X"
    raise FormatError(
        f"{path}: the receptor in the name ({a:g}, {b:g}) lies outside the footprint's {grid!r}"
    )


def hours(stamps: np.ndarray, receptor: np.datetime64, path: Path) -> tuple[np.ndarray, bool]:
    """Check hour-begin stamps against the receptor's time; return them and whether they resolve the hours.

    Raises
    ------
    FormatError
        The hours do not end at the receptor's time, or are not hours.
    """
    if stamps.size == 1 and stamps[0] == receptor:
        return stamps, False  # a time-integrated footprint is stamped with the receptor's time
    steps = np.diff(stamps)
    if (steps <= np.timedelta64(0, "s")).any() or (steps % HOUR != np.timedelta64(0, "s")).any():
        raise FormatError(f"{path}: time must rise in whole hours, found steps {np.unique(steps / HOUR)} h")
    last = receptor - stamps[-1]
    if not np.timedelta64(0, "s") < last:
        raise FormatError(
            f"{path}: the receptor's time {receptor} is not after the beginning of the last hour "
            f"{stamps[-1]}; is it another footprint's name?"
        )
    return stamps, True
