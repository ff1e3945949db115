"""The pipeline stage ``[ingest]``."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from obsnet.case_check import few
from obsnet.errors import ObsnetError
from obsnet.pipeline import Case, Stage, StageResult
from obsnet.store import ObservationStore
from obsnet.work.isolated import apart
from retrieval.ingest import VERSION
from retrieval.ingest.options import IngestTable
from retrieval.superobs import VERSION as AVERAGING

__all__ = ["STAGE"]


def _run(options: IngestTable, case: Case) -> StageResult:
    from retrieval.ingest.run import run_ingest

    summary = run_ingest(options, case.folder, case.out, case.run)
    found: dict[str, Any] = {
        "files": len(summary.files),
        "soundings": summary.soundings,
        "good": summary.good,
    }
    store, names = case.out / options.store, {row["file_id"] for row in summary.files}
    files = ObservationStore(store).parts_of(names)
    outputs = (store,) if store.exists() else ()
    found |= {"notes": ObservationStore(store).index.notes(names)}
    return StageResult(outputs=outputs, files=tuple(files), summary=found, failed=len(summary.bad))


def _inputs(options: IngestTable, case: Case) -> list[Path]:
    from retrieval.readers.files import granule_files

    folders = []
    for variable in ("OBSNET_SENSORS", "OBSNET_SCREENS"):
        folders += [Path(p) for p in os.environ.get(variable, "").split(os.pathsep) if p]
    return [*granule_files(options.files, case.folder), *options.tables(case.folder), *folders]


def _check(options: IngestTable, case: Case, _before: tuple[str, ...]) -> Iterator[str | ObsnetError]:
    from retrieval.ingest.plan import make_plan, sniffed
    from retrieval.readers.files import granule_files

    everything = sorted(map(str, granule_files(options.files, case.folder)))
    chosen, how = few(everything), options.beside(case.folder)
    how.load()
    if len(chosen) < len(everything):
        yield f"{len(chosen)} of {len(everything)} files opened"
    for path in chosen:
        try:
            found = apart(sniffed, path, how)
        except ObsnetError as error:
            yield error
            continue
        yield f"{Path(path).name}: {found.source}, {found.species}, {found.start[:19]} to {found.end[:19]}"
    make_plan(chosen, [], how, mixed=options.mixed)


STAGE = Stage(
    "ingest",
    IngestTable,
    _run,
    inputs=_inputs,
    version=VERSION + AVERAGING,  # rises with either
    tables=("retrieval.readers:sensors", "retrieval.products:screens"),
    shards=True,
    check=_check,
)
