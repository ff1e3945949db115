"""The work behind `obsnet osse`: scenarios to twins to table, JSON and map."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from inversion.problem.problem import Problem
from inversion.study.options import DesignOptions, OsseOptions, ScenarioOptions
from inversion.study.osse import Twins, run_twins
from inversion.study.world import NATIONAL, Study, StudyWorld, study_of_case
from obsnet.atomic import atomic_path, write_text
from obsnet.errors import ConfigError, nearest
from obsnet.regions import REST

__all__ = ["case_study", "run_osse", "select_observations", "table_text", "write_observations"]

Report = Callable[[str], None]
# Useful for inversion fluxes of regions of 100-1000 km, a year: GCOS product table (NOAA NCEI).
REQUIREMENT = 0.30


def run_osse(
    options: OsseOptions, case: dict[str, Any], folder: Path, out: Path, report: Report = lambda _line: None
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
    scenarios, regions, pictures, notes = [], [], [], []
    for scenario, study in _studies(options, case, folder, out, report):
        report(f"{scenario.name}: {study.problem.n_obs} observations x {study.problem.n_state} unknowns")
        twins = _twins(options, study)
        row, rows = _rows(scenario.name, study, twins)
        scenarios.append(row)
        regions += rows
        pictures.append((scenario.name, study, twins.reduction))
        notes += [n for n in study.notes if n not in notes]
        report(
            f"{scenario.name}: {row['inside_95']:.1%} of true fluxes inside their 95 % interval; "
            f"mean error reduction of regions {row['mean_reduction']:.0%}"
        )
    from inversion.study.maps import scenario_picture

    base = out / options.out
    summary = {
        "scenarios": scenarios,
        "regions": regions,
        "twins": options.twins,
        "assumptions": notes,
        "true_prior_factor": options.true_prior_factor,
        "true_error_factor": options.true_error_factor,
        "bias": options.bias,
    }
    written = [
        _write(base, "_scenarios.csv", table_text(scenarios)),
        _write(base, "_regions.csv", table_text(regions)),
    ]
    picture = base.with_name(f"{base.name}.png")
    with atomic_path(picture) as temporary:
        temporary.write_bytes(scenario_picture(pictures))
    text = json.dumps(summary, indent=1, ensure_ascii=False, allow_nan=False, default=float)
    return [*written, picture, _write(base, ".json", text + "\n")], summary


def _studies(
    options: OsseOptions, case: dict[str, Any], folder: Path, out: Path, report: Report
) -> Iterable[tuple[ScenarioOptions, Study]]:
    if options.world is not None:
        _check_bias(options, {Path(n).stem for s in options.scenario for n in s.networks}, "network")
        world = StudyWorld(options.world)
        for scenario in options.scenario:
            yield scenario, world.study(scenario.networks, folder)
        return
    study = case_study(options, case, folder, out, report)
    _check_bias(options, set(study.problem.labels("source").astype(str)), "source")
    for scenario in options.scenario:
        problem = select_observations(study.problem, scenario.keep, scenario.drop, scenario.name)
        seen = set(problem.groups["platform"].astype(str))
        places = {k: v for k, v in study.positions.items() if k in seen}
        yield scenario, replace(study, problem=problem, positions=places)


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
    from inversion.study.virtual import write_virtual

    if options.world is None:
        raise ConfigError(
            "virtual observations are made by the networks of [osse.world]; there is no such table"
        )
    names = [name for scenario in options.scenario for name in scenario.networks]
    made, _ = StudyWorld(options.world).observe(names, folder)
    return write_virtual(made, options.world.species, store)


def _check_bias(options: OsseOptions, known: set[str], what: str) -> None:
    for label in options.bias:
        if label not in known:
            raise ConfigError(f"[osse.bias] there is no {what} {label!r}{nearest(label, known)}")


def case_study(
    options: OsseOptions | DesignOptions, case: dict[str, Any], folder: Path, out: Path, report: Report
) -> Study:
    """Return the study of a case's ``[invert]``.

    Parameters
    ----------
    options : OsseOptions or DesignOptions
        May name another case file; its inputs are then beside that file and in its run's folder.
    case, folder, out, report
        See `run_osse`.

    Raises
    ------
    ConfigError
        There is neither a world nor a table ``[invert]``.
    """
    from inversion.case.options import InvertOptions
    from obsnet.config import out_folder, read_toml, validate

    where = "[invert]"
    if options.case is not None:
        path = folder / options.case
        case, folder, where = read_toml(path), path.resolve().parent, f"{path.name} [invert]"
        out = out_folder(case, folder)
    if "invert" not in case:
        table = "osse" if isinstance(options, OsseOptions) else "design"
        raise ConfigError(
            f"there is no table [invert] with footprints{f' in {options.case}' if options.case else ''}: add it, name "
            f"another case file ({table}.case), or give an idealised world [{table}.world]"
        )
    return study_of_case(validate(InvertOptions, case["invert"], where), folder, out, options.sector, report)


def select_observations(
    problem: Problem, keep: dict[str, list[str]], drop: dict[str, list[str]], name: str
) -> Problem:
    """Return the problem of the observations whose labels are kept and not dropped.

    Raises
    ------
    ConfigError
        A label that no observation has, or nothing is left.
    """
    rows = np.ones(problem.n_obs, dtype=bool)
    for wanted, choice in ((True, keep), (False, drop)):
        for group, labels in choice.items():
            have = problem.labels(group).astype(str)
            for label in labels:
                if label not in have:
                    raise ConfigError(
                        f"scenario {name!r}: no observation has {group} {label!r}{nearest(label, set(have))}"
                    )
            rows &= np.isin(have, labels) == wanted
    if not rows.any():
        raise ConfigError(f"scenario {name!r} leaves no observation")
    return problem if rows.all() else problem.select(rows)


def _twins(options: OsseOptions, study: Study) -> Twins:
    problem = study.problem
    bias = np.zeros(problem.n_obs)
    for label, value in options.bias.items():
        group = "network" if "network" in problem.groups else "source"
        at = problem.labels(group).astype(str) == label
        bias[at] = value
    return run_twins(
        problem,
        study.weights,
        twins=options.twins,
        seed=options.seed,
        method=options.method,
        true_prior_error=problem.prior_error.scaled(options.true_prior_factor**2),
        true_observation_error=problem.observation_error.scaled(options.true_error_factor**2),
        bias=bias,
    )


def _rows(name: str, study: Study, twins: Twins) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    """Return the scenario's line and one line a region."""
    reduction, covered = twins.reduction, twins.coverage()
    rows = []
    for i, region in enumerate(study.regions):
        uncertain = bool(twins.prior_deviation[i] > 0.0)
        sd = float(twins.posterior_deviation[i])
        row: dict[str, Any] = {
            "scenario": name,
            "region": region,
            "name": study.names.get(region, region),
            "prior_sd": float(twins.prior_deviation[i]),
            "posterior_sd": sd,
            "unit": "Mt a-1",
            "reduction": float(reduction[i]),
            "inside_68": covered[i].inside_68 if uncertain else None,
            "inside_95": covered[i].inside_95 if uncertain else None,
            "chi_square": covered[i].chi_square if uncertain else None,
            "bias": covered[i].bias if uncertain else None,
            "coverage": covered[i].verdict if uncertain else "known beforehand",
        }
        if study.prior_total is not None:
            total = abs(float(study.prior_total[i]))
            row["relative_sd"] = sd / total if total > 0.0 else None
            row["meets_30_percent"] = bool(total > 0.0 and sd / total <= REQUIREMENT)
        rows.append(row)
    chi = twins.innovation_chi_square
    known = [r for r in rows if r["coverage"] != "known beforehand"]
    parts = [r for r in known if r["region"] not in {NATIONAL, *REST}]
    national = next((r for r in rows if r["region"] == "national"), None)
    line = {
        "scenario": name,
        "observations": study.problem.n_obs,
        "unknowns": study.problem.n_state,
        "national_prior_sd": None if national is None else national["prior_sd"],
        "national_sd": None if national is None else national["posterior_sd"],
        "national_reduction": None if national is None else national["reduction"],
        "unit": "Mt a-1",
        "mean_reduction": float(np.mean([r["reduction"] for r in parts])) if parts else 0.0,
        "inside_68": twins.state_inside[0.68],
        "inside_95": twins.state_inside[0.95],
        "chi_square": twins.state_chi_square,
        "innovation_chi_square": None if chi is None else float(np.mean(chi)),
        "regions_as_stated": sum(r["coverage"] == "as stated" for r in known),
        "regions": len(known),
    }
    return line, rows


def table_text(rows: Sequence[dict[str, Any]]) -> str:
    """Return rows as CSV; numbers with six digits, nothing where there is no value."""
    buffer = io.StringIO()
    writer = csv.DictWriter(buffer, list(rows[0]), lineterminator="\n")
    writer.writeheader()
    for row in rows:
        writer.writerow({k: f"{v:.6g}" if isinstance(v, float) else v for k, v in row.items()})
    return buffer.getvalue()


def _write(base: Path, ending: str, text: str) -> Path:
    path = base.with_name(base.name + ending)
    write_text(path, text)
    return path
