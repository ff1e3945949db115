"""The value of a standard-gas tank over time: a drift polynomial whose degree must earn its place."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.stats import chi2
from scipy.stats import t as student

from obsnet.errors import ConfigError, RangeError

__all__ = ["TankDrift", "fit_tank_drift"]

DEGREES = {"auto": None, "mean": 0, "linear": 1, "quadratic": 2}


@dataclass(frozen=True)
class TankDrift:
    """Assigned value of a tank, ``c0 + c1 (t - t0) + c2 (t - t0)^2``, t in decimal years.

    Attributes
    ----------
    t0 : float
        Weighted mean date of the calibrations.
    coefficients, uncertainties : ndarray, shape (3,)
        Unit, unit/yr, unit/yr2; 0 beyond the degree.
    covariance : ndarray, shape (3, 3)
        Of the coefficients, from the stated uncertainties (not scaled by the scatter): NOAA's.
    own_covariance : ndarray, shape (3, 3)
        Of the coefficients, from the uncertainties of the measurements alone, enlarged by the scatter of the
        calibrations where that is more.
    excess : float
        How many times the calibrations scatter more than they state, where that is significant (chi-square, 5 %); 1
        otherwise.
    systematic : float
        What every calibration has in common (type B, weighted root mean square); it does not average out.
    degree : int
        0 to 2.
    residual_sd, reduced_chi_square : float
        Of the calibrations about the curve.
    n : int
        Calibrations.
    first, last : float
        Decimal years of the first and the last calibration; infinite where the value holds for any time.
    missed : ndarray, shape (4,)
        What a curve one degree up would add, as a polynomial in t - t0: the root mean square of its highest
        coefficient times what that power has left over from the curve's own best fit to it. NaN where the dates
        are too few to tell.
    """

    t0: float
    coefficients: np.ndarray
    uncertainties: np.ndarray
    covariance: np.ndarray
    own_covariance: np.ndarray
    excess: float
    systematic: float
    degree: int
    residual_sd: float
    reduced_chi_square: float
    n: int
    first: float
    last: float
    missed: np.ndarray

    def value(self, year: np.ndarray) -> np.ndarray:
        """Return the tank's value at decimal years."""
        t = np.asarray(year, dtype=np.float64) - self.t0
        return self.coefficients[0] + t * (self.coefficients[1] + t * self.coefficients[2])

    def beyond(self, year: np.ndarray) -> np.ndarray:
        """Return how many years before the first or after the last calibration decimal years lie; 0 between."""
        year = np.asarray(year, dtype=np.float64)
        return np.maximum(np.maximum(self.first - year, year - self.last), 0.0)

    def own_uncertainty(self, year: np.ndarray) -> np.ndarray:
        """Return the standard uncertainty that is this tank's alone.

        That of the curve, with the scatter between the calibrations; outside their dates also that of the drift
        they could not show.
        """
        years = np.atleast_1d(np.asarray(year, dtype=np.float64))
        rows = (years - self.t0)[:, None] ** np.arange(3)
        curve = np.einsum("ij,jk,ik->i", rows, self.own_covariance, rows)
        missed = np.polynomial.polynomial.polyval(years - self.t0, np.nan_to_num(self.missed))
        return np.sqrt(curve + np.where(self.beyond(years) > 0, missed, 0.0) ** 2).reshape(np.shape(year))

    def uncertainty(self, year: np.ndarray) -> np.ndarray:
        """Return the value's standard uncertainty: this tank's own and what all its calibrations share."""
        return np.hypot(self.own_uncertainty(year), self.systematic)


