"""Statistics of spectra without a plume: mean, covariance, and the covariance shrunk to what so few pixels can tell.

Spectra of one detector column differ mostly in brightness. That one direction is kept as it is found; what remains is
shrunk to its own variances, by the weight of the oracle approximating shrinkage estimator (Chen et al. 2010,
doi:10.1109/TSP.2010.2053029, eq. 23) of its correlations::

    C = B + (1 - rho) R + rho diag(R),   B = S mu mu' S / (mu' S mu),   R = S - B

Shrinking S itself to a multiple of the identity would put a share of the brightness' variance on every band, and that
is larger than the noise that the filter has to tell from absorption.
"""

from __future__ import annotations

import numba
import numpy as np
from scipy.linalg.lapack import dpotrf, dtrtri

from obsnet.errors import SolverError
from obsnet.typing import Floats

__all__ = ["covariance", "inverse_of", "oas_weight", "shrink", "whitening"]


def covariance(centred: Floats) -> Floats:
    """Return the covariance of spectra from which their mean was taken, divided by their number.

    Parameters
    ----------
    centred : ndarray, shape (pixels, bands)
        C order.
    """
    return np.asarray(centred.T @ centred / len(centred))


def oas_weight(correlation: Floats, number: int) -> float:
    """Return the weight of the identity for a matrix of correlations from `number` samples.

    Notes
    -----
    With p bands: ``((1 - 2/p) tr(S^2) + tr(S)^2) / ((n + 1 - 2/p) (tr(S^2) - tr(S)^2 / p))``, at most 1.

    Examples
    --------
    >>> oas_weight(np.eye(3), 100)
    1.0
    """
    return float(_weight((correlation * correlation).sum(), np.trace(correlation), len(correlation), number))


def shrink(sample: Floats, mean: Floats, number: int, weight: float | None) -> tuple[Floats, float]:
    """Return the shrunk covariance and the weight that was given to the variances alone.

    Parameters
    ----------
    sample : ndarray, shape (bands, bands)
        Covariance as found.
    mean : ndarray, shape (bands,)
        Mean spectrum; the direction of brightness.
    number : int
        Of pixels.
    weight : float, optional
        0 leaves `sample` as it is; by default that of `oas_weight`.
    """
    if weight == 0.0:
        return sample, 0.0
    out, used = _shrunk(sample, mean, number, -1.0 if weight is None else weight)
    return np.asarray(out), float(used)


@numba.njit(cache=True)
def _shrunk(sample: Floats, mean: Floats, number: int, weight: float) -> tuple[Floats, float]:
    """Shrink; a negative weight is found."""
    p = len(mean)
    along = np.dot(sample, mean)
    bright = np.dot(mean, along)
    share = 1.0 / bright if bright > 0.0 else 0.0
    variance, inverse = np.empty(p), np.empty(p)
    for i in range(p):
        variance[i] = max(sample[i, i] - share * along[i] * along[i], 0.0)
        inverse[i] = 1.0 / variance[i] if variance[i] > 0.0 else 1.0
    if weight < 0.0:
        square, trace = 0.0, 0.0
        for i in range(p):
            trace += variance[i] * inverse[i]
            for j in range(p):
                square += (sample[i, j] - share * along[i] * along[j]) ** 2 * inverse[i] * inverse[j]
        weight = _weight(square, trace, p, number)
    out = np.empty((p, p))
    for i in range(p):
        for j in range(p):
            out[i, j] = sample[i, j] - weight * (sample[i, j] - share * along[i] * along[j])
        out[i, i] += weight * variance[i]
    return out, weight


@numba.njit(cache=True)
def _weight(square: float, trace: float, p: int, number: int) -> float:
    over = (number + 1.0 - 2.0 / p) * (square - trace**2 / p)
    above = (1.0 - 2.0 / p) * square + trace**2
    return 1.0 if over <= above else above / over


def whitening(matrix: Floats) -> Floats:
    """Return the lower triangle that makes the identity of a covariance: the inverse of its Cholesky factor.

    Raises
    ------
    SolverError
        The matrix is singular: bands without noise, or fewer pixels than bands without shrinkage.
    """
    lower, failed = dpotrf(matrix, lower=1, clean=1)
    if failed:
        raise SolverError(
            f"the covariance of {len(matrix)} bands is singular: a band without noise or twice there, or fewer pixels "
            "than bands; take columns together (together), shrinkage, or fewer bands"
        )
    return np.asarray(dtrtri(lower, lower=1)[0])


def inverse_of(whiten: Floats) -> Floats:
    """Return the inverse of a covariance from its `whitening`."""
    return np.ascontiguousarray(whiten.T @ whiten)
