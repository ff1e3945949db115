"""Find the tables of a form and what their columns are of: a gas, its unit, masses or CO2 equivalents.

A heading may take several rows and merged cells, and a sheet may hold several tables one below the other, each with
units of its own. A column whose heading says more than a gas and a unit (a factor, a year, fossil or not) is none.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace

from obsnet.errors import FormatError, UnitError
from obsnet.inventory.books import Sheet, cell_name
from obsnet.inventory.letters import UNIT_WORD, normal, plain
from obsnet.inventory.spelling import GAS_NAMES
from obsnet.inventory.table import mass_factor
from obsnet.language import Words, filled

__all__ = ["FormColumn", "FormTable", "bare", "parts_of"]

_GASES = {g.casefold(): g for g in ("CO2", "CH4", "N2O", "SF6")}
_GASES |= {name: gas for name, gas in GAS_NAMES.items() if gas in _GASES.values()}
_EMITTED = r"(net|净)?(emissions?|(总|净)?排放(总)?量?)?((and|/|和|与|及)(removals|吸收量?))?"
_SUM = r"(合计|总计|总量|total)?"
_TOGETHER = re.compile(
    rf"(total|net|净)?(ghgs?|greenhousegas(es)?|co2e|co2eq|co2equivalents?|co2当量|二氧化碳当量|温室气体){_EMITTED}{_SUM}"
)
_OF_ONE = re.compile(rf"(net|净)?(?P<gas>{'|'.join(_GASES)}){_EMITTED}")
_NOTHING_MORE = re.compile(rf"{_EMITTED}{_SUM}|其中|ofwhich|单位|units?")
_EQUIVALENT = re.compile(r"当量|equivalent|co2\s*-?\s*e(q\b|\b)", re.IGNORECASE)
_OF_GAS = re.compile(
    r"co2\s*-?\s*(equivalents?|eq|e)?|二氧化碳|当量|equivalents?|ch4|n2o|甲烷|氧化亚氮", re.IGNORECASE
)
_STATED = re.compile(rf"{UNIT_WORD}\s*[::]\s*(.+)", re.IGNORECASE)
_MARKS = re.compile(r"[①-⒛*†‡]|(?<=[^\d⁰¹²³⁴-⁹])[⁰¹²³⁴-⁹]+$|\[\d+\]")
Origins = dict[tuple[int, int], tuple[int, int]]  # where the text of a merged cell stands
_HIGH = 3  # rows that may stand above the gases and belong to their heading

_NO_GAS = Words("its heading names no gas that is known: {text}", "表头未列出可识别的气体：{text}")
_MORE = Words("its heading says more than a gas and its unit: {text}", "表头除气体及单位外另有内容：{text}")
_BESIDE = Words(
    "column {column} has labels of its own: a second table beside the first is not filled",
    "{column} 列另有行名：并排的第二个表不填",
)
_SPREAD = Words(
    "one heading stands over several columns: {text}; which of them?",
    "同一表头对应多列：{text}，应填哪一列？",
)


@dataclass(frozen=True)
class FormColumn:
    """A column of a form: of all gases where `gas` is empty; `kg` of its unit; of CO2 equivalents or not."""

    index: int
    gas: str
    unit: str
    kg: float
    equivalent: bool


@dataclass(frozen=True)
class FormTable:
    """One table on a sheet: its rows from `first` up to `end`, labels left of column `labels`, and its columns.

    `unknown` holds (row, column, reason) of columns that are not filled; `title` is what stands above its heading.
    """

    title: str
    first: int
    end: int
    labels: int
    columns: tuple[FormColumn, ...]
    unknown: tuple[tuple[int, int, Words], ...]


@dataclass(frozen=True)
class _Read:
    """What one text of a heading says; `gas` is None where it names none."""

    gas: str | None
    unit: str
    more: str


def bare(cell: object) -> str:
    """Return a text in plain letters without the marks of footnotes.

    Examples
    --------
    >>> bare("CO₂①"), bare("CH4¹"), bare("10⁴ t")
    ('CO2', 'CH4', '10^4 t')
    """
    text = re.sub(
        r"(?<=[A-Za-z])([₀-₉0-9]?)[⁰¹²³⁴-⁹]+(?=\s|[(（]|$)", r"\1", str(cell).strip()
    )  # CH4¹ is no power
    return re.sub(r"\s+", " ", normal(_MARKS.sub("", text))).removesuffix(".0")


def parts_of(
    sheet: Sheet,
    merged: Iterable[tuple[int, int, int, int]],
    unit: str,
    period: str,
    is_row: Callable[[str], bool],
) -> Iterator[FormTable]:
    """Find the tables of a sheet.

    Parameters
    ----------
    sheet : Sheet
        Its rows from the first of the sheet on.
    merged : iterable of (int, int, int, int)
        First and last row, first and last column of merged cells, from 0.
    unit : str
        Of columns that state none.
    period : str
        Of the inventory: a year above a column has to be it.
    is_row : callable
        Tells whether a label is that of a row, so that a gas beside it is no heading.

    Raises
    ------
    FormatError
        A column without unit, two of one gas.
    """
    merged = list(merged)
    width = max([len(row) for row in sheet.rows] + [right + 1 for *_, right in merged], default=0)
    texts = [[bare(c) for c in row] + [""] * (width - len(row)) for row in sheet.rows]
    origin: Origins = {}
    for top, bottom, left, right in merged:
        for i in range(top, min(bottom + 1, len(texts))):
            for j in range(left, right + 1):
                origin[i, j] = (top, left)
                texts[i][j] = texts[top][left]
    heads = _heads(texts, origin, is_row)
    for k, (top, bottom, labels) in enumerate(heads):
        end = _before(texts, heads[k + 1][0], bottom) if k + 1 < len(heads) else len(texts)
        above = texts[heads[k - 1][1] if k else 0 : bottom]
        stated = [m.group(1).strip(" ()") for row in above for c in row if (m := _STATED.search(c))]
        part = _part(sheet, texts, origin, (top, bottom, end, labels), [*stated[-1:], unit], period)
        lines = [{*row} - {""} for row in above[: top - bottom]]
        title = " ".join(line.pop() for line in lines if len(line) == 1)
        yield _first_alone(replace(part, title=title), texts, is_row)


def _first_alone(part: FormTable, texts: list[list[str]], is_row: Callable[[str], bool]) -> FormTable:
    """Leave what stands right of a column with labels of rows: another table's."""
    for j in range(part.labels, max((c.index for c in part.columns), default=0)):
        if any(is_row(row[j]) for row in texts[part.first : part.end]):
            reason = filled(_BESIDE, column=cell_name(0, j)[:-1])
            over = [(part.first - 1, c.index, reason) for c in part.columns if c.index > j]
            kept = tuple(c for c in part.columns if c.index < j)
            return replace(part, columns=kept, unknown=(*part.unknown, *over))
    return part


