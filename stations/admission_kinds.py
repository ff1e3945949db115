"""The kinds of admission criterion: what each measures, against what, and the rows behind the verdict.

A kind is an `Options` model and a function that returns an `Outcome`. Nothing that cannot be measured passes: it is
``not testable``, with what is missing.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np
import xarray as xr
from pydantic import Field

from obsnet.config import Options
from obsnet.schema import Quality
from stations.scale_names import canonical_scale

__all__ = ["KINDS", "Applicant", "Kind", "Outcome"]

PerSpecies = float | dict[str, float]
Verdict = Literal["pass", "fail", "not testable"]
VALID = np.uint32(~int(Quality.SELECTION | Quality.HOURS) & 0xFFFFFFFF)  # bits that make a row invalid


@dataclass(frozen=True)
class Applicant:
    """All that is known of a station that applies.

    Attributes
    ----------
    name : str
        Of the station.
    record : xarray.Dataset
        Layout of `stations.record`.
    dossier : mapping
        What the station states: ``standards, calibrations, responsible, ...``.
    targets : ndarray, optional
        Structured ``time, bias, sd`` of target-tank runs.
    comparison : xarray.Dataset, optional
        A second record of the same air (flasks beside the analyser, a travelling instrument).
    """

    name: str
    record: xr.Dataset
    dossier: Mapping[str, Any] = field(default_factory=dict)
    targets: np.ndarray | None = None
    comparison: xr.Dataset | None = None

    @property
    def species(self) -> str:
        """Formula."""
        return str(self.record.attrs["species"])

    @property
    def unit(self) -> str:
        """Unit of the values."""
        return str(self.record.attrs["unit"])

    def valid(self) -> np.ndarray:
        """Return rows with a value that nobody rejected; background or not does not matter."""
        return ((self.record["quality"].values & VALID) == 0) & np.isfinite(self.record["value"].values)


@dataclass(frozen=True)
class Outcome:
    """What a criterion found.

    Attributes
    ----------
    verdict : str
        ``pass``, ``fail`` or ``not testable``.
    found, limit : str
        For people, with units.
    reason, reason_zh : str
        Why, in English and Chinese.
    rows : list of dict
        The rows behind it.
    """

    verdict: Verdict
    found: str
    limit: str
    reason: str
    reason_zh: str
    rows: list[dict[str, Any]] = field(default_factory=list)


def _untestable(missing: str, missing_zh: str, limit: str = "") -> Outcome:
    return Outcome("not testable", "", limit, f"cannot be judged: {missing}", f"无法判定:{missing_zh}")


def _limit(applicant: Applicant, number: PerSpecies) -> float | None:
    return number.get(applicant.species) if isinstance(number, dict) else float(number)


def _verdict(ok: bool) -> Verdict:
    return "pass" if ok else "fail"


class CoverageOptions(Options):
    """``coverage``: share of the expected intervals that hold valid data, in every calendar year or as a whole."""

    minimum: float = Field(gt=0, le=1)
    per: Literal["year", "record"] = "year"


def _coverage(a: Applicant, o: CoverageOptions) -> Outcome:
    limit = f"≥ {o.minimum:.0%}"
    seconds = a.record.attrs.get("interval_seconds")
    if not seconds:
        return _untestable("the record has no constant averaging interval", "记录没有固定的平均时段", limit)
    start = a.record["time_start"].values
    known = ~np.isnat(start)
    if not known.any():
        return _untestable("no row has a time", "没有有效时间", limit)
    valid = a.valid() & known
    step = np.timedelta64(round(float(seconds)), "s")
    first, last = start[known].min(), start[known].max() + step
    if o.per == "record":
        edges = np.array([first, last])
    else:
        years = np.arange(first.astype("datetime64[Y]"), last.astype("datetime64[Y]") + 2)
        edges = np.clip(years.astype("datetime64[ns]"), first, last)
        edges = np.unique(edges)
    rows: list[dict[str, Any]] = []
    for low, high in itertools.pairwise(edges):
        inside = np.unique(start[valid & (start >= low) & (start < high)])
        expected = max(int(np.ceil((high - low) / step)), 1)
        rows.append({
            "period": f"{str(low)[:10]} to {str(high)[:10]}",
            "expected": expected,
            "valid": int(inside.size),
            "coverage": inside.size / expected,
            "passes": bool(inside.size / expected >= o.minimum),
        })  # fmt: skip
    poor = [r for r in rows if not r["passes"]]
    least = min(r["coverage"] for r in rows)
    return Outcome(
        _verdict(not poor),
        f"{least:.1%}",
        limit,
        f"{len(poor)} of {len(rows)} periods below the limit; the least has {least:.1%}",
        f"{len(rows)}个时段中有{len(poor)}个低于要求,最低为{least:.1%}",
        rows,
    )


class SpanOptions(Options):
    """``span``: at least so many months with valid data, in a row."""

    months: int = Field(ge=1)


def _span(a: Applicant, o: SpanOptions) -> Outcome:
    limit = f"≥ {o.months} months"
    time = a.record["time"].values[a.valid() & ~np.isnat(a.record["time"].values)]
    if time.size == 0:
        return _untestable("there are no valid rows", "没有有效数据", limit)
    months = np.unique(time.astype("datetime64[M]").astype(np.int64))
    runs = np.split(months, np.flatnonzero(np.diff(months) > 1) + 1)
    longest = max(runs, key=len)
    rows = [
        {
            "from": str(np.datetime64(int(r[0]), "M")),
            "to": str(np.datetime64(int(r[-1]), "M")),
            "months": len(r),
        }
        for r in runs
    ]
    return Outcome(
        _verdict(len(longest) >= o.months),
        f"{len(longest)} months",
        limit,
        f"the longest run of months with data has {len(longest)}",
        f"最长连续有数据月份为{len(longest)}个月",
        rows,
    )


class MetadataOptions(Options):
    """``metadata``: what a record must say: attributes, and variables that are finite somewhere."""

    attributes: tuple[str, ...] = ("site", "species", "unit", "scale")
    variables: tuple[str, ...] = ("latitude", "longitude", "altitude_m", "intake_height_m")
    stated: tuple[str, ...] = Field((), description="keys the dossier must have")


def _metadata(a: Applicant, o: MetadataOptions) -> Outcome:
    rows: list[dict[str, Any]] = []
    for name in o.attributes:
        value = str(a.record.attrs.get(name, "")).strip()
        rows.append({"item": name, "found": value, "passes": value.lower() not in {"", "unknown"}})
    for name in o.variables:
        values = a.record[name].values if name in a.record else np.array([np.nan])
        have = np.isfinite(values).any()
        rows.append(
            {"item": name, "found": f"{np.nanmedian(values):g}" if have else "", "passes": bool(have)}
        )
    for name in o.stated:
        value = str(a.dossier.get(name, "")).strip()
        rows.append({"item": name, "found": value, "passes": value != ""})
    missing = [str(r["item"]) for r in rows if not r["passes"]]
    return Outcome(
        _verdict(not missing),
        f"{len(rows) - len(missing)} of {len(rows)}",
        f"{len(rows)} of {len(rows)}",
        f"missing: {', '.join(missing)}" if missing else "all there",
        f"缺少:{'、'.join(missing)}" if missing else "齐全",
        rows,
    )


class ScaleOptions(Options):
    """``scale``: the record is on one of these calibration scales."""

    allowed: dict[str, tuple[str, ...]]


def _scale(a: Applicant, o: ScaleOptions) -> Outcome:
    if a.species not in o.allowed:
        return _untestable(f"the requirements name no scale of {a.species}", f"要求中未列{a.species}的标尺")
    allowed = [canonical_scale(s, a.species) for s in o.allowed[a.species]]
    found = str(a.record.attrs.get("scale", "unknown"))
    limit = " / ".join(allowed)
    ok = found in allowed
    return Outcome(
        _verdict(ok),
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


def _standards(a: Applicant, o: StandardsOptions) -> Outcome:
    limit = f"≥ {o.minimum} of grade {'/'.join(o.grades)}, ≤ {o.maximum_age_years:g} yr"
    stated = a.dossier.get("standards")
    if not stated:
        return _untestable("the dossier lists no standards", "台站材料未列标准气", limit)
    end = a.record["time_end"].values
    last = (
        np.nanmax(end[~np.isnat(end)].astype("datetime64[s]").astype(np.float64))
        if (~np.isnat(end)).any()
        else np.nan
    )
    rows = []
    for gas in stated:
        calibrated = np.datetime64(str(gas.get("calibrated", "NaT")), "s")
        age = (
            (last - calibrated.astype(np.float64)) / (365.25 * 86400) if not np.isnat(calibrated) else np.nan
        )
        grade = str(gas.get("grade", ""))
        good = grade in o.grades and bool(age <= o.maximum_age_years)
        rows.append({
            "name": str(gas.get("name", "")),
            "grade": grade,
            "value": float(gas.get("value", np.nan)),
            "calibrated": str(calibrated)[:10],
            "age_years": float(age),
            "passes": good,
        })  # fmt: skip
    good_rows = [r for r in rows if r["passes"]]
    problems, problems_zh = [], []
    if len(good_rows) < o.minimum:
        problems.append(f"{len(good_rows)} of {len(rows)} standards have grade and date")
        problems_zh.append(f"{len(rows)}瓶标准气中只有{len(good_rows)}瓶等级和有效期符合要求")
    valid = a.record["value"].values[a.valid()]
    values = [float(str(r["value"])) for r in good_rows if np.isfinite(float(str(r["value"])))]
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
        _verdict(not problems),
        f"{len(good_rows)} of {len(rows)}",
        limit,
        "; ".join(problems) or "enough standards of sufficient grade",
        ";".join(problems_zh) or "标准气数量和等级符合要求",
        rows,
    )


class RepeatabilityOptions(Options):
    """``repeatability``: median of a repeatability variable, or of the target runs' standard deviation."""

    maximum: PerSpecies
    variables: tuple[str, ...] = ("repeatability", "icos_cmr", "icos_ltr")


