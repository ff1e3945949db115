"""Options of `obsnet invert`: the table ``[invert]`` of a case."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, field_validator, model_validator

from inversion.case.methods import (
    METHODS,
    BoundedOptions,
    EnsembleSmootherOptions,
    GeostatisticalOptions,
    HierarchicalOptions,
    LetkfOptions,
    LognormalOptions,
    TruncatedOptions,
    method_lines,
)
from obsnet.config import Options
from obsnet.errors import nearest
from obsnet.work.shards import AllowMissing

__all__ = [
    "BasisOptions",
    "BoundaryOptions",
    "EnsembleOptions",
    "ErrorOptions",
    "ForeignOptions",
    "InvertOptions",
    "LikelihoodOptions",
    "MemberOptions",
    "OffsetOptions",
    "PriorFileOptions",
    "ScreenOptions",
    "SectorOptions",
    "SharesOptions",
    "WithholdOptions",
]

Positive = Annotated[int, Field(ge=1)]
NotNegative = Annotated[float, Field(ge=0)]
Kernel = Literal["exponential", "matern32", "wendland"]
Where = Literal["land", "sea", "area"]
Side = Literal["north", "east", "south", "west", "top", "inside"]


# what a ready-made Jacobian has no use for
_NOT_FOREIGN = ("basis", "likelihood", "screen", "withhold", "ensemble")


class PriorFileOptions(Options):
    """What the prior's file does not say itself."""

    sectors: dict[str, str] | None = Field(
        default=None,
        description="variable of the file by sector, such as { total = 'flux' }; by default the one on the grid, "
        "under its own name",
    )
    gas: str | None = Field(
        default=None, description="formula, where the file does not say what the flux is of"
    )
    units: str | None = Field(default=None, description="where the file states none, or wrong ones")
    basis: Literal["substance", "carbon"] | None = Field(
        default=None, description="whose mass a mass flux is"
    )
    time_is: Literal["start", "middle", "end"] | None = Field(
        default=None, description="what times without bounds are"
    )
    period: str | None = Field(
        default=None, description="of a file without time or with one: 2013, 2013-02, 2013-01/2013-06"
    )
    missing: Literal["raise", "zero"] = Field(
        default="raise", description="missing values: an error, or no flux"
    )
    outside: Literal["raise", "zero"] = Field(
        default="raise",
        description="cells of the footprints that the prior does not reach: an error, or no flux",
    )


class SectorOptions(Options):
    """How well one component of the prior flux is known."""

    prescribed: bool = Field(
        default=False, description="keep the prior; its flux is simulated but not solved"
    )
    relative: float | None = Field(
        default=None, gt=0, description="standard deviation as a share of the prior flux"
    )
    sigma: float | None = Field(default=None, gt=0, description="standard deviation of the flux, mol m-2 s-1")
    correlation_km: float = Field(
        default=0.0, ge=0, description="correlation length between cells; 0 for none"
    )
    correlation_days: float = Field(
        default=0.0, ge=0, description="correlation time between time bins; 0 for none"
    )
    kernel: Kernel = Field(
        default="exponential", description="shape of the spatial correlation (chordal distance)"
    )
    regional_relative: float = Field(
        default=0.0, ge=0, description="further error common to a whole region, as a share of its prior flux"
    )
    step: str | None = Field(
        default=None, description="time bins of this sector, where not those of [invert]"
    )
    profile: Literal["prior", "flat"] | None = Field(
        default=None,
        description="how a change is spread over a time bin: as the prior (default where relative) or evenly",
    )

    @model_validator(mode="after")
    def _one_error(self) -> SectorOptions:
        given = [n for n in ("relative", "sigma") if getattr(self, n) is not None]
        if self.prescribed and (given or self.regional_relative):
            raise ValueError("a prescribed sector has no error; remove prescribed or the error")
        if not self.prescribed and not given and not self.regional_relative:
            raise ValueError("give relative (a share of the prior), sigma (mol m-2 s-1) or prescribed = true")
        if len(given) == 2:
            raise ValueError("give relative or sigma, not both")
        return self


