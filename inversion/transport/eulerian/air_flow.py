"""Air and its motion, balanced to rounding: what moves the tracer of the Eulerian model."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy import sparse
from scipy.sparse.linalg import spsolve

from obsnet.constants import GRAVITY, MOLAR_MASS_DRY_AIR
from obsnet.errors import GridError, RangeError
from obsnet.grid import Grid
from obsnet.sphere import AREA_RADIUS
from obsnet.typing import Floats, Times

__all__ = ["Atmosphere", "balanced", "from_winds"]


@dataclass(frozen=True, eq=False)
class Atmosphere:
    """Air and its motion, constant within each time interval.

    Parameters
    ----------
    grid : Grid
        Columns.
    time_edges : ndarray of datetime64, shape (n_time + 1,)
        Intervals of the motion and of the fluxes.
    air : ndarray, shape (n_level, nlat, nlon)
        mol of air in each cell, surface first; constant.
    east : ndarray, shape (n_time, n_level, nlat, nlon + 1)
        Flow through western and eastern faces, mol s-1, eastward positive.
    north : ndarray, shape (n_time, n_level, nlat + 1, nlon)
        Northward.
    exchange : ndarray, shape (n_time, n_level - 1, nlat, nlon)
        Air exchanged both ways between a layer and the one above, mol s-1: ``rho K A / dz / M``.

    Raises
    ------
    GridError
        Shapes that do not fit.
    RangeError
        Air that is not positive, exchange that is negative, columns whose inflow and outflow differ (see
        `balanced`).
    """

    grid: Grid
    time_edges: Times
    air: Floats
    east: Floats
    north: Floats
    exchange: Floats

    def __post_init__(self) -> None:
        n_time = len(self.time_edges) - 1
        n_level, nlat, nlon = self.air.shape
        wanted = {
            "air": (n_level, *self.grid.shape),
            "east": (n_time, n_level, nlat, nlon + 1),
            "north": (n_time, n_level, nlat + 1, nlon),
            "exchange": (n_time, n_level - 1, nlat, nlon),
        }
        for name, shape in wanted.items():
            if getattr(self, name).shape != shape:
                raise GridError(
                    f"Atmosphere.{name} must have shape {shape}, found {getattr(self, name).shape}"
                )
        if not (self.air > 0).all() or not (self.exchange >= 0).all():
            raise RangeError("air must be positive and exchange not negative in every cell")
        column = _divergence(self.east.sum(axis=1), self.north.sum(axis=1))
        scale = max(np.abs(self.east).max(initial=0.0), np.abs(self.north).max(initial=0.0), 1e-300)
        off = np.abs(column).max(initial=0.0) / scale
        if off > 1e-9:
            raise RangeError(
                f"air flows into and out of columns differ by up to {off:.1e} of the largest flow; pass them "
                "through `balanced` first"
            )

    @property
    def up(self) -> Floats:
        """Upward flow through level edges by continuity, (n_time, n_level + 1, nlat, nlon), mol s-1."""
        inflow = -_divergence(self.east, self.north)
        up = np.concatenate([np.zeros_like(inflow[:, :1]), np.cumsum(inflow, axis=1)], axis=1)
        up[:, -1] = 0.0
        return up


def _divergence(east: Floats, north: Floats) -> Floats:
    return np.diff(east, axis=-1) + np.diff(north, axis=-2)


def balanced(air: Floats, east: Floats, north: Floats) -> tuple[Floats, Floats]:
    """Change horizontal flows as little as possible so that no column gains or loses air.

    Parameters
    ----------
    air : ndarray, shape (n_level, nlat, nlon)
        mol; the change is shared among levels by it.
    east, north : ndarray
        As in `Atmosphere`, mol s-1.

    Returns
    -------
    east, north : ndarray
        The column sums are changed by the smallest amount in the sum of squares over all faces of the domain,
        outer faces included.
    """
    nlat, nlon = air.shape[1:]
    # Divergence of column flows as a matrix over (east faces, north faces).
    d_lon = sparse.diags_array([-np.ones(nlon), np.ones(nlon)], offsets=[0, 1], shape=(nlon, nlon + 1))
    d_lat = sparse.diags_array([-np.ones(nlat), np.ones(nlat)], offsets=[0, 1], shape=(nlat, nlat + 1))
    d = sparse.hstack(
        [sparse.kron(sparse.eye_array(nlat), d_lon), sparse.kron(d_lat, sparse.eye_array(nlon))]
    ).tocsr()
    share = air / air.sum(axis=0)
    at_east, at_north = (_at_faces(share, axis) for axis in (2, 1))
    at_east, at_north = at_east / at_east.sum(axis=0), at_north / at_north.sum(axis=0)
    new_east, new_north = east.copy(), north.copy()
    normal = (d @ d.T).tocsc()
    for _ in range(2):  # the second pass removes what rounding left
        for t in range(len(east)):
            columns = np.concatenate([new_east[t].sum(axis=0).ravel(), new_north[t].sum(axis=0).ravel()])
            change = -(d.T @ spsolve(normal, d @ columns))
            cut = nlat * (nlon + 1)
            new_east[t] += at_east * change[:cut].reshape(nlat, nlon + 1)
            new_north[t] += at_north * change[cut:].reshape(nlat + 1, nlon)
    return new_east, new_north


def _at_faces(field: Floats, axis: int) -> Floats:
    """Mean of the cells on both sides of each face; the cell itself at outer faces."""
    padded = np.pad(field, [(1, 1) if a == axis else (0, 0) for a in range(field.ndim)], mode="edge")
    low, high = (np.take(padded, range(s, padded.shape[axis] - 1 + s), axis=axis) for s in (0, 1))
    return 0.5 * (low + high)


def from_winds(
    grid: Grid,
    time_edges: npt.ArrayLike,
    pressure_edges: npt.ArrayLike,
    u: npt.ArrayLike,
    v: npt.ArrayLike,
    diffusivity: npt.ArrayLike,
) -> Atmosphere:
    """Make an atmosphere from winds on pressure layers.

    Parameters
    ----------
    grid : Grid
        Columns.
    time_edges : array_like of datetime64, shape (n_time + 1,)
        Intervals of the winds, UTC.
    pressure_edges : array_like, shape (n_level + 1,)
        hPa, falling from the surface.
    u, v : array_like, shape (n_time, n_level, nlat, nlon)
        Eastward and northward wind at cell centres, m s-1.
    diffusivity : array_like, shape (n_time, n_level - 1, nlat, nlon)
        Vertical diffusivity between layers, m2 s-1.

    Returns
    -------
    Atmosphere
        Flows balanced; heights of layers from an isothermal atmosphere of 7.5 km scale height.
    """
    p = np.asarray(pressure_edges, dtype=np.float64)
    if p.ndim != 1 or p.size < 2 or (np.diff(p) >= 0).any() or p[-1] < 0 or p[0] > 1100:
        raise RangeError(f"pressure_edges must fall from the surface, in hPa, found {p[:3]} … {p[-1:]}")
    u, v, kz = (np.asarray(a, dtype=np.float64) for a in (u, v, diffusivity))
    area = grid.cell_area
    load = -np.diff(p) * 100.0 / (GRAVITY * MOLAR_MASS_DRY_AIR)  # mol m-2
    air = load[:, None, None] * area
    dy = AREA_RADIUS * np.deg2rad(np.diff(grid.lat_edges))
    dx = AREA_RADIUS * np.deg2rad(np.diff(grid.lon_edges))
    cos = np.cos(np.deg2rad(grid.lat_edges))
    # A column of air over 1 m2 moves u metres a second: load * u mol s-1 through each metre of face.
    cell = load[:, None, None]
    east = _at_faces(u, 3) * cell * dy[:, None]
    north = _at_faces(v, 2) * cell * (cos[:, None] * dx)
    scale = 7500.0
    middle = -scale * np.log(0.5 * (p[1:] + p[:-1]) / p[0])
    density = p[1:-1] * 100.0 / (GRAVITY * scale) / MOLAR_MASS_DRY_AIR  # mol m-3 at the inner edges
    exchange = kz * (density / np.diff(middle))[:, None, None] * area
    edges = np.asarray(time_edges).astype("datetime64[us]")
    return Atmosphere(grid, edges, air, *balanced(air, east, north), exchange)
