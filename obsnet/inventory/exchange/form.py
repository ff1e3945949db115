"""Fill a form as it was given: a workbook whose rows are categories and whose columns are gases.

Forms of inventories differ by province and edition, so none comes with the program: a blank one is read, and its own
words decide what is put into it. A row is known by the user's table of rows, its name, or its code. A name that belongs
to another sector than the rows above it, or a code and a name that disagree, fill nothing; they are listed, as are
lines of the inventory that went into no row. What stands in a cell already is left.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from obsnet.atomic import atomic_path, write_text
from obsnet.errors import FormatError, nearest
from obsnet.inventory.account.categories import converted, need_terminology
from obsnet.inventory.account.report import read_edition
from obsnet.inventory.books import Sheet, cell_name, read_sheets
from obsnet.inventory.exchange.form_columns import FormColumn, FormTable, parts_of
from obsnet.inventory.exchange.form_rows import Codes, FormRow, is_row, meanings, rows_of
from obsnet.inventory.exchange.workbook import gwp_set
from obsnet.inventory.table import mass_factor
from obsnet.inventory.words import part_and_whole, province_or_own
from obsnet.language import Words, filled
from obsnet.reading import door
from obsnet.sheets import csv_text

__all__ = ["Filled", "fill_form"]

_HOLDS = Words(
    "the cell holds {held} already; the inventory has {value:.6g}", "单元格已有 {held}；清单为 {value:.6g}"
)
_OTHER_YEAR = Words(
    "{where}: the title speaks of {years}, the inventory is of {period}",
    "{where}：标题为 {years} 年，清单为 {period} 年",
)
_SUMS = Words(
    "sums are of what the inventory has: {gases}; sectors {sectors}",
    "合计仅含清单已有内容：{gases}；部门 {sectors}",
)
_MERGED = Words("the cell is part of a merged one", "单元格是合并单元格的一部分")


@dataclass
class Filled:
    """What went where.

    Parameters
    ----------
    region, period : str
        Of the inventory.
    cells : list of dict
        A line a cell that was filled.
    left : list of dict
        Rows and cells that were left, with ``reason`` (`Words`).
    in_no_row : list of dict
        Lines of the inventory that are in no row but a total.
    notes : list of Words
        What looks odd, such as a title of another year.
    """

    region: str
    period: str
    cells: list[dict[str, Any]] = field(default_factory=list)
    left: list[dict[str, Any]] = field(default_factory=list)
    in_no_row: list[dict[str, Any]] = field(default_factory=list)
    notes: list[Words] = field(default_factory=list)


@door("a form")
def fill_form(
    form: Path,
    inventory: Path,
    out: Path,
    *,
    region: str = "",
    period: str = "",
    rows: Path | None = None,
    unit: str = "",
    gwp: str = "ar5",
    codes: Codes = "ask",
) -> Filled:
    """Fill a blank form with one region's inventory of one period.

    Parameters
    ----------
    form : Path
        xlsx with a heading of gases above rows of categories; sheets without one are left as they are.
    inventory : Path
        A table of the contract, or the folder of a compilation.
    out : Path
        xlsx to write; beside it ``<name>_cells.csv`` says what is in each cell and what was left.
    region, period : str
        Where the inventory has several.
    rows : Path, optional
        Table with the columns ``label`` and ``category``: what rows mean, such as ``3.A+3.C`` or ``total-3.B`` (codes
        of IPCC 2006); it goes before names and codes.
    unit : str
        Of columns that state none.
    gwp : str
        Set of GWP100 where a column is of CO2 equivalents.
    codes : {"ask", "IPCC2006", "CRT2023"}
        Whose codes stand in the form; a row that only its code tells, and tells differently in the two, is left.

    Raises
    ------
    FormatError
        No heading of gases, a column without unit, several regions or periods, parts beside their whole, no row known.
    """
    import openpyxl

    if form.suffix.lower() != ".xlsx":
        raise FormatError(f"{form}: forms are filled as xlsx; save it as that")
    table, done = _lines(inventory, region, period)
    known = meanings(rows)
    weights = gwp_set(gwp)
    sheets = read_sheets(form, from_first=True)
    book = openpyxl.load_workbook(form)
    land = any(f"{r['category']}.".startswith("3.B.") for r in table)
    used: set[int] = set()
    parts: list[FormTable] = []
    for sheet in sheets:
        page = book[sheet.name]
        for part in parts_of(sheet, _merged(page), unit, done.period, lambda label: is_row(label, known)):
            parts.append(part)
            done.notes += _other_year(sheet, part, done.period)
            found, left = rows_of(sheet, part, known, land, codes)
            done.left += [_place(sheet, i, j, "") | {"reason": reason} for i, j, reason in part.unknown]
            done.left += [_place(sheet, i, 0, label) | {"reason": reason} for i, label, reason in left]
            for row in found:
                for column in part.columns:
                    used |= _put(page, sheet, row, column, table, weights, done)
    if not parts:
        raise FormatError(
            f"{form}: no heading of gases (CO2, 甲烷 …) in its sheets {', '.join(s.name for s in sheets)}"
        )
    if not any(part.columns for part in parts):
        i, j, reason = next(u for part in parts for u in part.unknown)
        raise FormatError(f"{form}: no column is of a gas and a unit alone; {cell_name(i, j)}: {reason.en}")
    if not done.cells:
        labels = [r["label"] for r in done.left if r["label"]]
        raise FormatError(
            f"{form}: no row is known by name or code ({'; '.join(labels[:3])} …); "
            "say what rows mean in a table with the columns label and category (--rows)"
        )
    if any(not c["gas"] or c["by"] == "total" for c in done.cells):
        had = [", ".join(sorted({str(r[k])[:n] for r in table})) for k, n in (("gas", None), ("category", 1))]
        done.notes.append(filled(_SUMS, gases=had[0], sectors=had[1]))
    done.in_no_row = [
        {"category": r["category"], "gas": r["gas"], "value": r["value"], "unit": r["unit"]}
        for i, r in enumerate(table)
        if i not in used
    ]
    with atomic_path(out) as temporary:
        book.save(temporary)
    write_text(out.with_name(f"{out.stem}_cells.csv"), csv_text(_account(done), float_format=None))
    return done


def _lines(path: Path, region: str, period: str) -> tuple[list[dict[str, Any]], Filled]:
    """Return the lines of one region and period, in IPCC 2006."""
    table, _ = read_edition(path)
    table = converted(need_terminology(table, str(path)), "IPCC2006")
    chosen = {}
    for name, asked in (("region", province_or_own(region) if region else ""), ("period", period)):
        there = list(dict.fromkeys(table[name].astype(str)))
        if asked and asked not in there:
            raise FormatError(f"{path}: no {name} {asked!r}{nearest(asked, there)}")
        if not asked and len(there) > 1:
            raise FormatError(
                f"{path}: {len(there)} {name}s ({', '.join(there[:4])} …); a form is of one: --{name}"
            )
        chosen[name] = asked or there[0]
        table = table[table[name].astype(str) == chosen[name]]
    lines = table.to_dict("records")
    for gas in dict.fromkeys(table["gas"]):
        lines = _without_total(lines, gas, path)
    return lines, Filled(chosen["region"], chosen["period"])


def _without_total(lines: list[dict[str, Any]], gas: str, path: Path) -> list[dict[str, Any]]:
    """Leave out a gas's total beside its parts, which give it; refuse what would count twice."""
    mine = [r for r in lines if r["gas"] == gas]
    parts = [r for r in mine if r["category"] != "total"]
    if twice := part_and_whole(r["category"] for r in parts):
        raise FormatError(f"{path}: {gas} of {twice[0]} stands beside {twice[1]}, which holds it; keep one")
    totals = [r for r in mine if r["category"] == "total"]
    if not parts or not totals:
        return lines
    stated, added = (sum(r["value"] * mass_factor(str(r["unit"])) for r in rows) for rows in (totals, parts))
    if abs(stated - added) > 1e-6 * abs(added):
        raise FormatError(
            f"{path}: the total of {gas}, {stated / 1e9:.6g} Mt, is not the sum of its categories, "
            f"{added / 1e9:.6g} Mt; complete the categories or take the line total out"
        )
    return [r for r in lines if r not in totals]


