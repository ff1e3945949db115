#!/usr/bin/env python
"""Draw truths, observe, invert, judge: how often verdicts keep what they promise. Writes docs/crosscheck.md's table.

    python scripts/calibrate_verdicts.py [--draws 2000] [--only NAME] [--check]    # --only writes those rows

A world is a row of provinces over some months with two sectors, fossil and biosphere, observed by footprints that
also see the neighbours and the month before; its inversion is exact. What is judged is `crosscheck.rules.verdict.judge`
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
from functools import lru_cache
from pathlib import Path

import numpy as np

from obsnet.crosscheck.compared.joint import joint_sets, resolve
from obsnet.crosscheck.rules.verdict import Rule, Verdicts, judge

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
    gap : float
        Distance of every second province from the one before it; the next pair stands two away.
    coast : {"", "flux", "area"}
        Every province has 40 % of its flux in a cell that half is sea, plants ashore beside ships; by what such cells
        are split between province and sea.
    lognormal : bool
        Fluxes cannot be negative: tested with what method ``lognormal`` tests with.
    """

    regions: int = 13
    months: int = 1
    length: float = 1.0
    tau: float = 0.0
    spread: float = 0.15
    error: float = 0.03
    gap: float = 1.0
    coast: str = ""
    lognormal: bool = False


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
    coast: Coast | None = None


@dataclass(frozen=True, eq=False)
class Coast:
    """What is true of provinces on a coast: inner flux, plants ashore and ships, each (region).

    Attributes
    ----------
    mean, root : ndarray, shape (3 regions,) and (3 regions, k)
        Prior mean of these elements and the factor of their covariance.
    jacobian : ndarray, shape (sites, 3 regions)
    totals : ndarray, shape (regions, 3 regions)
        True totals of the provinces: inner and plants.
    """

    mean: np.ndarray
    root: np.ndarray
    jacobian: np.ndarray
    totals: np.ndarray


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
    if world.coast:
        return _invert_coast(world)
    if world.lognormal:
        return _invert_lognormal(world, invert(replace(world, lognormal=False)))
    sites = 3 * world.regions
    where = np.linspace(-0.5, world.regions - 0.5, sites)
    place = np.arange(world.regions) - (1.0 - world.gap) * (np.arange(world.regions) % 2)
    distance = np.abs(np.subtract.outer(where, place))
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


def _invert_coast(world: World) -> Inversion:
    """Solve for the cells of a coast: an inner one and one shared with the sea for each province."""
    n, eye = world.regions, np.eye(world.regions)
    plants, ships = 0.4 * TOTAL, 0.05 * TOTAL
    mean = np.repeat([TOTAL - plants, plants, ships], n)
    # a factor on a whole province, and of each element by itself
    own = np.linalg.cholesky(_correlation(n, world.length) + 1e-12 * eye)
    common = world.spread * mean[:, None] * np.vstack([own, own, np.zeros((n, n))])
    apart = np.diag(0.1 * mean)
    root = np.hstack([common, apart])
    sites = np.linspace(-0.5, n - 0.5, 3 * n)
    near = np.exp(-np.abs(np.subtract.outer(sites, np.arange(n))) / 0.9) / TOTAL
    shore = np.exp(-np.abs(np.subtract.outer(sites, np.arange(n) + 0.2)) / 0.9) / TOTAL
    jacobian = np.hstack([near, shore, shore])
    cells = np.kron(np.array([[1.0, 0.0, 0.0], [0.0, 1.0, 1.0]]), eye)  # plants and ships stand in one cell
    h = np.hstack([near, shore])
    b = cells @ root @ root.T @ cells.T
    land = (0.03 * TOTAL) ** 2 * _correlation(n, 5.0)
    seen = h @ b @ h.T + near @ land @ near.T + world.error**2 * np.eye(len(h))
    share = plants / (plants + ships) if world.coast == "flux" else 0.5
    g = np.hstack([eye, share * eye])
    before = cells @ mean
    pattern = np.where(
        g.T > 0, before[:, None] / (g @ before), 0.0
    )  # U: a total spread as its prior; g U = 1
    gain = np.linalg.solve(seen, h @ b).T
    rows = g @ gain
    kernel = rows @ h @ pattern
    inside = rows @ h @ (np.eye(2 * n) - pattern @ g)
    noise = world.error**2 * rows @ rows.T + rows @ near @ land @ near.T @ rows.T + inside @ b @ inside.T
    totals = np.hstack([eye, eye, np.zeros((n, n))])
    coast = Coast(mean, root, jacobian, totals)
    return Inversion(
        g @ before, kernel, noise, g @ b @ g.T, rows, near, np.linalg.cholesky(land), world.error, coast
    )


