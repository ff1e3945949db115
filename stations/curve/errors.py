"""Standard errors of a fitted curve: of noise like the record's own, sent through the same fit.

The least-squares covariance takes residuals for independent. They are not, so curves need more: noise with the
memory and the size that the record's own residuals show (`stations.curve.noise`) is drawn on the record's dates and
fitted and filtered as the record was. The fit is linear in the values, so the spread of what comes out is the error.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from threadpoolctl import threadpool_limits

from obsnet.errors import ConfigError
from stations.curve import kernel
from stations.curve.fit import CurveFit
from stations.curve.noaa_errors import noaa_errors
from stations.curve.noise import Curves, Noise, Simulation, estimate_noise, noise_as_large

CHUNK = 4_000_000  # values of an ensemble held at a time
_MEMBERS = (32, 256)  # replicates, and years of them together, that a standard error is made of
_YEARS = 800.0
_RANGED = ("trend", "growth", "annual_increase")
_YEAR = 365.25  # days

__all__ = [
    "CurveEnsemble",
    "Errors",
    "coefficient_sd",
    "curve_ensemble",
    "errors_and_noise",
    "standard_errors",
]


def coefficient_sd(fit: CurveFit) -> np.ndarray:
    """Return the standard deviation of each coefficient, residuals taken as independent."""
    return np.sqrt(np.diag(fit.covariance))


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
        values, ``growth`` in that unit per year: root mean squares over the middle of the record, half a long cutoff
        (at most a quarter of the record) from either end.

    Notes
    -----
    Smooth curve, its filter and the cycle have noise about the short filter behind them, the rest noise about the
    long one. See `stations.curve.noise` for how it is found and `scripts/check_curve_errors.py` for how true the
    errors are.

    Examples
    --------
    >>> import numpy as np
    >>> from stations.curve.fit import fit_curve
    >>> year = 2000 + np.arange(520) * 7 / 365.25
    >>> noise = np.random.default_rng(1).standard_normal(year.size)
    >>> errors = standard_errors(fit_curve(year, 370 + 2 * (year - 2000) + noise))
    >>> 0.1 < errors["trend"] < 0.2  # of white noise of 1 through the long filter
    True
    """
    return errors_and_noise(fit).stated


@dataclass(frozen=True)
class Errors:
    """Standard errors and what is behind them.

    Attributes
    ----------
    stated : dict of str to float
        See `standard_errors`.
    likely : dict of str to tuple of float
        Of ``trend``, ``growth`` and ``annual_increase``: least and most of what would have been stated with the noise
        of `Noise.likely`. The record does not tell its noise better than that.
    noise : Noise or None
        About function and trend; None with ``noaa_compatible``, for that program knows none.
    year_long : dict of str to float
        Of the same three: what they would be were the residuals what the filter leaves of noise that remembers a year.
        No record tells such noise from its trend.
    """

    stated: dict[str, float]
    likely: dict[str, tuple[float, float]]
    noise: Noise | None
    year_long: dict[str, float] = field(default_factory=dict)


def errors_and_noise(fit: CurveFit) -> Errors:
    """Return the standard errors of `standard_errors`, how well they are known, and the noise behind them."""
    if fit.options.noaa_compatible:
        return Errors(noaa_errors(fit), {}, None)
    years = max(float(fit.grid[-1] - fit.grid[0]), 0.1)
    members = int(np.clip(np.ceil(_YEARS / years), *_MEMBERS))
    with threadpool_limits(1, user_api="blas"):  # the matrices are small: threads would wait for each other
        simulation = Simulation(fit, range(members), 0)
        fast = simulation.curves(estimate_noise(fit, "short", members=members))
        noise = estimate_noise(fit, "long", members=members)
        yearly = noise_as_large(simulation, _YEAR)
        slow, slowest, *ends = (simulation.curves(n) for n in (noise, yearly, *noise.likely))
    stated = _stated(fit, slow, fast)
    every = [stated, *(_stated(fit, end, fast) for end in ends)]
    likely = {k: (min(e[k] for e in every), max(e[k] for e in every)) for k in _RANGED} if ends else {}
    year_long = {k: v for k, v in _stated(fit, slowest, fast).items() if k in _RANGED}
    return Errors(stated, likely, noise, year_long)


