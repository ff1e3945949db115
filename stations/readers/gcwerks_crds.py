"""GCWerks exports of laser analysers (``.dat``): two stacked header lines, then ``C stdev N`` a species.

What a stamp names the file does not say: the option ``stamp`` does, ``start`` by default, as AGAGE's netCDF
made from such files states. Site, intake and averaging time are read from the file's name
(``bsd.picarro.1minute.108m.min.dat``) where it has them; the averaging time else from the usual step.
"""

from __future__ import annotations

import re

import numpy as np
import xarray as xr

from obsnet.constants import SPECIES
from obsnet.errors import FormatError
from obsnet.schema import Quality
from stations.readers import choose
from stations.readers.gcwerks import yymmdd
from stations.readers.source import Source
from stations.readers.text import read_table, usual_step
from stations.record import Notes, build, intervals

__all__ = ["read", "sniff"]

_NAME = re.compile(
    r"^(?P<site>[a-z0-9]+)\.(?P<instrument>[a-z0-9-]+)\.(?P<mean>\d*minute|hourly|daily)\.(?P<height>\d+(?:\.\d+)?)m\.",
    re.I,
)
_LENGTHS = {
    "hourly": np.timedelta64(1, "h"),
    "daily": np.timedelta64(1, "D"),
    "minute": np.timedelta64(1, "m"),
}


def sniff(source: Source) -> bool:
    """Tell whether a text file has the two stacked header lines."""
    return _header(source.lines) is not None


def _header(lines: list[str]) -> tuple[int, list[str]] | None:
    """Return the index of the second header line and column names ``date, time, type, port, ch4 C, ch4 stdev …``."""
    for i, line in enumerate(lines[:8]):
        words = line.split()
        if i and words[:2] == ["date", "time"] and "C" in words:
            above = lines[i - 1].split()
            if len(above) == len(words):
                return i, [w if a == "-" else f"{a} {w}" for a, w in zip(above, words, strict=True)]
    return None


def read(source: Source, species: str | None = None) -> list[xr.Dataset]:
    """Read a GCWerks analyser export; see `stations.readers.read`."""
    data = source.read_bytes()
    top = data[:8192].decode("utf-8", errors="replace").splitlines()
    found = _header(top)
    if found is None:
        raise FormatError(
            f"{source.path}: no pair of header lines naming species above 'date time type port C stdev N'"
        )
    index, names = found
    gases = [n.removesuffix(" C") for n in names if n.endswith(" C")]
    wanted = choose([g.upper() for g in gases], species, source.path)
    notes = Notes()
    unwanted = {n for n in names if " " in n and n.split()[0].upper() not in wanted}
    start = 0
    for _ in range(index + 1):
        start = data.find(b"\n", start) + 1 or len(data)
    table = read_table(data[start:], names, strings={"type"}, path=source.path, notes=notes, skip=unwanted)
    stamp = _stamp(table["date"], table["time"])
    return [
        _record(source, table, stamp, gas, gases, Notes(list(notes.changes), list(notes.warnings)))
        for gas in wanted
    ]


def _stamp(date: np.ndarray, clock: np.ndarray) -> np.ndarray:
    """Return the time of numbers such as 140130 and 111030; NaT where there is no such time."""
    # A day has many rows: its date is made once.
    first = np.flatnonzero(np.diff(date, prepend=np.nan) != 0)
    days = np.repeat(yymmdd(date[first]), np.diff(first, append=len(date)))
    digits = np.where((clock >= 0) & (clock < 240000), clock, 999999).astype(np.int32)
    hour, rest = np.divmod(digits, 10000)
    minute, second = np.divmod(rest, 100)
    good = (minute < 60) & (second < 60)
    stamp = days + (hour * 3600 + minute * 60 + second).astype("timedelta64[s]")
    stamp[~good] = np.datetime64("NaT")
    return stamp


def _record(
    source: Source, table: dict[str, np.ndarray], stamp: np.ndarray, gas: str, gases: list[str], notes: Notes
) -> xr.Dataset:
    named = _NAME.match(source.name)
    convention = source.options.get("stamp", "start")
    length = next((v for k, v in _LENGTHS.items() if named and k in named["mean"].lower()), None)
    if length is not None and "minute" in named["mean"].lower():
        length = length * int(named["mean"].lower().removesuffix("minute") or 1)
    start, middle, end = intervals(
        stamp, convention, length if length is not None else usual_step(stamp, notes)
    )
    column = next(g for g in gases if g.upper() == gas)
    quality = np.zeros(len(stamp), np.uint32)
    other = table["type"] != "air" if "type" in table else np.zeros(len(stamp), bool)
    notes.warn(other.sum(), "rows are not of type 'air' (flagged 'producer')")
    quality[other] = Quality.PRODUCER
    entry = SPECIES.get(gas)
    if entry is None:
        raise FormatError(f"{source.path}: the file gives no unit and {gas} has no customary one")
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
        start=start,
        middle=middle,
        end=end,
        interval=convention,
        notes=notes,
        extras={"port": table["port"]} if "port" in table else {},
        options=source.options,
        attrs={
            "site": named["site"].upper() if named else "",
            "site_name": "",
            "network": "GCWerks",
            "source": f"gcwerks_{named['instrument'].lower() if named else 'crds'}_{gas.lower()}",
            "format": "gcwerks_crds",
            "path": str(source.path),
            "dataset": source.name,
            "species_available": [g.upper() for g in gases],
        },
    )
