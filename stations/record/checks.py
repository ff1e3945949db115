"""What is checked in every record, whatever network it comes from; each finding is counted, flagged or both.

Plain arrays in, changed in place; `stations.record.record.build` calls these in turn.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from obsnet.errors import UnitError
from obsnet.schema import Quality
from obsnet.sphere import great_circle_km

__all__ = [
    "Notes",
    "check_range",
    "drop_fills",
    "drop_placeholders",
    "flag_positions",
    "overlapping",
    "repeated",
    "time_order",
    "warn_of_air",
    "warn_of_errors",
    "warn_of_heights",
    "warn_of_tall_intakes",
    "warn_of_times",
    "warn_of_travel",
    "without_fills",
]

_MANY = 24
_LEAST = {"point": 1e-6, "column": 5e-5}  # of the value; the best analysers state 1e-5, single columns 4e-4
_MAST_M = 650.0  # no mast is higher
_HEIGHT_M = 1.0  # heights are rounded to metres
_STATION_KM = 30.0  # no station is wider
_HUGE = 1e30  # netCDF's own fills are near 1e37
# Below this a coordinate can only be a fill; other numbers are judged by `_is_fill`.
_LOWEST = {"longitude": -360.0, "altitude_m": -900.0}


@dataclass
class Notes:
    """What a reader changed (`changes`) and what it doubts (`warnings`), each with its count."""

    changes: list[str] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)

    def copy(self) -> Notes:
        """Return notes of the file with which each of its records goes on by itself."""
        return Notes(list(self.changes), list(self.warnings))

    def changed(self, count: Any, text: str) -> None:
        """Note that `count` things were changed; nothing is noted for 0."""
        if count:
            self.changes.append(f"{int(count)} {text}")

    def warn(self, count: Any, text: str) -> None:
        """Note that `count` things are doubtful; nothing is noted for 0."""
        if count:
            self.warnings.append(f"{int(count)} {text}")


def _is_fill(values: np.ndarray) -> np.ndarray:
    """Tell which numbers are -99, -99.9, -999.99, -9999 … : all nines, to within the file's precision."""
    size = np.where(values <= -99.0, -values, 1.0)
    return (values <= -99.0) & (size >= 0.99 * 10.0 ** np.ceil(np.log10(size)))


def drop_fills(data: Mapping[str, np.ndarray], names: tuple[str, ...], notes: Notes) -> None:
    """Set numbers that stand for nothing, whatever the header calls its fill, to NaN.

    Parameters
    ----------
    data : mapping of str to ndarray
        Changed in place.
    names : tuple of str
        Variables to look at.
    """
    for name in names:
        lowest = _LOWEST.get(name)
        fill = _is_fill(data[name]) if lowest is None else data[name] < lowest
        notes.changed(fill.sum(), f"fill values of {name} that the header does not declare set to missing")
        data[name][fill] = np.nan


def without_fills(values: np.ndarray, name: str, notes: Notes) -> np.ndarray:
    """Return numbers of a dialect's own variable, NaN for those that only a program writes: -999.99, 1e36."""
    fill = _is_fill(values) | (np.abs(values) >= _HUGE)
    notes.changed(fill.sum(), f"fill values of {name} that the header does not declare set to missing")
    return np.where(fill, np.nan, values)


def drop_placeholders(data: Mapping[str, np.ndarray], notes: Notes) -> np.ndarray:
    """Set spreads of exactly zero, and negative ones, to NaN: no instrument is perfect.

    Returns
    -------
    ndarray of bool, shape (rows,)
        Where the standard deviation was exactly zero: some programs take it at its word.
    """
    said_zero = data["sd"] == 0.0
    for name in ("uncertainty", "sd"):
        zero, negative = data[name] == 0.0, data[name] < 0.0
        text = f"values of {name} exactly 0 set to missing (a placeholder, not a perfect measurement)"
        notes.changed(zero.sum(), text)
        notes.changed(negative.sum(), f"negative values of {name} set to missing")
        data[name][zero | negative] = np.nan
    return said_zero


