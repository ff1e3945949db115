"""The covariance of a field from how well it foretells block means that were held out.

A variogram looks at pairs, and pairs of a sparse sensor say little about what a map needs: how far the mean of a
block may lie from what its surroundings make of it. Here that is the criterion itself. Blocks of several sizes are
predicted, each without its own columns, by the kriging that makes the map; the parameters are those under which
the observed means were most likely.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from obsnet.errors import RangeError
from obsnet.sphere import unit_vectors
from obsnet.typing import Floats, Ints
from retrieval.mapping.crossvalidation import block_numbers
from retrieval.mapping.kriging import Samples, day_numbers, space_time, spacing_km
from retrieval.mapping.kriging_loops import krige_groups
from retrieval.mapping.variogram import ProductSum, local_variance

__all__ = ["HeldOutFit", "fit_held_out"]

_SIZES = (1.0, 2.5, 5.0, 10.0)  # degrees, where the columns span 20 or more; less in a smaller region
_MOST_BLOCKS = 150  # of each size
_MOST_TARGETS = 16  # columns of a block that its mean is made of
_NEIGHBOURS = 24
_FEWEST = 20  # blocks
_KM_A_DAY = 100.0  # at first
_PULL = 3.0  # e-folds from the first guess that cost as much as an error of one standard deviation

# what is fitted, in the order of the vector: ProductSum.parameters, the factor of the error variances, evenness
_NAMES = ("space", "time", "interaction", "range_km", "range_days", "nugget", "error_scale", "evenness")
_TOLD = {"range_km", "range_days", "error_scale"}  # a share of the variance that vanishes is no surprise


@dataclass(frozen=True)
class HeldOutFit:
    """A covariance and what it was fitted to.

    Parameters
    ----------
    model : ProductSum
        Of the field; ``at_bounds`` names parameters that the fit left at a bound, and which.
    error_scale : float
        What the stated variances of the columns' errors are multiplied with. Only its sum with the nugget is
        well known where all columns state much the same error; a map depends on little else.
    blocks : int
        Held-out blocks that decided.
    """

    model: ProductSum
    error_scale: float
    blocks: int


def fit_held_out(samples: Samples, *, seed: int = 0, start: HeldOutFit | None = None) -> HeldOutFit:
    """Fit a product-sum covariance by what it says of held-out block means.

    Parameters
    ----------
    samples : Samples
        Residuals with their stated uncertainties.
    seed : int
        Of the choice of blocks and of their columns where there are many.
    start : HeldOutFit, optional
        A fit to much the same samples, to begin from.

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
    doi:10.1162/08997660151134343). Parameters are the product-sum model's, one factor of all error variances, and how
    even variances are. A weak pull towards the first guess decides what the data leave open: one day says nothing
    about time.
    """
    from scipy.optimize import minimize

    level = float(np.var(samples.value)) or float(np.mean(samples.uncertainty**2))
    low, high = _limits(samples, level)
    # nearly separable: a pattern fades with the days
    plain = np.array([0.1 * level, 0.1 * level, 0.5 * level, 5.0 * _KM_A_DAY, 5.0, 0.2 * level, 1.0, 30.0])
    guess = np.clip(np.log(plain), low, high)

    def cost(x: Floats) -> float:
        error, variance = _foretell(samples, blocks, x)
        if not (variance > 0.0).all():  # NaN too: no covariance of these data
            return 1e12
        # every column is in a block of each size: counted once
        misfit = float(np.sum(np.log(variance) + error**2 / variance)) / len(_SIZES)
        return 0.5 * misfit + 0.5 * float(np.sum(((x - guess) / _PULL) ** 2))

    # of a log-likelihood: more digits say nothing
    options = {"maxiter": 30 if start is None else 10, "ftol": 3e-6, "gtol": 0.05}
    x = guess if start is None else np.clip(_vector(start), low, high)
    for _ in range(2 if start is None else 1):  # again with the neighbours that are near by the fitted ranges
        blocks = _hold_out(samples, x, seed)
        found = minimize(
            cost, x, method="L-BFGS-B", bounds=list(zip(low, high, strict=True)), options=options
        )
        x = np.asarray(found.x, np.float64)
    ends = ("lowest", x - low), ("highest", high - x)
    told = tuple(
        f"{name} {end}"
        for end, room in ends
        for name, left in zip(_NAMES, room, strict=True)
        if name in _TOLD and left < 0.02
    )
    space, time, both, km, days, nugget, scale, evenness = (float(v) for v in np.exp(x))
    a, b = space + both, time + both
    model = ProductSum(a, km, b, days, both / (a * b), nugget, told, evenness)
    return HeldOutFit(model, scale, len(blocks.neighbour))


def _vector(fit: HeldOutFit) -> Floats:
    """Return a fit as the logarithms that are searched."""
    return np.log(np.maximum([*fit.model.parameters, fit.error_scale, fit.model.evenness], 1e-300))


@dataclass(frozen=True)
class _Blocks:
    """Rows of held-out columns, those of a block from one offset to the next, and of each block's neighbours."""

    target: Ints
    offsets: Ints
    neighbour: Ints  # (blocks, n), -1 where there are fewer


