"""From series of totals to the table of trends and of their differences."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from itertools import combinations
from pathlib import Path
from typing import Any

import numpy as np

from obsnet.crosscheck.rules.published import MOSTLY_OBSERVED
from obsnet.crosscheck.rules.rule import benjamini_hochberg
from obsnet.crosscheck.trend.kernel import FittedTrend, mann_kendall, slope_covariance, trend
from obsnet.crosscheck.trend.options import TrendOptions
from obsnet.crosscheck.trend.seen import SeenTrend, seen_trend
from obsnet.crosscheck.words import joined
from obsnet.errors import ConfigError, FormatError, RangeError, SchemaError, nearest
from obsnet.inventory.period import Period, read_period
from obsnet.inventory.words import province_or_own
from obsnet.reading import door, read_csv
from obsnet.regions import PROVINCES
from obsnet.sheets import csv_text

__all__ = ["COLUMNS", "SERIES", "read_series", "trend_files", "trends"]

SERIES = ("region", "source", "year", "value", "sd")
_SEEN = ("response", "verdict")  # of a total: what share of it is observed, and what was found
_VERDICTS = {"region", "inventory", "inventory_sd", "posterior", "posterior_sd", "inventory_period", *_SEEN}
_LIKE = ("unit", "gas", "sector", "category", "quantity")  # one throughout, where tables state it
_LIMITS = {"year": (1000.0, 3000.0), "response": (-2.0, 2.0)}  # a share, not per cent
_SAME = np.timedelta64(8, "D")  # by which weeks that make up a year may miss it
COLUMNS = (
    "region", "name_en", "name_zh", "kind", "source", "first", "last", "years", "mean", "slope", "slope_sd", "percent",
    "p", "p_adjusted", "differ", "scatter", "sen_slope", "p_rank", "response", "response_slope", "remark", "remark_zh",
)  # fmt: skip


def trend_files(options: TrendOptions) -> Any:
    """Read series, find trends, write ``trends.csv`` and return it."""
    import pandas as pd

    from obsnet.atomic import write_text

    series = pd.concat([read_series(path) for path in options.series], ignore_index=True)
    table = trends(series, factor=options.factor, rho=options.rho, shared=options.shared, alpha=options.alpha)
    write_text(options.out / "trends.csv", csv_text(table))
    return table


def _numbers(frame: Any, path: Path) -> Any:
    """Return a series whose numbers are numbers; an empty cell is NaN."""
    import pandas as pd

    for column in (c for c in ("year", "value", "sd", "response") if c in frame):
        found = pd.to_numeric(frame[column], errors="coerce").astype(float)
        bad = (found.isna() & frame[column].notna()) | np.isinf(found)
        bad |= (found < _LIMITS[column][0]) | (found > _LIMITS[column][1]) if column in _LIMITS else False
        if bad.any():
            at = int(bad.to_numpy().argmax())
            raise RangeError(f"{path}: row {at + 2}: {column} {str(frame[column].iloc[at])!r} is no {column}")
        frame = frame.assign(**{column: found})
    return frame


@door("a table of series")
def read_series(path: Path) -> Any:
    """Read a table of series, or a table of verdicts as two: ``inventory`` and ``inversion`` of its year.

    Returns
    -------
    pandas.DataFrame
        Columns `SERIES`, then ``unit, gas, sector, category, quantity, response, verdict`` where the table has them; of
        verdicts the last two are the inversion's. A province goes by its adcode however it is written.

    Raises
    ------
    FormatError
        Neither, or a table of verdicts of what is no year, or of an inversion of another.
    RangeError
        A year, value or sd that is no number, or a year that is none.
    """
    import pandas as pd

    frame = read_csv(path, dtype=dict.fromkeys(("region", "inventory_period", "period", "source"), str))
    kept = [*SERIES, *(c for c in (*_LIKE, *_SEEN) if c in frame.columns)]
    if set(SERIES) - {"region"} <= set(frame.columns):
        frame = frame.assign(region=frame.get("region", ""), source=frame["source"].str.strip())
        frame["region"] = [r if pd.isna(r) else province_or_own(r) for r in frame["region"]]
        return _numbers(frame[kept], path)
    if not set(frame.columns) >= _VERDICTS:
        raise FormatError(
            f"{path}: neither a series ({', '.join(SERIES)}) nor a table of verdicts; found {', '.join(frame.columns)}"
        )
    period = read_period(str(frame["inventory_period"].iloc[0]))
    if period.whole_years != 1:
        raise FormatError(f"{path}: verdicts of {period}, which is no year and makes no trend of years")
    _of_that_year(str(frame["period"].iloc[0]) if "period" in frame.columns else "", period, path)
    year = float(str(period.start)[:4])
    parts = [
        _numbers(frame.assign(source=name, year=year, value=frame[column], sd=frame[f"{column}_sd"]), path)[
            kept
        ]
        for name, column in (("inventory", "inventory"), ("inversion", "posterior"))
    ]
    parts[0] = parts[0].assign(response=np.nan, verdict="")  # the inversion's alone
    return pd.concat(parts, ignore_index=True).dropna(subset=["value"])


def _of_that_year(tested: str, stated: Period, path: Path) -> None:
    """Refuse verdicts of an inversion that is not of the inventory's year: its total is no value of that year."""
    try:
        seen = read_period(tested.replace(" to ", "/")) if tested else stated
    except FormatError:  # several stretches of time
        seen = None
    if seen is None or max(abs(seen.start - stated.start), abs(seen.stop - stated.stop)) > _SAME:
        raise FormatError(
            f"{path}: verdicts of an inversion of {tested} and an inventory of {stated}, which make no one year of a "
            "series; take runs of the inventory's own year"
        )


