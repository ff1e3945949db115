"""Units at the door: one registry, checked conversion of plain numbers.

Inside, arrays are plain floats in the customary unit of their species; a unit string is read once, where
the file is opened. Mole fractions are treated as dimensionless, so ``ppm``, ``1e-6``, ``umol mol-1`` and
``micromol/mol`` are one unit.
"""

from __future__ import annotations

import re
from functools import lru_cache
from typing import Any

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
    "ppmv": "ppm",
    "ppbv": "ppb",
    "pptv": "ppt",
    "parts per million": "ppm",
    "parts per billion": "ppb",
    "parts per trillion": "ppt",
    "parts per million by volume": "ppm",
    "parts per billion by volume": "ppb",
    "parts per trillion by volume": "ppt",
    "none": "dimensionless",
    "mole fraction": "dimensionless",
    "Mole Mole^{-1}": "mol/mol",
    "Pascals": "Pa",
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
# All mole fractions here are of dry air; that a spelling says so changes nothing.
_DRY = re.compile(r"[\s_]*\(?\bdry(?:[\s_]air)?\b\)?$|_dry$", re.IGNORECASE)


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
def _parse(text: str) -> Any:
    """Return the pint unit of a CF, udunits or laboratory spelling.

    A leading number is read as Python reads numbers and never by pint, to which ``1.e-9`` is a product with the
    elementary charge; cf-xarray's registry, which is pint's, makes 1.4e169 of it and takes ``ppt`` for a pint.
    """
    plain = _known(_DRY.sub("", text.strip()).translate(_SUPERSCRIPT).strip())
    size = 1.0
    if power := _POWER_OF_TEN.match(plain):
        size, plain = float(f"1e{power[1] or power[2]}"), _known(plain[power.end() :].strip(" *"))
    elif number := _NUMBER.match(plain):
        size, plain = float(number[0].replace(" ", "")), _known(plain[number.end() :].strip(" *"))
    # "umol.mol-1", "umol mol-1", "m2 s" -> products and powers pint understands
    plain = re.sub(r"(?<=[A-Za-z0-9)])\.(?=[A-Za-z(])", " ", plain)
    plain = re.sub(
        r"\b(nano|micro|pico)mole?\b", lambda m: {"nano": "n", "micro": "u", "pico": "p"}[m[1]] + "mol", plain
    )
    plain = _EXPONENT.sub(r"**(\1)", plain)
    plain = re.sub(r"(?<=[\w)])\s+(?=[A-Za-z(])", " * ", plain)
    try:
        return size * _registry().Quantity(1.0, "dimensionless") * _registry().parse_expression(plain)
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
        return bool(_parse(unit).dimensionless)
    except UnitError:
        return False