def _hold_out(samples: Samples, x: Floats, seed: int) -> _Blocks:
    """Choose blocks, and the columns nearest to each that do not belong to it."""
    from scipy.spatial import cKDTree

    rng = np.random.default_rng(seed)
    place = samples.latitude, samples.longitude, samples.time
    space = space_time(unit_vectors(*place[:2]), day_numbers(samples.time), float(np.exp(x[3] - x[4])))
    tree = cKDTree(space)
    east = np.mod(samples.longitude - samples.longitude[0] + 180.0, 360.0)  # no jump at the dateline
    span = max(np.ptp(samples.latitude), np.ptp(east), 0.1)
    neighbours, targets = [], []
    for degrees in _SIZES:
        block = block_numbers(*place, degrees * min(1.0, span / 20.0))
        groups = np.split(np.argsort(block, kind="stable"), np.cumsum(np.bincount(block))[:-1])
        chosen = np.sort(rng.permutation(len(groups))[:_MOST_BLOCKS])
        for members in (groups[k] for k in chosen):
            k = min(_NEIGHBOURS + len(members), len(samples))
            near = np.atleast_1d(tree.query(space[members].mean(axis=0), k=k)[1])
            near = near[block[near] != block[members[0]]][:_NEIGHBOURS]
            if len(near) < 2:
                continue
            neighbours.append(np.pad(near, (0, _NEIGHBOURS - len(near)), constant_values=-1))
            targets.append(rng.permutation(members)[:_MOST_TARGETS])
    if len(targets) < _FEWEST:
        raise RangeError(
            f"{len(samples)} columns make fewer than {_FEWEST} blocks that can be held out; map a longer time or a "
            "larger region"
        )
    return _Blocks(
        np.concatenate(targets), np.cumsum([0, *map(len, targets)]), np.array(neighbours, np.int64)
    )


def _foretell(samples: Samples, blocks: _Blocks, x: Floats) -> tuple[Floats, Floats]:
    """Return the error of each block's predicted mean, and the variance that it should have."""
    *parameters, scale, evenness = np.exp(x)
    xyz, days = unit_vectors(samples.latitude, samples.longitude), day_numbers(samples.time)
    noise, rows, count = scale * samples.uncertainty**2, blocks.target, np.diff(blocks.offsets)
    mean, variance, square = krige_groups(
        xyz,
        days,
        samples.value,
        noise,
        blocks.neighbour,
        xyz[rows],
        days[rows],
        blocks.offsets,
        np.array(parameters),
    )
    observed = np.add.reduceat(samples.value[rows], blocks.offsets[:-1]) / count
    variance += np.add.reduceat(noise[rows], blocks.offsets[:-1]) / count**2
    local = local_variance(square, (blocks.neighbour >= 0).sum(axis=1), evenness)
    return mean - observed, local * variance


def _limits(samples: Samples, level: float) -> tuple[Floats, Floats]:
    """Return the bounds of what is fitted, as logarithms: lengths between what columns resolve and what they span."""
    shortest = max(0.5 * spacing_km(samples, _KM_A_DAY), 1.0)
    longest = max(4.0 * float(np.ptp(day_numbers(samples.time))), 30.0)
    tiny, most = 1e-6 * level, 30.0 * level
    low = [tiny, tiny, tiny, shortest, 0.25, tiny, 0.01, 3.0]
    high = [most, most, most, 2e4, longest, most, 100.0, 1e4]
    return np.log(low), np.log(high)
