"""What a user knows of a footprint file that does not say it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field

from obsnet.areas import GridField
from obsnet.command import Flag
from obsnet.config import Options
from obsnet.times import as_utc

__all__ = ["InfoOptions", "ReaderOptions", "Receptor"]

RECEPTOR_FORM = "TIME,LAT,LON,HEIGHT"
DENSITY_FORM = "NUMBER|standard"


@dataclass(frozen=True)
class Receptor:
    """Where and when an observation was made, where the file cannot tell.

    Parameters
    ----------
    time : str or datetime64
        UTC.
    latitude, longitude : float
        Degrees.
    height_m : float
        Above ground; NaN for a column.
    """

    time: Any
    latitude: float
    longitude: float
    height_m: float = float("nan")


def _receptor(given: Any) -> Any:
    if not isinstance(given, str):
        return given
    time, *rest = given.split(",")
    try:
        return Receptor(as_utc(time), *(float(w) for w in rest))
    except (TypeError, ValueError) as error:
        raise ValueError(f"write it as {RECEPTOR_FORM} ({error})") from None


def _density(given: Any) -> Any:
    if not isinstance(given, str) or given == "standard":
        return given
    try:
        return float(given)
    except ValueError:
        raise ValueError("write a number in kg m-3, or 'standard'") from None


Density = Annotated[float | Literal["standard"], BeforeValidator(_density), Flag(form=DENSITY_FORM)]


class ReaderOptions(Options):
    """What a user knows of a file that does not say it."""

    unit: str | None = Field(None, description="unit of the values, where the file has none")
    label: Literal["begin", "end"] | None = Field(
        None, description="what the time stamps mark, where the file leaves it open"
    )
    weighting: Literal["none", "pressure", "kernel"] | None = Field(
        None,
        description="what is in column footprints already: nothing, pressure weights, or kernel and pressure weights "
        "(X-STILT files do not say)",
    )
    receptor: Annotated[Receptor | None, BeforeValidator(_receptor), Flag(form=RECEPTOR_FORM)] = Field(
        None, description="of the receptor, where the file's name has none"
    )
    emulated: bool = Field(False, description="the footprints come from an emulator; marked so")
    part: Literal["high", "low", "both"] | None = Field(
        None,
        description="which of two nested grids; the outer one by default. both: where files are converted",
    )
    integrated: bool = Field(False, description="take the time-integrated field although hours are there")
    grid: GridField | None = Field(
        None, description="latitude-longitude cells, onto which a projected footprint is binned"
    )
    source_density: Density | None = Field(None, description="air density at sources, kg m-3, or 'standard'")
    receptor_density: Density | None = Field(
        None, description="air density at the receptor, kg m-3, or 'standard' (the ICAO atmosphere)"
    )
    released_mass: float | None = Field(None, gt=0, description="mass released, for HYSPLIT concentrations")
    species_index: int = Field(1, ge=1, description="which FLEXPART species, from 1")
    format: str | None = Field(None, description="reader; found out by content otherwise")

    @property
    def kind(self) -> str:
        """What the Jacobian calls the source of its numbers."""
        return "emulated" if self.emulated else "read"


class InfoOptions(ReaderOptions):
    """A footprint file to look into."""

    file: Annotated[Path, Flag(positional=True)] = Field(
        description="footprint file, or folder of a sparse Jacobian"
    )
