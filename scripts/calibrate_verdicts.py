#!/usr/bin/env python
"""Draw truths, observe, invert, judge: how often verdicts keep what they promise. Writes docs/crosscheck.md's table.

    python scripts/calibrate_verdicts.py [--draws 2000] [--only NAME] [--check]    # --only writes those rows

Worlds and their inversions are in `verdict_worlds`. What is judged is `crosscheck.rules.verdict.judge`
itself. A scenario is a row of `SCENARIOS`: which world, what is true of it that the inversion does not know, what the
inventories say, what is tested. Rates come with their standard error over draws, which are independent.

With ``--check`` nothing is written; the exit code is 1 where a rate that is promised is missed by more than four
standard errors.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np

from obsnet.crosscheck.compared.joint import joint_sets, resolve
from obsnet.crosscheck.rules.verdict import Rule, Verdicts, judge

ROOT = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(ROOT / "scripts")]
from verdict_worlds import (  # noqa: E402
    Inversion,
    World,
    invert,
    lognormal_truth,
    truncated_mean,
    truncated_truth,
)

PAGE = ROOT / "docs" / "crosscheck.md"
BEGIN, END = "<!-- calibration: made by scripts/calibrate_verdicts.py -->", "<!-- /calibration -->"
OWN_SD = 2.0  # Mt a year, of the inventories


@dataclass(frozen=True)
class Draw:
    """One truth, and what the inventories would say if they were right."""

    truth: np.ndarray
    posterior: np.ndarray
    right: np.ndarray
    made: Inversion


Plan = Callable[[np.ndarray, np.ndarray], tuple[np.ndarray, np.ndarray]]


def all_right(right: np.ndarray, smallest: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Inventories as drawn; none is wrong."""
    return right, np.zeros(len(right), dtype=bool)


