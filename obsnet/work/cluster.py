"""Dask workers on this machine, in jobs of a batch system, as ranks of MPI or of a scheduler that runs already.

Within `session` the workers that the first piece of work started serve the next ones too, and end with it.
"""

from __future__ import annotations

import contextlib
import itertools
import math
import os
import shlex
import sys
import time
from collections.abc import Callable, Iterator
from contextvars import ContextVar
from importlib.util import find_spec
from tempfile import TemporaryDirectory
from typing import Any

from obsnet.atomic import atomic_path
from obsnet.errors import ClusterError, DependencyError, WorkerError
from obsnet.work.isolated import ONE_THREAD, Death, Limits, apart_or_death
from obsnet.work.work import BATCH, Work

__all__ = ["client_of", "environment", "job_script", "map_dask", "session", "temporary_security"]

_FAILURES = 20  # workers that may die under a task before the machine is called unfit for it
_COUNT_AGAIN = 5.0  # seconds between looks at how many workers there are
_CLASSES = {"slurm": "SLURMCluster", "pbs": "PBSCluster", "sge": "SGECluster"}


class _Session(contextlib.ExitStack):
    """Workers that serve one piece of work after the other."""

    work: Work | None = None
    client: Any = None


_session: ContextVar[_Session | None] = ContextVar("session", default=None)


@contextlib.contextmanager
def session() -> Iterator[None]:
    """Keep the workers of the first piece of Dask work within the block for the next ones."""
    with _Session() as kept:
        token = _session.set(kept)
        try:
            yield
        finally:
            _session.reset(token)


@contextlib.contextmanager
def client_of(work: Work, workers: int | None = None) -> Iterator[Any]:
    """Give a Dask client of the workers of a piece of work, those of the session where there is one.

    Parameters
    ----------
    work : Work
        That goes to Dask.
    workers : int, optional
        Processes, on this machine; by default those of `work`, or the processors at hand.
    """
    workers = workers or work.workers or len(os.sched_getaffinity(0))
    kept = _session.get()
    if kept is None:
        with _new_client(work, workers) as client:
            yield client
        return
    if kept.work != work:
        kept.close()
        kept.work, kept.client = work, kept.enter_context(_new_client(work, workers))
    yield kept.client


@contextlib.contextmanager
def _new_client(work: Work, workers: int) -> Iterator[Any]:
    import dask
    from distributed import Client

    with contextlib.ExitStack() as stack:
        stack.enter_context(dask.config.set({"distributed.scheduler.allowed-failures": _FAILURES}))
        report = _performance_report(work)
        if work.scheduler == "mpi":
            client = stack.enter_context(Client())  # of the ranks, see `obsnet.work.mpi`
            stack.enter_context(report)
            yield client
            return
        security = None
        if work.address is not None:
            where: Any = work.address
        elif work.scheduler in BATCH:
            where = stack.enter_context(_batch(work))
        else:
            where = stack.enter_context(_local(workers))
        if work.address is None:
            security = where.security
        try:
            client = stack.enter_context(Client(where, security=security))
        except OSError as error:
            raise ClusterError(f"no Dask scheduler at {work.address}: {error}") from None
        stack.enter_context(report)
        yield client


@contextlib.contextmanager
def _performance_report(work: Work) -> Iterator[None]:
    """Write Dask's report of what its workers do within the block, where that is asked for."""
    if work.cluster.performance_report is None:
        yield
        return
    if find_spec("bokeh") is None:
        raise DependencyError("cluster.performance_report needs bokeh: pip install bokeh")
    from distributed import performance_report

    with (
        atomic_path(work.cluster.performance_report) as temporary,
        performance_report(filename=str(temporary)),
    ):
        yield


def _local(workers: int) -> Any:
    from distributed import LocalCluster

    return LocalCluster(
        n_workers=workers,
        threads_per_worker=1,
        processes=True,
        host="127.0.0.1",
        # others on this machine reach loopback too, and whoever reaches a scheduler runs what he likes
        security=temporary_security(),
        dashboard_address="127.0.0.1:0",
        scheduler_kwargs={"dashboard": False},
        worker_dashboard_address="127.0.0.1:0",
        env=ONE_THREAD,
    )


def environment(work: Work) -> dict[str, str]:
    """Return the variables of a worker: one thread a process, files locked or not."""
    return {**ONE_THREAD, "HDF5_USE_FILE_LOCKING": "TRUE" if work.cluster.hdf5_locking else "FALSE"}


@contextlib.contextmanager
def _batch(work: Work) -> Iterator[Any]:
    """Give a cluster of jobs, which replaces those that are lost."""
    jobs = math.ceil((work.workers or work.cluster.cores) / work.cluster.cores)
    os.makedirs(work.cluster.log_directory, exist_ok=True)
    with contextlib.ExitStack() as stack:
        # keys lie where the nodes see them, readable by their owner alone, as long as the run
        keys = stack.enter_context(TemporaryDirectory(prefix=".tls-", dir=work.cluster.log_directory))
        protection = {"security": temporary_security(), "shared_temp_directory": keys}
        cluster = stack.enter_context(_batch_class(work)(**_asked(work), **protection))
        cluster.adapt(minimum_jobs=jobs, maximum_jobs=jobs, interval="2s")
        yield cluster


def job_script(work: Work) -> str:
    """Return the script of a worker's job, as it would be handed in."""
    with _batch_class(work)(**_asked(work)) as cluster:
        return str(cluster.job_script())


