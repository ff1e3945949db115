"""Options of trends."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from pydantic import Field

from obsnet.command import Flag
from obsnet.config import Options

__all__ = ["TrendOptions"]


class TrendOptions(Options):
    """Which series, and what their errors have in common."""

    series: Annotated[list[Path], Flag(positional=True)] = Field(
        description="tables of region, source, year, value, sd; or the provinces.csv of several years' runs"
    )
    factor: dict[str, float] = Field(
        {}, description="relative sd of an error that all years of a source share: SOURCE=0.05"
    )
    rho: dict[str, float] = Field(
        {}, description="correlation of a source's error of one year with the next: SOURCE=0.5"
    )
    shared: float = Field(0.0, ge=-1, le=1, description="correlation of two sources' errors in one year")
    alpha: float = Field(0.05, gt=0, lt=0.5, description="rate of false discoveries among differing trends")
    out: Path = Field(Path(), description="folder for trends.csv")
