"""STILT's particles as PYSTILT keeps them in Parquet: paths with the sensitivity of each minute, not yet on a grid.

Columns ``age`` (minutes, negative backward), ``particle``, ``lon``, ``lat`` and ``foot``, ppm / (umol m-2 s-1) for that
minute as if all air were this particle. The footprint is their sum in a cell and hour over the number of particles.
The table does not say where and when it was released; its name does, or the user.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from inversion.transport.files.footprint import UNIT, FootprintFile, ReceptorBlock
from inversion.transport.files.probe import Probe
from inversion.transport.readers.common import HOUR, check_values, factor, receptors
from inversion.transport.readers.options import ReaderOptions
from inversion.transport.readers.stilt import parse_name, vars_of
from obsnet.errors import FormatError
from obsnet.grid import Grid
from obsnet.times import as_utc

__all__ = ["matches", "open_file"]

_COLUMNS = ("age", "particle", "lon", "lat", "foot")
_CELL = 0.25  # degrees, where no grid is asked for


def matches(found: Probe) -> bool:
    """Tell a table of particles by its columns."""
    return found.container == "parquet" and set(_COLUMNS) <= set(found.variables)


def open_file(found: Probe, options: ReaderOptions) -> FootprintFile:
    """Open a table of particles; see `inversion.transport.readers.open_footprints`.

    Raises
    ------
    FormatError
        Values that are missing or infinite, or particles that run forward.
    """
    import pyarrow.parquet as pq

    path = found.path
    scale, unit = factor(UNIT, options, path, "foot")
    table = pq.ParquetFile(path).read(columns=list(_COLUMNS))
    age, particle, lon, lat, foot = (
        table[k].to_numpy(zero_copy_only=False).astype(np.float64) for k in _COLUMNS
    )
    bad = ~np.isfinite(np.stack([age, particle, lon, lat, foot])).all(axis=0)
    if bad.any() or not age.size:
        raise FormatError(
            f"{path}: {int(bad.sum())} of {age.size} rows lack a number; no footprint can be made"
        )
    if (age >= 0.0).any():
        raise FormatError(
            f"{path}: ages up to {age.max():g} minutes; particles of a footprint have negative ones"
        )
    seen = foot != 0.0
    grid = options.grid or _around(lat[seen], lon[seen])
    receptor = options.receptor or parse_name(path, grid)[0]
    time = as_utc(receptor.time)
    hour = np.floor(age / 60.0).astype(np.int64)  # -1 is the hour before the observation
    layers = np.arange(hour.min(), 0)
    cell = grid.index(lat[seen], lon[seen])
    inside = cell >= 0
    count = np.unique(particle).size
    outside = float(foot[seen][~inside].sum() / max(foot.sum(), 1e-300))
    notes = [f"{count} particles put on {grid!r} without smoothing"]
    if outside > 0.0:
        notes.append(f"{outside:.1%} of the sensitivity lies outside this grid")

    def load(_start: int, _stop: int) -> ReceptorBlock:
        flat = (hour[seen] - layers[0])[inside] * grid.size + cell[inside]
        field = np.bincount(flat, foot[seen][inside] * (scale / count), layers.size * grid.size)
        stamps = time + layers * HOUR
        shaped = check_values(field.reshape(1, layers.size, *grid.shape), path, signed=False)
        return ReceptorBlock(shaped, stamps[None], (stamps + HOUR)[None], np.ones(layers.size, dtype=bool))

    row: dict[str, Any] = {"time": time, "time_start": time, "time_end": time, **vars_of(receptor)}
    return FootprintFile(
        path=path,
        format="particles",
        model="STILT",
        grid=grid,
        receptors=receptors([row], "stilt", path),
        unit=unit,
        load=load,
        bytes_per_receptor=4 * layers.size * grid.size,
        span=(time + layers[0] * HOUR, time),
        column=bool(np.isnan(receptor.height_m)),
        kind=options.kind,
        notes=tuple(notes),
    )


def _around(lat: np.ndarray, lon: np.ndarray) -> Grid:
    """Return a grid of whole quarter degrees round all places."""
    low, high = (
        [f(v / _CELL) * _CELL for v in edge]
        for f, edge in (
            (np.floor, (lat.min(), lon.min())),
            (lambda v: np.floor(v) + 1.0, (lat.max(), lon.max())),
        )
    )
    return Grid.regular(low[0], high[0], low[1], high[1], _CELL, _CELL)
