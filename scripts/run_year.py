#!/usr/bin/env python
"""A year, simulated: China at 0.5 degrees, weekly, two sectors, 30,000 observations, monthly provincial totals.

    python scripts/run_year.py [--small] [--weeks 53] [--degrees 0.5] [--daily 82.2] [--memory 4] [--method cg]
                               [--folder FOLDER]
    python scripts/run_year.py --small --calibrate 12 --method cg

Works through the public functions only: `inversion.Problem`, `solve`, variances, degrees of freedom, `region_totals`.
Whatever is done is kept in the folder, so that a killed run goes on; report.json has the time of each part, over all
attempts, beside what was forecast before the first. ``--small`` is a smoke test of seconds. On a machine shared with
others set OPENBLAS_NUM_THREADS=1: its threads wait for each other, and for those of others.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import sys
import time
from pathlib import Path

import numpy as np

ROOT = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(ROOT)]
from obsnet.atomic import atomic_path  # noqa: E402

STARTED = time.time()


def say(line):
    print(f"[{(time.time() - STARTED) / 60:6.1f} min] {line}", flush=True)


def memory(key):
    """Return a number of /proc/self/status in bytes: VmRSS now, VmHWM at most since `fresh_peak`."""
    lines = Path("/proc/self/status").read_text(encoding="ascii").splitlines()
    return 1024.0 * next(int(line.split()[1]) for line in lines if line.startswith(key))


def fresh_peak():
    with contextlib.suppress(OSError):
        Path("/proc/self/clear_refs").write_text("5", encoding="ascii")


class Log:
    """Seconds of each part over all attempts, in a file."""

    def __init__(self, path):
        self.path = path
        self.seen = json.loads(path.read_text(encoding="utf-8")) if path.exists() else {}

    def note(self, key, value):
        """Write a value down."""
        self.seen[key] = value
        with atomic_path(self.path) as temporary:
            temporary.write_text(json.dumps(self.seen, indent=1), encoding="utf-8")

    @contextlib.contextmanager
    def part(self, name):
        """Add the time of what follows to a part's."""
        wall, processor = time.perf_counter(), time.process_time()
        yield
        took = [time.perf_counter() - wall, time.process_time() - processor]
        before = self.seen.get("parts", {}).get(name, [0.0, 0.0])
        parts = self.seen.get("parts", {}) | {name: [a + b for a, b in zip(before, took, strict=True)]}
        self.note("parts", parts)
        say(
            f"{name}: {took[0]:.1f} s, {took[1]:.1f} s of processor time, peak {memory('VmHWM') / 1e9:.2f} GB"
        )


def kept_file(path, make):
    if path.exists():
        return np.load(path)
    made = make()
    with atomic_path(path) as temporary, open(temporary, "wb") as stream:
        np.save(stream, made)
    return made


def run(given):
    from year_world import make_world

    from inversion import solve
    from inversion.case.outputs.restart import kept_arrays, load_posterior, save_posterior
    from inversion.problem.totals import region_totals
    from inversion.solvers.forecast import forecast

    folder = given.folder
    folder.mkdir(parents=True, exist_ok=True)
    log = Log(folder / "report.json")
    with log.part("world"):
        world = make_world(given.weeks, degrees=given.degrees, daily=given.daily, seed=given.seed)
    problem, weights = world.problem, world.weights
    totals = weights.weights.shape[0]
    log.note("given", {k: getattr(given, k) for k in ("weeks", "degrees", "daily", "seed")})
    about = {
        "observations": problem.n_obs,
        "unknowns": problem.n_state,
        "entries": problem.nnz,
        "entries_a_row": problem.nnz / problem.n_obs,
        "totals": totals,
        "problem_gb": memory("VmRSS") / 1e9,
        "peak_gb_world": memory("VmHWM") / 1e9,
    }
    log.note("size", about)
    say(", ".join(f"{k} {v:,.5g}" for k, v in about.items()))
    fresh_peak()
    limit = 1e9 * given.memory - memory("VmRSS")
    if "forecast" not in log.seen:
        plans = {p.method: p for p in forecast(problem, totals)}
        for plan in plans.values():
            say(f"forecast {plan}: {plan.detail()}")
        log.note("forecast", {k: {"gb": p.memory / 1e9, "parts": p.parts} for k, p in plans.items()})
    with log.part("mean"):
        posterior = load_posterior(folder / "restart.npz", problem, report=say)
        if posterior is None:
            posterior = solve(problem, given.method, report=say, memory=limit / 0.8, totals=totals)
            save_posterior(posterior, folder / "restart.npz")
    log.note("solver", {"method": posterior.method} | dict(posterior.stopping))
    with log.part("degrees of freedom"):
        found = {"chi_square": posterior.chi_square, "dofs": posterior.dofs} | posterior.dofs_by_block()
    log.note("fit", found)
    with log.part("variances"):
        variance = kept_file(folder / "variance.npy", posterior.variance)
    keep = kept_arrays(folder / "totals", posterior)

    def timed(name, make):
        def made():
            wall = time.perf_counter()
            array = make()
            iterations = getattr(posterior.system, "iterations", [0])[-1]
            blocks = [*log.seen.get("blocks", []), [array.shape[1], iterations, time.perf_counter() - wall]]
            log.note("blocks", blocks)
            say(f"{array.shape[1]} totals in {iterations} iterations, {blocks[-1][2]:.0f} s")
            return array

        return keep(name, made)

    with log.part("totals"):
        result = region_totals(posterior, weights, keep=timed)
    log.note("peak_gb", memory("VmHWM") / 1e9)
    log.note("truth", against_truth(world, posterior, variance, result))
    summary(log)


