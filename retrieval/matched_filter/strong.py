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
        if not self.strength.size:
            return alpha[:, None] * self.unit, np.broadcast_to(self.unit, (len(alpha), len(self.unit)))
        points = np.concatenate([[0.0], self.strength])
        table = np.concatenate([self.unit[None], self.mean])
        inside = np.clip(alpha, 0.0, points[-1])
        low = np.minimum(np.searchsorted(points, inside, side="right") - 1, len(points) - 2)
        width = points[low + 1] - points[low]
        part = ((inside - points[low]) / width)[:, None]
        mean = (1.0 - part) * table[low] + part * table[low + 1]
        slope = mean + inside[:, None] * (table[low + 1] - table[low]) / width[:, None]
        beyond = (alpha - inside)[:, None]
        return inside[:, None] * mean + beyond * slope, slope


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
    target = float(weight @ mu)
    small = 1e-9 / float(np.abs(curve.unit).max())
    alpha = np.maximum(np.nan_to_num(start), small)
    step = np.full(len(alpha), np.inf)
    for _ in range(_STEPS):
        depth, slope = curve.at(alpha)
        with np.errstate(over="ignore", invalid="ignore", divide="ignore"):
            restored = spectra * np.exp(-depth)
            response = (restored * slope) @ weight
            step = (restored @ weight - target) / response
            # no more than half as much again, so that the exponential cannot run away
            alpha = alpha + np.clip(step, -0.5 * alpha, 0.5 * alpha)
        if not (np.abs(step) > _ENOUGH * alpha).any():
            break
    bad = ~(np.abs(step) <= 1e3 * _ENOUGH * alpha) | (response <= 0.0)
    return np.where(bad, np.nan, alpha), restored, response
