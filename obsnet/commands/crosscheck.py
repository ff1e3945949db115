"""``obsnet crosscheck POSTERIOR INVENTORY``."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Annotated, Any

import typer

__all__ = ["crosscheck", "print_table"]


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
    period: Annotated[int | None, typer.Option(help="index of the inversion's period")] = None,
    year: Annotated[str | None, typer.Option(help="period of the inventory, if it has several")] = None,
    uncertainty: Annotated[
        float | None, typer.Option(help="relative sd where the inventory states none")
    ] = None,
    alpha: Annotated[float, typer.Option(help="rate of false alarms")] = 0.05,
    power: Annotated[float, typer.Option(help="power at the minimum detectable discrepancy")] = 0.80,
    detectable: Annotated[
        float, typer.Option(help="testable up to this minimum detectable discrepancy")
    ] = 0.30,
    as_json: Annotated[bool, typer.Option("--json", help="print JSON")] = False,
) -> None:
    """Test an inventory: consistent, inconsistent or not testable, region by region."""
    from obsnet.commands.crosscheck_stage import CrosscheckOptions, crosscheck_files
    from obsnet.config import validate
    from obsnet.output import emit

    options = validate(
        CrosscheckOptions,
        {
            "inventory": inventory,
            "sector": sector,
            "period": period,
            "year": year,
            "uncertainty": uncertainty,
            "alpha": alpha,
            "power": power,
            "detectable": detectable,
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


def _cell(value: float, form: str) -> str:
    return format(value, form) if math.isfinite(value) else "-"


def print_table(table: Any) -> None:
    """Print the verdicts, testable regions first."""
    order = {"inconsistent": 0, "consistent": 1, "not testable": 2}
    shown = table.assign(rank=table["verdict"].map(order)).sort_values(
        ["rank", "inventory"], ascending=[True, False]
    )
    print(f"{'region':<16}{'inventory':>10}{'inversion':>11}{'sd':>6}", end="")
    print(f"{'difference':>12}{'detectable':>12}  verdict")
    for row in shown.to_dict("records"):
        known = math.isfinite(row["inventory"])
        share = row["minimum_detectable"] / abs(row["inventory"]) if known else math.nan
        print(
            f"{row['name_en']:<16}"
            f"{_cell(row['inventory'], '.0f'):>10}{row['posterior']:>11.0f}{row['posterior_sd']:>6.0f}"
            f"{_cell(row['difference'] if known else math.nan, '+.0f'):>12}"
            f"{_cell(share, '.0%') if not share >= 10 else '> 1000%':>12}  "
            f"{row['verdict']}{': ' + row['reason'] if row['reason'] else ''}"
        )
    counts = table["verdict"].value_counts()
    print(", ".join(f"{counts.get(v, 0)} {v}" for v in order) + f"; Mt {table['gas'].iloc[0]} a year")
