"""Waiting for other processes."""

from __future__ import annotations

import time

from obsnet.store import ObservationStore


def wait_for(condition, what, seconds=120.0):
    """Wait until something holds; a test that waits in vain says for what."""
    end = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > end:
            raise TimeoutError(f"no {what} after {seconds:g} s")
        time.sleep(0.05)


def wait_for_some(process, store):
    """Wait until a process has written something to a store, and is still at work."""
    seen = ObservationStore(store)
    wait_for(lambda: process.poll() is not None or bool(seen.files()), "first granule")
    assert process.poll() is None
