"""Indicators as statisticians publish them: months, running sums, January with February, and the day each came out.

A table has ``region, year, month, indicator, value, unit, published`` (地区, 年份, 月份, 指标, 数值, 单位, 发布日期),
CSV or workbook. A month is written as in `obsnet.inventory.months`: ``3`` is March, ``1-3月`` or ``3月累计`` the sum
of three months, ``1-2月`` January and February together, empty or ``全年`` the year. A later row of the same months
is a revision.
"""

from __future__ import annotations

import re
from calendar import monthrange
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np

from obsnet.errors import FormatError, RangeError, RegionError, SchemaError, UnitError, nearest
from obsnet.inventory.amounts import ELECTRICITY, MASS, scale
from obsnet.inventory.books import read_rows
from obsnet.inventory.months import YEAR, read_months, without_overlap, year_of
from obsnet.inventory.sources.quality import flag_series
from obsnet.inventory.words import find_region, heading_unit, normal, plain
from obsnet.reading import door
from obsnet.typing import Floats

__all__ = ["Growth", "Indicators", "Row", "indicator_name", "join", "read_indicators"]

_NAMES = {
    "thermal power": ("火电", "火力发电", "火力发电量", "火电发电量", "thermal generation", "thermal power generation"),
    "power generation": ("发电量", "generation", "electricity generation"),
    "electricity use": ("用电量", "全社会用电量", "电力消费量", "electricity consumption", "power consumption"),
    "cement": ("水泥", "水泥产量", "cement production", "cement output"),
    "pig iron": ("生铁", "生铁产量", "pig iron production", "pig iron output"),
    "crude steel": ("粗钢", "粗钢产量", "steel", "crude steel production"),
    "heating degree days": ("采暖度日", "采暖度日数", "hdd"),
    "gdp": ("地区生产总值", "国内生产总值", "生产总值", "gdp index", "gross domestic product"),
}  # fmt: skip
_BY_NAME = {plain(n): name for name, names in _NAMES.items() for n in (name, *names)}
_RUNNING = re.compile(r"累计值?|year[\s_-]*to[\s_-]*date|\bytd\b|cumulative", re.IGNORECASE)
_MONTHLY = re.compile(r"当期值?|当月值?|本月|\bmonthly\b", re.IGNORECASE)
_SHARES = {"%": 0.01, "percent": 0.01, "百分比": 0.01, "1": 1.0, "share": 1.0, "份额": 1.0}
_FEW = 5  # regions below which a year has no median
_UNIT, _NEAR, _TINY = (
    1.85,
    0.15,
    0.01,
)  # decades, and how near to whole ones, that a wrong unit moves; of the median
_RISE = 4.0  # December over the first month, where a year never falls: months do not, running sums do
_SHIFT, _SWINGS = (
    0.4,
    4.0,
)  # least change of a logarithm, and how many of a region's own swings, that are a shift
_DOUBLE = 1.5  # February over March, from which on it may hold January's too


@dataclass(frozen=True)
class Row:
    """One published number.

    Parameters
    ----------
    region : str
        Adcode, or `obsnet.inventory.words.NATION`.
    year : int
    months : frozenset of int
        Which it is the sum of.
    value : float
        In the common unit of its indicator.
    published : numpy.datetime64
        Day.
    """

    region: str
    year: int
    months: frozenset[int]
    value: float
    published: np.datetime64


@dataclass(frozen=True, eq=False)
class Growth:
    """Changes of indicators as known on a day.

    Parameters
    ----------
    values : ndarray, shape (years, regions, indicators)
        Change of the logarithm from the year before over the same months; of a share its difference. NaN where
        unknown.
    months : tuple of int
        Of each indicator in the last year: how many months are compared.
    notes : tuple of str
        Shifts left out, indicators that end early.
    """

    values: Floats
    months: tuple[int, ...]
    notes: tuple[str, ...]


