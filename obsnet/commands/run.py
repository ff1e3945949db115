"""``obsnet run CASE.toml``."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer

__all__ = ["run"]


def run(
    case: Annotated[Path, typer.Argument(help="Case file, TOML; see `obsnet config schema`.")],
    assignments: Annotated[
        list[str] | None, typer.Option("--set", help="Override, e.g. --set run.workers=4.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print the run record as JSON.")] = False,
) -> None:
    """Run the stages of a case; started again after a kill, it goes on where it was."""
    from obsnet.config import read_toml
    from obsnet.output import emit
    from obsnet.pipeline import read_case, run_case
    from obsnet.provenance import record, write_record

    data = read_toml(case, assignments or [])
    place, steps = read_case(data, case)
    results = run_case(place, steps, report=lambda line: print(line, file=sys.stderr, flush=True))
    inputs = {p for stage, options in steps for p in stage.inputs(options, place)}
    content = record(
        command=f"obsnet run {case}",
        config=data,
        inputs=inputs,
        seeds={"run": place.run.seed},
        stages=results,
    )
    write_record(place.out / "run.json", content)
    if as_json:
        emit(content)
    failed = sum(r["failed"] for r in results.values())
    if failed:
        print(f"obsnet: {failed} inputs failed; the index and the lines above say why", file=sys.stderr)
        raise typer.Exit(1)
