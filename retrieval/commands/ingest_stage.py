"""The pipeline stage ``[ingest]``."""

from __future__ import annotations

from pathlib import Path

from obsnet.pipeline import Case, Stage, StageResult
from retrieval.ingest.options import IngestTable

__all__ = ["STAGE"]


def _run(options: IngestTable, case: Case) -> StageResult:
    from retrieval.ingest.run import run_ingest

    summary = run_ingest(options, case.folder, case.out, case.run)
    found = {"files": len(summary.files), "soundings": summary.soundings, "good": summary.good}
    store = case.out / options.store
    return StageResult(outputs=(store,) if store.exists() else (), summary=found, failed=len(summary.bad))


def _inputs(options: IngestTable, case: Case) -> list[Path]:
    from retrieval.readers.files import granule_files

    return [*granule_files(options.files, case.folder), *options.tables(case.folder)]


STAGE = Stage("ingest", IngestTable, _run, inputs=_inputs)
