"""The observations that a network would make: where its stations stand, when its satellites pass, what clouds leave."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, NamedTuple

import numpy as np

from inversion.study.worlds.network import NetworkOptions
from inversion.study.worlds.orbits import Orbit, across_track, ground_track, sun_elevation
from obsnet.errors import ConfigError
from obsnet.places import place_text
from obsnet.sphere import EARTH_RADIUS_KM, unit_vectors
from obsnet.times import later
from obsnet.typing import Bools, Floats, Ints, Texts, Times

__all__ = ["Sampling", "sample", "spread_sites", "station_positions"]

_STEP = 5.0  # s along the track
_SUN = 15.0  # degrees that the sun must stand above the horizon by day


@dataclass(frozen=True, eq=False)
class Sampling:
    """Observations that a network would make, sorted by time.

    Parameters
    ----------
    network, platform, orbit : ndarray of str, shape (n,)
        Name of the network; station or satellite; overpass (for stations the day).
    column : ndarray of bool
        Whether it is a column average or a sample at a station.
    time : ndarray of datetime64[us]
        UTC.
    latitude, longitude : ndarray
        Degrees.
    random : ndarray
        Standard deviation of measurement, species' unit, over the root of `soundings`.
    systematic : ndarray
        Standard deviation of what averaging does not make smaller: see `inversion.case.blocks.shared_errors`.
    soundings : ndarray
        Averaged into each.
    no2 : ndarray of bool
        Whether it is of NO2, in units of the CO2 that was burnt with it.
    """

    network: Texts
    platform: Texts
    orbit: Texts
    column: Bools
    time: Times
    latitude: Floats
    longitude: Floats
    random: Floats
    systematic: Floats
    soundings: Floats
    no2: Bools

    def __len__(self) -> int:
        return int(self.time.size)

    def take(self, rows: Ints) -> Sampling:
        """Return some of the observations."""
        return Sampling(**{name: getattr(self, name)[rows] for name in self.__dataclass_fields__})

    def with_no2(self) -> Sampling:
        """Return these observations and, beside each column, one of NO2 with the same random error."""
        beside = self.take(np.flatnonzero(self.column))
        named = {n: np.char.add(getattr(beside, n), " NO2") for n in ("network", "platform", "orbit")}
        none = np.zeros(len(beside))
        return Sampling.join([self, replace(beside, **named, systematic=none, no2=none == 0.0)])

    @classmethod
    def join(cls, parts: Sequence[Sampling]) -> Sampling:
        """Put samplings together, sorted by time."""
        fields = list(cls.__dataclass_fields__)
        whole = {name: np.concatenate([getattr(p, name) for p in parts]) for name in fields}
        order = np.lexsort((whole["platform"], whole["time"]))
        return cls(**{name: values[order] for name, values in whole.items()})


@dataclass(frozen=True)
class _Watch:
    """Who looks at what, when and where."""

    network: NetworkOptions
    name: str
    species: str
    start: np.datetime64
    stop: np.datetime64
    area: Any

    @property
    def errors(self) -> tuple[float, float]:
        """Random and systematic standard deviation of one observation."""
        return self.network.random[self.species], self.network.systematic.get(self.species, 0.0)


class _Views(NamedTuple):
    """Points that satellites look at."""

    satellite: Ints
    number: Ints
    time: Times
    latitude: Floats
    longitude: Floats


def spread_sites(
    area: Any, count: int, taken: Sequence[tuple[float, float]] = ()
) -> list[tuple[float, float]]:
    """Place points inside an area, each as far as can be from all before it.

    Parameters
    ----------
    area : shapely geometry
        Degrees, longitude first.
    count : int
        Points to place.
    taken : sequence of (lat, lon)
        Points that are there.

    Returns
    -------
    list of (lat, lon)
        On a lattice of half a degree; always the same for the same area and points taken, and the first ones
        of a longer list.
    """
    from shapely import contains_xy, prepare

    prepare(area)
    west, south, east, north = area.bounds
    lat, lon = (
        a.ravel()
        for a in np.meshgrid(
            np.arange(np.ceil(south * 2), north * 2) / 2,
            np.arange(np.ceil(west * 2), east * 2) / 2,
            indexing="ij",
        )
    )
    inside = contains_xy(area, lon, lat)
    lat, lon = lat[inside], lon[inside]
    if lat.size < count:
        raise ConfigError(
            f"the area holds {lat.size} points of a lattice of half a degree, {count} were asked for"
        )
    points = unit_vectors(lat, lon)
    if taken:
        there = unit_vectors(*np.array(taken).T)
    else:
        middle = points.mean(axis=0)
        there = points[[int(np.argmax(points @ middle))]]
    near = np.max(points @ there.T, axis=1)  # cosine of the angle to the nearest
    found = [] if taken else [int(np.argmax(points @ points.mean(axis=0)))]
    while len(found) < count:
        found.append(int(np.argmin(np.round(near, 12))))
        near = np.maximum(near, points @ points[found[-1]])
    return [(float(lat[i]), float(lon[i])) for i in found[:count]]


def sample(
    network: NetworkOptions,
    name: str,
    *,
    species: str,
    start: np.datetime64,
    stop: np.datetime64,
    area: Any,
    bounds: tuple[float, float, float, float],
    cell_deg: float = 1.0,
    seed: int = 0,
) -> Sampling:
    """Return the observations that a network would make.

    Parameters
    ----------
    network : NetworkOptions
        Who observes.
    name : str
        Put before platforms and orbits.
    species : str
        ``"CO2"`` or ``"CH4"``.
    start, stop : datetime64
        UTC.
    area : shapely geometry
        Soundings and stations that have no position are inside it.
    bounds : (south, north, west, east)
        Stations outside are left out.
    cell_deg : float
        Soundings of an overpass are averaged over cells of this size.
    seed : int
        Of clouds.

    Raises
    ------
    ConfigError
        The network does not measure this species, or sees nothing.
    """
    if species not in network.random:
        raise ConfigError(
            f"{network.title} does not measure {species}; it measures {', '.join(network.random)}"
        )
    watch = _Watch(network, name, species, start, stop, area)
    found = _stations(watch, bounds) if network.kind == "stations" else _overpasses(watch, cell_deg, seed)
    if not len(found):
        raise ConfigError(f"{network.title} sees nothing inside the area from {start} to {stop}")
    return found


def station_positions(network: NetworkOptions, area: Any) -> dict[str, tuple[float, float]]:
    """Return (lat, lon) of all stations of a network; those without a position of their own are spread out."""
    places = {s.code: (s.latitude, s.longitude) for s in network.site}
    more = (network.count or 0) - len(places)
    if more > 0:
        spread = spread_sites(area, more, list(places.values()))
        places |= {place_text(lat, lon, ".1f", gap=""): (lat, lon) for lat, lon in spread}
    return places


def _stations(watch: _Watch, bounds: tuple[float, float, float, float]) -> Sampling:
    network, start, stop = watch.network, watch.start, watch.stop
    random, systematic = watch.errors
    south, north, west, east = bounds
    places = {
        code: (lat, lon)
        for code, (lat, lon) in station_positions(network, watch.area).items()
        if south <= lat <= north and west <= lon <= east
    }
    days = np.arange(later(start.astype("datetime64[D]"), -1), later(stop.astype("datetime64[D]"), 2))
    parts = []
    for code, (lat, lon) in places.items():
        seconds = np.round(3600.0 * (network.hour - lon / 15.0)).astype("timedelta64[s]")
        time = days.astype("datetime64[us]") + seconds
        time = time[(time >= start) & (time < stop)]
        n = time.size
        day = np.char.add(f"{watch.name}:", time.astype("datetime64[D]").astype(str))
        parts.append(
            Sampling(
                np.full(n, watch.name),
                np.full(n, code),
                day,
                np.zeros(n, dtype=bool),
                time,
                np.full(n, lat),
                np.full(n, lon),
                np.full(n, random),
                np.full(n, systematic),
                np.ones(n),
                np.zeros(n, dtype=bool),
            )
        )
    return Sampling.join(parts)


def _overpasses(watch: _Watch, cell_deg: float, seed: int) -> Sampling:
    from shapely import contains_xy, prepare

    network, start, stop, area = watch.network, watch.start, watch.stop, watch.area
    prepare(area)
    orbit = Orbit(float(network.altitude_km or 0.0), network.inclination)
    ascending_hour = network.local_time + (0.0 if network.day_node == "ascending" else 12.0)
    west, south, east, north = area.bounds
    margin = network.swath_km / 111.0
    length = float((stop - start) / np.timedelta64(1, "s"))
    speed = orbit.nodal_motion * EARTH_RADIUS_KM  # km s-1 over the ground
    across = max(1, round(network.swath_km / (55.0 * cell_deg)))
    offsets = (np.arange(across) - 0.5 * (across - 1)) * network.swath_km / across
    each = speed * _STEP * network.swath_km / across / network.pixel_km2  # soundings a point stands for
    parts = []
    for k in range(network.satellites):
        seconds = np.arange(0.0, length, _STEP)
        lat, lon, heading, number, _ = ground_track(
            orbit, start, seconds, ascending_hour=ascending_hour, phase=2.0 * np.pi * k / network.satellites
        )
        near = (
            (lat > south - margin)
            & (lat < north + margin)
            & (lon > west - 2 * margin)
            & (lon < east + 2 * margin)
        )
        seconds, number = seconds[near], number[near]
        y, x = across_track(lat[near], lon[near], heading[near], offsets)
        time = np.broadcast_to((start + np.round(seconds * 1e6).astype("timedelta64[us]"))[:, None], y.shape)
        inside = contains_xy(area, x.ravel(), y.ravel())
        sun = sun_elevation(time.ravel(), y.ravel(), x.ravel())
        lit = {"day": sun > _SUN, "night": sun < 0.0, "any": np.ones(sun.size, dtype=bool)}[network.light]
        keep = inside & lit
        parts.append(
            _Views(
                np.full(int(keep.sum()), k),
                np.broadcast_to(number[:, None], y.shape).ravel()[keep],
                time.ravel()[keep],
                y.ravel()[keep],
                x.ravel()[keep],
            )
        )
    views = _Views(*(np.concatenate(p) for p in zip(*parts, strict=True)))
    return _average(watch, views, each, cell_deg, seed)


def _average(watch: _Watch, views: _Views, each: float, cell_deg: float, seed: int) -> Sampling:
    """Average the soundings of an overpass over cells, and let clouds take their share; `each` a view."""
    network, name = watch.network, watch.name
    random, systematic = watch.errors
    row, column = (np.floor(a / cell_deg).astype(np.int64) for a in (views.latitude, views.longitude))
    keys = np.stack([views.satellite, views.number, row, column])
    groups, member, count = np.unique(keys, axis=1, return_inverse=True, return_counts=True)
    member = member.ravel()
    micros = views.time.astype("datetime64[us]").astype(np.int64)
    base = micros.min(initial=0)
    time, lat, lon = (
        np.bincount(member, v) / count for v in (micros - base, views.latitude, views.longitude)
    )
    soundings = count * each
    # Fewer than one sounding is the chance of one.
    chance = network.clear * np.minimum(soundings, 1.0)
    drawn = np.random.default_rng([seed, *name.encode()]).random(count.size) < chance
    soundings = np.maximum(soundings, 1.0)
    codes = np.array(
        [f"{name}-{k + 1}" if network.satellites > 1 else name for k in range(network.satellites)]
    )
    platform = codes[groups[0]]
    # An overpass is known by satellite and time of its first sounding.
    _, flight = np.unique(groups[:2], axis=1, return_inverse=True)
    began = np.full(int(flight.max(initial=0)) + 1, np.iinfo(np.int64).max)
    np.minimum.at(began, flight.ravel()[member], micros)
    stamp = began[flight.ravel()].astype("datetime64[us]").astype("datetime64[m]").astype(str)
    orbit = np.char.add(np.char.add(platform, ":"), stamp)
    n = int(drawn.sum())
    return Sampling.join(
        [
            Sampling(
                np.full(n, name),
                platform[drawn],
                orbit[drawn],
                np.ones(n, dtype=bool),
                (np.round(time).astype(np.int64) + base).astype("datetime64[us]")[drawn],
                lat[drawn],
                lon[drawn],
                random / np.sqrt(soundings[drawn]),
                np.full(n, systematic),
                soundings[drawn],
                np.zeros(n, dtype=bool),
            )
        ]
    )
