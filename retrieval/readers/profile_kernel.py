"""Profiles of a granule turned surface first and checked. Plain arrays, no units, no files.

Few rows are worked on as arrays: loading compiled loops takes as long as array arithmetic on a million. Many rows go to
`retrieval.readers.profile_loops`. The codes are the same; sums differ by their order alone.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from obsnet.typing import Floats
from retrieval.readers import profile_faults as fault

__all__ = ["check", "orient"]

_MANY = 20_000  # rows
_BLOCK = 4096  # rows whose profiles stay in the processor's cache


def orient(profiles: NDArray[np.float32], fills: NDArray[np.float32], flip: bool) -> None:
    """Turn profiles round in place if `flip`, and make fill values NaN.

    Parameters
    ----------
    profiles : ndarray, shape (rows, levels)
        As in the file; changed.
    fills : ndarray, shape (k,)
        Values that mean "missing".
    flip : bool
        The file runs from the top down.
    """
    if len(profiles) > _MANY:
        from retrieval.readers import profile_loops

        profile_loops.orient(profiles, fills, flip)
        return
    if flip:
        profiles[:] = profiles[:, ::-1].copy()
    for fill in fills:
        profiles[profiles == fill] = np.nan


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
    most_kernel, most_prior : float
        Largest size of a kernel's and a prior's value.

    Returns
    -------
    code : ndarray of int8, shape (rows,)
        The first fault of each row, 0 for none.
    total, dot : ndarray of float64, shape (rows,)
        ``sum h`` and ``h . x_a``.
    """
    rows = len(weight)
    limits = (weight_sum, relative, most_kernel, most_prior)
    if rows > _MANY:
        from retrieval.readers import profile_loops

        return profile_loops.check(pressure, weight, kernel, prior, column, *limits)
    code, total, dot = np.zeros(rows, dtype=np.int8), np.zeros(rows), np.zeros(rows)
    doubles = tuple(np.float64(limit) for limit in limits)  # a plain number would be rounded to float32 first
    for start in range(0, rows, _BLOCK):
        part = slice(start, start + _BLOCK)
        p, h, a, x = (np.ascontiguousarray(v[part].T) for v in (pressure, weight, kernel, prior))
        code[part], total[part], dot[part] = _check(p, h, a, x, column[part], *doubles)
    return code, total, dot


def _check(
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
    """Do what `check` says of profiles of shape (levels, rows)."""
    with np.errstate(invalid="ignore", over="ignore"):
        total = weight.sum(axis=0, dtype=np.float64)
        dot = np.einsum("ij,ij->j", weight, prior, dtype=np.float64)
        others = kernel.sum(axis=0, dtype=np.float64) + pressure.sum(axis=0, dtype=np.float64)
        empty = ((weight > 0.0) & (prior <= 0.0)).any(axis=0)  # some builds fill with 0
        outside = (np.abs(kernel) > most_kernel) | (prior > most_prior)
        rising, falling = pressure[1:] > pressure[:-1], pressure[1:] < pressure[:-1]
        faults = {
            fault.MISSING: empty | ~(np.isfinite(total) & np.isfinite(dot) & np.isfinite(others)),
            fault.OUTSIDE: outside.any(axis=0) | (pressure[0] > fault.MOST_PRESSURE),
            fault.REVERSED: rising.all(axis=0),
            fault.NOT_MONOTONE: ~falling.all(axis=0) | (pressure[-1] < 0.0),
            fault.WEIGHT_SUM: np.abs(total - 1.0) > weight_sum,
            fault.NEGATIVE: (weight < -weight_sum).any(axis=0),
            fault.PRIOR: np.abs(dot - column) > relative * np.abs(column),
        }
    code = np.full(len(total), fault.SOUND, dtype=np.int8)
    for number, wrong in reversed(faults.items()):
        code[wrong] = number
    return code, total, dot
