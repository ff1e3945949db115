"""Scenes whose answer is known exactly: steady Gaussian plumes on a flat background."""

from __future__ import annotations

import numpy as np

from obsnet.sphere import METRES_PER_DEGREE
from retrieval.plume.images.amounts import mass_per_unit
from retrieval.plume.images.scene import Scene, pixel_areas
from retrieval.plume.sources import PointSource

LATITUDE, LONGITUDE = 35.0, 110.0


def degrees(x, y):
    """Return latitude and longitude of km east and north of the middle."""
    lat = LATITUDE + np.asarray(y) * 1e3 / METRES_PER_DEGREE
    return lat, LONGITUDE + np.asarray(x) * 1e3 / METRES_PER_DEGREE / np.cos(np.deg2rad(lat))


def place(name, x, y, radius=0.0):
    lat, lon = degrees(x, y)
    return PointSource(name, float(lat), float(lon), radius)


def plume_mass(x, y, rate, u, v, *, width=4.0, growth=5.0):
    """Return kg m-2 of a steady plume from the origin: width sqrt(width² + growth² s / 60 km) km."""
    speed = np.hypot(u, v)
    s, n = (x * u + y * v) / speed, (y * u - x * v) / speed
    sd = np.sqrt(width**2 + growth**2 * np.clip(s, 0, None) / 60.0)
    density = rate / speed / (np.sqrt(2 * np.pi) * sd * 1e3) * np.exp(-0.5 * (n / sd) ** 2)
    return np.where(s > 0, density, 0.0)


def make_scene(
    plumes=((0.0, 0.0, 1000.0),),
    *,
    u=4.0,
    v=1.0,
    pixel=2.0,
    half=90.0,
    noise=0.1,
    seed=None,
    no2=False,
    slope=0.0,
    hide=None,
):
    """Return a scene with plumes of (x, y, rate); without a seed it has no noise, only stated errors."""
    axis = np.arange(-half + 0.5 * pixel, half, pixel)
    x, y = np.meshgrid(axis, axis)
    latitude, longitude = degrees(x, y)
    area = pixel_areas(latitude, longitude)
    mass = np.full(x.shape, float(mass_per_unit(98000.0, "CO2", column_water=15.0)))
    above = sum(plume_mass(x - px, y - py, q, u, v) for px, py, q in plumes) / mass
    value = 410.0 + slope * x + above
    other = 5.0 * above if no2 else None
    if seed is not None:
        rng = np.random.default_rng(seed)
        value = value + noise * rng.standard_normal(x.shape)
        other = None if other is None else other + noise * rng.standard_normal(x.shape)
    if hide is not None:
        value = np.where(hide(x, y), np.nan, value)
    error = np.full(x.shape, noise)
    return Scene(
        "made",
        "CO2",
        np.datetime64("2026-05-01T05:00:00", "us"),
        latitude,
        longitude,
        value,
        error,
        area,
        mass,
        0.005,
        other,
        None if other is None else error,
    )
