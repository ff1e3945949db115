"""Times of a table of one's own: any format, 24:00, clocks with and without summer time, to UTC."""

from __future__ import annotations

import datetime as dt
import re
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np
from pydantic import Field

from obsnet.config import Options
from obsnet.errors import ConfigError
from stations.readers.text import local_to_utc, midnight
from stations.record.record import Notes

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["TimeLayout", "utc_times"]

# What the parts of a format look like; the rest of a format stands for itself.
_PARTS = {
    "%Y": r"\d{4}",
    "%y": r"\d{2}",
    "%b": r"[A-Za-z]{3}",
    "%B": r"[A-Za-z]+",
    "%j": r"\d{1,3}",
    "%f": r"0+",
    "%z": r"(?:Z|[+-]\d{2}:?\d{2})",
}
_DAY = np.timedelta64(1, "D")


class TimeLayout(Options):
    """``[time]``: what the time stamps of a table say."""

    columns: list[str] = Field(min_length=1, description="joined by a blank")
    format: str | None = Field(default=None, description="without it ISO 8601")
    zone: str = Field("UTC", description="UTC+08:00, or a name such as Asia/Shanghai")
    summer_time: bool | None = Field(
        None, description="whether the clock followed the zone's summer time; asked for where it matters"
    )
    stamp: str = Field(pattern="^(start|middle|end|instant)$")
    interval: str | None = Field(None, description="a length of time such as 1h, or month")


def utc_times(text: pd.Series, layout: TimeLayout, path: str, notes: Notes) -> np.ndarray:
    """Return ``datetime64[ns]`` UTC of the texts of time stamps; what is none becomes NaT.

    Parameters
    ----------
    text : Series of str
        The columns of the time, joined by blanks.
    layout : TimeLayout
        What they say.
    path : str
        For errors.
    notes : Notes
        Told of times of 24:00 and of shifts.

    Raises
    ------
    ConfigError
        The format does not fit; the zone is unknown, or has summer time and nobody said whether the clock did.
    """
    import pandas as pd

    text, next_day = _midnights(text, layout.format)
    notes.changed(next_day.sum(), "times of 24:00 taken as the next midnight")
    try:
        stamp = pd.to_datetime(text, format=layout.format or "ISO8601", errors="coerce", utc=False)
        if (
            layout.format and stamp.isna().any()
        ):  # cells of a workbook are dates, whatever their text's format
            iso = pd.to_datetime(text.where(stamp.isna()), format="ISO8601", errors="coerce", utc=False)
            notes.changed(iso.notna().sum(), "times that are not of time.format read as ISO 8601")
            stamp = stamp.fillna(iso)
        aware = getattr(stamp.dtype, "tz", None) is not None
        clock = stamp.dt.tz_localize(None).to_numpy() if aware else None
        if aware:
            stamp = stamp.dt.tz_convert("UTC").dt.tz_localize(None)
        plain = stamp.to_numpy().astype("datetime64[us]") + np.where(next_day, _DAY, 0 * _DAY)
    except (ValueError, TypeError) as error:
        raise ConfigError(
            f"{path}: times such as {text.iloc[0]!r} do not fit time.format ({error})"
        ) from error
    inside = (plain > np.datetime64("1800")) & (plain < np.datetime64("2200"))
    plain = np.where(inside, plain, np.datetime64("NaT", "ns")).astype("datetime64[ns]")
    if next_day.any() and layout.stamp == "start":
        notes.warn(next_day.sum(), "times of 24:00 are ends of their intervals, and time.stamp is 'start'")
    if clock is not None:  # the stamps say their offset themselves
        _compare_offsets(clock, stamp.to_numpy(), layout.zone, notes)
        return plain
    return (
        _from_zone(plain, layout, path, notes)
        if "/" in layout.zone
        else local_to_utc(plain, layout.zone, notes)
    )


