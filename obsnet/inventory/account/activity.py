"""What was burnt, by whom: rows of activity from an energy balance, each with its file and cell.

Boundary of the sectoral approach (Shan et al. 2018, doi:10.1038/sdata.2017.201): final consumption less non-energy
use, plus what thermal power and heating take in. Coal washing, coking, refining and gas works are left out, since
their products are counted where they are burnt; electricity and heat are counted where their fuel is.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Literal

from obsnet.errors import ConfigError
from obsnet.inventory.balance.identities import negative_activity
from obsnet.inventory.balance.read import Balance
from obsnet.inventory.factors.fuels import find_fuel, fuels

__all__ = ["NOT_BURNT", "PRINTED_TO_BASE", "Negative", "SteelGases", "burnt_fuels", "combustion_activity"]

Negative = Literal["ask", "keep", "zero"]
SteelGases = Literal["ask", "count", "exclude"]
NOT_BURNT = {"total", "heat", "electricity", "other"}
_STEEL = ("blast furnace gas", "converter gas")
PRINTED_TO_BASE = {"1e4 t": 1e4, "1e8 m3": 1e5}  # to t and 1000 m3
# Row of the balance, category of IPCC 2006, sign of its cells.
_ROWS = (
    ("thermal power", "1.A.1.a.i", -1.0),
    ("heating supply", "1.A.1.a.iii", -1.0),
    ("industry", "1.A.2.m", 1.0),  # all industry but construction, which is 1.A.2.k: 1.A.2 would hold both
    ("construction", "1.A.2.k", 1.0),
    ("transport", "1.A.3", 1.0),
    ("trade", "1.A.4.a", 1.0),
    ("other uses", "1.A.4.a", 1.0),
    ("residential", "1.A.4.b", 1.0),
    ("farming", "1.A.4.c", 1.0),
)
_USES = tuple(row for row, _, sign in _ROWS if sign > 0)


def burnt_fuels(balance: Balance, exclude: Iterable[str] = (), steel_gases: SteelGases = "ask") -> list[str]:
    """Return the fuels of a balance that are counted, without those left out.

    Raises
    ------
    ConfigError
        Gases of blast furnaces and converters hold carbon of coke that is counted where coke is used; a table that
        lists them apart leaves two readings, and the user says which.
    """
    left_out = {find_fuel(f).name for f in exclude}
    steel = [
        f
        for f in _STEEL
        if f in balance.table.columns and balance.table[f].abs().max() > 0 and f not in left_out
    ]
    if steel and steel_gases == "ask":
        raise ConfigError(
            f"{balance.source}: {' and '.join(steel)} hold carbon of the coke that went into the furnace, "
            f"which is counted with "
            "coke: say --steel-gases exclude (the carbon once) or --steel-gases count (as CEADs counts other gas)"
        )
    if steel_gases == "exclude":
        left_out |= set(_STEEL)
    return [f for f in balance.table.columns if fuels()[f].kind not in NOT_BURNT and f not in left_out]


def combustion_activity(balance: Balance, counted: Iterable[str], negative: Negative = "ask") -> Any:
    """Return the activity rows of fuel combustion.

    Parameters
    ----------
    balance : Balance
        One province and year.
    counted : iterable of str
        Fuels, see `burnt_fuels`.
    negative : {"ask", "keep", "zero"}
        Where non-energy use exceeds what it is taken from: refuse and list, sum as it is, or set to 0.

    Returns
    -------
    pandas.DataFrame
        Columns ``region, period, category, item, activity, unit, row, cell, file, note``; activity in t or 1000 m3.
        Final consumption beyond its seven uses stands as 1.A.5, so that the rows add up to the boundary exactly.

    Raises
    ------
    ConfigError
        Negative activity under ``ask``; rows of the boundary missing.
    """
    import pandas as pd

    names = list(counted)
    missing = [r for r in ("final consumption",) if r not in balance.table.index]
    if missing:
        raise ConfigError(
            f"{balance.source}: no row of final consumption (终端消费量), nothing can be compiled"
        )
    odd = negative_activity(balance)
    odd = odd[odd["fuel"].isin(names)]
    if len(odd) and negative == "ask":
        listed = "; ".join(
            f"{r['fuel']} ({find_fuel(r['fuel']).zh}): final {r['final']:g}, non-energy {r['non_energy']:g} "
            f"{r['unit']} ({r['cell']})"
            for r in odd.to_dict("records")
        )
        raise ConfigError(
            f"{balance.source}: non-energy use exceeds use, combustion would be negative: {listed}; say "
            f"--negative keep (sum as "
            "it stands) or --negative zero"
        )
    out: list[dict[str, Any]] = []
    columns = ["region", "period", "category", "item", "activity", "unit", "row", "cell", "file", "note"]

    def add(category: str, fuel: str, amount: float, row: str, cell: str, note: str = "") -> None:
        if amount < 0 and negative == "zero":
            note, amount = f"{amount:g} {fuels()[fuel].printed} set to 0", 0.0
        if amount == 0.0 and not note:
            return
        base = amount * PRINTED_TO_BASE[fuels()[fuel].printed]
        line = (
            balance.region,
            str(balance.year),
            category,
            fuel,
            base,
            fuels()[fuel].unit,
            row,
            cell,
            balance.source,
            note,
        )
        out.append(dict(zip(columns, line, strict=True)))

    for fuel in names:
        uses = [r for r in _USES if r in balance.table.index]
        for row, category, sign in _ROWS:
            amount = sign * balance.value(row, fuel)
            cell = balance.cells.get((row, fuel), "")
            if sign < 0:
                add(category, fuel, max(amount, 0.0), row, cell)
            elif row == "industry":
                feed = balance.value("non-energy use", fuel)
                feed_cell = balance.cells.get(("non-energy use", fuel), "")
                add(
                    category,
                    fuel,
                    amount - feed,
                    "industry less non-energy use",
                    f"{cell}-{feed_cell}" if feed else cell,
                )
            else:
                add(category, fuel, amount, row, cell)
        rest = balance.value("final consumption", fuel) - sum(balance.value(r, fuel) for r in uses)
        if abs(rest) > 1e-9:
            cell = balance.cells.get(("final consumption", fuel), "")
            add(
                "1.A.5",
                fuel,
                rest,
                "final consumption less its uses",
                cell,
                "final consumption is not the sum of its uses",
            )
    return pd.DataFrame(out, columns=columns)
