"""What a run of a case would say of its inputs, said before it: files are opened, nothing is computed or written."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from obsnet.config import Options
from obsnet.content import files_below
from obsnet.errors import FormatError, ObsnetError
from obsnet.pipeline import Case, Stage

__all__ = ["SAMPLE", "CheckedStage", "check_inputs", "few", "later"]

SAMPLE = 20  # files of a stage that are opened, taken evenly

Item = TypeVar("Item")


@dataclass(frozen=True)
class CheckedStage:
    """What was found of one stage.

    Parameters
    ----------
    stage : str
    lines : tuple of str
        What its inputs hold.
    faults : tuple of str
        What a run would stop at.
    """

    stage: str
    lines: tuple[str, ...]
    faults: tuple[str, ...]


def check_inputs(case: Case, steps: Sequence[tuple[Stage, Options]]) -> list[CheckedStage]:
    """Open what each stage of a case reads.

    Parameters
    ----------
    case, steps
        From `obsnet.pipeline.read_case`.

    Returns
    -------
    list of CheckedStage
        One a stage, in their order; what an earlier stage has not made yet is told and no fault.
    """
    names = {stage.name for stage, _ in steps}
    found = []
    for stage, options in steps:
        before = tuple(name for name in stage.needs if name in names)
        lines: list[str] = []
        faults: list[str] = []
        try:
            stage.beforehand(options, case)
            own = stage.check
            for said in own(options, case, before) if own else _look_for(stage, options, case, before):
                (faults if isinstance(said, ObsnetError) else lines).append(str(said))
        except ObsnetError as error:
            faults.append(str(error))
        found.append(CheckedStage(stage.name, tuple(lines), tuple(faults)))
    return found


def _look_for(stage: Stage, options: Options, case: Case, before: Collection[str]) -> Iterator[str]:
    """Say of a stage without a check of its own whether its files are there."""
    try:
        files = files_below(stage.inputs(options, case))
    except ObsnetError as error:
        if not before:
            raise
        yield f"not known before {_named(before)} has run ({error})"
        return
    if not files and before:
        yield f"nothing to read before {_named(before)} has run"
        return
    absent = [p for p in files if not p.exists()]
    yield f"{len(files) - len(absent)} files to read" + (f", {len(absent)} not there (yet)" if absent else "")


def later(path: Path, before: Collection[str]) -> str | ObsnetError:
    """Return a line for an input that is not there: an earlier stage makes it, or it is a fault."""
    if before:
        return f"{path.name}: to be made by {_named(before)}"
    return FormatError(f"{path}: not there, and no earlier stage of this case makes it")


def _named(stages: Collection[str]) -> str:
    return ", ".join(f"[{name}]" for name in stages)


def few(items: Sequence[Item], most: int = SAMPLE) -> list[Item]:
    """Return at most so many, taken evenly, the first and the last among them.

    Examples
    --------
    >>> few(range(100), 3)
    [0, 50, 99]
    """
    if len(items) <= most:
        return list(items)
    return [items[round(k * (len(items) - 1) / (most - 1))] for k in range(most)]
