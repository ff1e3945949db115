"""openghg's netCDF: records of a station (``co2``, ``co2_variability``, …) and columns (``xco2``, kernel, prior).

A station file has one variable named after its species, lower case, beside ``…_variability`` (standard deviation),
``…_repeatability``, ``…_number_of_observations`` and ``…_status_flag`` (1 = flagged); site, inlet, scale and the
length of a sample are global attributes; a stamp names the start of the sample. Files of acrg, its forerunner, write
some attributes with capitals and have site and network in their name only (``DECC-picarro_TAC_….nc``). A column file
has ``x<species>``,
``x<species>_uncertainty``, ``x<species>_averaging_kernel``, ``<species>_profile_apriori``, ``pressure_levels`` and
``pressure_weights`` along ``lev``.

The layout is that which openghg 0.19's own readers and writers use (openghg/standardise, Apache-2.0); no file that it
wrote was at hand. Files of this layout are written by `stations.record.openghg_file`.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

import numpy as np

from obsnet.constants import SPECIES
from obsnet.errors import FormatError
from obsnet.schema import Quality
from stations.readers.choice import choose
from stations.readers.netcdf import File, attribute_number, named_part, opened
from stations.readers.tccon_column import column_operator, in_unit
from stations.readers.text import length_of_time
from stations.record.record import Notes, build, intervals
from stations.record.source import NetcdfHeader, Source

if TYPE_CHECKING:
    from stations.record.rows import Rows

__all__ = ["read", "sniff"]

_LABELS = {name.lower().replace("-", ""): name for name in SPECIES}
_BESIDE = ("variability", "repeatability", "number_of_observations", "status_flag", "stdev", "count")
_SUM = 0.01  # how far the weights may sum from 1
_NAMED = re.compile(r"(?P<network>[A-Za-z0-9]+)-[A-Za-z0-9]+_(?P<site>[A-Za-z0-9]{3,5})_")


def sniff(source: Source) -> bool:
    """Tell whether a netCDF file is of openghg's layout."""
    return source.netcdf is not None and _found(source.netcdf) is not None


def _found(header: NetcdfHeader) -> tuple[str, bool] | None:
    """Return the label of the species and whether the file holds columns."""
    names = set(header.variables)
    said = str(header.attrs.get("species", "")).lower()
    for label in (said, *_LABELS):
        if not label or "time" not in names:
            continue
        if {f"x{label}", f"x{label}_averaging_kernel", "pressure_weights"} <= names:
            return label, True
        known = label == said or any(f"{label}_{word}" in names for word in _BESIDE)
        if label in names and known and "time" in header.dims:
            return label, False
    return None


def read(source: Source, species: str | None = None) -> list[Rows]:
    """Read a file of openghg's layout; see `stations.readers.read`."""
    found = None if source.netcdf is None else _found(source.netcdf)
    if found is None:
        raise FormatError(f"{source.where}: no variable named after a species, as openghg writes it")
    label, column = found
    gas = _LABELS.get(label, label.upper())
    choose([gas], species, source.where)
    with opened(source) as file:
        return [(_column if column else _record)(source, file, label, gas)]


def _first(file: File, unit: str, *names: str) -> Any:
    return next((file.numbers_in(n, unit) for n in names if n in file), np.nan)


def _metres(text: str) -> float:
    """Return the metres of ``185m``, ``185`` or ``185magl``."""
    match = re.fullmatch(r"\s*(-?\d+(?:\.\d+)?)\s*(?:m(?:agl|asl)?)?\s*", text)
    return float(match[1]) if match else float("nan")


def _seconds(file: File) -> float:
    """Return the length of a sample: seconds, or a length such as ``1h``; NaN where the file does not say."""
    for text in (file.attr("sampling_period"), file.of("time", "sampling_period_seconds")):
        if re.fullmatch(r"\s*\d+(\.\d+)?\s*", text):
            return float(text)
        length = length_of_time(text)
        if isinstance(length, np.timedelta64):
            return float(length / np.timedelta64(1, "s"))
    return float("nan")


def _flags(file: File, name: str, rows: int, notes: Notes) -> np.ndarray:
    flag = file.numbers(name) if name in file else np.zeros(rows)
    notes.warn((flag != 0).sum(), "rows are flagged by the producer")
    return np.where(flag != 0, np.uint32(Quality.PRODUCER), np.uint32(0))


def _unit(file: File, name: str) -> str:
    return file.of(name, "units") or file.of(name, "unit") or file.attr("units")


