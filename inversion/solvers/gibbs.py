"""Hierarchical inversion: sizes and lengths of the errors are sampled, the state integrated out.

The prior error of each component b is ``tau_b^2 B_b``, the observation error of each group g is
``s_g^2 R_g``, and B may be one of several alternatives, for instance a grid of correlation lengths. Without the
state the likelihood costs one Cholesky factor (`inversion.solvers.marginal`). The parameters (logarithms) and
the alternative are drawn together by independence Metropolis steps from a mixture of t-distributions about the
mode of each alternative (Tierney 1994, Ann. Stat. 22, 1701, doi:10.1214/aos/1176325750): proposals do not depend
on the chain, so they are computed many at a time, and draws are nearly independent. The state follows from its
normal distribution given each draw, the last step of a collapsed Gibbs sampler (Liu 1994,
doi:10.1080/01621459.1994.10476829).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property, partial
from typing import Any

import numpy as np
import scipy.linalg as la
import scipy.sparse as sp

from inversion.operators.covariance import BlockDiagonalCovariance, Covariance
from inversion.problem.posterior import Aggregate
from inversion.problem.problem import Problem
from inversion.solvers.chains import effective_size, split_rhat
from inversion.solvers.marginal import Marginal, marginalise
from obsnet.errors import ConfigError, ResourceError, SolverError
from obsnet.typing import Floats, Ints
from obsnet.work.progress import progress

__all__ = ["Hierarchical", "solve_gibbs"]

_LARGEST = 2000  # state elements
_TAIL = 20.0  # degrees of freedom of the proposals' t-distribution; the target's tails are those of a normal
_FLOOR = 0.02  # share of the proposals given to all alternatives alike


@dataclass(frozen=True, eq=False)
class Hierarchical:
    """Draws of the sizes and lengths of the errors, and the state averaged over them.

    Parameters
    ----------
    problem : Problem
        What was solved; its errors are those of factor 1.
    marginal : Marginal
        Behind it.
    names : tuple of str
        Of the parameters: ``prior …`` and ``error …``, factors on standard deviations.
    draws : ndarray, shape (chains, n, parameters)
        Factors.
    labels : tuple
        Of the alternatives.
    alternative : ndarray of int, shape (chains, n)
        Which one each draw has.
    log_density : ndarray, shape (chains, n)
        Likelihood times prior, up to a constant.
    acceptance : float
        Share of proposals taken.
    states : int
        Draws over which the state is averaged, evenly spaced.
    """

    problem: Problem
    marginal: Marginal
    names: tuple[str, ...]
    draws: Floats
    labels: tuple[Any, ...]
    alternative: Ints
    log_density: Floats
    acceptance: float
    states: int = 200

    def summary(self) -> list[dict[str, Any]]:
        """Return one row a parameter: mean, sd, quantiles, effective sample size, split R-hat.

        The alternative is a parameter too where its labels are numbers and there are several.
        """
        columns = {name: self.draws[:, :, i] for i, name in enumerate(self.names)}
        numbers = all(isinstance(label, int | float) for label in self.labels)
        if numbers and len(self.labels) > 1:
            columns["alternative"] = np.asarray(self.labels, dtype=np.float64)[self.alternative]
        rows = []
        for name, values in columns.items():
            low, middle, high = np.quantile(values, (0.025, 0.5, 0.975))
            # effective size and R-hat of logarithms where these are what was drawn
            scale = np.log(values) if name != "alternative" else values
            rows.append(
                {
                    "parameter": name,
                    "mean": float(values.mean()),
                    "sd": float(values.std(ddof=1)),
                    "q025": float(low),
                    "median": float(middle),
                    "q975": float(high),
                    "ess": effective_size(scale),
                    "rhat": split_rhat(scale),
                }
            )
        return rows

    @property
    def converged(self) -> bool:
        """Whether every parameter has R-hat below 1.01 and 100 effective draws a chain."""
        return all(r["rhat"] < 1.01 and r["ess"] >= 100 * len(self.draws) for r in self.summary())

    def weights_of_alternatives(self) -> dict[Any, float]:
        """Return the posterior probability of each alternative."""
        share = np.bincount(self.alternative.ravel(), minlength=len(self.labels)) / self.alternative.size
        return dict(zip(self.labels, share.tolist(), strict=True))

    @cached_property
    def _conditionals(self) -> tuple[list[tuple[int, Floats]], dict[int, Floats]]:
        """(Alternative, mean) of chi at evenly spaced draws, and by alternative the sum of its covariances over them.

        The state is ``x_b + L chi``.
        """
        theta = np.log(self.draws.reshape(-1, len(self.names)))
        which = self.alternative.ravel()
        means: list[tuple[int, Floats]] = []
        inside: dict[int, Floats] = {}
        for i in np.unique(np.linspace(0, len(theta) - 1, self.states).astype(np.int64)):
            k = int(which[i])
            a, u, scale = (x[0] for x in self.marginal.system(k, theta[i : i + 1]))
            root = la.cholesky(a, lower=True)
            means.append((k, scale * la.cho_solve((root, True), u)))
            covariance = scale[:, None] * la.cho_solve((root, True), np.diag(scale))
            inside[k] = inside[k] + covariance if k in inside else covariance
        return means, inside

    @cached_property
    def mean(self) -> Floats:
        """Posterior mean of the state, shape (n_state,)."""
        return np.asarray(self.problem.prior) + self._states.mean(axis=1)

    @cached_property
    def _states(self) -> Floats:
        """Conditional means minus the prior at the kept draws, shape (n_state, states)."""
        return np.stack([self.marginal.priors[k].factor(chi) for k, chi in self._conditionals[0]], axis=1)

    def variance(self) -> Floats:
        """Return the posterior variance of each state element: within draws plus between them."""
        total = np.zeros(self.problem.n_state)
        for k, inside in self._conditionals[1].items():
            root = self.marginal.priors[k].factor(la.cholesky(inside, lower=True))
            total += np.einsum("ij,ij->i", root, root)
        return total / self._states.shape[1] + self._states.var(axis=1, ddof=1)

    def between(self, weights: Any) -> Floats:
        """Return the covariance between the draws' means of linear totals, shape (p, p)."""
        return np.atleast_2d(np.cov(np.asarray(weights @ self._states)))

    def aggregate(self, weights: Any) -> Aggregate:
        """Return linear totals, averaged over the draws, and their full covariance.

        Parameters
        ----------
        weights : array_like or sparse, shape (p, n_state) or (n_state,)
            Each row one total.
        """
        g = weights.toarray() if sp.issparse(weights) else np.atleast_2d(np.asarray(weights, np.float64))
        if g.shape[1] != self.problem.n_state:
            raise SolverError(f"weights must have shape (totals, {self.problem.n_state}), found {g.shape}")
        means = g @ self._states
        covariance = self.between(g)
        for k, inside in self._conditionals[1].items():
            rows = self.marginal.priors[k].factor_transposed(np.ascontiguousarray(g.T)).T
            covariance = covariance + rows @ inside @ rows.T / self._states.shape[1]
        return Aggregate(g @ self.problem.prior + means.mean(axis=1), 0.5 * (covariance + covariance.T))


