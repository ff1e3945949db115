"""Estimates and forecasts for people, in English and Chinese."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any

from obsnet.inventory.account.categories import category_name
from obsnet.inventory.account.report import named_region
from obsnet.inventory.words import NATION
from obsnet.language import Language, Words, padded, screen_width
from obsnet.nowcast.forecast import EmissionForecast
from obsnet.nowcast.notes import MODELS_ZH
from obsnet.nowcast.power import Factors, Likeness
from obsnet.nowcast.rapid import RapidEstimate
from obsnet.nowcast.shape import Shape
from obsnet.nowcast.skill.hindcast import BASELINES, SIMPLEST
from obsnet.nowcast.skill.tables import PROVINCES

__all__ = [
    "category_words",
    "chance_lines",
    "chance_words",
    "factor_words",
    "model_words",
    "nation_words",
    "score_lines",
    "shape_words",
    "value_lines",
]


def model_words(found: RapidEstimate | EmissionForecast) -> list[Words]:
    """Say which model is used and what it is worth, step by step."""
    scores = found.scores[
        found.scores["region"] == (PROVINCES if len(found.regions) > 1 else found.regions[0])
    ]
    years = found.hindcast.table["target"]
    span = f"{years.min()}-{years.max()}"
    used = Words(
        f"used: {found.model}, the best in hindcasts of {span} of those that beat persistence one step ahead",
        f"采用：{_zh(found.model)}，{span} 年回报检验中一步优于持续性预报的模型里最好的",
    )
    if found.model == SIMPLEST:
        used = Words(
            f"no model beats persistence in hindcasts of {span}: persistence is used",
            f"{span} 年回报检验中没有模型优于持续性预报：采用持续性预报",
        )
    simplest = scores[scores["model"] == SIMPLEST].set_index("step")
    mine = scores[scores["model"] == found.model].to_dict("records")
    return [used, *(_worth(row, simplest.loc[row["step"]]) for row in mine)]


def _worth(row: Any, base: Any) -> Words:
    """Say what one step of a model is worth beside persistence."""
    lead, sd, step = row["than_persistence"], row["than_persistence_sd"], row["step"]
    than = Words("", "")
    if row["model"] != SIMPLEST:
        shown = Words("", "") if lead + sd < 0.0 else Words(" (not shown to be better)", "（未证明更好）")
        than = Words(
            f", difference {lead:+.2f} ± {sd:.2f}{shown.en}", f"，两者之差 {lead:+.2f} ± {sd:.2f}{shown.zh}"
        )
    sure, steady = Words("", ""), Words("", "")
    if math.isfinite(row["cover90_sd"]):
        sure = Words(
            f" (± {row['cover90_sd']:.0%} between years)", f"（年际标准误 ±{row['cover90_sd']:.0%}）"
        )
    if row["revised"] and math.isfinite(row["steady90"]):
        steady = Words(
            f", {row['steady90']:.0%} of those not across a revision of statistics",
            f"，不跨统计修订者为 {row['steady90']:.0%}",
        )
    return Words(
        f"{step} year{'s' * (step > 1)} ahead: error {row['mae']:.2f} % (persistence {base['mae']:.2f} %), CRPS "
        f"{row['crps']:.2f} % ({base['crps']:.2f} %){than.en}; intervals of 80 and 90 % held {row['cover80']:.0%} and "
        f"{row['cover90']:.0%} of {row['cases']} truths of {row['years']} years{sure.en}{steady.en}",
        f"提前 {step} 年：误差 {row['mae']:.2f}%（持续性 {base['mae']:.2f}%），CRPS {row['crps']:.2f}%"
        f"（{base['crps']:.2f}%）{than.zh}；80% 与 90% 区间实际包含 {row['years']} 年 {row['cases']} 个真值的 "
        f"{row['cover80']:.0%} 与 {row['cover90']:.0%}{sure.zh}{steady.zh}",
    )


def nation_words(found: RapidEstimate | EmissionForecast) -> list[Words]:
    """Say whether anything beats last year's growth for the sum of all regions, one step ahead."""
    scores = found.scores[found.scores["region"] == NATION]
    if scores.empty:
        return []
    count = len(found.regions)
    whole = Words(f"nation (sum of {count} regions)", f"全国（{count} 个地区合计）")
    if count == 1:
        whole = Words("nation", "全国")
    scores = scores[scores["step"] == scores["step"].min()]
    base = scores[scores["model"] == "last growth"].iloc[0]
    better = scores[scores["than_last_growth"] + scores["than_last_growth_sd"] < 0.0]
    if better.empty:
        best = scores.sort_values("mae").iloc[0]
        return [
            Words(
                f"{whole.en}: no method is shown to beat last year's growth (error {base['mae']:.2f} % over "
                f"{base['years']} years; lowest: {best['model']}, {best['mae']:.2f} %)",
                f"{whole.zh}：没有方法被证明优于沿用上年增速（{base['years']} 年误差 {base['mae']:.2f}%；"
                f"最低者{_zh(best['model'])} {best['mae']:.2f}%）",
            )
        ]
    best = better.sort_values("crps").iloc[0]
    lead = f"{best['than_last_growth']:+.2f} ± {best['than_last_growth_sd']:.2f}"
    return [
        Words(
            f"{whole.en}: {best['model']} beats last year's growth (error {best['mae']:.2f} against "
            f"{base['mae']:.2f} %; CRPS {lead} over {best['years']} years)",
            f"{whole.zh}：{_zh(best['model'])}优于沿用上年增速（误差 {best['mae']:.2f}%，后者 "
            f"{base['mae']:.2f}%；CRPS 差 {lead}，{best['years']} 年）",
        )
    ]


