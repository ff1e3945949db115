"""The part of each grid cell that lies in a polygon, exact on the ellipsoid in float64.

Edges of polygons are straight in longitude and latitude, as map files mean them. An edge that climbs
through a row covers what lies east of it in that row; an edge that descends uncovers it again (Green's
theorem, cell by cell). No point is ever asked on which side it lies, so an edge through a corner is no
special case, and two neighbours get exactly opposite amounts from the border they share.
"""

from __future__ import annotations

import math
from typing import Any

import numba
import numpy as np
import numpy.typing as npt
import scipy.sparse as sp

from obsnet.grid import WGS84_E, Grid, strip_area
from obsnet.typing import Floats, Ints

__all__ = ["around", "coverage", "polygon_area"]

_ROUNDING = 1e-10  # fractions nearer to 0 or 1 than this are 0 or 1
# Nodes and weights of 5-point Gauss-Legendre quadrature: a tuple, which numba unrolls.
_GAUSS = tuple((float(x), float(w)) for x, w in zip(*np.polynomial.legendre.leggauss(5), strict=True))


def coverage(polygons: npt.NDArray[Any], grid: Grid) -> sp.csr_array:
    """Return the fraction of each cell's area that lies in each polygon.

    Parameters
    ----------
    polygons : ndarray of shapely Polygon or MultiPolygon
        Valid, in degrees, any longitude convention.
    grid : Grid
        Any: uneven, across the dateline.

    Returns
    -------
    scipy.sparse.csr_array, shape (polygons, cells)
        Between 0 and 1, cells flat in the order of `Grid.index`; error below 1e-10 of a cell for cells of up
        to 10 degrees.
    """
    shapes, number = around(polygons, grid.lon_edges[0], grid.lon_edges[-1])
    edges, shape, sign = _directed_edges(shapes)
    order = np.argsort(number[shape], kind="stable")
    edges, sign = edges[order], sign[order]
    ends = np.searchsorted(number[shape][order], np.arange(len(polygons) + 1))
    rows, cells, values = [], [], []
    for i in range(len(polygons)):
        mine = slice(ends[i], ends[i + 1])
        lon, lat = edges[mine, ::2], edges[mine, 1::2]
        if lon.size == 0 or lat.max() <= grid.lat_edges[0] or lat.min() >= grid.lat_edges[-1]:
            continue
        (south, north), (west, east) = _window(lat, grid.lat_edges), _window(lon, grid.lon_edges)
        part = _accumulate(
            edges[mine], sign[mine], grid.lat_edges[south : north + 1], grid.lon_edges[west : east + 1]
        )
        row, column = np.nonzero(part)
        rows.append(np.full(row.size, i))
        cells.append((south + row) * grid.shape[1] + west + column)
        values.append(part[row, column])
    index = (np.concatenate([*rows, np.empty(0, np.int64)]), np.concatenate([*cells, np.empty(0, np.int64)]))
    return sp.csr_array((np.concatenate([*values, np.empty(0)]), index), shape=(len(polygons), grid.size))


def polygon_area(polygons: Any) -> Floats:
    """Return areas on WGS84 of polygons whose edges are straight in longitude and latitude.

    Parameters
    ----------
    polygons : sequence of shapely Polygon or MultiPolygon
        Degrees.

    Returns
    -------
    ndarray of float64
        m2. Green's theorem with `obsnet.grid.strip_area`, each edge by quadrature. (A geodesic polygon
        differs where edges are long.)
    """
    edges, owner, sign = _directed_edges(np.asarray(polygons, dtype=object))
    lon0, lat0, lon1, lat1 = edges.T
    middle, half = 0.5 * (lat0 + lat1), 0.5 * (lat1 - lat0)
    mean = sum(0.5 * w * strip_area(middle + x * half) for x, w in _GAUSS)
    return np.bincount(owner, sign * mean * np.deg2rad(lon1 - lon0), minlength=len(polygons)).astype(
        np.float64
    )


def around(polygons: npt.NDArray[Any], west: float, east: float) -> tuple[npt.NDArray[Any], Ints]:
    """Return polygons turned by whole turns to reach into a range of longitudes, and the number of each."""
    import shapely

    copies, number = [], []
    low, _, high, _ = shapely.bounds(polygons).T
    for turn in (-360.0, 0.0, 360.0):
        near = np.flatnonzero((low + turn < east) & (high + turn > west))
        shift = np.array([turn, 0.0])
        copies.append(shapely.transform(polygons[near], lambda c, shift=shift: c + shift))
        number.append(near)
    return np.concatenate(copies), np.concatenate(number)


