"""NOAA GML text: flask events and in-situ averages, the layout since 2021 and the one before it.

Since 2021 the header counts its own lines, carries ``key : value`` attributes and ends in a line of column
names without ``#``. Before, the last header line is ``# data_fields: sample_site_code sample_year …``. Times
are UTC; averages are stamped at the START of their interval where the header says nothing else;
``analysis_datetime`` is Boulder local time.
Source: the files' own headers.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

import numpy as np

from obsnet.constants import SPECIES
from obsnet.errors import ConfigError, FormatError, nearest
from stations.readers.choice import choose
from stations.readers.flags import noaa_quality
from stations.readers.netcdf import named_part
from stations.readers.own_series import ask_about_series
from stations.readers.table import read_table, require
from stations.readers.text import (
    attributes,
    check_header_count,
    check_span,
    from_parts,
    number,
    parse_iso,
    split_header,
    without_fill,
)
from stations.record.checks import warn_of_heights
from stations.record.record import Notes, build, intervals
from stations.record.source import Source

if TYPE_CHECKING:
    from stations.record.rows import Rows

__all__ = ["read", "sniff"]

_TIME = ("year", "month", "day", "hour", "minute", "second")
_STRINGS = [
    "site_code",
    "datetime",
    "air_sample_container_id",
    "method",
    "event_number",
    "instrument",
    "analysis_datetime",
    "qcflag",
    "parameter_formula",
    "analysis_group_abbr",
]
_SKIPPED = ("time_decimal", "analysis_group_abbr", "analysis_year", "analysis_seconds")
# Names before 2021 that do not become today's by dropping "sample_" or "analysis_".
_OLD = {
    "sample_seconds": "second",
    "sample_id": "air_sample_container_id",
    "sample_method": "method",
    "analysis_value": "value",
    "analysis_uncertainty": "value_unc",
    "analysis_flag": "qcflag",
    "analysis_instrument": "instrument",
}
# Of files that others made in this layout.
_HEIGHTS = dict.fromkeys(("sampling_height", "inlet_height", "inlet"), "intake_height")
# Columns whose comment says what part of its interval a stamp names.
_STAMPS = ("time", "datetime", "time_decimal", "time_components", "year")
_HEIGHT = ("altitude", "elevation", "intake_height")
_NUMBERS = (*_TIME, *_HEIGHT, "value", "value_unc", "value_std_dev", "nvalue", "latitude", "longitude")
_FILL = -999.999  # where the header declares none
_LOCAL = re.compile(r"\blocal\b|\bLST\b|\bLT\b")
_UTC = re.compile(r"\bUTC\b(?! ?[+-] ?\d)")
_LENGTHS = {"hourly": np.timedelta64(1, "h"), "daily": np.timedelta64(1, "D"), "monthly": "month"}


def sniff(source: Source) -> bool:
    """Tell whether a text file is NOAA's: its column line names site, year and value."""
    return _column_line(source.lines) is not None


def _column_line(lines: list[str]) -> tuple[int, list[str]] | None:
    """Return the index of the column line and its names in today's spelling."""
    for index, line in enumerate(lines):
        words = line.lstrip("#").split()
        if words[:1] == ["data_fields:"]:
            return index, [_OLD.get(w, w.removeprefix("sample_")) for w in words[1:]]
        if words[:2] == ["site_code", "year"] and "value" in words:
            return index, [w if "intake_height" in words else _HEIGHTS.get(w, w) for w in words]
    return None


