"""Granules into an observation store: one file one task, bad ones recorded, every run resumable."""

from __future__ import annotations

import dataclasses
import hashlib
import json
import os
import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from obsnet.config import resolve_files
from obsnet.constants import species as species_of
from obsnet.errors import ConfigError, ObsnetError
from obsnet.parallel import Scheduler, map_unordered, shard
from obsnet.progress import progress
from obsnet.schema import Quality
from obsnet.store import ObservationStore, file_id, sha256, write_table
from retrieval.plan import make_plan

__all__ = ["IngestOptions", "Summary", "granule_files", "ingest"]

_SUFFIXES = {".nc", ".nc4", ".h5", ".he5", ".hdf", ".hdf5", ".csv"}

_SMALL = 64 * 2**20  # bytes below which starting workers costs more than it saves
_WRITE_EVERY = 20.0  # seconds between writes of the index


@dataclass(frozen=True)
class IngestOptions:
    """How granules are read; another choice means that a file must be read again.

    Parameters
    ----------
    sensor : str, optional
        Product; recognised by content without it.
    species : str, optional
        For files of several; the product's first by default.
    variant : str, optional
        E.g. ``"x2019"``: the same soundings on the other scale.
    screen : str, optional
        Name of a quality screen, or a TOML file.
    correction : str, optional
        TOML file of a bias correction (`retrieval.bias`).
    profiles : {"all", "good", "none"}
        Rows whose profiles are kept.
    extra : tuple of str
        Variables kept beside the store, see `retrieval.read.read_granule`.
    sensors : tuple of str
        Folders of the user's own sensor tables.
    """

    sensor: str | None = None
    species: str | None = None
    variant: str | None = None
    screen: str | None = None
    correction: str | None = None
    profiles: str = "all"
    extra: tuple[str, ...] = ()
    sensors: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        """Refuse what no file could be read with."""
        from retrieval.sensors import sensor_named

        if self.profiles not in ("all", "good", "none"):
            raise ConfigError(f"profiles {self.profiles!r}: choose all, good or none")
        if self.correction is not None and self.variant is not None:
            raise ConfigError(
                f"bias correction {self.correction} starts from the raw value: it cannot be combined with "
                f"variant {self.variant}"
            )
        if self.species is not None:
            species_of(self.species)
        if self.sensor is not None:
            sensor_named(self.sensor, self.sensors).for_species(self.species).for_variant(self.variant)

    def fingerprint(self, sensor: str | None) -> str:
        """Return a short hash of how a file of this product is read; another one means it must be read again."""
        from retrieval.sensors import load_sensors

        tables = [load_sensors(self.sensors).get(sensor or ""), *self.load()]
        parts = [dataclasses.asdict(self), *(t and t.model_dump(mode="json") for t in tables)]
        return hashlib.sha256(json.dumps(parts, sort_keys=True, default=str).encode()).hexdigest()[:16]

    def load(self) -> tuple[Any, Any]:
        """Return the screen and the bias correction the options name."""
        screen = correction = None
        if self.screen is not None:
            from retrieval.screening import find_screen

            screen = find_screen(self.screen)
        if self.correction is not None:
            from retrieval.bias import read_correction

            correction = read_correction(self.correction)
        return screen, correction


@dataclass(frozen=True)
class Summary:
    """What became of a run.

    Parameters
    ----------
    files : list of dict
        Rows of the granule index, sorted by path: those read now and those done before.
    skipped : int
        How many of them were done before.
    counts : dict
        By path, of the files read now: rows by filter of the screen and by bit of the producer's flag.
    """

    files: list[dict[str, Any]]
    skipped: int = 0
    counts: dict[str, dict[str, dict[str, int]]] = field(default_factory=dict)

    @property
    def bad(self) -> list[dict[str, Any]]:
        """Return the rows of files that could not be used."""
        return [row for row in self.files if row["status"] != "done"]

    @property
    def soundings(self) -> int:
        """Return how many soundings the files hold."""
        return sum(row["soundings"] for row in self.files)

    @property
    def good(self) -> int:
        """Return how many of them may be used."""
        return sum(row["good"] for row in self.files)

    def totals(self, kind: str) -> dict[str, int]:
        """Return rows by filter (``"screen"``, ``"screen_alone"``) or bit (``"producer"``) over all files read now."""
        result: dict[str, int] = {}
        for counts in self.counts.values():
            for name, number in counts.get(kind, {}).items():
                result[name] = result.get(name, 0) + number
        return dict(sorted(result.items(), key=lambda item: -item[1]))


