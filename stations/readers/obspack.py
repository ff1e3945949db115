"""ObsPack netCDF: the NOAA dialect (GLOBALVIEWplus) and the European one (ICOS Carbon Portal).

They look alike and differ where it hurts. NOAA: dimension ``obs``, ``time`` is the START of the average,
``qcflag`` of three characters. European: dimension ``time``, ``time`` is the MIDPOINT beside ``start_time``,
``qc_flag`` of one ICOS letter. Units are ``mol mol-1`` in some files and ``nanomol mol-1`` in others, and
every variable has a fill of its own. The long identification strings are never read.
Source: https://gml.noaa.gov/ccgg/obspack/documentation.html and the files' own attributes.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from obsnet.schema import Quality
from stations.readers.choice import choose
from stations.readers.flags import icos_quality, noaa_quality
from stations.readers.netcdf import File, attribute_number, named_part, opened
from stations.readers.text import check_span, from_parts, usual_step
from stations.record.checks import warn_of_heights
from stations.record.record import InUnit, Notes, Span, build, intervals, spread
from stations.record.source import Source

if TYPE_CHECKING:
    from stations.record.rows import Rows

__all__ = ["read", "sniff"]

_SECONDS = {"second": 1.0, "minute": 60.0, "hour": 3600.0, "day": 86400.0}
_NUMBERS = ("icos_LTR", "icos_SMR", "icos_STTB", "CT_MDM", "mdm")
_REPEATABILITY = {"icos_ltr", "icos_smr"}  # no instrument is perfect; STTB is a bias and may be 0
_CODES = ("icos_datalevel", "instrument", "quality_id", "obs_flag")


def sniff(source: Source) -> bool:
    """Tell whether a netCDF file is an ObsPack data set."""
    header = source.netcdf
    return (
        header is not None
        and {"value", "time"} <= set(header.variables)
        and "dataset_parameter" in header.attrs
    )


def read(source: Source, species: str | None = None) -> list[Rows]:
    """Read an ObsPack file; see `stations.readers.read`."""
    with opened(source) as file:
        choose([file.attr("dataset_parameter").upper()], species, source.where)
        return [_record(source, file)]


def _record(source: Source, file: File) -> Rows:
    notes = file.notes_of_record()
    european = "qc_flag" in file
    when = _times(source, file, notes)
    check_span(when.start, file.attr("dataset_start_date"), file.attr("dataset_stop_date"), notes)
    quality, flags = _flags(file, european, len(when.middle), notes)
    n = file.numbers("nvalue") if "nvalue" in file else None
    if n is not None and european:
        notes.changed((n == 0).sum(), "counts of 0 set to missing (nobody counted; the values stand)")
        n = np.where(n == 0, np.nan, n)
    network = "icos" if european else "noaa"
    gas, unit = file.attr("dataset_parameter"), file.of("value", "units")
    return build(
        {
            "value": file.numbers("value"),
            **_spread(file, n, unit),
            "n": n,
            "quality": quality,
            "quality_original": flags,
            "latitude": _or_attribute(file, "latitude", "site_latitude"),
            "longitude": _or_attribute(file, "longitude", "site_longitude"),
            **_heights(file, notes),
            "sample_id": file.texts("event_number") if "event_number" in file else "",
        },
        species=gas,
        unit=unit,
        scale=file.attr("dataset_calibration_scale"),
        when=when,
        notes=notes,
        extras=_extras(file, notes),
        source=source,
        attrs={
            "site": file.attr("site_code"),
            "site_name": file.attr("site_name"),
            "network": f"ObsPack ({network.upper()})",
            "source": f"obspack_{network}_{_project(file)}_{gas.lower()}",
            "format": f"obspack_{network}",
            "dataset": file.attr("dataset_name", source.name),
            "utc_to_local_hours": file.attr("site_utc2lst"),
        },
    )


def _or_attribute(file: File, variable: str, attribute: str, unit: str = "") -> Any:
    return file.numbers_in(variable, unit) if variable in file else attribute_number(file.attr(attribute))


def _heights(file: File, notes: Notes) -> dict[str, Any]:
    """Return altitude and height of the intake in metres; told where they do not fit the ground's."""
    altitude = _or_attribute(file, "altitude", "site_elevation", "m")
    intake = _or_attribute(file, "intake_height", "dataset_intake_ht", "m")
    if {"altitude", "elevation", "intake_height"} <= set(file.names()):
        warn_of_heights(altitude, file.numbers_in("elevation", "m"), intake, notes)
    return {"altitude_m": altitude, "intake_height_m": intake}


