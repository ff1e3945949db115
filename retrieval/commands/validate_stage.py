"""The pipeline stage ``[validate]``."""

from __future__ import annotations

from pathlib import Path

from pydantic import Field

from obsnet.config import Options
from obsnet.pipeline import Case, Stage, StageResult
from obsnet.store import ObservationStore
from retrieval.commands.validate import make_files

__all__ = ["STAGE", "ValidateStage"]


class ValidateStage(Options):
    """The table ``[validate]`` of a case."""

    store: str = Field(
        "store", description="observation store of the satellite, relative to the run's outputs"
    )
    reference: str = Field("store", description="store of the ground network, relative to the run's outputs")
    out: str = Field("validation", description="folder of tables and pictures, relative to the run's outputs")
    species: str = Field(description="CO2 or CH4")
    source: str = Field(description="satellite product")
    reference_source: str | None = Field(None, description="needed where the reference store has several")
    half_latitude: float = Field(2.5, gt=0, description="half the box round a site, degrees")
    half_longitude: float = Field(5.0, gt=0, description="half the box round a site, degrees")
    hours: float = Field(1.0, gt=0, description="reference columns before and after the overpass")
    minimum: int = Field(5, ge=1, description="fewest soundings of an overpass")
    altitude: float | None = Field(None, gt=0, description="largest difference in height, m")
    adjust: str = Field(
        "kernel", pattern="^(kernel|none)$", description="see through the satellite's kernels"
    )
    start: str | None = Field(None, description="first time, UTC")
    stop: str | None = Field(None, description="time after the last, UTC")


def _run(options: ValidateStage, case: Case) -> StageResult:
    out = case.out / options.out
    report = make_files(
        case.out / options.store,
        case.out / options.reference,
        out,
        **options.model_dump(exclude={"store", "reference", "out"}),
    )
    return StageResult((out,), files=tuple(map(Path, report["files"])), summary=report["summary"])


def _inputs(options: ValidateStage, case: Case) -> list[Path]:
    reference = None if options.reference_source is None else [options.reference_source]
    satellite = ObservationStore(case.out / options.store).files(options.species, [options.source])
    return [*satellite, *ObservationStore(case.out / options.reference).files(options.species, reference)]


STAGE = Stage("validate", ValidateStage, _run, needs=("ingest", "superobs", "stations"), inputs=_inputs)
