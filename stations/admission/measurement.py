"""Admission criteria on the measurement: scale, standards, calibrations, repeatability, bias, agreement."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from pydantic import Field

from obsnet.config import Options
from stations.admission.base import Applicant, NotTestable, Outcome, PerSpecies, number_of, verdict_of
from stations.admission.chinese import in_chinese
from stations.admission.second_record import SAME_PLACE_KM, apart_km, around, copied, pairs, shows_shifts
from stations.record.scale_names import canonical_scale

__all__ = [
    "CalibrationOptions",
    "CompareOptions",
    "RepeatabilityOptions",
    "ScaleOptions",
    "StandardsOptions",
    "StatedUncertaintyOptions",
    "TargetOptions",
    "calibration_interval",
    "comparison",
    "repeatability",
    "scale",
    "standards",
    "target_bias",
    "uncertainty",
]


class ScaleOptions(Options):
    """``scale``: the record is on one of these calibration scales."""

    allowed: dict[str, tuple[str, ...]]


def scale(a: Applicant, o: ScaleOptions) -> Outcome:
    """Judge the calibration scale."""
    if a.species not in o.allowed:
        raise NotTestable(f"the requirements name no scale of {a.species}", f"要求中未列{a.species}的标尺")
    allowed = [canonical_scale(s, a.species) for s in o.allowed[a.species]]
    found = str(a.record.attrs.get("scale", "unknown"))
    limit = " / ".join(allowed)
    ok = found in allowed
    return Outcome(
        verdict_of(ok),
        found,
        limit,
        "on an accepted scale"
        if ok
        else f"{found!r} is not accepted; convert with obsnet station scale, or state it",
        "标尺符合要求" if ok else f"标尺“{found}”不在接受之列,请换算(obsnet station scale)或注明",
        [{"file": str(a.record.attrs.get("path", "")), "scale": found, "passes": ok}],
    )


class StandardsOptions(Options):
    """``standards``: enough standard gases of sufficient grade, recently calibrated, around the ambient range."""

    minimum: int = Field(3, ge=1)
    grades: tuple[str, ...] = Field(min_length=1)
    maximum_age_years: float = Field(gt=0)
    bracket: bool = Field(
        True, description="lowest and highest standard enclose 5 to 95 % of the valid values"
    )


def standards(a: Applicant, o: StandardsOptions) -> Outcome:
    """Judge number, grade, age and range of the standard gases; a cylinder counts once, its best calibration."""
    limit = f"≥ {o.minimum} of grade {', '.join(o.grades)}, ≤ {o.maximum_age_years:g} yr"
    grades_zh = "、".join(map(in_chinese, o.grades))
    limit_zh = f"≥ {o.minimum}瓶,等级为{grades_zh},标定不超过{o.maximum_age_years:g}年"
    stated = a.dossier.get("standards")
    if not stated:
        raise NotTestable("the dossier lists no standards", "台站材料未列标准气", limit, limit_zh)
    rows = [_standard(gas, a.last, o) for gas in stated]
    cylinders = [_cylinder(str(r["name"])) for r in rows]
    for k, row in enumerate(rows):  # of one cylinder the first listing that passes counts
        if row["passes"] and any(
            r["passes"] and c == cylinders[k] for r, c in zip(rows[:k], cylinders[:k], strict=True)
        ):
            row.update(note="listed before", passes=False)
    number, distinct = sum(bool(r["passes"]) for r in rows), len(set(cylinders))
    problems, problems_zh = [], []
    if number < o.minimum:
        problems.append(f"{number} of {distinct} standards have grade and date")
        problems_zh.append(f"{distinct}瓶标准气中只有{number}瓶等级和标定日期符合要求")
    valid = a.record["value"].values[a.valid()]
    values = [r["value"] for r in rows if r["passes"] and np.isfinite(r["value"])]
    if o.bracket and valid.size and len(values) >= 2:
        low, high = np.percentile(valid, [5, 95])
        if min(values) > low or max(values) < high:
            problems.append(
                f"standards span {min(values):g} to {max(values):g}, the air {low:.1f} to {high:.1f} {a.unit}"
            )
            problems_zh.append(
                f"标准气范围{min(values):g}–{max(values):g}未覆盖大气浓度{low:.1f}–{high:.1f} {a.unit}"
            )
    return Outcome(
        verdict_of(not problems),
        f"{number} of {distinct}",
        limit,
        "; ".join(problems) or "enough standards of sufficient grade",
        ";".join(problems_zh) or "标准气数量和等级符合要求",
        rows,
        found_zh=f"{distinct}瓶中{number}瓶",
        limit_zh=limit_zh,
    )


def _cylinder(name: str) -> str:
    """Return a cylinder's name without what people write differently: case, width, blanks, dashes, zeros, remarks."""
    plain = unicodedata.normalize("NFKC", name).casefold()
    plain = re.sub(r"\(.*?\)|^\W*(?:no|nr)[.:\s]+|钢瓶|气瓶|瓶号|编号", "", plain)
    return re.sub(r"(?<!\d)0+(?=\d)", "", "".join(c for c in plain if c.isalnum()))


