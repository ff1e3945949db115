"""PYSTILT footprints: CF netCDF, and the sparse Parquet of its output folders.

Both carry receptor and settings as JSON. Layer k is the hour that begins k hours after the receptor's time;
a time-integrated footprint is the one layer 0. Transforms that were applied to the particles (averaging
kernel, pressure weights, lifetime) are listed in the settings.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from inversion.transport.files.footprint import FootprintFile, ReceptorBlock, Weighting
from inversion.transport.files.probe import Probe, open_netcdf
from inversion.transport.readers.common import (
    HOUR,
    axes,
    check_values,
    factor,
    receptors,
    text,
    times,
    values,
)
from inversion.transport.readers.options import ReaderOptions
from inversion.transport.readers.projected import projected_axes
from obsnet.errors import FormatError, GridError
from obsnet.grid import Grid
from obsnet.times import as_utc

__all__ = ["matches", "open_file"]

_PARQUET_UNIT = "ppm m2 s umol-1"  # PYSTILT writes it into netCDF only; the table has no unit column


def matches(found: Probe) -> bool:
    """Tell PYSTILT by the settings it writes into the file."""
    if found.container == "parquet":
        return "stilt:footprint" in found.attributes
    if found.container == "netcdf" and "foot" in found.variables:
        with open_netcdf(found.path) as nc:
            return "stilt_receptor" in nc["foot"].ncattrs()
    return False


def open_file(found: Probe, options: ReaderOptions) -> FootprintFile:
    """Open a PYSTILT footprint; see `inversion.transport.readers.open_footprints`."""
    return _open_parquet(found, options) if found.container == "parquet" else _open_netcdf(found, options)


def _open_netcdf(found: Probe, options: ReaderOptions) -> FootprintFile:
    path = found.path
    with open_netcdf(path) as nc:
        foot = nc["foot"]
        scale, unit = factor(text(foot, "units"), options, path, "foot")
        stamps = times(nc["time"], path)
        receptor = _json(text(foot, "stilt_receptor"), path, "stilt_receptor")
        settings = _json(text(foot, "stilt_footprint"), path, "stilt_footprint")
        geographic = "lat" in foot.dimensions
        where = (
            axes(nc["lat"][:], nc["lon"][:], path) if geographic else projected_axes(nc, path, options.grid)
        )
    cells = ("lat", "lon") if geographic else ("y", "x")

    def load(_start: int, _stop: int) -> ReceptorBlock:
        with open_netcdf(path) as nc:
            field = values(nc["foot"], ("time", *cells))
        return _block(check_values(where.sort(field) * scale, path, signed=signed), stamps, time, integrated)

    time = as_utc(receptor.get("time"))
    integrated = bool(settings.get("time_integrate", False))
    head = _head(receptor, settings, options, path)
    signed = head["weighting"] != "none"
    return FootprintFile(
        **head,
        grid=where.grid,
        unit=unit,
        load=load,
        bytes_per_receptor=4 * stamps.size * where.grid.size,
        span=_span(stamps, time, integrated),
    )


def _open_parquet(found: Probe, options: ReaderOptions) -> FootprintFile:
    import pyarrow.parquet as pq

    path = found.path
    receptor = _json(found.attributes.get("stilt:receptor"), path, "stilt:receptor")
    settings = _json(found.attributes.get("stilt:footprint"), path, "stilt:footprint")
    empty = found.attributes.get("stilt:empty") == b"true"
    layers = np.asarray(json.loads(found.attributes.get("stilt:hours", b"[]")), dtype=np.int64)
    scale, unit = factor(_PARQUET_UNIT, options, path, "foot")
    grid = _grid(settings, path)
    time = as_utc(receptor.get("time"))
    integrated = bool(settings.get("time_integrate", False))
    if layers.size == 0:
        # No particle reached the grid: one hour of nothing, so that the observation is not lost.
        layers = np.array([0 if integrated else -1])
    head = _head(receptor, settings, options, path)
    if empty:
        head["notes"] = (*head["notes"], "no particle reached the grid: all sensitivities are 0")

    def load(_start: int, _stop: int) -> ReceptorBlock:
        field = np.zeros((layers.size, *grid.shape), dtype=np.float64)
        table = pq.ParquetFile(path).read(columns=["hour", "y", "x", "foot"])
        if len(table):
            hour, y, x = (table[k].to_numpy().astype(np.int64) for k in ("hour", "y", "x"))
            layer = np.searchsorted(layers, hour)
            inside = (layer < layers.size) & (y >= 0) & (y < grid.shape[0]) & (x >= 0) & (x < grid.shape[1])
            if not (inside.all() and np.array_equal(layers[layer], hour)):
                raise FormatError(f"{path}: rows outside the hours or the grid that its settings name")
            np.add.at(field, (layer, y, x), table["foot"].to_numpy())
        stamps = time + layers * HOUR
        return _block(check_values(field * scale, path, signed=signed), stamps, time, integrated)

    signed = head["weighting"] != "none"
    return FootprintFile(
        **head,
        grid=grid,
        unit=unit,
        load=load,
        bytes_per_receptor=4 * layers.size * grid.size,
        span=_span(time + layers * HOUR, time, integrated),
    )


def _span(stamps: np.ndarray, time: np.datetime64, integrated: bool) -> tuple[np.datetime64, np.datetime64]:
    return (time, time) if integrated else (stamps[0], stamps[-1] + HOUR)


def _block(field: np.ndarray, stamps: Any, time: np.datetime64, integrated: bool) -> ReceptorBlock:
    if integrated:
        nat = np.full((1, 1), np.datetime64("NaT", "us"))
        return ReceptorBlock(field[None], nat, np.full((1, 1), time), np.zeros(1, dtype=bool))
    return ReceptorBlock(field[None], stamps[None], (stamps + HOUR)[None], np.ones(stamps.size, dtype=bool))


def _head(
    receptor: Mapping[str, Any], settings: Mapping[str, Any], options: ReaderOptions, path: Path
) -> dict[str, Any]:
    """Return what both containers say in the same words."""
    kind = receptor.get("kind")
    if kind == "point":
        place = {
            "latitude": receptor["latitude"],
            "longitude": receptor["longitude"],
            "height_m": receptor["altitude"],
        }
    elif kind == "column":
        place = {"latitude": receptor["latitude"], "longitude": receptor["longitude"], "height_m": np.nan}
    elif kind == "multipoint":
        lat, lon = (np.mean(receptor[k]) for k in ("latitudes", "longitudes"))
        place = {"latitude": lat, "longitude": lon, "height_m": np.nan}
    else:
        raise FormatError(f"{path}: receptor kind {kind!r} is not known; known: point, column, multipoint")
    notes = []
    if kind != "column" and receptor.get("altitude_ref", "agl") != "agl":
        notes.append(
            f"receptor height is above {receptor['altitude_ref']}, not above ground; taken as unknown"
        )
        place["height_m"] = np.nan
    transforms = [str(t.get("kind")) for t in settings.get("transforms", [])]
    weighting: Weighting = "none"
    if "averaging_kernel" in transforms:
        weighting = "kernel"
    elif "pressure_weighting" in transforms:
        weighting = "pressure"
    other = [t for t in transforms if t not in {"averaging_kernel", "pressure_weighting"}]
    if other:
        notes.append(f"particles were transformed before gridding: {', '.join(other)}")
    time = as_utc(receptor.get("time"))
    row = {"time": time, "time_start": time, "time_end": time, **place}
    return {
        "path": path,
        "format": "pystilt",
        "model": "PYSTILT",
        "receptors": receptors([row], "stilt", path),
        "column": kind != "point",
        "weighting": options.weighting or weighting,
        "kind": options.kind,
        "notes": tuple(notes),
    }


def _grid(settings: Mapping[str, Any], path: Path) -> Grid:
    grid = settings.get("grid") or {}
    crs = str(grid.get("crs", ""))
    if "longlat" not in crs and "4326" not in crs:
        raise GridError(
            f"{path}: PYSTILT Parquet on projection {crs!r}; write it as netCDF (foot.stilt.to_netcdf) to "
            "have it binned"
        )
    try:
        return Grid.regular(*(float(grid[k]) for k in ("ymin", "ymax", "xmin", "xmax", "yres", "xres")))
    except KeyError as error:
        raise FormatError(f"{path}: the grid in its settings lacks {error}") from error


def _json(value: Any, path: Path, name: str) -> dict[str, Any]:
    try:
        data = json.loads(value)
    except (TypeError, ValueError) as error:
        raise FormatError(f"{path}: {name} is no JSON ({error})") from error
    if not isinstance(data, dict):
        raise FormatError(f"{path}: {name} is no JSON object")
    return data
