"""Neighbouring columns that share particles: where these are released, and what each column makes of them.

The ground and the day are divided into fixed cells, some km wide and a minute long. A cell's particles start in its
middle, in layers that are even in mass from the ground to the top of the meteorology, and are named after the cell:
they depend on nothing else, so that a column's footprint is the same whichever columns share its cell. A column
weights each particle with its own kernel and pressure weights over the slice of air that the particle stands for, and
feels the ground along the particle's path moved by as much as the column lies from the middle. In an even wind that is
the path from the column itself; what it leaves out is how the wind differs over that distance.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from inversion.transport.receptors.columns import NO_PIECES, Pieces, pieces_of
from inversion.transport.receptors.releases import (
    RELEASE,
    Receptors,
    Swarm,
    allocate,
    from_observations,
    unreachable,
)
from obsnet.errors import ConfigError
from obsnet.met import Met
from obsnet.run_words import line
from obsnet.sphere import METRES_PER_DEGREE
from obsnet.times import from_epoch, to_epoch
from obsnet.typing import Floats

__all__ = ["MINUTE", "cells_of", "check_width", "from_neighbours", "in_cells", "sharing_note"]

MINUTE = 60.0  # s, length of a cell; none of what follows from the weather changes within it
LAYERS = 20  # of even mass, in each of which the particles are spread evenly

Cell = tuple[int, int, int]  # row from the south, column from 180 W, minute since 1970


def _cell(km: float, latitude: float, longitude: float, seconds: float) -> Cell:
    high = 1e3 * km / METRES_PER_DEGREE
    row = int((latitude + 90.0) // high)
    return row, int(((longitude + 180.0) % 360.0) // _width(km, row)), int(seconds // MINUTE)


def _width(km: float, row: int) -> float:
    """Return the width (degrees) of a row's cells, which divide the circle evenly."""
    high = 1e3 * km / METRES_PER_DEGREE
    middle = min((row + 0.5) * high - 90.0, 90.0)
    return 360.0 / max(round(360.0 * np.cos(np.deg2rad(middle)) / high), 1)


def _middle(km: float, cell: Cell) -> tuple[float, float, float]:
    """Return latitude, longitude and time (s) of a cell's middle."""
    row, column, minute = cell
    latitude = (row + 0.5) * 1e3 * km / METRES_PER_DEGREE - 90.0
    return latitude, (column + 0.5) * _width(km, row) - 180.0, (minute + 0.5) * MINUTE


def _named(km: float, cell: Cell) -> str:
    return f"{km:g} km {cell[0]} {cell[1]} {cell[2]}"


def cells_of(table: pa.Table, km: float) -> list[Cell | str]:
    """Return the cell of each column, and the name of each point, which shares nothing."""
    seconds = to_epoch(table["time"].to_numpy())
    rows = zip(
        table["kind"].to_pylist(),
        table["obs_id"].to_pylist(),
        table["latitude"].to_numpy(),
        table["longitude"].to_numpy(),
        seconds,
        strict=True,
    )
    return [
        _cell(km, float(lat), float(lon), float(at)) if kind == "column" else name
        for kind, name, lat, lon, at in rows
    ]


def in_cells(table: pa.Table, km: float) -> pa.Table:
    """Put observations in the order of time, those of a cell together."""
    cells = cells_of(table, km)
    seconds, names = to_epoch(table["time"].to_numpy()), table["obs_id"].to_pylist()

    def place(k: int) -> tuple[float, int, int, float, str]:
        cell = cells[k]
        row, column = cell[:2] if isinstance(cell, tuple) else (-1, -1)
        return seconds[k] // MINUTE, int(row), int(column), seconds[k], names[k]

    return table.take(pa.array(sorted(range(len(table)), key=place), pa.int64()))


def check_width(km: float, met: Met) -> None:
    """Refuse cells over which the weather itself differs.

    Raises
    ------
    ConfigError
        Cells wider than the meteorology's nodes lie apart.
    """
    north = float(met.lat[1] - met.lat[0])
    east = float(met.lon[1] - met.lon[0]) * np.cos(np.deg2rad(np.abs(met.lat).max()))
    apart = 1e-3 * METRES_PER_DEGREE * max(min(north, east), 0.0)
    if km > apart:
        raise ConfigError(
            f"share = {km:g} km is more than the meteorology's nodes lie apart ({apart:.3g} km): columns that share "
            "particles would lose the weather that differs between them; give less, or 0"
        )


def sharing_note(km: float) -> str:
    """Return what is to be told and stored of shared particles."""
    return line("shared particles", km=f"{km:g}")


