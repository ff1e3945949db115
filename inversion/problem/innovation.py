"""The covariance of observation minus prediction, ``S = H B H' + R``."""

from __future__ import annotations

import numpy as np
import scipy.sparse as sp

from inversion.operators.covariance import DiagonalCovariance
from inversion.problem.problem import Problem
from obsnet.typing import Floats

__all__ = ["BLOCK", "innovation_covariance"]

BLOCK = 512  # observations whose dense rows are held at a time


def innovation_covariance(problem: Problem, moved: Floats | None = None) -> Floats:
    """Return ``S = H B H' + R``, shape (n_obs, n_obs).

    Parameters
    ----------
    problem : Problem
    moved : ndarray, shape (n_obs, n_state), optional
        Where to leave ``H B``, which is made on the way.
    """
    n = problem.n_obs
    s = np.empty((n, n), order="F")
    for span, block in problem.row_blocks(BLOCK):
        for start in range(0, block.shape[0], BLOCK):
            rows = block[start : start + BLOCK]
            strip = rows.toarray() if sp.issparse(rows) else np.asarray(rows)
            bh = problem.prior_error.matmul(np.ascontiguousarray(strip.T, dtype=np.float64))
            first = span.start + start
            s[:, first : first + strip.shape[0]] = problem.forward(bh)
            if moved is not None:
                moved[first : first + strip.shape[0]] = bh.T
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
