"""Granules into an observation store: one file one task, bad ones recorded, every run resumable."""

from __future__ import annotations

import dataclasses
import hashlib
import json
import secrets
import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from obsnet.config import resolve_files
from obsnet.constants import species as species_of
from obsnet.errors import ConfigError
from obsnet.parallel import Scheduler, map_unordered, shard
from obsnet.progress import progress
from obsnet.store import ObservationStore
from retrieval.ingest_one import Kept, Task, ingest_one
from retrieval.plan import make_plan, rows_of_run
from retrieval.read import AVERAGED

if TYPE_CHECKING:
    from retrieval.superobs import Superobs

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
    superobs : Superobs, optional
        Average each granule's good soundings at once and keep only the super-observations; a window that two
        files share gives two of them.
    """

    sensor: str | None = None
    species: str | None = None
    variant: str | None = None
    screen: str | None = None
    correction: str | None = None
    profiles: str = "all"
    extra: tuple[str, ...] = ()
    sensors: tuple[str, ...] = ()
    superobs: Superobs | None = None

    def __post_init__(self) -> None:
        """Refuse what no file could be read with."""
        from retrieval.sensors import sensor_named

        if self.superobs is not None and self.extra:
            raise ConfigError("extra variables are of soundings, of which super-observations keep none")

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

    @property
    def suffix(self) -> str:
        """What the source of the rows ends in."""
        return AVERAGED if self.superobs is not None else ""

    def fingerprint(self, sensor: str | None) -> str:
        """Return a short hash of how a file of this product is read; another one means it must be read again."""
        from retrieval.sensors import load_sensors

        tables = [load_sensors(self.sensors).get(sensor or ""), *self.load()]
        own = {f.name: getattr(self, f.name) for f in dataclasses.fields(self) if f.name != "superobs"}
        parts = [own, *(t and t.model_dump(mode="json") for t in tables)]
        if self.superobs is not None:
            parts.append(self.superobs.describe())
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
    index = target.index.read().to_pylist()
    before = rows_of_run(index, options)
    plan = make_plan(everything, index, options, mixed=mixed)
    todo = shard(everything, part)
    tasks = [
        Task(
            path,
            str(store),
            options,
            plan.done.get(path, ()),
            plan.newer.get(path, ()),
            _earlier(before.get(path)),
        )
        for path in todo
    ]
    if options.superobs is not None:
        from retrieval.superobs import write_settings

        write_settings(target.path, options.superobs)
    if scheduler is None:
        scheduler = "serial" if address is None and plan.bytes_to_read(todo) < _SMALL else "processes"
    shown = "all" if part is None else f"{part[0] + 1}of{part[1]}"
    writer = f"{time.strftime('%Y%m%dT%H%M%S')}-{shown}-{secrets.token_hex(4)}"
    rows, counts, skipped = _run(tasks, target, writer, before, scheduler, workers, address)
    return Summary(sorted(rows, key=lambda r: r["path"]), skipped, counts)


def _earlier(row: Mapping[str, Any] | None) -> Kept | None:
    if row is None or row["species"] is None:
        return None
    return Kept(row["species"], row["sensor"], row["version"], row["file_id"])


def _run(
    tasks: Sequence[Task],
    target: ObservationStore,
    writer: str,
    before: Mapping[str, Mapping[str, Any]],
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
        for _, row in map_unordered(ingest_one, tasks, scheduler=scheduler, workers=workers, address=address):
            advance(1)
            if row["status"] == "skipped":
                moved = row["_as"] != row["path"]
                rows.append({**before[row["_as"]], "path": row["path"]})
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
