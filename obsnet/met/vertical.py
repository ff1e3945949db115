"""From any levels to terrain-following height: geometry, vertical velocity, profiles.

Height above ground is the only vertical coordinate inside. Levels stand at ``top * (k / (n - 1))**2``, so a
particle finds its level by one square root and the lowest kilometre has about a quarter of them.
"""

from __future__ import annotations

import numba
import numpy as np
import numpy.typing as npt

from obsnet.constants import GRAVITY, R_DRY_AIR
from obsnet.sphere import METRES_PER_DEGREE
from obsnet.typing import Floats, Singles

__all__ = [
    "LOWER",
    "UPPER",
    "air_velocity",
    "heights_from_pressure",
    "level_heights",
    "slopes",
    "to_terrain_following",
]

VAPOUR = 0.608  # virtual temperature: Tv = T (1 + 0.608 q)


def level_heights(top: float, n: int) -> Floats:
    """Return heights above ground, m, shape (n,), of the terrain-following levels."""
    return np.asarray(top * (np.arange(n) / (n - 1)) ** 2)


def heights_from_pressure(p: Singles, t: Singles, q: Singles, sp: Singles, terrain: Singles) -> Singles:
    """Return geopotential height of levels by the hypsometric equation.

    Parameters
    ----------
    p, t, q : ndarray of float32, shape (lev, lat, lon)
        Pressure (Pa), temperature (K), specific humidity (kg/kg), surface first.
    sp, terrain : ndarray of float32, shape (lat, lon)
        Surface pressure (Pa) and height (m).

    Returns
    -------
    ndarray of float32, shape (lev, lat, lon)
        Metres above sea level. Levels below ground come out below the terrain.
    """
    tv = t.astype(np.float64) * (1.0 + VAPOUR * q)
    logp = np.log(p.astype(np.float64))
    scale = R_DRY_AIR / GRAVITY
    out = np.empty_like(tv)
    # Thickness between levels is exact for Tv linear in log p; the ground hangs between the two around it.
    thickness = np.zeros_like(tv)
    thickness[1:] = np.cumsum(scale * 0.5 * (tv[1:] + tv[:-1]) * (logp[:-1] - logp[1:]), axis=0)
    at = np.log(sp.astype(np.float64))
    above = np.clip((logp > at).sum(axis=0), 0, p.shape[0] - 1)[None]
    below = np.maximum(above - 1, 0)
    take = np.take_along_axis
    la, lb = take(logp, above, 0), take(logp, below, 0)
    ta, tb = take(tv, above, 0), take(tv, below, 0)
    weight = np.where(la < lb, (at - la) / np.where(la < lb, lb - la, 1.0), 0.0)
    # Clipped: below the lowest level its temperature is carried down.
    tg = ta + np.clip(weight, 0.0, 1.0) * (tb - ta)
    ground = take(thickness, above, 0) - scale * 0.5 * (ta + tg) * (at - la)
    out[:] = thickness - ground + terrain
    return out.astype(np.float32)


def slopes(field: npt.NDArray, lat: Floats, lon: Floats) -> tuple[Floats, Floats]:
    """Return d/dx and d/dy per metre of ``field(..., lat, lon)``."""
    dy = np.gradient(field, lat, axis=-2) / METRES_PER_DEGREE
    dx = np.gradient(field, lon, axis=-1) / (METRES_PER_DEGREE * np.cos(np.deg2rad(lat))[:, None])
    return dx, dy


