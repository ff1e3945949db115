"""WDCGG's old monthly ``.dat``: a header of lines REM01 to REM25 or REM32, then ``YYYY MM value V ND SD F …``.

Position is in degrees and minutes (``36 17' N``), fills are -99, -9999, -999999. The values are monthly means
as the contributor made them; the scale is named with its period.
"""

from __future__ import annotations

import re

import numpy as np
import xarray as xr

from obsnet.errors import FormatError
from stations.readers import choose
from stations.readers.source import Source, decode
from stations.readers.text import from_parts, number, read_table
from stations.record import Notes, build, intervals

__all__ = ["read", "sniff"]

_LINE = re.compile(r"^REM(\d\d) ?(.*)$")
_TAIL = ("V", "ND", "SD", "F", "RATIO_A", "RATIO_B")


def sniff(source: Source) -> bool:
    """Tell whether a text file begins with a line REM01."""
    return bool(source.lines) and source.lines[0].startswith("REM01")


def read(source: Source, species: str | None = None) -> list[xr.Dataset]:
    """Read an old WDCGG monthly file; see `stations.readers.read`."""
    notes = Notes()
    text, latin = decode(source.read_bytes())
    notes.changed(latin, "file is not UTF-8 and was read as Latin-1")
    lines = text.splitlines()
    header = [m[2].strip() for line in lines if (m := _LINE.match(line))]
    attrs = {k.strip(): v.strip() for k, colon, v in (h.partition(":") for h in header) if colon}
    missing = [k for k in ("PARAMETER", "UNIT") if not attrs.get(k)]
    if missing:
        raise FormatError(f"{source.path}: the REM header lacks {', '.join(missing)}")
    gas = attrs["PARAMETER"].split()[0]
    choose([gas.upper()], species, source.path)
    names = _names(header, source)
    rows = "\n".join(line for line in lines if not line.startswith("REM")).encode()
    table = read_table(rows, names, strings={"F"}, path=source.path, notes=notes)
    value = table["value"]
    for name, values in table.items():
        if values.dtype.kind == "f":
            table[name] = np.where(values <= -99.0, np.nan, values)
    notes.changed((np.isnan(table["value"]) & np.isfinite(value)).sum(), "fill values set to missing")
    stamp = from_parts(table["year"], table["month"])
    start, middle, end = intervals(stamp, "start", "month")
    ratio = [table[k] for k in ("RATIO_A", "RATIO_B") if k in table]
    if len(ratio) == 2:
        differs = (ratio[0] != 1.0) | (ratio[1] != 0.0)
        notes.warn(
            differs.sum(), "rows have a ratio to the WMO scale that is not 1; values are the contributor's"
        )
    flags = np.where(table["F"] == "-99", "", table["F"]) if "F" in table else ""
    return [
        build(
            {
                "value": table["value"],
                "sd": table.get("SD", np.nan),
                "n": table.get("ND"),
                "quality_original": flags,
                "latitude": _degrees(attrs.get("LATITUDE", "")),
                "longitude": _degrees(attrs.get("LONGITUDE", "")),
                "altitude_m": number(attrs.get("ALTITUDE", "").split()[0] if attrs.get("ALTITUDE") else ""),
            },
            species=gas,
            unit=attrs["UNIT"],
            scale=_scale(attrs.get("CALIBRATION", ""), notes),
            start=start,
            middle=middle,
            end=end,
            interval="start",
            notes=notes,
            options=source.options,
            attrs={
                "site": _site(attrs),
                "site_name": attrs.get("STATION", ""),
                "network": f"WDCGG ({attrs.get('SUBMITTED BY', '')})",
                "source": f"wdcgg_rem_monthly_{gas.lower()}",
                "format": "wdcgg_rem",
                "path": str(source.path),
                "dataset": attrs.get("TABLENAME", ""),
                "header_lines": len(header),
            },
        )
    ]


def _names(header: list[str], source: Source) -> list[str]:
    """Return column names from the line that names ND and SD."""
    for line in header:
        words = line.split()
        if {"ND", "SD"} <= set(words):
            # "YYYY MM CO2 V ND …", of which the width of REMnn may have eaten the beginning
            return ["year", "month", "value", *words[words.index("ND") - 1 :]]
    raise FormatError(f"{source.path}: the REM header does not name the columns ({', '.join(_TAIL)})")


def _degrees(text: str) -> float:
    """Read ``36 17' N`` or ``36 17 30 S`` as decimal degrees."""
    numbers = [float(n) for n in re.findall(r"\d+(?:\.\d+)?", text)][:3]
    if not numbers:
        return float("nan")
    size = sum(n / 60**i for i, n in enumerate(numbers))
    return -size if re.search(r"[SW]", text.upper()) else size


def _scale(text: str, notes: Notes) -> str:
    """Return the scale without its period; several periods are named together."""
    names = list(
        dict.fromkeys(n.strip(" ,;") for n in re.sub(r"\([^)]*\)", ";", text).split(";") if n.strip(" ,;"))
    )
    if len(names) > 1:
        notes.warn(
            len(names), f"scales in one record ({', '.join(names)}) without saying which row is on which"
        )
        return "mixed"
    return names[0] if names else ""


def _site(attrs: dict[str, str]) -> str:
    parts = attrs.get("FILENAME", "").split("_")
    return (parts[1] if len(parts) > 2 else attrs.get("TABLENAME", "")[:3]).upper()
