"""A posterior known by draws: true means, standard deviations, quantiles and totals of what is not normal.

What an inventory is tested with (the averaging kernel and the parts of the error) is that of the linear problem at the
answer; the means and covariances of the totals are those of the draws. How much the draws have told is counted
(effective sample size, split R-hat), and too little is refused.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, ClassVar

import numpy as np
import scipy.sparse as sp

from inversion.problem.posterior import Aggregate, Posterior
from inversion.problem.problem import Problem
from inversion.solvers.chains import effective_size, split_rhat
from obsnet.errors import SolverError
from obsnet.typing import Floats

__all__ = ["QUANTILES", "Recorder", "SampledPosterior"]

QUANTILES = (0.025, 0.16, 0.5, 0.84, 0.975)
KEPT = 400  # draws of the whole state that are kept, evenly over the chains
MIXED = 1.05  # split R-hat above which chains do not agree


@dataclass(frozen=True, eq=False)
class SampledPosterior(Posterior):
    """Posterior known by draws, over the linear posterior at its answer; see `Posterior`.

    Attributes
    ----------
    spread : ndarray, shape (n_state,)
        Variance of each element over all draws.
    states : ndarray of float32, shape (kept, n_state)
        Some of the draws.
    weights : sparse or ndarray or None
        Totals whose every draw was kept.
    totals : ndarray, shape (draws, p)
        Their draws.
    """

    spread: Floats = field(default_factory=lambda: np.zeros(0), repr=False)
    states: Any = field(default=None, repr=False)
    weights: Any = field(default=None, repr=False)
    totals: Floats = field(default_factory=lambda: np.zeros((0, 0)), repr=False)
    linear: ClassVar[bool] = False

    def variance(self) -> Floats:
        """Return the variance of each element over the draws."""
        return self.spread

    def aggregate(self, weights: Any) -> Aggregate:
        """Return mean and covariance of totals over the draws; all of them where these totals were kept."""
        drawn = self._drawn(weights)
        covariance = np.atleast_2d(np.cov(drawn, rowvar=False))
        mean = (
            np.asarray(self._weights(weights) @ self.mean) if drawn is not self.totals else drawn.mean(axis=0)
        )
        return Aggregate(mean, covariance)

    def quantiles(self, weights: Any, at: tuple[float, ...] = QUANTILES) -> Floats:
        """Return quantiles of totals over the draws, shape (len(at), p)."""
        return np.quantile(self._drawn(weights), at, axis=0)

    @cached_property
    def state_quantiles(self) -> Floats:
        """Quantiles of each element, from the draws that were kept, shape (5, n_state)."""
        return np.quantile(self.states, QUANTILES, axis=0)

    def _drawn(self, weights: Any) -> Floats:
        g = self._weights(weights)
        if self.weights is not None and _same(g, self._weights(self.weights)):
            return self.totals
        return np.asarray((g @ self.states.T.astype(np.float64)).T)


def _same(a: Any, b: Any) -> bool:
    if a.shape != b.shape or sp.issparse(a) != sp.issparse(b):
        return False
    return (abs(a - b)).nnz == 0 if sp.issparse(a) else bool(np.array_equal(a, b))


class Recorder:
    """Takes draws one by one and keeps what a posterior needs of them.

    Parameters
    ----------
    problem : Problem
    weights : array_like or sparse, shape (p, n_state), or None
        Totals whose every draw is kept.
    chains : int
    least : float
        Fewest independent draws that any total may be worth.
    """

    def __init__(self, problem: Problem, weights: Any, chains: int, least: float) -> None:
        self.problem, self.weights, self.least = problem, weights, least
        rows = sp.csr_array(np.ones((1, problem.n_state)))
        self._all = rows if weights is None else sp.vstack([sp.csr_array(weights), rows], format="csr")
        self._count, self._mean, self._square = 0, np.zeros(problem.n_state), np.zeros(problem.n_state)
        self._chains: list[list[Floats]] = [[] for _ in range(chains)]
        self._states: list[Any] = []
        self._every = 1

    def add(self, chain: int, x: Floats) -> None:
        """Take a draw of the whole state (Welford's mean and variance)."""
        self._count += 1
        step = x - self._mean
        self._mean = self._mean + step / self._count
        self._square += step * (x - self._mean)
        self._chains[chain].append(np.asarray(self._all @ x))
        if self._count % self._every == 0:
            self._states.append(x.astype(np.float32))
            if len(self._states) >= 2 * KEPT:
                self._states, self._every = self._states[1::2], 2 * self._every

    def finish(self, linear: Posterior, method: str, stopping: dict[str, Any]) -> SampledPosterior:
        """Return the posterior, or refuse draws that have told too little.

        Raises
        ------
        SolverError
            Chains that do not agree, or a total worth fewer independent draws than asked for.
        """
        drawn = np.stack([np.stack(c) for c in self._chains])  # chain, draw, total
        sizes, agreement = [], []
        for k in range(drawn.shape[2]):
            if np.ptp(drawn[:, :, k]) > 0.0:
                sizes.append(effective_size(drawn[:, :, k]))
                agreement.append(split_rhat(drawn[:, :, k]))
        size, worst = min(sizes, default=float(self._count)), max(agreement, default=1.0)
        if size < self.least or worst > MIXED:
            raise SolverError(
                f"{method}: {self._count} draws are worth {size:.0f} independent ones of the slowest total (at least "
                f"{self.least:.0f} are asked for) and chains disagree by R-hat {worst:.3f} (at most {MIXED:g}); "
                "raise draws"
            )
        more = stopping | {"converged": True, "effective_draws": float(size), "r_hat": float(worst)}
        flat = drawn.reshape(-1, drawn.shape[2])
        return SampledPosterior(
            linear.problem,
            self._mean,
            linear.system,
            method,
            more,
            spread=self._square / max(self._count - 1, 1),
            states=np.stack(self._states),
            weights=self.weights,
            totals=flat[:, :-1] if self.weights is not None else flat,
        )
