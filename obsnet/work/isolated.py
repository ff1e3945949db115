"""Work in processes that may die: what kills one is the fault of the item it was at, and the rest goes on.

Libraries in C crash on damaged files, and a file may ask for any amount of memory or time. So files from outside are
read in a worker that a signal may end; its death becomes one line that names the file. Workers never outlive the
process that started them: the kernel ends them with it, and where it does not, a pipe that closes does.
"""

from __future__ import annotations

import atexit
import contextlib
import ctypes
import math
import mmap
import os
import pickle
import resource
import runpy
import signal
import subprocess
import sys
import tempfile
import threading
import traceback
import types
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from multiprocessing.connection import Connection, wait
from typing import Any, ParamSpec, Self, TypeVar

from obsnet import reading
from obsnet.errors import FormatError, WorkerError

__all__ = [
    "DEFAULT",
    "ONE_THREAD",
    "Death",
    "Limits",
    "Worker",
    "apart",
    "apart_or_death",
    "held",
    "run_pool",
    "tried",
]

P = ParamSpec("P")
R = TypeVar("R")

_THREADS = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "NUMBA_NUM_THREADS")
ONE_THREAD = dict.fromkeys(_THREADS, "1")
_BOARD = 4096  # bytes of the file name that outlives a worker
_START = "from obsnet.work.isolated import serve; serve({}, {}, {}, {}, {})"
_inside: list[bool] = []  # not empty in a worker


@dataclass(frozen=True)
class Limits:
    """What one item may take.

    Parameters
    ----------
    memory : int, optional
        Bytes of data of the worker; beyond them an allocation fails.
    seconds : float, optional
        Processor time; beyond it the kernel ends the worker. Waiting for a disk or a network does not count.
    """

    memory: int | None = None
    seconds: float | None = None