def _standard(gas: Mapping[str, Any], last: np.datetime64, o: StandardsOptions) -> dict[str, Any]:
    """Return the row of one standard, with the reason why it does not count."""
    calibrated = np.datetime64(str(gas.get("calibrated", "NaT")), "D")
    age = float((last.astype("datetime64[D]") - calibrated) / np.timedelta64(1, "D")) / 365.25
    grade = str(gas.get("grade", ""))
    reasons = {
        "grade": grade not in o.grades,
        "no date": np.isnat(calibrated),
        "calibrated after the data": age < 0,
        "too old": age > o.maximum_age_years,
    }
    note = next((word for word, applies in reasons.items() if applies), "")
    return {
        "name": str(gas.get("name", "")),
        "grade": grade,
        "value": float(gas.get("value", np.nan)),
        "calibrated": str(calibrated),
        "age_years": age,
        "note": note,
        "passes": not note and bool(np.isfinite(age)),
    }


class RepeatabilityOptions(Options):
    """``repeatability``: median of a repeatability variable, or of the target runs' standard deviation."""

    maximum: PerSpecies
    variables: tuple[str, ...] = ("repeatability", "icos_cmr", "icos_smr", "icos_ltr", "cmr", "smr", "ltr")


def repeatability(a: Applicant, o: RepeatabilityOptions) -> Outcome:
    """Judge the median repeatability; target runs count before variables of the record."""
    number = number_of(a, o.maximum)
    limit = f"≤ {number:g} {a.unit}"
    rows: list[dict[str, Any]] = []
    runs, _ = a.runs()
    own, foreign = a.record["value"].attrs.get("units"), list[str]()
    if np.isfinite(runs["sd"]).any():
        rows.append(
            {
                "source": "target runs",
                "rows": int(np.isfinite(runs["sd"]).sum()),
                "median": float(np.nanmedian(runs["sd"])),
            }
        )
    for name in o.variables:
        if name in a.record:
            unit = a.record[name].attrs.get("units", own)
            if unit != own:
                foreign.append(f"{name} in {unit}")
                continue
            values = a.record[name].values[a.valid()].astype(np.float64)
            values = values[values > 0]  # no instrument is perfect: 0 stands for nothing
            if values.size:
                rows.append({"source": name, "rows": int(values.size), "median": float(np.median(values))})
    if not rows:
        lost = f": {', '.join(foreign)} is not in the unit of the value" if foreign else ""
        lost_zh = f":{'、'.join(foreign)}与数值单位不同" if foreign else ""
        raise NotTestable(
            f"no repeatability in the record and no target runs{lost}",
            f"没有重复性数据或目标气数据{lost_zh}",
            limit,
        )
    for row in rows:
        row["passes"] = row["median"] <= number
    first = rows[0]
    return Outcome(
        verdict_of(bool(first["passes"])),
        f"{first['median']:.3g} {a.unit}",
        limit,
        f"median of {first['rows']} values of {first['source']}",
        f"{in_chinese(first['source'])}的{first['rows']}个数值的中位数",
        rows,
    )


class TargetOptions(Options):
    """``target_bias``: share of target runs within the goal, and their mean bias within it."""

    goal: PerSpecies
    minimum_share: float = Field(0.95, gt=0, le=1)
    minimum_runs: int = Field(10, ge=1)


