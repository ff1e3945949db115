"""Boundary-layer height where the file has none, and surface scales from what it has."""

from __future__ import annotations

import numba
import numpy as np

from obsnet.constants import CP_DRY_AIR, GRAVITY, R_DRY_AIR, VON_KARMAN
from obsnet.typing import Floats, Singles

__all__ = ["log_law_ustar", "richardson_height", "surface_layer", "ustar_of_stress"]

CRITICAL = 0.25
LEAST_HEIGHT = 20.0  # m


def ustar_of_stress(stress_u: Singles, stress_v: Singles, sp: Singles, t2m: Singles) -> Singles:
    """Return friction velocity (m s-1) from surface stress (N m-2)."""
    density = sp / (np.float32(R_DRY_AIR) * t2m)
    return np.asarray(np.sqrt(np.hypot(stress_u, stress_v) / density), dtype=np.float32)


def log_law_ustar(speed: Singles, height: float, roughness: Singles) -> Singles:
    """Return friction velocity from the wind speed at a height (m), neutral."""
    return np.asarray(VON_KARMAN * speed / np.log((height + roughness) / roughness), dtype=np.float32)


def richardson_height(
    height: Floats, wind: Singles, state: Singles, ustar: Singles, heat_flux: Singles
) -> Singles:
    """Return boundary-layer height by the bulk Richardson number.

    Parameters
    ----------
    height : ndarray of float64, shape (nz,)
        Above ground, m, from 0.
    wind, state : ndarray of float32, shape (ny, nx, nz, 4) and (ny, nx, nz, 3)
        As in `obsnet.met.Met`.
    ustar, heat_flux : ndarray of float32, shape (ny, nx)
        m s-1, W m-2 upward.

    Returns
    -------
    ndarray of float32, shape (ny, nx)
        Metres, where ``Ri = (g / tv_s) (tv - tv_s) z / (u^2 + v^2 + 100 u*^2)`` first reaches 0.25.

    Notes
    -----
    Vogelezang & Holtslag (1996, doi:10.1007/BF02430331) with the parcel excess of a convective layer,
    ``8.5 H / (rho cp w*)``, found by three rounds as w* needs the height (Troen & Mahrt 1986). Wind at the
    ground is 0.
    """
    tv = state[..., 1] * (1.0 + 0.608 * state[..., 2])
    theta = tv * (state[..., :1, 0] / state[..., 0]) ** (R_DRY_AIR / CP_DRY_AIR)
    # The lowest level above ground stands for the surface air: level 0 is 2 m air, which may be far off.
    ground = theta[..., 1]
    speed = wind[..., 0] ** 2 + wind[..., 1] ** 2 + 100.0 * ustar[..., None] ** 2
    flux = heat_flux / (wind[..., 0, 3] * CP_DRY_AIR)
    excess = np.zeros_like(ground)
    for _ in range(3):
        parcel = ground + excess
        ri = GRAVITY / parcel[..., None] * (theta - parcel[..., None]) * height / np.maximum(speed, 1e-2)
        ri[..., :2] = np.minimum(ri[..., :2], 0.0)
        above = ri >= CRITICAL
        k = np.where(above.any(axis=-1), above.argmax(axis=-1), height.size - 1)[..., None]
        low, high = np.take_along_axis(ri, k - 1, -1)[..., 0], np.take_along_axis(ri, k, -1)[..., 0]
        share = np.clip((CRITICAL - low) / np.maximum(high - low, 1e-6), 0.0, 1.0)
        found = height[k[..., 0] - 1] + share * (height[k[..., 0]] - height[k[..., 0] - 1])
        wstar = np.maximum(GRAVITY * flux * found / ground, 0.0) ** (1.0 / 3.0)
        excess = np.where(wstar > 0.05, np.minimum(8.5 * flux / np.maximum(wstar, 0.05), 3.0), 0.0)
    return np.maximum(found, LEAST_HEIGHT).astype(np.float32)


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
        As filled by `obsnet.met.vertical.to_terrain_following`.
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
