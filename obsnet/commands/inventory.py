"""``obsnet inventory``: balances and activities to an inventory, its uncertainty, its trace, a gridded prior."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field

from obsnet.command import Flag, Group, Shown, command
from obsnet.config import Options
from obsnet.inventory.prior.options import GridOptions
from obsnet.language import InLanguage

__all__ = ["app", "check", "compare", "compile_", "grid", "trace"]

app = Group(
    "Bottom-up inventories: compile, check, trace, uncertainty, compare, grid.",
    {
        "compile": "obsnet.commands.inventory:compile_",
        "check": "obsnet.commands.inventory:check",
        "trace": "obsnet.commands.inventory:trace",
        "compare": "obsnet.commands.inventory:compare",
        "grid": "obsnet.commands.inventory:grid",
        "uncertainty": "obsnet.commands.inventory_uncertainty:uncertainty",
        "keycategories": "obsnet.commands.inventory_uncertainty:keycategories",
        "recalculate": "obsnet.commands.inventory_uncertainty:recalculate",
        "export": "obsnet.commands.inventory_export:export",
        "fill": "obsnet.commands.inventory_export:fill",
        "cities": "obsnet.commands.inventory_parts:cities",
        "reports": "obsnet.commands.inventory_parts:reports",
        "enterprise": "obsnet.commands.inventory_parts:enterprise",
    },
)


class FactorOptions(Options):
    """Which factors, in which order."""

    factors: list[Path] = Field([], description="factor tables of your own; they go before all editions")
    editions: list[str] = Field(
        ["ceads2007-implied", "gbt32151", "ipcc2006", "ipcc2019", "yearbook2008"],
        description="editions of the package in order",
    )
    stand_in: dict[str, str] = Field(
        {}, description="fuel whose factors stand for another, such as 'raw coal=bituminous coal'"
    )


class CompileOptions(FactorOptions, InLanguage):
    """Of what, and how."""

    balances: Annotated[list[Path], Flag(positional=True)] = Field(
        [], description="energy balances, xls, xlsx or csv; a workbook may hold several"
    )
    activities: list[Path] = Field(
        [], description="tables of other activities: item, value, unit, region, period"
    )
    region: str | None = Field(None, description="of a balance whose title does not say it")
    year: int | None = Field(None, description="of a balance whose title does not say it")
    sheet: str | None = Field(None, description="of the workbook")
    signs: Literal["printed", "reversed"] = Field(
        "printed", description="reversed: inputs of transformation are positive"
    )
    exclude: list[str] = Field([], description="fuels left out, such as 'other petroleum products'")
    negative: Literal["ask", "keep", "zero"] = Field("ask", description="where non-energy use exceeds use")
    steel_gases: Literal["ask", "count", "exclude"] = Field(
        "ask", description="gases of blast furnaces and converters, whose carbon is counted with coke"
    )
    magnitude: Literal["ask", "keep"] = Field(
        "ask", description="where a column cannot have the unit it states"
    )
    terminology: Literal["IPCC2006", "CRT2023"] = Field("IPCC2006", description="of the categories")
    activity_sd: float | None = Field(
        None, ge=0, le=3, description="relative standard deviation of an activity row"
    )
    factor_sd: float | None = Field(None, ge=0, le=3, description="the same of factors that state none")
    factor_correlation: float = Field(
        0.0, ge=0, le=1, description="between the errors of the factors of different fuels"
    )
    source: str = Field("", description="who compiles, for the column source")
    out: Path | None = Field(None, description="folder for inventory.csv, trace.csv, reference.csv")


@command("obsnet.commands.inventory:CompileOptions")
def compile_(options: CompileOptions) -> Shown:
    """Compile an inventory from energy balances and tables of activities."""
    from obsnet.inventory.account.compile import compile_inventory
    from obsnet.inventory.account.report import compiled_data, compiled_lines, write_compiled
    from obsnet.inventory.balance.read import read_balances
    from obsnet.inventory.factors.choose import FactorBook
    from obsnet.inventory.notes import in_both, note

    book = FactorBook(options.factors, options.editions, options.stand_in)
    read = options.model_dump(include={"region", "year", "sheet", "signs"})
    balances = [b for path in options.balances for b in read_balances(path, **read)]
    how = options.model_dump(
        include={
            "activities",
            "exclude",
            "negative",
            "steel_gases",
            "magnitude",
            "terminology",
            "activity_sd",
            "factor_sd",
            "factor_correlation",
            "source",
        }
    )
    made = compile_inventory(balances, book, **how)
    notes = list(made.notes)
    if options.out is not None:
        notes += [note("written", path=p) for p in write_compiled(made, options.out, options.language)]
    told = [in_both(n).said(options.language) for n in notes]
    return Shown(compiled_data(made), compiled_lines(made, options.language), told)


class TraceOptions(InLanguage):
    """Which number."""

    file: Annotated[Path, Flag(positional=True)] = Field(
        description="trace.csv of `obsnet inventory compile`, or its folder"
    )
    region: str | None = Field(None, description="province, any spelling")
    period: str | None = Field(None, description="year")
    gas: str | None = Field(None, description="formula")
    category: str | None = Field(None, description="with all below it; total")


@command("obsnet.commands.inventory:TraceOptions")
def trace(options: TraceOptions) -> Shown:
    """Show the activity rows and factor rows behind a number."""
    from obsnet.inventory.account.compile import trace as find
    from obsnet.inventory.account.report import read_trace, trace_lines

    found = find(
        read_trace(options.file), **options.model_dump(include={"region", "period", "gas", "category"})
    )
    return Shown(found.to_dict("records"), trace_lines(found, options.language))


class InventoryCheckOptions(InLanguage):
    """Which file."""

    files: Annotated[list[Path], Flag(positional=True)] = Field(
        description="energy balances, CEADs workbooks, daily data, inventories; what each is, is found out"
    )
    region: str | None = Field(None, description="of a balance whose title does not say it")
    year: int | None = Field(None, description="of a balance whose title does not say it")
    sheet: str | None = Field(None, description="of the workbook")
    signs: Literal["printed", "reversed"] = Field(
        "printed", description="reversed: inputs of transformation are positive"
    )
    tolerance: float = Field(0.05, ge=0, description="gap of an identity, in the printed unit")
    out: Path | None = Field(None, description="CSV of all findings")


@command("obsnet.commands.inventory:InventoryCheckOptions")
def check(options: InventoryCheckOptions) -> Shown:
    """Check balances for what should add up, inventories for breaks and zeroes; nothing is repaired."""
    from obsnet.inventory.books import write_if_asked
    from obsnet.inventory.notes import in_both
    from obsnet.inventory.sources.check import check_files

    found = check_files(
        options.files, **options.model_dump(include={"region", "year", "sheet", "signs", "tolerance"})
    )
    notes = [*found.notes, *write_if_asked(found.findings, options.out, options.language)]
    told = [in_both(n).said(options.language) for n in notes]
    return Shown(found.data(), found.lines(options.language), told)


class InventoryCompareOptions(InLanguage):
    """Which sources."""

    sources: Annotated[list[str], Flag(positional=True)] = Field(
        description="workbooks, inventory.csv, ceads-2019, tables with a column a year, netCDF; NAME=FILE"
    )
    period: str | None = Field(None, description="only this year")
    gas: str = Field("CO2", description="formula")
    category: str = Field("total", description="total, or a code")
    terminology: Literal["IPCC2006", "CRT2023"] = Field("IPCC2006", description="of the category")
    substance: str | None = Field(None, description="of a netCDF that does not state it")
    units: str | None = Field(None, description="of a netCDF that does not state them")
    basis: Literal["substance", "carbon"] | None = Field(None, description="whose mass a netCDF gives")
    out: Path | None = Field(None, description="CSV")


@command("obsnet.commands.inventory:InventoryCompareOptions")
def compare(options: InventoryCompareOptions) -> Shown:
    """Put inventories side by side, with the spread between them."""
    from obsnet.inventory.books import write_if_asked
    from obsnet.inventory.notes import in_both
    from obsnet.inventory.sources.listing import compare_files, comparison_data, comparison_lines

    grid = options.model_dump(include={"substance", "units", "basis"}, exclude_none=True)
    what = options.model_dump(include={"period", "gas", "category", "terminology"})
    found = compare_files(options.sources, grid, **what)
    notes = [*found.notes, *write_if_asked(found.table, options.out, options.language)]
    told = [in_both(n).said(options.language) for n in notes]
    return Shown(comparison_data(found), comparison_lines(found, options.language), told)


@command("obsnet.inventory.prior.options:GridOptions")
def grid(options: GridOptions) -> Shown:
    """Spread provincial totals over a grid: plants at their places, the rest by a proxy, mass kept per province."""
    from obsnet.inventory.notes import in_both, note
    from obsnet.inventory.prior.listing import grid_lines
    from obsnet.inventory.prior.run import run_prior

    rows, notes = run_prior(options)
    told = [in_both(n).said(options.language) for n in (*notes, note("written", path=options.out))]
    return Shown({"totals": rows, "unit": "Mt", "notes": notes}, grid_lines(rows, options.language), told)
