"""Least squares under constraints, covariance intersection, and the test that points at a gross error.

An estimate ``x`` with covariance P meets further numbers ``y = H t + error`` (covariance R, and X what the errors of x
and y share). An exact constraint is a y without error. With the redundancy ``r = y - H x``::

    S = H P H' + R - H X - X'H',   K = (P H' - X) S^-1,   x^ = x + K r,   P^ = P - K S K'

which is what minimises both misfits together (for X = 0 the usual update; for R = 0 the projection on the constraint).
``r' S^-1 r`` is chi-square distributed if all errors are as stated. A gross error of unit size in one of the numbers
moves r by ``f``; the generalised likelihood ratio ``(f' S^-1 r)^2 / (f' S^-1 f)`` (Narasimhan & Mah 1987, AIChE
Journal 33) is chi-square of one degree if there is none, and largest for the number that is wrong. Numbers that move r
in the same direction cannot be told apart.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from obsnet.errors import RangeError
from obsnet.typing import Floats

__all__ = ["BestEstimate", "combine", "gross_errors", "intersect", "same_direction"]

_RANK = 1e-12
_EXACT = 1e-6  # of numbers that are one


@dataclass(frozen=True)
class BestEstimate:
    """A best estimate.

    Parameters
    ----------
    value : ndarray, shape (n,)
    covariance : ndarray, shape (n, n)
    adjustment_covariance : ndarray, shape (n, n)
        Of what x was moved by, if all errors are as stated.
    redundancy : ndarray, shape (m,)
        r.
    weight : ndarray, shape (m, m)
        ``S^-1``, on the rank of S.
    freedom : int
        Rank of S.
    """

    value: Floats
    covariance: Floats
    adjustment_covariance: Floats
    redundancy: Floats
    weight: Floats
    freedom: int

    @property
    def chi_square(self) -> float:
        """``r' S^-1 r``."""
        return float(self.redundancy @ self.weight @ self.redundancy)


def combine(
    x: Floats, covariance: Floats, h: Floats, y: Floats, error: Floats, common: Floats | None = None
) -> BestEstimate:
    """Return the best estimate from two sets of numbers.

    Parameters
    ----------
    x : ndarray, shape (n,)
        First estimate.
    covariance : ndarray, shape (n, n)
        P.
    h : ndarray, shape (m, n)
        H.
    y : ndarray, shape (m,)
        What else is known.
    error : ndarray, shape (m, m)
        R, zero for exact constraints.
    common : ndarray, shape (n, m), optional
        X.

    Raises
    ------
    RangeError
        Numbers that are all taken as exact, and do not agree.

    Examples
    --------
    Three numbers of equal variance that have to add up to 33 take a third of the gap each:

    >>> combine(np.array([10.0, 10, 10]), np.eye(3), np.ones((1, 3)), np.array([33.0]), np.zeros((1, 1))).value
    array([11., 11., 11.])
    """
    both = np.zeros((len(x), len(y))) if common is None else common
    tied = covariance @ h.T - both
    spread = h @ tied + error - both.T @ h.T
    weight, rank = _inverse(0.5 * (spread + spread.T))
    gain = tied @ weight
    r = y - h @ x
    apart = np.abs(r - spread @ (weight @ r))  # what no error can explain
    if (apart > _EXACT * (np.abs(y) + np.abs(h) @ np.abs(x))).any():
        k = int(np.argmax(apart))
        raise RangeError(
            f"numbers that are all taken as exact differ: {float((h @ x)[k]):g} against {float(y[k]):g}; "
            "one of them needs an uncertainty above 0"
        )
    moved = gain @ tied.T
    return BestEstimate(x + gain @ r, covariance - moved, moved, r, weight, rank)


def intersect(make: Callable[[float], BestEstimate]) -> tuple[float, BestEstimate]:
    """Combine two sources whose errors are correlated in a way that nobody knows.

    Parameters
    ----------
    make : callable
        The combination with the first source's covariances divided by ``w`` and the second's by ``1 - w``.

    Returns
    -------
    w : float
        That makes the trace of the covariance least.
    BestEstimate
        Its covariance is an upper bound whatever the correlation (Julier & Uhlmann 1997, doi:10.1109/ACC.1997.609105).
    """
    from scipy.optimize import minimize_scalar

    found = minimize_scalar(
        lambda w: float(np.trace(make(w).covariance)),
        bounds=(1e-3, 1.0 - 1e-3),
        method="bounded",
        options={"xatol": 1e-5},
    )
    return float(found.x), make(float(found.x))


def gross_errors(combined: BestEstimate, directions: Floats) -> Floats:
    """Return the likelihood ratio of a gross error in each number, chi-square of one degree where there is none.

    Parameters
    ----------
    combined : BestEstimate
    directions : ndarray, shape (m, numbers)
        f: how an error of each number moves r; zero where it moves nothing, which gives NaN.
    """
    seen = combined.weight @ directions
    size = np.einsum("ij,ij->j", directions, seen)
    there = size > _RANK * size.max(initial=0.0)
    return np.where(there, (seen.T @ combined.redundancy) ** 2 / np.where(there, size, 1.0), np.nan)


def same_direction(combined: BestEstimate, directions: Floats, one: int, least: float = 0.99) -> list[int]:
    """Return the numbers whose error would look like an error of `one`, itself among them."""
    seen = combined.weight @ directions
    size = np.sqrt(np.maximum(np.einsum("ij,ij->j", directions, seen), 0.0))
    scale = size * size[one]
    alike = np.abs(directions[:, one] @ seen) >= least * scale
    return [int(k) for k in np.flatnonzero(alike & (scale > 0))]


def _inverse(matrix: Floats) -> tuple[Floats, int]:
    """Return the inverse of a covariance on its rank, and the rank; units of its rows do not matter."""
    size = np.sqrt(np.maximum(np.diagonal(matrix), 0.0))
    scale = np.where(size > 0, 1.0 / np.where(size > 0, size, 1.0), 0.0)
    values, vectors = np.linalg.eigh(matrix * np.outer(scale, scale))
    kept = values > _RANK * values.max(initial=0.0)
    root = scale[:, None] * vectors[:, kept] / np.sqrt(values[kept])
    return root @ root.T, int(kept.sum())