def _zh(model: str) -> str:
    return MODELS_ZH.get(model, model)


def factor_words(factors: Factors, alike: Likeness) -> list[Words]:
    """Say how constant factors are, and how apart emissions and generation were made."""
    count = len(factors.left_out)
    out = [
        Words(
            f"one year left out: generation times the factor of the years beside it misses by "
            f"{factors.left_out_mae:.2f} % ({count} region-years)",
            f"逐年剔除检验：发电量×相邻年份因子的误差为 {factors.left_out_mae:.2f}%（{count} 个地区年）",
        )
    ]
    apart = Words(
        f"emissions and generation change together with {alike} years: not made from one another",
        f"排放与发电量逐年变化的秩相关系数为 {alike.correlation:.3f}（{alike.count} 个地区年）：并非由其推算而来",
    )
    few = Words(
        f"{alike.count} region-years are too few to say whether the emissions were made from this generation",
        f"仅 {alike.count} 个地区年，不足以判断排放是否由该发电量推算而来",
    )
    return [*out, apart if math.isfinite(alike.correlation) else few]


def shape_words(shape: Shape) -> list[Words]:
    """Say how well last year's shape foretells a year's."""
    if not len(shape.table):
        return [Words("monthly shape: no earlier year to hindcast it", "月变化形状：无更早年份可供检验")]
    mine, flat = shape.mae
    count = shape.table["year"].nunique()
    return [
        Words(
            f"monthly shape: last year's misses a month by {mine:.2f} % of the mean rate, a flat one by {flat:.2f} % "
            f"({count} years)",
            f"月变化形状：沿用上年的误差为平均速率的 {mine:.2f}%，均匀分布为 {flat:.2f}%（{count} 年）",
        )
    ]


def value_lines(rows: Any, language: Language) -> Iterator[str]:
    """Return values with their intervals."""
    english = ("region", "year", "Mt", "90 % interval", "sd")
    head = ("地区", "年份", "Mt", "90% 区间", "标准差") if language == "zh" else english
    yield f"{padded(head[0], 18)}{padded(head[1], 6)}{head[2]:>9}{'':6}{padded(head[3], 17)}{head[4]:>5}"
    for r in rows.to_dict("records"):
        whole = "合计" if language == "zh" else "sum"
        name = whole if r["region"] == NATION else named_region(r["region"], language)
        between = f"{r['low90']:>8.1f} - {r['high90']:<8.1f}"
        yield f"{padded(name, 18)}{r['period']:<6}{r['value']:>9.1f}  {between}{r['uncertainty']:>7.1%}"


def score_lines(scores: Any, language: Language) -> Iterator[str]:
    """Return the hindcast table of all provinces and of the nation, per cent; then differences of the CRPS."""
    zh = language == "zh"
    heads = (
        ("误差", "CRPS", "偏差", "80%内", "90%内") if zh else ("error", "CRPS", "bias", "in 80%", "in 90%")
    )
    bases = [f"{'较' if zh else 'than '}{_zh(b) if zh else b}" for b in BASELINES]
    cells = [" " * (8 - screen_width(h)) + h for h in heads]
    yield " " * 38 + "".join(cells) + "  " + "".join(padded(b, 18) for b in bases)
    places = {PROVINCES: "各省" if zh else "provinces", NATION: "合计" if zh else "nation"}
    for r in scores[scores["region"].isin(list(places))].to_dict("records"):
        model = _zh(r["model"]) if zh else r["model"]
        keys = [f"than_{b.replace(' ', '_')}" for b in BASELINES]
        leads = [f"{r[k]:+.2f} ± {r[f'{k}_sd']:.2f}" if math.isfinite(r[k]) else "-" for k in keys]
        yield (
            f"{padded(places[r['region']], 10)}{r['step']:>2} {padded(model, 25)}{r['mae']:>8.2f}{r['crps']:>8.2f}"
            f"{r['bias']:>+8.2f}{r['cover80']:>8.0%}{r['cover90']:>8.0%}  "
            + "".join(f"{t:<18}" for t in leads)
        )


