"""One call for every method."""

from __future__ import annotations

from inversion.posterior import Posterior
from inversion.problem import Problem
from inversion.solvers.dual import solve_dual
from obsnet.errors import ConfigError, nearest

__all__ = ["solve"]

_METHODS = {"dual": solve_dual}


def solve(problem: Problem, method: str = "auto", **options: object) -> Posterior:
    """Solve a problem.

    Parameters
    ----------
    problem : Problem
        What is to be solved.
    method : str
        ``"dual"``; ``"auto"`` chooses.
    **options
        Of the method.
    """
    name = "dual" if method == "auto" else method
    if name not in _METHODS:
        raise ConfigError(f"unknown method {method!r}{nearest(method, ['auto', *_METHODS])}")
    return _METHODS[name](problem, **options)
