"""Pipeline stage ``[stations]``: station files of any network into the observation store."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from obsnet.case_check import SAMPLE
from obsnet.errors import ObsnetError
from obsnet.pipeline import Case, Stage, StageResult
from obsnet.store import ObservationStore
from stations.store import VERSION
from stations.store.options import StationsTable

__all__ = ["STAGE"]


def _inputs(options: StationsTable, case: Case) -> Iterable[Path]:
    from stations.store.ingest import input_files

    return input_files(options, case.folder)


def _run(options: StationsTable, case: Case) -> StageResult:
    import sys

    from stations.store.ingest import files_in_store, run_stations

    def report(line: str) -> None:
        print(line, file=sys.stderr)

    summary = run_stations(options, case.folder, case.out, case.run, report=report)
    store = ObservationStore(summary.pop("path"))
    files = tuple(files_in_store(options, case.folder, store, report))
    return StageResult(outputs=(store.path,), files=files, summary=summary, failed=summary["failed"])


def _check(options: StationsTable, case: Case, _before: tuple[str, ...]) -> Iterable[str | ObsnetError]:
    from stations.store.ingest import look

    return look(options, case.folder, SAMPLE)


STAGE = Stage(
    "stations",
    options=StationsTable,
    run=_run,
    inputs=_inputs,
    version=VERSION,
    tables=(
        "stations.record:sites.toml",
        "stations.calibration:scales.toml",
        "stations.quality:rules",
        "stations.quality:budgets",
    ),
    shards=True,
    check=_check,
)
