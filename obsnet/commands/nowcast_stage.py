"""The pipeline stage ``[nowcast]``."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from obsnet.case_check import later
from obsnet.config import resolve_files
from obsnet.errors import ObsnetError
from obsnet.nowcast.options import ForecastOptions, NowcastTable, PowerOptions, RapidOptions
from obsnet.pipeline import Case, Stage, StageResult
from obsnet.report.options import nowcast_folder

__all__ = ["STAGE"]

_Asked = RapidOptions | PowerOptions | ForecastOptions


def _in_case(kind: str, options: _Asked, case: Case) -> _Asked:
    """Return the options with every file where the case has it; patterns are written out, ``DATE=`` stays."""
    inventories = []
    for text in options.inventories:
        date, equals, pattern = text.rpartition("=")
        inventories += [f"{date}{equals}{path}" for path in resolve_files([pattern], case.folder)]
    found: dict[str, object] = {
        "inventories": inventories,
        "indicators": resolve_files(options.indicators, case.folder),
        "out": case.out / (options.out or nowcast_folder(kind)),
    }
    if "seed" not in options.model_fields_set:
        found["seed"] = case.run.seed
    if isinstance(options, RapidOptions):
        found["atmosphere"] = [case.find(str(path)) for path in options.atmosphere]
    elif isinstance(options, ForecastOptions):
        found["scenario"] = resolve_files(options.scenario, case.folder)
    else:
        found["flux"] = None if options.flux is None else case.find(str(options.flux))
        found["profiles"] = None if options.profiles is None else case.beside(str(options.profiles))
        found["shaped"] = None if options.shaped is None else case.out / options.shaped
    return options.model_copy(update=found)


def _made_earlier(options: _Asked) -> list[Path]:
    """Return what an earlier stage may make: posteriors, the flux that the shape is put on."""
    if isinstance(options, RapidOptions):
        return list(options.atmosphere)
    return [options.flux] if isinstance(options, PowerOptions) and options.flux is not None else []


def _inputs(table: NowcastTable, case: Case) -> Iterable[Path]:
    for kind, asked in table.asked().items():
        options = _in_case(kind, asked, case)
        yield from (Path(text.rpartition("=")[2]) for text in options.inventories)
        yield from options.indicators
        yield from _made_earlier(options)
        if isinstance(options, ForecastOptions):
            yield from options.scenario
        elif isinstance(options, PowerOptions) and options.profiles is not None:
            yield options.profiles


def _run(table: NowcastTable, case: Case) -> StageResult:
    from obsnet.nowcast.run import run_forecast, run_power, run_rapid

    written: list[Path] = []
    said: dict[str, object] = {}
    for kind, asked in table.asked().items():
        options = _in_case(kind, asked, case)
        if isinstance(options, RapidOptions):
            shown = run_rapid(options)
        elif isinstance(options, PowerOptions):
            shown = run_power(options)
            written += [] if options.shaped is None else [options.shaped]
        else:
            shown = run_forecast(options)
        written += [Path(name) for name in shown.data["written"]]
        said[kind] = {"statements": shown.data["statements"], "notes": shown.data["notes"]}
    return StageResult(tuple(written), summary=said)


def _check(table: NowcastTable, case: Case, before: tuple[str, ...]) -> Iterable[str | ObsnetError]:
    from obsnet.nowcast.run import history_of, indicators_of

    for kind, asked in table.asked().items():
        options = _in_case(kind, asked, case)
        for category in options.category:
            known = history_of(options, category).at()
            yield f"{kind}: {category} of {len(known.regions)} regions, {known.years[0]}-{known.last}"
        indicators = indicators_of(options, options.indicators)
        if indicators is not None:
            yield f"{kind}: {', '.join(indicators.names)}"
        for path in _made_earlier(options):
            if not path.exists():
                yield later(path, before)


STAGE = Stage(
    "nowcast",
    options=NowcastTable,
    run=_run,
    needs=("invert",),
    inputs=_inputs,
    tables=("obsnet.inventory:tables",),
    check=_check,
)
