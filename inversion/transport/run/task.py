"""One task: a batch of receptors in time order, from the observations on disk to a part of the Jacobian."""

from __future__ import annotations

import json
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from inversion.jacobian.flux import flux_on
from inversion.jacobian.store import JacobianStore
from inversion.transport.background.particle_ends import Background, open_background
from inversion.transport.particles.settings import ParticleSettings
from inversion.transport.particles.simulate import simulate
from inversion.transport.particles.tables import Footprints
from inversion.transport.receptors.listed import from_places
from inversion.transport.receptors.releases import Receptors, domain_of, from_observations
from inversion.transport.receptors.sharing import from_neighbours
from inversion.transport.run.options import TransportErrors
from inversion.transport.run.transport_error import together, transport_error
from obsnet.atomic import write_text
from obsnet.constants import species
from obsnet.errors import ConfigError
from obsnet.grid import Grid
from obsnet.met import Met
from obsnet.parquet import write_table
from obsnet.times import EPOCH
from obsnet.typing import Floats, Times
from obsnet.work.isolated import apart

__all__ = ["FootprintTask", "do_task", "total_flux", "warm_up"]


@dataclass(frozen=True)
class FootprintTask:
    """A batch of receptors: all a worker needs to know.

    Parameters
    ----------
    out, met : str
        Folders of the footprints and of the prepared meteorology.
    mark : str
        Of all that decides the footprints: what a worker holds open is for one mark.
    part : str
        Its rows stand in ``observations/<part>.parquet``.
    receptors, swarms : int
        How many, and how many swarms of particles they have.
    settings : ParticleSettings
        How particles are run.
    height : str
        See `inversion.transport.receptors.releases.from_observations`.
    share : float
        Width (km) of the cells in which columns share particles, 0 for none.
    background : (str, float), optional
        Source and uncertainty of incoming air.
    endpoints : bool
        Write where every particle ended.
    errors : tuple of WindErrorOptions and MixingHeightErrorOptions
        Also find what these errors of the weather do; fluxes are whole paths.
    """

    out: str
    met: str
    mark: str
    part: str
    receptors: int
    swarms: int
    settings: ParticleSettings
    height: str = "ground"
    share: float = 0.0
    background: tuple[str, float] | None = None
    endpoints: bool = False
    errors: TransportErrors = ()

    @property
    def observations(self) -> Path:
        """File of its rows."""
        return Path(self.out) / "observations" / f"{self.part}.parquet"


@lru_cache(maxsize=1)
def _shared(
    out: str, met: str, _mark: str, background: tuple[str, float] | None, fluxes: tuple[str, ...]
) -> tuple[Met, JacobianStore, Background | None, list[Floats]]:
    """Open what all tasks of a worker share."""
    store = JacobianStore(out)
    source = None
    if background is not None:
        source = open_background(background[0], str(store.meta["species"]), uncertainty=background[1])
    name = str(store.meta["species"])
    totals = [total_flux(flux, name, store.grid, store.time_edges) for flux in fluxes]
    return Met.load(met), store, source, totals


def total_flux(path: str, name: str, grid: Grid, edges: Times) -> Floats:
    """Return the sum of a flux's sectors on cells and time bins, in the species' customary unit of flux.

    Raises
    ------
    ConfigError, GridError
        Another substance, or times or cells that it does not cover.
    """
    from obsnet.cf import read_flux

    gas = species(name)
    data = apart(read_flux, path)
    if (substance := str(data["flux"].attrs["substance"]).upper()) != gas.name:
        raise ConfigError(f"{path}: a flux of {substance}, the footprints are for {gas.name}")
    parts, _ = flux_on(data, grid, edges)
    return np.sum(list(parts.values()), axis=0) / float(gas.unit)


def do_task(task: FootprintTask) -> dict[str, str]:
    """Run one batch and write its part; return what was skipped."""
    settings = task.settings
    paths = tuple(error.flux for error in task.errors)
    met, store, source, fluxes = _shared(task.out, task.met, task.mark, task.background, paths)
    grid, edges = store.grid, store.time_edges
    receptors = _receptors(task, met, grid, int(settings.particles or 0))
    found = simulate(met, receptors, grid, edges, settings)
    background = found.background if source is None else _with_background(found, receptors, source, met)
    write_table(found.receptors, store.path / "receptors" / f"{task.part}.parquet")
    if task.endpoints:
        write_table(found.endpoints, store.path / "endpoints" / f"{task.part}.parquet")
    if settings.paths:
        write_table(found.paths, store.path / "paths" / f"{task.part}.parquet")

    def inflow(found: Footprints) -> dict[str, float]:
        names, values, _ = source.of(found.endpoints, met) if source is not None else ((), (), ())
        return dict(zip(names, values, strict=True))

    varied = {}
    for error, flux in zip(task.errors, fluxes, strict=True):
        few = _receptors(task, met, grid, error.particles // 2)
        varied[error.kind] = transport_error(met, few, grid, edges, settings, error, flux, inflow)
    if varied:
        write_table(together(varied), store.path / "transport_error" / f"{task.part}.parquet")
    write_text(store.path / "skipped" / f"{task.part}.json", json.dumps(receptors.skipped, indent=1))
    store.write_part(task.part, found.sensitivity, background)
    return receptors.skipped


def _receptors(task: FootprintTask, met: Met, grid: Grid, particles: int) -> Receptors:
    """Return the receptors of a task with so many particles each."""
    rows = pq.ParquetFile(task.observations).read()
    shared: dict[str, Any] = {
        "particles": particles,
        "hours": task.settings.hours,
        "domain": domain_of(grid, met),
    }
    if "corner_time" in rows.column_names:
        return from_places(rows, met, **shared)
    if task.share > 0.0:
        return from_neighbours(rows, met, **shared, height=task.height, km=task.share)
    return from_observations(rows, met, **shared, height=task.height)


def _with_background(found: Footprints, receptors: Receptors, source: Background, met: Met) -> pa.Table:
    """Return the background table with the value that the particles' ends bring."""
    names, value, error = source.of(found.endpoints, met)
    place = {name: k for k, name in enumerate(names.tolist())}
    known = dict(zip(receptors.obs_id.tolist(), receptors.known.tolist(), strict=True))
    ids = found.background["obs_id"].to_pylist()
    total = pa.array([value[place[name]] + known[name] for name in ids], pa.float64())
    spread = pa.array([error[place[name]] for name in ids], pa.float64())
    return found.background.append_column("background", total).append_column("background_uncertainty", spread)


def warm_up(turbulence: str) -> None:
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
    settings = ParticleSettings(turbulence=turbulence, hours=1.0, particles=1)
    simulate(met, one, Grid(np.array([0.0, 1.0]), np.array([0.0, 1.0])), edges, settings)