def _heads(
    texts: list[list[str]], origin: Origins, is_row: Callable[[str], bool]
) -> list[tuple[int, int, int]]:
    """Return first row, row after the last, and first column of gases of each heading."""
    found: list[tuple[int, int, int]] = []
    i = 0
    while i < len(texts):
        gases = _gases(texts, origin, i)
        labels = [t for t in texts[i][: gases[0]] if t] if gases else []
        later = found and len(gases) < 2 and gases[:1] != [found[0][2]]
        if not gases or later or any(is_row(t) for t in labels):
            i += 1
            continue
        top, bottom, first = i, i + 1, gases[0]
        while bottom < len(texts) and _continues(texts, origin, bottom, first, is_row):
            bottom += 1
        least = found[-1][1] if found else 0
        while top > max(least, i - _HIGH) and _super(texts, origin, top - 1, first):
            top -= 1
        found.append((top, bottom, first))
        i = bottom
    return found


def _gases(texts: list[list[str]], origin: Origins, i: int) -> list[int]:
    """Return the columns of a row that name gases, beside the first column and what is merged with it."""
    return [
        j for j, t in enumerate(texts[i]) if t and origin.get((i, j), (i, j))[1] and _read(t).gas is not None
    ]


def _continues(
    texts: list[list[str]],
    origin: Origins,
    i: int,
    first: int,
    is_row: Callable[[str], bool],
) -> bool:
    """Tell whether a row goes on with the heading above it: no label of its own, and words in its columns."""
    row = texts[i]
    own = [t for j, t in enumerate(row[:first]) if t and origin.get((i, j), (i, j))[0] == i]
    words = [t for t in row[first:] if t]
    if not words or any(map(is_row, own)):
        return False
    if _gases(texts, origin, i):
        return True
    units = any(_read(t).unit for t in words)
    return not own or (units and all(re.fullmatch(r"(计量)?单位|units?", plain(t)) for t in own))


def _super(texts: list[list[str]], origin: Origins, i: int, first: int) -> bool:
    """Tell whether a row above the gases belongs to their heading: words over the columns alone."""
    row = texts[i]
    return not any(row[:first]) and any(t and not _STATED.search(t) for t in row[first:])


def _before(texts: list[list[str]], top: int, least: int) -> int:
    """Return the row after a table's last: lines of one text right above the next heading are its title."""
    for _ in range(2):
        if top > least and len({t for t in texts[top - 1] if t}) == 1:
            top -= 1
    return top


