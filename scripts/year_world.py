"""A simulated year over China for `run_year.py`: footprints, two sectors, provinces, observations of a drawn truth.

Footprints are drawn, not computed: puffs carried back ten days by a westerly flow with moving waves, wider as the root
of their age, weaker as the air above mixes in. What matters here is that they are as many, as dense and as concentrated
upwind as real ones; nothing else is claimed.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numba
import numpy as np
import numpy.typing as npt
import scipy.sparse as sp

from inversion import Problem
from inversion.operators.covariance import BlockDiagonalCovariance, DiagonalCovariance
from inversion.operators.kernels import grid_correlation, time_correlation
from inversion.operators.kronecker import KroneckerCovariance
from inversion.operators.toeplitz import GridCorrelation
from inversion.problem.state import State, StateBlock
from inversion.problem.time_bins import TimeBins
from inversion.problem.totals import TotalWeights, total_weights
from obsnet.grid import Grid
from obsnet.regions import provinces
from obsnet.splitting import flux_shares

__all__ = ["World", "make_world"]

Floats = npt.NDArray[np.float64]
START = np.datetime64("2021-01-01", "us")
DAY = np.timedelta64(1, "D")
DAILY = 30_000 / 365.0  # observations
SCALE = 1e6  # state in umol m-2 s-1
BACK_HOURS, STEP_HOURS = 240, 6


@dataclass(frozen=True, eq=False)
class World:
    """A problem, the totals that are wanted of it, and the truth behind its observations."""

    problem: Problem
    weights: TotalWeights
    truth: Floats
    entries: float  # non-zeros of a footprint, mean


@numba.njit(cache=True)
def _wind(lat, lon, hour, phase):
    """Return eastward and northward wind, km/h: a winter jet, and six waves that move east."""
    season = np.cos(2 * np.pi * hour / 8766.0)  # 1 in January
    u = 12.0 + 7.0 * season + 0.2 * (lat - 35.0) * (1.0 + season)
    v = -5.0 * season
    for k in range(phase.shape[0]):
        length, period = 18.0 + 7.0 * k, 60.0 + 26.0 * k  # degrees, hours
        angle = 2 * np.pi * (lon / length + (0.3 + 0.1 * k) * lat / length - hour / period) + phase[k]
        u += 7.0 * np.cos(angle)
        v += 9.0 * np.sin(angle)
    return u, v


@numba.njit(cache=True)
def _footprint(place, hour, column, south, west, step, shape, first_hour, bin_hours, phase, out):
    """Add the footprint of one receptor to `out` (bins back, cells); bin 0 is that of the observation."""
    ny, nx = shape
    lat, lon = place
    last = int((hour - first_hour) // bin_hours)
    out[:] = 0.0
    for age in range(0, BACK_HOURS, STEP_HOURS):
        when = hour - age
        if when < first_hour:
            break
        back = last - int((when - first_hour) // bin_hours)
        u, v = _wind(lat, lon, when, phase)
        cosine = np.cos(np.radians(lat))
        lat -= v * STEP_HOURS / 111.2
        lon -= u * STEP_HOURS / (111.2 * cosine)
        width = (40.0 + 18.0 * np.sqrt(age + STEP_HOURS)) / 111.2  # degrees of latitude
        days = age / 24.0
        # ppm for 1 umol m-2 s-1 over this step: a boundary layer that the air leaves, or a whole column
        amount = (
            STEP_HOURS / 24.0 * (0.22 * np.exp(-days / 7.0) if column else 1.9 * np.exp(-days / 1.5) + 0.15)
        )
        j0, j1 = int((lat - 3 * width - south) / step), int((lat + 3 * width - south) / step) + 1
        wide = width / cosine
        i0, i1 = int((lon - 3 * wide - west) / step), int((lon + 3 * wide - west) / step) + 1
        share = amount * step * step / (2 * np.pi * width * wide)
        for j in range(max(j0, 0), min(j1, ny)):
            dy = (south + (j + 0.5) * step - lat) / width
            for i in range(max(i0, 0), min(i1, nx)):
                dx = (west + (i + 0.5) * step - lon) / wide
                out[back, j * nx + i] += share * np.exp(-0.5 * (dx * dx + dy * dy))


@numba.njit(cache=True, parallel=True)
def _footprints(
    places, hours, columns, grid, shape, first_hour, bin_hours, phase, most, offsets, index, value
):
    """Fill rows of a CSR matrix (observations, bins * cells); without arrays to fill, return the counts."""
    n, cells = hours.size, shape[0] * shape[1]
    counts = np.zeros(n, np.int64)
    south, west, step = grid
    parts = 64
    for part in numba.prange(parts):
        dense = np.zeros((BACK_HOURS // int(bin_hours) + 2, cells))
        for row in range(part, n, parts):
            place = (places[row, 0], places[row, 1])
            _footprint(
                place, hours[row], columns[row], south, west, step, shape, first_hour, bin_hours, phase, dense
            )
            flat = dense.ravel()
            seen = flat[flat > 0.0]
            limit = 2e-5 * seen.max() if seen.size else 0.0  # the air may come from outside at once
            if np.sum(seen > limit) > most:
                limit = np.partition(seen, seen.size - most)[seen.size - most]
            last = int((hours[row] - first_hour) // bin_hours)
            at = offsets[row] if index.size else 0
            for back in range(dense.shape[0] - 1, -1, -1):
                for cell in range(cells):
                    if dense[back, cell] > limit:
                        if index.size:
                            index[at] = (last - back) * cells + cell
                            value[at] = dense[back, cell]
                        at += 1
            counts[row] = at if not index.size else at - offsets[row]
    return counts


def _draw_observations(grid: Grid, hours: float, daily: float, rng: Any) -> tuple[Floats, Floats, Any]:
    """Return places (n, 2), hours and whether a column; two fifths are daily afternoons of 33 stations."""
    south, west, north, east = grid.lat[0], grid.lon[0], grid.lat[-1], grid.lon[-1]
    sites = np.stack([rng.uniform(22, 48, 33), rng.uniform(82, 128, 33)], axis=1)
    days = int(hours // 24)
    share = min(1.0, 0.4 * daily / len(sites))
    station = np.arange(days * len(sites))[rng.random(days * len(sites)) < share]
    by_hour = [(station // len(sites)) * 24.0 + 7.0]  # 14 h local time
    at = [sites[station % len(sites)]]
    left = round(daily * hours / 24.0) - station.size
    passes = np.sort(rng.choice(days, left))
    track = rng.uniform(west + 3, east - 3, days)[passes]
    lat = rng.uniform(max(south, 18.0), min(north, 54.0), left)
    at.append(
        np.stack([lat, np.clip(track - 0.25 * (lat - 35.0) + rng.normal(0, 4, left), west, east)], axis=1)
    )
    by_hour.append(passes * 24.0 + 5.5)
    column = np.repeat([False, True], [station.size, left])
    order = np.argsort(np.concatenate(by_hour), kind="stable")
    return np.concatenate(at)[order], np.concatenate(by_hour)[order], column[order]


def _fluxes(grid: Grid, bins: TimeBins, rng: Any) -> dict[str, Floats]:
    """Return prior fluxes (bins, cells), umol m-2 s-1: cities, and a green season."""
    lat, lon = (a.ravel() for a in np.meshgrid(grid.lat, grid.lon, indexing="ij"))
    east = 1.0 / (1.0 + np.exp(-(lon - 106.0) / 3.0)) * np.exp(-(((lat - 33.0) / 9.0) ** 2))
    fossil = 0.05 + 0.6 * east
    for y, x, size in zip(
        rng.uniform(21, 47, 90), rng.normal(114, 7, 90), rng.lognormal(1.6, 0.8, 90), strict=True
    ):
        fossil += size * np.exp(-(((lat - y) / 0.45) ** 2 + ((lon - x) / 0.5) ** 2))
    day = (bins.middle - START) / DAY
    season = np.cos(2 * np.pi * (day - 200.0) / 365.0)[:, None]
    green = np.exp(-(((lat - 30.0) / 14.0) ** 2)) * (0.3 + 0.7 / (1.0 + np.exp(-(lon - 100.0) / 4.0)))
    return {
        "fossil": np.tile(fossil, (bins.size, 1)) * (1.0 - 0.1 * season),
        "biosphere": -1.8 * season * green,
    }


def make_world(weeks: int, *, degrees: float = 0.5, daily: float = DAILY, seed: int = 1) -> World:
    """Return a simulated inversion over China.

    Parameters
    ----------
    weeks : int
        Time bins; totals are of the months that lie wholly inside, or of the whole time.
    degrees : float
        Cell size.
    daily : float
        Observations a day.
    seed : int
        Of everything drawn.
    """
    rng = np.random.default_rng([seed, weeks])
    grid = Grid.regular(15.0, 55.0, 70.0, 142.0, degrees, degrees)
    edges = START + 7 * DAY * np.arange(weeks + 1)
    bins = TimeBins(edges, np.arange(weeks), np.full(weeks, 7 * 86400.0))
    hours = 24.0 * min(7 * weeks, 365)
    places, when, column = _draw_observations(grid, hours, daily, rng)
    footprints = _csr(grid, bins, places, when, column, rng.uniform(0, 2 * np.pi, 6))
    mean = _fluxes(grid, bins, rng)
    days = bins.middle
    space = {
        name: grid_correlation(grid.lat, grid.lon, km)
        for name, km in (("fossil", 150.0), ("biosphere", 400.0))
    }
    errors = [
        KroneckerCovariance(0.5 * mean["fossil"], time_correlation(days, 60.0), space["fossil"]),
        KroneckerCovariance(
            0.5 + 0.8 * np.abs(mean["biosphere"]), time_correlation(days, 14.0), space["biosphere"]
        ),
        DiagonalCovariance(np.full(4 * weeks, 0.8**2)),
        DiagonalCovariance(np.full(1, 0.5**2)),
    ]
    state = State(
        [
            *(
                StateBlock(
                    n, "flux", ("time", "cell"), {"time": days, "cell": np.arange(grid.size)}, "umol m-2 s-1"
                )
                for n in mean
            ),
            StateBlock("boundary", "boundary", ("side", "time"), {"side": np.arange(4), "time": days}, "ppm"),
            StateBlock("offset", "offset", ("source",), {"source": np.array(["satellite"])}, "ppm"),
        ]
    )
    matrix = _whole(footprints, when, column, weeks, state.size, rng)
    prior = np.concatenate([*(m.ravel() for m in mean.values()), np.zeros(4 * weeks + 1)])
    covariance = BlockDiagonalCovariance(errors)
    truth = prior + np.concatenate([_drawn(e, rng) for e in errors])
    deviation = np.where(column, 0.8, 2.0)
    problem = Problem(
        matrix,
        np.zeros(len(when)),
        deviation**2,
        prior,
        covariance,
        background=412.0,
        state=state,
        groups={"source": np.where(column, "satellite", "station")},
    )
    y = problem.simulate(truth) + deviation * rng.standard_normal(len(when))
    whose = {name: (flux / SCALE).reshape(-1, *grid.shape) for name, flux in mean.items()}
    shares = flux_shares(provinces(), grid, whose)
    months = np.arange(START.astype("datetime64[M]"), edges[-1].astype("datetime64[M]") + 1).astype(
        "datetime64[us]"
    )
    months = months[months <= edges[-1]]
    weights = total_weights(
        state,
        tuple(mean),
        {k: v / SCALE for k, v in mean.items()},
        bins=dict.fromkeys(mean, bins),
        shares=shares,
        periods=months if months.size > 1 else edges[[0, -1]],
        scale=SCALE,
    )
    return World(problem.with_(observations=y), weights, truth, footprints.nnz / len(when))


def _drawn(error: Any, rng: Any) -> Floats:
    """Draw from a prior error; on a large grid by circulant embedding, for its Cholesky factor takes gigabytes."""
    space = getattr(error, "space", None)
    if not isinstance(space, GridCorrelation):
        return error.factor(rng.standard_normal(error.factor_size))
    rows, _, columns = space.lags.shape
    ring = np.concatenate([space.lags, space.lags[:, :, :0:-1]], axis=2).transpose(2, 0, 1)
    values, vectors = np.linalg.eigh(np.fft.fft(ring, axis=0).real)
    root = vectors * np.sqrt(np.maximum(values, 0.0))[:, None, :]
    noise = np.fft.fft(rng.standard_normal((len(ring), rows, len(error.time))), axis=0)
    field = np.fft.ifft(root @ vectors.transpose(0, 2, 1) @ noise, axis=0).real[:columns]
    cube = np.linalg.cholesky(error.time) @ field.transpose(2, 1, 0).reshape(len(error.time), -1)
    return error.sigma * cube.ravel()


def _csr(
    grid: Grid, bins: TimeBins, places: Floats, when: Floats, column: Any, phase: Floats
) -> sp.csr_array:
    step = float(grid.lat[1] - grid.lat[0])
    corner = (float(grid.lat[0]) - step / 2, float(grid.lon[0]) - step / 2, step)
    most = round(5000 * (0.5 / step) ** 2) if step > 0.5 else 5000
    given = (places, when, column, corner, grid.shape, 0.0, 168.0, phase, most)
    counts = _footprints(*given, np.zeros(1, np.int64), np.zeros(0, np.int32), np.zeros(0, np.float32))
    offsets = np.concatenate([[0], np.cumsum(counts)])
    index, value = np.empty(offsets[-1], np.int32), np.empty(offsets[-1], np.float32)
    _footprints(*given, offsets, index, value)
    return sp.csr_array((value, index, offsets.astype(np.int32)), shape=(len(when), bins.size * grid.size))


def _whole(
    footprints: sp.csr_array, when: Floats, column: Any, weeks: int, size: int, rng: Any
) -> sp.csr_array:
    """Return the Jacobian: the footprint for each sector, shares of four sides, an offset of the satellite."""
    n, flux = footprints.shape
    side = rng.dirichlet([3.0, 1.0, 1.0, 0.5], n).astype(np.float32)
    extra = (
        np.repeat([4, 5], [(~column).sum(), column.sum()]) if column.all() else 4 + column.astype(np.int64)
    )
    own = np.diff(footprints.indptr).astype(np.int64)
    start = np.concatenate([[0], np.cumsum(2 * own + extra)])
    index, value = np.empty(start[-1], np.int32), np.empty(start[-1], np.float32)
    week = np.minimum(when // 168.0, weeks - 1).astype(np.int64)
    _fill(
        footprints.indptr,
        footprints.indices,
        footprints.data,
        start,
        flux,
        side,
        week,
        weeks,
        column,
        index,
        value,
    )
    return sp.csr_array((value, index, start.astype(np.int32)), shape=(n, size))


@numba.njit(cache=True)
def _fill(indptr, indices, data, start, flux, side, week, weeks, column, index, value):
    for row in range(indptr.size - 1):
        at = start[row]
        for sector in range(2):
            for a in range(indptr[row], indptr[row + 1]):
                index[at], value[at] = indices[a] + sector * flux, data[a]
                at += 1
        for s in range(4):
            index[at], value[at] = 2 * flux + s * weeks + week[row], side[row, s]
            at += 1
        if column[row]:
            index[at], value[at] = 2 * flux + 4 * weeks, 1.0
            at += 1
