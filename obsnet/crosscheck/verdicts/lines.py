"""The table of verdicts as lines of text."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any

from obsnet.crosscheck.words import common_first
from obsnet.language import Words

__all__ = ["attribution_lines", "reconciled_lines", "statistics_lines", "table_lines", "trend_lines"]

_ORDER = {"inconsistent": 0, "consistent": 1, "not decided": 2, "not testable": 3}


def _cell(value: float, form: str) -> str:
    return format(value, form) if math.isfinite(value) else "-"


def table_lines(table: Any) -> Iterator[str]:
    """Say what was compared by which rule, and the verdicts, testable regions first."""
    first = table.iloc[0]
    yield (
        f"{first['sector']} of the inversion ({first['period']}) against the inventory's {first['category']} "
        f"{first['terminology'] + ' ' if first['terminology'] else ''}of {first['inventory_period']}"
    )
    yield (
        f"rule: {first['alpha']:.2g} false alarms ({first['adjustment']}), power {first['power']:.0%}, testable up to "
        f"{first['detectable']:.0%}, consistent within {first['margin_share']:.0%}"
    )
    remarks = [Words(*pair) for pair in zip(table["remark"], table["remark_zh"], strict=True)]
    common, own = common_first(remarks)
    for remark in common:
        yield f"note: {remark.en}"
    shown = table.assign(rank=table["verdict"].map(_ORDER), own=[t.en for t in own])
    shown = shown.sort_values(["rank", "inventory"], ascending=[True, False])
    wide = min(max(16, *(len(n) + 1 for n in shown["name_en"])), 40)
    head = f"{'region':<{wide}}{'inventory':>10}{'inversion':>11}{'sd':>6}"
    yield f"{head}{'difference':>12}{'detectable':>12}  verdict"
    for row in shown.to_dict("records"):
        known = math.isfinite(row["inventory"])
        share = row["minimum_detectable"] / abs(row["inventory"]) if row["inventory"] else math.nan
        why = "; ".join(t for t in (row["reason"], row["own"]) if t)
        yield (
            f"{row['name_en']:<{wide}}"
            f"{_cell(row['inventory'], '.0f'):>10}{row['posterior']:>11.0f}{row['posterior_sd']:>6.0f}"
            f"{_cell(row['difference'] if known else math.nan, '+.0f'):>12}"
            f"{_cell(share, '.0%') if not share >= 10 else '> 1000%':>12}  "
            f"{row['verdict']}{': ' + why if why else ''}"
        )
    single = table[table["kind"] == "region"]
    counts = single["verdict"].value_counts()
    said = ", ".join(f"{counts.get(v, 0)} {v}" for v in _ORDER)
    yield f"{said}{' among regions' if len(single) < len(table) else ''}; Mt {first['gas']} a year"


def statistics_lines(statistics: Any) -> Iterator[str]:
    """Say what is true of all regions together, what must be known of the run first."""
    for row in statistics.sort_values("told", ascending=False, kind="stable").to_dict("records"):
        if row["text"]:
            yield f"note: {row['text']}" if row["told"] else row["text"]


def reconciled_lines(table: Any) -> Iterator[str]:
    """Say what was reconciled, a line a region."""
    wide = min(max(16, *(len(n) + 1 for n in table["name_en"])), 40)
    head = f"{'region':<{wide}}{'inventory':>10}{'sd':>6}{'inversion':>11}{'sd':>6}"
    yield f"{head}{'reconciled':>12}{'sd':>6}{'adjusted':>10}"
    for row in table.to_dict("records"):
        numbers = [_cell(row[c], ".0f") for c in ("inventory", "inventory_sd", "inversion", "inversion_sd")]
        best = [_cell(row["reconciled"], ".0f"), _cell(row["reconciled_sd"], ".0f")]
        yield (
            f"{row['name_en']:<{wide}}{numbers[0]:>10}{numbers[1]:>6}{numbers[2]:>11}{numbers[3]:>6}"
            f"{best[0]:>12}{best[1]:>6}{_cell(row['adjustment'], '+.0f'):>10}"
            f"{'  suspect: ' + row['suspect'] if row['suspect'] else ''}"
        )
    yield f"{table['period'].iloc[0]}; Mt {table['gas'].iloc[0]} a year"


def trend_lines(table: Any) -> Iterator[str]:
    """Say the trends, a line each, then their differences."""
    yield f"{'region':<16}{'source':<26}{'years':<11}{'a year':>10}{'sd':>8}{'percent':>9}{'p':>9}"
    for row in table.to_dict("records"):
        yield (
            f"{row['name_en']:<16}{row['source']:<26}{row['first']:.0f}-{row['last']:.0f}  "
            f"{row['slope']:>+10.4g}{row['slope_sd']:>8.2g}{_cell(row['percent'], '+.1f'):>9}"
            f"{_cell(row['p_adjusted'], '.2g'):>9}{'  the trends differ' if row['differ'] == 'yes' else ''}"
        )


def attribution_lines(table: Any) -> Iterator[str]:
    """Say the sectors of each region, then its total."""
    if table["remark"].iloc[0]:
        yield f"note: {table['remark'].iloc[0]}"
    head = f"{'region':<16}{'category':<20}{'inventory':>10}{'sd':>7}{'by share':>10}{'sd':>7}"
    yield f"{head}{'by errors':>11}{'sd':>7}{'told':>7}"
    for row in table.to_dict("records"):
        yield (
            f"{row['name_en']:<16}{row['category']:<20}"
            f"{row['inventory']:>10.1f}{row['inventory_sd']:>7.1f}{row['by_share']:>10.1f}{row['by_share_sd']:>7.1f}"
            f"{row['by_errors']:>11.1f}{row['by_errors_sd']:>7.1f}{row['told']:>7.0%}"
        )
    yield f"{table['period'].iloc[0]}; Mt {table['gas'].iloc[0]} a year"
