"""Granules into an observation store: one file one task, bad ones recorded, every run resumable."""

from __future__ import annotations

import os
import secrets
import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from obsnet.store import ObservationStore
from obsnet.work.parallel import ENOUGH_BYTES, map_unordered, shard
from obsnet.work.progress import progress
from obsnet.work.shards import taking_part
from obsnet.work.work import Work
from retrieval.ingest.one import COPY, GranuleTask, Kept, died, ingest_one, spelt_alike
from retrieval.ingest.options import IngestOptions, IngestTable
from retrieval.ingest.plan import make_plan, rows_of_run
from retrieval.readers.files import granule_files

__all__ = ["IngestSummary", "granule_files", "ingest", "run_ingest"]

_WRITE_EVERY = 20.0  # seconds between writes of the index


def _is_copy(row: Mapping[str, Any]) -> bool:
    return str(row["status"]).startswith(f"{COPY}: ")


@dataclass(frozen=True)
class IngestSummary:
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
        return [row for row in self.files if row["status"] != "done" and not _is_copy(row)]

    @property
    def copies(self) -> list[dict[str, Any]]:
        """Return the rows of files whose soundings are all in another file, which was read."""
        return [row for row in self.files if _is_copy(row)]

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

    def to_dict(self) -> dict[str, Any]:
        """Return plain values: the rows with their counts, and totals."""
        return {
            "files": [{**row, "counts": self.counts.get(row["path"], {})} for row in self.files],
            "soundings": self.soundings,
            "good": self.good,
            "skipped": self.skipped,
            "bad": len(self.bad),
            "copies": len(self.copies),
        }


def run_ingest(table: IngestTable, folder: Path, out: Path, work: Work | None = None) -> IngestSummary:
    """Do what the table ``[ingest]`` of a case says, or the command.

    Parameters
    ----------
    table : IngestTable
        What is read and how.
    folder, out : Path
        What names of inputs and of the store are relative to.
    work : Work, optional
        How it is run.
    """
    files = granule_files(table.files, folder)
    return ingest(files, out / table.store, table.beside(folder), work=work, mixed=table.mixed)


def ingest(
    files: Iterable[str | Path],
    store: str | Path,
    options: IngestOptions | None = None,
    *,
    work: Work | None = None,
    mixed: bool = False,
) -> IngestSummary:
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
    IngestSummary
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
        GranuleTask(
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
    if options.averaging is not None:
        from retrieval.superobs.average import write_settings

        write_settings(target.path, options.averaging)
    enough = plan.bytes_to_read(todo) >= ENOUGH_BYTES
    shown = "all" if work.part is None else f"{work.part[0] + 1}of{work.part[1]}"
    writer = f"{time.strftime('%Y%m%dT%H%M%S')}-{shown}-{secrets.token_hex(4)}"
    names = [
        os.path.relpath(path, store) for path in everything
    ]  # the same where a case was copied elsewhere
    with taking_part(target.path, "ingest", names, options.fingerprint(options.sensor), work) as part:
        rows, counts, skipped = _run(tasks, target, writer, before, work, enough=enough, apart=apart)
        summary = IngestSummary(sorted(rows, key=lambda r: r["path"]), skipped, counts)
        part["failed"] = len(summary.bad)
    return summary


def _earlier(row: Mapping[str, Any] | None) -> Kept | None:
    if row is None or row["species"] is None:
        return None
    return Kept(row["species"], row["sensor"], row["version"], row["file_id"])


def _run(
    tasks: Sequence[GranuleTask],
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
                moved = not spelt_alike(row["_as"], row["path"])
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
