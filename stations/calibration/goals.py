"""Network compatibility goals as a table."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from pydantic import Field

from obsnet.config import Options, read_toml, validate
from obsnet.errors import ConfigError, nearest

__all__ = ["Goal", "compatibility_goal", "known_goal"]

TABLE = Path(__file__).with_name("goals.toml")


class _Table(Options):
    note: str = ""
    goal: dict[str, float]
    extended: dict[str, float] = Field(default_factory=dict)


@dataclass(frozen=True)
class Goal:
    """How closely laboratories should agree on one species.

    Attributes
    ----------
    species : str
        Formula.
    goal, extended : float
        In the species' customary unit; extended is for regional studies, NaN where there is none.
    note : str
        What to know of the figures' source.
    """

    species: str
    goal: float
    extended: float
    note: str


def compatibility_goal(species: str, table: str | Path | None = None) -> Goal:
    """Return the goal of a species.

    Parameters
    ----------
    species : str
        Formula.
    table : path, optional
        TOML in the form of the package's ``goals.toml``, used instead of it.
    """
    path = Path(table) if table else TABLE
    found = validate(_Table, read_toml(path), path.name)
    if species not in found.goal:
        raise ConfigError(f"{path.name} has no compatibility goal of {species}{nearest(species, found.goal)}")
    return Goal(species, found.goal[species], found.extended.get(species, float("nan")), found.note)


def known_goal(species: str) -> float:
    """Return the goal of the package's table, infinite for a species it has none of."""
    return validate(_Table, read_toml(TABLE), TABLE.name).goal.get(species, float("inf"))
