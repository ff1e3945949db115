"""An orderly end on TERM, which batch systems send before they kill: what is written is whole, and workers end too."""

from __future__ import annotations

import contextlib
import os
import signal
import threading
import time
from collections.abc import Iterator
from types import FrameType

__all__ = ["orderly_end"]

GRACE = 3.0  # seconds for the main thread, which may be inside a long computation in C
_WORD = b"obsnet: terminated; run the same command again to go on\n"


@contextlib.contextmanager
def orderly_end(code: int) -> Iterator[None]:
    """Turn a TERM within the block into `SystemExit`, and end the process where that is not heard in time.

    Parameters
    ----------
    code : int
        Exit code.

    Notes
    -----
    A handler in Python runs only between two steps of the interpreter. The bytes that signals write into a pipe are
    read by a thread, which ends the process after `GRACE` seconds; a computation that holds the interpreter's lock
    ends first.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return

    def handle(_number: int, _frame: FrameType | None) -> None:
        os.write(2, _WORD)
        raise SystemExit(code)

    heard, written = os.pipe()
    os.set_blocking(written, False)
    before = signal.signal(signal.SIGTERM, handle)
    wakeup = signal.set_wakeup_fd(written, warn_on_full_buffer=False)
    threading.Thread(target=_watch, args=(heard, code), daemon=True).start()
    try:
        yield
    finally:
        signal.set_wakeup_fd(wakeup)
        signal.signal(signal.SIGTERM, before)
        os.close(written)  # the thread sees the end and closes its own


def _watch(heard: int, code: int) -> None:
    while numbers := os.read(heard, 64):
        if signal.SIGTERM in numbers:
            time.sleep(GRACE)
            os._exit(code)
    os.close(heard)
