"""A fine inner grid and its coarse mother domain, joined into one footprint that counts nothing twice.

Models write the particles over the nest into both files. Where the nest is, the mother's cells give way: by the
share of their area that it covers.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa

from inversion.transport.files.footprint import BATCH_BYTES, FootprintFile
from inversion.transport.files.probe import probe
from inversion.transport.readers.ctlagrange import NEAR_FIELD
from obsnet.errors import FormatError, GridError
from obsnet.field import grid_of
from obsnet.grid import Grid
from obsnet.typing import Bools

if TYPE_CHECKING:
    import xarray as xr

__all__ = ["add_up", "nest_in", "nested_batches", "outside", "pair_up"]

_NEST = re.compile(r"^(grid_time)_nest(_.*)$")


def pair_up(paths: Sequence[str | Path]) -> dict[Path, Path]:
    """Return the FLEXPART nests (``grid_time_nest_<date>.nc``) by the mother files that stand beside them."""
    known = {Path(p) for p in paths}
    found = {}
    for path in known:
        match = _NEST.match(path.name)
        mother = path.with_name(f"{match[1]}{match[2]}") if match else None
        if mother in known:
            found[mother] = path
    return found


def nest_in(path: str | Path) -> bool:
    """Tell whether a file holds both an outer and an inner grid: nested openghg files, ``foot1`` with a near field."""
    names = set(probe(path).variables)
    return {"fp_low", "fp_high"} <= names or {"foot1", NEAR_FIELD} <= names


def outside(data: xr.Dataset, inner: Grid, steps: Bools | None = None) -> xr.Dataset:
    """Take the area of a nest out of a footprint.

    Parameters
    ----------
    data : xarray.Dataset
        Footprints on the mother's grid, see `inversion.transport.files.footprint`.
    inner : Grid
        The nest, wholly inside.
    steps : ndarray of bool, shape (step,), optional
        Steps that the nest has too; all by default.

    Returns
    -------
    xarray.Dataset
        Each cell keeps the share of its sensitivity that belongs to the area beyond the nest.

    Raises
    ------
    GridError
        The nest reaches beyond the mother.
    """
    mother = grid_of(data)
    turn = 360.0 * np.round((mother.lon_edges.mean() - inner.lon_edges.mean()) / 360.0)
    box = (inner.lat_edges[[0, -1]], inner.lon_edges[[0, -1]] + turn)
    for name, edges, own in zip(("lat", "lon"), box, (mother.lat_edges, mother.lon_edges), strict=True):
        if edges[0] < own[0] - 1e-4 or edges[-1] > own[-1] + 1e-4:
            raise GridError(
                f"{data.attrs['source_file']}: the nest ({name} {edges[0]:g} to {edges[-1]:g}) reaches beyond its "
                f"mother domain ({own[0]:g} to {own[-1]:g})"
            )
    rows = _covered(np.sin(np.deg2rad(mother.lat_edges)), np.sin(np.deg2rad(box[0])))
    columns = _covered(mother.lon_edges, box[1])
    kept = 1.0 - rows[:, None] * columns[None, :]
    values = data["sensitivity"]
    both = np.ones(data.sizes["step"], bool) if steps is None else steps
    kept = np.where(both[:, None, None], kept, 1.0)
    return data.assign(sensitivity=(values.dims, (values.values * kept).astype(np.float32), values.attrs))


def _covered(edges: np.ndarray, box: np.ndarray) -> np.ndarray:
    """Return the share of each interval that lies in the box."""
    clipped = np.clip(edges, box[0], box[1])
    return np.diff(clipped) / np.diff(edges)


def nested_batches(mother: FootprintFile, nest: FootprintFile) -> Iterator[tuple[xr.Dataset, xr.Dataset]]:
    """Read both some receptors at a time: the mother without the nest's area, and the nest.

    Raises
    ------
    FormatError
        The files are of different receptors or steps.
    """
    if mother.receptors["obs_id"].tolist() != nest.receptors["obs_id"].tolist():
        raise FormatError(f"{nest.path}: its receptors are not those of its mother domain in {mother.path}")
    if (mother.weighting, mother.lifetime_hours) != (nest.weighting, nest.lifetime_hours):
        raise FormatError(f"{nest.path}: weighting or loss differ from its mother domain in {mother.path}")
    size = max(1, BATCH_BYTES // max(mother.bytes_per_receptor + nest.bytes_per_receptor, 1))
    for start in range(0, len(mother), size):
        coarse, fine = mother.read(start, start + size), nest.read(start, start + size)
        if coarse["obs_id"].values.tolist() != fine["obs_id"].values.tolist():
            raise FormatError(f"{nest.path}: lacks footprints that its mother domain in {mother.path} has")
        yield outside(coarse, nest.grid, _shared_steps(coarse, fine, nest)), fine


def _shared_steps(coarse: xr.Dataset, fine: xr.Dataset, nest: FootprintFile) -> Bools:
    """Return which of the mother's steps the nest has; it may stop earlier, but have none of its own."""
    n = fine.sizes["step"]
    for first in range(coarse.sizes["step"] - n + 1):
        part = coarse.isel(step=slice(first, first + n))
        if all(
            np.array_equal(part[name].values, fine[name].values, equal_nan=True)
            for name in ("step_start", "step_end")
        ):
            return np.isin(np.arange(coarse.sizes["step"]), np.arange(first, first + n))
    raise FormatError(f"{nest.path}: its hours are not those of its mother domain")


def add_up(tables: Sequence[pa.Table]) -> pa.Table:
    """Add sensitivities that fell into the same cell and bin; rows of one observation stay together."""
    keys = ["obs_id", "time_bin", "cell"]
    whole = pa.concat_tables(tables)
    found = whole.group_by(keys, use_threads=False).aggregate([("sensitivity", "sum")])
    return found.rename_columns([*keys, "sensitivity"]).sort_by([(key, "ascending") for key in keys])
