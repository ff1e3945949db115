"""What a method will take, before anything is allocated: products and factorisations, times what one costs.

The primitives are measured on the problem itself, once: one strip of columns through H', B and H, and a small Cholesky
factorisation. The strip is of random signs, so that it samples two moments of the eigenvalues of
``R^-1/2 H B H' R^-1/2``; the power law that has the same two tells how many iterations conjugate gradients will take.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import scipy.linalg as la
import scipy.sparse as sp

from inversion.operators.covariance import BlockDiagonalCovariance, Covariance
from inversion.operators.kronecker import KroneckerCovariance
from inversion.operators.matrix_products import rows_of
from inversion.operators.normal_equations import add_normal
from inversion.operators.toeplitz import GridCorrelation
from inversion.problem.innovation import BLOCK, columns_at_once
from inversion.problem.problem import Problem
from inversion.problem.totals import GROUP
from inversion.solvers.cg import TOGETHER
from obsnet.typing import Floats

__all__ = ["Forecast", "Rates", "forecast", "measure"]

Clock = Callable[[], float]  # seconds
# Of a trial of the normal matrix: columns, as it is held; pairs that take some hundredths of a second, and too few.
_MOST_COLUMNS, _ENOUGH, _FEW = 4000, 1e7, 5e4
_FIRST, _LANCZOS = 33, 64  # columns: innovation and probes; directions for variances


@dataclass(frozen=True)
class Rates:
    """What primitives cost on this machine and this problem.

    Attributes
    ----------
    adjoint, prior, forward : float
        Seconds of one column of a strip through ``H'``, B and H.
    factor, dense : float
        Floating-point operations a second of a Cholesky factorisation and of a product of full matrices.
    pairs : float
        Seconds of one pair of entries of a row in ``H' R^-1 H``.
    size, decay : float
        The law ``size i^-decay`` of the eigenvalues.
    measured : bool
        False where the Jacobian is read from elsewhere for every product: counted operations at the rate of a full
        product take the place of a measurement.
    count : float
        How many eigenvalues there are: of observations.
    """

    adjoint: float
    prior: float
    forward: float
    factor: float
    dense: float
    pairs: float
    size: float
    decay: float
    measured: bool
    count: float = np.inf

    @property
    def column(self) -> float:
        """Seconds of one column of ``H B H'``."""
        return self.adjoint + self.prior + self.forward

    def iterations(self, rank: float, width: float, tolerance: float) -> float:
        """Return about how many iterations a block of `width` right-hand sides takes.

        Each iteration takes the largest eigenvalues that are left, one a column, out of the condition number; what
        remains converges at the usual rate.
        """
        taken = np.arange(200.0)
        largest = np.minimum(rank + width * taken + 1.0, self.count)
        condition = (1.0 + self.size * largest**-self.decay) / (1.0 + self.size * self.count**-self.decay)
        rate = (np.sqrt(condition) - 1.0) / (np.sqrt(condition) + 1.0)
        return max(2.0, float(np.min(taken + np.log(tolerance / 2.0) / np.log(np.maximum(rate, 1e-12)))))


@dataclass(frozen=True)
class Forecast:
    """What a method would take.

    Attributes
    ----------
    method : str
    memory : float
        Bytes beyond the problem itself.
    operations : float
        Floating-point operations, counted; the choice goes by them, so that a busy machine does not change it.
    parts : dict of str to float
        Seconds of each part, from measured primitives.
    """

    method: str
    memory: float
    operations: float
    parts: dict[str, float]

    @property
    def seconds(self) -> float:
        """Seconds of all parts."""
        return sum(self.parts.values())

    def __str__(self) -> str:
        return f"{self.method}: {self.memory / 1e9:.2g} GB, about {_span(self.seconds)}"

    def detail(self) -> str:
        """Return the parts in words."""
        return ", ".join(f"{name} {_span(seconds)}" for name, seconds in self.parts.items())


def _span(seconds: float) -> str:
    if seconds < 120.0:
        return f"{seconds:.2g} s" if seconds < 10.0 else f"{seconds:.0f} s"
    return f"{seconds / 60.0:.0f} min" if seconds < 7200.0 else f"{seconds / 3600.0:.1f} h"


