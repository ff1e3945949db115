"""How a station file is to be read where it does not say itself; the same for every command and for a case."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import Field

from obsnet.command import Flag
from obsnet.config import Options

__all__ = ["HowToRead", "OneRecord"]


class HowToRead(Options):
    """What a file does not say of itself."""

    format: str | None = Field(None, description="a reader's name, where the content must not decide")
    config: Path | None = Field(None, description="TOML that describes the columns of tables of your own")
    site: str | None = Field(
        None, description="site code, where the file has none; which site, where it has several"
    )
    intake: float | None = Field(
        None, description="which intake of a record that has several, metres above ground"
    )
    scale: str | None = Field(None, description="calibration scale, where the file has none")
    stamp: Literal["start", "middle", "end"] | None = Field(
        None, description="what a time stamp names, where the file does not say"
    )
    precisions: Path | None = Field(
        None, description="GCWerks file of precisions that is not beside its record"
    )

    @property
    def said(self) -> dict[str, Any]:
        """Arguments of `stations.readers.read`: what was said."""
        found = {name: getattr(self, name) for name in HowToRead.model_fields}
        return {name: value for name, value in found.items() if value is not None}


class OneRecord(HowToRead):
    """One record of one file."""

    file: Annotated[Path, Flag(positional=True)] = Field(
        description="a station file of any known format; a record written by --out is one"
    )
    species: str | None = Field(
        None,
        description="which species of a file that holds several; CO2, else CH4, else the first where left out",
    )
