"""Tables and times of text files, fast, with every line that cannot be read counted."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv as pacsv

from obsnet.errors import FormatError
from stations.record import Notes

__all__ = [
    "attributes",
    "check_header_count",
    "check_span",
    "from_parts",
    "local_to_utc",
    "number",
    "parse_iso",
    "read_table",
    "usual_step",
    "without_fill",
]

_NULLS = ["", "nan", "NaN", "NAN", "NA", "N/A", "null", "NULL", "-", "--"]


def read_table(
    data: bytes,
    names: Sequence[str],
    *,
    strings: Collection[str],
    path: Path,
    notes: Notes,
    separator: str = " ",
    skip: Collection[str] = (),
) -> dict[str, np.ndarray]:
    """Parse the rows of a text table.

    Parameters
    ----------
    data : bytes
        Rows only. With the separator ``" "`` any run of blanks or tabs separates.
    names : sequence of str
        Column names, unique, in order.
    strings, skip : collection of str
        Columns kept as text; columns not wanted. All others are numbers.
    path, notes
        For texts and counts.

    Returns
    -------
    dict of str to ndarray
        float64 (NaN where empty) or ``str`` arrays, one row a line.

    Raises
    ------
    FormatError
        More than half of the lines have another number of columns.
    """
    if b"\r" in data or b"\0" in data:
        data = data.replace(b"\r\n", b"\n").replace(b"\r", b"\n").replace(b"\0", b"")
    fixed = _with_commas(data, len(names)) if separator == " " else None
    if fixed is not None:
        buffer, separator = pa.py_buffer(fixed), ","
    else:
        data = _single_blanks(data.replace(b"\t", b" ")) if separator == " " else data.strip(b"\n")
        buffer = pa.py_buffer(data)
    wanted = [n for n in names if n not in skip]
    if not data or data.isspace():
        return {n: np.zeros(0, dtype="U1" if n in strings else np.float64) for n in wanted}
    bad: list[str] = []

    def note_bad(row: pacsv.InvalidRow) -> str:
        bad.append(row.text)
        return "skip"

    def parse(types: Mapping[str, pa.DataType]) -> pa.Table:
        bad.clear()
        return pacsv.read_csv(
            pa.BufferReader(buffer),
            pacsv.ReadOptions(column_names=list(names), block_size=1 << 24),
            pacsv.ParseOptions(delimiter=separator, quote_char=False, invalid_row_handler=note_bad),
            pacsv.ConvertOptions(
                column_types=types,
                include_columns=wanted,
                null_values=_NULLS,
                strings_can_be_null=False,
                check_utf8=False,
            ),
        )

    types = {n: pa.string() if n in strings else pa.float64() for n in wanted}
    try:
        table = parse(types)
    except pa.ArrowInvalid:
        table = _coerce(_parse_text(parse, wanted, path), types, notes)
    rows = len(table)
    if len(bad) > rows:
        raise FormatError(
            f"{path}: {len(bad)} of {rows + len(bad)} lines do not have the {len(names)} columns that the header names "
            f"({', '.join(names[:4])}, …), e.g. {bad[0][:60]!r}"
        )
    notes.warn(
        len(bad),
        f"lines do not have {len(names)} columns and were left out, e.g. {bad[0][:60]!r}" if bad else "",
    )
    return {n: _numpy(table[n], n in strings) for n in wanted}


def _with_commas(data: bytes, fields: int) -> bytearray | None:
    """Return a table of fixed width with a comma in one blank between columns; None where it is no such table.

    Nothing has to be moved, which halves the time of reading a year of minutes.
    """
    width = data.find(b"\n") + 1
    if width < 2 or b"," in data[:width]:
        return None
    whole = bytearray(data)
    if not data.endswith(b"\n"):
        whole += b"\n"
    if len(whole) % width:
        return None
    rows = np.frombuffer(whole, dtype=np.uint8).reshape(-1, width)
    blank = (rows[:: max(len(rows) // 500, 1)] == 32).all(axis=0)
    # The first blank after each word: numbers are flush right and grow to the left.
    ends = [c for c in range(1, width) if (blank[c] or c == width - 1) and not blank[c - 1]]
    gaps = ends[:-1]
    if len(ends) != fields or not (rows[:, -1] == 10).all() or not all((rows[:, c] == 32).all() for c in gaps):
        return None
    rows[:, gaps] = 44
    return whole


def _single_blanks(data: bytes) -> bytes:
    """Return text with one blank between words and none at either end of a line.

    A mask over the bytes does in one pass what repeated replacing does in many.
    """
    blank, line_end = 32, 10
    codes = np.frombuffer(data, dtype=np.uint8)
    if codes.size > 1:
        is_blank = codes == blank
        before_gap = np.empty_like(is_blank)
        np.logical_or(is_blank[1:], codes[1:] == line_end, out=before_gap[:-1])
        before_gap[-1] = True
        drop = is_blank & before_gap
        data = codes[~drop].tobytes() if drop.any() else data
    return data.replace(b"\n ", b"\n").strip(b" \n")


def _parse_text(parse, wanted: Sequence[str], path: Path) -> pa.Table:  # noqa: ANN001
    try:
        return parse(dict.fromkeys(wanted, pa.binary()))
    except pa.ArrowInvalid as error:
        raise FormatError(f"{path}: the rows cannot be read as a table ({error})") from error


def _coerce(table: pa.Table, types: Mapping[str, pa.DataType], notes: Notes) -> pa.Table:
    """Turn text cells into numbers one by one; what is no number becomes missing and is counted."""
    columns, faults = {}, 0
    for name, kind in types.items():
        cells = [c.decode("utf-8", errors="replace") for c in table[name].to_pylist()]
        if kind == pa.string():
            columns[name] = pa.array(cells)
            continue
        numbers = np.full(len(cells), np.nan)
        for row, cell in enumerate(cells):
            if cell.strip() not in _NULLS:
                try:
                    numbers[row] = float(cell)
                except ValueError:
                    faults += 1
        columns[name] = pa.array(numbers)
    notes.warn(faults, "cells hold text where a number belongs; set to missing")
    return pa.table(columns)


def _numpy(column: pa.ChunkedArray, is_string: bool) -> np.ndarray:
    if not is_string:
        return (
            column.to_numpy().astype(np.float64, copy=True)
            if column.null_count == 0
            else pc.fill_null(column, np.nan).to_numpy()
        )
    # Few distinct texts in many rows: turn each into a Python string once.
    coded = column.combine_chunks().dictionary_encode()
    if isinstance(coded, pa.ChunkedArray):
        coded = coded.combine_chunks()
    words = np.array([w.strip() for w in coded.dictionary.to_pylist()] or [""], dtype=str)
    return words[coded.indices.to_numpy(zero_copy_only=False)]


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
    dates = months.astype("datetime64[D]") + (parts[2].astype(np.int64) - 1)
    good &= dates.astype("datetime64[M]") == months  # no 31 April
    seconds = parts[3] * 3600.0 + parts[4] * 60.0 + parts[5]
    stamp = dates.astype("datetime64[ns]") + np.round(seconds * 1e3).astype("timedelta64[ms]")
    return np.where(good, stamp, np.datetime64("NaT", "ns"))


def parse_iso(texts: np.ndarray) -> np.ndarray:
    """Read ISO 8601 times in UTC (with or without Z) as ``datetime64[ns]``; what is none becomes NaT."""
    import pandas as pd

    stamps = pd.to_datetime(
        pd.Series(np.asarray(texts, dtype=str)), utc=True, errors="coerce", format="ISO8601"
    )
    stamps = stamps.dt.tz_localize(None).to_numpy()
    inside = (stamps >= np.datetime64("1800-01-01")) & (stamps < np.datetime64("2200-01-01"))
    return np.where(inside, stamps, np.datetime64("NaT")).astype("datetime64[ns]")


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
    """Bring stamps to UTC by an offset such as ``UTC+08:00``, ``UTC +8`` or ``UTC``; each shifted row is counted.

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
    if minutes == 0:
        return stamp
    minutes = -minutes if match[1] == "-" else minutes
    notes.changed(len(stamp), f"times brought from {zone} to UTC ({-minutes / 60:+g} h)")
    return stamp - np.timedelta64(minutes, "m")


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
    """Say so where all times are off the header's first and last by the same hours: local time labelled UTC.

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
    if 0.5 <= abs(shift) <= 14.0 and np.abs(hours - shift).max() < 0.02:
        notes.warn(
            len(stamp),
            f"rows have times {shift:+g} h from the header's start and stop: they may be local, not UTC",
        )


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
