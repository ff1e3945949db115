"""Honesty tests of the particle model: each has a known answer and says how far off it is.

Every test returns `Row`s: what was measured, what is accepted, and how it was done. They run the very kernels
that footprints are made with, at the settings that are the defaults.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from inversion.transport.interpolation import jit
from inversion.transport.langevin import vertical_walk
from inversion.transport.particles import RELEASE
from inversion.transport.random import normal, philox
from inversion.transport.receptors import Receptors
from inversion.transport.run import Settings, simulate
from inversion.transport.turbulence import ou_coefficients
from obsnet.constants import GRAVITY, MOLAR_MASS_DRY_AIR, VON_KARMAN
from obsnet.grid import Grid
from obsnet.met import Met, build_met
from obsnet.met.vertical import EARTH_RADIUS, level_heights, surface_layer
from obsnet.times import from_epoch, to_epoch

__all__ = ["Row", "plain_world", "run_checks"]

F8 = npt.NDArray[np.float64]
START = np.datetime64("2024-04-01T00:00:00", "us")
# h (m), u* (m s-1), 1/L (m-1), w* (m s-1): what a day over land goes through.
REGIMES = {
    "convective": (1500.0, 0.45, -0.0293, 2.28),
    "free convection": (2000.0, 0.20, -0.200, 2.50),
    "weakly unstable": (800.0, 0.50, -0.004, 1.00),
    "neutral": (600.0, 0.50, 0.0005, 0.0),
    "stable night": (150.0, 0.18, 0.030, 0.0),
    "stable, deep": (300.0, 0.30, 0.020, 0.0),
}
SCALE_HEIGHT = 9500.0


@dataclass(frozen=True)
class Row:
    """One line of the table.

    Parameters
    ----------
    test : str
        What was tested.
    measured : float
        The figure.
    accepted : float
        Largest figure that passes; NaN where the line only informs.
    unit : str
        Of both.
    detail : str
        How, in a few words.
    series : dict
        What the picture shows.
    """

    test: str
    measured: float
    accepted: float
    unit: str
    detail: str
    series: dict[str, Any] = field(default_factory=dict, repr=False, compare=False)

    @property
    def passed(self) -> bool | None:
        """True, False, or None for a line that only informs."""
        return None if np.isnan(self.accepted) else bool(self.measured <= self.accepted)


def plain_world(
    *,
    u: float = 3.0,
    v: float = -2.0,
    h: float = 1000.0,
    ustar: float = 0.4,
    heat: float = 0.0,
    hours: int = 72,
    top: float = 8000.0,
    nz: int = 40,
    density: float = 1.2,
    step: float = 3.0,
    spacing: float = 1.0,
) -> Met:
    """Return an even world over 20-40 N, 100-130 E whose answers are known.

    Parameters
    ----------
    u, v : float
        Wind, m s-1.
    h, ustar, heat : float
        Boundary-layer height (m), friction velocity (m s-1), upward heat flux (W m-2).
    hours : int
        Length, from `START`.
    density : float
        At the ground, kg m-3; falls exponentially over 9500 m.
    """
    lat, lon = np.arange(20.0, 40.0 + 1e-9, spacing), np.arange(100.0, 130.0 + 1e-9, spacing)
    times = float(to_epoch(START)) + 3600.0 * np.arange(0.0, hours + step, step)
    z = level_heights(top, nz)
    wind = np.zeros((times.size, lat.size, lon.size, nz, 4), np.float32)
    wind[..., 0], wind[..., 1], wind[..., 3] = u, v, density * np.exp(-z / SCALE_HEIGHT)
    state = np.zeros((*wind.shape[:4], 3), np.float32)
    state[..., 0], state[..., 1] = 101325.0 * np.exp(-z / 8000.0), 280.0
    flux = heat / (density * 1005.0)
    scales = (
        h,
        density * SCALE_HEIGHT * (1.0 - np.exp(-h / SCALE_HEIGHT)),
        ustar,
        -VON_KARMAN * GRAVITY * flux / (280.0 * ustar**3),
        max(GRAVITY * flux * h / 280.0, 0.0) ** (1.0 / 3.0),
        density,
    )
    surface = np.empty((*wind.shape[:3], 6), np.float32)
    surface[...] = scales
    return Met(
        times, lat, lon, z, wind, state, surface, np.zeros((lat.size, lon.size), np.float32), {"notes": []}
    )


def release(
    name: str,
    time: float | tuple[float, float],
    lat: float | tuple[float, float],
    lon: float | tuple[float, float],
    z: float | tuple[float, float],
    count: int,
    ratio: float = 1.0,
) -> Receptors:
    """Return one receptor of one release; pairs are its ends."""
    ends = [v if isinstance(v, tuple) else (v, v) for v in (time, lon, lat, z)]
    row = np.array([[*ends[0], *ends[1], *ends[2], *ends[3], ratio, 0.5, 0.5, float(count)]])
    assert row.shape[1] == len(RELEASE)
    return Receptors(np.array([name]), np.array([0, 1]), row, np.zeros(1), {})


def _edges(hours: float, step: float) -> npt.NDArray[np.datetime64]:
    return START + np.round(np.arange(0.0, hours + 1e-9, step) * 3.6e9).astype("timedelta64[us]")


@jit
def _ensemble(
    n: int,
    groups: int,
    spans: int,
    span: float,
    scales: F8,
    slope: float,
    ctl: float,
    least_tl: float,
    layers: int,
) -> F8:
    """Return time spent per layer of evenly mixed particles, shape (groups, layers)."""
    h, ustar, inverse_obukhov, wstar = scales[0], scales[1], scales[2], scales[3]
    found = np.zeros((groups, layers))
    key = np.uint64(2024)
    for p in range(n):
        number = np.uint64(p)
        z = np.log(1.0 + (p + 0.5) / n * (np.exp(slope * h) - 1.0)) / slope
        words = philox(key, number, np.uint64(0), np.uint64(0), np.uint64(99))
        memory = normal(words[0], key, number, np.uint64(0), np.uint64(98))
        for s in range(spans):
            step = np.uint64(s + 1)
            z, memory, _, _, _, _, _ = vertical_walk(
                z, memory, span, h, ustar, inverse_obukhov, wstar, slope, ctl, least_tl, h, key, number, step
            )
            found[p % groups, min(int(z / h * layers), layers - 1)] += 1.0
    return found


def well_mixed(particles: int = 20000, settings: Settings | None = None) -> Iterator[Row]:
    """Evenly mixed particles must stay so, density included, in every regime (Thomson 1987)."""
    run = settings or Settings(turbulence="hanna")
    layers, groups = 20, 25
    slope = -1.0 / SCALE_HEIGHT
    for name, scales in REGIMES.items():
        h = scales[0]
        # Ten longest time scales at least, and no less than two hours.
        spans = int(np.ceil(max(7200.0, 10 * 0.15 * h / (0.6 * scales[1])) / run.timestep))
        found = _ensemble(
            particles, groups, spans, run.timestep, np.array(scales), slope, run.ctl, run.least_tl, layers
        )
        edges = np.linspace(0.0, h, layers + 1)
        share = np.exp(slope * edges[:-1]) - np.exp(slope * edges[1:])
        expected = share / share.sum()
        each = found / found.sum(axis=1, keepdims=True) / expected
        ratio = each.mean(axis=0) - 1.0
        error = each.std(axis=0, ddof=1) / np.sqrt(groups)
        excess = np.abs(ratio) - 3.0 * error
        worst = int(np.argmax(excess))
        yield Row(
            f"well mixed, {name}",
            100.0 * max(float(excess[worst]), 0.0),
            3.0,
            "%",
            f"worst of {layers} layers is {100 * ratio[worst]:+.1f} % (noise {100 * error[worst]:.1f} %)",
            {"kind": "layers", "name": name, "ratio": ratio, "error": error},
        )


@jit
def _taylor(n: int, steps: int, dt: float, sigma: float, tl: float) -> F8:
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
        run = Settings(turbulence="none", hours=24.0, timestep=step, particles=1)
        end = simulate(
            met, release("turn", start, 33.0, 115.0, 500.0, 1), grid, _edges(24, 24), run
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
    for turbulence, options in (("mixed-layer", {}), ("hanna", {"heat": 150.0, "h": 1200.0})):
        met = plain_world(u=1.0, v=0.5, **options)
        h = options.get("h", 1000.0)
        mass = 1.2 * SCALE_HEIGHT * (1.0 - np.exp(-h / SCALE_HEIGHT))
        run = Settings(turbulence=turbulence, hours=60.0, particles=particles, near_field="none")
        # Released evenly in mass, so that the answer has no spin-up.
        ratio = float(np.exp(-h / SCALE_HEIGHT))
        start = float(to_epoch(START)) + 70 * 3600.0
        found = simulate(
            met,
            release("box", start, 30.0, 115.0, (0.0, h), particles, ratio),
            Grid.regular(22, 38, 102, 128, 1, 1),
            _edges(72, 6),
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
        run = Settings(turbulence="hanna", hours=12.0, layer=depth, near_field="none", direction=sign)
        found = simulate(met, receptor, grid, _edges(72, 6), run).sensitivity.to_pandas()
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
        usual = Settings(turbulence="hanna", hours=6.0, particles=particles)
        finer = {name: getattr(usual, name) / factor for name in ("timestep", "least_tl")}
        run = replace(usual, ctl=usual.ctl * factor, **finer)
        row = simulate(
            met, release("p", start, 30.0, 115.0, 10.0, particles), grid, _edges(72, 6), run
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
    from inversion.transport.air_flow import from_winds
    from inversion.transport.eulerian import EulerianModel, Observation

    rng = np.random.default_rng(0)
    shape = (3, 4, 6, 7)  # times, levels, rows, columns
    u, v = 6.0 + 3.0 * rng.standard_normal(shape), 4.0 * rng.standard_normal(shape)
    kz = rng.uniform(0.0, 40.0, (3, 3, 6, 7))
    flow = from_winds(Grid.regular(30, 36, 110, 117, 1, 1), _edges(3, 1), np.linspace(1000, 700, 5), u, v, kz)
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


def stilt(reference: Path, particles: int = 2000, scratch: Path | None = None) -> Iterator[Row]:
    """Against STILT on the very same meteorology, with STILT's own mixing height, beside STILT's own noise."""
    import pandas as pd
    import xarray as xr

    from obsnet.met import open_met

    met = (
        open_met([reference / "met" / "synt.nc"])
        if scratch is None
        else build_met([reference / "met" / "synt.nc"], scratch / "synt")
    )
    folder = reference / "stilt_synthetic"
    ages = pd.read_csv(folder / "synt_surf_2000_byage.csv", header=[0, 1], index_col=0)
    end = float(to_epoch(np.datetime64("2024-04-02T06:00:00")))
    met = _with_mixing_height(met, reference / "met" / "synt.nc", ages["mlht"]["mean"], end)
    # STILT drops particles half a degree before the edge of its meteorology.
    grid = Grid.regular(31.0, 44.5, 106.0, 124.0, 0.1, 0.1)
    edges = from_epoch(end + 3600.0 * np.arange(-24, 1))
    run = Settings(turbulence="stilt", hours=24.0, particles=particles)
    found = simulate(met, release("stilt", end, 39.9, 116.4, 10.0, particles), grid, edges, run)
    ours = np.zeros((24, *grid.shape))
    flat = found.sensitivity
    ours.reshape(24, -1)[flat["time_bin"].to_numpy(), flat["cell"].to_numpy()] = flat[
        "sensitivity"
    ].to_numpy()
    ours = ours[:, :130]
    theirs = {
        name: xr.load_dataset(folder / f"synt_surf_{name}_foot.nc")["foot"].to_numpy()
        for name in ("2000_nosmooth", "2000", "1000", "100", "100_rep2")
    }
    total = found.receptors.to_pylist()[0]
    sums = {k: float(f.sum()) for k, f in theirs.items()}
    noise = float(total["total_stderr"])
    # The same spread belongs to STILT's particles: two realisations differ by sqrt(2) of it.
    yield Row(
        "STILT: total sensitivity",
        abs(float(ours.sum()) - sums["2000_nosmooth"]) / (np.sqrt(2.0) * noise),
        2.0,
        "sigma",
        f"ours {ours.sum():.3f}, STILT {sums['2000']:.3f} (2000), {sums['1000']:.3f} (1000), {sums['100']:.2f} and "
        f"{sums['100_rep2']:.2f} (100); noise of each at 2000: {noise:.3f}",
        {
            "kind": "hours",
            "ours": ours.sum(axis=(1, 2)),
            **{k: f.sum(axis=(1, 2)) for k, f in theirs.items()},
        },
    )
    hourly, reference_hourly = ours.sum(axis=(1, 2))[::-1], theirs["2000_nosmooth"].sum(axis=(1, 2))[::-1]
    other = theirs["1000"].sum(axis=(1, 2))[::-1]

    def apart(a: F8, b: F8, hours: slice) -> float:
        return float(np.sqrt(np.mean((a[hours] - b[hours]) ** 2)) / b[hours].mean())

    later = slice(3, 24)
    yield Row(
        "STILT: hourly curve after 3 h",
        100 * apart(hourly, reference_hourly, later),
        100 * 2.0 * max(apart(other, reference_hourly, later), np.sqrt(2.0) * noise / hourly.sum()),
        "% rms",
        f"STILT 1000 against 2000 particles: {100 * apart(other, reference_hourly, later):.1f} %",
    )
    yield Row(
        "STILT: first hour",
        100 * (hourly[0] / reference_hourly[0] - 1.0),
        np.nan,
        "%",
        f"ours {hourly[0]:.3f}, STILT {reference_hourly[0]:.3f}: STILT holds sigma_w and T_L constant below 75 m",
    )
    yield from _plume(found, met, ages, run, grid, edges, end, particles)
    coarse = {name: _coarse(f) for name, f in (("ours", ours), *theirs.items())}
    mine = _overlap(coarse["ours"], coarse["2000_nosmooth"])
    noise_overlap = _overlap(coarse["1000"], coarse["2000"])
    yield Row(
        "STILT: overlap of daily maps, 0.5 degree",
        mine,
        np.nan,
        "",
        f"STILT 1000 against 2000: {noise_overlap:.3f}, 100 against 100: "
        f"{_overlap(coarse['100'], coarse['100_rep2']):.3f}; outside STILT's noise where the first hour weighs",
        {"kind": "maps", "ours": coarse["ours"], "STILT": coarse["2000_nosmooth"]},
    )


def _with_mixing_height(met: Met, file: Path, mixing: Any, end: float) -> Met:
    """Return the meteorology with another boundary-layer height, given by age in minutes."""
    import netCDF4

    with netCDF4.Dataset(file) as data:
        ustar, heat = (np.asarray(data[name][:], np.float32) for name in ("USTR", "SHTF"))
    age = -60.0 * mixing.index.to_numpy(dtype=float)
    order = np.argsort(age)
    depth = np.interp(end - met.times, age[order], mixing.to_numpy(dtype=float)[order])
    surface = np.empty_like(met.surface)
    for n in range(met.times.size):
        flat = np.full(met.terrain.shape, depth[n], np.float32)
        surface_layer(met.height, met.wind[n], met.state[n], flat, ustar[n], heat[n], surface[n])
    return replace(met, surface=surface)


def _plume(
    found: Any, met: Met, ages: Any, run: Settings, grid: Grid, edges: Any, end: float, particles: int
) -> Iterator[Row]:
    """Compare the plume's middle at 6 and 12 h."""
    rows = []
    for hours in (3, 6, 12):
        cloud = simulate(
            met,
            release("stilt", end, 39.9, 116.4, 10.0, particles),
            grid,
            edges,
            replace(run, hours=float(hours)),
        ).endpoints.to_pandas()
        row = ages.loc[-60.0 * hours]
        north = np.deg2rad(cloud["latitude"].mean() - row["lat"]["mean"]) * EARTH_RADIUS / 1000
        east = (
            np.deg2rad(cloud["longitude"].mean() - row["lon"]["mean"])
            * EARTH_RADIUS
            / 1000
            * np.cos(np.deg2rad(row["lat"]["mean"]))
        )
        spread = np.deg2rad(row["lat"]["std"] + row["lon"]["std"]) * EARTH_RADIUS / 1000 / 2
        gone = np.deg2rad(abs(row["lon"]["mean"] - 116.4)) * EARTH_RADIUS / 1000
        rows.append((hours, float(np.hypot(north, east)), float(spread), float(gone)))
    hours, off, spread, gone = rows[-1]
    text = "; ".join(f"{h} h: {o:.0f} km of {g:.0f} gone, plume {s:.0f} km wide" for h, o, s, g in rows)
    yield Row("STILT: centroid at 12 h", off / spread, 0.5, "plume widths", text)


