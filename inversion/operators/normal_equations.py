"""Kernels of the normal equations: ``H' W H`` of a sparse H into a dense matrix, and ``h_i' P h_i`` by row.

Scipy multiplies two sparse matrices by hashing each product; here each row of H adds its outer product to a
dense matrix. Threads own rows of the result, so the sum is the same for any number of threads.
"""

from __future__ import annotations

import numba
import numpy as np
import numpy.typing as npt

from obsnet.typing import Floats

__all__ = ["add_normal", "row_quadratics"]


@numba.njit(cache=True, parallel=True, fastmath=False)
def add_normal(
    data: npt.NDArray[np.floating],
    indices: npt.NDArray[np.integer],
    indptr: npt.NDArray[np.integer],
    weight: Floats,
    out: Floats,
) -> None:  # pragma: no cover - compiled
    """Add ``H' diag(weight) H`` to the lower triangle of `out`.

    Parameters
    ----------
    data, indices, indptr : ndarray
        H as CSR with sorted columns, shape (n, m).
    weight : ndarray of float64, shape (n,)
        One a row.
    out : ndarray of float64, shape (m, m)
        Row-major; its lower triangle is added to.
    """
    n, m = indptr.size - 1, out.shape[0]
    parts = 32
    for part in numba.prange(parts):
        # equal areas of the triangle, not equal counts of rows
        low = np.int64(m * np.sqrt(part / parts))
        high = np.int64(m * np.sqrt((part + 1) / parts))
        if part == parts - 1:
            high = m
        for i in range(n):
            start, stop = indptr[i], indptr[i + 1]
            a = start + np.searchsorted(indices[start:stop], low)
            while a < stop and indices[a] < high:
                if a + 4 <= stop and indices[a + 3] < high:
                    # four rows of the result for each look at a column: a third of the time
                    r0, r1, r2, r3 = indices[a], indices[a + 1], indices[a + 2], indices[a + 3]
                    v0, v1 = weight[i] * data[a], weight[i] * data[a + 1]
                    v2, v3 = weight[i] * data[a + 2], weight[i] * data[a + 3]
                    for b in range(start, a):
                        column, value = indices[b], data[b]
                        out[r0, column] += v0 * value
                        out[r1, column] += v1 * value
                        out[r2, column] += v2 * value
                        out[r3, column] += v3 * value
                    done, first = 4, a
                else:
                    done, first = 1, start
                for c in range(a, a + done):
                    row, factor = indices[c], weight[i] * data[c]
                    for b in range(first, c + 1):
                        out[row, indices[b]] += factor * data[b]
                a += done


@numba.njit(cache=True, parallel=True, fastmath=False)
def row_quadratics(
    data: npt.NDArray[np.floating],
    indices: npt.NDArray[np.integer],
    indptr: npt.NDArray[np.integer],
    matrix: Floats,
) -> Floats:  # pragma: no cover - compiled
    """Return ``h_i' P h_i`` for each row of a CSR matrix and a symmetric dense P."""
    n = indptr.size - 1
    out = np.zeros(n)
    for i in numba.prange(n):
        total = 0.0
        for a in range(indptr[i], indptr[i + 1]):
            inner = 0.0
            row = indices[a]
            for b in range(indptr[i], indptr[i + 1]):
                inner += data[b] * matrix[row, indices[b]]
            total += data[a] * inner
        out[i] = total
    return out
