"""Fields at a particle, linear in time and space, without a search: kernel code on flat float32 arrays.

Positions are fractional nodes (`x` along longitude), heights metres above ground, times seconds since 1970. The
arrays are C-ordered ``(time, lat, lon, level, 4)`` and ``(time, lat, lon, 6)``, passed flat: two levels of a
column lie together, so one particle touches eight cache lines. Outside the domain the edge value holds.
"""

from __future__ import annotations

import numba
import numpy as np

from obsnet.typing import Floats, Singles

__all__ = ["Shape", "jit", "node", "surface_at", "wind_at"]

Shape = tuple[int, int, int, int]

# `nogil` lets threads run receptors side by side. The cache looks at a kernel's own file only: after a change to
# a function that another module's kernel calls, delete the .nbi files in __pycache__ (an installation is fresh).
jit = numba.njit(cache=True, nogil=True, error_model="numpy", fastmath={"contract", "arcp", "nsz"})

# Numba wraps signed indices around where they are negative, at a cost; unsigned ones it takes as they are.
_1, _2, _3, _4, _5, _6, _7 = (np.uint64(k) for k in range(1, 8))

# Entries of `axes`.
T0, PER_SECOND, LAT0, DLAT, LON0, DLON, PER_TOP, LEVEL_SCALE = range(8)


@jit
def node(position: float, size: int) -> tuple[int, np.float32]:
    """Return the node below a position, and the fraction beyond it within 0 and 1."""
    inside = min(max(position, 0.0), size - 1.0)
    low = min(int(inside), size - 2)
    return low, np.float32(inside - low)


@jit
def wind_at(
    wind: Singles, shape: Shape, axes: Floats, t: float, x: float, y: float, z: float
) -> tuple[float, float, float, float, float]:
    """Return u, v, w (m s-1), density of dry air (kg m-3) and its vertical gradient (kg m-4)."""
    nt, ny, nx, nz = shape
    n, ft = node((t - axes[T0]) * axes[PER_SECOND], nt)
    i, fx = node(x, nx)
    j, fy = node(y, ny)
    # Levels stand at scale * k^2.
    k = min(int(np.sqrt(max(z, 0.0) * axes[PER_TOP]) * (nz - 1)), nz - 2)
    depth = axes[LEVEL_SCALE] * (2.0 * k + 1.0)
    fz = np.float32(min(max((z - axes[LEVEL_SCALE] * k * k) / depth, 0.0), 1.0))
    one = np.float32(1.0)
    u = v = w = lower = upper = np.float32(0.0)
    column = np.uint64(4 * nz)
    row = np.uint64(nx * 4 * nz)
    first = np.uint64(((n * ny + j) * nx + i) * 4 * nz + 4 * k)
    w00, w01, w10, w11 = (one - fy) * (one - fx), (one - fy) * fx, fy * (one - fx), fy * fx
    for a in range(2):
        at = first + np.uint64(a * ny * nx * 4 * nz)
        wt = ft if a else one - ft
        for c in range(4):
            if c == 0:
                share, q = wt * w00, at
            elif c == 1:
                share, q = wt * w01, at + column
            elif c == 2:
                share, q = wt * w10, at + row
            else:
                share, q = wt * w11, at + row + column
            high = share * fz
            low = share - high
            u += low * wind[q] + high * wind[q + _4]
            v += low * wind[q + _1] + high * wind[q + _5]
            w += low * wind[q + _2] + high * wind[q + _6]
            lower += share * wind[q + _3]
            upper += share * wind[q + _7]
    density = float(lower + fz * (upper - lower))
    return float(u), float(v), float(w), density, float(upper - lower) / depth


@jit
def surface_at(
    surface: Singles, shape: Shape, axes: Floats, t: float, x: float, y: float
) -> tuple[float, float, float, float, float, float]:
    """Return boundary-layer height (m), dry mass in it (kg m-2), u*, 1/L, w*, density at the ground."""
    nt, ny, nx, _ = shape
    n, ft = node((t - axes[T0]) * axes[PER_SECOND], nt)
    i, fx = node(x, nx)
    j, fy = node(y, ny)
    one = np.float32(1.0)
    first = np.uint64(((n * ny + j) * nx + i) * 6)
    row = np.uint64(nx * 6)
    w00, w01, w10, w11 = (one - fy) * (one - fx), (one - fy) * fx, fy * (one - fx), fy * fx
    h = m = us = il = ws = d = np.float32(0.0)
    for a in range(2):
        at = first + np.uint64(a * ny * nx * 6)
        wt = ft if a else one - ft
        for c in range(4):
            if c == 0:
                share, q = wt * w00, at
            elif c == 1:
                share, q = wt * w01, at + _6
            elif c == 2:
                share, q = wt * w10, at + row
            else:
                share, q = wt * w11, at + row + _6
            h += share * surface[q]
            m += share * surface[q + _1]
            us += share * surface[q + _2]
            il += share * surface[q + _3]
            ws += share * surface[q + _4]
            d += share * surface[q + _5]
    return float(h), float(m), float(us), float(il), float(ws), float(d)
