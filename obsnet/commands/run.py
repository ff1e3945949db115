"""``obsnet run CASE.toml``."""

from __future__ import annotations

import sys

from obsnet.case_file import CaseFile
from obsnet.command import Shown, command

__all__ = ["run"]


@command("obsnet.case_file:CaseFile")
def run(options: CaseFile) -> Shown:
    """Run the stages of a case; started again after a kill, it goes on where it was."""
    from obsnet.pipeline import contents_of, inputs_of, read_case, run_case
    from obsnet.provenance import record, write_record

    data = options.read()
    place, steps = read_case(data, options.case)
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
    note = f"obsnet: {failed} inputs failed; the index and the lines above say why"
    return Shown(content, notes=[note] if failed else [], failed=failed)
