"""Rates that no single image gives: from tracks that cross plumes, and from the mean of many overpasses."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from obsnet.atomic import write_text
from obsnet.errors import ConfigError, ObsnetError
from obsnet.output import plain
from obsnet.provenance import record
from obsnet.schema import profile_array
from obsnet.store import ObservationStore
from obsnet.times import as_utc, from_epoch, to_epoch
from obsnet.work.progress import counted
from retrieval.plume.images.amounts import DRY_CONVERSION_ERROR, kt_per_year, mass_per_unit
from retrieval.plume.images.detect import detect
from retrieval.plume.images.scene import local_plane
from retrieval.plume.images.scene_files import read_scene
from retrieval.plume.options import DivergenceTable, TransectTable
from retrieval.plume.rates.budget import RateBudget
from retrieval.plume.rates.divergence import DIVERGENCE_ERROR, FluxSums, add_overpass, divergence_rate
from retrieval.plume.rates.reasons import RejectReason, words_of
from retrieval.plume.rates.transect import CROSSING_ERROR, Track, transect_rate
from retrieval.plume.sources import PointSource, read_sources
from retrieval.plume.tables import PLUME_RATES, write_rows
from retrieval.plume.winds import PlumeWind, WindFinder
from retrieval.readers.files import granule_files

__all__ = ["run_divergence", "run_transect"]

_ASSUMED = "the error of the method {method}, {share:.0%} of a rate, is assumed: no truth has been counted against it"

_GAP = 120.0  # s, between soundings of one pass
_NEAR_KM = (
    250.0  # of a source, which is kept of a pass: beyond the window it tells the background's structure
)
_COLUMNS = (
    "obs_id",
    "time",
    "latitude",
    "longitude",
    "value",
    "uncertainty",
    "pressure_levels",
    "pressure_edges",
)


def run_transect(options: TransectTable) -> dict[str, Any]:
    """Tell rates of sources from passes of an observation store.

    Returns
    -------
    dict
        ``rates`` (rows of `retrieval.plume.tables.PLUME_RATES`), ``passes`` looked at, ``files`` written.
    """
    sources = read_sources(options.sources)
    store = ObservationStore(options.store)
    rows: list[dict[str, Any]] = []
    passes = 0
    with WindFinder(options, options.wind_error) as winds:
        for source in counted(sources, "sources"):
            for track, time in _passes(store, source, options):
                passes += 1
                name = str(time)[:19].replace(":", "")
                wind = winds.at(name, time, source)
                found = transect_rate(
                    track,
                    source,
                    wind,
                    window_km=options.window_km,
                    min_angle=options.min_angle,
                    max_distance_km=options.max_distance_km,
                )
                numbers = {
                    "scene": name,
                    "method": "transect",
                    "start_km": found.distance,
                    "end_km": found.distance,
                    "half_width_km": options.window_km,
                    "sections": 1,
                }
                rows.append(
                    _row(source, wind, time, options.species, found.rate, found, found.budget, found.reasons)
                    | numbers
                )
    notes = [_ASSUMED.format(method="transect", share=CROSSING_ERROR)]
    files = _write(rows, options.out, "transects", options, [options.sources], notes)
    return {"rates": rows, "passes": passes, "notes": notes, "files": files}


def _passes(
    store: ObservationStore, source: PointSource, options: TransectTable
) -> list[tuple[Track, np.datetime64]]:
    """Return the passes about a source, good soundings only, and when each was nearest."""
    reach = _NEAR_KM / 111.0
    wide = reach / max(np.cos(np.deg2rad(source.latitude)), 0.05)
    bounds = (
        source.latitude - reach,
        source.latitude + reach,
        source.longitude - wide,
        source.longitude + wide,
    )
    table = store.read(
        options.species,
        source=options.source,
        start=options.start,
        stop=options.stop,
        bounds=bounds,
        good_only=True,
        columns=_COLUMNS,
    )
    if len(table) == 0:
        return []
    seconds = to_epoch(table["time"].to_numpy())
    cuts = np.flatnonzero(np.diff(seconds) > _GAP) + 1
    out = []
    for part in np.split(np.arange(len(table)), cuts):
        track = _track(table.take(pa.array(part)), options.species)
        x, y = local_plane(track.latitude, track.longitude, source.place)
        distance = np.hypot(x, y)
        if distance.min() <= options.max_distance_km:
            out.append((track, as_utc(from_epoch(seconds[part][int(distance.argmin())])[()])))
    return out


def _track(table: pa.Table, species: str) -> Track:
    """Return soundings as a track; the surface is where a product's pressures begin."""
    name = next((n for n in ("pressure_edges", "pressure_levels") if table[n].null_count == 0), None)
    if name is None:
        raise ConfigError(
            "soundings without pressures (ingested with --profiles none?): their mass cannot be told; ingest them again"
        )
    surface = profile_array(table[name])[:, 0].astype(np.float64) * 100.0
    lat, lon, value, error = (
        np.asarray(table[n].to_numpy(), dtype=np.float64)
        for n in ("latitude", "longitude", "value", "uncertainty")
    )
    return Track(lat, lon, value, error, mass_per_unit(surface, species), DRY_CONVERSION_ERROR)


