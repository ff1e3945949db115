"""What a granule says of itself against what its sensor table takes it for: flags, axes, its day, its errors.

A file of another release, or one that somebody made again, has the names of the table and other meanings. Where its
attributes or its numbers show that, it is refused; where its name does, it is said; what none of them shows nobody
can know.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from obsnet.typing import Floats

__all__ = [
    "LEAST_ERROR",
    "axis_fault",
    "day_doubt",
    "error_doubt",
    "error_fault",
    "flag_doubt",
    "flag_fault",
    "scatter",
    "swapped",
]

_PAIR = re.compile(r"(?<![\w.])(-?\d+)\s*[=:]\s*([A-Za-z_]+)")
_TEXTS = ("comment", "short_description", "long_name", "description")
_GOOD = re.compile(r"good|valid|ok|usable|accept|best", re.IGNORECASE)
_BAD = re.compile(r"bad|poor|invalid|unusable|reject|fail|potentially|not_|do_not", re.IGNORECASE)
_AXES = {"latitude": r"(°|deg\w*?)[ _]?e(ast)?", "longitude": r"(°|deg\w*?)[ _]?n(orth)?"}
_DAYS = np.timedelta64(2, "D")  # an orbit goes on after midnight
_ENOUGH = 100  # soundings, from which a scatter is known to a tenth
# Of real granules (ACOS, GOSAT proxy) the good scatter 0.3 to 0.5 times as much as the rejected and state 0.5 to 0.94
# of their errors
_TURNED = {"scatter": 1.3, "uncertainty": 1.02}
_FAR = 8.0  # good soundings scatter 1 (ACOS) to 5.7 (TROPOMI) times what they state
LEAST_ERROR = 5e-5  # of the value; single soundings of the best instruments state 4e-4


def flag_fault(attributes: Mapping[str, Any], good: Collection[str]) -> str:
    """Say that a flag's attributes call another value good than the sensor table does.

    Parameters
    ----------
    attributes : mapping
        Of the flag: ``flag_values`` with ``flag_meanings``, or a text such as ``"0=Good, 1=Bad"``.
    good : collection of str
        Values that the table calls good.

    Returns
    -------
    str
        Empty where they agree or say nothing.
    """
    words = [pair for key in _TEXTS for pair in _PAIR.findall(str(attributes.get(key, "")))]
    if "flag_values" in attributes and "flag_meanings" in attributes:
        values = attributes["flag_values"]
        numbers = re.findall(
            r"-?\d+", values if isinstance(values, str) else " ".join(map(str, np.ravel(values)))
        )
        words += zip(numbers, str(attributes["flag_meanings"]).split(), strict=False)
    for number, word in words:
        if (_GOOD.match(word) and number not in good) or (_BAD.match(word) and number in good):
            table = ", ".join(sorted(good))
            return f"its own attributes call {number} {word!r}, while good is {table} by the sensor table"
    return ""


def axis_fault(role: str, attributes: Mapping[str, Any]) -> str:
    """Say that a latitude or longitude calls itself the other of the two, or is counted in radians; else empty."""
    unit, name = (str(attributes.get(k, "")).strip().lower() for k in ("units", "standard_name"))
    if re.match(r"rad", unit):
        return f"is in {unit!r}, not in degrees"
    if re.fullmatch(_AXES[role], unit) or name in set(_AXES) - {role}:
        return f"calls itself {name or unit!r}: are latitude and longitude exchanged?"
    return ""


def swapped(latitude: Floats, longitude: Floats) -> str:
    """Say that numbers show latitudes and longitudes to be exchanged: only the former go beyond a pole; else empty."""
    beyond = np.abs(latitude) > 90.0
    beyond &= np.abs(latitude) <= 360.0  # and no fill
    if 100 * beyond.sum() <= len(latitude) or not (np.abs(longitude[beyond]) <= 90.0).all():
        return ""
    return f"{int(beyond.sum())} latitudes lie beyond a pole and their longitudes within 90: are the two exchanged?"


def day_doubt(pattern: str, name: str, time: npt.NDArray[np.datetime64]) -> str:
    """Say that a file's times are not of the day in its name; empty where they are, or it names none.

    Parameters
    ----------
    pattern : str
        Of the sensor table; its group is the day as YYMMDD or YYYYMMDD.
    name : str
        The file's.
    time : ndarray of datetime64
        Of its soundings.
    """
    match, known = re.search(pattern, name), time[~np.isnat(time)]
    if match is None or not len(known):
        return ""
    text = match[1] if len(match[1]) == 8 else f"20{match[1]}"
    try:
        day = np.datetime64(f"{text[:4]}-{text[4:6]}-{text[6:]}", "D")
    except ValueError:
        return ""
    if known.min() <= day + _DAYS and known.max() >= day - np.timedelta64(1, "D"):
        return ""
    span = " to ".join(str(t.astype("datetime64[m]")) for t in (known.min(), known.max()))
    return f"times run from {span}, while the file's name says {day}: is their unit right?"


def error_fault(value: Floats, error: Floats) -> tuple[str, npt.NDArray[np.bool_]]:
    """Say that most uncertainties are too small to be in the unit of their values, and which are.

    Returns
    -------
    str
        Empty where it is not most of them.
    ndarray of bool
        Rows whose uncertainty is above 0 and below `LEAST_ERROR` of the value.
    """
    with np.errstate(invalid="ignore"):
        known = (error > 0.0) & np.isfinite(value)
        small = known & (error < LEAST_ERROR * np.abs(value))
    if not small.any() or 2 * small.sum() <= known.sum():
        return "", small
    share = float(np.median(error[small] / np.abs(value[small])))
    fits = [k for k in (3, 6, 9) if 2e-4 <= share * 10.0**k <= 0.2]
    hint = f"; times 1e{fits[0]:+d} they would fit: is their unit right?" if fits else ""
    return f"uncertainties are {share:.2g} of the values (median), which no single sounding has{hint}", small


def scatter(value: Floats, latitude: Floats) -> float:
    """Return the standard deviation of values about the median of their band of ten degrees, by absolute deviations."""
    _, band = np.unique(np.floor(latitude / 10.0), return_inverse=True)
    middle = np.array([np.median(value[band == b]) for b in range(band.max() + 1)])
    off = value - middle[band]
    return 1.4826 * float(np.median(np.abs(off)))


def flag_doubt(good: npt.NDArray[np.bool_], value: Floats, error: Floats, latitude: Floats) -> str:
    """Say that the good soundings of a granule look like the rejected ones of others; empty where they do not.

    A flag without words (0 and 1) can only be told by what it keeps: rejected soundings scatter more and have larger
    errors. Both must be so, of a hundred soundings each.
    """
    with np.errstate(invalid="ignore"):
        usable = np.isfinite(value) & (error > 0.0) & np.isfinite(latitude)
    kept, left = usable & good, usable & ~good
    if min(kept.sum(), left.sum()) < _ENOUGH:
        return ""
    spread = [scatter(value[m], latitude[m]) for m in (kept, left)]
    stated = [float(np.median(error[m])) for m in (kept, left)]
    if spread[0] <= _TURNED["scatter"] * spread[1] or stated[0] <= _TURNED["uncertainty"] * stated[1]:
        return ""
    return (
        f"{int(kept.sum())} good soundings scatter {spread[0] / spread[1]:.2g} times as much as the {int(left.sum())} "
        f"rejected ones and state {stated[0] / stated[1]:.3g} times their uncertainty: "
        "is the flag's meaning turned round?"
    )


def error_doubt(good: npt.NDArray[np.bool_], value: Floats, error: Floats, latitude: Floats) -> str:
    """Say that uncertainties are far from what the good soundings of a granule scatter by; empty where they are not."""
    with np.errstate(invalid="ignore"):
        kept = good & np.isfinite(value) & (error > 0.0) & np.isfinite(latitude)
    if kept.sum() < _ENOUGH:
        return ""
    ratio = scatter(value[kept], latitude[kept]) / float(np.median(error[kept]))
    if 1.0 / _FAR <= ratio <= _FAR:
        return ""
    percent = ratio * 100.0 / float(np.median(value[kept]))
    hint = ", or are they per cent of the value" if 0.1 <= percent <= _FAR else ""
    return (
        f"good soundings scatter {ratio:.2g} times what they state as uncertainty: is its unit right{hint}?"
    )