def _stated(fit: CurveFit, slow: Curves, fast: Curves) -> dict[str, float]:
    """Return root mean squares over the middle of the record, of noise about the long and about the short filter."""
    edge = min(fit.options.long_days / (2.0 * kernel.DAYS), 0.25 * (slow.grid[-1] - slow.grid[0]))
    inside = (slow.grid >= slow.grid[0] + edge) & (slow.grid <= slow.grid[-1] - edge)
    inside = inside if inside.any() else np.ones_like(inside)
    curves = {
        "function": slow.function,
        "polynomial": slow.polynomial,
        "short": fast.short,
        "long": slow.long,
        "smooth": fast.function + fast.short,
        "trend": slow.polynomial + slow.long,
        "cycle": fast.function - fast.polynomial + fast.short - fast.long,
        "growth": slow.growth,
    }
    found = {name: float(np.sqrt(np.mean(values[inside] ** 2))) for name, values in curves.items()}
    increase, _ = _increases(fit, slow)
    middle = increase[1:-1] if increase.shape[0] > 4 else increase
    found["annual_increase"] = float(np.sqrt(np.mean(middle**2))) if middle.size else float("nan")
    return found


def _increases(fit: CurveFit, curves: Curves) -> tuple[np.ndarray, np.ndarray]:
    """Return trend on 1 January less that a year before, shape (years, replicates), and the years."""
    grid = curves.grid + fit.timezero
    years = np.arange(int(np.ceil(grid[0])), int(np.floor(grid[-1])) + 1, dtype=np.float64)
    place = np.clip(np.searchsorted(grid, years, side="right") - 1, 0, grid.size - 2)
    share = ((years - grid[place]) / (grid[place + 1] - grid[place]))[:, None]
    trend = curves.polynomial + curves.long
    return np.diff(trend[place] + (trend[place + 1] - trend[place]) * share, axis=0), years[:-1].astype(int)


@dataclass(frozen=True)
class CurveEnsemble:
    """Standard errors from an ensemble of fits to noise.

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
    """Estimate the standard errors of smooth curve, trend and growth, date by date, by Monte Carlo.

    Noise on the record's own dates, like the record's own (`stations.curve.noise.estimate_noise`), is fitted and
    filtered exactly as the record was: with gaps, uneven sampling and the ends of the record as they are.

    Parameters
    ----------
    fit : CurveFit
        A fit.
    replicates : int
        Members of the ensemble; the relative error of a standard error is 1 / sqrt(2 replicates).
    seed : int
        See `stations.curve.noise.Simulation`.

    Returns
    -------
    CurveEnsemble
        Noise about the short filter gives the smooth curve's errors, noise about the long one (which holds
        the year-to-year changes of the season) those of trend, growth and coefficients.
    """
    if replicates < 2:
        raise ConfigError(f"an ensemble needs at least 2 replicates, found {replicates}")
    fast, slow = (estimate_noise(fit, which, seed=seed) for which in ("short", "long"))
    sums: dict[str, np.ndarray] = {}
    chunk = max(1, min(replicates, CHUNK // fit.x.size))
    for start in range(0, replicates, chunk):
        simulation = Simulation(fit, range(start, min(start + chunk, replicates)), seed)
        quick, curves = simulation.curves(fast), simulation.curves(slow)
        increase, years = _increases(fit, curves)
        for name, values in (
            ("smooth", quick.function + quick.short),
            ("trend", curves.polynomial + curves.long),
            ("growth", curves.growth),
            ("increase", increase),
            ("coefficients", curves.coefficients),
        ):
            # The noise has mean zero by construction: no mean is taken off.
            sums[name] = sums.get(name, 0.0) + (values**2).sum(axis=1)
    sd = {name: np.sqrt(total / replicates) for name, total in sums.items()}
    if fit.options.gain:
        sd["coefficients"] = np.append(sd["coefficients"], 0.0)
    by_year = dict(zip(years.tolist(), sd["increase"].tolist(), strict=True))
    grid = curves.grid + fit.timezero
    return CurveEnsemble(
        grid, sd["smooth"], sd["trend"], sd["growth"], by_year, sd["coefficients"], replicates, seed
    )
