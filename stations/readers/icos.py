"""ICOS ATC text: Level 2 continuous series, flask samples, the older ``.dat``, and the portal's plain CSV.

Times are UTC, averages stamped at the beginning of their interval. Flags: ``U``, ``O``, ``R`` may be used.
``LTR`` is 0.000 on bad rows. The scale belongs to the instrument and is listed in the header by its number.
Sources: the files' headers; Hazan et al. 2016, doi:10.5194/amt-9-4719-2016; Yver Kwok et al. 2015,
doi:10.5194/amt-8-3867-2015.
"""

from __future__ import annotations

import re
from typing import Any

import numpy as np
import xarray as xr

from obsnet.constants import SPECIES
from obsnet.errors import FormatError
from stations.readers import choose
from stations.readers.flags import icos_quality
from stations.readers.source import Source, decode
from stations.readers.text import (
    from_parts,
    local_to_utc,
    number,
    parse_iso,
    read_table,
    usual_step,
    without_fill,
)
from stations.record import Notes, build, intervals

__all__ = ["read", "sniff"]

_FILL, _SD_FILL = -999.99, -9.99
_STRINGS = {
    "Site",
    "FlaskId",
    "SamplerId",
    "FlaskSamplingId",
    "SamplingStart",
    "SamplingEnd",
    "Flag",
    "InstrumentId",
    "QualityId",
    "DateTime",
}
_EXTRAS = {
    "LTR": "icos_ltr", "CMR": "icos_cmr", "STTB": "icos_sttb", "QcBias": "qc_bias", "QcBiasUncertainty": "qc_bias_uncertainty",
    "EstRep": "estimated_reproducibility", "ScalLink": "scale_link_uncertainty",
}  # fmt: skip
_LENGTHS = {
    "hourly": np.timedelta64(1, "h"),
    "daily": np.timedelta64(1, "D"),
    "1minute": np.timedelta64(1, "m"),
}


def sniff(source: Source) -> bool:
    """Tell whether a text file is ICOS ATC's."""
    return _column_line(source.lines) is not None


def _column_line(lines: list[str]) -> tuple[int, list[str], str] | None:
    """Return the index of the column line, its names and the separator."""
    for index, line in enumerate(lines):
        if line.startswith("#Site;SamplingHeight;"):
            return index, line.strip("#; ").split(";"), ";"
        if line.startswith("DateTime,#Site,"):
            return index, [n.lstrip("#") for n in line.split(",")], ","
        if line.split()[:6] == ["Site", "Year", "Month", "Day", "Hour", "Minute"]:
            return index, line.split(), " "
    return None


def read(source: Source, species: str | None = None) -> list[xr.Dataset]:
    """Read an ICOS ATC text file; see `stations.readers.read`."""
    notes = Notes()
    text, latin = decode(source.read_bytes())
    notes.changed(latin, "file is not UTF-8 and was read as Latin-1")
    lines = text.splitlines()
    found = _column_line(lines)
    if found is None:
        raise FormatError(
            f"{source.path}: the header ends before the line of column names; the file is cut off"
        )
    index, names, separator = found
    gas = _gas(names, source)
    choose([gas.upper()], species, source.path)
    attrs = {
        k.strip(): v.strip()
        for k, c, v in (li.lstrip("# ").partition(":") for li in lines[:index])
        if c and "- " not in k
    }
    rows = lines[index + 1 :]
    if separator == " ":
        # The descriptive flags at the end of a line are often empty, so lines differ in length.
        names = names[: names.index("Flag") + 1]
        rows = [" ".join(line.split()[: len(names)]) for line in rows]
    _check_lengths(attrs, index + 1, rows, notes)
    table = read_table(
        "\n".join(rows).encode(), names, strings=_STRINGS, path=source.path, notes=notes, separator=separator
    )
    for name in [n for n, v in table.items() if v.dtype.kind == "f"]:
        table[name] = without_fill(table[name], _FILL)
        if name.startswith("Stdev"):
            table[name] = without_fill(table[name], _SD_FILL)
    return [_record(source, attrs, table, gas, "\n".join(lines[:index]), notes, index + 1)]


def _gas(names: list[str], source: Source) -> str:
    """Return the column of the species: the one before its standard deviation, or the last."""
    for after in ("Stdev", "MeasUnc"):
        if after in names and names.index(after) > 0:
            return names[names.index(after) - 1]
    if names[0] == "DateTime":
        return names[-1]
    raise FormatError(f"{source.path}: no column of values before 'Stdev' or 'MeasUnc' in {' '.join(names)}")


def _check_lengths(attrs: dict[str, str], header_lines: int, rows: list[str], notes: Notes) -> None:
    said = number(attrs.get("HEADER LINES", ""))
    if np.isfinite(said) and said != header_lines:
        notes.warn(
            1, f"header count is wrong: it says {said:g} lines, the column names are in line {header_lines}"
        )
    total = number(attrs.get("TOTAL LINES", ""))
    if np.isfinite(total):
        notes.warn(
            max(total - header_lines - sum(bool(r.strip()) for r in rows), 0),
            "lines fewer than the header promises: the file is cut off",
        )


