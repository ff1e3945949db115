"""Observations that do not fit: rejected or held less firmly before the answer is believed, and always listed.

An observation is judged by how far it lies from its prediction, in standard deviations of that difference. The
prediction is the prior's (``d = y - H x_b - background``, variance the diagonal of ``S = H B H' + R``) or, surer, the
one from all other observations (leave-one-out: ``(S^-1 d)_i / (S^-1)_ii``, variance ``1 / (S^-1)_ii``; a conditional of
a joint normal distribution, so exact for any R).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
import pyarrow as pa

from inversion.case.assemble import Assembled
from inversion.case.options import ScreenOptions
from inversion.problem.posterior import Posterior
from inversion.problem.problem import Problem
from obsnet.errors import ConfigError
from obsnet.typing import Floats

__all__ = ["Screened", "departures", "screen"]

_ROUNDS = 30
_SETTLED = 0.01  # relative change of an enlarged error below which Huber's weights have converged


@dataclass(frozen=True, eq=False)
class Screened:
    """What is left after screening, and what was done.

    Attributes
    ----------
    made : Assembled
        The problem to solve: without rejected rows, or with larger errors of some.
    table : pyarrow.Table
        One row an observation that was touched: ``obs_id, source, platform, time, value, departure`` (observation minus
        prediction, unit of the observations), ``deviations`` (that over its standard deviation), ``factor`` (by which
        its standard deviation was enlarged; infinite where rejected).
    """

    made: Assembled
    table: pa.Table


def departures(posterior: Posterior, inverse: Floats | None = None) -> tuple[Floats, Floats]:
    """Return how far each observation lies from what all others predict.

    Parameters
    ----------
    posterior : Posterior
        Of an exact method.
    inverse : ndarray, shape (n_obs,), optional
        The diagonal of ``S^-1`` where it is known already.

    Returns
    -------
    residual, deviations : ndarray, shape (n_obs,)
        Observation minus prediction, and the same over its standard deviation: standard normal where errors are right.
    """
    weighted = posterior.system.solve(posterior.problem.innovation)
    inverse = posterior.system.solve_diagonal() if inverse is None else inverse
    return weighted / inverse, weighted / np.sqrt(inverse)


def screen(options: ScreenOptions, made: Assembled, solve: Callable[[Problem], Posterior]) -> Screened:
    """Screen the observations of a case.

    Parameters
    ----------
    options : ScreenOptions
        The table ``[invert.screen]``.
    made : Assembled
        The problem of all observations.
    solve : callable
        Problem to `Posterior`; called once a round where others' prediction decides.

    Raises
    ------
    ConfigError
        More than ``most`` of the observations of a source would be touched: then the errors are wrong, not the rows.
    """
    problem = made.problem
    factor, residual, deviations = np.ones(problem.n_obs), problem.innovation.copy(), np.zeros(problem.n_obs)
    if options.largest is not None:
        factor[np.abs(problem.innovation) > options.largest] = np.inf
    if options.rule == "iterative":
        _reject(options, made, solve, factor, residual, deviations)
    elif options.rule == "huber":
        _enlarge(options, made, solve, factor, residual, deviations)
    touched = factor > 1.0
    _refuse_too_many(options, made, touched)
    rows = {
        n: made.observations[n].filter(pa.array(touched))
        for n in ("obs_id", "source", "platform", "time", "value")
    }
    rows |= {
        "departure": pa.array(residual[touched]),
        "deviations": pa.array(np.where(deviations == 0.0, np.nan, deviations)[touched]),
        "factor": pa.array(factor[touched]),
    }
    table = pa.table(rows).replace_schema_metadata({b"obsnet:contract": b"screened", b"obsnet:version": b"1"})
    left = _with_errors(made, factor)
    rejected = int(np.isinf(factor).sum())
    counts = left.counts | {
        "used": left.problem.n_obs,
        "screened": rejected,
        "held_loosely": int(touched.sum()) - rejected,
    }
    return Screened(replace(left, counts=counts), table)


def _reject(
    options: ScreenOptions,
    made: Assembled,
    solve: Callable[[Problem], Posterior],
    factor: Floats,
    residual: Floats,
    deviations: Floats,
) -> None:
    """Reject what others contradict, the worst first: a bad row makes good ones beside it look bad."""
    for _ in range(_ROUNDS):
        kept = np.flatnonzero(np.isfinite(factor))
        posterior = solve(made.select(np.isfinite(factor)).problem)
        if not posterior.factorised:
            raise ConfigError(
                "[invert.screen] rule 'iterative' needs a factorisation, to know what each row's own neighbours say; "
                f"method {posterior.method!r} only samples that: take rule = 'huber', or method = 'dual' or 'primal'"
            )
        away, z = departures(posterior)
        beyond = np.flatnonzero(np.abs(z) > options.limit)
        if beyond.size == 0:
            return
        # of rows beyond the limit, those that no worse one may have made so: at least half as far as the worst
        worst = beyond[np.abs(z[beyond]) >= 0.5 * np.abs(z[beyond]).max()]
        factor[kept[worst]] = np.inf
        residual[kept[worst]], deviations[kept[worst]] = away[worst], z[worst]
    raise ConfigError(
        f"[invert.screen] still rejects after {_ROUNDS} rounds: limit {options.limit:g} is too narrow for these errors"
    )


def _enlarge(
    options: ScreenOptions,
    made: Assembled,
    solve: Callable[[Problem], Posterior],
    factor: Floats,
    residual: Floats,
    deviations: Floats,
) -> None:
    """Enlarge errors until no row pulls harder than at the limit (Huber 1964, doi:10.1214/aoms/1177703732)."""
    for _ in range(_ROUNDS):
        kept = np.flatnonzero(np.isfinite(factor))
        now = _with_errors(made, factor)
        posterior = solve(now.problem)
        after = posterior.residual
        own = np.sqrt(made.problem.observation_error.diagonal()[kept])
        z = after / own
        wanted = np.sqrt(np.maximum(np.abs(z) / options.limit, 1.0))
        residual[kept], deviations[kept] = after, z
        settled = np.abs(wanted / factor[kept] - 1.0).max(initial=0.0) < _SETTLED
        factor[kept] = wanted
        if settled:
            return
    raise ConfigError(
        f"[invert.screen] Huber's weights did not settle in {_ROUNDS} rounds; take rule = 'iterative'"
    )


def _with_errors(made: Assembled, factor: Floats) -> Assembled:
    """Return the problem with standard deviations times a factor, without rows whose factor is infinite."""
    kept = np.isfinite(factor)
    left = made.select(kept) if not kept.all() else made
    if (factor[kept] == 1.0).all():
        return left
    grown = factor[kept]
    errors = replace(left.errors, own=left.errors.own * grown**2, model=left.errors.model * grown)
    return replace(left, errors=errors, problem=left.problem.with_(observation_error=errors.covariance()))


def _refuse_too_many(options: ScreenOptions, made: Assembled, touched: np.ndarray) -> None:
    source = made.problem.labels("source")
    for name in np.unique(source):
        rows = source == name
        share = float(touched[rows].mean())
        if share > options.most:
            raise ConfigError(
                f"[invert.screen] would reject or loosen {share:.0%} of {int(rows.sum())} observations of {name!r}, "
                f"more than most = {options.most:g}: its errors in [invert.error] are too small, or it is biased "
                "([invert.offset])"
            )
