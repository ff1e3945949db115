"""A compiled inventory as files and as lines for people, in English and Chinese."""

from __future__ import annotations

import math
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from obsnet.errors import FormatError, RegionError
from obsnet.inventory.account.categories import category_name
from obsnet.inventory.account.compile import Compiled
from obsnet.inventory.account.tier1 import find_activity
from obsnet.inventory.balance.labels import ROWS
from obsnet.inventory.books import write_rows
from obsnet.inventory.factors.fuels import find_fuel, fuels
from obsnet.inventory.words import CHINESE, RESULTS
from obsnet.language import Language, Words
from obsnet.reading import door, read_csv
from obsnet.regions import region_name

__all__ = [
    "compiled_data",
    "compiled_lines",
    "named_region",
    "read_edition",
    "read_trace",
    "trace_lines",
    "write_compiled",
]

_LINES = Words("{n} lines, {gas}: {amount}", "共 {n} 行，{gas}：{amount}")


def named_region(code: str, language: Language = "en") -> str:
    """Return the name of a province, or a user's own key as it stands."""
    try:
        return region_name(code, language)
    except RegionError:
        return code


def write_compiled(made: Compiled, out: Path, language: Language = "en") -> list[Path]:
    """Write inventory.csv, trace.csv, reference.csv and, of several regions, covariance.csv into a folder.

    In Chinese the headings are Chinese and provinces are written by name; `obsnet.inventory.table.read_inventory`
    and the commands read both.
    """
    written = []
    tables = {"inventory": made.inventory, "trace": made.trace, "reference": made.reference}
    if len(made.covariance):
        tables["covariance"] = made.covariance
    for name, frame in tables.items():
        path = out / f"{name}.csv"
        write_rows(_localised(frame, language), path, language)
        written.append(path)
    return written


def _localised(frame: Any, language: Language) -> Any:
    if language == "en":
        return frame
    named = frame.assign(
        **{c: [named_region(r, "zh") for r in frame[c]] for c in ("region", "other") if c in frame}
    )
    # The contract's own headings keep their usual Chinese; the rest is of the trace.
    return named.rename(columns={k: v for k, v in RESULTS.items() if k in frame.columns})


@door("a trace")
def read_trace(path: str | Path) -> Any:
    """Read a trace.csv in either language; `path` is the table or its folder.

    Raises
    ------
    FormatError
        Not a trace: columns missing.
    """
    import pandas as pd

    from obsnet.errors import FormatError
    from obsnet.inventory.account.compile import TRACE_COLUMNS
    from obsnet.inventory.words import find_region

    path = Path(path)
    path = path / "trace.csv" if path.is_dir() else path
    if not path.is_file():
        raise FormatError(
            f"{path}: no such file; `obsnet inventory compile` writes trace.csv beside inventory.csv"
        )
    frame = read_csv(
        path, dtype={"region": str, "period": str, "地区": str, "年份": str}, encoding="utf-8-sig"
    )
    back = {v: k for k, v in {**CHINESE, **RESULTS}.items() if k in TRACE_COLUMNS}
    frame = frame.rename(columns={c: back.get(c, c) for c in frame.columns})
    missing = [c for c in TRACE_COLUMNS if c not in frame.columns]
    if missing:
        raise FormatError(
            f"{path}: not a trace, lacks {', '.join(missing)}; give trace.csv of `obsnet inventory compile`"
        )
    frame["region"] = [_code(r, find_region) for r in frame["region"]]
    for column in ("cell", "note", "row"):
        frame[column] = ["" if pd.isna(v) else str(v) for v in frame[column]]
    return frame


def read_edition(path: Path) -> tuple[Any, Any]:
    """Return an inventory, and its trace where trace.csv lies beside it; `path` is the table or its folder."""
    from obsnet.inventory.table import read_inventory

    table = path / "inventory.csv" if path.is_dir() else path
    beside = table.with_name("trace.csv")
    return read_inventory(table), read_trace(beside) if beside.is_file() else None


def _code(name: str, find: Any) -> str:
    try:
        return str(find(name))
    except RegionError:
        return name


def compiled_data(made: Compiled) -> dict[str, Any]:
    """Return a compiled inventory for machines."""
    return {
        "inventory": made.inventory.to_dict("records"),
        "reference_approach": made.reference.to_dict("records"),
        "lines": len(made.trace),
        "notes": list(made.notes),
    }


def compiled_lines(made: Compiled, language: Language = "en") -> Iterator[str]:
    """Return a compiled inventory for people."""
    for (region, period), rows in made.inventory.groupby(["region", "period"], sort=False):
        yield f"{named_region(region, language)} {period}"
        for r in rows.to_dict("records"):
            name = category_name(r["category"], r["terminology"], language)
            spread = f"  sd {r['uncertainty']:.1%}" if math.isfinite(r["uncertainty"]) else ""
            yield f"  {r['gas']:<4}{r['category']:<13}{r['value']:>12.4f} {r['unit']}{spread}  {name}"
        for r in made.reference[
            (made.reference["region"] == region) & (made.reference["period"] == period)
        ].to_dict("records"):
            said = "参考法" if language == "zh" else "reference approach"
            rows_said = "按分项" if language == "zh" else "by the rows of supply"
            yield (
                f"  {said}: {r['reference']:.3f} Mt CO2 ({r['difference']:+.1%}), {rows_said} "
                f"{r['reference_by_rows']:.3f} "
                f"({r['difference_by_rows']:+.1%})"
            )


def _item(name: str, language: Language) -> str:
    """Return a fuel or an activity in a language; a name of the user's own as it stands."""
    if language == "en":
        return name
    try:
        return find_fuel(name).zh if name in fuels() else find_activity(name).zh
    except FormatError:
        return name


def _balance_row(name: str, language: Language) -> str:
    """Return a row of a balance in a language; the number of a row of a table as it stands."""
    return ROWS[name].zh if language == "zh" and name in ROWS else name


def trace_lines(found: Any, language: Language = "en") -> Iterator[str]:
    """Return the lines behind a number for people: activity, cell, factor, its page."""
    for r in found.to_dict("records"):
        row = _balance_row(r["row"], language)
        where = f"{Path(str(r['file']).partition(', sheet')[0]).name} {r['cell'] or r['row']}".strip()
        yield (
            f"{named_region(r['region'], language)} {r['period']} {r['category']:<12}{r['emission']:>16,.1f} "
            f"{r['emission_unit']} = "
            f"{r['activity']:,.6g} {r['unit']} {_item(r['item'], language)} ({row}, {where})"
            f" x {r['factor']:.6g} "
            f"{r['factor_unit']}"
        )
        yield f"    {r['factor_key']}: {r['factor_source']}" + (f" [{r['note']}]" if r["note"] else "")
    sums = found.groupby(["gas", "emission_unit"])["emission"].sum()
    for (gas, unit), value in sums.items():
        yield _LINES.said(language).format(n=len(found), gas=gas, amount=f"{value:,.1f} {unit}")
