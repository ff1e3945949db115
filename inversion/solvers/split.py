"""Observations in independent parts: by time step for the smoothers, by group for error sizes."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from inversion.operators.covariance import Covariance, DiagonalCovariance
from inversion.operators.observation_error import subset
from inversion.problem.state import State
from obsnet.errors import SolverError
from obsnet.typing import Ints

__all__ = ["observation_steps", "split_error", "state_steps"]


def split_error(error: Covariance, labels: npt.NDArray[Any], what: str) -> list[tuple[Any, Ints, Covariance]]:
    """Return the observation error of each label's rows.

    Parameters
    ----------
    error : Covariance
        R.
    labels : ndarray, shape (n_obs,)
        Of the rows.
    what : str
        What the labels are, for the error text: ``"station"``.

    Returns
    -------
    list of (label, rows, Covariance)
        Labels sorted.

    Raises
    ------
    SolverError
        Errors that are correlated between rows of different labels.
    """
    found = []
    for label in np.unique(labels):
        rows = np.flatnonzero(labels == label)
        found.append((label, rows, subset(error, rows)))
    if not isinstance(error, DiagonalCovariance) and len(found) > 1:
        # One random vector tells: a block left out would have to be orthogonal to it.
        probe = np.random.default_rng(0).standard_normal(error.size)
        parts = np.empty(error.size)
        for _, rows, part in found:
            parts[rows] = part.matmul(probe[rows])
        whole = error.matmul(probe)
        if np.abs(whole - parts).max() > 1e-8 * np.abs(whole).max():
            raise SolverError(
                f"observation errors are correlated between one {what} and another; this method needs them "
                f"independent. Take errors without memory, or another method"
            )
    return found


def state_steps(state: State) -> Ints:
    """Return the time step of each state element.

    Parameters
    ----------
    state : State
        Blocks with an axis ``time`` or ``period`` (datetime64) have steps, others hold for all times.

    Returns
    -------
    ndarray of int, shape (state.size,)
        Rank of the element's time among all times, from 0; -1 for all times.
    """
    axes = {b.name: next((d for d in b.dims if d in ("time", "period")), None) for b in state.blocks}
    times = [np.asarray(b.coords[a]) for b in state.blocks if (a := axes[b.name]) is not None]
    known = np.unique(np.concatenate(times)) if times else np.zeros(0)
    parts = []
    for block in state.blocks:
        axis = axes[block.name]
        if axis is None:
            parts.append(np.full(block.size, -1, dtype=np.int64))
            continue
        shape = [1] * len(block.shape)
        shape[block.dims.index(axis)] = -1
        step = np.searchsorted(known, np.asarray(block.coords[axis])).reshape(shape)
        parts.append(np.broadcast_to(step, block.shape).ravel().astype(np.int64))
    return np.concatenate(parts)


def observation_steps(matrix: Any, step: Ints) -> Ints:
    """Return the last time step that each observation is sensitive to.

    Parameters
    ----------
    matrix : sparse or ndarray, shape (n_obs, n_state)
        H.
    step : ndarray of int, shape (n_state,)
        See `state_steps`.

    Returns
    -------
    ndarray of int, shape (n_obs,)
        0 for an observation that is sensitive only to what holds for all times, or to nothing.
    """
    import scipy.sparse as sp

    rows = sp.csr_array(matrix)
    last = np.zeros(rows.shape[0], dtype=np.int64)
    np.maximum.at(
        last,
        np.repeat(np.arange(rows.shape[0]), np.diff(rows.indptr)),
        step[rows.indices] * (rows.data != 0.0),
    )
    return last
