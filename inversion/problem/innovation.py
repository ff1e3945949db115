"""The covariance of observation minus prediction, ``S = H B H' + R``, and what totals have in common with it.

A block of vectors of the state's length is the largest thing in most problems; here it is made in strips of so few
columns that one takes at most `STRIP` bytes.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import scipy.sparse as sp

from inversion.operators.covariance import DiagonalCovariance
from inversion.problem.problem import Problem
from obsnet.typing import Floats
from obsnet.work.progress import counted, progress

__all__ = ["BLOCK", "STRIP", "columns_at_once", "innovation_covariance", "seen_totals", "signal", "strips"]

BLOCK = 512  # observations worked through at a time, where that many vectors of the state fit
STRIP = (
    1.6e8  # bytes of one array of the state's length by the columns of a strip; several are alive at a time
)


def columns_at_once(size: int, most: int = 64) -> int:
    """Return how many columns a strip of vectors of a length has: of eights where eight fit."""
    count = int(STRIP / (8.0 * max(size, 1)))
    return min(most, max(count - count % 8 if count >= 8 else count, 1))


def strips(count: int, size: int, most: int = 64, what: str = "") -> Iterator[slice]:
    """Yield the strips in which `count` columns of vectors of a length are worked through.

    Parameters
    ----------
    count, size : int
        Columns, and the length of each.
    most : int
        Columns of a strip.
    what : str
        What the columns are, where their progress is to be shown.
    """
    step = columns_at_once(size, most)
    parts = [slice(start, min(start + step, count)) for start in range(0, count, step)]
    yield from counted(parts, what) if what else parts


def signal(problem: Problem, v: Floats) -> Floats:
    """Return ``H B H' v`` for v (n_obs, k), a strip of columns at a time."""
    out = np.empty(v.shape)
    for part in strips(v.shape[1], problem.n_state):
        there = problem.adjoint(np.ascontiguousarray(v[:, part]))
        out[:, part] = problem.forward(problem.prior_error.matmul(there))
    return out


def seen_totals(problem: Problem, g: Any) -> tuple[Floats, Floats]:
    """Return ``H B G'`` and ``G B G'``: how totals vary together with the observations, and with each other.

    Parameters
    ----------
    problem : Problem
    g : ndarray or csr_array, shape (totals, n_state)
        Weights of the totals.

    Returns
    -------
    ndarray, shape (n_obs, totals)
    ndarray, shape (totals, totals)
        Symmetric to rounding.
    """
    seen, own = np.empty((problem.n_obs, g.shape[0])), np.empty((g.shape[0], g.shape[0]))
    for part in strips(g.shape[0], problem.n_state, what="blocks of totals, as observed"):
        rows = g[part]
        columns = rows.toarray().T if sp.issparse(rows) else np.asarray(rows).T
        moved = problem.prior_error.matmul(np.ascontiguousarray(columns, dtype=np.float64))
        seen[:, part], own[:, part] = problem.forward(moved), g @ moved
    return seen, own


def innovation_covariance(problem: Problem) -> Floats:
    """Return ``S = H B H' + R``, shape (n_obs, n_obs)."""
    n = problem.n_obs
    s = np.empty((n, n), order="F")
    step = columns_at_once(problem.n_state, BLOCK)
    with progress(n, "observations, how they vary together") as advance:
        for span, block in problem.row_blocks(step):
            for start in range(0, block.shape[0], step):
                rows = block[start : start + step]
                strip = rows.toarray() if sp.issparse(rows) else np.asarray(rows)
                bh = problem.prior_error.matmul(np.ascontiguousarray(strip.T, dtype=np.float64))
                first = span.start + start
                last = first + strip.shape[0]
                s[first:, first:last] = problem.forward_rows(bh, slice(first, n))
                s[first:last, last:] = s[last:, first:last].T
                advance(last - first)
    error = problem.observation_error
    if isinstance(error, DiagonalCovariance):
        s[np.diag_indices(n)] += error.diagonal()
    else:
        for start in range(0, n, BLOCK):
            stop = min(start + BLOCK, n)
            unit = np.zeros((n, stop - start))
            unit[np.arange(start, stop), np.arange(stop - start)] = 1.0
            s[:, start:stop] += error.matmul(unit)
    return s
