"""One problem with several sizes of its errors, from one pass over the Jacobian."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import scipy.linalg as la
import scipy.sparse as sp

from inversion.problem.posterior import Aggregate
from inversion.problem.problem import Problem
from inversion.solvers.primal import compressed, normal_matrix, precision
from obsnet.errors import ConfigError, SolverError
from obsnet.typing import Floats

__all__ = ["HyperMember", "hyper_ensemble"]


@dataclass(frozen=True, eq=False)
class HyperMember:
    """Answer of one member.

    Attributes
    ----------
    prior_error, observation_error : float
        Factors on the assumed standard deviations.
    mean : ndarray, shape (n_state,)
    totals : Aggregate
    chi_square : float
        Per observation.
    log_evidence : float
    """

    prior_error: float
    observation_error: float
    mean: Floats
    totals: Aggregate
    chi_square: float
    log_evidence: float


def hyper_ensemble(
    problem: Problem, members: Sequence[Mapping[str, float]], weights: Any
) -> list[HyperMember]:
    """Solve a problem with several sizes of its errors.

    Parameters
    ----------
    problem : Problem
        Of a size that `inversion.solvers.primal` can solve.
    members : sequence of mapping
        ``prior_error`` and ``observation_error``: factors on the standard deviations (1 where absent).
    weights : array_like or sparse, shape (p, n_state)
        Totals to compute for each.

    Returns
    -------
    list of HyperMember

    Raises
    ------
    ConfigError
        A factor of another name, or not above zero.

    Notes
    -----
    ``H' R^-1 H``, ``H' R^-1 d`` and ``B^-1`` (or ``L' H' R^-1 H L`` where B has no good inverse) are made once; the
    factors only scale them, so that a member costs one Cholesky factor in memory that all share.
    """
    sizes = [_factors(member) for member in members]
    error, noise = problem.prior_error, problem.observation_error
    g: Any = (
        sp.csr_array(weights)
        if sp.issparse(weights)
        else np.atleast_2d(np.asarray(weights, dtype=np.float64))
    )
    columns = np.asarray(g.toarray() if sp.issparse(g) else g, dtype=np.float64).T
    white = noise.solve(problem.innovation)
    energy, seen = float(problem.innovation @ white), problem.adjoint(white)
    normal = normal_matrix(problem)
    inverse = precision(error)
    if inverse is None:
        normal = compressed(error, normal)
        normal[np.diag_indices_from(normal)] -= 1.0
        seen, columns = error.factor_transposed(seen), error.factor_transposed(np.ascontiguousarray(columns))
    known = (
        noise.logdet()
        + (0.0 if inverse is None else error.logdet())
        + problem.n_obs * float(np.log(2.0 * np.pi))
    )
    right = np.asfortranarray(np.column_stack([seen, columns]))
    matrix, found = np.empty_like(normal), []
    for prior, observation in sizes:
        # in units of the prior's factor: A = a^2 (N / b^2 + B^-1 / a^2)
        share = (prior / observation) ** 2
        np.multiply(normal, share, out=matrix)
        if inverse is None:
            matrix[np.diag_indices_from(matrix)] += 1.0
        else:
            matrix += inverse
        root, info = la.lapack.dpotrf(matrix.T, lower=1, clean=0, overwrite_a=1)
        if info:
            raise SolverError(
                f"member prior_error={prior:g}, observation_error={observation:g} is not positive definite"
            )
        half = la.solve_triangular(root, right, lower=True, check_finite=False)
        step = la.solve_triangular(root, half[:, 0], lower=True, trans=1, check_finite=False)
        step *= (prior / observation) ** 2
        quadratic = (energy - float(seen @ step)) / observation**2
        # ln det S = ln det R + ln det B + ln det A; the powers of a^2 in the last two cancel
        logdet = (
            2.0 * float(np.log(np.diagonal(root)).sum())
            + 2.0 * problem.n_obs * float(np.log(observation))
            + known
        )
        mean = problem.prior + (error.factor(step) if inverse is None else step)
        totals = Aggregate(np.asarray(g @ mean), prior**2 * (half[:, 1:].T @ half[:, 1:]))
        evidence = -0.5 * (quadratic + logdet)
        found.append(HyperMember(prior, observation, mean, totals, quadratic / problem.n_obs, evidence))
    return found


def _factors(member: Mapping[str, float]) -> tuple[float, float]:
    unknown = set(member) - {"prior_error", "observation_error"}
    if unknown:
        raise ConfigError(f"a member of a hyper-parameter ensemble has no {min(unknown)!r}")
    prior, observation = (float(member.get(k, 1.0)) for k in ("prior_error", "observation_error"))
    if not (0.0 < prior < np.inf and 0.0 < observation < np.inf):
        raise ConfigError(f"factors on errors are above zero, found {dict(member)}")
    return prior, observation
