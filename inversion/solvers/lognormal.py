"""Positive fluxes with lognormal errors: Gauss-Newton to the mode of the logarithm, then draws of the posterior.

The state is ``z = ln x`` where an element is lognormal and ``z = x`` elsewhere; ``z ~ N(z_b, B)``. Each step solves the
linear problem with the Jacobian ``H diag(dx/dz)`` exactly; the step is shortened until the cost falls.
"""

from __future__ import annotations

from dataclasses import dataclass, field, fields
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt
import scipy.sparse as sp

from inversion.operators.covariance import BlockDiagonalCovariance, Covariance, StretchedCovariance
from inversion.operators.lognormal import lognormal_covariance
from inversion.problem.posterior import Posterior
from inversion.problem.problem import Problem
from inversion.solvers.sampled import Recorder, SampledPosterior
from obsnet.errors import RangeError, SolverError
from obsnet.typing import Bools, Floats
from obsnet.work.progress import progress

__all__ = ["LognormalMode", "linear_estimate", "lognormal_mode", "solve_lognormal"]

# Observation variances are so much larger in the distribution that paths turn about: its tails are then no thinner
# than the posterior's, in which a path would linger. What is drawn does not depend on it, only how fast.
_LOOSE = 3.0


@dataclass(frozen=True, eq=False)
class LognormalMode:
    """The most likely logarithm of a state, and the normal distribution that touches the posterior there (Laplace).

    Attributes
    ----------
    transformed : Posterior
        Of ``z``, in the linearisation at its mode.
    logarithmic : ndarray of bool, shape (n_state,)
        Elements of which z is the logarithm.
    pull : ndarray, shape (n_state,)
        q with ``z - z_b = B q`` at the mode.
    stopping : dict
        Iterations, cost and gradient at the end.

    Notes
    -----
    ``exp`` of the mode of z is no mean, no median and no mode of x where the posterior of z is skewed; sums of it, or
    of ``exp(mu + s^2 / 2)``, are biased. `solve_lognormal` samples what it touches.
    """

    transformed: Posterior
    logarithmic: Bools
    pull: Floats
    stopping: dict[str, Any]

    @property
    def state(self) -> Floats:
        """The state at the mode of z."""
        return _state(self.transformed.mean, self.logarithmic)


def _state(z: Floats, log: Bools) -> Floats:
    with np.errstate(over="ignore"):
        return np.where(log, np.exp(np.where(log, z, 0.0)), z)


def lognormal_mode(
    problem: Problem,
    logarithmic: npt.ArrayLike | bool = True,
    *,
    method: str = "auto",
    tolerance: float = 1e-9,
    limit: int = 500,
) -> LognormalMode:
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
    LognormalMode

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

    def misfit(z: Floats) -> float:
        rest = problem.observations - problem.simulate(_state(z, log))
        value = float(rest @ problem.observation_error.solve(rest)) if np.isfinite(rest).all() else np.inf
        return 0.5 * value

    z, q, moved = prior.copy(), np.zeros_like(prior), np.zeros_like(prior)
    cost = misfit(z)
    for step in range(1, limit + 1):
        x = _state(z, log)
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
            laplace = Posterior(linear, z, final.system, f"lognormal mode ({final.method})", stopping)
            return LognormalMode(laplace, np.array(log), q, stopping)
    raise SolverError(f"the lognormal mode was not reached in {limit} steps (cost {cost:.6g}); raise limit")


