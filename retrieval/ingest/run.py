"""Granules into an observation store: one file one task, bad ones recorded, every run resumable."""

from __future__ import annotations

import secrets
import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from obsnet.config import resolve_files
from obsnet.errors import ConfigError
from obsnet.store import ObservationStore
from obsnet.work.parallel import ENOUGH_BYTES, map_unordered, shard
from obsnet.work.progress import progress
from obsnet.work.work import Work
from retrieval.ingest.one import Kept, Task, died, ingest_one
from retrieval.ingest.options import IngestOptions
from retrieval.ingest.plan import make_plan, rows_of_run

__all__ = ["Summary", "granule_files", "ingest"]

_SUFFIXES = {".nc", ".nc4", ".h5", ".he5", ".hdf", ".hdf5", ".csv"}

_WRITE_EVERY = 20.0  # seconds between writes of the index


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
    work: Work | None = None,
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
    work : Work, optional
        How it is run; shards are of the files. Granules are read in processes that may die of them, unless the
        scheduler is ``serial``; without `work` that holds only where there is enough to read for several processes.
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
    options, apart, work = options or IngestOptions(), work is not None, work or Work()
    target = ObservationStore(store)
    everything = sorted({str(f) for f in files})
    options.load()  # faulty tables stop the run before it begins
    index = target.standing(target.index.read().to_pylist())
    before = rows_of_run(index, options)
    plan = make_plan(everything, index, options, mixed=mixed, work=work if apart else None)
    todo = shard(everything, work)
    tasks = [
        Task(
            path,
            str(store),
            options,
            plan.done.get(path, ()),
            plan.newer.get(path, ()),
            _earlier(before.get(path)),
            path in plan.crowded,
        )
        for path in todo
    ]
    if options.superobs is not None:
        from retrieval.superobs.average import write_settings

        write_settings(target.path, options.superobs)
    enough = plan.bytes_to_read(todo) >= ENOUGH_BYTES
    shown = "all" if work.part is None else f"{work.part[0] + 1}of{work.part[1]}"
    writer = f"{time.strftime('%Y%m%dT%H%M%S')}-{shown}-{secrets.token_hex(4)}"
    rows, counts, skipped = _run(tasks, target, writer, before, work, enough=enough, apart=apart)
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
    work: Work,
    *,
    enough: bool,
    apart: bool,
) -> tuple[list[dict[str, Any]], dict[str, Any], int]:
    """Run the tasks and keep the index; return rows, counts by path, and how many were done before."""
    rows: list[dict[str, Any]] = []
    news: list[dict[str, Any]] = []
    counts: dict[str, Any] = {}
    written = time.monotonic()
    with progress(len(tasks), "granules") as advance:
        on_death = died if apart or enough else None
        for _, row in map_unordered(ingest_one, tasks, work, enough=enough, on_death=on_death):
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
