"""Headers and times of text files: what a file says of itself, checked against what it holds."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from typing import TypeVar

import numpy as np

from obsnet.errors import FormatError
from obsnet.times import later
from stations.record.record import Notes
from stations.record.source import Source, decode

__all__ = [
    "attributes",
    "check_header_count",
    "check_span",
    "from_parts",
    "length_of_time",
    "local_to_utc",
    "midnight",
    "number",
    "one_site",
    "parse_iso",
    "second_header",
    "split_header",
    "usual_step",
    "without_fill",
]

Columns = TypeVar("Columns")
_HEADER_BYTES = 1 << 20  # no header is longer
_SECONDS = {"s": 1, "sec": 1, "second": 1, "min": 60, "minute": 60}
_SECONDS |= {"h": 3600, "hr": 3600, "hour": 3600, "d": 86400, "day": 86400, "w": 604800, "week": 604800}
_LONGEST = 1e9  # seconds, 30 years; times count nanoseconds, which begin again after some centuries
_STACKED = 3  # lines above the one of column names that a header may need


def split_header(
    source: Source, find: Callable[[list[str]], tuple[int, Columns] | None], notes: Notes
) -> tuple[list[str], Columns, bytes]:
    """Split a text file at its line of column names.

    Parameters
    ----------
    source : Source
        The file.
    find : callable
        Takes lines and returns the index of the column line and whatever it says, or None.
    notes : Notes
        Told where the header is not UTF-8.

    Returns
    -------
    tuple
        Header lines before the column line, what `find` said of it, and the rows below as bytes.

    Raises
    ------
    FormatError
        There is no such line, or there are two.
    """
    data = source.read_bytes()
    text, other = decode(data[:_HEADER_BYTES])
    notes.changed(bool(other), f"file is not UTF-8 and was read as {other}")
    lines = text.split("\n")
    found = find(lines)
    if found is None:
        raise FormatError(
            f"{source.where}: the header ends before the line of column names; the file is cut off"
        )
    index, columns = found
    start = 0
    for _ in range(index + 1):
        start = data.find(b"\n", start) + 1 or len(data)
    if _has_header(data[start:], lines[index], find):
        raise second_header(source)
    return lines[:index], columns, data[start:]


def second_header(source: Source) -> FormatError:
    """Return the error of a file that is several, one after the other."""
    return FormatError(
        f"{source.where}: holds a second header: several files one after the other; split it, or put them into an "
        "archive"
    )


def _has_header(
    rows: bytes, column_line: str, find: Callable[[list[str]], tuple[int, Columns] | None]
) -> bool:
    """Tell whether the rows hold a line of column names again: of another site, or another species."""
    opening = column_line.lstrip("#").split(maxsplit=1)[0].split(";")[0].split(",")[0].encode()
    if opening not in rows:
        return False
    lines = rows.splitlines()
    for i in (i for i, line in enumerate(lines) if opening in line):
        for first in (i, max(i - _STACKED, 0)):  # alone, or under the lines that a stacked header has
            if find([line.decode("latin-1") for line in lines[first : i + 1]]) is not None:
                return True
    return False


def length_of_time(text: str) -> np.timedelta64 | str | None:
    """Return a length of time such as ``1h``, ``30 min`` or ``1D``, ``"month"``, or None where it is none.

    A number alone has no unit, and ``1m`` may be a minute or a month: neither is a length.
    """
    match = re.fullmatch(r"(\d*\.?\d*)\s*([a-z]+)", text.strip().lower())
    if match is None:
        return None
    unit = match[2] if match[2] in _SECONDS else match[2].removesuffix("s")
    if unit == "month" and float(match[1] or 1) == 1.0:
        return "month"
    try:
        seconds = float(match[1]) * _SECONDS[unit]
    except (KeyError, ValueError):
        return None
    return np.timedelta64(round(1e6 * seconds), "us") if 1e-6 <= seconds <= _LONGEST else None


def from_parts(
    year: np.ndarray,
    month: np.ndarray,
    day: np.ndarray | float = 1.0,
    hour: np.ndarray | float = 0.0,
    minute: np.ndarray | float = 0.0,
    second: np.ndarray | float = 0.0,
) -> np.ndarray:
    """Join calendar parts to ``datetime64[ns]``; impossible dates and fills become NaT.

    Parameters
    ----------
    year, month, day, hour, minute, second : ndarray of float64
        Hour 24 with minute 0 is the next midnight.
    """
    year, month, day, hour, minute, second = np.broadcast_arrays(
        *(np.asarray(v, dtype=np.float64) for v in (year, month, day, hour, minute, second))
    )
    good = (year >= 1800) & (year < 2200) & (month >= 1) & (month < 13) & (day >= 1) & (day < 32)
    good &= (hour >= 0) & ((hour < 24) | ((hour == 24) & (minute == 0) & (second == 0)))
    good &= (minute >= 0) & (minute < 60) & (second >= 0) & (second < 61)
    parts = [
        np.where(good, v, d)
        for v, d in zip((year, month, day, hour, minute, second), (1970, 1, 1, 0, 0, 0), strict=True)
    ]
    months = ((parts[0].astype(np.int64) - 1970) * 12 + parts[1].astype(np.int64) - 1).astype("datetime64[M]")
    dates = later(months.astype("datetime64[D]"), parts[2].astype(np.int64) - 1)
    good &= dates.astype("datetime64[M]") == months  # no 31 April
    seconds = parts[3] * 3600.0 + parts[4] * 60.0 + parts[5]
    stamp = dates.astype("datetime64[ns]") + np.round(seconds * 1e3).astype("timedelta64[ms]")
    return np.where(good, stamp, np.datetime64("NaT", "ns"))


def parse_iso(texts: np.ndarray) -> np.ndarray:
    """Read ISO 8601 times in UTC (with or without Z) as ``datetime64[ns]``; what is none becomes NaT.

    24:00 is the next midnight.
    """
    plain = _plain_iso(np.asarray(texts, dtype=str))
    if plain is not None:
        return plain
    import pandas as pd

    at_zero = [midnight(str(t)) for t in np.asarray(texts, dtype=str)]
    zeroed = [str(t) if new is None else new for t, new in zip(texts, at_zero, strict=True)]
    series = pd.to_datetime(pd.Series(zeroed, dtype=str), utc=True, errors="coerce", format="ISO8601")
    stamps = series.dt.tz_localize(None).to_numpy()
    stamps = stamps + np.array([new is not None for new in at_zero], dtype=bool) * np.timedelta64(1, "D")
    inside = (stamps >= np.datetime64("1800-01-01")) & (stamps < np.datetime64("2200-01-01"))
    return np.where(inside, stamps, np.datetime64("NaT", "ns")).astype("datetime64[ns]")


def _plain_iso(texts: np.ndarray) -> np.ndarray | None:
    """Return times that are all spelt ``2020-01-31T23:59:59`` (with or without Z), as ``datetime64[ns]``; else None."""
    width = texts.dtype.itemsize // 4
    if texts.ndim != 1 or not texts.size or width not in {19, 20}:
        return None
    codes = np.ascontiguousarray(texts).view(np.uint32).reshape(texts.size, width)
    marks = {4: "-", 7: "-", 10: "T", 13: ":", 16: ":"} | ({19: "Z"} if width == 20 else {})
    digits = [column for column in range(19) if column not in marks]
    spelt = all((codes[:, c] == ord(mark)).all() for c, mark in marks.items())
    if not spelt or (codes[:, digits] < ord("0")).any() or (codes[:, digits] > ord("9")).any():
        return None
    value = (codes[:, digits] - ord("0")).astype(np.float64)
    year = value[:, :4] @ [1000, 100, 10, 1]
    pairs = value[:, 4:].reshape(texts.size, 5, 2) @ [10, 1]
    return np.where(pairs[:, 4] < 60, from_parts(year, *pairs.T), np.datetime64("NaT", "ns"))


_ISO_24 = re.compile(
    r"^(\d{4}[-/. ]?\d{2}[-/. ]?\d{2}[T ])24((?::?00(?::?00(?:\.0+)?)?)?(?: ?(?:Z|[+-]\d.*))?)$"
)


def midnight(text: str) -> str | None:
    """Return an ISO 8601 time of 24:00 as one of 00:00 of the same day; None for any other."""
    return f"{m[1]}00{m[2]}" if "24" in text and (m := _ISO_24.match(text)) else None


def check_header_count(attrs: Mapping[str, str], actual: int, notes: Notes) -> None:
    """Say so where a header's word on its own length is wrong; the column line itself decides."""
    said = attrs.get("header_lines", attrs.get("number_of_header_lines"))
    if said is not None and said.strip() != str(actual):
        notes.warn(
            1, f"header count is wrong: it says {said.strip()} lines, the column names are in line {actual}"
        )


