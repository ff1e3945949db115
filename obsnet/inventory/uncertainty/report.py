"""Uncertainty tables for machines and people."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from obsnet.inventory.notes import named
from obsnet.inventory.uncertainty.approach1 import Approach1
from obsnet.inventory.uncertainty.montecarlo import TwoYearDraws
from obsnet.language import Language, Words

__all__ = ["key_lines", "recalculation_lines", "uncertainty_data", "uncertainty_lines"]


def uncertainty_data(found: Approach1, drawn: TwoYearDraws | None = None) -> dict[str, Any]:
    """Return Table 3.2 and its totals; uncertainties are percent, half-widths of 95 %."""
    data: dict[str, Any] = {
        "total_base": found.base,
        "total_current": found.current,
        "total_uncertainty": found.uncertainty,
        "total_interval": [found.lower, found.upper],
        "trend": found.trend,
        "trend_uncertainty": found.trend_uncertainty,
        "meaning": "percent (trend: percentage points), half-width of 95 %",
        "table": found.table.to_dict("records"),
        "notes": list(found.notes),
    }
    if drawn is not None:
        data["monte_carlo"] = {
            "draws": drawn.draws,
            "total_interval": list(drawn.total),
            "total_interval_percent": [100.0 * (t / found.current - 1.0) for t in drawn.total],
            "trend_interval": list(drawn.trend),
            "trend_interval_points": [t - found.trend for t in drawn.trend],
            "total_mean": drawn.mean,
            "total_sd": drawn.sd,
        }
    return data


def uncertainty_lines(
    found: Approach1, drawn: TwoYearDraws | None = None, language: Language = "en"
) -> Iterator[str]:
    """Return Table 3.2 for people."""
    zh = language == "zh"
    head = ("类别", "气体") if zh else ("category", "gas")
    yield f"{head[0]:<22}{head[1]:<6}" + "".join(f"{c:>10}" for c in "CDEFGHIJKLM")
    for row in found.table.to_dict("records"):
        numbers = "".join(f"{row[c]:>10.4g}" for c in "CDEFGHIJKLM")
        yield f"{row['category']!s:<22}{row['gas']!s:<6}{numbers}"
    total = "合计" if zh else "total"
    yield f"{total:<28}{found.base:>10.6g}{found.current:>10.6g}"
    plus = (
        f"{found.lower:+.4f} / {found.upper:+.4f} %"
        if found.upper != -found.lower
        else f"± {found.uncertainty:.4f} %"
    )
    yield f"{'总量不确定性(95%)' if zh else 'uncertainty of the total (95 %)'}: {plus}"
    yield (
        f"{'趋势' if zh else 'trend'}: {found.trend:+.4f} %, {'不确定性' if zh else 'uncertainty'} ± "
        f"{found.trend_uncertainty:.4f} "
        f"{'个百分点' if zh else 'percentage points'}"
    )
    if drawn is not None:
        low, high = drawn.total
        yield (
            f"{'蒙特卡罗' if zh else 'Monte Carlo'}, {drawn.draws}: {low:.6g} .. {high:.6g} "
            f"({100 * (low / found.current - 1):+.2f} / {100 * (high / found.current - 1):+.2f} %), "
            f"{'趋势' if zh else 'trend'} {drawn.trend[0]:.2f} .. {drawn.trend[1]:.2f} %"
        )


def key_lines(found: Any, language: Language = "en") -> Iterator[str]:
    """Return key categories for people, ranks first."""
    level, trend, key = ("水平", "趋势", "关键") if language == "zh" else ("level", "trend", "key")
    for row in found.sort_values("level_rank").to_dict("records"):
        marks = [level if row["level_key"] else "", trend if row["trend_key"] else ""]
        said = ", ".join(m for m in marks if m) or "-"
        yield (
            f"{row['category']!s:<22}{row['gas']!s:<6}{level} {row['level']:.5f} (#{row['level_rank']}, "
            f"{row['level_cumulative']:.1%})  "
            f"{trend} {row['trend']:.5f} (#{row['trend_rank']}, {row['trend_cumulative']:.1%})  "
            f"{key}: {said}"
        )


def recalculation_lines(found: Any, language: Language = "en") -> Iterator[str]:
    """Return a recalculation log for people."""
    activity, factor = named("activity", language), named("factor", language)
    for r in found.to_dict("records"):
        parts = ""
        if "by_activity" in r and r["by_activity"] == r["by_activity"]:
            parts = f" ({activity} {r['by_activity']:+.4g}, {factor} {r['by_factor']:+.4g})"
        yield (
            f"{named(r['region'], language)} {r['period']} {r['gas']} {r['category']:<14}{r['old']:.6g} -> "
            f"{r['new']:.6g} {r['unit']} ({r['relative']:+.2%}){parts} {named(r['reason'], language)}"
        )
    yield Words(f"{len(found)} numbers changed", f"共 {len(found)} 个数值有变动").said(language)
