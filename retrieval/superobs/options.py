"""How soundings are averaged: the options of ``obsnet superobs``, of ``[superobs]`` and of `super_observe`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any, Literal

from pydantic import AliasChoices, Field, model_validator

from obsnet.areas import BoxField, GridField
from obsnet.command import Flag
from obsnet.config import Options
from obsnet.work.shards import AllowMissing

if TYPE_CHECKING:
    from retrieval.superobs.errors import ErrorModel

__all__ = ["Selection", "Superobs", "SuperobsTable"]

ERROR_NUMBERS = ("sounding", "r", "length_km", "floor", "transport", "variability", "representativity")


class Superobs(Options):
    """How soundings are combined; see `retrieval.superobs.errors.ErrorModel` for the numbers of the errors.

    Examples
    --------
    >>> Superobs(method="area", grid="18,54,73,135,1", errors="correlated").window
    3600.0
    """

    method: Literal["along-track", "area"] = Field(
        "along-track", description="windows along the track, or the cells of a grid by the pixels' overlap"
    )
    grid: GridField | None = Field(None, description="cells, for areas")
    window_s: Annotated[float | None, Flag(names=("--window",))] = Field(
        None,
        gt=0,
        validation_alias=AliasChoices("window_s", "window"),
        description="length of the time windows, s; 10 along track, 3600 for areas",
    )
    inner_s: float = Field(
        1.0, gt=0, description="along track: seconds averaged first; must divide the window"
    )
    max_gap_s: Annotated[float, Flag(names=("--max-gap",))] = Field(
        3.0,
        gt=0,
        validation_alias=AliasChoices("max_gap_s", "max_gap"),
        description="along track: seconds without a sounding that end a group",
    )
    max_gap_km: float = Field(
        50.0, gt=0, description="along track: a step to the next sounding that ends a group"
    )
    weighting: Literal["share", "area"] = Field(
        "share", description="areas: weight of a pixel, the share of it that lies in the cell, or the m2"
    )
    footprint_km: float | None = Field(
        None, gt=0, description="areas: diameter of round pixels, for products without corners"
    )
    minimum: int = Field(1, ge=1, description="fewest soundings of a super-observation")
    errors: str | None = Field(
        None,
        description="how errors combine: independent, correlated, chen2023_ch4 or baker2022_co2; taken as "
        "independent, and said so, where nothing is named",
    )
    sounding: float | None = Field(
        None,
        gt=0,
        description="uncertainty of every sounding, unit of the values; the product's own otherwise",
    )
    r: float | None = Field(None, ge=0, le=1, description="constant correlation of errors")
    length_km: float | None = Field(None, gt=0, description="length of the exponential correlation")
    floor: float | None = Field(None, ge=0, description="least uncertainty, unit of the values")
    transport: float | None = Field(None, ge=0, description="transport error, unit of the values")
    variability: float | None = Field(
        None, ge=0, description="spread of the true field in a cell, unit of the values"
    )
    representativity: float | None = Field(None, ge=0, description="1: missing pixels are missing at random")

    @model_validator(mode="after")
    def _sound(self) -> Superobs:
        if self.method == "area" and self.grid is None:
            raise ValueError("super-observations by area need a grid")
        if self.method == "along-track" and self.grid is not None:
            raise ValueError("a grid is for method area; along the track there is none")
        _ = self.error_model
        return self

    @property
    def window(self) -> float:
        """Length of the time windows, s."""
        return (
            self.window_s if self.window_s is not None else 10.0 if self.method == "along-track" else 3600.0
        )

    @property
    def error_model(self) -> ErrorModel:
        """What `errors` and the numbers say together."""
        from retrieval.superobs.errors import error_model

        return error_model(self.errors, **{n: getattr(self, n) for n in ERROR_NUMBERS})

    def describe(self) -> dict[str, Any]:
        """Return the settings as plain values, those that were chosen for the user too."""
        own = {n: getattr(self, n) for n in Superobs.model_fields if n not in {"errors", *ERROR_NUMBERS}}
        grid = self.grid.to_dict() if self.grid else None
        return own | {"grid": grid, "window_s": self.window, "errors": self.error_model.describe()}


class Selection(Options):
    """Which soundings of a store are combined."""

    species: str = Field(description="CO2 or CH4")
    sources: Annotated[list[str], Flag(names=("--source",))] = Field(
        [],
        validation_alias=AliasChoices("sources", "source"),
        description="of the store; all that are not super-observations themselves otherwise",
    )
    start: str | None = Field(None, description="first time, UTC")
    stop: str | None = Field(None, description="time after the last, UTC")
    box: BoxField | None = Field(None, description="where the soundings' centres lie")

    def plain(self) -> dict[str, Any]:
        """Return the selection as plain values."""
        return {n: getattr(self, n) for n in Selection.model_fields}


class SuperobsTable(AllowMissing, Selection, Superobs):
    """The table ``[superobs]`` of a case, and the command."""

    store: Annotated[str, Flag(positional=True)] = Field(
        "store", description="observation store of soundings"
    )
    out: str = Field("superobs", description="store of super-observations; made when absent")
