"""From observations and meteorology to the sparse Jacobian: batches, workers, restart.

One task is a batch of receptors in time order. Workers share the prepared meteorology through the page cache,
so memory does not grow with their number or with the number of receptors. What is finished is never redone.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from inversion.jacobian.store import JacobianStore
from inversion.transport.background.particle_ends import open_background
from inversion.transport.particles.settings import Settings
from inversion.transport.run import VERSION
from inversion.transport.run.plan import claim, estimate, flux_bins, other_claim, span
from inversion.transport.run.task import Task, do_task, warm_up
from obsnet.errors import ConfigError
from obsnet.grid import Grid
from obsnet.met import build_met
from obsnet.met.build import build_met_apart
from obsnet.store import sha256, write_table, write_text
from obsnet.work.parallel import cpu_count, map_unordered, shard
from obsnet.work.progress import progress
from obsnet.work.work import Work

__all__ = ["run_footprints"]


def run_footprints(
    table: pa.Table,
    met_files: Sequence[str | Path],
    out: str | Path,
    *,
    grid: Grid,
    step: str,
    settings: Settings,
    batch: int = 100,
    work: Work | None = None,
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
        `obsnet.schema.OBSERVATIONS`, one species, or places from `inversion.transport.receptors.listed.read_places`.
    met_files : sequence of path
        See `obsnet.met.build_met`.
    out : path
        Folder of the Jacobian (`inversion.jacobian.store.JacobianStore`); parts that are there are not made again.
    grid : Grid
        Of the fluxes and of the domain.
    step : str
        Flux time bins, see `flux_bins`.
    settings : Settings
        Physics and size.
    batch : int
        Receptors a task.
    work : Work, optional
        How it is run; shards of the batches may share `out`.
    background : str or float, optional
        Known mole fraction of incoming air, see `inversion.transport.background.particle_ends.open_background`.
        Its value at the particles' ends, with a column's fixed part, becomes each observation's background value.
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
    work = work or Work()
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
        "background": [str(background), background_uncertainty, _file_hash(background)],
        "version": VERSION,
        "meteorology": sorted([Path(f).name, Path(f).stat().st_size] for f in met_files),
        **asdict(settings),
    }
    mine = claim(table, decides)
    other = other_claim(out, mine)
    if other and replace:
        shutil.rmtree(out)
    elif other:
        raise ConfigError(f"{out}: holds footprints of {other}; write to another folder or delete it")
    if background is not None:
        open_background(str(background), table["species"][0].as_py())  # a bad one is told before any work
    last = span(table)[1]
    first = span(table)[0] - np.timedelta64(round(settings.hours * 3600), "s")
    edges = flux_bins(first, last, step)
    prepared = Path(met_folder) if met_folder is not None else out / "met"
    prepare = build_met if work.scheduler == "serial" else build_met_apart
    met = prepare(met_files, prepared, bounds=grid.bounds, start=first, stop=last, **(met_options or {}))
    notes = list(met.meta.get("notes", []))
    if met.step > 3 * 3600.0 + 1.0:
        notes.append(
            f"meteorology every {met.step / 3600:g} h: coarser than 3 h blurs fronts and the daily cycle"
        )
    for line in notes:
        report(f"meteorology: {line}")
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
        write_text(out / "claim.json", json.dumps(mine))
    starts = range(0, len(table), batch)
    known = None if background is None else (str(background), background_uncertainty)
    tasks = [
        Task(str(out), str(prepared), k, min(k + batch, len(table)), settings, known, endpoints)
        for k in starts
    ]
    assigned = shard(tasks, work)
    done = set(store.parts())
    todo = [t for t in assigned if t.part not in done]
    if todo and work.scheduler != "serial":
        warm_up(settings.turbulence)
    if todo:
        report(estimate(todo, settings, work.workers or cpu_count()))
    with progress(sum(t.stop - t.start for t in todo), "receptors") as advance:
        for task, _ in map_unordered(do_task, todo, work):
            advance(task.stop - task.start)
    return {**_summary(store, assigned), "made": len(todo), "notes": notes}


def _file_hash(background: str | float | None) -> str:
    """Return the sha256 of a background that is a file."""
    path = Path(str(background))
    return sha256(path) if path.is_file() else ""


def _summary(store: JacobianStore, tasks: Sequence[Task]) -> dict[str, Any]:
    reasons: dict[str, int] = {}
    receptors = 0
    for task in tasks:
        skipped = json.loads((store.path / "skipped" / f"{task.part}.json").read_text(encoding="utf-8"))
        for reason in skipped.values():
            kind = reason.split(" (")[0].split(" from ")[0]
            reasons[kind] = reasons.get(kind, 0) + 1
        receptors += task.stop - task.start - len(skipped)
    return {"receptors": receptors, "skipped": reasons, "parts": len(tasks)}
