"""The pipeline stage ``[grid]``."""

from __future__ import annotations

from pathlib import Path

from pydantic import Field

from obsnet.config import Options
from obsnet.pipeline import Case, Stage, StageResult
from obsnet.store import ObservationStore
from retrieval.commands.grid import make_files

__all__ = ["STAGE", "GridStage"]


class GridStage(Options):
    """The table ``[grid]`` of a case."""

    store: str = Field("superobs", description="observation store, relative to the run's outputs")
    out: str = Field("maps/columns.nc", description="netCDF file, relative to the run's outputs")
    species: str = Field(description="CO2 or CH4")
    source: str | None = Field(None, description="source of the store; needed where there are several")
    grid: str = Field(description="south,north,west,east,dlat[,dlon]")
    start: str = Field(description="first time, UTC")
    stop: str = Field(description="time after the last, UTC")
    step: str = Field("1D", description="length of a period: 1D, 8D, MS")
    method: str = Field("bin", pattern="^(bin|kriging|frk)$", description="bin, kriging or frk")
    r: float = Field(0.0, ge=0, le=1, description="correlation of errors inside a cell, for means")
    window_days: float = Field(8.0, gt=0, description="days before and after a period that are used")
    neighbours: int = Field(64, ge=1, description="columns that a cell is kriged from")
    reach_km: float | None = Field(None, gt=0, description="cells farther from any column stay empty")
    folds: int = Field(10, ge=0, description="of the cross-validation; 0 leaves it out")
    geotiff: bool = Field(False, description="write GeoTIFFs beside the netCDF file")
    pictures: bool = Field(False, description="write PNG maps beside the netCDF file")


def _run(options: GridStage, case: Case) -> StageResult:
    out = case.out / options.out
    report = make_files(
        case.out / options.store,
        out,
        cells=options.grid,
        geotiff=out.parent if options.geotiff else None,
        pictures=out.parent if options.pictures else None,
        **options.model_dump(exclude={"store", "out", "grid", "geotiff", "pictures"}),
    )
    files = tuple(map(Path, report["files"]))
    summary = {key: report[key] for key in ("observations", "cells")} | {
        f"cross_validation_{k}": v for k, v in report.get("cross_validation", {}).items()
    }
    return StageResult((out,), files=files, summary=summary)


def _inputs(options: GridStage, case: Case) -> list[Path]:
    sources = None if options.source is None else [options.source]
    return ObservationStore(case.out / options.store).files(options.species, sources)


STAGE = Stage("grid", GridStage, _run, needs=("ingest", "superobs", "stations"), inputs=_inputs)
