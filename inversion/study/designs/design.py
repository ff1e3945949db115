"""Network design: what each candidate station or orbit would teach, and the greedy choice among them.

In units where the prior covariance is the identity (``x = x_b + L chi``, ``B = L L'``) and R is too, a
candidate is a few rows W_c, and what is known after a choice is ``A = (I + sum W_c' W_c)^-1``. Adding a
candidate brings::

    information   1/2 ln det(I + W_c A W_c')             nats (Shannon)
    signal        tr[(I + W_c A W_c')^-1 W_c A A W_c']   degrees of freedom
    totals        g A W_c' (I + W_c A W_c')^-1 W_c A g'  less variance of the total g

Rodgers (2000), Inverse Methods for Atmospheric Sounding, ch. 2. No observation is needed, only where and how
well one would observe. A chosen candidate of k rows is a change of rank k of ``Y = W A``, which is all that is
kept: O(rows x state) for each of its rows. Information is submodular (a candidate brings less the more is
known), so the greedy choice reaches at least 63 % of what the best choice would (Nemhauser, Wolsey & Fisher
1978, doi:10.1007/BF01588971; Krause, Singh & Guestrin 2008, J. Mach. Learn. Res. 9, 235), and gains of earlier
rounds bound those of later ones; for degrees of freedom and single totals there is no such bound. The best
network for information is not the best for a province's total, so all criteria are reported whichever decides.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
import scipy.linalg as la
import scipy.sparse as sp

from inversion.operators.covariance import Covariance, DiagonalCovariance
from inversion.problem.problem import Problem
from inversion.solvers.split import split_error
from obsnet.errors import ConfigError, ResourceError, SolverError, nearest
from obsnet.provenance import available_memory
from obsnet.typing import Floats
from obsnet.work.progress import progress

__all__ = [
    "CRITERIA",
    "Candidate",
    "CandidateGain",
    "Criterion",
    "Design",
    "Step",
    "candidates_of",
    "choose_network",
]

Criterion = Literal["information", "dofs", "target"]
CRITERIA = ("information", "dofs", "target")
_NOTHING = 1e-10  # an observed direction with less signal than this is left out


@dataclass(frozen=True, eq=False)
class Candidate:
    """A station, an orbit or an instrument that could be had.

    Parameters
    ----------
    label : str
        Its name.
    rows : ndarray, shape (k, columns of L)
        W_c: what it observes, in units of prior and observation error.
    observations : int
        How many observations stand behind the rows.
    """

    label: str
    rows: Floats
    observations: int


@dataclass(frozen=True, eq=False)
class CandidateGain:
    """What one candidate adds to what is known.

    Attributes
    ----------
    label : str
    information : float
        Nats.
    dofs : float
        Degrees of freedom for signal.
    target : float
        Fall of the weighted mean of relative variances of the totals.
    variance : ndarray, shape (totals,)
        Fall of each total's variance.
    observations : int
        Behind the candidate.
    """

    label: str
    information: float
    dofs: float
    target: float
    variance: Floats
    observations: int


@dataclass(frozen=True, eq=False)
class Step:
    """A network after one more candidate.

    Attributes
    ----------
    label : str
        What was added; ``""`` for the network that was there.
    information, dofs : float
        Of the whole network, from the prior.
    target : float
        Weighted mean of posterior over prior variance of the totals.
    covariance : ndarray, shape (totals, totals)
        Posterior covariance of the totals.
    """

    label: str
    information: float
    dofs: float
    target: float
    covariance: Floats

    @property
    def deviation(self) -> Floats:
        """Posterior standard deviation of each total."""
        return np.sqrt(np.maximum(np.diagonal(self.covariance), 0.0))


@dataclass(frozen=True, eq=False)
class Design:
    """A choice of candidates, one after the other.

    Attributes
    ----------
    criterion : str
        What decided.
    prior : ndarray, shape (totals, totals)
        Prior covariance of the totals.
    ranking : tuple of CandidateGain
        Each candidate alone, added to what is there already, best first.
    steps : tuple of Step
        First the network that is there, then one more candidate each.
    """

    criterion: str
    prior: Floats
    ranking: tuple[CandidateGain, ...]
    steps: tuple[Step, ...]

    @property
    def chosen(self) -> list[str]:
        """Labels in the order of the choice."""
        return [step.label for step in self.steps[1:]]

    def reduction(self, step: int = -1) -> Floats:
        """Return the error reduction of each total, ``1 - sqrt(posterior / prior variance)``."""
        prior = np.sqrt(np.maximum(np.diagonal(self.prior), 0.0))
        known = prior > 0.0
        return np.where(known, 1.0 - self.steps[step].deviation / np.where(known, prior, 1.0), 0.0)


def candidates_of(problem: Problem, group: str, labels: Sequence[str] | None = None) -> list[Candidate]:
    """Return the groups of observations of a problem as candidates.

    Parameters
    ----------
    problem : Problem
        Its observation values are not used.
    group : str
        A key of ``problem.groups``: each label is a candidate. Errors must not be correlated between labels.
    labels : sequence of str, optional
        Only these.

    Raises
    ------
    SolverError
        Unknown group, errors correlated between labels.
    ResourceError
        The candidates' rows do not fit into memory.
    """
    parts = split_error(problem.observation_error, problem.labels(group).astype(str), group)
    wanted = None if labels is None else set(labels)
    need = (
        16.0 * sum(min(rows.size, problem.n_state) for _, rows, _ in parts) * problem.prior_error.factor_size
    )
    if need > 0.8 * available_memory():
        raise ResourceError(
            f"{len(parts)} candidates over {problem.n_state} state elements may need {need / 1e9:.2g} GB: average "
            "their observations over longer times, coarsen the state, or offer fewer candidates"
        )
    return [
        _candidate(str(label), problem.jacobian[rows], error, problem.prior_error)
        for label, rows, error in parts
        if wanted is None or label in wanted
    ]


def _candidate(label: str, h: Any, error: Covariance, prior: Covariance) -> Candidate:
    dense = h.toarray() if sp.issparse(h) else np.asarray(h)
    w = prior.factor_transposed(np.ascontiguousarray(dense.T, dtype=np.float64)).T
    if isinstance(error, DiagonalCovariance):
        w = w / np.sqrt(error.diagonal())[:, None]
    else:
        w = la.solve_triangular(la.cholesky(error.dense(), lower=True), w, lower=True)
    # Directions in which it observes: as many as there is signal in, often far fewer than observations.
    values, vectors = la.eigh(w @ w.T if len(w) <= w.shape[1] else w.T @ w, check_finite=False)
    kept = values > _NOTHING
    if len(w) <= w.shape[1]:
        rows = vectors[:, kept].T @ w
    else:
        rows = np.sqrt(values[kept])[:, None] * vectors[:, kept].T
    return Candidate(label, np.ascontiguousarray(rows), dense.shape[0])


class _Knowledge:
    """``Y = W A`` of all candidates, and the covariance of the totals, under what has been chosen.

    Parameters
    ----------
    candidates : sequence of Candidate
        All that may be chosen or are there.
    totals : ndarray, shape (p, columns of L)
        G L.
    importance : ndarray, shape (p,)
        Weights of the totals over their prior variance; they sum to 1.
    """

    def __init__(self, candidates: Sequence[Candidate], totals: Floats, importance: Floats) -> None:
        self.candidates, self.importance = candidates, importance
        ends = np.cumsum([0, *(len(c.rows) for c in candidates)])
        self.spans = [slice(a, b) for a, b in pairwise(ends)]
        self.w = np.concatenate([np.zeros((0, totals.shape[1])), *(c.rows for c in candidates)])
        self.y = self.w.copy()
        self.seen = self.w @ totals.T  # W A L' G'
        self.covariance = totals @ totals.T
        self.information = self.dofs = 0.0

    def _halves(self, number: int) -> tuple[float, Floats, Floats]:
        """Return nats, and Y and what it says of the totals over the root of ``I + W_c A W_c'``."""
        span = self.spans[number]
        y = self.y[span]
        root = la.cholesky(np.eye(len(y)) + y @ self.w[span].T, lower=True, check_finite=False)
        half = la.solve_triangular(root, np.hstack([y, self.seen[span]]), lower=True, check_finite=False)
        return float(np.log(np.diagonal(root)).sum()), half[:, : y.shape[1]], half[:, y.shape[1] :]

    def gain(self, number: int) -> CandidateGain:
        """Return what a candidate would add."""
        candidate = self.candidates[number]
        nats, half, seen = self._halves(number)
        variance = np.einsum("ij,ij->j", seen, seen)
        return CandidateGain(
            candidate.label,
            nats,
            float(np.einsum("ij,ij->", half, half)),
            float(self.importance @ variance),
            variance,
            candidate.observations,
        )

    def add(self, number: int) -> None:
        """Take a candidate."""
        nats, half, seen = self._halves(number)
        across = self.w @ half.T
        self.information += nats
        self.dofs += float(np.einsum("ij,ij->", half, half))
        self.y -= across @ half
        self.seen -= across @ seen
        self.covariance -= seen.T @ seen

    def step(self, label: str) -> Step:
        """Return the network as it is."""
        target = float(self.importance @ np.diagonal(self.covariance))
        return Step(label, self.information, self.dofs, target, 0.5 * (self.covariance + self.covariance.T))


