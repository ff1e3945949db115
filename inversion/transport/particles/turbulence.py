"""Hanna (1982) turbulence, and the well-mixed Langevin step that particles take through it.

Scales follow Hanna (1982, in Nieuwstadt & van Dop, Atmospheric Turbulence and Air Pollution Modelling, ch. 7) in
the form of Stohl et al. (2005, doi:10.5194/acp-5-2461-2005) with the Coriolis parameter at 1e-4 s-1. The
vertical step is the well-mixed solution for Gaussian turbulence (Thomson 1987, doi:10.1017/S0022112087001940)
in normalised velocity with the density term of Stohl & Thomson (1999, Boundary-Layer Meteorol. 90, 155).
"""

from __future__ import annotations

import numpy as np

from inversion.transport.kernels.interpolation import jit
from obsnet.typing import Floats

__all__ = [
    "NEUTRAL",
    "STABLE",
    "UNSTABLE",
    "horizontal_scales",
    "ou_coefficients",
    "regime",
    "stilt_scales",
    "vertical_scales",
]

NEUTRAL, UNSTABLE, STABLE = 0, 1, 2
LEAST_SIGMA = 0.01  # m s-1
LEAST_TL_HORIZONTAL = 10.0  # s


_NODES = 1025


def _shapes() -> Floats:
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
    """Return sigma_w (m s-1), d sigma_w / dz (s-1) and the length sigma_w T_Lw (m).

    Parameters
    ----------
    z, h : float
        Height and boundary-layer height, m, 0 <= z <= h.
    ustar, inverse_obukhov, wstar : float
        Friction velocity (m s-1), 1/L (m-1), convective velocity scale (m s-1).
    kind : int
        `regime`.
    least_tl : float
        Least Lagrangian time scale T_Lw, s.
    """
    inverse_h = 1.0 / h
    zeta = min(z * inverse_h, 1.0)
    if kind == NEUTRAL:
        rise = z / ustar
        sigma = 1.3 * ustar * np.exp(-2e-4 * rise)
        slope = -2e-4 / ustar * sigma
        sigma += LEAST_SIGMA
        return sigma, slope, max(0.5 * z / (1.0 + 1.5e-3 * rise), least_tl * sigma)
    place = np.sqrt(zeta) * (_NODES - 1)
    k = min(int(place), _NODES - 2)
    f = place - k
    low, high = _SHAPES[k], _SHAPES[k + 1]
    if kind == STABLE:
        sigma = 1.3 * ustar * (1.0 - zeta) + LEAST_SIGMA
        length = 0.1 * h * (low[3] + f * (high[3] - low[3]))
        return sigma, -1.3 * ustar * inverse_h, max(length, least_tl * sigma)
    convective, mechanical = wstar * wstar, ustar * ustar
    sigma = np.sqrt(convective * (low[0] + f * (high[0] - low[0])) + (1.8 - 1.4 * zeta) * mechanical)
    slope = 0.5 * inverse_h * (convective * (low[1] + f * (high[1] - low[1])) - 1.4 * mechanical) / sigma
    sigma += LEAST_SIGMA
    scaled = z * abs(inverse_obukhov)
    if scaled < 1.0:
        length = 0.1 * z / (0.55 - 0.38 * scaled)
    elif zeta < 0.1:
        length = 0.59 * z
    else:
        length = 0.15 * h * (low[2] + f * (high[2] - low[2]))
    return sigma, slope, max(length, least_tl * sigma)


@jit
def stilt_scales(
    z: float, h: float, ustar: float, inverse_obukhov: float, wstar: float
) -> tuple[float, float]:
    """Return sigma_w (m s-1) and T_Lw (s) as STILT has them; parameters as in `vertical_scales`.

    sigma_w of unstable air as Hanna (1982) gives it, without a part of u*; no least values; 1/L at most 2 / 75 m.
    """
    kind = regime(h, inverse_obukhov)
    if kind != UNSTABLE:
        sigma, _, length = vertical_scales(z, h, ustar, inverse_obukhov, wstar, kind, 0.0)
        sigma -= LEAST_SIGMA
        return sigma, length / sigma
    zeta, obukhov = z / h, max(1.0 / abs(inverse_obukhov), 37.5)
    if zeta >= 0.96:
        sigma = 0.37
    elif zeta >= 0.4:
        sigma = 0.722 * (1.0 - zeta) ** 0.207
    else:
        sigma = 0.96 * np.cbrt(3.0 * zeta + obukhov / h)
        if zeta >= 0.03:
            sigma = min(sigma, 0.763 * zeta**0.175)
    sigma *= wstar
    if z < obukhov:
        length = 0.1 * z / (0.55 - 0.38 * z / obukhov)
    elif zeta < 0.1:
        length = 0.59 * z
    else:
        length = 0.15 * h * (1.0 - np.exp(-5.0 * zeta))
    return sigma, length / sigma


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
def ou_coefficients(tl: float, dt: float) -> tuple[float, float, float, float, float]:
    """Return the coefficients of one exact step of homogeneous turbulence (Ornstein-Uhlenbeck).

    Parameters
    ----------
    tl, dt : float
        Lagrangian time scale and step, s; the step may be of any length.

    Returns
    -------
    decay, noise : float
        ``velocity' = decay * velocity + noise * first``, velocities normalised by sigma.
    way, shared, rest : float
        ``displacement = sigma * (way * velocity + shared * first + rest * second)``, m, with `first` and `second`
        independent standard normal numbers (Gillespie 1996, doi:10.1103/PhysRevE.54.2084, eqs. 2.47).
    """
    x = dt / tl
    r = np.exp(-x)
    noise = np.sqrt(max(1.0 - r * r, 1e-30))
    # Variance of the displacement in units of (sigma T)^2, and its covariance with the velocity.
    variance = 2.0 / 3.0 * x * x * x if x < 1e-2 else 2.0 * x - 3.0 + 4.0 * r - r * r
    shared = (1.0 - r) * (1.0 - r) / noise
    rest = np.sqrt(max(variance - shared * shared, 0.0))
    return r, noise, tl * (1.0 - r), tl * shared, tl * rest
