"""Cities of a province: from a table of their own or by a stated proxy, always summing to the province."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

from obsnet.errors import FormatError, RangeError, RegionError
from obsnet.inventory.notes import note
from obsnet.inventory.table import mass_factor, masses
from obsnet.inventory.words import find_region
from obsnet.reading import door

__all__ = ["read_cities", "split_cities"]


@door("a table of cities")
def read_cities(path: str | Path) -> Any:
    """Read ``region`` (province), ``city``, and ``value`` with ``unit`` or ``proxy``; optional ``category``.

    Returns
    -------
    pandas.DataFrame
        ``region`` as adcode, ``city, category`` (empty: all), ``value`` (kg a year, NaN where not given), ``proxy``
        (NaN).

    Raises
    ------
    FormatError
        Neither values nor proxies; a city twice.
    RangeError
        Negative numbers.
    """
    from obsnet.inventory.books import read_rows

    table = read_rows(
        path, ("region", "city"), ("category", "value", "unit", "proxy"), numbers=("value", "proxy")
    )
    if "proxy" not in table and "value" not in table:
        raise FormatError(f"{path}: cities need a column proxy, or value and unit")
    for column in ("value", "proxy"):
        if column not in table:
            table[column] = math.nan
        if (table[column] < 0).any():
            city = table[table[column] < 0]["city"].iloc[0]
            raise RangeError(f"{path}: {column} of {city} is below 0")
    if table["value"].notna().any():
        if "unit" not in table:
            raise FormatError(f"{path}: values of cities need a unit")
        table["value"] = masses(table["value"], table["unit"], table.attrs["where"], table.attrs["rows"])
    if "category" not in table:
        table["category"] = ""
    table["region"] = [find_region(r) for r in table["region"]]
    twice = table[table.duplicated(["region", "city", "category"])]
    if len(twice):
        raise FormatError(f"{path}: {twice['city'].iloc[0]} stands twice")
    return table[["region", "city", "category", "value", "proxy"]]


def split_cities(
    inventory: Any, cities: Any, *, gas: str = "CO2", period: str | None = None
) -> tuple[Any, list[str]]:
    """Divide provincial totals among cities.

    Parameters
    ----------
    inventory : pandas.DataFrame
        Rows of the contract.
    cities : pandas.DataFrame
        From `read_cities`: a proxy without a category is for every category that has none of its own, a value
        without one is of the total.
    gas, period : str
        Which rows; the period may be left out where there is one.

    Returns
    -------
    frame : pandas.DataFrame
        ``region, city, category, value`` (Mt), ``share`` (of the province), ``basis`` (``own`` or ``proxy``),
        ``resolvable``: False where nothing tells the city (no proxy), or its value is below the standard deviation
        of its province's.
    notes : list of str

    Raises
    ------
    RegionError
        No city of a province, or proxies that are all 0.
    RangeError
        Own totals of cities beyond their province's.
    FormatError
        Values without a category, and an inventory without a total.
    """
    import pandas as pd

    rows = inventory[inventory["gas"].str.upper() == gas.upper()]
    periods = sorted(set(rows["period"].astype(str)))
    if period is None and len(periods) != 1:
        raise FormatError(f"say which period: {', '.join(periods) or 'there is none of ' + gas}")
    rows = rows[
        (rows["period"].astype(str) == (period or periods[0])) & rows["region"].isin(set(cities["region"]))
    ]
    if rows.empty:
        raise RegionError(
            f"no province of the cities ({', '.join(sorted(set(cities['region'])))}) is in the inventory"
        )
    notes: list[str] = []
    if rows["uncertainty"].isna().any():
        notes.append(note("no city sd"))
    out = []
    undivided: dict[str, list[str]] = {}
    for row in rows.to_dict("records"):
        mine = cities[cities["region"] == row["region"]]
        exact = mine[mine["category"] == row["category"]]
        mine = exact if len(exact) else mine[mine["category"] == ""]
        if mine.empty:
            raise RegionError(f"no city of {row['region']} for category {row['category']}")
        if not len(exact) and mine["value"].notna().any() and not _whole(row, rows):
            undivided.setdefault(str(row["region"]), []).append(str(row["category"]))
            continue
        out += _split_one(row, mine)
    for region, left_out in undivided.items():
        if not any(line[0] == region for line in out):
            raise FormatError(
                f"values of cities of {region} have no category, the inventory has {', '.join(left_out)} and no total: "
                "say which in the column category"
            )
        notes.append(note("cities of total", region=region, categories=", ".join(left_out)))
    names = ["region", "city", "category", "value", "share", "basis", "resolvable"]
    return pd.DataFrame(out, columns=names), notes


def _whole(row: dict[str, Any], rows: Any) -> bool:
    """Say whether a row is all that the inventory has of its province."""
    return bool(row["category"] == "total" or (rows["region"] == row["region"]).sum() == 1)


def _split_one(row: dict[str, Any], cities: Any) -> list[tuple[Any, ...]]:
    total = float(row["value"]) * mass_factor(str(row["unit"]))
    own = cities["value"].notna()
    given = float(cities[own]["value"].sum())
    what = f"{row['region']} {row['category']}"
    if given > total * (1 + 1e-9):
        raise RangeError(f"cities of {what} sum to {given / 1e9:.6g} Mt, the province has {total / 1e9:.6g}")
    rest = cities[~own]
    weight = rest["proxy"].fillna(0.0)
    left = total - given
    if len(rest) and weight.sum() == 0.0 and left > 1e-9 * total:
        raise RegionError(f"proxies of {what} are all 0 or missing, {left / 1e9:.6g} Mt have no city")
    if not len(rest) and left > 1e-6 * total:
        raise RangeError(
            f"cities of {what} sum to {given / 1e9:.6g} Mt of {total / 1e9:.6g}; add the others or a proxy"
        )
    sd = float(row["uncertainty"]) * total if row["uncertainty"] == row["uncertainty"] else 0.0
    out = []
    for city in cities.to_dict("records"):
        known = city["value"] == city["value"]
        share_of_rest = (
            0.0
            if known or weight.sum() == 0
            else (city["proxy"] if city["proxy"] == city["proxy"] else 0.0) / weight.sum()
        )
        value = city["value"] if known else left * share_of_rest
        told = known or (city["proxy"] == city["proxy"] and city["proxy"] > 0)
        out.append(
            (
                row["region"],
                city["city"],
                row["category"],
                value / 1e9,
                value / total if total else math.nan,
                "own" if known else "proxy",
                bool(told and value >= sd),
            )
        )
    return out
