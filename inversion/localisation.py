"""Localisation: geodesic Gaspari-Cohn weights between columns of the state and observations.

A *column* is a place: all time bins and components of one cell share it. Elements without a place (inflow at
a side, an instrument's offset) form one further column that sees every observation with full weight.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt

from inversion.kernels import EARTH_RADIUS_KM, unit_vectors
from inversion.state import State
from obsnet.errors import RangeError, SolverError
from obsnet.grid import Grid

__all__ = ["Localisation", "gaspari_cohn", "state_columns"]

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]


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
    """
    r = np.abs(np.asarray(distance, dtype=np.float64)) * (2.0 / radius)
    near = 1.0 + r**2 * (-5.0 / 3.0 + r * (5.0 / 8.0 + r * (0.5 - 0.25 * r)))
    s = np.clip(r, 1.0, 2.0)
    far = 4.0 - 5.0 * s + s**2 * (5.0 / 3.0 + s * (5.0 / 8.0 + s * (-0.5 + s / 12.0))) - 2.0 / (3.0 * s)
    return np.where(r <= 1.0, near, np.where(r < 2.0, np.clip(far, 0.0, 1.0), 0.0))


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
    limit: int | None = field(default=None)

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
    def _trees(self) -> tuple[Any, Any]:
        from scipy.spatial import cKDTree

        places = ((self.lat, self.lon), (self.obs_lat, self.obs_lon))
        columns, observations = (cKDTree(unit_vectors(lat, lon)) for lat, lon in places)
        return columns, observations

    def neighbours(self, columns: Ints) -> tuple[Ints, Ints, Floats]:
        """Return the observations of some columns as rows of a sparse matrix, in ascending order.

        Parameters
        ----------
        columns : ndarray of int
            Which; -1 for the one without a place.

        Returns
        -------
        start (len(columns) + 1,), observation, weight : ndarray
            Entries ``start[i]:start[i + 1]`` belong to ``columns[i]``; the same numbers whatever other columns
            are asked for with it.
        """
        from scipy.spatial import cKDTree

        placed, bare = np.flatnonzero(columns >= 0), np.flatnonzero(columns < 0)
        row, obs, weight = np.zeros(0, np.int64), np.zeros(0, np.int64), np.zeros(0)
        if placed.size:
            tree, others = self._trees
            # a hair wider, so that rounding of the chord loses nobody; their weight is 0
            angle = min(self.radius_km / EARTH_RADIUS_KM, np.pi)
            pairs = cKDTree(tree.data[columns[placed]]).sparse_distance_matrix(
                others, 2.0 * np.sin(0.5 * angle) + 1e-12, output_type="ndarray"
            )
            row, obs = placed[pairs["i"]], pairs["j"].astype(np.int64)
            distance = 2.0 * EARTH_RADIUS_KM * np.arcsin(np.minimum(0.5 * pairs["v"], 1.0))
            weight = gaspari_cohn(distance, self.radius_km)
            keep = weight > 0.0
            if self.limit is not None:
                order = np.lexsort((obs, distance, row))
                rank = np.arange(row.size) - np.searchsorted(row[order], row[order], side="left")
                keep[order[rank >= self.limit]] = False
            row, obs, weight = row[keep], obs[keep], weight[keep]
        if bare.size:
            n_obs = self.obs_lat.size
            row = np.concatenate([row, np.repeat(bare, n_obs)])
            obs = np.concatenate([obs, np.tile(np.arange(n_obs), bare.size)])
            weight = np.concatenate([weight, np.ones(bare.size * n_obs)])
        order = np.lexsort((obs, row))
        start = np.searchsorted(row[order], np.arange(columns.size + 1))
        return start.astype(np.int64), obs[order].astype(np.int64), weight[order]


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
