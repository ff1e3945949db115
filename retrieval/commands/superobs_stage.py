"""The pipeline stage ``[superobs]``."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from pydantic import Field

from obsnet.config import Options
from obsnet.errors import ConfigError
from obsnet.pipeline import Case, Stage, StageResult
from retrieval.superobs import VERSION

if TYPE_CHECKING:
    from retrieval.superobs.average import Superobs

__all__ = ["STAGE", "AveragingOptions", "SuperobsStage", "averaging"]


class AveragingOptions(Options):
    """How soundings are averaged."""

    method: str = Field("along-track", pattern="^(along-track|area)$", description="along-track or area")
    grid: str | None = Field(None, description="south,north,west,east,dlat[,dlon] for areas")
    window: float | None = Field(None, gt=0, description="seconds; 10 along track, 3600 for areas")
    max_gap: float = Field(3.0, gt=0, description="seconds without a sounding that end a group")
    max_gap_km: float = Field(50.0, gt=0, description="a step to the next sounding that ends a group")
    weighting: str = Field("share", pattern="^(share|area)$", description="share of the pixel, or its area")
    footprint_km: float | None = Field(None, gt=0, description="diameter, for products without pixel corners")
    minimum: int = Field(1, ge=1, description="fewest soundings of a super-observation")
    errors: str = Field("independent", description="independent, correlated, chen2023_ch4 or baker2022_co2")
    r: float | None = Field(None, ge=0, le=1, description="constant correlation of errors")
    length_km: float | None = Field(None, gt=0, description="length of the exponential correlation")
    floor: float | None = Field(None, ge=0, description="least uncertainty, unit of the values")
    transport: float | None = Field(None, ge=0, description="transport error, unit of the values")
    variability: float | None = Field(None, ge=0, description="spread of the true field inside a cell")
    representativity: float | None = Field(None, ge=0, description="1: missing pixels are missing at random")


class SuperobsStage(AveragingOptions):
    """The table ``[superobs]`` of a case."""

    store: str = Field("store", description="store of soundings, relative to the run's outputs")
    out: str = Field("superobs", description="store of super-observations, relative to the run's outputs")
    species: str = Field(description="CO2 or CH4")
    sources: list[str] = Field([], description="sources of the store; all by default")
    start: str | None = Field(None, description="first time, UTC")
    stop: str | None = Field(None, description="time after the last, UTC")


def averaging(options: AveragingOptions) -> Superobs:
    """Return the settings of `retrieval.superobs.average` that options of a command or of a case ask for."""
    from retrieval.commands.option_text import parse_grid
    from retrieval.superobs.average import Superobs
    from retrieval.superobs.errors import error_model

    if options.method == "along-track" and options.grid is not None:
        raise ConfigError("a grid is for --method area; along the track there is none")
    numbers = ("r", "length_km", "floor", "transport", "variability", "representativity")
    return Superobs(
        method=options.method,
        errors=error_model(options.errors, **{n: getattr(options, n) for n in numbers}),
        grid=parse_grid(options.grid) if options.grid else None,
        window_s=options.window,
        max_gap_s=options.max_gap,
        max_gap_km=options.max_gap_km,
        weighting=options.weighting,
        footprint_km=options.footprint_km,
        minimum=options.minimum,
    )


def _run(options: SuperobsStage, case: Case) -> StageResult:
    from retrieval.superobs.store import Selection, combine_store

    summary = combine_store(
        case.out / options.store,
        case.out / options.out,
        Selection(options.species, tuple(options.sources), options.start, options.stop),
        averaging(options),
        work=case.run,
    )
    number = sum(total["superobs"] for total in summary.by_source().values())
    out = case.out / options.out
    return StageResult(
        (out,), files=summary.files(out), summary={"superobs": number}, failed=len(summary.bad)
    )


def _inputs(options: SuperobsStage, case: Case) -> list[Path]:
    from obsnet.store import ObservationStore
    from retrieval.superobs.store import sources_of

    store = ObservationStore(case.out / options.store)
    sources = sources_of(store, options.species, options.sources)
    # how each file was read stands in the index
    return [*sorted(store.index.path.glob("[!.]*.parquet")), *store.files(options.species, sources)]


STAGE = Stage("superobs", SuperobsStage, _run, needs=("ingest",), inputs=_inputs, version=VERSION)
