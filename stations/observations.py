"""Records to the observation contract: tables, and files into a store with its granule index."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import xarray as xr

from obsnet.constants import SPECIES
from obsnet.errors import ConfigError, ObsnetError
from obsnet.schema import PROFILES, observation_table
from obsnet.store import ObservationStore, file_id, sha256
from stations.readers import read_all
from stations.record import summary

__all__ = ["ingest", "observations"]


def observations(record: xr.Dataset, *, digest: str) -> pa.Table:
    """Turn a record into a checked observation table.

    Parameters
    ----------
    record : xarray.Dataset
        See `stations.record`.
    digest : str
        sha256 of the file it came from.

    Returns
    -------
    pyarrow.Table
        `obsnet.schema.OBSERVATIONS`; every row of the record, flagged ones too. ``obs_id`` is
        ``<source>:<site>:<time>``, then the flask, or the intake height of continuous data, then ``#2`` …
        where a row repeats another.

    Raises
    ------
    ConfigError
        The species is not one that `obsnet.constants` keeps ranges for.
    """
    attrs = record.attrs
    data = {n: record[n].values for n in record.variables}
    rows = record.sizes["time"]
    columns: dict[str, Any] = {
        "obs_id": _identities(record),
        "platform": pa.repeat(pa.scalar(attrs["site"]), rows),
        "scale": pa.repeat(pa.scalar(attrs["scale"]), rows),
        "quality": data["quality"],
        "quality_original": pa.array(data["quality_original"].astype(object)),
        "n": pa.array(data["n"], mask=data["n"] < 0),
    }
    for name in ("time", "time_start", "time_end"):
        columns[name] = data[name].astype("datetime64[us]")
    for name in ("value", "latitude", "longitude"):
        columns[name] = data[name]
    for name in ("uncertainty", "altitude_m", "intake_height_m", "uncertainty_systematic", "prior_column"):
        if name in data:
            columns[name] = pa.array(data[name], from_pandas=True)
    if attrs["kind"] == "column":
        columns |= {n: data[n] for n in PROFILES if n in data}
        columns["vertical"] = pa.repeat(pa.scalar(attrs["vertical"]), rows)
    return observation_table(
        columns, species=attrs["species"], kind=attrs["kind"], source=attrs["source"], file_id=file_id(digest)
    )


def _identities(record: xr.Dataset) -> pa.Array:
    """Return one identity a row, unique within source and site."""
    import pandas as pd

    times = np.datetime_as_string(record["time"].values.astype("datetime64[ms]"))
    text = pd.Series(times).str.removesuffix(".000") + "Z"
    sample = pd.Series(record["sample_id"].values.astype(object))
    if record.attrs["kind"] == "point":
        height = record["intake_height_m"].values
        labels, inverse = np.unique(height, return_inverse=True)
        names = np.array([f"{h:g}m" if np.isfinite(h) else "" for h in labels], dtype=object)
        sample = sample.where(sample != "", pd.Series(names[inverse] if len(names) else [], dtype=object))
    text = f"{record.attrs['source']}:{record.attrs['site']}:" + text + (":" + sample).where(sample != "", "")
    again = text.groupby(text, sort=False).cumcount()
    text = text.where(again == 0, text + "#" + (again + 1).astype(str))
    return pa.array(text.to_numpy(dtype=object), pa.string())


def ingest(
    files: Iterable[Path],
    store: ObservationStore,
    *,
    base: str | os.PathLike[str] = ".",
    options: Mapping[str, Any] | None = None,
    report: Callable[[str], None] = lambda _line: None,
) -> dict[str, Any]:
    """Read station files into a store; what is there already with the same content is skipped.

    Parameters
    ----------
    files : iterable of Path
        See `stations.readers.READERS`.
    store : ObservationStore
        Written file by file, so that a run that was killed can be started again.
    base : path
        Paths in the index are relative to it where they can be.
    options : mapping
        For the readers: ``site``, ``scale``, ``stamp``, ``config`` …
    report : callable
        Takes one line a bad file and one a counted warning.

    Returns
    -------
    dict
        ``files, skipped, failed, rows, good`` and ``species`` (rows by species).
    """
    done = store.index.done()
    part = f"stations-{time.time_ns():x}"
    index: list[dict[str, Any]] = []
    total: dict[str, Any] = {"files": 0, "skipped": 0, "failed": 0, "rows": 0, "good": 0, "species": {}}
    saved = time.monotonic()
    for path in files:
        name = os.path.relpath(path, base)
        digest = sha256(path)
        total["files"] += 1
        if done.get(name) == digest:
            total["skipped"] += 1
            continue
        row = _ingest_one(path, name, digest, store, options or {}, total)
        index.append(row)
        if row["status"] != "done":
            total["failed"] += 1
            report(row["status"])
        elif row["notes"]:
            report(f"{name}: {row['notes']}")
        # Often enough that a killed run loses seconds, seldom enough that many files cost no more than one.
        if time.monotonic() - saved > 5.0:
            store.index.write(index, part)
            saved = time.monotonic()
    if index:
        store.index.write(index, part)
    return total


def _ingest_one(
    path: Path,
    name: str,
    digest: str,
    store: ObservationStore,
    options: Mapping[str, Any],
    total: dict[str, Any],
) -> dict[str, Any]:
    """Write one file's records and return its row of the index."""
    row: dict[str, Any] = {
        "path": name, "size": path.stat().st_size, "sha256": digest, "file_id": file_id(digest), "sensor": "station",
        "soundings": 0, "good": 0, "status": "done",
    }  # fmt: skip
    try:
        records = read_all(path, **options)
        kept = [r for r in records if r.attrs["species"] in SPECIES]
        if not kept:
            found = ", ".join(r.attrs["species"] for r in records)
            raise ConfigError(
                f"{path}: {found}: no species of the observation contract ({', '.join(SPECIES)})"
            )
        tables = [observations(r, digest=digest) for r in kept]
        for table in tables:
            store.write(table)
    except ObsnetError as error:
        return row | {"status": f"bad: {error}"}
    notes = [n for r in kept for n in (*r.attrs["changes"], *r.attrs["warnings"])]
    left_out = [r.attrs["species"] for r in records if r.attrs["species"] not in SPECIES]
    if left_out:
        notes.append(
            f"{len(left_out)} species are not in the observation contract and were left out: {', '.join(left_out)}"
        )
    for table in tables:
        species = table["species"][0].as_py() if len(table) else ""
        total["species"][species] = total["species"].get(species, 0) + len(table)
    row |= {
        "version": kept[0].attrs["source"],
        "species": ",".join(r.attrs["species"] for r in kept),
        "unit": ",".join(SPECIES[r.attrs["species"]].unit for r in kept),
        "soundings": sum(len(t) for t in tables),
        "good": sum(int((r["quality"].values == 0).sum()) for r in kept),
        "notes": "; ".join(notes) or None,
        **_extent(kept),
    }
    if len(kept) == 1:
        row["mean_good"] = summary(kept[0])["mean_good"]
    total["rows"] += row["soundings"]
    total["good"] += row["good"]
    return row


def _extent(records: Sequence[xr.Dataset]) -> dict[str, Any]:
    """Return time range and bounding box of the rows that have them; None where none has."""
    found: dict[str, Any] = {}
    for name, variable, reduce in (
        ("time_start", "time_start", np.nanmin), ("time_end", "time_end", np.nanmax), ("south", "latitude", np.nanmin),
        ("north", "latitude", np.nanmax), ("west", "longitude", np.nanmin), ("east", "longitude", np.nanmax),
    ):  # fmt: skip
        values = np.concatenate([r[variable].values for r in records])
        values = values[~(np.isnat(values) if values.dtype.kind == "M" else np.isnan(values))]
        if values.size:
            extreme = reduce(values)
            found[name] = (
                extreme.astype("datetime64[us]").item() if values.dtype.kind == "M" else float(extreme)
            )
    return found
