"""What time a row of an inventory is of: a year, a month, a day, or a range of them."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any

import numpy as np

from obsnet.errors import FormatError
from obsnet.times import later

__all__ = ["Period", "printed_period", "read_period"]

_PART = re.compile(r"(\d{4})(?:-(\d{2})(?:-(\d{2})(T[\d:.]+Z?)?)?)?")


@dataclass(frozen=True)
class Period:
    """A stretch of time.

    Parameters
    ----------
    start, stop : numpy.datetime64
        UTC, microseconds; the stop is not part of it.
    """

    start: np.datetime64
    stop: np.datetime64

    @property
    def length(self) -> float:
        """Seconds."""
        return float((self.stop - self.start) / np.timedelta64(1, "s"))

    @property
    def whole_years(self) -> int:
        """How many calendar years it is, 0 if not a whole number of them."""
        first, last = (t.astype("datetime64[Y]") for t in (self.start, self.stop))
        return int((last - first).astype(int)) if first == self.start and last == self.stop else 0

    def shifted(self, years: int) -> Period:
        """Return the same time of another year; the last day of February stays that."""
        return Period(*(_shift(t, years) for t in (self.start, self.stop)))

    def __str__(self) -> str:
        years = self.whole_years
        if years:
            first, last = self.start.astype("datetime64[Y]"), later(self.stop, -1).astype("datetime64[Y]")
            return str(first) if years == 1 else f"{first}/{last}"
        return f"{_plain(self.start)} to {_plain(self.stop)}"


def _plain(time: np.datetime64) -> str:
    return str(time.astype("datetime64[D]") if time == time.astype("datetime64[D]") else time)


def _shift(time: np.datetime64, years: int) -> np.datetime64:
    import pandas as pd

    return np.datetime64(pd.Timestamp(time) + pd.DateOffset(years=years), "us")


def read_period(text: Any) -> Period:
    """Read the period of a row.

    Parameters
    ----------
    text : str or int
        ``2019``, ``2019-01``, ``2019-01-31``, or two of them with a slash between; a day, month or year at the
        end of a range is part of it (``2019-01/2019-03`` is the first quarter). Times of day are instants:
        ``2019-01-01T00:00/2020-01-01T00:00`` is the year 2019.

    Raises
    ------
    FormatError
        It is none of these, or ends before it begins.
    """
    plain = str(text).strip()
    parts = [p.strip() for p in plain.split("/")]
    matches = [_PART.fullmatch(p) for p in parts]
    try:
        if len(parts) > 2 or None in matches:
            raise ValueError
        found = [_span(m) for m in matches if m is not None]
        period = Period(found[0][0], found[-1][1])
    except ValueError:
        period = None
    if period is None or not period.start < period.stop:
        raise FormatError(
            f"period {plain!r} is no time: write a year (2019), a month (2019-01), or a range whose last part belongs "
            "to it (2019-01/2019-03)"
        )
    return period


def printed_period(text: str) -> Period:
    """Return the period that a table names as `Period` prints it: ``A to B`` ends where B begins.

    Examples
    --------
    >>> printed_period("2019-01-01 to 2019-01-07").length / 86400, str(printed_period("2019"))
    (6.0, '2019')
    """
    start, between, stop = text.partition(" to ")
    return Period(*(np.datetime64(t, "us") for t in (start, stop))) if between else read_period(text)


def _span(match: re.Match[str]) -> tuple[np.datetime64, np.datetime64]:
    """Return begin and end of one part; an instant begins and ends at once."""
    text, clock = match.group().rstrip("Z"), match.group(4)
    if clock:
        instant = np.datetime64(text, "us")
        return instant, instant
    part = np.datetime64(text)  # a year, a month or a day, as written
    return part.astype("datetime64[us]"), later(part).astype("datetime64[us]")
