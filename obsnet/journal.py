"""What a run tells while it is at work: one line of JSON an event, a file a process, so that any number may write.

`journal` opens one; `note` writes to the one that is open, and nowhere where none is.
"""

from __future__ import annotations

import contextlib
import datetime
import json
import os
import platform
import secrets
from collections.abc import Iterator
from contextvars import ContextVar
from pathlib import Path
from typing import Any, TextIO

from obsnet.job import job_id

__all__ = ["FOLDER", "about_stage", "journal", "note", "now", "read_journals"]

FOLDER = ".log"
_open: ContextVar[tuple[TextIO, dict[str, Any]] | None] = ContextVar("journal", default=None)


def now() -> str:
    """Return the time in UTC, ISO 8601 to the second."""
    return datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds").removesuffix("+00:00")


@contextlib.contextmanager
def journal(out: Path, **about: Any) -> Iterator[str]:
    """Keep a journal in ``.log`` of a folder of outputs.

    Parameters
    ----------
    out : Path
    **about
        What stands in every line beside time, run, host, pid and job.

    Yields
    ------
    str
        The run's name: time, host, process and a random end, as pids and clocks of nodes may agree.
    """
    run = f"{now().replace(':', '').replace('-', '')}-{platform.node()}-{os.getpid()}-{secrets.token_hex(2)}"
    fixed = {"run": run, "host": platform.node(), "pid": os.getpid(), "job": job_id(), **about}
    (out / FOLDER).mkdir(parents=True, exist_ok=True)
    with open(out / FOLDER / f"{run}.jsonl", "a", encoding="utf-8") as stream:
        token = _open.set((stream, fixed))
        try:
            yield run
        finally:
            _open.reset(token)


@contextlib.contextmanager
def about_stage(**fields: Any) -> Iterator[None]:
    """Let every line within the block hold these fields too."""
    found = _open.get()
    if found is None:
        yield
        return
    token = _open.set((found[0], {**found[1], **fields}))
    try:
        yield
    finally:
        _open.reset(token)


def note(event: str, **fields: Any) -> None:
    """Write a line to the journal that is open."""
    found = _open.get()
    if found is not None:
        stream, fixed = found
        stream.write(json.dumps({"time": now(), "event": event, **fixed, **fields}, default=str) + "\n")
        stream.flush()


def read_journals(out: Path) -> list[dict[str, Any]]:
    """Return the lines of all journals of a folder of outputs, each in its order; one that is torn is left out."""
    lines = []
    for path in sorted((out / FOLDER).glob("*.jsonl")):
        for text in path.read_text(encoding="utf-8", errors="replace").splitlines():
            with contextlib.suppress(ValueError):  # cut short by a kill or a full disk
                lines.append(json.loads(text))
    return [line for line in lines if isinstance(line, dict) and "event" in line]
