"""Comparisons of files, and as lines for people."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from obsnet.inventory.account.report import named_region
from obsnet.inventory.sources.compare import Comparison, compare_sources, read_source
from obsnet.inventory.words import NATION
from obsnet.language import Language, Words, padded

__all__ = ["compare_files", "comparison_data", "comparison_lines"]


_HEADINGS = (Words("region", "地区"), Words("period", "时段"), Words("spread", "极差"))
_CHINA = Words("China", "全国")


def compare_files(sources: Sequence[str], grid: Mapping[str, Any], **what: Any) -> Comparison:
    """Compare sources given as ``FILE`` or ``NAME=FILE``; workbooks of one name are one source.

    ``FILE:SOURCE`` takes one source of a PRIMAP2 file that holds several.
    """
    import pandas as pd

    frames: dict[str, list[Any]] = {}
    notes: list[str] = []
    for text in sources:
        name, equals, path = text.partition("=")
        if not equals:
            name, path = "", text
        one: str | None = None
        if ":" in path and not Path(path).exists():
            path, _, one = path.rpartition(":")
        frame, said = read_source(path, one, **grid)
        notes += said
        # Workbooks of CEADs are a year each and one source together; everything else is a source of its own.
        whole = Path(path).suffix.lower() in {".xlsx", ".xls"} and set(frame["terminology"]) == {"CEADs"}
        frames.setdefault(name or ("CEADs" if whole else Path(path).stem), []).append(frame)
    joined = [(name, pd.concat(parts, ignore_index=True)) for name, parts in frames.items()]
    found = compare_sources(joined, **what)
    return Comparison(found.table, found.sums, (*notes, *found.notes))


def comparison_data(found: Comparison) -> dict[str, Any]:
    """Return a comparison for machines."""
    return {
        "table": found.table.to_dict("records"),
        "sums": found.sums.to_dict("records"),
        "unit": "Mt",
        "notes": list(found.notes),
    }


def comparison_lines(found: Comparison, language: Language = "en") -> Iterator[str]:
    """Return a comparison for people, widest spread first."""
    aside = {"region", "period", "gas", "category", "sources", "mean", "spread", "sd"}
    names = [c for c in found.table.columns if c not in aside]
    region, period, spread = (w.said(language) for w in _HEADINGS)
    yield (
        padded(region, 18)
        + padded(period, 8)
        + "".join(padded(n[:14], -15) for n in names)
        + padded(spread, -9)
        + f"{'sd':>8}   (Mt)"
    )
    for r in found.table.sort_values("spread", ascending=False, na_position="last").to_dict("records"):
        cells = "".join(f"{r[n]:>15.3f}" if math.isfinite(r[n]) else f"{'-':>15}" for n in names)
        more = f"{r['spread']:>9.1%}{r['sd']:>8.1%}" if math.isfinite(r["spread"]) else ""
        name = _CHINA.said(language) if r["region"] == NATION else named_region(r["region"], language)
        yield f"{padded(name, 18)}{r['period']!s:<8}{cells}{more}"
    for r in found.sums.to_dict("records"):
        n, total = r["shared_regions"], f"{r['shared_sum']:.1f} Mt"
        said = Words(f"{total} over {n} shared regions", f"{n} 个共有地区合计 {total}").said(language)
        if math.isfinite(r["nation_stated"]):
            stated = f"{r['nation_stated']:.1f}"
            said += Words(f"; nation as stated {stated}", f"；所列全国值 {stated}").said(language)
            if r["all_sum"]:
                gap = f"{r['all_sum'] / r['nation_stated'] - 1:+.1%}"
                said += Words(f" (sum of provinces {gap})", f"（各省之和 {gap}）").said(language)
        yield f"{r['period']} {r['source']}: {said}"
