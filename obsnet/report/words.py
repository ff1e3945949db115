"""The glossary of the report: field terms and the page's own texts, in English and Chinese."""

from __future__ import annotations

from typing import Any

from obsnet.language import Language, Words, filled

__all__ = ["VERDICTS", "both", "say", "sector_name", "span", "term"]

# Verdicts in the order of the page, each with what it says.
VERDICTS = {
    "inconsistent": (
        Words("inconsistent", "不一致"),
        Words(
            "shown to differ from the inventory by more than its stated error",
            "可证与清单不符，且超出其自身误差",
        ),
    ),
    "consistent": (
        Words("consistent", "一致"),
        Words("shown to agree with the inventory within {margin}", "可证与清单之差在 {margin} 以内"),
    ),
    "not decided": (
        Words("not decided", "未能判定"),
        Words(
            "neither is shown, though a large enough discrepancy would have been found",
            "二者均未得证，尽管足够大的差异本可检出",
        ),
    ),
    "not testable": (
        Words("not testable", "无法检验"),
        Words(
            "these observations, or this run, cannot tell; the remark says why",
            "现有观测或本次反演无法判断，原因见备注",
        ),
    ),
}

# Terms of the field: headings of columns, axes, legends.
_TERMS = {
    "region": ("Region", "地区"),
    "inventory": ("Inventory", "清单"),
    "inversion": ("Inversion", "反演"),
    "sd": ("±\u00a0sd", "标准差"),
    "difference": ("Difference", "差值"),
    "response": ("Seen", "响应"),
    "detectable": ("Smallest detectable", "最小可检差异"),
    "p adjusted": ("p\u00a0adj.", "校正\u00a0p"),
    "verdict": ("Verdict", "结论"),
    "remark": ("Remark", "备注"),
    "value": ("Value", "数值"),
    "source": ("Source", "来源"),
    "year": ("Year", "年份"),
    "years": ("Years", "年份"),
    "category": ("Category", "类别"),
    "model": ("Model", "模型"),
    "cases": ("Cases", "个例"),
    "line": ("Line", "项目"),
    "running total": ("Running total", "累计"),
    "adjustment": ("Adjustment", "调整"),
    "best estimate": ("Best estimate", "最佳估计"),
    "suspect": ("Suspect", "可疑"),
    "megatonnes": ("Mt", "百万吨"),
    "a year": ("{unit} a year", "{unit}/年"),
    "yes": ("yes", "是"),
    "no": ("no", "否"),
    "total": ("total", "合计"),
    "sum": ("sum", "合计"),
    "provinces": ("provinces", "各省"),
    "station": ("station", "站点"),
    "summed": ("as a sum with others", "与其他地区合计"),
    "not known": ("not known", "未知"),
    "not stated": ("not stated", "未给出"),
    "posterior": ("posterior", "后验"),
    "prior": ("prior", "先验"),
    "correlation": ("correlation", "相关系数"),
    "inversion, verdict": ("inversion, {verdict}", "反演，{verdict}"),
    "n": ("n", "观测数"),
    "file": ("File", "文件"),
    "stage": ("Stage", "步骤"),
    "files": ("Files", "文件数"),
}

# Sectors as cases usually call them; a name of one's own stands as it is.
_SECTORS = {
    "fossil": "化石燃料",
    "biosphere": "生物圈",
    "ocean": "海洋",
    "fire": "火灾",
    "total": "合计",
    "net": "净通量",
    "wetland": "湿地",
    "wetlands": "湿地",
    "anthropogenic": "人为源",
    "agriculture": "农业",
    "waste": "废弃物",
    "coal": "煤炭",
    "oil_gas": "油气",
}