class _Kept(NamedTuple):
    """Under which names the rows of a file lie in the store."""

    species: str
    sensor: str
    version: str | None
    file_id: str

    @property
    def source(self) -> str:
        return f"{self.sensor}_{self.version}" if self.version else self.sensor


@dataclass(frozen=True)
class _Task:
    """One file, what is known of it, and where its rows go."""

    path: str
    store: str
    options: IngestOptions
    done: tuple[tuple[str, str], ...] = ()  # (sha256, path) of finished files of the same size
    newer: tuple[str, ...] = ()  # files that may hold the same soundings and win
    before: _Kept | None = None  # what the store holds of this path


def _ingest_one(task: _Task) -> dict[str, Any]:
    """Read one granule and write it to the store; a failure becomes the row's status."""
    path = Path(task.path)
    row: dict[str, Any] = {
        "path": task.path,
        "size": 0,
        "sha256": "",
        "file_id": "",
        "soundings": 0,
        "good": 0,
        "options": None,
        "status": "done",
    }
    try:
        row["size"] = path.stat().st_size
        row["sha256"] = digest = sha256(path)
        row["file_id"] = file_id(digest)
        for known, where in task.done:
            if known == digest and (where == task.path or not Path(where).exists()):
                return row | {"status": "skipped", "_as": where}
            if known == digest:
                return row | {"status": f"bad: same bytes as {where}, which was read before"}
        row |= _read_and_write(path, task, digest)
    except (ObsnetError, OSError) as error:
        row["status"] = "bad: " + _reason(error, path)
    except Exception as error:
        # One granule never ends a run; what went wrong stands in the index.
        if os.environ.get("OBSNET_DEBUG"):
            raise
        row["status"] = f"bad: internal error, {type(error).__name__}: {_reason(error, path)}"
    if row["status"] != "done" and task.before is not None:
        # What was read of it earlier stays, and the index still knows where.
        row |= task.before._asdict() | {"notes": "the store keeps what the file held when it was last read"}
    return row


def _reason(error: Exception, path: Path) -> str:
    """Return an error text without the path, which the row names already."""
    text = " ".join(str(error).split())
    return text.removeprefix(f"{path}: ")


def _read_and_write(path: Path, task: _Task, digest: str) -> dict[str, Any]:
    from retrieval.read import read_granule

    options = task.options
    screen, correction = options.load()
    granule = read_granule(
        path,
        sensor=options.sensor,
        species=options.species,
        variant=options.variant,
        screen=screen,
        correction=correction,
        profiles=options.profiles,  # type: ignore[arg-type]
        extra=options.extra,
        folders=options.sensors,
        digest=digest,
    )
    table, notes = granule.table, list(granule.notes)
    if task.newer:
        table, repeated = _mark_duplicates(table, task)
        if repeated == len(table):
            names = ", ".join(Path(n).name for n in task.newer)
            return {"status": f"bad: all {repeated} soundings are also in {names}; the newer file is used"}
        if repeated:
            notes.append(
                f"{repeated} rows are also in {', '.join(Path(n).name for n in task.newer)}, flagged duplicate"
            )
    ObservationStore(task.store).write(table)
    if task.before is not None:
        _remove_older(Path(task.store), task.before, table, granule.source)
    if granule.extra and len(table):
        _write_extra(table, granule.extra, Path(task.store), granule.source)
    values = table["value"].filter(pc.equal(table["quality"], 0))
    entry = species_of(granule.sensor.species)
    return {
        "sensor": granule.sensor.name,
        "version": granule.source.removeprefix(granule.sensor.name).lstrip("_") or None,
        "species": entry.name,
        "unit": entry.unit,
        "options": options.fingerprint(granule.sensor.name),
        "soundings": len(table),
        "good": len(values),
        "mean_good": pc.mean(values).as_py(),
        "notes": "; ".join(notes) or None,
        "_counts": granule.counts,
        **_extent(table),
    }


