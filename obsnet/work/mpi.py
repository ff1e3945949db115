"""The ranks of ``mpirun`` as a Dask cluster: rank 0 schedules, rank 1 runs the command, the others work.

However the command ends, it ends every rank: an error would else leave the others waiting until the walltime.
"""

from __future__ import annotations

import logging
import os
import threading
from collections.abc import Callable
from typing import Any, TypeVar

from obsnet.errors import ConfigError, DependencyError, Exit
from obsnet.work.cluster import dashboard_address, environment, session, temporary_security
from obsnet.work.work import Work

__all__ = ["run_where"]

Answer = TypeVar("Answer")

_FEWEST = 3
_FAREWELL = 60.0  # seconds for the other ranks to hear that the work is done


def run_where(work: Work, function: Callable[[], Answer], elsewhere: Answer) -> Answer:
    """Call what a command does, where its work says: here, or on the first rank but one of MPI.

    Parameters
    ----------
    work : Work
        Its Dask workers are started once and kept for the whole call.
    function : callable
        Does it.
    elsewhere : Any
        What ranks return that are not the command's.
    """

    def inside() -> Answer:
        with session():
            return function()

    return _on_ranks(work, inside, elsewhere) if work.scheduler == "mpi" else inside()


def _on_ranks(work: Work, function: Callable[[], Answer], elsewhere: Answer) -> Answer:
    try:
        import dask_mpi
        from mpi4py import MPI
    except ImportError as error:
        raise DependencyError(f"scheduler mpi: {error}; pip install 'obsnet[hpc]'") from None
    import dask
    import distributed
    from dask.utils import parse_bytes
    from threadpoolctl import threadpool_limits

    world = MPI.COMM_WORLD
    if world.Get_size() < _FEWEST:
        raise ConfigError(
            f"scheduler mpi: {world.Get_size()} ranks; a scheduler, the command and a worker are {_FEWEST}: "
            "mpirun -n 4 obsnet …"
        )
    os.environ.update(environment(work))
    threadpool_limits(1)
    logging.getLogger(distributed.__name__).setLevel(logging.WARNING)
    answer: list[Answer] = []
    fault: list[BaseException] = []
    ended = threading.Event()

    def client() -> None:
        try:
            answer.append(function())
        except BaseException as error:  # raised again below, when the other ranks have been told
            fault.append(error)
        finally:
            ended.set()

    asked, secured = work.cluster, _secured(world)
    dask.config.set(secured)
    dask_mpi.execute(
        client,
        interface=asked.interface,
        protocol="tls",
        scheduler_port=0,  # any: another run may be on the node
        dashboard=asked.dashboard,
        dashboard_address=dashboard_address(work),
        worker_options={"dashboard": False, "dashboard_address": "127.0.0.1:0"},
        local_directory=asked.local_directory or "",
        memory_limit=parse_bytes(asked.memory) // asked.cores,
    )
    if world.Get_rank() != 1:
        return elsewhere
    ended.wait()
    # dask-mpi's own thread tells the other ranks before this process ends; where nobody hears it, all are ended
    last = threading.Timer(_FAREWELL, world.Abort, [Exit.INTERNAL])
    last.daemon = True
    last.start()
    if fault:
        raise fault[0]
    return answer[0]


def _secured(world: Any) -> dict[str, Any]:
    """Return the TLS settings that rank 0 made for all ranks."""
    made = None
    if world.Get_rank() == 0:
        security = temporary_security()
        roles = ("scheduler", "worker", "client")
        made = {
            "distributed.comm.tls.ca-file": security.tls_ca_file,
            "distributed.comm.require-encryption": True,
        }
        for role in roles:
            for what in ("key", "cert"):
                made[f"distributed.comm.tls.{role}.{what}"] = getattr(security, f"tls_{role}_{what}")
    return dict(world.bcast(made, root=0))
