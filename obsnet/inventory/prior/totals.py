"""Totals by province and sector of a prior, from the rows of an inventory."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from obsnet.errors import FormatError, nearest
from obsnet.inventory.account.categories import ceads_sectors
from obsnet.inventory.notes import note
from obsnet.inventory.table import mass_factor
from obsnet.inventory.words import NATION, part_and_whole, plain

__all__ = ["SECTORS", "sector_totals"]

# Categories of IPCC 2006 by the sector of the prior; the longest that fits is taken.
SECTORS = {
    "1.A.1.a": "power", "1.A.1.b": "petrochemicals", "1.A.1.c": "industry", "1.A.1": "power", "1.A.2.a": "steel",
    "1.A.2.b": "non-ferrous", "1.A.2.c": "chemicals", "1.A.2.f": "building materials", "1.A.2.k": "construction",
    "1.A.2": "industry", "1.A.3": "transport", "1.A.4.a": "services", "1.A.4.b": "residential",
    "1.A.4.c": "agriculture", "1.A.5": "industry", "1.A": "combustion", "1.B": "fugitive", "2.A": "building materials",
    "2.B": "chemicals", "2.C.1": "steel", "2.C": "non-ferrous", "2": "industry", "3.A": "agriculture",
    "3.C": "agriculture", "3.B": "land", "4": "waste",
}  # fmt: skip


def sector_totals(
    table: Any, *, gas: str = "CO2", period: str | None = None, mapping: Mapping[str, str] | None = None
) -> tuple[Any, list[str]]:
    """Return totals by region and sector from rows of an inventory.

    Parameters
    ----------
    table : pandas.DataFrame
        Contract rows; categories of IPCC 2006 (see `SECTORS`), sectors of CEADs (by industry), or ``total`` alone.
    gas : str
        Formula.
    period : str, optional
        Where there are several.
    mapping : mapping of str to str, optional
        Category to sector, before `SECTORS`.

    Returns
    -------
    frame : pandas.DataFrame
        ``region, sector, value`` (kg a year), ``sd`` (relative, NaN where unknown).
    notes : list of str

    Raises
    ------
    FormatError
        No row of the gas, several periods, categories that no sector has, a category beside one that holds it, parts
        that do not add up to the total beside them.
    """
    import pandas as pd

    rows = table[table["gas"].str.upper() == gas.upper()]
    if rows.empty:
        raise FormatError(f"the inventory has no row of {gas}; it has {', '.join(sorted(set(table['gas'])))}")
    if gas.upper() == "CO2" and (table["gas"].str.upper() == "C").any():
        raise FormatError("the inventory has rows of CO2 and of carbon (C); keep one, they are not added up")
    periods = sorted(set(rows["period"].astype(str)))
    if period is None and len(periods) > 1:
        raise FormatError(f"the inventory has several periods, say which: {', '.join(periods)}")
    if period is not None and period not in periods:
        raise FormatError(f"the inventory has no period {period}{nearest(period, periods)}")
    rows = rows[(rows["period"].astype(str) == (period or periods[0])) & (rows["region"] != NATION)]
    kg = [v * mass_factor(str(u)) for v, u in zip(rows["value"], rows["unit"], strict=True)]
    rows = rows.assign(kg=kg)
    parts = rows[rows["category"] != "total"]
    notes: list[str] = []
    if parts.empty:
        parts = rows
        names = ["total"] * len(rows)
        notes.append(note("totals alone"))
    else:
        rules = {**SECTORS, **(mapping or {})}
        names = [_sector(c, rules) for c in parts["category"]]
        lost = sorted({c for c, n in zip(parts["category"], names, strict=True) if not n})
        if lost:
            raise FormatError(
                f"no sector for category {', '.join(lost[:5])}; say it with --sector '{lost[0]}=NAME'"
            )
        for region, group in parts.groupby("region"):
            double = part_and_whole(group["category"])
            if double is not None:
                raise FormatError(
                    f"{double[0]} of {region} is a part of {double[1]}, which has a row too: it would count twice"
                )
        both = (
            parts.groupby("region")["kg"]
            .sum()
            .to_frame("parts")
            .join(rows[rows["category"] == "total"].groupby("region")["kg"].sum())
        )
        off = (both["parts"] - both["kg"]).abs() > 1e-6 * both["kg"].abs()
        if off.any():
            region = str(off.idxmax())
            raise FormatError(
                f"categories of {region} add up to {both.at[region, 'parts'] / 1e9:.6g} Mt, its total is "
                f"{both.at[region, 'kg'] / 1e9:.6g}: "
                "rows overlap or are missing"
            )
    frame = parts.assign(sector=names, variance=(parts["kg"] * parts["uncertainty"]) ** 2)
    out = []
    for (region, sector), group in frame.groupby(["region", "sector"], sort=False):
        value = float(group["kg"].sum())
        sd = (
            math.sqrt(float(group["variance"].sum())) / abs(value)
            if value and group["uncertainty"].notna().all()
            else math.nan
        )
        out.append((region, sector, value, sd))
    return pd.DataFrame(out, columns=["region", "sector", "value", "sd"]), notes


def _sector(category: str, rules: Mapping[str, str]) -> str:
    known = ceads_sectors().get(plain(category))
    if known is not None:
        return rules.get(category, known.industry)
    parts = str(category).split(".")
    return next(
        (rules[".".join(parts[:k])] for k in range(len(parts), 0, -1) if ".".join(parts[:k]) in rules), ""
    )
