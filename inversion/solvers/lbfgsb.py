"""Fluxes within bounds: L-BFGS-B to come near, a primal-dual active set to be exact.

Minimises ``J(x) = (x - x_b)' B^-1 (x - x_b) / 2 + (y - H x)' R^-1 (y - H x) / 2`` for ``lower <= x <= upper``. The
answer is a mode, not a mean: a bound makes the posterior a truncated normal distribution.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import scipy.linalg as la
from scipy.optimize import minimize

from inversion.problem.posterior import Aggregate
from inversion.problem.problem import Problem
from obsnet.errors import SolverError
from obsnet.typing import Bools, Floats
from obsnet.work.progress import progress

__all__ = ["BoundedMode", "cost_and_gradient", "solve_bounded"]

_POLISH = 6000  # unknowns up to which the active set is solved exactly


@dataclass(frozen=True, eq=False)
class BoundedMode:
    """The most likely state within bounds.

    Attributes
    ----------
    problem : Problem
    mean : ndarray, shape (n_state,)
        The mode.
    free : ndarray of bool, shape (n_state,)
        Elements that are at no bound.
    gradient : ndarray, shape (n_state,)
        Of J at the mode: zero where free, pushing against the bound elsewhere.
    cost : float
        Twice J.
    stopping : dict
        Iterations, whether it was polished, largest violation of the optimality conditions.
    """

    problem: Problem
    mean: Floats
    free: Bools
    gradient: Floats
    cost: float
    stopping: dict[str, Any]

    def aggregate(self, weights: npt.ArrayLike) -> Aggregate:
        """Return totals of the mode and their covariance with the elements at bounds held there.

        Parameters
        ----------
        weights : array_like, shape (p, n_state)

        Notes
        -----
        Elements at a bound are taken as known, which is the Laplace approximation on the face of the bounds.
        """
        g = np.atleast_2d(np.asarray(weights, dtype=np.float64))
        inside = g[:, self.free]
        root = la.cholesky(_hessian(self.problem)[np.ix_(self.free, self.free)], lower=True)
        half = la.solve_triangular(root, inside.T, lower=True)
        return Aggregate(g @ self.mean, half.T @ half)


def cost_and_gradient(problem: Problem, x: Floats) -> tuple[float, Floats]:
    """Return J and its gradient at a state.

    Parameters
    ----------
    problem : Problem
        With a prior error that has an inverse.
    x : ndarray, shape (n_state,)
    """
    step = x - problem.prior
    rest = problem.observations - problem.simulate(x)
    prior, data = problem.prior_error.solve(step), problem.observation_error.solve(rest)
    return 0.5 * float(step @ prior + rest @ data), np.asarray(prior - problem.adjoint(data))


def _hessian(problem: Problem) -> Floats:
    from inversion.solvers.primal import normal_matrix

    inverse = problem.prior_error.solve(np.eye(problem.n_state))
    return np.asarray(normal_matrix(problem) + 0.5 * (inverse + inverse.T))


def solve_bounded(
    problem: Problem,
    lower: npt.ArrayLike = 0.0,
    upper: npt.ArrayLike = np.inf,
    *,
    tolerance: float = 1e-10,
    limit: int = 5000,
) -> BoundedMode:
    """Find the most likely state within bounds.

    Parameters
    ----------
    problem : Problem
        With a prior error that has an inverse.
    lower, upper : array_like
        Bounds of each element, or one number; infinite where there is none.
    tolerance : float
        Largest allowed gradient of a free element, scaled by the prior's standard deviation, relative to the start.
    limit : int
        Iterations of L-BFGS-B.

    Returns
    -------
    BoundedMode

    Raises
    ------
    SolverError
        Bounds that leave nothing, or no convergence.
    """
    m = problem.n_state
    low, high = (np.broadcast_to(np.asarray(b, dtype=np.float64), (m,)) for b in (lower, upper))
    if not (low <= high).all():
        at = int(np.argmax(~(low <= high)))
        raise SolverError(f"bounds leave nothing for element {at}: {low[at]:g} to {high[at]:g}")
    sigma = np.sqrt(problem.prior_error.diagonal())
    if not sigma.all():
        raise SolverError(
            "elements with a prior error of zero cannot be optimised; leave them out of the state"
        )

    def scaled(z: Floats) -> tuple[float, Floats]:
        value, gradient = cost_and_gradient(problem, sigma * z)
        return value, sigma * gradient

    start = np.clip(problem.prior, low, high) / sigma
    size = max(float(np.abs(scaled(start)[1]).max(initial=0.0)), 1e-300)
    with progress(limit, "iterations at most") as advance:
        found = minimize(
            scaled,
            start,
            jac=True,
            method="L-BFGS-B",
            bounds=np.stack([low / sigma, high / sigma], axis=1),
            options={
                "maxiter": limit,
                "maxfun": 2 * limit,
                "ftol": 1e-15,
                "gtol": tolerance * size,
                "maxcor": 20,
            },
            callback=lambda _z: advance(1),
        )
    x = np.clip(sigma * found.x, low, high)
    polished = m <= _POLISH
    if polished:
        x = _active_set(problem, x, low, high)
    cost, gradient = cost_and_gradient(problem, x)
    free = (x > low) & (x < high)
    push = np.where(free, np.abs(gradient), np.maximum(np.where(x <= low, -gradient, gradient), 0.0))
    violation = float((sigma * push).max(initial=0.0)) / size
    stopping = {
        "converged": True,
        "iterations": int(found.nit),
        "polished": polished,
        "violation": violation,
        "at_bounds": int((~free).sum()),
    }
    if violation > max(tolerance, 1e-6 if not polished else 1e-9):
        raise SolverError(
            f"the bounded minimum was not reached: scaled gradient {violation:.2g} after {found.nit} iterations "
            f"({found.message}); raise limit"
        )
    return BoundedMode(problem, x, free, gradient, 2.0 * cost, stopping)


def _active_set(problem: Problem, x: Floats, low: Floats, high: Floats) -> Floats:
    """Return the exact minimum, from a good guess.

    Hintermueller, Ito & Kunisch (2002), SIAM J. Optim. 13, 865, doi:10.1137/S1052623401383558.
    """
    hessian = _hessian(problem)
    diagonal = np.diagonal(hessian)
    right = hessian @ x - cost_and_gradient(problem, x)[1]
    seen: set[bytes] = set()
    for _ in range(100):
        force = hessian @ x - right
        at_low, at_high = force > diagonal * (x - low), force < diagonal * (x - high)
        key = np.packbits(np.stack([at_low, at_high])).tobytes()
        if key in seen:
            break
        seen.add(key)
        bound = at_low | at_high
        x = np.where(at_low, low, np.where(at_high, high, 0.0))
        free = ~bound
        if free.any():
            rest = right[free] - hessian[np.ix_(free, bound)] @ x[bound]
            x[free] = la.solve(hessian[np.ix_(free, free)], rest, assume_a="pos")
    return np.clip(x, low, high)
