"""Regions instead of cells: partitions of a grid, coarse where little is known or to be learned.

A basis here is a set of regions; the unknowns are the mean fluxes over them. What regions cannot express is kept as an
error, see `inversion.problem.reduction`.
"""

from __future__ import annotations

import heapq
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import scipy.linalg as la
import scipy.sparse as sp

from inversion.operators.covariance import BlockDiagonalCovariance
from inversion.problem.innovation import innovation_covariance
from inversion.problem.problem import Problem
from obsnet.errors import ResourceError, SolverError
from obsnet.provenance import available_memory
from obsnet.typing import Bools, Floats, Ints

__all__ = ["Basis", "expected_information", "membership", "quadtree"]

Box = tuple[int, int, int, int]


@dataclass(frozen=True, eq=False)
class Basis:
    """Regions of each solved sector.

    Attributes
    ----------
    kind : str
        How they were made.
    restriction : dict of str to csr_array, shape (bins * regions, bins * cells)
        Means over the regions of each sector, time bin by time bin.
    region : dict of str to ndarray of int, shape (cells,)
        Region that holds most of each cell.
    """

    kind: str
    restriction: dict[str, sp.csr_array]
    region: dict[str, Ints]


def membership(labels: npt.ArrayLike, weights: npt.ArrayLike | None = None) -> sp.csr_array:
    """Return the operator that sums over the regions of a partition.

    Parameters
    ----------
    labels : array_like of int, shape (n,)
        Region of each element, 0, 1, …; negative for none.
    weights : array_like, shape (n,), optional
        Weight of each element, such as its area; one by default.

    Returns
    -------
    scipy.sparse.csr_array, shape (regions, n)
    """
    label = np.asarray(labels, dtype=np.int64)
    values = np.ones(label.size) if weights is None else np.asarray(weights, dtype=np.float64)
    inside = np.flatnonzero(label >= 0)
    count = int(label.max(initial=-1)) + 1
    return sp.csr_array((values[inside], (label[inside], inside)), shape=(count, label.size))


def quadtree(weight: npt.ArrayLike, regions: int, gain: Callable[[Bools], float] | None = None) -> Ints:
    """Divide a grid into rectangles, small where it pays.

    Parameters
    ----------
    weight : array_like, shape (rows, columns)
        Where a rectangle is cut: at the half of its weight, along its longer side. Not negative.
    regions : int
        How many.
    gain : callable, optional
        Takes the two halves of a rectangle as masks (2, rows * columns) and returns what dividing it gains; the
        largest is divided first. By default its weight, so that all end with about the same.

    Returns
    -------
    ndarray of int64, shape (rows, columns)
        Region of each cell, 0 to regions - 1.

    Raises
    ------
    SolverError
        A weight that is negative or not finite, or more regions than cells.
    """
    w = np.asarray(weight, dtype=np.float64)
    if w.ndim != 2 or not (np.isfinite(w) & (w >= 0.0)).all():
        raise SolverError(
            "the weight of a quadtree has two dimensions and values that are finite and not negative"
        )
    if not 1 <= regions <= w.size:
        raise SolverError(f"a grid of {w.size} cells has between 1 and {w.size} regions, asked for {regions}")

    def entry(box: Box) -> tuple[float, int, Box]:
        r0, r1, c0, c1 = box
        cells = (r1 - r0) * (c1 - c0)
        if cells == 1:
            value = -1.0
        elif gain is None:
            value = float(w[r0:r1, c0:c1].sum())
        else:
            masks = np.zeros((2, *w.shape), dtype=bool)
            for mask, (a, b, c, d) in zip(masks, _halves(w, box), strict=True):
                mask[a:b, c:d] = True
            value = gain(masks.reshape(2, -1))
        # of those without any gain the largest is divided
        return -value, -cells, box

    heap = [entry((0, w.shape[0], 0, w.shape[1]))]
    while len(heap) < regions:
        for half in _halves(w, heapq.heappop(heap)[2]):
            heapq.heappush(heap, entry(half))
    label = np.empty(w.shape, dtype=np.int64)
    for number, (r0, r1, c0, c1) in enumerate(sorted(box for _, _, box in heap)):
        label[r0:r1, c0:c1] = number
    return label


def _halves(w: Floats, box: Box) -> tuple[Box, Box]:
    """Cut a box along its longer side at the half of its weight."""
    r0, r1, c0, c1 = box
    along_rows = r1 - r0 >= c1 - c0
    part = w[r0:r1, c0:c1].sum(axis=1 if along_rows else 0)
    cumulated = np.cumsum(part)
    half = np.searchsorted(cumulated, 0.5 * cumulated[-1]) if cumulated[-1] > 0.0 else part.size // 2 - 1
    cut = int(np.clip(half + 1, 1, part.size - 1))
    if along_rows:
        return (r0, r0 + cut, c0, c1), (r0 + cut, r1, c0, c1)
    return (r0, r1, c0, c0 + cut), (r0, r1, c0 + cut, c1)


def expected_information(problem: Problem, name: str, times: int) -> Callable[[Bools], float]:
    """Return how many degrees of freedom for signal dividing a region is expected to add.

    Parameters
    ----------
    problem : Problem
        With a state and a prior error of the same blocks; observed values do not matter.
    name : str
        Block whose cells are divided.
    times : int
        Its time bins; a region holds for all.

    Returns
    -------
    callable
        Takes masks of the halves, shape (2, cells).

    Raises
    ------
    ResourceError
        More observations than there is memory for a matrix of their size squared.

    Notes
    -----
    Totals ``z = L x`` of prior covariance ``C = L B L'`` have ``tr(L B H' S^-1 H B L' C^-1)`` degrees of freedom for
    signal, with ``S = H B H' + R`` (Bocquet, Wu & Chevallier 2011, doi:10.1002/qj.837); the gain is that of the two
    halves less that of their sum.
    """
    assert problem.state is not None
    n = problem.n_obs
    if 16.0 * n * n > 0.8 * available_memory():
        raise ResourceError(
            f"an adaptive basis for {n} observations takes {16e-9 * n * n:.1f} GB; take kind = 'weighted', which is "
            "nearly as good"
        )
    span = problem.state.span(name)
    columns, error = problem.jacobian[:, span], block_error(problem, name)
    factor = la.cho_factor(innovation_covariance(problem), lower=True, overwrite_a=True, check_finite=False)

    def freedom(f: Floats, c: Floats) -> float:
        return float(np.sum(f * np.linalg.pinv(c, hermitian=True)))

    def gain(masks: Bools) -> float:
        rows = np.tile(masks.astype(np.float64), times)
        spread = error.matmul(np.ascontiguousarray(rows.T))
        seen = np.asarray(columns @ spread)
        f, c = seen.T @ la.cho_solve(factor, seen, check_finite=False), rows @ spread
        return max(freedom(f, c) - freedom(f.sum(keepdims=True), c.sum(keepdims=True)), 0.0)

    return gain


def block_error(problem: Problem, name: str) -> Any:
    """Return the prior error of one block of the state, or say that there is none of its own."""
    state, error = problem.state, problem.prior_error
    if state is None or not isinstance(error, BlockDiagonalCovariance) or not state.fits(error.blocks):
        raise SolverError("a basis needs a state and a prior error of the same blocks")
    return error.blocks[state.names.index(name)]
