"""Daily CO2 of provinces (Cui et al., CC BY 4.0, layout of the workbooks of 2019-2020): sheets by sector and year.

A sheet says its year in its name and in every row; where the two differ the sheet is noticed and not joined, for it
would be added to another year.
"""

from __future__ import annotations

import datetime
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from obsnet.errors import FormatError, RangeError, RegionError
from obsnet.inventory.books import Sheet, number, read_sheets
from obsnet.inventory.notes import note
from obsnet.inventory.words import NATION, find_region, plain
from obsnet.reading import door

__all__ = ["Daily", "is_daily", "read_daily"]

_ASIDE = {"week", "holiday", "weekday", ""}


@dataclass(frozen=True, eq=False)
class Daily:
    """Daily emissions of provinces.

    Parameters
    ----------
    table : pandas.DataFrame
        ``date, region, sector, value``; Mt CO2 a day.
    findings : tuple of str
        Sheets not joined, days missing, sums that do not add up.
    """

    table: Any
    findings: tuple[str, ...]

    def annual(self, least: float = 1.0) -> Any:
        """Return ``region, period, sector, value, days`` (Mt CO2 a year) of years whose days are all there."""
        frame = self.table.assign(period=[d.year for d in self.table["date"]])
        sums = (
            frame.groupby(["region", "period", "sector"])
            .agg(value=("value", "sum"), days=("date", "nunique"))
            .reset_index()
        )
        length = [
            366 if int(y) % 4 == 0 and (int(y) % 100 != 0 or int(y) % 400 == 0) else 365
            for y in sums["period"]
        ]
        return sums[sums["days"] >= least * np.array(length)].reset_index(drop=True)

    def contract(self) -> Any:
        """Return the inventory contract: annual totals over the sectors, of years where all sectors are whole."""
        import pandas as pd

        from obsnet.inventory.table import COLUMNS

        annual = self.annual()
        sectors = set(self.table["sector"])
        rows = []
        for (region, period), group in annual.groupby(["region", "period"]):
            if set(group["sector"]) == sectors and region != NATION:
                value = float(group["value"].sum())
                source = "daily provincial CO2: " + ", ".join(sorted(sectors))
                rows.append(
                    (region, str(period), "CO2", "total", "daily", value, "Mt", np.nan, source, "2019-2020")
                )
        return pd.DataFrame(rows, columns=list(COLUMNS))


def is_daily(sheets: Sequence[Sheet]) -> bool:
    """Tell whether a workbook has sheets of days by provinces."""
    return any(_head(s) is not None for s in sheets)


def _head(sheet: Sheet) -> dict[int, str] | None:
    """Return the regions by column of a sheet of days."""
    if len(sheet.rows) < 3 or plain(sheet.rows[0][0]) not in {"date", "日期"}:
        return None
    found: dict[int, str] = {}
    for j, cell in enumerate(sheet.rows[0][1:], 1):
        if plain(cell) in _ASIDE:
            continue
        try:
            found[j] = find_region(cell)
        except RegionError:
            return None
    return found if len(found) > 3 else None


@door("daily emissions")
def read_daily(path: str | Path, sheets: Sequence[Sheet] | None = None) -> Daily:
    """Read a workbook of daily emissions.

    Raises
    ------
    FormatError
        No sheet of days by provinces, a date that is none, a region twice.
    RangeError
        Negative emissions.
    """
    import pandas as pd

    path = Path(path)
    opened = read_sheets(path) if sheets is None else list(sheets)
    parts, findings, sums = [], [], None
    for sheet in opened:
        regions = _head(sheet)
        if regions is None:
            findings.append(f"{path.name}: {note('no days', sheet=repr(sheet.name))}")
            continue
        if len(set(regions.values())) != len(regions):
            raise FormatError(f"{sheet.where}: a region has two columns")
        frame = _days(sheet, regions)
        sector = re.sub(r"[\s_-]*(19|20)\d\d.*$", "", sheet.name).strip().casefold() or sheet.name
        named = sorted(set(re.findall(r"(?:19|20)\d\d", sheet.name)))
        found = sorted({d.year for d in frame["date"]})
        if len(named) == 1 and found and found != [int(named[0])]:
            findings.append(
                f"{path.name}: {note('other dates', sheet=repr(sheet.name), years=', '.join(map(str, found)))}"
            )
            continue
        if sector == "total":
            sums = frame
            continue
        parts.append(frame.assign(sector=sector))
        length = (frame["date"].max() - frame["date"].min()).days + 1
        if frame["date"].nunique() != length:
            findings.append(
                f"{path.name}: {note('lacks days', sheet=repr(sheet.name), n=length - frame['date'].nunique())}"
            )
        if frame.duplicated(["date", "region"]).any():
            raise FormatError(f"{sheet.where}: a day stands twice")
    if not parts:
        raise FormatError(
            f"{path}: no sheet of daily emissions by provinces could be joined: {'; '.join(findings)}"
        )
    table = pd.concat(parts, ignore_index=True)
    if (table["value"] < 0).any():
        row = table[table["value"] < 0].iloc[0]
        raise RangeError(
            f"{path}: {row['sector']} of {row['region']} on {row['date']} is {row['value']:g}, below 0"
        )
    if sums is not None:
        findings += _against_sums(table, sums, path.name)
    return Daily(table[["date", "region", "sector", "value"]], tuple(findings))


def _days(sheet: Sheet, regions: dict[int, str]) -> Any:
    import pandas as pd

    dates, values = [], []
    for i, row in enumerate(sheet.rows[1:], 2):
        cell = row[0]
        if isinstance(cell, str) and (not cell.strip() or plain(cell) in {"total", "合计"}):
            continue  # a line of sums below the days
        try:
            day = pd.Timestamp(cell) if isinstance(cell, str | datetime.date) else None
        except ValueError:
            day = None
        if day is None or pd.isna(day):
            raise FormatError(f"{sheet.where}: row {i}: {cell!r} is not a date")
        dates.append(day.normalize())
        values.append([number(row[j], f"{sheet.where}: row {i}") or 0.0 for j in regions])
    block = np.asarray(values, dtype=np.float64).reshape(len(dates), len(regions))
    names = list(regions.values())
    return pd.DataFrame(
        {"date": np.repeat(np.array(dates, dtype="datetime64[s]"), len(names)), "region": np.tile(names, len(dates)),
         "value": block.ravel()}
    )  # fmt: skip


def _against_sums(table: Any, sums: Any, name: str) -> list[str]:
    """Compare the workbook's own sums with the sheets that were joined."""
    own = table[table["region"] != NATION].groupby(["date", "region"])["value"].agg(["sum", "count"])
    stated = sums.set_index(["date", "region"])["value"]
    both = own.join(stated.rename("stated"), how="inner")
    whole = both["count"] == both["count"].max()
    off = (both["sum"] - both["stated"]).abs() > 1e-6 * both["stated"].abs()
    out = []
    if off[whole].any():
        out.append(f"{name}: {note('sums differ', n=int(off[whole].sum()))}")
    if (~whole).any():
        out.append(f"{name}: {note('sums lack', n=int((~whole).sum()))}")
    return out
