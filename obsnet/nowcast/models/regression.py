"""Kernel: growth explained by the growth of indicators, pooled over regions and shrunk.

    g[r,t] = a + a[r] + sum_k (b[k] + b[r,k]) x[r,t,k] + c[t] + e[r,t]

All coefficients are normal about 0 with variances that the data choose (empirical Bayes): regions share ``b`` and
leave it only as far as their years say (a hierarchical or "partially pooled" regression: Gelman and Hill 2007,
doi:10.1017/CBO9780511790942). ``c`` is what all regions share in a year beyond the indicators; ``e`` is Student's t,
which keeps single broken years from deciding (weights by the EM of Lange, Little and Taylor 1989,
doi:10.1080/01621459.1989.10478852). A few years say little of how large ``c`` is: predictions are drawn from all
variances by their evidence, not from the likeliest alone.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from itertools import product

import numpy as np
from scipy.linalg import cho_factor, cho_solve, solve_triangular

from obsnet.errors import FormatError
from obsnet.nowcast.models.trends import DEGREES, Shocks
from obsnet.typing import Floats

__all__ = ["RegressionFit", "fit_regression", "regression_paths"]

_OWN = (0.02, 0.1, 0.3)  # sd of a region's coefficients, in units of the pooled prior's
_SHARED = (0.003, 0.01, 0.02, 0.04, 0.08)  # sd of a year's shared remainder, as growth
_MEMORY = (0.0, 0.8)  # share of it that stays from year to year; 0.8 as the trends are damped
_INTERCEPT = 0.05  # sd of the growth that no indicator explains
_PRIOR_OWN = 4.0
_LEAST = 20  # rows
_COUNTS = 0.02


@dataclass(frozen=True, eq=False)
class RegressionFit:
    """A fitted regression.

    Parameters
    ----------
    mean : ndarray, shape (regions, 1 + indicators)
        Intercept and slopes of each region.
    pooled : ndarray, shape (1 + indicators,)
        Those of all.
    pooled_sd : ndarray, shape (1 + indicators,)
        Their standard deviations.
    evidence : ndarray, shape (priors,)
        Weight of each choice of the variances, those of the likeliest first; they sum to 1.
    coefficients : ndarray, shape (priors, p)
        All: pooled, then region by region, then ``c`` of the years asked for.
    factor : ndarray, shape (priors, any, p)
        ``L`` with covariance of the coefficients ``L^T L``.
    shared_sd, memory : float
        Of ``c``, the likeliest.
    own_sd : ndarray, shape (regions,)
        Of what is a region's own.
    spread : ndarray, shape (indicators,)
        Standard deviation of an indicator between regions of a year.
    rows : int
        Region-years it was fitted to.
    """

    mean: Floats
    pooled: Floats
    pooled_sd: Floats
    evidence: Floats
    coefficients: Floats
    factor: Floats
    shared_sd: float
    memory: float
    own_sd: Floats
    spread: Floats
    rows: int


def fit_regression(growth: Floats, predictors: Floats, steps: int = 1) -> RegressionFit:
    """Fit the regression.

    Parameters
    ----------
    growth : ndarray, shape (years, regions)
        Change of the logarithm of emissions.
    predictors : ndarray, shape (years, regions, indicators)
        Change of each indicator; NaN where it is not known: that region-year is left out.
    steps : int
        Years after the last for which ``c`` is wanted.

    Raises
    ------
    FormatError
        Fewer than 20 region-years with all indicators, or fewer than three years.
    """
    years, regions, count = predictors.shape
    known = np.isfinite(predictors).all(axis=2) & np.isfinite(growth)
    rows, seen = int(known.sum()), np.flatnonzero(known.any(axis=1))
    if rows < max(_LEAST if regions > 1 else 0, 3 + count) or len(seen) < 3:
        raise FormatError(
            f"{rows} region-years of {len(seen)} years with inventory and all indicators; a regression needs more"
        )
    t, r = np.nonzero(known)
    y = growth[t, r]
    x = np.concatenate([np.ones((rows, 1)), predictors[t, r]], axis=1)
    scale = np.concatenate([[_INTERCEPT], y.std() / np.maximum(x[:, 1:].std(axis=0), 1e-9)])
    k = count + 1
    own = np.zeros((rows, regions, k))
    own[np.arange(rows), r] = x
    first, length = seen[0], years + steps - seen[0]
    year = (t[:, None] - first == np.arange(length)).astype(float)
    design = np.concatenate([x, own.reshape(rows, -1), year], axis=1)
    variance, weights = float(np.var(y)), np.ones(rows)
    best: tuple[float, float, float] = (_OWN[0], _SHARED[1], _MEMORY[0])

    def solver() -> Callable[[float, float, float], tuple[Floats, Floats, float]]:
        """Return the solution, its factor and the evidence as a function of the priors, at these weights."""
        left = design.T * (weights / variance)
        gram, right = left @ design, left @ y
        fixed = rows * np.log(variance) + (weights * y**2).sum() / variance

        def solve(own_share: float, shared: float, memory: float) -> tuple[Floats, Floats, float]:
            prior = np.concatenate([scale**2, np.tile((own_share * scale) ** 2, regions)])
            precision, log_size = _autoregression(length, shared, memory)
            matrix = gram.copy()
            matrix[np.diag_indices(len(prior))] += 1.0 / prior
            matrix[len(prior) :, len(prior) :] += precision
            factor, _ = cho_factor(matrix, lower=True)
            found = cho_solve((factor, True), right)
            size = 2.0 * np.log(np.diagonal(factor)).sum() + np.log(prior).sum() + log_size
            return found, np.tril(factor), float(-0.5 * (fixed + size - right @ found))

        return solve

    for _ in range(3):
        for _ in range(3):  # weights and variance of Student's t, see Lange et al.
            found, factor, _ = solver()(*best)
            left_over = y - design @ found
            # A residual of a fit is smaller than the error: the fit's own variance is added.
            leverage = (solve_triangular(factor, design.T, lower=True) ** 2).sum(axis=0)
            weights = (DEGREES + 1.0) / (DEGREES + (left_over**2 + leverage) / variance)
            variance = max(float((weights * (left_over**2 + leverage)).mean()), 1e-10)
        solve = solver()
        best = max(product(_OWN, _SHARED, _MEMORY), key=lambda prior: solve(*prior)[2])
    solve = solver()
    priors, evidence = _by_evidence({prior: solve(*prior)[2] for prior in product(_OWN, _SHARED, _MEMORY)})
    p = k * (regions + 1)
    members = []
    for prior in priors:
        found, factor, _ = solve(*prior)
        inverse = solve_triangular(factor, np.eye(len(found)), lower=True)  # covariance = inverse^T inverse
        members.append((found, inverse))
    found, inverse = members[0]
    spread_of_t = DEGREES / (DEGREES - 2.0)
    left_over = y - design @ found
    leverage = (inverse @ design.T) ** 2
    squares = np.bincount(r, weights * (left_over**2 + leverage.sum(axis=0)), regions)
    count_of = np.bincount(r, minlength=regions)
    own_variance = spread_of_t * (_PRIOR_OWN * variance + squares) / (_PRIOR_OWN + count_of)
    pooled_covariance = inverse[:, :k].T @ inverse[:, :k]
    with np.errstate(invalid="ignore"):
        spread = np.sqrt(
            np.nanmean(np.nanvar(np.where(known[..., None], predictors, np.nan)[seen], axis=1), axis=0)
        )
    return RegressionFit(
        mean=found[:k] + found[k:p].reshape(regions, k),
        pooled=found[:k],
        pooled_sd=np.sqrt(np.diagonal(pooled_covariance)),
        evidence=evidence,
        coefficients=np.stack([np.concatenate([one[:p], one[-steps:]]) for one, _ in members]),
        factor=np.stack([np.concatenate([one[:, :p], one[:, -steps:]], axis=1) for _, one in members]),
        shared_sd=priors[0][1],
        memory=priors[0][2],
        own_sd=np.sqrt(own_variance),
        spread=spread,
        rows=rows,
    )


def _by_evidence(
    evidence: dict[tuple[float, float, float], float],
) -> tuple[list[tuple[float, float, float]], Floats]:
    """Return the priors that count for 2 % of the likeliest and more, the likeliest first, and their weights."""
    order = sorted(evidence, key=lambda prior: -evidence[prior])
    weight = np.exp([evidence[prior] - evidence[order[0]] for prior in order])
    weight = weight[weight > _COUNTS]
    return order[: len(weight)], np.asarray(weight / weight.sum(), dtype=np.float64)


def _autoregression(length: int, sd: float, memory: float) -> tuple[Floats, float]:
    """Return the precision of a stationary autoregression and the logarithm of its covariance's determinant."""
    middle = np.full(length, 1.0 + memory**2)
    middle[[0, -1]] = 1.0
    beside = np.full(length - 1, -memory)
    left = sd**2 * (1.0 - memory**2)
    precision = (np.diag(middle) + np.diag(beside, 1) + np.diag(beside, -1)) / left
    return precision, 2.0 * length * np.log(sd) + (length - 1) * np.log(1.0 - memory**2)


