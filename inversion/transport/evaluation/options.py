"""What is asked of an evaluation against a tracer experiment."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from inversion.transport.particles.settings import ParticleSettings
from obsnet.areas import GridField
from obsnet.command import Flag
from obsnet.met.options import MetOptions

__all__ = ["EvaluateOptions"]


class EvaluateOptions(ParticleSettings, MetOptions):
    """Samples and releases of a tracer experiment, and how the model is run to meet them."""

    met: Annotated[list[str], Flag(positional=True)] = Field(
        min_length=1, description="meteorological files, folders or globs"
    )
    samples: Path = Field(description="measured samples, a DATEM file")
    releases: Path = Field(description="FLEXPART's RELEASES in its namelist form; MASS in kg")
    unit: str | None = Field(
        None, description="of the samples, such as pg/m3, where the file's heading names none"
    )
    grid: GridField = Field(description="cells of sources and samples, and the domain, degrees")
    ways: list[Literal["backward", "forward"]] = Field(
        ["backward", "forward"],
        min_length=1,
        description="backward from each sample, forward from each release",
    )
    out: Path = Field(Path("evaluation"), description="folder of the table, the scores and the picture")
    sampler: float = Field(2.0, ge=0, description="height of the samplers above ground, m")
    threshold: float = Field(
        0.0, ge=0, description="values up to it count as zero, in the unit of the samples"
    )
    turbulence: Literal["hanna", "stilt", "none"] = Field("hanna", description="as in obsnet footprints run")
    hours: float = Field(
        120.0,
        gt=0,
        description="longest travel; samples that begin later than this after all releases are left out",
    )
    particles: int | None = Field(1000, gt=0, description="per sample, backward")
    released: int = Field(100000, gt=0, description="particles per release, forward")
    layer: float = Field(
        100.0, gt=0, description="samples and sources are means over this many metres above ground"
    )
    veght: Annotated[float, Flag(hidden=True)] = Field(0.5, gt=0, le=1, description="of footprints only")
    near_field: Annotated[Literal["none"], Flag(hidden=True)] = Field(
        "none", description="of footprints only"
    )
    direction: Annotated[Literal[-1], Flag(hidden=True)] = Field(-1, description="both ways are run")
    paths: Annotated[float, Flag(hidden=True)] = Field(0.0, ge=0, le=0, description="of footprints only")

    @model_validator(mode="after")
    def _of_one_way(self) -> Self:
        for way, names in (("backward", ("particles", "sampler")), ("forward", ("released",))):
            for name in names:
                if way not in self.ways and getattr(self, name) != type(self).model_fields[name].default:
                    raise ValueError(f"{name} does nothing without the way {way}; leave it out")
        return self

    def settings(self, direction: int, hours: float) -> ParticleSettings:
        """Return how particles are run one way."""
        found = {name: getattr(self, name) for name in ParticleSettings.model_fields}
        count = self.released if direction > 0 else self.particles
        return ParticleSettings(**{**found, "direction": direction, "hours": hours, "particles": count})

    @property
    def met_options(self) -> MetOptions:
        """How the meteorology is read and prepared."""
        return MetOptions(**{name: getattr(self, name) for name in MetOptions.model_fields})
