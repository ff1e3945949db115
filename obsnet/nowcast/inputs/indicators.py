"""Indicators by month and day of publication: what was known on a day, its sums and its growth."""

from __future__ import annotations

import re
from calendar import monthrange
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np

from obsnet.errors import FormatError, UnitError, nearest
from obsnet.inventory.months import YEAR, without_overlap
from obsnet.inventory.sources.quality import flag_series
from obsnet.inventory.words import normal, plain
from obsnet.nowcast.notes import note
from obsnet.typing import Floats

__all__ = [
    "AMOUNTS",
    "MONTHLY",
    "PHYSICAL",
    "RUNNING",
    "Growth",
    "IndicatorRow",
    "Indicators",
    "indicator_name",
    "join",
]

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
AMOUNTS = frozenset(_NAMES)
PHYSICAL = ("1e8 kWh", "t")  # common units of what is counted or weighed
_BY_NAME = {plain(n): name for name, names in _NAMES.items() for n in (name, *names)}
RUNNING = re.compile(r"累计值?|year[\s_-]*to[\s_-]*date|\bytd\b|cumulative", re.IGNORECASE)
MONTHLY = re.compile(r"当期值?|当月值?|本月|\bmonthly\b", re.IGNORECASE)
_FEW = 5  # regions below which a year has no median
# Least change of a logarithm, and how many of a region's own usual swings, that are a shift.
_SHIFT, _SWINGS = 0.4, 4.0
_REVISED = 0.02  # change of a logarithm, from which on a revision is said


