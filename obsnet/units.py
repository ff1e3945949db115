"""Units at the door: one registry, checked conversion of plain numbers.

Inside, arrays are plain floats in the customary unit of their species; a unit string is read once, where
the file is opened. Mole fractions are treated as dimensionless, so ``ppm``, ``1e-6``, ``umol mol-1`` and
``micromol/mol`` are one unit.

What is usual here is multiplied out of a short table; pint, whose registry takes longer to build than a small file to
read, is asked for the rest.
"""

from __future__ import annotations

import re
from fractions import Fraction
from functools import lru_cache
from typing import Any, NamedTuple

import numpy as np

from obsnet.errors import UnitError

__all__ = ["conversion_factor", "convert", "is_mole_fraction"]

# Spellings found in real files that no unit parser reads.
_SPELLINGS = {
    "": "dimensionless",
    "1": "dimensionless",
    "ppm": "ppm",
    "ppb": "ppb",
    "ppt": "ppt",
    "parts per million": "ppm",
    "parts per billion": "ppb",
    "parts per trillion": "ppt",
    "none": "dimensionless",
    "mole fraction": "dimensionless",
    "Mole Mole^{-1}": "mol/mol",
    "Pascals": "Pa",
    "hpa": "hPa",
    "mb": "mbar",
    "Meters": "m",
    "Percent": "percent",
    "ppm (umol-1 m2 s)": "ppm / (umol m-2 s-1)",
    "ppm m2 s umol-1": "ppm / (umol m-2 s-1)",
    "ppm per (umol m-2 s-1)": "ppm / (umol m-2 s-1)",
    "ppm (umol m-2 s-1)-1": "ppm / (umol m-2 s-1)",
    "ppm (micromol m-2 s-1)-1": "ppm / (umol m-2 s-1)",
    "(mol/mol)/(mol/m2/s)": "(mol/mol) / (mol m-2 s-1)",
}
_SUPERSCRIPT = str.maketrans("⁻⁰¹²³⁴⁵⁶⁷⁸⁹µμ·", "-0123456789uu ")
_EXPONENT = re.compile(r"(?<=[A-Za-z])\^?(-?\d+)(?![\d.eE])")
_NUMBER = re.compile(r"^[+-]?(?:\d+\.?\d*|\.\d+)\s?(?:[eE][+-]?\d+)?(?![\w.])")
_POWER_OF_TEN = re.compile(r"^10(?:\^|\*\*)?\(?(-\d+)\)?(?![\w.])|^[eE](-\d+)$")
# By volume is by moles, as for an ideal gas: "ppb(v)", "ppm v", "parts per million by volume". "V" alone is a volt.
_VOLUME = re.compile(
    r"^(pp[mbt]|parts[ _-]per[ _-][mbt]r?illion)[ _-]*"
    r"(?:\(v(?:ol(?:ume)?)?\)|(?:by[ _-])?v(?:ol(?:ume)?)?)\.?(?![a-z])",
    re.IGNORECASE,
)
# All mole fractions here are of dry air; that a spelling says so changes nothing.
_DRY = re.compile(r"[\s_]*\(?\bdry(?:[\s_]air)?\b\)?$|_dry$", re.IGNORECASE)


# Sizes in base units, by dimension; spelt as pint spells them.
_SIZES: dict[str, dict[str, str]] = {
    "": {
        "dimensionless": "1",
        "percent": "1e-2",
        "ppth": "1e-3",
        "ppm": "1e-6",
        "ppb": "1e-9",
        "ppt": "1e-12",
    },
    "mol": {
        "mol": "1",
        "mole": "1",
        "moles": "1",
        "kmol": "1e3",
        "mmol": "1e-3",
        "umol": "1e-6",
        "nmol": "1e-9",
        "pmol": "1e-12",
    },
    "kg": {
        "kg": "1",
        "kilogram": "1",
        "g": "1e-3",
        "gram": "1e-3",
        "mg": "1e-6",
        "ug": "1e-9",
        "t": "1e3",
        "Mt": "1e9",
        "Gt": "1e12",
        "Mg": "1e3",
        "Gg": "1e6",
        "Tg": "1e9",
        "Pg": "1e12",
    },
    "m": {
        "m": "1",
        "meter": "1",
        "meters": "1",
        "metres": "1",
        "kilometers": "1e3",
        "metre": "1",
        "km": "1e3",
        "cm": "1e-2",
        "mm": "1e-3",
        "um": "1e-6",
        "nm": "1e-9",
    },
    "s": {
        "s": "1",
        "second": "1",
        "seconds": "1",
        "ms": "1e-3",
        "min": "60",
        "minute": "60",
        "minutes": "60",
        "h": "3600",
        "hr": "3600",
        "hour": "3600",
        "hours": "3600",
        "d": "86400",
        "day": "86400",
        "days": "86400",
        "year": "31557600",
        "yr": "31557600",
        "month": "2629800",
    },
    "K": {"K": "1", "kelvin": "1"},
    "kg m-1 s-2": {
        "Pa": "1",
        "pascal": "1",
        "hectopascal": "1e2",
        "hPa": "1e2",
        "kPa": "1e3",
        "mbar": "1e2",
        "millibar": "1e2",
        "bar": "1e5",
    },
}
_BASES = ("mol", "kg", "m", "s", "K")
_TOKEN = re.compile(r"\s*(?:([A-Za-z]+)|\*\*(?:\((-?\d)\)|(-?\d)(?!\d))|([*/()]))")


