"""Matched filters of the spectra that share one background: one detector column, or some taken together.

Most pixels are told by `retrieval.matched_filter.linear`. Light falls with a strong plume less than linearly, and what
a linear filter leaves of it stays in the background. Pixels that lose a tenth of an error by that are taken out of it,
and told by `retrieval.matched_filter.strong`.
"""

from __future__ import annotations

import numpy as np

from obsnet.typing import Bools, Floats
from retrieval.matched_filter.linear import ColumnBackground, Filtered, estimates, squares, tell_background
from retrieval.matched_filter.options import FilterSettings
from retrieval.matched_filter.strong import GrowthCurve, undo

__all__ = ["filter_spectra"]

_TOLD = 3.0  # errors above which a pixel is looked at as a strong plume
_LOST = 0.1  # errors that a linear filter takes from a strong plume
_PASSES = 20  # at most, in which strong plumes are taken out of the background
_FEW = 0.002  # of all pixels: so few more need no other background
_DEEP = -0.1  # ln(transmittance) of the deepest band at which a plume counts as deep
_LEAST = -0.9  # the same, beyond which a plume is not told: intervals are known to hold to there
_SEEN = 2.0  # errors above which a plume is refused by a filter that is blind to strong ones
_POINTS = 24  # strengths at which a filter is asked whether it tells them apart


def filter_spectra(
    spectra: Floats,
    absorption: Floats,
    settings: FilterSettings,
    background: Bools | None = None,
    curve: GrowthCurve | None = None,
) -> Filtered:
    """Estimate enhancements of spectra that share one background.

    Parameters
    ----------
    spectra : ndarray, shape (pixels, bands)
        Radiances in any one unit, finite.
    absorption : ndarray, shape (bands,)
        d ln(radiance) per unit of enhancement.
    settings : FilterSettings
        Method and shrinkage.
    background : ndarray of bool, optional, shape (pixels,)
        Pixels that tell mean and covariance; all by default.
    curve : GrowthCurve, optional
        How absorption grows with the enhancement, for strong plumes of the reweighted filter; by default
        ``exp(absorption alpha)``.

    Raises
    ------
    SolverError
        A covariance that is singular, or a band that is the same in all pixels.

    Examples
    --------
    >>> rng = np.random.default_rng(1)
    >>> k = -1e-5 * np.array([0.1, 1.0, 0.3, 0.0, 0.6])
    >>> x = 10.0 + 0.01 * rng.normal(size=(4000, 5))
    >>> x[0] *= np.exp(2000.0 * k)
    >>> bool(abs(filter_spectra(x, k, FilterSettings()).enhancement[0] - 2000.0) < 400.0)
    True
    """
    spectra = np.ascontiguousarray(spectra, dtype=np.float64)
    inside = np.ones(len(spectra), dtype=bool) if background is None else background
    within = tell_background(spectra, absorption, settings, inside)
    if settings.method != "reweighted":
        return estimates(spectra, within, settings)
    curve = GrowthCurve.exponential(absorption) if curve is None else curve
    fewest = settings.fewest * spectra.shape[1] + 1
    strong = np.zeros(len(spectra), dtype=bool)
    for _ in range(_PASSES):
        losing, deepest = _lose(spectra, within, curve)
        new = np.count_nonzero(losing & ~strong)
        strong |= losing
        # deep plumes hide others of their column at first, so that the first few are not all
        enough = 0.0 if deepest < 2.0 * _DEEP else _FEW * len(strong)
        if new <= enough or np.count_nonzero(inside & ~strong) < fewest:
            break
        within = tell_background(spectra, absorption, settings, inside & ~strong)
    return _with_strong(spectra, estimates(spectra, within, settings), within, strong, curve)


def _lose(spectra: Floats, background: ColumnBackground, curve: GrowthCurve) -> tuple[Bools, float]:
    """Return which pixels lose more than `_LOST` errors by a linear filter, and ln(transmittance) of the deepest."""
    alpha, error = background.quick(spectra)
    out = alpha > _TOLD * error
    deepest = 0.0
    if out.any():
        depth = curve.at(alpha[out])[0]
        light, deepest = np.expm1(depth), float(depth.min())
        out[out] = alpha[out] - light @ (background.weight * background.mu) > _LOST * error[out]
    return np.asarray(out), deepest


def _with_strong(
    spectra: Floats, made: Filtered, background: ColumnBackground, strong: Bools, curve: GrowthCurve
) -> Filtered:
    """Put the strong plumes in, which are outside the background that `made` is of.

    Their noise is that of a linear estimate at their brightness, larger by the light that the gas took: variances of
    bands alone (the inverse of the diagonal of the inverse covariance; Roger and Arnold 1996,
    doi:10.1080/01431169608948750) grow by ``1 / T^2``, the surface's own scatter does not.
    """
    enhancement, sparse, error, distance, r = (
        values.copy()
        for values in (made.enhancement, made.sparse, made.error, made.distance, made.brightness)
    )
    w, mu, whiten = background.weight, background.mu, background.whiten
    if strong.any():
        dim = spectra[strong]
        alpha, restored, response = undo(dim, curve, w, mu, enhancement[strong])
        noise = w * w / np.einsum("ij,ij->j", whiten, whiten)
        share = min(float(noise.sum()) / made.optimum**2, 1.0)
        grown = (restored / dim) ** 2 @ noise / noise.sum()
        before = error[strong] * r[strong]
        r[strong] = bright = restored @ mu / float(mu @ mu)
        g = (restored @ w - float(w @ mu)) / made.optimum
        beside = np.maximum(squares(restored, mu, bright, whiten) - g * g, 0.0)
        enhancement[strong], sparse[strong] = alpha, np.maximum(alpha, 0.0)
        scatter = before * np.sqrt(1.0 + share * (grown - 1.0)) / response
        error[strong] = np.where(np.isfinite(alpha), scatter, np.nan)
        distance[strong] = beside / (len(mu) - 1)
    deepest = float(curve.unit.min())
    beyond = strong & ~np.isfinite(enhancement)
    with np.errstate(invalid="ignore"):
        look = np.flatnonzero(enhancement * deepest < _DEEP)
    if look.size:
        depth = curve.at(enhancement[look])[0].min(axis=1)
        last = curve.strength[-1] if curve.strength.size else np.inf
        beyond[look] |= (depth < _LEAST) | (enhancement[look] > last)
    if _blind(background, curve):
        with np.errstate(invalid="ignore"):
            beyond |= enhancement > _SEEN * error
    return Filtered(enhancement, sparse, error, r, distance, made.optimum, made.shrinkage, beyond)


def _blind(background: ColumnBackground, curve: GrowthCurve) -> bool:
    """Say whether a filter answers a stronger plume with less.

    It answers to a plume of strength alpha with ``w' mu (T(alpha) - 1)``, which grows with alpha where the background
    is clean. Where plumes of many pixels are part of it, it has become blind to the strongest: two strengths fit.
    """
    strength = np.linspace(0.0, _LEAST / float(curve.unit.min()), _POINTS)
    answer = np.expm1(curve.at(strength)[0]) @ (background.weight * background.mu)
    return bool((np.diff(answer) < 0.0).any())
