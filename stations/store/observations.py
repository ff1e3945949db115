"""Records to the observation contract: tables, and files into a store with its granule index."""

from __future__ import annotations

import hashlib
import json
import os
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import xarray as xr

from obsnet.constants import SPECIES
from obsnet.errors import ConfigError, ObsnetError, StorageError
from obsnet.schema import PROFILES, observation_table
from obsnet.store import ObservationStore, file_id, forget_parts, sha256
from stations.readers import companions, read, read_all, read_apart
from stations.readers.gcwerks import is_companion
from stations.record.sites import TABLE as SITES
from stations.record.summary import summary
from stations.store import VERSION
from stations.store.process import MixedScalesError, Process

__all__ = ["ingest", "observations"]

TABLES = (SITES,)  # of the package, that every file is read with
_INDEX_EVERY = 5.0  # seconds: a killed run loses no more, and many files cost no more than one


def observations(record: xr.Dataset, *, digest: str) -> pa.Table:
    """Turn a record into a checked observation table.

    Parameters
    ----------
    record : xarray.Dataset
        See `stations.record.record`.
    digest : str
        sha256 of the file it came from.

    Returns
    -------
    pyarrow.Table
        `obsnet.schema.OBSERVATIONS`; every row of the record, flagged ones too. ``obs_id`` is
        ``<source>:<site>:<time>``, then the flask, or the intake height of continuous data, then ``#2`` …
        where a row repeats another. An uncertainty that the file does not give is null.

    Raises
    ------
    ConfigError
        The species is not one that `obsnet.constants` keeps ranges for.
    """
    attrs = record.attrs
    data = {str(n): record[n].values for n in record.variables}
    rows = record.sizes["time"]
    columns: dict[str, Any] = {
        "obs_id": _identities(record),
        "platform": _repeated(attrs["site"], rows),
        "scale": _texts(data["scale_row"]) if "scale_row" in data else _repeated(attrs["scale"], rows),
        "quality": data["quality"],
        "quality_original": _texts(data["quality_original"]),
        "n": pa.array(data["n"], mask=data["n"] < 0),
    }
    columns |= {n: data[n].astype("datetime64[us]") for n in ("time", "time_start", "time_end")}
    columns |= {n: data[n] for n in ("value", "latitude", "longitude")}
    for name in ("uncertainty", "uncertainty_systematic", "altitude_m", "intake_height_m", "prior_column"):
        if name in data:
            columns[name] = pa.array(data[name], from_pandas=True)
    if attrs["kind"] == "column":
        columns |= {n: data[n] for n in PROFILES if n in data}
        columns["vertical"] = _repeated(attrs["vertical"], rows)
    return observation_table(
        columns,
        species=attrs["species"],
        kind=attrs["kind"],
        source=attrs["source"],
        file_id=file_id(digest),
    )


def _repeated(text: str, rows: int) -> pa.Array:
    return pa.repeat(pa.scalar(text), rows)


def _texts(values: np.ndarray) -> pa.Array:
    return pa.array(values.astype(object), pa.string())


def _identities(record: xr.Dataset) -> pa.Array:
    """Return one identity a row, unique within source and site."""
    times = np.datetime_as_string(record["time"].values.astype("datetime64[ms]"))
    text = pd.Series(times, dtype=object).str.removesuffix(".000") + "Z"
    sample = pd.Series(record["sample_id"].values, dtype=object)
    if record.attrs["kind"] == "point":
        heights, inverse = np.unique(record["intake_height_m"].values, return_inverse=True)
        names = np.array([f"{h:g}m" if np.isfinite(h) else "" for h in heights] or [""], dtype=object)
        sample = sample.where(sample != "", pd.Series(names[inverse], dtype=object))
    text = f"{record.attrs['source']}:{record.attrs['site']}:" + text + (":" + sample).where(sample != "", "")
    again = text.groupby(text, sort=False).cumcount()
    return _texts(text.where(again == 0, text + "#" + (again + 1).astype(str)).to_numpy())


