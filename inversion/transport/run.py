"""From observations and meteorology to the sparse Jacobian: batches, workers, restart.

One task is a batch of receptors in time order. Workers share the prepared meteorology through the page cache,
so memory does not grow with their number or with the number of receptors. What is finished is never redone.
"""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.parquet as pq

from inversion.jacobian import JacobianStore
from inversion.transport.background import Background, open_background
from inversion.transport.langevin import FREE_DIFFUSIVITY, OPTIONS, langevin
from inversion.transport.particles import SIDES, mixed_layer
from inversion.transport.random import key_of
from inversion.transport.receptors import Receptors, from_observations
from obsnet.errors import ConfigError, GridError, RangeError, nearest
from obsnet.grid import Grid
from obsnet.met import Met, build_met
from obsnet.parallel import Scheduler, cpu_count, map_unordered, parse_shard, shard
from obsnet.progress import progress
from obsnet.store import write_table, write_text
from obsnet.times import EPOCH, from_epoch, time_bins, to_epoch

__all__ = ["Footprints", "Settings", "flux_bins", "run_footprints", "simulate"]

NEAR_FIELD = ("none", "taylor", "stilt")
# What suits each turbulence, where the user asks for nothing else.
_HANNA = {"timestep": 120.0, "particles": 1000, "floor": 100.0, "near_field": "taylor", "horizontal_tl": 0.0}
_USUAL: dict[str, dict[str, Any]] = {
    "mixed-layer": {**_HANNA, "timestep": 1800.0, "particles": 200},
    "hanna": _HANNA,
    "stilt": {**_HANNA, "timestep": 60.0, "floor": 150.0, "near_field": "stilt", "horizontal_tl": 10800.0},
    "none": {**_HANNA, "particles": 1},
}
TURBULENCE = tuple(_USUAL)
# CPU seconds a particle-hour on a server of 2023, from scripts/bench_transport.py, for the estimate before a run.
_SECONDS = {"mixed-layer": 8e-7, "hanna": 2.8e-5, "stilt": 3.5e-5, "none": 1e-5}


@dataclass(frozen=True)
class Settings:
    """How particles are run; None takes what suits the turbulence.

    Parameters
    ----------
    turbulence : {"mixed-layer", "hanna", "stilt", "none"}
        Boundary layer stirred at every step (cheap); Hanna (1982) with Langevin steps; the same with STILT's
        choices (near field as published, 150 m floor, 3 h horizontal time scale, steps of a minute); mean wind.
    hours : float
        Length of the run.
    particles : int or None
        Per receptor.
    timestep : float or None
        Longest step of the mean wind, s.
    seed : int
        Of the random numbers.
    height : {"ground", "sea"}
        See `receptors.from_observations`.
    floor : float or None
        Least boundary-layer height, m.
    ctl : float
        Hanna: vertical steps per Lagrangian time scale, at least.
    veght : float
        Hanna: share of the boundary layer below which particles feel the surface.
    near_field : {"taylor", "stilt", "none"} or None
        Hanna: depth of the young plume, in Taylor's form or as STILT publishes it.
    least_tl : float
        Hanna: least vertical Lagrangian time scale, s.
    horizontal_tl : float or None
        Hanna: horizontal Lagrangian time scale, s; 0 for Hanna's. HYSPLIT takes 10800, which stands for eddies of
        the mesoscale that the meteorology does not resolve.
    diffusivity : float
        Mixed-layer: horizontal, m2 s-1.
    smooth : float
        Kernel smoothing factor, 0 for none, 1 as STILT's default.
    direction : {-1, 1}
        Backward or forward in time.
    layer : float
        Count time below this height (m) instead of below `veght` of the boundary layer; 0 for the latter.
    """

    turbulence: str = "mixed-layer"
    hours: float = 72.0
    particles: int | None = None
    timestep: float | None = None
    seed: int = 0
    height: str = "ground"
    floor: float | None = None
    ctl: float = 10.0
    veght: float = 0.5
    near_field: str | None = None
    least_tl: float = 3.0
    horizontal_tl: float | None = None
    diffusivity: float = 2000.0
    smooth: float = 0.0
    direction: int = -1
    layer: float = 0.0

    def __post_init__(self) -> None:
        if self.turbulence not in TURBULENCE:
            raise ConfigError(
                f"turbulence {self.turbulence!r} is unknown{nearest(self.turbulence, TURBULENCE)}"
            )
        for name, value in _USUAL[self.turbulence].items():
            if getattr(self, name) is None:
                object.__setattr__(self, name, value)
        for name, known in (("near_field", NEAR_FIELD), ("height", ("ground", "sea"))):
            if getattr(self, name) not in known:
                raise ConfigError(
                    f"{name} {getattr(self, name)!r} is unknown{nearest(getattr(self, name), known)}"
                )
        for name in ("hours", "particles", "timestep", "floor", "ctl", "least_tl"):
            if not getattr(self, name) > 0:
                raise ConfigError(f"{name} must be positive, found {getattr(self, name)}")
        for name in ("diffusivity", "smooth", "layer", "horizontal_tl"):
            if not getattr(self, name) >= 0:
                raise ConfigError(f"{name} must not be negative, found {getattr(self, name)}")
        if not 0.0 < self.veght <= 1.0:
            raise ConfigError(f"veght must lie within 0 and 1, found {self.veght}")
        if self.direction not in {-1, 1}:
            raise ConfigError(f"direction is -1 (backward) or 1 (forward), found {self.direction}")
        if self.turbulence == "mixed-layer" and (self.direction > 0 or self.layer > 0 or self.smooth > 0):
            raise ConfigError("direction, layer and smooth need turbulence 'hanna', 'stilt' or 'none'")


