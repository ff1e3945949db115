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
from obsnet.errors import FormatError, UnitError, nearest
from obsnet.inventory.account.categories import categories_by_name, converted, is_category, need_terminology
from obsnet.inventory.account.report import read_edition
from obsnet.inventory.books import Sheet, cell_name, read_rows, read_sheets
from obsnet.inventory.exchange.workbook import gwp_set
from obsnet.inventory.packaged import package_rows
from obsnet.inventory.table import mass_factor
from obsnet.inventory.words import heading_unit, normal, part_and_whole, plain, province_or_own
from obsnet.language import Words, filled
from obsnet.reading import door
from obsnet.sheets import csv_text

__all__ = ["Filled", "fill_form"]

_GASES = {"co2": "CO2", "二氧化碳": "CO2", "ch4": "CH4", "甲烷": "CH4", "n2o": "N2O", "氧化亚氮": "N2O",
          "sf6": "SF6", "六氟化硫": "SF6"}  # fmt: skip
_TOGETHER = re.compile(r"^(total)?(ghg|co2e|co2eq|co2equivalent|co2当量|二氧化碳当量|温室气体)")
_AROUND = re.compile(r"^(net|净)|(emissions?|(净)?排放量?)?(and|/|和)?(removals|吸收量?)?$")
_EQUIVALENT = re.compile(r"当量|equivalent|co2\s*-?\s*e(q\b|\b)", re.IGNORECASE)
_OF_GAS = re.compile(
    r"co2\s*-?\s*(equivalents?|eq|e)?|二氧化碳|当量|equivalents?|ch4|n2o|甲烷|氧化亚氮", re.IGNORECASE
)
_STATED = re.compile(r"(?:单位|units?)\s*[::]\s*(.+)", re.IGNORECASE)
_CODE = re.compile(r"^\d{1,2}(?:\.[A-Za-z0-9]{1,4})*")
_NUMBERING = re.compile(
    r"^(?:其中|of which)?\s*[::]?\s*"
    r"(?:\(?[一二三四五六七八九十]{1,3}[)、.]|\(?\d{1,2}(?:\.[\dA-Za-z]{1,4})*(?!\d)[)、.]?|[—–*-])?\s*"
)
_TOTAL = re.compile(
    r"(全[省国市区])?(温室气体)?(净?排放)?(总量|合计|总计|总排放量)|温室气体|(national|grand|net)?total(ghg)?(emissions?)?"
)
_LAND = re.compile(r"土地利用|lulucf|land use|land-use", re.IGNORECASE)
_WITHOUT = re.compile(r"不包括|不含|扣除|without|excl", re.IGNORECASE)
_HEAD = 20  # rows in which a heading may stand

_NO_CATEGORY = Words("no category of this name", "没有此名称的类别")
_OTHER_SECTOR = Words(
    "the name is of {code}, another sector than the rows above it", "该名称属于 {code}，与上方各行的部门不同"
)
_DISAGREE = Words("its code says {code}, its name {other}", "编码为 {code}，名称为 {other}")
_LAND_ASKED = Words(
    "a total with land or without it? Say so in the table of rows (total, total-3.B)",
    "总量是否包括土地利用？请在行对照表中写明（total 或 total-3.B）",
)
_ONE_SECTOR = Words(
    "a total beside rows of one sector: of all or of that? Say so in the table of rows",
    "表中仅有一个部门：是全部总量还是该部门合计？请在行对照表中写明",
)
_HOLDS = Words(
    "the cell holds {held} already; the inventory has {value:.6g}", "单元格已有 {held}；清单为 {value:.6g}"
)
_MERGED = Words("the cell is part of a merged one", "单元格是合并单元格的一部分")


@dataclass(frozen=True)
class _Column:
    """A column of a form: of all gases where `gas` is empty; `kg` of its unit; of CO2 equivalents or not."""

    index: int
    gas: str
    unit: str
    kg: float
    equivalent: bool


