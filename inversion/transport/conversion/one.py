"""One footprint file into a part of the sparse Jacobian."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from inversion.jacobian.store import JacobianStore
from inversion.transport.conversion.nest import add_up, nested_batches
from inversion.transport.files.binning import Unresolved, sparse_tables
from inversion.transport.files.footprint import FootprintFile
from inversion.transport.readers import open_footprints
from inversion.transport.readers.options import ReaderOptions
from obsnet.errors import FormatError, ObsnetError, StorageError

if TYPE_CHECKING:
    import pyarrow as pa
    import xarray as xr

__all__ = ["ConvertTask", "convert_file", "part_name"]


@dataclass(frozen=True)
class ConvertTask:
    """One file to convert.

    Parameters
    ----------
    path, out : str
        Footprint file; folder of the Jacobian.
    options : ReaderOptions
        For the reader.
    unresolved : str
        See `inversion.transport.files.binning.sparse_tables`.
    names : mapping of str to tuple of str, or None
        Observations that each receptor stands for; None leaves receptors their own identity.
    curtain : tuple of str or None
        Boundary file, species and unit.
    nest : (str, ReaderOptions) or None
        File with a finer grid inside this one, and how to read it; see `inversion.transport.conversion.nest`.
    """

    path: str
    out: str
    options: ReaderOptions = field(default_factory=ReaderOptions)
    unresolved: Unresolved = "refuse"
    names: Mapping[str, tuple[str, ...]] | None = None
    curtain: tuple[str, str, str | None] | None = None
    nest: tuple[str, ReaderOptions] | None = None


def part_name(path: str | Path) -> str:
    """Return the name of a file's part: its own name and eight digits of its full path."""
    path = Path(path)
    clean = re.sub(r"[^A-Za-z0-9._+-]", "_", path.stem).lstrip("._-+") or "part"
    return f"{clean[:80]}-{hashlib.sha256(str(path.resolve()).encode()).hexdigest()[:8]}"


def convert_file(task: ConvertTask) -> dict[str, Any]:
    """Convert one file into a part of the Jacobian.

    Returns
    -------
    dict
        ``path, receptors, missing, observations, total, lost, notes``, or ``path, error``.
    """
    try:
        return _convert(task)
    except StorageError:
        raise  # the disk's fault, not the file's
    except ObsnetError as error:
        return {"path": task.path, "error": str(error)}


def _convert(task: ConvertTask) -> dict[str, Any]:
    import pyarrow as pa

    store = JacobianStore(task.out)
    grid, edges = store.grid, store.time_edges
    source = _usable(open_footprints(task.path, task.options))
    curtain = None
    if task.curtain is not None:
        from inversion.transport.readers.curtain import read_curtain

        name, species, unit = task.curtain
        curtain = read_curtain(name, species, unit=unit)
    report: dict[str, Any] = {"path": task.path, "receptors": len(source), "missing": 0, "total": 0.0}
    lost: dict[str, float] = {}
    sensitivity, background = [], []
    batches: Iterable[tuple[xr.Dataset, ...]] = ((data,) for data in source.batches())
    if task.nest is not None:
        batches = nested_batches(source, open_footprints(task.nest[0], task.nest[1]))
    for layers in batches:
        data = layers[0]
        report["missing"] += int(data.attrs["missing_receptors"])
        parts = [sparse_tables(layer, grid, edges, unresolved=task.unresolved) for layer in layers]
        binned = parts[0]
        beside = binned.background
        if curtain is not None:
            beside = _with_background(data, beside, curtain)
        report["total"] += sum(part.total for part in parts)
        for reason in binned.lost:
            lost[reason] = lost.get(reason, 0.0) + sum(part.lost[reason] for part in parts)
        table = binned.sensitivity if len(parts) == 1 else add_up([part.sensitivity for part in parts])
        sensitivity.append(_renamed(table, task.names))
        if beside is not None:
            background.append(_renamed(beside, task.names))
    table = pa.concat_tables(sensitivity)
    if len(table):
        store.write_part(part_name(task.path), table, pa.concat_tables(background) if background else None)
    ids = table["obs_id"].unique()
    notes = list(source.notes)
    if task.nest is not None:
        notes.append("joined with the finer grid inside it; where that is, the outer grid's values give way")
    return {**report, "observations": len(ids), "lost": lost, "notes": notes}


def _usable(source: FootprintFile) -> FootprintFile:
    if source.weighting == "unknown" and source.format != "store":
        raise FormatError(
            f"{source.path}: it is not known whether this column footprint is weighted; say --weighting "
            "kernel, pressure or none"
        )
    return source


def _with_background(data: Any, beside: pa.Table | None, curtain: Any) -> pa.Table:
    import pyarrow as pa

    from inversion.transport.readers.curtain import background

    if beside is None:
        raise FormatError(
            f"{data.attrs['source_file']}: no shares of particles leaving the domain, so no background"
        )
    values = background(data, curtain)["background"]
    column = values.loc[beside["obs_id"].to_pylist()].to_numpy()
    return beside.append_column("background", pa.array(column, from_pandas=True))


def _renamed(table: pa.Table, names: Mapping[str, tuple[str, ...]] | None) -> pa.Table:
    """Give rows the identity of the observations they stand for; drop receptors nobody asked for."""
    import pyarrow as pa

    if names is None:
        return table
    old = np.asarray(table["obs_id"].to_pylist(), dtype=np.str_)
    count = np.array([len(names.get(str(n), ())) for n in old], dtype=np.int64)
    rows = np.repeat(np.arange(old.size), count)
    new = [o for n in old for o in names.get(str(n), ())]
    at = table.schema.get_field_index("obs_id")
    return table.take(pa.array(rows)).set_column(at, "obs_id", pa.array(new, pa.string()))
