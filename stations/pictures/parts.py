"""The parts of a station picture: each draws one thing on the axes it is given and knows no files."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from obsnet.schema import Quality
from obsnet.times import decimal_year, later, solar_hour
from stations.curve.errors import CurveEnsemble, errors_and_noise
from stations.curve.fit import CurveFit
from stations.record.series import USE

if TYPE_CHECKING:
    import xarray as xr

__all__ = ["TEXT", "draw_diurnal", "draw_flags", "draw_growth", "draw_record", "draw_season", "formula"]

BLUE, RED, GREY, GREEN, ORANGE = "#1f5a99", "#b3322a", "#9aa0a6", "#2b7a4b", "#c77700"
SEASONS = {"DJF": (12, 1, 2), "MAM": (3, 4, 5), "JJA": (6, 7, 8), "SON": (9, 10, 11)}
SEASON_COLOURS = (BLUE, GREEN, RED, ORANGE)

TEXT: dict[str, dict[str, str]] = {
    "en": {
        "year": "Year", "background": "background", "not background": "valid, not background",
        "rejected": "rejected", "smooth": "smooth curve", "trend": "trend", "baseline": "robust baseline",
        "growth": "Growth rate", "band": "± 1 standard error", "increase": "annual increase",
        "cycle": "Seasonal cycle", "month": "Month", "curve": "mean of the years", "spread": "± 1 sd of years",
        "hour": "Hour of day, mean solar time", "diurnal": "Diurnal cycle", "flags": "Share of rows", "use": "use",
        "year-long": "Noise that remembers a year cannot be told from the curve: were it such, the growth rate's "
        "standard error would be {growth:#.2g} in the place of {stated:#.2g}, the trend's {trend:#.2g}",
        "no diurnal": "no diurnal cycle: fewer than\nsix hours of day have five days", "per year": " yr⁻¹",
        "DJF": "Dec–Feb", "MAM": "Mar–May", "JJA": "Jun–Aug", "SON": "Sep–Nov",
    },
    "zh": {
        "year": "年份", "background": "本底", "not background": "有效非本底",
        "rejected": "剔除", "smooth": "平滑曲线", "trend": "趋势", "baseline": "稳健基线",
        "growth": "增长率", "band": "±1倍标准误差", "increase": "年增量",
        "cycle": "季节变化", "month": "月份", "curve": "多年平均", "spread": "±1倍年际标准差",
        "hour": "地方平太阳时(时)", "diurnal": "日变化", "flags": "数据比例", "use": "可用",
        "year-long": "记忆约一年的噪声无法与曲线区分：若属此类，增长率的标准误差应为{growth:#.2g}而非{stated:#.2g}，"
        "趋势的为{trend:#.2g}",
        "no diurnal": "无日变化:\n有五天以上数据的小时不足六个", "per year": "/年",
        "DJF": "12–2月", "MAM": "3–5月", "JJA": "6–8月", "SON": "9–11月",
    },
}  # fmt: skip


FLAG_ZH = {
    "producer": "提供者剔除", "range": "超出范围", "geolocation": "位置", "time": "时间", "operator": "算子",
    "uncertainty": "不确定度", "screen": "筛选", "selection": "非本底", "pair": "平行样不符", "outlier": "离群",
    "spike": "尖峰", "variability": "变化过大", "stuck": "数值不变", "wind": "风", "gradient": "垂直梯度",
    "hours": "时段外", "calibration": "标定", "duplicate": "重复", "suspect": "可疑",
    "elsewhere": "由另一文件计入",
}  # fmt: skip


def formula(species: str) -> str:
    """Return a formula with its numbers lowered: CO₂, CH₄, SF₆."""
    return species.translate(str.maketrans("0123456789", "₀₁₂₃₄₅₆₇₈₉"))


def _classes(record: xr.Dataset) -> dict[str, np.ndarray]:
    """Return rows by class: background, valid but not background, rejected."""
    quality = record["quality"].values
    valid = (quality & ~np.uint32(int(USE["valid"]) & 0xFFFFFFFF)) == 0
    finite = np.isfinite(record["value"].values)
    return {
        "rejected": finite & ~valid,
        "not background": finite & valid & (quality != 0),
        "background": finite & (quality == 0),
    }


def date_axis(axes: Any, time: np.ndarray) -> None:
    """Label an axis of decimal years by dates where the record is shorter than two years."""
    known = time[~np.isnat(time)].astype("datetime64[D]")
    if known.size and (days := int((known.max() - known.min()).astype(int))) < 730:
        dates = np.arange(known.min(), later(known.max(), 2), np.timedelta64(max(1, days // 6), "D"))
        axes.set_xticks(decimal_year(dates), dates.astype(str))


def draw_record(
    axes: Any,
    record: xr.Dataset,
    fit: CurveFit | None,
    baseline: tuple[np.ndarray, np.ndarray] | None,
    t: dict[str, str],
) -> None:
    """Draw values by class, smooth curve, trend and baseline against decimal years."""
    year, value = decimal_year(record["time"].values), record["value"].values
    dense = record.sizes["time"] > 5000
    look = {"rejected": (RED, "x"), "not background": (GREY, "."), "background": (BLUE, ".")}
    for name, rows in _classes(record).items():
        if rows.any():
            colour, marker = look[name]
            size, alpha = (1.2, 0.35) if dense else (3.0, 0.7)
            label = f"{t[name]} ({int(rows.sum())})"
            axes.plot(
                year[rows],
                value[rows],
                marker,
                ms=size,
                mew=0.6,
                color=colour,
                alpha=alpha,
                label=label,
                rasterized=dense,
            )
    if fit is not None:
        axes.plot(fit.grid, fit.smooth(fit.grid), color="black", lw=0.9, label=t["smooth"], zorder=3)
        axes.plot(fit.grid, fit.trend(fit.grid), color=ORANGE, lw=1.6, label=t["trend"], zorder=4)
    if baseline is not None:
        x, y = baseline
        gaps = np.flatnonzero(np.diff(x) > 60.0 / 365.25) + 1  # no line where there is nothing to carry it
        axes.plot(
            np.insert(x, gaps, np.nan),
            np.insert(y, gaps, np.nan),
            color=GREEN,
            lw=1.2,
            label=t["baseline"],
            zorder=3,
        )
    good = value[_classes(record)["background"]]
    if good.size > 10:  # a few wild rejected values must not flatten the picture
        low, high = np.percentile(good, [0.1, 99.9])
        margin = 0.35 * (high - low)
        axes.set_ylim(max(np.nanmin(value), low - margin), min(np.nanmax(value), high + margin))
    date_axis(axes, record["time"].values)
    axes.set_ylabel(f"{formula(record.attrs['species'])} ({record.attrs['unit']})")
    axes.legend(loc="upper left", fontsize=8, markerscale=3 if dense else 1.5, framealpha=0.9)


def draw_growth(
    axes: Any, record: xr.Dataset, fit: CurveFit, ensemble: CurveEnsemble, t: dict[str, str]
) -> None:
    """Draw the growth rate with its band and the annual increases with their errors, and say what no record tells."""
    growth = fit.growth(fit.grid)
    axes.axhline(0, color="black", lw=0.5)
    axes.fill_between(
        fit.grid,
        growth - ensemble.growth,
        growth + ensemble.growth,
        color=ORANGE,
        alpha=0.25,
        lw=0,
        label=t["band"],
    )
    axes.plot(fit.grid, growth, color=ORANGE, lw=1.4, label=t["growth"])
    increase = fit.annual_increase()
    if increase:
        years = np.array(list(increase)) + 0.5
        sd = [ensemble.annual_increase.get(int(y), np.nan) for y in increase]
        axes.errorbar(
            years,
            list(increase.values()),
            sd,
            fmt="o",
            ms=3,
            lw=0.8,
            color=BLUE,
            label=t["increase"],
            zorder=3,
        )
    axes.set_ylabel(f"{t['growth']} ({record.attrs['unit']}{t['per year']})")
    low, high = axes.get_ylim()
    axes.set_ylim(low, high + 0.2 * (high - low))  # room for the legend
    axes.legend(loc="upper left", fontsize=8, ncol=3, framealpha=0.9)
    errors = errors_and_noise(fit)
    slow = {"growth": errors.year_long["growth"], "trend": errors.year_long["trend"]}
    axes.set_title(t["year-long"].format(stated=errors.stated["growth"], **slow), fontsize=7.5, loc="left")


def draw_season(axes: Any, record: xr.Dataset, fit: CurveFit, t: dict[str, str]) -> None:
    """Draw the detrended cycle of every year, their mean and their spread."""
    phase = np.linspace(0, 1, 73)
    first, last = int(np.ceil(fit.grid[0])), int(np.floor(fit.grid[-1]))
    cycles = np.array([fit.cycle(y + phase) for y in range(first, last)]).reshape(-1, phase.size)
    months = 12 * phase + 0.5
    for cycle in cycles:
        axes.plot(months, cycle, color=GREY, lw=0.5, alpha=0.7)
    if len(cycles):
        mean = cycles.mean(axis=0)
        if len(cycles) > 1:
            sd = cycles.std(axis=0, ddof=1)
            axes.fill_between(months, mean - sd, mean + sd, color=BLUE, alpha=0.2, lw=0, label=t["spread"])
        axes.plot(months, mean, color=BLUE, lw=1.8, label=t["curve"])
        axes.legend(loc="best", fontsize=8, framealpha=0.9)
    axes.axhline(0, color="black", lw=0.5)
    axes.set_xticks(range(1, 13))
    axes.set_xlim(0.5, 12.5)
    axes.set_xlabel(t["month"])
    axes.set_ylabel(f"{t['cycle']} ({record.attrs['unit']})")


def diurnal_cycle(
    record: xr.Dataset, months: tuple[int, ...] | None = None
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return mean and standard error, by hour of day in mean solar time, of valid values less their daily mean.

    Parameters
    ----------
    record : xarray.Dataset
        Layout of `stations.record.record`.
    months : tuple of int, optional
        Only these calendar months.

    Returns
    -------
    mean, error : ndarray, shape (24,)
        NaN in hours with fewer than 5 days.
    days : ndarray of int, shape (24,)
        How many.
    """
    from obsnet.times import year_month

    time, value = record["time"].values, record["value"].values
    classes = _classes(record)
    longitude = record["longitude"].values
    keep = (classes["background"] | classes["not background"]) & ~np.isnat(time) & np.isfinite(longitude)
    if months is not None:
        keep &= np.isin(year_month(time)[1], months)
    local = solar_hour(time[keep], longitude[keep])
    shift = np.round(longitude[keep] / 15.0 * 3600.0).astype("timedelta64[s]")
    day = (time[keep] + shift).astype("datetime64[D]").astype(np.int64)
    # One value an hour of a day, so that an hour of many minutes counts once.
    cell, member = np.unique(day * 24 + np.floor(local).astype(np.int64) % 24, return_inverse=True)
    hourly = np.bincount(member, value[keep]) / np.maximum(np.bincount(member), 1)
    _, number = np.unique(cell // 24, return_inverse=True)
    count = np.bincount(number)
    off = hourly - (np.bincount(number, hourly) / np.maximum(count, 1))[number]
    whole = count[number] >= 12  # days with half of their hours
    hour, off = cell[whole] % 24, off[whole]
    days = np.bincount(hour, minlength=24)
    with np.errstate(invalid="ignore", divide="ignore"):
        mean = np.bincount(hour, off, 24) / days
        variance = np.bincount(hour, off**2, 24) / days - mean**2
        error = np.sqrt(np.maximum(variance, 0.0) / days)
    mean[days < 5] = np.nan
    return mean, error, days


def draw_diurnal(axes: Any, record: xr.Dataset, t: dict[str, str]) -> None:
    """Draw the mean diurnal cycle of each season with twice its standard error."""
    hours = np.arange(24) + 0.5
    drawn = False
    for (name, months), colour in zip(SEASONS.items(), SEASON_COLOURS, strict=True):
        mean, error, _ = diurnal_cycle(record, months)
        if np.isfinite(mean).sum() >= 6:
            axes.fill_between(hours, mean - 2 * error, mean + 2 * error, color=colour, alpha=0.2, lw=0)
            axes.plot(hours, mean, color=colour, lw=1.4, label=t[name])
            drawn = True
    axes.axhline(0, color="black", lw=0.5)
    axes.set_xticks(range(0, 25, 3))
    axes.set_xlim(0, 24)
    axes.set_xlabel(t["hour"])
    axes.set_ylabel(f"{t['diurnal']} ({record.attrs['unit']})")
    if drawn:
        axes.legend(loc="best", fontsize=8, ncol=2, framealpha=0.9)
    else:
        axes.text(0.5, 0.6, t["no diurnal"], ha="center", va="center", transform=axes.transAxes, color="0.4")


def draw_flags(axes: Any, record: xr.Dataset, t: dict[str, str]) -> None:
    """Draw by year the share of rows to use and, for the rest, of each first reason."""
    import matplotlib as mpl

    year = np.floor(decimal_year(record["time"].values))
    quality = record["quality"].values
    known = np.isfinite(year)
    years = np.unique(year[known])
    counts = np.array([(year == y).sum() for y in years])
    shares = {t["use"]: np.array([((year == y) & (quality == 0)).sum() for y in years]) / counts}
    left = quality != 0
    for flag in Quality:
        mine = left & ((quality & np.uint32(flag)) != 0)
        left &= ~mine
        if mine.any():
            name = str(flag.name).lower()
            shares[FLAG_ZH[name] if t is TEXT["zh"] else name] = (
                np.array([((year == y) & mine).sum() for y in years]) / counts
            )
    palette = [BLUE, *mpl.colormaps["tab20"](np.arange(2, 20))]
    bottom = np.zeros(years.size)
    for colour, (name, share) in zip(palette, shares.items(), strict=False):
        axes.bar(years + 0.5, share, bottom=bottom, width=0.9, color=colour, label=name, alpha=0.85)
        bottom += share
    axes.set_ylim(0, 1)
    if years.size < 8:
        axes.set_xticks(years + 0.5, [f"{y:.0f}" for y in years])
    axes.set_ylabel(t["flags"])
    axes.legend(loc="lower left", fontsize=8, ncol=min(len(shares), 5), framealpha=0.9)
