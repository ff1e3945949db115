"""How work on many items is run: one object from the case file or the flags to the adapter."""

from __future__ import annotations

import re
from typing import Annotated, Any, Literal, Self

from pydantic import Field, field_validator, model_validator

from obsnet.config import Options
from obsnet.errors import ConfigError
from obsnet.flag import Flag
from obsnet.job import array_task
from obsnet.work.isolated import Limits

__all__ = ["BATCH", "Cluster", "Work", "parse_shard"]

BATCH = ("slurm", "pbs", "sge")  # schedulers that are asked for jobs
_WORDS = {"local": "processes", "connect": "dask"}


class Cluster(Options):
    """The table ``[cluster]``: what a batch system is asked for, and how its nodes see each other."""

    queue: str | None = Field(None, description="partition or queue")
    account: str | None = Field(None, description="account or project that is charged")
    cores: int = Field(1, ge=1, description="processes a job, each of one thread")
    memory: str = Field("4GB", pattern=r"^\d+(\.\d+)? ?[kMGT]i?B$", description="of a job, e.g. 16GB")
    walltime: str = Field("01:00:00", pattern=r"^(\d+-)?\d{1,3}:\d\d:\d\d$", description="of a job, H:MM:SS")
    interface: str | None = Field(
        None,
        description="network interface by which the nodes see each other, e.g. ib0; nothing listens elsewhere",
    )
    local_directory: str | None = Field(None, description="scratch of a node, for what workers spill")
    log_directory: str = Field("logs", description="where jobs write what they say")
    directives: Annotated[list[str], Flag(whole=True)] = Field(
        [], description="further lines for the batch system, e.g. --exclusive; may be repeated"
    )
    setup: Annotated[list[str], Flag(whole=True)] = Field(
        [], description="shell lines before the work, e.g. module load; may be repeated"
    )
    hdf5_locking: bool = Field(
        False, description="let HDF5 lock files, which many shared file systems refuse"
    )
    shards: int = Field(8, ge=1, description="tasks of a job array")
    performance_report: str | None = Field(
        None, description="HTML file for Dask's performance report, written when the workers end; needs bokeh"
    )
    dashboard: bool = Field(False, description="show Dask's dashboard on the interface, on any free port")

    @field_validator(
        "queue",
        "account",
        "interface",
        "local_directory",
        "log_directory",
        "directives",
        "setup",
        "performance_report",
    )
    @classmethod
    def _one_line(cls, value: Any) -> Any:
        if any("\n" in text or "\0" in text for text in ([value] if isinstance(value, str) else value or [])):
            raise ValueError("a line each: it goes into a job script")
        return value

    @property
    def seconds(self) -> int:
        """The walltime."""
        days, _, clock = self.walltime.rpartition("-")
        hours, minutes, seconds = map(int, clock.split(":"))
        return ((int(days or 0) * 24 + hours) * 60 + minutes) * 60 + seconds


class Work(Options):
    """Where and how many at a time; the same table keys and flags wherever there are many items."""

    scheduler: Literal["auto", "serial", "processes", "dask", "array", "slurm", "pbs", "sge", "mpi"] = Field(
        "auto",
        description="serial; processes (or local) on this machine; dask (or connect, with an address); array, as a "
        "task of a job array; slurm, pbs or sge: workers in jobs; mpi: the ranks of mpirun; auto takes processes where "
        "there is enough to do, and Dask where an address is given",
    )
    workers: int | None = Field(
        None, ge=1, description="worker processes; by default the processors at hand, or those of one job"
    )
    address: str | None = Field(None, description="a running Dask scheduler, e.g. tcp://node1:8786")
    shard: str | None = Field(
        None, description="i/n: only the i-th of n parts, counted from 1, for job arrays"
    )

    file_gib: float = Field(
        4.0, gt=0, description="memory in GiB beyond which reading one file from outside is given up"
    )
    file_seconds: float = Field(
        600.0, gt=0, description="processor time in s beyond which reading one file from outside is given up"
    )
    cluster: Cluster = Cluster()

    @model_validator(mode="before")
    @classmethod
    def _other_words(cls, data: Any) -> Any:
        if not isinstance(data, dict) or data.get("scheduler") not in _WORDS:
            return data
        if data["scheduler"] == "connect" and not data.get("address"):
            raise ValueError("scheduler connect needs the address of a running Dask scheduler (--address)")
        return {**data, "scheduler": _WORDS[data["scheduler"]]}

    @field_validator("shard")
    @classmethod
    def _shard(cls, value: str | None) -> str | None:
        if value is not None:
            try:
                parse_shard(value)
            except ConfigError as error:
                raise ValueError(str(error)) from None
        return value

    @model_validator(mode="after")
    def _sound(self) -> Self:
        if self.scheduler in (*BATCH, "mpi") and self.cluster.interface is None:
            raise ValueError(
                f"scheduler {self.scheduler} needs the network interface by which the nodes see each other: "
                f"cluster.interface (--cluster-interface); this machine has {', '.join(_interfaces())}"
            )
        return self

    @property
    def limits(self) -> Limits:
        """What reading one file may take."""
        return Limits(round(self.file_gib * 2**30), self.file_seconds)

    @property
    def part(self) -> tuple[int, int] | None:
        """The shard as (index from 0, count).

        Raises
        ------
        ConfigError
            The scheduler is ``array`` and this is no task of one, or one beyond ``cluster.shards``.
        """
        if self.shard is not None or self.scheduler != "array":
            return None if self.shard is None else parse_shard(self.shard)
        task, n = array_task(), self.cluster.shards
        if task is None or not 1 <= task <= n:
            found = "this is no task of a job array" if task is None else f"this is task {task}"
            raise ConfigError(f"scheduler array: {found}; tasks go from 1 to cluster.shards = {n}")
        return task - 1, n

    def refuse_shard(self, why: str) -> None:
        """Refuse a shard where something comes whole; `why` is ``"a map is of all its periods"``.

        Raises
        ------
        ConfigError
            This is one.
        """
        if self.part is not None:
            raise ConfigError(f"{why}: give it workers (--scheduler, --workers), not a shard")


def _interfaces() -> list[str]:
    import psutil  # comes with distributed

    return sorted(psutil.net_if_addrs())


def parse_shard(text: str) -> tuple[int, int]:
    """Read ``"3/40"`` (the third of forty, counted from 1) as (2, 40).

    Raises
    ------
    ConfigError
        Anything else, or a number out of range.
    """
    match = re.fullmatch(r"(\d+)/(\d+)", text.strip())
    if not match or not 1 <= int(match[1]) <= int(match[2]):
        raise ConfigError(f"shard {text!r}: write it as i/n with 1 <= i <= n, e.g. 3/40")
    return int(match[1]) - 1, int(match[2])
