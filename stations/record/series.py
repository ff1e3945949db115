"""From a record to the plain series that fits and filters want: usable rows, pairs averaged, years."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np

from obsnet.errors import ConfigError, MissingVariableError, nearest
from obsnet.schema import Quality
from obsnet.times import decimal_year
from stations.record.intakes import heights, label, one_series

if TYPE_CHECKING:
    import xarray as xr

__all__ = ["USE", "Series", "nearest_times", "series"]

# What may be used although a bit is set.
USE = {
    "background": Quality(0),
    "valid": Quality.SELECTION | Quality.SUSPECT,
    "all": ~Quality.RANGE & ~Quality.TIME,
}


@dataclass(frozen=True)
class Series:
    """Usable values of a record in time order.

    Attributes
    ----------
    time : ndarray of datetime64[ns], shape (n,)
        UTC, middle.
    year : ndarray, shape (n,)
        The same in decimal years of true length.
    value : ndarray, shape (n,)
        In the record's unit.
    members : ndarray of int, shape (n,)
        Rows averaged into each.
    left_out : dict of str to int
        Rows not used, by the name of the quality bit (a row may have several).
    notes : tuple of str
        What was taken together that not everybody would.
    """

    time: np.ndarray
    year: np.ndarray
    value: np.ndarray
    members: np.ndarray
    left_out: dict[str, int] = field(default_factory=dict)
    notes: tuple[str, ...] = ()


def series(record: xr.Dataset, *, use: str = "background", pairs: bool = True) -> Series:
    """Take the usable values of a record.

    Parameters
    ----------
    record : xarray.Dataset
        Layout of `stations.record.record`.
    use : {"background", "valid", "all"}
        Rows without any quality bit; also those that are valid but not background; every finite value.
    pairs : bool
        Average rows of the same time (the members of a flask pair).

    Returns
    -------
    Series
        Sorted by time.

    Raises
    ------
    ConfigError
        The record holds several intakes side by side; see `stations.record.intakes`.
    """
    if use not in USE:
        raise ConfigError(f"use {use!r} is not known{nearest(use, USE)}")
    for name in ("time", "value", "quality"):
        if name not in record:
            raise MissingVariableError(
                f"{record.attrs.get('path', 'record')}: no variable {name!r} in the record"
            )
    one_series(record)
    time, value = record["time"].values, record["value"].values
    quality = record["quality"].values.astype(np.uint32)
    stop = quality & ~np.uint32(int(USE[use]) & 0xFFFFFFFF)
    keep = (stop == 0) & np.isfinite(value) & ~np.isnat(time)
    left_out = {
        f.name.lower(): int((stop & np.uint32(f) > 0).sum()) for f in Quality if f.name and (stop & f).any()
    }
    notes: list[str] = []
    if len(several := heights(record)) > 1:
        notes.append(f"flasks or a moved intake at {', '.join(map(label, several))} taken as one series")
    time, value = time[keep], value[keep]
    order = np.argsort(time, kind="stable")
    time, value = time[order], value[order]
    members = np.ones(time.size, dtype=np.int64)
    if pairs and time.size:
        start = np.flatnonzero(np.concatenate([[True], time[1:] != time[:-1]]))
        members = np.diff(np.append(start, time.size))
        if len(several) > 1 and (mixed := _mixed(record, keep, order, start)):
            notes.append(f"{mixed} times with flasks of several intakes, their mean taken")
        value = np.add.reduceat(value, start) / members
        time = time[start]
    return Series(time, decimal_year(time), value, members, left_out, tuple(notes))


def _mixed(record: xr.Dataset, keep: np.ndarray, order: np.ndarray, start: np.ndarray) -> int:
    """Return at how many times the rows that are averaged are of several heights."""
    height = np.nan_to_num(record["intake_height_m"].values[keep][order], nan=-1.0)
    low, high = np.minimum.reduceat(height, start), np.maximum.reduceat(height, start)
    return int((high - low > 0.1).sum())


def nearest_times(times: np.ndarray, among: np.ndarray, minutes: float) -> np.ndarray:
    """Return the index of the nearest of `among` (ascending) for each time, -1 beyond `minutes`."""
    if among.size == 0:
        return np.full(times.size, -1)
    right = np.clip(np.searchsorted(among, times), 0, among.size - 1)
    left = np.maximum(right - 1, 0)
    place = np.where(np.abs(times - among[left]) <= np.abs(among[right] - times), left, right)
    far = np.abs(times - among[place]) > np.timedelta64(round(minutes * 60), "s")
    return np.where(far | np.isnat(times), -1, place)
