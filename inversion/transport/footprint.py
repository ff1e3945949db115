"""A footprint in memory: one form for every make, and its way into the sparse Jacobian.

A footprint says by how much an observation rises, in ppm, when a cell emits 1 umol m-2 s-1 during a step:
extensive per cell, so a modelled enhancement is the plain sum of footprint times flux density, and coarsening
sums. Lin et al. (2003), doi:10.1029/2002JD003161, eq. 8.

In memory an `xarray.Dataset` with dimensions ``receptor, step, lat, lon``:

``sensitivity(receptor, step, lat, lon)``
    float32, ppm / (umol m-2 s-1).
``step_start, step_end(receptor, step)``
    The hours whose fluxes are meant, UTC, half-open. The start is NaT where the file does not say how far
    back an integrated or residual part reaches.
``resolved(step)``
    False for a part integrated over more than the file can tell apart.
``obs_id, receptor_time, receptor_start, receptor_end, receptor_lat, receptor_lon, receptor_height``
(receptor)
    Height in m above ground; NaN for columns.
``share_<side>(receptor, height, lat|lon)``, ``age_<side>``
    Where the file has them: share of the particles that left through each cell of the four curtains, and
    their mean age in hours.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

import numpy as np
import numpy.typing as npt
from scipy import sparse

from inversion.jacobian import SIDES, UNIT
from obsnet.errors import FormatError, GridError, SchemaError
from obsnet.grid import Grid
from obsnet.times import as_utc

if TYPE_CHECKING:
    import pandas as pd
    import pyarrow as pa
    import xarray as xr

__all__ = [
    "CURTAINS",
    "UNIT",
    "Binned",
    "Block",
    "FootprintFile",
    "Unresolved",
    "Weighting",
    "sparse_tables",
    "summary",
    "weigh_levels",
]

CURTAINS = ("north", "east", "south", "west")
# What has been done to a column footprint already; only "none" may still be weighted.
Weighting = Literal["none", "pressure", "kernel", "unknown"]
# Where the flux of an integrated or residual part is taken: see `sparse_tables`.
Unresolved = Literal["refuse", "release", "drop"]
RECEPTOR_COLUMNS = ("obs_id", "time", "time_start", "time_end", "latitude", "longitude", "height_m")
_BATCH_BYTES = 128 * 2**20

Floats = npt.NDArray[np.floating[Any]]
Times = npt.NDArray[np.datetime64]


class Block(NamedTuple):
    """What a reader hands over for some receptors; rows south to north, columns west to east."""

    sensitivity: Floats  # (receptor, step, lat, lon), ppm / (umol m-2 s-1); NaN where missing
    step_start: Times  # (receptor, step)
    step_end: Times  # (receptor, step)
    resolved: npt.NDArray[np.bool_]  # (step,)
    share: Mapping[str, Floats] = {}  # side -> (receptor, height, lat or lon)
    age: Mapping[str, Floats] = {}  # side -> (receptor, height, lat or lon), hours
    height: Floats | None = None  # (height,), m, layer middles of the curtains


@dataclass(frozen=True)
class FootprintFile:
    """A footprint file, opened: what it says of itself, and its values a few receptors at a time.

    Parameters
    ----------
    path : Path
        File or folder.
    format : str
        Name of the reader.
    model : str
        Transport model and its version, as the file says.
    grid : Grid
        Cells.
    receptors : pandas.DataFrame
        Columns `RECEPTOR_COLUMNS`, one row a receptor, times UTC.
    unit : str
        Unit in the file; values come out in `UNIT`.
    load : callable
        ``load(start, stop) -> Block`` of these receptors.
    bytes_per_receptor : int
        Size of one receptor's values when dense, which decides the batches.
    span : tuple of datetime64
        Earliest known begin and latest end of the steps of all receptors.
    column : bool
        The receptors are columns.
    weighting : str
        Whether pressure weights and averaging kernel are in the values already.
    kind : str
        ``"read"`` or ``"emulated"``.
    species : str or None
        None for an inert tracer.
    lifetime_hours : float or None
        Lifetime that is in the values already.
    notes : tuple of str
        What the reader changed or wants the user to know.
    """

    path: Path
    format: str
    model: str
    grid: Grid
    receptors: pd.DataFrame
    unit: str
    load: Callable[[int, int], Block]
    bytes_per_receptor: int
    span: tuple[np.datetime64, np.datetime64]
    column: bool = False
    weighting: Weighting = "none"
    kind: str = "read"
    species: str | None = None
    lifetime_hours: float | None = None
    notes: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        missing = [c for c in RECEPTOR_COLUMNS if c not in self.receptors]
        if missing:
            raise SchemaError(f"{self.path}: receptor table lacks {', '.join(missing)}")
        twice = self.receptors["obs_id"][self.receptors["obs_id"].duplicated()]
        if len(twice):
            raise FormatError(f"{self.path}: receptor {twice.iloc[0]!r} occurs more than once")

    def __len__(self) -> int:
        return len(self.receptors)

    def read(self, start: int = 0, stop: int | None = None) -> xr.Dataset:
        """Read receptors ``start`` to ``stop`` (all of them by default).

        Returns
        -------
        xarray.Dataset
            See the module's docstring. Receptors whose every value is missing are left out and counted in the
            attribute ``missing_receptors``.

        Raises
        ------
        FormatError
            Some but not all values of a receptor are missing or infinite.
        """
        stop = len(self) if stop is None else min(stop, len(self))
        return _dataset(self, self.receptors.iloc[start:stop], self.load(start, stop))

    def batches(self, max_bytes: int = _BATCH_BYTES) -> Iterator[xr.Dataset]:
        """Read all receptors, so many at a time that their dense values stay below `max_bytes`."""
        size = max(1, int(max_bytes // max(self.bytes_per_receptor, 1)))
        for start in range(0, len(self), size):
            yield self.read(start, start + size)


def _dataset(head: FootprintFile, receptors: pd.DataFrame, block: Block) -> xr.Dataset:
    import xarray as xr

    values = np.asarray(block.sensitivity, dtype=np.float32)
    finite = np.isfinite(values).reshape(len(values), -1)
    whole, none = finite.all(axis=1), ~finite.any(axis=1)
    if finite.shape[1] and not (whole | none).all():
        at = int(np.flatnonzero(~(whole | none))[0])
        raise FormatError(
            f"{head.path}: receptor {receptors['obs_id'].iloc[at]!r} has {int((~finite[at]).sum())} of "
            f"{finite.shape[1]} sensitivities missing or infinite; a footprint is whole or absent"
        )
    keep = np.flatnonzero(whole)
    table = receptors.iloc[keep]
    dims = ("receptor", "step", "lat", "lon")
    coords: dict[str, Any] = {
        "obs_id": ("receptor", table["obs_id"].to_numpy(dtype=np.str_)),
        "lat": (
            "lat",
            head.grid.lat,
            {"units": "degrees_north", "standard_name": "latitude", "bounds": "lat_bnds"},
        ),
        "lon": (
            "lon",
            head.grid.lon,
            {"units": "degrees_east", "standard_name": "longitude", "bounds": "lon_bnds"},
        ),
        "lat_bnds": (("lat", "bnds"), np.stack([head.grid.lat_edges[:-1], head.grid.lat_edges[1:]], axis=1)),
        "lon_bnds": (("lon", "bnds"), np.stack([head.grid.lon_edges[:-1], head.grid.lon_edges[1:]], axis=1)),
        "resolved": ("step", np.asarray(block.resolved, dtype=bool)),
        "step_start": (dims[:2], np.asarray(block.step_start)[keep].astype("datetime64[ns]")),
        "step_end": (dims[:2], np.asarray(block.step_end)[keep].astype("datetime64[ns]")),
    }
    for column, name in zip(RECEPTOR_COLUMNS[1:], _RECEPTOR_NAMES, strict=True):
        coords[name] = ("receptor", table[column].to_numpy(), _RECEPTOR_ATTRS.get(name, {}))
    data: dict[str, Any] = {
        "sensitivity": (
            dims,
            values[keep],
            {"units": UNIT, "long_name": "footprint per cell", "cell_methods": "lat: lon: sum"},
        )
    }
    for prefix, fields, unit in (("share", block.share, "1"), ("age", block.age, "hours")):
        for side, array in fields.items():
            across = "lon" if side in {"north", "south"} else "lat"
            data[f"{prefix}_{side}"] = (
                ("receptor", "height", across),
                np.asarray(array)[keep],
                {"units": unit},
            )
    if block.height is not None and block.share:
        coords["height"] = ("height", np.asarray(block.height), {"units": "m", "positive": "up"})
    attrs = {
        "source_file": head.path.name,
        "format": head.format,
        "model": head.model,
        "kind": head.kind,
        "column": int(head.column),
        "weighting": head.weighting,
        "unit_in_file": head.unit,
        "species": head.species or "inert",
        "missing_receptors": int(none.sum()) if finite.shape[1] else 0,
        "notes": "\n".join(head.notes),
    }
    if head.lifetime_hours is not None:
        attrs["lifetime_hours"] = head.lifetime_hours
    return xr.Dataset(data, coords, attrs)


_RECEPTOR_NAMES = (
    "receptor_time",
    "receptor_start",
    "receptor_end",
    "receptor_lat",
    "receptor_lon",
    "receptor_height",
)
_RECEPTOR_ATTRS = {
    "receptor_lat": {"units": "degrees_north"},
    "receptor_lon": {"units": "degrees_east"},
    "receptor_height": {"units": "m", "long_name": "height above ground"},
}


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
    data: xr.Dataset,
    grid: Grid,
    time_edges: npt.ArrayLike,
    *,
    unresolved: Unresolved = "refuse",
) -> Binned:
    """Put footprints into flux cells and flux time bins.

    Parameters
    ----------
    data : xarray.Dataset
        As in the module's docstring.
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
    import pyarrow as pa

    from obsnet.field import grid_of
    from obsnet.regrid import overlap

    edges = np.asarray(time_edges).astype("datetime64[us]").astype(np.int64)
    own = grid_of(data)
    shared = None if own == grid else overlap(own, grid)
    spread = (
        None
        if shared is None
        else sparse.csr_array(shared.matrix() / own.cell_area.ravel()[None, :]).T.tocsr()
    )
    lost = dict.fromkeys(("time", "grid", "unresolved"), 0.0)
    total = 0.0
    columns: dict[str, list[Any]] = {name: [] for name in ("obs_id", "time_bin", "cell", "sensitivity")}
    ids = data["obs_id"].values
    for r, obs_id in enumerate(ids):
        values = sparse.csr_array(
            data["sensitivity"].values[r].reshape(data.sizes["step"], -1).astype(np.float64)
        )
        sums = values.sum(axis=1)
        total += float(sums.sum())
        weights, dropped = _step_weights(data, r, sums, edges, unresolved)
        lost["unresolved"] += float(sums[dropped].sum())
        inside = weights @ values
        lost["time"] += float(sums[~dropped].sum() - inside.sum())
        if spread is not None:
            before = float(inside.sum())
            inside = sparse.csr_array(inside @ spread)
            lost["grid"] += before - float(inside.sum())
        inside = sparse.coo_array(inside)
        bins, cells, data_ = inside.coords[0], inside.coords[1], inside.data
        keep = data_ != 0.0
        if not keep.any():
            bins, cells, data_, keep = np.zeros(1, int), np.zeros(1, int), np.zeros(1), np.ones(1, bool)
        columns["obs_id"].append(np.full(int(keep.sum()), obs_id))
        columns["time_bin"].append(bins[keep].astype(np.int32))
        columns["cell"].append(cells[keep].astype(np.int32))
        columns["sensitivity"].append(data_[keep].astype(np.float32))
    empty = {"obs_id": np.zeros(0, "U1"), "sensitivity": np.zeros(0, np.float32)}
    table = pa.table(
        {k: np.concatenate(v) if v else empty.get(k, np.zeros(0, np.int32)) for k, v in columns.items()}
    )
    return Binned(table, _boundary_table(data, edges), total, lost)


