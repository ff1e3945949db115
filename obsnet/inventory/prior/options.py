"""What a gridded prior is made of: the options of ``obsnet inventory grid``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field

from obsnet.areas import GridField
from obsnet.command import Flag
from obsnet.language import InLanguage

__all__ = ["GridOptions"]


class GridOptions(InLanguage):
    """A table of provinces, a grid, and what is known of where."""

    inventory: Annotated[str, Flag(positional=True)] = Field(
        description="inventory.csv, a workbook of CEADs, or a built-in table such as ceads-2019"
    )
    out: Path = Field(description="netCDF of the Flux contract")
    grid: GridField = Field("3,55,73,136,0.1", description="cells")  # type: ignore[assignment]
    gas: str = Field("CO2", description="formula")
    period: str | None = Field(None, description="year of the table, where it has several")
    regions: Path | None = Field(None, description="polygons of your own; by default the provinces")
    region_key: str = Field("adcode", description="column of your own polygons that names the regions")
    sector: dict[str, str] = Field(
        {}, description="category to sector, before the usual ones, such as 1.A.2=steel"
    )
    plants: Path | None = Field(
        None, description="latitude, longitude and value with unit, or capacity; CSV or workbook"
    )
    plant_fuels: list[str] = Field([], description="keep plants of these fuels, such as Coal")
    plant_sector: str = Field("power", description="sector of the plants")
    excess: Literal["scale", "raise", "refuse"] = Field(
        "scale", description="where plants exceed a province's total of their sector: which is changed"
    )
    proxy: dict[str, str] = Field(
        {}, description="sector (or all) to netCDF FILE or FILE:VARIABLE; else even over a province"
    )
    profiles: Path | None = Field(None, description="category, kind (month, weekday, hour), item, value")
    step: Literal["year", "month", "day", "hour"] = Field("year", description="periods of the file")
    start: str | None = Field(None, description="first period, UTC; by default the whole year")
    stop: str | None = Field(None, description="end, UTC")
    correlation: float | None = Field(
        None,
        ge=0,
        le=1,
        description="between the errors of two provinces in a sector; shared factors make it near 1",
    )
    license: str = Field("not stated", description="of the inventory and proxies, for the file")
