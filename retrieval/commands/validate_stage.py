"""The pipeline stage ``[validate]``."""

from __future__ import annotations

from pathlib import Path

from obsnet.pipeline import Case, Stage, StageResult
from retrieval.validation.options import ValidateTable

__all__ = ["STAGE"]


def _run(options: ValidateTable, case: Case) -> StageResult:
    from retrieval.validation.compare import run_validate

    report = run_validate(options, case.out)
    files = tuple(map(Path, report["files"]))
    return StageResult((case.out / options.out,), files=files, summary=report["summary"])


def _inputs(options: ValidateTable, case: Case) -> list[Path]:
    from obsnet.store import ObservationStore

    reference = None if options.reference_source is None else [options.reference_source]
    satellite = ObservationStore(case.out / options.store).files(options.species, [options.source])
    return [*satellite, *ObservationStore(case.out / options.reference).files(options.species, reference)]


STAGE = Stage("validate", ValidateTable, _run, needs=("ingest", "superobs", "stations"), inputs=_inputs)
