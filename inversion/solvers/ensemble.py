"""An ensemble's answer under the true errors: its members, and the gain by which its mean was moved.

For given members the mean of an ensemble filter or smoother is a linear function of the observations, column by column
and step by step::

    K_c = X_c P~ Y' R^-1        P~ = [(k - 1) I + Y' R^-1 Y]^-1        d <- d - H K_c d after each step

(Hunt et al. 2007, doi:10.1016/j.physd.2006.11.008). That gain, held against the full B and R, says what the estimate's
error is (`inversion.problem.gained`); the spread of the members only says what they believe it is.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, ClassVar, NamedTuple

import numpy as np
import scipy.sparse as sp

from inversion.operators.covariance import DiagonalCovariance
from inversion.operators.observation_error import subset
from inversion.problem.gained import GainedPosterior
from inversion.problem.posterior import Aggregate
from inversion.problem.problem import Problem
from inversion.solvers.localisation import Localisation, gaspari_cohn
from obsnet.sphere import EARTH_RADIUS_KM, unit_vectors
from obsnet.typing import Floats, Ints

__all__ = ["Analysis", "EnsembleGain", "EnsemblePosterior", "cut_by_closing", "cut_by_distance"]

_KEPT = 4e8  # bytes of the columns' weights that are held on to, rather than made again


@dataclass(frozen=True, eq=False)
class Analysis:
    """One step in which an ensemble learned.

    Parameters
    ----------
    problem : Problem
        Of the step's observations.
    rows : ndarray of int
        Which of all observations they are.
    open_rows : ndarray of int, shape (n_open,)
        State elements that may change.
    x : ndarray, shape (n_open, k)
        Their perturbations before.
    y : ndarray, shape (rows, k)
        ``H X`` before, of all elements.
    near : Localisation or None
        Of the step's observations; None for one column that sees all.
    """

    problem: Problem
    rows: Ints
    open_rows: Ints
    x: Floats
    y: Floats
    near: Localisation | None


class _Column(NamedTuple):
    """State elements (within the open ones) that learn alike, from which observations, and ``P~ Y' R^-1`` (k, obs)."""

    inside: Ints
    obs: Ints
    weights: Floats


class EnsembleGain:
    """The gain that a sequence of analyses applied to the mean.

    Parameters
    ----------
    analyses : list of Analysis
        In the order in which they were made.
    n_obs, n_state : int
    """

    def __init__(self, analyses: list[Analysis], n_obs: int, n_state: int) -> None:
        self.analyses, self.n_obs, self.n_state = analyses, n_obs, n_state
        self._kept: dict[int, list[_Column]] = {}
        self._size = 0.0

    def forward(self, v: Floats) -> Floats:
        """Return ``K v``."""
        out = np.zeros((self.n_state, v.shape[1]))
        for number, step in enumerate(self.analyses):
            rest = v[step.rows]
            if number:
                rest = rest - step.problem.forward(out)
            moved = np.zeros((step.open_rows.size, v.shape[1]))
            for inside, obs, weights in self._columns(number):
                moved[inside] += step.x[inside] @ (weights @ rest[obs])
            out[step.open_rows] += moved
        return out

    def transposed(self, v: Floats) -> Floats:
        """Return ``K' v``."""
        left, out = np.array(v, dtype=np.float64), np.zeros((self.n_obs, v.shape[1]))
        for number in range(len(self.analyses) - 1, -1, -1):
            step = self.analyses[number]
            answer, opened = np.zeros((step.rows.size, v.shape[1])), left[step.open_rows]
            for inside, obs, weights in self._columns(number):
                answer[obs] += weights.T @ (step.x[inside].T @ opened[inside])
            out[step.rows] = answer
            if number:
                left -= step.problem.adjoint(answer)
        return out

    def _columns(self, number: int) -> Iterator[_Column]:
        if number in self._kept:
            yield from self._kept[number]
            return
        kept: list[_Column] | None = []
        for column in _columns(self.analyses[number]):
            yield column
            self._size += column.weights.nbytes
            if kept is not None:
                kept.append(column)
            if self._size > _KEPT:
                kept = None
        if kept is not None:
            self._kept[number] = kept


