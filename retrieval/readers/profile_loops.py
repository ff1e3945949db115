"""Compiled twins of `retrieval.readers.profile_kernel` for many rows: one pass to orient, one to check."""

from __future__ import annotations

import numba
import numpy as np
from numpy.typing import NDArray

from obsnet.typing import Floats
from retrieval.readers.profile_faults import (
    MISSING,
    MOST_PRESSURE,
    NEGATIVE,
    NOT_MONOTONE,
    OUTSIDE,
    PRIOR,
    REVERSED,
    WEIGHT_SUM,
)

__all__ = ["check", "orient"]


@numba.njit(cache=True)
def orient(profiles: NDArray[np.float32], fills: NDArray[np.float32], flip: bool) -> None:
    """See `retrieval.readers.profile_kernel.orient`."""
    rows, levels = profiles.shape
    for i in range(rows):
        if flip:
            for k in range(levels // 2):
                profiles[i, k], profiles[i, levels - 1 - k] = profiles[i, levels - 1 - k], profiles[i, k]
        for fill in fills:
            for k in range(levels):
                if profiles[i, k] == fill:
                    profiles[i, k] = np.float32(np.nan)


# The order of a sum of twenty is free, so that it may run in lanes. Only sums live here: where their order is
# free, a compiler may also take x - x for 0, which a test for NaN must not see.
@numba.njit(cache=True, fastmath={"reassoc", "contract", "nsz"})
def _sums(
    pressure: NDArray[np.float32],
    weight: NDArray[np.float32],
    kernel: NDArray[np.float32],
    prior: NDArray[np.float32],
) -> tuple[float, float, float]:
    """Return ``sum h``, ``h . x_a`` and the sum of all the rest of one row."""
    total, dot, others = 0.0, 0.0, 0.0
    for k in range(len(weight)):
        total += weight[k]
        dot += np.float64(weight[k]) * prior[k]
        others += kernel[k]
    for k in range(len(pressure)):
        others += pressure[k]
    return total, dot, others


@numba.njit(cache=True)
def check(
    pressure: NDArray[np.float32],
    weight: NDArray[np.float32],
    kernel: NDArray[np.float32],
    prior: NDArray[np.float32],
    column: Floats,
    weight_sum: float,
    relative: float,
    most_kernel: float,
    most_prior: float,
) -> tuple[NDArray[np.int8], Floats, Floats]:
    """See `retrieval.readers.profile_kernel.check`."""
    rows, levels = weight.shape
    steps = pressure.shape[1] - 1
    code = np.zeros(rows, dtype=np.int8)
    total = np.zeros(rows)
    dot = np.zeros(rows)
    for i in range(rows):
        sum_h, sum_hx, others = _sums(pressure[i], weight[i], kernel[i], prior[i])
        total[i], dot[i] = sum_h, sum_hx
        negative, empty, outside = 0, 0, 0
        for k in range(levels):
            negative += weight[i, k] < -weight_sum
            outside += (abs(kernel[i, k]) > most_kernel) | (prior[i, k] > most_prior)
            empty += (weight[i, k] > 0.0) & (prior[i, k] <= 0.0)  # some builds fill with 0
        outside += pressure[i, 0] > MOST_PRESSURE
        falling, rising = 0, 0
        for k in range(steps):
            falling += pressure[i, k + 1] < pressure[i, k]
            rising += pressure[i, k + 1] > pressure[i, k]
        apart = abs(dot[i] - column[i])
        if empty or not (np.isfinite(sum_h) and np.isfinite(sum_hx) and np.isfinite(others)):
            code[i] = MISSING
        elif outside:
            code[i] = OUTSIDE
        elif rising == steps:
            code[i] = REVERSED
        elif falling != steps or pressure[i, steps] < 0.0:
            code[i] = NOT_MONOTONE
        elif abs(total[i] - 1.0) > weight_sum:
            code[i] = WEIGHT_SUM
        elif negative:
            code[i] = NEGATIVE
        elif apart > relative * abs(column[i]):
            code[i] = PRIOR
    return code, total, dot
