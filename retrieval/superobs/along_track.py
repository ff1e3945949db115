"""Soundings along a track in one-second and ten-second groups that never straddle a change.

A group ends where its window ends, where the surface, mode or platform changes, and at every gap in time.
Within a second soundings count alike; seconds are then weighted alike, or as the best mean of points on a
line whose errors are correlated with distance.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from obsnet.errors import ConfigError
from obsnet.sphere import EARTH_RADIUS_KM, unit_vectors
from obsnet.typing import Ints, Times
from retrieval.superobs.errors import exponential_weights
from retrieval.superobs.groups import Groups, window_of

__all__ = ["along_track_groups"]


def along_track_groups(
    time: Times,
    latitude: npt.ArrayLike,
    longitude: npt.ArrayLike,
    kind: npt.ArrayLike,
    *,
    window_s: float = 10.0,
    inner_s: float = 1.0,
    max_gap_s: float = 3.0,
    max_gap_km: float = 50.0,
    length_km: float | None = None,
) -> Groups:
    """Group soundings along a track.

    Parameters
    ----------
    time : ndarray of datetime64, shape (rows,)
        UTC, any order.
    latitude, longitude : array_like, shape (rows,)
        Degrees.
    kind : array_like of int, shape (rows,)
        Class of each sounding (surface, mode, platform): classes are never mixed. Negative leaves it out.
    window_s : float
        Length of the windows, which begin at full multiples since 1970-01-01.
    inner_s : float
        Length of the averages made first, inside the windows; must divide them.
    max_gap_s, max_gap_km : float
        A longer time, or a larger step, to the next sounding of the same class ends a group.
    length_km : float, optional
        Correlation length: seconds are then weighted by `exponential_weights`; alike without it.

    Returns
    -------
    Groups
        Sorted by window, class and time; the same for any order of the rows.
    """
    steps = window_s / inner_s
    if abs(steps - round(steps)) > 1e-9 or steps < 1:
        raise ConfigError(f"windows of {window_s} s are not a whole number of {inner_s} s averages")
    time = np.asarray(time).astype("datetime64[us]")
    kind = np.asarray(kind, dtype=np.int64)
    lat, lon = np.asarray(latitude, np.float64), np.asarray(longitude, np.float64)
    used = (kind >= 0) & ~np.isnat(time) & np.isfinite(lat) & np.isfinite(lon)
    rows = np.flatnonzero(used)
    # position breaks ties of time, so that sums are made in one order whatever the order of the rows
    rows = rows[np.lexsort((lon[rows], lat[rows], time[rows], kind[rows]))]
    stamp, group_kind = time[rows].astype(np.int64), kind[rows]
    window, inner = window_of(time[rows], window_s), window_of(time[rows], inner_s)
    if len(rows) == 0:
        empty = np.zeros(0, dtype=np.int64)
        nothing = np.zeros(0)
        times = np.zeros(0, dtype="datetime64[us]")
        return Groups(np.zeros(1, np.int64), empty, nothing, nothing, nothing, nothing, times, empty, empty)
    changed = (np.diff(group_kind) != 0) | (np.diff(window) != 0)
    xyz = unit_vectors(lat[rows], lon[rows])
    step = np.linalg.norm(np.diff(xyz, axis=0), axis=1) * EARTH_RADIUS_KM
    gap = (np.diff(stamp) > max_gap_s * 1e6) | (step > max_gap_km)
    first = np.flatnonzero(np.append(True, changed | gap))
    offsets = np.append(first, len(rows)).astype(np.int64)
    group = np.repeat(np.arange(len(first)), np.diff(offsets))

    node_start = np.flatnonzero(np.append(True, (np.diff(group) != 0) | (np.diff(inner) != 0)))
    node_size = np.diff(np.append(node_start, len(rows)))
    node_group = group[node_start]
    nodes_of_group = np.bincount(node_group, minlength=len(first))
    if length_km is None:
        node_weight = 1.0 / nodes_of_group[node_group]
    else:
        place = np.add.reduceat(xyz, node_start, axis=0)
        place *= EARTH_RADIUS_KM / np.linalg.norm(place, axis=1, keepdims=True)
        step = np.linalg.norm(np.diff(place, axis=0), axis=1)
        node_weight, _ = exponential_weights(step, np.append(0, np.cumsum(nodes_of_group)), length_km)
    piece = _count_up(np.stack([window[first], group_kind[first]]))
    return Groups(
        offsets,
        rows,
        np.repeat(node_weight / node_size, node_size),
        nodes_of_group / round(steps),
        np.diff(offsets).astype(np.float64),
        np.diff(offsets).astype(np.float64),
        (window[first] * round(window_s * 1e6)).astype("datetime64[us]"),
        np.full(len(first), -1, dtype=np.int64),
        group_kind[first] * 1000 + piece,
        {"without time or place": int(np.sum((kind >= 0) & ~used))},
    )


def _count_up(key: Ints) -> Ints:
    """Return 0, 1, 2, ... within runs of equal columns."""
    n = key.shape[1]
    start = np.append(True, (np.diff(key, axis=1) != 0).any(axis=0))
    return np.arange(n) - np.maximum.accumulate(np.where(start, np.arange(n), 0))