def _invert_lognormal(world: World, made: Inversion) -> Inversion:
    """Return the linear estimate that method `lognormal` tests with."""
    from inversion.operators.covariance import BlockDiagonalCovariance, DenseCovariance
    from inversion.problem.problem import Problem
    from inversion.solvers.lognormal import linear_estimate

    m = len(made.prior)
    log = np.log1p(made.covariance / np.outer(made.prior, made.prior))
    land = made.biosphere @ made.biosphere.T
    prior = np.concatenate([made.prior * np.exp(-0.5 * np.diagonal(log)), np.zeros(m)])
    h = np.hstack([made.jacobian, made.jacobian])
    error = BlockDiagonalCovariance([DenseCovariance(log, "fossil"), DenseCovariance(land, "land")])
    problem = Problem(h, np.zeros(len(h)), np.full(len(h), world.error**2), prior, error)
    found, weights = linear_estimate(problem, np.arange(2 * m) < m), np.eye(m, 2 * m)
    rows, before = found.gain_rows(weights), found.prior_aggregate(weights)
    kernel = rows @ made.jacobian
    noise = world.error**2 * rows @ rows.T + kernel @ land @ kernel.T
    return Inversion(
        before.mean, kernel, noise, before.covariance, rows, made.jacobian, made.biosphere, made.error
    )


def lognormal_truth(rng: np.random.Generator, made: Inversion) -> np.ndarray:
    """Draw totals whose logarithms are normal, with the mean and covariance of the prior."""
    log = np.log1p(made.covariance / np.outer(made.prior, made.prior))
    z = np.linalg.cholesky(log) @ rng.standard_normal(len(made.prior))
    return made.prior * np.exp(z - 0.5 * np.diagonal(log))


def truncated_truth(rng: np.random.Generator, made: Inversion) -> np.ndarray:
    """Draw totals of the normal prior that are not below zero."""
    factor = np.linalg.cholesky(made.covariance)
    while True:
        truth = made.prior + factor @ rng.standard_normal(len(made.prior))
        if (truth >= 0.0).all():
            return truth


def truncated_mean(rng: np.random.Generator, made: Inversion, data: np.ndarray) -> np.ndarray:
    """Return the posterior mean of totals as method `truncated` draws it; `data` is about the prior."""
    from inversion.operators.covariance import BlockDiagonalCovariance, DenseCovariance
    from inversion.problem.problem import Problem
    from inversion.solvers.truncated import solve_truncated

    m = len(made.prior)
    land = made.biosphere @ made.biosphere.T
    error = BlockDiagonalCovariance(
        [DenseCovariance(made.covariance, "fossil"), DenseCovariance(land, "land")]
    )
    h = np.hstack([made.jacobian, made.jacobian])
    prior = np.concatenate([made.prior, np.zeros(m)])
    observations = data + made.jacobian @ made.prior
    problem = Problem(h, observations, np.full(len(h), made.error**2), prior, error)
    lower = np.concatenate([np.zeros(m), np.full(m, -np.inf)])
    seed = int(rng.integers(2**31))
    return solve_truncated(problem, lower, draws=2000, least=100.0, seed=seed).mean[:m]


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
