"""Background hours of a mountain observatory: the rules NOAA applies to hourly CO2 at Mauna Loa.

Steady air is wanted: little scatter within the hour, little change from hour to hour, no upslope wind, and
company. K. W. Thoning, P. P. Tans, W. D. Komhyr (1989), J. Geophys. Res. 94(D6), 8549-8565,
doi:10.1029/JD094iD06p08549, in the form of NOAA GML's selection program, letter for letter: the program's own
letters for 134,149 hours of a real record hold the order of the rules and what happens at gaps and at a year's
ends (`tests/stations/quality/test_hourly_selection.py`).
"""

from __future__ import annotations

import numba
import numpy as np

from obsnet.errors import ConfigError, RangeError

__all__ = ["MISSING", "REASONS", "mountain_hours"]

REASONS = {
    "V": "variable within the hour",
    "D": "differs from the hour before",
    "U": "upslope hours",
    "S": "single hour",
    "N": "no company within reach",
}
MISSING = "*"
_KEPT, _V, _D, _U, _S, _N = range(6)
_LETTERS = np.array([".", "V", "D", "U", "S", "N"])


def mountain_hours(
    hour: np.ndarray,
    value: np.ndarray,
    sd: np.ndarray,
    *,
    maximum_sd: float = 0.30,
    maximum_step: float = 0.25,
    upslope: tuple[float, float] | None = None,
    ahead_hours: int = 0,
    company_hours: int = 8,
    company: int = 2,
    run: int = 3,
) -> np.ndarray:
    """Return why each hour is not background, one letter an hour, ``.`` where it is.

    Parameters
    ----------
    hour : ndarray of int, shape (n,)
        Hours since 1970-01-01 00 UTC, ascending, each once.
    value, sd : ndarray, shape (n,)
        Hourly mean and standard deviation within the hour, one unit. An hour whose value is not above 0 or NaN is
        missing, as if it were not there; a missing standard deviation counts as small.
    maximum_sd : float
        ``V``: scatter within the hour at or above this.
    maximum_step : float
        ``D``: an hour that differs by more from the hour before it, and that hour too. Only hours without a letter
        so far are compared with the hour before; over one missing hour the limit is doubled, and then the earlier
        hour must be without a letter too. Longer gaps are not bridged.
    upslope : (float, float), optional
        ``U``: from the first hour of day to the second, both included, may pass midnight; goes before all others.
    ahead_hours : int
        The clock of `upslope` is that much ahead of UTC.
    company_hours, company : int
        ``S``: neither neighbouring hour is without a letter. Then ``N``: fewer than `company` other hours without
        one within `company_hours`.
    run : int
        Last, a ``D`` hour with this many kept hours in a row right before or right after it is kept after all.

    Returns
    -------
    ndarray of str, shape (n,)
        ``.``, a key of `REASONS`, or ``*`` for a missing hour. Years (UTC) are judged one by one, as the program
        does: the first hour of a year is never ``S`` or ``N``, the last never ``S`` (and one hour less of company
        is enough for it), and at either end fewer hours than `run` are enough to bring a ``D`` back.

    Examples
    --------
    >>> import numpy as np
    >>> co2 = np.array([410.0, 410.1, 410.1, 412.0, 413.0])
    >>> mountain_hours(np.arange(18, 23), co2, np.full(5, 0.1), upslope=(21, 5)).tolist()
    ['.', '.', '.', 'U', 'U']
    """
    hour, value = np.asarray(hour, dtype=np.int64), np.asarray(value, dtype=np.float64)
    if hour.size and not (np.diff(hour) > 0).all():
        raise RangeError("hourly selection needs each hour once, in order; average to hours first")
    if maximum_sd <= 0 or maximum_step <= 0 or min(company_hours, company, run) < 1:
        raise ConfigError("limits of hourly selection are above 0")
    letter = np.full(hour.size, MISSING, dtype="<U1")
    there = np.flatnonzero(np.isfinite(value) & (value > 0.0))
    code = np.where(np.nan_to_num(sd, nan=0.0) >= maximum_sd, _V, _KEPT)
    if upslope is not None:
        of_day = (hour + ahead_hours) % 24
        first, last = upslope
        after, before = of_day >= first, of_day <= last
        code[after & before if first <= last else after | before] = _U
    year = hour[there].astype("datetime64[h]").astype("datetime64[Y]")
    for rows in np.split(there, np.flatnonzero(np.diff(year)) + 1):
        codes = _select(hour[rows], value[rows], code[rows], maximum_step, company_hours, company, run)
        letter[rows] = _LETTERS[codes]
    return letter


@numba.njit(cache=True)
def _select(
    hour: np.ndarray,
    value: np.ndarray,
    code: np.ndarray,
    step: float,
    reach: int,
    company: int,
    run: int,
) -> np.ndarray:
    """Return the codes of one year's hours; `code` has V and U."""
    n = hour.size
    code = code.copy()
    for i in range(1, n):
        if code[i] != _KEPT:
            continue
        apart = hour[i] - hour[i - 1]
        big = abs(value[i] - value[i - 1]) > apart * step
        if big and (apart == 1 or (apart == 2 and code[i - 1] == _KEPT)):
            code[i] = _D
            if code[i - 1] == _KEPT:
                code[i - 1] = _D
    found = code.copy()
    for i in range(1, n - 1):
        before = code[i - 1] == _KEPT and hour[i] - hour[i - 1] == 1
        after = code[i + 1] == _KEPT and hour[i + 1] - hour[i] == 1
        if code[i] == _KEPT and not (before or after):
            found[i] = _S
    code = found.copy()
    low = high = 0
    kept = np.zeros(n + 1, dtype=np.int64)
    for i in range(n):
        kept[i + 1] = kept[i] + (found[i] == _KEPT)
    for i in range(1, n):
        while hour[low] < hour[i] - reach:
            low += 1
        while high < n and hour[high] <= hour[i] + reach:
            high += 1
        others, needed = kept[high] - kept[low] - 1, company
        if i == n - 1 and not (found[i - 1] == _KEPT and hour[i] - hour[i - 1] == 1):
            needed -= 1  # it may be single, and its company need not be beside it
        if found[i] == _KEPT and others < needed:
            code[i] = _N
    found = code.copy()
    for i in range(n):
        if code[i] == _D and (_in_a_row(hour, code, i, -1, run) or _in_a_row(hour, code, i, 1, run)):
            found[i] = _KEPT
    return found


@numba.njit(cache=True)
def _in_a_row(hour: np.ndarray, code: np.ndarray, i: int, side: int, count: int) -> bool:
    """Tell whether the `count` hours right before (side -1) or after an hour are kept, as far as the year goes."""
    for k in range(1, count + 1):
        j = i + side * k
        if j < 0 or j >= hour.size:
            return True
        if code[j] != _KEPT or hour[j] - hour[i] != side * k:
            return False
    return True
