"""The exact solution in the space of the observations: one Cholesky factor of ``S = H B H' + R``."""

from __future__ import annotations

from functools import cached_property
from typing import Any

import numpy as np
import scipy.linalg as la

from inversion.operators.covariance import DiagonalCovariance
from inversion.problem.innovation import columns_at_once, innovation_covariance, seen_totals
from inversion.problem.posterior import Posterior
from inversion.problem.problem import Problem
from obsnet.errors import SolverError
from obsnet.typing import Floats

__all__ = ["KEPT", "DualSystem", "solve_dual"]


KEPT = 4e8  # bytes of H B that are held on to, rather than made again for the variances


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
        small = 8.0 * problem.n_state * problem.n_obs <= KEPT
        self._moved = np.empty((problem.n_obs, problem.n_state)) if small and factor is None else None
        self.factor = _factor(innovation_covariance(problem, self._moved)) if factor is None else factor

    def solve(self, v: Floats) -> Floats:
        """Return ``S^-1 v``."""
        return np.asarray(la.cho_solve((self.factor, True), v, check_finite=False))

    def covariance(self, v: Floats) -> Floats:
        """Return ``P v = B v - B H' S^-1 H B v``."""
        prior_error = self.problem.prior_error
        bv = prior_error.matmul(v)
        return bv - prior_error.matmul(self.problem.adjoint(self.solve(self.problem.forward(bv))))

    def spread(self, g: Any) -> Floats:
        """Return ``G P G'``."""
        seen, before = seen_totals(self.problem, g)
        return before - seen.T @ self.solve(seen)

    @cached_property
    def _diagonals(self) -> tuple[Floats, Floats]:
        """Diagonals of P and of the averaging kernel, both (n_state,).

        With V = L^-1 H B and U = L^-1 H (S = L L') they are ``B_ii - sum V_ni^2`` and ``sum V_ni U_ni``.
        """
        prior_error, m = self.problem.prior_error, self.problem.n_state
        variance, signal = prior_error.diagonal().copy(), np.empty(m)
        moved, step = self._moved, columns_at_once(m, 512)
        for start in range(0, m, step):
            stop = min(start + step, m)
            unit = np.zeros((m, stop - start))
            unit[np.arange(start, stop), np.arange(stop - start)] = 1.0
            hb = self.problem.forward(prior_error.matmul(unit)) if moved is None else moved[:, start:stop]
            both = np.asfortranarray(np.concatenate([hb, self.problem.forward(unit)], axis=1))
            half = la.solve_triangular(self.factor, both, lower=True, overwrite_b=True, check_finite=False)
            v, u = half[:, : stop - start], half[:, stop - start :]
            variance[start:stop] -= np.einsum("ij,ij->j", v, v)
            signal[start:stop] = np.einsum("ij,ij->j", v, u)
        return variance, signal

    def variance(self) -> Floats:
        """Return the diagonal of P."""
        return self._diagonals[0].copy()

    def signal(self) -> Floats:
        """Return the diagonal of the averaging kernel; its sum is the degrees of freedom for signal."""
        return self._diagonals[1].copy()

    def dofs(self) -> float:
        """Return tr(H B H' S^-1) = n - tr(R S^-1)."""
        error = self.problem.observation_error
        if isinstance(error, DiagonalCovariance):
            return self.problem.n_obs - float(error.diagonal() @ self.solve_diagonal())
        return float(self.signal().sum())

    def solve_diagonal(self) -> Floats:
        """Return the diagonal of ``S^-1``."""
        inverse, _ = la.lapack.dtrtri(self.factor, lower=1)
        return np.einsum("ij,ij->j", inverse, inverse)

    def logdet(self) -> float:
        """Return ln det S."""
        return 2.0 * float(np.log(np.diagonal(self.factor)).sum())


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
