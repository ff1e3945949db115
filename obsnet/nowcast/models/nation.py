"""Kernel: provinces that have to agree with what is known of the nation."""

from __future__ import annotations

import numpy as np

from obsnet.typing import Floats

__all__ = ["statistical_difference", "tied"]


def tied(
    levels: Floats, before: float, nation: Floats, difference_sd: float, rng: np.random.Generator
) -> Floats:
    """Return draws of provinces, moved so that their sum grows as the nation does.

    Parameters
    ----------
    levels : ndarray, shape (draws, regions)
        Logarithms of emissions.
    before : float
        Sum over the regions in the last year known, in the unit of ``exp(levels)``.
    nation : ndarray, shape (draws,)
        Growth of the nation since then, as a change of the logarithm.
    difference_sd : float
        By how much the sum's growth and the nation's differ for reasons of statistics.
    rng : numpy.random.Generator
        Of the difference.

    Returns
    -------
    ndarray, shape (draws, regions)

    Notes
    -----
    Least squares with the draws' own covariance: ``x + P c (c P c + v)^-1 (n - s)`` with ``s`` the logarithm of the
    sum, ``P c`` the covariance of the regions with it and ``v`` the variance of the nation's growth and of the
    difference (an ensemble filter with perturbed observations: Burgers, van Leeuwen and Evensen 1998, Monthly Weather
    Review 126, 1719).
    """
    total = np.log(np.exp(levels).sum(axis=1))
    wanted = np.log(before) + nation + difference_sd * rng.standard_normal(len(nation))
    with_sum = (levels - levels.mean(axis=0)).T @ (total - total.mean()) / len(total)
    spread = total.var() + nation.var() + difference_sd**2
    gain = with_sum / spread if spread > 0.0 else np.zeros_like(with_sum)
    return np.asarray(levels + (wanted - total)[:, None] * gain, dtype=np.float64)


def statistical_difference(provinces: Floats, nation: Floats) -> float:
    """Return the root mean square difference of the growth of two sums over years; both of shape (years,)."""
    difference = np.diff(np.log(provinces)) - np.diff(np.log(nation))
    return float(np.sqrt(np.mean(difference[np.isfinite(difference)] ** 2)))
