"""The covariance of a field from how well it foretells block means that were held out.

A variogram looks at pairs, and pairs of a sparse sensor say little about what a map needs: how far the mean of a
block may lie from what its surroundings make of it. Here that is the criterion itself. Blocks of several sizes are
predicted, each without its own columns, by the kriging that makes the map; the parameters are those under which
the observed means were most likely.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numba
import numpy as np

from obsnet.errors import RangeError
from obsnet.sphere import EARTH_RADIUS_KM, unit_vectors
from obsnet.typing import Floats, Ints
from retrieval.mapping.crossvalidation import block_numbers
from retrieval.mapping.kriging import Samples, cholesky, day_numbers, solve
from retrieval.mapping.variogram import ProductSum

__all__ = ["HeldOutFit", "fit_held_out"]

_SIZES = np.array([1.0, 2.5, 5.0, 10.0])  # degrees, where the columns span 20 or more
_MOST_BLOCKS = 150  # of each size
_MOST_TARGETS = 16  # columns of a block that its mean is made of
_NEIGHBOURS = 32
_FEWEST = 20  # blocks
_PULL = 3.0  # e-folds by which a parameter may leave its first guess where the data say nothing
_NAMES = ("sill_space", "range_km", "sill_time", "range_days", "interaction", "nugget", "error_scale")


@dataclass(frozen=True)
class HeldOutFit:
    """A covariance and what it was fitted to.

    Parameters
    ----------
    model : ProductSum
        Of the field; ``at_bounds`` names parameters that the fit left at a bound, and which.
    error_scale : float
        What the stated variances of the columns' errors are multiplied with.
    blocks : int
        Held-out blocks that decided.
    coverage : dict of float to float
        Share of the means that lie within 1.96 standard deviations, by size of the blocks, degrees.
    """

    model: ProductSum
    error_scale: float
    blocks: int
    coverage: dict[float, float]


@dataclass(frozen=True)
class _Blocks:
    """Lags of held-out blocks and their neighbours; -1 neighbours and targets are none."""

    size: Floats  # (blocks,) degrees
    neighbour: Ints  # (blocks, n)
    target: Ints  # (blocks, k)
    km: tuple[Floats, Floats, Floats]  # (blocks, n, n), (blocks, n, k), (blocks, k, k)
    days: tuple[Floats, Floats, Floats]


def _lags(xyz: Floats, days: Floats, one: Ints, two: Ints) -> tuple[Floats, Floats]:
    chord = np.linalg.norm(xyz[one][:, :, None] - xyz[two][:, None, :], axis=-1)
    km = 2.0 * EARTH_RADIUS_KM * np.arcsin(np.minimum(0.5 * chord, 1.0))
    lag = np.abs(days[one][:, :, None] - days[two][:, None, :])
    return km, lag


def _held_out(samples: Samples, sizes: Sequence[float], measure: ProductSum, seed: int) -> _Blocks:
    """Choose blocks, and the columns nearest to each that do not belong to it."""
    from scipy.spatial import cKDTree

    rng = np.random.default_rng(seed)
    xyz, days = unit_vectors(samples.latitude, samples.longitude), day_numbers(samples.time)
    space = np.column_stack([xyz * EARTH_RADIUS_KM, days * measure.range_km / measure.range_days])
    tree = cKDTree(space)
    size, neighbours, targets = [], [], []
    for degrees in sizes:
        block = block_numbers(samples.latitude, samples.longitude, samples.time, degrees)
        order = np.argsort(block, kind="stable")
        first = np.searchsorted(block[order], np.arange(block.max() + 2))
        chosen = np.arange(block.max() + 1)
        if len(chosen) > _MOST_BLOCKS:
            chosen = np.sort(rng.choice(chosen, _MOST_BLOCKS, replace=False))
        for b in chosen:
            members = order[first[b] : first[b + 1]]
            k = min(_NEIGHBOURS + len(members), len(samples))
            _, near = tree.query(space[members].mean(axis=0), k=k)
            near = np.atleast_1d(near)
            near = near[block[near] != b][:_NEIGHBOURS]
            if len(near) < 2:
                continue
            if len(members) > _MOST_TARGETS:
                members = rng.choice(members, _MOST_TARGETS, replace=False)
            size.append(degrees)
            neighbours.append(np.pad(near, (0, _NEIGHBOURS - len(near)), constant_values=-1))
            targets.append(np.pad(members, (0, _MOST_TARGETS - len(members)), constant_values=-1))
    if len(size) < _FEWEST:
        raise RangeError(
            f"{len(samples)} columns make fewer than {_FEWEST} blocks that can be held out; map a longer time or a "
            "larger region"
        )
    near_rows, own_rows = np.array(neighbours, np.int64), np.array(targets, np.int64)
    (near_km, near_days), (cross_km, cross_days), (own_km, own_days) = (
        _lags(xyz, days, near_rows, near_rows), _lags(xyz, days, near_rows, own_rows),
        _lags(xyz, days, own_rows, own_rows),
    )  # fmt: skip
    km, lags = (near_km, cross_km, own_km), (near_days, cross_days, own_days)
    return _Blocks(np.array(size), near_rows, own_rows, km, lags)


@numba.njit(cache=True, inline="always")
def _c(p: Floats, km: float, days: float) -> float:
    es, et = np.exp(-km / p[3]), np.exp(-days / p[4])
    return p[0] * es + p[1] * et + p[2] * es * et


@numba.njit(cache=True, nogil=True)
def _foretell(
    p: Floats,
    scale: float,
    value: Floats,
    variance: Floats,
    neighbour: Ints,
    target: Ints,
    km_nn: Floats,
    km_nk: Floats,
    km_kk: Floats,
    days_nn: Floats,
    days_nk: Floats,
    days_kk: Floats,
    error: Floats,
    spread: Floats,
) -> None:
    """Predict the mean of each block's targets from its neighbours: error and variance of the difference."""
    most, own = neighbour.shape[1], p[0] + p[1] + p[2] + p[5]
    matrix = np.empty((most, most))
    right, weight, ones = np.empty(most), np.empty(most), np.empty(most)
    for m in range(neighbour.shape[0]):
        n = k = 0
        while n < most and neighbour[m, n] >= 0:
            n += 1
        while k < target.shape[1] and target[m, k] >= 0:
            k += 1
        for i in range(n):
            for j in range(i):
                matrix[i, j] = _c(p, km_nn[m, i, j], days_nn[m, i, j])
            matrix[i, i] = own + scale * variance[neighbour[m, i]]
            c = 0.0
            for q in range(k):
                c += _c(p, km_nk[m, i, q], days_nk[m, i, q])
            weight[i] = right[i] = c / k
            ones[i] = 1.0
        block = observed = 0.0
        for q in range(k):
            block += own + scale * variance[target[m, q]]
            observed += value[target[m, q]]
            for r in range(q):
                block += 2.0 * _c(p, km_kk[m, q, r], days_kk[m, q, r])
        error[m], spread[m] = np.nan, np.nan
        if not cholesky(matrix, n):
            continue
        solve(matrix, n, weight)
        solve(matrix, n, ones)
        lagrange = (1.0 - weight[:n].sum()) / ones[:n].sum()
        total = explained = 0.0
        for i in range(n):
            w = weight[i] + lagrange * ones[i]
            total += w * value[neighbour[m, i]]
            explained += w * right[i]
        error[m] = total - observed / k
        spread[m] = block / (k * k) - explained + lagrange


