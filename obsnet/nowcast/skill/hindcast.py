"""Models run again as of each earlier date, with what was known then; their skill, their use, their combination."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from obsnet.errors import FormatError
from obsnet.inventory.words import NATION
from obsnet.nowcast.inputs.panel import Panel
from obsnet.nowcast.models.trends import (
    DAMPED,
    DRIFT,
    LAST_GROWTH,
    PERSISTENCE,
    Shocks,
    draw_shocks,
    trend_paths,
)
from obsnet.nowcast.notes import note
from obsnet.nowcast.revisions import revised_between
from obsnet.nowcast.skill.events import Event
from obsnet.nowcast.skill.scores import LEVELS, crps, intervals, paired
from obsnet.typing import Floats
from obsnet.work.progress import progress

__all__ = [
    "BASELINES",
    "COMBINATION",
    "SIMPLEST",
    "Hindcast",
    "Model",
    "Situation",
    "combination_weights",
    "combined",
    "hindcast",
    "shocks_at",
    "trend_models",
]

SIMPLEST = "persistence"
BASELINES = (SIMPLEST, "last growth", "drift")
COMBINATION = "combination"
_FROM_THE_START = (SIMPLEST, "damped trend")
_FEW = 3  # years that a model has to run for, and a third of all, to be compared with the others
_PROVEN = 3  # years at the longest step before another model may join the combination


@dataclass(frozen=True, eq=False)
class Situation:
    """What was known at one time.

    Parameters
    ----------
    panel : Panel
        Cleaned: positive, without gaps.
    steps : int
        Years from its last to the last one asked for.
    scored : tuple of int
        Steps that are scored, from 1.
    predictors : ndarray or None
        Changes of indicators, shape (years - 1 + steps, regions, indicators).
    names : tuple of str
        Of the indicators.
    nation : Situation or None
        The same of the nation as it is stated itself.
    """

    panel: Panel
    steps: int
    scored: tuple[int, ...]
    predictors: Floats | None = None
    names: tuple[str, ...] = ()
    nation: Situation | None = None


Model = Callable[[Situation, Shocks], Floats]


def shocks_at(now: Situation, draws: int, seed: int) -> Shocks:
    """Return the random numbers of a situation, the same for every model."""
    return draw_shocks(now.steps, draws, len(now.panel.regions), (seed, now.panel.last, now.steps))


def trend_models() -> dict[str, Model]:
    """Return the models that need nothing but the past."""
    trends = {SIMPLEST: PERSISTENCE, "last growth": LAST_GROWTH, "drift": DRIFT, "damped trend": DAMPED}

    def model(name: str) -> Model:
        return lambda now, shocks: trend_paths(np.log(now.panel.values), trends[name], shocks)

    return {name: model(name) for name in trends}


@dataclass(frozen=True, eq=False)
class Hindcast:
    """What each model said before the truth was known, and the truth.

    Parameters
    ----------
    table : pandas.DataFrame
        ``origin, target, step, region`` (`NATION`: their sum), ``model, truth, value`` (median), ``low80, high80,
        low90, high90`` (Mt), ``error`` and ``crps`` (of the truth), ``revision`` (whether statistics were revised in
        between).
    events : pandas.DataFrame
        ``origin, target, step, region, model, event, probability, happened``.
    weights : pandas.DataFrame
        ``origin, model, weight`` of the combination.
    skills : dict
        Mean CRPS over the regions by (origin, step), by model.
    notes : tuple of str
        Origins or models left out.
    """

    table: Any
    events: Any
    weights: Any
    skills: Mapping[tuple[int, int], Mapping[str, float]]
    notes: tuple[str, ...]


def hindcast(
    situations: Sequence[Situation], truth: Panel, models: Mapping[str, Model], *, draws: int, seed: int,
    combine: bool = False, events: Sequence[Event] = (),
) -> Hindcast:  # fmt: skip
    """Run models as of earlier dates.

    Parameters
    ----------
    situations : sequence of Situation
        In order of time.
    truth : Panel
        Of the same regions; NaN where nothing is scored.
    models : mapping of str to Model
        By name; `SIMPLEST` is among them.
    draws, seed : int
        Draw k has the same luck in all models of an origin.
    combine : bool
        Add the combination, weighed by what was known at each origin.
    events : sequence of Event
        Given a probability by every model.

    Raises
    ------
    FormatError
        No origin at which all models could run.
    """
    import pandas as pd

    faults: dict[str, list[tuple[int, str]]] = {}
    made: list[
        dict[str, tuple[list[Any], list[Any]]]
    ] = []  # of each situation, by model: rows of scores, of events
    skills: dict[tuple[int, int], dict[str, float]] = {}
    weighed: list[tuple[int, str, float]] = []
    with progress(len(situations), "hindcasts") as advance:
        for now in situations:
            shocks = shocks_at(now, draws, seed)
            paths: dict[str, Floats] = {}
            for name, model in models.items():
                try:
                    paths[name] = model(now, shocks)
                except FormatError as fault:
                    faults.setdefault(name, []).append((now.panel.last + now.steps, str(fault)))
            if combine:
                shares = combination_weights(skills, list(paths), now)
                weighed += [(now.panel.last, n, w) for n, w in shares.items()]
                paths[COMBINATION] = combined(paths, shares)
            made.append({})
            for name, path in paths.items():
                values = np.exp(path)
                rows = [_scored(values[step - 1], now, step, truth, name) for step in now.scored]
                for step, frame in zip(now.scored, rows, strict=True):
                    mean = frame["crps"][: len(now.panel.regions)].mean()  # NaN where no truth is known
                    skills.setdefault((now.panel.last, step), {})[name] = float(mean)
                made[-1][name] = (rows, _happened(events, values, now, truth, name))
            advance(1)
    ran = {name: sum(name in m for m in made) for name in models}
    kept = [name for name in models if ran[name] >= min(len(situations), max(_FEW, len(situations) // 3))]
    notes = [
        note("could not run", model=name, n=len(f), all=len(situations), year=f[0][0], why=f[0][1])
        for name, f in faults.items()
    ]
    chosen = [k for k, m in enumerate(made) if kept and all(name in m for name in kept)]
    if not chosen:
        why = "; ".join(notes) or "too few years of inventories"
        raise FormatError(f"no earlier year can be hindcast: {why}")
    left = [str(n.panel.last + n.steps) for k, n in enumerate(situations) if k not in chosen]
    if left:
        notes.append(note("same years", years=", ".join(left)))
    names = [*kept, COMBINATION] if combine else kept
    scored, happened = ([t for k in chosen for name in names for t in made[k][name][i]] for i in (0, 1))
    return Hindcast(
        pd.concat(scored, ignore_index=True),
        pd.concat(happened, ignore_index=True) if happened else pd.DataFrame(),
        pd.DataFrame(weighed, columns=["origin", "model", "weight"]),
        skills,
        tuple(notes),
    )


def _with_sum(values: Floats) -> Floats:
    return np.concatenate([values, values.sum(axis=-1, keepdims=True)], axis=-1)


def _scored(values: Floats, now: Situation, step: int, truth: Panel, model: str) -> Any:
    """Return the rows of one model, origin and step; values (draws, regions) in Mt."""
    import pandas as pd

    target = now.panel.last + step
    true = _with_sum(truth.at(target))
    ranked = np.sort(_with_sum(values), axis=0)
    found = intervals(ranked)
    columns = {
        "origin": now.panel.last, "target": target, "step": step, "region": [*now.panel.regions, NATION],
        "model": model,
        "truth": true, "value": found[0],
        **{f"{side}{level * 100:.0f}": found[1 + 2 * i + j] for i, level in enumerate(LEVELS)
           for j, side in enumerate(("low", "high"))},
        "error": found[0] / true - 1.0, "crps": crps(ranked, true) / true,
        "revision": bool(revised_between(now.panel.last, target)),
    }  # fmt: skip
    frame = pd.DataFrame(columns)
    return frame if len(now.panel.regions) > 1 else frame[:-1]


def _happened(events: Sequence[Event], values: Floats, now: Situation, truth: Panel, model: str) -> list[Any]:
    """Return the table of one model and origin: probabilities of events, and whether they happened."""
    import pandas as pd

    if not events:
        return []
    last, past, regions = now.panel.last, now.panel.values, now.panel.regions
    true = np.stack([truth.at(last + h) for h in range(1, now.steps + 1)])
    decided = np.stack([np.isfinite(true[: e.step]).all(axis=0) for e in events])
    steps = np.repeat([e.step for e in events], len(regions))
    columns = {
        "origin": last, "target": last + steps, "step": steps, "region": list(regions) * len(events), "model": model,
        "event": np.repeat(np.array([e.name for e in events], dtype=object), len(regions)),
        "probability": np.concatenate([e.happens(values, past).mean(axis=0) for e in events]),
        "happened": np.where(decided, [e.happens(true, past) for e in events], np.nan).ravel(),
    }  # fmt: skip
    return [pd.DataFrame(columns)]


def combination_weights(
    skills: Mapping[tuple[int, int], Mapping[str, float]], members: Sequence[str], now: Situation
) -> dict[str, float]:
    """Return the weights of the models at an origin, from hindcasts whose truth was known by then.

    Persistence and the damped trend take part from the start; the latter leaves when it is shown to be worse. Others
    join once they are shown to be better than persistence at every step asked for, over three years at the least.
    Weights are inverse squares of the CRPS relative to all members' (as of mean square errors: Bates and Granger 1969,
    doi:10.1057/jors.1969.103).
    """
    known = {
        key: s for key, s in sorted(skills.items()) if sum(key) <= now.panel.last and np.isfinite(s[SIMPLEST])
    }
    shares: dict[str, float] = {}
    for name in members:
        mine = {key: s for key, s in known.items() if name in s}
        tests = [
            paired(np.array([s[name] - s[SIMPLEST] for key, s in mine.items() if key[1] == step]), step)
            for step in now.scored
        ]
        if name in _FROM_THE_START:
            part = name == SIMPLEST or not any(t.worse for t in tests)
        else:
            part = all(t.better and t.count >= _PROVEN for t in tests)
        if part:
            relative = [s[name] / np.mean([v for m, v in s.items() if m in members]) for s in mine.values()]
            shares[name] = float(np.mean(relative)) ** -2 if relative else 1.0
    total = sum(shares.values())
    return {n: w / total for n, w in shares.items()}


def combined(paths: Mapping[str, Floats], weights: Mapping[str, float]) -> Floats:
    """Return the weighted mean of paths, draw by draw.

    Draws of the same number have the same luck, so that their mean averages quantiles and keeps a path a path.
    """
    parts = [weight * paths[name] for name, weight in weights.items()]
    return np.asarray(sum(parts[1:], start=parts[0]))
