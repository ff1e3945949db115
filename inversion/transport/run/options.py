"""What is asked of footprints and forward runs: one table a stage, a command and the function that does it."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, ClassVar, Literal, Self

from pydantic import Field, model_validator

from inversion.transport.particles.mixing_height_error import mixing_height_waves
from inversion.transport.particles.settings import MixingHeightError, NearField, ParticleSettings, WindError
from inversion.transport.particles.wind_error import NO_WAVES, wind_error_waves
from obsnet.areas import GridField
from obsnet.command import Flag
from obsnet.config import Options
from obsnet.met.options import MetOptions
from obsnet.typing import Floats
from obsnet.work.shards import AllowMissing

__all__ = [
    "FootprintCommand",
    "FootprintOptions",
    "FootprintSelection",
    "ForwardOptions",
    "MixingHeightErrorOptions",
    "TransportErrors",
    "WindErrorOptions",
]

# Options that listed receptors do not know.
_OF_THE_STORE = ("start", "stop", "good_only", "select", "height", "share")

MetFiles = Annotated[list[str], Flag(positional=True)]


class FootprintSelection(Options):
    """Which observations get footprints."""

    kinds: Annotated[list[Literal["column", "point"]] | None, Flag(names=("--kind",))] = Field(
        None, description="column, point or both"
    )
    sources: Annotated[list[str] | None, Flag(names=("--source",))] = Field(
        None, description="only these sources of the store"
    )


class _Members(Options):
    """How many error fields are drawn, and what makes observations of them."""

    flux: str = Field(
        description="prior flux that footprints are multiplied with, relative to the case file (CF netCDF)"
    )
    members: int = Field(50, ge=8, description="error fields")
    particles: int = Field(
        60,
        ge=2,
        multiple_of=2,
        description="particles of each member and receptor; half of them see other turbulence",
    )

    @property
    def run(self) -> str:
        """Size, in words."""
        return f"{self.members} members of {self.particles} particles, flux {Path(self.flux).name}"


class WindErrorOptions(_Members, WindError):
    """The table ``[footprints.wind_error]``."""

    kind: ClassVar[str] = "wind"

    def fields(self, seed: int, member: int) -> tuple[Floats, Floats]:
        """Return the error of the winds and of the boundary-layer height of one member."""
        return wind_error_waves(self, seed, member), NO_WAVES

    def __str__(self) -> str:
        return (
            f"wind error: {self.speed:g} m s-1 over {self.hours:g} h, {self.km:g} km and {self.metres:g} m as stated, "
            f"{self.run}"
        )


class MixingHeightErrorOptions(_Members, MixingHeightError):
    """The table ``[footprints.mixing_height_error]``."""

    kind: ClassVar[str] = "mixing height"

    def fields(self, seed: int, member: int) -> tuple[Floats, Floats]:
        """Return the error of the winds and of the boundary-layer height of one member."""
        return NO_WAVES, mixing_height_waves(self, seed, member)

    def __str__(self) -> str:
        return (
            f"mixing height error: {self.relative:g} of ln h over {self.hours:g} h and {self.km:g} km as stated, "
            f"{self.run}"
        )


TransportErrors = tuple[WindErrorOptions | MixingHeightErrorOptions, ...]


class FootprintOptions(AllowMissing, ParticleSettings, MetOptions):
    """The table ``[footprints]``."""

    met: MetFiles = Field(min_length=1, description="meteorological files, folders or globs")
    store: str | None = Field(
        None, description="observation store, 'observations' by default, relative to the run's outputs"
    )
    receptors: str | None = Field(
        None, description="file of points, paths and columns (.csv or Parquet) instead of the store"
    )
    species: str = Field(description="CO2, CH4, ...")
    start: str | None = Field(None, description="first observation, UTC")
    stop: str | None = Field(None, description="observations before this time, UTC")
    good_only: bool = Field(True, description="only observations of quality 0")
    select: FootprintSelection = FootprintSelection()
    grid: GridField = Field(description="flux cells, degrees")
    step: str = Field("1D", description="flux time bins: 3h, 1D, MS, or whole for a single one")
    background: str | float | None = Field(
        None, description="incoming air: a number, a baseline (.csv) or fields or curtains (netCDF)"
    )
    background_uncertainty: float = Field(0.0, ge=0, description="of that source, in the species' unit")
    endpoints: bool = Field(False, description="also write where every particle ended")
    wind_error: WindErrorOptions | None = Field(
        None, description="errors of the winds, and what they do to each observation under a flux"
    )
    mixing_height_error: MixingHeightErrorOptions | None = Field(
        None,
        description="errors of the boundary-layer height, and what they do to each observation under a flux",
    )
    seed: int | None = Field(None, ge=0, description="of the random numbers; by default the run's")  # type: ignore[assignment]
    height: Literal["ground", "sea"] = Field(
        "ground", description="points: intake above ground, or altitude above sea"
    )
    share: float = Field(
        0.0,
        ge=0,
        description="columns within cells of this many km, and a minute, share particles; 0: each has its own",
    )
    batch: int = Field(100, gt=0, description="receptors a task")
    out: str = Field("footprints", description="folder of the Jacobian, relative to the run's outputs")

    @model_validator(mode="after")
    def _one_source(self) -> Self:
        if self.store is not None and self.receptors is not None:
            raise ValueError("store and receptors both say where to make footprints for; give one of them")
        if self.direction != -1:
            raise ValueError("footprints run backward: leave out direction")
        said = [
            name for name in _OF_THE_STORE if getattr(self, name) != type(self).model_fields[name].default
        ]
        if self.receptors is not None and said:
            raise ValueError(
                f"{', '.join(said)}: of an observation store only, receptors {self.receptors} are all taken as listed; "
                "leave it out"
            )
        if self.share > 0.0 and self.paths > 0.0:
            raise ValueError(
                "paths are those of one receptor's particles, which with share several have; leave one of them out"
            )
        if self.background is None and self.background_uncertainty > 0.0:
            raise ValueError(
                "background_uncertainty does nothing without background; leave it out or give one"
            )
        return self

    def settings(self, seed: int) -> ParticleSettings:
        """Return how particles are run; `seed` where the table has none."""
        found = {name: getattr(self, name) for name in ParticleSettings.model_fields}
        return ParticleSettings(**{**found, "seed": seed if self.seed is None else self.seed})

    @property
    def errors(self) -> TransportErrors:
        """Return the errors of the weather that are asked for."""
        return tuple(e for e in (self.wind_error, self.mixing_height_error) if e is not None)

    @property
    def met_options(self) -> MetOptions:
        """Return how the meteorology is read and prepared."""
        return MetOptions(**{name: getattr(self, name) for name in MetOptions.model_fields})


class FootprintCommand(FootprintOptions):
    """The same, typed."""

    replace: bool = Field(
        False, description="remove footprints of other settings or observations from out instead of refusing"
    )


class ForwardOptions(ParticleSettings, MetOptions):
    """Known releases that are followed forward."""

    met: MetFiles = Field(min_length=1, description="meteorological files, folders or globs")
    sources: Path = Field(description="file of points and paths with amount_mol")
    species: str = Field(description="CO2, CH4, ...")
    grid: GridField = Field(description="cells of the means, degrees")
    out: Path = Field(Path("forward.nc"), description="netCDF file")
    step: str = Field("1h", description="periods of the means: 1h, 1D, or whole")
    turbulence: Literal["hanna", "stilt", "none"] = Field("hanna", description="as in obsnet footprints run")
    hours: float = Field(24.0, gt=0, description="how long each particle is followed")
    particles: int | None = Field(10000, gt=0, description="per source")
    layer: float = Field(100.0, gt=0, description="mean over this many metres above ground")
    veght: Annotated[float, Flag(hidden=True)] = Field(0.5, gt=0, le=1, description="of footprints only")
    near_field: Annotated[NearField | None, Flag(hidden=True)] = Field(None, description="of footprints only")
    direction: Annotated[Literal[1], Flag(hidden=True)] = Field(1, description="forward in time")
    paths: Annotated[float, Flag(hidden=True)] = Field(0.0, ge=0, le=0, description="of footprints only")

    @property
    def settings(self) -> ParticleSettings:
        """How particles are run."""
        found = {name: getattr(self, name) for name in ParticleSettings.model_fields}
        return ParticleSettings(**found)

    @property
    def met_options(self) -> MetOptions:
        """How the meteorology is read and prepared."""
        return MetOptions(**{name: getattr(self, name) for name in MetOptions.model_fields})
