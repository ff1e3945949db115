"""Options of a reconciliation."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field

from obsnet.command import Flag
from obsnet.config import Options

__all__ = ["ReconcileOptions"]


class ReconcileOptions(Options):
    """What is reconciled, and what is known of its errors."""

    inventory: Annotated[str, Flag(positional=True)] = Field(
        description="CSV of totals by region, or a built-in inventory; a row of region CHN is the national total"
    )
    posterior: Path | None = Field(None, description="posterior.nc of `obsnet invert`, as a further source")
    sector: str | None = Field(None, description="sector of the inversion that the inventory is of")
    year: str | None = Field(None, description="period of the inventory, if it has several")
    gas: str | None = Field(None, description="gas of the rows, if there are several")
    category: str | None = Field(None, description="category of the rows, if not total")
    uncertainty: float | None = Field(None, gt=0, le=3, description="relative sd of regions that state none")
    nation: float | None = Field(
        None, description="national total, Mt a year, if the inventory has no row CHN of it"
    )
    nation_uncertainty: float | None = Field(
        None, ge=0, le=3, description="relative sd of the national total; 0 takes it as exact"
    )
    difference: float = Field(
        0.0,
        description="by how much the regions are known to exceed the nation (statistical difference), Mt a year",
    )
    difference_sd: float = Field(0.0, ge=0, description="standard deviation of that difference, Mt a year")
    factor: float = Field(
        0.0,
        ge=0,
        le=3,
        description="relative sd of an error that all regions and the nation share, as of emission factors",
    )
    unknown_correlation: bool = Field(
        False,
        description="errors of inventory and inversion may be correlated in any way: covariance intersection",
    )
    prescribed: dict[str, float] = Field({}, description="as in `obsnet crosscheck`")
    profile: Literal["flat", "prior"] | None = Field(None, description="as in `obsnet crosscheck`")
    other_year: bool = Field(False, description="as in `obsnet crosscheck`")
    alpha: float = Field(0.05, gt=0, lt=0.5, description="rate of false alarms of the test for gross errors")
    out: Path = Field(Path(), description="folder for reconciled.csv")