def dashboard_address(work: Work) -> str:
    """Return where the scheduler answers a browser: nobody else's, unless that was asked for."""
    host = "127.0.0.1"
    if work.cluster.dashboard:
        from distributed.utils import get_ip_interface

        host = get_ip_interface(work.cluster.interface)
    return f"{host}:0"


def _batch_class(work: Work) -> Any:
    try:
        import dask_jobqueue
    except ImportError:
        raise DependencyError(
            f"scheduler {work.scheduler} needs dask-jobqueue: pip install 'obsnet[hpc]'"
        ) from None
    return getattr(dask_jobqueue, _CLASSES[work.scheduler])


def _asked(work: Work) -> dict[str, Any]:
    """Return what dask-jobqueue is asked for; every word that a shell will see is quoted."""
    asked = work.cluster
    account = {"project" if work.scheduler == "sge" else "account": asked.account}
    variables = {**environment(work), "PYTHONPATH": os.pathsep.join(p or os.getcwd() for p in sys.path)}
    # a worker that leaves in time hands its work on; the batch system would kill it
    life = asked.seconds - max(60, asked.seconds // 20)
    lifetime = ["--lifetime", f"{life}s", "--lifetime-stagger", "30s"] if life > 300 else []
    return {
        "queue": asked.queue and shlex.quote(asked.queue),
        **{k: v and shlex.quote(v) for k, v in account.items()},
        "cores": asked.cores,
        "processes": asked.cores,
        "memory": asked.memory,
        "walltime": asked.walltime,
        "interface": asked.interface,
        "local_directory": asked.local_directory and shlex.quote(asked.local_directory),
        "log_directory": shlex.quote(asked.log_directory),
        "python": shlex.quote(sys.executable),
        "job_name": "obsnet",
        "job_extra_directives": list(asked.directives),
        "job_script_prologue": [
            *(f"export {name}={shlex.quote(value)}" for name, value in variables.items()),
            *asked.setup,
        ],
        "worker_extra_args": [*lifetime, "--no-dashboard", "--dashboard-address", "127.0.0.1:0"],
        "death_timeout": 60,
        "scheduler_options": {"dashboard": asked.dashboard, "dashboard_address": dashboard_address(work)},
    }


def temporary_security() -> Any:
    """Return certificates and keys for one run.

    Raises
    ------
    DependencyError
        cryptography is not installed.
    """
    from distributed.security import Security

    try:
        return Security.temporary()
    except ImportError:
        raise DependencyError(
            "a Dask scheduler is protected by TLS, since others on its machine can reach it, and that needs "
            "cryptography: pip install cryptography; --scheduler processes listens nowhere and needs none"
        ) from None


def map_dask(
    function: Callable[[Any], Any],
    items: list[Any],
    work: Work,
    workers: int,
    on_death: Callable[[Any, str], Any] | None,
) -> Iterator[tuple[Any, Any]]:
    """Apply a module-level function to every item on Dask workers and yield pairs as they finish.

    Parameters
    ----------
    function, items, on_death
        As of `obsnet.work.parallel.map_unordered`. With `on_death` each item is done in a process beside the worker, so
        that a file which crashes its library costs itself and no worker.
    work : Work
        Where.
    workers : int
        Processes, on this machine.

    Raises
    ------
    ClusterError
        The scheduler is gone, or workers die whatever they do; the same command may go on.
    """
    from concurrent.futures import CancelledError

    from distributed import KilledWorker, as_completed

    def harvest(done: Any) -> tuple[Any, Any]:
        item = waiting.pop(done.key)
        try:
            result = done.result()
        except KilledWorker as error:
            raise ClusterError(
                f"{item}: the workers that tried it died ({error}); run again to go on"
            ) from None
        except (CancelledError, OSError) as error:
            if done.status != "cancelled":
                raise
            raise _gone(error) from None
        if isinstance(result, _Died):
            if on_death is None:
                raise WorkerError(f"{item}: {result.reason}")
            return item, on_death(item, result.reason)
        return item, result

    limits = None if on_death is None else work.limits
    with client_of(work, workers) as client:
        waiting: dict[Any, Any] = {}
        flight = as_completed()
        queue = iter(items)
        capacity, looked = 0, -math.inf
        while True:
            if time.monotonic() - looked > _COUNT_AGAIN:
                try:
                    there = len(client.scheduler_info(n_workers=-1)["workers"])
                except OSError as error:
                    raise _gone(error) from None
                capacity, looked = 2 * max(there, workers, 1), time.monotonic()
            for item in itertools.islice(queue, capacity - len(waiting)):
                future = client.submit(_one, function, item, limits, pure=False)
                waiting[future.key] = item
                flight.add(future)
            if not waiting:
                return
            yield harvest(next(flight))


def _gone(error: BaseException) -> ClusterError:
    return ClusterError(f"the Dask scheduler is gone ({error}); run again to go on")


class _Died:
    """What came of an item that killed the process it was done in."""

    def __init__(self, reason: str) -> None:
        self.reason = reason


def _one(function: Callable[[Any], Any], item: Any, limits: Limits | None) -> Any:
    """Do one item on a worker."""
    if limits is None:
        return function(item)
    try:
        return apart_or_death(function, item, limits=limits)
    except Death as death:
        return _Died(str(death))
