"""How meteorological files are read and prepared."""

from __future__ import annotations

import re
from typing import Literal

from pydantic import Field, field_validator

from obsnet.config import Options

__all__ = ["MetOptions"]


class MetOptions(Options):
    """What a user knows of meteorological files, and what is made of them."""

    trim: bool = Field(
        False,
        description="cut off edge rows and columns of the meteorology that hold NaN instead of refusing them",
    )
    winds: Literal["auto", "earth", "grid"] = Field(
        "auto", description="what wind components of a projected grid are along; auto believes the file"
    )
    vertical: Literal["continuity", "file", "omega"] = Field(
        "continuity",
        description="vertical wind: that which conserves mass with the horizontal winds; the file's own, brought down "
        "to the ground in a straight line; or omega alone, -omega / (rho g), as if ground and pressure surfaces were "
        "level and still, which is what STILT takes",
    )
    top: float = Field(20000.0, gt=0, description="highest level of the meteorology above ground, m")
    levels: int = Field(48, ge=8, le=500, description="terrain-following levels of the meteorology")
    accumulated: str = Field(
        "auto",
        description="over which time sums of fluxes in netCDF are taken: hour (the hour before, as in ERA5), forecast "
        "(since its start, where the file has forecast_period), or the hours UTC at which sums begin anew, such as "
        "00 or 06,18; auto believes time bounds and refuses where there are none",
    )

    heat_flux: Literal["auto", "up", "down"] = Field(
        "auto",
        description="which way the sensible heat flux of netCDF and GRIB files counts; auto believes the name in "
        "netCDF, in GRIB the centre, and refuses centres that are not known",
    )

    @field_validator("accumulated")
    @classmethod
    def _known(cls, value: str) -> str:
        hours = [int(w) for w in value.split(",")] if re.fullmatch(r"\d{1,2}(,\d{1,2})*", value) else [24]
        if value not in {"auto", "hour", "forecast"} and max(hours) > 23:
            raise ValueError("write hour, forecast, auto, or hours UTC such as 00 or 06,18")
        return value
