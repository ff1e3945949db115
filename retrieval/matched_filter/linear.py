"""Linear matched filters of the spectra that share one background: its statistics, and every pixel against them.

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

__all__ = ["ColumnBackground", "Filtered", "estimates", "noise_taken", "squares", "tell_background"]

_STILL = 1e-7  # relative scatter that float32 cannot hold
_DIM = 0.02  # brightness below which a pixel is not divided by it
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
    beyond : ndarray of bool, shape (pixels,)
        Plumes that the reweighted filter cannot tell: light of the deepest band is nearly gone, no strength fits, or
        several, where plumes fill their own background.
    """

    enhancement: Floats
    sparse: Floats
    error: Floats
    brightness: Floats
    distance: Floats
    optimum: float
    shrinkage: float
    beyond: Bools


@dataclass(frozen=True, eq=False)
class ColumnBackground:
    """Statistics of spectra without the plume, and the filter that they make.

    Parameters
    ----------
    inside : ndarray of bool, shape (pixels,)
        Whose they are.
    mean, mu, target : ndarray, shape (bands,)
        m, mu and t.
    weight : ndarray, shape (bands,)
        ``C^-1 t / q``.
    whiten : ndarray, shape (bands, bands)
        What makes the identity of C.
    q : float
        ``t' C^-1 t``.
    shrinkage : float
        rho.
    seen, taken : ndarray, shape (pixels,)
        Spectra times m; what the rounds took out of them.
    """

    inside: Bools
    mean: Floats
    mu: Floats
    target: Floats
    weight: Floats
    whiten: Floats
    q: float
    shrinkage: float
    seen: Floats
    taken: Floats

    def brightness(self, amount: Floats) -> Floats:
        """Return r of all pixels, which hold ``amount t``."""
        return np.asarray((self.seen - amount * float(self.target @ self.mean)) / float(self.mu @ self.mean))

    def quick(self, spectra: Floats) -> tuple[Floats, Floats]:
        """Return enhancements without leaving out or taking away anything, and the errors that C promises."""
        amount = spectra @ self.weight - float(self.mu @ self.weight)
        r = np.maximum(self.brightness(amount), _DIM)
        return amount / r, 1.0 / (np.sqrt(self.q) * r)


def tell_background(
    spectra: Floats, absorption: Floats, settings: FilterSettings, inside: Bools
) -> ColumnBackground:
    """Tell mean and covariance without the plume; the reweighted filter takes it out in rounds.

    Parameters
    ----------
    spectra : ndarray, shape (pixels, bands)
        C order.
    absorption : ndarray, shape (bands,)
        d ln(radiance) per unit of enhancement.
    settings : FilterSettings
        Method and shrinkage.
    inside : ndarray of bool, shape (pixels,)
        Pixels that tell.

    Raises
    ------
    SolverError
        A covariance that is singular, or a band that is the same in all pixels.
    """
    known = spectra if inside.all() else spectra[inside]
    n = len(known)
    mean = np.full(n, 1.0 / n) @ known
    centred = known - mean
    sample = covariance(centred)
    dead = np.flatnonzero(np.diag(sample) <= (_STILL * mean) ** 2)
    if dead.size:
        raise SolverError(f"band {int(dead[0])} of {len(mean)} is the same in all pixels: a dead detector?")

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
    return ColumnBackground(inside, mean, mu, t, weight / q, whiten, q, rho, seen, taken)


def estimates(spectra: Floats, background: ColumnBackground, settings: FilterSettings) -> Filtered:
    """Estimate every pixel as if absorption were linear, each as if it were not in the background."""
    b, q, taken = background, background.q, background.taken
    n = np.count_nonzero(b.inside)
    albedo = settings.method != "classical"
    # of the spectrum less mu, then less what was taken
    g = spectra @ b.weight - float(b.mu @ b.weight)
    m = squares(spectra, b.mu, b.seen / float(b.mean @ b.mu), b.whiten) + q * taken * (taken - 2.0 * g)
    g -= taken
    beside = np.maximum(m - q * g * g, 0.0)
    kappa = (1.0 - b.shrinkage) / (n - 1)
    left_out = n / (n - 1) / np.maximum(1.0 - kappa * beside, 1.0 / n)
    amount = taken + g * np.where(b.inside, left_out, 1.0)
    r = b.brightness(amount) if albedo else np.ones(len(spectra))
    with np.errstate(divide="ignore", invalid="ignore"):
        alpha = np.where(r > _DIM, amount / r, np.nan)
        sparse = np.where(r > _DIM, taken / r, np.nan)
    error = brightness_noise(amount, r, b.inside & (r > _DIM), albedo)
    if settings.method != "reweighted":
        sparse = np.full(len(spectra), np.nan)
    distance = beside / (len(b.mu) - 1)
    none = np.zeros(len(spectra), dtype=bool)
    return Filtered(alpha, sparse, error, r, distance, float(1.0 / np.sqrt(q)), b.shrinkage, none)


def squares(spectra: Floats, mu: Floats, brightness: Floats, whiten: Floats) -> Floats:
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
