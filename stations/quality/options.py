"""``obsnet station qc`` and ``budget``: which tables are applied to a record, and what stands beside it."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from pydantic import Field

from obsnet.command import Flag
from stations.readers.options import OneRecord
from stations.record.options import RecordOut

__all__ = ["BudgetTable", "QualityTable"]

RULES = (
    "rule tables, in order: noaa_flask, noaa_mountain_co2, continuous_minutes, continuous_hours, rebs_background, "
    "agage_background, model_plain, model_mountain, or .toml files"
)
BUDGET = "error budget: a name (record, calibrated) or a .toml file"


class QualityTable(OneRecord):
    """``obsnet station qc``."""

    rules: list[str] = Field(min_length=1, description=RULES)
    out: RecordOut | None = Field(
        None, description="write the record to this netCDF file (*.nc, or *.openghg.nc)"
    )
    partners: Annotated[dict[str, Path], Flag(names=("--with",))] = Field(
        {}, description="another intake that a rule names"
    )
    met: Path | None = Field(None, description="CSV of meteorology to join: time, wind_direction, wind_speed")
    met_tolerance_minutes: float = Field(
        31.0, gt=0, description="rows without a time of the meteorology this near have none"
    )
    compare: bool = Field(False, description="judge blind and compare with the keeper's flags")


class BudgetTable(OneRecord):
    """``obsnet station budget``."""

    budget: str = Field("record", description=BUDGET)
    out: RecordOut | None = Field(
        None, description="write the record to this netCDF file (*.nc, or *.openghg.nc)"
    )
