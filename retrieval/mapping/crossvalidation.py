"""How good a map is where it was not allowed to look: whole blocks of space and time held out in turn."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict, dataclass, replace
from functools import partial
from typing import Any

import numpy as np
import numpy.typing as npt

from obsnet.errors import RangeError
from obsnet.typing import Floats, Ints

__all__ = [
    "Each",
    "HeldOut",
    "HeldOutScores",
    "Predict",
    "block_numbers",
    "cross_validate",
    "fold_numbers",
    "in_order",
    "in_parts",
    "judge",
    "likeliest",
    "scores",
    "stretch",
]

_ENOUGH = 40  # errors, of which the 95 % quantile can be told without any belief
Predict = Callable[[Ints, Ints, Ints], tuple[Floats, Floats]]
Each = Callable[[Callable[[Any], Any], Iterable[Any]], Iterable[Any]]  # such as `map`


@dataclass(frozen=True)
class HeldOutScores:
    """Predicted minus observed, over held-out observations.

    Parameters
    ----------
    n : int
        Observations, or means of blocks of them, with a prediction.
    bias, rmse, mae : float
        Unit of the values.
    r2 : float
        Square of the correlation.
    coverage95 : float
        Share of the observations within 1.96 standard deviations, theirs and the map's together; 0.95 is
        honest, less means that the map claims too much.
    score_sd : float
        Standard deviation of the errors over their own standard deviations; 1 is honest.
    missing : int
        Observations without a prediction.
    """

    n: int
    bias: float
    rmse: float
    mae: float
    r2: float
    coverage95: float
    score_sd: float
    missing: int

    def to_dict(self) -> dict[str, float]:
        """Return plain values."""
        return asdict(self)


def scores(observed: npt.ArrayLike, predicted: npt.ArrayLike, sd: npt.ArrayLike) -> HeldOutScores:
    """Compare predictions with observations.

    Parameters
    ----------
    observed, predicted : array_like, shape (n,)
        One unit; pairs with a NaN count as missing.
    sd : array_like, shape (n,)
        Of ``predicted - observed``: prediction and measurement error together.

    Returns
    -------
    HeldOutScores
    """
    y, x, s = (np.asarray(v, np.float64) for v in (observed, predicted, sd))
    used = np.isfinite(y) & np.isfinite(x) & np.isfinite(s)
    missing = int(np.sum(~used))
    if not used.any():
        return HeldOutScores(0, *(float("nan"),) * 6, missing)
    error, y, x, s = (x - y)[used], y[used], x[used], s[used]
    varied = len(y) > 2 and y.std() > 0 and x.std() > 0
    with np.errstate(divide="ignore", invalid="ignore"):
        z = error / s
    return HeldOutScores(
        len(y),
        float(error.mean()),
        float(np.sqrt(np.mean(error**2))),
        float(np.abs(error).mean()),
        float(np.corrcoef(x, y)[0, 1] ** 2) if varied else float("nan"),
        float(np.mean(np.abs(error) <= 1.96 * s)),
        float(np.std(z)),
        missing,
    )


def fold_numbers(
    latitude: npt.ArrayLike,
    longitude: npt.ArrayLike,
    time: npt.ArrayLike,
    *,
    folds: int = 10,
    degrees: float = 2.0,
    days: float = 1.0,
    seed: int = 0,
) -> Ints:
    """Assign observations to folds by blocks, so that neighbours on one track are held out together.

    Parameters
    ----------
    latitude, longitude, time : array_like, shape (n,)
        Degrees, UTC.
    folds : int
        How many.
    degrees, days : float
        Size of a block.
    seed : int
        Of the assignment, which depends on the block alone, not on what else is there.

    Returns
    -------
    ndarray of int64, shape (n,)
        0 to folds - 1.
    """
    if folds < 2 or not degrees > 0 or not days > 0:
        raise RangeError(f"need at least two folds and blocks of some size, found {folds}, {degrees}, {days}")
    parts = _parts(latitude, longitude, time, degrees, days)
    code = np.full(len(parts[0]), np.uint64(seed))
    for part in parts:
        code = _mix(code ^ part.astype(np.int64).view(np.uint64))
    return np.asarray(code % np.uint64(folds)).astype(np.int64)


def _mix(x: npt.NDArray[np.uint64]) -> npt.NDArray[np.uint64]:
    """Scramble 64-bit numbers (SplitMix64; Steele et al. 2014, doi:10.1145/2714064.2660195)."""
    x = x + np.uint64(0x9E3779B97F4A7C15)
    x = (x ^ (x >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    x = (x ^ (x >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return x ^ (x >> np.uint64(31))


def block_numbers(
    latitude: npt.ArrayLike, longitude: npt.ArrayLike, time: npt.ArrayLike, degrees: float, days: float = 1.0
) -> Ints:
    """Return the block of space and time that each observation lies in, numbered from 0; shape (n,).

    Parameters
    ----------
    latitude, longitude, time : array_like, shape (n,)
        Degrees, UTC.
    degrees, days : float
        Size of a block, counted from 0 N 0 E and 1970.
    """
    parts = np.stack(_parts(latitude, longitude, time, degrees, days))
    return np.asarray(np.unique(parts, axis=1, return_inverse=True)[1].reshape(-1), np.int64)


def _parts(
    latitude: npt.ArrayLike, longitude: npt.ArrayLike, time: npt.ArrayLike, degrees: float, days: float
) -> list[Floats]:
    """Return row, column and time of each observation's block, whole numbers."""
    micros = np.asarray(time).astype("datetime64[us]").astype(np.int64)
    return [
        np.floor(np.asarray(latitude, np.float64) / degrees),
        np.floor(np.mod(np.asarray(longitude, np.float64), 360.0) / degrees),
        np.floor(micros / (days * 86400e6)),
    ]


