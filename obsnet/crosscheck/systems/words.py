"""Headings and sentences of a comparison in both languages."""

from __future__ import annotations

from obsnet.language import Language

__all__ = ["HEADINGS", "heading", "sentence"]


HEADINGS = {
    "system": "系统", "gas": "气体", "quantity": "量", "region": "地区", "name_en": "英文名", "name_zh": "名称",
    "period": "时期", "total": "总量(Tg/年)", "sd": "标准差", "sd_common": "标准差(各时段误差相同)",
    "periods": "时段数", "cell": "格点", "shared": "共有格点所占份额", "split_sd": "格点内位置不明的标准差",
    "resolved": "可分辨", "how": "说明", "systems": "系统数", "mean": "均值(Tg/年)", "lowest": "最低",
    "lowest_system": "最低的系统", "highest": "最高", "highest_system": "最高的系统", "within_sd": "系统内标准差",
    "stated": "给出标准差的系统数", "between_sd": "系统间标准差", "total_sd": "合计标准差", "largest_gap": "最大差",
    "gap_in_sd": "最大差与标准差之比", "unresolved_by": "不能分辨的系统",
}  # fmt: skip
_SENTENCES = {
    "title": ("Totals of {gas} ({quantity}), {period}", "{gas} 总量（{quantity}），{period}"),
    "axis": ("Tg {gas} a year", "Tg {gas}/年"),
    "relative": ("difference from the mean of the systems, %", "与各系统均值之差，%"),
    "some": ("the {shown} largest of {all} regions", "{all} 个地区中最大的 {shown} 个"),
    "within": ("stated by the systems (root mean square)", "系统自报（均方根）"),
    "between": ("between the systems", "系统之间"),
    "spreads": ("standard deviation, Tg {gas} a year", "标准差，Tg {gas}/年"),
    "spreads relative": ("standard deviation, % of the mean", "标准差，占均值的 %"),
    "bars": (
        "bars: one sd as stated; hollow: not resolved by its grid",
        "误差线：自报一倍标准差；空心：格点不能分辨",
    ),
    "head": ("{name} {period}, {gas} {quantity}, Tg a year", "{name} {period}，{gas} {quantity}，Tg/年"),
    "parts": ("sum of its parts", "各部分之和"),
    "unresolved": (
        "not resolved by {cell} cells: sd {sd} for want of places in them",
        "{cell} 格点不能分辨：格点内位置不明，标准差 {sd}",
    ),
    "both": (
        "sd within systems {within} (stated by {stated} of {systems}), between {between}, both {total}",
        "标准差：系统内 {within}（{systems} 个系统中 {stated} 个给出），系统间 {between}，合计 {total}",
    ),
    "gap": ("; largest difference {gap} times its sd", "；最大差为其标准差的 {gap} 倍"),
    "not one": (
        "systems share data and models: their mean is not surer than one of them, nothing is divided by their number",
        "各系统共用数据与模型，均值并不比单个系统更可靠：任何离散度都没有除以系统数",
    ),
}


def heading(column: str, language: Language) -> str:
    """Return a heading of a table."""
    return HEADINGS[column] if language == "zh" else column


def sentence(key: str, language: Language, **values: object) -> str:
    """Return a sentence, filled in."""
    return _SENTENCES[key][language == "zh"].format(**values)
