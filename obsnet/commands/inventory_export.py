"""``obsnet inventory export``: to PRIMAP2 and to workbooks."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field

from obsnet.command import Flag, Shown, command
from obsnet.language import InLanguage

__all__ = ["export"]


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

    paths = export_inventory(
        options.inventory, options.out, options.formats, gwp=options.gwp, terminology=options.terminology,
        title=options.title, language=options.language,
    )  # fmt: skip
    return Shown({"written": [str(p) for p in paths]}, [f"written: {p}" for p in paths])
