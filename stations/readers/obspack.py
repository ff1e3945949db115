"""ObsPack netCDF: the NOAA dialect (GLOBALVIEWplus) and the European one (ICOS Carbon Portal).

They look alike and differ where it hurts. NOAA: dimension ``obs``, ``time`` is the START of the average,
``qcflag`` of three characters. European: dimension ``time``, ``time`` is the MIDPOINT beside ``start_time``,
``qc_flag`` of one ICOS letter. Units are ``mol mol-1`` in some files and ``nanomol mol-1`` in others, and
every variable has a fill of its own. The long identification strings are never read.
Documentation: https://gml.noaa.gov/ccgg/obspack/documentation.html and the files' own attributes.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import xarray as xr

from obsnet.schema import Quality
from stations.readers import choose
from stations.readers.flags import icos_quality, noaa_quality
from stations.readers.netcdf import File, attribute_number, opened
from stations.readers.source import Source
from stations.readers.text import check_span, from_parts, usual_step
from stations.record import Notes, build, intervals, spread

__all__ = ["read", "sniff"]

_SECONDS = {"second": 1.0, "minute": 60.0, "hour": 3600.0, "day": 86400.0}


def sniff(source: Source) -> bool:
    """Tell whether a netCDF file is an ObsPack data set."""
    header = source.netcdf
    return (
        header is not None
        and {"value", "time"} <= set(header.variables)
        and "dataset_parameter" in header.attrs
    )


def read(source: Source, species: str | None = None) -> list[xr.Dataset]:
    """Read an ObsPack file; see `stations.readers.read`."""
    with opened(source.path) as file:
        choose([file.attr("dataset_parameter").upper()], species, source.path)
        return [_record(source, file)]


def _record(source: Source, file: File) -> xr.Dataset:
    notes = Notes()
    european = "qc_flag" in file
    gas, dataset = file.attr("dataset_parameter"), file.attr("dataset_name", source.name)
    start, middle, end, interval = _times(file, notes)
    check_span(start, file.attr("dataset_start_date"), file.attr("dataset_stop_date"), notes)
    values = {
        name: file.numbers(name) for name in ("value", "value_unc", "value_std_dev", "nvalue") if name in file
    }
    n = values.get("nvalue")
    if n is not None and european:
        notes.changed((n == 0).sum(), "counts of 0 set to missing (nobody counted; the values stand)")
        n = np.where(n == 0, np.nan, n)
    flag_name = "qc_flag" if european else "qcflag"
    flags = file.texts(flag_name) if flag_name in file else np.full(len(middle), "")
    quality = (icos_quality if european else noaa_quality)(flags, notes)
    if "obs_flag" in file:
        # Raw: European files declare the meaningful value 1 as the fill.
        quality[file.raw("obs_flag") == 0] |= np.uint32(Quality.SELECTION)
    place = {
        out: file.numbers(name) if name in file else attribute_number(file.attr(f"site_{name}"))
        for out, name in (("latitude", "latitude"), ("longitude", "longitude"), ("altitude_m", "altitude"))
    }
    columns: dict[str, Any] = {
        "value": values["value"],
        **_spread(file, values, n),
        "n": n,
        "quality": quality,
        "quality_original": flags,
        **place,
        "intake_height_m": file.numbers("intake_height")
        if "intake_height" in file
        else attribute_number(file.attr("dataset_intake_ht")),
        "sample_id": file.texts("event_number") if "event_number" in file else "",
    }
    return build(
        columns,
        species=gas,
        unit=file.of("value", "units"),
        scale=file.attr("dataset_calibration_scale"),
        start=start,
        middle=middle,
        end=end,
        interval=interval,
        notes=notes,
        extras=_extras(file),
        options=source.options,
        attrs={
            "site": file.attr("site_code"),
            "site_name": file.attr("site_name"),
            "network": "ObsPack (ICOS)" if european else "ObsPack (NOAA)",
            "source": f"obspack_{'icos' if european else 'noaa'}_{_project(file)}_{gas.lower()}",
            "format": "obspack_icos" if european else "obspack_noaa",
            "path": str(source.path),
            "dataset": dataset,
            "utc_to_local_hours": file.attr("site_utc2lst"),
        },
    )


def _project(file: File) -> str:
    """Return ``tower-insitu`` and its like from the data set's name (the attribute may list several)."""
    parts = file.attr("dataset_name").split("_")
    return parts[2] if len(parts) > 2 else file.attr("dataset_project", "data").split()[0]


def _spread(file: File, values: dict[str, np.ndarray], n: np.ndarray | None) -> dict[str, np.ndarray]:
    """Sort ``value_unc`` and ``value_std_dev`` by what they say they are.

    ``value_unc`` of an older file is documented as a standard deviation wherever nvalue exceeds 1.
    """
    uncertainty, sd = values.get("value_unc"), values.get("value_std_dev")
    if sd is None and uncertainty is not None and "standard deviation" in file.of("value_unc", "comment"):
        return spread(uncertainty, n)
    return {k: v for k, v in (("sd", sd), ("uncertainty", uncertainty)) if v is not None}


def _times(file: File, notes: Notes) -> tuple[np.ndarray, np.ndarray, np.ndarray, str]:
    """Return start, middle, end and what the stamp named."""
    stamp = file.times("time")
    _compare_solar(file, stamp, notes)
    midpoint = "midpoint" in file.of("time", "comment") or file.dims("time") == ("time",)
    if "start_time" in file:
        start = file.times("start_time")
        middle = file.times("midpoint_time") if "midpoint_time" in file else stamp if midpoint else start
        if not (midpoint or "midpoint_time" in file):
            return *intervals(stamp, "start", _length(file, stamp, notes)), "start"
        return start, middle, middle + (middle - start), "middle" if midpoint else "start"
    length = _length(file, stamp, notes)
    convention = "instant" if length is None else "middle" if midpoint else "start"
    return *intervals(stamp, convention, length), convention


def _length(file: File, stamp: np.ndarray, notes: Notes) -> np.timedelta64 | None:
    """Return the averaging interval: the file's word, else the step of continuous data; None for flasks."""
    frequency, unit = (
        file.attr("dataset_data_frequency"),
        file.attr("dataset_data_frequency_unit").rstrip("s"),
    )
    seconds = attribute_number(frequency) * _SECONDS.get(unit, np.nan)
    if np.isfinite(seconds) and seconds > 0:
        return np.timedelta64(int(seconds), "s")
    if "insitu" not in file.attr("dataset_project").replace("-", ""):
        return None
    return usual_step(stamp, notes)


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
        notes.warn(
            len(stamp),
            f"rows have a time {-np.median(shift):+.1f} h from what solar time and longitude give: it may be local, not UTC",
        )


def _extras(file: File) -> dict[str, Any]:
    """Return what else a judge of the data wants, small numbers only."""
    found: dict[str, Any] = {}
    for name in ("icos_LTR", "icos_SMR", "icos_STTB", "CT_MDM", "mdm"):
        if name in file and len(file.dims(name)) == 1:
            found[name.lower()] = file.numbers(name)
    for name in ("icos_datalevel", "instrument", "quality_id", "obs_flag"):
        if name in file and len(file.dims(name)) == 1 and file.raw(name).dtype.kind in "iu":
            found[name] = file.raw(name)
    if "assimilation_concerns" in file:
        found["assimilation_concern"] = file.raw("assimilation_concerns").any(axis=1)
    return found
