"""What is asked of the honesty tests."""

from __future__ import annotations

from pathlib import Path

from pydantic import Field

from obsnet.config import Options

__all__ = ["CheckOptions"]


class CheckOptions(Options):
    """Which tests, how large, and where their table goes."""

    reference: Path | None = Field(
        None, description="folder with met, stilt_synthetic and mptrac_era5 to compare with"
    )
    out: Path | None = Field(None, description="folder for the table and the pictures")
    scale: float = Field(1.0, gt=0, description="multiplies the numbers of particles")
    only: str = Field("", description="only tests whose name contains this")
