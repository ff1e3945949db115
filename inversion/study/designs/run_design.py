"""The work behind `obsnet design`: candidates to ranking, greedy choice, table, JSON and map."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from inversion.solvers.choose import solve
from inversion.study.case_study import case_study
from inversion.study.designs.design import Design, choose_network
from inversion.study.designs.ties import gain_covariance, ranks
from inversion.study.options import DesignOptions
from inversion.study.study import Study
from inversion.study.words import table_text
from inversion.study.worlds.world import StudyWorld
from obsnet.atomic import atomic_path, write_text
from obsnet.errors import ConfigError, nearest
from obsnet.language import Language
from obsnet.typing import Floats

__all__ = ["run_design"]

Report = Callable[[str], None]


def run_design(
    options: DesignOptions,
    case: dict[str, Any],
    folder: Path,
    out: Path,
    report: Report = lambda _line: None,
    language: Language = "en",
) -> tuple[list[Path], dict[str, Any]]:
    """Rank candidates and choose among them.

    Parameters
    ----------
    options : DesignOptions
        The table ``[design]``.
    case : dict
        The whole case; its table ``[invert]`` is used where there is no idealised world.
    folder, out : Path
        Of the case and of the run.
    report : callable
        Takes lines for people.
    language : {"en", "zh"}
        Of names, headings and picture.

    Returns
    -------
    list of Path, dict
        What was written (``<out>.json``, ``<out>_ranking.csv``, ``<out>_choice.csv``, ``<out>.png``), and the
        contents of the JSON.

    Raises
    ------
    ObsnetError
        Whatever is wrong with options or inputs.
    """
    study, existing = _study(options, case, folder, out, report)
    study = study.called(language)
    beside = _beside(study)
    for line in beside:
        report(line)
    report(
        f"{study.problem.n_obs} observations x {study.problem.n_state} unknowns, {len(existing)} candidates there"
    )
    design = choose_network(
        study.problem,
        options.by,
        options.count,
        weights=study.weights,
        criterion=options.criterion,
        existing=existing,
        importance=_importance(options, study),
        report=report,
    )
    if len(design.chosen) < options.count:
        beside.append(f"{options.count} were asked for, {len(design.chosen)} candidates could be added")
        report(beside[-1])
    covariance = gain_covariance(
        study.problem,
        options.by,
        [g.label for g in design.ranking],
        weights=study.weights,
        criterion=options.criterion,
        existing=existing,
        importance=_importance(options, study),
    )
    from inversion.study.designs.maps import design_picture

    ranking, choice, regions = (
        _ranking(study, design, covariance),
        _choice(study, design),
        _regions(study, design),
    )
    tied = [r["candidate"] for r in ranking if r["rank"] == "1="]
    summary = {
        "criterion": options.criterion,
        "by": options.by,
        "existing": existing,
        "chosen": design.chosen,
        "choice": choice,
        "ranking": ranking,
        "tied_first": tied,
        "ties_by": None if covariance is None else "what stretches of the period take away when left out",
        "regions": regions,
        "assumptions": [*study.notes, *beside],
    }
    base = out / options.out
    paths = {
        k: base.with_name(base.name + k)
        for k in ("_ranking.csv", "_choice.csv", "_regions.csv", ".png", ".json")
    }
    write_text(paths["_ranking.csv"], table_text(ranking or [{"candidate": ""}], language))
    write_text(paths["_choice.csv"], table_text(choice, language))
    write_text(paths["_regions.csv"], table_text(regions, language))
    with atomic_path(paths[".png"]) as temporary:
        temporary.write_bytes(design_picture(study, design, existing, tied, language))
    text = json.dumps(summary, indent=1, ensure_ascii=False, allow_nan=False, default=float)
    write_text(paths[".json"], text + "\n")
    return list(paths.values()), summary


def _study(
    options: DesignOptions, case: dict[str, Any], folder: Path, out: Path, report: Report
) -> tuple[Study, list[str]]:
    """Return the study and the labels of what is there."""
    if options.world is None:
        return case_study(options, case, folder, out, report), list(options.existing)
    study = StudyWorld(options.world).study([*options.existing_networks, *options.candidate_networks], folder)
    labels = study.problem.labels(options.by).astype(str)
    there = np.isin(
        study.problem.labels("network").astype(str), [Path(n).stem for n in options.existing_networks]
    )
    return study, [*sorted(set(labels[there])), *options.existing]


def _beside(study: Study) -> list[str]:
    """Return what ``obsnet invert`` would do of this case and a design does not."""
    found = []
    if study.solve is not solve:
        found.append(
            "candidates are chosen in cells: [invert.basis] is not used here, unlike in osse and invert"
        )
    if study.spread is not None:
        found.append("the spread of [invert.ensemble] is not part of a design, unlike in osse and invert")
    return found


def _importance(options: DesignOptions, study: Study) -> np.ndarray | None:
    if not options.target:
        return None
    for key in options.target:
        if key not in study.regions:
            raise ConfigError(f"[design.target] no region {key!r}{nearest(key, study.regions)}")
    return np.array([options.target.get(r, 0.0) for r in study.regions])


def _ranking(study: Study, design: Design, covariance: Floats | None) -> list[dict[str, Any]]:
    """Return one line a candidate: what it alone would add to what is there, and its rank, with ties."""
    start = design.steps[0].covariance
    gains = np.array([getattr(g, design.criterion) for g in design.ranking])
    known = np.zeros((gains.size, gains.size)) if covariance is None else covariance
    rows = []
    for gain, rank in zip(design.ranking, ranks(-gains, known), strict=True):
        place = study.positions.get(gain.label)
        before = np.sqrt(np.maximum(np.diagonal(start), 0.0))
        after = np.sqrt(np.maximum(np.diagonal(start) - gain.variance, 0.0))
        share = np.where(before > 0.0, 1.0 - after / np.where(before > 0.0, before, 1.0), 0.0)
        best = int(np.argmax(share))
        rows.append(
            {
                "rank": rank,
                "candidate": gain.label,
                "latitude": None if place is None else place[0],
                "longitude": None if place is None else place[1],
                "observations": gain.observations,
                "information_nats": gain.information,
                "dofs": gain.dofs,
                "target": gain.target,
                "most_for": study.names.get(study.regions[best], study.regions[best]),
                "reduction_there": float(share[best]),
            }
        )
    return rows


def _choice(study: Study, design: Design) -> list[dict[str, Any]]:
    """Return one line a step: the network so far by all criteria."""
    rows, prior_sd = [], np.sqrt(np.maximum(np.diagonal(design.prior), 0.0))
    for number, step in enumerate(design.steps):
        place = study.positions.get(step.label)
        row: dict[str, Any] = {
            "number": number,
            "added": step.label or "existing",
            "latitude": None if place is None else place[0],
            "longitude": None if place is None else place[1],
            "information_nats": step.information,
            "dofs": step.dofs,
            "target": step.target,
            "mean_reduction": study.mean_reduction(design.reduction(number), prior_sd),
        }
        if "national" in study.regions:
            row["national_sd"] = float(step.deviation[study.regions.index("national")])
            row["unit"] = "Mt a-1"
        rows.append(row)
    return rows


def _regions(study: Study, design: Design) -> list[dict[str, Any]]:
    prior = np.sqrt(np.maximum(np.diagonal(design.prior), 0.0))
    first, last = design.steps[0].deviation, design.steps[-1].deviation
    before, after = design.reduction(0), design.reduction()
    return [
        {
            "region": region,
            "name": study.names.get(region, region),
            "prior_sd": float(prior[i]),
            "existing_sd": float(first[i]),
            "chosen_sd": float(last[i]),
            "unit": "Mt a-1",
            "existing_reduction": float(before[i]),
            "chosen_reduction": float(after[i]),
        }
        for i, region in enumerate(study.regions)
    ]
