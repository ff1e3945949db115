"""The pipeline stage ``footprints``."""

from __future__ import annotations

import sys
from collections.abc import Iterable
from pathlib import Path

from inversion.transport.run import VERSION
from inversion.transport.run.options import FootprintOptions
from obsnet.errors import ObsnetError
from obsnet.pipeline import Case, Stage, StageResult

__all__ = ["STAGE"]


def _run(options: FootprintOptions, case: Case) -> StageResult:
    from inversion.transport.run.table import run_table

    found = run_table(
        options,
        folder=case.folder,
        outputs=case.out,
        work=case.run,
        seed=case.run.seed,
        replace=True,
        report=lambda line: print(line, file=sys.stderr),
    )
    summary = {k: found[k] for k in ("receptors", "skipped", "parts", "made", "notes")}
    out = case.out / options.out
    parts = tuple(p for kind in ("sensitivity", "background") for p in (out / kind).glob("[!.]*.parquet"))
    return StageResult((out / "meta.json",), files=parts, summary=summary)


def _inputs(options: FootprintOptions, case: Case) -> Iterable[Path]:
    from inversion.transport.run.table import inputs_of

    return inputs_of(options, folder=case.folder, outputs=case.out)


def _forecast(options: FootprintOptions, case: Case) -> list[str]:
    from inversion.transport.run.table import forecast
    from obsnet.work.parallel import cpu_count

    workers = case.run.workers or cpu_count()
    return forecast(options, folder=case.folder, outputs=case.out, seed=case.run.seed, workers=workers)


def _check(options: FootprintOptions, case: Case, before: tuple[str, ...]) -> Iterable[str | ObsnetError]:
    from inversion.transport.run.table import look

    return look(options, folder=case.folder, outputs=case.out, before=before)


STAGE = Stage(
    "footprints",
    FootprintOptions,
    _run,
    needs=("ingest", "superobs", "stations"),
    inputs=_inputs,
    version=VERSION,
    shards=True,
    forecast=_forecast,
    check=_check,
)
