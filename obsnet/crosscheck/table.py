"""Compare an inversion's region totals with an inventory: from files to one row a region."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np

from obsnet.crosscheck.fit import judge_fit
from obsnet.crosscheck.inventory_rows import Chosen, RowChoice, choose_rows
from obsnet.crosscheck.periods import TimeChoice, match_periods
from obsnet.crosscheck.quantity import Quantities, make_quantities
from obsnet.crosscheck.rule import ADJUSTMENT
from obsnet.crosscheck.totals import RegionTotals, read_totals
from obsnet.crosscheck.verdict import Rule, Verdicts, judge
from obsnet.crosscheck.words import NOTHING, Words, joined, say
from obsnet.errors import ConfigError, FormatError, RegionError, nearest
from obsnet.reading import door, read_csv
from obsnet.typing import Floats

__all__ = ["Choices", "RegionTotals", "compare", "read_table", "read_totals"]

_RULE = ("alpha", "power", "detectable", "margin_share", "adjustment")
_TEXTS = ("name_en", "name_zh", "reason", "reason_zh", "remark", "remark_zh", "category", "terminology")
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
    groups : mapping of str to sequence of str
        Regions to test as a sum, besides each by itself.
    prescribed : mapping of str to float
        Relative sd, by a common factor, of sectors that the inversion took as exact.
    shared : float
        Correlation between the errors of inventory and prior, see `verdict.judge`.
    chi_square : (float, float), optional
        Bounds within which the run's fit is accepted, in the place of `fit.chi_square_bounds`.
    """

    rows: RowChoice = field(default_factory=RowChoice)
    time: TimeChoice = field(default_factory=TimeChoice)
    groups: Mapping[str, Sequence[str]] = field(default_factory=dict)
    prescribed: Mapping[str, float] = field(default_factory=dict)
    shared: float = 0.0
    chi_square: tuple[float, float] | None = None