@dataclass(frozen=True)
class Footprints:
    """What `simulate` found, as tables.

    Parameters
    ----------
    sensitivity, background : pyarrow.Table
        Contracts `obsnet.schema.SENSITIVITY` and `BACKGROUND`.
    receptors : pyarrow.Table
        One row a receptor: obs_id, total and total_stderr (ppm / (umol m-2 s-1)), residence_hours (mean time in
        the domain per unit of weight), particles.
    endpoints : pyarrow.Table
        One row a particle: obs_id, time, latitude, longitude, height_m, side, weight; where its path left the
        domain or, on side ``inside``, where the run ended.
    """

    sensitivity: pa.Table
    background: pa.Table
    receptors: pa.Table
    endpoints: pa.Table


def flux_bins(first: Any, last: Any, step: str) -> npt.NDArray[np.datetime64]:
    """Return flux time bins on round times that cover first to last.

    Parameters
    ----------
    first, last : datetime64
        Earliest moment a particle reaches and latest receptor.
    step : str
        pandas frequency such as ``"3h"``, ``"1D"``, ``"MS"``, or ``"whole"`` for a single bin.
    """
    import pandas as pd

    if step == "whole":
        return np.array([first, last]).astype("datetime64[us]")
    try:
        offset = pd.tseries.frequencies.to_offset(step)
        start = pd.Timestamp(first)
        fixed = isinstance(offset, pd.tseries.offsets.Tick | pd.tseries.offsets.Day)
        start = start.floor(step) if fixed else offset.rollback(start.normalize())
    except ValueError as error:
        raise ConfigError(f"step {step!r} is not a time step; write it as 3h, 1D, MS or whole") from error
    return time_bins(start, last, step)


def _in_nodes(met: Met, grid: Grid) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
    """Return the flux grid's edges in nodes of the meteorological grid, or say that it is too small."""
    turn = 360.0 * np.round(
        (0.5 * (met.lon[0] + met.lon[-1]) - 0.5 * (grid.lon_edges[0] + grid.lon_edges[-1])) / 360.0
    )
    xe = (grid.lon_edges + turn - met.lon[0]) / (met.lon[1] - met.lon[0])
    ye = (grid.lat_edges - met.lat[0]) / (met.lat[1] - met.lat[0])
    reach = 0.5 + 1e-6
    if (
        xe[0] < -reach
        or xe[-1] > met.lon.size - 1 + reach
        or ye[0] < -reach
        or ye[-1] > met.lat.size - 1 + reach
    ):
        south, north, west, east = met.bounds
        raise GridError(
            f"the grid of fluxes ({grid}) runs beyond the meteorology "
            f"({south:g} to {north:g} N, {west:g} to {east:g} E)"
        )
    return np.ascontiguousarray(xe), np.ascontiguousarray(ye)


