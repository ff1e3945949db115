"""Effective draws a second of the hierarchical sampler on case S (500 observations, 100 unknowns).

    python scripts/bench_hierarchical.py [--draws 700]

Floor: one Cholesky factor of 100 x 100 (LAPACK) a proposal.
"""

from __future__ import annotations

import argparse
import sys
import time
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from inversion.solvers.gibbs import solve_gibbs
from tests.inversion.cases import case


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--draws", type=int, default=700, help="a chain; four chains")
    draws = parser.parse_args().draws
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
            found = solve_gibbs(problem, errors_by=by, draws=draws)
            took = time.perf_counter() - wall, time.process_time() - processor
            best = took if best is None else min(best, took)
        size = min(row["ess"] for row in found.summary())
        worst = max(row["rhat"] for row in found.summary())
        print(
            f"errors by {by or 'none'}, {len(found.names)} parameters: at least {size:.0f} effective of {4 * draws} "
            f"draws, largest R-hat {worst:.3f}, {best[0]:.2f} s ({best[1]:.2f} s of processor time)"
        )


if __name__ == "__main__":
    main()