def regression_paths(levels: Floats, predictors: Floats, shocks: Shocks) -> Floats:
    """Return paths of the logarithm of emissions, given the indicators of the years to come.

    Parameters
    ----------
    levels : ndarray, shape (years, regions)
        Logarithms, finite.
    predictors : ndarray, shape (years - 1 + steps, regions, indicators)
        Changes of indicators, of the years known and of those asked for. A region without an indicator in a year asked
        for gets the mean of the others, and the uncertainty of that.
    shocks : Shocks
        Of as many regions.

    Returns
    -------
    ndarray, shape (steps, draws, regions)

    Raises
    ------
    FormatError
        See `fit_regression`; an indicator that no region has in a year asked for.
    """
    steps, draws, regions = shocks.own.shape
    growth = np.diff(levels, axis=0)
    fit = fit_regression(growth, predictors[: len(growth)], steps)
    ahead = predictors[len(growth) :]
    if not np.isfinite(ahead).any(axis=1).all():
        raise FormatError("an indicator is known of no region in a year that is asked for")
    missing = np.isnan(ahead)
    filled = np.where(missing, np.nanmean(ahead, axis=1, keepdims=True), ahead)
    doubt = (missing * (fit.mean[None, :, 1:] * fit.spread) ** 2).sum(axis=2)  # (steps, regions)
    random = shocks.more()
    luck = random.standard_normal((draws, fit.factor.shape[1]))
    member = random.choice(len(fit.evidence), size=draws, p=fit.evidence)
    drawn = fit.coefficients[member]
    for one, factor in enumerate(fit.factor):
        drawn[member == one] += luck[member == one] @ factor
    k = fit.pooled.size
    slopes = drawn[:, None, :k] + drawn[:, k:-steps].reshape(draws, regions, k)
    x = np.concatenate([np.ones((steps, regions, 1)), filled], axis=2)
    expected = np.einsum("nrk,srk->snr", slopes, x)
    spread = np.sqrt(fit.own_sd**2 + doubt)[:, None, :]
    change = expected + drawn[:, -steps:].T[:, :, None] + spread * shocks.own
    return np.asarray(levels[-1] + np.cumsum(change, axis=0), dtype=np.float64)
