"""What all particle paths share: where they begin, when and through which side they leave, which bin lies ahead."""

from __future__ import annotations

import numpy as np

from inversion.transport.kernels.interpolation import jit
from inversion.transport.kernels.random import uniform
from obsnet.schema import SIDES
from obsnet.typing import Floats, Singles

__all__ = [
    "INSIDE",
    "bin_ahead",
    "crossing",
    "left_over",
    "moved",
    "new_tracks",
    "note_end",
    "note_path",
    "release_point",
]

NORTH, EAST, SOUTH, WEST, TOP, INSIDE = (
    SIDES.index(s) for s in ("north", "east", "south", "west", "top", "inside")
)


@jit
def release_point(
    release: Floats, number: int, word: np.uint64, other: np.uint64
) -> tuple[float, float, float, float, float]:
    """Return t, x, y, z and weight of particle `number` of a release.

    Particles share the release evenly, each somewhere within its share, even in pressure. Weights fall linearly
    from one end to the other and are those of the middle of the share, so that their sum is exact.
    """
    share = (number + uniform(word)) / release[11]
    middle = (number + 0.5) / release[11]
    t = release[0] + (release[1] - release[0]) * uniform(other)
    x = release[2] + (release[3] - release[2]) * share
    y = release[4] + (release[5] - release[4]) * share
    ratio = release[8]
    rise = share if abs(ratio - 1.0) < 1e-9 else np.log(1.0 + (ratio - 1.0) * share) / np.log(ratio)
    z = release[6] + (release[7] - release[6]) * rise
    return t, x, y, z, 2.0 * (release[9] * (1.0 - middle) + release[10] * middle)


@jit
def crossing(
    x0: float, y0: float, z0: float, x1: float, y1: float, z1: float, xe: Floats, ye: Floats, top: float
) -> tuple[float, int]:
    """Return the fraction of a step at which it leaves the domain, and through which side (1, INSIDE if not)."""
    west, east, south, north = xe[0], xe[-1], ye[0], ye[-1]
    if west <= x1 < east and south <= y1 < north and z1 <= top:
        return 1.0, INSIDE
    best, side = 2.0, INSIDE
    if x1 >= east:
        best, side = (east - x0) / (x1 - x0), EAST
    elif x1 < west:
        best, side = (west - x0) / (x1 - x0), WEST
    if y1 >= north:
        f = (north - y0) / (y1 - y0)
        if f < best:
            best, side = f, NORTH
    elif y1 < south:
        f = (south - y0) / (y1 - y0)
        if f < best:
            best, side = f, SOUTH
    if z1 > top:
        f = (top - z0) / (z1 - z0)
        if f < best:
            best, side = f, TOP
    return min(max(best, 0.0), 1.0), side


@jit
def bin_ahead(t: float, edges: Floats, sign: float) -> int:
    """Return the bin in which a path at time `t` goes on: back from its upper edge, or on from its lower."""
    b = edges.shape[0] - 2
    while b > 0 and (t < edges[b] + 1e-6 if sign < 0.0 else t < edges[b] - 1e-6):
        b -= 1
    return b


@jit
def left_over(decay: float, age: float, dt: float) -> float:
    """Return the share of a tracer that is left, on average from an age to dt later (s), decaying at a rate (s-1)."""
    if decay <= 0.0:
        return 1.0
    share = np.exp(-decay * age)
    return -share * np.expm1(-decay * dt) / (decay * dt) if dt > 0.0 else share


@jit
def moved(place: float, by: float, edges: Floats) -> float:
    """Return a coordinate moved by so much, kept within the domain so that nothing is lost at its edge."""
    if by == 0.0:
        return place
    return min(max(place + by, edges[0]), edges[-1] - 1e-9)


@jit
def new_tracks(particles: int, hours: float, every: float) -> Singles:
    """Return room for the paths of a receptor's particles, at ages `every` seconds apart; none where that is 0."""
    ages = int(np.ceil(hours * 3600.0 / every - 1e-9)) if every > 0.0 else 0
    return np.zeros((particles, ages, 5), np.float32)


@jit
def note_path(
    track: Singles,
    every: float,
    ages: tuple[float, float],
    begin: tuple[float, float, float],
    end: tuple[float, float, float],
    value: float,
) -> None:
    """Write down where a piece of path passes even ages, and what was taken up since the last of them.

    Parameters
    ----------
    track : ndarray of float32, shape (ages, 5)
        Age (s), x, y, z and sensitivity, filled.
    every : float
        Between two ages, s.
    ages : (float, float)
        At the beginning and end of the piece, s.
    begin, end : (float, float, float)
        x, y, z there.
    value : float
        Taken up along it, shared out evenly.
    """
    before, now = ages
    k, since = int(before / every + 1e-9), before
    while k < track.shape[0] and (k + 1) * every <= now + 1e-6:
        at = (k + 1) * every
        share = (at - before) / (now - before)
        track[k, 0] = at
        track[k, 1] = begin[0] + share * (end[0] - begin[0])
        track[k, 2] = begin[1] + share * (end[1] - begin[1])
        track[k, 3] = begin[2] + share * (end[2] - begin[2])
        track[k, 4] += value * (at - since) / (now - before)
        since = at
        k += 1
    if k < track.shape[0] and now > before:
        track[k, 4] += value * (now - since) / (now - before)


@jit
def note_end(track: Singles, every: float, age: float, place: tuple[float, float, float]) -> None:
    """Write down where a path ends between two ages."""
    k = int(age / every + 1e-9)
    if k < track.shape[0] and age > k * every + 1e-6:
        track[k, 0], track[k, 1], track[k, 2], track[k, 3] = age, place[0], place[1], place[2]
