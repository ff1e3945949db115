#!/usr/bin/env python
"""Solve one problem by every method and write the table of agreement into docs/inversion.md.

    python scripts/make_inversion_table.py [--case S] [--check]

With ``--check`` nothing is written; the exit code is 1 where an exact method is off by more than 1e-9.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

import numpy as np

ROOT = Path(__file__).resolve().parents[1]
PAGE = ROOT / "docs" / "inversion.md"
BEGIN, END = "<!-- agreement: made by scripts/make_inversion_table.py -->", "<!-- /agreement -->"


def exact_methods(problem, regions):
    """Yield name, what it is, mean, covariance of totals, chi-square, degrees of freedom."""
    import dask
    import scipy.sparse as sp

    from inversion import solve
    from inversion.operators.covariance import DenseCovariance
    from inversion.operators.distributed import BlockJacobian
    from inversion.solvers.geostatistical import solve_geostatistical
    from inversion.solvers.lbfgsb import solve_bounded
    from inversion.solvers.letkf import solve_letkf
    from inversion.solvers.lognormal import lognormal_mode
    from inversion.solvers.smoother import solve_smoother

    def row(posterior):
        return posterior.mean, posterior.aggregate(regions).covariance, posterior.chi_square, posterior.dofs

    yield "dual", "Cholesky of H B H' + R", *row(solve(problem, "dual"))
    yield "primal", "Cholesky of H' R^-1 H + B^-1", *row(solve(problem, "primal"))
    full = problem.with_(
        prior_error=DenseCovariance(problem.prior_error.dense()), jacobian=problem.jacobian.toarray()
    )
    yield "primal, dense", "no structure used", *row(solve(full, "primal"))
    third = problem.n_obs // 3 + 1
    h, starts = problem.jacobian, range(0, problem.n_obs, third)
    parts = [h[s : s + third] for s in starts]
    lazy = BlockJacobian(
        [dask.delayed(sp.csr_array)(p) for p in parts], [p.shape[0] for p in parts], problem.n_state
    )
    yield (
        "primal, 3 Dask blocks",
        "summed where the blocks are",
        *row(solve(problem.with_(jacobian=lazy), "primal")),
    )
    yield "cg", "matrix-free, residual 1e-12", *row(solve(problem, "cg", tolerance=1e-12))
    bounded = solve_bounded(problem, -np.inf)
    yield "lbfgsb", "bounds at infinity", bounded.mean, bounded.aggregate(regions).covariance, None, None
    normal = lognormal_mode(problem, False)
    yield "lognormal", "no element lognormal", *row(normal.transformed)
    trend = solve_geostatistical(problem, np.zeros((problem.n_state, 0)))
    yield (
        "geostatistical",
        "empty trend",
        trend.mean,
        trend.aggregate(regions).covariance,
        trend.chi_square,
        None,
    )
    steps = np.zeros(problem.n_state, dtype=np.int64)
    yield (
        "letkf",
        "members span the prior",
        *row(solve_letkf(problem, members=problem.n_state + 1, exact=True)),
    )
    smoothed = solve_smoother(problem, step=steps, lag=1, weights=regions)
    yield "smoother", "lag covers everything", smoothed.mean, smoothed.totals.covariance, None, None


def ensemble_methods(problem, regions):
    """Yield the methods that only sample: name, what it is, mean, covariance of totals."""
    from inversion.solvers.letkf import solve_letkf

    for members in (50, 200, 800):
        posterior = solve_letkf(problem, members=members, seed=1, exact=False)
        yield (
            f"letkf, {members} members",
            "drawn at random",
            posterior.mean,
            posterior.aggregate(regions).covariance,
        )


def table(name):
    sys.path.insert(0, str(ROOT))
    from inversion import solve
    from tests.inversion.cases import case

    made = case(name)
    problem, regions = made.problem, made.regions
    known = solve(problem, "dual")
    spread, total = np.sqrt(known.variance()), known.aggregate(regions).covariance
    size = np.abs(total).max()
    lines = [
        f"Case {name}: {problem.n_obs} observations, {problem.n_state} unknowns, 31 totals.",
        "",
        "| method | | largest difference of a mean | of a total's covariance | chi-square | degrees of freedom |",
        "|---|---|---|---|---|---|",
    ]
    worst = 0.0
    for method, what, mean, covariance, chi_square, dofs in exact_methods(problem, regions):
        gap = np.abs(mean - known.mean).max(), np.abs(covariance - total).max() / size
        worst = max(worst, *gap)
        numbers = [f"{gap[0]:.0e}", f"{gap[1]:.0e}"]
        numbers += ["" if chi_square is None else f"{chi_square:.6f}", "" if dofs is None else f"{dofs:.3f}"]
        lines.append(f"| {method} | {what} | " + " | ".join(numbers) + " |")
    for method, what, mean, covariance in ensemble_methods(problem, regions):
        gap = np.sqrt(np.mean(((mean - known.mean) / spread) ** 2)), np.abs(covariance - total).max() / size
        lines.append(f"| {method} | {what} | {gap[0]:.2f} posterior sd (rms) | {gap[1]:.2f} | | |")
    return "\n".join(lines), worst


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--case", default="S")
    parser.add_argument("--check", action="store_true")
    given = parser.parse_args()
    text, worst = table(given.case)
    print(text)
    if given.check:
        raise SystemExit(int(worst > 1e-9))
    page = PAGE.read_text(encoding="utf-8")
    head, _, rest = page.partition(BEGIN)
    _, _, tail = rest.partition(END)
    PAGE.write_text(f"{head}{BEGIN}\n{text}\n{END}{tail}", encoding="utf-8")


if __name__ == "__main__":
    main()
