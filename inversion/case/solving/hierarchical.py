"""Errors whose sizes are drawn with the fluxes, from a case: `hierarchical`."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from inversion.case.assemble import Assembled
from inversion.case.options import InvertOptions
from inversion.solvers.averaged import HierarchicalPosterior, averaged
from inversion.solvers.gibbs import solve_gibbs
from obsnet.errors import SolverError

__all__ = ["solve_hierarchical"]

MIXED = 1.05  # split R-hat above which chains do not agree


def solve_hierarchical(
    options: InvertOptions, made: Assembled, _weights: Any, report: Callable[[str], None]
) -> HierarchicalPosterior:
    """Solve a case with unknown sizes of its errors; see `inversion.case.solving.by_method`.

    Raises
    ------
    SolverError
        Draws that have told too little.
    """
    choice = options.hierarchical
    each = -(-choice.draws // choice.chains)
    sizes = solve_gibbs(
        made.problem,
        errors_by=choice.errors_by,
        spread=choice.spread,
        draws=each,
        chains=choice.chains,
        seed=choice.seed,
        report=lambda line: report(f"hierarchical: {line}"),
    )
    posterior = averaged(sizes, choice.errors_by)
    told, worst = posterior.stopping["effective_draws"], posterior.stopping["r_hat"]
    if told < choice.least or worst > MIXED:
        raise SolverError(
            f"hierarchical: {each * choice.chains} draws are worth {told:.0f} independent ones of the slowest factor "
            f"(at least {choice.least:.0f} are asked for) and chains disagree by R-hat {worst:.3f} "
            f"(at most {MIXED:g}); raise draws"
        )
    for name, (middle, low, high) in posterior.stopping["sizes"].items():
        report(f"hierarchical: {name} times {middle:.3g} ({low:.3g} to {high:.3g} in 95 %)")
    return posterior
