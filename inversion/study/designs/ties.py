"""Ties: networks and candidates whose difference is within its own sampling error have no order.

A ranking goes by numbers that were estimated: true errors from a number of twins, gains from the weather and clouds of
one period. With the covariance C of their sampling errors two of them differ where::

    |a - b| > 1.96 sqrt(C_aa + C_bb - 2 C_ab)

Numbers of the same twins or the same weather err together, so that C matters. The best leads, whoever does not differ
from it is tied with it, and so on with the best of the rest.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from inversion.problem.problem import Problem
from inversion.study.designs.design import Criterion, choose_network
from obsnet.typing import Floats

__all__ = ["gain_covariance", "mean_covariance", "ranks"]

_WIDTH = 1.959963985  # of 95 %
_BLOCKS = 8  # stretches of time


def ranks(values: Floats, covariance: Floats) -> list[str]:
    """Return the rank of each value, the smallest first; ``"2="`` for a tie of second places.

    Parameters
    ----------
    values : ndarray, shape (n,)
    covariance : ndarray, shape (n, n)
        Of their sampling errors.

    Examples
    --------
    >>> ranks(np.array([3.0, 1.0, 1.1]), 0.01 * np.eye(3))
    ['3', '1=', '1=']
    """
    variance = np.diagonal(covariance)
    left = [int(i) for i in np.argsort(values, kind="stable")]
    found = [""] * len(left)
    place = 1
    while left:
        first = left[0]
        spread = variance[first] + variance[left] - 2.0 * covariance[first, left]
        tied = values[left] - values[first] <= _WIDTH * np.sqrt(np.maximum(spread, 0.0))
        tied[0] = True
        for i in np.array(left)[tied]:
            found[i] = f"{place}=" if tied.sum() > 1 else f"{place}"
        place += int(tied.sum())
        left = [i for i, same in zip(left, tied, strict=True) if not same]
    return found


def mean_covariance(samples: Floats) -> Floats:
    """Return the covariance of the means of samples that were drawn together, (n, draws) to (n, n)."""
    return np.atleast_2d(np.cov(samples)) / samples.shape[1]


def gain_covariance(
    problem: Problem,
    group: str,
    labels: Sequence[str],
    *,
    weights: Any,
    criterion: Criterion,
    existing: Sequence[str] = (),
    importance: npt.ArrayLike | None = None,
) -> Floats | None:
    """Return the covariance by which the weather and clouds of the period make gains of candidates uncertain.

    Each of some stretches of time is left out once, for all candidates together. What it takes away scatters between
    stretches; of a sum over independent stretches the covariance is as many times that as there are.

    Parameters
    ----------
    problem : Problem
        With the group ``day``.
    group, weights, criterion, existing, importance
        As of `choose_network`.
    labels : sequence of str
        Candidates, in the order of the result.

    Returns
    -------
    ndarray, shape (labels, labels), or None
        None where a candidate is of one stretch only, as an orbit is: nothing tells how another would do.
    """
    days = problem.labels("day").astype(str)
    stretches = [s for s in np.array_split(np.unique(days), _BLOCKS) if s.size]
    if len(stretches) < 2 or not labels:
        return None
    gains = []
    for stretch in stretches:
        part = problem.select(~np.isin(days, stretch))
        if not {*labels, *existing} <= set(part.labels(group).astype(str)):
            return None
        made = choose_network(
            part, group, 0, weights=weights, criterion=criterion, existing=existing, importance=importance
        )
        of = {g.label: float(getattr(g, criterion)) for g in made.ranking}
        gains.append([of[label] for label in labels])
    k = len(stretches)
    return k * np.atleast_2d(np.cov(np.array(gains).T))
