"""One way to run many tasks: serial, processes or Dask, with shards for job arrays.

A task is a module-level function of one argument. Workers are processes with one thread each: the netCDF
library crashes under plain threads, and BLAS threads times workers would oversubscribe the node.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any, TypeVar

from obsnet.work.work import Work

__all__ = ["ENOUGH_BYTES", "cpu_count", "map_unordered", "shard"]

Item = TypeVar("Item")
Result = TypeVar("Result")

ENOUGH_BYTES = 64 * 2**20  # below which starting workers costs more than it saves
_THREAD_VARIABLES = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "NUMBA_NUM_THREADS")
_ONE_THREAD = dict.fromkeys(_THREAD_VARIABLES, "1")


def cpu_count() -> int:
    """Return the processors this process may use (a batch system's binding counts)."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def shard(items: Sequence[Item], work: Work) -> Sequence[Item]:
    """Return the items of this run's shard: every n-th, so that long and short inputs mix."""
    return items if work.part is None else items[work.part[0] :: work.part[1]]


def map_unordered(
    function: Callable[[Item], Result],
    items: Iterable[Item],
    work: Work | None = None,
    *,
    enough: bool = True,
) -> Iterator[tuple[Item, Result]]:
    """Apply a function to every item and yield pairs as they finish.

    Parameters
    ----------
    function : callable
        Module-level, of one argument; should return its own failures rather than raise them.
    items : iterable
        Small, picklable by the standard library (paths, numbers, frozen dataclasses).
    work : Work, optional
        Scheduler, workers, address; the defaults of `Work` otherwise. Its shard is the caller's to take.
    enough : bool
        Whether there is enough to do for processes to pay, where the scheduler is ``auto``.

    Yields
    ------
    (item, result)
        In the order of completion. At most two items a worker are in flight, so memory stays flat.
    """
    work = work or Work()
    todo = list(items)
    workers = min(work.workers or cpu_count(), max(len(todo), 1))
    scheduler = work.scheduler
    if scheduler == "auto":
        scheduler = "dask" if work.address else "processes" if enough else "serial"
    if scheduler == "serial" or (workers == 1 and work.address is None):
        for item in todo:
            yield item, function(item)
    elif scheduler == "processes":
        yield from _processes(function, todo, workers)
    else:
        yield from _dask(function, todo, workers, work.address)


def _quiet_worker() -> None:
    from threadpoolctl import threadpool_limits

    threadpool_limits(1)


def _processes(function: Callable[[Any], Any], items: list[Any], workers: int) -> Iterator[tuple[Any, Any]]:
    import concurrent.futures as cf
    import multiprocessing

    # spawn: a fork of a process that has opened HDF5 or started threads may deadlock.
    context = multiprocessing.get_context("spawn")
    saved = {name: os.environ.get(name) for name in _ONE_THREAD}
    os.environ.update(_ONE_THREAD)
    try:
        with cf.ProcessPoolExecutor(workers, mp_context=context, initializer=_quiet_worker) as pool:
            waiting: dict[cf.Future[Any], Any] = {}
            queue = iter(items)
            try:
                for item in queue:
                    waiting[pool.submit(function, item)] = item
                    if len(waiting) >= 2 * workers:
                        yield from _harvest(waiting)
                while waiting:
                    yield from _harvest(waiting)
            except BaseException:
                pool.shutdown(wait=False, cancel_futures=True)
                raise
    finally:
        for name, value in saved.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value


def _harvest(waiting: dict[Any, Any]) -> Iterator[tuple[Any, Any]]:
    import concurrent.futures as cf

    finished, _ = cf.wait(waiting, return_when=cf.FIRST_COMPLETED)
    for future in finished:
        yield waiting.pop(future), future.result()


def _dask(
    function: Callable[[Any], Any], items: list[Any], workers: int, address: str | None
) -> Iterator[tuple[Any, Any]]:
    from distributed import Client, LocalCluster, as_completed

    cluster = None
    if address is None:
        cluster = LocalCluster(
            n_workers=workers,
            threads_per_worker=1,
            processes=True,
            host="127.0.0.1",
            dashboard_address=None,
            env=_ONE_THREAD,
        )
    try:
        with Client(address or cluster) as client:
            waiting: dict[Any, Any] = {}
            queue = iter(items)
            flight = as_completed()
            capacity = 2 * max(len(client.scheduler_info(n_workers=-1)["workers"]), 1)
            for item in queue:
                future = client.submit(function, item, pure=False)
                waiting[future.key] = item
                flight.add(future)
                if len(waiting) >= capacity:
                    done = next(flight)
                    yield waiting.pop(done.key), done.result()
            for done in flight:
                yield waiting.pop(done.key), done.result()
    finally:
        if cluster is not None:
            cluster.close()
