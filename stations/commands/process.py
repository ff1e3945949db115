"""``obsnet station scale``, ``qc``, ``calibrate``, ``budget``: steps that turn a record into a better one."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from obsnet.command import Shown, command

if TYPE_CHECKING:
    from stations.calibration.options import CalibrateTable, ScaleTable
    from stations.calibration.run import CalibratedFile
    from stations.quality.options import BudgetTable, QualityTable
    from stations.quality.run import Budgeted

__all__ = ["budget", "calibrate", "qc", "scale"]


@command("stations.calibration.options:ScaleTable")
def scale(options: ScaleTable) -> Shown:
    """Convert a record to another calibration scale, with range guard, uncertainty and provenance."""
    from stations.calibration.run import convert_file

    found = convert_file(options)
    change = f"mean change {found['mean_change']:+.4f} {found['unit']}"
    lines = [f"{found['from']} to {found['to']}: {found['rows']} rows, {change}"]
    for step in found["steps"]:
        lines.append(f"  {step['from']} to {step['to']}: {step['source']}")
        lines += [f"  {step['note']}"] if step["note"] else []
    return Shown(found, lines, found["changes"])


@command("stations.quality.options:QualityTable")
def qc(options: QualityTable) -> Shown:
    """Apply tables of quality rules: bits are added, rows never dropped, every rule says how many."""
    from dataclasses import asdict

    from stations.quality.rules import report_lines
    from stations.quality.run import compare_file, judge_file

    if options.compare:
        found = compare_file(options)
        return Shown(found, _confusion(found))
    done = judge_file(options)
    rows = done.record.sizes["time"]
    data = {
        "table": ",".join(t.name for t in done.tables),
        "source": "; ".join(t.source for t in done.tables if t.source),
        "rows": rows,
        "usable": done.usable,
        "rules": [asdict(r) for r in done.reports],
    }
    lines = [*report_lines(done.reports), f"{done.usable} of {rows} rows to use"]
    return Shown(data, lines, [t.note for t in done.tables if t.note])


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


@command("stations.calibration.options:CalibrateTable")
def calibrate(options: CalibrateTable) -> Shown:
    """Calibrate an analyser's raw readings: valve runs, response, interpolation, target tanks and alarms."""
    from dataclasses import asdict

    from stations.calibration.run import calibrate_file

    found = calibrate_file(options)
    record = found.done.record
    data = {
        "rows": record.sizes["time"],
        "usable": int((record["quality"].values == 0).sum()),
        "episodes": [
            {
                "time": e.time,
                "hours": e.hours,
                "tanks": e.tanks,
                "coefficients": e.response.coefficients,
                "centre": e.response.centre,
                "reduced_chi_square": e.response.reduced_chi_square,
                "disagreement": asdict(e.disagreement),
            }
            for e in found.done.episodes
        ],
        "targets": found.targets,
        "goal": found.goal.goal,
        "goal_note": found.goal.note,
        "warnings": record.attrs["warnings"],
    }
    unit = record.attrs["unit"]
    notes = [
        *found.done.notes,
        *record.attrs["warnings"],
        f"goal of {found.goal.goal:g} {unit}: {found.goal.note}",
    ]
    return Shown(data, _calibrated(found, data), notes)


def _calibrated(found: CalibratedFile, data: dict[str, Any]) -> Iterator[str]:
    unit = found.done.record.attrs["unit"]
    yield f"{data['usable']} of {data['rows']} means to use, {len(data['episodes'])} calibrations"
    for name, numbers in found.targets.items():
        words = ", ".join(f"{k} {numbers[k]:+.3f}" for k in ("mean_bias", "cmr", "ltr", "sttb"))
        yield f"target {name}: {numbers['runs']} runs, {words} {unit}, {len(numbers['alarms'])} alarms"
        for a in numbers["alarms"]:
            yield f"  {str(a['time'])[:19]}: {a['bias']:+.3f} {unit} {a['reason']} ({a['limit']:.3f})"


@command("stations.quality.options:BudgetTable")
def budget(options: BudgetTable) -> Shown:
    """Give every row its uncertainty for the inversion: random and systematic apart, with a floor."""
    from dataclasses import asdict

    from stations.quality.run import weigh_file

    done = weigh_file(options)
    data = {"usable": done.usable, "median": done.medians, "terms": [asdict(r) for r in done.reports]}
    return Shown(data, _budgeted(done), done.record.attrs["changes"][-3:])


def _budgeted(done: Budgeted) -> Iterator[str]:
    unit = done.record.attrs["unit"]
    for r in done.reports:
        what = f"median {r.median:.4g} {unit}, {r.share:.0%} of the variance" if r.rows else "nothing to add"
        yield f"{r.name:<22} {r.kind:<15} {r.rows:>8} rows, {what}"
    words = ", ".join(f"{k} not stated" if math.isnan(v) else f"{k} {v:.4g}" for k, v in done.medians.items())
    yield f"{words} {unit} (medians of {done.usable} rows)"
