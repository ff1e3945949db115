"""Plumes so strong that light falls with them less than linearly: what has to be undone until nothing is seen.

With T(alpha) the transmittance of alpha more of the gas, a spectrum is ``x = T(alpha) (r mu + e)``. A linear filter w
(``w' mu k = 1``) takes T for ``1 + k alpha``, and tells a strong plume too weak. Here alpha is what must be divided out
of the pixel's own spectrum until the same filter sees nothing more in it::

    w' (x / T(alpha) - mu) = 0

At the root brightness and the surface's own shape are those without the plume, so neither scales the answer, as they
would if a mean spectrum were absorbed. It is the same curved model as that of lognormal filters (Pei et al. 2023,
"Improving quantification of methane point source emissions from imaging spectroscopy"), solved with the covariance of
radiances.
"""

from __future__ import annotations

from dataclasses import dataclass

import numba
import numpy as np

from obsnet.errors import RangeError
from obsnet.typing import Floats

__all__ = ["GrowthCurve", "undo"]

_STEPS = 40
_ENOUGH = 1e-6  # relative step at which Newton's method ends


@dataclass(frozen=True, eq=False)
class GrowthCurve:
    """How absorption grows with the enhancement.

    Parameters
    ----------
    unit : ndarray, shape (bands,)
        d ln(radiance) per unit at zero.
    strength : ndarray, shape (points,)
        Positive and increasing; none for ``ln T = unit alpha``.
    mean : ndarray, shape (points, bands)
        ln(transmittance) over `strength` there.

    Raises
    ------
    RangeError
        Strengths that do not increase from zero, or a table of another shape.
    """

    unit: Floats
    strength: Floats
    mean: Floats

    def __post_init__(self) -> None:
        if self.mean.shape != (len(self.strength), len(self.unit)) or not np.isfinite(self.mean).all():
            raise RangeError("a curve of growth needs one finite value a strength and band")
        if not (np.diff(self.strength, prepend=0.0) > 0.0).all():
            raise RangeError(f"strengths of a curve of growth must increase from zero, found {self.strength}")

    @classmethod
    def exponential(cls, unit: Floats) -> GrowthCurve:
        """Return the curve ``T = exp(unit alpha)``."""
        return cls(unit, np.empty(0), np.empty((0, len(unit))))

    def at(self, alpha: Floats) -> tuple[Floats, Floats]:
        """Return ln(transmittance) and its derivative, shape (pixels, bands); below zero and beyond the table straight.

        Between strengths ln(T) over strength is a straight line.
        """
        points, table = self.table
        depth, slope = np.empty((len(alpha), len(self.unit))), np.empty((len(alpha), len(self.unit)))
        _depths(np.asarray(alpha, dtype=np.float64), points, table, depth, slope)
        return depth, slope

    @property
    def table(self) -> tuple[Floats, Floats]:
        """Strengths from zero on, and ln(transmittance) over strength there."""
        return np.concatenate([[0.0], self.strength]), np.concatenate([self.unit[None], self.mean])


@numba.njit(cache=True)
def _depth(alpha: float, points: Floats, table: Floats, depth: Floats, slope: Floats) -> None:
    """Put in ln(transmittance) and its derivative."""
    last = len(points) - 1
    inside = min(max(alpha, 0.0), points[last])
    low = max(min(np.searchsorted(points, inside, side="right") - 1, last - 1), 0)
    high = min(low + 1, last)
    width = points[high] - points[low]
    part = (inside - points[low]) / width if width > 0.0 else 0.0
    for j in range(table.shape[1]):
        mean = (1.0 - part) * table[low, j] + part * table[high, j]
        rise = (table[high, j] - table[low, j]) / width if width > 0.0 else 0.0
        slope[j] = mean + inside * rise
        depth[j] = inside * mean + (alpha - inside) * slope[j]


@numba.njit(cache=True)
def _depths(alpha: Floats, points: Floats, table: Floats, depth: Floats, slope: Floats) -> None:
    for row in range(len(alpha)):
        _depth(alpha[row], points, table, depth[row], slope[row])


def undo(
    spectra: Floats, curve: GrowthCurve, weight: Floats, mu: Floats, start: Floats
) -> tuple[Floats, Floats, Floats]:
    """Return what has to be divided out of spectra until a filter sees nothing.

    Parameters
    ----------
    spectra : ndarray, shape (pixels, bands)
        With plumes.
    curve : GrowthCurve
        Of the gas.
    weight, mu : ndarray, shape (bands,)
        The filter, of unit response at zero, and the background that it gives zero for.
    start : ndarray, shape (pixels,)
        First guess; the root that is looked for is positive.

    Returns
    -------
    alpha : ndarray, shape (pixels,)
        NaN where there is no root.
    restored : ndarray, shape (pixels, bands)
        Spectra without the plume.
    response : ndarray, shape (pixels,)
        Of the filter to more of the gas, at the root; r at small alpha.
    """
    points, table = curve.table
    small = 1e-9 / float(np.abs(curve.unit).max())
    alpha = np.maximum(np.nan_to_num(start), small)
    restored = np.empty(spectra.shape)
    response = _solve(spectra, points, table, weight, float(weight @ mu), alpha, restored)
    return alpha, restored, response


@numba.njit(cache=True)
def _solve(
    spectra: Floats,
    points: Floats,
    table: Floats,
    weight: Floats,
    target: float,
    alpha: Floats,
    restored: Floats,
) -> Floats:
    """Solve by Newton's method, in place; return the responses."""
    bands = len(weight)
    depth, slope = np.empty(bands), np.empty(bands)
    out = np.empty(len(spectra))
    for row in range(len(spectra)):
        a, step, response = alpha[row], np.inf, 1.0
        for _ in range(_STEPS):
            _depth(a, points, table, depth, slope)
            seen, response = -target, 0.0
            for j in range(bands):
                restored[row, j] = spectra[row, j] * np.exp(-depth[j])
                seen += weight[j] * restored[row, j]
                response += weight[j] * restored[row, j] * slope[j]
            if not abs(step) > _ENOUGH * a or not response > 0.0:
                break
            step = seen / response
            # no more than half as much again, so that the exponential cannot run away
            a += min(max(step, -0.5 * a), 0.5 * a)
        alpha[row] = a if abs(step) <= _ENOUGH * a and response > 0.0 else np.nan
        out[row] = response
    return out
