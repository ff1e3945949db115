"""A case as a chain of batch jobs: one a stage, one array where a stage comes in shards, each after the one before.

Every job is `obsnet run CASE --to STAGE`, which does what is not done yet; so any of them, or the whole chain, may be
handed in again after a failure.
"""

from __future__ import annotations

import json
import math
import re
import shlex
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from obsnet.atomic import write_text
from obsnet.config import Options
from obsnet.content import files_below
from obsnet.errors import ClusterError, ConfigError, DependencyError, ObsnetError
from obsnet.pipeline import Case, Stage
from obsnet.work.cluster import environment

__all__ = ["Job", "chain", "plan_lines", "submit", "write_scripts"]

_WARNING = 120  # seconds before the walltime at which a job is told
_TRIES = 5
_RUN = """\
# the batch system's warning goes to the work, which ends with 75 where it may go on
{command} &
work=$!
trap 'kill -TERM "$work"' TERM
wait "$work"; code=$?
[ "$code" -le 128 ] || {{ wait "$work"; code=$?; }}
if [ "$code" = 75 ] && [ "${{SLURM_RESTART_COUNT:-0}}" -lt {tries} ]; then scontrol requeue "$SLURM_JOB_ID"; fi
[ "$code" != 1 ] || code=0 # some inputs were bad, which the index and the last job tell; the chain goes on
exit "$code"
"""


@dataclass(frozen=True)
class Job:
    """A batch job.

    Parameters
    ----------
    name : str
        ``01-ingest``.
    script : str
        Bash, with the directives of SLURM.
    tasks : int
        Of its array; 0 where it is none.
    """

    name: str
    script: str
    tasks: int = 0


def chain(
    case: Case,
    steps: Sequence[tuple[Stage, Options]],
    path: Path,
    overrides: Sequence[str] = (),
    *,
    program: Sequence[str] = (sys.executable, "-m", "obsnet"),
) -> list[Job]:
    """Return the jobs of a case, in order.

    Parameters
    ----------
    case, steps
        From `obsnet.pipeline.read_case`.
    path : Path
        The case file; jobs run in its folder.
    overrides : sequence of str
        As of ``--set``.
    program : sequence of str
        How obsnet is called.

    Raises
    ------
    ConfigError
        The scheduler of the case is one of another batch system.
    """
    if case.run.scheduler in ("pbs", "sge", "mpi"):
        raise ConfigError(
            f"jobs are written for SLURM, not for {case.run.scheduler}: hand in `obsnet run` itself there, or "
            "`obsnet run --to STAGE --shard i/n` as an array"
        )
    asked = case.run.cluster
    here = _set([*overrides, "run.scheduler=processes", f"run.workers={asked.cores}"])
    call = [*program, "run", path.name]
    jobs = []
    for stage, _ in steps:
        tasks = asked.shards if stage.shards and asked.shards > 1 else 0
        share = f' --shard "$SLURM_ARRAY_TASK_ID/{tasks}"' if tasks else ""
        jobs.append((stage.name, shlex.join([*call, "--to", stage.name, *here]) + share, tasks))
    # the last job does whatever is left, and so ends an array that nothing else follows
    name = "end" if jobs[-1][2] else jobs.pop()[0]
    jobs.append((name, shlex.join([*call, *here]), 0))
    numbered = ((f"{k:02d}-{name}", command, tasks) for k, (name, command, tasks) in enumerate(jobs, start=1))
    return [Job(name, _script(case, path, name, command, tasks), tasks) for name, command, tasks in numbered]


def _set(overrides: Sequence[str]) -> list[str]:
    return [word for text in overrides for word in ("--set", text)]


