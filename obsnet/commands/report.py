"""``obsnet report FOLDER``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

__all__ = ["report"]


def report(
    folder: Annotated[Path, typer.Argument(help="folder with posterior.nc and provinces.csv")],
    title: Annotated[str, typer.Option(help="heading in English")] = "Emissions and inventories",
    title_zh: Annotated[str, typer.Option("--title-zh", help="heading in Chinese")] = "排放反演与清单核验",
    note: Annotated[list[str] | None, typer.Option(help="shown in a box at the top; may be repeated")] = None,
) -> None:
    """Write report.html (self-contained) and flux.tif from a posterior and its table of verdicts."""
    from obsnet.commands.report_stage import ReportOptions, report_files
    from obsnet.config import validate
    from obsnet.errors import FormatError

    options = validate(ReportOptions, {"title": title, "title_zh": title_zh, "notes": note or []}, "report")
    for name in (options.posterior, options.table):
        if not (folder / name).exists():
            raise FormatError(f"{folder / name} is missing; `obsnet invert` and `obsnet crosscheck` make it")
    for path in report_files(
        folder / options.posterior, folder / options.table, folder, options, folder / "store"
    ):
        print(f"written: {path}")
