"""Options of ``obsnet plume card``, ``planned`` and ``provinces``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal, Self

from pydantic import Field, field_validator, model_validator

from obsnet.command import Flag
from obsnet.config import Options
from obsnet.language import InLanguage

__all__ = ["CardTable", "FuelOptions", "PlannedTable", "ProvincesTable", "StackOptions", "YearOptions"]

# Standard errors of an hour's mass, shares of it. Assumed: no file states them; docs/plants.md says so.
STACK_ERRORS = {"measured": 0.05, "part": 0.1, "calculated": 0.1, "substitute": 0.2, "other": 0.2}


class StackOptions(Options):
    """Hourly files of stack monitors and how they are read.

    Examples
    --------
    >>> StackOptions().layout
    'auto'
    """

    stack: list[Path] = Field([], description="hourly files of the plant's stack monitors (csv, xlsx), CO2")
    layout: str = Field(
        "auto", description="of these files: campd, china, a FILE.toml; auto: the one that fits"
    )
    plant: str | None = Field(None, description="name or number in the files; needed where they have several")
    utc_offset: float | None = Field(
        None,
        ge=-12,
        le=14,
        description="hours that the files' clock is ahead of UTC, e.g. 8; without summer time",
    )
    stamp: Literal["start", "end"] | None = Field(
        None, description="whether an hour is named by its begin or its end, where the layout does not say it"
    )
    clock: Literal["ask", "standard"] = Field(
        "ask", description="standard: gaps that look like a change to summer time are gaps"
    )
    daily: Path | None = Field(
        None, description="daily totals in the same layout, against which sums are checked"
    )
    stack_errors: dict[str, float] = Field(
        STACK_ERRORS, description="standard errors of an hour by its flag, as shares (assumed)"
    )

    @field_validator("stack_errors")
    @classmethod
    def _all(cls, given: dict[str, float]) -> dict[str, float]:
        for name, value in given.items():
            if name not in STACK_ERRORS:
                raise ValueError(f"no flag {name!r}; there are {', '.join(STACK_ERRORS)}")
            if not 0 <= value <= 1:
                raise ValueError(f"the error of {name} must lie within 0 and 1 (a share), found {value:g}")
        return STACK_ERRORS | given


class FuelOptions(Options):
    """Fuel-based accounting beside the rates."""

    fuel: Path | None = Field(
        None, description="kind, item, value, unit … as obsnet inventory enterprise reads it"
    )
    activity_sd: float | None = Field(
        None, gt=0, lt=1, description="relative standard error of the amounts of fuel"
    )
    factor_sd: float | None = Field(
        None, gt=0, lt=1, description="the same of measured factors, and of those that state none"
    )
    factors: list[Path] = Field([], description="factor tables of your own, first")
    editions: list[str] = Field(["gbt32151", "ipcc2006", "yearbook2008"], description="in order")
    stand_in: dict[str, str] = Field({}, description="fuel whose factors stand for another")


class YearOptions(Options):
    """From snapshots to a year."""

    year: int | None = Field(None, ge=1950, le=2200, description="of the totals")
    profile: str | None = Field(
        None,
        description="how the plant runs through the year: hours (its own record of that year), cycles (months, "
        "weekdays and hours of its own record), even, or a CSV of profiles",
    )
    profile_spread: float | None = Field(
        None,
        ge=0,
        description="standard deviation of hours about an even or given profile, share of the mean",
    )
    profile_memory_days: float | None = Field(
        None, gt=0, description="how long such departures last (e-folding), days"
    )
    common_error: float = Field(
        0.1,
        ge=0,
        lt=1,
        description="part of a rate's error that is the same at all overpasses and plants (assumed)",
    )


class CardTable(YearOptions, FuelOptions, StackOptions, InLanguage):
    """The command ``obsnet plume card``."""

    rates: Annotated[list[str], Flag(positional=True)] = Field(
        description="rates.csv, transects.csv of obsnet plume, of one plant or several"
    )
    source: str | None = Field(None, description="the plant in these files; needed where they have several")
    method: str | None = Field(
        None, description="whose rates count; needed where there are several side by side"
    )
    region: str | None = Field(None, description="province, for factors and for sums of plants")
    capacity_mw: float | None = Field(None, gt=0, description="of the plant, for the card")
    out: Path = Field(Path("plants"), description="folder to write to")

    @model_validator(mode="after")
    def _complete(self) -> Self:
        if self.fuel is not None and (
            absent := [n for n in ("region", "year", "activity_sd") if not getattr(self, n)]
        ):
            raise ValueError(f"accounting by fuel needs {', '.join(absent)} as well")
        if self.profile is not None and self.year is None:
            raise ValueError("a total needs its year")
        return self


class PlannedTable(InLanguage):
    """The command ``obsnet plume planned``."""

    name: Annotated[str, Flag(positional=True)] = Field(description="of the plant")
    latitude: float = Field(ge=-80, le=80, description="degrees north")
    longitude: float = Field(ge=-180, le=360, description="degrees east")
    rate: float | None = Field(None, gt=0, description="emission, kg s-1")
    mt_per_year: float | None = Field(None, gt=0, description="emission, Mt CO2 a year")
    capacity_mw: float | None = Field(None, gt=0, description="electric capacity; with t_per_mwh and load")
    t_per_mwh: float | None = Field(None, gt=0, description="t CO2 a MWh that the plant delivers")
    load: float | None = Field(None, gt=0, le=1, description="share of the capacity at which it runs")
    winds: tuple[float, ...] = Field(
        (2.0, 4.0, 6.0, 8.0), min_length=1, description="mean wind of the plume's air, m s-1"
    )
    surface_pressure: float = Field(1013.25, ge=300, le=1100, description="at the place, hPa")
    pixel_km: float = Field(2.0, gt=0, description="side of a pixel")
    noise: float = Field(0.7, gt=0, description="random error of a pixel, ppm")
    structure: float = Field(0.3, ge=0, description="standard deviation of the background's structure, ppm")
    length_km: float = Field(40.0, gt=0, description="of the plume that is looked at")
    draws: int = Field(
        10, ge=0, le=1000, description="made-up scenes a wind in which the plume is looked for"
    )
    seed: int = Field(1, ge=0, description="of these scenes")
    footprints: Path | None = Field(
        None, description="folder of footprints: what stations would see, too; with store and station_error"
    )
    store: Path | None = Field(None, description="observation store that the footprints were made of")
    station_error: float | None = Field(
        None,
        gt=0,
        description="standard error of an observation with its background and transport, ppm, the same all day",
    )
    out: Path = Field(Path("plants"), description="folder to write to")

    @model_validator(mode="after")
    def _one_emission(self) -> Self:
        by_capacity = [n for n in ("capacity_mw", "t_per_mwh", "load") if getattr(self, n) is not None]
        ways = [n for n in ("rate", "mt_per_year") if getattr(self, n) is not None]
        ways += ["capacity_mw, t_per_mwh and load"] * bool(by_capacity)
        if len(ways) != 1 or (by_capacity and len(by_capacity) < 3):
            given = ", ".join([*ways, *by_capacity]) or "nothing"
            raise ValueError(
                "how much it emits must be said once: rate, mt_per_year, or capacity_mw, t_per_mwh and "
                f"load; given: {given}"
            )
        stations = [n for n in ("footprints", "store", "station_error") if getattr(self, n) is not None]
        if 0 < len(stations) < 3:
            raise ValueError(
                f"stations need footprints, store and station_error; given: {', '.join(stations)}"
            )
        if any(not 0 < w <= 50 for w in self.winds):
            raise ValueError("winds must lie within 0 and 50 m s-1")
        return self

    @property
    def emission(self) -> float:
        """Emission, kg s-1."""
        from obsnet.constants import SECONDS_PER_YEAR

        if self.rate is not None:
            return self.rate
        if self.mt_per_year is not None:
            return self.mt_per_year * 1e9 / SECONDS_PER_YEAR
        assert self.capacity_mw is not None
        assert self.t_per_mwh is not None
        assert self.load is not None
        return self.capacity_mw * self.load * self.t_per_mwh * 1e3 / 3600.0


class ProvincesTable(Options):
    """The command ``obsnet plume provinces``."""

    cards: Annotated[list[str], Flag(positional=True)] = Field(description="JSON files of obsnet plume card")
    out: Path = Field(Path("plants"), description="folder to write to")
