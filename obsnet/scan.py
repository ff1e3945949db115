"""Rows of one Parquet part that a time, a box and a quality choose.

Row groups whose statistics rule them out are not touched; of the others the columns that decide are read first, and the
rest only where rows remain. What is read is verified, and nothing else.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from obsnet import schema
from obsnet.reading import reading
from obsnet.seal import check_parquet
from obsnet.typing import Bools

__all__ = ["Choice", "Hits", "find_hits", "sorted_rows", "take_columns"]


@dataclass(frozen=True)
class Choice:
    """What is asked of rows.

    Parameters
    ----------
    start, stop : datetime64[us], optional
        Half-open interval of the middle time, UTC.
    bounds : (south, north, west, east), optional
        Degrees, inclusive; west > east crosses the dateline.
    good_only : bool
        Only rows with quality 0.
    where : pyarrow.compute.Expression, optional
        A further condition.
    """

    start: np.datetime64 | None = None
    stop: np.datetime64 | None = None
    bounds: tuple[float, float, float, float] | None = None
    good_only: bool = False
    where: Any = None

    @property
    def deciding(self) -> list[str]:
        """Columns that are looked at; of a condition nobody knows which it names."""
        if self.where is not None:
            return [n for n in schema.OBSERVATIONS.schema.names if n not in schema.PROFILES]
        timed = self.start is not None or self.stop is not None
        placed = self.bounds is not None
        asked = {"time": timed, "latitude": placed, "longitude": placed, "quality": self.good_only}
        return [name for name, is_asked in asked.items() if is_asked]

    def may_hold(self, group: pq.RowGroupMetaData, numbers: dict[str, int]) -> bool:
        """Tell whether a row group may hold such rows, from its statistics."""

        def span(name: str) -> tuple[Any, Any] | None:
            found = group.column(numbers[name]).statistics
            return (found.min, found.max) if found is not None and found.has_min_max else None

        if (self.start is not None or self.stop is not None) and (times := span("time")):
            first, last = (np.datetime64(t, "us") for t in times)
            if (self.start is not None and last < self.start) or (
                self.stop is not None and first >= self.stop
            ):
                return False
        if self.bounds is None:
            return True
        south, north, west, east = self.bounds
        if (found := span("latitude")) and (found[1] < south or found[0] > north):
            return False
        found = span("longitude")
        if found is None:
            return True
        beyond_west, beyond_east = found[1] < west, found[0] > east
        return not ((beyond_west or beyond_east) if west <= east else (beyond_west and beyond_east))

    def of(self, table: pa.Table) -> Bools | None:
        """Return which rows of a table with the deciding columns are meant; None: all."""
        masks = []
        if self.start is not None or self.stop is not None:
            time = table["time"].to_numpy()
            masks += [time >= self.start] if self.start is not None else []
            masks += [time < self.stop] if self.stop is not None else []
        if self.bounds is not None:
            south, north, west, east = self.bounds
            latitude, longitude = table["latitude"].to_numpy(), table["longitude"].to_numpy()
            masks += [latitude >= south, latitude <= north]
            inside_west, inside_east = longitude >= west, longitude <= east
            masks += [inside_west & inside_east if west <= east else inside_west | inside_east]
        if self.good_only:
            masks.append(table["quality"].to_numpy() == 0)
        if self.where is not None:
            numbered = table.append_column("row", pa.array(np.arange(len(table)))).filter(self.where)
            here = np.zeros(len(table), dtype=bool)
            here[numbered["row"].to_numpy()] = True
            masks.append(here)
        if not masks:
            return None
        chosen: Bools = np.logical_and.reduce(masks)
        return None if chosen.all() else chosen


@dataclass(frozen=True)
class Hits:
    """Rows that were found in a part.

    Parameters
    ----------
    path : Path
        Of the part.
    footer : pyarrow.parquet.FileMetaData
        Of it, verified.
    said : dict of str to str
        Columns that its folders name.
    groups : list of int
        Row groups with such rows.
    rows : ndarray of bool, optional
        Which of those groups' rows; all where None.
    """

    path: Path
    footer: pq.FileMetaData
    said: dict[str, str]
    groups: list[int]
    rows: Bools | None


def find_hits(path: Path, footer: pq.FileMetaData, said: dict[str, str], choice: Choice) -> Hits | None:
    """Return the rows of a part that are meant, or None where there are none.

    Parameters
    ----------
    path : Path
        Part.
    footer : pyarrow.parquet.FileMetaData
        Of it, verified.
    said : dict of str to str
        Columns that its folders name.
    choice : Choice
        What is asked.
    """
    numbers = {footer.schema.column(i).path: i for i in range(footer.num_columns)}
    groups = [k for k in range(footer.num_row_groups) if choice.may_hold(footer.row_group(k), numbers)]
    if not groups or not choice.deciding:
        return Hits(path, footer, said, groups, None) if groups else None
    table = take_columns(Hits(path, footer, said, groups, None), choice.deciding)
    rows = choice.of(table)
    if rows is None:
        return Hits(path, footer, said, groups, None)
    ends = np.cumsum([footer.row_group(k).num_rows for k in groups])
    each = np.split(rows, ends[:-1])
    kept = [(k, mask) for k, mask in zip(groups, each, strict=True) if mask.any()]
    if not kept:
        return None
    return Hits(path, footer, said, [k for k, _ in kept], np.concatenate([mask for _, mask in kept]))


def take_columns(hits: Hits, columns: Sequence[str]) -> pa.Table:
    """Read columns of the rows that were found, verified; as the contract has them.

    Parameters
    ----------
    hits : Hits
        See `find_hits`.
    columns : sequence of str
        Of the contract, and ``year`` and ``month``.
    """
    stored: Collection[str] = hits.footer.schema.to_arrow_schema().names
    here = [c for c in columns if c in stored and c not in hits.said]
    check_parquet(hits.path, here, hits.groups)
    with reading(hits.path, "Parquet"), pq.ParquetFile(hits.path, metadata=hits.footer) as file:
        table = file.read_row_groups(hits.groups, columns=here, use_threads=False)
        table.validate(full=True)
    rows = sum(hits.footer.row_group(k).num_rows for k in hits.groups)
    if hits.rows is not None:
        table, rows = table.filter(pa.array(hits.rows)), int(hits.rows.sum())
    found = []
    for name in columns:
        kind = schema.OBSERVATIONS.schema.field(name).type if name not in ("year", "month") else pa.int32()
        if name in hits.said:
            found.append(pa.repeat(pa.scalar(hits.said[name], pa.string()).cast(kind), rows))
        elif name in here:
            found.append(table[name].cast(kind))
        else:  # written before the contract had it
            found.append(pa.nulls(rows, kind))
    return pa.table(found, schema=pa.schema([(n, c.type) for n, c in zip(columns, found, strict=True)]))


def sorted_rows(hits: Sequence[Hits], columns: Sequence[str], pool: ThreadPoolExecutor) -> pa.Table:
    """Read columns of the rows found, sorted by time, then identity.

    Identities are read only where two rows share a time; moving profiles about costs more than seeing that they are
    in order.
    """
    times = [take_columns(h, ["time"])["time"].to_numpy() for h in hits]
    earliest = sorted((k for k, t in enumerate(times) if t.size), key=lambda k: times[k].min())
    hits, times = [hits[k] for k in earliest], [times[k] for k in earliest]
    time = np.concatenate(times) if times else np.zeros(0, dtype="datetime64[us]")
    if not hits:
        kinds = {n: schema.OBSERVATIONS.schema.field(n).type for n in columns}
        return pa.schema(kinds.items()).empty_table()

    def read(names: Sequence[str]) -> pa.Table:
        return pa.concat_tables(pool.map(lambda h: take_columns(h, names), hits))

    if (time[1:] > time[:-1]).all():
        return read(columns)
    keys = pa.table({"time": time})
    if np.unique(time).size < time.size:
        keys = keys.append_column("obs_id", read(["obs_id"])["obs_id"])
    order = pc.sort_indices(keys, [(name, "ascending") for name in keys.column_names]).to_numpy()
    table = read(columns)
    return table if (np.diff(order) == 1).all() else table.take(pa.array(order))