@dataclass(frozen=True, eq=False)
class Indicators:
    """All rows of all indicators.

    Parameters
    ----------
    rows : dict of str to tuple of Row
        By indicator.
    units : dict of str to str
        Common unit: ``1e8 kWh``, ``t``, ``share``, or as written.
    notes : tuple of str
        What was assumed.
    """

    rows: dict[str, tuple[Row, ...]]
    units: dict[str, str]
    notes: tuple[str, ...]

    @property
    def names(self) -> tuple[str, ...]:
        """Indicators."""
        return tuple(self.rows)

    def only(self, names: Sequence[str]) -> Indicators:
        """Return some of the indicators, by any of their names."""
        wanted = [indicator_name(n) for n in names]
        for name in wanted:
            if name not in self.rows:
                raise FormatError(f"no indicator {name!r}{nearest(name, self.rows)}")
        return Indicators({n: self.rows[n] for n in wanted}, {n: self.units[n] for n in wanted}, self.notes)

    def last_published(self, year: int) -> np.datetime64 | None:
        """Return the last day on which a first figure of a year came out."""
        first: dict[tuple[str, str, frozenset[int]], np.datetime64] = {}
        for name, rows in self.rows.items():
            for row in rows:
                if row.year == year:
                    key = (name, row.region, row.months)
                    first[key] = min(first.get(key, row.published), row.published)
        return max(first.values(), default=None)

    def totals(self, name: str, regions: Sequence[str], years: Sequence[int], day: np.datetime64) -> Floats:
        """Return sums over whole years as known on a day, NaN where a month is missing; shape (years, regions)."""
        known = _known(self.rows[name], day)
        return np.array([[_total(known.get((r, y), ()), YEAR) for r in regions] for y in years])

    def months(self, name: str, regions: Sequence[str], years: Sequence[int], day: np.datetime64) -> Floats:
        """Return the amounts of months as known on a day, (years, 12, regions); January and February may share a row.

        NaN for a region in a year of which another month is not known by itself.
        """
        known = _known(self.rows[name], day)
        found = [[_twelve(known.get((r, y), ()), y) for r in regions] for y in years]
        return np.moveaxis(np.array(found), 2, 1)

    def growth(
        self, regions: Sequence[str], years: Sequence[int], day: np.datetime64, *, shifts: bool = False
    ) -> Growth:
        """Return the changes that could be computed on a day.

        Parameters
        ----------
        regions : sequence of str
        years : sequence of int
            Each with the year before; the last is the one estimated, whose months decide what is compared.
        day : numpy.datetime64
            Only what was published by then is used, in its latest edition of then.
        shifts : bool
            Keep changes that stand out from those of all other regions as no production does.
        """
        out = np.full((len(years), len(regions), len(self.rows)), np.nan)
        notes: list[str] = []
        compared: list[int] = []
        for k, (name, rows) in enumerate(self.rows.items()):
            known = _known(rows, day)
            months = _usual([_shared(known, r, years[-1]) for r in regions])
            compared.append(len(months))
            if months and months != YEAR:
                notes.append(
                    f"{name}: {years[-1]} is known to month {max(months)}; the same months are compared"
                )
            change = _differ if self.units[name] == "share" else _log_ratio
            for i, year in enumerate(years):
                for j, region in enumerate(regions):
                    now, before = known.get((region, year), ()), known.get((region, year - 1), ())
                    pair = (_total(now, months), _total(before, months))
                    if not np.isfinite(pair).all():
                        both = _shared(known, region, year)
                        pair = (_total(now, both), _total(before, both))
                    out[i, j, k] = change(*pair)
            if not shifts and self.units[name] != "share":
                notes += _without_shifts(out[:, :, k], name, regions, years)
        return Growth(out, tuple(compared), tuple(notes))

    def triangle(self) -> Any:
        """Return revised numbers: one row a number that was published more than once.

        Returns
        -------
        pandas.DataFrame
            ``indicator, region, year, months, editions, first_published, first, second, last_published, last,
            revision`` (last over first, less 1).
        """
        import pandas as pd

        found = []
        for name, rows in self.rows.items():
            series: dict[tuple[str, int, frozenset[int]], list[Row]] = {}
            for row in sorted(rows, key=lambda r: r.published):
                series.setdefault((row.region, row.year, row.months), []).append(row)
            for (region, year, months), editions in series.items():
                if len(editions) > 1:
                    first, second, last = editions[0], editions[1], editions[-1]
                    span = f"{min(months)}-{max(months)}"
                    found.append(
                        (name, region, year, span, len(editions), str(first.published), first.value, second.value,
                         str(last.published), last.value, last.value / first.value - 1.0 if first.value else np.nan)
                    )  # fmt: skip
        names = ["indicator", "region", "year", "months", "editions", "first_published", "first", "second",
                 "last_published", "last", "revision"]  # fmt: skip
        return pd.DataFrame(found, columns=names)


