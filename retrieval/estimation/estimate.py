"""Spectra and a forward model to states: many soundings at once, each converging by itself."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numba
import numpy as np
import numpy.typing as npt
import xarray as xr

from obsnet.errors import RangeError, SchemaError, nearest
from obsnet.typing import Bools, Floats, Ints
from retrieval.estimation import solver
from retrieval.estimation.options import RetrievalOutcome, SolverOptions

__all__ = ["ForwardModel", "estimate"]

ForwardModel = Callable[[Floats, Ints], tuple[Floats, Floats]]
"""States (rows, n) and which soundings they are (rows,) to modelled measurement (rows, m) and Jacobian (rows, m, n)."""

_OUTCOMES = {
    solver.TOO_LONG: RetrievalOutcome.MAX_ITERATIONS,
    solver.DIVERGED: RetrievalOutcome.MAX_DIVERGENCES,
    solver.NOT_FINITE: RetrievalOutcome.NOT_FINITE,
}
_EXTRAS = ("gain", "jacobian", "modelled")


def estimate(
    forward: ForwardModel,
    measurement: npt.ArrayLike,
    variance: npt.ArrayLike,
    prior: npt.ArrayLike,
    prior_covariance: npt.ArrayLike,
    *,
    first_guess: npt.ArrayLike | None = None,
    use: npt.ArrayLike | None = None,
    bands: npt.ArrayLike | None = None,
    names: Sequence[str] | None = None,
    keep: Sequence[str] = (),
    options: SolverOptions | None = None,
) -> xr.Dataset:
    r"""Return the maximum a posteriori states of soundings, with covariance, averaging kernel and outcome.

    Parameters
    ----------
    forward : callable
        `ForwardModel`: ``forward(state, which)`` returns F (rows, m) and K = dF/dx (rows, m, n) of soundings `which`.
    measurement : array_like, shape (rows, m) or (m,)
        y. A channel that is NaN in a sounding is not used there; how many were, the result says.
    variance : array_like, shape (rows, m) or (m,)
        Variance of the noise of each channel (S_eps is diagonal), in the square of the measurement's unit.
        Infinity or NaN leaves a channel out.
    prior : array_like, shape (n,) or (rows, n)
        x_a.
    prior_covariance : array_like, shape (n, n) or (rows, n, n)
        S_a, symmetric, with a positive diagonal.
    first_guess : array_like, shape (n,) or (rows, n), optional
        Where to start; the prior by default.
    use : array_like of bool, shape (rows, m) or (m,), optional
        False leaves a channel out (saturated, spiked, outside the window).
    bands : array_like of int, shape (m,), optional
        Number of the band of each channel, from 0; the fit is judged band by band. One band by default.
    names : sequence of str, optional
        Of the n elements.
    keep : sequence of {"gain", "jacobian", "modelled"}
        Large results to keep as well, of the last state at which the model was linearised.
    options : SolverOptions, optional
        Settings.

    Returns
    -------
    xarray.Dataset
        Dimensions ``sounding``, ``state`` and ``state_2`` (the same elements again), ``band``, ``channel``.
        ``value`` (the state), ``prior``, ``uncertainty``, ``covariance``, ``noise_covariance``,
        ``averaging_kernel`` (rows answer to the truth in columns), ``degrees_of_freedom``, ``information`` (nats),
        ``outcome`` (`RetrievalOutcome`), ``iterations``, ``divergences``, ``gamma`` (of the last step), ``cost``,
        ``chi2`` (reduced, by band), ``channels`` (used, by band) and ``seen`` (which elements the measurement sees).
        NaN where there is no result (outcomes 5 and 6). A sounding that did not converge keeps its last accepted
        state: judge by ``outcome``.

    Raises
    ------
    SchemaError
        Shapes that do not fit, a covariance that is not symmetric.
    RangeError
        A variance that is negative or zero, a covariance with a diagonal that is not positive or eigenvalues below
        zero, a prior that is not finite.

    Notes
    -----
    Minimises ``(y - F)^T S_eps^-1 (y - F) + (x - x_a)^T S_a^-1 (x - x_a)``. The posterior and ``chi2`` stand at the
    last linearisation, from which the converged state differs by one step that was expected to lower the cost by
    less than ``threshold`` an element. An element that the forward model ignores stays at the first guess and keeps
    its prior variance. Rodgers (2000), Inverse Methods for Atmospheric Sounding, chapters 2, 3 and 5; Connor et al.
    (2008), doi:10.1029/2006JD008336; O'Dell et al. (2012), doi:10.5194/amt-5-99-2012.

    Examples
    --------
    >>> slope = np.array([[1.0, 0.0], [1.0, 1.0], [1.0, 2.0]])
    >>> def line(state, which):
    ...     return state @ slope.T, np.broadcast_to(slope, (len(state), 3, 2))
    >>> result = estimate(line, [1.0, 3.0, 5.0], [0.01] * 3, [0.0, 0.0], np.eye(2) * 1e4, names=["offset", "slope"])
    >>> result.value.values.round(2), int(result.outcome[0])
    (array([[1., 2.]]), 1)
    """
    settings = options or SolverOptions()
    y = np.atleast_2d(np.asarray(measurement, dtype=np.float64))
    rows, m = y.shape
    weight, used = _weights(y, variance, use)
    x_a, s_a = _prior(prior, prior_covariance, rows)
    n = x_a.shape[-1]
    start = (
        x_a.copy()
        if first_guess is None
        else np.array(_spread(first_guess, (rows, n), "first_guess"), order="C")
    )
    if not np.isfinite(start).all():
        raise RangeError("the first guess must be finite")
    band = np.zeros(m, dtype=np.int64) if bands is None else np.asarray(bands)
    if band.shape != (m,) or band.dtype.kind not in "iu" or (len(band) and band.min() < 0):
        raise SchemaError(f"bands must be {m} numbers from 0 on, found shape {band.shape} of {band.dtype}")
    for name in keep:
        if name not in _EXTRAS:
            raise SchemaError(f"keep={name!r} is unknown{nearest(name, _EXTRAS)}")
    labels = [f"x{i}" for i in range(n)] if names is None else list(names)
    if len(labels) != n:
        raise SchemaError(f"{n} elements need as many names, found {len(labels)}")
    scale = np.sqrt(np.diagonal(s_a, axis1=-2, axis2=-1))
    results = _Results(rows, m, n, int(band.max(initial=0)) + 1, tuple(keep))
    for first in range(0, rows, settings.block):
        block = slice(first, min(first + settings.block, rows))
        priors = block if len(s_a) > 1 else slice(None)
        _solve_block(
            forward,
            results,
            block,
            np.where(used[block], y[block], 0.0),
            weight[block],
            x_a[block],
            s_a[priors],
            scale[priors],
            start[block],
            band,
            settings,
        )
    return _dataset(results, labels, x_a, settings)


def _spread(values: npt.ArrayLike, shape: tuple[int, ...], name: str) -> Floats:
    array = np.asarray(values, dtype=np.float64)
    try:
        return np.broadcast_to(array, shape)
    except ValueError:
        raise SchemaError(f"{name} must have shape {shape} or {shape[1:]}, found {array.shape}") from None


def _weights(y: Floats, variance: npt.ArrayLike, use: npt.ArrayLike | None) -> tuple[Floats, Bools]:
    """Return 1 / variance, 0 where a channel is not used, and which are."""
    s = _spread(variance, y.shape, "variance")
    if (s <= 0.0).any():
        row, channel = np.argwhere(s <= 0.0)[0]
        raise RangeError(
            f"sounding {row}, channel {channel}: variance {s[row, channel]:g}; noise must have a positive variance; "
            "leave a channel out by `use` or infinity"
        )
    used = np.isfinite(y) & np.isfinite(s)
    if use is not None:
        mask = np.asarray(use)
        if mask.dtype != bool:
            raise SchemaError(f"use must be boolean, found {mask.dtype}")
        used = used & (_spread(mask, y.shape, "use") > 0.0)
    return np.divide(1.0, s, out=np.zeros(y.shape), where=used), used


def _prior(prior: npt.ArrayLike, covariance: npt.ArrayLike, rows: int) -> tuple[Floats, Floats]:
    s = np.asarray(covariance, dtype=np.float64)
    if s.ndim == 2:
        s = s[None]
    if s.ndim != 3 or s.shape[1] != s.shape[2] or s.shape[0] not in (1, rows):
        raise SchemaError(
            f"prior_covariance must be (n, n) or ({rows}, n, n), found shape {np.shape(covariance)}"
        )
    x = np.ascontiguousarray(_spread(prior, (rows, s.shape[1]), "prior"))
    diagonal = np.diagonal(s, axis1=1, axis2=2)
    if not (np.isfinite(x).all() and np.isfinite(s).all()):
        raise RangeError("prior and prior_covariance must be finite")
    if not (diagonal > 0.0).all():
        _, element = np.argwhere(~(diagonal > 0.0))[0]
        raise RangeError(
            f"element {element}: prior variance {diagonal.min():g}; take an element that is known out of the state"
        )
    root = np.sqrt(diagonal)
    correlation = s / (root[:, :, None] * root[:, None, :])
    if np.abs(correlation - np.swapaxes(correlation, 1, 2)).max(initial=0.0) > 1e-6:
        raise SchemaError("prior_covariance is not symmetric")
    lowest = np.linalg.eigvalsh(correlation)
    if (lowest[:, 0] < -1e-8 * lowest[:, -1]).any():
        raise RangeError(
            f"prior_covariance has a negative eigenvalue ({lowest[:, 0].min():.3g} of its correlation): "
            "no covariance has"
        )
    return x, s


class _Results:
    """What is filled block by block."""

    def __init__(self, rows: int, m: int, n: int, bands: int, keep: tuple[str, ...]) -> None:
        self.state = np.full((rows, n), np.nan)
        self.covariance, self.noise_covariance, self.averaging_kernel = np.full((3, rows, n, n), np.nan)
        self.degrees, self.information, self.cost, self.gamma = np.full((4, rows), np.nan)
        self.outcome = np.full(rows, int(RetrievalOutcome.NO_DATA), dtype=np.int8)
        self.iterations, self.divergences = np.zeros((2, rows), dtype=np.int64)
        self.chi2 = np.full((rows, bands), np.nan)
        self.channels = np.zeros((rows, bands), dtype=np.int64)
        self.seen = np.zeros((rows, n), dtype=bool)
        shapes = {"gain": (rows, n, m), "jacobian": (rows, m, n), "modelled": (rows, m)}
        self.extra = {name: np.full(shapes[name], np.nan) for name in keep}


def _solve_block(
    forward: ForwardModel,
    results: _Results,
    block: slice,
    y: Floats,
    weight: Floats,
    x_a: Floats,
    s_a: Floats,
    scale: Floats,
    start: Floats,
    band: Ints,
    settings: SolverOptions,
) -> None:
    rows, n = x_a.shape
    correlation = s_a / (scale[:, :, None] * scale[:, None, :])
    whole = np.ones(n, dtype=bool)
    pairs = [solver.factorise(np.ascontiguousarray(c), whole, solver.CONDITION) for c in correlation]
    factor, inverse = (np.stack([pair[i] for pair in pairs]) for i in (0, 1))
    state, last = np.array(start), np.array(start)
    normal, gradient = np.zeros((rows, n, n)), np.zeros((rows, n))
    chi2 = np.full((rows, results.chi2.shape[1]), np.nan)
    numbers = np.zeros((rows, solver.STATE))
    numbers[:, solver.GAMMA] = settings.gamma
    kept: dict[int, tuple[Floats, Floats]] = {}
    decided = np.full(rows, solver.GO_ON)
    active = np.flatnonzero((weight > 0.0).any(axis=1))
    counts = np.stack([(weight[:, band == b] > 0.0).sum(axis=1) for b in range(chi2.shape[1])], axis=1)
    while len(active):
        modelled, jacobian = _run(forward, state[active], active + block.start, y.shape[1], n)
        before = last[active]
        _advance_many(
            active,
            state,
            jacobian,
            modelled,
            y,
            weight,
            x_a,
            scale,
            correlation,
            factor,
            inverse,
            last,
            normal,
            gradient,
            chi2,
            band,
            numbers,
            decided,
            settings.threshold,
            settings.max_iterations,
            settings.max_divergences,
            solver.CONDITION,
        )
        if results.extra:
            for place, row in enumerate(active.tolist()):
                if row not in kept or (last[row] != before[place]).any():
                    kept[row] = (modelled[place].copy(), jacobian[place].copy())
        active = active[decided[active] == solver.GO_ON]
    _finish(results, block, state, normal, scale, correlation, numbers, decided, chi2, counts, settings)
    for row, (modelled, jacobian) in kept.items():
        if decided[row] == solver.NOT_FINITE:
            continue
        if "modelled" in results.extra:
            results.extra["modelled"][block.start + row] = modelled
        if "jacobian" in results.extra:
            results.extra["jacobian"][block.start + row] = jacobian
        if "gain" in results.extra:
            seen = results.covariance[block.start + row] * (np.diag(normal[row]) > 0.0)
            results.extra["gain"][block.start + row] = seen @ (jacobian * weight[row][:, None]).T


def _run(forward: ForwardModel, state: Floats, which: Ints, m: int, n: int) -> tuple[Floats, Floats]:
    modelled, jacobian = (np.ascontiguousarray(a, dtype=np.float64) for a in forward(state, which))
    if modelled.shape != (len(which), m) or jacobian.shape != (len(which), m, n):
        raise SchemaError(
            f"the forward model must return shapes {(len(which), m)} and {(len(which), m, n)}, "
            f"found {modelled.shape} and {jacobian.shape}"
        )
    return modelled, jacobian


@numba.njit(cache=True)
def _advance_many(
    active: Ints,
    state: Floats,
    jacobian: Floats,
    modelled: Floats,
    y: Floats,
    weight: Floats,
    x_a: Floats,
    scale: Floats,
    correlation: Floats,
    factor: Floats,
    inverse: Floats,
    last: Floats,
    normal: Floats,
    gradient: Floats,
    chi2: Floats,
    band: Ints,
    numbers: Floats,
    decided: Ints,
    threshold: float,
    max_iterations: int,
    max_divergences: int,
    condition: float,
) -> None:
    m = y.shape[1]
    for k in range(len(active)):
        row = active[k]
        shared = min(row, len(scale) - 1)
        residual = np.empty(m)
        for i in range(m):
            residual[i] = y[row, i] - modelled[k, i]
        divergences = numbers[row, solver.DIVERGENCES]
        decided[row] = solver.advance(
            state[row],
            jacobian[k],
            residual,
            weight[row],
            x_a[row],
            scale[shared],
            correlation[shared],
            factor[shared],
            inverse[shared],
            last[row],
            normal[row],
            gradient[row],
            numbers[row],
            threshold,
            max_iterations,
            max_divergences,
            condition,
        )
        if numbers[row, solver.DIVERGENCES] == divergences and decided[row] < solver.DIVERGED:
            chi2[row] = 0.0
            for i in range(m):
                if weight[row, i] > 0.0:
                    chi2[row, band[i]] += residual[i] * residual[i] * weight[row, i]


def _finish(
    results: _Results,
    block: slice,
    state: Floats,
    normal: Floats,
    scale: Floats,
    correlation: Floats,
    numbers: Floats,
    decided: Ints,
    chi2: Floats,
    counts: Ints,
    settings: SolverOptions,
) -> None:
    """Write what became of a block's soundings."""
    results.channels[block] = counts
    known = counts.any(axis=1) & (decided != solver.NOT_FINITE)
    with np.errstate(divide="ignore", invalid="ignore"):
        reduced = np.where(counts > 0, chi2 / counts, np.nan)
        poor = ((counts > 0) & ~(reduced < settings.max_chi2)).any(axis=1)
    outcome = np.where(poor, RetrievalOutcome.CONVERGED_POOR_FIT, RetrievalOutcome.CONVERGED)
    for decision, code in _OUTCOMES.items():
        outcome[decided == decision] = code
    outcome[~counts.any(axis=1)] = RetrievalOutcome.NO_DATA
    results.outcome[block] = outcome
    results.iterations[block] = numbers[:, solver.ITERATIONS].astype(np.int64)
    results.divergences[block] = numbers[:, solver.DIVERGENCES].astype(np.int64)
    rows = np.flatnonzero(known)
    place = rows + block.start
    results.state[place], results.chi2[place] = state[rows], reduced[rows]
    results.cost[place], results.gamma[place] = (
        numbers[rows, solver.COST],
        numbers[rows, solver.GAMMA],
    )
    results.seen[place] = np.diagonal(normal[rows], axis1=1, axis2=2) > 0.0
    _characterise_many(
        rows,
        block.start,
        normal,
        scale,
        correlation,
        solver.CONDITION,
        results.covariance,
        results.noise_covariance,
        results.averaging_kernel,
        results.degrees,
        results.information,
    )