def check_range(
    value: np.ndarray, quality: np.ndarray, limits: tuple[float, float], what: str, path: Any, notes: Notes
) -> None:
    """Flag values outside the physical range, and find rows in another unit.

    Parameters
    ----------
    value, quality : ndarray, shape (rows,)
        `quality` is changed in place; rows the producer rejected are not judged.
    limits : tuple of float
        Lowest and highest value that may be believed.
    what, path
        ``"CO2 in ppm"`` and the file, for texts.

    Raises
    ------
    UnitError
        More than half of the usable values are outside: the unit is wrong.
    """
    low, high = limits
    usable = np.isfinite(value) & ((quality & np.uint32(Quality.PRODUCER)) == 0)
    outside = usable & ~((value >= low) & (value <= high))
    count = int(outside.sum())
    if count == 0:
        return
    first = int(np.flatnonzero(outside)[0])
    where = f"outside {low:g} to {high:g}, the first in row {first + 1}"
    if 2 * count > usable.sum():
        raise UnitError(
            f"{path}: {count} of {int(usable.sum())} values of {what} are {where} ({value[first]:g}); the "
            "file's unit is wrong or not what it says"
        )
    # A value that, a power of a thousand away, lands between the file's own extremes is in another unit.
    inside = value[usable & ~outside]
    for power in (-12, -9, -6, -3, 3, 6, 9, 12):
        with np.errstate(over="ignore"):
            scaled = value[outside] * 10.0**power
        alike = (scaled >= inside.min()) & (scaled <= inside.max())
        text = f"rows look as if in another unit (10^{-power} times {what}); flagged 'range', not converted"
        notes.warn(alike.sum(), text)
    notes.warn(count, f"values of {what} {where}; flagged 'range'")
    quality[outside] |= np.uint32(Quality.RANGE)


def warn_of_air(
    value: np.ndarray, quality: np.ndarray, usual: tuple[float, float], what: str, notes: Notes
) -> None:
    """Say so where a record's middle is not that of any column of air: another gas, wet air, a tank, another unit.

    Parameters
    ----------
    value, quality : ndarray, shape (rows,)
        Only usable rows are looked at.
    usual : tuple of float
        Lowest and highest value that a column of air may have.
    what : str
        ``"CO2 in ppm"``.
    """
    used = value[(quality == 0) & np.isfinite(value)]
    if used.size < _MANY:  # an hour in a city is real
        return
    middle = float(np.median(used))
    if not usual[0] <= middle <= usual[1]:
        text = (
            f"values of {what} have a median of {middle:.6g}, and no column of air is outside {usual[0]:g} to"
        )
        notes.warn(used.size, f"{text} {usual[1]:g}: are gas and unit what they say?")


def warn_of_errors(
    value: np.ndarray, error: np.ndarray, quality: np.ndarray, kind: str, notes: Notes
) -> None:
    """Say so where uncertainties are as large as their values, or next to nothing beside them: in another unit.

    Parameters
    ----------
    value, error, quality : ndarray, shape (rows,)
        Mole fractions; only usable rows are looked at.
    kind : {"point", "column"}
    """
    with np.errstate(invalid="ignore", divide="ignore"):
        share = error / np.abs(value)
    odd = (quality == 0) & ((share >= 1.0) | (share < _LEAST[kind]))
    if odd.any():
        text = f"rows have an uncertainty {np.median(share[odd]):.2g} times the value: is its unit right?"
        notes.warn(odd.sum(), text)


def flag_positions(latitude: np.ndarray, longitude: np.ndarray, quality: np.ndarray, notes: Notes) -> None:
    """Bring longitudes into -180..180 and flag impossible and missing positions, all in place."""
    east = (longitude >= 180.0) & (longitude <= 360.0)
    longitude[east] -= 360.0
    with np.errstate(invalid="ignore"):
        wrong = (np.abs(latitude) > 90.0) | (np.abs(longitude) > 180.0)
    notes.warn(wrong.sum(), "rows have an impossible position (flagged 'geolocation')")
    missing = ~(np.isfinite(latitude) & np.isfinite(longitude))
    if missing.size and missing.all():
        # Nothing is wrong with the values: what needs a position (the observation table) flags the rows itself.
        text = "rows without a position: the file gives none; name the site to take it from the"
        notes.warn(missing.size, f"{text} station table")
        return
    quality[wrong | missing] |= np.uint32(Quality.GEOLOCATION)


def warn_of_travel(latitude: np.ndarray, longitude: np.ndarray, notes: Notes) -> None:
    """Say so where positions are further apart than a station is wide: a ship, or several sites in one file."""
    known = np.isfinite(latitude) & np.isfinite(longitude)
    if known.sum() < 2:
        return
    if np.ptp(latitude[known]) == 0.0 and np.ptp(longitude[known]) == 0.0:
        return  # one place, as most records: distinct pairs take a slow sort
    lat, lon = np.unique(np.stack([latitude[known], longitude[known]]), axis=1)
    far = float(great_circle_km(lat, lon, np.median(lat), np.median(lon)).max())
    if far > _STATION_KM:
        text = (
            f"rows have positions up to {far:.0f} km from their median: a moving platform, or several sites"
        )
        notes.warn(int(known.sum()), text)


