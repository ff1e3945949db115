"""Tables that our own commands made, read back for a section."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

from obsnet.errors import FormatError
from obsnet.reading import door, read_csv

__all__ = ["read_made"]


@door("a table of ours")
def read_made(path: Path, command: str, needed: Iterable[str], texts: Iterable[str]) -> Any:
    """Read a table.

    Parameters
    ----------
    path : Path
    command : str
        That made it, for the error.
    needed : iterable of str
        Columns that must be there.
    texts : iterable of str
        Columns of text, in which an empty cell is ``""``.

    Raises
    ------
    FormatError
        A column is missing.
    """
    words = tuple(texts)
    table = read_csv(path, dtype=dict.fromkeys(words, str))
    missing = [c for c in (*needed, *words) if c not in table]
    if missing:
        raise FormatError(f"{path}: not a table of `obsnet {command}`: no column {', '.join(missing)}")
    return table.fillna(dict.fromkeys(words, ""))
