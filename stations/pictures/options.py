"""``obsnet station plot``: what is drawn and how."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from pydantic import Field, field_validator

from obsnet.config import Options
from stations.readers.options import OneRecord

__all__ = ["PictureOptions", "PlotTable"]

SUFFIXES = (".png", ".svg", ".pdf")


class PictureOptions(Options):
    """A picture of a record."""

    picture: Literal["overview", "record", "growth", "season", "diurnal", "flags"] = Field(
        "overview", description="overview has record, growth, season and diurnal cycle"
    )
    language: Literal["auto", "zh", "en"] = Field(
        "auto", description="auto takes Chinese where this machine has a font of it"
    )
    baseline: bool = Field(False, description="draw the robust baseline (REBS) of the valid values too")
    baseline_days: float = Field(60.0, gt=0, description="window of the baseline, days")
    dpi: int = Field(150, ge=10, description="of pixel formats")
    replicates: int = Field(
        100, ge=2, description="members of the ensemble behind the band of the growth rate"
    )
    title: str | None = Field(None, description="instead of site, species and scale")


class PlotTable(PictureOptions, OneRecord):
    """``obsnet station plot``."""

    out: Path = Field(description="*.png, *.svg or *.pdf")

    @field_validator("out")
    @classmethod
    def _is_picture(cls, value: Path) -> Path:
        if value.suffix.lower() not in SUFFIXES:
            raise ValueError(f"pictures are {', '.join(SUFFIXES)}")
        return value
