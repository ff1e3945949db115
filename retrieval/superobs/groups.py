"""Which soundings make which super-observation, and with what weight."""

from __future__ import annotations

from dataclasses import dataclass, field

import numba
import numpy as np
import numpy.typing as npt

from obsnet.errors import ConfigError, SchemaError
from obsnet.grid import Grid
from obsnet.sphere import METRES_PER_DEGREE
from obsnet.typing import Floats, Ints, Times
from retrieval.superobs.polygon_overlap import PixelOverlap, cell_areas, overlap

__all__ = ["Groups", "area_groups", "circle_corners", "group_mean", "window_of"]


@dataclass(frozen=True)
class Groups:
    """A sparse matrix of weights, one row a super-observation.

    Parameters
    ----------
    offsets : ndarray of int64, shape (groups + 1,)
        Where each group's members begin.
    row : ndarray of int64, shape (members,)
        Row of the soundings' table.
    weight : ndarray of float64, shape (members,)
        Not negative, summing to one in each group.
    coverage : ndarray of float64, shape (groups,)
        Share of the cell's area, or of the window's seconds, that has a sounding; at most 1.
    total : ndarray of float64, shape (groups,)
        Sum of the weights before they were made to sum to one: halves merge with it.
    soundings : ndarray of float64, shape (groups,)
        How many whole soundings a group holds: pixels count by the share of them that lies in the cell, so
        that a sounding divided among cells is counted once in all.
    window : ndarray of datetime64[us], shape (groups,)
        Start of the time window.
    cell : ndarray of int64, shape (groups,)
        Grid cell, or -1 where there is no grid.
    part : ndarray of int64, shape (groups,)
        Tells groups of one window and class apart: the class's number, and the piece between gaps.
    problems : dict of str to int
        Soundings that could not be used, counted.
    """

    offsets: Ints
    row: Ints
    weight: Floats
    coverage: Floats
    total: Floats
    soundings: Floats
    window: Times
    cell: Ints
    part: Ints
    problems: dict[str, int] = field(default_factory=dict)

    def __len__(self) -> int:
        return len(self.offsets) - 1

    def __post_init__(self) -> None:
        if len(self.row) and not (self.weight >= 0.0).all():
            raise SchemaError("weights of a super-observation must not be negative")
        sums = np.add.reduceat(self.weight, self.offsets[:-1]) if len(self) else np.zeros(0)
        if not np.allclose(sums, 1.0, rtol=0.0, atol=1e-9):
            raise SchemaError(
                f"weights of a super-observation must sum to one, found {sums.min():g} to {sums.max():g}"
            )

    @property
    def size(self) -> Ints:
        """Number of members, shape (groups,)."""
        return np.diff(self.offsets)

    @property
    def effective_size(self) -> Floats:
        """``1 / sum w^2``: members counted by their weight, shape (groups,)."""
        return (
            np.asarray(1.0 / np.add.reduceat(self.weight**2, self.offsets[:-1])) if len(self) else np.zeros(0)
        )

    def at_least(self, members: int) -> Groups:
        """Return the groups that have so many members."""
        keep = self.size >= members
        if keep.all():
            return self
        mask = np.repeat(keep, self.size)
        return Groups(
            np.concatenate([[0], np.cumsum(self.size[keep])]).astype(np.int64),
            self.row[mask],
            self.weight[mask],
            self.coverage[keep],
            self.total[keep],
            self.soundings[keep],
            self.window[keep],
            self.cell[keep],
            self.part[keep],
            self.problems,
        )


@numba.njit(cache=True)
def _group_mean(values: Floats, row: Ints, weight: Floats, offsets: Ints, out: Floats) -> None:
    for g in range(out.shape[0]):
        for k in range(offsets[g], offsets[g + 1]):
            for i in range(values.shape[1]):
                out[g, i] += weight[k] * values[row[k], i]


def group_mean(values: npt.ArrayLike, groups: Groups) -> Floats:
    """Return the weighted mean of each group.

    Parameters
    ----------
    values : array_like, shape (rows,) or (rows, n)
        Of the soundings.
    groups : Groups
        Members and weights.

    Returns
    -------
    ndarray of float64, shape (groups,) or (groups, n)
    """
    array = np.asarray(values, dtype=np.float64)
    flat = np.ascontiguousarray(array[:, None] if array.ndim == 1 else array)
    out = np.zeros((len(groups), flat.shape[1]))
    _group_mean(flat, groups.row, groups.weight, groups.offsets, out)
    return out[:, 0] if array.ndim == 1 else out


