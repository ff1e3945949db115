"""``obsnet factors``: look up, compare, check; average and solve factors of electricity."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field

from obsnet.command import Flag, Group, Shown, command
from obsnet.config import Options
from obsnet.language import InLanguage

__all__ = ["app", "check", "conflicts", "electricity", "network", "query"]

app = Group(
    "Emission factors with source, page and edition: look up, compare, check.",
    {
        "query": "obsnet.commands.factors:query",
        "conflicts": "obsnet.commands.factors:conflicts",
        "check": "obsnet.commands.factors:check",
        "electricity": "obsnet.commands.factors:electricity",
        "network": "obsnet.commands.factors:network",
    },
)


class QueryOptions(InLanguage):
    """Which factors."""

    item: Annotated[str | None, Flag(positional=True)] = Field(
        None, description="fuel or activity, English or Chinese, or a part of its name"
    )
    quantity: str | None = Field(
        None, description="such as ncv, carbon, oxidation, effective, electricity, gwp100"
    )
    region: str | None = Field(None, description="province, grid or China")
    year: int | None = Field(None, description="of the factor")
    edition: str | None = Field(None, description="such as gbt32151 or ipcc2006")
    gas: str | None = Field(None, description="formula")
    factors: Path | None = Field(None, description="a table of your own, looked through too")
    out: Path | None = Field(None, description="CSV to write")


@command("obsnet.commands.factors:QueryOptions")
def query(options: QueryOptions) -> Shown:
    """List the factors that fit, with source and page."""
    from obsnet.inventory.books import write_if_asked
    from obsnet.inventory.factors.listing import factor_lines, factors_with
    from obsnet.inventory.factors.table import query as find

    wanted = options.model_dump(include={"item", "quantity", "region", "year", "edition", "gas"})
    found = find(factors_with(options.factors), **wanted)
    return Shown(
        found.to_dict("records"),
        factor_lines(found, options.language),
        write_if_asked(found, options.out, options.language),
    )


class ConflictOptions(InLanguage):
    """Which differences."""

    tolerance: float = Field(0.05, ge=0, description="spread over the mean below which editions agree")
    factors: Path | None = Field(None, description="a table of your own, compared too")
    out: Path | None = Field(None, description="CSV to write")


@command("obsnet.commands.factors:ConflictOptions")
def conflicts(options: ConflictOptions) -> Shown:
    """List fuels and activities whose editions differ, widest first."""
    from obsnet.inventory.books import write_if_asked
    from obsnet.inventory.factors.listing import conflict_lines, factors_with
    from obsnet.inventory.factors.table import conflicts as find

    found = find(factors_with(options.factors), options.tolerance)
    return Shown(
        found.to_dict("records"),
        conflict_lines(found, options.language),
        write_if_asked(found, options.out, options.language),
    )


class FactorsCheckOptions(Options):
    """Which table."""

    file: Annotated[Path, Flag(positional=True)] = Field(description="factor table, CSV or workbook")


@command("obsnet.commands.factors:FactorsCheckOptions")
def check(options: FactorsCheckOptions) -> Shown:
    """Check a factor table of your own: units, physical bands, derived values."""
    from obsnet.inventory.factors.table import read_factors

    found = read_factors(options.file)
    line = (
        f"{options.file}: good; {len(found)} factors, editions {', '.join(dict.fromkeys(found['edition']))}"
    )
    return Shown(found.to_dict("records"), [line], found.attrs["notes"])


class ElectricityOptions(InLanguage):
    """Whose consumption."""

    weights: Path = Field(
        description="consumption: columns region, month, value in 1e8 kWh (地区, 月份, 用电量)"
    )
    year: int | None = Field(None, description="of the factors; by default that of the consumption")
    kind: Literal["average", "market-excluded", "fossil", "footprint"] = Field(
        "average", description="which quantity; provinces are announced for the average alone"
    )
    running: Literal["ask", "yes", "no"] = Field(
        "ask", description="whether a month's value is the sum since January (累计)"
    )
    out: Path | None = Field(None, description="CSV to write")


@command("obsnet.commands.factors:ElectricityOptions")
def electricity(options: ElectricityOptions) -> Shown:
    """Average the announced provincial electricity factors by consumption."""
    from obsnet.inventory.books import write_if_asked
    from obsnet.inventory.factors.consumption import consumption_average_of_file
    from obsnet.inventory.factors.listing import average_data, average_lines
    from obsnet.inventory.notes import in_both

    how = options.model_dump(include={"year", "kind", "running"})
    found = consumption_average_of_file(options.weights, **how)
    notes = [*found.notes, *write_if_asked(found.table, options.out, options.language)]
    told = [in_both(n).said(options.language) for n in notes]
    return Shown(average_data(found), average_lines(found, options.language), told)


class FactorsNetworkOptions(InLanguage):
    """Generation and exchange."""

    provinces: Annotated[Path, Flag(positional=True)] = Field(
        description="region, generation (MWh), emission (t CO2); optional fossil_generation, traded_nonfossil"
    )
    flows: Path | None = Field(None, description="from, to, value (MWh)")
    out: Path | None = Field(None, description="CSV to write")


@command("obsnet.commands.factors:FactorsNetworkOptions")
def network(options: FactorsNetworkOptions) -> Shown:
    """Solve the electricity factors of provinces that exchange electricity."""
    from obsnet.inventory.books import write_if_asked
    from obsnet.inventory.factors.electricity import network_factors, read_network
    from obsnet.inventory.factors.listing import network_lines, network_table

    regions, amounts = read_network(options.provinces, options.flows)
    found = network_factors(**amounts)
    table = network_table(regions, found)
    data = {
        "provinces": table.to_dict("records"),
        "market_excluded": found.market_excluded,
        "conservation_residual": found.residual,
        "unit": "kg CO2/kWh",
    }
    return Shown(
        data,
        network_lines(table, found, options.language),
        write_if_asked(table, options.out, options.language),
    )
