"""Many small parts of a store into a few of a whole year each; readers see the same rows before, during and after."""

from __future__ import annotations

import contextlib
import math
import zlib
from collections.abc import Callable, Collection
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from obsnet.constants import species as species_of
from obsnet.errors import FormatError
from obsnet.holdings import HOLDS, WHOLE, held
from obsnet.parquet import write_whole
from obsnet.reading import reading
from obsnet.store import ObservationStore, checked_part

__all__ = ["compact"]

ROWS = 2_000_000  # of a part; in memory a few hundred bytes each


def compact(
    store: ObservationStore,
    species: str,
    source: str,
    *,
    rows: int = ROWS,
    report: Callable[[str], None] = lambda _line: None,
) -> dict[str, int]:
    """Merge the parts of a species and source by year, and by shard where a year has many rows.

    A whole-year part appears at once, and from then on what it was made of is ignored and removed (`obsnet.holdings`).
    Killed at any point, nothing is lost and nothing doubled; run again, it goes on. Nothing may write to the source
    meanwhile. Input files that are read again later are taken out of the whole-year parts by `ObservationStore.write`.

    Parameters
    ----------
    store : ObservationStore
        Changed in place.
    species, source : str
        Which.
    rows : int
        Of a part, about; a year that has whole-year parts keeps their number.
    report : callable
        Takes a line a year.

    Returns
    -------
    dict
        ``before, after`` (parts) and ``rows`` (that were moved).
    """
    folder = store.path / f"species={species_of(species).name}" / f"source={source}"
    total = {"before": 0, "after": 0, "rows": 0}
    for year in sorted(folder.glob("year=*")):
        single, moved, before = _compact_year(year, rows)
        after = len(list((year / WHOLE).glob("[!.]*.parquet")))
        if single:
            report(
                f"{source}, {year.name.removeprefix('year=')}: {before} parts into {after}, {moved} rows moved"
            )
        total = {
            "before": total["before"] + before,
            "after": total["after"] + after,
            "rows": total["rows"] + moved,
        }
    return total


def _compact_year(year: Path, rows: int) -> tuple[int, int, int]:
    """Compact one year's folder; return single parts, rows moved, and parts there were."""
    whole = {p.name: p for p in sorted((year / WHOLE).glob("[!.]*.parquet"))}
    inside = {name: held(p) for name, p in whole.items()}
    known = {i for ids in inside.values() for i in ids}
    everything = sorted(p for m in year.glob("month=*") if m.name != WHOLE for p in m.glob("[!.]*.parquet"))
    single = [p for p in everything if p.stem not in known]
    _remove(p for p in everything if p.stem in known)  # what a killed run left
    before = len(single) + len(whole)
    if not single:
        return 0, 0, before
    count = sum(pq.read_metadata(p).num_rows for p in single)
    shards = _number(whole) or math.ceil(count / rows)
    moved = 0
    for k in range(shards):
        mine = [p for p in single if _shard(p.stem, shards) == k]
        if not mine:
            continue
        name = f"{k + 1}of{shards}.parquet"
        ids = dict(inside.get(name, {}))
        for part in mine:
            ids[part.stem] = ids.get(part.stem, 0) + 1
        table = _merged([*([whole[name]] if name in whole else []), *mine])
        moved += len(table) - (pq.read_metadata(whole[name]).num_rows if name in whole else 0)
        write_whole(table, year / WHOLE / name, ids)
        _remove(mine)
    return len(single), moved, before


def _number(whole: Collection[str]) -> int:
    """Return into how many shards a year is divided already; 0 where it is not."""
    return max((int(name.removesuffix(".parquet").partition("of")[2]) for name in whole), default=0)


def _shard(file_id: str, shards: int) -> int:
    return zlib.crc32(file_id.encode()) % shards


def _merged(parts: Collection[Path]) -> pa.Table:
    """Return the rows of several parts, each verified, sorted by time, then identity."""
    tables = []
    for part in parts:
        footer, _ = checked_part(part)
        with reading(part, "Parquet"):
            tables.append(pq.ParquetFile(part, metadata=footer).read(use_threads=False))
    said = [_said(t) for t in tables]
    if any(one != said[0] for one in said):
        raise FormatError(f"{next(iter(parts)).parent}: parts of several contracts cannot be merged")
    table = pa.concat_tables(tables, promote_options="default")
    table = table.sort_by([("time", "ascending"), ("obs_id", "ascending")])
    return table.replace_schema_metadata(tables[0].schema.metadata)


def _said(table: pa.Table) -> dict[Any, Any]:
    return {k: v for k, v in (table.schema.metadata or {}).items() if k != HOLDS}


def _remove(parts: Any) -> None:
    for part in parts:
        part.unlink(missing_ok=True)
        with contextlib.suppress(OSError):  # others are still in it
            part.parent.rmdir()
