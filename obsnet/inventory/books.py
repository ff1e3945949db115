"""Sheets of workbooks and text tables, as rows of cells: xls, xlsx, xlsb, ods, csv in UTF-8 or GB 18030."""

from __future__ import annotations

import csv
import datetime
import io
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from obsnet.errors import FormatError, RangeError, nearest
from obsnet.inventory.letters import UNIT_WORD, ungrouped
from obsnet.inventory.notes import in_both, note
from obsnet.inventory.words import canonical_columns, heading_unit, normal, plain, translated
from obsnet.language import Language
from obsnet.reading import door, refuse_long_lines

__all__ = [
    "TITLE_ROWS",
    "Sheet",
    "cell_name",
    "number",
    "read_rows",
    "read_sheets",
    "read_text",
    "stated_in_title",
    "write_if_asked",
    "write_rows",
]

_BOOKS = {".xls", ".xlsx", ".xlsm", ".xlsb", ".ods"}
TITLE_ROWS = 6  # so many rows may stand above the headings, the headings among them
_NOTHING = {"", "-", "--", "—", "——", "–", "…", "/", "n.a.", "na", "nan", "none"}


@dataclass(frozen=True)
class Sheet:
    """Cells of one sheet; a text file is one sheet.

    Parameters
    ----------
    path : Path
        Of the file.
    name : str
        Of the sheet; empty in a text file.
    rows : list of list
        Cells: text, numbers, dates; empty text where there is nothing.
    notes : tuple of str
        What had to be assumed to read it.
    """

    path: Path
    name: str
    rows: list[list[Any]]
    notes: tuple[str, ...] = field(default=())

    @property
    def where(self) -> str:
        """File and sheet, for error texts."""
        return f"{self.path}, sheet {self.name!r}" if self.name else str(self.path)


@door("a table")
def read_sheets(
    path: str | Path, sheets: Iterable[str] | None = None, *, from_first: bool = False
) -> list[Sheet]:
    """Read the sheets of a workbook, or a text table as one sheet.

    Parameters
    ----------
    path : path
        By its ending: a workbook, else text with commas, semicolons or tabs.
    sheets : iterable of str, optional
        Only these.
    from_first : bool
        With the empty rows and columns before the first cell that holds something, so that places are the sheet's own.

    Raises
    ------
    FormatError
        No such file or sheet, or not what its ending says.
    """
    path = Path(path)
    if not path.is_file():
        raise FormatError(f"{path}: no such file")
    if path.suffix.lower() not in _BOOKS:
        text, notes = read_text(path)
        return [Sheet(path, "", _cells(text, str(path)), notes)]
    from python_calamine import CalamineWorkbook

    try:
        book = CalamineWorkbook.from_path(str(path))
        names = list(book.sheet_names)
        for name in sheets or ():
            if name not in names:
                raise FormatError(f"{path}: no sheet {name!r}{nearest(name, names)}")
        return [
            Sheet(path, name, book.get_sheet_by_name(name).to_python(skip_empty_area=not from_first))
            for name in (list(sheets) if sheets else names)
        ]
    except FormatError:
        raise
    except Exception as error:  # calamine has an exception of its own for each part of each format
        raise FormatError(f"{path}: cannot be read as a workbook ({str(error).splitlines()[0]})") from error


def read_text(path: Path) -> tuple[str, tuple[str, ...]]:
    """Return the text of a file in UTF-8, with or without a mark, or in UTF-16 or GB 18030, which then is said."""
    data = path.read_bytes()
    refuse_long_lines(path, data)
    if data[:2] in (b"\xff\xfe", b"\xfe\xff"):
        try:
            return data.decode("utf-16"), (f"{path.name}: {note('utf-16')}",)
        except UnicodeDecodeError:
            raise FormatError(f"{path}: begins as UTF-16 text and is none") from None
    for encoding, said in (("utf-8-sig", ()), ("gb18030", (f"{path.name}: {note('gbk')}",))):
        try:
            return data.decode(encoding), said
        except UnicodeDecodeError:
            continue
    raise FormatError(f"{path}: neither UTF-8 nor GB 18030 text")


def _cells(text: str, where: str) -> list[list[Any]]:
    if "\0" in text:
        raise FormatError(f"{where}: not a text table")
    head = next((line for line in text.splitlines() if any(m in line for m in ",;\t")), "")
    mark = max(",;\t", key=head.count) if any(m in head for m in ",;\t") else ","
    try:
        rows = list(csv.reader(io.StringIO(text), delimiter=mark, skipinitialspace=True))
    except csv.Error as error:
        raise FormatError(f"{where}: not a table ({error})") from error
    return [list(row) for row in rows]


def cell_name(row: int, column: int) -> str:
    """Return the name of a cell, counted from 0, as a spreadsheet shows it.

    Examples
    --------
    >>> cell_name(20, 3), cell_name(0, 27)
    ('D21', 'AB1')
    """
    letters = ""
    column += 1
    while column:
        column, rest = divmod(column - 1, 26)
        letters = chr(65 + rest) + letters
    return f"{letters}{row + 1}"


def number(cell: Any, where: str = "") -> float | None:
    """Return the number in a cell; None where the cell is empty or holds a dash.

    Raises
    ------
    RangeError
        Text that is no number.

    Examples
    --------
    >>> number(" 1,234.5 "), number("1 234"), number("－"), number("１２")
    (1234.5, 1234.0, None, 12.0)
    """
    if isinstance(cell, bool | datetime.date | datetime.time):
        raise RangeError(f"{where}: {cell} is not a number")
    if isinstance(cell, int | float):
        return float(cell)
    text = normal(cell).replace("−", "-")
    if text.casefold() in _NOTHING:
        return None
    try:
        return float(ungrouped(text))
    except ValueError:
        raise RangeError(f"{where}: {str(cell).strip()!r} is not a number") from None


