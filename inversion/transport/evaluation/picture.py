"""The picture of an evaluation: pairs with their factors, cumulative distributions, means by station."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from inversion.transport.evaluation.scores import TracerScores, cumulative
from obsnet.atomic import atomic_path

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["draw"]

_COLORS = {"backward": "C0", "forward": "C1"}


def draw(
    table: pd.DataFrame,
    found: Mapping[str, Mapping[str, TracerScores]],
    unit: str,
    threshold: float,
    path: Path,
) -> Path:
    """Draw samples against each other and write the file.

    Parameters
    ----------
    table : pandas.DataFrame
        ``station, measured`` and a column a way, in `unit`.
    found : mapping
        Scores by way, then ``samples`` and ``stations``.
    unit, threshold
        Of the values.
    path : path
        PNG.
    """
    from matplotlib.figure import Figure

    figure = Figure(figsize=(12.0, 4.6), layout="constrained")
    pairs, steps, means = figure.subplots(1, 3)
    for way, scored in found.items():
        color = _COLORS[way]
        o, m = table["measured"].to_numpy(), table[way].to_numpy()
        seen = (o > threshold) | (m > threshold)
        o, m = o[seen], m[seen]
        s = scored["samples"]
        _pairs(
            pairs,
            o,
            m,
            color,
            f"{way}: R {s.correlation:.2f}, within 2 {s.factor_2:.0f} %, within 5 {s.factor_5:.0f} %",
        )
        values, below_o, below_m = cumulative(o, m)
        steps.step(
            values,
            100 * below_o,
            where="post",
            color="k",
            label=None if way != next(iter(found)) else "measured",
        )
        steps.step(values, 100 * below_m, where="post", color=color, label=f"{way}: KSP {s.ksp:.0f} %")
        by = table.groupby("station")[["measured", way]].mean()
        by = by[(by > threshold).any(axis=1)]
        t = scored["stations"]
        _pairs(
            means,
            by["measured"].to_numpy(),
            by[way].to_numpy(),
            color,
            f"{way}: R {t.correlation:.2f}, rank {t.rank:.2f}",
        )
    pairs.set(title="samples", xlabel=f"measured, {unit}", ylabel=f"modelled, {unit}")
    means.set(title="means by station", xlabel=f"measured, {unit}", ylabel=f"modelled, {unit}")
    steps.set(title="cumulative, pairs of two zeros left out", xlabel=unit, ylabel="%", xscale="symlog")
    for ax in (pairs, steps, means):
        ax.legend(fontsize=8)
    with atomic_path(path) as temporary:
        figure.savefig(temporary, dpi=120)
    return path


def _pairs(ax: Any, o: Any, m: Any, color: str, label: str) -> None:
    """Draw pairs on scales that show zeros at their foot, and the lines of factors 1, 2 and 5."""
    positive = np.concatenate([o[o > 0.0], m[m > 0.0]])
    foot, top = float(positive.min()), float(positive.max())
    ax.plot(
        np.maximum(o, 0.5 * foot), np.maximum(m, 0.5 * foot), ".", ms=4, alpha=0.6, color=color, label=label
    )
    line = np.array([foot, top])
    for factor, style in ((1.0, "-"), (2.0, "--"), (5.0, ":")):
        for f in {factor, 1.0 / factor}:
            ax.plot(line, f * line, style, color="0.6", lw=0.8)
    ax.set(xscale="log", yscale="log", xlim=(0.4 * foot, 2.0 * top), ylim=(0.4 * foot, 2.0 * top))
