"""IPCC approach 1: propagation of error in the columns of Table 3.2 (2006 Guidelines, Volume 1, Chapter 3).

Uncertainties in and out are in percent and are half-widths of 95 % intervals, as the Guidelines have them; the
inventory contract (`obsnet.inventory.table`) has one standard deviation as a share, and
`obsnet.inventory.uncertainty.meaning` converts.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from obsnet.errors import FormatError, RangeError, SchemaError
from obsnet.inventory.notes import note
from obsnet.inventory.uncertainty.meaning import relative_sd
from obsnet.inventory.words import part_and_whole, plain
from obsnet.reading import door
from obsnet.typing import Bools, Floats

__all__ = [
    "TABLE_32",
    "Approach1",
    "approach1",
    "approach1_table",
    "lognormal_bounds",
    "propagate",
    "read_two_years",
]

TABLE_32 = tuple("CDEFGHIJKLM")


@dataclass(frozen=True, eq=False)
class Approach1:
    """Table 3.2 and its last line.

    Parameters
    ----------
    table : pandas.DataFrame
        ``category, gas`` and the columns C to M.
    base, current : float
        Totals, in the unit of the table.
    uncertainty : float
        Of the total of the current year, %, half-width of 95 %.
    trend : float
        Current over base less 1, %.
    trend_uncertainty : float
        Of the trend, percentage points, half-width of 95 %.
    lower, upper : float
        Bounds of the current total, % of it; not symmetric where single uncertainties are large, see
        `lognormal_bounds`.
    notes : tuple of str
        Warnings.
    """

    table: Any
    base: float
    current: float
    uncertainty: float
    trend: float
    trend_uncertainty: float
    lower: float
    upper: float
    notes: tuple[str, ...] = ()


def propagate(
    base: Floats,
    current: Floats,
    activity: Floats,
    factor: Floats,
    *,
    factor_correlated: Bools | None = None,
    activity_correlated: Bools | None = None,
) -> dict[str, Floats]:
    """Return columns G to M of Table 3.2 for columns C, D, E, F.

    Parameters
    ----------
    base, current : ndarray, shape (categories,)
        Emissions of the base year (C) and of year t (D), any one unit; removals negative.
    activity, factor : ndarray, shape (categories,)
        Uncertainty of activity data (E) and of emission factors (F), %, half-width of 95 %.
    factor_correlated, activity_correlated : ndarray of bool, optional
        Whether the error is the same in both years; by default factors are and activities are not.

    Returns
    -------
    dict of str to ndarray
        ``G`` combined uncertainty; ``H`` contribution to the variance of year t; ``I`` type A, ``J`` type B
        sensitivity; ``K`` and ``L`` uncertainty of the trend by factor and by activity; ``M`` their squares.

    Notes
    -----
    ``G = sqrt(E2 + F2)``, ``H = (G D / sum D)2``, ``I = |(0.01 D + sum D - (0.01 C + sum C)) / (0.01 C + sum C) 100
    - (sum D - sum C) / sum C 100|``, ``J = |D / sum C|``; correlated: ``K = I F``, ``L = I E``; else ``J F sqrt 2``,
    ``J E sqrt 2``.
    """
    c, d, e, f = (np.asarray(a, dtype=np.float64) for a in (base, current, activity, factor))
    total_c, total_d = c.sum(), d.sum()
    by_factor = np.ones(c.shape, bool) if factor_correlated is None else np.asarray(factor_correlated, bool)
    by_activity = (
        np.zeros(c.shape, bool) if activity_correlated is None else np.asarray(activity_correlated, bool)
    )
    g = np.hypot(e, f)
    h = (g * d / total_d) ** 2
    shifted = (0.01 * d + total_d - (0.01 * c + total_c)) / (0.01 * c + total_c)
    i = np.abs(100.0 * shifted - 100.0 * (total_d - total_c) / total_c)
    j = np.abs(d / total_c)
    k = np.where(by_factor, i * f, j * f * math.sqrt(2.0))
    length = np.where(by_activity, i * e, j * e * math.sqrt(2.0))
    return {"G": g, "H": h, "I": i, "J": j, "K": k, "L": length, "M": k**2 + length**2}


def lognormal_bounds(half_width: float) -> tuple[float, float]:
    """Return the ends of the 95 % interval of a lognormal of mean 1 whose sd is that of a normal of this half-width.

    Parameters
    ----------
    half_width : float
        %, of 95 %.

    Returns
    -------
    lower, upper : float
        % of the mean, the lower one negative; close to -half_width, +half_width where that is small.

    Examples
    --------
    >>> tuple(round(b, 1) for b in lognormal_bounds(100.0))
    (-65.3, 128.7)
    """
    sd = relative_sd(half_width / 100.0, "95% half-width")
    sigma = math.sqrt(math.log1p(sd * sd))
    middle = -0.5 * sigma * sigma
    ends = [math.exp(middle + z * sigma) - 1.0 for z in (-1.959963984540054, 1.959963984540054)]
    return 100.0 * ends[0], 100.0 * ends[1]


def approach1(
    base: npt.ArrayLike,
    current: npt.ArrayLike,
    activity_uncertainty: npt.ArrayLike,
    factor_uncertainty: npt.ArrayLike,
    *,
    categories: Sequence[str],
    gases: Sequence[str],
    factor_correlated: Bools | None = None,
    activity_correlated: Bools | None = None,
) -> Approach1:
    """Propagate the uncertainty of a two-year inventory.

    Parameters
    ----------
    base, current : array_like, shape (categories,)
        Emissions in one unit (CO2e where there are several gases); removals negative.
    activity_uncertainty, factor_uncertainty : array_like, shape (categories,)
        %, half-widths of 95 %.
    categories, gases : sequence of str
        Names of the rows.
    factor_correlated, activity_correlated : ndarray of bool, optional
        Between the years.

    Raises
    ------
    RangeError
        Values missing, negative uncertainties, totals of 0.
    SchemaError
        Columns of different length, a category and gas given twice.

    Examples
    --------
    >>> found = approach1([100, 50], [120, 40], [5, 10], [5, 20], categories=["1.A", "2.A"], gases=["CO2", "CO2"])
    >>> round(found.uncertainty, 3), round(found.trend, 3)
    (7.706, 6.667)
    """
    import pandas as pd

    c, d, e, f = (
        np.atleast_1d(np.asarray(a, dtype=np.float64))
        for a in (base, current, activity_uncertainty, factor_uncertainty)
    )
    if len({a.shape for a in (c, d, e, f)}) != 1 or c.ndim != 1 or c.size == 0 or len(categories) != c.size:
        raise SchemaError("columns of an uncertainty table differ in length, or there is none")
    keys = list(zip(categories, gases, strict=True))
    twice = next((k for k in keys if keys.count(k) > 1), None)
    if twice is not None:
        raise SchemaError(f"category {twice[0]} of {twice[1]} stands twice; add its rows up first")
    for name, values in (("base", c), ("current", d), ("activity_uncertainty", e), ("factor_uncertainty", f)):
        if not np.isfinite(values).all():
            row = int(np.flatnonzero(~np.isfinite(values))[0])
            raise RangeError(
                f"{name} of {categories[row]} is missing or not a number; give 0 where it is none"
            )
    for name, values in (("activity_uncertainty", e), ("factor_uncertainty", f)):
        if (values < 0).any():
            row = int(np.argmin(values))
            raise RangeError(f"{name} of {categories[row]} is {values[row]:g} %, below 0")
    if c.sum() == 0.0 or d.sum() == 0.0:
        raise RangeError("emissions and removals of a year add up to 0: relative uncertainty has no meaning")
    columns = propagate(
        c, d, e, f, factor_correlated=factor_correlated, activity_correlated=activity_correlated
    )
    table = pd.DataFrame(
        {"category": list(categories), "gas": list(gases), "C": c, "D": d, "E": e, "F": f, **columns}
    )
    total = float(np.sqrt(columns["H"].sum()))
    notes = []
    wide = [str(n) for n, g in zip(categories, columns["G"], strict=True) if g > 100.0]
    if wide:
        notes.append(note("above 100", names=", ".join(wide)))
    if (e.max() <= 1.0 and f.max() <= 1.0) and (e.max() > 0 or f.max() > 0):
        notes.append(note("as shares"))
    lower, upper = lognormal_bounds(total) if wide else (-total, total)
    trend = 100.0 * (float(d.sum()) / float(c.sum()) - 1.0)
    spread = float(np.sqrt(columns["M"].sum()))
    return Approach1(table, float(c.sum()), float(d.sum()), total, trend, spread, lower, upper, tuple(notes))


@door("a table of two years")
def read_two_years(path: str | Path) -> Any:
    """Read ``category, gas, base, current, activity_uncertainty, factor_uncertainty`` (%), headings in either language.

    Returns
    -------
    pandas.DataFrame
        With ``factor_correlated`` and ``activity_correlated`` as bool: yes by default for factors, no for activities;
        and ``factor_group``, the name of a factor that rows share, empty where none is stated.

    Raises
    ------
    FormatError
        Columns missing; a total beside its categories or a category beside one that holds it, which would count twice;
        a correlation that is neither yes nor no.
    """
    from obsnet.inventory.books import read_rows

    numbers = ("base", "current", "activity_uncertainty", "factor_uncertainty")
    optional = ("factor_correlated", "activity_correlated")
    table = read_rows(path, ("category", "gas", *numbers), (*optional, "factor_group"), numbers=numbers)
    for gas, group in table.groupby("gas"):
        both = part_and_whole(group["category"])
        if both is not None:
            raise FormatError(
                f"{path}: {both[0]} of {gas} is a part of {both[1]}, which has a row too; keep one"
            )
    totals = [plain(c) in {"total", "合计", "总计", "sum"} for c in table["category"]]
    if any(totals):
        row = table.attrs["rows"][totals.index(True)]
        raise FormatError(
            f"{path}: row {row}: a total beside its categories would count them twice; leave it out"
        )
    twice = table[table.duplicated(["category", "gas"])]
    if len(twice):
        first = twice.iloc[0]
        table.attrs["notes"].append(note("category twice", category=first["category"], gas=first["gas"]))
    for column, usual in zip(optional, (True, False), strict=True):
        words = table[column] if column in table else [""] * len(table)
        table[column] = [_yes(w, usual, f"{path}: {column}") for w in words]
    if "factor_group" not in table:
        table["factor_group"] = ""
    table["factor_group"] = [str(g).strip() for g in table["factor_group"]]
    for name, group in table[table["factor_group"] != ""].groupby("factor_group"):
        if group["factor_correlated"].nunique() > 1:
            raise FormatError(
                f"{path}: rows of factor_group {name} differ in factor_correlated; they share one factor"
            )
        if len(group) > 1:
            table.attrs["notes"].append(note("shared factor", n=len(group), name=repr(name)))
    return table


def _yes(word: str, usual: bool, where: str) -> bool:
    text = str(word).strip().casefold()
    if text in {"", "default"}:
        return usual
    if text in {"yes", "true", "1", "是", "y"}:
        return True
    if text in {"no", "false", "0", "否", "n"}:
        return False
    raise FormatError(f"{where} is {word!r}; say yes or no (是, 否)")


def approach1_table(table: Any) -> Approach1:
    """Propagate a table of `read_two_years`."""
    return approach1(
        table["base"],
        table["current"],
        table["activity_uncertainty"],
        table["factor_uncertainty"],
        categories=list(table["category"]),
        gases=list(table["gas"]),
        factor_correlated=table["factor_correlated"].to_numpy(bool),
        activity_correlated=table["activity_correlated"].to_numpy(bool),
    )
