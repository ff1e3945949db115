"""Inventories of many years, and which of them were known on a day."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np

from obsnet.errors import ConfigError, FormatError
from obsnet.inventory.account.categories import TERMINOLOGIES, converted
from obsnet.inventory.books import read_sheets
from obsnet.inventory.sources.ceads import is_ceads, read_ceads
from obsnet.inventory.sources.compare import read_source
from obsnet.inventory.table import masses
from obsnet.inventory.words import NATION, province_or_own
from obsnet.nowcast.inputs.panel import LEAST_YEARS, Panel
from obsnet.nowcast.notes import note
from obsnet.times import later

__all__ = ["Edition", "History", "read_history"]

# Regions; change a year, of how many of them at once, and how far theirs differ; difference of editions that is said.
_MANY, _STEP, _TOGETHER, _ALIKE, _DIFFER = 5, np.log(1.5), 0.8, 0.2, 0.01
_BOOKS = {".xls", ".xlsx", ".xlsm", ".xlsb", ".ods"}


@dataclass(frozen=True, eq=False)
class Edition:
    """One edition of an inventory.

    Parameters
    ----------
    published : numpy.datetime64 or None
        Day; None: each year came out `History.lag` months after its end.
    values : pandas.Series
        Mt a year by (region, year).
    """

    published: np.datetime64 | None
    values: Any


@dataclass(frozen=True, eq=False)
class History:
    """One category of an inventory over years and editions.

    Parameters
    ----------
    editions : tuple of Edition
        Oldest first.
    regions : tuple of str
        Adcodes or own keys, without the nation.
    category, gas : str
    lag : int
        Months from the end of a year to its inventory, where no edition says it.
    notes : tuple of str
        What was read how.
    """

    editions: tuple[Edition, ...]
    regions: tuple[str, ...]
    category: str
    gas: str
    lag: int
    notes: tuple[str, ...]

    @property
    def has_nation(self) -> bool:
        """Whether there are values of the nation besides those of provinces."""
        return any(NATION in e.values.index.get_level_values(0) for e in self.editions)

    def at(self, day: np.datetime64 | None = None, *, nation: bool = False) -> Panel:
        """Return what was known on a day, or in the end.

        Parameters
        ----------
        day : numpy.datetime64, optional
            Later editions replace earlier ones number by number.
        nation : bool
            Of the nation as it is stated itself, instead of the regions.

        Raises
        ------
        FormatError
            Nothing was known then.
        """
        known: dict[tuple[str, int], float] = {}
        for edition in self.editions:
            for (region, year), value in edition.values.items():
                if day is None or self._out(edition, int(year)) <= day:
                    known[region, int(year)] = float(value)
        regions = (NATION,) if nation else self.regions
        years = sorted({y for r, y in known if r in regions})
        if not years:
            raise FormatError(
                f"no inventory was out on {day}: each is taken to come {self.lag} months after its year"
            )
        span = np.arange(years[0], years[-1] + 1)
        values = np.array([[known.get((r, int(y)), np.nan) for r in regions] for y in span])
        return Panel(regions, span, values)

    def first(self, year: int) -> Panel:
        """Return what was known when the inventory of a year first came out, up to that year."""
        out = [
            self._out(e, year) for e in self.editions if (e.values.index.get_level_values(1) == year).any()
        ]
        return self.at(min(out, default=None)).upto(year)

    def _out(self, edition: Edition, year: int) -> np.datetime64:
        if edition.published is not None:
            return edition.published
        return later(np.datetime64(f"{year + 1}-01", "M"), self.lag).astype("datetime64[D]")

    def triangle(self) -> Any:
        """Return ``region, year, published, value`` of every number that differs between editions, oldest first."""
        import pandas as pd

        frame = pd.DataFrame({str(e.published or k): e.values for k, e in enumerate(self.editions)})
        differ = frame[frame.nunique(axis=1) > 1]
        long = differ.stack().rename("value").reset_index()
        long.columns = ["region", "year", "published", "value"]
        return long


def read_history(
    sources: Sequence[str], category: str = "total", *, gas: str = "CO2", lag: int = 12
) -> History:
    """Read an inventory of several years.

    Parameters
    ----------
    sources : sequence of str
        Files as `obsnet inventory compare` reads them: workbooks of CEADs, daily emissions, tables of the contract or
        of PRIMAP2. ``DATE=FILE`` says when an edition came out; files without a date are one edition.
    category : str
        ``total``, or a code such as ``1.A.1.a``, of which all parts that a file has are added up.
    gas : str
        Formula.
    lag : int
        See `History`.

    Raises
    ------
    FormatError
        No row of the category, no period that is a year.
    ConfigError
        A date that is none.
    """
    import pandas as pd

    if not sources:
        raise ConfigError("no inventories are named: give workbooks of CEADs or tables of several years")
    parts: dict[str, list[Any]] = {}
    notes: list[str] = []
    for source in sources:
        dated = re.fullmatch(r"(\d{4}(?:-\d\d){0,2})=(.+)", source)
        day, path = (dated.group(1), dated.group(2)) if dated else ("", source)
        try:
            # of a month or a year its last day, as of indicators: a hindcast must not know it earlier
            day = str(later(later(np.datetime64(day)).astype("datetime64[D]"), -1)) if day else ""
        except ValueError:
            raise ConfigError(f"{source!r}: {day} is no day; write 2020-09-30=FILE") from None
        frame, said = _read(path, category)
        rows, more = _rows(frame, category, gas, path)
        notes += [*said, *more]
        parts.setdefault(day, []).append(rows)
    editions = []
    for day in sorted(parts):
        joined = pd.concat(parts[day])
        twice = joined[joined.index.duplicated()]
        if len(twice):
            region, year = twice.index[0]
            raise FormatError(
                f"{region} {year} {category} stands in two files; give each year once, or say when each edition came "
                "out (DATE=FILE)"
            )
        editions.append(Edition(np.datetime64(day) if day else None, joined))
    _refuse_steps(editions)
    notes += _meetings(editions)
    regions, short = _long_enough(pd.concat([e.values for e in editions]))
    return History(
        tuple(editions), regions, category, gas.upper(), lag, tuple(dict.fromkeys([*notes, *short]))
    )


def _refuse_steps(editions: Sequence[Edition]) -> None:
    """Refuse an edition in which all regions change by a half and more together: another unit, carbon for CO2."""
    for edition in editions:
        table = edition.values[edition.values > 0.0].unstack(0).sort_index()
        for before, year in pairwise(table.index):
            steps = np.log(table.loc[year] / table.loc[before]).dropna()
            least = _STEP * (year - before)
            if len(steps) < _MANY or abs(steps.median()) <= least:
                continue
            far = np.sign(steps.median()) * steps > least
            # all regions, or most by one factor: parts of a sector that begin or end differ in theirs
            spread = (steps[far] - steps[far].median()).abs().median()
            if far.mean() > _TOGETHER or spread < _ALIKE:
                raise FormatError(
                    f"inventories of {year} are {np.exp(steps.median()):.3g} times those of {before} in most regions "
                    "together: is a unit off, or carbon taken for CO2 (12/44 = 0.273)?"
                )


def _meetings(editions: Sequence[Edition]) -> list[str]:
    """Say where a later edition begins after an earlier one and differs from it there by 1 % and more."""
    import pandas as pd

    notes = []
    for before, after in pairwise(editions):
        first = min(after.values.index.get_level_values(1))
        if min(before.values.index.get_level_values(1)) >= first:
            continue
        both = pd.concat([before.values.rename("old"), after.values.rename("new")], axis=1).dropna()
        both = both[(both["old"] > 0.0) & (both["new"] > 0.0)]
        common = both[both.index.get_level_values(1) == first]
        change = float((common["new"] / common["old"]).median()) - 1.0 if len(common) else np.nan
        if abs(change) > _DIFFER:
            notes.append(
                note(
                    "editions meet",
                    day=after.published,
                    year=first,
                    before=first - 1,
                    percent=f"{100 * change:+.1f}",
                )
            )
    return notes


def _long_enough(values: Any) -> tuple[tuple[str, ...], list[str]]:
    """Return the regions that have something in the first years, and say which have not."""
    there = values[values > 0.0].index
    years = {r: sorted({int(y) for k, y in there if k == r}) for r in values.index.unique(0)}
    places = [r for r in years if r != NATION] or [NATION]  # the nation's own series may begin elsewhere
    begin = min((years[r][0] for r in places if years[r]), default=0)
    short = {r: y for r in places if len(y := years[r]) < LEAST_YEARS or y[1] > begin + LEAST_YEARS - 1}
    kept = tuple(sorted(r for r in places if r not in short))
    if not kept:
        raise FormatError(
            f"no region has {LEAST_YEARS} years of positive values from {begin} on, the fewest from which a trend and "
            "its error can be said"
        )
    lost = [
        note("short", region=r, first=y[0], last=y[-1]) if y else note("zeros", region=r) for r, y in short.items()
    ]  # fmt: skip
    return kept, lost


def _read(path: str, category: str) -> tuple[Any, tuple[str, ...]]:
    """Return rows of the contract; of CEADs' workbooks with sectors where one is asked for."""
    if category != "total" and Path(path).suffix.lower() in _BOOKS and Path(path).is_file():
        sheets = read_sheets(path)
        if is_ceads(sheets):
            book = read_ceads(path, sheets)
            return _by_code(book), book.notes
    return read_source(path)


