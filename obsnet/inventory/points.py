"""Registers of point sources: plants with place and emission, from a CSV table."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from obsnet.errors import FormatError, SchemaError, UnitError, nearest
from obsnet.inventory.table import mole_rate
from obsnet.points import Points
from obsnet.reading import door, read_csv

__all__ = ["read_points"]

_COLUMNS = ("lat", "lon", "value", "unit")


@door("a table of points")
def read_points(path: str | Path, gas: str, sector: str | None = None) -> Points:
    """Read a register of point sources.

    Parameters
    ----------
    path : path
        CSV in UTF-8 with columns ``lat, lon`` (degrees), ``value``, ``unit``, and ``sector`` unless it is given here.
        ``unit`` is a mass a year (``Mt``, ``kt``, ``万吨``), or ``1`` in every row: values only weigh the points of a
        cell against each other, and all flux of the sector in these cells is theirs. ``gas`` says of what the mass is,
        ``C`` for CO2 as carbon; by default that of the flux. Other columns are passed over.
    gas : str
        Of the flux that is split.
    sector : str, optional
        Of which sector all points are, where the table has no such column.

    Returns
    -------
    Points
        Rates in mol s-1.

    Raises
    ------
    FormatError
        No such table, columns missing, no sector.
    SchemaError
        Rows of another gas, or some of unit 1 and some not.
    UnitError
        A unit that is no mass.
    RangeError
        See `obsnet.points.Points`.
    """
    import pandas as pd

    path = Path(path)
    try:
        table = read_csv(
            path, encoding="utf-8-sig", skipinitialspace=True, dtype={"unit": str, "sector": str}
        )
    except FileNotFoundError:
        raise FormatError(f"{path}: no such table of points") from None
    except (ValueError, UnicodeDecodeError) as error:
        raise FormatError(f"{path}: not a CSV table in UTF-8: {error}") from error
    for column in _COLUMNS:
        if column not in table.columns:
            raise FormatError(f"{path}: points lack column {column!r}{nearest(column, table.columns)}")
    if table.empty:
        raise FormatError(f"{path}: a table of points without a row")
    if "sector" not in table.columns:
        if sector is None:
            raise FormatError(f"{path}: say in a column 'sector' of which flux each point is part")
        table["sector"] = sector
    of = table["gas"].astype(str).str.upper() if "gas" in table.columns else pd.Series(gas, table.index)
    strange = ~of.isin({gas, "C"} if gas == "CO2" else {gas})
    if strange.any():
        raise SchemaError(
            f"{path}: row {int(np.argmax(strange)) + 2} is of {of[strange].iloc[0]}, the flux of {gas}"
        )
    unit = table["unit"].fillna("").str.strip()
    whole = unit == "1"
    if whole.any() and not whole.all():
        raise SchemaError(
            f"{path}: unit is 1 in some rows and a mass in others; row {int(np.argmax(whole)) + 2}"
        )
    numbers = {
        c: pd.to_numeric(table[c], errors="coerce").to_numpy(np.float64) for c in ("lat", "lon", "value")
    }
    rate = numbers["value"].copy()
    for kind, rows in table.groupby([unit, of]).indices.items() if not whole.any() else ():
        try:
            rate[rows] = mole_rate(rate[rows], *kind)
        except UnitError as error:
            raise UnitError(
                f"{path}: unit {kind[0]!r} is no mass a year ({error}); of capacities and the like say unit 1"
            ) from error
    return Points(
        numbers["lat"], numbers["lon"], rate, table["sector"].to_numpy(str), bool(whole.all()), path.name
    )
