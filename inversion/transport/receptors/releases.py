"""Where and when particles are released, made from observation tables.

A point sample releases at its height, over the time it was taken. A column releases along its averaging kernel:
each level stands for the air it represents (`inversion.transport.receptors.columns`).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from inversion.transport.receptors.columns import Pieces, pieces_of
from obsnet.errors import SchemaError
from obsnet.grid import Grid
from obsnet.met import Met
from obsnet.places import place_text
from obsnet.sphere import METRES_PER_DEGREE
from obsnet.times import from_epoch, to_epoch
from obsnet.typing import Floats, Ints, Texts

__all__ = [
    "RELEASE",
    "Receptors",
    "Swarm",
    "allocate",
    "domain_of",
    "from_observations",
    "line",
    "point",
    "slant",
    "unreachable",
]

# Columns of a release: its ends in time, in the horizontal (nodes), in height (m), the ratio of the pressures at
# its upper and lower end, the weight at each end, the particles.
RELEASE = ("t0", "t1", "x0", "x1", "y0", "y1", "z0", "z1", "ratio", "w0", "w1", "count")
_AT = {name: k for k, name in enumerate(RELEASE)}


@dataclass(frozen=True, eq=False)
class Swarm:
    """Particles that are released together, and the receptors that they are for.

    Parameters
    ----------
    name : str
        Random numbers go by it.
    shifts : ndarray of float64, shape (members, 2)
        Degrees of longitude and latitude from the releases to each receptor.
    factors : ndarray of float64, shape (members, particles)
        What each receptor makes of a particle's weight.
    """

    name: str
    shifts: Floats
    factors: Floats


@dataclass(frozen=True, eq=False)
class Receptors:
    """Releases of several receptors.

    Parameters
    ----------
    obs_id : ndarray of str, shape (n,)
        Unique.
    offsets : ndarray of int64, shape (swarms + 1,)
        Swarm i has the releases ``offsets[i]:offsets[i + 1]``.
    releases : ndarray of float64, shape (m, 12)
        Columns as in `RELEASE`; x and y in degrees, z in metres above ground.
    known : ndarray of float64, shape (n,)
        Part of the modelled value that no flux and no boundary touches, in the species' unit: a column's prior
        where the kernel does not see and above the meteorology. 0 for points.
    skipped : dict of str to str
        Observations that cannot be modelled, with the reason.
    shared : tuple of Swarm, optional
        Whose particles are whose, receptors in the order of `obs_id`; by default each has its own.
    """

    obs_id: Texts
    offsets: Ints
    releases: Floats
    known: Floats
    skipped: dict[str, str]
    shared: tuple[Swarm, ...] | None = None

    def __len__(self) -> int:
        return int(self.obs_id.size)

    @property
    def swarms(self) -> tuple[Swarm, ...]:
        """The particles of each release, in the order of `offsets`."""
        if self.shared is not None:
            return self.shared
        counts = (
            np.add.reduceat(self.releases[:, _AT["count"]], self.offsets[:-1]) if len(self) else np.zeros(0)
        )
        here = np.zeros((1, 2))
        return tuple(
            Swarm(str(name), here, np.ones((1, int(count))))
            for name, count in zip(self.obs_id, counts, strict=True)
        )

    @property
    def particles_of(self) -> list[str]:
        """The swarm of each receptor."""
        return [swarm.name for swarm in self.swarms for _ in swarm.factors]

    @classmethod
    def join(cls, parts: Sequence[Receptors], skipped: dict[str, str]) -> Receptors:
        """Put receptors one after the other."""
        sizes = [np.diff(part.offsets) for part in parts]
        return cls(
            np.concatenate([np.zeros(0, "U1"), *(part.obs_id for part in parts)]),
            np.concatenate([[0], *sizes]).cumsum().astype(np.int64),
            np.concatenate([np.zeros((0, len(RELEASE))), *(part.releases for part in parts)]),
            np.concatenate([np.zeros(0), *(part.known for part in parts)]),
            skipped,
            tuple(swarm for part in parts for swarm in part.swarms),
        )


def _release(
    time: tuple[float, float], lat: float, lon: float, z: tuple[float, float], **more: float
) -> list[float]:
    values = {
        "t0": time[0],
        "t1": time[1],
        "x0": lon,
        "x1": lon,
        "y0": lat,
        "y1": lat,
        "z0": z[0],
        "z1": z[1],
    }
    values |= {"ratio": 1.0, "w0": 0.5, "w1": 0.5, "count": 1.0, **more}
    return [values[name] for name in RELEASE]


def point(
    time: tuple[float, float], lat: float, lon: float, height: float, count: float, weight: float = 1.0
) -> list[float]:
    """Return the release of a place: from and to (s since 1970), degrees, m above ground, particles, weight."""
    half = 0.5 * weight
    return _release(time, lat, lon, (height, height), w0=half, w1=half, count=count)


def domain_of(grid: Grid, met: Met) -> tuple[float, float, float, float]:
    """Return south, north, west, east of the fluxes, in the meteorology's convention of longitude."""
    south, north, west, east = grid.lat_edges[0], grid.lat_edges[-1], grid.lon_edges[0], grid.lon_edges[-1]
    turn = float(met.wrap(0.5 * (west + east))) - 0.5 * (west + east)
    return float(south), float(north), float(west + turn), float(east + turn)


