"""An analyser's response: polynomials from measured to assigned values, with errors in one or both."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np

from obsnet.errors import ConfigError, RangeError, SolverError

__all__ = ["Response", "fit_response"]


@dataclass(frozen=True)
class Response:
    """``assigned = sum c_i (measured - centre)^i``.

    Attributes
    ----------
    centre : float
        Mean measured value: keeps the coefficients independent of each other.
    coefficients : ndarray, shape (degree + 1,)
        Unit^(1-i).
    reading_covariance, gas_covariance : ndarray
        Of the coefficients, from the uncertainties of the readings (they differ from one calibration to the
        next) and of the gases (they stay); both enlarged by the reduced chi-square where that is above 1.
    shared : ndarray, shape (degree + 1,)
        Coefficients of what one standard deviation of the errors that all gases have in common does to the value:
        it does not average out over the gases.
    residuals : ndarray, shape (tanks,)
        Assigned minus fitted.
    reduced_chi_square : float
        NaN where the fit is exact.
    low, high : float
        Range of the measured values.
    """

    centre: float
    coefficients: np.ndarray
    reading_covariance: np.ndarray
    gas_covariance: np.ndarray
    shared: np.ndarray
    residuals: np.ndarray
    reduced_chi_square: float
    low: float
    high: float

    def value(self, measured: np.ndarray) -> np.ndarray:
        """Return calibrated values."""
        return np.polynomial.polynomial.polyval(np.asarray(measured) - self.centre, self.coefficients)

    def slope(self, measured: np.ndarray) -> np.ndarray:
        """Return d assigned / d measured."""
        derivative = np.polynomial.polynomial.polyder(self.coefficients)
        return np.polynomial.polynomial.polyval(np.asarray(measured) - self.centre, derivative)

    def uncertainty(self, measured: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return the curve's standard uncertainties sqrt(x^T C x): of the readings, and of the gases."""
        x = np.asarray(measured, dtype=np.float64) - self.centre
        rows = x[..., None] ** np.arange(self.coefficients.size)
        reading, gas = (
            np.sqrt(np.einsum("...i,ij,...j->...", rows, c, rows))
            for c in (self.reading_covariance, self.gas_covariance)
        )
        return reading, np.hypot(gas, np.polynomial.polynomial.polyval(x, self.shared))


