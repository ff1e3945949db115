"""Local kriging in space and time: each cell from its nearest observations, with the error of doing so.

Ordinary kriging with an unknown local mean. The variance of an observation's measurement error stands on the
diagonal of the data's covariance and nowhere else: what is predicted is the field, averaged over a block.
"""

from __future__ import annotations

from dataclasses import dataclass

import numba
import numpy as np
import numpy.typing as npt

from obsnet.errors import RangeError
from obsnet.grid import Grid
from obsnet.sphere import EARTH_RADIUS_KM, unit_vectors
from obsnet.typing import Bools, Floats, Ints, Times
from retrieval.mapping.block_integrals import (
    cell_sizes_km,
    from_point,
    from_time,
    mean_within,
    within_time,
)
from retrieval.mapping.variogram import ProductSum

__all__ = [
    "Prediction",
    "Samples",
    "cholesky",
    "day_numbers",
    "krige_cells",
    "krige_means",
    "krige_points",
    "solve",
]

_EPOCH = np.datetime64("2000-01-01", "us")


@dataclass(frozen=True)
class Samples:
    """What is interpolated: residuals from a mean, with their places, times and errors.

    Parameters
    ----------
    latitude, longitude : ndarray, shape (n,)
        Degrees.
    time : ndarray of datetime64, shape (n,)
        UTC.
    value : ndarray, shape (n,)
        With the mean taken off.
    uncertainty : ndarray, shape (n,)
        Standard deviation of each measurement error, positive.

    Raises
    ------
    RangeError
        Values that are not finite, uncertainties that are not positive.
    """

    latitude: Floats
    longitude: Floats
    time: Times
    value: Floats
    uncertainty: Floats

    def __post_init__(self) -> None:
        for name in ("latitude", "longitude", "value", "uncertainty"):
            array = np.asarray(getattr(self, name), dtype=np.float64)
            if array.shape != np.shape(self.value) or not np.isfinite(array).all():
                raise RangeError(f"samples need a finite {name} each")
            object.__setattr__(self, name, array)
        object.__setattr__(self, "time", np.asarray(self.time).astype("datetime64[us]"))
        if np.isnat(self.time).any():
            raise RangeError("samples need a time each")
        if not (self.uncertainty > 0.0).all():
            raise RangeError(f"{int(np.sum(self.uncertainty <= 0))} samples have no positive uncertainty")

    def __len__(self) -> int:
        return len(self.value)

    def take(self, rows: Bools | Ints) -> Samples:
        """Return some of the samples."""
        return Samples(
            self.latitude[rows],
            self.longitude[rows],
            self.time[rows],
            self.value[rows],
            self.uncertainty[rows],
        )


@dataclass(frozen=True)
class Prediction:
    """A field's mean and standard deviation, NaN where no sample was in reach.

    Parameters
    ----------
    mean, sd : ndarray of float64
        Of the residual; the mean taken off before has to be added.
    used : ndarray of int64
        Samples behind each value.
    """

    mean: Floats
    sd: Floats
    used: Ints


@numba.njit(cache=True, inline="always")
def _covariance(p: Floats, a: Floats, b: Floats, lag: float, radius: float) -> float:
    c = np.sqrt((a[0] - b[0]) ** 2 + (a[1] - b[1]) ** 2 + (a[2] - b[2]) ** 2)
    h = 2.0 * radius * np.arcsin(min(0.5 * c, 1.0))
    es, et = np.exp(-h / p[3]), np.exp(-abs(lag) / p[4])
    return p[0] * es + p[1] * et + p[2] * es * et


@numba.njit(cache=True)
def cholesky(matrix: Floats, n: int) -> bool:
    """Factor the leading block in place (lower triangle); tell whether it was positive definite."""
    for j in range(n):
        d = matrix[j, j]
        least = 1e-13 * d  # below this the pivot is rounding
        for k in range(j):
            d -= matrix[j, k] * matrix[j, k]
        if d <= least:
            return False
        matrix[j, j] = np.sqrt(d)
        for i in range(j + 1, n):
            s = matrix[i, j]
            for k in range(j):
                s -= matrix[i, k] * matrix[j, k]
            matrix[i, j] = s / matrix[j, j]
    return True