def target_bias(a: Applicant, o: TargetOptions) -> Outcome:
    """Judge the bias of the target tank, run by run and in the mean."""
    number = number_of(a, o.goal)
    limit = f"|bias| ≤ {number:g} {a.unit} in ≥ {o.minimum_share:.0%}"
    limit_zh = f"≥ {o.minimum_share:.0%}的|偏差| ≤ {number:g} {a.unit}"
    runs, idle = a.runs()
    runs = runs[np.isfinite(runs["bias"])]
    more = f"; {idle} outside the days of the data, or listed twice, do not count" if idle else ""
    more_zh = f";不在资料时段内或重复列出的{idle}次不计" if idle else ""
    if runs.size < o.minimum_runs:
        raise NotTestable(
            f"{runs.size} target runs, {o.minimum_runs} are needed{more}",
            f"目标气测量{runs.size}次,至少需要{o.minimum_runs}次{more_zh}",
            limit,
            limit_zh,
        )
    inside = np.abs(runs["bias"]) <= number
    mean, share = float(runs["bias"].mean()), float(inside.mean())
    rows = [{"time": str(r["time"])[:19], "bias": float(r["bias"])} for r in runs[~inside]]
    ok = share >= o.minimum_share and abs(mean) <= number
    return Outcome(
        verdict_of(ok),
        f"mean {mean:+.3g} {a.unit}, {share:.0%} inside",
        limit,
        f"{int((~inside).sum())} of {runs.size} target runs are off by more than the goal{more}",
        f"{runs.size}次目标气测量中有{int((~inside).sum())}次偏差超过目标{more_zh}",
        rows,
        found_zh=f"平均{mean:+.3g} {a.unit},{share:.0%}在目标内",
        limit_zh=limit_zh,
    )


class CompareOptions(Options):
    """``comparison``: median difference from a second record of the same air."""

    goal: PerSpecies
    minimum_pairs: int = Field(20, ge=1)
    tolerance_minutes: float = Field(31.0, gt=0)


def comparison(a: Applicant, o: CompareOptions) -> Outcome:
    """Judge the median difference from a second record at the same times."""
    number = number_of(a, o.goal)
    limit, limit_zh = f"|median| ≤ {number:g} {a.unit}", f"|中位差| ≤ {number:g} {a.unit}"
    if a.comparison is None:
        raise NotTestable("no second record was given", "未提供比对记录", limit, limit_zh)
    if a.comparison.attrs.get("scale") != a.record.attrs.get("scale"):
        raise NotTestable(
            f"the second record is on {a.comparison.attrs.get('scale')!r}",
            "比对记录的标尺不同,请先换算",
            limit,
            limit_zh,
        )
    apart = apart_km(a.record, a.comparison)
    if apart > SAME_PLACE_KM:
        raise NotTestable(
            f"the second record is of a place {apart:.0f} km away",
            f"比对记录的地点相距{apart:.0f} km",
            limit,
            limit_zh,
        )
    value, reference, when = pairs(a.record, a.comparison, o.tolerance_minutes)
    if value.size < o.minimum_pairs:
        n = value.size
        raise NotTestable(
            f"{n} pairs, {o.minimum_pairs} are needed",
            f"只有{n}对数据,至少需要{o.minimum_pairs}对",
            limit,
            limit_zh,
        )
    off = value - reference
    near = around(a.record, when, o.tolerance_minutes)
    same = copied(value, reference, near)
    if same:
        raise NotTestable(
            f"the second record holds the station's own values ({same} of {off.size} pairs are equal), as they are, "
            "averaged, moved, shifted in time or rounded",
            f"比对记录即台站自身数据({off.size}对中有{same}对完全相同),或由其平均、平移、错时、舍入而来",
            limit,
            limit_zh,
        )
    file = Path(str(a.comparison.attrs.get("path", ""))).name or str(
        a.comparison.attrs.get("source", "record")
    )
    median = float(np.median(off))
    scatter = 1.4826 * float(np.median(np.abs(off - median)))
    sd = float(1.2533 * off.std(ddof=1) / np.sqrt(off.size))  # of a median of normal values
    shifts, shifts_zh = ("shifted by up to two intervals", "错时(至多两个时段)")
    if not shows_shifts(near):
        shifts, shifts_zh = ("(shifts in time: too few pairs to tell)", "(对数不足,错时未检验)")
    worst = np.argsort(-np.abs(off))[:20]
    rows = [
        {
            "time": str(when[k])[:19],
            "station": float(value[k]),
            "reference": float(reference[k]),
            "difference": float(off[k]),
        }
        for k in worst
    ]
    return Outcome(
        verdict_of(abs(median) <= number),
        f"{median:+.3g} ± {sd:.2g} {a.unit}",
        limit,
        f"median of {off.size} pairs with {file}, whose differences scatter by {scatter:.2g} {a.unit}; the 20 largest "
        f"are listed; it is no copy of the station's values as they are, averaged, moved, scaled, {shifts} or rounded; "
        "a copy with noise added cannot be told from a second analyser",
        f"与{file}的{off.size}对数据的中位差,差值离散{scatter:.2g} {a.unit};列出最大的20个;已检验其并非台站数据的原样、"
        f"平均、平移、缩放、{shifts_zh}或舍入的副本;加入噪声的副本无法与第二台仪器区分",
        rows,
        limit_zh=limit_zh,
    )


