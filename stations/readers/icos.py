"""ICOS ATC text: Level 2 continuous series, flask and integrated samples, the older ``.dat``, the portal's plain CSV.

Times are UTC, averages stamped at the beginning of their interval where the header says nothing else. Samples of 14C
that were collected over days have ``SamplingStart`` and ``SamplingEnd``, or ``IntegrationTime`` whose unit the header
says, and ``WeightedStdErr``; their layout is from public descriptions, no file of them was at hand. Flags: ``U``,
``O``, ``R`` may be used. ``LTR`` is 0.000 on bad rows. The scale belongs to the instrument and is listed in the header
by its number. Sources: the files' headers; Hazan et al. 2016, doi:10.5194/amt-9-4719-2016; Yver Kwok et al. 2015,
doi:10.5194/amt-8-3867-2015.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

import numpy as np

from obsnet.constants import SPECIES
from obsnet.errors import FormatError
from stations.readers.choice import choose
from stations.readers.flags import icos_quality
from stations.readers.netcdf import named_part
from stations.readers.table import read_table, require
from stations.readers.text import (
    from_parts,
    local_to_utc,
    number,
    one_site,
    parse_iso,
    split_header,
    usual_step,
    without_fill,
)
from stations.record.record import InUnit, Notes, Span, build, intervals
from stations.record.source import Source

if TYPE_CHECKING:
    from stations.record.rows import Rows

__all__ = ["read", "sniff"]

_FILL, _SD_FILL = -999.99, -9.99
_PARTS = ("Year", "Month", "Day", "Hour", "Minute")
_STRINGS = [
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
]
_EXTRAS = {
    "LTR": "icos_ltr",
    "CMR": "icos_cmr",
    "STTB": "icos_sttb",
    "QcBias": "qc_bias",
    "QcBiasUncertainty": "qc_bias_uncertainty",
    "EstRep": "estimated_reproducibility",
    "ScalLink": "scale_link_uncertainty",
}
_LENGTHS = {
    "hourly": np.timedelta64(1, "h"),
    "daily": np.timedelta64(1, "D"),
    "1minute": np.timedelta64(1, "m"),
}


def sniff(source: Source) -> bool:
    """Tell whether a text file is ICOS ATC's."""
    return _column_line(source.lines) is not None


def _column_line(lines: list[str]) -> tuple[int, tuple[list[str], str]] | None:
    """Return the index of the column line, its names and the separator."""
    for index, line in enumerate(lines):
        if line.startswith("#Site;SamplingHeight;"):
            return index, (line.strip("#; \r").split(";"), ";")
        if line.startswith("DateTime,#Site,"):
            return index, ([n.lstrip("#").strip() for n in line.split(",")], ",")
        if line.split()[:6] == ["Site", *_PARTS]:
            return index, (line.split(), " ")
    return None


def read(source: Source, species: str | None = None) -> list[Rows]:
    """Read an ICOS ATC text file; see `stations.readers.read`."""
    notes = Notes()
    header, (names, separator), rows = split_header(source, _column_line, notes)
    gas = _gas(names, source)
    times = next((t for t in (("SamplingStart", "SamplingEnd"), ("DateTime",)) if t[0] in names), _PARTS)
    require(names, ("Site", *times, gas), source.where)
    choose([gas.upper()], species, source.where)
    attrs = _attributes(header)
    _check_lengths(attrs, len(header) + 1, rows, notes)
    if separator == " ":
        # The descriptive flags at the end of a line are often empty, so lines differ in length.
        require(names, ("Flag",), source.where)
        names = names[: names.index("Flag") + 1]
        rows = b"\n".join(b" ".join(line.split()[: len(names)]) for line in rows.splitlines())
    table = read_table(rows, names, strings=_STRINGS, path=source.where, notes=notes, separator=separator)
    for name in [n for n, v in table.items() if v.dtype.kind == "f"]:
        table[name] = without_fill(table[name], _FILL)
        if name.startswith("Stdev"):
            table[name] = without_fill(table[name], _SD_FILL)
    attrs["comment"] = "\n".join(header)
    attrs["says UTC"] = "yes" if "Times are UTC" in attrs["comment"] else ""
    record = _record(source, attrs, table, gas, notes)
    record.attrs["header_lines"] = len(header) + 1
    return [record]


