"""The pipeline stage ``[ingest]``."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from pydantic import Field

from obsnet.config import Options
from obsnet.pipeline import Case, Stage, StageResult
from obsnet.store import ObservationStore
from retrieval.commands.superobs_stage import AveragingOptions, averaging
from retrieval.ingest import VERSION
from retrieval.superobs import VERSION as AVERAGING

__all__ = ["STAGE", "IngestStage"]


class IngestStage(Options):
    """The table ``[ingest]`` of a case."""

    files: list[str] = Field(
        min_length=1, description="granules, folders or globs, relative to the case file"
    )
    store: str = Field("store", description="observation store, relative to the run's outputs")
    sensor: str | None = Field(None, description="product; recognised by content without it")
    species: str | None = Field(None, description="for files of several species")
    screen: str | None = Field(
        None, description="quality screen: a name, or a .toml relative to the case file"
    )
    correction: str | None = Field(None, description="bias correction, a .toml relative to the case file")
    x2019: bool = Field(False, description="XCO2 on the WMO X2019 scale")
    variant: str | None = Field(None, description="another value of the product, e.g. raw of s5p_ch4")
    profiles: str = Field("all", pattern="^(all|good|none)$", description="whose kernels and priors are kept")
    extra: list[str] = Field([], description="further variables to keep beside the store")
    sensors: str | None = Field(None, description="folder of your own sensor tables")
    superobs: AveragingOptions | None = Field(
        None, description="average at once with these options and keep no soundings"
    )
    mixed: bool = Field(False, description="allow several versions or scales in one store")


def _inputs(options: IngestStage, case: Case) -> list[Path]:
    from retrieval.ingest.run import granule_files

    tables = case.tables(options.screen, options.correction)
    folders = [case.beside(options.sensors)] if options.sensors else []
    for variable in ("OBSNET_SENSORS", "OBSNET_SCREENS"):
        folders += [Path(p) for p in os.environ.get(variable, "").split(os.pathsep) if p]
    return [*granule_files(options.files, case.folder), *tables, *folders]


def _run(options: IngestStage, case: Case) -> StageResult:
    from retrieval.ingest.options import IngestOptions
    from retrieval.ingest.run import granule_files, ingest

    def beside(name: str | None) -> str | None:
        return str(case.beside(name)) if name is not None and case.tables(name) else name

    store = case.out / options.store
    summary = ingest(
        granule_files(options.files, case.folder),
        store,
        IngestOptions(
            sensor=options.sensor,
            species=options.species,
            variant="x2019" if options.x2019 else options.variant,
            screen=beside(options.screen),
            correction=beside(options.correction),
            profiles=options.profiles,
            extra=tuple(options.extra),
            sensors=(str(case.beside(options.sensors)),) if options.sensors else (),
            superobs=averaging(options.superobs) if options.superobs else None,
        ),
        work=case.run,
        mixed=options.mixed,
    )
    figures: dict[str, Any] = {
        "files": len(summary.files),
        "soundings": summary.soundings,
        "good": summary.good,
    }
    files = ObservationStore(store).parts_of({row["file_id"] for row in summary.files})
    outputs = (store,) if store.exists() else ()
    return StageResult(outputs=outputs, files=tuple(files), summary=figures, failed=len(summary.bad))


STAGE = Stage(
    "ingest",
    IngestStage,
    _run,
    inputs=_inputs,
    version=VERSION + AVERAGING,  # rises with either
    tables=("retrieval.readers:sensors", "retrieval.products:screens"),
)
