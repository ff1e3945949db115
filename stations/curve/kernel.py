"""Kernels of the curve fit of Thoning, Tans & Komhyr (1989): plain arrays, decimal years in, values out.

Symbols: ``t`` decimal years since the fit's zero, ``X`` the design matrix of polynomial and harmonics,
``g`` the gain of the harmonics (1/yr), ``step`` the spacing of the equidistant grid in years of 365 days,
``H`` the filter's response. Every array of values may carry replicates as trailing columns: all steps but the
gain are linear in the values, so a Monte-Carlo ensemble goes through in one call.
"""

from __future__ import annotations

import numpy as np
import scipy.fft
import scipy.linalg

__all__ = [
    "design",
    "end_line",
    "least_squares",
    "lowpass",
    "mean_of_ties",
    "noaa_interval",
    "polynomial_change_of_variable",
    "resample",
    "response",
    "samples_per_day",
    "solve",
]

DAYS = 365.0  # the filter's year; dates use true year lengths
ONE_DAY = 0.002739  # yr; NOAA's limit between samples of one day and of two


def design(t: np.ndarray, terms: int, harmonics: int) -> tuple[np.ndarray, np.ndarray]:
    """Return the columns ``1, t, t^2, ...`` and ``sin 2 pi k t, cos 2 pi k t`` for k = 1..harmonics.

    The multiples come from the angle-addition formulas: two trigonometric calls whatever the number.
    """
    # Columns are written and read one by one: Fortran order.
    matrix = np.empty((t.size, terms + 2 * harmonics), order="F")
    powers, waves = matrix[:, :terms], matrix[:, terms:]
    powers[:, 0] = 1.0
    for k in range(1, terms):
        powers[:, k] = powers[:, k - 1] * t
    if harmonics:
        # The whole turns go first, or the sine of a large angle loses digits.
        angle = 2.0 * np.pi * (t - np.floor(t))
        sine, cosine = np.sin(angle), np.cos(angle)
        waves[:, 0], waves[:, 1] = sine, cosine
        for k in range(1, harmonics):
            s, c = waves[:, 2 * k - 2], waves[:, 2 * k - 1]
            waves[:, 2 * k] = s * cosine + c * sine
            waves[:, 2 * k + 1] = c * cosine - s * sine
    return powers, waves


def polynomial_change_of_variable(terms: int, centre: float, half: float) -> np.ndarray:
    """Return M so that ``M @ a`` are coefficients in t, a those in u = (t - centre) / half."""
    change = np.zeros((terms, terms))
    column = np.array([1.0])
    for k in range(terms):
        change[: k + 1, k] = column
        column = np.convolve(column, [-centre / half, 1.0 / half])
    return change


