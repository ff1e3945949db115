#!/usr/bin/env python
"""What a year's inversion would take on many nodes, from parts measured here. Writes docs/inversion.md's table.

    python scripts/plan_nodes.py YEAR/report.json    # of run_year.py, which made the run; its world is made again
    python scripts/plan_nodes.py --check             # predict a world of twice the size, then run it

A run is many columns through H, B and small full matrices. What one column costs is measured on the run's own problem
(`inversion.solvers.forecast.measure`, in processor time), how many there are is forecast, and the sum is scaled to the
processor time that the run took. To another size H is scaled by its entries, B by its counted operations. ``--check``
does that from one world to one of twice the observations, unknowns and totals, before that is run.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

ROOT = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(ROOT), str(ROOT / "scripts")]
from year_world import make_world  # noqa: E402

from inversion import solve  # noqa: E402
from inversion.problem.totals import region_totals  # noqa: E402
from inversion.solvers.forecast import Rates, forecast, measure, product_cost  # noqa: E402

PAGE = ROOT / "docs" / "inversion.md"
BEGIN, END = "<!-- nodes: made by scripts/plan_nodes.py -->", "<!-- /nodes -->"
NODES = (1, 10, 100)
# What is assumed of the nodes; the table says so.
CORES = 32  # each as fast as the one measured
BESIDE = 0.5  # speed of one of as many processes as there are cores, which share the memory's bandwidth
LINK = 1.25e9  # bytes a second into the process that solves, 10 Gbit/s
FOOTPRINTS = 2400.0  # a core-hour: docs/transport.md
YEAR = {"weeks": 53, "degrees": 0.5, "daily": 30_000 / 365.0, "seed": 1}  # of run_year.py, if it does not say
RUNS = 200  # inversions of a study: twins, members, designs


@dataclass(frozen=True)
class Cost:
    """Processor seconds of a run by what they are spent in, and the columns that go through H and back."""

    h: float
    b: float
    dense: float
    columns: float

    @property
    def seconds(self) -> float:
        """All of it."""
        return self.h + self.b + self.dense

    def times(self, factor: float) -> Cost:
        """Return the same with other seconds."""
        return Cost(factor * self.h, factor * self.b, factor * self.dense, self.columns)

    def spread(self, nodes: int, unknowns: int) -> float:
        """Return seconds where H is in blocks on `nodes`, as `BlockJacobian` has it.

        Each node is sent all columns of unknowns and sends as many back, through one link.
        """
        moved = 0.0 if nodes == 1 else 2.0 * 8.0 * unknowns * self.columns * nodes / LINK
        return self.h / nodes + self.b + self.dense + moved


def cost(problem: Any, totals: int, rates: Rates) -> Cost:
    """Return what a run by conjugate gradients costs, forecast: each primitive alone, the others free."""
    free = replace(rates, adjoint=0.0, prior=0.0, forward=0.0, pairs=0.0, factor=np.inf, dense=np.inf)

    def seconds(**only: float) -> float:
        return next(p.seconds for p in forecast(problem, totals, replace(free, **only)) if p.method == "cg")

    h = seconds(adjoint=rates.adjoint, forward=rates.forward)
    return Cost(
        h, seconds(prior=rates.prior), seconds(dense=rates.dense), h / (rates.adjoint + rates.forward)
    )


def scaled(rates: Rates, one: Any, other: Any) -> Rates:
    """Return rates of another problem from those of one: H by its entries, B by its operations."""
    entries = other.nnz / one.nnz
    operations = product_cost(other.prior_error) / product_cost(one.prior_error)
    return replace(
        rates,
        adjoint=rates.adjoint * entries,
        forward=rates.forward * entries,
        prior=rates.prior * operations,
        count=other.n_obs,
    )


def run(world: Any) -> float:
    """Return processor seconds of everything that `forecast` counts."""
    start = time.process_time()
    posterior = solve(world.problem, "cg")
    posterior.variance()
    posterior.dofs_by_block()
    region_totals(posterior, world.weights)
    return time.process_time() - start


def check() -> None:
    """Predict a world of twice the size and run it."""
    size = {"degrees": 2.0, "daily": 60.0, "seed": 3}
    small, large = make_world(9, **size), make_world(18, **size)
    count = [w.weights.weights.shape[0] for w in (small, large)]
    run(small)  # compiles
    rates = measure(small.problem, clock=time.process_time)
    took = run(small)
    factor = took / cost(small.problem, count[0], rates).seconds
    said = cost(large.problem, count[1], scaled(rates, small.problem, large.problem)).times(factor)
    for world, totals in zip((small, large), count, strict=True):
        p = world.problem
        print(f"{p.n_obs} observations, {p.n_state} unknowns, {p.nnz} entries, {totals} totals")
    print(
        f"the small one took {took:.1f} s of processor time, the large one is predicted to take {said.seconds:.1f} s"
    )
    found = run(large)
    print(f"it took {found:.1f} s: {said.seconds / found:.2f} was predicted of it")


def table(report: dict[str, Any]) -> str:
    """Return the table as Markdown."""
    size, given = report["size"], YEAR | report.get("given", {})
    world = make_world(given["weeks"], degrees=given["degrees"], daily=given["daily"], seed=given["seed"])
    rates = measure(world.problem, clock=time.process_time)
    took = sum(seconds for name, (_, seconds) in report["parts"].items() if name != "world")
    forecast_ = cost(world.problem, size["totals"], rates)
    one = forecast_.times(took / forecast_.seconds)
    hours = {
        f"{size['observations']:,} footprints": [
            size["observations"] / FOOTPRINTS / n / CORES / BESIDE for n in NODES
        ],
        "one inversion, in one process": [one.seconds / 3600.0] * len(NODES),
        "one inversion, its Jacobian in blocks on the nodes": [
            one.spread(n, size["unknowns"]) / 3600.0 for n in NODES
        ],
        f"{RUNS} inversions, {CORES} side by side on a node": [
            np.ceil(RUNS / n / CORES) * one.seconds / 3600.0 / BESIDE for n in NODES
        ],
    }
    nodes = " | ".join(f"{n} node" + "s" * (n > 1) for n in NODES)
    rows = (f"| {name} | {' | '.join(f'{h:.2g}' for h in row)} |" for name, row in hours.items())
    measured = (
        f"Measured: {took / 3600:.2f} h of processor time for one inversion, {took / forecast_.seconds:.2f} of what "
        f"its columns cost by themselves; of it {one.h / one.seconds:.0%} in H, {one.b / one.seconds:.0%} in B, "
        f"{one.dense / one.seconds:.0%} in small full matrices; {report['peak_gb']:.1f} GB at most. "
    )
    assumed = (
        f"Assumed: {CORES} cores a node, each as fast as the one measured alone and {BESIDE:g} of it where all work; "
        f"a link of {8 * LINK / 1e9:.0f} Gbit/s into the process that solves; {FOOTPRINTS:,.0f} footprints a "
        "core-hour ([transport.md](transport.md)); no time in a queue."
    )
    lines = [f"| hours on | {nodes} |", "| --- |" + " ---: |" * len(NODES), *rows, "", measured + assumed]
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("report", type=Path, nargs="?", help="report.json of run_year.py")
    parser.add_argument("--check", action="store_true", help="predict a run of twice the size, then run it")
    given = parser.parse_args()
    if given.check:
        check()
    elif given.report is None:
        parser.error("a report.json, or --check")
    else:
        made = table(json.loads(given.report.read_text(encoding="utf-8")))
        text = PAGE.read_text(encoding="utf-8")
        before, after = text.index(BEGIN) + len(BEGIN), text.index(END)
        PAGE.write_text(f"{text[:before]}\n{made}\n{text[after:]}", encoding="utf-8")
        print(made)


if __name__ == "__main__":
    main()
