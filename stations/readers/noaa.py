"""NOAA GML text: flask events and in-situ averages, the layout since 2021 and the one before it.

Since 2021 the header counts its own lines, carries ``key : value`` attributes and ends in a line of column
names without ``#``. Before, the last header line is ``# data_fields: sample_site_code sample_year …``.
Times are UTC; averages are stamped at the START of their interval; ``analysis_datetime`` is Boulder local time.
Layout: header of the files and https://gml.noaa.gov/aftp/data/trace_gases/ README files.
"""

from __future__ import annotations

import re
from typing import Any

import numpy as np
import xarray as xr

from obsnet.errors import FormatError
from stations.readers import choose
from stations.readers.flags import noaa_quality
from stations.readers.source import Source, decode
from stations.readers.text import (
    attributes,
    check_header_count,
    check_span,
    from_parts,
    number,
    parse_iso,
    read_table,
    without_fill,
)
from stations.record import Notes, build, intervals

__all__ = ["read", "sniff"]

_TIME = ("year", "month", "day", "hour", "minute", "second")
_STRINGS = {
    "site_code", "datetime", "air_sample_container_id", "method", "event_number", "instrument", "analysis_datetime", "qcflag",
    "parameter_formula", "analysis_group_abbr",
}  # fmt: skip
# Names before 2021 -> names since.
_OLD = {
    "sample_site_code": "site_code",
    "sample_year": "year",
    "sample_month": "month",
    "sample_day": "day",
    "sample_hour": "hour",
    "sample_minute": "minute",
    "sample_seconds": "second",
    "sample_id": "air_sample_container_id",
    "sample_method": "method",
    "analysis_value": "value",
    "analysis_uncertainty": "value_unc",
    "analysis_flag": "qcflag",
    "analysis_instrument": "instrument",
    "sample_latitude": "latitude",
    "sample_longitude": "longitude",
    "sample_altitude": "altitude",
    "sample_elevation": "elevation",
    "sample_intake_height": "intake_height",
    "event_number": "event_number",
}
_SKIPPED = {"time_decimal", "analysis_group_abbr", "analysis_year", "analysis_seconds"}
_NEEDED = (*_TIME[:3], "value")
_UNITS = {"CO2": "ppm", "CH4": "ppb", "N2O": "ppb", "CO": "ppb", "SF6": "ppt", "H2": "ppb"}
_LENGTHS = {"hourly": np.timedelta64(1, "h"), "daily": np.timedelta64(1, "D"), "monthly": "month"}


def sniff(source: Source) -> bool:
    """Tell whether a text file is NOAA's: its column line names site, year and value."""
    return _column_line(source.lines) is not None


def _column_line(lines: list[str]) -> tuple[int, list[str]] | None:
    """Return the index of the column line and its names in today's spelling."""
    for index, line in enumerate(lines):
        words = line.lstrip("#").split()
        if words[:1] == ["data_fields:"]:
            return index, [_OLD.get(w, w) for w in words[1:]]
        if words[:2] == ["site_code", "year"] and "value" in words:
            return index, words
    return None


def read(source: Source, species: str | None = None) -> list[xr.Dataset]:
    """Read a NOAA text file; see `stations.read.read`."""
    notes = Notes()
    data = source.read_bytes()
    text, latin = decode(data)
    notes.changed(latin, "file is not UTF-8 and was read as Latin-1")
    lines = text.split("\n")
    found = _column_line(lines)
    if found is None:
        raise FormatError(
            f"{source.path}: the header ends before the line of column names; the file is cut off"
        )
    index, names = found
    missing = [n for n in _NEEDED if n not in names]
    if missing:
        raise FormatError(
            f"{source.path}: the column line lacks {', '.join(missing)}; found {' '.join(names)}"
        )
    if len(set(names)) != len(names):
        raise FormatError(f"{source.path}: the column line names a column twice: {' '.join(names)}")
    attrs = attributes(lines[:index])
    check_header_count(attrs, index + 1, notes)
    table = read_table(
        "\n".join(lines[index + 1 :]).encode(),
        names,
        strings=_STRINGS,
        path=source.path,
        notes=notes,
        skip=_SKIPPED,
    )
    record = _record(source, attrs, table, notes, index + 1)
    choose([record.attrs["species"]], species, source.path)
    return [record]


