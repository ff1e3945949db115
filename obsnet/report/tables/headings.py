"""What columns of our tables are called in English and Chinese, in which unit they are, what their codes say."""

from __future__ import annotations

from typing import Any, NamedTuple

from obsnet.language import Language
from obsnet.report.words import VERDICTS

__all__ = ["HEADINGS", "VALUES", "Heading", "heading", "in_language"]

_MASS = "Mt/a"


class Heading(NamedTuple):
    """One column."""

    en: str
    zh: str
    unit: str = ""

    def said(self, language: Language) -> str:
        """Return the heading with its unit, where it has one."""
        name = self.zh if language == "zh" else self.en
        left, right = ("（", "）") if language == "zh" else (" (", ")")
        return f"{name}{left}{self.unit}{right}" if self.unit not in ("", "1") else name


HEADINGS = {
    # which
    "region": Heading("Code", "代码"),
    "name": Heading("Region", "地区"),
    "kind": Heading("Kind", "类型"),
    "members": Heading("Made up of", "组成"),
    "gas": Heading("Gas", "气体"),
    "sector": Heading("Sector of the inversion", "反演部门"),
    "unit": Heading("Unit of totals (a year)", "总量单位（每年）"),
    "period": Heading("Time of the inversion", "反演时段"),
    "inventory_period": Heading("Time of the inventory", "清单时段"),
    "category": Heading("Category", "类别"),
    "terminology": Heading("Terminology", "分类体系"),
    "source": Heading("Source", "来源"),
    "edition": Heading("Edition", "版本"),
    # what was found
    "inventory": Heading("Inventory", "清单", _MASS),
    "inventory_sd": Heading("Inventory, standard deviation", "清单标准差", _MASS),
    "prior": Heading("Prior", "先验", _MASS),
    "prior_sd": Heading("Prior, standard deviation", "先验标准差", _MASS),
    "posterior": Heading("Inversion", "反演", _MASS),
    "posterior_sd": Heading("Inversion, standard deviation", "反演标准差", _MASS),
    "difference": Heading("Difference", "差值", _MASS),
    "difference_sd": Heading("Difference, standard deviation", "差值标准差", _MASS),
    "response": Heading("Response: share of a discrepancy that shows", "响应：差异可显现的比例", "1"),
    "resolution": Heading("Own share", "自身份额", "1"),
    "correlation": Heading("Largest correlation", "最大相关系数", "1"),
    "correlation_with": Heading("Correlated with", "相关地区"),
    "joint": Heading("Reported with", "合并报告"),
    "minimum_detectable": Heading("Smallest detectable discrepancy", "最小可检差异", _MASS),
    "p_value": Heading("p", "p 值", "1"),
    "p_adjusted": Heading("p, adjusted for the number of tests", "校正 p 值", "1"),
    "margin": Heading("Margin of agreement", "容差", _MASS),
    "p_equivalence": Heading("p of equivalence, adjusted", "等效性校正 p 值", "1"),
    "equivalence_power": Heading("Chance that a right inventory is shown to agree", "正确清单被判一致的概率", "1"),
    "verdict": Heading("Verdict", "结论"),
    "reason": Heading("Reason", "原因"),
    "remark": Heading("Remark", "备注"),
    "z": Heading("z", "z", "1"),
    "e_n": Heading("E_n (k = 2)", "E_n（k = 2）", "1"),
    "log_ratio": Heading("ln(inversion / inventory)", "ln(反演/清单)", "1"),
    "log_ratio_sd": Heading("The same, standard deviation", "对数比标准差", "1"),
    "relative_sd": Heading("Inversion's relative standard deviation", "反演相对标准差", "1"),
    "requirement": Heading("Asked for by GCOS", "GCOS 要求", "1"),
    "requirement_met": Heading("Met", "达到"),
    # by which rule
    "inventory_source": Heading("Source of the inventory", "清单来源"),
    "prior_name": Heading("Prior of the inversion", "反演先验"),
    "region_source": Heading("Source of the boundaries", "边界来源"),
    "alpha": Heading("Rate of false discoveries", "误报率", "1"),
    "power": Heading("Power", "检出功效", "1"),
    "detectable": Heading("Limit of detectability, of the inventory", "可检验上限（占清单）", "1"),
    "margin_share": Heading("Margin, of the inventory", "容差（占清单）", "1"),
    "adjustment": Heading("Adjustment", "多重检验校正"),
    "level": Heading("Level of the first discovery", "首个检出的水平", "1"),
    "shared": Heading("Correlation of inventory and prior", "清单与先验误差相关系数", "1"),
    "chi_square": Heading("Chi-square per observation", "单位观测卡方", "1"),
    "chi_square_low": Heading("Lower bound of it", "卡方下限", "1"),
    "chi_square_high": Heading("Upper bound of it", "卡方上限", "1"),
    # other tables
    "statistic": Heading("Statistic", "统计量"),
    "value": Heading("Value", "数值"),
    "text": Heading("In words", "说明"),
    "told": Heading("Must be known", "须知"),
    "line": Heading("Line", "项目"),
    "label": Heading("Name of the line", "项目名称"),
    "sd": Heading("Standard deviation", "标准差"),
    "total": Heading("Running total", "累计"),
    "inversion": Heading("Inversion", "反演", _MASS),
    "inversion_sd": Heading("Inversion, standard deviation", "反演标准差", _MASS),
    "reconciled": Heading("Best estimate", "最佳估计", _MASS),
    "reconciled_sd": Heading("Best estimate, standard deviation", "最佳估计标准差", _MASS),
    "reconciled.adjustment": Heading("Adjustment", "调整量", _MASS),
    "adjustment_sd": Heading("Adjustment, standard deviation", "调整量标准差", _MASS),
    "ratio": Heading("Likelihood ratio of a gross error", "粗差似然比", "1"),
    "suspect": Heading("Suspect", "可疑"),
    "by_share": Heading("As the inventory is split", "按清单份额", _MASS),
    "by_share_sd": Heading("As the inventory is split, standard deviation", "按清单份额标准差", _MASS),
    "by_errors": Heading("By errors of the categories", "按类别误差", _MASS),
    "by_errors_sd": Heading("By errors of the categories, standard deviation", "按类别误差标准差", _MASS),
    "attribution.told": Heading("Told by observations", "观测贡献", "1"),
    "first": Heading("First year", "首年"),
    "last": Heading("Last year", "末年"),
    "years": Heading("Years", "年数"),
    "mean": Heading("Mean", "均值"),
    "slope": Heading("Slope", "年变化"),
    "slope_sd": Heading("Slope, standard deviation", "年变化标准差"),
    "percent": Heading("Slope", "年变化率", "%/a"),
    "p": Heading("p", "p 值", "1"),
    "differ": Heading("Differ", "不同"),
    "scatter": Heading("Residuals over errors", "残差/误差", "1"),
    "sen_slope": Heading("Sen's slope", "Sen 斜率"),
    "trends.response": Heading("Share of a true change of slope that shows", "斜率变化可显现的比例", "1"),
    "response_slope": Heading("Change of the observed share", "响应年变化", "1/a"),
    "p_rank": Heading("p (Mann-Kendall)", "p 值（Mann-Kendall）", "1"),
    "low80": Heading("Lower end of 80 %", "80% 区间下限"),
    "high80": Heading("Upper end of 80 %", "80% 区间上限"),
    "low90": Heading("Lower end of 90 %", "90% 区间下限"),
    "high90": Heading("Upper end of 90 %", "90% 区间上限"),
    "uncertainty": Heading("Relative standard deviation", "相对标准差", "1"),
    "step": Heading("Years ahead", "提前年数"),
    "model": Heading("Model", "模型"),
    "cases": Heading("Cases", "个例"),
    "mae": Heading("Mean absolute error", "平均绝对误差", "%"),
    "crps": Heading("CRPS", "CRPS", "%"),
    "bias": Heading("Bias", "偏差", "%"),
    "cover80": Heading("In 80 %", "80% 区间内", "1"),
    "cover90": Heading("In 90 %", "90% 区间内", "1"),
    "cover80_sd": Heading("In 80 %, standard error between years", "80% 区间内，年际标准误", "1"),
    "cover90_sd": Heading("In 90 %, standard error between years", "90% 区间内，年际标准误", "1"),
    "steady80": Heading("In 80 %, not across a revision", "80% 区间内，不跨统计修订", "1"),
    "steady90": Heading("In 90 %, not across a revision", "90% 区间内，不跨统计修订", "1"),
    "than_persistence": Heading("CRPS less persistence's", "CRPS 与持续性之差", "%"),
    "than_persistence_sd": Heading("The same, standard deviation", "同上标准差", "%"),
    "low": Heading("Lower end", "下限"),
    "high": Heading("Upper end", "上限"),
    "count": Heading("Cases", "个例"),
    "forecast": Heading("Probability given", "预报概率", "1"),
    "observed": Heading("Share that happened", "实际频率", "1"),
    "observed_sd": Heading("The same, standard deviation", "同上标准差", "1"),
}  # fmt: skip

