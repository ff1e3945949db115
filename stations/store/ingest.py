"""Station files into an observation store, each in a worker, with its row of the granule index."""

from __future__ import annotations

import hashlib
import os
import time
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa

from obsnet.constants import SPECIES
from obsnet.content import file_id, sha256
from obsnet.errors import ConfigError, FormatError, ObsnetError, StorageError
from obsnet.store import ObservationStore
from obsnet.work.isolated import apart
from obsnet.work.parallel import ENOUGH_BYTES, map_unordered, shard
from obsnet.work.progress import progress
from obsnet.work.shards import FOLDER, taking_part
from obsnet.work.work import Work
from stations.readers import companions, expand, read_all, read_each
from stations.record.summary import summary
from stations.store.observations import observations
from stations.store.options import Delivery, ReadTable, StationsTable
from stations.store.overlaps import settle
from stations.store.process import MixedScalesError, OneScale, fingerprint, process_record
from stations.store.whole import SENSOR, forget_unnamed

if TYPE_CHECKING:
    import xarray as xr

__all__ = ["files_in_store", "ingest", "input_files", "look", "run_stations"]

_INDEX_EVERY = 5.0  # seconds: a killed run loses no more, and many files cost no more than one


@dataclass(frozen=True)
class _Task:
    """One file to read; `done` is the content and options it was last read with."""

    path: Path
    base: str
    options: Delivery
    fingerprint: str
    done: frozenset[tuple[str, str]] = frozenset()


@dataclass
class _Read:
    """What became of a file: its row of the index, its tables, the scales they are on."""

    row: dict[str, Any]
    tables: list[pa.Table] = field(default_factory=list)
    scales: list[tuple[str, str]] = field(default_factory=list)
    skipped: bool = False


def ingest(
    files: Iterable[str | Path],
    store: ObservationStore,
    *,
    base: str | os.PathLike[str] = ".",
    options: Delivery | None = None,
    work: Work | None = None,
    report: Callable[[str], None] = lambda _line: None,
    whole: bool = False,
) -> dict[str, Any]:
    """Read station files into a store; what is there already, read in the same way, is skipped.

    An hour that several files hold counts in one of them (`stations.store.overlaps`).

    Parameters
    ----------
    files : iterable of path
        Files and folders, see `stations.readers.READERS`.
    store : ObservationStore
        Written file by file, so that a run that was killed can be started again.
    base : path
        Paths in the index are relative to it.
    options : Delivery, optional
        How files are read and what is done to their records; a file done otherwise before is done again.
    work : Work, optional
        How it is run. Files are read in processes that may die of them, unless the scheduler is ``serial``; without
        `work` that holds only where there is enough to read for several processes.
    report : callable
        Takes one line a bad file, and one a file of which something was changed or is doubtful.
    whole : bool
        Whether these are all files that the store is to hold, so that others have no say.

    Returns
    -------
    dict
        ``files, skipped, failed, rows, good``, ``species`` (rows by species) and, where there are such, ``notes``
        (what was changed or is doubtful, with the number of files) and ``elsewhere`` (by file, how many of its rows
        count in another one).

    Raises
    ------
    MixedScalesError
        Records of one species on several scales, which the options do not allow.
    """
    options = options or Delivery.model_validate({})
    how = fingerprint(options)
    known: dict[str, set[tuple[str, str]]] = {}
    rows = store.standing(store.index.read().to_pylist())
    earlier = _earlier(rows)
    for row in rows:
        if row["status"] == "done":
            known.setdefault(row["path"], set()).add((row["sha256"], row["options"]))
    everything = expand(files)
    tasks = [
        _Task(p, str(base), options, how, frozenset(known.get(os.path.relpath(p, base), ())))
        for p in shard(everything, work or Work())
    ]
    part = f"stations-{time.time_ns():x}"
    index: list[dict[str, Any]] = []
    total: dict[str, Any] = {"files": 0, "skipped": 0, "failed": 0, "rows": 0, "good": 0, "species": {}}
    saved = time.monotonic()
    enough = sum(t.path.stat().st_size for t in tasks if t.path.is_file()) > ENOUGH_BYTES
    on_death = None if work is None and not enough else _died
    names = [os.path.relpath(p, base) for p in everything]
    with (
        taking_part(store.path, "stations", names, how, work or Work()) as mine,
        progress(len(tasks), "station files") as advance,
    ):
        guard = OneScale(options.mixed_scales, store.path / FOLDER / mine["plan"])
        for task, done in map_unordered(_read_file, tasks, work, enough=enough, on_death=on_death):
            advance(1)
            total["files"] += 1
            if done.skipped:
                total["skipped"] += 1
                continue
            for species, scale in done.scales:
                guard.check(species, scale, str(task.path))
            parts = [part for table in done.tables for part in store.write(table)]
            if done.tables and (old := earlier.get(done.row["path"])):
                # what the store holds of the file from before and is not made again goes
                store.forget(old, species={species for species, _ in done.scales}, keep=parts)
            index.append(done.row | {"parts": len(parts)})
            if done.row["status"] != "done":
                total["failed"] += 1
                report(done.row["status"])
            elif done.row["notes"]:
                report(f"{done.row['path']}: {done.row['notes']}")
            total["rows"] += done.row["soundings"]
            total["good"] += done.row["good"]
            for (species, _), table in zip(done.scales, done.tables, strict=True):
                total["species"][species] = total["species"].get(species, 0) + len(table)
            if time.monotonic() - saved > _INDEX_EVERY:
                store.index.write(index, part)
                saved = time.monotonic()
        if index:
            store.index.write(index, part)
        mine["failed"] = total["failed"]
    named = set(names)
    standing = [r for r in store.index.read().to_pylist() if not whole or r["path"] in named]
    fresh = {r["path"]: r["good"] for r in index}
    changed, elsewhere = settle(store, standing, fresh)
    if changed:
        store.index.write(changed, f"{part}-settled")
    if elsewhere:
        total["elsewhere"] = elsewhere
    for path, text in elsewhere.items():
        report(f"{path}: {text}")
    total["good"] += sum(r["good"] - fresh[r["path"]] for r in changed if r["path"] in fresh)
    if notes := store.index.notes({r["file_id"] for r in standing if r["path"] in named}):
        total["notes"] = notes
    return total


