"""AGAGE archive netCDF: ``mf`` beside ``mf_repeatability``, flags as ASCII codes of letters.

The time stamp is the start of the sample where the file says so (Picarro minutes are stamped ``…:30``), and
the sampling time itself otherwise. ``B`` is baseline and ``P`` polluted air, ``F`` a rejected value.
Source: the files' attributes; Prinn et al. 2018, doi:10.5194/essd-10-985-2018.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from obsnet.schema import Quality
from stations.readers.choice import choose
from stations.readers.flags import by_letter, decode
from stations.readers.netcdf import File, attribute_number, named_part, opened
from stations.record.record import Notes, build, intervals
from stations.record.source import Source

if TYPE_CHECKING:
    from stations.record.rows import Rows

__all__ = ["read", "sniff"]

# What the letters of a flag mean; the other flags are kept but decide nothing.
_MEANINGS = {
    "data_flag": {"": 0, "F": Quality.PRODUCER},
    "integration_flag": None,
    "git_pollution_flag": {"": 0, "B": 0, "P": Quality.SELECTION},
    "met_office_baseline_flag": None,
}


def sniff(source: Source) -> bool:
    """Tell whether a netCDF file is of the AGAGE archive."""
    header = source.netcdf
    return header is not None and {"mf", "time"} <= set(header.variables)


def read(source: Source, species: str | None = None) -> list[Rows]:
    """Read an AGAGE file; see `stations.readers.read`."""
    with opened(source) as file:
        # "mole_fraction_of_ch4_in_air"
        gas = file.attr("species") or file.of("mf", "long_name").partition("_in_")[0].rpartition("_")[2]
        choose([gas.upper()], species, source.where)
        return [_record(source, file, gas)]


def _record(source: Source, file: File, gas: str) -> Rows:
    notes = file.notes_of_record()
    stamp = file.times("time")
    interval, length = _interval(source, file, len(stamp), notes)
    quality, flags = _flags(file, len(stamp), notes)
    unit = file.of("mf", "units") or file.attr("units")
    height = _first(file, "m", "inlet_height")
    instrument, code = _from_name(source.name)
    return build(
        {
            "value": file.numbers("mf"),
            "uncertainty": _first(file, unit, "mf_repeatability"),
            "sd": _first(file, unit, "mf_variability", "mf_mean_stdev"),
            "n": _first(file, "", "mf_count", "mf_mean_N"),
            "quality": quality,
            "quality_original": flags,
            "latitude": attribute_number(file.attr("inlet_latitude")),
            "longitude": attribute_number(file.attr("inlet_longitude")),
            "altitude_m": attribute_number(file.attr("inlet_base_elevation_masl")) + height,
            "intake_height_m": height,
        },
        species=gas,
        unit=unit,
        scale=file.attr("calibration_scale") or file.of("mf", "scale"),
        when=intervals(stamp, interval, length),
        notes=notes,
        source=source,
        attrs={
            "site": file.attr("site_code") or code,
            "site_name": file.attr("station_long_name"),
            "network": "AGAGE",
            "source": f"agage_{(file.attr('instrument') or instrument).lower()}_{gas.lower()}",
            "format": "agage_netcdf",
            "dataset": file.attr("data_dir").rstrip("/").rpartition("/")[2] or source.name,
        },
    )


def _interval(source: Source, file: File, rows: int, notes: Notes) -> tuple[str, np.ndarray | None]:
    """Return what a stamp names and how long a sample lasts."""
    seconds = np.full(rows, attribute_number(file.of("time", "sampling_time_seconds")))
    if "sampling_period" in file:
        seconds = np.broadcast_to(file.numbers("sampling_period"), (rows,))
    convention = named_part(source, "instant", file.of("time", "comment"))
    if convention == "instant" and (seconds > 0).any() and not source.options.get("stamp"):
        text = f"rows of {np.nanmedian(seconds):g} s whose stamps name the start, the middle or the end, which the file"
        notes.warn(rows, f"{text} does not say: taken as instants; say it with --stamp")
    if convention == "instant" or not np.isfinite(seconds).any():
        return convention, None
    return convention, np.round(np.nan_to_num(seconds)).astype("timedelta64[s]")


def _flags(file: File, rows: int, notes: Notes) -> tuple[np.ndarray, np.ndarray]:
    """Return quality bits, and the letters of all flags side by side with ``-`` for none."""
    quality, together = np.zeros(rows, np.uint32), np.full(rows, "")
    for name, meaning in _MEANINGS.items():
        if name not in file:
            continue
        letters = _letters(file.raw(name))
        if meaning is not None:
            quality |= decode(letters, by_letter(meaning), notes)
        together = np.char.add(together, np.where(letters == "", "-", letters))
    return quality, together


def _letters(codes: np.ndarray) -> np.ndarray:
    """Return ASCII codes as letters; 0 is none."""
    known, inverse = np.unique(codes, return_inverse=True)
    return np.array([chr(c) if 32 < c < 127 else "" for c in known.tolist()] or [""])[inverse]


def _first(file: File, unit: str, *names: str) -> np.ndarray:
    """Return the first of several variables that is there, in a unit where one is named; else NaN."""
    return next((file.numbers_in(n, unit) for n in names if n in file), np.array(np.nan))


def _from_name(name: str) -> tuple[str, str]:
    """Return instrument and site from ``AGAGE-Picarro_TAC_ch4.nc``."""
    parts = name.split("_")
    return parts[0].partition("-")[2], parts[1] if len(parts) > 2 else ""
