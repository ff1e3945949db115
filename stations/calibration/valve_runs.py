"""The valve sequence of an analyser: runs of one gas, and their settled means."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from obsnet.errors import RangeError

__all__ = ["Runs", "episodes", "settled", "valve_runs"]

REPEAT_HOURS = 1.0  # a standard measured again so soon, with nothing but air between, is the same visit


@dataclass(frozen=True)
class Runs:
    """Runs of one valve position, in time order.

    Attributes
    ----------
    valve : ndarray of int, shape (k,)
        Position.
    first, last : ndarray of int, shape (k,)
        Row numbers, last not included.
    start, stop : ndarray, shape (k,)
        Hours of the first and the last reading.
    n : ndarray of int, shape (k,)
        Settled readings.
    middle, mean, sd : ndarray, shape (k,)
        Mean hour, mean and standard deviation of the settled readings; NaN where there are none.
    """

    valve: np.ndarray
    first: np.ndarray
    last: np.ndarray
    start: np.ndarray
    stop: np.ndarray
    n: np.ndarray
    middle: np.ndarray
    mean: np.ndarray
    sd: np.ndarray

    def of(self, valves: list[int]) -> np.ndarray:
        """Return the numbers of the runs of some positions that have settled readings."""
        return np.flatnonzero(np.isin(self.valve, valves) & (self.n > 0))


def settled(
    hours: np.ndarray, valve: np.ndarray, discard_minutes: np.ndarray, gap_minutes: float
) -> np.ndarray:
    """Tell which readings come long enough after the valve turned, or after the data began again.

    Parameters
    ----------
    hours : ndarray, shape (n,)
        Ascending.
    valve : ndarray of int, shape (n,)
        Position at each reading; -1 where unknown (never settled).
    discard_minutes : ndarray, shape (n,)
        Time to leave out after a switch, of the gas at each reading.
    gap_minutes : float
        A longer silence begins a new run.
    """
    start = hours[_starts(hours, valve, gap_minutes)]
    since = (hours - start[_numbers(hours, valve, gap_minutes)]) * 60.0
    return (since >= discard_minutes - 1e-9) & (valve >= 0)


def _starts(hours: np.ndarray, valve: np.ndarray, gap_minutes: float) -> np.ndarray:
    return np.flatnonzero(_new(hours, valve, gap_minutes))


def _numbers(hours: np.ndarray, valve: np.ndarray, gap_minutes: float) -> np.ndarray:
    return np.cumsum(_new(hours, valve, gap_minutes)) - 1


def _new(hours: np.ndarray, valve: np.ndarray, gap_minutes: float) -> np.ndarray:
    new = np.ones(hours.size, dtype=bool)
    new[1:] = (valve[1:] != valve[:-1]) | (np.diff(hours) > gap_minutes / 60.0)
    return new


def valve_runs(
    hours: np.ndarray, value: np.ndarray, valve: np.ndarray, good: np.ndarray, gap_minutes: float
) -> Runs:
    """Cut a sequence of readings into runs.

    Parameters
    ----------
    hours, value : ndarray, shape (n,)
        Ascending hours and readings.
    valve : ndarray of int, shape (n,)
        Position at each reading.
    good : ndarray of bool, shape (n,)
        Readings that count: settled, without alarm, finite.
    gap_minutes : float
        A longer silence begins a new run.

    Returns
    -------
    Runs
        Means by shifted sums.
    """
    if hours.size == 0:
        raise RangeError("there are no readings to cut into runs")
    if (np.diff(hours) < 0).any():
        raise RangeError("readings must be in time order")
    first = _starts(hours, valve, gap_minutes)
    last = np.append(first[1:], hours.size)
    number = _numbers(hours, valve, gap_minutes)
    use = good & np.isfinite(value)
    n = np.bincount(number[use], minlength=first.size)
    shift = float(np.median(value[use])) if use.any() else 0.0
    with np.errstate(invalid="ignore", divide="ignore"):
        off = value[use] - shift
        mean = np.bincount(number[use], off, first.size) / n
        spread = np.bincount(number[use], (off - mean[number[use]]) ** 2, first.size)
        sd = np.sqrt(spread / (n - 1))
        middle = np.bincount(number[use], hours[use] - hours[0], first.size) / n + hours[0]
    sd[n < 2] = np.nan
    return Runs(valve[first], first, last, hours[first], hours[last - 1], n, middle, mean + shift, sd)


def episodes(middle: np.ndarray, valve: np.ndarray, after_air: np.ndarray, gap_hours: float) -> np.ndarray:
    """Return the episode number of each run of a standard.

    A new episode begins after more than `gap_hours` without a run, and where, after air, a standard comes round
    again that the episode already holds. Rounds without air between are one episode; so are two runs of the same
    standard within `REPEAT_HOURS`.

    Parameters
    ----------
    middle : ndarray, shape (k,)
        Hours, ascending.
    valve : ndarray of int, shape (k,)
        Position.
    after_air : ndarray of bool, shape (k,)
        Air was measured since the run before.
    gap_hours : float
        Longest pause within an episode.
    """
    number = np.zeros(middle.size, dtype=np.int64)
    seen: set[int] = set()
    for k in range(1, middle.size):
        pause = middle[k] - middle[k - 1]
        seen.add(int(valve[k - 1]))
        repeat = valve[k] == valve[k - 1] and pause <= REPEAT_HOURS
        again = after_air[k] and int(valve[k]) in seen and not repeat
        number[k] = number[k - 1]
        if again or pause > gap_hours:
            number[k] += 1
            seen.clear()
    return number
