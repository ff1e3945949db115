"""How good a map is where it was not allowed to look: whole blocks of space and time held out in turn."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, dataclass

import numpy as np
import numpy.typing as npt

from obsnet.errors import RangeError
from obsnet.typing import Floats, Ints

__all__ = ["Scores", "cross_validate", "fold_numbers", "scores"]


@dataclass(frozen=True)
class Scores:
    """Predicted minus observed, over held-out observations.

    Parameters
    ----------
    n : int
        Observations with a prediction.
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


def scores(observed: npt.ArrayLike, predicted: npt.ArrayLike, sd: npt.ArrayLike) -> Scores:
    """Compare predictions with observations.

    Parameters
    ----------
    observed, predicted : array_like, shape (n,)
        One unit; pairs with a NaN count as missing.
    sd : array_like, shape (n,)
        Of ``predicted - observed``: prediction and measurement error together.

    Returns
    -------
    Scores
    """
    y, x, s = (np.asarray(v, np.float64) for v in (observed, predicted, sd))
    used = np.isfinite(y) & np.isfinite(x) & np.isfinite(s)
    missing = int(np.sum(~used))
    if not used.any():
        return Scores(0, *(float("nan"),) * 6, missing)
    error, y, x, s = (x - y)[used], y[used], x[used], s[used]
    varied = len(y) > 2 and y.std() > 0 and x.std() > 0
    with np.errstate(divide="ignore", invalid="ignore"):
        z = error / s
    return Scores(
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
    micros = np.asarray(time).astype("datetime64[us]").astype(np.int64)
    parts = [
        np.floor(np.asarray(latitude, np.float64) / degrees),
        np.floor(np.mod(np.asarray(longitude, np.float64), 360.0) / degrees),
        np.floor(micros / (days * 86400e6)),
    ]
    code = np.full(len(micros), np.uint64(seed))
    for part in parts:
        code = _mix(code ^ part.astype(np.int64).view(np.uint64))
    return np.asarray(code % np.uint64(folds)).astype(np.int64)


def _mix(x: npt.NDArray[np.uint64]) -> npt.NDArray[np.uint64]:
    """Scramble 64-bit numbers (SplitMix64; Steele et al. 2014, doi:10.1145/2714064.2660195)."""
    x = x + np.uint64(0x9E3779B97F4A7C15)
    x = (x ^ (x >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    x = (x ^ (x >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return x ^ (x >> np.uint64(31))


def cross_validate(
    predict: Callable[[Ints, Ints], tuple[Floats, Floats]],
    value: npt.ArrayLike,
    uncertainty: npt.ArrayLike,
    fold: Ints,
) -> tuple[Scores, Floats]:
    """Predict every fold from the others.

    Parameters
    ----------
    predict : callable
        ``predict(training rows, held-out rows) -> (mean, sd)`` of the field at the held-out rows.
    value, uncertainty : array_like, shape (n,)
        Observations and the standard deviations of their errors.
    fold : ndarray of int64, shape (n,)
        See `fold_numbers`.

    Returns
    -------
    Scores, ndarray of float64
        And the predictions, shape (n,).
    """
    y, sigma = np.asarray(value, np.float64), np.asarray(uncertainty, np.float64)
    mean, sd = np.full(len(y), np.nan), np.full(len(y), np.nan)
    for k in np.unique(fold):
        held = np.flatnonzero(fold == k)
        training = np.flatnonzero(fold != k)
        if len(training):
            mean[held], sd[held] = predict(training, held)
    return scores(y, mean, np.sqrt(sd**2 + sigma**2)), mean