def fit_held_out(
    samples: Samples,
    first: Sequence[ProductSum] = (),
    *,
    sizes: Sequence[float] | None = None,
    seed: int = 0,
) -> HeldOutFit:
    """Fit a product-sum covariance by what it says of held-out block means.

    Parameters
    ----------
    samples : Samples
        Residuals with their stated uncertainties.
    first : sequence of ProductSum
        First guesses beside one from the samples themselves; where the data say nothing the best of them stays.
    sizes : sequence of float, optional
        Of the blocks, degrees; 1, 2.5, 5 and 10 by default, less in a small region. All are of a day.
    seed : int
        Of the choice of blocks and of their columns where there are many.

    Returns
    -------
    HeldOutFit

    Raises
    ------
    RangeError
        Fewer than 20 blocks with neighbours.

    Notes
    -----
    The sum over blocks of ``log v + e^2 / v`` is minimised, with e the error of the predicted mean and v its
    variance, measurement errors of the block's own columns included: a composite predictive likelihood (Geisser
    1975, doi:10.1080/01621459.1975.10479865; for Gaussian fields Sundararajan and Keerthi 2001,
    doi:10.1162/08997660151134343). Parameters are the product-sum model's and one factor of all error variances.
    A weak pull towards the first guess decides what the data leave open: one day says nothing about time.
    """
    if sizes is None:
        spans = np.ptp(samples.latitude), np.ptp(_unwrapped(samples.longitude))
        sizes = list(_SIZES * min(1.0, max(*spans, 0.1) / 20.0))
    level = float(np.var(samples.value)) or float(np.mean(samples.uncertainty**2))
    low, high = _limits(samples, level, float(np.ptp(day_numbers(samples.time))))
    # nearly separable: a pattern fades with the days
    default = ProductSum(0.6 * level, 500.0, 0.6 * level, 5.0, 0.8 / (0.6 * level), 0.2 * level)
    starts = [_free(m, low, high) for m in (default, *first)]
    cost = _Cost(samples, _held_out(samples, sizes, default, seed))
    guess = min(starts, key=lambda x: cost(x, x))
    x = _least(cost, guess, guess, low, high)
    # once more with the neighbours that are near by the fitted measure
    cost = _Cost(samples, _held_out(samples, sizes, _model(x)[0], seed))
    x = _least(cost, x, guess, low, high)
    error, spread = cost.foretell(x)
    z, size = np.abs(error) / np.sqrt(spread), cost.blocks.size
    model, scale = _model(x)
    told = tuple(
        f"{name} {end}"
        for end, room in (("lowest", x - low), ("highest", high - x))
        for name, at in zip(_NAMES, room < 0.02, strict=True)
        if at and name in _TOLD
    )
    coverage = {float(s): float(np.mean(z[size == s] <= 1.96)) for s in np.unique(size)}
    return HeldOutFit(replace(model, at_bounds=told), scale, len(size), coverage)


