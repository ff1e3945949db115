"""Which species of a file to read."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from obsnet.errors import ConfigError, FormatError, nearest

if TYPE_CHECKING:
    from stations.record.record import Notes
    from stations.record.rows import Rows

__all__ = ["ALL", "PREFERRED", "NoSpeciesError", "choose", "each"]

# Which species of a file is meant where the caller names none.
PREFERRED = ("CO2", "CH4", "N2O", "CO", "SF6", "H2")


ALL = "*"


class NoSpeciesError(ConfigError):
    """A species that a file does not hold."""


def choose(available: list[str], species: str | None, path: str | Path) -> list[str]:
    """Return which of a file's species to read.

    Parameters
    ----------
    available : list of str
        What the file holds, in its order.
    species : str or None
        A name in any case, ``"*"``, or None for the preferred one.
    path : path
        For the error text.

    Raises
    ------
    NoSpeciesError
        The file does not hold that species.
    """
    if not available:
        raise FormatError(f"{path}: holds no species that its format knows")
    if species == ALL:
        return available
    if species is None:
        return [next((a for p in PREFERRED for a in available if a.upper() == p), available[0])]
    for name in available:
        if name.upper() == species.upper():
            return [name]
    raise NoSpeciesError(f"{path}: no {species} in this file{nearest(species, available)}")


def each(
    wanted: list[str], available: list[str], notes: Notes, make: Callable[[str, Notes], Rows]
) -> list[Rows]:
    """Return a record of each species wanted, its notes beginning with those of the file."""
    records = []
    for gas in wanted:
        record = make(gas, notes.copy())
        record.attrs["species_available"] = available
        records.append(record)
    return records
