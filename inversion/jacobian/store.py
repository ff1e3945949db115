"""The sparse Jacobian: what each observation feels of each cell in each flux time bin, on disk and in memory.

On disk a folder::

    meta.json                     version, species, unit, grid, time_edges, model, kind, ...
    sensitivity/<part>.parquet    contract `obsnet.schema.SENSITIVITY`
    background/<part>.parquet     contract `obsnet.schema.BACKGROUND`, where the transport model knows it

A part is what one task wrote. Parts appear whole or not at all, so several processes may write at once, and a
killed job goes on with the parts that are missing. An observation lives in one part; one that nothing on the
grid touches is kept as a single row of sensitivity 0.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
from scipy import sparse

from inversion.jacobian.parts import (
    VALUES,
    RunIndex,
    positions,
    refuse_repeats,
    write_part,
)
from obsnet import schema
from obsnet.atomic import write_text
from obsnet.errors import FormatError, GridError, SchemaError, UnitError
from obsnet.grid import Grid
from obsnet.schema import SIDES
from obsnet.seal import read_json, sealed_json
from obsnet.typing import Floats, Ints, Texts, Times
from obsnet.units import conversion_factor

__all__ = ["KINDS", "UNIT", "Jacobian", "JacobianStore"]

UNIT = "ppm / (umol m-2 s-1)"  # the same number as ppb / (nmol m-2 s-1)
KINDS = ("computed", "read", "emulated")
_PART = re.compile(r"[A-Za-z0-9][A-Za-z0-9._+-]*")


@dataclass(frozen=True, eq=False)
class Jacobian:
    """Sensitivities of observations to fluxes, sparse.

    Parameters
    ----------
    matrix : scipy.sparse.csr_array of float32, shape (n_obs, n_time * grid.size)
        Column ``bin * grid.size + cell``, in `unit`, extensive per cell: a modelled enhancement in ppm is
        ``matrix @ flux`` with the flux density in umol m-2 s-1, without areas or hours.
    obs_id : ndarray of str, shape (n_obs,)
        Unique.
    grid : Grid
        Flux cells.
    time_edges : ndarray of datetime64[us], shape (n_time + 1,)
        Flux time bins, UTC.
    unit : str
        Some spelling of ppm / (umol m-2 s-1).
    stderr : csr_array or None
        Monte-Carlo standard error at the same positions; NaN where unknown.
    boundary : csr_array or None, shape (n_obs, 6 * n_time)
        Share of the air that came through each side; column ``side * n_time + bin``, sides as in `SIDES`.
        ``inside`` is air that was still in the domain where the particles end.
    background, background_uncertainty : ndarray of float64 or None, shape (n_obs,)
        Known background value, NaN where there is none.
    fixed : ndarray of float64 or None, shape (n_obs,)
        Part of the modelled value that is neither inflow nor flux: what a column takes from its retrieval's
        prior.

    Raises
    ------
    GridError, SchemaError, UnitError
        Shapes that do not fit together, repeated observations, another unit.
    """

    matrix: sparse.csr_array
    obs_id: Texts
    grid: Grid
    time_edges: Times
    unit: str = UNIT
    stderr: sparse.csr_array | None = None
    boundary: sparse.csr_array | None = None
    background: Floats | None = None
    background_uncertainty: Floats | None = None
    fixed: Floats | None = None

    def __post_init__(self) -> None:
        _check_unit(self.unit)
        object.__setattr__(self, "obs_id", np.asarray(self.obs_id, dtype=np.str_))
        object.__setattr__(self, "time_edges", _check_edges(self.time_edges))
        n = self.obs_id.size
        wanted = {
            "matrix": (n, self.n_time * self.grid.size),
            "stderr": (n, self.n_time * self.grid.size),
            "boundary": (n, len(SIDES) * self.n_time),
            "background": (n,),
            "background_uncertainty": (n,),
            "fixed": (n,),
        }
        for name, shape in wanted.items():
            value = getattr(self, name)
            if value is not None and tuple(value.shape) != shape:
                raise GridError(f"Jacobian.{name} must have shape {shape}, found {tuple(value.shape)}")
        refuse_repeats(self.obs_id, "the Jacobian")

    @property
    def n_time(self) -> int:
        """Count of flux time bins."""
        return self.time_edges.size - 1

    def select(self, obs_ids: Sequence[str] | Texts) -> Jacobian:
        """Return the rows of these observations, in the order asked.

        Raises
        ------
        SchemaError
            An observation is not here, or is asked for twice.
        """
        rows = positions(self.obs_id, obs_ids, "the Jacobian")
        return Jacobian(
            matrix=self.matrix[rows],
            obs_id=self.obs_id[rows],
            grid=self.grid,
            time_edges=self.time_edges,
            unit=self.unit,
            **{k: None if (v := getattr(self, k)) is None else v[rows] for k in _BESIDE},
        )

    def coarsen(self, *, grid: Grid | None = None, time_edges: npt.ArrayLike | None = None) -> Jacobian:
        """Return the Jacobian on coarser cells and time bins: sensitivities **sum**.

        Parameters
        ----------
        grid : Grid, optional
            Every edge must be an edge of the present grid and the outer edges the same, for instance
            ``Grid(g.lat_edges[::2], g.lon_edges[::2])``.
        time_edges : array_like of datetime64, optional
            Likewise.

        Returns
        -------
        Jacobian
            The sum over all columns of a row stays the same. Standard errors combine in quadrature, as of
            independent cells: too small where the same particles cross several of the merged cells.

        Raises
        ------
        GridError
            Edges that cut through present cells or bins, or that leave some out.
        """
        new = grid or self.grid
        edges = self.time_edges if time_edges is None else _check_edges(time_edges)
        row = _merge(self.grid.lat_edges, new.lat_edges, "latitude")
        column = _merge(self.grid.lon_edges, new.lon_edges, "longitude")
        cells = (row[:, None] * new.shape[1] + column[None, :]).ravel()
        bins = _merge(self.time_edges.astype(np.int64), edges.astype(np.int64), "time")
        n = edges.size - 1
        flat = (bins[:, None] * new.size + cells[None, :]).ravel()
        sides = (np.arange(len(SIDES))[:, None] * n + bins[None, :]).ravel()
        stderr = None
        if self.stderr is not None:
            stderr = _sum_columns(self.stderr.power(2), flat, n * new.size)
            stderr.data = np.sqrt(stderr.data)
        return Jacobian(
            matrix=_sum_columns(self.matrix, flat, n * new.size),
            obs_id=self.obs_id,
            grid=new,
            time_edges=edges,
            unit=self.unit,
            stderr=stderr,
            boundary=None if self.boundary is None else _sum_columns(self.boundary, sides, len(SIDES) * n),
            background=self.background,
            background_uncertainty=self.background_uncertainty,
            fixed=self.fixed,
        )

    def tables(self) -> tuple[pa.Table, pa.Table | None]:
        """Return the sensitivity table and the background table (None where nothing is known)."""
        matrix = self.matrix.copy()
        matrix.sort_indices()
        counts = np.diff(matrix.indptr)
        empty = np.flatnonzero(counts == 0)
        row = np.concatenate([np.repeat(np.arange(counts.size), counts), empty])
        column = np.concatenate([matrix.indices, np.zeros(empty.size, matrix.indices.dtype)])
        data = {
            "obs_id": self.obs_id[row],
            "time_bin": (column // self.grid.size).astype(np.int32),
            "cell": (column % self.grid.size).astype(np.int32),
            "sensitivity": np.concatenate([matrix.data, np.zeros(empty.size)]).astype(np.float32),
        }
        if self.stderr is not None:
            stderr = self.stderr.copy()
            stderr.sort_indices()
            if not np.array_equal(stderr.indices, matrix.indices) or not np.array_equal(
                stderr.indptr, matrix.indptr
            ):
                raise SchemaError("standard errors must stand at the positions of the sensitivities")
            filled = np.concatenate([stderr.data, np.zeros(empty.size)]).astype(np.float32)
            data["stderr"] = pa.array(filled, from_pandas=True)
        if self.boundary is None and all(getattr(self, name) is None for name in VALUES):
            return pa.table(data), None
        shares = (
            self.boundary
            if self.boundary is not None
            else sparse.csr_array((self.obs_id.size, 6 * self.n_time))
        )
        shares = sparse.csr_array(shares)
        counts = np.diff(shares.indptr)
        bare = np.flatnonzero(counts == 0)
        row = np.concatenate([np.repeat(np.arange(counts.size), counts), bare])
        column = np.concatenate([shares.indices, np.full(bare.size, SIDES.index("inside") * self.n_time)])
        beside = {
            "obs_id": self.obs_id[row],
            "side": np.asarray(SIDES)[column // self.n_time],
            "time_bin": (column % self.n_time).astype(np.int32),
            "share": np.concatenate([shares.data, np.zeros(bare.size)]).astype(np.float64),
        }
        for name in VALUES:
            value = getattr(self, name)
            if value is not None:
                beside[name] = pa.array(np.asarray(value, dtype=np.float64)[row], from_pandas=True)
        return pa.table(data), pa.table(beside)


_BESIDE = ("stderr", "boundary", *VALUES)


class JacobianStore:
    """A Jacobian on disk, written in parts and read whole, in rows or in batches.

    Parameters
    ----------
    path : path
        Folder; made by `create`.
    """

    def __init__(self, path: str | Path) -> None:
        self.path = Path(path)

    def __repr__(self) -> str:
        return f"JacobianStore({str(self.path)!r})"

    def create(self, meta: Mapping[str, Any]) -> JacobianStore:
        """Make the store, or go on with one that was made alike.

        Parameters
        ----------
        meta : mapping
            ``grid`` (Grid or its dict), ``time_edges`` (datetime64 or ISO text), ``kind`` (one of `KINDS`),
            ``model`` (name of the transport model); optionally ``unit``, ``species`` (None for an inert
            tracer) and anything that JSON holds.

        Returns
        -------
        JacobianStore
            This store.

        Raises
        ------
        SchemaError
            A required entry is missing, or the store was made with another grid, time axis, unit or species.
        """
        wanted = _normal_meta(meta, str(self.path))
        target = self.path / "meta.json"
        if not target.exists():
            write_text(target, sealed_json(wanted))
        found = self.meta
        for name in ("grid", "time_edges", "unit", "species", "kind", "model"):
            if found[name] != wanted[name]:
                raise SchemaError(
                    f"{self.path}: this store was made with {name} {_short(found[name])}, asked for "
                    f"{_short(wanted[name])}; write to another folder"
                )
        return self

    @property
    def meta(self) -> dict[str, Any]:
        """What `create` wrote, checked."""
        target = self.path / "meta.json"
        try:
            data = read_json(target)
        except FileNotFoundError:
            raise FormatError(f"{self.path}: no Jacobian here (meta.json is missing)") from None
        if data.get("version") != schema.VERSION:
            raise FormatError(f"{target}: not a Jacobian of version {schema.VERSION}")
        return _normal_meta(data, str(target))

    @property
    def grid(self) -> Grid:
        """Flux cells."""
        return Grid.from_dict(self.meta["grid"])

    @property
    def time_edges(self) -> Times:
        """Edges of the flux time bins, shape (n_time + 1,)."""
        return _check_edges(self.meta["time_edges"])

    def write_part(self, name: str, sensitivity: pa.Table, background: pa.Table | None = None) -> None:
        """Write what one task made; a part of the same name is replaced.

        Parameters
        ----------
        name : str
            Letters, digits and ``. _ + -``.
        sensitivity : pyarrow.Table
            `schema.SENSITIVITY`, in any order; stored sorted by observation, bin and cell.
        background : pyarrow.Table, optional
            `schema.BACKGROUND`, of observations in `sensitivity`.

        Raises
        ------
        SchemaError
            Bins or cells outside the store's axes, values that are not finite, a position given twice, an
            unknown side, two background values for one observation.
        """
        where = f"{self.path}: part {name!r}"
        if not _PART.fullmatch(name):
            raise SchemaError(f"{where}: a part's name is made of letters, digits and . _ + -")
        write_part(self.path, name, sensitivity, background, self.grid.size, self.time_edges.size - 1)

    def write(self, name: str, jacobian: Jacobian) -> None:
        """Write a Jacobian as one part; its grid and time axis must be the store's."""
        if jacobian.grid != self.grid or not np.array_equal(jacobian.time_edges, self.time_edges):
            raise GridError(f"{self.path}: part {name!r} is on another grid or time axis than this store")
        self.write_part(name, *jacobian.tables())

    def parts(self) -> list[str]:
        """Return the names of the parts that are whole, sorted."""
        return sorted(p.stem for p in (self.path / "sensitivity").glob("[!.]*.parquet"))

    def obs_ids(self) -> Texts:
        """Return the observations, sorted."""
        return np.sort(self._index().obs_id)

    def read(self, obs_ids: Sequence[str] | Texts | None = None) -> Jacobian:
        """Read the Jacobian; memory is the result and one row group of one part.

        Parameters
        ----------
        obs_ids : sequence of str, optional
            Only these observations, in this order; otherwise all, sorted by their identity.

        Raises
        ------
        SchemaError
            An observation is missing, asked for twice or stands in two parts.
        FormatError
            A part is damaged.
        """
        index = self._index()
        return self._load(index, index.rows(obs_ids))

    def batches(self, size: int, obs_ids: Sequence[str] | Texts | None = None) -> Iterator[Jacobian]:
        """Yield the Jacobian `size` observations at a time, in the order of `read`."""
        index = self._index()
        rows = index.rows(obs_ids)
        for start in range(0, rows.size, size):
            yield self._load(index, rows[start : start + size])

    def _index(self) -> RunIndex:
        return RunIndex(self.path, self.parts(), self.grid.size, self.time_edges.size - 1)

    def _load(self, index: RunIndex, rows: Ints) -> Jacobian:
        return Jacobian(
            grid=self.grid, time_edges=self.time_edges, unit=self.meta["unit"], **index.load(rows)
        )


