"""Read energy balances: the yearbooks' layouts of 2007 and since 2010, simple ones of cities, any order of columns.

What the reader finds it keeps as it stands: empty cells are 0, nothing else is changed, and what was converted or
left out is in `Balance.notes`. `obsnet.inventory.balance.identities` says whether it adds up.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from obsnet.errors import FormatError, RangeError, RegionError
from obsnet.inventory.balance.headings import columns_of_headings, is_number
from obsnet.inventory.balance.heat import heat_in_printed_unit
from obsnet.inventory.balance.labels import ROWS, BalanceRow, find_row
from obsnet.inventory.balance.signs import Signs, printed_signs
from obsnet.inventory.books import Sheet, cell_name, number, read_sheets
from obsnet.inventory.factors.fuels import fuels
from obsnet.inventory.notes import note
from obsnet.inventory.words import find_region
from obsnet.reading import door
from obsnet.regions import PROVINCES

__all__ = ["Balance", "read_balance", "read_balances"]

_HEAT_RATE = (3.0, 40.0)  # MJ of fuel a kWh; China's stations need 8 to 16


@dataclass(frozen=True, eq=False)
class Balance:
    """One province's (or city's) energy balance of one year.

    Parameters
    ----------
    region : str
        Adcode, or the user's own key.
    year : int
        Of the balance.
    table : pandas.DataFrame
        Rows: those of `obsnet.inventory.balance.labels.ROWS` that were found; columns: fuels; values in the yearbook's
        printed units (1e4 t, 1e8 m3, 1e10 kJ, 1e8 kWh, 1e4 tce), signs as printed: inputs of transformation negative.
    cells : mapping of (str, str) to str
        Cell of the file for each row and fuel.
    source : str
        File and sheet.
    layout : str
        ``30 fuels``, ``17 fuels`` or ``simple``.
    notes : tuple of str
        What was chosen, converted or left out.
    """

    region: str
    year: int
    table: Any
    cells: Mapping[tuple[str, str], str]
    source: str
    layout: str
    notes: tuple[str, ...] = ()

    def value(self, row: str, fuel: str) -> float:
        """Return a cell in the printed unit; 0 where the table has no such row or column."""
        there = row in self.table.index and fuel in self.table.columns
        return float(self.table.at[row, fuel]) if there else 0.0


def read_balance(path: str | Path, **how: Any) -> Balance:
    """Read the one balance of a file; arguments as for `read_balances`.

    Raises
    ------
    FormatError
        The file holds several.

    Examples
    --------
    >>> read_balance("6-1.xls").value("final consumption", "raw coal")  # doctest: +SKIP
    """
    found = read_balances(path, **how)
    if len(found) > 1:
        names = ", ".join(b.source.rpartition("sheet ")[2] for b in found)
        raise FormatError(f"{path}: holds {len(found)} balances (sheets {names}); say which one with --sheet")
    return found[0]


@door("an energy balance")
def read_balances(
    path: str | Path,
    *,
    region: str | None = None,
    year: int | None = None,
    sheet: str | None = None,
    signs: Signs = "printed",
) -> list[Balance]:
    """Read every balance of a file; sheets that are none are named in the notes.

    Parameters
    ----------
    path : path
        xls, xlsx or text.
    region, year : optional
        Where the title does not say them; a region that is no province is kept as the user's own key.
    sheet : str, optional
        Only this one.
    signs : {"printed", "reversed"}
        ``reversed``: the table has inputs of transformation positive and outputs negative.

    Raises
    ------
    FormatError
        No balance in the file, columns without a name, two columns or rows of one name, no region or year, signs of the
        other convention.
    UnitError
        A unit of another kind.
    RangeError
        A cell that is no number; fuel and electricity of thermal power that cannot belong together: a unit is off.
    """
    found, others, faults = [], [], []
    sheets = read_sheets(path, [sheet] if sheet else None)
    for one in sheets:
        try:
            found.append(_read(one, region, year, signs))
        except _NoBalanceError as fault:
            others.append(one.name)
            faults.append(str(fault))
    if not found:
        raise FormatError(
            f"{path}: no energy balance in it: {faults[0]}" if faults else f"{path}: no energy balance in it"
        )
    seen: dict[tuple[str, int], str] = {}
    for balance in found:
        key = (balance.region, balance.year)
        if key in seen:
            raise FormatError(
                f"{path}: two balances of {balance.region} {balance.year} ({seen[key]} and {balance.source}); "
                f"say which one with "
                "--sheet"
            )
        seen[key] = balance.source
    if others and len(sheets) > 1:
        said = note("no balance", sheets=", ".join(map(repr, others)))
        found = [_noted(b, f"{Path(path).name}: {said}") for b in found]
    return found


class _NoBalanceError(Exception):
    pass


def _noted(balance: Balance, said: str) -> Balance:
    from dataclasses import replace

    return replace(balance, notes=(*balance.notes, said))


def _read(sheet: Sheet, region: str | None, year: int | None, signs: Signs) -> Balance:
    import pandas as pd

    rows, first, labels = _labelled_rows(sheet)
    columns, unit_notes = columns_of_headings(sheet, first, labels)
    if not columns:
        raise _NoBalanceError("rows of an energy balance, but no column of a fuel")
    title = " ".join(str(c) for row in sheet.rows[:first] for c in row if str(c).strip())
    if re.search(r"标准量|standard quantity|coal equivalent calculation", title):
        raise FormatError(
            f"{sheet.where}: the table in coal equivalent (标准量); give the one in physical quantities (实物量)"
        )
    notes = [*sheet.notes, *unit_notes]
    values: dict[str, dict[str, float]] = {}
    cells: dict[tuple[str, str], str] = {}
    for at, row in rows.items():
        line = sheet.rows[at]
        values[row.name] = {}
        for j, (fuel, factor) in columns.items():
            cell = line[j] if j < len(line) else ""
            amount = number(cell, f"{sheet.where}: cell {cell_name(at, j)} ({row.name}, {fuel})")
            values[row.name][fuel] = 0.0 if amount is None else amount * factor
            cells[row.name, fuel] = cell_name(at, j)
    order = [name for name in ROWS if name in values]
    table = pd.DataFrame.from_dict({r: values[r] for r in order}, orient="index")
    table, said = printed_signs(table, signs, sheet.where)
    notes += said
    _plausible(table, sheet.where)
    found_region, found_year, said = _place(title, sheet, region, year)
    notes += said
    n = len([f for f in table.columns if fuels()[f].kind not in {"total", "heat", "electricity", "other"}])
    layout = "30 fuels" if n >= 25 else "17 fuels" if n >= 15 else "simple"
    return Balance(found_region, found_year, table, cells, sheet.where, layout, tuple(notes))


def _labelled_rows(sheet: Sheet) -> tuple[dict[int, BalanceRow], int, int]:
    """Return the rows by number, the first of them, and how many columns on the left hold labels."""
    width = max((len(r) for r in sheet.rows), default=0)
    counts = [
        sum(1 for r in sheet.rows if j < len(r) and isinstance(r[j], str) and find_row(r[j]) is not None)
        for j in range(min(width, 4))
    ]
    if not counts or max(counts) < 4:
        raise _NoBalanceError(
            f"{max(counts, default=0)} rows of an energy balance found, such as 终端消费量 (final consumption)"
        )
    places = [j for j, c in enumerate(counts) if c >= 4]
    found: dict[int, BalanceRow] = {}
    section, unknown = "", []
    for i, line in enumerate(sheet.rows):
        texts = [str(line[j]) for j in places if j < len(line) and str(line[j]).strip()]
        row = next((r for r in (find_row(t, section) for t in texts) if r is not None), None)
        if row is None:
            if found and texts and any(is_number(c) for c in line[max(places) + 1 :]):
                unknown.append(f"{texts[0].strip()} (row {i + 1})")
            continue
        if row.section in {"supply", "transformation", "final"} and not row.parent:
            section = row.section
        again = next((k for k, r in found.items() if r.name == row.name), None)
        if again is not None:
            raise FormatError(f"{sheet.where}: rows {again + 1} and {i + 1} are both {row.name} ({row.zh})")
        found[i] = row
    if unknown:
        raise FormatError(
            f"{sheet.where}: rows with numbers that no balance has: {', '.join(unknown[:5])}; remove or rename them"
        )
    return found, min(found), max(places) + 1


def _plausible(table: Any, where: str) -> None:
    """Refuse a table whose fuel and electricity of thermal power cannot belong together."""
    if "thermal power" not in table.index or "electricity" not in table.columns:
        return
    power = float(table.at["thermal power", "electricity"])
    fuel = sum(
        -min(float(table.at["thermal power", f]), 0.0) * heat_in_printed_unit(f) for f in table.columns
    )
    if power <= 1.0 or fuel <= 0.0:
        return
    rate = fuel / power * 1e-1  # 1e4 GJ over 1e8 kWh
    if not _HEAT_RATE[0] <= rate <= _HEAT_RATE[1]:
        raise RangeError(
            f"{where}: thermal power burns {rate:.3g} MJ of fuel a kWh, stations need 8 to 16: a unit is off "
            f"(1e4 t against t, "
            "1e8 m3 against 1e4 m3, 1e8 kWh against 1e4 kWh?); correct the units in the headings"
        )


def _place(title: str, sheet: Sheet, region: str | None, year: int | None) -> tuple[str, int, list[str]]:
    """Return region and year, what the user says, else what title, sheet or file say; and where the two differ."""
    texts = [unicodedata.normalize("NFKC", t) for t in (title, sheet.name, sheet.path.stem)]
    stated = [sorted(set(re.findall(r"(?<!\d)(19[5-9]\d|20[0-4]\d)(?!\d)", t))) for t in texts]
    years = next((y for y in stated if y), [])
    notes = []
    if year is None:
        if len(years) != 1:
            why = f"several years ({', '.join(years)})" if years else "no year"
            raise FormatError(f"{sheet.where}: {why} in title, sheet or file name; say it with --year")
        year = int(years[0])
    elif years and str(year) not in years:
        notes.append(note("as asked", stated=", ".join(years), asked=year))
    found = next((code for code in map(_region_in, texts) if code), None)
    if region is None:
        if found is None:
            raise FormatError(
                f"{sheet.where}: no province in title, sheet or file name; say it with --region"
            )
        return found, year, notes
    try:
        own = find_region(region)
    except RegionError:
        return region, year, notes
    if found not in {None, own}:
        notes.append(note("as asked", stated=PROVINCES[str(found)][0], asked=PROVINCES.get(own, (own,))[0]))
    return own, year, notes


def _region_in(text: str) -> str | None:
    """Return the province a title names; Shaanxi before Shanxi, Inner Mongolia before Mongolia."""
    squeezed = re.sub(r"\s+", "", text)
    chinese = [c for c, (_, full, short) in PROVINCES.items() if full in squeezed or short in squeezed]
    if len(chinese) == 1:
        return chinese[0]
    lower = re.sub(r"[\s_]+", "", text).casefold()
    english = [c for c, (name, _, _) in PROVINCES.items() if name.replace(" ", "").casefold() in lower]
    return english[0] if len(english) == 1 else None
