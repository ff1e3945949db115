"""Storms as particles meet them: the column of the nearest node and time, worked out once and kept while it is needed.

A column with storms costs some ten thousand operations, one without next to none; the particles of a receptor meet the
same few. Each receptor keeps its own, so results do not depend on who runs beside it.
"""

from __future__ import annotations

import numpy as np

from inversion.transport.convection.emanuel import moving_air
from inversion.transport.convection.redistribution import LARGEST_SHARE, displaced, ledger, level_of, stacked
from inversion.transport.kernels.interpolation import LEVEL_SCALE, PER_SECOND, T0, Shape, jit
from inversion.transport.kernels.random import philox
from obsnet.errors import MissingVariableError
from obsnet.met import Met
from obsnet.typing import Floats, Ints, Singles

__all__ = ["CONVECTION_STEP", "LONGEST_STEP", "Columns", "check_storms", "convected", "new_columns"]

CONVECTION_STEP = 900.0  # s, at least, between two times that storms move a particle
LONGEST_STEP = 2700.0  # s, that no step exceeds: 900 s and an interval of the mean wind of half an hour
SLOTS = 1024
HIGHEST_TOP = 1.5e4  # Pa, that the highest level may have
_CONVECTION = np.uint64(17)

# Nodes that are kept (-1 for none), whether there are storms, what is moved, and its `ledger`.
Columns = tuple[Ints, Ints, Singles, Floats]


def check_storms(met: Met) -> None:
    """Refuse meteorology that storms cannot be told from.

    Raises
    ------
    MissingVariableError
        No humidity, or no level as high as 150 hPa.
    """
    if not np.any(met.state[0, :, :, 1, 2] > 0.0):
        raise MissingVariableError(
            "convection = 'emanuel' needs specific humidity (q) or relative humidity (rh), and this meteorology was "
            "prepared without; add it to the files, or take convection = 'none'"
        )
    top = float(met.state[0, :, :, -1, 0].max())
    if top > HIGHEST_TOP:
        raise MissingVariableError(
            f"convection = 'emanuel' needs temperature and humidity up to {HIGHEST_TOP / 100:g} hPa, and this "
            f"meteorology ends at {met.top:.0f} m, {top / 100:.0f} hPa; add levels (and raise top), or take "
            "convection = 'none'"
        )


@jit
def new_columns(levels: int) -> Columns:
    """Return room for columns of so many levels; none for 0."""
    slots = SLOTS if levels else 0
    return (
        np.full(slots, -1, np.int64),
        np.zeros(slots, np.int64),
        np.zeros((slots, levels, levels), np.float32),
        np.zeros((slots, 3, levels)),
    )


@jit
def _edge(k: int, levels: int, scale: float) -> float:
    """Return the height (m) between levels k - 1 and k; the ground is below the first, the top above the last."""
    if k == 0:
        return 0.0
    if k == levels:
        return scale * (levels - 1) * (levels - 1)
    return 0.5 * scale * (k * k + (k - 1) * (k - 1))


@jit
def _density(wind: Singles, first: int, k: int, levels: int) -> float:
    """Return the density of dry air at the edge below level k, kg m-3."""
    low, high = max(k - 1, 0), min(k, levels - 1)
    return 0.5 * (float(wind[first + 4 * low + 3]) + float(wind[first + 4 * high + 3]))


