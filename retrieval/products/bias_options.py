"""Options of ``obsnet bias verify`` and ``obsnet bias fit``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from pydantic import AliasChoices, Field

from obsnet.command import Flag
from obsnet.config import Options

__all__ = ["FitOptions", "VerifyOptions"]


class VerifyOptions(Options):
    """What is recomputed and how near it must come."""

    files: Annotated[list[str], Flag(positional=True)] = Field(
        min_length=1, description="granules, folders or globs"
    )
    correction: Path | None = Field(None, description="a .toml instead of the formula in the files")
    tolerance: float = Field(5e-5, ge=0, description="largest difference that passes, in the species' unit")


class FitOptions(Options):
    """What a bias correction is fitted to."""

    files: Annotated[list[str], Flag(positional=True)] = Field(
        min_length=1, description="granules, folders or globs"
    )
    out: Path = Field(description="bias correction to write (.toml)")
    truth: Path | None = Field(None, description="CSV with sounding_id and truth; small areas without it")
    start: Path | None = Field(None, description="a .toml whose formulas to refit instead of the files' own")
    name: str = Field("refit", description="becomes part of the source of corrected rows")
    length_km: Annotated[float, Flag(names=("--length",))] = Field(
        100.0,
        gt=0,
        validation_alias=AliasChoices("length_km", "length"),
        description="longest small area, km",
    )
    gap_s: float = Field(20.0, gt=0, description="a longer break, s, begins another small area")
    minimum: int = Field(30, ge=1, description="soundings a class needs")
