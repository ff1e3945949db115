"""Footprints into flux cells and flux time bins: the way into the sparse Jacobian."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal, NamedTuple

import numpy as np
import numpy.typing as npt
import pyarrow as pa
from scipy import sparse

from inversion.transport.files.footprint import CURTAINS
from obsnet.errors import FormatError
from obsnet.field import grid_of
from obsnet.grid import Grid
from obsnet.regrid import overlap
from obsnet.schema import SIDES
from obsnet.typing import Bools, Floats, Ints

if TYPE_CHECKING:
    import xarray as xr

__all__ = ["Binned", "Unresolved", "sparse_tables"]

# Where the flux of an integrated or residual part is taken: see `sparse_tables`.
Unresolved = Literal["refuse", "release", "drop"]
_HOUR = 3.6e9  # microseconds
_BOUNDARY = pa.schema(
    [("obs_id", pa.string()), ("side", pa.string()), ("time_bin", pa.int32()), ("share", pa.float64())]
)


class Binned(NamedTuple):
    """Footprints in the sparse contract, and what did not fit.

    Parameters
    ----------
    sensitivity : pyarrow.Table
        Contract ``sensitivity``.
    background : pyarrow.Table or None
        Contract ``background``, where the footprints have curtains.
    total : float
        Sum of all sensitivities before, in ppm / (umol m-2 s-1).
    lost : dict of str to float
        How much of it fell outside the time bins (``time``), outside the grid (``grid``) or was dropped
        (``unresolved``).
    """

    sensitivity: pa.Table
    background: pa.Table | None
    total: float
    lost: dict[str, float]


def sparse_tables(
    data: xr.Dataset, grid: Grid, time_edges: npt.ArrayLike, *, unresolved: Unresolved = "refuse"
) -> Binned:
    """Put footprints into flux cells and flux time bins.

    Parameters
    ----------
    data : xarray.Dataset
        As `inversion.transport.files.footprint` describes.
    grid : Grid
        Flux cells. Where the footprints' own grid differs, each of their cells is split by shared area.
    time_edges : array_like of datetime64, shape (n + 1,)
        Edges of the flux time bins, UTC.
    unresolved : {"refuse", "release", "drop"}
        What becomes of parts integrated over hours that the file does not tell apart, unless those hours lie
        in one bin anyway: an error; the bin of the receptor's time (what is done for long-lived gases with
        monthly fluxes); or they are left out and counted.

    Returns
    -------
    Binned
        A step that crosses an edge is shared out by time. An observation that nothing reaches has one row of
        sensitivity 0.

    Raises
    ------
    FormatError
        Unresolved parts under ``refuse``.
    """
    edges = np.asarray(time_edges).astype("datetime64[us]").astype(np.int64)
    own = grid_of(data)
    spread = None
    if not own.nearly(grid):
        spread = sparse.csr_array(overlap(own, grid).matrix() / own.cell_area.ravel()[None, :]).T.tocsr()
    lost = dict.fromkeys(("time", "grid", "unresolved"), 0.0)
    total = 0.0
    ids, bins, cells, values = [], [], [], []
    for r, obs_id in enumerate(data["obs_id"].values):
        steps = data["sensitivity"].values[r].reshape(data.sizes["step"], -1)
        field = sparse.csr_array(steps.astype(np.float64))
        sums = field.sum(axis=1)
        weights, dropped = _step_weights(data, r, sums, edges, unresolved)
        binned = weights @ field
        total += float(sums.sum())
        lost["unresolved"] += float(sums[dropped].sum())
        lost["time"] += float(sums[~dropped].sum() - binned.sum())
        if spread is not None:
            before = float(binned.sum())
            binned = binned @ spread
            lost["grid"] += before - float(binned.sum())
        found = sparse.coo_array(binned)
        found.eliminate_zeros()
        empty = found.nnz == 0
        ids.append(np.full(max(found.nnz, 1), obs_id))
        bins.append(np.zeros(1, np.int32) if empty else found.coords[0].astype(np.int32))
        cells.append(np.zeros(1, np.int32) if empty else found.coords[1].astype(np.int32))
        values.append(np.zeros(1, np.float32) if empty else found.data.astype(np.float32))
    table = pa.table(
        {
            "obs_id": pa.array(np.concatenate(ids) if ids else [], pa.string()),
            "time_bin": pa.array(np.concatenate(bins) if bins else [], pa.int32()),
            "cell": pa.array(np.concatenate(cells) if cells else [], pa.int32()),
            "sensitivity": pa.array(np.concatenate(values) if values else [], pa.float32()),
        }
    )
    return Binned(table, _boundary_table(data, edges), total, lost)


def _step_weights(
    data: xr.Dataset,
    r: int,
    sums: Floats,
    edges: Ints,
    unresolved: Unresolved,
) -> tuple[sparse.csr_array, Bools]:
    """Return the share of each step that lies in each bin, (bin, step), and which steps are dropped."""
    start, end = (_micro(data[name].values[r]) for name in ("step_start", "step_end"))
    known = ~np.isnat(data["step_start"].values[r])
    dropped = np.zeros(start.size, dtype=bool)
    weights = np.zeros((edges.size - 1, start.size))
    for s in np.flatnonzero(sums != 0.0):
        begin, stop = start[s], end[s]
        one_bin = known[s] and np.searchsorted(edges, begin, side="right") == np.searchsorted(edges, stop)
        if not (data["resolved"].values[s] or one_bin):
            if unresolved == "refuse":
                raise FormatError(
                    f"{data.attrs['source_file']}: {100 * sums[s] / sums.sum():.0f} % of the sensitivity of "
                    f"{str(data['obs_id'].values[r])!r} is integrated over hours that the file does not tell "
                    "apart, and the flux time bins would; say unresolved='release' to take the flux of the "
                    "receptor's own bin (right for monthly fluxes), or 'drop' (--unresolved)"
                )
            if unresolved == "drop":
                dropped[s] = True
                continue
            begin = int(_micro(data["receptor_time"].values[r]))
            stop = begin + 1
        weights[:, s] = np.diff(np.clip(edges, begin, stop)) / (stop - begin)
    return sparse.csr_array(weights), dropped


def _micro(times: npt.ArrayLike) -> Ints:
    return np.asarray(times).astype("datetime64[us]").astype(np.int64)


def _boundary_table(data: xr.Dataset, edges: Ints) -> pa.Table | None:
    """Return shares by side and the bin in which the air came in; what came earlier is in the first bin."""
    sides = [s for s in CURTAINS if f"share_{s}" in data]
    if not sides:
        return None
    rows: list[tuple[str, str, int, float]] = []
    last = edges.size - 2
    for r, obs_id in enumerate(data["obs_id"].values):
        now = int(_micro(data["receptor_time"].values[r]))
        left = 0.0
        for side in sides:
            share = data[f"share_{side}"].values[r].ravel().astype(np.float64)
            hours = data[f"age_{side}"].values[r].ravel() if f"age_{side}" in data else np.zeros(share.size)
            there = np.flatnonzero(share > 0.0)
            entered = now - np.nan_to_num(hours[there].astype(np.float64)) * _HOUR
            at = np.clip(np.searchsorted(edges, entered, side="right") - 1, 0, last)
            by_bin = np.bincount(at, weights=share[there], minlength=last + 1)
            left += float(by_bin.sum())
            rows.extend((str(obs_id), side, int(b), float(by_bin[b])) for b in np.flatnonzero(by_bin))
        # A column's shares add up to its weights within the model's levels, so their rest is not known.
        rest = max(0.0, 1.0 - left) if data.attrs["weighting"] == "none" else 0.0
        rows.append((str(obs_id), SIDES[-1], 0, rest))
    columns = zip(*rows, strict=True) if rows else [()] * 4
    return pa.table([pa.array(c, f.type) for c, f in zip(columns, _BOUNDARY, strict=True)], schema=_BOUNDARY)