def _attrs(source: Source, file: File, label: str, layout: str, notes: Notes) -> dict[str, Any]:
    """Return what the file says of itself; site and network stand only in the name of older files."""
    named = _NAMED.match(source.name)
    said = {}
    for word in ("site", "network"):
        said[word] = file.attr(word)
        if not said[word] and named is not None:
            said[word] = named[word]
            notes.warn(1, f"attribute not in the file: {word} {named[word]} is from its name")
    return {
        "site": said["site"].upper(),
        "site_name": file.attr("station_long_name"),
        "network": said["network"],
        "source": f"openghg_{said['network'].lower() or 'unknown'}_{label}",
        "format": layout,
        **{n: file.attr(n) for n in ("instrument", "data_owner", "data_owner_email") if file.attr(n)},
    }


def _record(source: Source, file: File, label: str, gas: str) -> Rows:
    notes = file.notes_of_record()
    stamp, seconds = file.times("time"), _seconds(file)
    named = named_part(source, "start", file.of("time", "comment"), file.of("time", "label"))
    length = np.timedelta64(round(seconds), "s") if seconds > 0 else None
    if length is None:
        notes.warn(len(stamp), "rows without a sampling period: taken as instants")
    unit = _unit(file, label)
    height = (
        file.numbers_in("inlet", "m")
        if "inlet" in file and file.dims("inlet") == ("time",)
        else np.array(np.nan)
    )
    if np.isnan(height).all():
        said_m = [_metres(file.attr(n)) for n in ("inlet_height_magl", "inlet", "inlet_magl")]
        height = np.array(next((m for m in said_m if np.isfinite(m)), np.nan))
    return build(
        {
            "value": file.numbers(label),
            "uncertainty": _first(file, unit, f"{label}_repeatability"),
            "sd": _first(file, unit, f"{label}_variability", f"{label}_stdev"),
            "n": _first(file, "", f"{label}_number_of_observations", f"{label}_count"),
            "quality": _flags(file, f"{label}_status_flag", len(stamp), notes),
            "latitude": attribute_number(file.attr("station_latitude")),
            "longitude": attribute_number(file.attr("station_longitude")),
            "altitude_m": _metres(file.attr("station_height_masl")) + np.nan_to_num(height),
            "intake_height_m": height,
        },
        species=gas,
        unit=unit,
        scale=file.attr("calibration_scale") or file.attr("scale"),
        when=intervals(stamp, named, length) if length is not None else intervals(stamp, "instant"),
        notes=notes,
        source=source,
        attrs=_attrs(source, file, label, "openghg", notes),
    )


def _column(source: Source, file: File, label: str, gas: str) -> Rows:
    notes = file.notes_of_record()
    name, stamp = f"x{label}", file.times("time")
    unit = _unit(file, name)
    rows = len(stamp)
    quality = _flags(file, f"{name}_quality_flag", rows, notes)
    weight = file.numbers("pressure_weights")
    profiles = {
        "averaging_kernel": file.numbers(f"{name}_averaging_kernel"),
        "prior_profile": file.numbers_in(f"{label}_profile_apriori", unit),
        "pressure_weight": weight,
        "pressure_levels": file.numbers_in("pressure_levels", "hPa"),
    }
    for key, values in profiles.items():
        if values.ndim not in {1, 2} or values.shape[-1] != weight.shape[-1]:
            raise FormatError(
                f"{source.where}: {key} has shape {values.shape}, not one value for each of {weight.shape[-1]} levels"
            )
        profiles[key] = np.broadcast_to(values, (rows, weight.shape[-1])).copy()
    steps = np.diff(profiles["pressure_levels"], axis=1)
    if (steps > 0).sum() > (steps < 0).sum():
        profiles = {key: values[:, ::-1].copy() for key, values in profiles.items()}
        notes.changed(rows, "profiles turned surface first")
    off = np.abs(profiles["pressure_weight"].sum(axis=1) - 1.0) > _SUM
    notes.warn(off.sum(), "rows whose pressure weights do not sum to 1 (flagged 'operator')")
    quality[off] |= np.uint32(Quality.OPERATOR)
    operator = column_operator(profiles, quality, notes)
    position = {
        n: file.numbers(n) if n in file else attribute_number(file.attr(n) or file.attr(f"station_{n}"))
        for n in ("latitude", "longitude")
    }
    dataset = build(
        {
            "value": file.numbers(name),
            "uncertainty": _first(file, unit, f"{name}_uncertainty"),
            "quality": quality,
            **position,
        },
        species=gas,
        unit=unit,
        scale=file.attr("calibration_scale") or file.attr("scale"),
        when=intervals(stamp, "instant"),
        notes=notes,
        kind="column",
        extras=operator,
        source=source,
        attrs={**_attrs(source, file, label, "openghg_column", notes), "vertical": "level"},
    )
    in_unit(dataset, unit)
    return dataset
