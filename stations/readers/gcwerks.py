"""GCWerks ``.C`` exports of gas chromatographs, with the ``.precisions.C`` beside them.

Three header rows hold scale, unit and name of each column. A row has two times: that of the sample (``yyyy
mm dd hh mi``) and that of its run (``ryyy …``); the first is used. GCWerks names the middle of the sampling
period; the file does not say how long that is, so ``time`` is the stamp and the interval is left open.
Flags have four characters: ``F`` first = rejected, ``H`` second = integrated by height, third ``B`` baseline
or ``P`` polluted.
"""

from __future__ import annotations

import re
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from obsnet.errors import FormatError
from obsnet.schema import Quality
from stations.readers.choice import choose, each
from stations.readers.flags import decode
from stations.readers.gcwerks_names import main_of, precisions_of
from stations.readers.table import read_table, require
from stations.readers.text import from_parts, split_header
from stations.record.record import Notes, build, intervals
from stations.record.sites import by_name
from stations.record.source import Source

if TYPE_CHECKING:
    from stations.record.rows import Rows

__all__ = ["read", "sniff", "yymmdd"]

_TIME = ("yyyy", "mm", "dd", "hh", "mi")
_TEXTS = ("Inlet", "Standard")
_TOP = 12  # lines within which the header rows stand


def sniff(source: Source) -> bool:
    """Tell whether a text file has GCWerks' rows of scale, unit and columns, or is one of precisions."""
    return _header(source.lines[:_TOP]) is not None or _is_precisions(source)


def _header(lines: list[str]) -> tuple[int, list[str]] | None:
    """Return the index of the row of names, and the names."""
    for i in range(2, min(len(lines), _TOP)):
        if lines[i].split()[:6] == ["Year", *_TIME] and lines[i - 2].split()[:1] == ["Scale:"]:
            return i, lines[i].split()
    return None


def _is_precisions(source: Source) -> bool:
    return len(source.lines) > 4 and source.lines[4].split()[:4] == ["#", "Date", "s", "n"]


def read(source: Source, species: str | None = None) -> list[Rows]:
    """Read a GCWerks ``.C`` file; see `stations.readers.read`."""
    if _is_precisions(source):
        other = main_of(source.path)
        raise FormatError(f"{source.where}: holds precisions only; read the file beside it, {other}")
    notes = Notes()
    header, names, rows = split_header(source, _header, notes)
    scales, units = header[-2].split(), header[-1].split()
    if not len(names) == len(scales) == len(units):
        raise FormatError(
            f"{source.where}: the rows of scales ({len(scales)}), units ({len(units)}) and columns "
            f"({len(names)}) differ in length"
        )
    # A flag belongs to the gas on its left.
    columns = [f"{before} Flag" if n == "Flag" else n for before, n in pairwise(["", *names])]
    require(columns, (), source.where)
    gases = [c.removesuffix(" Flag") for c in columns if c.endswith(" Flag")]
    if not gases:
        raise FormatError(f"{source.where}: no species with a Flag column after it")
    wanted = choose(gases, species, source.where)
    unwanted = [c for c in columns if c.removesuffix(" Flag") in set(gases) - set(wanted)]
    texts = (*_TEXTS, *(f"{g} Flag" for g in gases))
    table = read_table(rows, columns, strings=texts, path=source.where, notes=notes, skip=unwanted)
    station = header[-3].strip() if len(header) > 2 else ""
    days, precisions = _precisions(source)
    stamp = from_parts(*(table[n] for n in _TIME))

    def record(gas: str, own: Notes) -> Rows:
        unit_and_scale = (units[names.index(gas)], scales[names.index(gas)])
        uncertainty = _on_days(stamp, days, precisions.get(gas))
        return _record(source, table, stamp, gas, unit_and_scale, uncertainty, station, own)

    return each(wanted, gases, notes, record)


def _record(
    source: Source,
    table: dict[str, np.ndarray],
    stamp: np.ndarray,
    gas: str,
    unit_and_scale: tuple[str, str],
    uncertainty: np.ndarray,
    station: str,
    notes: Notes,
) -> Rows:
    name, _, instrument = station.partition("-")
    site = by_name(name)
    flags = table[f"{gas} Flag"]
    unit, scale = unit_and_scale
    return build(
        {
            "value": table[gas],
            "uncertainty": uncertainty,
            "quality": decode(flags, _meaning, notes),
            "quality_original": flags,
            "intake_height_m": _heights(table["Inlet"]) if "Inlet" in table else np.nan,
        },
        species=gas,
        unit=unit,
        scale=scale,
        when=intervals(stamp, "instant")._replace(named="middle"),
        notes=notes,
        extras={t.lower(): table[t] for t in _TEXTS if t in table},
        source=source,
        attrs={
            "site": site.code if site else "",
            "site_name": site.name if site else name,
            "network": "AGAGE (GCWerks)",
            "source": f"gcwerks_{instrument or 'gc'}_{gas.lower()}",
            "format": "gcwerks_c",
            "dataset": station,
        },
    )


def _meaning(flag: str) -> int | None:
    if len(flag) != 4 or flag[0] not in "-F" or flag[2] not in "-BP":
        return None
    return (Quality.PRODUCER if flag[0] == "F" else 0) | (Quality.SELECTION if flag[2] == "P" else 0)


def _heights(inlet: np.ndarray) -> np.ndarray:
    """Return metres of inlets named ``70m``; NaN of others (``ASM``)."""
    names, inverse = np.unique(inlet, return_inverse=True)
    found = [re.fullmatch(r"(\d+(?:\.\d+)?)m?", n) for n in names.tolist()]
    return np.array([float(m[1]) if m else np.nan for m in found] or [np.nan])[inverse]


def _precisions(source: Source) -> tuple[np.ndarray, dict[str, np.ndarray]]:
    """Return days and, by species, standard deviations of the file named, or the one beside; else nothing."""
    asked = source.options.get("precisions")
    path = Path(asked) if asked else precisions_of(source.path)
    if not path.exists():
        if asked:
            raise FormatError(f"{path}: no such file of precisions")
        return np.zeros(0, "datetime64[D]"), {}
    other = Source(path)
    if not _is_precisions(other):
        raise FormatError(f"{path}: not a GCWerks file of precisions (line 5 must begin '# Date s n')")
    gases = other.lines[3].lstrip("#").split()
    names = ["day", *(f"{kind} {g}" for g in gases for kind in ("s", "n"))]
    require(names, (), path)
    rows = other.read_bytes().split(b"\n", 5)[-1]
    table = read_table(rows, names, strings=(), path=path, notes=Notes())
    days = yymmdd(table["day"])
    order = np.argsort(days, kind="stable")
    return days[order].astype("datetime64[D]"), {g: table[f"s {g}"][order] for g in gases}


def yymmdd(numbers: np.ndarray) -> np.ndarray:
    """Return the date of numbers such as 180116; years from 70 on are of the last century."""
    year = numbers // 10000
    return from_parts(np.where(year >= 70, 1900, 2000) + year, numbers // 100 % 100, numbers % 100)


def _on_days(stamp: np.ndarray, days: np.ndarray, values: np.ndarray | None) -> np.ndarray:
    """Return each sample's precision: that of its day, else of the last day before that has one."""
    if values is None:
        return np.full(len(stamp), np.nan)
    good = np.isfinite(values) & ~np.isnat(days)
    if not good.any():
        return np.full(len(stamp), np.nan)
    found = np.searchsorted(days[good], stamp.astype("datetime64[D]"), side="right") - 1
    return np.where(found >= 0, values[good][np.maximum(found, 0)], np.nan)
