"""Estimates and forecasts for people, in English and Chinese."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any

from obsnet.crosscheck.words import Words
from obsnet.inventory.account.report import named_region
from obsnet.inventory.words import NATION, Language
from obsnet.nowcast.forecast import Forecast
from obsnet.nowcast.power import Factors, Likeness
from obsnet.nowcast.rapid import Estimate
from obsnet.nowcast.shape import Shape
from obsnet.nowcast.skill.hindcast import BASELINES, SIMPLEST
from obsnet.nowcast.skill.tables import PROVINCES

__all__ = [
    "chance_lines",
    "factor_words",
    "model_words",
    "nation_words",
    "score_lines",
    "shape_words",
    "value_lines",
]

MODELS_ZH = {
    SIMPLEST: "持续性", "last growth": "沿用上年增速", "drift": "平均增速", "damped trend": "阻尼趋势",
    "regression": "面板回归", "regression + nation": "面板回归+全国约束", "combination": "组合",
    "generation x last factor": "发电量×上年因子", "Kaya regression": "Kaya回归",
}  # fmt: skip


def model_words(found: Estimate | Forecast) -> list[Words]:
    """Say which model is used and what it is worth, step by step."""
    scores = found.scores[
        found.scores["region"] == (PROVINCES if len(found.regions) > 1 else found.regions[0])
    ]
    model, zh = found.model, MODELS_ZH.get(found.model, found.model)
    years = found.hindcast.table["target"]
    span = f"{years.min()}-{years.max()}"
    if model == SIMPLEST:
        out = [
            Words(
                f"no model beats persistence in hindcasts of {span}: persistence is used",
                f"{span} 年回报检验中没有模型优于持续性预报：采用持续性预报",
            )
        ]
    else:
        out = [Words(f"used: {model}, the best in hindcasts of {span} of those that beat persistence one step ahead",
                     f"采用：{zh}，为 {span} 年回报检验中一步优于持续性预报的模型里最好的")]  # fmt: skip
    for row in scores[scores["model"] == model].to_dict("records"):
        base = scores[(scores["model"] == SIMPLEST) & (scores["step"] == row["step"])].iloc[0]
        ahead = Words(f"{row['step']} year{'s' * (row['step'] > 1)}", f"{row['step']} 年")
        lead, sd = row["than_persistence"], row["than_persistence_sd"]
        tested = ("", "")
        if model != SIMPLEST:
            shown = lead + sd < 0.0
            tested = (
                f", than persistence {lead:+.2f} ± {sd:.2f}" + ("" if shown else " (not shown to be better)"),
                f"，与持续性之差 {lead:+.2f} ± {sd:.2f}" + ("" if shown else "（未证明更好）"),
            )
        out.append(
            Words(
                f"{ahead.en} ahead: error {row['mae']:.2f} % (persistence {base['mae']:.2f} %), CRPS {row['crps']:.2f} % "
                f"({base['crps']:.2f} %){tested[0]}; intervals of 80 and 90 % held {row['cover80']:.0%} and "
                f"{row['cover90']:.0%} of {row['cases']} truths of {row['years']} years",
                f"提前{ahead.zh}：误差 {row['mae']:.2f}%（持续性 {base['mae']:.2f}%），CRPS {row['crps']:.2f}%"
                f"（{base['crps']:.2f}%）{tested[1]}；80% 与 90% 区间实际包含 {row['years']} 年 {row['cases']} 个真值的 "
                f"{row['cover80']:.0%} 与 {row['cover90']:.0%}",
            )
        )
    return out


def nation_words(found: Estimate | Forecast) -> list[Words]:
    """Say whether anything beats last year's growth for the sum of all regions, one step ahead."""
    scores = found.scores[(found.scores["region"] == NATION)]
    if scores.empty:
        return []
    scores = scores[scores["step"] == scores["step"].min()]
    base = scores[scores["model"] == "last growth"].iloc[0]
    better = scores[scores["than_last_growth"] + scores["than_last_growth_sd"] < 0.0]
    text = f"{base['mae']:.2f} %"
    if better.empty:
        best = scores.sort_values("mae").iloc[0]
        zh = MODELS_ZH.get(best["model"], best["model"])
        return [
            Words(
                f"nation: no method is shown to beat last year's growth (error {text} over {base['years']} years; lowest "
                f"{best['model']} {best['mae']:.2f} %)",
                f"全国：没有方法被证明优于沿用上年增速（{base['years']} 年误差 {text}；最低者{zh} {best['mae']:.2f}%）",
            )
        ]
    best = better.sort_values("crps").iloc[0]
    lead, sd = best["than_last_growth"], best["than_last_growth_sd"]
    return [
        Words(
            f"nation: {best['model']} beats last year's growth (error {best['mae']:.2f} against {text}; CRPS {lead:+.2f} ± "
            f"{sd:.2f} over {best['years']} years)",
            f"全国：{MODELS_ZH.get(best['model'], best['model'])}优于沿用上年增速（误差 {best['mae']:.2f}%，后者 {text}；"
            f"CRPS 差 {lead:+.2f} ± {sd:.2f}，{best['years']} 年）",
        )
    ]


