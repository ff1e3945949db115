"""What is mapped and how: the options of ``obsnet grid``, of ``[grid]`` and of `make_map`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import numpy as np
from pydantic import Field, StrictBool, field_validator, model_validator

from obsnet.areas import GridField
from obsnet.command import Flag
from obsnet.language import InLanguage
from obsnet.typing import Times
from obsnet.work.shards import AllowMissing

__all__ = ["METHODS", "GridTable", "MapSettings"]

METHODS = {
    "bin": "means of the soundings in each cell and period",
    "kriging": "local ordinary kriging in space and time, averaged over the cell",
    "frk": "fixed-rank kriging with bisquares of several widths",
}


class MapSettings(AllowMissing):
    """What is mapped and how.

    Examples
    --------
    >>> asked = MapSettings(species="CO2", grid="18,54,73,135,1", start="2019-01-01", stop="2019-01-04")
    >>> len(asked.time_edges), asked.grid.shape
    (4, (36, 62))
    """

    species: str = Field(description="CO2 or CH4")
    grid: GridField = Field(description="cells")
    start: str = Field(description="first time, UTC")
    stop: str = Field(description="time after the last, UTC")
    step: str = Field("1D", description="length of a period: 1D, 8D, MS")
    method: Literal["bin", "kriging", "frk"] = Field(
        "bin", description="bin means, local kriging, fixed-rank kriging"
    )
    source: str | None = Field(None, description="of the store; needed where it has several of the species")
    r: float = Field(0.0, ge=0, le=1, description="correlation of errors inside a cell and period, for means")
    window_days: float = Field(
        8.0, gt=0, description="days before and after a period that are used (kriging, frk)"
    )
    neighbours: int = Field(64, ge=1, description="columns that a cell is kriged from")
    reach_km: float = Field(
        200.0,
        gt=0,
        description="cells whose edge is farther from any column stay empty (kriging, frk); inf: none",
    )
    max_sd: float | None = Field(
        None,
        gt=0,
        description="cells with a larger standard error stay empty, unit of the values (kriging, frk)",
    )
    spacing_km: tuple[float, ...] = Field(
        (1600.0, 800.0, 400.0), min_length=1, description="between the bisquares, wide to narrow (frk)"
    )
    spacing_days: float = Field(4.0, gt=0, description="between the bisquares in time (frk)")
    folds: int = Field(10, ge=0, description="of the cross-validation; 0 leaves it out")
    block_degrees: float | None = Field(
        None, gt=0, description="blocks that are held out, of a day; 2.5, or the cells where they are larger"
    )

    @field_validator("folds")
    @classmethod
    def _enough(cls, folds: int) -> int:
        if folds == 1:
            raise ValueError("folds must be 0 or at least 2")
        return folds

    @model_validator(mode="after")
    def _some_time(self) -> MapSettings:
        _ = self.time_edges
        return self

    @property
    def block(self) -> float:
        """Size of the blocks that are held out, degrees."""
        steps = [float(np.diff(edges).max()) for edges in (self.grid.lat_edges, self.grid.lon_edges)]
        return max(2.5, *steps) if self.block_degrees is None else self.block_degrees

    @property
    def time_edges(self) -> Times:
        """Edges of the periods, datetime64 (periods + 1,), UTC."""
        from obsnet.times import time_bins

        return time_bins(self.start, self.stop, self.step)


class GridTable(MapSettings, InLanguage):
    """The table ``[grid]`` of a case, and the command."""

    store: Annotated[str, Flag(positional=True)] = Field(
        "superobs", description="observation store of soundings or super-observations"
    )
    out: str = Field("maps/columns.nc", description="netCDF file to write")
    geotiff: StrictBool | Path = Field(
        False, description="folder for cloud-optimised GeoTIFFs; in a case true means beside the netCDF file"
    )
    pictures: StrictBool | Path = Field(
        False, description="folder for PNG maps; in a case true means beside the netCDF file"
    )
