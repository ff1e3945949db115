"""How a plant runs through a year: its own hours, cycles of its own record, or what is stated."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from obsnet.errors import ConfigError, RangeError
from obsnet.inventory.prior.profiles import period_factors, read_profiles
from obsnet.typing import Floats
from retrieval.plants.options import YearOptions
from retrieval.plants.stack.record import StackRecord

__all__ = ["CYCLES", "YearProfile", "cycles_of", "year_profile"]

_LEAST = 0.9  # share of a year's hours that its own record must have to be its profile
_DAYS = 300  # of a record with emission known, for cycles
_MOST = 0.3  # share of the spread that months may take out of departures; beyond, memory is longer than can be told
CYCLES = (12, 7, 24)  # months, weekdays, hours


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
    fitted : tuple of float
        Variance of a fitted factor of months, weekdays and hours over that of a departure; 0 where nothing was fitted.
    """

    start: np.datetime64
    rate: Floats
    spread: float
    memory: float
    basis: str
    fitted: tuple[float, float, float] = (0.0, 0.0, 0.0)


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
            f"the record has {known.mean():.0%} of the hours of {year}; its own hours as profile need {_LEAST:.0%}: "
            "--profile cycles takes its months, weekdays and hours"
        )
    if not np.nansum(rate) > 0:
        raise RangeError(f"the record is 0 throughout {year}: no profile")
    return YearProfile(hours[0], rate / np.nanmean(rate), 0.0, 1.0, f"the plant's own hours of {year}")


def _of_cycles(record: StackRecord, hours: np.ndarray) -> YearProfile:
    known = np.isfinite(record.mass)
    if known.sum() < 24 * _DAYS or not np.nansum(record.mass) > 0:
        raise ConfigError(
            f"the record has {int(known.sum())} hours with emission known; months, weekdays and hours as profile need "
            f"those of {_DAYS} days"
        )
    mean = float(record.mass[known].mean())
    local = record.hours + np.timedelta64(round(60 * record.utc_offset), "m")
    factors = [_factors(record.mass / mean, known, *c) for c in zip(cycles_of(local), CYCLES, strict=True)]
    departure = record.mass / mean - _product(factors, local)
    wanted = hours + np.timedelta64(round(record.utc_offset), "h")
    rate = _product(factors, wanted)
    memory, taken = _memory(departure)
    spread = float(np.std(departure[known])) / np.sqrt(1.0 - taken)
    count = int(known.sum())
    weekday = min(memory / 12.0, 1.0) * 168.0 / count * (1.0 + 2.0 / np.expm1(168.0 / memory))
    hour = 24.0 / count * (1.0 + 2.0 / np.expm1(24.0 / memory))
    return YearProfile(
        hours[0],
        rate / rate.mean(),
        spread,
        memory,
        "months, weekdays and hours of the plant's own record",
        (taken, float(weekday), float(hour)),
    )


def cycles_of(local: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return month (0 to 11), weekday (Monday 0) and hour of local times."""
    day = local.astype("datetime64[D]").astype(np.int64)
    month = local.astype("datetime64[M]").astype(np.int64) % 12
    hour = local.astype("datetime64[h]").astype(np.int64) % 24
    return month, (day + 3) % 7, hour


def _factors(rate: Floats, known: np.ndarray, at: np.ndarray, size: int) -> Floats:
    count = np.bincount(at[known], minlength=size)
    total = np.bincount(at[known], weights=rate[known], minlength=size)
    return np.where(count > 0, total / np.maximum(count, 1), 1.0)


def _product(factors: Sequence[Floats], local: np.ndarray) -> Floats:
    month, week, hour = (f[at] for f, at in zip(factors, cycles_of(local), strict=True))
    return np.asarray(month * week * hour)


def _memory(departure: Floats) -> tuple[float, float]:
    """Return how long departures last and which share of their variance the fitted months took out.

    Notes
    -----
    Memory is the lag, hours, after which the autocorrelation stays under 1/e for a day. A month's mean of departures of
    memory m has the variance ``2 m / 730`` of one; what was taken out with it is missing at every lag, so that the
    measured correlation falls too soon: both are put back, to a fixed point.
    """
    d = np.where(np.isfinite(departure), departure, 0.0)
    size = 1 << (2 * d.size - 1).bit_length()
    power = np.abs(np.fft.rfft(d, size)) ** 2
    lagged = np.fft.irfft(power, size)[: d.size // 4]
    memory, taken = 1.0, 0.0
    for _ in range(20):
        above = np.flatnonzero(lagged / lagged[0] * (1.0 - taken) + taken > 1.0 / math.e)
        gaps = np.flatnonzero(np.diff(above) > 24)
        memory = float(above[gaps[0]] if gaps.size else above[-1]) + 1.0
        taken, before = min(2.0 * memory / 730.5, _MOST), taken
        if taken == before:
            break
    return memory, taken


def _record_at(record: StackRecord, hours: np.ndarray) -> Floats:
    at = np.rint((hours - record.start) / np.timedelta64(1, "h")).astype(np.int64)
    inside = (at >= 0) & (at < record.mass.size)
    out = np.full(hours.size, np.nan)
    out[inside] = record.mass[at[inside]]
    return out
