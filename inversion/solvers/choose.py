"""One call for every method, and the choice between them: forecast first, allocate later."""

from __future__ import annotations

from collections.abc import Callable
from importlib import import_module
from inspect import signature
from typing import Any

from inversion.problem.posterior import Posterior
from inversion.problem.problem import Problem
from inversion.solvers.cg import solve_cg
from inversion.solvers.dual import solve_dual
from inversion.solvers.forecast import Forecast, forecast
from inversion.solvers.primal import solve_primal
from obsnet.errors import ConfigError, ResourceError, nearest
from obsnet.provenance import available_memory

__all__ = ["APART", "METHODS", "Forecast", "forecast", "solve"]

METHODS: dict[str, Callable[..., Posterior]] = {"dual": solve_dual, "primal": solve_primal, "cg": solve_cg}
# Other questions: each has options of its own, and some a result of their own. Loaded when asked for.
APART = {
    "ensemble_smoother": ("smoother", "solve_ensemble_smoother"),
    "geostatistical": ("geostatistical", "solve_geostatistical"),
    "gibbs": ("gibbs", "solve_gibbs"),
    "lbfgsb": ("lbfgsb", "solve_bounded"),
    "letkf": ("letkf", "solve_letkf"),
    "lognormal": ("lognormal", "solve_lognormal"),
    "smoother": ("smoother", "solve_smoother"),
    "truncated": ("truncated", "solve_truncated"),
}
_SAFE = 0.8  # of the free memory may be planned for
_PATIENCE = 2e12  # operations, about two minutes: below that an exact answer is always worth waiting for


def _choose(problem: Problem, memory: float, totals: int = 0) -> tuple[Forecast, list[Forecast]]:
    plans = forecast(problem, totals)
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
    totals: int = 0,
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
        time steps (``"smoother"``, ``"ensemble_smoother"``), trends (``"geostatistical"``), unknown error
        sizes (``"gibbs"``).
    report : callable
        Takes lines for people: the choice and its forecast come **before** anything is allocated.
    memory : float, optional
        Bytes that may be used; by default what the machine has free.
    totals : int
        Totals that will be asked for: what they take is in the forecast.
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

    Examples
    --------
    >>> from inversion import Problem
    >>> problem = Problem([[1.0, 0.5]], [3.0], [0.1], [1.0, 1.0], [0.25, 0.25])
    >>> solve(problem).mean.round(3)  # one observation between two unknowns
    array([1.909, 1.455])
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
        plan, plans = _choose(problem, free, totals)
        others = "; ".join(str(p) for p in plans if p is not plan)
        report(f"{problem.n_obs} observations x {problem.n_state} unknowns, method {plan} (not {others})")
    else:
        plan = next(p for p in forecast(problem, totals) if p.method == method)
        report(f"{problem.n_obs} observations x {problem.n_state} unknowns, method {plan}")
        if plan.memory > _SAFE * free:
            raise ResourceError(
                f"method {plan} does not fit into the {free / 1e9:.2g} GB that are free; method "
                "'auto' takes one that does"
            )
    if plan.method == "cg":
        report(f"{plan.method}: {plan.detail()}")
        options = {"report": report} | options
    return METHODS[plan.method](problem, **options)