def unreachable(
    met: Met,
    lat: float,
    lon: float,
    ends: tuple[float, float],
    hours: float,
    domain: tuple[float, float, float, float] | None,
    height: float = 0.0,
    direction: int = -1,
) -> str:
    """Return why particles cannot start here, or "" if they can.

    Parameters
    ----------
    lat, lon, height : float
        Degrees, `lon` as the meteorology has it; m above ground.
    ends : (float, float)
        First and last release, seconds since 1970.
    hours, domain
        As in `from_observations`.
    direction : {-1, 1}
        Backward or forward in time.
    """
    place = f"({place_text(lat, lon, '.2f')})"
    if not met.inside(lat, lon):
        return f"outside the meteorology {place}"
    if domain is not None:
        south, north, west, east = domain
        if not (south <= lat < north and west <= lon < east):
            return f"outside the grid of fluxes {place}"
    reach = direction * hours * 3600.0
    first, last = ends[0] + min(reach, 0.0), ends[1] + max(reach, 0.0)
    if first < met.times[0] - 1e-3 or last > met.times[-1] + 1e-3:
        return (
            f"needs meteorology from {from_epoch(first)} to {from_epoch(last)}, "
            f"which covers {met.start} to {met.stop}"
        )
    if not height >= 0.0:
        return f"below ground ({height:g} m)"
    if height > met.top:
        return f"above the meteorology ({height:g} m, top {met.top:.0f} m)"
    return ""


def from_observations(
    table: pa.Table,
    met: Met,
    *,
    particles: int,
    hours: float,
    height: str = "ground",
    domain: tuple[float, float, float, float] | None = None,
) -> Receptors:
    """Turn observations into releases.

    Parameters
    ----------
    table : pyarrow.Table
        `obsnet.schema.OBSERVATIONS`, points and columns mixed.
    met : Met
        Gives the height of pressures and the ground.
    particles : int
        Per receptor.
    hours : float
        Length of the run; what would need earlier meteorology is skipped.
    height : {"ground", "sea"}
        Points: intake height above the model's ground, or altitude above the sea less the model's ground (at
        least the intake height), for mountains that the model's terrain does not resolve.
    domain : (south, north, west, east), optional
        Of the fluxes; receptors outside are skipped.

    Returns
    -------
    Receptors
        What cannot be modelled stands in ``skipped`` with the reason; nothing is dropped silently.
    """
    if height not in {"ground", "sea"}:
        raise SchemaError(f"height = {height!r} is not one of ground, sea")
    names, offsets, rows, known, skipped = [], [0], [], [], {}
    for row in table.to_pylist():
        reason, releases, part = _one(row, met, particles, hours, height, domain)
        if reason:
            skipped[row["obs_id"]] = reason
            continue
        names.append(row["obs_id"])
        rows.extend(releases)
        offsets.append(len(rows))
        known.append(part)
    releases_array = np.array(rows, dtype=np.float64).reshape(-1, len(RELEASE))
    return Receptors(
        np.array(names, dtype=np.str_),
        np.array(offsets),
        releases_array,
        np.array(known, dtype=np.float64),
        skipped,
    )