def _least(cost: _Cost, start: Floats, guess: Floats, low: Floats, high: Floats) -> Floats:
    from scipy.optimize import minimize

    bounds = list(zip(low, high, strict=True))
    options = {"maxiter": 30, "ftol": 3e-6, "gtol": 0.05}  # of a log-likelihood: more digits say nothing
    found = minimize(cost, start, args=(guess,), method="L-BFGS-B", bounds=bounds, options=options)
    return np.asarray(found.x, np.float64)


def _unwrapped(longitude: Floats) -> Floats:
    """Return longitudes that do not jump where the columns cross the dateline."""
    return np.asarray(np.mod(longitude - longitude[0] + 180.0, 360.0))


_TOLD = {"range_km", "range_days", "nugget", "error_scale"}  # a sill that vanishes is no surprise


class _Cost:
    """What is minimised; holds the arrays that do not change."""

    def __init__(self, samples: Samples, blocks: _Blocks) -> None:
        self.fixed = (
            samples.value, samples.uncertainty**2, blocks.neighbour, blocks.target, *blocks.km, *blocks.days,
        )  # fmt: skip
        self.blocks = blocks
        self.sizes = len(np.unique(blocks.size))

    def foretell(self, x: Floats) -> tuple[Floats, Floats]:
        model, scale = _model(x)
        error, spread = np.empty(len(self.blocks.size)), np.empty(len(self.blocks.size))
        _foretell(model.parameters, scale, *self.fixed, error, spread)
        return error, spread

    def __call__(self, x: Floats, guess: Floats) -> float:
        error, spread = self.foretell(x)
        if not (spread > 0.0).all():  # NaN too: no covariance of these data
            return 1e12
        # every column is in a block of each size: counted once
        misfit = float(np.sum(np.log(spread) + error**2 / spread)) / self.sizes
        return 0.5 * misfit + 0.5 * float(np.sum(((x - guess) / _PULL) ** 2)) + 0.5 * float(x[6] ** 2)


def _limits(samples: Samples, level: float, span: float) -> tuple[Floats, Floats]:
    """Return the bounds of the free parameters: lengths between what the columns resolve and what they span."""
    from scipy.spatial import cKDTree

    xyz = unit_vectors(samples.latitude, samples.longitude) * EARTH_RADIUS_KM
    nearest = cKDTree(xyz).query(xyz, k=2)[0][:, 1]
    shortest = max(0.5 * float(np.median(nearest)), 1.0)
    tiny = 1e-6 * level
    low = [tiny, shortest, tiny, 0.25, 0.0, tiny, 0.0]
    high = [30 * level, 2e4, 30 * level, max(4 * span, 30.0), 0.0, 30 * level, 0.0]
    with np.errstate(divide="ignore"):
        a, b = np.log(low), np.log(high)
    a[4], b[4], a[6], b[6] = -6.0, 6.0, np.log(0.01), np.log(100.0)
    return a, b


def _free(m: ProductSum, low: Floats, high: Floats) -> Floats:
    k = np.clip(m.k * max(m.sill_space, m.sill_time), 0.01, 0.99)
    parts = [m.sill_space, m.range_km, m.sill_time, m.range_days, k / (1.0 - k), m.nugget, 1.0]
    return np.asarray(np.clip(np.log(np.maximum(parts, 1e-300)), low + 1e-3, high - 1e-3), np.float64)


def _model(x: Floats) -> tuple[ProductSum, float]:
    a, length, b, days = (float(v) for v in np.exp(x[:4]))
    k = float(1.0 / (1.0 + np.exp(-x[4]))) / max(a, b)
    return ProductSum(a, length, b, days, k, float(np.exp(x[5]))), float(np.exp(x[6]))