class _Unit(NamedTuple):
    """A size in base units and the exponents of `_BASES`."""

    size: Fraction
    powers: tuple[int, ...]

    @property
    def dimensionless(self) -> bool:
        return not any(self.powers)

    def times(self, other: _Unit, power: int) -> _Unit:
        """Return the product with a power of another unit."""
        powers = tuple(a + power * b for a, b in zip(self.powers, other.powers, strict=True))
        return _Unit(self.size * other.size**power, powers)


def _powers(dimension: str) -> tuple[int, ...]:
    """Return exponents of a product of bases such as ``kg m-1 s-2``."""
    found = dict(re.findall(r"([A-Za-z]+)(-?\d*)", dimension))
    return tuple(int(found[b] or 1) if b in found else 0 for b in _BASES)


_ONE = _Unit(Fraction(1), (0,) * len(_BASES))
_USUAL = {
    name: _Unit(Fraction(size), _powers(dimension))
    for dimension, sizes in _SIZES.items()
    for name, size in sizes.items()
}


def _usual(text: str) -> _Unit | None:
    """Return the unit of products, quotients, integer powers and brackets of usual units; None for anything else."""
    before: list[tuple[_Unit, int]] = []  # each open bracket: what stands before it, and whether it divides
    unit, sign = _ONE, 1
    last: _Unit | None = None  # factor that a power would be of, where one stands there
    place = 0
    while place < len(text):
        token = _TOKEN.match(text, place)
        if token is None:
            return None
        place, name, mark, power = token.end(), token[1], token[4], token[2] or token[3]
        opens = mark == "("
        if (name is not None or opens) != (last is None):
            return None  # two neighbours of which nothing says what they do to each other, or a sign without a factor
        if opens:
            before.append((unit, sign))
            unit, sign = _ONE, 1
        elif name is not None:
            if name not in _USUAL:
                return None
            last = _USUAL[name]
            unit = unit.times(last, sign)
        elif power is not None and last is not None:
            if text[place:].lstrip().startswith("**"):
                return None
            unit = unit.times(last, sign * (int(power) - 1))
        elif mark == ")":
            if not before:
                return None
            (outer, sign), last = before.pop(), unit
            unit = outer.times(last, sign)
        else:
            sign, last = (1 if mark == "*" else -1), None
    return None if before or last is None else unit


@lru_cache(maxsize=1)
def _registry() -> Any:
    import pint

    registry: Any = pint.UnitRegistry(cache_folder=None)
    for line in ("ppb = 1e-9", "ppt = 1e-12", "ppth = 1e-3"):
        registry.define(line)
    if "ppm" not in registry:
        registry.define("ppm = 1e-6")
    return registry


@lru_cache(maxsize=256)
def _spelt(text: str) -> tuple[str, str]:
    """Return a number and a product of units of a CF, udunits or laboratory spelling.

    A leading number is read as Python reads numbers and never by pint, to which ``1.e-9`` is a product with the
    elementary charge; cf-xarray's registry, which is pint's, makes 1.4e169 of it and takes ``ppt`` for a pint.
    """
    plain = _DRY.sub("", text.strip()).translate(_SUPERSCRIPT).strip()
    plain = _known(_VOLUME.sub(r"\1", plain))
    if (one := _said_twice(plain)) is not None:
        return _spelt(one)
    size = "1"
    if power := _POWER_OF_TEN.match(plain):
        size, plain = f"1e{power[1] or power[2]}", _known(plain[power.end() :].strip(" *"))
    elif number := _NUMBER.match(plain):
        size, plain = number[0].replace(" ", ""), _known(plain[number.end() :].strip(" *"))
    # "umol.mol-1", "umol mol-1", "m2 s" -> products and powers pint understands
    plain = re.sub(r"(?<=[A-Za-z0-9)])\.(?=[A-Za-z(])", " ", plain)
    plain = re.sub(r"(?<=[\w)])\s+per\s+", "/", plain)
    plain = re.sub(
        r"\b(nano|micro|pico)mole?\b", lambda m: {"nano": "n", "micro": "u", "pico": "p"}[m[1]] + "mol", plain
    )
    plain = _EXPONENT.sub(r"**(\1)", plain)
    return size, re.sub(r"(?<=[\w)])\s+(?=[A-Za-z(])", " * ", plain)


