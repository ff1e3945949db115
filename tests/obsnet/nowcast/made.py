"""A synthetic country whose growth is known: what indicators explain, what they do not, when each figure came out."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd

from obsnet.inventory.table import COLUMNS
from obsnet.regions import PROVINCES

REGIONS = tuple(sorted(PROVINCES))[:31]
YEARS = np.arange(1997, 2020)
SLOPES = {"火力发电量": 0.45, "水泥产量": 0.2}
UNITS = {"火力发电量": "亿千瓦时", "水泥产量": "万吨"}
SHARED, OWN = 0.01, 0.03  # sd of growth that no indicator explains, of all and of each


@dataclass(frozen=True)
class World:
    """Emissions (years, regions) in Mt, growth of indicators (years - 1, regions, 2), and of what they explain."""

    emissions: np.ndarray
    indicators: np.ndarray
    explained: np.ndarray
    regions: tuple[str, ...] = REGIONS
    years: np.ndarray = None


def world(seed=0, regions=REGIONS, years=YEARS, slopes=tuple(SLOPES.values()), shared=SHARED, own=OWN):
    rng = np.random.default_rng(seed)
    count, n = len(years) - 1, len(regions)
    trend = np.interp(years[1:], [1997, 2003, 2011, 2014], [0.04, 0.12, 0.09, 0.01])[:, None]
    x = np.stack(
        [
            f * trend + 0.02 * rng.standard_normal((count, 1)) + 0.07 * rng.standard_normal((count, n))
            for f in (1.1, 1.3)
        ],
        axis=2,
    )
    explained = x @ np.array(slopes)
    tail = rng.standard_t(5, (count, n)) * np.sqrt(3 / 5)
    growth = explained + shared * rng.standard_normal((count, 1)) + own * tail
    start = rng.lognormal(4.5, 0.7, n)
    levels = np.log(start) + np.concatenate([np.zeros((1, n)), np.cumsum(growth, axis=0)])
    return World(np.exp(levels), x, explained, tuple(regions), years)


def inventory_frame(made, nation=None):
    """Return the emissions as a table of the contract; `nation`: the whole country's, by the same years."""
    rows = [
        (r, str(y), "CO2", "total", "CEADs", made.emissions[i, j], "Mt", "", "made", "")
        for i, y in enumerate(made.years) for j, r in enumerate(made.regions)
    ]  # fmt: skip
    if nation is not None:
        rows += [
            ("CHN", str(y), "CO2", "total", "CEADs", v, "Mt", "", "made", "")
            for y, v in zip(made.years, nation, strict=True)
        ]
    return pd.DataFrame(rows, columns=list(COLUMNS))


def indicator_frame(made, *, seed=1, layout="months", names=tuple(SLOPES), first=None, season=0.1):
    """Return the indicators as statisticians publish them.

    ``months``: January with February, then months; ``running``: sums from January, from February on; ``year``: the
    year, out on 28 February. Each month is out on the 17th of the next.
    """
    rng = np.random.default_rng(seed)
    rows = []
    for k, name in enumerate(names):
        level = rng.lognormal(6, 0.5, len(made.regions)) * np.exp(
            np.concatenate([np.zeros((1, len(made.regions))), np.cumsum(made.indicators[:, :, k], axis=0)])
        )
        shape = 1.0 + season * np.cos(2 * np.pi * (np.arange(12) - k) / 12)
        shape /= shape.sum()
        for i, year in enumerate(made.years):
            if first is not None and year < first:
                continue
            for j, region in enumerate(made.regions):
                months = level[i, j] * shape
                rows += _rows(region, year, name, months, layout)
    return pd.DataFrame(rows, columns=["地区", "年份", "月份", "指标", "数值", "单位", "发布日期"])


def _rows(region, year, name, months, layout):
    label = PROVINCES[region][2] if region in PROVINCES else "全国"
    if layout == "year":
        return [(label, year, "全年", name, months.sum(), UNITS[name], f"{year + 1}-02-28")]
    out = []
    for m in range(2, 13):
        day = f"{year + (m == 12)}-{m % 12 + 1:02d}-17"
        if layout == "running":
            out.append((label, year, f"1-{m}月", f"{name}_累计值", months[:m].sum(), UNITS[name], day))
        else:
            value = months[:2].sum() if m == 2 else months[m - 1]
            out.append((label, year, "1-2月" if m == 2 else f"{m}月", name, value, UNITS[name], day))
    return out


def write(frame, path):
    frame.to_csv(path, index=False)
    return path