def _geometry(met: Met, grid: Grid, receptors: Receptors) -> tuple[npt.NDArray[np.float64], ...]:
    """Return what kernels need to know of the axes, the flux grid's edges, and releases in nodes."""
    xe, ye = _in_nodes(met, grid)
    releases = receptors.releases.copy()
    for column, axis in ((2, met.lon), (3, met.lon), (4, met.lat), (5, met.lat)):
        releases[:, column] = (releases[:, column] - axis[0]) / (axis[1] - axis[0])
    spacing = 1.0 / met.step if met.step else 0.0
    geometry = (met.lat[0], met.lat[1] - met.lat[0], met.lon[0], met.lon[1] - met.lon[0])
    axes = np.array([met.times[0], spacing, *geometry, 1.0 / met.top, met.top / (met.height.size - 1) ** 2])
    return axes, xe, ye, releases


def _check_period(
    met: Met, bins: npt.NDArray[np.float64], releases: npt.NDArray[np.float64], settings: Settings
) -> None:
    """Refuse meteorology or time bins that do not cover the particles' paths."""
    if met.times.size < 2:
        raise RangeError(f"particles need two times of meteorology at least, found {met.times.size}")
    if not len(releases):
        return
    reach = settings.direction * settings.hours * 3600.0
    first = min(releases[:, 0].min(), releases[:, 0].min() + reach)
    last = max(releases[:, 1].max(), releases[:, 1].max() + reach)
    if first < met.times[0] - 1e-3 or last > met.times[-1] + 1e-3:
        raise RangeError(f"the meteorology covers {met.start} to {met.stop}, the particles need more")
    if first < bins[0] - 1e-3 or last > bins[-1] + 1e-3:
        covered = f"{from_epoch(bins[0])} to {from_epoch(bins[-1])}"
        raise RangeError(f"the flux time bins {covered} do not cover the particles' paths")


def simulate(
    met: Met,
    receptors: Receptors,
    grid: Grid,
    edges: npt.NDArray[np.datetime64],
    settings: Settings,
    *,
    threads: int = 1,
) -> Footprints:
    """Run particles backward from every receptor.

    Parameters
    ----------
    met : Met
        Must cover `grid` and the period.
    receptors : Receptors
        See `from_observations`.
    grid : Grid
        Of the fluxes; its outer edges are the domain that particles leave.
    edges : ndarray of datetime64, shape (n_time + 1,)
        Flux time bins.
    settings : Settings
        Physics and size.
    threads : int
        Receptors at a time; the result does not depend on it.

    Returns
    -------
    Footprints
        Sensitivity in ppm / (umol m-2 s-1), extensive per cell and time bin, with Monte-Carlo standard errors;
        shares of the receptor's air by side and time bin of exit (their sum is the sum of its weights).

    Raises
    ------
    GridError, RangeError
        The meteorology does not cover the grid or the period.
    """
    axes, xe, ye, releases = _geometry(met, grid, receptors)
    bins = to_epoch(edges)
    _check_period(met, bins, releases, settings)
    kernel, arguments = _kernel(settings)

    def one(n: int) -> Any:
        part = releases[receptors.offsets[n] : receptors.offsets[n + 1]]
        key = np.uint64(key_of(settings.seed, str(receptors.obs_id[n])))
        given = (met.wind, met.surface, axes, xe, ye, bins, part, key, *arguments)
        if kernel is mixed_layer:
            return kernel(*given)
        found = kernel(*given, np.zeros(0))
        return kernel(*given, _widths(found[5], part, axes, settings)) if settings.smooth else found

    if threads > 1:
        with ThreadPoolExecutor(threads) as pool:
            results = list(pool.map(one, range(len(receptors))))
    else:
        results = [one(n) for n in range(len(receptors))]
    return _tables(receptors, results, grid, bins, met)


def _widths(
    cloud: npt.NDArray[np.float64],
    part: npt.NDArray[np.float64],
    axes: npt.NDArray[np.float64],
    settings: Settings,
) -> npt.NDArray[np.float64]:
    """Return the smoothing kernel's bandwidth (degrees) by age.

    ``0.06 smooth (var lon + var lat)^(1/4) (age / day)^(1/2) / cos(lat)`` (Fasoli et al. 2018,
    doi:10.5194/gmd-11-2813-2018, eq. 5, as their code has it), from the cloud itself.
    """
    count = np.maximum(cloud[:, 0], 1.0)
    mean_x, mean_y = cloud[:, 1] / count, cloud[:, 2] / count
    variance = np.maximum(cloud[:, 3] / count - mean_x**2, 0.0) * axes[5] ** 2
    variance += np.maximum(cloud[:, 4] / count - mean_y**2, 0.0) * axes[3] ** 2
    lat = axes[2] + axes[3] * (part[0, 4] + mean_y)
    days = np.linspace(0.0, settings.hours / 24.0, cloud.shape[0])
    return np.asarray(0.06 * settings.smooth * variance**0.25 * np.sqrt(days) / np.cos(np.deg2rad(lat)))


