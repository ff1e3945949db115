"""Honesty tests of whole paths: rotation, uniform flux, residence time, reciprocity, finer steps, the adjoint."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from inversion.transport.check.worlds import SCALE_HEIGHT, START, Row, bin_edges, plain_world, release
from inversion.transport.particles.settings import ParticleSettings
from inversion.transport.particles.simulate import simulate
from inversion.transport.receptors.releases import Receptors
from obsnet.constants import MOLAR_MASS_DRY_AIR
from obsnet.grid import Grid
from obsnet.met import Met
from obsnet.sphere import EARTH_RADIUS
from obsnet.times import to_epoch

__all__ = ["adjoint", "convergence", "reciprocity", "rotation", "uniform_flux"]


def _rotation(spacing: float = 0.05) -> Met:
    """Solid-body rotation of the air about 30 N 115 E, once in 24 h."""
    lat, lon = np.arange(24.0, 36.0 + 1e-9, spacing), np.arange(108.0, 122.0 + 1e-9, spacing)
    phi, lam = np.deg2rad(lat)[:, None], np.deg2rad(lon)[None, :]
    point = np.stack([np.cos(phi) * np.cos(lam), np.cos(phi) * np.sin(lam), np.sin(phi) + 0.0 * lam], axis=-1)
    p0, l0 = np.deg2rad(30.0), np.deg2rad(115.0)
    axis = np.array([np.cos(p0) * np.cos(l0), np.cos(p0) * np.sin(l0), np.sin(p0)])
    velocity = 2.0 * np.pi / 86400.0 * EARTH_RADIUS * np.cross(axis, point)
    east = np.stack([-np.sin(lam) + 0.0 * phi, np.cos(lam) + 0.0 * phi, 0.0 * (lam + phi)], axis=-1)
    north = np.cross(point, east)
    world = plain_world(hours=24, nz=4, step=24.0)
    wind = np.zeros((2, lat.size, lon.size, 4, 4), np.float32)
    wind[..., 0], wind[..., 1] = ((velocity * e).sum(axis=-1)[None, ..., None] for e in (east, north))
    wind[..., 3] = 1.0
    state = np.ones((*wind.shape[:4], 3), np.float32)
    surface = np.full((2, lat.size, lon.size, 6), 100.0, np.float32)
    terrain = np.zeros((lat.size, lon.size), np.float32)
    return Met(world.times[:2], lat, lon, world.height, wind, state, surface, terrain)


def rotation() -> Iterator[Row]:
    """One turn of solid-body rotation must come back to its start, with an error that falls as the step squared."""
    met = _rotation()
    grid = Grid.regular(24.5, 35.5, 108.5, 121.5, 0.5, 0.5)
    start = float(to_epoch(START)) + 86400.0
    steps = np.array([4800.0, 2400.0, 1200.0])
    errors = []
    for step in steps:
        run = ParticleSettings(turbulence="none", hours=24.0, timestep=step, particles=1)
        end = simulate(
            met, release("turn", start, 33.0, 115.0, 500.0, 1), grid, bin_edges(24, 24), run
        ).endpoints
        north = np.deg2rad(end["latitude"][0].as_py() - 33.0) * EARTH_RADIUS
        east = np.deg2rad(end["longitude"][0].as_py() - 115.0) * EARTH_RADIUS * np.cos(np.deg2rad(33.0))
        errors.append(float(np.hypot(north, east)))
    order = float(np.polyfit(np.log(steps), np.log(errors), 1)[0])
    detail = (
        f"closure {errors[0] / 1000:.2f}, {errors[1] / 1000:.2f}, {errors[2] / 1000:.2f} km at 80, 40, 20 min"
    )
    yield Row(
        "solid-body rotation, order below 2", max(2.0 - order, 0.0), 0.2, "", f"order {order:.2f}; {detail}"
    )


def uniform_flux(particles: int = 400) -> Iterator[Row]:
    """Check M F t / (mass of the layer) for a uniform flux, and that every second is accounted for."""
    worlds: dict[str, dict[str, Any]] = {"mixed-layer": {}, "hanna": {"heat": 150.0, "h": 1200.0}}
    for turbulence, options in worlds.items():
        met = plain_world(u=1.0, v=0.5, **options)
        h = options.get("h", 1000.0)
        mass = 1.2 * SCALE_HEIGHT * (1.0 - np.exp(-h / SCALE_HEIGHT))
        run = ParticleSettings(
            turbulence=turbulence,
            hours=60.0,
            particles=particles,
            near_field="none" if turbulence == "hanna" else None,
        )
        # Released evenly in mass, so that the answer has no spin-up.
        ratio = float(np.exp(-h / SCALE_HEIGHT))
        start = float(to_epoch(START)) + 70 * 3600.0
        found = simulate(
            met,
            release("box", start, 30.0, 115.0, (0.0, h), particles, ratio),
            Grid.regular(22, 38, 102, 128, 1, 1),
            bin_edges(72, 6),
            run,
        )
        row = found.receptors.to_pylist()[0]
        exact = MOLAR_MASS_DRY_AIR * 60 * 3600.0 / mass
        noise = row["total_stderr"] / exact
        yield Row(
            f"uniform flux, {turbulence}",
            100 * abs(row["total"] / exact - 1.0),
            100 * (0.01 + 3 * noise),
            "%",
            f"sensitivity {row['total']:.4f}, analytic {exact:.4f} (noise {100 * noise:.2f} %)",
        )
        shares = float(np.sum(found.background["share"].to_numpy()))
        off = abs(row["residence_hours"] / 60.0 - 1.0) + abs(shares - 1.0)
        text = "time inside = N t, shares of exits sum to 1"
        yield Row(f"residence time and exits, {turbulence}", off, 1e-9, "", text)


def reciprocity(particles: int = 40000) -> Iterator[Row]:
    """Back from A to B and forward from B to A must give the same exchange (Flesch et al. 1995)."""
    met = plain_world(u=4.0, v=0.0, h=800.0, heat=100.0)
    met.wind[..., 0] += np.linspace(0.0, 6.0, met.height.size, dtype=np.float32)
    grid = Grid.regular(22, 38, 102, 128, 0.5, 0.5)
    depth = 300.0
    first = float(to_epoch(START))
    ratio = float(np.exp(-depth / SCALE_HEIGHT))
    # A: 116.0-116.5 E at hours 30-36; B: 114.5-115 E at hours 24-30; both 30-30.5 N, below 300 m.
    boxes = {"A": (116.0, 30.0), "B": (114.5, 24.0)}
    seconds = {}
    for name, other, sign in (("A", "B", -1), ("B", "A", 1)):
        west, hour = boxes[name]
        # Evenly over the cell: many thin releases, each a point of a grid within it.
        side = 12
        rows = []
        for k in range(side):
            for n in range(side):
                x, y = west + 0.5 * (k + 0.5) / side, 30.0 + 0.5 * (n + 0.5) / side
                times = (first + 3600 * hour, first + 3600 * (hour + 6))
                rows.append([*times, x, x, y, y, 0.0, depth, ratio, 0.5, 0.5, float(particles // side**2)])
        weight = 1.0 / len(rows)
        table = np.array(rows)
        table[:, 9:11] *= weight
        receptor = Receptors(np.array([name]), np.array([0, len(rows)]), table, np.zeros(1), {})
        run = ParticleSettings(turbulence="hanna", hours=12.0, layer=depth, near_field="none", direction=sign)
        found = simulate(met, receptor, grid, bin_edges(72, 6), run).sensitivity.to_pandas()
        target = int(grid.index(30.25, boxes[other][0] + 0.25))
        chosen = found[(found["cell"] == target) & (found["time_bin"] == int(boxes[other][1] // 6))]
        seconds[name] = (float(chosen["sensitivity"].sum()), float(np.sqrt((chosen["stderr"] ** 2).sum())))
    back, on = seconds["A"], seconds["B"]
    noise = float(np.hypot(back[1], on[1]) / back[0])
    yield Row(
        "reciprocity",
        100 * abs(on[0] / back[0] - 1.0),
        100 * 3 * noise,
        "%",
        f"backward {back[0]:.5f}, forward {on[0]:.5f}; accepted is 3 sigma of the noise ({100 * noise:.1f} %)",
    )


def convergence(particles: int = 3000) -> Iterator[Row]:
    """Compare the default steps and least time scale with four times finer ones, from a point at 10 m."""
    met = plain_world(u=3.0, v=0.0, h=1200.0, heat=150.0)
    grid = Grid.regular(22, 38, 102, 128, 0.5, 0.5)
    start = float(to_epoch(START)) + 40 * 3600.0
    totals = []
    for factor in (1.0, 4.0):
        usual = ParticleSettings(turbulence="hanna", hours=6.0, particles=particles)
        finer = {name: getattr(usual, name) / factor for name in ("timestep", "least_tl")}
        run = usual.but(ctl=float(usual.ctl or 0.0) * factor, **finer)
        row = simulate(
            met, release("p", start, 30.0, 115.0, 10.0, particles), grid, bin_edges(72, 6), run
        ).receptors
        totals.append((row["total"][0].as_py(), row["total_stderr"][0].as_py()))
    noise = float(np.hypot(totals[0][1], totals[1][1]) / totals[1][0])
    yield Row(
        "default step against a quarter of it",
        100 * abs(totals[0][0] / totals[1][0] - 1.0),
        100 * (0.03 + 3 * noise),
        "%",
        f"{totals[0][0]:.4f} and {totals[1][0]:.4f}, 6 h from 10 m (noise {100 * noise:.1f} %)",
    )


def adjoint() -> Iterator[Row]:
    """Forward and adjoint of the Eulerian reference model must agree to rounding: <H z, y> = <z, H' y>."""
    from inversion.transport.eulerian.air_flow import from_winds
    from inversion.transport.eulerian.model import EulerianModel, Observation

    rng = np.random.default_rng(0)
    shape = (3, 4, 6, 7)  # times, levels, rows, columns
    u, v = 6.0 + 3.0 * rng.standard_normal(shape), 4.0 * rng.standard_normal(shape)
    kz = rng.uniform(0.0, 40.0, (3, 3, 6, 7))
    flow = from_winds(
        Grid.regular(30, 36, 110, 117, 1, 1), bin_edges(3, 1), np.linspace(1000, 700, 5), u, v, kz
    )
    model = EulerianModel(flow, scheme="fromm")
    seen = [Observation(f"o{i}", 1 + i % 3, rng.random(model.shape)) for i in range(5)]
    z = [
        rng.standard_normal(size)
        for size in ((model.n_time, *model.shape[1:]), (model.n_time, model.n_boundary), model.shape)
    ]
    y = rng.standard_normal(len(seen))
    pairs = [(a, g @ y) for a, g in zip(z, model.adjoint(seen), strict=True)]
    right = sum(float(np.vdot(a, b)) for a, b in pairs)
    scale = sum(float(np.abs(a * b).sum()) for a, b in pairs)
    off = abs(float(model.observe(seen, *z) @ y) - right) / scale
    yield Row(
        "Eulerian adjoint", off, 1e-12, "", "random winds, mixing and observations, second-order scheme"
    )
