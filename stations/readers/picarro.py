"""Raw Picarro ``DataLog_User.dat``: what the analyser wrote, before any calibration.

Columns are 26 characters wide. The analyser measures its gases in turn and repeats the last value of the
others: a gas's record has the rows of its own turn (``species``), the repeats are left out and counted.
``EPOCH_TIME`` is UTC; ``DATE`` and ``TIME`` may be local. A row is good when ``INST_STATUS`` is 963 and
``ALARM_STATUS`` 0. Files roll over every hour and the last line may be cut off. One file, a ``.gz`` or
``.zip``, or a folder of them is one record. Valve positions are kept: they tell air from standard gases.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import numpy as np

from obsnet.constants import SPECIES
from obsnet.errors import FormatError
from obsnet.schema import Quality
from obsnet.times import from_epoch
from stations.readers.choice import choose, each
from stations.readers.table import read_table, require
from stations.readers.text import from_parts, second_header
from stations.record.record import InUnit, Notes, build, intervals
from stations.record.scale_names import UNCALIBRATED
from stations.record.source import Source, decode

if TYPE_CHECKING:
    from stations.record.rows import Rows

__all__ = ["read", "sniff"]

_NEEDED = ("DATE", "TIME", "EPOCH_TIME", "INST_STATUS", "ALARM_STATUS")
_GOOD_STATUS = 963
_KEPT = {
    "H2O": "h2o_percent",
    "h2o_reported": "h2o_reported_percent",
    "MPVPosition": "mpv_position",
    "solenoid_valves": "solenoid_valves",
    "OutletValve": "outlet_valve",
    "CavityPressure": "cavity_pressure",
    "CavityTemp": "cavity_temperature",
    "DasTemp": "das_temperature",
    "species": "species_code",
}
_OWN_SHARE = 0.8  # of a gas's changes fall into its own turn; below, all rows where it changes are taken
# Analysers log ppm; some models log these two in ppb, which the size of the numbers tells.
_LOGGED_IN_PPM_BELOW = {"CO": 20.0, "N2O": 20.0}


def sniff(source: Source) -> bool:
    """Tell whether a file, or the first file of a folder, is a Picarro data log."""
    if source.is_folder:
        first = next((p for p in sorted(source.path.iterdir()) if p.is_file() and p.name[0] != "."), None)
        return first is not None and _is_header(Source(first).lines[:1])
    return _is_header(source.members()[0].lines[:1])


def _is_header(lines: list[str]) -> bool:
    words = lines[0].split() if lines else []
    return words[:2] == ["DATE", "TIME"] and "EPOCH_TIME" in words


def read(source: Source, species: str | None = None) -> list[Rows]:
    """Read Picarro data logs; see `stations.readers.read`."""
    notes = Notes()
    names: list[str] = []
    tables = []
    for file, data in source.parts():
        found, rows = _split(source, file, data, notes)
        if names and found != names:
            raise FormatError(
                f"{source.where}: {file} has other columns than the files before it; read them apart"
            )
        names = found
        tables.append(read_table(rows, names, strings=("DATE", "TIME"), path=source.where, notes=notes))
    if not tables:
        raise FormatError(f"{source.where}: no data log in it")
    table = {n: np.concatenate([t[n] for t in tables]) for n in names}
    gases = [n for n in names if n in SPECIES]
    if not gases:
        raise FormatError(f"{source.where}: no column of a known gas; found {', '.join(names)}")
    stamp = from_epoch(table["EPOCH_TIME"])
    stamp[~((stamp > np.datetime64("1990")) & (stamp < np.datetime64("2200")))] = np.datetime64("NaT", "ns")
    _compare_clocks(stamp, table, notes)
    wanted = choose(gases, species, source.where)
    records = each(wanted, gases, notes, lambda gas, own: _record(source, table, stamp, gas, own))
    for record in records:
        record.attrs["files"] = len(tables)
    return records


def _split(source: Source, file: str, data: bytes, notes: Notes) -> tuple[list[str], bytes]:
    """Return the column names and the rows of one log, without its unfinished last line."""
    top, _, rows = data.partition(b"\n")
    head = decode(top)[0]
    if not _is_header([head]):
        raise FormatError(f"{source.where}: {file} does not begin with the header line of a Picarro data log")
    names = head.split()
    require(names, _NEEDED, source.where)
    whole, _, last = rows.rpartition(b"\n")
    if names[0].encode() in whole:  # logs one after the other: of one analyser the columns are the same
        lines = [line for line in whole.split(b"\n") if line.split() != top.split()]
        if any(line.split()[:2] == [b"DATE", b"TIME"] for line in lines):
            raise second_header(source)
        whole = b"\n".join(lines)
    if last.strip():
        # Without its line end a last number may have lost digits and still look like a number.
        notes.changed(1, f"unfinished last line left out ({file})")
    return names, whole


def _compare_clocks(stamp: np.ndarray, table: dict[str, np.ndarray], notes: Notes) -> None:
    """Say by how much DATE and TIME are ahead of EPOCH_TIME, from a sample of rows; the latter is used."""
    if not len(stamp):
        return
    rows = np.unique(np.linspace(0, len(stamp) - 1, 50).astype(int))
    pattern = re.compile(r"(\d+)-(\d+)-(\d+) (\d+):(\d+):(\d+(?:\.\d+)?)")
    found = [(r, m) for r in rows if (m := pattern.fullmatch(f"{table['DATE'][r]} {table['TIME'][r]}"))]
    if not found:
        return
    clock = from_parts(*np.array([[float(x) for x in m.groups()] for _, m in found]).T)
    ahead = (clock - stamp[[r for r, _ in found]]) / np.timedelta64(1, "h")
    ahead = ahead[np.isfinite(ahead)]
    if ahead.size and abs(hours := np.median(ahead)) > 0.1:
        text = (
            f"rows have DATE and TIME {hours:+.2g} h from EPOCH_TIME (local time); EPOCH_TIME was used as UTC"
        )
        notes.changed(len(stamp), text)


def _own_turn(value: np.ndarray, code: np.ndarray | None) -> np.ndarray:
    """Return the rows in which the analyser measured a gas, and did not just repeat its last value."""
    changed = np.ones(len(value), dtype=bool)
    changed[1:] = value[1:] != value[:-1]
    if code is None:
        return changed
    codes, inverse = np.unique(code, return_inverse=True)
    if len(codes) == 1:
        return np.ones(len(value), dtype=bool)  # no turns: every row is a measurement
    if not changed[1:].any():
        return changed
    counts = np.bincount(inverse[1:][changed[1:]], minlength=len(codes))
    own = counts.argmax()
    return inverse == own if counts[own] >= _OWN_SHARE * counts.sum() else changed


def _record(source: Source, table: dict[str, np.ndarray], stamp: np.ndarray, gas: str, notes: Notes) -> Rows:
    dry = f"{gas}_dry"
    if dry not in table:
        notes.warn(len(stamp), f"values of {gas} are of wet air (no column {dry})")
    value = table.get(dry, table[gas])
    keep = _own_turn(value, table.get("species"))
    notes.changed((~keep).sum(), f"rows that repeat the last value of {gas} in another gas's turn left out")
    instrument, alarm = table["INST_STATUS"][keep], table["ALARM_STATUS"][keep]
    bad = (instrument != _GOOD_STATUS) | (alarm != 0)
    notes.warn(bad.sum(), f"rows with INST_STATUS other than {_GOOD_STATUS} or an alarm (flagged 'producer')")
    pairs, inverse = np.unique(np.stack([instrument, alarm]), axis=1, return_inverse=True)
    status = np.array([f"{i:.0f}/{a:.0f}" for i, a in pairs.T] or [""])
    unit = _unit(gas, value)
    extras = {new: table[old][keep] for old, new in _KEPT.items() if old in table}
    return build(
        {
            "value": value[keep],
            "quality": np.where(bad, np.uint32(Quality.PRODUCER), np.uint32(0)),
            "quality_original": status[inverse.ravel()] if len(bad) else "",
        },
        species=gas,
        unit=unit,
        scale=UNCALIBRATED,
        when=intervals(stamp[keep], "instant"),
        notes=notes,
        extras=extras | {"value_wet": InUnit(table[gas][keep])},
        source=source,
        attrs={
            "site": "",
            "site_name": "",
            "network": "Picarro analyser",
            "source": f"picarro_raw_{gas.lower()}",
            "format": "picarro_raw",
        },
    )


def _unit(gas: str, value: np.ndarray) -> str:
    """Return the unit of a gas in the log."""
    finite = value[np.isfinite(value)]
    limit = _LOGGED_IN_PPM_BELOW.get(gas)
    return "ppb" if limit is not None and finite.size and np.median(finite) > limit else "ppm"
