"""Reports of plants and enterprises: added up by province and sector, with what looks wrong listed and left in."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from obsnet.errors import FormatError, RangeError
from obsnet.inventory.notes import note
from obsnet.inventory.parts.size import LARGE, province_emission, province_words
from obsnet.inventory.table import mass_factor, masses
from obsnet.reading import door

__all__ = ["add_up", "outliers", "read_reports"]

_SPREADS = 5.0


@door("reports of plants")
def read_reports(path: str | Path) -> Any:
    """Read ``region, category`` (sector), ``name, value, unit``; optional ``base`` (production).

    Returns
    -------
    pandas.DataFrame
        ``region`` as adcode, ``category, name, mass`` (t a year), ``base``, ``line``.

    Raises
    ------
    RangeError
        Values missing or negative.
    """
    from obsnet.inventory.books import read_rows
    from obsnet.inventory.words import find_region

    table = read_rows(
        path, ("region", "category", "name", "value", "unit"), ("base", "period"), numbers=("value", "base")
    )
    if not (table["value"] >= 0).all():
        row = int(np.flatnonzero(~(table["value"] >= 0))[0])
        raise RangeError(f"{path}: {table['name'][row]}: {table['value'][row]} is not a positive number")
    if "period" in table and table["period"].nunique() > 1:
        raise FormatError(
            f"{path}: reports of several years ({', '.join(sorted(set(table['period'])))}); give one"
        )
    kg = masses(table["value"], table["unit"], table.attrs["where"], table.attrs["rows"])
    table["mass"] = [v / 1e3 for v in kg]
    table["region"] = [find_region(r) for r in table["region"]]
    table["line"] = table.attrs["rows"]
    if "base" not in table:
        table["base"] = np.nan
    return table[["region", "category", "name", "mass", "base", "line"]]


def outliers(reports: Any) -> Any:
    """List reports that stand out: names twice, sizes or intensities far from their sector's, shares of a province.

    Returns
    -------
    pandas.DataFrame
        ``line, name, region, category, why``. A size or intensity (mass over production) more than five robust
        spreads of its logarithm from the sector's median, and more than a factor of five, counts; sectors of fewer
        than five reports have none. A report of more than 5 % of what its whole province emits is listed too.
    """
    import pandas as pd

    out = []
    twice = reports[reports.duplicated(["region", "category", "name"], keep=False)]
    out += [
        (r["line"], r["name"], r["region"], r["category"], note("name twice"))
        for r in twice.to_dict("records")
    ]
    for r in reports.to_dict("records"):
        share = r["mass"] / province_emission(r["region"])
        if share > LARGE:
            part = {"value": f"{r['mass'] / 1e6:.4g}", "province": province_words(r["region"])}
            why = note("report beyond" if share > 1 else "large report", share=f"{share:.0%}", **part)
            out.append((r["line"], r["name"], r["region"], r["category"], why))
    reports = reports.assign(
        intensity=np.where(
            reports["base"] > 0, reports["mass"] / reports["base"].where(reports["base"] > 0), np.nan
        )
    )
    for category, group in reports.groupby("category"):
        for column, text in (("intensity", "emission a unit of production"), ("mass", "emission")):
            if column == "mass" and group["intensity"].notna().sum() >= 5:
                continue  # intensities tell more than sizes
            values = group[column].to_numpy(float)
            use = np.isfinite(values) & (values > 0)
            if use.sum() < 5:
                continue
            logs = np.log(values, out=np.full(values.shape, np.nan), where=use)
            middle = np.nanmedian(logs)
            spread = max(1.4826 * np.nanmedian(np.abs(logs - middle)), 0.1)
            far = np.flatnonzero(
                (np.abs(logs - middle) > _SPREADS * spread) & (np.abs(logs - middle) > np.log(5.0))
            )
            for k in far:
                row = group.iloc[k]
                times = float(np.exp(logs[k] - middle))
                hint = ", unit" if 3e3 < times < 3e4 or 3e-5 < times < 3e-4 else ""
                hint = hint or (", carbon" if 0.24 < times < 0.31 else "")
                why = note(f"times median{hint}", what=text, times=f"{times:.3g}", category=category)
                out.append((row["line"], row["name"], row["region"], category, why))
    return pd.DataFrame(out, columns=["line", "name", "region", "category", "why"])


def add_up(reports: Any, inventory: Any = None, *, gas: str = "CO2") -> Any:
    """Add reports up by province and sector, beside the inventory's number where there is one.

    Returns
    -------
    pandas.DataFrame
        ``region, category, reports, value`` (Mt), ``inventory`` (Mt), ``coverage`` (reports over inventory; above 1
        is a contradiction).
    """
    sums = (
        reports.groupby(["region", "category"])
        .agg(reports=("name", "size"), value=("mass", "sum"))
        .reset_index()
    )
    sums["value"] *= 1e-6
    sums["inventory"] = np.nan
    if inventory is not None:
        rows = inventory[inventory["gas"].str.upper() == gas.upper()]
        mass = [v * mass_factor(str(u)) * 1e-9 for v, u in zip(rows["value"], rows["unit"], strict=True)]
        known = rows.assign(mass=mass).groupby(["region", "category"])["mass"].sum()
        sums["inventory"] = [
            known.get((r, c), np.nan) for r, c in zip(sums["region"], sums["category"], strict=True)
        ]
    sums["coverage"] = sums["value"] / sums["inventory"]
    return sums
