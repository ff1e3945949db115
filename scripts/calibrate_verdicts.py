#!/usr/bin/env python
"""Draw truths, observe, invert, judge: how often verdicts keep what they promise. Writes docs/crosscheck.md's table.

    python scripts/calibrate_verdicts.py [--draws 2000] [--only NAME] [--check]

A world is a row of provinces over some months with two sectors, fossil and biosphere, observed by footprints that
also see the neighbours and the month before; its inversion is exact. What is judged is `obsnet.crosscheck.judge`
itself. A scenario is a row of `SCENARIOS`: which world, what is true of it that the inversion does not know, what the
inventories say, what is tested. Rates come with their standard error over draws, which are independent.

With ``--check`` nothing is written; the exit code is 1 where a rate that is promised is missed by more than four
standard errors.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path

import numpy as np

from obsnet.crosscheck.verdict import Rule, Verdicts, judge

ROOT = Path(__file__).resolve().parents[1]
PAGE = ROOT / "docs" / "crosscheck.md"
BEGIN, END = "<!-- calibration: made by scripts/calibrate_verdicts.py -->", "<!-- /calibration -->"
TOTAL, OWN_SD = 100.0, 2.0  # Mt a year of every province, and the inventories' standard deviation


@dataclass(frozen=True)
class World:
    """What the inversion assumes.

    Parameters
    ----------
    regions, months : int
        Provinces in a row, months.
    length, tau : float
        Correlation of the prior's errors: provinces, months (0 is none).
    spread : float
        Relative sd of the prior's totals.
    error : float
        Sd of an observation, in units of what a province of 100 Mt makes at its own station.
    """

    regions: int = 13
    months: int = 1
    length: float = 1.0
    tau: float = 0.0
    spread: float = 0.15
    error: float = 0.03


@dataclass(frozen=True, eq=False)
class Inversion:
    """The inversion of a world: what a verdict needs, and what is needed to draw truths and data."""

    prior: np.ndarray
    kernel: np.ndarray
    noise: np.ndarray
    covariance: np.ndarray
    gain: np.ndarray
    jacobian: np.ndarray
    biosphere: np.ndarray
    error: float


def _correlation(n: int, length: float) -> np.ndarray:
    if length <= 0:
        return np.eye(n)
    return np.exp(-np.abs(np.subtract.outer(np.arange(n), np.arange(n))) / length)


def covariance(world: World) -> np.ndarray:
    """Return the prior covariance of fossil totals, (region, month) with the month fastest."""
    together = np.kron(_correlation(world.regions, world.length), _correlation(world.months, world.tau))
    return (world.spread * TOTAL) ** 2 * together


@lru_cache(maxsize=64)
def invert(world: World) -> Inversion:
    """Solve a world exactly; fossil and biosphere jointly."""
    sites = 3 * world.regions
    where = np.linspace(-0.5, world.regions - 0.5, sites)
    distance = np.abs(np.subtract.outer(where, np.arange(world.regions)))
    space = np.exp(-distance / 0.9) / TOTAL
    time = np.eye(world.months) + 0.3 * np.eye(world.months, k=-1)  # air of the month before is still there
    jacobian = np.kron(space, time)
    fossil = covariance(world)
    land = (0.03 * TOTAL) ** 2 * np.kron(_correlation(world.regions, 5.0), _correlation(world.months, 1.0))
    seen = jacobian @ (fossil + land) @ jacobian.T + world.error**2 * np.eye(len(jacobian))
    gain = np.linalg.solve(seen, jacobian @ fossil).T
    kernel = gain @ jacobian
    noise = world.error**2 * gain @ gain.T + kernel @ land @ kernel.T
    prior = np.full(len(fossil), TOTAL)
    return Inversion(prior, kernel, noise, fossil, gain, jacobian, np.linalg.cholesky(land), world.error)


@dataclass(frozen=True)
class Draw:
    """One truth, and what the inventories would say if they were right."""

    truth: np.ndarray
    posterior: np.ndarray
    right: np.ndarray


Plan = Callable[[np.ndarray, np.ndarray], tuple[np.ndarray, np.ndarray]]


def all_right(right: np.ndarray, smallest: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Inventories as drawn; none is wrong."""
    return right, np.zeros(len(right), dtype=bool)


