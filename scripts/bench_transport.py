"""Speed and size of the particle model: footprints per core-hour, ns a step, threads, memory.

    python scripts/bench_transport.py [--receptors 6] [--classes] [--stilt [--before OTHER/CHECKOUT]] [--json]

The setting is hourly meteorology at 0.25 degrees over China (145 x 249 nodes, 48 levels, 75 hours; 3.6 GB), 1000
particles for 72 hours, at the defaults with which `obsnet footprints check` is passed, and beside them ten vertical
steps a Lagrangian time scale and intervals of two minutes. CPU seconds are counted, for machines are shared; a bare
loop of what no vertical step can do without (a quarter of a Philox block, a normal number, a table read, an update of
velocity and height) is the yardstick. `--classes` tells instead what a footprint costs in air that is unstable,
neutral and stable all the time, on a small world. `--stilt` tells what an interval of `--turbulence stilt` costs in
these worlds and over China, with ``--before`` in turn with another checkout of this repository.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np

from inversion.transport.check.worlds import plain_world, release
from inversion.transport.kernels.interpolation import jit
from inversion.transport.kernels.random import normal, philox
from inversion.transport.particles.settings import ParticleSettings
from inversion.transport.particles.simulate import _geometry, _kernel, simulate
from inversion.transport.particles.wind_error import NO_WAVES
from inversion.transport.receptors.releases import Receptors
from inversion.transport.run.plan import flux_bins
from obsnet.constants import R_DRY_AIR
from obsnet.grid import Grid
from obsnet.met import Met
from obsnet.met.boundary_layer import surface_layer
from obsnet.met.vertical import level_heights
from obsnet.times import from_epoch, to_epoch

START = np.datetime64("2020-06-01T00:00:00", "us")
HOURS = 75


def china() -> Met:
    """Return made-up weather of the true size: a westerly with waves and shear, a daily boundary layer."""
    lat, lon = np.arange(18.0, 54.01, 0.25), np.arange(73.0, 135.01, 0.25)
    z = level_heights(16000.0, 48)
    times = float(to_epoch(START)) + 3600.0 * np.arange(HOURS)
    shape = (times.size, lat.size, lon.size)
    wind = np.empty((*shape, z.size, 4), np.float32)
    surface = np.empty((*shape, 6), np.float32)
    density = 1.2 * np.exp(-z / 9500.0)
    wave = np.sin(np.deg2rad(6 * lon))[None, :] * np.cos(np.deg2rad(8 * lat))[:, None]
    temperature = 288.0 - 0.0065 * np.minimum(z, 11000.0)
    state = np.zeros((*shape, z.size, 3), np.float32)
    state[..., 0], state[..., 1] = density * R_DRY_AIR * temperature, temperature
    for n in range(times.size):
        turn = np.cos(2 * np.pi * n / 48.0)
        wind[n, ..., 0] = 2.0 + 0.0018 * z + 3.0 * wave[..., None] * turn
        wind[n, ..., 1] = 3.0 * wave[..., None] - 1.0
        wind[n, ..., 2] = 0.005 * wave[..., None] * np.minimum(z / 1500.0, 1.0)
        wind[n, ..., 3] = density
        sun = np.maximum(np.sin(2 * np.pi * (n / 24.0 + lon / 360.0 - 0.25)), 0.0) + 0.0 * wave
        depth, heat, ustar = 150.0 + 1400.0 * sun, 280.0 * sun - 25.0, 0.18 + 0.27 * sun
        surface_layer(z, wind[n], state[n], *(a.astype(np.float32) for a in (depth, ustar, heat)), surface[n])
    return Met(times, lat, lon, z, wind, state, surface, np.zeros(shape[1:], np.float32), {"notes": []})


def many(n: int, particles: int) -> Receptors:
    """Return point receptors over the east of the domain, at hours 72 to 74."""
    rng = np.random.default_rng(1)
    first = float(to_epoch(START))
    rows = []
    for _ in range(n):
        t, lat, lon = first + 3600.0 * rng.uniform(72, 74), rng.uniform(25, 45), rng.uniform(100, 125)
        rows.append(release("x", t, lat, lon, 50.0, particles).releases[0])
    names = np.array([f"r{k}" for k in range(n)])
    return Receptors(names, np.arange(n + 1), np.array(rows), np.zeros(n), {})


def steps_of(
    met: Met, grid: Grid, edges: Any, receptors: Receptors, settings: ParticleSettings
) -> tuple[float, float, float]:
    """Return CPU seconds, intervals and vertical steps of one receptor."""
    axes, xe, ye, releases = _geometry(met, grid, receptors)
    kernel, arguments = _kernel(settings)
    start = time.process_time()
    found = kernel(
        met.wind,
        met.surface,
        met.state,
        axes,
        xe,
        ye,
        to_epoch(edges),
        releases[:1],
        np.uint64(7),
        *arguments,
        np.zeros(0),
        NO_WAVES,
        NO_WAVES,
    )
    return time.process_time() - start, float(found[4][3]), float(found[4][4])


# Boundary-layer height (m), upward heat flux (W m-2), friction velocity (m s-1).
CLASSES = {"unstable": (1500.0, 200.0, 0.4), "neutral": (600.0, 0.0, 0.4), "stable": (150.0, -25.0, 0.15)}


# Steps that are known to be fine enough, and were the defaults.
_FINER = {"hanna": {"ctl": 10.0, "timestep": 120.0}, "stilt": {"ctl": 10.0}}


@jit
def _bare(n: int, table: Any) -> float:
    """Walk n steps of what no vertical step can do without."""
    key, velocity, height = np.uint64(7), 0.0, 0.5
    a = b = c = d = np.uint64(0)
    for k in range(n):
        if k & 3 == 0:
            a, b, c, d = philox(key, np.uint64(1), np.uint64(2), np.uint64(k >> 2), np.uint64(3))
        word = a
        a, b, c = b, c, d
        shape = table[int(height * 1000.0)]
        velocity = 0.8 * velocity + 0.6 * normal(word, key, np.uint64(1), np.uint64(k), np.uint64(4))
        height = min(max(height + 0.02 * shape * velocity, 0.0), 1.0)
    return height


def bare_step() -> float:
    """Return ns of one step of the bare loop; best of three."""
    table, n, spent = np.ones(1001), 4_000_000, []
    for _ in range(4):
        start = time.process_time()
        _bare(n, table)
        spent.append(time.process_time() - start)
    return round(1e9 * min(spent[1:]) / n, 1)


def by_class() -> dict[str, float]:
    """Return CPU seconds of 1000 particles for 72 h, and vertical steps an interval, by stability; best of three."""
    out = {"bare_loop_ns_per_step": bare_step()}
    grid = Grid.regular(20, 40, 100, 130, 1, 1)
    for name, (h, heat, ustar) in CLASSES.items():
        met = plain_world(h=h, heat=heat, ustar=ustar)
        end, particles, hours = float(met.times[-1]), 200, 6.0
        edges = from_epoch(np.array([met.times[0], end]))
        receptor = release("x", end, 30.0, 115.0, 30.0, particles)
        for turbulence, finer in product(("hanna", "stilt"), (False, True)):
            run = ParticleSettings(turbulence=turbulence, hours=hours, particles=particles)
            run = run.but(**_FINER[turbulence]) if finer else run
            spent = [steps_of(met, grid, edges, receptor, run) for _ in range(4)][1:]
            seconds = min(s for s, _, _ in spent)
            key = f"{name}_{turbulence}{'_finer' if finer else ''}"
            out[f"{key}_cpu_s_1000_particles_72_h"] = round(seconds * 1000 / particles * 72 / hours, 2)
            out[f"{key}_vertical_steps_per_interval"] = round(spent[0][2] / spent[0][1], 1)
    return out


STILT_PARTICLES, TURNS = 200, 5


def stilt_worlds() -> dict[str, Any]:
    """Return a function by world that walks one receptor and returns CPU ns an interval, and steps an interval."""

    def walk(met: Met, grid: Grid, hours: float, receptors: Receptors, end: np.datetime64) -> Any:
        edges = np.array([end - np.timedelta64(round(hours * 3600), "s"), end])
        run = ParticleSettings(turbulence="stilt", hours=hours, particles=STILT_PARTICLES)

        def once() -> tuple[float, float]:
            seconds, intervals, steps = steps_of(met, grid, edges, receptors, run)
            return 1e9 * seconds / intervals, steps / intervals

        return once

    out = {}
    for name, (h, heat, ustar) in CLASSES.items():
        met = plain_world(h=h, heat=heat, ustar=ustar)
        end = float(met.times[-1])
        receptors = release("x", end, 30.0, 115.0, 30.0, STILT_PARTICLES)
        at = from_epoch(np.array([end]))[0]
        out[name] = walk(met, Grid.regular(20, 40, 100, 130, 1, 1), 6.0, receptors, at)
    last = START + np.timedelta64(HOURS - 1, "h")
    grid = Grid.regular(18, 54, 73, 135, 0.25, 0.25)
    out["china"] = walk(china(), grid, 72.0, many(1, STILT_PARTICLES), last)
    return out


def answer() -> None:
    """Walk once through each world for every line read, and print what it took; used by `in_turn`."""
    worlds = stilt_worlds()
    for _ in sys.stdin:
        print(
            json.dumps({name: once() for name, once in worlds.items()} | {"bare": [bare_step()]}), flush=True
        )


def in_turn(trees: list[Path]) -> dict[str, float]:
    """Return the least CPU ns an interval of each checkout, which walk one after the other; the first turn is none."""
    here = Path(__file__).resolve()
    running = []
    for tree in trees:
        environment = {**os.environ, "PYTHONPATH": str(tree), "OMP_NUM_THREADS": "1"}
        command = [sys.executable, str(here), "--answer"]
        running.append(
            subprocess.Popen(
                command, env=environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
            )
        )
    found: list[list[dict[str, list[float]]]] = [[] for _ in trees]
    for turn in range(TURNS + 1):
        for process, results in zip(running, found, strict=True):
            assert process.stdin is not None
            assert process.stdout is not None
            process.stdin.write("\n")
            process.stdin.flush()
            line = json.loads(process.stdout.readline())
            if turn:
                results.append(line)
    out = {}
    for process, when, results in zip(running, ("before", "now")[-len(trees) :], found, strict=True):
        process.communicate("")
        for name in results[0]:
            out[f"{name}_{when}_ns"] = round(min(r[name][0] for r in results), 1)
            if name != "bare":
                out[f"{name}_{when}_steps_per_interval"] = round(results[-1][name][1], 1)
    return out


def two_threads(met: Met, grid: Grid, edges: Any, settings: ParticleSettings) -> dict[str, float]:
    """Return the gain of a second thread, less the time in which other jobs held the cores.

    On a shared machine a thread waits for a core that it would have at once on an idle one. Linux counts that wait
    (schedstat), so what remains of the wall time is work, contention for memory and locks.
    """
    receptors = many(8, int(settings.particles or 0))
    busy: dict[int, float] = {}
    wall: dict[int, float] = {}
    for threads in (1, 2):
        parts = [receptors.offsets[k::threads][: 8 // threads] for k in range(threads)]

        def work(rows: Any) -> float:
            names, releases = receptors.obs_id[rows], receptors.releases[rows]
            mine = Receptors(names, np.arange(rows.size + 1), releases, np.zeros(rows.size), {})
            begin, waited = time.perf_counter(), _waited()
            simulate(met, mine, grid, edges, settings)
            return time.perf_counter() - begin - (_waited() - waited)

        begin = time.perf_counter()
        with ThreadPoolExecutor(threads) as pool:
            busy[threads] = max(pool.map(work, parts))
        wall[threads] = time.perf_counter() - begin
    return {
        "two_threads_speedup_wall_as_it_was": round(wall[1] / wall[2], 2),
        "two_threads_speedup_less_waiting_for_cores": round(busy[1] / busy[2], 2),
    }


def _waited() -> float:
    """Return how long this thread has waited for a core, s."""
    return int(Path("/proc/thread-self/schedstat").read_text().split()[1]) * 1e-9


def main() -> None:
    """Run and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--receptors", type=int, default=6)
    parser.add_argument("--classes", action="store_true")
    parser.add_argument("--stilt", action="store_true")
    parser.add_argument("--before", type=Path, help="another checkout to compare with")
    parser.add_argument("--answer", action="store_true", help=argparse.SUPPRESS)
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    if options.answer:
        answer()
        return
    if options.stilt:
        trees = [options.before.resolve()] if options.before else []
        show(in_turn([*trees, Path(__file__).resolve().parents[1]]), options.json)
        return
    if options.classes:
        show(by_class(), options.json)
        return
    met = china()
    grid = Grid.regular(18, 54, 73, 135, 0.25, 0.25)
    edges = flux_bins(START, START + np.timedelta64(HOURS - 1, "h"), "1h")
    hanna, mixed = ParticleSettings(turbulence="hanna"), ParticleSettings()
    for warm in (
        hanna,
        ParticleSettings(turbulence="stilt"),
        mixed,
    ):  # compile, and bring the fields into memory
        simulate(met, many(2, 100), grid, edges, warm.but(particles=100))
    out: dict[str, Any] = {"particles": hanna.particles, "hours": hanna.hours, "ctl": hanna.ctl}

    receptors = many(options.receptors, int(hanna.particles or 0))
    start = time.process_time()
    found = simulate(met, receptors, grid, edges, hanna)
    each = (time.process_time() - start) / options.receptors
    out["hanna_cpu_s_per_footprint"] = round(each, 3)
    out["hanna_footprints_per_core_hour"] = round(3600.0 / each)
    out["mean_rows_per_footprint"] = round(len(found.sensitivity) / options.receptors)

    # The least time scale that FLEXPART allows, and steps as they were.
    for name, other in (("least_tl_30", {"least_tl": 30.0}), ("finer", _FINER["hanna"])):
        start = time.process_time()
        simulate(met, receptors, grid, edges, hanna.but(**other))
        spent = (time.process_time() - start) / options.receptors
        out[f"hanna_{name}_footprints_per_core_hour"] = round(3600.0 / spent)
    stilt = ParticleSettings(turbulence="stilt")
    start = time.process_time()
    simulate(met, many(2, int(stilt.particles or 0)), grid, edges, stilt)
    out["stilt_footprints_per_core_hour"] = round(2.0 * 3600.0 / (time.process_time() - start))

    # Two unknowns, two equations: twice the vertical steps at the same intervals.
    ctl = float(hanna.ctl or 0.0)
    a, b = (steps_of(met, grid, edges, receptors, hanna.but(ctl=c)) for c in (ctl, 2.0 * ctl))
    out["bare_loop_ns_per_step"] = bare_step()
    vertical = (b[0] - a[0]) / (b[2] - a[2])
    out["ns_per_vertical_step"] = round(1e9 * vertical, 1)
    out["ns_per_interval"] = round(1e9 * (a[0] - vertical * a[2]) / a[1], 1)
    out["vertical_steps_per_interval"] = round(a[2] / a[1], 1)

    if Path("/proc/thread-self/schedstat").exists():
        out |= two_threads(met, grid, edges, hanna)

    peak = []
    for n in (50, 500):
        some = many(n, int(mixed.particles or 0))
        start = time.process_time()
        simulate(met, some, grid, edges, mixed)
        each = (time.process_time() - start) / n
        peak.append(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024.0)
    out["mixed_layer_particles"] = mixed.particles
    out["mixed_layer_cpu_ms_per_footprint"] = round(1e3 * each, 2)
    out["peak_memory_mb_50_and_500_receptors_in_one_task"] = [round(p) for p in peak]
    out["load_average"] = [round(x, 1) for x in os.getloadavg()]
    show(out, options.json)


def show(out: dict[str, Any], as_json: bool) -> None:
    """Print what was measured."""
    print(json.dumps(out, indent=1) if as_json else "\n".join(f"{k:50s} {v}" for k, v in out.items()))


if __name__ == "__main__":
    main()
