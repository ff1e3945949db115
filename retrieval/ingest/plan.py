"""Before a run: what is done already, which files hold the same soundings, whether versions would be mixed."""

from __future__ import annotations

import itertools
import re
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from obsnet.constants import species as species_of
from obsnet.content import sha256
from obsnet.errors import ConfigError, ObsnetError
from obsnet.reading import reading
from obsnet.work.parallel import map_unordered
from obsnet.work.progress import counted
from obsnet.work.work import Work
from retrieval.products import AVERAGED

if TYPE_CHECKING:
    from retrieval.ingest.options import IngestOptions

__all__ = ["IngestPlan", "Sniffed", "make_plan", "rows_of_run", "sniff", "sniffed"]

ENOUGH_FILES = 50  # to hash, or a hundred times as many to look into, for several processes to pay


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
        By path: sha256 and path of a finished file with the same bytes (itself, if it is one), and of an equal file
        earlier in the list.
    newer : mapping
        By path: files that hold some of the same soundings and win.
    sizes : mapping
        Bytes by path, of files that are not done.
    crowded : set of str
        Files whose size others have too.
    """

    done: Mapping[str, tuple[tuple[str, str], ...]]
    newer: Mapping[str, tuple[str, ...]]
    sizes: Mapping[str, int]
    crowded: Collection[str] = frozenset()

    def bytes_to_read(self, paths: Iterable[str]) -> int:
        """Return the bytes of those files that are not done."""
        return sum(self.sizes.get(p, 0) for p in paths)


@dataclass(frozen=True)
class Glance:
    """A file to look into before the run."""

    path: str
    options: IngestOptions
    hashed: bool  # other files have its size: only the bytes tell whether it is one of them


def glance(task: Glance) -> tuple[Sniffed | None, str]:
    """Return a file's identity, and its sha256 where that was asked for."""
    try:
        digest = sha256(task.path) if task.hashed else ""
    except OSError:  # its task will report it
        return None, ""
    return sniff(task.path, task.options), digest


def sniff(path: str, options: IngestOptions) -> Sniffed | None:
    """Look at a file's identity; None where it cannot be read, which its task will report."""
    try:
        return sniffed(path, options)
    except ObsnetError:
        return None


def sniffed(path: str, options: IngestOptions) -> Sniffed:
    """Look at a file's identity, or raise what keeps it from being read."""
    from retrieval.products.read import open_fields, source_name

    with reading(path, "a granule"):
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
            names = [
                source_name(sensor, fields.version(), options.variant),
                correction and correction.name,
            ]
            source = "_".join(filter(None, names)) + options.suffix
            time, _, _ = fields.times()
            known = time[~np.isnat(time)]
            span = (str(known.min()), str(known.max())) if len(known) else ("", "")
        return Sniffed(source, sensor.name, sensor.species, sensor.scale, *span)


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
    work: Work | None = None,
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
    work : Work, optional
        How files are looked into; a file may crash what reads it.

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
    crowded = _crowded(sizes, finished)
    # What looks done is not even opened; its task still compares the hash.
    news = [p for p in paths if p not in finished or finished[p]["size"] != sizes.get(p)]
    seen, digests = _look(news, options, crowded, work)
    done, copies = _known(sizes, finished, digests)
    replaced = {(p, f.species) for p, f in seen.items()}
    kept = [r for r in index if r["status"] == "done" and (r["path"], r["species"]) not in replaced]
    if not mixed:
        _refuse_mixture(seen, kept, options)
    originals = {p: f for p, f in seen.items() if p not in copies}
    return IngestPlan(
        done, _newer(originals, kept, options, work), {p: s for p, s in sizes.items() if p in seen}, crowded
    )


def _crowded(sizes: Mapping[str, int], finished: Mapping[str, Mapping[str, Any]]) -> frozenset[str]:
    """Return the files whose size another file has too, of this run or finished before."""
    owners: dict[int, set[str]] = {}
    for path, size in (*sizes.items(), *((p, row["size"]) for p, row in finished.items())):
        owners.setdefault(size, set()).add(path)
    return frozenset(p for p, size in sizes.items() if len(owners[size]) > 1)


def _look(
    paths: Sequence[str], options: IngestOptions, crowded: Collection[str], work: Work | None
) -> tuple[dict[str, Sniffed], dict[str, str]]:
    """Return identities of files that can be read, and hashes of those whose size is not theirs alone."""
    tasks = [Glance(p, options, p in crowded) for p in paths]
    enough = sum(t.hashed for t in tasks) + len(tasks) / 100 > ENOUGH_FILES
    on_death = None if work is None and not enough else _unseen
    each = map_unordered(glance, tasks, work, enough=enough, on_death=on_death)
    found = {t.path: r for t, r in counted(each, "files looked into", len(tasks))}
    seen = {p: found[p][0] for p in paths}
    return {p: s for p, s in seen.items() if s is not None}, {p: found[p][1] for p in paths if found[p][1]}


def _unseen(_task: Glance, _why: str) -> tuple[None, str]:
    """Return what is known of a file that killed the process which looked at it: its task will tell why."""
    return None, ""


