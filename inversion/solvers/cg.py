"""The matrix-free solution: block conjugate gradients in observation space, preconditioned by a sketch.

Solves ``S z = d`` with ``S = H B H' + R`` from products alone. Right-hand sides (one for each total whose covariance
is wanted) share one Krylov space, which is why many cost little more than one. Vectors of the state's length are made
in strips, see `inversion.problem.innovation`; what is held besides are vectors of the observations' length.

Totals are solved to a thousand times the tolerance of the mean, because their covariance is computed in Joseph's form,
``G P G' = G B G' - Q'Z - Z'Q + Z'S Z`` with ``Q = H B G'``: where Z is off by e this is too large by ``e'S e``, of
second order and never too small.

The preconditioner is a Nystrom approximation of the large eigenvalues (Frangella, Tropp & Udell 2023, SIAM
J. Matrix Anal. Appl. 44, 718, doi:10.1137/21M1466244); the block recurrence is Dubrulle's with orthonormal
residuals (2001, ETNA 12, 216), which stays stable when right-hand sides become dependent.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from functools import cached_property
from typing import Any

import numpy as np
import scipy.linalg as la

from inversion.operators.covariance import Covariance, DiagonalCovariance
from inversion.operators.observation_error import MarkovError
from inversion.problem.innovation import seen_totals, signal, strips
from inversion.problem.posterior import Posterior
from inversion.problem.problem import Problem
from obsnet.errors import SolverError
from obsnet.typing import Floats

__all__ = ["TOGETHER", "CGSystem", "Preconditioner", "solve_cg"]

_BLOCK = 64
_WIDTH = 16  # of a Lanczos block
TOGETHER = (
    6e7  # bytes of one block of right-hand sides that share a Krylov space; about ten are alive at a time
)
_LOOSE = 1e3  # tolerance of totals over that of the mean
_PROBES = 32


def independent_part(error: Covariance) -> Floats:
    """Return variances D such that the observation error minus diag(D) is still positive semidefinite.

    Parameters
    ----------
    error : Covariance
        R.

    Raises
    ------
    SolverError
        A large matrix of which that is not known.
    """
    if isinstance(error, DiagonalCovariance):
        return error.diagonal()
    if isinstance(error, MarkovError) and (error.independent > 0.0).all():
        return error.independent
    if error.size > 4000:
        raise SolverError(
            "method 'cg' needs an observation error with an independent part: give MarkovError one, "
            "or use 'primal'"
        )
    # half of the smallest eigenvalue, for every row
    return np.full(error.size, 0.5 * float(la.eigvalsh(error.dense(), subset_by_index=[0, 0])[0]))


class Preconditioner:
    """``M = C C'`` with ``C = D^1/2 (I + U diag(s) U')^1/2``, close to S in its large eigenvalues.

    Parameters
    ----------
    problem : Problem
        Gives S.
    rank : int
        Eigenvalues to take; 0 leaves the independent error alone.
    seed : int
        Of the sketch.
    known : (ndarray (n_obs, rank), ndarray (rank,)), optional
        Vectors and values that were kept from before.
    """

    def __init__(
        self, problem: Problem, rank: int, seed: int = 0, known: tuple[Floats, Floats] | None = None
    ) -> None:
        n = problem.n_obs
        self.scale = np.sqrt(independent_part(problem.observation_error))
        self.vectors, self.values = (np.zeros((n, 0)), np.zeros(0)) if known is None else known
        rank = min(rank, n // 2)
        if rank <= 0:
            return
        rng = np.random.default_rng(seed)
        test, _ = la.qr(rng.standard_normal((n, rank)), mode="economic", check_finite=False)
        sketch = np.empty((n, rank))
        for start in range(0, rank, _BLOCK):
            part = np.ascontiguousarray(test[:, start : start + _BLOCK])
            sketch[:, start : start + part.shape[1]] = self._smooth_part(problem, part)
        # A tiny shift keeps the core positive definite in floating point; it is taken off again below.
        shift = np.finfo(float).eps * np.sqrt(n) * float(np.linalg.norm(sketch))
        if shift == 0.0:  # no observation sees anything uncertain
            return
        sketch += shift * test
        core = test.T @ sketch
        root = la.cholesky(0.5 * (core + core.T), lower=True, check_finite=False)
        factor = la.solve_triangular(root, sketch.T, lower=True, check_finite=False).T
        self.vectors, singular, _ = la.svd(factor, full_matrices=False, check_finite=False)
        self.values = np.maximum(singular**2 - shift, 0.0)

    def _smooth_part(self, problem: Problem, v: Floats) -> Floats:
        """Return ``D^-1/2 (S - D) D^-1/2 v``."""
        w = v / self.scale[:, None]
        result = signal(problem, w)
        if not isinstance(problem.observation_error, DiagonalCovariance):
            result += problem.observation_error.matmul(w) - (self.scale**2)[:, None] * w
        return np.asarray(result / self.scale[:, None])

    def inner(self, v: Floats) -> Floats:
        """Return ``C^-1 v``."""
        w = v / self.scale[:, None]
        return w + self.vectors @ (self._shrink[:, None] * (self.vectors.T @ w))

    def outer(self, v: Floats) -> Floats:
        """Return ``C'^-1 v``."""
        return np.asarray(
            (v + self.vectors @ (self._shrink[:, None] * (self.vectors.T @ v))) / self.scale[:, None]
        )

    def solve(self, v: Floats) -> Floats:
        """Return ``M^-1 v``."""
        return self.outer(self.inner(v))

    @cached_property
    def _shrink(self) -> Floats:
        return 1.0 / np.sqrt(1.0 + self.values) - 1.0

    def trace_of_error(self, error: Covariance) -> float:
        """Return tr(M^-1 R), known without sampling."""
        total = float(np.sum(error.diagonal() / self.scale**2))
        if self.values.size:
            w = self.vectors / self.scale[:, None]
            kept = self.values / (1.0 + self.values)
            total -= float(kept @ np.einsum("ij,ij->j", w, error.matmul(w)))
        return total


