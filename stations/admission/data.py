"""Admission criteria on the record itself: how long, how complete, how well described, how much rejected."""

from __future__ import annotations

import itertools
from typing import Any, Literal

import numpy as np
from pydantic import Field

from obsnet.config import Options
from obsnet.schema import Quality
from obsnet.times import later
from stations.admission.base import VALID, Applicant, NotTestable, Outcome, verdict_of
from stations.admission.chinese import in_chinese

__all__ = [
    "CoverageOptions",
    "MetadataOptions",
    "RejectedOptions",
    "SpanOptions",
    "coverage",
    "metadata",
    "rejected",
    "span",
]


class CoverageOptions(Options):
    """``coverage``: share of the expected intervals that hold valid data, in every calendar year or as a whole."""

    minimum: float = Field(gt=0, le=1)
    per: Literal["year", "record"] = "year"


def coverage(a: Applicant, o: CoverageOptions) -> Outcome:
    """Judge the share of valid intervals, period by period."""
    limit = f"≥ {o.minimum:.0%}"
    start, end = a.record["time_start"].values, a.record["time_end"].values
    known = ~np.isnat(start)
    if not known.any():
        raise NotTestable("no row has a time", "没有有效时间", limit)
    seconds = float(a.record.attrs.get("interval_seconds") or 0.0)
    monthly = not seconds and _calendar_months(start[known], end[known])
    if not seconds and not monthly:
        raise NotTestable("the record has no constant averaging interval", "记录没有固定的平均时段", limit)
    valid = a.valid() & known
    step = np.timedelta64(1, "M") if monthly else np.timedelta64(round(seconds), "s")
    first = start[known].min()
    last = end[known].max() if monthly else start[known].max() + step
    if o.per == "record":
        edges = np.array([first, last])
    else:
        years = np.arange(first.astype("datetime64[Y]"), later(last.astype("datetime64[Y]"), 2))
        edges = np.clip(years.astype("datetime64[ns]"), first, last)
        edges = np.unique(edges)
    rows: list[dict[str, Any]] = []
    for low, high in itertools.pairwise(edges):
        inside = np.unique(start[valid & (start >= low) & (start < high)])
        length = high.astype("M8[M]") - low.astype("M8[M]") if monthly else high - low
        expected = max(int(np.ceil(length / step)), 1)
        rows.append({
            "period": f"{str(low)[:10]} – {str(high)[:10]}",
            "expected": expected,
            "valid": int(inside.size),
            "coverage": inside.size / expected,
            "passes": bool(inside.size / expected >= o.minimum),
        })  # fmt: skip
    poor = [r for r in rows if not r["passes"]]
    least = min(r["coverage"] for r in rows)
    return Outcome(
        verdict_of(not poor),
        f"{least:.1%}",
        limit,
        f"{len(poor)} of {len(rows)} periods below the limit; the least has {least:.1%}",
        f"{len(rows)}个时段中有{len(poor)}个低于要求,最低为{least:.1%}",
        rows,
    )


def _calendar_months(start: np.ndarray, end: np.ndarray) -> bool:
    """Tell whether all intervals are calendar months, which are not as long as each other."""
    month = start.astype("M8[M]")
    return bool((start == month).all() and (end == month + np.timedelta64(1, "M")).all())


class SpanOptions(Options):
    """``span``: at least so many months with valid data, in a row."""

    months: int = Field(ge=1)


def span(a: Applicant, o: SpanOptions) -> Outcome:
    """Judge the longest run of months with valid data."""
    limit, limit_zh = f"≥ {o.months} months", f"≥ {o.months}个月"
    time = a.record["time"].values[a.valid() & ~np.isnat(a.record["time"].values)]
    if time.size == 0:
        raise NotTestable("there are no valid rows", "没有有效数据", limit, limit_zh)
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
        verdict_of(len(longest) >= o.months),
        f"{len(longest)} months",
        limit,
        f"the longest run of months with data has {len(longest)}",
        f"最长连续有数据月份为{len(longest)}个月",
        rows,
        found_zh=f"{len(longest)}个月",
        limit_zh=limit_zh,
    )


class MetadataOptions(Options):
    """``metadata``: what a record must say: attributes, and variables that are finite somewhere."""

    attributes: tuple[str, ...] = ("site", "species", "unit", "scale")
    variables: tuple[str, ...] = ("latitude", "longitude", "altitude_m", "intake_height_m")
    stated: tuple[str, ...] = Field((), description="keys the dossier must have")


def metadata(a: Applicant, o: MetadataOptions) -> Outcome:
    """Judge what the record and the dossier say of themselves."""
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
        verdict_of(not missing),
        f"{len(rows) - len(missing)} of {len(rows)}",
        f"{len(rows)} of {len(rows)}",
        f"missing: {', '.join(missing)}" if missing else "all there",
        f"缺少:{'、'.join(map(in_chinese, missing))}" if missing else "齐全",
        rows,
        found_zh=f"{len(rows)}项中{len(rows) - len(missing)}项",
        limit_zh=f"{len(rows)}项齐全",
    )


class RejectedOptions(Options):
    """``rejected``: share of rows with a value that somebody rejected."""

    maximum: float = Field(gt=0, lt=1)


def rejected(a: Applicant, o: RejectedOptions) -> Outcome:
    """Judge the share of values that somebody rejected."""
    limit = f"≤ {o.maximum:.0%}"
    value = np.isfinite(a.record["value"].values)
    if not value.any():
        raise NotTestable("there are no values", "没有数据", limit)
    stop = a.record["quality"].values & VALID
    share = float(((stop != 0) & value).sum() / value.sum())
    rows = [
        {"flag": str(f.name).lower(), "rows": int(((stop & np.uint32(f)) != 0).sum())}
        for f in Quality
        if (stop & f).any()
    ]
    return Outcome(
        verdict_of(share <= o.maximum),
        f"{share:.1%}",
        limit,
        f"{share:.1%} of {int(value.sum())} values are rejected",
        f"{int(value.sum())}个数值中有{share:.1%}被剔除",
        rows,
    )
