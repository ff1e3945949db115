"""Rows that several files of one record hold: they count once, in the file that ends later."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from obsnet.constants import species as species_of
from obsnet.schema import Quality
from obsnet.store import ObservationStore

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["settle"]

Row = Mapping[str, Any]  # of the granule index
_MARK = "are in a file that ends later too and count there (flagged 'elsewhere')"
_NOTE = re.compile(rf"(; )?\d+ rows {re.escape(_MARK)}: [^;]*")
_AGAIN = r"#\d+$"  # what tells rows of one file apart
_TIMES = ("time_start", "time_end")
_PLACE = 0.01  # degrees; files of one site agree to this


def settle(
    store: ObservationStore, rows: Sequence[Row], touched: Collection[str]
) -> tuple[list[dict[str, Any]], dict[str, str]]:
    """Let each observation count in one file only.

    What counts is decided by what all files hold, whatever the order in which they were read: of rows that would be
    used, that of the file with the latest end (then the last name). The observation's rows in other files get the
    bit ``ELSEWHERE``; where that file is gone, they lose it again. Rows of one intake are of one observation where more
    than half of the shorter one's time is the other's too (stamps a second apart, hours and half hours); samples where
    they have one name.

    Parameters
    ----------
    store : ObservationStore
        Parts of the files that lose or win rows are written again.
    rows : sequence of mapping
        The granule index, of the files that are to be looked at.
    touched : collection of str
        Paths of files that were read just now.

    Returns
    -------
    changed : list of dict
        Rows of the index with other counts of good rows, or other notes.
    elsewhere : dict of str to str
        By path what is said of rows that count in another file.
    """
    done = [r for r in rows if r["status"] == "done" and r["species"]]
    changed: list[dict[str, Any]] = []
    elsewhere: dict[str, str] = {}
    for files in _groups(done):
        marked = any(_MARK in (f["notes"] or "") for f in files)
        if marked or (len(files) > 1 and any(f["path"] in touched for f in files)):
            found, told = _settled(store, files)
            changed, elsewhere = changed + found, elsewhere | told
    return changed, elsewhere


def _groups(files: Sequence[Row]) -> Iterator[list[Row]]:
    """Yield files that share place and time, directly or through others, by a sweep over latitude."""
    from scipy.sparse import coo_array
    from scipy.sparse.csgraph import connected_components

    low, high = (np.array([f[n] for f in files], dtype="datetime64[us]") for n in ("time_start", "time_end"))
    south, north, west, east = (
        np.array([f[n] for f in files], dtype=float) for n in ("south", "north", "west", "east")
    )
    pairs, active = [], np.array([], dtype=int)
    for i in np.argsort(south):
        active = active[north[active] + _PLACE >= south[i]]
        beside = (west[active] - _PLACE <= east[i]) & (west[i] - _PLACE <= east[active])
        met = active[beside & (low[active] <= high[i]) & (low[i] <= high[active])]
        pairs += [(i, j) for j in met]
        active = np.append(active, i)
    one, other = np.array(pairs, dtype=int).reshape(-1, 2).T
    graph = coo_array((np.ones(len(one)), (one, other)), shape=(len(files), len(files)))
    label = connected_components(graph, directed=False)[1]
    for group in np.split(np.argsort(label, kind="stable"), np.cumsum(np.bincount(label))[:-1]):
        yield [files[i] for i in group]


def _settled(store: ObservationStore, files: Sequence[Row]) -> tuple[list[dict[str, Any]], dict[str, str]]:
    """Flag the rows of some files; see `settle`."""
    order = [f["file_id"] for f in sorted(files, key=lambda f: (f["time_end"], f["path"]))]
    folders = {p.parts[-5:-3] for p in store.parts_of(order) if p.parts[-5].startswith("species=")}
    lost: dict[str, list[str]] = {}
    good = {f["file_id"]: f["good"] for f in files}
    for gas, source in (tuple(name.partition("=")[2] for name in pair) for pair in sorted(folders)):
        where = pc.field("file_id").isin(order)
        columns = ["obs_id", "file_id", "quality", "value", "platform", "intake_height_m", *_TIMES]
        table = store.read(gas, source=source, columns=columns, where=where).to_pandas()
        right, told = _decided(table, order)
        for name, (count, text) in told.items():
            lost.setdefault(name, []).append(f"{count} rows {_MARK}: {text} {species_of(gas).unit_name}")
        for name, part in table[right != table["quality"]].groupby("file_id"):
            _write(store, gas, source, str(name), dict(zip(part["obs_id"], right[part.index], strict=True)))
            good[name] += int((right[part.index] == 0).sum() - (part["quality"] == 0).sum())
    found, elsewhere = [], {}
    for row in files:
        own = lost.get(row["file_id"], [])
        if own:
            elsewhere[row["path"]] = "; ".join(own)
        kept = _NOTE.sub("", row["notes"] or "").removeprefix("; ")
        notes = "; ".join(filter(None, [kept, *own])) or None
        if notes != row["notes"] or good[row["file_id"]] != row["good"]:
            found.append({**row, "notes": notes, "good": good[row["file_id"]]})
    return found, elsewhere


def _decided(table: pd.DataFrame, order: Sequence[str]) -> tuple[pd.Series, dict[str, tuple[int, str]]]:
    """Return what the quality of each row should be, and by file how many rows count elsewhere and how they differ."""
    import pandas as pd

    bit = np.uint32(Quality.ELSEWHERE)
    own = table["quality"] & ~bit
    place = table["file_id"].map({name: i for i, name in enumerate(order)}).to_numpy()
    value, usable = table["value"].to_numpy(), (own == 0).to_numpy()
    start, end = (table[n].to_numpy().astype("datetime64[us]").astype(np.int64) for n in _TIMES)
    other = np.full(len(table), -1)  # the row that counts in the place of each
    for rows in _met(_series(table, end > start), start, end, place):
        kept = rows[:0]
        for some in (rows[usable[rows]], rows[~usable[rows]]):
            for file in np.unique(place[some])[::-1]:
                mine = some[place[some] == file]
                others = kept[place[kept] != file]
                other[mine] = _shared(start, end, mine, others[np.argsort(start[others], kind="stable")])
                kept = np.append(kept, mine[other[mine] < 0])
    elsewhere = other >= 0
    right = own.where(~elsewhere, own | bit)
    lost = elsewhere & usable
    apart = pd.Series(np.abs(value - value[other]))[lost]
    told = {
        str(name): (len(part), f"{int((part > 0).sum())} of them differ, by up to {part.max():.4g}")
        for name, part in apart.groupby(table["file_id"][lost])
    }
    return right, told


def _series(table: pd.DataFrame, lasting: npt.NDArray[np.bool_]) -> npt.NDArray[np.int64]:
    """Return a number for what each row is of: one intake of a site, or one sample of an instant."""
    sample = table["obs_id"].str.replace(_AGAIN, "", regex=True)
    intake = table["platform"] + ":" + table["intake_height_m"].round(1).astype(str)
    return np.asarray(intake.where(lasting & intake.notna(), sample).factorize()[0], dtype=np.int64)


def _met(
    series: npt.NDArray[np.int64],
    start: npt.NDArray[np.int64],
    end: npt.NDArray[np.int64],
    place: npt.NDArray[Any],
) -> list[npt.NDArray[np.int64]]:
    """Return by series the rows that share time with rows of other files, directly or through others."""
    import pandas as pd

    rows = np.lexsort((start, series))
    if not rows.size:
        return []
    one, first = series[rows], start[rows]
    reach = pd.Series(end[rows]).groupby(one).cummax().to_numpy()
    begins = np.append(True, (one[1:] > one[:-1]) | ((first[1:] >= reach[:-1]) & (first[1:] > first[:-1])))
    at = np.flatnonzero(begins)
    several = np.minimum.reduceat(place[rows], at) < np.maximum.reduceat(place[rows], at)
    met = rows[several[np.cumsum(begins) - 1]]
    return np.split(met, np.flatnonzero(np.diff(series[met])) + 1) if met.size else []


def _shared(
    start: npt.NDArray[np.int64], end: npt.NDArray[np.int64], rows: npt.NDArray[Any], others: npt.NDArray[Any]
) -> npt.NDArray[np.int64]:
    """Return for each row the one of the others, in order of their start, that has more than half of its time; or -1.

    Or more than half of the other's; rows without a length have one with the same start.
    """
    found = np.full(rows.size, -1)
    if not others.size:
        return found
    first = np.searchsorted(np.maximum.accumulate(end[others]), start[rows])
    for step in range(3):  # of more that lie within a row, the second is whole in it
        k = np.minimum(first + step, others.size - 1)
        there = others[k]
        common = np.minimum(end[rows], end[there]) - np.maximum(start[rows], start[there])
        shorter = np.minimum(end[rows] - start[rows], end[there] - start[there])
        same = (2 * common > shorter) | ((shorter == 0) & (common == 0))
        found = np.where((found < 0) & same, there, found)
    return found


def _write(store: ObservationStore, gas: str, source: str, name: str, quality: Mapping[str, int]) -> None:
    """Write the parts of a file again with the quality of some rows changed."""
    table = store.read(gas, source=source, where=pc.field("file_id") == name)
    values = [
        quality.get(i, q)
        for i, q in zip(table["obs_id"].to_pylist(), table["quality"].to_pylist(), strict=True)
    ]
    column = table.schema.get_field_index("quality")
    store.write(
        table.set_column(
            column, table.schema.field(column), pa.array(values, table.schema.field(column).type)
        )
    )
