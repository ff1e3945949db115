"""Surface fluxes from sums and means over windows: what each window adds to the one before it, brought to a moment.

Forecast centres keep fluxes as sums (ECMWF) or means (NCEP) since the start of a forecast or of a window of some
hours. Two windows that share their start differ by the time between their ends::

    rate = (S(a, b) - S(a, b')) / (b - b')        over (b', b]

with ``S`` the sum, for means the mean times the window's length. A rate is that of the middle of its interval; a moment
between two middles takes the straight line between them.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from obsnet.errors import FormatError, RangeError
from obsnet.met.names import VARIABLES, Window
from obsnet.times import from_epoch
from obsnet.typing import Singles

__all__ = ["FLUXES", "KINDS", "Rate", "at_moment", "check_tiling", "rate_of"]

FLUXES = ("heat_flux", "stress_u", "stress_v")
KINDS = ("accumulated", "mean")


@dataclass(frozen=True, eq=False)
class Rate:
    """A flux that holds over an interval.

    Parameters
    ----------
    values : ndarray of float32, shape (ny, nx)
        Canonical unit of the variable.
    start, end : float
        Seconds since 1970.
    """

    values: Singles
    start: float
    end: float

    @property
    def middle(self) -> float:
        """Middle of the interval."""
        return 0.5 * (self.start + self.end)

    @property
    def length(self) -> float:
        """Length of the interval, s."""
        return self.end - self.start


def rate_of(
    variable: str,
    kind: str,
    values: npt.NDArray[Any],
    window: Window,
    before: tuple[npt.NDArray[Any], Window] | None,
) -> Rate | None:
    """Return the flux that the latest part of a window stands for.

    Parameters
    ----------
    variable : str
        One of `FLUXES`.
    kind : {"accumulated", "mean"}
        What `values` are.
    values : ndarray, shape (ny, nx)
        Sum (unit times seconds) or mean over `window`.
    window : Window
        Start and end, seconds since 1970.
    before : (ndarray, Window) or None
        The same of the time before.

    Returns
    -------
    Rate or None
        None for a window without length, as at the start of a forecast.

    Raises
    ------
    RangeError
        A flux beyond physics: mostly a window that is not the one the values belong to.
    """
    start, end = window
    if end - start < 1.0:
        return None
    total = values if kind == "accumulated" else values * np.float32(end - start)
    if before is not None and abs(before[1].start - start) < 1.0 and start + 1.0 < before[1].end < end - 1.0:
        earlier, (_, start) = before
        total = total - (earlier if kind == "accumulated" else earlier * np.float32(start - before[1].start))
    rate = np.asarray(total / np.float32(end - start), np.float32)
    limits = VARIABLES[variable]
    low, high = float(np.min(rate)), float(np.max(rate))
    if not (low >= limits.low and high <= limits.high):
        raise RangeError(
            f"{limits.text} from {from_epoch(start)} to {from_epoch(end)} spans {low:g} to {high:g} {limits.unit}, "
            f"outside {limits.low:g} to {limits.high:g}; are these its sums over that time? (option accumulated)"
        )
    return Rate(rate, start, end)


def check_tiling(variable: str, rate: Rate, previous: float, before: Rate | None) -> None:
    """Refuse a flux that leaves part of the time since the previous fields unknown.

    A flux of the hour before each third hour is a sample, and as long as the ones before it; one that is shorter is
    what is left of an interval in which a forecast began.

    Parameters
    ----------
    variable : str
        One of `FLUXES`.
    rate : Rate
        Of the interval that ends now.
    previous : float
        Time of the fields before, seconds since 1970.
    before : Rate or None
        Of the interval that ended then.

    Raises
    ------
    FormatError
        A forecast or window that starts in between.
    """
    sampled = before is not None and abs(before.length - rate.length) < 1.0
    if rate.start > previous + 1.0 and not sampled:
        raise FormatError(
            f"{VARIABLES[variable].text} at {from_epoch(rate.end)} is known from {from_epoch(rate.start)} on only, the "
            f"fields before it are of {from_epoch(previous)}: a forecast starts inside the interval; give the sums of "
            "the forecast before as well, or fields at the start"
        )


def at_moment(time: float, now: Rate | None, after: Rate | None) -> Singles:
    """Return a flux at a moment from the intervals that end at it and after it.

    Parameters
    ----------
    time : float
        Seconds since 1970.
    now, after : Rate or None
        Of the interval that ends at `time` and of the next one; one of them at least.
    """
    if now is None or after is None or after.middle - now.middle < 1.0:
        one = now or after
        assert one is not None
        return one.values
    share = np.float32(np.clip((time - now.middle) / (after.middle - now.middle), 0.0, 1.0))
    return np.asarray(now.values + share * (after.values - now.values), np.float32)
