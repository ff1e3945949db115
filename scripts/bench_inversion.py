#!/usr/bin/env python
"""Time and memory of the inversion's solvers on the seeded cases, beside the arithmetic they cannot do without.

    python scripts/bench_inversion.py [M L K ensemble …] [--fips PYTHON] [--json FILE]

Each measurement runs in a process of its own, so that memory is its own peak. The floor beside it, timed in the same
process, is a bare LAPACK Cholesky factorisation of the same size (five for the ensemble), or the products with the
Jacobian alone where there is none. ``--fips`` names the interpreter of an environment that has the PyPI package fips,
to time its dense solver on the same numbers.
"""

from __future__ import annotations

import argparse
import json
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

ROOT = Path(__file__).resolve().parents[1]
REPEAT = 3


def write_case(name, folder):
    sys.path.insert(0, str(ROOT))
    from tests.inversion.cases import case

    made = case(name)
    problem = made.problem
    h, b = problem.jacobian, problem.prior_error
    np.savez(
        folder / f"{name}.npz",
        data=h.data,
        indices=h.indices.astype(np.int32),
        indptr=h.indptr.astype(np.int32),
        shape=h.shape,
        y=problem.observations,
        r=problem.observation_error.diagonal(),
        prior=problem.prior,
        sigma=b.sigma,
        time=b.time,
        space=b.space.toarray() if hasattr(b.space, "toarray") else b.space,
        regions=made.regions,
    )


def load(path):
    import scipy.sparse as sp

    from inversion import KroneckerCovariance, Problem

    z = np.load(path)
    h = sp.csr_array((z["data"], z["indices"], z["indptr"]), shape=tuple(z["shape"]))
    return Problem(h, z["y"], z["r"], z["prior"], KroneckerCovariance(z["sigma"], z["time"], z["space"])), z[
        "regions"
    ]


def peak_mb():
    """Return the largest resident memory of this program; getrusage would count the parent's at the fork."""
    for line in Path("/proc/self/status").read_text(encoding="ascii").splitlines():
        if line.startswith("VmHWM:"):
            return int(line.split()[1]) / 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def clock(function):
    """Return wall and processor seconds; the second do not know what else the machine does."""
    wall, processor = time.perf_counter(), time.process_time()
    function()
    return np.array([time.perf_counter() - wall, time.process_time() - processor])


def bare_cholesky(n):
    import scipy.linalg as la

    a = np.eye(n, order="F") * n + 1.0
    return clock(lambda: la.cholesky(a, lower=True, overwrite_a=True, check_finite=False))


def one_reading(problem):
    x = np.ones((problem.n_state, 32))
    return clock(lambda: problem.adjoint(problem.forward(x)))


def everything(problem, regions):
    """Mean, all variances, degrees of freedom, 31 totals with their covariance."""
    from inversion import solve

    posterior = solve(problem)
    posterior.variance()
    posterior.aggregate(regions)
    return {"method": posterior.method, "dofs": posterior.dofs, "chi_square": posterior.chi_square}


def measure(task, path):
    problem, regions = load(path)
    loaded = peak_mb()
    times, extra = [], {}
    if task == "cg":
        from inversion.solvers.cg import solve_cg

        made = []

        def both():
            posterior = solve_cg(problem)
            made.extend([posterior, posterior.aggregate(regions)])

        times = [clock(both)]
        posterior, total = made
        extra = {k: posterior.stopping[k] for k in ("iterations", "residual", "rank")}
        extra["national_sd"] = float(np.sqrt(total.covariance.sum()))
    elif task == "ensemble":
        from inversion.errors.hyper_ensemble import hyper_ensemble

        members = [{"prior_error": f} for f in (0.5, 0.75, 1.0, 1.5, 2.0)]
        ratios = []
        for _ in range(2 * REPEAT + 2):
            one = clock(lambda: everything(problem, regions))
            times.append(clock(lambda: hyper_ensemble(problem, members, regions)))
            ratios.append(times[-1] / one)
        wall, processor = np.median(ratios[1:], axis=0)  # the first compiles
        extra = {"over_one_solve": wall, "processor_over_one_solve": processor}
    else:
        everything(problem, regions)  # compile and warm up
        for _ in range(REPEAT if problem.n_state < 5000 else 1):
            times.append(clock(lambda: extra.update(everything(problem, regions))))
    peak = peak_mb()
    if (
        task == "cg"
    ):  # the Jacobian read forth and back, 32 columns at a time, in each iteration and for the sketch
        rounds = sum(posterior.system.iterations) + extra["rank"] // 32
        floor = rounds * np.min([one_reading(problem) for _ in range(REPEAT)], axis=0)
    else:
        size = min(problem.n_obs, problem.n_state)
        floor = np.min([bare_cholesky(size) for _ in range(REPEAT)], axis=0) * (
            5 if task == "ensemble" else 1
        )
    wall, processor = np.min(times, axis=0)
    found = {"seconds": wall, "processor_s": processor, "floor_s": floor[0], "floor_processor_s": floor[1]}
    print(json.dumps({**found, "peak_mb": peak, "loaded_mb": loaded, **extra}))


FIPS = """
import json, resource, sys, time
import numpy as np
z = np.load(sys.argv[1])
import scipy.sparse as sp
h = sp.csr_array((z["data"], z["indices"], z["indptr"]), shape=tuple(z["shape"])).toarray()
b = (z["sigma"][:, None] * np.kron(z["time"], z["space"])) * z["sigma"]
from fips.estimators import BayesianSolver
start = time.perf_counter()
solver = BayesianSolver(z=z["y"], x_0=z["prior"], H=h, S_0=b, S_z=np.diag(z["r"]))
x, p = solver.x_hat, solver.S_hat
g = z["regions"]
g @ p @ g.T
dofs = float(solver.DOFS)
out = {"seconds": time.perf_counter() - start, "dofs": dofs}
out["peak_mb"] = [int(x.split()[1]) / 1024 for x in open("/proc/self/status") if x.startswith("VmHWM:")][0]
print(json.dumps(out))
"""


def child(arguments, interpreter=sys.executable):
    done = subprocess.run([interpreter, *arguments], capture_output=True, text=True, check=False, cwd=ROOT)
    if done.returncode:
        return {"failed": done.stderr.strip().splitlines()[-1] if done.stderr.strip() else done.returncode}
    return json.loads(done.stdout.strip().splitlines()[-1])


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("what", nargs="*", default=["S", "M", "ensemble", "L", "K"])
    parser.add_argument("--fips", help="Python interpreter of an environment with fips")
    parser.add_argument("--json", type=Path, help="also write the numbers here")
    parser.add_argument("--child", nargs=2, help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.child:
        sys.path.insert(0, str(ROOT))
        measure(*given.child)
        return
    results = {}
    with tempfile.TemporaryDirectory() as folder:
        for what in given.what:
            name = "M" if what == "ensemble" else what
            path = Path(folder) / f"{name}.npz"
            if not path.exists():
                write_case(name, Path(folder))
            task = {"ensemble": "ensemble", "K": "cg"}.get(what, "exact")
            results[what] = child([__file__, "--child", task, str(path)])
            print(what, json.dumps(results[what]), flush=True)
            if given.fips and what in {"S", "M"}:
                results[f"{what} fips"] = child(["-c", FIPS, str(path)], given.fips)
                print(f"{what} fips", json.dumps(results[f"{what} fips"]), flush=True)
    if given.json:
        given.json.write_text(json.dumps(results, indent=1), encoding="utf-8")


if __name__ == "__main__":
    main()
