"""Headings of an energy balance: which fuel and unit a column has, in one row, in several, below merged cells."""

from __future__ import annotations

import re
from typing import Any

from obsnet.errors import FormatError, UnitError
from obsnet.inventory.balance.labels import known_unit, stated_unit
from obsnet.inventory.books import Sheet, cell_name
from obsnet.inventory.factors.fuels import find_fuel
from obsnet.inventory.letters import UNIT_WORD, normal
from obsnet.inventory.notes import note

__all__ = ["columns_of_headings", "is_number"]

_UNIT = re.compile(rf"{UNIT_WORD}\s*[:：]\s*(.+)", re.IGNORECASE)


def columns_of_headings(
    sheet: Sheet, first: int, labels: int
) -> tuple[dict[int, tuple[str, float]], list[str]]:
    """Return fuel and unit of each column from the headings above the first row.

    Parameters
    ----------
    sheet : Sheet
        Of the balance.
    first, labels : int
        First row of the balance; how many columns on the left hold labels.

    Returns
    -------
    columns : dict of int to (str, float)
        Fuel, and how many of the yearbook's printed unit one unit of the column is; empty where no column is of a fuel.
    notes : list of str
        Units and names that were not said column by column.

    Raises
    ------
    FormatError
        Columns with numbers and without a name, two columns of one fuel, headings that contradict each other.
    UnitError
        Units of another kind, two that differ, one that a merged cell may give to several columns.
    """
    head, width = sheet.rows[:first], max(len(r) for r in sheet.rows)
    titled = _title_units(head, sheet.where)
    columns: dict[int, tuple[str, float]] = {}
    notes, nameless = [], []
    without: dict[int, str] = {}
    own: dict[
        str, tuple[int, float]
    ] = {}  # of each kind of unit a column that states another than the printed one
    for j in range(labels, width):
        letters = cell_name(0, j)[:-1]
        where = f"{sheet.where}: column {letters}"
        texts = _texts(head, j)
        name = _fuel_of(texts, where)
        if name is None:
            if not any(is_number(r[j]) for r in sheet.rows[first:] if j < len(r)):
                continue
            name = _fuel_of(_texts(head, j, labels), where)
            if name is None or name in {fuel for fuel, _ in columns.values()}:
                nameless.append(letters + (f" ({' '.join(t.strip() for t in texts)})" if texts else ""))
                continue
            notes.append(note("merged heading", column=letters, fuel=name, zh=find_fuel(name).zh))
        fuel = find_fuel(name)
        factor, said = stated_unit(texts, fuel, where)
        above = titled.get(fuel.printed)
        if factor is not None and above not in {None, factor}:
            raise UnitError(
                f"{where}: {fuel.name} ({fuel.zh}) states another unit than the title of the table"
            )
        if factor is None and above is not None:
            factor = above
            said = (
                ""
                if above == 1.0
                else f"{fuel.name}: {note('unit of title', unit=fuel.printed, times=f'{above:g}')}"
            )
        elif factor is None:
            without[j] = fuel.printed
            said = f"{fuel.name}: {note('no unit', unit=fuel.printed)}"
        elif factor != 1.0:
            own.setdefault(fuel.printed, (j, factor))
        if said:
            notes.append(said)
        again = next((k for k, (f, _) in columns.items() if f == fuel.name), None)
        if again is not None:
            raise FormatError(
                f"{where}: a second column of {fuel.name} ({fuel.zh}) beside {cell_name(0, again)[:-1]}"
            )
        columns[j] = (fuel.name, 1.0 if factor is None else factor)
    if columns and nameless:
        raise FormatError(
            f"{sheet.where}: columns {', '.join(nameless[:6])} hold numbers and have no fuel in their heading; "
            f"a merged cell names "
            "only its first column: give each column its own name"
        )
    for j, printed in without.items():
        if printed in own:
            raise UnitError(
                f"{sheet.where}: column {cell_name(0, j)[:-1]} ({columns[j][0]}) states no unit, and column "
                f"{cell_name(0, own[printed][0])[:-1]} states another than {printed}; a merged cell names only its "
                "first column: give each column its own unit"
            )
    if len(without) == len(columns):
        notes = [n for n in notes if "no unit" not in n] + [note("no units")]
    return columns, notes


def is_number(cell: Any) -> bool:
    """Tell whether a cell holds a number or its text."""
    return isinstance(cell, int | float) or bool(re.fullmatch(r"\s*[-+]?\d[\d.,]*(e[-+]?\d+)?\s*", str(cell)))


def _texts(head: list[list[Any]], j: int, merged_from: int | None = None) -> list[str]:
    """Return the lines of a column's heading; blanks of merged cells as what stands to their left, where asked."""
    found: list[str] = []
    for row in head:
        at = j
        while merged_from is not None and at > merged_from and not (at < len(row) and str(row[at]).strip()):
            at -= 1
        if at < len(row) and not _title(row, at):
            found += [t for t in str(row[at]).splitlines() if t.strip() and not _UNIT.search(t)]
    return found


def _title(row: list[Any], j: int) -> bool:
    """Tell whether a cell is a title over the table and not a heading of a column."""
    return len(str(row[j])) > 40 and sum(1 for c in row if str(c).strip()) == 1


def _title_units(head: list[list[Any]], where: str) -> dict[str, float]:
    """Return the units that a line such as ``单位：万吨`` above the headings states, by the kind that they are of."""
    stated = [m for row in head for c in row if (m := _UNIT.search(normal(c)))]
    parts = [
        p.strip("() ") for m in stated for p in re.split(r"[、,;/和及]|\band\b", m.group(1)) if p.strip("() ")
    ]
    known = {p: known_unit(p) for p in parts}
    odd = [p for p, unit in known.items() if unit is None]
    if odd:
        raise UnitError(
            f"{where}: unit {odd[0]!r} above the headings is not understood; write 万吨, 亿立方米 or 1e4 t"
        )
    units: dict[str, float] = {}
    for kind, factor in filter(None, known.values()):
        if units.setdefault(kind, factor) != factor:
            raise UnitError(f"{where}: two units of one kind above the headings: {', '.join(known)}")
    if set(units) == {"1e4 tce"}:
        raise UnitError(
            f"{where}: the table in coal equivalent ({', '.join(known)}); give the one in physical quantities (实物量)"
        )
    return units


def _fuel_of(texts: list[str], where: str) -> str | None:
    """Return the fuel that a heading names: in Chinese, in English over several lines, below a group's head."""
    cleaned = [re.sub(r"[(（\[].*?[)）\]]", "", t).strip() for t in texts]
    chinese = [t for t in cleaned if re.search(r"[\u4e00-\u9fff]", t)]
    english = [t for t in cleaned if t and not re.search(r"[\u4e00-\u9fff]", t)]
    found = [name for name in map(_fuel_in, (chinese, english)) if name]
    if len(set(found)) > 1:
        raise FormatError(f"{where}: the heading names {found[0]} in Chinese and {found[1]} in English")
    return found[0] if found else None


def _fuel_in(parts: list[str]) -> str | None:
    """Return the fuel that most lines in a row name together, the lowest of them: Raw Coal below Coal."""
    n = len(parts)
    for size in range(n, 0, -1):
        for k in range(n - size, -1, -1):
            try:
                return find_fuel(" ".join(parts[k : k + size])).name
            except FormatError:
                continue
    return None