def _check_edges(edges: npt.ArrayLike) -> Times:
    out = np.asarray(edges).astype("datetime64[us]")
    if out.ndim != 1 or out.size < 2 or np.isnat(out).any() or (np.diff(out) <= np.timedelta64(0, "s")).any():
        raise GridError(f"time_edges must be two or more increasing times, found {out.size} of them")
    return out


def _check_unit(unit: str) -> None:
    factor = conversion_factor(unit, UNIT)
    if factor != 1.0:
        raise UnitError(f"sensitivities are kept in {UNIT}; {unit!r} is {factor:g} times that, convert first")


def _normal_meta(meta: Mapping[str, Any], where: str) -> dict[str, Any]:
    missing = [name for name in ("grid", "time_edges", "kind", "model") if name not in meta]
    if missing:
        raise SchemaError(f"{where}: the Jacobian's meta lacks {', '.join(missing)}")
    if meta["kind"] not in KINDS:
        raise SchemaError(f"{where}: kind {meta['kind']!r} is not one of {', '.join(KINDS)}")
    grid = meta["grid"] if isinstance(meta["grid"], Grid) else Grid.from_dict(meta["grid"])
    unit = str(meta.get("unit", UNIT))
    _check_unit(unit)
    return {
        "version": schema.VERSION,
        **meta,
        "species": meta.get("species"),
        "unit": unit,
        "grid": grid.to_dict(),
        "time_edges": _check_edges(meta["time_edges"]).astype(str).tolist(),
    }


def _merge(old: npt.NDArray, new: npt.NDArray, name: str) -> Ints:
    """Return the new interval of each old one, or say which edge does not fit."""
    stray = new[~np.isin(new, old)]
    if stray.size or new[0] != old[0] or new[-1] != old[-1]:
        text = f"edge {stray[0]} is none of the present ones" if stray.size else "the outer edges differ"
        raise GridError(f"coarsening merges whole cells: {name} {text}")
    return np.searchsorted(new, old[:-1], side="right") - 1


def _sum_columns(matrix: sparse.csr_array, target: Ints, n: int) -> sparse.csr_array:
    """Return the matrix with its columns added up into `target`, summed in float64."""
    out = sparse.csr_array(
        (matrix.data.astype(np.float64), target[matrix.indices], matrix.indptr), shape=(matrix.shape[0], n)
    )
    out.sum_duplicates()
    return out.astype(matrix.dtype)


def _short(value: Any) -> str:
    text = json.dumps(value, ensure_ascii=False)
    return text if len(text) <= 100 else f"{text[:60]} … {text[-30:]}"
