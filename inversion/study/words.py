"""What tables and pictures of studies say, in English and Chinese: one glossary."""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence
from typing import Any, Literal

from inversion.study.study import NATIONAL
from obsnet.crosscheck.words import Words, filled
from obsnet.errors import RegionError
from obsnet.regions import OFFSHORE, OUTSIDE, region_name

__all__ = ["Language", "named", "say", "table_text", "words"]

Language = Literal["en", "zh"]

# key -> (English, Chinese); what stands in braces is filled in
_TEXTS = {
    NATIONAL: ("China", "全国"),
    OFFSHORE: ("offshore", "海上"),
    OUTSIDE: ("outside", "境外"),
    # detect
    "detect title": (
        "Smallest discrepancy of a provincial inventory found with a chance of {power}, {period}",
        "各省清单可检出的最小偏差（检出概率 {power}），{period}",
    ),
    "detect class": ("{share} or less", "不超过 {share}"),
    "detect none": ("more than {share}, or not at all", "超过 {share} 或不可检"),
    "detect no inventory": ("no inventory", "无清单"),
    "detect counts": ("{system}: {counts}", "{system}：{counts}"),
    "detect count": ("{count} of {all} provinces at {share}", "偏差 {share} 时可检 {count}/{all} 省"),
    "detect head": (
        "smallest detectable discrepancy of the fossil total; * within what is testable",
        "化石排放总量的最小可检偏差；* 为可检验",
    ),
    "detect inventory": (
        "inventory {name} ({period}), {source}; its standard deviation {share}, {chosen} where it states none",
        "清单 {name}（{period}），{source}；相对标准差 {share}，未给出处为{chosen}",
    ),
    "detect stated": ("as stated", "按用户指定"),
    "detect default": ("assumed", "假定值"),
    "detect rate": (
        "observed from {start} to {stop}; the inventory's rate is taken to be the same all that time",
        "观测时段 {start} 至 {stop}；假定清单排放速率在此期间不变",
    ),
    "detect spread": (
        (
            "fossil emissions are even over the land of each province, known beforehand to {relative} a cell over "
            "{km:g} km and {regional} a province, over {days:g} days; other countries and "
            "provinces without an inventory have none"
        ),
        (
            "化石排放在各省陆地上均匀分布；先验不确定度：格点 {relative}（{km:g} km）、全省 {regional}，"
            "时间相关 {days:g} 天；无清单省份及境外取零"
        ),
    ),
    "detect biosphere": (
        "biosphere: China's total known beforehand to ± {sd:,.0f} Mt a-1, over {km:g} km and {days:g} days",
        "生物圈：该时段全国总量先验不确定度 ± {sd:,.0f} Mt a-1，空间相关 {km:g} km，时间相关 {days:g} 天",
    ),
    "detect no2": (
        (
            "NO2 sees fossil emissions of the last hours (e-folding {hours:g} h), with an error of {error:g} ppm of "
            "the CO2 burnt with it; CO2 per NO2 is unknown by {ratio} in each province, independent of others and the "
            "same all the time ({chosen}). No published number was found for these; the choice of the ratio has moved "
            "city emissions by more than 150 % (Yi et al. 2026, Atmos. Chem. Phys. 26, 8475)"
        ),
        (
            "NO2 只反映最近数小时的化石排放（e 折时间 {hours:g} h），误差相当于 {error:g} ppm 化石 CO2；"
            "各省 CO2/NO2 比值的不确定度为 {ratio}，省间独立、时间不变（{chosen}）。"
            "未查到可引用的数值；比值的选取曾使城市排放估计变化超过 150 %（Yi 等 2026，Atmos. Chem. Phys. 26, 8475）"
        ),
    ),
    "detect rule": (
        (
            "rule of the verdict: {alpha:.2g} false alarms ({adjustment}) over all testable provinces, power {power}, "
            "testable up to {detectable}; China as a whole is tested by itself"
        ),
        (
            "判定规则：全部可检省份的误报率 {alpha:.2g}（{adjustment}），检出概率 {power}，"
            "可检上限 {detectable}；全国总量单独检验"
        ),
    ),
}

# headings of tables in Chinese; names that are codes stay
_HEADINGS = {
    "system": "观测系统",
    "title": "名称",
    "region": "地区代码",
    "name": "地区",
    "inventory": "清单值",
    "inventory_sd": "清单标准差",
    "prior_sd": "先验标准差",
    "posterior_sd": "后验标准差",
    "unit": "单位",
    "response": "响应",
    "difference_sd": "差值标准差",
    "minimum_detectable": "最小可检偏差",
    "level": "检验水平",
    "testable": "可检验",
    "reached": "可检偏差",
    "reason": "原因",
    "observations": "观测数",
}


def words(key: str, **values: Any) -> Words:
    """Return a text of the glossary in both languages."""
    return filled(_TEXTS[key], **values)


def say(key: str, language: Language, **values: Any) -> str:
    """Return a text of the glossary in one language."""
    return str(getattr(words(key, **values), language))


def named(region: str, language: Language, names: dict[str, str] | None = None) -> str:
    """Return the name of a region; one of the user's own as it is called in `names`."""
    if region in _TEXTS:
        return say(region, language)
    try:
        return region_name(region, language)
    except RegionError:
        return (names or {}).get(region, region)


def table_text(rows: Sequence[dict[str, Any]], language: Language = "en", *, mark: bool = False) -> str:
    """Return rows as CSV; numbers with six digits, nothing where there is no value.

    Parameters
    ----------
    rows : sequence of dict
        With the same keys.
    language : {"en", "zh"}
        Of the headings.
    mark : bool
        Begin with a byte order mark, which spreadsheets want; always in Chinese.
    """
    buffer = io.StringIO()
    columns = list(rows[0])
    writer = csv.writer(buffer, lineterminator="\n")
    writer.writerow([_HEADINGS.get(c, c) if language == "zh" else c for c in columns])
    for row in rows:
        writer.writerow([f"{v:.6g}" if isinstance(v, float) else v for v in (row[c] for c in columns)])
    return ("\ufeff" if mark or language == "zh" else "") + buffer.getvalue()
