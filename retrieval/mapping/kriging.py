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
from retrieval.mapping.variogram import ProductSum, local_variance

__all__ = [
    "Prediction",
    "Samples",
    "day_numbers",
    "krige_cells",
    "krige_groups",
    "krige_means",
    "krige_points",
    "space_time",
    "spacing_km",
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
    """A field's mean and standard deviation, NaN where there were no samples.

    Parameters
    ----------
    mean, sd : ndarray of float64
        Of the residual; the mean taken off before has to be added.
    local : ndarray of float64
        How many times the variances there are what they are on average, see `ProductSum.evenness`; in `sd` already.
    """

    mean: Floats
    sd: Floats
    local: Floats


@numba.njit(cache=True, inline="always")
def _combined(p: Floats, es: float, et: float) -> float:
    return p[0] * es + p[1] * et + p[2] * es * et


@numba.njit(cache=True, inline="always")
def _distance(a: Floats, b: Floats) -> float:
    """Return the great-circle distance of two unit vectors, km."""
    c = np.sqrt((a[0] - b[0]) ** 2 + (a[1] - b[1]) ** 2 + (a[2] - b[2]) ** 2)
    return 2.0 * EARTH_RADIUS_KM * np.arcsin(min(0.5 * c, 1.0))


@numba.njit(cache=True, inline="always")
def _covariance(p: Floats, a: Floats, b: Floats, lag: float) -> float:
    return _combined(p, np.exp(-_distance(a, b) / p[3]), np.exp(-abs(lag) / p[4]))


@numba.njit(cache=True)
def _cholesky(matrix: Floats, n: int) -> bool:
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
def _solve(factor: Floats, n: int, x: Floats) -> None:
    """Solve with a Cholesky factor, in place."""
    for i in range(n):
        for k in range(i):
            x[i] -= factor[i, k] * x[k]
        x[i] /= factor[i, i]
    for i in range(n - 1, -1, -1):
        for k in range(i + 1, n):
            x[i] -= factor[k, i] * x[k]
        x[i] /= factor[i, i]


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
    matrix: Floats,
    weight: Floats,
    ones: Floats,
) -> tuple[float, float, float]:
    """Krige one block from n samples: their covariances with it are `right`, its own variance is `block`.

    Returns the mean, the variance of its error, and the sum of squares of the samples about their own mean in units of
    their covariance (n - 1 on average), NaN where that covariance is not positive definite.
    """
    for i in range(n):
        a = rows[i]
        for j in range(i):
            b = rows[j]
            matrix[i, j] = _covariance(p, xyz[a], xyz[b], days[a] - days[b])
        matrix[i, i] = p[0] + p[1] + p[2] + p[5] + variance[a]
        weight[i] = right[i]
        ones[i] = 1.0
    if not _cholesky(matrix, n):
        return np.nan, np.nan, np.nan
    _solve(matrix, n, weight)
    _solve(matrix, n, ones)
    lagrange = (1.0 - weight[:n].sum()) / ones[:n].sum()
    total, explained, local = 0.0, 0.0, 0.0
    for i in range(n):
        w = weight[i] + lagrange * ones[i]
        total += w * value[rows[i]]
        explained += w * right[i]
        local += ones[i] * value[rows[i]]
    local /= ones[:n].sum()
    square = 0.0
    for i in range(n):  # L^-1 (z - mean), into the weights' place
        x = value[rows[i]] - local
        for k in range(i):
            x -= matrix[i, k] * weight[k]
        weight[i] = x / matrix[i, i]
        square += weight[i] ** 2
    return total, max(block - explained + lagrange, 0.0), square


@numba.njit(cache=True, nogil=True)
def _krige_cells(
    xyz: Floats,
    days: Floats,
    value: Floats,
    variance: Floats,
    neighbour: Ints,
    axes: Floats,
    size: Floats,
    block: Floats,
    middle: float,
    duration: float,
    p: Floats,
    nodes: Floats,
    nodes_weight: Floats,
) -> tuple[Floats, Floats, Floats]:
    """Krige means over cells (rectangles about their centres) and over one time; see `_solve_block`.

    ``block`` are the variances of the cells' own means;
    ``axes`` (cells, 3, 3) are the unit vectors to each centre and, from there, east and north.
    """
    cells, most = neighbour.shape
    matrix = np.empty((most, most))
    right, ones, weight = np.empty(most), np.empty(most), np.empty(most)
    mean, error, square = np.empty(cells), np.empty(cells), np.empty(cells)
    for m in range(cells):
        for n in range(most):
            a = neighbour[m, n]
            u = v = 0.0
            for axis in range(3):
                u += xyz[a, axis] * axes[m, 1, axis]
                v += xyz[a, axis] * axes[m, 2, axis]
            scale = _distance(xyz[a], axes[m, 0]) / max(np.hypot(u, v), 1e-300)
            es = from_point(u * scale, v * scale, size[m, 0], size[m, 1], p[3], nodes, nodes_weight)
            right[n] = _combined(p, es, from_time(days[a] - middle, duration, p[4]))
        mean[m], error[m], square[m] = _solve_block(
            most, neighbour[m], xyz, days, value, variance, right, block[m], p, matrix, weight, ones
        )
    return mean, error, square


