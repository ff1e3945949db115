"""Positive fluxes with lognormal errors: exact Gauss-Newton on the logarithm, with a line search.

The state is ``z = ln x`` where an element is lognormal and ``z = x`` elsewhere; ``z ~ N(z_b, B)``. Each step solves the
linear problem with the Jacobian ``H diag(dx/dz)`` exactly; the step is shortened until the cost falls.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import scipy.sparse as sp

from inversion.problem.posterior import Posterior
from inversion.problem.problem import Problem
from obsnet.errors import RangeError, SolverError
from obsnet.typing import Bools, Floats

__all__ = ["LognormalPosterior", "solve_lognormal"]


@dataclass(frozen=True, eq=False)
class LognormalPosterior:
    """Posterior of a state whose logarithm is normal.

    Attributes
    ----------
    transformed : Posterior
        Of ``z``, in the linearisation at its mode.
    logarithmic : ndarray of bool, shape (n_state,)
        Elements of which z is the logarithm.
    stopping : dict
        Iterations, cost and gradient at the end.
    """

    transformed: Posterior
    logarithmic: Bools
    stopping: dict[str, Any]

    @property
    def median(self) -> Floats:
        """Median of each element: exp of the mode of its logarithm."""
        z = self.transformed.mean
        return np.where(self.logarithmic, np.exp(np.where(self.logarithmic, z, 0.0)), z)

    @property
    def mean(self) -> Floats:
        """Mean of each element, ``exp(mu + s^2 / 2)`` where lognormal."""
        spread = np.where(self.logarithmic, self.transformed.variance(), 0.0)
        return self.median * np.exp(0.5 * spread)

    def variance(self) -> Floats:
        """Return the variance of each element, ``mean^2 (exp(s^2) - 1)`` where lognormal."""
        s2 = self.transformed.variance()
        return np.where(self.logarithmic, self.mean**2 * np.expm1(np.where(self.logarithmic, s2, 0.0)), s2)


def solve_lognormal(
    problem: Problem,
    logarithmic: npt.ArrayLike | bool = True,
    *,
    method: str = "auto",
    tolerance: float = 1e-9,
    limit: int = 500,
) -> LognormalPosterior:
    """Find the mode of ``z`` and the linear posterior there.

    Parameters
    ----------
    problem : Problem
        ``prior`` holds the prior **median** of x, positive where lognormal; ``prior_error`` is the covariance of z:
        of ln x where lognormal (0.5 means a factor of 1.65), of x elsewhere.
    logarithmic : array_like of bool, shape (n_state,), or bool
        Which elements are lognormal.
    method : str
        Of the linear problem of each step.
    tolerance : float
        Change of the cost over the cost at which to stop.
    limit : int
        Steps.

    Returns
    -------
    LognormalPosterior

    Raises
    ------
    RangeError
        A prior median that is not positive.
    SolverError
        No convergence within the limit.

    Notes
    -----
    The prior's part of the cost needs no B^-1: ``z - z_b = B q`` with q known from each linear solve, so that it is
    ``q' B q / 2``, and q moves along the line as z does.
    """
    from inversion.solvers.choose import solve

    log = np.broadcast_to(np.asarray(logarithmic, dtype=bool), (problem.n_state,))
    if not (problem.prior[log] > 0.0).all():
        at = int(np.flatnonzero(log & (problem.prior <= 0.0))[0])
        raise RangeError(f"a lognormal prior is positive; element {at} has a median of {problem.prior[at]:g}")
    prior = np.where(log, np.log(np.where(log, problem.prior, 1.0)), problem.prior)

    def state(z: Floats) -> Floats:
        with np.errstate(over="ignore"):
            return np.where(log, np.exp(np.where(log, z, 0.0)), z)

    def misfit(z: Floats) -> float:
        rest = problem.observations - problem.simulate(state(z))
        value = float(rest @ problem.observation_error.solve(rest)) if np.isfinite(rest).all() else np.inf
        return 0.5 * value

    z, q, moved = prior.copy(), np.zeros_like(prior), np.zeros_like(prior)
    cost = misfit(z)
    for step in range(1, limit + 1):
        x = state(z)
        slope = np.where(log, x, 1.0)
        linear = problem.with_(
            jacobian=_scale_columns(problem.jacobian, slope),
            prior=prior,
            # around z: y - H x(z) + H' (z - z_b) is what the linear problem has to explain
            background=problem.simulate(x) - problem.forward(slope * z),
        )
        posterior = solve(linear, method=method)
        new_q = linear.adjoint(posterior.system.solve(linear.innovation))
        new_moved = problem.prior_error.matmul(new_q)
        length, before = 1.0, cost
        while True:
            try_q, try_moved = q + length * (new_q - q), moved + length * (new_moved - moved)
            value = 0.5 * float(try_q @ try_moved) + misfit(prior + try_moved)
            if value <= before + 1e-12 * abs(before) or length < 1e-8:
                break
            length *= 0.5
        q, moved, cost = try_q, try_moved, value
        z = prior + moved
        if before - cost <= tolerance * max(abs(cost), 1e-300) and length > 1e-8:
            final = solve(linear, method=method)
            stopping = {"converged": True, "iterations": step, "cost": 2.0 * cost}
            return LognormalPosterior(
                Posterior(linear, z, final.system, f"lognormal ({final.method})", stopping),
                np.array(log),
                stopping,
            )
    raise SolverError(f"the lognormal mode was not reached in {limit} steps (cost {cost:.6g}); raise limit")


def _scale_columns(matrix: Any, scale: Floats) -> Any:
    return sp.csr_array(matrix @ sp.diags_array(scale)) if sp.issparse(matrix) else matrix * scale[None, :]
