"""Point sources: plants by their coordinates, each in the province it stands in or just off whose coast."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from obsnet.errors import FormatError, RangeError
from obsnet.inventory.notes import note
from obsnet.inventory.table import masses
from obsnet.places import place_text
from obsnet.reading import door
from obsnet.typing import Floats, Texts

__all__ = ["SNAP_DEG", "Plants", "place_plants", "read_plants"]

_NOWHERE = 0.1  # degrees from 0 N 0 E: open sea
SNAP_DEG = 0.3  # a plant farther from every province than this is offshore


@dataclass(frozen=True, eq=False)
class Plants:
    """Plants with their province.

    Parameters
    ----------
    name : ndarray of str
        For messages.
    lat, lon : ndarray, shape (plants,)
        Degrees.
    value : ndarray, shape (plants,)
        kg of the gas a year, or a relative weight (capacity).
    is_mass : bool
        Which of the two.
    region : ndarray of str
        Adcode, or ``offshore``.
    notes : tuple of str
        Plants snapped, offshore, left out; provinces stated that differ.
    """

    name: Texts
    lat: Floats
    lon: Floats
    value: Floats
    is_mass: bool
    region: Texts
    notes: tuple[str, ...] = ()


@door("a table of plants")
def read_plants(
    path: str | Path, *, fuels: Sequence[str] = (), sheet: str | None = None
) -> tuple[Any, bool, list[str]]:
    """Read a table of plants.

    Parameters
    ----------
    path : path
        Columns ``latitude, longitude`` and ``value`` with ``unit`` (mass a year) or ``capacity``; optional ``name,
        item`` (fuel), ``region``. The raw table of the Global Power Plant Database (WRI, CC BY 4.0) is read as it is.
    fuels : sequence of str
        Keep plants of these fuels only, where there is a column for it.

    Returns
    -------
    frame : pandas.DataFrame
        ``name, latitude, longitude, value, region``; value in kg a year or as the capacity stands.
    is_mass : bool
        Whether values are masses.
    notes : list of str

    Raises
    ------
    FormatError
        Neither emissions nor capacities, no plant of the fuels.
    RangeError
        Coordinates missing, 0 north 0 east, swapped, negative values.
    """
    from obsnet.inventory.books import read_rows

    optional = ("name", "item", "region", "value", "unit", "capacity")
    numbers = ("latitude", "longitude", "value", "capacity")
    table = read_rows(path, ("latitude", "longitude"), optional, numbers=numbers, sheet=sheet)
    where, rows = table.attrs["where"], table.attrs["rows"]
    notes = [n for n in table.attrs["notes"] if "not used" not in n]
    table["line"] = rows
    if fuels:
        if "item" not in table:
            raise FormatError(f"{where}: no column of fuels to choose {', '.join(fuels)} by")
        wanted = {f.casefold() for f in fuels}
        kept = table[[str(f).casefold() in wanted for f in table["item"]]]
        if kept.empty:
            there = ", ".join(sorted(set(table["item"]))[:12])
            raise FormatError(f"{where}: no plant of {', '.join(fuels)}; fuels: {there}")
        notes.append(
            f"{Path(path).name}: {note('of fuel', n=len(kept), all=len(table), fuels=', '.join(fuels))}"
        )
        table = kept
    is_mass = "value" in table and "unit" in table
    if not is_mass and "capacity" not in table:
        raise FormatError(f"{where}: plants need value and unit (a mass a year), or capacity")
    column = "value" if is_mass else "capacity"
    if is_mass:
        table = table.assign(value=masses(table["value"], table["unit"], where, table["line"]))
    if not is_mass and table[column].isna().any():
        bare = table[table[column].isna()]
        named = ", ".join(str(r.get("name") or f"row {r['line']}") for r in bare.head(3).to_dict("records"))
        notes.append(f"{Path(path).name}: {note('no capacity', n=len(bare), names=named)}")
        table = table[table[column].notna()]
    bad = ~(table[column] >= 0)
    if bad.any():
        line = table[bad].iloc[0]
        raise RangeError(f"{where}: row {line['line']}: {column} is {line[column]}, not a positive number")
    _check_places(table, where)
    out = table.assign(value=table[column])
    same = [c for c in ("name", "latitude", "longitude", "value") if c in out]
    again = out[out.duplicated(same)]
    if len(again):
        notes.append(f"{Path(path).name}: {note('twice', n=len(again), row=again['line'].iloc[0])}")
    for text in ("name", "region"):
        if text not in out:
            out[text] = ""
    return (
        out[["name", "latitude", "longitude", "value", "region", "line"]].reset_index(drop=True),
        is_mass,
        notes,
    )


def _check_places(table: Any, where: str) -> None:
    lat, lon = table["latitude"].to_numpy(float), table["longitude"].to_numpy(float)
    for bad, said in (
        (~(np.isfinite(lat) & np.isfinite(lon)), "no coordinates"),
        (np.hypot(lat, lon) < _NOWHERE, "coordinates 0 N 0 E, which is how a missing position is written"),
        ((np.abs(lat) > 90.0) & (np.abs(lon) <= 90.0), "latitude and longitude swapped"),
        ((np.abs(lat) > 90.0) | (np.abs(lon) > 360.0), "coordinates outside the globe"),
    ):
        if bad.any():
            line = table[bad].iloc[0]
            name = f" ({line['name']})" if "name" in table and line["name"] else ""
            raise RangeError(
                f"{where}: {int(bad.sum())} of {len(table)} plants have {said}; the first is row {line['line']}{name}: "
                f"{line['latitude']} N {line['longitude']} E"
            )


def _refuse_swapped(frame: Any, regions: Any, snap_deg: float) -> None:
    """Refuse plants that would stand in a region with latitude and longitude exchanged."""
    from obsnet.zonal import OFFSHORE, assign_points

    able = frame[frame["longitude"].abs() <= 90.0]
    if able.empty:
        return
    lat, lon = (able[c].to_numpy(float) for c in ("longitude", "latitude"))
    region, _ = assign_points(lat, lon, regions, snap_deg=snap_deg)
    swapped = able[region != OFFSHORE]
    if len(swapped):
        line = swapped.iloc[0]
        raise RangeError(
            f"{len(swapped)} plants stand in no region, and in one with latitude and longitude swapped; the first is "
            f"row {line['line']} ({line['name']}): {line['latitude']:g} N {line['longitude']:g} E"
        )


def place_plants(frame: Any, is_mass: bool, regions: Any, *, snap_deg: float = SNAP_DEG) -> Plants:
    """Say in which province each plant stands.

    Parameters
    ----------
    frame : pandas.DataFrame
        From `read_plants`.
    is_mass : bool
        From there too.
    regions : geopandas.GeoDataFrame
        See `obsnet.regions`.
    snap_deg : float
        Largest distance to the nearest province; beyond it a plant is offshore.

    Raises
    ------
    RangeError
        A plant that stands in no region, and in one with its latitude and longitude exchanged.
    """
    from obsnet.inventory.words import province_or_own
    from obsnet.zonal import OFFSHORE, assign_points

    lat, lon = frame["latitude"].to_numpy(float), frame["longitude"].to_numpy(float)
    region, distance = assign_points(lat, lon, regions, snap_deg=snap_deg)
    notes = []
    snapped = int((distance > 0).sum())
    if snapped:
        notes.append(note("snapped", n=snapped, far=f"{np.nanmax(distance):.2f}"))
    sea = np.flatnonzero(region == OFFSHORE)
    if sea.size:
        _refuse_swapped(frame.iloc[sea], regions, snap_deg)
        named = ", ".join(
            f"{frame['name'][i] or 'row ' + str(frame['line'][i])} ({place_text(lat[i], lon[i])})"
            for i in sea[:3]
        )
        notes.append(note("offshore", n=sea.size, far=f"{snap_deg:g}", names=named))
    differ = [i for i, r in enumerate(frame["region"]) if str(r) and province_or_own(r) != region[i]]
    if differ:
        i = differ[0]
        first = f"{frame['name'][i] or 'row ' + str(frame['line'][i])}, {frame['region'][i]}"
        notes.append(note("elsewhere", n=len(differ), first=first, there=region[i]))
    names = frame["name"].to_numpy(str)
    return Plants(names, lat, lon, frame["value"].to_numpy(float), is_mass, region, tuple(notes))
