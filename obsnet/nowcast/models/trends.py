"""Kernel: growth carried forward. Persistence, last growth, drift and damped trend are one filter with other weights.

With ``x`` the logarithm of emissions and ``g`` its yearly change, a state ``b`` expects the next change:

    g[t+1] = phi b[t] + e,    b[t+1] = phi b[t] + gain e

(exponential smoothing of growth with a damped trend: Gardner and McKenzie 1985, doi:10.1287/mnsc.31.10.1237; as a
model of state space: Hyndman et al. 2008, doi:10.1007/978-3-540-71918-2). The filter runs twice, over the mean growth
of all regions and over each region's distance from it; errors of both parts are Student's t. What all regions share
is thereby correlated between them.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from obsnet.typing import Floats

__all__ = [
    "DAMPED",
    "DRIFT",
    "LAST_GROWTH",
    "PERSISTENCE",
    "GrowthTrend",
    "Shocks",
    "draw_shocks",
    "trend_paths",
]

DEGREES = 5.0  # of Student's t: yearly changes of provinces have heavier tails than the normal law
_PRIOR_YEARS, _PRIOR_SD = 2.0, 0.03  # what is thought of shared shocks before any is seen
_PRIOR_OWN = 4.0  # years' worth of the pooled variance in each region's own


@dataclass(frozen=True)
class GrowthTrend:
    """One way to carry growth forward.

    Parameters
    ----------
    damping : float
        ``phi``: share of the growth that is expected to stay from year to year.
    gains : tuple of float
        Candidates for ``gain``, weighed by their likelihood in what was seen; empty: 1/t, which makes ``b`` the mean.
    """

    damping: float
    gains: tuple[float, ...]


PERSISTENCE = GrowthTrend(0.0, (0.0,))
LAST_GROWTH = GrowthTrend(1.0, (1.0,))
DRIFT = GrowthTrend(1.0, ())
# 0.8 is the lower end of the usual range of damping (Hyndman et al. 2008); docs/nowcast.md shows others.
DAMPED = GrowthTrend(0.8, (0.1, 0.2, 0.3, 0.4, 0.5))


@dataclass(frozen=True, eq=False)
class Shocks:
    """Random numbers that all models of one origin share, so that draw k means the same luck in each.

    Parameters
    ----------
    common : ndarray, shape (steps, draws, 1)
        Of unit variance, Student's t.
    own : ndarray, shape (steps, draws, regions)
        The same.
    pick : ndarray, shape (draws,)
        Uniform on [0, 1).
    seed : tuple of int
        They were made from.
    """

    common: Floats
    own: Floats
    pick: Floats
    seed: tuple[int, ...]

    def more(self) -> np.random.Generator:
        """Return a generator for what only one model needs; the same each time."""
        return _generator((*self.seed, 1))


def draw_shocks(steps: int, draws: int, regions: int, seed: tuple[int, ...]) -> Shocks:
    """Return the random numbers of an origin; the same seed gives the same numbers.

    Each comes with its opposite, so that medians of few draws are those of many.
    """
    rng = _generator(seed)
    unit = np.sqrt((DEGREES - 2.0) / DEGREES)
    half = unit * rng.standard_t(DEGREES, (steps, (draws + 1) // 2, 1 + regions))
    both = np.concatenate([half, -half], axis=1)[:, :draws]
    return Shocks(both[..., :1], both[..., 1:], rng.random(draws), seed)


def _generator(seed: tuple[int, ...]) -> np.random.Generator:
    return np.random.Generator(np.random.Philox(np.random.SeedSequence(seed)))


def trend_paths(levels: Floats, trend: GrowthTrend, shocks: Shocks) -> Floats:
    """Return paths of the logarithm of emissions.

    Parameters
    ----------
    levels : ndarray, shape (years, regions)
        Logarithms, finite.
    trend : GrowthTrend
        Which.
    shocks : Shocks
        Of as many regions.

    Returns
    -------
    ndarray, shape (steps, draws, regions)
    """
    growth = np.diff(levels, axis=0)
    mean = growth.mean(axis=1, keepdims=True)
    gains = np.array(trend.gains or (np.nan,))
    shared, shared_errors = _filter(mean, trend.damping, gains)
    own, own_errors = _filter(growth - mean, trend.damping, gains)
    seen, regions = own_errors.shape[1:]
    # (gains,), (gains, regions)
    of_shared = ((shared_errors**2).sum(axis=(1, 2)) + _PRIOR_YEARS * _PRIOR_SD**2) / (seen + _PRIOR_YEARS)
    squares = (own_errors**2).sum(axis=1)
    pooled = squares.sum(axis=1, keepdims=True) / (seen * max(regions - 1, 1))
    of_own = (_PRIOR_OWN * pooled + squares) / (_PRIOR_OWN + seen)
    tiny = np.finfo(float).tiny
    weights = (
        -0.5 * (seen + _PRIOR_YEARS) * np.log(of_shared + tiny),
        -0.5 * seen * (regions - 1) * np.log(pooled[:, 0] + tiny),
    )
    a, b = (_choose(w, shocks.pick) for w in weights)
    state = [shared[a], own[b]]  # (draws, 1), (draws, regions)
    spread = [np.sqrt(of_shared[a])[:, None], np.sqrt(of_own[b])]
    later = 1.0 / (len(growth) + 1.0)  # drift: the next year's weight in the mean
    weight = [np.where(np.isnan(gains), later, gains)[k][:, None] for k in (a, b)]
    level = np.broadcast_to(levels[-1], shocks.own.shape[1:])
    out = np.empty(shocks.own.shape)
    for step, parts in enumerate(zip(shocks.common, shocks.own, strict=True)):
        for k, shock in enumerate(parts):
            error = spread[k] * shock
            expected = trend.damping * state[k]
            level = level + expected + error
            state[k] = expected + weight[k] * error
        out[step] = level
    return out


def _filter(growth: Floats, damping: float, gains: Floats) -> tuple[Floats, Floats]:
    """Return the last state (gains, columns) and the errors of expectation (gains, years - 1, columns)."""
    state = np.repeat(growth[None, 0], len(gains), axis=0)
    errors = np.empty((len(gains), len(growth) - 1, growth.shape[1]))
    for t, seen in enumerate(growth[1:]):
        weight = np.where(np.isnan(gains), 1.0 / (t + 2.0), gains)[:, None]
        errors[:, t] = seen - damping * state
        state = damping * state + weight * errors[:, t]
    return state, errors


def _choose(log_weights: Floats, uniform: Floats) -> np.ndarray:
    weights = np.exp(log_weights - log_weights.max())
    return np.minimum(np.searchsorted(np.cumsum(weights / weights.sum()), uniform), len(weights) - 1)