def _record(
    source: Source, attrs: dict[str, str], table: dict[str, np.ndarray], notes: Notes, header_lines: int
) -> xr.Dataset:
    dataset_name = attrs.get("dataset_name", source.name.rsplit(".", 1)[0])
    species = _species(source, attrs, table, dataset_name)
    unit = attrs.get("value:units") or _UNITS.get(species.upper())
    if unit is None:
        raise FormatError(
            f"{source.path}: the header gives no value:units and {species!r} has no customary unit"
        )
    for name in [n for n, v in table.items() if v.dtype.kind == "f"]:
        table[name] = without_fill(table[name], number(attrs.get(f"{name}:_FillValue"), -999.999))
    stamp = from_parts(*(table.get(n, np.zeros(len(table["value"]))) for n in _TIME))
    _compare_times(stamp, table, notes)
    check_span(stamp, attrs.get("dataset_start_date", ""), attrs.get("dataset_stop_date", ""), notes)
    product = _product(attrs, dataset_name, table)
    start, middle, end = intervals(
        stamp, "start" if product in _LENGTHS else "instant", _LENGTHS.get(product)
    )
    flags = table.get("qcflag", np.full(len(stamp), "..."))
    site = attrs.get("site_code") or (str(table["site_code"][0]).upper() if len(stamp) else "")
    columns: dict[str, Any] = {
        "value": table["value"],
        "uncertainty": table.get("value_unc", np.nan),
        "sd": table.get("value_std_dev", np.nan),
        "n": table.get("nvalue"),
        "quality": noaa_quality(flags, notes),
        "quality_original": flags,
        "latitude": table.get("latitude", number(attrs.get("site_latitude"))),
        "longitude": table.get("longitude", number(attrs.get("site_longitude"))),
        "altitude_m": table.get("altitude", number(attrs.get("site_elevation"))),
        "intake_height_m": table.get("intake_height", np.nan),
        "sample_id": _sample_id(table),
        "identity": _analysis(table),
    }
    extras = {n: table[n] for n in ("method", "instrument") if n in table}
    return build(
        columns,
        species=species,
        unit=unit,
        scale=attrs.get("dataset_calibration_scale") or attrs.get("value:scale_comment", ""),
        start=start,
        middle=middle,
        end=end,
        interval="start" if product in _LENGTHS else "instant",
        notes=notes,
        extras=extras,
        options=source.options,
        attrs={
            "site": site,
            "site_name": attrs.get("site_name", ""),
            "network": "NOAA GML",
            "source": f"noaa_{product}_{species.lower()}",
            "format": "noaa_text_old" if "parameter_formula" in table else "noaa_text",
            "path": str(source.path),
            "dataset": dataset_name,
            "header_lines": header_lines,
            "utc_to_local_hours": attrs.get("site_utc2lst", ""),
        },
    )


def _species(source: Source, attrs: dict[str, str], table: dict[str, np.ndarray], dataset_name: str) -> str:
    if attrs.get("dataset_parameter"):
        return attrs["dataset_parameter"]
    column = table.get("parameter_formula")
    if column is not None and len(column):
        names = np.unique(column)
        if len(names) > 1:
            raise FormatError(f"{source.path}: several species in one file ({', '.join(names)}); split it")
        return str(names[0])
    match = re.match(r"([a-z][a-z0-9]*)_", dataset_name.lower())
    if match is None:
        raise FormatError(f"{source.path}: neither header nor file name says which species this is")
    return match.group(1)


def _product(attrs: dict[str, str], dataset_name: str, table: dict[str, np.ndarray]) -> str:
    """Return event, hourly, daily or monthly."""
    for text in (attrs.get("dataset_selection_tag", ""), dataset_name, attrs.get("dataset_selection", "")):
        match = re.search(r"(event|hour|dai?ly|month)", text.lower())
        if match:
            return {"event": "event", "hour": "hourly", "month": "monthly"}.get(match.group(1), "daily")
    return "event" if "air_sample_container_id" in table else "hourly"


def _sample_id(table: dict[str, np.ndarray]) -> np.ndarray | str:
    """Return flask name and event, which together name one filling of one flask."""
    flask, event = table.get("air_sample_container_id"), table.get("event_number")
    if flask is None:
        return "" if event is None else event
    return flask if event is None else np.char.add(np.char.add(flask, "/"), event)


def _analysis(table: dict[str, np.ndarray]) -> np.ndarray | None:
    """Return what tells two analyses of one flask apart (Boulder local time, so no more than a label)."""
    if "analysis_datetime" in table:
        return table["analysis_datetime"]
    parts = [
        table[n] for n in ("analysis_month", "analysis_day", "analysis_hour", "analysis_minute") if n in table
    ]
    return np.array([" ".join(map(str, p)) for p in zip(*parts, strict=True)]) if parts else None


def _compare_times(stamp: np.ndarray, table: dict[str, np.ndarray], notes: Notes) -> None:
    """Say so where the calendar columns and ``datetime`` disagree: a file edited or shifted by hand."""
    if "datetime" not in table:
        return
    shift = (stamp - parse_iso(table["datetime"])) / np.timedelta64(1, "s")
    off = np.isfinite(shift) & (np.abs(shift) > 1.0)
    if not off.any():
        return
    hours = np.unique(np.round(shift[off] / 3600.0, 3))
    what = f"by {hours[0]:+g} h" if len(hours) == 1 else f"by {hours.min():+g} to {hours.max():+g} h"
    notes.warn(
        off.sum(),
        f"rows have year…second and datetime that differ {what}: one of them is not UTC; year…second was used",
    )
