"""Standard errors of a fitted curve: filter theory with AR(1) residuals, and a Monte-Carlo ensemble.

The least-squares covariance takes residuals for independent. They are not, so trend and growth need more:
the filter's impulse response with the residuals' autocorrelation (fast, the middle of the record), or an
ensemble of AR(1) noise on the record's own dates sent through the whole fit (everything, the ends too).
"""

from __future__ import annotations

from dataclasses import dataclass

import numba
import numpy as np
from scipy.interpolate import CubicSpline

from obsnet.errors import ConfigError
from stations.curve import kernel
from stations.curve.fit import CurveFit, curve_derivative, filter_residuals

CHUNK = 4_000_000  # values of an ensemble held at a time

__all__ = ["CurveEnsemble", "coefficient_sd", "curve_ensemble", "function_sd", "lag_one", "standard_errors"]


def coefficient_sd(fit: CurveFit) -> np.ndarray:
    """Return the standard deviation of each coefficient, residuals taken as independent."""
    return np.sqrt(np.diag(fit.covariance))


def function_sd(
    fit: CurveFit, year: np.ndarray, *, polynomial_only: bool = False, derivative: bool = False
) -> np.ndarray:
    """Return the standard error of the function at decimal years, from the covariance of the coefficients.

    Parameters
    ----------
    fit : CurveFit
        A fit.
    year : ndarray, shape (k,)
        Decimal years.
    polynomial_only : bool
        Leave the harmonics out.
    derivative : bool
        Of the polynomial's time derivative, unit per year.
    """
    t = np.atleast_1d(np.asarray(year, dtype=np.float64)) - fit.timezero
    terms = fit.options.polynomial_terms
    rows = _jacobian(fit, t)
    if derivative:
        powers = rows[:, :terms]
        rows = np.zeros_like(powers)
        rows[:, 1:] = powers[:, :-1] * np.arange(1, terms)
    elif polynomial_only:
        rows = rows[:, :terms]
    size = rows.shape[1]
    return np.sqrt(np.einsum("ij,jk,ik->i", rows, fit.covariance[:size, :size], rows))


def _jacobian(fit: CurveFit, t: np.ndarray) -> np.ndarray:
    """Return d function / d coefficient, shape (k, p)."""
    powers, waves = kernel.design(t, fit.options.polynomial_terms, fit.options.harmonics)
    if not fit.options.gain:
        return np.hstack([powers, waves])
    plain = waves @ fit.coefficients[powers.shape[1] : powers.shape[1] + waves.shape[1]]
    return np.hstack([powers, waves * (1.0 + fit.coefficients[-1] * t)[:, None], (t * plain)[:, None]])


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


