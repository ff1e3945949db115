"""The pipeline stage ``[grid]``."""

from __future__ import annotations

from pathlib import Path

from obsnet.pipeline import Case, Stage, StageResult
from retrieval.mapping.settings import GridTable

__all__ = ["STAGE"]


def _run(options: GridTable, case: Case) -> StageResult:
    from retrieval.mapping.maps import run_grid

    report = run_grid(options, case.out)
    summary = {key: report[key] for key in ("observations", "cells")} | {
        f"cross_validation_{k}": v for k, v in report.get("cross_validation", {}).items()
    }
    return StageResult(outputs=(case.out / options.out,), summary=summary)


def _inputs(options: GridTable, case: Case) -> list[Path]:
    return sorted((case.out / options.store / "_index").glob("*.parquet"))


STAGE = Stage("grid", GridTable, _run, needs=("ingest", "superobs"), inputs=_inputs)
