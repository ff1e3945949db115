"""``obsnet station scale`` and ``calibrate``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from pydantic import Field

from obsnet.command import Flag
from obsnet.config import Options
from stations.readers.options import OneRecord
from stations.record.options import RecordOut

__all__ = ["CalibrateTable", "ConversionOptions", "ScaleTable"]


class ConversionOptions(Options):
    """Which conversions of calibration scales may be used."""

    accept_unverified: bool = Field(False, description="use conversions whose source could not be checked")
    scales: Annotated[Path | None, Flag(names=("--table",))] = Field(
        None, description="a table of scale conversions of your own (TOML), instead of the package's"
    )


class ScaleTable(OneRecord, ConversionOptions):
    """``obsnet station scale``."""

    to: str = Field(description="scale to convert to: X2019, TU-87 ...")
    out: RecordOut | None = Field(
        None, description="write the record to this netCDF file (*.nc, or *.openghg.nc)"
    )


class CalibrateTable(Options):
    """``obsnet station calibrate``."""

    file: Annotated[Path, Flag(positional=True)] = Field(
        description="raw readings: a Picarro data log, or a folder of them"
    )
    plan: Path = Field(description="calibration plan (TOML): valves, tanks, response")
    out: RecordOut | None = Field(
        None, description="write the record to this netCDF file (*.nc, or *.openghg.nc)"
    )
    goals: Path | None = Field(None, description="compatibility goals of your own (TOML)")
