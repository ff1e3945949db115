#!/usr/bin/env python
"""Count how often stated intervals hold where the sizes of the errors are not known. Writes docs/inversion.md's table.

    python scripts/calibrate_hierarchical.py [--draws 300] [--check]

Sizes are drawn as method `hierarchical` believes them (logarithms normal about what the case states), then a truth and
observations with errors of those sizes. Each data set is solved with the stated sizes (plug-in of the case), with those
of greatest likelihood (plug-in of the estimate) and averaged over sizes; of each it is counted how often the 95 %
interval of a region's total holds the truth, and how often a right inventory is called wrong at 5 %. Two scenarios: the
observations determine the sizes (240 of them), or hardly (20).
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

import numpy as np

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from inversion.operators.covariance import BlockDiagonalCovariance  # noqa: E402
from inversion.problem.posterior import Posterior  # noqa: E402
from inversion.problem.totals import Totals, region_totals  # noqa: E402
from inversion.solvers.averaged import averaged  # noqa: E402
from inversion.solvers.choose import solve  # noqa: E402
from inversion.solvers.gibbs import solve_gibbs  # noqa: E402
from tests.inversion.world import make_world, options  # noqa: E402

PAGE = ROOT / "docs" / "inversion.md"
BEGIN, END = "<!-- hierarchical: made by scripts/calibrate_hierarchical.py -->", "<!-- /hierarchical -->"
SPREAD = 0.5
SECTORS = {
    "fossil": {"relative": 0.3, "correlation_km": 100, "regional_relative": 0.3},
    "biosphere": {"sigma": 3e-7, "correlation_km": 300},
}
CHOICE = options(
    step="all",
    sector=SECTORS,
    boundary={"background": 410.0, "sigma": 0.5, "step": "all"},
    error={"point": 0.8, "column": 0.5},
)
HOW = ("sizes as stated", "sizes of greatest likelihood", "averaged over sizes")


def grown(problem, factor):
    """Return the problem with its standard deviations times factors: one a block, then one for all observations."""
    blocks = [b.scaled(f**2) for b, f in zip(problem.prior_error.blocks, factor, strict=False)]
    error = problem.observation_error.scaled(factor[-1] ** 2)
    return problem.with_(prior_error=BlockDiagonalCovariance(blocks), observation_error=error)


def right_called_wrong(totals: Totals, truth: np.ndarray) -> np.ndarray:
    """Say of the first sector's regions a and b whether a right inventory is called wrong at 5 %."""
    own = np.flatnonzero(totals.weights.sector_of == 0)
    kernel, c = totals.kernel[np.ix_(own, own)], totals.prior.covariance[np.ix_(own, own)]
    moved = (totals.posterior.mean - totals.prior.mean)[own]
    found = []
    for k in (0, 1):
        a = kernel[k, k]
        y = kernel[k] - a * np.eye(own.size)[k]
        d = moved[k] - a * (truth - totals.prior.mean)[own[k]]
        found.append(abs(d) > 1.96 * np.sqrt(totals.test[own[k], own[k]] + y @ c @ y))
    return np.array(found)


def counted(n: int, draws: int, seed: int) -> dict[str, np.ndarray]:
    """Return, by way of solving, (draws, 2 numbers): share of a and b missed at 95 %, and called wrong; and mean sd."""
    world = make_world(n=n)
    made = world.assemble(CHOICE)
    weights, problem = world.weights(made), made.problem
    g = weights.weights
    out: dict[str, list[tuple[float, float, float]]] = {how: [] for how in HOW}
    for number in range(draws):
        rng = np.random.default_rng([seed, number])
        factor = np.exp(SPREAD * rng.standard_normal(len(problem.prior_error.blocks) + 1))
        true = grown(problem, factor)
        x = problem.prior + true.prior_error.factor(rng.standard_normal(true.prior_error.factor_size))
        y = problem.simulate(x) + true.observation_error.factor(rng.standard_normal(n))
        data = problem.with_(observations=y)
        sizes = solve_gibbs(data, spread=SPREAD, draws=400, chains=2, seed=number)
        best = np.exp(np.log(sizes.draws.reshape(-1, factor.size))[np.argmax(sizes.log_density.ravel())])
        ways: tuple[Posterior, ...] = (solve(data), solve(grown(data, best)), averaged(sizes))
        truth = g @ x
        for how, posterior in zip(HOW, ways, strict=True):
            totals = region_totals(posterior, weights)
            sd = np.sqrt(np.diagonal(totals.posterior.covariance))[:2]
            missed = np.abs(totals.posterior.mean - truth)[:2] > 1.96 * sd
            wrong = right_called_wrong(totals, truth)
            out[how].append((missed.mean(), wrong.mean(), sd.mean()))
    return {how: np.array(rows) for how, rows in out.items()}


def table(draws: int) -> tuple[str, bool]:
    """Return the table as Markdown, and whether the averaged intervals hold within four standard errors."""
    head = (
        "observations",
        "solved with",
        "95 % interval holds",
        "right, called wrong at 5 %",
        "sd over that as stated",
    )
    lines = [f"| {' | '.join(head)} |", "|---" * len(head) + "|"]
    kept = True
    for n in (240, 20):
        found = counted(n, draws, seed=n)
        stated = found[HOW[0]][:, 2]
        for how in HOW:
            missed, wrong, sd = found[how].T
            rates = [(1.0 - missed.mean(), _error(missed)), (wrong.mean(), _error(wrong))]
            cells = " | ".join(f"{100 * r:.1f} ± {100 * e:.1f} %" for r, e in rates)
            lines.append(f"| {n} | {how} | {cells} | {np.median(sd / stated):.2f} |")
            print(lines[-1], flush=True)
        missed, wrong, _ = found[HOW[2]].T
        kept &= missed.mean() <= 0.05 + 4 * _error(missed) and wrong.mean() <= 0.05 + 4 * _error(wrong)
    return "\n".join(lines), bool(kept)


def _error(values: np.ndarray) -> float:
    return float(values.std(ddof=1) / np.sqrt(len(values)))


def main() -> int:
    """Write the table, or check it."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--draws", type=int, default=300)
    parser.add_argument("--check", action="store_true")
    given = parser.parse_args()
    text, kept = table(given.draws)
    if not given.check:
        head, _, rest = PAGE.read_text(encoding="utf-8").partition(BEGIN)
        PAGE.write_text(f"{head}{BEGIN}\n{text}\n{END}{rest.partition(END)[2]}", encoding="utf-8")
    return 0 if kept else 1


if __name__ == "__main__":
    sys.exit(main())