@dataclass(frozen=True)
class _Row:
    """A row of a form, and the codes whose lines are added (1) and subtracted (-1) in it; all where a code is empty.

    `by` says what it was known by: ``rows`` of the user, ``name``, ``code`` or ``total``.
    """

    index: int
    label: str
    terms: tuple[tuple[int, str], ...]
    by: str

    @property
    def sector(self) -> str:
        """First figure of its code; empty for a total."""
        return self.terms[0][1][:1]


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
    nowhere : list of dict
        Lines of the inventory that are in no row but a total.
    """

    region: str
    period: str
    cells: list[dict[str, Any]] = field(default_factory=list)
    left: list[dict[str, Any]] = field(default_factory=list)
    nowhere: list[dict[str, Any]] = field(default_factory=list)


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

    Raises
    ------
    FormatError
        No heading of gases, a column without unit, several regions or periods, parts beside their whole, no row known.
    """
    import openpyxl

    if form.suffix.lower() != ".xlsx":
        raise FormatError(f"{form}: forms are filled as xlsx; save it as that")
    table, done = _lines(inventory, region, period)
    known = _known(rows)
    weights = gwp_set(gwp)
    sheets = read_sheets(form)
    headed = [(s, *h) for s in sheets if (h := _heading(s, unit))]
    if not headed:
        raise FormatError(
            f"{form}: no heading of gases (CO2, 甲烷 …) in its sheets {', '.join(s.name for s in sheets)}"
        )
    book = openpyxl.load_workbook(form)
    land = any(f"{r['category']}.".startswith("3.B.") for r in table)
    placed: set[int] = set()
    for sheet, first, columns in headed:
        for row in _rows(sheet, first, columns, known, land, done):
            for column in columns:
                placed |= _put(book[sheet.name], sheet, row, column, table, weights, done)
    if not done.cells:
        raise FormatError(
            f"{form}: no row is known by name or code ({'; '.join(r['label'] for r in done.left[:3])} …); "
            "say what rows mean in a table with the columns label and category (--rows)"
        )
    done.nowhere = [
        {"category": r["category"], "gas": r["gas"], "value": r["value"], "unit": r["unit"]}
        for i, r in enumerate(table)
        if i not in placed
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


def _known(rows: Path | None) -> dict[str, tuple[tuple[int, str], ...]]:
    """Return what labels mean: names of categories, other usual labels, then the user's own."""
    known = {name: _terms(code) for name, code in categories_by_name().items()}
    known |= {plain(r["label"]): _terms(r["category"]) for r in package_rows("form_labels.csv")}
    if rows is not None:
        own = read_rows(rows, ("label", "category"))
        for label, category in zip(own["label"], own["category"], strict=True):
            for _, code in (terms := _terms(str(category))):
                if code and not is_category(code):
                    raise FormatError(
                        f"{rows}: {category!r} of {label!r} is no sum of categories of IPCC 2006"
                    )
            known[f"own {plain(label)}"] = terms
    return known


def _terms(text: str) -> tuple[tuple[int, str], ...]:
    parts = re.findall(r"([+-]?)\s*([^+\-\s]+)", text)
    return tuple((-1 if sign == "-" else 1, "" if code == "total" else code) for sign, code in parts)


def _heading(sheet: Sheet, unit: str) -> tuple[int, list[_Column]] | None:
    """Return the row of gases and its columns."""
    texts = [[normal(c) for c in row] for row in sheet.rows[:_HEAD]]
    stated = next((m.group(1) for row in texts for c in row if (m := _STATED.search(c))), "")
    for i, row in enumerate(texts):
        gases = {j: g for j, c in enumerate(row) if j and (g := _gas(c)) is not None}
        if not gases:
            continue
        below = _unit_row(texts[i + 1], min(gases)) if i + 1 < len(texts) else {}
        columns = [
            _column(sheet, i, j, gas, (heading_unit(row[j]), below.get(j, ""), stated, unit), row[j])
            for j, gas in gases.items()
        ]
        for column in columns:
            same = [c for c in columns if (c.gas, c.equivalent) == (column.gas, column.equivalent)]
            if len(same) > 1:
                cells = " and ".join(cell_name(i, c.index) for c in same)
                raise FormatError(
                    f"{sheet.where}: {cells} are both of {column.gas or 'all gases'}; a form is of one period"
                )
        return i + bool(below), columns
    return None


def _gas(text: str) -> str | None:
    """Return the gas that a heading names, empty for all together, None for anything else."""
    name = plain(re.sub(r"\(.*?\)|\[.*?\]", "", text))
    if _STATED.search(text):
        return None
    if _TOGETHER.match(name):
        return ""
    return _GASES.get(_AROUND.sub("", name))


def _unit_row(row: list[str], first: int) -> dict[int, str]:
    """Return units below a heading, each up to the next; none where the row is of something else."""
    found: dict[int, str] = {}
    last = ""
    for j in range(first, len(row)):
        if row[j]:
            last = row[j].strip("()")
            if _mass(last) is None:
                return {}
        if last:
            found[j] = last
    return found if not any(row[:first]) else {}


def _mass(text: str) -> float | None:
    """Return kg of a unit in which gases or equivalents may be named."""
    bare = _OF_GAS.sub("", text).strip(" -()")
    try:
        return mass_factor(bare) if bare else None
    except UnitError:
        return None


def _column(sheet: Sheet, row: int, column: int, gas: str, units: tuple[str, ...], heading: str) -> _Column:
    for text in units:
        if (kg := _mass(text)) is not None:
            return _Column(
                column,
                gas,
                text,
                kg,
                not gas or bool(_EQUIVALENT.search(text) or _EQUIVALENT.search(heading)),
            )
    raise FormatError(
        f"{sheet.where}: {cell_name(row, column)} {heading!r} has no unit, nor has the sheet; say it (--unit 万吨)"
    )


def _rows(
    sheet: Sheet,
    first: int,
    columns: list[_Column],
    known: dict[str, tuple[tuple[int, str], ...]],
    land: bool,
    done: Filled,
) -> list[_Row]:
    """Return rows whose meaning is known; list the others."""
    found: list[_Row] = []
    for i, cells in enumerate(sheet.rows[first + 1 :], first + 1):
        texts = [t for c in cells[: columns[0].index] if (t := normal(c))]
        if not texts:
            continue
        row = _meaning(i, texts, next((r.sector for r in reversed(found) if r.sector), ""), known, land)
        if isinstance(row, _Row):
            found.append(row)
        else:
            done.left.append(_place(sheet, i, 0, " ".join(texts)) | {"reason": row})
    if len({r.sector for r in found if r.sector}) == 1:
        unclear = [r for r in found if r.by == "total"]
        done.left += [_place(sheet, r.index, 0, r.label) | {"reason": _ONE_SECTOR} for r in unclear]
        found = [r for r in found if r.by != "total"]
    return found


def _meaning(
    index: int, texts: list[str], sector: str, known: dict[str, tuple[tuple[int, str], ...]], land: bool
) -> _Row | Words:
    """Return what a row means after rows of a sector, or why it is left."""
    label = " ".join(texts)
    name = _name(texts[-1])
    code = next((m.group() for t in texts if (m := _CODE.match(t)) and is_category(m.group())), "")
    if own := known.get(f"own {plain(label)}") or known.get(f"own {plain(texts[-1])}"):
        return _Row(index, label, own, "rows")
    if _TOTAL.fullmatch(name):
        of_land = _LAND.search(label)
        if land and not of_land:
            return _LAND_ASKED
        return _Row(
            index, label, _terms("total-3.B" if of_land and _WITHOUT.search(label) else "total"), "total"
        )
    named = known.get(name)
    if not named:
        return _Row(index, label, _terms(code), "code") if re.search("[A-Za-z]", code) else _NO_CATEGORY
    first = named[0][1]
    if "." in code and named != _terms(code):
        return filled(_DISAGREE, code=code, other="+".join(c for _, c in named))
    if "." in first and len(named) == 1 and sector and first[0] != sector:
        return filled(_OTHER_SECTOR, code=first)
    return _Row(index, label, named, "name")


def _name(text: str) -> str:
    """Return a name without its number, remarks in brackets and the word for a sum after it."""
    bare = plain(re.sub(r"\(.*?\)", "", _NUMBERING.sub("", text)) or text)
    return re.sub(r"(?<=.)(合计|总计|小计)$", "", bare)


def _place(sheet: Sheet, row: int, column: int, label: str) -> dict[str, Any]:
    return {"sheet": sheet.name, "cell": cell_name(row, column), "label": label}


def _put(
    page: Any,
    sheet: Sheet,
    row: _Row,
    column: _Column,
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
        + [{**r, "what": "in no row"} for r in done.nowhere],
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