@numba.njit(cache=True)
def _characterise_many(
    rows: Ints,
    start: int,
    normal: Floats,
    scale: Floats,
    correlation: Floats,
    condition: float,
    covariance: Floats,
    noise: Floats,
    kernel: Floats,
    degrees: Floats,
    information: Floats,
) -> None:
    for row in rows:
        shared, place = min(row, len(scale) - 1), start + row
        posterior, part, response, signal, gained = solver.characterise(
            normal[row], scale[shared], correlation[shared], condition
        )
        covariance[place], noise[place], kernel[place] = posterior, part, response
        degrees[place], information[place] = signal, gained


def _dataset(results: _Results, names: list[str], prior: Floats, settings: SolverOptions) -> xr.Dataset:
    square = ("sounding", "state", "state_2")
    variance = np.diagonal(results.covariance, axis1=1, axis2=2)
    outcome: dict[str, Any] = {
        "flag_values": np.array([o.value for o in RetrievalOutcome], dtype=np.int8),
        "flag_meanings": " ".join(o.name.lower() for o in RetrievalOutcome),
    }
    variables: dict[str, Any] = {
        "value": (("sounding", "state"), results.state),
        "prior": (("sounding", "state"), prior),
        "uncertainty": (("sounding", "state"), np.sqrt(np.maximum(variance, 0.0))),
        "covariance": (square, results.covariance),
        "noise_covariance": (square, results.noise_covariance),
        "averaging_kernel": (square, results.averaging_kernel),
        "degrees_of_freedom": ("sounding", results.degrees),
        "information": ("sounding", results.information, {"units": "nat"}),
        "outcome": ("sounding", results.outcome, outcome),
        "iterations": ("sounding", results.iterations),
        "divergences": ("sounding", results.divergences),
        "gamma": ("sounding", results.gamma),
        "cost": ("sounding", results.cost),
        "chi2": (("sounding", "band"), results.chi2),
        "channels": (("sounding", "band"), results.channels),
        "seen": (("sounding", "state"), results.seen),
    }
    shapes = {
        "gain": ("sounding", "state", "channel"),
        "jacobian": ("sounding", "channel", "state"),
        "modelled": ("sounding", "channel"),
    }
    variables |= {name: (shapes[name], values) for name, values in results.extra.items()}
    return xr.Dataset(
        variables,
        coords={"state": names, "state_2": names},
        attrs={f"solver_{name}": value for name, value in settings.model_dump().items()},
    )
