"""Compiled loops of kriging: the system of each cell's nearest samples, built and solved. Plain arrays.

Neighbouring cells share most of their samples, so the covariances of those are carried from cell to cell.
"""

from __future__ import annotations

import numba
import numpy as np

from obsnet.sphere import EARTH_RADIUS_KM
from obsnet.typing import Floats, Ints
from retrieval.mapping.block_integrals import from_point, from_time

__all__ = ["cells_from_samples", "krige_groups"]


@numba.njit(cache=True, inline="always")
def _combined(p: Floats, es: float, et: float) -> float:
    return p[0] * es + p[1] * et + p[2] * es * et


@numba.njit(cache=True, inline="always")
def _distance(a: Floats, b: Floats) -> float:
    """Return the great-circle distance of two unit vectors, km."""
    c = np.sqrt((a[0] - b[0]) ** 2 + (a[1] - b[1]) ** 2 + (a[2] - b[2]) ** 2)
    return 2.0 * EARTH_RADIUS_KM * np.arcsin(min(0.5 * c, 1.0))


@numba.njit(cache=True, inline="always")
def _covariance(p: Floats, a: Floats, b: Floats, lag: float) -> float:
    return _combined(p, np.exp(-_distance(a, b) / p[3]), np.exp(-abs(lag) / p[4]))


# The order of sums is free, so that they run in lanes.
@numba.njit(cache=True, fastmath={"reassoc", "contract"})
def _cholesky(matrix: Floats, n: int) -> bool:
    """Factor the leading block in place (lower triangle); tell whether it was positive definite."""
    for j in range(n):
        d = matrix[j, j]
        least = 1e-13 * d  # below this the pivot is rounding
        for k in range(j):
            d -= matrix[j, k] * matrix[j, k]
        if d <= least:
            return False
        matrix[j, j] = np.sqrt(d)
        for i in range(j + 1, n):
            s = matrix[i, j]
            for k in range(j):
                s -= matrix[i, k] * matrix[j, k]
            matrix[i, j] = s / matrix[j, j]
    return True


@numba.njit(cache=True, fastmath={"reassoc", "contract"})
def _solve(factor: Floats, n: int, x: Floats) -> None:
    """Solve with a Cholesky factor, in place."""
    for i in range(n):
        for k in range(i):
            x[i] -= factor[i, k] * x[k]
        x[i] /= factor[i, i]
    for i in range(n - 1, -1, -1):
        x[i] /= factor[i, i]
        for k in range(i):  # along a row of the factor
            x[k] -= factor[i, k] * x[i]


@numba.njit(cache=True)
def _fill(n: int, rows: Ints, xyz: Floats, days: Floats, p: Floats, matrix: Floats) -> None:
    """Write covariances of each two samples below the diagonal."""
    for i in range(n):
        a = rows[i]
        for j in range(i):
            b = rows[j]
            matrix[i, j] = _covariance(p, xyz[a], xyz[b], days[a] - days[b])


@numba.njit(cache=True)
def _fill_from(
    rows: Ints, xyz: Floats, days: Floats, p: Floats, matrix: Floats, place: Ints, before: Ints, old: Floats
) -> None:
    """Do as `_fill`, but take from `old` what two samples had in the cell before; both lists ascend.

    ``place`` is room for where each sample stood before.
    """
    n = rows.shape[0]
    k = 0
    for i in range(n):
        while k < n and before[k] < rows[i]:
            k += 1
        place[i] = k if k < n and before[k] == rows[i] else -1
    for i in range(n):
        a, was = rows[i], place[i]
        for j in range(i):
            if was >= 0 and place[j] >= 0:
                matrix[i, j] = old[was, place[j]]
            else:
                b = rows[j]
                matrix[i, j] = _covariance(p, xyz[a], xyz[b], days[a] - days[b])


