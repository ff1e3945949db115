"""Tables for people with a spreadsheet: workbooks and CSV files that Excel and LibreOffice open as they are meant.

A text from a file may begin with ``=``, ``+``, ``-`` or ``@``, which a spreadsheet would run as a formula. In a
workbook such a text is stored as text and marked as quoted; CSV has no types, so there it gets the apostrophe that a
person would type before it. Numbers keep all digits; what is not finite is an empty cell, never a word.
"""

from __future__ import annotations

import csv
import io
import math
import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from obsnet.atomic import atomic_path, write_text

__all__ = ["TableSheet", "csv_text", "write_sheet_csv", "write_sheets"]

_FORMULA = ("=", "+", "-", "@", "\t", "\r")
_CONTROL = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f]")  # what no XML may hold
_BOM = "\ufeff"  # without it Excel takes UTF-8 for the code page of the machine, and Chinese is lost
_CELL = 32_767  # characters that a cell may hold
_WIDEST = 48


@dataclass(frozen=True)
class TableSheet:
    """One table.

    Parameters
    ----------
    name : str
        Of the sheet; cut to what a workbook allows.
    headings : sequence of str
        One a column.
    rows : sequence of sequence
        Numbers, texts, None.
    widths : sequence of int, optional
        Of the columns of a sheet to be read, in characters, whose lines break; by what they hold where nothing is said.
    """

    name: str
    headings: Sequence[str]
    rows: Sequence[Sequence[Any]]
    widths: Sequence[int] = field(default=())


def write_sheets(path: Path, sheets: Sequence[TableSheet]) -> Path:
    """Write a workbook, a sheet a table, headings bold and kept in sight; whole or not at all.

    Returns
    -------
    Path
        Of the file.
    """
    import openpyxl
    from openpyxl.styles import Alignment, Font
    from openpyxl.utils import get_column_letter

    book = openpyxl.Workbook()
    book.remove(book.active)
    used: set[str] = set()
    for table in sheets:
        sheet = book.create_sheet(_tab(table.name, used))
        for row, cells in enumerate((table.headings, *table.rows), 1):
            for column, value in enumerate(cells, 1):
                _put(sheet, row, column, value)
        for cell in sheet[1]:
            cell.font = Font(bold=True)
            cell.alignment = Alignment(wrap_text=True, vertical="top")
        sheet.freeze_panes = "A2"
        if len(table.rows) > 1 and not table.widths:
            sheet.auto_filter.ref = sheet.dimensions
        for column, heading in enumerate(table.headings, 1):
            width = _width(heading, [r[column - 1] for r in table.rows[:50] if len(r) >= column])
            if table.widths:
                width = table.widths[column - 1]
                for row in range(2, len(table.rows) + 2):
                    sheet.cell(row, column).alignment = Alignment(wrap_text=True, vertical="top")
            sheet.column_dimensions[get_column_letter(column)].width = width
    with atomic_path(path) as temporary:
        book.save(temporary)
    return path


def write_sheet_csv(path: Path, table: TableSheet) -> Path:
    """Write a table as CSV in UTF-8 with the mark by which Excel knows it.

    Returns
    -------
    Path
        Of the file.
    """
    buffer = io.StringIO()
    lines = csv.writer(buffer, lineterminator="\n")
    for cells in (table.headings, *table.rows):
        lines.writerow([_guarded(_plain(v)) for v in cells])
    write_text(path, _BOM + buffer.getvalue())
    return path


def _put(sheet: Any, row: int, column: int, value: Any) -> None:
    plain = _plain(value)
    if plain is None or plain == "":
        return
    cell = sheet.cell(row, column, plain)
    if isinstance(plain, str):
        cell.data_type = "s"  # openpyxl takes "=…" for a formula and "#N/A" for an error
        cell.quotePrefix = plain.startswith(_FORMULA)


def _plain(value: Any) -> Any:
    """Return a number, a text that XML can hold, or None."""
    if hasattr(value, "item"):
        value = value.item()
    if value is None or (isinstance(value, float) and not math.isfinite(value)):
        return None
    if isinstance(value, bool | int | float):
        return value
    return _CONTROL.sub("", str(value))[:_CELL]


def _guarded(value: Any) -> Any:
    if value is None:
        return ""
    return f"'{value}" if isinstance(value, str) and value.startswith(_FORMULA) else value


def _tab(name: str, used: set[str]) -> str:
    """Return a name that a workbook allows and no other sheet has."""
    base = re.sub(r"[\[\]:*?/\\]", " ", name).strip().strip("'") or "table"
    short, count = base[:31], 1
    while short.casefold() in used:
        count += 1
        short = f"{base[: 31 - len(str(count)) - 1]} {count}"
    used.add(short.casefold())
    return short


def _width(heading: str, values: Sequence[Any]) -> int:
    """Return the width of a column; Chinese characters are twice as wide, numbers are shown short."""
    shown = [f"{v:.6g}" if isinstance(v, float) else str("" if v is None else v) for v in values]
    longest = max((len(s) + sum(ord(c) > 0x2E7F for c in s) for s in shown), default=0)
    head = len(heading) + sum(ord(c) > 0x2E7F for c in heading)
    return min(max(longest, math.ceil(head / 2), 7) + 3, _WIDEST)


def csv_text(frame: Any, *, index: bool = False, float_format: str | None = "%.6g") -> str:
    r"""Return a table as CSV text.

    Parameters
    ----------
    frame : pandas.DataFrame
        Numbers that are infinite or missing become empty cells: a spreadsheet would take ``inf`` for a word.
    index : bool
        Whether the index is the first column.
    float_format : str
        Of the numbers; None for as many digits as they need.

    Returns
    -------
    str
        UTF-8 with a byte order mark, for `obsnet.atomic.write_text`.

    Examples
    --------
    >>> import pandas as pd
    >>> csv_text(pd.DataFrame({"地区": ["北京市"], "smallest": [float("inf")]}))
    '\ufeff地区,smallest\n北京市,\n'
    """
    import numpy as np

    finite = frame.replace([np.inf, -np.inf], np.nan)
    return _BOM + str(finite.to_csv(index=index, float_format=float_format, lineterminator="\n"))
