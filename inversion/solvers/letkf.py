"""The local ensemble transform Kalman filter: an ensemble instead of a covariance, column by column.

With X the prior perturbations (k members), Y = H X and ``B = X X' / (k - 1)``, a column solves in the space
of the members::

    P~ = [(k - 1) I + Y' R^-1 Y]^-1      x_a = x_b + X P~ Y' R^-1 d      X_a = X [(k - 1) P~]^1/2

(Hunt, Kostelich & Szunyogh 2007, Physica D 230, 112, doi:10.1016/j.physd.2006.11.008). The symmetric root
keeps the mean of the members and lets neighbouring columns change alike. Localisation divides R by the weight
of each observation. Value, error and sensitivity come from one list of observations a column, so they cannot
belong to different soundings.
"""

from __future__ import annotations

import numba
import numpy as np
import numpy.typing as npt
import scipy.sparse as sp
from threadpoolctl import threadpool_limits

from inversion.operators.covariance import DiagonalCovariance
from inversion.operators.observation_error import subset
from inversion.problem.posterior import Posterior
from inversion.problem.problem import Problem
from inversion.solvers.ensemble import Analysis
from inversion.solvers.localisation import Localisation, nearby
from inversion.solvers.members import EnsembleCovariance, EnsembleSystem, LocalSystem, prior_ensemble
from obsnet.errors import ConfigError, SolverError
from obsnet.typing import Floats, Ints
from obsnet.work.progress import progress

_AT_ONCE = 512  # columns between two lines of progress
__all__ = ["analyse", "solve_letkf", "transform"]


@numba.njit(cache=True)
def transform(information: Floats, weighted: Floats, members: int) -> tuple[Floats, Floats]:
    """Return the weights of one column from ``Y' R^-1 Y`` and ``Y' R^-1 d``.

    Parameters
    ----------
    information : ndarray, shape (k, k)
        Symmetric.
    weighted : ndarray, shape (k,)
        Right-hand side.
    members : int
        k.

    Returns
    -------
    mean (k,), root (k, k) : ndarray
        ``P~ Y' R^-1 d`` and ``[(k - 1) P~]^1/2``.
    """
    values, vectors = np.linalg.eigh(information)
    spread = members - 1.0 + np.maximum(values, 0.0)
    mean = vectors @ ((vectors.T @ weighted) / spread)
    root = (vectors * np.sqrt((members - 1.0) / spread)) @ vectors.T
    return mean, root


@numba.njit(cache=True)
def _information(
    y: Floats, innovation: Floats, precision: Floats, obs: Ints, weight: Floats
) -> tuple[Floats, Floats]:  # pragma: no cover - compiled
    """Return ``Y' R^-1 Y`` and ``Y' R^-1 d`` over a list of observations, four at a time."""
    k, n = y.shape[1], obs.size
    total, right = np.zeros((k, k)), np.zeros(k)
    whole = n - n % 4
    for i in range(0, whole, 4):
        ia, ib, ic, ie = obs[i], obs[i + 1], obs[i + 2], obs[i + 3]
        a, b, c, e = y[ia], y[ib], y[ic], y[ie]
        wa, wb = precision[ia] * weight[i], precision[ib] * weight[i + 1]
        wc, we = precision[ic] * weight[i + 2], precision[ie] * weight[i + 3]
        for r in range(k):
            sa, sb, sc, se = wa * a[r], wb * b[r], wc * c[r], we * e[r]
            row = total[r]
            for s in range(r + 1):
                row[s] += sa * a[s] + sb * b[s] + sc * c[s] + se * e[s]
            right[r] += sa * innovation[ia] + sb * innovation[ib] + sc * innovation[ic] + se * innovation[ie]
    for i in range(whole, n):
        a, w = y[obs[i]], precision[obs[i]] * weight[i]
        for r in range(k):
            for s in range(r + 1):
                total[r, s] += w * a[r] * a[s]
            right[r] += w * a[r] * innovation[obs[i]]
    for r in range(k):
        for s in range(r):
            total[s, r] = total[r, s]
    return total, right


@numba.njit(cache=True)
def _update(
    x: Floats, mean: Floats, rows: Ints, step: Floats, root: Floats, relaxation: float
) -> Floats:  # pragma: no cover - compiled
    """Change the rows of one column in place; return their old perturbations."""
    k = x.shape[1]
    old = np.empty((rows.size, k))
    for i in range(rows.size):
        old[i] = x[rows[i]]
    new, moved = np.dot(old, root), np.dot(old, step)
    for i in range(rows.size):
        factor = 1.0
        if relaxation > 0.0:
            before, after = np.dot(old[i], old[i]), np.dot(new[i], new[i])
            if after > 0.0:
                factor += relaxation * (np.sqrt(before / after) - 1.0)
        mean[rows[i]] += moved[i]
        for j in range(k):
            x[rows[i], j] = factor * new[i, j]
    return old


