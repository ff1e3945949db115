"""The work behind `obsnet osse`: scenarios to twins to table, JSON and map."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from inversion.study.designs.ties import mean_covariance, ranks
from inversion.study.options import OsseOptions
from inversion.study.osse.scenarios import ScenarioResult, ScenarioTask, check_bias, run_scenarios
from inversion.study.words import table_text
from inversion.study.worlds.world import StudyWorld
from obsnet.atomic import atomic_path, write_text
from obsnet.errors import ConfigError
from obsnet.language import Language
from obsnet.typing import Floats
from obsnet.work.kept import map_ordered
from obsnet.work.work import Work

__all__ = ["run_osse", "write_observations"]

Report = Callable[[str], None]


def run_osse(
    options: OsseOptions,
    case: dict[str, Any],
    folder: Path,
    out: Path,
    report: Report = lambda _line: None,
    language: Language = "en",
    work: Work | None = None,
) -> tuple[list[Path], dict[str, Any]]:
    """Run the twin experiments of all scenarios.

    Parameters
    ----------
    options : OsseOptions
        The table ``[osse]``.
    case : dict
        The whole case; its table ``[invert]`` is used where there is no idealised world.
    folder, out : Path
        Of the case and of the run.
    report : callable
        Takes lines for people.
    language : {"en", "zh"}
        Of names, headings and pictures.
    work : Work, optional
        Where scenarios are worked on beside each other; each worker needs the memory of a whole study. By default one
        after the other in this process, whose algebra uses all cores.

    Returns
    -------
    list of Path, dict
        What was written (``<out>.json``, ``<out>_scenarios.csv``, ``<out>_regions.csv``, ``<out>.png``), and the
        contents of the JSON.

    Raises
    ------
    ObsnetError
        Whatever is wrong with options or inputs.
    """
    if work is not None:
        work.refuse_shard("scenarios are ranked together")
    if options.world is not None:
        check_bias(options, {Path(n).stem for s in options.scenario for n in s.networks}, "network")
    found = _run_all(ScenarioTask(options, case, folder, out, language), report, work)
    scenarios, regions = found.scenarios, found.regions
    from inversion.study.designs.maps import scenario_picture, truth_picture

    _rank(scenarios, found.squares)
    base = out / options.out
    summary = {
        "scenarios": scenarios,
        "regions": regions,
        "twins": options.twins,
        "assumptions": found.notes,
        "true_prior_factor": options.true_prior_factor,
        "true_error_factor": options.true_error_factor,
        "bias": options.bias,
        "truths": [t.model_dump() for t in options.truth],
    }
    written = [
        _write(base, "_scenarios.csv", table_text(scenarios, language)),
        _write(base, "_regions.csv", table_text(regions, language)),
    ]
    drawn = {".png": scenario_picture(found.pictures, language, scenarios)}
    if options.truth:
        drawn["_truths.png"] = truth_picture(scenarios, language)
    for ending, picture in drawn.items():
        with atomic_path(base.with_name(base.name + ending)) as temporary:
            temporary.write_bytes(picture)
        written.append(base.with_name(base.name + ending))
    text = json.dumps(summary, indent=1, ensure_ascii=False, allow_nan=False, default=float)
    return [*written, _write(base, ".json", text + "\n")], summary


def _run_all(task: ScenarioTask, report: Report, work: Work | None) -> ScenarioResult:
    """Run all scenarios here, or each where there is a worker; in their order either way."""
    if work is None or (work.scheduler in ("auto", "serial", "array") and work.address is None):
        return run_scenarios(task, report)
    one_each = [
        replace(task, options=task.options.model_copy(update={"scenario": [s]}))
        for s in task.options.scenario
    ]
    whole = ScenarioResult()
    for part in map_ordered(run_scenarios, one_each, work, what="scenarios"):
        whole += part
    for line in whole.said:
        report(line)
    return whole


def write_observations(options: OsseOptions, folder: Path, store: Path) -> dict[str, int]:
    """Write what all networks of all scenarios would observe into a new store.

    Parameters
    ----------
    options : OsseOptions
        With an idealised world: its domain and time are used.
    folder : Path
        Of the case.
    store : Path
        A folder that does not exist.

    Returns
    -------
    dict of str to int
        Observations by source.

    Raises
    ------
    ConfigError
        No world, or the store exists.
    """
    from inversion.study.worlds.virtual import write_virtual

    if options.world is None:
        raise ConfigError(
            "virtual observations are made by the networks of [osse.world]; there is no such table"
        )
    names = [name for scenario in options.scenario for name in scenario.networks]
    made, _ = StudyWorld(options.world).observe(names, folder)
    return write_virtual(made, options.world.species, store)


def _rank(scenarios: list[dict[str, Any]], squares: list[Floats]) -> None:
    """Give scenarios of the same truth their rank by true error; a tie where that many twins do not tell them apart."""
    for truth in dict.fromkeys(row["truth"] for row in scenarios):
        rows = [row for row in scenarios if row["truth"] == truth]
        drawn = np.array([s for row, s in zip(scenarios, squares, strict=True) if row["truth"] == truth])
        for row, rank in zip(rows, ranks(drawn.mean(axis=1), mean_covariance(drawn)), strict=True):
            row["rank"] = rank
        for row in rows:
            others = [r["scenario"] for r in rows if r["rank"] == row["rank"] and r is not row]
            row["ties"] = ", ".join(others)


def _write(base: Path, ending: str, text: str) -> Path:
    path = base.with_name(base.name + ending)
    write_text(path, text)
    return path
