"""A bias that follows a field, as albedo, aerosol or terrain make it: read from a file, put at observations' places.

Values are interpolated linearly between the middles of cells, and in time; missing cells take no part in it. What the
inversion is not told of is then::

    error = per_unit (f - reference)        or        error = size (f - mean f) / sd f

with mean and standard deviation over the observations that have it.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from inversion.study.options import PatternOptions
from obsnet.cf import read_netcdf
from obsnet.conventions import find_axis
from obsnet.errors import ConfigError, FormatError, RangeError, nearest
from obsnet.places import extent_text, place_text
from obsnet.reading import door, refuse_claim
from obsnet.typing import Bools, Floats, Times

__all__ = ["Field", "field_at", "pattern_error", "read_field"]


@dataclass(frozen=True, eq=False)
class Field:
    """A field on a grid of longitude and latitude.

    Parameters
    ----------
    lat, lon : ndarray
        Middles, ascending; longitudes from -180 to 180.
    time : ndarray of datetime64[us] or None
        Ascending, two or more; None for a field that is the same at all times.
    values : ndarray, shape (times, lat, lon)
        NaN where missing.
    """

    lat: Floats
    lon: Floats
    time: Times | None
    values: Floats

    def __post_init__(self) -> None:
        axes = {"lat": self.lat, "lon": self.lon} | ({} if self.time is None else {"time": self.time})
        for name, axis in axes.items():
            if not (np.diff(axis).astype(np.float64) > 0.0).all():
                raise FormatError(f"the {name} of a field must be in order and none twice")
        if min(self.lat.size, self.lon.size) < 2:
            raise FormatError(f"a field needs two rows and columns or more, found {self.values.shape[-2:]}")


@door("a field")
def read_field(path: Path, variable: str | None = None) -> Field:
    """Read a field from netCDF or GeoTIFF.

    Parameters
    ----------
    path : Path
        ``.tif`` and ``.tiff`` are GeoTIFF in degrees, all else netCDF with latitude, longitude and perhaps time.
    variable : str, optional
        Of a netCDF file, or the number of the band, where there are several.

    Raises
    ------
    FormatError
        No such variable, several and none named, other dimensions.
    """
    return (_geotiff if path.suffix.lower() in {".tif", ".tiff"} else _netcdf)(path, variable)


def _netcdf(path: Path, variable: str | None) -> Field:
    data = read_netcdf(path)
    lat, lon, when = (find_axis(data, axis, str(path)) for axis in ("lat", "lon", "time"))
    fields = [str(k) for k, v in data.data_vars.items() if {lat, lon} <= set(v.dims) <= {lat, lon, when}]
    field = data[_one_of(path, "variable", variable, fields)]
    time = None
    if when in field.dims and field.sizes[when] > 1:
        time = np.asarray(field[when].values).astype("datetime64[us]")
    values = field.transpose(*(d for d in (when, lat, lon) if d in field.dims)).values.astype(np.float64)
    return _ordered(data[lat].values, data[lon].values, time, values.reshape(-1, *values.shape[-2:]))


def _geotiff(path: Path, variable: str | None) -> Field:
    import rasterio

    with rasterio.open(path, driver="GTiff") as source:  # other drivers would follow what a file names
        if source.crs is None or not source.crs.is_geographic:
            raise FormatError(
                f"{path}: its coordinates are not degrees but {source.crs}; warp it to EPSG:4326"
            )
        t = source.transform
        if t.b or t.d:
            raise FormatError(f"{path}: it is rotated; warp it to a grid of longitude and latitude")
        refuse_claim(path, "each band", 8 * source.width * source.height)
        band = int(_one_of(path, "band", variable, [str(i) for i in source.indexes]))
        values = source.read(band, masked=True).astype(np.float64).filled(np.nan)
        lon = t.c + t.a * (np.arange(source.width) + 0.5)
        lat = t.f + t.e * (np.arange(source.height) + 0.5)
    return _ordered(lat, lon, None, values[None])


def _one_of(path: Path, what: str, asked: str | None, there: list[str]) -> str:
    if asked is None and len(there) == 1:
        return there[0]
    if asked in there:
        return str(asked)
    if asked is None:
        raise FormatError(f"{path}: name a {what}: {', '.join(there) or 'there is none'}")
    raise FormatError(f"{path}: no {what} {asked!r}{nearest(asked, there)}")


def _ordered(lat: Any, lon: Any, time: Times | None, values: Floats) -> Field:
    """Return the field with axes that ascend, longitudes from -180 to 180; infinite values are missing."""
    lat, lon = (np.asarray(a, dtype=np.float64) for a in (lat, lon))
    lon = np.mod(lon + 180.0, 360.0) - 180.0
    rows, columns = np.argsort(lat), np.argsort(lon)
    values = np.where(np.isfinite(values), values, np.nan)[:, rows][:, :, columns]
    if time is not None:
        values, time = values[np.argsort(time)], np.sort(time)
    return Field(lat[rows], lon[columns], time, values)


def field_at(field: Field, lat: Floats, lon: Floats, time: Times) -> Floats:
    """Interpolate a field linearly; NaN where it has no value, or lies elsewhere or in another time.

    Parameters
    ----------
    field : Field
    lat, lon : ndarray, shape (n,)
        Degrees.
    time : ndarray of datetime64, shape (n,)
        UTC.

    Notes
    -----
    Beyond the outermost middles of cells, and before the first time or after the last, a value holds for half a step.
    """
    y, x = _weights(field.lat, lat), _weights(field.lon, np.mod(lon + 180.0, 360.0) - 180.0)
    t = (np.zeros((2, lat.size), np.int64), np.array([1.0, 0.0])[:, None] * np.ones(lat.size))
    if field.time is not None:
        base = field.time[0]
        hours = [(a.astype("datetime64[us]") - base).astype(np.int64) / 3.6e9 for a in (field.time, time)]
        t = _weights(*hours)
    total, weight = np.zeros(lat.size), np.zeros(lat.size)
    for a in range(2):
        for b in range(2):
            for c in range(2):
                value = field.values[t[0][a], y[0][b], x[0][c]]
                w = t[1][a] * y[1][b] * x[1][c] * np.isfinite(value)
                total += w * np.nan_to_num(value)
                weight += w
    return np.where(weight > 0.0, total / np.where(weight > 0.0, weight, 1.0), np.nan)


def _weights(axis: Floats, at: Floats) -> tuple[Any, Floats]:
    """Return the two neighbours on an axis and their weights, (2, n) each; weights are 0 where it does not reach."""
    first, last = 0.5 * (axis[1] - axis[0]), 0.5 * (axis[-1] - axis[-2])
    inside = (at >= axis[0] - first) & (at <= axis[-1] + last)
    low = np.clip(np.searchsorted(axis, at, side="right") - 1, 0, axis.size - 2)
    share = np.clip((at - axis[low]) / (axis[low + 1] - axis[low]), 0.0, 1.0)
    return np.stack([low, low + 1]), np.stack([1.0 - share, share]) * inside


def pattern_error(options: PatternOptions, table: Any, rows: Bools, folder: Path) -> Floats:
    """Return the error that follows a field, in the unit of the observations, shape (n_obs,); 0 elsewhere.

    Parameters
    ----------
    options : PatternOptions
        File, and size or slope.
    table : pyarrow.Table
        Observations: ``latitude, longitude, time``.
    rows : ndarray of bool
        Which of them have it.
    folder : Path
        What the file is relative to.

    Raises
    ------
    RangeError
        The field has no value at some of these observations.
    ConfigError
        It is the same at all of them, so that it has no pattern of the size that is asked for.
    """
    error = np.zeros(len(table))
    if not rows.any():
        return error
    field = read_field(folder / options.file, options.variable)
    lat, lon, time = (table[n].to_numpy()[rows] for n in ("latitude", "longitude", "time"))
    values = field_at(field, lat, lon, time)
    lost = ~np.isfinite(values)
    if lost.any():
        at = int(np.argmax(lost))
        raise RangeError(
            f"{options.file} has no value at {int(lost.sum())} of {lost.size} observations, first at "
            f"{place_text(lat[at], lon[at], '.2f')} on {str(time[at])[:10]}; it reaches from "
            f"{' and '.join(extent_text(field.lat[0], field.lat[-1], field.lon[0], field.lon[-1]))}"
            + ("" if field.time is None else f", {str(field.time[0])[:10]} to {str(field.time[-1])[:10]}")
        )
    if options.per_unit is not None:
        error[rows] = options.per_unit * (values - options.reference)
        return error
    spread = float(values.std())
    if not spread > 1e-9 * max(float(np.abs(values).max()), 1e-300):
        raise ConfigError(
            f"{options.file} is the same at all {values.size} observations: it has no pattern; give a constant as "
            "[osse.bias], or per_unit"
        )
    error[rows] = float(options.size or 0.0) * (values - values.mean()) / spread
    return error