def _coarse(foot: F8) -> F8:
    total = foot.sum(axis=0)
    return np.asarray(total.reshape(26, 5, 36, 5).sum(axis=(1, 3)))


def _overlap(a: F8, b: F8) -> float:
    """Return the shared part of two maps of unit sum."""
    return float(np.minimum(a / a.sum(), b / b.sum()).sum())


def mptrac(reference: Path) -> Iterator[Row]:
    """Mean wind alone against MPTRAC on real ERA5: where 1000 parcels are on average after 2 h."""
    from pyproj import CRS, Transformer

    from obsnet.met import open_met

    folder = reference / "mptrac_era5"
    # MPTRAC moves parcels along the axes of the projection, as if the winds were along them.
    met = open_met(sorted(folder.glob("era5_*.nc")), trim=True, winds="grid")
    crs = CRS.from_epsg(32632)
    to_degrees = Transformer.from_crs(crs, "EPSG:4326", always_xy=True)
    to_metres = Transformer.from_crs("EPSG:4326", crs, always_xy=True)
    first, last = (_parcels(folder / "data.ref" / f"atm_2025_05_01_0{h}_00_00.tab") for h in (0, 2))
    start = first[0, 0] + float(to_epoch(np.datetime64("2000-01-01")))
    lon, lat = to_degrees.transform(first[:, 2], first[:, 3])
    profile = met.profile(from_epoch(np.full(lon.size, start)), lat, lon)
    # Altitude in these files is log-pressure: 7 km ln(1013.25 hPa / p).
    pressure = 101325.0 * np.exp(-first[:, 1] / 7.0)
    columns = zip(pressure, profile["pressure"], strict=True)
    z = np.array([np.interp(-np.log(p), -np.log(c), met.height) for p, c in columns])
    times, ones = np.full(z.size, start), np.ones(z.size)
    rows = np.stack([times, times, lon, lon, lat, lat, z, z, ones, 0.5 * ones, 0.5 * ones, ones], axis=1)
    receptor = Receptors(np.array(["m"]), np.array([0, z.size]), rows, np.zeros(1), {})
    south, north, west, east = met.bounds
    grid = Grid(np.linspace(south, north, 5), np.linspace(west, east, 5))
    edges = from_epoch(np.array([start, start + 7200.0]))
    run = Settings(turbulence="none", hours=2.0, particles=1, direction=1)
    ends = simulate(met, receptor, grid, edges, run).endpoints.to_pandas()
    x, y = to_metres.transform(ends["longitude"].to_numpy(), ends["latitude"].to_numpy())
    inside = (ends["side"] == "inside").to_numpy()
    off = np.array([np.mean((x - last[:, 2])[inside]), np.mean((y - last[:, 3])[inside])]) / 1000
    moved = np.hypot(*(np.mean((last[:, k] - first[:, k])[inside]) for k in (2, 3))) / 1000
    each = np.hypot(x - last[:, 2], y - last[:, 3])[inside] / 1000
    yield Row(
        "MPTRAC: centroid after 2 h",
        float(np.hypot(*off)),
        1.0,
        "km",
        f"{int(inside.sum())} parcels moved {moved:.1f} km on average; median distance {np.median(each):.2f} km",
        {"kind": "parcels", "x": x, "y": y, "rx": last[:, 2], "ry": last[:, 3]},
    )