def _repeatability(a: Applicant, o: RepeatabilityOptions) -> Outcome:
    number = _limit(a, o.maximum)
    if number is None:
        return _untestable(f"the requirements have no number for {a.species}", f"要求中没有{a.species}的指标")
    limit = f"≤ {number:g} {a.unit}"
    rows: list[dict[str, Any]] = []
    if a.targets is not None and np.isfinite(a.targets["sd"]).any():
        rows.append(
            {
                "source": "target runs",
                "rows": int(np.isfinite(a.targets["sd"]).sum()),
                "median": float(np.nanmedian(a.targets["sd"])),
            }
        )
    for name in o.variables:
        if name in a.record:
            values = a.record[name].values[a.valid()].astype(np.float64)
            if np.isfinite(values).any():
                rows.append(
                    {
                        "source": name,
                        "rows": int(np.isfinite(values).sum()),
                        "median": float(np.nanmedian(values)),
                    }
                )
    if not rows:
        return _untestable(
            "no repeatability in the record and no target runs", "没有重复性数据或目标气数据", limit
        )
    for row in rows:
        row["passes"] = row["median"] <= number
    first = rows[0]
    return Outcome(
        _verdict(bool(first["passes"])),
        f"{first['median']:.3g} {a.unit}",
        limit,
        f"median of {first['rows']} values of {first['source']}",
        f"{first['source']}的{first['rows']}个数值的中位数",
        rows,
    )