def warn_of_heights(
    altitude: np.ndarray, elevation: np.ndarray, intake: np.ndarray, notes: Notes, name: str = "intake_height"
) -> None:
    """Say so where an intake's height is not that of the altitude over the ground: metres above the sea, or kilometres.

    Parameters
    ----------
    altitude, elevation, intake : ndarray, shape (rows,)
        Of the intake above the sea, of the ground above the sea, of the intake above the ground; metres.
    """
    off = np.abs(altitude - elevation - intake) > _HEIGHT_M
    if off.any():
        k = int(np.flatnonzero(off)[0])
        text = f"rows have {name} {intake[k]:g} m, and altitude {altitude[k]:g} m over ground at {elevation[k]:g} m"
        notes.warn(off.sum(), f"{text}: one of the three is not what it says")


def warn_of_tall_intakes(altitude: np.ndarray, intake: np.ndarray, notes: Notes) -> None:
    """Say so where an intake is higher than any mast, and as high above the ground as above the sea; metres."""
    tall = (intake > _MAST_M) & (np.abs(altitude - intake) <= _HEIGHT_M)
    if tall.any():
        text = f"rows have an intake {np.median(intake[tall]):g} m above the ground and as much above the sea"
        notes.warn(tall.sum(), f"{text}: it is their altitude, unless they are of an aircraft over the sea")


def warn_of_times(start: np.ndarray, end: np.ndarray, named: str, notes: Notes) -> None:
    """Say so of times to come, and of the start or end of intervals whose length nobody says.

    Parameters
    ----------
    start, end : ndarray of datetime64, shape (rows,)
        Interval of each row.
    named : str
        What part of it the file's stamps name.
    """
    with_time = ~np.isnat(start)
    to_come = with_time & (start > np.datetime64("now") + np.timedelta64(1, "D"))
    notes.warn(
        to_come.sum(), "rows are of a time to come: is the unit of time, or the order of a date, right?"
    )
    if named in {"start", "end"} and with_time.any() and (start == end)[with_time].all():
        text = f"rows are stamped at the {named} of intervals whose length the file does not say: taken as instants"
        notes.warn(with_time.sum(), text)


def time_order(time: np.ndarray, notes: Notes) -> np.ndarray | None:
    """Return the stable order by time with NaT last, or None where the rows are in order."""
    backward = int((np.diff(time) < np.timedelta64(0, "s")).sum())
    if backward == 0 and not np.isnat(time).any():
        return None
    notes.warn(backward, "step(s) back in time; rows were sorted")
    return np.argsort(time, kind="stable")


def repeated(keys: Mapping[str, np.ndarray], quality: np.ndarray) -> np.ndarray:
    """Return the usable rows that repeat another one in every key.

    Of rows that agree in every key the first with the best quality stays: one that nobody flagged, else one that is
    valid but not background. Rows that are rejected anyway repeat nothing and displace nothing.

    Parameters
    ----------
    keys : mapping of str to ndarray, shape (rows,)
        ``time`` sorted, and whatever else makes rows distinct.
    quality : ndarray of uint32, shape (rows,)
        Bits so far.
    """
    time = keys["time"]
    shared = np.zeros(len(time), dtype=bool)
    shared[1:] = time[1:] == time[:-1]
    if not shared.any():
        return np.zeros(0, dtype=np.int64)
    shared[:-1] |= shared[1:]
    valid = np.uint32(~int(Quality.SELECTION | Quality.SUSPECT) & 0xFFFFFFFF)
    rows = np.flatnonzero(shared & ((quality & valid) == 0))
    rows = rows[np.argsort(quality[rows] != 0, kind="stable")]  # the best first
    number = np.zeros(rows.size, dtype=np.int64)  # of the combination of keys
    for values in keys.values():
        alike, code = np.unique(values[rows], return_inverse=True)
        number = np.unique(number * alike.size + code, return_inverse=True)[1]
    again = np.ones(rows.size, dtype=bool)
    again[np.unique(number, return_index=True)[1]] = False
    return np.sort(rows[again])


def overlapping(start: np.ndarray, end: np.ndarray, intake: np.ndarray, use: np.ndarray) -> int:
    """Return how many rows share more than half of their time with the next one of their intake.

    Parameters
    ----------
    start, end, intake : ndarray, shape (rows,)
        Interval of each row, and the height of its intake.
    use : ndarray of bool
        Rows to look at.
    """
    rows = np.flatnonzero(use & (end > start))
    rows = rows[np.lexsort((start[rows], intake[rows]))]
    one, other = rows[:-1], rows[1:]
    alike = (intake[one] == intake[other]) | (np.isnan(intake[one]) & np.isnan(intake[other]))
    common = np.minimum(end[one], end[other]) - start[other]
    return int((alike & (2 * common > end[one] - start[one])).sum())
