"""The pipeline stage ``[invert]``."""

from __future__ import annotations

import sys
from collections.abc import Iterable
from pathlib import Path

from inversion.case.options import InvertOptions
from obsnet.pipeline import Case, Stage, StageResult

__all__ = ["STAGE"]


def _run(options: InvertOptions, case: Case) -> StageResult:
    from inversion.case.run import run_invert

    written, summary = run_invert(options, case.folder, case.out, lambda line: print(line, file=sys.stderr))
    return StageResult(tuple(written), summary, failed=len(summary.get("damaged", ())))


def _inputs(options: InvertOptions, case: Case) -> Iterable[Path]:
    """Files outside the run's folder; what earlier stages made is known by their own marks."""
    if options.foreign is not None:
        from obsnet.config import resolve_files

        return resolve_files(options.foreign.files, case.folder)
    found: list[Path] = []
    for name in (options.store, options.footprints, options.prior, options.regions, options.shares.points):
        if name is None or (case.out / name).exists():
            continue
        path = Path(name) if Path(name).is_absolute() else case.folder / name
        found += [p for p in path.rglob("*") if p.is_file()] if path.is_dir() else [path] * path.exists()
    return found


STAGE = Stage(
    "invert", InvertOptions, _run, needs=("ingest", "superobs", "stations", "footprints"), inputs=_inputs
)
