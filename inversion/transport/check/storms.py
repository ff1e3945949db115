"""Honesty tests of storms: even air stays even under them both ways, and backward is forward seen from its end."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise

import numpy as np

from inversion.transport.check.worlds import START, Row, plain_world, release
from inversion.transport.convection.emanuel import moving_air
from inversion.transport.convection.parcel import saturation
from inversion.transport.convection.redistribution import mass_matrix
from inversion.transport.particles.settings import ParticleSettings
from inversion.transport.particles.simulate import simulate
from inversion.transport.receptors.releases import Receptors
from obsnet.constants import CP_DRY_AIR, GRAVITY, R_DRY_AIR
from obsnet.grid import Grid
from obsnet.met import Met
from obsnet.met.vertical import VAPOUR
from obsnet.times import from_epoch, to_epoch
from obsnet.typing import Floats

__all__ = ["storm_world", "storms", "unstable_sounding"]

LAYERS, STRATA = 20, 100
LOW, HIGH = 1000.0, (8000.0, 13000.0)  # m: where air is drawn from, and where it arrives


def unstable_sounding(height: Floats, moisture: float = 0.014) -> tuple[Floats, Floats, Floats]:
    """Return pressure (Pa), temperature (K) and specific humidity (kg/kg) of Weisman & Klemp's sounding.

    Potential temperature grows from 300 to 343 K at 12 km with the power 5/4 of height, humidity falls from saturation
    to a quarter of it likewise and is at most `moisture`; isothermal at 213 K above (Weisman & Klemp 1982, Mon.
    Weather Rev. 110, 504-520).
    """
    z = np.linspace(0.0, float(height[-1]), 4001)
    rise = np.minimum(z / 12000.0, 1.0) ** 1.25
    theta = 300.0 + 43.0 * rise
    theta[z > 12000.0] *= np.exp(GRAVITY / (CP_DRY_AIR * 213.0) * (z[z > 12000.0] - 12000.0))
    exner, humidity = np.ones(z.size), np.full(z.size, moisture)
    power = CP_DRY_AIR / R_DRY_AIR
    for k in range(z.size):
        if k:
            light = theta[k - 1] * (1.0 + VAPOUR * humidity[k - 1])
            exner[k] = exner[k - 1] - GRAVITY * (z[k] - z[k - 1]) / (CP_DRY_AIR * light)
        full = saturation(1e5 * exner[k] ** power, theta[k] * exner[k])
        humidity[k] = min((1.0 - 0.75 * rise[k]) * full, moisture)
    pressure = np.exp(np.interp(height, z, np.log(1e5 * exner**power)))
    return pressure, np.interp(height, z, theta * exner), np.interp(height, z, humidity)


def storm_world(moisture: float = 0.014) -> Met:
    """Return two still days of that sounding over 20-40 N, 100-130 E; the boundary layer is 1000 m deep."""
    met = plain_world(u=0.0, v=0.0, hours=48, top=20000.0, nz=48, spacing=5.0)
    pressure, temperature, humidity = unstable_sounding(met.height, moisture)
    met.state[...] = np.stack([pressure, temperature, humidity], axis=-1)
    met.wind[..., 3] = pressure * (1.0 - humidity) / (R_DRY_AIR * temperature * (1.0 + VAPOUR * humidity))
    density = met.wind[0, 0, 0, :, 3].astype(np.float64)
    met.surface[..., 1] = np.interp(1000.0, met.height, _below(met.height, density))
    met.surface[..., 5] = density[0]
    return met


def _below(height: Floats, density: Floats) -> Floats:
    """Return the air below levels, kg m-2."""
    return np.concatenate([[0.0], np.cumsum(0.5 * (density[1:] + density[:-1]) * np.diff(height))])


def _ends(
    met: Met, turbulence: str, direction: int, particles: int, span: tuple[float, float] | None = None
) -> tuple[Floats, Floats]:
    """Return heights (m) of particles after, or before, a day that begin evenly in mass in a span of heights.

    And the air below them, kg m-2.
    """
    air = _below(met.height, met.wind[0, 0, 0, :, 3].astype(np.float64))
    low, high = (0.0, 0.9999 * air[-1]) if span is None else np.interp(span, met.height, air)
    bounds = np.interp(np.linspace(low, high, STRATA + 1), air, met.height)
    start = float(to_epoch(START)) + (0.0 if direction > 0 else 86400.0)
    rows = [
        release("x", start, 30.0, 115.0, (a, b), particles // STRATA).releases[0]
        for a, b in pairwise(bounds.tolist())
    ]
    where = Receptors(np.array(["storms"]), np.array([0, STRATA]), np.array(rows), np.zeros(1), {})
    more = {} if turbulence == "mixed-layer" else {"direction": direction, "near_field": "none"}
    run = ParticleSettings(
        turbulence=turbulence, hours=24.0, particles=particles, convection="emanuel", timestep=600.0, **more
    )
    edges = from_epoch(float(to_epoch(START)) + 86400.0 * np.arange(2))
    grid = Grid(np.linspace(21.0, 39.0, 3), np.linspace(101.0, 129.0, 3))
    z = simulate(met, where, grid, edges, run).endpoints["height_m"].to_numpy()
    return z, np.interp(z, met.height, air) / air[-1]


def storms(particles: int = 20000) -> Iterator[Row]:
    """Fill a column below storms evenly and look a day later, both ways; follow what goes up forward and backward."""
    yield _conserved()
    met = storm_world()
    for turbulence, direction in (("mixed-layer", -1), ("hanna", -1), ("hanna", 1)):
        _, place = _ends(met, turbulence, direction, particles)
        noise = 1.0 / np.sqrt(particles / LAYERS)
        off = np.histogram(place, LAYERS, (0.0, 1.0))[0] / (particles / LAYERS) - 1.0
        worst = int(np.argmax(np.abs(off)))
        way = "backward" if direction < 0 else "forward"
        yield Row(
            f"storms, well mixed, {turbulence}, {way}",
            100.0 * max(abs(float(off[worst])) - 3.0 * noise, 0.0),
            3.0,
            "%",
            f"worst of {LAYERS} layers is {100 * off[worst]:+.1f} % after a day (noise {100 * noise:.1f} %)",
        )
    yield _reciprocity(met, particles)


def _conserved() -> Row:
    height = np.asarray(plain_world(hours=3, top=20000.0, nz=48).height)
    pressure, temperature, humidity = unstable_sounding(height)
    edges = np.concatenate([pressure[:1], np.sqrt(pressure[1:] * pressure[:-1]), pressure[-1:]])
    mass, moved = -np.diff(edges) / GRAVITY, np.zeros((height.size, height.size))
    flux, energy, base, top = moving_air(pressure, temperature, humidity, edges, mass, moved)
    matrix = mass_matrix(mass, moved, 900.0)
    off = max(np.abs(matrix.sum(axis=k) / mass - 1.0).max() for k in (0, 1))
    return Row(
        "storms, air that goes and comes",
        float(off),
        1e-12,
        "",
        f"{energy:.0f} J/kg, {1000 * flux:.1f} g m-2 s-1 through a cloud base at {height[base]:.0f} m, "
        f"up to {height[top]:.0f} m",
    )


def _reciprocity(met: Met, particles: int) -> Row:
    """Air that goes from low to high in a day must be as much forward as backward."""
    air = _below(met.height, met.wind[0, 0, 0, :, 3].astype(np.float64))
    low = float(np.interp(LOW, met.height, air))
    high = float(np.diff(np.interp(HIGH, met.height, air))[0])
    up, _ = _ends(met, "hanna", 1, particles, (0.0, LOW))
    down, _ = _ends(met, "hanna", -1, particles, HIGH)
    shares = np.array([np.mean((up >= HIGH[0]) & (up < HIGH[1])), np.mean(down < LOW)])
    flow = shares * np.array([low, high])
    noise = np.sqrt(shares * (1.0 - shares) / particles) * np.array([low, high])
    return Row(
        "storms, reciprocity",
        100.0 * abs(float(flow[0] / flow[1]) - 1.0),
        300.0 * float(np.hypot(*(noise / flow))),
        "%",
        f"{flow[0]:.0f} kg m-2 a day from below {LOW:g} m to {HIGH[0]:g}-{HIGH[1]:g} m forward, {flow[1]:.0f} backward",
    )
