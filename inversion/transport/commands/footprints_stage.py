"""The pipeline stage ``footprints``: options of a case, and how they become a run."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any, Literal

from pydantic import Field, model_validator

from inversion.transport.run import VERSION
from obsnet.config import Options
from obsnet.pipeline import Case, Stage, StageResult
from obsnet.work.work import Work

_OUTSIDE = "outside the grid of fluxes"

__all__ = ["STAGE", "FootprintOptions", "GridOptions"]


class GridOptions(Options):
    """Flux cells."""

    south: float = Field(ge=-90, le=90)
    north: float = Field(ge=-90, le=90)
    west: float
    east: float
    dlat: float = Field(gt=0)
    dlon: float = Field(gt=0)


class Select(Options):
    """Which observations get footprints."""

    kinds: list[Literal["column", "point"]] | None = Field(None, description="column, point or both")
    sources: list[str] | None = Field(None, description="only these sources of the store")


class FootprintOptions(Options):
    """The table ``[footprints]``."""

    met: list[str] = Field(min_length=1, description="meteorological files, folders or globs")
    store: str = Field("observations", description="observation store, relative to the run's outputs")
    receptors: str | None = Field(
        None, description="file of points, paths and columns (.csv or Parquet) instead of the store"
    )
    species: str = Field(description="CO2, CH4, ...")
    start: str | None = Field(None, description="first observation, UTC")
    stop: str | None = Field(None, description="observations before this time, UTC")
    good_only: bool = Field(True, description="only observations of quality 0")
    select: Select = Select()
    grid: GridOptions
    step: str = Field("1D", description="flux time bins: 3h, 1D, MS, or whole for a single one")
    hours: float = Field(72.0, gt=0, description="length of the backward run")
    particles: int | None = Field(
        None, gt=0, description="per receptor; by default what suits the turbulence"
    )
    timestep: float | None = Field(
        None, gt=0, description="longest step in seconds; by default what suits the turbulence"
    )
    turbulence: str = Field(
        "mixed-layer",
        description="mixed-layer (cheap), hanna (full), stilt (full, its choices) or none (mean wind)",
    )
    near_field: str | None = Field(None, description="hanna: taylor, stilt or none")
    ctl: float = Field(10.0, gt=0, description="hanna: vertical steps per Lagrangian time scale")
    smooth: float = Field(0.0, ge=0, description="hanna: kernel smoothing factor, 0 for none")
    background: str | float | None = Field(
        None, description="incoming air: a number, a baseline (.csv) or fields or curtains (netCDF)"
    )
    background_uncertainty: float = Field(0.0, ge=0, description="of that source, in the species' unit")
    endpoints: bool = Field(False, description="also write where every particle ended")
    seed: int | None = Field(None, ge=0, description="of the random numbers; by default the run's")
    height: Literal["ground", "sea"] = Field(
        "ground", description="points: intake above ground, or altitude above sea"
    )
    batch: int = Field(100, gt=0, description="receptors a task")
    trim: bool = Field(False, description="cut off edge rows of the meteorology that hold NaN")
    out: str = Field("footprints", description="folder of the Jacobian")

    @model_validator(mode="after")
    def _order(self) -> FootprintOptions:
        if self.grid.south >= self.grid.north:
            raise ValueError("grid.south must be less than grid.north")
        return self


def _beneath(base: Path, name: str) -> Path:
    path = Path(name).expanduser()
    return path if path.is_absolute() else base / path


def _number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True


def _chosen(options: FootprintOptions, store: Path, grid: Any) -> tuple[Any, int]:
    """Return the observations that get footprints, and how many lie outside the grid."""
    import pyarrow.dataset as ds

    from obsnet.store import ObservationStore

    where = None
    if options.select.kinds:
        where = ds.field("kind").isin(options.select.kinds)
    chosen = {
        "source": options.select.sources,
        "start": options.start,
        "stop": options.stop,
        "good_only": options.good_only,
        "where": where,
    }
    observations = ObservationStore(store)
    table = observations.read(options.species, bounds=grid.bounds, **chosen)
    outside = len(observations.read(options.species, columns=["obs_id"], **chosen)) - len(table)
    return table, outside


def run_with(
    options: FootprintOptions,
    *,
    folder: Path,
    out: Path,
    store: Path,
    work: Work,
    seed: int,
    replace: bool = False,
    report: Any = lambda _line: None,
) -> dict[str, Any]:
    """Run footprints from checked options; the command and the stage both come here."""
    from inversion.transport.particles.settings import Settings
    from inversion.transport.receptors.listed import read_places
    from inversion.transport.run.run import run_footprints
    from obsnet.config import resolve_files
    from obsnet.grid import Grid

    grid = Grid.regular(**options.grid.model_dump())
    outside = 0
    if options.receptors is not None:
        table = read_places(_beneath(folder, options.receptors), options.species)
    else:
        table, outside = _chosen(options, store, grid)
    names = ("hours", "turbulence", "height", "particles", "timestep", "near_field", "ctl", "smooth")
    settings = Settings(
        seed=seed if options.seed is None else options.seed,
        **{name: getattr(options, name) for name in names},
    )
    background = options.background
    if isinstance(background, str) and not _number(background):
        background = str(_beneath(folder, background))
    found = run_footprints(
        table,
        resolve_files(options.met, folder),
        out,
        grid=grid,
        step=options.step,
        settings=settings,
        batch=options.batch,
        work=work,
        background=background,
        background_uncertainty=options.background_uncertainty,
        endpoints=options.endpoints,
        met_options={"trim": options.trim},
        replace=replace,
        report=report,
    )
    if outside:
        found["skipped"] = {**found["skipped"], _OUTSIDE: found["skipped"].get(_OUTSIDE, 0) + outside}
    return found


def _store(options: FootprintOptions, case: Case) -> Path:
    """Return the observation store that an earlier stage wrote, or the user's own."""
    inside = _beneath(case.out, options.store)
    return inside if inside.exists() else _beneath(case.folder, options.store)


def _run(options: FootprintOptions, case: Case) -> StageResult:
    out = _beneath(case.out, options.out)
    found = run_with(
        options,
        folder=case.folder,
        out=out,
        store=_store(options, case),
        work=case.run,
        seed=case.run.seed,
        replace=True,
    )
    summary = {k: found[k] for k in ("receptors", "skipped", "parts", "made", "notes")}
    parts = tuple(p for kind in ("sensitivity", "background") for p in (out / kind).glob("[!.]*.parquet"))
    return StageResult((out / "meta.json",), files=parts, summary=summary)


def _inputs(options: FootprintOptions, case: Case) -> Iterable[Path]:
    from obsnet.config import resolve_files
    from obsnet.store import ObservationStore

    background = options.background
    extra = [background] if isinstance(background, str) and not _number(background) else []
    if options.receptors is not None:
        return resolve_files([*options.met, *extra, options.receptors], case.folder)
    store = ObservationStore(_store(options, case))
    return [
        *resolve_files([*options.met, *extra], case.folder),
        *store.files(options.species, options.select.sources),
    ]


STAGE = Stage(
    "footprints",
    FootprintOptions,
    _run,
    needs=("ingest", "superobs", "stations"),
    inputs=_inputs,
    version=VERSION,
)
