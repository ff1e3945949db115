"""Which regions can only be reported jointly: those whose totals an inversion does not tell apart.

Two regions are a pair where the errors of their posterior totals are correlated by more than a half, or where a
discrepancy of one, of the size that the prior doubts, moves the total of the other by more than half of what the
other's own would (and by more than a fifth of the other's prior sd: what hardly moves shares nothing). Turner & Jacob
(2015, doi:10.5194/acp-15-7039-2015) merge elements that observations do not resolve. Pairs that share a region make one
set. Covariance and kernel decide, never a total or an inventory: what is merged is the same whatever the data turn out
to be, so that a merged verdict keeps its rates.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from obsnet.typing import Bools, Floats

__all__ = ["LIMIT", "RegionResolution", "joint_sets", "resolve"]

LIMIT = 0.5
_MOVED = 0.2  # of the prior sd


@dataclass(frozen=True)
class RegionResolution:
    """How well regions are told apart.

    Parameters
    ----------
    share : ndarray, shape (regions,)
        Of what moves a region's total, discrepancies being as large as the prior doubts, the share that is its own; 0
        where nothing does.
    correlation : ndarray, shape (regions,)
        The largest, by size, of a region's posterior error with another region's; NaN where the file has none.
    partner : ndarray of int, shape (regions,)
        Which region that is with; -1 for none.
    pairs : ndarray of bool, shape (regions, regions)
        Regions that are not told apart.
    """

    share: Floats
    correlation: Floats
    partner: np.ndarray
    pairs: Bools


def resolve(response: Floats, spread: Floats, covariance: Floats, limit: float = LIMIT) -> RegionResolution:
    """Say how well regions are told apart.

    Parameters
    ----------
    response : ndarray, shape (regions, regions)
        Part of a discrepancy of the region of a column that appears in the total of the region of a row.
    spread : ndarray, shape (regions,)
        Standard deviation of the prior totals.
    covariance : ndarray, shape (regions, regions)
        Of the posterior totals; what is not known of it is NaN.
    limit : float
        Above which correlation or shared response two regions are a pair.

    Examples
    --------
    >>> one = np.eye(3)
    >>> near = np.array([[1.0, 0.7, 0.0], [0.7, 1.0, 0.6], [0.0, 0.6, 1.0]])
    >>> joint_sets(resolve(one, np.ones(3), near).pairs)
    [(0, 1, 2)]
    """
    n = len(response)
    apart = ~np.eye(n, dtype=bool)
    sd = np.sqrt(np.maximum(np.diagonal(covariance), 0.0))
    known = np.isfinite(covariance) & (np.outer(sd, sd) > 0)
    correlation = np.where(known, covariance / np.where(known, np.outer(sd, sd), 1.0), 0.0)
    solved = np.outer(spread, spread) > 0
    moved = np.abs(response) * np.where(
        solved, spread[None, :] / np.where(spread > 0, spread, 1.0)[:, None], 0.0
    )
    own, all_ = np.diagonal(moved), moved.sum(axis=1)
    follows = (moved > limit * own[:, None]) & (moved > _MOVED)
    pairs = apart & ((np.abs(correlation) > limit) | follows | follows.T)
    strength = np.where(apart & known, np.abs(correlation), -1.0)
    best = strength.argmax(axis=1) if n > 1 else np.zeros(n, dtype=np.int64)
    some = strength[np.arange(n), best] >= 0
    return RegionResolution(
        np.where(all_ > 0, own / np.where(all_ > 0, all_, 1.0), 0.0),
        np.where(some, correlation[np.arange(n), best], np.nan),
        np.where(some, best, -1),
        pairs,
    )


def joint_sets(pairs: Bools) -> list[tuple[int, ...]]:
    """Return the sets of two regions and more that pairs join, each in order, the first region's set first."""
    from scipy.sparse.csgraph import connected_components

    count, label = connected_components(pairs, directed=False)
    sets = [tuple(int(i) for i in np.flatnonzero(label == k)) for k in range(count)]
    return sorted(s for s in sets if len(s) > 1)