def line(
    obs_id: str, times: Any, lat: npt.ArrayLike, lon: npt.ArrayLike, height: npt.ArrayLike, *, particles: int
) -> Receptors:
    """Return one receptor along a path: a flight leg, a car, a long open path.

    Parameters
    ----------
    obs_id : str
        Its name.
    times : array_like of datetime64, shape (n,)
        When the path's corners were passed.
    lat, lon, height : array_like, shape (n,)
        Degrees, metres above ground; n >= 2.
    particles : int
        Spread over the pieces by their duration, at least one each.

    Raises
    ------
    SchemaError
        Fewer than two corners, or times that do not increase.
    """
    seconds = to_epoch(times)
    lat, lon, height = (np.asarray(a, dtype=np.float64) for a in (lat, lon, height))
    if (
        seconds.size < 2
        or not (np.diff(seconds) > 0).all()
        or not lat.size == lon.size == height.size == seconds.size
    ):
        raise SchemaError(f"{obs_id}: a line needs two corners or more, with increasing times")
    share = np.diff(seconds) / (seconds[-1] - seconds[0])
    count = np.maximum(np.round(share * particles), 1.0)
    rows = []
    for k in range(share.size):
        ends = {"x0": lon[k], "x1": lon[k + 1], "y0": lat[k], "y1": lat[k + 1]}
        row = _release((seconds[k], seconds[k + 1]), 0.0, 0.0, (height[k], height[k + 1]), **ends)
        row[_AT["w0"]] = row[_AT["w1"]] = 0.5 * share[k]
        row[_AT["count"]] = count[k]
        rows.append(row)
    return Receptors(np.array([obs_id]), np.array([0, len(rows)]), np.array(rows), np.zeros(1), {})


def slant(receptors: Receptors, zenith: npt.ArrayLike, azimuth: npt.ArrayLike) -> Receptors:
    """Lean columns along the line of sight.

    Parameters
    ----------
    receptors : Receptors
        Columns.
    zenith, azimuth : array_like, shape (len(receptors),)
        Of the instrument or the sun as seen from the ground, degrees; azimuth clockwise from north.

    Returns
    -------
    Receptors
        Releases at height z stand ``z tan(zenith)`` away in the direction of `azimuth`.

    Raises
    ------
    SchemaError
        A zenith angle outside 0 to 85 degrees.
    """
    zenith, azimuth = (np.broadcast_to(np.asarray(a, np.float64), len(receptors)) for a in (zenith, azimuth))
    if len(receptors) and not ((zenith >= 0.0) & (zenith <= 85.0)).all():
        raise SchemaError(
            f"zenith angles must lie within 0 and 85 degrees, found {zenith.min():g} to {zenith.max():g}"
        )
    releases = receptors.releases.copy()
    owner = np.repeat(np.arange(len(receptors)), np.diff(receptors.offsets))
    away = np.tan(np.deg2rad(zenith[owner])) / METRES_PER_DEGREE
    turn = np.deg2rad(azimuth[owner])
    for x, y, z in (("x0", "y0", "z0"), ("x1", "y1", "z1")):
        step = releases[:, _AT[z]] * away
        shrink = np.cos(np.deg2rad(releases[:, _AT[y]]))
        releases[:, _AT[x]] += step * np.sin(turn) / shrink
        releases[:, _AT[y]] += step * np.cos(turn)
    return replace(receptors, releases=releases)


