"""From observations and meteorology to the sparse Jacobian: batches, workers, restart.

One task is a batch of receptors in time order. Workers share the prepared meteorology through the page cache,
so memory does not grow with their number or with the number of receptors. What is finished is never redone.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from inversion.jacobian.store import JacobianStore
from inversion.transport.background.particle_ends import is_number, try_background
from inversion.transport.convection.columns import check_storms
from inversion.transport.particles.settings import ParticleSettings
from inversion.transport.receptors.sharing import MINUTE, cells_of, check_width, in_cells, sharing_note
from inversion.transport.run import VERSION
from inversion.transport.run.folder import Plan, adopt, differs, plan_of, read_plan, settle
from inversion.transport.run.options import TransportErrors
from inversion.transport.run.plan import estimate, flux_bins, span, told_of
from inversion.transport.run.task import FootprintTask, do_task, total_flux, warm_up
from obsnet.content import sha256
from obsnet.errors import ConfigError
from obsnet.grid import Grid
from obsnet.met import Met, build_met
from obsnet.met.build import build_met_apart
from obsnet.met.options import MetOptions
from obsnet.met.prepared import contents
from obsnet.parquet import write_table
from obsnet.seal import read_json
from obsnet.typing import Times
from obsnet.work.isolated import apart
from obsnet.work.parallel import cpu_count, map_unordered, shard
from obsnet.work.progress import progress
from obsnet.work.shards import taking_part
from obsnet.work.work import Work

__all__ = ["Air", "run_footprints"]


@dataclass(frozen=True)
class Air:
    """What is known of incoming air, and what is kept of where particles end.

    Parameters
    ----------
    background : str or float, optional
        Known mole fraction of incoming air, see `inversion.transport.background.particle_ends.open_background`.
        Its value at the particles' ends, with a column's fixed part, becomes each observation's background value.
    uncertainty : float
        Of that source, in the species' unit.
    endpoints : bool
        Also write where every particle ended, to ``endpoints/<part>.parquet``.
    """

    background: str | float | None = None
    uncertainty: float = 0.0
    endpoints: bool = False

    @property
    def known(self) -> tuple[str, float] | None:
        """Source and uncertainty."""
        return None if self.background is None else (str(self.background), self.uncertainty)


def run_footprints(
    table: pa.Table,
    met_files: Sequence[str | Path],
    out: str | Path,
    *,
    grid: Grid,
    step: str,
    settings: ParticleSettings,
    batch: int = 100,
    work: Work | None = None,
    air: Air | None = None,
    height: str = "ground",
    share: float = 0.0,
    met_options: MetOptions | None = None,
    errors: TransportErrors = (),
    replace: bool = False,
    without: str = "",
    report: Callable[[str], None] = lambda _line: None,
) -> dict[str, Any]:
    """Compute the footprints of an observation table into a sparse Jacobian on disk.

    Parameters
    ----------
    table : pyarrow.Table
        `obsnet.schema.OBSERVATIONS`, one species, or places from `inversion.transport.receptors.listed.read_places`.
    met_files : sequence of path
        See `obsnet.met.build_met`; prepared in ``met`` within `out`.
    out : path
        Folder of the Jacobian (`inversion.jacobian.store.JacobianStore`); parts that are there are not made again,
        and observations that are new are made beside them.
    grid : Grid
        Of the fluxes and of the domain.
    step : str
        Flux time bins, see `flux_bins`.
    settings : ParticleSettings
        Physics and size.
    batch : int
        Receptors a task.
    work : Work, optional
        How it is run; shards of the batches may share `out`.
    air : Air, optional
        Incoming air.
    height : {"ground", "sea"}
        See `inversion.transport.receptors.releases.from_observations`.
    share : float
        Columns within cells of this many km, and a minute, share particles, see
        `inversion.transport.receptors.sharing`; 0 for none.
    met_options : MetOptions, optional
        How the meteorology is read and prepared.
    errors : tuple of WindErrorOptions and MixingHeightErrorOptions
        Also find what these errors of the weather do to each observation, to ``transport_error/<part>.parquet``.
    replace : bool
        Remove footprints of other observations or settings from `out` instead of refusing.
    without : str
        What was missing where the observations come from, see `obsnet.work.shards.require_finished`.
    report : callable
        Takes lines for people.

    Returns
    -------
    dict
        ``receptors``, ``skipped`` (count by reason), ``swarms`` (of particles, one a receptor where none are shared),
        ``parts``, ``made`` (parts made now), ``notes``.

    Raises
    ------
    ConfigError
        No observation, or `out` holds footprints of other observations or settings, or things that are none.

    Examples
    --------
    ::

        table = ObservationStore("observations").read("CO2", start="2019-01-10", stop="2019-01-11")
        run_footprints(table, met_files, "footprints", grid=Grid.regular(18, 54, 73, 135, 0.5, 0.5), step="1D",
                       settings=ParticleSettings(turbulence="hanna"))
        jacobian = JacobianStore("footprints").read()
    """
    work, air, out, prepare = work or Work(), air or Air(), Path(out), met_options or MetOptions()
    if len(table) == 0:
        raise ConfigError("no observation to make a footprint for; check species, start, stop and select")
    if batch < 1:
        raise ConfigError(f"batch must be positive, found {batch}")
    table = table.sort_by([("time", "ascending"), ("obs_id", "ascending")])
    table = in_cells(table, share) if share > 0.0 else table
    settle(out)
    before = read_plan(out)
    decides = _decides(met_files, out, grid, step, settings, air, height, share, prepare, errors)
    together = cells_of(table, share) if share > 0.0 else None
    plan, rows, gone = plan_of(table, decides, batch, before, together)
    other = "" if before is None else differs(before, decides, gone)
    if other and not replace:
        raise ConfigError(
            f"{out}: holds footprints of {other}; write to another folder, or have them replaced (--replace)"
        )
    species = table["species"][0].as_py()
    if air.background is not None:
        apart(try_background, air.background, species)  # a bad one is told before any work
    slack = MINUTE if share > 0.0 else 0.0  # shared particles start within a minute of their columns
    edges, met = _axis_and_met(table, met_files, out, grid, step, settings, prepare, plan, gone, work, slack)
    notes = [*settings.notes, *told_of(met)]
    if share > 0.0:
        check_width(share, met)
        notes.append(sharing_note(share))
    # What cannot be is told before any work, and before the folder is taken.
    if settings.stormy:
        check_storms(met)
    for error in errors:
        total_flux(error.flux, species, grid, edges)
        notes.append(str(error))
    notes += [f"made from {without}"] if without else []
    for line in notes:
        report(line)
    meta = {
        "grid": grid,
        "time_edges": edges,
        "kind": "computed",
        "model": f"obsnet {settings.turbulence}",
        "species": species,
        "settings": settings.model_dump(),
        "share": share,
        "notes": notes,
        "background": None if air.background is None else str(air.background),
    }
    store = adopt(out, meta, before, plan, gone)
    tasks = _tasks(
        out, plan, rows, settings, air, height, share, str(met.meta["fingerprint"]), errors, together
    )
    assigned = shard(tasks, work)
    done = _done(store, air)
    todo = [t for t in assigned if t.part not in done]
    with taking_part(out, "footprints", plan.parts, plan.decides, work, without=without, alone=True):
        for task in todo:
            write_table(table.take(pa.array(rows[task.part])), task.observations)
        _make(todo, settings, work, report)
    return {**_summary(store, assigned), "made": len(todo), "notes": notes}


def _decides(
    met_files: Sequence[str | Path],
    out: Path,
    grid: Grid,
    step: str,
    settings: ParticleSettings,
    air: Air,
    height: str,
    share: float,
    met_options: MetOptions,
    errors: TransportErrors,
) -> dict[str, Any]:
    """Return all that every footprint of a folder depends on, files by content."""
    source = air.background
    known: list[Any] = [None if source is None else str(source), air.uncertainty]
    if isinstance(source, str) and not is_number(source) and Path(source).is_file():
        known[0] = f"{Path(source).name} {sha256(source)}"
    found = {
        "version": VERSION,
        "grid": grid.hash_id,
        "step": step,
        "height": height,
        "background": known,
        "meteorology": sorted(contents(met_files, out / "met").values()),
        "met_options": met_options.model_dump(),
        **settings.model_dump(),
    }
    if share > 0.0:
        found["share"] = share
    for error in errors:
        found[f"{error.kind.replace(' ', '_')}_error"] = {**error.model_dump(), "flux": sha256(error.flux)}
    plain: dict[str, Any] = json.loads(json.dumps(found))
    return plain


def _axis_and_met(
    table: pa.Table,
    met_files: Sequence[str | Path],
    out: Path,
    grid: Grid,
    step: str,
    settings: ParticleSettings,
    met_options: MetOptions,
    plan: Plan,
    gone: Sequence[str],
    work: Work,
    slack: float = 0.0,
) -> tuple[Times, Met]:
    """Return the flux time bins, which hold those that kept parts have, and the prepared meteorology."""
    first, last = span(table)
    first = first - np.timedelta64(round(settings.hours * 3600), "s")
    prepare = build_met if work.scheduler == "serial" else build_met_apart
    met = prepare(
        met_files, out / "met", bounds=grid.bounds, start=first, stop=last, **met_options.model_dump()
    )
    wide = np.timedelta64(round(slack), "s")
    first, last = first - wide, last + wide
    edges = flux_bins(first, last, step)
    if (out / "meta.json").exists() and step != "whole":
        theirs = JacobianStore(out)
        if set(theirs.parts()) & (set(plan.parts) - set(gone)):
            old = theirs.time_edges
            edges = flux_bins(min(first, old[0]), max(last, old[-1]), step)
    return edges, met


def _tasks(
    out: Path,
    plan: Plan,
    rows: dict[str, np.ndarray],
    settings: ParticleSettings,
    air: Air,
    height: str,
    share: float,
    met: str,
    errors: TransportErrors,
    together: list[Any] | None,
) -> list[FootprintTask]:
    mark = hashlib.sha256(json.dumps([met, plan.decides], sort_keys=True).encode()).hexdigest()
    return [
        FootprintTask(
            str(out),
            str(out / "met"),
            mark,
            part,
            rows[part].size,
            rows[part].size if together is None else len({together[k] for k in rows[part]}),
            settings,
            height,
            share,
            air.known,
            air.endpoints,
            errors,
        )
        for part in plan.parts
    ]


def _done(store: JacobianStore, air: Air) -> set[str]:
    """Return the parts that are whole, with the ends of their particles where those are wanted."""
    whole = set(store.parts())
    if air.endpoints:
        whole &= {p.stem for p in (store.path / "endpoints").glob("[!.]*.parquet")}
    return whole


def _make(
    todo: Sequence[FootprintTask],
    settings: ParticleSettings,
    work: Work,
    report: Callable[[str], None],
) -> None:
    """Run the tasks that are left."""
    if todo and work.scheduler != "serial":
        warm_up(settings.turbulence)
    if todo:
        count, swarms = sum(t.receptors for t in todo), sum(t.swarms for t in todo)
        report(estimate(count, len(todo), settings, work.workers or cpu_count(), todo[0].errors, swarms))
    with progress(sum(t.receptors for t in todo), "receptors") as advance:
        for task, _ in map_unordered(do_task, todo, work):
            advance(task.receptors)


def _summary(store: JacobianStore, tasks: Sequence[FootprintTask]) -> dict[str, Any]:
    reasons: dict[str, int] = {}
    receptors = 0
    for task in tasks:
        skipped = read_json(store.path / "skipped" / f"{task.part}.json")
        for reason in skipped.values():
            kind = reason.split(" (")[0].split(" from ")[0]
            reasons[kind] = reasons.get(kind, 0) + 1
        receptors += task.receptors - len(skipped)
    swarms = sum(task.swarms for task in tasks)
    return {"receptors": receptors, "skipped": reasons, "swarms": swarms, "parts": len(tasks)}
