"""Matched filters of the spectra that share one background: one detector column, or some taken together.

Model (Thompson et al. 2015, doi:10.5194/amt-8-4383-2015; Foote et al. 2020, doi:10.1109/TGRS.2020.2976888)::

    x_i = mu + r_i alpha_i t + e_i,   t = mu * k,   cov(e) = C,   r_i = (x_i - r_i alpha_i t)' m / mu' m

with k the unit absorption, m the mean spectrum and r the brightness; the classical filter has r = 1. The unbiased
estimate of least variance is ``alpha = t' C^-1 (x - mu) / (r t' C^-1 t)``. The reweighted filter finds mu and C without
the plume: it takes ``a_i = r_i alpha_i`` with alpha from the minimum of

    (x - mu - r alpha t)' C^-1 (x - mu - r alpha t) / 2 + alpha / (alpha_before + eps),   alpha >= 0

out of the spectra, again and again. Since only multiples of t are taken out, ``C = S - c t' - t c' + v t t'`` with c
the covariance of the spectra and a, and v the variance of a: no round computes a covariance of spectra again.
Without a plume the rounds take what is more than two standard deviations of noise; by how much that raises mu and
lowers C along t is known (`noise_taken`), and put back, other than in the published filter.

A pixel is part of the background that it is held against, and so looks less unusual than it is. Every estimate is
therefore made as if its own pixel were left out, which needs no second inversion: with z what is left of the spectrum
after a t, M = z' C^-1 z, q = t' C^-1 t and g = t' C^-1 z, it is
``(a + n / (n - 1) (g / q) / (1 - kappa (M - g^2 / q))) / r`` with kappa = (1 - rho) / (n - 1). The scatter of these
estimates is what pixels outside the statistics would have.

Light falls with a strong plume less than linearly, and what a linear filter leaves of it stays in mu and C. Pixels that
lose a tenth of an error by that are taken out of the background, and told by `retrieval.matched_filter.strong`.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numba
import numpy as np

from obsnet.errors import SolverError
from obsnet.typing import Bools, Floats, Singles
from retrieval.matched_filter.background import covariance, inverse_of, shrink, whitening
from retrieval.matched_filter.noise import brightness_noise
from retrieval.matched_filter.options import FilterSettings
from retrieval.matched_filter.rounds import NOTHING, taken_in_rounds
from retrieval.matched_filter.strong import GrowthCurve, undo

__all__ = ["Filtered", "filter_spectra", "noise_taken"]

_STILL = 1e-7  # relative scatter that float32 cannot hold
_DIM = 0.02  # brightness below which a pixel is not divided by it
_TOLD = 3.0  # errors above which a pixel is looked at as a strong plume
_LOST = 0.1  # errors that a linear filter takes from a strong plume
_PASSES = 10  # at most, in which strong plumes are taken out of the background
_DEEP = -0.1  # ln(transmittance) of the deepest band at which a plume counts as deep
_LEAST = -0.9  # the same, beyond which a plume is not told: intervals are known to hold to there
_FULL = 0.2  # share of a background's pixels that still hold gas, above which deep plumes are not told
_UNMOVED = 1e-3  # standard deviations by which rounds must still move a pixel to go on


@dataclass(frozen=True, eq=False)
class Filtered:
    """Enhancements of some pixels.

    Parameters
    ----------
    enhancement : ndarray, shape (pixels,)
        Unit of 1 / k; positive and negative.
    sparse : ndarray, shape (pixels,)
        With a preference for zero, not negative; of the reweighted filter, else NaN.
    error : ndarray, shape (pixels,)
        Standard deviation of `enhancement`.
    brightness : ndarray, shape (pixels,)
        r, 1 on average.
    distance : ndarray, shape (pixels,)
        How far the spectrum is from the background other than along t: ``(M - g^2 / q) / (bands - 1)``, about 1.
    optimum : float
        Standard deviation ``1 / sqrt(t' C^-1 t)`` that the covariance promises at r = 1.
    shrinkage : float
        Weight rho.
    held : float
        Share of the background's pixels that the reweighted filter still takes something from; 0.1 in noise.
    beyond : ndarray of bool, shape (pixels,)
        Plumes that the reweighted filter cannot tell: light of the deepest band is down to `_LEAST`, no strength fits,
        or strong ones on a background that is full of gas itself (`held` above `_FULL`).
    """

    enhancement: Floats
    sparse: Floats
    error: Floats
    brightness: Floats
    distance: Floats
    optimum: float
    shrinkage: float
    held: float
    beyond: Bools


@dataclass(frozen=True, eq=False)
class _Linear:
    """A filter that was made: w with ``w' t = 1``, the background mu, and what makes the identity of its covariance."""

    weight: Floats
    mu: Floats
    whiten: Floats


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
    made, linear = _linear(spectra, absorption, settings, inside)
    if settings.method != "reweighted":
        return made
    curve = GrowthCurve.exponential(absorption) if curve is None else curve
    strong = np.zeros(len(spectra), dtype=bool)
    for _ in range(_PASSES):
        with np.errstate(invalid="ignore"):
            look = strong | (made.enhancement > _TOLD * made.error)
        if not look.any():
            return made
        alpha = undo(spectra[look], curve, linear.weight, linear.mu, made.enhancement[look])[0]
        more = strong.copy()
        more[look] |= ~(alpha - made.enhancement[look] <= _LOST * made.error[look])
        fewest = settings.fewest * spectra.shape[1] + 1
        if not (more & ~strong).any() or np.count_nonzero(inside & ~more) < fewest:
            break
        strong = more
        made, linear = _linear(spectra, absorption, settings, inside & ~strong)
    return _with_strong(spectra, made, linear, strong, curve)


def _with_strong(
    spectra: Floats, made: Filtered, linear: _Linear, strong: Bools, curve: GrowthCurve
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
    w, mu, whiten = linear.weight, linear.mu, linear.whiten
    if strong.any():
        dim = spectra[strong]
        alpha, restored, response = undo(dim, curve, w, mu, enhancement[strong])
        noise = w * w / np.einsum("ij,ij->j", whiten, whiten)
        share = min(float(noise.sum()) / made.optimum**2, 1.0)
        grown = (restored / dim) ** 2 @ noise / noise.sum()
        before = error[strong] * r[strong]
        r[strong] = bright = restored @ mu / float(mu @ mu)
        g = (restored @ w - float(w @ mu)) / made.optimum
        beside = np.maximum(_squares(restored, mu, bright, whiten) - g * g, 0.0)
        enhancement[strong], sparse[strong] = alpha, np.maximum(alpha, 0.0)
        error[strong] = before * np.sqrt(1.0 + share * (grown - 1.0)) / response
        distance[strong] = beside / (len(mu) - 1)
    deepest = float(curve.unit.min())
    beyond = strong & ~np.isfinite(enhancement)
    look = np.flatnonzero(enhancement * deepest < _DEEP)
    if look.size:
        depth = curve.at(enhancement[look])[0].min(axis=1)
        last = curve.strength[-1] if curve.strength.size else np.inf
        beyond[look] |= (depth < _LEAST) | (enhancement[look] > last) | (made.held > _FULL)
    return Filtered(enhancement, sparse, error, r, distance, made.optimum, made.shrinkage, made.held, beyond)


def _linear(
    spectra: Floats, absorption: Floats, settings: FilterSettings, inside: Bools
) -> tuple[Filtered, _Linear]:
    """Filter as if absorption were linear."""
    known = spectra if inside.all() else spectra[inside]
    n = len(known)
    mean = np.full(n, 1.0 / n) @ known
    centred = known - mean
    sample = covariance(centred)
    dead = np.flatnonzero(np.diag(sample) <= (_STILL * mean) ** 2)
    if dead.size:
        raise SolverError(f"band {int(dead[0])} of {len(mean)} is the same in all pixels: a dead detector?")
    albedo = settings.method != "classical"

    mu, t = mean, mean * absorption
    seen = spectra @ mean
    taken = np.zeros(len(spectra))
    matrix, rho = shrink(sample, mu, n, settings.weight)
    if settings.method == "reweighted":
        amount, _ = taken_in_rounds(
            centred, seen if known is spectra else seen[inside], mean, absorption, inverse_of(whitening(matrix)),
            1.0 - rho, rounds=settings.rounds, dim=_DIM, still=_UNMOVED,
        )  # fmt: skip
        taken[inside] = amount
        share, more = noise_taken(settings.rounds)
        total = float(amount.mean())
        mu = mean / (1.0 + total * absorption)  # mean = mu + mean(r alpha) mu k
        t = mu * absorption
        c = amount @ centred / n
        cleaned = sample - np.outer(c, t) - np.outer(t, c)
        cleaned += (float(amount @ amount) / n - total**2) * np.outer(t, t)
        variance = 1.0 / float(np.sum((whitening(shrink(cleaned, mu, n, rho)[0]) @ t) ** 2))
        mu = mean / (1.0 + (total - share * np.sqrt(variance)) * absorption)
        matrix, rho = shrink(cleaned + more * variance * np.outer(t, t), mu, n, settings.weight)

    whiten = whitening(matrix)
    axis = whiten @ t
    q = float(axis @ axis)
    weight = axis @ whiten
    # of the spectrum less mu, then less what was taken
    g = spectra @ weight - float(mu @ weight)
    m = _squares(spectra, mu, seen / float(mean @ mu), whiten) + taken * (taken * q - 2.0 * g)
    g -= taken * q
    beside = np.maximum(m - g * g / q, 0.0)
    kappa = (1.0 - rho) / (n - 1)
    left_out = n / (n - 1) / np.maximum(1.0 - kappa * beside, 1.0 / n)
    amount = taken + g / q * np.where(inside, left_out, 1.0)
    r = np.ones(len(spectra))
    if albedo:
        r = (seen - amount * float(t @ mean)) / float(mu @ mean)
    with np.errstate(divide="ignore", invalid="ignore"):
        alpha = np.where(r > _DIM, amount / r, np.nan)
        sparse = np.where(r > _DIM, taken / r, np.nan)
    error = brightness_noise(amount, r, inside & (r > _DIM), albedo)
    if settings.method != "reweighted":
        sparse = np.full(len(spectra), np.nan)
    distance = beside / (len(mean) - 1)
    held = float(np.count_nonzero(taken)) / n
    none = np.zeros(len(spectra), dtype=bool)
    made = Filtered(alpha, sparse, error, r, distance, float(1.0 / np.sqrt(q)), rho, held, none)
    return made, _Linear(weight / q, mu, whiten)


def _squares(spectra: Floats, mu: Floats, brightness: Floats, whiten: Floats) -> Floats:
    """Return ``z' C^-1 z`` of ``z = y + (brightness - 1) mu``, that is of spectra less mu.

    Products of y alone are in single precision: brightness varies a hundred times more than noise, so it is kept apart.
    """
    bright = mu @ whiten.T
    across = spectra @ (bright @ whiten) - brightness * float(bright @ bright)  # y' C^-1 mu
    rows = _less(spectra, mu, brightness) @ np.ascontiguousarray(whiten.T, dtype=np.float32)
    more = brightness - 1.0
    return np.asarray(
        np.einsum("ij,ij->i", rows, rows) + more * (2.0 * across + more * float(bright @ bright))
    )


@numba.njit(cache=True)
def _less(spectra: Floats, mu: Floats, brightness: Floats) -> Singles:
    """Return spectra less ``brightness mu`` in single precision, the difference taken in double."""
    out = np.empty(spectra.shape, dtype=np.float32)
    for i in range(spectra.shape[0]):
        for j in range(spectra.shape[1]):
            out[i, j] = spectra[i, j] - brightness[i] * mu[j]
    return out


@lru_cache(maxsize=8)
def noise_taken(rounds: int) -> tuple[float, float]:
    """Return what the reweighted filter takes out of noise without a plume.

    Parameters
    ----------
    rounds : int
        Of the filter.

    Returns
    -------
    mean, variance : float
        Of what is taken, and by how much the variance along t is lower for it: in units of the standard deviation that
        is left, and of its square.

    Notes
    -----
    The filter itself, with one band and any number of pixels of standard normal noise. A round with the deviation s of
    what was left before leaves of estimates z > 2 s at last ``(z + sqrt(z^2 - 4 s^2)) / 2``, and 0 of others.
    """
    z = np.linspace(-8.0, 8.0, 16001)
    density = np.exp(-0.5 * z * z)
    density /= density.sum()
    alpha, mean, sd = np.maximum(z, 0.0), 0.0, 1.0
    for turn in range(rounds):
        if turn:
            alpha = np.maximum(z - mean - sd**2 / (alpha + NOTHING * sd), 0.0)
        left = z - alpha
        mean = float(density @ left)
        sd = float(np.sqrt(density @ (left - mean) ** 2))
    return -mean / sd, 1.0 / sd**2 - 1.0
