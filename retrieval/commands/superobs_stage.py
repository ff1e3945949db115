"""The pipeline stage ``[superobs]``."""

from __future__ import annotations

from pathlib import Path

from obsnet.pipeline import Case, Stage, StageResult
from retrieval.superobs import VERSION
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
        **({"unfinished_inputs": summary.without} if summary.without else {}),
    }
    out = case.out / options.out
    return StageResult(outputs=(out,), files=summary.files(out), summary=found, failed=len(summary.bad))


def _inputs(options: SuperobsTable, case: Case) -> list[Path]:
    from obsnet.store import ObservationStore
    from retrieval.superobs.store import sources_of

    store = ObservationStore(case.out / options.store)
    sources = sources_of(store, options.species, options.sources)
    # how each file was read stands in the index
    return [*sorted(store.index.path.glob("[!.]*.parquet")), *store.files(options.species, sources)]


STAGE = Stage(
    "superobs", SuperobsTable, _run, needs=("ingest",), inputs=_inputs, version=VERSION, shards=True
)
