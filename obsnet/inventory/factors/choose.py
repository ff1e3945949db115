"""Which factor a calculation takes: editions in an order that the result prints.

An effective factor (t CO2 a t or 1000 m3) comes from the first edition of the order that states it, or that states
carbon or CO2 per energy; its calorific value and oxidation come from that edition, else from the next in order that
has them. Every part that was used is a row with a key, so that a number can be traced to its page.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from obsnet.errors import FormatError, nearest
from obsnet.inventory.factors.fuels import Fuel, find_fuel
from obsnet.inventory.factors.table import CARBON_TO_CO2, Factor, builtin_factors, factor_of, read_factors
from obsnet.inventory.notes import note

__all__ = ["DEFAULT_ORDER", "ChosenFactor", "FactorBook"]

# For a province of China: what reproduces CEADs, then the defaults for enterprises, then the world's.
DEFAULT_ORDER = ("ceads2007-implied", "gbt32151", "ipcc2006", "ipcc2019", "yearbook2008")


@dataclass(frozen=True)
class ChosenFactor:
    """A factor as a calculation uses it, and the rows it was made of.

    Parameters
    ----------
    value : float
        In `unit`.
    unit : str
        ``t CO2/t``, ``t CO2/1000 m3``, or the unit of the row.
    sd : float
        Relative; NaN where nobody states one.
    parts : tuple of Factor
        One row, or calorific value, carbon and oxidation.
    notes : tuple of str
        What was chosen on the way: a stand-in, a part from another edition.
    lent : str
        Keys of the rows whose uncertainty was borrowed, where the own rows state none.
    """

    value: float
    unit: str
    sd: float
    parts: tuple[Factor, ...]
    notes: tuple[str, ...] = ()
    lent: str = ""

    @property
    def key(self) -> str:
        """Keys of the rows."""
        return " x ".join(p.key for p in self.parts)

    @property
    def source(self) -> str:
        """Sources and pages of the rows."""
        return "; ".join(dict.fromkeys(f"{p.source}, {p.page}".strip(", ") for p in self.parts))


class FactorBook:
    """Factors in an order of precedence.

    Parameters
    ----------
    own : sequence of path
        Tables of the user, each an edition or more; they go first, in the order given.
    editions : sequence of str
        Editions of the package in order; those not named are not used.
    stand_in : mapping of str to str
        Fuel to the fuel whose factors stand for it, such as raw coal to bituminous coal, where an edition lists only
        the latter.

    Raises
    ------
    FormatError
        An edition that does not exist.

    Examples
    --------
    >>> FactorBook().effective("diesel", 2007).value
    3.0938
    """

    def __init__(
        self,
        own: Sequence[Any] = (),
        editions: Sequence[str] = DEFAULT_ORDER,
        stand_in: Mapping[str, str] | None = None,
    ) -> None:
        import pandas as pd

        tables = [read_factors(path) for path in own]
        package = builtin_factors()
        first = list(dict.fromkeys(e for t in tables for e in t["edition"]))
        known = sorted({*package["edition"], *first})
        for edition in editions:
            if edition not in known:
                raise FormatError(f"no edition {edition!r} of factors{nearest(edition, known)}")
        self.own = tuple(first)
        self.order = (*first, *(e for e in editions if e not in first))
        self.notes = tuple(n for t in tables for n in t.attrs.get("notes", ()))
        self.stand_in = {find_fuel(k).name: find_fuel(v).name for k, v in (stand_in or {}).items()}
        frame = pd.concat([*tables, package[~package["edition"].isin(first)]], ignore_index=True)
        self.frame = frame
        self._ipcc = {
            (r["quantity"], r["item"]): factor_of(r)
            for r in package[package["edition"] == "ipcc2006"].to_dict("records")
        }
        self._rows: dict[tuple[str, str, str], list[Factor]] = {}
        for row in frame[frame["edition"].isin(self.order)].to_dict("records"):
            self._rows.setdefault((row["edition"], row["quantity"], row["item"]), []).append(factor_of(row))

    def describe(self) -> str:
        """Return the order as a result prints it."""
        return note("order", order=" > ".join(self.order))

    def find(
        self, quantity: str, item: str, *, year: int | str | None, region: str = "", unit: str = "", gas: str = "",
        editions: Sequence[str] | None = None,
    ) -> Factor | None:  # fmt: skip
        """Return the first factor in order: own region, China, world; the nearest year first."""
        for edition in editions or self.order:
            rows = [
                r for r in self._rows.get((edition, quantity, item), ())
                if (not unit or r.unit == unit) and (not gas or not r.gas or r.gas.upper() == gas.upper())
                and r.region in {region, "China", "Asia", "world", "any"}
            ]  # fmt: skip
            if rows:
                return min(rows, key=lambda r: (_region_rank(r.region, region), _years_apart(r.year, year)))
        return None

    def need(self, quantity: str, item: str, **how: Any) -> Factor:
        """Return `find`'s factor.

        Raises
        ------
        FormatError
            No edition has it; says which do and which items there are.
        """
        found = self.find(quantity, item, **how)
        if found is None:
            items = sorted({k[2] for k in self._rows if k[1] == quantity})
            elsewhere = sorted(
                set(
                    self.frame[(self.frame["quantity"] == quantity) & (self.frame["item"] == item)]["edition"]
                )
            )
            hint = f"; it is in {', '.join(elsewhere)}" if elsewhere else nearest(item, items)
            raise FormatError(
                f"no factor {quantity!r} of {item!r} in {', '.join(self.order)}{hint}; give your own with --factors"
            )
        return found

    def effective(self, fuel: str | Fuel, year: int | str | None, region: str = "") -> ChosenFactor:
        """Return t CO2 a t or 1000 m3 of a fuel.

        Parameters
        ----------
        fuel : str or Fuel
            Name in either language.
        year : int, optional
            Of the activity; rows of the nearest year are taken.
        region : str
            Adcode; a region's own rows go before China's.

        Raises
        ------
        FormatError
            No edition in the order has it.
        """
        entry = find_fuel(fuel) if isinstance(fuel, str) else fuel
        taken = self._effective(entry.name, entry.unit, year, region)
        notes: tuple[str, ...] = ()
        if taken is None and entry.name in self.stand_in:
            other = self.stand_in[entry.name]
            taken = self._effective(other, entry.unit, year, region)
            notes = (note("stand in", fuel=entry.name, other=other),)
        if taken is None:
            have = sorted({k[2] for k in self._rows if k[1] in {"effective", "carbon", "co2 per energy"}})
            raise FormatError(
                f"no CO2 factor of {entry.name} ({entry.zh}) in {', '.join(self.order)}; give your own with "
                f"--factors, or let "
                f"another fuel stand for it (--stand-in '{entry.name}=bituminous coal'); there are {', '.join(have)}"
            )
        value, parts, mixed = taken
        sd, borrowed = self._uncertainty(entry, parts)
        unit = f"t CO2/{entry.unit}"
        return ChosenFactor(value, unit, sd, parts, (*notes, *mixed), borrowed)

    def _effective(
        self, name: str, unit: str, year: int | str | None, region: str
    ) -> tuple[float, tuple[Factor, ...], tuple[str, ...]] | None:
        how: dict[str, Any] = {"year": year, "region": region}
        # A part that the user gives must count, so a whole factor of an edition behind it may not pass it by.
        parts_given = [
            q for q in ("ncv", "carbon", "co2 per energy", "oxidation") if self._own_has(q, name, how)
        ]
        for edition in self.order:
            if edition in self.own or not parts_given:
                whole = self.find("effective", name, unit=f"t CO2/{unit}", editions=[edition], **how)
                if whole is not None:
                    return whole.value, (whole,), ()
            made = self._product(name, unit, edition, how)
            if made is not None:
                return made
        if parts_given:
            raise FormatError(
                f"{', '.join(self.own)} gives {', '.join(parts_given)} of {name}, but no edition in order "
                f"gives the other parts "
                f"of its factor in t CO2/{unit}; give them too"
            )
        return None

    def _own_has(self, quantity: str, name: str, how: dict[str, Any]) -> bool:
        return bool(self.own) and self.find(quantity, name, editions=self.own, **how) is not None

    def _product(
        self, name: str, unit: str, edition: str, how: dict[str, Any]
    ) -> tuple[float, tuple[Factor, ...], tuple[str, ...]] | None:
        """Return calorific value x carbon x oxidation x 44/12 with the carbon of an edition, own parts before all."""
        nearer = list(dict.fromkeys([*self.own, edition, *self.order]))
        here = [*self.own, edition]
        energy = self.find("co2 per energy", name, editions=[edition], **how)
        carbon = self.find("carbon", name, editions=here, **how)
        if carbon is not None and (carbon.edition in self.own or energy is None):
            per_energy, heat = 1e3 * CARBON_TO_CO2 * carbon.value, carbon
        elif energy is not None:
            per_energy, heat = energy.value, energy
        else:
            return None
        calorific = self.find("ncv", name, unit=f"GJ/{unit}", editions=nearer, **how)
        oxidation = self.find("oxidation", name, editions=here, **how) or self.find(
            "oxidation", "any fuel", editions=here, **how
        )
        oxidation = oxidation or self.find("oxidation", name, editions=nearer, **how)
        if calorific is None or oxidation is None:
            return None
        parts = (calorific, heat, oxidation)
        mixed = tuple(
            note("mixed", quantity=p.quantity, fuel=name, edition=p.edition, rest=edition)
            for p in parts
            if p.edition != edition
        )
        return 1e-6 * calorific.value * per_energy * oxidation.value, parts, mixed

    def _uncertainty(self, fuel: Fuel, parts: Sequence[Factor]) -> tuple[float, str]:
        """Return the relative sd of a product of parts; where nobody states one, that of IPCC 2006's rows, said so."""
        stated = [p.sd for p in parts if math.isfinite(p.sd)]
        telling = [p for p in parts if p.quantity != "oxidation"]
        if stated and all(math.isfinite(p.sd) for p in telling):
            return math.sqrt(sum(s * s for s in stated)), ""
        names = [fuel.name, self.stand_in.get(fuel.name, fuel.name)]
        names += ["bituminous coal"] if fuel.kind == "coal" else []
        lent = []
        for quantity in ("ncv", "co2 per energy"):
            row = next((self._ipcc[quantity, n] for n in names if (quantity, n) in self._ipcc), None)
            if row is not None and math.isfinite(row.sd):
                lent.append(row)
        if not lent:
            return math.nan, ""
        keys = ", ".join(f.key for f in lent)
        return math.sqrt(sum(f.sd**2 for f in lent)), keys


def _region_rank(found: str, wanted: str) -> int:
    return [wanted, "any", "China", "Asia", "world"].index(found) if found else 9


def _years_apart(found: str, wanted: int | str | None) -> float:
    try:
        return abs(float(found) - float(wanted or found))
    except ValueError:
        return 0.0