class CalibrationOptions(Options):
    """``calibration_interval``: the longest pause between calibrations stated in the dossier."""

    maximum_days: float = Field(gt=0)


def calibration_interval(a: Applicant, o: CalibrationOptions) -> Outcome:
    """Judge the longest pause between calibrations that serve the record: from the last before it to its end."""
    limit, limit_zh = f"≤ {o.maximum_days:g} days", f"≤ {o.maximum_days:g}天"
    dates = np.sort(np.array([str(d) for d in a.dossier.get("calibrations", [])], dtype="datetime64[D]"))
    time = a.record["time"].values
    time = time[~np.isnat(time)].astype("datetime64[D]")
    late = dates[dates > time[-1:]] if time.size else dates[:0]
    dates = dates[: dates.size - late.size]
    if dates.size < 2 or time.size == 0:
        raise NotTestable(
            "the dossier lists fewer than two calibrations up to the end of the data",
            "台站材料所列至资料结束的标定不足两次",
            limit,
            limit_zh,
        )
    before = dates[dates <= time[0]]
    start = before[-1:] if before.size else time[:1]
    edges = np.unique(np.concatenate([start, dates[dates > time[0]], time[-1:]]))
    gaps = np.diff(edges).astype(np.int64)
    rows = [
        {"from": str(low), "to": str(high), "days": int(g), "passes": bool(g <= o.maximum_days)}
        for low, high, g in zip(edges[:-1], edges[1:], gaps, strict=True)
    ]
    long = [r for r in rows if not r["passes"]]
    return Outcome(
        verdict_of(not long),
        f"{int(gaps.max()) if gaps.size else 0} days",
        limit,
        f"{len(long)} of {len(rows)} intervals are too long"
        + (f"; {late.size} dates after the data do not count" if late.size else ""),
        f"{len(rows)}个标定间隔中有{len(long)}个过长"
        + (f";资料结束后的{late.size}个日期不计" if late.size else ""),
        long or rows[:20],
        found_zh=f"{int(gaps.max()) if gaps.size else 0}天",
        limit_zh=limit_zh,
    )


class StatedUncertaintyOptions(Options):
    """``uncertainty``: median stated uncertainty, random and systematic together."""

    maximum: PerSpecies


def uncertainty(a: Applicant, o: StatedUncertaintyOptions) -> Outcome:
    """Judge the median stated uncertainty."""
    number = number_of(a, o.maximum)
    limit = f"≤ {number:g} {a.unit}"
    name = "uncertainty_measurement" if "uncertainty_measurement" in a.record else "uncertainty"
    random = a.record[name].values[a.valid()]
    if not np.isfinite(random).any():
        raise NotTestable("no row states an uncertainty", "没有给出不确定度", limit)
    systematic = np.zeros(random.size)
    if "uncertainty_systematic" in a.record:
        systematic = np.nan_to_num(a.record["uncertainty_systematic"].values[a.valid()])
    total = np.hypot(random, systematic)
    median = float(np.nanmedian(total))
    rows = [
        {"part": name, "median": float(np.nanmedian(random)), "rows": int(np.isfinite(random).sum())},
        {
            "part": "uncertainty_systematic",
            "median": float(np.median(systematic)),
            "rows": int(systematic.size),
        },
    ]
    return Outcome(
        verdict_of(median <= number),
        f"{median:.3g} {a.unit}",
        limit,
        f"median of {int(np.isfinite(total).sum())} rows",
        f"{int(np.isfinite(total).sum())}行的中位数",
        rows,
    )