def fit_response(
    measured: np.ndarray,
    assigned: np.ndarray,
    measured_sd: np.ndarray,
    assigned_sd: np.ndarray,
    shared_sd: np.ndarray | float = 0.0,
    *,
    degree: int = 1,
    method: Literal["wls", "odr"] = "odr",
) -> Response:
    """Fit the response of an analyser to its calibration gases.

    Parameters
    ----------
    measured, assigned : ndarray, shape (tanks,)
        Mean reading and assigned value of each gas, one unit.
    measured_sd, assigned_sd : ndarray, shape (tanks,)
        Their standard uncertainties, above 0 (``wls`` takes 0 for `measured_sd`), independent of each other.
    shared_sd : ndarray or float
        Standard uncertainty that the assigned values have in common: all are off together, each by its own size.
    degree : int
        1 linear (laser analysers), 2 quadratic (infrared cells, gas chromatographs).
    method : {"wls", "odr"}
        Weighted least squares on the assigned values, or orthogonal distance regression with errors in both.

    Returns
    -------
    Response
        With the covariance of its coefficients.

    Raises
    ------
    RangeError
        Fewer gases of different value than coefficients, or uncertainties that are not positive.

    Notes
    -----
    P. T. Boggs, R. H. Byrd, R. B. Schnabel (1987), SIAM J. Sci. Stat. Comput. 8, 1052-1078 (ODR): the sum of
    ``(x - xi)^2 / s_x^2 + (y - p(xi))^2 / s_y^2`` over true readings xi and coefficients is least.
    """
    x, y = np.asarray(measured, dtype=np.float64), np.asarray(assigned, dtype=np.float64)
    sx = np.broadcast_to(np.asarray(measured_sd, dtype=np.float64), x.shape)
    sy = np.broadcast_to(np.asarray(assigned_sd, dtype=np.float64), x.shape)
    if degree not in {1, 2}:
        raise ConfigError(f"a response is of degree 1 or 2, found {degree}")
    if method not in {"wls", "odr"}:
        raise ConfigError(f"method {method!r} is not one of wls, odr")
    if np.unique(x).size <= degree or not (np.isfinite(x).all() and np.isfinite(y).all()):
        raise RangeError(
            f"a response of degree {degree} needs more than {degree} different gases, found {x.size}"
        )
    if not ((sy > 0).all() and (sx >= 0).all() and (method == "wls" or (sx > 0).all())):
        raise RangeError("a response needs uncertainties of readings and gases above 0")
    centre = float(x.mean())
    power = np.arange(degree + 1)
    rows, weight = (x - centre)[:, None] ** power, 1.0 / sy**2
    c = np.linalg.solve((rows * weight[:, None]).T @ rows, rows.T @ (weight * y))
    residual = y - rows @ c
    chi = float(np.sum(weight * residual**2))
    if method == "odr":
        c, rows, weight, chi = _orthogonal(x - centre, y, sx, sy, c)
        residual = y - np.polynomial.polynomial.polyval(x - centre, c)
    freedom = x.size - degree - 1
    reduced = chi / freedom if freedom else float("nan")
    inflate = reduced if freedom and reduced > 1.0 else 1.0
    # c is linear in y, c = A y; a reading's error acts through the slope
    estimator = np.linalg.solve((rows * weight[:, None]).T @ rows, (rows * weight[:, None]).T)
    slope = np.polynomial.polynomial.polyval(x - centre, np.polynomial.polynomial.polyder(c))
    reading = inflate * (estimator * (slope * sx) ** 2) @ estimator.T
    gas = inflate * (estimator * sy**2) @ estimator.T
    shared = estimator @ np.broadcast_to(np.asarray(shared_sd, dtype=np.float64), x.shape)
    return Response(centre, c, reading, gas, shared, residual, reduced, float(x.min()), float(x.max()))


def _orthogonal(
    x: np.ndarray, y: np.ndarray, sx: np.ndarray, sy: np.ndarray, start: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray, float]:
    """Return coefficients, rows and weights of the last step, and the sum of squares, of an ODR.

    For given coefficients c the best true reading xi of each point is a problem of its own; for given xi the
    curve, taken as its tangent there, is a weighted least squares with variances sy^2 + p'(xi)^2 sx^2. The
    two in turn end where the gradient of the whole sum vanishes.
    """
    poly = np.polynomial.polynomial
    power = np.arange(start.size)
    c, true = start, x
    for _ in range(500):
        for _ in range(3):  # Gauss-Newton of each point; p is nearly straight over sx
            slope = poly.polyval(true, poly.polyder(c))
            miss = y - poly.polyval(true, c)
            true = x + slope * sx**2 * (miss + slope * (true - x)) / (sy**2 + slope**2 * sx**2)
        slope = poly.polyval(true, poly.polyder(c))
        weight = 1.0 / (sy**2 + slope**2 * sx**2)
        rows = true[:, None] ** power
        tangent = y - slope * (x - true)
        new = np.linalg.solve((rows * weight[:, None]).T @ rows, rows.T @ (weight * tangent))
        step = np.abs(rows @ (new - c)).max()
        c = new
        if step <= 1e-13 * max(float(np.abs(y).max()), 1e-30):
            chi = float(np.sum((true - x) ** 2 / sx**2 + (poly.polyval(true, c) - y) ** 2 / sy**2))
            return c, rows, weight, chi
    raise SolverError(
        "orthogonal distance regression did not converge: the readings scatter more than the gases"
    )
