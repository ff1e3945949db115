"""Options that say where a record goes, and which site is looked up."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from pydantic import AfterValidator, Field

from obsnet.command import Flag
from obsnet.config import Options

__all__ = ["RecordOut", "SiteQuery"]


def _netcdf(path: Path) -> Path:
    if path.suffix != ".nc":
        raise ValueError("a record is written as netCDF; name it *.nc")
    return path


# *.openghg.nc is written in openghg's layout, see `stations.record.file.write_record`.
RecordOut = Annotated[Path, AfterValidator(_netcdf)]


class SiteQuery(Options):
    """What is looked up in the station table."""

    name: Annotated[str | None, Flag(positional=True)] = Field(
        None, description="code, name or alias; all stations without it"
    )
