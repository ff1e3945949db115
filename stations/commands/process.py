"""``obsnet station scale``, ``qc``, ``calibrate``, ``budget``: steps that turn a record into a better one."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from stations.commands.options import File, Json, Out, Scale, Site, Species, load, named_files, notes, save

if TYPE_CHECKING:
    from collections.abc import Callable

    import numpy as np

__all__ = ["budget", "calibrate", "qc", "scale"]

To = Annotated[str, typer.Option(help="Scale to convert to: X2019, TU-87 ...")]
Accept = Annotated[
    bool, typer.Option("--accept-unverified", help="Use conversions whose source is not checked.")
]
Table = Annotated[Path | None, typer.Option(help="A table of scales of your own (TOML).")]
Rules = Annotated[
    str,
    typer.Option(
        help="Rule table: noaa_flask, noaa_mountain_co2, continuous_minutes, continuous_hours, rebs_background, "
        "agage_background, model_plain, model_mountain, or a .toml file."
    ),
]
With = Annotated[
    list[str] | None, typer.Option("--with", help="NAME=FILE: another intake that a rule names.")
]
Met = Annotated[
    Path | None, typer.Option(help="CSV of meteorology to join: time, wind_direction, wind_speed.")
]
Compare = Annotated[bool, typer.Option("--compare", help="Judge blind and compare with the keeper's flags.")]
PlanFile = Annotated[Path, typer.Option("--plan", help="Calibration plan (TOML): valves, tanks, response.")]
Goals = Annotated[Path | None, typer.Option(help="Compatibility goals of your own (TOML).")]
BudgetName = Annotated[
    str, typer.Option("--budget", help="Error budget: a name (record, calibrated) or .toml.")
]


def scale(
    file: File,
    to: To,
    out: Out = None,
    species: Species = None,
    site: Site = None,
    scale_is: Annotated[
        str | None, typer.Option("--scale", help="Scale of the file, where it has none.")
    ] = None,
    accept_unverified: Accept = False,
    table: Table = None,
    as_json: Json = False,
) -> None:
    """Convert a record to another calibration scale, with range guard, uncertainty and provenance."""
    from obsnet.output import emit
    from stations.calibration.scales import convert_scale, route

    record = load(file, species, site, scale_is)
    new = convert_scale(record, to, accept_unverified=accept_unverified, table=table)
    save(new, out)
    steps = route(record.attrs["species"], record.attrs["scale"], to, table)
    usable = new["quality"].values == 0
    result: dict[str, Any] = {
        "from": record.attrs["scale"],
        "to": new.attrs["scale"],
        "rows": int(new.sizes["time"]),
        "usable": int(usable.sum()),
        "mean_change": float((new["value"] - record["value"]).mean()),
        "uncertainty": float(new["uncertainty_systematic"].mean())
        if "uncertainty_systematic" in new
        else 0.0,
        "steps": [
            {"from": s.source_scale, "to": s.target_scale, "source": s.source, "note": s.note} for s in steps
        ],
        "changes": new.attrs["changes"][len(record.attrs.get("changes", [])) :],
    }
    if as_json:
        emit(result)
    else:
        unit = record.attrs["unit"]
        print(
            f"{result['from']} to {result['to']}: {result['rows']} rows, "
            f"mean change {result['mean_change']:+.4f} {unit}"
        )
        for step in result["steps"]:
            print(
                f"  {step['from']} to {step['to']}: {step['source']}"
                + (f"\n  {step['note']}" if step["note"] else "")
            )
    notes(result["changes"])


def qc(
    file: File,
    rules: Rules,
    out: Out = None,
    with_: With = None,
    met: Met = None,
    compare: Compare = False,
    species: Species = None,
    site: Site = None,
    scale: Scale = None,
    as_json: Json = False,
) -> None:
    """Apply a table of quality rules: bits are added, rows never dropped, every rule says how many."""
    from dataclasses import asdict

    from obsnet.output import emit
    from stations.quality.met_join import join_met
    from stations.quality.rules import apply_rules, compare_with_keeper, load_rules, report_lines

    table = load_rules(rules)
    record = load(file, species, site, scale)
    if met is not None:
        record = join_met(record, met)
    others = {name: load(path, record.attrs["species"]) for name, path in named_files(with_ or []).items()}
    if compare:
        found = compare_with_keeper(record, table, others)
        if as_json:
            emit(found)
        else:
            print("\n".join(_confusion(found)))
        return
    judged, reports = apply_rules(record, table, others)
    save(judged, out)
    usable = int((judged["quality"].values == 0).sum())
    if as_json:
        rows = [asdict(r) for r in reports]
        emit(
            {
                "table": table.name,
                "source": table.source,
                "rows": record.sizes["time"],
                "usable": usable,
                "rules": rows,
            }
        )
    else:
        print("\n".join(report_lines(reports)))
        print(f"{usable} of {record.sizes['time']} rows to use")
    notes([table.note] if table.note else [])


def _of_finite(reduce: Callable[[np.ndarray], Any], values: np.ndarray) -> float:
    """Return a mean or a median of the values that are there; NaN where none is."""
    import numpy as np

    finite = values[np.isfinite(values)]
    return float(reduce(finite)) if finite.size else float("nan")


def _confusion(found: dict[str, Any]) -> list[str]:
    """Return a comparison with the keeper for people."""
    lines = [
        f"{'':<24}{'keeper flags':>14}{'keeper keeps':>14}",
        f"{'rules flag':<24}{found['both']:>14}{found['ours_only']:>14}",
        f"{'rules keep':<24}{found['keeper_only']:>14}{found['neither']:>14}",
        f"agreement {found['agreement']:.1%}",
        f"found {found['found']:.1%} of the keeper's flags; {found['right']:.1%} of the rules' flags are shared",
    ]
    for letter, counts in found["by_flag"].items():
        lines.append(
            f"  flag {letter or '(none)'!s:<8} {counts['rows']:>8} rows, {counts['flagged']:>8} flagged by the rules"
        )
    return lines


def calibrate(
    file: Annotated[Path, typer.Argument(help="Raw readings: a Picarro data log, or a folder of them.")],
    plan: PlanFile,
    out: Out = None,
    goals: Goals = None,
    as_json: Json = False,
) -> None:
    """Calibrate an analyser's raw readings: valve runs, response, interpolation, target tanks and alarms."""
    from dataclasses import asdict

    import numpy as np

    from obsnet.output import emit
    from stations.calibration.calibrate import calibrate as run
    from stations.calibration.goals import compatibility_goal
    from stations.calibration.plan import load_plan
    from stations.calibration.targets import target_alarms

    wanted = load_plan(plan)
    done = run(load(file, wanted.species), wanted)
    save(done.record, out)
    goal = compatibility_goal(wanted.species, goals)
    unit = done.record.attrs["unit"]
    targets: dict[str, dict[str, Any]] = {}
    for name, t in done.targets.items():
        targets[name] = {
            "runs": t.bias.size,
            "mean_bias": _of_finite(np.mean, t.bias),
            "cmr": _of_finite(np.median, t.cmr),
            "ltr": float(t.ltr[-1]),
            "sttb": float(t.sttb[-1]),
            "alarms": [asdict(a) for a in target_alarms(t, goal=goal.goal)],
        }
    result = {
        "rows": done.record.sizes["time"],
        "usable": int((done.record["quality"].values == 0).sum()),
        "episodes": [
            {
                "time": e.time,
                "tanks": e.tanks,
                "coefficients": e.response.coefficients,
                "centre": e.response.centre,
                "reduced_chi_square": e.response.reduced_chi_square,
            }
            for e in done.episodes
        ],
        "targets": targets,
        "goal": goal.goal,
        "goal_note": goal.note,
        "warnings": done.record.attrs["warnings"],
    }
    if as_json:
        emit(result)
    else:
        print(f"{result['usable']} of {result['rows']} means to use, {len(done.episodes)} calibrations")
        for name, numbers in targets.items():
            words = ", ".join(f"{k} {numbers[k]:+.3f}" for k in ("mean_bias", "cmr", "ltr", "sttb"))
            print(f"target {name}: {numbers['runs']} runs, {words} {unit}, {len(numbers['alarms'])} alarms")
            for a in numbers["alarms"]:
                print(f"  {str(a['time'])[:19]}: {a['bias']:+.3f} {unit} {a['reason']} ({a['limit']:.3f})")
    notes([*done.notes, *done.record.attrs["warnings"], f"goal of {goal.goal:g} {unit}: {goal.note}"])


