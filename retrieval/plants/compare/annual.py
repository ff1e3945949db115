"""From a few snapshots to a year's total: how the plant runs through the year, and what few snapshots leave unknown."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from obsnet.errors import ConfigError, RangeError
from obsnet.inventory.prior.profiles import period_factors, read_profiles
from obsnet.times import to_epoch
from obsnet.typing import Floats
from retrieval.plants.compare.match import Overpass, emission_window
from retrieval.plants.options import YearOptions
from retrieval.plants.stack.record import StackRecord

__all__ = ["AnnualTotal", "YearProfile", "annual_total", "year_profile"]

_Z = 1.959963984540054
_LEAST = 0.9  # share of a year's hours that its own record must have to be its profile
_HOUR = 3600.0


@dataclass(frozen=True, eq=False)
class YearProfile:
    """How a plant runs through a year.

    Parameters
    ----------
    start : datetime64[h]
        Begin of the year, UTC (of the plant's standard time where a record says it).
    rate : ndarray, shape (hours,)
        Relative rate of each hour, mean 1; NaN where not known.
    spread : float
        Standard deviation of the hours' departures from it, share of the year's mean rate.
    memory : float
        How long departures last: e-folding, hours.
    basis : str
        Where it comes from.
    """

    start: np.datetime64
    rate: Floats
    spread: float
    memory: float
    basis: str


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
        95 % interval, Mt. Overpasses that saw nothing widen it: at the lower end they count as 0, at the upper as their
        limits of detection.
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


def year_profile(options: YearOptions, record: StackRecord | None) -> YearProfile:
    """Return the profile that is asked for; see `YearOptions.profile`.

    Raises
    ------
    ConfigError
        A record is needed and there is none, or it has too few hours of the year; spread or memory are not stated.
    """
    assert options.year is not None
    offset = 0.0 if record is None else record.utc_offset
    start = np.datetime64(f"{options.year}-01-01T00", "h") - np.timedelta64(round(offset), "h")
    stop = np.datetime64(f"{options.year + 1}-01-01T00", "h") - np.timedelta64(round(offset), "h")
    hours = np.arange(start, stop)
    if options.profile in {"hours", "cycles"}:
        if record is None:
            raise ConfigError(f"profile {options.profile} needs the plant's own record: give stack")
        return (
            _of_hours(record, hours, options.year)
            if options.profile == "hours"
            else _of_cycles(record, hours)
        )
    if options.profile_spread is None or options.profile_memory_days is None:
        raise ConfigError(
            "a profile that is not the plant's own record says nothing of how the plant departs from it: give "
            "profile_spread (share of the mean) and profile_memory_days"
        )
    if options.profile == "even":
        rate = np.ones(hours.size)
    else:
        profiles = read_profiles(Path(str(options.profile)), ["plant"])
        edges = np.stack([np.arange(hours.size), np.arange(hours.size) + 1], axis=1)
        first = np.datetime64(f"{options.year}-01-01T00", "h")
        rate = period_factors(profiles, ["plant"], first + edges.astype("timedelta64[h]"), options.year)[:, 0]
        start = first
    return YearProfile(
        start,
        rate,
        options.profile_spread,
        24.0 * options.profile_memory_days,
        f"{options.profile}, spread as stated",
    )


def _of_hours(record: StackRecord, hours: np.ndarray, year: int) -> YearProfile:
    rate = _record_at(record, hours)
    known = np.isfinite(rate)
    if known.mean() < _LEAST:
        raise ConfigError(
            f"the record has {known.mean():.0%} of the hours of {year}; its own hours as profile need {_LEAST:.0%}: --profile "
            "cycles takes its months, weekdays and hours"
        )
    if not np.nansum(rate) > 0:
        raise RangeError(f"the record is 0 throughout {year}: no profile")
    return YearProfile(hours[0], rate / np.nanmean(rate), 0.0, 1.0, f"the plant's own hours of {year}")


def _of_cycles(record: StackRecord, hours: np.ndarray) -> YearProfile:
    known = np.isfinite(record.mass)
    if known.sum() < 24 * 300 or not np.nansum(record.mass) > 0:
        raise ConfigError(
            f"the record has {int(known.sum())} hours with emission known; months, weekdays and hours of a profile need 300 days"
        )
    mean = float(record.mass[known].mean())
    local = record.hours + np.timedelta64(round(record.utc_offset), "h")
    factors = [_factors(record.mass / mean, known, *c) for c in _cycles(local)]
    departure = record.mass / mean - _product(factors, local)
    wanted = hours + np.timedelta64(round(record.utc_offset), "h")
    rate = _product(factors, wanted)
    spread = float(np.std(departure[known]))
    return YearProfile(
        hours[0],
        rate / rate.mean(),
        spread,
        _memory(departure),
        "months, weekdays and hours of the plant's own record",
    )


def _cycles(local: np.ndarray) -> tuple[tuple[np.ndarray, int], ...]:
    day = local.astype("datetime64[D]").astype(np.int64)
    month = local.astype("datetime64[M]").astype(np.int64) % 12
    hour = local.astype("datetime64[h]").astype(np.int64) % 24
    return (month, 12), ((day + 3) % 7, 7), (hour, 24)


def _factors(rate: Floats, known: np.ndarray, at: np.ndarray, size: int) -> Floats:
    count = np.bincount(at[known], minlength=size)
    total = np.bincount(at[known], weights=rate[known], minlength=size)
    return np.where(count > 0, total / np.maximum(count, 1), 1.0)


def _product(factors: Sequence[Floats], local: np.ndarray) -> Floats:
    month, week, hour = (f[at] for f, (at, _) in zip(factors, _cycles(local), strict=True))
    return np.asarray(month * week * hour)


def _memory(departure: Floats) -> float:
    """Return the lag, hours, after which the autocorrelation of departures stays under 1/e for a day."""
    d = np.where(np.isfinite(departure), departure, 0.0)
    size = 1 << (2 * d.size - 1).bit_length()
    power = np.abs(np.fft.rfft(d, size)) ** 2
    lagged = np.fft.irfft(power, size)[: d.size // 4]
    above = np.flatnonzero(lagged > lagged[0] / np.e)
    gaps = np.flatnonzero(np.diff(above) > 24)
    return float(above[gaps[0]] if gaps.size else above[-1]) + 1.0


def _record_at(record: StackRecord, hours: np.ndarray) -> Floats:
    at = (hours - record.start).astype(np.int64)
    inside = (at >= 0) & (at < record.mass.size)
    out = np.full(hours.size, np.nan)
    out[inside] = record.mass[at[inside]]
    return out


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
    With rates q at relative rates f of the profile the mean rate is ``Q = Σ q / Σ f``. Its errors: of the rates, whose
    growing parts are shares of ``Q f``; of what is common, ``c Q``; and of departures e from the profile, whose mean over
    the year is 0 and whose correlation falls as ``exp(-lag / memory)``: ``Q s √(w'Rw - 2 w'r + r₀) / Σ f`` with r, r₀ the
    correlation with the year's mean and its variance.
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
    sampling = (
        profile.spread
        * mean
        * _sampling(np.array([at for _, _, at in used]), size, profile.memory)
        * len(used)
        / weight
    )
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
        *(float(p) * to_mt for p in parts),
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


def _sampling(at: Floats, size: int, memory: float) -> float:
    """Return the standard deviation of a mean of snapshots about the year's mean, for departures of standard deviation 1.

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
