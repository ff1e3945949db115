"""The posterior of a linear estimate whatever its gain is: ensembles, trends, regions in the place of cells.

Where ``x_a = x_b + K d`` with a K that is not the best one, the error of x_a is that of Joseph's form,
``P = (I - K H) B (I - K H)' + K R K'`` (Bucy & Joseph 1968; Rodgers 2000, Inverse Methods for Atmospheric Sounding,
eq. 3.31): it holds for any K, so a test of an inventory made from it keeps its rates however good the estimate is.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt
import scipy.sparse as sp

from inversion.problem.innovation import strips
from inversion.problem.posterior import Aggregate, Posterior
from obsnet.errors import SolverError
from obsnet.typing import Floats

__all__ = ["Gain", "GainedPosterior"]

EXACT = 4000  # observations up to which every one's own influence is computed; beyond, they are sampled
PROBES = 256


class Gain(Protocol):
    """A linear map from observations to the state."""

    def forward(self, v: Floats) -> Floats:
        """Return ``K v``, (n_obs, k) to (n_state, k)."""

    def transposed(self, v: Floats) -> Floats:
        """Return ``K' v``, (n_state, k) to (n_obs, k)."""


@dataclass(frozen=True, eq=False)
class GainedPosterior(Posterior):
    """Posterior of a linear estimate with any gain; see `Posterior`.

    Parameters
    ----------
    applied : Gain
        K. `system` is that of the problem: chi-square and evidence say how the errors fit, whatever the gain.
    """

    applied: Gain = field(kw_only=True, repr=False)

    def gain(self, v: npt.ArrayLike) -> Floats:
        """Return ``K v``, see `Posterior.gain`."""
        array = np.asarray(v, dtype=np.float64)
        return self.applied.forward(array[:, None])[:, 0] if array.ndim == 1 else self.applied.forward(array)

    def gain_rows(self, weights: Any) -> Floats:
        """Return ``G K``, see `Posterior.gain_rows`."""
        g = self._weights(weights)
        out = np.empty((g.shape[0], self.problem.n_obs))
        for part in strips(g.shape[0], self.problem.n_state, what="blocks of totals, their gain"):
            rows = g[part]
            dense = rows.toarray() if sp.issparse(rows) else rows
            out[part] = self.applied.transposed(np.ascontiguousarray(dense.T)).T
        return out

    def totals_gain(self, weights: Any, seen: Floats) -> Floats:
        """Return ``K' G'``, see `Posterior.totals_gain`."""
        return np.ascontiguousarray(self.gain_rows(weights).T)

    def true_error(self, weights: Any) -> Floats:
        """Return ``G P G'`` of Joseph's form, shape (p, p): the error of the totals if B and R are right."""
        g, problem = self._weights(weights), self.problem
        rows = np.ascontiguousarray(self.gain_rows(g).T)
        covariance = rows.T @ problem.observation_error.matmul(rows)
        for part in strips(g.shape[0], problem.n_state, what="blocks of totals, their error"):
            these = g[part]
            left = np.ascontiguousarray((these.toarray() if sp.issparse(these) else these).T, np.float64)
            left = left - problem.adjoint(np.ascontiguousarray(rows[:, part]))
            moved = problem.prior_error.matmul(left)
            covariance[:, part] += g @ moved - rows.T @ problem.forward(moved)
        return 0.5 * (covariance + covariance.T)

    def covariance(self, vectors: npt.ArrayLike) -> Floats:
        """Return ``P v`` of Joseph's form for vectors (n_state,) or (n_state, k)."""
        array, problem = np.asarray(vectors, dtype=np.float64), self.problem
        v = array[:, None] if array.ndim == 1 else array
        u = self.applied.transposed(np.ascontiguousarray(v))
        t = problem.prior_error.matmul(v - problem.adjoint(u))
        found = t - self.applied.forward(problem.forward(t) - problem.observation_error.matmul(u))
        return found[:, 0] if array.ndim == 1 else found

    def aggregate(self, weights: Any) -> Aggregate:
        """Return totals and the covariance of their error, `true_error`."""
        g = self._weights(weights)
        return Aggregate(np.asarray(g @ self.mean), self.true_error(g))

    @cached_property
    def _seen(self) -> tuple[Floats, Floats]:
        """Diagonals of ``H K`` (n_obs,) and of ``K H`` (n_state,); sampled beyond `EXACT` observations."""
        problem, n = self.problem, self.problem.n_obs
        of_obs, of_state = np.zeros(n), np.zeros(problem.n_state)
        sampled = n > EXACT
        count = PROBES if sampled else n
        rng = np.random.default_rng(0)
        for part in strips(count, problem.n_state, 256, "blocks of observations, what each told"):
            width = part.stop - part.start
            unit = np.zeros((n, width))
            if sampled:  # signs: their products with themselves are 1, with others 0 on average
                unit[:] = rng.choice((-1.0, 1.0), unit.shape)
            else:
                unit[np.arange(part.start, part.stop), np.arange(width)] = 1.0
            answer = self.applied.forward(unit)
            of_state += np.einsum("ij,ij->i", problem.adjoint(unit), answer)
            of_obs += np.einsum("ij,ij->i", unit, problem.forward(answer))
        return (of_obs / count, of_state / count) if sampled else (of_obs, of_state)

    @cached_property
    def influence(self) -> Floats:
        """Self-sensitivity of each observation, the diagonal of ``H K``; sums to `dofs`."""
        return self._seen[0]

    @cached_property
    def dofs(self) -> float:
        """Degrees of freedom for signal of this estimate, tr K H."""
        return float(self._seen[1].sum())

    def dofs_by_block(self) -> dict[str, float]:
        """Return the degrees of freedom for signal of each block of the state; they sum to `dofs`."""
        state = self.problem.state
        if state is None:
            raise SolverError("degrees of freedom by block need a state")
        return {name: float(self._seen[1][state.span(name)].sum()) for name in state.names}
