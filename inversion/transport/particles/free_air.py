"""How air above the boundary layer is stirred: by shear against stratification, of the weather's own profile.

The exchange coefficient is that of a mixing length and the gradient Richardson number::

    K = l^2 |du/dz| F(Ri),   1 / l = 1 / (kappa z) + 1 / 150 m,   Ri = (g / theta_v) dtheta_v/dz / |du/dz|^2

(Blackadar 1962, doi:10.1029/JZ067i008p03095) with F for heat of Viterbo et al. (1999, Quart. J. Roy. Meteorol. Soc.
125, 2401-2426) in stable air, ``1 / (1 + 10 Ri (1 + Ri)^(1/2))``, and of Holtslag & Boville (1993, J. Climate 6,
1825-1842) in unstable air, ``(1 - 18 Ri)^(1/2)``. Particles take it with a memory of 100 s, HYSPLIT's constant:
``sigma_w^2 = K / T_L``. They are taken at fixed levels, each up to the next, and particles pass between as
`inversion.transport.particles.walk.stepped_walk` has it: scales that a particle took at its own height would gather air
where it is stirred least.
"""

from __future__ import annotations

import numpy as np

from inversion.transport.kernels.interpolation import LEVEL_SCALE, PER_SECOND, PER_TOP, T0, Shape, jit
from obsnet.constants import CP_DRY_AIR, GRAVITY, R_DRY_AIR, VON_KARMAN
from obsnet.met.vertical import VAPOUR
from obsnet.typing import Floats, Ints, Singles

__all__ = ["FREE_TL", "Aloft", "Known", "free_levels", "free_scales", "level_below", "new_known", "stability"]

FREE_TL = 100.0  # s
LEAST_K = 0.01  # m2 s-1, HYSPLIT's least
MIXING_LENGTH = 150.0  # m

# Of each level the column (node and time) it was last worked out for, -1 for none, and sigma_w there.
Known = tuple[Ints, Floats]
# sigma_w by level, and the first and last level where it holds: beyond these it is that of the nearest.
Aloft = tuple[Floats, int, int]


@jit
def stability(richardson: float) -> float:
    """Return F(Ri)."""
    if richardson < 0.0:
        return np.sqrt(1.0 - 18.0 * richardson)
    return 1.0 / (1.0 + 10.0 * richardson * np.sqrt(1.0 + richardson))


@jit
def _theta(pressure: float, temperature: float, humidity: float) -> float:
    """Return the virtual potential temperature but for a factor."""
    return temperature * (1.0 + VAPOUR * humidity) * pressure ** (-R_DRY_AIR / CP_DRY_AIR)


@jit
def _nearest(shape: Shape, axes: Floats, t: float, x: float, y: float) -> int:
    """Return the column of the nearest node and time."""
    nt, ny, nx, _ = shape
    n = min(max(int((t - axes[T0]) * axes[PER_SECOND] + 0.5), 0), nt - 1)
    j, i = min(max(int(y + 0.5), 0), ny - 1), min(max(int(x + 0.5), 0), nx - 1)
    return (n * ny + j) * nx + i


@jit
def free_scales(
    wind: Singles, state: Singles, shape: Shape, axes: Floats, t: float, x: float, y: float, z: float
) -> tuple[float, float]:
    """Return sigma_w (m s-1) and T_L (s) of the air between two levels at the nearest node and time.

    Parameters
    ----------
    wind, state : ndarray of float32
        Of `obsnet.met.Met`, flat.
    shape, axes, t, x, y, z
        As in `inversion.transport.kernels.interpolation.wind_at`.
    """
    nz = shape[3]
    k = min(max(int(np.sqrt(max(z, 0.0) * axes[PER_TOP]) * (nz - 1)), 1), nz - 2)
    node = _nearest(shape, axes, t, x, y) * nz + k
    low, high = axes[LEVEL_SCALE] * k * k, axes[LEVEL_SCALE] * (k + 1) * (k + 1)
    depth = high - low
    u, v = wind[4 * node + 4] - wind[4 * node], wind[4 * node + 5] - wind[4 * node + 1]
    shear = max(np.sqrt(float(u * u + v * v)) / depth, 1e-6)
    below = _theta(state[3 * node], state[3 * node + 1], state[3 * node + 2])
    above = _theta(state[3 * node + 3], state[3 * node + 4], state[3 * node + 5])
    richardson = GRAVITY * (above - below) / (below * depth * shear * shear)
    length = VON_KARMAN * 0.5 * (low + high)
    length /= 1.0 + length / MIXING_LENGTH
    k_free = max(length * length * shear * stability(richardson), LEAST_K)
    return np.sqrt(k_free / FREE_TL), FREE_TL


@jit
def level_below(levels: Floats, z: float, hint: int) -> int:
    """Return the last level that is no higher than z, the first where there is none."""
    k = min(hint, levels.size - 1)  # `Aloft` begins beyond the last where the boundary layer holds them all
    while k + 1 < levels.size and levels[k + 1] <= z:
        k += 1
    while k > 0 and levels[k] > z:
        k -= 1
    return k


@jit
def new_known(levels: int) -> Known:
    """Return room for what `free_levels` has worked out, at so many levels."""
    return np.full(levels, -1, np.int64), np.zeros(levels)


@jit
def free_levels(
    wind: Singles,
    state: Singles,
    shape: Shape,
    axes: Floats,
    place: tuple[float, float, float],
    z: float,
    h: float,
    levels: Floats,
    known: Known,
    hint: int,
) -> Aloft:
    """Return sigma_w at the levels above the boundary layer that a particle may reach within an interval.

    Parameters
    ----------
    wind, state, shape, axes
        As in `free_scales`.
    place : (float, float, float)
        Time and fractional nodes, t, x, y.
    z, h : float
        Heights of the particle and of the boundary layer, m.
    levels : ndarray of float64
        Heights, m, increasing.
    known : tuple
        `Known`: a particle stays with a node and hour for many intervals, and all of a receptor's meet the same.
    hint : int
        A level near the particle's; any will do.

    Returns
    -------
    tuple
        `Aloft`: the levels next to the particle, or the first one above the boundary layer.
    """
    t, x, y = place
    nodes, sigmas = known
    column = _nearest(shape, axes, t, x, y)
    k = level_below(levels, z, hint)
    first = level_below(levels, h, k)
    if levels[first] <= h:
        first += 1
    low, high = max(k - 1, first), min(max(k + 1, first), levels.size - 1)
    for i in range(low, high + 1):
        if nodes[i] != column:
            nodes[i] = column
            sigmas[i] = free_scales(wind, state, shape, axes, t, x, y, levels[i])[0]
    return sigmas, low, high
