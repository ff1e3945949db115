"""The sparse Jacobian read back as footprints: one step a flux time bin."""

from __future__ import annotations

import numpy as np
import pandas as pd

from inversion.jacobian.store import JacobianStore
from inversion.transport.files.footprint import FootprintFile, ReceptorBlock
from inversion.transport.files.probe import Probe
from inversion.transport.readers.options import ReaderOptions
from obsnet.errors import FormatError

__all__ = ["matches", "open_file"]


def matches(found: Probe) -> bool:
    """Tell it by its folder."""
    return found.container == "folder" and (found.path / "meta.json").is_file()


def open_file(found: Probe, options: ReaderOptions) -> FootprintFile:
    """Open a Jacobian as footprints; receptors have no place here, only their identity.

    The receptor's time is the end of the last bin that it feels.
    """
    store = JacobianStore(found.path)
    meta = store.meta
    grid, edges = store.grid, store.time_edges
    ids = store.obs_ids()
    if not ids.size:
        raise FormatError(f"{found.path}: the Jacobian holds no observation yet")
    first, last = np.zeros(ids.size, int), np.zeros(ids.size, int)
    at = 0
    for part in store.batches(1000, ids):
        bins = part.matrix.indices // grid.size
        for r in range(part.obs_id.size):
            mine = bins[part.matrix.indptr[r] : part.matrix.indptr[r + 1]]
            first[at], last[at] = mine.min(), mine.max()
            at += 1

    # Every receptor gets as many steps as the longest footprint needs.
    length = int((last - first + 1).max())
    low = np.minimum(first, edges.size - 1 - length)

    def load(start: int, stop: int) -> ReceptorBlock:
        matrix = store.read(ids[start:stop]).matrix
        dense = np.zeros((stop - start, length * grid.size), dtype=np.float32)
        for r, at in enumerate(low[start:stop]):
            own = slice(matrix.indptr[r], matrix.indptr[r + 1])
            dense[r, matrix.indices[own] - at * grid.size] = matrix.data[own]
        bins = low[start:stop, None] + np.arange(length)
        field = dense.reshape(stop - start, length, *grid.shape)
        return ReceptorBlock(field, edges[bins], edges[bins + 1], np.ones(length, dtype=bool))

    time = edges[1:][last]
    nowhere = np.full(ids.size, np.nan)
    table = pd.DataFrame(
        {
            "obs_id": ids,
            "time": time,
            "time_start": time,
            "time_end": time,
            "latitude": nowhere,
            "longitude": nowhere,
            "height_m": nowhere,
        }
    )
    return FootprintFile(
        path=found.path,
        format="store",
        model=str(meta["model"]),
        grid=grid,
        receptors=table,
        unit=meta["unit"],
        load=load,
        bytes_per_receptor=4 * grid.size * length,
        span=(edges[first.min()], edges[last.max() + 1]),
        weighting=options.weighting or meta.get("weighting", "unknown"),
        kind="emulated" if options.emulated else meta["kind"],
        species=meta["species"],
        notes=("places of receptors are not kept in the sparse store",),
    )
