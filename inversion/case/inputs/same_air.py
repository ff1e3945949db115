"""Rows that measure the same air twice: one sounding under two products, one hour in two files, one window in halves.

An inversion counts every row as new knowledge. The same sounding read by two retrievals, or two super-observations
that files made of one window, carry one set of errors: taken as two they make every uncertainty too small.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from obsnet.errors import SchemaError
from obsnet.run_words import line
from obsnet.sphere import EARTH_RADIUS_KM, unit_vectors
from obsnet.typing import Floats, Ints, Texts

__all__ = ["Pair", "refuse_same_air", "same_air"]

SECONDS = 0.5  # two retrievals state the time of one sounding within this
WINDOW = 10.0  # s, of super-observations along the track
PLACE_KM = 0.5  # and its place within this: rounding and terrain, less than from one footprint to the next
WINDOW_KM = 75.0  # way of a satellite over the ground in a window
MOST = 40  # neighbours in time that a row is compared with
DAY = np.int64(86_400_000_000)  # microseconds


class Pair(NamedTuple):
    """Two rows of a table, the earlier first, and what they share."""

    first: int
    second: int
    why: str


def same_air(table: pa.Table) -> list[Pair]:
    """Find pairs of rows of one platform that stand for the same air.

    Parameters
    ----------
    table : pyarrow.Table
        `obsnet.schema.OBSERVATIONS`; needs ``platform, kind, mode, time, time_start, time_end, latitude, longitude,
        intake_height_m, n, source, file_id``.

    Returns
    -------
    list of Pair
        Stations: intervals of one intake of which the shorter lies by more than half in the other (with the next of
        its intake), or the same instant, or an instant in a mean over more than a day. A row that states no intake may
        be of any of its platform's. Columns, of different sources or files: single soundings within half a
        second and half a kilometre; super-observations (``n`` above 1) of the same ten seconds and mode, within the
        way of the satellite in them.

    Notes
    -----
    Platforms are compared by name without case, blanks and hyphens. Products that name their satellite otherwise
    cannot be told.
    """
    text = {k: _text(table, k) for k in ("platform", "kind", "mode", "source", "file_id")}
    seconds = table["time"].to_numpy().astype("datetime64[us]").astype(np.int64) / 1e6
    xyz = unit_vectors(table["latitude"].to_numpy(), table["longitude"].to_numpy()) * EARTH_RADIUS_KM
    height = np.round(table["intake_height_m"].to_numpy(zero_copy_only=False).astype(np.float64), 1)
    unknown = np.isnan(height)
    many = np.nan_to_num(table["n"].to_numpy(zero_copy_only=False).astype(np.float64), nan=1.0) > 1.0
    platform = np.unique(_plain_names(text["platform"]), return_inverse=True)[1]
    order = np.lexsort((seconds, platform, text["kind"]))
    found: dict[tuple[int, int], str] = {}
    for step in range(1, min(MOST, len(table))):
        a, b = order[:-step], order[step:]
        near = (
            (platform[a] == platform[b])
            & (text["kind"][a] == text["kind"][b])
            & (seconds[b] - seconds[a] < WINDOW)
        )
        a, b = a[near], b[near]
        if a.size == 0:
            break
        apart, km = seconds[b] - seconds[a], np.linalg.norm(xyz[a] - xyz[b], axis=1)
        point = text["kind"][a] == "point"
        one_intake = (height[a] == height[b]) | unknown[a] | unknown[b]
        hour = point & (apart == 0.0) & one_intake
        one_window = np.floor(seconds[a] / WINDOW) == np.floor(seconds[b] / WINDOW)
        other = (text["file_id"][a] != text["file_id"][b]) | (text["source"][a] != text["source"][b])
        sounding = other & ~point & ~many[a] & ~many[b] & (apart <= SECONDS) & (km <= PLACE_KM)
        window = (
            ~point
            & (many[a] | many[b])
            & one_window
            & (text["mode"][a] == text["mode"][b])
            & other
            & (km <= WINDOW_KM)
        )
        for rows, why in (
            (hour, "the same time at one intake"),
            (sounding, "the same sounding"),
            (window, "the same ten seconds of one mode"),
        ):
            _keep(found, a[rows], b[rows], why)
    start, end = (
        pc.coalesce(table[n], table["time"]).to_numpy().astype("datetime64[us]").astype(np.int64)
        for n in ("time_start", "time_end")
    )
    row, intake = _by_intake(np.flatnonzero(text["kind"] == "point"), platform, height)
    order = row[np.lexsort((-end[row], start[row], intake))]
    intake = np.sort(intake)
    length = end - start
    for step in (1, 2):  # hours beside half hours, beside their day: one pair shows it
        a, b = order[:-step], order[step:]
        common = np.minimum(end[a], end[b]) - start[b]
        shorter = np.minimum(length[a], length[b])
        sample = (shorter == 0) & (length[a] > DAY) & (start[b] < end[a])  # of which the mean may be made
        rows = (intake[:-step] == intake[step:]) & (((2 * common > shorter) & (shorter > 0)) | sample)
        _keep(found, a[rows], b[rows], "overlapping times at one intake")
    return [Pair(first, second, why) for (first, second), why in sorted(found.items())]


def refuse_same_air(table: pa.Table, *, allow: bool) -> str:
    """Refuse a table that holds the same air twice, or say that it does.

    Returns
    -------
    str
        One line where pairs are allowed, empty where there is none.

    Raises
    ------
    SchemaError
        Pairs that are not allowed: how many, of which sources, the first by name.
    """
    pairs = same_air(table)
    if not pairs:
        return ""
    source, ids = _text(table, "source"), _text(table, "obs_id")
    kinds: dict[str, int] = {}
    for pair in pairs:
        name = " and ".join(sorted({source[pair.first], source[pair.second]}))
        kinds[f"{pair.why} in {name}"] = kinds.get(f"{pair.why} in {name}", 0) + 1
    one = pairs[0]
    said = "; ".join(f"{number} pairs of {what}" for what, number in kinds.items())
    text = line("same air", said=said, first=repr(ids[one.first]), second=repr(ids[one.second]))
    if allow:
        return text
    raise SchemaError(
        f"{text}; choose one with [invert] sources, average again with one store, or say allow_same_air = true"
    )


def _by_intake(rows: Ints, platform: Ints, height: Floats) -> tuple[Ints, Ints]:
    """Return rows with the number of their intake; one without a height comes once for each of its platform's."""
    unknown = np.isnan(height[rows])
    one, lost = rows[~unknown], rows[unknown]
    intakes, number = np.unique(np.column_stack([platform[one], height[one]]), axis=0, return_inverse=True)
    first, last = (np.searchsorted(intakes[:, 0], platform[lost], side) for side in ("left", "right"))
    count = last - first
    nowhere, again = lost[count == 0], np.repeat(lost, count)
    each = np.arange(again.size) - np.repeat(np.cumsum(count) - count, count) + np.repeat(first, count)
    return (
        np.concatenate([one, again, nowhere]),
        np.concatenate([number.ravel(), each, len(intakes) + platform[nowhere]]),
    )


def _keep(found: dict[tuple[int, int], str], a: Ints, b: Ints, why: str) -> None:
    for x, y in zip(a.tolist(), b.tolist(), strict=True):
        found.setdefault((min(x, y), max(x, y)), why)


def _plain_names(platform: Texts) -> Texts:
    names = np.char.lower(platform)
    for mark in (" ", "-", "_"):
        names = np.char.replace(names, mark, "")
    return names


def _text(table: pa.Table, name: str) -> Texts:
    return np.asarray(pc.fill_null(table[name], "").to_numpy(zero_copy_only=False)).astype(str)
