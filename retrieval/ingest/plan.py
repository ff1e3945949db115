"""Before a run: what is done already, which files hold the same soundings, whether versions would be mixed."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from obsnet.constants import species as species_of
from obsnet.errors import ConfigError, ObsnetError
from obsnet.store import sha256
from retrieval.products.read import AVERAGED

if TYPE_CHECKING:
    from retrieval.ingest.options import IngestOptions

__all__ = ["IngestPlan", "Sniffed", "make_plan", "rows_of_run", "sniff"]


@dataclass(frozen=True)
class Sniffed:
    """What a glance into a file tells.

    Parameters
    ----------
    source : str
        Product, version and variant.
    sensor : str
        Product.
    species : str
        Formula.
    scale : str or None
        Calibration scale, where the product has one.
    start, end : str
        Time of the first and last sounding, ISO 8601; empty where unknown.
    """

    source: str
    sensor: str
    species: str
    scale: str | None
    start: str
    end: str


@dataclass(frozen=True)
class IngestPlan:
    """What each task must know of other files.

    Parameters
    ----------
    done : mapping
        By path: sha256 and path of finished files of the same size, or of an equal file earlier in the list.
    newer : mapping
        By path: files that cover the same time and win where soundings are the same.
    sizes : mapping
        Bytes by path, of files that are not done.
    """

    done: Mapping[str, tuple[tuple[str, str], ...]]
    newer: Mapping[str, tuple[str, ...]]
    sizes: Mapping[str, int]

    def bytes_to_read(self, paths: Iterable[str]) -> int:
        """Return the bytes of those files that are not done."""
        return sum(self.sizes.get(p, 0) for p in paths)


def sniff(path: str, options: IngestOptions) -> Sniffed | None:
    """Look at a file's identity; None where it cannot be read, which its task will report."""
    from retrieval.products.read import open_fields, source_name

    try:
        fields = open_fields(
            path,
            sensor=options.sensor,
            species=options.species,
            variant=options.variant,
            folders=options.sensors,
        )
        with fields.source:
            sensor = fields.sensor
            _, correction = options.load()
            names = [source_name(sensor, fields.version(), options.variant), correction and correction.name]
            source = "_".join(filter(None, names)) + options.suffix
            time, _, _ = fields.times()
            known = time[~np.isnat(time)]
            span = (str(known.min()), str(known.max())) if len(known) else ("", "")
        return Sniffed(source, sensor.name, sensor.species, sensor.scale, *span)
    except (ObsnetError, OSError):
        return None


def rows_of_run(index: Iterable[Mapping[str, Any]], options: IngestOptions) -> dict[str, Mapping[str, Any]]:
    """Return the index's row of each path for the species that this run reads of it."""
    from retrieval.readers.sensors import load_sensors

    tables = load_sensors(options.sensors)
    chosen = options.species and species_of(options.species).name
    rows: dict[str, Mapping[str, Any]] = {}
    for row in index:
        table = tables.get(row["sensor"] or "")
        wanted = chosen or (table.for_species(None).species if table else row["species"])
        if row["species"] == wanted or (row["species"] is None and row["path"] not in rows):
            rows[row["path"]] = row
    return rows


def make_plan(
    paths: Sequence[str],
    index: Sequence[Mapping[str, Any]],
    options: IngestOptions,
    *,
    mixed: bool,
) -> IngestPlan:
    """Decide what a run has to do.

    Parameters
    ----------
    paths : sequence of str
        All files of the run, sorted, before sharding: every shard makes the same plan.
    index : sequence of mapping
        Rows of the granule index.
    options : IngestOptions
        Of this run.
    mixed : bool
        Allow several versions or scales.

    Raises
    ------
    ConfigError
        Versions or scales would be mixed; the text counts the files of each.
    """
    sizes = {p: Path(p).stat().st_size for p in paths if Path(p).is_file()}
    before = rows_of_run(index, options)
    prints = {name: options.fingerprint(name) for name in {row["sensor"] for row in before.values()}}
    finished = {
        path: row
        for path, row in before.items()
        if row["status"] == "done" and row["options"] == prints[row["sensor"]]
    }
    of_size: dict[int, list[tuple[str, str]]] = {}
    for row in finished.values():
        of_size.setdefault(row["size"], []).append((row["sha256"], row["path"]))
    done = {path: tuple(of_size.get(size, ())) for path, size in sizes.items()}
    copies = _equal_files(sizes)
    for first, later, digest in copies:
        done[later] = (*done[later], (digest, first))
    # What looks done is not even opened; its task still compares the hash.
    news = [p for p in paths if p not in finished or finished[p]["size"] != sizes.get(p)]
    seen = {p: found for p in news for found in [sniff(p, options)] if found}
    replaced = {(p, f.species) for p, f in seen.items()}
    kept = [r for r in index if r["status"] == "done" and (r["path"], r["species"]) not in replaced]
    if not mixed:
        _refuse_mixture(seen, kept, options)
    again = {path for _, path, _ in copies}
    originals = {p: f for p, f in seen.items() if p not in again}
    return IngestPlan(done, _newer(originals, kept), {p: s for p, s in sizes.items() if p in seen})


