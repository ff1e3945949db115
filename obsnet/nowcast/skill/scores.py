"""How good a distribution was that was stated before the truth was known: kernels and tables of scores."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from obsnet.typing import Floats

__all__ = ["LEVELS", "Paired", "brier", "crps", "intervals", "paired", "reliability"]

LEVELS = (0.80, 0.90)  # of the intervals that are counted
_ENOUGH = 3  # years below which no difference is tested


def crps(ranked: Floats, truth: Floats) -> Floats:
    """Return the continuous ranked probability score of draws.

    Parameters
    ----------
    ranked : ndarray, shape (draws, ...)
        Sorted along the first axis.
    truth : ndarray, shape (...)

    Returns
    -------
    ndarray, shape (...)
        In the unit of the draws; for one draw the absolute error. ``E|X - y| - E|X - X'| / 2`` (Gneiting and Raftery
        2007, doi:10.1198/016214506000001437), the second term over pairs of different draws.
    """
    count = len(ranked)
    weight = 2.0 * np.arange(1, count + 1) - count - 1.0
    pairs = np.tensordot(weight, ranked, axes=1) / max(count * (count - 1), 1)
    return np.asarray(np.abs(ranked - truth).mean(axis=0) - pairs)


def intervals(ranked: Floats) -> Floats:
    """Return the median and the bounds of `LEVELS`: (1 + 2 levels, ...), from draws sorted along the first axis."""
    shares = [0.5, *(q for level in LEVELS for q in (0.5 - level / 2, 0.5 + level / 2))]
    place = np.array(shares) * (len(ranked) - 1)
    low = np.floor(place).astype(int)
    high = np.minimum(low + 1, len(ranked) - 1)
    part = (place - low).reshape(-1, *[1] * (ranked.ndim - 1))
    return np.asarray((1.0 - part) * ranked[low] + part * ranked[high])


@dataclass(frozen=True)
class Paired:
    """A mean difference of scores.

    Parameters
    ----------
    mean, sd : float
        Of the mean; NaN where it cannot be said.
    count : int
        Years.
    p : float
        Probability of such a difference or a more negative one where there is none.
    """

    mean: float
    sd: float
    count: int
    p: float

    @property
    def better(self) -> bool:
        """Whether the first leads by more than the standard error of its lead."""
        return bool(self.mean + self.sd < 0.0)

    @property
    def worse(self) -> bool:
        """Whether the first is behind by more than the standard error of that."""
        return bool(self.mean - self.sd > 0.0)


def paired(difference: Floats, overlap: int = 1) -> Paired:
    """Test a mean difference of scores over years.

    Parameters
    ----------
    difference : ndarray, shape (years,)
        Of two scores, each a mean over all regions of the year: regions share the year's luck and are no evidence by
        themselves.
    overlap : int
        Steps ahead: forecasts of h years share h - 1 of them with the next one.

    Notes
    -----
    Diebold and Mariano 1995 (doi:10.1080/07350015.1995.10524599) with the correction for few years of Harvey,
    Leybourne and Newbold 1997 (doi:10.1016/S0169-2070(96)00719-4); where the estimated variance is not positive, that
    of years without memory times the overlap.
    """
    from scipy.stats import t

    n = len(difference)
    mean = float(difference.mean()) if n else np.nan
    if n < _ENOUGH:
        return Paired(mean, np.nan, n, np.nan)
    centred = difference - mean
    plain = float(centred @ centred) / n
    memory = sum(float(centred[k:] @ centred[:-k]) / n for k in range(1, min(overlap, n)))
    variance = (plain + 2.0 * memory) / n
    correction = (n + 1.0 - 2.0 * overlap + overlap * (overlap - 1.0) / n) / n
    if variance <= 0.0 or correction <= 0.0:
        variance, correction = plain * min(overlap, n) / n, 1.0 - 1.0 / n
    sd = float(np.sqrt(variance / correction))
    p = float(t.cdf(mean / sd, n - 1)) if sd > 0.0 else float(mean >= 0.0)
    return Paired(mean, sd, n, p)


def brier(probability: Floats, happened: Floats) -> float:
    """Return the mean square error of probabilities."""
    return float(np.mean((probability - happened) ** 2))


def reliability(events: Any, bins: int = 5) -> Any:
    """Return how often events happened that were given a probability.

    Parameters
    ----------
    events : pandas.DataFrame
        ``target`` (year), ``probability``, ``happened``.
    bins : int
        Of equal width.

    Returns
    -------
    pandas.DataFrame
        ``low, high, count, years, forecast`` (mean probability), ``observed`` (share that happened), ``observed_sd``
        (between years, which are what is independent; NaN from fewer than three).
    """
    import pandas as pd

    rows = []
    place = np.minimum((events["probability"].to_numpy() * bins).astype(int), bins - 1)
    for k in range(bins):
        mine = events[place == k]
        if mine.empty:
            continue
        yearly = mine.groupby("target")["happened"].agg(["sum", "count"])
        share = float(mine["happened"].mean())
        n = len(yearly)
        left_over = yearly["sum"] - share * yearly["count"]
        sd = np.sqrt(n / (n - 1) * (left_over**2).sum()) / yearly["count"].sum() if n >= _ENOUGH else np.nan
        rows.append(
            (k / bins, (k + 1) / bins, len(mine), n, float(mine["probability"].mean()), share, float(sd))
        )
    return pd.DataFrame(
        rows, columns=["low", "high", "count", "years", "forecast", "observed", "observed_sd"]
    )
