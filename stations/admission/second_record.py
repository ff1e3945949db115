"""A second record of a station's air: whose pairs prove something, and what is a copy of the station's own."""

from __future__ import annotations

import numpy as np
import xarray as xr

from obsnet.sphere import great_circle_km
from stations.admission.base import Applicant
from stations.record.series import nearest_times

__all__ = ["SAME_PLACE_KM", "apart_km", "around", "copied", "pairs", "shows_shifts"]

SAME_PLACE_KM = 10.0  # two intakes on a hill, or flasks at the fence, are no farther apart
# Of the value: 0.04 ppm of CO2, 0.2 ppb of CH4. What is rounded to more hides what two good analysers differ by.
_COARSE = 1e-4
_STEPS = 2  # intervals before and after, of which a running mean or a shift may take
_ENOUGH = 50  # pairs; six numbers go through fewer by chance


def apart_km(one: xr.Dataset, other: xr.Dataset) -> float:
    """Return how far apart two records lie, km; 0 where one does not say where it is."""
    places = []
    for record in (one, other):
        place = [record[n].values[np.isfinite(record[n].values)] for n in ("latitude", "longitude")]
        if not all(p.size for p in place):
            return 0.0
        places.append([float(np.median(p)) for p in place])
    return float(great_circle_km(*places[0], *places[1]))


def pairs(
    record: xr.Dataset, second: xr.Dataset, tolerance_minutes: float
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return the station's values, the second record's of the same times, and the times.

    A mean of the second record over more than two of the station's intervals is held against the station's mean over
    the same time, where half of that has values; any other value against the nearest in time.
    """
    theirs, mine = (
        np.flatnonzero(Applicant("", second).valid()),
        np.flatnonzero(Applicant("", record).valid()),
    )
    value, time = record["value"].values[mine], record["time"].values[mine]
    reference, when = (second[n].values[theirs] for n in ("value", "time"))
    own = _interval(record)
    start, end = (second[n].values[theirs] for n in ("time_start", "time_end"))
    length = np.median(end - start) if theirs.size else own
    if own > np.timedelta64(0, "s") and length > 2 * own:
        low, high = np.searchsorted(time, start), np.searchsorted(time, end)
        total = np.concatenate([[0.0], np.cumsum(value - value.mean() if value.size else value)])
        number = high - low
        paired = number > 0.5 * ((end - start) / own)
        mean = (total[high] - total[low])[paired] / number[paired] + (value.mean() if value.size else 0.0)
        return mean, reference[paired], when[paired]
    place = nearest_times(when, time, tolerance_minutes)
    paired = place >= 0
    return value[place[paired]], reference[paired], when[paired]


def around(record: xr.Dataset, when: np.ndarray, tolerance_minutes: float) -> np.ndarray:
    """Return the station's values from two intervals before to two after each time, shape (times, 5); NaN for none."""
    mine = np.flatnonzero(Applicant("", record).valid())
    value, time = record["value"].values[mine], record["time"].values[mine]
    own = _interval(record)
    found = np.full((when.size, 2 * _STEPS + 1), np.nan)
    if own > np.timedelta64(0, "s"):
        for k in range(-_STEPS, _STEPS + 1):
            place = nearest_times(when + k * own, time, min(tolerance_minutes, own / np.timedelta64(2, "m")))
            found[:, k + _STEPS] = np.where(place >= 0, value[place], np.nan)
    return found


def shows_shifts(near: np.ndarray) -> bool:
    """Tell whether enough pairs have the station's values around them that a shift in time would show."""
    return int(_whole(near).sum()) >= _ENOUGH


def copied(value: np.ndarray, reference: np.ndarray, near: np.ndarray | None = None) -> int:
    """Return how many pairs are equal where one record is made of the other; else 0.

    Made of it: the same in more than half of the pairs, or moved by an offset and a factor, or rounded in 95 % of them;
    also shifted in time or a running mean, where `near` has the station's values around each pair (see `around`).
    Noise that somebody added to a copy looks as that of a second analyser: nobody can tell them apart.
    Two good analysers are often equal where both records have only 0.1 ppm of CO2 or 1 ppb of CH4 (more than `_COARSE`
    of the value): there more than 95 % must be. Analysers that agree to a small part of what rounding takes away would
    pass for copies.
    """
    decimals = next((d for d in range(3) if _rounded(reference, d)), None)
    rounding = 0.0 if decimals is None else 10.0**-decimals
    coarse = (
        decimals is not None and rounding > _COARSE * np.median(np.abs(value)) and _rounded(value, decimals)
    )
    candidates = [(value, reference), (_line_through(value[:, None], reference), reference)]
    if near is not None and shows_shifts(near):
        whole = _whole(near)
        candidates.append((_line_through(near[whole], reference[whole]), reference[whole]))
    for moved, theirs in candidates:
        off = np.abs(moved - theirs)
        for size, share in (
            (1e-6 * np.abs(theirs), 0.95 if coarse else 0.5),
            (0.5001 * rounding + 1e-6 * np.abs(theirs), 0.95),
        ):
            equal = int((off <= size).sum())
            if equal > share * off.size:
                return equal
    return 0


def _interval(record: xr.Dataset) -> np.timedelta64:
    """Return the length of a record's intervals; 0 where it has none."""
    return np.timedelta64(round(1e9 * float(record.attrs.get("interval_seconds") or 0.0)), "ns")


def _whole(near: np.ndarray) -> np.ndarray:
    """Return which pairs have all values around them."""
    return np.asarray(np.isfinite(near).all(axis=1))


def _rounded(values: np.ndarray, decimals: int) -> bool:
    """Tell whether numbers (that may have been single precision) have no more decimals than so many."""
    scaled = values * 10.0**decimals
    return bool((np.abs(scaled - np.round(scaled)) < 0.01).all())


def _line_through(values: np.ndarray, reference: np.ndarray) -> np.ndarray:
    """Return the linear function of some values, shape (pairs, n), that is nearest to most of the reference."""
    x = np.column_stack([np.ones(len(values)), values - values.mean(axis=0)])
    keep = np.ones(len(x), dtype=bool)
    for _ in range(3):  # each time the half that lies nearest decides
        if np.ptp(values[keep]) == 0.0:  # no line
            return np.asarray(values[:, values.shape[1] // 2])
        line = x @ np.linalg.lstsq(x[keep], reference[keep], rcond=None)[0]
        off = np.abs(line - reference)
        keep = off <= np.median(off)
    return np.asarray(line)
