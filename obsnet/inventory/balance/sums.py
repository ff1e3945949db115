"""Sums of an energy balance: what each row should be by the others."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from obsnet.inventory.balance.labels import ROWS

__all__ = ["identity_sides", "linear_terms"]

# Row and the least number of its parts that a table must have; the sums of parts.
_PARENTS = {
    "supply": ("supply", 1),
    "final": ("final consumption", 5),
    "transformation": ("transformation", 1),
}


def identity_sides(table: Any, name: str) -> tuple[str, Any] | None:
    """Return the row an identity is about and what it should be; None where rows are missing.

    Parameters
    ----------
    table : pandas.DataFrame
        Rows of `obsnet.inventory.balance.labels.ROWS`, a column a fuel.
    name : str
        See `obsnet.inventory.balance.identities`.
    """
    if name == "total":
        if not _there(table, "total consumption", "final consumption", "loss", "thermal power"):
            return None
        inputs = np.minimum(table.loc[_children(table, "transformation")].to_numpy(float), 0.0).sum(axis=0)
        used = table.loc[["final consumption", "loss"]].to_numpy(float).sum(axis=0)
        return "total consumption", used - inputs
    terms = _terms(table, name)
    if terms is None:
        return None
    row = next(iter(terms))
    parts = [r for r in terms if r != row]
    return row, -np.array([terms[r] for r in parts]) @ table.loc[parts].to_numpy(float)


def linear_terms(table: Any) -> Iterator[dict[str, float]]:
    """Yield of each sum its rows with the factors that make it 0, the row it is about first."""
    for name in ("supply", "difference", "final", "residential", "transformation"):
        terms = _terms(table, name)
        if terms is not None:
            yield terms


def _terms(table: Any, name: str) -> dict[str, float] | None:
    if name == "difference":
        terms = {"statistical difference": 1.0, "supply": -1.0, "transformation": -1.0, "loss": 1.0,
                 "final consumption": 1.0}  # fmt: skip
        return terms if _there(table, *terms) else None
    if name == "residential":
        terms = {"residential": 1.0, "urban": -1.0, "rural": -1.0}
        return terms if _there(table, *terms) else None
    row, least = _PARENTS[name]
    parts = _children(table, row)
    if (
        row not in table.index
        or len(parts) < least
        or (name == "transformation" and "thermal power" not in parts)
    ):
        return None
    return {row: 1.0, **dict.fromkeys(parts, -1.0)}


def _children(table: Any, parent: str) -> list[str]:
    return [r for r, entry in ROWS.items() if entry.parent == parent and r in table.index]


def _there(table: Any, *rows: str) -> bool:
    return all(r in table.index for r in rows)
