"""Hourly stack files to a plant's record: clock, units, flags, gaps; what has two readings is refused."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from obsnet.errors import FormatError, RangeError, nearest
from obsnet.inventory.books import Sheet, number, read_sheets
from obsnet.reading import door
from obsnet.typing import Bools, Floats, Ints
from retrieval.plants.options import StackOptions
from retrieval.plants.stack.clock import refuse_summer_time, stamps, to_utc
from retrieval.plants.stack.layout import StackLayout, amount_unit, layout_of
from retrieval.plants.stack.record import StackRecord

__all__ = ["read_stack"]

_TOO_MUCH = 1e7  # kg in an hour of one unit: 88 Mt a year, which no unit emits
_YEARS = 60  # of a record
_OFF = 0.01  # between a day's hours and its stated total, beyond what rounding does


def read_stack(options: StackOptions) -> StackRecord:
    """Read the hourly files of one plant.

    Parameters
    ----------
    options : StackOptions
        Files, layout, clock, errors by flag.

    Returns
    -------
    StackRecord
        All units added up; an hour counts where every unit that the files name has a value, or does not operate.

    Raises
    ------
    FormatError
        No layout fits, several plants and none named, a unit or flag that is not known, an offset from UTC or a
        meaning of the hours that nobody states, hours that stand twice, a clock with summer time.
    RangeError
        Negative amounts, operating times outside 0 to 1, more than any unit emits.
    """
    parts = [_rows(path, options) for path in options.stack]
    table = pd.concat([p for p, _ in parts], ignore_index=True)
    notes = [n for _, ns in parts for n in ns]
    where = ", ".join(str(p) for p in options.stack)
    table, plant = _one_plant(table, options.plant, where)
    offset = _one_offset(table, where)
    refuse_summer_time(table, where, standard=options.clock == "standard")
    units = sorted(table["unit"].unique())
    first, last = table["time"].min(), table["time"].max()
    if last.year - first.year > _YEARS:
        raise FormatError(f"{where}: hours from {first:%Y-%m-%d} to {last:%Y-%m-%d}: no monitor ran so long")
    hours = pd.date_range(first, last, freq="h")
    size = (len(hours), len(units))
    row = hours.get_indexer(pd.DatetimeIndex(table["time"]))
    column = np.searchsorted(np.array(units, dtype=object), table["unit"].to_numpy())
    mass, rough = np.full(size, np.nan), np.zeros(size)
    mass[row, column] = table["mass"]
    rough[row, column] = table["mass"] * table["flag"].map(options.stack_errors)
    given = np.zeros(size)
    given[row, column] = np.where(table["flag"].isin(["substitute", "part"]), table["mass"], 0.0)
    notes += _found(table, mass, units, hours, offset, options)
    if options.daily is not None:
        notes += _against_daily(options.daily, table, options)
    return StackRecord(
        plant,
        np.datetime64(hours[0].to_datetime64(), "m"),
        mass.sum(axis=1),
        np.where(np.isfinite(mass).all(axis=1), rough.sum(axis=1), np.nan),
        np.where(np.isfinite(mass).all(axis=1), given.sum(axis=1), np.nan),
        tuple(units),
        offset,
        tuple(dict.fromkeys(notes)),
    )


@door("an hourly stack file")
def _rows(path: Path, options: StackOptions, *, daily: bool = False) -> tuple[pd.DataFrame, list[str]]:
    """Return ``plant, plant_id, unit, time (UTC), local, offset, mass, flag, row`` of a file, and what was assumed."""
    sheet = read_sheets(path)[0]
    cells, line = _cells(sheet)
    layout = layout_of(options.layout, list(cells), sheet.where, daily=daily)
    names = layout.found(list(cells))
    if daily:
        names.pop("hour", None)
    text = {
        role: cells[heading].map(lambda c: "" if c is None else str(c).strip())
        for role, heading in names.items()
    }
    notes = [*sheet.notes, f"{path.name}: read as {layout.title or options.layout}"]
    table = pd.DataFrame({"row": line})
    for role, otherwise in (("plant", ""), ("plant_id", ""), ("unit", "plant")):
        table[role] = text.get(role, otherwise)
    stamp = stamps(text, layout, options, sheet.where, line, daily=daily)
    table["local"], table["offset"] = stamp.local, stamp.offset
    table["time"] = table["local"] if daily else to_utc(stamp)
    notes += [f"{path.name}: {n}" for n in stamp.notes]
    value = _numbers(text["value"], names["value"], sheet.where, line)
    operating = _operating(text, names, sheet.where, line)
    table["mass"], said = _mass(value, operating, text, names, layout, sheet.where, line)
    notes += [f"{path.name}: {n}" for n in said]
    table["flag"] = _flags(text, layout, names, sheet.where, line)
    over = table["mass"] > _TOO_MUCH * (24.0 if daily else 1.0)
    if over.any():
        k = int(np.flatnonzero(over)[0])
        raise RangeError(
            f"{sheet.where}: row {line[k]}: {table['mass'][k] / 1e3:,.0f} t in an hour is more than any "
            "unit emits; is the "
            "unit that of the column?"
        )
    return table, notes


def _cells(sheet: Sheet) -> tuple[pd.DataFrame, Ints]:
    first = next((i for i, row in enumerate(sheet.rows) if sum(bool(str(c).strip()) for c in row) > 1), None)
    if first is None:
        raise FormatError(f"{sheet.where}: no rows below the headings")
    headings = [str(c).strip() for c in sheet.rows[first]]
    twice = {h for h in headings if h and headings.count(h) > 1}
    if twice:
        raise FormatError(f"{sheet.where}: column {min(twice)!r} stands there twice")
    rows = [(i + 1, r) for i, r in enumerate(sheet.rows) if i > first and any(str(c).strip() for c in r)]
    if not rows:
        raise FormatError(f"{sheet.where}: no rows below the headings")
    wide = len(headings)
    cells = [(list(r) + [""] * wide)[:wide] for _, r in rows]
    return pd.DataFrame(cells, columns=headings, dtype=object), np.array([i for i, _ in rows])


def _numbers(texts: pd.Series, heading: str, where: str, line: Any) -> Floats:
    found = np.full(len(texts), np.nan)
    for k, text in enumerate(texts):
        value = number(text, f"{where}: row {line[k]}, column {heading}")
        if value is not None:
            found[k] = value
    below = found < 0
    if below.any():
        k = int(np.flatnonzero(below)[0])
        raise RangeError(
            f"{where}: row {line[k]}, column {heading}: {found[k]:g} is negative; no stack takes CO2 in"
        )
    return found


def _operating(text: dict[str, pd.Series], names: dict[str, str], where: str, line: Any) -> Floats | None:
    if "operating_time" not in text:
        return None
    found = _numbers(text["operating_time"], names["operating_time"], where, line)
    over = found > 1
    if over.any():
        k = int(np.flatnonzero(over)[0])
        raise RangeError(
            f"{where}: row {line[k]}, column {names['operating_time']}: {found[k]:g} is no share of an "
            "hour (0 to 1); "
            "minutes must be divided by 60"
        )
    return found


def _mass(
    value: Floats,
    operating: Floats | None,
    text: dict[str, pd.Series],
    names: dict[str, str],
    layout: StackLayout,
    where: str,
    line: Any,
) -> tuple[Floats, list[str]]:
    """Return kg in each hour: a mass as it is, a rate times the time in operation."""
    if "value_unit" in text:
        stated = text["value_unit"].where(text["value_unit"] != "", layout.unit or "")
        if (stated == "").any():
            raise FormatError(
                f"{where}: row {line[int(np.flatnonzero(stated == '')[0])]}: no unit in {names['value_unit']!r}"
            )
        sizes = {u: amount_unit(u, f"{where}, column {names['value_unit']}") for u in stated.unique()}
        size = stated.map(lambda u: sizes[u][0]).to_numpy(float)
        rate: Bools = stated.map(lambda u: sizes[u][1]).to_numpy(bool)
        said = ", ".join(sizes)
    else:
        one = amount_unit(layout.unit or "", where)
        size, rate, said = np.full(value.size, one[0]), np.full(value.size, one[1]), layout.unit or ""
    notes = [f"amounts in {said}"]
    mass = value * size
    if rate.any():
        if operating is None and not layout.whole_hours:
            raise FormatError(
                f"{where}: rates ({said}) without the time in operation: a unit that ran half an hour "
                "emitted half as much; "
                "name its column (operating_time), or say whole_hours = true in the layout"
            )
        ran = np.ones(value.size) if operating is None or layout.whole_hours else operating
        mass = np.where(rate, mass * 3600.0 * ran, mass)
        notes.append(
            "rates taken as means of whole hours"
            if layout.whole_hours
            else "rates times the time in operation"
        )
    if operating is not None:
        mass = np.where(
            (operating == 0) & ~np.isfinite(mass), 0.0, mass
        )  # it stood still: nothing to measure
        odd = (operating == 0) & (mass > 0)
        if odd.any():
            notes.append(
                f"{int(odd.sum())} hours with emission and no operation, first in row "
                f"{line[int(np.flatnonzero(odd)[0])]}, count as missing"
            )
            mass = np.where(odd, np.nan, mass)
    return mass, notes


def _flags(
    text: dict[str, pd.Series], layout: StackLayout, names: dict[str, str], where: str, line: Any
) -> pd.Series | str:
    if "flag" not in text:
        return "other"
    known: dict[str, str] = {"": "other", **layout.flags}
    odd = ~text["flag"].isin(list(known))
    if odd.any():
        k = int(np.flatnonzero(odd)[0])
        word = text["flag"].iloc[k]
        raise FormatError(
            f"{where}: row {line[k]}, column {names['flag']}: flag {word!r} is not "
            f"known{nearest(word, layout.flags)}; say "
            "what it means under [flags] of a layout"
        )
    return text["flag"].map(known)


def _one_plant(table: pd.DataFrame, wanted: str | None, where: str) -> tuple[pd.DataFrame, str]:
    names = table["plant"].where(table["plant"] != "", table["plant_id"])
    there = sorted(names.unique())
    if wanted is None:
        if len(there) > 1:
            raise FormatError(f"{where}: {len(there)} plants; say which with --plant{nearest('', there)}")
        return table, there[0]
    chosen = (table["plant"] == wanted) | (table["plant_id"] == wanted)
    if not chosen.any():
        raise FormatError(f"{where}: no plant {wanted!r}{nearest(wanted, there)}")
    return table[chosen].reset_index(drop=True), str(names[chosen].iloc[0])


def _one_offset(table: pd.DataFrame, where: str) -> float:
    offsets = sorted(table["offset"].unique())
    if len(offsets) > 1:
        raise FormatError(
            f"{where}: offsets from UTC of {offsets[0]:+g} and {offsets[-1]:+g} hours in one record; "
            "standard time has one all "
            "year: is this a clock with summer time?"
        )
    return float(offsets[0])


def _found(
    table: pd.DataFrame,
    mass: Floats,
    units: Sequence[str],
    hours: pd.DatetimeIndex,
    offset: float,
    options: StackOptions,
) -> list[str]:
    gaps = int((~np.isfinite(mass).all(axis=1)).sum())
    share = table.groupby("flag")["mass"].sum() / max(float(table["mass"].sum()), 1e-300)
    flags = ", ".join(
        f"{f} {v:.1%} (error {options.stack_errors[str(f)]:.0%}, assumed)" for f, v in share.items() if v > 0
    )
    notes = [
        f"clock: local standard time, UTC{offset:+g}; {hours[0]:%Y-%m-%d %H:%M} to {hours[-1]:%Y-%m-%d %H:%M} UTC",
        f"units added up: {', '.join(units)}",
        f"hours without the value of every unit: {gaps} of {len(hours)}",
        f"mass by flag: {flags}",
    ]
    for k, unit in enumerate(units):
        there = np.isfinite(mass[:, k])
        if there.any() and (not there[0] or not there[-1]):
            on = hours[there]
            notes.append(
                f"unit {unit} has values from {on[0]:%Y-%m-%d} to {on[-1]:%Y-%m-%d} only: outside, the "
                "plant is missing"
            )
    return notes


def _against_daily(path: Path, table: pd.DataFrame, options: StackOptions) -> list[str]:
    """Compare sums of hours with stated daily totals of whole days."""
    stated, _ = _rows(path, options, daily=True)
    stated = stated[
        (stated["plant"].isin(table["plant"].unique())) & stated["unit"].isin(table["unit"].unique())
    ]
    day = pd.DatetimeIndex(table["local"]).floor("D")
    sums = table.assign(day=day).groupby(["unit", "day"])["mass"].agg(["sum", "count"])
    whole = sums[sums["count"] == 24]["sum"]
    given = (
        stated.assign(day=pd.DatetimeIndex(stated["local"]).floor("D")).groupby(["unit", "day"])["mass"].sum()
    )
    both = pd.concat([whole.rename("hours"), given.rename("stated")], axis=1, join="inner")
    if both.empty:
        raise FormatError(f"{path}: no whole day of the same plant and units to check the hours against")
    gap = (both["hours"] - both["stated"]).abs() / both["stated"].where(both["stated"] > 0, 1.0)
    off = int((gap > _OFF).sum())
    if off > 0.5 * len(both):
        (unit, at), worst = gap.idxmax(), both.loc[gap.idxmax()]
        raise FormatError(
            f"{path}: hours do not add up to the daily totals on {off} of {len(both)} days, e.g. "
            f"{at:%Y-%m-%d}, unit {unit}: "
            f"{worst['hours'] / 1e3:,.1f} t against {worst['stated'] / 1e3:,.1f} t; units, or masses taken for rates?"
        )
    tail = "" if not off else f"; the largest gap is {gap.max():.1%} on {gap.idxmax()[1]:%Y-%m-%d}"
    good = f"{len(both) - off} of {len(both)} days"
    return [f"{path.name}: hours add up to the daily totals within {_OFF:.0%} on {good}{tail}"]
