"""What changed between two editions of an inventory, and by which activity or factor."""

from __future__ import annotations

from typing import Any

import numpy as np

__all__ = ["recalculated"]

_KEY = ["region", "period", "gas", "category", "terminology"]


def recalculated(
    old: Any, new: Any, old_trace: Any = None, new_trace: Any = None, *, tolerance: float = 1e-9
) -> Any:
    """List the numbers that differ between two editions.

    Parameters
    ----------
    old, new : pandas.DataFrame
        Inventories of the contract.
    old_trace, new_trace : pandas.DataFrame, optional
        Their traces; with both, a change is split into activity and factor, exactly.
    tolerance : float
        Relative difference that is no change.

    Returns
    -------
    pandas.DataFrame
        ``region, period, gas, category, terminology, old, new, change, relative, unit`` (values in the unit of the
        new one) and, with traces, ``by_activity, by_factor, reason``; a number that only one edition has says so.

    Notes
    -----
    For each line ``E = A F``: ``dE = dA (F_0 + F_1)/2 + dF (A_0 + A_1)/2``, which adds up without a remainder.
    """
    import pandas as pd

    from obsnet.inventory.table import mass_factor

    tables = []
    for frame in (old, new):
        one = frame.copy()
        one["kg"] = [v * mass_factor(str(u)) for v, u in zip(one["value"], one["unit"], strict=True)]
        tables.append(one.set_index(_KEY))
    before = tables[0][["kg"]].rename(columns={"kg": "kg_old"})
    both = before.join(tables[1][["kg", "unit"]].rename(columns={"kg": "kg_new"}), how="outer")
    parts = None if old_trace is None or new_trace is None else _parts(old_trace, new_trace)
    out = []
    for key, row in zip(both.index, both.to_dict("records"), strict=True):
        a, b = row["kg_old"], row["kg_new"]
        if np.isfinite([a, b]).all() and abs(b - a) <= tolerance * max(abs(a), abs(b)):
            continue
        unit = row["unit"] if isinstance(row["unit"], str) else str(tables[0].loc[key, "unit"])
        scale = mass_factor(unit)
        line = dict(zip(_KEY, key, strict=True))
        line |= {
            "old": a / scale,
            "new": b / scale,
            "change": (b - a) / scale,
            "relative": b / a - 1.0 if a else np.nan,
        }
        line["unit"] = unit
        reason = (
            "only in the new edition"
            if not np.isfinite(a)
            else "only in the old edition"
            if not np.isfinite(b)
            else ""
        )
        if parts is not None and not reason:
            activity, factor = parts(key)
            line |= {"by_activity": 1e3 * activity / scale, "by_factor": 1e3 * factor / scale}
            reason = (
                "activity and factor"
                if activity and factor
                else "activity"
                if activity
                else "factor"
                if factor
                else ""
            )
        line["reason"] = reason
        out.append(line)
    return pd.DataFrame(out)


def _parts(old: Any, new: Any) -> Any:
    """Return a function of a key to its change by activity and by factor, t of the gas."""
    index = [*_KEY, "item", "row"]
    sides = [
        f.groupby(index)[["activity", "emission"]].sum().add_suffix(f"_{k}") for k, f in enumerate((old, new))
    ]
    both = sides[0].join(sides[1], how="outer").fillna(0.0).reset_index()
    a0, a1, e0, e1 = (
        both[c].to_numpy(float) for c in ("activity_0", "activity_1", "emission_0", "emission_1")
    )
    with np.errstate(divide="ignore", invalid="ignore"):
        f0, f1 = np.where(a0 != 0, e0 / a0, np.nan), np.where(a1 != 0, e1 / a1, np.nan)
    f0, f1 = np.where(np.isnan(f0), f1, f0), np.where(np.isnan(f1), f0, f1)
    f0, f1 = np.nan_to_num(f0), np.nan_to_num(f1)
    both["by_activity"] = (a1 - a0) * (f0 + f1) / 2.0
    both["by_factor"] = (f1 - f0) * (a0 + a1) / 2.0

    def find(key: tuple[str, ...]) -> tuple[float, float]:
        region, period, gas, category, _ = key
        mine = (both["region"] == region) & (both["period"] == period) & (both["gas"] == gas)
        if category != "total":
            mine &= both["category"] == category
        found = both[mine]
        sums = [float(found[c].sum()) for c in ("by_activity", "by_factor")]
        return tuple(0.0 if abs(s) < 1e-9 else s for s in sums)  # type: ignore[return-value]

    return find