def _attributes(header: list[str]) -> dict[str, str]:
    """Read ``# KEY: value`` lines; the comment's bullets are left out."""
    pairs = (line.lstrip("# ").partition(":") for line in header if not line.lstrip("# ").startswith("-"))
    return {k.strip(): v.strip() for k, colon, v in pairs if colon}


def _gas(names: list[str], source: Source) -> str:
    """Return the column of the species: one of a known name, the one before its standard deviation, or the last."""
    if len(known := [n for n in names if n.upper() in SPECIES]) == 1:
        return known[0]
    for after in ("Stdev", "MeasUnc", "WeightedStdErr"):
        if after in names[1:]:
            return names[names.index(after) - 1]
    if names[0] == "DateTime":
        return names[-1]
    raise FormatError(f"{source.where}: no column of values before 'Stdev' or 'MeasUnc' in {' '.join(names)}")


def _check_lengths(attrs: dict[str, str], header_lines: int, rows: bytes, notes: Notes) -> None:
    said, total = number(attrs.get("HEADER LINES")), number(attrs.get("TOTAL LINES"))
    if np.isfinite(said) and said != header_lines:
        what = f"it says {said:g} lines, the column names are in line {header_lines}"
        notes.warn(1, f"header count is wrong: {what}")
    held = header_lines + len(rows.rstrip().splitlines())
    if total > held:
        notes.warn(total - held, "lines fewer than the header promises: the file is cut off")


def _record(
    source: Source, attrs: dict[str, str], table: dict[str, np.ndarray], gas: str, notes: Notes
) -> Rows:
    when = _times(source, attrs, table, notes)
    rows = len(when.middle)
    flags = table.get("Flag", np.full(rows, ""))
    height = table.get("SamplingHeight", np.array(_height(source.name)))
    extras: dict[str, Any] = {new: InUnit(table[old]) for old, new in _EXTRAS.items() if old in table}
    if "icos_ltr" in extras:
        extras["icos_ltr"] = InUnit(np.where(table["LTR"] == 0.0, np.nan, table["LTR"]))
    for old, new in ((gas, "value"), ("Stdev", "sd")):
        if f"{old}-WithoutSpikes" in table:
            extras[f"{new}_without_spikes"] = InUnit(table[f"{old}-WithoutSpikes"])
    if "InstrumentId" in table:
        extras["instrument"] = table["InstrumentId"]
    scale, by_row = _scales(attrs.get("MEASUREMENT SCALE", ""), table, gas)
    if by_row is not None:
        extras["scale_row"] = by_row
    single = next((table[n] for n in ("MeasUnc", "WeightedStdErr") if n in table), np.full(rows, np.nan))
    combined = table.get("CombUnc", np.full(rows, np.nan))
    long = "SamplingEnd" in table or "IntegrationTime" in table
    kind = "flask" if "FlaskId" in table else "integrated" if long else _mean(source, attrs)
    entry = SPECIES.get(gas.upper())
    unit = attrs.get("MEASUREMENT UNIT") or (entry.unit_name if entry else "")
    return build(
        {
            "value": table[gas],
            "uncertainty": np.where(np.isnan(combined), single, combined),
            "sd": table.get("Stdev", np.nan),
            "n": table.get("NbPoints"),
            "quality": icos_quality(flags, notes) if "Flag" in table else 0,
            "quality_original": flags,
            "latitude": _first_number(attrs, "LATITUDE"),
            "longitude": _first_number(attrs, "LONGITUDE"),
            "altitude_m": _first_number(attrs, "ALTITUDE") + height,
            "intake_height_m": height,
            "sample_id": table.get("FlaskId", ""),
        },
        species=gas,
        unit="per mil" if "per mil" in unit else unit,
        scale=scale,
        when=when,
        notes=notes,
        extras=extras,
        source=source,
        attrs={
            "site": one_site(table["Site"], attrs.get("STATION CODE", ""), source.where),
            "site_name": attrs.get("STATION NAME", ""),
            "network": "ICOS ATC",
            "source": f"icos_{kind}_{gas.lower()}",
            "format": f"icos_{kind}" if long else "icos_l2" if "FILE NAME" in attrs else "icos_plain",
            "dataset": attrs.get("FILE NAME", source.name),
        },
    )


