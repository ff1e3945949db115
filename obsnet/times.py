"""Time: UTC, timezone-naive ``datetime64``, and one way to name months, bins and solar hours."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
import numpy.typing as npt

from obsnet.errors import ConfigError, UnitError
from obsnet.typing import Texts

__all__ = [
    "SEASONS",
    "as_utc",
    "counted_since",
    "decimal_year",
    "from_epoch",
    "later",
    "season",
    "solar_hour",
    "time_bins",
    "to_epoch",
    "year_month",
]

EPOCH = np.datetime64("1970-01-01T00:00:00", "us")
_CIVIL = {"standard", "gregorian", "proleptic_gregorian"}
SEASONS = ("DJF", "MAM", "JJA", "SON")


def as_utc(text: Any) -> np.datetime64:
    """Read a time given by a person or a file as UTC.

    Parameters
    ----------
    text : str, datetime or datetime64
        ISO 8601, with or without an offset; without one it is UTC.

    Returns
    -------
    numpy.datetime64
        Microseconds, timezone-naive UTC.

    Raises
    ------
    ConfigError
        The text is no time.
    """
    import pandas as pd

    try:
        stamp = pd.Timestamp(text)
    except (ValueError, TypeError) as error:
        raise ConfigError(f"{text!r} is not a time; write it as 2019-01-31 or 2019-01-31T06:00Z") from error
    if pd.isna(stamp):
        raise ConfigError(f"{text!r} is not a time")
    if stamp.tzinfo is not None:
        stamp = stamp.tz_convert("UTC").tz_localize(None)
    return np.datetime64(stamp, "us")


def counted_since(unit: str, calendar: str = "standard") -> tuple[str, float]:
    """Return from when numbers of a CF unit of time count, UTC, and how many seconds one of them is.

    Parameters
    ----------
    unit : str
        ``"seconds since 1970-1-1 0:0:0"``, ``"secs since 1970-01-01 08:00 +08:00"``: whatever cftime reads.
    calendar : str
        As in the file; only civil ones.

    Raises
    ------
    UnitError
        No such unit, or a calendar whose days are not the civil ones.
    """
    import cftime

    if calendar.lower() not in _CIVIL:
        raise UnitError(f"is in the calendar {calendar!r}, not the civil one")
    try:
        start, after = cftime.num2date(
            [0, 1],
            " ".join(unit.split()),
            calendar.lower(),
            only_use_cftime_datetimes=False,
            only_use_python_datetimes=True,
        )
    except (ValueError, TypeError, OverflowError) as error:
        raise UnitError(f"has units {unit!r}, not '<unit> since <date>' ({error})") from error
    return start.isoformat(), (after - start).total_seconds()


def from_epoch(seconds: Any, epoch: str = "1970-01-01") -> np.ndarray:
    """Turn seconds since `epoch` into ``datetime64[us]``; what is not finite or beyond all years becomes NaT."""
    seconds = np.asarray(seconds, dtype=np.float64)
    with np.errstate(invalid="ignore"):
        finite = np.abs(seconds) < 9e12  # 64 bits hold 9.2e12 s
    micros = np.round(np.where(finite, seconds, 0.0) * 1e6).astype("timedelta64[us]")
    return np.where(finite, np.datetime64(epoch, "us") + micros, np.datetime64("NaT", "us"))


def to_epoch(times: Any) -> np.ndarray:
    """Turn ``datetime64`` into float64 seconds since 1970-01-01; NaT becomes NaN."""
    times = np.asarray(times).astype("datetime64[us]")
    seconds = (times - EPOCH).astype(np.int64) / 1e6
    return np.where(np.isnat(times), np.nan, seconds)


def later(time: Any, steps: Any = 1) -> Any:
    """Return dates so many of their own units later: one that is written as a month the next month.

    Parameters
    ----------
    time : datetime64 or ndarray of it
        In years, months, days ..., whose lengths differ.
    steps : int or ndarray of int
        How many; negative for earlier.

    Examples
    --------
    >>> str(later(np.datetime64("2019-12"))), str(later(np.datetime64("2020-03-01"), -1))
    ('2020-01', '2020-02-29')
    """
    # numpy takes no bare numbers for lengths of time any more
    return time + np.asarray(steps).astype(f"timedelta64[{np.datetime_data(time.dtype)[0]}]")


def year_month(times: Any) -> tuple[np.ndarray, np.ndarray]:
    """Return calendar year and month (1-12) of ``datetime64`` values, as int32."""
    months = np.asarray(times).astype("datetime64[M]").astype(np.int64)
    return (1970 + months // 12).astype(np.int32), (1 + months % 12).astype(np.int32)


def decimal_year(times: Any) -> np.ndarray:
    """Return decimal years, with the true length of each year.

    Parameters
    ----------
    times : ndarray of datetime64
        UTC.

    Returns
    -------
    ndarray of float64
        ``2020.5`` is the middle of a leap year's 366 days.
    """
    times = np.asarray(times).astype("datetime64[us]")
    start = times.astype("datetime64[Y]")
    first = start.astype("datetime64[us]")
    length = later(start).astype("datetime64[us]") - first
    return 1970 + start.astype(np.int64) + (times - first) / length


def solar_hour(times: Any, longitude: Any) -> np.ndarray:
    """Return local mean solar time in hours, 0 <= h < 24.

    Parameters
    ----------
    times : ndarray of datetime64
        UTC.
    longitude : float or ndarray
        Degrees east, any convention.

    Returns
    -------
    ndarray of float64
        UTC hour plus longitude / 15. The equation of time (at most 17 minutes) is left out.
    """
    return np.mod(to_epoch(times) / 3600.0 + np.asarray(longitude, dtype=np.float64) / 15.0, 24.0)


def season(time: npt.ArrayLike) -> Texts:
    """Return the three-month season of UTC times: one of `SEASONS`."""
    month = np.asarray(time).astype("datetime64[M]").astype(np.int64) % 12
    return np.array(SEASONS)[(month + 1) // 3 % 4]


def step_offset(step: str) -> Any:
    """Return the pandas offset of a step such as ``3h``, ``1D``, ``MS``; what pandas is about to give up is refused."""
    import pandas as pd

    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error", FutureWarning)
            return pd.tseries.frequencies.to_offset(step)
    except (ValueError, FutureWarning) as error:
        raise ConfigError(f"{step!r} is not a time step; write it as 3h, 1D or MS") from error


def round_time(time: Any, step: str) -> np.datetime64:
    """Return the last round time at or before `time`: a multiple of ``3h``, midnight, a month's first day."""
    import pandas as pd

    offset, moment = step_offset(step), pd.Timestamp(as_utc(time))
    fixed = isinstance(offset, pd.tseries.offsets.Tick | pd.tseries.offsets.Day)
    rounded = moment.floor(step) if fixed else offset.rollback(moment.normalize())
    return rounded.to_datetime64().astype("datetime64[us]")


def time_bins(start: Any, stop: Any, step: str) -> np.ndarray:
    """Return the edges of flux time bins that cover ``[start, stop]``.

    Parameters
    ----------
    start, stop : time
        See `as_utc`.
    step : str
        A pandas frequency: ``"3h"``, ``"1D"``, ``"MS"`` (calendar months).

    Returns
    -------
    ndarray of datetime64[us], shape (bins + 1,)
        First edge at `start`; the last edge is at or after `stop`.
    """
    import pandas as pd

    first, last = as_utc(start), as_utc(stop)
    if not last > first:
        raise ConfigError(f"time bins need stop after start, found {first} to {last}")
    offset = step_offset(step)
    edges: pd.Index = pd.date_range(first, last, freq=offset)
    if len(edges) == 0 or edges[0] != pd.Timestamp(first):
        edges = edges.insert(0, pd.Timestamp(first))
    if edges[-1] < pd.Timestamp(last):
        edges = edges.append(pd.DatetimeIndex([edges[-1] + offset]))
    return edges.to_numpy().astype("datetime64[us]")
