"""``obsnet station admit``: who applies, by which requirements."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from pydantic import Field

from obsnet.command import Flag
from obsnet.config import Options

__all__ = ["AdmitTable"]


class AdmitTable(Options):
    """Stations to judge."""

    stations: Annotated[list[Path], Flag(positional=True)] = Field(
        min_length=1, description="station dossiers (TOML), or bare station files"
    )
    requirements: str = Field(
        "example_network", description="table of requirements: a name of the package's or a .toml file"
    )
    out: Path | None = Field(None, description="folder for admission.html, admission.csv, evidence.csv")
