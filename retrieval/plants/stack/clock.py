"""The clock of a stack file: what its stamps name, how far they are from UTC, and whether it changes to summer time."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from obsnet.errors import FormatError
from obsnet.typing import Floats
from retrieval.plants.options import StackOptions
from retrieval.plants.stack.layout import StackLayout

__all__ = ["Stamps", "refuse_summer_time", "stamps", "to_utc"]

_DATE = r"(?P<y>\d{4})[-/.年](?P<m>\d{1,2})[-/.月](?P<d>\d{1,2})日?"
_CLOCK = r"(?:[T\s]*(?P<h>\d{1,2})(?:[:时点](?P<min>\d{1,2})?(?::(?P<s>\d{1,2})(?:\.0+)?)?分?)?)?"
_OFFSET = r"\s*(?P<off>Z|[+-]\d{2}:?\d{2})?"
_CHANGE = (3, 4, 9, 10, 11)  # months in which clocks change


@dataclass(frozen=True, eq=False)
class Stamps:
    """Begins of the hours.

    Parameters
    ----------
    local : DatetimeIndex
        As the file's clock has them.
    offset : ndarray, shape (rows,)
        Hours that the clock is ahead of UTC.
    notes : tuple of str
        What was found out.
    """

    local: pd.DatetimeIndex
    offset: Floats
    notes: tuple[str, ...]


def to_utc(stamp: Stamps) -> pd.DatetimeIndex:
    """Return begins of the hours in UTC."""
    return stamp.local - pd.to_timedelta(stamp.offset, unit="h")


def stamps(
    text: dict[str, pd.Series],
    layout: StackLayout,
    options: StackOptions,
    where: str,
    line: Any,
    *,
    daily: bool = False,
) -> Stamps:
    """Return when the hours of a file begin.

    Parameters
    ----------
    text : dict of str to Series
        Columns by role: ``time``, or ``date`` and ``hour``; ``utc_offset``.
    layout, options
        What they say of stamp and offset; the options go first where the layout says nothing.
    where : str
        File, for messages.
    line : ndarray of int
        Rows of the file.
    daily : bool
        Days in the place of hours.

    Raises
    ------
    FormatError
        Stamps that are none, offset or meaning that nobody states, or that file and option state differently.
    """
    both = text["time"] if "time" in text else text["date"] + (" " + text["hour"] if "hour" in text else "")
    parts = both.str.extract(f"^{_DATE}{_CLOCK}{_OFFSET}$")
    odd = parts["d"].isna() | (parts["h"].isna() & (not daily))
    if not odd.any():
        digits = parts[["y", "m", "d", "h", "min", "s"]].fillna("0").astype(np.int64)
        frame = digits.rename(columns={"y": "year", "m": "month", "d": "day"})[["year", "month", "day"]]
        days = pd.to_datetime(frame, errors="coerce")
        odd = days.isna() | (digits["h"] > 24) | (digits["min"] != 0) | (digits["s"] != 0)
    if odd.any():
        k = int(np.flatnonzero(odd)[0])
        raise FormatError(
            f"{where}: row {line[k]}: {both.iloc[k]!r} is not the begin or end of an hour; write "
            "2024-01-31 05:00, year first"
        )
    hour = digits["h"].to_numpy()
    notes: list[str] = []
    stamp = layout.stamp or options.stamp
    if daily:
        stamp = "start"
    elif layout.stamp and options.stamp and layout.stamp != options.stamp:
        raise FormatError(
            f"{where}: the layout says that hours are named by their {layout.stamp}, --stamp says {options.stamp}"
        )
    elif (hour == 24).any():
        if stamp == "start" or (hour == 0).any():
            raise FormatError(
                f"{where}: hour 24 in row {line[int(np.flatnonzero(hour == 24)[0])]}: named by the begin, "
                "hours are 0 to 23"
            )
        notes.append("hours run from 1 to 24: named by their end")
        stamp = "end"
    if stamp is None:
        raise FormatError(
            f"{where}: does 05:00 name the hour that begins then, or the one that ends then? Say --stamp "
            "start or --stamp end"
        )
    local = pd.DatetimeIndex(days) + pd.to_timedelta(hour - (stamp == "end"), unit="h")
    if not daily:
        notes.append(f"hours are named by their {'begin' if stamp == 'start' else 'end'}")
    return Stamps(
        local, _offsets(parts["off"], text, layout, options, where, line, daily=daily), tuple(notes)
    )


def _offsets(
    stated: pd.Series, text: dict[str, pd.Series], layout: StackLayout, options: StackOptions, where: str, line: Any,
    *, daily: bool,
) -> Floats:  # fmt: skip
    found: Floats | None = None
    if stated.notna().any() or "utc_offset" in text:
        words = stated if stated.notna().any() else text["utc_offset"]
        found = words.map(lambda w: _hours(w, where)).to_numpy(float)
        if np.isnan(found).any():
            raise FormatError(
                f"{where}: row {line[int(np.flatnonzero(np.isnan(found))[0])]} states no offset from UTC, others do"
            )
    for name, given in (("the layout", layout.utc_offset), ("--utc-offset", options.utc_offset)):
        if given is None:
            continue
        if found is not None and (found != given).any():
            other = float(found[found != given][0])
            raise FormatError(f"{where}: {name} says UTC{given:+g}, the file (or the layout) UTC{other:+g}")
        found = np.full(len(stated), given)
    if found is None:
        if daily:
            return np.zeros(len(stated))
        raise FormatError(
            f"{where}: local time, and nothing says how far it is from UTC: --utc-offset 8 (China), "
            "--utc-offset -6 (US "
            "Central), as standard time without summer time"
        )
    return found


def _hours(word: Any, where: str) -> float:
    if not isinstance(word, str) or not word:
        return float("nan")
    text = word.upper().removeprefix("UTC").removeprefix("GMT") or "0"
    try:
        if text == "Z":
            return 0.0
        if ":" in text or len(text.lstrip("+-")) == 4:
            digits = text.lstrip("+-").replace(":", "")
            return (-1.0 if text.startswith("-") else 1.0) * (int(digits[:-2]) + int(digits[-2:]) / 60.0)
        return float(text)
    except ValueError:
        raise FormatError(f"{where}: {word!r} is no offset from UTC; write +08:00") from None


def refuse_summer_time(table: pd.DataFrame, where: str, *, standard: bool) -> None:
    """Refuse hours that stand twice, and a clock that jumps as one with summer time does.

    Parameters
    ----------
    table : DataFrame
        ``unit, time`` (UTC), ``local``, ``row`` of one plant.
    where : str
        Files, for the message.
    standard : bool
        The user says that the clock has no summer time: a missing hour is a gap.

    Raises
    ------
    FormatError
        See above. A file of local time from which the doubled hour was taken out, and that has no hour of
        spring, cannot be told from standard time.
    """
    local = pd.DatetimeIndex(table["local"])
    again = table.duplicated(["unit", "time"])
    if again.any():
        k = int(np.flatnonzero(again)[0])
        at, row, unit = local[k], table["row"].iloc[k], table["unit"].iloc[k]
        days = local[again].normalize().unique()
        autumn = at.month in _CHANGE and len(days) <= 2 and bool((local[again].hour <= 3).all())
        hint = (
            ": a clock that goes back from summer time? Monitors keep local standard time all year; write it so"
            if autumn
            else "; which one counts?"
        )
        raise FormatError(f"{where}: row {row}: {at:%Y-%m-%d %H:%M} of unit {unit} stands there twice{hint}")
    if standard:
        return
    there = pd.DatetimeIndex(local.unique()).sort_values()
    step = pd.Timedelta(hours=1)
    before = there[:-1][(there[1:] - there[:-1]) == 2 * step]
    jumps = [t + step for t in before if t.day_of_week == 6 and t.month in _CHANGE and t.hour in (0, 1, 2)]
    if jumps:
        raise FormatError(
            f"{where}: {jumps[0]:%Y-%m-%d %H:%M}, a Sunday, is missing in every unit and the hours beside "
            "it are there: so jumps a "
            "clock to summer time. Write local standard time, or say --clock standard if it is a gap"
        )
