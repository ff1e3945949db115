"""The door of every reader: whatever a library raises over a file becomes one line that names the file.

Files come from everywhere, and a damaged one makes libraries raise anything: ``KeyError`` on a lost dimension scale,
``AttributeError``, ``OverflowError`` on a year 90000, ``ArrowInvalid``. A reader says what it opens::

    with reading(path, "a granule"):
        …

Faults that the reader itself finds (`ObsnetError`) pass as they are. With ``--debug`` nothing is translated; without it
the line of our own source is named where the fault arose in it, so that a bug does not hide behind a file.
"""

from __future__ import annotations

import contextlib
import errno
import functools
import math
import os
import sys
from collections.abc import Callable, Iterator, Mapping
from contextvars import ContextVar
from pathlib import Path
from types import TracebackType
from typing import Any, TypeVar, cast

from obsnet.errors import FormatError, ObsnetError, StorageError

__all__ = [
    "at_file",
    "door",
    "read_csv",
    "reading",
    "refuse_claim",
    "refuse_claims",
    "refuse_long_lines",
    "refuse_long_numbers",
    "show_on",
]

F = TypeVar("F", bound=Callable[..., Any])

_ROOT = Path(__file__).resolve().parents[1]
_OURS = ("obsnet", "retrieval", "inversion", "stations")
_LENGTH = 240  # of what a library says; some quote the file
CLAIM = 1 << 28  # bytes that any file may ask for
LINE = 100_000  # characters of a line of a table
_FULL = {errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EFBIG}  # what only writing meets
RATIO = 5000  # more than deflate can pack into one byte, four bytes in memory for one in the file

_open: ContextVar[tuple[str, ...]] = ContextVar("files being read", default=())
_board: list[Any] = []  # memory shared with the process that watches this one


@contextlib.contextmanager
def reading(path: str | os.PathLike[str], what: str = "") -> Iterator[None]:
    """Turn what any library raises over a file into a `FormatError` that names it, a full disk into a `StorageError`.

    Parameters
    ----------
    path : path
        What is being read.
    what : str
        What it should be, for the text: ``"netCDF"``, ``"a granule"``.
    """
    token = _open.set((*_open.get(), ""))
    at_file(path)
    try:
        yield
    except ObsnetError:
        raise
    except Exception as error:
        if os.environ.get("OBSNET_DEBUG"):
            raise
        if (
            isinstance(error, OSError) and error.errno in _FULL
        ):  # of a cache or a temporary file, not of this one
            raise StorageError(f"{_open.get()[-1]}: the disk refused while it was read ({error})") from error
        kind = f" as {what}" if what else ""
        raise FormatError(f"{_open.get()[-1]}: cannot be read{kind} ({_said(error)})") from error
    finally:
        _open.reset(token)
        _show(_open.get()[-1] if _open.get() else "")


def at_file(path: str | os.PathLike[str]) -> None:
    """Say which of several files is being read now; outside of `reading` nothing asks."""
    files = _open.get()
    if files:
        _open.set((*files[:-1], str(path)))
        _show(str(path))


def door(what: str = "") -> Callable[[F], F]:
    """Put a function whose first argument is a path behind `reading`."""

    def wrap(function: F) -> F:
        @functools.wraps(function)
        def opened(*args: Any, **kwargs: Any) -> Any:
            with reading(args[0] if args else next(iter(kwargs.values())), what):
                return function(*args, **kwargs)

        return cast("F", opened)

    return wrap


def refuse_claims(path: str | os.PathLike[str], variables: Mapping[Any, Any]) -> None:
    """Refuse a file of which a variable (of netCDF4 or xarray) claims more than it can hold; see `refuse_claim`."""
    for name, variable in variables.items():
        each = getattr(variable.dtype, "itemsize", 8)  # texts of any length have none
        refuse_claim(path, str(name), math.prod(map(int, variable.shape)) * each)


