"""From any horizontal grid to a regular latitude-longitude grid, winds turned to east and north."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from obsnet.errors import GridError
from obsnet.typing import Floats, Singles

__all__ = ["Horizontal", "Resampler"]

_SAME = 1e-2  # of a cell, by which two files' axes may differ
_EVEN = 2e-3  # unevenness of an axis, as a fraction of its step, that still counts as even


@dataclass(frozen=True)
class Horizontal:
    """The grid a file is on.

    Parameters
    ----------
    y, x : ndarray of float64, shape (ny,), (nx,)
        Axes in the file's order: degrees where `crs` is None, else in `crs`'s unit (metres).
    crs : object, optional
        A `pyproj.CRS`; None for latitude and longitude.
    grid_winds : bool
        Wind components are along x and y of the projection, not east and north.
    """

    y: Floats
    x: Floats
    crs: Any = None
    grid_winds: bool = False

    def same_as(self, other: Horizontal) -> bool:
        """Tell whether two files are on one grid, to a hundredth of a cell: axes are kept in float32 by some."""
        if self.y.shape != other.y.shape or self.x.shape != other.x.shape:
            return False
        steps = [float(np.abs(np.diff(a)).min()) if a.size > 1 else 1.0 for a in (self.y, self.x)]
        return bool(
            np.abs(self.y - other.y).max() <= _SAME * steps[0]
            and np.abs(self.x - other.x).max() <= _SAME * steps[1]
        )


class Resampler:
    """Takes fields from a file's grid to a regular latitude-longitude grid.

    Parameters
    ----------
    source : Horizontal
        The file's grid.
    bounds : (south, north, west, east), optional
        Part to keep, degrees; one node beyond is kept where there is one.
    keep : (rows, columns), optional
        Slices of the file's grid without the edge rows that hold no data.

    Attributes
    ----------
    lat, lon : ndarray of float64
        Even axes, south to north and west to east; longitudes increase and may run past 180.
    rotation : tuple of ndarray or None
        Cosine and sine of the angle from grid x to east at the target nodes.
    """

    def __init__(
        self,
        source: Horizontal,
        bounds: tuple[float, float, float, float] | None = None,
        keep: tuple[slice, slice] = (slice(None), slice(None)),
    ) -> None:
        self.source, self.keep = source, keep
        y, x = source.y[keep[0]], source.x[keep[1]]
        if y.size < 2 or x.size < 2:
            raise GridError(
                f"a meteorological grid needs two rows and columns at least, found {y.size} x {x.size}"
            )
        self.rotation: tuple[Floats, Floats] | None = None
        self._rows = np.argsort(y)
        y = y[self._rows]
        if source.crs is None:
            x = _increasing(x)
            self._columns = np.argsort(x)
            x = x[self._columns]
            lat, lon = _even(y), _even(x)
        else:
            self._columns = np.argsort(x)
            x = x[self._columns]
            lat, lon = _inscribed(source.crs, y, x)
        lat, lon = _crop(lat, lon, bounds)
        self.lat, self.lon = lat, lon
        if source.crs is None:
            fy = np.broadcast_to(np.interp(lat, y, np.arange(y.size))[:, None], (lat.size, lon.size))
            fx = np.broadcast_to(np.interp(lon, x, np.arange(x.size))[None, :], (lat.size, lon.size))
        else:
            px, py = _to_grid(source.crs, lat, lon)
            fy = np.interp(py.ravel(), y, np.arange(y.size)).reshape(py.shape)
            fx = np.interp(px.ravel(), x, np.arange(x.size)).reshape(px.shape)
            if source.grid_winds:
                self.rotation = _angle(source.crs, lat, lon)
        # A node of the source stays exactly itself.
        fy, fx = (np.where(np.abs(f - np.round(f)) < 1e-3, np.round(f), f) for f in (fy, fx))
        self._j = np.minimum(fy.astype(np.int64), y.size - 2)
        self._i = np.minimum(fx.astype(np.int64), x.size - 2)
        self._fy, self._fx = fy - self._j, fx - self._i
        self._exact = bool((self._fy % 1.0 == 0.0).all() and (self._fx % 1.0 == 0.0).all())

    def __call__(self, field: npt.NDArray[Any]) -> Singles:
        """Return ``field(..., y, x)`` of the file's grid on ``(..., lat, lon)``, bilinear, float32."""
        part = field[..., self.keep[0], self.keep[1]][..., self._rows, :][..., self._columns]
        j, i, fy, fx = self._j, self._i, self._fy, self._fx
        if self._exact:
            return np.asarray(part[..., j + fy.astype(np.int64), i + fx.astype(np.int64)], dtype=np.float32)
        south = part[..., j, i] * (1 - fx) + part[..., j, i + 1] * fx
        north = part[..., j + 1, i] * (1 - fx) + part[..., j + 1, i + 1] * fx
        return np.asarray(south * (1 - fy) + north * fy, dtype=np.float32)

    def wind(self, u: npt.NDArray[Any], v: npt.NDArray[Any]) -> tuple[Singles, ...]:
        """Return eastward and northward wind on the target grid."""
        u, v = self(u), self(v)
        if self.rotation is None:
            return u, v
        cos, sin = (r.astype(np.float32) for r in self.rotation)
        return u * cos - v * sin, u * sin + v * cos


