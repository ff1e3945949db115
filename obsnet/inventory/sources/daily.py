"""Daily CO2 of provinces (Cui et al., CC BY 4.0, layout of the workbooks of 2019-2020): sheets by sector and year.

A sheet says its year in its name and in every row; where the two differ the sheet is noticed and not joined, for it
would be added to another year.
"""

from __future__ import annotations

import datetime
import re
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations
from pathlib import Path
from typing import Any

import numpy as np

from obsnet.errors import FormatError, RangeError, RegionError
from obsnet.inventory.books import Sheet, number, read_sheets
from obsnet.inventory.notes import note
from obsnet.inventory.words import NATION, find_region, plain
from obsnet.reading import door

__all__ = ["Daily", "is_daily", "read_daily"]

_ASIDE = {"week", "holiday", "weekday", "星期", "节假日", ""}
_SUMS = {"total", "totals", "sum", "all", "allsectors", "合计", "总计", "总量", "总和", "总排放", "全部门"}
_NAMED_MONTH = re.compile(r"\d{1,2}[- ][A-Za-z]{3,9}[- ](?:19|20)\d\d|[A-Za-z]{3,9} \d{1,2},? (?:19|20)\d\d")
_CLOSE = 1e-6  # of a sum, within which sheets add up


@dataclass(frozen=True, eq=False)
class Daily:
    """Daily emissions of provinces.

    Parameters
    ----------
    table : pandas.DataFrame
        ``date, region, sector, value``; Mt CO2 a day.
    findings : tuple of str
        Sheets not joined, days and cells missing, zeroes, sums that do not add up.
    apart : frozenset of str
        Sectors that have a sheet and none that could be joined: no total is whole without them.
    """

    table: Any
    findings: tuple[str, ...]
    apart: frozenset[str] = frozenset()

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
        sectors = set(self.table["sector"]) | self.apart
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
        No sheet of days by provinces, a date that is none or has two readings, a region or a day twice, a sheet that
        is a copy of another.
    RangeError
        Negative emissions.
    """
    import pandas as pd

    path = Path(path)
    opened = read_sheets(path) if sheets is None else list(sheets)
    parts, findings, sums = [], [], []
    seen = set()
    for sheet in opened:
        regions = _head(sheet)
        if regions is None:
            findings.append(f"{path.name}: {note('no days', sheet=repr(sheet.name))}")
            continue
        if len(set(regions.values())) != len(regions):
            raise FormatError(f"{sheet.where}: a region has two columns")
        frame = _days(sheet, regions)
        sector = _sector(sheet.name)
        named = sorted(set(re.findall(r"(?:19|20)\d\d", sheet.name)))
        found = sorted({d.year for d in frame["date"]})
        if sector not in _SUMS:
            seen.add(sector)
        if len(named) == 1 and found and found != [int(named[0])]:
            findings.append(
                f"{path.name}: {note('other dates', sheet=repr(sheet.name), years=', '.join(map(str, found)))}"
            )
            continue
        if frame.duplicated(["date", "region"]).any():
            raise FormatError(f"{sheet.where}: a day stands twice")
        if sector in _SUMS:
            sums.append(frame)
            continue
        parts.append(frame.assign(sector=sector, sheet=sheet.name))
        findings += [f"{path.name}: {said}" for said in _gaps(frame, sheet.name)]
    if not parts:
        raise FormatError(
            f"{path}: no sheet of daily emissions by provinces could be joined: {'; '.join(findings)}"
        )
    table = pd.concat(parts, ignore_index=True)
    _refuse_twice(table, path)
    added = _sum_of_others(table)
    if added:
        findings.append(f"{path.name}: {note('sector of sums', sector=added)}")
        seen.discard(added)
        table = table[table["sector"] != added]
    if (table["value"] < 0).any():
        row = table[table["value"] < 0].iloc[0]
        raise RangeError(
            f"{path}: {row['sector']} of {row['region']} on {row['date']} is {row['value']:g}, below 0"
        )
    findings += [f"{path.name}: {said}" for said in _zeroes(table)]
    table = table[table["value"].notna()].reset_index(drop=True)
    if sums:
        findings += _against_sums(table, pd.concat(sums, ignore_index=True), path.name)
    apart = frozenset(seen - set(table["sector"]))
    return Daily(table[["date", "region", "sector", "value"]], tuple(findings), apart)


def _sector(name: str) -> str:
    """Return the sector that a sheet's name says beside its year.

    Examples
    --------
    >>> _sector("Ground Transport2019"), _sector("2020年电力"), _sector("Total2019-2020")
    ('ground transport', '电力', 'total')
    """
    before = re.sub(r"[\s_-]*(19|20)\d\d.*$", "", name)
    return (before or re.sub(r"(19|20)\d\d\s*年?", "", name)).strip(" _-").casefold() or name


def _gaps(frame: Any, sheet: str) -> list[str]:
    """Say which days between a sheet's ends, and which of its cells, are not there."""
    length = (frame["date"].max() - frame["date"].min()).days + 1
    missing = length - frame["date"].nunique()
    out = [note("lacks days", sheet=repr(sheet), n=missing)] if missing else []
    empty = frame[frame["value"].isna()]
    if len(empty):
        first = f"{empty['region'].iloc[0]} {empty['date'].iloc[0]:%Y-%m-%d}"
        out.append(note("empty cells", sheet=repr(sheet), n=len(empty), first=first))
    return out


