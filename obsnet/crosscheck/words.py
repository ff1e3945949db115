"""What a row says about itself, in English and Chinese: reasons why nothing was tested, and remarks."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from obsnet.language import Words, apart, filled, period_zh
from obsnet.run_words import in_both

__all__ = ["common_first", "joined", "of_the_run", "say"]

_BETWEEN = Words("; ", "；")

# key -> (English, Chinese); what stands in braces is filled in by `say`
_TEXTS = {
    # reasons why a region is not testable
    "no inventory": ("no inventory", "无清单"),
    "no inventory of": ("no inventory of {regions}", "{regions_zh} 无清单"),
    "only jointly": (
        "not told apart from others: see {joint}, with which it is reported",
        "无法与其他地区区分，合并报告，见“{joint_zh}”",
    ),
    "other rows only": ("no inventory of {asked}; it has {found}", "无 {asked} 的清单，仅有 {found}"),
    "zero": (
        "the inventory is zero, of which no share can be detected",
        "清单值为零，无法按比例检验",
    ),
    "not solved": ("the inversion does not solve for it", "反演未求解该区域"),
    "not observed": ("not observed", "无观测约束"),
    "too little seen": (
        "smallest detectable discrepancy {share} exceeds {limit}",
        "最小可检差异 {share} 超过 {limit}",
    ),
    "no profile": (
        "the inversion's prior has no total of it to spread the inventory by",
        "先验在该区域无总量，无法按其时间廓线分配",
    ),
    "no spread": ("the difference has no uncertainty, so nothing can be tested", "差值无不确定度，无法检验"),
    "not comparable": (
        (
            "not comparable: the inversion's {compared} is not the inventory's {stated}; "
            "state a temporal profile (--profile)"
        ),
        "不可比：反演时段 {compared} 与清单时段 {stated} 不同，须给出时间廓线（--profile）",
    ),
    "misfit": (
        (
            "the run does not fit its own errors (chi-square {chi:.3g}, expected {low:.2f} to {high:.2f}); "
            "largest residuals: {where}; see fit.parquet and inversion.html"
        ),
        (
            "反演与其误差假设不符（卡方 {chi:.3g}，应在 {low:.2f}–{high:.2f}）；残差最大：{where}；"
            "见 fit.parquet 与 inversion.html"
        ),
    ),
    "no verdict": ("the run has no verdict to give: {text}", "该反演不能用于判定：{text}"),
    "source misfit": (
        (
            "the run does not fit its own errors: residuals of {where}, expected up to {high:.2f}; "
            "see fit.parquet and inversion.html"
        ),
        "反演与其误差假设不符：{where}，上限 {high:.2f}；见 fit.parquet 与 inversion.html",
    ),
    "prescribed": (
        (
            "sector {sector} is prescribed without error: state its relative error (--prescribed {sector}=0.3, "
            "0 if it is exact)"
        ),
        "部门 {sector} 为固定值且无误差：须给出其相对误差（--prescribed {sector}=0.3；若确无误差则为 0）",
    ),
    "prescribed unknown": (
        (
            "sector {sector} is prescribed and the file does not say how the totals answer to it; "
            "make it again with `obsnet invert`"
        ),
        "部门 {sector} 为固定值，文件未含总量对其的响应，请重新运行 obsnet invert",
    ),
    # remarks on what was compared
    "small but real": (
        "differs, but is shown to lie within the margin of {margin}",
        "存在差异，但可证其在容差 {margin} 之内",
    ),
    "linear": (
        (
            "the posterior is the mean of draws that cannot be negative; what is tested is the linear estimate from "
            "the same observations, whose response is known beforehand"
        ),
        "后验为非负样本的均值；检验所用的是同一组观测的线性估计，其响应可事先确定",
    ),
    "split": (
        (
            "where inside the prior's cells its flux stands is not known, its prior total may be off by {size} for "
            "that; the test allows for it"
        ),
        "先验格点内排放的位置不明，先验总量可能因此偏差 {size}；检验已计入",
    ),
    "split not in test": (
        (
            "where inside the prior's cells its flux stands is not known, its prior total may be off by {size} for "
            "that; the run was told that the test need not allow for it"
        ),
        "先验格点内排放的位置不明，先验总量可能因此偏差 {size}；按设定检验未计入",
    ),
    "other year": (
        "inventory of {stated} held against the inversion's {compared}",
        "以 {stated} 清单对照反演的 {compared}",
    ),
    "nearly the period": (
        "the inversion's {compared} stands for the inventory's {stated}",
        "以反演的 {compared} 代表清单的 {stated}",
    ),
    "profile flat": (
        "{compared} held against the inventory of {stated} as if its rate were the same all the time{doubt}",
        "以 {compared} 对照 {stated} 清单，假定排放速率不随时间变化{doubt_zh}",
    ),
    "profile prior": (
        "{compared} held against the inventory of {stated} spread in time as the prior is{doubt}",
        "以 {compared} 对照 {stated} 清单，按先验的时间廓线分配{doubt_zh}",
    ),
    "surer than published": (
        (
            "the nation's net CO2 is stated to ± {sd} Mt a year, surer than the OCO-2 MIP ensemble (China 2015-20, "
            "LNLGIS 7,860 ± 1,130, fossil 10,200 ± 846; doi:10.5194/essd-15-963-2023): look at the observation error "
            "and what observations share ([invert.error]), at the correlation lengths and at the prior's own error"
        ),
        (
            "全国净 CO2 的不确定度为每年 ± {sd} Mt，小于 OCO-2 MIP 集合（中国 2015–20 年，LNLGIS 7,860 ± 1,130，"
            "化石 10,200 ± 846；doi:10.5194/essd-15-963-2023）：请检查观测误差及其共同部分（[invert.error]）、"
            "相关长度与先验误差"
        ),
    ),
    "is the prior": (
        (
            "the inventory equals the inversion's prior in {count} of {of} regions: z and E_n take them as independent "
            "unless --shared says otherwise; the verdict does not mind"
        ),
        "{of} 个地区中 {count} 个的清单等于反演先验：除非以 --shared 说明，z 与 E_n 视二者独立；结论不受影响",
    ),
    "another size": (
        (
            "the inversion is {ratio} times the inventory in the median of {of} regions: look at the table's unit "
            "(kt, Mt, 10^4 t) and gas (C or CO2, a factor of 3.67)"
        ),
        (
            "{of} 个地区中反演与清单之比的中位数为 {ratio}：请检查清单的单位（kt、Mt、万吨）"
            "与气体（C 或 CO2，相差 3.67 倍）"
        ),
    ),
    "all regions": (
        (
            "chi-square over {regions} regions with an inventory, their inventories' errors correlated by {common:g}: "
            "{value:.1f} of {freedom} degrees of freedom, p = {p:.2g}"
        ),
        (
            "{regions} 个有清单地区的联合卡方（清单误差相关系数 {common:g}）：{value:.1f}，自由度 {freedom}，"
            "p = {p:.2g}"
        ),
    ),
    "regions and nation": (
        "regions add up to {regions} Mt, the nation to {nation} ({share}); stated difference {difference} Mt",
        "各地区之和 {regions} Mt，全国 {nation} Mt（{share}）；所述统计差异 {difference} Mt",
    ),
    "sources agree": (
        "chi-square of all sources against each other: {value:.1f} of {freedom} degrees of freedom, p = {p:.2g}",
        "各来源相互一致性卡方：{value:.1f}，自由度 {freedom}，p = {p:.2g}",
    ),
    "suspect": (
        "a gross error is likely in {which}: look there first",
        "很可能存在粗差：{which}，请首先检查",
    ),
    "suspects alike": (
        "a gross error is likely, and these numbers cannot tell in which of them: {which}",
        "很可能存在粗差，但无法区分在何处：{which}",
    ),
    "intersected": (
        "errors of inventory and inversion may be correlated in any way: weights {share} to the inventory",
        "清单与反演误差的相关性未知：清单权重 {share}",
    ),
    "harmonised": (
        "definitions bridged by {change} Mt (±{spread}), see the bridge",
        "定义已统一，调整 {change} Mt（±{spread}），见定义表",
    ),
    "not in the bridge": (
        "definitions differ by {which}, left out as asked",
        "定义相差 {which_zh}，按要求未计入",
    ),
    "bridge open": (
        (
            "definitions differ by {which}, of which nothing is stated here: give a line of it, or leave it out "
            "(--bridge-without {keys})"
        ),
        "定义相差 {which_zh}，此处无数据：请给出该项，或以 --bridge-without {keys} 略去",
    ),
    "line without error": (
        "the line of {which} states no uncertainty: give it (--bridge-uncertainty {name}=0.3)",
        "“{which_zh}”一项未给出不确定度：请给出（--bridge-uncertainty {name}=0.3）",
    ),
    "not harmonised": (
        "whether inventory and sector are of the same things was not stated (--bridge-inventory, --bridge-sector)",
        "未说明清单与反演部门的范围是否一致（--bridge-inventory、--bridge-sector）",
    ),
    "requirements": (
        "{met} of {of} regions are known by observations to the 30 % that GCOS asks at 100 to 1,000 km",
        "{of} 个地区中 {met} 个由观测达到 GCOS 对 100–1000 km 尺度要求的 30%",
    ),
    "category": (
        "category {category} of the inventory stands for the sector {sector}",
        "以清单类别 {category} 代表部门 {sector}",
    ),
    "category absent": (
        "no row of {which} for {regions}: taken as 0",
        "{regions_zh} 无 {which} 的行：取为 0",
    ),
    "beside provinces": (
        "{regions} stand beside provinces and are added to them: leave out what holds provinces",
        "{regions} 与各省并列并一同相加：若其中包含省份，请删除",
    ),
    "provinces lacking": (
        "the nation's total is held against {count} provinces; {lacking} are not among them: {regions}",
        "以全国总量约束 {count} 个省份，缺 {lacking} 个：{regions_zh}",
    ),
    "uncertainty given": (
        "uncertainty {share} given for it, the inventory states none",
        "清单未给出不确定度，取指定值 {share}",
    ),
    "uncertainty zero": ("the inventory states no error at all", "清单声称无误差"),
    "negative": ("a negative total, tested because asked for", "负值总量，按要求检验"),
    "group": (
        "sum of {regions}, their inventories' errors correlated by {common:g}",
        "{regions_zh} 之和，其清单误差相关系数 {common:g}",
    ),
    "joint": (
        "{regions} are not told apart; their inventories' errors correlated by {common:g}",
        "{regions_zh} 无法相互区分；其清单误差相关系数 {common:g}",
    ),
    "not resolved": (
        "not well told apart from others: read with {joint}",
        "与其他地区区分不足，请与“{joint_zh}”一并阅读",
    ),
    "shared": (
        "inventory and prior share errors, correlation {rho:g}",
        "清单与先验误差相关，相关系数 {rho:g}",
    ),
    "prescribed stated": (
        "prescribed sector {sector} taken as uncertain by {share}, a common factor",
        "固定部门 {sector} 取 {share} 的不确定度（统一系数）",
    ),
    "prescribed exact": ("prescribed sector {sector} taken as exact", "固定部门 {sector} 视为无误差"),
    "fit unknown": (
        "the file states no chi-square: whether the run fits its errors is not known",
        "文件未给出卡方，无法判断反演是否与其误差假设相符",
    ),
    "fit allowed": (
        (
            "chi-square {chi:.3g} accepted within {low:g} to {high:g} as asked; expected {usual_low:.2f} to "
            "{usual_high:.2f}"
        ),
        "卡方 {chi:.3g} 按指定范围 {low:g}–{high:g} 接受；应在 {usual_low:.2f}–{usual_high:.2f}",
    ),
    "source poor": ("look at {where}, expected up to {high:.2f}", "请检查 {where}，上限 {high:.2f}"),
    "check": ("the run's checks: {text}", "反演自检：{text}"),
    "not told apart": (
        "the observations do not tell {sector} from another sector: see sectors_not_told_apart of the posterior",
        "观测无法区分 {sector} 与另一部门，见后验文件 sectors_not_told_apart",
    ),
    # of a trend
    "trend by the prior": (
        "mostly the prior's: observations determine {share} of the trend of {source}",
        "主要来自先验：{source}的趋势仅有 {share} 由观测决定",
    ),
    "years not testable": (
        "{source} was not testable in {count} of {years} years",
        "{source}在 {years} 年中有 {count} 年无法检验",
    ),
    "observed in part": (
        "of {count} of {years} years the table does not say what of {source} was observed",
        "{years} 年中有 {count} 年未说明{source}的观测响应",
    ),
    "observed unevenly": (
        (
            "the observed share of {source} changes by {drift} a year: a prior that is {off} off in all years makes a "
            "slope of {slope} by itself"
        ),
        "{source}的观测响应每年变化 {drift}：先验若各年均偏 {off}，仅此即产生 {slope} 的斜率",
    ),
}


def say(key: str, **values: Any) -> Words:
    """Return a text of the table above, filled in.

    Parameters
    ----------
    key : str
        Which.
    **values
        What it names.
    """
    return filled(_TEXTS[key], **{k: _span(v) for k, v in values.items()})


def _span(value: Any) -> Any:
    """Return a span of days in both languages; all else as it is."""
    return Words(value, period_zh(value)) if isinstance(value, str) and period_zh(value) != value else value


def of_the_run(text: str) -> Words:
    """Return a sentence of the posterior file as a part of a remark; in English where the glossary has no other."""
    said = in_both(text)
    return Words(apart(said.en), apart(said.zh or said.en))


def joined(texts: list[Words]) -> Words:
    """Return several texts as one; none twice."""
    unique = list(dict.fromkeys(t for t in texts if t.en))
    return Words(_BETWEEN.en.join(t.en for t in unique), _BETWEEN.zh.join(t.zh for t in unique))


def common_first(texts: Iterable[Words]) -> tuple[list[Words], list[Words]]:
    """Part remarks that `joined` put together into those that all rows have and what is left of each row's.

    Parameters
    ----------
    texts : iterable of Words
        One a row.
    """
    split = [
        [
            Words(*pair)
            for pair in zip(t.en.split(_BETWEEN.en), t.zh.split(_BETWEEN.zh), strict=True)
            if pair[0]
        ]
        for t in texts
    ]
    common = [t for t in split[0] if all(t in row for row in split)]
    return common, [joined([t for t in row if t not in common]) for row in split]
