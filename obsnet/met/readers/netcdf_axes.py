"""Axes of netCDF files: times, horizontal grids, levels of pressure or hybrid levels."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from obsnet.errors import FormatError, GridError, UnitError
from obsnet.met.horizontal import Horizontal
from obsnet.met.names import factor
from obsnet.met.readers.ecmwf import known_coefficients
from obsnet.typing import Floats

__all__ = ["has_time", "horizontal", "is_time", "is_x", "is_y", "level_dim", "levels", "seconds", "times"]

PRESSURE_AXES = {"level", "lev", "plev", "pressure_level", "isobaricInhPa", "pressure", "isobaric"}
HYBRID_AXES = {"hybrid", "model_level", "nhym"}
_LAT, _LON = {"latitude", "lat"}, {"longitude", "lon"}
_TIMES = ("valid_time", "time")


def is_time(dim: str) -> bool:
    """Tell whether a dimension is one of time."""
    return dim.lower() in _TIMES


def has_time(dims: Sequence[str]) -> bool:
    """Tell whether one of the dimensions is time."""
    return any(is_time(d) for d in dims)


def is_y(dim: str) -> bool:
    """Tell whether a dimension goes along y or latitude."""
    return dim in _LAT or dim in {"y", "rlat", "south_north"}


def is_x(dim: str) -> bool:
    """Tell whether a dimension goes along x or longitude."""
    return dim in _LON or dim in {"x", "rlon", "west_east"}


def level_dim(dims: Sequence[str]) -> str | None:
    """Return the vertical dimension, None where there is none."""
    return next((d for d in dims[:-2] if d in PRESSURE_AXES | HYBRID_AXES), None)


def seconds(path: Path, variable: Any, like: Any = None) -> Floats:
    """Return times as seconds since 1970, with the unit of `like` where that is another variable.

    Raises
    ------
    FormatError
        Not times.
    """
    import cftime

    like = variable if like is None else like
    unit, calendar = getattr(like, "units", ""), getattr(like, "calendar", "standard")
    raw = np.ma.asarray(variable[...])
    if np.ma.is_masked(raw):
        raise FormatError(
            f"{path}: {variable.name!r} lacks {int(np.ma.count_masked(raw))} of {raw.size} times"
        )
    try:
        moments = np.atleast_1d(
            cftime.num2date(np.asarray(raw), unit, calendar, only_use_cftime_datetimes=False)
        )
        found = [np.datetime64(m, "us").astype(np.int64) / 1e6 for m in moments.ravel()]
    except (ValueError, TypeError, OverflowError) as error:
        raise FormatError(
            f"{path}: time {unit!r} with calendar {calendar!r} cannot be read ({error})"
        ) from None
    return np.array(found, dtype=np.float64).reshape(moments.shape)


def times(path: Path, data: Any) -> Floats:
    """Return the times of a file, seconds since 1970; empty where it has none."""
    name = next((n for n in _TIMES if n in data.variables and n in data.dimensions), None)
    if name is None:
        name = next((n for n in _TIMES if n in data.variables), None)
    if name is None:
        return np.zeros(0)
    return np.atleast_1d(seconds(path, data.variables[name])).ravel()


def horizontal(path: Path, data: Any) -> Horizontal:
    """Return the grid of a file.

    Raises
    ------
    GridError
        No axes, or x and y without a projection.
    """
    names = set(data.variables)
    lat = next((n for n in _LAT if n in names and data.variables[n].ndim == 1), None)
    lon = next((n for n in _LON if n in names and data.variables[n].ndim == 1), None)
    if lat and lon:
        return Horizontal(_axis(path, data, lat), _axis(path, data, lon))
    if {"x", "y"} <= names and data.variables["x"].ndim == 1:
        return Horizontal(_axis(path, data, "y"), _axis(path, data, "x"), _crs(path, data), _grid_winds(data))
    raise GridError(
        f"{path}: neither latitude and longitude axes nor x and y of a projection; "
        f"found {', '.join(sorted(names))[:200]}"
    )


def _axis(path: Path, data: Any, name: str) -> Floats:
    values = np.ma.filled(np.ma.asarray(data.variables[name][:], dtype=np.float64), np.nan)
    if not np.isfinite(values).all():
        raise GridError(f"{path}: {name!r} has values that are missing or infinite")
    return np.asarray(values)


def _crs(path: Path, data: Any) -> Any:
    from pyproj import CRS
    from pyproj.exceptions import CRSError

    for variable in data.variables.values():
        if not hasattr(variable, "grid_mapping_name") and not hasattr(variable, "proj_params"):
            continue
        attributes = {k: variable.getncattr(k) for k in variable.ncattrs()}
        makers = (
            lambda a=attributes: CRS.from_wkt(a["crs_wkt"]),
            lambda a=attributes: CRS.from_user_input(a["proj_params"]),
            lambda a=attributes: CRS.from_cf(a),
        )
        for make in makers:
            try:
                return make()
            except (KeyError, CRSError):
                continue
    raise GridError(f"{path}: the grid is in x and y but no variable describes the projection (grid_mapping)")


def _grid_winds(data: Any) -> bool:
    """Tell whether the winds are along x and y: where the file does not call them eastward."""
    for variable in data.variables.values():
        standard = getattr(variable, "standard_name", "")
        if standard == "eastward_wind":
            return False
        if standard in {"x_wind", "grid_eastward_wind"}:
            return True
    return True


def levels(path: Path, data: Any, dim: str) -> tuple[str, Any, str]:
    """Return the vertical axis.

    Returns
    -------
    kind : {"pressure", "hybrid", "own", "unordered"}
        Of levels; ``own`` where a pressure, or the layers' thickness in it, is among the fields on every node, and
        ``unordered`` where only these tell which end is the ground.
    values, order : tuple of ndarray
        Pressure (Pa), or a (Pa) and b stacked; and the order that puts the surface first, as stored if ``unordered``.
    note : str
        What was taken from elsewhere, for people.
    """
    coefficients, note = _hybrid(path, data, dim), ""
    if coefficients is None and dim in data.variables:
        coefficients, note = known_coefficients(path, data.variables[dim])
    if coefficients is not None:
        return "hybrid", (coefficients, np.argsort(-(coefficients[0] + coefficients[1] * 101325.0))), note
    if dim not in data.variables:
        raise FormatError(f"{path}: the vertical dimension {dim!r} has no coordinate variable")
    variable = data.variables[dim]
    values = np.asarray(variable[:], dtype=np.float64)
    unit = getattr(variable, "units", None)
    counted = np.array_equal(np.sort(values), np.arange(1, values.size + 1))
    if (unit == "layer" or counted) and {"PL", "DELP"} & set(data.variables):
        # GEOS numbers its layers from the top, GEOS-Chem from the ground. A GrADS server calls the numbers millibar.
        way = str(getattr(variable, "positive", "")).lower()
        if way in {"up", "down"}:
            return "own", (values, np.argsort(values if way == "up" else -values)), ""
        return "unordered", (values, np.arange(values.size)), ""
    if dim in HYBRID_AXES or (unit in {None, "1", "level", "layer"} and "PRSS" not in data.variables):
        raise FormatError(
            f"{path}: model levels in {dim!r} without their coefficients; add variables hyam (Pa) and hybm on "
            f"{dim!r} (GRIB files carry them), or interpolate to pressure levels"
        )
    if unit is None:
        unit = "hPa"  # ARL-named files keep no units
    try:
        pressure = values * factor(unit, "p")
    except UnitError as error:
        raise UnitError(f"{path}: vertical axis {dim!r}: {error}") from None
    if not ((pressure > 0).all() and np.unique(pressure).size == pressure.size):
        raise FormatError(f"{path}: vertical axis {dim!r} must hold distinct positive pressures")
    return "pressure", (pressure, np.argsort(-pressure)), ""


def _hybrid(path: Path, data: Any, dim: str) -> Floats | None:
    """Return coefficients a (Pa) and b of full levels, shape (2, lev), where the file has them."""
    pairs: tuple[tuple[str, str], ...] = (("hyam", "hybm"), ("ap", "b"), ("a", "b"), ("hyai", "hybi"))
    for names in pairs:
        if not set(names) <= set(data.variables):
            continue
        a, b = (np.asarray(data.variables[n][:], dtype=np.float64) for n in names)
        if names[0] in {"a", "hyam"} and a.max() < 2.0:
            # CF's dimensionless a stands for a * p0.
            p0 = data.variables.get("p0", data.variables.get("P0"))
            a = a * (float(np.asarray(p0[...])) if p0 is not None else 1e5)
        if names[0] == "hyai":
            a, b = 0.5 * (a[1:] + a[:-1]), 0.5 * (b[1:] + b[:-1])
        if a.ndim != 1 or a.size != data.dimensions[dim].size:
            raise FormatError(
                f"{path}: {names[0]} has {a.size} entries, the levels {data.dimensions[dim].size}"
            )
        return np.stack([a, b])
    return None
