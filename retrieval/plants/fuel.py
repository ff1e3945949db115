"""What the plant's fuel says: the enterprise calculation, less what is captured, with its error."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

from obsnet.errors import ConfigError
from obsnet.inventory.factors.choose import FactorBook
from obsnet.inventory.factors.fuels import find_fuel
from obsnet.inventory.parts.enterprise import compute_enterprise, read_enterprise
from obsnet.inventory.words import find_region
from retrieval.plants.options import CardTable

__all__ = ["FuelAccount", "fuel_account"]


@dataclass(frozen=True, eq=False)
class FuelAccount:
    """CO2 that leaves the plant in a year, by its fuel.

    Parameters
    ----------
    total, error : float
        Mt, and standard error.
    lines : list of dict
        ``item, amount, unit, factor, factor_unit, tier, emission_t, sd, source``.
    notes : tuple of str
    """

    total: float
    error: float
    lines: list[dict[str, Any]]
    notes: tuple[str, ...]


def fuel_account(options: CardTable) -> FuelAccount:
    """Return fuel and process emissions of the plant, less CO2 captured: what a stack shows.

    Parameters
    ----------
    options : CardTable
        ``fuel``, ``region``, ``year``, errors and factors.

    Raises
    ------
    ConfigError
        A factor without a stated uncertainty and no `factor_sd`.

    Notes
    -----
    Relative errors of amount and factor add in squares on each line. The lines' amounts are taken as
    independent, what comes from one factor as common.
    """
    assert options.fuel is not None
    assert options.region is not None
    assert options.year is not None
    assert options.activity_sd is not None
    book = FactorBook(options.factors, options.editions, options.stand_in)
    found = compute_enterprise(read_enterprise(options.fuel), book, region=options.region, year=options.year)
    notes = list(found.notes)
    lines: list[dict[str, Any]] = []
    of_factor: dict[str, float] = {}
    of_amount = 0.0
    for row in found.trail.to_dict("records"):
        if row["kind"] not in {"fuel", "process"}:
            continue
        sd = _factor_sd(row, book, options, notes)
        emission = float(row["emission"])
        of_amount += (emission * options.activity_sd) ** 2
        key = f"{row['item']} {row['source']}"
        of_factor[key] = of_factor.get(key, 0.0) + emission * sd
        lines.append(
            {n: row[n] for n in ("item", "amount", "unit", "factor", "factor_unit", "tier", "source")}
            | {"emission_t": emission, "sd": float(math.hypot(options.activity_sd, sd))}
        )
    captured = float(found.trail.loc[found.trail["kind"] == "captured", "amount"].sum())
    if captured:
        notes.append(f"{captured:g} t CO2 captured do not leave by the stack and are taken off")
    total = sum(line["emission_t"] for line in lines) - captured
    error = math.sqrt(of_amount + sum(v**2 for v in of_factor.values()))
    return FuelAccount(total * 1e-6, error * 1e-6, lines, tuple(dict.fromkeys(notes)))


def _factor_sd(row: dict[str, Any], book: FactorBook, options: CardTable, notes: list[str]) -> float:
    """Return the relative standard error of a line's factor: as stated by whoever made it, else as given."""
    if row["tier"] == "default" and row["kind"] == "fuel":
        chosen = book.effective(find_fuel(row["item"]), options.year, find_region(str(options.region)))
        if math.isfinite(chosen.sd):
            if chosen.lent:
                notes.append(f"uncertainty of the factor of {row['item']} is that of {chosen.lent}")
            return chosen.sd
    if options.factor_sd is None:
        raise ConfigError(
            f"{options.fuel}: nobody states the uncertainty of the factor of {row['item']} "
            f"({row['tier']}); say it with --factor-sd"
        )
    notes.append(f"factor of {row['item']} ({row['tier']}): standard error {options.factor_sd:.1%} as given")
    return options.factor_sd
