"""Space-time variograms: a robust empirical one, and the product-sum model fitted to it.

Distances are great circles in km, lags in time are days. What measurement errors add to the differences of
pairs is taken off, so that the model describes the field alone.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numba
import numpy as np
import numpy.typing as npt

from obsnet.errors import RangeError
from obsnet.sphere import EARTH_RADIUS_KM, unit_vectors
from obsnet.typing import Floats, Ints

__all__ = ["EmpiricalVariogram", "ProductSum", "empirical_variogram", "fit_product_sum"]

_PULL = 0.02  # per e-fold from the first guess, where a misfit of 1 is a bin off by its own size


@dataclass(frozen=True)
class ProductSum:
    """The product-sum model with exponential margins.

    ``gamma(h, t) = g_s + g_t - k g_s g_t + nugget``, with ``g_s = sill_space (1 - exp(-h / range_km))`` and
    ``g_t`` likewise; 0 at (0, 0).

    Parameters
    ----------
    sill_space, sill_time : float
        Sills of the margins, unit of the values squared.
    range_km, range_days : float
        Lengths of the exponentials (a third of the practical range).
    k : float
        Interaction; valid from 0 to 1 / max(sill_space, sill_time).
    nugget : float
        Variance of the field below the smallest distance; measurement error is not in it.
    at_bounds : tuple of str
        Parameters that a fit left at a bound: the data do not tell them.

    Raises
    ------
    RangeError
        Parameters for which the model is no covariance.

    Notes
    -----
    De Iaco, Myers and Posa (2001), doi:10.1016/S0167-7152(00)00200-5. As a covariance
    ``C = (1 - k sill_time) C_s + (1 - k sill_space) C_t + k C_s C_t``. Exponentials of the great-circle
    distance are valid on the sphere (Gneiting 2013, doi:10.3150/12-BEJSP06).
    """

    sill_space: float
    range_km: float
    sill_time: float
    range_days: float
    k: float
    nugget: float = 0.0
    at_bounds: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        for name in ("range_km", "range_days"):
            if not getattr(self, name) > 0.0:
                raise RangeError(f"{name} must be positive, found {getattr(self, name)}")
        for name in ("sill_space", "sill_time", "k", "nugget"):
            if not getattr(self, name) >= 0.0:
                raise RangeError(f"{name} must not be negative, found {getattr(self, name)}")
        largest = max(self.sill_space, self.sill_time)
        if self.k * largest > 1.0 + 1e-9:
            raise RangeError(f"k = {self.k:g} exceeds 1 / {largest:g}: the model is no covariance")

    @property
    def sill(self) -> float:
        """Variance of the field without the nugget."""
        return self.sill_space + self.sill_time - self.k * self.sill_space * self.sill_time

    @property
    def parameters(self) -> Floats:
        """The numbers as kernels take them: weights of C_s, C_t and their product, both lengths, nugget.

        The margins are scaled to one here: ``C = p0 e_s + p1 e_t + p2 e_s e_t``.
        """
        a, b, k = self.sill_space, self.sill_time, self.k
        return np.array(
            [a * (1 - k * b), b * (1 - k * a), k * a * b, self.range_km, self.range_days, self.nugget]
        )

    def covariance(self, distance_km: npt.ArrayLike, days: npt.ArrayLike) -> Floats:
        """Return the covariance of the field at a separation, without the nugget."""
        p = self.parameters
        es = np.exp(-np.asarray(distance_km, np.float64) / p[3])
        et = np.exp(-np.abs(np.asarray(days, np.float64)) / p[4])
        return np.asarray(p[0] * es + p[1] * et + p[2] * es * et)

    def gamma(self, distance_km: npt.ArrayLike, days: npt.ArrayLike) -> Floats:
        """Return the semivariance at a separation that is not zero."""
        return np.asarray(self.sill + self.nugget - self.covariance(distance_km, days))


@dataclass(frozen=True)
class EmpiricalVariogram:
    """Semivariances of pairs by lag; arrays (distance bins, time bins), NaN where there are no pairs.

    Parameters
    ----------
    distance_km, days : ndarray
        Mean lag of the pairs of a bin.
    gamma : ndarray
        Robust semivariance, measurement error taken off; may be a little below 0 near the origin.
    pairs : ndarray of int64
        Their number.
    error : ndarray
        What was taken off.
    """

    distance_km: Floats
    days: Floats
    gamma: Floats
    pairs: Ints
    error: Floats


@numba.njit(cache=True)
def _pairs(
    xyz: Floats,
    days: Floats,
    value: Floats,
    variance: Floats,
    h_edges: Floats,
    t_edges: Floats,
    radius: float,
) -> Floats:
    """Sum over pairs: number, root of the absolute difference, distance, time lag, error variance."""
    nh, nt = h_edges.shape[0] - 1, t_edges.shape[0] - 1
    out = np.zeros((nh, nt, 5))
    chord_limit = 2.0 * np.sin(min(h_edges[nh] / (2.0 * radius), 0.5 * np.pi))
    for i in range(xyz.shape[0]):
        for j in range(i):
            lag = abs(days[i] - days[j])
            if lag >= t_edges[nt]:
                continue
            c = 0.0
            for axis in range(3):
                c += (xyz[i, axis] - xyz[j, axis]) ** 2
            c = np.sqrt(c)
            if c >= chord_limit:
                continue
            h = 2.0 * radius * np.arcsin(min(0.5 * c, 1.0))
            a = np.searchsorted(h_edges, h, side="right") - 1
            b = np.searchsorted(t_edges, lag, side="right") - 1
            if a < 0 or b < 0 or a >= nh or b >= nt:
                continue
            out[a, b, 0] += 1.0
            out[a, b, 1] += np.sqrt(abs(value[i] - value[j]))
            out[a, b, 2] += h
            out[a, b, 3] += lag
            out[a, b, 4] += 0.5 * (variance[i] + variance[j])
    return out


def empirical_variogram(
    latitude: npt.ArrayLike,
    longitude: npt.ArrayLike,
    time: npt.ArrayLike,
    value: npt.ArrayLike,
    uncertainty: npt.ArrayLike | None = None,
    *,
    distance_edges: npt.ArrayLike = (0, 50, 100, 150, 200, 300, 400, 500, 700, 900, 1200, 1500),
    day_edges: npt.ArrayLike = (0, 0.5, 1.5, 2.5, 3.5, 5.5, 7.5, 10.5, 15.5),
    most: int = 5000,
    seed: int = 0,
) -> EmpiricalVariogram:
    """Return the semivariance of residuals by distance and time lag.

    Parameters
    ----------
    latitude, longitude : array_like, shape (n,)
        Degrees.
    time : array_like of datetime64, shape (n,)
        UTC.
    value : array_like, shape (n,)
        With the mean taken off.
    uncertainty : array_like, shape (n,), optional
        Standard deviations of the measurement errors, taken to be independent. Values more than twice as
        uncertain as the median tell little and cost much, so they are left out.
    distance_edges, day_edges : array_like
        Edges of the bins, km and days.
    most, seed : int
        Larger sets are thinned at random to so many.

    Returns
    -------
    EmpiricalVariogram

    Notes
    -----
    Cressie and Hawkins (1980), doi:10.1007/BF01035243:
    ``2 gamma = (mean |d|^(1/2))^4 / (0.457 + 0.494 / N + 0.045 / N^2)``, which outliers move
    far less than they do a mean square.
    """
    parts = [np.asarray(x, np.float64) for x in (latitude, longitude, value)]
    days = (np.asarray(time).astype("datetime64[us]") - np.datetime64("2000-01-01", "us")) / np.timedelta64(
        1, "D"
    )
    sigma = np.zeros(len(days)) if uncertainty is None else np.asarray(uncertainty, np.float64)
    usable = np.isfinite(np.stack([*parts, days, sigma])).all(axis=0)
    if usable.any():
        usable &= sigma <= 2.0 * np.median(sigma[usable])
    if usable.sum() < 2:
        raise RangeError(f"a variogram needs at least two values, found {int(usable.sum())}")
    rows = np.flatnonzero(usable)
    if len(rows) > most:
        rows = np.sort(np.random.default_rng(seed).choice(rows, most, replace=False))
    lat, lon, y = (x[rows] for x in parts)
    h, t = np.asarray(distance_edges, np.float64), np.asarray(day_edges, np.float64)
    sums = _pairs(unit_vectors(lat, lon), days[rows], y, sigma[rows] ** 2, h, t, EARTH_RADIUS_KM)
    number = sums[..., 0]
    with np.errstate(invalid="ignore", divide="ignore"):
        root, distance, lag, error = (sums[..., i] / number for i in range(1, 5))
        gamma = 0.5 * root**4 / (0.457 + 0.494 / number + 0.045 / number**2) - error
    return EmpiricalVariogram(distance, lag, gamma, number.astype(np.int64), error)


def fit_product_sum(empirical: EmpiricalVariogram, *, fewest: int = 20) -> ProductSum:
    """Fit the product-sum model.

    Parameters
    ----------
    empirical : EmpiricalVariogram
        With bins at several distances and, unless time does not matter, several time lags.
    fewest : int
        Pairs that a bin must have.

    Returns
    -------
    ProductSum
        Always a valid covariance; ``at_bounds`` names parameters that ended at a bound, and which. A range below
        the shortest lag is no range that pairs could tell: its sill is then in the nugget.

    Raises
    ------
    RangeError
        Fewer than four usable bins.

    Notes
    -----
    Residuals relative to the model's semivariance, weighted by the root of the number of pairs (Cressie 1985,
    doi:10.1007/BF01032109) and by nearness, with a soft L1 loss, from several first guesses. A weak pull
    towards the first guess decides what the data leave open: samples of one overpass say nothing about time.
    """
    from scipy.optimize import least_squares

    use = (empirical.pairs >= fewest) & np.isfinite(empirical.gamma)
    if use.sum() < 4:
        raise RangeError(
            f"a variogram needs four bins of at least {fewest} pairs, found {int(use.sum())}; "
            "map a longer time or a larger region, or give the model"
        )
    h, t, gamma = empirical.distance_km[use], empirical.days[use], empirical.gamma[use]
    level = float(np.median(np.maximum(gamma, 0.0))) or float(np.median(empirical.error[use])) or 1.0
    # kriging lives on the short lags; the long ones are trend as much as covariance
    far = h / max(float(h.max()), 1e-9) + t / max(float(t.max()), 1.0)
    weight = np.sqrt(empirical.pairs[use] / empirical.pairs[use].max()) / (0.2 + far)
    weight *= np.sqrt(len(weight) / np.sum(weight**2))

    def model(p: Floats) -> ProductSum:
        a, length, b, days, nugget = np.exp(p[:5])
        return ProductSum(a, length, b, days, float(_logistic(p[5])) / max(a, b), nugget)

    def residual(p: Floats) -> Floats:
        fitted = model(p).gamma(h, t)
        misfit = weight * (gamma - fitted) / (fitted + 0.05 * level)
        return np.append(misfit, _PULL * (p - guess))

    most = 3.0 * max(float(gamma.max()), level)
    low = np.log([1e-6 * level, h.min() / 2, 1e-6 * level, 0.5, 1e-6 * level])
    high = np.log([most, 4 * h.max(), most, 4 * max(t.max(), 5.0), most])
    guess = np.append(np.log([level, 0.3 * h.max(), 0.3 * level, max(0.3 * t.max(), 3.0), 0.05 * level]), 0.0)
    best = None
    for length in (0.1, 0.4):
        for share in (0.2, 0.7):
            start = np.log([level, length * h.max(), share * level, max(0.3 * t.max(), 0.1), 0.05 * level])
            start = np.append(np.clip(start, low + 1e-3, high - 1e-3), 0.0)
            found = least_squares(
                residual,
                start,
                bounds=(np.append(low, -6.0), np.append(high, 6.0)),
                loss="soft_l1",
                f_scale=0.2,
                x_scale=1.0,
            )
            if best is None or found.cost < best.cost:
                best = found
    assert best is not None
    return _resolved(model(best.x), best.x, low, high)


def _resolved(found: ProductSum, x: Floats, low: Floats, high: Floats) -> ProductSum:
    """Name the lengths that ended at a bound; what varies below the shortest lag becomes nugget."""
    told = tuple(
        f"{name} {end}"
        for k, name in ((1, "range_km"), (3, "range_days"))
        for end, room in (("lowest", x[k] - low[k]), ("highest", high[k] - x[k]))
        if room < 0.02
    )
    if "range_km lowest" not in told:
        return replace(found, at_bounds=told)
    a, b, k = found.sill_space, found.sill_time, found.k
    rest = float(np.exp(high[1])) / 4.0  # of no consequence: its sill is next to nothing
    return ProductSum(1e-6 * a, rest, b * (1.0 - k * a), found.range_days, 0.0, found.nugget + a, told)


def _logistic(x: float) -> float:
    return float(1.0 / (1.0 + np.exp(-x)))