def forecast(problem: Problem, totals: int = 0, rates: Rates | None = None) -> list[Forecast]:
    """Forecast memory and time of each exact method: mean, variances, degrees of freedom and totals.

    Parameters
    ----------
    problem : Problem
        Checked, not solved.
    totals : int
        Totals that `inversion.problem.totals.region_totals` will be asked for.
    rates : Rates, optional
        From `measure`, which is called where they are not given.

    Returns
    -------
    list of Forecast
        ``dual``, ``primal``, ``cg``.
    """
    n, m, nnz, p = float(problem.n_obs), float(problem.n_state), float(problem.nnz), float(totals)
    r = measure(problem) if rates is None else rates
    per_row = nnz / max(n, 1.0)
    product = product_cost(problem.prior_error)
    strip = 8.0 * m * columns_at_once(problem.n_state)
    # of totals, whatever the method: H B G', H' Z and its way back; their matrices
    totals_time = p * (r.column + r.prior + r.forward) + 4.0 * n * p * p / r.dense
    totals_memory = 8.0 * (3.0 * n * p + 14.0 * p * p) if totals else 0.0
    common = totals_memory + 5.0 * strip + 8.0 * 6.0 * m
    rank = min(n // 8, 256.0)
    width = max(min(p, n // 2, TOGETHER / (8.0 * n), GROUP), 1.0)
    steps = {"mean": r.iterations(rank, _FIRST, 1e-8), "totals": r.iterations(rank, width, 1e-5)}
    step = {
        k: r.column + 2.0 * n * (7.0 * w + 4.0 * rank) / r.dense
        for k, w in (("mean", _FIRST), ("totals", width))
    }
    return [
        Forecast(
            "dual",
            common + 16.0 * n * n + 8.0 * 3.0 * m * min(columns_at_once(problem.n_state, BLOCK), n),
            2.0 * n**3 / 3.0
            + n * (2.0 * product + 4.0 * nnz)
            + p * (2.0 * product + 6.0 * nnz + 2.0 * n * n),
            {
                "H B H'": n * (r.prior + r.forward / 2.0),  # a triangle of it
                "factor": n**3 / 3.0 / r.factor,
                "variances": n * (r.prior + r.adjoint / 2.0) + n**3 / 3.0 / r.factor,
                "totals": totals_time + 2.0 * n * n * p / r.dense,
            },
        ),
        Forecast(
            "primal",
            common + 24.0 * m * m,
            m**3 + per_row * nnz + 2.0 * m * m + p * (2.0 * product + 6.0 * nnz + 2.0 * m * m),
            {
                "H' R^-1 H": nnz * per_row / 2.0 * r.pairs,
                "factor": m**3 / 3.0 / r.factor + m * r.prior,
                "variances": m**3 / 3.0 / r.factor,
                "degrees of freedom": nnz * per_row / 2.0 * r.pairs + 2.0 * m**3 / 3.0 / r.dense,
                "totals": totals_time + p * (r.column + 2.0 * m * m / r.dense),
            },
        ),
        Forecast(
            "cg",
            common + 8.0 * n * (max(10.0 * max(width, _FIRST), 4.0 * rank) + 2.0 * rank),
            (rank + 60.0 * 64.0 + 8.0 * p) * (product + 4.0 * nnz),
            {
                "sketch": rank * r.column + 8.0 * n * rank * rank / r.dense,
                f"mean in {steps['mean']:.0f} iterations": _FIRST * (steps["mean"] + 1.0) * step["mean"],
                "variances": (rank + _LANCZOS) * (r.column + r.adjoint + r.prior) + _LANCZOS * r.column,
                "degrees of freedom": 2.0 * _FIRST * (r.adjoint + r.prior),
                f"totals in {steps['totals']:.0f} iterations": p * (steps["totals"] + 1.0) * step["totals"]
                + totals_time,
            },
        ),
    ]


def measure(problem: Problem, clock: Clock = time.perf_counter) -> Rates:
    """Measure what one column costs in this problem, here and now.

    Parameters
    ----------
    problem : Problem
        A lazy Jacobian is not read; see `Rates.measured`.
    clock : callable
        Of seconds; `time.process_time` where others use the machine too and it is not asked how long to wait.
    """
    factor, dense = _full_rates(clock)
    pairs = _pair_seconds(problem, clock, 32.0 / dense)
    count = columns_at_once(problem.n_state)
    if problem.is_chunked:
        through, prior = 20.0 * problem.nnz / dense, 3.0 * product_cost(problem.prior_error) / dense
        return Rates(through, prior, through, factor, dense, pairs, 1e4, 1.0, False, problem.n_obs)
    signs = np.random.default_rng(0).choice([-1.0, 1.0], (problem.n_obs, count))
    scale = np.sqrt(problem.observation_error.diagonal())[:, None]
    there, adjoint = _clock(lambda: problem.adjoint(signs / scale), clock)
    moved, prior = _clock(lambda: problem.prior_error.matmul(there), clock)
    seen, forward = _clock(lambda: problem.forward(moved), clock)
    seen = seen / scale
    law = _power_law(float(np.sum(signs * seen)) / count, float(np.sum(seen * seen)) / count, problem.n_obs)
    return Rates(
        adjoint / count, prior / count, forward / count, factor, dense, pairs, *law, True, problem.n_obs
    )


def _power_law(first: float, second: float, n: int) -> tuple[float, float]:
    """Return size and decay of the law ``size i^-decay``, i = 1 … n, with a sum and a sum of squares."""
    if first <= 0.0 or second <= 0.0:
        return 0.0, 1.0
    i = np.arange(1.0, n + 1.0)
    low, high = 0.0, 8.0
    for _ in range(40):
        decay = 0.5 * (low + high)
        law = i**-decay
        low, high = (decay, high) if law.sum() ** 2 / np.sum(law**2) > first**2 / second else (low, decay)
    return first / float(np.sum(i**-decay)), decay


def _clock(make: Callable[[], Floats], clock: Clock) -> tuple[Floats, float]:
    """Return what is made and the least seconds of up to four tries (the first may compile) within half a second."""
    times: list[float] = []
    while len(times) < 4 and (len(times) < 2 or sum(times) < 0.5) and sum(times) < 20.0:
        start = clock()
        made = make()
        times.append(clock() - start)
    return made, min(times)


def _pair_seconds(problem: Problem, clock: Clock, otherwise: float) -> float:
    """Return seconds of one pair of entries of a row in ``H' R^-1 H``, from a few of the problem's own rows."""
    jacobian = problem.jacobian
    if not sp.issparse(jacobian):
        return otherwise
    pairs = np.cumsum(np.diff(jacobian.indptr).astype(np.float64) ** 2 / 2.0)
    rows = rows_of(jacobian, slice(0, min(int(np.searchsorted(pairs, _ENOUGH)) + 1, problem.n_obs)))
    columns, place = np.unique(rows.indices, return_inverse=True)
    done = float(pairs[rows.shape[0] - 1]) if pairs.size else 0.0
    if done < _FEW or columns.size > _MOST_COLUMNS:
        return otherwise
    place, weight = place.astype(rows.indices.dtype), np.ones(rows.shape[0])
    total = np.zeros((columns.size, columns.size))

    def add() -> Floats:
        add_normal(rows.data, place, rows.indptr, weight, total)
        return total

    return _clock(add, clock)[1] / done


@lru_cache(maxsize=2)
def _full_rates(clock: Clock, size: int = 800) -> tuple[float, float]:
    """Return operations a second of a Cholesky factorisation and of a product of full matrices, in this process."""
    a = np.eye(size, order="F") * size + 1.0
    factor = _clock(lambda: la.cholesky(a, lower=True, check_finite=False), clock)[1]
    dense = _clock(lambda: a @ a, clock)[1]
    return size**3 / 3.0 / factor, 2.0 * size**3 / dense


def product_cost(error: Covariance) -> float:
    """Return operations of ``B x`` for one vector."""
    if isinstance(error, BlockDiagonalCovariance):
        return sum(product_cost(b) for b in error.blocks)
    if isinstance(error, KroneckerCovariance):
        nt, ns = error.shape
        space = 2.0 * ns
        if sp.issparse(error.space):
            space = 2.0 * error.space.nnz / ns
        elif isinstance(error.space, GridCorrelation):
            space = error.space.operations
        return error.size * (2.0 * nt + space)
    parts = getattr(error, "parts", None)
    return 2.0 * error.size if parts is None else sum(product_cost(p) for p in parts)
