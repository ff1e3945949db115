"""What stands beside the verdicts: z, E_n, log-ratios, chi-square of all, and the line that is asked for."""

from __future__ import annotations

from typing import Any

import numpy as np

from obsnet.crosscheck.rules.published import REQUIREMENTS
from obsnet.drawing.figures import above_the_axes, figure_png, subplots
from obsnet.drawing.fonts import drawn_in
from obsnet.language import Language, Words
from obsnet.report.sections.section import Section, named, percent, plain, signed
from obsnet.report.words import term

__all__ = ["beside_the_verdict"]

_HEAD = (
    term("region"),
    Words("z", "z"),
    Words("E_n", "E_n"),
    Words("ln(inversion / inventory)", "ln(反演/清单)"),
    term("sd"),
    Words("Inversion's relative sd", "反演相对标准差"),
    Words("Asked (GCOS)", "要求（GCOS）"),
    Words("Met", "达到"),
)
_MET = {"yes": term("yes"), "no": term("no"), "prior": Words("by the prior", "仅先验"), "": Words("–", "–")}
_AXIS = Words("relative standard deviation of the inversion", "反演的相对标准差")
_EDGE = Words(
    "relative standard deviation of the inversion (1 and more at the edge)",
    "反演的相对标准差（1 及以上画在边缘）",
)
_LINES = Words("GCOS: nation, 100-1,000 km", "GCOS：国家，100–1000 km")
_TEXT = Words(
    "z is the difference of inversion and inventory over its standard deviation, E_n over its expanded uncertainty "
    "(k = 2; up to 1 agrees, ISO 13528); both compare with the prior where little was observed, which the verdict does "
    "not. Ratios are taken on a log scale where an error is above 30 %. GCOS asks 10 % of a nation's total, 30 % at "
    "100 to 1,000 km, annual; one standard deviation is held against it, and a total of which less than half was "
    "observed meets it by its prior.",
    "z 为反演与清单之差除以其标准差，E_n 为除以扩展不确定度（k = 2；不大于 1 为一致，ISO 13528）；"
    "观测不足时二者比较的是先验，结论则不然。误差超过 30% 时取对数比。"
    "GCOS 要求：国家年总量 10%，100–1000 km 尺度 30%；此处以一倍标准差对照；观测响应不足一半者仅由先验达到。",
)


def beside_the_verdict(table: Any, statistics: Any, language: Language = "en") -> Section:
    """Return the section of a table of verdicts and the statistics of all regions."""
    rows = [
        (
            named(r, language),
            signed(r["z"], 1),
            signed(r["e_n"], 2),
            signed(r["log_ratio"], 2),
            f"{r['log_ratio_sd']:.2f}" if np.isfinite(r["log_ratio_sd"]) else "–",
            percent(r["relative_sd"]),
            percent(r["requirement"]),
            _MET[r["requirement_met"]].said(language),
        )
        for r in table.sort_values("relative_sd", kind="stable").to_dict("records")
    ]
    said = [Words(r["text"], r["text_zh"]) for r in statistics.to_dict("records") if r["text"]]
    return Section(
        Words("Beside the verdict", "结论之外的统计量"),
        [_TEXT, *said],
        _HEAD,
        rows,
        _chart(table, language),
        Words(
            "Relative standard deviation of the inversion by region, and the lines that GCOS asks for. Green: met by "
            "observations; grey: not met, or by the prior only.",
            "各地区反演的相对标准差与 GCOS 要求线；绿色为由观测达到，灰色为未达到或仅由先验达到。",
        ),
    )


def _chart(table: Any, language: Language) -> bytes:

    language = drawn_in(language)
    shown = table[np.isfinite(table["relative_sd"])].sort_values("relative_sd", ascending=False)
    figure, axes = subplots(figsize=(8.5, 0.19 * len(shown) + 1.0))
    y = np.arange(len(shown))
    met = (shown["requirement_met"] == "yes").to_numpy()
    share = np.minimum(shown["relative_sd"].to_numpy(), 1.0)
    axes.barh(y, share, color=np.where(met, "#009E73", "0.75"), height=0.7)
    for line, style in ((REQUIREMENTS["nation"], ":"), (REQUIREMENTS["region"], "--")):
        axes.axvline(line, color="k", lw=1, ls=style, label=f"{line:.0%}")
    axes.set_yticks(y, [plain(named(r, language))[:40] for r in shown.to_dict("records")], fontsize=7)
    axes.set_ylim(-0.6, len(shown) - 0.4)
    edge = float(share.max(initial=0.0)) >= 1.0
    axes.set_xlim(0, 1.0 if edge else max(1.1 * float(share.max(initial=0.0)), 0.35))
    axes.set_xlabel((_EDGE if edge else _AXIS).said(language))
    above_the_axes(axes, title=_LINES.said(language))
    return figure_png(figure)
