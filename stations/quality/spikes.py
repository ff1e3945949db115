"""Spikes, outliers in a window, stuck values and pair disagreement: kernels on sorted plain arrays.

Every function returns a boolean array, True = flagged, and ignores values that are not finite.
"""

from __future__ import annotations

import numba
import numpy as np

from obsnet.errors import ConfigError

__all__ = ["hampel", "pair_spread", "quartile_sd", "sd_spikes", "steps", "stuck"]

MAD_TO_SD = 1.482602218505602  # 1 / 0.6744897501960817, for a normal distribution


def hampel(
    hours: np.ndarray, value: np.ndarray, window_hours: float, limit: float, least: float = 0.0
) -> np.ndarray:
    """Flag values far from the median of a centred window, in units of the scaled median deviation.

    Parameters
    ----------
    hours : ndarray, shape (n,)
        Ascending.
    value : ndarray, shape (n,)
        Any unit.
    window_hours : float
        Full width of the window.
    limit : float
        Flag where |value - median| > limit * max(1.4826 MAD, least).
    least : float
        Smallest scale, the instrument's resolution. Where it is 0 and the MAD is 0, nothing is flagged.

    Returns
    -------
    ndarray of bool
        Windows of fewer than 5 values flag nothing.

    Notes
    -----
    F. R. Hampel (1974), J. Am. Stat. Assoc. 69, 383-393, doi:10.1080/01621459.1974.10482962.
    """
    if window_hours <= 0 or limit <= 0:
        raise ConfigError(f"a window and a limit above 0 are needed, found {window_hours:g} and {limit:g}")
    finite = np.isfinite(value)
    flag = np.zeros(value.size, dtype=bool)
    flag[finite] = _hampel(hours[finite], value[finite], window_hours / 2.0, limit, least)
    return flag


@numba.njit(cache=True)
def _hampel(hours: np.ndarray, value: np.ndarray, half: float, limit: float, least: float) -> np.ndarray:
    n = value.size
    flag = np.zeros(n, dtype=np.bool_)
    start, stop = 0, 0
    for i in range(n):
        while hours[start] < hours[i] - half:
            start += 1
        while stop < n and hours[stop] <= hours[i] + half:
            stop += 1
        if stop - start < 5:
            continue
        inside = value[start:stop]
        middle = np.median(inside)
        scale = max(MAD_TO_SD * np.median(np.abs(inside - middle)), least)
        if scale > 0.0 and abs(value[i] - middle) > limit * scale:
            flag[i] = True
    return flag


