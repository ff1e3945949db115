"""The pipeline stage ``[grid]``."""

from __future__ import annotations

import sys
from pathlib import Path

from obsnet.pipeline import Case, Stage, StageResult
from retrieval.mapping import VERSION
from retrieval.mapping.settings import GridTable

__all__ = ["STAGE"]


def _run(options: GridTable, case: Case) -> StageResult:
    from retrieval.mapping.maps import run_grid
    from retrieval.mapping.words import told

    report = run_grid(options, case.out, case.run)
    lines = told(report, options.species, options.language)
    for line in lines:
        print(line, file=sys.stderr)
    kept = ("observations", "cells", "unfinished_inputs", "periods_without_value", "periods_without_columns")
    summary = {k: report[k] for k in kept if report.get(k)} | {
        f"cross_validation_{k}": v for k, v in report.get("cross_validation", {}).items()
    }
    summary["notes"] = [line.strip() for line in lines]
    files = tuple(map(Path, report["files"]))
    return StageResult((case.out / options.out,), files=files, summary=summary)


def _inputs(options: GridTable, case: Case) -> list[Path]:
    from obsnet.store import ObservationStore

    sources = None if options.source is None else [options.source]
    return ObservationStore(case.out / options.store).files(options.species, sources)


STAGE = Stage(
    "grid", GridTable, _run, needs=("ingest", "superobs", "stations"), inputs=_inputs, version=VERSION
)
