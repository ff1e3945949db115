"""``obsnet invert``."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated, Any

import typer

from obsnet.errors import ConfigError

__all__ = ["invert"]


def invert(
    case: Annotated[Path | None, typer.Argument(help="Case file with a table [invert], TOML.")] = None,
    jacobian: Annotated[
        list[Path] | None,
        typer.Option("--jacobian", help="Ready-made Jacobian files of another system instead."),
    ] = None,
    out: Annotated[Path | None, typer.Option("--out", help="Folder of the outputs.")] = None,
    set_aside_bad_rows: Annotated[
        bool,
        typer.Option("--set-aside-bad-rows", help="Go on without rows in another unit, and report them."),
    ] = False,
    assignments: Annotated[
        list[str] | None, typer.Option("--set", help="Override, e.g. --set invert.method=cg.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print the summary as JSON.")] = False,
) -> None:
    """Solve fluxes from observations, with their covariance and totals by region.

    Give a case file, or --jacobian FILE for a Jacobian that another system made.
    """
    from inversion.case.options import InvertOptions
    from inversion.case.run import run_invert
    from obsnet.config import apply_overrides, out_folder, read_toml, validate
    from obsnet.output import emit

    if (case is None) == (not jacobian):
        raise ConfigError(
            "give a case file, or --jacobian FILE, and not both (several files: --jacobian before each, or a quoted "
            "pattern such as --jacobian 'hm_*.nc')"
        )
    if case is not None:
        data = read_toml(case, assignments or [])
        if "invert" not in data:
            raise ConfigError(f"{case}: no table [invert]; there is: {', '.join(data) or 'nothing'}")
        folder, where = case.resolve().parent, case.name
        target = out or out_folder(data, folder)
    else:
        files = [str(Path(f).resolve()) for f in jacobian or []]
        start: dict[str, Any] = {"invert": {"foreign": {"files": files}}}
        data = apply_overrides(start, assignments or [])
        folder, where, target = Path.cwd(), "--jacobian", out or Path("inversion")
    if set_aside_bad_rows:
        data = apply_overrides(data, ["invert.foreign.set_aside_bad_rows=true"])
    options = validate(InvertOptions, data["invert"], f"{where} [invert]")
    _, summary = run_invert(options, folder, target, lambda line: print(line, file=sys.stderr))
    if as_json:
        emit(summary)
    else:
        print(f"{summary['posterior']}: {summary['observations']} observations, {summary['state']} unknowns")
    damaged = summary.get("damaged", [])
    if damaged:
        print(f"obsnet: {len(damaged)} parts of the footprints could not be read; see above", file=sys.stderr)
        raise typer.Exit(1)
