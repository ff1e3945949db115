"""What observations could ever test: the discrepancies of provincial inventories that a verdict would find.

The world has two unknown fluxes, fossil emissions and the biosphere. Fossil emissions are beforehand those of the
inventory, even over the land of each province, and uncertain; the biosphere is uncertain as China's sink is. CO2 sees
their sum. NO2 leaves the same chimneys and is gone within hours (Reuter et al. 2019, doi:10.5194/acp-19-9371-2019), so
it sees fossil emissions of the last hours alone; but how much CO2 goes with it is known to a share e_r only::

    y_co2 = H (fossil + biosphere) + inflow + shared errors + noise
    y_no2 = H_fresh (fossil + sum of e_r prior_r) + shared errors + noise

(linear in the unknown ratio of each province, an unknown of the state that no averaging makes smaller). The problem is
solved as any other, and its fossil totals go to the verdict's own rule, `crosscheck.rules.verdict.judge`: response,
standard deviation, minimum detectable discrepancy and the level that is left to a discovery among as many provinces
as are testable with this system. So the power that is stated is the verdict's.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import scipy.sparse as sp

from inversion.case.blocks.block import Block
from inversion.case.blocks.prior import sector_error
from inversion.operators.covariance import DiagonalCovariance
from inversion.problem.problem import Problem
from inversion.problem.state import StateBlock
from inversion.problem.totals import Totals, TotalWeights, region_totals, total_weights
from inversion.solvers.choose import solve
from inversion.study.options import DetectOptions
from inversion.study.words import NATIONAL
from inversion.study.worlds.world import StudyWorld, once
from obsnet.crosscheck.compared.inventory_rows import Chosen
from obsnet.crosscheck.rules.rule import detection_power
from obsnet.crosscheck.rules.verdict import Rule, Verdict, Verdicts, judge
from obsnet.errors import ConfigError
from obsnet.shares import Shares
from obsnet.typing import Bools, Floats

__all__ = ["Fossil", "Setting", "detect", "fossil_prior", "networks_of", "set_up", "verdicts"]

FOSSIL, BIOSPHERE, RATIO, NO2 = (
    "fossil",
    "biosphere",
    "ratio",
    "no2",
)  # blocks of the state; a part of a system's name


@dataclass(frozen=True, eq=False)
class Fossil:
    """Fossil emissions as an inventory has them.

    Parameters
    ----------
    total, sd : ndarray, shape (regions,)
        Mt a year and standard deviation; NaN where the inventory has none.
    flux : ndarray, shape (cells,)
        Unit of the state.
    shares : Shares
        Of the sector ``fossil``, by flux.
    """

    total: Floats
    sd: Floats
    flux: Floats
    shares: Shares


@dataclass(frozen=True, eq=False)
class Setting:
    """The problem of one observing system and its totals.

    Parameters
    ----------
    problem : Problem
        Values of observations do not matter.
    weights : TotalWeights
        Of the sector ``fossil``, all regions, one period.
    fossil : Fossil
        What is under test.
    mass : float
        Mt a year of one mol s-1.
    notes : tuple of str
        What was assumed.
    """

    problem: Problem
    weights: TotalWeights
    fossil: Fossil
    mass: float
    notes: tuple[str, ...]


def networks_of(system: str) -> tuple[list[str], bool]:
    """Return the networks of a system such as ``co2m_1+stations_60+no2``, and whether NO2 goes with their columns."""
    parts = [part.strip() for part in system.split("+")]
    networks = [part for part in parts if part.casefold() != NO2]
    return networks, len(networks) < len(parts)


def fossil_prior(world: StudyWorld, chosen: Chosen) -> Fossil:
    """Spread an inventory over its provinces.

    Parameters
    ----------
    world : StudyWorld
        Of CO2.
    chosen : Chosen
        Totals in the order of the world's regions.
    """
    area = world.shares.regional("flux")
    cells = world.grid.cell_area.ravel()
    unit = float(world.gas.unit)
    land = area @ cells
    total = np.nan_to_num(chosen.value) / world.mass  # mol s-1
    density = np.where(land > 0.0, total / np.where(land > 0.0, land, 1.0), 0.0) / unit
    flux = area.T @ density
    # Whose a cell's flux is: here it is known exactly, each province's is even over its land.
    burnt = flux > 0.0
    scale = sp.diags_array(np.where(burnt, 1.0 / np.where(burnt, flux, 1.0), 0.0))
    own = sp.diags_array(density) @ area @ scale
    rest = sp.csr_array((len(world.shares.labels) - len(world.shares.regions), cells.size))
    by_flux = sp.vstack([own, rest]) + world.shares.part("flux") @ sp.diags_array((~burnt).astype(float))
    shares = Shares(
        world.shares.labels,
        world.grid,
        {FOSSIL: sp.csr_array(by_flux)},
        {FOSSIL: "even over the land of each province"},
    )
    return Fossil(chosen.value, chosen.sd, flux, shares)


def set_up(
    world: StudyWorld, system: str, fossil: Fossil, options: DetectOptions, folder: Path = Path()
) -> Setting:
    """Return the problem of one observing system.

    Parameters
    ----------
    world : StudyWorld
        Where and when.
    system : str
        Networks joined by ``+``; ``+no2`` puts NO2 beside their columns.
    fossil : Fossil
        From `fossil_prior`.
    options : DetectOptions
        Prior error of the fossil emissions, ratio and lifetime of NO2.
    folder : Path
        What files of networks are relative to.

    Raises
    ------
    ConfigError
        NO2 of stations.
    """
    networks, no2 = networks_of(system)
    made, notes = world.observe(networks, folder)
    made = once(made)
    if no2:
        if not made.column.any():
            raise ConfigError(f"system {system!r}: NO2 goes with the columns of a satellite, there are none")
        made = made.with_no2()
    bins, unit = world.bins, float(world.gas.unit)
    mean = np.tile(fossil.flux, (bins.size, 1))

    def solved(h: sp.csr_array) -> list[Block]:
        error = sector_error(
            options.fossil,
            mean,
            bins=bins,
            grid=world.grid,
            fraction=fossil.shares.regional(FOSSIL),
            scale=1.0 / unit,
        )
        carbon = sp.csr_array(sp.diags_array((~made.no2).astype(float)) @ h)
        blocks = [
            Block(world.fluxes(FOSSIL), h, mean.ravel(), error),
            Block(world.fluxes(BIOSPHERE), carbon, np.zeros(mean.size), world.prior_error()),
        ]
        if made.no2.any() and options.no2_ratio > 0.0:
            blocks.append(_ratio(h, made.no2, fossil, bins.size, options.no2_ratio))
        return blocks

    problem, errors = world.problem(made, solved, options.no2_error, options.no2_hours)
    assert problem.state is not None
    weights = total_weights(
        problem.state,
        (FOSSIL,),
        {FOSSIL: mean * unit},
        bins={FOSSIL: bins},
        shares=fossil.shares,
        periods=bins.edges[[0, -1]],
        scale=1.0 / unit,
    )
    told = tuple(dict.fromkeys([*world.notes(made), *errors, *notes]))
    return Setting(problem, weights, fossil, world.mass, told)


def _ratio(h: sp.csr_array, no2: Bools, fossil: Fossil, bins: int, sd: float) -> Block:
    """Return the unknown ratio of CO2 to NO2 of each province that burns anything, relative to what is assumed."""
    own = fossil.shares.regional(FOSSIL).multiply(fossil.flux[None, :])
    burns = np.flatnonzero(np.asarray(own.sum(axis=1)).ravel() > 0.0)
    pattern = sp.csr_array(sp.vstack([sp.csr_array(own)[burns].T] * bins))
    matrix = sp.csr_array(sp.diags_array(no2.astype(float)) @ (h @ pattern))
    names = np.array(fossil.shares.regions)[burns]
    block = StateBlock(RATIO, "other", ("region",), {"region": names}, "1")
    return Block(block, matrix, np.zeros(burns.size), DiagonalCovariance(np.full(burns.size, sd**2)))


def verdicts(
    setting: Setting, totals: Totals, rule: Rule, weights: Floats, inventory: Floats, inventory_sd: Floats
) -> Verdicts:
    """Return the verdicts that inventories of sums of provinces would get, with the posterior at the prior.

    Parameters
    ----------
    setting : Setting
    totals : Totals
        Of its solution.
    rule : Rule
    weights : ndarray, shape (tested, regions)
        Which provinces each test sums.
    inventory, inventory_sd : ndarray, shape (tested,)
        Mt a year.
    """
    w = np.hstack([weights, np.zeros((len(weights), len(totals.prior.mean) - weights.shape[1]))])
    before, spread = setting.mass * totals.prior.mean, setting.mass**2 * totals.prior.covariance
    return judge(
        prior=before,
        posterior=before,
        averaging_kernel=totals.kernel,
        noise_covariance=setting.mass**2 * totals.test,
        prior_covariance=spread,
        inventory=inventory,
        inventory_sd=inventory_sd,
        rule=rule,
        weights=w,
        pattern=np.where(w > 0.0, w @ spread, 0.0),
    )


def detect(setting: Setting, names: Sequence[str], options: DetectOptions) -> list[dict[str, Any]]:
    """Return what one system could find: one row a province, then China as a whole, tested by itself.

    Parameters
    ----------
    setting : Setting
        From `set_up`.
    names : sequence of str
        Keys of the regions.
    options : DetectOptions
        Discrepancies and rule.

    Returns
    -------
    list of dict
        ``region, inventory, inventory_sd, prior_sd, posterior_sd`` (Mt a year), ``response``, ``difference_sd``,
        ``minimum_detectable`` (share of the inventory), ``level``, ``testable``, ``power`` at each discrepancy
        (0 where nothing would be tested) and ``reached``, the smallest discrepancy whose power is the rule's, or None;
        ``reason`` and ``reason_zh`` why a province is not testable.
    """
    rule, fossil = options.rule(), setting.fossil
    posterior = solve(setting.problem, totals=setting.weights.weights.shape[0])
    totals = region_totals(posterior, setting.weights)
    there = np.isfinite(fossil.total)
    tests = (
        (np.eye(len(names)), fossil.total, fossil.sd),
        # a group's inventories are taken to be wrong together, as in a cross-check
        (there[None, :] * 1.0, np.array([np.nansum(fossil.total)]), np.array([np.nansum(fossil.sd)])),
    )
    rows: list[dict[str, Any]] = []
    for keys, (w, value, sd) in zip((names, [NATIONAL]), tests, strict=True):
        found = verdicts(setting, totals, rule, w, value, sd)
        spread = [_sd(setting, w, a.covariance) for a in (totals.prior, totals.posterior)]
        share = found.minimum_detectable / np.abs(value)
        for k, key in enumerate(keys):
            testable = found.verdict[k] is not Verdict.NOT_TESTABLE
            rows.append(
                {
                    "region": key,
                    "inventory": value[k],
                    "inventory_sd": sd[k],
                    "prior_sd": spread[0][k],
                    "posterior_sd": spread[1][k],
                    "response": found.response[k],
                    "difference_sd": found.sd[k],
                    "minimum_detectable": share[k],
                    "level": found.level[k],
                    "testable": testable,
                    "power": [
                        float(detection_power(d * value[k], found.sd[k], found.response[k], found.level[k]))
                        if testable
                        else 0.0
                        for d in options.discrepancy
                    ],
                    "reached": next(
                        (d for d in sorted(options.discrepancy) if testable and share[k] <= d), None
                    ),
                    "reason": found.reasons[k].en,
                    "reason_zh": found.reasons[k].zh,
                }
            )
    return rows


def _sd(setting: Setting, weights: Floats, covariance: Floats) -> Floats:
    """Return the standard deviation of sums of provinces' fossil totals, Mt a year."""
    n = weights.shape[1]
    variance = np.einsum("ij,jk,ik->i", weights, covariance[:n, :n], weights)
    return setting.mass * np.sqrt(np.maximum(variance, 0.0))
