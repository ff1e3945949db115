"""What storms do to a column within a step: drafts take air from level to level, and what remains settles in its place.

Of level i the share ``dt sum_j moved[i, j] / m_i`` goes; what comes is spread evenly over the level that it comes to.
Then every level holds another mass than it has room for, and the column is stacked anew, lowest first: air between the
drafts sinks by exactly what they lifted past it, without a jump from level to level. In mass coordinates this keeps
even air even whatever moves, and it can be run backward: where a particle stands now, and which share of the air there
came from where, gives the same joint probability of both places as forward.
"""

from __future__ import annotations

import numpy as np

from inversion.transport.kernels.interpolation import jit
from inversion.transport.kernels.random import uniform
from obsnet.typing import Floats, Singles

__all__ = ["LARGEST_SHARE", "displaced", "ledger", "level_of", "mass_matrix", "stacked"]

LARGEST_SHARE = 0.5  # of a level's air, that drafts may take within a step


@jit
def ledger(mass: Floats, moved: Singles | Floats, out: Floats) -> None:
    """Fill in the mass of each level (kg m-2), and what drafts take from it and bring to it, shape (3, n).

    Parameters
    ----------
    mass : ndarray of float64, shape (n,)
        Air of each level, kg m-2.
    moved : ndarray, shape (n, n)
        Of `inversion.transport.convection.emanuel.moving_air`, kg m-2 s-1.
    """
    for k in range(mass.size):
        out[0, k], out[1, k], out[2, k] = mass[k], 0.0, 0.0
    for i in range(mass.size):
        for k in range(mass.size):
            out[1, i] += float(moved[i, k])
            out[2, k] += float(moved[i, k])


@jit
def stacked(book: Floats, dt: float, before: Floats, after: Floats) -> None:
    """Fill in the mass below each level before and after a step of dt seconds, kg m-2, shapes (n + 1,)."""
    before[0] = after[0] = 0.0
    for k in range(book.shape[1]):
        before[k + 1] = before[k] + book[0, k]
        after[k + 1] = after[k] + book[0, k] + dt * (book[2, k] - book[1, k])


@jit
def level_of(bounds: Floats, place: float) -> int:
    """Return the level that a place in mass (kg m-2) lies in; the first or last beyond the ends."""
    return min(max(int(np.searchsorted(bounds, place, side="right")) - 1, 0), bounds.size - 2)


@jit
def displaced(
    place: float,
    sign: float,
    dt: float,
    moved: Singles | Floats,
    book: Floats,
    bounds: tuple[Floats, Floats],
    words: tuple[np.uint64, np.uint64],
) -> float:
    """Return where a particle is after a step, or where it was before it.

    Parameters
    ----------
    place : float
        Mass of air below it, kg m-2.
    sign : float
        1 forward, -1 backward.
    dt : float
        Length, s.
    moved : ndarray, shape (n, n)
        Air that drafts move, kg m-2 s-1.
    book, bounds : ndarray, (ndarray, ndarray)
        Of `ledger` and `stacked`.
    words : (uint64, uint64)
        Random; one says whether a draft took the particle and which, the other where within a level it came.
    """
    before, after = bounds
    if sign < 0.0:
        before, after = after, before
    k = level_of(before, place)
    within = min(max((place - before[k]) / (before[k + 1] - before[k]), 0.0), 1.0)
    draw, other = uniform(words[0]) * (before[k + 1] - before[k]), k
    if draw < dt * (book[1, k] if sign > 0.0 else book[2, k]):
        for j in range(moved.shape[0]):
            draw -= dt * float(moved[k, j] if sign > 0.0 else moved[j, k])
            if draw < 0.0:
                other, within = j, uniform(words[1])
                break
    return after[other] + within * (after[other + 1] - after[other])


@jit
def mass_matrix(mass: Floats, moved: Floats, dt: float) -> Floats:
    """Return how much air goes from each level to each other within a step, what sinks included, kg m-2.

    Returns
    -------
    ndarray of float64, shape (n, n)
        From rows to columns: rows and columns both sum to the levels' masses. ``matrix / mass[:, None]`` are
        probabilities forward, ``matrix / mass`` by columns backward.
    """
    n = mass.size
    before, after, book = np.empty(n + 1), np.empty(n + 1), np.empty((3, n))
    ledger(mass, moved, book)
    stacked(book, dt, before, after)
    out = np.zeros((n, n))
    for j in range(n):
        room = after[j + 1] - after[j]
        for k in range(n):
            # What has come to level j is spread evenly over the room that it takes in the new stack.
            overlap = min(after[j + 1], before[k + 1]) - max(after[j], before[k])
            if overlap <= 0.0:
                continue
            share = overlap / room
            for i in range(n):
                out[i, k] += dt * moved[i, j] * share
            out[j, k] += (mass[j] - dt * book[1, j]) * share
    return out
