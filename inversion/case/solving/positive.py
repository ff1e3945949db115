"""Sectors that cannot be negative, from a case: lognormal fluxes or normal ones cut off at zero by draws; a mode."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import numpy as np

from inversion.case.assemble import Assembled
from inversion.case.options import InvertOptions
from inversion.operators.covariance import BlockDiagonalCovariance, StretchedCovariance
from inversion.problem.posterior import Posterior
from inversion.solvers.choose import solve
from inversion.solvers.lbfgsb import solve_bounded
from inversion.solvers.lognormal import solve_lognormal
from inversion.solvers.sampled import SampledPosterior
from inversion.solvers.truncated import solve_truncated
from obsnet.errors import ConfigError, nearest
from obsnet.run_words import line
from obsnet.typing import Bools, Floats

__all__ = ["POSITIVE"]

Report = Callable[[str], None]


def _lognormal(options: InvertOptions, made: Assembled, weights: Any, report: Report) -> SampledPosterior:
    choice = options.lognormal
    sectors = _sectors(options, made, choice.sectors)
    problem, state = made.problem, made.problem.state
    assert state is not None
    assert isinstance(problem.prior_error, BlockDiagonalCovariance)
    log = _cells(made, sectors)
    # relative errors are first-order covariances of the logarithm; cells without flux stay without
    stretch = np.where(log, 1.0 / np.where(log, problem.prior, 1.0), 1.0)
    blocks = [
        StretchedCovariance(block, stretch[state.span(name)]) if name in sectors else block
        for name, block in zip(state.names, problem.prior_error.blocks, strict=True)
    ]
    error = BlockDiagonalCovariance(blocks)
    median = problem.prior
    if choice.prior == "mean":
        median = median * np.where(log, np.exp(-0.5 * error.diagonal()), 1.0)
    spread = np.sqrt(error.diagonal()[log])
    report(
        f"lognormal: {', '.join(sectors)}; the prior is taken for the {choice.prior}, relative errors for standard "
        f"deviations of the logarithm ({np.median(spread):.2f} in the middle); {choice.draws} draws"
    )
    return solve_lognormal(
        problem.with_(prior=median, prior_error=error),
        log,
        weights=weights,
        draws=choice.draws,
        chains=choice.chains,
        least=choice.least,
        seed=choice.seed,
    )


def _truncated(options: InvertOptions, made: Assembled, weights: Any, report: Report) -> SampledPosterior:
    choice = options.truncated
    sectors = _sectors(options, made, choice.sectors)
    report(f"truncated: {', '.join(sectors)} not below zero; {choice.draws} draws")
    return solve_truncated(
        made.problem,
        _floor(made, sectors),
        np.inf,
        weights=weights,
        draws=choice.draws,
        chains=choice.chains,
        least=choice.least,
        seed=choice.seed,
    )


def _bounded(options: InvertOptions, made: Assembled, _weights: Any, report: Report) -> Posterior:
    sectors = _sectors(options, made, options.bounded.sectors)
    mode = solve_bounded(made.problem, _floor(made, sectors), np.inf)
    held = int((~mode.free).sum())
    why = line("mode", held=held, all=mode.free.size)
    report(
        f"bounded: {', '.join(sectors)} not below zero, {held} of {mode.free.size} elements at zero; uncertainties are "
        "those without bounds"
    )
    report(f"no verdict: {why}")
    stopping = dict(mode.stopping) | {"converged": True, "at_bound": held, "no_verdict": why}
    return Posterior(made.problem, mode.mean, solve(made.problem).system, "bounded mode", stopping)


POSITIVE = {"lognormal": _lognormal, "truncated": _truncated, "bounded": _bounded}


def _floor(made: Assembled, sectors: list[str]) -> Floats:
    """Return the lower bound of each element of the state: zero for the sectors named."""
    assert made.problem.state is not None
    floor = np.full(made.problem.n_state, -np.inf)
    for name in sectors:
        floor[made.problem.state.span(name)] = 0.0
    return floor


def _sectors(options: InvertOptions, made: Assembled, named: Iterable[str] | None) -> list[str]:
    """Return the sectors that are kept positive: those named, or all whose prior is nowhere negative."""
    able = {s: bool((made.prior_mean[s] >= 0.0).all()) for s in made.solved}
    share = {s: options.sector[s].sigma is None for s in made.solved}
    lognormal = options.method == "lognormal"
    if named is None:
        found = [s for s in made.solved if able[s] and (share[s] or not lognormal)]
        if not found:
            raise ConfigError(
                f"method {options.method}: no solved sector has a prior that is nowhere negative"
            )
        return found
    for name in named:
        where = f"[invert.{options.method}] sectors: {name!r}"
        if name not in able:
            raise ConfigError(f"{where} is not solved{nearest(name, able)}")
        if not able[name]:
            raise ConfigError(f"{where} has negative cells in the prior; it cannot be kept positive")
        if lognormal and not share[name]:
            raise ConfigError(f"{where} needs a relative error, a share of its prior, not sigma")
    return list(named)


def _cells(made: Assembled, sectors: list[str]) -> Bools:
    """Return which elements of the state are lognormal: those of the sectors that have any flux."""
    log = np.zeros(made.problem.n_state, dtype=bool)
    assert made.problem.state is not None
    for name in sectors:
        span = made.problem.state.span(name)
        log[span] = made.problem.prior[span] > 0.0
    return log
