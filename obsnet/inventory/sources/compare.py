"""Inventories side by side: other makers' tables and grids in one frame, and the spread between them."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from obsnet.errors import FormatError, SchemaError
from obsnet.inventory.account.categories import TERMINOLOGIES, converted, need_terminology
from obsnet.inventory.books import read_sheets
from obsnet.inventory.exchange.primap import NETCDF, is_primap, is_primap_netcdf, read_primap
from obsnet.inventory.notes import note
from obsnet.inventory.sources.ceads import is_ceads, read_ceads
from obsnet.inventory.sources.daily import is_daily, read_daily
from obsnet.inventory.table import BUILT_IN, mass_factor, read_inventory, with_provinces
from obsnet.inventory.words import NATION, said_of_own
from obsnet.reading import door
from obsnet.work.isolated import apart

__all__ = ["Comparison", "compare_sources", "grid_totals", "read_source"]

APART = 30.0  # times; provinces of one year differ by less between sources, by 1e4 where a unit is off
_WORKBOOKS = {".xls", ".xlsx", ".xlsm", ".xlsb", ".ods"}


@door("an inventory")
def read_source(path: str | Path, source: str | None = None, **grid: Any) -> tuple[Any, tuple[str, ...]]:
    """Read an inventory of any kind that is known as rows of the contract.

    Parameters
    ----------
    path : path
        A workbook of CEADs or of daily emissions, a table of the contract or a built-in one, a table of
        PRIMAP2 (a column a year as in PRIMAP-hist, or long) or its netCDF, a netCDF of fluxes.
    source : str, optional
        Of a PRIMAP2 file that holds several.
    **grid
        For netCDF, see `grid_totals`.

    Returns
    -------
    frame : pandas.DataFrame
        Contract columns.
    notes : tuple of str

    Raises
    ------
    FormatError
        None of these.
    """
    name = str(path)
    if name in BUILT_IN:
        return read_inventory(name), ()
    path = Path(path)
    if path.suffix.lower() in NETCDF:
        return read_primap(path, source) if is_primap_netcdf(path) else grid_totals(path, **grid)
    if path.suffix.lower() in _WORKBOOKS:
        sheets = read_sheets(path)
        if is_ceads(sheets):
            book = read_ceads(path, sheets)
            return book.contract(), book.notes
        if is_daily(sheets):
            daily = read_daily(path, sheets)
            return daily.contract(), daily.findings
        raise FormatError(f"{path}: neither a workbook of CEADs nor of daily emissions; other tables as CSV")
    head = read_sheets(path)[0].rows[:1]
    if head and is_primap(head[0]):
        return read_primap(path, source)
    table = need_terminology(with_provinces(read_inventory(path), str(path)), str(path))
    own = said_of_own(table["region"])
    return table, (f"{path.name}: {own}",) if own else ()


def grid_totals(
    path: str | Path, *, regions: Any = None, period: tuple[Any, Any] | None = None, **read: Any
) -> tuple[Any, tuple[str, ...]]:
    """Return the totals of a flux file over provinces, as rows of the contract.

    Parameters
    ----------
    path : path
        netCDF; see `obsnet.cf.read_flux`, whose arguments may follow (``variable, units, basis, substance``).
    regions : geopandas.GeoDataFrame, optional
        By default the provinces.
    period : (start, stop), optional
        Of a file without time; a year in its name is taken where there is one.

    Notes
    -----
    Cells are split by where their flux is, see `obsnet.splitting.flux_shares`, or as the file itself says.
    """
    import pandas as pd

    from obsnet.cf import read_flux, read_shares
    from obsnet.constants import SECONDS_PER_YEAR, species
    from obsnet.field import grid_of
    from obsnet.inventory.table import COLUMNS
    from obsnet.regions import provinces
    from obsnet.splitting import flux_totals
    from obsnet.zonal import zonal_weights

    path = Path(path)
    notes = []
    if period is None and (match := re.search(r"(?<!\d)(19|20)\d\d(?!\d)", path.stem)):
        year = int(match.group())
        period = (f"{year}-01-01", f"{year + 1}-01-01")
        notes.append(f"{path.name}: {note('as year', year=year)}")
    data = apart(read_flux, path, period=period, **read)
    places = provinces() if regions is None else regions
    totals = flux_totals(data, places, given=apart(read_shares, path))
    gas = species(str(data["flux"].attrs["substance"]))
    value = totals.sum("sector").values * gas.molar_mass * SECONDS_PER_YEAR * 1e-9
    years = [str(bounds[0].astype("datetime64[Y]")) for bounds in data["time_bnds"].values]
    rows = [
        (str(region), year, gas.name, "total", "grid", float(value[t, j]), "Mt", np.nan, path.stem, "")
        for t, year in enumerate(years)
        for j, region in enumerate(places.index)
    ]
    said = [*totals.attrs["shares"].splitlines(), *totals.attrs["shares_notes"].splitlines()]
    notes += [f"{path.name}: {line}" for line in said]
    covered = float(np.median(zonal_weights(places, grid_of(data)).covered))
    notes.append(f"{path.name}: {note('middle', share=format(covered, '.0%'))}")
    return pd.DataFrame(rows, columns=list(COLUMNS)), tuple(notes)


@dataclass(frozen=True, eq=False)
class Comparison:
    """Sources side by side.

    Parameters
    ----------
    table : pandas.DataFrame
        ``region, period, gas, category``, a column a source (Mt), and ``sources, mean, spread`` ((max - min) /
        mean), ``sd`` (relative standard deviation between sources).
    sums : pandas.DataFrame
        Sum over the provinces that all sources of a period have, beside what a source states for the nation.
    notes : tuple of str
        What does not mean the same.
    """

    table: Any
    sums: Any
    notes: tuple[str, ...]


def compare_sources(
    sources: Sequence[tuple[str, Any]], *, period: str | None = None, gas: str = "CO2", category: str = "total",
    terminology: str = "IPCC2006",
) -> Comparison:  # fmt: skip
    """Put inventories side by side.

    Parameters
    ----------
    sources : sequence of (name, frame)
        Rows of the contract, at least two.
    period : str, optional
        Only this one.
    gas : str
        Formula; carbon (``C``) is turned into CO2 and said.
    category : str
        ``total``, or a code of `terminology`; a source that has only parts of it is added up over
        them, the highest that it has.
    terminology : str
        Of the category.

    Raises
    ------
    FormatError
        Fewer than two sources with such rows.
    """
    import pandas as pd

    notes: list[str] = []
    columns: dict[str, Any] = {}
    for name, frame in sources:
        one = frame.copy()
        if gas.upper() == "CO2" and (one["gas"].str.upper() == "C").any():
            notes.append(f"{name}: {note('carbon')}")
            carbon = one["gas"].str.upper() == "C"
            one.loc[carbon, "value"] *= 44.0 / 12.0
            one.loc[carbon, "gas"] = "CO2"
        one = one[one["gas"].str.upper() == gas.upper()]
        if category != "total" and one["terminology"].isin(TERMINOLOGIES).any():
            one = converted(one, terminology)
        if period is not None:
            one = one[one["period"].astype(str) == str(period)]
        exact = one[one["category"] == category]
        if exact.empty and category != "total":
            exact = _topmost(one[one["category"].str.startswith(f"{category}.")])
            if len(exact):
                parts = ", ".join(sorted(set(exact["category"])))
                notes.append(f"{name}: {note('added up', category=category, parts=parts)}")
        if exact.empty:
            key = "no row in" if period else "no row of"
            notes.append(f"{name}: {note(key, gas=gas, category=category, period=period)}")
            continue
        doubled = exact[exact.duplicated(["region", "period", "category"])]
        if len(doubled):
            first = doubled.iloc[0]
            _refuse_carbon_beside_co2(name, frame)
            raise SchemaError(
                f"{name}: {first['region']} {first['period']} {first['category']} stands twice; give each "
                f"source its own name"
            )
        mass = [v * mass_factor(str(u)) * 1e-9 for v, u in zip(exact["value"], exact["unit"], strict=True)]
        series = exact.assign(mass=mass).groupby(["region", "period"])["mass"].sum()
        columns[name] = series
        below = series[series < 0]
        if len(below):
            place = " ".join(map(str, below.index[0]))
            said = note("below", n=len(below), place=place, value=f"{below.iloc[0]:g}")
            notes.append(f"{name}: {said}")
        used = sorted({t for t in exact["terminology"] if t})
        notes.append(f"{name}: {note('numbers', n=len(series), terms=', '.join(used) or 'not stated')}")
    if len(columns) < 2:
        raise FormatError(
            f"fewer than two sources have {gas} {category}{f' of {period}' if period else ''}: {'; '.join(notes)}"
        )
    table = pd.DataFrame(columns)
    table.index.names = ["region", "period"]
    values = table.to_numpy(dtype=np.float64)
    count = np.isfinite(values).sum(axis=1)
    import warnings

    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)
        mean = np.nanmean(values, axis=1)
        spread = (np.nanmax(values, axis=1) - np.nanmin(values, axis=1)) / np.abs(mean)
        sd = np.where(count > 1, np.nanstd(values, axis=1, ddof=1) / np.abs(mean), np.nan)
    out = table.reset_index()
    out.insert(2, "gas", gas)
    out.insert(3, "category", category)
    out = out.assign(sources=count, mean=mean, spread=np.where(count > 1, spread, np.nan), sd=sd)
    notes += _apart(table)
    notes.append(note("definitions"))
    return Comparison(out, _sums(table), tuple(notes))


def _refuse_carbon_beside_co2(name: str, frame: Any) -> None:
    both = frame[frame["gas"].str.upper().isin(["CO2", "C"])]
    kinds = both.groupby(["region", "period", "category"])["gas"].nunique()
    if (kinds > 1).any():
        region, period, category = kinds[kinds > 1].index[0]
        raise SchemaError(
            f"{name}: {region} {period} {category} stands as CO2 and as carbon (gas C); keep one of them"
        )


def _apart(table: Any) -> list[str]:
    """Say where sources are so far apart that a unit must be off."""
    values = np.abs(table.where(table != 0.0).to_numpy(dtype=np.float64))
    known = np.isfinite(values)
    most, least = np.where(known, values, -np.inf).max(axis=1), np.where(known, values, np.inf).min(axis=1)
    far = np.flatnonzero((known.sum(axis=1) > 1) & (most > APART * least))
    if not far.size:
        return []
    region, period = table.index[far[0]]
    size = {"least": f"{least[far[0]]:.4g}", "most": f"{most[far[0]]:.4g}"}
    return [note("apart", n=far.size, times=f"{APART:g}", place=f"{region} {period}", **size)]


def _topmost(rows: Any) -> Any:
    """Return rows without those whose category is part of another of the same region and period."""
    there = set(zip(rows["region"], rows["period"], rows["category"], strict=True))

    def part(region: str, period: str, category: str) -> bool:
        codes = category.split(".")
        return any((region, period, ".".join(codes[:k])) in there for k in range(1, len(codes)))

    keys = zip(rows["region"], rows["period"], rows["category"], strict=True)
    return rows[[not part(*key) for key in keys]]


def _sums(table: Any) -> Any:
    """Return sums over the provinces that all sources have, and the nation as stated, by period and source."""
    import pandas as pd

    rows = []
    for period, group in table.groupby(level="period"):
        local = group[group.index.get_level_values("region") != NATION]
        shared = local.dropna()
        nation = group[group.index.get_level_values("region") == NATION]
        for source in table.columns:
            stated = float(nation[source].iloc[0]) if len(nation) else np.nan
            rows.append(
                (period, source, len(shared), float(shared[source].sum()), float(local[source].sum()), stated)
            )
    return pd.DataFrame(
        rows, columns=["period", "source", "shared_regions", "shared_sum", "all_sum", "nation_stated"]
    )
