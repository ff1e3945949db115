"""The waterfall from an inventory to the inversion: what each is of, line by line, closing to zero."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from obsnet.drawing.figures import figure_png, subplots
from obsnet.drawing.fonts import drawn_in
from obsnet.language import Language, Words, decimals
from obsnet.reading import door
from obsnet.report.sections.made import read_made
from obsnet.report.sections.section import Section, named, number, plain, signed
from obsnet.report.words import term

__all__ = ["bridge"]

_HEAD = (
    term("region"),
    term("line"),
    term("value"),
    term("sd"),
    term("running total"),
    term("source"),
)
_CUT = Words("{axis} (bars from zero are cut)", "{axis}（自零起的柱已截断）")
_TEXT = Words(
    "An inventory is led to what the inversion's sector sees, line by line; inventory, lines and difference add up to "
    "the inversion. What is tested is the harmonised inventory.",
    "将清单逐项统一到反演部门所见的范围；清单、各项与差值之和等于反演值。检验对象为统一后的清单。",
)


@door("a table of ours")
def bridge(path: Path, language: Language = "en") -> Section:
    """Return the section of ``provinces_bridge.csv``."""
    texts = ("region", "name_en", "name_zh", "line", "label_en", "label_zh", "source")
    table = read_made(path, "crosscheck", ("value", "sd", "total"), texts)
    known = table[table["line"] == "inversion"].set_index("region")["sd"]
    digits = {region: decimals(float(known.get(region, np.nan))) for region in table["region"]}
    rows = [
        (
            named(r, language),
            Words(r["label_en"], r["label_zh"]).said(language),
            (number if r["line"] in ("inventory", "inversion") else signed)(r["value"], digits[r["region"]]),
            *(number(r[k], digits[r["region"]]) for k in ("sd", "total")),
            r["source"],
        )
        for r in table.to_dict("records")
    ]
    sums = table[table["line"] == "inventory"].set_index("region")["value"].abs()
    shown = table[table["region"] == sums.idxmax()] if len(sums) else table
    name = Words(*(shown[c].iloc[0] for c in ("name_en", "name_zh"))) if len(shown) else Words("", "")
    return Section(
        Words("Definitions", "定义统一"),
        [_TEXT],
        _HEAD,
        rows,
        _waterfall(shown, language) if len(shown) else None,
        Words(f"From inventory to inversion: {name.en}.", f"从清单到反演：{name.zh}。"),
    )


def _waterfall(table: Any, language: Language) -> bytes:

    language = drawn_in(language)
    total, value = table["total"].to_numpy(), table["value"].to_numpy()
    ends = table["line"].isin(["inventory", "inversion"]).to_numpy()
    bottom = np.where(ends, 0.0, total - value)
    colours = np.where(ends, "0.55", np.where(table["line"] == "difference", "#D55E00", "#56B4E9"))
    x = np.arange(len(table))
    figure, axes = subplots(figsize=(8.5, 4.2))
    axes.bar(x, value, bottom=bottom, color=colours, width=0.7)
    axes.errorbar(x, total, yerr=1.96 * table["sd"], fmt="none", ecolor="k", lw=1, capsize=2)
    for k in x[:-1]:
        axes.plot([k + 0.35, k + 0.65], [total[k]] * 2, color="k", lw=0.8)
    axes.set_xticks(x, [plain(n) for n in table[f"label_{language}"]], rotation=25, ha="right", fontsize=8)
    low, high = np.min([total, total - value * ~ends]), np.max(total)
    room = max(high - low, 0.02 * abs(high)) + 2 * float(table["sd"].max())
    axes.set_ylim(low - room if low > 0 else min(low - 0.2 * room, 0.0), high + room)
    axis = term("a year", unit="Mt").said(language)
    axes.set_ylabel(_CUT.said(language).format(axis=axis) if low - room > 0 else axis)
    axes.grid(axis="y", lw=0.4)
    return figure_png(figure)