def _kernel(settings: Settings) -> tuple[Any, tuple[Any, ...]]:
    """Return the kernel of a turbulence and its last arguments."""
    if settings.turbulence == "mixed-layer":
        names = ("hours", "timestep", "diffusivity", "floor")
        return mixed_layer, tuple(float(getattr(settings, name)) for name in names)
    values = {
        "sign": settings.direction,
        "near_field": NEAR_FIELD.index(str(settings.near_field)),
        "turbulent": settings.turbulence != "none",
        "spread": FREE_DIFFUSIVITY,
    }
    return langevin, (np.array([float(values.get(n, getattr(settings, n, 0.0))) for n in OPTIONS]),)


def _tables(
    receptors: Receptors, results: Sequence[Any], grid: Grid, bins: npt.NDArray[np.float64], met: Met
) -> Footprints:
    """Collect kernel results into the contracts' tables."""
    n_time = bins.size - 1
    sizes = [max(len(r[0]), 1) for r in results]
    keys = [r[0] if len(r[0]) else np.zeros(1, np.int64) for r in results]
    values = [r[1] if len(r[0]) else np.zeros(1) for r in results]
    errors = [r[2] * _together(r[2], r[4][1]) if len(r[0]) else np.zeros(1) for r in results]
    flat = np.concatenate([*keys, np.zeros(0, np.int64)])
    sensitivity = pa.table(
        {
            "obs_id": pa.array(np.repeat(receptors.obs_id, sizes).tolist(), pa.string()),
            "time_bin": (flat // grid.size).astype(np.int32),
            "cell": (flat % grid.size).astype(np.int32),
            "sensitivity": np.concatenate([*values, np.zeros(0)]).astype(np.float32),
            "stderr": np.concatenate([*errors, np.zeros(0)]).astype(np.float32),
        }
    )
    ids: list[str] = []
    sides: list[str] = []
    when: list[int] = []
    share: list[float] = []
    fixed: list[float] = []
    for n, result in enumerate(results):
        ends = result[3]
        # A path that stops at a bin's lower edge belongs to the bin it came from.
        at = np.clip(np.searchsorted(bins, ends[:, 0], side="right") - 1, 0, n_time - 1)
        total = np.bincount(
            ends[:, 4].astype(np.int64) * n_time + at, weights=ends[:, 5], minlength=len(SIDES) * n_time
        )
        found = np.flatnonzero(total)
        ids.extend([str(receptors.obs_id[n])] * found.size)
        sides.extend(SIDES[k] for k in found // n_time)
        when.extend((found % n_time).tolist())
        share.extend(np.maximum(total[found], 0.0).tolist())
        fixed.extend([float(receptors.known[n])] * found.size)
    background = pa.table(
        {
            "obs_id": pa.array(ids, pa.string()),
            "fixed": pa.array(fixed, pa.float64()),
            "side": pa.array(sides, pa.string()),
            "time_bin": pa.array(when, pa.int32()),
            "share": pa.array(share, pa.float64()),
        }
    )
    ends = np.concatenate([np.zeros((0, 6)), *(r[3] for r in results)])
    lon = met.lon[0] + (met.lon[1] - met.lon[0]) * ends[:, 1]
    endpoints = pa.table(
        {
            "obs_id": pa.array(
                np.repeat(receptors.obs_id, [len(r[3]) for r in results]).tolist(), pa.string()
            ),
            "time": from_epoch(ends[:, 0]),
            "latitude": met.lat[0] + (met.lat[1] - met.lat[0]) * ends[:, 2],
            "longitude": (lon + 180.0) % 360.0 - 180.0,
            "height_m": ends[:, 3],
            "side": pa.DictionaryArray.from_arrays(ends[:, 4].astype(np.int8), list(SIDES)),
            "weight": ends[:, 5],
        }
    )
    summary = np.array([r[4][:3] for r in results]).reshape(-1, 3)
    return Footprints(
        sensitivity,
        background,
        pa.table(
            {
                "obs_id": pa.array(receptors.obs_id.tolist(), pa.string()),
                "total": summary[:, 0],
                "total_stderr": summary[:, 1],
                "residence_hours": summary[:, 2] / 3600.0,
                "particles": pa.array([len(r[3]) for r in results], pa.int32()),
            }
        ),
        endpoints,
    )


def _together(errors: npt.NDArray[np.float64], total: float) -> float:
    """Return the factor that makes the squares of one receptor's standard errors add up to that of its total.

    A particle that lingers is felt in many cells, so the cells' errors go together and their squares alone
    would fall short of the error of a modelled value.
    """
    apart = float(np.sqrt(np.sum(errors**2)))
    return max(total / apart, 1.0) if apart > 0.0 else 1.0


@dataclass(frozen=True)
class _Task:
    """A batch of receptors: all a worker needs to know."""

    out: str
    met: str
    start: int
    stop: int
    settings: Settings
    background: tuple[str, float] | None = None
    endpoints: bool = False

    @property
    def part(self) -> str:
        return f"{self.start:07d}"


@lru_cache(maxsize=1)
def _shared(
    out: str, met: str, background: tuple[str, float] | None
) -> tuple[Met, JacobianStore, pa.Table, Background | None]:
    """Open what all tasks of a worker share."""
    table = pq.ParquetFile(Path(out) / "observations.parquet").read()
    source = None
    if background is not None:
        source = open_background(background[0], table["species"][0].as_py(), uncertainty=background[1])
    return Met.load(met), JacobianStore(out), table, source


def _do(task: _Task) -> dict[str, str]:
    """Run one batch and write its part; return what was skipped."""
    met, store, table, source = _shared(task.out, task.met, task.background)
    grid, edges, settings = store.grid, store.time_edges, task.settings
    south, north, west, east = grid.lat_edges[0], grid.lat_edges[-1], grid.lon_edges[0], grid.lon_edges[-1]
    turn = float(met.wrap(0.5 * (west + east))) - 0.5 * (west + east)
    receptors = from_observations(
        table.slice(task.start, task.stop - task.start),
        met,
        particles=int(settings.particles or 0),
        hours=settings.hours,
        height=settings.height,
        domain=(south, north, west + turn, east + turn),
    )
    found = simulate(met, receptors, grid, edges, settings)
    background = found.background if source is None else _with_background(found, receptors, source, met)
    write_table(found.receptors, store.path / "receptors" / f"{task.part}.parquet")
    if task.endpoints:
        write_table(found.endpoints, store.path / "endpoints" / f"{task.part}.parquet")
    write_text(store.path / "skipped" / f"{task.part}.json", json.dumps(receptors.skipped, indent=1))
    store.write_part(task.part, found.sensitivity, background)
    return receptors.skipped


def _with_background(found: Footprints, receptors: Receptors, source: Background, met: Met) -> pa.Table:
    """Return the background table with the value that the particles' ends bring."""
    names, value, error = source.of(found.endpoints, met)
    place = {name: k for k, name in enumerate(names.tolist())}
    known = dict(zip(receptors.obs_id.tolist(), receptors.known.tolist(), strict=True))
    ids = found.background["obs_id"].to_pylist()
    total = pa.array([value[place[name]] + known[name] for name in ids], pa.float64())
    spread = pa.array([error[place[name]] for name in ids], pa.float64())
    return found.background.append_column("background", total).append_column("background_uncertainty", spread)


def run_footprints(
    table: pa.Table,
    met_files: Sequence[str | Path],
    out: str | Path,
    *,
    grid: Grid,
    step: str,
    settings: Settings,
    batch: int = 100,
    scheduler: Scheduler = "processes",
    workers: int | None = None,
    part: str | None = None,
    background: str | float | None = None,
    background_uncertainty: float = 0.0,
    endpoints: bool = False,
    met_folder: str | Path | None = None,
    met_options: dict[str, Any] | None = None,
    replace: bool = False,
    report: Callable[[str], None] = lambda _line: None,
) -> dict[str, Any]:
    """Compute the footprints of an observation table into a sparse Jacobian on disk.

    Parameters
    ----------
    table : pyarrow.Table
        `obsnet.schema.OBSERVATIONS`, one species.
    met_files : sequence of path
        See `obsnet.met.build_met`.
    out : path
        Folder of the Jacobian (`inversion.jacobian.JacobianStore`); parts that are there are not made again.
    grid : Grid
        Of the fluxes and of the domain.
    step : str
        Flux time bins, see `flux_bins`.
    settings : Settings
        Physics and size.
    batch : int
        Receptors a task.
    scheduler, workers
        See `obsnet.parallel.map_unordered`.
    part : str, optional
        ``"3/40"``: only this shard of the batches, for job arrays; every shard may share `out`.
    background : str or float, optional
        Known mole fraction of incoming air, see `inversion.transport.background.open_background`. Its value at
        the particles' ends, with a column's fixed part, becomes each observation's background value.
    background_uncertainty : float
        Of that source, in the species' unit.
    endpoints : bool
        Also write where every particle ended, to ``endpoints/<part>.parquet``.
    met_folder : path, optional
        Of the prepared meteorology; by default ``met`` within `out`.
    met_options : dict, optional
        ``trim``, ``winds``, ``top``, ``levels`` of `build_met`.
    replace : bool
        Remove footprints of other observations or settings from `out` instead of refusing.
    report : callable
        Takes lines for people.

    Returns
    -------
    dict
        ``receptors``, ``skipped`` (count by reason), ``parts``, ``made`` (parts made now), ``notes``.

    Raises
    ------
    ConfigError
        No observation, or `out` holds footprints of other observations or settings.
    """
    if len(table) == 0:
        raise ConfigError("no observation to make a footprint for; check species, start, stop and select")
    if batch < 1:
        raise ConfigError(f"batch must be positive, found {batch}")
    out = Path(out)
    table = table.sort_by([("time", "ascending"), ("obs_id", "ascending")])
    decides = {
        "grid": grid.hash_id,
        "step": step,
        "batch": batch,
        "background": [str(background), background_uncertainty],
        "meteorology": sorted([Path(f).name, Path(f).stat().st_size] for f in met_files),
        **asdict(settings),
    }
    claim = _claim(table, decides)
    other = _other_claim(out, claim)
    if other and replace:
        shutil.rmtree(out)
    elif other:
        raise ConfigError(f"{out}: holds footprints of {other}; write to another folder or delete it")
    first, last = _span(table)
    edges = flux_bins(first - np.timedelta64(round(settings.hours * 3600), "s"), last, step)
    store = JacobianStore(out).create(
        {
            "grid": grid,
            "time_edges": edges,
            "kind": "computed",
            "model": f"obsnet {settings.turbulence}",
            "species": table["species"][0].as_py(),
            "settings": asdict(settings),
            "background": None if background is None else str(background),
        }
    )
    if not (out / "claim.json").exists():
        write_table(table, out / "observations.parquet")
        write_text(out / "claim.json", json.dumps(claim))
    prepared = Path(met_folder) if met_folder is not None else out / "met"
    met = build_met(
        met_files,
        prepared,
        bounds=grid.bounds,
        start=first - np.timedelta64(round(settings.hours * 3600), "s"),
        stop=last,
        **(met_options or {}),
    )
    notes = list(met.meta.get("notes", []))
    if met.step > 3 * 3600.0 + 1.0:
        notes.append(
            f"meteorology every {met.step / 3600:g} h: coarser than 3 h blurs fronts and the daily cycle"
        )
    for line in notes:
        report(f"meteorology: {line}")
    starts = range(0, len(table), batch)
    known = None if background is None else (str(background), background_uncertainty)
    if known is not None:
        open_background(known[0], table["species"][0].as_py())  # a bad one is told before any work
    tasks = [
        _Task(str(out), str(prepared), k, min(k + batch, len(table)), settings, known, endpoints)
        for k in starts
    ]
    mine = shard(tasks, parse_shard(part) if part else None)
    done = set(store.parts())
    todo = [t for t in mine if t.part not in done]
    if todo and scheduler != "serial":
        _compile(settings.turbulence)
    if todo:
        report(_estimate(todo, settings, cpu_count() if workers is None else workers))
    with progress(sum(t.stop - t.start for t in todo), "receptors") as advance:
        for task, _ in map_unordered(_do, todo, scheduler=scheduler, workers=workers):
            advance(task.stop - task.start)
    return {**_summary(store, mine), "made": len(todo), "notes": notes}


def _estimate(tasks: Sequence[_Task], settings: Settings, workers: int) -> str:
    """Return how long the particles will take, for people."""
    receptors = sum(t.stop - t.start for t in tasks)
    each = _SECONDS[settings.turbulence] * (settings.particles or 0) * settings.hours
    passes = 2.0 if settings.smooth else 1.0
    seconds = passes * each * receptors / max(min(workers, len(tasks)), 1)
    shown = f"{seconds / 3600:.1f} h" if seconds > 7200 else f"{seconds / 60:.1f} min"
    return f"{receptors} receptors in {len(tasks)} parts, about {shown} on {workers} workers"


def _span(table: pa.Table) -> tuple[np.datetime64, np.datetime64]:
    """Return the earliest and latest moment at which a receptor releases particles."""
    times = table["time"].to_numpy().astype("datetime64[us]")
    first, last = times, times
    for name in ("time_start", "time_end"):
        bound = table[name].to_numpy(zero_copy_only=False).astype("datetime64[us]")
        bound = np.where(np.isnat(bound) | (np.abs(bound - times) > np.timedelta64(7, "D")), times, bound)
        first, last = np.minimum(first, bound), np.maximum(last, bound)
    return first.min(), last.max()


def _claim(table: pa.Table, decides: dict[str, Any]) -> dict[str, Any]:
    """Return what decides the footprints: where, when and how the observations look, and all settings."""
    seen = table.drop_columns(
        ["value", "uncertainty", "uncertainty_systematic", "quality", "quality_original"]
    )
    digest = hashlib.sha256()
    for batch_of_rows in seen.combine_chunks().to_batches():
        digest.update(batch_of_rows.serialize())
    return {"observations": digest.hexdigest(), **json.loads(json.dumps(decides))}


def _other_claim(out: Path, mine: dict[str, Any]) -> str:
    """Return in what a folder's footprints differ from what is wanted; empty if they do not, or there are none."""
    try:
        theirs = json.loads((out / "claim.json").read_text(encoding="utf-8"))
    except FileNotFoundError:
        return ""
    differ = [name for name in mine if theirs.get(name) != mine[name]]
    if not differ:
        return ""
    name = differ[0]
    plain = isinstance(mine[name], str | int | float) and name not in {"observations", "grid"}
    return f"other {name}" + (f" ({theirs.get(name)} there, {mine[name]} now)" if plain else "")


def _summary(store: JacobianStore, tasks: Sequence[_Task]) -> dict[str, Any]:
    reasons: dict[str, int] = {}
    receptors = 0
    for task in tasks:
        skipped = json.loads((store.path / "skipped" / f"{task.part}.json").read_text(encoding="utf-8"))
        for reason in skipped.values():
            kind = reason.split(" (")[0].split(" from ")[0]
            reasons[kind] = reasons.get(kind, 0) + 1
        receptors += task.stop - task.start - len(skipped)
    return {"receptors": receptors, "skipped": reasons, "parts": len(tasks)}


def _compile(turbulence: str) -> None:
    """Compile (or load) the kernels once before workers start, so that they find them in the cache."""
    met = Met(
        np.array([0.0, 7200.0]),
        np.array([0.0, 1.0]),
        np.array([0.0, 1.0]),
        np.array([0.0, 1000.0, 4000.0]),
        np.ones((2, 2, 2, 3, 4), np.float32),
        np.ones((2, 2, 2, 3, 3), np.float32),
        np.full((2, 2, 2, 6), 500.0, np.float32),
        np.zeros((2, 2), np.float32),
    )
    release = np.array([[7200.0, 7200.0, 0.5, 0.5, 0.5, 0.5, 10.0, 10.0, 1.0, 0.5, 0.5, 1.0]])
    one = Receptors(np.array(["x"]), np.array([0, 1]), release, np.zeros(1), {})
    edges = EPOCH + np.array([0, 7200]).astype("timedelta64[s]")
    settings = Settings(turbulence=turbulence, hours=1.0, particles=1)
    simulate(met, one, Grid(np.array([0.0, 1.0]), np.array([0.0, 1.0])), edges, settings)