def _script(case: Case, path: Path, name: str, command: str, tasks: int) -> str:
    asked = case.run.cluster
    title = re.sub(r"[^A-Za-z0-9._-]+", "_", f"{case.run.name}-{name}")
    logs = case.folder / asked.log_directory
    directives = {
        "job-name": title,
        "array": f"1-{tasks}" if tasks else None,
        "partition": asked.queue,
        "account": asked.account,
        "cpus-per-task": str(asked.cores),
        "mem": f"{_mebibytes(asked.memory)}M",
        "time": asked.walltime,
        "signal": f"B:TERM@{_WARNING}",
        "open-mode": "append",
        "output": str(logs / (f"{title}-%A_%a.log" if tasks else f"{title}-%j.log")),
    }
    lines = [f"--{key}={value}" for key, value in directives.items() if value is not None]
    return "\n".join(
        [
            "#!/usr/bin/env bash",
            *(f"#SBATCH {_directive(line)}" for line in [*lines, "--requeue"]),
            *(f"#SBATCH {line}" for line in asked.directives),
            "set -uo pipefail",
            *(f"export {key}={shlex.quote(value)}" for key, value in environment(case.run).items()),
            *asked.setup,
            f"cd {shlex.quote(str(path.resolve().parent))} || exit 2",
            _RUN.format(command=command, tries=_TRIES),
        ]
    )


def _directive(line: str) -> str:
    """Quote a directive as sbatch reads it: words end at blanks, and its quotes are like those of a shell."""
    return line if re.fullmatch(r"[\w=%./:@,+-]+", line) else shlex.quote(line)


def _mebibytes(text: str) -> int:
    from dask.utils import parse_bytes

    return math.ceil(parse_bytes(text) / 2**20)


def write_scripts(jobs: Sequence[Job], folder: Path) -> list[Path]:
    """Write the scripts of a chain and return where they are."""
    for job in jobs:
        write_text(folder / f"{job.name}.sbatch", job.script)
    return [folder / f"{job.name}.sbatch" for job in jobs]


def submit(jobs: Sequence[Job], case: Case) -> dict[str, str]:
    """Write the scripts to ``.jobs`` of the outputs and hand them in, each to begin when the one before has ended well.

    Returns
    -------
    dict
        Number by name.

    Raises
    ------
    DependencyError
        There is no sbatch here.
    ClusterError
        It refuses; what was handed in before stays, and its numbers are in the text.
    """
    (case.folder / case.run.cluster.log_directory).mkdir(parents=True, exist_ok=True)
    numbers: dict[str, str] = {}
    for job, script in zip(jobs, write_scripts(jobs, case.out / ".jobs"), strict=True):
        after = (
            [f"--dependency=afterok:{list(numbers.values())[-1]}", "--kill-on-invalid-dep=yes"]
            if numbers
            else []
        )
        try:
            done = subprocess.run(
                ["sbatch", "--parsable", *after, str(script)], capture_output=True, text=True, check=False
            )
        except FileNotFoundError:
            raise DependencyError(f"no sbatch here; the scripts are in {script.parent}") from None
        if done.returncode:
            before = f"; handed in before: {', '.join(numbers.values())}" if numbers else ""
            raise ClusterError(f"sbatch {script}: {done.stderr.strip()}{before}")
        numbers[job.name] = done.stdout.strip().partition(";")[0]
        write_text(case.out / ".jobs" / "numbers.json", json.dumps(numbers, indent=1))
    return numbers


def plan_lines(case: Case, steps: Sequence[tuple[Stage, Options]]) -> list[str]:
    """Return a line a stage: what it reads, whether it comes in shards, and its forecast where there is one."""
    lines = []
    for stage, options in steps:
        try:
            files = [p for p in files_below(stage.inputs(options, case)) if p.is_file()]
            size = sum(p.stat().st_size for p in files)
            said = f"{len(files)} files, {size / 2**30:.3g} GiB"
            said += "".join(f"; {line}" for line in stage.forecast(options, case))
        except ObsnetError as error:  # what an earlier stage has not made yet
            said = f"not known yet ({error})"
        how = f", array of {case.run.cluster.shards}" if stage.shards and case.run.cluster.shards > 1 else ""
        lines.append(f"{stage.name}: {said}{how}")
    return lines
