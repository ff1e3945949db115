"""Background hours of a mountain observatory: the rules NOAA applies to hourly CO2 at Mauna Loa.

Steady air is wanted: little scatter within the hour, little change from hour to hour, no upslope wind, and
company. K. W. Thoning, P. P. Tans, W. D. Komhyr (1989), J. Geophys. Res. 94(D6), 8549-8565,
doi:10.1029/JD094iD06p08549, in the form of NOAA GML's selection program.
"""

from __future__ import annotations

import numpy as np

from obsnet.errors import ConfigError, RangeError

__all__ = ["REASONS", "mountain_hours"]

REASONS = {
    "V": "variable within the hour",
    "D": "differs from the hour before",
    "U": "upslope hours",
    "S": "single hour",
    "N": "no company within reach",
}


def mountain_hours(
    hour: np.ndarray,
    value: np.ndarray,
    sd: np.ndarray,
    *,
    maximum_sd: float = 0.30,
    maximum_step: float = 0.25,
    upslope: tuple[float, float] | None = None,
    company_hours: int = 8,
    company: int = 2,
    run: int = 3,
) -> np.ndarray:
    """Return why each hour is not background, one letter an hour, ``.`` where it is.

    Parameters
    ----------
    hour : ndarray of int, shape (n,)
        Hours since any midnight, ascending, each once.
    value, sd : ndarray, shape (n,)
        Hourly mean and standard deviation within the hour, one unit. A missing standard deviation is not
        judged.
    maximum_sd : float
        ``V``: scatter within the hour at or above this.
    maximum_step : float
        ``D``: an hour that differs by more from the hour before it, and that hour too (unless it is V). One
        missing hour between them doubles the limit.
    upslope : (float, float), optional
        ``U``: from the first hour of day to the second, both included, may pass midnight. In the same clock
        as `hour`; whatever else the hour is.
    company_hours, company : int
        ``N``: fewer than `company` other kept hours within `company_hours`. Before that ``S``: neither
        neighbour is kept.
    run : int
        A ``D`` hour with this many kept hours in a row right before or right after it is kept after all.

    Returns
    -------
    ndarray of str, shape (n,)
        ``.`` or a key of `REASONS`. Two letters do not meet: U goes over V, V over D, D over S, S over N.
    """
    hour = np.asarray(hour, dtype=np.int64)
    if hour.size and not (np.diff(hour) > 0).all():
        raise RangeError("hourly selection needs each hour once, in order; average to hours first")
    if maximum_sd <= 0 or maximum_step <= 0 or min(company_hours, company, run) < 1:
        raise ConfigError("limits of hourly selection are above 0")
    letter = np.full(hour.size, ".", dtype="<U1")
    if hour.size == 0:
        return letter
    variable = np.nan_to_num(sd, nan=0.0) >= maximum_sd
    apart = np.diff(hour)
    big = np.abs(np.diff(value)) > np.where(apart == 2, 2.0, 1.0) * maximum_step
    jump = np.zeros(hour.size, dtype=bool)
    # A jump counts where the later hour is steady in itself; the earlier one then goes with it.
    here = big & ~variable[1:]
    jump[1:] |= here
    jump[:-1] |= here
    jump &= ~variable
    up = np.zeros(hour.size, dtype=bool)
    if upslope is not None:
        of_day = hour % 24
        first, last = upslope
        up = (of_day >= first) & (of_day <= last) if first <= last else (of_day >= first) | (of_day <= last)
    kept = ~(variable | jump | up)
    restored = jump & ~up & (_in_a_row(hour, kept, 1, run) | _in_a_row(hour, kept, -1, run))
    jump &= ~restored
    single = kept & ~(_in_a_row(hour, kept, 1, 1) | _in_a_row(hour, kept, -1, 1))
    kept = (kept & ~single) | restored
    lonely = kept & (_within(hour, kept, company_hours) < company)
    for mask, name in ((lonely, "N"), (single, "S"), (jump, "D"), (variable, "V"), (up, "U")):
        letter[mask] = name
    return letter


def _in_a_row(hour: np.ndarray, kept: np.ndarray, side: int, count: int) -> np.ndarray:
    """Tell which hours have `count` kept hours in a row right after (side 1) or before (-1) them."""
    known = hour[kept]
    result = np.ones(hour.size, dtype=bool)
    for k in range(1, count + 1):
        result &= np.isin(hour + side * k, known, assume_unique=True)
    return result


def _within(hour: np.ndarray, kept: np.ndarray, reach: int) -> np.ndarray:
    """Return how many other kept hours lie within `reach` of each kept hour."""
    known = hour[kept]
    near = np.searchsorted(known, hour + reach, side="right") - np.searchsorted(known, hour - reach)
    return near - kept