@lru_cache(maxsize=4096)
def indicator_name(text: object) -> str:
    """Return the usual name of an indicator; its own where it is none of ours.

    Examples
    --------
    >>> indicator_name("火力发电量_累计值(亿千瓦时)"), indicator_name("Steel ladles")
    ('thermal power', 'Steel ladles')
    """
    bare = re.sub(r"[(\[][^()\[\]]*[)\]]$", "", normal(text)).strip()
    bare = _MONTHLY.sub("", _RUNNING.sub("", bare)).strip(" _-,，:：")
    return _BY_NAME.get(plain(bare), bare)


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
    rows: dict[str, list[Row]] = {}
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
    notes += [f"{empty} rows without a value are left out"] if empty else []
    notes += [f"{region} stands under {' and '.join(names)}: taken as one" for region, names in spelt.items()
              if len({plain(n) for n in names}) > 1]  # fmt: skip
    checked = {}
    for name, found in rows.items():
        checked[name], said = _checked(name, found, str(path), january)
        notes += said
    return Indicators({n: tuple(r) for n, r in checked.items()}, units, tuple(notes))


def join(parts: Sequence[Indicators]) -> Indicators:
    """Return several tables as one; the same number in two of them is two editions.

    Raises
    ------
    UnitError
        An indicator in two units.
    """
    rows: dict[str, tuple[Row, ...]] = {}
    units: dict[str, str] = {}
    for part in parts:
        for name in part.names:
            if units.setdefault(name, part.units[name]) != part.units[name]:
                raise UnitError(f"{name} is in {units[name]} in one file, in {part.units[name]} in another")
            rows[name] = (*rows.get(name, ()), *part.rows[name])
    return Indicators(rows, units, tuple(n for p in parts for n in p.notes))


def _row(
    cells: dict[str, Any], name: str, where: str, running: set[str], latency: int | None
) -> tuple[Row, str]:
    """Return one row of the table and its common unit."""
    try:
        region = _region(cells["region"])
        year, months = _time(cells["period"], str(cells.get("month") or "").strip())
    except (RegionError, FormatError) as fault:
        raise type(fault)(f"{where}: {fault}") from None
    if len(months) == 1 and (running & {"all", name} or _RUNNING.search(cells["indicator"])):
        months = frozenset(range(1, min(months) + 1))
    unit = str(cells.get("unit") or "").strip() or heading_unit(cells["indicator"])
    factor, common = _common(unit)
    if cells["value"] < 0.0 and common != "share":
        raise RangeError(f"{where}: {name} is {cells['value']:g}, below 0")
    try:
        day = _published(str(cells.get("published") or ""), year, max(months), latency)
    except (FormatError, RangeError) as fault:
        raise type(fault)(f"{where}: {fault}") from None
    return Row(region, year, months, cells["value"] * factor, day), common


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
    for bases, name in ((ELECTRICITY, "1e8 kWh"), (MASS, "t")):
        factor = scale(unit, bases)
        if factor is not None:
            return factor, name
    share = _SHARES.get(normal(unit).casefold())
    return (share, "share") if share is not None else (1.0, normal(unit))


@lru_cache(maxsize=65536)
def _published(cell: str, year: int, month: int, latency: int | None) -> np.datetime64:
    """Return the day on which a figure up to a month came out."""
    end = (np.datetime64(f"{year}-{month:02d}", "M") + 1).astype("datetime64[D]")
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
    day = (said + 1).astype("datetime64[D]") - 1  # of a month or a year its last day
    if day < end - 31:
        raise RangeError(f"published {day}, before its months (up to {year}-{month:02d}) were over")
    return day


def _checked(name: str, rows: list[Row], path: str, january: str | None) -> tuple[list[Row], list[str]]:
    """Refuse what months cannot be, and say what was taken how."""
    seen: dict[tuple[Any, ...], float] = {}
    for row in rows:
        key = (row.region, row.year, row.months, row.published)
        if seen.setdefault(key, row.value) != row.value:
            raise SchemaError(
                f"{path}: {name} of {row.region} {row.year} ({_span(row.months)}) stands twice with the same date of "
                f"publication: {seen[key]:g} and {row.value:g}"
            )
    if all(r.value == 0.0 for r in rows):
        raise RangeError(f"{path}: {name} is 0 throughout: no growth can be said of it; leave it out")
    groups: dict[tuple[str, int], list[Row]] = {}
    for row in rows:
        groups.setdefault((row.region, row.year), []).append(row)
    _refuse_running(name, groups, path)
    _refuse_falls(name, groups, path)
    rows, notes = _january(name, rows, groups, path, january)
    _refuse_jumps(name, rows, path)
    empty = sorted({r.region for r in rows} - {r.region for r in rows if r.value > 0.0})
    if empty:
        notes.append(f"{name} is 0 throughout in {', '.join(empty)}: no growth there, left out")
    return rows, notes


