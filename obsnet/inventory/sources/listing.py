"""Comparisons of files, and as lines for people."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from obsnet.inventory.account.report import named_region
from obsnet.inventory.sources.compare import Comparison, compare_sources, read_source
from obsnet.inventory.words import NATION
from obsnet.language import Language

__all__ = ["compare_files", "comparison_data", "comparison_lines"]


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
    yield (
        f"{'region':<18}{'period':<8}"
        + "".join(f"{n[:14]:>15}" for n in names)
        + f"{'spread':>9}{'sd':>8}   (Mt)"
    )
    for r in found.table.sort_values("spread", ascending=False, na_position="last").to_dict("records"):
        cells = "".join(f"{r[n]:>15.3f}" if math.isfinite(r[n]) else f"{'-':>15}" for n in names)
        more = f"{r['spread']:>9.1%}{r['sd']:>8.1%}" if math.isfinite(r["spread"]) else ""
        name = "China" if r["region"] == NATION else named_region(r["region"], language)
        yield f"{name:<18}{r['period']!s:<8}{cells}{more}"
    for r in found.sums.to_dict("records"):
        nation = f"; nation as stated {r['nation_stated']:.1f}" if math.isfinite(r["nation_stated"]) else ""
        if nation and r["all_sum"]:
            nation += f" (sum of provinces {r['all_sum'] / r['nation_stated'] - 1:+.1%})"
        yield f"{r['period']} {r['source']}: {r['shared_sum']:.1f} Mt over {r['shared_regions']} shared regions{nation}"