def _mark_duplicates(table: pa.Table, task: _Task) -> tuple[pa.Table, int]:
    """Flag rows whose soundings a newer file holds as well, and give them an identity of their own."""
    from retrieval.read import read_identities

    options = task.options
    others = pa.concat_arrays(
        [
            read_identities(
                path,
                sensor=options.sensor,
                species=options.species,
                variant=options.variant,
                folders=options.sensors,
            )
            for path in task.newer
        ]
    )
    native = pc.replace_substring_regex(table["obs_id"], "^[^:]*:", "")
    again = pc.is_in(native, value_set=others)
    repeated = pc.sum(again).as_py() or 0
    if repeated:
        flags = table["quality"].to_numpy() | np.where(again.to_numpy(), Quality.DUPLICATE.value, 0).astype(
            np.uint32
        )
        suffixed = pc.binary_join_element_wise(table["obs_id"], table["file_id"], "#")
        columns = {"quality": pa.array(flags), "obs_id": pc.if_else(again, suffixed, table["obs_id"])}
        for name, column in columns.items():
            table = table.set_column(table.schema.get_field_index(name), name, column)
    return table, repeated


def _remove_older(store: Path, before: _Kept, table: pa.Table, source: str) -> None:
    """Delete what an earlier run made of a file that was read again and now goes by another name."""
    species, name = (table[c][0].as_py() if len(table) else None for c in ("species", "file_id"))
    if before.species != species or (before.source, before.file_id) == (source, name):
        return  # the other species of a file stays; the same names were overwritten
    for part in (f"species={species}/source={before.source}/*/*", f"_extra/source={before.source}"):
        for old in store.glob(f"{part}/{before.file_id}.parquet"):
            old.unlink()


def _write_extra(table: pa.Table, extra: dict[str, np.ndarray], store: Path, source: str) -> None:
    """Write the further variables of a granule beside the store, one file a granule, rows named by obs_id."""
    columns = {"obs_id": table["obs_id"]}
    for name, values in extra.items():
        columns[name] = pa.array(list(values) if values.ndim == 2 else values)
    folder = store / "_extra" / f"source={source}"
    write_table(pa.table(columns), folder / f"{table['file_id'][0].as_py()}.parquet")


def _extent(table: pa.Table) -> dict[str, Any]:
    """Return time range and bounding box of rows that have them; west > east crosses the dateline."""
    flags = table["quality"].to_numpy()
    when = table["time"].to_numpy()[(flags & Quality.TIME.value) == 0]
    placed = (flags & Quality.GEOLOCATION.value) == 0
    latitude, longitude = (table[c].to_numpy()[placed] for c in ("latitude", "longitude"))
    result: dict[str, Any] = {}
    if len(when):
        first, last = (t.astype("datetime64[us]").item() for t in (when.min(), when.max()))
        result |= {"time_start": first, "time_end": last}
    if len(latitude):
        west, east = _arc(longitude)
        result |= {"south": float(latitude.min()), "north": float(latitude.max()), "west": west, "east": east}
    return result


def _arc(longitude: np.ndarray) -> tuple[float, float]:
    """Return west and east of all longitudes; over the dateline where an ocean of others lies empty."""
    ordered = np.unique(longitude)
    gaps = np.diff(ordered)
    widest = int(np.argmax(gaps)) if len(gaps) else 0
    over = len(gaps) > 0 and gaps[widest] > 90.0 and gaps[widest] > ordered[0] + 360.0 - ordered[-1]
    return (
        (float(ordered[widest + 1]), float(ordered[widest]))
        if over
        else (float(ordered[0]), float(ordered[-1]))
    )


def granule_files(patterns: Iterable[str | Path], base: str | Path = ".") -> list[Path]:
    """Expand files, folders and globs into granules.

    Of a folder only files with a suffix of granules are taken, because download tools leave others beside
    them; a file or glob that is named is taken whatever its suffix.

    Parameters
    ----------
    patterns, base
        See `obsnet.config.resolve_files`.

    Raises
    ------
    ConfigError
        A pattern matches nothing.
    """
    found: set[Path] = set()
    for pattern in patterns:
        files = resolve_files([pattern], base)
        if (Path(base) / Path(pattern).expanduser()).is_dir():
            files = [f for f in files if f.suffix.lower() in _SUFFIXES]
            if not files:
                raise ConfigError(
                    f"{pattern}: no granules in this folder (suffixes {' '.join(sorted(_SUFFIXES))})"
                )
        found.update(files)
    return sorted(found)


