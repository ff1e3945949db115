"""Every error a user can cause: one base class, one clear line."""

from __future__ import annotations

import difflib
from collections.abc import Iterable
from enum import IntEnum
from typing import ClassVar

__all__ = [
    "ClusterError",
    "ConfigError",
    "DependencyError",
    "Exit",
    "FormatError",
    "GridError",
    "MissingVariableError",
    "ObsnetError",
    "RangeError",
    "RegionError",
    "ResourceError",
    "ScaleError",
    "SchemaError",
    "SolverError",
    "StorageError",
    "UnfinishedError",
    "UnitError",
    "WorkerError",
    "nearest",
]


class Exit(IntEnum):
    """Exit codes of every command."""

    DONE = 0
    FAILED = 1  # some inputs were bad; the rest is done
    MISTAKE = 2  # in the command, the case or an input that all depends on
    INTERNAL = 70  # ours
    AGAIN = 75  # the machine's: disk full or read-only, no memory; the same command may go on later
    INTERRUPTED = 130  # Ctrl-C
    TERMINATED = 143  # TERM, as batch systems send it


class ObsnetError(Exception):
    """Something the user can mend; the command line prints it as one line without a traceback."""

    exit_code: ClassVar[Exit] = Exit.MISTAKE

    def __str__(self) -> str:
        # KeyError would print the repr of its message.
        return str(self.args[0]) if self.args else self.__class__.__name__


class ConfigError(ObsnetError, ValueError):
    """A configuration file or option that does not say what the program needs."""


class DependencyError(ObsnetError, ImportError):
    """An optional part is not installed, or another distribution has taken one of our names."""


class FormatError(ObsnetError, ValueError):
    """A file that is not what its name or place promises; always one line, whatever a library has put into it."""

    def __str__(self) -> str:
        return " ".join(line.strip() for line in super().__str__().splitlines())


class MissingVariableError(FormatError, KeyError):
    """A file without a variable that its format must have."""


class GridError(ObsnetError, ValueError):
    """Edges, shapes or domains that do not fit together."""


class RangeError(ObsnetError, ValueError):
    """A value outside its physical range."""


class RegionError(ObsnetError, ValueError):
    """A region file or code that cannot be used."""


class ResourceError(ObsnetError, RuntimeError):
    """A job that does not fit this machine."""


class ScaleError(ObsnetError, ValueError):
    """Calibration scales that may not be mixed or converted."""


class SchemaError(ObsnetError, ValueError):
    """A table or dataset that breaks a contract of `obsnet.schema`."""


class StorageError(ObsnetError, OSError):
    """A disk that takes no more: full, read-only, over quota. Nothing of ours is wrong; the same command may go on."""

    exit_code = Exit.AGAIN


class SolverError(ObsnetError, ArithmeticError):
    """An inverse problem that cannot be solved as posed."""


class UnfinishedError(ObsnetError, RuntimeError):
    """Files that a run has not made to the end: shards failed, never ran or still run."""


class UnitError(ObsnetError, ValueError):
    """A unit that is missing, unknown or of the wrong dimension."""


class WorkerError(ObsnetError, RuntimeError):
    """A worker process that died, or failed in a way that cannot be told."""


class ClusterError(WorkerError):
    """A batch system, scheduler or node that is gone; the same command may go on."""

    exit_code = Exit.AGAIN


def nearest(name: str, choices: Iterable[str], n: int = 3) -> str:
    """Say which of `choices` the user may have meant, as the tail of an error text.

    Parameters
    ----------
    name : str
        What was asked for.
    choices : iterable of str
        What there is.
    n : int
        How many near matches to name.

    Returns
    -------
    str
        ``"; nearest: 'a', 'b'"``, or ``"; there is: …"`` when nothing is near.
    """
    known = sorted({str(c) for c in choices})
    close = difflib.get_close_matches(str(name), known, n=n, cutoff=0.5)
    if close:
        return "; nearest: " + ", ".join(repr(c) for c in close)
    shown = ", ".join(repr(c) for c in known[:12])
    return f"; there is: {shown}{', …' if len(known) > 12 else ''}" if known else "; there is none"