@dataclass(frozen=True)
class IndicatorRow:
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
    rows : dict of str to tuple of IndicatorRow
        By indicator.
    units : dict of str to str
        Common unit: ``1e8 kWh``, ``t``, ``share``, or as written.
    notes : tuple of str
        What was assumed.
    """

    rows: dict[str, tuple[IndicatorRow, ...]]
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
            each = {r: _shared(known, r, years[-1]) for r in regions}
            months = _usual(list(each.values()))
            compared.append(len(months))
            other = [r for r, m in each.items() if m and not months <= m]
            if other:
                notes.append(note("fewer months", name=name, year=years[-1], regions=", ".join(other)))
            if months and months == frozenset(range(1, len(months) + 1)) != YEAR:
                notes.append(note("to month", name=name, year=years[-1], month=max(months)))
            elif months and months != YEAR:
                listed = ", ".join(map(str, sorted(months)))
                notes.append(note("some months", name=name, year=years[-1], months=listed))
            notes += _revised(name, rows, regions, years[-1] - 1, day)
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
            series: dict[tuple[str, int, frozenset[int]], list[IndicatorRow]] = {}
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
    bare = MONTHLY.sub("", RUNNING.sub("", bare)).strip(" _-,，:：")
    return _BY_NAME.get(plain(bare), bare)


def join(parts: Sequence[Indicators]) -> Indicators:
    """Return several tables as one; the same number in two of them is two editions.

    Raises
    ------
    UnitError
        An indicator in two units.
    """
    rows: dict[str, tuple[IndicatorRow, ...]] = {}
    units: dict[str, str] = {}
    for part in parts:
        for name in part.names:
            if units.setdefault(name, part.units[name]) != part.units[name]:
                raise UnitError(f"{name} is in {units[name]} in one file, in {part.units[name]} in another")
            rows[name] = (*rows.get(name, ()), *part.rows[name])
    return Indicators(rows, units, tuple(n for p in parts for n in p.notes))


_Known = dict[tuple[str, int], tuple[IndicatorRow, ...]]


def _known(rows: Iterable[IndicatorRow], day: np.datetime64) -> _Known:
    """Return what was out on a day by region and year, the latest edition of each sum of months."""
    latest: dict[tuple[str, int], dict[frozenset[int], IndicatorRow]] = {}
    for row in rows:
        if row.published <= day:
            found = latest.setdefault((row.region, row.year), {})
            if row.months not in found or found[row.months].published <= row.published:
                found[row.months] = row
    return {key: tuple(sorted(v.values(), key=lambda r: sorted(r.months))) for key, v in latest.items()}


@lru_cache(maxsize=200_000)
def _total(rows: tuple[IndicatorRow, ...], months: frozenset[int]) -> float:
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


def _twelve(rows: tuple[IndicatorRow, ...], year: int) -> Floats:
    """Return twelve months; what January and February have together goes to them by their days."""
    sums = np.array([_total(rows, frozenset(range(1, m + 1))) for m in range(1, 13)])
    if np.isnan(sums[0]) and np.isfinite(sums[1]):
        sums[0] = sums[1] * 31.0 / (31 + monthrange(year, 2)[1])
    return np.diff(sums, prepend=0.0) if np.isfinite(sums).all() else np.full(12, np.nan)


@lru_cache(maxsize=100_000)
def _shared_months(now: tuple[IndicatorRow, ...], before: tuple[IndicatorRow, ...]) -> frozenset[int]:
    known = frozenset().union(*(r.months for r in now)) & frozenset().union(*(r.months for r in before))
    candidates = [frozenset(m for m in known if m <= last) for last in sorted(known, reverse=True)]
    return next(
        (m for m in candidates if np.isfinite(_total(now, m)) and np.isfinite(_total(before, m))), frozenset()
    )


def _shared(known: _Known, region: str, year: int) -> frozenset[int]:
    """Return the most months of a year that it and the year before both have sums of."""
    return _shared_months(known.get((region, year), ()), known.get((region, year - 1), ()))


def _revised(
    name: str, rows: Iterable[IndicatorRow], regions: Sequence[str], year: int, day: np.datetime64
) -> list[str]:
    """Say by how much a year was revised between its first edition and the one known on a day, from 2 % on."""
    first: dict[tuple[str, frozenset[int]], IndicatorRow] = {}
    last: dict[tuple[str, frozenset[int]], IndicatorRow] = {}
    for row in rows:
        if row.year == year and row.region in regions and row.published <= day and row.value > 0.0:
            key = (row.region, row.months)
            if key not in first or row.published < first[key].published:
                first[key] = row
            if key not in last or row.published >= last[key].published:
                last[key] = row
    changed: dict[str, list[float]] = {}
    for key, row in last.items():
        if row.published > first[key].published:
            changed.setdefault(row.region, []).append(float(np.log(row.value / first[key].value)))
    large = [m for c in changed.values() if abs(m := float(np.median(c))) > _REVISED]
    if not large:
        return []
    percent = f"{100.0 * np.expm1(np.median(large)):+.1f}"
    return [note("revised", name=name, year=year, percent=percent, n=len(large))]


def _usual(found: Sequence[frozenset[int]]) -> frozenset[int]:
    some = [m for m in found if m]
    return max(set(some), key=lambda m: (some.count(m), len(m))) if some else frozenset()


def _log_ratio(now: float, before: float) -> float:
    return float(np.log(now / before)) if now > 0.0 and before > 0.0 else np.nan


def _differ(now: float, before: float) -> float:
    return now - before


def _without_shifts(change: Floats, name: str, regions: Sequence[str], years: Sequence[int]) -> list[str]:
    """Set changes to NaN that stand out as a new definition does, of one region or of all together; say which."""
    import pandas as pd

    notes = []
    for year, row in zip(years, change, strict=True):
        together = float(np.nanmedian(row)) if np.isfinite(row).sum() >= _FEW else 0.0
        if abs(together) > _SHIFT:
            row[:] = np.nan
            notes.append(note("shift of all", name=name, factor=f"{np.exp(together):.2f}", year=year))
    levels = np.concatenate([np.zeros((1, len(regions))), np.cumsum(np.nan_to_num(change), axis=0)])
    usual = _usual_swings(change)
    frame = pd.DataFrame(np.exp(levels), index=[years[0] - 1, *years], columns=list(regions))
    for row in flag_series(frame, name).to_dict("records"):
        if row["kind"] in {"break", "spike"} and row["period"] in years:
            i, j = list(years).index(row["period"]), list(regions).index(row["region"])
            if np.isfinite(change[i, j]) and abs(row["change"]) > max(_SHIFT, _SWINGS * usual[j]):
                change[i, j] = np.nan
                notes.append(
                    note(
                        "shift",
                        name=name,
                        region=row["region"],
                        factor=f"{np.exp(row['change']):.2f}",
                        year=row["period"],
                        spreads=f"{row['spreads']:.0f}",
                    )
                )
    return notes


def _usual_swings(change: Floats) -> Floats:
    """Return the median distance of each region's changes from the median region of the year; shape (regions,)."""
    distance = np.full(change.shape, np.nan)
    for i, row in enumerate(change):
        if np.isfinite(row).any():
            distance[i] = np.abs(row - (np.nanmedian(row) if len(row) >= _FEW else 0.0))
    return np.array([np.nanmedian(d) if np.isfinite(d).any() else 0.0 for d in distance.T])
