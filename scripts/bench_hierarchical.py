#!/usr/bin/env python
"""Effective draws a second of the hierarchical sampler on case S (500 observations, 100 unknowns).

    python scripts/bench_hierarchical.py [--draws 700] [--openghg PYTHON]

Floor: one Cholesky factor of 100 x 100 (LAPACK) a proposal. ``--openghg`` names the interpreter of an environment with
the PyPI package openghg_inversions; its ``inferpymc`` then samples its own model of the same observations and
footprints (independent normal scale factors, one unknown model error) in the same run, with its NUTS and slice steps.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from inversion.solvers.gibbs import solve_gibbs
from tests.inversion.cases import case

OPENGHG = """
import json, sys, time
start = time.perf_counter()
import arviz, numpy as np, xarray as xr
from openghg_inversions.hbmcmc.inversion_pymc import inferpymc
loaded = time.perf_counter()
z = np.load(sys.argv[1])
n, m = z["h"].shape
labels = {"region": np.arange(m), "nmeasure": np.arange(n)}
data = {k: ("nmeasure", v) for k, v in {
    "mf": z["y"], "mf_error": z["sigma"], "min_error": np.zeros(n),
    "site_indicator": z["station"], "sigma_freq_index": np.zeros(n, int)}.items()}
inputs = xr.Dataset(data | {"H": (("region", "nmeasure"), z["h"].T)}, coords=labels)
draws = int(sys.argv[2])
out = inferpymc(
    inputs, xprior={"pdf": "normal", "mu": 1.0, "sigma": 0.5},
    sigprior={"pdf": "uniform", "lower": 0.1, "upper": 3.0}, nit=draws, burn=0, tune=draws, nchain=4,
    sigma_per_site=False, use_bc=False, sampler_kwargs={"cores": 2, "random_seed": 1},
)
done = time.perf_counter()
table = arviz.summary(out["trace"], var_names=["x", "sigma"])
print(json.dumps({
    "loading": loaded - start, "seconds": done - loaded, "sampling": float(out["trace"].posterior.sampling_time),
    "ess": float(table["ess_bulk"].min()), "rhat": float(table["r_hat"].max()), "parameters": len(table)}))
"""


def peer(interpreter: str, draws: int) -> None:
    """Sample the same observations with openghg_inversions, in its own environment."""
    problem = case("S").problem
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "S.npz"
        np.savez(
            path,
            h=problem.jacobian.toarray(),
            y=problem.observations,
            sigma=np.sqrt(problem.observation_error.diagonal()),
            station=problem.labels("station").astype(int),
        )
        command = [interpreter, "-c", OPENGHG, str(path), str(draws)]
        done = subprocess.run(command, capture_output=True, text=True, check=False, cwd=folder)
    if done.returncode:
        print("openghg_inversions failed:", done.stderr.strip().splitlines()[-1:])
        return
    found = json.loads(done.stdout.strip().splitlines()[-1])
    print(
        f"openghg_inversions, {found['parameters']} parameters: at least {found['ess']:.0f} effective of {4 * draws} "
        f"draws, largest R-hat {found['rhat']:.2f}, {found['seconds']:.1f} s, {found['sampling']:.1f} s sampling, "
        f"and {found['loading']:.1f} s to load: {found['ess'] / found['seconds']:.0f} effective a second"
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--draws", type=int, default=700, help="a chain; four chains")
    parser.add_argument("--openghg", help="Python interpreter of an environment with openghg_inversions")
    given = parser.parse_args()
    problem = case("S").problem
    a = np.eye(100) + 0.1
    start = time.perf_counter()
    for _ in range(200):
        np.linalg.cholesky(a)
    print(f"one factor: {5e3 * (time.perf_counter() - start):.0f} us")
    for by in (None, "station"):
        best = None
        for _ in range(3):
            wall, processor = time.perf_counter(), time.process_time()
            found = solve_gibbs(problem, errors_by=by, draws=given.draws)
            took = time.perf_counter() - wall, time.process_time() - processor
            best = took if best is None else min(best, took)
        size = min(row["ess"] for row in found.summary())
        worst = max(row["rhat"] for row in found.summary())
        print(
            f"errors by {by or 'none'}, {len(found.names)} parameters: at least {size:.0f} effective of "
            f"{4 * given.draws} draws, largest R-hat {worst:.3f}, {best[0]:.2f} s ({best[1]:.2f} s of processor time): "
            f"{size / best[0]:.0f} effective a second"
        )
    if given.openghg:
        peer(given.openghg, max(given.draws, 1000))
    else:
        print("openghg_inversions skipped: name an interpreter that has it with --openghg")


if __name__ == "__main__":
    main()
