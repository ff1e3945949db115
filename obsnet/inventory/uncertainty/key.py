"""Key categories by level and by trend, without and with uncertainty (IPCC 2006 Guidelines, Volume 1, Chapter 4)."""

from __future__ import annotations

from typing import Any

import numpy as np

from obsnet.errors import RangeError
from obsnet.typing import Floats

__all__ = ["SHARE", "key_categories", "level_share", "trend_share"]

SHARE = {1: 0.95, 2: 0.90}  # cumulative share that makes a category key


def level_share(current: Floats) -> Floats:
    """Return ``|E_t| / sum |E_t|``, shape as `current`; removals count by their size."""
    size = np.abs(np.asarray(current, dtype=np.float64))
    if size.sum() == 0.0:
        raise RangeError("all emissions are 0: there is no key category")
    return np.asarray(size / size.sum())


def trend_share(base: Floats, current: Floats) -> Floats:
    """Return the trend assessment of each category.

    Notes
    -----
    ``T = |E_0| / sum |E_0| x |(E_t - E_0)/|E_0| - (S_t - S_0)/|S_0||`` with S the totals; ``|E_t / sum |E_0||`` for
    a category that was 0.
    """
    e0, et = (np.asarray(a, dtype=np.float64) for a in (base, current))
    size, total = np.abs(e0), float(e0.sum())
    if size.sum() == 0.0 or total == 0.0:
        raise RangeError("emissions of the base year add up to 0: there is no trend")
    national = (et.sum() - total) / abs(total)
    there = size > 0.0
    own = np.where(there, (et - e0) / np.where(there, size, 1.0), 0.0)
    out = np.where(there, size / size.sum() * np.abs(own - national), np.abs(et) / size.sum())
    return np.asarray(out, dtype=np.float64)


def key_categories(table: Any, approach: int = 1, share: float | None = None) -> Any:
    """Rank categories by level and by trend.

    Parameters
    ----------
    table : pandas.DataFrame
        ``category, gas, base, current`` and for approach 2 the two uncertainties in %; see `read_two_years`.
    approach : {1, 2}
        2 weights by combined uncertainty.
    share : float, optional
        Cumulative share up to which categories are key; by default `SHARE`.

    Returns
    -------
    pandas.DataFrame
        ``category, gas, level, level_cumulative, level_rank, level_key, trend, trend_cumulative, trend_rank,
        trend_key, key`` in the order of the table; ``level`` and ``trend`` are shares of their sums for approach 2.
    """
    import pandas as pd

    limit = SHARE[approach] if share is None else share
    if not 0.0 < limit <= 1.0:
        raise RangeError(f"a cumulative share of {limit:g} is not between 0 and 1")
    level = level_share(table["current"].to_numpy(float))
    trend = trend_share(table["base"].to_numpy(float), table["current"].to_numpy(float))
    if approach == 2:
        combined = np.hypot(
            table["activity_uncertainty"].to_numpy(float), table["factor_uncertainty"].to_numpy(float)
        )
        if not np.isfinite(combined).all() or combined.max() == 0.0:
            raise RangeError("approach 2 weights by uncertainty: some are missing, or all are 0")
        level, trend = _normalised(level * combined), _normalised(trend * combined)
    out = pd.DataFrame({"category": list(table["category"]), "gas": list(table["gas"])})
    for name, values in (("level", level), ("trend", trend)):
        rank, cumulative, is_key = _ranked(values, limit)
        out[name], out[f"{name}_cumulative"], out[f"{name}_rank"], out[f"{name}_key"] = (
            values,
            cumulative,
            rank,
            is_key,
        )
    out["key"] = out["level_key"] | out["trend_key"]
    return out


def _normalised(values: Floats) -> Floats:
    return values / values.sum() if values.sum() > 0.0 else values


def _ranked(values: Floats, limit: float) -> tuple[Any, Floats, Any]:
    """Return rank from 1, cumulative share, and which are key: those that bring the sum up to the limit."""
    order = np.argsort(-values, kind="stable")
    share = _normalised(values)
    cumulative = np.cumsum(share[order])
    rank, total = np.empty(len(values), int), np.empty(len(values))
    rank[order], total[order] = np.arange(1, len(values) + 1), cumulative
    before = np.concatenate([[0.0], cumulative[:-1]])
    key = np.empty(len(values), bool)
    key[order] = (before < limit - 1e-12) & (values[order] > 0.0)
    return rank, total, key