@numba.njit(cache=True)
def solve(factor: Floats, n: int, x: Floats) -> None:
    """Solve with a Cholesky factor, in place."""
    for i in range(n):
        for k in range(i):
            x[i] -= factor[i, k] * x[k]
        x[i] /= factor[i, i]
    for i in range(n - 1, -1, -1):
        for k in range(i + 1, n):
            x[i] -= factor[k, i] * x[k]
        x[i] /= factor[i, i]


@numba.njit(cache=True, inline="always")
def _combined(p: Floats, es: float, et: float) -> float:
    return p[0] * es + p[1] * et + p[2] * es * et


@numba.njit(cache=True)
def _solve_block(
    n: int,
    rows: Ints,
    xyz: Floats,
    days: Floats,
    value: Floats,
    variance: Floats,
    right: Floats,
    block: float,
    p: Floats,
    radius: float,
    matrix: Floats,
    weight: Floats,
    ones: Floats,
) -> tuple[bool, float, float]:
    """Krige one block from n samples: their covariances with it are `right`, its own variance is `block`.

    Returns whether the data's covariance was positive definite, the mean and the variance of the error.
    """
    for i in range(n):
        a = rows[i]
        for j in range(i):
            b = rows[j]
            matrix[i, j] = _covariance(p, xyz[a], xyz[b], days[a] - days[b], radius)
        matrix[i, i] = p[0] + p[1] + p[2] + p[5] + variance[a]
        weight[i] = right[i]
        ones[i] = 1.0
    if not cholesky(matrix, n):
        return False, np.nan, np.nan
    solve(matrix, n, weight)
    solve(matrix, n, ones)
    lagrange = (1.0 - weight[:n].sum()) / ones[:n].sum()
    total, explained = 0.0, 0.0
    for i in range(n):
        w = weight[i] + lagrange * ones[i]
        total += w * value[rows[i]]
        explained += w * right[i]
    return True, total, max(block - explained + lagrange, 0.0)


@numba.njit(cache=True, nogil=True)
def _krige_cells(
    xyz: Floats,
    days: Floats,
    value: Floats,
    variance: Floats,
    neighbour: Ints,
    centre: Floats,
    east: Floats,
    north: Floats,
    size: Floats,
    within: Floats,
    middle: float,
    duration: float,
    p: Floats,
    radius: float,
    nodes: Floats,
    nodes_weight: Floats,
    mean: Floats,
    sd: Floats,
    used: Ints,
) -> None:
    """Krige means over cells (rectangles about their centres) and over one time."""
    most = neighbour.shape[1]
    matrix = np.empty((most, most))
    right, ones, weight = np.empty(most), np.empty(most), np.empty(most)
    own_time = within_time(duration, p[4])
    for m in range(neighbour.shape[0]):
        n = 0
        while n < most and neighbour[m, n] >= 0:
            a = neighbour[m, n]
            u = v = c = 0.0
            for axis in range(3):
                u += xyz[a, axis] * east[m, axis]
                v += xyz[a, axis] * north[m, axis]
                c += (xyz[a, axis] - centre[m, axis]) ** 2
            distance = 2.0 * radius * np.arcsin(min(0.5 * np.sqrt(c), 1.0))
            scale = distance / max(np.hypot(u, v), 1e-300)
            es = from_point(u * scale, v * scale, size[m, 0], size[m, 1], p[3], nodes, nodes_weight)
            right[n] = _combined(p, es, from_time(days[a] - middle, duration, p[4]))
            n += 1
        used[m] = n
        if n == 0:
            continue
        block = _combined(p, within[m], own_time)
        good, total, error = _solve_block(
            n, neighbour[m], xyz, days, value, variance, right, block, p, radius, matrix, weight, ones
        )
        used[m] = n if good else -1
        mean[m], sd[m] = total, np.sqrt(error)


