"""Consumption of electricity as tables give it: a row a value, a column a month (or year), a column a province."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

from obsnet.errors import FormatError, RegionError
from obsnet.inventory.amounts import ELECTRICITY, scale
from obsnet.inventory.books import TITLE_ROWS, Sheet, number, read_rows, read_sheets, stated_in_title
from obsnet.inventory.months import read_months, year_of
from obsnet.inventory.notes import note
from obsnet.inventory.words import column_of, find_region, heading_unit, is_group, normal

__all__ = ["read_weights"]

_LONG = (("region", "value"), ("month", "period", "unit"))


class _Spread(NamedTuple):
    sheet: Sheet
    heading: int  # row of the headings
    label: int  # column that says the other name of a value
    columns: tuple[int, ...]
    months: bool  # whether a column is a month; else a province


def read_weights(path: str | Path, year: int | str | None = None) -> Any:
    """Read a table of consumption, whichever way it is laid out, in 1e8 kWh.

    Parameters
    ----------
    path : path
        CSV or workbook: ``region, month, value``; or a column a month, with a row a province; or a column a province,
        with a row a month. Headings in either language; the unit in a column, in the heading of the values or in a
        title above, which may state the year as well.
    year : int, optional
        Of a title that names several.

    Returns
    -------
    pandas.DataFrame
        ``region, value`` and, if there, ``month, period``, as written; ``attrs["notes"]``.

    Raises
    ------
    FormatError
        None of these layouts, several sheets that fit, a unit that is none of electricity, two years in the title.
    """
    try:
        table = read_rows(path, *_LONG, numbers=("value",))
    except FormatError as fault:
        spread = _spread_sheet(path)
        if spread is None:
            raise fault from None
        table = _unpivoted(spread)
    title = table.attrs["title"]
    if "unit" not in table and scale(heading_unit(title), ELECTRICITY) is not None:
        table["unit"] = heading_unit(title)
    if "unit" in table:
        factors = {u: scale(u, ELECTRICITY) if u else 1.0 for u in set(table["unit"])}
        odd = sorted(u for u, factor in factors.items() if factor is None)
        if odd:
            raise FormatError(f"{path}: unit {odd[0]!r}; write 1e8 kWh, 亿千瓦时, 万千瓦时, GWh or TWh")
        table["value"] *= table["unit"].map(factors)
    if not any(year_of(t) for c in ("period", "month") if c in table for t in table[c]):
        years = dict.fromkeys(re.findall(r"(?<!\d)(?:19|20)\d\d(?!\d)", title))
        if len(years) > 1 and str(year) not in years:
            raise FormatError(f"{path}: the title names {' and '.join(years)}; say the year with --year")
        table["period"] = str(year) if str(year) in years else "".join(years)
    return table


def _spread_sheet(path: str | Path) -> _Spread | None:
    """Return the one sheet that has months or provinces for columns; None where none has."""
    found = [s for s in map(_spread, read_sheets(path)) if s is not None]
    if len(found) > 1:
        raise FormatError(
            f"{path}: several sheets fit ({', '.join(repr(s.sheet.name) for s in found)}); keep one"
        )
    return found[0] if found else None


def _spread(sheet: Sheet) -> _Spread | None:
    found = []
    filled = [i for i, row in enumerate(sheet.rows) if any(str(c).strip() for c in row)]
    for heading in filled[:TITLE_ROWS]:
        cells = [normal(c) for c in sheet.rows[heading]]
        below = [row for row in sheet.rows[heading + 1 :] if any(str(c).strip() for c in row)]
        for months, is_column, is_label in ((True, _is_month, _is_place), (False, _is_place, _is_month)):
            columns = tuple(j for j, c in enumerate(cells) if is_column(c))
            label = _label_column(below, columns, is_label)
            if label is None or (label < len(cells) and is_label(cells[label])):
                continue
            if _names_values([cells[j] for j in columns], months):
                found.append(_Spread(sheet, heading, label, columns, months))
    # under a heading of years that spans its months the row of the months
    return max(found, key=lambda one: (len(one.columns), one.heading), default=None)


def _names_values(headings: list[str], months: bool) -> bool:
    """Tell whether headings name columns of values: bare figures only if they are the twelve months."""
    bare = [h for h in headings if h.isdigit() and len(h) < 3]
    if bare and (not months or sorted(map(int, bare)) != list(range(1, 13))):
        return False
    return len(headings) > 1 or (months and any(year_of(h) for h in headings))


def _label_column(
    below: list[list[Any]], columns: tuple[int, ...], fits: Callable[[str], bool]
) -> int | None:
    """Return the first column whose cells, beside values, are mostly names that fit."""
    if not columns:
        return None
    rows = [row for row in below if any(isinstance(c, int | float) or _figure(c) for c in _at(row, columns))]
    for j in range(min(columns[0], 4)):
        names = [normal(row[j]) for row in rows if j < len(row) and str(row[j]).strip()]
        if len(names) > 0.5 * len(rows) and 2 * sum(map(fits, names)) > len(names):
            return j
    return None


def _at(row: list[Any], columns: tuple[int, ...]) -> list[Any]:
    return [row[j] if j < len(row) else "" for j in columns]


def _figure(cell: Any) -> bool:
    return any(c.isdigit() for c in normal(cell))


def _is_month(text: str) -> bool:
    if not text or column_of(text):
        return False
    try:
        return bool(read_months(text))
    except FormatError:
        return False


def _is_place(text: str) -> bool:
    if not text:
        return False
    try:
        return is_group(text) or bool(find_region(text))
    except RegionError:
        return False


def _unpivoted(spread: _Spread) -> Any:
    """Return one row a value."""
    import pandas as pd

    sheet, heads = spread.sheet, spread.sheet.rows[spread.heading]
    others = {column_of(h): j for j, h in enumerate(heads) if j not in (*spread.columns, spread.label)}
    kept: dict[str, int] = {c: others[c] for c in ("period", "unit") if c in others}
    rows: list[dict[str, Any]] = []
    for i, row in enumerate(sheet.rows[spread.heading + 1 :], spread.heading + 2):
        cells = [
            number(c, f"{sheet.where}: row {i}, column {normal(heads[j])}")
            for j, c in zip(spread.columns, _at(row, spread.columns), strict=True)
        ]
        name = normal(row[spread.label]) if spread.label < len(row) else ""
        if not name and all(c is None for c in cells):
            continue
        more: dict[str, Any] = {c: normal(row[j]) if j < len(row) else "" for c, j in kept.items()}
        for j, cell in zip(spread.columns, cells, strict=True):
            place, month = (name, normal(heads[j])) if spread.months else (normal(heads[j]), name)
            rows.append(
                {"region": place, "month": month, "value": float("nan") if cell is None else cell, **more}
            )
    frame = pd.DataFrame(rows)
    title = " ".join(normal(c) for row in sheet.rows[: spread.heading] for c in row if str(c).strip())
    unit = stated_in_title(title)
    if unit and "unit" not in frame:
        frame["unit"] = unit
    names = [
        normal(h) for j, h in enumerate(heads) if j not in (*spread.columns, spread.label, *kept.values())
    ]
    unused = [n for n in names if n]
    layout = note("spread months" if spread.months else "spread provinces", n=len(spread.columns))
    notes = [*sheet.notes, f"{sheet.path.name}: {layout}"]
    notes += [f"{sheet.path.name}: {note('unused', columns=', '.join(unused))}"] if unused else []
    notes += [f"{sheet.path.name}: {note('title', text=title)}"] if title else []
    frame.attrs = {"notes": notes, "title": title}
    return frame