def number(text: str | None, default: float = np.nan) -> float:
    """Return a header's text as a number, or the default."""
    try:
        return float(text) if text else default
    except ValueError:
        return default


def without_fill(values: np.ndarray, fill: float) -> np.ndarray:
    """Set a declared fill to NaN."""
    return np.where(np.isclose(values, fill, rtol=1e-6, atol=0.0), np.nan, values)


def local_to_utc(stamp: np.ndarray, zone: str, notes: Notes) -> np.ndarray:
    """Bring stamps to UTC by an offset such as ``UTC+08:00``, ``UTC +8`` or ``UTC``; shifted rows are counted.

    Raises
    ------
    FormatError
        The zone is no offset from UTC.
    """
    match = re.fullmatch(
        r"(?:UTC|GMT)?\s*(?:([+-])\s*(\d{1,2})(?::?(\d{2}))?)?|Z", zone.strip(), re.IGNORECASE
    )
    if match is None:
        raise FormatError(f"time zone {zone!r} is no offset from UTC; write it as UTC+08:00")
    minutes = int(match[2] or 0) * 60 + int(match[3] or 0)
    if minutes > 14 * 60 or int(match[3] or 0) > 59:
        raise FormatError(f"time zone {zone!r}: no clock is so far from UTC; write it as UTC+08:00")
    if minutes == 0:
        return stamp
    minutes = -minutes if match[1] == "-" else minutes
    notes.changed(len(stamp), f"times brought from {zone} to UTC ({-minutes / 60:+g} h)")
    return stamp - np.timedelta64(minutes, "m")