def compare(
    totals: RegionTotals,
    inventory: Any,
    *,
    rule: Rule | None = None,
    year: str | None = None,
    uncertainty: float | None = None,
    choices: Choices | None = None,
) -> Any:
    """Judge every region's inventory.

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

    Returns
    -------
    pandas.DataFrame
        One row a region of the inversion (without those of `totals.REST`), then one a group. What was found: ``region,
        name_en, name_zh, gas, sector, unit, inventory, inventory_sd, prior, prior_sd, posterior, posterior_sd,
        difference, difference_sd, response, minimum_detectable, p_value, p_adjusted, margin, p_equivalence,
        equivalence_power, verdict, reason, reason_zh, remark, remark_zh``; totals in Mt of the gas a year. What
        was compared: ``period, inventory_period, category, terminology, inventory_source, prior_name,
        region_source``. By which rule: ``alpha, power, detectable, margin_share, adjustment, level, shared,
        chi_square, chi_square_low, chi_square_high``.

    Raises
    ------
    ObsnetError
        The inventory has other gases, times, categories or regions than the inversion, no uncertainty, or rows that
        can be read in two ways; each names the option that settles it.
    """
    choices, rule = choices or Choices(), rule or Rule()
    rows = choices.rows
    rows = replace(rows, period=year or rows.period, uncertainty=uncertainty or rows.uncertainty)
    chosen = choose_rows(inventory, totals.gas, totals.sector, totals.regions, rows)
    compared = match_periods(totals.periods, chosen.period, totals.asked, choices.time)
    tested = make_quantities(totals, chosen, compared, choices.groups, choices.time.profile_uncertainty)
    fit = judge_fit(totals.fit, choices.chi_square)
    noise, unstated, notes = _prescribed(totals, choices.prescribed)
    unable = say("no verdict", text=totals.no_verdict) if totals.no_verdict else NOTHING
    bar = next((b for b in (unable, fit.barred, unstated) if b.en), NOTHING)
    found = judge(
        prior=totals.prior,
        posterior=totals.posterior,
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
    )
    common = [*fit.remarks, *notes, *(say("check", text=line) for line in totals.checks)]
    if choices.shared:
        common.append(say("shared", rho=choices.shared))
    if totals.not_told_apart:
        common.append(say("not told apart", sector=totals.sector))
    table = _found(totals, tested, found, common)
    return table.assign(
        period=compared.time,
        inventory_period=str(chosen.period),
        **_described(chosen, totals),
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
    words = ("region", "period", "inventory_period", *_TEXTS, *_SOURCES)
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


def _found(totals: RegionTotals, tested: Quantities, found: Verdicts, common: list[Words]) -> Any:
    """Return the columns of what was found."""
    import pandas as pd

    w = tested.weights
    remarks = [
        joined([remark, *own, *common]) for remark, own in zip(found.remarks, tested.remarks, strict=True)
    ]
    return pd.DataFrame(
        {
            "region": tested.names,
            "name_en": [totals.names.get(r, r) for r in tested.names],
            "name_zh": [_chinese(r, totals) for r in tested.names],
            "gas": totals.gas,
            "sector": totals.sector,
            "unit": "Mt",
            "inventory": tested.inventory,
            "inventory_sd": tested.inventory_sd,
            "prior": w @ totals.prior,
            "prior_sd": _sd(w, totals.prior_covariance),
            "posterior": w @ totals.posterior,
            "posterior_sd": _sd(w, totals.posterior_covariance),
            "difference": found.difference,
            "difference_sd": found.sd,
            "response": found.response,
            "minimum_detectable": found.minimum_detectable,
            "p_value": found.p_value,
            "p_adjusted": found.p_adjusted,
            "margin": found.margin,
            "p_equivalence": found.p_equivalence,
            "equivalence_power": found.equivalence_power,
            "verdict": [str(v) for v in found.verdict],
            "reason": [r.en for r in found.reasons],
            "reason_zh": [r.zh for r in found.reasons],
            "remark": [r.en for r in remarks],
            "remark_zh": [r.zh for r in remarks],
        }
    )


def _described(chosen: Chosen, totals: RegionTotals) -> dict[str, str]:
    return {
        "category": chosen.category,
        "terminology": chosen.terminology,
        "inventory_source": chosen.source,
        "prior_name": totals.prior_name,
        "region_source": totals.region_source,
    }


def _sd(weights: Floats, covariance: Floats) -> Floats:
    """Return the standard deviation of sums; what has no weight may be unknown."""
    variance = np.empty(len(weights))
    for k, row in enumerate(weights):
        at = np.flatnonzero(row)
        variance[k] = row[at] @ covariance[np.ix_(at, at)] @ row[at]
    return np.sqrt(np.maximum(variance, 0.0))


def _chinese(region: str, totals: RegionTotals) -> str:
    from obsnet.regions import region_name

    try:
        return region_name(region, "zh")
    except RegionError:  # the user's own regions and groups
        return totals.names.get(region, region)


def _prescribed(totals: RegionTotals, stated: Mapping[str, float]) -> tuple[Floats, Words, list[Words]]:
    """Return the noise with what prescribed sectors add, why nothing can be tested if so, and remarks.

    A prescribed sector is taken to be wrong by one factor everywhere.
    """
    noise = totals.noise_covariance
    notes: list[Words] = []
    for sector in stated:
        if sector not in totals.prescribed:
            raise ConfigError(
                f"--prescribed {sector}: the inversion does not prescribe it{nearest(sector, totals.prescribed)}"
            )
    for sector, answer in totals.prescribed.items():
        if sector not in stated:
            return noise, say("prescribed", sector=sector), notes
        if stated[sector] == 0.0:
            notes.append(say("prescribed exact", sector=sector))
        elif answer is None:
            return noise, say("prescribed unknown", sector=sector), notes
        else:
            noise = noise + stated[sector] ** 2 * np.outer(answer, answer)
            notes.append(say("prescribed stated", sector=sector, share=f"{stated[sector]:.0%}"))
    return noise, NOTHING, notes
