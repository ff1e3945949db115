"""The pipeline stage ``[validate]``."""

from __future__ import annotations

from pathlib import Path

from obsnet.pipeline import Case, Stage, StageResult
from retrieval.validation.options import ValidateTable

__all__ = ["STAGE"]


def _run(options: ValidateTable, case: Case) -> StageResult:
    from retrieval.validation.compare import run_validate

    report = run_validate(options, case.out)
    return StageResult(outputs=(case.out / options.out,), summary=report["summary"])


def _inputs(options: ValidateTable, case: Case) -> list[Path]:
    folders = {case.out / options.store / "_index", case.out / options.reference / "_index"}
    return sorted(p for folder in folders for p in folder.glob("*.parquet"))


STAGE = Stage("validate", ValidateTable, _run, needs=("ingest", "superobs", "stations"), inputs=_inputs)
