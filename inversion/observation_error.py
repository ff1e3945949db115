"""Errors of the observations: independent, or correlated in time at a station and along an orbit."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from inversion.covariance import BlockDiagonalCovariance, Covariance, DenseCovariance, DiagonalCovariance

__all__ = ["subset"]

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]


def subset(error: Covariance, rows: Ints) -> Covariance:
    """Return the error of some observations.

    Parameters
    ----------
    error : Covariance
        Error of all observations.
    rows : ndarray of int
        Which to keep, in their order.
    """
    if isinstance(error, DiagonalCovariance):
        return DiagonalCovariance(error.diagonal()[rows])
    if isinstance(error, BlockDiagonalCovariance):
        blocks, start = [], 0
        for block in error.blocks:
            inside = rows[(rows >= start) & (rows < start + block.size)] - start
            if inside.size:
                blocks.append(subset(block, inside))
            start += block.size
        if (np.diff(rows) > 0).all():
            return BlockDiagonalCovariance(blocks)
    if hasattr(error, "subset"):
        return error.subset(rows)
    unit = np.zeros((error.size, rows.size))
    unit[rows, np.arange(rows.size)] = 1.0
    return DenseCovariance(error.matmul(unit)[rows], "the observation error")
