"""A gridded prior for people."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any

from obsnet.inventory.account.report import named_region
from obsnet.language import Language, Words, padded
from obsnet.regions import OFFSHORE, OUTSIDE

__all__ = ["grid_lines"]

_HEADINGS = (
    Words("region", "地区"),
    Words("total", "总量"),
    Words("placed", "已分配"),
    Words("by area", "按面积"),
)
_MT = Words("Mt a year", "Mt/年")
_REST = {OFFSHORE: Words(OFFSHORE, "海上"), OUTSIDE: Words(OUTSIDE, "区域外")}


def grid_lines(rows: list[dict[str, Any]], language: Language = "en") -> Iterator[str]:
    """Return a line a region, all sectors together: its total, what lies on the grid, what adding up by area finds."""
    regions: dict[str, list[float]] = {}
    for r in rows:
        mine = regions.setdefault(r["region"], [0.0, 0.0, 0.0])
        for k, name in enumerate(("total", "placed", "by_area")):
            mine[k] += r[name]
    first, *others = (h.said(language) for h in _HEADINGS)
    yield f"{padded(first, 18)}{''.join(padded(n, -12) for n in others)}   ({_MT.said(language)})"
    for region, (total, placed, area) in regions.items():
        off = f"{area / total - 1:>+9.1%}" if total and math.isfinite(area) else ""
        shown = f"{area:>12.3f}" if math.isfinite(area) else f"{'-':>12}"
        name = _REST[region].said(language) if region in _REST else named_region(region, language)
        yield f"{padded(name, 18)}{total:>12.3f}{placed:>12.3f}{shown}{off}"