# Fields of fluxes may be large: half of the machine, where that is more than 4 GiB.
DEFAULT = Limits(max(4 << 30, os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") // 2), 600.0)


class Death(Exception):
    """A worker died; the text says of what."""


class Worker:
    """A process that does what it is told, one thing at a time, and is started again after its death.

    Parameters
    ----------
    limits : Limits
        Of each thing.
    """

    def __init__(self, limits: Limits = DEFAULT) -> None:
        self.limits = limits
        self.file = ""  # that it was reading when it died
        self.answers: Connection | None = None
        self._process: subprocess.Popen[bytes] | None = None
        self._orders: Connection
        self._life: Connection
        self._board: mmap.mmap

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def call(self, function: Callable[P, R], /, *args: P.args, **kwargs: P.kwargs) -> R:
        """Call a module-level function in the worker; what it raises is raised here.

        Raises
        ------
        FormatError
            The worker died; the text names the file that it was reading.
        """
        try:
            self.send(function, args, kwargs)
            return self.receive()
        except Death as death:
            where = self.file or str(next(iter(args), function.__name__))
            raise FormatError(f"{where}: {death}") from None

    def send(
        self, function: Callable[..., Any], args: Sequence[Any], kwargs: dict[str, Any] | None = None
    ) -> None:
        """Tell the worker what to do; `receive` fetches the answer."""
        message = pickle.dumps((function, tuple(args), kwargs or {}, self.limits))
        main = getattr(sys.modules["__main__"], "__file__", None) if b"__main__" in message else None
        message = pickle.dumps((main, message))
        if self._process is not None and self._process.poll() is not None:
            self.stop()  # it died while it had nothing to do
        if self._process is None:
            self._start()
        with contextlib.suppress(BrokenPipeError):  # `receive` finds it dead
            self._orders.send_bytes(message)

    def receive(self) -> Any:
        """Wait for the answer.

        Raises
        ------
        Death
            The worker died.
        """
        assert self.answers is not None
        assert self._process is not None
        try:
            good, value = self.answers.recv()
        except (EOFError, OSError):
            text = _cause(self._process.wait(), self.limits)
            self.stop()
            raise Death(text) from None
        except BaseException:  # Ctrl-C: an answer that comes late must not be taken for the next one's
            self.stop()
            raise
        if good:
            return value
        raise value

    def stop(self) -> None:
        """End the process, whatever it does."""
        if self._process is None:
            return
        self.file = _written(self._board)
        self._process.kill()
        self._process.wait()
        for pipe in (self._orders, self.answers, self._life):
            assert pipe is not None
            pipe.close()
        self._board.close()
        self._process = self.answers = None

    def _start(self) -> None:
        self.file = ""
        with tempfile.TemporaryFile() as shared:
            shared.truncate(_BOARD)
            self._board = mmap.mmap(shared.fileno(), _BOARD)
            (orders, self._orders), (self.answers, answers), (life, self._life) = (_pipe() for _ in range(3))
            theirs = (orders.fileno(), answers.fileno(), life.fileno(), shared.fileno())
            self._process = subprocess.Popen(
                [sys.executable, "-c", _START.format(*theirs, os.getpid())],
                stdin=subprocess.DEVNULL,
                pass_fds=theirs,
                env={
                    **os.environ,
                    **ONE_THREAD,
                    "PYTHONPATH": os.pathsep.join(p or os.getcwd() for p in sys.path),
                },
            )
        for end in (orders, answers, life):
            end.close()


def apart(function: Callable[P, R], /, *args: P.args, **kwargs: P.kwargs) -> R:
    """Call a module-level function that reads a file from outside, in a process that may die of it.

    The process is started on first use, kept, and ends with this one. In a worker, and with ``--debug``, the function
    is simply called.

    Raises
    ------
    FormatError
        The process died; the text names the file that it was reading.
    """
    if _here():
        return function(*args, **kwargs)
    worker, lock = _shared()
    with lock:
        return worker.call(function, *args, **kwargs)


def tried(function: Callable[..., object], *args: Any, limits: Limits) -> None:
    """Call a module-level function of a file as `apart` does, to see whether it is survived.

    In a worker, and with ``--debug``, nothing is called.

    Raises
    ------
    FormatError
        The process died; the text names the file.
    """
    if _here():
        return
    worker, lock = _shared()
    with lock, _within_limits(worker, limits):
        worker.call(function, *args)


@contextlib.contextmanager
def held(seconds: float) -> Iterator[None]:
    """Hold what is done inside to processor time, for work of which only a part has a limit.

    Beyond it the kernel ends the worker. In a process that is no worker, nothing is held.

    Parameters
    ----------
    seconds : float
        Processor time of this process.
    """
    if not _inside:
        yield
        return
    before = resource.getrlimit(resource.RLIMIT_CPU)
    _limit_time(seconds)
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_CPU, before)


_kept: dict[
    int, tuple[Worker, threading.Lock]
] = {}  # by process id: a fork must not talk to its parent's worker


def apart_or_death(function: Callable[[Any], Any], item: Any, *, limits: Limits) -> Any:
    """Call a function of one item as `apart` does, within limits.

    Raises
    ------
    Death
        The process died.
    """
    if _here():
        return function(item)
    worker, lock = _shared()
    with lock, _within_limits(worker, limits):
        worker.send(function, (item,))
        return worker.receive()


def _here() -> bool:
    return bool(_inside or os.environ.get("OBSNET_DEBUG"))


@contextlib.contextmanager
def _within_limits(worker: Worker, limits: Limits) -> Iterator[None]:
    worker.limits, before = limits, worker.limits
    try:
        yield
    finally:
        worker.limits = before


def _shared() -> tuple[Worker, threading.Lock]:
    """Return the worker of this process and what lets one thread at a time talk to it."""
    found = _kept.get(os.getpid())
    if found is None:
        worker = Worker()
        found = _kept.setdefault(os.getpid(), (worker, threading.Lock()))
        atexit.register(worker.stop)
    return found


def run_pool(
    function: Callable[[Any], Any],
    items: Sequence[Any],
    workers: int,
    limits: Limits,
    on_death: Callable[[Any, str], Any] | None,
) -> Iterator[tuple[Any, Any]]:
    """Apply a module-level function to every item in processes and yield pairs as they finish.

    Parameters
    ----------
    function : callable
        Of one item.
    items : sequence
        Anything that can be handed to a process.
    workers : int
        Processes.
    limits : Limits
        Of each item.
    on_death : callable, optional
        ``on_death(item, reason)`` is the result of an item that killed its worker; without it that is an error.

    Raises
    ------
    WorkerError
        A worker died and nobody said what that means.
    """
    queue = iter(items)
    idle = [Worker(limits) for _ in range(workers)]
    busy: dict[Any, tuple[Worker, Any]] = {}
    try:
        while True:
            while idle and (item := next(queue, _END)) is not _END:
                worker = idle.pop()
                worker.send(function, (item,))
                busy[worker.answers] = worker, item
            if not busy:
                return
            for ready in wait(list(busy)):
                worker, item = busy.pop(ready)
                try:
                    result = worker.receive()
                except Death as death:
                    if on_death is None:
                        raise WorkerError(f"{_short(item)}: {death}") from None
                    result = on_death(item, str(death))
                idle.append(worker)
                yield item, result
    finally:
        for worker in [*idle, *(w for w, _ in busy.values())]:
            worker.stop()


_END = object()


def _pipe() -> tuple[Connection, Connection]:
    """Return the end to read from and the end to write to."""
    low, high = os.pipe()
    return Connection(low, writable=False), Connection(high, readable=False)


def _written(board: mmap.mmap) -> str:
    return board[:].split(b"\0")[0].decode("utf-8", "replace")


def _short(item: Any) -> str:
    text = str(item)
    return text if len(text) <= 200 else text[:199] + "…"


def _cause(code: int, limits: Limits) -> str:
    """Say of what a process died."""
    if code >= 0:
        return f"the process at work on it ended by itself, with code {code}"
    name = signal.Signals(-code).name
    if -code == signal.SIGXCPU:
        most = "more" if limits.seconds is None else f"more than {limits.seconds:g} s of"
        allowed = " than it may" if limits.seconds is None else ""
        return f"it took {most} processor time{allowed} ({name}); is the file damaged?"
    why = (
        "was the machine's memory full?"
        if -code == signal.SIGKILL
        else "a library crashed; is the file damaged?"
    )
    return f"the process at work on it was killed by {name} ({why})"


def serve(orders: int, answers: int, life: int, board: int, parent: int) -> None:
    """Do what a `Worker` is told, until it tells no more; the body of its process."""
    _inside.append(True)
    _end_with(parent, life)
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))  # a crash is expected; nobody wants its memory on disk
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the process that has the terminal
    reading.show_on(mmap.mmap(board, _BOARD))
    given, back = Connection(orders, writable=False), Connection(answers, readable=False)
    from threadpoolctl import threadpool_limits

    threadpool_limits(1)
    while True:
        try:
            message = given.recv_bytes()
        except EOFError:
            return
        try:
            main, message = pickle.loads(message)
            if main is not None and getattr(sys.modules["__main__"], "__file__", None) != main:
                _import_main(main)
            function, args, kwargs, limits = pickle.loads(message)
            _limit(limits)
            answer = pickle.dumps((True, function(*args, **kwargs)))
        except Exception as error:
            answer = _packed(error)
        back.send_bytes(answer)


