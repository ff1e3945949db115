"""Sectors of each region, two ways, never without what the split rests on."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from obsnet.drawing.figures import above_the_axes, figure_png, subplots
from obsnet.drawing.fonts import drawn_in
from obsnet.language import Language, Words
from obsnet.reading import door
from obsnet.report.sections.made import read_made
from obsnet.report.sections.section import Section, named, number, percent, plain
from obsnet.report.words import term

__all__ = ["sectors"]

_HEAD = (
    term("region"),
    term("category"),
    term("inventory"),
    term("sd"),
    Words("As the inventory is split", "按清单份额"),
    term("sd"),
    Words("By errors of categories", "按类别误差"),
    term("sd"),
    Words("Told by observations", "观测贡献"),
)
_AXIS = Words("change against the inventory, {unit} a year", "相对清单的变化，{unit}/年")
_TEXT = Words(
    "One total cannot be told apart into sectors by observing it. As the inventory is split: all categories are off by "
    "one factor. By errors: what is doubted most moves most. Both add up to the best estimate; where they differ, the "
    "split is an assumption. Told by observations: by how much the error of a category fell.",
    "仅观测总量无法区分部门。按清单份额：各类别按同一系数调整；按类别误差：不确定度大者调整多。"
    "两者之和均等于最佳估计；两者不同之处，分配即为假设。观测贡献：类别误差减小的比例。",
)


@door("a table of ours")
def sectors(path: Path, language: Language = "en") -> Section:
    """Return the section of ``attribution.csv``."""
    texts = ("region", "name_en", "name_zh", "category", "unit", "remark", "remark_zh")
    table = read_made(path, "attribute", ("inventory", "by_share", "by_errors", "told"), texts)
    rows = [
        (
            named(r, language),
            term("total").said(language) if r["category"] == "total" else str(r["category"]),
            *(number(r[c], 1) for c in ("inventory", "inventory_sd", "by_share", "by_share_sd")),
            *(number(r[c], 1) for c in ("by_errors", "by_errors_sd")),
            percent(r["told"]),
        )
        for r in table.to_dict("records")
    ]
    first = table.iloc[0]
    said = [Words(first["remark"], first["remark_zh"])] if first["remark"] else []
    return Section(
        Words("Sectors", "部门归因"),
        [_TEXT, *said],
        _HEAD,
        rows,
        _chart(table[table["category"] != "total"], language),
        Words(
            "Change of each category against the inventory: bars by errors of categories, marks as the inventory is "
            "split.",
            "各类别相对清单的变化：柱为按类别误差，点为按清单份额。",
        ),
    )


def _chart(table: Any, language: Language) -> bytes:

    language = drawn_in(language)
    regions = list(dict.fromkeys((r["region"], named(r, language)) for r in table.to_dict("records")))
    names = list(dict.fromkeys(table["category"]))
    height = 0.8 / len(names)
    figure, axes = subplots(figsize=(8.5, 0.24 * len(regions) * max(len(names) / 2, 1) + 1.2))
    place = {r: len(regions) - 1 - k for k, (r, _) in enumerate(regions)}
    for k, name in enumerate(names):
        part = table[table["category"] == name]
        y = np.array([place[r] for r in part["region"]]) + 0.4 - height * (k + 0.5)
        axes.barh(y, part["by_errors"] - part["inventory"], height=0.9 * height, label=plain(name))
        axes.plot(part["by_share"] - part["inventory"], y, "k|", ms=6)
    axes.axvline(0, color="k", lw=0.8)
    axes.set_yticks(range(len(regions)), [plain(n)[:40] for _, n in reversed(regions)], fontsize=8)
    axes.set_ylim(-0.6, len(regions) - 0.4)
    axes.set_xlabel(_AXIS.said(language).format(unit=table["unit"].iloc[0]))
    axes.grid(axis="x", lw=0.4)
    above_the_axes(axes, columns=3)
    return figure_png(figure)