def read(source: Source, species: str | None = None) -> list[Rows]:
    """Read a NOAA text file; see `stations.readers.read`."""
    notes = Notes()
    header, names, rows = split_header(source, _column_line, notes)
    require(names, ("site_code", *_TIME[:3], "value"), source.where)
    attrs = attributes(header)
    check_header_count(attrs, len(header) + 1, notes)
    known = {*_STRINGS, *_NUMBERS, *_SKIPPED}
    added = [n for n in names if n not in known and not n.startswith("analysis_")]
    strings = (*_STRINGS, *added)
    table = read_table(rows, names, strings=strings, path=source.where, notes=notes, skip=_SKIPPED)
    ask_about_series(((n, table[n]) for n in added), source.options.get("intake"), source.where, notes)
    for name in [n for n, v in table.items() if v.dtype.kind == "f"]:
        table[name] = without_fill(table[name], number(attrs.get(f"{name}:_FillValue"), _FILL))
    parts = _parts(source, attrs, table)
    gases = list(dict.fromkeys(gas.upper() for _, gas, _ in parts))
    wanted = choose(gases, species, source.where)
    records = []
    for site, gas, mine in parts:
        if gas.upper() in wanted:
            whole = mine.size == len(table["value"])
            own = table if whole else {name: values[mine] for name, values in table.items()}
            record = _record(source, attrs, own, site, gas, notes.copy())
            record.attrs |= {"header_lines": len(header) + 1, "species_available": gases}
            records.append(record)
    return records


def _parts(
    source: Source, attrs: dict[str, str], table: dict[str, np.ndarray]
) -> list[tuple[str, str, np.ndarray]]:
    """Return (site, species, rows) of each site and species in a file; those of the site asked for where several."""
    sites, of_site = np.unique(table["site_code"], return_inverse=True)
    if not sites.size:
        return [(attrs.get("site_code", ""), _species(source, attrs), np.zeros(0, np.int64))]
    gases, of_gas = np.zeros(0, dtype=str), np.zeros(of_site.size, np.int64)
    if "parameter_formula" in table:
        gases, of_gas = np.unique(table["parameter_formula"], return_inverse=True)
    if gases.size < 2 and attrs.get("dataset_parameter"):
        gases = np.array([attrs["dataset_parameter"]])
    elif not gases.size:
        gases = np.array([_species(source, attrs)])
    pairs, first, which = np.unique(of_site * gases.size + of_gas, return_index=True, return_inverse=True)
    found = []
    for k in np.argsort(first):
        site, gas = divmod(int(pairs[k]), gases.size)
        found.append((str(sites[site]).upper(), str(gases[gas]), np.flatnonzero(which == k)))
    asked = str(source.options.get("site", "")).upper()
    several = len({site for site, _, _ in found}) > 1
    if several and asked:
        found = [part for part in found if part[0] == asked]
        if not found:
            known = sorted(map(str.upper, sites.tolist()))
            raise ConfigError(f"{source.where}: no site {asked!r} in it{nearest(asked, known)}")
    return found


def _record(
    source: Source, attrs: dict[str, str], table: dict[str, np.ndarray], site: str, gas: str, notes: Notes
) -> Rows:
    own = not attrs.get("site_code") or attrs["site_code"].upper() == site  # the header is this site's
    entry = SPECIES.get(gas.upper())
    unit = attrs.get("value:units") or (entry.unit_name if entry else None)
    if unit is None:
        raise FormatError(
            f"{source.where}: the header gives no value:units and {gas!r} has no customary unit"
        )
    rows = len(table["value"])
    stamp = from_parts(*(table.get(n, np.zeros(rows)) for n in _TIME))
    _compare_times(stamp, table, notes)
    check_span(stamp, attrs.get("dataset_start_date", ""), attrs.get("dataset_stop_date", ""), notes)
    product = _product(source, attrs, table)
    about = [attrs.get(f"{name}:comment", "") for name in _STAMPS]
    if local := next((t for t in about if _LOCAL.search(t) and not _UTC.search(t)), None):
        raise FormatError(
            f"{source.where}: its times are local by its header ({local!r}), the format's are UTC: bring "
            "them to UTC, or read it as a table of your own with time.zone"
        )
    interval = named_part(source, "start", *about) if product in _LENGTHS else "instant"
    altitude, elevation, intake = (table.get(n, np.full(rows, np.nan)) for n in _HEIGHT)
    warn_of_heights(altitude, elevation, intake, notes)
    flags = table.get("qcflag", np.full(rows, "..."))
    columns: dict[str, Any] = {
        "value": table["value"],
        "uncertainty": table.get("value_unc", np.nan),
        "sd": table.get("value_std_dev", np.nan),
        "n": table.get("nvalue"),
        "quality": noaa_quality(flags, notes),
        "quality_original": flags,
        "latitude": table.get("latitude", number(attrs.get("site_latitude")) if own else np.nan),
        "longitude": table.get("longitude", number(attrs.get("site_longitude")) if own else np.nan),
        "altitude_m": table.get("altitude", number(attrs.get("site_elevation")) if own else np.nan),
        "intake_height_m": table.get("intake_height", np.nan),
        "sample_id": _sample_id(table),
        "identity": _analysis(table),
    }
    return build(
        columns,
        species=gas,
        unit=unit,
        scale=attrs.get("dataset_calibration_scale") or attrs.get("value:scale_comment", ""),
        when=intervals(stamp, interval, _LENGTHS.get(product)),
        notes=notes,
        extras={n: table[n] for n in ("method", "instrument") if n in table},
        source=source,
        attrs={
            "site": site,
            "site_name": attrs.get("site_name", "") if own else "",
            "network": "NOAA GML",
            "source": f"noaa_{product}_{gas.lower()}",
            "format": "noaa_text_old" if "parameter_formula" in table else "noaa_text",
            "dataset": attrs.get("dataset_name", source.name),
            "utc_to_local_hours": attrs.get("site_utc2lst", "") if own else "",
        },
    )