class BoundaryOptions(Options):
    """What is known of the air that flows in."""

    background: float | None = Field(
        default=None,
        description="mole fraction of inflowing air in the species' unit, where the footprints bring none",
    )
    sigma: float | dict[Side, float] = Field(
        default=0.0,
        description="standard deviation of the inflow's correction, one or by side; 0 keeps the background",
    )
    step: str = Field(
        default="all", description="time bins of the correction: a frequency such as 7D or MS, or all"
    )
    correlation_days: float = Field(default=0.0, ge=0, description="correlation time between these bins")

    @field_validator("sigma")
    @classmethod
    def _not_negative(cls, value: float | dict[str, float]) -> float | dict[str, float]:
        if min(value.values() if isinstance(value, dict) else [value], default=0.0) < 0:
            raise ValueError("a standard deviation is not negative")
        return value


class ErrorOptions(Options):
    """Errors of the model beside the measurements' own, in the species' unit."""

    point: float | None = Field(
        default=None, ge=0, description="transport and representation error at stations"
    )
    column: float | None = Field(default=None, ge=0, description="the same for column averages")
    source: dict[str, NotNegative] = Field(
        default_factory=dict, description="the same by source, before kind"
    )
    platform: dict[str, NotNegative] = Field(
        default_factory=dict, description="the same by station or satellite, before source"
    )
    transport: str | None = Field(
        default=None,
        description="file or folder (Parquet) with obs_id and transport_variance, such as footprints/transport_error: "
        "variance that is added to that of the model errors above, which then stand for the rest",
    )
    monte_carlo: bool = Field(
        default=True, description="add the footprints' sampling error times the prior flux"
    )
    correlation_hours: float = Field(
        default=84.0,
        ge=0,
        description="correlation time of the model error at a station, 0 for none; by default half a week: "
        "what a station says within a week then counts about once, as in data density weighting (Rödenbeck 2005)",
    )
    along_track_km: float = Field(
        default=20.0,
        ge=0,
        description="correlation length of the model error along an orbit, 0 for none; by default "
        "that of OCO-2 against airborne lidar (Baker et al. 2022, doi:10.5194/gmd-15-649-2022)",
    )
    overpass_share: float = Field(
        default=0.3,
        ge=0,
        le=0.99,
        description="share of the columns' model variance that a whole overpass has in common, 0 for none; by default "
        "as OCO-2's own errors over the sea, 0.32 within 100 km of an overpass, on land 0.43 (Worden et al. 2017, "
        "doi:10.5194/amt-10-2759-2017); docs/design.md has what 0.1 and 0.5 would change",
    )


class OffsetOptions(Options):
    """Constant offsets of instruments that are solved with the fluxes."""

    sigma: dict[str, float] = Field(
        default_factory=dict, description="standard deviation by source, in the species' unit"
    )
    by: Literal["source", "platform", "mode", "day"] = Field(
        default="source",
        description="one offset a source, or one a platform, observing mode (land, glint) or day (UTC) of it",
    )
    gradient: dict[str, NotNegative] = Field(
        default_factory=dict,
        description="standard deviation by source of a bias that grows with latitude, per 10 degrees from its mean",
    )
    systematic: bool = Field(
        default=True,
        description="stated systematic uncertainties are unknowns, unless the source is named above: one offset a "
        "station, one pattern over the ground for all columns of a source",
    )
    pattern: dict[str, NotNegative] = Field(
        default_factory=dict,
        description="standard deviation by source of such a pattern where none is stated, as albedo or aerosol make it",
    )
    pattern_km: float = Field(
        default=1000.0,
        ge=0,
        description="correlation length of the patterns, 0 for one offset a source; the default is assumed",
    )


class BasisOptions(Options):
    """Regions that are solved for in the place of cells."""

    kind: Literal["quadtree", "weighted", "adaptive", "regions"] = Field(
        description="rectangles of equal prior uncertainty; of equal uncertainty times sensitivity; divided where "
        "that adds most degrees of freedom; or the regions of the totals"
    )
    count: Positive | dict[str, Positive] = Field(
        default=100, description="regions of each solved sector, or one count a sector"
    )
    aggregation_error: Literal["full", "diagonal"] = Field(
        default="full",
        description="error of what regions cannot express: all of it, or its variances (many observations)",
    )


class LikelihoodOptions(Options):
    """Assumed errors that are estimated from the observations by maximum likelihood."""

    estimate: list[Literal["prior_sigma", "length_km", "days", "error"]] = Field(
        default=["prior_sigma", "error"],
        min_length=1,
        description="sizes of prior errors, their correlation lengths and times, all of [invert.error]",
    )
    restricted: bool = Field(
        default=True,
        description="leave a factor on each sector's prior and a constant background out of the estimate (REML)",
    )
    use: bool = Field(default=False, description="solve with what was found; else it is only reported")
    observations: int = Field(
        default=2000, ge=10, description="at most this many, taken evenly; work grows with the third power"
    )


