"""COCCON column records as PROFFAST and its pylot write them: ``combined_invparms…csv``.

Written from the description of the format (columns ``UTC, LocalTime, JulianDate, gndP, latdeg, londeg, altim,
appSZA, XAIR, XCO2, XCH4, XCO …``; XCO2 and XCH4 in ppm, XCO in ppb); it has not met a real file yet. The table
holds no kernels and no priors: those columns of the observation contract stay empty. Times are the middle of
a measurement, UTC. Sources: Frey et al. 2019, doi:10.5194/amt-12-1513-2019; PROFFASTpylot.
"""

from __future__ import annotations

import numpy as np
import xarray as xr

from obsnet.schema import Quality
from stations.readers import choose
from stations.readers.source import Source
from stations.readers.table import read_table, require
from stations.readers.text import parse_iso, split_header
from stations.record import Notes, build, intervals

__all__ = ["read", "sniff"]

_GASES = {"CO2": ("XCO2", "ppm"), "CH4": ("XCH4", "ppm"), "CO": ("XCO", "ppb")}
_NEEDED = ("JulianDate", "gndP", "XAIR", "latdeg", "londeg")
_STRINGS = ("UTC", "LocalTime", "spectrum", "HHMMSS_ID")
_FILL = -90000.0  # everything below is a fill: -900000 and its like
_XAIR = (0.98, 1.02)  # outside, pressure or pointing was wrong; a warning, not a rejection
_JULIAN_1970 = 2440587.5


def sniff(source: Source) -> bool:
    """Tell whether a text file is a table of PROFFAST results."""
    return _header(source.lines[:1]) is not None


def _header(lines: list[str]) -> tuple[int, list[str]] | None:
    names = [n.strip() for n in lines[0].split(",")] if lines else []
    found = {"JulianDate", "gndP", "XAIR"} <= set(names) and {"XCO2", "XCH4", "XCO"} & set(names)
    return (0, names) if found else None


def read(source: Source, species: str | None = None) -> list[xr.Dataset]:
    """Read a table of PROFFAST results; see `stations.readers.read`."""
    notes = Notes()
    _, names, rows = split_header(source, _header, notes)
    require(names, _NEEDED, source.path)
    gases = [gas for gas, (column, _) in _GASES.items() if column in names]
    table = read_table(rows, names, strings=_STRINGS, path=source.path, notes=notes, separator=",")
    julian = _from_julian(table["JulianDate"])
    stamp = parse_iso(table["UTC"]) if "UTC" in table else julian
    off = np.abs(stamp - julian) > np.timedelta64(120, "s")
    notes.warn(
        off.sum(), "rows have a UTC and a Julian date that differ: one of them is local time; UTC was used"
    )
    records = []
    for gas in choose(gases, species, source.path):
        record = _record(source, table, stamp, gas, notes.copy())
        record.attrs["species_available"] = gases
        records.append(record)
    return records


def _from_julian(days: np.ndarray) -> np.ndarray:
    """Return UTC of Julian dates (days since noon of 1 January 4713 BC)."""
    good = (days > 2.3e6) & (days < 2.6e6)
    seconds = np.round((np.where(good, days, _JULIAN_1970) - _JULIAN_1970) * 86400.0)
    stamp = np.datetime64("1970-01-01", "ns") + seconds.astype("timedelta64[s]")
    return np.where(good, stamp, np.datetime64("NaT"))


def _record(
    source: Source, table: dict[str, np.ndarray], stamp: np.ndarray, gas: str, notes: Notes
) -> xr.Dataset:
    column, unit = _GASES[gas]
    fill = table[column] < _FILL
    notes.changed(fill.sum(), "fill values set to missing")
    value = np.where(fill, np.nan, table[column])
    xair = table["XAIR"]
    odd = np.isfinite(value) & ~((xair > _XAIR[0]) & (xair < _XAIR[1]))
    notes.warn(odd.sum(), f"rows have XAIR outside {_XAIR[0]} to {_XAIR[1]} (flagged 'suspect')")
    start, middle, end = intervals(stamp, "instant")
    altitude = table.get("altim", np.array(np.nan))
    return build(
        {
            "value": value,
            "quality": np.where(odd, np.uint32(Quality.SUSPECT), np.uint32(0)),
            "latitude": table["latdeg"],
            "longitude": table["londeg"],
            # km in some versions, m in others; an instrument stands neither below 9 m nor above 9 km
            "altitude_m": np.where(np.abs(altitude) < 9.0, altitude * 1000.0, altitude),
        },
        species=gas,
        unit=unit,
        scale="",
        start=start,
        middle=middle,
        end=end,
        interval="middle",
        notes=notes,
        kind="column",
        extras={"xair": xair, "surface_pressure": table["gndP"]},
        options=source.options,
        attrs={
            "site": "",
            "site_name": "",
            "network": "COCCON",
            "source": f"coccon_proffast_{column.lower()}",
            "format": "coccon_csv",
            "path": str(source.path),
            "dataset": source.name,
            "vertical": "level",
        },
    )
