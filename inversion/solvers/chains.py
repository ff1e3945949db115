"""How much Markov chains have told: effective sample size and split R-hat.

Geyer (1992), Stat. Sci. 7, 473, doi:10.1214/ss/1177011137; Gelman et al. (2013), Bayesian Data Analysis,
3rd ed., section 11.4-11.5; both as combined over chains by Vehtari et al. (2021), Bayesian Anal. 16, 667,
doi:10.1214/20-BA1221.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from obsnet.typing import Floats

__all__ = ["effective_size", "split_rhat"]


def _split(draws: Floats) -> Floats:
    """Return halves of chains as chains of their own, shape (2 chains, n // 2)."""
    half = draws.shape[1] // 2
    return np.concatenate([draws[:, :half], draws[:, -half:]], axis=0)


def _variances(chains: Floats) -> tuple[float, float]:
    """Return the mean variance within chains and the pooled estimate of the variance."""
    n = chains.shape[1]
    within = float(chains.var(axis=1, ddof=1).mean())
    between = float(chains.mean(axis=1).var(ddof=1)) if len(chains) > 1 else 0.0
    return within, within * (n - 1) / n + between


def split_rhat(draws: npt.ArrayLike) -> float:
    """Return the potential scale reduction of chains cut into halves.

    Parameters
    ----------
    draws : array_like, shape (chains, n)
        Of one quantity, n >= 4.

    Returns
    -------
    float
        Near 1 where the chains agree; above 1.01 they have not mixed. 1 for a constant.
    """
    within, pooled = _variances(_split(np.asarray(draws, dtype=np.float64)))
    if within == 0.0:
        return 1.0 if pooled == 0.0 else np.inf
    return float(np.sqrt(pooled / within))


def effective_size(draws: npt.ArrayLike) -> float:
    """Return the number of independent draws that would give the mean as well.

    Parameters
    ----------
    draws : array_like, shape (chains, n)
        Of one quantity, n >= 4.

    Returns
    -------
    float
        At most chains * n * log10(chains * n); of a constant, chains * n.
    """
    chains = _split(np.asarray(draws, dtype=np.float64))
    m, n = chains.shape
    within, pooled = _variances(chains)
    total = m * n
    if pooled == 0.0:
        return float(total)
    centred = chains - chains.mean(axis=1, keepdims=True)
    size = 1 << (2 * n - 1).bit_length()
    power = np.abs(np.fft.rfft(centred, size, axis=1)) ** 2
    covariance = np.fft.irfft(power, size, axis=1)[:, :n].mean(axis=0) / n
    rho = 1.0 - (within - covariance * n / (n - 1)) / pooled
    rho[0] = 1.0
    pairs = rho[0 : n - n % 2 : 2] + rho[1:n:2][: n // 2]
    negative = np.flatnonzero(pairs <= 0.0)
    stop = int(negative[0]) if negative.size else pairs.size
    # the initial monotone sequence: what is left after it is noise
    time = -1.0 + 2.0 * float(np.minimum.accumulate(pairs[:stop]).sum())
    return total / max(time, 1.0 / np.log10(max(total, 10)))
