"""The linear Gaussian inverse problem, checked when it is made.

``y = H x + background + e`` with ``x ~ N(x_b, B)`` and ``e ~ N(0, R)``. Every solver takes a `Problem`, so
that one set of numbers can be solved in several ways and the answers compared.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt
import scipy.sparse as sp

from inversion.operators import matrix_products as products
from inversion.operators.covariance import as_covariance
from inversion.operators.distributed import BlockJacobian
from inversion.problem.state import State
from obsnet.errors import RangeError, SolverError, nearest
from obsnet.typing import Bools, Floats

__all__ = ["Problem"]


@dataclass(frozen=True, eq=False)
class Problem:
    """Observations, what the state does to them, and what is believed of both beforehand.

    Parameters
    ----------
    jacobian : ndarray, scipy sparse, dask array or BlockJacobian, shape (n_obs, n_state)
        H: change of each observation for a unit of each state element. A dask array is read a block of rows
        at a time and never as a whole.
    observations : array_like, shape (n_obs,)
        y, in the unit of ``H x``.
    observation_error : array_like (n_obs,) of variances, matrix, or Covariance
        R: measurement, transport and representation error together; positive definite.
    prior : array_like, shape (n_state,)
        x_b.
    prior_error : array_like (n_state,) of variances, matrix, or Covariance
        B.
    background : array_like (n_obs,) or float
        Part of each observation that the state does not explain, in the unit of y.
    state : State, optional
        Names the blocks of the state vector.
    groups : mapping of str to array (n_obs,)
        Labels of the observations, for instance ``{"station": [...], "source": [...], "orbit": [...]}``;
        influence, fit and leave-one-out are reported by them.
    obs_id : sequence of str, optional
        Identity of each observation; given, it must not repeat.

    Raises
    ------
    SolverError
        Shapes that do not fit, a matrix that is not positive definite, observations given twice.
    RangeError
        Numbers that are not finite (which, and where).
    """

    jacobian: Any
    observations: Any
    observation_error: Any
    prior: Any
    prior_error: Any
    background: Any = 0.0
    state: State | None = None
    groups: Mapping[str, npt.NDArray[Any]] = field(default_factory=dict)
    obs_id: Any = None

    def __post_init__(self) -> None:
        matrix = _matrix(self.jacobian)
        n, m = matrix.shape
        values = {
            "jacobian": matrix,
            "observations": _vector(self.observations, n, "observations"),
            "prior": _vector(self.prior, m, "prior"),
            "background": _vector(
                np.broadcast_to(np.asarray(self.background, np.float64), (n,)), n, "background"
            )
            if np.ndim(self.background) == 0
            else _vector(self.background, n, "background"),
            "observation_error": as_covariance(self.observation_error, n, "the observation error"),
            "prior_error": as_covariance(self.prior_error, m, "the prior error"),
            "groups": {k: _labels(v, n, k) for k, v in self.groups.items()},
        }
        for name, value in values.items():
            object.__setattr__(self, name, value)
        variance = self.observation_error.diagonal()
        if not (variance > 0.0).all():
            at = int(np.argmin(variance))
            raise SolverError(
                f"the observation error is not positive definite: the variance of row {at} is "
                f"{variance[at]:g} ({np.count_nonzero(variance <= 0.0)} such rows)"
            )
        if self.state is not None and self.state.size != m:
            raise SolverError(
                f"the state's blocks have {self.state.size} elements, the Jacobian has {m} columns"
            )
        if self.obs_id is not None:
            object.__setattr__(self, "obs_id", _labels(self.obs_id, n, "obs_id"))
            names, counts = np.unique(self.obs_id, return_counts=True)
            if (counts > 1).any():
                raise SolverError(
                    f"{np.count_nonzero(counts > 1)} observations are given more than once, first "
                    f"{names[counts > 1][0]!r} ({counts[counts > 1][0]} times); they would count double"
                )

    @property
    def n_obs(self) -> int:
        """Count of observations."""
        return int(self.jacobian.shape[0])

    @property
    def n_state(self) -> int:
        """Count of state elements."""
        return int(self.jacobian.shape[1])

    @property
    def is_chunked(self) -> bool:
        """Whether the Jacobian is a lazy array that is read block by block."""
        return hasattr(self.jacobian, "dask") or isinstance(self.jacobian, BlockJacobian)

    @property
    def nnz(self) -> int:
        """Stored entries of the Jacobian."""
        return int(getattr(self.jacobian, "nnz", self.n_obs * self.n_state))

    def row_blocks(self, rows: int | None = None) -> Iterator[tuple[slice, Any]]:
        """Yield the Jacobian in blocks of rows.

        Parameters
        ----------
        rows : int, optional
            Rows in a block; by default the chunks of a lazy array, or all rows at once.

        Yields
        ------
        (slice, ndarray or csr_array)
        """
        if isinstance(self.jacobian, BlockJacobian):
            yield from self.jacobian
            return
        if self.is_chunked:
            start = 0
            for count in self.jacobian.chunks[0]:
                block = self.jacobian[start : start + count].compute()
                yield slice(start, start + count), _matrix(block)
                start += count
            return
        step = rows or max(self.n_obs, 1)
        for start in range(0, self.n_obs, step):
            stop = min(start + step, self.n_obs)
            whole = start == 0 and stop == self.n_obs
            yield slice(start, stop), self.jacobian if whole else self.jacobian[start:stop]

    def forward(self, x: Floats) -> Floats:
        """Return ``H x`` for a state (n_state,) or several (n_state, k)."""
        if sp.issparse(self.jacobian):
            return products.forward(self.jacobian, x)
        if isinstance(self.jacobian, BlockJacobian):
            return self.jacobian.forward(x)
        if not self.is_chunked:
            return np.asarray(self.jacobian @ x)
        return np.concatenate([np.asarray(block @ x) for _, block in self.row_blocks()])

    def forward_part(self, x: Floats, span: slice) -> Floats:
        """Return ``H x`` for states that are zero outside `span`, of which x (span, k) holds the rest."""
        if sp.issparse(self.jacobian):
            return products.forward(self.jacobian, x, span)
        whole = np.zeros((self.n_state, x.shape[1]))
        whole[span] = x
        return self.forward(whole)

    def adjoint(self, v: Floats) -> Floats:
        """Return ``H' v`` for a vector (n_obs,) or several (n_obs, k)."""
        if sp.issparse(self.jacobian):
            return products.adjoint(self.jacobian, v)
        if isinstance(self.jacobian, BlockJacobian):
            return self.jacobian.adjoint(v)
        if not self.is_chunked:
            return np.asarray(self.jacobian.T @ v)
        total = np.zeros((self.n_state, *v.shape[1:]))
        for span, block in self.row_blocks():
            total += block.T @ v[span]
        return total

    def forward_rows(self, x: Floats, rows: slice) -> Floats:
        """Return those rows of ``H x``, for states (n_state, k)."""
        if self.is_chunked:
            return self.forward(x)[rows]
        if sp.issparse(self.jacobian):
            return products.forward(products.rows_of(self.jacobian, rows), x)
        return np.asarray(self.jacobian[rows] @ x)

    def adjoint_rows(self, v: Floats, rows: slice) -> Floats:
        """Return ``H' v`` for vectors that are zero outside `rows`, of which v (rows, k) holds the rest."""
        if self.is_chunked:
            whole = np.zeros((self.n_obs, v.shape[1]))
            whole[rows] = v
            return self.adjoint(whole)
        if sp.issparse(self.jacobian):
            return products.adjoint(products.rows_of(self.jacobian, rows), v)
        return np.asarray(self.jacobian[rows].T @ v)

    def simulate(self, x: Floats) -> Floats:
        """Return what the observations would be for a state: ``H x + background``."""
        return self.forward(x) + self.background

    @cached_property
    def innovation(self) -> Floats:
        """Observation minus prior simulation, ``d = y - background - H x_b``, shape (n_obs,)."""
        return self.observations - self.simulate(self.prior)

    @cached_property
    def unseen(self) -> Bools:
        """State elements to which no observation is sensitive, shape (n_state,)."""
        seen = np.zeros(self.n_state, dtype=bool)
        for _, block in self.row_blocks():
            if sp.issparse(block):
                seen[block.indices[block.data != 0.0]] = True
            else:
                seen |= (block != 0.0).any(axis=0)
        return ~seen

    def labels(self, group: str) -> npt.NDArray[Any]:
        """Return the observations' labels of a group, or say which groups there are."""
        try:
            return self.groups[group]
        except KeyError:
            raise SolverError(
                f"observations are not labelled by {group!r}{nearest(group, self.groups)}"
            ) from None

    def with_(self, **changes: Any) -> Problem:
        """Return the same problem with some of its parts changed; it is checked again."""
        return replace(self, **changes)

    def select(self, rows: npt.ArrayLike) -> Problem:
        """Return the problem of some of the observations.

        Parameters
        ----------
        rows : array_like of bool (n_obs,) or int
            Which observations stay, in their order.
        """
        from inversion.operators.observation_error import subset

        index = np.asarray(rows)
        index = np.flatnonzero(index) if index.dtype == bool else index.astype(np.int64)
        return replace(
            self,
            jacobian=self.jacobian[index],
            observations=self.observations[index],
            observation_error=subset(self.observation_error, index),
            background=self.background[index],
            groups={k: v[index] for k, v in self.groups.items()},
            obs_id=None if self.obs_id is None else self.obs_id[index],
        )


