"""A total split into sectors: as the inventory is, or by how much each sector is doubted.

With totals x (covariance S) of regions and the inventory's sectors z (covariance P, ``H z`` their sums)::

    (a) share:   x_s = f_s x,   f_s = z_s / sum z,         cov = F S F'
    (b) errors:  x_s = z_s + G (x - H z),  G = P H'(H P H')^-1,   cov = P - G H P + G S G'

(a) says that all sectors of a region are off by one factor; it is (b) with sectors whose errors are wholly correlated
and proportional to them. (b) follows Cusworth et al. 2021 (doi:10.1038/s43247-021-00312-6). Both add up:
``H x_s = x`` and ``H cov H' = S``. Where x is the best estimate from the inventory's own totals and an inversion, (b)
is the update of all sectors by what the inversion observed.
"""

from __future__ import annotations

import numpy as np

from obsnet.typing import Floats

__all__ = ["by_errors", "by_share", "sector_covariance"]


def sector_covariance(sd: Floats, between_sectors: float, between_regions: float) -> Floats:
    """Return P for sectors and regions whose errors are correlated by two numbers.

    Parameters
    ----------
    sd : ndarray, shape (sectors, regions)
        Of the inventory.
    between_sectors, between_regions : float
        Correlation of two sectors of a region, and of two regions in a sector; of both the product. 0 to 1.

    Returns
    -------
    ndarray, shape (sectors regions, sectors regions)
        Regions running fastest.
    """
    k, n = sd.shape
    sectors = between_sectors + (1.0 - between_sectors) * np.eye(k)
    regions = between_regions + (1.0 - between_regions) * np.eye(n)
    flat = sd.ravel()
    return np.kron(sectors, regions) * np.outer(flat, flat)


def by_share(x: Floats, covariance: Floats, sectors: Floats) -> tuple[Floats, Floats]:
    """Split totals as the inventory is split.

    Parameters
    ----------
    x : ndarray, shape (regions,)
    covariance : ndarray, shape (regions, regions)
    sectors : ndarray, shape (sectors, regions)
        The inventory's; a region's must not add up to 0.

    Returns
    -------
    value : ndarray, shape (sectors, regions)
    covariance : ndarray, shape (sectors regions, sectors regions)
    """
    shares = sectors / sectors.sum(axis=0)
    f = np.vstack([np.diag(row) for row in shares])
    return shares * x, f @ covariance @ f.T


def by_errors(x: Floats, covariance: Floats, sectors: Floats, error: Floats) -> tuple[Floats, Floats]:
    """Split totals by how much each sector is doubted.

    Parameters
    ----------
    x, covariance, sectors
        As in `by_share`.
    error : ndarray, shape (sectors regions, sectors regions)
        P, such as from `sector_covariance`; every region's total must be doubted.
    """
    k, n = sectors.shape
    h = np.kron(np.ones((1, k)), np.eye(n))
    tied = error @ h.T
    gain = np.linalg.solve(h @ tied, tied.T).T
    value = sectors.ravel() + gain @ (x - sectors.sum(axis=0))
    return value.reshape(k, n), error - gain @ tied.T + gain @ covariance @ gain.T
