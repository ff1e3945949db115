"""The assumed errors of a case, estimated from its observations: which parameters there are, and the case with them.

Each parameter is a key of the case file, so that what is found can be written there. See
`inversion.errors.hyperparameters` for the likelihood.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import scipy.linalg as la

from inversion.case.assemble import Assembled
from inversion.case.blocks.shared_errors import OVERPASS
from inversion.case.options import InvertOptions, LikelihoodOptions
from inversion.errors.hyperparameters import (
    KroneckerTerm,
    MatrixTerm,
    ModelErrorTerm,
    VarianceModel,
    VarianceTerm,
    fit_hyperparameters,
)
from inversion.operators.covariance import LowRankCovariance, SumCovariance, project
from inversion.operators.kernels import grid_distance
from inversion.problem.basis import block_error
from obsnet.errors import ConfigError
from obsnet.typing import Bools, Floats

__all__ = ["Estimate", "EstimatedErrors", "error_model", "estimate_errors"]

# What a key of the case file is, for `[invert.likelihood] estimate`.
_KINDS = {
    "relative": "prior_sigma",
    "sigma": "prior_sigma",
    "gradient": "prior_sigma",
    "regional_relative": "prior_sigma",
    "correlation_km": "length_km",
    "correlation_days": "days",
}
_SHARE = "error.overpass_share"


@dataclass(frozen=True)
class Estimate:
    """One estimated parameter.

    Attributes
    ----------
    key : str
        Within ``[invert]``.
    assumed, estimated : float
        What the case says, and what the observations say; factors where the case gives several numbers in one key.
    relative_error : float
        Standard error of the logarithm. Infinite where the observations do not tell, because the estimate ran to a
        tenth or ten times of what was assumed, or was uncertain by more than a factor of three: it stays as assumed.
    """

    key: str
    assumed: float
    estimated: float
    relative_error: float

    @property
    def determined(self) -> bool:
        """Whether the observations tell."""
        return bool(np.isfinite(self.relative_error))

    def __str__(self) -> str:
        if not self.determined:
            return f"{self.key}: stays {self.assumed:.3g}, the observations do not determine it"
        return f"{self.key}: {self.estimated:.3g}, assumed {self.assumed:.3g} (± {self.relative_error:.0%})"


@dataclass(frozen=True, eq=False)
class EstimatedErrors:
    """What the observations say of the assumed errors.

    Attributes
    ----------
    rows : tuple of Estimate
    options : InvertOptions
        The case with them.
    log_likelihood_assumed, log_likelihood : float
        As assumed, and with the estimates.
    n_obs : int
        Observations the estimate was made from.
    restricted : bool
    """

    rows: tuple[Estimate, ...]
    options: InvertOptions
    log_likelihood_assumed: float
    log_likelihood: float
    n_obs: int
    restricted: bool


def estimate_errors(
    options: InvertOptions, made: Assembled, report: Callable[[str], None] = lambda _line: None
) -> EstimatedErrors:
    """Estimate the errors that ``[invert.likelihood]`` asks for.

    Parameters
    ----------
    options : InvertOptions
        The case; gives first guesses.
    made : Assembled
        Its problem.
    report : callable
        Takes lines for people.

    Raises
    ------
    ConfigError
        Nothing of what is asked for is there.
    """
    choice = options.likelihood or LikelihoodOptions()
    part = made.select(_thinned(made, choice.observations))
    if part.problem.n_obs < made.problem.n_obs:
        report(f"likelihood of {part.problem.n_obs} of {made.problem.n_obs} observations, taken evenly")
    model = error_model(options, part, restricted=choice.restricted)
    free = [n for n in model.parameters if _kind(n) in choice.estimate]
    if not free:
        raise ConfigError(
            f"[invert.likelihood] nothing to estimate of {', '.join(choice.estimate)}; the case has: "
            + (", ".join(n for n in model.parameters if _kind(n)) or "no error that can be estimated")
        )
    first = model.parameters
    values, error, likelihood = dict(first), {}, (start := -model.loss(first)[0])
    told = list(free)
    while told:  # what the observations do not tell stays as it is, and the rest is estimated again
        fit = fit_hyperparameters(model, free=told, factor=10.0, most={_SHARE: 0.95})
        unsure = [n for n in told if n in fit.at_bounds or fit.relative_error[n] > np.log(3.0)]
        if not unsure:
            values, error, likelihood = fit.values, fit.relative_error, fit.log_likelihood
            break
        told = [n for n in told if n not in unsure]
    plain = options.model_dump(exclude_unset=True)
    rows = []
    for name in free:
        assumed, estimated = _write(plain, options, name, values[name], first[name])
        rows.append(Estimate(name, assumed, estimated, error.get(name, np.inf)))
        report(str(rows[-1]))
    changed = InvertOptions.model_validate(plain)
    return EstimatedErrors(tuple(rows), changed, start, likelihood, part.problem.n_obs, choice.restricted)


def _thinned(made: Assembled, most: int) -> Bools:
    """Choose observations evenly over platforms and times."""
    n = made.problem.n_obs
    chosen = np.ones(n, dtype=bool)
    if n > most:
        platform = made.problem.labels("platform")
        order = np.lexsort((made.observations["time"].to_numpy(), platform))
        chosen[:] = False
        chosen[order[np.linspace(0, n - 1, most).round().astype(np.int64)]] = True
    return chosen


def _kind(name: str) -> str | None:
    """Return what a parameter is, None where no key of the case gives it."""
    if name.startswith("error."):
        return "error"
    return _KINDS.get(name.rsplit(".", 1)[1])


def _write(
    plain: dict[str, Any], options: InvertOptions, name: str, value: float, first: float
) -> tuple[float, float]:
    """Put a parameter into the plain options; return what was assumed and what is estimated."""
    table, *rest = name.split(".", 1) if not name.startswith("sector.") else name.rsplit(".", 1)
    place, given = plain, options.model_dump()
    for step in table.split(".", 1):
        place, given = place.setdefault(step, {}), given[step]
    key = rest[0]
    if table == "error" and "." in key:  # names of sources and platforms may have dots
        inner, key = key.split(".", 1)
        place, given = place[inner], given[inner]
    assumed = given[key]
    factor = value / first
    if isinstance(assumed, dict):
        place[key] = {k: factor * v for k, v in assumed.items()}
        return 1.0, factor
    place[key] = factor * assumed
    return float(assumed), float(factor * assumed)


def error_model(options: InvertOptions, made: Assembled, *, restricted: bool) -> VarianceModel:
    """Return the likelihood of a case's errors.

    Parameters
    ----------
    options : InvertOptions
    made : Assembled
        With at most some thousands of observations.
    restricted : bool
        Integrate out one factor on each solved sector's prior and, where the inflow is solved, one constant background:
        they would otherwise count as spread.
    """
    problem, state = made.problem, made.problem.state
    assert state is not None
    distance = grid_distance(made.grid.lat, made.grid.lon)
    terms: list[VarianceTerm] = []
    columns: list[Floats] = []
    for block in state.blocks:
        if block.name == OVERPASS:  # a part of the model error, below
            continue
        matrix, error = problem.jacobian[:, state.span(block.name)], block_error(problem, block.name)
        if block.name not in made.sectors:
            terms.append(MatrixTerm(_beside_fluxes(block.name), project(matrix, error)))
            continue
        sector, middle = options.sector[block.name], made.bins[block.name].middle
        time = middle.astype("datetime64[us]").astype(np.int64) / 86400e6
        lags, days = np.abs(time[:, None] - time), sector.correlation_days if time.size > 1 else 0.0
        path, size = f"sector.{block.name}.", "relative" if sector.sigma is None else "sigma"
        for part in error.parts if isinstance(error, SumCovariance) else (error,):
            length, key, h, spread, apart = sector.correlation_km, size, matrix, part.diagonal(), distance
            if isinstance(part, LowRankCovariance):  # common to whole regions: regions for cells
                length, key, h = 0.0, "regional_relative", matrix @ part.patterns
                spread, apart = np.ones(h.shape[1]), 1.0 - np.eye(h.shape[1] // time.size)
            names = (path + key, path + "correlation_km", path + "correlation_days")
            terms.append(KroneckerTerm(names, h, np.sqrt(spread), apart, lags, length, days, sector.kernel))
        columns.append(np.asarray(matrix @ problem.prior[state.span(block.name)]))
    if "boundary" in state.names:
        columns.append(np.ones(problem.n_obs))
    noise = _model_error(made)
    terms += [noise] if noise.sigma else []
    trend = _independent(np.stack(columns, axis=1)) if restricted and columns else None
    return VarianceModel(problem.innovation, terms, made.errors.own, trend)


def _beside_fluxes(block: str) -> str:
    """Return the key of the error of a block that is no flux; a stated systematic uncertainty has none."""
    keys = {"boundary": "boundary.sigma", "offset": "offset.sigma", "gradient": "offset.gradient"}
    return keys.get(block, f"{block}.stated")


def _model_error(made: Assembled) -> ModelErrorTerm:
    errors = made.errors
    model = np.hypot(errors.model, errors.common)
    keys = [k for k in np.unique(errors.key) if model[errors.key == k].any()]
    sigma = {f"error.{k}": np.where(errors.key == k, model, 0.0) for k in keys}
    memory = {f"error.{m}": errors.memory == m for m in errors.length if (errors.memory == m).any()}
    length = {name: errors.length[name.removeprefix("error.")] for name in memory}
    shared = errors.common > 0.0
    share = {_SHARE: float((errors.common[shared] ** 2 / model[shared] ** 2).mean())} if shared.any() else {}
    overpass = np.where(shared, np.unique(errors.overpass, return_inverse=True)[1], -1)
    return ModelErrorTerm(sigma, memory, length, errors.group, errors.position, share, overpass)


def _independent(columns: Floats) -> Floats:
    """Return the columns that the observations can tell apart, of unit length."""
    size = np.linalg.norm(columns, axis=0)
    scaled = columns[:, size > 0.0] / size[size > 0.0]
    _, r, order = la.qr(scaled, mode="economic", pivoting=True)
    seen = np.abs(np.diagonal(r)) > 1e-8
    return np.ascontiguousarray(scaled[:, np.sort(order[: seen.size][seen])])
