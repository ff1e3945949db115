"""An ensemble in the place of a covariance: prior members, and what their analysis knows."""

from __future__ import annotations

from functools import cached_property

import numpy as np
import scipy.linalg as la

from inversion.operators.covariance import Covariance, DiagonalCovariance
from inversion.problem.problem import Problem
from obsnet.errors import ConfigError, SolverError
from obsnet.typing import Floats

__all__ = ["EnsembleCovariance", "EnsembleSystem", "LocalSystem", "prior_ensemble"]


class EnsembleCovariance(Covariance):
    """``X X' / (k - 1)``: the covariance that an ensemble stands for; singular.

    Parameters
    ----------
    perturbations : ndarray, shape (size, k)
        Members minus their mean.
    """

    def __init__(self, perturbations: Floats) -> None:
        self.perturbations = perturbations
        self._root = perturbations / np.sqrt(perturbations.shape[1] - 1)

    @property
    def size(self) -> int:  # noqa: D102
        return int(self._root.shape[0])

    @property
    def factor_size(self) -> int:  # noqa: D102
        return int(self._root.shape[1])

    def diagonal(self) -> Floats:  # noqa: D102
        return np.einsum("ij,ij->i", self._root, self._root)

    def matmul(self, x: Floats) -> Floats:  # noqa: D102
        return self._root @ (self._root.T @ x)

    def factor(self, z: Floats) -> Floats:  # noqa: D102
        return self._root @ z

    def factor_transposed(self, x: Floats) -> Floats:  # noqa: D102
        return self._root.T @ x

    def solve(self, x: Floats) -> Floats:  # noqa: D102
        raise SolverError("the covariance of an ensemble is singular")

    def logdet(self) -> float:  # noqa: D102
        raise SolverError("the covariance of an ensemble is singular")

    def scaled(self, factor: float) -> EnsembleCovariance:  # noqa: D102
        return EnsembleCovariance(np.sqrt(factor) * self.perturbations)


def prior_ensemble(error: Covariance, members: int, seed: int = 0, *, exact: bool | None = None) -> Floats:
    """Draw prior perturbations.

    Parameters
    ----------
    error : Covariance
        B.
    members : int
        k.
    seed : int
        Each member has a counter-based generator of its own: the first members of a larger ensemble start
        from the same numbers.
    exact : bool, optional
        Make ``X X' / (k - 1) = B`` to rounding, which needs k - 1 >= columns of B's factor; by default
        wherever that is so.

    Returns
    -------
    ndarray, shape (size, members)
        Rows sum to zero.

    Raises
    ------
    ConfigError
        Fewer than two members, or too few to be exact.
    """
    if members < 2:
        raise ConfigError(f"an ensemble needs two members or more, found {members}")
    size = error.factor_size
    enough = members - 1 >= size
    if exact and not enough:
        raise ConfigError(f"{members} members cannot hold a prior of rank {size}; take {size + 1} or more")
    z = np.stack(
        [np.random.Generator(np.random.Philox(key=[seed, i])).standard_normal(size) for i in range(members)],
        axis=1,
    )
    z -= z.mean(axis=1, keepdims=True)
    if enough and exact is not False:
        q, _ = la.qr(z.T, mode="economic", check_finite=False)
        z = np.sqrt(members - 1) * q.T
    x = error.factor(z)
    return np.ascontiguousarray(x - x.mean(axis=1, keepdims=True))


class LocalSystem:
    """What an ensemble of analyses knows: its spread, and its degrees of freedom where H is sparse.

    Parameters
    ----------
    analysis : ndarray, shape (n_state, k)
        ``X_a``.
    trace : ndarray, shape (n_state,), or None
        Diagonal of the averaging kernel.
    """

    def __init__(self, analysis: Floats, trace: Floats | None) -> None:
        self.analysis, self.trace = analysis, trace

    def covariance(self, v: Floats) -> Floats:
        """Return ``P v``; between distant columns it is only as good as the members are many."""
        return self.analysis @ (self.analysis.T @ v) / (self.analysis.shape[1] - 1)

    def variance(self) -> Floats:
        """Return the diagonal of P."""
        return np.einsum("ij,ij->i", self.analysis, self.analysis) / (self.analysis.shape[1] - 1)

    def dofs(self) -> float:
        """Return the trace of the averaging kernel of all columns' analyses."""
        if self.trace is None:
            raise SolverError(
                "degrees of freedom of an ensemble analysed by columns need a sparse Jacobian and independent errors"
            )
        return float(self.trace.sum())

    def solve(self, v: Floats) -> Floats:
        """Raise: each column or time step has a covariance of its own."""
        raise SolverError(
            "an ensemble analysed by columns or time steps has no single innovation covariance, so no "
            "chi-square, gain or influence; take all at once without localisation, or an exact method"
        )

    def solve_diagonal(self) -> Floats:
        """Raise, as `solve`."""
        return self.solve(np.zeros(0))

    def logdet(self) -> float:
        """Raise, as `solve`."""
        return float(self.solve(np.zeros(0))[0])


class EnsembleSystem(LocalSystem):
    """`System` of an ensemble without localisation: all in the space of the members.

    Parameters
    ----------
    problem : Problem
        With the ensemble's covariance as prior error.
    y : ndarray, shape (n_obs, k)
        ``H X``.
    analysis : ndarray, shape (n_state, k)
        ``X_a``.
    """

    def __init__(self, problem: Problem, y: Floats, analysis: Floats) -> None:
        super().__init__(analysis, None)
        self.problem, self.y = problem, y
        self._white = problem.observation_error.solve(y)
        k = y.shape[1]
        self._signal = y.T @ self._white
        self._root = la.cholesky((k - 1) * np.eye(k) + self._signal, lower=True, check_finite=False)

    def solve(self, v: Floats) -> Floats:
        """Return ``S^-1 v``."""
        inner = la.cho_solve((self._root, True), self._white.T @ v, check_finite=False)
        return np.asarray(self.problem.observation_error.solve(v) - self._white @ inner)

    def dofs(self) -> float:
        """Return tr(H B H' S^-1), at most k - 1."""
        return float(np.trace(la.cho_solve((self._root, True), self._signal, check_finite=False)))

    def solve_diagonal(self) -> Floats:
        """Return the diagonal of ``S^-1``."""
        half = la.solve_triangular(self._root, self._white.T, lower=True, check_finite=False)
        return self._precision - np.einsum("ij,ij->j", half, half)

    @cached_property
    def _precision(self) -> Floats:
        """The diagonal of ``R^-1``."""
        error = self.problem.observation_error
        if isinstance(error, DiagonalCovariance):
            return 1.0 / error.diagonal()
        out = np.empty(error.size)
        for start in range(0, out.size, 512):
            stop = min(start + 512, out.size)
            unit = np.zeros((out.size, stop - start))
            unit[np.arange(start, stop), np.arange(stop - start)] = 1.0
            out[start:stop] = error.solve(unit)[np.arange(start, stop), np.arange(stop - start)]
        return out

    def logdet(self) -> float:
        """Return ln det S."""
        k = self.y.shape[1]
        inner = 2.0 * float(np.log(np.diagonal(self._root)).sum()) - k * float(np.log(k - 1))
        return self.problem.observation_error.logdet() + inner