def _compare_offsets(clock: np.ndarray, utc: np.ndarray, zone: str, notes: Notes) -> None:
    """Say so where stamps name another offset from UTC than the description's, if that is one."""
    if "/" in zone or np.isnat(utc).all():
        return
    other = ~np.isnat(utc) & (local_to_utc(clock, zone, Notes()) != utc)
    notes.warn(other.sum(), f"times name another offset from UTC than time.zone, {zone}: their own was taken")


def _midnights(text: pd.Series, format: str | None) -> tuple[pd.Series, np.ndarray]:
    """Return texts in which 24:00 is 00:00, and where it was; cells of a workbook are ISO whatever the format."""
    import pandas as pd

    swap = _at_zero(format)
    plain = [swap(t) or midnight(t) for t in text.tolist()]
    moved = np.array([new is not None for new in plain], dtype=bool)
    return pd.Series([t if new is None else new for t, new in zip(text, plain, strict=True)]), moved


def _at_zero(format: str | None) -> Callable[[str], str | None]:
    """Return what turns a text of 24:00 into one of 00:00, and any other into None."""
    if format is None:
        return midnight
    if "%H" not in format:
        return lambda _text: None
    pattern = ""
    for part in re.findall(r"%.|[^%]+", format):
        if part == "%H":
            pattern += r")24("
        elif part in {"%M", "%S"}:
            pattern += r"0{1,2}"
        else:
            pattern += _PARTS.get(part, r"\d{1,2}" if part[0] == "%" else re.escape(part))
    form = re.compile(f"^({pattern})$")
    return lambda t: f"{m[1]}00{m[2]}" if "24" in t and (m := form.match(t)) else None


def _from_zone(plain: np.ndarray, layout: TimeLayout, path: str, notes: Notes) -> np.ndarray:
    """Return UTC of the clock of a named zone."""
    import pandas as pd

    zone = layout.zone
    try:
        local = pd.Series(plain).dt.tz_localize(zone, ambiguous="NaT", nonexistent="NaT")
    except Exception as error:  # the kind depends on where pandas finds its time zones
        raise ConfigError(f"{path}: time zone {zone!r} is not known here; write it as UTC+08:00") from error
    utc = local.dt.tz_convert("UTC").dt.tz_localize(None).to_numpy().astype("datetime64[ns]")
    winter = plain - _standard_offset(zone, plain)
    unclear = np.isnat(utc) & ~np.isnat(plain)
    summer = unclear | (~np.isnat(utc) & (utc != winter))
    if layout.summer_time is None and summer.any():
        years = plain[summer].astype("datetime64[Y]")
        raise ConfigError(
            f"{path}: {zone} had summer time in {_span(years)}: say whether the clock followed it, "
            "time.summer_time = true or false"
        )
    notes.changed(len(plain), f"times brought from {zone} to UTC")
    if layout.summer_time is False:
        return winter
    notes.warn(unclear.sum(), "times that the change of summer time skips or repeats")
    return utc


def _span(years: Any) -> str:
    first, last = str(years.min())[:4], str(years.max())[:4]
    return first if first == last else f"{first} to {last}"


def _standard_offset(zone: str, plain: np.ndarray) -> np.ndarray:
    """Return how far a zone's winter clock is ahead of UTC at each time."""
    from zoneinfo import ZoneInfo

    import pandas as pd

    clock = ZoneInfo(zone)
    offset = np.zeros(plain.size, dtype="timedelta64[s]")
    days, back = np.unique(plain.astype("datetime64[D]"), return_inverse=True)
    for k, day in enumerate(days):
        if not np.isnat(day):
            noon = pd.Timestamp(day).to_pydatetime().replace(hour=12, tzinfo=clock)
            ahead = (noon.utcoffset() or dt.timedelta()) - (noon.dst() or dt.timedelta())
            offset[back.ravel() == k] = np.timedelta64(int(ahead.total_seconds()), "s")
    return offset