def _step_weights(
    data: xr.Dataset, r: int, sums: Floats, edges: npt.NDArray[np.int64], unresolved: Unresolved
) -> tuple[sparse.csr_array, npt.NDArray[np.bool_]]:
    """Return the share of each step that lies in each bin, (bin, step), and which steps are dropped."""
    start, end = (
        data[name].values[r].astype("datetime64[us]").astype(np.int64) for name in ("step_start", "step_end")
    )
    known = ~np.isnat(data["step_start"].values[r])
    resolved = data["resolved"].values
    n_bin = edges.size - 1
    receptor = _middle(data, r)
    dropped = np.zeros(start.size, dtype=bool)
    rows, columns, shares = [], [], []
    for s in np.flatnonzero(sums != 0.0):
        first = int(np.searchsorted(edges, start[s], side="right")) - 1 if known[s] else -2
        last = int(np.searchsorted(edges, end[s], side="left")) - 1
        if not resolved[s] and first != last:
            if unresolved == "refuse":
                raise FormatError(
                    f"{data.attrs.get('source_file', 'footprint')}: {100 * sums[s] / sums.sum():.0f} % of "
                    "the "
                    f"sensitivity of {str(data['obs_id'].values[r])!r} is integrated over hours that the file "
                    "does not "
                    "tell apart, and the flux time bins would; say unresolved='release' to take the flux of "
                    "the receptor's own bin (right for monthly fluxes), or 'drop'"
                )
            if unresolved == "drop":
                dropped[s] = True
                continue
            first = last = int(np.searchsorted(edges, receptor, side="right")) - 1
        if first == last:
            # One bin, or outside all of them.
            pairs = [(first, 1.0)]
        else:
            cut = np.clip(edges, start[s], end[s])
            part = np.diff(cut) / (end[s] - start[s])
            pairs = [(b, float(part[b])) for b in range(max(first, 0), min(last, n_bin - 1) + 1)]
        for b, share in pairs:
            if 0 <= b < n_bin:
                rows.append(b)
                columns.append(s)
                shares.append(share)
    return sparse.csr_array((shares, (rows, columns)), shape=(n_bin, start.size)), dropped


