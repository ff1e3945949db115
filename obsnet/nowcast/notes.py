"""What estimates and forecasts say of their inputs, and its Chinese: one table for writer and reader.

Notes are English sentences; whoever shows one in Chinese finds it here by its form, and what stands in it too.
"""

from __future__ import annotations

from obsnet.language import Sentences, Words
from obsnet.nowcast.revisions import REVISIONS

__all__ = ["MODELS_ZH", "in_both", "note"]

_SENTENCES = Sentences(
    {
        "added up": ("{file}: {category} added up over {parts}", "{file}：{category} 由 {parts} 相加"),
        "short": (
            "{region}: values of {first}-{last} only, left out",
            "{region}：仅有 {first}-{last} 年数值，已剔除",
        ),
        "zeros": ("{region}: a series of zeros, left out", "{region}：序列全为零，已剔除"),
        "error": (
            "{region} {year}: {value} Mt is a {kind}, not used",
            "{region} {year} 年：{value} Mt 判为{kind}，未采用",
        ),
        "empty rows": ("{n} rows without a value are left out", "{n} 行无数值，已剔除"),
        "spelt": (
            "{region} stands under {names}: taken as one",
            "{region} 有多种写法（{names}）：视为同一地区",
        ),
        "no production": (
            "{name} is 0 throughout in {regions}: no growth there, left out",
            "{name}在 {regions} 全为零：无增速可言，已剔除",
        ),
        "empty year": (
            "{name}: 0 in all regions in {year}, left out",
            "{name}：{year} 年各地区均为零，已剔除",
        ),
        "zeros left out": (
            "{name}: 0 where other years have production, taken as not known: {where}",
            "{name}：以下数值为零而其他年份有产量，按未知处理：{where}",
        ),
        "one day": (
            (
                "{name}: all of {first}-{last} was published on {day}: is it the day of a download? No earlier year "
                "knows of it"
            ),
            "{name}：{first}-{last} 年全部于 {day} 公布，是否为下载日期？此前各年的回报均无法使用",
        ),
        "revised": (
            (
                "{name}: {year} was revised by {percent} % since it first came out (median of {n} regions): growth is "
                "against it"
            ),
            "{name}：{year} 年数值自首次公布后修订了 {percent} %（{n} 个地区中位数）：增速以修订值为基准",
        ),
        "gap": ("{region}: no value of {years}, bridged", "{region}：缺 {years} 年数值，已插补"),
        "held": (
            "{region}: no value of {years}, taken as that of {year}",
            "{region}：缺 {years} 年数值，沿用 {year} 年数值",
        ),
        "inventory shift": (
            (
                "{region} {year}: emissions shift by x{factor} against the other regions: used; is it a change of "
                "statistics or borders?"
            ),
            "{region} {year} 年：排放相对其他地区跳变 {factor} 倍：已采用；是否统计口径或区划变动？",
        ),
        "editions meet": (
            (
                "inventories published {day} begin in {year} and differ there by {percent} % from those before them: "
                "the change since {before} is also one of editions"
            ),
            "{day} 公布的清单始于 {year} 年，该年与此前清单相差 {percent} %：{before} 年以来的变化含版本差异",
        ),
        "fewer months": (
            "{name}: fewer months of {year} are known of {regions}: compared over those",
            "{name}：{regions} 的 {year} 年已知月份较少，按其已知月份比较",
        ),
        "to month": (
            "{name}: {year} is known to month {month}; the same months are compared",
            "{name}：{year} 年已知至 {month} 月，与上年同月比较",
        ),
        "some months": (
            "{name}: of {year} months {months} are known; the same months are compared",
            "{name}：{year} 年已知 {months} 月，与上年同月比较",
        ),
        "shift": (
            (
                "{name} of {region} shifts by x{factor} in {year} against the other regions ({spreads} spreads): "
                "not used; --shifts uses it"
            ),
            "{region} 的{name}在 {year} 年相对其他地区跳变 {factor} 倍（{spreads} 倍离散度）：未采用；--shifts 可采用",
        ),
        "shift of all": (
            (
                "{name} shifts by x{factor} in {year} in all regions together: not used; is it a new definition or "
                "unit? --shifts uses it"
            ),
            "{name}在 {year} 年所有地区同时跳变 {factor} 倍：未采用；是否更换了口径或单位？--shifts 可采用",
        ),
        "not known": (
            "{name}: not known of half the regions in {year} and three years before: not used",
            "{name}：{year} 年及此前三年已知地区不足半数，未采用",
        ),
        "not hindcast": ("{year} not hindcast: {why}", "{year} 年未作回报检验：{why}"),
        "could not run": (
            "{model} could not run for {n} of {all} years (first {year}: {why})",
            "{model}在 {all} 年中有 {n} 年无法运行（首次 {year} 年：{why}）",
        ),
        "same years": (
            "not hindcast, so that all models have the same years: {years}",
            "为使各模型年份一致而未作回报检验：{years}",
        ),
        "revision": (
            "{year}: {what} ({source}); hindcasts across it are marked",
            "{year} 年：{what}（{source}）；跨越该年的回报已标记",
        ),
        "scenario": (
            (
                "{model}: hindcast with the indicators as they came out; it is as good as that only if the scenario "
                "comes true"
            ),
            "{model}：回报检验采用实际公布的指标；仅当情景成真时才有此精度",
        ),
        # why a model could not run
        "no indicators": ("no indicator reaches {year}", "没有任何指标延续到 {year} 年"),
        "no nation": ("no inventory of the nation itself", "无全国清单"),
        "nation ends": (
            "the nation's inventory ends in {year}, the provinces' in {other}",
            "全国清单止于 {year} 年，分省清单止于 {other} 年",
        ),
        "no region": (
            "an indicator is known of no region in a year that is asked for",
            "所求年份有指标无任何地区数值",
        ),
        "few rows": (
            "{rows} region-years of {years} years with inventory and all indicators; a regression needs more",
            "清单与全部指标齐备者仅 {years} 年 {rows} 个地区年，不足以回归",
        ),
        "few years": (
            "{n} years of inventories ({span}); {least} are the fewest from which a trend and its error can be said",
            "清单仅 {n} 年（{span}）；得出趋势及其误差至少需 {least} 年",
        ),
        "not out": (
            "no inventory was out on {day}: each is taken to come {lag} months after its year",
            "{day} 尚无清单公布：按每年结束后 {lag} 个月公布计",
        ),
    }
)
MODELS_ZH = {
    "persistence": "持续性", "last growth": "沿用上年增速", "drift": "平均增速", "damped trend": "阻尼趋势",
    "regression": "面板回归", "regression + nation": "面板回归+全国约束", "combination": "组合",
    "generation x last factor": "发电量×上年因子", "Kaya regression": "Kaya回归",
}  # fmt: skip
_NAMES = {
    "thermal power": "火力发电量", "cement": "水泥产量", "pig iron": "生铁产量", "crude steel": "粗钢产量",
    "electricity use": "用电量", "generation": "发电量",
    "zero": "零值", "spike": "尖峰", "break": "突变", "negative": "负值",
    **MODELS_ZH,
    **{r.en: r.zh for r in REVISIONS},
}  # fmt: skip


def note(key: str, **values: object) -> str:
    """Return a note."""
    return _SENTENCES.line(key, **values)


def in_both(text: str) -> Words:
    """Return a note in both languages; without Chinese where the table does not have it.

    Examples
    --------
    >>> in_both("cement is 0 throughout in 460000: no growth there, left out").zh
    '水泥产量在 460000 全为零：无增速可言，已剔除'
    """
    return _SENTENCES.in_both(text, _inside)


def _inside(text: str) -> str:
    """Return the Chinese of a name, a sentence or a list of regions that stands in a note."""
    return _NAMES.get(text) or in_both(text).zh or text.replace(" and ", "、").replace(", ", "、")