def quartile_sd(hours: np.ndarray, value: np.ndarray, window_hours: float) -> np.ndarray:
    """Return the standard deviation of the values between the quartiles of a centred window.

    Evaluated every 1/8 of the window and taken from the nearest such time; NaN where a window holds fewer
    than 8 values.
    """
    if window_hours <= 0:
        raise ConfigError(f"a window above 0 is needed, found {window_hours:g} hours")
    step = window_hours / 8.0
    centres = np.arange(hours[0], hours[-1] + step, step)
    sigma = np.full(centres.size, np.nan)
    starts = np.searchsorted(hours, centres - window_hours / 2.0)
    stops = np.searchsorted(hours, centres + window_hours / 2.0, side="right")
    for k, (start, stop) in enumerate(zip(starts, stops, strict=True)):
        if stop - start >= 8:
            inside = np.sort(value[start:stop])
            n = inside.size
            sigma[k] = inside[n // 4 : n - n // 4].std()
    nearest = np.clip(np.round((hours - hours[0]) / step).astype(np.int64), 0, centres.size - 1)
    return sigma[nearest]


def sd_spikes(
    hours: np.ndarray, value: np.ndarray, *, alpha: float, window_hours: float = 168.0, gap_hours: float = 3.0
) -> np.ndarray:
    """Flag positive spikes of local contamination by the standard-deviation-of-the-background method.

    From the last value C that is not part of a spike, value i is in a spike if
    ``value_i >= C + alpha sigma + sqrt(n) sigma``, n the values since C, sigma the standard deviation of the
    values between the quartiles of the surrounding window. The threshold widens with n, so that a change
    of air mass ends a spike by itself.

    Parameters
    ----------
    hours : ndarray, shape (n,)
        Ascending; the method is meant for data of a minute or less.
    value : ndarray, shape (n,)
        Any unit.
    alpha : float
        Threshold. 1 for CO2 and CH4 and 3 for CO are commonly quoted; sites differ.
    window_hours : float
        Width of the window of sigma; a week by default, not checked against the paper.
    gap_hours : float
        After a gap longer than this the search starts anew: the first value that is not above the median
        of the next ten. What stands at the start, or after a gap, is judged backward too, from the values that
        follow: nothing before it is there to be exceeded.

    Returns
    -------
    ndarray of bool
        True in a spike.

    Notes
    -----
    A. El Yazidi et al. (2018), Atmos. Meas. Tech. 11, 1599-1614, doi:10.5194/amt-11-1599-2018. For the effect
    of alpha over ten sites see P. Cristofanelli et al. (2023), doi:10.5194/amt-16-5977-2023. Checked against planted
    spikes only (`scripts/check_pollution_rules.py`), not against a keeper's flags.
    """
    if alpha <= 0:
        raise ConfigError(f"alpha is above 0, found {alpha:g}")
    finite = np.isfinite(value)
    flag = np.zeros(value.size, dtype=bool)
    if finite.sum() < 8:
        return flag
    h, v = hours[finite], value[finite]
    sigma = quartile_sd(h, v, window_hours)
    forward = _sd_spikes(h, v, sigma, alpha, gap_hours)
    backward = _sd_spikes(-h[::-1], v[::-1], sigma[::-1], alpha, gap_hours)[::-1]
    first = np.concatenate([[True], np.diff(h) > gap_hours])
    flag[finite] = forward | _leading(first, forward | backward)
    return flag


@numba.njit(cache=True)
def _sd_spikes(
    hours: np.ndarray, value: np.ndarray, sigma: np.ndarray, alpha: float, gap_hours: float
) -> np.ndarray:
    n = value.size
    flag = np.zeros(n, dtype=np.bool_)
    last = -1  # index of C; -1 asks for a new start
    for i in range(n):
        if last >= 0 and hours[i] - hours[i - 1] > gap_hours:
            last = -1
        if last < 0:
            if value[i] <= np.median(value[i : min(i + 10, n)]) or i == n - 1:
                last = i
            continue
        if not np.isfinite(sigma[i]):
            last = i
            continue
        if sigma[i] > 0.0 and value[i] >= value[last] + (alpha + np.sqrt(i - last)) * sigma[i]:
            flag[i] = True
        else:
            last = i
    return flag


@numba.njit(cache=True)
def _leading(first: np.ndarray, flag: np.ndarray) -> np.ndarray:
    """Return the flags of each segment that follow its `first` value without a break."""
    kept = np.zeros(flag.size, dtype=np.bool_)
    for i in range(flag.size):
        kept[i] = flag[i] and (first[i] or kept[i - 1])
    return kept


def stuck(
    hours: np.ndarray, value: np.ndarray, repeats: int, tolerance: float = 0.0, gap_hours: float = np.inf
) -> np.ndarray:
    """Flag runs of values that do not change: a frozen instrument or a repeated record.

    Parameters
    ----------
    hours : ndarray, shape (n,)
        Ascending.
    value : ndarray, shape (n,)
        Any unit.
    repeats : int
        Shortest run that is flagged, at least 2.
    tolerance : float
        Neighbours that differ by no more are the same.
    gap_hours : float
        A run does not reach over a longer gap.
    """
    if repeats < 2 or tolerance < 0:
        raise ConfigError(
            f"a run has at least 2 values, a tolerance at least 0; found {repeats}, {tolerance:g}"
        )
    flag = np.zeros(value.size, dtype=bool)
    finite = np.flatnonzero(np.isfinite(value))
    if finite.size < repeats:
        return flag
    v, h = value[finite], hours[finite]
    same = (np.abs(np.diff(v)) <= tolerance) & (np.diff(h) <= gap_hours)
    run = np.concatenate([[0], np.cumsum(~same)])
    flag[finite] = (np.bincount(run) >= repeats)[run]
    return flag


def steps(hours: np.ndarray, value: np.ndarray, per_hour: float, gap_hours: float = 3.0) -> np.ndarray:
    """Flag both ends of changes faster than `per_hour` between neighbours at most `gap_hours` apart."""
    flag = np.zeros(value.size, dtype=bool)
    finite = np.flatnonzero(np.isfinite(value))
    if finite.size < 2:
        return flag
    apart = np.diff(hours[finite])
    fast = (np.abs(np.diff(value[finite])) > per_hour * np.maximum(apart, 1e-9)) & (apart <= gap_hours)
    flag[finite[:-1][fast]] = True
    flag[finite[1:][fast]] = True
    return flag


def pair_spread(time: np.ndarray, value: np.ndarray, limit: float) -> np.ndarray:
    """Flag all members of a pair (rows of one time) whose values differ by more than `limit`.

    Parameters
    ----------
    time : ndarray, shape (n,)
        Any sortable type.
    value : ndarray, shape (n,)
        Any unit.
    limit : float
        Largest allowed maximum minus minimum. The comparison leaves room for the rounding of printed values.
    """
    flag = np.zeros(value.size, dtype=bool)
    finite = np.flatnonzero(np.isfinite(value))
    if finite.size == 0:
        return flag
    _, member = np.unique(time[finite], return_inverse=True)
    high = np.full(member.max() + 1, -np.inf)
    low = np.full(member.max() + 1, np.inf)
    np.maximum.at(high, member, value[finite])
    np.minimum.at(low, member, value[finite])
    flag[finite] = (high - low > limit * (1.0 + 1e-9) + 1e-9)[member]
    return flag