def _merged(page: Any) -> list[tuple[int, int, int, int]]:
    """Return first and last row, first and last column of merged cells, from 0."""
    return [
        (r.min_row - 1, r.max_row - 1, r.min_col - 1, r.max_col - 1)
        for r in getattr(page, "merged_cells", ())  # a sheet of a chart has none
    ]


def _other_year(sheet: Sheet, part: FormTable, period: str) -> list[Words]:
    """Say that a title speaks of other years than the inventory's; the year of an edition is none."""
    years = re.findall(r"(?<!\d)((?:19|20)\d\d)(?!\d)(?!\s*年?(?:版|修订))", part.title)
    if not years or period in years:
        return []
    return [filled(_OTHER_YEAR, where=sheet.name, years=", ".join(dict.fromkeys(years)), period=period)]


def _place(sheet: Sheet, row: int, column: int, label: str) -> dict[str, Any]:
    return {"sheet": sheet.name, "cell": cell_name(row, column), "label": label}


def _put(
    page: Any,
    sheet: Sheet,
    row: FormRow,
    column: FormColumn,
    table: list[dict[str, Any]],
    weights: dict[str, float],
    done: Filled,
) -> set[int]:
    """Fill one cell; return which lines went into it, none for a total."""
    total, lines = 0.0, {}
    for i, line in enumerate(table):
        sign = sum(s for s, code in row.terms if not code or f"{line['category']}.".startswith(f"{code}."))
        if not sign or (column.gas and line["gas"] != column.gas):
            continue
        if column.equivalent and line["gas"] not in weights:
            raise FormatError(f"no GWP of {line['gas']} in the set; it has {', '.join(weights)}")
        kg = line["value"] * mass_factor(str(line["unit"]))
        total += sign * kg * (weights[line["gas"]] if column.equivalent else 1.0) / column.kg
        lines[i] = f"{line['category']} {line['gas']}"
    if not lines:
        return set()
    where = _place(sheet, row.index, column.index, row.label)
    cell = page.cell(row.index + 1, column.index + 1)
    held = cell.value
    if type(cell).__name__ == "MergedCell":
        done.left.append({**where, "reason": _MERGED})
        return set()
    if held not in (None, "") and not (
        isinstance(held, int | float) and abs(held - total) <= 1e-9 * abs(total)
    ):
        done.left.append({**where, "reason": filled(_HOLDS, held=str(held), value=total)})
        return set()
    cell.value = total
    done.cells.append(
        {
            **where,
            "value": total,
            "unit": column.unit,
            "gas": column.gas,
            "equivalent": column.equivalent,
            "by": row.by,
            "lines": "; ".join(lines.values()),
        }
    )
    return set() if not row.sector else set(lines)


def _account(done: Filled) -> Any:
    """Return one table of what was filled, left and found in no row."""
    import pandas as pd

    left = [{**r, "what": "left", "reason": r["reason"].en} for r in done.left]
    return pd.DataFrame(
        [{**r, "what": "filled"} for r in done.cells]
        + left
        + [{**r, "what": "in no row"} for r in done.in_no_row],
        columns=[
            "what",
            "sheet",
            "cell",
            "label",
            "gas",
            "equivalent",
            "value",
            "unit",
            "lines",
            "category",
            "reason",
        ],
    )
