"""How work on many items is run: one object from the case file or the flags to the adapter."""

from __future__ import annotations

import re
from typing import Literal

from pydantic import Field, field_validator

from obsnet.config import Options
from obsnet.errors import ConfigError
from obsnet.work.isolated import Limits

__all__ = ["Work", "parse_shard"]


class Work(Options):
    """Where and how many at a time; the same table keys and flags wherever there are many items."""

    scheduler: Literal["auto", "serial", "processes", "dask"] = Field(
        "auto",
        description="serial, worker processes on this machine, or Dask; auto takes processes where there is enough "
        "to do, and Dask where an address is given",
    )
    workers: int | None = Field(None, ge=1, description="worker processes; by default the processors at hand")
    address: str | None = Field(None, description="a running Dask scheduler, e.g. tcp://node1:8786")
    shard: str | None = Field(
        None, description="i/n: only the i-th of n parts, counted from 1, for job arrays"
    )

    file_gib: float = Field(
        4.0, gt=0, description="memory in GiB beyond which reading one file from outside is given up"
    )
    file_seconds: float = Field(
        600.0, gt=0, description="processor time in s beyond which reading one file from outside is given up"
    )

    @field_validator("shard")
    @classmethod
    def _shard(cls, value: str | None) -> str | None:
        if value is not None:
            try:
                parse_shard(value)
            except ConfigError as error:
                raise ValueError(str(error)) from None
        return value

    @property
    def limits(self) -> Limits:
        """What reading one file may take."""
        return Limits(round(self.file_gib * 2**30), self.file_seconds)

    @property
    def part(self) -> tuple[int, int] | None:
        """The shard as (index from 0, count)."""
        return None if self.shard is None else parse_shard(self.shard)


def parse_shard(text: str) -> tuple[int, int]:
    """Read ``"3/40"`` (the third of forty, counted from 1) as (2, 40).

    Raises
    ------
    ConfigError
        Anything else, or a number out of range.
    """
    match = re.fullmatch(r"(\d+)/(\d+)", text.strip())
    if not match or not 1 <= int(match[1]) <= int(match[2]):
        raise ConfigError(f"shard {text!r}: write it as i/n with 1 <= i <= n, e.g. 3/40")
    return int(match[1]) - 1, int(match[2])
