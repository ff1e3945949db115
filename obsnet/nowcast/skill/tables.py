"""Scores of hindcasts by model, step and region, against the baselines, and which model is used."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from obsnet.inventory.words import NATION
from obsnet.nowcast.skill.hindcast import BASELINES, SIMPLEST, Hindcast
from obsnet.nowcast.skill.scores import LEVELS, Paired, paired
from obsnet.typing import Floats

__all__ = ["PROVINCES", "score_table", "skill", "used_model"]

NOTHING = Paired(np.nan, np.nan, 0, np.nan)
PROVINCES = "provinces"  # all of them, in the column of regions


@dataclass(frozen=True, eq=False)
class _Means:
    """Mean CRPS of one step: (origins, models)."""

    models: list[str]
    values: Floats

    def lead(self, model: str, other: str, step: int) -> Paired:
        difference = self.values[:, self.models.index(model)] - self.values[:, self.models.index(other)]
        known = np.isfinite(difference)
        return paired(difference[known], step) if model != other and known.any() else NOTHING


def _means(rows: Any) -> dict[tuple[str, int], _Means]:
    """Return mean scores by region and step."""
    mean = rows.groupby(["region", "step", "origin", "model"])["crps"].mean().unstack()
    blocks = mean.groupby(level=["region", "step"])
    return {key: _Means(list(mean.columns), block.to_numpy()) for key, block in blocks}


def skill(table: Any, model: str, other: str, step: int | None = None) -> Paired:
    """Return the mean difference over years of the CRPS of two models, as a share of the truth, over all provinces.

    Parameters
    ----------
    table : pandas.DataFrame
        Of a `Hindcast`.
    model, other : str
        Negative: the first is better.
    step : int, optional
        One of the steps; else each step's difference counts relative to the other's mean score there.
    """
    rows = table[(table["region"] != NATION) | (table["region"].nunique() == 1)]
    mean = rows.groupby(["step", "origin", "model"])["crps"].mean().unstack()[[model, other]].dropna()
    if step is not None:
        mean = mean[mean.index.get_level_values("step") == step]
        difference = mean[model] - mean[other]
        return paired(difference.to_numpy(), step)
    relative = (mean[model] - mean[other]) / mean[other].groupby("step").transform("mean")
    return paired(
        relative.groupby("origin").mean().to_numpy(), int(mean.index.get_level_values("step").max())
    )


def used_model(table: Any) -> str:
    """Return the model that is used: the best over all steps of those that beat the simplest at the first step.

    A model beats the simplest where its mean score leads by more than the standard error of the lead. The first step
    is asked because later ones share their years.
    """
    first = int(table["step"].min())
    names = [
        m for m in dict.fromkeys(table["model"]) if m != SIMPLEST and skill(table, m, SIMPLEST, first).better
    ]
    leads = {m: skill(table, m, SIMPLEST).mean for m in names}
    best = min(leads, key=leads.__getitem__, default=SIMPLEST)
    return best if leads.get(best, 0.0) < 0.0 else SIMPLEST


def _coverage(part: Any, inside: list[str]) -> Any:
    """Return standard errors between years of coverages, and coverages without revisions, by region, step and model."""
    import pandas as pd

    keys = ["region", "step", "model"]
    yearly = part.groupby([*keys, "target"], sort=False)[inside].mean()
    spread = {
        key: [paired(block[c].to_numpy(), int(key[1])).sd for c in inside]
        for key, block in yearly.groupby(level=keys)
    }
    out = pd.DataFrame.from_dict(spread, orient="index", columns=[f"{c}_sd" for c in inside])
    out.index = pd.MultiIndex.from_tuples(out.index, names=keys)
    steady = part[~part["revision"].astype(bool)].groupby(keys, sort=False)[inside].mean()
    return out.join(steady.rename(columns=lambda c: c.replace("cover", "steady")))


def score_table(made: Hindcast, *, by_region: bool = True) -> Any:
    """Return scores.

    Parameters
    ----------
    made : Hindcast
    by_region : bool
        Rows of each region besides those of all provinces and of the nation.

    Returns
    -------
    pandas.DataFrame
        ``region`` (`PROVINCES`, `NATION` or a region), ``step, model, cases, years``, in per cent of the truth ``mae,
        crps, bias`` (of the median), shares ``cover80, cover90``, ``cover80_sd,
        cover90_sd`` (their standard errors between years), ``revised`` (cases across a revision of statistics),
        ``steady80, steady90`` (shares of the other cases),
        and against each baseline ``than_<baseline>, than_<baseline>_sd`` (mean difference of the CRPS, negative is
        better, and its standard error over years) and ``p_<baseline>``.
    """
    import pandas as pd

    table = made.table[made.table["truth"].notna()]
    inside = {
        f"cover{level * 100:.0f}": (table["truth"] >= table[f"low{level * 100:.0f}"])
        & (table["truth"] <= table[f"high{level * 100:.0f}"])
        for level in LEVELS
    }
    table = table.assign(
        mae=100.0 * table["error"].abs(), bias=100.0 * table["error"], score=100.0 * table["crps"], **inside
    )
    own = table[table["region"] != NATION]
    groups = [own.assign(region=PROVINCES), table[table["region"] == NATION], *([own] if by_region else [])]
    found = []
    for part in groups:
        if part.empty:
            continue
        sums = part.groupby(["region", "step", "model"], sort=False).agg(
            cases=("mae", "size"), years=("target", "nunique"), mae=("mae", "mean"), crps=("score", "mean"),
            bias=("bias", "mean"), **{c: (c, "mean") for c in inside}, revised=("revision", "sum"),
        )  # fmt: skip
        found.append(sums.join(_coverage(part, list(inside))).reset_index())
    out = pd.concat(found, ignore_index=True)
    means = {**_means(own.assign(region=PROVINCES)), **_means(table)}
    for base in BASELINES:
        keys = zip(out["region"], out["step"], out["model"], strict=True)
        pairs = [means[region, step].lead(model, base, step) for region, step, model in keys]
        name = base.replace(" ", "_")
        out[f"than_{name}"], out[f"than_{name}_sd"] = (
            [100.0 * p.mean for p in pairs],
            [100.0 * p.sd for p in pairs],
        )
        out[f"p_{name}"] = [p.p for p in pairs]
    return out
