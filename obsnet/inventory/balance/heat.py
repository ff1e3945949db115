"""What a unit of each fuel gives in heat, roughly: enough to see units off by powers of ten, not to compute with."""

from __future__ import annotations

from typing import Any

from obsnet.inventory.factors.fuels import fuels

__all__ = ["heat_in_printed_unit"]

# GJ a t or 1000 m3: China Energy Statistical Yearbook 2008 appendix 4, else the defaults of GB/T 32151.
_BY_FUEL = {
    "raw coal": 20.9, "cleaned coal": 26.3, "other washed coal": 8.4, "briquettes": 17.5, "coke": 28.4,
    "coke oven gas": 17.4, "blast furnace gas": 3.3, "converter gas": 8.4, "other gas": 5.2, "petroleum coke": 32.5,
    "LPG": 50.2, "refinery gas": 46.1, "natural gas": 38.9, "LNG": 51.5,
}  # fmt: skip
_BY_KIND = {"coal": 20.9, "gangue": 8.4, "coal liquid": 37.0, "liquid": 42.0}
# 1e4 GJ a printed unit, over GJ a base unit.
_PRINTED = {"1e4 t": 1.0, "1e8 m3": 10.0, "1e10 kJ": 1.0, "1e8 kWh": 36.0}
_CARRIERS = {"heat": 1.0, "electricity": 1.0}


def heat_in_printed_unit(fuel: str) -> float:
    """Return the heat of a fuel, 1e4 GJ a printed unit (1e4 t, 1e8 m3, 1e10 kJ, 1e8 kWh); 0 where it has none.

    Totals and what is counted in coal equivalent have none.

    Examples
    --------
    >>> heat_in_printed_unit("coke"), heat_in_printed_unit("natural gas"), heat_in_printed_unit("coal total")
    (28.4, 389.0, 0.0)
    """
    entry = fuels()[fuel]
    each: Any = _BY_FUEL.get(fuel, _BY_KIND.get(entry.kind, _CARRIERS.get(entry.kind, 0.0)))
    return float(each) * _PRINTED.get(entry.printed, 0.0)