def _middle(data: xr.Dataset, r: int) -> int:
    return int(data["receptor_time"].values[r].astype("datetime64[us]").astype(np.int64))


def _boundary_table(data: xr.Dataset, edges: npt.NDArray[np.int64]) -> pa.Table | None:
    """Return shares by side and the bin in which the air came in; what came earlier is in the first bin."""
    import pyarrow as pa

    sides = [s for s in CURTAINS if f"share_{s}" in data]
    if not sides:
        return None
    rows: list[dict[str, Any]] = []
    last = edges.size - 2
    for r, obs_id in enumerate(data["obs_id"].values):
        now = _middle(data, r)
        left = 0.0
        for side in sides:
            share = data[f"share_{side}"].values[r].ravel().astype(np.float64)
            hours = data[f"age_{side}"].values[r].ravel() if f"age_{side}" in data else np.zeros(share.size)
            there = np.flatnonzero(share > 0.0)
            if not there.size:
                continue
            age = np.nan_to_num(hours[there].astype(np.float64))
            entered = np.searchsorted(edges, now - age * 3.6e9, side="right") - 1
            by_bin = np.bincount(np.clip(entered, 0, last), weights=share[there], minlength=last + 1)
            left += float(share[there].sum())
            rows.extend(
                {"obs_id": str(obs_id), "side": side, "time_bin": int(b), "share": float(by_bin[b])}
                for b in np.flatnonzero(by_bin)
            )
        # A column's shares add up to its pressure weights within the model, so their rest is not known.
        rest = max(0.0, 1.0 - left) if data.attrs.get("weighting") == "none" else 0.0
        rows.append({"obs_id": str(obs_id), "side": SIDES[-1], "time_bin": 0, "share": rest})
    return pa.Table.from_pylist(rows, schema=_BOUNDARY_SCHEMA()) if rows else None


