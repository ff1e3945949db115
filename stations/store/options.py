"""``[stations]`` of a case and ``obsnet station read``: files of any network into an observation store."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from pydantic import Field

from obsnet.command import Flag
from obsnet.config import Options
from stations.calibration.options import ConversionOptions
from stations.quality.options import BUDGET, RULES
from stations.readers.options import HowToRead

__all__ = ["CompactTable", "Delivery", "ProcessOptions", "ReadTable", "StationsTable"]


class ProcessOptions(ConversionOptions):
    """What is done to every record on its way to the store; column records pass as they are."""

    to_scale: dict[str, str] = Field({}, description="scale to convert each species to: CO2 = 'X2019'")
    rules: list[str] = Field([], description=RULES)
    budget: str | None = Field(None, description=BUDGET)
    mixed_scales: bool = Field(
        False, description="let records of a species be on several scales; else a run that mixes stops"
    )


class Delivery(ProcessOptions, HowToRead):
    """How files are read, which of their species, and what is done to the records."""

    species: list[str] = Field([], description="which of a file's species; every one where left out")

    def placed(self, folder: Path) -> Delivery:
        """Return the same with relative paths taken from a folder."""

        def table(name: str) -> str:
            return str(folder / name) if name.endswith(".toml") else name

        found = {n: getattr(self, n) for n in ("config", "precisions", "scales")}
        return self.model_copy(
            update={
                **{n: folder / p for n, p in found.items() if p is not None},
                "rules": [table(n) for n in self.rules],
                "budget": table(self.budget) if self.budget else None,
            }
        )

    @property
    def tables(self) -> list[Path]:
        """Files that decide what becomes of a record."""
        named = [Path(n) for n in (*self.rules, self.budget or "") if n.endswith(".toml")]
        return [p for p in (self.config, self.precisions, self.scales) if p is not None] + named


class StationsTable(Delivery):
    """The table ``[stations]`` of a case."""

    files: list[str] = Field(
        min_length=1, description="files, folders or globs; a folder of raw hourly files is one record"
    )
    store: str = Field("store", description="observation store, relative to the run's folder of outputs")


class CompactTable(Options):
    """``obsnet station compact``."""

    store: Annotated[Path, Flag(positional=True)] = Field(description="observation store, changed in place")
    rows: int = Field(2_000_000, ge=1, description="rows of a part, about; a year of more is divided")


class ReadTable(Delivery):
    """``obsnet station read``."""

    files: Annotated[list[str], Flag(positional=True)] = Field(
        min_length=1, description="files, folders or globs; a folder of raw hourly files is one record"
    )
    store: Annotated[str | None, Flag(names=("--out",))] = Field(
        None, description="observation store to write to"
    )
