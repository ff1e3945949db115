"""Options of an attribution to sectors."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field

from obsnet.command import Flag
from obsnet.config import Options

__all__ = ["AttributeOptions"]


class AttributeOptions(Options):
    """An inversion's sector, the inventory's categories that make it up, and how their errors hang together."""

    posterior: Annotated[Path, Flag(positional=True)] = Field(description="posterior.nc of `obsnet invert`")
    inventory: Annotated[str, Flag(positional=True)] = Field(
        description="CSV of totals by region and category"
    )
    sector: str | None = Field(None, description="sector of the inversion that the categories make up")
    category: list[str] = Field(
        [], description="categories that make it up; by default all but total, none inside another"
    )
    year: str | None = Field(None, description="period of the inventory, if it has several")
    gas: str | None = Field(None, description="gas of the rows, if there are several")
    terminology: str | None = Field(None, description="terminology of the rows, if there are several")
    uncertainty: float | None = Field(None, gt=0, le=3, description="relative sd of rows that state none")
    between_sectors: float = Field(
        0.0, ge=0, le=1, description="correlation of the errors of two categories of a region"
    )
    between_regions: float = Field(
        0.0, ge=0, le=1, description="correlation of the errors of two regions in a category"
    )
    prescribed: dict[str, float] = Field({}, description="as in `obsnet crosscheck`")
    profile: Literal["flat", "prior"] | None = Field(None, description="as in `obsnet crosscheck`")
    other_year: bool = Field(False, description="as in `obsnet crosscheck`")
    out: Path | None = Field(None, description="folder for attribution.csv; by default beside the posterior")
