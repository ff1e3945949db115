"""The commands ``obsnet footprints …``."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING

from obsnet.command import Group, Shown, command

if TYPE_CHECKING:
    from inversion.transport.check.options import CheckOptions
    from inversion.transport.evaluation.options import EvaluateOptions
    from inversion.transport.run.options import FootprintCommand, ForwardOptions
    from obsnet.work.work import Work

__all__ = ["app", "check", "evaluate", "forward", "run"]

_HERE = "inversion.transport.commands"
app = Group(
    "Footprints: what each observation feels of each flux.",
    {
        "run": f"{_HERE}.footprints:run",
        "forward": f"{_HERE}.footprints:forward",
        "info": f"{_HERE}.convert:info",
        "convert": f"{_HERE}.convert:convert",
        "check": f"{_HERE}.footprints:check",
        "evaluate": f"{_HERE}.footprints:evaluate",
    },
)


@command("inversion.transport.run.options:FootprintCommand", work=True)
def run(options: FootprintCommand, work: Work) -> Shown:
    """Compute footprints of the observations in a store, or of listed receptors, with the built-in particle model."""
    from inversion.transport.run.table import run_table

    found = run_table(
        options,
        folder=Path(),
        outputs=Path(),
        work=work,
        seed=0,
        replace=options.replace,
        report=lambda line: print(line, file=sys.stderr),
    )
    lines = [f"skipped {count}: {reason}" for reason, count in found["skipped"].items()]
    lines.append(
        f"{options.out}: {found['receptors']} receptors in {found['parts']} parts, {found['made']} of them made now"
    )
    return Shown({**found, "out": options.out}, lines)


@command("inversion.transport.run.options:ForwardOptions")
def forward(options: ForwardOptions) -> Shown:
    """Follow known releases forward: the mole fraction that they add near the ground."""
    from inversion.transport.run.forward import run_forward

    found = run_forward(options)
    lines = [f"skipped {name}: {reason}" for name, reason in found["skipped"].items()]
    lines.append(
        f"{options.out}: {found['sources']} sources, {found['amount_mol']:g} mol, "
        f"up to {found['highest']:.3g} mol mol-1"
    )
    return Shown({**found, "out": options.out}, lines, found["notes"], failed=len(found["skipped"]))


@command("inversion.transport.check.options:CheckOptions")
def check(options: CheckOptions) -> Shown:
    """Test the particle model against known answers, STILT and MPTRAC."""
    from inversion.transport.check.pictures import write_report
    from inversion.transport.check.references import table_of
    from inversion.transport.check.run import in_words, plain, run_checks

    rows = run_checks(options)
    if options.out is not None:
        write_report(rows, options.out)
    failed = sum(row.passed is False for row in rows)
    where = f"; table and pictures in {options.out}" if options.out else ""
    data = {"tests": [plain(row) for row in rows], "failed": failed}
    lines = [*map(in_words, rows), *table_of(rows)]
    return Shown(data, [*lines, f"{len(rows)} tests, {failed} failed{where}"], failed=failed)


@command("inversion.transport.evaluation.options:EvaluateOptions")
def evaluate(options: EvaluateOptions) -> Shown:
    """Compare the particle model with a tracer experiment, backward and forward: correlation, bias, rank, picture."""
    from inversion.transport.evaluation.run import run_evaluation
    from inversion.transport.evaluation.scores import TracerScores, in_words

    found = run_evaluation(options)
    lines = [f"left out {count}: {reason}" for reason, count in found["left_out"].items()]
    lines += [
        in_words(f"{way}, {kind}", TracerScores(**values))
        for way, both in found["scores"].items()
        for kind, values in both.items()
    ]
    lines.append(
        f"{options.out}: {found['samples']} samples in {found['unit']}; table, scores and picture there"
    )
    return Shown({**found, "out": options.out}, lines, found["notes"])
