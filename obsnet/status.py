"""How far a run has come: its stages and shards, done, running, failed, and when the rest will be."""

from __future__ import annotations

import datetime
import platform
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from obsnet.atomic import alive
from obsnet.journal import read_journals
from obsnet.reading import door
from obsnet.seal import read_json
from obsnet.stage_mark import read_mark
from obsnet.work.shards import FOLDER, plans_of, unfinished

__all__ = ["StageStatus", "jobs_of", "status_of"]


@dataclass(frozen=True)
class StageStatus:
    """How far a stage has come.

    Parameters
    ----------
    stage : str
    state : str
        ``done``, ``running``, ``failed``, ``killed`` or ``waiting``.
    done, of : int or None
        Items, where they are counted.
    failed : int
        Bad inputs.
    seconds_left : float or None
        At the rate so far.
    said : str
        What is missing, or why it failed.
    job : str
        Of the batch system.
    """

    stage: str
    state: str
    done: int | None = None
    of: int | None = None
    failed: int = 0
    seconds_left: float | None = None
    said: str = ""
    job: str = ""

    def line(self) -> str:
        """Return it in words."""
        parts = [f"{self.stage}: {self.state}"]
        if self.of is not None:
            parts.append(f"{self.done} of {self.of}")
        if self.seconds_left is not None:
            parts.append(f"about {self.seconds_left / 60:.0f} min left")
        parts += [f"{self.failed} inputs failed"] * bool(self.failed)
        parts += [f"job {self.job}"] * bool(self.job) + [self.said] * bool(self.said)
        return ", ".join(parts)

    def plain(self) -> dict[str, Any]:
        """Return it as plain values."""
        return asdict(self)


@door("what a run noted of itself")
def status_of(out: Path, stages: Sequence[str] = ()) -> list[StageStatus]:
    """Return how far each stage of a run has come.

    Parameters
    ----------
    out : Path
        Folder of outputs.
    stages : sequence of str
        Of the case, in their order; those that the folder knows where it is not given.
    """
    lines = read_journals(out)
    marks = {p.stem: read_mark(p) for p in (out / ".stages").glob("*.json") if p.stem != "contents"}
    plans: dict[str, StageStatus] = {}
    for folder in sorted({p.parent for p in out.glob(f"*/{FOLDER}")}):
        plans |= _of_plans(folder)
    known = [str(line["stage"]) for line in lines if line["event"] == "stage" and "stage" in line]
    names = list(stages) or list(dict.fromkeys([*known, *plans, *marks]))
    found = []
    for name in names:
        mark, latest = marks.get(name), _latest(lines, name)
        if latest is not None and latest.state in ("running", "failed", "killed"):
            found.append(latest)
        elif mark is not None:
            failed = int(mark.record.get("failed", 0))
            found.append(StageStatus(name, "failed" if failed else "done", failed=failed))
        else:
            found.append(plans.get(name, StageStatus(name, "waiting")))
    return found


def _of_plans(folder: Path) -> dict[str, StageStatus]:
    """Return what the records of shards say of the stages that fill a folder."""
    missing = {plan.folder: text for plan, text in unfinished(folder)}
    found = {}
    for plan in plans_of(folder):
        records = [part.record for part in plan.parts]
        done, began = len(plan.done), min((r["started"] for r in records), default="")
        states = {r["state"] for r in records}
        # of shards that all ended the stage itself has still to take note
        state = next((s for s in ("running", "failed") if s in states), "waiting")
        gone = [r for r in records if r["state"] == "running" and _dead(r)]
        if gone and len(gone) == sum(r["state"] == "running" for r in records):
            state = "killed"
        left = _left(began, done, len(plan.items)) if state == "running" else None
        failed = sum(r["failed"] for r in records)
        said = missing.get(plan.folder, "all shards ended")
        found[plan.stage] = StageStatus(plan.stage, state, done, len(plan.items), failed, left, said)
    return found


def _latest(lines: Sequence[Mapping[str, Any]], name: str) -> StageStatus | None:
    """Return what the journals say last of a stage that was not run in shards."""
    own = [line for line in lines if line.get("stage") == name and not line.get("shard")]
    if not own:
        return None
    stages = sorted((line for line in own if line["event"] == "stage"), key=lambda line: line["time"])
    last = stages[-1] if stages else None
    if last is None:
        return None
    if last["state"] != "begins":
        return StageStatus(name, last["state"], said=str(last.get("error", "")), job=last["job"])
    steps = [line for line in own if line["event"] == "progress" and line["run"] == last["run"]]
    state = "killed" if _dead(last) else "running"
    if not steps:
        return StageStatus(name, state, job=last["job"])
    step = steps[-1]
    left = _left(step["since"], step["done"], step["of"]) if state == "running" else None
    return StageStatus(
        name, state, step["done"], step["of"], seconds_left=left, said=step["what"], job=last["job"]
    )


def _left(began: str, done: int, of: int) -> float | None:
    if not began or not done:
        return None
    since = datetime.datetime.now(datetime.UTC).replace(tzinfo=None) - datetime.datetime.fromisoformat(began)
    return max(since.total_seconds(), 0.0) / done * (of - done)  # clocks of nodes may differ


def _dead(record: Mapping[str, Any]) -> bool:
    """Tell whether a process of this machine is no more; of others nobody knows here."""
    return record["host"] == platform.node() and not alive(int(record["pid"]))


def jobs_of(out: Path) -> dict[str, str]:
    """Return the numbers of the chain that was handed in last, by name."""
    path = out / ".jobs" / "numbers.json"
    return read_json(path) if path.exists() else {}
