"""Pipeline stage ``[stations]``: station files of any network into the observation store."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from pydantic import Field

from obsnet.config import Options, resolve_files
from obsnet.pipeline import Case, Stage, StageResult

__all__ = ["STAGE", "StationOptions"]


class StationOptions(Options):
    """The table ``[stations]`` of a case."""

    files: list[str] = Field(description="files, folders or globs, relative to the case file")
    store: str = Field("store", description="observation store, relative to the run's folder of outputs")
    species: list[str] = Field(["*"], description="which of a file's species; by default all")
    format: str | None = Field(None, description="a reader's name, where the content must not decide")
    config: str | None = Field(None, description="TOML that describes the columns of tables of your own")
    site: str | None = Field(None, description="site code, where the files have none")
    scale: str | None = Field(None, description="calibration scale, where the files have none")
    stamp: str | None = Field(
        None,
        description="what a time stamp names, where the files do not say",
        pattern="^(start|middle|end)$",
    )


def _inputs(options: StationOptions, case: Case) -> Iterable[Path]:
    config = [case.folder / options.config] if options.config else []
    return [*resolve_files(options.files, case.folder), *config]


def _run(options: StationOptions, case: Case) -> StageResult:
    import sys

    from obsnet.store import ObservationStore
    from stations.observations import ingest

    said = options.model_dump(include={"format", "site", "scale", "stamp"}, exclude_none=True)
    if options.config:
        said["config"] = case.folder / options.config
    store = ObservationStore(case.out / options.store)
    summary = ingest(
        resolve_files(options.files, case.folder),
        store,
        base=case.folder,
        species=options.species,
        options=said,
        report=lambda line: print(line, file=sys.stderr),
    )
    return StageResult(outputs=(store.path,), summary=summary, failed=summary["failed"])


STAGE = Stage("stations", options=StationOptions, run=_run, inputs=_inputs)
