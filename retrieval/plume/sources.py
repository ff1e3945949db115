"""Known point sources and cities, from a CSV."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from obsnet.errors import FormatError, MissingVariableError, RangeError, nearest
from obsnet.places import place_text
from obsnet.reading import door, read_csv

__all__ = ["PointSource", "read_sources"]

_NEEDED = ("source", "latitude", "longitude")


@dataclass(frozen=True)
class PointSource:
    """A point source or a city.

    Parameters
    ----------
    name : str
        In tables.
    latitude, longitude : float
        Degrees.
    radius_km : float
        Within which it emits; 0 for a stack.

    Raises
    ------
    RangeError
        A position that is none, or a radius outside 0 to 100 km.
    """

    name: str
    latitude: float
    longitude: float
    radius_km: float = 0.0

    def __post_init__(self) -> None:
        if not (abs(self.latitude) <= 90 and abs(self.longitude) <= 360):
            raise RangeError(f"source {self.name}: {place_text(self.latitude, self.longitude)} is no place")
        if self.latitude == 0 and self.longitude == 0:
            raise RangeError(f"source {self.name}: 0 N 0 E stands for a missing position")
        if not 0 <= self.radius_km <= 100:
            raise RangeError(
                f"source {self.name}: radius_km must lie within 0 and 100, found {self.radius_km:g}"
            )

    @property
    def place(self) -> tuple[float, float]:
        """Latitude and longitude."""
        return self.latitude, self.longitude


@door("sources (CSV)")
def read_sources(path: str | Path) -> tuple[PointSource, ...]:
    """Read sources.

    Parameters
    ----------
    path : path
        CSV with ``source, latitude, longitude`` and perhaps ``radius_km``; lines that begin with ``#`` are comments,
        other columns are left alone.

    Raises
    ------
    FormatError, MissingVariableError, RangeError
        No such file, a column missing, a name twice, a place that is none.
    """
    table = read_csv(path, comment="#")
    for name in _NEEDED:
        if name not in table:
            raise MissingVariableError(f"{path}: column {name!r} is missing{nearest(name, table.columns)}")
    names = table["source"].astype(str)
    if names.duplicated().any():
        raise FormatError(f"{path}: source {names[names.duplicated()].iloc[0]!r} stands there twice")
    for column in (*_NEEDED[1:], *({"radius_km"} & set(table))):
        if table[column].dtype.kind not in "iuf" or table[column].isna().any():
            raise FormatError(f"{path}: column {column!r} must be numbers in every row")
    radius = table["radius_km"] if "radius_km" in table else np.zeros(len(table))
    rows = zip(names, table["latitude"], table["longitude"], radius, strict=True)
    return tuple(PointSource(str(n), float(a), float(o), float(r)) for n, a, o, r in rows)
