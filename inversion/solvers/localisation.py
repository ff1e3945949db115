"""Localisation: geodesic Gaspari-Cohn weights between columns of the state and observations.

A *column* is a place: all time bins and components of one cell share it. Elements without a place (inflow at
a side, an instrument's offset) form one further column that sees every observation with full weight.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numba
import numpy as np
import numpy.typing as npt

from inversion.problem.state import State
from obsnet.errors import RangeError, SolverError
from obsnet.grid import Grid
from obsnet.sphere import EARTH_RADIUS_KM, unit_vectors
from obsnet.typing import Floats, Ints

__all__ = ["Localisation", "gaspari_cohn", "nearby", "state_columns"]


@numba.vectorize(cache=True)
def _taper(r: float) -> float:  # pragma: no cover - compiled
    if r <= 1.0:
        return 1.0 + r * r * (-5.0 / 3.0 + r * (5.0 / 8.0 + r * (0.5 - 0.25 * r)))
    if r >= 2.0:
        return 0.0
    s = max(r, 1.0)  # both branches are computed where a loop is vectorised
    far = 4.0 - 5.0 * s + s * s * (5.0 / 3.0 + s * (5.0 / 8.0 + s * (-0.5 + s / 12.0))) - 2.0 / (3.0 * s)
    return max(far, 0.0)


def gaspari_cohn(distance: npt.ArrayLike, radius: float) -> Floats:
    """Return weights that fall smoothly from 1 to 0.

    Parameters
    ----------
    distance : array_like
        Not negative, in the unit of `radius`.
    radius : float
        Where the weight becomes 0: twice the ``c`` of the source.

    Returns
    -------
    ndarray
        In [0, 1].

    Notes
    -----
    Gaspari & Cohn (1999), Q. J. R. Meteorol. Soc. 125, 723, eq. 4.10, doi:10.1002/qj.49712555417.

    Examples
    --------
    >>> gaspari_cohn([0.0, 500.0, 1000.0], 1000.0).round(3)
    array([1.   , 0.208, 0.   ])
    """
    return np.asarray(_taper(np.asarray(distance, dtype=np.float64) * (2.0 / radius)))


@numba.njit(cache=True)
def nearby(
    place: Floats, points: Floats, radius: float, limit: int
) -> tuple[Ints, Floats]:  # pragma: no cover - compiled
    """Return which points are near a place, in their order, and their weights.

    Parameters
    ----------
    place : ndarray, shape (3,)
        On the unit sphere; the zero vector for everywhere: all points with weight 1.
    points : ndarray, shape (n, 3)
        On the unit sphere, sorted by the third coordinate.
    radius : float
        Angle at which the weight is 0, radians; infinite for all points with weight 1.
    limit : int
        Most points, the nearest first; 0 for all.

    Returns
    -------
    index, weight : ndarray
    """
    n = points.shape[0]
    if place[0] == 0.0 and place[1] == 0.0 and place[2] == 0.0:
        return np.arange(n), np.ones(n)
    # a hair wider, so that rounding of the chord loses nobody; their weight is 0
    chord = 2.0 * np.sin(0.5 * min(radius, np.pi)) + 1e-12
    z = points[:, 2]
    low = np.searchsorted(z, place[2] - chord)
    high = np.searchsorted(z, place[2] + chord, side="right")
    index, weight, distance = np.empty(high - low, np.int64), np.empty(high - low), np.empty(high - low)
    count = 0
    for i in range(low, high):
        square = 0.0
        for axis in range(3):
            square += (points[i, axis] - place[axis]) ** 2
        if square > chord * chord:
            continue
        angle = 2.0 * np.arcsin(min(0.5 * np.sqrt(square), 1.0))
        taper = _taper(2.0 * angle / radius)
        if taper > 0.0:
            index[count], weight[count], distance[count] = i, taper, angle
            count += 1
    index, weight = index[:count], weight[:count]
    if 0 < limit < count:
        kept = np.sort(np.argsort(distance[:count], kind="mergesort")[:limit])
        return index[kept], weight[kept]
    return index, weight


@dataclass(frozen=True, eq=False)
class Localisation:
    """Which observations each column of the state may learn from, and how much.

    Parameters
    ----------
    column : array_like of int, shape (n_state,)
        Column of each state element, counted from 0; -1 for elements without a place.
    lat, lon : array_like, shape (columns,)
        Degrees.
    obs_lat, obs_lon : array_like, shape (n_obs,)
        Degrees.
    radius_km : float
        Great-circle distance at which an observation has no weight any more; infinite for no localisation.
    limit : int, optional
        Most observations a column takes: the nearest ones, of equal distance the first. Value, error and
        sensitivity of the same observations are used.

    Raises
    ------
    SolverError, RangeError
        Columns without a position, positions that are not finite, a radius that is not positive.
    """

    column: Any
    lat: Any
    lon: Any
    obs_lat: Any
    obs_lon: Any
    radius_km: float
    limit: int | None = None

    def __post_init__(self) -> None:
        object.__setattr__(self, "column", np.asarray(self.column, dtype=np.int64))
        for name in ("lat", "lon", "obs_lat", "obs_lon"):
            values = np.asarray(getattr(self, name), dtype=np.float64)
            if not np.isfinite(values).all():
                raise RangeError(
                    f"localisation: {name} has {np.count_nonzero(~np.isfinite(values))} values that are "
                    f"not finite, first at entry {int(np.argmax(~np.isfinite(values)))}"
                )
            object.__setattr__(self, name, values)
        if self.lat.shape != self.lon.shape or self.obs_lat.shape != self.obs_lon.shape:
            raise SolverError("localisation: latitudes and longitudes differ in number")
        if self.column.size and not (self.column.min() >= -1 and self.column.max() < self.lat.size):
            raise SolverError(
                f"localisation: state elements are of columns {self.column.min()} to {self.column.max()}, "
                f"positions are given for {self.lat.size}"
            )
        if not self.radius_km > 0.0:
            raise RangeError(f"the localisation radius is positive (km), found {self.radius_km:g}")
        if self.limit is not None and self.limit < 1:
            raise RangeError(f"a column needs at least one observation, limit = {self.limit}")

    @cached_property
    def order(self) -> Ints:
        """Observations from south to north, as `nearby` wants its points."""
        return np.argsort(self.points[:, 2], kind="stable")

    @cached_property
    def points(self) -> Floats:
        """Observations on the unit sphere, in their own order."""
        return unit_vectors(self.obs_lat, self.obs_lon)

    @cached_property
    def places(self) -> Floats:
        """Columns on the unit sphere; the last row, all zero, stands for elements without a place."""
        return np.vstack([unit_vectors(self.lat, self.lon), np.zeros((1, 3))])

    @property
    def angle(self) -> float:
        """The radius in radians."""
        return self.radius_km / EARTH_RADIUS_KM

    def neighbours(self, column: int) -> tuple[Ints, Floats]:
        """Return the observations of one column from south to north, and their weights.

        Parameters
        ----------
        column : int
            -1 for the one without a place.
        """
        index, weight = nearby(self.places[column], self.points[self.order], self.angle, self.limit or 0)
        return self.order[index], weight


def state_columns(state: State, grid: Grid) -> tuple[Ints, Floats, Floats]:
    """Return the column of each state element of gridded fluxes, and the columns' positions.

    Parameters
    ----------
    state : State
        Blocks with an axis ``cell`` lie on the grid; others have no place.
    grid : Grid
        Cells.

    Returns
    -------
    column (n_state,), lat (cells,), lon (cells,) : ndarray
        As `Localisation` takes them.
    """
    parts = []
    for block in state.blocks:
        if "cell" not in block.dims:
            parts.append(np.full(block.size, -1, dtype=np.int64))
            continue
        axis = block.dims.index("cell")
        shape = [1] * len(block.shape)
        shape[axis] = -1
        cells = np.asarray(block.coords["cell"], dtype=np.int64).reshape(shape)
        parts.append(np.broadcast_to(cells, block.shape).ravel())
    lat, lon = np.meshgrid(grid.lat, grid.lon, indexing="ij")
    return np.concatenate(parts), lat.ravel(), lon.ravel()
