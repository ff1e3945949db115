"""The parts of a sparse Jacobian on disk: checked when written, found and put together when read."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from scipy import sparse

from obsnet import schema
from obsnet.atomic import atomic_path
from obsnet.errors import FormatError, SchemaError, nearest
from obsnet.parquet import read_table, write_table
from obsnet.reading import reading
from obsnet.schema import BACKGROUND, SENSITIVITY, SIDES, check_stored
from obsnet.seal import check_parquet, seal_parquet
from obsnet.typing import Ints, Texts
from obsnet.work.progress import counted

__all__ = ["VALUES", "RunIndex", "check_part", "positions", "refuse_repeats", "write_part"]

VALUES = ("background", "background_uncertainty", "fixed")
ROW_GROUP = 1 << 18  # rows read at a time: 5 MB


def write_part(
    path: Path, name: str, sensitivity: pa.Table, background: pa.Table | None, n_cell: int, n_time: int
) -> None:
    """Check and write both tables of a part; see `inversion.jacobian.store.JacobianStore.write_part`."""
    where = f"{path}: part {name!r}"
    sensitivity = _sorted_sensitivity(sensitivity, n_cell, n_time, where)
    beside = path / "background" / f"{name}.parquet"
    if background is None:
        beside.unlink(missing_ok=True)
    else:
        background = _checked_background(background, n_time, where)
        extra = set(background["obs_id"].to_pylist()) - set(sensitivity["obs_id"].unique().to_pylist())
        if extra:
            raise SchemaError(f"{where}: background of {min(extra)!r}, which has no sensitivity rows")
        write_table(background, beside)
    # The sensitivity file comes last: where it stands, the part is whole.
    with atomic_path(path / "sensitivity" / f"{name}.parquet") as temporary:
        pq.write_table(
            sensitivity,
            temporary,
            compression="zstd",
            compression_level=1,
            row_group_size=ROW_GROUP,
            use_dictionary=["obs_id"],
            write_statistics=False,
        )
        seal_parquet(temporary)


def check_part(path: Path, part: str) -> None:
    """Verify every byte of a part that is read.

    Raises
    ------
    FormatError, SchemaError
        A file is damaged, or of another contract or version.
    """
    for kind, contract in (("sensitivity", SENSITIVITY), ("background", BACKGROUND)):
        file = path / kind / f"{part}.parquet"
        if kind == "sensitivity" or file.exists():
            check_stored(check_parquet(file).schema.to_arrow_schema(), contract, str(file))


class RunIndex:
    """Where each observation's rows stand: runs of rows within row groups of parts."""

    def __init__(self, path: Path, parts: list[str], n_cell: int, n_time: int) -> None:
        self.path, self.parts, self.n_cell, self.n_time = path, parts, n_cell, n_time
        names: list[str] = []
        runs: list[tuple[Ints, ...]] = []
        known = 0
        for part_number, part in enumerate(counted(parts, "files of footprints, their index")):
            reader = self._open(part, ["obs_id"])
            for group in range(reader.num_row_groups):
                ids = _columns(reader, group, "obs_id")[0].combine_chunks()
                ids = ids.chunk(0) if isinstance(ids, pa.ChunkedArray) else ids
                codes = ids.indices.to_numpy(zero_copy_only=False)
                if codes.size == 0:
                    continue
                starts = np.flatnonzero(np.concatenate([[True], codes[1:] != codes[:-1]]))
                found = ids.dictionary.take(pa.array(codes[starts])).to_pylist()
                # An observation may run on into the next row group of its part.
                joined = bool(group) and bool(names) and found[0] == names[-1]
                number = known + np.arange(len(found)) - joined
                names.extend(found[joined:])
                known = len(names)
                lengths = np.diff(np.append(starts, codes.size))
                place = [np.full(starts.size, part_number), np.full(starts.size, group)]
                runs.append((number, *place, starts, lengths))
        self.obs_id = np.asarray(names, dtype=np.str_)
        refuse_repeats(self.obs_id, f"{path} (in two parts)")
        table = np.concatenate([np.stack(r) for r in runs], axis=1) if runs else np.zeros((5, 0), np.int64)
        self.run_obs, self.run_part, self.run_group, self.run_start, self.run_length = table

    def _open(self, part: str, columns: Collection[str] | None = None) -> pq.ParquetFile:
        path = self.path / "sensitivity" / f"{part}.parquet"
        footer = check_parquet(path, columns)
        check_stored(footer.schema.to_arrow_schema(), SENSITIVITY, str(path))
        with reading(path, "Parquet"):
            return pq.ParquetFile(path, metadata=footer, read_dictionary=["obs_id"])

    def rows(self, obs_ids: Sequence[str] | Texts | None) -> Ints:
        """Return positions in `obs_id`, sorted by identity or as asked."""
        if obs_ids is None:
            return np.argsort(self.obs_id, kind="stable")
        return positions(self.obs_id, obs_ids, str(self.path))

    def load(self, rows: Ints) -> dict[str, Any]:
        """Return the fields of the Jacobian of these observations, each run of rows read straight to its place."""
        n_column = self.n_cell * self.n_time
        where = np.full(self.obs_id.size, -1)
        where[rows] = np.arange(rows.size)
        runs = np.flatnonzero(where[self.run_obs] >= 0) if self.run_obs.size else np.zeros(0, np.int64)
        counts = np.zeros(rows.size, np.int64)
        np.add.at(counts, where[self.run_obs[runs]], self.run_length[runs])
        indptr = np.concatenate([[0], np.cumsum(counts)])
        wide = max(n_column, int(indptr[-1])) > np.iinfo(np.int32).max
        indices = np.empty(indptr[-1], dtype=np.int64 if wide else np.int32)
        data = np.empty(indptr[-1], dtype=np.float32)
        errors = None
        cursor = indptr[:-1].copy()
        order = np.lexsort((self.run_start[runs], self.run_group[runs], self.run_part[runs]))
        runs = runs[order]
        breaks = np.flatnonzero(np.diff(self.run_part[runs]) | np.diff(self.run_group[runs])) + 1
        part = -1
        for block in counted(np.split(runs, breaks) if runs.size else [], "blocks of footprints"):
            if part != self.run_part[block[0]]:
                part = int(self.run_part[block[0]])
                reader = self._open(self.parts[part])
            group = int(self.run_group[block[0]])
            time_bin, cell, value, stderr = _columns(
                reader, group, "time_bin", "cell", "sensitivity", "stderr"
            )
            column = time_bin.to_numpy().astype(indices.dtype) * self.n_cell + cell.to_numpy()
            value = value.to_numpy()
            if errors is None and stderr.null_count < len(stderr):
                errors = np.full(indptr[-1], np.nan, dtype=np.float32)
            for run in block:
                obs, start, length = where[self.run_obs[run]], self.run_start[run], self.run_length[run]
                target = slice(cursor[obs], cursor[obs] + length)
                indices[target] = column[start : start + length]
                data[target] = value[start : start + length]
                if errors is not None:
                    errors[target] = stderr.slice(start, length).to_numpy()
                cursor[obs] += length
        indptr = indptr.astype(indices.dtype)
        shape = (rows.size, n_column)
        stderr = None if errors is None else sparse.csr_array((errors, indices, indptr), shape=shape)
        return {
            "matrix": sparse.csr_array((data, indices, indptr), shape=shape),
            "obs_id": self.obs_id[rows],
            "stderr": stderr,
            **self._beside(where, rows.size, {self.parts[p] for p in np.unique(self.run_part[runs])}),
        }

    def _beside(self, where: Ints, n: int, parts: set[str]) -> dict[str, Any]:
        """Read boundary shares and background values of the observations that `where` places."""
        n_time = self.n_time
        place = {str(name): int(where[i]) for i, name in enumerate(self.obs_id) if where[i] >= 0}
        values = {name: np.full(n, np.nan) for name in VALUES}
        row, column, share = [], [], []
        for part in sorted(parts):
            path = self.path / "background" / f"{part}.parquet"
            if not path.exists():
                continue
            table = read_table(path, BACKGROUND)
            at = np.array([place.get(name, -1) for name in table["obs_id"].to_pylist()], dtype=np.int64)
            keep = at >= 0
            side = np.array([SIDES.index(s) for s in table["side"].to_pylist()], dtype=np.int64)
            row.append(at[keep])
            column.append((side * n_time + table["time_bin"].to_numpy())[keep])
            share.append(table["share"].to_numpy()[keep])
            for name, out in values.items():
                out[at[keep]] = table[name].to_numpy()[keep]
        boundary = None
        if row:
            triple = (np.concatenate(share), (np.concatenate(row), np.concatenate(column)))
            boundary = sparse.csr_array(sparse.coo_array(triple, shape=(n, len(SIDES) * n_time)))
            boundary.sum_duplicates()
        return {"boundary": boundary, **{k: v if np.isfinite(v).any() else None for k, v in values.items()}}