def solve_gibbs(
    problem: Problem,
    *,
    errors_by: str | None = None,
    alternatives: Mapping[Any, Covariance] | None = None,
    spread: float = 1.0,
    draws: int = 500,
    chains: int = 4,
    seed: int = 0,
    report: Callable[[str], None] = lambda _line: None,
) -> Hierarchical:
    """Sample the sizes of the errors together with the state.

    Parameters
    ----------
    problem : Problem
        At most 2000 state elements. Each block of a block-diagonal prior error has a size of its own.
    errors_by : str, optional
        A key of ``problem.groups``: each label's observation errors have a size of their own; by default one
        for all. Errors must not be correlated between labels.
    alternatives : mapping of label to Covariance, optional
        Prior errors to choose among, equally likely beforehand, for instance ``{km: … for km in lengths}``;
        their blocks must match. By default the problem's own.
    spread : float
        Standard deviation of the logarithm of each factor beforehand; its median is 1.
    draws, chains : int
        Kept draws a chain, and chains.
    seed : int
        Same seed, same draws.
    report : callable
        Takes lines for people.

    Returns
    -------
    Hierarchical

    Raises
    ------
    ResourceError
        More state elements than this is made for.
    ConfigError
        Fewer than 2 chains or 8 draws, a spread that is not positive, alternatives of other blocks.
    SolverError
        Errors correlated between groups, unknown label.
    """
    if draws < 8 or chains < 2 or not spread > 0.0:
        raise ConfigError(
            f"take 8 draws, 2 chains or more and a positive spread, not {draws}, {chains}, {spread:g}"
        )
    given = dict(alternatives or {"as given": problem.prior_error})
    priors, labels = tuple(given.values()), tuple(given)
    _check(problem, priors, labels)
    group = np.zeros(problem.n_obs, np.int64) if errors_by is None else problem.labels(errors_by)
    marginal = marginalise(problem, priors, group)
    names = (
        *(f"prior {b}" for b in _components(problem, marginal.components)),
        *(["error"] if errors_by is None else [f"error {k}" for k in np.unique(group)]),
    )
    report(
        f"{len(names)} sizes of errors of {problem.n_obs} observations and {problem.n_state} unknowns: modes first"
    )
    proposal = _Proposal(marginal, spread)
    report(
        f"{len(names)} parameters, {len(priors)} alternatives; modes found, {chains} chains of {draws} draws follow"
    )
    rng = np.random.default_rng(seed)
    count = chains * draws
    first = 20 + draws // 10  # dropped: a chain starts where its first proposal fell
    which, theta, target, weight = proposal.draw(chains * (first + draws), rng)
    taken = _independence(weight.reshape(chains, -1), rng.random((chains, first + draws)))
    acceptance = float(np.mean(np.diff(taken, axis=1) != 0))
    at = (taken + (first + draws) * np.arange(chains)[:, None])[:, first:]
    result = Hierarchical(
        problem,
        marginal,
        names,
        np.exp(theta[at]),
        labels,
        which[at],
        target[at],
        acceptance,
        min(200, count),
    )
    worst = max(result.summary(), key=lambda r: r["rhat"])
    least = min(r["ess"] for r in result.summary())
    report(
        f"acceptance {acceptance:.2f}, at least {least:.0f} effective draws of {count}, largest R-hat "
        f"{worst['rhat']:.3f} ({worst['parameter']})"
    )
    return result


