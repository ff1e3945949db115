"""The young plume: how deep it is before it fills the layer below which time counts, and what that dilutes it by."""

from __future__ import annotations

import numpy as np

from inversion.transport.kernels.interpolation import jit

__all__ = ["NOT_NEAR", "PUBLISHED", "TAYLOR", "Plume", "dilution"]

NOT_NEAR, TAYLOR, PUBLISHED = 0, 1, 2  # as in `settings.NEAR_FIELD`

# Whether the plume may still be shallower than the layer; means of sigma_w and T_Lw since the release; depth (m).
Plume = tuple[bool, float, float, float]


@jit
def _taylor_depth(sigma: float, tl: float, t: float) -> float:
    """Return how far turbulence has spread a plume after t: ``sqrt(2 s^2 T (t - T (1 - exp(-t / T))))``, m.

    Taylor (1921, doi:10.1112/plms/s2-20.1.196).
    """
    return sigma * np.sqrt(2.0 * tl * (t - tl * (1.0 - np.exp(-t / max(tl, 1e-3)))))


@jit
def _published_depth(sigma: float, tl: float, t: float) -> float:
    """Return the same as the code published with STILT has it, which adds it up over minutes."""
    return sigma * np.sqrt(2.0 * max(tl * t + tl * tl * np.exp(-t / max(tl, 1e-3)) - 1.0, 0.0))


@jit
def dilution(
    kind: int,
    plume: Plume,
    scales: tuple[float, float],
    spent: tuple[float, float, float],
    z_release: float,
    layer: float,
) -> tuple[float, Plume]:
    """Return the depth (m) over which air below `layer` is diluted, and the plume after the interval.

    Parameters
    ----------
    kind : int
        `TAYLOR` or `PUBLISHED`.
    plume : tuple
        `Plume` before the interval.
    scales : (float, float)
        sigma_w (m s-1) and T_Lw (s) of the interval.
    spent : (float, float, float)
        Age at the interval's beginning, its length, and the part of it below `layer`, s.
    z_release, layer : float
        Height of the release and of the layer, m.

    Notes
    -----
    A plume from z0 is ``z0 + depth`` high; while that is less than the layer it stands in for it. The published
    form (Fasoli et al. 2018, doi:10.5194/gmd-11-2813-2018) has ``T t + T^2 exp(-t / T) - 1`` under the root.
    """
    near, mean_sigma, mean_tl, depth = plume
    sigma, tl = scales
    age, dt, below = spent
    if kind == PUBLISHED:
        depth += below / dt * _published_depth(sigma, tl, age + dt)
    else:
        # Travel-time means of the scales: the plume remembers where it has been.
        share = dt / (age + dt)
        mean_sigma += share * (sigma - mean_sigma)
        mean_tl += share * (tl - mean_tl)
        depth = _taylor_depth(mean_sigma, mean_tl, age + 0.5 * dt)
    if z_release + depth < layer:
        return z_release + depth, (near, mean_sigma, mean_tl, depth)
    return layer, (kind == PUBLISHED, mean_sigma, mean_tl, depth)
