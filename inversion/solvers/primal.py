"""The exact solution in state space: ``P^-1 = H' R^-1 H + B^-1``, summed over blocks of observations.

Two forms, same answer. Where B^-1 is cheap and well conditioned it is used; else the problem is solved for
``chi`` with ``x = x_b + L chi``, ``B = L L'``, which needs no inverse and takes known (sigma = 0) elements
and errors common to a region.
"""

from __future__ import annotations

from functools import cached_property
from typing import Any

import numpy as np
import scipy.linalg as la
import scipy.sparse as sp

from inversion.operators.covariance import (
    BlockDiagonalCovariance,
    Covariance,
    DenseCovariance,
    DiagonalCovariance,
)
from inversion.operators.distributed import BlockJacobian
from inversion.operators.kronecker import KroneckerCovariance
from inversion.operators.normal_equations import add_normal, row_quadratics
from inversion.problem.innovation import strips
from inversion.problem.posterior import Posterior
from inversion.problem.problem import Problem
from obsnet.errors import SolverError
from obsnet.typing import Floats

__all__ = ["PrimalSystem", "compressed", "normal_matrix", "precision", "solve_primal"]

_BLOCK = 512
_WELL_CONDITIONED = 1e6


def normal_matrix(problem: Problem) -> Floats:
    """Return ``H' R^-1 H``, read block by block from the Jacobian.

    Parameters
    ----------
    problem : Problem
        With independent errors a lazy Jacobian is read once; correlated ones need it once for each 512 state
        elements.

    Returns
    -------
    ndarray, shape (n_state, n_state)
        Symmetric.
    """
    m, error = problem.n_state, problem.observation_error
    if isinstance(problem.jacobian, BlockJacobian) and isinstance(error, DiagonalCovariance):
        total = problem.jacobian.normal(1.0 / error.diagonal())
        _mirror(total)
        return total
    total = np.zeros((m, m))
    if isinstance(error, DiagonalCovariance):
        weight = 1.0 / error.diagonal()
        for span, block in problem.row_blocks():
            if sp.issparse(block):
                add_normal(block.data, block.indices, block.indptr, weight[span], total)
            else:
                scaled = np.asarray(block, dtype=np.float64) * np.sqrt(weight[span])[:, None]
                total += scaled.T @ scaled
    else:
        for start in range(0, m, _BLOCK):
            stop = min(start + _BLOCK, m)
            unit = np.zeros((m, stop - start))
            unit[np.arange(start, stop), np.arange(stop - start)] = 1.0
            total[:, start:stop] = problem.adjoint(error.solve(problem.forward(unit)))
    _mirror(total)
    return total


def _mirror(a: Floats) -> None:
    """Copy the lower triangle to the upper, a block at a time."""
    for start in range(0, a.shape[0], _BLOCK):
        stop = min(start + _BLOCK, a.shape[0])
        a[start:stop, stop:] = a[stop:, start:stop].T
        square = a[start:stop, start:stop]
        square[...] = np.tril(square) + np.tril(square, -1).T


def precision(error: Covariance) -> Floats | None:
    """Return B^-1 as a matrix where that is cheap and accurate, else None."""
    if isinstance(error, DiagonalCovariance):
        return np.diag(1.0 / error.diagonal()) if error.diagonal().all() else None
    if isinstance(error, KroneckerCovariance):
        if sp.issparse(error.space) or not error.sigma.all():
            return None
        condition = np.prod([_condition(f) for f in error.factors])
        if condition > _WELL_CONDITIONED:
            return None
        time, space = error.inverses
        weight = 1.0 / error.sigma
        (nt, ns), m = error.shape, error.size
        full = np.empty((m, m))
        # straight into its place: np.kron would need the memory twice
        np.multiply(time[:, None, :, None], space[None, :, None, :], out=full.reshape(nt, ns, nt, ns))
        full *= weight[:, None]
        full *= weight
        return full
    if isinstance(error, DenseCovariance):
        return None if _condition(error.root) > _WELL_CONDITIONED else error.solve(np.eye(error.size))
    if isinstance(error, BlockDiagonalCovariance):
        parts = [precision(b) for b in error.blocks]
        return None if any(p is None for p in parts) else np.asarray(la.block_diag(*parts))
    return None


