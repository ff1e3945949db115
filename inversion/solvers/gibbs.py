"""Hierarchical inversion: sizes and lengths of the errors are sampled, the state integrated out.

The prior error of each component b is ``tau_b^2 B_b``, the observation error of each group g is
``s_g^2 R_g``, and B may be one of several alternatives a, for instance a grid of correlation lengths. With
``B = L L'``, T the factors tau on the columns of L, and ``M_g = L' H_g' R_g^-1 H_g L`` computed once, the
density of the observations without the state is::

    -2 ln p(y | a, tau, s) = sum_g [n_g ln s_g^2 + ln det R_g + d_g' R_g^-1 d_g / s_g^2] + ln det A - u' A^-1 u
    A = I + T (sum_g M_g / s_g^2) T,     u = T sum_g L' H_g' R_g^-1 d_g / s_g^2

so a draw costs one Cholesky factor of the size of the state, whatever the number of observations. The
parameters (logarithms) and the alternative are drawn together by independence Metropolis steps from a mixture
of t-distributions about the mode of each alternative (Tierney 1994, Ann. Stat. 22, 1701,
doi:10.1214/aos/1176325750): proposals do not depend on the chain, so they are computed many at a time, and
draws are nearly independent. The state follows from its normal distribution given each draw, the last step
of a collapsed Gibbs sampler (Liu 1994, doi:10.2307/2290921).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property, partial
from typing import Any

import numpy as np
import numpy.typing as npt
import scipy.linalg as la
import scipy.sparse as sp

from inversion.covariance import BlockDiagonalCovariance, Covariance
from inversion.posterior import Aggregate
from inversion.problem import Problem
from inversion.solvers.chains import effective_size, split_rhat
from inversion.solvers.split import split_error
from obsnet.errors import ConfigError, ResourceError, SolverError

__all__ = ["Hierarchical", "Reduction", "solve_gibbs"]

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]
_LARGEST = 2000  # state elements
_TAIL = 20.0  # degrees of freedom of the proposals' t-distribution; the target's tails are those of a normal
_FLOOR = 0.02  # share of the proposals given to all alternatives alike


@dataclass(frozen=True, eq=False)
class Reduction:
    """All that the likelihood needs of the observations, for each alternative prior.

    Parameters
    ----------
    priors : tuple of Covariance
        The alternatives.
    normal : tuple of ndarray, shape (groups, q * q)
        M_g, for each alternative; q columns of L.
    right : tuple of ndarray, shape (groups, q)
        ``L' H_g' R_g^-1 d_g``.
    block : tuple of ndarray of int, shape (q,)
        Component of each column of L.
    square, count, logdet : ndarray, shape (groups,)
        ``d_g' R_g^-1 d_g``, observations, ``ln det R_g``.
    components : int
        Number of factors tau.
    """

    priors: tuple[Covariance, ...]
    normal: tuple[Floats, ...]
    right: tuple[Floats, ...]
    block: tuple[Ints, ...]
    square: Floats
    count: Floats
    logdet: Floats
    components: int

    @property
    def size(self) -> int:
        """Number of parameters: tau of each component, then s of each group."""
        return self.components + self.count.size

    def system(self, alternative: int, theta: Floats) -> tuple[Floats, Floats, Floats]:
        """Return A (n, q, q), u (n, q) and T (n, q) of parameters theta (n, size)."""
        scale = np.exp(theta[:, : self.components])[:, self.block[alternative]]
        weight = np.exp(-2.0 * theta[:, self.components :])
        q = scale.shape[1]
        a = (weight @ self.normal[alternative]).reshape(-1, q, q)
        a *= scale[:, :, None]
        a *= scale[:, None, :]
        a[:, np.arange(q), np.arange(q)] += 1.0
        return a, (weight @ self.right[alternative]) * scale, scale

    def log_likelihood(self, alternative: int, theta: Floats) -> Floats:
        """Return ``ln p(y | a, theta)`` of each row of theta, shape (n,)."""
        out = np.empty(len(theta))
        step = max(1, int(4e6) // max(self.right[alternative].shape[1], 1) ** 2)
        for start in range(0, len(theta), step):
            part = theta[start : start + step]
            a, u, _ = self.system(alternative, part)
            n, q = u.shape
            # One factor of A bordered by u: its last row is the root of A times the inverse of A times u.
            bordered = np.empty((n, q + 1, q + 1))
            bordered[:, :q, :q] = a
            bordered[:, q, :q] = bordered[:, :q, q] = u
            bordered[:, q, q] = 1.0 + np.einsum("ij,ij->i", u, u)
            root = np.linalg.cholesky(bordered)
            inner = 2.0 * np.log(np.einsum("ijj->ij", root)[:, :q]).sum(axis=1)
            quadratic = np.einsum("ij,ij->i", root[:, q, :q], root[:, q, :q])
            out[start : start + step] = -0.5 * (self._outer(part) + inner - quadratic)
        return out

    def _outer(self, theta: Floats) -> Floats:
        logs = 2.0 * theta[:, self.components :]
        known = self.logdet.sum() + self.count.sum() * np.log(2.0 * np.pi)
        return np.asarray(logs @ self.count + np.exp(-logs) @ self.square + known)

    def gradient(self, alternative: int, theta: Floats) -> tuple[float, Floats]:
        """Return ``ln p(y | a, theta)`` of one theta and its gradient."""
        a, u, scale = (x[0] for x in self.system(alternative, theta[None]))
        q, block = u.size, self.block[alternative]
        root = la.cholesky(a, lower=True, check_finite=False)
        inverse = la.cho_solve((root, True), np.eye(q), check_finite=False)
        half = la.solve_triangular(root, u, lower=True, check_finite=False)
        v = la.solve_triangular(root, half, lower=True, trans=1, check_finite=False)
        inner = 2.0 * float(np.log(np.diagonal(root)).sum()) - float(half @ half)
        value = -0.5 * (float(self._outer(theta[None])[0]) + inner)
        weight = np.exp(-2.0 * theta[self.components :])
        spread = (np.outer(scale, scale) * inverse + np.outer(scale * v, scale * v)).ravel()
        of_groups = weight * (
            self.normal[alternative] @ spread + self.square - 2.0 * self.right[alternative] @ (scale * v)
        )
        of_components = np.bincount(block, v**2 - 1.0 + np.diagonal(inverse), minlength=self.components)
        return value, np.concatenate([of_components, of_groups - self.count])


def reduce_problem(problem: Problem, priors: tuple[Covariance, ...], labels: npt.NDArray[Any]) -> Reduction:
    """Compute what the likelihood needs.

    Parameters
    ----------
    problem : Problem
        Its observation error, background and prior mean.
    priors : tuple of Covariance
        Alternatives for its prior error.
    labels : ndarray, shape (n_obs,)
        Groups of observations whose error has one size.

    Raises
    ------
    SolverError
        Errors correlated between groups.
    """
    parts = split_error(problem.observation_error, labels, "group")
    rows = {k: problem.select(r) for k, r, _ in parts}
    innovation = {k: part.innovation for k, part in rows.items()}
    normal, right, block = [], [], []
    for prior in priors:
        q = prior.factor_size
        root = prior.factor(np.eye(q))
        m, b = np.empty((len(parts), q * q)), np.empty((len(parts), q))
        for i, (label, _, error) in enumerate(parts):
            seen = rows[label].forward(root)
            white = error.solve(seen)
            m[i], b[i] = (seen.T @ white).ravel(), white.T @ innovation[label]
        normal.append(m)
        right.append(b)
        sizes = [p.factor_size for p in prior.blocks] if isinstance(prior, BlockDiagonalCovariance) else [q]
        block.append(np.repeat(np.arange(len(sizes)), sizes))
    return Reduction(
        priors,
        tuple(normal),
        tuple(right),
        tuple(block),
        np.array([innovation[k] @ e.solve(innovation[k]) for k, _, e in parts]),
        np.array([float(r.size) for _, r, _ in parts]),
        np.array([e.logdet() for _, _, e in parts]),
        int(block[0][-1]) + 1,
    )


@dataclass(frozen=True, eq=False)
class Hierarchical:
    """Draws of the sizes and lengths of the errors, and the state averaged over them.

    Parameters
    ----------
    problem : Problem
        What was solved; its errors are those of factor 1.
    reduction : Reduction
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
    reduction: Reduction
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
    def _conditionals(self) -> list[tuple[int, Floats, Floats]]:
        """Return (alternative, mean, covariance) of chi at evenly spaced draws; the state is ``x_b + L chi``."""
        theta = np.log(self.draws.reshape(-1, len(self.names)))
        which = self.alternative.ravel()
        found = []
        for i in np.unique(np.linspace(0, len(theta) - 1, self.states).astype(np.int64)):
            a, u, scale = (x[0] for x in self.reduction.system(int(which[i]), theta[i : i + 1]))
            inverse = la.cho_solve((la.cholesky(a, lower=True), True), np.diag(scale))
            found.append((int(which[i]), scale * la.solve(a, u, assume_a="pos"), scale[:, None] * inverse))
        return found

    @cached_property
    def mean(self) -> Floats:
        """Posterior mean of the state, shape (n_state,)."""
        return np.asarray(self.problem.prior) + self._states.mean(axis=1)

    @cached_property
    def _states(self) -> Floats:
        """Conditional means minus the prior at the kept draws, shape (n_state, states)."""
        columns = [self.reduction.priors[k].factor(chi) for k, chi, _ in self._conditionals]
        return np.stack(columns, axis=1)

    def variance(self) -> Floats:
        """Return the posterior variance of each state element: within draws plus between them."""
        total = np.zeros(self.problem.n_state)
        for k, prior in enumerate(self.reduction.priors):
            covariances = [c for which, _, c in self._conditionals if which == k]
            if covariances:
                root = prior.factor(la.cholesky(np.sum(covariances, axis=0), lower=True))
                total += np.einsum("ij,ij->i", root, root)
        return total / len(self._conditionals) + self._states.var(axis=1, ddof=1)

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
        rows = [prior.factor_transposed(np.ascontiguousarray(g.T)).T for prior in self.reduction.priors]
        inside = sum(rows[k] @ c @ rows[k].T for k, _, c in self._conditionals) / len(self._conditionals)
        means = g @ self._states
        covariance = inside + np.atleast_2d(np.cov(means))
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
    reduction = reduce_problem(problem, priors, group)
    names = (
        *(f"prior {b}" for b in _components(problem, reduction.components)),
        *(["error"] if errors_by is None else [f"error {k}" for k in np.unique(group)]),
    )
    proposal = _Proposal(reduction, spread)
    report(f"{len(names)} parameters, {len(priors)} alternatives; modes found")
    rng = np.random.default_rng(seed)
    count = chains * draws
    first = 20 + draws // 10  # dropped: a chain starts where its first proposal fell
    which, theta, target, weight = proposal.draw(chains * (first + draws), rng)
    taken = _independence(weight.reshape(chains, -1), rng.random((chains, first + draws)))
    acceptance = float(np.mean(np.diff(taken, axis=1) != 0))
    at = (taken + (first + draws) * np.arange(chains)[:, None])[:, first:]
    result = Hierarchical(
        problem,
        reduction,
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
            "fit the errors' sizes by maximum likelihood (inversion.hyperparameters)"
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
    reduction : Reduction
        The likelihood.
    spread : float
        Standard deviation of each parameter beforehand.
    """

    def __init__(self, reduction: Reduction, spread: float) -> None:
        from scipy.optimize import minimize

        self.reduction, self.precision = reduction, 1.0 / spread**2
        modes, roots, heights = [], [], []
        start = np.zeros(reduction.size)
        for k in range(len(reduction.priors)):
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
        value, slope = self.reduction.gradient(alternative, theta)
        return -value + 0.5 * self.precision * float(theta @ theta), self.precision * theta - slope

    def draw(self, count: int, rng: np.random.Generator) -> tuple[Ints, Floats, Floats, Floats]:
        """Return alternatives, parameters, ln target and ln(target / proposal) of `count` proposals."""
        d = self.modes.shape[1]
        which = rng.choice(self.share.size, count, p=self.share)
        normal, chi = rng.standard_normal((count, d)), rng.chisquare(_TAIL, count)
        z = normal * np.sqrt(_TAIL / chi)[:, None]
        theta = self.modes[which] + np.einsum("nij,nj->ni", self.roots[which], z)
        target = np.empty(count)
        for k in np.unique(which):
            at = which == k
            target[at] = self.reduction.log_likelihood(int(k), theta[at])
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
