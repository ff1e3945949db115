"""Several intakes in one record: which there are, whether they run side by side, and one of them taken out.

An analyser that turns from intake to intake, or a tower with an analyser a height, gives one series an intake. They
are never averaged: what needs one series asks which. An intake that was moved, or flasks some of which were filled
elsewhere, are one series, as the networks treat them.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import numpy as np

from obsnet.errors import ConfigError

if TYPE_CHECKING:
    import xarray as xr

    from stations.record.rows import Rows

__all__ = ["apart", "heights", "label", "one_series", "select_intake", "side_by_side"]

_DIGITS = 1  # heights that agree to a decimetre are one
_UNKNOWN = -1.0


def heights(record: Rows | xr.Dataset) -> tuple[float, ...]:
    """Return the intake heights of rows that have a value, m above ground, ascending."""
    known = _rounded(record)[np.isfinite(record["value"].values)]
    return tuple(np.unique(known[np.isfinite(known)]).tolist())


def _rounded(record: Rows | xr.Dataset) -> np.ndarray:
    if "intake_height_m" not in record:
        return np.full(record.sizes["time"], np.nan)
    return np.round(record["intake_height_m"].values, _DIGITS)


def side_by_side(record: Rows | xr.Dataset) -> tuple[float, ...]:
    """Return the intake heights that are series of their own; empty where the record is one series.

    Two heights at one time are two series (one of them may be unknown), and so are heights between which the record
    goes to and fro more often than an intake is moved (twice a height). Flasks, which have a name each, are one
    series at any height.
    """
    several = heights(record)
    if not several or record.attrs.get("kind", "point") != "point":
        return ()
    if "sample_id" in record and (record["sample_id"].values != "").any():
        return ()
    height, time = np.nan_to_num(_rounded(record), nan=_UNKNOWN), record["time"].values
    rows = np.flatnonzero(np.isfinite(record["value"].values) & ~np.isnat(time))
    rows = rows[np.lexsort((height[rows], time[rows]))]
    at_once = (np.diff(height[rows]) != 0.0) & (np.diff(time[rows]) == np.timedelta64(0, "s"))
    known = height[rows][height[rows] != _UNKNOWN]
    return several if at_once.any() or np.sum(np.diff(known) != 0.0) > 2 * len(several) else ()


def label(height: float) -> str:
    """Return ``80 m``."""
    return f"{height:g} m"


def one_series(record: xr.Dataset) -> xr.Dataset:
    """Return a record that is one series.

    Raises
    ------
    ConfigError
        It has several intakes side by side.
    """
    several = side_by_side(record)
    if several:
        names = ", ".join(map(label, several)) + ", and one of unknown height" * (len(several) == 1)
        raise ConfigError(
            f"{record.attrs.get('path', 'record')}: holds {max(len(several), 2)} intakes, {names}, each a series of "
            f"its own; say which with --intake {several[-1]:g} (intake={several[-1]:g})"
        )
    return record


def select_intake(record: xr.Dataset, height: float) -> xr.Dataset:
    """Return the rows of one intake.

    Raises
    ------
    ConfigError
        The record does not have it.
    """
    rows = np.flatnonzero(_rounded(record) == round(height, _DIGITS))
    if rows.size == 0:
        there = ", ".join(map(label, heights(record))) or "no intake height at all"
        raise ConfigError(
            f"{record.attrs.get('path', 'record')}: no intake at {label(height)}; it has {there}"
        )
    taken = record.isel(time=rows)
    left = record.sizes["time"] - rows.size
    if left:
        note = f"{rows.size} rows of the intake at {label(height)} taken, {left} of other intakes left out"
        taken.attrs = {**record.attrs, "changes": [*record.attrs.get("changes", []), note]}
    return taken


def apart(record: xr.Dataset) -> Iterator[tuple[float | None, np.ndarray]]:
    """Yield (height, rows) of each series of a record; height None where there is one, or of rows without any."""
    several = side_by_side(record)
    if not several:
        yield None, np.arange(record.sizes["time"])
        return
    height = _rounded(record)
    for one in several:
        yield one, np.flatnonzero(height == one)
    rest = np.flatnonzero(~np.isin(height, several))
    if rest.size:
        yield None, rest
