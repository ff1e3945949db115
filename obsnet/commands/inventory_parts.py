"""``obsnet inventory cities``, ``reports``, ``enterprise``: below the province."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from pydantic import Field

from obsnet.command import Flag, Shown, command
from obsnet.language import InLanguage

__all__ = ["cities", "enterprise", "reports"]


class CityOptions(InLanguage):
    """Which province, which cities."""

    inventory: Annotated[str, Flag(positional=True)] = Field(description="inventory.csv, or a built-in table")
    cities: Path = Field(description="region, city, and value with unit or proxy; optional category")
    gas: str = Field("CO2", description="formula")
    period: str | None = Field(None, description="year, where there are several")
    out: Path | None = Field(None, description="CSV")


@command("obsnet.commands.inventory_parts:CityOptions")
def cities(options: CityOptions) -> Shown:
    """Divide provincial totals among cities, by their own totals or a proxy."""
    from obsnet.inventory.books import write_if_asked
    from obsnet.inventory.notes import told
    from obsnet.inventory.parts.cities import read_cities, split_cities
    from obsnet.inventory.parts.listing import city_lines
    from obsnet.inventory.table import read_inventory, with_provinces

    table = with_provinces(read_inventory(options.inventory), options.inventory)
    found, notes = split_cities(table, read_cities(options.cities), gas=options.gas, period=options.period)
    return Shown(
        found.to_dict("records"),
        city_lines(found, options.language),
        told([*notes, *write_if_asked(found, options.out, options.language)], options.language),
    )


class EnterpriseReportsOptions(InLanguage):
    """Which reports."""

    file: Annotated[Path, Flag(positional=True)] = Field(
        description="region, category, name, value, unit; optional base (production)"
    )
    inventory: str | None = Field(None, description="inventory.csv to set beside")
    out: Path | None = Field(None, description="CSV of the sums")


@command("obsnet.commands.inventory_parts:EnterpriseReportsOptions")
def reports(options: EnterpriseReportsOptions) -> Shown:
    """Add reports of plants up by province and sector; list what looks wrong."""
    from obsnet.inventory.books import write_if_asked
    from obsnet.inventory.parts.listing import report_lines
    from obsnet.inventory.parts.reports import add_up, outliers, read_reports
    from obsnet.inventory.table import read_inventory, with_provinces

    table = read_reports(options.file)
    odd = outliers(table)
    beside = options.inventory and with_provinces(read_inventory(options.inventory), options.inventory)
    sums = add_up(table, beside)
    data = {"sums": sums.to_dict("records"), "outliers": odd.to_dict("records"), "unit": "Mt"}
    return Shown(
        data, report_lines(sums, odd, options.language), write_if_asked(sums, options.out, options.language)
    )


class EnterpriseOptions(InLanguage):
    """Which enterprise."""

    file: Annotated[Path, Flag(positional=True)] = Field(
        description="kind, item, value, unit; optional ncv, carbon, oxidation, factor (measured), note"
    )
    region: str = Field(description="province, for the factor of power")
    year: int = Field(description="of the activity")
    factors: list[Path] = Field([], description="factor tables of your own, first")
    editions: list[str] = Field(["gbt32151", "ipcc2006", "yearbook2008", "mee-nbs"], description="in order")
    stand_in: dict[str, str] = Field({}, description="fuel whose factors stand for another")
    out: Path | None = Field(None, description="CSV of the audit trail")


@command("obsnet.commands.inventory_parts:EnterpriseOptions")
def enterprise(options: EnterpriseOptions) -> Shown:
    """Compute one enterprise's emissions with an audit trail; scopes apart, green power and stored CO2 guarded."""
    from obsnet.inventory.books import write_if_asked
    from obsnet.inventory.factors.choose import FactorBook
    from obsnet.inventory.notes import told
    from obsnet.inventory.parts.enterprise import compute_enterprise, enterprise_lines, read_enterprise

    book = FactorBook(options.factors, options.editions, options.stand_in)
    found = compute_enterprise(read_enterprise(options.file), book, region=options.region, year=options.year)
    notes = [*found.notes, *write_if_asked(found.trail, options.out, options.language)]
    lines = enterprise_lines(found, options.language)
    return Shown(found.data(), lines, told(notes, options.language))
