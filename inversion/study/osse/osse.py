"""Twin experiments: truths drawn from the prior, and whether the stated uncertainty covers them.

Each twin draws a true state from the prior and observations of it with errors from R, solves, and looks where
the truth falls in the stated distribution. Where prior and observation error are those that the inversion
assumes, 68 % of the truths lie inside the 68 % interval: a solver, a weighting or a unit that is wrong shows
at once. Where the truth is drawn from **other** errors, or the observations carry a bias that nobody told the
inversion of, the shares say how much of the claimed certainty is left.

For the linear methods one factorisation serves all twins: the estimate of a twin is the gain times its
innovation.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt
import scipy.sparse as sp

from inversion.problem.posterior import Aggregate, Posterior
from inversion.problem.problem import Problem
from inversion.solvers.choose import solve
from obsnet.errors import ConfigError, SolverError
from obsnet.typing import Floats, Ints
from obsnet.work.progress import progress

__all__ = ["LEVELS", "Coverage", "Twins", "run_twins"]

LEVELS = {0.68: 0.994457883, 0.95: 1.959963985}  # share inside: half width in standard deviations
_BLOCK = 64  # twins at a time


@dataclass(frozen=True)
class Coverage:
    """How a set of normalised errors compares with the standard normal distribution.

    Attributes
    ----------
    inside_68, inside_95 : float
        Share of truths inside the stated intervals.
    chi_square : float
        Mean square of error over stated standard deviation; 1 where the statement holds.
    bias : float
        Mean of error over stated standard deviation; 0 where the statement holds.
    low, high : float
        Bounds of `chi_square` within which 99 % of correct statements fall.
    """

    inside_68: float
    inside_95: float
    chi_square: float
    bias: float
    low: float
    high: float

    @property
    def verdict(self) -> str:
        """``"as stated"``, ``"too sure"`` or ``"too cautious"``."""
        if self.chi_square > self.high:
            return "too sure"
        return "as stated" if self.chi_square >= self.low else "too cautious"


@dataclass(frozen=True, eq=False)
class Twins:
    """Errors of totals over many twin experiments.

    Parameters
    ----------
    truth, estimate : ndarray, shape (totals, twins)
        True totals and posterior means.
    prior : Aggregate
        Prior totals.
    covariance : ndarray, shape (totals, totals)
        Stated posterior covariance; of methods whose spread differs between twins the mean.
    deviation : ndarray, shape (totals, twins)
        Stated posterior standard deviation in each twin.
    state_inside : dict of float to float
        Share of all true state elements inside the stated intervals.
    state_chi_square : float
        Mean square of normalised errors of all state elements.
    innovation_chi_square : ndarray, shape (twins,), or None
        Per observation; None where the method does not know it.
    dofs : float or None
        Degrees of freedom for signal of all unknowns; None where each twin has its own.
    """

    truth: Floats
    estimate: Floats
    prior: Aggregate
    covariance: Floats
    deviation: Floats
    state_inside: dict[float, float]
    state_chi_square: float
    innovation_chi_square: Floats | None
    dofs: float | None = None

    def with_spread(self, covariance: Floats) -> Twins:
        """Return the same twins where more uncertainty of the totals is stated."""
        added = np.diagonal(covariance)[:, None]
        return replace(
            self, covariance=self.covariance + covariance, deviation=np.sqrt(self.deviation**2 + added)
        )

    @property
    def count(self) -> int:
        """Number of twins."""
        return int(self.truth.shape[1])

    @property
    def prior_deviation(self) -> Floats:
        """Prior standard deviation of each total."""
        return np.sqrt(np.maximum(np.diagonal(self.prior.covariance), 0.0))

    @property
    def posterior_deviation(self) -> Floats:
        """Stated posterior standard deviation of each total, root mean square over the twins."""
        return np.sqrt(np.mean(self.deviation**2, axis=1))

    @property
    def true_deviation(self) -> Floats:
        """Root mean square of estimate minus truth of each total."""
        return np.sqrt(np.mean((self.estimate - self.truth) ** 2, axis=1))

    @property
    def reduction(self) -> Floats:
        """Error reduction of each total, 1 - posterior / prior standard deviation; 0 where nothing was uncertain."""
        prior = self.prior_deviation
        return np.where(prior > 0.0, 1.0 - self.posterior_deviation / np.where(prior > 0.0, prior, 1.0), 0.0)

    def coverage(self, which: npt.ArrayLike | None = None) -> list[Coverage]:
        """Return the coverage of each total.

        Parameters
        ----------
        which : array_like of int, optional
            Totals; by default all.

        Notes
        -----
        Twins are independent, so the sum of squares of one total is chi-square distributed with as many degrees
        of freedom as there are twins; the bounds are its 0.5 % and 99.5 % quantiles. Of several totals at a time
        about one in a hundred falls outside by chance.
        """
        from scipy.stats import chi2

        rows = np.arange(len(self.truth)) if which is None else np.asarray(which)
        low, high = (float(chi2.ppf(q, self.count)) / self.count for q in (0.005, 0.995))
        found = []
        for i in rows:
            error = self.estimate[i] - self.truth[i]
            known = self.deviation[i] > 0.0
            z = np.where(known, error / np.where(known, self.deviation[i], 1.0), 0.0)
            inside = [float(np.mean(np.abs(z) <= width)) for width in LEVELS.values()]
            found.append(Coverage(inside[0], inside[1], float(np.mean(z**2)), float(z.mean()), low, high))
        return found


def run_twins(
    problem: Problem,
    weights: Any,
    *,
    twins: int = 200,
    seed: int = 0,
    solver: Callable[[Problem], Any] | None = None,
    method: str = "auto",
    posterior: Posterior | None = None,
    truth: Problem | None = None,
    true_weights: Any = None,
    bias: npt.ArrayLike = 0.0,
    report: Callable[[str], None] = lambda _line: None,
) -> Twins:
    """Draw truths, observe them, solve, and compare.

    Parameters
    ----------
    problem : Problem
        Its observations are replaced; all else is what the inversion assumes.
    weights : array_like or sparse, shape (totals, n_state)
        Totals to compare.
    twins : int
        Number of experiments.
    seed : int
        Each twin has a counter-based generator of its own: twin i is the same however many there are.
    solver : callable, optional
        Takes a problem, returns something with ``mean``, ``variance()`` and ``aggregate(weights)``; it is called
        for each twin. By default a linear method is factorised once for all.
    method : str
        Of `inversion.solve`, where no solver is given.
    posterior : Posterior, optional
        A linear posterior of `problem` that is there already and serves all twins.
    truth : Problem, optional
        From which truths and observations are drawn, with other errors, sensitivities or means; by default what the
        inversion assumes. Its rows are those of `problem`; of its state, blocks of the same name and size are compared.
    true_weights : array_like or sparse, shape (totals, n_state of the truth), optional
        The same totals of it, where its state is another.
    bias : array_like (n_obs,) or float
        Added to all observations, unknown to the inversion.
    report : callable
        Takes lines for people.

    Returns
    -------
    Twins

    Raises
    ------
    ConfigError
        No twins.
    SolverError
        Errors or weights of another size.
    """
    if twins < 1:
        raise ConfigError(f"a twin experiment needs one twin or more, found {twins}")
    g = _rows(weights)
    if g.shape[1] != problem.n_state:
        raise SolverError(f"weights must have shape (totals, {problem.n_state}), found {g.shape}")
    draw = _Draw(
        problem,
        truth or problem,
        g if true_weights is None else _rows(true_weights),
        np.broadcast_to(np.asarray(bias, dtype=np.float64), (problem.n_obs,)),
        seed,
    )
    if solver is not None:
        return _each(problem, g, twins, draw, solver, report)
    return _linear(posterior or solve(problem, method, report=report), g, twins, draw)


def _rows(weights: Any) -> sp.csr_array:
    return sp.csr_array(weights if sp.issparse(weights) else np.atleast_2d(weights))


@dataclass(frozen=True, eq=False)
class _Draw:
    """True states, their totals, and innovations of the problem that is solved, of chosen twins."""

    problem: Problem
    truth: Problem
    weights: sp.csr_array
    bias: Floats
    seed: int

    def __post_init__(self) -> None:
        if self.truth.n_obs != self.problem.n_obs:
            raise SolverError(
                f"the truth has {self.truth.n_obs} observations, the problem {self.problem.n_obs}"
            )
        if self.weights.shape[1] != self.truth.n_state:
            raise SolverError(
                f"weights of the truth must have shape (totals, {self.truth.n_state}), found {self.weights.shape}"
            )

    def __call__(self, first: int, stop: int) -> tuple[Floats, Floats, Floats]:
        """Return x (n_state of the truth, k), its totals, and ``y - background - H x_b`` (n_obs, k)."""
        truth, normal = self.truth, []
        for i in range(first, stop):
            rng = np.random.Generator(np.random.Philox(key=[self.seed, i]))
            sizes = (truth.prior_error.factor_size, truth.observation_error.factor_size)
            normal.append([rng.standard_normal(size) for size in sizes])
        away = truth.prior_error.factor(np.stack([n[0] for n in normal], axis=1))
        noise = truth.observation_error.factor(np.stack([n[1] for n in normal], axis=1))
        offset = truth.simulate(truth.prior) - self.problem.simulate(self.problem.prior) + self.bias
        state = truth.prior[:, None] + away
        return state, np.asarray(self.weights @ state), truth.forward(away) + noise + offset[:, None]

    @cached_property
    def same(self) -> tuple[Ints, Ints]:
        """Elements of both states that mean the same, of the problem's and of the truth's."""
        here, there = self.problem.state, self.truth.state
        if here is None or there is None:
            both = np.arange(self.problem.n_state if self.problem.n_state == self.truth.n_state else 0)
            return both, both
        names = [b.name for b in here.blocks if b.name in there.names and there.block(b.name).size == b.size]
        spans = [np.arange(0)], [np.arange(0)]
        for name in names:
            for state, found in zip((here, there), spans, strict=True):
                found.append(np.arange(state.span(name).start, state.span(name).stop))
        return np.concatenate(spans[0]), np.concatenate(spans[1])


def _linear(posterior: Posterior, g: sp.csr_array, twins: int, draw: _Draw) -> Twins:
    problem = posterior.problem
    after = posterior.aggregate(g)
    here, there = draw.same
    sd = np.sqrt(np.maximum(posterior.variance(), 0.0))[here]
    known, safe = sd > 0.0, np.where(sd > 0.0, sd, 1.0)
    prior = posterior.prior_aggregate(g)
    truth, estimate = np.empty((g.shape[0], twins)), np.empty((g.shape[0], twins))
    inside, square, chi = dict.fromkeys(LEVELS, 0), 0.0, np.empty(twins)
    with progress(twins, "twins") as advance:
        for first in range(0, twins, _BLOCK):
            stop = min(first + _BLOCK, twins)
            state, truth[:, first:stop], innovation = draw(first, stop)
            step = posterior.gain(innovation)
            chi[first:stop] = (
                np.einsum("ij,ij->j", innovation, posterior.system.solve(innovation)) / problem.n_obs
            )
            estimate[:, first:stop] = prior.mean[:, None] + g @ step
            error = problem.prior[here, None] + step[here] - state[there]
            z = np.abs(error[known]) / safe[known][:, None]
            square += float(np.sum(z**2))
            for level, width in LEVELS.items():
                inside[level] += int(np.count_nonzero(z <= width))
            advance(stop - first)
    total = max(int(known.sum()) * twins, 1)
    deviation = np.sqrt(np.maximum(np.diagonal(after.covariance), 0.0))
    return Twins(
        truth,
        estimate,
        prior,
        after.covariance,
        np.repeat(deviation[:, None], twins, axis=1),
        {level: count / total for level, count in inside.items()},
        square / total,
        chi,
        posterior.dofs,
    )


def _each(
    problem: Problem,
    g: sp.csr_array,
    twins: int,
    draw: _Draw,
    solver: Callable[[Problem], Any],
    report: Callable[[str], None],
) -> Twins:
    columns = g.toarray().T
    prior = Aggregate(g @ problem.prior, g @ problem.prior_error.matmul(columns))
    base = problem.simulate(problem.prior)
    here, there = draw.same
    truth, estimate, deviation = (np.empty((g.shape[0], twins)) for _ in range(3))
    inside, square, seen = dict.fromkeys(LEVELS, 0), 0.0, 0
    covariance = np.zeros((g.shape[0], g.shape[0]))
    with progress(twins, "twins") as advance:
        for i in range(twins):
            state, total, innovation = (a[:, 0] for a in draw(i, i + 1))
            found = solver(problem.with_(observations=base + innovation))
            after = found.aggregate(g)
            truth[:, i], estimate[:, i] = total, after.mean
            deviation[:, i] = np.sqrt(np.maximum(np.diagonal(after.covariance), 0.0))
            covariance += after.covariance / twins
            sd = np.sqrt(np.maximum(found.variance(), 0.0))[here]
            known = sd > 0.0
            z = np.abs(found.mean[here] - state[there])[known] / sd[known]
            square, seen = square + float(np.sum(z**2)), seen + z.size
            for level, width in LEVELS.items():
                inside[level] += int(np.count_nonzero(z <= width))
            report(f"twin {i + 1} of {twins}")
            advance(1)
    seen = max(seen, 1)
    shares = {level: count / seen for level, count in inside.items()}
    return Twins(truth, estimate, prior, covariance, deviation, shares, square / seen, None)
