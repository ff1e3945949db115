"""Raw Picarro ``DataLog_User.dat``: what the analyser wrote, before any calibration.

Columns are 26 characters wide. The analyser measures its gases in turn and repeats the last value of the others:
a gas's record has the rows of its own turn (``species``), the repeats are left out and counted. ``EPOCH_TIME``
is UTC; ``DATE`` and ``TIME`` may be local. A row is good when ``INST_STATUS`` is 963 and ``ALARM_STATUS`` 0.
Files roll over every hour and the last line may be cut off. One file, a ``.gz`` or ``.zip``, or a folder of
them is one record. Valve positions are kept: they tell air from standard gases.
"""

from __future__ import annotations

import re

import numpy as np
import xarray as xr

from obsnet.constants import SPECIES
from obsnet.errors import FormatError
from obsnet.schema import Quality
from obsnet.times import from_epoch
from stations.readers import choose
from stations.readers.source import Source, decode
from stations.readers.text import from_parts, read_table
from stations.record import Notes, build, intervals
from stations.scale_names import UNCALIBRATED

__all__ = ["read", "sniff"]

_GOOD_STATUS = 963
_KEPT = {
    "H2O": "h2o_percent", "MPVPosition": "mpv_position", "solenoid_valves": "solenoid_valves", "OutletValve": "outlet_valve",
    "CavityPressure": "cavity_pressure", "CavityTemp": "cavity_temperature", "DasTemp": "das_temperature", "species": "species_code",
}  # fmt: skip
_OWN_SHARE = 0.8  # of a gas's changes fall into its own turn; below, all rows where it changes are taken


def sniff(source: Source) -> bool:
    """Tell whether a file, or the first file of a folder, is a Picarro data log."""
    if source.is_folder:
        first = next((p for p in sorted(source.path.iterdir()) if p.is_file() and p.name[0] != "."), None)
        return first is not None and _is_header(Source(first).lines[:1])
    return _is_header(source.lines[:1])


def _is_header(lines: list[str]) -> bool:
    words = lines[0].split() if lines else []
    return words[:2] == ["DATE", "TIME"] and "EPOCH_TIME" in words


def read(source: Source, species: str | None = None) -> list[xr.Dataset]:
    """Read Picarro data logs; see `stations.readers.read`."""
    notes = Notes()
    tables = []
    names: list[str] = []
    for name, data in source.parts():
        found, table = _table(source, name, data, notes)
        if names and found != names:
            raise FormatError(
                f"{source.path}: {name} has other columns than the files before it; read them apart"
            )
        names = found
        tables.append(table)
    if not tables:
        raise FormatError(f"{source.path}: no data log in it")
    table = {n: np.concatenate([t[n] for t in tables]) for n in tables[0]}
    gases = [n for n in names if n in SPECIES]
    if not gases:
        raise FormatError(f"{source.path}: no column of a known gas; found {', '.join(names)}")
    stamp = from_epoch(table["EPOCH_TIME"])
    stamp[~((stamp > np.datetime64("1990")) & (stamp < np.datetime64("2200")))] = np.datetime64("NaT")
    _compare_clocks(stamp, table, notes)
    return [
        _record(
            source, table, stamp, gas, gases, len(tables), Notes(list(notes.changes), list(notes.warnings))
        )
        for gas in choose(gases, species, source.path)
    ]


def _table(source: Source, name: str, data: bytes, notes: Notes) -> tuple[list[str], dict[str, np.ndarray]]:
    text, _ = decode(data)
    head, _, rows = text.partition("\n")
    if not _is_header([head]):
        raise FormatError(f"{source.path}: {name} does not begin with the header line of a Picarro data log")
    names = head.split()
    whole, newline, last = rows.rpartition("\n")
    if last.strip() and not newline:
        whole, last = "", rows
    if last.strip():
        # Without its line end a last number may have lost digits and still look like a number.
        notes.changed(1, f"unfinished last line left out ({name})")
        rows = whole
    table = read_table(rows.encode(), names, strings={"DATE", "TIME"}, path=source.path, notes=notes)
    return names, table


