"""Columns that cannot have the unit they state: each is held against the others of its table.

===============  =====================================================================================================
conservation     what a row of transformation puts out holds no more heat than what it takes in, and not next to none:
                 coke and its gas against the coal of coking, products of oil against crude, other gas against coke and
                 coal of the gas works, heat against the fuel of heating
beside power     heat of a class of fuels that is burnt, over the electricity that is used
totals           the printed totals of coal and oil against their fuels
absolute         more than any province burns
too fine         a column of gas or coke whose largest figure is below what the yearbooks print
===============  =====================================================================================================

Limits stand twice (rows) or ten times (classes) beyond the extremes of the 25 provinces of 2007, so that they see
powers of ten and no odd province; `scripts/calibrate_magnitude.py` counts what they find and how often they are wrong.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from obsnet.inventory.balance.heat import heat_in_printed_unit
from obsnet.inventory.balance.identities import TOTALS
from obsnet.inventory.balance.read import Balance
from obsnet.inventory.factors.fuels import find_fuel, fuels
from obsnet.inventory.notes import note

__all__ = ["magnitude_faults"]

Fault = tuple[str, str, float, float]

# Rows that belong together, and the least and largest heat put out over heat taken in.
_CONVERSION: dict[tuple[str, ...], tuple[float, float]] = {
    ("coking",): (0.4, 2.2),
    ("petroleum refineries",): (0.45, 2.3),
    ("coal washing",): (0.2, 2.4),
    ("gas works", "coke re-input"): (0.0, 3.1),
    ("heating supply",): (0.2, 2.0),
}
# Classes of fuels, and the largest heat of theirs over that of the electricity used.
_BESIDE_POWER: dict[tuple[str, ...], float] = {
    ("coal", "gangue"): 90.0,
    ("coke",): 21.0,
    ("coke oven gas",): 6.8,
    ("other gas", "blast furnace gas", "converter gas"): 6.7,
    ("coal liquid",): 1.7,
    ("liquid", "refinery gas", "petroleum coke"): 40.0,
    ("natural gas", "LNG"): 24.0,
}
# By class of fuel, in the printed unit (1e4 t, 1e8 m3): more than three times what any province burnt in 2007 and more
# than any burns today; a unit that is off by 1e4 is beyond it.
LARGEST = {
    "coal": 8e4, "gangue": 1e4, "coke": 2e4, "coke oven gas": 2e3, "blast furnace gas": 1e4, "converter gas": 2e3,
    "other gas": 1e4, "coal liquid": 5e3, "liquid": 1e4, "petroleum coke": 5e3, "refinery gas": 3e3,
    "natural gas": 1e3, "LNG": 3e3,
}  # fmt: skip
_FAR = 0.02  # of a printed total; in 25 tables of 2007 the largest gap is 0.3 %
_FINEST = 0.05  # 1e8 m3, 1e4 t; the smallest largest figure of such a column in 25 tables is 0.48
_LITTLE = 1.0  # 1e4 t of coal equivalent, nearly: below it rounding decides ratios


def magnitude_faults(balance: Balance) -> list[Fault]:
    """List what cannot be because a unit is off.

    Returns
    -------
    list of (cell, text, value, limit)
        A column may be named by several of the rules above; a rule that needs rows the table lacks says nothing.
    """
    rules = (_conversion, _beside_power, _absolute, _totals, _too_fine)
    return [fault for rule in rules for fault in rule(balance)]


def _burnt(balance: Balance, fuel: str) -> float:
    inputs = [min(balance.value(row, fuel), 0.0) for row in ("thermal power", "heating supply")]
    return balance.value("final consumption", fuel) - sum(inputs)


def _conversion(balance: Balance) -> Iterator[Fault]:
    columns = list(balance.table.columns)
    each = np.array([heat_in_printed_unit(f) for f in columns])
    for rows, (least, most) in _CONVERSION.items():
        there = [r for r in rows if r in balance.table.index]
        if rows[0] not in there:
            continue
        heat = balance.table.loc[there].to_numpy(float).sum(axis=0) * each
        taken, given = -heat[heat < 0].sum(), heat[heat > 0].sum()
        if taken < 29.3 * _LITTLE or (given > 0 and least <= given / taken <= most) or given == 0:
            continue
        first, second = (columns[int(k)] for k in (np.argmax(heat), np.argmin(heat)))
        text = note(
            "conversion",
            rows=" and ".join(there),
            times=f"{given / taken:.3g}",
            least=f"{2 * least:.2g}",
            most=f"{most / 2:.2g}",
            first=first,
            first_zh=find_fuel(first).zh,
            second=second,
            second_zh=find_fuel(second).zh,
        )
        yield balance.cells.get((rows[0], first), ""), text, given / taken, most


def _beside_power(balance: Balance) -> Iterator[Fault]:
    power = balance.value("final consumption", "electricity") * heat_in_printed_unit("electricity")
    if power <= 0.0:
        return
    for kinds, most in _BESIDE_POWER.items():
        heat = {
            f: heat_in_printed_unit(f) * _burnt(balance, f)
            for f in balance.table.columns
            if fuels()[f].kind in kinds
        }
        times = sum(heat.values()) / power
        if not times > most:
            continue
        first = max(heat, key=lambda f: heat[f])
        text = note(
            "beside power",
            fuel=first,
            zh=find_fuel(first).zh,
            kinds=", ".join(kinds),
            times=f"{times:.3g}",
            most=f"{most / 10:.2g}",
        )
        yield balance.cells.get(("final consumption", first), ""), text, times, most


def _absolute(balance: Balance) -> Iterator[Fault]:
    for fuel in balance.table.columns:
        most, burnt = LARGEST.get(fuels()[fuel].kind), _burnt(balance, fuel)
        if most is not None and abs(burnt) > most:
            text = note(
                "too much",
                fuel=fuel,
                zh=find_fuel(fuel).zh,
                burnt=f"{burnt:.6g}",
                unit=fuels()[fuel].printed,
                most=f"{most:g}",
            )
            yield balance.cells.get(("final consumption", fuel), ""), text, burnt, most


def _totals(balance: Balance) -> Iterator[Fault]:
    for column, *kinds in TOTALS.values():
        parts = [f for f in balance.table.columns if fuels()[f].kind in kinds]
        total = balance.value("final consumption", column)
        summed = sum(balance.value("final consumption", f) for f in parts)
        if parts and total > 1.0 and abs(summed - total) > _FAR * total:
            text = note(
                "sum of fuels",
                column=column,
                zh=find_fuel(column).zh,
                total=f"{total:.6g}",
                summed=f"{summed:.6g}",
                unit=fuels()[column].printed,
            )
            yield balance.cells.get(("final consumption", column), ""), text, summed, total


def _too_fine(balance: Balance) -> Iterator[Fault]:
    for fuel in balance.table.columns:
        largest = float(balance.table[fuel].abs().max())
        gas = fuels()[fuel].printed == "1e8 m3"
        if (gas or fuels()[fuel].kind == "coke") and 0.0 < largest < _FINEST:
            text = note(
                "too fine",
                fuel=fuel,
                zh=find_fuel(fuel).zh,
                largest=f"{largest:.3g}",
                unit=fuels()[fuel].printed,
                one="1e4 m3" if gas else "t",
                other="1e8 m3" if gas else "1e4 t",
            )
            yield balance.cells.get(("final consumption", fuel), ""), text, largest, _FINEST
