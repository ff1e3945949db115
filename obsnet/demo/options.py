"""Options of the demo."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from pydantic import Field

from obsnet.config import Options

__all__ = ["DemoOptions"]


class DemoOptions(Options):
    """Which twin experiment."""

    out: Path = Field(description="folder for everything; made if absent")
    network: Literal["idealised", "existing"] = Field(
        "idealised", description="idealised, or existing: a few stations and one satellite"
    )
    planted: str = Field("370000", description="adcode of the province whose inventory is 25 % too low")
    days: int = Field(12, ge=3, le=60, description="observed days")
    seed: int = Field(1, ge=0, description="of every draw")
    workers: int | None = Field(None, ge=1, description="worker processes; by default the processors at hand")
