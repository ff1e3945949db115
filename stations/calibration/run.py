"""What ``obsnet station scale`` and ``calibrate`` do: read, convert or calibrate, write."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from obsnet.work.isolated import apart
from stations.calibration.calibrate import Calibrated, calibrate
from stations.calibration.goals import Goal, compatibility_goal
from stations.calibration.options import CalibrateTable, ScaleTable
from stations.calibration.plan import load_plan
from stations.calibration.scales import convert_scale, route
from stations.calibration.targets import target_alarms
from stations.readers import read, read_one
from stations.record.file import write_record

__all__ = ["CalibratedFile", "calibrate_file", "convert_file"]


def convert_file(options: ScaleTable) -> dict[str, Any]:
    """Convert a record to another calibration scale, write it where asked, and say what changed.

    Returns
    -------
    dict
        ``from, to, unit, rows, usable, mean_change, uncertainty, steps`` (each ``from, to, source, note``) and
        ``changes``.
    """
    record = read_one(options)
    allowed: dict[str, Any] = {"accept_unverified": options.accept_unverified, "table": options.scales}
    new = convert_scale(record, options.to, **allowed)
    if options.out is not None:
        write_record(new, options.out)
    steps = route(record.attrs["species"], record.attrs["scale"], options.to, options.scales)
    systematic = new["uncertainty_systematic"].mean() if "uncertainty_systematic" in new else 0.0
    return {
        "from": record.attrs["scale"],
        "to": new.attrs["scale"],
        "unit": record.attrs["unit"],
        "rows": int(new.sizes["time"]),
        "usable": int((new["quality"].values == 0).sum()),
        "mean_change": float((new["value"] - record["value"]).mean()),
        "uncertainty": float(systematic),
        "steps": [
            {"from": s.source_scale, "to": s.target_scale, "source": s.source, "note": s.note} for s in steps
        ],
        "changes": new.attrs["changes"][len(record.attrs.get("changes", [])) :],
    }


@dataclass(frozen=True)
class CalibratedFile:
    """Calibrated readings, the goal their targets are held to, and the targets' numbers by tank."""

    done: Calibrated
    goal: Goal
    targets: dict[str, dict[str, Any]]


def calibrate_file(options: CalibrateTable) -> CalibratedFile:
    """Calibrate raw readings by a plan, write the record where asked, and judge the target tanks."""
    plan = load_plan(options.plan)
    goal = compatibility_goal(plan.species, options.goals)
    done = calibrate(apart(read, options.file, plan.species), plan, goal.goal)
    if options.out is not None:
        write_record(done.record, options.out)
    targets = {
        name: {
            "runs": t.bias.size,
            "mean_bias": _of_finite(np.mean, t.bias),
            "cmr": _of_finite(np.median, t.cmr),
            "ltr": float(t.ltr[-1]),
            "sttb": float(t.sttb[-1]),
            "alarms": [asdict(a) for a in target_alarms(t, goal=goal.goal)],
        }
        for name, t in done.targets.items()
    }
    return CalibratedFile(done, goal, targets)


def _of_finite(reduce: Any, values: np.ndarray) -> float:
    """Return a mean or a median of the values that are there; NaN where none is."""
    finite = values[np.isfinite(values)]
    return float(reduce(finite)) if finite.size else float("nan")
