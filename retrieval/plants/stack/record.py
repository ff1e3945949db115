"""A plant's hourly record: mass of each hour, its error by flags, what is missing, means over any window."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from obsnet.errors import RangeError
from obsnet.times import to_epoch
from obsnet.typing import Floats

__all__ = ["StackRecord", "StackWindow", "StackYear"]

_HOUR = 3600.0
_LEAST = 0.5  # share of a window that must be seen for a mean of it
_LEAST_YEAR = 0.75  # the same of a year


@dataclass(frozen=True)
class StackWindow:
    """Mean emission of a window.

    Parameters
    ----------
    rate, error : float
        kg s-1, and its standard error; NaN where too little is seen.
    seen : float
        Share of the window with a value.
    substituted : float
        Share of the mass that was not measured in full.
    """

    rate: float
    error: float
    seen: float
    substituted: float


@dataclass(frozen=True)
class StackYear:
    """Total of a year.

    Parameters
    ----------
    total, error : float
        kg, and its standard error.
    seen, substituted : float
        Share of the hours with a value, share of the mass that was not measured in full.
    """

    total: float
    error: float
    seen: float
    substituted: float


@dataclass(frozen=True, eq=False)
class StackRecord:
    """Hourly mass of all stacks of a plant together.

    Parameters
    ----------
    plant : str
        As the file calls it.
    start : datetime64[m]
        Begin of the first hour, UTC; on the half hour where the plant's clock is.
    mass : ndarray, shape (hours,)
        kg in the hour; NaN where the value of any unit is missing.
    error : ndarray, shape (hours,)
        Standard error of it, kg. What the monitors do wrong they do for long: errors of hours and of units are taken
        as fully correlated, so that no mean makes them smaller.
    substituted : ndarray, shape (hours,)
        kg of the mass that was not measured in full.
    units : tuple of str
        Stacks or units that were added up.
    utc_offset : float
        Hours that the plant's standard time is ahead of UTC.
    notes : tuple of str
        What was chosen and what was found on reading.
    """

    plant: str
    start: np.datetime64
    mass: Floats
    error: Floats
    substituted: Floats
    units: tuple[str, ...]
    utc_offset: float
    notes: tuple[str, ...] = ()

    @property
    def hours(self) -> np.ndarray:
        """Begins of the hours, UTC, datetime64."""
        return self.start + np.arange(self.mass.size).astype("timedelta64[h]")

    def window(self, start: np.datetime64, stop: np.datetime64) -> StackWindow:
        """Return the mean over a window; hours that it cuts count by the part inside, as if even within the hour.

        Parameters
        ----------
        start, stop : datetime64
            UTC; `stop` after `start`.

        Notes
        -----
        A part that is missing is taken as the rest of the window, with the scatter of the hours of the three days
        about it as its error.
        """
        nan = float("nan")
        first, last = float(to_epoch(start)), float(to_epoch(stop))
        if not last > first:
            raise RangeError("a window needs its end after its begin")
        zero = float(to_epoch(self.start))
        low = max(int(np.floor((first - zero) / _HOUR)), 0)
        high = min(int(np.ceil((last - zero) / _HOUR)), self.mass.size)
        if high <= low:
            return StackWindow(nan, nan, 0.0, nan)
        begin = zero + _HOUR * np.arange(low, high)
        part = np.clip(np.minimum(begin + _HOUR, last) - np.maximum(begin, first), 0.0, None)
        mass = self.mass[low:high]
        known = np.isfinite(mass) & (part > 0)
        seen = float(part[known].sum() / (last - first))
        if seen < _LEAST:
            return StackWindow(nan, nan, seen, nan)
        share = part[known] / part[known].sum()
        rate = float(share @ mass[known]) / _HOUR
        near = self.mass[max(low - 36, 0) : high + 36]
        missing = (1.0 - seen) * float(np.nanstd(near)) / _HOUR
        error = float(np.hypot(share @ self.error[low:high][known] / _HOUR, missing))
        given = float(share @ self.substituted[low:high][known]) / _HOUR
        return StackWindow(rate, error, seen, given / rate if rate > 0 else 0.0)

    def year(self, year: int) -> StackYear | None:
        """Return the total of a calendar year of the plant's standard time; None where too little of it is seen.

        Notes
        -----
        Missing hours are taken as the mean of the others, with the standard deviation of hours as the error of each,
        all of one gap together: ``missing sd``.
        """
        mass, of = self._of_year(year)
        known = np.isfinite(mass)
        seen = float(known.sum() / of)
        if seen < _LEAST_YEAR:
            return None
        hours = self._slice(year)
        total = float(mass[known].sum())
        missing = (of - int(known.sum())) * float(np.std(mass[known]))
        error = float(np.hypot(self.error[hours][known].sum() / seen, missing))
        given = float(self.substituted[hours][known].sum())
        return StackYear(total / seen, error, seen, given / total if total > 0 else 0.0)

    def _slice(self, year: int) -> slice:
        first, last = (self._index(y) for y in (year, year + 1))
        return slice(min(max(first, 0), self.mass.size), min(max(last, 0), self.mass.size))

    def _of_year(self, year: int) -> tuple[Floats, int]:
        return self.mass[self._slice(year)], self._index(year + 1) - self._index(year)

    def _index(self, year: int) -> int:
        local = float(to_epoch(np.datetime64(f"{year}-01-01", "us"))) - self.utc_offset * _HOUR
        return round((local - float(to_epoch(self.start))) / _HOUR)
