"""Solving for means over regions, with the error of what regions cannot express kept.

With a restriction L (regions by cells) the unknowns are ``z = L x``. Given z, the expected fluxes are ``x_b + G z``
with ``G = B L' C^-1`` and ``C = L B L'``; what is left over has covariance ``B - G C G'`` and is independent of z
(Bocquet, Wu & Chevallier 2011, Q. J. R. Meteorol. Soc. 137, 1340, doi:10.1002/qj.837). The observations see it as a
further error, the aggregation error ``H (B - G C G') H'``. So ``H B H' + R`` stays what it was, and so do likelihood,
chi-square, and the posterior of every total that the regions express. Other totals and gridded fluxes are smoother, and
their uncertainty is that of this coarser estimate; where a region is half observed it may be a little larger than the
prior's.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt
import scipy.linalg as la
import scipy.sparse as sp

from inversion.operators.covariance import (
    BlockDiagonalCovariance,
    Covariance,
    DenseCovariance,
    DiagonalCovariance,
    project,
)
from inversion.problem.basis import block_error
from inversion.problem.posterior import Aggregate, LeftOut, Posterior
from inversion.problem.problem import Problem
from inversion.problem.state import State, StateBlock
from obsnet.errors import ResourceError, SolverError
from obsnet.provenance import available_memory
from obsnet.typing import Floats

__all__ = ["ReducedPosterior", "Reduction", "reduce_problem"]

_BLOCK = 512


@dataclass(frozen=True, eq=False)
class Reduction:
    """A problem in cells and the same in regions.

    Attributes
    ----------
    full, problem : Problem
        In cells, and in regions with aggregation error.
    restriction : csr_array, shape (regions, n_state)
        L; rows that add nothing to the others are left out.
    unresolved : float
        Share of the prior's variance in the observations that the regions cannot express, 0 to 1.
    """

    full: Problem
    problem: Problem
    restriction: sp.csr_array
    unresolved: float

    def prolong(self, z: Floats) -> Floats:
        """Return ``G z``, the expected change of the fluxes, shape (n_state, k)."""
        inner = self.problem.prior_error.solve(z)
        return self.full.prior_error.matmul(np.ascontiguousarray(self.restriction.T @ inner))

    def prolong_transposed(self, v: Floats) -> Floats:
        """Return ``G' v``, shape (regions, k)."""
        return self.problem.prior_error.solve(np.asarray(self.restriction @ self.full.prior_error.matmul(v)))

    def solve(self, solver: Callable[[Problem], Posterior]) -> ReducedPosterior:
        """Solve for the regions and return the posterior of the cells.

        Parameters
        ----------
        solver : callable
            Takes the reduced problem: any linear method, see `inversion.solve`.
        """
        inner = solver(self.problem)
        mean = self.full.prior + self.prolong(inner.mean[:, None])[:, 0]
        about = {"regions": self.problem.n_state, "unresolved": self.unresolved}
        system = ReducedSystem(self, inner)
        return ReducedPosterior(self.full, mean, system, inner.method, {**inner.stopping, **about})


def reduce_problem(
    problem: Problem, restriction: Mapping[str, Any], *, aggregation_error: str = "full"
) -> Reduction:
    """Write a problem in means over regions.

    Parameters
    ----------
    problem : Problem
        With a state and a prior error of the same blocks.
    restriction : mapping of str to sparse, shape (regions, block size)
        L of some blocks; the others stay as they are.
    aggregation_error : {"full", "diagonal", "none"}
        How much of the aggregation error the solution knows: all of it (of size n_obs squared), its variances (for many
        observations), or nothing, as other systems do. The posterior's covariance contains all of it in any case.

    Raises
    ------
    SolverError
        A restriction of the wrong shape, or of which nothing is uncertain.
    ResourceError
        More observations than the full aggregation error has memory for.
    """
    state, n = problem.state, problem.n_obs
    if state is None:
        raise SolverError("a basis needs a state and a prior error of the same blocks")
    if aggregation_error == "full" and 40.0 * n * n > 0.8 * available_memory():
        raise ResourceError(
            f"the aggregation error of {n} observations takes {40e-9 * n * n:.1f} GB; "
            "take invert.basis.aggregation_error = 'diagonal', which keeps its variances"
        )
    rows, errors, blocks = [], [], []
    for block in state.blocks:
        error = block_error(problem, block.name)
        if block.name not in restriction:
            rows.append(sp.eye_array(block.size, format="csr"))
            errors.append(error)
            blocks.append(block)
            continue
        part, reduced = _restrict(block, sp.csr_array(restriction[block.name]), error)
        rows.append(part)
        errors.append(reduced)
        labels = {"region": np.arange(part.shape[0])}
        blocks.append(StateBlock(block.name, block.kind, ("region",), labels, block.unit))
    whole = sp.csr_array(sp.block_diag(rows, format="csr"))
    core = BlockDiagonalCovariance(errors)
    seen = np.empty((n, whole.shape[0]))
    for start in range(0, whole.shape[0], _BLOCK):
        unit = np.zeros((whole.shape[0], min(_BLOCK, whole.shape[0] - start)))
        unit[start + np.arange(unit.shape[1]), np.arange(unit.shape[1])] = 1.0
        moved = np.asarray(whole.T @ core.solve(unit))
        seen[:, start : start + unit.shape[1]] = problem.forward(problem.prior_error.matmul(moved))
    noise, unresolved = _aggregation(problem, seen, core, aggregation_error)
    reduced_problem = problem.with_(
        jacobian=seen,
        prior=np.zeros(whole.shape[0]),
        prior_error=core,
        observation_error=noise,
        background=problem.simulate(problem.prior),
        state=State(blocks),
    )
    return Reduction(problem, reduced_problem, whole, unresolved)