def _species(source: Source, attrs: dict[str, str]) -> str:
    if attrs.get("dataset_parameter"):
        return attrs["dataset_parameter"]
    match = re.match(r"([a-z][a-z0-9]*)_", attrs.get("dataset_name", source.name).lower())
    if match is None or match[1].upper() not in SPECIES:
        raise FormatError(f"{source.where}: neither header nor file name says which species this is")
    return match[1]


def _product(source: Source, attrs: dict[str, str], table: dict[str, np.ndarray]) -> str:
    """Return event, hourly, daily or monthly."""
    name = attrs.get("dataset_name", source.name)
    for text in (attrs.get("dataset_selection_tag", ""), name, attrs.get("dataset_selection", "")):
        match = re.search(r"(event|hour|dai?ly|month)", text.lower())
        if match:
            return {"event": "event", "hour": "hourly", "month": "monthly"}.get(match[1], "daily")
    return "event" if "air_sample_container_id" in table else "hourly"


def _sample_id(table: dict[str, np.ndarray]) -> np.ndarray | str:
    """Return flask and event, which together name one filling of one flask."""
    flask, event = table.get("air_sample_container_id"), table.get("event_number")
    if flask is None or event is None:
        return next((v for v in (flask, event) if v is not None), "")
    return np.char.add(np.char.add(flask, "/"), event)


def _analysis(table: dict[str, np.ndarray]) -> np.ndarray | None:
    """Return what tells two analyses of one flask apart (Boulder local time, so no more than a label)."""
    if "analysis_datetime" in table:
        return table["analysis_datetime"]
    parts = [table[n] for n in table if n.startswith("analysis_")]
    return np.array([" ".join(map(str, p)) for p in zip(*parts, strict=True)]) if parts else None


def _compare_times(stamp: np.ndarray, table: dict[str, np.ndarray], notes: Notes) -> None:
    """Say so where the calendar columns and ``datetime`` disagree: a file edited or shifted by hand."""
    if "datetime" not in table:
        return
    shift = (stamp - parse_iso(table["datetime"])) / np.timedelta64(1, "h")
    off = np.isfinite(shift) & (np.abs(shift) > 1.0 / 3600.0)
    if not off.any():
        return
    low, high = shift[off].min(), shift[off].max()
    by = f"{low:+.3g} h" if high - low < 1e-3 else f"{low:+.3g} to {high:+.3g} h"
    notes.warn(
        off.sum(),
        f"rows have year…second and datetime that differ by {by}: one is not UTC; year…second was used",
    )
