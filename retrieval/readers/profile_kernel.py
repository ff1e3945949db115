"""Kernels over the profiles of a granule: one pass to orient, one to check. Plain arrays, no units, no files."""

from __future__ import annotations

import numba
import numpy as np
from numpy.typing import NDArray

__all__ = [
    "MISSING",
    "NEGATIVE",
    "NOT_MONOTONE",
    "PRIOR",
    "REVERSED",
    "SOUND",
    "WEIGHT_SUM",
    "check",
    "orient",
]

SOUND, MISSING, REVERSED, NOT_MONOTONE, WEIGHT_SUM, NEGATIVE, PRIOR = range(7)


@numba.njit(cache=True)
def orient(stored: NDArray[np.float32], fills: NDArray[np.float32], flip: bool) -> NDArray[np.float32]:
    """Copy profiles, turned round if `flip`, with fill values made NaN.

    Parameters
    ----------
    stored : ndarray, shape (rows, levels)
        As in the file.
    fills : ndarray, shape (k,)
        Values that mean "missing".
    flip : bool
        The file runs from the top down.
    """
    rows, levels = stored.shape
    result = np.empty((rows, levels), dtype=np.float32)
    for i in range(rows):
        for k in range(levels):
            value = stored[i, levels - 1 - k] if flip else stored[i, k]
            for fill in fills:
                if value == fill:
                    value = np.float32(np.nan)
            result[i, k] = value
    return result


@numba.njit(cache=True)
def check(
    pressure: NDArray[np.float32],
    weight: NDArray[np.float32],
    kernel: NDArray[np.float32],
    prior: NDArray[np.float32],
    column: NDArray[np.float64],
    weight_sum: float,
    relative: float,
) -> tuple[NDArray[np.int8], NDArray[np.float64], NDArray[np.float64]]:
    """Test the identities of an operator row by row.

    Parameters
    ----------
    pressure : ndarray, shape (rows, levels or layers + 1)
        Surface first.
    weight, kernel, prior : ndarray, shape (rows, levels)
        ``h``, ``a``, ``x_a``, surface first.
    column : ndarray, shape (rows,)
        Prior column to compare with, NaN where there is none.
    weight_sum, relative : float
        How far ``sum h`` may be from 1, and ``h . x_a`` from `column`.

    Returns
    -------
    code : ndarray of int8, shape (rows,)
        The first fault of each row, 0 for none.
    total, dot : ndarray of float64, shape (rows,)
        ``sum h`` and ``h . x_a``.
    """
    rows, levels = weight.shape
    code = np.zeros(rows, dtype=np.int8)
    total = np.zeros(rows)
    dot = np.zeros(rows)
    for i in range(rows):
        kernels = 0.0
        negative = False
        empty = False
        for k in range(levels):
            h = np.float64(weight[i, k])
            total[i] += h
            dot[i] += h * np.float64(prior[i, k])
            kernels += kernel[i, k]
            if h < -weight_sum:
                negative = True
            if h > 0.0 and prior[i, k] <= 0.0:  # some builds fill with 0
                empty = True
        pressures = np.float64(pressure[i, 0])
        falls = True
        rises = True
        for k in range(1, pressure.shape[1]):
            pressures += pressure[i, k]
            if not pressure[i, k] < pressure[i, k - 1]:
                falls = False
            if not pressure[i, k] > pressure[i, k - 1]:
                rises = False
        if not pressure[i, -1] >= 0.0:
            falls = False
        apart = abs(dot[i] - column[i])
        if empty or not (np.isfinite(total[i]) and np.isfinite(dot[i]) and np.isfinite(kernels + pressures)):
            code[i] = MISSING
        elif rises:
            code[i] = REVERSED
        elif not falls:
            code[i] = NOT_MONOTONE
        elif abs(total[i] - 1.0) > weight_sum:
            code[i] = WEIGHT_SUM
        elif negative:
            code[i] = NEGATIVE
        elif apart > relative * abs(column[i]):
            code[i] = PRIOR
    return code, total, dot