def left_of(seconds: float, residual: float, tolerance: float) -> str:
    """Say how long an iteration will go on, if its residual goes on falling at the mean rate so far.

    Examples
    --------
    >>> left_of(120.0, 1e-4, 1e-8), left_of(120.0, 1.5, 1e-8), left_of(1.0, 1e-9, 1e-8)
    (', about 2 min left', '', '')
    """
    if not tolerance < residual < 1.0:
        return ""
    left = seconds * (math.log(tolerance) / math.log(residual) - 1.0)
    return f", about {left / 60:.0f} min left" if left >= 60.0 else f", about {left:.0f} s left"


def block_cg(
    apply: Callable[[Floats], Floats],
    right: Floats,
    tolerance: float,
    limit: int,
    check: Callable[[int, float], None],
) -> tuple[Floats, int, float]:
    """Solve ``A X = F`` for a symmetric positive definite A and a block of right-hand sides.

    Parameters
    ----------
    apply : callable
        A times a block (n, k).
    right : ndarray, shape (n, k)
        F.
    tolerance : float
        Largest residual of any column over the norm of its right-hand side.
    limit : int
        Iterations.
    check : callable
        Told the iteration and the residual.

    Returns
    -------
    ndarray (n, k), int, float
        X, iterations, largest relative residual.
    """
    size = np.linalg.norm(right, axis=0)
    live = size > 0.0
    solution = np.zeros_like(right)
    if not live.any():
        return solution, 0, 0.0
    q, sigma = _orthonormal(right[:, live] / size[live])
    p, x, residual = q, np.zeros((len(right), np.count_nonzero(live))), 1.0
    for step in range(1, limit + 1):
        t = apply(p)
        inner = p.T @ t
        alpha = la.solve(0.5 * (inner + inner.T), np.eye(inner.shape[0]), assume_a="pos", check_finite=False)
        x += p @ (alpha @ sigma)
        q, zeta = _orthonormal(q - t @ alpha)
        sigma = zeta @ sigma
        residual = float(np.linalg.norm(sigma, axis=0).max())
        check(step, residual)
        if residual <= tolerance:
            break
        p = q + p @ zeta.T
    solution[:, live] = x * size[live]
    return solution, step, residual


