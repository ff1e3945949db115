"""Latitude-longitude grids: the edges are the grid, all else follows from them.

Edges are kept on a lattice of 1e-9 degree (0.1 mm), so that grids made in different ways, or read back
from text, compare equal. Areas are those of the WGS84 ellipsoid.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from fractions import Fraction
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt

from obsnet.errors import GridError
from obsnet.typing import Floats, Ints

__all__ = ["WGS84_AREA", "Grid", "axis_cell", "centre_order", "strip_area"]

WGS84_A = 6378137.0  # m, semi-major axis; NIMA TR8350.2
WGS84_F = 1.0 / 298.257223563  # flattening; NIMA TR8350.2
WGS84_E = float(np.sqrt(WGS84_F * (2.0 - WGS84_F)))  # first eccentricity
_DECIMALS = 9
_FLOAT32_DEGREES = 2e-5  # a float32 longitude near 180 is known to no better than this


def strip_area(lat: npt.ArrayLike) -> Floats:
    """Return the signed area between the equator and a parallel, per radian of longitude.

    Parameters
    ----------
    lat : array_like
        Geodetic latitude, degrees north.

    Returns
    -------
    ndarray of float64
        m2 rad-1, the shape of `lat`; odd in latitude.

    Notes
    -----
    Snyder (1987), USGS Professional Paper 1395, eq. 3-12: with s = sin(lat),
    ``a^2 (1 - e^2) / 2 * [s / (1 - e^2 s^2) + atanh(e s) / e]``.
    """
    s = np.sin(np.deg2rad(np.asarray(lat, dtype=np.float64)))
    half = 0.5 * WGS84_A**2 * (1.0 - WGS84_E**2)
    return np.asarray(half * (s / (1.0 - (WGS84_E * s) ** 2) + np.arctanh(WGS84_E * s) / WGS84_E))


WGS84_AREA = float(4.0 * np.pi * strip_area(90.0))  # m2, the whole ellipsoid


def axis_cell(x: float, edges: Floats) -> int:
    """Return the cell of one coordinate, -1 outside or for NaN; plain scalars, so `numba.njit` takes it.

    Parameters
    ----------
    x : float
        Coordinate, in the convention of `edges`.
    edges : ndarray of float64, shape (n + 1,)
        Strictly increasing. Even spacing makes this one comparison; uneven spacing costs a bisection.

    Returns
    -------
    int
        i with ``edges[i] <= x < edges[i + 1]``.
    """
    n = edges.shape[0] - 1
    if not (edges[0] <= x < edges[n]):
        return -1
    i = min(int((x - edges[0]) / (edges[n] - edges[0]) * n), n - 1)
    # Division rounds: the guess may be one cell off at an edge, and far off on an uneven axis.
    low = i if edges[i] <= x else 0
    high = i + 1 if x < edges[i + 1] else n
    while high - low > 1:
        middle = (low + high) // 2
        if edges[middle] <= x:
            low = middle
        else:
            high = middle
    return low


@dataclass(frozen=True, eq=False, repr=False)
class Grid:
    """A latitude-longitude grid given by its cell edges.

    Parameters
    ----------
    lat_edges : array_like, shape (nlat + 1,)
        Degrees north, strictly increasing, within [-90, 90].
    lon_edges : array_like, shape (nlon + 1,)
        Degrees east, strictly increasing, spanning at most 360. Shifted by whole turns so that the first
        edge lies in [-180, 180); a grid across the dateline runs past 180.

    Raises
    ------
    GridError
        Edges that are not such.

    Notes
    -----
    Fields on a grid are arrays ``(..., lat, lon)``, south to north and west to east; the flat cell index is
    ``row * nlon + column``.

    Examples
    --------
    >>> grid = Grid.regular(20, 40, 100, 120, 1.0, 1.0)
    >>> grid.shape, int(grid.index(30.2, 110.7))
    ((20, 20), 210)
    """

    lat_edges: Floats
    lon_edges: Floats

    def __post_init__(self) -> None:
        lat, lon = (_edges(getattr(self, f"{name}_edges"), name) for name in ("lat", "lon"))
        if lat[0] < -90.0 or lat[-1] > 90.0:
            raise GridError(f"lat_edges must lie within -90 and 90, found {lat[0]:g} to {lat[-1]:g}")
        if lon[-1] - lon[0] > 360.0 + 1e-9:
            raise GridError(
                f"lon_edges must span at most 360 degrees, found {lon[0]:g} to {lon[-1]:g}; "
                "a cyclic last column must be dropped"
            )
        lon = np.round(lon - 360.0 * np.floor((lon[0] + 180.0) / 360.0), _DECIMALS)
        for name, edges in (("lat_edges", lat), ("lon_edges", lon)):
            edges.flags.writeable = False
            object.__setattr__(self, name, edges)

    @classmethod
    def regular(cls, south: float, north: float, west: float, east: float, dlat: float, dlon: float) -> Grid:
        """Make a grid of equal cells.

        Parameters
        ----------
        south, north, west, east : float
            Outer edges in degrees; ``west > east`` means across the dateline. The globe is -180 to 180.
        dlat, dlon : float
            Cell size in degrees; each span must be a whole number of cells.

        Raises
        ------
        GridError
            A span that is empty or not a whole number of cells.
        """
        if west > east:
            east += 360.0
        return cls(
            _even_edges(south, north, dlat, "latitude", "south, north, dlat"),
            _even_edges(west, east, dlon, "longitude", "west, east, dlon"),
        )

    @classmethod
    def from_centres(
        cls,
        lat: npt.ArrayLike,
        lon: npt.ArrayLike,
        *,
        lat_bounds: npt.ArrayLike | None = None,
        lon_bounds: npt.ArrayLike | None = None,
        tolerance: float = 1e-3,
    ) -> Grid:
        """Make a grid from the cell centres of a file.

        Parameters
        ----------
        lat, lon : array_like, shape (nlat,), (nlon,)
            Centres in degrees, in the file's order: latitude may descend, longitude may run 0 to 360 or wrap.
            The grid is in our order; `centre_order` says how to reorder the data.
        lat_bounds, lon_bounds : array_like, shape (n, 2), optional
            Cell bounds in the file's order, for uneven axes and axes of one cell.
        tolerance : float
            Largest unevenness of the spacing, as a fraction of a cell.

        Raises
        ------
        GridError
            Centres unevenly spaced and no bounds given, bounds with gaps or overlaps, a repeated longitude.

        Notes
        -----
        Edges within float32 rounding (2e-5 degree) of a simple step and origin are put there, because most
        files keep float32 centres. Centres on the poles make half cells there.
        """
        lat, lon = _axis(lat, "latitude"), _axis(lon, "longitude")
        if np.abs(lat).max() > 90.0 + 1e-6:
            raise GridError(f"latitude must lie within -90 and 90, found {lat.min():g} to {lat.max():g}")
        lat_order, lon_order = centre_order(lat, lon, lon_bounds=lon_bounds)
        if lat_bounds is None:
            lat_edges = np.clip(_edges_of_centres(lat[lat_order], "latitude", tolerance), -90.0, 90.0)
        else:
            pairs = np.sort(_pairs(lat_bounds, lat, "latitude"), axis=1)[lat_order]
            lat_edges = _edges_of_bounds(pairs, "latitude")
        if lon_bounds is None:
            lon_edges = _edges_of_centres(_unwrap(lon[lon_order]), "longitude", tolerance)
        else:
            west, width = _west_and_width(_pairs(lon_bounds, lon, "longitude")[lon_order])
            west = _unwrap(west)
            lon_edges = _edges_of_bounds(np.stack([west, west + width], axis=1), "longitude")
        return cls(lat_edges, lon_edges)

    @classmethod
    def from_dict(cls, data: dict[str, Any]) -> Grid:
        """Make the grid that `to_dict` described."""
        try:
            return cls(*(_axis_edges(data[name]) for name in ("lat", "lon")))
        except (KeyError, TypeError) as error:
            raise GridError(f"expected a grid as Grid.to_dict writes it, found {data!r}") from error

    def to_dict(self) -> dict[str, Any]:
        """Return plain numbers for metadata: ends and count of an even axis, else all its edges."""
        return {"lat": _axis_dict(self.lat_edges), "lon": _axis_dict(self.lon_edges)}

    @property
    def shape(self) -> tuple[int, int]:
        """(nlat, nlon)."""
        return self.lat_edges.size - 1, self.lon_edges.size - 1

    @property
    def size(self) -> int:
        """Count of cells."""
        return self.shape[0] * self.shape[1]

    @property
    def lat(self) -> Floats:
        """Centres, degrees north, shape (nlat,)."""
        return np.asarray(np.round(0.5 * (self.lat_edges[1:] + self.lat_edges[:-1]), _DECIMALS + 1))

    @property
    def lon(self) -> Floats:
        """Centres, degrees east, shape (nlon,); increasing, so past 180 on a grid across the dateline."""
        return np.asarray(np.round(0.5 * (self.lon_edges[1:] + self.lon_edges[:-1]), _DECIMALS + 1))

    @property
    def bounds(self) -> tuple[float, float, float, float]:
        """(south, north, west, east) in degrees within -180 and 180; west > east across the dateline."""
        south, north = float(self.lat_edges[0]), float(self.lat_edges[-1])
        west, east = float(self.lon_edges[0]), float(self.lon_edges[-1])
        if self.periodic:
            return south, north, -180.0, 180.0
        return south, north, west, east if east <= 180.0 else round(east - 360.0, _DECIMALS)

    @property
    def periodic(self) -> bool:
        """Whether the grid goes all the way round."""
        return bool(self.lon_edges[-1] - self.lon_edges[0] >= 360.0 - 1e-9)

    @cached_property
    def cell_area(self) -> Floats:
        """Area of each cell on WGS84, m2, shape (nlat, nlon)."""
        area = np.outer(np.diff(strip_area(self.lat_edges)), np.deg2rad(np.diff(self.lon_edges)))
        area.flags.writeable = False
        return area

    @cached_property
    def hash_id(self) -> str:
        """Sixteen hex digits that are the same wherever the edges are the same."""
        digest = hashlib.sha256()
        for edges in (self.lat_edges, self.lon_edges):
            digest.update(np.rint(edges * 10**_DECIMALS).astype("<i8").tobytes() + b"|")
        return digest.hexdigest()[:16]

    def index(self, lat: npt.ArrayLike, lon: npt.ArrayLike) -> Ints:
        """Return the flat cell index of points.

        Parameters
        ----------
        lat, lon : array_like
            Degrees; any longitude convention; broadcast together; compared in float64.

        Returns
        -------
        ndarray of int64
            ``row * nlon + column``; -1 outside the grid and for NaN. A cell owns its southern and western
            edges; latitude 90 belongs to the last row. Longitudes shifted by a turn are rounded to 1e-9
            degree, so that 286.9 and -73.1 are one place.
        """
        y = np.asarray(lat, dtype=np.float64)
        x = self.wrap(lon)
        row = _cells(y, self.lat_edges)
        if self.lat_edges[-1] == 90.0:
            row = np.where(y == 90.0, self.shape[0] - 1, row)
        column = _cells(x, self.lon_edges)
        return np.where((row < 0) | (column < 0), -1, row * self.shape[1] + column).astype(np.int64)

    def wrap(self, lon: npt.ArrayLike) -> Floats:
        """Shift longitudes by whole turns into ``[first edge, first edge + 360)``."""
        x = np.asarray(lon, dtype=np.float64)
        west = self.lon_edges[0]
        with np.errstate(invalid="ignore"):
            turns = np.floor((x - west) / 360.0)
            shifted = np.round(x - 360.0 * turns, _DECIMALS)
        shifted = np.where(shifted >= west + 360.0, west, shifted)
        return np.where(turns == 0.0, x, shifted)

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Grid):
            return NotImplemented
        same_lat = np.array_equal(self.lat_edges, other.lat_edges)
        return same_lat and np.array_equal(self.lon_edges, other.lon_edges)

    def __hash__(self) -> int:
        return hash(self.hash_id)

    def nearly(self, other: Grid) -> bool:
        """Say whether two grids differ by no more than float32 coordinates do (and by no more than 1 % of a cell).

        Examples
        --------
        >>> one = Grid.regular(20, 40, 100, 120, 1.0, 1.0)
        >>> [one.nearly(Grid(one.lat_edges + by, one.lon_edges)) for by in (1.5e-6, 1e-3)]
        [True, False]
        """
        return self.shape == other.shape and all(
            bool((np.abs(a - b) <= min(_FLOAT32_DEGREES, 0.01 * np.diff(a).min())).all())
            for a, b in ((self.lat_edges, other.lat_edges), (self.lon_edges, other.lon_edges))
        )

    def __reduce__(self) -> tuple[Any, ...]:
        return Grid, (self.lat_edges, self.lon_edges)

    def __repr__(self) -> str:
        (lat, lon), (nlat, nlon) = (self.lat_edges, self.lon_edges), self.shape
        return f"Grid(lat {lat[0]:g} to {lat[-1]:g} in {nlat}, lon {lon[0]:g} to {lon[-1]:g} in {nlon})"


def centre_order(
    lat: npt.ArrayLike, lon: npt.ArrayLike, *, lon_bounds: npt.ArrayLike | None = None
) -> tuple[Ints, Ints]:
    """Return the positions that put a file's rows and columns into grid order.

    Parameters
    ----------
    lat, lon : array_like, shape (nlat,), (nlon,)
        Centres in the file's order, degrees.
    lon_bounds : array_like, shape (nlon, 2), optional
        Longitude bounds in the file's order, needed only where the spacing is uneven.

    Returns
    -------
    lat_order, lon_order : ndarray of int64
        ``field[..., lat_order, :][..., lon_order]`` is on ``Grid.from_centres(lat, lon)``: south to north,
        west to east from the widest gap; an axis that goes round starts at the first edge from -180.
    """
    lat, lon = _axis(lat, "latitude"), _axis(lon, "longitude")
    if lon_bounds is None:
        west, width = lon, np.zeros_like(lon)
    else:
        west, width = _west_and_width(_pairs(lon_bounds, lon, "longitude"))
    # Near-equal longitudes of both conventions must not part at -180: count in float32 steps from there.
    turned = np.mod(west + 180.0, 360.0)
    turned = np.where(turned > 360.0 - _FLOAT32_DEGREES, 0.0, turned)
    order = np.argsort(turned, kind="stable")
    west, width = turned[order], width[order]
    gaps = np.append(west[1:], west[0] + 360.0) - (west + width)
    step = np.sort(gaps)[(lon.size - 1) // 2]  # the lower median: two cells have one step and one gap
    if lon.size > 1 and lon_bounds is None and gaps.min() < 0.5 * step:
        at = int(np.argmin(gaps))
        one, two = lon[order[at]], lon[order[(at + 1) % lon.size]]
        raise GridError(
            f"longitudes {one:g} and {two:g} are {gaps[at]:.4g} degrees apart where others are {step:.4g}: "
            "drop the cyclic column, or give the cell bounds"
        )
    if gaps.max() - step > max(1e-3 * step, 2.0 * _FLOAT32_DEGREES):
        start = int(np.argmax(gaps)) + 1
    elif lon_bounds is None:
        edge = np.mod(west - 180.0 / lon.size, 360.0)
        start = int(np.argmin(np.where(edge > 360.0 - _FLOAT32_DEGREES, 0.0, edge)))
    else:
        start = 0
    return np.argsort(lat, kind="stable").astype(np.int64), np.roll(order, -start).astype(np.int64)


def _cells(x: Floats, edges: Floats) -> Ints:
    """Return `axis_cell` of each value of an array."""
    cell = np.searchsorted(edges, x, side="right") - 1
    with np.errstate(invalid="ignore"):
        return np.where((x >= edges[0]) & (x < edges[-1]), cell, -1).astype(np.int64)


def _axis(values: npt.ArrayLike, name: str) -> Floats:
    out = np.asarray(values, dtype=np.float64)
    if out.ndim != 1 or out.size == 0 or not np.isfinite(out).all():
        raise GridError(f"{name} must be a list of finite numbers, found shape {out.shape}")
    return out


def _edges(values: npt.ArrayLike, name: str) -> Floats:
    edges = np.round(_axis(values, f"{name}_edges"), _DECIMALS)
    if edges.size < 2:
        raise GridError(f"{name}_edges needs at least two edges, found {edges.size}")
    steps = np.diff(edges)
    if steps.min() <= 0.0:
        at = int(np.argmin(steps))
        raise GridError(f"{name}_edges must increase, found {edges[at]:g} then {edges[at + 1]:g}")
    return edges


def _even_edges(first: float, last: float, step: float, name: str, asked: str) -> Floats:
    span = last - first
    if not (step > 0.0 and span > 0.0):
        raise GridError(f"{name}: {asked} = {first:g}, {last:g}, {step:g} make no cells")
    n = round(span / step)
    if n == 0 or abs(span / step - n) > 1e-3:
        raise GridError(
            f"{name}: {first:g} to {last:g} is {span / step:.4g} cells of {step:g}, not a whole number; "
            f"nearest: {last:g} -> {first + max(n, 1) * step:g}"
        )
    return np.linspace(first, last, n + 1)


def _unwrap(lon: Floats) -> Floats:
    """Make longitudes increase from the first by adding turns."""
    return np.asarray(lon[0] + np.mod(lon - lon[0] + _FLOAT32_DEGREES, 360.0) - _FLOAT32_DEGREES)


def _edges_of_centres(centres: Floats, name: str, tolerance: float) -> Floats:
    n = centres.size
    if n < 2:
        raise GridError(f"{name} has one centre ({centres[0]:g}); give its bounds")
    step = (centres[-1] - centres[0]) / (n - 1)
    even = centres[0] + step * np.arange(n)
    worst = int(np.argmax(np.abs(centres - even)))
    if not step > 0.0 or abs(centres[worst] - even[worst]) > max(
        tolerance * step, min(_FLOAT32_DEGREES, 0.05 * step)
    ):
        raise GridError(
            f"{name} is unevenly spaced: {centres[worst]:g} where steps of {step:.6g} would give "
            f"{even[worst]:g}; give the cell bounds"
        )
    near = min(_FLOAT32_DEGREES, 0.01 * step)
    simple = float(Fraction(step).limit_denominator(2400))
    if abs(simple - step) * (n - 1) <= 2.0 * near:
        step = simple
    first = centres[0] - 0.5 * step
    aligned = round(first / (0.5 * step)) * 0.5 * step
    if abs(aligned - first) <= near:
        first = aligned
    return np.asarray(first + step * np.arange(n + 1))


def _pairs(bounds: npt.ArrayLike, centres: Floats, name: str) -> Floats:
    pairs = np.asarray(bounds, dtype=np.float64)
    if pairs.shape != (centres.size, 2) or not np.isfinite(pairs).all():
        raise GridError(
            f"{name} bounds must be finite, of shape {(centres.size, 2)}, found shape {pairs.shape}"
        )
    return pairs


def _west_and_width(pairs: Floats) -> tuple[Floats, Floats]:
    """Return west edge and width of longitude bounds, which may run westward or wrap."""
    step = pairs[:, 1] - pairs[:, 0]
    westward = (step < 0.0) & (step >= -180.0)
    west = np.where(westward, pairs[:, 1], pairs[:, 0])
    return west, np.where(step > 0.0, step, np.where(westward, -step, step + 360.0))


def _edges_of_bounds(pairs: Floats, name: str) -> Floats:
    apart = np.abs(pairs[1:, 0] - pairs[:-1, 1])
    if apart.size and apart.max() > 2.0 * _FLOAT32_DEGREES:
        at = int(np.argmax(apart))
        raise GridError(f"{name} bounds do not touch: {pairs[at, 1]:g} then {pairs[at + 1, 0]:g}")
    return np.append(pairs[:, 0], pairs[-1, 1])


def _axis_dict(edges: Floats) -> dict[str, Any]:
    even = {"first": float(edges[0]), "last": float(edges[-1]), "n": edges.size - 1}
    return even if np.array_equal(_axis_edges(even), edges) else {"edges": edges.tolist()}


def _axis_edges(axis: dict[str, Any]) -> Floats:
    if "edges" in axis:
        return np.asarray(axis["edges"], dtype=np.float64)
    return np.asarray(np.round(np.linspace(axis["first"], axis["last"], axis["n"] + 1), _DECIMALS))