class TargetOptions(Options):
    """``target_bias``: share of target runs within the goal, and their mean bias within it."""

    goal: PerSpecies
    minimum_share: float = Field(0.95, gt=0, le=1)
    minimum_runs: int = Field(10, ge=1)


def _target(a: Applicant, o: TargetOptions) -> Outcome:
    number = _limit(a, o.goal)
    if number is None:
        return _untestable(
            f"the requirements have no goal for {a.species}", f"要求中没有{a.species}的兼容性目标"
        )
    limit = f"|bias| ≤ {number:g} {a.unit} in ≥ {o.minimum_share:.0%}"
    if a.targets is None or np.isfinite(a.targets["bias"]).sum() < o.minimum_runs:
        n = 0 if a.targets is None else int(np.isfinite(a.targets["bias"]).sum())
        return _untestable(
            f"{n} target runs, {o.minimum_runs} are needed",
            f"目标气测量{n}次,至少需要{o.minimum_runs}次",
            limit,
        )
    runs = a.targets[np.isfinite(a.targets["bias"])]
    inside = np.abs(runs["bias"]) <= number
    mean, share = float(runs["bias"].mean()), float(inside.mean())
    rows = [{"time": str(r["time"])[:19], "bias": float(r["bias"])} for r in runs[~inside]]
    ok = share >= o.minimum_share and abs(mean) <= number
    return Outcome(
        _verdict(ok),
        f"mean {mean:+.3g} {a.unit}, {share:.0%} inside",
        limit,
        f"{int((~inside).sum())} of {runs.size} target runs are off by more than the goal",
        f"{runs.size}次目标气测量中有{int((~inside).sum())}次偏差超过目标",
        rows,
    )


