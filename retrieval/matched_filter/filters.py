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
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from scipy import linalg

from obsnet.errors import SolverError
from obsnet.typing import Bools, Floats
from retrieval.matched_filter.background import covariance, factor, shrink
from retrieval.matched_filter.noise import brightness_noise
from retrieval.matched_filter.options import FilterSettings

__all__ = ["Filtered", "filter_spectra", "noise_taken"]

_EPS = 1e-3  # of the standard deviation: what is taken as zero beside it
_STILL = 1e-7  # relative scatter that float32 cannot hold
_DIM = 0.02  # brightness below which a pixel is not divided by it


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
    """

    enhancement: Floats
    sparse: Floats
    error: Floats
    brightness: Floats
    distance: Floats
    optimum: float
    shrinkage: float


def filter_spectra(
    spectra: Floats, absorption: Floats, settings: FilterSettings, background: Bools | None = None
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
    known = spectra if inside.all() else spectra[inside]
    n = len(known)
    mean = known.mean(axis=0)
    centred = known - mean
    sample = covariance(centred)
    dead = np.flatnonzero(np.diag(sample) <= (_STILL * mean) ** 2)
    if dead.size:
        raise SolverError(f"band {int(dead[0])} of {len(mean)} is the same in all pixels: a dead detector?")
    albedo = settings.method != "classical"

    mu, t = mean, mean * absorption
    taken = np.zeros(len(spectra))
    matrix, rho = shrink(sample, mu, n, settings.weight)
    if settings.method == "reweighted":
        amount = _plume(known @ mean, centred, mean, absorption, _whitening(matrix), rho, settings.rounds)
        taken[inside] = amount
        share, more = noise_taken(settings.rounds)
        total = float(amount.mean())
        mu = mean / (1.0 + total * absorption)  # mean = mu + mean(r alpha) mu k
        t = mu * absorption
        c = centred.T @ amount / n
        cleaned = sample - np.outer(c, t) - np.outer(t, c)
        cleaned += (float(amount @ amount) / n - total**2) * np.outer(t, t)
        variance = 1.0 / float(np.sum((_whitening(shrink(cleaned, mu, n, rho)[0]) @ t) ** 2))
        mu = mean / (1.0 + (total - share * np.sqrt(variance)) * absorption)
        matrix, rho = shrink(cleaned + more * variance * np.outer(t, t), mu, n, settings.weight)

    z = centred if mu is mean and known is spectra else spectra - mu
    if taken.any():
        z -= taken[:, None] * t
    whiten = _whitening(matrix)
    axis = whiten @ t
    q = float(axis @ axis)
    rows = z @ whiten.T
    g = rows @ axis
    m = np.einsum("ij,ij->i", rows, rows)
    kappa = (1.0 - rho) / (n - 1)
    left_out = n / (n - 1) / np.maximum(1.0 - kappa * np.maximum(m - g * g / q, 0.0), 1.0 / n)
    amount = taken + g / q * np.where(inside, left_out, 1.0)
    r = np.ones(len(spectra))
    if albedo:
        r = _brightness(spectra @ mean, mean, mu, t, amount)
    with np.errstate(divide="ignore", invalid="ignore"):
        alpha = np.where(r > _DIM, amount / r, np.nan)
        sparse = np.where(r > _DIM, taken / r, np.nan)
    error = brightness_noise(amount, r, inside & (r > _DIM), albedo)
    if settings.method != "reweighted":
        sparse = np.full(len(spectra), np.nan)
    distance = (m - g * g / q) / (len(mean) - 1)
    return Filtered(alpha, sparse, error, r, distance, float(1.0 / np.sqrt(q)), rho)


def _plume(
    seen: Floats,
    centred: Floats,
    mean: Floats,
    absorption: Floats,
    whiten: Floats,
    rho: float,
    rounds: int,
) -> Floats:
    """Return ``r alpha`` of every pixel after the rounds of the reweighted filter.

    What the covariance is shrunk to stays that of the first round, so that a round changes C by vectors alone: in
    coordinates in which it was the identity it is ``1 + (1 - rho) (v t t' - c t' - t c')``, which is solved by hand.
    What has become zero stays so, and is not looked at again.
    """
    n, keep = len(centred), 1.0 - rho
    active, part = np.arange(n), centred @ whiten.T
    mu, t = mean, mean * absorption
    amount, total, v = np.zeros(n), 0.0, 0.0
    c = np.zeros(len(mean))
    for turn in range(rounds):
        axis = whiten @ t
        tt, tc, cc = float(axis @ axis), float(axis @ c), float(c @ c)
        # w = a t + b c with b = keep q and q = t'w
        left = np.array([[1.0 + keep * (v * tt - tc), keep * (v * tc - cc)], [-keep * tt, 1.0 - keep * tc]])
        a, b = np.linalg.solve(left, np.array([1.0, 0.0]))
        q = a * tt + b * tc
        g = part @ (a * axis + b * c) + total * q
        r = np.maximum(_brightness(seen, mean, mu, t, amount), _DIM)
        less = 1.0 / (amount + r * _EPS / np.sqrt(q)) if turn else 0.0
        amount = (g - less) / q
        above = amount > 0.0
        if not above.all():
            active, part, seen, amount = active[above], part[above], seen[above], amount[above]
        total = float(amount.sum()) / n
        v = float(amount @ amount) / n - total**2
        c = amount @ part / n
        mu = mean / (1.0 + total * absorption)
        t = mu * absorption
    out = np.zeros(n)
    out[active] = amount
    return out


def _whitening(matrix: Floats) -> Floats:
    """Return the matrix that makes the identity of a covariance."""
    lower = factor(matrix)
    return np.asarray(linalg.solve_triangular(lower, np.eye(len(lower)), lower=True, check_finite=False))


def _brightness(seen: Floats, mean: Floats, mu: Floats, t: Floats, amount: Floats) -> Floats:
    """Return r of spectra with ``seen = x' mean`` that hold ``amount t``, with ``amount = r alpha``."""
    return np.asarray((seen - amount * float(t @ mean)) / float(mu @ mean))


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
            alpha = np.maximum(z - mean - sd**2 / (alpha + _EPS * sd), 0.0)
        left = z - alpha
        mean = float(density @ left)
        sd = float(np.sqrt(density @ (left - mean) ** 2))
    return -mean / sd, 1.0 / sd**2 - 1.0
