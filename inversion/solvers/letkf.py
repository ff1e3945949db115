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

from inversion.covariance import DiagonalCovariance
from inversion.localisation import Localisation
from inversion.observation_error import subset
from inversion.posterior import Posterior
from inversion.problem import Problem
from inversion.solvers.members import EnsembleCovariance, EnsembleSystem, LocalSystem, prior_ensemble
from obsnet.errors import ConfigError, SolverError

__all__ = ["analyse", "solve_letkf", "transform"]

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]
_PAIRS = 4_000_000  # of columns and observations held at a time


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
        a, b, c, e = y[obs[i]], y[obs[i + 1]], y[obs[i + 2]], y[obs[i + 3]]
        wa, wb = precision[obs[i]] * weight[i], precision[obs[i + 1]] * weight[i + 1]
        wc, we = precision[obs[i + 2]] * weight[i + 2], precision[obs[i + 3]] * weight[i + 3]
        for r in range(k):
            sa, sb, sc, se = wa * a[r], wb * b[r], wc * c[r], we * e[r]
            row = total[r]
            for s in range(r + 1):
                row[s] += sa * a[s] + sb * b[s] + sc * c[s] + se * e[s]
            right[r] += (
                sa * innovation[obs[i]]
                + sb * innovation[obs[i + 1]]
                + sc * innovation[obs[i + 2]]
                + se * innovation[obs[i + 3]]
            )
    for i in range(whole, n):
        a, w = y[obs[i]], precision[obs[i]] * weight[i]
        for r in range(k):
            sa = w * a[r]
            for s in range(r + 1):
                total[r, s] += sa * a[s]
            right[r] += sa * innovation[obs[i]]
    for r in range(k):
        for s in range(r):
            total[s, r] = total[r, s]
    return total, right


@numba.njit(cache=True, parallel=True)
def _columns(
    y: Floats,
    innovation: Floats,
    precision: Floats,
    start: Ints,
    obs: Ints,
    weight: Floats,
    first: Ints,
    rows: Ints,
    x: Floats,
    mean: Floats,
    relax: float,
    h_data: Floats,
    h_rows: Ints,
    h_start: Ints,
    trace: Floats,
) -> None:  # pragma: no cover - compiled
    """Analyse columns in place; `h_*` is H by columns, empty where its trace is not wanted."""
    k = y.shape[1]
    for column in numba.prange(start.size - 1):
        these, taper = obs[start[column] : start[column + 1]], weight[start[column] : start[column + 1]]
        if these.size == 0:
            continue
        information, right = _information(y, innovation, precision, these, taper)
        step, root = transform(information, right, k)
        square = (root @ root) / (k - 1.0)
        local = np.zeros(y.shape[0] if h_start.size > 1 else 0)
        if local.size:
            for i in range(these.size):
                local[these[i]] = taper[i] * precision[these[i]]
        for position in range(first[column], first[column + 1]):
            row = rows[position]
            old = x[row].copy()
            mean[row] += np.dot(old, step)
            new = np.dot(old, root)
            before, after = np.dot(old, old), np.dot(new, new)
            if relax > 0.0 and after > 0.0:
                new *= 1.0 + relax * (np.sqrt(before / after) - 1.0)
            x[row] = new
            if local.size:
                gain = np.dot(old, square)
                for e in range(h_start[row], h_start[row + 1]):
                    j = h_rows[e]
                    if local[j] > 0.0:
                        trace[row] += h_data[e] * local[j] * np.dot(gain, y[j])


