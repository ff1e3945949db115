"""``obsnet inventory export`` and ``fill``: to PRIMAP2, to workbooks, into a form that is given."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field

from obsnet.command import Flag, Shown, command
from obsnet.language import InLanguage

__all__ = ["export", "fill"]


class ExportOptions(InLanguage):
    """Which inventory, in which forms."""

    inventory: Annotated[Path, Flag(positional=True)] = Field(
        description="inventory.csv, or the folder of `obsnet inventory compile`"
    )
    out: Path = Field(description="folder")
    formats: list[Literal["primap2", "xlsx"]] = Field(["primap2", "xlsx"], description="which")
    gwp: str = Field("ar5", description="set of GWP100: sar, tar, ar4, ar5, ar5-feedback, ar6")
    terminology: Literal["IPCC2006", "CRT2023"] = Field("IPCC2006", description="of the categories")
    title: str = Field("", description="for the metadata")


@command("obsnet.commands.inventory_export:ExportOptions")
def export(options: ExportOptions) -> Shown:
    """Write an inventory for PRIMAP2 and as a workbook with CO2e."""
    from obsnet.inventory.exchange.export import export_inventory
    from obsnet.inventory.notes import in_both, note

    paths = export_inventory(
        options.inventory, options.out, options.formats, gwp=options.gwp, terminology=options.terminology,
        title=options.title, language=options.language,
    )  # fmt: skip
    return Shown(
        {"written": [str(p) for p in paths]},
        [in_both(note("written", path=p)).said(options.language) for p in paths],
    )


class FillOptions(InLanguage):
    """Which form, with which inventory."""

    form: Annotated[Path, Flag(positional=True)] = Field(
        description="blank form, xlsx: a heading of gases above rows of categories"
    )
    inventory: Path = Field(description="inventory.csv, or the folder of `obsnet inventory compile`")
    out: Path = Field(description="xlsx to write; beside it a table of what is in each cell")
    region: str = Field("", description="of an inventory of several")
    period: str = Field("", description="of an inventory of several")
    rows: Path | None = Field(
        None,
        description="table with the columns label and category: what rows mean, in codes of IPCC 2006, such as "
        "3.A+3.C or total-3.B",
    )
    unit: str = Field("", description="of columns that state none, such as 万吨")
    gwp: str = Field("ar5", description="set of GWP100 of columns of CO2 equivalents")
    codes: Literal["ask", "IPCC2006", "CRT2023"] = Field(
        "ask", description="whose codes stand in the form, where a row's name is not known"
    )


@command("obsnet.commands.inventory_export:FillOptions")
def fill(options: FillOptions) -> Shown:
    """Fill a blank form (xlsx) with an inventory; say what was left and what is in no row."""
    from obsnet.inventory.account.report import named_region
    from obsnet.inventory.exchange.form import fill_form

    done = fill_form(
        options.form, options.inventory, options.out, region=options.region, period=options.period,
        rows=options.rows, unit=options.unit, gwp=options.gwp, codes=options.codes,
    )  # fmt: skip
    left = [{**r, "reason": r["reason"].said(options.language)} for r in done.left]
    notes = [n.said(options.language) for n in done.notes]
    data = {
        "region": done.region, "period": done.period, "gwp": options.gwp, "written": str(options.out),
        "filled": done.cells, "left": left, "in_no_row": done.in_no_row, "notes": notes,
    }  # fmt: skip
    said = {
        "en": (
            "{} {}: {} cells filled, written to {}",
            "CO2 equivalents by GWP100 of {}",
            "left",
            "in no row",
        ),
        "zh": ("{} {}：已填 {} 格，写入 {}", "CO2 当量按 GWP100 {}", "未填", "表中无对应行"),
    }[options.language]
    region = named_region(done.region, options.language)
    lines = [said[0].format(region, done.period, len(done.cells), options.out)]
    lines += [said[1].format(options.gwp)] if any(c["equivalent"] for c in done.cells) else []
    lines += notes
    lines += [
        f"{said[2]} {r['sheet']} {r['cell']}{' ' * bool(r['label'])}{r['label']}: {r['reason']}" for r in left
    ]
    lines += [f"{said[3]}: {r['category']} {r['gas']} {r['value']:.6g} {r['unit']}" for r in done.in_no_row]
    return Shown(data, lines)