def _columns(step: Analysis) -> Iterator[_Column]:
    every = np.arange(step.rows.size)
    if step.near is None:
        yield _Column(np.arange(step.open_rows.size), every, _weights(step, every, np.ones(every.size)))
        return
    column = step.near.column[step.open_rows]
    order = np.argsort(column, kind="stable")
    names, first = np.unique(column[order], return_index=True)
    for name, inside in zip(names, np.split(order, first[1:]), strict=True):
        obs, weight = step.near.neighbours(int(name))
        if obs.size:
            obs, weight = obs[np.argsort(obs)], weight[np.argsort(obs)]
            yield _Column(inside, obs, _weights(step, obs, weight))


def _weights(step: Analysis, obs: Ints, weight: Floats) -> Floats:
    """Return ``P~ Y' w^1/2 R^-1 w^1/2`` of some observations, shape (k, obs)."""
    error, root = step.problem.observation_error, np.sqrt(weight)
    part = error if obs.size == error.size else subset(error, obs)
    if isinstance(part, DiagonalCovariance):
        white = step.y[obs] * (weight / part.diagonal())[:, None]
        information = step.y[obs].T @ white
    else:
        tapered = root[:, None] * step.y[obs]
        white = root[:, None] * part.solve(tapered)
        information = step.y[obs].T @ white
    values, vectors = np.linalg.eigh(0.5 * (information + information.T))
    spread = step.y.shape[1] - 1.0 + np.maximum(values, 0.0)
    return np.asarray((vectors / spread) @ (vectors.T @ white.T))


@dataclass(frozen=True, eq=False)
class EnsemblePosterior(GainedPosterior):
    """Posterior of an ensemble: variances and totals of its members, tests by its gain; see `Posterior`.

    Parameters
    ----------
    members : ndarray, shape (n_state, k)
        Perturbations after all observations.
    """

    members: Floats = field(kw_only=True, repr=False)
    linear: ClassVar[bool] = False

    def variance(self) -> Floats:
        """Return the variance over the members, shape (n_state,)."""
        return np.einsum("ij,ij->i", self.members, self.members) / (self.members.shape[1] - 1)

    def aggregate(self, weights: Any) -> Aggregate:
        """Return the mean of totals and their covariance over the members."""
        g = self._weights(weights)
        drawn = np.asarray(g @ self.members)
        return Aggregate(np.asarray(g @ self.mean), drawn @ drawn.T / (self.members.shape[1] - 1))


def cut_by_distance(problem: Problem, near: Localisation) -> tuple[float, int]:
    """Return which share of what the observations see localisation cuts, and how many no place may learn from.

    Parameters
    ----------
    problem : Problem
    near : Localisation

    Returns
    -------
    float
        ``sum |H_ij| s_j (1 - w_ij) / sum |H_ij| s_j`` with prior standard deviations s and weights w; elements without
        a place are not cut. `Localisation.limit` is not counted here.
    int
        Observations that see something on the map but have no weight anywhere there.
    """
    h = sp.coo_array(problem.jacobian)
    seen = np.abs(h.data) * np.sqrt(problem.prior_error.diagonal())[h.col]
    column = near.column[h.col]
    placed = column >= 0
    place = unit_vectors(near.lat, near.lon)[column[placed]]
    cosine = np.einsum("ij,ij->i", place, near.points[h.row[placed]])
    distance = EARTH_RADIUS_KM * np.arccos(np.clip(cosine, -1.0, 1.0))
    weight = np.ones(h.data.size)
    weight[placed] = gaspari_cohn(distance, near.radius_km) if np.isfinite(near.radius_km) else 1.0
    whole = float(seen.sum())
    left = np.bincount(h.row[placed], (seen * weight)[placed], minlength=problem.n_obs)
    there = np.bincount(h.row[placed], seen[placed], minlength=problem.n_obs)
    lost = int(((there > 0.0) & (left == 0.0)).sum())
    return (float((seen * (1.0 - weight)).sum()) / whole if whole else 0.0), lost


def cut_by_closing(problem: Problem, analyses: list[Analysis]) -> float:
    """Return which share of what the observations see was closed when they came, weighted as `cut_by_distance`."""
    spread = np.sqrt(problem.prior_error.diagonal())
    whole = kept = 0.0
    for step in analyses:
        seen = np.asarray(abs(sp.csr_array(step.problem.jacobian)).sum(axis=0)).ravel() * spread
        whole, kept = whole + float(seen.sum()), kept + float(seen[step.open_rows].sum())
    return 1.0 - kept / whole if whole else 0.0
