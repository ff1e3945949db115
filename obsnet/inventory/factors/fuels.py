"""Fuels: one name for each, its class, its unit, and the physical band of its class."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

from obsnet.errors import FormatError, nearest
from obsnet.inventory.packaged import package_rows
from obsnet.inventory.words import plain

__all__ = ["Band", "Fuel", "bands", "find_fuel", "fuels"]


@dataclass(frozen=True)
class Fuel:
    """A fuel or other form of energy.

    Parameters
    ----------
    name, zh : str
        English key and Chinese name.
    kind : str
        Class: ``coal``, ``liquid``, ``natural gas`` … ; ``total`` for columns that add others up.
    unit : str
        Of activities: ``t``, ``1000 m3``; ``GJ``, ``MWh``, ``tce`` for what is not burnt as such.
    printed : str
        Unit of the yearbooks: ``1e4 t``, ``1e8 m3``, ``1e10 kJ``, ``1e8 kWh``, ``1e4 tce``.
    also : tuple of str
        Other spellings.
    """

    name: str
    zh: str
    kind: str
    unit: str
    printed: str
    also: tuple[str, ...]


@dataclass(frozen=True)
class Band:
    """What values a class of fuels can have at all; outside is a unit or a copying mistake.

    Parameters
    ----------
    ncv : tuple of float
        Net calorific value, GJ per t or per 1000 m3.
    carbon : tuple of float
        t C per TJ.
    note : str
        Where the limits are from.
    """

    ncv: tuple[float, float]
    carbon: tuple[float, float]
    note: str


@lru_cache(maxsize=1)
def fuels() -> dict[str, Fuel]:
    """Return all fuels by name."""
    found = {}
    for row in package_rows("fuels.csv"):
        also = tuple(w for w in row["also"].split(";") if w)
        found[row["fuel"]] = Fuel(row["fuel"], row["zh"], row["class"], row["unit"], row["printed"], also)
    return found


@lru_cache(maxsize=1)
def bands() -> dict[str, Band]:
    """Return the physical band of each class of fuels."""
    return {
        r["class"]: Band(
            (float(r["ncv_low"]), float(r["ncv_high"])),
            (float(r["carbon_low"]), float(r["carbon_high"])),
            r["note"],
        )
        for r in package_rows("bands.csv")
    }


@lru_cache(maxsize=1)
def _names() -> dict[str, str]:
    return {plain(n): f.name for f in fuels().values() for n in (f.name, f.zh, *f.also)}


def find_fuel(name: object) -> Fuel:
    """Return a fuel by name in either language, blanks and underscores aside.

    Raises
    ------
    FormatError
        There is none; the nearest are named.

    Examples
    --------
    >>> find_fuel("Raw_Coal").zh, find_fuel("其它洗煤").name
    ('原煤', 'other washed coal')
    """
    key = _names().get(plain(name))
    if key is None:
        known = [n for f in fuels().values() for n in (f.name, f.zh)]
        raise FormatError(f"no fuel is called {str(name).strip()!r}{nearest(str(name), known)}")
    return fuels()[key]