def trends(
    series: Any,
    *,
    factor: Mapping[str, float] | None = None,
    rho: Mapping[str, float] | None = None,
    shared: float = 0.0,
    alpha: float = 0.05,
) -> Any:
    """Return the trend of each source and region, and the differences between sources.

    Parameters
    ----------
    series : pandas.DataFrame
        Columns `SERIES`; years as numbers, `value` and `sd` in one unit.
    factor, rho : mapping of str to float, optional
        By source, see `kernel.trend`.
    shared : float
        Correlation of two sources' errors in one year.
    alpha : float
        Rate of false discoveries among regions of one pair of sources.

    Returns
    -------
    pandas.DataFrame
        `COLUMNS`: a row a source and region (``kind`` trend), then one a pair of sources and region over the years that
        both have (``kind`` difference, ``source`` ``a - b``); ``differ`` is ``yes`` where the adjusted p is at most
        `alpha`, ``prior`` where less than half of the trend was observed, which is not counted among the tests. Slopes
        are in the unit of the values a year, ``percent`` of the mean a year; ``response`` is the share of a true change
        of slope that shows, see `seen`, of a difference the smaller of the two.

    Raises
    ------
    ConfigError
        A factor or a memory of a source that is not there, or series of several units, gases, sectors or categories.
    SchemaError, RangeError
        A year twice, an error that is missing or not above 0, fewer than three years.
    """
    import pandas as pd

    factor, rho = factor or {}, rho or {}
    for column in (c for c in _LIKE if c in series.columns):
        there = sorted(set(series[column].dropna().astype(str).str.strip()))
        if len(there) > 1:
            raise ConfigError(
                f"the column {column} of the series has {', '.join(there)}: keep one, or convert to one"
            )
    sources = list(dict.fromkeys(series["source"].astype(str)))
    for name, said in (("factor", factor), ("rho", rho)):
        for key in said:
            if key not in sources:
                raise ConfigError(f"--{name} {key}: no such source{nearest(key, sources)}")
    rows: list[dict[str, Any]] = []
    for region in dict.fromkeys(series["region"].astype(str)):
        mine = {s: _of(series, region, s) for s in sources}
        mine = {s: part for s, part in mine.items() if len(part)}
        for source, part in mine.items():
            found = _slope(part, source, factor, rho)
            rank = mann_kendall(
                part["year"].to_numpy(float), part["value"].to_numpy(float), rho.get(source, 0.0)
            )
            rows.append(
                _row(region, "trend", source, part["year"], part["value"].mean(), found.slope, found.sd)
                | _seen_columns(seen_trend(part, source, found))
                | {"scatter": found.scatter, "sen_slope": rank.slope, "p_rank": rank.p}
            )
        rows += [_difference(region, pair, mine, factor, rho, shared) for pair in combinations(mine, 2)]
    table = pd.DataFrame([r for r in rows if r], columns=COLUMNS)
    table = table.sort_values("kind", ascending=False, kind="stable").reset_index(drop=True)
    by_prior = (table["response"].astype(float) < MOSTLY_OBSERVED).to_numpy()
    for at in table.groupby(["kind", "source"]).groups.values():
        p = table.loc[at, "p"].to_numpy(float)
        table.loc[at, "p_adjusted"] = benjamini_hochberg(np.where(by_prior[at], np.nan, p))
    differ = np.where(table["p_adjusted"].astype(float) <= alpha, "yes", "no")
    differ = np.where(by_prior, "prior", differ)
    return table.assign(differ=np.where(table["kind"] == "difference", differ, ""))


