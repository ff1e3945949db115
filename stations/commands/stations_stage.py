"""Pipeline stage ``[stations]``: station files of any network into the observation store."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from obsnet.pipeline import Case, Stage, StageResult
from stations.store.options import StationsTable

__all__ = ["STAGE"]


def _inputs(options: StationsTable, case: Case) -> Iterable[Path]:
    from stations.store.ingest import input_files

    return input_files(options, case.folder)


def _run(options: StationsTable, case: Case) -> StageResult:
    import sys

    from stations.store.ingest import run_stations

    summary = run_stations(
        options, case.folder, case.out, case.run, report=lambda line: print(line, file=sys.stderr)
    )
    store = Path(summary.pop("path"))
    return StageResult(outputs=(store,), summary=summary, failed=summary["failed"])


STAGE = Stage("stations", options=StationsTable, run=_run, inputs=_inputs)
