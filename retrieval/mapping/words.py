"""What a map holds, what it leaves out and how its check ended, in words of both languages."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from obsnet.constants import species as species_of
from obsnet.language import Language, Words, filled

__all__ = ["told"]

_TEXTS = {
    "mapped": (
        "{source}: {observations} columns, {cells} of {cells_of} cells mapped",
        "{source}：{observations} 个柱浓度，{cells_of} 个格点中 {cells} 个有值",
    ),
    "no value": (
        "  no value anywhere, nothing drawn: {n} of the periods: {days}",
        "  全无数值、未作图的时段 {n} 个：{days}",
    ),
    "borrowed": (
        "  no column of their own, mapped from the days around, no picture: {n} of the periods: {days}",
        "  当期无观测、由前后日期推得、未作图的时段 {n} 个：{days}",
    ),
    "left out": ("  left out: {n} {reason}", "  剔除 {n} 个：{reason}"),
    "left empty": (
        (
            "  left empty: {far} cells farther than {reach} km from any column then, {wide} of too large a standard "
            "error{limit}"
        ),
        "  留空：{far} 个格点距当时的观测超过 {reach} km，{wide} 个标准误差过大{limit}",
    ),
    "covariance": (
        (
            "  covariance: {space} over {km} km, {time} over {days} days, nugget {nugget} ({unit})2, fitted to "
            "{fitted}; mean: {mean}"
        ),
        (
            "  协方差：空间 {space}（{km} km），时间 {time}（{days} 天），块金 {nugget}（{unit}）²，拟合于 {fitted}；"
            "均值：{mean}"
        ),
    ),
    "at bounds": (
        "  the data do not tell {which}: the fit ended at that bound",
        "  数据不能确定 {which}：拟合止于其界限",
    ),
    "evenness": (
        "  variances vary from place to place: {n} columns nearby count as much as all others",
        "  方差因地而异：附近 {n} 个观测与其余全部观测同等计",
    ),
    "functions": (
        "  {n} functions ({gib} GiB), {iterations} iterations, fine-scale sd {sd}",
        "  {n} 个基函数（{gib} GiB），迭代 {iterations} 次，细尺度标准差 {sd}",
    ),
    "scale": (
        "  errors of the columns taken as {scale} times what they are stated to be",
        "  观测误差取其声明值的 {scale} 倍",
    ),
    "columns": (
        (
            "  columns against the others of their cell: n {n}, bias {bias}, RMSE {rmse}, R2 {r2}, inside the "
            "95 % range {inside}"
        ),
        "  观测与同格点其余观测比较：n {n}，偏差 {bias}，均方根误差 {rmse}，R2 {r2}，落在 95 % 区间内 {inside}",
    ),
    "blocks": (
        (
            "  means of held-out blocks of {degrees} degrees: n {n}, bias {bias}, RMSE {rmse}, R2 {r2}, inside the "
            "95 % range {inside}"
        ),
        "  {degrees} 度留出区块的均值：n {n}，偏差 {bias}，均方根误差 {rmse}，R2 {r2}，落在 95 % 区间内 {inside}",
    ),
    "wide": (
        "  of {degrees} degrees: n {n}, inside {inside}; standard errors multiplied by {widened} for it",
        "  {degrees} 度区块：n {n}，区间内 {inside}；标准误差因此乘以 {widened}",
    ),
}


def told(report: dict[str, Any], species: str, language: Language = "en") -> list[str]:
    """Return what a map holds, what it leaves out and how its check ended, in lines."""
    return [w.said(language) for w in _told(report, species)]


def _told(report: dict[str, Any], species: str) -> Iterator[Words]:
    unit = species_of(species).unit_name
    yield _say("mapped", **{k: report[k] for k in ("source", "observations", "cells", "cells_of")})
    for key, text in (("periods_without_value", "no value"), ("periods_without_columns", "borrowed")):
        if days := report[key]:
            yield _say(text, n=len(days), days=", ".join(days))
    for reason, number in report.get("left_out", {}).items():
        yield _say("left out", n=number, reason=reason)
    if "left_empty" in report:
        yield _say(
            "left empty",
            far=report["left_empty"]["beyond_reach"],
            reach=f"{report['reach_km']:g}",
            wide=report["left_empty"]["above_max_sd"],
            limit=f" (> {report['max_sd']:g} {unit})" if "max_sd" in report else "",
        )
    if "variogram" in report:
        v = report["variogram"]
        yield _say(
            "covariance",
            space=f"{v['sill_space']:.3g}",
            km=f"{v['range_km']:.0f}",
            time=f"{v['sill_time']:.3g}",
            days=f"{v['range_days']:.1f}",
            nugget=f"{v['nugget']:.3g}",
            unit=unit,
            fitted=v["fitted_to"],
            mean=report["trend"]["terms"],
        )
        if v["at_bounds"]:
            yield _say("at bounds", which=v["at_bounds"])
        yield _say("evenness", n=f"{v['evenness']:.0f}")
    if "functions" in report:
        yield _say(
            "functions",
            n=report["functions"],
            gib=f"{report['memory_gib']:.2g}",
            iterations=report["iterations"],
            sd=f"{report['fine_variance'] ** 0.5:.3g} {unit}",
        )
    if scale := report.get("error_scale", report.get("variogram", {}).get("error_scale")):
        yield _say("scale", scale=f"{scale:.2f}")
    if "cross_validation" in report:
        c = report["cross_validation"]
        numbers = {
            "n": c["n"],
            "bias": f"{c['bias']:+.3f} {unit}",
            "rmse": f"{c['rmse']:.3f} {unit}",
            "r2": f"{c['r2']:.2f}",
            "inside": f"{100 * c['coverage95']:.1f} %",
        }
        degrees = c.get("block_degrees")
        yield (
            _say("columns", **numbers)
            if degrees is None
            else _say("blocks", degrees=f"{degrees:g}", **numbers)
        )
    if "cross_validation_wide" in report:
        w = report["cross_validation_wide"]
        yield _say(
            "wide",
            degrees=f"{w['block_degrees']:g}",
            n=w["n"],
            inside=f"{100 * w['coverage95']:.1f} %",
            widened=f"{report['widened']:.2f}",
        )


def _say(key: str, **values: Any) -> Words:
    return filled(_TEXTS[key], **values)
