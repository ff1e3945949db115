"""Whether the inversion fits its own errors, and whether each source does."""

from __future__ import annotations

from typing import Any

import numpy as np

from obsnet.drawing.figures import above_the_axes, figure_png, subplots
from obsnet.drawing.fonts import drawn_in
from obsnet.language import Language, Words
from obsnet.report.sections.section import Section, number, plain, signed
from obsnet.report.words import both, term

__all__ = ["MISFIT", "fit", "fit_words", "fits"]

MISFIT = "the run does not fit its own errors"  # how `obsnet.crosscheck` begins when it says so

_HEAD = (
    term("source"),
    term("n"),
    Words("Information", "信息量"),
    Words("Bias before", "先验偏差"),
    Words("Bias after", "后验偏差"),
    Words("RMSE before", "先验均方根误差"),
    Words("RMSE after", "后验均方根误差"),
    Words("Error assumed", "假定误差"),
    Words("Error suggested", "建议误差"),
    Words("Residual² / R", "残差²/R"),
)
_TEXT = Words(
    "Bias and RMSE are observation minus model, in the unit of the observations; information is in degrees of freedom "
    "for signal. The suggested error is what innovations and residuals together say of the assumed one (Desroziers et "
    "al. 2005). A bias that all observations of a source share cannot be seen here.",
    "偏差与均方根误差为观测减模拟，单位同观测；信息量以信号自由度计。"
    "“建议误差”由新息与残差共同估计（Desroziers 等，2005）。某来源全部观测共有的偏差在此无法看出。",
)
_CAPTION = Words(
    "Bias of each source before and after, with the error assumed of one observation (grey). A bias that stays is one "
    "the inversion cannot explain.",
    "各来源反演前后的偏差；灰色为假定的单个观测误差。反演后仍存在的偏差是反演无法解释的。",
)
_BEFORE, _AFTER = Words("before", "反演前"), Words("after", "反演后")
_AXIS = Words("observation − model, {unit}", "观测 − 模拟，{unit}")
_KEYS = ("bias_prior", "bias_posterior", "rmse_prior", "rmse_posterior", "error_assumed", "error_suggested")


def fits(table: Any) -> bool | None:
    """Tell whether the run fits its errors, as a whole and each source; None where chi-square is not stated."""
    if _barred(table) is not None:
        return False
    chi, low, high = (float(table[c].iloc[0]) for c in ("chi_square", "chi_square_low", "chi_square_high"))
    return low <= chi <= high if np.isfinite(chi) else None


def _barred(table: Any) -> Words | None:
    """Return why the run's fit bars every verdict, as the test has it; None where it does not."""
    rows = table[table["reason"].str.startswith(MISFIT)]
    return None if rows.empty else Words(rows["reason"].iloc[0], rows["reason_zh"].iloc[0])


def fit_words(table: Any) -> Words:
    """Return what chi-square says of the run: it fits, it does not, it is not known."""
    row, barred = table.iloc[0], _barred(table)
    good = bool(row["chi_square_low"] <= row["chi_square"] <= row["chi_square_high"])
    if barred is not None and good:  # a source of it
        return barred
    if not np.isfinite(row["chi_square"]):
        return both("fit unknown")
    values = {"chi": f"{row['chi_square']:.3g}"}
    values |= {k: f"{row[f'chi_square_{k}']:.2f}" for k in ("low", "high")}
    return both("fit good" if good else "fit failed how", **values)


def fit(table: Any, data: Any, language: Language = "en") -> Section:
    """Return the section of a table of verdicts and the posterior that it tested."""
    title, text = Words("Fit and calibration", "拟合与校验"), [fit_words(table), _TEXT]
    if "source_count" not in data or not all(f"source_{k}" in data for k in _KEYS):
        return Section(title, text[:1])
    values = {k: np.asarray(data[f"source_{k}"].values, float) for k in _KEYS}
    sources = [str(s) for s in data["source"].values]
    rows = [
        (
            name,
            f"{int(data['source_count'][i]):,}",
            number(float(data["source_dofs"][i]), 1),
            *(signed(values[k][i], 3) for k in _KEYS[:2]),
            *(number(values[k][i], 3) for k in _KEYS[2:]),
            number(float(data["source_residual_chi_square"][i]), 2),
        )
        for i, name in enumerate(sources)
    ]
    unit = str(data["source_bias_prior"].attrs.get("units", ""))
    return Section(title, text, _HEAD, rows, _chart(sources, values, unit, language), _CAPTION)


def _chart(sources: list[str], values: dict[str, Any], unit: str, language: Language) -> bytes:

    language = drawn_in(language)
    y = np.arange(len(sources))[::-1]
    figure, axes = subplots(figsize=(8.5, 0.42 * len(sources) + 1.4))
    axes.barh(y, 2 * values["error_assumed"], left=-values["error_assumed"], color="0.88", height=0.6)
    for key, colour, mark, word in (
        ("prior", "#D55E00", "o", _BEFORE),
        ("posterior", "#0072B2", "s", _AFTER),
    ):
        axes.plot(values[f"bias_{key}"], y, mark, color=colour, ms=6, label=word.said(language))
    axes.axvline(0, color="k", lw=0.8)
    axes.set_yticks(y, [plain(s) for s in sources], fontsize=8)
    axes.set_ylim(-0.6, len(sources) - 0.4)
    unit = {"1e-6": "ppm", "1e-9": "ppb"}.get(unit, unit)
    axes.set_xlabel(_AXIS.said(language).format(unit=plain(unit)))
    above_the_axes(axes)
    return figure_png(figure)
