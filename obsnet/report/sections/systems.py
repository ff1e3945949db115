"""Other systems' inversions side by side: what each states, and how far they are apart."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np

from obsnet.crosscheck.systems.figure import spread_figure
from obsnet.crosscheck.systems.spread import SPREAD, SYSTEMS
from obsnet.crosscheck.systems.words import sentence
from obsnet.drawing.figures import figure_png
from obsnet.drawing.fonts import drawn_in
from obsnet.errors import FormatError
from obsnet.language import Language, Words
from obsnet.reading import door
from obsnet.report.sections.section import Section, named
from obsnet.report.words import term

__all__ = ["systems"]

_TITLE = Words("Other systems", "其他系统")
_TEXT = Words(
    "Totals of several inversions of the same regions. Within: what they state of their own error (root mean square); "
    "between: how far they are apart.",
    "多个反演系统对相同地区的总量。系统内为其自报误差（均方根），系统间为彼此的离散。",
)
_HEAD = (
    term("region"),
    term("year"),
    Words("Quantity", "量"),
    Words("Systems", "系统数"),
    Words("Mean, Tg a year", "均值，Tg/年"),
    Words("Sd within", "系统内标准差"),
    Words("Sd between", "系统间标准差"),
    Words("Lowest", "最低"),
    Words("Highest", "最高"),
    Words("Largest gap over its sd", "最大差与其标准差之比"),
)
_CAPTION = Words(
    "{gas} ({quantity}), {period}: each system with its own error, and both spreads.",
    "{gas}（{quantity}），{period}：各系统及其误差，以及两种离散度。",
)


@door("a comparison of systems")
def systems(path: Path, language: Language = "en") -> Section:
    """Return the section of ``compare.json``, with the picture of its first gas, quantity and period."""
    import pandas as pd

    content = json.loads(path.read_text(encoding="utf-8"))
    tables = {}
    for name, columns in (("systems", SYSTEMS), ("spread", SPREAD)):
        table = pd.DataFrame(content[name], columns=list(columns))
        if table.empty:
            raise FormatError(f"{path}: no rows of {name}; `obsnet compare` makes it")
        tables[name] = table
    found, apart = tables["systems"], tables["spread"]
    for table in (found, apart):
        numbers = [c for c in table if c in _NUMBERS]
        table[numbers] = table[numbers].astype(float)
    rows = [
        (
            named(r, language),
            str(r["period"]),
            f"{r['gas']} {r['quantity']}",
            str(r["systems"]),
            _number(r["mean"]),
            _number(r["within_sd"]),
            _number(r["between_sd"]),
            f"{_number(r['lowest'])} ({r['lowest_system']})",
            f"{_number(r['highest'])} ({r['highest_system']})",
            _number(r["gap_in_sd"]),
        )
        for r in apart.to_dict("records")
    ]
    text = [_TEXT]
    if (apart["systems"] > 1).any():
        text.append(Words(*(sentence("not one", k) for k in ("en", "zh"))))
    key = ["gas", "quantity", "period"]
    first = apart[key].iloc[0]
    figure = spread_figure(*(t[(t[key] == first).all(axis=1)] for t in (found, apart)), drawn_in(language))
    caption = Words(*(c.format(**first) for c in _CAPTION))
    return Section(_TITLE, text, _HEAD, rows, figure_png(figure), caption)


_NUMBERS = (
    "total", "sd", "sd_common", "split_sd", "mean", "lowest", "highest", "within_sd", "between_sd", "total_sd",
    "largest_gap", "gap_in_sd",
)  # fmt: skip


def _number(value: Any) -> str:
    return f"{value:.4g}" if np.isfinite(value) else "–"
