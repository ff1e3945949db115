"""Honesty tests of turbulence: evenly mixed air stays even, and homogeneous turbulence spreads as it must."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import numpy as np

from inversion.transport.check.worlds import SCALE_HEIGHT, Row
from inversion.transport.kernels.interpolation import jit
from inversion.transport.kernels.random import normal, philox
from inversion.transport.particles.settings import ParticleSettings
from inversion.transport.particles.turbulence import ou_coefficients
from inversion.transport.particles.walk import STILT_LEVELS, Air, stepped_walk, vertical_walk
from obsnet.typing import Floats

__all__ = ["REGIMES", "stilt_well_mixed", "taylor", "well_mixed"]

# h (m), u* (m s-1), 1/L (m-1), w* (m s-1): what a day over land goes through.
REGIMES = {
    "convective": (1500.0, 0.45, -0.0293, 2.28),
    "free convection": (2000.0, 0.20, -0.200, 2.50),
    "weakly unstable": (800.0, 0.50, -0.004, 1.00),
    "neutral": (600.0, 0.50, 0.0005, 0.0),
    "stable night": (150.0, 0.18, 0.030, 0.0),
    "stable, deep": (300.0, 0.30, 0.020, 0.0),
}


ALOFT = 0.05  # m s-1, sigma_w above the boundary layer, of moderate shear


@jit
def _ensemble(
    n: int,
    groups: int,
    spans: int,
    span: float,
    air: Air,
    top: float,
    ctl: float,
    least_tl: float,
    levels: Floats,
    layers: int,
) -> Floats:
    """Return visits to each layer below h of particles that begin evenly mixed up to `top`, (groups, layers)."""
    h, slope = air[0], air[4]
    found = np.zeros((groups, layers))
    key = np.uint64(2024)
    ladder = (levels, np.empty(levels.size), np.empty(levels.size))
    aloft = (np.full(levels.size, ALOFT), 0, levels.size - 1)
    for p in range(n):
        number = np.uint64(p)
        z = np.log(1.0 + (p + 0.5) / n * (np.exp(slope * top) - 1.0)) / slope
        words = philox(key, number, np.uint64(0), np.uint64(0), np.uint64(99))
        memory = normal(words[0], key, number, np.uint64(0), np.uint64(98))
        for s in range(spans):
            draws = (key, number, np.uint64(s + 1))
            if levels.size:
                walk = stepped_walk(z, memory, span, air, ctl, h, ladder, aloft, draws)
            else:
                walk = vertical_walk(z, memory, span, air, ctl, least_tl, h, draws)
            z, memory = walk[0], walk[1]
            if z < h:
                found[p % groups, min(int(z / h * layers), layers - 1)] += 1.0
    return found


def well_mixed(particles: int = 20000, settings: ParticleSettings | None = None) -> Iterator[Row]:
    """Evenly mixed particles must stay so, density included, in every regime (Thomson 1987)."""
    run = settings or ParticleSettings(turbulence="hanna")
    for name, scales in REGIMES.items():
        yield _mixed(f"well mixed, {name}", scales, scales[0], run, np.zeros(0), particles)


def stilt_well_mixed(
    particles: int = 20000, names: Iterable[str] = ("convective", "stable night")
) -> Iterator[Row]:
    """Evenly mixed particles must stay so with scales that go by steps, in and above the boundary layer."""
    run = ParticleSettings(turbulence="stilt")
    for name in names:
        scales = REGIMES[name]
        # Beyond what air from above the start may reach.
        yield _mixed(
            f"well mixed, STILT's steps, {name}", scales, scales[0] + 500.0, run, STILT_LEVELS, particles
        )


def _mixed(
    test: str, scales: tuple[float, ...], top: float, run: ParticleSettings, levels: Floats, particles: int
) -> Row:
    """Compare visits to twenty layers with those that even air would make."""
    layers, groups = 20, 25
    slope = -1.0 / SCALE_HEIGHT
    h, ustar, inverse_obukhov, wstar = scales
    step = float(run.timestep or 0.0)
    # Ten longest time scales at least, and no less than two hours.
    spans = int(np.ceil(max(7200.0, 10 * 0.15 * h / (0.6 * ustar)) / step))
    air = (h, ustar, inverse_obukhov, wstar, slope)
    found = _ensemble(
        particles, groups, spans, step, air, top, float(run.ctl or 0.0), run.least_tl, levels, layers
    )
    edges = np.exp(slope * np.linspace(0.0, h, layers + 1))
    expected = (edges[:-1] - edges[1:]) / (1.0 - np.exp(slope * top)) * spans * particles / groups
    each = found / expected
    ratio = each.mean(axis=0) - 1.0
    error = each.std(axis=0, ddof=1) / np.sqrt(groups)
    excess = np.abs(ratio) - 3.0 * error
    worst = int(np.argmax(excess))
    return Row(
        test,
        100.0 * max(float(excess[worst]), 0.0),
        3.0,
        "%",
        f"worst of {layers} layers is {100 * ratio[worst]:+.1f} % (noise {100 * error[worst]:.1f} %)",
        {"kind": "layers", "name": test.removeprefix("well mixed, "), "ratio": ratio, "error": error},
    )


@jit
def _taylor(n: int, steps: int, dt: float, sigma: float, tl: float) -> Floats:
    """Return the variance of displacement after each step."""
    out = np.zeros(steps)
    key = np.uint64(7)
    decay, noise, reach, shared, rest = ou_coefficients(tl, dt)
    for p in range(n):
        number = np.uint64(p)
        words = philox(key, number, np.uint64(0), np.uint64(0), np.uint64(1))
        velocity = normal(words[0], key, number, np.uint64(0), np.uint64(2))
        x = 0.0
        for s in range(steps):
            step = np.uint64(s + 1)
            words = philox(key, number, step, np.uint64(0), np.uint64(1))
            first = normal(words[0], key, number, step, np.uint64(2))
            second = normal(words[1], key, number, step, np.uint64(3))
            way = sigma * (reach * velocity + shared * first + rest * second)
            velocity = decay * velocity + noise * first
            x += way
            out[s] += x * x
    return out / n


def taylor(particles: int = 100000) -> Iterator[Row]:
    """Homogeneous turbulence must spread as Taylor (1921) says, whatever the step."""
    sigma, tl = 0.7, 100.0
    worst, text = 0.0, ""
    for dt, steps in ((10.0, 60), (120.0, 10), (600.0, 4)):
        found = _taylor(particles, steps, dt, sigma, tl)
        t = dt * np.arange(1, steps + 1)
        exact = 2.0 * sigma**2 * tl * (t - tl * (1.0 - np.exp(-t / tl)))
        off = np.abs(found / exact - 1.0)
        if off.max() > worst:
            worst, text = float(off.max()), f"after {t[off.argmax()]:.0f} s in steps of {dt:.0f} s"
    noise = np.sqrt(2.0 / particles)
    yield Row(
        "Taylor diffusion", 100 * worst, 100 * (0.01 + 3 * noise), "%", f"{particles} particles, worst {text}"
    )
