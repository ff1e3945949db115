"""A second record of a station's air: whose pairs prove something, and what is a copy of the station's own."""

from __future__ import annotations

import numpy as np
import xarray as xr

from obsnet.sphere import great_circle_km
from stations.admission.base import Applicant
from stations.record.series import nearest_times

__all__ = ["SAME_PLACE_KM", "apart_km", "copied", "pairs"]

SAME_PLACE_KM = 10.0  # two intakes on a hill, or flasks at the fence, are no farther apart
_COARSE = 1e-4


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
    own = float(record.attrs.get("interval_seconds") or 0.0) * np.timedelta64(1, "s")
    start, end = (second[n].values[theirs] for n in ("time_start", "time_end"))
    length = np.median(end - start) if theirs.size else own
    if own > np.timedelta64(0) and length > 2 * own:
        low, high = np.searchsorted(time, start), np.searchsorted(time, end)
        total = np.concatenate([[0.0], np.cumsum(value - value.mean() if value.size else value)])
        number = high - low
        paired = number > 0.5 * ((end - start) / own)
        mean = (total[high] - total[low])[paired] / number[paired] + (value.mean() if value.size else 0.0)
        return mean, reference[paired], when[paired]
    place = nearest_times(when, time, tolerance_minutes)
    paired = place >= 0
    return value[place[paired]], reference[paired], when[paired]


def copied(value: np.ndarray, reference: np.ndarray) -> int:
    """Return how many pairs are equal where one record is made of the other; else 0.

    Made of it: the same in more than half of the pairs, or moved by an offset and a factor, or rounded in 95 % of them.
    Two good analysers are often equal where both records have only 0.1 ppm of CO2 or 1 ppb of CH4 (more than `_COARSE`
    of the value): there more than 95 % must be. Analysers that agree to a small part of what rounding takes away would
    pass for copies.
    """
    decimals = next((d for d in range(3) if _rounded(reference, d)), None)
    rounding = 0.0 if decimals is None else 10.0**-decimals
    coarse = (
        decimals is not None and rounding > _COARSE * np.median(np.abs(value)) and _rounded(value, decimals)
    )
    for moved in (value, _line_through(value, reference)):
        off = np.abs(moved - reference)
        for size, share in (
            (1e-6 * np.abs(value), 0.95 if coarse else 0.5),
            (0.5001 * rounding + 1e-6 * np.abs(value), 0.95),
        ):
            equal = int((off <= size).sum())
            if equal > share * off.size:
                return equal
    return 0


def _rounded(values: np.ndarray, decimals: int) -> bool:
    """Tell whether numbers (that may have been single precision) have no more decimals than so many."""
    scaled = values * 10.0**decimals
    return bool((np.abs(scaled - np.round(scaled)) < 0.01).all())


def _line_through(value: np.ndarray, reference: np.ndarray) -> np.ndarray:
    """Return the line in the values that is nearest to most of the reference."""
    x, keep = value - value.mean(), np.ones(value.size, dtype=bool)
    for _ in range(3):  # each time the half that lies nearest decides
        if np.ptp(x[keep]) == 0.0:
            return value
        line = np.polynomial.Polynomial.fit(x[keep], reference[keep], 1)
        off = np.abs(line(x) - reference)
        keep = off <= np.median(off)
    return np.asarray(line(x))