class SharesOptions(Options):
    """Where the flux of a cell is that more than one region has a part of."""

    points: str | None = Field(
        default=None,
        description="CSV of point sources (lat, lon, value, unit, sector), relative to the case file; each belongs "
        "to the region where it is",
    )
    rule: Where | dict[str, Where] = Field(
        default_factory=dict,
        description="the flux is on a cell's land, at sea, or even over its area; one, or by sector; by default land, "
        "but sea for ships and the ocean and area for aircraft, by the sector's name",
    )
    snap_deg: float = Field(
        default=0.3,
        ge=0,
        le=2,
        description="points, and cells at sea with flux on land, belong to the nearest region up to this far, degrees",
    )
    diffuse: list[str] = Field(
        default_factory=list,
        description="sectors spread evenly on land, such as rice: their places are known",
    )
    in_test: bool = Field(
        default=True,
        description="let the test of an inventory allow for places inside the prior's cells that nobody knows, as if "
        "all of a cell's flux stood at one of them; false where it is known to lie as the shares say",
    )


class ForeignOptions(Options):
    """A ready-made Jacobian and how well its state is known."""

    files: list[str] = Field(description="netCDF files, relative to the case file", min_length=1)
    prior_relative: float = Field(default=0.5, gt=0, description="standard deviation of each scale factor")
    boundary_relative: float = Field(default=0.02, gt=0, description="the same for boundary scale factors")
    model_error: float | None = Field(
        default=None,
        ge=0,
        description="transport and representation error, unit of the rows; estimated if absent",
    )
    mean_offset: float = Field(
        default=0.0, ge=0, description="standard deviation of one offset common to all rows, unit of the rows"
    )
    elements: str | None = Field(
        default=None,
        description="netCDF with integer labels on lat, lon: the flux column (from 1) that each cell belongs to, 0 or "
        "missing where none; with it totals are written (needs prior, start and stop)",
    )
    set_aside_bad_rows: bool = Field(
        default=False, description="solve without rows in another unit or beyond belief, and report them"
    )


class WithholdOptions(Options):
    """Observations kept out of the inversion to test it with."""

    platforms: list[str] = Field(default_factory=list, description="stations or satellites")
    sources: list[str] = Field(default_factory=list, description="products or networks, such as TCCON")
    every: int | None = Field(default=None, ge=2, description="every n-th orbit, day or observation")
    by: Literal["orbit", "day", "observation"] = Field(default="orbit", description="what is counted")


class ScreenOptions(Options):
    """Observations that do not fit, rejected or held less firmly; they are counted by source and listed."""

    largest: float | None = Field(
        default=None,
        gt=0,
        description="reject where observation and prior simulation differ by more, in the species' unit",
    )
    rule: Literal["none", "iterative", "huber"] = Field(
        default="iterative",
        description="iterative: reject what all other observations contradict by more than the limit, worst first; "
        "huber: enlarge errors until no observation pulls harder than at the limit; none: only `largest`",
    )
    limit: float = Field(default=4.0, gt=1, description="standard deviations; 2 is usual for huber")
    most: float = Field(
        default=0.1, gt=0, le=1, description="refuse if more than this share of a source would be touched"
    )

    @model_validator(mode="after")
    def _something(self) -> ScreenOptions:
        if self.rule == "none" and self.largest is None:
            raise ValueError("rule = 'none' screens nothing without largest")
        return self


class MemberOptions(Options):
    """One member of an ensemble: the same inversion with something else assumed."""

    name: str = Field(description="what the member is called")
    axis: str = Field(description="what it varies: prior, background, instrument, met, …")
    set: list[str] = Field(description="assignments within [invert], such as prior=other.nc", min_length=1)


class EnsembleOptions(Options):
    """Inversions whose spread goes into the covariance."""

    member: list[MemberOptions] = Field(description="one table a member beside the base", min_length=1)


