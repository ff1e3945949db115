"""Fixed-lag smoothers: observations step by step in time, a window of fluxes still open to change.

Fluxes enter with the prior given what is known of the fluxes before them, are corrected by the observations
of their own and of the next ``lag - 1`` steps, and then close. Totals over all times are carried along as
elements of the state that never close, so their means and covariance go on learning.

The exact smoother (Bruhwiler et al. 2005, Atmos. Chem. Phys. 5, 2691, doi:10.5194/acp-5-2691-2005, with the
covariance kept whole) equals the batch solution where no observation looks further back than the window and
the prior forgets in time as a Markov chain does, which the exponential correlation is: then the fluxes of a
step are those of the batch solution with all observations up to ``lag - 1`` steps later, and totals,
chi-square and evidence are those of the whole batch. What falls short of that is counted in `stopping`:
observations that look back at closed fluxes take their errors as independent of all else, so the stated
variances may then be too small. The ensemble smoother (Peters et al. 2005, J. Geophys. Res. 110, D24304,
doi:10.1029/2005JD006157) does the same with members.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import numpy.typing as npt
import scipy.linalg as la
import scipy.sparse as sp

from inversion.problem.posterior import Aggregate, Posterior
from inversion.problem.problem import Problem
from inversion.solvers.ensemble import Analysis
from inversion.solvers.letkf import analyse
from inversion.solvers.localisation import Localisation
from inversion.solvers.members import LocalSystem, prior_ensemble
from inversion.solvers.split import observation_steps, split_error
from obsnet.errors import ConfigError, SolverError
from obsnet.typing import Bools, Floats, Ints
from obsnet.work.progress import progress

__all__ = ["Smoothed", "solve_ensemble_smoother", "solve_smoother"]

_BLOCK = 256


@dataclass(frozen=True, eq=False)
class Smoothed:
    """What a fixed-lag smoother has found.

    Parameters
    ----------
    mean, variance : ndarray, shape (n_state,)
        Of each element when its window closed.
    totals : Aggregate or None
        Of the weights given, with every observation.
    chi_square : float
        Innovation chi-square per observation.
    log_evidence : float
        Log marginal likelihood of the observations.
    stopping : mapping
        ``lag``, ``steps``; ``cut_rows`` observations looked back at closed fluxes, which hold
        ``cut_sensitivity`` of all sensitivity; ``memory_lost`` is the largest correlation of the prior with
        closed fluxes that the window does not carry.
    """

    mean: Floats
    variance: Floats
    totals: Aggregate | None
    chi_square: float
    log_evidence: float
    stopping: Mapping[str, Any] = field(default_factory=dict)


class _Window:
    """Joint normal distribution of the totals and of the elements that are open.

    Parameters
    ----------
    problem : Problem
        Gives prior and H.
    weights : csr_array, shape (p, n_state)
        Of the totals.
    """

    def __init__(self, problem: Problem, weights: sp.csr_array) -> None:
        self.problem, self.weights = problem, sp.csc_array(weights)
        self.p = weights.shape[0]
        self.open: Ints = np.zeros(0, dtype=np.int64)
        self.z = np.zeros(self.p)  # means: totals, then open elements
        self.cov = np.zeros((self.p, self.p))
        self.prior = np.zeros((0, 0))  # prior covariance of the open elements
        self.mean = np.array(problem.prior, dtype=np.float64)
        self.variance = np.zeros(problem.n_state)
        self.lost = 0.0
        self._edge: tuple[Ints, Floats] = (np.zeros(0, dtype=np.int64), np.zeros((0, 0)))

    def enter(self, new: Ints) -> None:
        """Add elements, with their prior given what is known of the open ones."""
        if not new.size:
            return
        joint = self._prior_columns(new)
        with_open, own = joint[self.open], joint[new]
        regression = _regression(self.prior, with_open)
        self._count_loss(new, joint, regression)
        step = regression @ (self.z[self.p :] - self.problem.prior[self.open])
        cross = regression @ self.cov[self.p :]
        inner = own - regression @ with_open + cross[:, self.p :] @ regression.T
        self.z = np.concatenate([self.z, self.problem.prior[new] + step])
        self.cov = np.block([[self.cov, cross.T], [cross, 0.5 * (inner + inner.T)]])
        self.prior = np.block([[self.prior, with_open], [with_open.T, own]])
        self.open = np.concatenate([self.open, new])

    def _prior_columns(self, new: Ints) -> Floats:
        n = self.problem.n_state
        out = np.empty((n, new.size))
        for start in range(0, new.size, _BLOCK):
            part = new[start : start + _BLOCK]
            unit = np.zeros((n, part.size))
            unit[part, np.arange(part.size)] = 1.0
            out[:, start : start + part.size] = self.problem.prior_error.matmul(unit)
        return out

    def _count_loss(self, new: Ints, joint: Floats, regression: Floats) -> None:
        """Note how far the prior ties new elements to those just closed beyond what the window carries."""
        closed, with_open = self._edge
        if closed.size and with_open.shape[1] == self.open.size:
            size = np.sqrt(np.outer(self.problem.prior_error.diagonal()[closed], np.diagonal(joint[new])))
            gap = np.abs(joint[closed] - with_open @ regression.T)
            self.lost = max(self.lost, float(np.max(gap / np.where(size > 0.0, size, 1.0), initial=0.0)))

    def learn(self, rows: Any, innovation: Floats, error: Floats) -> tuple[float, float]:
        """Assimilate observations; return ``d' S^-1 d`` and ``ln det S``.

        Parameters
        ----------
        rows : csr_array, shape (n, open)
            H of the open elements.
        innovation : ndarray, shape (n,)
            Observation minus simulation with everything known so far.
        error : ndarray, shape (n, n)
            R.
        """
        cross = np.asarray(rows @ self.cov[self.p :]).T  # (all, n)
        s = np.asarray(rows @ cross[self.p :]) + error
        root = la.cholesky(0.5 * (s + s.T), lower=True, check_finite=False)
        half = la.solve_triangular(root, cross.T, lower=True, check_finite=False)
        white = la.solve_triangular(root, innovation, lower=True, check_finite=False)
        self.z = self.z + half.T @ white
        self.cov = self.cov - half.T @ half
        return float(white @ white), 2.0 * float(np.log(np.diagonal(root)).sum())

    def close(self, which: Bools) -> None:
        """Close some of the open elements: they join the totals and are forgotten."""
        if not which.any():
            return
        p, elements, inside = self.p, self.open[which], np.flatnonzero(which) + self.p
        kept = np.concatenate([np.arange(p), np.flatnonzero(~which) + p])
        g = self.weights[:, elements].toarray()
        self.mean[elements] = self.z[inside]
        self.variance[elements] = np.maximum(np.diagonal(self.cov)[inside], 0.0)
        self.z[:p] += g @ self.z[inside]
        self.cov[:p] += g @ self.cov[inside]
        self.cov[:, :p] += self.cov[:, inside] @ g.T
        self._edge = (elements, self.prior[np.ix_(which, ~which)])
        self.z, self.cov = self.z[kept], self.cov[np.ix_(kept, kept)]
        self.prior = self.prior[np.ix_(~which, ~which)]
        self.open = self.open[~which]


def _regression(prior: Floats, cross: Floats) -> Floats:
    """Return ``C_no C_oo^-1``; elements that are known (variance 0) tell nothing."""
    if not prior.size:
        return np.zeros((cross.shape[1], 0))
    try:
        return np.asarray(la.cho_solve(la.cho_factor(prior, check_finite=False), cross, check_finite=False)).T
    except la.LinAlgError:  # known elements, or errors common to many
        return np.asarray(la.pinvh(prior) @ cross).T


def _steps(problem: Problem, step: npt.ArrayLike, lag: int) -> tuple[Ints, Ints]:
    """Return the steps of state and observations, checked."""
    steps = np.asarray(step, dtype=np.int64)
    if steps.shape != (problem.n_state,):
        raise SolverError(f"step must have shape ({problem.n_state},), found {steps.shape}")
    if lag < 1:
        raise ConfigError(f"a lag is one step or more, found {lag}")
    if problem.is_chunked:
        raise SolverError("a smoother needs the Jacobian in memory; call compute() on it first")
    return steps, observation_steps(problem.jacobian, steps)


def _weights(weights: Any, size: int) -> sp.csr_array:
    if weights is None:
        return sp.csr_array((0, size))
    g = sp.csr_array(weights if sp.issparse(weights) else np.atleast_2d(weights))
    if g.shape[1] != size:
        raise SolverError(f"weights must have shape (totals, {size}), found {g.shape}")
    return g


def solve_smoother(
    problem: Problem,
    *,
    step: npt.ArrayLike,
    lag: int,
    weights: Any = None,
    report: Callable[[str], None] = lambda _line: None,
) -> Smoothed:
    """Solve step by step with the whole covariance of the window.

    Parameters
    ----------
    problem : Problem
        Observation errors must not be correlated between steps.
    step : array_like of int, shape (n_state,)
        Time step of each state element, -1 for those that hold for all times
        (`inversion.solvers.split.state_steps`).
    lag : int
        Steps that an element stays open, its own included.
    weights : array_like or sparse, shape (p, n_state), optional
        Totals to carry along.
    report : callable
        Takes a line a step.

    Returns
    -------
    Smoothed

    Raises
    ------
    ConfigError, SolverError
        A lag below 1, steps of another size, errors correlated between steps, a lazy Jacobian.
    """
    steps, obs_steps = _steps(problem, step, lag)
    count = int(steps.max(initial=0)) + 1
    window = _Window(problem, _weights(weights, problem.n_state))
    split = split_error(problem.observation_error, obs_steps, "time step")
    parts = {int(k): (rows, error) for k, rows, error in split}
    window.enter(np.flatnonzero(steps < 0))
    h = sp.csr_array(problem.jacobian, dtype=np.float64)
    closed = np.zeros(problem.n_state, dtype=bool)
    square = determinant = cut = 0.0
    cut_rows = 0
    for now in range(count):
        window.enter(np.flatnonzero(steps == now))
        # After the new elements have taken up what the leaving ones know, before anything is learnt.
        leaving = (steps[window.open] >= 0) & (steps[window.open] <= now - lag)
        closed[window.open[leaving]] = True
        window.close(leaving)
        if now in parts:
            rows, error = parts[now]
            block = h[rows]
            state = window.mean.copy()  # closed elements at their last value
            state[window.open] = window.z[window.p :]
            innovation = problem.observations[rows] - problem.background[rows] - block @ state
            beyond = abs(block) @ closed
            cut_rows, cut = cut_rows + int((beyond > 0.0).sum()), cut + float(beyond.sum())
            # What is no longer open is as uncertain as it was when it closed.
            extra = block.power(2) @ np.where(closed, window.variance, 0.0)
            total = error.dense() + np.diag(extra)
            one, two = window.learn(block[:, window.open], np.asarray(innovation), total)
            square, determinant = square + one, determinant + two
        report(f"step {now + 1} of {count}: {window.open.size} open elements")
    window.close(np.ones(window.open.size, dtype=bool))
    n = problem.n_obs
    return Smoothed(
        window.mean,
        window.variance,
        None if weights is None else Aggregate(window.z, 0.5 * (window.cov + window.cov.T)),
        square / n,
        -0.5 * (square + determinant + n * float(np.log(2.0 * np.pi))),
        {
            "converged": True,
            "lag": lag,
            "steps": count,
            "cut_rows": cut_rows,
            "cut_sensitivity": cut / max(float(abs(h).sum()), 1e-300),
            "memory_lost": window.lost,
        },
    )


def solve_ensemble_smoother(
    problem: Problem,
    *,
    step: npt.ArrayLike,
    lag: int,
    members: int = 64,
    localisation: Localisation | None = None,
    inflation: float = 1.0,
    relaxation: float = 0.0,
    seed: int = 0,
    exact: bool | None = None,
    ahead: int = 0,
    until: npt.ArrayLike | None = None,
    record: list[Analysis] | None = None,
) -> Posterior:
    """Solve step by step with an ensemble.

    Parameters
    ----------
    problem, step, lag
        See `solve_smoother`.
    members, localisation, inflation, relaxation, seed, exact
        See `inversion.solvers.letkf.solve_letkf`. Inflation is applied once, relaxation at every step.
    ahead : int
        Later steps that learn too, through the prior's correlation in time: give it about two correlation
        times. With few members and no such correlation they would only take up sampling noise.
    until : array_like of int, shape (n_state,), optional
        Last step of elements that span several; the lag counts from it. By default that of `step`.
    record : list, optional
        Takes what `inversion.solvers.ensemble.EnsembleGain` needs.

    Returns
    -------
    Posterior
        Mean, variance and totals; all steps together have no single gain.
    """
    if not inflation >= 1.0 or not 0.0 <= relaxation <= 1.0:
        raise ConfigError(
            f"inflation is 1 or more and relaxation within 0 and 1, found {inflation:g} and {relaxation:g}"
        )
    steps, obs_steps = _steps(problem, step, lag)
    x = np.sqrt(inflation) * prior_ensemble(problem.prior_error, members, seed, exact=exact)
    mean = np.array(problem.prior, dtype=np.float64)
    last = steps if until is None else np.asarray(until, dtype=np.int64)
    parts = split_error(problem.observation_error, obs_steps, "time step")
    with progress(len(parts), "time steps") as advance:
        for now, rows, _ in parts:
            near = localisation
            if near is not None:
                near = replace(near, obs_lat=near.obs_lat[rows], obs_lon=near.obs_lon[rows])
            is_open = np.flatnonzero((steps < 0) | ((steps <= now + ahead) & (last > now - lag)))
            part, before = problem.select(rows), x[is_open] if record is not None else x
            y = analyse(part, mean, x, near, relaxation=relaxation, open_rows=is_open)
            if record is not None:
                record.append(Analysis(part, rows, is_open, before, y, near))
            advance(1)
    stopping = {
        "converged": True,
        "iterations": int(steps.max(initial=0)) + 1,
        "lag": lag,
        "members": members,
    }
    return Posterior(problem, mean, LocalSystem(x, None), "ensemble smoother", stopping)
