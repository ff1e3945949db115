"""An inventory as a workbook: a summary with CO2e, its lines, factors, uncertainty; Chinese or English.

Forms of others are filled as they are given: `obsnet.inventory.exchange.form`.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from obsnet.errors import FormatError, nearest
from obsnet.inventory.account.categories import category_name
from obsnet.inventory.account.report import named_region
from obsnet.inventory.factors.table import builtin_factors
from obsnet.inventory.table import mass_factor
from obsnet.inventory.words import translated
from obsnet.language import Language
from obsnet.sheets import TableSheet, write_sheets

__all__ = ["co2_equivalent", "gwp_set", "summary", "write_workbook"]


def gwp_set(name: str) -> dict[str, float]:
    """Return GWP100 by gas of a set: ``sar``, ``tar``, ``ar4``, ``ar5``, ``ar5-feedback``, ``ar6``.

    Raises
    ------
    FormatError
        No such set.
    """
    frame = builtin_factors()
    rows = frame[frame["quantity"] == "gwp100"]
    mine = rows[rows["edition"] == name]
    if mine.empty:
        raise FormatError(f"no set of GWPs {name!r}{nearest(name, set(rows['edition']))}")
    return dict(zip(mine["gas"], mine["value"], strict=True))


def co2_equivalent(inventory: Any, gwp: str = "ar5") -> Any:
    """Return an inventory's rows with ``co2e`` (Mt CO2e) by a set of GWPs.

    Raises
    ------
    FormatError
        A gas that the set does not have.
    """
    values = gwp_set(gwp)
    lost = sorted({g for g in inventory["gas"] if g not in values})
    if lost:
        raise FormatError(f"the set {gwp} has no GWP of {lost[0]}; it has {', '.join(values)}")
    mass = [
        v * mass_factor(str(u)) * 1e-9 for v, u in zip(inventory["value"], inventory["unit"], strict=True)
    ]
    return inventory.assign(co2e=[m * values[g] for m, g in zip(mass, inventory["gas"], strict=True)])


def summary(inventory: Any, gwp: str = "ar5", language: Language = "en") -> Any:
    """Return categories by gases: masses in kt of each gas, and CO2e in kt, a block a region and period."""
    import pandas as pd

    rows = co2_equivalent(inventory, gwp)
    gases = [g for g in ("CO2", "CH4", "N2O", "SF6") if g in set(rows["gas"])]
    head = {"en": ("region", "period", "category", "name"), "zh": ("地区", "年份", "类别", "名称")}[language]
    out = []
    for (region, period, category), group in rows.groupby(["region", "period", "category"], sort=False):
        terms = str(group["terminology"].iloc[0])
        code = f"{category} ({terms})" if terms else category
        named = (
            named_region(region, language),
            period,
            code,
            category_name(category, terms or "IPCC2006", language),
        )
        line: dict[str, Any] = dict(zip(head, named, strict=True))
        mass = dict.fromkeys(gases, 0.0)
        for r in group.to_dict("records"):
            mass[r["gas"]] += r["value"] * mass_factor(str(r["unit"])) * 1e-6
        line |= {f"{g} (kt)": m for g, m in mass.items()}
        line[f"CO2e (kt, {gwp.upper()})"] = 1e3 * float(group["co2e"].sum())
        out.append(line)
    return pd.DataFrame(out)


def write_workbook(
    path: Path,
    inventory: Any,
    *,
    tables: Mapping[str, Any] | None = None,
    gwp: str = "ar5",
    language: Language = "en",
) -> Path:
    """Write a workbook of the summary, the inventory and further tables (trace, uncertainty), a sheet each.

    Parameters
    ----------
    path : Path
        xlsx, written whole or not at all.
    inventory : pandas.DataFrame
        Rows of the contract.
    tables : mapping of str to pandas.DataFrame, optional
        By name of the sheet.
    gwp : str
        Set of GWPs.
    language : {"en", "zh"}
        Of headings and names.
    """
    names = {
        "summary": "清单汇总",
        "inventory": "清单",
        "trace": "来源",
        "uncertainty": "不确定性",
        "reference": "参考法",
    }
    sheets = {"summary": summary(inventory, gwp, language), "inventory": inventory, **(tables or {})}
    made = [
        TableSheet(
            names.get(name, name) if language == "zh" else name,
            list(translated(frame.columns, language).values()),
            list(frame.itertuples(index=False, name=None)),
        )
        for name, frame in sheets.items()
    ]
    return write_sheets(path, made)
