"""AGAGE archive netCDF: ``mf`` beside ``mf_repeatability``, flags as ASCII codes of letters.

The time stamp is the start of the sample where the file says so (Picarro minutes are stamped ``…:30``), and
the sampling time itself otherwise. ``B`` is baseline and ``P`` polluted air, ``F`` a rejected value.
Source: the files' attributes; Prinn et al. 2018, doi:10.5194/essd-10-985-2018.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import xarray as xr

from obsnet.schema import Quality
from stations.readers import choose
from stations.readers.flags import by_letter, decode
from stations.readers.netcdf import File, attribute_number, opened
from stations.readers.source import Source
from stations.record import Notes, build, intervals

__all__ = ["read", "sniff"]

_REJECTED = {"": 0, "F": Quality.PRODUCER}
_POLLUTED = {"": 0, "B": 0, "P": Quality.SELECTION}
_FLAGS = ("data_flag", "integration_flag", "git_pollution_flag", "met_office_baseline_flag")


def sniff(source: Source) -> bool:
    """Tell whether a netCDF file is of the AGAGE archive."""
    header = source.netcdf
    return header is not None and {"mf", "time"} <= set(header.variables)


def read(source: Source, species: str | None = None) -> list[xr.Dataset]:
    """Read an AGAGE file; see `stations.readers.read`."""
    with opened(source.path) as file:
        gas = file.attr("species") or file.of("mf", "long_name").split("_in_")[0].rsplit("_", 1)[-1]
        choose([gas.upper()], species, source.path)
        return [_record(source, file, gas)]


def _record(source: Source, file: File, gas: str) -> xr.Dataset:
    notes = Notes()
    stamp = file.times("time")
    interval, length = _interval(source, file, len(stamp))
    start, middle, end = intervals(stamp, interval, length)
    letters = {name: _letters(file.raw(name)) for name in _FLAGS if name in file}
    quality = np.zeros(len(stamp), np.uint32)
    for name, table in (("data_flag", _REJECTED), ("git_pollution_flag", _POLLUTED)):
        if name in letters:
            quality |= decode(letters[name], by_letter(table), notes)
    original = np.full(len(stamp), "")
    for name in letters:
        original = np.char.add(original, np.where(letters[name] == "", "-", letters[name]))
    height = file.numbers("inlet_height") if "inlet_height" in file else np.array(np.nan)
    columns: dict[str, Any] = {
        "value": file.numbers("mf"),
        "uncertainty": _first(file, "mf_repeatability"),
        "sd": _first(file, "mf_variability", "mf_mean_stdev"),
        "n": _first(file, "mf_count", "mf_mean_N"),
        "quality": quality,
        "quality_original": original,
        "latitude": attribute_number(file.attr("inlet_latitude")),
        "longitude": attribute_number(file.attr("inlet_longitude")),
        "altitude_m": attribute_number(file.attr("inlet_base_elevation_masl")) + height,
        "intake_height_m": height,
    }
    folder = file.attr("data_dir").rstrip("/").rsplit("/", 1)[-1]
    return build(
        columns,
        species=gas,
        unit=file.of("mf", "units") or file.attr("units"),
        scale=file.attr("calibration_scale") or file.of("mf", "scale"),
        start=start,
        middle=middle,
        end=end,
        interval=interval,
        notes=notes,
        options=source.options,
        attrs={
            "site": (file.attr("site_code") or _code(source.name)).upper(),
            "site_name": file.attr("station_long_name"),
            "network": "AGAGE",
            "source": f"agage_{(file.attr('instrument') or _instrument(source.name)).lower()}_{gas.lower()}",
            "format": "agage_netcdf",
            "path": str(source.path),
            "dataset": folder or source.name,
        },
    )


def _interval(source: Source, file: File, rows: int) -> tuple[str, np.ndarray | None]:
    """Return what a stamp names and how long a sample lasts."""
    seconds = np.full(rows, attribute_number(file.of("time", "sampling_time_seconds")))
    if "sampling_period" in file:
        seconds = np.broadcast_to(file.numbers("sampling_period"), (rows,))
    said = source.options.get("stamp") or (
        "start" if "start" in file.of("time", "comment").lower() else "instant"
    )
    if said == "instant" or not np.isfinite(seconds).any():
        return said, None
    return said, np.round(np.nan_to_num(seconds)).astype("timedelta64[s]")


def _letters(codes: np.ndarray) -> np.ndarray:
    """Return ASCII codes as letters; 0 is none."""
    known, inverse = np.unique(codes, return_inverse=True)
    return np.array([chr(c) if 32 < c < 127 else "" for c in known.tolist()] or [""])[inverse]


def _first(file: File, *names: str) -> Any:
    return next((file.numbers(n) for n in names if n in file), np.nan)


def _code(name: str) -> str:
    """Return the site from ``AGAGE-Picarro_TAC_ch4.nc``."""
    parts = name.split("_")
    return parts[1] if len(parts) > 2 else ""


def _instrument(name: str) -> str:
    return name.split("_")[0].split("-", 1)[-1]