def _project(file: File) -> str:
    """Return ``tower-insitu`` and its like from the data set's name (the attribute may list several)."""
    parts = file.attr("dataset_name").split("_")
    return parts[2] if len(parts) > 2 else file.attr("dataset_project").partition(" ")[0] or "data"


def _flags(file: File, european: bool, rows: int, notes: Notes) -> tuple[np.ndarray, np.ndarray]:
    """Return quality bits and the flags as they are."""
    name, meaning = ("qc_flag", icos_quality) if european else ("qcflag", noaa_quality)
    if name in file:
        flags = file.texts(name)
        quality = meaning(flags, notes)
    else:
        flags, quality = np.full(rows, ""), np.zeros(rows, np.uint32)
    if "obs_flag" in file:
        # Raw: European files declare the meaningful value 1 as the fill.
        quality[file.raw("obs_flag") == 0] |= np.uint32(Quality.SELECTION)
    return quality, flags


def _spread(file: File, n: np.ndarray | None, unit: str) -> dict[str, np.ndarray]:
    """Sort ``value_unc`` and ``value_std_dev`` by what they say they are, in the unit of the value.

    ``value_unc`` of an older file is documented as a standard deviation wherever nvalue exceeds 1.
    """
    names = {"sd": "value_std_dev", "uncertainty": "value_unc"}
    found = {k: file.numbers_in(v, unit) for k, v in names.items() if v in file}
    if set(found) == {"uncertainty"} and "standard deviation" in file.of("value_unc", "comment"):
        return spread(found["uncertainty"], n)
    return found


def _times(source: Source, file: File, notes: Notes) -> Span:
    """Return start, middle, end and what the stamp named."""
    stamp = file.times("time")
    _compare_solar(file, stamp, notes)
    usual = "middle" if file.dims("time") == ("time",) else "start"
    said = (file.of("time", name) for name in ("comment", "long_name", "longname", "description"))
    named = named_part(source, usual, *said)
    if "start_time" in file and ("midpoint_time" in file or named == "middle"):
        start = file.times("start_time")
        middle = file.times("midpoint_time") if "midpoint_time" in file else stamp
        return Span(start, middle, middle + (middle - start), named)
    length = _length(file, stamp, notes)
    if length is None:
        named = "instant"
    return intervals(stamp, named, length)


def _length(file: File, stamp: np.ndarray, notes: Notes) -> np.timedelta64 | None:
    """Return the averaging interval: the file's word, else the step of continuous data; None for flasks."""
    unit = file.attr("dataset_data_frequency_unit").rstrip("s")
    seconds = attribute_number(file.attr("dataset_data_frequency")) * _SECONDS.get(unit, np.nan)
    if np.isfinite(seconds) and seconds > 0:
        return np.timedelta64(int(seconds), "s")
    continuous = "insitu" in file.attr("dataset_project").replace("-", "")
    return usual_step(stamp, notes) if continuous else None


def _compare_solar(file: File, stamp: np.ndarray, notes: Notes) -> None:
    """Say so where UTC and the file's own solar time do not fit the longitude: local time labelled UTC."""
    if "solartime_components" not in file or "longitude" not in file or not len(stamp):
        return
    rows = np.unique(np.linspace(0, len(stamp) - 1, 200).astype(int))
    solar = from_parts(*file.raw("solartime_components")[rows].T.astype(np.float64))
    shift = (solar - stamp[rows]) / np.timedelta64(1, "h") - file.numbers("longitude")[rows] / 15.0
    shift = (shift[np.isfinite(shift)] + 12.0) % 24.0 - 12.0
    # The equation of time is at most 17 minutes.
    if shift.size and abs(np.median(shift)) > 0.75:
        off = f"rows have a time {-np.median(shift):+.1f} h from what solar time and longitude give"
        notes.warn(len(stamp), f"{off}: it may be local, not UTC")


def _extras(file: File, notes: Notes) -> dict[str, Any]:
    """Return what else a judge of the data wants, small numbers only."""

    def has(name: str, kinds: str) -> bool:
        return name in file and len(file.dims(name)) == 1 and file.kind(name) in kinds

    found: dict[str, Any] = {n.lower(): file.numbers(n) for n in _NUMBERS if has(n, "fiu")}
    for name in sorted(_REPEATABILITY & set(found)):
        zero = found[name] == 0.0
        notes.changed(zero.sum(), f"values of {name} exactly 0 set to missing (a placeholder)")
        found[name][zero] = np.nan
    found = {n.lower(): InUnit(found[n.lower()], file.of(n, "units")) for n in _NUMBERS if n.lower() in found}
    found |= {n: file.raw(n) for n in _CODES if has(n, "iu")}
    if "assimilation_concerns" in file:
        found["assimilation_concern"] = file.raw("assimilation_concerns").any(axis=1)
    return found
