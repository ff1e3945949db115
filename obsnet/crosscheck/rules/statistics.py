"""What stands beside the verdict: z and E_n of a total, its log-ratio, chi-square over all regions together.

With posterior total ``t`` (variance S) and inventory ``I`` (variance s^2) of a sum ``w`` of regions::

    z = (t - I) / sqrt(S + s^2 - 2 cov),      cov = rho s w'(I - A) C w / sqrt(w'C w)

where rho is the declared correlation of the inventory's error with the prior's: an inventory that was the prior (rho 1)
is in the posterior with the weight 1 - A. ``E_n`` of ISO 13528 is the difference over its expanded uncertainty (k = 2).
Neither sees the averaging kernel: where little was observed they compare the inventory with the prior. The verdict does
see it. Ratios of errors above 30 % are no normal variates; there ``ln(t / I)`` is, with the variances
``ln(1 + cv^2)`` of both.

All regions together: with W and U the weights and patterns of the regions that have an inventory (``W U' = 1``) and
inventories ``I`` of covariance B::

    d = W (ta - tb) - G (I - W tb) = G (X - I) + F (t - tb) + noise,     G = W A U',  F = W A (1 - U' W)
    V = W N W' + F C F' + G B G' + G K F' + F K' G',                     chi^2 = d' V^-1 d

K holds what inventories and prior share. For one inventory it is the square of the verdict's own test.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from obsnet.typing import Floats

__all__ = [
    "ChiSquare",
    "Plain",
    "chi_square",
    "common_error",
    "kernel_parts",
    "negative_variance",
    "plain_statistics",
    "sd_of",
]

LARGE = 0.30  # relative sd above which a ratio is looked at on a log scale
_RANK = 1e-10
_NOTHING = 1e-12  # of the largest entry: a variance that is zero but for rounding


@dataclass(frozen=True)
class Plain:
    """z, E_n and log-ratio of each tested sum; NaN where there is none.

    Parameters
    ----------
    z, e_n : ndarray
    log_ratio, log_ratio_sd : ndarray
        Of posterior over inventory, only where the relative sd of one is above `LARGE` and both are positive.
    """

    z: Floats
    e_n: Floats
    log_ratio: Floats
    log_ratio_sd: Floats


@dataclass(frozen=True)
class ChiSquare:
    """A test of all inventories together.

    Parameters
    ----------
    value : float
    freedom : int
        Rank of the covariance.
    p : float
        Chance of a value as large if all inventories are right within their errors.
    """

    value: float
    freedom: int
    p: float


def common_error(sd: Floats, common: float) -> Floats:
    """Return the covariance of errors that are pairwise correlated by `common`, shape (n, n)."""
    return np.outer(sd, sd) * (common + (1.0 - common) * np.eye(len(sd)))


def sd_of(covariance: Floats) -> Floats:
    """Return the standard deviations of a covariance; what rounding made negative is 0."""
    return np.asarray(np.sqrt(np.maximum(np.diagonal(covariance), 0.0)))


def negative_variance(matrix: Floats, rounding: float) -> str:
    """Return what is wrong with a symmetric matrix that no errors can have; empty where it is a covariance.

    Parameters
    ----------
    matrix : ndarray, shape (n, n)
        Finite.
    rounding : float
        How far below zero the least eigenvalue may be: of the matrix over its largest entry, and of its correlations,
        since beside a large region the variance of a small one may be negative and nothing would show.
    """
    size = float(np.abs(matrix).max(initial=0.0))
    if not size:
        return ""
    variance = np.diagonal(matrix)
    nothing = variance <= _NOTHING * size
    scale = 1.0 / np.sqrt(np.where(nothing, np.inf, variance))
    whole, alike = (float(np.linalg.eigvalsh(m)[0]) for m in (matrix / size, scale[:, None] * matrix * scale))
    shared = float(np.abs(matrix[nothing]).max(initial=0.0))  # what does not vary varies with nothing
    apart = shared > (np.sqrt(_NOTHING) + rounding) * size
    if variance.min() >= -_NOTHING * size and not apart and min(whole, alike) >= -rounding:
        return ""
    return (
        f"least eigenvalue {whole:.3g} of its largest entry, {alike:.3g} as correlations; "
        f"smallest variance {variance.min():.3g}, largest entry {size:.3g}"
        + (f"; a variance of zero with a covariance of {shared:.3g}" if apart else "")
    )


def plain_statistics(
    weights: Floats,
    posterior: Floats,
    posterior_variance: Floats,
    kernel: Floats,
    prior_covariance: Floats,
    inventory: Floats,
    inventory_sd: Floats,
    shared: float = 0.0,
) -> Plain:
    """Return z, E_n and the log-ratio.

    Parameters
    ----------
    weights : ndarray, shape (tested, totals)
        w of each sum.
    posterior, posterior_variance, inventory, inventory_sd : ndarray, shape (tested,)
        Of the sums, one unit.
    kernel, prior_covariance : ndarray, shape (totals, totals)
        A and C.
    shared : float
        rho.
    """
    tied = prior_covariance @ weights.T  # C w
    own = np.einsum("ij,ji->i", weights, tied)
    left = np.einsum("ij,ji->i", weights - weights @ kernel, tied)
    both = shared * inventory_sd * left / np.sqrt(np.where(own > 0, own, 1.0))
    variance = posterior_variance + inventory_sd**2 - 2.0 * both
    sd = np.sqrt(np.where(variance > 0, variance, np.nan))
    difference = posterior - inventory
    with np.errstate(invalid="ignore", divide="ignore"):
        cv = np.sqrt(posterior_variance) / posterior, inventory_sd / inventory
        shown = (posterior > 0) & (inventory > 0) & (np.maximum(*cv) > LARGE)
        log_ratio = np.where(shown, np.log(np.where(shown, posterior / inventory, 1.0)), np.nan)
        log_sd = np.where(shown, np.sqrt(np.log1p(cv[0] ** 2) + np.log1p(cv[1] ** 2)), np.nan)
    return Plain(difference / sd, difference / (2.0 * sd), log_ratio, log_sd)


def kernel_parts(weights: Floats, pattern: Floats, kernel: Floats) -> tuple[Floats, Floats]:
    """Return G and F: what of the regions' discrepancies, and of all else, appears in their posterior totals.

    Parameters
    ----------
    weights, pattern : ndarray, shape (regions, totals)
        w and u; u is scaled here to ``w'u = 1``.
    kernel : ndarray, shape (totals, totals)
        A.

    Returns
    -------
    own : ndarray, shape (regions, regions)
    rest : ndarray, shape (regions, totals)
    """
    u = pattern / np.einsum("ij,ij->i", weights, pattern)[:, None]
    seen = weights @ kernel
    own = seen @ u.T
    return own, seen - own @ weights


def chi_square(
    *,
    weights: Floats,
    pattern: Floats,
    prior: Floats,
    posterior: Floats,
    kernel: Floats,
    noise: Floats,
    prior_covariance: Floats,
    inventory: Floats,
    inventory_covariance: Floats,
    shared: float = 0.0,
) -> ChiSquare:
    """Test all inventories together.

    Parameters
    ----------
    weights, pattern : ndarray, shape (regions, totals)
        w and u of each region that has an inventory.
    prior, posterior : ndarray, shape (totals,)
    kernel, noise, prior_covariance : ndarray, shape (totals, totals)
        A, N, C as in `verdict.judge`.
    inventory : ndarray, shape (regions,)
    inventory_covariance : ndarray, shape (regions, regions)
    shared : float
        Correlation between errors of inventory and prior of the same region.
    """
    from scipy.stats import chi2

    own, rest = kernel_parts(weights, pattern, kernel)
    d = weights @ (posterior - prior) - own @ (inventory - weights @ prior)
    variance = weights @ noise @ weights.T + rest @ prior_covariance @ rest.T
    variance += own @ inventory_covariance @ own.T
    if shared:
        tied = weights @ prior_covariance
        spread = np.sqrt(np.einsum("ij,ij->i", tied, weights))
        sd = np.sqrt(np.diagonal(inventory_covariance))
        cross = own @ (tied * (shared * sd / np.where(spread > 0, spread, 1.0))[:, None]) @ rest.T
        variance += cross + cross.T
    size = np.sqrt(np.diagonal(variance))
    values, vectors = np.linalg.eigh(variance / np.outer(size, size))
    kept = values > _RANK * values.max(initial=0.0)
    along = vectors[:, kept].T @ (d / size)
    value = float(np.sum(along**2 / values[kept]))
    freedom = int(kept.sum())
    return ChiSquare(value, freedom, float(chi2.sf(value, freedom)))
