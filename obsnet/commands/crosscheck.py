"""``obsnet crosscheck POSTERIOR INVENTORY``."""

from __future__ import annotations

import math
from collections.abc import Iterable
from pathlib import Path
from typing import Annotated, Any

import typer

__all__ = ["crosscheck", "print_table"]

_ORDER = {"inconsistent": 0, "consistent": 1, "not decided": 2, "not testable": 3}


def crosscheck(
    posterior: Annotated[Path, typer.Argument(help="posterior.nc of `obsnet invert`")],
    inventory: Annotated[
        str, typer.Argument(help="CSV of totals, or a built-in inventory such as ceads-2019")
    ],
    out: Annotated[
        Path | None, typer.Option(help="folder for provinces.csv; by default beside the posterior")
    ] = None,
    sector: Annotated[
        str | None, typer.Option(help="sector of the inversion that the inventory is of")
    ] = None,
    period: Annotated[
        list[int] | None,
        typer.Option(
            help="index of a period of the inversion; repeat to sum several; default the inventory's"
        ),
    ] = None,
    year: Annotated[str | None, typer.Option(help="period of the inventory, if it has several")] = None,
    gas: Annotated[str | None, typer.Option(help="gas of the rows, if there are both CO2 and C")] = None,
    category: Annotated[str | None, typer.Option(help="category of the rows, if not total")] = None,
    terminology: Annotated[
        str | None, typer.Option(help="terminology of the rows, if there are several")
    ] = None,
    per: Annotated[
        str | None, typer.Option(help="a mass without yr-1 of a period that is no year is per: year, period")
    ] = None,
    negative: Annotated[bool, typer.Option("--negative", help="test totals below zero too")] = False,
    other_year: Annotated[
        bool, typer.Option("--other-year", help="hold an inventory of another year against the inversion")
    ] = False,
    profile: Annotated[
        str | None,
        typer.Option(help="spread of the inventory in time where the inversion sees a part: flat, prior"),
    ] = None,
    profile_uncertainty: Annotated[float, typer.Option(help="relative sd of that profile")] = 0.0,
    uncertainty: Annotated[
        float | None, typer.Option(help="relative sd where the inventory states none")
    ] = None,
    shared: Annotated[
        float, typer.Option(help="correlation between the errors of the inventory and of the prior")
    ] = 0.0,
    prescribed: Annotated[
        list[str] | None,
        typer.Option(help="SECTOR=SHARE, relative sd of a sector taken as exact; repeatable"),
    ] = None,
    group: Annotated[
        list[str] | None, typer.Option(help="NAME=REGION,REGION to test as a sum too; repeatable")
    ] = None,
    chi_square: Annotated[
        tuple[float, float] | None, typer.Option(help="bounds of the run's chi-square per observation")
    ] = None,
    alpha: Annotated[float, typer.Option(help="rate of false alarms, over all tested regions")] = 0.05,
    power: Annotated[float, typer.Option(help="power at the minimum detectable discrepancy")] = 0.80,
    detectable: Annotated[
        float, typer.Option(help="testable up to this minimum detectable discrepancy")
    ] = 0.30,
    margin: Annotated[
        float | None,
        typer.Option(help="consistent if shown to agree within this share; default --detectable"),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="print JSON")] = False,
) -> None:
    """Test an inventory region by region: consistent, inconsistent, not decided or not testable."""
    from obsnet.commands.crosscheck_stage import CrosscheckOptions, crosscheck_files
    from obsnet.config import validate
    from obsnet.output import emit

    options = validate(
        CrosscheckOptions,
        {
            "inventory": inventory,
            "sector": sector,
            "period": period or None,
            "year": year,
            "gas": gas,
            "category": category,
            "terminology": terminology,
            "per": per,
            "negative": negative,
            "other_year": other_year,
            "profile": profile,
            "profile_uncertainty": profile_uncertainty,
            "uncertainty": uncertainty,
            "shared": shared,
            "prescribed": _pairs(prescribed or [], "--prescribed"),
            "groups": {
                k: [r.strip() for r in v.split(",")] for k, v in _pairs(group or [], "--group").items()
            },
            "chi_square": chi_square,
            "alpha": alpha,
            "power": power,
            "detectable": detectable,
            "margin": margin,
        },
        "crosscheck",
    )
    target = (out or posterior.parent) / options.out
    table = crosscheck_files(posterior, inventory, options, target)
    if as_json:
        emit({"table": str(target), "provinces": table.to_dict("records")})
        return
    print_table(table)
    print(f"written: {target}")


def _pairs(texts: Iterable[str], option: str) -> dict[str, str]:
    """Return NAME=VALUE options as a mapping."""
    from obsnet.errors import ConfigError

    found = {}
    for text in texts:
        name, equals, value = (part.strip() for part in text.partition("="))
        if not (name and equals and value):
            raise ConfigError(f"{option} {text!r}: write it as NAME=VALUE")
        found[name] = value
    return found


def _cell(value: float, form: str) -> str:
    return format(value, form) if math.isfinite(value) else "-"


def print_table(table: Any) -> None:
    """Print what was compared by which rule, and the verdicts, testable regions first."""
    from obsnet.crosscheck.words import Words, common_first

    first = table.iloc[0]
    print(
        f"{first['sector']} of the inversion ({first['period']}) against the inventory's {first['category']} "
        f"{first['terminology'] + ' ' if first['terminology'] else ''}of {first['inventory_period']}"
    )
    print(
        f"rule: {first['alpha']:.2g} false alarms ({first['adjustment']}), power {first['power']:.0%}, testable up to "
        f"{first['detectable']:.0%}, consistent within {first['margin_share']:.0%}"
    )
    remarks = [Words(*pair) for pair in zip(table["remark"], table["remark_zh"], strict=True)]
    common, own = common_first(remarks)
    for remark in common:
        print(f"note: {remark.en}")
    shown = table.assign(rank=table["verdict"].map(_ORDER), own=[t.en for t in own])
    shown = shown.sort_values(["rank", "inventory"], ascending=[True, False])
    print(f"{'region':<16}{'inventory':>10}{'inversion':>11}{'sd':>6}", end="")
    print(f"{'difference':>12}{'detectable':>12}  verdict")
    for row in shown.to_dict("records"):
        known = math.isfinite(row["inventory"])
        share = row["minimum_detectable"] / abs(row["inventory"]) if row["inventory"] else math.nan
        why = "; ".join(t for t in (row["reason"], row["own"]) if t)
        print(
            f"{row['name_en']:<16}"
            f"{_cell(row['inventory'], '.0f'):>10}{row['posterior']:>11.0f}{row['posterior_sd']:>6.0f}"
            f"{_cell(row['difference'] if known else math.nan, '+.0f'):>12}"
            f"{_cell(share, '.0%') if not share >= 10 else '> 1000%':>12}  "
            f"{row['verdict']}{': ' + why if why else ''}"
        )
    counts = table["verdict"].value_counts()
    print(", ".join(f"{counts.get(v, 0)} {v}" for v in _ORDER) + f"; Mt {first['gas']} a year")
