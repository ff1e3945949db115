"""The pipeline stage ``[superobs]``."""

from __future__ import annotations

from pathlib import Path

from obsnet.pipeline import Case, Stage, StageResult
from retrieval.superobs.options import SuperobsTable

__all__ = ["STAGE"]


def _run(options: SuperobsTable, case: Case) -> StageResult:
    from retrieval.superobs.store import run_superobs

    summary = run_superobs(options, case.out, case.run)
    number = sum(total["superobs"] for total in summary.by_source().values())
    found = {
        "superobs": number,
        "errors": summary.errors["equation"],
        "errors_source": summary.errors["source"],
    }
    return StageResult(outputs=(case.out / options.out,), summary=found, failed=len(summary.bad))


def _inputs(options: SuperobsTable, case: Case) -> list[Path]:
    return sorted((case.out / options.store / "_index").glob("*.parquet"))


STAGE = Stage("superobs", SuperobsTable, _run, needs=("ingest",), inputs=_inputs)
