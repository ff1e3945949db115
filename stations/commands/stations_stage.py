"""Pipeline stage ``[stations]``: station files of any network into the observation store."""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path

from pydantic import Field

from obsnet.config import Options, resolve_files
from obsnet.pipeline import Case, Stage, StageResult
from stations.store import VERSION

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

    to_scale: dict[str, str] = Field(
        default_factory=dict, description="scale to convert each species to: CO2 = 'X2019'"
    )
    rules: list[str] = Field(
        default_factory=list, description="rule tables: names, or .toml files relative to the case file"
    )
    budget: str | None = Field(
        None, description="error budget: a name, or a .toml file relative to the case file"
    )
    accept_unverified: bool = Field(False, description="use scale conversions whose source is not checked")
    mixed_scales: bool = Field(False, description="allow records of one species on several scales")


def _tables(options: StationOptions, case: Case) -> list[str]:
    """Return rule tables and the budget, files with their folder."""
    names = [*options.rules, *([options.budget] if options.budget else [])]
    return [str(case.beside(n)) if case.tables(n) else n for n in names]


def _inputs(options: StationOptions, case: Case) -> Iterable[Path]:
    from stations.readers import companions

    files = resolve_files(options.files, case.folder)
    beside = [c for f in files for c in companions(f)]
    return [*files, *beside, *case.tables(options.config, *options.rules, options.budget)]


def _run(options: StationOptions, case: Case) -> StageResult:
    import sys

    from obsnet.store import ObservationStore
    from stations.store.observations import ingest
    from stations.store.process import Process

    said = options.model_dump(include={"format", "site", "scale", "stamp"}, exclude_none=True)
    if options.config:
        said["config"] = case.beside(options.config)
    tables = _tables(options, case)
    process = Process(
        options.to_scale,
        tuple(tables[: len(options.rules)]),
        tables[-1] if options.budget else None,
        options.accept_unverified,
        options.mixed_scales,
    )
    store = ObservationStore(case.out / options.store)
    files = resolve_files(options.files, case.folder)
    summary = ingest(
        files,
        store,
        base=case.folder,
        species=options.species,
        options=said,
        process=process,
        report=lambda line: print(line, file=sys.stderr),
        apart=case.run.scheduler != "serial",
    )
    names = {os.path.relpath(f, case.folder) for f in files}
    ids = {row["file_id"] for row in store.index.read().to_pylist() if row["path"] in names}
    parts = tuple(store.parts_of(ids))
    return StageResult((store.path,), files=parts, summary=summary, failed=summary["failed"])


STAGE = Stage(
    "stations",
    options=StationOptions,
    run=_run,
    inputs=_inputs,
    version=VERSION,
    tables=(
        "stations.record:sites.toml",
        "stations.calibration:scales.toml",
        "stations.quality:rules",
        "stations.quality:budgets",
    ),
)