@numba.njit(cache=True, parallel=True)
def _columns(
    y: Floats,
    innovation: Floats,
    precision: Floats,
    points: Floats,
    places: Floats,
    radius: float,
    limit: int,
    first: Ints,
    rows: Ints,
    x: Floats,
    mean: Floats,
    relaxation: float,
    h_data: Floats,
    h_rows: Ints,
    h_start: Ints,
    trace: Floats,
) -> None:  # pragma: no cover - compiled
    """Analyse columns in place; `h_*` is H by columns, empty where its trace is not wanted."""
    k = y.shape[1]
    for column in numba.prange(places.shape[0]):
        obs, weight = nearby(places[column], points, radius, limit)
        if obs.size == 0:
            continue
        information, right = _information(y, innovation, precision, obs, weight)
        step, root = transform(information, right, k)
        these = rows[first[column] : first[column + 1]]
        old = _update(x, mean, these, step, root, relaxation)
        if trace.size == 0:
            continue
        local = np.zeros(y.shape[0])
        for i in range(obs.size):
            local[obs[i]] = weight[i] * precision[obs[i]]
        gain = np.dot(old, np.dot(root, root)) / (k - 1.0)
        for i in range(these.size):
            for e in range(h_start[these[i]], h_start[these[i] + 1]):
                j = h_rows[e]
                if local[j] > 0.0:
                    trace[these[i]] += h_data[e] * local[j] * np.dot(gain[i], y[j])


def analyse(
    problem: Problem,
    mean: Floats,
    x: Floats,
    localisation: Localisation | None,
    *,
    relaxation: float = 0.0,
    open_rows: Ints | None = None,
    trace: Floats | None = None,
) -> Floats:
    """Let an ensemble learn from the observations of a problem, in place.

    Parameters
    ----------
    problem : Problem
        H, y, R, background; its prior is not used.
    mean : ndarray, shape (n_state,)
        Mean of the members; changed.
    x : ndarray, shape (n_state, k), C order
        Perturbations; changed.
    localisation : Localisation or None
        None: one analysis for all.
    relaxation : float
        Of the spread to the prior's, 0 to 1.
    open_rows : ndarray of int, optional
        State elements that may change; by default all.
    trace : ndarray, shape (n_state,), optional
        The diagonal of the averaging kernel is added to it; needs a sparse Jacobian and independent errors.

    Returns
    -------
    ndarray, shape (n_obs, k)
        ``H X`` of the prior perturbations.

    Raises
    ------
    SolverError
        A localisation of another state or other observations.
    """
    y = np.ascontiguousarray(problem.forward(x))
    innovation = np.asarray(problem.observations) - problem.simulate(mean)
    near = localisation or _everywhere(mean.size, problem.n_obs)
    if near.column.shape != mean.shape or near.obs_lat.size != problem.n_obs:
        raise SolverError(
            f"localisation is of {near.column.size} state elements and {near.obs_lat.size} observations, "
            f"the problem has {mean.size} and {problem.n_obs}"
        )
    rows = np.arange(mean.size) if open_rows is None else open_rows
    rows = rows[np.argsort(near.column[rows], kind="stable")]
    columns, first = np.unique(near.column[rows], return_index=True)
    first = np.append(first, rows.size).astype(np.int64)
    error, order = problem.observation_error, near.order
    with (
        threadpool_limits(1, user_api="blas"),  # columns are the parallel work
        progress(columns.size, "columns of the ensemble") as advance,
    ):
        if not isinstance(error, DiagonalCovariance):
            for column, low, high in zip(columns, first[:-1], first[1:], strict=True):
                obs, weight = near.neighbours(int(column))
                if obs.size:
                    step, root = _correlated(problem, y, innovation, obs, weight)
                    _update(x, mean, rows[low:high], step, root, relaxation)
                advance(1)
            return y
        by_column = (np.zeros(0), np.zeros(0, np.int64), np.zeros(0, np.int64))
        if trace is not None:
            h = sp.csc_array(problem.jacobian[order])
            by_column = (h.data.astype(np.float64), h.indices.astype(np.int64), h.indptr.astype(np.int64))
        seen = (y[order], innovation[order], 1.0 / error.diagonal()[order], near.points[order])
        for a in range(0, columns.size, _AT_ONCE):
            _columns(
                *seen,
                near.places[columns[a : a + _AT_ONCE]],
                near.angle,
                near.limit or 0,
                first[a : a + _AT_ONCE + 1],
                rows,
                x,
                mean,
                relaxation,
                *by_column,
                np.zeros(0) if trace is None else trace,
            )
            advance(min(_AT_ONCE, columns.size - a))
    return y


