"""Statistics of spectra without a plume: mean, covariance, and the covariance shrunk to what so few pixels can tell.

Spectra of one detector column differ mostly in brightness. That one direction is kept as it is found; what remains is
shrunk to its own variances, by the weight of the oracle approximating shrinkage estimator (Chen et al. 2010,
doi:10.1109/TSP.2010.2053029, eq. 23) of its correlations::

    C = B + (1 - rho) R + rho diag(R),   B = S mu mu' S / (mu' S mu),   R = S - B

Shrinking S itself to a multiple of the identity would put a share of the brightness' variance on every band, and that
is larger than the noise that the filter has to tell from absorption.
"""

from __future__ import annotations

import numpy as np
from scipy import linalg
from scipy.linalg.blas import dsyrk

from obsnet.errors import SolverError
from obsnet.typing import Floats

__all__ = ["covariance", "factor", "oas_weight", "shrink"]


def covariance(centred: Floats) -> Floats:
    """Return the covariance of spectra from which their mean was taken, divided by their number.

    Parameters
    ----------
    centred : ndarray, shape (pixels, bands)
        C order.
    """
    upper = dsyrk(1.0 / len(centred), centred.T)
    return np.asarray(np.triu(upper) + np.triu(upper, 1).T)


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
    p = len(correlation)
    trace, square = float(np.trace(correlation)), float((correlation * correlation).sum())
    over = (number + 1.0 - 2.0 / p) * (square - trace**2 / p)
    above = (1.0 - 2.0 / p) * square + trace**2
    return 1.0 if over <= above else float(above / over)


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
    along = sample @ mean
    bright = float(mean @ along)
    b = np.outer(along, along) / bright if bright > 0.0 else np.zeros_like(sample)
    rest = sample - b
    variance = np.maximum(np.diag(rest), 0.0)
    if weight is None:
        scale = np.sqrt(np.where(variance > 0.0, variance, 1.0))
        weight = oas_weight(rest / np.outer(scale, scale), number)
    out = b + (1.0 - weight) * rest
    out[np.diag_indices_from(out)] += weight * variance
    return out, weight


def factor(matrix: Floats) -> Floats:
    """Return the lower Cholesky factor.

    Raises
    ------
    SolverError
        The matrix is singular: bands without noise, or fewer pixels than bands without shrinkage.
    """
    try:
        return np.asarray(linalg.cholesky(matrix, lower=True, check_finite=False))
    except linalg.LinAlgError:
        raise SolverError(
            f"the covariance of {len(matrix)} bands is singular: a band without noise or twice there, or fewer pixels "
            "than bands; take columns together (together), shrinkage, or fewer bands"
        ) from None