def budget(
    file: File,
    name: BudgetName = "record",
    out: Out = None,
    species: Species = None,
    site: Site = None,
    scale: Scale = None,
    as_json: Json = False,
) -> None:
    """Give every row its uncertainty for the inversion: random and systematic apart, with a floor."""
    from dataclasses import asdict

    import numpy as np

    from obsnet.output import emit
    from stations.quality.budget import apply_budget, load_budget

    table = load_budget(name)
    record, reports = apply_budget(load(file, species, site, scale), table)
    save(record, out)
    usable = record["quality"].values == 0
    medians = {
        key: _of_finite(np.median, record[key].values[usable])
        for key in (
            "uncertainty",
            "uncertainty_measurement",
            "uncertainty_representation",
            "uncertainty_systematic",
        )
    }
    if as_json:
        emit({"usable": int(usable.sum()), "median": medians, "terms": [asdict(r) for r in reports]})
    else:
        unit = record.attrs["unit"]
        for r in reports:
            what = (
                f"median {r.median:.4g} {unit}, {r.share:.0%} of the variance" if r.rows else "nothing to add"
            )
            print(f"{r.name:<22} {r.kind:<15} {r.rows:>8} rows, {what}")
        print(
            ", ".join(f"{k} {v:.4g}" if np.isfinite(v) else f"{k} not stated" for k, v in medians.items())
            + f" {unit} (medians of {int(usable.sum())} rows)"
        )
    notes(record.attrs["changes"][-3:])
