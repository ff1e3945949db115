"""What the observations have taught: totals with their covariance, kernels, influence, leave-one-out.

No matrix of the state's size is made. Everything follows from one factorisation, behind the small interface
`System`: how to apply ``S^-1`` (S = H B H' + R) and the posterior covariance P.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, ClassVar, NamedTuple, Protocol

import numpy as np
import numpy.typing as npt
import scipy.linalg as la
import scipy.sparse as sp

from inversion.operators.covariance import BlockDiagonalCovariance, DiagonalCovariance
from inversion.problem.innovation import seen_totals, strips
from inversion.problem.problem import Problem
from obsnet.errors import SolverError
from obsnet.typing import Floats
from obsnet.work.progress import counted

__all__ = ["Aggregate", "LeftOut", "Posterior", "System"]


class System(Protocol):
    """A factorisation of one problem; each exact solver brings its own."""

    def solve(self, v: Floats) -> Floats:
        """Return ``S^-1 v`` for (n_obs,) or (n_obs, k)."""

    def covariance(self, v: Floats) -> Floats:
        """Return ``P v`` for (n_state, k)."""

    def variance(self) -> Floats:
        """Return the diagonal of P, shape (n_state,)."""

    def dofs(self) -> float:
        """Return tr(H B H' S^-1)."""

    def solve_diagonal(self) -> Floats:
        """Return the diagonal of ``S^-1``, shape (n_obs,)."""

    def logdet(self) -> float:
        """Return ln det S."""


class Aggregate(NamedTuple):
    """Linear totals of the state: means (p,) and full covariance (p, p)."""

    mean: Floats
    covariance: Floats


class LeftOut(NamedTuple):
    """One group of observations predicted by all others.

    Attributes
    ----------
    label : str
        The group.
    residual : ndarray, shape (rows,)
        Observation minus its prediction from the other observations.
    covariance : ndarray, shape (rows, rows)
        Covariance of that residual, observation error included.
    chi_square : float
        Residual' covariance^-1 residual / rows; about 1 where the errors are right.
    totals : Aggregate or None
        The weighted totals as they would be without the group.
    """

    label: str
    residual: Floats
    covariance: Floats
    chi_square: float
    totals: Aggregate | None


@dataclass(frozen=True, eq=False)
class Posterior:
    """Mean and covariance of the state after the observations, as an operator.

    Parameters
    ----------
    problem : Problem
        What was solved.
    mean : ndarray, shape (n_state,)
        x_a.
    system : System
        The factorisation.
    method : str
        Which solver made it.
    stopping : mapping
        Its stopping state: iterations, residual, tolerance, converged.

    Notes
    -----
    With d the innovation: ``x_a = x_b + B H' S^-1 d`` and ``P = B - B H' S^-1 H B``; averaging kernel
    ``A = B H' S^-1 H = I - P B^-1`` (Rodgers 2000, Inverse Methods for Atmospheric Sounding, ch. 2-3).
    """

    problem: Problem
    mean: Floats
    system: System = field(repr=False)
    method: str
    stopping: Mapping[str, Any] = field(default_factory=dict)
    linear: ClassVar[bool] = True  # its totals follow from the problem and the factorisation alone

    def variance(self) -> Floats:
        """Return the posterior variance of each state element, shape (n_state,)."""
        return self.system.variance()

    def prior_variance(self) -> Floats:
        """Return the prior variance of each state element, shape (n_state,)."""
        return self.problem.prior_error.diagonal()

    def covariance(self, vectors: npt.ArrayLike) -> Floats:
        """Return ``P v`` for vectors (n_state,) or (n_state, k)."""
        v = np.asarray(vectors, dtype=np.float64)
        return self.system.covariance(v[:, None])[:, 0] if v.ndim == 1 else self.system.covariance(v)

    def aggregate(self, weights: Any) -> Aggregate:
        """Return linear totals of the posterior and their full covariance, exactly.

        Parameters
        ----------
        weights : array_like or sparse, shape (p, n_state) or (n_state,)
            Each row one total.

        Returns
        -------
        Aggregate
            ``mean`` (p,) and ``covariance`` (p, p).
        """
        g = self._weights(weights)
        spread = getattr(self.system, "spread", None)
        if spread is not None:  # all totals together cost it less than one strip after the other
            return Aggregate(_dense(g @ self.mean), _symmetric(spread(g)))
        return Aggregate(_dense(g @ self.mean), _by_strips(g, self.system.covariance))

    def doubt(self, weights: Any) -> Floats | None:
        """Return what a test of totals must add because the answer is not that of the system's one gain, (p, p)."""
        return None

    def tested(self, weights: Any, gain: Floats) -> Floats | None:
        """Return the totals (p,) that a test takes where they are not the posterior's; `gain` is ``K' G'``."""
        return None

    def prior_aggregate(self, weights: Any) -> Aggregate:
        """Return the same totals of the prior and their covariance ``G B G'``."""
        g = self._weights(weights)
        return Aggregate(_dense(g @ self.problem.prior), _by_strips(g, self.problem.prior_error.matmul))

    def gain(self, v: npt.ArrayLike) -> Floats:
        """Return ``K v``, the change of the state for a change v of the observations, (n_obs, [k])."""
        return self.problem.prior_error.matmul(
            self.problem.adjoint(self.system.solve(np.asarray(v, np.float64)))
        )

    def gain_rows(self, weights: Any) -> Floats:
        """Return ``G K``, what each observation does to each total, shape (p, n_obs)."""
        return self.system.solve(seen_totals(self.problem, self._weights(weights))[0]).T

    def totals_gain(self, weights: Any, seen: Floats) -> Floats:
        """Return ``K' G'`` (n_obs, p), from ``H B G'`` where that helps, as closely as a covariance needs it.

        An iterative solver may stop earlier here than in `gain_rows`; what follows must be of second order in that.
        """
        return getattr(self.system, "solve_totals", self.system.solve)(seen)

    def averaging_kernel(self, weights: Any) -> Floats:
        """Return ``G A``, how each total answers to each true state element, shape (p, n_state)."""
        return self.problem.adjoint(self.gain_rows(weights).T).T

    def noise_covariance(self, weights: Any) -> Floats:
        """Return ``G K R K' G'``, the part of the totals' error that comes from the observations, (p, p)."""
        rows = self.gain_rows(weights)
        return _symmetric(rows @ self.problem.observation_error.matmul(rows.T))

    @cached_property
    def cost(self) -> float:
        """Twice the cost function at its minimum, ``2 J(x_a) = d' S^-1 d``."""
        d = self.problem.innovation
        return float(d @ self.system.solve(d))

    @property
    def chi_square(self) -> float:
        """Innovation chi-square per observation, ``d' S^-1 d / n_obs``.

        It is 1 ± sqrt(2 / n_obs) where the errors are right.
        """
        return self.cost / self.problem.n_obs

    @cached_property
    def dofs(self) -> float:
        """Degrees of freedom for signal, tr A: how many numbers the observations determine."""
        return float(self.system.dofs())

    @property
    def factorised(self) -> bool:
        """Whether S was factorised, so that ln det S and the diagonal of ``S^-1`` are exact; cg samples them."""
        return bool(getattr(self.system, "factorised", True))

    @property
    def log_evidence(self) -> float:
        """Log marginal likelihood of the observations, ``-(d' S^-1 d + ln det S + n ln 2 pi) / 2``."""
        return -0.5 * (self.cost + self.system.logdet() + self.problem.n_obs * float(np.log(2.0 * np.pi)))

    @cached_property
    def residual(self) -> Floats:
        """Observation minus posterior simulation, shape (n_obs,)."""
        return np.asarray(self.problem.observations) - self.problem.simulate(self.mean)

    @cached_property
    def influence(self) -> Floats:
        """Self-sensitivity of each observation, the diagonal of ``H K``; sums to `dofs`.

        Notes
        -----
        Cardinali et al. (2004), Q. J. R. Meteorol. Soc. 130, 2767, doi:10.1256/qj.03.205 (there transposed).
        For an observation error with correlations the diagonal is computed from ``I - R S^-1``.
        """
        error = self.problem.observation_error
        if isinstance(error, DiagonalCovariance):
            return 1.0 - error.diagonal() * self.system.solve_diagonal()
        probes = getattr(self.system, "probes", None)
        if probes is not None:
            return 1.0 - np.mean(probes[0] * error.matmul(probes[1]), axis=1)
        out = np.empty(self.problem.n_obs)
        for start in range(0, out.size, 512):
            stop = min(start + 512, out.size)
            unit = np.zeros((out.size, stop - start))
            unit[np.arange(start, stop), np.arange(stop - start)] = 1.0
            out[start:stop] = 1.0 - np.einsum("ij,ij->j", error.matmul(unit), self.system.solve(unit))
        return out

    def influence_by(self, group: str) -> dict[str, float]:
        """Return the degrees of freedom for signal that each group of observations contributes.

        Parameters
        ----------
        group : str
            A key of ``problem.groups``.
        """
        labels = self.problem.labels(group)
        return {str(k): float(self.influence[labels == k].sum()) for k in np.unique(labels)}

    def dofs_by_block(self) -> dict[str, float]:
        """Return the degrees of freedom for signal of each block of the state; they sum to `dofs`.

        Raises
        ------
        SolverError
            The problem names no blocks, or its prior error has other blocks.
        """
        problem = self.problem
        state, error = problem.state, problem.prior_error
        if state is None or not isinstance(error, BlockDiagonalCovariance) or not state.fits(error.blocks):
            raise SolverError("degrees of freedom by block need a state and a prior error of the same blocks")
        signal = getattr(self.system, "signal", None)
        if signal is not None:
            parts = signal()
            sizes = [b.size if parts.size == problem.n_state else b.factor_size for b in error.blocks]
            sums = [float(p.sum()) for p in np.split(parts, np.cumsum(sizes)[:-1])]
            return dict(zip(state.names, sums, strict=True))
        total = dict.fromkeys(state.names, 0.0)
        for units, answers in self._probes():
            for part in strips(
                units.shape[1], problem.n_state, 512, "blocks of observations, what each told"
            ):
                unit, solved = (np.ascontiguousarray(a[:, part]) for a in (units, answers))
                there, seen = problem.adjoint(unit), problem.adjoint(solved)
                for name, block in zip(state.names, error.blocks, strict=True):
                    span = state.span(name)
                    total[name] += float(np.sum(there[span] * block.matmul(seen[span])))
        return total

    def _probes(self) -> Iterator[tuple[Floats, Floats]]:
        """Yield blocks z and ``S^-1 z`` with sum of ``z z'`` the identity: unit vectors, or the solver's samples."""
        sampled = getattr(self.system, "probes", None)
        if sampled is not None:
            count = sampled[0].shape[1]
            yield sampled[0] / np.sqrt(count), sampled[1] / np.sqrt(count)
            return
        n = self.problem.n_obs
        for start in range(0, n, 512):
            stop = min(start + 512, n)
            unit = np.zeros((n, stop - start))
            unit[np.arange(start, stop), np.arange(stop - start)] = 1.0
            yield unit, self.system.solve(unit)

    def leave_out(self, group: str, weights: Any = None) -> list[LeftOut]:
        """Predict each group of observations from all others, without solving again.

        Parameters
        ----------
        group : str
            A key of ``problem.groups``, for instance ``"station"``.
        weights : array_like or sparse, shape (p, n_state), optional
            Totals to give as they would be without each group.

        Returns
        -------
        list of LeftOut
            One a label, sorted.

        Notes
        -----
        With b the rows of a group, the residual is ``(S^-1)_bb^-1 (S^-1 d)_b``, its covariance
        ``(S^-1)_bb^-1``: the conditional of a joint normal distribution, so exact for any R. The totals
        change by ``-G K_b`` times the residual and their covariance grows by ``G K_b (S^-1)_bb^-1 K_b' G'``.
        """
        labels = self.problem.labels(group)
        weighted = self.system.solve(self.problem.innovation)
        totals = None if weights is None else self.aggregate(weights)
        rows = None if weights is None else self.gain_rows(weights)
        found = []
        for label in counted(np.unique(labels), f"{group}s left out in turn"):
            b = np.flatnonzero(labels == label)
            unit = np.zeros((self.problem.n_obs, b.size))
            unit[b, np.arange(b.size)] = 1.0
            covariance = np.asarray(la.inv(_symmetric(self.system.solve(unit)[b])))
            residual = covariance @ weighted[b]
            without = None
            if totals is not None and rows is not None:
                k = rows[:, b]
                without = Aggregate(
                    totals.mean - k @ residual, totals.covariance + _symmetric(k @ covariance @ k.T)
                )
            chi_square = float(residual @ weighted[b]) / b.size
            found.append(LeftOut(str(label), residual, _symmetric(covariance), chi_square, without))
        return found

    def _weights(self, weights: Any) -> Any:
        g = (
            sp.csr_array(weights)
            if sp.issparse(weights)
            else np.atleast_2d(np.asarray(weights, dtype=np.float64))
        )
        if g.ndim != 2 or g.shape[1] != self.problem.n_state:
            raise SolverError(f"weights must have shape (totals, {self.problem.n_state}), found {g.shape}")
        return g


def _by_strips(g: Any, apply: Callable[[Floats], Floats]) -> Floats:
    """Return ``G C G'`` from products with C."""
    out = np.empty((g.shape[0], g.shape[0]))
    for part in strips(g.shape[0], g.shape[1], what="blocks of totals, their covariance"):
        rows = g[part]
        out[:, part] = g @ apply(np.ascontiguousarray((rows.toarray() if sp.issparse(rows) else rows).T))
    return _symmetric(out)


def _dense(a: Any) -> Floats:
    return np.asarray(a, dtype=np.float64)


def _symmetric(a: Any) -> Floats:
    a = _dense(a)
    return 0.5 * (a + a.T)
