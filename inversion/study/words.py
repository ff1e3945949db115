"""What tables and pictures of studies say, in English and Chinese: one glossary."""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from obsnet.errors import DependencyError, RegionError
from obsnet.language import Language, Words, filled
from obsnet.regions import OFFSHORE, OUTSIDE, region_name

__all__ = [
    "ASSUMED",
    "NATIONAL",
    "draw_in",
    "named",
    "say",
    "table_text",
    "words",
    "written_line",
]

NATIONAL = "national"
ASSUMED = "as assumed"  # what truths are called where the inversion is right


# key -> (English, Chinese); what stands in braces is filled in
_TEXTS = {
    NATIONAL: ("China", "全国"),
    OFFSHORE: ("offshore", "海上"),
    OUTSIDE: ("outside", "境外"),
    ASSUMED: (ASSUMED, "符合假定"),
    # verdicts of coverage, and what stands in a table in the place of a name
    "as stated": ("as stated", "与所称相符"),
    "too sure": ("too sure", "过于自信"),
    "too cautious": ("too cautious", "过于保守"),
    "known beforehand": ("known beforehand", "先验已知"),
    "existing": ("existing", "现有"),
    # pictures of osse and design
    "reduction": ("error reduction of the province's total, %", "各省总量误差降低，%"),
    "reduction of China": ("{name}, China {share:.0f} %", "{name}，全国 {share:.0f} %"),
    "candidate": ("candidate", "候选"),
    "chosen, in order": ("chosen, in order", "入选（按次序）"),
    "tied first": ("as good as the first choice (tie)", "与首选并列"),
    "chosen by": ("chosen by {criterion}", "选择准则：{criterion}"),
    "information": ("information", "信息量"),
    "dofs": ("degrees of freedom", "信号自由度"),
    "target": ("target", "目标方差"),
    "nats": ("{name} (1 = {last:.3g} nats)", "{name}（1 = {last:.3g} 奈特）"),
    "count": ("{name} (1 = {last:.3g})", "{name}（1 = {last:.3g}）"),
    "target curve": ("weighted posterior over prior variance", "加权后验与先验方差之比"),
    "candidates added": ("candidates added", "新增候选数"),
    "error of China": (
        "China's total: error, Mt a⁻¹ (bar: stated; dots: true)",
        "全国总量误差，Mt a⁻¹（竖线：所称；圆点：真实）",
    ),
    "inside": (
        "true totals of regions inside their 95 % interval, %",
        "真值落入 95 % 区间的地区比例，%",
    ),
    # lines of osse and design
    "scenario": (
        (
            "{name}, {truth}: {n} observations, {dofs:.4g} degrees of freedom, "
            "{national}mean reduction {reduction:.0%}, {low:.0%} and {high:.0%} of truths inside 68 % and 95 %"
        ),
        (
            "{name}，{truth}：{n} 个观测，自由度 {dofs:.4g}，{national}平均误差降低 {reduction:.0%}，"
            "真值落入 68 % 与 95 % 区间的比例为 {low:.0%} 与 {high:.0%}"
        ),
    ),
    "scenario China": (
        "China ± {stated:.4g} stated, ± {true:.4g} true {unit}, ",
        "全国 ± {stated:.4g}（所称）、± {true:.4g}（真实）{unit}，",
    ),
    "step": (
        "{number:3d} {added}: {nats:.4g} nats, {dofs:.4g} degrees of freedom{national}",
        "{number:3d} {added}：{nats:.4g} 奈特，自由度 {dofs:.4g}{national}",
    ),
    "step China": (", China {sd:.4g} {unit}", "，全国 {sd:.4g} {unit}"),
    "order": (
        "order by true error, {truth}: {order}; = marks a tie, within the sampling error of {twins} twins",
        "按真实误差排序，{truth}：{order}；= 表示并列（差异在 {twins} 次孪生试验的抽样误差之内）",
    ),
    "design ties": (
        "a tie for the first choice, within what the weather of this period tells: {names}",
        "首选并列（差异在该时段天气抽样误差之内）：{names}",
    ),
    "written": ("written: {names} in {folder}", "已写入：{folder} 中的 {names}"),
    # detect
    "detect title": (
        "Smallest discrepancy of a provincial inventory found with a chance of {power}, {period}",
        "各省清单可检出的最小偏差（检出概率 {power}），{period}",
    ),
    "detect class": ("{share} or less", "不超过 {share}"),
    "detect beyond": ("{share} or less, not tested by the verdict", "不超过 {share}（不在可检验范围）"),
    "detect more": ("more than {share}, or not at all", "超过 {share} 或不可检"),
    "detect no inventory": ("no inventory", "无清单"),
    "comma": (", ", "，"),
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
    "power": "检出概率",
    "difference_sd": "差值标准差",
    "minimum_detectable": "最小可检偏差",
    "level": "检验水平",
    "testable": "可检验",
    "reached": "可检偏差",
    "reason": "原因",
    "observations": "观测数",
    "rank": "排名",
    "ties": "并列方案",
    "scenario": "方案",
    "truth": "真实情形",
    "true_sd": "真实标准差",
    "reduction": "误差降低",
    "inside_68": "落入68%区间",
    "inside_95": "落入95%区间",
    "chi_square": "卡方",
    "bias": "偏差",
    "coverage": "覆盖评价",
    "relative_sd": "相对标准差",
    "meets_30_percent": "满足30%要求",
    "national_prior_sd": "全国先验标准差",
    "national_sd": "全国标准差（所称）",
    "national_true_sd": "全国标准差（真实）",
    "national_inside_95": "全国落入95%区间",
    "national_reduction": "全国误差降低",
    "dofs": "信号自由度",
    "mean_reduction": "各省平均误差降低",
    "totals_inside_95": "各地区落入95%区间",
    "innovation_chi_square": "新息卡方",
    "regions_as_stated": "与所称相符的地区数",
    "regions": "地区数",
    "candidate": "候选",
    "latitude": "纬度",
    "longitude": "经度",
    "information_nats": "信息量（奈特）",
    "target": "目标方差",
    "most_for": "最有益地区",
    "reduction_there": "该地区误差降低",
    "number": "序号",
    "added": "新增",
    "existing_sd": "现有网标准差",
    "chosen_sd": "入选后标准差",
    "existing_reduction": "现有网误差降低",
    "chosen_reduction": "入选后误差降低",
}
_WORDED = ("truth", "coverage", "added")  # columns whose values may be words of the glossary


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
    writer.writerow([_heading(c) if language == "zh" else c for c in columns])
    for row in rows:
        writer.writerow([_cell(column, row[column], language) for column in columns])
    return ("\ufeff" if mark or language == "zh" else "") + buffer.getvalue()


def _heading(column: str) -> str:
    """Return a heading in Chinese; what stands after the last underscore may be a number of it."""
    name, _, number = column.rpartition("_")
    return _HEADINGS.get(column) or (f"{_HEADINGS[name]}_{number}" if name in _HEADINGS else column)


def _cell(column: str, value: Any, language: Language) -> Any:
    if isinstance(value, float):
        return f"{value:.6g}"
    return say(value, language) if column in _WORDED and value in _TEXTS else value


def draw_in(language: Language) -> None:
    """Let matplotlib draw a language.

    Raises
    ------
    DependencyError
        Chinese, and no font of it on this machine: the labels would be empty boxes.
    """
    from obsnet.drawing.fonts import NO_FONT, use_fonts

    if not use_fonts() and language == "zh":
        raise DependencyError(f"{NO_FONT.en}; or take --language en")


def written_line(paths: Sequence[Path], folder: Path, language: Language) -> str:
    """Return the line that says what was written."""
    return say("written", language, names=", ".join(p.name for p in paths), folder=folder)
