"""CH4 and N2O of manure management at tier 1: heads x what they excrete x how the manure is kept.

IPCC 2019 Refinement V4: CH4 by Eq. 10.22 and 10.22A, ``N x VS x sum of shares x factor``; N2O of storage by Eq.
10.25, and of nitrogen that leaves it as a gas (10.26, 10.28) or by leaching (10.27, 10.29), with nitrogen excreted by
Eq. 10.30.
Dung on pastures and dung that is burnt give CH4 here; their N2O belongs to soils and to fuels.
"""

from __future__ import annotations

import math
from typing import Any

from obsnet.errors import FormatError, RangeError, nearest
from obsnet.inventory.factors.choose import FactorBook
from obsnet.inventory.factors.table import Factor
from obsnet.inventory.words import plain

__all__ = ["CLIMATES", "SYSTEMS", "manure_factors"]

# Climates of Table 10.14, and whether EF4 is that of a wet climate or a dry one.
CLIMATES = {
    "boreal, moist": "wet", "boreal, dry": "dry", "cool temperate, moist": "wet", "cool temperate, dry": "dry",
    "warm temperate, moist": "wet", "warm temperate, dry": "dry", "tropical, wet": "wet", "tropical, moist": "wet",
    "tropical, dry": "dry",
}  # fmt: skip
SYSTEMS = (
    "lagoon", "liquid slurry", "solid storage", "dry lot", "pasture", "daily spread", "digester", "burned",
    "pit, under a month", "pit, over a month",
)  # fmt: skip
_NO_N2O = {"pasture", "burned"}
_N2O_OF_N = 44.0 / 28.0
_DAYS = 365.0 / 1000.0  # of a rate per 1000 kg and day to a year and kg


def manure_factors(
    animal: str, book: FactorBook, *, climate: str, system: str = "", mass: float = math.nan, **how: Any
) -> list[tuple[str, str, float, list[Factor], str]]:
    """Return t of gas a head and year: CH4 and N2O of storage (3.A.2), N2O that arises elsewhere of it (3.C.6).

    Parameters
    ----------
    animal : str
        As the factors name it: ``market swine, high productivity``.
    book : FactorBook
        Factors in order.
    climate : str
        One of `CLIMATES`.
    system : str
        One of `SYSTEMS` for all the manure; by default the shares that the factors have for the region.
    mass : float
        Mean live mass, kg; by default the factors' own, which exists for some animals only.
    **how
        ``year, region`` of the factors.

    Returns
    -------
    list of (category, gas, factor, factors used, note)

    Raises
    ------
    FormatError
        A climate or system that is not known, an animal without a mass.
    RangeError
        A mass that no such animal has.
    """
    where = _one_of(climate, tuple(CLIMATES), "climate")
    heavy = f"mean mass {mass:g} kg of the user"
    used: list[Factor] = []
    if math.isnan(mass):
        found = book.find("animal mass", animal, **how)
        if found is None:
            raise FormatError(
                f"{animal}: no mean mass in the factors; state it in the column mass (kg a head)"
            )
        used, mass, heavy = [found], found.value, f"mean mass {found.value:g} kg"
    if not 10.0 <= mass <= 900.0:
        raise RangeError(f"{animal}: a mean mass of {mass:g} kg")
    if system:
        shares = {_one_of(system, SYSTEMS, "system of manure"): 1.0}
        kept = f"all in {next(iter(shares))}"
    else:
        mix = {s: book.find("manure share", f"{animal}, {s}", **how) for s in SYSTEMS}
        used += [f for f in mix.values() if f is not None]
        shares = {s: f.value for s, f in mix.items() if f is not None}
        kept = "shares of the factors: " + ", ".join(f"{s} {v:.0%}" for s, v in shares.items())
    note = f"{where}; {heavy}; {kept}"
    if "liquid slurry" in shares:
        note += "; slurry taken without a crust (N2O 0)"

    solids = book.need("volatile solids", animal, **how)
    methane = {s: book.need("manure methane", f"{animal}, {s}, {where}", **how) for s in shares}
    per_head = 1e-6 * mass * _DAYS * solids.value * sum(v * methane[s].value for s, v in shares.items())
    out = [("3.A.2", "CH4", per_head, [*used, solids, *methane.values()], note)]

    excreted = book.need("nitrogen excreted", animal, **how)
    stored = {s: v for s, v in shares.items() if s not in _NO_N2O}
    parts = {
        q: {s: book.need(q, s if q == "manure N2O" else f"{animal}, {s}", **how) for s in stored}
        for q in ("manure N2O", "manure volatilised", "manure leached")
    }
    deposited = book.need("indirect N2O", f"volatilised, {CLIMATES[where]} climate", **how)
    washed = book.need("indirect N2O", "leached", **how)
    nitrogen = 1e-3 * mass * _DAYS * excreted.value * _N2O_OF_N
    sums = {q: sum(v * found[s].value for s, v in stored.items()) for q, found in parts.items()}
    rows = {q: list(found.values()) for q, found in parts.items()}
    out.append(("3.A.2", "N2O", nitrogen * sums["manure N2O"], [*used, excreted, *rows["manure N2O"]], note))
    indirect = sums["manure volatilised"] * deposited.value + sums["manure leached"] * washed.value
    behind = [*used, excreted, *rows["manure volatilised"], deposited, *rows["manure leached"], washed]
    out.append(("3.C.6", "N2O", nitrogen * indirect, behind, note))
    return out


def _one_of(text: str, known: tuple[str, ...], what: str) -> str:
    """Return the known name that a text means, commas and blanks aside."""
    names = {plain(k).replace(",", ""): k for k in known}
    found = names.get(plain(text).replace(",", ""))
    if found is None:
        raise FormatError(f"no {what} {text!r}{nearest(text, known)}; there are: {'; '.join(known)}")
    return found
