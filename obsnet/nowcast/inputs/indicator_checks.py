"""What a table of indicators cannot be: running sums taken for months, a January that nobody explains, another unit."""

from __future__ import annotations

from collections.abc import Iterable
from itertools import pairwise
from typing import Any

import numpy as np

from obsnet.errors import FormatError, RangeError, SchemaError
from obsnet.nowcast.inputs.indicators import PHYSICAL, IndicatorRow
from obsnet.nowcast.notes import note

__all__ = ["checked_rows"]

# Decades, and how near to whole ones, that a wrong unit moves; of the median, below which a producer is tiny.
_UNIT, _NEAR, _TINY = 1.85, 0.15, 0.01
_INDEX, _MANY, _SOME_YEARS = (
    (50.0, 150.0),
    5,
    3,
)  # an index of the year before; regions and years that show a habit
_RISE = 4.0  # December over the first month, where a year never falls: months do not, running sums do
_IDLE = 0.25  # of a region's usual month: what other years make, where a 0 is no standstill but a gap
_NAMED = 6  # region-years that a note lists
_DOUBLE = 1.5  # February over March, from which on it may hold January's too


def checked_rows(
    name: str, rows: list[IndicatorRow], path: str, january: str | None, *, unit: str = ""
) -> tuple[list[IndicatorRow], list[str]]:
    """Refuse what months cannot be, and say what was taken how; a share may be 0 everywhere."""
    share = unit == "share"
    rows = list(dict.fromkeys(rows))  # the same figure twice is no edition
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
    if unit not in PHYSICAL:
        _refuse_index(name, rows, path)
    rows, emptied = (rows, []) if share else _without_empty_years(name, rows)
    if not share:
        rows, gone = _without_zeros(name, rows)
        emptied = [*emptied, *gone, *_one_day(name, rows)]
    groups: dict[tuple[str, int], list[IndicatorRow]] = {}
    for row in rows:
        groups.setdefault((row.region, row.year), []).append(row)
    _refuse_running(name, groups, path)
    _refuse_falls(name, groups, path)
    rows, notes = _january(name, rows, groups, path, january)
    _refuse_jumps(name, rows, path)
    empty = sorted({r.region for r in rows} - {r.region for r in rows if r.value > 0.0})
    if empty:
        notes.append(note("no production", name=name, regions=", ".join(empty)))
    return rows, [*emptied, *notes]


def _without_empty_years(name: str, rows: list[IndicatorRow]) -> tuple[list[IndicatorRow], list[str]]:
    """Leave out years in which all regions have 0: nothing was filled in yet."""
    empty = sorted({r.year for r in rows} - {r.year for r in rows if r.value != 0.0})
    notes = [note("empty year", name=name, year=year) for year in empty]
    return [r for r in rows if r.year not in empty], notes


def _without_zeros(name: str, rows: list[IndicatorRow]) -> tuple[list[IndicatorRow], list[str]]:
    """Leave out zeros of months in which the region's other years have production: a gap that somebody filled."""
    same: dict[tuple[str, frozenset[int]], dict[int, float]] = {}
    months: dict[str, list[float]] = {}
    for row in rows:
        same.setdefault((row.region, row.months), {})[row.year] = row.value
        months.setdefault(row.region, []).append(row.value / len(row.months))
    usual = {
        region: float(np.median([v for v in found if v > 0.0] or [0.0])) for region, found in months.items()
    }

    def gap(row: IndicatorRow) -> bool:
        others = [v for y, v in same[row.region, row.months].items() if y != row.year and v > 0.0]
        few = 2 * len(others) < len(same[row.region, row.months])  # more zeros than not: that is how it is
        if row.value != 0.0 or few:
            return False
        return bool(np.median(others) > _IDLE * usual[row.region] * len(row.months))

    lost = [row for row in rows if row.value == 0.0 and gap(row)]
    if not lost:
        return rows, []
    where = sorted({f"{r.region} {r.year}-{max(r.months):02d}" for r in lost})
    more = f", … ({len(where)})" if len(where) > _NAMED else ""
    gone = set(lost)
    return [row for row in rows if row not in gone], [
        note("zeros left out", name=name, where=", ".join(where[:_NAMED]) + more)
    ]


def _one_day(name: str, rows: list[IndicatorRow]) -> list[str]:
    """Say that years were published on one day, as a downloaded table has it."""
    years, days = {r.year for r in rows}, {r.published for r in rows}
    if len(days) > 1 or len(years) < _SOME_YEARS:
        return []
    return [note("one day", name=name, first=min(years), last=max(years), day=min(days))]


def _refuse_index(name: str, rows: list[IndicatorRow], path: str) -> None:
    """Refuse indices of the year before (= 100): near 100 everywhere, and in no year 100 throughout as at a base."""
    values = {(r.region, r.year): r.value for r in rows}
    years = {y for _, y in values}
    if len(years) < _SOME_YEARS or len({r for r, _ in values}) < _MANY:
        return
    based = any(all(v == 100.0 for (_, y), v in values.items() if y == year) for year in years)
    found = np.array(list(values.values()))
    if (
        not based
        and _INDEX[0] < found.min()
        and found.max() < _INDEX[1]
        and abs(np.median(found) - 100.0) < 20.0
    ):
        raise FormatError(
            f"{path}: {name} is {found.min():.4g} to {found.max():.4g} in all regions and years: that is an index of "
            "the year before (= 100), not an amount; give amounts, or an index with one base year"
        )


def _span(months: frozenset[int]) -> str:
    return f"month {min(months)}" if len(months) == 1 else f"months {min(months)}-{max(months)}"


def _months_of(rows: Iterable[IndicatorRow]) -> dict[int, float]:
    return {min(r.months): r.value for r in rows if len(r.months) == 1}


def _refuse_running(name: str, groups: dict[tuple[str, int], list[IndicatorRow]], path: str) -> None:
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


def _always(rising: list[tuple[str, int]], groups: dict[tuple[str, int], list[IndicatorRow]]) -> bool:
    """Say whether some region rises in at least three years and in all it has."""
    for region in {r for r, _ in rising}:
        mine = [y for r, y in groups if r == region and len(_months_of(groups[r, y])) >= 6]
        if len([1 for r, _ in rising if r == region]) >= max(3, len(mine)):
            return True
    return False


def _refuse_falls(name: str, groups: dict[tuple[str, int], list[IndicatorRow]], path: str) -> None:
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
    name: str,
    rows: list[IndicatorRow],
    groups: dict[tuple[str, int], list[IndicatorRow]],
    path: str,
    said: str | None,
) -> tuple[list[IndicatorRow], list[str]]:
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
        IndicatorRow(r.region, r.year, both, r.value, r.published)
        if (r.region, r.year) in without and r.months == frozenset({2}) else r for r in rows
    ]  # fmt: skip
    return changed, [
        f"{name}: February of {len(without)} region-years taken as January and February together"
    ]


def _refuse_jumps(name: str, rows: list[IndicatorRow], path: str) -> None:
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
