"""CO2 of the Scripps programme: ``monthly_in_situ_co2_mlo.csv``, ``weekly_in_situ_co2_mlo.csv``, ``…_flask_…``.

Comment lines are in double quotes (or begin with ``%``). A monthly file has three lines of column names, of which the
first begins ``Yr, Mn, Date, Date, CO2``; its fifth column is what was measured, the others are adjusted, fitted or
filled and are left out; fills are -99.99. A weekly file has lines of date and value. The last column of newer files
names the station of each month: some months of Mauna Loa were measured at Maunakea. The scale is Scripps' own and is
named in the comment; it is not WMO's. The layouts are those of public descriptions, no file as released was at hand.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import numpy as np

from stations.readers.choice import choose
from stations.readers.table import read_table
from stations.readers.text import from_parts, parse_iso
from stations.record.record import Notes, build, intervals
from stations.record.source import Source, decode

if TYPE_CHECKING:
    from stations.record.rows import Rows

__all__ = ["read", "sniff"]

_GAS = "CO2"
_MONTHLY = [
    "year",
    "month",
    "excel",
    "decimal",
    "co2",
    "adjusted",
    "fit",
    "adjusted_fit",
    "filled",
    "adjusted_filled",
]
_COLUMN_LINE = re.compile(r"\s*Yr\s*,\s*Mn\s*,\s*Date\s*,\s*Date\s*,\s*CO2\b")
_WEEK = re.compile(r"\s*\d{4}-\d\d-\d\d\s*,\s*-?\d+(?:\.\d*)?\s*$")
_MONTH = re.compile(r"\s*\d{4}\s*,\s*\d{1,2}\s*,")
_DATED = re.compile(r"\s*\d{4}\s*[-,/]")
_SITE = re.compile(r"_co2_([a-z]{3})\.csv$")


def sniff(source: Source) -> bool:
    """Tell whether a text file is of the Scripps CO2 programme."""
    return "scripps" in source.head.lower() and any(
        _COLUMN_LINE.match(line) or _WEEK.match(line) for line in source.lines
    )


def read(source: Source, species: str | None = None) -> list[Rows]:
    """Read a file of the Scripps CO2 programme; see `stations.readers.read`."""
    notes = Notes()
    choose([_GAS], species, source.where)
    text, other = decode(source.read_bytes())
    notes.changed(bool(other), f"file is not UTF-8 and was read as {other}")
    lines = text.splitlines()
    comment = "\n".join(line for line in lines if line.lstrip().startswith(('"', "%")))
    weekly = [line for line in lines if _WEEK.match(line)]
    monthly = [line for line in lines if _MONTH.match(line)]
    rows = set(weekly or monthly)
    lost = [line.strip() for line in lines if _DATED.match(line) and line not in rows]
    if lost:
        notes.warn(
            len(lost), f"lines with a date are no rows of this table and were left out, e.g. {lost[0]!r}"
        )
    if weekly:
        table = _table(source, weekly, ["date", "co2"], notes)
        when = intervals(parse_iso(np.char.strip(table["date"])), "start", np.timedelta64(7, "D"))
        product, stations = "weekly", np.zeros(0, dtype=str)
    else:
        named = bool(monthly) and monthly[0].count(",") >= len(_MONTHLY)
        names = [*_MONTHLY, "station"] if named else _MONTHLY
        table = _table(source, monthly, names, notes)
        when = intervals(from_parts(table["year"], table["month"]), "start", "month")
        product, stations = "monthly", np.char.strip(table["station"]) if named else np.zeros(0, dtype=str)
    value = np.where(table["co2"] < -90.0, np.nan, table["co2"])
    notes.changed(np.isnan(value).sum(), "fill values set to missing")
    match = _SITE.search(source.name.lower())
    site = match[1].upper() if match else (stations[0] if stations.size else "")
    elsewhere = sorted(set(stations.tolist()) - {site, ""})
    if elsewhere:
        count = np.isin(stations, elsewhere).sum()
        notes.warn(
            count, f"rows were measured at {', '.join(elsewhere)}, not at {site}, and have its position"
        )
    return [
        build(
            {"value": value},
            species=_GAS,
            unit="ppm",
            scale=_scale(comment),
            when=when,
            notes=notes,
            source=source,
            extras={"station": stations} if stations.size else {},
            attrs={
                "site": str(site),
                "site_name": "",
                "network": "Scripps CO2 Program",
                "source": f"scripps_{product}_co2",
                "format": "scripps",
            },
        )
    ]


def _table(source: Source, lines: list[str], names: list[str], notes: Notes) -> dict[str, np.ndarray]:
    rows = "\n".join(",".join(cell.strip() for cell in line.split(",")) for line in lines).encode()
    return read_table(rows, names, strings={"date", "station"}, path=source.where, notes=notes, separator=",")


def _scale(comment: str) -> str:
    """Return the scale of a comment such as "on the 2012 SIO manometric mole fraction scale" or "X12A"."""
    if match := re.search(r"\bX(?:0|1)\d[A-Z]?\b", comment):
        return f"SIO {match[0]}"
    match = re.search(r"20(\d\d[A-Z]?)\s+SIO\s+manometric", re.sub(r'["\s]+', " ", comment))
    return f"SIO X{match[1]}" if match else ""
