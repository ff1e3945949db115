"""Scattered columns, and how they lie to a grid: near it, within reach of a cell, together in one cell and period."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from obsnet.grid import Grid
from obsnet.sphere import EARTH_RADIUS_KM, unit_vectors
from obsnet.typing import Bools, Floats, Ints, Times
from retrieval.mapping.block_integrals import cell_sizes_km

__all__ = ["Columns", "average_cells", "cell_and_period", "days_after", "near_grid", "within_reach"]

_DAY = np.timedelta64(1, "D")


@dataclass(frozen=True)
class Columns:
    """The columns a map is made of, in order of time; arrays of shape (n,)."""

    latitude: Floats
    longitude: Floats
    time: Times
    value: Floats
    uncertainty: Floats

    def __len__(self) -> int:
        return len(self.value)

    def take(self, rows: npt.ArrayLike) -> Columns:
        """Return some of them."""
        r = np.asarray(rows)
        return Columns(self.latitude[r], self.longitude[r], self.time[r], self.value[r], self.uncertainty[r])

    def between(self, first: int, stop: int) -> Columns:
        """Return those from one row to before another, without a copy."""
        return Columns(*(v[first:stop] for v in vars(self).values()))


def near_grid(columns: Columns, grid: Grid) -> Bools:
    """Tell which columns lie on the grid or within 5 degrees of it."""
    lat, lon = grid.lat_edges, grid.lon_edges
    turned = lon[0] - 5.0 + np.mod(columns.longitude - lon[0] + 5.0, 360.0)
    return (columns.latitude >= lat[0] - 5) & (columns.latitude <= lat[-1] + 5) & (turned <= lon[-1] + 5)


def days_after(time: Times, origin: np.datetime64) -> Floats:
    """Return days since a time."""
    return np.asarray((time - origin) / _DAY, dtype=np.float64)


def average_cells(
    columns: Columns, grid: Grid, origin: np.datetime64, step: np.timedelta64, r: float
) -> Columns:
    """Average what lies in one cell and period, since the model has one fine-scale value there."""
    group = cell_and_period(columns, grid, origin, step)
    number = np.bincount(group)

    def mean(x: npt.ArrayLike) -> Floats:
        return np.asarray(np.bincount(group, np.asarray(x, np.float64)) / number)

    offset = (columns.time - origin).astype("timedelta64[us]").astype(np.int64)
    reference = columns.longitude[0]
    lon = reference + mean(np.mod(columns.longitude - reference + 180.0, 360.0) - 180.0)
    square = np.bincount(group, columns.uncertainty**2) / number**2
    sigma = np.sqrt(r * mean(columns.uncertainty) ** 2 + (1.0 - r) * square)
    time = origin + np.round(mean(offset)).astype("timedelta64[us]")
    return Columns(mean(columns.latitude), lon, time.astype("datetime64[us]"), mean(columns.value), sigma)


def cell_and_period(columns: Columns, grid: Grid, origin: np.datetime64, step: np.timedelta64) -> Ints:
    """Return a number for the cell and period that each column lies in; outside the grid each has its own."""
    index = grid.index(columns.latitude, columns.longitude)
    period = np.floor_divide(
        (columns.time - origin).astype(np.int64), step.astype("timedelta64[us]").astype(np.int64)
    )
    own = np.where(index < 0, -1 - np.arange(len(columns)), index)
    group = np.unique(np.stack([own, period]), axis=1, return_inverse=True)[1]
    return np.asarray(group.reshape(-1), np.int64)


def within_reach(columns: Columns, grid: Grid, reach_km: float) -> Bools:
    """Tell which cells have a column within a distance of their edge, shape (lat, lon).

    Parameters
    ----------
    columns : Columns
        Whenever they were.
    grid : Grid
        Cells.
    reach_km : float
        Counted from half the cell's diagonal on.
    """
    from scipy.spatial import cKDTree

    if not len(columns):
        return np.zeros(grid.shape, dtype=bool)
    tree = cKDTree(unit_vectors(columns.latitude, columns.longitude) * EARTH_RADIUS_KM)
    lat, lon = (x.ravel() for x in np.meshgrid(grid.lat, grid.lon, indexing="ij"))
    chord, _ = tree.query(unit_vectors(lat, lon) * EARTH_RADIUS_KM)
    distance = 2.0 * EARTH_RADIUS_KM * np.arcsin(np.minimum(0.5 * chord / EARTH_RADIUS_KM, 1.0))
    half = 0.5 * np.linalg.norm(cell_sizes_km(grid), axis=1)
    return np.asarray((distance - half <= reach_km).reshape(grid.shape))
