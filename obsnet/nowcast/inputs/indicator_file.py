"""Indicators as statisticians publish them: months, running sums, January with February, and the day each came out.

A table has ``region, year, month, indicator, value, unit, published`` (地区, 年份, 月份, 指标, 数值, 单位, 发布日期),
CSV or workbook. A month is written as in `obsnet.inventory.months`: ``3`` is March, ``1-3月`` or ``3月累计`` the sum
of three months, ``1-2月`` January and February together, empty or ``全年`` the year. A later row of the same months
is a revision.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np

from obsnet.errors import FormatError, RangeError, RegionError, UnitError, nearest
from obsnet.inventory.amounts import ELECTRICITY, MASS, scale
from obsnet.inventory.books import read_rows
from obsnet.inventory.months import read_months, year_of
from obsnet.inventory.words import find_region, heading_unit, normal, plain
from obsnet.nowcast.inputs.indicator_checks import checked_rows
from obsnet.nowcast.inputs.indicators import (
    AMOUNTS,
    PHYSICAL,
    RUNNING,
    IndicatorRow,
    Indicators,
    indicator_name,
)
from obsnet.nowcast.notes import note
from obsnet.reading import door
from obsnet.times import later

__all__ = ["read_indicators"]

_RATE = re.compile(
    r"增长|增速|增幅|同比|环比|上年\s*(?:同期)?\s*=|\bgrowth\b|year[\s-]*on[\s-]*year|\byoy\b|previous year|last year",
    re.IGNORECASE,
)
_SHARES = {"%": 0.01, "percent": 0.01, "百分比": 0.01, "1": 1.0, "share": 1.0, "份额": 1.0}


@door("a table of indicators")
def read_indicators(
    path: str | Path,
    *,
    year_to_date: Iterable[str] = (),
    january: str | None = None,
    latency: int | None = None,
    sheet: str | None = None,
) -> Indicators:
    """Read a table of indicators.

    Parameters
    ----------
    path : path
        See the module.
    year_to_date : iterable of str
        Indicators whose single months are running sums from January; ``all`` for all.
    january : {"together", "missing"}, optional
        What it means that a year begins with February alone.
    latency : int, optional
        Days after the end of its months on which a row without a date of publication came out.

    Raises
    ------
    FormatError, UnitError, RegionError
        Columns, months, units or regions that cannot be read; no date of publication; years that begin with February
        though nobody says why; months that are running sums, or the reverse.
    SchemaError
        One number twice on the same day.
    RangeError
        A value below 0, a series of zeros, a jump that only a wrong unit makes.
    """
    table = read_rows(
        path,
        ("region", "period", "indicator", "value"),
        ("month", "unit", "published"),
        numbers=("value",),
        sheet=sheet,
    )
    running = {"all"} & set(year_to_date) or {indicator_name(n) for n in year_to_date}
    notes = list(table.attrs["notes"])
    rows: dict[str, list[IndicatorRow]] = {}
    units: dict[str, str] = {}
    spelt: dict[str, dict[str, None]] = {}
    empty = 0
    for at, cells in zip(table.attrs["rows"], table.to_dict("records"), strict=True):
        where = f"{path}: row {at}"
        if np.isnan(cells["value"]):
            empty += 1
            continue
        name = indicator_name(cells["indicator"])
        if not name:
            raise FormatError(f"{where}: no indicator is named")
        row, unit = _row(cells, name, where, running, latency)
        if units.setdefault(name, unit) != unit:
            raise UnitError(
                f"{where}: {name} is in {unit or 'no unit'}, other rows in {units[name] or 'no unit'}"
            )
        spelt.setdefault(row.region, {})[str(cells["region"])] = None
        rows.setdefault(name, []).append(row)
    if not rows:
        raise FormatError(f"{path}: no row with a value")
    strange = sorted({n for n in running - {"all"} if n not in rows})
    if strange:
        raise FormatError(
            f"{path}: no indicator {strange[0]!r} to be year-to-date{nearest(strange[0], rows)}"
        )
    notes += [note("empty rows", n=empty)] if empty else []
    notes += [note("spelt", region=region, names=" and ".join(names)) for region, names in spelt.items()
              if len({plain(n) for n in names}) > 1]  # fmt: skip
    checked = {}
    for name, found in rows.items():
        checked[name], said = checked_rows(name, found, str(path), january, unit=units[name])
        notes += said
    return Indicators({n: tuple(r) for n, r in checked.items()}, units, tuple(notes))


def _row(
    cells: dict[str, Any], name: str, where: str, running: set[str], latency: int | None
) -> tuple[IndicatorRow, str]:
    """Return one row of the table and its common unit."""
    try:
        region = _region(cells["region"])
        year, months = _time(cells["period"], str(cells.get("month") or "").strip())
    except (RegionError, FormatError) as fault:
        raise type(fault)(f"{where}: {fault}") from None
    if len(months) == 1 and (running & {"all", name} or RUNNING.search(cells["indicator"])):
        months = frozenset(range(1, min(months) + 1))
    unit = str(cells.get("unit") or "").strip() or heading_unit(cells["indicator"])
    rate = _RATE.search(f"{cells['indicator']} {unit}")
    factor, common = _common(unit)
    if rate or (common == "share" and name in AMOUNTS):
        raise FormatError(
            f"{where}: {cells['indicator']} in {unit or 'no unit'} is a rate of change or a share, not an amount: give "
            "amounts (a share under a name of its own)"
        )
    if cells["value"] < 0.0 and common != "share":
        raise RangeError(f"{where}: {name} is {cells['value']:g}, below 0")
    try:
        day = _published(str(cells.get("published") or ""), year, max(months), latency)
    except (FormatError, RangeError) as fault:
        raise type(fault)(f"{where}: {fault}") from None
    return IndicatorRow(region, year, months, cells["value"] * factor, day), common


_region = lru_cache(maxsize=4096)(find_region)


@lru_cache(maxsize=65536)
def _time(period: str, month: str) -> tuple[int, frozenset[int]]:
    year = year_of(period)
    if not year:
        raise FormatError(f"{period!r} is no year")
    return int(year), read_months(month or re.sub(r"^(?:19|20)\d\d年?$", "", period))


@lru_cache(maxsize=256)
def _common(unit: str) -> tuple[float, str]:
    """Return the factor to a common unit and its name: 1e8 kWh, t, share, or the unit as it stands."""
    for bases, name in zip((ELECTRICITY, MASS), PHYSICAL, strict=True):
        factor = scale(unit, bases)
        if factor is not None:
            return factor, name
    share = _SHARES.get(normal(unit).casefold())
    return (share, "share") if share is not None else (1.0, normal(unit))


@lru_cache(maxsize=65536)
def _published(cell: str, year: int, month: int, latency: int | None) -> np.datetime64:
    """Return the day on which a figure up to a month came out."""
    end = later(np.datetime64(f"{year}-{month:02d}", "M")).astype("datetime64[D]")
    text = re.sub(r"[年月/.]", "-", normal(cell)).rstrip("日- ")[:10].rstrip("-")
    if not text:
        if latency is None:
            raise FormatError(
                "no date of publication; a hindcast uses only what was out on its day: fill the column published, or "
                "say --latency DAYS after the end of the months"
            )
        return end + np.timedelta64(latency, "D")
    text = re.sub(r"^(\d{4})(\d\d)(\d\d)$", r"\1-\2-\3", text)
    try:
        said = np.datetime64("-".join(p.zfill(2) for p in text.split("-")))
    except ValueError:
        raise FormatError(f"published {cell!r} is no day; write 2020-01-17") from None
    day = later(later(said).astype("datetime64[D]"), -1)  # of a month or a year its last day
    if day < later(
        end, -1
    ):  # a date of publication that is the month's own lets hindcasts know a figure too early
        raise RangeError(f"published {day}, before its months (up to {year}-{month:02d}) were over")
    return day
