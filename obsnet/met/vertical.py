"""From any levels to terrain-following height: geometry, vertical velocity, profiles.

Height above ground is the only vertical coordinate inside. Levels stand at ``top * (k / (n - 1))**2``, so a
particle finds its level by one square root and the lowest kilometre has about a quarter of them.
"""

from __future__ import annotations

import numba
import numpy as np
import numpy.typing as npt

from obsnet.constants import CP_DRY_AIR, GRAVITY, R_DRY_AIR, VON_KARMAN
from obsnet.typing import Floats, Singles

__all__ = ["air_velocity", "heights_from_pressure", "level_heights", "to_terrain_following"]

EARTH_RADIUS = 6371008.8  # m, mean radius; IUGG 1980
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


def _horizontal(field: npt.NDArray, lat: Floats, lon: Floats) -> tuple[Floats, Floats]:
    """Return d/dx and d/dy per metre of ``field(..., lat, lon)``."""
    metres = np.deg2rad(1.0) * EARTH_RADIUS
    dy = np.gradient(field, lat, axis=-2) / metres
    dx = np.gradient(field, lon, axis=-1) / (metres * np.cos(np.deg2rad(lat))[:, None])
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
    zx, zy = _horizontal(height.astype(np.float64), lat, lon)
    rate = height_rate + u * zx + v * zy
    residual = omega - pressure_rate
    if not isinstance(pressure_rate, float):
        px, py = _horizontal(pressure.astype(np.float64), lat, lon)
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