def _span(months: frozenset[int]) -> str:
    return f"month {min(months)}" if len(months) == 1 else f"months {min(months)}-{max(months)}"


def _months_of(rows: Iterable[Row]) -> dict[int, float]:
    return {min(r.months): r.value for r in rows if len(r.months) == 1}


def _refuse_running(name: str, groups: dict[tuple[str, int], list[Row]], path: str) -> None:
    """Refuse months that are running sums: they never fall within a year, and end far above where they began."""
    rising, whole = [], 0
    for (region, year), rows in groups.items():
        series = _months_of(rows)
        if len(series) < 6 or max(series) < 11:
            continue
        whole += 1
        values = [series[m] for m in sorted(series)]
        if all(b >= a for a, b in pairwise(values)) and values[-1] > _RISE * max(values[0], 1e-300):
            rising.append((region, year))
    if len(rising) > 0.5 * whole > 0 or ({r for r, _ in rising} and _always(rising, groups)):
        region, year = rising[0]
        raise FormatError(
            f"{path}: {name} never falls from January to December in {len(rising)} of {whole} region-years (first "
            f"{region} {year}): that is year-to-date, not months; say --year-to-date '{name}', or write months as 1-3"
        )


def _always(rising: list[tuple[str, int]], groups: dict[tuple[str, int], list[Row]]) -> bool:
    """Say whether some region rises in at least three years and in all it has."""
    for region in {r for r, _ in rising}:
        mine = [y for r, y in groups if r == region and len(_months_of(groups[r, y])) >= 6]
        if len([1 for r, _ in rising if r == region]) >= max(3, len(mine)):
            return True
    return False


def _refuse_falls(name: str, groups: dict[tuple[str, int], list[Row]], path: str) -> None:
    """Refuse running sums that fall: months taken for year-to-date."""
    for (region, year), rows in groups.items():
        last = {max(r.months): r for r in sorted(rows, key=lambda r: r.published) if min(r.months) == 1}
        for a, b in pairwise(sorted(last)):
            if last[b].value < 0.9 * last[a].value:
                raise FormatError(
                    f"{path}: {name} of {region} {year} falls from {last[a].value:g} (months 1-{a}) to "
                    f"{last[b].value:g} (months 1-{b}): these are months, not year-to-date"
                )


def _january(
    name: str, rows: list[Row], groups: dict[tuple[str, int], list[Row]], path: str, said: str | None
) -> tuple[list[Row], list[str]]:
    """Decide what a year is that begins with February alone."""
    without = {
        key for key, found in groups.items()
        if (months := _months_of(found)) and 2 in months and 1 not in months
        and not any(1 in r.months and len(r.months) <= 2 for r in found)
    }  # fmt: skip
    if not without:
        return rows, []
    region, year = min(without, key=lambda k: (k[1], k[0]))
    if said is None:
        months = _months_of(groups[region, year])
        looks = (
            f"it is {months[2] / months[3]:.1f} times March, as if it held both"
            if months.get(3, 0.0) > 0.0 and months[2] > _DOUBLE * months[3]
            else "it is no larger than March"
        )
        raise FormatError(
            f"{path}: {name} has February and no January in {len(without)} region-years (first {region} {year}; "
            f"{looks}): say --january together (February holds both) or --january missing"
        )
    if said == "missing":
        return rows, [f"{name}: {len(without)} region-years lack January: the other months are compared"]
    both = frozenset({1, 2})
    changed = [
        Row(r.region, r.year, both, r.value, r.published)
        if (r.region, r.year) in without and r.months == frozenset({2}) else r for r in rows
    ]  # fmt: skip
    return changed, [
        f"{name}: February of {len(without)} region-years taken as January and February together"
    ]


def _refuse_jumps(name: str, rows: list[Row], path: str) -> None:
    """Refuse a change between years by a power of ten, from 100 on, of a region that is no tiny producer."""
    series: dict[tuple[str, frozenset[int]], dict[int, float]] = {}
    for row in sorted(rows, key=lambda r: r.published):
        if row.value > 0.0:
            series.setdefault((row.region, row.months), {})[row.year] = row.value
    tiny = {
        m: _TINY * float(np.median([v for (_, n), s in series.items() if n == m for v in s.values()]))
        for _, m in series
    }
    for (region, months), values in series.items():
        for a, b in pairwise(sorted(values)):
            power = np.log10(values[b] / values[a])
            if (
                abs(power) > _UNIT
                and abs(power - round(power)) < _NEAR
                and max(values[a], values[b]) > tiny[months]
            ):
                raise RangeError(
                    f"{path}: {name} of {region} ({_span(months)}) is {10.0**power:.3g} times that of {a} in {b}: is "
                    "a unit off (1e8 kWh is 100 GWh, 1e4 t is 10 kt)?"
                )