def air_velocity(
    omega: Singles,
    u: Singles,
    v: Singles,
    density: Singles,
    height: Singles,
    height_rate: Singles,
    pressure_rate: Singles | float,
    pressure: Singles,
    lat: Floats,
    lon: Floats,
) -> Singles:
    """Return vertical velocity in height from pressure velocity, on levels of any kind.

    Parameters
    ----------
    omega, u, v, density, height, pressure : ndarray of float32, shape (lev, lat, lon)
        Pa s-1, m s-1, kg m-3, m, Pa.
    height_rate, pressure_rate : ndarray or float
        Time derivatives on the level surfaces, m s-1 and Pa s-1 (0 on pressure levels).
    lat, lon : ndarray of float64
        Axes, degrees.

    Returns
    -------
    ndarray of float32
        m s-1, upward positive, relative to the sea.

    Notes
    -----
    Along level surfaces, with ``dz/dp = -1 / (rho g)``:
    ``w = dz/dt + u . grad z - (omega - dp/dt - u . grad p) / (rho g)``. On pressure levels the last bracket is
    omega alone; on terrain-following levels the terms in z and p nearly cancel.
    """
    zx, zy = slopes(height.astype(np.float64), lat, lon)
    rate = height_rate + u * zx + v * zy
    residual = omega - pressure_rate
    if not isinstance(pressure_rate, float):
        px, py = slopes(pressure.astype(np.float64), lat, lon)
        residual = residual - u * px - v * py
    return np.asarray(rate - residual / (density * GRAVITY), dtype=np.float32)


@numba.njit(cache=True, nogil=True, error_model="numpy")
def _find(z: float, nodes: Floats, first: int, last: int) -> int:
    """Return k with nodes[k] <= z < nodes[k + 1], within first..last - 1."""
    low, high = first, last
    while high - low > 1:
        middle = (low + high) // 2
        if nodes[middle] <= z:
            low = middle
        else:
            high = middle
    return low


# Rows of what `to_terrain_following` takes: on levels, and at the ground.
UPPER = ("p", "height", "u", "v", "w", "t", "q")
LOWER = ("sp", "terrain", "slope_x", "slope_y", "t2m", "u10", "v10", "roughness")
_P, _Z, _U, _V, _W, _T, _Q = range(7)
_SP, _TERRAIN, _SLOPE_X, _SLOPE_Y, _T2M, _U10, _V10, _Z0 = range(8)


@numba.njit(cache=True, nogil=True, error_model="numpy")
def _column(upper: Singles, lower: Singles, node: Floats) -> int:
    """Fill the nodes of a column (height above ground and `UPPER`, log p for p) and return how many there are.

    Node 0 is the ground: no vertical motion, 2 m temperature, the humidity of the lowest level. Levels below ground
    are left out.
    """
    nlev = upper.shape[1]
    first = 0
    while first < nlev - 2 and (upper[_P, first] >= lower[_SP] or upper[_Z, first] - lower[_TERRAIN] < 2.0):
        first += 1
    n = 1
    for k in range(first, nlev):
        u, v = upper[_U, k], upper[_V, k]
        node[_Z, n] = upper[_Z, k] - lower[_TERRAIN]
        node[_U, n], node[_V, n] = u, v
        node[_W, n] = upper[_W, k] - u * lower[_SLOPE_X] - v * lower[_SLOPE_Y]
        node[_T, n], node[_Q, n], node[_P, n] = upper[_T, k], upper[_Q, k], np.log(upper[_P, k])
        n += 1
    node[_Z, 0], node[_P, 0], node[_T, 0], node[_Q, 0], node[_W, 0] = (
        0.0,
        np.log(lower[_SP]),
        lower[_T2M],
        node[_Q, 1],
        0.0,
    )
    return n


@numba.njit(cache=True, nogil=True, error_model="numpy")
def _known_wind(lower: Singles, node: Floats, has_10m: bool) -> tuple[float, float, float]:
    """Return height and components of the lowest known wind."""
    if has_10m and node[_Z, 1] > 10.5:
        return 10.0, lower[_U10], lower[_V10]
    return node[_Z, 1], node[_U, 1], node[_V, 1]


@numba.njit(cache=True, nogil=True, error_model="numpy")
def _wind_profile(
    height: float, m: int, f: float, node: Floats, known: tuple[float, float, float], z0: float
) -> tuple[float, float]:
    """Return wind at a height between nodes m and m + 1: linear above the lowest level, logarithmic below."""
    at, ku, kv = known
    if height >= node[_Z, 1]:
        return node[_U, m] + f * (node[_U, m + 1] - node[_U, m]), node[_V, m] + f * (
            node[_V, m + 1] - node[_V, m]
        )
    if height > at:
        g = np.log((height + z0) / (at + z0)) / np.log((node[_Z, 1] + z0) / (at + z0))
        return ku + g * (node[_U, 1] - ku), kv + g * (node[_V, 1] - kv)
    g = np.log((height + z0) / z0) / np.log((at + z0) / z0)
    return g * ku, g * kv