def ingest(
    files: Iterable[Path],
    store: ObservationStore,
    *,
    base: str | os.PathLike[str] = ".",
    species: Sequence[str] = ("*",),
    options: Mapping[str, Any] | None = None,
    process: Process | None = None,
    report: Callable[[str], None] = lambda _line: None,
    apart: bool = False,
) -> dict[str, Any]:
    """Read station files into a store; what is there already with the same content is skipped.

    Parameters
    ----------
    files : iterable of Path
        See `stations.readers.READERS`.
    store : ObservationStore
        Written file by file, so that a run that was killed can be started again.
    base : path
        Paths in the index are relative to it.
    species : sequence of str
        Which of a file's species; by default all that the observation contract knows.
    options : mapping
        For `stations.readers.read`: ``format, site, scale, stamp, config`` …
    process : Process, optional
        Scale, rules and budget on the way; files done otherwise before are done again.
    report : callable
        Takes one line a bad file, and one a file of which something was changed or is doubtful.
    apart : bool
        Read files in a process that may die of them.

    Returns
    -------
    dict
        ``files, skipped, failed, rows, good`` and ``species`` (rows by species).
    """
    known = store.standing(store.index.read().to_pylist())
    done = {r["path"]: (r["sha256"], r["options"]) for r in known if r["status"] == "done"}
    earlier = _earlier(known)
    part = f"stations-{time.time_ns():x}"
    index: list[dict[str, Any]] = []
    total: dict[str, Any] = {"files": 0, "skipped": 0, "failed": 0, "rows": 0, "good": 0, "species": {}}
    saved = time.monotonic()
    for path in _single_files(files):
        total["files"] += 1
        entry: dict[str, Any] = {
            "path": os.path.relpath(path, base),
            "size": path.stat().st_size,
            "sha256": sha256(path),
        }
        entry["options"] = _how(path, species, options or {}, process)
        if done.get(entry["path"]) == (entry["sha256"], entry["options"]):
            total["skipped"] += 1
            continue
        row, tables = _ingest_one(path, entry, store, species, options or {}, process, earlier, apart=apart)
        index.append(row)
        if row["status"] != "done":
            total["failed"] += 1
            report(row["status"])
        elif row["notes"]:
            report(f"{row['path']}: {row['notes']}")
        total["rows"] += row["soundings"]
        total["good"] += row["good"]
        for name, rows in tables.items():
            total["species"][name] = total["species"].get(name, 0) + rows
        if time.monotonic() - saved > _INDEX_EVERY:
            store.index.write(index, part)
            saved = time.monotonic()
    if index:
        store.index.write(index, part)
    return total


def _how(path: Path, species: Sequence[str], options: Mapping[str, Any], process: Process | None) -> str:
    """Return a short hash of all that decides a file's rows beside its own bytes."""
    config = options.get("config")
    files = [*companions(path), *([Path(config)] if config else []), *TABLES]
    what = [
        VERSION,
        sorted(species),
        sorted((k, str(v)) for k, v in options.items() if v is not None),
        _sensor(process),
        [sha256(f) for f in files if f.is_file()],
    ]
    return hashlib.sha256(json.dumps(what).encode()).hexdigest()[:16]


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


def _sensor(process: Process | None) -> str:
    """Return what the index calls a station's file: with the name of what was done to it, if anything."""
    return f"station {process.fingerprint}".strip() if process is not None else "station"


def _single_files(paths: Iterable[Path]) -> list[Path]:
    """Return files one by one, those of folders too, without companions that are read with another file."""
    flat = (f for p in paths for f in (sorted(p.iterdir()) if p.is_dir() else [p]))
    return [f for f in flat if f.is_file() and f.name[0] != "." and not is_companion(f)]


def _ingest_one(
    path: Path,
    entry: Mapping[str, Any],
    store: ObservationStore,
    species: Sequence[str],
    options: Mapping[str, Any],
    process: Process | None,
    earlier: Mapping[str, set[str]],
    *,
    apart: bool,
) -> tuple[dict[str, Any], dict[str, int]]:
    """Write one file's records; return its row of the index and the rows by species.

    What the store holds of the path from an earlier run (`earlier`: the file's names then) and is not made again goes.
    """
    row = {
        **entry,
        "file_id": file_id(entry["sha256"]),
        "sensor": _sensor(process),
        "soundings": 0,
        "good": 0,
    }
    try:
        names = ["*"] if "*" in species else species
        if apart:
            found = [r for name in names for r in read_apart(path, name, **options)]
        elif "*" in species:
            found = read_all(path, **options)
        else:
            found = [read(path, name, **options) for name in species]
        records = [r for r in found if r.attrs["species"] in SPECIES]
        if not records:
            names = ", ".join(r.attrs["species"] for r in found)
            raise ConfigError(
                f"{path}: {names}: no species of the observation contract ({', '.join(SPECIES)})"
            )
        if process is not None:
            records = [process(r) for r in records]
        tables = [observations(r, digest=entry["sha256"]) for r in records]
        parts = [part for table in tables for part in store.write(table)]
        if old := earlier.get(entry["path"]):
            folders = {f"species={r.attrs['species']}" for r in records}
            forget_parts(p for p in store.parts_of(old) if p not in parts and p.parts[-5] in folders)
    except (MixedScalesError, StorageError):
        raise  # these are not one file's fault
    except ObsnetError as error:
        return row | {"status": f"bad: {error}"}, {}
    notes = list(dict.fromkeys(n for r in records for n in (*r.attrs["changes"], *r.attrs["warnings"])))
    others = [r.attrs["species"] for r in found if r.attrs["species"] not in SPECIES]
    if others:
        text = "species are not in the observation contract and were left out"
        notes.append(f"{len(others)} {text}: {', '.join(others)}")
    units = (SPECIES[r.attrs["species"]].unit for r in records)
    row |= {
        "version": records[0].attrs["source"],
        "species": ",".join(r.attrs["species"] for r in records),
        "unit": ",".join(units),
        "parts": len(parts),
        "soundings": sum(map(len, tables)),
        "good": sum(int((r["quality"].values == 0).sum()) for r in records),
        "mean_good": summary(records[0])["mean_good"] if len(records) == 1 else None,
        "status": "done",
        "notes": "; ".join(notes) or None,
        **_extent(records),
    }
    return row, {r.attrs["species"]: r.sizes["time"] for r in records}


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
