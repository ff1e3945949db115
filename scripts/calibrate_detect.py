"""Power stated by `obsnet design detect` against power found: truths drawn, observed, inverted and judged.

    python scripts/calibrate_detect.py [--systems existing co2m_1+no2] [--draws 2000] [--docs]

For each system and province the inventory of that province alone is off by its stated minimum detectable discrepancy;
all others are right to their own uncertainty. True fluxes are drawn from the prior, observations with the errors that
they share, and the verdicts counted. Then no inventory is off: how often is any province accused? All provinces are
tested (`detectable` is out of reach), so that no draw chooses which. `--docs` writes the table into docs/design.md.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from inversion.problem.totals import region_totals
from inversion.solvers.choose import solve
from inversion.study.detect import Setting, detect, set_up
from inversion.study.options import DetectOptions
from inversion.study.run_detect import setting_of
from obsnet.config import validate
from obsnet.crosscheck.rule import Rule, detection_power
from obsnet.crosscheck.verdict import Verdict, judge
from obsnet.regions import region_name

DOCS = Path(__file__).resolve().parents[1] / "docs" / "design.md"
START, END = "<!-- power: made by scripts/calibrate_detect.py -->", "<!-- /power -->"
SYSTEMS = ("existing", "stations_120", "co2m_1", "co2m_1+no2")
PROVINCES = ("130000", "140000", "320000", "410000", "440000")
_BLOCK = 100  # draws at a time


@dataclass(frozen=True)
class Counted:
    """How often one province was accused, and what was stated.

    Attributes
    ----------
    tested : int
        Draws in which it was testable.
    found, stated : float
        Share of those with the verdict "inconsistent", and mean of the stated power.
    alarms : float
        Share of all draws in which any other province was accused, or any at all where nothing is off.
    """

    tested: int
    found: float
    stated: float
    alarms: float


def count(
    setting: Setting,
    regions: Sequence[str],
    region: str,
    discrepancy: float,
    rule: Rule,
    draws: int,
    seed: int = 0,
) -> Counted:
    """Draw truths of which one province's inventory is off by a share, and count the verdicts.

    Parameters
    ----------
    setting : Setting
        From `set_up`.
    regions : sequence of str
        Its provinces.
    region : str
        Whose inventory is off; with no discrepancy all are right.
    discrepancy : float
        Share of the inventory by which the truth is larger.
    rule : Rule
    draws, seed : int
        Each draw has a counter-based generator of its own.
    """
    problem, weights, mass, fossil = setting.problem, setting.weights, setting.mass, setting.fossil
    posterior = solve(problem)
    totals = region_totals(posterior, weights)
    gain, pattern = posterior.gain_rows(weights.weights), weights.pattern
    before, n, at = mass * totals.prior.mean, len(regions), list(regions).index(region)
    amount = discrepancy * fossil.total[at]
    common = {
        "prior": before,
        "averaging_kernel": totals.kernel,
        "noise_covariance": mass**2 * totals.test,
        "prior_covariance": mass**2 * totals.prior.covariance,
        "weights": np.eye(n, before.size),
        "rule": rule,
    }
    tested = found = alarms = 0
    stated = 0.0
    for first in range(0, draws, _BLOCK):
        size = min(_BLOCK, draws - first)
        rngs = [np.random.Generator(np.random.Philox(key=[seed, first + k])) for k in range(size)]
        normal = [
            [
                r.standard_normal(m)
                for m in (problem.prior_error.factor_size, problem.observation_error.factor_size, n)
            ]
            for r in rngs
        ]
        away = problem.prior_error.factor(np.stack([z[0] for z in normal], axis=1))
        noise = problem.observation_error.factor(np.stack([z[1] for z in normal], axis=1))
        off = fossil.sd[:, None] * np.stack([z[2] for z in normal], axis=1)  # truth less inventory
        true = before[:, None] + mass * (weights.weights @ away)
        inventory = true[:n] - off
        if discrepancy:  # the inventory is what it is, and the truth beyond it
            wanted = fossil.total[at] + amount + off[at]
            away = away + pattern[:, [at]].toarray() * (wanted - true[at]) / mass
            inventory[at] = fossil.total[at]
        after = before[:, None] + mass * (gain @ (problem.forward(away) + noise))
        for k in range(size):
            v = judge(posterior=after[:, k], inventory=inventory[:, k], inventory_sd=fossil.sd, **common)
            accused = np.array([x is Verdict.INCONSISTENT for x in v.verdict])
            if v.verdict[at] is not Verdict.NOT_TESTABLE:
                tested += 1
                found += bool(accused[at])
                stated += float(detection_power(amount, v.sd[at], v.response[at], v.level[at]))
            if discrepancy:
                accused[at] = False
            alarms += bool(accused.any())
    return Counted(tested, found / max(tested, 1), stated / max(tested, 1), alarms / draws)


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--systems", nargs="+", default=SYSTEMS)
    parser.add_argument("--draws", type=int, default=2000)
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
        cells = []
        for province in PROVINCES:
            row = rows[province]
            got = count(setting, names, province, float(row["minimum_detectable"]), rule, chosen.draws)
            error = np.sqrt(got.stated * (1.0 - got.stated) / max(got.tested, 1))
            cells.append(f"{row['minimum_detectable']:.0%}: {got.found:.1%} ± {error:.1%}")
        none = count(setting, names, PROVINCES[0], 0.0, rule, chosen.draws)
        error = np.sqrt(rule.alpha * (1.0 - rule.alpha) / chosen.draws)
        cells += [
            f"{none.alarms:.1%} ± {error:.1%}",
            str(sum(bool(r["testable"]) for r in rows.values()) - 1),
        ]
        lines.append(f"| {system} | " + " | ".join(cells) + " |")
        print(lines[-1], flush=True)
    if chosen.docs:
        text = DOCS.read_text(encoding="utf-8")
        before, after = text.split(START)[0], text.split(END)[1]
        DOCS.write_text(f"{before}{START}\n" + "\n".join(lines) + f"\n{END}{after}", encoding="utf-8")


if __name__ == "__main__":
    main()