def run_divergence(options: DivergenceTable) -> dict[str, Any]:
    """Tell rates of sources from the mean flux of many scenes.

    Returns
    -------
    dict
        ``rates`` (a row a source), ``scenes`` with their status, ``files`` written.
    """
    assert options.sources is not None
    sources = read_sources(options.sources)
    paths = granule_files(options.scenes)
    fluxes: dict[str, list[tuple[FluxSums, PlumeWind, np.datetime64]]] = {s.name: [] for s in sources}
    scenes = []
    with WindFinder(options, options.rate.wind_error) as winds:
        for path in counted(paths, "scenes"):
            status = "done"
            try:
                _add_scene(path, sources, options, winds, fluxes)
            except ObsnetError as error:
                status = f"bad: {error}"
            scenes.append({"scene": path.stem, "status": status})
    rows = []
    for source in sources:
        made = fluxes[source.name]
        found = divergence_rate([m[0] for m in made], [m[1] for m in made])
        u, v = (float(np.mean([getattr(m[1], n) for m in made])) if made else 0.0 for n in "uv")
        wind = PlumeWind(u, v, 0.0, f"mean of {len(made)} overpasses")
        time = made[len(made) // 2][2] if made else np.datetime64("1970-01-01", "us")
        row = _row(source, wind, time, options.species, found.rate, found, found.budget, found.reasons)
        rows.append(
            row
            | {
                "scene": f"{len(made)} overpasses",
                "method": "divergence",
                "start_km": 0.0,
                "end_km": options.half_km,
                "half_width_km": found.width_km if np.isfinite(found.width_km) else options.cell_km,
                "sections": found.overpasses,
            }
        )
    notes = [_ASSUMED.format(method="divergence", share=DIVERGENCE_ERROR)]
    files = _write(rows, options.out, "divergence", options, [*paths, options.sources], notes)
    return {"rates": rows, "scenes": scenes, "notes": notes, "files": files}


def _add_scene(
    path: Path,
    sources: Sequence[PointSource],
    options: DivergenceTable,
    winds: WindFinder,
    fluxes: dict[str, list[tuple[FluxSums, PlumeWind, np.datetime64]]],
) -> None:
    scene = read_scene(path, options.species, options.names, options.where, options.no2_where)
    found = detect(
        scene.value, scene.uncertainty, scene.spacing_km, options.detect, scene.no2, scene.no2_uncertainty
    )
    for source in sources:
        x, y = local_plane(scene.latitude, scene.longitude, source.place)
        if float(np.nanmin(np.hypot(x, y))) > options.half_km:
            continue
        wind = winds.at(scene.name, scene.time, source)
        if wind.speed >= options.rate.min_wind:
            flux = add_overpass(scene, found, source, wind, half_km=options.half_km, cell_km=options.cell_km)
            fluxes[source.name].append((flux, wind, scene.time))


def _row(
    source: PointSource,
    wind: PlumeWind,
    time: np.datetime64,
    species: str,
    rate: float,
    found: Any,
    budget: RateBudget,
    reasons: RejectReason,
) -> dict[str, Any]:
    numbers = {
        "rate_kg_s": rate,
        "low95_kg_s": found.low,
        "high95_kg_s": found.high,
        "rate_kt_a": float(kt_per_year(rate)),
        "error_kg_s": budget.total,
        "limit_kg_s": found.limit,
        **{f"error_{name}_kg_s": value for name, value in vars(budget).items()},
    }
    return {
        "time": time,
        "species": species,
        "source": source.name,
        "latitude": source.latitude,
        "longitude": source.longitude,
        **{k: v if np.isfinite(v) else None for k, v in numbers.items()},
        "quality": int(reasons),
        "reasons": words_of(reasons),
        "merged_with": "",
        "plume": 0,
        "wind_m_s": wind.speed,
        "wind_from_deg": wind.coming_from,
        "wind_error_m_s": wind.error,
        "wind_basis": wind.basis,
        "coverage": 1.0,
    }


def _write(
    rows: list[dict[str, Any]],
    out: Path,
    stem: str,
    options: Any,
    inputs: Sequence[Path],
    notes: Sequence[str],
) -> list[Path]:
    files = write_rows(rows, PLUME_RATES, out / stem)
    run = record(
        command=f"obsnet plume {stem.rstrip('s')}",
        config=plain(options.model_dump()),
        inputs=[Path(p) for p in inputs],
    ) | {"notes": list(notes)}
    write_text(out / f"{stem}_run.json", json.dumps(plain(run), indent=1, ensure_ascii=False) + "\n")
    return [*files, out / f"{stem}_run.json"]
