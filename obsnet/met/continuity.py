"""Vertical wind that conserves mass with the horizontal winds, relative to the ground.

In height above ground the volume element does not depend on the terrain, so dry air is conserved where

    d(rho)/dt + (1 / cos(lat)) [d(rho u)/dx + d(rho v cos(lat))/dy] + d(rho w)/dz = 0,    w = dz/dt,    w(0) = 0

(derivatives in time and along the horizontal at a height above ground). Winds that come from levels of pressure and
another grid no longer do: w from omega, brought down to the ground in a straight line, is several times too large in
the lowest hundred metres over real terrain, and particles clump. The sum upwards from the ground is exact. What the
winds' divergence gets wrong adds up with height, so the file's own w is met at the top, with a correction that grows as
the square of height (O'Brien 1970, J. Appl. Meteorol. 9, 197-203).
"""

from __future__ import annotations

import numba
import numpy as np

from obsnet.sphere import METRES_PER_DEGREE
from obsnet.typing import Floats, Singles

__all__ = ["conserve_mass"]


@numba.njit(cache=True, nogil=True, error_model="numpy")
def conserve_mass(
    wind: Singles, before: Singles, after: Singles, span: float, height: Floats, lat: Floats, lon: Floats
) -> Floats:
    """Replace the vertical wind of one time by one that conserves mass.

    Parameters
    ----------
    wind : ndarray of float32, shape (ny, nx, nz, 4)
        u, v, w relative to the ground (m s-1) and density of dry air (kg m-3); w is changed.
    before, after : ndarray of float32, shape (ny, nx, nz, 4)
        The same of the times around it; their density counts.
    span : float
        Seconds between them; 0 where there is one time only.
    height : ndarray of float64, shape (nz,)
        Above ground, m, from 0.
    lat, lon : ndarray of float64
        Even axes, degrees.

    Returns
    -------
    ndarray of float64, shape (nz,)
        Mean square of the change of w by level, m2 s-2.

    Notes
    -----
    Centred differences are the mean divergence, over two cells, of winds that are linear between nodes, which is what
    particles move with; at the edge of the domain they are one-sided.
    """
    ny, nx, nz, _ = wind.shape
    dy = METRES_PER_DEGREE * (lat[1] - lat[0])
    change = np.zeros(nz)
    flux = np.empty(nz)
    cosine = np.cos(np.deg2rad(lat))
    for j in range(ny):
        s, n = max(j - 1, 0), min(j + 1, ny - 1)
        per_y = 1.0 / ((n - s) * dy * cosine[j])
        dx = METRES_PER_DEGREE * cosine[j] * (lon[1] - lon[0])
        for i in range(nx):
            w, e = max(i - 1, 0), min(i + 1, nx - 1)
            per_x = 1.0 / ((e - w) * dx)
            last = flux[0] = 0.0
            for k in range(nz):
                gain = per_x * (wind[j, e, k, 3] * wind[j, e, k, 0] - wind[j, w, k, 3] * wind[j, w, k, 0])
                gain += per_y * (
                    cosine[n] * wind[n, i, k, 3] * wind[n, i, k, 1]
                    - cosine[s] * wind[s, i, k, 3] * wind[s, i, k, 1]
                )
                if span > 0.0:
                    gain += (np.float64(after[j, i, k, 3]) - before[j, i, k, 3]) / span
                if k:
                    flux[k] = flux[k - 1] - 0.5 * (gain + last) * (height[k] - height[k - 1])
                last = gain
            excess = flux[nz - 1] - wind[j, i, nz - 1, 3] * wind[j, i, nz - 1, 2]
            for k in range(nz):
                share = (height[k] / height[nz - 1]) ** 2
                new = (flux[k] - share * excess) / wind[j, i, k, 3]
                change[k] += (new - wind[j, i, k, 2]) ** 2
                wind[j, i, k, 2] = new
    return change / (ny * nx)
