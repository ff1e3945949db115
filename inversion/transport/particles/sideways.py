"""Horizontal steps of a particle: the mean wind, turbulence along and across it, and what no boundary layer stirs."""

from __future__ import annotations

import numpy as np

from inversion.transport.kernels.interpolation import DLAT, DLON, LAT0, jit
from inversion.transport.kernels.random import normal, philox
from inversion.transport.particles.turbulence import horizontal_scales, ou_coefficients, regime
from inversion.transport.particles.walk import Draws
from obsnet.sphere import METRES_PER_DEGREE
from obsnet.typing import Floats

__all__ = [
    "NO_FADING",
    "SPARE",
    "Fading",
    "fading",
    "free_step",
    "nodes_per_metre",
    "turbulent_step",
    "wind_scales",
]

_HORIZONTAL = np.uint64(11)
SPARE = np.uint64(14)

# sigma along and across the wind (m s-1), T_L along and across (s).
WindScales = tuple[float, float, float, float]
# T_L and step (s), and the `ou_coefficients` of these.
Fading = tuple[float, float, float, float, float, float, float]
NO_FADING = (0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0)


@jit
def nodes_per_metre(axes: Floats, y: float) -> float:
    """Return nodes a metre eastward."""
    around = axes[DLON] * np.cos(np.deg2rad(axes[LAT0] + axes[DLAT] * y))
    return 1.0 / (METRES_PER_DEGREE * around)


@jit
def wind_scales(
    z: float, h: float, ustar: float, inverse_obukhov: float, as_high: float, own_tl: float
) -> WindScales:
    """Return scales along and across the wind.

    Parameters
    ----------
    z, h, ustar, inverse_obukhov : float
        As in `horizontal_scales`.
    as_high : float
        sigma_w where turbulence is as wide as high (STILT), negative for Hanna's own.
    own_tl : float
        Horizontal time scale, s; 0 for Hanna's own.
    """
    if as_high >= 0.0:
        su, sv, tu, tv = as_high, as_high, 0.0, 0.0
    else:
        su, sv, tu, tv = horizontal_scales(z, h, ustar, inverse_obukhov, regime(h, inverse_obukhov))
    if own_tl > 0.0:
        tu = tv = own_tl
    return su, sv, tu, tv


@jit
def fading(known: Fading, tl: float, dt: float) -> Fading:
    """Return `Fading` of a time scale and step (s); the known one where it is of these."""
    if tl == known[0] and dt == known[1]:
        return known
    decay, noise, way, shared, rest = ou_coefficients(tl, dt)
    return tl, dt, decay, noise, way, shared, rest


@jit
def turbulent_step(
    scales: WindScales,
    fadings: tuple[Fading, Fading],
    mu: float,
    mv: float,
    wind: tuple[float, float],
    draws: Draws,
) -> tuple[float, float, float, float]:
    """Return the way east and north (m) by turbulence, and the new memories.

    Parameters
    ----------
    scales : tuple
        `WindScales`.
    fadings : tuple
        `Fading` along and across the wind.
    mu, mv : float
        Normalised velocities along and across the wind.
    wind : (float, float)
        Mean wind eastward and northward, m s-1: sigma_u is along it, sigma_v across.
    draws : tuple
        Key, particle and step.
    """
    su, sv, _, _ = scales
    u, v = wind
    key, particle, step = draws
    words = philox(key, particle, step, np.uint64(0), _HORIZONTAL)
    n0, n1, n2, n3 = (
        normal(words[0], key, particle, step, SPARE),
        normal(words[1], key, particle, step, SPARE),
        normal(words[2], key, particle, step, SPARE),
        normal(words[3], key, particle, step, SPARE),
    )
    _, _, r, noise, way, shared, rest = fadings[0]
    along = su * (way * mu + shared * n0 + rest * n2)
    mu = r * mu + noise * n0
    _, _, r, noise, way, shared, rest = fadings[1]
    across = sv * (way * mv + shared * n1 + rest * n3)
    speed = np.sqrt(u * u + v * v) + 1e-6
    return (u * along - v * across) / speed, (v * along + u * across) / speed, mu, r * mv + noise * n1


@jit
def free_step(diffusivity: float, dt: float, draws: Draws) -> tuple[float, float]:
    """Return the way east and north (m) by a random walk, above the boundary layer."""
    key, particle, step = draws
    words = philox(key, particle, step, np.uint64(0), _HORIZONTAL)
    spread = np.sqrt(2.0 * diffusivity * dt)
    return (
        spread * normal(words[0], key, particle, step, SPARE),
        spread * normal(words[1], key, particle, step, SPARE),
    )
