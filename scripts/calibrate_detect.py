"""Power stated by `obsnet design detect` against power found: truths drawn, observed, inverted and judged.

    python scripts/calibrate_detect.py [--systems existing co2m_1+no2] [--draws 2000] [--docs]

For each system and province the inventory of that province alone is off by its stated minimum detectable discrepancy;
all others are right to their own uncertainty. True fluxes are drawn from the prior, observations with the errors that
they share, and the verdicts counted. Then no inventory is off: how often is any province accused? All provinces are
tested (`detectable` is out of reach), so that no draw chooses which. `--docs` writes the table into docs/design.md.
"""

from __future__ import annotations

import argparse
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from inversion.problem.totals import region_totals
from inversion.solvers.choose import solve
from inversion.study.detect.detect import Setting, detect, set_up
from inversion.study.detect.run_detect import setting_of
from inversion.study.options import DetectOptions
from obsnet.config import validate
from obsnet.crosscheck.rules.rule import Rule, detection_power
from obsnet.crosscheck.rules.verdict import Verdict, Verdicts, judge
from obsnet.regions import region_name

DOCS = Path(__file__).resolve().parents[1] / "docs" / "design.md"
START, END = "<!-- power: made by scripts/calibrate_detect.py -->", "<!-- /power -->"
SYSTEMS = ("existing", "stations_120", "co2m_1", "co2m_1+no2")
PROVINCES = ("130000", "140000", "320000", "410000", "440000")
_BLOCK = 100  # draws at a time


@dataclass
class Counted:
    """How often one province was accused, and what was stated.

    Attributes
    ----------
    draws, tested : int
        All, and those in which it was testable.
    found : int
        Of the latter, those with the verdict "inconsistent".
    stated : float
        Sum of the power stated in them.
    alarms : int
        Draws in which any other province was accused, or any at all where nothing is off.
    """

    draws: int = 0
    tested: int = 0
    found: int = 0
    stated: float = 0.0
    alarms: int = 0


def count(
    setting: Setting, regions: Sequence[str], off: Mapping[str, float], rule: Rule, draws: int, seed: int = 0
) -> dict[str, Counted]:
    """Draw truths of which one province's inventory at a time is off by a share, and count the verdicts.

    Parameters
    ----------
    setting : Setting
        From `set_up`.
    regions : sequence of str
        Its provinces.
    off : mapping of str to float
        By province the share of its inventory by which its truth is larger.
    rule : Rule
    draws, seed : int
        Each draw has a counter-based generator of its own and serves all provinces.

    Returns
    -------
    dict of str to Counted
        By province, and under ``""`` where no inventory is off.
    """
    problem, weights, mass, fossil = setting.problem, setting.weights, setting.mass, setting.fossil
    posterior = solve(problem)
    totals = region_totals(posterior, weights)
    gain, n = posterior.gain_rows(weights.weights), len(regions)
    places = [list(regions).index(k) for k in off]
    answer = gain @ problem.forward(
        weights.pattern[:, places].toarray()
    )  # to one mol s-1 more in each province
    before = mass * totals.prior.mean
    common = {
        "prior": before,
        "averaging_kernel": totals.kernel,
        "noise_covariance": mass**2 * totals.test,
        "prior_covariance": mass**2 * totals.prior.covariance,
        "weights": np.eye(n, before.size),
        "inventory_sd": fossil.sd,
        "rule": rule,
    }
    sizes = problem.prior_error.factor_size, problem.observation_error.factor_size, n
    counts = {key: Counted() for key in ("", *off)}
    for first in range(0, draws, _BLOCK):
        each = range(first, min(first + _BLOCK, draws))
        z, e, own = normal(seed, each, sizes)
        away = problem.prior_error.factor(z)
        beyond = fossil.sd[:, None] * own  # truth less inventory
        true = before[:, None] + mass * (weights.weights @ away)
        after = before[:, None] + mass * (
            gain @ (problem.forward(away) + problem.observation_error.factor(e))
        )
        for k in range(len(each)):
            right = true[:n, k] - beyond[:, k]
            tally(counts[""], judge(posterior=after[:, k], inventory=right, **common), None, 0.0)
            for at, key, one in zip(places, off, answer.T, strict=True):
                # the inventory is what it is, and the truth beyond it, spread as the prior is
                amount = off[key] * fossil.total[at]
                moved = fossil.total[at] + amount + beyond[at, k] - true[at, k]
                inventory = right.copy()
                inventory[at] = fossil.total[at]
                tally(
                    counts[key],
                    judge(posterior=after[:, k] + one * moved, inventory=inventory, **common),
                    at,
                    amount,
                )
    return counts


def normal(seed: int, draws: Sequence[int], sizes: Sequence[int]) -> list[np.ndarray]:
    """Return standard normal numbers of some draws, (size, draws) for each size."""
    rngs = [np.random.Generator(np.random.Philox(key=[seed, i])) for i in draws]
    rows = [[rng.standard_normal(size) for size in sizes] for rng in rngs]
    return [np.stack(part, axis=1) for part in zip(*rows, strict=True)]


def tally(counted: Counted, found: Verdicts, at: int | None, amount: float) -> None:
    """Count the verdicts of one draw, in which the inventory of one province is off by an amount."""
    accused = np.array([v is Verdict.INCONSISTENT for v in found.verdict])
    if at is not None:
        if found.verdict[at] is not Verdict.NOT_TESTABLE:
            counted.tested += 1
            counted.found += int(accused[at])
            counted.stated += float(
                detection_power(amount, found.sd[at], found.response[at], found.level[at])
            )
        accused[at] = False
    counted.draws += 1
    counted.alarms += int(accused.any())


def share(found: int, of: int, stated: float) -> str:
    """Return a share with the sampling error that it has where what is stated is true."""
    return f"{found / of:.1%} ± {np.sqrt(stated * (1.0 - stated) / of):.1%}"


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--systems", nargs="+", default=SYSTEMS)
    parser.add_argument("--draws", type=int, default=1000)
    parser.add_argument("--docs", action="store_true", help="write the table into docs/design.md")
    chosen = parser.parse_args()
    options = validate(DetectOptions, {"period": "2019-01", "detectable": 1e6})
    world, fossil, _ = setting_of(options, Path())
    names, rule = world.shares.regions, options.rule()
    head = ["system", *(region_name(p) for p in PROVINCES), "accused, none off"]
    lines = [f"| {' | '.join(head)} |", "|---" * len(head) + "|"]
    print("\n".join(lines), flush=True)
    for system in chosen.systems:
        setting = set_up(world, system, fossil, options)
        rows = {r["region"]: r for r in detect(setting, names, options)}
        smallest = {p: float(rows[p]["minimum_detectable"]) for p in PROVINCES}
        counts = count(setting, names, smallest, rule, chosen.draws)
        cells = [
            f"{smallest[p]:.0%}: {share(counts[p].found, counts[p].tested, counts[p].stated / counts[p].tested)}"
            for p in PROVINCES
        ]
        cells.append(share(counts[""].alarms, chosen.draws, rule.alpha))
        lines.append(f"| {system} | " + " | ".join(cells) + " |")
        print(lines[-1], flush=True)
    if chosen.docs:
        text = DOCS.read_text(encoding="utf-8")
        before, after = text.split(START)[0], text.split(END)[1]
        DOCS.write_text(f"{before}{START}\n" + "\n".join(lines) + f"\n{END}{after}", encoding="utf-8")


if __name__ == "__main__":
    main()
