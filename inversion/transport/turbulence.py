"""Hanna (1982) turbulence, and the well-mixed Langevin step that particles take through it.

Scales follow Hanna (1982, in Nieuwstadt & van Dop, Atmospheric Turbulence and Air Pollution Modelling, ch. 7) in
the form of Stohl et al. (2005, doi:10.5194/acp-5-2461-2005) with the Coriolis parameter at 1e-4 s-1. The
vertical step is the well-mixed solution for Gaussian turbulence (Thomson 1987, doi:10.1017/S0022112087001940)
in normalised velocity with the density term of Stohl & Thomson (1999, doi:10.1023/A:1001914209371).
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from inversion.transport.interpolation import jit

__all__ = [
    "NEUTRAL",
    "STABLE",
    "UNSTABLE",
    "horizontal_scales",
    "ornstein_uhlenbeck",
    "regime",
    "vertical_scales",
]

NEUTRAL, UNSTABLE, STABLE = 0, 1, 2
LEAST_SIGMA = 0.01  # m s-1
LEAST_TL_HORIZONTAL = 10.0  # s


_NODES = 1025


def _shapes() -> npt.NDArray[np.float64]:
    """Return functions of z / h at even steps of its root: powers and exponentials are dear, reading is not.

    Columns: ``1.2 (1 - 0.9 q) q^(2/3)`` and its derivative, ``1 - exp(-5 q)``, ``q^0.8``.
    """
    q = np.maximum(np.linspace(0.0, 1.0, _NODES) ** 2, 1e-7)
    convective = 1.2 * (1.0 - 0.9 * q) * q ** (2 / 3)
    slope = 1.2 * (2 / 3 * q ** (-1 / 3) - 1.5 * q ** (2 / 3))
    return np.stack([convective, slope, 1.0 - np.exp(-5.0 * q), q**0.8], axis=1)


_SHAPES = _shapes()


@jit
def regime(h: float, inverse_obukhov: float) -> int:
    """Return the stability regime: neutral where the layer is shallower than the size of L."""
    if h * abs(inverse_obukhov) < 1.0:
        return NEUTRAL
    return UNSTABLE if inverse_obukhov < 0.0 else STABLE


@jit
def vertical_scales(
    z: float, h: float, ustar: float, inverse_obukhov: float, wstar: float, kind: int, least_tl: float
) -> tuple[float, float, float]:
    """Return sigma_w (m s-1), d sigma_w / dz (s-1) and the Lagrangian time scale T_Lw (s).

    Parameters
    ----------
    z, h : float
        Height and boundary-layer height, m, 0 <= z <= h.
    ustar, inverse_obukhov, wstar : float
        Friction velocity (m s-1), 1/L (m-1), convective velocity scale (m s-1).
    kind : int
        `regime`.
    least_tl : float
        Least T_Lw, s.
    """
    zeta = min(z / h, 1.0)
    if kind == NEUTRAL:
        rise = z / ustar
        sigma = 1.3 * ustar * np.exp(-2e-4 * rise)
        slope = -2e-4 / ustar * sigma
        sigma += LEAST_SIGMA
        return sigma, slope, max(0.5 * z / (sigma * (1.0 + 1.5e-3 * rise)), least_tl)
    place = np.sqrt(zeta) * (_NODES - 1)
    k = min(int(place), _NODES - 2)
    f = place - k
    low, high = _SHAPES[k], _SHAPES[k + 1]
    if kind == STABLE:
        sigma = 1.3 * ustar * (1.0 - zeta) + LEAST_SIGMA
        return sigma, -1.3 * ustar / h, max(0.1 * h / sigma * (low[3] + f * (high[3] - low[3])), least_tl)
    convective, mechanical = wstar * wstar, ustar * ustar
    variance = convective * (low[0] + f * (high[0] - low[0])) + (1.8 - 1.4 * zeta) * mechanical
    sigma = np.sqrt(variance)
    slope = 0.5 / (sigma * h) * (convective * (low[1] + f * (high[1] - low[1])) - 1.4 * mechanical)
    sigma += LEAST_SIGMA
    scaled = z * abs(inverse_obukhov)
    if scaled < 1.0:
        tl = 0.1 * z / (sigma * (0.55 - 0.38 * scaled))
    elif zeta < 0.1:
        tl = 0.59 * z / sigma
    else:
        tl = 0.15 * h / sigma * (low[2] + f * (high[2] - low[2]))
    return sigma, slope, max(tl, least_tl)


@jit
def horizontal_scales(
    z: float, h: float, ustar: float, inverse_obukhov: float, kind: int
) -> tuple[float, float, float, float]:
    """Return sigma_u, sigma_v (m s-1), T_Lu, T_Lv (s); parameters as in `vertical_scales`."""
    zeta = min(z / h, 1.0)
    if kind == UNSTABLE:
        su = LEAST_SIGMA + ustar * np.cbrt(12.0 + 0.5 * h * abs(inverse_obukhov))
        sv = su
        tu = tv = 0.15 * h / su
    elif kind == NEUTRAL:
        rise = z / ustar
        su = LEAST_SIGMA + 2.0 * ustar * np.exp(-3e-4 * rise)
        sv = LEAST_SIGMA + 1.3 * ustar * np.exp(-2e-4 * rise)
        tu = tv = 0.5 * z / (sv * (1.0 + 1.5e-3 * rise))
    else:
        su = LEAST_SIGMA + 2.0 * ustar * (1.0 - zeta)
        sv = LEAST_SIGMA + 1.3 * ustar * (1.0 - zeta)
        root = np.sqrt(zeta)
        tu, tv = 0.15 * h / su * root, 0.07 * h / sv * root
    return su, sv, max(tu, LEAST_TL_HORIZONTAL), max(tv, LEAST_TL_HORIZONTAL)


@jit
def ornstein_uhlenbeck(
    velocity: float, sigma: float, tl: float, dt: float, first: float, second: float
) -> tuple[float, float]:
    """Step velocity and displacement of homogeneous turbulence exactly, for a step of any length.

    Parameters
    ----------
    velocity : float
        Normalised by sigma.
    sigma, tl, dt : float
        m s-1, s, s.
    first, second : float
        Independent standard normal numbers.

    Returns
    -------
    velocity, displacement : float
        Normalised velocity at the end, and the distance gone, m (Gillespie 1996,
        doi:10.1103/PhysRevE.54.2084, eqs. 2.47).
    """
    x = dt / tl
    r = np.exp(-x)
    keep = np.sqrt(max(1.0 - r * r, 0.0))
    after = r * velocity + keep * first
    # Displacement in units of sigma T: its variance, and its covariance with the velocity.
    if x < 1e-2:
        variance = 2.0 / 3.0 * x * x * x
    else:
        variance = 2.0 * x - 3.0 + 4.0 * r - r * r
    shared = (1.0 - r) ** 2 / keep
    rest = np.sqrt(max(variance - shared * shared, 0.0))
    return after, sigma * tl * ((1.0 - r) * velocity + shared * first + rest * second)
