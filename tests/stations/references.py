"""The reference numbers of the sample data, as the tests of the processing half use them."""

from __future__ import annotations

import json
import re
from functools import lru_cache
from pathlib import Path

import numpy as np

OPTION_NAMES = {
    "sampleinterval": "interval_days",
    "gap": "gap_days",
    "use_gain_factor": "gain",
    "numpolyterms": "polynomial_terms",
    "numharmonics": "harmonics",
    "shortterm": "short_days",
    "longterm": "long_days",
    "timezero": "timezero",
}


@lru_cache
def reference(folder: Path, name: str) -> dict:
    return json.loads((folder / "stations" / "reference" / name).read_text())


@lru_cache
def flask_columns(path: Path) -> dict[str, np.ndarray]:
    """Columns of a NOAA event file by name, parsed by nothing but split(): independent of our reader."""
    lines = path.read_text().splitlines()
    head = int(lines[0].split(":")[1])
    names = lines[head - 1].split()
    rows = [line.split() for line in lines[head:]]
    return {name: np.array([row[i] for row in rows]) for i, name in enumerate(names)}


def flasks(path: Path, pairs: bool = True, rejected: int = 2) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Decimal years, values and the S flag of rows whose first `rejected` flag letters are dots."""
    data = flask_columns(path)
    flag = data["qcflag"]
    year, value = data["time_decimal"].astype(float), data["value"].astype(float)
    keep = np.array([f[:rejected] == "." * rejected for f in flag]) & (value > -900)
    year, value, selected = year[keep], value[keep], np.array([f[1] != "." for f in flag[keep]])
    if not pairs:
        return year, value, selected
    unique, index = np.unique(year, return_inverse=True)
    count = np.bincount(index)
    return unique, np.bincount(index, value) / count, np.bincount(index, selected) > 0


def mace_head(folder: Path) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return days, values and letters of the GAGE instrument at Mace Head, both of shape (rows, 8)."""
    months = ["jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec"]
    rows = []
    for file in folder.glob("mg*.dat"):
        month = np.datetime64(f"19{file.stem[2:4]}-{months.index(file.stem[4:7]) + 1:02}")
        for line in file.read_text().splitlines()[2:]:
            clock = line[3:8].strip().zfill(4)
            day = month.astype("datetime64[D]") + np.timedelta64(int(line[:3]) - 1, "D")
            days = (
                (day - np.datetime64("1987-01-01")).astype(int) + int(clock[:2]) / 24 + int(clock[2:]) / 1440
            )
            rows.append((days, re.findall(r"(-?\d+\.\d)(.)", line + " ")))
    rows.sort(key=lambda row: row[0])
    value = np.array([[float(v) for v, _ in row[1]] for row in rows])
    return (
        np.array([row[0] for row in rows]),
        np.where(value > 0, value, np.nan),
        np.array([[f for _, f in row[1]] for row in rows]),
    )
