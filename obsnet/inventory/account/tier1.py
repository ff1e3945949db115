"""Emissions from tables of activities at tier 1: process CO2, CH4 of coal mining, rice, livestock, waste.

Equations of the IPCC 2006 Guidelines: V3 2.2 (clinker), V3 2.14 (carbonates), V2 4.1.7 (surface coal mines), V4 5.1
(rice), V4 10.19 (enteric fermentation), V5 3.1 to 3.6 (first-order decay in landfills), V5 6.1 (wastewater); manure
stands in `obsnet.inventory.account.manure`. An activity without a factor in the package (underground mines, whose gas
differs tenfold between basins) needs one of the user's own.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np

from obsnet.errors import ConfigError, FormatError, RangeError, SchemaError, nearest
from obsnet.inventory.account.manure import CLIMATES, manure_factors
from obsnet.inventory.amounts import MASS, scale
from obsnet.inventory.factors.choose import FactorBook
from obsnet.inventory.packaged import package_rows
from obsnet.inventory.words import find_region, plain
from obsnet.reading import door
from obsnet.typing import Floats

__all__ = ["Activity", "find_activity", "first_order_decay", "read_activities", "tier1"]

CH4_DENSITY = 0.67  # kg/m3 at 20 C and 1 atm; IPCC 2006 V2 Eq. 4.1.7
CH4_OF_CARBON = 16.0 / 12.0
LANDFILL_CH4 = 0.5  # share of CH4 in landfill gas, IPCC 2006 V5 3.2.3
_UNITS = {
    "t": MASS,
    "head": {"head": 1.0, "heads": 1.0, "头": 1.0, "只": 1.0, "匹": 1.0, "口": 1.0},
    "ha": {"ha": 1.0, "hectare": 1.0, "hectares": 1.0, "公顷": 1.0, "kha": 1e3, "km2": 100.0, "平方公里": 100.0,
           "亩": 1.0 / 15.0},
}  # fmt: skip
_PER_UNIT = {
    "t CO2/t": 1.0,
    "kg CH4/head": 1e-3,
    "kg CH4/ha": 1e-3,
    "kg CH4/t": 1e-3,
    "m3 CH4/t": 1e-3 * CH4_DENSITY,
    "kg CH4/kg BOD": 1.0,
    "kg CH4/kg COD": 1.0,
}  # to t of the gas a unit of activity


@dataclass(frozen=True)
class Activity:
    """A kind of activity: its category and gas, its unit, the item of its factor, the largest a province can have."""

    name: str
    zh: str
    category: str
    gas: str
    unit: str
    largest: float
    factor: str


@lru_cache(maxsize=1)
def _activities() -> tuple[dict[str, Activity], dict[str, str]]:
    found, names = {}, {}
    for r in package_rows("activities.csv"):
        entry = Activity(
            r["item"], r["zh"], r["category"], r["gas"], r["unit"], float(r["largest"]), r["factor"]
        )
        found[entry.name] = entry
        for name in (r["item"], r["zh"], *r["other names"].split(";")):
            if name:
                names[plain(name)] = entry.name
    return found, names


def find_activity(name: object) -> Activity:
    """Return an activity by name in either language.

    Raises
    ------
    FormatError
        There is none of this name; the nearest are given.
    """
    found, names = _activities()
    key = names.get(plain(name))
    if key is None:
        known = [n for a in found.values() for n in (a.name, a.zh)]
        raise FormatError(f"no activity is called {str(name).strip()!r}{nearest(str(name), known)}")
    return found[key]


@door("a table of activities")
def read_activities(path: str | Path, region: str | None = None, year: int | None = None) -> Any:
    """Read a table of activities.

    Parameters
    ----------
    path : path
        Columns ``item, value, unit``; optional ``region, period, kind`` (of landfill, or how manure is kept), ``note``
        (the climate of landfills and manure, the correction factor of wastewater), ``mass`` (kg, of an animal).
    region, year : optional
        Where the table has no such column.

    Returns
    -------
    pandas.DataFrame
        Columns ``region, period, item, activity, unit, kind, note, mass, file, row``; activity in the unit of
        `Activity`.

    Raises
    ------
    FormatError, RangeError, SchemaError
        Unknown items or units, negative or impossible amounts (a unit off by 10⁴), a row given twice.
    """
    import pandas as pd

    from obsnet.inventory.books import read_rows

    table = read_rows(
        path,
        ("item", "value", "unit"),
        ("region", "period", "kind", "note", "mass"),
        numbers=("value", "mass"),
    )
    where = table.attrs["where"]
    out = []
    for i, row in enumerate(table.to_dict("records")):
        line = f"{where}: row {table.attrs['rows'][i]}"
        entry = find_activity(row["item"])
        factor = scale(row["unit"], _UNITS[entry.unit])
        if factor is None:
            known = f"{', '.join(_UNITS[entry.unit])}, with 万, 亿, 1e4 and the like before them"
            raise FormatError(f"{line}: {entry.name} in {row['unit']!r}; known units: {known}")
        amount = row["value"] * factor
        if not amount >= 0.0:
            raise RangeError(f"{line}: {entry.name} is {row['value']}, not a positive number")
        if amount > entry.largest:
            raise RangeError(
                f"{line}: {entry.name} of {row['value']:g} {row['unit']} is {amount:.3g} {entry.unit}, more "
                f"than any province has; "
                "is the unit off (1e4 t against t)?"
            )
        place = row.get("region") or region
        period = row.get("period") or (None if year is None else str(year))
        if not place or not period:
            raise FormatError(
                f"{line}: no {'region' if not place else 'period'}; add the column or say it with an option"
            )
        try:
            place = find_region(place)
        except ConfigError:
            place = str(place)
        out.append({"region": place, "period": str(period), "item": entry.name, "activity": amount, "unit": entry.unit,
                    "kind": row.get("kind", ""), "note": row.get("note", ""), "mass": row.get("mass", math.nan),
                    "file": where, "row": str(table.attrs["rows"][i])})  # fmt: skip
    frame = pd.DataFrame(out)
    twice = frame[frame.duplicated(["region", "period", "item", "kind"])]
    if len(twice):
        first = twice.iloc[0]
        raise SchemaError(f"{where}: {first['item']} of {first['region']} {first['period']} stands twice")
    frame.attrs = {"notes": table.attrs["notes"]}
    return frame


def tier1(activities: Any, book: FactorBook, period: str) -> Any:
    """Return the emissions of a year's activities.

    Parameters
    ----------
    activities : pandas.DataFrame
        From `read_activities`; landfills need the years before too.
    book : FactorBook
        Factors in order.
    period : str
        Year.

    Returns
    -------
    pandas.DataFrame
        As `obsnet.inventory.account.energy.combustion` returns, ``emission`` in t of the gas.

    Raises
    ------
    FormatError
        An activity without a factor.
    """
    import pandas as pd

    rows: list[dict[str, Any]] = []
    landfills: dict[tuple[str, str, str], list[dict[str, Any]]] = {}
    for row in activities.to_dict("records"):
        entry = find_activity(row["item"])
        if entry.category == "4.A":
            if int(row["period"]) <= int(period):
                landfills.setdefault((row["region"], entry.name, row["kind"]), []).append(row)
        elif row["period"] == period:
            rows += _manure(row, entry, book) if entry.category == "3.A.2" else [_simple(row, entry, book)]
    rows += [_landfill(group, int(period), book) for group in landfills.values()]
    return pd.DataFrame(rows)


def _simple(row: dict[str, Any], entry: Activity, book: FactorBook) -> dict[str, Any]:
    quantity = "methane capacity" if entry.category == "4.D" else "emission"
    factor = book.need(quantity, entry.factor, year=row["period"], region=row["region"], gas=entry.gas)
    per_unit = _PER_UNIT[factor.unit]
    note = str(row["note"])
    share = 1.0
    if entry.category == "4.D":
        # MCF of the treatment is the user's: it ranges from 0 to 0.8 between lagoons and plants.
        try:
            share = float(note)
        except ValueError:
            raise FormatError(
                f"{row['file']}: row {row['row']}: wastewater needs the methane correction factor of its "
                f"treatment (0 to 1) in the "
                "column note"
            ) from None
        if not 0.0 <= share <= 1.0:
            raise RangeError(f"{row['file']}: row {row['row']}: a methane correction factor of {share:g}")
        note = f"methane correction factor {share:g} of the user"
    made = {
        "factor": factor.value * per_unit * share,
        "factor_unit": f"t {entry.gas}/{entry.unit}",
        "factor_sd": factor.sd,
        "factor_key": factor.key,
        "factor_source": f"{factor.source}, {factor.page}",
    }
    return _line(row, entry, row["activity"], made, note)


def _manure(row: dict[str, Any], entry: Activity, book: FactorBook) -> list[dict[str, Any]]:
    """Return the lines of one kind of animal: CH4, N2O of storage, N2O that arises elsewhere."""
    place = f"{row['file']}: row {row['row']} ({entry.name})"
    if not row["note"]:
        raise FormatError(f"{place}: the column note says the climate: {'; '.join(CLIMATES)}")
    how: dict[str, Any] = {
        "climate": str(row["note"]),
        "system": str(row["kind"]),
        "mass": float(row["mass"]),
    }
    try:
        found = manure_factors(entry.factor, book, year=row["period"], region=row["region"], **how)
    except (FormatError, RangeError) as fault:
        raise type(fault)(f"{place}: {fault}") from None
    out = []
    for category, gas, factor, parts, note in found:
        made = {
            "factor": factor,
            "factor_unit": f"t {gas}/{entry.unit}",
            "factor_sd": math.nan,
            "factor_key": "; ".join(dict.fromkeys(p.key for p in parts)),
            "factor_source": "; ".join(dict.fromkeys(f"{p.source}, {p.page}" for p in parts)),
        }
        line = _line(row, entry, row["activity"], made, note)
        out.append({**line, "category": category, "gas": gas})
    return out


def _line(
    row: dict[str, Any], entry: Activity, amount: float, factor: dict[str, Any], note: str
) -> dict[str, Any]:
    """Return one line of the trace."""
    return {
        **{k: row[k] for k in ("region", "period", "file")},
        "category": entry.category,
        "item": entry.name,
        "activity": amount,
        "unit": entry.unit,
        "row": f"row {row['row']}",
        "cell": "",
        "note": note,
        "gas": entry.gas,
        **factor,
        "emission": amount * factor["factor"],
    }


def _landfill(group: list[dict[str, Any]], period: int, book: FactorBook) -> dict[str, Any]:
    """Return the CH4 that one kind of waste in one kind of landfill gives in a year."""
    entry = find_activity(group[0]["item"])
    first = group[0]
    place = f"{first['file']}: {entry.name}"
    climate = str(first["note"])
    if not climate:
        raise FormatError(
            f"{place}: the column note says the climate: wet temperate, dry temperate, wet tropical, dry tropical"
        )
    if not first["kind"]:
        raise FormatError(
            f"{place}: the column kind says the landfill: managed, anaerobic; unmanaged, deep; …"
        )
    how: dict[str, Any] = {"year": period, "region": first["region"]}
    parts = [
        book.need("degradable carbon", f"solid waste {entry.factor}", **how),
        book.need("dissimilated share", f"solid waste {entry.factor}", **how),
        book.need("methane correction", f"solid waste {first['kind']}", **how),
        book.need("decay rate", f"solid waste {entry.factor}, {climate}", **how),
    ]
    years = sorted(int(r["period"]) for r in group)
    gaps = sorted(set(range(years[0], period)) - set(years))
    note = f"{climate}; deposits of {years[0]} to {years[-1]}" + (
        f", none given for {len(gaps)} years" if gaps else ""
    )
    deposit = np.zeros(period - years[0] + 1)
    for r in group:
        deposit[int(r["period"]) - years[0]] += r["activity"]
    carbon, dissimilated, correction, decay = (p.value for p in parts)
    emitted = first_order_decay(deposit * carbon * dissimilated * correction, decay)[-1]
    total = float(emitted) * LANDFILL_CH4 * CH4_OF_CARBON
    sd = math.sqrt(sum(p.sd**2 for p in parts if math.isfinite(p.sd)))
    amount = float(deposit.sum())
    made = {
        "factor": total / amount if amount else 0.0,
        "factor_unit": "t CH4/t deposited so far",
        "factor_sd": sd,
        "factor_key": " x ".join(p.key for p in parts),
        "factor_source": "; ".join(dict.fromkeys(f"{p.source}, {p.page}" for p in parts)),
    }
    return _line({**first, "period": str(period)}, entry, amount, made, note)


def first_order_decay(deposit: Floats, rate: float) -> Floats:
    """Return what decays each year of deposits that decay exponentially from the year after they were made.

    Parameters
    ----------
    deposit : ndarray, shape (years,)
        Decomposable carbon put down each year, t.
    rate : float
        Decay rate, 1/a.

    Returns
    -------
    ndarray, shape (years,)
        t decayed in each year.

    Notes
    -----
    IPCC 2006 V5 Eq. 3.4 and 3.5: ``A_T = D_T + A_{T-1} exp(-k)``, ``decayed_T = A_{T-1} (1 - exp(-k))``.
    """
    stock, out = 0.0, np.zeros(len(deposit))
    keep = math.exp(-rate)
    for t, amount in enumerate(deposit):
        out[t] = stock * (1.0 - keep)
        stock = stock * keep + amount
    return out
