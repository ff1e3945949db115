"""One scenario of an OSSE with all its truths: twin experiments to rows of tables, wherever there is a worker."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Self

import numpy as np

from inversion.operators.covariance import BlockDiagonalCovariance
from inversion.problem.problem import Problem
from inversion.study.case_study import case_study, chosen_rows
from inversion.study.designs.maps import Drawn
from inversion.study.options import OsseOptions, PatternOptions, ScenarioOptions, TruthOptions
from inversion.study.osse.osse import Twins, run_twins
from inversion.study.osse.pattern import pattern_error
from inversion.study.study import Study
from inversion.study.words import ASSUMED, NATIONAL
from inversion.study.worlds.world import StudyWorld
from obsnet.errors import ConfigError, nearest
from obsnet.language import Language
from obsnet.typing import Floats

__all__ = ["REQUIREMENT", "ScenarioResult", "ScenarioTask", "check_bias", "run_scenarios"]

Report = Callable[[str], None]
# Useful for inversion fluxes of regions of 100-1000 km, a year: GCOS product table (NOAA NCEI).
REQUIREMENT = 0.30


@dataclass(frozen=True, eq=False)
class ScenarioTask:
    """Some of the scenarios of an OSSE; what they share is read or made once for all of them.

    Parameters
    ----------
    options : OsseOptions
        With these scenarios only.
    case, folder, out, language
        As of `inversion.study.osse.run_osse.run_osse`.
    """

    options: OsseOptions
    case: dict[str, Any]
    folder: Path
    out: Path
    language: Language

    def __str__(self) -> str:
        return ", ".join(s.name for s in self.options.scenario)


@dataclass(frozen=True, eq=False)
class ScenarioResult:
    """What came of scenarios.

    Parameters
    ----------
    scenarios, regions : list of dict
        Rows of the tables, one a scenario and truth, and one a region of each.
    squares : list of ndarray, shape (twins,)
        What scenarios are ranked by.
    pictures : list of Drawn
        Of each scenario as assumed.
    notes : list of str
        Assumptions.
    said : list of str
        Lines for people.
    """

    scenarios: list[dict[str, Any]] = field(default_factory=list)
    regions: list[dict[str, Any]] = field(default_factory=list)
    squares: list[Floats] = field(default_factory=list)
    pictures: list[Drawn] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    said: list[str] = field(default_factory=list)

    def __iadd__(self, other: ScenarioResult) -> Self:
        """Add what came of further scenarios; notes and lines that are there already are not repeated."""
        for name in ("scenarios", "regions", "squares", "pictures"):
            getattr(self, name).extend(getattr(other, name))
        for name in ("notes", "said"):
            own = getattr(self, name)
            own.extend(line for line in getattr(other, name) if line not in own)
        return self


def run_scenarios(task: ScenarioTask, report: Report | None = None) -> ScenarioResult:
    """Run the twin experiments of some scenarios.

    Parameters
    ----------
    task : ScenarioTask
    report : callable, optional
        Takes lines for people as they come; by default they are in the result.
    """
    options, made = task.options, ScenarioResult()
    say = made.said.append if report is None else report
    for scenario, truth, study, true in _studies(options, task.case, task.folder, task.out, say):
        what = scenario.name if truth is None else f"{scenario.name}, {truth.name}"
        say(f"{what}: {study.problem.n_obs} observations x {study.problem.n_state} unknowns")
        hidden = [] if truth is None else [_pattern(one, study, task.folder) for one in truth.pattern]
        twins = _twins(options, study, true, sum(hidden, np.zeros(study.problem.n_obs)), say)
        named = study.called(task.language)
        row, rows = _lines(scenario.name, ASSUMED if truth is None else truth.name, named, twins)
        made.scenarios.append(row)
        made.squares.append(_squares(study, twins))
        made.regions.extend(rows)
        if truth is None:
            made.pictures.append(Drawn(scenario.name, study.regions, study.positions, twins.reduction))
        made.notes.extend(n for n in study.notes if n not in made.notes)
        national = (
            ""
            if row["national_sd"] is None
            else (
                f"China ± {row['national_sd']:.4g} stated, ± {row['national_true_sd']:.4g} true {row['unit']}; "
            )
        )
        say(
            f"{what}: {national}{row['totals_inside_95']:.1%} of true totals inside their 95 % interval; mean error "
            f"reduction of regions {row['mean_reduction']:.0%}"
        )
    return made


def _studies(
    options: OsseOptions, case: dict[str, Any], folder: Path, out: Path, report: Report
) -> Iterable[tuple[ScenarioOptions, TruthOptions | None, Study, Study]]:
    """Yield each scenario with each truth: what the inversion assumes, and what truths are drawn from."""
    if options.world is not None:
        world = StudyWorld(options.world)
        worlds = [(truth, world.changed(truth.set)) for truth in options.truth]
        for scenario in options.scenario:
            study = world.study(scenario.networks, folder)
            yield scenario, None, study, study
            for truth, other in worlds:
                yield scenario, truth, study, other.study(scenario.networks, folder, truth.missing)
        return
    study = case_study(options, case, folder, out, report)
    check_bias(options, set(study.listed), "source")
    others = [(t, case_study(options, case, folder, out, report, t.set)) for t in options.truth]
    for truth, changed in others:
        if not np.array_equal(changed.problem.obs_id, study.problem.obs_id):
            raise ConfigError(
                f"truth {truth.name!r} uses other observations than the case: truths share them"
            )
    for scenario in options.scenario:
        rows = chosen_rows(study.problem, scenario.keep, scenario.drop, scenario.name)
        part = study.select(rows)
        yield scenario, None, part, part
        for truth, changed in others:
            yield scenario, truth, part, changed.select(rows)


def check_bias(options: OsseOptions, known: set[str], what: str) -> None:
    """Refuse biases of networks or sources that are not there."""
    named = [("[osse.bias]", label) for label in options.bias]
    named += [("[osse.truth.pattern] of:", k) for t in options.truth for one in t.pattern for k in one.of]
    for where, label in named:
        if label not in known:
            raise ConfigError(f"{where} there is no {what} {label!r}{nearest(label, known)}")


def _pattern(options: PatternOptions, study: Study, folder: Path) -> Floats:
    """Return the bias of the observations that follows a field."""
    rows = study.observed["kind"].to_numpy(zero_copy_only=False).astype(str) == "column"
    if options.of:
        none = np.zeros(rows.size, dtype=bool)
        rows = np.any([none, *(study.listed[k] for k in options.of if k in study.listed)], axis=0)
    return pattern_error(options, study.observed, rows, folder)


def _twins(options: OsseOptions, study: Study, true: Study, hidden: Floats, report: Report) -> Twins:
    problem = study.problem
    bias = hidden.copy()
    for label, value in options.bias.items():
        if label in study.listed:
            bias[study.listed[label]] += value
    truth = _scaled(true.problem, options.true_prior_factor**2, options.true_error_factor**2)
    twins = run_twins(
        problem,
        study.weights,
        twins=options.twins,
        seed=options.seed,
        posterior=study.solve(problem, options.method, report=report),
        truth=truth,
        true_weights=true.weights,
        bias=bias,
    )
    return twins if study.spread is None else twins.with_spread(study.spread)


def _squares(study: Study, twins: Twins) -> Floats:
    """Return what scenarios are ranked by, in each twin: China's squared error, else the regions' over the prior's."""
    error = (twins.estimate - twins.truth) ** 2
    if NATIONAL in study.regions:
        return np.asarray(error[study.regions.index(NATIONAL)])
    known = twins.prior_deviation > 0.0
    return np.asarray(np.mean(error[known] / twins.prior_deviation[known, None] ** 2, axis=0))


