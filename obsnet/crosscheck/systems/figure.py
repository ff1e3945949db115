"""The picture of a comparison of systems: totals with their own errors, and both spreads beside each other."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import numpy as np

from obsnet.crosscheck.systems.words import sentence
from obsnet.language import Language

__all__ = ["spread_figure", "write_spread_figures"]

_COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000", "#999999")
_MARKS = "osD^vPX*"
_MOST = 15


def spread_figure(systems: Any, spread: Any, language: Language = "en") -> Any:
    """Draw one gas, quantity and period.

    Parameters
    ----------
    systems, spread : pandas.DataFrame
        From `obsnet.crosscheck.systems.spread`, rows of one gas, quantity and period; the `_MOST` regions with the
        largest mean are drawn. Where all totals have one sign the difference from the mean is shown in percent.
    language : {"en", "zh"}
        Of all text.

    Returns
    -------
    matplotlib.figure.Figure
    """
    from obsnet.drawing.figures import subplots

    order = spread["mean"].abs().sort_values(ascending=False).index[:_MOST]
    shown = spread.loc[order].iloc[::-1].reset_index(drop=True)
    place = {r: k for k, r in enumerate(shown["region"])}
    rows = systems[systems["region"].isin(place)]
    first = shown.iloc[0]
    relative = bool((rows["total"] > 0).all() or (rows["total"] < 0).all())
    middle = dict(zip(shown["region"], shown["mean"], strict=True))
    names = list(dict.fromkeys(rows["system"]))
    figure, (left, right) = subplots(
        1, 2, figsize=(10, 1.9 + 0.34 * len(shown) + 0.06 * len(names)), width_ratios=(3, 2), sharey=True,
        layout="constrained",
    )  # fmt: skip

    def scaled(value: float, region: str, zero: float = 0.0) -> float:
        return 100.0 * (value - zero) / abs(middle[region]) if relative else value

    for n, name in enumerate(names):
        mine = rows[rows["system"] == name]
        at = [place[r] + 0.6 * (0.5 - (n + 0.5) / len(names)) for r in mine["region"]]
        value = [scaled(r["total"], r["region"], middle[r["region"]]) for r in mine.to_dict("records")]
        width = np.nan_to_num([scaled(r["sd"], r["region"]) for r in mine.to_dict("records")])
        colour, mark = _COLOURS[n % len(_COLOURS)], _MARKS[n % len(_MARKS)]
        left.errorbar(value, at, xerr=width, fmt="none", ecolor=colour, capsize=2, lw=1)
        for hollow in (False, True):
            those = [k for k, r in enumerate(mine["resolved"]) if (r is False) == hollow]
            left.plot(
                [value[k] for k in those], [at[k] for k in those], mark, color=colour, ms=5,
                mfc="white" if hollow else colour, label=None if hollow else _safe(name), ls="none",
            )  # fmt: skip
    left.axvline(0.0, color="0.6", lw=0.8, zorder=0)
    left.set_yticks(range(len(shown)), [_safe(n) for n in shown[f"name_{language}"]])
    left.set_ylim(-0.6, len(shown) - 0.4)
    left.set_xlabel(sentence("relative" if relative else "axis", language, gas=first["gas"]))
    for key, shift, colour in (("within", 0.18, "#999999"), ("between", -0.18, "#D55E00")):
        bars = [scaled(r[f"{key}_sd"], r["region"]) for r in shown.to_dict("records")]
        right.barh(
            np.arange(len(shown)) + shift,
            np.nan_to_num(bars),
            0.34,
            color=colour,
            label=sentence(key, language),
        )
    right.set_xlabel(sentence("spreads relative" if relative else "spreads", language, gas=first["gas"]))
    figure.legend(
        *left.get_legend_handles_labels(), loc="outside lower left", fontsize=8, ncol=6, frameon=False
    )
    figure.legend(*right.get_legend_handles_labels(), loc="outside lower right", fontsize=8, frameon=False)
    for axes in (left, right):
        axes.grid(axis="x", color="0.9", lw=0.6)
        axes.set_axisbelow(True)
    title = sentence("title", language, gas=first["gas"], quantity=first["quantity"], period=first["period"])
    more = sentence("some", language, shown=len(shown), all=len(spread)) if len(shown) < len(spread) else ""
    left.set_title(f"{title}{'; ' if more else ''}{more}", fontsize=10, loc="left")
    right.set_title(sentence("bars", language), fontsize=8, loc="right")
    return figure


def write_spread_figures(systems: Any, spread: Any, folder: Path, language: Language = "en") -> list[Path]:
    """Write a picture for each gas, quantity and period; return their paths."""
    from obsnet.atomic import atomic_path
    from obsnet.drawing.fonts import use_fonts

    use_fonts()  # names of systems may be Chinese in either language
    written = []
    columns = ["gas", "quantity", "period"]
    for (gas, quantity, period), group in spread.groupby(columns, sort=False):
        mine = systems[(systems[columns] == [gas, quantity, period]).all(axis=1)]
        figure = spread_figure(mine, group, language)
        name = re.sub(r"[^A-Za-z0-9.-]+", "_", f"compare_{gas}_{quantity}_{period}")
        target = folder / f"{name}.png"
        with atomic_path(target) as temporary:
            figure.savefig(temporary, dpi=110, format="png")
        written.append(target)
    return written


def _safe(name: str) -> str:
    """Return a name as plain text: a dollar sign would begin a formula."""
    return str(name).replace("$", r"\$")
