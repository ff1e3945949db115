"""``obsnet report FOLDER``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from pydantic import Field

from obsnet.command import Flag, Shown, command
from obsnet.language import WRITTEN
from obsnet.report.options import ReportOptions

__all__ = ["ReportCommand", "report"]


class ReportCommand(ReportOptions):
    """A folder of outputs, and what the page says of them."""

    folder: Annotated[Path, Flag(positional=True)] = Field(
        description="folder with posterior.nc and provinces.csv"
    )


@command("obsnet.commands.report:ReportCommand")
def report(options: ReportCommand) -> Shown:
    """Write report.html (self-contained) and flux.tif from a posterior and its table of verdicts.

    What the run's record (run.json) says under [report] holds wherever nothing else is said; its notes always stay.
    """
    from obsnet.crosscheck.verdicts.run import BESIDE, beside
    from obsnet.drawing.fonts import missing
    from obsnet.errors import FormatError
    from obsnet.report.record import with_record
    from obsnet.report.run import report_files

    folder = options.folder
    chosen = with_record(options, folder)
    table = folder / chosen.table
    for path in (folder / chosen.posterior, table, *(beside(table, what) for what in BESIDE)):
        if not path.exists():
            raise FormatError(f"{path} is missing; `obsnet invert` and `obsnet crosscheck` make it")
    store = None if chosen.store is None else folder / chosen.store
    written = report_files(folder / chosen.posterior, table, folder, chosen, store)
    lines = [WRITTEN.said(chosen.language).format(path=p) for p in written]
    return Shown({"written": [str(p) for p in written]}, lines, missing(chosen.language))
