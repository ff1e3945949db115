"""Amounts that no province burns, and columns that are far from their printed total: a unit is off."""

from __future__ import annotations

from obsnet.inventory.balance.identities import TOTALS
from obsnet.inventory.balance.read import Balance
from obsnet.inventory.factors.fuels import find_fuel, fuels

__all__ = ["magnitude_faults"]

# By class of fuel, in the printed unit (1e4 t, 1e8 m3): more than three times what any province burnt in 2007 and more
# than any burns today; a unit that is off by 1e4 is beyond it.
LARGEST = {
    "coal": 8e4, "gangue": 1e4, "coke": 2e4, "coke oven gas": 2e3, "blast furnace gas": 1e4, "converter gas": 2e3,
    "other gas": 1e4, "coal liquid": 5e3, "liquid": 1e4, "petroleum coke": 5e3, "refinery gas": 3e3,
    "natural gas": 1e3, "LNG": 3e3,
}  # fmt: skip
_FAR = 0.1  # of a printed total; in 25 tables of 2007 the largest gap is 0.3 %


def magnitude_faults(balance: Balance) -> list[tuple[str, str, float, float]]:
    """List what cannot be because a unit is off.

    Returns
    -------
    list of (cell, text, value, largest)
        Fuels burnt beyond `LARGEST`; totals of coal and petroleum in final consumption that are more than a tenth
        from the sum of their fuels.
    """
    out = []
    for fuel in balance.table.columns:
        most = LARGEST.get(fuels()[fuel].kind)
        burnt = balance.value("final consumption", fuel)
        burnt -= min(balance.value("thermal power", fuel), 0.0) + min(
            balance.value("heating supply", fuel), 0.0
        )
        if most is not None and abs(burnt) > most:
            cell = balance.cells.get(("final consumption", fuel), "")
            text = (
                f"{fuel} ({find_fuel(fuel).zh}): {burnt:.6g} {fuels()[fuel].printed} burnt, no province burns "
                f"{most:g}: is the unit of the column off (1e4 t against t)?"
            )
            out.append((cell, text, burnt, most))
    for column, *kinds in TOTALS.values():
        parts = [f for f in balance.table.columns if fuels()[f].kind in kinds]
        total = balance.value("final consumption", column)
        summed = sum(balance.value("final consumption", f) for f in parts)
        if parts and total > 1.0 and abs(summed - total) > _FAR * total:
            cell = balance.cells.get(("final consumption", column), "")
            text = (
                f"final consumption of {column} ({find_fuel(column).zh}) is {total:.6g} and the sum of its fuels "
                f"{summed:.6g} {fuels()[column].printed}: the unit of a column is off, or a column is missing"
            )
            out.append((cell, text, summed, total))
    return out