def _earlier(index: Iterable[Mapping[str, Any]]) -> dict[str, set[str]]:
    """Return under which names a store holds each path's rows, names that are of several paths left out."""
    paths: dict[str, set[str]] = {}
    for row in index:
        paths.setdefault(row["file_id"], set()).add(row["path"])
    found: dict[str, set[str]] = {}
    for name, of in paths.items():
        if len(of) == 1:
            found.setdefault(next(iter(of)), set()).add(name)
    return found


def _read_file(task: _Task) -> _Read:
    """Read one file and make its tables; what is wrong with it is told in its row."""
    path, options = task.path, task.options
    digest, how = _digest(path), _how(task)
    row = _row(task, digest, how)
    if (digest, how) in task.done:
        return _Read(row, skipped=True)
    try:
        if options.species and "*" not in options.species:
            found = [r for name in options.species for r in read_each(path, name, **options.said)]
        else:
            found = read_all(path, **options.said)
        records = [r for r in found if r.attrs["species"] in SPECIES]
        if not records:
            names = ", ".join(r.attrs["species"] for r in found)
            raise ConfigError(
                f"{path}: {names}: no species of the observation contract ({', '.join(SPECIES)})"
            )
        records = [process_record(r, options) for r in records]
        tables = [observations(r, digest=digest) for r in records]
    except StorageError:
        raise  # the disk's fault, not the file's
    except ObsnetError as error:
        return _Read(row | {"status": f"bad: {error}"})
    notes = list(dict.fromkeys(n for r in records for n in (*r.attrs["changes"], *r.attrs["warnings"])))
    others = [r.attrs["species"] for r in found if r.attrs["species"] not in SPECIES]
    if others:
        text = "species are not in the observation contract and were left out"
        notes.append(f"{len(others)} {text}: {', '.join(others)}")
    gases = list(dict.fromkeys(str(r.attrs["species"]) for r in records))
    row |= {
        "version": records[0].attrs["source"],
        "species": ",".join(gases),
        "unit": ",".join(SPECIES[gas].unit for gas in gases),
        "soundings": sum(map(len, tables)),
        "good": sum(int((r["quality"].values == 0).sum()) for r in records),
        "mean_good": summary(records[0])["mean_good"] if len(records) == 1 else None,
        "status": "done",
        "notes": "; ".join(notes) or None,
        **_extent(records),
    }
    scales = [(str(r.attrs["species"]), str(r.attrs.get("scale", ""))) for r in records]
    return _Read(row, tables, scales)


def _died(task: _Task, reason: str) -> _Read:
    """Return the row of a file that killed the process which read it."""
    row = _row(task, _digest(task.path), _how(task))
    return _Read(row | {"status": f"bad: {task.path}: {reason}"})


def _row(task: _Task, digest: str, how: str) -> dict[str, Any]:
    """Return what is known of a file that has not been read."""
    path = task.path
    return {
        "path": os.path.relpath(path, task.base),
        "size": path.stat().st_size if path.exists() else 0,
        "sha256": digest,
        "file_id": file_id(digest),
        "sensor": SENSOR,
        "soundings": 0,
        "good": 0,
        "options": how,
    }


