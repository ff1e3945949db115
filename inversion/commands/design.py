"""``obsnet design``."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer

from obsnet.errors import ConfigError

__all__ = ["design"]


def design(
    case: Annotated[Path, typer.Argument(help="Case file with a table [design], TOML.")],
    out: Annotated[Path | None, typer.Option("--out", help="Folder of the outputs.")] = None,
    assignments: Annotated[
        list[str] | None, typer.Option("--set", help="Override, e.g. --set design.criterion=target.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print the result as JSON.")] = False,
) -> None:
    """Rank candidate stations or orbits by what they would teach, and choose the best one after the other.

    Information (nats), degrees of freedom for signal and the error of province totals are all reported; one of
    them decides. The table [design.world] makes an idealised world; without it the footprints of the case's
    [invert] are used.
    """
    from inversion.study.options import DesignOptions
    from inversion.study.run_design import run_design
    from obsnet.config import out_folder, read_toml, validate
    from obsnet.output import emit

    data = read_toml(case, assignments or [])
    if "design" not in data:
        raise ConfigError(f"{case}: no table [design]; there is: {', '.join(data) or 'nothing'}")
    options = validate(DesignOptions, data["design"], f"{case.name} [design]")
    folder = case.resolve().parent
    target = out or out_folder(data, folder)
    written, summary = run_design(options, data, folder, target, lambda line: print(line, file=sys.stderr))
    if as_json:
        emit(summary)
        return
    for row in summary["choice"]:
        national = f", China {row['national_sd']:.4g} {row['unit']}" if "national_sd" in row else ""
        print(
            f"{row['number']:3d} {row['added']}: {row['information_nats']:.4g} nats, "
            f"{row['dofs']:.4g} degrees of freedom{national}"
        )
    print(f"written: {', '.join(p.name for p in written)} in {target}")