def refuse_claim(path: str | os.PathLike[str], name: str, nbytes: int, held: int | None = None) -> None:
    """Refuse to allocate what a file claims to hold and cannot.

    Parameters
    ----------
    path : path
        File.
    name : str
        Variable.
    nbytes : int
        Of the variable in memory.
    held : int, optional
        Bytes that the file really has; by default its size.

    Raises
    ------
    FormatError
        More than `CLAIM`, and more than `RATIO` times the file.
    """
    if nbytes <= CLAIM:
        return
    size = os.stat(path).st_size if held is None else held
    if nbytes > RATIO * size:
        raise FormatError(
            f"{os.fspath(path)}: {name} claims {nbytes / 2**30:.3g} GiB, which a file of {size:,} bytes cannot hold"
        )


def show_on(board: Any) -> None:
    """Write the name of the file that is being read into memory that outlives this process."""
    _board[:] = [board]


def refuse_long_lines(path: str | os.PathLike[str], data: bytes) -> None:
    """Refuse a text with a line that no table has: what splits it into cells would take hours and all memory.

    Raises
    ------
    FormatError
        A line of more than `LINE` bytes.
    """
    start = 0
    number = 1
    while len(data) - start > LINE:
        end = data.rfind(b"\n", start, start + LINE + 1)
        if end < 0:
            raise FormatError(
                f"{os.fspath(path)}: line {number} is longer than {LINE:,} characters; no row is"
            )
        number += data.count(b"\n", start, end + 1)
        start = end + 1


def read_csv(path: str | os.PathLike[str], **options: Any) -> Any:
    """Return a CSV table as pandas reads it, if no line is longer than any row is; see `refuse_long_lines`.

    Raises
    ------
    FormatError
        See `refuse_long_numbers`.
    Exception
        What pandas raises over the file; the door turns it into one line.
    """
    import pandas as pd

    refuse_long_lines(path, Path(path).read_bytes())
    table = pd.read_csv(path, **options)
    refuse_long_numbers(path, table)
    return table


def refuse_long_numbers(path: str | os.PathLike[str], table: Any) -> None:
    """Refuse a table with a whole number beyond any float: pandas keeps it, and every later sum fails on it.

    Parameters
    ----------
    path : path
        To be named.
    table : pandas.DataFrame
        As pandas read it.

    Raises
    ------
    FormatError
        The row and the column of the first.
    """
    import pandas as pd

    for name, column in table.items():
        if column.dtype != object or "integer" not in pd.api.types.infer_dtype(column):
            continue
        for row, value in enumerate(column):
            if isinstance(value, int) and abs(value) > sys.float_info.max:
                digits = value.bit_length() * 3 // 10
                raise FormatError(
                    f"{os.fspath(path)}: row {row + 1}: {name} is a number of some {digits} digits"
                )


def _show(path: str) -> None:
    """Write the file's name where it outlives this process."""
    for board in _board:
        data = path.encode("utf-8", "replace")[: len(board) - 1] + b"\0"
        board[: len(data)] = data


def _said(error: BaseException) -> str:
    """Return what an exception says in one short line, and where in our own source it arose, if there."""
    text = " ".join(str(error).split())
    text = text if len(text) <= _LENGTH else text[: _LENGTH - 1] + "…"
    place = _place(error.__traceback__)
    plain = isinstance(error, OSError) and text
    words = text if plain else f"{type(error).__name__}: {text}" if text else type(error).__name__
    return f"{words}, {place}" if place else words


def _place(trace: TracebackType | None) -> str:
    """Return file and line of the innermost frame where it is ours, else nothing."""
    if trace is None:
        return ""
    while trace.tb_next is not None:
        trace = trace.tb_next
    path = Path(trace.tb_frame.f_code.co_filename)
    if not path.is_relative_to(_ROOT) or path.relative_to(_ROOT).parts[0] not in _OURS:
        return ""
    return f"at {path.relative_to(_ROOT).as_posix()}:{trace.tb_lineno}"
