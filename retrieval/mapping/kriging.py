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
from retrieval.mapping.variogram import ProductSum

__all__ = ["Prediction", "Samples", "krige_cells", "krige_points"]

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


@numba.njit(cache=True, nogil=True)
def _krige(
    xyz: Floats,
    days: Floats,
    value: Floats,
    variance: Floats,
    neighbour: Ints,
    target: Floats,
    target_days: Floats,
    share: Floats,
    p: Floats,
    own_nugget: float,
    radius: float,
    mean: Floats,
    sd: Floats,
    used: Ints,
) -> None:
    """Ordinary kriging of blocks; a block is points with shares that sum to one."""
    most, points = neighbour.shape[1], target.shape[1]
    matrix = np.empty((most, most))
    right, ones, weight = np.empty(most), np.empty(most), np.empty(most)
    for m in range(neighbour.shape[0]):
        n = 0
        while n < most and neighbour[m, n] >= 0:
            n += 1
        used[m] = n
        if n == 0:
            continue
        for i in range(n):
            a = neighbour[m, i]
            for j in range(i):
                b = neighbour[m, j]
                matrix[i, j] = _covariance(p, xyz[a], xyz[b], days[a] - days[b], radius)
            matrix[i, i] = p[0] + p[1] + p[2] + p[5] + variance[a]
            c = 0.0
            for q in range(points):
                c += share[m, q] * _covariance(p, xyz[a], target[m, q], days[a] - target_days[m, q], radius)
            weight[i] = right[i] = c
            ones[i] = 1.0
        if not _cholesky(matrix, n):
            used[m] = -1
            continue
        _solve(matrix, n, weight)
        _solve(matrix, n, ones)
        lagrange = (1.0 - weight[:n].sum()) / ones[:n].sum()
        block = own_nugget
        for q in range(points):
            for r in range(points):
                lag = target_days[m, q] - target_days[m, r]
                block += share[m, q] * share[m, r] * _covariance(p, target[m, q], target[m, r], lag, radius)
        total, explained = 0.0, 0.0
        for i in range(n):
            w = weight[i] + lagrange * ones[i]
            total += w * value[neighbour[m, i]]
            explained += w * right[i]
        mean[m] = total
        sd[m] = np.sqrt(max(block - explained + lagrange, 0.0))


def _days(time: Times) -> Floats:
    return np.asarray((time.astype("datetime64[us]") - _EPOCH) / np.timedelta64(1, "D"), dtype=np.float64)


def _predict(
    samples: Samples,
    model: ProductSum,
    points: Floats,
    days: Floats,
    share: Floats,
    *,
    neighbours: int,
    reach_km: float,
    own_nugget: float,
) -> Prediction:
    """Predict blocks: points (blocks, q, 3) on the unit sphere, days (blocks, q), shares (blocks, q)."""
    from scipy.spatial import cKDTree

    if neighbours < 1:
        raise RangeError(f"kriging needs at least one neighbour, found {neighbours}")
    blocks = len(points)
    mean, sd, used = np.full(blocks, np.nan), np.full(blocks, np.nan), np.zeros(blocks, dtype=np.int64)
    if len(samples) == 0 or blocks == 0:
        return Prediction(mean, sd, used)
    xyz, when = unit_vectors(samples.latitude, samples.longitude), _days(samples.time)
    # a day counts as many km as the field's correlation says
    speed = model.range_km / model.range_days
    tree = cKDTree(np.column_stack([xyz * EARTH_RADIUS_KM, when * speed]))
    centre = np.einsum("mq,mqi->mi", share, points)
    centre /= np.linalg.norm(centre, axis=1, keepdims=True)
    where = np.column_stack([centre * EARTH_RADIUS_KM, np.sum(share * days, axis=1) * speed])
    k = min(neighbours, len(samples))
    _, neighbour = tree.query(where, k=k, distance_upper_bound=reach_km)
    neighbour = np.atleast_2d(neighbour.reshape(blocks, k)).astype(np.int64)
    neighbour[neighbour == len(samples)] = -1
    _krige(
        xyz,
        when,
        samples.value,
        samples.uncertainty**2,
        neighbour,
        points,
        days,
        share,
        model.parameters,
        own_nugget,
        EARTH_RADIUS_KM,
        mean,
        sd,
        used,
    )
    failed = int(np.sum(used < 0))
    if failed:
        raise RangeError(
            f"{failed} cells have a data covariance that is not positive definite; are there samples of one "
            "place and time with uncertainties near zero?"
        )
    return Prediction(mean, sd, used)


def krige_cells(
    samples: Samples,
    model: ProductSum,
    grid: Grid,
    start: np.datetime64,
    stop: np.datetime64,
    *,
    neighbours: int = 64,
    reach_km: float = np.inf,
    points: int = 3,
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
    points, moments : int
        The block is integrated over points by points places and so many moments.

    Returns
    -------
    Prediction
        Shape (lat, lon). The nugget, being the field below every distance, averages out over a block.
    """
    fraction = (np.arange(points) + 0.5) / points
    lat_edges, lon_edges = grid.lat_edges, grid.lon_edges
    lat = lat_edges[:-1, None] + np.diff(lat_edges)[:, None] * fraction
    lon = lon_edges[:-1, None] + np.diff(lon_edges)[:, None] * fraction
    nlat, nlon = grid.shape
    shape = (nlat, nlon, moments, points, points)
    when = _days(np.array([start, stop], dtype="datetime64[us]"))
    day = when[0] + (when[1] - when[0]) * (np.arange(moments) + 0.5) / moments
    full_lat = np.broadcast_to(lat[:, None, None, :, None], shape).reshape(nlat * nlon, -1)
    full_lon = np.broadcast_to(lon[None, :, None, None, :], shape).reshape(nlat * nlon, -1)
    full_day = np.broadcast_to(day[None, None, :, None, None], shape).reshape(nlat * nlon, -1)
    share = np.cos(np.deg2rad(full_lat))
    share = share / share.sum(axis=1, keepdims=True)
    result = _predict(
        samples,
        model,
        unit_vectors(full_lat, full_lon),
        np.ascontiguousarray(full_day),
        share,
        neighbours=neighbours,
        reach_km=reach_km,
        own_nugget=0.0,
    )
    return Prediction(
        result.mean.reshape(grid.shape), result.sd.reshape(grid.shape), result.used.reshape(grid.shape)
    )


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
    place = unit_vectors(latitude, longitude)[:, None, :]
    days = _days(np.asarray(time))[:, None]
    return _predict(
        samples,
        model,
        place,
        days,
        np.ones(days.shape),
        neighbours=neighbours,
        reach_km=reach_km,
        own_nugget=model.nugget,
    )
