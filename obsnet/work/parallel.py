"""One way to run many tasks: serial, processes or Dask wherever it runs, with shards for job arrays.

A task is a module-level function of one argument. Workers are processes with one thread each: the netCDF
library crashes under plain threads, and BLAS threads times workers would oversubscribe the node.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any, TypeVar

from obsnet.work.isolated import Death, Limits, apart_or_death, run_pool
from obsnet.work.work import BATCH, Work

__all__ = ["ENOUGH_BYTES", "cpu_count", "goes_to_dask", "map_unordered", "shard"]

Item = TypeVar("Item")
Result = TypeVar("Result")

ENOUGH_BYTES = 64 * 2**20  # below which starting workers costs more than it saves


def cpu_count() -> int:
    """Return the processors this process may use (a batch system's binding counts)."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def goes_to_dask(work: Work) -> bool:
    """Tell whether work is done by Dask's workers, here or elsewhere."""
    return work.address is not None or work.scheduler in ("dask", *BATCH, "mpi")


def shard(items: Sequence[Item], work: Work) -> Sequence[Item]:
    """Return the items of this run's shard: every n-th, so that long and short inputs mix."""
    return items if work.part is None else items[work.part[0] :: work.part[1]]


def map_unordered(
    function: Callable[[Item], Result],
    items: Iterable[Item],
    work: Work | None = None,
    *,
    enough: bool = True,
    on_death: Callable[[Item, str], Result] | None = None,
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
    on_death : callable, optional
        For functions that read files from outside: the result of an item that killed its worker, of it and the
        reason. Such work is done in a process of its own whatever there is to do, within the limits of `work`; only
        ``serial`` does without.

    Raises
    ------
    WorkerError
        A worker died, and there is no `on_death`.
    ClusterError
        Dask's scheduler is gone, or workers die whatever they do.

    Yields
    ------
    (item, result)
        In the order of completion. One item a worker is in flight, so memory stays flat.
    """
    work = work or Work()
    todo = list(items)
    workers = min(work.workers or cpu_count(), max(len(todo), 1))
    scheduler = work.scheduler
    if scheduler in ("auto", "array"):
        scheduler = "dask" if work.address else "processes" if enough else "serial"
    elsewhere = work.address is not None or scheduler in (*BATCH, "mpi")
    few = workers == 1 or scheduler == "serial"
    if not todo:
        return
    if elsewhere or (scheduler == "dask" and not few):
        from obsnet.work.cluster import map_dask

        yield from map_dask(function, todo, work, work.workers or cpu_count(), on_death)
    elif few and (on_death is None or work.scheduler == "serial"):
        for item in todo:
            yield item, function(item)
    elif few and on_death is not None:
        yield from _kept_apart(function, todo, work.limits, on_death)
    else:
        limits = Limits() if on_death is None else work.limits
        yield from run_pool(function, todo, workers, limits, on_death)


def _kept_apart(
    function: Callable[[Any], Any], items: list[Any], limits: Limits, on_death: Callable[[Any, str], Any]
) -> Iterator[tuple[Any, Any]]:
    """Apply a function to one item after the other in the process that is kept for files from outside."""
    for item in items:
        try:
            result = apart_or_death(function, item, limits=limits)
        except Death as death:
            result = on_death(item, str(death))
        yield item, result