@dataclass(frozen=True)
class HeldOut:
    """Means of blocks that were held out, and what the others made of them; arrays of shape (blocks,).

    Parameters
    ----------
    observed, predicted : ndarray of float64
        Means over the places of a block's observations; NaN where nothing could be predicted.
    spread : ndarray of float64
        Standard deviation that the difference should have.
    fold : ndarray of int64
        Fold of each block.
    """

    observed: Floats
    predicted: Floats
    spread: Floats
    fold: Ints

    @property
    def z(self) -> Floats:
        """Size of each error in standard deviations."""
        with np.errstate(invalid="ignore", divide="ignore"):
            return np.asarray(np.abs(self.predicted - self.observed) / self.spread)


def cross_validate(
    predict: Predict,
    value: npt.ArrayLike,
    fold: Ints,
    block: Ints,
    each: Each = map,
) -> HeldOut:
    """Predict the mean of every block of observations from those of the other folds.

    What a map shows are means over cells, so means are what is compared: single observations would mostly be
    judged by their own noise.

    Parameters
    ----------
    predict : callable
        ``predict(training rows, held-out rows, offsets) -> (mean, sd)`` of the mean of the observations of each
        block, their own errors included; a block's rows stand together from one offset to the next.
    value : array_like, shape (n,)
        Observations.
    fold : ndarray of int64, shape (n,)
        See `fold_numbers`.
    block : ndarray of int64, shape (n,)
        See `block_numbers`; a block lies in one fold.
    each : callable
        Applies a function to the folds and returns the results in their order.
    """
    one = partial(_hold_out, predict, np.asarray(value, np.float64), fold, block)
    rows = list(each(one, np.unique(fold)))
    observed, mean, spread, which = np.concatenate(rows).T if rows else np.zeros((4, 0))
    return HeldOut(observed, mean, spread, which.astype(np.int64))


def in_order(fold: Ints, block: Ints) -> tuple[Ints, Ints]:
    """Return rows of observations as `HeldOut` has their blocks, and where each block begins and the last one ends."""
    rows = np.lexsort((block, fold))
    edges = np.flatnonzero(np.diff(block[rows]) != 0) + 1
    return rows, np.concatenate([[0], edges, [len(rows)]])


def _hold_out(predict: Predict, y: Floats, fold: Ints, block: Ints, k: int) -> Floats:
    """Return what was observed of the blocks of a fold, what was foretold, its spread, and the fold; (blocks, 4)."""
    held = np.flatnonzero(fold == k)
    training = np.flatnonzero(fold != k)
    held = held[np.argsort(block[held], kind="stable")]
    first = np.flatnonzero(np.append(True, np.diff(block[held]) != 0))
    number = np.diff(np.append(first, len(held)))
    observed = np.add.reduceat(y[held], first) / number
    mean, sd = np.full(len(first), np.nan), np.full(len(first), np.nan)
    if len(training):
        mean, sd = predict(training, held, np.append(first, len(held)))
    return np.column_stack([observed, mean, sd, np.full(len(first), float(k))])


def in_parts(part: Ints, predictors: Sequence[Predict]) -> Predict:
    """Return what foretells each block by the predictor of the part that it lies in.

    Parameters
    ----------
    part : ndarray of int64, shape (n,)
        Of each observation, 0 to ``len(predictors) - 1``; a block lies in one part.
    predictors : sequence of callable
        Such as `cross_validate` takes; the k-th one was made without the observations of part k.
    """
    return partial(_in_parts, part, predictors)


def _in_parts(
    part: Ints, predictors: Sequence[Predict], training: Ints, held: Ints, offsets: Ints
) -> tuple[Floats, Floats]:
    whose = part[held[offsets[:-1]]]
    mean, sd = np.empty(len(whose)), np.empty(len(whose))
    for k in np.unique(whose):
        of = np.flatnonzero(whose == k)
        rows = np.concatenate([held[offsets[g] : offsets[g + 1]] for g in of])
        bounds = np.append(0, np.cumsum(np.diff(offsets)[of]))
        mean[of], sd[of] = predictors[k](training, rows, bounds)
    return mean, sd