def solve_lognormal(
    problem: Problem,
    logarithmic: npt.ArrayLike | bool = True,
    *,
    weights: Any = None,
    method: str = "auto",
    draws: int = 8000,
    chains: int = 8,
    least: float = 400.0,
    seed: int = 0,
) -> LognormalPosterior:
    """Sample the posterior of positive fluxes: mean, standard deviation, quantiles and totals with covariance.

    Parameters
    ----------
    problem, logarithmic, method
        As of `lognormal_mode`; ``prior`` holds the prior **median**.
    weights : array_like or sparse, shape (p, n_state), optional
        Totals whose draws are kept.
    draws, chains : int
        Draws in all, after a quarter as many for finding the step, and independent chains of them.
    least : float
        Refuse if any total, or the sum of all elements, is worth fewer independent draws.
    seed : int

    Returns
    -------
    LognormalPosterior
        Of x. Kernels and parts of errors are those of the linear estimate, see there.

    Raises
    ------
    SolverError
        Chains that have not mixed.

    Notes
    -----
    Hamiltonian paths that a normal distribution N(z*, P), the linear posterior at the mode with somewhat larger errors,
    would make exact: position and velocity turn about z*, and what the posterior departs from that distribution kicks
    the velocity by ``-P grad`` (Beskos et al. 2011, Stochastic Process. Appl. 121, 2201,
    doi:10.1016/j.spa.2011.06.003). A path is accepted by the change of energy, which needs no inverse of P, so the
    draws are of the true posterior and the step need not shrink with the number of unknowns.
    """
    from inversion.solvers.choose import solve

    found = lognormal_mode(problem, logarithmic, method=method)
    log, centre, touching = found.logarithmic, found.transformed.mean, found.transformed.problem
    looser = touching.with_(observation_error=problem.observation_error.scaled(_LOOSE))
    laplace = solve(looser, method=method)

    error, loose = problem.observation_error, looser.observation_error

    def departure(z: Floats) -> tuple[Floats, Floats]:
        """Return the cost of states beyond that of the touching normal distribution, (k,), and its gradient."""
        with np.errstate(all="ignore"):  # a path that has run away overflows, and is not accepted
            away, x = z - centre[:, None], _state(z, log[:, None])
            rest = (problem.observations - problem.background)[:, None] - problem.forward(x)
            seen = touching.forward(away)
            pushed, held = error.solve(rest), loose.solve(seen)
            cost = 0.5 * np.sum(rest * pushed, axis=0) + found.pull @ away - 0.5 * np.sum(seen * held, axis=0)
            slope = np.where(log[:, None], x, 1.0)
            gradient = found.pull[:, None] - slope * problem.adjoint(pushed) - touching.adjoint(held)
        good = np.isfinite(cost) & np.isfinite(gradient).all(axis=0)
        return np.where(good, cost, np.inf), np.where(good, gradient, 0.0)

    def velocities(rng: np.random.Generator, count: int) -> Floats:
        """Draw from N(0, P): a prior draw and what observations of it teach."""
        prior = problem.prior_error.factor(rng.standard_normal((problem.prior_error.factor_size, count)))
        noise = loose.factor(rng.standard_normal((loose.factor_size, count)))
        return prior + laplace.gain(noise - touching.forward(prior))

    def path(z: Floats, v: Floats, step: float, count: int) -> tuple[Floats, Floats]:
        """Return where a path ends and how much energy it gained."""
        cost, gradient = departure(z)
        gained = -cost
        for _ in range(count):
            z, v, gradient, kicked = _step(z, v, gradient, step)
            gained = gained + kicked
        return z, gained + departure(z)[0]

    def _step(z: Floats, v: Floats, gradient: Floats, step: float) -> tuple[Floats, Floats, Floats, Floats]:
        v, first = _kick(v, gradient, step)
        away = z - centre[:, None]
        z = centre[:, None] + np.cos(step) * away + np.sin(step) * v
        v = np.cos(step) * v - np.sin(step) * away
        gradient = departure(z)[1]
        v, second = _kick(v, gradient, step)
        return z, v, gradient, first + second

    def _kick(v: Floats, gradient: Floats, step: float) -> tuple[Floats, Floats]:
        """Return the velocity after half a step of force, and the energy that it gains."""
        moved = laplace.covariance(gradient)
        with np.errstate(all="ignore"):
            gained = -0.5 * step * np.sum(gradient * v, axis=0) + step**2 / 8 * np.sum(
                gradient * moved, axis=0
            )
        return v - 0.5 * step * moved, gained

    rng = np.random.default_rng(seed)
    each, burn = -(-draws // chains), max(40, -(-draws // (4 * chains)))
    recorder = Recorder(problem, weights, chains, least)
    z, step, accepted = centre[:, None] + 0.5 * velocities(rng, chains), 0.3, 0
    with progress(burn + each, "draws") as advance:
        for number in range(burn + each):
            advance(1)
            # about a quarter turn, of a length that varies so that no path returns to where it began
            count = max(1, round(rng.uniform(0.5, 1.0) * np.pi / 2 / step))
            end, gained = path(z, velocities(rng, chains), step, count)
            taken = np.isfinite(gained) & (np.log(rng.random(chains)) < -gained)
            z = np.where(taken, end, z)
            if number < burn:
                step = float(np.clip(step * np.exp(0.15 * (taken.mean() - 0.8)), 0.01, np.pi / 4))
                continue
            accepted += int(taken.sum())
            x = _state(z, log[:, None])
            for chain in range(chains):
                recorder.add(chain, x[:, chain])
    stopping = found.stopping | {
        "draws": each * chains,
        "chains": chains,
        "step": step,
        "accepted": accepted / (each * chains),
    }
    linear = linear_estimate(problem, log, method)
    made = recorder.finish(linear, f"lognormal ({laplace.method})", stopping)
    return LognormalPosterior(
        **{f.name: getattr(made, f.name) for f in fields(made)},
        logarithmic=log,
        logarithm_error=problem.prior_error,
    )


@dataclass(frozen=True, eq=False)
class LognormalPosterior(SampledPosterior):
    """Draws of a lognormal posterior, over the linear estimate that inventories are tested with.

    Attributes
    ----------
    logarithmic : ndarray of bool, shape (n_state,)
        Elements that are lognormal.
    logarithm_error : Covariance
        Prior covariance of ``z``.

    Notes
    -----
    The mean of the draws answers the more to a change of a flux the larger the flux is, so that no one kernel is its:
    a kernel at the answer follows the data and makes right inventories of large fluxes look too high. A test needs an
    estimate whose kernel is known beforehand: ``x_b + K (y - H x_b)`` about the prior's mean, whatever the gain K. Its
    error follows from means and covariances alone, and those of a lognormal prior are known.
    """

    logarithmic: Bools = field(default_factory=lambda: np.zeros(0, bool))
    logarithm_error: Covariance | None = None

    @cached_property
    def cost(self) -> float:
        """Twice the cost function at the mode of z, in the place of the linear problem's."""
        return float(self.stopping["cost"])

    def tested(self, weights: Any, gain: Floats) -> Floats:
        """Return the linear estimate of totals."""
        return np.asarray(self._weights(weights) @ self.problem.prior + gain.T @ self.problem.innovation)


def linear_estimate(problem: Problem, log: Bools, method: str = "auto") -> Posterior:
    """Return the linear estimate of x about the lognormal's mean, with the lognormal's covariance.

    Parameters
    ----------
    problem, log, method
        As of `lognormal_mode`.

    Returns
    -------
    Posterior
        Its gain is that of the covariance of first order, ``m_i m_j B_ij``, which keeps the structure of B; errors that
        follow from its ``problem`` are those of that gain under the lognormal's own covariance.
    """
    from inversion.solvers.choose import solve

    error = problem.prior_error
    mean = problem.prior * np.where(log, np.exp(np.where(log, 0.5 * error.diagonal(), 0.0)), 1.0)
    slope = np.where(log, mean, 1.0)
    if isinstance(error, BlockDiagonalCovariance):
        parts = np.split(slope, np.cumsum([b.size for b in error.blocks])[:-1])
        near: Covariance = BlockDiagonalCovariance(
            [StretchedCovariance(b, s) for b, s in zip(error.blocks, parts, strict=True)]
        )
    else:
        near = StretchedCovariance(error, slope)
    found = solve(problem.with_(prior=mean, prior_error=near), method=method)
    own = problem.with_(prior=mean, prior_error=lognormal_covariance(error, mean, log))
    return Posterior(own, found.mean, found.system, "lognormal")


def _scale_columns(matrix: Any, scale: Floats) -> Any:
    return sp.csr_array(matrix @ sp.diags_array(scale)) if sp.issparse(matrix) else matrix * scale[None, :]