def _increasing(lon: Floats) -> Floats:
    """Put longitudes into -180..180 unless that tears the axis apart; then let them run past 180."""
    step = float(np.median(np.abs(np.diff(lon))))
    for candidate in ((lon + 180.0) % 360.0 - 180.0, lon % 360.0):
        ordered = np.sort(candidate)
        if np.diff(ordered).max() < 2.5 * step:
            return candidate
    raise GridError(f"longitudes {lon.min():g} to {lon.max():g} have a gap; they make no connected domain")


def _even(axis: Floats) -> Floats:
    step = (axis[-1] - axis[0]) / (axis.size - 1)
    if step <= 0.0 or np.diff(axis).min() <= 0.0:
        raise GridError("an axis of the meteorological grid repeats a value")
    even = axis[0] + step * np.arange(axis.size)
    if np.abs(axis - even).max() > _EVEN * step:
        # Gaussian latitudes: as many even steps as fit inside.
        smallest = float(np.diff(axis).min())
        return np.linspace(axis[0], axis[-1], int(np.ceil((axis[-1] - axis[0]) / smallest)) + 1)
    return np.asarray(even)


def _crop(
    lat: Floats, lon: Floats, bounds: tuple[float, float, float, float] | None
) -> tuple[Floats, Floats]:
    if bounds is None:
        return lat, lon
    south, north, west, east = bounds
    east = east if east > west else east + 360.0
    turn = 360.0 * np.ceil((lon[0] - west - 1e-6) / 360.0) if west < lon[0] - 1e-6 else 0.0
    if turn and west + turn <= lon[-1]:
        west, east = west + turn, east + turn
    # Nodes are the middle of the air they describe: half a step beyond them is still theirs.
    dy, dx = (0.5 * (axis[1] - axis[0]) + 1e-6 for axis in (lat, lon))
    faults = [
        f"{name} {asked:g} is beyond {limit:g}"
        for name, asked, limit, beyond in (
            ("south", south, lat[0], lat[0] - dy - south),
            ("north", north, lat[-1], north - lat[-1] - dy),
            ("west", west, lon[0], lon[0] - dx - west),
            ("east", east, lon[-1], east - lon[-1] - dx),
        )
        if beyond > 0.0
    ]
    if faults:
        raise GridError(f"the meteorological domain is too small: {', '.join(faults)}")
    rows = np.flatnonzero((lat > south - (lat[1] - lat[0]) - 1e-9) & (lat < north + (lat[1] - lat[0]) + 1e-9))
    columns = np.flatnonzero(
        (lon > west - (lon[1] - lon[0]) - 1e-9) & (lon < east + (lon[1] - lon[0]) + 1e-9)
    )
    return lat[rows[0] : rows[-1] + 1], lon[columns[0] : columns[-1] + 1]


def _to_grid(crs: Any, lat: Floats, lon: Floats) -> tuple[Floats, Floats]:
    from pyproj import Transformer

    transform = Transformer.from_crs(crs.geodetic_crs or "EPSG:4326", crs, always_xy=True)
    mesh = np.meshgrid(lon, lat)
    return transform.transform(*mesh)


def _inscribed(crs: Any, y: Floats, x: Floats) -> tuple[Floats, Floats]:
    """Return even latitudes and longitudes of the rectangle that fits inside a projected domain."""
    from pyproj import Transformer

    transform = Transformer.from_crs(crs, crs.geodetic_crs or "EPSG:4326", always_xy=True)
    west = transform.transform(np.full(y.size, x[0]), y)
    east = transform.transform(np.full(y.size, x[-1]), y)
    south = transform.transform(x, np.full(x.size, y[0]))
    north = transform.transform(x, np.full(x.size, y[-1]))
    first, last = float(np.max(south[1])), float(np.min(north[1]))
    left, right = float(np.max(west[0])), float(np.min(east[0]))
    if not (last > first and right > left):
        raise GridError("no latitude-longitude rectangle fits inside the projected meteorological domain")
    # The true distance between nodes, so that the resampling neither wastes nor blurs.
    middle = transform.transform([x[0], x[-1]], [y[y.size // 2]] * 2)
    dlat = (float(np.mean(north[1])) - float(np.mean(south[1]))) / (y.size - 1)
    dlon = (middle[0][1] - middle[0][0]) / (x.size - 1)
    nlat, nlon = (
        int(np.floor(span / step)) + 1 for span, step in ((last - first, dlat), (right - left, dlon))
    )
    if nlat < 2 or nlon < 2:
        raise GridError(
            "the projected meteorological domain is smaller than two cells of latitude and longitude"
        )
    return np.linspace(first, last, max(nlat, 2)), np.linspace(left, right, max(nlon, 2))


def _angle(crs: Any, lat: Floats, lon: Floats) -> tuple[Floats, Floats]:
    """Return cosine and sine of the angle from grid x to east: u_east = u cos - v sin."""
    small = 1e-3
    east_x, east_y = _to_grid(crs, lat, lon + small)
    west_x, west_y = _to_grid(crs, lat, lon - small)
    # East in grid coordinates is (cos, -sin) turned back.
    angle = np.arctan2(east_y - west_y, east_x - west_x)
    return np.cos(angle), -np.sin(angle)
