"""Sensitivities of one receptor as a hash table, with the exact Monte-Carlo variance.

Only cells that a particle touched are held. An entry adds up one particle's share before it squares it, so that
a particle that comes back to a cell counts once; releases (levels of a column) are strata, whose variances add.
Kernel code: plain arrays, positions in fractional nodes of the meteorological grid.
"""

from __future__ import annotations

import numpy as np

from inversion.transport.kernels.interpolation import jit
from obsnet.grid import axis_cell
from obsnet.typing import Floats, Ints

__all__ = ["add", "deposit", "end_particle", "end_stratum", "finish", "grow", "new_table", "smear"]


_axis_cell = jit(axis_cell)

# Points and weights of Gaussian averages: sqrt(2) times the roots of H5, and their weights / sqrt(pi).
_HERMITE = np.stack(
    [
        np.sqrt(2.0) * np.polynomial.hermite.hermgauss(5)[0],
        np.polynomial.hermite.hermgauss(5)[1] / np.sqrt(np.pi),
    ],
    axis=1,
)

# Columns of `sums`: finished strata, their variance, this stratum's sum and sum of squares, this particle's share.
TOTAL, VARIANCE, SUM, SQUARES, SHARE = range(5)


@jit
def new_table(capacity: int) -> tuple[Ints, Floats, Ints]:
    """Return keys (-1 empty), sums (capacity, 5) and owners (capacity, 2: particle, stratum)."""
    return np.full(capacity, -1, np.int64), np.zeros((capacity, 5)), np.zeros((capacity, 2), np.int64)


@jit
def _slot(keys: Ints, key: int) -> int:
    mask = keys.shape[0] - 1
    mixed = np.uint64(key) * np.uint64(0x9E3779B97F4A7C15)
    at = np.int64(mixed >> np.uint64(20)) & mask
    while keys[at] != key and keys[at] != -1:
        at = (at + 1) & mask
    return at


@jit
def grow(keys: Ints, sums: Floats, owners: Ints) -> tuple[Ints, Floats, Ints]:
    """Return a table of twice the capacity with the same entries."""
    bigger, more_sums, more_owners = new_table(2 * keys.shape[0])
    for at in range(keys.shape[0]):
        if keys[at] != -1:
            to = _slot(bigger, keys[at])
            bigger[to] = keys[at]
            more_sums[to] = sums[at]
            more_owners[to] = owners[at]
    return bigger, more_sums, more_owners


@jit
def end_particle(entry: Floats) -> None:
    """Add a particle's share to its stratum's sums."""
    entry[SUM] += entry[SHARE]
    entry[SQUARES] += entry[SHARE] ** 2
    entry[SHARE] = 0.0


@jit
def end_stratum(entry: Floats, count: float) -> None:
    """Add a stratum of `count` particles: mean, and variance of the mean."""
    entry[TOTAL] += entry[SUM] / count
    if count > 1.0:
        spread = max(entry[SQUARES] - entry[SUM] ** 2 / count, 0.0) / (count - 1.0)
    else:
        spread = entry[SQUARES]  # one particle says nothing of its spread: its size is the bound
    entry[VARIANCE] += spread / count
    entry[SUM] = 0.0
    entry[SQUARES] = 0.0


@jit
def add(
    keys: Ints,
    sums: Floats,
    owners: Ints,
    counts: Floats,
    key: int,
    value: float,
    particle: int,
    stratum: int,
) -> int:
    """Add a particle's contribution to a key; return 1 where the key is new, else 0."""
    at = _slot(keys, key)
    if keys[at] == -1:
        keys[at] = key
        owners[at, 0], owners[at, 1] = particle, stratum
        sums[at, SHARE] = value
        return 1
    if owners[at, 0] != particle:
        end_particle(sums[at])
        owners[at, 0] = particle
        if owners[at, 1] != stratum:
            end_stratum(sums[at], counts[owners[at, 1]])
            owners[at, 1] = stratum
    sums[at, SHARE] += value
    return 0


@jit
def finish(keys: Ints, sums: Floats, owners: Ints, counts: Floats) -> tuple[Ints, Floats, Floats]:
    """Return keys in order, totals and their standard errors."""
    used = np.flatnonzero(keys >= 0)
    used = used[np.argsort(keys[used])]
    total, error = np.empty(used.size), np.empty(used.size)
    for n in range(used.size):
        entry = sums[used[n]]
        end_particle(entry)
        end_stratum(entry, counts[owners[used[n], 1]])
        total[n], error[n] = entry[TOTAL], np.sqrt(entry[VARIANCE])
    return keys[used], total, error


@jit
def deposit(
    keys: Ints,
    sums: Floats,
    owners: Ints,
    counts: Floats,
    xe: Floats,
    ye: Floats,
    time_bin: int,
    x0: float,
    y0: float,
    x1: float,
    y1: float,
    value: float,
    particle: int,
    stratum: int,
) -> int:
    """Spread a contribution evenly along a straight piece of path; return how many keys are new."""
    nx = xe.shape[0] - 1
    ny = ye.shape[0] - 1
    # Pieces no longer than half a mean cell.
    long = max(abs(x1 - x0) * nx / (xe[nx] - xe[0]), abs(y1 - y0) * ny / (ye[ny] - ye[0]))
    pieces = min(int(2.0 * long) + 1, 256)
    new = 0
    for n in range(pieces):
        f = (n + 0.5) / pieces
        i = _axis_cell(x0 + f * (x1 - x0), xe)
        j = _axis_cell(y0 + f * (y1 - y0), ye)
        if i >= 0 and j >= 0:
            key = (time_bin * ny + j) * nx + i
            new += add(keys, sums, owners, counts, key, value / pieces, particle, stratum)
    return new


@jit
def smear(
    keys: Ints,
    sums: Floats,
    owners: Ints,
    counts: Floats,
    xe: Floats,
    ye: Floats,
    time_bin: int,
    x: float,
    y: float,
    wide_x: float,
    wide_y: float,
    value: float,
    particle: int,
    stratum: int,
) -> int:
    """Spread a contribution as a Gaussian of standard deviations `wide_x`, `wide_y`; return new keys.

    Five points a side share it (Gauss-Hermite: exact to the ninth moment), so nothing is lost but what falls
    outside the grid.
    """
    nx = xe.shape[0] - 1
    ny = ye.shape[0] - 1
    new = 0
    for a in range(5):
        j = _axis_cell(y + wide_y * _HERMITE[a, 0], ye)
        if j < 0:
            continue
        for b in range(5):
            i = _axis_cell(x + wide_x * _HERMITE[b, 0], xe)
            if i >= 0:
                key = (time_bin * ny + j) * nx + i
                part = value * _HERMITE[a, 1] * _HERMITE[b, 1]
                new += add(keys, sums, owners, counts, key, part, particle, stratum)
    return new
