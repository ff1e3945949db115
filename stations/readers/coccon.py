"""COCCON column records as PROFFAST and its pylot write them: ``comb_invparms…csv``, or a day's ``…-invparms.dat``.

Columns are ``UTC, LocalTime, spectrum, JulianDate, gndP, latdeg, londeg, altim, appSZA, XAIR, XCO2, XCH4, XCO …``,
separated by commas, tabs or, in PROFFAST's own ``.dat`` (which has the Julian date alone), blanks; XCO2, XCH4 and XCO
are in ppm, altim in m; an instrument without a second channel has XCO exactly 0. Times are the middle of a
measurement, UTC. Kernels and priors are not in the table: they come from the folder ``raw_output_proffast`` beside it
(`proffast_profiles`) where there is one, and stay empty else. Sources: Frey et al. 2019,
doi:10.5194/amt-12-1513-2019; the reference output in PROFFASTpylot's repository.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

import numpy as np

from obsnet.schema import Quality
from stations.readers.choice import choose, each
from stations.readers.proffast_profiles import FOLDER, profiles
from stations.readers.table import read_table, require
from stations.readers.tccon_column import column_operator, in_unit
from stations.readers.text import parse_iso, split_header
from stations.record.record import Notes, build, intervals
from stations.record.source import Source

if TYPE_CHECKING:
    from stations.record.rows import Rows

__all__ = ["read", "sniff"]

_UNIT = "ppm"
_GASES = {"CO2": "XCO2", "CH4": "XCH4", "CO": "XCO"}
_NEEDED = ("JulianDate", "gndP", "XAIR", "latdeg", "londeg")
_STRINGS = ("UTC", "LocalTime", "spectrum", "HHMMSS_ID", "SX")
_FILL = -90000.0  # everything below is a fill: -900000 and its like
_XAIR = (0.98, 1.02)  # outside, pressure or pointing was wrong; a warning, not a rejection
_JULIAN_1970 = 2440587.5


def sniff(source: Source) -> bool:
    """Tell whether a text file is a table of PROFFAST results."""
    return _header(source.lines[:1]) is not None


def _header(lines: list[str]) -> tuple[int, tuple[list[str], str]] | None:
    """Return the index of the column line, its names and the separator."""
    separator = next((c for c in "\t," if lines and c in lines[0]), " ")
    names = [n.strip() for n in lines[0].split(separator) if n.strip()] if lines else []
    found = {"JulianDate", "gndP", "XAIR"} <= set(names) and set(_GASES.values()) & set(names)
    return (0, (names, separator)) if found else None


def read(source: Source, species: str | None = None) -> list[Rows]:
    """Read a table of PROFFAST results; see `stations.readers.read`."""
    notes = Notes()
    _, (names, separator), rows = split_header(source, _header, notes)
    require(names, _NEEDED, source.where)
    gases = [gas for gas, column in _GASES.items() if column in names]
    table = read_table(rows, names, strings=_STRINGS, path=source.where, notes=notes, separator=separator)
    julian = _from_julian(table["JulianDate"])
    stamp = parse_iso(table["UTC"]) if "UTC" in table else julian
    off = np.abs(stamp - julian) > np.timedelta64(120, "s")
    notes.warn(
        off.sum(), "rows have a UTC and a Julian date that differ: one of them is local time; UTC was used"
    )
    wanted = choose(gases, species, source.where)
    return each(wanted, gases, notes, lambda gas, own: _record(source, table, stamp, gas, own))


def _from_julian(days: np.ndarray) -> np.ndarray:
    """Return UTC of Julian dates (days since noon of 1 January 4713 BC)."""
    good = (days > 2.3e6) & (days < 2.6e6)
    seconds = np.round((np.where(good, days, _JULIAN_1970) - _JULIAN_1970) * 86400.0)
    stamp = np.datetime64("1970-01-01", "ns") + seconds.astype("timedelta64[s]")
    return np.where(good, stamp, np.datetime64("NaT", "ns"))


def _record(source: Source, table: dict[str, np.ndarray], stamp: np.ndarray, gas: str, notes: Notes) -> Rows:
    column = _GASES[gas]
    fill = (table[column] < _FILL) | (table[column] == 0.0)
    notes.changed(fill.sum(), "fill values set to missing")
    value = np.where(fill, np.nan, table[column])
    xair = table["XAIR"]
    odd = np.isfinite(value) & ~((xair > _XAIR[0]) & (xair < _XAIR[1]))
    notes.warn(odd.sum(), f"rows have XAIR outside {_XAIR[0]} to {_XAIR[1]} (flagged 'suspect')")
    quality = np.where(odd, np.uint32(Quality.SUSPECT), np.uint32(0))
    operator = _operator(source, table, stamp, gas, quality, notes)
    dataset = build(
        {
            "value": value,
            "quality": quality,
            "latitude": table["latdeg"],
            "longitude": table["londeg"],
            "altitude_m": table.get("altim", np.nan),
        },
        species=gas,
        unit=_UNIT,
        scale="",
        when=intervals(stamp, "instant")._replace(named="middle"),
        notes=notes,
        kind="column",
        extras={"xair": xair, "surface_pressure": table["gndP"], **operator},
        source=source,
        attrs={
            "site": "",
            "site_name": "",
            "network": "COCCON",
            "source": f"coccon_proffast_{column.lower()}",
            "format": "proffast_raw" if "HHMMSS_ID" in table and "UTC" not in table else "coccon_csv",
            "vertical": "level",
        },
    )
    in_unit(dataset, _UNIT)
    return dataset


def _operator(
    source: Source,
    table: dict[str, np.ndarray],
    stamp: np.ndarray,
    gas: str,
    quality: np.ndarray,
    notes: Notes,
) -> dict[str, Any]:
    """Return the variables of the contract's column operator from the files beside the table, if any."""
    day = re.search(r"(\d{6})-invparms", source.name)
    folder = source.path.parent if day else source.path.parent / FOLDER
    if not folder.is_dir() or "appSZA" not in table:
        notes.warn(len(stamp), f"rows without kernels and priors (no folder {FOLDER} beside the table)")
        return {}
    local = parse_iso(table["LocalTime"]) if "LocalTime" in table else stamp
    days = local.astype("datetime64[D]")
    if day:  # PROFFAST's own file is of one local day, which its name says
        days[:] = np.datetime64(f"20{day[1][:2]}-{day[1][2:4]}-{day[1][4:]}")
    found = profiles(folder, gas, days, table["appSZA"], table["gndP"])
    if not found:
        notes.warn(len(stamp), f"rows without kernels and priors (none of their days in {folder.name})")
        return {}
    return column_operator(found, quality, notes)
