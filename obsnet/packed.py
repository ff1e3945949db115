"""Numbers as CF and NUG files store them: packed, unsigned in a signed type, with fills and a range of what is valid.

CF-1.11, sections 2.5.1 and 8.1; the NetCDF Users Guide, Appendix A (``_Unsigned``, and which unit a valid range is
in). netCDF4 and xarray do this too, the one in the precision of the factor and without a word of what it hides, the
other without valid ranges; here all is done in double precision and what a range hides is counted.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from obsnet.errors import FormatError
from obsnet.typing import Bools, Floats

__all__ = ["StoredNumbers", "fill_mask", "is_packed", "numeric", "unpack", "unsigned"]

_KEYS = {"scale_factor", "add_offset", "_Unsigned", "valid_min", "valid_max", "valid_range"}


@dataclass(frozen=True)
class StoredNumbers:
    """Numbers that were stored.

    Parameters
    ----------
    values : ndarray of float64
        Unpacked; fills, and what is outside of the valid range, as NaN.
    outside : int
        How many are no fills and outside of the range that the file calls valid.
    said : str
        Which range, for people; empty where none is outside.
    """

    values: Floats
    outside: int
    said: str


def is_packed(attributes: Mapping[str, Any]) -> bool:
    """Tell whether numbers are more than what is stored: packed, unsigned in a signed type, or with a valid range."""
    return not _KEYS.isdisjoint(attributes)


def unsigned(stored: np.ndarray, attributes: Mapping[str, Any]) -> np.ndarray:
    """Return integers as the type that ``_Unsigned`` says they are of; classic netCDF has signed bytes only."""
    meant = {"true": "u", "false": "i"}.get(str(attributes.get("_Unsigned", "")).strip().lower())
    if meant is None or stored.dtype.kind not in "iu":
        return stored
    return stored.astype(stored.dtype.newbyteorder("="), copy=False).view(f"{meant}{stored.dtype.itemsize}")


def numeric(value: Any) -> list[float]:
    """Return the numbers of an attribute, none where it holds others: a fill such as ``'Missing'`` marks nothing."""
    found = []
    for one in np.ravel(np.asarray(value, dtype=object)):
        try:
            found.append(float(one))
        except (TypeError, ValueError):
            return []
    return found


def fill_mask(stored: np.ndarray, fills: Iterable[float]) -> Bools | None:
    """Return where a stored array holds a fill value, None where it nowhere does."""
    bad: Bools | None = None
    if stored.size == 0:
        return None
    for value in fills:
        if stored.dtype.kind == "f":
            wanted = stored.dtype.type(value)
        elif (
            np.isfinite(value)
            and value == int(value)
            and np.iinfo(stored.dtype).min <= value <= np.iinfo(stored.dtype).max
        ):
            wanted = stored.dtype.type(int(value))
        else:  # a fill that the type cannot hold (-1 of uint8) marks nothing
            continue
        found = stored == wanted
        if found.any():
            bad = found if bad is None else bad | found
    return bad


def unpack(stored: np.ndarray, attributes: Mapping[str, Any], fills: Iterable[float] = ()) -> StoredNumbers:
    """Return what stored numbers stand for.

    Parameters
    ----------
    stored : ndarray of numbers
        Any shape.
    attributes : mapping
        Of the variable: ``_FillValue``, ``missing_value``, ``scale_factor``, ``add_offset``, ``_Unsigned``,
        ``valid_min``, ``valid_max``, ``valid_range``.
    fills : iterable of float
        Further numbers, as stored, that mean "missing".

    Raises
    ------
    FormatError
        A factor or an offset that is no number, or a factor of 0.

    Examples
    --------
    >>> own = {"_Unsigned": "true", "scale_factor": 0.5, "valid_max": np.int8(-56)}
    >>> found = unpack(np.array([-1, 0, 5], "i1"), own)
    >>> found.values, found.outside
    (array([nan, 0. , 2.5]), 1)
    """
    numbers = unsigned(stored, attributes)
    declared = [v for k in ("_FillValue", "missing_value") for v in _stored_as(k, attributes, numbers)]
    bad = fill_mask(numbers, [*fills, *declared])
    values = numbers.astype(np.float64)
    factor, offset = (_one(k, attributes, usual) for k, usual in (("scale_factor", 1.0), ("add_offset", 0.0)))
    low, high, packed = _valid(attributes, numbers, factor != 1.0 or offset != 0.0)
    outside = (values < low) | (values > high) if packed else None
    if (factor, offset) != (1.0, 0.0):
        values *= factor
        values += offset
    if outside is None and np.isfinite([low, high]).any():
        outside = (values < low) | (values > high)
    count = 0
    if outside is not None:
        count = int((outside if bad is None else outside & ~bad).sum())
        bad = outside if bad is None else bad | outside
    if bad is not None:
        values[bad] = np.nan
    ends = sorted(v * factor + offset for v in (low, high)) if packed else (low, high)
    return StoredNumbers(values, count, _words(*ends) if count else "")


def _one(key: str, attributes: Mapping[str, Any], usual: float) -> float:
    """Return a factor or an offset."""
    if key not in attributes:
        return usual
    found = numeric(attributes[key])
    if len(found) != 1 or not np.isfinite(found[0]) or (key == "scale_factor" and found[0] == 0.0):
        raise FormatError(f"its {key} is {attributes[key]!r}, with which no number can be unpacked")
    return found[0]


def _stored_as(key: str, attributes: Mapping[str, Any], stored: np.ndarray) -> list[float]:
    """Return numbers of an attribute as the stored type has them: -1 of a byte that is meant unsigned is 255."""
    if key not in attributes:
        return []
    found = numeric(attributes[key])
    if "_Unsigned" not in attributes or stored.dtype.kind != "u":
        return found
    turn = 2.0 ** (8 * stored.dtype.itemsize)
    return [v + turn if v < 0.0 else v for v in found]


def _valid(attributes: Mapping[str, Any], stored: np.ndarray, scaled: bool) -> tuple[float, float, bool]:
    """Return the ends of the valid range, and whether they are of the packed numbers.

    They are, but for a range of floating point beside packed integers, which can only be meant of what they stand for.
    """
    low = (_stored_as("valid_min", attributes, stored) or [-np.inf])[0]
    high = (_stored_as("valid_max", attributes, stored) or [np.inf])[0]
    both = _stored_as("valid_range", attributes, stored)
    if len(both) == 2:
        low, high = both
    if not np.isfinite([low, high]).any():
        return -np.inf, np.inf, False
    of = [
        np.asarray(attributes[k]).dtype.kind
        for k in ("valid_min", "valid_max", "valid_range")
        if k in attributes
    ]
    floating = scaled and stored.dtype.kind in "iu" and "f" in of
    return low, high, scaled and not floating


def _words(low: float, high: float) -> str:
    if np.isinf(low):
        return f"at most {high:g}"
    return f"at least {low:g}" if np.isinf(high) else f"{low:g} to {high:g}"