def _record(
    source: Source,
    attrs: dict[str, str],
    table: dict[str, np.ndarray],
    gas: str,
    header: str,
    notes: Notes,
    header_lines: int,
) -> xr.Dataset:
    start, middle, end, interval = _times(source, attrs, table, header, notes)
    rows = len(middle)
    flags = table.get("Flag", np.full(rows, ""))
    quality = icos_quality(flags, notes) if "Flag" in table else np.zeros(rows, np.uint32)
    height = table.get("SamplingHeight", np.array(_height(source.name)))
    elevation = number(attrs.get("ALTITUDE", "").split()[0] if attrs.get("ALTITUDE") else "")
    extras: dict[str, Any] = {new: table[old] for old, new in _EXTRAS.items() if old in table}
    if "icos_ltr" in extras:
        extras["icos_ltr"] = np.where(extras["icos_ltr"] == 0.0, np.nan, extras["icos_ltr"])
    if f"{gas}-WithoutSpikes" in table:
        extras["value_without_spikes"] = table[f"{gas}-WithoutSpikes"]
        extras["sd_without_spikes"] = table["Stdev-WithoutSpikes"]
    if "InstrumentId" in table:
        extras["instrument"] = table["InstrumentId"]
    scales = dict(re.findall(r"(\w+)\s*:\s*([^;]+)", attrs.get("MEASUREMENT SCALE", "")))
    if scales and "InstrumentId" in table:
        used = [i for i in np.unique(table["InstrumentId"][np.isfinite(table[gas])]).tolist() if i in scales]
        scale = "; ".join(dict.fromkeys(scales[i].strip() for i in used))
        if len(used) > 1 and ";" in scale:
            words, inverse = np.unique(table["InstrumentId"], return_inverse=True)
            extras["scale_row"] = np.array([scales.get(w, "").strip() for w in words.tolist()])[inverse]
    else:
        scale = attrs.get("MEASUREMENT SCALE", "")
    combined = table.get("CombUnc", np.full(rows, np.nan))
    kind = "flask" if "FlaskId" in table else "continuous"
    entry = SPECIES.get(gas.upper())
    unit = attrs.get("MEASUREMENT UNIT") or (entry.unit_name if entry else "")
    return build(
        {
            "value": table[gas],
            "uncertainty": np.where(np.isnan(combined), table.get("MeasUnc", np.nan), combined),
            "sd": table.get("Stdev", np.nan),
            "n": table.get("NbPoints"),
            "quality": quality,
            "quality_original": flags,
            "latitude": number(attrs.get("LATITUDE", "").split()[0] if attrs.get("LATITUDE") else ""),
            "longitude": number(attrs.get("LONGITUDE", "").split()[0] if attrs.get("LONGITUDE") else ""),
            "altitude_m": elevation + height,
            "intake_height_m": height,
            "sample_id": table.get("FlaskId", ""),
        },
        species=gas,
        unit="per mil" if "per mil" in unit else unit,
        scale=scale,
        start=start,
        middle=middle,
        end=end,
        interval=interval,
        notes=notes,
        extras=extras,
        options=source.options,
        attrs={
            "site": attrs.get("STATION CODE") or (str(table["Site"][0]) if rows else ""),
            "site_name": attrs.get("STATION NAME", ""),
            "network": "ICOS ATC",
            "source": f"icos_{kind}_{gas.lower()}",
            "format": f"icos_{kind}" if attrs else "icos_plain",
            "path": str(source.path),
            "dataset": attrs.get("FILE NAME", source.name),
            "header_lines": header_lines,
        },
    )


def _times(
    source: Source, attrs: dict[str, str], table: dict[str, np.ndarray], header: str, notes: Notes
) -> tuple[np.ndarray, np.ndarray, np.ndarray, str]:
    """Return start, middle, end and what the stamp named."""
    zone = attrs.get("TIME ZONE", "UTC")
    if "SamplingStart" in table:
        start, end = parse_iso(table["SamplingStart"]), parse_iso(table["SamplingEnd"])
        if _is_offset(zone):
            notes.changed(
                len(start),
                f"stamps end in Z and were taken as UTC although the header's TIME ZONE says {zone!r}",
            )
        return start, start + (end - start) // 2, end, "start"
    if "DateTime" in table:
        stamp = parse_iso(table["DateTime"])
    else:
        stamp = from_parts(*(table[n] for n in ("Year", "Month", "Day", "Hour", "Minute")))
    if _is_offset(zone) and "Times are UTC" not in header:
        stamp = local_to_utc(stamp, zone, notes)
    elif _is_offset(zone):
        notes.warn(
            len(stamp), f"rows are UTC by the header's comment and {zone!r} by its TIME ZONE; taken as UTC"
        )
    text = attrs.get("TIME INTERVAL", "") or source.name
    length = next((v for k, v in _LENGTHS.items() if k in text), None) or usual_step(stamp, notes)
    stated = source.options.get("stamp", "start")
    return *intervals(stamp, stated, length), stated


def _is_offset(zone: str) -> bool:
    digits = re.search(r"[+-]\s*(\d+)", zone)
    return bool(digits and int(digits[1]))


def _height(name: str) -> float:
    """Return the intake height that a file name such as ``tta.co2.1minute.222m.min.dat`` gives."""
    match = re.search(r"[._-](\d+(?:\.\d+)?)m(?:agl)?[._-]", name)
    return float(match[1]) if match else float("nan")
