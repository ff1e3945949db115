"""One call for every method."""

from __future__ import annotations

from collections.abc import Callable

from inversion.posterior import Posterior
from inversion.problem import Problem
from inversion.solvers.dual import solve_dual
from inversion.solvers.primal import solve_primal
from obsnet.errors import ConfigError, nearest

__all__ = ["solve"]

_METHODS = {"dual": solve_dual, "primal": solve_primal}


def solve(
    problem: Problem,
    method: str = "auto",
    *,
    report: Callable[[str], None] = lambda _line: None,
    **options: object,
) -> Posterior:
    """Solve a problem.

    Parameters
    ----------
    problem : Problem
        What is to be solved.
    method : str
        ``"dual"``; ``"auto"`` chooses.
    report : callable
        Takes lines for people.
    **options
        Of the method.
    """
    name = method
    if method == "auto":
        name = "dual" if problem.n_obs <= problem.n_state else "primal"
    if name not in _METHODS:
        raise ConfigError(f"unknown method {method!r}{nearest(method, ['auto', *_METHODS])}")
    report(f"method {name}")
    return _METHODS[name](problem, **options)
