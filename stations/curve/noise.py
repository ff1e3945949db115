"""The noise behind a fit: how large it is and how long it remembers, and what it does to each curve.

The filters take the slow part of the noise for signal, so the residuals are smaller and less correlated than the
noise was. Noise is therefore found by trying: autoregressive noise of a memory is drawn on the record's own dates and
sent through the same fit; the memory and the size that give the residuals the spread and the correlation of the
record's own are taken. Beyond a memory of about a fifth of the filter's cutoff the residuals no longer tell noise
from trend; there the search ends, and says so.

Spread is the mean square of the residuals; correlation the mean square of their means over a twelfth of the cutoff,
over that. Where samples are close together, means over three days stand for them.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numba
import numpy as np

from stations.curve import kernel
from stations.curve.fit import CurveFit, curve_derivative, filter_residuals

__all__ = ["Curves", "Noise", "Simulation", "estimate_noise", "noise_as_large"]

Which = Literal["short", "long"]
_LIMIT = 2500  # samples beyond which they are averaged over `_BIN` days first
_BIN = 3.0
_MOST_INSIDE = 6  # times within a mean: more change nothing
_BLOCK = 1.0 / 12.0  # of the cutoff
_LONGEST = 120.0 / 667.0  # of the cutoff: memory at which the residuals saturate
_TRIED = (0.006, 0.024, 0.072)  # of the cutoff
_YEAR = 365.25


@dataclass(frozen=True)
class Noise:
    """Autoregressive noise: correlation ``exp(-|dt| / memory)``.

    Attributes
    ----------
    sd : float
        Unit of the values.
    memory_days : float
        0 is white noise.
    likely : tuple of Noise
        What would have been found had the residuals' correlation come out one standard deviation lower or higher, as it
        does from record to record; empty where the record says nothing of it.
    at_bound : bool
        The residuals are correlated at least as much as noise of the longest memory that can be told from the trend
        would make them; the noise may be slower, and then errors are larger than stated.
    """

    sd: float
    memory_days: float
    at_bound: bool = False
    likely: tuple[Noise, ...] = ()


@dataclass(frozen=True)
class Curves:
    """What a fit makes of noise; replicates as columns.

    Attributes
    ----------
    grid : ndarray, shape (m,)
        Years since the fit's zero.
    function, polynomial, short, long, growth : ndarray, shape (m, replicates)
        On the grid.
    coefficients : ndarray, shape (p, replicates)
        Of the function.
    """

    grid: np.ndarray
    function: np.ndarray
    polynomial: np.ndarray
    short: np.ndarray
    long: np.ndarray
    growth: np.ndarray
    coefficients: np.ndarray


class Simulation:
    """Noise on the dates of a record, sent through its fit.

    Parameters
    ----------
    fit : CurveFit
        A fit.
    members : range
        Numbers of the replicates.
    seed : int
        Replicate k draws from a counter-based generator keyed by (seed, k): the same for any chunking.
    thin : bool
        Take means over three days where there are many samples.
    """

    def __init__(self, fit: CurveFit, members: range, seed: int, *, thin: bool = True) -> None:
        self.fit = fit
        self.t, self.start, width = _thinned(fit, _LIMIT if thin else fit.x.size)
        # Of means over days the filters need no finer grid than the means.
        days = max(fit.interval_days, width * _YEAR)
        self.options = fit.options.model_copy(update={"interval_days": days})
        self.gain = float(fit.coefficients[-1]) if fit.options.gain else 0.0
        count = np.median(np.diff(np.append(self.start, fit.x.size)), axis=0) if width else 1
        self.inside = int(np.clip(count, 1, _MOST_INSIDE))  # times that stand for the samples of a mean
        self.apart = width / self.inside
        times = self.t[:, None] + self.apart * (np.arange(self.inside) - 0.5 * (self.inside - 1))
        self.step = np.maximum(np.diff(times.ravel()), 0.0)
        self.draws = np.empty((times.size, len(members)))
        for column, member in enumerate(members):
            generator = np.random.Generator(np.random.Philox(key=np.array([seed, member], dtype=np.uint64)))
            self.draws[:, column] = generator.standard_normal(times.size)

    def _noise(self, noise: Noise) -> np.ndarray:
        """Return noise at the dates, shape (n, replicates); of means over days the means, which vary by `Noise.sd`.

        Means are smoother than what they are of: their blocks hold a larger share of the mean square.
        """
        memory = noise.memory_days / _YEAR
        values = _autoregressive(self.step, self.draws, noise.sd, memory)
        if self.inside == 1:
            return values
        gap = self.apart * np.abs(np.subtract.outer(*(np.arange(self.inside),) * 2))
        alike = np.exp(-gap / memory) if memory > 0.0 else (gap == 0.0).astype(float)
        means = values.reshape(self.t.size, self.inside, -1).mean(axis=1)
        return np.asarray(means / np.sqrt(alike.mean()))

    def _filtered(self, noise: Noise) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
        """Return coefficients, residuals of the function, grid, short- and long-filtered residuals of noise."""
        values = self._noise(noise)
        options = self.options
        coefficients, _, residual = kernel.least_squares(
            self.t, values, options.polynomial_terms, options.harmonics, self.gain
        )
        return coefficients, residual, *filter_residuals(self.t, residual, options, average=False)

    def residuals(self, noise: Noise, which: Which) -> np.ndarray:
        """Return noise less function and filtered residuals at the samples, shape (n, replicates)."""
        _, residual, grid, short, long = self._filtered(noise)
        return residual - _between(self.t, grid, short if which == "short" else long)

    def curves(self, noise: Noise) -> Curves:
        """Return what the fit makes of noise."""
        coefficients, _, grid, short, long = self._filtered(noise)
        terms, harmonics = self.options.polynomial_terms, self.options.harmonics
        powers, waves = kernel.design(grid, terms, harmonics)
        polynomial = powers @ coefficients[:terms]
        return Curves(
            grid,
            polynomial + (waves * (1.0 + self.gain * grid)[:, None]) @ coefficients[terms:],
            polynomial,
            short,
            long,
            curve_derivative(grid, long, coefficients[:terms]),
            coefficients,
        )

    def observed(self, which: Which) -> np.ndarray:
        """Return the record's own residuals about the function and a filter, at the dates of the simulation."""
        fit = self.fit
        filtered = fit.short if which == "short" else fit.long
        rest = fit.y - fit.function(fit.x) - np.interp(fit.x, fit.grid, filtered)
        return np.add.reduceat(rest, self.start) / np.diff(np.append(self.start, rest.size))


