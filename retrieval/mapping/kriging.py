"""Local kriging in space and time: each cell from its nearest observations, with the error of doing so.

Ordinary kriging with an unknown local mean. The variance of an observation's measurement error stands on the
diagonal of the data's covariance and nowhere else: what is predicted is the field, averaged over a block.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from obsnet.errors import RangeError
from obsnet.grid import Grid
from obsnet.sphere import EARTH_RADIUS_KM, unit_vectors
from obsnet.typing import Bools, Floats, Ints, Times
from retrieval.mapping.block_integrals import cell_sizes_km, mean_within, within_time
from retrieval.mapping.kriging_loops import cells_from_samples, krige_groups
from retrieval.mapping.variogram import ProductSum, local_variance

__all__ = [
    "Prediction",
    "Samples",
    "day_numbers",
    "krige_cells",
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
        *cells_from_samples(
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