def off_by_minimum(count: int, times: float = 1.0) -> Plan:
    """Make every third inventory too high by `times` its minimum detectable discrepancy, `count` of them in all."""

    def plan(right: np.ndarray, smallest: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        wrong = np.zeros(len(right), dtype=bool)
        wrong[(np.arange(count) * 3) % len(right)] = True
        return right + np.where(wrong, times * smallest, 0.0), wrong

    return plan


def neighbours_times(factor: float) -> Plan:
    """Multiply every second inventory; those between them are right."""

    def plan(right: np.ndarray, smallest: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        wrong = np.arange(len(right)) % 2 == 1
        return np.where(wrong, factor, 1.0) * right, wrong

    return plan


def off_by_margin(right: np.ndarray, smallest: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Make every second inventory wrong by exactly the margin, the least that "consistent" may not be said of."""
    wrong = np.arange(len(right)) % 2 == 1
    return np.where(wrong, right / (1.0 - Rule().agreement), right), wrong


@dataclass(frozen=True)
class Scenario:
    """One row of the table.

    Parameters
    ----------
    name : str
    world : World
        As the inversion takes it to be.
    plan : callable
        Right inventories and minima in; inventories and which of them are wrong out.
    tested : {"month", "year"}
        The middle month by itself, or the sum of all.
    true_world : World, optional
        From which truths are drawn; as `world` by default.
    truth : callable, optional
        Draws true fossil totals (a generator and the `Inversion` of `true_world` in) where they are not normal.
    answer : callable, optional
        Posterior mean of fossil totals (a generator, the `Inversion` and data about its prior in) where it is not
        the linear one.
    error_factor : float
        By what the errors of observations and priors are larger than stated, in sd.
    rho, declared : float
        Correlation between errors of inventory and prior, and what of it the verdict is told.
    merge : {"no", "instead", "besides"}
        What is done with provinces that are not told apart.
    together : bool
        Whether the inventories' errors are wholly correlated, as sums take them to be.
    promised : dict of str to float
        Rates that are promised: ``false`` at most, ``power`` within 0.03.
    """

    name: str
    world: World
    plan: Plan = all_right
    tested: str = "month"
    true_world: World | None = None
    truth: Callable[[np.random.Generator, Inversion], np.ndarray] | None = None
    answer: Callable[[np.random.Generator, Inversion, np.ndarray], np.ndarray] | None = None
    error_factor: float = 1.0
    rho: float = 0.0
    declared: float = 0.0
    merge: str = "no"
    together: bool = False
    promised: dict[str, float] = field(default_factory=lambda: {"false": 0.05})


def draw(scenario: Scenario, made: Inversion, weights: np.ndarray, rng: np.random.Generator) -> Draw:
    """Draw a truth, observe it, invert, and let inventories err as they state."""
    source = made if scenario.true_world is None else invert(scenario.true_world)
    if source.coast is not None:
        elements = source.coast.root @ rng.standard_normal(source.coast.root.shape[1])
        truth = source.coast.totals @ (source.coast.mean + elements)
        moved = source.coast.jacobian @ elements
    elif scenario.truth is None:
        factor = np.linalg.cholesky(source.covariance + 1e-9 * np.eye(len(source.prior)))
        truth = made.prior + scenario.error_factor * factor @ rng.standard_normal(len(made.prior))
    else:
        truth = scenario.truth(rng, source)
    land = scenario.error_factor * made.biosphere @ rng.standard_normal(len(truth))
    noise = scenario.error_factor * made.error * rng.standard_normal(len(made.jacobian))
    if source.coast is None:
        moved = made.jacobian @ (truth - made.prior)
    data = moved + made.jacobian @ land + noise
    if scenario.answer is None:
        posterior = made.prior + made.gain @ data
    else:
        posterior = scenario.answer(rng, made, data)
    tested, before = weights @ truth, weights @ made.prior
    spread = np.sqrt(np.einsum("ij,jk,ik->i", weights, source.covariance, weights))
    common = scenario.rho * (before - tested) / spread  # what the inventory has of the prior's own error
    fresh = np.sqrt(1.0 - scenario.rho**2) * rng.standard_normal(1 if scenario.together else len(tested))
    return Draw(truth, posterior, tested + OWN_SD * (common + fresh), made)


def weights_of(world: World, tested: str) -> tuple[np.ndarray, np.ndarray]:
    """Return w of every region, and which totals are its own."""
    share = np.zeros(world.months)
    share[slice(None) if tested == "year" else world.months // 2] = 1.0
    share /= share.sum()
    own = np.kron(np.eye(world.regions), np.ones((1, world.months)))
    return np.kron(np.eye(world.regions), share[None, :]), own


def sums_of(made: Inversion, weights: np.ndarray, own: np.ndarray, merge: str) -> np.ndarray:
    """Return which provinces make up each tested sum, (sums, regions): by covariance and kernel alone."""
    each = np.eye(len(weights))
    if merge == "no":
        return each
    u = own * (weights @ made.covariance)
    left = np.eye(len(made.prior)) - made.kernel
    after = left @ made.covariance @ left.T + made.noise
    response = weights @ made.kernel @ (u / np.einsum("ij,ij->i", weights, u)[:, None]).T
    spread = np.sqrt(np.diagonal(weights @ made.covariance @ weights.T))
    sets = joint_sets(resolve(response, spread, weights @ after @ weights.T).pairs)
    merged = np.array([each[list(inside)].sum(axis=0) for inside in sets]).reshape(-1, len(each))
    alone = each[merged.sum(axis=0) == 0] if merge == "instead" else each
    return np.vstack([alone, merged])


def run(scenario: Scenario, draws: int, seed: int = 0) -> dict[str, tuple[float, float]]:
    """Return rates of a scenario with their standard errors: what of what is in the keys' names."""
    assumed = invert(scenario.world)
    regions, own = weights_of(scenario.world, scenario.tested)
    sums = sums_of(assumed, regions, own, scenario.merge)
    weights, own = sums @ regions, sums @ own
    rule = Rule()

    def verdicts(made: Inversion, posterior: np.ndarray, inventory: np.ndarray) -> Verdicts:
        return judge(
            prior=made.prior,
            posterior=posterior,
            averaging_kernel=made.kernel,
            noise_covariance=made.noise,
            prior_covariance=made.covariance,
            inventory=inventory,
            inventory_sd=OWN_SD * sums.sum(axis=1),
            rule=rule,
            weights=weights,
            pattern=own * (weights @ made.covariance),
            shared=scenario.declared,
            family=sums.sum(axis=1) if scenario.merge == "besides" else None,
        )

    rows: dict[str, list[tuple[float, float]]] = {}
    for number in range(draws):
        rng = np.random.default_rng([seed, number])
        one = draw(scenario, assumed, regions, rng)
        right = sums @ one.right
        smallest = verdicts(one.made, one.posterior, right).minimum_detectable
        inventory, wrong = scenario.plan(right, smallest)
        found = verdicts(one.made, one.posterior, inventory)
        names = np.array([str(v) for v in found.verdict])
        testable, differs = names != "not testable", names == "inconsistent"
        counts = {
            "testable": (testable.sum(), testable.size),
            "alone": ((found.p_value < rule.alpha)[testable & ~wrong].sum(), (testable & ~wrong).sum()),
            "false": ((differs & ~wrong).sum(), (testable & ~wrong).sum()),
            "discoveries that are false": ((differs & ~wrong).sum() / max(differs.sum(), 1), 1),
            "power": ((differs & wrong).sum(), (testable & wrong).sum()),
            "right called consistent": (((names == "consistent") & ~wrong).sum(), (testable & ~wrong).sum()),
            "wrong called consistent": (((names == "consistent") & wrong).sum(), (testable & wrong).sum()),
        }
        for key, pair in counts.items():
            rows.setdefault(key, []).append(pair)
    return {key: _ratio(np.array(pairs, dtype=float)) for key, pairs in rows.items()}


def _ratio(pairs: np.ndarray) -> tuple[float, float]:
    """Return a ratio of sums over draws and its standard error."""
    hits, of = pairs.T
    if of.sum() == 0:
        return float("nan"), float("nan")
    rate = hits.sum() / of.sum()
    return float(rate), float(np.sqrt(np.sum((hits - rate * of) ** 2)) / of.sum())


def _months(tau: float) -> World:
    return World(regions=8, months=12, tau=tau)


DIM = World(error=0.07)  # 72 % of a province's discrepancy is seen, and 14 % of a neighbour's
PAIRS = World(regions=12, gap=0.2)  # errors of two in a pair are correlated by -0.6
POWER = {"false": 0.05, "power": 0.80}
WIDE = World(regions=5, spread=0.4, error=0.07)


def positive(spread: float) -> World:
    """Return a world of lognormal fluxes."""
    return World(regions=5, spread=spread, error=0.07, lognormal=True)


def both_ways(method: str) -> tuple[tuple[str, Plan, dict[str, float]], ...]:
    """Return right inventories and one that is wrong either way; a skewed posterior might tell them apart."""
    return (
        (f"method {method}", all_right, {"false": 0.05}),
        ("one of 5 too high by its minimum", off_by_minimum(1), POWER),
        ("one of 5 too low by its minimum", off_by_minimum(1, -1.0), POWER),
    )


SCENARIOS = (
    Scenario("right inventories", World()),
    *(
        Scenario(f"one of {n} off by its minimum", World(regions=n), off_by_minimum(1), promised=POWER)
        for n in (1, 5, 13, 34)
    ),
    Scenario("one of 13, one month of 6", World(months=6, tau=2.0), off_by_minimum(1), promised=POWER),
    Scenario("4 of 13 off by their minimum", World(), off_by_minimum(4)),
    Scenario("4 of 13 off by three times it", World(), off_by_minimum(4, 3.0)),
    Scenario("every second one off by the margin", World(), off_by_margin),
    *(Scenario(f"neighbours x{f:g}", World(), neighbours_times(f)) for f in (1.3, 1.5, 2.0, 3.0)),
    *(
        Scenario(f"one month, errors of the prior correlated over {tau:g} months", _months(tau))
        for tau in (0.0, 2.0, 6.0)
    ),
    *(
        Scenario(f"the year from months, the same over {tau:g} months", _months(tau), tested="year")
        for tau in (0.0, 2.0, 6.0)
    ),
    Scenario(
        "the year, one of 8 off by its minimum",
        _months(2.0),
        off_by_minimum(1),
        tested="year",
        promised=POWER,
    ),
    Scenario("true correlation length x3", World(), true_world=World(length=3.0), promised={}),
    Scenario("true correlation length /3", World(), true_world=World(length=1 / 3), promised={}),
    Scenario("true correlation of months x3, one month", _months(2.0), true_world=_months(6.0), promised={}),
    Scenario(
        "true correlation of months x3, the year",
        _months(2.0),
        tested="year",
        true_world=_months(6.0),
        promised={},
    ),
    Scenario("seen less, right inventories", DIM),
    Scenario("seen less, one of 13 off by its minimum", DIM, off_by_minimum(1), promised=POWER),
    Scenario("seen less, neighbours x1.5", DIM, neighbours_times(1.5)),
    Scenario(
        "seen less, true correlation length x3", DIM, true_world=World(length=3.0, error=0.07), promised={}
    ),
    Scenario("seen less, shared data declared", DIM, rho=0.8, declared=0.8),
    Scenario("seen less, shared data not declared", DIM, rho=0.8, promised={}),
    Scenario("shared data, correlation 0.8, declared", World(), rho=0.8, declared=0.8),
    Scenario("shared data, correlation 0.8, not declared", World(), rho=0.8, promised={}),
    Scenario(
        "all errors 1.12 times as stated (chi-square 1.25)", World(), error_factor=1.25**0.5, promised={}
    ),
    Scenario("pairs hardly told apart, each by itself", PAIRS),
    Scenario("the pairs merged, right inventories", PAIRS, merge="instead", together=True),
    Scenario("the pairs merged, errors of inventories not correlated", PAIRS, merge="instead"),
    Scenario(
        "the pairs merged, one of 6 off by its minimum",
        PAIRS,
        off_by_minimum(1),
        merge="instead",
        together=True,
        promised=POWER,
    ),
    Scenario(
        "the pairs merged, neighbours x1.5", PAIRS, neighbours_times(1.5), merge="instead", together=True
    ),
    Scenario("the pairs besides each by itself, right inventories", PAIRS, merge="besides", together=True),
    Scenario("coastal, cells split by their flux", World(coast="flux")),
    Scenario("coastal, cells split by area, as before", World(coast="area"), promised={}),
    Scenario("lognormal truth of 40 %, normal inversion", WIDE, truth=lognormal_truth, promised={}),
    *(
        Scenario(
            f"lognormal truth of {100 * spread:.0f} %, {text}",
            positive(spread),
            plan,
            truth=lognormal_truth,
            promised=kept,
        )
        for spread in (0.4, 0.6)
        for text, plan, kept in both_ways("lognormal")
    ),
    *(
        Scenario(
            f"normal truth of {100 * spread:.0f} % cut off at zero, {text}",
            replace(WIDE, spread=spread),
            plan,
            truth=truncated_truth,
            answer=truncated_mean,
            promised=kept,
        )
        for spread in (0.6, 1.0)
        for text, plan, kept in both_ways("truncated")
    ),
)


def table(draws: int, only: str = "") -> tuple[str, bool]:
    """Return the table as Markdown, and whether every promise was kept."""
    head = (
        "scenario",
        "testable",
        "right, p < 5 % by itself",
        "right, called inconsistent",
        "false among the inconsistent",
        "wrong, found (power)",
        "right, called consistent",
        "wrong, called consistent",
    )
    lines = [f"| {' | '.join(head)} |", "|---" * len(head) + "|"]
    kept = True
    for scenario in SCENARIOS:
        if only not in scenario.name:
            continue
        found = run(scenario, draws)
        keys = list(found)
        lines.append(
            f"| {scenario.name} | {found['testable'][0]:.0%} | "
            + " | ".join(_cell(*found[k]) for k in keys[1:])
            + " |"
        )
        kept &= promised(scenario, found)
        print(lines[-1], flush=True)
    return "\n".join(lines), kept


def promised(scenario: Scenario, found: dict[str, tuple[float, float]]) -> bool:
    """Say whether rates are as promised, within four standard errors."""
    kept = True
    if "false" in scenario.promised:
        for key in ("alone", "false", "discoveries that are false"):
            rate, error = found[key]
            kept &= not rate > scenario.promised["false"] + 4 * error
    if "power" in scenario.promised:
        rate, error = found["power"]
        kept &= abs(rate - scenario.promised["power"]) <= 0.03 + 4 * error
    return bool(kept)


def _cell(rate: float, error: float) -> str:
    return "–" if np.isnan(rate) else f"{100 * rate:.1f} ± {100 * error:.1f} %"


def _merged(before: str, text: str) -> str:
    """Return the table with the rows of some scenarios new and all others as they were."""
    rows = {line.split("|")[1].strip(): line for line in [*before.splitlines(), *text.splitlines()] if line}
    return "\n".join(rows[name] for name in ("scenario", "---", *(s.name for s in SCENARIOS)) if name in rows)


def main() -> int:
    """Write the table, or check it."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--draws", type=int, default=2000)
    parser.add_argument("--only", default="", help="scenarios whose name holds this")
    parser.add_argument("--check", action="store_true")
    options = parser.parse_args()
    text, kept = table(options.draws, options.only)
    if options.check:
        return 0 if kept else 1
    page = PAGE.read_text(encoding="utf-8")
    head, _, rest = page.partition(BEGIN)
    before, _, tail = rest.partition(END)
    if options.only:
        text = _merged(before.strip(), text)
    PAGE.write_text(f"{head}{BEGIN}\n{text}\n{END}{tail}", encoding="utf-8")
    return 0 if kept else 1


if __name__ == "__main__":
    sys.exit(main())
