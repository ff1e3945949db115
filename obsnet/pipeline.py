"""Stages strung together by one TOML file, and restart after being killed at any point.

A case has a table ``[run]`` and one table a stage. Stages run in the fixed order of what they need. A stage
that finished leaves ``.stages/<name>.json``: its options, every file it read and every file it wrote by content, the
stages before it and the version of its algorithm (`obsnet.stage_mark`). As long as all of that holds it is not run
again. Half a stage is resumed by the stage itself.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from pydantic import Field

from obsnet.atomic import sweep
from obsnet.config import Options, locate, validate
from obsnet.content import Contents, files_below
from obsnet.errors import ConfigError, ObsnetError, nearest
from obsnet.journal import about_stage, note
from obsnet.stage_mark import Mark, differences, flat, name_of, read_mark, remove_leftovers, write_mark
from obsnet.work.work import Cluster, Work

__all__ = [
    "Case",
    "RunOptions",
    "Stage",
    "StageResult",
    "contents_of",
    "inputs_of",
    "load_stages",
    "read_case",
    "run_case",
    "run_shard",
    "summary_table",
    "up_to",
]


class RunOptions(Work):
    """The table ``[run]`` of a case; its `cluster` is the table ``[cluster]``."""

    name: str = Field(description="what the run is called in its outputs")
    out: str = Field("run", description="folder of all outputs, relative to the case file")
    seed: int = Field(0, ge=0, description="seed of every random number of the run")
    rehash: bool = Field(
        False, description="hash large inputs again even where size, times and inode say that nothing changed"
    )


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

    def find(self, name: str) -> Path:
        """Return where an input is: in the run's folder if an earlier stage made it there, else beside the case."""
        return locate(name, self.folder, self.out)

    def beside(self, name: str) -> Path:
        """Return a file or folder of the user's, relative to the case file."""
        return self.folder / Path(name).expanduser()

    def tables(self, *names: str | None) -> list[Path]:
        """Return those of some options that name a ``.toml`` file of the user's and not one of the package's."""
        return [self.beside(name) for name in names if name and name.endswith(".toml")]


