"""``obsnet status RUN``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from pydantic import Field

from obsnet.command import Shown, command
from obsnet.config import Options
from obsnet.flag import Flag

__all__ = ["StatusCommand", "status"]


class StatusCommand(Options):
    """Which run."""

    run: Annotated[Path, Flag(positional=True)] = Field(description="case file, or folder of a run's outputs")


@command("obsnet.commands.status:StatusCommand")
def status(options: StatusCommand) -> Shown:
    """Say how far a run has come: stages and shards done, running and failed, and when the rest will be."""
    from obsnet.config import out_folder, read_toml
    from obsnet.errors import ConfigError
    from obsnet.pipeline import read_case
    from obsnet.status import jobs_of, status_of

    names: list[str] = []
    out = options.run
    if options.run.is_file():
        data = read_toml(options.run)
        names = [stage.name for stage, _ in read_case(data, options.run)[1]]
        out = out_folder(data, options.run.resolve().parent)
    if not out.is_dir():
        raise ConfigError(f"{out}: no folder of outputs; give a case file or the folder of its run")
    found, jobs = status_of(out, names), jobs_of(out)
    lines = [s.line() for s in found] + [f"jobs: {', '.join(f'{k} {v}' for k, v in jobs.items())}"] * bool(
        jobs
    )
    data = {"stages": [s.plain() for s in found], "jobs": jobs}
    return Shown(data, lines, failed=sum(s.state in ("failed", "killed") for s in found))
