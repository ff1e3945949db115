"""Options of the nowcast commands."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from obsnet.command import Flag
from obsnet.config import Options
from obsnet.language import InLanguage

__all__ = [
    "ForecastOptions",
    "HistoryOptions",
    "IndicatorOptions",
    "NowcastTable",
    "PowerOptions",
    "RapidOptions",
]


class HistoryOptions(InLanguage):
    """Which inventories."""

    inventories: Annotated[list[str], Flag(positional=True)] = Field(
        description="workbooks of CEADs or tables of several years: FILE, or DATE=FILE where an edition has a day"
    )
    category: list[str] = Field(
        ["total"], description="total, or codes of IPCC 2006 such as 1.A.1.a, each by itself"
    )
    gas: str = Field("CO2", description="formula")
    lag: int = Field(
        12, ge=0, le=60, description="months from the end of a year to its inventory, where no DATE says it"
    )
    hindcast_from: int | None = Field(
        None, description="first year that is hindcast; by default as early as can be"
    )
    draws: int = Field(1000, ge=100, le=100_000, description="of every distribution")
    seed: int = Field(0, ge=0, description="of the draws")
    out: Path | None = Field(None, description="folder of the tables")


class IndicatorOptions(Options):
    """Which indicators, and what their months mean."""

    indicators: list[Path] = Field(
        [],
        description="region, year, month, indicator, value, unit, published; CSV or workbook, Chinese or English",
    )
    use: list[str] = Field([], description="only these indicators; by default all")
    year_to_date: list[str] = Field([], description="indicators whose months are sums from January (or all)")
    january: Literal["together", "missing"] | None = Field(
        None, description="years that begin with February: it holds January too, or January is missing"
    )
    latency: int | None = Field(
        None,
        ge=0,
        le=1500,
        description="days from the end of its months to a figure that states no date of publication",
    )
    shifts: bool = Field(
        False, description="use changes that stand out from all other regions as no production does"
    )


class RapidOptions(HistoryOptions, IndicatorOptions):
    """Which year, and as of when."""

    year: int | None = Field(None, description="estimated; by default the one after the last inventory")
    as_of: str | None = Field(
        None, description="day whose knowledge is used; by default when the year's last figure came out"
    )
    atmosphere: list[Path] = Field(
        [],
        description="posteriors of this year and of at least three before it, which score the estimate with it",
    )
    sector: str | None = Field(None, description="of the posteriors, where they have several")
    definition_sd: float | None = Field(
        None,
        gt=0,
        le=3,
        description="relative sd between inventory and atmosphere for what they mean by emissions",
    )


class PowerOptions(HistoryOptions, IndicatorOptions):
    """Which year, which generation, and where its shape goes."""

    category: list[str] = Field(["1.A.1.a"], description="of the power sector")
    generation: str = Field("thermal power", description="indicator that the factor is of")
    year: int | None = Field(None, description="estimated; by default the one after the last inventory")
    as_of: str | None = Field(
        None, description="day whose knowledge is used; by default when the year's last figure came out"
    )
    flux: Path | None = Field(
        None, description="netCDF of the Flux contract, one year, to put the shape of generation on"
    )
    sector: str | None = Field(None, description="power in that file, where it has several sectors")
    step: Literal["month", "day", "hour"] = Field("month", description="periods of the shaped flux")
    profiles: Path | None = Field(None, description="weekdays and hours: category, kind, item, value")
    shaped: Path | None = Field(None, description="netCDF of the shaped flux")


class ForecastOptions(HistoryOptions, IndicatorOptions):
    """How far, against which targets."""

    steps: int = Field(5, ge=1, le=15, description="years ahead")
    target: Annotated[list[str], Flag(whole=True)] = Field(
        [], description="upper bound: 2025=-5% of each region, Hebei:2025=900 in Mt; may be repeated"
    )
    peak: int | None = Field(None, description="year by which emissions may have peaked")
    threshold: float = Field(
        0.7, gt=0, lt=1, description="chance of missing a target from which on it is warned of"
    )
    scenario: list[Path] = Field(
        [], description="GDP, energy mix … of years to come, as indicators; past years with --indicators"
    )


class NowcastTable(Options):
    """The table ``[nowcast]`` of a case: what is to be made, each a table of the command of that name."""

    rapid: RapidOptions | None = Field(None, description="a rapid estimate; see `obsnet nowcast rapid`")
    power: PowerOptions | None = Field(None, description="electricity to carbon; see `obsnet nowcast power`")
    forecast: ForecastOptions | None = Field(None, description="a forecast; see `obsnet nowcast forecast`")

    @model_validator(mode="after")
    def _something(self) -> Self:
        if not self.asked():
            raise ValueError("says nothing; add [nowcast.rapid], [nowcast.power] or [nowcast.forecast]")
        return self

    def asked(self) -> dict[str, RapidOptions | PowerOptions | ForecastOptions]:
        """Return the tables that are there, by name."""
        found = {"rapid": self.rapid, "power": self.power, "forecast": self.forecast}
        return {name: options for name, options in found.items() if options is not None}