@dataclass(frozen=True)
class StageResult:
    """What a stage did.

    Parameters
    ----------
    outputs : tuple of Path
        Files and folders that must be there for the stage to count as done, files unchanged.
    files : tuple of Path
        What the stage made in those folders, which others may write to as well: it must be there unchanged too, and
        what a later run no longer makes is removed.
    summary : mapping
        Small numbers for the table at the end and for run.json.
    failed : int
        Inputs that were bad; the run goes on, the exit code says so.
    """

    outputs: tuple[Path, ...] = ()
    files: tuple[Path, ...] = field(default=(), kw_only=True)
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
        ``inputs(options, case) -> files``: every file that the stage reads, whoever made it, found through the same
        methods of `Case` by which the stage opens it. A folder stands for all files below it; a file that is not
        there belongs to them where the stage would read it if it were.
    version : int
        Of the algorithm. Raised by hand whenever the same inputs and options give other numbers than before, in the
        commit that makes them so; then every case runs the stage again. A stage that skips finished work inside
        itself takes the same number into the mark of that work.
    tables : tuple of str
        Tables that come with the package and decide numbers, ``package.module:file or folder``; they enter by content.
    data : tuple of str
        Distributions that bring data and not code, such as boundaries: their versions enter. Those of numerical
        libraries do not: they change the last digits, and run.json names them.
    shards : bool
        Whether the stage takes the shard of ``[run]``, and keeps a plan of it (`obsnet.work.shards`).
    forecast : callable
        ``forecast(options, case) -> lines``: what time and memory it will take, as far as that is known before it runs.
    check : callable, optional
        ``check(options, case, before)`` opens inputs, reads what is cheap to read and yields lines, and an
        `obsnet.errors.ObsnetError` where a run would stop or leave something out; `before` names the stages of the case
        that come first and may not have run yet. By default files are only looked for.
    beforehand : callable
        ``beforehand(options, case)`` raises an `obsnet.errors.ObsnetError` for what can be told at no cost before the
        first stage of a case runs, such as a document of the user's that is not there.
    """

    name: str
    options: type[Options]
    run: Callable[[Any, Case], StageResult]
    needs: tuple[str, ...] = ()
    inputs: Callable[[Any, Case], Iterable[Path]] = lambda _options, _case: ()
    version: int = 1
    tables: tuple[str, ...] = ()
    data: tuple[str, ...] = ()
    shards: bool = False
    forecast: Callable[[Any, Case], Iterable[str]] = lambda _options, _case: ()
    check: Callable[[Any, Case, tuple[str, ...]], Iterable[str | ObsnetError]] | None = None
    beforehand: Callable[[Any, Case], None] = lambda _options, _case: None


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
            raise ConfigError(f"unknown table [{name}]{nearest(name, ['run', 'cluster', *known])}")
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
                asked = {"cluster": data["cluster"]} if "cluster" in data else {}
                options[name] = validate(RunOptions, {**data[name], **asked}, f"{path.name} [run]")
            elif name == "cluster":
                validate(Cluster, data[name], f"{path.name} [cluster]")
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


def up_to(steps: Sequence[tuple[Stage, Options]], last: str) -> list[tuple[Stage, Options]]:
    """Return a stage of a case and those that it needs, in their order.

    Raises
    ------
    ConfigError
        The case has no such stage.
    """
    stages = {stage.name: stage for stage, _ in steps}
    if last not in stages:
        raise ConfigError(f"no table [{last}] in this case{nearest(last, stages)}")
    wanted, todo = set(), [last]
    while todo:
        name = todo.pop()
        wanted.add(name)
        todo += [n for n in stages[name].needs if n in stages and n not in wanted]
    return [(stage, options) for stage, options in steps if stage.name in wanted]


def run_shard(
    case: Case, steps: Sequence[tuple[Stage, Options]], name: str | None
) -> dict[str, dict[str, Any]]:
    """Run the shard that ``[run]`` names of one stage; the stage is done when `run_case` has seen all of it.

    Parameters
    ----------
    case, steps
        From `read_case`.
    name : str or None
        The stage; where None, the only one of the case that takes shards.

    Returns
    -------
    dict
        As of `run_case`.

    Raises
    ------
    ConfigError
        No such stage, one that takes no shards, or several that do.
    """
    able = [stage.name for stage, _ in steps if stage.shards]
    if name is None and len(able) == 1:
        (name,) = able
    if name not in able:
        which = (
            f"[{name}] takes no shards" if name is not None else "a shard is of one stage: name it with --to"
        )
        raise ConfigError(
            f"run.shard = {case.run.shard!r}: {which}; those that take them: {', '.join(able) or 'none'}"
        )
    stage, options = next(step for step in steps if step[0].name == name)
    part = case.run.part
    shard = part and f"{part[0] + 1}/{part[1]}"
    with _told(name, shard=shard) as spent:
        result = stage.run(options, case)
    record = {**spent, "failed": result.failed, **result.summary}
    return {name: {**record, "skipped": False, "shard": shard}}


@contextlib.contextmanager
def _told(stage: str, **about: Any) -> Iterator[dict[str, float]]:
    """Tell the journal that a stage begins, and how it ends; what it does in between is told under its name.

    Yields
    ------
    dict
        Filled at the end with what the stage took: ``seconds``, ``processor_seconds`` of this process and of workers of
        this machine that have ended, ``peak_mib`` of the largest of them since the run began.
    """
    import time

    from obsnet.provenance import peak_memory, processor_seconds

    spent: dict[str, float] = {}
    start, busy = time.monotonic(), processor_seconds()

    def metrics() -> dict[str, float]:
        return {
            "seconds": round(time.monotonic() - start, 2),
            "processor_seconds": round(processor_seconds() - busy, 2),
            "peak_mib": round(peak_memory() / 2**20),
        }

    with about_stage(stage=stage, **about):
        note("stage", state="begins")
        try:
            yield spent
        except BaseException as error:
            said = " ".join(str(error).split()) or type(error).__name__
            note("stage", state="failed", error=said, **metrics())
            raise
        spent.update(metrics())
        note("stage", state="done", **spent)


def contents_of(case: Case) -> Contents:
    """Return the hashes of files that a case remembers."""
    return Contents(case.out / ".stages" / "contents.json", trust=not case.run.rehash)


def inputs_of(case: Case, stage: Stage, options: Options, contents: Contents) -> dict[str, str | None]:
    """Return every file that a stage reads and its sha256, None where it is absent."""
    files = files_below(stage.inputs(options, case))
    own = {f"{table}/{p.name}": p for table in stage.tables for p in files_below([_packaged(table)])}
    named = {name_of(p, case.folder): p for p in files} | own
    return {name: contents.digest(p) for name, p in sorted(named.items())}


def _packaged(table: str) -> Path:
    from importlib.resources import files

    package, _, name = table.partition(":")
    return Path(str(files(package))) / name


def _source(
    case: Case, stage: Stage, options: Options, contents: Contents, prints: Mapping[str, str]
) -> dict[str, Any]:
    """Return all that a stage is made from; see `obsnet.stage_mark.Mark`."""
    from importlib.metadata import version

    return {
        "version": stage.version,
        "seed": case.run.seed,
        "data": {name: version(name) for name in stage.data},
        "options": flat(options.model_dump(mode="json")),
        "inputs": inputs_of(case, stage, options, contents),
        "before": {name: prints[name] for name in stage.needs if name in prints},
    }


def run_case(
    case: Case,
    steps: Sequence[tuple[Stage, Options]],
    *,
    report: Callable[[str], None] = lambda _line: None,
    contents: Contents | None = None,
) -> dict[str, dict[str, Any]]:
    """Run the stages of a case that are not done yet.

    Parameters
    ----------
    case, steps
        From `read_case`.
    report : callable
        Takes lines for people: what runs and why, what was done before.
    contents : Contents, optional
        Hashes of files, for those who want to go on with them; by default the case's own.

    Returns
    -------
    dict
        By stage: ``{"skipped": bool, "seconds": float, "processor_seconds": float, "peak_mib": int, "failed": int,
        **summary}``, and ``because`` where it ran.
    """
    if case.run.part is not None:
        raise ConfigError(f"run.shard = {case.run.shard!r}: a shard is of one stage; see `run_shard`")
    for stage, options in steps:
        stage.beforehand(options, case)
    sweep(case.out)
    contents = contents_of(case) if contents is None else contents
    results: dict[str, dict[str, Any]] = {}
    prints: dict[str, str] = {}
    for stage, options in steps:
        place = case.out / ".stages" / f"{stage.name}.json"
        old = read_mark(place)
        source = _source(case, stage, options, contents, prints)
        prints[stage.name] = Mark(source).fingerprint
        why = differences(old, source, case.out, contents)
        contents.save()
        if old is not None and not why:
            results[stage.name] = {**old.record, "skipped": True}
            note("stage", stage=stage.name, state="done", skipped=True)
            report(f"{stage.name}: done before")
            continue
        report(f"{stage.name} …" + (f" ({why})" if old is not None else ""))
        with _told(stage.name, because=why) as spent:
            result = stage.run(options, case)
        outputs = tuple(name_of(p, case.out) for p in result.outputs)
        files = [*result.files, *(p for p in result.outputs if not p.is_dir())]
        digests = {name_of(p, case.out): contents.digest(p) for p in files}
        record = {**spent, "failed": result.failed, **result.summary}
        # A stage with bad inputs is not finished: the next run sees it by `failed` and tries those again.
        mark = Mark(source, outputs, digests, record)
        gone = remove_leftovers(old, mark, case.out, contents)
        write_mark(place, mark)
        contents.save()
        results[stage.name] = {**record, "skipped": False, "because": why}
        report(
            f"{stage.name}: {spent['seconds']} s, {spent['processor_seconds']} s of processor time, "
            f"{spent['peak_mib']} MiB at most"
            + (f", {result.failed} failed" if result.failed else "")
            + (f", {gone} files of an earlier run removed" if gone else "")
        )
    return results


def summary_table(results: Mapping[str, Mapping[str, Any]]) -> list[str]:
    """Return what became of each stage, a line each, and the time of all.

    Examples
    --------
    >>> for line in summary_table({"ingest": {"skipped": False, "seconds": 2.5, "failed": 1, "good": 30}}):
    ...     print(line)
    stage       seconds  failed  what
    ingest          2.5       1  good 30
    in all          2.5       1
    """
    lines = [f"{'stage':10s}  {'seconds':>7s}  {'failed':>6s}  what"]
    for name, record in results.items():
        told = ", ".join(
            f"{k.replace('_', ' ')} {v:g}"
            for k, v in record.items()
            if k not in ("seconds", "failed") and isinstance(v, int | float) and not isinstance(v, bool)
        )
        what = "done before" if record.get("skipped") else told
        lines.append(f"{name:10s}  {record['seconds']:7.1f}  {record['failed']:6d}  {what}".rstrip())
    done = [r for r in results.values() if not r.get("skipped")]
    seconds, failed = sum(r["seconds"] for r in done), sum(r["failed"] for r in results.values())
    return [*lines, f"{'in all':10s}  {seconds:7.1f}  {failed:6d}"]
