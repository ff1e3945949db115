"""A case file as commands are given it: the file, what is said otherwise, and the one table a command works on."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, NamedTuple, TypeVar

from pydantic import Field

from obsnet.command import Flag
from obsnet.config import Options, out_folder, read_toml, validate
from obsnet.errors import ConfigError

__all__ = ["CaseFile", "CaseTable", "Opened"]

Table = TypeVar("Table", bound=Options)


class CaseFile(Options):
    """A case file, and what is said otherwise on the command line."""

    case: Annotated[Path, Flag(positional=True)] = Field(
        description="case file, TOML; see `obsnet config schema`"
    )
    set: Annotated[list[str], Flag(whole=True)] = Field(
        [], description="override of the file, e.g. --set run.workers=4; may be repeated"
    )

    def read(self) -> dict[str, Any]:
        """Return the whole case as plain data, overrides made."""
        return read_toml(self.case, self.set)


class Opened(NamedTuple):
    """One table of a case and where it runs.

    Attributes
    ----------
    options : Options
        The table.
    data : dict
        The whole case.
    folder, out : Path
        What inputs are relative to, and where outputs go.
    """

    options: Any
    data: dict[str, Any]
    folder: Path
    out: Path


class CaseTable(CaseFile):
    """A case file of which one table is worked on."""

    out: Path | None = Field(None, description="folder of the outputs; by default the case's")

    def open(self, name: str, model: type[Options]) -> Opened:
        """Return one table of the case, checked.

        Raises
        ------
        ConfigError
            The case has no such table, or it is faulty.
        """
        data = self.read()
        if name not in data:
            raise ConfigError(f"{self.case}: no table [{name}]; there is: {', '.join(data) or 'nothing'}")
        folder = self.case.resolve().parent
        options = validate(model, data[name], f"{self.case.name} [{name}]")
        return Opened(options, data, folder, self.out or out_folder(data, folder))