@numba.njit(cache=True, fastmath={"reassoc", "contract"})
def _solve_block(
    n: int,
    rows: Ints,
    value: Floats,
    variance: Floats,
    right: Floats,
    block: float,
    p: Floats,
    matrix: Floats,
    weight: Floats,
    ones: Floats,
) -> tuple[float, float, float]:
    """Krige one block from n samples: their covariances with it are `right`, its own variance is `block`.

    ``matrix`` has their covariances below the diagonal, see `_fill`; it is overwritten.

    Returns the mean, the variance of its error, and the sum of squares of the samples about their own mean in units of
    their covariance (n - 1 on average), NaN where that covariance is not positive definite.
    """
    for i in range(n):
        matrix[i, i] = p[0] + p[1] + p[2] + p[5] + variance[rows[i]]
        weight[i] = right[i]
        ones[i] = 1.0
    if not _cholesky(matrix, n):
        return np.nan, np.nan, np.nan
    _solve(matrix, n, weight)
    _solve(matrix, n, ones)
    lagrange = (1.0 - weight[:n].sum()) / ones[:n].sum()
    total, explained, local = 0.0, 0.0, 0.0
    for i in range(n):
        w = weight[i] + lagrange * ones[i]
        total += w * value[rows[i]]
        explained += w * right[i]
        local += ones[i] * value[rows[i]]
    local /= ones[:n].sum()
    square = 0.0
    for i in range(n):  # L^-1 (z - mean), into the weights' place
        x = value[rows[i]] - local
        for k in range(i):
            x -= matrix[i, k] * weight[k]
        weight[i] = x / matrix[i, i]
        square += weight[i] ** 2
    return total, max(block - explained + lagrange, 0.0), square


@numba.njit(cache=True, nogil=True)
def cells_from_samples(
    xyz: Floats,
    days: Floats,
    value: Floats,
    variance: Floats,
    neighbour: Ints,
    axes: Floats,
    size: Floats,
    block: Floats,
    middle: float,
    duration: float,
    p: Floats,
    nodes: Floats,
    nodes_weight: Floats,
) -> tuple[Floats, Floats, Floats]:
    """Krige means over cells (rectangles about their centres) and over one time; see `_solve_block`.

    ``block`` are the variances of the cells' own means;
    ``axes`` (cells, 3, 3) are the unit vectors to each centre and, from there, east and north.
    """
    cells, most = neighbour.shape
    matrix, now, old = np.empty((most, most)), np.empty((most, most)), np.empty((most, most))
    before, place = np.full(most, -1), np.empty(most, np.int64)
    right, ones, weight = np.empty(most), np.empty(most), np.empty(most)
    mean, error, square = np.empty(cells), np.empty(cells), np.empty(cells)
    for m in range(cells):
        rows = np.sort(neighbour[m])
        _fill_from(rows, xyz, days, p, now, place, before, old)
        for n in range(most):
            a = rows[n]
            for k in range(n):
                matrix[n, k] = now[n, k]
            u = v = 0.0
            for axis in range(3):
                u += xyz[a, axis] * axes[m, 1, axis]
                v += xyz[a, axis] * axes[m, 2, axis]
            scale = _distance(xyz[a], axes[m, 0]) / max(np.hypot(u, v), 1e-300)
            es = from_point(u * scale, v * scale, size[m, 0], size[m, 1], p[3], nodes, nodes_weight)
            right[n] = _combined(p, es, from_time(days[a] - middle, duration, p[4]))
        mean[m], error[m], square[m] = _solve_block(
            most, rows, value, variance, right, block[m], p, matrix, weight, ones
        )
        before = rows
        now, old = old, now
    return mean, error, square


@numba.njit(cache=True, nogil=True)
def krige_groups(
    xyz: Floats,
    days: Floats,
    value: Floats,
    variance: Floats,
    neighbour: Ints,
    target: Floats,
    target_days: Floats,
    offsets: Ints,
    p: Floats,
) -> tuple[Floats, Floats, Floats]:
    """Krige means over groups of points, each with a nugget of its own; see `_solve_block`; shape (groups,).

    ``neighbour`` (groups, n) has -1 behind the last one; ``p`` is `ProductSum.parameters`. A group that has
    no neighbour, or whose neighbours have no positive definite covariance, is NaN.
    """
    groups, most = neighbour.shape
    matrix = np.empty((most, most))
    right, ones, weight = np.empty(most), np.empty(most), np.empty(most)
    mean, error, square = np.full(groups, np.nan), np.full(groups, np.nan), np.full(groups, np.nan)
    for m in range(groups):
        first, last = offsets[m], offsets[m + 1]
        n = 0
        while n < most and neighbour[m, n] >= 0:
            a = neighbour[m, n]
            right[n] = 0.0
            for q in range(first, last):
                right[n] += _covariance(p, xyz[a], target[q], days[a] - target_days[q])
            right[n] /= last - first
            n += 1
        if n == 0:
            continue
        block = (last - first) * (p[0] + p[1] + p[2] + p[5])
        for q in range(first, last):
            for r in range(first, q):
                block += 2.0 * _covariance(p, target[q], target[r], target_days[q] - target_days[r])
        block /= (last - first) ** 2
        _fill(n, neighbour[m], xyz, days, p, matrix)
        mean[m], error[m], square[m] = _solve_block(
            n, neighbour[m], value, variance, right, block, p, matrix, weight, ones
        )
    return mean, error, square