@jit
def _fill(
    wind: Singles, state: Singles, column: int, levels: int, scale: float, moved: Singles, book: Floats
) -> bool:
    """Fill in what storms move at a node, and its ledger; return whether there are any."""
    pressure, temperature, humidity = np.empty(levels), np.empty(levels), np.empty(levels)
    edges, mass = np.empty(levels + 1), np.empty(levels)
    for k in range(levels):
        at = 3 * (column * levels + k)
        pressure[k], temperature[k], humidity[k] = state[at], state[at + 1], max(state[at + 2], 0.0)
    edges[0], edges[levels] = pressure[0], pressure[levels - 1]
    for k in range(1, levels):
        edges[k] = np.sqrt(pressure[k - 1] * pressure[k])
    for k in range(levels):
        depth = _edge(k + 1, levels, scale) - _edge(k, levels, scale)
        first = 4 * column * levels
        low, high = _density(wind, first, k, levels), _density(wind, first, k + 1, levels)
        mass[k] = 0.5 * depth * (low + high)
    flux = np.empty((levels, levels))
    if moving_air(pressure, temperature, humidity, edges, mass, flux)[0] <= 0.0:
        return False
    largest = 0.0
    for k in range(levels):
        largest = max(largest, LONGEST_STEP * flux[k].sum() / mass[k])
    if largest > LARGEST_SHARE:
        flux *= LARGEST_SHARE / largest
    moved[:, :] = flux
    ledger(mass, moved, book)
    return True


@jit
def convected(
    z: float,
    sign: float,
    dt: float,
    wind: Singles,
    state: Singles,
    shape: Shape,
    axes: Floats,
    place: tuple[float, float, float],
    columns: Columns,
    draws: tuple[np.uint64, np.uint64, np.uint64],
) -> float:
    """Return the height (m) to which, or from which, storms bring a particle within a step.

    Parameters
    ----------
    z : float
        Height, m.
    sign, dt : float
        1 forward, -1 backward; length, s, at most `LONGEST_STEP`.
    wind, state, shape, axes
        As in `inversion.transport.kernels.interpolation.wind_at`, and `obsnet.met.Met`'s state, flat.
    place : (float, float, float)
        Time (middle of the step) and fractional nodes, t, x, y.
    columns : tuple
        `Columns`.
    draws : (uint64, uint64, uint64)
        Key, particle and step.
    """
    t, x, y = place
    nt, ny, nx, levels = shape
    n = min(max(int((t - axes[T0]) * axes[PER_SECOND] + 0.5), 0), nt - 1)
    j, i = min(max(int(y + 0.5), 0), ny - 1), min(max(int(x + 0.5), 0), nx - 1)
    column, scale = (n * ny + j) * nx + i, axes[LEVEL_SCALE]
    kept, stormy, moved, books = columns
    slot = (column * 40503 + column // 65536) % SLOTS
    if kept[slot] != column:
        kept[slot] = column
        stormy[slot] = _fill(wind, state, column, levels, scale, moved[slot], books[slot])
    if not stormy[slot]:
        return z
    first = 4 * column * levels
    before, after = np.empty(levels + 1), np.empty(levels + 1)
    book = books[slot]
    stacked(book, dt, before, after)
    words = philox(draws[0], draws[1], draws[2], np.uint64(0), _CONVECTION)
    k = 0
    while k + 1 < levels and _edge(k + 1, levels, scale) <= z:
        k += 1
    low, high = _density(wind, first, k, levels), _density(wind, first, k + 1, levels)
    bottom = _edge(k, levels, scale)
    depth = _edge(k + 1, levels, scale) - bottom
    f = min(max((z - bottom) / depth, 0.0), 1.0)
    share = f * (low + 0.5 * (high - low) * f) / (0.5 * (low + high))
    at = before[k] + share * book[0, k]
    at = displaced(at, sign, dt, moved[slot], book, (before, after), (words[0], words[1]))
    k = level_of(before, at)
    low, high = _density(wind, first, k, levels), _density(wind, first, k + 1, levels)
    bottom = _edge(k, levels, scale)
    depth = _edge(k + 1, levels, scale) - bottom
    share = min(max((at - before[k]) / book[0, k], 0.0), 1.0)
    # Density is straight between edges: the root of low f + (high - low) f^2 / 2 = share (low + high) / 2.
    f = share * (low + high) / (low + np.sqrt(low * low + share * (high * high - low * low)))
    return bottom + f * depth