def _condition(factor: Floats) -> float:
    """Return a cheap estimate of the condition of ``F F'`` from the diagonal of F."""
    diagonal = np.diagonal(factor)
    return float((diagonal.max() / diagonal.min()) ** 2)


def compressed(error: Covariance, normal: Floats, share: float = 1.0) -> Floats:
    """Return ``I + share L' N L`` of ``B = L L'``."""
    half = error.factor_transposed(normal)
    matrix = np.ascontiguousarray(error.factor_transposed(np.ascontiguousarray(half.T)))
    matrix *= share
    matrix[np.diag_indices_from(matrix)] += 1.0
    return matrix


class PrimalSystem:
    """Cholesky factor of the posterior's inverse covariance, in the state or in chi.

    Parameters
    ----------
    problem : Problem
        With ``n_state`` elements: n_state^2 numbers are held. Once a variance is asked for, the inverse of the factor
        takes its place; influence and leave-one-out need as many for the inverse.
    normal : ndarray, optional
        ``H' R^-1 H`` where it is known already; it is not kept.
    factor : ndarray, optional
        The factor, where it was kept from before.
    """

    def __init__(self, problem: Problem, normal: Floats | None = None, factor: Floats | None = None) -> None:
        self.problem = problem
        inverse = precision(problem.prior_error)
        self.square_root = inverse is None
        if factor is None:
            normal = normal_matrix(problem) if normal is None else normal
            factor = _factor(
                compressed(problem.prior_error, normal)
                if inverse is None
                else np.add(inverse, normal, out=inverse)
            )
        self.factor: Floats | None = factor
        self._half_logdet = float(np.log(np.diagonal(factor)).sum())

    @cached_property
    def _inverse_factor(self) -> Floats:
        """``W = L^-1`` of the factored matrix ``L L'``, in the factor's memory: the matrix's inverse is ``W' W``."""
        inverse, info = la.lapack.dtrtri(self.factor, lower=1, overwrite_c=1)
        self.factor = None
        if info:
            raise SolverError(f"the posterior covariance could not be formed (LAPACK trtri: {info})")
        return np.asarray(inverse)

    @cached_property
    def _inverse(self) -> Floats:
        """Inverse of the factored matrix."""
        full = np.asarray(la.lapack.dlauum(self._inverse_factor, lower=1)[0]).T
        _mirror(full.T)
        return full

    @cached_property
    def _full(self) -> Floats:
        """P as a matrix."""
        if not self.square_root:
            return self._inverse
        half = self.problem.prior_error.factor(self._inverse)
        return self.problem.prior_error.factor(np.ascontiguousarray(half.T))

    def covariance(self, v: Floats) -> Floats:
        """Return ``P v``."""
        error = self.problem.prior_error
        inner = error.factor_transposed(v) if self.square_root else v
        if self.factor is None:
            half = la.blas.dtrmm(1.0, self._inverse_factor, inner, lower=1)
            moved = np.asarray(la.blas.dtrmm(1.0, self._inverse_factor, half, lower=1, trans_a=1))
        else:
            moved = np.asarray(la.cho_solve((self.factor, True), inner, check_finite=False))
        return error.factor(moved) if self.square_root else moved

    def solve(self, v: Floats) -> Floats:
        """Return ``S^-1 v = R^-1 v - R^-1 H P H' R^-1 v``."""
        error, problem = self.problem.observation_error, self.problem
        y = error.solve(v)
        column = y[:, None] if y.ndim == 1 else y
        moved = error.solve(problem.forward(self.covariance(problem.adjoint(column))))
        return y - (moved[:, 0] if y.ndim == 1 else moved)

    def variance(self) -> Floats:
        """Return the diagonal of P, of which no other entry is made."""
        inverse, error = self._inverse_factor, self.problem.prior_error
        if not self.square_root:
            return np.einsum("ij,ij->j", inverse, inverse)
        total = np.zeros(self.problem.n_state)
        for rows in strips(len(inverse), len(inverse), _BLOCK, "blocks of unknowns, their variance"):
            half = error.factor(np.ascontiguousarray(inverse[rows].T))
            total += np.einsum("ij,ij->i", half, half)
        return total

    def signal(self) -> Floats:
        """Return degrees of freedom for signal by element of the state (or of chi); their sum is `dofs`.

        They are the diagonal of ``P N`` with ``N = H' R^-1 H``, in the square-root form of ``I - W' W``. N is made
        again: ``I - P B^-1``, which is the same and needs none, loses as many digits as the condition of B has.
        """
        inverse = self._inverse_factor
        if self.square_root:
            return 1.0 - np.einsum("ij,ij->j", inverse, inverse)
        normal, total = normal_matrix(self.problem), np.zeros(self.problem.n_state)
        for rows in strips(len(inverse), len(inverse), _BLOCK, "blocks of unknowns, what was learnt of them"):
            part = inverse[rows, : rows.stop]  # what is right of it is zero
            total[: rows.stop] += np.einsum("ij,ij->j", part, part @ normal[: rows.stop, : rows.stop])
        return total

    def dofs(self) -> float:
        """Return tr(P H' R^-1 H)."""
        return float(self.signal().sum())

    def solve_diagonal(self) -> Floats:
        """Return the diagonal of ``S^-1``."""
        problem, error = self.problem, self.problem.observation_error
        result = np.empty(problem.n_obs)
        if isinstance(error, DiagonalCovariance):
            weight = 1.0 / error.diagonal()
            for span, block in problem.row_blocks():
                if sp.issparse(block):
                    quadratic = row_quadratics(block.data, block.indices, block.indptr, self._full)
                else:
                    quadratic = np.einsum("ij,ij->i", block @ self._full, block)
                result[span] = weight[span] - weight[span] ** 2 * quadratic
            return result
        for start in range(0, problem.n_obs, _BLOCK):
            stop = min(start + _BLOCK, problem.n_obs)
            unit = np.zeros((problem.n_obs, stop - start))
            unit[np.arange(start, stop), np.arange(stop - start)] = 1.0
            result[start:stop] = np.einsum("ij,ij->j", unit, self.solve(unit))
        return result

    def logdet(self) -> float:
        """Return ln det S."""
        total = 2.0 * self._half_logdet + self.problem.observation_error.logdet()
        return total if self.square_root else total + self.problem.prior_error.logdet()


def _factor(matrix: Floats) -> Floats:
    try:
        # The transpose of a symmetric C-ordered matrix is the Fortran one LAPACK works on in place.
        return np.asarray(la.cholesky(matrix.T, lower=True, overwrite_a=True, check_finite=False))
    except la.LinAlgError as error:
        raise SolverError(
            f"H' R^-1 H + B^-1 is not positive definite ({error}): an error covariance is wrong or rows are of "
            "different units"
        ) from None


def solve_primal(problem: Problem) -> Posterior:
    """Solve exactly in state space.

    Parameters
    ----------
    problem : Problem
        Costs n_state^3 / 3 operations, 16 n_state^2 bytes and one pass over the Jacobian; best where there
        are more observations than state elements.

    Returns
    -------
    Posterior
        ``x_a = x_b + P H' R^-1 d``.
    """
    system = PrimalSystem(problem)
    right = problem.adjoint(problem.observation_error.solve(problem.innovation))
    step = system.covariance(right[:, None])[:, 0]
    form = "square root" if system.square_root else "precision"
    stopping: dict[str, Any] = {"converged": True, "iterations": 1, "form": form}
    return Posterior(problem, problem.prior + step, system, "primal", stopping)