def _one(
    row: dict[str, Any],
    met: Met,
    particles: int,
    hours: float,
    height: str,
    domain: tuple[float, float, float, float] | None,
) -> tuple[str, list[list[float]], float]:
    """Return the reason for skipping ("" if none), releases and the known part of one observation."""
    lat, lon = float(row["latitude"]), float(met.wrap(row["longitude"]))
    moment = float(to_epoch(np.datetime64(row["time"])))
    ends = (moment, moment)
    if row["kind"] == "point" and row["time_start"] is not None and row["time_end"] is not None:
        first, last = (float(to_epoch(np.datetime64(row[k]))) for k in ("time_start", "time_end"))
        ends = (first, last)
        if not 0.0 <= ends[1] - ends[0] <= 7 * 86400.0:
            ends = (moment, moment)
    reason = unreachable(met, lat, lon, ends, hours, domain)
    if reason:
        return reason, [], 0.0
    if row["kind"] == "point":
        return _point(row, met, particles, height, ends, lat, lon)
    return _column(row, met, particles, ends, lat, lon)


def _point(
    row: dict[str, Any], met: Met, particles: int, height: str, ends: Any, lat: float, lon: float
) -> tuple[str, list[list[float]], float]:
    intake = row["intake_height_m"]
    altitude = row["altitude_m"]
    if height == "sea" and altitude is not None:
        ground = float(met.profile(from_epoch(ends[0]), lat, lon)["terrain"][0])
        z = max(altitude - ground, intake or 0.0)
    elif intake is not None:
        z = float(intake)
    else:
        return "no intake height above ground", [], 0.0
    reason = unreachable(met, lat, lon, ends, 0.0, None, z)
    return reason, [] if reason else [point(ends, lat, lon, z, float(particles))], 0.0


def _column(
    row: dict[str, Any], met: Met, particles: int, ends: Any, lat: float, lon: float
) -> tuple[str, list[list[float]], float]:
    model = met.profile(from_epoch(ends[0]), lat, lon)["pressure"][0]
    reason, pieces, known = pieces_of(row, model)
    if reason:
        return reason, [], 0.0
    heights = [np.interp(-np.log(p), -np.log(model), met.height) for p in pieces[:2]]
    return "", allocate(pieces, heights, particles, ends, lat, lon), known


def allocate(
    pieces: Pieces,
    heights: Sequence[Floats],
    particles: int,
    ends: Any,
    lat: float,
    lon: float,
) -> list[list[float]]:
    """Share particles among releases by weight, at least one each; lower air gets more of them.

    Parameters
    ----------
    pieces : Pieces
        What is released.
    heights : (ndarray, ndarray)
        Of the pieces' lower and upper ends, m above ground.
    particles : int
        In all.
    ends : (float, float)
        From and to, s since 1970.
    lat, lon : float
        Degrees.

    Returns
    -------
    list of list of float
        Rows as in `RELEASE`.
    """
    lower, upper, w0, w1 = pieces
    size = np.abs(w0) + np.abs(w1)
    # Air near the ground meets fluxes soonest, so its share of the variance is larger than its weight.
    wish = size * (0.25 + np.exp(-0.5 * (heights[0] + heights[1]) / 3000.0))
    wish = wish / wish.sum() * particles
    count = np.maximum(np.floor(wish), (size > 0.0).astype(float))
    rest = np.argsort(-(wish - np.floor(wish)), kind="stable")
    spare = int(particles - count.sum())
    if spare > 0:
        count[rest[:spare]] += 1.0
    return [
        _release(
            ends,
            lat,
            lon,
            (heights[0][k], heights[1][k]),
            ratio=upper[k] / lower[k],
            w0=w0[k],
            w1=w1[k],
            count=count[k],
        )
        for k in range(lower.size)
        if count[k] > 0.0
    ]
