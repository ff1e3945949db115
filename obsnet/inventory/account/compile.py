"""Put a province's inventory together: categories and totals of the contract, and the trace of every number."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np

from obsnet.errors import ConfigError, FormatError, nearest
from obsnet.inventory.account.categories import convert_category
from obsnet.inventory.account.energy import combustion, reference_approach
from obsnet.inventory.account.tier1 import read_activities, tier1
from obsnet.inventory.balance.identities import NEEDED_ROWS, sign_faults
from obsnet.inventory.balance.labels import ROWS
from obsnet.inventory.balance.magnitude import magnitude_faults
from obsnet.inventory.balance.read import Balance
from obsnet.inventory.factors.choose import FactorBook
from obsnet.inventory.factors.fuels import fuels
from obsnet.inventory.notes import note

__all__ = ["TRACE_COLUMNS", "Compiled", "compile_inventory", "contract_rows", "total_covariance", "trace"]

TRACE_COLUMNS = (
    "region", "period", "gas", "category", "terminology", "emission", "emission_unit", "item", "activity", "unit",
    "file", "row", "cell", "factor", "factor_unit", "factor_sd", "factor_key", "factor_source", "note",
)  # fmt: skip
_SCALE = {"CO2": (1e6, "Mt"), "CH4": (1e3, "kt"), "N2O": (1e3, "kt")}
EDITION = "obsnet 1"


@dataclass(frozen=True, eq=False)
class Compiled:
    """An inventory and where each of its numbers is from.

    Parameters
    ----------
    inventory : pandas.DataFrame
        The contract of `obsnet.inventory.table`: a row a category and gas, and a row ``total`` a gas.
    trace : pandas.DataFrame
        Columns `TRACE_COLUMNS`: an activity row times a factor row a line; a category is the sum of its lines.
    reference : pandas.DataFrame
        The reference approach by province: ``region, period, sectoral, reference, difference, reference_by_rows,
        difference_by_rows``; Mt CO2 and shares.
    covariance : pandas.DataFrame
        Of the totals of two regions of a period and gas, see `total_covariance`; empty for one region.
    notes : tuple of str
        The order of factors and all that was chosen.
    """

    inventory: Any
    trace: Any
    reference: Any
    covariance: Any
    notes: tuple[str, ...]


def compile_inventory(
    balances: Sequence[Balance],
    book: FactorBook,
    *,
    activities: Iterable[str | Path] = (),
    exclude: Iterable[str] = (),
    negative: Literal["ask", "keep", "zero"] = "ask",
    steel_gases: Literal["ask", "count", "exclude"] = "ask",
    magnitude: Literal["ask", "keep"] = "ask",
    terminology: Literal["IPCC2006", "CRT2023"] = "IPCC2006",
    activity_sd: float | None = None,
    factor_sd: float | None = None,
    factor_correlation: float = 0.0,
    source: str = "",
) -> Compiled:
    """Compile the inventory of one or more provinces and years.

    Parameters
    ----------
    balances : sequence of Balance
        No two of one region and year.
    book : FactorBook
        Factors in order of precedence.
    activities : iterable of path
        Tables for other sources, see `obsnet.inventory.account.tier1.read_activities`.
    exclude, negative, steel_gases, magnitude
        See `obsnet.inventory.account.activity` and `obsnet.inventory.account.energy.combustion`.
    terminology : {"IPCC2006", "CRT2023"}
        Of the categories.
    activity_sd : float, optional
        Relative standard deviation of an activity row. Without it the column ``uncertainty`` stays empty: the factors'
        uncertainty alone would pass for the whole.
    factor_sd : float, optional
        Of factors that state none; without it a category that hangs on one has no uncertainty.
    factor_correlation : float
        Between the errors of the factors of different fuels, 0 to 1.
    source : str
        Who compiled it.

    Returns
    -------
    Compiled

    Raises
    ------
    ConfigError
        Two balances of one region and year, negative activity, fuels without factors.
    """
    import pandas as pd

    seen: set[tuple[str, int]] = set()
    left_out = list(exclude)
    lines, reference, notes = [], [], [book.describe(), *book.notes]
    lent: set[str] = set()
    for balance in balances:
        key = (balance.region, balance.year)
        if key in seen:
            raise ConfigError(f"{balance.source}: a second balance of {balance.region} {balance.year}")
        seen.add(key)
        rows, factors = combustion(
            balance,
            book,
            exclude=left_out,
            negative=negative,
            steel_gases=steel_gases,
            magnitude=magnitude,
        )
        if magnitude == "keep":
            notes += [
                f"{balance.source}: {note('as it stands')}: {text}"
                for _, text, _, _ in magnitude_faults(balance)
            ]
        lines.append(rows)
        notes += [
            f"{balance.source}: {note('no row', row=row, zh=ROWS[row].zh)}"
            for row in NEEDED_ROWS
            if row not in balance.table.index
        ]
        odd = sign_faults(balance)
        if len(odd):
            first = odd.iloc[0]
            place = {k: first[k] for k in ("row", "fuel", "cell")}
            notes.append(
                f"{balance.source}: {note('signs', n=len(odd), value=format(first['value'], 'g'), **place)}"
            )
        total = float(rows["emission"].sum())
        ra = reference_approach(balance, factors, total).attrs
        reference.append((balance.region, str(balance.year), total / 1e6, ra["reference"] / 1e6, ra["difference"],
                          ra["reference_by_rows"] / 1e6, ra["difference_by_rows"]))  # fmt: skip
        notes += [n for f in factors.values() for n in f.notes] + list(balance.notes)
        lent |= {fuel for fuel, f in factors.items() if f.lent}
    if left_out:
        notes.append(note("left out", fuels=", ".join(left_out)))
    alone = balances[0] if len(balances) == 1 else None
    for path in activities:
        table = read_activities(path, alone.region if alone else None, alone.year if alone else None)
        notes += table.attrs["notes"]
        periods = sorted({str(b.year) for b in balances}) or sorted(set(table["period"]))[-1:]
        lines += [tier1(table, book, period) for period in periods]
    lines = [x for x in lines if len(x)]
    if not lines:
        raise ConfigError("nothing to compile: no balance and no activity of the year")
    frame = _trace(pd.concat(lines, ignore_index=True), terminology)
    bare = sorted(set(frame[frame["factor_sd"].isna()]["item"]))
    if activity_sd is not None and bare:
        said = note("no sd known") if factor_sd is None else note("sd of user", sd=f"{factor_sd:g}")
        notes.append(f"{note('no sd', items=', '.join(bare))}: {said}")
    if factor_sd is not None:
        frame["factor_sd"] = frame["factor_sd"].fillna(factor_sd)
    inventory = contract_rows(
        frame, terminology, activity_sd, source or "compiled with obsnet", factor_correlation
    )
    names = [
        "region",
        "period",
        "sectoral",
        "reference",
        "difference",
        "reference_by_rows",
        "difference_by_rows",
    ]
    if activity_sd is not None and lent:
        notes.append(note("borrowed", fuels=", ".join(sorted(lent))))
    if activity_sd is None:
        notes.append(note("say sd"))
    else:
        notes.append(note("errors", r=f"{factor_correlation:g}"))
    covariance = total_covariance(frame, activity_sd, factor_correlation)
    made = pd.DataFrame(reference, columns=names)
    return Compiled(inventory, frame, made, covariance, tuple(dict.fromkeys(notes)))


def _trace(rows: Any, terminology: str) -> Any:
    out = rows.copy()
    out["category"] = [convert_category(c, "IPCC2006", terminology) for c in out["category"]]
    out["terminology"] = terminology
    out["emission_unit"] = [f"t {g}" for g in out["gas"]]
    return out[list(TRACE_COLUMNS)]


def contract_rows(
    lines: Any, terminology: str, activity_sd: float | None, source: str, factor_correlation: float = 0.0
) -> Any:
    """Add lines of a trace up to rows of the inventory contract.

    Parameters
    ----------
    lines : pandas.DataFrame
        Columns `TRACE_COLUMNS`.
    terminology : str
        Of the categories.
    activity_sd : float, optional
        Relative sd of every activity row, independent between rows.
    source : str
        Column of the contract.
    factor_correlation : float
        Between the errors of different fuels' factors.

    Notes
    -----
    Lines of one factor share its error: their emissions add up before the factor's relative sd is applied, in a
    category and in the total alike.
    """
    import pandas as pd

    from obsnet.inventory.table import COLUMNS

    out = []
    for (region, period, gas), group in lines.groupby(["region", "period", "gas"], sort=False):
        scale, unit = _SCALE[gas]
        parts = [*group.groupby("category", sort=True), ("total", group)]
        for category, part in parts:
            value = float(part["emission"].sum())
            spread = math.nan if activity_sd is None else _relative_sd(part, activity_sd, factor_correlation)
            out.append(
                (region, period, gas, category, terminology, value / scale, unit, spread, source, EDITION)
            )
    return pd.DataFrame(out, columns=list(COLUMNS))


def total_covariance(lines: Any, activity_sd: float | None, factor_correlation: float = 0.0) -> Any:
    """Return the covariance of the totals of every two regions: factors are shared, activities are not.

    Parameters
    ----------
    lines : pandas.DataFrame
        Columns `TRACE_COLUMNS`.
    activity_sd : float, optional
        Relative sd of every activity row, independent between rows; without it there is nothing to say.
    factor_correlation : float
        Between the errors of different fuels' factors.

    Returns
    -------
    pandas.DataFrame
        ``region, other, period, gas, covariance, unit, correlation``, both orders and the diagonal; periods and gases
        with one region, or with a factor of unknown uncertainty that matters, have no rows.

    Notes
    -----
    ``cov(p, q) = sum_fg E_pf s_f r_fg s_g E_qg + (p = q) a^2 sum E^2`` with r the correlation of factors' errors; the
    diagonal is the variance of `contract_rows`.
    """
    import pandas as pd

    out = []
    for (period, gas), group in lines.groupby(["period", "gas"], sort=False):
        regions = list(dict.fromkeys(group["region"]))
        alone = [
            _relative_sd(group[group["region"] == r], activity_sd or 0.0, factor_correlation) for r in regions
        ]
        if activity_sd is None or len(regions) < 2 or not np.isfinite(alone).all():
            continue
        scale, unit = _SCALE[gas]
        by_factor = group.pivot_table(
            index="region", columns="factor_key", values="emission", aggfunc="sum", fill_value=0.0
        )
        by_factor = by_factor.loc[regions] / scale
        sd = group.groupby("factor_key")["factor_sd"].first().reindex(by_factor.columns).fillna(0.0)
        shared = by_factor.to_numpy(float) * sd.to_numpy(float)
        own = (group["emission"] / scale) ** 2
        matrix = shared @ _between(by_factor.columns, group, factor_correlation) @ shared.T
        matrix += np.diag(activity_sd**2 * own.groupby(group["region"]).sum()[regions])
        root = np.sqrt(np.diag(matrix))
        for i, p in enumerate(regions):
            for j, q in enumerate(regions):
                value = float(matrix[i, j])
                out.append((p, q, period, gas, value, f"{unit}^2", value / float(root[i] * root[j])))
    return pd.DataFrame(
        out, columns=["region", "other", "period", "gas", "covariance", "unit", "correlation"]
    )


def _between(keys: Any, lines: Any, correlation: float) -> Any:
    """Return the correlation of the errors of factors: one number between fuels, 0 with factors of other activities."""
    items = lines.groupby("factor_key")["item"].first()
    fuel = np.array([items[k] in fuels() for k in keys])
    matrix = correlation * np.outer(fuel, fuel)
    np.fill_diagonal(matrix, 1.0)
    return matrix


def _relative_sd(part: Any, activity_sd: float, factor_correlation: float) -> float:
    """Return the relative sd of a sum of activity x factor with factors shared; NaN where a factor states none."""
    total = float(part["emission"].sum())
    shared = part.groupby("factor_key").agg(emission=("emission", "sum"), sd=("factor_sd", "first"))
    counted = shared[shared["emission"].abs() > 1e-3 * abs(total)]
    if counted["sd"].isna().any() or total == 0.0:
        return math.nan
    size = (shared["emission"] * shared["sd"].fillna(0.0)).to_numpy(float)
    variance = float(size @ _between(shared.index, part, factor_correlation) @ size)
    variance += activity_sd**2 * float((part["emission"] ** 2).sum())
    return float(np.sqrt(variance)) / abs(total)


def trace(
    lines: Any,
    *,
    region: str | None = None,
    period: str | None = None,
    gas: str | None = None,
    category: str | None = None,
) -> Any:
    """Return the lines behind a number: every activity row and factor row that it is the sum of.

    Parameters
    ----------
    lines : pandas.DataFrame
        Columns `TRACE_COLUMNS`.
    region, period, gas, category : str, optional
        Which number; ``total`` or a category with all below it (``1.A`` holds ``1.A.2``).

    Raises
    ------
    FormatError
        No such number; says what there is.
    """
    from obsnet.inventory.words import find_region

    out = lines
    if region is not None:
        code = region if region in set(out["region"]) else find_region(region)
        out = out[out["region"] == code]
    for column, wanted in (("period", period), ("gas", gas)):
        if wanted is not None:
            out = out[out[column].astype(str).str.upper() == str(wanted).upper()]
    if category not in {None, "total"}:
        out = out[(out["category"] == category) | out["category"].str.startswith(f"{category}.")]
    if out.empty:
        there = sorted(set(lines["category"]))
        raise FormatError(
            f"no line for {region or 'any region'}, {period or 'any period'}, {gas or 'any gas'}, "
            f"{category or 'any category'}"
            f"{nearest(str(category), there)}"
        )
    return out.reset_index(drop=True)
