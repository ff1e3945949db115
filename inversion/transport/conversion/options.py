"""What is asked of a conversion: one table for the command and for the function."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from inversion.transport.files.binning import Unresolved
from inversion.transport.readers.options import ReaderOptions
from obsnet.command import Flag
from obsnet.work.shards import AllowMissing

__all__ = ["ConvertOptions", "ConvertSettings", "ConvertTable"]


class ConvertSettings(ReaderOptions):
    """How footprint files become a sparse Jacobian; `grid`, where given, are the flux cells of all of them."""

    step: str = Field("1h", description="flux time bins: 1h, 3h, 1D, MS")
    start: str | None = Field(None, description="first flux time, UTC; by default all that the files know")
    stop: str | None = Field(None, description="fluxes before this time, UTC")
    unresolved: Unresolved = Field(
        "refuse",
        description="parts integrated over unknown hours: an error, the flux bin of the release, or left out",
    )
    species: str | None = Field(None, description="of the observations in store, and of background")
    max_km: float = Field(5.0, gt=0, description="largest distance of an observation from its receptor")
    max_minutes: float = Field(30.0, ge=0, description="largest time between an observation and its receptor")
    background: Path | None = Field(
        None, description="boundary file (vmr_n, ...) that gives each observation its background"
    )
    background_unit: str | None = Field(None, description="of background, where the file has none")

    @model_validator(mode="after")
    def _species(self) -> Self:
        for name in ("store", "background"):
            if getattr(self, name, None) is not None and self.species is None:
                raise ValueError(f"--{name} needs --species")
        return self

    @property
    def reader(self) -> ReaderOptions:
        """The part that readers take."""
        return ReaderOptions(**{name: getattr(self, name) for name in ReaderOptions.model_fields})


class ConvertOptions(AllowMissing, ConvertSettings):
    """Footprint files to convert."""

    files: Annotated[list[str], Flag(positional=True)] = Field(
        min_length=1, description="footprint files, folders or globs, or one sparse Jacobian"
    )
    out: Path = Field(description="folder of the sparse Jacobian, or netCDF file")
    to: Literal["store", "cf", "paris"] = Field(
        "store", description="sparse Jacobian, or CF or PARIS netCDF of one input"
    )
    store: Path | None = Field(
        None, description="observation store whose observations the receptors stand for"
    )


class ConvertTable(AllowMissing, ConvertSettings):
    """The table ``[convert]`` of a case: ready footprints of other models."""

    files: list[str] = Field(
        min_length=1, description="footprint files, folders or globs, relative to the case file"
    )
    store: str = Field(
        "store",
        description="observation store whose observations the receptors stand for, relative to the run's outputs",
    )
    species: str = Field(description="of these observations, and of background")
    out: str = Field("footprints", description="folder of the Jacobian, relative to the run's outputs")
