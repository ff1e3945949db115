"""Meteorology beside a record: wind and what else rules may ask for, from a table, by nearest time."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from obsnet.errors import FormatError, MissingVariableError, RangeError, nearest
from obsnet.reading import read_csv, reading
from stations.record.series import nearest_times

if TYPE_CHECKING:
    import xarray as xr

__all__ = ["join_met"]

RANGES = {"wind_direction": (0.0, 360.0), "wind_speed": (0.0, 120.0)}  # degrees from which it blows, m s-1


def join_met(record: xr.Dataset, path: str | Path, tolerance_minutes: float = 31.0) -> xr.Dataset:
    """Add the columns of a CSV of meteorology to a record.

    Parameters
    ----------
    record : xarray.Dataset
        Layout of `stations.record.record`.
    path : path
        CSV with ``time`` (ISO, UTC) and numeric columns, such as ``wind_direction`` (degrees from which it
        blows) and ``wind_speed`` (m s-1). Fills of -99 or below become missing.
    tolerance_minutes : float
        Rows without a time this near have no value.

    Returns
    -------
    xarray.Dataset
        The record with one variable more a column.

    Raises
    ------
    FormatError, MissingVariableError, RangeError
        No table, no time, wind outside its range.
    """
    import pandas as pd

    with reading(path, "a table of meteorology"):
        table = read_csv(path, comment="#")
    if "time" not in table:
        raise MissingVariableError(
            f"{path}: meteorology needs the column 'time'{nearest('time', table.columns)}"
        )
    try:
        time = (
            pd.to_datetime(table["time"], utc=True, format="ISO8601")
            .dt.tz_localize(None)
            .to_numpy()
            .astype("datetime64[ns]")
        )
    except (ValueError, TypeError) as error:
        raise FormatError(f"{path}: a time cannot be read ({error})") from error
    if not time.size:
        raise FormatError(f"{path}: a table of meteorology without a row")
    order = np.argsort(time, kind="stable")
    place = nearest_times(record["time"].values, time[order], tolerance_minutes)
    result = record.copy()
    for name in table.columns.drop("time"):
        column = pd.to_numeric(table[name], errors="coerce").to_numpy(dtype=np.float64)[order]
        column = np.where(column <= -99.0, np.nan, column)
        low, high = RANGES.get(str(name), (-np.inf, np.inf))
        with np.errstate(invalid="ignore"):
            wrong = (column < low) | (column > high)
        if wrong.any():
            row = int(order[np.flatnonzero(wrong)[0]]) + 1
            raise RangeError(
                f"{path}: {name} lies in {low:g} to {high:g}; row {row} has {column[wrong][0]:g}"
            )
        result[str(name)] = ("time", np.where(place >= 0, column[np.maximum(place, 0)], np.nan))
    missing = int((place < 0).sum())
    note = f"meteorology joined from {Path(path).name}, {missing} rows without"
    result.attrs = {**record.attrs, "changes": [*record.attrs.get("changes", []), note]}
    return result
