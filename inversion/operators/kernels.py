"""Correlation functions that are positive definite: in time, and on the sphere by chordal distance.

Great-circle distance with a Gaussian, or small values cut to zero, gives matrices that are not positive
definite; degrees as distance shrink lengths at 50 N by a third. So distances here are straight lines
through the Earth, in kilometres, and the functions are those of three-dimensional space (Gneiting 2013,
Bernoulli 19, 1327, doi:10.3150/12-BEJSP06).
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import scipy.sparse as sp

from inversion.operators.toeplitz import SMALLEST, GridCorrelation
from obsnet.errors import ConfigError, nearest
from obsnet.sphere import EARTH_RADIUS_KM, unit_vectors
from obsnet.typing import Floats

__all__ = [
    "KERNELS",
    "KERNEL_SLOPES",
    "as_matrix",
    "chord_km",
    "grid_correlation",
    "grid_distance",
    "space_correlation",
    "time_correlation",
]


def _exponential(r: Floats) -> Floats:
    return np.exp(-r)


def _matern32(r: Floats) -> Floats:
    # scaled so that the integral length is that of the exponential: nu = 3/2, range l / 2
    return (1.0 + 2.0 * r) * np.exp(-2.0 * r)


def _wendland(r: Floats) -> Floats:
    # phi_{3,1}: positive definite in three dimensions, zero beyond three lengths, integral length 1
    q = np.minimum(r / 3.0, 1.0)
    return (1.0 - q) ** 4 * (4.0 * q + 1.0)


# Each takes distance over length. Wendland (1995), doi:10.1007/BF02123482; Rasmussen & Williams (2006) ch.
# 4.2.
KERNELS = {"exponential": _exponential, "matern32": _matern32, "wendland": _wendland}
# Their derivatives by the logarithm of the length, at the same distance over length.
KERNEL_SLOPES = {
    "exponential": lambda r: r * np.exp(-r),
    "matern32": lambda r: 4.0 * r * r * np.exp(-2.0 * r),
    "wendland": lambda r: 20.0 * np.minimum(r / 3.0, 1.0) ** 2 * (1.0 - np.minimum(r / 3.0, 1.0)) ** 3,
}


def chord_km(lat: npt.ArrayLike, lon: npt.ArrayLike) -> Floats:
    """Return straight-line distances between points, km, shape (n, n).

    Parameters
    ----------
    lat, lon : array_like, shape (n,)
        Degrees.
    """
    from scipy.spatial.distance import pdist, squareform

    return np.asarray(squareform(pdist(unit_vectors(lat, lon)))) * EARTH_RADIUS_KM


def space_correlation(
    lat: npt.ArrayLike,
    lon: npt.ArrayLike,
    length_km: float,
    kernel: str = "exponential",
    *,
    sparse: bool = False,
) -> Any:
    """Return the correlation between points on the sphere.

    Parameters
    ----------
    lat, lon : array_like, shape (n,)
        Degrees; every point once.
    length_km : float
        Correlation length; 0 for none (the identity).
    kernel : {"exponential", "matern32", "wendland"}
        Shape; all three have the same integral length.
    sparse : bool
        Return a sparse matrix; only Wendland's function is zero beyond a distance.

    Returns
    -------
    ndarray or scipy.sparse.csr_array, shape (n, n)
        Ones on the diagonal, positive definite.

    Raises
    ------
    ConfigError
        Unknown kernel, or one that is never zero asked for as sparse.
    """
    if kernel not in KERNELS:
        raise ConfigError(f"unknown correlation kernel {kernel!r}{nearest(kernel, KERNELS)}")
    points = unit_vectors(lat, lon) * EARTH_RADIUS_KM
    if length_km <= 0.0:
        return sp.eye_array(len(points), format="csr") if sparse else np.eye(len(points))
    if not sparse:
        return KERNELS[kernel](chord_km(lat, lon) / length_km)
    if kernel != "wendland":
        raise ConfigError(f"kernel {kernel!r} is never zero; a sparse correlation needs 'wendland'")
    from scipy.spatial import cKDTree

    tree = cKDTree(points)
    distance = tree.sparse_distance_matrix(tree, 3.0 * length_km, output_type="coo_matrix")
    # Zero distances are not stored: the diagonal is put in by hand.
    off = distance.row != distance.col
    row, column = distance.row[off], distance.col[off]
    values = _wendland(distance.data[off] / length_km)
    n = len(points)
    ends = np.arange(n)
    data = np.concatenate([values, np.ones(n)])
    return sp.csr_array((data, (np.append(row, ends), np.append(column, ends))), shape=(n, n))


def grid_distance(lat: npt.ArrayLike, lon: npt.ArrayLike) -> Floats:
    """Return straight-line distances between the cells of a grid, km.

    Parameters
    ----------
    lat, lon : array_like, shape (rows,), (columns,)
        Degrees; cell = row * columns + column.

    Returns
    -------
    ndarray, shape (rows, rows, columns) or (cells, cells)
        Where the longitudes are even and the cells many: between two rows, by the number of columns between; else
        between all cells.
    """
    rows, columns = np.asarray(lat, dtype=np.float64), np.asarray(lon, dtype=np.float64)
    y, x = (a.ravel() for a in np.meshgrid(rows, columns, indexing="ij"))
    steps = np.diff(columns)
    even = steps.size > 0 and bool(np.allclose(steps, steps[0], rtol=1e-9, atol=0.0))
    if y.size < SMALLEST or not even:
        return chord_km(y, x)
    first = unit_vectors(rows, np.full(rows.size, columns[0]))
    apart = np.linalg.norm(first[:, None, :] - unit_vectors(y, x), axis=2) * EARTH_RADIUS_KM
    return np.asarray(apart.reshape(rows.size, rows.size, columns.size))


def grid_correlation(
    lat: npt.ArrayLike, lon: npt.ArrayLike, length_km: float, kernel: str = "exponential"
) -> Any:
    """Return the correlation between the cells of a grid, by its Toeplitz blocks where that is smaller.

    Parameters
    ----------
    lat, lon
        See `grid_distance`.
    length_km, kernel
        See `space_correlation`.

    Returns
    -------
    ndarray or GridCorrelation, shape (cells, cells)
    """
    if kernel not in KERNELS:
        raise ConfigError(f"unknown correlation kernel {kernel!r}{nearest(kernel, KERNELS)}")
    distance = grid_distance(lat, lon)
    return as_matrix(KERNELS[kernel](distance / length_km) if length_km > 0.0 else (distance == 0.0) * 1.0)


def as_matrix(values: Floats) -> Any:
    """Return values at the distances of `grid_distance` as a matrix."""
    return GridCorrelation(values) if values.ndim == 3 else values


def time_correlation(times: npt.ArrayLike, days: float) -> Floats:
    """Return the exponential correlation between times.

    Parameters
    ----------
    times : array_like of datetime64, or of float in days, shape (n,)
        Middles of the bins.
    days : float
        Correlation time; 0 for none.

    Returns
    -------
    ndarray, shape (n, n)
    """
    t = np.asarray(times)
    t = t.astype("datetime64[us]").astype(np.int64) / 86400e6 if t.dtype.kind == "M" else t.astype(np.float64)
    return np.eye(t.size) if days <= 0.0 else np.exp(-np.abs(t[:, None] - t) / days)