def _everywhere(n_state: int, n_obs: int) -> Localisation:
    """Return the localisation that is none: one column that sees all."""
    return Localisation(np.full(n_state, -1), [], [], np.zeros(n_obs), np.zeros(n_obs), np.inf)


def _correlated(
    problem: Problem, y: Floats, innovation: Floats, obs: Ints, weight: Floats
) -> tuple[Floats, Floats]:
    """Return the weights of a column whose observations' errors hang together: ``w^1/2 R^-1 w^1/2``."""
    error, k = problem.observation_error, y.shape[1]
    inside = np.argsort(obs)  # the order in which the error knows its rows
    obs, root = obs[inside], np.sqrt(weight[inside])
    part = error if obs.size == error.size else subset(error, obs)
    tapered = root[:, None] * np.column_stack([y[obs], innovation[obs]])
    both = tapered[:, :k].T @ part.solve(tapered)
    return transform(np.ascontiguousarray(both[:, :k]), np.ascontiguousarray(both[:, k]), k)


def solve_letkf(
    problem: Problem,
    *,
    members: int = 64,
    localisation: Localisation | None = None,
    inflation: float = 1.0,
    relaxation: float = 0.0,
    seed: int = 0,
    ensemble: npt.ArrayLike | None = None,
    exact: bool | None = None,
    record: list[Analysis] | None = None,
) -> Posterior:
    """Solve with an ensemble.

    Parameters
    ----------
    problem : Problem
        Any prior error that can be drawn from. With independent errors no matrix of observations is made;
        correlated ones are factorised column by column.
    members : int
        k. Without localisation the error of mean and spread falls as 1 / sqrt(k), until k - 1 reaches the
        rank of the prior, where the answer is exact.
    localisation : Localisation, optional
        What each column may learn from.
    inflation : float
        Factor on the prior covariance, 1 or more.
    relaxation : float
        Part of the spread's loss that is given back (relaxation to prior spread), 0 to 1.
    seed : int
        Of the members: same seed, same answer, for any number of threads.
    ensemble : array_like, shape (n_state, k), optional
        Prior perturbations instead of drawn ones; their mean is taken off.
    exact : bool, optional
        See `prior_ensemble`.
    record : list, optional
        Takes what `inversion.solvers.ensemble.EnsembleGain` needs.

    Returns
    -------
    Posterior
        Without localisation its problem has the ensemble's covariance as prior error, and all of its methods
        hold for that. With localisation it knows mean, variance, totals and degrees of freedom.

    Raises
    ------
    ConfigError
        Inflation below 1, relaxation outside 0 to 1, too few members.
    SolverError
        An ensemble or a localisation of another size.

    Notes
    -----
    Relaxation: Whitaker & Hamill (2012), Mon. Weather Rev. 140, 3078, doi:10.1175/MWR-D-11-00276.1.
    """
    if not inflation >= 1.0 or not 0.0 <= relaxation <= 1.0:
        raise ConfigError(
            f"inflation is 1 or more and relaxation within 0 and 1, found {inflation:g} and {relaxation:g}"
        )
    x = (
        prior_ensemble(problem.prior_error, members, seed, exact=exact)
        if ensemble is None
        else _given(ensemble, problem.n_state)
    )
    x *= np.sqrt(inflation)
    mean = np.array(problem.prior, dtype=np.float64)
    solved = problem if localisation is not None else problem.with_(prior_error=EnsembleCovariance(x.copy()))
    traced = (
        localisation is not None
        and sp.issparse(problem.jacobian)
        and isinstance(problem.observation_error, DiagonalCovariance)
    )
    trace = np.zeros(problem.n_state) if traced else None
    before = x.copy() if record is not None else x
    y = analyse(problem, mean, x, localisation, relaxation=relaxation, trace=trace)
    if record is not None:
        every = np.arange(problem.n_obs)
        record.append(Analysis(problem, every, np.arange(problem.n_state), before, y, localisation))
    system = EnsembleSystem(solved, y, x) if localisation is None else LocalSystem(x, trace)
    stopping = {"converged": True, "iterations": 1, "members": x.shape[1], "seed": seed}
    return Posterior(solved, mean, system, "letkf", stopping)


def _given(ensemble: npt.ArrayLike, size: int) -> Floats:
    x = np.array(ensemble, dtype=np.float64)
    if x.ndim != 2 or x.shape[0] != size or x.shape[1] < 2:
        raise SolverError(f"an ensemble has shape ({size}, members), found {x.shape}")
    if not np.isfinite(x).all():
        raise SolverError(f"the ensemble has {np.count_nonzero(~np.isfinite(x))} values that are not finite")
    return np.ascontiguousarray(x - x.mean(axis=1, keepdims=True))
