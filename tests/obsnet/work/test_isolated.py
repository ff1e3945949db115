"""Workers that die take nothing with them but their item, and never outlive who started them."""

import contextlib
import ctypes
import os
import resource
import signal
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest

from obsnet.errors import FormatError, WorkerError
from obsnet.reading import reading
from obsnet.work.isolated import DEFAULT, Death, Limits, Worker, apart, apart_or_death, held, run_pool
from obsnet.work.parallel import map_unordered
from obsnet.work.work import Work


def work_on(item):
    """Do as the item says."""
    with reading(f"{item}.nc"):
        if item == "crash":
            ctypes.string_at(0)
        if item == "abort":
            os.abort()
        if item == "kill":
            os.kill(os.getpid(), signal.SIGKILL)
        if item == "exit":
            os._exit(3)
        if item == "spin":
            while True:
                pass
        if item == "memory":
            return np.ones(1 << 28).nbytes  # 2 GiB
        if item == "error":
            raise KeyError("units")
    return item.upper()


def burn(seconds):
    """Take processor time: as much as is said within a limit of a second, and as much again outside of it."""
    for limit in (held(1.0), contextlib.nullcontext()):
        with limit:
            end = time.process_time() + seconds
            while time.process_time() < end:
                pass
    return resource.getrlimit(resource.RLIMIT_CPU)[0]


class Odd(Exception):
    """One that cannot be made from its own arguments."""

    def __init__(self, one, two):
        super().__init__(f"{one} {two}")


def odd(item):
    raise Odd("a", item)


BAD = {
    "crash": "killed by SIGSEGV",
    "abort": "killed by SIGABRT",
    "kill": "killed by SIGKILL",
    "exit": "ended by itself, with code 3",
}
TIGHT = Limits(1 << 30, 1.0)


def deaths(scheduler, workers, items):
    done = map_unordered(
        work_on,
        items,
        Work(scheduler=scheduler, workers=workers, file_gib=1.0, file_seconds=1.0),
        enough=workers > 1,
        on_death=lambda item, reason: f"bad {item}: {reason}",
    )
    return dict(done)


@pytest.mark.parametrize("workers", [1, 2])
def test_a_dead_worker_costs_its_item_alone(workers):
    items = ["a", *BAD, "b", "spin", "c"]
    found = deaths("auto" if workers == 1 else "processes", workers, items)
    assert {k: v for k, v in found.items() if len(k) == 1} == {"a": "A", "b": "B", "c": "C"}
    for item, text in BAD.items():
        assert text in found[item]
        assert found[item].startswith(f"bad {item}: ")
    assert "more than 1 s of processor time" in found["spin"]


def test_a_part_of_the_work_has_a_limit_of_its_own():
    with Worker(Limits()) as worker:
        assert worker.call(burn, 0.7) == resource.RLIM_INFINITY  # 1.4 s in all
        with pytest.raises(FormatError, match="more processor time than it may"):
            worker.call(burn, 4.0)
    before = resource.getrlimit(resource.RLIMIT_CPU)
    with held(0.0):  # in a process that is no worker
        assert resource.getrlimit(resource.RLIMIT_CPU) == before


def test_memory_beyond_the_limit_is_refused_and_the_worker_lives():
    with Worker(TIGHT) as worker:
        with pytest.raises(FormatError, match=r"memory.nc: cannot be read \(MemoryError") as caught:
            worker.call(work_on, "memory")
        assert "in work_on" in caught.value.__notes__[0]  # where it was raised
        number = worker._process.pid
        assert worker.call(work_on, "a") == "A"
        assert worker._process.pid == number


def slowly(item):
    time.sleep(1.0 if item == "first" else 0.0)
    return item


def stop_it(*_):
    raise KeyboardInterrupt


def test_an_answer_that_comes_late_is_not_the_next_ones():
    before = signal.signal(signal.SIGALRM, stop_it)
    try:
        with Worker() as worker:
            assert worker.call(slowly, "start") == "start"
            signal.setitimer(signal.ITIMER_REAL, 0.2)
            with pytest.raises(KeyboardInterrupt):
                worker.call(slowly, "first")
            assert worker.call(slowly, "second") == "second"
    finally:
        signal.signal(signal.SIGALRM, before)


def test_threads_take_turns():
    items = [f"{k}" for k in range(40)]
    with ThreadPoolExecutor(8) as pool:
        assert list(pool.map(lambda item: apart(slowly, item), items)) == items


def test_what_a_function_raises_comes_back():
    with Worker() as worker:
        with pytest.raises(
            FormatError, match=r"error.nc: cannot be read \(KeyError: 'units', at tests|KeyError"
        ):
            worker.call(work_on, "error")
        with pytest.raises(WorkerError, match="Odd: a b"):
            worker.call(odd, "b")
        assert worker.call(work_on, "a") == "A"


def test_the_file_that_was_read_is_named():
    for item in ("crash", "abort"):
        with pytest.raises(FormatError, match=rf"^{item}.nc: the process at work on it was killed by SIG"):
            apart(work_on, item)
    assert apart(work_on, "x") == "X"


def test_a_death_that_nobody_explains_is_an_error():
    with pytest.raises(WorkerError, match="crash: the process at work on it was killed by SIGSEGV"):
        list(run_pool(work_on, ["crash"], 1, Limits(), None))
    with pytest.raises(Death, match="SIGSEGV"):
        apart_or_death(work_on, "crash", limits=DEFAULT)


def test_a_worker_that_died_idle_is_replaced():
    with Worker() as worker:
        worker.call(work_on, "a")
        os.kill(worker._process.pid, signal.SIGKILL)
        worker._process.wait()
        assert worker.call(work_on, "b") == "B"


LEADER = """
import signal
from obsnet.work.parallel import map_unordered
from obsnet.work.work import Work
from tests.obsnet.work.test_isolated import slow

if __name__ == "__main__":
    signal.signal(signal.SIGINT, signal.default_int_handler)  # a job in the background starts without
    for item in map_unordered(slow, [1, 2, 3], Work(scheduler="processes", workers=2)):
        pass
"""


def slow(item):
    os.write(1, f"worker {os.getpid()}\n".encode())  # at once: two workers' prints may mix
    if item == 1:
        time.sleep(300)  # waits
    while True:  # or works
        pass


@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGTERM, signal.SIGINT])
def test_no_worker_outlives_its_leader(how, tmp_path):
    script = tmp_path / "leader.py"
    script.write_text(LEADER)
    leader = subprocess.Popen(
        [sys.executable, str(script)],
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
        env={**os.environ, "PYTHONPATH": str(Path(__file__).parents[3])},
    )
    workers = [int(leader.stdout.readline().split()[1]) for _ in range(2)]
    assert all(alive(n) for n in workers)
    leader.send_signal(how)
    leader.wait(60)
    deadline = time.monotonic() + 30  # a loaded machine; five are the aim
    while any(alive(n) for n in workers) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert not any(alive(n) for n in workers)


def alive(number):
    """Tell whether a process runs; one that is dead and not yet buried does not."""
    try:
        state = Path(f"/proc/{number}/stat").read_text().rpartition(")")[2].split()[0]
    except (FileNotFoundError, ProcessLookupError):
        return False
    return state != "Z"