def against_truth(world, posterior, variance, totals):
    """Return how far from the truth the answer is, in its own standard deviations."""
    truth = np.asarray(world.weights.weights @ world.truth)
    miss = totals.posterior.mean - truth
    sd, before = (np.sqrt(np.diagonal(a.covariance)) for a in (totals.posterior, totals.prior))
    values, vectors = np.linalg.eigh(totals.posterior.covariance)
    free = values > 1e-9 * values.max()
    z = vectors[:, free].T @ miss / np.sqrt(values[free])
    cells = np.abs(posterior.mean - world.truth) < 1.96 * np.sqrt(variance)
    return {
        "totals_within_95": float(np.mean(np.abs(miss) < 1.96 * sd)),
        "totals_chi_square": float(np.mean(z**2)),
        "totals_free": int(free.sum()),
        "totals_sd_over_prior": float(np.median(sd / before)),
        "response_median": float(np.median(np.diagonal(totals.kernel))),
        "cells_within_95": float(cells.mean()),
        "variance_over_prior": float(np.sum(variance) / np.sum(world.problem.prior_error.diagonal())),
    }


def calibrate(given):
    """Print, over worlds of other seeds, how often the intervals of totals and cells hold the truth."""
    from year_world import make_world

    from inversion import solve
    from inversion.problem.totals import region_totals

    found = []
    for seed in range(given.calibrate):
        world = make_world(given.weeks, degrees=given.degrees, daily=given.daily, seed=seed)
        posterior = solve(world.problem, given.method)
        totals = region_totals(posterior, world.weights)
        found.append(against_truth(world, posterior, posterior.variance(), totals))
        found[-1]["chi_square"] = posterior.chi_square
    free = np.array([f["totals_free"] for f in found])
    chi = np.average([f["totals_chi_square"] for f in found], weights=free)
    print(
        f"{given.calibrate} worlds, {free.sum()} free totals: chi-square {chi:.3f} ± {np.sqrt(2 / free.sum()):.3f}"
    )
    rows = {
        "totals_within_95": "totals within 95 %",
        "cells_within_95": "cells",
        "chi_square": "of observations",
    }
    for key, text in rows.items():
        values = [f[key] for f in found]
        print(f"{text}: {np.mean(values):.3f} ± {np.std(values, ddof=1) / np.sqrt(len(values)):.3f}")


def summary(log):
    seen = log.seen
    parts = {k: v for k, v in seen["parts"].items() if k != "world"}
    plan = seen["forecast"][seen["solver"]["method"]]
    wall, processor = (sum(v[i] for v in parts.values()) for i in range(2))
    say(f"done: {wall / 3600:.2f} h, {processor / 3600:.2f} h of processor time")
    forecast = sum(plan["parts"].values())
    say(
        f"forecast {forecast / 3600:.2f} h: {forecast / wall:.2f} of wall, {forecast / processor:.2f} of processor time"
    )
    size = seen["size"]
    say(
        f"peak {seen['peak_gb']:.2f} GB, of which the problem {size['problem_gb']:.2f}; forecast "
        f"{plan['gb'] + size['problem_gb']:.2f}"
    )
    say(f"fit {seen['fit']}")
    say(f"truth {seen['truth']}")


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--small", action="store_true", help="a smoke test: 9 weeks of 2 degree cells")
    parser.add_argument("--calibrate", type=int, metavar="SEEDS", help="as many worlds against their truths")
    parser.add_argument("--weeks", type=int, default=53)
    parser.add_argument("--degrees", type=float, default=0.5)
    parser.add_argument("--daily", type=float, default=30_000 / 365.0, help="observations a day")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--memory", type=float, default=4.0, help="GB for all")
    parser.add_argument("--method", default="auto")
    parser.add_argument("--folder", type=Path, default=Path("year"))
    given = parser.parse_args()
    if given.small:
        given.weeks, given.degrees, given.daily = 9, 2.0, 8.0
    calibrate(given) if given.calibrate else run(given)


if __name__ == "__main__":
    main()
