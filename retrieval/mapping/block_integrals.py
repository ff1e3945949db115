"""Means of exponentials over cells and times, without sampling them: what block kriging needs.

A cell is a rectangle about its centre, in azimuthal equidistant coordinates there: distances from the centre are
those of the sphere, and the rectangle has the cell's area. The mean over it of ``exp(-d / length)`` from a point is an
integral over the directions seen from that point, because the integral along each direction has a closed form;
the mean between two points of it is one over the directions of their difference. Both hold however short the
length is beside the cell, where quadrature over points sees only the points themselves.
"""

from __future__ import annotations

import numba
import numpy as np
import numpy.typing as npt

from obsnet.grid import Grid
from obsnet.sphere import EARTH_RADIUS_KM
from obsnet.typing import Floats

__all__ = ["cell_sizes_km", "from_point", "from_time", "mean_within", "within_time"]

_NODES, _WEIGHTS = np.polynomial.legendre.leggauss(8)
_FAR_NODES, _FAR_WEIGHTS = np.polynomial.legendre.leggauss(4)
_FAR = 6.0  # half diagonals from the centre beyond which few points of the rectangle tell its mean to 1e-8


@numba.njit(cache=True)
def _disc(x: float) -> float:
    """Return ``1 - (1 + x) exp(-x)``: the integral of ``r exp(-r)`` from 0 to x."""
    if x < 0.02:
        return x * x * (0.5 - x * (1.0 / 3.0 - x * (0.125 - x / 30.0)))
    return 1.0 - (1.0 + x) * np.exp(-x)


@numba.njit(cache=True)
def _side(h: float, t: float, length: float, nodes: Floats, weights: Floats) -> float:
    """Return the integral of ``exp(-r / length)`` over the triangle of the point, its foot on a side, and t along it.

    ``h`` is the distance of the side's line; the substitution ``t = h sinh v`` spreads what is seen at a
    grazing angle.
    """
    if h <= 0.0 or t == 0.0:
        return 0.0
    end = np.arcsinh(abs(t) / h)
    pieces = int(np.ceil(end))
    step, total = end / pieces, 0.0
    for k in range(pieces):
        for i in range(nodes.shape[0]):
            c = np.cosh(step * (k + 0.5 + 0.5 * nodes[i]))
            total += weights[i] * _disc(h * c / length) / c
    total *= 0.5 * step * length * length
    return total if t > 0.0 else -total


@numba.njit(cache=True)
def from_point(
    x: float, y: float, width: float, height: float, length: float, nodes: Floats, weights: Floats
) -> float:
    """Return the mean of ``exp(-d / length)`` from (x, y) over a rectangle about the origin."""
    a, b = 0.5 * width, 0.5 * height
    total = 0.0
    half = np.hypot(a, b)
    if np.hypot(x, y) > _FAR * half and half < 0.5 * length:
        for i in range(4):
            u = x - a * _FAR_NODES[i]
            for k in range(4):
                v = y - b * _FAR_NODES[k]
                total += _FAR_WEIGHTS[i] * _FAR_WEIGHTS[k] * np.exp(-np.sqrt(u * u + v * v) / length)
        return 0.25 * total
    for turn in range(4):  # east, north, west, south side; u away from the side's line, v along it
        if turn == 0:
            out, along, u, v = a, b, x, y
        elif turn == 1:
            out, along, u, v = b, a, y, -x
        elif turn == 2:
            out, along, u, v = a, b, -x, -y
        else:
            out, along, u, v = b, a, -y, x
        h = out - u
        both = _side(abs(h), along - v, length, nodes, weights) + _side(
            abs(h), along + v, length, nodes, weights
        )
        total += both if h > 0.0 else -both
    return max(total, 0.0) / (width * height)


@numba.njit(cache=True)
def _ray(p: float, q: float, area: float, end: float, length: float, nodes: Floats, weights: Floats) -> float:
    """Return the integral of ``(area r - p r^2 + q r^3) exp(-r / length)`` from 0 to `end`."""
    x = end / length
    if x < 2.0:  # the closed form would lose its digits
        total = 0.0
        for i in range(nodes.shape[0]):
            r = 0.5 * end * (1.0 + nodes[i])
            total += weights[i] * r * (area - r * (p - q * r)) * np.exp(-r / length)
        return 0.5 * end * total
    e = np.exp(-x)
    first = 1.0 - (1.0 + x) * e
    second = 2.0 - (2.0 + x * (2.0 + x)) * e
    third = 6.0 - (6.0 + x * (6.0 + x * (3.0 + x))) * e
    return length * length * (area * first - length * (p * second - length * q * third))


