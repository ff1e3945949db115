"""CarbonTracker-Lagrange and WRF-STILT footprints with the variable ``foot1``.

One file a receptor, ``foot<YYYYxMMxDDxHH[xMM]xLATNxLONWxAGL>.nc`` (also ``stilt…``, ``hysplit…``), with
``foot1(foot1date, foot1lat, foot1lon)``; HYSPLIT-made files have longitude before latitude. Coordinates are
cell centres, missing is -1e34. Producers differ in whether ``foot1date`` begins or ends its hour, so the
label is found from the receptor's time: hours that reach it are marked by their end, hours that stop one
step short by their beginning.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any, Literal

import numpy as np

from inversion.transport.files.footprint import FootprintFile, ReceptorBlock
from inversion.transport.files.probe import Probe, open_netcdf
from inversion.transport.readers.common import (
    axes,
    check_values,
    factor,
    receptors,
    text,
    times,
    values,
)
from inversion.transport.readers.options import ReaderOptions, Receptor
from obsnet.errors import FormatError, MissingVariableError
from obsnet.times import as_utc
from obsnet.typing import Times

__all__ = ["NEAR_FIELD", "matches", "open_file", "parse_name", "step_label"]

NEAR_FIELD = "footnearfield1"  # on a fine grid around the receptor, for its last hours, named like foot1

_NAME = re.compile(
    r"(?P<y>\d{4})x(?P<mo>\d{2})x(?P<d>\d{2})x(?P<h>\d{2})(?:x(?P<mi>\d{2}))?"
    r"x(?P<lat>\d+(?:\.\d+)?)(?P<ns>[NS])x(?P<lon>\d+(?:\.\d+)?)(?P<ew>[EW])x(?P<agl>\d+(?:\.\d+)?)"
)

_SLACK = np.timedelta64(120_000_000, "us")  # days since 2000 in float32 are good to a minute or so


def matches(found: Probe) -> bool:
    """Tell such a file by its variable ``foot1``."""
    return found.container == "netcdf" and {"foot1", "foot1lat", "foot1lon"} <= set(found.variables)


def open_file(found: Probe, options: ReaderOptions) -> FootprintFile:
    """Open a ``foot1`` footprint; see `inversion.transport.readers.open_footprints`."""
    path = found.path
    receptor = options.receptor or parse_name(path)
    time = as_utc(receptor.time)
    notes: list[str] = []
    name = NEAR_FIELD if options.part == "high" else "foot1"
    lat, lon, date = (f"{name}{axis}" for axis in ("lat", "lon", "date"))
    with open_netcdf(path) as nc:
        missing = [n for n in (name, lat, lon, date) if n not in nc.variables]
        if missing:
            raise MissingVariableError(f"{path}: {name} needs {', '.join(missing)}")
        foot = nc[name]
        step_dim = next((d for d in foot.dimensions if d not in {lat, lon}), None)
        if step_dim is None or len(foot.dimensions) != 3:
            raise FormatError(
                f"{path}: {name} needs a time dimension beside {lat} and {lon}, found {foot.dimensions}"
            )
        scale, unit = factor(text(foot, "units"), options, path, name)
        where = axes(nc[lat][:], nc[lon][:], path)
        stamps = times(nc[date], path)
        if NEAR_FIELD in nc.variables:
            notes.append(
                "fine grid near the receptor: the rest is left out"
                if options.part == "high"
                else f"{NEAR_FIELD} (fine grid near the receptor) is not read: foot1 holds the same air coarsely; "
                "both are joined by convert with part='both' (--part both)"
            )
    order = np.argsort(stamps, kind="stable")
    stamps = stamps[order]
    length = _step(stamps, path)
    # Stamps in float32 days miss by up to a minute; the receptor's time and whole hours are exact.
    anchors = (
        time,
        time - length,
        (stamps[-1] + length // 2).astype("datetime64[h]").astype("datetime64[us]"),
    )
    last = next((a for a in anchors if abs(stamps[-1] - a) <= _SLACK), stamps[-1])
    label = options.label or step_label(last, length, time, path)
    back = np.arange(stamps.size)[::-1] * length
    begin: Times = np.asarray(last - back if label == "begin" else last - length - back)

    def load(_start: int, _stop: int) -> ReceptorBlock:
        with open_netcdf(path) as nc:
            field = values(nc[name], (step_dim, lat, lon))[order]
        field = np.where(field < -1e30, np.nan, field)
        field = check_values(where.sort(field) * scale, path, signed=False)
        end = begin + length
        return ReceptorBlock(field[None], begin[None], end[None], np.ones(begin.size, dtype=bool))

    row = {
        "time": time,
        "time_start": time,
        "time_end": time,
        "latitude": receptor.latitude,
        "longitude": receptor.longitude,
        "height_m": receptor.height_m,
    }
    return FootprintFile(
        path=path,
        format="ctlagrange",
        model=str(found.attributes.get("title") or found.attributes.get("source") or "STILT").strip(),
        grid=where.grid,
        receptors=receptors([row], "ctlagrange", path),
        unit=unit,
        load=load,
        bytes_per_receptor=8 * stamps.size * where.grid.size,
        span=(begin[0], begin[-1] + length),
        weighting=options.weighting or "none",
        kind=options.kind,
        notes=tuple(notes),
    )


def parse_name(path: Path) -> Receptor:
    """Read the receptor from ``…YYYYxMMxDDxHH[xMM]xLATNxLONWxAGL.nc``.

    Raises
    ------
    FormatError
        The name is of another form.
    """
    match = _NAME.search(path.name)
    if match is None:
        raise FormatError(
            f"{path}: the receptor of a foot1 file stands only in its name, "
            "foot2013x01x31x08x45.95Nx090.27Wx00011.nc, and this is none; give the receptor (--receptor "
            "TIME,LAT,LON,HEIGHT)"
        )
    stamp = f"{match['y']}-{match['mo']}-{match['d']}T{match['h']}:{match['mi'] or '00'}"
    try:
        time = np.datetime64(stamp, "us")
    except ValueError as error:
        raise FormatError(f"{path}: {stamp} in the name is no time ({error})") from error
    lat = float(match["lat"]) * (1 if match["ns"] == "N" else -1)
    lon = float(match["lon"]) * (1 if match["ew"] == "E" else -1)
    return Receptor(time, lat, lon, float(match["agl"]))


def step_label(
    last: np.datetime64, length: np.timedelta64, receptor: np.datetime64, path: Path
) -> Literal["begin", "end"]:
    """Tell from the last stamp whether stamps begin or end their step.

    Raises
    ------
    FormatError
        The last step is not the one that ends at, or holds, the receptor's time.
    """
    if last < receptor <= last + length:
        return "begin"
    if receptor <= last < receptor + length:
        return "end"
    raise FormatError(
        f"{path}: the last foot1date {last} is neither the beginning nor the end of the hour of the "
        f"receptor's time {receptor}; say which it is (label='begin' or 'end', --label)"
    )


def _step(stamps: Times, path: Path) -> np.timedelta64:
    if stamps.size < 2:
        return np.timedelta64(3_600_000_000, "us")
    steps = np.diff(stamps)
    length: Any = np.timedelta64(round(float(np.median(steps) / np.timedelta64(1, "m"))), "m").astype(
        "timedelta64[us]"
    )
    if length <= np.timedelta64(0, "s") or (np.abs(steps - length) > _SLACK).any():
        raise FormatError(
            f"{path}: foot1date must have even steps, found {np.unique(steps / np.timedelta64(1, 'h'))[:5]} h"
        )
    return length
