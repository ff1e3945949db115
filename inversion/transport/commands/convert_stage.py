"""The pipeline stage ``[convert]``: ready footprints of other models."""

from __future__ import annotations

import sys
from collections.abc import Iterable
from pathlib import Path

from inversion.transport.conversion import VERSION
from inversion.transport.conversion.options import ConvertTable
from obsnet.case_check import SAMPLE
from obsnet.errors import ObsnetError
from obsnet.pipeline import Case, Stage, StageResult, contents_of, inputs_of

__all__ = ["STAGE"]


def _run(options: ConvertTable, case: Case) -> StageResult:
    from inversion.transport.commands.convert import told
    from inversion.transport.conversion.table import convert_table

    contents = contents_of(case)
    found = convert_table(
        options,
        folder=case.folder,
        outputs=case.out,
        work=case.run,
        inputs=inputs_of(case, STAGE, options, contents),
    )
    out = case.out / options.out
    lines, notes = told(found, out)
    for line in [*notes, *lines]:
        print(line, file=sys.stderr)
    parts = tuple(p for kind in ("sensitivity", "background") for p in (out / kind).glob("[!.]*.parquet"))
    summary = {k: found[k] for k in ("files", "receptors", "observations", "unmatched", "notes")}
    return StageResult((out / "meta.json",), files=parts, summary=summary, failed=len(found["failed"]))


def _inputs(options: ConvertTable, case: Case) -> Iterable[Path]:
    from inversion.transport.conversion.table import inputs_of as files_of

    return files_of(options, folder=case.folder, outputs=case.out)


def _check(options: ConvertTable, case: Case, _before: tuple[str, ...]) -> Iterable[str | ObsnetError]:
    from inversion.transport.conversion.table import look

    return look(options, folder=case.folder, outputs=case.out, most=SAMPLE)


STAGE = Stage(
    "convert",
    ConvertTable,
    _run,
    needs=("ingest", "superobs", "stations"),
    inputs=_inputs,
    check=_check,
    version=VERSION,
)