def factor_words(factors: Factors, alike: Likeness) -> list[Words]:
    """Say how constant factors are, and how apart emissions and generation were made."""
    mae = factors.left_out_mae
    return [
        Words(
            f"one year left out: generation times the factor of the years beside it misses by {mae:.2f} % "
            f"({len(factors.left_out)} region-years)",
            f"逐年剔除检验：发电量×相邻年份因子的误差为 {mae:.2f}%（{len(factors.left_out)} 个地区年）",
        ),
        Words(
            f"emissions and generation change together with {alike}: not made from one another",
            f"排放与发电量逐年变化的相关系数为 {alike.correlation:.3f}（{alike.count} 个地区年）：并非由其推算而来",
        ),
    ]  # fmt: skip


def shape_words(shape: Shape) -> list[Words]:
    """Say how well last year's shape foretells a year's."""
    if not len(shape.table):
        return []
    mine, flat = shape.mae
    return [
        Words(
            f"monthly shape: last year's misses a month by {mine:.2f} % of the mean rate, a flat one by {flat:.2f} % "
            f"({shape.table['year'].nunique()} years)",
            f"月变化形状：沿用上年的误差为平均速率的 {mine:.2f}%，均匀分布为 {flat:.2f}%（{shape.table['year'].nunique()} 年）",
        )
    ]


def value_lines(rows: Any, language: Language) -> Iterator[str]:
    """Return values with their intervals."""
    head = (
        ("地区", "年份", "Mt", "90% 区间", "标准差")
        if language == "zh"
        else ("region", "year", "Mt", "90 % interval", "sd")
    )
    yield f"{head[0]:<18}{head[1]:<6}{head[2]:>9}  {head[3]:^19}{head[4]:>7}"
    for r in rows.to_dict("records"):
        name = (
            ("全国" if language == "zh" else "sum")
            if r["region"] == NATION
            else named_region(r["region"], language)
        )
        yield f"{name:<18}{r['period']:<6}{r['value']:>9.1f}  {r['low90']:>8.1f} - {r['high90']:<8.1f}{r['uncertainty']:>7.1%}"


def score_lines(scores: Any, language: Language) -> Iterator[str]:
    """Return the hindcast table of all provinces and of the nation."""
    zh = language == "zh"
    heads = ["误差", "CRPS", "偏差", "80%", "90%"] if zh else ["error", "CRPS", "bias", "in 80%", "in 90%"]
    bases = [f"{'较' if zh else 'than '}{MODELS_ZH[b] if zh else b}" for b in BASELINES]
    yield f"{'':<33}" + "".join(f"{h:>8}" for h in heads) + "".join(f"{b:>20}" for b in bases)
    for r in scores[scores["region"].isin([PROVINCES, NATION])].to_dict("records"):
        place = {PROVINCES: "各省" if zh else "provinces", NATION: "全国" if zh else "nation"}[r["region"]]
        model = MODELS_ZH.get(r["model"], r["model"]) if zh else r["model"]
        leads = [(r[f"than_{b.replace(' ', '_')}"], r[f"than_{b.replace(' ', '_')}_sd"]) for b in BASELINES]
        cells = "".join(f"{f'{m:+.2f} ± {s:.2f}' if math.isfinite(m) else '-':>20}" for m, s in leads)
        yield (
            f"{place:<10}{r['step']:>2} {model:<20}{r['mae']:>8.2f}{r['crps']:>8.2f}{r['bias']:>+8.2f}{r['cover80']:>8.0%}"
            f"{r['cover90']:>8.0%}{cells}"
        )


def chance_lines(chances: Any, language: Language) -> Iterator[str]:
    """Return chances of targets and peaks, and warnings with their false alarms."""
    zh = language == "zh"
    for r in chances.to_dict("records"):
        name = named_region(r["region"], language)
        if r["event"] == "peak":
            yield (
                f"{name}：{r['year']} 年前达峰概率 {r['probability']:.0%}"
                if zh
                else (f"{name}: peak by {r['year']} with {r['probability']:.0%}")
            )
            continue
        said = f"{name}: at most {r['bound']:.1f} Mt in {r['year']} with {r['probability']:.0%}"
        if zh:
            said = f"{name}：{r['year']} 年不超过 {r['bound']:.1f} Mt 的概率 {r['probability']:.0%}"
        if r["warning"] == "":
            yield said + (
                "；回报个例不足，不作预警"
                if zh
                else "; no warning can be given: too few hindcasts in which it was met"
            )
        elif r["warning"] == "yes":
            yield said + (
                f"；预警（回报中达标而误报 {r['false_alarms']:.0%}，预警中误报占 {r['false_warnings']:.0%}，未达标而报中 {r['hits']:.0%}，"
                f"{r['cases']} 例 {r['years']} 年）"
                if zh else
                f"; WARNING (in hindcasts {r['false_alarms']:.0%} of targets met were warned of, {r['false_warnings']:.0%} of "
                f"warnings were false, {r['hits']:.0%} of misses were warned of; {r['cases']} cases, {r['years']} years)"
            )  # fmt: skip
        else:
            yield said + ("；不预警" if zh else "; no warning")