def from_neighbours(
    table: pa.Table,
    met: Met,
    *,
    particles: int,
    hours: float,
    km: float,
    height: str = "ground",
    domain: tuple[float, float, float, float] | None = None,
) -> Receptors:
    """Turn observations into releases, columns of a cell into one.

    Parameters
    ----------
    table, met, hours, height, domain
        As in `inversion.transport.receptors.releases.from_observations`.
    particles : int
        Per cell and per point.
    km : float
        Width of the cells.
    """
    alone = table.filter(pc.field("kind") != "column")
    points = from_observations(alone, met, particles=particles, hours=hours, height=height, domain=domain)
    skipped = dict(points.skipped)
    members: dict[Cell, list[tuple[dict[str, Any], Pieces, float]]] = {}
    for row in table.filter(pc.field("kind") == "column").to_pylist():
        reason, pieces, known = _pieces(row, met, hours, domain)
        if reason:
            skipped[row["obs_id"]] = reason
            continue
        seconds = float(to_epoch(np.datetime64(row["time"])))
        cell = _cell(km, float(row["latitude"]), float(row["longitude"]), seconds)
        members.setdefault(cell, []).append((row, pieces, known))
    shared = [
        _together(_named(km, cell), _release_place(cell, met, hours, km, domain), columns, met, particles)
        for cell, columns in members.items()
    ]
    return Receptors.join([points, *shared], skipped)


def _pieces(
    row: dict[str, Any], met: Met, hours: float, domain: tuple[float, float, float, float] | None
) -> tuple[str, Pieces, float]:
    """Return what `pieces_of` returns; also why nothing can be modelled there and then."""
    lat, lon = float(row["latitude"]), float(met.wrap(row["longitude"]))
    moment = float(to_epoch(np.datetime64(row["time"])))
    if reason := unreachable(met, lat, lon, (moment, moment), hours, domain):
        return reason, NO_PIECES, 0.0
    return pieces_of(row, met.profile(from_epoch(moment), lat, lon)["pressure"][0])


def _together(
    name: str,
    place: tuple[float, float, float],
    columns: Sequence[tuple[dict[str, Any], Pieces, float]],
    met: Met,
    particles: int,
) -> Receptors:
    """Return the columns of a cell as receptors of one swarm."""
    lat, lon, at = place
    releases, edges, counts = _layers(lat, lon, at, met, particles)
    there = np.array([[row["longitude"] - lon, row["latitude"] - lat] for row, _, _ in columns], np.float64)
    there[:, 0] = (there[:, 0] + 180.0) % 360.0 - 180.0
    factors = np.array([np.diff(_weight_below(pieces, edges)) for _, pieces, _ in columns])
    return Receptors(
        np.array([row["obs_id"] for row, _, _ in columns], dtype=np.str_),
        np.array([0, len(releases)]),
        releases,
        np.array([known for _, _, known in columns], dtype=np.float64),
        {},
        (Swarm(name, there, factors * np.repeat(counts, counts.astype(int))),),
    )


def _release_place(
    cell: Cell, met: Met, hours: float, km: float, domain: tuple[float, float, float, float] | None
) -> tuple[float, float, float]:
    """Return where and when a cell's particles start: its middle, or what of the domain and period is nearest to it."""
    lat, lon, at = _middle(km, cell)
    lon = float(met.wrap(lon))
    south, north, west, east = met.lat[0], met.lat[-1], met.lon[0], met.lon[-1]
    if domain is not None:
        south, north = max(south, domain[0]), min(north, domain[1])
        west, east = max(west, domain[2]), min(east, domain[3])
    inside = 1e-6  # degrees
    lat = float(np.clip(lat, south + inside, north - inside))
    lon = float(np.clip(lon, west + inside, east - inside))
    return lat, lon, float(np.clip(at, met.times[0] + 3600.0 * hours, met.times[-1]))


def _layers(lat: float, lon: float, at: float, met: Met, particles: int) -> tuple[Floats, Floats, Floats]:
    """Return releases of even mass, edges of particles' slices (shares of the surface pressure), particles of each."""
    model = met.profile(from_epoch(at), lat, lon)["pressure"][0]
    edges = np.linspace(model[0], model[-1], min(LAYERS, particles) + 1)
    lower, upper = edges[:-1], edges[1:]
    heights = [np.interp(-np.log(p), -np.log(model), met.height) for p in (lower, upper)]
    even = np.full(lower.size, 0.5)
    releases = np.array(allocate((lower, upper, even, even), heights, particles, (at, at), lat, lon))
    counts = releases[:, RELEASE.index("count")]
    slices = [a + (b - a) * np.arange(int(n)) / n for a, b, n in zip(lower, upper, counts, strict=True)]
    return releases, np.concatenate([*slices, edges[-1:]]) / model[0], counts


def _weight_below(pieces: Pieces, share: Floats) -> Floats:
    """Return the weight of a column below shares of its surface pressure; all of it below the last of them."""
    lower, upper, w0, w1 = pieces[0] / pieces[0][0], pieces[1] / pieces[0][0], pieces[2], pieces[3]
    whole = np.concatenate([[0.0], np.cumsum(w0 + w1)])
    k = np.clip(np.searchsorted(-lower, -share, side="right") - 1, 0, lower.size - 1)
    f = np.clip((lower[k] - share) / (lower[k] - upper[k]), 0.0, 1.0)
    below = whole[k] + w0[k] * (2.0 * f - f**2) + w1[k] * f**2
    below[-1] = whole[-1]
    return below