@numba.njit(cache=True, nogil=True, error_model="numpy")
def to_terrain_following(
    levels: Floats,
    p: Singles,
    z: Singles,
    u: Singles,
    v: Singles,
    w: Singles,
    t: Singles,
    q: Singles,
    sp: Singles,
    terrain: Singles,
    slope_x: Singles,
    slope_y: Singles,
    t2m: Singles,
    u10: Singles,
    v10: Singles,
    roughness: Singles,
    has_10m: bool,
    wind: Singles,
    state: Singles,
) -> None:
    """Interpolate columns to heights above ground.

    Parameters
    ----------
    levels : ndarray of float64, shape (nz,)
        Heights above ground, m, from 0.
    p, z, u, v, w, t, q : ndarray of float32, shape (lev, ny, nx)
        Pressure, height above sea, wind, temperature, humidity; surface first. Levels below ground are skipped.
    sp, terrain, slope_x, slope_y, t2m, u10, v10, roughness : ndarray of float32, shape (ny, nx)
        Surface fields; slopes of the terrain are dimensionless.
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
    nlev, ny, nx = p.shape
    nz = levels.shape[0]
    node = np.empty(nlev + 2)
    nu, nv, nw, nt, nq, nlogp = (
        np.empty(nlev + 2),
        np.empty(nlev + 2),
        np.empty(nlev + 2),
        np.empty(nlev + 2),
        np.empty(nlev + 2),
        np.empty(nlev + 2),
    )
    for j in range(ny):
        for i in range(nx):
            first = 0
            while first < nlev - 2 and (p[first, j, i] >= sp[j, i] or z[first, j, i] - terrain[j, i] < 2.0):
                first += 1
            n = 1
            for k in range(first, nlev):
                node[n] = z[k, j, i] - terrain[j, i]
                nu[n], nv[n] = u[k, j, i], v[k, j, i]
                nw[n] = w[k, j, i] - u[k, j, i] * slope_x[j, i] - v[k, j, i] * slope_y[j, i]
                nt[n], nq[n], nlogp[n] = t[k, j, i], q[k, j, i], np.log(p[k, j, i])
                n += 1
            node[0], nlogp[0], nt[0], nq[0], nw[0] = 0.0, np.log(sp[j, i]), t2m[j, i], nq[1], 0.0
            z0 = roughness[j, i]
            known = node[1]
            ku, kv = nu[1], nv[1]
            if has_10m and known > 10.5:
                known, ku, kv = 10.0, u10[j, i], v10[j, i]
            for k in range(nz):
                height = levels[k]
                m = _find(height, node, 0, n - 1)
                f = min((height - node[m]) / (node[m + 1] - node[m]), 1.0)
                lp = nlogp[m] + f * (nlogp[m + 1] - nlogp[m])
                if height > node[n - 1]:
                    # Above the file's top the pressure goes on falling, all else is carried up.
                    lp -= (height - node[n - 1]) * GRAVITY / (R_DRY_AIR * nt[n - 1])
                temperature = nt[m] + f * (nt[m + 1] - nt[m])
                humidity = nq[m] + f * (nq[m + 1] - nq[m])
                if height >= node[1]:
                    uu = nu[m] + f * (nu[m + 1] - nu[m])
                    vv = nv[m] + f * (nv[m + 1] - nv[m])
                elif height > known:
                    g = np.log((height + z0) / (known + z0)) / np.log((node[1] + z0) / (known + z0))
                    uu = ku + g * (nu[1] - ku)
                    vv = kv + g * (nv[1] - kv)
                else:
                    g = np.log((height + z0) / z0) / np.log((known + z0) / z0)
                    uu, vv = g * ku, g * kv
                pressure = np.exp(lp)
                wind[j, i, k, 0], wind[j, i, k, 1] = uu, vv
                wind[j, i, k, 2] = nw[m] + f * (nw[m + 1] - nw[m])
                dry = pressure * (1.0 - humidity) / (R_DRY_AIR * temperature * (1.0 + VAPOUR * humidity))
                wind[j, i, k, 3] = dry
                state[j, i, k, 0], state[j, i, k, 1], state[j, i, k, 2] = pressure, temperature, humidity
            # Mean of the logarithmic profile between the ground and level 1, kept by a straight line.
            depth = min(levels[1], known)
            mean = ((depth + z0) * np.log((depth + z0) / z0) - depth) / (depth * np.log((known + z0) / z0))
            end = np.log((depth + z0) / z0) / np.log((known + z0) / z0)
            wind[j, i, 0, 0] = (2.0 * mean - end) * ku
            wind[j, i, 0, 1] = (2.0 * mean - end) * kv


@numba.njit(cache=True, nogil=True, error_model="numpy")
def surface_layer(
    levels: Floats,
    wind: Singles,
    state: Singles,
    blh: Singles,
    ustar: Singles,
    heat_flux: Singles,
    out: Singles,
) -> None:
    """Fill boundary-layer scales of each column.

    Parameters
    ----------
    levels, wind, state
        As filled by `to_terrain_following`.
    blh, ustar, heat_flux : ndarray of float32, shape (ny, nx)
        Boundary-layer height (m), friction velocity (m s-1), upward sensible heat flux (W m-2).
    out : ndarray of float32, shape (ny, nx, 6)
        Filled: h (m), dry-air mass below h (kg m-2), u* (m s-1), 1/L (m-1), w* (m s-1), dry-air density at the
        ground (kg m-3).

    Notes
    -----
    ``L = -u*^3 rho cp T / (kappa g H)`` and ``w* = (g H h / (rho cp T))^(1/3)`` for H > 0 (Stull 1988,
    eqs. 5.7c and 4.2a, with the sensible heat flux for the buoyancy flux).
    """
    ny, nx = blh.shape
    nz = levels.shape[0]
    for j in range(ny):
        for i in range(nx):
            h = min(max(blh[j, i], 10.0), levels[nz - 1])
            density, temperature = wind[j, i, 0, 3], state[j, i, 0, 1]
            mass = 0.0
            for k in range(nz - 1):
                upper = min(h, levels[k + 1])
                if upper <= levels[k]:
                    break
                f = (upper - levels[k]) / (levels[k + 1] - levels[k])
                at = wind[j, i, k, 3] + f * (wind[j, i, k + 1, 3] - wind[j, i, k, 3])
                mass += 0.5 * (wind[j, i, k, 3] + at) * (upper - levels[k])
            us = max(ustar[j, i], 1e-3)
            flux = heat_flux[j, i] / (density * CP_DRY_AIR)
            out[j, i, 0], out[j, i, 1], out[j, i, 2] = h, mass, us
            out[j, i, 3] = -VON_KARMAN * GRAVITY * flux / (temperature * us**3)
            out[j, i, 4] = max(GRAVITY * flux * h / temperature, 0.0) ** (1.0 / 3.0)
            out[j, i, 5] = density