def _of(series: Any, region: str, source: str) -> Any:
    part = series[(series["region"] == region) & (series["source"] == source)].sort_values("year")
    where = f"{source} of {region}" if region else source
    if part["year"].duplicated().any():
        raise SchemaError(f"{where}: {part['year'][part['year'].duplicated()].iloc[0]:g} stands there twice")
    if len(part) and not (np.isfinite(part["value"]) & (part["sd"] > 0)).all():
        bad = part[~(np.isfinite(part["value"]) & (part["sd"] > 0))]["year"].iloc[0]
        raise RangeError(f"{where}: {bad:g} has no value or no sd above 0")
    return part


def _slope(part: Any, source: str, factor: Mapping[str, float], rho: Mapping[str, float]) -> FittedTrend:
    years, values, sd = (part[c].to_numpy(float) for c in ("year", "value", "sd"))
    return trend(years, values, sd, rho.get(source, 0.0), factor.get(source, 0.0))


def _difference(
    region: str,
    pair: Sequence[str],
    mine: Mapping[str, Any],
    factor: Mapping[str, float],
    rho: Mapping[str, float],
    shared: float,
) -> dict[str, Any]:
    """Return the difference of two trends over the years that both have; nothing if those are too few."""
    years = sorted(set(mine[pair[0]]["year"]) & set(mine[pair[1]]["year"]))
    if len(years) < 3:
        return {}
    parts = [mine[s][mine[s]["year"].isin(years)] for s in pair]
    one, other = (_slope(part, s, factor, rho) for part, s in zip(parts, pair, strict=True))
    both = slope_covariance(
        one,
        other,
        np.array(years, dtype=float),
        (parts[0]["sd"].to_numpy(float), parts[1]["sd"].to_numpy(float)),
        (rho.get(pair[0], 0.0), rho.get(pair[1], 0.0)),
        (factor.get(pair[0], 0.0), factor.get(pair[1], 0.0)),
        shared,
    )
    sd = float(np.sqrt(max(one.sd**2 + other.sd**2 - 2.0 * both, 0.0)))
    mean = float(np.mean([p["value"].mean() for p in parts]))
    seen = [seen_trend(part, s, found) for part, s, found in zip(parts, pair, (one, other), strict=True)]
    row = _row(region, "difference", f"{pair[0]} - {pair[1]}", years, mean, one.slope - other.slope, sd)
    return row | _seen_columns(*seen)


def _seen_columns(*seen: SeenTrend) -> dict[str, Any]:
    """Return what is observed of one trend, or of the less observed of two, and what must be known of them."""
    known = [s for s in seen if np.isfinite(s.response)]
    least = min(known, key=lambda s: s.response, default=SeenTrend())
    remark = joined([s.remark for s in seen])
    return {
        "response": least.response,
        "response_slope": least.drift,
        "remark": remark.en,
        "remark_zh": remark.zh,
    }


def _row(
    region: str, kind: str, source: str, years: Iterable[float], mean: float, slope: float, sd: float
) -> dict[str, Any]:
    from scipy.stats import norm

    years = list(years)
    names = PROVINCES.get(region, (region, region))
    return {
        "region": region,
        "name_en": names[0],
        "name_zh": names[1],
        "kind": kind,
        "source": source,
        "first": years[0],
        "last": years[-1],
        "years": len(years),
        "mean": mean,
        "slope": slope,
        "slope_sd": sd,
        "percent": 100.0 * slope / abs(mean) if mean else np.nan,
        "p": float(2.0 * norm.sf(abs(slope) / sd)) if sd > 0 else np.nan,
    }
