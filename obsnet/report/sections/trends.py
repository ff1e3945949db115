"""Trends of inventories and inversions, and whether they differ."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from obsnet.crosscheck.rules.published import MOSTLY_OBSERVED
from obsnet.crosscheck.trend.seen import SOURCES
from obsnet.drawing.figures import above_the_axes, figure_png, subplots
from obsnet.drawing.fonts import drawn_in
from obsnet.language import Language, Words
from obsnet.reading import door
from obsnet.report.sections.made import read_made
from obsnet.report.sections.section import Section, named, percent, plain, signed
from obsnet.report.words import term

__all__ = ["trends"]

_HEAD = (
    term("region"),
    term("source"),
    term("years"),
    Words("Slope a year", "年变化"),
    term("sd"),
    Words("% a year", "%/年"),
    term("p adjusted"),
    Words("Sen's slope", "Sen 斜率"),
    Words("p (Mann-Kendall)", "p（Mann-Kendall）"),
    Words("Residuals / errors", "残差/误差"),
    term("response"),
    Words("Differ", "不同"),
    term("remark"),
)
_DIFFER = {"yes": term("yes"), "no": term("no"), "prior": Words("by the prior", "仅先验")}
_AXIS = Words("slope, unit of the values a year", "斜率，数值单位/年")
_TEXT = Words(
    "Generalised least squares with errors that years remember; a factor that is wrong in all years makes a slope "
    "wrong by its own share only. Rows of two sources are the difference of their slopes over the years both have. "
    "Residuals above 1 say that a series varies more than its errors state. Seen is the share of a true change of "
    "slope that observations show: a trend with less than half is the prior's, and whether it differs is not tested.",
    "广义最小二乘，误差可跨年相关；各年共同的系数误差只按其比例影响斜率。两来源之行为共同年份上斜率之差。"
    "残差/误差大于 1 表示序列的起伏超过其所述误差。响应为真实斜率变化中可由观测显现的比例；"
    "不足一半者主要来自先验，不检验是否不同。",
)
_CAPTION = Words(
    "Slopes by region and source with 95 % intervals; hollow where the trend is mostly the prior's.",
    "各地区各来源的斜率及 95% 区间；空心者主要来自先验。",
)


@door("a table of ours")
def trends(path: Path, language: Language = "en") -> Section:
    """Return the section of ``trends.csv``."""
    texts = ("region", "name_en", "name_zh", "kind", "source", "differ", "remark", "remark_zh")
    table = read_made(path, "trend", ("slope", "slope_sd", "p_adjusted", "response"), texts)
    rows = [
        (
            named(r, language),
            _source(r["source"], language),
            f"{r['first']:.0f}–{r['last']:.0f}",
            signed(r["slope"], 2),
            f"{r['slope_sd']:.2g}",
            signed(r["percent"], 1),
            *(f"{r[c]:.2g}" if np.isfinite(r[c]) else "–" for c in ("p_adjusted",)),
            *(f"{r[c]:.3g}" if np.isfinite(r[c]) else "–" for c in ("sen_slope", "p_rank", "scatter")),
            percent(r["response"]),
            _DIFFER[r["differ"]].said(language) if r["differ"] in _DIFFER else "",
            Words(r["remark"], r["remark_zh"]).said(language),
        )
        for r in table.to_dict("records")
    ]
    return Section(
        Words("Trends", "趋势"),
        [_TEXT],
        _HEAD,
        rows,
        _chart(table[table["kind"] == "trend"], language),
        _CAPTION,
    )


def _source(source: str, language: Language) -> str:
    """Return a source, or a pair of them, in a language where it is one of ours."""
    parts = source.split(" - ")
    return " − ".join(SOURCES.get(p, Words(p, p)).said(language) for p in parts)


def _chart(table: Any, language: Language) -> bytes:

    language = drawn_in(language)
    regions = list(dict.fromkeys((r["region"], named(r, language)) for r in table.to_dict("records")))
    sources = list(dict.fromkeys(table["source"]))
    figure, axes = subplots(figsize=(8.5, 0.24 * len(regions) * max(len(sources) / 2, 1) + 1.2))
    place = {r: k for k, (r, _) in enumerate(reversed(regions))}
    for k, source in enumerate(sources):
        part = table[table["source"] == source]
        y = np.array([place[r] for r in part["region"]]) + 0.6 * (k + 0.5) / len(sources) - 0.3
        of_prior = (part["response"] < MOSTLY_OBSERVED).to_numpy()
        named_by = "none" if of_prior.all() else "full"
        for fill, chosen in (("full", ~of_prior), ("none", of_prior)):
            axes.errorbar(
                part["slope"][chosen],
                y[chosen],
                xerr=1.96 * part["slope_sd"][chosen],
                fmt="o",
                ms=4,
                lw=1.2,
                color=f"C{k}",
                fillstyle=fill,
                label=plain(_source(source, language)) if fill == named_by else None,
            )
    axes.axvline(0, color="k", lw=0.8)
    axes.set_yticks(range(len(regions)), [plain(n)[:40] for _, n in reversed(regions)], fontsize=8)
    axes.set_ylim(-0.7, len(regions) - 0.3)
    axes.set_xlabel(_AXIS.said(language))
    axes.grid(axis="x", lw=0.4)
    above_the_axes(axes)
    return figure_png(figure)