@numba.njit(cache=True, nogil=True)
def _krige_means(
    xyz: Floats,
    days: Floats,
    value: Floats,
    variance: Floats,
    neighbour: Ints,
    target: Floats,
    target_days: Floats,
    share: Floats,
    offsets: Ints,
    p: Floats,
    radius: float,
    mean: Floats,
    sd: Floats,
    used: Ints,
) -> None:
    """Krige means over points; the shares of a block's points sum to one, and each has the nugget of its own."""
    most = neighbour.shape[1]
    matrix = np.empty((most, most))
    right, ones, weight = np.empty(most), np.empty(most), np.empty(most)
    for m in range(neighbour.shape[0]):
        n = 0
        while n < most and neighbour[m, n] >= 0:
            a = neighbour[m, n]
            c = 0.0
            for q in range(offsets[m], offsets[m + 1]):
                c += share[q] * _covariance(p, xyz[a], target[q], days[a] - target_days[q], radius)
            right[n] = c
            n += 1
        used[m] = n
        if n == 0:
            continue
        block = 0.0
        for q in range(offsets[m], offsets[m + 1]):
            block += share[q] * share[q] * (p[0] + p[1] + p[2] + p[5])
            for r in range(offsets[m], q):
                lag = target_days[q] - target_days[r]
                block += 2.0 * share[q] * share[r] * _covariance(p, target[q], target[r], lag, radius)
        good, total, error = _solve_block(
            n, neighbour[m], xyz, days, value, variance, right, block, p, radius, matrix, weight, ones
        )
        used[m] = n if good else -1
        mean[m], sd[m] = total, np.sqrt(error)


def day_numbers(time: Times) -> Floats:
    """Return times as days since 2000."""
    return np.asarray((time.astype("datetime64[us]") - _EPOCH) / np.timedelta64(1, "D"), dtype=np.float64)


def _neighbours(
    samples: Samples, model: ProductSum, place: Floats, days: Floats, neighbours: int, reach_km: float
) -> Ints:
    """Return the nearest samples of each place (m, 3) and day, -1 beyond the reach, shape (m, neighbours)."""
    from scipy.spatial import cKDTree

    if neighbours < 1:
        raise RangeError(f"kriging needs at least one neighbour, found {neighbours}")
    # a day counts as many km as the field's correlation says
    speed = model.range_km / model.range_days
    xyz = unit_vectors(samples.latitude, samples.longitude)
    tree = cKDTree(np.column_stack([xyz * EARTH_RADIUS_KM, day_numbers(samples.time) * speed]))
    k = min(neighbours, len(samples))
    where = np.column_stack([place * EARTH_RADIUS_KM, days * speed])
    _, found = tree.query(where, k=k, distance_upper_bound=reach_km)
    found = np.atleast_2d(found.reshape(len(place), k)).astype(np.int64)
    found[found == len(samples)] = -1
    return np.ascontiguousarray(found)


def _checked(mean: Floats, sd: Floats, used: Ints) -> Prediction:
    failed = int(np.sum(used < 0))
    if failed:
        raise RangeError(
            f"{failed} cells have a data covariance that is not positive definite; are there samples of one "
            "place and time with uncertainties near zero?"
        )
    return Prediction(mean, sd, used)


def _nothing(count: int) -> tuple[Floats, Floats, Ints]:
    return np.full(count, np.nan), np.full(count, np.nan), np.zeros(count, dtype=np.int64)