def _zeroes(table: Any) -> list[str]:
    """Say which sectors of which regions are 0 on days, where they usually are not."""
    usual = table.groupby(["sector", "region"])["value"].transform("median")
    zero = table[(table["value"] == 0.0) & (usual > 0.0)]
    if zero.empty:
        return []
    first = zero.iloc[0]
    place = f"{first['sector']} {first['region']} {first['date']:%Y-%m-%d}"
    return [note("zero days", n=len(zero), first=place)]


def _refuse_twice(table: Any, path: Path) -> None:
    """Refuse a day in two sheets of one sector, and a sheet whose numbers are another's."""
    twice = table[table.duplicated(["date", "region", "sector"], keep=False)]
    if len(twice):
        names = " and ".join(map(repr, dict.fromkeys(twice["sheet"])))
        raise FormatError(f"{path}: sheets {names} both give {twice['date'].iloc[0]:%Y-%m-%d}; keep one")
    values = {str(name): group["value"].to_numpy(float) for name, group in table.groupby("sheet", sort=False)}
    for (one, a), (other, b) in combinations(values.items(), 2):
        n = min(a.size, b.size)
        some = a[:n] != 0.0
        if n > 60 and (a[:n] == b[:n])[some].sum() > 0.9 * max(some.sum(), 1):
            raise FormatError(f"{path}: sheets {one!r} and {other!r} hold the same numbers; one is a copy")


def _sum_of_others(table: Any) -> str:
    """Return the sector that is the sum of the others, whatever it is called; empty where there is none."""
    wide = table.pivot(index=["date", "region"], columns="sector", values="value").dropna()
    if len(wide) < 10 or wide.shape[1] < 3:
        return ""
    for name in wide.columns:
        rest = wide.drop(columns=name).sum(axis=1)
        if ((wide[name] - rest).abs() <= _CLOSE * rest).mean() > 0.9 and rest.median() > 0.0:
            return str(name)
    return ""


def _days(sheet: Sheet, regions: dict[int, str]) -> Any:
    import pandas as pd

    dates, values = [], []
    for i, row in enumerate(sheet.rows[1:], 2):
        cell = row[0]
        if isinstance(cell, str) and (not cell.strip() or plain(cell) in {"total", "合计"}):
            continue  # a line of sums below the days
        try:
            day = pd.Timestamp(_dated(cell)) if isinstance(cell, str | datetime.date) else None
        except ValueError:
            day = None
        if day is None or pd.isna(day):
            raise FormatError(f"{sheet.where}: row {i}: {cell!r} is not a date; write 2019-01-31")
        dates.append(day.normalize())
        cells = [number(row[j] if j < len(row) else "", f"{sheet.where}: row {i}") for j in regions]
        values.append([np.nan if v is None else v for v in cells])
    block = np.asarray(values, dtype=np.float64).reshape(len(dates), len(regions))
    names = list(regions.values())
    return pd.DataFrame(
        {"date": np.repeat(np.array(dates, dtype="datetime64[s]"), len(names)), "region": np.tile(names, len(dates)),
         "value": block.ravel()}
    )  # fmt: skip


def _dated(cell: Any) -> Any:
    """Return a date as it stands, a text with its parts in the order of ISO 8601 or a month's name; others are none."""
    if not isinstance(cell, str) or _NAMED_MONTH.fullmatch(cell.strip()):
        return cell
    found = re.match(
        r"\s*((?:19|20)\d\d)(?:([-/.年])(\d{1,2})[-/.月](\d{1,2})日?|(\d\d)(\d\d))(?:[T\s].*)?$", cell
    )
    if not found:
        raise ValueError
    year, _, *parts = found.groups()
    month, day = (p for p in parts if p)
    return f"{year}-{month:0>2}-{day:0>2}"


def _against_sums(table: Any, sums: Any, name: str) -> list[str]:
    """Compare the workbook's own sums with the sheets that were joined."""
    own = table[table["region"] != NATION].groupby(["date", "region"])["value"].agg(["sum", "count"])
    stated = sums.set_index(["date", "region"])["value"]
    both = own.join(stated.rename("stated"), how="inner")
    whole = both["count"] == both["count"].max()
    off = (both["sum"] - both["stated"]).abs() > _CLOSE * both["stated"].abs()
    out = []
    if off[whole].any():
        out.append(f"{name}: {note('sums differ', n=int(off[whole].sum()))}")
    if (~whole).any():
        out.append(f"{name}: {note('sums lack', n=int((~whole).sum()))}")
    return out
