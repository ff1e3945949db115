"""The table of verdicts as lines of text."""

from __future__ import annotations

import math
from collections.abc import Iterator
from itertools import combinations
from typing import Any

from obsnet.crosscheck.words import common_first
from obsnet.language import Language, Words, decimals

__all__ = ["attribution_lines", "reconciled_lines", "statistics_lines", "table_lines", "trend_lines"]

_ORDER = {"inconsistent": 0, "consistent": 1, "not decided": 2, "not testable": 3}


def _cell(value: float, form: str) -> str:
    return format(value, form) if math.isfinite(value) else "-"


_WORDS = {
    "against": Words(
        "{sector} of the inversion ({period}) against the inventory's {category} of {inventory_period}",
        "以反演的 {sector}（{period}）检验清单的 {category}（{inventory_period}）",
    ),
    "rule": Words(
        "rule: {alpha:.2g} false alarms ({adjustment}), power {power:.0%}, testable up to {detectable:.0%}, "
        "consistent within {margin_share:.0%}",
        "规则：误报率 {alpha:.2g}（{adjustment}），功效 {power:.0%}，最小可检差异不超过 {detectable:.0%} 者可检验，"
        "相差 {margin_share:.0%} 以内为一致",
    ),
    "note": Words("note: ", "注意："),
    "head": Words(
        "region,inventory,inversion,sd,difference,detectable,verdict",
        "地区,清单,反演,标准差,差异,最小可检,判定",
    ),
    "among": Words(" among regions", "（单个地区）"),
    "year": Words("Mt {gas} a year", "Mt {gas} / 年"),
    "consistent": Words("consistent", "一致"),
    "inconsistent": Words("inconsistent", "不一致"),
    "not decided": Words("not decided", "未能判定"),
    "not testable": Words("not testable", "无法检验"),
}
_ZH = {"en": "", "zh": "_zh"}


def _pad(text: str, width: int) -> str:
    """Set a text flush left; a Chinese character is two wide."""
    return text + " " * max(width - _width(text), 0)


def _right(text: str, width: int) -> str:
    return " " * max(width - _width(text), 0) + text


def _width(text: str) -> int:
    return sum(2 if ord(c) > 0x2E7F else 1 for c in text)


def table_lines(table: Any, language: Language = "en") -> Iterator[str]:
    """Say what was compared by which rule, and the verdicts, testable regions first."""
    said, end, name = {k: w.said(language) for k, w in _WORDS.items()}, _ZH[language], f"name_{language}"
    first = table.iloc[0]
    about = {k: first[k] for k in ("sector", "alpha", "adjustment", "power", "detectable", "margin_share")}
    category = f"{first['category']} {first['terminology']}".rstrip()
    about |= {k: first[f"{k}{end}"] for k in ("period", "inventory_period")} | {"category": category}
    yield said["against"].format(**about)
    yield said["rule"].format(**about)
    remarks = [Words(*pair) for pair in zip(table["remark"], table["remark_zh"], strict=True)]
    common, own = common_first(remarks)
    for remark in common:
        yield f"{said['note']}{remark.said(language)}"
    shown = table.assign(rank=table["verdict"].map(_ORDER), own=[t.said(language) for t in own])
    shown = shown.sort_values(["rank", "inventory"], ascending=[True, False])
    wide = min(max(16, *(_width(n) + 1 for n in shown[name])), 40)
    region, *heads = said["head"].split(",")
    columns = "".join(_right(h, w) for h, w in zip(heads, (10, 11, 6, 12, 12), strict=False))
    yield f"{_pad(region, wide)}{columns}  {heads[-1]}"
    for row in shown.to_dict("records"):
        known, digits = math.isfinite(row["inventory"]), decimals(row["posterior_sd"])
        share = row["minimum_detectable"] / abs(row["inventory"]) if row["inventory"] else math.nan
        why = ("；" if end else "; ").join(t for t in (row[f"reason{end}"], row["own"]) if t)
        yield (
            f"{_pad(row[name], wide)}"
            f"{_cell(row['inventory'], f'.{digits}f'):>10}"
            f"{row['posterior']:>11.{digits}f} {row['posterior_sd']:>5.{digits}f}"
            f"{_cell(row['difference'] if known else math.nan, f'+.{digits}f'):>12}"
            f"{_cell(share, '.0%') if not share >= 10 else '> 1000%':>12}  "
            f"{said[row['verdict']]}{('：' if end else ': ') + why if why else ''}"
        )
    single = table[table["kind"] == "region"]
    counts = single["verdict"].value_counts()
    of_each = ", ".join(f"{counts.get(v, 0)} {said[v]}" for v in _ORDER)
    among = said["among"] if len(single) < len(table) else ""
    yield f"{of_each}{among}; {said['year'].format(gas=first['gas'])}"


def statistics_lines(statistics: Any, language: Language = "en") -> Iterator[str]:
    """Say what is true of all regions together, what must be known of the run first."""
    for row in statistics.sort_values("told", ascending=False, kind="stable").to_dict("records"):
        if text := row[f"text{_ZH[language]}"]:
            yield f"{_WORDS['note'].said(language)}{text}" if row["told"] else text


def reconciled_lines(table: Any) -> Iterator[str]:
    """Say what was reconciled, a line a region."""
    wide = min(max(16, *(len(n) + 1 for n in table["name_en"])), 40)
    head = f"{'region':<{wide}}{'inventory':>10}{'sd':>6}{'inversion':>11}{'sd':>6}"
    yield f"{head}{'reconciled':>12}{'sd':>6}{'adjusted':>10}"
    for row in table.to_dict("records"):
        form = f".{decimals(row['reconciled_sd'])}f"
        numbers = [_cell(row[c], form) for c in ("inventory", "inventory_sd", "inversion", "inversion_sd")]
        best = [_cell(row["reconciled"], form), _cell(row["reconciled_sd"], form)]
        yield (
            f"{row['name_en']:<{wide}}{numbers[0]:>10} {numbers[1]:>5}{numbers[2]:>11} {numbers[3]:>5}"
            f"{best[0]:>12} {best[1]:>5}{_cell(row['adjustment'], f'+{form}'):>10}"
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
            f"{'  ' + row['remark'] if row['remark'] else ''}"
        )
    held = set(zip(table["region"], table["source"], strict=True))
    for region, own in table[table["kind"] == "trend"].groupby("region", sort=False):
        for one, other in combinations(own["source"], 2):
            if (region, f"{one} - {other}") not in held:
                name = own["name_en"].iloc[0]
                yield f"{name}: {one} and {other} have fewer than three years in common, no difference"


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
