"""Pictures of twin experiments and designs: error reduction by province, stations, gain by number of choices."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from inversion.study.designs.design import Design
from inversion.study.study import Study
from inversion.study.words import ASSUMED, NATIONAL, draw_in, say
from obsnet.language import Language
from obsnet.typing import Floats

__all__ = ["Drawn", "design_picture", "scenario_picture", "truth_picture"]

_CMAP = "viridis"


def _provinces(axes: Any, regions: Sequence[str], values: Floats, norm: Any) -> None:
    """Fill provinces by value."""
    import matplotlib as mpl
    from matplotlib.colors import to_hex

    from obsnet.drawing.maps import region_map

    shades = mpl.colormaps[_CMAP]
    region_map(
        axes, {k: to_hex(shades(norm(v))) for k, v in zip(regions, values, strict=True) if np.isfinite(v)}
    )


def _stations(axes: Any, positions: Mapping[str, tuple[float, float]], **style: Any) -> None:
    import cartopy.crs as ccrs

    if positions:
        lat, lon = np.array(list(positions.values())).T
        axes.scatter(lon, lat, transform=ccrs.PlateCarree(), zorder=6, **style)


@dataclass(frozen=True, eq=False)
class Drawn:
    """What a map of a scenario shows.

    Parameters
    ----------
    name : str
        The user's.
    regions : tuple of str
    positions : dict of str to (lat, lon)
        Stations.
    reduction : ndarray, shape (regions,)
        0 to 1.
    """

    name: str
    regions: tuple[str, ...]
    positions: dict[str, tuple[float, float]]
    reduction: Floats


def _colour_bar(figure: Any, axes: Any, norm: Any, language: Language) -> None:
    import matplotlib as mpl

    shade = mpl.cm.ScalarMappable(norm, _CMAP)
    figure.colorbar(shade, ax=axes, shrink=0.7, pad=0.02, label=say("reduction", language))


def scenario_picture(
    studies: Sequence[Drawn],
    language: Language = "en",
    ranked: Sequence[Mapping[str, Any]] = (),
) -> bytes:
    """Draw the error reduction of each province, one map a scenario.

    Parameters
    ----------
    studies : sequence of Drawn
    language : {"en", "zh"}
        Of labels; names of scenarios are the user's.
    ranked : sequence of mapping
        Rows of the table of scenarios, whose ranks and ties are put before their names.

    Returns
    -------
    bytes
        PNG.
    """
    from matplotlib.colors import Normalize

    from obsnet.drawing.figures import figure_png, new_figure
    from obsnet.drawing.maps import map_axes

    draw_in(language)
    rank = {r["scenario"]: r["rank"] for r in ranked if r["truth"] == ASSUMED}
    columns = min(len(studies), 3)
    rows = -(-len(studies) // columns)
    figure = new_figure((5.2 * columns + 1.0, 4.2 * rows), layout="constrained")
    places = figure.add_gridspec(rows, columns)
    norm = Normalize(0.0, 100.0)
    drawn = []
    for number, study in enumerate(studies):
        axes = map_axes(figure, places[number // columns, number % columns])
        drawn.append(axes)
        is_province = np.array([r != NATIONAL for r in study.regions])
        kept = [r for r in study.regions if r != NATIONAL]
        _provinces(axes, kept, 100.0 * study.reduction[is_province], norm)
        _stations(axes, study.positions, s=14, c="#D55E00", edgecolors="white", linewidths=0.5)
        title = f"{rank[study.name]}  {study.name}" if len(rank) > 1 else study.name
        if not is_province.all():
            share = 100.0 * float(study.reduction[~is_province][0])
            title = say("reduction of China", language, name=title, share=share)
        axes.set_title(title, fontsize=10)
    _colour_bar(figure, drawn, norm, language)
    return figure_png(figure)


def design_picture(
    study: Study,
    design: Design,
    existing: Sequence[str],
    tied: Sequence[str] = (),
    language: Language = "en",
) -> bytes:
    """Draw the chosen network on the error reduction of each province, and what each choice brought.

    Parameters
    ----------
    study : Study
        Gives regions and positions.
    design : Design
        With its steps.
    existing : sequence of str
        Candidates that are there.
    tied : sequence of str
        Candidates that were as good as the first choice.
    language : {"en", "zh"}
        Of labels.

    Returns
    -------
    bytes
        PNG.
    """
    import cartopy.crs as ccrs
    from matplotlib.colors import Normalize

    from obsnet.drawing.figures import figure_png, new_figure
    from obsnet.drawing.maps import map_axes

    draw_in(language)
    figure = new_figure((12.5, 5.4), layout="constrained")
    places = figure.add_gridspec(1, 2, width_ratios=(1.7, 1.0))
    axes = map_axes(figure, places[0, 0])
    norm = Normalize(0.0, 100.0)
    kept = [r for r in study.regions if r != NATIONAL]
    inside = np.array([r != NATIONAL for r in study.regions])
    _provinces(axes, kept, 100.0 * design.reduction()[inside], norm)
    _colour_bar(figure, axes, norm, language)
    there = {k: study.positions[k] for k in existing if k in study.positions}
    others = {k: v for k, v in study.positions.items() if k not in there and k not in design.chosen}
    _stations(
        axes, others, s=8, c="white", edgecolors="0.3", linewidths=0.4, label=say("candidate", language)
    )
    _stations(
        axes,
        there,
        s=40,
        c="0.1",
        marker="^",
        edgecolors="white",
        linewidths=0.6,
        label=say("existing", language),
    )
    equal = {k: study.positions[k] for k in tied if k in study.positions}
    ring = {"s": 120, "facecolors": "none", "edgecolors": "#CC79A7", "linewidths": 1.6}
    _stations(axes, equal, **ring, label=say("tied first", language))
    chosen = {k: study.positions[k] for k in design.chosen if k in study.positions}
    _stations(
        axes,
        chosen,
        s=90,
        c="#D55E00",
        edgecolors="white",
        linewidths=0.8,
        label=say("chosen, in order", language),
    )
    for number, label in enumerate(design.chosen):
        if label in study.positions:
            lat, lon = study.positions[label]
            axes.text(
                lon,
                lat,
                str(number + 1),
                transform=ccrs.PlateCarree(),
                ha="center",
                va="center",
                fontsize=6,
                color="white",
                zorder=7,
            )
    if study.positions:
        axes.legend(loc="lower left", fontsize=8)
    criterion = say(design.criterion, language)
    axes.set_title(say("chosen by", language, criterion=criterion), fontsize=10)
    _curves(figure.add_subplot(places[0, 1]), design, language)
    return figure_png(figure)


def _curves(axes: Any, design: Design, language: Language) -> None:
    """Draw all three criteria against the number of choices, each as a share of its last value."""
    x = np.arange(len(design.steps))
    curves = (
        ("information", "nats", "#0072B2", [s.information for s in design.steps]),
        ("dofs", "count", "#009E73", [s.dofs for s in design.steps]),
    )
    for name, unit, colour, values in curves:
        last = values[-1]
        label = say(unit, language, name=say(name, language), last=last)
        axes.plot(x, np.array(values) / (last if last > 0.0 else 1.0), "o-", ms=3, color=colour, label=label)
    target = [s.target for s in design.steps]
    axes.plot(x, target, "s--", ms=3, color="#D55E00", label=say("target curve", language))
    axes.set_xlabel(say("candidates added", language))
    axes.set_ylim(0.0, 1.05)
    axes.grid(alpha=0.3)
    axes.legend(fontsize=8, loc="center right")


def truth_picture(scenarios: Sequence[Mapping[str, Any]], language: Language = "en") -> bytes:
    """Draw what is stated of China's total, and what is true of it, for each scenario under each truth.

    Parameters
    ----------
    scenarios : sequence of mapping
        Rows of the table of scenarios.
    language : {"en", "zh"}
        Of labels; names of scenarios and truths are the user's.

    Returns
    -------
    bytes
        PNG.
    """
    from matplotlib import colormaps

    from obsnet.drawing.figures import figure_png, subplots

    draw_in(language)
    names = list(dict.fromkeys(str(r["scenario"]) for r in scenarios))
    truths = list(dict.fromkeys(str(r["truth"]) for r in scenarios))
    national = all(r["national_sd"] is not None for r in scenarios)
    figure, axes = subplots(
        1, 2, figsize=(11.0, 1.6 + 0.22 * len(names) * len(truths)), layout="constrained", sharey=True
    )
    colours = colormaps["tab10"]
    place = np.arange(len(names), dtype=float)[::-1]
    for k, truth in enumerate(truths):
        rows = {str(r["scenario"]): r for r in scenarios if r["truth"] == truth}
        y = place + 0.36 - 0.72 * k / max(len(truths) - 1, 1)
        if national:
            label = say(truth, language) if truth == ASSUMED else truth
            axes[0].plot([rows[n]["national_true_sd"] for n in names], y, "o", color=colours(k), label=label)
            if k == 0:
                for n, p in zip(names, place, strict=True):
                    axes[0].plot([rows[n]["national_sd"]] * 2, [p - 0.42, p + 0.42], color="0.2", lw=2)
        axes[1].plot(100 * np.array([rows[n]["totals_inside_95"] for n in names]), y, "o", color=colours(k))
    rank = {r["scenario"]: r["rank"] for r in scenarios if r["truth"] == ASSUMED}
    axes[0].set_yticks(place, [f"{rank[n]}  {n}" if len(names) > 1 else n for n in names])
    axes[0].set_xlabel(say("error of China", language))
    axes[0].set_xlim(left=0.0)
    axes[1].axvline(95.0, color="0.2", lw=2)
    axes[1].set_xlabel(say("inside", language))
    for one in axes:
        one.grid(axis="x", alpha=0.3)
    figure.legend(
        *axes[0].get_legend_handles_labels(),
        loc="outside lower center",
        ncols=min(len(truths), 3),
        fontsize=8,
    )
    return figure_png(figure)
