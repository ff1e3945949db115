"""Months of a table of consumption: sums since January, sums beside their months, totals that do not say of what."""

from __future__ import annotations

from typing import Any, Literal

from obsnet.errors import ConfigError, FormatError, RangeError, SchemaError
from obsnet.inventory.months import YEAR, is_bare_total, without_overlap
from obsnet.inventory.notes import note
from obsnet.regions import PROVINCES

__all__ = ["Running", "each_month_once", "english_name", "with_running_sums"]

Running = Literal["ask", "yes", "no"]
_GROWTH = 4.0  # of a running sum from its first month to its last; consumption itself varies by half
_ROUNDING = 0.01  # of a sum, by which a total of rounded months may be off it


def english_name(region: str) -> str:
    """Return the English name of a province, other codes as they are."""
    return PROVINCES[region][0] if region in PROVINCES else region


def with_running_sums(frame: Any, running: Running) -> tuple[Any, list[str]]:
    """See whether single months hold sums since January; take their last month where the user says they do."""
    single = frame[[len(m) == 1 for m in frame["months"]]]
    rising = []
    for region, group in single.groupby("region"):
        values = group.assign(at=[min(m) for m in group["months"]]).sort_values("at")["value"].to_numpy(float)
        if len(values) >= 6 and (values[1:] >= values[:-1]).all() and values[-1] > _GROWTH * values[0]:
            rising.append(english_name(str(region)))
    if running == "yes":
        sums = [frozenset(range(1, min(m) + 1)) if len(m) == 1 else m for m in frame["months"]]
        return frame.assign(months=sums), [note("running")]
    if rising and running == "ask":
        raise ConfigError(
            f"consumption of {', '.join(rising[:3])}{' …' if len(rising) > 3 else ''} rises every month to more than "
            f"{_GROWTH:g} times the first: are these sums since January (累计)? --running yes or --running no"
        )
    return frame, []


def each_month_once(frame: Any) -> tuple[Any, list[str]]:
    """Leave out, and say, sums beside their months; refuse a month twice; say where regions have other months."""
    keep: list[int] = []
    covered: dict[str, frozenset[int]] = {}
    bare = frame["month"].map(is_bare_total).astype(bool)
    span = frozenset().union(*frame["months"][~bare]) or YEAR
    frame = frame.assign(months=[span if t else m for t, m in zip(bare, frame["months"], strict=True)])
    for region, group in frame.groupby("region"):
        try:
            rows = _once(group, bare[group.index], english_name(str(region)))
        except FormatError as fault:
            spelt = dict.fromkeys(str(m).strip() or "(empty)" for m in group["month"])
            raise SchemaError(
                f"{english_name(str(region))} has {fault}; its months: {', '.join(spelt)}"
            ) from None
        keep += list(map(int, rows.index))
        covered[str(region)] = frozenset().union(*rows["months"])
    left_out = len(frame) - len(keep)
    notes = [note("sums", n=left_out)] if left_out else []
    if bare.any() and span != YEAR:
        notes.append(note("bare totals", n=int(bare.sum()), months=_listed(span)))
    usual = max(set(covered.values()), key=list(covered.values()).count, default=YEAR)
    for region, months in covered.items():
        if months != usual:
            apart = [f"{'+' if m in months else '-'}{m}" for m in sorted(usual ^ months)]
            notes.append(
                note(
                    "other months",
                    region=english_name(region),
                    n=len(months),
                    usual=len(usual),
                    apart=" ".join(apart),
                )
            )
    if usual != YEAR:
        notes.append(note("part of year", n=len(usual)))
    return frame.loc[sorted(keep)].reset_index(drop=True), notes


def _once(group: Any, bare: Any, name: str) -> Any:
    """Return the rows of a region that hold each month once; bare totals give way where its months make them up."""
    import pandas as pd

    own, totals = group[~bare], group[bare]
    rows = own.iloc[without_overlap(list(own["months"]))]
    if len(own) and len(totals):
        summed = float(rows["value"].sum())
        apart = totals[(totals["value"] - summed).abs() > _ROUNDING * summed]
        held = frozenset().union(*rows["months"])
        if apart.empty:
            return rows
        if held == totals["months"].iloc[0] != YEAR:
            first = apart.iloc[0]
            raise RangeError(
                f"{name}: {str(first['month']).strip()} is {first['value']:g}, its months {_listed(held)} add up to "
                f"{summed:g}: of which months is it? Write 全年 for the whole year, or 1-2月"
            )
    rows = pd.concat([rows, totals])
    return rows.iloc[without_overlap(list(rows["months"]))]


def _listed(months: frozenset[int]) -> str:
    return ", ".join(map(str, sorted(months)))