def _first_number(attrs: dict[str, str], name: str) -> float:
    """Return the number of ``51.9975 N`` or ``2.54 W``, negative for south and west."""
    text, _, behind = attrs.get(name, "").partition(" ")
    return -abs(number(text)) if behind.strip() in {"S", "W"} else number(text)


def _scales(text: str, table: dict[str, np.ndarray], gas: str) -> tuple[str, np.ndarray | None]:
    """Return the scale, and each row's where instruments on several scales gave values.

    ``530: Unknown; 115: WMO X2004A`` lists instruments; anything else is the one scale of the file.
    """
    scales = dict(re.findall(r"(\w+)\s*:\s*([^;]+)", text))
    if not scales or "InstrumentId" not in table:
        return text, None
    instrument = table["InstrumentId"]
    used = [scales.get(i, "").strip() for i in np.unique(instrument[np.isfinite(table[gas])]).tolist()]
    names = list(dict.fromkeys(s for s in used if s))
    if len(names) < 2:
        return "".join(names), None
    known, inverse = np.unique(instrument, return_inverse=True)
    return "; ".join(names), np.array([scales.get(i, "").strip() for i in known.tolist()])[inverse]


def _times(source: Source, attrs: dict[str, str], table: dict[str, np.ndarray], notes: Notes) -> Span:
    """Return the rows' intervals."""
    zone = attrs.get("TIME ZONE", "UTC")
    shifted = bool(re.search(r"[+-]\s*0*[1-9]", zone))
    if "SamplingStart" in table:
        start, end = parse_iso(table["SamplingStart"]), parse_iso(table["SamplingEnd"])
        if shifted:
            text = f"stamps end in Z and were taken as UTC although the header's TIME ZONE says {zone!r}"
            notes.changed(len(start), text)
        return Span(start, start + (end - start) // 2, end, "start")
    if "DateTime" in table:
        stamp = parse_iso(table["DateTime"])
    else:
        stamp = from_parts(*(table[n] for n in _PARTS))
    if shifted and attrs["says UTC"]:
        text = f"rows are UTC by the header's comment and {zone!r} by its TIME ZONE; taken as UTC"
        notes.warn(len(stamp), text)
    elif shifted or not attrs["says UTC"]:
        stamp = local_to_utc(stamp, zone, notes)
    about = [line for line in attrs["comment"].splitlines() if "averaging interval" in line.lower()]
    named = named_part(source, "start", *about)
    if "IntegrationTime" in table:
        return intervals(stamp, named, _integration(source, attrs, table, notes))
    length = _LENGTHS.get(_mean(source, attrs)) or usual_step(stamp, notes)
    return intervals(stamp, named, length)


def _integration(
    source: Source, attrs: dict[str, str], table: dict[str, np.ndarray], notes: Notes
) -> np.ndarray:
    """Return how long each sample was collected; the unit is the header's, which says days or hours."""
    said = re.search(r"IntegrationTime[^\n]*?\b(day|hour)", attrs["comment"], re.IGNORECASE)
    if said is None:
        raise FormatError(
            f"{source.where}: the header does not say whether IntegrationTime is in days or hours; add to it "
            "'#   - IntegrationTime: days'"
        )
    hours = table["IntegrationTime"] * (24.0 if said[1].lower() == "day" else 1.0)
    notes.changed(hours.size, f"sampling times from IntegrationTime in {said[1].lower()}s")
    return np.round(np.nan_to_num(hours) * 3600.0).astype("timedelta64[s]")


def _mean(source: Source, attrs: dict[str, str]) -> str:
    """Return what kind of mean the header, or else the file's name, says it holds."""
    said = attrs.get("TIME INTERVAL", "") or source.name
    return next((k for k in _LENGTHS if k in said), "continuous")


def _height(name: str) -> float:
    """Return the intake height that a file name such as ``tta.co2.1minute.222m.min.dat`` gives."""
    match = re.search(r"[._-](\d+(?:\.\d+)?)m(?:agl)?[._-]", name)
    return float(match[1]) if match else float("nan")
