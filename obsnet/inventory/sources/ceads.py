"""Workbooks of CEADs: one a year with a sheet a province, or one of the nation with a sheet a year.

Three spellings of the headings are known.

Layout: headings of 17 fuels, scope 2 heat and electricity, other energy, process and the scope 1 total; a line of units
(Mt CO2); the total; 47 sectors. Sources: Shan et al. 2018 (doi:10.1038/sdata.2017.201), Shan et al. 2020
(doi:10.1038/s41597-020-0393-y), Guan et al. 2021 (doi:10.1029/2021EF002241). The data are not shipped with this
program.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np

from obsnet.errors import FormatError, RegionError, SchemaError
from obsnet.inventory.account.categories import ceads_sectors
from obsnet.inventory.books import Sheet, read_sheets
from obsnet.inventory.factors.fuels import find_fuel
from obsnet.inventory.notes import note
from obsnet.inventory.words import NATION, find_region, plain
from obsnet.reading import door
from obsnet.typing import Floats

__all__ = ["COLUMNS", "Ceads", "closure", "read_ceads", "read_ceads_books"]

_OTHER = {
    plain(n): n for n in ("scope 2 heat", "scope 2 electricity", "other energy", "process", "scope 1 total")
}
COLUMNS = (
    "raw coal", "cleaned coal", "other washed coal", "briquettes", "coke", "coke oven gas", "other gas",
    "other coking products", "crude oil", "gasoline", "kerosene", "diesel", "fuel oil", "LPG", "refinery gas",
    "other petroleum products", "natural gas", *_OTHER.values(),
)  # fmt: skip
_TOTAL = {"totalconsumption", "totalemissions"}
SOURCE = "CEADs: Shan et al. 2018, doi:10.1038/sdata.2017.201; Shan et al. 2020; Guan et al. 2021"


@dataclass(frozen=True, eq=False)
class Ceads:
    """Emissions of regions and years.

    Parameters
    ----------
    regions, years : tuple
        Of each entry: adcode (or `NATION`) and year.
    sectors : tuple of str
        ``total`` and the sectors.
    columns : tuple of str
        `COLUMNS`: fuels, then what is no fuel.
    values : ndarray, shape (entries, sectors, columns)
        Mt CO2.
    notes : tuple of str
        Sheets left out.
    """

    regions: tuple[str, ...]
    years: tuple[int, ...]
    sectors: tuple[str, ...]
    columns: tuple[str, ...]
    values: Floats
    notes: tuple[str, ...] = ()

    @property
    def table(self) -> Any:
        """All as rows: ``region, period, category`` (``total`` or the sector), ``fuel, value`` (Mt CO2)."""
        import pandas as pd

        n, s, c = self.values.shape
        return pd.DataFrame(
            {
                "region": np.repeat(np.array(self.regions, dtype=object), s * c),
                "period": np.repeat(np.array(self.years), s * c),
                "category": np.tile(np.repeat(np.array(self.sectors, dtype=object), c), n),
                "fuel": np.tile(np.array(self.columns, dtype=object), n * s),
                "value": self.values.ravel(),
            }
        )

    def series(self, sector: str = "total", column: str = "scope 1 total") -> Any:
        """Return a table of years by region, Mt CO2."""
        import pandas as pd

        values = self.values[:, self.sectors.index(sector), self.columns.index(column)]
        frame = pd.DataFrame({"region": self.regions, "year": self.years, "value": values})
        return frame.pivot(index="year", columns="region", values="value")

    def contract(self, sectors: bool = False) -> Any:
        """Return the inventory contract: scope 1 totals, and with `sectors` a row a sector of CEADs."""
        import pandas as pd

        from obsnet.inventory.table import COLUMNS as CONTRACT

        rows = []
        total = self.columns.index("scope 1 total")
        for k, (region, year) in enumerate(zip(self.regions, self.years, strict=True)):
            names = self.sectors if sectors else ("total",)
            for name in names:
                value = float(self.values[k, self.sectors.index(name), total])
                rows.append(
                    (region, str(year), "CO2", name, "CEADs", value, "Mt", np.nan, SOURCE, "CEADs 1997-2019")
                )
        return pd.DataFrame(rows, columns=list(CONTRACT))


def is_ceads(sheets: Sequence[Sheet]) -> bool:
    """Tell whether sheets are of a CEADs workbook: some sheet has the sectors."""
    return any(_first_sector(s.rows) is not None for s in sheets[:6])


def _first_sector(rows: list[list[Any]]) -> int | None:
    known = ceads_sectors()
    return next(
        (i for i, r in enumerate(rows[:8]) if r and isinstance(r[0], str) and plain(r[0]) in known), None
    )


def _heading(rows: list[list[Any]], first: int) -> int | None:
    """Return the row of the headings; a sheet whose headings are years is a summary."""
    return next(
        (i for i in range(first) if sum(1 for c in rows[i][1:] if isinstance(c, str) and c.strip()) > 10),
        None,
    )


@door("a workbook of CEADs")
def read_ceads(path: str | Path, sheets: Sequence[Sheet] | None = None) -> Ceads:
    """Read one workbook.

    Parameters
    ----------
    path : path
        Of a year and all provinces, or of the nation and all years.
    sheets : sequence of Sheet, optional
        Where it is open already.

    Raises
    ------
    FormatError
        No sheet of this layout, an unknown heading or sector, a unit that is not Mt CO2.
    SchemaError
        A region and year given twice.
    """
    path = Path(path)
    opened = read_sheets(path) if sheets is None else list(sheets)
    regions: list[str] = []
    years: list[int] = []
    blocks: list[Floats] = []
    notes: list[str] = []
    in_name = re.search(r"(19|20)\d\d(?!\d|[-_]\d)", path.stem)
    for sheet in opened:
        first = _first_sector(sheet.rows)
        if first is None or _heading(sheet.rows, first) is None:
            if sheet.name.casefold() != "note":
                notes.append(f"{path.name}: {note('no inventory', sheet=repr(sheet.name))}")
            continue
        region, year = _place(sheet.name, int(in_name.group()) if in_name else None, str(path))
        blocks.append(_block(sheet, first))
        regions.append(region)
        years.append(year)
    if not blocks:
        raise FormatError(f"{path}: no sheet of a CEADs inventory in it")
    keys = list(zip(regions, years, strict=True))
    twice = next((k for k in keys if keys.count(k) > 1), None)
    if twice is not None:
        raise SchemaError(f"{path}: two sheets of {twice[0]} {twice[1]}")
    sectors = ("total", *(s.name for s in ceads_sectors().values()))
    return Ceads(tuple(regions), tuple(years), sectors, COLUMNS, np.stack(blocks), tuple(notes))


def read_ceads_books(paths: Sequence[str | Path | Ceads]) -> Ceads:
    """Read several workbooks, or take those read, as one; provinces and the nation may stand together.

    Raises
    ------
    SchemaError
        No workbook, or a region and year in two of them.
    """
    if not paths:
        raise SchemaError("no workbook of CEADs to read: none was given, or the pattern found none")
    books = [p if isinstance(p, Ceads) else read_ceads(p) for p in paths]
    regions = tuple(r for b in books for r in b.regions)
    years = tuple(y for b in books for y in b.years)
    seen: dict[tuple[str, int], int] = {}
    for key in zip(regions, years, strict=True):
        seen[key] = seen.get(key, 0) + 1
    twice = next((k for k, n in seen.items() if n > 1), None)
    if twice is not None:
        raise SchemaError(f"{twice[0]} {twice[1]} stands in two workbooks; give each year once")
    notes = tuple(n for b in books for n in b.notes)
    return Ceads(regions, years, books[0].sectors, COLUMNS, np.concatenate([b.values for b in books]), notes)


@lru_cache(maxsize=512)
def _place(name: str, year: int | None, where: str) -> tuple[str, int]:
    """Return region and year of a sheet ``Shanghai2019``, or ``2019`` in a book of the nation."""
    match = re.fullmatch(r"\s*(.*?)[\s_]*((?:19|20)\d\d)?\s*", name)
    text, digits = match.groups() if match else (name, None)
    found = int(digits) if digits else year
    if found is None:
        raise FormatError(f"{where}: sheet {name!r} names no year")
    if digits and year is not None and int(digits) != year and text:
        raise FormatError(f"{where}: sheet {name!r} in a book of {year}")
    try:
        return (find_region(text) if text else NATION), found
    except RegionError as fault:
        raise RegionError(f"{where}: sheet {name!r}: {fault}") from None


@lru_cache(maxsize=64)
def _columns(header: tuple[str, ...], where: str) -> tuple[int, ...]:
    """Return where each of `COLUMNS` stands."""
    places: dict[str, int] = {}
    for j, cell in enumerate(header):
        key = plain(cell)
        if not key:
            continue
        name = _OTHER.get(key)
        if name is None:
            try:
                name = find_fuel(cell).name
            except FormatError:
                raise FormatError(f"{where}: column {j + 1}: heading {cell!r} is no fuel of CEADs") from None
        places[name] = j
    missing = [c for c in COLUMNS if c not in places]
    if missing:
        raise FormatError(f"{where}: lacks the column {', '.join(missing)}")
    return tuple(places[c] for c in COLUMNS)


@lru_cache(maxsize=64)
def _lines(labels: tuple[str, ...], where: str) -> tuple[int, ...]:
    """Return the row of the total and of each sector."""
    known = ceads_sectors()
    at = {plain(label): i for i, label in enumerate(labels) if label}
    total = next((at[t] for t in _TOTAL if t in at), None)
    missing = [s.name for key, s in known.items() if key not in at]
    if total is None or missing:
        raise FormatError(f"{where}: lacks the row {missing[0] if missing else 'of the total'}")
    return (total, *(at[key] for key in known))


def _block(sheet: Sheet, first: int) -> Floats:
    """Return (sectors, columns) of one sheet."""
    head = _heading(sheet.rows, first) or 0
    header = tuple(str(c) if j else "" for j, c in enumerate(sheet.rows[head]))
    where = str(sheet.path.name)
    places = _columns(header, where)
    for row in sheet.rows[head + 1 : first]:
        odd = [c for c in row[1:] if isinstance(c, str) and c.strip() and plain(c) != "mtco2"]
        if odd:
            raise FormatError(f"{sheet.where}: unit {odd[0]!r}, expected Mt CO2")
    labels = tuple(str(r[0]) if r else "" for r in sheet.rows)
    lines = _lines(labels, where)
    width = len(header)
    cells = [
        [c if isinstance(c, float) else _number(c, sheet) for c in sheet.rows[i][1:width]] for i in lines
    ]
    return np.asarray(cells, dtype=np.float64)[:, np.array(places) - 1]


def _number(cell: Any, sheet: Sheet) -> float:
    if isinstance(cell, int):
        return float(cell)
    if isinstance(cell, str) and not cell.strip():
        return 0.0
    raise FormatError(f"{sheet.where}: {cell!r} is not a number")


def closure(data: Ceads) -> Any:
    """List where sectors do not add up to the total, or fuels and process to the scope 1 total.

    Returns
    -------
    pandas.DataFrame
        ``region, period, what, stated, expected, relative``; gaps above 1e-9 of the total.
    """
    import pandas as pd

    total = data.columns.index("scope 1 total")
    process = data.columns.index("process")
    burnt = list(range(17)) + [process]
    out = []
    stated = data.values[:, 0, :]
    sums = data.values[:, 1:, :].sum(axis=1)
    scale = np.maximum(np.abs(stated[:, total]), 1e-300)
    for k in range(len(data.regions)):
        gap = np.abs(sums[k] - stated[k]) / scale[k]
        if gap.max() > 1e-9:
            j = int(gap.argmax())
            out.append(
                (
                    data.regions[k],
                    data.years[k],
                    f"sectors, {data.columns[j]}",
                    stated[k, j],
                    sums[k, j],
                    float(gap[j]),
                )
            )
        by_fuel = data.values[k, 0, burnt].sum()
        if abs(by_fuel - stated[k, total]) > 1e-9 * scale[k]:
            relative = abs(by_fuel - stated[k, total]) / scale[k]
            out.append(
                (
                    data.regions[k],
                    data.years[k],
                    "fuels and process",
                    stated[k, total],
                    by_fuel,
                    float(relative),
                )
            )
    return pd.DataFrame(out, columns=["region", "period", "what", "stated", "expected", "relative"])
