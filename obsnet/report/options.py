"""Options of a report."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal, get_args

from pydantic import Field

from obsnet.command import Flag
from obsnet.language import InLanguage

__all__ = ["NOWCASTS", "ReportFormat", "ReportOptions", "nowcast_folder"]

NOWCASTS = ("rapid", "power", "forecast")
ReportFormat = Literal["docx", "xlsx", "csv", "paris", "monthly"]


def nowcast_folder(kind: str) -> str:
    """Return where the stage ``[nowcast]`` puts one of `NOWCASTS`, relative to the run's outputs."""
    return f"nowcast/{kind}"


class ReportOptions(InLanguage):
    """The table ``[report]`` of a case."""

    posterior: str = Field("posterior.nc", description="posterior file, relative to the run's outputs")
    table: str = Field("provinces.csv", description="table of verdicts, relative to the run's outputs")
    store: str | None = Field("store", description="observation store, whose stations are marked on the map")
    nowcast: list[str] = Field(
        [],
        description="folders of `obsnet nowcast`, each a section, relative to the run's outputs; by default those that "
        "[nowcast] made",
    )
    formats: Annotated[list[ReportFormat], Flag(names=("--format",))] = Field(
        list(get_args(ReportFormat)),
        description="files beside the page: annex.docx, tables.xlsx, tables/*.csv, paris/ (exchange of inversions with "
        "covariance), monthly fluxes on one degree; may be repeated",
    )
    template: Path | None = Field(
        None,
        description="Word document (.docx) that annex.docx is written on: its page, styles, headers and text stay; "
        "relative to the case file, in a command to where it runs",
    )
    title: str = Field("Emissions and inventories", description="heading in English")
    title_zh: str = Field("排放反演与清单核验", description="heading in Chinese")
    notes: Annotated[list[str], Flag(names=("--note",), whole=True)] = Field(
        [], description="what a reader must know first; each in a box at the top; may be repeated"
    )
    notes_zh: Annotated[list[str], Flag(names=("--note-zh",), whole=True)] = Field(
        [], description="the same for a page in Chinese; where there is none, the others stand"
    )