def _check(problem: Problem, priors: tuple[Covariance, ...], labels: tuple[Any, ...]) -> None:
    shapes = []
    for label, prior in zip(labels, priors, strict=True):
        if prior.size != problem.n_state:
            raise ConfigError(
                f"alternative {label!r} is of {prior.size} elements, the state of {problem.n_state}"
            )
        shapes.append(len(prior.blocks) if isinstance(prior, BlockDiagonalCovariance) else 1)
    if len(set(shapes)) > 1:
        raise ConfigError(f"alternatives must have the same components, found {shapes}")
    q = max(p.factor_size for p in priors)
    if q > _LARGEST:
        raise ResourceError(
            f"hierarchical sampling is for {_LARGEST} state elements or fewer, found {q}: coarsen the state, or "
            "fit the errors' sizes by maximum likelihood (inversion.errors.hyperparameters)"
        )


def _components(problem: Problem, count: int) -> list[str]:
    state = problem.state
    if state is not None and len(state.names) == count:
        return list(state.names)
    return ["all"] if count == 1 else [str(i) for i in range(count)]


def _independence(weight: Floats, uniform: Floats) -> Ints:
    """Return which proposal each chain holds at each step; `weight` is ln(target / proposal)."""
    chains, n = weight.shape
    held = np.zeros((chains, n), dtype=np.int64)
    for c in range(chains):
        now = 0
        for i in range(1, n):
            if np.log(uniform[c, i]) < weight[c, i] - weight[c, now]:
                now = i
            held[c, i] = now
    return held


