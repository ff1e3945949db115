"""What an energy balance should add up to, each gap listed, nothing repaired; negative activity; coverage.

Identities (transformation inputs negative, as printed):

==================  ====================================================================================
supply              supply = production + recovery + moving in + import + refuelling abroad + sending out
                    + export + refuelling here + stock change (outflows are printed negative)
difference          statistical difference = supply + transformation - loss - final consumption
final               final consumption = its seven uses
residential         residential = urban + rural
transformation      transformation = its rows, the coke (and oil) put in again being an input
total               total consumption = final consumption + loss + what transformation takes in
coal, petroleum     the total columns = their fuels, in every row
==================  ====================================================================================
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np

from obsnet.inventory.balance.labels import ROWS
from obsnet.inventory.balance.read import Balance
from obsnet.inventory.balance.sums import identity_sides
from obsnet.inventory.factors.fuels import fuels

__all__ = [
    "IDENTITIES",
    "NEEDED_ROWS",
    "TOLERANCE",
    "TOTALS",
    "check_balance",
    "coverage",
    "negative_activity",
    "sign_faults",
]

TOLERANCE = 0.05  # of the printed unit
_ROUNDING = 1e-9  # binary fractions of printed decimals
IDENTITIES = ("supply", "difference", "final", "residential", "transformation", "total", "coal", "petroleum")
TOTALS = {
    "coal": ("coal total", "coal"),
    "petroleum": ("petroleum total", "liquid", "refinery gas", "petroleum coke"),
}
# What an inventory of combustion needs of a balance; `coverage` counts it.
NEEDED_ROWS = ("final consumption", "non-energy use", "thermal power", "heating supply")


def check_balance(balance: Balance, tolerance: float = TOLERANCE) -> Any:
    """List every identity that does not hold.

    Parameters
    ----------
    balance : Balance
        From `obsnet.inventory.balance.read.read_balance`.
    tolerance : float
        Gap above which an identity counts as broken, in the printed unit.

    Returns
    -------
    pandas.DataFrame
        Columns ``identity, row, fuel, stated, expected, gap, unit, cell``; columns of totals (coal, petroleum) are
        checked by their own identities alone. ``attrs["checked"]`` counts the cells of each identity that could be
        checked.
    """
    import pandas as pd

    found: list[dict[str, Any]] = []
    checked: dict[str, int] = {}
    table = balance.table
    single = [f for f in table.columns if fuels()[f].kind != "total"]
    for name in IDENTITIES[:6]:
        sides = identity_sides(table[single], name)
        if sides is None:
            continue
        row, expected = sides
        checked[name] = len(single)
        found += _gaps(
            balance, name, row, table.loc[row, single].to_numpy(float), expected, single, tolerance
        )
    for name, (column, *kinds) in TOTALS.items():
        parts = [f for f in single if fuels()[f].kind in kinds]
        if column not in table.columns or not parts:
            continue
        checked[name] = len(table)
        expected = table[parts].to_numpy(float).sum(axis=1)
        for i, row in enumerate(table.index):
            stated = np.array([table.at[row, column]])
            found += _gaps(balance, name, str(row), stated, expected[i : i + 1], [column], tolerance)
    frame = pd.DataFrame(
        found, columns=["identity", "row", "fuel", "stated", "expected", "gap", "unit", "cell"]
    )
    frame.attrs = {"checked": checked}
    return frame


def _gaps(
    balance: Balance, name: str, row: str, stated: Any, expected: Any, columns: list[str], tolerance: float
) -> list[dict[str, Any]]:
    gap = stated - expected
    return [
        {
            "identity": name,
            "row": row,
            "fuel": columns[k],
            "stated": float(stated[k]),
            "expected": float(expected[k]),
            "gap": float(gap[k]),
            "unit": fuels()[columns[k]].printed,
            "cell": balance.cells.get((row, columns[k]), ""),
        }
        for k in np.flatnonzero(np.abs(gap) > tolerance + _ROUNDING)
    ]


def negative_activity(balance: Balance) -> Any:
    """List fuels whose non-energy use exceeds what it is taken from, so that combustion would be negative.

    Returns
    -------
    pandas.DataFrame
        Columns ``fuel, final, non_energy, activity, unit, cell``: activity = final use - non-energy use + inputs to
        power and heat; one row where final use of industry or of all is smaller than its non-energy use, or activity
        is below 0.
    """
    import pandas as pd

    out = []
    for fuel in balance.table.columns:
        if fuels()[fuel].kind == "total":
            continue
        final, feed = balance.value("final consumption", fuel), balance.value("non-energy use", fuel)
        burnt = -min(balance.value("thermal power", fuel), 0.0) - min(
            balance.value("heating supply", fuel), 0.0
        )
        industry = balance.value("industry", fuel) if "industry" in balance.table.index else final
        if (
            feed > final + _ROUNDING
            or feed > industry + _ROUNDING
            or final - feed + burnt < -_ROUNDING
            or final < 0.0
        ):
            cell = balance.cells.get(("non-energy use", fuel), "")
            out.append((fuel, final, feed, final - feed + burnt, fuels()[fuel].printed, cell))
    return pd.DataFrame(out, columns=["fuel", "final", "non_energy", "activity", "unit", "cell"])


def sign_faults(balance: Balance) -> Any:
    """List cells with a sign their row cannot have: exports above 0, consumption below 0.

    Returns
    -------
    pandas.DataFrame
        Columns ``row, fuel, value, expected, cell``.
    """
    import pandas as pd

    out = []
    for row in balance.table.index:
        sign = ROWS[row].sign
        for fuel in balance.table.columns if sign in {"+", "-"} else ():
            value = balance.value(row, fuel)
            made = row in {"thermal power", "heating supply"} and fuels()[fuel].kind in {
                "heat",
                "electricity",
            }
            if (sign == "+" and value < 0.0) or (sign == "-" and value > 0.0 and not made):
                out.append((row, fuel, value, f"{sign} or 0", balance.cells.get((row, fuel), "")))
    return pd.DataFrame(out, columns=["row", "fuel", "value", "expected", "cell"])


def coverage(balance: Balance, wanted: Iterable[str]) -> dict[str, Any]:
    """Say how much of what an inventory of combustion needs a partial balance has.

    Parameters
    ----------
    balance : Balance
        Any layout.
    wanted : iterable of str
        Fuels that there are factors for.

    Returns
    -------
    dict
        ``score`` (share of the needed rows times share of the fuels), ``rows_missing``, ``fuels_missing``,
        ``identities`` (those that can be checked).
    """
    names = list(dict.fromkeys(wanted))
    rows = [r for r in NEEDED_ROWS if r in balance.table.index]
    have = [f for f in names if f in balance.table.columns]
    checked = check_balance(balance).attrs["checked"]
    return {
        "score": len(rows) / len(NEEDED_ROWS) * (len(have) / len(names) if names else 0.0),
        "rows_missing": [r for r in NEEDED_ROWS if r not in rows],
        "fuels_missing": [f for f in names if f not in have],
        "identities": list(checked),
    }
