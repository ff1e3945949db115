"""Fewer unknowns: regions instead of cells, with the error of what they cannot express kept in the observations' error.

A basis is a matrix Gamma (cells by regions) whose columns are patterns; the state becomes one factor a pattern. The
restriction that keeps most of a normal prior is the one that goes with its covariance (Bocquet, Wu & Chevallier 2011,
Q. J. R. Meteorol. Soc. 137, 1340, doi:10.1002/qj.837): with ``B_r = (Gamma' B^-1 Gamma)^-1`` the fluxes split into
``Gamma z`` and an independent rest of covariance ``B - Gamma B_r Gamma'``, which the observations see as further error.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import scipy.linalg as la
import scipy.sparse as sp

from inversion.covariance import Covariance, DenseCovariance, DiagonalCovariance, project
from inversion.problem import Problem
from obsnet.errors import SolverError

__all__ = ["Reduced", "membership", "quadtree", "reduce_problem"]

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]


def membership(labels: npt.ArrayLike, weights: npt.ArrayLike | None = None) -> sp.csr_array:
    """Return the patterns of a partition.

    Parameters
    ----------
    labels : array_like of int, shape (n,)
        Region of each element, 0, 1, …; negative for none.
    weights : array_like, shape (n,), optional
        Shape of the pattern inside its region, such as the prior flux; even by default.

    Returns
    -------
    scipy.sparse.csr_array, shape (n, regions)
    """
    label = np.asarray(labels, dtype=np.int64)
    values = np.ones(label.size) if weights is None else np.asarray(weights, dtype=np.float64)
    inside = np.flatnonzero(label >= 0)
    count = int(label.max(initial=-1)) + 1
    return sp.csr_array((values[inside], (inside, label[inside])), shape=(label.size, count))


def quadtree(weight: npt.ArrayLike, regions: int) -> Ints:
    """Divide a grid into rectangles of about equal weight, small where there is much of it.

    Parameters
    ----------
    weight : array_like, shape (rows, columns)
        What a region shall hold equal parts of, not negative: the expected information (prior standard deviation times
        mean sensitivity), or the prior flux.
    regions : int
        How many.

    Returns
    -------
    ndarray of int64, shape (rows, columns)
        Region of each cell, 0 to regions - 1.

    Notes
    -----
    The region with the largest weight is halved along its longer side, at the half of its weight, until there
    are enough; a single cell is not divided.
    """
    w = np.asarray(weight, dtype=np.float64)
    if w.ndim != 2 or not (np.isfinite(w) & (w >= 0.0)).all():
        raise SolverError(
            "the weight of a quadtree has two dimensions and values that are finite and not negative"
        )
    if not 1 <= regions <= w.size:
        raise SolverError(f"a grid of {w.size} cells has between 1 and {w.size} regions, asked for {regions}")
    boxes = [(0, w.shape[0], 0, w.shape[1])]
    heavy = [float(w.sum())]
    while len(boxes) < regions:
        sizes = [(b[1] - b[0]) * (b[3] - b[2]) for b in boxes]
        score = [h if s > 1 else -1.0 for h, s in zip(heavy, sizes, strict=True)]
        at = int(np.argmax(score))
        if score[at] <= 0.0:  # what is left has no weight: divide the largest
            at = int(np.argmax(sizes))
        r0, r1, c0, c1 = boxes[at]
        along_rows = r1 - r0 >= c1 - c0
        part = w[r0:r1, c0:c1].sum(axis=1 if along_rows else 0)
        cumulated = np.cumsum(part)
        half = np.searchsorted(cumulated, 0.5 * cumulated[-1]) if cumulated[-1] > 0.0 else part.size // 2 - 1
        cut = int(np.clip(half + 1, 1, part.size - 1))
        pair = (
            [(r0, r0 + cut, c0, c1), (r0 + cut, r1, c0, c1)]
            if along_rows
            else [(r0, r1, c0, c0 + cut), (r0, r1, c0 + cut, c1)]
        )
        boxes[at : at + 1] = pair
        heavy[at : at + 1] = [float(w[b[0] : b[1], b[2] : b[3]].sum()) for b in pair]
    label = np.empty(w.shape, dtype=np.int64)
    for number, (r0, r1, c0, c1) in enumerate(boxes):
        label[r0:r1, c0:c1] = number
    return label


@dataclass(frozen=True, eq=False)
class Reduced:
    """A problem on a basis.

    Attributes
    ----------
    problem : Problem
        In the coefficients z; its observation error contains the aggregation error.
    basis : scipy.sparse.csr_array, shape (n_state, regions)
        Gamma.
    lost : float
        Share of the prior's variance in observation space that the basis cannot express, 0 to 1.
    """

    problem: Problem
    basis: sp.csr_array
    lost: float

    def expand(self, z: npt.ArrayLike, prior: npt.ArrayLike) -> Floats:
        """Return the full state of coefficients: ``x_b + Gamma z``."""
        return np.asarray(prior) + self.basis @ np.asarray(z)


def reduce_problem(problem: Problem, basis: Any, *, aggregation_error: bool = True) -> Reduced:
    """Write a problem in the coefficients of a basis.

    Parameters
    ----------
    problem : Problem
        With a prior error that has an inverse, and at most some thousands of observations.
    basis : array_like or sparse, shape (n_state, regions)
        Gamma: independent columns, see `membership`.
    aggregation_error : bool
        Add what the basis cannot express to the observation error; without it the answer is overconfident and biased
        towards where the observations are.

    Returns
    -------
    Reduced
        ``z ~ N(0, B_r)``.

    Raises
    ------
    SolverError
        A basis of the wrong shape or with dependent columns.

    Notes
    -----
    With the aggregation error the posterior of any total that the basis expresses exactly is that of the full problem,
    because ``Gamma z`` and the rest are independent a priori.
    """
    gamma = sp.csr_array(basis, dtype=np.float64)
    if gamma.shape[0] != problem.n_state:
        raise SolverError(f"a basis has {problem.n_state} rows, found {gamma.shape[0]}")
    precision = gamma.T @ problem.prior_error.solve(gamma.toarray())
    try:
        root = la.cholesky(0.5 * (precision + precision.T), lower=True)
    except la.LinAlgError:
        root = np.zeros((1, 1))
    diagonal = np.diagonal(root)
    if not diagonal.min() > 1e-7 * diagonal.max():
        raise SolverError("the basis has columns that depend on each other, or that are zero")
    error = np.asarray(la.cho_solve((root, True), np.eye(root.shape[0])))
    error = 0.5 * (error + error.T)
    h = problem.forward(gamma.toarray())
    full = project(problem.jacobian, problem.prior_error)
    rest = full - h @ error @ h.T
    total = float(np.trace(full))
    noise: Covariance = problem.observation_error
    if aggregation_error:
        noise = DenseCovariance(
            noise.dense() + 0.5 * (rest + rest.T), "the observation error with aggregation error"
        )
    reduced = problem.with_(
        jacobian=h,
        prior=np.zeros(gamma.shape[1]),
        prior_error=DenseCovariance(error, "the reduced prior error")
        if gamma.shape[1] > 1
        else DiagonalCovariance(error.ravel()),
        observation_error=noise,
        background=problem.simulate(problem.prior),
        state=None,
    )
    return Reduced(reduced, gamma, float(np.trace(rest)) / total if total else 0.0)