@numba.njit(cache=True, nogil=True)
def krige_groups(
    xyz: Floats,
    days: Floats,
    value: Floats,
    variance: Floats,
    neighbour: Ints,
    target: Floats,
    target_days: Floats,
    offsets: Ints,
    p: Floats,
) -> tuple[Floats, Floats, Floats]:
    """Krige means over groups of points, each with a nugget of its own; see `_solve_block`; shape (groups,).

    ``neighbour`` (groups, n) has -1 behind the last one; ``p`` is `ProductSum.parameters`. A group that has
    no neighbour, or whose neighbours have no positive definite covariance, is NaN.
    """
    groups, most = neighbour.shape
    matrix = np.empty((most, most))
    right, ones, weight = np.empty(most), np.empty(most), np.empty(most)
    mean, error, square = np.full(groups, np.nan), np.full(groups, np.nan), np.full(groups, np.nan)
    for m in range(groups):
        first, last = offsets[m], offsets[m + 1]
        n = 0
        while n < most and neighbour[m, n] >= 0:
            a = neighbour[m, n]
            right[n] = 0.0
            for q in range(first, last):
                right[n] += _covariance(p, xyz[a], target[q], days[a] - target_days[q])
            right[n] /= last - first
            n += 1
        if n == 0:
            continue
        block = (last - first) * (p[0] + p[1] + p[2] + p[5])
        for q in range(first, last):
            for r in range(first, q):
                block += 2.0 * _covariance(p, target[q], target[r], target_days[q] - target_days[r])
        block /= (last - first) ** 2
        mean[m], error[m], square[m] = _solve_block(
            n, neighbour[m], xyz, days, value, variance, right, block, p, matrix, weight, ones
        )
    return mean, error, square


def day_numbers(time: Times) -> Floats:
    """Return times as days since 2000."""
    return np.asarray((time.astype("datetime64[us]") - _EPOCH) / np.timedelta64(1, "D"), dtype=np.float64)


def space_time(xyz: Floats, days: Floats, km_a_day: float) -> Floats:
    """Return unit vectors and days as coordinates in km, shape (n, 4): chords, and so many km for a day."""
    return np.column_stack([xyz * EARTH_RADIUS_KM, days * km_a_day])


def spacing_km(samples: Samples, km_a_day: float) -> float:
    """Return the median distance of samples to the nearest other one, km; 0 for a single one."""
    from scipy.spatial import cKDTree

    if len(samples) < 2:
        return 0.0
    place = unit_vectors(samples.latitude, samples.longitude)
    where = space_time(place, day_numbers(samples.time), km_a_day)
    return float(np.median(cKDTree(where).query(where, k=2)[0][:, 1]))


def _known(samples: Samples) -> tuple[Floats, Floats, Floats, Floats]:
    """Return places, days, values and error variances as kernels take them."""
    place = unit_vectors(samples.latitude, samples.longitude)
    return place, day_numbers(samples.time), samples.value, samples.uncertainty**2


def _neighbours(samples: Samples, model: ProductSum, place: Floats, days: Floats, neighbours: int) -> Ints:
    """Return the nearest samples of each place (m, 3) and day, shape (m, neighbours)."""
    from scipy.spatial import cKDTree

    if neighbours < 1:
        raise RangeError(f"kriging needs at least one neighbour, found {neighbours}")
    xyz = unit_vectors(samples.latitude, samples.longitude)
    tree = cKDTree(space_time(xyz, day_numbers(samples.time), model.km_a_day))
    k = min(neighbours, len(samples))
    found = tree.query(space_time(place, days, model.km_a_day), k=k)[1]
    return np.ascontiguousarray(found.reshape(len(place), k), dtype=np.int64)


def _prediction(model: ProductSum, n: int, mean: Floats, variance: Floats, square: Floats) -> Prediction:
    """Return what was kriged from n neighbours each."""
    failed = int(np.isnan(variance).sum())
    if failed:
        raise RangeError(
            f"{failed} cells have a data covariance that is not positive definite; are there samples of one "
            "place and time with uncertainties near zero?"
        )
    local = local_variance(square, n, model.evenness)
    return Prediction(mean, np.sqrt(local * variance), local)