def _BOUNDARY_SCHEMA() -> pa.Schema:
    import pyarrow as pa

    return pa.schema(
        [("obs_id", pa.string()), ("side", pa.string()), ("time_bin", pa.int32()), ("share", pa.float64())]
    )


def weigh_levels(data: xr.Dataset, weights: npt.ArrayLike, column: npt.ArrayLike) -> xr.Dataset:
    """Combine the footprints of release levels into those of columns.

    Parameters
    ----------
    data : xarray.Dataset
        Footprints of points at several heights; the levels of one column share their steps.
    weights : array_like, shape (receptor,)
        Averaging kernel times pressure weight of the level each receptor stands for. Levels that are left out
        (above the model's top) count with their prior in the observation operator.
    column : array_like of str, shape (receptor,)
        Observation to which each level belongs.

    Returns
    -------
    xarray.Dataset
        One receptor a column, ``weighting = "kernel"``: ``sum_k A_k w_k F_k``.

    Raises
    ------
    FormatError
        The footprints are weighted already, or it is not known whether they are.
    GridError
        Shapes do not fit, or the levels of a column have different steps.
    """
    import xarray as xr

    done = data.attrs.get("weighting", "unknown")
    if done != "none":
        said = "it is not known whether it is" if done == "unknown" else f"it is already ({done})"
        raise FormatError(
            f"{data.attrs.get('source_file', 'footprint')}: a kernel may be applied only to an unweighted "
            f"footprint; {said}. Say weighting='none' when opening the file if the values are unweighted"
        )
    weights, column = np.asarray(weights, dtype=np.float64), np.asarray(column, dtype=np.str_)
    n = data.sizes["receptor"]
    if weights.shape != (n,) or column.shape != (n,):
        raise GridError(
            f"weights and column need one value a receptor ({n}), found {weights.shape}, {column.shape}"
        )
    names, first = np.unique(column, return_index=True)
    out = data.isel(receptor=first).assign_coords(obs_id=("receptor", names))
    out["receptor_height"] = ("receptor", np.full(names.size, np.nan), data["receptor_height"].attrs)
    fields = [k for k in data.data_vars if k == "sensitivity" or str(k).startswith("share_")]
    values = {k: np.zeros(out[k].shape) for k in fields}
    for i, name in enumerate(names):
        levels = np.flatnonzero(column == name)
        for axis in ("step_start", "step_end"):
            if not (data[axis].values[levels] == data[axis].values[levels[0]]).all():
                raise GridError(f"the levels of {name!r} have different steps")
        for k in fields:
            values[k][i] = np.tensordot(weights[levels], data[k].values[levels], axes=1)
    drop = [k for k in data.data_vars if str(k).startswith("age_")]
    new = {k: (data[k].dims, v.astype(data[k].dtype), data[k].attrs) for k, v in values.items()}
    return xr.Dataset(
        out.drop_vars(drop).assign(new), attrs={**data.attrs, "column": 1, "weighting": "kernel"}
    )


