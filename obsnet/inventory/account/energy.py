"""CO2 of fuel combustion: sectoral approach, and the reference approach beside it."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from obsnet.errors import ConfigError, FormatError, RangeError
from obsnet.inventory.account.activity import PRINTED_TO_BASE, burnt_fuels, combustion_activity
from obsnet.inventory.balance.magnitude import magnitude_faults
from obsnet.inventory.balance.read import Balance
from obsnet.inventory.balance.sums import identity_sides
from obsnet.inventory.factors.choose import ChosenFactor, FactorBook
from obsnet.inventory.factors.fuels import find_fuel, fuels

__all__ = ["chosen_factors", "combustion", "reference_approach"]


def chosen_factors(balance: Balance, names: Iterable[str], book: FactorBook) -> dict[str, ChosenFactor]:
    """Return the factor of each fuel; all that are missing are named at once.

    Raises
    ------
    ConfigError
        Fuels without a factor, with how to go on.
    """
    found: dict[str, ChosenFactor] = {}
    missing: list[str] = []
    for fuel in names:
        try:
            found[fuel] = book.effective(fuel, balance.year, balance.region)
        except FormatError as fault:
            used = float(balance.table[fuel].abs().max())
            if used > 0.0:
                missing.append(f"{fuel} ({find_fuel(fuel).zh})")
            elif book.own:
                raise fault from None
    if missing:
        left = ",".join(m.partition(" (")[0] for m in missing)
        raise ConfigError(
            f"{balance.source}: no CO2 factor of {', '.join(missing)} in {', '.join(book.order)}; give them "
            f"with --factors, leave "
            f"them out with --exclude '{left}', or say which fuel stands for them with --stand-in 'FUEL=FUEL'"
        )
    return found


def combustion(
    balance: Balance,
    book: FactorBook,
    *,
    exclude: Iterable[str] = (),
    negative: Any = "ask",
    steel_gases: Any = "ask",
    magnitude: Any = "ask",
) -> tuple[Any, dict[str, ChosenFactor]]:
    """Return the CO2 of fuel combustion of a province, a row an activity.

    Parameters
    ----------
    balance : Balance
        One province and year.
    book : FactorBook
        Factors in order.
    exclude : iterable of str
        Fuels left out, such as other petroleum products.
    negative, steel_gases : str
        See `obsnet.inventory.account.activity`.
    magnitude : {"ask", "keep"}
        Where amounts cannot be right, see `obsnet.inventory.balance.magnitude`: refuse, or take them as they stand.

    Returns
    -------
    rows : pandas.DataFrame
        Activity rows with ``gas, factor, factor_unit, factor_key, factor_source, emission`` (t CO2).
    factors : dict
        By fuel.

    Raises
    ------
    ConfigError
        See `burnt_fuels`, `chosen_factors`.
    RangeError
        A column that cannot have the unit it states.
    """
    faults = magnitude_faults(balance) if magnitude == "ask" else []
    if faults:
        cell, text, _, _ = faults[0]
        more = f" ({len(faults)} such findings; obsnet inventory check lists them)" if len(faults) > 1 else ""
        raise RangeError(
            f"{balance.source}: cell {cell}: {text}{more}; --magnitude keep takes it as it stands"
        )
    names = burnt_fuels(balance, exclude, steel_gases)
    factors = chosen_factors(balance, names, book)
    rows = combustion_activity(balance, [f for f in names if f in factors], negative)
    rows["gas"] = "CO2"
    rows["factor"] = [factors[f].value for f in rows["item"]]
    rows["factor_unit"] = [factors[f].unit for f in rows["item"]]
    rows["factor_sd"] = [factors[f].sd for f in rows["item"]]
    rows["factor_key"] = [factors[f].key for f in rows["item"]]
    rows["factor_source"] = [factors[f].source for f in rows["item"]]
    rows["emission"] = rows["activity"] * rows["factor"]
    return rows, factors


def reference_approach(balance: Balance, factors: dict[str, ChosenFactor], sectoral: float) -> Any:
    """Return apparent consumption times factors, by fuel, beside the sectoral approach.

    Parameters
    ----------
    balance : Balance
        One province and year.
    factors : dict
        From `combustion`: the same factors, so that the difference is of activity alone.
    sectoral : float
        t CO2 of the sectoral approach.

    Returns
    -------
    pandas.DataFrame
        Columns ``fuel, supply, supply_rows, non_energy, emission, emission_rows`` (t CO2 by the printed supply and
        by the sum of its nine rows; the yearbooks' rows do not add up); ``attrs``: totals and their ratio to the
        sectoral approach.

    Notes
    -----
    The supply row counts production of primary fuels only, so products of transformation (coke, gasoline) enter by
    their trade with other provinces and their stock alone, as the reference approach wants. Carbon stored in
    non-energy use is taken off whole.
    """
    import pandas as pd

    out = []
    for fuel, factor in factors.items():
        base = PRINTED_TO_BASE[fuels()[fuel].printed]
        supply, feed = balance.value("supply", fuel), balance.value("non-energy use", fuel)
        sides = identity_sides(balance.table[[fuel]], "supply")
        by_rows = float(sides[1][0]) if sides is not None else supply
        emission = (supply - feed) * base * factor.value
        out.append((fuel, supply, by_rows, feed, emission, (by_rows - feed) * base * factor.value))
    columns = ["fuel", "supply", "supply_rows", "non_energy", "emission", "emission_rows"]
    frame = pd.DataFrame(out, columns=columns)
    total, rows = float(frame["emission"].sum()), float(frame["emission_rows"].sum())
    frame.attrs = {
        "reference": total,
        "reference_by_rows": rows,
        "sectoral": sectoral,
        "difference": total / sectoral - 1.0 if sectoral else float("nan"),
        "difference_by_rows": rows / sectoral - 1.0 if sectoral else float("nan"),
    }
    return frame
