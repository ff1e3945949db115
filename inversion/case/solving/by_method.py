"""Solvers by method, of methods with a table of their own: each makes a posterior of a case that is put together."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from inversion.case.assemble import Assembled
from inversion.case.options import InvertOptions
from inversion.case.solving.drift import solve_drift
from inversion.case.solving.hierarchical import solve_hierarchical
from inversion.case.solving.members import ENSEMBLES
from inversion.case.solving.positive import POSITIVE
from inversion.problem.posterior import Posterior

__all__ = ["SOLVERS"]

Solver = Callable[[InvertOptions, Assembled, Any, Callable[[str], None]], Posterior]

# name in `inversion.case.methods.METHODS` -> (options, problem, weights of the totals, report) to posterior
SOLVERS: dict[str, Solver] = {
    **POSITIVE,
    **ENSEMBLES,
    "geostatistical": solve_drift,
    "hierarchical": solve_hierarchical,
}