def _directed_edges(polygons: npt.NDArray[Any]) -> tuple[Floats, Ints, Floats]:
    """Return edges (lon0, lat0, lon1, lat1), their polygons, and +1 where the inside lies to the right."""
    import shapely

    parts, of_part = shapely.get_parts(polygons, return_index=True)
    rings, of_ring = shapely.get_rings(parts, return_index=True)
    coords, ring = shapely.get_coordinates(rings, return_index=True)
    hole = np.diff(of_ring, prepend=-1) == 0  # the first ring of a part is its shell
    sign = np.where(shapely.is_ccw(rings) == hole, 1.0, -1.0)
    same = ring[1:] == ring[:-1]
    edges = np.concatenate([coords[:-1][same], coords[1:][same]], axis=1)
    return edges, of_part[of_ring[ring[1:][same]]], sign[ring[1:][same]]


def _window(values: Floats, edges: Floats) -> tuple[int, int]:
    """Return first and last edge number of the cells that a range of coordinates meets, at least one cell."""
    n = edges.size - 1
    first = min(max(int(np.searchsorted(edges, values.min(), side="right")) - 1, 0), n - 1)
    last = max(min(int(np.searchsorted(edges, values.max(), side="left")), n), first + 1)
    return first, last


@numba.njit(cache=True)
def _strip(lat: float) -> float:
    """Return `obsnet.grid.strip_area` without its constant factor."""
    s = math.sin(math.radians(lat))
    return s / (1.0 - (WGS84_E * s) ** 2) + math.atanh(WGS84_E * s) / WGS84_E


@numba.njit(cache=True)
def _density(lat: float) -> float:
    """Return the derivative of `_strip` by latitude, up to a factor."""
    phi = math.radians(lat)
    return math.cos(phi) / (1.0 - (WGS84_E * math.sin(phi)) ** 2) ** 2


@numba.njit(cache=True)
def _mean_east(x0: float, y0: float, x1: float, y1: float, east: float) -> float:
    """Return the mean distance from a segment to a meridian east of it, by area of strip."""
    total, weight = 0.0, 0.0
    for node, w in _GAUSS:
        t = 0.5 * (1.0 + node)
        d = w * _density(y0 + t * (y1 - y0))
        total += d * (east - (x0 + t * (x1 - x0)))
        weight += d
    return total / weight


@numba.njit(cache=True)
def _accumulate(edges: Floats, sign: Floats, lat_edges: Floats, lon_edges: Floats) -> Floats:
    """Return the fraction of each cell, (rows, columns), in one polygon given by its directed edges."""
    nrow, ncol = lat_edges.size - 1, lon_edges.size - 1
    # What a segment covers of its own cell goes there, the rest of its height to the next: a running sum
    # along the row then gives every cell east of it the whole height.
    step = np.zeros((nrow, ncol + 1))
    for k in range(edges.shape[0]):
        xa, ya, xb, yb = edges[k]
        s = sign[k]
        if ya > yb:
            xa, ya, xb, yb, s = xb, yb, xa, ya, -s
        row = max(np.searchsorted(lat_edges, ya, side="right") - 1, 0)
        while row < nrow and lat_edges[row] < yb:
            south, north = lat_edges[row], lat_edges[row + 1]
            y0, x0 = (ya, xa) if ya >= south else (south, xa + (south - ya) / (yb - ya) * (xb - xa))
            y1, x1 = (yb, xb) if yb <= north else (north, xa + (north - ya) / (yb - ya) * (xb - xa))
            if y1 > y0:
                _climb(step[row], s / (_strip(north) - _strip(south)), x0, y0, x1, y1, lon_edges)
            row += 1
    for r in range(nrow):
        running = 0.0
        for c in range(ncol):
            running += step[r, c]
            value = running
            if abs(value) < _ROUNDING:
                value = 0.0
            elif abs(value - 1.0) < _ROUNDING:
                value = 1.0
            step[r, c] = value
    return step[:, :ncol]


@numba.njit(cache=True)
def _climb(step: Floats, scale: float, xa: float, ya: float, xb: float, yb: float, lon_edges: Floats) -> None:
    """Add one segment that climbs within one row to the steps of that row."""
    ncol = lon_edges.size - 1
    if xa > xb:
        xa, ya, xb, yb = xb, yb, xa, ya
    column = np.searchsorted(lon_edges, xa, side="right") - 1  # -1: west of the window
    x0, y0 = xa, ya
    while column < ncol:
        last = xb <= lon_edges[column + 1]
        x1 = xb if last else lon_edges[column + 1]
        y1 = yb if last else ya + (x1 - xa) / (xb - xa) * (yb - ya)
        height = scale * abs(_strip(y1) - _strip(y0))
        if column < 0:
            step[0] += height
        else:
            west, east = lon_edges[column], lon_edges[column + 1]
            own = height * _mean_east(x0, y0, x1, y1, east) / (east - west)
            step[column] += own
            step[column + 1] += height - own
        if last:
            return
        x0, y0 = x1, y1
        column += 1
