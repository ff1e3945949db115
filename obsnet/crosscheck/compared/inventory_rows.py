"""Which rows of an inventory are under test: one gas, period, terminology and category, or a refusal that says why.

Nothing is added up, guessed or overwritten. Where rows can be read in two ways the choice is asked for, by the
name of the option that makes it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

from obsnet.constants import SECONDS_PER_YEAR, species
from obsnet.crosscheck.words import say
from obsnet.errors import ConfigError, RangeError, RegionError, SchemaError, nearest
from obsnet.inventory.period import Period, read_period
from obsnet.inventory.table import check_inventory, mole_rate, per_year
from obsnet.language import Words
from obsnet.regions import REST
from obsnet.typing import Floats

__all__ = ["Chosen", "RowChoice", "category_code", "choose_rows"]


@dataclass(frozen=True)
class RowChoice:
    """What the user says of the inventory where its rows leave a choice.

    Parameters
    ----------
    period : str, optional
        Period of the inventory, if it has several.
    gas : str, optional
        ``"CO2"`` or ``"C"``, if it has both.
    category, terminology : str, optional
        If it has several, or one that is not ``total``.
    uncertainty : float, optional
        Relative sd for regions that state none.
    per : {"year", "period"}, optional
        Whether a mass without ``yr-1`` of a period that is no year is meant a year or in that period.
    negative : bool
        Whether a total may be below zero.
    """

    period: str | None = None
    gas: str | None = None
    category: str | None = None
    terminology: str | None = None
    uncertainty: float | None = None
    per: Literal["year", "period"] | None = None
    negative: bool = False


@dataclass(frozen=True)
class Chosen:
    """Totals under test in the order of the inversion's regions.

    Parameters
    ----------
    value, sd : ndarray, shape (regions,)
        Mt of the gas a year; NaN where there is none.
    period : Period
        What they are of.
    category, terminology, source : str
        As the inventory names them; several sources are all named.
    absent : dict of str to Words
        Why a region has none.
    remarks : dict of str to list of Words
        By region.
    """

    value: Floats
    sd: Floats
    period: Period
    category: str
    terminology: str
    source: str
    absent: dict[str, Words]
    remarks: dict[str, list[Words]]


def choose_rows(
    inventory: Any, gas: str, sector: str, regions: Sequence[str], choice: RowChoice | None = None
) -> Chosen:
    """Choose the rows under test.

    Parameters
    ----------
    inventory : pandas.DataFrame
        Columns of `obsnet.inventory.table.COLUMNS`.
    gas : str
        What the inversion is of.
    sector : str
        Its sector, named in remarks.
    regions : sequence of str
        Its regions.
    choice : RowChoice, optional

    Raises
    ------
    ConfigError, SchemaError, RangeError, RegionError, FormatError
        Rows that are of another gas or region, or that need a choice; see the module's text.
    """
    choice = choice or RowChoice()
    everything = check_inventory(inventory)
    rows = _of_gas(everything, gas, choice)
    rows, period = _of_period(rows, choice)
    rows = _of_category(rows, choice)
    twice = rows[rows["region"].duplicated()]
    if len(twice):
        region = twice["region"].iloc[0]
        both = rows[rows["region"] == region]
        raise SchemaError(
            f"the inventory has {len(both)} totals for region {region}: "
            + "; ".join(
                f"{r['value']:g} {r['unit']} of {r['source'] or 'no source'}" for r in both.to_dict("records")
            )
            + "; keep one"
        )
    strange = sorted(set(rows["region"]) - (set(regions) - set(REST)))
    if strange:
        raise RegionError(
            f"inventory region {strange[0]!r} is not in the inversion{nearest(strange[0], regions)}"
        )
    value, sd = np.full((2, len(regions)), np.nan)
    remarks: dict[str, list[Words]] = {r: [] for r in regions}
    category, terminology = rows["category"].iloc[0], rows["terminology"].iloc[0]
    mass = species(gas).molar_mass * SECONDS_PER_YEAR * 1e-9
    for row in rows.to_dict("records"):
        at, notes = list(regions).index(row["region"]), remarks[row["region"]]
        rate = row["value"] * _to_a_year(row["unit"], period, choice)
        value[at] = mass * mole_rate(rate, row["unit"], row["gas"])
        if value[at] < 0:
            if not choice.negative:
                raise RangeError(
                    f"the inventory's total of {row['region']} is negative ({row['value']:g} {row['unit']}); "
                    "--negative tests it all the same"
                )
            notes.append(say("negative"))
        if category != "total":
            notes.append(say("category", category=f"{category} {terminology}".strip(), sector=sector))
        sd[at] = _relative(row, choice, notes) * abs(value[at])
    return Chosen(
        value,
        sd,
        period,
        category,
        terminology,
        "; ".join(
            sorted({f"{s} {e}".strip() for s, e in zip(rows["source"], rows["edition"], strict=True)} - {""})
        ),
        _absent(everything, set(rows["region"]), f"{category} {period}"),
        remarks,
    )


def _of_gas(rows: Any, gas: str, choice: RowChoice) -> Any:
    """Return the rows of one gas; carbon and carbon dioxide are 44/12 apart and never mixed."""
    names = {gas, "C"} if gas == "CO2" else {gas}
    if choice.gas is not None:
        if choice.gas.upper() not in names:
            raise ConfigError(f"--gas {choice.gas!r}: the inversion is of {gas}{nearest(choice.gas, names)}")
        names = {choice.gas.upper()}
    mine = rows[rows["gas"].isin(names)]
    if mine.empty:
        raise ConfigError(f"the inventory has no row for {choice.gas or gas}; it has {_listed(rows['gas'])}")
    if mine["gas"].nunique() > 1:
        few = mine[mine["gas"] == mine["gas"].value_counts().index[-1]]
        raise SchemaError(
            f"the inventory has rows of CO2 and of C ({_listed(few['region'])} as {few['gas'].iloc[0]}), which are "
            "44/12 apart: keep one of them, or choose it with --gas"
        )
    return mine


def _of_period(rows: Any, choice: RowChoice) -> tuple[Any, Period]:
    """Return the rows of one period; two spellings of one are one."""
    found = rows["period"].map(read_period)
    there = sorted(set(found), key=lambda p: (p.start, p.stop))
    if choice.period is None:
        if len(there) > 1:
            raise ConfigError(
                f"the inventory has several periods, choose a year: {', '.join(map(str, there))} (--year)"
            )
        return rows, there[0]
    wanted = read_period(choice.period)
    if wanted not in there:
        raise ConfigError(
            f"the inventory has no period {choice.period!r}; it has {', '.join(map(str, there))}"
        )
    return rows[found.map(lambda p: p == wanted)], wanted


def _of_category(rows: Any, choice: RowChoice) -> Any:
    """Return the rows of one terminology and category."""
    if choice.terminology is not None:
        mine = rows[rows["terminology"].str.casefold() == choice.terminology.casefold()]
        if mine.empty:
            raise ConfigError(
                f"the inventory has no terminology {choice.terminology!r}"
                f"{nearest(choice.terminology, rows['terminology'])}"
            )
        rows = mine
    key = rows["category"].map(category_code)
    if choice.category is not None:
        mine = rows[key == category_code(choice.category)]
        if mine.empty:
            raise ConfigError(
                f"the inventory has no category {choice.category!r}{nearest(choice.category, rows['category'])}"
            )
        return _one_terminology(mine)
    total = rows[key == "total"]
    if total.empty:
        rows = _one_terminology(rows)
        if key.nunique() > 1:
            raise ConfigError(
                f"the inventory has categories {_listed(rows['category'])} and no row 'total': add up what the "
                "sector is comparable with, or choose one with --category"
            )
        raise ConfigError(
            f"the inventory has category {rows['category'].iloc[0]} only: if that is what the inversion's sector is "
            f"of, say so with --category {rows['category'].iloc[0]}"
        )
    lacking = sorted(set(rows["region"]) - set(total["region"]))
    if lacking:
        has = rows[rows["region"] == lacking[0]]["category"]
        raise ConfigError(
            f"the inventory has a row 'total' for some regions and not for {', '.join(lacking)} ({lacking[0]} has "
            f"{_listed(has)}): add one, or choose the totals alone with --category total"
        )
    return _one_terminology(total)


def _one_terminology(rows: Any) -> Any:
    names = rows.drop_duplicates("terminology")
    if len(names) > 1:
        raise ConfigError(
            "the inventory mixes terminologies, whose codes differ: "
            + ", ".join(f"{r['terminology'] or '(none)'} ({r['region']})" for r in names.to_dict("records"))
            + "; choose one with --terminology"
        )
    return rows


def category_code(category: str) -> str:
    """Return a category without what only its spelling adds: ``2.A.1.`` and ``2.a.1`` are one."""
    return category.rstrip(".").casefold()


def _to_a_year(unit: str, period: Period, choice: RowChoice) -> float:
    """Return what turns a row's value into one a year."""
    if per_year(unit) or period.whole_years == 1 or choice.per == "year":
        return 1.0
    if choice.per == "period":
        return SECONDS_PER_YEAR / period.length
    raise ConfigError(
        f"{unit} of {period} may be meant a year or in that time: write the unit as '{unit} yr-1', or say it with "
        "--per year or --per period"
    )


def _relative(row: dict[str, Any], choice: RowChoice, notes: list[Words]) -> float:
    """Return the relative sd of a row: its own, or the one given for all."""
    share = float(row["uncertainty"])
    if np.isfinite(share):
        if share == 0.0:
            notes.append(say("uncertainty zero"))
        return share
    if choice.uncertainty is None:
        raise ConfigError(
            f"the inventory states no uncertainty for {row['region']}, without which nothing can be tested: "
            "fill the column `uncertainty` (relative standard deviation) or give --uncertainty for all"
        )
    notes.append(say("uncertainty given", share=f"{choice.uncertainty:.0%}"))
    return choice.uncertainty


def _absent(everything: Any, there: set[str], asked: str) -> dict[str, Words]:
    """Say what regions have instead that have rows, but none of those under test."""
    other = everything[~everything["region"].isin(there)]
    names = (other["gas"] + " " + other["category"] + " " + other["period"]).groupby(other["region"])
    return {str(k): say("other rows only", asked=asked, found=_listed(v)) for k, v in names}


def _listed(values: Any) -> str:
    found = sorted(set(values))
    return ", ".join(found[:5]) + (f" and {len(found) - 5} more" if len(found) > 5 else "")