def stretch(size: npt.ArrayLike, believed: int = 0) -> float:
    """Return what standard deviations must be multiplied with for 95 % of errors to lie within 1.96 of them.

    Parameters
    ----------
    size : array_like, shape (n,)
        Sizes of errors in standard deviations; NaN is left out.
    believed : int
        Normal errors of size 1 mixed in, of a covariance that was itself found by held-out blocks.

    Returns
    -------
    float
        The 95 % quantile over 1.96: of the errors alone where there are 40 or more, whatever their size and shape, so
        placed that on average 95 % of errors that had no say are within it (the k-th of n has k / (n + 1) below it;
        Wilks 1941, doi:10.1214/aoms/1177731788). Fewer are filled up with normal ones, so that a handful does not
        decide. With `believed` ones the plain quantile of both.
    """
    from scipy.stats import norm

    z = np.asarray(size, np.float64)
    z = z[np.isfinite(z)]
    filled = believed or max(_ENOUGH - len(z), 0)
    normal = norm.ppf(0.5 + 0.5 * (np.arange(filled) + 0.5) / max(filled, 1))
    drawn = 0.0 if believed else len(z) / (len(z) + filled)  # what is believed does not scatter
    z = np.sort(np.concatenate([z, normal]))
    below = (np.arange(len(z)) + 0.5 + 0.5 * drawn) / (len(z) + drawn)
    return float(np.interp(0.95, below, z) / 1.96)


def likeliest(
    parts: Sequence[HeldOut],
    more: Sequence[Floats],
    without: int | None = None,
    doubt: npt.ArrayLike = 0.0,
) -> int:
    """Return which of several additions to the variances of held-out blocks explains their errors best.

    Parameters
    ----------
    parts : sequence of HeldOut
        Of blocks of several sizes.
    more : sequence of ndarray, shape (choices, blocks)
        For each part the additions to choose from.
    without : int, optional
        A fold whose blocks have no say.
    doubt : array_like, shape (choices,), optional
        What each choice must gain in twice the log-likelihood.

    Returns
    -------
    int
        That of the largest log-likelihood, errors normal, the mean of the parts': each column is in all of them.
    """
    costs = np.zeros(len(more[0]))
    for part, additions in zip(parts, more, strict=True):
        error = part.predicted - part.observed
        there = np.isfinite(error) & np.isfinite(part.spread) & (part.fold != without)
        variance = part.spread[there] ** 2 + additions[:, there]
        with np.errstate(divide="ignore", invalid="ignore"):
            cost = np.sum(np.log(variance) + error[there] ** 2 / variance, axis=1)
        costs += np.where((variance > 0).all(axis=1), cost, np.inf)
    return int(np.argmin(costs / len(parts) + np.asarray(doubt, np.float64)))


def judge(
    *parts: HeldOut, more: Sequence[Floats] | None = None, doubt: npt.ArrayLike = 0.0, believed: int = 0
) -> tuple[float, list[HeldOutScores]]:
    """Return the largest `stretch` of the parts, and the scores of each.

    The coverage of a fold is counted with the addition and the stretch that the other folds ask for, so that it is one
    of blocks that had no say; ``score_sd`` is that after those of all.

    Parameters
    ----------
    *parts : HeldOut
        Of blocks of several sizes, say; one fold's number means the same in each.
    more : sequence of ndarray, shape (choices, blocks), optional
        For each part additions to the variances, of which `likeliest` chooses one; by default nothing is added.
    doubt : array_like, optional
        See `likeliest`.
    believed : int
        See `stretch`.
    """
    additions = [np.zeros((1, len(p.spread))) for p in parts] if more is None else more

    def fitted(without: int | None) -> tuple[float, list[HeldOut]]:
        choice = likeliest(parts, additions, without, doubt)
        those = [
            replace(p, spread=np.sqrt(np.maximum(p.spread**2 + m[choice], 0.0)))
            for p, m in zip(parts, additions, strict=True)
        ]
        return max(stretch(p.z[p.fold != without], believed) for p in those), those

    widened, chosen = fitted(None)
    scaled = [np.full(len(p.fold), np.nan) for p in parts]
    for k in {k for p in parts for k in p.fold}:
        without, others = fitted(k)
        for out, part in zip(scaled, others, strict=True):
            out[part.fold == k] = part.z[part.fold == k] / without
    found = []
    for part, z in zip(chosen, scaled, strict=True):
        usable = np.isfinite(z)
        covered = float(np.mean(z[usable] <= 1.96)) if usable.any() else float("nan")
        plain = scores(part.observed, part.predicted, widened * part.spread)
        found.append(replace(plain, coverage95=covered))
    return widened, found