def read_rows(
    path: str | Path,
    required: Sequence[str],
    optional: Sequence[str] = (),
    *,
    numbers: Sequence[str] = (),
    sheet: str | None = None,
) -> Any:
    """Read a table with headings in its first row, or below a few rows of title, from a workbook or a text file.

    Parameters
    ----------
    path : path
        CSV or workbook; of a workbook the only sheet that has the required columns, unless `sheet` says which.
    required, optional : sequence of str
        Columns by our names; see `obsnet.inventory.words`.
    numbers : sequence of str
        Those that hold numbers; empty cells become NaN.

    Returns
    -------
    pandas.DataFrame
        The columns found, under our names; text stripped; ``attrs``: ``notes``, ``rows`` (row of the file, from 1),
        ``heading`` (row of the headings, from 0), ``title`` (text above them, said in the notes; a unit that it states
        is that of the values where ``unit`` is asked for and neither a heading nor a column states one).

    Raises
    ------
    FormatError
        Columns missing, no sheet or several that have them.
    RangeError
        A cell that should be a number and is not.
    """
    import pandas as pd

    found: list[tuple[Sheet, int, dict[str, str]]] = []
    faults: list[FormatError] = []
    for one in read_sheets(path, [sheet] if sheet else None):
        tried = []
        for first in [i for i, row in enumerate(one.rows) if any(str(c).strip() for c in row)][:TITLE_ROWS]:
            try:
                found.append((one, first, canonical_columns(one.rows[first], required, one.where, optional)))
                break
            except FormatError as fault:
                tried.append(fault)
        else:
            # of the rows that might have been the headings the one with the most columns, not a title above it
            faults += sorted(tried, key=lambda fault: str(fault).split("; found")[0].count(", "))[:1]
    if not found:
        raise faults[0] if faults else FormatError(f"{path}: an empty table")
    if len(found) > 1:
        fitting = ", ".join(repr(one.name) for one, _, _ in found)
        raise FormatError(f"{path}: several sheets fit ({fitting}); say which one with --sheet")
    one, first, names = found[0]
    title = " ".join(normal(c) for row in one.rows[:first] for c in row if str(c).strip())
    headings = [str(c) for c in one.rows[first]]
    places: dict[str, int] = {column: headings.index(heading) for heading, column in names.items()}
    columns: dict[str, list[Any]] = {c: [] for c in places}
    rows: list[int] = []
    for i, row in enumerate(one.rows[first + 1 :], first + 1):
        if not any(str(c).strip() for c in row):
            continue
        rows.append(i + 1)
        for column, j in places.items():
            cell = row[j] if j < len(row) else ""
            if column in numbers:
                value = number(cell, f"{one.where}: row {i + 1}, column {headings[j]}")
                columns[column].append(float("nan") if value is None else value)
            else:
                columns[column].append(_text(cell))
    _unit_of_heading(columns, names, one.where)
    stated = stated_in_title(title)
    if stated and "unit" in (*required, *optional) and "value" in columns:
        columns.setdefault("unit", [stated] * len(rows))
    frame = pd.DataFrame(columns)
    ignored = [h for h in headings if h.strip() and h not in names]
    notes = list(one.notes) + (
        [f"{Path(path).name}: {note('unused', columns=', '.join(ignored))}"] if ignored else []
    )
    notes += [f"{Path(path).name}: {note('title', text=title)}"] if title else []
    frame.attrs = {"notes": notes, "rows": rows, "where": one.where, "heading": first, "title": title}
    return frame


def stated_in_title(title: str) -> str:
    """Return the unit that a title states, empty where it states none.

    Examples
    --------
    >>> stated_in_title("填报单位：能源局 单位：亿千瓦时"), stated_in_title("2022年用电量")
    ('亿千瓦时', '')
    """
    stated = re.search(UNIT_WORD + r"\s*[:：]?\s*([^\s,;，；)）]+(?: kWh)?)", title, re.IGNORECASE)
    return stated.group(1) if stated else ""


def _unit_of_heading(columns: dict[str, list[Any]], names: dict[str, str], where: str) -> None:
    """Give rows the unit that the heading of their values states; refuse a heading and a column that differ."""
    heading = next((h for h, c in names.items() if c == "value"), "")
    unit = heading_unit(heading)
    if not unit:
        return
    own = columns.setdefault("unit", [unit] * len(columns["value"]))
    other = next((u for u in own if plain(u) != plain(unit)), None)
    if other is not None:
        raise FormatError(f"{where}: the heading {heading!r} and the column of units ({other!r}) differ")


def _text(cell: Any) -> str:
    if isinstance(cell, float) and cell.is_integer():
        return str(int(cell))
    return normal(cell)


def write_rows(frame: Any, path: str | Path, language: Language = "en") -> None:
    """Write a table as CSV, whole or not at all, with the mark Excel looks for; in Chinese with Chinese headings."""
    from obsnet.atomic import write_text
    from obsnet.sheets import csv_text

    write_text(path, csv_text(frame.rename(columns=translated(frame.columns, language)), float_format=None))


def write_if_asked(frame: Any, path: Path | None, language: Language = "en") -> list[str]:
    """Write a table where a path is given, and return the note that says so, in the language of its headings."""
    if path is None:
        return []
    write_rows(frame, path, language)
    return [in_both(note("written", path=path)).said(language)]