def window_of(time: Times, seconds: float) -> Ints:
    """Return the number of the window since 1970 that a time lies in; windows are `seconds` long."""
    micros = round(seconds * 1e6)
    if micros < 1:
        raise ConfigError(f"a time window must be positive, found {seconds} s")
    return np.asarray(time.astype("datetime64[us]").astype(np.int64) // micros)


def circle_corners(
    latitude: npt.ArrayLike, longitude: npt.ArrayLike, diameter_km: float, corners: int = 12
) -> tuple[Floats, Floats]:
    """Return polygons for round footprints that a file gives no corners for.

    Parameters
    ----------
    latitude, longitude : array_like, shape (n,)
        Centres, degrees.
    diameter_km : float
        10.5 for GOSAT at nadir.
    corners : int
        Of the regular polygon, which has the circle's area.

    Returns
    -------
    corner_latitude, corner_longitude : ndarray of float64, shape (n, corners)
        Degrees.
    """
    if not diameter_km > 0.0:
        raise ConfigError(f"a footprint's diameter must be positive, found {diameter_km} km")
    angle = 2.0 * np.pi * np.arange(corners) / corners
    radius = diameter_km / 2 * np.sqrt(2 * np.pi / (corners * np.sin(2 * np.pi / corners)))
    degrees = radius * 1e3 / METRES_PER_DEGREE
    lat = np.asarray(latitude, np.float64)[:, None]
    corner_lat = lat + degrees * np.sin(angle)
    corner_lon = np.asarray(longitude, np.float64)[:, None] + degrees * np.cos(angle) / np.cos(
        np.deg2rad(lat)
    )
    return np.clip(corner_lat, -90.0, 90.0), corner_lon


def area_groups(
    corner_latitude: npt.ArrayLike,
    corner_longitude: npt.ArrayLike,
    time: Times,
    kind: npt.ArrayLike,
    grid: Grid,
    *,
    window_s: float = 3600.0,
    weighting: str = "share",
) -> Groups:
    """Group soundings by the grid cells that their pixels overlap.

    Parameters
    ----------
    corner_latitude, corner_longitude : array_like, shape (rows, corners)
        Degrees, in order round each pixel.
    time : ndarray of datetime64, shape (rows,)
        UTC.
    kind : array_like of int, shape (rows,)
        Class of each sounding (surface, mode, platform): classes are never mixed. Negative leaves it out.
    grid : Grid
        Cells.
    window_s : float
        Length of the time windows, which begin at full multiples since 1970-01-01; a super-observation
        never reaches over their edges.
    weighting : {"share", "area"}
        Weight of a member: the share of its pixel that lies in the cell, or the area. With pixels of one
        size they are the same.

    Returns
    -------
    Groups
        Sorted by window, cell, class. A pixel that lies in several cells is a member of each.
    """
    if weighting not in {"share", "area"}:
        raise ConfigError(f"weighting is 'share' or 'area', found {weighting!r}")
    kind = np.asarray(kind, dtype=np.int64)
    pieces: PixelOverlap = overlap(corner_latitude, corner_longitude, grid)
    used = kind[pieces.pixel] >= 0
    row, cell, area, share = pieces.pixel[used], pieces.cell[used], pieces.area[used], pieces.share[used]
    weight = share if weighting == "share" else area
    window = window_of(time, window_s)[row]
    order = np.lexsort((row, kind[row], cell, window))
    row, cell, window = row[order], cell[order], window[order]
    area, weight, share = area[order], weight[order], share[order]
    key = np.stack([window, cell, kind[row]])
    first = np.flatnonzero(np.append(True, (np.diff(key, axis=1) != 0).any(axis=0))) if len(row) else row
    offsets = np.append(first, len(row)).astype(np.int64)
    total, soundings, covered = (
        np.add.reduceat(x, first) if len(row) else np.zeros(0) for x in (weight, share, area)
    )
    outside = len(np.asarray(time)) - len(np.unique(pieces.pixel)) - sum(list(pieces.problems.values())[:3])
    return Groups(
        offsets,
        row,
        weight / np.repeat(total, np.diff(offsets)),
        np.minimum(covered / cell_areas(grid)[cell[first]], 1.0),
        total,
        soundings,
        (window[first] * round(window_s * 1e6)).astype("datetime64[us]"),
        cell[first],
        kind[row[first]],
        pieces.problems | {"outside the grid": outside},
    )