def least_squares(
    t: np.ndarray, y: np.ndarray, terms: int, harmonics: int, gain: float | None = 0.0
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Fit polynomial and harmonics by ordinary least squares.

    Parameters
    ----------
    t : ndarray, shape (n,)
        Years since the fit's zero, ascending.
    y : ndarray, shape (n,) or (n, replicates)
        Values; replicates only with a given gain.
    terms, harmonics : int
        Polynomial terms (3 is a quadratic) and harmonics.
    gain : float or None
        g: the harmonics are multiplied by 1 + g t. None fits it.

    Returns
    -------
    coefficients : ndarray, shape (p,) or (p, replicates)
        Polynomial, then sine and cosine of each harmonic, then g where it was fitted.
    inverse : ndarray, shape (p, p)
        (X^T X)^-1; times the variance of the residuals it is the covariance.
    residual : ndarray, shape of y
        y minus the fitted function.

    Raises
    ------
    numpy.linalg.LinAlgError
        The columns are not independent on these times.
    """
    # In u the powers are of one size and nearly orthogonal, so the normal equations lose nothing.
    centre, half = 0.5 * (t[0] + t[-1]), max(0.5 * (t[-1] - t[0]), 1e-12)
    powers, waves = design((t - centre) / half, terms, 0)[0], design(t, 1, harmonics)[1]
    g = 0.0 if gain is None else gain
    matrix = _columns(powers, waves, t, g)
    solution, inverse, residual = solve(matrix, y)
    if gain is None:
        for _ in range(60):  # Gauss-Newton; the problem is bilinear and converges in a few steps
            wave = waves @ solution[terms : terms + 2 * harmonics]
            solution, inverse, residual = solve(_columns(powers, waves, t, g, (t * wave)[:, None]), y)
            g += solution[-1]  # the last column's coefficient is the change of g
            if abs(solution[-1]) <= 1e-13 * max(1.0, abs(g)):
                break
        else:
            raise np.linalg.LinAlgError("the gain of the harmonics did not converge")
        solution[-1] = g
    change = np.eye(inverse.shape[0])
    change[:terms, :terms] = polynomial_change_of_variable(terms, centre, half)
    return change @ solution, change @ inverse @ change.T, residual


def _columns(
    powers: np.ndarray, waves: np.ndarray, t: np.ndarray, g: float, extra: np.ndarray | None = None
) -> np.ndarray:
    """Return the design matrix of polynomial, harmonics with gain g, and an extra column."""
    more = 0 if extra is None else extra.shape[1]
    matrix = np.empty((t.size, powers.shape[1] + waves.shape[1] + more), order="F")
    matrix[:, : powers.shape[1]] = powers
    scaled = matrix[:, powers.shape[1] : powers.shape[1] + waves.shape[1]]
    scaled[:] = waves if g == 0.0 else waves * (1.0 + g * t)[:, None]
    if extra is not None:
        matrix[:, -more:] = extra
    return matrix


def solve(matrix: np.ndarray, y: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return the least-squares solution, (X^T X)^-1 and the residual, by Cholesky of scaled normal equations."""
    normal = matrix.T @ matrix
    scale = 1.0 / np.sqrt(np.maximum(np.diag(normal), 1e-300))
    scaled = normal * scale[:, None] * scale[None, :]
    values, vectors = np.linalg.eigh(scaled)
    if values[0] <= 1e-11 * values[-1]:
        raise np.linalg.LinAlgError("polynomial and harmonics cannot be told apart on these dates")
    inverse = (vectors / values) @ vectors.T * scale[:, None] * scale[None, :]
    factor = scipy.linalg.cho_factor(scaled, lower=True)

    side = scale[:, None] if y.ndim == 2 else scale
    first = side * scipy.linalg.cho_solve(factor, side * (matrix.T @ y))
    # One step of iterative refinement brings the normal equations to the accuracy of QR.
    residual = y - matrix @ first
    step = side * scipy.linalg.cho_solve(factor, side * (matrix.T @ residual))
    return first + step, inverse, residual - matrix @ step


def noaa_interval(x: np.ndarray) -> float:
    """Return the mean spacing in days of neighbours more than a day apart, rounded above one day.

    Parameters
    ----------
    x : ndarray
        Sorted decimal years.

    Returns
    -------
    float
        Days; NaN where no two neighbours are more than a day apart.
    """
    steps = np.diff(x)
    steps = steps[steps > ONE_DAY]
    if steps.size == 0:
        return float("nan")
    days = float(steps.mean()) * DAYS
    return float(round(days)) if days > 1.0 else days


def samples_per_day(x: np.ndarray) -> tuple[float, float]:
    """Return the mean number of distinct times (x ascends) on sampled days, and the median step of such days."""
    distinct = x[np.concatenate([[True], x[1:] != x[:-1]])]
    days = np.floor(distinct * 365.25)
    days = days[np.concatenate([[True], days[1:] != days[:-1]])]
    step = float(np.median(np.diff(days))) if days.size > 1 else 1.0
    return distinct.size / days.size, step


def end_line(t: np.ndarray, residual: np.ndarray, long_days: float) -> tuple[np.ndarray, np.ndarray]:
    """Return intercept and slope of a line through the residuals near both ends.

    Only points within a quarter of the long cutoff of either end count; zero where the record is shorter
    than the cutoff. Subtracting the line brings the ends near zero, so that zero padding does no harm.
    """
    shape = residual.shape[1:]
    if t[-1] - t[0] < long_days / DAYS:
        return np.zeros(shape), np.zeros(shape)
    reach = long_days / DAYS / 4.0
    near = (t <= t[0] + reach) | (t >= t[-1] - reach)
    x, y = t[near], residual[near]
    deviation = x - x.mean()
    slope = np.tensordot(deviation, y, (0, 0)) / (deviation @ deviation)
    return y.mean(axis=0) - slope * x.mean(), slope


def mean_of_ties(key: np.ndarray, t: np.ndarray, y: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Average times and values of neighbours with the same key (ascending)."""
    start = np.flatnonzero(np.concatenate([[True], key[1:] != key[:-1]]))
    if start.size == key.size:
        return t, y
    count = np.diff(np.append(start, key.size))
    values = np.add.reduceat(y, start, axis=0)
    values = values / (count[:, None] if y.ndim == 2 else count)
    return np.add.reduceat(t, start) / count, values


def resample(
    t: np.ndarray, residual: np.ndarray, step: float, gap_days: float, daily: bool
) -> tuple[np.ndarray, np.ndarray]:
    """Interpolate residuals linearly to equal steps from the first to the last date.

    Parameters
    ----------
    t : ndarray, shape (n,)
        Sorted years.
    residual : ndarray, shape (n,) or (n, replicates)
        Residuals with the end line taken off.
    step : float
        Years of 365 days.
    gap_days : float
        Between samples further apart than this the result is 0, the function itself; 0 switches it off.
    daily : bool
        Average over steps first, so that a grid coarser than the data does not pick single hours.

    Returns
    -------
    grid : ndarray, shape (m,)
        Its last point is the last date, whatever the step.
    values : ndarray, shape (m,) or (m, replicates)
        On the grid.
    """
    grid = np.arange(t[0], t[-1] + step / 2.0, step)
    grid[-1] = t[-1]
    x, y = mean_of_ties(np.floor((t - t[0]) / step) if daily else t, t, residual)
    if daily:  # the means' times do not reach the ends: hold the first and last mean there
        x, y = np.concatenate([t[:1], x, t[-1:]]), np.concatenate([y[:1], y, y[-1:]])
        ahead = np.concatenate([[True], np.diff(x) > 0])
        x, y = x[ahead], y[ahead]
    place = np.clip(np.searchsorted(x, grid, side="right") - 1, 0, x.size - 2)
    width = x[place + 1] - x[place]
    share = (grid - x[place]) / width
    if y.ndim == 2:
        values = y[place] + (y[place + 1] - y[place]) * share[:, None]
    else:
        values = y[place] + (y[place + 1] - y[place]) * share
    if gap_days > 0:
        values[width > gap_days / DAYS] = 0.0
    return grid, values


def response(frequency: np.ndarray, cutoff_days: float) -> np.ndarray:
    """Return the low-pass response H(f) = 2^-(f/fc)^6, f in 1/yr, fc = 365 / cutoff; H(fc) = 0.5."""
    return np.exp2(-np.minimum((frequency * cutoff_days / DAYS) ** 6, 20.0))


def lowpass(
    values: np.ndarray, step: float, cutoffs: tuple[float, ...], pad: bool = True
) -> tuple[np.ndarray, ...]:
    """Filter equidistant values with each cutoff (days), zero-padded to a power of two on both sides.

    Parameters
    ----------
    values : ndarray, shape (m,) or (m, replicates)
        On the grid.
    step : float
        Years of 365 days.
    cutoffs : tuple of float
        Days; one forward transform serves all.
    pad : bool
        False for the impulse response, which brings its own zeros.

    Returns
    -------
    tuple of ndarray
        One a cutoff, of the input's shape.
    """
    m = values.shape[0]
    size = 1 << (m - 1).bit_length() if pad else m
    start = (size - m) // 2
    padded = np.zeros((size, *values.shape[1:]))
    padded[start : start + m] = values
    spectrum = scipy.fft.rfft(padded, axis=0)
    frequency = scipy.fft.rfftfreq(size, step)
    filtered: list[np.ndarray] = []
    for cutoff in cutoffs:
        factor = response(frequency, cutoff)
        shaped = factor[:, None] if values.ndim == 2 else factor
        filtered.append(scipy.fft.irfft(spectrum * shaped, n=size, axis=0)[start : start + m])
    return tuple(filtered)