def fit_tank_drift(
    year: np.ndarray,
    value: np.ndarray,
    uncertainty: np.ndarray,
    systematic: np.ndarray | float = 0.0,
    *,
    degree: str = "auto",
) -> TankDrift:
    """Fit the drift of a tank to its calibrations.

    Parameters
    ----------
    year : ndarray, shape (n,)
        Decimal years.
    value : ndarray, shape (n,)
        Calibrated values.
    uncertainty : ndarray, shape (n,)
        Standard uncertainty of each measurement.
    systematic : ndarray or float
        Uncertainty of each calibration that repeating does not show (type B). It joins the weights in quadrature,
        as at NOAA, but not the uncertainty of the curve: repeating does not make it smaller.
    degree : {"auto", "mean", "linear", "quadratic"}
        ``auto`` begins with a quadratic (a line for three dates or fewer) and drops the highest term until
        it is significant: |c|/u(c) above Student's t at 95 %, or at least 2 where the fit is exact.

    Returns
    -------
    TankDrift
        The procedure of NOAA GML's tank fits.

    Raises
    ------
    RangeError
        No calibration, or an uncertainty that is not positive.
    """
    if degree not in DEGREES:
        raise ConfigError(f"degree {degree!r} is not one of {', '.join(DEGREES)}")
    x, y = np.asarray(year, dtype=np.float64), np.asarray(value, dtype=np.float64)
    own = np.broadcast_to(np.asarray(uncertainty, dtype=np.float64), x.shape)
    shared = np.broadcast_to(np.asarray(systematic, dtype=np.float64), x.shape)
    if x.size == 0 or not (np.isfinite(x).all() and np.isfinite(y).all() and (own > 0).all()):
        raise RangeError(
            f"a tank needs calibrations with dates, values and uncertainties above 0, found {x.size}"
        )
    weight = 1.0 / (own**2 + shared**2)
    t0 = float(np.average(x, weights=weight))
    dates = np.unique(x).size
    wanted = DEGREES[degree]
    if wanted is not None:
        if dates <= wanted:
            raise RangeError(f"a {degree} fit needs calibrations on more than {wanted} dates, found {dates}")
        candidates = [wanted]
    else:
        top = 0 if dates <= 1 or np.unique(y).size == 1 else 1 if dates <= 3 else 2
        candidates = list(range(top, -1, -1))
    for order in candidates:
        line = _polynomial(x - t0, y, own, weight, order)
        stated, shown = line.covariance[order, order], line.own_covariance[order, order]
        if line.freedom == 0:
            significant = abs(line.c[order]) >= 2.0 * np.sqrt(stated)
        else:  # against the larger of what is stated and what the scatter shows
            significant = abs(line.c[order]) > student.ppf(0.975, line.freedom) * np.sqrt(max(stated, shown))
        if significant:
            break
    full, spread, scatter = np.zeros(3), np.zeros((3, 3)), np.zeros((3, 3))
    size = order + 1
    full[:size], spread[:size, :size], scatter[:size, :size] = line.c, line.covariance, line.own_covariance
    missed = np.full(4, np.nan)
    if dates > order + 1:
        more = _polynomial(x - t0, y, own, weight, order + 1)
        power = (x - t0) ** (order + 1)
        missed[:] = 0.0
        missed[:size], missed[size] = -_polynomial(x - t0, power, own, weight, order).c, 1.0
        missed *= np.hypot(more.c[-1], np.sqrt(more.own_covariance[-1, -1]))
    return TankDrift(
        t0=t0,
        coefficients=full,
        uncertainties=np.sqrt(np.diag(spread)),
        covariance=spread,
        own_covariance=scatter,
        excess=line.excess,
        systematic=float(np.sqrt(np.average(shared**2, weights=weight))),
        degree=order,
        residual_sd=float(line.residual.std(ddof=1)) if x.size > 1 else 0.0,
        reduced_chi_square=float(np.sum(line.residual**2 * weight) / line.freedom) if line.freedom else 0.0,
        n=int(x.size),
        first=float(x.min()),
        last=float(x.max()),
        missed=missed,
    )


@dataclass(frozen=True)
class _Polynomial:
    c: np.ndarray
    covariance: np.ndarray
    own_covariance: np.ndarray
    scatter: float
    excess: float
    residual: np.ndarray
    freedom: int


def _polynomial(t: np.ndarray, y: np.ndarray, own: np.ndarray, weight: np.ndarray, order: int) -> _Polynomial:
    rows = t[:, None] ** np.arange(order + 1)
    covariance = np.linalg.inv((rows * weight[:, None]).T @ rows)
    estimator = covariance @ (rows * weight[:, None]).T
    c = estimator @ y
    residual = y - rows @ c
    freedom = t.size - order - 1
    if freedom:
        scatter = float(np.sum((residual / own) ** 2) / freedom)
    else:  # an exact fit shows no scatter: what one degree less leaves over may be drift or scatter
        scatter = _polynomial(t, y, own, weight, order - 1).scatter if order else 1.0
    # Birge: calibrations that scatter more than they state were more uncertain than that
    own_covariance = max(1.0, scatter) * (estimator * own**2) @ estimator.T
    significant = freedom > 0 and chi2.sf(scatter * freedom, freedom) < 0.05
    excess = float(np.sqrt(scatter)) if significant else 1.0
    return _Polynomial(c, covariance, own_covariance, scatter, excess, residual, freedom)
