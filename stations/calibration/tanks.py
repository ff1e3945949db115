"""The value of a standard-gas tank over time: a drift polynomial whose degree must earn its place."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
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
        Of the coefficients, from the stated uncertainties (not scaled by the scatter).
    degree : int
        0 to 2.
    residual_sd, reduced_chi_square : float
        Of the calibrations about the curve.
    n : int
        Calibrations.
    first, last : float
        Decimal years of the first and the last calibration.
    """

    t0: float
    coefficients: np.ndarray
    uncertainties: np.ndarray
    covariance: np.ndarray
    degree: int
    residual_sd: float
    reduced_chi_square: float
    n: int
    first: float
    last: float

    def value(self, year: np.ndarray) -> np.ndarray:
        """Return the tank's value at decimal years."""
        t = np.asarray(year, dtype=np.float64) - self.t0
        return self.coefficients[0] + t * (self.coefficients[1] + t * self.coefficients[2])

    def uncertainty(self, year: np.ndarray) -> np.ndarray:
        """Return its standard uncertainty, which grows outside the dates of the calibrations."""
        rows = (np.atleast_1d(np.asarray(year, dtype=np.float64)) - self.t0)[:, None] ** np.arange(3)
        return np.sqrt(np.einsum("ij,jk,ik->i", rows, self.covariance, rows)).reshape(np.shape(year))


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
        Uncertainty of each calibration that repeating does not show (type B), joined in quadrature.
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
    sigma = np.hypot(np.broadcast_to(uncertainty, x.shape), np.broadcast_to(systematic, x.shape)).astype(
        np.float64
    )
    if x.size == 0 or not (np.isfinite(x).all() and np.isfinite(y).all() and (sigma > 0).all()):
        raise RangeError(
            f"a tank needs calibrations with dates, values and uncertainties above 0, found {x.size}"
        )
    weight = 1.0 / sigma**2
    t0 = float(np.average(x, weights=weight))
    t = x - t0
    dates = np.unique(t).size
    wanted = DEGREES[degree]
    if wanted is not None:
        if dates <= wanted:
            raise RangeError(f"a {degree} fit needs calibrations on more than {wanted} dates, found {dates}")
        candidates = [wanted]
    else:
        top = 0 if dates <= 1 or np.unique(y).size == 1 else 1 if dates <= 3 else 2
        candidates = list(range(top, -1, -1))
    for order in candidates:
        rows = t[:, None] ** np.arange(order + 1)
        covariance = np.linalg.inv((rows * weight[:, None]).T @ rows)
        c = covariance @ (rows.T @ (weight * y))
        freedom = x.size - order - 1
        ratio = abs(c[order]) / np.sqrt(covariance[order, order])
        if ratio >= 2.0 if freedom == 0 else ratio > student.ppf(0.975, freedom):
            break
    full, spread = np.zeros(3), np.zeros((3, 3))
    full[: order + 1], spread[: order + 1, : order + 1] = c, covariance
    residual = y - rows @ c
    chi_square = float(np.sum(residual**2 * weight) / freedom) if freedom else 0.0
    sd = float(residual.std(ddof=1)) if x.size > 1 else 0.0
    return TankDrift(
        t0,
        full,
        np.sqrt(np.diag(spread)),
        spread,
        order,
        sd,
        chi_square,
        int(x.size),
        float(x.min()),
        float(x.max()),
    )