def _orthonormal(a: Floats) -> tuple[Floats, Floats]:
    """Return Q and R of a tall matrix: two Cholesky steps, many times quicker than reflections where they hold."""
    r = np.eye(a.shape[1])
    q = a
    for _ in range(2):
        try:
            root = la.cholesky(q.T @ q, check_finite=False)
        except la.LinAlgError:  # columns that depend on each other
            return la.qr(a, mode="economic", check_finite=False)
        diagonal = np.diagonal(root)
        if diagonal.min() < 1e-6 * diagonal.max():
            return la.qr(a, mode="economic", check_finite=False)
        q = q @ la.solve_triangular(root, np.eye(len(root)), check_finite=False)
        r = root @ r
    return q, r


def _signs(n: int, seed: int) -> Floats:
    return np.random.default_rng([seed, 1]).choice([-1.0, 1.0], (n, _PROBES))


class CGSystem:
    """``S^-1`` by block conjugate gradients.

    Parameters
    ----------
    problem : Problem
        Any size that products of H and B allow.
    rank : int, optional
        Of the preconditioner; by default an eighth of the observations, at most 256.
    tolerance : float
        Of the true relative residual; totals are solved to a thousand times that.
    limit : int
        Iterations of one solve.
    steps : int
        Blocks of 16 Lanczos directions that `variance` takes beside the sketch's.
    seed : int
        Of sketch, Lanczos blocks and probes.
    report : callable
        Takes lines for people.
    preconditioner : Preconditioner, optional
        Where it was kept from before.
    first : ndarray, shape (n_obs, 33), optional
        The property of that name, the same.
    """

    factorised = False

    def __init__(
        self,
        problem: Problem,
        *,
        rank: int | None = None,
        tolerance: float = 1e-8,
        limit: int = 500,
        steps: int = 4,
        seed: int = 0,
        report: Callable[[str], None] = lambda _line: None,
        preconditioner: Preconditioner | None = None,
        first: Floats | None = None,
    ) -> None:
        self.problem, self.tolerance, self.limit, self.report = problem, tolerance, limit, report
        self.steps, self.seed = steps, seed
        rank = min(problem.n_obs // 8, 256) if rank is None else rank
        self.preconditioner = (
            Preconditioner(problem, rank, seed) if preconditioner is None else preconditioner
        )
        self.iterations: list[int] = []
        self.residual = 0.0
        if first is not None:
            self.first = first

    @property
    def weighted(self) -> Floats:
        """``S^-1 d`` of the innovation d, shape (n_obs,)."""
        return self.first[:, 0]

    @cached_property
    def first(self) -> Floats:
        """``S^-1`` of the innovation and of the signs of `probes`, shape (n_obs, 33), solved together.

        Random right-hand sides bring what the innovation's Krylov space would take many iterations to find.
        """
        together = np.column_stack([self.problem.innovation, _signs(self.problem.n_obs, self.seed)])
        return self._solve(together, self.tolerance)[0]

    def apply(self, v: Floats) -> Floats:
        """Return ``S v``."""
        return signal(self.problem, v) + self.problem.observation_error.matmul(v)

    def solve(self, v: Floats) -> Floats:
        """Return ``S^-1 v`` to the tolerance.

        Raises
        ------
        SolverError
            No convergence within the limit of iterations.
        """
        if v is self.problem.innovation:
            return self.weighted
        found = self._solve(v[:, None] if v.ndim == 1 else v, self.tolerance)[0]
        return found[:, 0] if v.ndim == 1 else found

    def solve_totals(self, seen: Floats) -> Floats:
        """Return ``S^-1 Q`` as closely as the covariance of totals needs it, for ``Q = H B G'`` (n_obs, k)."""
        return self._solve(seen, _LOOSE * self.tolerance)[0]

    def spread(self, g: Any) -> Floats:
        """Return ``G P G'``."""
        seen, before = seen_totals(self.problem, g)
        z, left = self._solve(seen, _LOOSE * self.tolerance)
        return before - seen.T @ z - z.T @ left  # Joseph's form, where Q - S Z is what is left

    def _solve(self, v: Floats, tolerance: float) -> tuple[Floats, Floats]:
        """Return ``S^-1 v`` and what is left of v, a block at a time."""
        solution, left = np.empty_like(v), np.empty_like(v)
        most = max(1, min(len(v) // 2, int(TOGETHER / (8.0 * len(v)))))
        for part in np.array_split(np.arange(v.shape[1]), max(1, -(-v.shape[1] // most))):
            solution[:, part], left[:, part] = self._solve_block(np.ascontiguousarray(v[:, part]), tolerance)
        return solution, left

    def _solve_block(self, v: Floats, tolerance: float) -> tuple[Floats, Floats]:
        c = self.preconditioner
        norm = np.linalg.norm(v, axis=0)
        norm = np.where(norm > 0.0, norm, 1.0)
        solution, right, steps = np.zeros_like(v), v, 0
        begun = time.monotonic()

        def told(step: int, residual: float) -> None:
            self.report(
                f"iteration {step}: residual {residual:.2e}"
                + left_of(time.monotonic() - begun, residual, 0.3 * tolerance)
            )

        # The recurrence works on the preconditioned residual; the true one decides, from a fresh start if
        # need be.
        for _ in range(3):
            x, count, _ = block_cg(
                lambda p: c.inner(self.apply(c.outer(p))),
                c.inner(right),
                0.3 * tolerance,
                self.limit - steps,
                told,
            )
            solution += c.outer(x)
            steps += count
            right = v - self.apply(solution)
            self.residual = float((np.linalg.norm(right, axis=0) / norm).max())
            if self.residual <= tolerance or steps >= self.limit:
                break
        self.iterations.append(steps)
        if self.residual > tolerance:
            raise SolverError(
                f"conjugate gradients reached a residual of {self.residual:.2g} after {steps} "
                "iterations, asked for "
                f"{tolerance:g}: raise rank (now {c.values.size}), iterations (limit "
                f"{self.limit}) or tolerance"
            )
        return solution, right

    def covariance(self, v: Floats) -> Floats:
        """Return ``P v``."""
        problem = self.problem
        bv = problem.prior_error.matmul(v)
        return bv - problem.prior_error.matmul(problem.adjoint(self.solve(problem.forward(bv))))

    def variance(self) -> Floats:
        """Return an upper bound of the diagonal of P, from the sketch's directions and Lanczos' beyond them.

        Any basis V of observation space gives ``P <= B - B H' V (V' S V)^-1 V' H B``, equal where V is
        complete; a larger rank and more steps lower the bound (Fisher & Courtier 1995). For exact variances ask for
        `Posterior.aggregate` of the elements that matter, or use an exact method.
        """
        problem, c = self.problem, self.preconditioner
        result = problem.prior_error.diagonal().copy()
        basis = c.outer(self._directions())
        k = basis.shape[1]
        if k == 0:
            return result
        gram = np.empty((k, k))
        for start in range(0, k, _BLOCK):
            part = np.ascontiguousarray(basis[:, start : start + _BLOCK])
            gram[:, start : start + part.shape[1]] = basis.T @ self.apply(part)
        root = la.cholesky(0.5 * (gram + gram.T), lower=True, check_finite=False)
        basis = la.solve_triangular(root, basis.T, lower=True, check_finite=False).T
        for strip in strips(k, problem.n_state):
            moved = problem.prior_error.matmul(problem.adjoint(np.ascontiguousarray(basis[:, strip])))
            result -= np.einsum("ij,ij->i", moved, moved)
        return np.maximum(result, 0.0)

    def _directions(self) -> Floats:
        """Return orthonormal directions of the preconditioned S, shape (n_obs, k).

        The sketch's, then block Lanczos from the innovation and random vectors, each block made orthogonal to all
        before it, twice, because rounding would else bring known directions back (Golub & Van Loan 2013, Matrix
        Computations, ch. 10.3).
        """
        c, n = self.preconditioner, self.problem.n_obs
        known = c.vectors
        block = np.random.default_rng([self.seed, 2]).standard_normal((n, min(_WIDTH, n)))
        block[:, :1] = c.inner(self.problem.innovation[:, None])
        for _ in range(self.steps):
            size = np.linalg.norm(block, axis=0)
            block = block / np.where(size > 0.0, size, 1.0)
            for _ in range(2):
                block = block - known @ (known.T @ block)
            q, r, _ = la.qr(block, mode="economic", pivoting=True, check_finite=False)
            new = q[:, np.abs(np.diagonal(r)) > 1e-8]
            if new.shape[1] == 0:
                break
            known = np.concatenate([known, new], axis=1)
            block = c.inner(self.apply(c.outer(new)))
        return known

    @property
    def probes(self) -> tuple[Floats, Floats]:
        """Random signs z (n_obs, 32) and ``S^-1 z``, from which traces are estimated."""
        return _signs(self.problem.n_obs, self.seed), self.first[:, 1:]

    def dofs(self) -> float:
        """Return an estimate of tr(H B H' S^-1) = n - tr(S^-1 R), sampled about what the sketch knows."""
        signs, solved = self.probes
        error, c = self.problem.observation_error, self.preconditioner
        sampled = float(np.sum((solved - c.solve(signs)) * error.matmul(signs)) / signs.shape[1])
        return self.problem.n_obs - c.trace_of_error(error) - sampled

    def solve_diagonal(self) -> Floats:
        """Return an unbiased estimate of the diagonal of ``S^-1``, good for sums over many rows."""
        signs, solved = self.probes
        c = self.preconditioner
        kept = c.values / (1.0 + c.values)
        known = (1.0 - (c.vectors**2) @ kept) / c.scale**2
        return known + np.mean(signs * (solved - c.solve(signs)), axis=1)

    def logdet(self) -> float:
        """Raise: the determinant is not known without a factorisation."""
        raise SolverError(
            "the evidence needs ln det S, which method 'cg' does not know; use 'dual' or 'primal'"
        )


def solve_cg(
    problem: Problem,
    *,
    rank: int | None = None,
    tolerance: float = 1e-8,
    limit: int = 500,
    steps: int = 4,
    seed: int = 0,
    report: Callable[[str], None] = lambda _line: None,
) -> Posterior:
    """Solve without any matrix of the size of observations or state.

    Parameters
    ----------
    problem : Problem
        The Jacobian is read once for each iteration and each strip of columns, see `inversion.problem.innovation`.
    rank, tolerance, limit, steps, seed, report
        See `CGSystem`.

    Returns
    -------
    Posterior
        Totals are exact to the tolerance; `variance` is an upper bound, `dofs` and `influence` are sampled.
    """
    system = CGSystem(
        problem, rank=rank, tolerance=tolerance, limit=limit, steps=steps, seed=seed, report=report
    )
    step = problem.prior_error.matmul(problem.adjoint(system.solve(problem.innovation)))
    stopping: dict[str, Any] = {
        "converged": True,
        "iterations": system.iterations[-1],
        "residual": system.residual,
        "tolerance": tolerance,
        "rank": int(system.preconditioner.values.size),
    }
    return Posterior(problem, problem.prior + step, system, "cg", stopping)