def analyse(
    problem: Problem,
    mean: Floats,
    x: Floats,
    localisation: Localisation | None,
    *,
    relaxation: float = 0.0,
    open_rows: Ints | None = None,
    trace: Floats | None = None,
    pairs: int = _PAIRS,
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
        The diagonal of the averaging kernel is added to it; needs a sparse Jacobian.
    pairs : int
        Columns and observations held at a time; the answer does not depend on it.

    Returns
    -------
    ndarray, shape (n_obs, k)
        ``H X`` of the prior perturbations.
    """
    y = np.ascontiguousarray(problem.forward(x))
    innovation = np.asarray(problem.observations) - problem.simulate(mean)
    rows = np.arange(mean.size) if open_rows is None else open_rows
    column = np.full(mean.size, -1) if localisation is None else localisation.column
    if column.shape != mean.shape:
        raise SolverError(
            f"localisation: {column.size} state elements have a column, the state has {mean.size}"
        )
    if localisation is not None and localisation.obs_lat.size != problem.n_obs:
        raise SolverError(
            f"localisation: {localisation.obs_lat.size} observations have a position, there are {problem.n_obs}"
        )
    rows = rows[np.argsort(column[rows], kind="stable")]
    columns, first = np.unique(column[rows], return_index=True)
    first = np.append(first, rows.size).astype(np.int64)
    error = problem.observation_error
    precision = 1.0 / error.diagonal() if isinstance(error, DiagonalCovariance) else None
    by_column = (np.zeros(0), np.zeros(0, np.int64), np.zeros(0, np.int64))
    if trace is not None and precision is not None:
        h = sp.csc_array(problem.jacobian)
        by_column = (h.data.astype(np.float64), h.indices.astype(np.int64), h.indptr.astype(np.int64))
    else:
        trace = np.zeros(0)
    step = columns.size if localisation is None else max(1, pairs // max(problem.n_obs, 1))
    with threadpool_limits(1):  # columns are the parallel work; and sums do not depend on threads
        for low in range(0, columns.size, step):
            high = min(low + step, columns.size)
            start, obs, weight = _neighbours(localisation, columns[low:high], problem.n_obs)
            if precision is None:
                _correlated(
                    problem, y, innovation, start, obs, weight, first[low:], rows, x, mean, relaxation
                )
                continue
            _columns(
                y,
                innovation,
                precision,
                start,
                obs,
                weight,
                first[low : high + 1],
                rows,
                x,
                mean,
                relaxation,
                *by_column,
                trace,
            )
    return y


def _neighbours(localisation: Localisation | None, columns: Ints, n_obs: int) -> tuple[Ints, Ints, Floats]:
    if localisation is not None:
        return localisation.neighbours(columns)
    return np.array([0, n_obs]), np.arange(n_obs), np.ones(n_obs)


def _correlated(
    problem: Problem,
    y: Floats,
    innovation: Floats,
    start: Ints,
    obs: Ints,
    weight: Floats,
    first: Ints,
    rows: Ints,
    x: Floats,
    mean: Floats,
    relaxation: float,
) -> None:
    """Analyse columns whose observations have correlated errors: ``w^1/2 R^-1 w^1/2`` of the column's rows."""
    error, k = problem.observation_error, x.shape[1]
    for number in range(start.size - 1):
        these, root_weight = (a[start[number] : start[number + 1]] for a in (obs, np.sqrt(weight)))
        if these.size == 0:
            continue
        part = error if these.size == error.size else subset(error, these)
        tapered = root_weight[:, None] * np.column_stack([y[these], innovation[these]])
        solved = part.solve(tapered)
        both = tapered[:, :k].T @ solved
        step, root = transform(np.ascontiguousarray(both[:, :k]), np.ascontiguousarray(both[:, k]), k)
        inside = rows[first[number] : first[number + 1]]
        old = x[inside]
        new = old @ root
        if relaxation > 0.0:
            before, after = (np.einsum("ij,ij->i", a, a) for a in (old, new))
            ratio = np.sqrt(before / np.where(after > 0.0, after, 1.0))
            new *= np.where(after > 0.0, 1.0 + relaxation * (ratio - 1.0), 1.0)[:, None]
        mean[inside] += old @ step
        x[inside] = new


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
    pairs: int = _PAIRS,
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
    pairs : int
        Columns times observations held at a time.

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
    local = localisation is not None and sp.issparse(problem.jacobian)
    trace = np.zeros(problem.n_state) if local else None
    y = analyse(problem, mean, x, localisation, relaxation=relaxation, trace=trace, pairs=pairs)
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
