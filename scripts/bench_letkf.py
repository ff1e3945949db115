"""Time of the local ensemble transform Kalman filter per column, beside the floor of its parts.

    python scripts/bench_letkf.py [--columns 400] [--members 32] [--observations 1000] [--state 200]

Floor: one symmetric product Y'Y (BLAS) and one eigendecomposition (LAPACK) of the same size, on one core.
"""

from __future__ import annotations

import argparse
import time

import numba
import numpy as np
import scipy.sparse as sp
from threadpoolctl import threadpool_limits

from inversion import Problem
from inversion.solvers.letkf import analyse
from inversion.solvers.localisation import Localisation


def best(function, repeats: int = 5) -> float:
    times = []
    for _ in range(repeats):
        start = time.process_time()
        function()
        times.append(time.process_time() - start)
    return min(times)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--columns", type=int, default=400)
    parser.add_argument("--members", type=int, default=32)
    parser.add_argument("--observations", type=int, default=1000, help="that each column sees")
    parser.add_argument("--state", type=int, default=200, help="state elements a column")
    given = parser.parse_args()
    rng = np.random.default_rng(0)
    columns, k, p, s = given.columns, given.members, given.observations, given.state
    # All columns and observations inside one radius, so that each column sees exactly p of them.
    place = rng.uniform(-1.0, 1.0, (columns + p, 2)) + (35.0, 105.0)
    near = Localisation(
        np.repeat(np.arange(columns), s), *place[:columns].T, *place[columns:].T, radius_km=3000.0
    )
    m = columns * s
    x = rng.standard_normal((m, k))
    x -= x.mean(axis=1, keepdims=True)
    # The Jacobian only makes Y = H X, which is not part of the analysis: one state element an observation.
    h = sp.csr_array((np.ones(p), (np.arange(p), rng.integers(0, m, p))), shape=(p, m))
    problem = Problem(h, rng.standard_normal(p), rng.random(p) + 0.5, np.zeros(m), np.ones(m))

    def run() -> tuple[float, float]:
        ensemble, mean = x.copy(), np.zeros(m)
        start, processor = time.perf_counter(), time.process_time()
        analyse(problem, mean, ensemble, near)
        return time.perf_counter() - start, time.process_time() - processor

    y = x[:p] if m >= p else rng.standard_normal((p, k))
    square = y.T @ y
    with threadpool_limits(1):
        product = best(lambda: [y.T @ y for _ in range(50)]) / 50
        eigen = best(lambda: [np.linalg.eigh(square) for _ in range(50)]) / 50
    print(f"k = {k} members, p = {p} observations, s = {s} state elements a column, {columns} columns")
    print(
        f"floor, processor time: product {1e3 * product:.3f} ms + eigenvectors {1e3 * eigen:.3f} ms a column"
    )
    for threads in sorted({1, numba.config.NUMBA_NUM_THREADS}):
        numba.set_num_threads(threads)
        run()
        runs = [run() for _ in range(7)]
        wall, processor = (1e3 * min(r[i] for r in runs) / columns for i in (0, 1))
        print(
            f"{threads} threads: {wall:.3f} ms a column, {processor:.3f} ms of processor time, "
            "neighbours, H X and update included"
        )


if __name__ == "__main__":
    main()
