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
NUDGE = 0.1  # seconds until a main thread that has not heard is sent the signal itself
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
    ends first. A wait of the main thread that began just after the signal came, or while another thread took it, is
    not broken by it: the thread sends it again, to the main thread, until it is heard.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return

    obeyed = threading.Event()

    def handle(_number: int, _frame: FrameType | None) -> None:
        if obeyed.is_set():  # sent again: what tidies up is left alone
            return
        obeyed.set()
        os.write(2, _WORD)
        raise SystemExit(code)

    heard, written = os.pipe()
    os.set_blocking(written, False)
    before = signal.signal(signal.SIGTERM, handle)
    wakeup = signal.set_wakeup_fd(written, warn_on_full_buffer=False)
    threading.Thread(target=_watch, args=(heard, obeyed, code), daemon=True).start()
    try:
        yield
    finally:
        signal.set_wakeup_fd(wakeup)
        signal.signal(signal.SIGTERM, before)
        os.close(written)  # the thread sees the end and closes its own


def _watch(heard: int, obeyed: threading.Event, code: int) -> None:
    main = threading.main_thread().ident
    assert main is not None  # it runs
    while numbers := os.read(heard, 64):
        if signal.SIGTERM in numbers:
            end = time.monotonic() + GRACE
            while not obeyed.wait(NUDGE) and time.monotonic() < end:
                signal.pthread_kill(main, signal.SIGTERM)
            time.sleep(max(end - time.monotonic(), 0.0))
            os._exit(code)
    os.close(heard)
