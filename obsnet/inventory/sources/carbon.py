"""Totals of CO2 that look like carbon: 12/44 of what CEADs lets expect."""

from __future__ import annotations

from typing import Any

import numpy as np

from obsnet.constants import MOLAR_MASS_CARBON, SPECIES
from obsnet.inventory.notes import note
from obsnet.inventory.table import builtin, mass_factor
from obsnet.inventory.words import province_or_own

__all__ = ["beside_ceads", "carbon_in_co2", "said_of_carbon"]

_CARBON = MOLAR_MASS_CARBON / SPECIES["CO2"].molar_mass


def beside_ceads(frame: Any) -> Any:
    """Return the CO2 totals of provinces with ``mt``, ``usual`` (CEADs of 2019, Mt) and ``times``, their ratio."""
    usual = builtin("ceads-2019").set_index("region")["value"].astype(float)
    total = frame[(frame["category"] == "total") & (frame["gas"] == "CO2")]
    total = total.assign(region=[province_or_own(r) for r in total["region"]])
    total = total[total["region"].isin(usual.index)].reset_index(drop=True)
    kg = [v * mass_factor(str(u)) for v, u in zip(total["value"], total["unit"], strict=True)]
    total = total.assign(mt=np.array(kg, dtype=np.float64) * 1e-9)
    total["usual"] = total["region"].map(usual).astype(float)
    return total.assign(times=total["mt"] / total["usual"])


def carbon_in_co2(total: Any) -> Any:
    """Return rows of `beside_ceads` near 12/44 of CEADs, in years near its own, or of the other provinces."""
    out: list[Any] = []
    years = total["period"].astype(str).str[:4]
    for year, group in total[total["times"] > 0]["times"].groupby(years):
        for i, own in group.items():
            usual = [1.0] if "2010" <= year <= "2025" else []
            usual += [group.drop(i).median()] if len(group) > 4 else []
            if any(abs(own / u / _CARBON - 1.0) < 0.1 for u in usual):
                out.append(i)
    return total.loc[out]


def said_of_carbon(frame: Any) -> list[str]:
    """Ask in one line about the totals of an inventory that look like carbon; nothing where none does."""
    found = carbon_in_co2(beside_ceads(frame))
    if found.empty:
        return []
    first = found.iloc[0]
    place = f"{first['region']} {first['period']}"
    return [note("totals as carbon", n=len(found), place=place, value=f"{first['mt']:.4g}")]
