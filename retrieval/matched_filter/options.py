"""How enhancements are told from radiances: options of ``obsnet plume absorption`` and ``obsnet plume filter``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field

from obsnet.command import Flag
from obsnet.config import Options
from obsnet.language import InLanguage

__all__ = ["AbsorptionTable", "FilterSettings", "FilterTable"]


class FilterSettings(Options):
    """A matched filter.

    Examples
    --------
    >>> FilterSettings().method
    'reweighted'
    """

    method: Literal["classical", "albedo", "reweighted"] = Field(
        "reweighted",
        description="classical; albedo: divided by the brightness of each pixel; reweighted: the same with a "
        "background from which the plume was taken in rounds (mag1c)",
    )
    rounds: int = Field(30, ge=2, le=200, description="of the reweighted filter")
    together: int = Field(1, ge=1, description="neighbouring detector columns that share mean and covariance")
    shrinkage: Literal["oas", "none"] = Field(
        "oas", description="of the covariance to its variances, brightness left out; none: as found"
    )
    fewest: float = Field(3.0, ge=1.5, description="pixels a band without which a background cannot be told")
    dark: float = Field(
        0.1,
        ge=0,
        lt=1,
        description="share of the columns' median radiance below which a pixel is dark (water, shadow)",
    )
    saturation: float | None = Field(
        None, gt=0, description="radiance, unit of the cube, from which on a detector is saturated"
    )
    unlike: float = Field(
        6.0,
        gt=1,
        description="distance from the background (1 on average) beyond which a pixel is not believed",
    )
    threshold: float = Field(
        3.0,
        gt=0,
        description="standard deviations above which an enhancement counts as told, for the limit of detection",
    )

    @property
    def weight(self) -> float | None:
        """What `retrieval.matched_filter.background.shrink` takes."""
        return 0.0 if self.shrinkage == "none" else None


class AbsorptionTable(Options):
    """The command ``obsnet plume absorption``."""

    bands: Annotated[Path, Flag(positional=True)] = Field(
        description="CSV with wavelength_nm and fwhm_nm, or a cube that states them"
    )
    gas: str = Field("CO2", description="whose unit absorption: CO2 or CH4")
    window: tuple[float, float] = Field(description="wavelengths that the filter shall use, nm: LOW,HIGH")
    lines: dict[str, Path] = Field(
        description="HITRAN file of each gas that absorbs there, e.g. CO2=co2.par; may be repeated"
    )
    isotopologues: dict[str, tuple[int, ...]] = Field(
        {}, description="which ones of a gas, e.g. CO2=1,2,3; the first by default"
    )
    background: dict[str, float] = Field(
        {"CO2": 420.0, "CH4": 1900.0}, description="column mole fractions, ppm and for CH4 ppb"
    )
    sun: float = Field(ge=0, lt=85, description="zenith angle of the Sun, degrees")
    view: float = Field(0.0, ge=0, lt=80, description="zenith angle of the view, degrees")
    atmosphere: Path | None = Field(
        None, description="CSV of levels, surface first: pressure_hpa, temperature_k, water (mole fraction)"
    )
    surface_pressure: float = Field(
        1013.25, gt=300, le=1100, description="hPa, of the standard atmosphere that is taken without a file"
    )
    water: float = Field(
        0.008,
        ge=0,
        le=0.05,
        description="mole fraction of water vapour at its ground; half of it 1.5 km higher",
    )
    wavelengths: Literal["vacuum", "air"] = Field("vacuum", description="what the bands' wavelengths are in")
    solar: Path | None = Field(None, description="solar line list of GGG")
    out: Path = Field(Path("absorption.csv"), description="table to write")


class FilterTable(InLanguage):
    """The command ``obsnet plume filter``."""

    cubes: Annotated[list[str], Flag(positional=True)] = Field(
        description="radiances: netCDF files, ENVI headers (.hdr); globs"
    )
    absorption: Annotated[list[Path], Flag(whole=True)] = Field(
        min_length=1, description="table of unit absorption, one a gas; may be repeated"
    )
    filter: FilterSettings = FilterSettings()
    bands: Path | None = Field(
        None, description="CSV with wavelength_nm and fwhm_nm, where a cube does not state them"
    )
    location: Path | None = Field(
        None, description="ENVI header of an image with longitude and latitude as its first two bands"
    )
    time: str | None = Field(None, description="of the overpass, UTC, where a cube does not state it")
    radiance: str = Field("radiance", description="variable of a netCDF file")
    block_mib: float = Field(
        128.0, gt=0, description="of radiances that a worker holds; a file by lines is read once a block"
    )
    out: Path = Field(Path("enhancements"), description="folder to write to")
    pictures: bool = Field(True, description="a picture of every cube and gas")