class CompareOptions(Options):
    """``comparison``: median difference from a second record of the same air."""

    goal: PerSpecies
    minimum_pairs: int = Field(20, ge=1)
    tolerance_minutes: float = Field(31.0, gt=0)


def _compare(a: Applicant, o: CompareOptions) -> Outcome:
    from stations.qc_kinds import nearest_times

    number = _limit(a, o.goal)
    if number is None:
        return _untestable(
            f"the requirements have no goal for {a.species}", f"要求中没有{a.species}的兼容性目标"
        )
    limit = f"|median| ≤ {number:g} {a.unit}"
    if a.comparison is None:
        return _untestable("no second record was given", "未提供比对记录", limit)
    if a.comparison.attrs.get("scale") != a.record.attrs.get("scale"):
        return _untestable(
            f"the second record is on {a.comparison.attrs.get('scale')!r}",
            "比对记录的标尺不同,请先换算",
            limit,
        )
    other = Applicant("", a.comparison)
    theirs, mine = np.flatnonzero(other.valid()), np.flatnonzero(a.valid())
    place = nearest_times(
        a.comparison["time"].values[theirs], a.record["time"].values[mine], o.tolerance_minutes
    )
    paired = place >= 0
    if paired.sum() < o.minimum_pairs:
        n = int(paired.sum())
        return _untestable(
            f"{n} pairs, {o.minimum_pairs} are needed", f"只有{n}对数据,至少需要{o.minimum_pairs}对", limit
        )
    value = a.record["value"].values[mine[place[paired]]]
    reference = a.comparison["value"].values[theirs[paired]]
    when = a.comparison["time"].values[theirs[paired]]
    off = value - reference
    median = float(np.median(off))
    sd = float(1.2533 * off.std(ddof=1) / np.sqrt(off.size))  # of a median of normal values
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
        _verdict(abs(median) <= number),
        f"{median:+.3g} ± {sd:.2g} {a.unit}",
        limit,
        f"median of {off.size} pairs; the 20 largest differences are listed",
        f"{off.size}对数据的中位差;列出最大的20个",
        rows,
    )


class CalibrationOptions(Options):
    """``calibration_interval``: the longest pause between calibrations stated in the dossier."""

    maximum_days: float = Field(gt=0)