# Codes in cells, by column. What a column of one table means elsewhere stands under TABLE.COLUMN above.
_YES = {"yes": "是", "no": "否"}
VALUES: dict[str, dict[str, str]] = {
    "verdict": {key: name.zh for key, (name, _) in VERDICTS.items()},
    "kind": {
        "region": "地区",
        "joint": "合并地区",
        "group": "分组",
        "trend": "趋势",
        "difference": "趋势之差",
    },
    "requirement_met": {**_YES, "prior": "仅先验"},
    "differ": {**_YES, "prior": "仅先验"},
    "suspect": {
        "inventory": "清单",
        "inversion": "反演",
        "inventory inversion": "清单、反演",
        "nation": "全国",
    },
    "category": {"total": "合计"},
    "line": {"inventory": "清单", "difference": "差值", "inversion": "反演"},
}


def heading(column: str, table: str = "") -> Heading:
    """Return what a column is called, in a table where that matters; one that is not ours keeps its name."""
    return HEADINGS.get(f"{table}.{column}") or HEADINGS.get(column) or Heading(column, column)


def _texts(column: Any) -> list[str]:
    return [str(v) for v in column.astype(object).where(column.notna(), "")]


def in_language(frame: Any, language: Language) -> Any:
    """Return a table with one language's columns of texts, named as if there were no other, and its codes in words.

    ``name_en, name_zh`` become ``name``, ``reason, reason_zh`` become ``reason``; a text that is missing in a language
    is that of the other.
    """
    out = frame.copy()
    for column in frame.columns:
        base = column.removesuffix("_zh")
        if base == column:
            continue
        plain = f"{base}_en" if f"{base}_en" in frame else base
        mine, other = (column, plain) if language == "zh" else (plain, column)
        texts, instead = _texts(frame[mine]), _texts(frame[other])
        out[plain] = [a or b for a, b in zip(texts, instead, strict=True)]
        out = out.drop(columns=column).rename(columns={plain: base})
    if language == "zh":
        for column in set(out.columns) & set(VALUES):
            out[column] = [VALUES[column].get(v, v) for v in out[column]]
    return out