_Known = dict[tuple[str, int], tuple[Row, ...]]


def _known(rows: Iterable[Row], day: np.datetime64) -> _Known:
    """Return what was out on a day by region and year, the latest edition of each sum of months."""
    latest: dict[tuple[str, int], dict[frozenset[int], Row]] = {}
    for row in rows:
        if row.published <= day:
            found = latest.setdefault((row.region, row.year), {})
            if row.months not in found or found[row.months].published <= row.published:
                found[row.months] = row
    return {key: tuple(sorted(v.values(), key=lambda r: sorted(r.months))) for key, v in latest.items()}


@lru_cache(maxsize=200_000)
def _total(rows: tuple[Row, ...], months: frozenset[int]) -> float:
    """Return the sum over months, NaN where rows do not make it up."""
    inside = [r for r in rows if r.months <= months]
    if not months or frozenset().union(*(r.months for r in inside)) != months:
        return np.nan
    try:
        kept = without_overlap([r.months for r in inside])
    except FormatError:
        return np.nan
    covered = frozenset().union(*(inside[k].months for k in kept))
    return sum(inside[k].value for k in kept) if covered == months else np.nan


def _twelve(rows: tuple[Row, ...], year: int) -> Floats:
    """Return twelve months; what January and February have together goes to them by their days."""
    sums = np.array([_total(rows, frozenset(range(1, m + 1))) for m in range(1, 13)])
    if np.isnan(sums[0]) and np.isfinite(sums[1]):
        sums[0] = sums[1] * 31.0 / (31 + monthrange(year, 2)[1])
    return np.diff(sums, prepend=0.0) if np.isfinite(sums).all() else np.full(12, np.nan)


@lru_cache(maxsize=100_000)
def _shared_months(now: tuple[Row, ...], before: tuple[Row, ...]) -> frozenset[int]:
    known = frozenset().union(*(r.months for r in now)) & frozenset().union(*(r.months for r in before))
    candidates = [frozenset(m for m in known if m <= last) for last in sorted(known, reverse=True)]
    return next(
        (m for m in candidates if np.isfinite(_total(now, m)) and np.isfinite(_total(before, m))), frozenset()
    )


def _shared(known: _Known, region: str, year: int) -> frozenset[int]:
    """Return the most months of a year that it and the year before both have sums of."""
    return _shared_months(known.get((region, year), ()), known.get((region, year - 1), ()))


def _usual(found: Sequence[frozenset[int]]) -> frozenset[int]:
    some = [m for m in found if m]
    return max(set(some), key=lambda m: (some.count(m), len(m))) if some else frozenset()


def _log_ratio(now: float, before: float) -> float:
    return float(np.log(now / before)) if now > 0.0 and before > 0.0 else np.nan


def _differ(now: float, before: float) -> float:
    return now - before


def _without_shifts(change: Floats, name: str, regions: Sequence[str], years: Sequence[int]) -> list[str]:
    """Set changes to NaN that stand out from those of all regions as a new definition does; say which."""
    import pandas as pd

    levels = np.concatenate([np.zeros((1, len(regions))), np.cumsum(np.nan_to_num(change), axis=0)])
    usual = _usual_swings(change)
    frame = pd.DataFrame(np.exp(levels), index=[years[0] - 1, *years], columns=list(regions))
    notes = []
    for row in flag_series(frame, name).to_dict("records"):
        if row["kind"] in {"break", "spike"} and row["period"] in years:
            i, j = list(years).index(row["period"]), list(regions).index(row["region"])
            if np.isfinite(change[i, j]) and abs(row["change"]) > max(_SHIFT, _SWINGS * usual[j]):
                change[i, j] = np.nan
                notes.append(
                    f"{name} of {row['region']} shifts by x{np.exp(row['change']):.2f} in {row['period']} against the "
                    f"other regions ({row['spreads']:.0f} spreads): not used; --shifts uses it"
                )
    return notes


def _usual_swings(change: Floats) -> Floats:
    """Return the median distance of each region's changes from the median region of the year; shape (regions,)."""
    distance = np.full(change.shape, np.nan)
    for i, row in enumerate(change):
        if np.isfinite(row).any():
            distance[i] = np.abs(row - (np.nanmedian(row) if len(row) >= _FEW else 0.0))
    return np.array([np.nanmedian(d) if np.isfinite(d).any() else 0.0 for d in distance.T])
