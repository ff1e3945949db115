"""Which regions the observations tell apart: correlation of their totals, and sets that are read together."""

from __future__ import annotations

from typing import Any

import numpy as np

from obsnet.crosscheck.compared.joint import LIMIT
from obsnet.drawing.figures import figure_png, subplots
from obsnet.drawing.fonts import drawn_in
from obsnet.language import Language, Words
from obsnet.report.sections.section import Section, named, percent, plain, signed
from obsnet.report.words import term

__all__ = ["told_apart"]

_HEAD = (
    term("region"),
    Words("Own share", "自身份额"),
    Words("Largest correlation", "最大相关系数"),
    Words("with", "对象"),
    Words("Reported with", "合并报告"),
)


def told_apart(table: Any, covariance: Any, language: Language = "en") -> Section:
    """Return the section of a table of verdicts and the covariance that goes with it."""
    single = table[table["kind"] == "region"]
    names = {r["region"]: named(r, language) for r in table.to_dict("records")}
    badly = single[single["joint"] != ""]
    sets = table[table["kind"] == "joint"]
    rows = [
        (
            names[r["region"]],
            percent(r["resolution"]),
            signed(r["correlation"], 2),
            names.get(r["correlation_with"], ""),
            names.get(r["joint"], r["joint"]),
        )
        for r in badly.to_dict("records")
    ]
    text = [
        Words(
            f"{len(badly)} of {len(single)} regions are not told apart from another: errors correlated by more than "
            f"{LIMIT:g}, or moved by the neighbour's discrepancy half as much as by their own. They make {len(sets)} "
            "sets, each tested as a sum. Merging looks at the covariance, never at the data. Own share: of what moves "
            "the total of a region, the part that is its own.",
            f"{len(single)} 个地区中有 {len(badly)} 个无法与相邻地区区分"
            f"（误差相关系数超过 {LIMIT:g}，或受其差异影响达自身影响的一半），"
            f"归为 {len(sets)} 组，每组按合计检验。合并只看协方差，不看数据。"
            "自身份额：引起某地区总量变化的各项中归于其自身的比例。",
        )
    ]
    return Section(
        Words("What is told apart", "可区分性"),
        text,
        _HEAD if rows else (),
        rows,
        _heat_map(single, covariance, language) if len(single) > 1 else None,
        Words(
            "Correlation of the errors of posterior totals. Grey: not known.",
            "后验总量误差的相关系数；灰色为未知。",
        ),
    )


def _heat_map(single: Any, covariance: Any, language: Language) -> bytes:
    from matplotlib import colormaps

    language = drawn_in(language)
    square = covariance.loc[single["region"], single["region"]].to_numpy()
    sd = np.sqrt(np.diagonal(square))
    size = np.outer(sd, sd)
    correlation = np.divide(square, size, out=np.full(square.shape, np.nan), where=size > 0)
    side = max(0.21 * len(single), 2.5)
    figure, axes = subplots(figsize=(side + 2.2, side + 1.2))
    colours = colormaps["RdBu_r"].with_extremes(bad="0.8")
    mesh = axes.imshow(np.ma.masked_invalid(correlation), cmap=colours, vmin=-1, vmax=1)
    labels = [plain(named(r, language)) for r in single.to_dict("records")]
    axes.set_xticks(range(len(labels)), labels, rotation=90, fontsize=7)
    axes.set_yticks(range(len(labels)), labels, fontsize=7)
    figure.colorbar(mesh, ax=axes, shrink=0.7, label=term("correlation").said(language))
    return figure_png(figure)