def _columns(reader: pq.ParquetFile, group: int, *names: str) -> list[pa.ChunkedArray]:
    try:
        table = reader.read_row_group(group, columns=list(names), use_threads=False)
        return [table[name] for name in names]
    except (pa.ArrowInvalid, OSError) as error:
        raise FormatError(
            f"Jacobian part cannot be read ({error}); delete it and run its task again"
        ) from error


def _sorted_sensitivity(table: pa.Table, n_cell: int, n_time: int, where: str) -> pa.Table:
    table = schema.check(table, SENSITIVITY, where)
    for name, n in (("time_bin", n_time), ("cell", n_cell)):
        values = table[name].to_numpy()
        if values.size and (values.min() < 0 or values.max() >= n):
            raise SchemaError(
                f"{where}: {name} must lie within 0 and {n - 1}, found {values.min()} to {values.max()}"
            )
    if not np.isfinite(table["sensitivity"].to_numpy()).all():
        raise SchemaError(f"{where}: sensitivities must be finite")
    # Sorting codes of sorted names is many times faster than sorting the names.
    ids = table["obs_id"].combine_chunks().dictionary_encode()
    ids = ids.combine_chunks() if isinstance(ids, pa.ChunkedArray) else ids
    names = np.asarray(ids.dictionary.to_pylist(), dtype=np.str_)
    rank = np.empty(names.size, np.int64)
    rank[np.argsort(names, kind="stable")] = np.arange(names.size)
    obs = rank[ids.indices.to_numpy(zero_copy_only=False)] if len(table) else np.zeros(0, np.int64)
    flat = table["time_bin"].to_numpy().astype(np.int64) * n_cell + table["cell"].to_numpy()
    if np.any((np.diff(obs) < 0) | ((np.diff(obs) == 0) & (np.diff(flat) < 0))):
        order = np.lexsort((flat, obs))
        table, obs, flat = table.take(pa.array(order)), obs[order], flat[order]
    twice = np.flatnonzero((np.diff(obs) == 0) & (np.diff(flat) == 0))
    if twice.size:
        row = table.slice(int(twice[0]), 1).to_pylist()[0]
        raise SchemaError(
            f"{where}: {row['obs_id']!r} has two sensitivities in bin {row['time_bin']}, cell {row['cell']}"
        )
    return table