def _thinned(fit: CurveFit, limit: int) -> tuple[np.ndarray, np.ndarray, float]:
    """Return times (years since the fit's zero), the first sample of each, and how many years each stands for."""
    t = fit.x - fit.timezero
    width = 0.0
    start = np.flatnonzero(np.append(True, np.diff(t) > 0))
    if t.size > limit:  # means over `_BIN` days; of a short record, over a thousandth of it
        width = min(_BIN / _YEAR, (t[-1] - t[0]) / 1000.0)
        start = np.flatnonzero(np.append(True, np.diff(np.floor((t - t[0]) / width)) > 0))
    return np.add.reduceat(t, start) / np.diff(np.append(start, t.size)), start, width


def _between(t: np.ndarray, grid: np.ndarray, values: np.ndarray) -> np.ndarray:
    """Interpolate columns linearly."""
    place = np.clip(np.searchsorted(grid, t, side="right") - 1, 0, grid.size - 2)
    share = ((t - grid[place]) / (grid[place + 1] - grid[place]))[:, None]
    return values[place] + (values[place + 1] - values[place]) * share


def estimate_noise(fit: CurveFit, which: Which = "long", *, members: int = 32, seed: int = 0) -> Noise:
    """Find the noise that leaves residuals like those of the record.

    Parameters
    ----------
    fit : CurveFit
        A fit.
    which : {"short", "long"}
        Residuals about the smooth curve, which follows anomalies of weeks, or about function and trend, which count
        them as noise.
    members : int
        Replicates.
    seed : int
        See `Simulation`.

    Returns
    -------
    Noise
        Its size is that of single samples, or of means over three days where there are many.
    """
    simulation = Simulation(fit, range(members), seed)
    cutoff = fit.options.long_days if which == "long" else fit.options.short_days
    block = max(_BLOCK * cutoff, 2.5 * _YEAR * float(np.median(np.diff(simulation.t), axis=0))) / _YEAR
    start = np.flatnonzero(np.append(True, np.diff(np.floor((simulation.t - simulation.t[0]) / block)) > 0))
    spread, share = (float(s[0]) for s in _statistics(simulation.observed(which)[:, None], start))

    known: dict[
        float, tuple[float, float, float]
    ] = {}  # log of mean square, of the share, and the latter's spread

    def tried(memory: float) -> tuple[float, float]:
        size, ratio = (np.log(s) for s in _statistics(simulation.residuals(Noise(1.0, memory), which), start))
        known[memory] = float(size.mean()), float(ratio.mean()), float(ratio.std())
        return float(np.exp(size.mean())), float(np.exp(ratio.mean()))

    def found(memory: float, at_bound: bool = False) -> Noise:
        size, _ = tried(memory)
        days = np.array(sorted(known))
        logs, ratios, _ = np.array([known[d] for d in days]).T
        off = known[memory][2] * np.array([-1.0, 1.0])
        memories = np.interp(np.log(share) + off, np.maximum.accumulate(ratios), days)
        sizes = np.exp(np.interp(memories, days, logs))
        likely = tuple(
            Noise(float(np.sqrt(spread / s)), float(m)) for s, m in zip(sizes, memories, strict=True)
        )
        return Noise(float(np.sqrt(spread / size)), memory, at_bound, likely)

    if start.size < 4 or not spread > 0.0:
        return Noise(float(np.sqrt(max(spread, 0.0))), 0.0)
    low, (_, at_low) = 0.0, tried(0.0)
    memories = [cutoff * m for m in (*_TRIED, _LONGEST)]
    if at_low >= share:
        tried(memories[0])
        return found(0.0)
    for high in memories:
        _, at_high = tried(high)
        if at_high >= share:
            break
        low, at_low = high, at_high
    else:
        return found(memories[-1], at_bound=True)
    for _ in range(3):
        middle = float(np.sqrt(low * high)) if low > 0 else high / 3.0
        _, at_middle = tried(middle)
        if at_middle >= share:
            high, at_high = middle, at_middle
        else:
            low, at_low = middle, at_middle
    return found(float(low + (high - low) * (share - at_low) / max(at_high - at_low, 1e-12)))


def noise_as_large(simulation: Simulation, memory_days: float, which: Which = "long") -> Noise:
    """Return noise of a memory that leaves residuals as large as the record's own.

    Of a memory that the filter takes for signal it can only be supposed, and is larger than what it leaves.

    Parameters
    ----------
    simulation : Simulation
        Of the record's fit.
    memory_days : float
        Memory.
    which : {"short", "long"}
        See `estimate_noise`.
    """
    left = np.mean(simulation.residuals(Noise(1.0, memory_days), which) ** 2)
    return Noise(float(np.sqrt(np.mean(simulation.observed(which) ** 2) / left)), memory_days)


def _statistics(residual: np.ndarray, start: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return mean square, and the mean square of means over blocks over that, of each column."""
    count = np.diff(np.append(start, residual.shape[0]))[:, None]
    square = (residual**2).mean(axis=0)
    return square, ((np.add.reduceat(residual, start, axis=0) / count) ** 2).mean(axis=0) / np.maximum(
        square, 1e-300
    )


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
