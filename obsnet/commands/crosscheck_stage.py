"""The pipeline stage ``[crosscheck]``."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from obsnet.crosscheck.options import CrosscheckTable
from obsnet.pipeline import Case, Stage, StageResult

__all__ = ["STAGE"]

VERSION = 2  # 2: masses such as 10⁴ t and tons of an inventory weigh what they say


def _inputs(options: CrosscheckTable, case: Case) -> Iterable[Path]:
    return [case.out / options.posterior, case.beside(options.inventory)]


def _run(options: CrosscheckTable, case: Case) -> StageResult:
    from obsnet.crosscheck.run import crosscheck_files

    path = case.beside(options.inventory)
    inventory = path if path.exists() else options.inventory
    out = case.out / options.out
    table = crosscheck_files(case.out / options.posterior, inventory, options, out)
    return StageResult(
        (out,), summary={"verdicts": dict(zip(table["region"], table["verdict"], strict=True))}
    )


STAGE = Stage(
    "crosscheck",
    options=CrosscheckTable,
    run=_run,
    needs=("invert",),
    inputs=_inputs,
    version=VERSION,
    tables=("obsnet.inventory:tables",),
)
