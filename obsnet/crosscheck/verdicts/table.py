"""Compare an inversion's region totals with an inventory: from files to one row a region."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np

from obsnet.crosscheck.bridge.harmonise import Bridge, bridge_table, harmonise, refuse_net
from obsnet.crosscheck.compared.fit import judge_fit
from obsnet.crosscheck.compared.inventory_rows import RowChoice, choose_rows
from obsnet.crosscheck.compared.noise import noise_of
from obsnet.crosscheck.compared.periods import TimeChoice, match_periods
from obsnet.crosscheck.compared.quantity import Sums, covariance_of, make_quantities
from obsnet.crosscheck.compared.totals import RegionTotals, read_totals
from obsnet.crosscheck.rules.rule import ADJUSTMENT
from obsnet.crosscheck.rules.statistics import plain_statistics
from obsnet.crosscheck.rules.verdict import Rule, judge
from obsnet.crosscheck.verdicts.all_regions import STATISTICS, all_regions
from obsnet.crosscheck.verdicts.columns import described, found_columns, required_columns
from obsnet.crosscheck.words import of_the_run, say
from obsnet.errors import FormatError
from obsnet.inventory.notes import in_both
from obsnet.inventory.sources.carbon import said_of_carbon
from obsnet.inventory.table import check_inventory
from obsnet.language import NOTHING, period_zh
from obsnet.reading import door, read_csv

__all__ = [
    "Choices",
    "Crosschecked",
    "RegionTotals",
    "check",
    "compare",
    "read_covariance",
    "read_statistics",
    "read_table",
    "read_totals",
]

_RULE = ("alpha", "power", "detectable", "margin_share", "adjustment")
_TEXTS = (
    "name_en",
    "name_zh",
    "kind",
    "members",
    "reason",
    "reason_zh",
    "remark",
    "remark_zh",
    "category",
    "terminology",
    "correlation_with",
    "joint",
    "requirement_met",
)
_SOURCES = ("inventory_source", "prior_name", "region_source")


@dataclass(frozen=True)
class Choices:
    """What the user says where files leave something open.

    Parameters
    ----------
    rows : RowChoice
        Which rows of the inventory.
    time : TimeChoice
        How an inventory is held against another time.
    sums : Sums
        Which sums of regions are tested, besides each by itself.
    prescribed : mapping of str to float
        Relative sd, by a common factor, of sectors that the inversion took as exact.
    shared : float
        Correlation between the errors of inventory and prior, see `verdict.judge`.
    common : float, optional
        Correlation between the errors of two regions' inventories; if nothing is said, sums take 1 and chi-square over
        all regions both 0 and 1.
    chi_square : (float, float), optional
        Bounds within which the run's fit is accepted, in the place of `fit.chi_square_bounds`.
    bridge : Bridge, optional
        Between the definitions of inventory and inversion.
    """

    rows: RowChoice = field(default_factory=RowChoice)
    time: TimeChoice = field(default_factory=TimeChoice)
    sums: Sums = field(default_factory=Sums)
    prescribed: Mapping[str, float] = field(default_factory=dict)
    shared: float = 0.0
    common: float | None = None
    chi_square: tuple[float, float] | None = None
    bridge: Bridge | None = None


@dataclass(frozen=True)
class Crosschecked:
    """What a cross-check found.

    Parameters
    ----------
    table : pandas.DataFrame
        See `compare`.
    covariance : pandas.DataFrame
        Of the posterior totals of the table's rows, (Mt a year) squared, rows and columns by ``region``; NaN where the
        posterior file does not say.
    statistics : pandas.DataFrame
        Of all regions together: ``statistic, value, text, text_zh, told``; ``told`` is 1 where a reader of verdicts
        must know of it.
    bridge : pandas.DataFrame or None
        See `bridge.harmonise.bridge_table`; None where none was asked for.
    """

    table: Any
    covariance: Any
    statistics: Any
    bridge: Any = None


def compare(totals: RegionTotals, inventory: Any, **said: Any) -> Any:
    """Judge every region's inventory.

    Parameters
    ----------
    totals, inventory, **said
        As in `check`.

    Returns
    -------
    pandas.DataFrame
        One row a region of the inversion (without those of `obsnet.regions.REST`), then one a set of regions that are
        not told apart, then one a group (``kind``, with the regions in ``members``). What was found: ``region,
        name_en, name_zh, kind, members, gas, sector, unit, inventory, inventory_sd, prior, prior_sd, posterior,
        posterior_sd, difference, difference_sd, response, resolution, correlation, correlation_with, joint,
        minimum_detectable, p_value, p_adjusted, margin, p_equivalence, equivalence_power, verdict, reason, reason_zh,
        remark, remark_zh``; totals in Mt of the gas a year. Beside the verdict: ``z, e_n, log_ratio, log_ratio_sd``
        (`statistics`), ``relative_sd, requirement, requirement_met`` (`published`). What was compared: ``period,
        inventory_period, category, terminology, inventory_source, prior_name, region_source``. By which rule: ``alpha,
        power, detectable, margin_share, adjustment, level, shared, chi_square, chi_square_low, chi_square_high``.
    """
    return check(totals, inventory, **said).table


def check(
    totals: RegionTotals,
    inventory: Any,
    *,
    rule: Rule | None = None,
    year: str | None = None,
    uncertainty: float | None = None,
    choices: Choices | None = None,
) -> Crosschecked:
    """Judge every region's inventory and what of them is not told apart.

    Parameters
    ----------
    totals : RegionTotals
        From `read_totals`.
    inventory : pandas.DataFrame
        From `obsnet.inventory.table.read_inventory`.
    rule : Rule, optional
        Limits of the verdict.
    year : str, optional
        Period of the inventory; needed if it has several.
    uncertainty : float, optional
        Relative sd for regions that state none.
    choices : Choices, optional
        Everything else that has to be said for some files.

    Raises
    ------
    ObsnetError
        The inventory has other gases, times, categories or regions than the inversion, no uncertainty, or rows that
        can be read in two ways; each names the option that settles it.
    """
    choices, rule = choices or Choices(), rule or Rule()
    refuse_net(totals.sector, totals.gas, choices.bridge)
    rows = choices.rows
    rows = replace(rows, period=year or rows.period, uncertainty=uncertainty or rows.uncertainty)
    chosen = choose_rows(inventory, totals.gas, totals.sector, totals.regions, rows)
    compared = match_periods(totals.periods, chosen.period, totals.asked, choices.time)
    common = 1.0 if choices.common is None else choices.common
    tested = make_quantities(totals, chosen, compared, choices.sums, choices.time.profile_uncertainty, common)
    stated = tested
    if choices.bridge is not None:
        tested = harmonise(stated, choices.bridge)
    fit = judge_fit(totals.fit, choices.chi_square)
    noise, unstated, notes = noise_of(totals, choices.prescribed)
    unable = say("no verdict", text=of_the_run(totals.no_verdict)) if totals.no_verdict else NOTHING
    bar = next((b for b in (unable, fit.barred, unstated) if b.en), NOTHING)
    found = judge(
        prior=totals.prior,
        posterior=totals.answer,
        averaging_kernel=totals.averaging_kernel,
        noise_covariance=noise,
        prior_covariance=totals.prior_covariance,
        inventory=tested.inventory,
        inventory_sd=tested.inventory_sd,
        rule=rule,
        weights=tested.weights,
        pattern=tested.pattern,
        shared=choices.shared,
        barred=[
            b if b.en or not np.isfinite(i) else bar
            for b, i in zip(tested.barred, tested.inventory, strict=True)
        ],
        family=tested.family,
    )
    remarks = [*fit.remarks, *notes, *(say("check", text=of_the_run(line)) for line in totals.checks)]
    if totals.gas == "CO2":
        remarks += map(in_both, said_of_carbon(check_inventory(inventory)))
    if choices.shared:
        remarks.append(say("shared", rho=choices.shared))
    if totals.tested is not None:
        remarks.append(say("linear"))
    if totals.not_told_apart:
        remarks.append(say("not told apart", sector=totals.sector))
    covariance = covariance_of(tested.weights, totals.posterior_covariance)
    plain = plain_statistics(
        tested.weights,
        tested.weights @ totals.posterior,
        np.diagonal(covariance),
        totals.averaging_kernel,
        totals.prior_covariance,
        tested.inventory,
        tested.inventory_sd,
        choices.shared,
    )
    table = found_columns(totals, tested, found, remarks, covariance).assign(
        z=plain.z,
        e_n=plain.e_n,
        log_ratio=plain.log_ratio,
        log_ratio_sd=plain.log_ratio_sd,
        **required_columns(tested, totals, covariance, found.response),
        period=compared.time,
        period_zh=period_zh(str(compared.time)),
        inventory_period=str(chosen.period),
        inventory_period_zh=period_zh(str(chosen.period)),
        **described(chosen, totals),
        alpha=rule.alpha,
        power=rule.power,
        detectable=rule.detectable,
        margin_share=rule.agreement,
        adjustment=ADJUSTMENT,
        level=found.level,
        shared=choices.shared,
        chi_square=np.nan if totals.fit.chi_square is None else totals.fit.chi_square,
        chi_square_low=fit.low,
        chi_square_high=fit.high,
    )
    import pandas as pd

    keys = pd.Index(table["region"], name="region")
    every = all_regions(
        totals,
        tested,
        noise,
        choices.common,
        choices.shared,
        table["requirement_met"],
        able=not bar.en,
        bridged=choices.bridge is not None,
    )
    square = pd.DataFrame(covariance, index=keys, columns=keys.to_numpy())
    if choices.bridge is None:
        return Crosschecked(table, square, every)
    seen, spread = table["posterior"].to_numpy(), table["posterior_sd"].to_numpy()
    return Crosschecked(table, square, every, bridge_table(stated, tested, choices.bridge, seen, spread))


@door("a table of verdicts")
def read_table(path: Path) -> Any:
    """Read a table that `compare` made and that was written as CSV.

    Parameters
    ----------
    path : Path
        ``provinces.csv``.

    Returns
    -------
    pandas.DataFrame
        See `compare`; empty texts are ``""``.

    Raises
    ------
    FormatError
        It is no such table, an old one that does not say its rule, or rows of several rules.
    """
    words = ("region", "period", "period_zh", "inventory_period", "inventory_period_zh", *_TEXTS, *_SOURCES)
    table = read_csv(path, dtype=dict.fromkeys(words, str))
    needed = (
        "region",
        "verdict",
        "sector",
        "inventory",
        "minimum_detectable",
        "period",
        *_RULE,
        *_TEXTS,
        *_SOURCES,
    )
    missing = [c for c in needed if c not in table.columns]
    if missing:
        raise FormatError(
            f"{path}: not a table of this version's `obsnet crosscheck`, make it again: no column {', '.join(missing)}"
        )
    if table.empty:
        raise FormatError(f"{path}: the table has no rows")
    several = [c for c in _RULE if table[c].nunique() > 1]
    if several:
        raise FormatError(f"{path}: rows of several rules ({', '.join(several)}); a table has one")
    return table.fillna(dict.fromkeys((*_TEXTS, *_SOURCES), ""))


@door("a table of statistics")
def read_statistics(path: Path) -> Any:
    """Read the statistics that `check` made, written as CSV."""
    frame = read_csv(path)
    missing = [c for c in STATISTICS if c not in frame.columns]
    if missing:
        raise FormatError(
            f"{path}: no table of statistics of `obsnet crosscheck`: no column {', '.join(missing)}"
        )
    return frame.fillna({"text": "", "text_zh": ""})


@door("a table of covariances")
def read_covariance(path: Path) -> Any:
    """Read the covariance that `check` made, written as CSV; an empty cell is not known."""
    frame = read_csv(path, dtype={"region": str}).set_index("region")
    if list(frame.columns) != list(frame.index):
        raise FormatError(
            f"{path}: not a covariance of `obsnet crosscheck`: rows and columns are not the same regions"
        )
    return frame.astype(float)
