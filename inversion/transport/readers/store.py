"""The sparse Jacobian read back as footprints: one step a flux time bin."""

from __future__ import annotations

import numpy as np
import pandas as pd

from inversion.jacobian import JacobianStore
from inversion.transport.footprint import Block, Footprints
from inversion.transport.readers.common import Options, Probe
from obsnet.errors import FormatError

__all__ = ["matches", "open"]


def matches(found: Probe) -> bool:
    """Tell it by its folder."""
    return found.container == "folder" and (found.path / "meta.json").is_file()


def open(found: Probe, options: Options) -> Footprints:
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

    def load(start: int, stop: int) -> Block:
        low, high = int(first[start:stop].min()), int(last[start:stop].max()) + 1
        dense = store.read(ids[start:stop]).matrix[:, low * grid.size : high * grid.size].toarray()
        n = stop - start
        begin, end = (np.broadcast_to(e[low:high], (n, high - low)) for e in (edges[:-1], edges[1:]))
        return Block(dense.reshape(n, high - low, *grid.shape), begin, end, np.ones(high - low, dtype=bool))

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
    return Footprints(
        path=found.path,
        format="store",
        model=str(meta["model"]),
        grid=grid,
        receptors=table,
        unit=meta["unit"],
        load=load,
        bytes_per_receptor=4 * grid.size * int((last - first + 1).max()),
        weighting=options.weighting or meta.get("weighting", "unknown"),
        kind="emulated" if options.emulated else meta["kind"],
        species=meta["species"],
        notes=("places of receptors are not kept in the sparse store",),
    )