def _known(
    sizes: Mapping[str, int], finished: Mapping[str, Mapping[str, Any]], digests: dict[str, str]
) -> tuple[dict[str, tuple[tuple[str, str], ...]], set[str]]:
    """Return by path what a file of those bytes is known as, and the files that repeat another of this run."""
    standing = {p: row["sha256"] for p, row in finished.items() if p in sizes and p not in digests}
    first: dict[str, str] = {}
    for path, digest in sorted((digests | standing).items()):
        first.setdefault(digest, path)
    before: dict[str, str] = {}
    for path, row in finished.items():
        before.setdefault(row["sha256"], path)
    copies = {p for p, d in digests.items() if first[d] != p}
    done: dict[str, tuple[tuple[str, str], ...]] = {}
    for path, digest in (standing | digests).items():
        # its own earlier self, or the first of those with its bytes: one decides
        own = path in finished and finished[path]["sha256"] == digest
        done[path] = ((digest, path if own else before[digest]),) if digest in before else ()
    for path in copies:
        done[path] = tuple(dict.fromkeys((*done[path], (digests[path], first[digests[path]]))))
    return done, copies


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


def _newer(
    seen: Mapping[str, Sniffed],
    kept: Iterable[Mapping[str, Any]],
    options: IngestOptions,
    work: Work | None,
) -> dict[str, tuple[str, ...]]:
    """Return for each file those that hold some of its soundings and win: in the store already, or made later.

    Each file that shares time with others of its product is looked into once, however many they are.
    """
    shared, own = _shared_times(seen, kept, options)
    on_death = None if work is None else _unnamed
    enough = len(shared) > ENOUGH_FILES
    each = map_unordered(named, shared, work, enough=enough, on_death=on_death)
    names = {t.rank: r for t, r in counted(each, "files that share time with others", len(shared))}
    shared = [t for t in sorted(shared, key=lambda t: t.rank) if len(names[t.rank])]
    if not shared:
        return {}
    sizes = [len(names[t.rank]) for t in shared]
    owner = np.repeat(np.arange(len(shared)), sizes)
    _, sounding = np.unique(np.concatenate([names[t.rank] for t in shared]), return_inverse=True)
    winner = np.zeros(sounding.max() + 1, dtype=np.int64)
    winner[sounding] = owner  # in the order of ranks: the last one stays
    lost = owner != winner[sounding]
    result: dict[str, set[str]] = {}
    for loser, by in np.unique(np.stack([owner[lost], winner[sounding[lost]]]), axis=1).T.tolist():
        if shared[loser].path in own:
            result.setdefault(shared[loser].path, set()).add(shared[by].path)
    return {path: tuple(sorted(winners)) for path, winners in result.items()}


@dataclass(frozen=True)
class Named:
    """A file of whose soundings others of its product may hold some: those up to one time and from another on."""

    path: str
    options: IngestOptions
    rank: tuple[str, str, str, str]  # species, source, when it was made, path: of a kind, the last wins
    until: np.datetime64 | None
    since: np.datetime64 | None


def _shared_times(
    seen: Mapping[str, Sniffed], kept: Iterable[Mapping[str, Any]], options: IngestOptions
) -> tuple[list[Named], set[str]]:
    """Return files that share time with others of their product, one of the two of this run; and all of this run."""
    spans = [(f.species, f.source, f.start, f.end, _produced(p), p) for p, f in seen.items() if f.start]
    own = {span[-1] for span in spans}
    for row in kept:
        if row["time_start"] is not None and Path(row["path"]).exists():
            start, end = (row[k].isoformat(timespec="microseconds") for k in ("time_start", "time_end"))
            spans.append((row["species"], _source(row), start, end, "~", row["path"]))  # what is there wins
    spans.sort()
    tasks = []
    for _, same in itertools.groupby(spans, key=lambda s: s[:2]):
        group = list(same)
        # how far those that began earlier go, of all and of this run; and when the next one begins
        ends = [("", "")]
        for *_, end, _, path in group:
            every, ours = ends[-1]
            ends.append((max(every, end), max(ours, end) if path in own else ours))
        following = ("", "")
        for one, earlier in zip(reversed(group), ends[-2::-1], strict=True):
            *_, start, end, made, path = one
            mine = path in own
            reached, begins = (earlier[0], following[0]) if mine else (earlier[1], following[1])
            until = reached if reached >= start else ""
            since = begins if begins and begins <= end else ""
            if until or since:
                tasks.append(Named(path, options, (*one[:2], made, path), _time(until), _time(since)))
            following = (start, start if mine else following[1])
    return tasks, own


def named(task: Named) -> Any:
    """Return a number for each sounding that other files may hold too; none where the file cannot be read."""
    import pandas as pd

    from retrieval.products.read import read_identities

    options = task.options
    try:
        identity = read_identities(
            task.path,
            until=task.until,
            since=task.since,
            sensor=options.sensor,
            species=options.species,
            variant=options.variant,
            folders=options.sensors,
        )
    except ObsnetError:  # its task will report it
        return _unnamed(task, "")
    kind = "/".join(task.rank[:2])
    return pd.util.hash_array(np.array([f"{kind}:{i}" for i in identity.to_pylist()], dtype=object))


def _unnamed(_task: Named, _why: str) -> Any:
    return np.zeros(0, dtype=np.uint64)


def _time(text: str) -> np.datetime64 | None:
    return np.datetime64(text, "us") if text else None


def _source(row: Mapping[str, Any]) -> str:
    return "_".join(x for x in (row["sensor"], row["version"]) if x)


def _produced(path: str) -> str:
    """Return the production stamp of a file name: its last long run of digits."""
    stamps = re.findall(r"\d{12,14}", Path(path).stem.replace("T", ""))
    return stamps[-1] if stamps else ""