def choose_network(
    problem: Problem,
    group: str,
    count: int,
    *,
    weights: Any,
    criterion: Criterion = "information",
    existing: Sequence[str] = (),
    importance: npt.ArrayLike | None = None,
    report: Callable[[str], None] = lambda _line: None,
) -> Design:
    """Choose candidates one after the other, each the best addition to those before.

    Parameters
    ----------
    problem : Problem
        Prior error, Jacobian and errors of all observations that exist or could be made; values are not used.
    group : str
        A key of ``problem.groups``, for instance ``"platform"`` or ``"orbit"``: each label is one candidate.
    count : int
        How many to choose; 0 to rank only.
    weights : array_like or sparse, shape (totals, n_state)
        Totals to report and, under ``"target"``, to improve.
    criterion : {"information", "dofs", "target"}
        ``target`` lowers the weighted mean of the totals' relative variance.
    existing : sequence of str
        Labels that are there and stay.
    importance : array_like, shape (totals,), optional
        Weights of the totals for ``target``; by default all alike.
    report : callable
        Takes a line a choice.

    Returns
    -------
    Design

    Raises
    ------
    ConfigError
        Unknown criterion or label, importance that is negative or all zero.
    SolverError
        Weights of another size.
    """
    if criterion not in CRITERIA:
        raise ConfigError(f"unknown criterion {criterion!r}{nearest(criterion, CRITERIA)}")
    candidates = candidates_of(problem, group)
    place = {c.label: i for i, c in enumerate(candidates)}
    for label in existing:
        if label not in place:
            raise ConfigError(f"existing {label!r} is no {group}{nearest(label, place)}")
    totals = _totals(problem, weights)
    knowledge = _Knowledge(candidates, totals, _importance(importance, totals))
    prior = knowledge.covariance.copy()
    for label in dict.fromkeys(existing):
        knowledge.add(place[label])
    left = [i for i in range(len(candidates)) if candidates[i].label not in set(existing)]
    gains = {i: knowledge.gain(i) for i in left}
    ranking = sorted(gains.values(), key=lambda g: (-getattr(g, criterion), g.label))
    steps = [knowledge.step("")]
    with progress(min(count, len(left)), "candidates chosen") as advance:
        for number in range(min(count, len(left))):
            best = _best(knowledge, gains, criterion, fresh=number == 0)
            gain = gains.pop(best)
            knowledge.add(best)
            steps.append(knowledge.step(gain.label))
            report(
                f"{number + 1}. {gain.label}: +{gain.information:.3g} nats, +{gain.dofs:.3g} degrees of freedom"
            )
            advance(1)
    return Design(criterion, prior, tuple(ranking), tuple(steps))


