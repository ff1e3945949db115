"""A gridded prior for people."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any

from obsnet.inventory.account.report import named_region

__all__ = ["grid_lines"]


def grid_lines(rows: list[dict[str, Any]]) -> Iterator[str]:
    """Return a line a region, all sectors together: its total, what lies on the grid, what adding up by area finds."""
    regions: dict[str, list[float]] = {}
    for r in rows:
        mine = regions.setdefault(r["region"], [0.0, 0.0, 0.0])
        for k, name in enumerate(("total", "placed", "by_area")):
            mine[k] += r[name]
    yield f"{'region':<18}{'total':>12}{'placed':>12}{'by area':>12}   (Mt a year)"
    for region, (total, placed, area) in regions.items():
        off = f"{area / total - 1:>+9.1%}" if total and math.isfinite(area) else ""
        shown = f"{area:>12.3f}" if math.isfinite(area) else f"{'-':>12}"
        yield f"{named_region(region):<18}{total:>12.3f}{placed:>12.3f}{shown}{off}"