def _restrict(block: StateBlock, rows: sp.csr_array, error: Covariance) -> tuple[sp.csr_array, Covariance]:
    """Return the rows of L that are uncertain and independent, and C."""
    if rows.shape[1] != block.size:
        raise SolverError(
            f"the basis of {block.name!r} has {rows.shape[1]} columns where {block.size} are needed"
        )
    c = np.asarray(rows @ error.matmul(np.ascontiguousarray(rows.toarray().T)))
    spread = np.sqrt(np.maximum(np.diagonal(c), 0.0))
    known = spread > 1e-9 * spread.max(initial=0.0)
    if not known.any():
        raise SolverError(f"nothing of {block.name!r} is uncertain on its basis")
    index = np.flatnonzero(known)
    scaled = c[np.ix_(index, index)] / np.outer(spread[index], spread[index])
    # a pivoted factor finds rows that follow from others: regions that share their only cell
    _, order, rank, _ = la.lapack.dpstrf(0.5 * (scaled + scaled.T), tol=1e-8, lower=1)
    index = np.sort(index[order[:rank] - 1])
    kept = c[np.ix_(index, index)]
    kept = 0.5 * (kept + kept.T)
    return sp.csr_array(rows[index]), (
        DenseCovariance(kept, f"the prior error of {block.name!r} on its basis")
        if index.size > 1
        else DiagonalCovariance(kept.ravel())
    )


def _aggregation(problem: Problem, seen: Floats, core: Covariance, keep: str) -> tuple[Covariance, float]:
    """Return the observation error with as much aggregation error as wanted, and the share unresolved."""
    own = problem.observation_error
    expressed = seen @ core.matmul(np.ascontiguousarray(seen.T)) if keep == "full" else None
    if expressed is not None:
        rest = project(problem.jacobian, problem.prior_error)
        total = float(np.trace(rest))
        rest -= expressed
        unresolved = float(np.trace(rest)) / total if total else 0.0
        rest += own.dense()
        return DenseCovariance(
            0.5 * (rest + rest.T), "the observation error with aggregation error"
        ), unresolved
    variance = np.empty(problem.n_obs)
    for span, block in problem.row_blocks(_BLOCK):
        strip = block.toarray() if sp.issparse(block) else np.asarray(block, dtype=np.float64)
        moved = problem.prior_error.matmul(np.ascontiguousarray(strip.T, dtype=np.float64))
        variance[span] = np.einsum("ij,ji->i", strip, moved)
    rest = np.maximum(variance - np.einsum("ij,ji->i", seen, core.matmul(np.ascontiguousarray(seen.T))), 0.0)
    unresolved = float(rest.sum() / variance.sum()) if variance.any() else 0.0
    if keep == "none":
        return own, unresolved
    if isinstance(own, DiagonalCovariance):
        return DiagonalCovariance(own.diagonal() + rest), unresolved
    raise SolverError(
        "aggregation_error = 'diagonal' needs observation errors that are independent; take 'full'"
    )


