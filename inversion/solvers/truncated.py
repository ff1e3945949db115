"""Fluxes within bounds as what they are: a normal distribution cut off, sampled exactly.

Bounds make the posterior ``N(x_a, P)`` restricted to a box. Its mode lies on the bounds and is neither its mean nor its
median; totals of the mode are biased. A particle that starts from the present state with a velocity drawn from
``N(0, P)`` moves as ``x_a + d cos t + v sin t`` and is reflected where it meets a bound; after a quarter turn it is an
exact draw for the next step (Pakman & Paninski 2014, J. Comput. Graph. Stat. 23, 518,
doi:10.1080/10618600.2013.788448). Nothing is rejected and nothing has to be tuned.
"""

from __future__ import annotations

from typing import Any

import numba
import numpy as np
import numpy.typing as npt
import scipy.linalg as la

from inversion.problem.problem import Problem
from inversion.solvers.sampled import Recorder, SampledPosterior
from obsnet.errors import SolverError
from obsnet.typing import Floats
from obsnet.work.progress import progress

__all__ = ["sample_box", "solve_truncated"]

LARGEST = 8000  # unknowns; the covariance is held in full


def solve_truncated(
    problem: Problem,
    lower: npt.ArrayLike = 0.0,
    upper: npt.ArrayLike = np.inf,
    *,
    weights: Any = None,
    draws: int = 4000,
    chains: int = 4,
    least: float = 400.0,
    seed: int = 0,
) -> SampledPosterior:
    """Sample the posterior of a linear problem within bounds: mean, standard deviation, quantiles, totals.

    Parameters
    ----------
    problem : Problem
        Gaussian without the bounds.
    lower, upper : array_like
        Bounds of each element, or one number; infinite where there is none.
    weights : array_like or sparse, shape (p, n_state), optional
        Totals whose draws are kept.
    draws, chains : int
        Draws in all, after a tenth as many that are thrown away, and independent chains of them.
    least : float
        Refuse if any total, or the sum of all elements, is worth fewer independent draws.
    seed : int

    Returns
    -------
    SampledPosterior

    Raises
    ------
    SolverError
        Bounds that leave nothing, more unknowns than the covariance can be held of, chains that have not mixed.

    Examples
    --------
    >>> from inversion import Problem
    >>> p = Problem([[1.0]], [-1.0], [1.0], [0.0], [1e12])
    >>> round(float(solve_truncated(p, draws=20000).mean[0]), 1)  # of N(-1, 1) above 0
    0.5
    """
    from inversion.solvers.choose import solve
    from inversion.solvers.lbfgsb import solve_bounded

    m = problem.n_state
    if m > LARGEST:
        raise SolverError(
            f"{m} unknowns within bounds: their covariance is held in full, which is for {LARGEST} at most; take basis "
            "regions, or lognormal fluxes"
        )
    low, high = (np.array(np.broadcast_to(np.asarray(b, np.float64), (m,))) for b in (lower, upper))
    free = solve(problem)
    covariance = np.asarray(free.covariance(np.eye(m)))
    covariance = 0.5 * (covariance + covariance.T)
    start = _inside(solve_bounded(problem, low, high).mean, low, high, np.sqrt(np.diagonal(covariance)))
    recorder = Recorder(problem, weights, chains, least)
    each, burn = -(-draws // chains), max(1, draws // (10 * chains))
    with progress(chains, "chains of draws") as advance:
        for chain in range(chains):
            rng = np.random.default_rng([seed, chain])
            for x in sample_box(free.mean, covariance, low, high, start, burn + each, rng)[burn:]:
                recorder.add(chain, x)
            advance(1)
    stopping = {"draws": each * chains, "chains": chains}
    return recorder.finish(free, "truncated", stopping)


def _inside(x: Floats, low: Floats, high: Floats, sd: Floats) -> Floats:
    """Return a state a little inside the bounds."""
    margin = np.minimum(1e-3 * sd, 0.25 * (high - low))
    return np.clip(x, low + margin, high - margin)


def sample_box(
    mean: Floats,
    covariance: Floats,
    low: Floats,
    high: Floats,
    start: Floats,
    count: int,
    rng: np.random.Generator,
) -> Floats:
    """Draw from a normal distribution cut off by a box.

    Parameters
    ----------
    mean, covariance : ndarray, shape (m,) and (m, m)
        Of the distribution without bounds.
    low, high : ndarray, shape (m,)
        Bounds; infinite where there is none.
    start : ndarray, shape (m,)
        Strictly inside.
    count : int
    rng : numpy.random.Generator

    Returns
    -------
    ndarray, shape (count, m)
        Successive draws, nearly independent.
    """
    root = la.cholesky(covariance + 1e-14 * np.diag(np.diagonal(covariance)), lower=True)
    out = np.empty((count, mean.size))
    away = np.asarray(start, np.float64) - mean
    floor, ceiling = low - mean, high - mean
    for first in range(0, count, 64):
        velocities = (root @ rng.standard_normal((mean.size, min(64, count - first)))).T
        for k, v in enumerate(velocities):
            if not _quarter_turn(away, np.ascontiguousarray(v), covariance, floor, ceiling):
                raise SolverError(
                    "a draw within bounds was reflected a million times; the bounds leave almost nothing"
                )
            out[first + k] = mean + away
    return np.clip(out, low, high)


@numba.njit(cache=True)
def _next_wall(d: Floats, v: Floats, floor: Floats, ceiling: Floats, last: int) -> tuple[float, int]:
    """Return when the path d cos t + v sin t first meets a bound, and which element does."""
    soonest, at = 1e300, -1
    for i in range(d.size):
        reach = np.sqrt(d[i] * d[i] + v[i] * v[i])
        for side in range(2):
            wall = floor[i] if side == 0 else ceiling[i]
            if not abs(wall) < reach:
                continue
            # reach cos(t - phase) = wall
            phase = np.arctan2(v[i], d[i])
            open_angle = np.arccos(wall / reach)
            for sign in (-1.0, 1.0):
                t = (phase + sign * open_angle) % (2.0 * np.pi)
                # a wall just left is met again a whole turn later, not at once
                if i == last and (t < 1e-9 or t > 2.0 * np.pi - 1e-9):
                    continue
                if t < soonest:
                    # only walls that are approached from inside
                    speed = v[i] * np.cos(t) - d[i] * np.sin(t)
                    if (side == 0 and speed < 0.0) or (side == 1 and speed > 0.0):
                        soonest, at = t, i
    return soonest, at


@numba.njit(cache=True)
def _quarter_turn(d: Floats, v: Floats, covariance: Floats, floor: Floats, ceiling: Floats) -> bool:
    """Move d, in place, for a quarter turn with reflections; False where that does not end.

    In coordinates in which the covariance is the identity the velocity is mirrored at the wall; here that is
    ``v - 2 v_i / P_ii P[:, i]``.
    """
    left = 0.5 * np.pi
    last = -1
    for _ in range(1_000_000):
        t, at = _next_wall(d, v, floor, ceiling, last)
        if t >= left:
            c, s = np.cos(left), np.sin(left)
            for i in range(d.size):
                d[i], v[i] = d[i] * c + v[i] * s, v[i] * c - d[i] * s
            return True
        c, s = np.cos(t), np.sin(t)
        for i in range(d.size):
            d[i], v[i] = d[i] * c + v[i] * s, v[i] * c - d[i] * s
        factor = 2.0 * v[at] / covariance[at, at]
        for i in range(d.size):
            v[i] -= factor * covariance[i, at]
        left -= t
        last = at
    return False
