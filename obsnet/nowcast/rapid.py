"""Emissions of this year from the inventories of earlier ones and what is known early."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from obsnet.errors import ConfigError, FormatError
from obsnet.inventory.words import NATION
from obsnet.nowcast.inputs.history import History
from obsnet.nowcast.inputs.indicators import Indicators
from obsnet.nowcast.inputs.panel import LEAST_YEARS, Panel, cleaned
from obsnet.nowcast.models.nation import statistical_difference, tied
from obsnet.nowcast.models.regression import regression_paths
from obsnet.nowcast.models.trends import DAMPED, Shocks, draw_shocks, trend_paths
from obsnet.nowcast.notes import note
from obsnet.nowcast.revisions import REVISIONS
from obsnet.nowcast.skill.hindcast import Hindcast, Model, Situation, hindcast, shocks_at, trend_models
from obsnet.nowcast.skill.tables import score_table, used_model
from obsnet.times import later
from obsnet.typing import Floats

__all__ = [
    "RapidEstimate",
    "known_situation",
    "rapid_estimate",
    "rapid_models",
    "revision_notes",
    "scorable",
    "years_back",
]


_FURTHEST = 5  # years after the last inventory


@dataclass(frozen=True, eq=False)
class RapidEstimate:
    """Emissions of a year, and how good such estimates were.

    Parameters
    ----------
    regions : tuple of str
    year : int
    day : numpy.datetime64
        What was out by then was used.
    model : str
        Used; `obsnet.nowcast.skill.hindcast.SIMPLEST` where none beats it.
    draws : ndarray, shape (draws, regions)
        Mt.
    hindcast : Hindcast
        Of all models.
    scores : pandas.DataFrame
        See `obsnet.nowcast.skill.tables.score_table`.
    category, gas : str
    last : int
        Last year with an inventory.
    notes : tuple of str
        What was assumed and left out.
    """

    regions: tuple[str, ...]
    year: int
    day: np.datetime64
    model: str
    draws: Floats
    hindcast: Hindcast
    scores: Any
    category: str
    gas: str
    last: int
    notes: tuple[str, ...]


def rapid_estimate(
    history: History,
    indicators: Indicators | None,
    *,
    year: int | None = None,
    day: np.datetime64 | None = None,
    models: Mapping[str, Model] | None = None,
    shifts: bool = False,
    since: int | None = None,
    draws: int = 1000,
    seed: int = 0,
) -> RapidEstimate:
    """Estimate a year, and every earlier year as of the same day of its time.

    Parameters
    ----------
    history : History
        Inventories.
    indicators : Indicators, optional
        Without, only trends are there to be used.
    year : int, optional
        By default the one after the last inventory.
    day : numpy.datetime64, optional
        By default the day on which the last first figure of the year came out, else the end of the year.
    models : mapping of str to Model, optional
        By default `rapid_models`.
    shifts : bool
        See `obsnet.nowcast.inputs.indicators.Indicators.growth`.
    since : int, optional
        First year that is hindcast.
    draws, seed : int
        Of the distributions.

    Raises
    ------
    ConfigError
        A year out of reach.
    FormatError
        No earlier year can be hindcast.
    """
    truth = history.at()
    chosen = truth.last + 1 if year is None else year
    if not truth.years[0] + LEAST_YEARS <= chosen <= truth.last + _FURTHEST:
        raise ConfigError(
            f"{chosen} cannot be estimated from inventories of {truth.years[0]}-{truth.last}: choose one of "
            f"{truth.years[0] + LEAST_YEARS}-{truth.last + _FURTHEST}"
        )
    if day is None:
        out = None if indicators is None else indicators.last_published(chosen)
        day = np.datetime64(f"{chosen}-12-31") if out is None else max(out, np.datetime64(f"{chosen}-12-31"))
        day = max(day, _inventory_out(history, chosen))
    now, notes = known_situation(history, indicators, chosen, day, shifts=shifts)
    earlier = []
    begin = max(int(truth.years[0]) + LEAST_YEARS, since or 0)
    for target in range(begin, min(chosen, truth.last + 1)):
        then = years_back(day, chosen - target)
        try:
            earlier.append(known_situation(history, indicators, target, then, shifts=shifts)[0])
        except FormatError as fault:
            notes.append(note("not hindcast", year=target, why=fault))
    usable = rapid_models(indicators) if models is None else models
    made = hindcast(earlier, scorable(truth), usable, draws=draws, seed=seed)
    model = used_model(made.table)
    try:
        path = usable[model](now, shocks_at(now, draws, seed))
    except FormatError as fault:
        raise FormatError(f"{model}, the best in hindcasts, cannot estimate {chosen}: {fault}") from None
    notes = [
        *history.notes,
        *(indicators.notes if indicators else ()),
        *notes,
        *made.notes,
        *revision_notes(made.table),
    ]
    return RapidEstimate(
        now.panel.regions, chosen, day, model, np.exp(path[-1]), made, score_table(made), history.category,
        history.gas, now.panel.last, tuple(dict.fromkeys(notes)),
    )  # fmt: skip


def rapid_models(indicators: Indicators | None) -> dict[str, Model]:
    """Return the models of a rapid estimate: trends, and with indicators the regression, also tied to the nation."""
    models = trend_models()
    if indicators is not None:
        models["regression"] = _regression
        models["regression + nation"] = _tied_regression
    return models


def _regression(now: Situation, shocks: Shocks) -> Floats:
    if now.predictors is None:
        raise FormatError(f"no indicator reaches {now.panel.last + now.steps}")
    return regression_paths(np.log(now.panel.values), now.predictors, shocks)


def _tied_regression(now: Situation, shocks: Shocks) -> Floats:
    if now.nation is None:
        raise FormatError("no inventory of the nation itself")
    if now.nation.panel.last != now.panel.last:
        raise FormatError(
            f"the nation's inventory ends in {now.nation.panel.last}, the provinces' in {now.panel.last}"
        )
    path = _regression(now, shocks)
    levels = np.log(now.nation.panel.values)
    own = draw_shocks(now.steps, len(shocks.pick), 1, (*shocks.seed, 2))
    if now.nation.predictors is None:
        nation = trend_paths(levels, DAMPED, own)
    else:
        nation = regression_paths(levels, now.nation.predictors, own)
    sums, stated = now.panel.values.sum(axis=1), now.nation.panel.at
    both = np.concatenate([stated(int(y)) for y in now.panel.years])
    difference = statistical_difference(sums, both)
    growth = nation[-1, :, 0] - levels[-1, 0]
    return np.concatenate([path[:-1], tied(path[-1], float(sums[-1]), growth, difference, own.more())[None]])


def known_situation(
    history: History, indicators: Indicators | None, target: int, day: np.datetime64, *, shifts: bool = False
) -> tuple[Situation, list[str]]:
    """Return what was known of a year on a day, and what has to be said of it.

    Raises
    ------
    FormatError
        Too few inventories were out.
    """
    panel, said = cleaned(history.at(day).upto(target - 1))
    notes = list(said)
    steps = target - panel.last
    predictors, names, said = _predictors(indicators, panel, target, day, shifts)
    notes += said
    nation: Situation | None = None
    if history.has_nation and NATION not in panel.regions:
        stated = history.at(day, nation=True).upto(target - 1)
        if len(stated.years) >= LEAST_YEARS:
            whole, _ = cleaned(stated)
            own, own_names, _ = _predictors(indicators, whole, target, day, shifts)
            nation = Situation(whole, target - whole.last, (target - whole.last,), own, own_names)
    return Situation(panel, steps, (steps,), predictors, names, nation), notes


def _predictors(
    indicators: Indicators | None, panel: Panel, target: int, day: np.datetime64, shifts: bool
) -> tuple[Floats | None, tuple[str, ...], tuple[str, ...]]:
    """Return changes of indicators that half the regions have in the target and in three years before it."""
    if indicators is None:
        return None, (), ()
    found = indicators.growth(panel.regions, range(int(panel.years[1]), target + 1), day, shifts=shifts)
    known = np.isfinite(found.values).mean(axis=1) >= 0.5  # (years, indicators)
    enough = known[len(panel.years) - 1 :].all(axis=0) & (known.sum(axis=0) >= LEAST_YEARS)
    names = tuple(n for n, ok in zip(indicators.names, enough, strict=True) if ok)
    lost = tuple(
        note("not known", name=n, year=target)
        for n in indicators.names if n not in names
    )  # fmt: skip
    return (found.values[:, :, enough] if names else None), names, (*found.notes, *lost)


def years_back(day: np.datetime64, years: int) -> np.datetime64:
    """Return the same day of an earlier year."""
    import pandas as pd

    return np.datetime64(pd.Timestamp(day) - pd.DateOffset(years=years), "D")


def _inventory_out(history: History, year: int) -> np.datetime64:
    """Return the day by which the inventory of the year before is out where no edition says it."""
    if any(e.published is not None for e in history.editions):
        return np.datetime64(f"{year}-12-31")
    return later(np.datetime64(f"{year}-01", "M"), history.lag).astype("datetime64[D]")


def scorable(truth: Panel) -> Panel:
    """Return the truth without what `cleaned` takes for errors: nothing is scored against them."""
    known, _ = cleaned(truth)
    same = np.isclose(known.values, truth.values, rtol=1e-12, atol=0.0)
    return Panel(truth.regions, truth.years, np.where(same, truth.values, np.nan))


def revision_notes(table: Any) -> list[str]:
    """Say which hindcasts go across a revision of statistics."""
    crossed = table[table["revision"]]["target"]
    return [
        note("revision", year=r.year, what=r.en, source=r.source) for r in REVISIONS
        if (crossed >= r.year).any()
    ]  # fmt: skip