def _calibration(a: Applicant, o: CalibrationOptions) -> Outcome:
    limit = f"≤ {o.maximum_days:g} days"
    dates = np.sort(np.array([str(d) for d in a.dossier.get("calibrations", [])], dtype="datetime64[D]"))
    time = a.record["time"].values
    time = time[~np.isnat(time)].astype("datetime64[D]")
    if dates.size < 2 or time.size == 0:
        return _untestable("the dossier lists fewer than two calibrations", "台站材料所列标定不足两次", limit)
    edges = np.unique(np.concatenate([dates[(dates >= time[0]) & (dates <= time[-1])], time[[0, -1]]]))
    gaps = np.diff(edges).astype(np.int64)
    rows = [
        {"from": str(low), "to": str(high), "days": int(g), "passes": bool(g <= o.maximum_days)}
        for low, high, g in zip(edges[:-1], edges[1:], gaps, strict=True)
    ]
    long = [r for r in rows if not r["passes"]]
    return Outcome(
        _verdict(not long),
        f"{int(gaps.max()) if gaps.size else 0} days",
        limit,
        f"{len(long)} of {len(rows)} intervals are too long",
        f"{len(rows)}个标定间隔中有{len(long)}个过长",
        long or rows[:20],
    )


class RejectedOptions(Options):
    """``rejected``: share of rows with a value that somebody rejected."""

    maximum: float = Field(gt=0, lt=1)


def _rejected(a: Applicant, o: RejectedOptions) -> Outcome:
    limit = f"≤ {o.maximum:.0%}"
    value = np.isfinite(a.record["value"].values)
    if not value.any():
        return _untestable("there are no values", "没有数据", limit)
    stop = a.record["quality"].values & VALID
    share = float(((stop != 0) & value).sum() / value.sum())
    rows = [
        {"flag": str(f.name).lower(), "rows": int(((stop & np.uint32(f)) != 0).sum())}
        for f in Quality
        if (stop & f).any()
    ]
    return Outcome(
        _verdict(share <= o.maximum),
        f"{share:.1%}",
        limit,
        f"{share:.1%} of {int(value.sum())} values are rejected",
        f"{int(value.sum())}个数值中有{share:.1%}被剔除",
        rows,
    )


class UncertaintyOptions(Options):
    """``uncertainty``: median stated uncertainty, random and systematic together."""

    maximum: PerSpecies


def _uncertainty(a: Applicant, o: UncertaintyOptions) -> Outcome:
    number = _limit(a, o.maximum)
    if number is None:
        return _untestable(f"the requirements have no number for {a.species}", f"要求中没有{a.species}的指标")
    limit = f"≤ {number:g} {a.unit}"
    name = "uncertainty_measurement" if "uncertainty_measurement" in a.record else "uncertainty"
    random = a.record[name].values[a.valid()]
    if not np.isfinite(random).any():
        return _untestable("no row states an uncertainty", "没有给出不确定度", limit)
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
        _verdict(median <= number),
        f"{median:.3g} {a.unit}",
        limit,
        f"median of {int(np.isfinite(total).sum())} rows",
        f"{int(np.isfinite(total).sum())}行的中位数",
        rows,
    )


@dataclass(frozen=True)
class Kind:
    """A kind of criterion: its options and its function."""

    options: type[Options]
    judge: Callable[[Applicant, Any], Outcome]


KINDS: dict[str, Kind] = {
    "coverage": Kind(CoverageOptions, _coverage),
    "span": Kind(SpanOptions, _span),
    "metadata": Kind(MetadataOptions, _metadata),
    "scale": Kind(ScaleOptions, _scale),
    "standards": Kind(StandardsOptions, _standards),
    "repeatability": Kind(RepeatabilityOptions, _repeatability),
    "target_bias": Kind(TargetOptions, _target),
    "comparison": Kind(CompareOptions, _compare),
    "calibration_interval": Kind(CalibrationOptions, _calibration),
    "rejected": Kind(RejectedOptions, _rejected),
    "uncertainty": Kind(UncertaintyOptions, _uncertainty),
}
