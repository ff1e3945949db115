"""What counts as a plume and how its rate is told: options of ``obsnet plume detect`` and ``obsnet plume rate``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal, Self

from pydantic import Field, field_validator, model_validator

from obsnet.command import Flag
from obsnet.config import Options
from obsnet.language import InLanguage

__all__ = [
    "METHODS",
    "DetectSettings",
    "DetectTable",
    "DivergenceTable",
    "PlumeWindOptions",
    "RateSettings",
    "RateTable",
    "SceneOptions",
    "TransectTable",
]

METHODS = {
    "ime": "integrated mass enhancement: mass along the plume times wind over length",
    "csf": "cross-sectional flux: a Gaussian and a sloping background fitted to several sections",
    "gauss": "one Gaussian plume fitted to all pixels",
    "lcsf": "light cross-sectional flux: slices across the wind itself, their median",
}
Method = Literal["ime", "csf", "gauss", "lcsf"]


class DetectSettings(Options):
    """What counts as a plume.

    Examples
    --------
    >>> DetectSettings().low < DetectSettings().peak
    True
    """

    image: Literal["auto", "gas", "no2"] = Field(
        "auto", description="which image decides where the plume is; auto: NO2 where the scene has it"
    )
    smoothing_km: float = Field(2.0, gt=0, description="width (sd) of the local mean; half a pixel at least")
    background_km: float = Field(50.0, gt=0, description="width (sd) of the mean that is the background")
    low: float = Field(2.3, gt=0, description="z from which on a pixel may belong to a plume")
    peak: float = Field(4.5, gt=0, description="z that a plume must reach somewhere")
    pixels: int = Field(5, ge=1, description="fewest pixels of a plume")
    margin_km: float = Field(6.0, ge=0, description="round plumes that is left out of the background")

    @model_validator(mode="after")
    def _ordered(self) -> Self:
        if self.peak < self.low:
            raise ValueError(f"peak ({self.peak:g}) must not be below low ({self.low:g})")
        return self


class SceneOptions(InLanguage):
    """Which images, and what their variables are called."""

    scenes: Annotated[list[str], Flag(positional=True)] = Field(description="netCDF files, folders, globs")
    sources: Path | None = Field(
        None, description="CSV of known sources: source, latitude, longitude and perhaps radius_km"
    )
    species: str = Field("CO2", description="CO2 or CH4")
    names: dict[str, str] = Field(
        {}, description="variable, or expression of variables, that stands for one of ours, e.g. value=XCO2"
    )
    where: dict[str, tuple[float, float]] = Field(
        {}, description="lowest and highest value of a variable at which columns are used, e.g. cloud=0,0.01"
    )
    no2_where: dict[str, tuple[float, float]] = Field(
        {}, description="the same for NO2, where its limits are others"
    )
    out: Path = Field(Path("plumes"), description="folder to write to")
    pictures: bool = Field(True, description="a picture of every scene and plume")


class DetectTable(SceneOptions):
    """The command ``obsnet plume detect``."""

    detect: DetectSettings = DetectSettings()


class RateSettings(Options):
    """How rates are told, and when they are not believed.

    Examples
    --------
    >>> RateSettings().min_wind
    2.0
    """

    methods: tuple[Method, ...] = Field(
        ("ime", "csf", "gauss", "lcsf"), min_length=1, description="side by side"
    )
    min_wind: float = Field(2.0, gt=0, description="slowest wind that is believed, m s-1")
    max_wind_error: float = Field(
        0.33, gt=0, description="largest error of the wind, as a share of its speed"
    )
    max_angle: float = Field(45.0, gt=0, le=180, description="between plume and wind, degrees")
    min_length_km: float = Field(8.0, gt=0, description="shortest piece of plume")
    max_length_km: float = Field(60.0, gt=0, description="longest piece of plume that is used")
    section_km: float = Field(
        5.0, gt=0, description="length of a section along the plume; two pixels at least"
    )
    min_coverage: float = Field(0.6, gt=0, le=1, description="share of the plume that must be seen")
    max_relative_error: float = Field(
        0.5, gt=0, description="standard error over rate beyond which a rate is rejected"
    )
    wind_error: float = Field(
        1.0,
        ge=0,
        description="m s-1, of a given wind; of winds from files in squares beside their spread over the layer",
    )

    @model_validator(mode="after")
    def _ordered(self) -> Self:
        if self.max_length_km < self.min_length_km:
            raise ValueError("max_length_km must not be below min_length_km")
        return self


class PlumeWindOptions(Options):
    """Where winds come from: exactly one of files, one value, a table."""

    winds: list[str] = Field([], description="ERA5 or other meteorological files")
    wind: str | None = Field(None, description="one wind for all: U,V in m s-1, towards east and north")
    wind_table: Path | None = Field(None, description="CSV: source or scene, u, v and perhaps error (m s-1)")
    layer: tuple[float, float] | None = Field(
        None, description="heights above ground between which the wind is averaged, m: LOW,HIGH"
    )

    @field_validator("wind")
    @classmethod
    def _two(cls, text: str | None) -> str | None:
        if text is not None:
            parts = text.split(",")
            if len(parts) != 2:
                raise ValueError("write it as U,V, e.g. 3.2,-4")
            [float(p) for p in parts]
        return text

    @model_validator(mode="after")
    def _one_wind(self) -> Self:
        given = [
            n for n, v in (("winds", self.winds), ("wind", self.wind), ("wind_table", self.wind_table)) if v
        ]
        if len(given) != 1:
            raise ValueError(
                f"a rate needs one wind: winds (files), wind or wind_table; {', '.join(given) or 'none'} given"
            )
        return self


class RateTable(PlumeWindOptions, DetectTable):
    """The command ``obsnet plume rate``."""

    rate: RateSettings = RateSettings()

    @model_validator(mode="after")
    def _whose(self) -> Self:
        if self.sources is None:
            raise ValueError("a rate is that of a known source: give sources (CSV)")
        return self


class DivergenceTable(RateTable):
    """The command ``obsnet plume divergence``."""

    half_km: float = Field(50.0, gt=0, description="half the side of the grid about a source")
    cell_km: float = Field(5.0, gt=0, description="side of a cell")


class TransectTable(PlumeWindOptions):
    """The command ``obsnet plume transect``."""

    store: Annotated[str, Flag(positional=True)] = Field(description="observation store of soundings")
    sources: Path = Field(
        description="CSV of known sources: source, latitude, longitude and perhaps radius_km"
    )
    species: str = Field("CO2", description="CO2 or CH4")
    source: str | None = Field(None, description="of the store; needed where it has several of the species")
    start: str | None = Field(None, description="first time, UTC")
    stop: str | None = Field(None, description="time after the last, UTC")
    wind_error: float = Field(1.0, ge=0, description="m s-1, as in obsnet plume rate")
    window_km: float = Field(40.0, gt=0, description="of the track to either side of the crossing")
    min_angle: float = Field(30.0, gt=0, le=90, description="between track and wind, degrees")
    max_distance_km: float = Field(100.0, gt=0, description="of the crossing downwind of the source")
    out: Path = Field(Path("plumes"), description="folder to write to")