def krige_cells(
    samples: Samples,
    model: ProductSum,
    grid: Grid,
    start: np.datetime64,
    stop: np.datetime64,
    *,
    neighbours: int = 64,
    reach_km: float = np.inf,
    points: int = 6,
    moments: int = 3,
) -> Prediction:
    """Predict the mean of the field over each cell of a grid and over a time.

    Parameters
    ----------
    samples : Samples
        Residuals.
    model : ProductSum
        Of the field, without measurement error.
    grid : Grid
        Cells.
    start, stop : datetime64
        The time averaged over.
    neighbours : int
        Samples a cell is made of, the nearest in space and time.
    reach_km : float
        Samples farther away (time counted as ``range_km / range_days`` km a day) are not used; cells that
        have none are NaN.
    points : int
        Nodes of the integrals along the sides of a cell, 6 at least; more change the 6th digit.
    moments : int
        1 predicts the middle of the time instead of the mean over it.

    Returns
    -------
    Prediction
        Shape (lat, lon). The nugget, being the field below every distance, averages out over a block.

    Notes
    -----
    Block kriging (Journel and Huijbregts 1978, Mining Geostatistics, ch. V) with covariances between samples and
    cell, and of the cell with itself, from `retrieval.mapping.block_integrals`: exact for rectangles of the cells'
    area, so that what the field does inside a cell is in the standard deviation whatever its range.
    """
    nlat, nlon = grid.shape
    mean, sd, used = _nothing(nlat * nlon)
    first, last = day_numbers(np.array([start, stop], dtype="datetime64[us]"))
    if len(samples) and grid.size:
        lat, lon = (x.ravel() for x in np.meshgrid(grid.lat, grid.lon, indexing="ij"))
        centre = unit_vectors(lat, lon)
        lam = np.deg2rad(lon)
        east = np.column_stack([-np.sin(lam), np.cos(lam), np.zeros_like(lam)])
        north = np.cross(centre, east)
        size = cell_sizes_km(grid)
        middle, duration = 0.5 * (first + last), 0.0 if moments == 1 else last - first
        _krige_cells(
            unit_vectors(samples.latitude, samples.longitude),
            day_numbers(samples.time),
            samples.value,
            samples.uncertainty**2,
            _neighbours(samples, model, centre, np.full(len(centre), middle), neighbours, reach_km),
            centre,
            east,
            north,
            size,
            mean_within(size[:, 0], size[:, 1], model.range_km),
            middle,
            duration,
            model.parameters,
            EARTH_RADIUS_KM,
            *np.polynomial.legendre.leggauss(max(points, 6)),
            mean,
            sd,
            used,
        )
    found = _checked(mean, sd, used)
    return Prediction(
        found.mean.reshape(grid.shape), found.sd.reshape(grid.shape), found.used.reshape(grid.shape)
    )


def krige_means(
    samples: Samples,
    model: ProductSum,
    latitude: npt.ArrayLike,
    longitude: npt.ArrayLike,
    time: Times,
    offsets: npt.ArrayLike,
    *,
    neighbours: int = 64,
    reach_km: float = np.inf,
) -> Prediction:
    """Predict means of the field over groups of places and times, such as those that were observed in a block.

    Parameters
    ----------
    samples, model, neighbours, reach_km
        See `krige_cells`.
    latitude, longitude, time : array_like, shape (points,)
        Where and when; the points of a group stand together.
    offsets : array_like of int, shape (groups + 1,)
        Where each group begins.

    Returns
    -------
    Prediction
        Shape (groups,). Each point brings a nugget of its own into the standard deviation.
    """
    bounds = np.asarray(offsets, dtype=np.int64)
    groups = len(bounds) - 1
    mean, sd, used = _nothing(groups)
    if len(samples) and groups:
        target, days = unit_vectors(latitude, longitude), day_numbers(np.asarray(time))
        share = np.repeat(1.0 / np.diff(bounds), np.diff(bounds))
        centre = np.add.reduceat(target * share[:, None], bounds[:-1])
        centre /= np.linalg.norm(centre, axis=1, keepdims=True)
        _krige_means(
            unit_vectors(samples.latitude, samples.longitude),
            day_numbers(samples.time),
            samples.value,
            samples.uncertainty**2,
            _neighbours(
                samples, model, centre, np.add.reduceat(days * share, bounds[:-1]), neighbours, reach_km
            ),
            target,
            days,
            share,
            bounds,
            model.parameters,
            EARTH_RADIUS_KM,
            mean,
            sd,
            used,
        )
    return _checked(mean, sd, used)


def krige_points(
    samples: Samples,
    model: ProductSum,
    latitude: npt.ArrayLike,
    longitude: npt.ArrayLike,
    time: Times,
    *,
    neighbours: int = 64,
    reach_km: float = np.inf,
) -> Prediction:
    """Predict the field at places and times, nugget included in the standard deviation.

    Parameters
    ----------
    samples, model, neighbours, reach_km
        See `krige_cells`.
    latitude, longitude, time : array_like, shape (m,)
        Where and when.

    Returns
    -------
    Prediction
        Shape (m,).
    """
    each = np.arange(len(np.atleast_1d(np.asarray(latitude))) + 1)
    return krige_means(
        samples, model, latitude, longitude, time, each, neighbours=neighbours, reach_km=reach_km
    )
