"""Ensembles from a case: `letkf` and `ensemble_smoother`, with what localisation and closing cut."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from inversion.case.assemble import Assembled
from inversion.case.methods import EnsembleSmootherOptions, MembersOptions
from inversion.case.options import InvertOptions
from inversion.problem.gained import GainedPosterior
from inversion.problem.posterior import Posterior
from inversion.solvers.choose import solve
from inversion.solvers.ensemble import (
    Analysis,
    EnsembleGain,
    EnsemblePosterior,
    cut_by_closing,
    cut_by_distance,
)
from inversion.solvers.letkf import solve_letkf
from inversion.solvers.localisation import Localisation, state_columns
from inversion.solvers.members import LocalSystem
from inversion.solvers.smoother import solve_ensemble_smoother
from obsnet.errors import ConfigError, SolverError
from obsnet.run_words import line
from obsnet.typing import Floats, Ints, Times

__all__ = ["ENSEMBLES", "honesty", "open_steps"]

Report = Callable[[str], None]


def _letkf(options: InvertOptions, made: Assembled, _weights: Any, report: Report) -> EnsemblePosterior:
    choice, near, record = options.letkf, _localisation(options.letkf, made), []  # type: ignore[var-annotated]
    found = solve_letkf(made.problem, localisation=near, record=record, **_asked(choice))
    return _finish("letkf", choice, made, found, record, near, report, {})


def _smoother(options: InvertOptions, made: Assembled, _weights: Any, report: Report) -> EnsemblePosterior:
    choice = options.ensemble_smoother
    first, last, count = open_steps(made)
    near, record = _localisation(choice, made), []  # type: ignore[var-annotated]
    lag, ahead = (count if n is None else n for n in (choice.lag, choice.ahead))
    try:
        found = solve_ensemble_smoother(
            made.problem,
            step=first,
            until=last,
            lag=lag,
            ahead=ahead,
            localisation=near,
            record=record,
            **_asked(choice),
        )
    except SolverError as fault:  # of what a case can have, only errors that steps share
        raise ConfigError(
            f"method ensemble_smoother: {fault}: in [invert.error] correlation_hours = 0 and, where columns of one "
            "overpass fall into two steps, along_track_km = 0 and overpass_share = 0; or letkf"
        ) from None
    more = {"steps": count, "lag": lag, "ahead": ahead}
    return _finish("ensemble smoother", choice, made, found, record, near, report, more)


ENSEMBLES = {"letkf": _letkf, "ensemble_smoother": _smoother}


def _asked(choice: MembersOptions) -> dict[str, Any]:
    return {name: getattr(choice, name) for name in ("members", "inflation", "relaxation", "seed")}


def _localisation(choice: MembersOptions, made: Assembled) -> Localisation | None:
    if choice.radius_km is None:
        if choice.nearest is not None:
            raise ConfigError("nearest = … chooses among observations near a cell: give radius_km too")
        return None
    assert made.problem.state is not None
    column, lat, lon = state_columns(made.problem.state, made.grid)
    obs_lat, obs_lon = (made.observations[n].to_numpy() for n in ("latitude", "longitude"))
    return Localisation(column, lat, lon, obs_lat, obs_lon, choice.radius_km, choice.nearest)


def _finish(
    method: str,
    choice: MembersOptions,
    made: Assembled,
    found: Posterior,
    record: list[Analysis],
    near: Localisation | None,
    report: Report,
    more: dict[str, Any],
) -> EnsemblePosterior:
    """Return the posterior with what was cut, and say it."""
    problem = made.problem
    stopping = {"converged": True, **choice.model_dump(exclude_none=True), **more}
    said = [f"{method}: {choice.members} members of seed {choice.seed}"]
    if isinstance(choice, EnsembleSmootherOptions):
        closed = cut_by_closing(problem, record)
        stopping["closed_sensitivity"] = closed
        said.append(
            f"{more['steps']} steps, open for {more['lag']} and {more['ahead']} ahead: {closed:.1%} of what "
            "observations see was closed when they came"
        )
    if near is None:
        said.append("no localisation")
    else:
        share, lost = cut_by_distance(problem, near)
        stopping |= {"cut_sensitivity": share, "cut_observations": lost}
        said.append(
            f"localised to {near.radius_km:g} km, which cuts {share:.1%} of what observations see and leaves {lost} of "
            f"{problem.n_obs} without any cell"
        )
    if choice.inflation > 1.0 or choice.relaxation > 0.0:
        said.append(f"inflation {choice.inflation:g}, relaxation {choice.relaxation:g}")
    report("; ".join(said))
    # chi-square, evidence and the checks of observations are the problem's, not the ensemble's
    system = solve(problem).system
    gain = EnsembleGain(record, problem.n_obs, problem.n_state)
    assert isinstance(found.system, LocalSystem)
    members = found.system.analysis
    doubt = _too_few(choice, made, float(system.dofs()))
    if doubt:
        stopping["no_verdict"] = doubt
        report(f"no verdict: {doubt}")
    return EnsemblePosterior(problem, found.mean, system, method, stopping, applied=gain, members=members)


def _too_few(choice: MembersOptions, made: Assembled, needed: float) -> str:
    """Return why an ensemble has no verdict to give, or nothing."""
    spans = choice.radius_km is not None or choice.members > made.problem.prior_error.factor_size
    if spans or choice.members - 1 >= needed:
        return ""
    return line("few members", members=choice.members, needed=f"{needed:.0f}")


def open_steps(made: Assembled) -> tuple[Ints, Ints, int]:
    """Return between which steps each element of the state lies.

    Returns
    -------
    first, last : ndarray of int, shape (n_state,)
        Steps are the finest time bins of the fluxes; an element of a longer bin spans several. -1 and the last step
        for what holds for all times.
    int
        Steps in all.
    """
    state = made.problem.state
    assert state is not None
    known = np.unique(np.concatenate([made.bins[s].edges for s in made.solved])) if made.solved else None
    if known is None:
        return np.full(state.size, -1), np.zeros(state.size, np.int64), 1
    count = known.size - 1
    firsts, lasts = [], []
    for block in state.blocks:
        axis = next((d for d in block.dims if d in ("time", "period")), None)
        if axis is None:
            firsts.append(np.full(block.size, -1))
            lasts.append(np.full(block.size, count - 1))
            continue
        edges = made.bins[block.name].edges if block.name in made.bins else _edges(block.coords[axis], known)
        shape = [1] * len(block.shape)
        shape[block.dims.index(axis)] = -1
        start = np.clip(np.searchsorted(known, edges[:-1], side="right") - 1, 0, count - 1)
        stop = np.clip(np.searchsorted(known, edges[1:], side="left") - 1, start, count - 1)
        for parts, values in ((firsts, start), (lasts, stop)):
            parts.append(np.broadcast_to(values.reshape(shape), block.shape).ravel())
    return np.concatenate(firsts).astype(np.int64), np.concatenate(lasts).astype(np.int64), count


def _edges(middle: Any, known: Times) -> Times:
    """Return the edges of bins from their middles, which begin where the fluxes do."""
    edges = [known[0]]
    for m in np.asarray(middle).astype(known.dtype):
        edges.append(m + (m - edges[-1]))
    return np.array(edges, dtype=known.dtype)


def honesty(posterior: Posterior, weights: Any, names: list[str]) -> list[str]:
    """Say where the spread of the members is not the error of the totals.

    Parameters
    ----------
    posterior : Posterior
    weights : sparse, shape (totals, n_state)
    names : list of str
        Of the totals.
    """
    if not isinstance(posterior, EnsemblePosterior):
        return []
    believed, true = (np.sqrt(np.maximum(np.diagonal(c), 0.0)) for c in _both(posterior, weights))
    there = true > 0.0
    if not there.any():
        return []
    ratio = np.where(there, believed / np.where(there, true, 1.0), np.inf)
    at = int(np.argmin(ratio))
    middle = float(np.median(ratio[there]))
    if ratio[at] >= 0.8 and middle <= 1.25:
        return []
    shares = {"lowest": f"{ratio[at]:.2f}", "middle": f"{middle:.2f}"}
    return [line("spread of members", name=names[at], **shares)]


def _both(posterior: GainedPosterior, weights: Any) -> tuple[Floats, Floats]:
    return posterior.aggregate(weights).covariance, posterior.true_error(weights)
