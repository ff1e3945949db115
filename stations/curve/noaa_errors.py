"""The standard errors that NOAA's program prints, for comparison: filter theory with neighbours' correlation."""

from __future__ import annotations

import numpy as np

from obsnet.errors import ConfigError
from stations.curve import kernel
from stations.curve.fit import CurveFit

__all__ = ["lag_one", "noaa_errors"]


def lag_one(fit: CurveFit, which: str) -> tuple[float, float, float]:
    """Return standard deviation, lag-1 autocorrelation and decorrelation time (years) of filter residuals.

    Parameters
    ----------
    fit : CurveFit
        A fit.
    which : {"short", "long"}
        Residuals from the function and this filter.

    Returns
    -------
    sd, r, tau : float
        r is that of neighbouring samples; tau turns it into time by the median spacing of distinct times,
        0 where r is not positive.
    """
    rest = _filter_residual(fit, which)
    sd, r = _lag_one(rest)
    spacing = float(np.median(np.diff(np.unique(fit.x))))
    return sd, r, float(-spacing / np.log(r)) if 0.0 < r < 1.0 else 0.0


def _filter_residual(fit: CurveFit, which: str) -> np.ndarray:
    if which not in {"short", "long"}:
        raise ConfigError(f"the filters are 'short' and 'long', found {which!r}")
    values = fit.short if which == "short" else fit.long
    return fit.y - fit.function(fit.x) - np.interp(fit.x, fit.grid, values)


def _lag_one(rest: np.ndarray) -> tuple[float, float]:
    deviation = rest - rest.mean()
    return float(rest.std(ddof=1)), float(deviation[:-1] @ deviation[1:] / (deviation @ deviation))


def noaa_errors(fit: CurveFit) -> dict[str, float]:
    """Return one standard error a curve, as NOAA's program prints it.

    Parameters
    ----------
    fit : CurveFit
        Made with ``noaa_compatible``: its covariance holds the reduced chi-square twice.

    Returns
    -------
    dict of str to float
        Names as in `stations.curve.errors.standard_errors`.

    Notes
    -----
    A filter with impulse response w turns residuals of variance s^2 and autocorrelation r^|k| into values of
    variance ``s^2 sum_ij r^|i-j| w_i w_j`` (Thoning et al. 1989, doi:10.1029/JD094iD06p08549). The program does four
    things that are not meant: the covariance is multiplied by the reduced chi-square twice; the function's error is
    that of the mean date alone, with cosine terms at frequencies 1.5, 2.5, ... instead of 1, 2, ...; r is that of
    neighbouring samples whatever the grid; the growth rate's error is sqrt(2) times the trend's, which is that of a
    difference of two independent dates.
    """
    step = fit.interval_days / kernel.DAYS
    variance = {}
    for name, cutoff in (("short", fit.options.short_days), ("long", fit.options.long_days)):
        sd, r, _ = lag_one(fit, name)
        variance[name] = sd**2 * _quadratic(_impulse(cutoff, step), r)
    function, polynomial = _function_variance(fit)
    trend = variance["long"] + polynomial
    result = {
        "function": function,
        "polynomial": polynomial,
        "short": variance["short"],
        "long": variance["long"],
        "smooth": variance["short"] + function,
        "trend": trend,
        "cycle": variance["short"] + variance["long"] + 2.0 * function,
        "annual_increase": 2.0 * trend,
        "growth": 2.0 * trend,
    }
    return {name: float(np.sqrt(value)) for name, value in result.items()}


def _impulse(cutoff: float, step: float) -> np.ndarray:
    """Return the filter's response to 1 in the middle of four cutoffs of zeros."""
    size = max(4 * int(cutoff / kernel.DAYS / step), 8)
    pulse = np.zeros(size)
    pulse[size // 2] = 1.0
    return kernel.lowpass(pulse, step, (cutoff,), pad=False)[0]


def _quadratic(weight: np.ndarray, r: float) -> float:
    """Return sum_ij r^|i-j| w_i w_j; negative correlation and terms below 1e-5 count as none."""
    lagged = np.correlate(weight, weight, mode="full")[weight.size - 1 :]
    reach = (
        weight.size if r >= 1.0 else 1 if r <= 0.0 else min(weight.size, int(np.log(1e-5) / np.log(r)) + 1)
    )
    powers = r ** np.arange(reach) if r > 0 else np.ones(1)
    return float(powers[0] * lagged[0] + 2.0 * powers[1:] @ lagged[1:reach])


def _function_variance(fit: CurveFit) -> tuple[float, float]:
    t = float(np.mean(fit.x - fit.timezero))
    terms = fit.options.polynomial_terms
    index = np.arange(fit.coefficients.size - terms)
    angle = (index / 2.0 + 1.0) * 2.0 * np.pi * t
    row = np.concatenate([t ** np.arange(terms), np.where(index % 2 == 0, np.sin(angle), np.cos(angle))])
    return float(row @ fit.covariance @ row), float(
        row[:terms] @ fit.covariance[:terms, :terms] @ row[:terms]
    )