@numba.njit(cache=True)
def _within(width: float, height: float, length: float, nodes: Floats, weights: Floats) -> float:
    """Return the mean of ``exp(-d / length)`` between two points anywhere in a rectangle."""
    total = 0.0
    for side in range(2):  # directions that leave through the side at x = width, then through y = height
        a, b = (width, height) if side == 0 else (height, width)
        # tan(direction) = sinh v along the side
        end = np.arcsinh(b / a)
        pieces = int(np.ceil(end))
        step = end / pieces
        for k in range(pieces):
            for i in range(nodes.shape[0]):
                v = step * (k + 0.5 + 0.5 * nodes[i])
                cos, sin = 1.0 / np.cosh(v), np.tanh(v)
                ray = _ray(a * sin + b * cos, sin * cos, a * b, a / cos, length, nodes, weights)
                total += 0.5 * step * weights[i] * ray * cos
    return 4.0 * total / (width * height) ** 2


@numba.njit(cache=True)
def from_time(lag: float, duration: float, length: float) -> float:
    """Return the mean of ``exp(-|t - lag| / length)`` over a time about 0."""
    if duration <= 0.0:
        return np.exp(-abs(lag) / length)
    start, stop = (-0.5 * duration - lag) / length, (0.5 * duration - lag) / length
    if start >= 0.0:
        total = -np.exp(-start) * np.expm1(start - stop)
    elif stop <= 0.0:
        total = -np.exp(stop) * np.expm1(start - stop)
    else:
        total = -np.expm1(start) - np.expm1(-stop)
    return total * length / duration


@numba.njit(cache=True)
def within_time(duration: float, length: float) -> float:
    """Return the mean of ``exp(-|t - s| / length)`` between two instants of a time."""
    x = duration / length
    if x < 0.01:
        return 1.0 - x * (1.0 / 3.0 - x / 12.0)
    return 2.0 * (x + np.expm1(-x)) / (x * x)


@numba.njit(cache=True)
def _all_within(
    width: Floats, height: Floats, length: float, nodes: Floats, weights: Floats, out: Floats
) -> None:
    for m in range(out.shape[0]):
        if m and width[m] == width[m - 1] and height[m] == height[m - 1]:
            out[m] = out[m - 1]
        else:
            out[m] = _within(width[m], height[m], length, nodes, weights)


def mean_within(width_km: npt.ArrayLike, height_km: npt.ArrayLike, length_km: float) -> Floats:
    """Return the mean of ``exp(-d / length)`` between two points anywhere in rectangles.

    Parameters
    ----------
    width_km, height_km : array_like, shape (m,)
        Sides.
    length_km : float
        Of the exponential.

    Returns
    -------
    ndarray of float64, shape (m,)
        1 where the length is long beside the rectangle, ``2 pi length^2 / area`` where it is short.

    Notes
    -----
    Differences of two points of a rectangle a by b have the density ``(a - |x|) (b - |y|) / (a b)^2``, so the mean is
    ``4 / (a b)^2`` times the integral of ``(a - r cos)(b - r sin) exp(-r / length) r dr`` over the directions of a
    quarter, the inner one in closed form.

    Examples
    --------
    >>> mean_within([100.0], [100.0], 1e6).round(3), mean_within([100.0], [100.0], 1.0).round(6)
    (array([1.]), array([0.000612]))
    """
    width, height = np.broadcast_arrays(
        *(np.atleast_1d(np.asarray(x, np.float64)) for x in (width_km, height_km))
    )
    out = np.empty(len(width))
    _all_within(np.ascontiguousarray(width), np.ascontiguousarray(height), length_km, _NODES, _WEIGHTS, out)
    return out


def cell_sizes_km(grid: Grid) -> Floats:
    """Return width and height of rectangles with the areas of a grid's cells, km, shape (cells, 2)."""
    south, north = np.deg2rad(grid.lat_edges[:-1]), np.deg2rad(grid.lat_edges[1:])
    height = EARTH_RADIUS_KM * (north - south)
    strip = EARTH_RADIUS_KM * (np.sin(north) - np.sin(south)) / (north - south)
    width = strip[:, None] * np.deg2rad(np.diff(grid.lon_edges))[None, :]
    return np.stack([width, np.broadcast_to(height[:, None], width.shape)], axis=-1).reshape(-1, 2)