def krige_cells(
    samples: Samples,
    model: ProductSum,
    grid: Grid,
    start: np.datetime64,
    stop: np.datetime64,
    *,
    where: Bools | None = None,
    neighbours: int = 64,
    points: int = 6,
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
        The time averaged over; the same twice for an instant.
    where : ndarray of bool, shape (lat, lon), optional
        The only cells that are wanted; the others are NaN.
    neighbours : int
        Samples a cell is made of, the nearest in space and time (``range_km / range_days`` km count as a day).
    points : int
        Nodes of the integrals along the sides of a cell, 6 at least; more change the 6th digit.

    Returns
    -------
    Prediction
        Shape (lat, lon).

    Notes
    -----
    Block kriging (Journel and Huijbregts 1978, Mining Geostatistics, ch. V) with covariances between samples and
    cell, and of the cell with itself, from `retrieval.mapping.block_integrals`: exact for rectangles of the cells'
    area, so that what the field does inside a cell is in the standard deviation whatever its range.

    The nugget is what the field does below the spacing of the samples, over a length that they do not tell. Its
    mean over a cell is taken to vary as if that length were the spacing, the longest that would have gone unseen.
    """
    wanted = np.ones(grid.shape, bool) if where is None else where
    out = Prediction(*(np.full(grid.shape, np.nan) for _ in range(3)))
    if not len(samples) or not wanted.any():
        return out
    first, last = day_numbers(np.array([start, stop], dtype="datetime64[us]"))
    middle, size = 0.5 * (first + last), cell_sizes_km(grid)[wanted.ravel()]
    lat, lon = (x[wanted] for x in np.meshgrid(grid.lat, grid.lon, indexing="ij"))
    centre, lam = unit_vectors(lat, lon), np.deg2rad(lon)
    east = np.column_stack([-np.sin(lam), np.cos(lam), np.zeros_like(lam)])
    spacing = max(spacing_km(samples, model.km_a_day), 1e-3)
    space, unseen = (mean_within(size[:, 0], size[:, 1], length) for length in (model.range_km, spacing))
    time, p = within_time(last - first, model.range_days), model.parameters
    own = p[0] * space + p[1] * time + p[2] * space * time + p[5] * unseen
    near = _neighbours(samples, model, centre, np.full(len(centre), middle), neighbours)
    found = _prediction(
        model,
        near.shape[1],
        *_krige_cells(
            *_known(samples),
            near,
            np.stack([centre, east, np.cross(centre, east)], axis=1),
            size,
            own,
            middle,
            last - first,
            p,
            *np.polynomial.legendre.leggauss(max(points, 6)),
        ),
    )
    out.mean[wanted], out.sd[wanted], out.local[wanted] = found.mean, found.sd, found.local
    return out


def krige_means(
    samples: Samples,
    model: ProductSum,
    latitude: npt.ArrayLike,
    longitude: npt.ArrayLike,
    time: Times,
    offsets: npt.ArrayLike,
    *,
    neighbours: int = 64,
) -> Prediction:
    """Predict means of the field over groups of places and times, such as those that were observed in a block.

    Parameters
    ----------
    samples, model, neighbours
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
    nothing = np.full(len(bounds) - 1, np.nan)
    if not len(samples) or not len(nothing):
        return Prediction(nothing, nothing, nothing)
    target, days = unit_vectors(latitude, longitude), day_numbers(np.asarray(time))
    centre, middle = np.add.reduceat(target, bounds[:-1]), np.add.reduceat(days, bounds[:-1])
    centre /= np.linalg.norm(centre, axis=1, keepdims=True)
    near = _neighbours(samples, model, centre, middle / np.diff(bounds), neighbours)
    found = krige_groups(*_known(samples), near, target, days, bounds, model.parameters)
    return _prediction(model, near.shape[1], *found)


def krige_points(
    samples: Samples,
    model: ProductSum,
    latitude: npt.ArrayLike,
    longitude: npt.ArrayLike,
    time: Times,
    *,
    neighbours: int = 64,
) -> Prediction:
    """Predict the field at places and times, nugget included in the standard deviation.

    Parameters
    ----------
    samples, model, neighbours
        See `krige_cells`.
    latitude, longitude, time : array_like, shape (m,)
        Where and when.

    Returns
    -------
    Prediction
        Shape (m,).
    """
    each = np.arange(np.size(latitude) + 1)
    return krige_means(samples, model, latitude, longitude, time, each, neighbours=neighbours)
