"""Emissions of years to come: an ensemble of trends and, with a scenario, a regression; targets, peaks, warnings."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from obsnet.errors import ConfigError, FormatError
from obsnet.nowcast.inputs.history import History
from obsnet.nowcast.inputs.indicators import Indicators
from obsnet.nowcast.inputs.panel import LEAST_YEARS, Panel, cleaned
from obsnet.nowcast.models.regression import regression_paths
from obsnet.nowcast.models.trends import Shocks
from obsnet.nowcast.notes import note
from obsnet.nowcast.rapid import revision_notes, scorable
from obsnet.nowcast.skill.events import CHANGES, Event, TargetAlarm, alarm, exceeds, met, peaked
from obsnet.nowcast.skill.hindcast import (
    COMBINATION,
    Hindcast,
    Situation,
    combination_weights,
    combined,
    hindcast,
    shocks_at,
    trend_models,
)
from obsnet.nowcast.skill.scores import brier, reliability
from obsnet.nowcast.skill.tables import score_table, used_model
from obsnet.typing import Floats

__all__ = ["KAYA", "EmissionForecast", "Target", "forecast", "read_target"]

KAYA = "Kaya regression"


@dataclass(frozen=True)
class Target:
    """An upper bound of a year.

    Parameters
    ----------
    region : str or None
        Adcode or key; None: each region.
    year : int
    value : float
        Mt, or a change from the last inventory as a share.
    relative : bool
        Which of the two.
    """

    region: str | None
    year: int
    value: float
    relative: bool

    def __str__(self) -> str:
        if self.relative:
            return f"{self.year}={100 * self.value:+g}%"
        return f"{self.region}:{self.year}={self.value:g} Mt"

    def change(self, last: Floats) -> Floats:
        """Return the bound as a change from the last values (regions,), as a share."""
        return np.full(len(last), self.value) if self.relative else self.value / last - 1.0


def read_target(text: str) -> Target:
    """Read ``2025=-5%`` (each region, against its last inventory) or ``河北:2025=900`` (Mt).

    Raises
    ------
    ConfigError
        Neither.

    Examples
    --------
    >>> read_target("2025=-5%")
    Target(region=None, year=2025, value=-0.05, relative=True)
    >>> read_target("Hebei:2025=900").region
    '130000'
    """
    from obsnet.inventory.words import province_or_own

    found = re.fullmatch(r"(?:(.+):)?\s*(\d{4})\s*=\s*([+-]?\d+(?:\.\d+)?)\s*(%?)", text.strip())
    if found is None:
        raise ConfigError(f"target {text!r}: write 2025=-5% or Hebei:2025=900 (Mt)")
    region, year, number, percent = found.groups()
    if not percent and not region:
        raise ConfigError(
            f"target {text!r}: a bound in Mt is of one region; write REGION:{year}={number}, or a change in %"
        )
    value = float(number) * (0.01 if percent else 1.0)
    return Target(province_or_own(region) if region else None, int(year), value, bool(percent))


@dataclass(frozen=True, eq=False)
class EmissionForecast:
    """Emissions of years to come, and how good such forecasts were.

    Parameters
    ----------
    regions : tuple of str
    last : int
        Last year with an inventory.
    model : str
        Used.
    weights : dict of str to float
        Of the combination, now.
    draws : ndarray, shape (steps, draws, regions)
        Mt.
    hindcast : Hindcast
    scores : pandas.DataFrame
    reliability : pandas.DataFrame
        Of the model used, over `CHANGES` at all steps.
    brier : float
        Its mean square error of these probabilities.
    chances : pandas.DataFrame
        ``event, asked, region, year, bound`` (Mt), ``probability`` (of a target met, of a peak passed), ``warning``
        (yes, no, or empty where none can be given); and of such events in hindcasts, all regions together: ``cases,
        years, said`` (mean probability), ``happened`` (share), ``brier, false_alarms`` (share of the targets met that
        were warned of), ``false_warnings`` (share of the warnings), ``hits`` (share of the targets missed that were
        warned of).
    category, gas : str
    notes : tuple of str
    """

    regions: tuple[str, ...]
    last: int
    model: str
    weights: dict[str, float]
    draws: Floats
    hindcast: Hindcast
    scores: Any
    reliability: Any
    brier: float
    chances: Any
    category: str
    gas: str
    notes: tuple[str, ...]


def forecast(
    history: History,
    *,
    steps: int = 5,
    targets: Sequence[Target] = (),
    peak: int | None = None,
    scenario: Indicators | None = None,
    threshold: float = 0.7,
    since: int | None = None,
    draws: int = 1000,
    seed: int = 0,
) -> EmissionForecast:
    """Forecast, and forecast again from every earlier year.

    Parameters
    ----------
    history : History
    steps : int
        Years ahead.
    targets : sequence of Target
    peak : int, optional
        Year: the chance that no later year of the forecast exceeds all up to it.
    scenario : Indicators, optional
        GDP, energy mix or others of past years and of those to come; hindcasts take what they really became, so that
        the regression's score is that of a scenario that comes true.
    threshold : float
        Probability of missing a target from which on it is warned of.
    since : int, optional
        First year that is hindcast.
    draws, seed : int

    Raises
    ------
    ConfigError
        A target or peak outside the forecast.
    FormatError
        Too few years for a hindcast of so many steps.
    """
    truth = history.at()
    panel, notes = cleaned(truth)
    first = max(int(truth.years[0]) + LEAST_YEARS, since or 0) - 1
    longest = truth.last - first
    if steps > longest:
        raise FormatError(
            f"{steps} years ahead cannot be hindcast from inventories of {truth.years[0]}-{truth.last}: the longest "
            f"from {first} on is {longest}"
        )
    _refuse_outside(targets, peak, panel, steps)
    models = trend_models()
    said: list[str] = []
    if scenario is not None:
        models[KAYA] = _kaya
    now, more = _situation(panel, truth, steps, scenario)
    said += more
    earlier = [
        _situation(cleaned(history.first(y))[0], truth, steps, scenario)[0] for y in range(first, truth.last)
    ]
    events = [exceeds(h, c) for h in range(1, steps + 1) for c in CHANGES]
    events += [
        _named(met(t.year - truth.last, _bound(t, panel)), f"target {k}") for k, t in enumerate(targets)
    ]
    if peak is not None:
        events.append(peaked(peak - truth.last, steps))
    how: dict[str, Any] = {"draws": draws, "seed": seed}
    made = hindcast(earlier, scorable(truth), models, combine=True, events=events, **how)
    missing = [
        h for h in range(1, steps + 1) if made.table[made.table["step"] == h]["truth"].notna().sum() == 0
    ]
    if missing:
        raise FormatError(f"no hindcast reaches {missing[0]} years ahead; fewer --steps")
    model = used_model(made.table)
    paths = {}
    for name in dict.fromkeys(made.table["model"]):
        if name != COMBINATION:
            paths[name] = models[name](now, shocks_at(now, draws, seed))
    weights = combination_weights(made.skills, list(paths), now)
    paths[COMBINATION] = combined(paths, weights)
    values = np.exp(paths[model])
    mine = made.events[(made.events["model"] == model) & made.events["happened"].notna()]
    shown = mine[mine["event"].str.startswith("above")]
    chances = _chances(values, panel, targets, peak, mine, threshold, events)
    said += [*made.notes, *revision_notes(made.table)]
    if scenario is not None:
        said.append(note("scenario", model=KAYA))
    return EmissionForecast(
        panel.regions, truth.last, model, weights, values, made, score_table(made), reliability(shown),
        brier(shown["probability"].to_numpy(), shown["happened"].to_numpy()), chances, history.category,
        history.gas, tuple(dict.fromkeys([*history.notes, *notes, *said])),
    )  # fmt: skip


def _refuse_outside(targets: Sequence[Target], peak: int | None, panel: Panel, steps: int) -> None:
    """Refuse targets and peaks of years or regions that the forecast does not have."""
    span = f"the forecast {panel.last + 1}-{panel.last + steps}"
    for target in targets:
        if not panel.last < target.year <= panel.last + steps:
            raise ConfigError(f"target: {target.year} is not within {span}; more --steps reach further")
        if target.region is not None and target.region not in panel.regions:
            raise ConfigError(f"a target of {target.region}, which the inventory does not have")
    if peak is not None and not panel.last < peak < panel.last + steps:
        raise ConfigError(
            f"peak: {peak} is not within {span} with years after it; more --steps reach further"
        )


def _situation(
    panel: Panel, truth: Panel, steps: int, scenario: Indicators | None
) -> tuple[Situation, list[str]]:
    """Return what is known at the end of a panel; steps beyond the truth are not scored."""
    scored = tuple(h for h in range(1, steps + 1) if panel.last + h <= truth.last or panel.last == truth.last)
    if scenario is None:
        return Situation(panel, steps, scored), []
    years = range(int(panel.years[1]), panel.last + steps + 1)
    end = max(r.published for rows in scenario.rows.values() for r in rows)
    found = scenario.growth(panel.regions, years, end)
    for k, name in enumerate(scenario.names):
        empty = np.isnan(found.values[-steps:, :, k]).all(axis=1)
        if empty.any():
            raise FormatError(
                f"scenario: {name} of {panel.last + 1 + int(empty.argmax())} is known of no region; it has to reach "
                f"{panel.last + steps}, year by year"
            )
    return Situation(panel, steps, scored, found.values, scenario.names), list(found.notes)


def _kaya(now: Situation, shocks: Shocks) -> Floats:
    assert now.predictors is not None
    return regression_paths(np.log(now.panel.values), now.predictors, shocks)


def _named(event: Event, name: str) -> Event:
    return Event(name, event.step, event.happens)


def _bound(target: Target, panel: Panel) -> Floats | float:
    """Return a target as a change from the last value: in hindcasts the same change over as many years."""
    if target.relative:
        return target.value
    return float(target.value / panel.values[-1][panel.regions.index(str(target.region))] - 1.0)


def _chances(
    values: Floats,
    panel: Panel,
    targets: Sequence[Target],
    peak: int | None,
    mine: Any,
    threshold: float,
    events: Sequence[Event],
) -> Any:
    """Return the table of probabilities and warnings."""
    import pandas as pd

    by_name = {e.name: e for e in events}
    asked: list[tuple[str, Target]] = [(f"target {k}", t) for k, t in enumerate(targets)]
    if peak is not None:
        asked.append(("peak", Target(None, peak, np.nan, relative=True)))
    tables = []
    for name, target in asked:
        chance = by_name[name].happens(values, panel.values).mean(axis=0)
        seen = mine[mine["event"] == name]
        rate = alarm(seen, threshold)
        bound = (1.0 + target.change(panel.values[-1])) * panel.values[-1]
        table = pd.DataFrame(
            {
                "event": name, "asked": str(target) if name != "peak" else f"peak by {target.year}",
                "region": panel.regions, "year": target.year, "bound": bound, "probability": chance,
                "warning": _warnings(chance, rate) if name != "peak" else "", "cases": len(seen),
                "years": seen["target"].nunique(), "said": seen["probability"].mean(),
                "happened": seen["happened"].mean(),
                "brier": brier(seen["probability"].to_numpy(), seen["happened"].to_numpy()),
                "false_alarms": rate.false_alarm_rate, "false_warnings": rate.false_among_warnings,
                "hits": rate.hit_rate,
            }
        )  # fmt: skip
        tables.append(table if target.region is None else table[table["region"] == target.region])
    return pd.concat(tables, ignore_index=True) if tables else pd.DataFrame()


def _warnings(chance: Floats, rate: TargetAlarm) -> list[str]:
    """Return whether a target is warned of in each region; empty where the rule's false alarms are not known."""
    return [("yes" if 1.0 - c >= rate.threshold else "no") if rate.usable else "" for c in chance]
