"""Many scenes: each read, searched and told in a worker, then the tables."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr

from obsnet.atomic import write_text
from obsnet.cf import write_netcdf
from obsnet.config import resolve_files
from obsnet.constants import species as species_of
from obsnet.errors import ConfigError, ObsnetError
from obsnet.output import plain
from obsnet.provenance import record
from obsnet.work.parallel import map_unordered, shard
from obsnet.work.progress import counted
from obsnet.work.work import Work
from retrieval.plume.images.detect import Detection, detect
from retrieval.plume.images.scene import Scene, local_plane
from retrieval.plume.images.scene_files import read_scene
from retrieval.plume.options import DetectTable, RateTable
from retrieval.plume.rates.estimate import PlumeRates, source_rates
from retrieval.plume.sources import PointSource, read_sources
from retrieval.plume.tables import PLUME_RATES, PLUMES, plume_rows, rate_rows, write_rows
from retrieval.plume.winds import WindFinder
from retrieval.readers.files import granule_files

__all__ = ["PlumeSummary", "run_detect", "run_rate"]

VERSION = "1"
_COARSE = 8.0  # pixels that the local mean spans, from which on lengths are said to be of another instrument
_MANY = 4  # scenes, from which on starting processes pays


@dataclass
class PlumeSummary:
    """What became of the scenes.

    Parameters
    ----------
    scenes : list of dict
        ``scene``, ``status`` (``done`` or ``bad: why``), ``notes``.
    plumes, rates : list of dict
        Rows of the two tables.
    files : list of Path
        Written.
    """

    scenes: list[dict[str, Any]] = field(default_factory=list)
    plumes: list[dict[str, Any]] = field(default_factory=list)
    rates: list[dict[str, Any]] = field(default_factory=list)
    files: list[Path] = field(default_factory=list)

    @property
    def bad(self) -> list[dict[str, Any]]:
        """Scenes that could not be used."""
        return [s for s in self.scenes if s["status"] != "done"]


def run_detect(options: DetectTable, work: Work | None = None) -> PlumeSummary:
    """Find plumes in scenes; see `retrieval.plume.options.DetectTable`."""
    return _run(options, work or Work())


def run_rate(options: RateTable, work: Work | None = None) -> PlumeSummary:
    """Find plumes in scenes and tell the rates of known sources; see `retrieval.plume.options.RateTable`."""
    with WindFinder(options, options.rate.wind_error):  # a mistake in the winds is told once, at once
        pass
    return _run(options, work or Work())


def _run(options: DetectTable, work: Work) -> PlumeSummary:
    if options.sources is not None:
        read_sources(options.sources)
    paths = shard(granule_files(options.scenes), work)
    stems = [p.stem for p in paths]
    twice = {s for s in stems if stems.count(s) > 1}
    if twice:
        raise ConfigError(f"several scenes are called {min(twice)!r}; their outputs would be one another's")
    tasks = [(path, options) for path in paths]
    made = map_unordered(_one, tasks, work, enough=len(tasks) > _MANY, on_death=_dead)
    found = {task[0]: result for task, result in counted(made, "scenes", len(tasks))}
    summary = PlumeSummary()
    for path in paths:
        part = found[path]
        for name in ("scenes", "plumes", "rates", "files"):
            getattr(summary, name).extend(getattr(part, name))
    tail = "" if work.part is None else f"-{work.part[0] + 1}of{work.part[1]}"
    rate = isinstance(options, RateTable)
    summary.files += write_rows(summary.plumes, PLUMES, options.out / f"plumes{tail}")
    if rate:
        summary.files += write_rows(summary.rates, PLUME_RATES, options.out / f"rates{tail}")
    inputs = [*paths, *([options.sources] if options.sources else [])]
    if isinstance(options, RateTable):
        inputs += [*resolve_files(options.winds), *([options.wind_table] if options.wind_table else [])]
    run = record(
        command=f"obsnet plume {'rate' if rate else 'detect'}",
        config=plain(options.model_dump()),
        inputs=[Path(p) for p in inputs],
        scenes=summary.scenes,
        algorithm=VERSION,
    )
    write_text(options.out / f"run{tail}.json", json.dumps(plain(run), indent=1, ensure_ascii=False) + "\n")
    return summary


def _dead(task: tuple[Path, DetectTable], reason: str) -> PlumeSummary:
    return PlumeSummary(scenes=[_row(task[0], f"bad: {task[0]}: {reason}")])


def _row(path: Path, status: str, notes: Sequence[str] = ()) -> dict[str, Any]:
    return {"scene": path.stem, "status": status, "notes": list(notes)}


def _one(task: tuple[Path, DetectTable]) -> PlumeSummary:
    path, options = task
    try:
        return _scene(path, options)
    except ObsnetError as error:
        return PlumeSummary(scenes=[_row(path, f"bad: {error}")])


def _scene(path: Path, options: DetectTable) -> PlumeSummary:
    scene = read_scene(path, options.species, options.names, options.where, options.no2_where)
    sources = () if options.sources is None else read_sources(options.sources)
    found = detect(
        scene.value, scene.uncertainty, scene.spacing_km, options.detect, scene.no2, scene.no2_uncertainty
    )
    summary = PlumeSummary(plumes=plume_rows(scene, found, sources))
    summary.files.append(_write_labels(scene, found, options.out / f"{scene.name}_plumes.nc", path))
    if options.pictures:
        from retrieval.plume.figures import draw_scene

        picture = options.out / f"{scene.name}.png"
        summary.files.append(draw_scene(scene, found, sources, picture, options.language))
    notes = [*scene.notes, *_lengths(scene, options)]
    if found.gas.noise_factor > 1.2:
        notes.append(f"columns scatter {found.gas.noise_factor:.2f} times as much as stated; errors taken so")
    if isinstance(options, RateTable):
        for rates in _rates(scene, found, sources, options, notes):
            summary.rates += rate_rows(scene, rates, options.language)
            if options.pictures and rates.layout.row.size:
                from retrieval.plume.figures import draw_plume

                name = "".join(c if c.isalnum() else "_" for c in rates.source.name)
                picture = options.out / f"{scene.name}_{name}.png"
                summary.files.append(draw_plume(scene, found, rates, picture, options.language))
    summary.scenes.append(_row(path, "done", notes))
    return summary


def _lengths(scene: Scene, options: DetectTable) -> list[str]:
    """Return what to say of lengths that are not those of these pixels."""
    if options.detect.smoothing_km < _COARSE * scene.pixel_km:
        return []
    km = scene.pixel_km
    better = {
        "detect-smoothing-km": km, "detect-background-km": 50 * km, "detect-margin-km": 3 * km,
        "rate-min-length-km": 7 * km, "rate-max-length-km": 50 * km, "rate-section-km": 3 * km,
    }  # fmt: skip
    said = " ".join(
        f"--{k} {v:.2g}"
        for k, v in better.items()
        if isinstance(options, RateTable) or k.startswith("detect")
    )
    smoothing = f"{options.detect.smoothing_km:g} km of smoothing alone"
    return [f"pixels of {1e3 * km:.0f} m, lengths for pixels of kilometres ({smoothing}): give {said}"]


def _rates(
    scene: Scene, found: Detection, sources: tuple[PointSource, ...], options: RateTable, notes: list[str]
) -> list[PlumeRates]:
    """Return the rates of all sources that lie about the scene."""
    out, away = [], []
    with WindFinder(options, options.rate.wind_error) as winds:
        for source in sources:
            if _away(scene, source) > options.rate.max_length_km:
                away.append(source.name)
                continue
            wind = winds.at(scene.name, scene.time, source)
            others = tuple(o for o in sources if o is not source)
            out.append(source_rates(scene, found, source, others, wind, options.rate))
    if away:
        notes.append(f"far outside the swath, without a row: {', '.join(away)}")
    return out


def _away(scene: Scene, source: PointSource) -> float:
    """Return the distance of the nearest pixel, km."""
    return float(np.nanmin(np.hypot(*local_plane(scene.latitude, scene.longitude, source.place))))


def _write_labels(scene: Scene, found: Detection, path: Path, origin: Path) -> Path:
    """Write what was found where."""
    entry = species_of(scene.species)
    dims = ("row", "column")
    place = {
        "latitude": (dims, scene.latitude, {"units": "degrees_north", "standard_name": "latitude"}),
        "longitude": (dims, scene.longitude, {"units": "degrees_east", "standard_name": "longitude"}),
    }
    data = xr.Dataset(
        {
            "plume": (
                dims,
                found.labels.astype(np.int32),
                {"long_name": "number of the plume, 0 outside", "units": "1"},
            ),
            "z": (
                dims,
                found.z.astype(np.float32),
                {"long_name": "local mean above background over its error", "units": "1"},
            ),
            "background": (
                dims,
                found.gas.background.astype(np.float32),
                {"long_name": f"background of X{entry.name} without plumes", "units": entry.unit},
            ),
        },
        coords=place,
        attrs={
            "title": f"Plumes in {scene.name}",
            "summary": f"Connected pixels whose local mean stands out; decided by {found.image}.",
            "source": origin.name,
            "license": "as the input",
            "structure": found.gas.structure,
            "noise_factor": found.gas.noise_factor,
        },
    )
    return write_netcdf(data, path, history="obsnet plume")
