"""WDCGG's old monthly ``.dat``: header lines REM01 to REM25 or REM32, then ``YYYY MM value V ND SD F …``.

Position is in degrees and minutes (``36 17' N``), fills are -99, -9999, -999999. The values are monthly means
as the contributor made them; the scale is named with its period. Source: the files' own headers.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import numpy as np

from obsnet.errors import FormatError
from stations.readers.choice import choose
from stations.readers.table import read_table, require
from stations.readers.text import from_parts, number, second_header
from stations.record.record import Notes, build, intervals
from stations.record.source import Source, decode

if TYPE_CHECKING:
    from stations.record.rows import Rows

__all__ = ["read", "sniff"]

_LINE = re.compile(r"^REM\d\d ?(.*)$")


def sniff(source: Source) -> bool:
    """Tell whether a text file begins with a line REM01."""
    return bool(source.lines) and source.lines[0].startswith("REM01")


def read(source: Source, species: str | None = None) -> list[Rows]:
    """Read an old WDCGG monthly file; see `stations.readers.read`."""
    notes = Notes()
    text, other = decode(source.read_bytes())
    notes.changed(bool(other), f"file is not UTF-8 and was read as {other}")
    lines = text.splitlines()
    if sum(line.startswith("REM01") for line in lines) > 1:
        raise second_header(source)
    header = [m[1].strip() for line in lines if (m := _LINE.match(line))]
    attrs = {k.strip(): v.strip() for k, colon, v in (h.partition(":") for h in header) if colon}
    missing = [k for k in ("PARAMETER", "UNIT") if not attrs.get(k)]
    if missing:
        raise FormatError(f"{source.where}: the REM header lacks {', '.join(missing)}")
    gas = attrs["PARAMETER"].split()[0]
    choose([gas.upper()], species, source.where)
    names = _names(header, source)
    rows = "\n".join(line for line in lines if not line.startswith("REM")).encode()
    table = read_table(rows, names, strings={"F"}, path=source.where, notes=notes)
    record = _record(source, attrs, table, gas, notes)
    record.attrs["header_lines"] = len(header)
    return [record]


def _names(header: list[str], source: Source) -> list[str]:
    """Return column names from the line that names ND and SD."""
    for line in header:
        words = line.split()
        if {"V", "ND", "SD"} <= set(words):
            # "YYYY MM CO2 V ND …", of which the width of REMnn may have eaten the beginning
            names = ["year", "month", "value", *words[words.index("V") :]]
            require(names, ("ND", "SD"), source.where)
            return names
    raise FormatError(f"{source.where}: the REM header does not name the columns V, ND, SD")


def _record(
    source: Source, attrs: dict[str, str], table: dict[str, np.ndarray], gas: str, notes: Notes
) -> Rows:
    fill = table["value"] <= -99.0
    notes.changed(fill.sum(), "fill values set to missing")
    for name in ("value", "ND", "SD"):
        table[name] = np.where(table[name] <= -99.0, np.nan, table[name])
    if {"RATIO_A", "RATIO_B"} <= set(table):
        differs = (table["RATIO_A"] != 1.0) | (table["RATIO_B"] != 0.0)
        notes.warn(
            differs.sum(), "rows have a ratio to the WMO scale other than 1; values are the contributor's"
        )
    flags = table.get("F", np.full(len(table["year"]), ""))
    return build(
        {
            "value": table["value"],
            "sd": table["SD"],
            "n": table["ND"],
            "quality_original": np.where(flags == "-99", "", flags),
            "latitude": _degrees(attrs.get("LATITUDE", "")),
            "longitude": _degrees(attrs.get("LONGITUDE", "")),
            "altitude_m": number(attrs.get("ALTITUDE", "").partition(" ")[0]),
        },
        species=gas,
        unit=attrs["UNIT"],
        scale=_scale(attrs.get("CALIBRATION", ""), notes),
        when=intervals(from_parts(table["year"], table["month"]), "start", "month"),
        notes=notes,
        source=source,
        attrs={
            "site": _site(attrs),
            "site_name": attrs.get("STATION", ""),
            "network": f"WDCGG ({attrs.get('SUBMITTED BY', 'unknown')})",
            "source": f"wdcgg_rem_monthly_{gas.lower()}",
            "format": "wdcgg_rem",
            "dataset": attrs.get("TABLENAME", source.name),
        },
    )


def _degrees(text: str) -> float:
    """Read ``36 17' N`` or ``36 17 30 S`` as decimal degrees."""
    numbers = [float(n) for n in re.findall(r"\d+(?:\.\d+)?", text)][:3]
    if not numbers:
        return float("nan")
    size = sum(n / 60**i for i, n in enumerate(numbers))
    return -size if re.search(r"[SW]", text.upper()) else size


def _scale(text: str, notes: Notes) -> str:
    """Return the scale without its period; ``mixed`` where there are several: no row says which it is on."""
    parts = (p.strip(" ,;") for p in re.sub(r"\([^)]*\)", ";", text).split(";"))
    names = list(dict.fromkeys(p for p in parts if p))
    if len(names) > 1:
        notes.warn(len(names), f"scales in one record ({', '.join(names)}); no row says which it is on")
        return "mixed"
    return "".join(names)


def _site(attrs: dict[str, str]) -> str:
    parts = attrs.get("FILENAME", "").split("_")
    return parts[1] if len(parts) > 2 else attrs.get("TABLENAME", "")[:3]