def _how(task: _Task) -> str:
    """Return a short hash of all that decides a file's rows beside its own bytes."""
    return hashlib.sha256((task.fingerprint + _digest(*companions(task.path))).encode()).hexdigest()[:16]


def _digest(*paths: Path) -> str:
    """Return the sha256 of a file, or of the names and contents of several and of those of folders."""
    if len(paths) == 1 and paths[0].is_file():
        return sha256(paths[0])
    inside = (f for p in paths for f in (sorted(p.iterdir()) if p.is_dir() else [p]))
    text = "".join(f"{f.name} {sha256(f)}\n" for f in inside if f.is_file())
    return hashlib.sha256(text.encode()).hexdigest()


def _extent(records: Sequence[xr.Dataset]) -> dict[str, Any]:
    """Return time range and bounding box of the rows that have them."""
    found: dict[str, Any] = {}
    for variable, low, high in (
        ("time_start", "time_start", None),
        ("time_end", None, "time_end"),
        ("latitude", "south", "north"),
        ("longitude", "west", "east"),
    ):
        values = np.concatenate([r[variable].values for r in records])
        is_time = values.dtype.kind == "M"
        values = values[~(np.isnat(values) if is_time else np.isnan(values))]
        for name, extreme in ((low, np.min), (high, np.max)):
            if name and values.size:
                value = extreme(values)
                found[name] = value.astype("datetime64[us]").item() if is_time else float(value)
    return found


def input_files(options: StationsTable, folder: Path) -> list[Path]:
    """Return every file that the stage reads: records, what is read with them, and the tables."""
    placed = options.placed(folder)
    found: set[Path] = set(placed.tables)
    for path in expand(options.files, folder):
        found |= {p for p in path.iterdir() if p.is_file()} if path.is_dir() else {path}
        found |= set(companions(path))
    return sorted(p for p in found if p.is_file())


def run_stations(
    options: StationsTable | ReadTable,
    folder: Path,
    out: Path,
    work: Work | None = None,
    *,
    without: Collection[str] = (),
    report: Callable[[str], None] = lambda _line: None,
) -> dict[str, Any]:
    """Read the files of a case, or of the command line, into their store; see `ingest`.

    Parameters
    ----------
    folder, out : Path
        What the files and the store are relative to.
    without : collection of str
        Files that are known to be bad.
    """
    store = ObservationStore(out / (options.store or "store"))
    counts = ingest(
        [p for p in expand(options.files, folder) if str(p) not in without],
        store,
        base=folder,
        options=options.placed(folder),
        work=work,
        report=report,
        whole=isinstance(options, StationsTable),
    )
    return {"path": str(store.path), **counts}


def look(options: StationsTable, folder: Path, most: int) -> Iterator[str | ObsnetError]:
    """Read some files of a case as a run would and say what they hold; nothing is written.

    Parameters
    ----------
    most : int
        Files to read, taken evenly.

    Yields
    ------
    str or ObsnetError
        A line a file, or what is wrong with it.
    """
    from obsnet.case_check import few

    placed = options.placed(folder)
    everything = expand(options.files, folder)
    chosen = few(everything, most)
    if len(chosen) < len(everything):
        yield f"{len(chosen)} of {len(everything)} files opened"
    guard = OneScale(options.mixed_scales)
    how = fingerprint(placed)
    for path in chosen:
        done = apart(_read_file, _Task(path, str(folder), placed, how))
        if done.row["status"] != "done":
            yield FormatError(done.row["status"].removeprefix("bad: "))
            continue
        row = done.row
        scales = ", ".join(dict.fromkeys(f"{species} {scale}" for species, scale in done.scales))
        yield f"{row['path']}: {row['version']}, {row['soundings']} rows, {row['good']} good; {scales}"
        lacking = sum(
            int(np.isnan(t["uncertainty"].to_numpy(zero_copy_only=False).astype(float)).sum())
            for t in done.tables
        )
        if lacking:
            yield f"{row['path']}: {lacking} rows without uncertainty, which an inversion leaves out; give a budget"
        for species, scale in done.scales:
            try:
                guard.check(species, scale, str(path))
            except MixedScalesError as error:
                yield error


def files_in_store(
    options: StationsTable, folder: Path, store: ObservationStore, report: Callable[[str], None]
) -> list[Path]:
    """Return what a store holds of the files of a case; other station files go from its whole-year parts."""
    names = {os.path.relpath(p, folder) for p in expand(options.files, folder)}
    named = {row["file_id"] for row in store.index.read().to_pylist() if row["path"] in names}
    if gone := forget_unnamed(store, named):
        report(
            f"{store.path}: rows of {gone} files that the case does not name were taken out of whole-year parts"
        )
    return store.parts_of(named)