class ReducedSystem:
    """`System` of the cells where regions were solved for.

    Parameters
    ----------
    reduction : Reduction
    inner : Posterior
        Of the regions.
    """

    def __init__(self, reduction: Reduction, inner: Posterior) -> None:
        self.reduction, self.inner = reduction, inner

    def solve(self, v: Floats) -> Floats:
        """Return ``S^-1 v``."""
        return self.inner.system.solve(v)

    def gain(self, v: Floats) -> Floats:
        """Return ``K v`` with ``K = G K_z``."""
        return self.reduction.prolong(self.inner.gain(v))

    def gain_transposed(self, v: Floats) -> Floats:
        """Return ``K' v``."""
        return self.inner.gain_rows(self.reduction.prolong_transposed(v).T).T

    def covariance(self, v: Floats) -> Floats:
        """Return ``P v`` with ``P = (I - K H) B (I - K H)' + K R K'``, the error of x_a whatever the gain is."""
        full = self.reduction.full
        u = self.gain_transposed(v)
        t = full.prior_error.matmul(v - full.adjoint(u))
        return t - self.gain(full.forward(t) - full.observation_error.matmul(u))

    def variance(self) -> Floats:
        """Return the diagonal of P."""
        # of P = B - G W H B - (G W H B)' + G W S W' G', with K = G W: column blocks of the width of the regions
        full, count = self.reduction.full, self.reduction.problem.n_state
        rows = np.ascontiguousarray(self.inner.gain_rows(np.eye(count)).T)
        moved = full.prior_error.matmul(full.adjoint(rows))
        spread = rows.T @ (full.forward(moved) + full.observation_error.matmul(rows))
        moved -= 0.5 * self.reduction.prolong(spread)
        result = full.prior_error.diagonal().copy()
        for start in range(0, count, _BLOCK):
            unit = np.zeros((count, min(_BLOCK, count - start)))
            unit[start + np.arange(unit.shape[1]), np.arange(unit.shape[1])] = 1.0
            result -= 2.0 * np.einsum(
                "ij,ij->i", self.reduction.prolong(unit), moved[:, start : start + _BLOCK]
            )
        return np.maximum(result, 0.0)

    def dofs(self) -> float:
        """Return tr(K H)."""
        return self.inner.dofs

    def solve_diagonal(self) -> Floats:
        """Return the diagonal of ``S^-1``."""
        return self.inner.system.solve_diagonal()

    def logdet(self) -> float:
        """Return ln det S."""
        return self.inner.system.logdet()


@dataclass(frozen=True, eq=False)
class ReducedPosterior(Posterior):
    """Posterior of the cells where regions were solved for; see `Posterior`."""

    system: ReducedSystem = field(repr=False)

    def gain(self, v: npt.ArrayLike) -> Floats:
        """Return ``K v``, see `Posterior.gain`."""
        array = np.asarray(v, dtype=np.float64)
        return self.system.gain(array[:, None])[:, 0] if array.ndim == 1 else self.system.gain(array)

    def gain_rows(self, weights: Any) -> Floats:
        """Return ``G K``, see `Posterior.gain_rows`."""
        g = self._weights(weights)
        return self.system.gain_transposed(np.ascontiguousarray((g.toarray() if sp.issparse(g) else g).T)).T

    def totals_gain(self, weights: Any, seen: Floats) -> Floats:
        """Return ``K' G'``, see `Posterior.totals_gain`."""
        return np.ascontiguousarray(self.gain_rows(weights).T)

    @cached_property
    def influence(self) -> Floats:
        """Self-sensitivity of each observation, the diagonal of ``H K``."""
        return self.system.inner.influence

    def dofs_by_block(self) -> dict[str, float]:
        """Return the degrees of freedom for signal of each block of the state."""
        return self.system.inner.dofs_by_block()

    def leave_out(self, group: str, weights: Any = None) -> list[LeftOut]:
        """Predict each group of observations from all others, see `Posterior.leave_out`."""
        found = super().leave_out(group)
        if weights is None:
            return found
        g, rows = self._weights(weights), self.gain_rows(weights)
        dense, labels, problem = (
            np.asarray(g.toarray() if sp.issparse(g) else g),
            self.problem.labels(group),
            self.problem,
        )
        mean, out = dense @ self.mean, []
        for part in found:
            b = np.flatnonzero(labels.astype(str) == part.label)
            unit = np.zeros((problem.n_obs, b.size))
            unit[b, np.arange(b.size)] = 1.0
            # the gain without the group, and with it the error of the totals
            other = rows - rows[:, b] @ part.covariance @ self.system.solve(unit).T
            rest = dense.T - problem.adjoint(np.ascontiguousarray(other.T))
            covariance = rest.T @ problem.prior_error.matmul(rest)
            covariance += other @ problem.observation_error.matmul(np.ascontiguousarray(other.T))
            totals = Aggregate(mean - rows[:, b] @ part.residual, 0.5 * (covariance + covariance.T))
            out.append(part._replace(totals=totals))
        return out