def _parcels(path: Path) -> F8:
    return np.loadtxt(path, comments="#")


def run_checks(
    reference: Path | None = None,
    *,
    scale: float = 1.0,
    only: str = "",
    report: Callable[[Row], None] = lambda _row: None,
) -> list[Row]:
    """Run all tests.

    Parameters
    ----------
    reference : path, optional
        Folder with ``met``, ``stilt_synthetic`` and ``mptrac_era5``; without it those comparisons are left out.
    scale : float
        Multiplies the numbers of particles.
    only : str
        Run the tests whose name contains this.
    report : callable
        Told of each row as it is found.

    Returns
    -------
    list of Row
    """
    tests: list[tuple[str, Callable[[], Iterator[Row]]]] = [
        ("well_mixed", lambda: well_mixed(int(20000 * scale))),
        ("taylor", lambda: taylor(int(100000 * scale))),
        ("rotation", rotation),
        ("uniform_flux", lambda: uniform_flux(int(400 * scale))),
        ("reciprocity", lambda: reciprocity(int(40000 * scale))),
        ("convergence", lambda: convergence(int(3000 * scale))),
        ("adjoint", adjoint),
    ]
    if reference is not None:
        tests.append(("stilt", lambda: stilt(reference, int(2000 * scale))))
        tests.append(("mptrac", lambda: mptrac(reference)))
    rows = []
    for name, test in tests:
        if only in name:
            for row in test():
                rows.append(row)
                report(row)
    return rows


def plain(row: Row) -> dict[str, Any]:
    """Return a row as plain data for JSON, without its series."""
    return {**{k: v for k, v in asdict(row).items() if k != "series"}, "passed": row.passed}