@dataclass
class _Tally:
    """Running sums over the receptors of a file."""

    totals: list[float] = field(default_factory=list)
    first: Any = None
    last: Any = None
    steps: int = 0
    step_hours: float | None = None
    missing: int = 0
    unresolved: float = 0.0
    left: list[float] = field(default_factory=list)


def summary(footprints: FootprintFile) -> dict[str, Any]:
    """Return what a user wants to know of a footprint file, as plain values.

    Returns
    -------
    dict
        ``kind, format, model, unit, unit_in_file, receptor`` (the first), ``receptors`` (how many),
        ``total_sensitivity`` (mean over receptors) with its range, ``hours`` (resolved steps, their length,
        first and last hour, share unresolved), ``grid``, ``weighting``, ``boundary_share``, ``notes``.
    """
    tally = _Tally()
    for data in footprints.batches():
        values = data["sensitivity"].values
        by_step = values.sum(axis=(2, 3), dtype=np.float64)
        tally.totals += by_step.sum(axis=1).tolist()
        tally.missing += int(data.attrs["missing_receptors"])
        resolved = data["resolved"].values
        tally.unresolved += float(by_step[:, ~resolved].sum())
        tally.steps = max(tally.steps, int(resolved.sum()))
        if resolved.any() and len(values):
            start, end = data["step_start"].values[:, resolved], data["step_end"].values[:, resolved]
            tally.first = start.min() if tally.first is None else min(tally.first, start.min())
            tally.last = end.max() if tally.last is None else max(tally.last, end.max())
            tally.step_hours = float((end - start).flat[0] / np.timedelta64(1, "s")) / 3600.0
        sides = [data[f"share_{s}"] for s in CURTAINS if f"share_{s}" in data]
        if sides:
            tally.left += sum(s.values.sum(axis=(1, 2), dtype=np.float64) for s in sides).tolist()
    total = float(np.sum(tally.totals))
    first = footprints.receptors.iloc[0].to_dict()
    return {
        "file": str(footprints.path),
        "format": footprints.format,
        "kind": footprints.kind,
        "model": footprints.model,
        "species": footprints.species or "inert",
        "lifetime_hours": footprints.lifetime_hours,
        "unit": UNIT,
        "unit_in_file": footprints.unit,
        "receptors": len(footprints),
        "receptors_missing": tally.missing,
        "receptor": {k: (_iso(v) if k.startswith("time") else v) for k, v in first.items()},
        "receptor_last_time": _iso(footprints.receptors["time"].max()),
        "column": footprints.column,
        "weighting": footprints.weighting,
        "total_sensitivity": float(np.mean(tally.totals)) if tally.totals else float("nan"),
        "total_sensitivity_range": [
            min(tally.totals, default=float("nan")),
            max(tally.totals, default=float("nan")),
        ],
        "hours": {
            "resolved_steps": tally.steps,
            "step_hours": tally.step_hours,
            "first": None if tally.first is None else _iso(tally.first),
            "last": None if tally.last is None else _iso(tally.last),
            "unresolved_share": tally.unresolved / total if total else 0.0,
        },
        "grid": {
            **footprints.grid.to_dict(),
            "shape": list(footprints.grid.shape),
            "bounds": list(footprints.grid.bounds),
        },
        "boundary_share": float(np.mean(tally.left)) if tally.left else None,
        "notes": list(footprints.notes),
    }


def _iso(time: Any) -> str:
    return str(as_utc(time).astype("datetime64[s]"))