def _read(text: str) -> _Read:
    """Say what a text of a heading means."""
    if found := _STATED.search(text):
        unit = found.group(1).strip(" ()")
        return _Read(None, unit if _mass(unit) else "", "" if _mass(unit) else text)
    inside = [t.strip() for t in re.findall(r"[(\[]([^()\[\]]*)[)\]]", text)]
    outside = re.sub(r"[(\[][^()\[\]]*[)\]]", "", text).strip(" ()[]")
    units = [t for t in inside if _mass(t)]
    more = [t for t in inside if not _mass(t) and _OF_GAS.sub("", t).strip(" -,")]
    if _mass(outside):
        return _Read(None, outside, ", ".join(more))
    if (found := re.fullmatch(r"(.+?)\s*[,;/:\s]\s*([^,;/:]+)", outside)) and _mass(found.group(2)):
        outside, units = found.group(1), [*units, found.group(2)]
    gas = _gas(plain(outside))
    if gas is None and outside and not _NOTHING_MORE.fullmatch(plain(outside)):
        more.append(outside)
    return _Read(gas, units[-1] if units else "", ", ".join(more))


def _gas(name: str) -> str | None:
    """Return the gas that a heading names, empty for all together, None for anything else."""
    if _TOGETHER.fullmatch(name):
        return ""
    found = _OF_ONE.fullmatch(name)
    return _GASES[found.group("gas")] if found else None


def _mass(text: str) -> float | None:
    """Return kg of a unit in which gases or equivalents may be named."""
    unit = _OF_GAS.sub("", text).strip(" -()")
    try:
        return mass_factor(unit) if unit else None
    except UnitError:
        return None


def _part(
    sheet: Sheet,
    texts: list[list[str]],
    origin: Origins,
    rows: tuple[int, int, int, int],
    units: list[str],
    period: str,
) -> FormTable:
    """Return a table by its heading; `units` are those that hold where the heading has none."""
    top, bottom, end, first = rows
    columns: list[FormColumn] = []
    unknown: list[tuple[int, int, Words]] = []
    by_heading: dict[tuple[tuple[int, int], ...], list[int]] = {}
    below = ""  # a unit in a row of units holds up to the next
    for j in range(first, max(map(len, texts[top:bottom]))):
        chain = [(i, texts[i][j]) for i in range(top, bottom) if j < len(texts[i]) and texts[i][j]]
        read = [_read(t) for _, t in chain]
        if read and read[-1].unit and read[-1].gas is None:
            below = "" if _EQUIVALENT.search(chain[-1][1]) else read[-1].unit
        elif len(read) > 1 and chain[-1][0] == bottom - 1:
            below = ""
        said = " / ".join(dict.fromkeys(t for _, t in chain))
        if not said:
            continue
        gases = {r.gas for r in read if r.gas}
        more = [r.more for r in read if r.more and r.more.removesuffix("年") != period]
        if more or len(gases) > 1 or not any(r.gas is not None for r in read):
            reason = _MORE if any(r.gas is not None for r in read) else _NO_GAS
            unknown.append((chain[-1][0], j, filled(reason, text=said)))
            continue
        gas = next(iter(gases), "")
        own = next((r.unit for r in reversed(read) if r.unit), "")
        said_of_it = [u for u in (own, below, *units) if u]
        used = next(filter(_mass, said_of_it), "".join(said_of_it[:1]))
        if (kg := _mass(used)) is None:
            raise FormatError(
                f"{sheet.where}: {cell_name(chain[-1][0], j)} {said!r} has no unit"
                + (f" that is a mass ({used})" if used else ", nor has the sheet")
                + "; say it (--unit 万吨)"
            )
        by_heading.setdefault(tuple(dict.fromkeys(origin.get((i, j), (i, j)) for i, _ in chain)), []).append(
            j
        )
        equivalent = not gas or bool(_EQUIVALENT.search(used) or _EQUIVALENT.search(said))
        columns.append(FormColumn(j, gas, used, kg, equivalent))
    for same in by_heading.values():
        over = same[1:]
        if over and not all((i, j) in origin for i in range(bottom, end) for j in over if any(texts[i])):
            unknown.append((bottom - 1, same[0], filled(_SPREAD, text=texts[bottom - 1][same[0]])))
            over = same
        columns = [c for c in columns if c.index not in over]
    _refuse_two(sheet, bottom - 1, columns)
    return FormTable("", bottom, end, first, tuple(columns), tuple(unknown))


def _refuse_two(sheet: Sheet, row: int, columns: list[FormColumn]) -> None:
    for column in columns:
        same = [c for c in columns if (c.gas, c.equivalent) == (column.gas, column.equivalent)]
        if len(same) > 1:
            cells = " and ".join(cell_name(row, c.index) for c in same)
            raise FormatError(
                f"{sheet.where}: {cells} are both of {column.gas or 'all gases'}; a form is of one period"
            )
