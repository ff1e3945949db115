"""``obsnet invert``."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from pydantic import Field, model_validator

from obsnet.case_file import CaseTable, Opened
from obsnet.command import Flag, Shown, command
from obsnet.work.shards import AllowMissing

if TYPE_CHECKING:
    from obsnet.work.work import Work

__all__ = ["InvertCommand", "invert"]


class InvertCommand(AllowMissing, CaseTable):
    """A case, or Jacobian files of another system."""

    case: Annotated[Path | None, Flag(positional=True)] = Field(  # type: ignore[assignment]
        None, description="case file with a table [invert], TOML"
    )
    jacobian: Annotated[list[str], Flag(whole=True)] = Field(
        [], description="ready-made Jacobian file of another system instead, or a pattern; may be repeated"
    )
    set_aside_bad_rows: bool = Field(False, description="go on without rows in another unit, and report them")

    @model_validator(mode="after")
    def _either(self) -> InvertCommand:
        if (self.case is None) == (not self.jacobian):
            raise ValueError(
                "give a case file, or --jacobian FILE, and not both (several files: --jacobian before each, or a "
                "quoted pattern such as --jacobian 'hm_*.nc')"
            )
        return self

    def start(self) -> Opened:
        """Return the table ``[invert]``, the case's or one for the Jacobian files."""
        from inversion.case.options import InvertOptions
        from obsnet.config import apply_overrides, validate

        if self.case is not None:
            more = ["invert.foreign.set_aside_bad_rows=true"] if self.set_aside_bad_rows else []
            more += ["invert.allow_missing=true"] if self.allow_missing else []
            return _found(self.model_copy(update={"set": [*self.set, *more]}).open("invert", InvertOptions))
        foreign: dict[str, Any] = {"files": [str(Path(f).resolve()) for f in self.jacobian]}
        if self.set_aside_bad_rows:
            foreign["set_aside_bad_rows"] = True
        data = apply_overrides({"invert": {"foreign": foreign}}, self.set)
        options = validate(InvertOptions, data["invert"], "--jacobian [invert]")
        return Opened(options, data, Path.cwd(), self.out or Path("inversion"))


def _found(opened: Opened) -> Opened:
    """Return the table with inputs that earlier stages left in the case's own folder, where outputs go elsewhere."""
    from obsnet.config import out_folder

    made = out_folder(opened.data, opened.folder)
    named = {n: getattr(opened.options, n) for n in ("store", "footprints", "prior", "regions")}
    there = {
        n: str(made / v)
        for n, v in named.items()
        if v and not (opened.out / v).exists() and (made / v).exists()
    }
    return opened._replace(options=opened.options.model_copy(update=there))


@command("inversion.commands.invert:InvertCommand", work=True)
def invert(options: InvertCommand, work: Work) -> Shown:
    """Solve fluxes from observations, with their covariance and totals by region.

    Give a case file, or --jacobian FILE for a Jacobian that another system made.
    """
    from inversion.case.run import run_invert

    table, _, folder, out = options.start()
    _, summary = run_invert(table, folder, out, lambda line: print(line, file=sys.stderr), work)
    damaged = len(summary.get("damaged", []))
    note = f"obsnet: {damaged} parts of the footprints could not be read; see above"
    return Shown(
        summary,
        [f"{summary['posterior']}: {summary['observations']} observations, {summary['state']} unknowns"],
        [note] if damaged else [],
        failed=damaged,
    )
