"""Agreement of two series that both have errors: lines, bias, limits of agreement, E_n, coverage of intervals."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy import stats

from obsnet.errors import RangeError
from obsnet.typing import Floats

__all__ = ["Agreement", "FittedLine", "IntervalCoverage", "bland_altman", "coverage", "deming", "e_n", "york"]

_FEWEST = 3
_ROUNDS = 200
_SETTLED = 1e-13  # change of the slope, relative


@dataclass(frozen=True)
class FittedLine:
    """A line ``y = intercept + slope x`` through values that both have errors.

    Parameters
    ----------
    slope, intercept : float
        Estimates.
    slope_interval, intercept_interval : tuple of float
        95 %, Student's t with n - 2 degrees of freedom.
    chi_square : float
        Of the residuals over their stated errors, by n - 2; NaN where no errors went in.
    n : int
        Pairs.
    """

    slope: float
    intercept: float
    slope_interval: tuple[float, float]
    intercept_interval: tuple[float, float]
    chi_square: float
    n: int


@dataclass(frozen=True)
class Agreement:
    """Differences ``y - x`` and within which limits they lie.

    Parameters
    ----------
    bias, sd : float
        Mean and standard deviation of the differences.
    bias_interval : tuple of float
        95 %.
    low, high : float
        Limits of agreement, ``bias -+ 1.96 sd``.
    low_interval, high_interval : tuple of float
        95 % of each limit.
    n : int
        Pairs.
    """

    bias: float
    sd: float
    bias_interval: tuple[float, float]
    low: float
    high: float
    low_interval: tuple[float, float]
    high_interval: tuple[float, float]
    n: int


@dataclass(frozen=True)
class IntervalCoverage:
    """How many intervals hold.

    Parameters
    ----------
    inside, n : int
        Intervals that hold, of how many.
    share : float
    interval : tuple of float
        95 % of the share (Clopper and Pearson).
    """

    inside: int
    n: int
    share: float
    interval: tuple[float, float]


def deming(x: Floats, y: Floats, ratio: float) -> FittedLine:
    """Fit a line where both series have errors of known ratio.

    Parameters
    ----------
    x, y : ndarray, shape (n,)
        Pairs, any one unit.
    ratio : float
        Variance of the errors of y over that of x; 1 is orthogonal, infinity ordinary regression of y on x.

    Returns
    -------
    FittedLine
        Intervals by the jackknife (Linnet 1993, doi:10.1093/clinchem/39.3.424).

    Raises
    ------
    RangeError
        Under three pairs, no spread, a ratio that is not positive.

    Notes
    -----
    With the sums of squares about the means ``s_xx``, ``s_yy``, ``s_xy`` and the ratio δ,
    ``slope = (s_yy - δ s_xx + √((s_yy - δ s_xx)² + 4 δ s_xy²)) / (2 s_xy)``.

    Examples
    --------
    >>> line = deming(np.array([0.0, 1.0, 2.0, 3.0]), np.array([1.0, 3.0, 5.0, 7.0]), 1.0)
    >>> round(line.slope, 12), round(line.intercept, 12)
    (2.0, 1.0)
    """
    x, y = _pairs(x, y)
    if not ratio > 0:
        raise RangeError(f"the ratio of variances must be positive, found {ratio:g}")
    slope = _deming_slope(x, y, ratio)
    intercept = float(y.mean() - slope * x.mean())
    n = x.size
    left = np.array([_without(x, y, ratio, k) for k in range(n)])
    pseudo = n * np.array([slope, intercept]) - (n - 1) * left
    error = pseudo.std(axis=0, ddof=1) / np.sqrt(n)
    return _line(slope, intercept, float(error[0]), float(error[1]), float("nan"), n)


def _without(x: Floats, y: Floats, ratio: float, k: int) -> tuple[float, float]:
    xs, ys = np.delete(x, k), np.delete(y, k)
    slope = _deming_slope(xs, ys, ratio)
    return slope, float(ys.mean() - slope * xs.mean())


def _deming_slope(x: Floats, y: Floats, ratio: float) -> float:
    dx, dy = x - x.mean(), y - y.mean()
    xx, yy, xy = float(dx @ dx), float(dy @ dy), float(dx @ dy)
    if np.isinf(ratio):
        return xy / xx
    if xy == 0:
        raise RangeError("the two series have no covariance: no line goes through them")
    part = yy - ratio * xx
    root = float(np.hypot(part, 2.0 * np.sqrt(ratio) * xy))
    # of the two forms the one that does not take the difference of two like numbers
    return (part + root) / (2.0 * xy) if part > 0 else 2.0 * ratio * xy / (root - part)


def york(x: Floats, y: Floats, x_error: Floats, y_error: Floats) -> FittedLine:
    """Fit a line where every value has its own error, independent of all others.

    Parameters
    ----------
    x, y : ndarray, shape (n,)
        Pairs, any one unit.
    x_error, y_error : ndarray, shape (n,)
        Their standard errors; one of a pair may be 0. They must not be computed from y itself where y's errors grow
        with it: low values would then weigh too much and the slope would be too small.

    Returns
    -------
    FittedLine
        Intervals by the stated errors, widened by √χ² where the residuals exceed them.

    Raises
    ------
    RangeError
        Under three pairs, no spread, errors that are negative or both 0.

    Notes
    -----
    York et al. 2004, doi:10.1119/1.1632486, equations 13 with uncorrelated errors: weights ``ω = 1/σ²``,
    ``W = ω_x ω_y / (ω_x + b² ω_y)``, ``β = W [U / ω_y + b V / ω_x]``, ``b = Σ W β V / Σ W β U``, to a fixed point.
    """
    x, y = _pairs(x, y)
    vx, vy = np.asarray(x_error, float) ** 2, np.asarray(y_error, float) ** 2
    if (
        not (np.isfinite(vx).all() and np.isfinite(vy).all())
        or ((vx + vy) <= 0).any()
        or (np.asarray(x_error) < 0).any()
    ):
        raise RangeError("errors of a line must be finite, not negative, and not both 0")
    ratio = float(vy.mean() / vx.mean()) if vx.mean() > 0 else np.inf
    b = _deming_slope(x, y, max(ratio, 1e-300))
    for _ in range(_ROUNDS):
        weight = 1.0 / (vy + b**2 * vx)
        xm, ym = float(weight @ x / weight.sum()), float(weight @ y / weight.sum())
        u, v = x - xm, y - ym
        beta = weight * (u * vy + b * v * vx)
        new = float((weight * beta) @ v / ((weight * beta) @ u))
        done = abs(new - b) <= _SETTLED * max(abs(new), 1e-300)
        b = new
        if done:
            break
    weight = 1.0 / (vy + b**2 * vx)
    xm, ym = float(weight @ x / weight.sum()), float(weight @ y / weight.sum())
    beta = weight * ((x - xm) * vy + b * (y - ym) * vx)
    adjusted = xm + beta  # expectation of x given both
    mean = float(weight @ adjusted / weight.sum())
    slope_error = float(1.0 / np.sqrt(weight @ (adjusted - mean) ** 2))
    a = ym - b * xm
    a_error = float(np.sqrt(1.0 / weight.sum() + mean**2 * slope_error**2))
    n = x.size
    chi = float(weight @ (y - a - b * x) ** 2 / (n - 2))
    wide = math.sqrt(max(chi, 1.0))
    return _line(b, a, slope_error * wide, a_error * wide, chi, n)


def bland_altman(x: Floats, y: Floats) -> Agreement:
    """Return bias and limits of agreement of y against x.

    Parameters
    ----------
    x, y : ndarray, shape (n,)
        Pairs, any one unit.

    Notes
    -----
    Bland and Altman 1986, doi:10.1016/S0140-6736(86)90837-8. The limits are quantiles of a normal
    distribution, so their
    intervals are exact by the noncentral t distribution (Carkeet 2015, doi:10.1097/OPX.0000000000000513, limits taken
    one by one): the usual ``√(1/n + 1.96²/2(n-1)) sd`` is too narrow for few pairs.

    Raises
    ------
    RangeError
        Under three pairs.
    """
    x, y = np.asarray(x, float), np.asarray(y, float)
    d = y - x
    n = d.size
    if n < _FEWEST:
        raise RangeError(f"{n} pairs: limits of agreement need {_FEWEST} at least")
    bias, sd = float(d.mean()), float(d.std(ddof=1))
    z = float(stats.norm.ppf(0.975))
    t = float(stats.t.ppf(0.975, n - 1)) * sd / math.sqrt(n)
    inner, outer = (
        float(stats.nct.ppf(p, n - 1, z * math.sqrt(n))) * sd / math.sqrt(n) for p in (0.025, 0.975)
    )
    return Agreement(
        bias,
        sd,
        (bias - t, bias + t),
        bias - z * sd,
        bias + z * sd,
        (bias - outer, bias - inner),
        (bias + inner, bias + outer),
        n,
    )


def e_n(x: npt.ArrayLike, y: npt.ArrayLike, x_error: npt.ArrayLike, y_error: npt.ArrayLike) -> Floats:
    """Return ``(y - x) / √(U_x² + U_y²)`` with ``U = 2 σ``; at most 1 in size where both agree (ISO 13528)."""
    return np.asarray((np.asarray(y) - np.asarray(x)) / (2.0 * np.hypot(x_error, y_error)), dtype=np.float64)


def coverage(inside: np.ndarray) -> IntervalCoverage:
    """Count intervals that hold, with the interval of their share.

    Examples
    --------
    >>> coverage(np.array([True] * 10)).interval[0] > 0.69
    True
    """
    n, k = int(np.size(inside)), int(np.sum(inside))
    low = float(stats.beta.ppf(0.025, k, n - k + 1)) if k else 0.0
    high = float(stats.beta.ppf(0.975, k + 1, n - k)) if k < n else 1.0
    return IntervalCoverage(k, n, k / n if n else float("nan"), (low, high))


def _pairs(x: Floats, y: Floats) -> tuple[Floats, Floats]:
    x, y = np.asarray(x, float), np.asarray(y, float)
    if x.size < _FEWEST or x.size != y.size:
        raise RangeError(f"{min(x.size, y.size)} pairs: a line with an interval needs {_FEWEST} at least")
    if not (np.isfinite(x).all() and np.isfinite(y).all()):
        raise RangeError("pairs with values that are not finite")
    if np.ptp(x) == 0 or np.ptp(y) == 0:
        raise RangeError("all values of a series are the same: no line")
    return x, y


def _line(
    slope: float, intercept: float, slope_error: float, intercept_error: float, chi: float, n: int
) -> FittedLine:
    t = float(stats.t.ppf(0.975, n - 2))
    return FittedLine(
        slope,
        intercept,
        (slope - t * slope_error, slope + t * slope_error),
        (intercept - t * intercept_error, intercept + t * intercept_error),
        chi,
        n,
    )
