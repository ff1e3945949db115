"""The joint best estimate of regions, their nation and an inversion, and the number that does not fit."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from obsnet.crosscheck.verdicts.run import beside
from obsnet.crosscheck.verdicts.table import read_statistics
from obsnet.drawing.figures import figure_png, subplots
from obsnet.drawing.fonts import drawn_in
from obsnet.language import Language, Words, decimals
from obsnet.reading import door
from obsnet.report.sections.made import read_made
from obsnet.report.sections.section import Section, named, number, plain, signed
from obsnet.report.words import term

__all__ = ["reconciled"]

_HEAD = (
    term("region"),
    term("inventory"),
    term("sd"),
    term("inversion"),
    term("sd"),
    term("best estimate"),
    term("sd"),
    term("adjustment"),
    Words("Likelihood ratio", "似然比"),
    term("suspect"),
)
_SUSPECT = {"inventory": Words("inventory", "清单"), "inversion": Words("inversion", "反演")}
_AXIS = Words("adjustment / standard deviation of the inventory", "调整量/清单标准差")
_TEXT = Words(
    "Least squares of all sources with their errors: the regions add up to the nation and the stated statistical "
    "difference. The likelihood ratio is that of a gross error in the inventory's number (chi-square of one degree).",
    "以各来源误差作最小二乘：各地区之和等于全国总量加所述统计差异。"
    "似然比针对清单数值存在粗差的假设（自由度为 1 的卡方）。",
)


@door("a table of ours")
def reconciled(path: Path, language: Language = "en") -> Section:
    """Return the section of ``reconciled.csv``."""
    texts = ("region", "name_en", "name_zh", "suspect")
    table = read_made(path, "reconcile", ("inventory", "reconciled", "adjustment", "ratio"), texts)
    said = read_statistics(beside(path, "statistics"))
    columns = ("inventory", "inventory_sd", "inversion", "inversion_sd", "reconciled", "reconciled_sd")
    rows = [
        (
            named(r, language),
            *(number(r[c], decimals(r["reconciled_sd"])) for c in columns),
            signed(r["adjustment"], decimals(r["reconciled_sd"])),
            number(r["ratio"], 1),
            ", ".join(_SUSPECT[s].said(language) for s in str(r["suspect"]).split()),
        )
        for r in table.to_dict("records")
    ]
    return Section(
        Words("Reconciliation", "协调估计"),
        [_TEXT, *(Words(r["text"], r["text_zh"]) for r in said.to_dict("records") if r["text"])],
        _HEAD,
        rows,
        _chart(table, language),
        Words(
            "Adjustment of each inventory over its standard deviation. Orange: a gross error is likely.",
            "各清单的调整量与其标准差之比；橙色为很可能存在粗差。",
        ),
    )


def _chart(table: Any, language: Language) -> bytes:

    language = drawn_in(language)
    share = (table["adjustment"] / table["inventory_sd"]).replace([np.inf, -np.inf], np.nan).fillna(0.0)
    figure, axes = subplots(figsize=(8.5, 0.19 * len(table) + 1.0))
    y = np.arange(len(table))[::-1]
    axes.barh(y, share, color=np.where(table["suspect"] == "", "#56B4E9", "#D55E00"), height=0.7)
    axes.axvline(0, color="k", lw=0.8)
    axes.set_yticks(y, [plain(named(r, language))[:40] for r in table.to_dict("records")], fontsize=7)
    axes.set_ylim(-0.6, len(table) - 0.4)
    axes.set_xlabel(_AXIS.said(language))
    axes.grid(axis="x", lw=0.4)
    return figure_png(figure)
