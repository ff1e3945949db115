"""Progress of long work: a bar on a terminal, one line a minute in a batch log, and a line in the run's journal."""

from __future__ import annotations

import contextlib
import sys
import time
from collections.abc import Callable, Iterable, Iterator, Sized
from contextvars import ContextVar
from typing import TypeVar

from obsnet.journal import note, now

_NOTE_EVERY = 10.0  # seconds between lines of the journal
_bar: ContextVar[bool] = ContextVar("bar", default=False)  # whether one is on the terminal

__all__ = ["counted", "progress"]

Item = TypeVar("Item")


@contextlib.contextmanager
def progress(total: int, what: str, *, every: float = 60.0) -> Iterator[Callable[[int], None]]:
    """Show how far a loop has come, on standard error; of loops within each other the outer one.

    Parameters
    ----------
    total : int
        Steps.
    what : str
        ``"granules"``.
    every : float
        Seconds between lines where standard error is not a terminal.

    Yields
    ------
    callable
        ``advance(n)``.
    """
    tell = _teller(total, what)
    if _bar.get():  # a terminal has room for one; the journal hears of both
        yield tell
        return
    if sys.stderr.isatty():
        from rich.console import Console
        from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

        columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
        with Progress(*columns, console=Console(stderr=True), transient=True) as bar:
            task = bar.add_task(what, total=total)

            def step(n: int = 1) -> None:
                bar.advance(task, n)
                tell(n)

            token = _bar.set(True)
            try:
                yield step
            finally:
                _bar.reset(token)
        return
    start = last = time.monotonic()
    done = 0

    def advance(n: int = 1) -> None:
        nonlocal done, last
        tell(n)
        done += n
        now = time.monotonic()
        if now - last >= every and done < total:
            last = now
            left = (now - start) / done * (total - done)
            about = f"{left / 60:.0f} min" if left > 90.0 else f"{left:.0f} s"
            print(f"{what}: {done} of {total}, about {about} left", file=sys.stderr, flush=True)

    yield advance


def counted(items: Iterable[Item], what: str, total: int | None = None) -> Iterator[Item]:
    """Yield items, each counted as a step of `progress` once the next is asked for.

    Parameters
    ----------
    items : iterable
    what : str
        ``"granules"``.
    total : int, optional
        How many there are; by default their length.
    """
    if total is None:
        assert isinstance(items, Sized)
        total = len(items)
    with progress(total, what) as advance:
        for item in items:
            yield item
            advance(1)


def _teller(total: int, what: str) -> Callable[[int], None]:
    """Return what writes to the journal how far a loop has come."""
    since, last, done = now(), time.monotonic(), 0

    def tell(n: int = 1) -> None:
        nonlocal last, done
        done += n
        if time.monotonic() - last >= _NOTE_EVERY or done >= total:
            last = time.monotonic()
            note("progress", what=what, done=done, of=total, since=since)

    return tell