def _import_main(path: str) -> None:
    """Make the functions of a script known here; as `multiprocessing` does, what it guards by its name is not run."""
    module = types.ModuleType("__mp_main__")
    module.__dict__.update(runpy.run_path(path, run_name="__mp_main__"))
    sys.modules["__main__"] = sys.modules["__mp_main__"] = module


def _packed(error: Exception) -> bytes:
    """Return an exception as it travels, with the traceback it had here as a note."""
    error.add_note("".join(traceback.format_exception(error)))
    error.__cause__ = error.__context__ = None
    try:
        answer = pickle.dumps((False, error))
        pickle.loads(answer)
    except Exception:  # one that cannot be made from its own arguments
        answer = pickle.dumps((False, WorkerError(f"{type(error).__name__}: {error}")))
    return answer


def _limit(limits: Limits) -> None:
    """Let the kernel hold the next thing to its limits."""
    _, most = resource.getrlimit(resource.RLIMIT_DATA)
    resource.setrlimit(resource.RLIMIT_DATA, (_within(limits.memory, most), most))
    _limit_time(limits.seconds)


def _limit_time(more: float | None) -> None:
    used = resource.getrusage(resource.RUSAGE_SELF)
    seconds = None if more is None else math.ceil(used.ru_utime + used.ru_stime + more)
    _, most = resource.getrlimit(resource.RLIMIT_CPU)
    resource.setrlimit(resource.RLIMIT_CPU, (_within(seconds, most), most))


def _within(wanted: int | None, most: int) -> int:
    if wanted is None:
        return most
    return wanted if most == resource.RLIM_INFINITY else min(wanted, most)


def _end_with(parent: int, life: int) -> None:
    """End this process when the one that started it ends, however that happens."""
    if sys.platform == "linux":
        with contextlib.suppress(OSError, AttributeError):  # a libc without prctl: the pipe remains
            ctypes.CDLL(None).prctl(1, signal.SIGKILL)  # PR_SET_PDEATHSIG
    if os.getppid() != parent:
        os._exit(1)

    def watch() -> None:
        os.read(life, 1)  # nobody writes; it ends when the other end is closed
        os._exit(1)

    threading.Thread(target=watch, daemon=True).start()
