"""Made-up scenes of known truth: particles in unsteady wind, seen through pixels, noise, clouds, a restless background.

Nothing here is shared with the methods: plumes are neither Gaussian nor straight nor steady. Particles leave the source
at even times and are carried by the mean wind, its slow turning, eddies that drift along with it, and diffusion.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from pydantic import Field
from scipy import ndimage

from obsnet.config import Options
from obsnet.sphere import METRES_PER_DEGREE
from obsnet.typing import Floats
from retrieval.plume.images.amounts import CONVERSION_ERROR, mass_per_unit
from retrieval.plume.images.scene import Scene, pixel_areas
from retrieval.plume.sources import PointSource
from retrieval.plume.winds import PlumeWind

__all__ = ["PlumeWorld", "TwinPlume", "eddy_diffusion", "make_twin"]

_STEP = 120.0  # s
_EDDIES = 8  # waves of the drifting eddies
_PARTICLES = 6000
_WATER = 20.0  # kg m-2


class PlumeWorld(Options):
    """What world a scene is drawn from.

    Examples
    --------
    >>> PlumeWorld(rate=500.0).wind
    5.0
    """

    rate: float = Field(800.0, ge=0, description="true rate, kg s-1")
    wind: float = Field(5.0, ge=0, description="true mean wind of the plume's air, m s-1")
    direction: float = Field(70.0, description="towards which it blows, degrees from north by east")
    pixel_km: float = Field(2.0, gt=0, description="side of a pixel")
    rows: int = Field(80, ge=20, description="of the image")
    columns: int = Field(80, ge=20, description="of the image")
    latitude: float = Field(40.0, ge=-75, le=75, description="of the source")
    noise: float = Field(0.7, gt=0, description="random error of a pixel, ppm")
    structure: float = Field(0.3, ge=0, description="standard deviation of the background's structure, ppm")
    structure_km: float = Field(30.0, gt=0, description="its width")
    slope: float = Field(0.005, ge=0, description="of the background, ppm km-1")
    clouds: float = Field(0.1, ge=0, lt=0.95, description="share of pixels without a value")
    unsteady: float = Field(0.15, ge=0, description="speed of eddies over the mean wind")
    no2: bool = Field(
        False, description="with an image of NO2, in which the plume stands out five times as much"
    )
    wind_error: float = Field(1.0, ge=0, description="standard error of the wind that is known, m s-1")
    wind_turn: float = Field(8.0, ge=0, description="standard error of its direction, degrees")
    neighbour: float | None = Field(None, description="rate of a second source 12 km downwind, kg s-1")


@dataclass(frozen=True, eq=False)
class TwinPlume:
    """A scene and its truth.

    Parameters
    ----------
    scene : Scene
        As a satellite sees it.
    source : PointSource
        Whose plume it is.
    others : tuple of PointSource
        Other known sources.
    wind : PlumeWind
        As a meteorological analysis gives it: with an error.
    rate : float
        True, kg s-1.
    enhancement : ndarray, shape (row, column)
        True plume of all sources, ppm.
    """

    scene: Scene
    source: PointSource
    others: tuple[PointSource, ...]
    wind: PlumeWind
    rate: float
    enhancement: Floats


def eddy_diffusion(wind: float) -> float:
    """Return how fast a made-up plume widens beside what the drifting eddies do, m2 s-1, for a wind in m s-1."""
    return 20.0 + 15.0 * wind


def make_twin(settings: PlumeWorld, seed: int) -> TwinPlume:
    """Draw a scene.

    Parameters
    ----------
    settings : PlumeWorld
        The world.
    seed : int
        Another number, another scene.
    """
    rng = np.random.default_rng([seed, 20260101])
    s = settings
    towards = np.deg2rad(s.direction)
    mean = s.wind * np.array([np.sin(towards), np.cos(towards)])
    half = 0.5 * s.pixel_km * np.array([s.columns, s.rows])
    # The source stands upwind of the middle, so that most of the plume is on the image.
    where = -0.35 * half * np.sign(mean) * np.abs(mean) / max(float(np.abs(mean).max()), 1e-9)
    where = where + rng.uniform(-0.5, 0.5, 2) * s.pixel_km
    edges = [np.linspace(-h, h, n + 1) for h, n in zip(half, (s.columns, s.rows), strict=True)]
    middles = [0.5 * (e[1:] + e[:-1]) for e in edges]
    angle = np.deg2rad(rng.uniform(-20, 20))  # of the swath against north
    turned = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    x, y = np.meshgrid(*middles)
    latitude, longitude = _degrees(turned @ np.stack([x.ravel(), y.ravel()]), s.latitude)
    latitude, longitude = (a.reshape(x.shape) for a in (latitude, longitude))
    area = pixel_areas(latitude, longitude)
    pressure = 101325.0 - rng.uniform(0, 8000)
    mass = np.full(x.shape, float(mass_per_unit(pressure, "CO2", column_water=_WATER)))

    moves = _Air(mean, s.unsteady, rng)
    enhancement = _plume(where, s.rate, moves, edges, half, rng) / (area * mass)
    # neighbours stand on the mean wind's line in the image's own coordinates
    others = []
    if s.neighbour is not None and s.wind > 0:
        beside = where + 12.0 * mean / s.wind
        enhancement = enhancement + _plume(beside, s.neighbour, moves, edges, half, rng) / (area * mass)
        others.append(_source_at("neighbour", turned @ beside, s.latitude))
    background = 410.0 + s.slope * (np.cos(angle * 7) * x + np.sin(angle * 7) * y)
    background = background + s.structure * _restless(x.shape, s.structure_km / s.pixel_km, rng)
    value = background + enhancement + s.noise * rng.standard_normal(x.shape)
    hidden = _restless(x.shape, 12.0 / s.pixel_km, rng)
    value = np.where(hidden > np.quantile(hidden, 1.0 - s.clouds), np.nan, value) if s.clouds else value
    no2 = no2_error = None
    if s.no2:
        no2 = 0.2 * _restless(x.shape, s.structure_km / s.pixel_km, rng) + 5.0 * enhancement
        no2 = no2 + s.noise * rng.standard_normal(x.shape)
        no2_error = np.full(x.shape, s.noise)
    known = mean + s.wind_error * rng.standard_normal() * mean / max(s.wind, 1e-9)
    off = np.deg2rad(s.wind_turn * rng.standard_normal()) + angle
    u, v = np.cos(off) * known[0] - np.sin(off) * known[1], np.sin(off) * known[0] + np.cos(off) * known[1]
    scene = Scene(
        f"twin-{seed}",
        "CO2",
        np.datetime64("2026-01-01T11:00:00", "us"),
        latitude,
        longitude,
        value,
        np.full(x.shape, s.noise),
        area,
        mass,
        CONVERSION_ERROR,
        no2,
        no2_error,
    )
    source = _source_at("source", turned @ where, s.latitude)
    wind = PlumeWind(float(u), float(v), s.wind_error, "twin")
    return TwinPlume(scene, source, tuple(others), wind, s.rate, enhancement)


class _Air:
    """Wind at any place and time: mean, slow turning, eddies that drift with the mean."""

    def __init__(self, mean: Floats, unsteady: float, rng: np.random.Generator) -> None:
        self.mean = mean
        speed = float(np.hypot(*mean))
        length = 2.0 * np.pi / np.exp(rng.uniform(np.log(3.0), np.log(40.0), _EDDIES))  # km-1
        way = rng.uniform(0, 2 * np.pi, _EDDIES)
        self._k = length * np.stack([np.cos(way), np.sin(way)])
        self._across = np.stack([-np.sin(way), np.cos(way)])  # free of divergence
        self._phase = rng.uniform(0, 2 * np.pi, _EDDIES)
        self._size = unsteady * speed * np.sqrt(2.0 / _EDDIES) * np.ones(_EDDIES)
        self._turn = rng.normal(0.0, 0.15, 3)  # rad, of the wind's direction over hours
        self.diffusion = eddy_diffusion(speed)

    def at(self, place: Floats, before: Floats) -> Floats:
        """Return the wind, m s-1, at places (km), so many seconds before the overpass."""
        swing = sum(a * np.sin(2 * np.pi * before / (3600.0 * (k + 2))) for k, a in enumerate(self._turn))
        c, s = np.cos(swing), np.sin(swing)
        base = np.stack([c * self.mean[0] - s * self.mean[1], s * self.mean[0] + c * self.mean[1]])
        at = place + self.mean[:, None] * before / 1e3  # eddies drift with the mean wind
        waves = self._size[:, None] * np.cos(self._k.T @ at + self._phase[:, None])
        return np.asarray(base + self._across @ waves)


def _plume(
    where: Floats, rate: float, air: _Air, edges: list[Floats], half: Floats, rng: np.random.Generator
) -> Floats:
    """Return the mass in each pixel, kg."""
    speed = max(float(np.hypot(*air.mean)), 0.3)
    span = min(1.7e3 * float(half.max()) / speed, 24 * 3600.0)  # s, to cross the image
    steps = int(np.ceil(span / _STEP))
    age = (np.arange(_PARTICLES) + rng.uniform(0, 1, _PARTICLES)) * span / _PARTICLES
    place = np.repeat(where[:, None], _PARTICLES, axis=1)
    jump = np.sqrt(2.0 * air.diffusion * _STEP) / 1e3
    for k in range(steps, 0, -1):
        before = k * _STEP
        # particles younger than a step are on their way for part of it
        part = np.clip((age - before) / _STEP + 1.0, 0.0, 1.0)
        going = part > 0
        if not going.any():
            continue
        f = part[going]
        wind = air.at(place[:, going], np.full(f.size, before))
        step = wind * _STEP / 1e3 * f + jump * np.sqrt(f) * rng.standard_normal((2, f.size))
        place[:, going] += step
    counts, _, _ = np.histogram2d(place[1], place[0], bins=[edges[1], edges[0]])
    return np.asarray(counts * rate * span / _PARTICLES)


def _restless(shape: tuple[int, ...], width: float, rng: np.random.Generator) -> Floats:
    """Return smooth noise of standard deviation 1."""
    field = ndimage.gaussian_filter(rng.standard_normal(shape), width, mode="wrap")
    return np.asarray((field - field.mean()) / field.std())


def _degrees(place: Floats, latitude: float) -> tuple[Floats, Floats]:
    """Return latitude and longitude of places in km about (latitude, 100 E), small enough for a plane."""
    lat = latitude + place[1] * 1e3 / METRES_PER_DEGREE
    return lat, 100.0 + place[0] * 1e3 / METRES_PER_DEGREE / np.cos(np.deg2rad(lat))


def _source_at(name: str, place: Floats, latitude: float) -> PointSource:
    lat, lon = _degrees(place[:, None], latitude)
    return PointSource(name, float(lat[0]), float(lon[0]))
