"""The reference numbers of the sample data, as the tests of the processing half use them."""

from __future__ import annotations

import json
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