class _Proposal:
    """Mixture of t-distributions about the mode of each alternative.

    Parameters
    ----------
    marginal : Marginal
        The likelihood.
    spread : float
        Standard deviation of each parameter beforehand.
    """

    def __init__(self, marginal: Marginal, spread: float) -> None:
        from scipy.optimize import minimize

        self.marginal, self.precision = marginal, 1.0 / spread**2
        modes, roots, heights = [], [], []
        start = np.zeros(marginal.size)
        for k in range(len(marginal.priors)):
            cost = partial(self._cost, k)
            found = minimize(cost, start, jac=True, method="L-BFGS-B", bounds=[(-5.0, 5.0)] * start.size)
            start = found.x  # the next alternative's mode is near
            curvature = _curvature(cost, found.x)
            root = la.cholesky(la.inv(curvature), lower=True)
            modes.append(found.x)
            roots.append(root)
            heights.append(-found.fun + float(np.log(np.diagonal(root)).sum()))
        self.modes, self.roots = np.array(modes), np.array(roots)
        share = np.exp(np.array(heights) - max(heights))
        self.share = (1.0 - _FLOOR) * share / share.sum() + _FLOOR / share.size

    def _cost(self, alternative: int, theta: Floats) -> tuple[float, Floats]:
        """Return -ln of the target and its gradient."""
        value, slope = self.marginal.gradient(alternative, theta)
        return -value + 0.5 * self.precision * float(theta @ theta), self.precision * theta - slope

    def draw(self, count: int, rng: np.random.Generator) -> tuple[Ints, Floats, Floats, Floats]:
        """Return alternatives, parameters, ln target and ln(target / proposal) of `count` proposals."""
        d = self.modes.shape[1]
        which = rng.choice(self.share.size, count, p=self.share)
        normal, chi = rng.standard_normal((count, d)), rng.chisquare(_TAIL, count)
        z = normal * np.sqrt(_TAIL / chi)[:, None]
        theta = self.modes[which] + np.einsum("nij,nj->ni", self.roots[which], z)
        target = np.empty(count)
        with progress(count, "draws of error sizes") as advance:
            for k in np.unique(which):
                at = which == k
                target[at] = self.marginal.log_likelihood(int(k), theta[at], advance)
        target -= 0.5 * self.precision * np.einsum("ij,ij->i", theta, theta)
        return which, theta, target, target - self._log_density(which, theta)

    def _log_density(self, which: Ints, theta: Floats) -> Floats:
        """Return ln of the proposal's density up to a constant."""
        d = theta.shape[1]
        out = np.empty(len(theta))
        for k in np.unique(which):
            at = which == k
            z = la.solve_triangular(self.roots[k], (theta[at] - self.modes[k]).T, lower=True)
            volume = np.log(np.diagonal(self.roots[k])).sum()
            out[at] = (
                np.log(self.share[k])
                - volume
                - 0.5 * (_TAIL + d) * np.log1p(np.einsum("ij,ij->j", z, z) / _TAIL)
            )
        return out


def _curvature(cost: Callable[[Floats], tuple[float, Floats]], at: Floats, step: float = 1e-4) -> Floats:
    """Return the matrix of second derivatives from differences of the gradient, made positive definite."""
    rows = []
    for i in range(at.size):
        e = np.zeros(at.size)
        e[i] = step
        rows.append((cost(at + e)[1] - cost(at - e)[1]) / (2.0 * step))
    matrix = np.asarray(rows)
    values, vectors = la.eigh(0.5 * (matrix + matrix.T))
    return np.asarray((vectors * np.maximum(values, 1e-3 * values.max())) @ vectors.T)
