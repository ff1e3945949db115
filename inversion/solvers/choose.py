"""One call for every method, and the choice between them: forecast first, allocate later."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from importlib import import_module
from inspect import signature
from typing import Any

import scipy.sparse as sp

from inversion.operators.covariance import BlockDiagonalCovariance, Covariance
from inversion.operators.kronecker import KroneckerCovariance
from inversion.operators.toeplitz import GridCorrelation
from inversion.problem.posterior import Posterior
from inversion.problem.problem import Problem
from inversion.solvers.cg import solve_cg
from inversion.solvers.dual import KEPT, solve_dual
from inversion.solvers.primal import solve_primal
from obsnet.errors import ConfigError, ResourceError, nearest
from obsnet.provenance import available_memory

__all__ = ["APART", "METHODS", "Forecast", "forecast", "solve"]

METHODS: dict[str, Callable[..., Posterior]] = {"dual": solve_dual, "primal": solve_primal, "cg": solve_cg}
# Other questions: each has options of its own, and some a result of their own. Loaded when asked for.
APART = {
    "ensemble-smoother": ("smoother", "solve_ensemble_smoother"),
    "geostatistical": ("geostatistical", "solve_geostatistical"),
    "gibbs": ("gibbs", "solve_gibbs"),
    "lbfgsb": ("lbfgsb", "solve_bounded"),
    "letkf": ("letkf", "solve_letkf"),
    "lognormal": ("lognormal", "solve_lognormal"),
    "smoother": ("smoother", "solve_smoother"),
    "truncated": ("truncated", "solve_truncated"),
}
_FLOPS = 2e10  # a second, of one core at matrix work; the forecast of time is good to a factor of three
_SAFE = 0.8  # of the free memory may be planned for
_PATIENCE = 2e12  # operations, about two minutes: below that an exact answer is always worth waiting for


@dataclass(frozen=True)
class Forecast:
    """What a method would take.

    Attributes
    ----------
    method : str
    memory : float
        Bytes beyond the problem itself.
    operations : float
        Floating-point operations.
    """

    method: str
    memory: float
    operations: float

    def __str__(self) -> str:
        seconds = self.operations / _FLOPS
        span = f"{seconds:.1f} s" if seconds < 120 else f"{seconds / 60:.0f} min"
        return f"{self.method}: {self.memory / 1e9:.2g} GB, about {span} on one core"


def forecast(problem: Problem) -> list[Forecast]:
    """Forecast memory and work of each exact method, without allocating anything.

    Parameters
    ----------
    problem : Problem
        Checked, not solved.

    Returns
    -------
    list of Forecast
        ``dual``, ``primal``, ``cg``; for the mean, all variances and some tens of totals.
    """
    n, m, nnz = float(problem.n_obs), float(problem.n_state), float(problem.nnz)
    density = nnz / max(n * m, 1.0)
    product = _product_cost(problem.prior_error)
    strip = min(n, 512.0)
    rank = min(n // 8, 256.0)
    width = 64.0
    return [
        Forecast(
            "dual",
            8 * (2 * n * n + 4 * m * strip) + (8 * n * m if 8 * n * m <= KEPT else 0.0),
            n**3 / 3 + n * (product + 2 * nnz) + m * n * n,
        ),
        Forecast(
            "primal",
            8 * 3 * m * m,
            m**3 + nnz * density * m + 2 * m * m,
        ),
        Forecast(
            "cg",
            8 * (width * (6 * n + 4 * m) + 2 * rank * n),
            (rank + 60 * width) * (product + 4 * nnz),
        ),
    ]


def _product_cost(error: Covariance) -> float:
    """Return operations of ``B x`` for one vector."""
    if isinstance(error, BlockDiagonalCovariance):
        return sum(_product_cost(b) for b in error.blocks)
    if isinstance(error, KroneckerCovariance):
        nt, ns = error.shape
        space = 2.0 * ns
        if sp.issparse(error.space):
            space = 2.0 * error.space.nnz / ns
        elif isinstance(error.space, GridCorrelation):
            space = error.space.operations
        return error.size * (2.0 * nt + space)
    parts = getattr(error, "parts", None)
    return 2.0 * error.size if parts is None else sum(_product_cost(p) for p in parts)


def _choose(problem: Problem, memory: float) -> tuple[Forecast, list[Forecast]]:
    plans = forecast(problem)
    fits = [p for p in plans if p.memory <= _SAFE * memory]
    exact = min((p for p in fits if p.method != "cg"), key=lambda p: p.operations, default=None)
    free = next((p for p in fits if p.method == "cg"), None)
    if exact and (free is None or exact.operations <= max(_PATIENCE, 3.0 * free.operations)):
        return exact, plans
    if free:
        return free, plans
    raise ResourceError(
        f"{problem.n_obs} observations x {problem.n_state} unknowns do not fit: {memory / 1e9:.2g} GB "
        "are free, "
        + "; ".join(map(str, plans))
        + ". Take fewer unknowns (longer time step, coarser footprints, basis regions), thin the "
        "observations, or a machine with more memory"
    )


def solve(
    problem: Problem,
    method: str = "auto",
    *,
    report: Callable[[str], None] = lambda _line: None,
    memory: float | None = None,
    weights: Any = None,
    **options: Any,
) -> Posterior:
    """Solve a problem by any method.

    Parameters
    ----------
    problem : Problem
        What is to be solved.
    method : str
        ``"dual"`` and ``"primal"`` are exact, in observation or state space; ``"cg"`` is matrix-free;
        ``"auto"`` takes the cheapest exact one that fits into memory, else ``"cg"``. Other questions go to
        the function of that name with its own options, and return what it returns: bounds (``"lbfgsb"`` for
        the mode, ``"truncated"`` for draws), lognormal fluxes (``"lognormal"``), ensembles (``"letkf"``),
        time steps (``"smoother"``, ``"ensemble-smoother"``), trends (``"geostatistical"``), unknown error
        sizes (``"gibbs"``).
    report : callable
        Takes lines for people: the choice and its forecast come **before** anything is allocated.
    memory : float, optional
        Bytes that may be used; by default what the machine has free.
    weights : array_like or sparse, shape (p, n_state), optional
        Totals that will be asked for; ``cg`` solves them together with the mean.
    **options
        Of the method.

    Returns
    -------
    Posterior

    Raises
    ------
    ConfigError
        Unknown method.
    ResourceError
        Nothing fits; the text says what would.
    """
    if method in APART:
        module, name = APART[method]
        function = getattr(import_module(f"inversion.solvers.{module}"), name)
        try:
            signature(function).bind(problem, **options)
        except TypeError as error:
            raise ConfigError(f"method {method!r} ({name}): {error}") from None
        return function(problem, **options)
    if method != "auto" and method not in METHODS:
        raise ConfigError(f"unknown method {method!r}{nearest(method, ['auto', *METHODS, *APART])}")
    free = float(available_memory()) if memory is None else memory
    if method == "auto":
        plan, plans = _choose(problem, free)
        others = "; ".join(str(p) for p in plans if p is not plan)
        report(f"{problem.n_obs} observations x {problem.n_state} unknowns, method {plan} (not {others})")
    else:
        plan = next(p for p in forecast(problem) if p.method == method)
        report(f"{problem.n_obs} observations x {problem.n_state} unknowns, method {plan}")
        if plan.memory > _SAFE * free:
            raise ResourceError(
                f"method {plan} does not fit into the {free / 1e9:.2g} GB that are free; method "
                "'auto' takes one that does"
            )
    if plan.method == "cg":
        options = {"report": report, "weights": weights} | options
    return METHODS[plan.method](problem, **options)
