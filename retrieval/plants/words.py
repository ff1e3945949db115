"""Words of the plant card in English and Chinese."""

from __future__ import annotations

from obsnet.language import Language, Words

__all__ = ["BY", "say"]

BY = {
    "satellite": Words("satellite", "卫星"),
    "stack": Words("stack monitors", "烟气监测"),
    "fuel": Words("fuel accounting", "燃料核算"),
}
_WORDS = {
    "title": Words("Plant card: {name}", "电厂档案：{name}"),
    "sub": Words("CO₂ · rates by {method} · {n} overpasses", "CO₂ · 方法 {method} · {n} 次过境"),
    "place": Words("Place", "位置"),
    "region": Words("Province or region", "省份或地区"),
    "capacity": Words("Capacity, MW", "装机容量，MW"),
    "stack_name": Words("In the stack record", "监测记录中的名称"),
    "units": Words("Units added up", "合计机组（排放口）"),
    "summary": Words("Summary", "摘要"),
    "picture": Words("Picture", "图示"),
    "caption": Words(
        "Above: rates of overpasses with 95 % intervals, stacks in the window of each; a bar with an "
        "arrow is a limit of "
        "detection, no rate. Below: rates against stacks with 95 % of both, and the year's totals.",
        "上：各次过境速率及 95 % 区间，与其时间窗内的烟气监测；带箭头者为检出限，并非速率。"
        "下：速率与烟气监测对比（均为 95 %）及年总量。",
    ),
    "overpasses": Words("Overpasses", "过境"),
    "methods": Words("All methods side by side", "各方法结果"),
    "methods_text": Words(
        "They share pixels and wind: their spread is no error of a mean, and no mean is taken.",
        "各方法共用像元与风场：其离散并非均值误差，亦不取平均。",
    ),
    "agreement": Words("Agreement with the stacks", "与烟气监测的一致性"),
    "totals": Words("The year {year}", "{year} 年"),
    "fuel": Words("Fuel accounting", "燃料核算"),
    "notes": Words("What was chosen, and what to know", "所作选择与须知"),
    "time": Words("time, UTC", "时间（UTC）"),
    "rate": Words("rate, kg s⁻¹", "速率，kg s⁻¹"),
    "interval": Words("95 % interval", "95 % 区间"),
    "errors": Words(
        "standard errors: wind, background, noise, method, conversion", "标准误差：风、背景、噪声、方法、换算"
    ),
    "limit": Words("limit of detection", "检出限"),
    "wind": Words("wind, m s⁻¹", "风速，m s⁻¹"),
    "window": Words("emitted", "排放时段"),
    "stack": Words("stacks, kg s⁻¹", "烟气监测，kg s⁻¹"),
    "substituted": Words("not measured", "非实测份额"),
    "e_n": Words("E_n", "E_n"),
    "why": Words("reasons against a rate", "剔除原因"),
    "below": Words("below what can be seen: limit {limit}", "低于可见水平：检出限 {limit}"),
    "rejected": Words("no rate", "无速率"),
    "method": Words("method", "方法"),
    "scene": Words("scene", "影像"),
    "what": Words("statistic", "统计量"),
    "value": Words("value", "数值"),
    "york": Words("slope, each with its own errors (York)", "斜率，逐点误差（York）"),
    "york_intercept": Words("intercept (York), kg s⁻¹", "截距（York），kg s⁻¹"),
    "chi": Words("χ² of the line, by n − 2", "拟合 χ²，除以 n − 2"),
    "deming": Words("slope, errors of ratio {ratio} (Deming)", "斜率，误差方差比 {ratio}（Deming）"),
    "bias": Words("mean difference, kg s⁻¹", "平均差，kg s⁻¹"),
    "loa": Words("limits of agreement, kg s⁻¹ (intervals of each)", "一致性界限，kg s⁻¹（括号内为各自区间）"),
    "median": Words("median ratio to the stacks", "与监测之比的中位数"),
    "within": Words("|E_n| ≤ 1", "|E_n| ≤ 1"),
    "hold": Words("95 % intervals that hold the stacks", "95 % 区间包含监测值"),
    "no_line": Words("no line", "无法回归"),
    "by": Words("by", "来源"),
    "mt": Words("Mt CO₂", "Mt CO₂"),
    "error": Words("standard error", "标准误差"),
    "against": Words("E_n against the others", "与其他来源的 E_n"),
    "fuel_item": Words("fuel or process", "燃料或过程"),
    "amount": Words("amount", "数量"),
    "factor": Words("factor", "因子"),
    "tier": Words("tier", "层级"),
    "emission": Words("t CO₂", "t CO₂"),
    "source": Words("source", "出处"),
    "sum_total": Words(
        "{by}: {value} Mt in {year}, 95 % from {low} to {high}.",
        "{by}：{year} 年 {value} Mt，95 % 区间 {low} 至 {high}。",
    ),
    "sum_parts": Words(
        "Of the satellite's error {random} Mt are of the rates, {sampling} Mt of having {n} snapshots "
        "only, {common} Mt common to all.",
        "卫星误差中速率本身 {random} Mt，仅有 {n} 次快照的抽样 {sampling} Mt，共同误差 {common} Mt。",
    ),
    "sum_rates": Words(
        "{used} of {all} overpasses have a rate, {below} are below what can be seen, {rest} say nothing.",
        "{all} 次过境中 {used} 次有速率，{below} 次低于可见水平，{rest} 次无信息。",
    ),
    "sum_agree": Words(
        "Against the stacks: mean difference {bias} kg s⁻¹ ({low} to {high}), {inside} of {n} within |E_n| ≤ 1.",
        "与烟气监测相比：平均差 {bias} kg s⁻¹（{low} 至 {high}），{n} 次中 {inside} 次 |E_n| ≤ 1。",
    ),
    "p_title": Words("Planned plant: {name}", "拟建电厂：{name}"),
    "p_sub": Words("CO₂ · {rate} kg s⁻¹ · what could be seen", "CO₂ · {rate} kg s⁻¹ · 能否看到"),
    "p_caption": Words(
        "Largest increment of a pixel by wind, and a pixel's error; numbers are the smallest rate, kg s⁻¹, that "
        "the whole plume would show.",
        "各风速下单个像元的最大增量与像元误差；数字为整条羽流可显示的最小速率（kg s⁻¹）。",
    ),
    "p_caption_stations": Words(
        "Left: {images} Right: smallest steady rate that a station's observations would show, and the plant's.",
        "左：{images}右：各站观测可显示的最小稳定速率与该厂速率。",
    ),
    "p_images": Words("From space, by wind", "卫星：按风速"),
    "p_stations": Words("Stations, by their footprints", "站点：按足迹"),
    "p_stations_text": Words(
        "Footprints of {model}; the emission is spread over a cell of {km} km. One observation is known to {error} "
        "ppm, the same error all day (assumed); days and stations are independent.",
        "足迹来自 {model}；排放在边长 {km} km 的网格内均匀分布。单次观测误差 {error} ppm，"
        "同一天内误差相同（假定），不同日期与站点相互独立。",
    ),
    "p_emission": Words("Emission, kg s⁻¹", "排放，kg s⁻¹"),
    "p_wind": Words("wind, m s⁻¹", "风速，m s⁻¹"),
    "p_largest": Words("largest increment, ppm", "最大增量，ppm"),
    "p_at": Words("at km", "距离，km"),
    "p_error": Words("error, ppm", "误差，ppm"),
    "p_limit": Words("limit, kg s⁻¹", "检出限，kg s⁻¹"),
    "p_said": Words("verdict", "结论"),
    "p_found": Words("found / rate / scenes", "检出 / 有速率 / 影像数"),
    "p_station": Words("station", "站点"),
    "p_observations": Words("observations (days)", "观测数（天数）"),
    "p_mean": Words("mean increment, ppm", "平均增量，ppm"),
    "p_above": Words("observations above error", "高于误差的观测"),
    "p_all": Words("all together", "全部站点"),
    "p_never": Words("none: no footprint reaches it", "无：足迹未及"),
    "below error": Words("below error", "低于误差"),
    "at the edge": Words("at the edge", "处于边缘"),
    "above error": Words("above error", "高于误差"),
    "p_sum_images": Words(
        "In a wind of {wind} m s⁻¹: {verdict}; largest pixel {largest} ppm beside an error of {error} ppm, the plume's "
        "limit {limit} kg s⁻¹{scenes}.",
        "风速 {wind} m s⁻¹：{verdict}；最大像元 {largest} ppm，误差 {error} ppm，羽流检出限 {limit} kg s⁻¹{scenes}。",
    ),
    "p_sum_scenes": Words(
        "; found in {found}, a rate in {accepted} of {scenes} scenes",
        "；{scenes} 景中检出 {found}，有速率 {accepted}",
    ),
    "p_sum_stations": Words(
        "{n} stations together: {verdict}; limit {limit} kg s⁻¹; best is {best}, {best_limit} kg s⁻¹.",
        "{n} 个站点合计：{verdict}；检出限 {limit} kg s⁻¹；最佳为 {best}，{best_limit} kg s⁻¹。",
    ),
    "p_note_scenes": Words(
        "made-up scenes stand near sea level, without clouds beyond a tenth, wind known to 1 m s-1",
        "模拟影像位于海平面附近，云量不超过一成，风速误差 1 m s⁻¹",
    ),
    "p_note_cell": Words(
        "a station within a cell or two of the plant sees its plume or misses it; a cell's mean tells neither",
        "距电厂一两个网格以内的站点或正对羽流、或完全错过，网格平均两者都不能反映",
    ),
    "p_note_background": Words(
        "limits are those of an emission whose background and other fluxes are known to the stated error",
        "检出限以背景及其他通量的误差已包含在所给误差之内为前提",
    ),
    "axis_rate": Words("rate, kg s⁻¹", "速率，kg s⁻¹"),
    "axis_stack": Words("stacks, kg s⁻¹", "烟气监测，kg s⁻¹"),
    "axis_mt": Words("Mt CO₂ in {year}", "{year} 年 Mt CO₂"),
    "key_sat": Words("satellite, 95 %", "卫星，95 %"),
    "key_stack": Words("stacks in its window, 95 %", "时间窗内烟气监测，95 %"),
    "key_limit": Words("limit of detection, no rate", "检出限，无速率"),
    "key_one": Words("one to one", "1:1"),
    "key_line": Words("line (York)", "回归线（York）"),
}


def say(key: str, language: Language, **values: object) -> str:
    """Return the words of a key with what stands in braces filled in."""
    return _WORDS[key].said(language).format(**values)
