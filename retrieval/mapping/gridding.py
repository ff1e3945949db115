"""Counts, means and spreads of soundings in the cells of a grid and the bins of time.

Sums are kept in float64 about a fixed number near the values, so that variances keep their digits, and in one
row a cell, so that an update touches one line of memory. Sums of parts add up to the sums of the whole.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import numba
import numpy as np
import numpy.typing as npt

from obsnet.constants import species as species_of
from obsnet.errors import GridError, RangeError
from obsnet.grid import Grid, axis_cell
from obsnet.scales import scale_counts, single_scale
from obsnet.store import ObservationStore
from obsnet.typing import Floats, Ints, Times
from obsnet.work.progress import progress

__all__ = [
    "LEFT_OUT",
    "BinStatistics",
    "BinSums",
    "Soundings",
    "accumulate",
    "bin_statistics",
    "bin_store",
    "cell_numbers",
    "empty_bins",
    "merge",
    "read_soundings",
]

LEFT_OUT = ("not usable", "outside the time bins", "outside the grid")

_cell = numba.njit(cache=True)(axis_cell)


@dataclass(frozen=True)
class Soundings:
    """A batch of soundings that may be used, one unit; arrays of shape (n,)."""

    time: Times
    latitude: npt.NDArray[Any]
    longitude: npt.NDArray[Any]
    value: npt.NDArray[Any]
    uncertainty: npt.NDArray[Any]


@dataclass
class BinSums:
    """Running sums; made by `empty_bins`, filled by `accumulate`.

    Parameters
    ----------
    grid : Grid
        Cells.
    time_edges : ndarray of datetime64[us], shape (bins + 1,)
        Half-open bins.
    shift : float
        What is taken from every value before it is summed, unit of the values.
    sums : ndarray of float64, shape (bins * cells, 5)
        Count, sum and sum of squares of ``value - shift``, sum and sum of squares of the uncertainties.
    left_out : ndarray of int64, shape (3,)
        Soundings not counted, see `LEFT_OUT`.
    """

    grid: Grid
    time_edges: Times
    shift: float
    sums: Floats = field(repr=False)
    left_out: Ints


@dataclass(frozen=True)
class BinStatistics:
    """What the sums say; arrays of shape (bins, lat, lon), NaN where a cell is empty.

    Parameters
    ----------
    count : ndarray of int64
        Soundings.
    mean, sd : ndarray of float64
        Mean, and standard deviation of the soundings (n - 1; NaN for one).
    uncertainty : ndarray of float64
        Standard deviation of the mean's error, from the soundings' uncertainties.
    """

    count: Ints
    mean: Floats
    sd: Floats
    uncertainty: Floats


def empty_bins(
    grid: Grid, time_edges: npt.ArrayLike, *, species: str | None = None, shift: float | None = None
) -> BinSums:
    """Return sums of nothing.

    Parameters
    ----------
    grid : Grid
        Cells.
    time_edges : array_like of datetime64, shape (bins + 1,)
        Increasing, UTC.
    species : str, optional
        Takes the middle of the species' column range as the shift.
    shift : float, optional
        Any number near the values.

    Raises
    ------
    GridError
        Edges that do not increase.
    """
    edges = np.asarray(time_edges).astype("datetime64[us]")
    if edges.ndim != 1 or edges.size < 2 or not (np.diff(edges.astype(np.int64)) > 0).all():
        raise GridError(f"time edges must increase, at least two of them, found {edges[:5]}")
    if shift is None:
        shift = 0.0 if species is None else 0.5 * sum(species_of(species).column_range)
    cells = (edges.size - 1) * grid.size
    return BinSums(grid, edges, float(shift), np.zeros((cells, 5)), np.zeros(3, dtype=np.int64))


@numba.njit(cache=True)
def _place(y: float, x: float, lat_edges: Floats, lon_edges: Floats) -> tuple[int, int]:
    """Return row and column of a place, -1 outside; longitudes in any convention, the pole in the last row."""
    row, column = _cell(y, lat_edges), _cell(x, lon_edges)
    top = lat_edges.shape[0] - 1
    if row < 0 and y == 90.0 and lat_edges[top] == 90.0:
        row = top - 1
    if column < 0:
        column = _cell(x - 360.0 * np.floor((x - lon_edges[0]) / 360.0), lon_edges)
    return row, column


@numba.njit(cache=True)
def _unevenness(edges: Floats) -> float:
    """Return by how many mean cells edges lie off an even axis, at most, and a hair for rounding."""
    n = edges.shape[0] - 1
    per, most = n / (edges[n] - edges[0]), 0.0
    for i in range(n + 1):
        most = max(most, abs((edges[i] - edges[0]) * per - i))
    return most + 1e-9


@numba.njit(cache=True, nogil=True)
def _accumulate(
    time: Ints,
    lat: Floats,
    lon: Floats,
    value: Floats,
    sigma: Floats,
    quality: npt.NDArray[Any],
    time_edges: Ints,
    lat_edges: Floats,
    lon_edges: Floats,
    shift: float,
    sums: Floats,
    left_out: Ints,
) -> None:
    bins, nlat, nlon = time_edges.shape[0] - 1, lat_edges.shape[0] - 1, lon_edges.shape[0] - 1
    south, west = lat_edges[0], lon_edges[0]
    per_lat, per_lon = nlat / (lat_edges[nlat] - south), nlon / (lon_edges[nlon] - west)
    low_y, low_x = _unevenness(lat_edges), _unevenness(lon_edges)
    high_y, high_x = 1.0 - low_y, 1.0 - low_x
    t, begin, end = 0, time_edges[0], time_edges[1]
    for k in range(time.shape[0]):
        # everything in float64: a float32 latitude just below 55 must not round up into the next row
        v, s = np.float64(value[k]), np.float64(sigma[k])
        if quality[k] != 0 or not np.isfinite(v):
            left_out[0] += 1
            continue
        stamp = time[k]
        if stamp < begin or stamp >= end:  # soundings come in order of time, mostly
            if stamp < time_edges[0] or stamp >= time_edges[bins]:
                left_out[1] += 1
                continue
            t = np.searchsorted(time_edges, stamp, side="right") - 1
            begin, end = time_edges[t], time_edges[t + 1]
        y, x = np.float64(lat[k]), np.float64(lon[k])
        fy, fx = (y - south) * per_lat, (x - west) * per_lon
        row, column = int(fy), int(fx)
        above, beyond = fy - row, fx - column
        # Certain inside a cell of even axes; near an edge, outside, or on other axes the edges decide.
        if not (
            low_y < above < high_y and low_x < beyond < high_x and 0 <= row < nlat and 0 <= column < nlon
        ):
            row, column = _place(y, x, lat_edges, lon_edges)
            if row < 0 or column < 0:
                left_out[2] += 1
                continue
        d = v - shift
        cell = np.uint64((t * nlat + row) * nlon + column)  # unsigned: no look for negative indices
        sums[cell, 0] += 1.0
        sums[cell, 1] += d
        sums[cell, 2] += d * d
        sums[cell, 3] += s
        sums[cell, 4] += s * s


@numba.njit(cache=True, nogil=True)
def _cell_numbers(
    time: Ints,
    lat: Floats,
    lon: Floats,
    value: Floats,
    time_edges: Ints,
    lat_edges: Floats,
    lon_edges: Floats,
) -> Ints:
    bins, nlat, nlon = time_edges.shape[0] - 1, lat_edges.shape[0] - 1, lon_edges.shape[0] - 1
    out = np.full(time.shape[0], -1, dtype=np.int64)
    for k in range(time.shape[0]):
        t = np.searchsorted(time_edges, time[k], side="right") - 1
        row, column = _place(np.float64(lat[k]), np.float64(lon[k]), lat_edges, lon_edges)
        if np.isfinite(value[k]) and 0 <= t < bins and row >= 0 and column >= 0:
            out[k] = (t * nlat + row) * nlon + column
    return out


def cell_numbers(bins: BinSums, soundings: Soundings) -> Ints:
    """Return the row of `BinSums.sums` that each sounding was added to, -1 for none; shape (n,)."""
    return np.asarray(
        _cell_numbers(
            soundings.time.astype("datetime64[us]", copy=False).view(np.int64),
            soundings.latitude,
            soundings.longitude,
            soundings.value,
            bins.time_edges.astype(np.int64),
            bins.grid.lat_edges,
            bins.grid.lon_edges,
        )
    )


def accumulate(
    bins: BinSums,
    *,
    time: Times,
    latitude: npt.ArrayLike,
    longitude: npt.ArrayLike,
    value: npt.ArrayLike,
    uncertainty: npt.ArrayLike | None = None,
    quality: npt.ArrayLike | None = None,
) -> BinSums:
    """Add soundings to the sums, in place.

    Parameters
    ----------
    bins : BinSums
        Changed and returned.
    time : ndarray of datetime64, shape (n,)
        UTC; NaT is outside.
    latitude, longitude : array_like, shape (n,)
        Degrees, any longitude convention, float32 or float64.
    value, uncertainty : array_like, shape (n,)
        In one unit; without uncertainties the mean's is NaN.
    quality : array_like of int, shape (n,), optional
        0 is used.
    """
    stamp = np.asarray(time).astype("datetime64[us]", copy=False).view(np.int64)
    n = len(stamp)
    sigma = np.broadcast_to(np.nan, n) if uncertainty is None else np.asarray(uncertainty)
    flags = np.broadcast_to(np.uint32(0), n) if quality is None else np.asarray(quality)
    parts = [np.asarray(x) for x in (latitude, longitude, value)]
    if any(p.shape != (n,) for p in (*parts, sigma, flags)):
        raise GridError(
            f"soundings need columns of one length, found {[p.shape for p in (*parts, sigma, flags)]}"
        )
    latitude, longitude, value = parts
    _accumulate(
        stamp,
        latitude,
        longitude,
        value,
        sigma,
        flags,
        bins.time_edges.astype(np.int64),
        bins.grid.lat_edges,
        bins.grid.lon_edges,
        bins.shift,
        bins.sums,
        bins.left_out,
    )
    return bins


def merge(one: BinSums, two: BinSums) -> BinSums:
    """Return the sums of two disjoint sets of soundings.

    Raises
    ------
    GridError
        Other cells, bins or shift.
    """
    same = one.grid == two.grid and np.array_equal(one.time_edges, two.time_edges) and one.shift == two.shift
    if not same:
        raise GridError("only sums on the same cells, bins and shift can be merged")
    return BinSums(one.grid, one.time_edges, one.shift, one.sums + two.sums, one.left_out + two.left_out)


def bin_statistics(bins: BinSums, *, r: float = 0.0) -> BinStatistics:
    """Turn sums into means, spreads and uncertainties.

    Parameters
    ----------
    bins : BinSums
        Filled.
    r : float
        Correlation of the errors of soundings in one bin, 0 to 1.

    Notes
    -----
    ``M2 = sum d^2 - (sum d)^2 / n`` about the shift; the mean's error variance is
    ``r (sum s / n)^2 + (1 - r) sum s^2 / n^2``.
    """
    if not 0.0 <= r <= 1.0:
        raise RangeError(f"the correlation r must lie within 0 and 1, found {r}")
    shape = (len(bins.time_edges) - 1, *bins.grid.shape)
    n, first, second, s, s2 = (column.reshape(shape) for column in bins.sums.T)
    with np.errstate(invalid="ignore", divide="ignore"):
        mean = np.where(n > 0, bins.shift + first / n, np.nan)
        squares = np.maximum(second - first**2 / n, 0.0)
        sd = np.where(n > 1, np.sqrt(squares / (n - 1.0)), np.nan)
        error = np.where(n > 0, np.sqrt(r * (s / n) ** 2 + (1.0 - r) * s2 / n**2), np.nan)
    return BinStatistics(n.astype(np.int64), mean, sd, error)


def read_soundings(
    store: ObservationStore,
    species: str,
    start: np.datetime64,
    stop: np.datetime64,
    *,
    sources: tuple[str, ...] = (),
    batch: int = 1 << 20,
) -> Iterator[Soundings]:
    """Read the good columns of a store a batch of rows at a time.

    Parameters
    ----------
    store : ObservationStore
        Soundings or super-observations.
    species : str
        Formula.
    start, stop : datetime64
        Half-open interval, UTC.
    sources : tuple of str
        All by default.
    batch : int
        Rows.

    Raises
    ------
    ScaleError
        Columns on several calibration scales.
    """
    import pyarrow as pa
    import pyarrow.dataset as ds

    condition: Any = (ds.field("species") == species_of(species).name) & (ds.field("kind") == "column")
    condition &= ds.field("quality") == 0
    if sources:
        condition &= ds.field("source").isin(list(sources))
    for limit, late in ((start, False), (stop, True)):
        stamp = pa.scalar(limit, pa.timestamp("us"))
        year = int(str(limit)[:4])
        condition &= (ds.field("time") < stamp) if late else (ds.field("time") >= stamp)
        condition &= (ds.field("year") <= year) if late else (ds.field("year") >= year)
    names = ["time", "latitude", "longitude", "value", "uncertainty"]
    scales: Counter[str] = Counter()
    checked = store.dataset(condition, names)
    files = {f.path for f in checked.get_fragments(condition)}
    scanner = checked.scanner(columns=[*names, "scale"], filter=condition, batch_size=batch)
    with progress(len(files), "files of columns") as advance:
        for tagged in scanner.scan_batches():
            part = tagged.record_batch
            scales.update(scale_counts(part))
            single_scale(scales, f"columns of {store.path}")
            yield Soundings(*(part.column(name).to_numpy(zero_copy_only=False) for name in names))
            if (
                tagged.fragment.path in files
            ):  # counted when its first batch is done: nobody says which is the last
                files.remove(tagged.fragment.path)
                advance(1)
        if files:
            advance(len(files))  # those without a row that is asked for


def bin_store(
    store: ObservationStore,
    species: str,
    grid: Grid,
    time_edges: npt.ArrayLike,
    *,
    sources: tuple[str, ...] = (),
    batch: int = 1 << 20,
) -> BinSums:
    """Bin the good columns of a store.

    Parameters
    ----------
    store, species, sources, batch
        See `read_soundings`.
    grid, time_edges
        See `empty_bins`.

    Returns
    -------
    BinSums
        Memory is that of the sums and of a batch.

    Raises
    ------
    ScaleError
        Columns on several calibration scales.
    """
    bins = empty_bins(grid, time_edges, species=species)
    first, last = bins.time_edges[[0, -1]]
    for part in read_soundings(store, species, first, last, sources=sources, batch=batch):
        accumulate(bins, **vars(part))
    return bins
