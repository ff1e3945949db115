"""Stages strung together by one TOML file, and restart after being killed at any point.

A case has a table ``[run]`` and one table a stage. Stages run in the fixed order of what they need. A stage
that finished leaves ``.stages/<name>.json`` with the hash of its options, of its input files and of the
stages before it; as long as that holds it is not run again. Half a stage is resumed by the stage itself.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from pydantic import Field

from obsnet.config import Options, validate
from obsnet.errors import ConfigError, nearest
from obsnet.store import sha256, sweep, write_text
from obsnet.work.work import Work

__all__ = ["Case", "RunOptions", "Stage", "StageResult", "load_stages", "read_case", "run_case"]


class RunOptions(Work):
    """The table ``[run]`` of a case."""

    name: str = Field(description="what the run is called in its outputs")
    out: str = Field("run", description="folder of all outputs, relative to the case file")
    seed: int = Field(0, ge=0, description="seed of every random number of the run")


@dataclass(frozen=True)
class Case:
    """Where a stage runs: what its relative paths are relative to.

    Parameters
    ----------
    folder : Path
        Folder of the case file; inputs are relative to it.
    out : Path
        Folder of all outputs; what an earlier stage wrote is there.
    run : RunOptions
        Workers, seed.
    """

    folder: Path
    out: Path
    run: RunOptions


@dataclass(frozen=True)
class StageResult:
    """What a stage did.

    Parameters
    ----------
    outputs : tuple of Path
        What must exist for the stage to count as done.
    summary : mapping
        Small numbers for the table at the end and for run.json.
    failed : int
        Inputs that were bad; the run goes on, the exit code says so.
    """

    outputs: tuple[Path, ...] = ()
    summary: Mapping[str, Any] = field(default_factory=dict)
    failed: int = 0


@dataclass(frozen=True)
class Stage:
    """One step of a pipeline, declared as an entry point of the group ``obsnet.stages``.

    Parameters
    ----------
    name : str
        Table of the case file.
    options : type of Options
        What that table may hold.
    run : callable
        ``run(options, case) -> StageResult``.
    needs : tuple of str
        Stages that come before it where the case has them.
    inputs : callable
        ``inputs(options, case) -> files`` whose change makes the stage run again.
    """

    name: str
    options: type[Options]
    run: Callable[[Any, Case], StageResult]
    needs: tuple[str, ...] = ()
    inputs: Callable[[Any, Case], Iterable[Path]] = lambda _options, _case: ()


def load_stages(names: Iterable[str] | None = None) -> dict[str, Stage]:
    """Load the stages that installed packages declare.

    Parameters
    ----------
    names : iterable of str, optional
        Only these; by default all.

    Raises
    ------
    ConfigError
        A name that nobody declares.
    """
    from importlib.metadata import entry_points

    known = {e.name: e for e in entry_points(group="obsnet.stages")}
    wanted = list(known) if names is None else list(names)
    for name in wanted:
        if name not in known:
            raise ConfigError(f"unknown table [{name}]{nearest(name, ['run', *known])}")
    return {name: known[name].load() for name in wanted}


def _ordered(stages: Mapping[str, Stage]) -> list[Stage]:
    from graphlib import TopologicalSorter

    graph = {name: sorted(set(stage.needs) & set(stages)) for name, stage in sorted(stages.items())}
    return [stages[name] for name in TopologicalSorter(graph).static_order()]


def read_case(data: Mapping[str, Any], path: Path) -> tuple[Case, list[tuple[Stage, Options]]]:
    """Check a whole case, all faults at once.

    Parameters
    ----------
    data : mapping
        From `config.read_toml`.
    path : Path
        The case file.

    Returns
    -------
    Case, list of (Stage, Options)
        Stages in the order they run.

    Raises
    ------
    ConfigError
        One line a fault of any table.
    """
    faults: list[str] = []
    options: dict[str, Options] = {}
    stages: dict[str, Stage] = {}
    for name in data:
        try:
            if name == "run":
                options[name] = validate(RunOptions, data[name], f"{path.name} [run]")
            else:
                stages |= load_stages([name])
                options[name] = validate(stages[name].options, data[name], f"{path.name} [{name}]")
        except ConfigError as error:
            faults.append(str(error))
    if "run" not in data:
        faults.append(f"{path.name}: table [run] is missing")
    if not stages:
        faults.append(f"{path.name}: no stage; add a table such as [ingest]")
    if faults:
        raise ConfigError("\n".join(faults))
    run = options["run"]
    assert isinstance(run, RunOptions)
    folder = path.resolve().parent
    return Case(folder, folder / run.out, run), [(stage, options[stage.name]) for stage in _ordered(stages)]


def _fingerprint(stage: Stage, options: Options, case: Case, before: Mapping[str, str]) -> str:
    parts: dict[str, Any] = {
        "stage": stage.name,
        "options": options.model_dump(mode="json"),
        "seed": case.run.seed,
        "inputs": {str(p): sha256(p) for p in sorted(stage.inputs(options, case))},
        "before": {name: before[name] for name in stage.needs if name in before},
    }
    return hashlib.sha256(json.dumps(parts, sort_keys=True, default=str).encode()).hexdigest()


def run_case(
    case: Case, steps: Sequence[tuple[Stage, Options]], *, report: Callable[[str], None] = lambda _line: None
) -> dict[str, dict[str, Any]]:
    """Run the stages of a case that are not done yet.

    Parameters
    ----------
    case, steps
        From `read_case`.
    report : callable
        Takes one line a stage.

    Returns
    -------
    dict
        By stage: ``{"skipped": bool, "seconds": float, "failed": int, **summary}``.
    """
    import time

    sweep(case.out)
    results: dict[str, dict[str, Any]] = {}
    prints: dict[str, str] = {}
    for stage, options in steps:
        mark = case.out / ".stages" / f"{stage.name}.json"
        prints[stage.name] = _fingerprint(stage, options, case, prints)
        record = _finished(mark, prints[stage.name], case.out)
        if record is not None:
            results[stage.name] = {**record, "skipped": True}
            report(f"{stage.name}: done before")
            continue
        report(f"{stage.name} …")
        start = time.monotonic()
        result = stage.run(options, case)
        record = {"seconds": round(time.monotonic() - start, 2), "failed": result.failed, **result.summary}
        outputs = [str(p.relative_to(case.out)) for p in result.outputs]
        # A stage with bad inputs is not finished: the next run tries those again.
        if result.failed == 0:
            text = {"fingerprint": prints[stage.name], "outputs": outputs, "record": record}
            write_text(mark, json.dumps(text, indent=1, default=str))
        results[stage.name] = {**record, "skipped": False}
        report(
            f"{stage.name}: {record['seconds']} s" + (f", {result.failed} failed" if result.failed else "")
        )
    return results


def _finished(mark: Path, fingerprint: str, out: Path) -> dict[str, Any] | None:
    """Return the record of a finished stage if its mark still holds."""
    try:
        content = json.loads(mark.read_text(encoding="utf-8"))
    except (FileNotFoundError, json.JSONDecodeError):
        return None
    same = content.get("fingerprint") == fingerprint and all(
        (out / p).exists() for p in content.get("outputs", ())
    )
    return content["record"] if same else None