@numba.njit(cache=True, nogil=True, error_model="numpy")
def to_terrain_following(
    levels: Floats, upper: Singles, lower: Singles, has_10m: bool, wind: Singles, state: Singles
) -> None:
    """Interpolate columns to heights above ground.

    Parameters
    ----------
    levels : ndarray of float64, shape (nz,)
        Heights above ground, m, from 0.
    upper : ndarray of float32, shape (len(UPPER), lev, ny, nx)
        `UPPER`: pressure (Pa), height above sea (m), wind (m s-1), temperature (K), humidity (kg/kg); surface first.
        Levels below ground are skipped.
    lower : ndarray of float32, shape (len(LOWER), ny, nx)
        `LOWER`: surface pressure, terrain, its slopes (dimensionless), 2 m temperature, 10 m wind, roughness (m).
    has_10m : bool
        Whether u10 and v10 hold data.
    wind : ndarray of float32, shape (ny, nx, nz, 4)
        Filled: u, v, w relative to the ground (m s-1), density of dry air (kg m-3).
    state : ndarray of float32, shape (ny, nx, nz, 3)
        Filled: pressure (Pa), temperature (K), specific humidity (kg/kg).

    Notes
    -----
    Above the lowest known wind profiles are linear in height, below it logarithmic with the roughness length
    (neutral). The wind at level 0 is set so that linear interpolation to level 1 keeps the mean of that profile.
    ``w = dz/dt - u . grad(terrain)`` falls linearly to 0 at the ground.
    """
    _, nlev, ny, nx = upper.shape
    node = np.empty((7, nlev + 2))
    for j in range(ny):
        for i in range(nx):
            ground = lower[:, j, i]
            n = _column(upper[:, :, j, i], ground, node)
            z0 = ground[_Z0]
            known = _known_wind(ground, node, has_10m)
            for k in range(levels.shape[0]):
                height = levels[k]
                m = _find(height, node[_Z], 0, n - 1)
                f = min((height - node[_Z, m]) / (node[_Z, m + 1] - node[_Z, m]), 1.0)
                lp = node[_P, m] + f * (node[_P, m + 1] - node[_P, m])
                if height > node[_Z, n - 1]:
                    # Above the file's top the pressure goes on falling, all else is carried up.
                    lp -= (height - node[_Z, n - 1]) * GRAVITY / (R_DRY_AIR * node[_T, n - 1])
                temperature = node[_T, m] + f * (node[_T, m + 1] - node[_T, m])
                humidity = node[_Q, m] + f * (node[_Q, m + 1] - node[_Q, m])
                pressure = np.exp(lp)
                wind[j, i, k, 0], wind[j, i, k, 1] = _wind_profile(height, m, f, node, known, z0)
                wind[j, i, k, 2] = node[_W, m] + f * (node[_W, m + 1] - node[_W, m])
                dry = pressure * (1.0 - humidity) / (R_DRY_AIR * temperature * (1.0 + VAPOUR * humidity))
                wind[j, i, k, 3] = dry
                state[j, i, k, 0], state[j, i, k, 1], state[j, i, k, 2] = pressure, temperature, humidity
            # Mean of the logarithmic profile between the ground and level 1, kept by a straight line.
            at, ku, kv = known
            depth = min(levels[1], at)
            mean = ((depth + z0) * np.log((depth + z0) / z0) - depth) / (depth * np.log((at + z0) / z0))
            end = np.log((depth + z0) / z0) / np.log((at + z0) / z0)
            wind[j, i, 0, 0] = (2.0 * mean - end) * ku
            wind[j, i, 0, 1] = (2.0 * mean - end) * kv
