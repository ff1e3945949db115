"""``obsnet run CASE.toml``."""

from __future__ import annotations

import sys

from pydantic import Field

from obsnet.case_file import CaseFile
from obsnet.command import Shown, command

__all__ = ["RunCommand", "run"]


class RunCommand(CaseFile):
    """A case, and how much of it."""

    to: str | None = Field(
        None, description="last stage to run, with those that it needs; by default all run"
    )
    shard: str | None = Field(
        None, description="i/n: only the i-th of n parts of the stage --to, for job arrays"
    )


@command("obsnet.commands.run:RunCommand")
def run(options: RunCommand) -> Shown:
    """Run the stages of a case; started again after a kill, it goes on where it was."""
    from obsnet.config import apply_overrides
    from obsnet.pipeline import contents_of, inputs_of, read_case, run_case, run_shard, up_to
    from obsnet.provenance import record, write_record

    data = apply_overrides(options.read(), [f"run.shard={options.shard}"] if options.shard else [])
    place, steps = read_case(data, options.case)
    if place.run.part is not None:
        results = run_shard(place, steps, options.to)
        failed = sum(r["failed"] for r in results.values())
        note = [f"obsnet: {failed} inputs of shard {place.run.shard} failed"] if failed else []
        return Shown(results, notes=note, failed=failed)
    if options.to is not None:
        steps = up_to(steps, options.to)
    contents = contents_of(place)
    results = run_case(
        place, steps, report=lambda line: print(line, file=sys.stderr, flush=True), contents=contents
    )
    inputs = {k: v for stage, table in steps for k, v in inputs_of(place, stage, table, contents).items()}
    content = record(
        command=f"obsnet run {options.case}",
        config=data,
        inputs=inputs,
        seeds={"run": place.run.seed},
        stages=results,
    )
    write_record(place.out / "run.json", content)
    failed = sum(r["failed"] for r in results.values())
    note = [f"obsnet: {failed} inputs failed; the index and the lines above say why"] if failed else []
    return Shown(content, notes=note, failed=failed)