def _best(
    knowledge: _Knowledge, gains: dict[int, CandidateGain], criterion: Criterion, *, fresh: bool
) -> int:
    """Return the candidate with the greatest gain; `gains` may be of earlier rounds and are renewed on the way."""

    def order(number: int) -> tuple[float, str]:
        return -getattr(gains[number], criterion), gains[number].label

    if fresh:
        return min(gains, key=order)
    if criterion != "information":
        gains.update({i: knowledge.gain(i) for i in gains})
        return min(gains, key=order)
    # Gains of information never grow, so whoever leads with a new gain leads all.
    renewed: set[int] = set()
    while (leader := min(gains, key=order)) not in renewed:
        gains[leader] = knowledge.gain(leader)
        renewed.add(leader)
    return leader


def _totals(problem: Problem, weights: Any) -> Floats:
    g = weights.toarray() if sp.issparse(weights) else np.atleast_2d(np.asarray(weights, np.float64))
    if g.shape[1] != problem.n_state:
        raise SolverError(f"weights must have shape (totals, {problem.n_state}), found {g.shape}")
    return np.asarray(problem.prior_error.factor_transposed(np.ascontiguousarray(g.T)).T)


def _importance(given: npt.ArrayLike | None, totals: Floats) -> Floats:
    """Return weights over prior variance; totals that are known beforehand have none."""
    variance = np.einsum("ij,ij->i", totals, totals)
    wanted = np.ones(len(totals)) if given is None else np.asarray(given, dtype=np.float64)
    if wanted.shape != (len(totals),) or not (wanted >= 0.0).all():
        raise ConfigError(
            f"importance must be {len(totals)} numbers that are not negative, found {wanted.shape}"
        )
    uncertain = variance > 0.0
    share = np.where(uncertain, wanted, 0.0)
    if not share.sum() > 0.0:
        raise ConfigError("importance is zero for every total that is uncertain: there is nothing to improve")
    return share / share.sum() / np.where(uncertain, variance, 1.0)