def _compare_clocks(stamp: np.ndarray, table: dict[str, np.ndarray], notes: Notes) -> None:
    """Say by how much DATE and TIME are ahead of EPOCH_TIME; the latter is used."""
    if "DATE" not in table or "TIME" not in table or not len(stamp):
        return
    rows = np.unique(np.linspace(0, len(stamp) - 1, 50).astype(int))
    parts = [re.split(r"[-:]", f"{table['DATE'][r]}:{table['TIME'][r]}") for r in rows]
    good = [len(p) == 6 and all(re.fullmatch(r"\d+(?:\.\d+)?", x) for x in p) for p in parts]
    if not any(good):
        return
    numbers = np.array([[float(x) for x in p] for p, ok in zip(parts, good, strict=True) if ok])
    hours = np.nanmedian((from_parts(*numbers.T) - stamp[rows[np.array(good)]]) / np.timedelta64(1, "h"))
    if np.isfinite(hours) and abs(hours) > 0.1:
        notes.changed(
            len(stamp),
            f"rows have DATE and TIME {hours:+.2g} h from EPOCH_TIME (local time); EPOCH_TIME was used as UTC",
        )


def _own_turn(value: np.ndarray, code: np.ndarray | None) -> np.ndarray:
    """Return the rows in which the analyser measured a gas, and did not just repeat its last value."""
    changed = np.ones(len(value), dtype=bool)
    changed[1:] = value[1:] != value[:-1]
    if code is None or not len(value):
        return changed
    codes, inverse = np.unique(code, return_inverse=True)
    counts = (
        np.bincount(inverse[1:][changed[1:]], minlength=len(codes)) if len(value) > 1 else np.ones(len(codes))
    )
    own = int(counts.argmax())
    return inverse == own if counts[own] >= _OWN_SHARE * max(counts.sum(), 1) else changed


def _record(
    source: Source,
    table: dict[str, np.ndarray],
    stamp: np.ndarray,
    gas: str,
    gases: list[str],
    files: int,
    notes: Notes,
) -> xr.Dataset:
    dry = f"{gas}_dry"
    value = table[dry] if dry in table else table[gas]
    if dry not in table:
        notes.warn(len(value), f"values of {gas} are of wet air (no column {dry})")
    keep = _own_turn(value, table.get("species"))
    notes.changed((~keep).sum(), f"rows that repeat the last value of {gas} in another gas's turn left out")
    instrument, alarm = table["INST_STATUS"][keep], table["ALARM_STATUS"][keep]
    bad = (instrument != _GOOD_STATUS) | (alarm != 0)
    notes.warn(bad.sum(), f"rows with INST_STATUS other than {_GOOD_STATUS} or an alarm (flagged 'producer')")
    pairs, inverse = np.unique(np.stack([instrument, alarm]), axis=1, return_inverse=True)
    labels = np.array([f"{i:.0f}/{a:.0f}" for i, a in pairs.T] or [""])
    start, middle, end = intervals(stamp[keep], "instant")
    extras = {new: table[old][keep] for old, new in _KEPT.items() if old in table}
    extras["value_wet"] = _in_unit(gas, table[gas][keep])
    return [
        build(
            {
                "value": _in_unit(gas, value[keep]),
                "quality": np.where(bad, np.uint32(Quality.PRODUCER), np.uint32(0)),
                "quality_original": labels[inverse.ravel()] if len(bad) else "",
            },
            species=gas,
            unit=SPECIES[gas].unit,
            scale=UNCALIBRATED,
            start=start,
            middle=middle,
            end=end,
            interval="instant",
            notes=notes,
            extras=extras,
            options=source.options,
            attrs={
                "site": "",
                "site_name": "",
                "network": "Picarro analyser",
                "source": f"picarro_raw_{gas.lower()}",
                "format": "picarro_raw",
                "path": str(source.path),
                "dataset": source.name,
                "files": files,
                "species_available": gases,
            },
        )
    ][0]


def _in_unit(gas: str, value: np.ndarray) -> np.ndarray:
    """Return values in the species' unit: analysers log ppm, some models ppb for CO and N2O."""
    low, high = SPECIES[gas].point_range
    scale = {"1e-6": 1.0, "1e-9": 1e3, "1e-12": 1e6}[SPECIES[gas].unit]
    middle = np.nanmedian(value) if np.isfinite(value).any() else np.nan
    already = low + 5.0 <= middle <= high and not (low <= middle * scale <= high and middle < 10.0)
    return value if already else value * scale
