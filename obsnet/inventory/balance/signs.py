"""Which way round the signs of an energy balance are: of the whole table, of a row, by what its sums say."""

from __future__ import annotations

from typing import Any, Literal

import numpy as np

from obsnet.errors import FormatError
from obsnet.inventory.balance.labels import ROWS
from obsnet.inventory.balance.sums import linear_terms
from obsnet.inventory.notes import note

__all__ = ["Signs", "printed_signs"]

Signs = Literal["printed", "reversed"]
# Fuels a power station burns and never makes: their sign tells which convention a table follows.
_BURNT = (
    "raw coal",
    "cleaned coal",
    "other washed coal",
    "diesel",
    "fuel oil",
    "natural gas",
    "coke oven gas",
    "refinery gas",
)
_LEFT = 0.1  # of the gap of a sum, where turning one row closes it
_LITTLE = 1.0  # sum of gaps in printed units below which nothing is told from them


def printed_signs(table: Any, signs: Signs, where: str) -> tuple[Any, list[str]]:
    """Return a table with the signs of the yearbooks; turned where the user says so.

    Parameters
    ----------
    table : pandas.DataFrame
        Rows of `obsnet.inventory.balance.labels.ROWS`, a column a fuel.
    signs : {"printed", "reversed"}
        Whether inputs of transformation are negative or positive.
    where : str
        For error texts.

    Returns
    -------
    table : pandas.DataFrame
    notes : list of str

    Raises
    ------
    FormatError
        Signs of the other convention, in the table or in a row.
    """
    inputs = [r for r in ("thermal power", "heating supply") if r in table.index]
    burnt = [f for f in _BURNT if f in table.columns]
    part = table.loc[inputs, burnt].to_numpy()
    positive, negative = part[part > 0].sum(), -part[part < 0].sum()
    notes = []
    if signs == "reversed":
        if negative > positive:
            raise FormatError(f"{where}: inputs to power and heat are negative already; --signs printed")
        rows = [r for r, row in ROWS.items() if row.section == "transformation" and r in table.index]
        table = table.copy()
        table.loc[rows] *= -1.0
        notes = [note("turned")]
    elif positive > negative and positive > 0.05:
        raise FormatError(
            f"{where}: fuels burnt for power and heat are positive ({positive:g}) where the yearbooks print "
            f"inputs negative; "
            "if this table has them so throughout, say --signs reversed"
        )
    else:
        for name in table.index:
            sign = {"+": 1.0, "-": -1.0}.get(ROWS[name].sign, 0.0)
            values = sign * table.loc[name, burnt if name in inputs else table.columns].to_numpy(float)
            if -values[values < 0].sum() > values[values > 0].sum():
                printed, found = ("positive", "negative") if sign > 0 else ("negative", "positive")
                raise FormatError(
                    f"{where}: {name} ({ROWS[name].zh}) is {found} where the yearbooks print it {printed}; turn its "
                    "signs"
                )
    _refuse_turned(table, where)
    return table, notes


def _refuse_turned(table: Any, where: str) -> None:
    """Refuse a row whose sum, or the sum it is part of, closes only with its signs turned."""
    for terms in linear_terms(table):
        values = {r: c * table.loc[r].to_numpy(float) for r, c in terms.items()}
        whole = next(iter(values))
        if whole != "statistical difference" and not values[whole].any():
            continue  # not filled in: two equal parts are no turned ones
        gap = sum(values.values())
        size = np.abs(gap).sum()
        for row, value in values.items():
            if size > _LITTLE and np.abs(gap - 2.0 * value).sum() < _LEFT * size:
                raise FormatError(
                    f"{where}: {row} ({ROWS[row].zh}) does not add up as it stands and does with its signs turned; "
                    "turn its signs"
                )
