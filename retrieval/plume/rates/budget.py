"""A rate as a weighted sum of pixels: its noise, its background's error, its interval.

Every method here, once its shape is fixed, is linear in the columns: ``Q = Σ w_i v_i``. So one rule serves all. Noise
is ``Σ w_i² σ_i²``. What structure of the background does to Q is measured by laying the same weights over other,
plume-free places of the scene: the scatter of those sums beyond their noise.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy import stats

from obsnet.typing import Bools, Floats, Ints

__all__ = ["PixelSum", "RateBudget", "interval", "place_elsewhere"]

_PLACES = 40  # other places that are enough
_ENOUGH = 8  # without so many the structure of the detection stands in
_SEEN = 0.8  # share of the weights that must fall on pixels with a value
_TOGETHER = 3  # places per independent one: neighbours share background


@dataclass(frozen=True, eq=False)
class PixelSum:
    """Weights of pixels.

    Parameters
    ----------
    row, column : ndarray of int, shape (n,)
        Which pixels.
    weight : ndarray, shape (n,)
        kg s-1 per customary unit of the columns.
    """

    row: Ints
    column: Ints
    weight: Floats

    def of(self, field: Floats) -> float:
        """Return the sum over a field, kg s-1."""
        return float(np.sum(self.weight * field[self.row, self.column]))

    def noise(self, uncertainty: Floats) -> float:
        """Return the standard deviation that independent errors of the pixels make, kg s-1."""
        return float(np.sqrt(np.sum((self.weight * uncertainty[self.row, self.column]) ** 2)))

    def __add__(self, other: PixelSum) -> PixelSum:
        return PixelSum(
            np.concatenate([self.row, other.row]),
            np.concatenate([self.column, other.column]),
            np.concatenate([self.weight, other.weight]),
        )

    def times(self, factor: float) -> PixelSum:
        """Return the sum multiplied."""
        return PixelSum(self.row, self.column, self.weight * factor)


@dataclass(frozen=True)
class RateBudget:
    """Standard errors of a rate by where they come from, kg s-1.

    Parameters
    ----------
    wind, background, noise, method, conversion : float
        Of the wind; of structure in the background; of the pixels; of the method itself, that plumes are unsteady and
        the method knows nothing of it; of turning mole fractions into mass.
    """

    wind: float
    background: float
    noise: float
    method: float
    conversion: float

    @property
    def total(self) -> float:
        """All of them, taken as independent of each other."""
        return float(np.sqrt(sum(v**2 for v in vars(self).values())))

    @property
    def additive(self) -> float:
        """What does not grow with the rate: background and noise."""
        return float(np.hypot(self.background, self.noise))

    @property
    def proportional(self) -> float:
        """What grows with the rate: wind, method and conversion."""
        return float(np.sqrt(self.wind**2 + self.method**2 + self.conversion**2))


def place_elsewhere(
    pixels: PixelSum, residual: Floats, uncertainty: Floats, clear: Bools, structure: float
) -> tuple[float, int]:
    """Return the standard error that structure of the background makes, and at how many other places it was measured.

    Parameters
    ----------
    pixels : PixelSum
        Weights of the rate.
    residual, uncertainty : ndarray, shape (row, column)
        Columns without their smooth background, and their random errors.
    clear : ndarray of bool
        Pixels with a value and outside all plumes.
    structure : float
        Standard deviation of the background's structure, used where there is too little room elsewhere, as if it
        were one number for all pixels of the plume.

    Returns
    -------
    error : float
        kg s-1. The mean square is inflated for having been told from few places (chi-square, about a third of them
        independent), so that the interval keeps its coverage.
    places : int
    """
    rows, columns = residual.shape
    low = -int(pixels.row.min()), -int(pixels.column.min())
    high = rows - 1 - int(pixels.row.max()), columns - 1 - int(pixels.column.max())
    size = float(np.abs(pixels.weight).sum())
    filled = np.where(clear, residual, 0.0)
    squared = np.where(clear, uncertainty, 0.0) ** 2
    sums: list[float] = []
    noises: list[float] = []
    for i, j in _shifts(low, high):
        if len(sums) == _PLACES:
            break
        r, c = pixels.row + i, pixels.column + j
        there = clear[r, c]
        if np.abs(pixels.weight[there]).sum() < _SEEN * size:
            continue
        sums.append(float(np.sum(pixels.weight * filled[r, c])))
        noises.append(float(np.sum(pixels.weight**2 * squared[r, c])))
    if len(sums) < _ENOUGH:
        return structure * abs(float(np.sum(pixels.weight[pixels.weight > 0]))), len(sums)
    independent = max(2.0, len(sums) / _TOGETHER)
    excess = float(np.mean(np.square(sums)) - np.mean(noises))
    return float(np.sqrt(max(excess, 0.0) * independent / (independent - 1.0))), len(sums)


def _shifts(low: tuple[int, int], high: tuple[int, int]) -> list[tuple[int, int]]:
    """Return shifts spread evenly over those that keep the weights inside the image (R2 sequence, Roberts 2018)."""
    steps = np.arange(1, 4 * _PLACES + 1)[:, None] * np.array([0.7548776662466927, 0.5698402909980532]) % 1.0
    span = np.array(high) - np.array(low) + 1
    shifts = np.array(low) + (steps * span).astype(np.int64)
    return list(dict.fromkeys((int(i), int(j)) for i, j in shifts))


def interval(rate: float, budget: RateBudget, level: float = 0.95) -> tuple[float, float]:
    """Return the rates that an estimate does not exclude.

    Parameters
    ----------
    rate : float
        Estimate, kg s-1.
    budget : RateBudget
        Its errors.
    level : float
        Of confidence.

    Returns
    -------
    low, high : float
        kg s-1; `high` is infinite where errors that grow with the rate leave no bound.

    Notes
    -----
    Errors of wind and method are shares of the true rate Q, those of noise and background are not:
    ``estimate = Q (1 + r e) + a e'``. The interval holds all Q with ``(estimate - Q)² <= z² (a² + r² Q²)``
    (Fieller 1954): wider above than below. Symmetric bounds would be too narrow wherever the wind was underestimated.

    Examples
    --------
    >>> low, high = interval(100.0, RateBudget(20.0, 0.0, 0.0, 0.0, 0.0))
    >>> round(low, 1), round(high, 1)
    (71.8, 164.5)
    """
    z = float(stats.norm.ppf(0.5 + 0.5 * level))
    a = budget.additive
    r = budget.proportional / abs(rate) if rate else 0.0
    lead = 1.0 - (z * r) ** 2
    if lead <= 0.0:
        return -np.inf, np.inf
    root = np.sqrt(rate**2 - lead * (rate**2 - (z * a) ** 2))
    return float((rate - root) / lead), float((rate + root) / lead)
