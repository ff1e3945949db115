"""Means of fluxes over other periods and cells, with a standard deviation that is never too small."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import numpy as np

from obsnet.errors import RangeError
from obsnet.times import later
from obsnet.typing import Floats, Times

__all__ = ["BOUND", "mean_fluxes", "months_of", "time_weights"]

BOUND = (
    "Upper bound where a value is a mean of several cells, times or sectors: their errors are taken as one, since a "
    "posterior file does not say how those of single cells hang together. No correlation gives a larger one; totals of "
    "regions have their true errors."
)


def months_of(bounds: Times) -> Times:
    """Return the calendar months that periods touch, each cut to what the periods cover; shape (month, 2).

    A mean of days of a month is not one of the month: its bounds say which days it is of.
    """
    first, last = bounds.min(), bounds.max()
    edges = np.arange(
        first.astype("datetime64[M]"), later(last.astype("datetime64[M]"), 2), dtype="datetime64[M]"
    ).astype("datetime64[us]")
    found = []
    for start, stop in pairwise(edges):
        low, high = np.maximum(bounds[:, 0], start), np.minimum(bounds[:, 1], stop)
        inside = low < high
        if inside.any():
            found.append((low[inside].min(), high[inside].max()))
    return np.array(found)


def time_weights(bounds: Times, wanted: Times, what: str) -> Floats:
    """Return how much of each wanted period (row) is which of the file's (column); rows sum to 1.

    Parameters
    ----------
    bounds, wanted : ndarray of datetime64, shape (time, 2), (period, 2)
        A flux is the same throughout its own period.
    what : str
        For the error.

    Raises
    ------
    RangeError
        A wanted period that the file's do not cover once and whole.
    """
    low = np.maximum(bounds[None, :, 0], wanted[:, None, 0])
    high = np.minimum(bounds[None, :, 1], wanted[:, None, 1])
    shared = np.maximum((high - low) / np.timedelta64(1, "us"), 0.0)
    length = (wanted[:, 1] - wanted[:, 0]) / np.timedelta64(1, "us")
    bad = np.flatnonzero(np.abs(shared.sum(axis=1) - length) > 1e-9 * length)
    if bad.size:
        start, stop = (str(t)[:16] for t in wanted[bad[0]])
        raise RangeError(f"{what}: fluxes do not cover {start} to {stop} once and whole")
    return np.asarray(shared / length[:, None])


def mean_fluxes(data: Any, wanted: Times, what: str, sectors: bool = True) -> dict[str, Floats]:
    """Return means of a posterior's fluxes over periods, mol m-2 s-1.

    Parameters
    ----------
    data : xarray.Dataset
        Posterior file.
    wanted : ndarray of datetime64, shape (period, 2)
        Periods.
    what : str
        For the error.
    sectors : bool
        Keep them apart; else their sum.

    Returns
    -------
    dict of str to ndarray, shape (period, sector, lat, lon) or (period, lat, lon)
        ``flux, flux_prior`` and their ``_uncertainty``, those that the file has; of the latter see `BOUND`:
        ``sum w s``, which by the triangle
        inequality is never below the standard deviation of ``sum w x``.
    """
    weight = time_weights(data["time_bnds"].values.astype("datetime64[us]"), wanted, what)
    found = {}
    for name in ("flux", "flux_uncertainty", "flux_prior", "flux_prior_uncertainty"):
        if name in data:
            values = np.asarray(data[name].transpose("time", "sector", "lat", "lon").values, np.float64)
            mean = np.tensordot(weight, values, axes=1)
            found[name] = mean if sectors else mean.sum(axis=1)
    return found
