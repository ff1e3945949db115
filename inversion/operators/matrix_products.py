"""Products of a large sparse Jacobian with blocks of vectors, with the same sum for any number of threads.

Scipy turns a float32 matrix into a float64 copy for every product and uses one core. Here the matrix stays
as it is, sums are in float64, and each thread owns rows of the result.
"""

from __future__ import annotations

from typing import Any

import numba
import numpy as np
import numpy.typing as npt
import scipy.sparse as sp

from obsnet.typing import Floats, Ints

__all__ = ["adjoint", "canonical", "forward", "rows_of"]

_LARGE = 2_000_000  # stored entries below which scipy's start is quicker


@numba.njit(cache=True, parallel=True)
def _forward(
    data: npt.NDArray[np.floating],
    indices: npt.NDArray[np.integer],
    indptr: npt.NDArray[np.integer],
    cuts: Ints,
    first: int,
    x: Floats,
    out: Floats,
) -> None:  # pragma: no cover - compiled
    k = x.shape[1]
    # One band of columns after the other, so that its part of x stays in the cache.
    for part in range(cuts.size - 1):
        low, high = cuts[part], cuts[part + 1]
        for i in numba.prange(indptr.size - 1):
            start, stop = indptr[i], indptr[i + 1]
            row = out[i]
            for a in range(start + np.searchsorted(indices[start:stop], low), stop):
                column = indices[a]
                if column >= high:
                    break
                value = np.float64(data[a])
                source = x[column - first]
                for j in range(k):
                    row[j] += value * source[j]


@numba.njit(cache=True, parallel=True)
def _adjoint(
    data: npt.NDArray[np.floating],
    indices: npt.NDArray[np.integer],
    indptr: npt.NDArray[np.integer],
    cuts: Ints,
    v: Floats,
    out: Floats,
) -> None:  # pragma: no cover - compiled
    k = v.shape[1]
    for part in numba.prange(cuts.size - 1):
        low, high = cuts[part], cuts[part + 1]
        for i in range(indptr.size - 1):
            start, stop = indptr[i], indptr[i + 1]
            source = v[i]
            for a in range(start + np.searchsorted(indices[start:stop], low), stop):
                column = indices[a]
                if column >= high:
                    break
                value = np.float64(data[a])
                target = out[column]
                for j in range(k):
                    target[j] += value * source[j]


def canonical(matrix: Any) -> sp.csr_array:
    """Return a sparse matrix as CSR with sorted columns, each once; what is given stays as it is.

    The kernels here and in `inversion.operators.normal_equations` take each entry once; a column twice in a row
    means the sum.
    """
    csr = sp.csr_array(matrix)
    if not csr.has_canonical_format:
        csr = csr.copy()
        csr.sum_duplicates()
    return csr


def rows_of(matrix: Any, rows: slice) -> sp.csr_array:
    """Return neighbouring rows of a CSR matrix, of which nothing is copied but their ends."""
    ends = matrix.indptr[rows.start : rows.stop + 1]
    part = sp.csr_array((ends.size - 1, matrix.shape[1]), dtype=matrix.dtype)
    # set by hand: scipy would copy what is a small part of something large
    part.data, part.indices = matrix.data[ends[0] : ends[-1]], matrix.indices[ends[0] : ends[-1]]
    part.indptr = ends - ends[0]
    return part


def forward(matrix: Any, x: Floats, span: slice | None = None) -> Floats:
    """Return ``H x`` for a CSR matrix with sorted columns.

    Parameters
    ----------
    matrix : scipy.sparse.csr_array, shape (n, m)
        float32 or float64.
    x : ndarray of float64, shape (m,) or (m, k)
    span : slice, optional
        Columns of H to which the rows of x belong, where they are not all; the others are not looked at.
    """
    if span is None and (matrix.nnz < _LARGE or x.ndim == 1) and matrix.dtype == np.float64:
        return np.asarray(matrix @ x)
    first, last = (0, matrix.shape[1]) if span is None else (span.start, span.stop)
    block = np.ascontiguousarray(x if x.ndim == 2 else x[:, None])
    out = np.zeros((matrix.shape[0], block.shape[1]))
    cuts = np.clip(_cuts(matrix), first, last)
    _forward(matrix.data, matrix.indices, matrix.indptr, cuts, first, block, out)
    return out if x.ndim == 2 else out[:, 0]


def adjoint(matrix: Any, v: Floats) -> Floats:
    """Return ``H' v`` for a CSR matrix with sorted columns and v of shape (n,) or (n, k)."""
    if (matrix.nnz < _LARGE or v.ndim == 1) and matrix.dtype == np.float64:
        return np.asarray(matrix.T @ v)
    block = np.ascontiguousarray(v if v.ndim == 2 else v[:, None])
    m = matrix.shape[1]
    out = np.zeros((m, block.shape[1]))
    _adjoint(matrix.data, matrix.indices, matrix.indptr, _cuts(matrix), block, out)
    return out if v.ndim == 2 else out[:, 0]


def _cuts(matrix: sp.csr_array) -> Ints:
    """Return column limits of parts with about as many entries each."""
    parts = 16
    # a sample is enough to balance the parts
    ends = np.cumsum(np.bincount(matrix.indices[::61], minlength=matrix.shape[1]))
    inner = np.searchsorted(ends, ends[-1] * np.arange(1, parts) / parts)
    return np.concatenate([[0], np.maximum.accumulate(inner), [matrix.shape[1]]]).astype(np.int64)