def category_words(found: RapidEstimate | EmissionForecast) -> Words:
    """Say what is estimated."""
    names = (category_name(found.category, "IPCC2006", language) for language in ("en", "zh"))
    code = "" if found.category == "total" else f" {found.category}"
    return Words(*(f"{found.gas}{code} ({name})" for name in names))


def chance_words(found: EmissionForecast) -> list[Words]:
    """Say what chances were worth, of each target and peak too, and which regions are warned of."""
    shares = [
        ", ".join(
            f"{named} {weight:.0%}" for named, weight in zip(names, found.weights.values(), strict=True)
        )
        for names in (list(found.weights), [_zh(n) for n in found.weights])
    ]
    out = [
        Words(f"the combination would weigh {shares[0]}", f"组合权重：{shares[1]}"),
        Words(
            f"chances: Brier score {found.brier:.3f}; how often they came true is in reliability.csv",
            f"概率预报：Brier 评分 {found.brier:.3f}，可靠性见 reliability.csv",
        ),
    ]
    chances = found.chances
    for event, rows in chances.groupby("event", sort=False) if len(chances) else ():
        out.append(_record(str(event), rows.iloc[0]))
        if event != "peak":
            warned = rows.loc[rows["warning"] == "yes", "region"]
            rule, names = _rule(rows.iloc[0]), [[named_region(r, k) for r in warned] for k in ("en", "zh")]
            if len(warned):
                rule = Words(
                    f"{rule.en}; WARNING: {', '.join(names[0])}", f"{rule.zh}；预警：{'、'.join(names[1])}"
                )
            out.append(rule)
    return out


def chance_lines(chances: Any, language: Language) -> Iterator[str]:
    """Return the chances of targets and peaks by region."""
    zh = language == "zh"
    for event, rows in chances.groupby("event", sort=False) if len(chances) else ():
        year = rows["year"].iloc[0]
        peak, target = (
            (f"{year} 年前达峰", f"{year} 年达标") if zh else (f"peak by {year}", f"target of {year}")
        )
        yield ""
        yield peak if event == "peak" else target
        for r in rows.to_dict("records"):
            bound = "" if event == "peak" else f"{r['bound']:>9.1f} Mt"
            mark = ("  预警" if zh else "  WARNING") if r["warning"] == "yes" else ""
            yield f"  {padded(named_region(r['region'], language), 18)}{bound}{r['probability']:>6.0%}{mark}"


def _record(event: str, row: Any) -> Words:
    """Say what is given a chance, and how such chances came out in hindcasts."""
    year = row["year"]
    what = Words(
        f"peak by {year}, no later year of the forecast above it",
        f"{year} 年前达峰（预测期内其后各年均不超过）",
    )
    if event != "peak":
        what = Words(f"target {row['asked']}", f"目标 {row['asked']}")
    if not row["cases"]:
        return Words(f"{what.en}: no hindcast of it", f"{what.zh}：无回报检验")
    return Words(
        f"{what.en}; in hindcasts {row['said']:.0%} was said on average, {row['happened']:.0%} came true (Brier score "
        f"{row['brier']:.3f}, {row['cases']} cases of {row['years']} years)",
        f"{what.zh}；回报检验中平均预报 {row['said']:.0%}，实际 {row['happened']:.0%}（Brier 评分 {row['brier']:.3f}，"
        f"{row['years']} 年 {row['cases']} 例）",
    )


def _rule(row: Any) -> Words:
    """Say what a warning is worth."""
    if row["warning"] == "":
        if not math.isfinite(row["false_alarms"]) or not math.isfinite(row["hits"]):
            return Words(
                "no warning can be given: hindcasts have too few such targets", "不作预警：回报个例不足"
            )
        return Words(
            f"no warning can be given: in hindcasts it would have come for {row['hits']:.0%} of targets missed and for "
            f"{row['false_alarms']:.0%} of targets met, which does not tell them apart",
            f"不作预警：回报中未达标者 {row['hits']:.0%} 会被预警，达标者 {row['false_alarms']:.0%} 也会被预警，"
            "规则不能区分二者",
        )
    return Words(
        f"a warning: in hindcasts {row['false_alarms']:.0%} of targets met were warned of, "
        f"{row['false_warnings']:.0%} of warnings were false, {row['hits']:.0%} of targets missed were warned of",
        f"预警的可信度：回报中达标却被预警 {row['false_alarms']:.0%}，预警中误报 {row['false_warnings']:.0%}，"
        f"未达标且被预警 {row['hits']:.0%}",
    )