def standard_errors(fit: CurveFit) -> dict[str, float]:
    """Return one standard error a curve, valid away from the record's ends.

    Parameters
    ----------
    fit : CurveFit
        A fit; with ``noaa_compatible`` the numbers are those that NOAA's program prints.

    Returns
    -------
    dict of str to float
        ``function, polynomial, short, long, smooth, trend, cycle, annual_increase`` in the unit of the
        values, ``growth`` in that unit per year.

    Notes
    -----
    A filter with impulse response w turns residuals of variance s^2 and autocorrelation r^|k| into values of
    variance ``s^2 sum_ij r^|i-j| w_i w_j``; the growth rate has the derivative of w in its place, the annual
    increase the difference of two w a year apart. Function and polynomial are root mean squares over the
    record of their standard error; smooth curve and trend add theirs to the filters', which errs on the wide
    side (the filter takes up much of the function's error).

    NOAA's program differs in four ways, repeated with ``noaa_compatible``: the covariance holds the reduced
    chi-square twice; the function's error is that of the mean date alone, and its cosine terms are evaluated
    at frequencies 1.5, 2.5, ... instead of 1, 2, ...; r is that of neighbouring samples whatever the grid;
    the growth rate's error is sqrt(2) times the trend's, which is that of a difference of two independent
    dates.
    """
    noaa = fit.options.noaa_compatible
    step = fit.interval_days / kernel.DAYS
    variance = {}
    for name, cutoff in (("short", fit.options.short_days), ("long", fit.options.long_days)):
        weight = _impulse(cutoff, step)
        sd, r, tau = lag_one(fit, name)
        on_grid = r if noaa else float(np.exp(-step / tau)) if tau > 0 else 0.0
        variance[name] = sd**2 * _quadratic(weight, on_grid)
        if name == "long":
            where = np.arange(weight.size) * step
            variance["slope"] = sd**2 * _quadratic(CubicSpline(where, weight)(where, 1), on_grid)
            year = round(1.0 / step)
            apart = np.pad(weight, (year, 0)) - np.pad(weight, (0, year))
            variance["increase"] = sd**2 * _quadratic(apart, on_grid)
    if noaa:
        variance["function"], variance["polynomial"] = _noaa_function_variance(fit)
    else:
        variance["function"] = float(np.mean(function_sd(fit, fit.grid) ** 2))
        variance["polynomial"] = float(np.mean(function_sd(fit, fit.grid, polynomial_only=True) ** 2))
    trend = variance["long"] + variance["polynomial"]
    if noaa:
        growth = increase = 2.0 * trend
    else:
        slope = float(np.mean(function_sd(fit, fit.grid, derivative=True) ** 2))
        growth, increase = variance["slope"] + slope, variance["increase"] + slope
    result = {
        "function": variance["function"],
        "polynomial": variance["polynomial"],
        "short": variance["short"],
        "long": variance["long"],
        "smooth": variance["short"] + variance["function"],
        "trend": trend,
        "cycle": variance["short"] + variance["long"] + 2.0 * variance["function"],
        "annual_increase": increase,
        "growth": growth,
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


def _noaa_function_variance(fit: CurveFit) -> tuple[float, float]:
    t = float(np.mean(fit.x - fit.timezero))
    terms = fit.options.polynomial_terms
    index = np.arange(fit.coefficients.size - terms)
    angle = (index / 2.0 + 1.0) * 2.0 * np.pi * t
    row = np.concatenate([t ** np.arange(terms), np.where(index % 2 == 0, np.sin(angle), np.cos(angle))])
    return float(row @ fit.covariance @ row), float(
        row[:terms] @ fit.covariance[:terms, :terms] @ row[:terms]
    )


@dataclass(frozen=True)
class CurveEnsemble:
    """Standard errors from an ensemble of fits to AR(1) noise.

    Attributes
    ----------
    grid : ndarray, shape (m,)
        Decimal years.
    smooth, trend, growth : ndarray, shape (m,)
        Standard errors; growth in the unit per year.
    annual_increase : dict of int to float
        By year.
    coefficients : ndarray, shape (p,)
        With autocorrelated residuals; a fitted gain is held fixed and has 0.
    replicates, seed : int
        How they were made.
    """

    grid: np.ndarray
    smooth: np.ndarray
    trend: np.ndarray
    growth: np.ndarray
    annual_increase: dict[int, float]
    coefficients: np.ndarray
    replicates: int
    seed: int

    def at(self, year: np.ndarray, which: str) -> np.ndarray:
        """Return ``smooth``, ``trend`` or ``growth`` at decimal years; NaN outside the record."""
        return np.interp(
            np.asarray(year, dtype=np.float64), self.grid, getattr(self, which), left=np.nan, right=np.nan
        )


def curve_ensemble(fit: CurveFit, *, replicates: int = 200, seed: int = 0) -> CurveEnsemble:
    """Estimate the standard errors of smooth curve, trend and growth by Monte Carlo.

    AR(1) noise on the record's own dates, of the variance and decorrelation time of the residuals, is fitted
    and filtered exactly as the record was. The fit is linear in the values, so the spread of the results is
    the error of the curves: with gaps, uneven sampling and the ends of the record as they are.

    Parameters
    ----------
    fit : CurveFit
        A fit.
    replicates : int
        Members of the ensemble; the relative error of a standard error is 1 / sqrt(2 replicates).
    seed : int
        Member k draws from a counter-based generator keyed by (seed, k): the same for any chunking.

    Returns
    -------
    CurveEnsemble
        Noise about the short filter gives the smooth curve's errors, noise about the long one (which holds
        the year-to-year changes of the season) those of trend, growth and coefficients.
    """
    if replicates < 2:
        raise ConfigError(f"an ensemble needs at least 2 replicates, found {replicates}")
    years = np.arange(int(np.ceil(fit.grid[0])), int(np.floor(fit.grid[-1])) + 1, dtype=np.float64)
    sums: dict[str, np.ndarray] = {}
    chunk = max(1, min(replicates, CHUNK // fit.x.size))
    for start in range(0, replicates, chunk):
        members = range(start, min(start + chunk, replicates))
        smooth, _, _, _ = _replicate(fit, "short", members, seed)
        _, trend, growth, coefficients = _replicate(fit, "long", members, seed)
        place = np.clip(np.searchsorted(fit.grid, years, side="right") - 1, 0, fit.grid.size - 2)
        share = ((years - fit.grid[place]) / (fit.grid[place + 1] - fit.grid[place]))[:, None]
        on_date = trend[place] + (trend[place + 1] - trend[place]) * share
        for name, values in (
            ("smooth", smooth),
            ("trend", trend),
            ("growth", growth),
            ("increase", np.diff(on_date, axis=0)),
            ("coefficients", coefficients),
        ):
            # The noise has mean zero by construction: no mean is taken off.
            sums[name] = sums.get(name, 0.0) + (values**2).sum(axis=1)
    sd = {name: np.sqrt(total / replicates) for name, total in sums.items()}
    if fit.options.gain:
        sd["coefficients"] = np.append(sd["coefficients"], 0.0)
    increase = dict(zip(years[:-1].astype(int).tolist(), sd["increase"].tolist(), strict=True))
    return CurveEnsemble(
        fit.grid, sd["smooth"], sd["trend"], sd["growth"], increase, sd["coefficients"], replicates, seed
    )


def _replicate(
    fit: CurveFit, which: str, members: range, seed: int
) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Return smooth curve, trend, growth and coefficients of noise, replicates as columns."""
    options = fit.options
    t = fit.x - fit.timezero
    sd, _, tau = lag_one(fit, which)
    draws = np.empty((t.size, len(members)))
    for column, member in enumerate(members):
        generator = np.random.Generator(np.random.Philox(key=np.array([seed, member], dtype=np.uint64)))
        draws[:, column] = generator.standard_normal(t.size)
    noise = _autoregressive(np.diff(t), draws, sd, tau)
    gain = float(fit.coefficients[-1]) if options.gain else 0.0
    terms, harmonics = options.polynomial_terms, options.harmonics
    coefficients, _, residual = kernel.least_squares(t, noise, terms, harmonics, gain)
    grid, short, long = filter_residuals(t, residual, options, fit.averaged)
    powers, waves = kernel.design(grid, terms, harmonics)
    polynomial = powers @ coefficients[:terms]
    function = polynomial + (waves * (1.0 + gain * grid)[:, None]) @ coefficients[terms:]
    growth = curve_derivative(grid, long, coefficients[:terms])
    return function + short, polynomial + long, growth, coefficients


@numba.njit(cache=True)
def _autoregressive(step: np.ndarray, draws: np.ndarray, sd: float, tau: float) -> np.ndarray:
    """Turn standard normal draws into stationary AR(1) noise on uneven times; tau 0 is white noise."""
    n, members = draws.shape
    noise = np.empty_like(draws)
    for j in range(members):
        noise[0, j] = sd * draws[0, j]
    for i in range(1, n):
        keep = np.exp(-step[i - 1] / tau) if tau > 0.0 else 0.0
        fresh = sd * np.sqrt(1.0 - keep * keep)
        for j in range(members):
            noise[i, j] = keep * noise[i - 1, j] + fresh * draws[i, j]
    return noise
