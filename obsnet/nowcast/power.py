"""Electricity to carbon: emissions of power plants from generation and the last known factor."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from obsnet.errors import FormatError, RangeError, SchemaError
from obsnet.inventory.sources.daily import Daily
from obsnet.inventory.words import NATION
from obsnet.nowcast.inputs.history import History
from obsnet.nowcast.inputs.indicators import Indicators
from obsnet.nowcast.inputs.panel import LEAST_YEARS, Panel
from obsnet.nowcast.models.trends import PERSISTENCE, Shocks, trend_paths
from obsnet.nowcast.rapid import RapidEstimate, rapid_estimate, rapid_models
from obsnet.nowcast.skill.hindcast import Model, Situation
from obsnet.typing import Floats

__all__ = ["Factors", "Likeness", "factors_of", "likeness", "power_estimate", "refuse_alike", "refuse_daily"]

FACTOR = "generation x last factor"
_POWER = "power"  # sector of daily emissions
# Correlation that data made apart do not reach: factors, fuels and heat change for themselves.
_TOO_ALIKE = 0.95
_PAIRS = 10
# kg CO2 a kWh of all provinces together; a unit that is off is ten times and more away.
_LOW, _HIGH = 0.02, 4.0
_TO_KG_PER_KWH = 10.0  # Mt over 1e8 kWh


@dataclass(frozen=True)
class Likeness:
    """Whether a data set was made from an indicator.

    Parameters
    ----------
    correlation : float
        Of the ranks of their changes from year to year (Spearman's), after what all regions share in a year is taken
        away: single errors of either hide nothing and prove nothing.
    low : float
        Lower end of its interval of 95 % (Fisher 1921).
    count : int
        Region-years.
    """

    correlation: float
    low: float
    count: int

    @property
    def alike(self) -> bool:
        """Whether the two cannot have been made apart."""
        return self.low > _TOO_ALIKE

    def __str__(self) -> str:
        return (
            f"rank correlation {self.correlation:.4f} (95 %: above {self.low:.3f}) over {self.count} regional"
        )


def likeness(values: Floats, indicator: Floats) -> Likeness:
    """Compare the changes of two data sets.

    Parameters
    ----------
    values, indicator : ndarray, shape (times, regions)
        Years, or months; NaN where there is nothing.
    """
    from scipy.stats import rankdata

    with np.errstate(divide="ignore", invalid="ignore"):
        first, second = (np.diff(np.log(np.where(v > 0.0, v, np.nan)), axis=0) for v in (values, indicator))
    both = np.isfinite(first) & np.isfinite(second)
    pairs = []
    for v in (first, second):
        masked = np.where(both, v, np.nan)
        many = both.sum(axis=1, keepdims=True) > 2
        shared = np.divide(
            np.nansum(masked, axis=1, keepdims=True), both.sum(axis=1, keepdims=True), where=many,
            out=np.zeros((len(v), 1)),
        )  # fmt: skip
        pairs.append(rankdata((masked - shared)[both]))
    count = int(both.sum())
    if count < _PAIRS or min(p.std() for p in pairs) == 0.0:
        return Likeness(np.nan, np.nan, count)
    r = float(np.clip(np.corrcoef(*pairs)[0, 1], -1.0, 1.0 - 1e-15))
    return Likeness(r, float(np.tanh(np.arctanh(r) - 1.96 / np.sqrt(count - 3))), count)


def refuse_alike(panel: Panel, generation: Floats, name: str) -> Likeness:
    """Refuse to score against a data set that follows the indicator it is to be estimated from.

    Raises
    ------
    SchemaError
        It does.
    """
    return _refuse(likeness(panel.values, generation), name, "years")


def refuse_daily(daily: Daily, indicators: Indicators, name: str) -> Likeness:
    """Refuse daily power emissions whose months follow the indicator.

    Parameters
    ----------
    daily : Daily
        With a sector ``power``.
    indicators : Indicators
    name : str
        Generation, by months.

    Raises
    ------
    FormatError
        No such sector.
    SchemaError
        They do.
    """
    rows = daily.table[(daily.table["sector"] == _POWER) & (daily.table["region"] != NATION)]
    if rows.empty:
        raise FormatError(
            f"daily emissions without a sector {_POWER!r}: {', '.join(sorted(set(daily.table['sector'])))}"
        )
    regions, years = sorted(set(rows["region"])), sorted(set(rows["date"].dt.year))
    sums = rows.groupby(["region", rows["date"].dt.year, rows["date"].dt.month])["value"].sum()
    emitted = np.array([[sums.get((r, y, m), np.nan) for r in regions] for y in years for m in range(1, 13)])
    last = max(r.published for r in indicators.rows[name])
    generated = indicators.months(name, regions, years, last).reshape(-1, len(regions))
    return _refuse(likeness(emitted, generated), name, "months")


def _refuse(found: Likeness, name: str, what: str) -> Likeness:
    if found.alike:
        raise SchemaError(
            f"the power emissions change as {name} does: {found} {what}. Data made apart do not agree so well "
            "(factors, "
            "fuels and heat change for themselves), so they were made from this indicator, and a score against them "
            "would "
            "measure nothing: give emissions from fuel (an energy balance, CEADs), or another indicator"
        )
    return found


@dataclass(frozen=True, eq=False)
class Factors:
    """CO2 over generation.

    Parameters
    ----------
    table : pandas.DataFrame
        ``region, year, factor`` (kg CO2/kWh).
    left_out : pandas.DataFrame
        Leave-one-year-out: ``region, year, value`` (Mt, generation x factor of the years beside), ``truth, error``.
    """

    table: Any
    left_out: Any

    @property
    def left_out_mae(self) -> float:
        """Mean absolute error of a left-out year, per cent."""
        return 100.0 * float(self.left_out["error"].abs().mean())


def factors_of(panel: Panel, generation: Floats, name: str) -> Factors:
    """Return emission factors, and how well a year's is known from the years beside it.

    Parameters
    ----------
    panel : Panel
        Power emissions.
    generation : ndarray, shape (years, regions)
        1e8 kWh a year.
    name : str
        Of the indicator, for errors.

    Raises
    ------
    FormatError
        No year with both.
    RangeError
        Factors that no power plants have.
    """
    import pandas as pd

    with np.errstate(divide="ignore", invalid="ignore"):
        factor = (
            _TO_KG_PER_KWH
            * np.where(panel.values > 0.0, panel.values, np.nan)
            / np.where(generation > 0.0, generation, np.nan)
        )
    known = np.isfinite(factor)
    if not known.any():
        raise FormatError(f"no region and year with both power emissions and {name} of all months")
    usual = _TO_KG_PER_KWH * panel.values[known].sum() / generation[known].sum()
    if not _LOW < usual < _HIGH:
        raise RangeError(
            f"power emissions over {name} are {usual:.4g} kg CO2/kWh, {_LOW:g} to {_HIGH:g} can be: is the unit of "
            "one off (1e8 kWh is 100 GWh; Mt against 1e4 t)?"
        )
    logs = np.log(factor)
    beside = np.full((2, *logs.shape), np.nan)
    beside[0, 1:], beside[1, :-1] = logs[:-1], logs[1:]
    count = np.isfinite(beside).sum(axis=0)
    near = np.divide(np.nansum(beside, axis=0), count, where=count > 0, out=np.full(logs.shape, np.nan))
    i, j = np.nonzero(known)
    table = pd.DataFrame(
        {"region": np.array(panel.regions, dtype=object)[j], "year": panel.years[i], "factor": factor[i, j]}
    )
    estimate = np.exp(near) * generation / _TO_KG_PER_KWH
    left = pd.DataFrame(
        {
            "region": table["region"],
            "year": table["year"],
            "value": estimate[i, j],
            "truth": panel.values[i, j],
        }
    )
    left["error"] = left["value"] / left["truth"] - 1.0
    return Factors(table, left.dropna().reset_index(drop=True))


def power_estimate(
    history: History, indicators: Indicators, generation: str = "thermal power", **how: Any
) -> tuple[RapidEstimate, Factors, Likeness]:
    """Estimate the power sector's emissions of a year from generation.

    Parameters
    ----------
    history : History
        Power emissions, such as of category 1.A.1.a.
    indicators : Indicators
        `generation` and, for the regression, others.
    generation : str
        Which indicator the factor is of.
    **how
        ``year, day, draws, seed, shifts`` of `obsnet.nowcast.rapid.rapid_estimate`.

    Returns
    -------
    estimate : RapidEstimate
        Of the best of the trends, generation times the last known factor, and the regression.
    factors : Factors
    likeness : Likeness
        Of the emissions and generation.

    Raises
    ------
    SchemaError
        The emissions were made from the indicator.
    FormatError, RangeError
        See `factors_of`.
    """
    used = indicators.only([generation])
    name = used.names[0]
    if used.units[name] != "1e8 kWh":
        raise FormatError(
            f"{name} is in {used.units[name] or 'no unit'}; generation needs kWh, such as 亿千瓦时 or GWh"
        )
    panel = history.at()
    rows = used.rows[name]
    amounts = used.totals(name, panel.regions, [int(y) for y in panel.years], max(r.published for r in rows))
    alike = refuse_alike(panel, amounts, name)
    factors = factors_of(panel, amounts, name)
    models = {**rapid_models(indicators), FACTOR: _factor_model(name)}
    estimate = rapid_estimate(history, indicators, models=models, **how)
    return estimate, factors, alike


def _factor_model(name: str) -> Model:
    """Return the model of generation times a factor that stays as it was, with the changes that factors had."""

    def paths(now: Situation, shocks: Shocks) -> Floats:
        if now.predictors is None or name not in now.names:
            raise FormatError(f"{name} was not known")
        generation = now.predictors[:, :, now.names.index(name)]
        levels = np.log(now.panel.values)
        seen = len(levels) - 1
        known = np.isfinite(generation).sum(axis=1) > 0
        begin = int(np.argmax(known))
        if seen - begin < LEAST_YEARS - 1 or not known[begin:].all():
            raise FormatError(f"{name} of fewer than {LEAST_YEARS - 1} years")
        usual = np.nanmean(generation[begin:], axis=1, keepdims=True)
        growth = np.where(np.isfinite(generation[begin:]), generation[begin:], usual)
        change = np.diff(levels, axis=0)[begin:] - growth[: seen - begin]
        factor = np.concatenate([np.zeros((1, levels.shape[1])), np.cumsum(change, axis=0)])
        path = trend_paths(factor, PERSISTENCE, shocks) - factor[-1]
        coming = np.cumsum(growth[seen - begin :], axis=0)
        return np.asarray(levels[-1] + coming[:, None, :] + path, dtype=np.float64)

    return paths
