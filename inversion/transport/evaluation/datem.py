"""Files of tracer experiments: samples as the DATEM archive has them, releases as FLEXPART has them."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pandas as pd

from obsnet.errors import FormatError, RangeError, UnitError
from obsnet.places import place_text
from obsnet.reading import door, refuse_long_lines
from obsnet.units import conversion_factor

__all__ = ["CONCENTRATION", "read_releases", "read_samples"]

CONCENTRATION = "kg m-3"
_COLUMNS = ("year", "mn", "dy", "shr", "dur", "lat", "lon")
_NEEDED = (
    *("IDATE1", "ITIME1", "IDATE2", "ITIME2", "LON1", "LON2"),
    *("LAT1", "LAT2", "Z1", "Z2", "ZKIND", "MASS"),
)


@door("tracer samples")
def read_samples(path: str | Path, unit: str | None = None) -> tuple[pd.DataFrame, list[str]]:
    """Read measured samples of the DATEM archive.

    Parameters
    ----------
    path : path
        A line of title, a line of names, ``year mn dy shr dur lat lon <value> stn``, and one line a sample: when it
        began (UTC, hhmm), how long it took (hhmm), where, how much, whose.
    unit : str, optional
        Of the values, mass a volume such as ``pg m-3``; where the file's own heading names one, that must agree.

    Returns
    -------
    samples : pandas.DataFrame
        ``station, start, stop, latitude, longitude, measured`` (kg m-3).
    notes : list of str
        What was left out.

    Raises
    ------
    FormatError, RangeError
        Lines that are none, with their number.
    UnitError
        No unit, two that differ, or one that is no mass a volume.
    """
    path = Path(path)
    data = path.read_bytes()
    refuse_long_lines(path, data)
    lines = data.decode("utf-8", errors="replace").splitlines()
    heading = lines[1].split() if len(lines) > 1 else []
    if len(heading) != 9 or tuple(h.lower() for h in heading[:7]) != _COLUMNS:
        raise FormatError(
            f"{path}: no DATEM samples: the second line must name {' '.join(_COLUMNS)}, the value and the station, "
            f"found {' '.join(heading)[:80]!r}"
        )
    factor = _unit(path, heading[7], unit)
    rows = [_sample(path, n, line) for n, line in enumerate(lines[2:], start=3) if line.strip()]
    if not rows:
        raise FormatError(f"{path}: holds no sample")
    table = pd.DataFrame(rows, columns=["station", "start", "stop", "latitude", "longitude", "measured"])
    missing = table["measured"] < 0.0
    table = table[~missing].reset_index(drop=True)
    twice = table.duplicated(["station", "start", "stop", "latitude", "longitude"])
    if twice.any():
        row = table[twice].iloc[0]
        raise RangeError(f"{path}: station {row['station']} has two samples from {row['start']}; keep one")
    if table.empty:
        raise RangeError(f"{path}: all {int(missing.sum())} samples are negative, which stands for missing")
    table["measured"] *= factor
    lost = int(missing.sum())
    return table, [
        f"{path.name}: {lost} samples are negative, which stands for missing: left out"
    ] if lost else []


def _unit(path: Path, heading: str, unit: str | None) -> float:
    """Return the factor to kg m-3."""
    try:
        own: float | None = conversion_factor(heading, CONCENTRATION)
    except UnitError:
        own = None
    if unit is None:
        if own is None:
            raise UnitError(
                f"{path}: the values are called {heading!r}, which names no unit of mass a volume; give it (--unit), "
                "such as pg/m3"
            )
        return own
    factor = conversion_factor(unit, CONCENTRATION)
    if own is not None and abs(own / factor - 1.0) > 1e-9:
        raise UnitError(f"{path}: the values are in {heading}, not in {unit}; leave out --unit")
    return factor


def _sample(
    path: Path, number: int, line: str
) -> tuple[str, np.datetime64, np.datetime64, float, float, float]:
    where, words = f"{path}: line {number}", line.split()
    if len(words) != 9:
        raise FormatError(f"{where}: a sample has 9 words, found {len(words)}")
    try:
        year, month, day = (int(w) for w in words[:3])
        begin, lasts = (_clock(w) for w in words[3:5])
        lat, lon, value = (float(w) for w in words[5:8])
        start = np.datetime64(f"{year:04d}-{month:02d}-{day:02d}", "us") + begin
    except ValueError as error:
        raise FormatError(f"{where}: {error}") from None
    if lasts <= np.timedelta64(0, "us"):
        raise RangeError(f"{where}: a sample that takes no time (dur {words[4]})")
    if not (-90.0 <= lat <= 90.0 and -180.0 <= lon <= 360.0):
        raise RangeError(f"{where}: ({place_text(lat, lon)}) is no place")
    if not np.isfinite(value):
        raise RangeError(f"{where}: value {words[7]!r} is not a number")
    return words[8], start, start + lasts, lat, lon, value


def _clock(word: str) -> np.timedelta64:
    """Return hhmm as a length of time; a length may be a day or more."""
    if not re.fullmatch(r"\d{1,5}", word) or int(word) % 100 > 59:
        raise ValueError(f"{word!r} is not hhmm")
    return np.timedelta64(60 * (int(word) // 100) + int(word) % 100, "m").astype("timedelta64[us]")


@door("releases")
def read_releases(path: str | Path) -> pd.DataFrame:
    """Read FLEXPART's ``RELEASES``: when, where and how much.

    Parameters
    ----------
    path : path
        Fortran namelists ``&RELEASE``, of points; heights above ground (``ZKIND = 1``); ``MASS`` in kg.

    Returns
    -------
    pandas.DataFrame
        ``name, start, stop, latitude, longitude, bottom, top`` (m above ground) and ``mass`` (kg).

    Raises
    ------
    FormatError, RangeError
        No release, entries missing, an area instead of a point, other heights, no mass, no time.
    """
    path = Path(path)
    data = path.read_bytes()
    refuse_long_lines(path, data)
    text = data.decode("utf-8", errors="replace")
    blocks = re.findall(
        r"^\s*&RELEASE\s*$(.*?)^\s*/\s*$", text, flags=re.MULTILINE | re.DOTALL | re.IGNORECASE
    )
    if not blocks:
        raise FormatError(f"{path}: no namelist &RELEASE; give FLEXPART's RELEASES file in its namelist form")
    return pd.DataFrame([_release(path, n, block) for n, block in enumerate(blocks, start=1)])


def _release(path: Path, number: int, block: str) -> dict[str, object]:
    where = f"{path}: release {number}"
    said = {
        k.upper(): v.strip().rstrip(",").strip()
        for k, v in re.findall(r"^\s*(\w+)\s*=\s*(.*)$", block, flags=re.MULTILINE)
    }
    missing = [name for name in _NEEDED if name not in said]
    if missing:
        raise FormatError(f"{where}: lacks {', '.join(missing)}")
    if "," in said["MASS"]:
        raise FormatError(f"{where}: MASS has several species ({said['MASS']}); give a file of one")
    try:
        number_of = {n: float(said[n].replace("d", "e").replace("D", "E")) for n in _NEEDED}
    except ValueError as error:
        raise FormatError(f"{where}: {error}") from None
    start, stop = (_moment(where, said[f"IDATE{k}"], said[f"ITIME{k}"]) for k in (1, 2))
    v = number_of
    if not np.isfinite(list(v.values())).all():
        raise RangeError(f"{where}: a number that is not finite")
    if max(abs(v["LON2"] - v["LON1"]), abs(v["LAT2"] - v["LAT1"])) > 1e-3:
        raise FormatError(f"{where}: an area; releases at points can be evaluated")
    if v["ZKIND"] != 1.0:
        raise FormatError(f"{where}: ZKIND = {said['ZKIND']}; heights must be above ground (1)")
    if not 0.0 <= v["Z1"] <= v["Z2"]:
        raise RangeError(f"{where}: from {v['Z1']:g} to {v['Z2']:g} m above ground is no layer")
    if not v["MASS"] > 0.0:
        raise RangeError(f"{where}: MASS = {said['MASS']} kg")
    if not stop > start:
        raise RangeError(f"{where}: ends at {stop}, before or when it begins")
    if not (-90.0 <= v["LAT1"] <= 90.0 and -180.0 <= v["LON1"] <= 360.0):
        raise RangeError(f"{where}: ({place_text(v['LAT1'], v['LON1'])}) is no place")
    name = said.get("COMMENT", "").strip("\"' ") or f"release {number}"
    place = {"latitude": v["LAT1"], "longitude": v["LON1"], "bottom": v["Z1"], "top": v["Z2"]}
    return {"name": name, "start": start, "stop": stop, **place, "mass": v["MASS"]}


def _moment(where: str, date: str, time: str) -> np.datetime64:
    if not re.fullmatch(r"\d{8}", date) or not re.fullmatch(r"\d{1,6}", time):
        raise FormatError(f"{where}: {date} {time} is no time (yyyymmdd hhmmss)")
    time = time.zfill(6)
    try:
        return np.datetime64(f"{date[:4]}-{date[4:6]}-{date[6:]}T{time[:2]}:{time[2:4]}:{time[4:]}", "us")
    except ValueError as error:
        raise FormatError(f"{where}: {error}") from None
