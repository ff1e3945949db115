"""What counts as the same air: the options of ``obsnet validate``, of ``[validate]`` and of `collocate`."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import AliasChoices, Field, field_validator

from obsnet.command import Flag
from obsnet.config import Options
from obsnet.work.shards import AllowMissing

__all__ = ["Criteria", "ValidateTable"]


class Criteria(Options):
    """What counts as the same air.

    Notes
    -----
    The defaults are of the size that Wunch et al. (2017), doi:10.5194/amt-10-2209-2017, use for OCO-2: 5 by 10
    degrees and an hour, half an hour for target mode.

    Examples
    --------
    >>> Criteria(hours_by_mode={}).longest_hours
    1.0
    """

    half_latitude: float = Field(2.5, gt=0, description="half the box round a site, degrees")
    half_longitude: float = Field(5.0, gt=0, description="half the box round a site, degrees")
    hours: float = Field(1.0, gt=0, description="reference columns so long before and after the overpass")
    hours_by_mode: dict[str, float] = Field({"target": 0.5}, description="other times for some modes")
    minimum: int = Field(5, ge=1, description="fewest soundings of an overpass")
    minimum_reference: int = Field(1, ge=1, description="fewest reference columns of an overpass")
    altitude_m: Annotated[float | None, Flag(names=("--altitude",))] = Field(
        None,
        gt=0,
        validation_alias=AliasChoices("altitude_m", "altitude"),
        description="largest difference in height, m",
    )
    gap_minutes: float = Field(
        30.0, gt=0, description="a longer time without a sounding begins another overpass"
    )

    @field_validator("hours_by_mode")
    @classmethod
    def _some_time(cls, hours: dict[str, float]) -> dict[str, float]:
        if any(not h > 0 for h in hours.values()):
            raise ValueError("times must be positive")
        return hours

    @property
    def longest_hours(self) -> float:
        """Longest time before and after an overpass, whatever its mode."""
        return max(self.hours, *self.hours_by_mode.values(), 0.0)


class ValidateTable(AllowMissing, Criteria):
    """The table ``[validate]`` of a case, and the command."""

    store: Annotated[str, Flag(positional=True)] = Field(
        "store", description="observation store of the satellite"
    )
    reference: str = Field("store", description="store of the ground network (TCCON, COCCON)")
    out: str = Field("validation", description="folder for tables and pictures")
    species: str = Field(description="CO2 or CH4")
    source: str = Field(description="satellite product, e.g. acos_lite_v9")
    reference_source: str | None = Field(None, description="needed where the reference store has several")
    adjust: Literal["kernel", "none"] = Field(
        "kernel", description="kernel: see through the satellite's kernels and priors; none"
    )
    start: str | None = Field(None, description="first time, UTC")
    stop: str | None = Field(None, description="time after the last, UTC")