class InvertOptions(AllowMissing):
    """The table ``[invert]``."""

    species: str = Field(default="CO2", description="formula")
    store: str | None = Field(default=None, description="observation store")
    sources: list[str] | None = Field(default=None, description="use only these sources")
    start: str | None = Field(default=None, description="first time of observations, UTC")
    stop: str | None = Field(default=None, description="end of observations, UTC")
    footprints: str | None = Field(default=None, description="folder of the sparse Jacobian")
    prior: str | None = Field(default=None, description="CF file with the prior flux(time, sector, lat, lon)")
    prior_name: str | None = Field(
        default=None, description="what the prior is called; by default the file says"
    )
    prior_file: PriorFileOptions = PriorFileOptions()
    sector: dict[str, SectorOptions] = Field(
        default_factory=dict, description="one table a sector of the prior"
    )
    step: str = Field(
        default="all", description="time bins of the solved fluxes: a frequency such as MS or 7D, or all"
    )
    boundary: BoundaryOptions = BoundaryOptions()
    error: ErrorOptions = ErrorOptions()
    offset: OffsetOptions = OffsetOptions()
    regions: str | None = Field(
        default=None, description="polygon file; by default China's 34 province-level regions"
    )
    region_key: str = Field(default="adcode", description="column of that file that names the regions")
    shares: SharesOptions = SharesOptions()
    periods: str = Field(
        default="all", description="time bins of the region totals: a frequency such as MS, or all"
    )
    basis: BasisOptions | None = Field(default=None, description="solve for regions in the place of cells")
    method: str = Field(default="auto", description=f"solver; {method_lines()}")
    lognormal: LognormalOptions = LognormalOptions()
    truncated: TruncatedOptions = TruncatedOptions()
    bounded: BoundedOptions = BoundedOptions()
    letkf: LetkfOptions = LetkfOptions()
    ensemble_smoother: EnsembleSmootherOptions = EnsembleSmootherOptions()
    geostatistical: GeostatisticalOptions = GeostatisticalOptions()
    hierarchical: HierarchicalOptions = HierarchicalOptions()
    out: str = Field(default="posterior.nc", description="output file, relative to the run's folder")
    modes: list[str] | None = Field(
        default=None, description="use only these observation modes, such as land or glint"
    )
    withhold: WithholdOptions | None = Field(
        default=None, description="observations held back to test the answer"
    )
    screen: ScreenOptions | None = Field(
        default=None, description="reject or loosen observations that do not fit; by default all are believed"
    )
    allow_same_air: bool = Field(
        default=False, description="go on although the same sounding, window or hour is there twice"
    )
    likelihood: LikelihoodOptions | None = Field(
        default=None, description="estimate the assumed errors from the observations"
    )
    restart: bool = Field(default=True, description="keep the solved problem and go on from it after a kill")
    page: bool = Field(default=True, description="write inversion.html with diagnostics and pictures")
    ensemble: EnsembleOptions | None = Field(
        default=None, description="members whose spread joins the covariance"
    )
    foreign: ForeignOptions | None = Field(default=None, description="solve a ready-made Jacobian instead")

    @field_validator("method")
    @classmethod
    def _known_method(cls, value: str) -> str:
        if value not in METHODS:
            raise ValueError(f"unknown method {value!r}{nearest(value, METHODS)}")
        return value

    @model_validator(mode="after")
    def _whole(self) -> InvertOptions:
        normal = ", ".join(name for name, method in METHODS.items() if method.normal)
        own = not METHODS[self.method].normal
        if own and self.basis is not None:
            raise ValueError(f"method {self.method} solves cells; [invert.basis] goes with {normal}")
        if self.error.transport and self.likelihood and "error" in self.likelihood.estimate:
            raise ValueError(
                "likelihood.estimate scales model errors by one factor, and a file's (error.transport) have none of "
                "their own; take error out of likelihood.estimate, or take out error.transport"
            )
        if self.foreign is not None:
            if own:
                raise ValueError(f"a ready-made Jacobian is solved by {normal}, not by {self.method}")
            idle = [n for n in _NOT_FOREIGN if getattr(self, n) is not None]
            if idle:
                raise ValueError(f"a ready-made Jacobian is solved as it is: take out {', '.join(idle)}")
            lacking = [n for n in ("prior", "start", "stop") if getattr(self, n) is None]
            if self.foreign.elements is not None and lacking:
                raise ValueError(
                    f"totals of a ready-made Jacobian need {', '.join(lacking)}: the flux that its factors are of, and "
                    "the time that they are of"
                )
        else:
            missing = [n for n in ("store", "footprints", "prior") if getattr(self, n) is None]
            if missing:
                raise ValueError(
                    f"{', '.join(missing)} missing (or give [invert.foreign] a ready-made Jacobian)"
                )
        return self
