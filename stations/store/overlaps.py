"""Rows that several files of one record hold: they count once, in the finest file, of equally fine ones the last."""

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
_LATER = "are in a file that ends later too and count there (flagged 'elsewhere')"
_FINER = "are means over time of which a finer file has rows, and those count (flagged 'elsewhere')"
_NOTE = re.compile(rf"(; )?\d+ rows (?:{re.escape(_LATER)}|{re.escape(_FINER)}): [^;]*")
_ALIKE = 1.5  # lengths of rows within this factor are of one kind: months, hours whose stamps jitter
_AGAIN = r"#\d+$"  # what tells rows of one file apart
_BEHIND = r"T[\d:.]+Z:"  # what follows the time in an `obs_id`: a sample's name, or the height of an intake
_HEIGHT = rf"{_BEHIND}\d+(?:\.\d+)?m(?:#\d+)?$"
_TIMES = ("time_start", "time_end")
_PLACE = 0.01  # degrees; files of one site agree to this


def settle(
    store: ObservationStore, rows: Sequence[Row], touched: Collection[str]
) -> tuple[list[dict[str, Any]], dict[str, str]]:
    """Let each observation count in one file only.

    What counts is decided by what all files hold, whatever the order in which they were read: of rows that would be
    used the shortest, for a longer one is a mean of such (half hours before hours before days before months); of rows
    as long as each other that of the file with the latest end (then the last name). The observation's rows in other
    files get the bit ``ELSEWHERE``; where that file is gone, they lose it again. A mean counts only where no finer row
    of its time does, so that the two are never mixed. Rows of one intake are of one observation where more
    than half of the shorter one's time is the other's too (stamps a second apart, a month and an hour in it); samples
    where they have one name. A row that states no intake is of its platform's only one.

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
        marked = any(_NOTE.search(f["notes"] or "") for f in files)
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
        for name, fine, apart in told:
            lost.setdefault(name, []).append(_said(fine, apart, species_of(gas).unit_name))
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


def _said(fine: bool, apart: pd.Series, unit: str) -> str:
    """Return what is said of rows of a file that count elsewhere, and how far they are from what counts."""
    rows = f"{len(apart)} rows {_FINER if fine else _LATER}: "
    if not fine:
        return f"{rows}{int((apart > 0).sum())} of them differ, by up to {apart.max():.4g} {unit}"
    if not apart.notna().any():
        return f"{rows}none of them has such for half of its time"
    few = int(apart.isna().sum())
    less = f", and {few} of them have such for less than half of their time" if few else ""
    return f"{rows}they differ from the mean of those by up to {apart.max():.4g} {unit}{less}"


def _decided(
    table: pd.DataFrame, order: Sequence[str]
) -> tuple[pd.Series, list[tuple[str, bool, pd.Series]]]:
    """Return what the quality of each row should be, and of the rows that count elsewhere their differences.

    By file, and by whether a finer one's rows count; NaN where those fill less than half of a row's time.
    """
    import pandas as pd

    bit = np.uint32(Quality.ELSEWHERE)
    own = table["quality"] & ~bit
    place = table["file_id"].map({name: i for i, name in enumerate(order)}).to_numpy()
    value, usable = table["value"].to_numpy(), (own == 0).to_numpy()
    start, end = (table[n].to_numpy().astype("datetime64[us]").astype(np.int64) for n in _TIMES)
    other = np.full(len(table), -1)  # the row that counts in the place of each
    finer = np.zeros(len(table), dtype=bool)  # whether that is shorter
    there = value.copy()  # what stands in the place of each: that row's value, or the mean of the finer ones
    for rows in _met(_series(table, end > start), start, end, place):
        kind = _kinds(end[rows] - start[rows])
        kept, known = rows[:0], kind[:0]
        for some in (usable[rows], ~usable[rows]):
            for step, file in sorted({*zip(kind[some], -place[rows[some]], strict=True)}):
                mine = rows[some & (kind == step) & (place[rows] == -file)]
                use = place[kept] != -file
                others = kept[use][np.argsort(start[kept[use]], kind="stable")]
                other[mine] = _shared(start, end, mine, others)
                lost = mine[other[mine] >= 0]
                fine = others[np.isin(others, kept[known < step])]
                finer[lost] = _shared(start, end, lost, fine) >= 0
                there[lost] = np.where(finer[lost], _mean(start, end, value, lost, fine), value[other[lost]])
                fresh = mine[other[mine] < 0]
                kept, known = np.append(kept, fresh), np.append(known, np.full(fresh.size, step))
    elsewhere = other >= 0
    right = own.where(~elsewhere, own | bit)
    lost = elsewhere & usable
    apart = pd.Series(np.abs(value - there))[lost]
    parts = apart.groupby([table["file_id"][lost], finer[lost]])
    told = [(str(name), bool(fine), part) for (name, fine), part in parts]
    return right, told


def _series(table: pd.DataFrame, lasting: npt.NDArray[np.bool_]) -> npt.NDArray[np.int64]:
    """Return a number for what each row is of: one intake of a site, or one sample, of an instant or of a time.

    A flask filled over an hour is no part of an analyser's means: none of the two counts in the other's place.
    """
    height = table["intake_height_m"].astype(float).round(1)
    heights = height.groupby(table["platform"])
    height = height.fillna(heights.transform("first").where(heights.transform("nunique") == 1))
    intake = height.groupby([table["platform"], height]).ngroup()  # NaN where platform or height is not known
    number = intake.fillna(-1).to_numpy(np.int64, copy=True)
    name = table["obs_id"]
    named = name.str.contains(_BEHIND, regex=True) & ~name.str.contains(_HEIGHT, regex=True)
    alone = ~lasting | named.to_numpy(bool) | intake.isna().to_numpy()
    number[alone] = number.size + name[alone].str.replace(_AGAIN, "", regex=True).factorize()[0]
    return number


def _kinds(length: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
    """Return for the length of each row the number of its kind, shorter kinds first."""
    sizes, which = np.unique(length, return_inverse=True)
    return np.asarray(np.append(0, np.cumsum(sizes[1:] > _ALIKE * sizes[:-1]))[which], dtype=np.int64)


def _mean(
    start: npt.NDArray[np.int64],
    end: npt.NDArray[np.int64],
    value: npt.NDArray[np.float64],
    rows: npt.NDArray[Any],
    others: npt.NDArray[Any],
) -> npt.NDArray[np.float64]:
    """Return for each row the mean of the others, in order of their start, that begin in its time; shape of `rows`.

    NaN where they have less than half of it.
    """
    first, last = (np.searchsorted(start[others], edge) for edge in (start[rows], end[rows]))
    length = (end - start)[others] / 1e6

    def total(of: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
        sums = np.append(0.0, np.cumsum(of))
        return np.asarray(sums[last] - sums[first])

    time = total(length)
    enough = (time > 0.0) & (2e6 * time >= (end - start)[rows])  # instants have no time to fill
    return np.where(enough, total(length * value[others]) / np.where(enough, time, 1.0), np.nan)


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