def _matrix(given: Any) -> Any:
    """Return a Jacobian as float array, csr_array or dask array; finite where it is in memory."""
    if isinstance(given, BlockJacobian):
        return given
    if hasattr(given, "dask"):
        if given.ndim != 2 or any(np.isnan(c) for axis in given.chunks for c in axis):
            raise SolverError(
                "a lazy Jacobian has two dimensions and chunks of known size; call compute_chunk_sizes()"
            )
        # One block of rows holds all columns, so that a block is a whole piece of the problem.
        return given.rechunk({1: -1})
    if sp.issparse(given):
        matrix = sp.csr_array(given)
        if matrix.dtype.kind != "f":
            matrix = matrix.astype(np.float64)
        bad = ~np.isfinite(matrix.data)
        if bad.any():
            at = int(np.argmax(bad))
            row = int(np.searchsorted(matrix.indptr, at, side="right") - 1)
            raise _not_finite("the Jacobian", int(bad.sum()), f"row {row}, column {matrix.indices[at]}")
        return products.canonical(matrix)
    array = np.asarray(given)
    if array.ndim != 2:
        raise SolverError(f"the Jacobian has two dimensions (observations, state), found shape {array.shape}")
    if array.dtype.kind not in "fiub":
        raise SolverError(f"the Jacobian must hold numbers, found {array.dtype}")
    array = array if array.dtype.kind == "f" else array.astype(np.float64)
    bad = ~np.isfinite(array)
    if bad.any():
        row, column = (int(i) for i in np.argwhere(bad)[0])
        raise _not_finite("the Jacobian", int(bad.sum()), f"row {row}, column {column}")
    return array


def _not_finite(what: str, count: int, where: str) -> RangeError:
    return RangeError(
        f"{what} has {count} values that are not finite, first at {where}; set such rows aside first"
    )


def _vector(given: npt.ArrayLike, size: int, what: str) -> Floats:
    array = np.array(given, dtype=np.float64)
    if array.shape != (size,):
        raise SolverError(f"{what} must have shape ({size},) to fit the Jacobian, found {array.shape}")
    bad = ~np.isfinite(array)
    if bad.any():
        raise _not_finite(f"{what} vector", int(bad.sum()), f"entry {int(np.argmax(bad))}")
    array.flags.writeable = False
    return array


def _labels(given: Any, size: int, what: str) -> npt.NDArray[Any]:
    array = np.asarray(given)
    if array.shape != (size,):
        raise SolverError(f"labels {what!r} must have shape ({size},), found {array.shape}")
    return array