def one_site(codes: np.ndarray, said: str, path: str) -> str:
    """Return the site of a file that describes one.

    Parameters
    ----------
    codes : ndarray of str, shape (rows,)
        As the rows name it.
    said : str
        As the header does; may be empty.
    path : str
        For the error.

    Raises
    ------
    FormatError
        The rows are of several sites, or of another one than the header's: position and scale would be wrong.
    """
    found = sorted({c.upper() for c in np.unique(codes).tolist() if c} | ({said.upper()} if said else set()))
    if len(found) > 1:
        header = f", the header describes {said}" if said else ""
        raise FormatError(f"{path}: its rows are of several sites ({', '.join(found)}{header}); split it")
    return said or "".join(found)


def usual_step(stamp: np.ndarray, notes: Notes) -> np.timedelta64 | None:
    """Return the step between stamps that more than half of them have, or None."""
    steps, counts = np.unique(np.diff(np.unique(stamp[~np.isnat(stamp)])), return_counts=True)
    if counts.size == 0 or 2 * counts.max() < counts.sum() or counts.sum() < 2:
        return None
    usual = steps[counts.argmax()].astype("timedelta64[s]")
    notes.changed(
        1, f"averaging interval that the file does not give taken from the usual step, {usual.astype(int)} s"
    )
    return usual


def check_span(stamp: np.ndarray, first: str, last: str, notes: Notes) -> None:
    """Say so where all times are off the header's first and last by the same: local time labelled UTC, another epoch.

    Parameters
    ----------
    stamp : ndarray of datetime64
        As read, UTC.
    first, last : str
        The header's start and stop, ISO 8601; nothing is said where they are absent.
    """
    said = parse_iso(np.array([first, last]))
    good = stamp[~np.isnat(stamp)]
    if np.isnat(said).any() or good.size < 2:
        return
    hours = (np.array([good.min(), good.max()]) - said) / np.timedelta64(1, "h")
    shift = round(float(hours[0]) * 2.0) / 2.0
    if abs(shift) >= 0.5 and np.abs(hours - shift).max() < 0.02:
        why = "they may be local, not UTC" if abs(shift) <= 14.0 else "is their unit right?"
        notes.warn(len(stamp), f"rows have times {shift:+g} h from the header's start and stop: {why}")


def attributes(lines: Sequence[str]) -> dict[str, str]:
    """Read ``# key : value`` header lines; a repeated key collects its lines.

    Returns
    -------
    dict
        ``{"site_code": "WLG", "value:units": "micromol mol-1", ...}``.
    """
    found: dict[str, str] = {}
    for line in lines:
        key, colon, value = line.lstrip("#").partition(" : ")
        if not colon:
            key, colon, value = line.lstrip("#").partition(":")
        key, value = key.strip(), value.strip()
        if colon and key and " " not in key:
            if key not in found:
                found[key] = value
            elif value and value not in found[key]:
                found[key] += f"\n{value}"
    return found
