"""Cities and reports for people."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from obsnet.inventory.account.report import named_region
from obsnet.inventory.notes import in_both, named
from obsnet.language import Language, Words, padded

__all__ = ["city_lines", "report_lines"]


def city_lines(found: Any, language: Language = "en") -> Iterator[str]:
    """Return a line a city and category."""
    unresolved = Words("  not resolvable", "  不可分辨").said(language)
    for r in found.to_dict("records"):
        mark = "" if r["resolvable"] else unresolved
        where = f"{padded(named_region(r['region'], language), 16)}{padded(r['city'], 16)}{r['category']:<14}"
        yield f"{where}{r['value']:>12.4f} Mt {r['share']:>7.2%} {named(r['basis'], language)}{mark}"


def report_lines(sums: Any, odd: Any, language: Language = "en") -> Iterator[str]:
    """Return sums of reports, then what looks wrong."""
    reports = Words("reports", "份报告").said(language)
    for r in sums.to_dict("records"):
        stated, share = f"{r['inventory']:.4f}", f"{r['coverage']:.0%}"
        both = Words(f"  inventory {stated} ({share} covered)", f"  清单 {stated}（涵盖 {share}）")
        beside = "" if r["inventory"] != r["inventory"] else both.said(language)
        where = f"{padded(named_region(r['region'], language), 16)}{r['category']:<18}"
        yield f"{where}{r['reports']:>5} {reports} {r['value']:>12.4f} Mt{beside}"
    for r in odd.to_dict("records"):
        row = Words(f"row {r['line']}", f"第 {r['line']} 行").said(language)
        yield f"{row}: {r['name']}: {in_both(r['why']).said(language)}"
