"""What columns do on average, taken off before they are interpolated: latitude, season, growth."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from obsnet.errors import ConfigError, RangeError, nearest
from obsnet.times import to_epoch
from obsnet.typing import Floats

__all__ = ["TERMS", "Trend", "choose_terms", "design", "fit_trend"]

_DAY = 86400.0
_YEAR = 365.2425

# name -> columns from (latitude / 10 degrees, days since the origin)
TERMS = {
    "constant": lambda lat, days: [np.ones_like(lat)],
    "latitude": lambda lat, days: [lat],
    "latitude2": lambda lat, days: [lat**2],
    "time": lambda lat, days: [days / _YEAR],
    "annual": lambda lat, days: [np.sin(2 * np.pi * days / _YEAR), np.cos(2 * np.pi * days / _YEAR)],
    "semiannual": lambda lat, days: [np.sin(4 * np.pi * days / _YEAR), np.cos(4 * np.pi * days / _YEAR)],
}


@dataclass(frozen=True)
class Trend:
    """A fitted mean.

    Parameters
    ----------
    terms : tuple of str
        Names of `TERMS`.
    coefficients : ndarray of float64
        In the unit of the values.
    origin : datetime64
        Time 0.
    """

    terms: tuple[str, ...]
    coefficients: Floats
    origin: np.datetime64

    def at(self, latitude: npt.ArrayLike, time: npt.ArrayLike) -> Floats:
        """Return the mean at places and times, broadcast together."""
        return np.asarray(design(self.terms, latitude, time, self.origin) @ self.coefficients)


def choose_terms(latitude: npt.ArrayLike, time: npt.ArrayLike) -> tuple[str, ...]:
    """Return the terms that data of such a spread can tell apart.

    Parameters
    ----------
    latitude : array_like
        Degrees.
    time : array_like of datetime64
        UTC.

    Returns
    -------
    tuple of str
        A slope in latitude from 5 degrees on, a slope in time from 20 days on, the annual wave from 300 days
        and the semiannual one from two years on.
    """
    lat, seconds = np.asarray(latitude, np.float64), to_epoch(time)
    days = (np.nanmax(seconds) - np.nanmin(seconds)) / _DAY if seconds.size else 0.0
    terms = ["constant"]
    if lat.size and np.ptp(lat) >= 5.0:
        terms.append("latitude")
    for name, least in (("time", 20.0), ("annual", 300.0), ("semiannual", 700.0)):
        if days >= least:
            terms.append(name)
    return tuple(terms)


def design(
    terms: tuple[str, ...], latitude: npt.ArrayLike, time: npt.ArrayLike, origin: np.datetime64
) -> Floats:
    """Return the columns of terms at places and times, shape (..., columns).

    Raises
    ------
    ConfigError
        An unknown term.
    """
    for name in terms:
        if name not in TERMS:
            raise ConfigError(f"unknown trend term {name!r}{nearest(name, TERMS)}")
    seconds = to_epoch(time) - float(to_epoch(origin))
    lat, days = np.broadcast_arrays(np.asarray(latitude, np.float64) / 10.0, seconds / _DAY)
    return np.stack([column for name in terms for column in TERMS[name](lat, days)], axis=-1)


def fit_trend(
    latitude: npt.ArrayLike,
    time: npt.ArrayLike,
    value: npt.ArrayLike,
    *,
    terms: tuple[str, ...] | None = None,
    iterations: int = 20,
) -> Trend:
    """Fit a mean that outliers do not move much.

    Parameters
    ----------
    latitude, time, value : array_like, shape (n,)
        Degrees, UTC, and columns.
    terms : tuple of str, optional
        By default `choose_terms`.
    iterations : int
        Of reweighting.

    Returns
    -------
    Trend

    Raises
    ------
    RangeError
        Fewer values than terms, or values that are not finite.

    Notes
    -----
    Huber's weights by iterated least squares: 1 within 1.345 times the scale (1.4826 times the median
    absolute residual), falling as 1 / residual beyond.
    """
    y, when = np.asarray(value, np.float64), np.asarray(time).astype("datetime64[us]")
    names = choose_terms(latitude, when) if terms is None else tuple(terms)
    if y.size == 0:
        raise RangeError("a trend needs at least one value")
    origin = when.min()
    matrix = design(names, latitude, when, origin)
    if not np.isfinite(y).all() or not np.isfinite(matrix).all():
        raise RangeError("a trend needs finite values, latitudes and times")
    if len(y) < matrix.shape[1]:
        raise RangeError(
            f"{len(y)} values cannot fit the {matrix.shape[1]} coefficients of {', '.join(names)}"
        )
    weight: Floats = np.ones_like(y)
    coefficients: Floats = np.zeros(matrix.shape[1])
    for _ in range(iterations):
        root = np.sqrt(weight)
        new = np.asarray(np.linalg.lstsq(matrix * root[:, None], y * root, rcond=None)[0], np.float64)
        done = np.abs(matrix @ (new - coefficients)).max() < 1e-9 * max(1.0, float(np.abs(y).max()))
        coefficients = new
        if done:
            break
        size = np.abs(y - matrix @ coefficients)
        limit = 1.345 * 1.4826 * np.median(size)
        weight = np.minimum(1.0, limit / np.maximum(size, 1e-300)) if limit > 0 else np.ones_like(y)
    return Trend(names, coefficients, origin)
