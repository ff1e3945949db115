"""GCWerks exports of laser analysers (``.dat``): two stacked header lines, then ``C stdev N`` a species.

What a stamp names the file does not say: the option ``stamp`` does, ``start`` by default, as AGAGE's netCDF
made from such files states. Site, intake and averaging time are read from the file's name
(``bsd.picarro.1minute.108m.min.dat``) where it has them; the averaging time else from the usual step.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import numpy as np

from obsnet.constants import SPECIES
from obsnet.errors import FormatError
from obsnet.schema import Quality
from stations.readers.choice import choose, each
from stations.readers.gcwerks import yymmdd
from stations.readers.table import read_table, require
from stations.readers.text import split_header, usual_step
from stations.record.record import Notes, build, intervals
from stations.record.source import Source

if TYPE_CHECKING:
    from stations.record.rows import Rows

__all__ = ["read", "sniff"]

_NAME = re.compile(
    r"^(?P<site>[a-z0-9]+)\.(?P<instrument>[a-z0-9-]+)\.(?P<count>\d*)(?P<mean>minute|hourly|daily)"
    r"\.(?P<height>\d+(?:\.\d+)?)m\.",
    re.IGNORECASE,
)
_LENGTHS = {
    "minute": np.timedelta64(60, "s"),
    "hourly": np.timedelta64(3600, "s"),
    "daily": np.timedelta64(86400, "s"),
}


def sniff(source: Source) -> bool:
    """Tell whether a text file has the two stacked header lines."""
    return _header(source.lines[:8]) is not None


def _header(lines: list[str]) -> tuple[int, list[str]] | None:
    """Return the index of the second header line and names ``date, time, type, port, ch4 C, ch4 stdev …``."""
    for i in range(1, min(len(lines), 8)):
        words, above = lines[i].split(), lines[i - 1].split()
        if words[:2] == ["date", "time"] and "C" in words and len(above) == len(words):
            return i, [w if a == "-" else f"{a} {w}" for a, w in zip(above, words, strict=True)]
    return None


def read(source: Source, species: str | None = None) -> list[Rows]:
    """Read a GCWerks analyser export; see `stations.readers.read`."""
    notes = Notes()
    _, names, rows = split_header(source, _header, notes)
    require(names, ("date", "time"), source.where)
    gases = {n.removesuffix(" C").upper(): n.removesuffix(" C") for n in names if n.endswith(" C")}
    unwanted = {n for n in names if " " in n}
    wanted = choose(list(gases), species, source.where)
    for gas in wanted:
        unwanted -= {f"{gases[gas]} {what}" for what in ("C", "stdev", "N")}
    table = read_table(rows, names, strings=("type",), path=source.where, notes=notes, skip=unwanted)
    stamp = _stamp(table["date"], table["time"])
    return each(
        wanted, list(gases), notes, lambda gas, own: _record(source, table, stamp, gas, gases[gas], own)
    )


def _stamp(date: np.ndarray, clock: np.ndarray) -> np.ndarray:
    """Return the time of numbers such as 140130 and 111030; NaT where there is no such time."""
    # A day has many rows: its date is made once.
    first = np.flatnonzero(np.diff(date, prepend=np.nan) != 0)
    days = np.repeat(yymmdd(date[first]), np.diff(first, append=len(date)))
    digits = np.where((clock >= 0) & (clock < 240000), clock, 999999).astype(np.int32)
    hour, rest = np.divmod(digits, 10000)
    minute, second = np.divmod(rest, 100)
    stamp = days + (hour * 3600 + minute * 60 + second).astype("timedelta64[s]")
    stamp[(minute > 59) | (second > 59)] = np.datetime64("NaT", "ns")
    return stamp


def _record(
    source: Source, table: dict[str, np.ndarray], stamp: np.ndarray, gas: str, column: str, notes: Notes
) -> Rows:
    entry = SPECIES.get(gas)
    if entry is None:
        raise FormatError(f"{source.where}: the file gives no unit and {gas} has no customary one")
    named = _NAME.match(source.name)
    length: np.timedelta64 | None
    if named:
        length = _LENGTHS[named["mean"].lower()] * int(named["count"] or 1)
    else:
        length = usual_step(stamp, notes)
    convention = source.options.get("stamp", "start")
    quality = np.zeros(len(stamp), np.uint32)
    if "type" in table:
        other = table["type"] != "air"
        notes.warn(other.sum(), "rows are not of type 'air' (flagged 'producer')")
        quality[other] = Quality.PRODUCER
    return build(
        {
            "value": table[f"{column} C"],
            "sd": table.get(f"{column} stdev", np.nan),
            "n": table.get(f"{column} N"),
            "quality": quality,
            "intake_height_m": float(named["height"]) if named else np.nan,
        },
        species=gas,
        unit=entry.unit,
        scale="",
        when=intervals(stamp, convention, length),
        notes=notes,
        extras={"port": table["port"]} if "port" in table else {},
        source=source,
        attrs={
            "site": named["site"] if named else "",
            "site_name": "",
            "network": "GCWerks",
            "source": f"gcwerks_{_product(named)}_{gas.lower()}",
            "format": "gcwerks_crds",
        },
    )


def _product(named: re.Match[str] | None) -> str:
    """Return ``picarro-1minute`` and its like: minutes and hours of one analyser are two products."""
    return f"{named['instrument']}-{named['count']}{named['mean']}".lower() if named else "crds"