def ingest(
    files: Iterable[str | Path],
    store: str | Path,
    options: IngestOptions | None = None,
    *,
    scheduler: Scheduler | None = None,
    workers: int | None = None,
    address: str | None = None,
    part: tuple[int, int] | None = None,
    mixed: bool = False,
) -> Summary:
    """Read granules into an observation store.

    Parameters
    ----------
    files : iterable of path
        Granules; see `granule_files`.
    store : path
        Folder of the observation store.
    options : IngestOptions, optional
        How to read.
    scheduler : {"serial", "processes", "dask"}, optional
        By default processes, or serial where there is little to read.
    workers : int, optional
        Processes; by default the processors at hand.
    address : str, optional
        A running Dask scheduler.
    part : (int, int), optional
        Shard of the files, from `obsnet.parallel.parse_shard`.
    mixed : bool
        Allow several versions of a product, or several calibration scales, in one store.

    Returns
    -------
    Summary
        A bad granule is a row of it, never an exception.

    Raises
    ------
    ConfigError
        Tables or options are faulty, or versions or scales would be mixed.
    """
    options = options or IngestOptions()
    if scheduler not in (None, "serial", "processes", "dask"):
        raise ConfigError(f"scheduler {scheduler!r} is not one of serial, processes, dask")
    target = ObservationStore(store)
    everything = sorted({str(f) for f in files})
    options.load()  # faulty tables stop the run before it begins
    before = {row["path"]: row for row in target.index.read().to_pylist()}
    plan = make_plan(everything, before, options, mixed=mixed)
    todo = shard(everything, part)
    tasks = [
        _Task(
            path,
            str(store),
            options,
            plan.done.get(path, ()),
            plan.newer.get(path, ()),
            _earlier(before.get(path)),
        )
        for path in todo
    ]
    if scheduler is None:
        scheduler = "serial" if address is None and plan.bytes_to_read(todo) < _SMALL else "processes"
    shown = "all" if part is None else f"{part[0] + 1}of{part[1]}"
    writer = f"{time.strftime('%Y%m%dT%H%M%S')}-{shown}-{os.getpid()}"
    rows, counts, skipped = _run(tasks, target, writer, before, scheduler, workers, address)
    return Summary(sorted(rows, key=lambda r: r["path"]), skipped, counts)


def _earlier(row: dict[str, Any] | None) -> _Kept | None:
    if row is None or row["species"] is None:
        return None
    return _Kept(row["species"], row["sensor"], row["version"], row["file_id"])


def _run(
    tasks: Sequence[_Task],
    target: ObservationStore,
    writer: str,
    before: dict[str, dict[str, Any]],
    scheduler: Scheduler,
    workers: int | None,
    address: str | None,
) -> tuple[list[dict[str, Any]], dict[str, Any], int]:
    """Run the tasks and keep the index; return rows, counts by path, and how many were done before."""
    rows: list[dict[str, Any]] = []
    news: list[dict[str, Any]] = []
    counts: dict[str, Any] = {}
    written = time.monotonic()
    with progress(len(tasks), "granules") as advance:
        for _, row in map_unordered(
            _ingest_one, tasks, scheduler=scheduler, workers=workers, address=address
        ):
            advance(1)
            if row["status"] == "skipped":
                moved = row["_as"] != row["path"]
                rows.append(before[row["_as"]] | {"path": row["path"]})
                if moved:
                    news.append(rows[-1])
                continue
            counts[row["path"]] = row.pop("_counts", None) or {}
            rows.append(row)
            news.append(row)
            if time.monotonic() - written > _WRITE_EVERY:
                target.index.write(news, writer)
                written = time.monotonic()
    if news:
        target.index.write(news, writer)
    return rows, counts, len(rows) - len(counts)