def _said_twice(plain: str) -> str | None:
    """Return ``ppt`` of ``ppt (pmol/mol)``, which is one unit said twice and no product; None of other texts.

    Raises
    ------
    UnitError
        The two differ.
    """
    match = re.fullmatch(r"([^()]+?)\s*\(([^()]+)\)", plain)
    if match is None:
        return None
    units = {part: _multiplied(part) for part in match.groups()}
    if any(u is None or not u.dimensionless for u in units.values()):
        return None
    sized = [
        part for part, u in units.items() if u is not None and u.size != 1
    ]  # not "mol/mol", "mole fraction"
    if len({units[part] for part in sized}) > 1:
        raise UnitError(f"unit {plain!r} names two units, which differ")
    return [*sized, match[1]][0]


@lru_cache(maxsize=256)
def _multiplied(text: str) -> _Unit | None:
    """Return a unit that the table makes up, or None."""
    size, product = _spelt(text)
    unit = _usual(product)
    return None if unit is None else unit._replace(size=unit.size * Fraction(size))


@lru_cache(maxsize=256)
def _parse(text: str) -> Any:
    """Return the pint unit of a spelling."""
    size, product = _spelt(text)
    try:
        return (
            float(size) * _registry().Quantity(1.0, "dimensionless") * _registry().parse_expression(product)
        )
    except Exception as error:
        raise UnitError(f"unit {text!r} is not known") from error


def _known(plain: str) -> str:
    """Return what stands for a spelling that no unit parser reads."""
    return _SPELLINGS.get(plain) or _SPELLINGS.get(re.sub("[_-]", " ", plain).lower()) or plain


def conversion_factor(unit: str, to: str) -> float:
    """Return the number that turns values in `unit` into values in `to`.

    Parameters
    ----------
    unit, to : str
        CF or laboratory spellings: ``"1e-6"``, ``"ppm"``, ``"micromol mol-1"``, ``"nmol.mol-¹"``, ``"hPa"``,
        ``"ppm (umol-1 m2 s)"``.

    Returns
    -------
    float
        Multiplicative factor.

    Raises
    ------
    UnitError
        A unit is unknown, has an offset (degrees Celsius), or the two are of different dimension.

    Examples
    --------
    >>> conversion_factor("mol mol-1", "ppm")
    1000000.0
    """
    own, wanted = _multiplied(unit), _multiplied(to)
    if own is not None and wanted is not None and own.powers == wanted.powers and wanted.size:
        return float(f"{float(own.size / wanted.size):.15g}")
    source, target = _parse(unit), _parse(to)
    if source.dimensionality != target.dimensionality:
        raise UnitError(f"unit {unit!r} cannot be turned into {to!r}: their dimensions differ")
    try:
        factor = float((source / target).to_base_units().magnitude)
    except Exception as error:
        raise UnitError(f"unit {unit!r} cannot be turned into {to!r} by a factor alone") from error
    return float(f"{factor:.15g}")


def convert(values: Any, unit: str, to: str) -> Any:
    """Convert plain numbers from `unit` to `to`; the input is returned unchanged when nothing changes.

    Parameters
    ----------
    values : float or ndarray
        Any shape, in `unit`.
    unit, to : str
        See `conversion_factor`.

    Returns
    -------
    float or ndarray
        The same shape in `to`; float64 where a factor was applied.
    """
    factor = conversion_factor(unit, to)
    return values if factor == 1.0 else np.asarray(values, dtype=np.float64) * factor


def is_mole_fraction(unit: str) -> bool:
    """Tell whether a unit is dimensionless (``ppm``, ``nmol mol-1``); False where it cannot be read."""
    try:
        if (known := _multiplied(unit)) is not None:
            return known.dimensionless
        return bool(_parse(unit).dimensionless)
    except UnitError:
        return False