def _checked_background(table: pa.Table, n_time: int, where: str) -> pa.Table:
    table = schema.check(table, BACKGROUND, where)
    for side in table["side"].unique().to_pylist():
        if side not in SIDES:
            raise SchemaError(f"{where}: unknown side {side!r}{nearest(side, SIDES)}")
    bins, share = table["time_bin"].to_numpy(), table["share"].to_numpy()
    if bins.size and (bins.min() < 0 or bins.max() >= n_time):
        raise SchemaError(f"{where}: background time_bin must lie within 0 and {n_time - 1}")
    if not (np.isfinite(share).all() and (share >= -1e-9).all()):
        raise SchemaError(f"{where}: shares must be finite and not negative")
    names = ["obs_id", *VALUES]
    columns = [table["obs_id"], *(_comparable(table[n]) for n in VALUES)]
    values = pa.table(dict(zip(names, columns, strict=True))).group_by(names)
    refuse_repeats(
        np.asarray(values.aggregate([])["obs_id"].to_pylist(), np.str_), f"{where} (two background values)"
    )
    return table


def _comparable(column: pa.ChunkedArray) -> pa.ChunkedArray:
    """Return a column in which all that is missing is alike: not every Arrow puts nulls, or NaN, into one group."""
    return pc.if_else(pc.fill_null(pc.is_finite(column), False), column, -np.finfo(np.float64).max)


def positions(have: Texts, want: Sequence[str] | Texts, where: str) -> Ints:
    """Return where the wanted names stand, or say which are missing."""
    asked = np.asarray(want, dtype=np.str_)
    refuse_repeats(asked, "the list of observations asked for")
    place = {name: i for i, name in enumerate(have.tolist())}
    missing = [name for name in asked.tolist() if name not in place]
    if missing:
        raise SchemaError(
            f"{where}: no footprint of {len(missing)} of {asked.size} observations, the first "
            f"{missing[0]!r}{nearest(missing[0], have[:20000])}"
        )
    return np.array([place[name] for name in asked.tolist()], dtype=np.int64)


def refuse_repeats(names: Texts, where: str) -> None:
    """Raise SchemaError where a name occurs more than once."""
    unique, counts = np.unique(names, return_counts=True)
    if unique.size < names.size:
        twice = unique[counts > 1]
        raise SchemaError(
            f"{where}: {twice.size} observations occur more than once, the first {str(twice[0])!r}"
        )
