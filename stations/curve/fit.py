"""The curve fit of Thoning, Tans & Komhyr (1989): function, smooth curve, trend and growth of a record."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from scipy.interpolate import CubicSpline

from obsnet.errors import RangeError, SolverError
from stations.curve import kernel
from stations.curve.options import CurveOptions

__all__ = [
    "CurveFit",
    "CurveWarning",
    "curve_derivative",
    "filter_residuals",
    "fit_curve",
    "in_notes",
]


class CurveWarning(UserWarning):
    """A fit that was made, but not as asked, or not safely."""


@contextmanager
def in_notes() -> Iterator[None]:
    """Let fits warn in their notes alone: for callers that show these themselves."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", CurveWarning)
        yield


@dataclass(frozen=True)
class CurveFit:
    """A fitted record. Made by `fit_curve`; every curve is evaluated at decimal years.

    Attributes
    ----------
    options : CurveOptions
        As used: interval, harmonics and timezero filled in.
    coefficients : ndarray, shape (p,)
        Polynomial in t = year - timezero, then sine and cosine of each harmonic, then the gain in 1/yr.
    covariance : ndarray, shape (p, p)
        Of the coefficients, for residuals that are independent of each other.
    rsd_function, rsd_smooth : float
        Standard deviation of the residuals about function and smooth curve, unit of the values.
    reduced_chi_square : float
        Sum of squared residuals over degrees of freedom, unit squared.
    x, y : ndarray, shape (n,)
        Decimal years and values that were fitted, sorted by time.
    grid : ndarray, shape (m,)
        Decimal years of the filtered residuals.
    short, long : ndarray, shape (m,)
        Residuals from the function after the short and the long filter.
    averaged : bool
        The residuals were averaged over grid steps before they were filtered (several samples a day).
    dropped : int
        Rows left out because time or value was not finite.
    notes : tuple of str
        What a user should know of this fit.
    """

    options: CurveOptions
    coefficients: np.ndarray
    covariance: np.ndarray
    rsd_function: float
    rsd_smooth: float
    reduced_chi_square: float
    x: np.ndarray
    y: np.ndarray
    grid: np.ndarray
    short: np.ndarray
    long: np.ndarray
    averaged: bool = False
    dropped: int = 0
    notes: tuple[str, ...] = ()
    _growth: np.ndarray = field(default_factory=lambda: np.empty(0), repr=False)

    @property
    def timezero(self) -> float:
        """Decimal year in which t = 0."""
        return float(self.options.timezero or 0.0)

    @property
    def interval_days(self) -> float:
        """Spacing of the grid in days."""
        return float(self.options.interval_days or 0.0)

    def polynomial(self, year: Any) -> np.ndarray:
        """Return the polynomial part of the function."""
        return self._parts(year)[0]

    def harmonic(self, year: Any) -> np.ndarray:
        """Return the harmonic part of the function, gain included."""
        return self._parts(year)[1]

    def function(self, year: Any) -> np.ndarray:
        """Return polynomial and harmonics; defined outside the record too."""
        polynomial, harmonic = self._parts(year)
        return polynomial + harmonic

    def smooth(self, year: Any) -> np.ndarray:
        """Return function plus short-filtered residuals; NaN outside the record."""
        return self._on_grid(year, self.function(self.grid) + self.short)

    def trend(self, year: Any) -> np.ndarray:
        """Return polynomial plus long-filtered residuals, without the season; NaN outside the record."""
        return self._on_grid(year, self.polynomial(self.grid) + self.long)

    def cycle(self, year: Any) -> np.ndarray:
        """Return the detrended seasonal cycle: harmonics plus short- minus long-filtered residuals."""
        return self._on_grid(year, self.harmonic(self.grid) + self.short - self.long)

    def growth(self, year: Any) -> np.ndarray:
        """Return the time derivative of the trend, unit per year; NaN outside the record."""
        return self._on_grid(year, self._growth)

    def residual(self) -> np.ndarray:
        """Return values minus smooth curve, one a fitted sample."""
        return self.y - self.smooth(self.x)

    def annual_increase(self) -> dict[int, float]:
        """Return by year the trend on 1 January of the next year minus that of the year, unit per year."""
        years = np.arange(int(np.ceil(self.grid[0])), int(np.floor(self.grid[-1])))
        edges = (
            self.trend(np.arange(years[0], years[-1] + 2, dtype=np.float64)) if years.size else np.empty(0)
        )
        return dict(zip(years.tolist(), np.diff(edges).tolist(), strict=True))

    def amplitudes(self) -> list[tuple[int, float, float, float, float, float]]:
        """Return by year the seasonal amplitude: (year, peak to trough, date and value of peak, of trough).

        The first and the last year may be incomplete; the last is left out unless the record ends with it.
        """
        cycle, year = self.cycle(self.grid), np.floor(self.grid).astype(int)
        result = []
        for one in range(int(year[0]), int(year[-1])):
            rows = np.flatnonzero(year == one)
            if rows.size == 0:
                continue
            top, low = rows[np.argmax(cycle[rows])], rows[np.argmin(cycle[rows])]
            peak, trough = float(cycle[top]), float(cycle[low])
            result.append((one, peak - trough, float(self.grid[top]), peak, float(self.grid[low]), trough))
        return result

    def monthly_means(self) -> list[tuple[int, int, float, float, int]]:
        """Return (year, month, mean, standard deviation, grid points) of the smooth curve.

        Of the curve, not of the samples; months have true length, the first and last may be incomplete.
        """
        year, month = _calendar(self.grid)
        return [(k // 12, k % 12 + 1, mean, sd, n) for k, mean, sd, n in self._means(year * 12 + month - 1)]

    def annual_means(self) -> list[tuple[int, float, float, int]]:
        """Return (year, mean, standard deviation, grid points) of the smooth curve."""
        return self._means(np.floor(self.grid).astype(int))

    def _means(self, key: np.ndarray) -> list[tuple[int, float, float, int]]:
        curve = self.smooth(self.grid)
        start = np.flatnonzero(np.concatenate([[True], key[1:] != key[:-1]]))
        groups = np.split(curve, start[1:])
        return [
            (int(key[i]), float(g.mean()), float(g.std(ddof=1)) if g.size > 1 else float("nan"), g.size)
            for i, g in zip(start, groups, strict=True)
        ]

    def _parts(self, year: Any) -> tuple[np.ndarray, np.ndarray]:
        t = np.atleast_1d(np.asarray(year, dtype=np.float64)) - self.timezero
        terms, harmonics = self.options.polynomial_terms, self.options.harmonics
        powers, waves = kernel.design(t.ravel(), terms, harmonics)
        harmonic = waves @ self.coefficients[terms : terms + 2 * harmonics]
        if self.options.gain:
            harmonic = harmonic * (1.0 + self.coefficients[-1] * t.ravel())
        shape = np.shape(year)
        return (powers @ self.coefficients[:terms]).reshape(shape), harmonic.reshape(shape)

    def _on_grid(self, year: Any, values: np.ndarray) -> np.ndarray:
        return np.interp(np.asarray(year, dtype=np.float64), self.grid, values, left=np.nan, right=np.nan)


def fit_curve(year: Any, value: Any, options: CurveOptions | None = None) -> CurveFit:
    """Fit polynomial, harmonics and two low-pass filters to a record.

    A least-squares fit of ``sum a_i t^i + sum (p_k sin 2 pi k t + q_k cos 2 pi k t) [1 + g t]`` gives the
    function. Its residuals, interpolated to equal steps, pass a low-pass filter ``2^-(f/fc)^6`` with a short
    and a long cutoff. Function plus short residuals is the smooth curve, polynomial plus long residuals the
    trend, its derivative the growth rate.

    Parameters
    ----------
    year : ndarray, shape (n,)
        Decimal years (`obsnet.times.decimal_year`), any order. Members of a flask pair are best averaged
        before; equal times count once each in the function and are averaged in the filter.
    value : ndarray, shape (n,)
        Mole fractions, any one unit; NaN is left out and counted.
    options : CurveOptions, optional
        Cutoffs, interval and the terms of the function.

    Returns
    -------
    CurveFit
        Curves and their statistics. Standard errors: `stations.curve.errors`.

    Raises
    ------
    RangeError
        Fewer samples than coefficients.
    SolverError
        Polynomial and harmonics cannot be told apart on these dates.

    Warns
    -----
    CurveWarning
        The interval had to be chosen otherwise than usual, harmonics were cut, or a part of the season that no
        sample holds is wider than half a period of the highest of them.

    Notes
    -----
    K. W. Thoning, P. P. Tans, W. D. Komhyr (1989), Atmospheric carbon dioxide at Mauna Loa Observatory 2,
    J. Geophys. Res. 94(D6), 8549-8565, doi:10.1029/JD094iD06p08549. Filter days are 1/365 of a year, dates
    are years of true length. Curves are interpolated linearly between grid points.
    """
    options = options or CurveOptions()
    x, y, dropped = _clean(year, value)
    notes: list[str] = []
    if dropped:
        notes.append(f"{dropped} rows without time or value left out")
    interval, several = _interval(x, options, notes)
    harmonics = min(options.harmonics, int(kernel.DAYS / (2.0 * interval)))
    if harmonics < options.harmonics:
        notes.append(
            f"{harmonics} instead of {options.harmonics} harmonics: samples are {interval:g} days apart"
        )
    if harmonics and (gap := _gap_of_season(x)) > 1.0 / (2.0 * harmonics):
        notes.append(
            f"no year has a sample in a stretch of {12.0 * gap:.1f} months of the season: {harmonics} harmonics are "
            "not held there; fit fewer"
        )
    terms = options.polynomial_terms
    parameters = terms + 2 * harmonics + int(options.gain and harmonics > 0)
    if x.size <= parameters or not x[-1] > x[0]:
        raise RangeError(
            f"a fit of {parameters} coefficients needs more than that many samples, at different times; "
            f"found {x.size}"
        )
    timezero = float(np.floor(x[0])) if options.timezero is None else float(options.timezero)
    t = x - timezero
    try:
        coefficients, inverse, residual = kernel.least_squares(
            t, y, terms, harmonics, None if options.gain and harmonics else 0.0
        )
    except np.linalg.LinAlgError as error:
        raise SolverError(
            f"{error}: {x.size} samples from {x[0]:.3f} to {x[-1]:.3f}; fit fewer terms, and no harmonics to "
            "less than a year"
        ) from error
    gain = options.gain and harmonics > 0
    used = options.model_copy(
        update={"interval_days": interval, "harmonics": harmonics, "timezero": timezero, "gain": gain}
    )
    chi_square = float(residual @ residual) / (x.size - parameters)
    grid, short, long = filter_residuals(t, residual, used, several)
    for note in notes:
        warnings.warn(note, CurveWarning, stacklevel=2)
    fit = CurveFit(
        options=used,
        coefficients=coefficients,
        covariance=inverse * (chi_square**2 if options.noaa_compatible else chi_square),
        rsd_function=float(residual.std(ddof=1)),
        rsd_smooth=0.0,
        reduced_chi_square=chi_square,
        x=x,
        y=y,
        grid=grid + timezero,
        short=short,
        long=long,
        averaged=several,
        dropped=dropped,
        notes=tuple(notes),
        _growth=curve_derivative(grid, long, coefficients[:terms]),
    )
    return replace(fit, rsd_smooth=float(fit.residual().std(ddof=1)))


def _gap_of_season(x: np.ndarray) -> float:
    """Return the longest part of the year (0..1) in which no year has a sample."""
    phase = np.unique(x % 1.0)
    return float(np.diff(np.append(phase, phase[:1] + 1.0)).max(initial=0.0))


def _clean(year: Any, value: Any) -> tuple[np.ndarray, np.ndarray, int]:
    """Return finite times and values sorted by time, and how many rows were left out."""
    x, y = np.asarray(year, dtype=np.float64).ravel(), np.asarray(value, dtype=np.float64).ravel()
    if x.size != y.size:
        raise RangeError(f"times and values are of one length, found {x.size} and {y.size}")
    finite = np.isfinite(x) & np.isfinite(y)
    x, y = x[finite], y[finite]
    if x.size and (np.diff(x) < 0).any():
        order = np.argsort(x, kind="stable")
        x, y = x[order], y[order]
    return x, y, int((~finite).sum())


def _interval(x: np.ndarray, options: CurveOptions, notes: list[str]) -> tuple[float, bool]:
    """Return the grid's spacing in days and whether samples are to be averaged over it first."""
    if x.size < 2:
        raise RangeError(f"a curve fit needs samples at different times, found {x.size}")
    per_day, day_step = kernel.samples_per_day(x)
    # Flasks may come several a day, but days apart; a continuous record has samples on the next day too.
    several = per_day >= 1.5 and day_step <= 1.0 and not options.noaa_compatible
    if options.interval_days is not None:
        return float(options.interval_days), several
    if several:
        notes.append(
            f"{per_day:.1f} samples a day: residuals averaged to 1 day before filtering; "
            "select afternoon or night hours first if the diurnal cycle is not wanted"
        )
        return 1.0, True
    usual = kernel.noaa_interval(x)
    return (usual if np.isfinite(usual) else 1.0), False


def filter_residuals(
    t: np.ndarray, residual: np.ndarray, options: CurveOptions, average: bool
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return the grid (years since zero) and the residuals after the short and the long filter."""
    step = float(options.interval_days or 1.0) / kernel.DAYS
    intercept, slope = kernel.end_line(t, residual, options.long_days)
    line = (
        (lambda s: intercept + np.multiply.outer(s, slope))
        if residual.ndim == 2
        else (lambda s: intercept + slope * s)
    )
    grid, values = kernel.resample(t, residual - line(t), step, options.gap_days, average)
    if grid.size < 4:
        raise RangeError(
            f"the record has {grid.size} steps of {options.interval_days:g} days; the filter needs at least 4"
        )
    short, long = kernel.lowpass(values, step, (options.short_days, options.long_days))
    return grid, short + line(grid), long + line(grid)


def curve_derivative(t: np.ndarray, long: np.ndarray, polynomial: np.ndarray) -> np.ndarray:
    """Return d/dt of polynomial and long-filtered residuals on the grid; replicates as trailing columns."""
    slope = CubicSpline(t, long, axis=0)(t, 1)
    order = np.arange(1, polynomial.shape[0])
    if order.size == 0:
        return slope
    factors = polynomial[1:] * (order[:, None] if polynomial.ndim == 2 else order)
    return slope + kernel.design(t, order.size, 0)[0] @ factors


def _calendar(year: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return calendar year and month (1-12) of decimal years of true length."""
    from obsnet.times import later, year_month

    whole = np.floor(year).astype(np.int64)
    first = (whole - 1970).astype("datetime64[Y]")
    start, stop = first.astype("datetime64[s]"), later(first).astype("datetime64[s]")
    seconds = np.round((year - whole) * (stop - start).astype(np.float64)).astype("timedelta64[s]")
    return year_month(start + seconds)
