"""One way to run many tasks: serial, processes or Dask, with shards for job arrays.

A task is a module-level function of one argument. Workers are processes with one thread each: the netCDF
library crashes under plain threads, and BLAS threads times workers would oversubscribe the node.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any, Literal, TypeVar

from obsnet.errors import ConfigError

__all__ = ["Scheduler", "cpu_count", "map_unordered", "parse_shard", "shard"]

Item = TypeVar("Item")
Result = TypeVar("Result")
Scheduler = Literal["serial", "processes", "dask"]

_THREAD_VARIABLES = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "NUMBA_NUM_THREADS")
_ONE_THREAD = dict.fromkeys(_THREAD_VARIABLES, "1")


def cpu_count() -> int:
    """Return the processors this process may use (a batch system's binding counts)."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


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


def shard(items: Sequence[Item], part: tuple[int, int] | None) -> Sequence[Item]:
    """Return the items of one shard: every n-th, so that long and short inputs mix."""
    return items if part is None else items[part[0] :: part[1]]


def map_unordered(
    function: Callable[[Item], Result],
    items: Iterable[Item],
    *,
    scheduler: Scheduler = "processes",
    workers: int | None = None,
    address: str | None = None,
) -> Iterator[tuple[Item, Result]]:
    """Apply a function to every item and yield pairs as they finish.

    Parameters
    ----------
    function : callable
        Module-level, of one argument; should return its own failures rather than raise them.
    items : iterable
        Small, picklable by the standard library (paths, numbers, frozen dataclasses).
    scheduler : {"serial", "processes", "dask"}
        Serial is also taken when there is one worker or one item.
    workers : int, optional
        Processes; by default the processors at hand.
    address : str, optional
        A running Dask scheduler to use instead of a local cluster.

    Yields
    ------
    (item, result)
        In the order of completion. At most two items a worker are in flight, so memory stays flat.
    """
    todo = list(items)
    workers = min(workers or cpu_count(), max(len(todo), 1))
    if scheduler == "serial" or (workers == 1 and address is None):
        for item in todo:
            yield item, function(item)
    elif scheduler == "processes":
        yield from _processes(function, todo, workers)
    elif scheduler == "dask":
        yield from _dask(function, todo, workers, address)
    else:
        raise ConfigError(f"scheduler {scheduler!r} is not one of serial, processes, dask")


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