def off_by_minimum(count: int, times: float = 1.0) -> Plan:
    """Make every third inventory too high by its minimum detectable discrepancy, `count` of them in all."""

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
    error_factor : float
        By what the errors of observations and priors are larger than stated, in sd.
    rho, declared : float
        Correlation between errors of inventory and prior, and what of it the verdict is told.
    promised : dict of str to float
        Rates that are promised: ``false`` at most, ``power`` within 0.03.
    """

    name: str
    world: World
    plan: Plan = all_right
    tested: str = "month"
    true_world: World | None = None
    truth: Callable[[np.random.Generator, Inversion], np.ndarray] | None = None
    error_factor: float = 1.0
    rho: float = 0.0
    declared: float = 0.0
    promised: dict[str, float] = field(default_factory=lambda: {"false": 0.05})


def draw(scenario: Scenario, made: Inversion, weights: np.ndarray, rng: np.random.Generator) -> Draw:
    """Draw a truth, observe it, invert, and let inventories err as they state."""
    source = made if scenario.true_world is None else invert(scenario.true_world)
    if scenario.truth is None:
        factor = np.linalg.cholesky(source.covariance + 1e-9 * np.eye(len(source.prior)))
        truth = made.prior + scenario.error_factor * factor @ rng.standard_normal(len(made.prior))
    else:
        truth = scenario.truth(rng, source)
    land = scenario.error_factor * made.biosphere @ rng.standard_normal(len(truth))
    noise = scenario.error_factor * made.error * rng.standard_normal(len(made.jacobian))
    posterior = made.prior + made.gain @ (made.jacobian @ (truth - made.prior + land) + noise)
    tested, before = weights @ truth, weights @ made.prior
    spread = np.sqrt(np.einsum("ij,jk,ik->i", weights, source.covariance, weights))
    common = scenario.rho * (before - tested) / spread  # what the inventory has of the prior's own error
    fresh = np.sqrt(1.0 - scenario.rho**2) * rng.standard_normal(len(tested))
    return Draw(truth, posterior, tested + OWN_SD * (common + fresh))


def weights_of(world: World, tested: str) -> tuple[np.ndarray, np.ndarray]:
    """Return w of every region, and which totals are its own."""
    share = np.zeros(world.months)
    share[slice(None) if tested == "year" else world.months // 2] = 1.0
    share /= share.sum()
    own = np.kron(np.eye(world.regions), np.ones((1, world.months)))
    return np.kron(np.eye(world.regions), share[None, :]), own


def run(scenario: Scenario, draws: int, seed: int = 0) -> dict[str, tuple[float, float]]:
    """Return rates of a scenario with their standard errors: what of what is in the keys' names."""
    made = invert(scenario.world)
    weights, own = weights_of(scenario.world, scenario.tested)
    pattern = own * (weights @ made.covariance)
    rule = Rule()

    def verdicts(posterior: np.ndarray, inventory: np.ndarray) -> Verdicts:
        return judge(
            prior=made.prior,
            posterior=posterior,
            averaging_kernel=made.kernel,
            noise_covariance=made.noise,
            prior_covariance=made.covariance,
            inventory=inventory,
            inventory_sd=np.full(len(weights), OWN_SD),
            rule=rule,
            weights=weights,
            pattern=pattern,
            shared=scenario.declared,
        )

    rows: dict[str, list[tuple[float, float]]] = {}
    for number in range(draws):
        rng = np.random.default_rng([seed, number])
        one = draw(scenario, made, weights, rng)
        smallest = verdicts(one.posterior, one.right).minimum_detectable
        inventory, wrong = scenario.plan(one.right, smallest)
        found = verdicts(one.posterior, inventory)
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


POWER = {"false": 0.05, "power": 0.80}
SCENARIOS = (
    Scenario("right inventories", World()),
    *(
        Scenario(f"one of {n} off by its minimum", World(regions=n), off_by_minimum(1), promised=POWER)
        for n in (1, 5, 13, 34)
    ),
    Scenario(
        "one of 13 months' totals off by its minimum",
        World(months=6, tau=2.0),
        off_by_minimum(1),
        promised=POWER,
    ),
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
    Scenario("shared data, correlation 0.8, declared", World(), rho=0.8, declared=0.8),
    Scenario("shared data, correlation 0.8, not declared", World(), rho=0.8, promised={}),
    Scenario(
        "all errors 1.12 times as stated (chi-square 1.25)", World(), error_factor=1.25**0.5, promised={}
    ),
    # Slots: "coastal" wants a `World` whose totals come from cells shared with the sea, and a `truth` that puts
    # plants at their places; "lognormal truth" wants a `truth` and the lognormal solver's totals in `invert`.
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


def main() -> int:
    """Write the table, or check it."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--draws", type=int, default=2000)
    parser.add_argument("--only", default="", help="scenarios whose name holds this")
    parser.add_argument("--check", action="store_true")
    options = parser.parse_args()
    text, kept = table(options.draws, options.only)
    if options.check or options.only:
        return 0 if kept else 1
    page = PAGE.read_text(encoding="utf-8")
    head, _, rest = page.partition(BEGIN)
    _, _, tail = rest.partition(END)
    PAGE.write_text(f"{head}{BEGIN}\n{text}\n{END}{tail}", encoding="utf-8")
    return 0 if kept else 1


if __name__ == "__main__":
    sys.exit(main())