def _by_code(book: Any) -> Any:
    """Return CEADs' sectors under codes of IPCC 2006; process emissions of cement stand among them and not apart."""
    from obsnet.inventory.account.categories import ceads_sectors
    from obsnet.inventory.words import plain

    frame = book.contract(sectors=True)
    frame = frame[frame["category"] != "total"].copy()
    known = ceads_sectors()
    frame["category"] = [known[plain(c)].ipcc2006 for c in frame["category"]]
    sums = frame.groupby(["region", "period", "gas", "category", "unit"], as_index=False)["value"].sum()
    return sums.assign(terminology="IPCC2006")


def _rows(frame: Any, category: str, gas: str, path: str) -> tuple[Any, list[str]]:
    """Return Mt a year of one category by (region, year)."""
    rows = frame[frame["gas"].astype(str).str.upper() == gas.upper()]  # a table without rows has no texts
    rows = rows.assign(region=[province_or_own(r) for r in rows["region"]])
    notes = []
    if category != "total" and rows["terminology"].isin(TERMINOLOGIES).any():
        rows = converted(rows, "IPCC2006")
    exact = rows[rows["category"] == category]
    if exact.empty and category != "total":
        exact = rows[rows["category"].astype(str).str.startswith(f"{category}.")]
        if len(exact):
            parts = sorted(set(exact["category"]))
            notes.append(note("added up", file=Path(path).name, category=category, parts=", ".join(parts)))
    exact = exact[exact["period"].astype(str).str.fullmatch(r"\d{4}")]
    if exact.empty:
        there = ", ".join(sorted(set(rows["category"]))[:12])
        raise FormatError(f"{path}: no year of {gas} {category!r}; categories: {there or 'none'}")
    mass = [m * 1e-9 for m in masses(exact["value"], exact["unit"], path, range(2, len(exact) + 2))]
    keyed = exact.assign(mass=mass, year=exact["period"].astype(int))
    return keyed.groupby(["region", "year"])["mass"].sum(), notes
