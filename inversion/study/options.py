"""Options of `obsnet osse` and `obsnet design`: the tables ``[osse]``, ``[design]`` and ``[detect]``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field, model_validator

from inversion.case.options import ErrorOptions, OffsetOptions, SectorOptions
from inversion.study.idealised import TransportOptions
from inversion.study.words import ASSUMED
from obsnet.command import Flag
from obsnet.config import Options
from obsnet.crosscheck.verdicts.options import RowOptions, RuleOptions
from obsnet.language import InLanguage

__all__ = [
    "SYSTEMS",
    "DesignOptions",
    "DetectCommand",
    "DetectOptions",
    "MissingOptions",
    "OsseOptions",
    "PatternOptions",
    "ScenarioOptions",
    "TruthOptions",
    "WorldOptions",
]


class WorldOptions(Options):
    """An idealised world for studies without meteorology and footprints.

    ``error`` and ``offset`` are what they are in ``[invert]``; sources are the names of networks.
    """

    species: Literal["CO2", "CH4"] = Field(default="CO2", description="what is observed")
    south: float = Field(default=16.0, description="edge of the domain, degrees")
    north: float = Field(default=54.0, description="edge of the domain, degrees")
    west: float = Field(default=72.0, description="edge of the domain, degrees")
    east: float = Field(default=136.0, description="edge of the domain, degrees")
    cell_deg: float = Field(default=2.0, gt=0, description="size of flux cells")
    start: str = Field(default="2023-01-01", description="first day, UTC")
    stop: str = Field(default="2023-03-01", description="end, UTC")
    step: str = Field(default="MS", description="time bins of the fluxes, a frequency")
    national_sd: float | None = Field(
        default=None, gt=0, description="prior standard deviation of China's total, Mt a-1 of the species"
    )
    outside: float = Field(
        default=0.3, ge=0, description="prior standard deviation outside China, share of that inside"
    )
    correlation_km: float = Field(default=500.0, ge=0, description="prior correlation length")
    correlation_days: float = Field(default=30.0, ge=0, description="prior correlation time")
    inflow_sigma: float | None = Field(
        default=None, ge=0, description="standard deviation of the inflow in each time bin, ppm or ppb"
    )
    error: ErrorOptions = ErrorOptions()
    offset: OffsetOptions = OffsetOptions()
    super_deg: float = Field(default=1.0, gt=0, description="size of super-observations of satellites")
    seed: int = Field(default=0, ge=0, description="of wind and clouds")
    transport: TransportOptions = TransportOptions()


class ScenarioOptions(Options):
    """One observing system."""

    name: str = Field(description="for tables and maps")
    networks: list[str] = Field(
        default_factory=list, description="presets or files; in an idealised world", max_length=20
    )
    keep: dict[str, list[str]] = Field(
        default_factory=dict, description="observations of a case to keep: {source = [...], platform = [...]}"
    )
    drop: dict[str, list[str]] = Field(
        default_factory=dict, description="observations of a case to leave out"
    )


class MissingOptions(Options):
    """A source that the prior does not have."""

    latitude: float = Field(ge=-90, le=90, description="degrees north")
    longitude: float = Field(ge=-180, le=180, description="degrees east")
    amount: float = Field(description="Mt a-1 of the species, spread over its cell and even in time")


class PatternOptions(Options):
    """A bias of observations that follows a field in a file, as albedo or aerosol make it."""

    file: str = Field(description="netCDF or GeoTIFF in degrees, relative to the case file")
    variable: str | None = Field(default=None, description="of it, or its band, where it has several")
    of: list[str] = Field(
        default_factory=list, description="networks or sources that have it; by default all columns"
    )
    size: float | None = Field(
        default=None,
        gt=0,
        description="standard deviation of the bias over the observations that have it, ppm or ppb; its mean is 0",
    )
    per_unit: float | None = Field(
        default=None, description="ppm or ppb a unit of the field above reference, in the place of size"
    )
    reference: float = Field(default=0.0, description="value of the field where there is no bias")

    @model_validator(mode="after")
    def _one_size(self) -> PatternOptions:
        if (self.size is None) == (self.per_unit is None):
            raise ValueError("give size (a standard deviation) or per_unit (a slope), one of them")
        if self.size is not None and "reference" in self.model_fields_set:
            raise ValueError("reference goes with per_unit; with size the mean of the bias is 0")
        return self


class TruthOptions(Options):
    """What really is otherwise than the inversion assumes."""

    name: str = Field(description="for tables and pictures")
    set: list[str] = Field(
        default_factory=list,
        description="assignments within [osse.world], or within [invert] of a case, that truths and observations are "
        "drawn with: error.correlation_hours=168, correlation_km=200, offset.pattern.oco2=0.5, transport.gust=8, …",
    )
    missing: list[MissingOptions] = Field(
        default_factory=list, description="sources that the prior of the world lacks"
    )
    pattern: list[PatternOptions] = Field(
        default_factory=list, description="biases of observations that follow a field in a file"
    )


def _one_of(world: WorldOptions | None, case: str | None) -> None:
    if world is not None and case is not None:
        raise ValueError("give a world or a case, not both")


class OsseOptions(Options):
    """The table ``[osse]``."""

    world: WorldOptions | None = Field(default=None, description="idealised world; else the case's [invert]")
    case: str | None = Field(
        default=None, description="case file whose [invert] is used; by default this one"
    )
    scenario: list[ScenarioOptions] = Field(description="observing systems to compare", min_length=1)
    twins: int = Field(default=200, ge=2, description="experiments for each")
    seed: int = Field(default=0, ge=0, description="of truths and errors")
    method: Literal["auto", "dual", "primal", "cg"] = Field(default="auto", description="solver")
    sector: list[str] = Field(default_factory=list, description="sectors of a case to report; by default all")
    true_prior_factor: float = Field(
        default=1.0, gt=0, description="true prior errors over those assumed, standard deviations"
    )
    true_error_factor: float = Field(
        default=1.0, gt=0, description="true observation errors over those assumed, standard deviations"
    )
    bias: dict[str, float] = Field(
        default_factory=dict, description="hidden bias by network or source, ppm or ppb"
    )
    truth: list[TruthOptions] = Field(
        default_factory=list, description="each scenario is tried once as assumed and once with each of these"
    )
    out: str = Field(default="osse", description="name of the outputs, without ending")

    @model_validator(mode="after")
    def _names(self) -> OsseOptions:
        _one_of(self.world, self.case)
        names = [s.name for s in self.scenario]
        if len(set(names)) < len(names):
            raise ValueError(f"scenarios need different names, found {', '.join(names)}")
        truths = [t.name for t in self.truth]
        if len({ASSUMED, *truths}) <= len(truths):
            raise ValueError(f"truths need different names, none {ASSUMED!r}; found {', '.join(truths)}")
        if self.world is None and any(t.missing for t in self.truth):
            raise ValueError(
                "a missing source needs [osse.world]; in a case set = ['prior=with_the_source.nc']"
            )
        for one in self.scenario:
            if self.world is not None and not one.networks:
                raise ValueError(f"scenario {one.name!r}: give networks, since [osse.world] is given")
            if self.world is None and one.networks:
                raise ValueError(
                    f"scenario {one.name!r}: networks need [osse.world]; a case has observations"
                )
        return self


class DesignOptions(Options):
    """The table ``[design]``."""

    world: WorldOptions | None = Field(default=None, description="idealised world; else the case's [invert]")
    case: str | None = Field(
        default=None, description="case file whose [invert] is used; by default this one"
    )
    existing_networks: list[str] = Field(
        default_factory=list, description="networks that are there; in a world"
    )
    candidate_networks: list[str] = Field(
        default_factory=list, description="networks to choose from; in a world"
    )
    by: Literal["platform", "orbit", "network", "source", "month"] = Field(
        default="platform", description="what makes one candidate"
    )
    existing: list[str] = Field(
        default_factory=list, description="candidates of a case that are there already"
    )
    count: int = Field(default=10, ge=0, description="how many to choose")
    criterion: Literal["information", "dofs", "target"] = Field(
        default="information", description="what decides; all are reported"
    )
    target: dict[str, float] = Field(
        default_factory=dict, description="weights of regions by code, or national; by default all alike"
    )
    sector: list[str] = Field(default_factory=list, description="sectors of a case to report; by default all")
    out: str = Field(default="design", description="name of the outputs, without ending")

    @model_validator(mode="after")
    def _networks(self) -> DesignOptions:
        _one_of(self.world, self.case)
        if self.world is not None and not self.candidate_networks:
            raise ValueError("candidate_networks are missing, since [design.world] is given")
        if self.world is None and (self.candidate_networks or self.existing_networks):
            raise ValueError("networks need [design.world]; a case has observations")
        if self.world is not None and self.by == "source":
            raise ValueError("by = 'source' is for a case; in a world take network, platform or orbit")
        return self


# Existing and planned networks, each by itself; NO2 where it flies on the same satellite.
SYSTEMS = [
    "existing",
    "stations_120",
    "oco2",
    "tansat2",
    "dq1_day+dq1_night",
    "co2m_1",
    "co2m_1+no2",
    "co2m_2",
    "co2m_2+no2",
    "co2m_3",
    "co2m_3+no2",
]


class DetectWorld(WorldOptions):
    """The table ``[detect.world]``: a year of it is solved in quarters."""

    step: str = Field(default="QS", description="time bins of the fluxes, a frequency")
    correlation_days: float = Field(default=90.0, ge=0, description="prior correlation time; a season")


class DetectOptions(RuleOptions, RowOptions):
    """The table ``[detect]``: what discrepancies of provincial inventories could be found."""

    system: list[str] = Field(
        default=SYSTEMS,
        min_length=1,
        description="observing systems: networks (presets or files) joined by +; +no2 for NO2 beside their columns",
    )
    discrepancy: list[Annotated[float, Field(gt=0, le=3)]] = Field(
        default=[0.1, 0.2, 0.3], min_length=1, description="true discrepancies, as shares of the inventory"
    )
    inventory: str = Field(
        default="ceads-2019", description="CSV, relative to the case file if there is one, or a built-in one"
    )
    uncertainty: float | None = Field(
        default=0.05,
        gt=0,
        le=3,
        description="relative sd of the inventory where it states none; the default is assumed",
    )
    period: str | None = Field(
        default=None,
        description="time that is observed: 2019, 2019-01, 2018-12/2019-02; by default the inventory's",
    )
    no2_ratio: float = Field(
        default=0.3,
        ge=0,
        le=3,
        description="relative sd of how much CO2 goes with NO2, one unknown a province; the default is assumed",
    )
    no2_error: float = Field(
        default=0.1,
        gt=0,
        description="transport and chemistry error of a super-observation of NO2, ppm of the CO2 burnt with it; the "
        "default is assumed",
    )
    no2_hours: float = Field(
        default=4.0, gt=0, description="e-folding time of NO2; the default is assumed (order of hours)"
    )
    fossil: Annotated[SectorOptions, Flag(hidden=True)] = Field(
        default=SectorOptions(
            relative=0.25, correlation_km=150.0, regional_relative=0.3, correlation_days=365.0
        ),
        description="how well the inversion knows fossil emissions beforehand",
    )
    world: Annotated[DetectWorld, Flag(hidden=True)] = Field(
        default=DetectWorld(), description="idealised world"
    )

    @model_validator(mode="after")
    def _consistent(self) -> DetectOptions:
        if {"start", "stop"} & self.world.model_fields_set:
            raise ValueError("the time of [detect.world] is given by period")
        if self.world.species != "CO2":
            raise ValueError("detect tells fossil CO2 from the biosphere; world.species must be CO2")
        if max(self.discrepancy) > self.detectable:
            raise ValueError(
                f"a discrepancy of {max(self.discrepancy):g} is beyond detectable = {self.detectable:g}, up to which "
                "the verdict tests at all: raise detectable"
            )
        return self


class DetectCommand(DetectOptions, InLanguage):
    """The table ``[detect]``, from a case file or as options."""

    case: Annotated[Path | None, Flag(positional=True)] = Field(
        None, description="case file with a table [detect]; options go before what it says"
    )
    set: Annotated[list[str], Flag(whole=True)] = Field(
        [], description="anything else of the table, e.g. --set detect.world.error.point=2; may be repeated"
    )
    out: Path | None = Field(None, description="folder of the outputs; by default the case's, or run")
