"""Honesty test of a whole day: evenly mixed air stays even while the boundary layer grows and collapses."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from inversion.transport.check.worlds import SCALE_HEIGHT, START, Row, plain_world, release
from inversion.transport.particles.settings import ParticleSettings
from inversion.transport.particles.simulate import simulate
from obsnet.grid import Grid
from obsnet.met import Met
from obsnet.met.boundary_layer import surface_layer
from obsnet.times import from_epoch, to_epoch
from obsnet.typing import Floats

__all__ = ["day_world", "diurnal"]

LAYERS = 20
JUDGED = 2000.0  # m, below which layers are compared
FILLED = 3000.0  # m, up to which air is marked


def day_world() -> Met:
    """Return a day with a jet at 1400 m: depth 150 to 1500 m, heat flux -25 to 255 W m-2, u* 0.18 to 0.45 m s-1.

    The jet's shear stirs the air above the boundary layer by fits: what steps there must not gather it.
    """
    met = plain_world(u=0.0, v=0.0, hours=48, step=1.0, spacing=5.0)
    met.state[..., 1] = 288.0
    met.wind[..., 0] = (6.0 * np.exp(-(((met.height - 1400.0) / 400.0) ** 2))).astype(np.float32)
    for n in range(met.times.size):
        sun = max(np.sin(2.0 * np.pi * (n / 24.0 - 0.25)), 0.0)
        depth, heat, ustar = (
            np.full(met.terrain.shape, v, np.float32)
            for v in (150.0 + 1350.0 * sun, 280.0 * sun - 25.0, 0.18 + 0.27 * sun)
        )
        surface_layer(met.height, met.wind[n], met.state[n], depth, ustar, heat, met.surface[n])
    return met


def diurnal(particles: int = 20000) -> Iterator[Row]:
    """Fill the lowest kilometres evenly and compare twenty layers at the peak of the day and after it is over."""
    met = day_world()
    for turbulence, directions in (("mixed-layer", (-1,)), ("hanna", (-1, 1)), ("stilt", (-1, 1))):
        for direction in directions:
            ratio, worst, noise, when = np.ones(LAYERS), 0.0, 0.0, 0
            for hours in (12, 24):
                found, error = _layers(met, turbulence, direction, hours, particles)
                excess = np.abs(found - 1.0) - 3.0 * error
                if excess.max() >= worst or hours == 12:
                    k = int(np.argmax(excess))
                    ratio, worst, noise, when = found, max(float(excess[k]), 0.0), float(error[k]), hours
            way = "backward" if direction < 0 else "forward"
            k = int(np.argmax(np.abs(ratio - 1.0)))
            yield Row(
                f"day, well mixed, {turbulence}, {way}",
                100.0 * worst,
                3.0,
                "%",
                f"worst of {LAYERS} layers is {100 * (ratio[k] - 1.0):+.1f} % after {when} h "
                f"(noise {100 * noise:.1f} %)",
            )


def _layers(met: Met, turbulence: str, direction: int, hours: int, particles: int) -> tuple[Floats, Floats]:
    """Return particles in layers of even mass over those expected, and the noise of it."""
    ratio = float(np.exp(-FILLED / SCALE_HEIGHT))
    # From midnight on, or back to it, so that the day's growth and collapse lie in between.
    start = float(to_epoch(START)) + (0.0 if direction > 0 else 86400.0)
    where = release("day", start, 30.0, 115.0, (0.0, FILLED), particles, ratio)
    more = {} if turbulence == "mixed-layer" else {"direction": direction, "near_field": "none"}
    run = ParticleSettings(turbulence=turbulence, hours=float(hours), particles=particles, **more)
    grid = Grid(np.linspace(21.0, 39.0, 3), np.linspace(101.0, 129.0, 3))
    edges = from_epoch(float(to_epoch(START)) + 86400.0 * np.arange(2))
    z = simulate(met, where, grid, edges, run).endpoints["height_m"].to_numpy()
    full, judged = (1.0 - np.exp(-h / SCALE_HEIGHT) for h in (FILLED, JUDGED))
    bounds = -SCALE_HEIGHT * np.log(1.0 - judged * np.linspace(0.0, 1.0, LAYERS + 1))
    expected = particles * judged / full / LAYERS
    found = np.histogram(z, bounds)[0] / expected
    return found, np.full(LAYERS, 1.0 / np.sqrt(expected))