# The page's own texts; what stands in braces is filled in.
_TEXTS = {
    "contents": ("Contents", "目录"),
    "summary": ("In two minutes", "两分钟摘要"),
    "remarks": ("To be known when reading it", "阅读须知"),
    "verdicts": ("Verdicts", "结论"),
    "table": ("Table of regions", "地区数据表"),
    "emissions": ("Emissions", "排放分布"),
    "basis": ("What this rests on", "依据"),
    "fit failed": ("This run does not fit its own errors", "本次反演与其误差假设不符"),
    "fit failed how": (
        (
            "Chi-square per observation is {chi}; a run whose errors are right lies within {low} to {high}. "
            "Uncertainties on "
            "this page are not to be believed, and no inventory is tested with them."
        ),
        "单位观测卡方为 {chi}；误差假设正确时应在 {low}–{high}。本页的不确定度不可信，不据此检验任何清单。",
    ),
    "fit unknown": (
        "The posterior file states no chi-square: whether this run fits its own errors is not known.",
        "后验文件未给出卡方，无法判断本次反演是否与其误差假设相符。",
    ),
    "fit good": (
        "The run fits its own errors: chi-square per observation {chi}, within {low} to {high}.",
        "反演与其误差假设相符：单位观测卡方 {chi}，在 {low}–{high} 之内。",
    ),
    "compared": (
        (
            "{sector} {gas} of the inversion, {period}, is held against the inventory's {category} of "
            "{inventory_period}."
        ),
        "以反演的 {sector} {gas}（{period}）检验清单的 {category}（{inventory_period}）。",
    ),
    "in brackets": (" ({text})", "（{text}）"),
    "counts": (
        (
            "Of {all} regions {inconsistent} are inconsistent with their inventory, {consistent} are shown to agree, "
            "{undecided} are not decided, and {untestable} cannot be tested."
        ),
        (
            "{all} 个地区中，{inconsistent} 个与清单不一致，{consistent} 个可证一致，{undecided} 个未能判定，"
            "{untestable} 个无法检验。"
        ),
    ),
    "differs": (
        (
            "{name}: the inventory says {inventory} ± {inventory_sd}, the inversion {posterior} ± "
            "{posterior_sd} {unit}; the "
            "difference, seen through the inversion's kernel, is {difference} ± {difference_sd}."
        ),
        (
            "{name}：清单 {inventory} ± {inventory_sd}，反演 {posterior} ± {posterior_sd} {unit}；"
            "按反演核函数所见，差值为 {difference} ± {difference_sd}。"
        ),
    ),
    "agree": ("Shown to agree: {names}.", "可证一致：{names}。"),
    "nearest": (
        "Nearest to being testable: {name}, where {share} of the inventory could be found and {limit} is asked.",
        "最接近可检验：{name}，可检出清单的 {share}，要求 {limit}。",
    ),
    "no single": ("No inventory is shown to differ.", "未证明任何清单与观测不符。"),
    "not in errors": (
        (
            "Errors that all observations share are not in these uncertainties: a bias of the satellite, of the "
            "scale or of "
            "the transport; nor are definitions of the inventory that were not bridged."
        ),
        "所有观测共有的误差（卫星、标尺或输送模式的偏差）以及未统一的清单定义，均不在上述不确定度之内。",
    ),
    "rule": (
        (
            "Rule: {alpha} false alarms over {tested} tested regions ({adjustment}), power {power}, testable up to "
            "{detectable} of the inventory, consistent within {margin} of it."
        ),
        (
            "规则：对 {tested} 个可检验地区误报率 {alpha}（{adjustment} 校正），检出功效 {power}，"
            "最小可检差异不超过清单 {detectable} 者可检验，容差为清单的 {margin}。"
        ),
    ),
    "verdict map": (
        (
            "Is each region's inventory consistent with what the atmosphere shows? Blue: not decided. Grey: not "
            "testable. "
            "Hatched: not testable by itself, the verdict is that of its sum with regions it is not told apart from."
        ),
        (
            "各地区清单与大气观测是否一致；蓝色为未能判定，灰色为无法检验；"
            "斜线为单独无法检验，颜色为与其不可区分地区合计的结论。"
        ),
    ),
    "difference map": (
        (
            "Difference of inversion and inventory as a share of the inventory, where it could be tested; grey: "
            "not testable, "
            "nothing is known."
        ),
        "反演与清单之差占清单的比例，仅示可检验地区；灰色为无法检验，情况未知。",
    ),
    "difference axis": ("difference, % of the inventory", "差值，占清单的 %"),
    "totals chart": (
        "Inventory and inversion, {unit} a year, with 95 % intervals; testable regions first, by size.",
        "清单值与反演值及其 95% 区间，{unit}/年；可检验地区在前，按大小排列。",
    ),
    "table help": (
        (
            "Totals in {unit} a year of {gas}. Difference: inversion minus what it would have found had this "
            "inventory been "
            "right and all else been as the prior has it, so an inventory that served as the prior does not "
            "confirm itself, "
            "and a neighbour's wrong inventory accuses nobody. Seen: share of a true discrepancy in the region "
            "that the "
            "inversion would show. Smallest detectable: discrepancy found with {power} power at the level that the "
            "adjustment for all tested regions leaves to the first discovery; above {detectable} of the "
            "inventory a region "
            "counts as not testable. p adj.: adjusted for the number of regions tested ({adjustment}); "
            "inconsistent up to "
            "{alpha}."
        ),
        (
            "总量单位为 {gas} {unit}/年。差值 = 反演值减去“若该地区清单正确、其余与先验相同，反演应得的值”，"
            "因此以清单作先验不会自证，邻近地区清单有误也不会牵连本地区。“响应”为真实差异在反演中可显现的比例。"
            "“最小可检差异”按多重检验校正后首个检出的显著性水平计算，检出功效 {power}；超过清单 {detectable} "
            "的地区记为“无法检验”。"
            "p 值已按检验地区数校正（{adjustment}），不超过 {alpha} 为“不一致”。"
        ),
    ),
    "flux map": (
        (
            "{sector} flux of the inversion and its change from the prior, mean of {period}. Left white: cells "
            "whose flux no "
            "observation changes; the prior stands there."
        ),
        "{sector} 后验通量及其相对先验的变化，{period} 平均。空白：观测未改变通量的格点，其值即先验。",
    ),
    "no cell seen": (
        "no cell's standard deviation was made smaller by 1 %: nothing to colour",
        "没有一个格点的标准差因观测减小 1 %：无可着色",
    ),
    "flux axis": ("posterior, {unit}", "后验，{unit}"),
    "change axis": ("posterior − prior, {unit}", "后验 − 先验，{unit}"),
    "filter": ("Show regions whose row holds", "筛选含有下列文字的地区"),
    "all verdicts": ("all verdicts", "全部结论"),
    "verdict filter": ("Verdict", "结论"),
    "shown": ("{shown} of {all} rows", "显示 {shown} / {all} 行"),
    "sort": ("sort by {head}", "按{head}排序"),
    "scrolls": ("table, scrolls sideways", "表格，可横向滚动"),
    "all rows": ("all {n} rows", "全部 {n} 行"),
    "period": ("{first} to {last}", "{first} 至 {last}"),
    "no font": (
        "Pictures are labelled in English: this machine has no font with Chinese characters.",
        "图中标注为英文：生成本页的计算机没有中文字体。",
    ),
}


def both(key: str, **values: Any) -> Words:
    """Return a text of the page in both languages."""
    return filled(_TEXTS[key], **values)


def say(key: str, language: Language, **values: Any) -> str:
    """Return a text of the page in one language."""
    return both(key, **values).said(language)


def term(key: str, **values: Any) -> Words:
    """Return a term of the field in both languages."""
    return filled(_TERMS[key], **values)


def sector_name(name: str, language: Language) -> str:
    """Return a sector in a language."""
    return _SECTORS.get(name, name) if language == "zh" else name


def span(text: str, language: Language) -> str:
    """Return a span of time that a table states as ``A to B`` in a language."""
    first, to, last = text.partition(" to ")
    return say("period", language, first=first, last=last) if to else text
