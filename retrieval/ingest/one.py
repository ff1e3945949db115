"""One granule into an observation store: read, told apart from other files, written; a failure is a row too."""

from __future__ import annotations

import contextlib
import os
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from obsnet.constants import species as species_of
from obsnet.content import file_id, sha256
from obsnet.errors import ObsnetError, StorageError
from obsnet.parquet import write_table
from obsnet.schema import Quality
from obsnet.store import ObservationStore

if TYPE_CHECKING:
    from retrieval.ingest.options import IngestOptions
    from retrieval.superobs.options import Superobs

__all__ = ["COPY", "GranuleTask", "Kept", "died", "ingest_one", "spelt_alike"]

COPY = "copy"  # how the status of a file begins that holds nothing of its own: no fault, and nothing is lost


class Kept(NamedTuple):
    """Under which names the rows of a file lie in the store."""

    species: str
    sensor: str
    version: str | None
    file_id: str

    @property
    def source(self) -> str:
        """The folder of the rows."""
        return f"{self.sensor}_{self.version}" if self.version else self.sensor


@dataclass(frozen=True)
class GranuleTask:
    """One file, what is known of it, and where its rows go."""

    path: str
    store: str
    options: IngestOptions
    done: tuple[tuple[str, str], ...] = ()  # (sha256, path) of finished files of the same size
    newer: tuple[str, ...] = ()  # files that may hold the same soundings and win
    before: Kept | None = None  # what the store holds of this path
    crowded: bool = False  # other files have its size


def ingest_one(task: GranuleTask) -> dict[str, Any]:
    """Read one granule and write it to the store; a failure becomes the row's status."""
    path = Path(task.path)
    row = _empty(task)
    try:
        row["size"] = path.stat().st_size
        row["sha256"] = digest = sha256(path)
        row["file_id"] = file_id(digest)
        for known, where in _known(task, digest):
            same = spelt_alike(where, task.path) or not Path(where).exists() or _copied_along(task, where)
            if known == digest and same:
                return row | {"status": "skipped", "_as": where}
            if known == digest:
                return row | {"status": f"{COPY}: same bytes as {where}, which was read before"}
        row |= _read_and_write(path, task, digest)
    except StorageError:
        raise  # the disk's fault, not the file's
    except (ObsnetError, OSError) as error:
        row["status"] = "bad: " + _reason(error, path)
    except Exception as error:
        # One granule never ends a run; what went wrong stands in the index.
        if os.environ.get("OBSNET_DEBUG"):
            raise
        row["status"] = f"bad: internal error, {type(error).__name__}: {_reason(error, path)}"
    return row if row["status"] == "done" else _kept(row, task)


def died(task: GranuleTask, reason: str) -> dict[str, Any]:
    """Return the row of a granule that killed the process which read it."""
    row = _empty(task) | {"status": f"bad: {reason}"}
    with contextlib.suppress(OSError):
        row["size"] = Path(task.path).stat().st_size
        row["sha256"] = digest = sha256(task.path)
        row["file_id"] = file_id(digest)
    return _kept(row, task)


def _empty(task: GranuleTask) -> dict[str, Any]:
    return {
        "path": task.path,
        "size": 0,
        "sha256": "",
        "file_id": "",
        "soundings": 0,
        "good": 0,
        "options": None,
        "status": "done",
    }


def _kept(row: dict[str, Any], task: GranuleTask) -> dict[str, Any]:
    """Return the row of a file that cannot be used: what was read of it earlier stays, and the index knows where."""
    if task.before is None:
        return row
    return row | task.before._asdict() | {"notes": "the store keeps what the file held when it was last read"}


def _known(task: GranuleTask, digest: str) -> tuple[tuple[str, str], ...]:
    """Return under which names these bytes are known; of a file that changed and kept its size, the index tells."""
    changed = any(where == task.path for _, where in task.done) and all(k != digest for k, _ in task.done)
    if not (task.crowded and changed):
        return task.done
    rows = ObservationStore(task.store).index.read().to_pylist()
    return tuple((digest, r["path"]) for r in rows if r["sha256"] == digest and r["status"] == "done")


def spelt_alike(one: str, other: str) -> bool:
    """Tell whether two paths, relative or not, are of the same place."""
    return os.path.abspath(one) == os.path.abspath(other)


def _copied_along(task: GranuleTask, where: str) -> bool:
    """Tell whether file and store are copies of another file and its store, as in a case that was copied elsewhere."""
    mine, theirs, store = (os.path.abspath(p) for p in (task.path, where, task.store))
    root = os.path.commonpath([mine, store])
    inside = os.path.relpath(mine, root)
    if not theirs.endswith(f"{os.sep}{inside}"):
        return False
    other = os.path.join(theirs.removesuffix(inside), os.path.relpath(store, root))
    return os.path.isdir(other) and not os.path.samefile(other, store)