def _scaled(problem: Problem, prior: float, error: float) -> Problem:
    """Return a problem with other variances; errors that observations share are unknowns, and errors all the same."""
    assert problem.state is not None
    assert isinstance(problem.prior_error, BlockDiagonalCovariance)
    blocks = [
        covariance.scaled(error if block.kind == "offset" else prior)
        for block, covariance in zip(problem.state.blocks, problem.prior_error.blocks, strict=True)
    ]
    return problem.with_(
        prior_error=BlockDiagonalCovariance(blocks),
        observation_error=problem.observation_error.scaled(error),
    )


def _lines(
    scenario: str, truth: str, study: Study, twins: Twins
) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    """Return the scenario's line and one line a region."""
    reduction, covered = twins.reduction, twins.coverage()
    rows = []
    for i, region in enumerate(study.regions):
        uncertain = bool(twins.prior_deviation[i] > 0.0)
        sd = float(twins.posterior_deviation[i])
        row: dict[str, Any] = {
            "scenario": scenario,
            "truth": truth,
            "region": region,
            "name": study.names.get(region, region),
            "prior_sd": float(twins.prior_deviation[i]),
            "posterior_sd": sd,
            "true_sd": float(twins.true_deviation[i]),
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
    national = next((r for r in rows if r["region"] == NATIONAL), None)
    line = {
        "scenario": scenario,
        "truth": truth,
        "observations": study.problem.n_obs,
        "national_prior_sd": None if national is None else national["prior_sd"],
        "national_sd": None if national is None else national["posterior_sd"],
        "national_true_sd": None if national is None else national["true_sd"],
        "national_inside_95": None if national is None else national["inside_95"],
        "national_reduction": None if national is None else national["reduction"],
        "unit": "Mt a-1",
        "dofs": twins.dofs,
        "mean_reduction": study.mean_reduction(reduction, twins.prior_deviation),
        "totals_inside_95": float(np.mean([r["inside_95"] for r in known])) if known else None,
        "inside_68": twins.state_inside[0.68],
        "inside_95": twins.state_inside[0.95],
        "chi_square": twins.state_chi_square,
        "innovation_chi_square": None if chi is None else float(np.mean(chi)),
        "regions_as_stated": sum(r["coverage"] == "as stated" for r in known),
        "regions": len(known),
    }
    return line, rows
