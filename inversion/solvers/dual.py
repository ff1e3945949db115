"""The exact solution in the space of the observations: one Cholesky factor of ``S = H B H' + R``."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import scipy.linalg as la
import scipy.sparse as sp

from inversion.covariance import DiagonalCovariance
from inversion.posterior import Posterior
from inversion.problem import Problem
from obsnet.errors import SolverError

__all__ = ["DualSystem", "solve_dual"]

Floats = npt.NDArray[np.float64]

_BLOCK = 512


class DualSystem:
    """Cholesky factor of the innovation covariance.

    Parameters
    ----------
    problem : Problem
        With ``n_obs`` observations: n_obs^2 numbers are held.
    factor : ndarray, optional
        The factor, where it was kept from before.
    """

    def __init__(self, problem: Problem, factor: Floats | None = None) -> None:
        self.problem = problem
        self.factor = _factor(innovation_covariance(problem)) if factor is None else factor

    def solve(self, v: Floats) -> Floats:
        """Return ``S^-1 v``."""
        return np.asarray(la.cho_solve((self.factor, True), v, check_finite=False))

    def covariance(self, v: Floats) -> Floats:
        """Return ``P v = B v - B H' S^-1 H B v``."""
        prior_error = self.problem.prior_error
        bv = prior_error.matmul(v)
        return bv - prior_error.matmul(self.problem.adjoint(self.solve(self.problem.forward(bv))))

    def variance(self) -> Floats:
        """Return the diagonal of P, a block of state elements at a time."""
        prior_error, m = self.problem.prior_error, self.problem.n_state
        result = prior_error.diagonal().copy()
        for start in range(0, m, _BLOCK):
            stop = min(start + _BLOCK, m)
            unit = np.zeros((m, stop - start))
            unit[np.arange(start, stop), np.arange(stop - start)] = 1.0
            hb = self.problem.forward(prior_error.matmul(unit))
            half = la.solve_triangular(self.factor, hb, lower=True, overwrite_b=True, check_finite=False)
            result[start:stop] -= np.einsum("ij,ij->j", half, half)
        return result

    def dofs(self) -> float:
        """Return tr(H B H' S^-1) = n - tr(R S^-1)."""
        error = self.problem.observation_error
        if isinstance(error, DiagonalCovariance):
            return self.problem.n_obs - float(error.diagonal() @ self.solve_diagonal())
        trace = 0.0
        for start in range(0, self.problem.n_obs, _BLOCK):
            stop = min(start + _BLOCK, self.problem.n_obs)
            unit = np.zeros((self.problem.n_obs, stop - start))
            unit[np.arange(start, stop), np.arange(stop - start)] = 1.0
            trace += float(np.sum(error.matmul(unit) * self.solve(unit)))
        return self.problem.n_obs - trace

    def solve_diagonal(self) -> Floats:
        """Return the diagonal of ``S^-1``."""
        inverse, _ = la.lapack.dtrtri(self.factor, lower=1)
        return np.einsum("ij,ij->j", inverse, inverse)

    def logdet(self) -> float:
        """Return ln det S."""
        return 2.0 * float(np.log(np.diagonal(self.factor)).sum())


def innovation_covariance(problem: Problem) -> Floats:
    """Return ``S = H B H' + R``, shape (n_obs, n_obs)."""
    n = problem.n_obs
    s = np.empty((n, n), order="F")
    for span, block in problem.row_blocks(_BLOCK):
        for start in range(0, block.shape[0], _BLOCK):
            rows = block[start : start + _BLOCK]
            strip = rows.toarray() if sp.issparse(rows) else np.asarray(rows)
            bh = problem.prior_error.matmul(np.ascontiguousarray(strip.T, dtype=np.float64))
            first = span.start + start
            s[:, first : first + strip.shape[0]] = problem.forward(bh)
    error = problem.observation_error
    if isinstance(error, DiagonalCovariance):
        s[np.diag_indices(n)] += error.diagonal()
    else:
        for start in range(0, n, _BLOCK):
            stop = min(start + _BLOCK, n)
            unit = np.zeros((n, stop - start))
            unit[np.arange(start, stop), np.arange(stop - start)] = 1.0
            s[:, start:stop] += error.matmul(unit)
    return s


def _factor(s: Floats) -> Floats:
    try:
        return np.asarray(la.cholesky(s, lower=True, overwrite_a=True, check_finite=False))
    except la.LinAlgError as error:
        raise SolverError(
            f"H B H' + R is not positive definite ({error}): "
            "an error covariance is wrong or rows are of different units"
        ) from None


def solve_dual(problem: Problem) -> Posterior:
    """Solve exactly in observation space.

    Parameters
    ----------
    problem : Problem
        Costs n_obs^3 / 3 operations and 8 n_obs^2 bytes; best where there are fewer observations than
        state elements.

    Returns
    -------
    Posterior
        ``x_a = x_b + B H' S^-1 d``.
    """
    system = DualSystem(problem)
    step = problem.prior_error.matmul(problem.adjoint(system.solve(problem.innovation)))
    return Posterior(
        problem, np.asarray(problem.prior) + step, system, "dual", {"converged": True, "iterations": 1}
    )
