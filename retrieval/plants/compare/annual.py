"""From a few snapshots to a year's total, with what few snapshots leave unknown."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from obsnet.times import to_epoch
from obsnet.typing import Floats
from retrieval.plants.compare.match import Overpass, emission_window
from retrieval.plants.compare.profile import CYCLES, YearProfile, cycles_of

__all__ = ["AnnualTotal", "annual_total"]

_Z = 1.959963984540054
_HOUR = 3600.0


@dataclass(frozen=True)
class AnnualTotal:
    """Total of a year from snapshots.

    Parameters
    ----------
    total : float
        Mt; of overpasses with a rate.
    random, sampling, common : float
        Standard errors, Mt: of the rates, of having only these snapshots, of what all rates have alike.
    low, high : float
        95 % interval, Mt. Overpasses that saw nothing widen it: at the lower end they count as 0, at the upper
        as their limits of detection.
    overpasses, unseen : int
        With a rate; with a limit only.
    basis : str
        Of the profile.
    """

    total: float
    random: float
    sampling: float
    common: float
    low: float
    high: float
    overpasses: int
    unseen: int
    basis: str

    @property
    def error(self) -> float:
        """Standard error, Mt, all parts independent of each other."""
        return float(np.sqrt(self.random**2 + self.sampling**2 + self.common**2))


def annual_total(
    overpasses: Sequence[Overpass], profile: YearProfile, common_error: float
) -> AnnualTotal | None:
    """Return the year's total; None without a rate in the year.

    Parameters
    ----------
    overpasses : sequence of Overpass
        All of one method; those without a rate that saw nothing count in the interval.
    profile : YearProfile
        How the plant runs through the year.
    common_error : float
        Part of a rate's error that is the same for all, share of it; taken out of the parts that grow with the rate.

    Notes
    -----
    With rates q at relative rates f of the profile the mean rate is ``Q = Σ q / Σ f``. Its errors: of the
    rates, whose
    growing parts are shares of ``Q f``; of what is common, ``c Q``; and of departures e from the profile,
    whose mean over
    the year is 0 and whose correlation falls as ``exp(-lag / memory)``: ``Q s √(w'Rw - 2 w'r + r₀) / Σ f``
    with r, r₀ the correlation with the year's mean and its variance.
    """
    size = profile.rate.size
    zero = float(to_epoch(profile.start))
    used: list[tuple[Overpass, float, float]] = []
    unseen: list[tuple[float, float]] = []
    for o in overpasses:
        if o.status == "rejected" or o.method == "divergence" or not o.wind > 0:
            continue
        window = o.window or emission_window(o.time, o.start_km, o.end_km, o.wind)
        first, last = ((float(to_epoch(t)) - zero) / _HOUR for t in window)
        if first < 0 or last > size:
            continue
        f = _mean(profile.rate, first, last)
        if not np.isfinite(f):
            continue
        if o.status == "rate":
            used.append((o, f, 0.5 * (first + last)))
        elif np.isfinite(o.limit):
            unseen.append((o.limit, f))
    weight = sum(f for _, f, _ in used)
    if not used or weight <= 0:
        return None
    mean = sum(o.rate for o, _, _ in used) / weight
    random = 0.0
    for o, f, _ in used:
        growing = max(o.share**2 - common_error**2, 0.0)
        random += o.additive**2 + growing * (mean * f) ** 2
    at = np.array([at for _, _, at in used])
    unsampled = np.hypot(_sampling(at, size, profile.memory), _of_factors(at, profile))
    sampling = profile.spread * mean * float(unsampled) * len(used) / weight
    parts = np.array([np.sqrt(random) / weight, sampling, common_error * mean])
    half = _Z * float(np.sqrt(np.sum(parts**2)))
    low, high = mean - half, mean + half
    if unseen:
        total = sum(o.rate for o, _, _ in used)
        every = weight + sum(f for _, f in unseen)
        least, most = total / every, (total + sum(q for q, _ in unseen)) / every
        low, high = min(low, least * (1 - half / mean)), max(high, most * (1 + half / mean))
    to_mt = size * _HOUR * 1e-9
    return AnnualTotal(
        mean * to_mt,
        float(parts[0]) * to_mt,
        float(parts[1]) * to_mt,
        float(parts[2]) * to_mt,
        max(low, 0.0) * to_mt,
        high * to_mt,
        len(used),
        len(unseen),
        profile.basis,
    )


def _mean(rate: Floats, first: float, last: float) -> float:
    hours = np.arange(int(np.floor(first)), min(int(np.ceil(last)), rate.size))
    part = np.minimum(hours + 1.0, last) - np.maximum(hours, first)
    return float(np.sum(part * rate[hours]) / np.sum(part))


def _of_factors(at: Floats, profile: YearProfile) -> float:
    """Return the same of the fitted factors: snapshots of one month, weekday or hour share the error of its factor."""
    first = (profile.start + np.timedelta64(14, "h")).astype("datetime64[Y]").astype("datetime64[h]")  # local
    classes = cycles_of(first + np.floor(at).astype("timedelta64[h]"))
    shared = [
        float(np.mean(c[:, None] == c[None, :])) - 1.0 / n for c, n in zip(classes, CYCLES, strict=True)
    ]
    return float(np.sqrt(max(sum(v * s for v, s in zip(profile.fitted, shared, strict=True)), 0.0)))


def _sampling(at: Floats, size: int, memory: float) -> float:
    """Return the standard deviation of a mean of snapshots about the year's mean, for departures of unit spread.

    Parameters
    ----------
    at : ndarray, shape (n,)
        Hours since the year began.
    size : int
        Hours of the year.
    memory : float
        e-folding of the correlation, hours.
    """
    between = float(np.mean(np.exp(-np.abs(at[:, None] - at[None, :]) / memory)))
    with_year = float(np.mean(memory / size * (2.0 - np.exp(-at / memory) - np.exp(-(size - at) / memory))))
    of_year = 2.0 * memory / size * (1.0 - memory / size * (1.0 - np.exp(-size / memory)))
    return float(np.sqrt(max(between - 2.0 * with_year + of_year, 0.0)))