def _equal_files(sizes: Mapping[str, int]) -> list[tuple[str, str, str]]:
    """Return (first, later, sha256) of files with the same bytes."""
    by_size: dict[int, list[str]] = {}
    for path, size in sizes.items():
        by_size.setdefault(size, []).append(path)
    found = []
    for group in by_size.values():
        first: dict[str, str] = {}
        for path in sorted(group) if len(group) > 1 else ():
            digest = sha256(path)
            if digest in first:
                found.append((first[digest], path, digest))
            first.setdefault(digest, path)
    return found


def _refuse_mixture(
    seen: Mapping[str, Sniffed], kept: Iterable[Mapping[str, Any]], options: IngestOptions
) -> None:
    """Raise where one store would hold two versions of a product, or two scales of a species."""
    from retrieval.readers.sensors import load_sensors

    tables = load_sensors(options.sensors)
    versions: dict[tuple[str, str], dict[str, list[str]]] = {}
    scales: dict[str, dict[str, list[str]]] = {}

    def count(species: str, sensor: str, source: str, scale: str | None, path: str) -> None:
        versions.setdefault((sensor, species), {}).setdefault(source, []).append(path)
        if scale is not None:
            scales.setdefault(species, {}).setdefault(scale, []).append(path)

    for path, found in seen.items():
        count(found.species, found.sensor, found.source, found.scale, path)
    for row in kept:
        table = tables.get(row["sensor"] or "")
        if table is None:  # stations write to the same store; or a table that is no longer there
            continue
        version = row["version"] or ""
        variant = next((v for v in table.variants if version.removesuffix(AVERAGED).endswith(v)), None)
        scale = table.for_species(row["species"]).for_variant(variant).scale
        count(row["species"], table.name, _source(row), scale, row["path"])
    faults = [
        f"versions of {sensor} would be mixed: {_shown(sources)}"
        for (sensor, _), sources in versions.items()
        if len(sources) > 1
    ] + [
        f"calibration scales of {name} would be mixed: {_shown(found)}"
        for name, found in scales.items()
        if len(found) > 1
    ]
    if faults:
        raise ConfigError(
            "; ".join(faults) + "; name one version or use another store, or allow it with --mixed"
        )


def _shown(groups: Mapping[str, list[str]]) -> str:
    return ", ".join(
        f"{name} ({len(paths)} file{'s' if len(paths) > 1 else ''}, e.g. {Path(paths[0]).name})"
        for name, paths in sorted(groups.items())
    )


def _newer(seen: Mapping[str, Sniffed], kept: Iterable[Mapping[str, Any]]) -> dict[str, tuple[str, ...]]:
    """Return for each file those that cover some of its time and win: in the store already, or made later."""
    spans = [
        ((f.species, f.source), f.start, f.end, _produced(p), p, True) for p, f in seen.items() if f.start
    ]
    for row in kept:
        if row["time_start"] is not None and Path(row["path"]).exists():
            start, end = (row[k].isoformat(timespec="microseconds") for k in ("time_start", "time_end"))
            spans.append(((row["species"], _source(row)), start, end, "~", row["path"], False))
    spans.sort()
    result: dict[str, list[str]] = {}
    for k, one in enumerate(spans):
        for other in spans[k + 1 :]:
            if other[0] != one[0] or other[1] > one[2]:
                break
            loser, winner = sorted((one, other), key=lambda s: (s[3], s[4]))
            if loser[5]:
                result.setdefault(loser[4], []).append(winner[4])
    return {path: tuple(sorted(winners)) for path, winners in result.items()}


def _source(row: Mapping[str, Any]) -> str:
    return "_".join(x for x in (row["sensor"], row["version"]) if x)


def _produced(path: str) -> str:
    """Return the production stamp of a file name: its last long run of digits."""
    stamps = re.findall(r"\d{12,14}", Path(path).stem.replace("T", ""))
    return stamps[-1] if stamps else ""
