"""``obsnet run CASE.toml``."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from pydantic import Field

from obsnet.case_file import CaseFile
from obsnet.command import Shown, command

if TYPE_CHECKING:
    from obsnet.config import Options
    from obsnet.pipeline import Case, Stage

__all__ = ["RunCommand", "run"]


class RunCommand(CaseFile):
    """A case, and how much of it."""

    to: str | None = Field(
        None, description="last stage to run, with those that it needs; by default all run"
    )
    shard: str | None = Field(
        None, description="i/n: only the i-th of n parts of the stage --to, for job arrays"
    )
    dry_run: bool = Field(
        False, description="run nothing: print the stages, what they read, forecasts, and the job scripts"
    )
    submit: bool = Field(
        False,
        description="hand the stages in as a chain of SLURM jobs, as [cluster] says, and run nothing here",
    )


@command("obsnet.commands.run:RunCommand")
def run(options: RunCommand) -> Shown:
    """Run the stages of a case; started again after a kill, it goes on where it was."""
    from obsnet.config import apply_overrides
    from obsnet.journal import journal
    from obsnet.pipeline import read_case, up_to
    from obsnet.work.mpi import run_where

    data = apply_overrides(options.read(), [f"run.shard={options.shard}"] if options.shard else [])
    case, steps = read_case(data, options.case)
    if case.run.part is None and options.to is not None:
        steps = up_to(steps, options.to)
    if options.dry_run or options.submit:
        return _as_jobs(options, case, steps)

    def go() -> Shown:
        with journal(case.out, name=case.run.name):
            return _go(options, data, case, steps)

    return run_where(case.run, go, Shown())


def _as_jobs(options: RunCommand, case: Case, steps: Sequence[tuple[Stage, Options]]) -> Shown:
    from obsnet.chain import chain, plan_lines, submit
    from obsnet.work.cluster import job_script
    from obsnet.work.work import BATCH

    if options.submit and not options.dry_run:
        numbers = submit(chain(case, steps, options.case, options.set), case)
        return Shown({"jobs": numbers}, [f"{name}: job {number}" for name, number in numbers.items()])
    plan = plan_lines(case, steps)
    if case.run.scheduler in BATCH and not options.submit:
        scripts = {"worker": job_script(case.run)}
    else:
        scripts = {job.name: job.script for job in chain(case, steps, options.case, options.set)}
    texts = (f"--- {name}\n{script}" for name, script in scripts.items())
    return Shown({"stages": plan, "scripts": scripts}, [*plan, *texts])


def _go(
    options: RunCommand, data: dict[str, Any], case: Case, steps: Sequence[tuple[Stage, Options]]
) -> Shown:
    from obsnet.pipeline import contents_of, inputs_of, run_case, run_shard, summary_table
    from obsnet.provenance import record, write_record

    if case.run.part is not None:
        results = run_shard(case, steps, options.to)
        failed = sum(r["failed"] for r in results.values())
        note = [f"obsnet: {failed} inputs of this shard failed"] if failed else []
        return Shown(results, notes=note, failed=failed)
    contents = contents_of(case)
    results = run_case(
        case, steps, report=lambda line: print(line, file=sys.stderr, flush=True), contents=contents
    )
    inputs = {k: v for stage, table in steps for k, v in inputs_of(case, stage, table, contents).items()}
    content = record(
        command=f"obsnet run {options.case}",
        config=data,
        inputs=inputs,
        seeds={"run": case.run.seed},
        stages=results,
        case_folder=os.path.relpath(case.folder, case.out.resolve()),
    )
    write_record(case.out / "run.json", content)
    failed = sum(r["failed"] for r in results.values())
    note = [f"obsnet: {failed} inputs failed; the index and the lines above say why"] if failed else []
    return Shown(content, summary_table(results), note, failed=failed)
