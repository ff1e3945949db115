"""Where a case is solved: its Jacobian on workers, and whole inversions beside each other."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from inversion.case.options import InvertOptions
from inversion.operators.placed import placed
from inversion.problem.problem import Problem
from obsnet.provenance import available_memory, peak_memory
from obsnet.typing import Floats, Texts
from obsnet.work.kept import map_ordered
from obsnet.work.parallel import cpu_count, goes_to_dask
from obsnet.work.work import Work

__all__ = ["MemberTask", "Place", "here", "map_members", "places"]

Place = Callable[[Problem], Problem]
Report = Callable[[str], None]


def here(problem: Problem) -> Problem:
    """Return a problem as it is: all is done in this process."""
    return problem


@contextlib.contextmanager
def places(work: Work | None, out: Path, report: Report) -> Iterator[Place]:
    """Give what brings a problem to where it is solved: its products go to Dask's workers, where the work does.

    Parameters
    ----------
    work : Work, optional
        Where; without Dask all is done in this process, whose threads use all cores.
    out : Path
        Folder of the run, which every worker sees.
    report : callable
        Takes lines for people.

    Raises
    ------
    ConfigError
        A shard of an inversion is asked for.
    """
    if work is not None:
        work.refuse_shard("an inversion is one")
    with contextlib.ExitStack() as stack:

        def place(problem: Problem) -> Problem:
            far = stack.enter_context(placed(problem.jacobian, work, out))
            if far is problem.jacobian:
                return problem
            report(
                f"the Jacobian is on the workers, in {len(far.blocks)} blocks of rows; they make its products"
            )
            return problem.with_(jacobian=far)

        yield place if work is not None and goes_to_dask(work) else here


@dataclass(frozen=True, eq=False)
class MemberTask:
    """One inversion of an ensemble, whole.

    Parameters
    ----------
    number : int
        Of its restart file.
    name, axis : str
        What it is called and what it varies.
    options : InvertOptions
    folder, out : Path
        Of the case and of the run.
    held_back : ndarray of str
        Observations that the base did not use.
    inventory : ndarray, shape (totals,)
        That every member is held against, mol s-1; the base's prior totals.
    """

    number: int
    name: str
    axis: str
    options: InvertOptions
    folder: Path
    out: Path
    held_back: Texts
    inventory: Floats


def map_members(
    function: Callable[[MemberTask], tuple[Any, list[str]]],
    tasks: list[MemberTask],
    work: Work | None,
    report: Report,
) -> list[Any]:
    """Return what becomes of whole inversions, in their order, and report what each said.

    Parameters
    ----------
    function : callable
        Module-level; returns the result and lines for people.
    tasks : list of MemberTask
    work : Work, optional
        Where; each takes the memory of a whole inversion, so that of ``processes`` there are as many as this machine
        holds, and jobs must have that memory. By default one after the other in this process.
    report : callable
        Takes lines for people.
    """
    work = Work(scheduler="serial") if work is None else work
    if work.scheduler == "processes":  # as many as this machine's memory holds, going by what the base took
        most = max(1, int(available_memory() // peak_memory()))
        work = work.model_copy(update={"workers": min(work.workers or cpu_count(), most)})
        report(f"members beside each other: {work.workers}")
    found = map_ordered(function, tasks, work, what="members", enough=False)
    for _, said in found:
        for line in said:
            report(line)
    return [result for result, _ in found]
