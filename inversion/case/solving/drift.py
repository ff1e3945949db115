"""Fluxes with a mean that is not known but for its shapes, from a case: `geostatistical`.

The flux of a sector is ``x = x_b + X beta + xi``: beta is not known at all, xi has the errors of the sector's table.
The gain is that of the best unbiased estimate, so neither estimate nor its error depends on how wrong the drift is. A
test of one region's inventory does: all others stay at the prior there, so it has to be said how far the drift may
carry them. That is ``Q + t^2 X X'`` with t of ``drift_sd``, in the prior's totals and in tests.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

import numpy as np

from inversion.case.assemble import Assembled
from inversion.case.options import InvertOptions
from inversion.operators.covariance import BlockDiagonalCovariance, LowRankCovariance, SumCovariance
from inversion.solvers.geostatistical import GeostatisticalPosterior, solve_geostatistical
from obsnet.errors import ConfigError, nearest
from obsnet.typing import Floats

__all__ = ["DRIFTS", "drift_columns", "solve_drift"]

# name in `inversion.case.methods.Drift` -> columns (bins * cells, q) of a prior (bins, cells), in its unit
DRIFTS: dict[str, Callable[[Floats, Floats], Floats]] = {
    "prior": lambda prior, _area: prior.reshape(-1, 1),
    "constant": lambda prior, area: np.full(
        (prior.size, 1), np.average(np.abs(prior).mean(axis=0), weights=area)
    ),
    "bin": lambda prior, _area: np.stack(
        [np.where(np.arange(len(prior))[:, None] == t, prior, 0.0).ravel() for t in range(len(prior))], axis=1
    ),
}


def drift_columns(drift: Mapping[str, list[Any]], made: Assembled) -> dict[str, tuple[list[str], Floats]]:
    """Return the columns of each sector's drift in the state's unit, and what they are called.

    Raises
    ------
    ConfigError
        A sector that is not solved, a column given twice or within others, a column that is zero.
    """
    asked = dict(drift) or {sector: ["prior"] for sector in made.solved}
    found, area = {}, made.grid.cell_area.ravel()
    for sector, kinds in asked.items():
        where = f"[invert.geostatistical] drift of {sector!r}"
        if sector not in made.solved:
            raise ConfigError(f"{where}: the sector is not solved{nearest(sector, made.solved)}")
        if len(set(kinds)) < len(kinds) or {"prior", "bin"} <= set(kinds):
            raise ConfigError(f"{where}: {', '.join(kinds)} say the same twice; bin has prior in it")
        names, columns = [], []
        for kind in kinds:
            these = DRIFTS[kind](made.flux_scale * made.prior_mean[sector], area)
            if not np.abs(these).max(axis=0).all():
                raise ConfigError(f"{where}: {kind} is zero, because the prior is")
            columns.append(these)
            names += (
                [f"{sector} {kind}"]
                if these.shape[1] == 1
                else [f"{sector} {kind} {t}" for t in range(these.shape[1])]
            )
        if columns:
            found[sector] = names, np.concatenate(columns, axis=1)
    if not found:
        raise ConfigError("[invert.geostatistical] drift has no column; method auto solves with a known mean")
    return found


def solve_drift(
    options: InvertOptions, made: Assembled, _weights: Any, report: Callable[[str], None]
) -> GeostatisticalPosterior:
    """Solve a case with an unknown drift; see `inversion.case.solving.by_method`."""
    choice, problem, state = options.geostatistical, made.problem, made.problem.state
    assert state is not None
    assert isinstance(problem.prior_error, BlockDiagonalCovariance)
    found = drift_columns(choice.drift, made)
    names = [name for labels, _ in found.values() for name in labels]
    trend, blocks, first = np.zeros((state.size, len(names))), [], 0
    for name, block in zip(state.names, problem.prior_error.blocks, strict=True):
        if name not in found:
            blocks.append(block)
            continue
        columns = found[name][1]
        trend[state.span(name), first : first + columns.shape[1]] = columns
        first += columns.shape[1]
        blocks.append(
            SumCovariance(block, LowRankCovariance(columns, choice.drift_sd**2 * np.eye(columns.shape[1])))
        )
    order = [label for name in state.names if name in found for label in found[name][0]]
    posterior = solve_geostatistical(problem, trend)
    sd = np.sqrt(np.diagonal(posterior.beta_covariance))
    estimates = {n: [float(b), float(s)] for n, b, s in zip(order, posterior.beta, sd, strict=True)}
    said = ", ".join(f"{n} {b:+.3g} ± {s:.2g}" for n, (b, s) in list(estimates.items())[:12])
    more = f" and {len(order) - 12} more" if len(order) > 12 else ""
    report(
        f"geostatistical: drift {said}{more}, in its own size; in tests it may be ± {choice.drift_sd:g} elsewhere"
    )
    stopping = dict(posterior.stopping) | {"converged": True, "drift": estimates, "drift_sd": choice.drift_sd}
    wide = problem.with_(prior_error=BlockDiagonalCovariance(blocks))
    return replace(posterior, problem=wide, stopping=stopping)