def _reason(error: Exception, path: Path) -> str:
    """Return an error text without the path, which the row names already."""
    text = " ".join(str(error).split())
    return text.removeprefix(f"{path}: ")


def _read_and_write(path: Path, task: GranuleTask, digest: str) -> dict[str, Any]:
    from retrieval.products.read import read_granule

    options = task.options
    screen, correction = options.load()
    granule = read_granule(
        path,
        sensor=options.sensor,
        species=options.species,
        variant=options.variant,
        screen=screen,
        correction=correction,
        profiles="good" if options.superobs else options.profiles,
        extra=options.extra,
        folders=options.sensors,
        digest=digest,
    )
    table, notes = granule.table, list(granule.notes)
    if task.newer:
        table, repeated = _mark_duplicates(table, task)
        if repeated == len(table):
            names = ", ".join(Path(n).name for n in task.newer)
            return {"status": f"{COPY}: all {repeated} soundings are also in {names}; the newer file is used"}
        if repeated:
            notes.append(
                f"{repeated} rows are also in {', '.join(Path(n).name for n in task.newer)}, flagged duplicate"
            )
    entry = species_of(granule.sensor.species)
    store, source = Path(task.store), granule.source + options.suffix
    averaging = options.averaging
    if averaging is None:
        parts = ObservationStore(store).write(table)
    else:
        parts, said = _average(table, averaging, store, file_id(digest))
        notes += said
    if task.before is not None and task.before.species == entry.name:
        _remove_older(store, task.before, source, file_id(digest))
    if granule.extra and len(table):
        _write_extra(table, granule.extra, store, source)
    values = table["value"].filter(pc.equal(table["quality"], 0))
    return {
        "sensor": granule.sensor.name,
        "version": source.removeprefix(granule.sensor.name).lstrip("_") or None,
        "species": entry.name,
        "unit": entry.unit,
        "options": options.fingerprint(granule.sensor.name),
        "parts": len(parts),
        "soundings": len(table),
        "good": len(values),
        "mean_good": pc.mean(values).as_py(),
        "notes": "; ".join(notes) or None,
        "_counts": granule.counts,
        **_extent(table),
    }


def _mark_duplicates(table: pa.Table, task: GranuleTask) -> tuple[pa.Table, int]:
    """Flag rows whose soundings a newer file holds as well, and give them an identity of their own."""
    from retrieval.products.read import read_identities

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


def _average(table: pa.Table, settings: Superobs, store: Path, name: str) -> tuple[list[Path], list[str]]:
    """Write a granule's super-observations in place of its soundings; return where, and what there is to say."""
    from retrieval.superobs.average import super_observe, write_report

    made = super_observe(table, settings, file_id=name)
    # a window that another file shares makes one of its own there
    identity = pc.binary_join_element_wise(made.table["obs_id"], pa.scalar(name), "#")
    rows = made.table.set_column(made.table.schema.get_field_index("obs_id"), "obs_id", identity)
    parts = ObservationStore(store).write(rows)
    write_report(made.report.set_column(0, "obs_id", identity), store, name)
    left_out = [f"{number} {reason}" for reason, number in made.problems.items() if number]
    errors = settings.error_model
    return parts, [
        f"{len(rows)} super-observations, {errors.equation} ({errors.source})".replace("; ", ", "),
        *(f"left out: {text}" for text in left_out),
    ]


def _remove_older(store: Path, before: Kept, source: str, name: str) -> None:
    """Delete what an earlier run made of a file that was read again and now goes by another name."""
    if (before.source, before.file_id) == (source, name):
        return  # overwritten
    species = f"species={before.species}/source={before.source}/*/*"
    for part in (species, f"_extra/source={before.source}"):
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
    west, east = float(longitude.min()), float(longitude.max())
    filled = np.flatnonzero(np.bincount(np.floor(longitude).astype(np.int64) + 180, minlength=1))
    gaps = np.diff(filled)  # whole degrees are enough to find the widest
    widest = int(np.argmax(gaps)) if len(gaps) else 0
    middle = filled[widest] - 179.0
    if not len(gaps) or gaps[widest] < 2:
        return west, east
    west_of, east_of = longitude[longitude < middle], longitude[longitude >= middle]
    gap = float(east_of.min() - west_of.max())
    over = gap > 90.0 and gap > west + 360.0 - east
    return (float(east_of.min()), float(west_of.max())) if over else (west, east)
