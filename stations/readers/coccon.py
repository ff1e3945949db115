"""COCCON column records as PROFFAST and its pylot write them: ``combined_invparms…csv``.

Written from the description of the format (columns ``UTC, LocalTime, JulianDate, gndP, latdeg, londeg, altim,
appSZA, XAIR, XCO2, XCH4, XCO …``; XCO2, XCH4 and XH2O in ppm, XCO in ppb); it has not met a real file yet.
The table holds no kernels and no priors: those columns of the observation contract stay empty.
Times are the middle of a measurement, UTC. Sources: Frey et al. 2019, doi:10.5194/amt-12-1513-2019; PROFFASTpylot.
"""

from __future__ import annotations

import re

import numpy as np
import xarray as xr

from obsnet.errors import FormatError
from obsnet.schema import Quality
from stations.readers import choose
from stations.readers.source import Source, decode
from stations.readers.text import parse_iso, read_table
from stations.record import Notes, build, intervals

__all__ = ["read", "sniff"]

_GASES = {"XCO2": ("CO2", "ppm"), "XCH4": ("CH4", "ppm"), "XCO": ("CO", "ppb")}
_FILL = -90000.0  # everything below is a fill: -900000 and its like
_XAIR = (0.98, 1.02)  # outside, pressure or pointing was wrong; a warning, not a rejection


def sniff(source: Source) -> bool:
    """Tell whether a text file is a table of PROFFAST results."""
    return _names(source.lines) is not None


def _names(lines: list[str]) -> list[str] | None:
    names = [n.strip() for n in lines[0].split(",")] if lines else []
    return names if {"JulianDate", "gndP", "XAIR"} <= set(names) and set(_GASES) & set(names) else None


def read(source: Source, species: str | None = None) -> list[xr.Dataset]:
    """Read a table of PROFFAST results; see `stations.readers.read`."""
    text, _ = decode(source.read_bytes())
    lines = text.splitlines()
    names = _names(lines)
    if names is None:
        raise FormatError(
            f"{source.path}: the first line does not name JulianDate, gndP, XAIR and a column such as XCO2"
        )
    available = {gas: column for column, (gas, _) in _GASES.items() if column in names}
    notes = Notes()
    strings = {"UTC", "LocalTime", "spectrum", "HHMMSS_ID"}
    rows = re.sub(r", +", ",", "\n".join(lines[1:]))
    table = read_table(rows.encode(), names, strings=strings, path=source.path, notes=notes, separator=",")
    chosen = choose(list(available), species, source.path)
    stamp = _times(table)
    _check_times(stamp, table, notes)
    return [
        _record(source, table, stamp, gas, available, Notes(list(notes.changes), list(notes.warnings)))
        for gas in chosen
    ]


def _times(table: dict[str, np.ndarray]) -> np.ndarray:
    """Return UTC: the column of that name, else the Julian date (days from noon, 1 January 4713 BC)."""
    if "UTC" in table:
        return parse_iso(table["UTC"])
    return _from_julian(table["JulianDate"])


def _from_julian(days: np.ndarray) -> np.ndarray:
    good = (days > 2.3e6) & (days < 2.6e6)
    seconds = np.round((np.where(good, days, 2440587.5) - 2440587.5) * 86400.0).astype("timedelta64[s]")
    return np.where(good, np.datetime64("1970-01-01", "ns") + seconds, np.datetime64("NaT", "ns"))


def _check_times(stamp: np.ndarray, table: dict[str, np.ndarray], notes: Notes) -> None:
    off = np.abs(stamp - _from_julian(table["JulianDate"])) > np.timedelta64(120, "s")
    notes.warn(
        off.sum(), "rows have a UTC and a Julian date that differ: one of them is local time; UTC was used"
    )


def _record(
    source: Source,
    table: dict[str, np.ndarray],
    stamp: np.ndarray,
    gas: str,
    available: dict[str, str],
    notes: Notes,
) -> xr.Dataset:
    column = available[gas]
    value = np.where(table[column] < _FILL, np.nan, table[column])
    notes.changed((np.isnan(value) & np.isfinite(table[column])).sum(), "fill values set to missing")
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
            # km in some versions, m in others: nothing on Earth stands between 9 m and 9 km in both readings
            "altitude_m": np.where(np.abs(altitude) < 9.0, altitude * 1000.0, altitude),
        },
        species=gas,
        unit=_GASES[column][1],
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
            "species_available": list(available),
        },
    )
