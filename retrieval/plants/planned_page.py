"""A planned plant on one page: what could be seen from space and, by their footprints, from stations."""

from __future__ import annotations

import io
import math
from pathlib import Path
from typing import Any

import numpy as np

from obsnet.drawing.fonts import use_fonts
from obsnet.language import Language, Words
from obsnet.places import place_words
from retrieval.plants.footprints import NetworkView, StationView
from retrieval.plants.options import PlannedTable
from retrieval.plants.page import render
from retrieval.plants.planned import Visibility
from retrieval.plants.words import say

__all__ = ["planned_figure", "planned_lines", "planned_notes", "write_planned_page"]

_BLUE, _ORANGE, _GREY = "#0072B2", "#D55E00", "#767676"  # Okabe & Ito
_MOST = 12  # stations in the picture


def planned_notes(network: NetworkView | None) -> list[Words]:
    """Return what has to be known beside the numbers."""
    keys = ["p_note_scenes"] + (["p_note_cell", "p_note_background"] if network else [])
    return [Words(say(k, "en"), say(k, "zh")) for k in keys]


def planned_lines(
    options: PlannedTable, found: list[Visibility], network: NetworkView | None, language: Language
) -> list[str]:
    """Return what is said first: a line a wind, and one of the stations."""
    lines = []
    for v in found:
        scenes = (
            say("p_sum_scenes", language, found=v.found, accepted=v.accepted, scenes=v.scenes)
            if v.scenes
            else ""
        )
        lines.append(
            say(
                "p_sum_images",
                language,
                wind=f"{v.wind:g}",
                verdict=say(v.verdict, language),
                largest=f"{v.largest:.2f}",
                error=f"{v.error:.2f}",
                limit=f"{v.limit:.0f}",
                scenes=scenes,
            )
        )
    if network is not None:
        best = network.stations[0]
        lines.append(
            say(
                "p_sum_stations",
                language,
                n=len(network.stations),
                verdict=_verdict(network.together, language),
                limit=_limit(network.together, language),
                best=best.source,
                best_limit=_limit(best, language),
            )
        )
    return lines


def write_planned_page(
    path: Path, options: PlannedTable, found: list[Visibility], network: NetworkView | None
) -> Path:
    """Write the page: no script, no reference to anything outside, every text escaped."""
    language = options.language
    caption = say("p_caption", language)
    if network is not None:
        caption = say("p_caption_stations", language, images=caption)
    return render(
        path,
        language,
        title=say("p_title", language, name=options.name),
        sub=say("p_sub", language, rate=f"{options.emission:.0f}"),
        caption=caption,
        facts=[
            (say("place", language), place_words(options.latitude, options.longitude).said(language)),
            (say("p_emission", language), f"{options.emission:.0f}"),
        ],
        summary=planned_lines(options, found, network, language),
        picture=_png(options, found, network, language),
        tables=_tables(options, found, network, language),
        notes=planned_notes(network),
    )


def _tables(
    options: PlannedTable, found: list[Visibility], network: NetworkView | None, language: Language
) -> list[dict[str, Any]]:
    def heads(*keys: str) -> list[str]:
        return [say(f"p_{k}", language) for k in keys]

    tables = [
        {
            "title": say("p_images", language),
            "text": "",
            "heads": heads("wind", "largest", "at", "error", "limit", "said", "found"),
            "rows": [
                [
                    f"{v.wind:g}", f"{v.largest:.2f}", f"{v.at_km:.0f}", f"{v.error:.2f}", f"{v.limit:.0f}",
                    say(v.verdict, language), f"{v.found} / {v.accepted} / {v.scenes}" if v.scenes else "–",
                ]
                for v in found
            ],
        }
    ]  # fmt: skip
    if network is not None:
        text = say(
            "p_stations_text",
            language,
            model=network.model,
            km=f"{network.cell_km:.0f}",
            error=options.station_error,
        )
        rows = [_station(v, v.source, language) for v in network.stations]
        tables.append(
            {
                "title": say("p_stations", language),
                "text": text,
                "heads": heads("station", "observations", "largest", "mean", "above", "limit", "said"),
                "rows": [*rows, _station(network.together, say("p_all", language), language)],
            }
        )
    return tables


def _station(v: StationView, name: str, language: Language) -> list[str]:
    return [
        name,
        f"{v.observations} ({v.days})",
        f"{v.largest:.3g}",
        f"{v.mean:.2g}",
        f"{v.above:.0%}",
        _limit(v, language),
        _verdict(v, language),
    ]


def _verdict(v: StationView, language: Language) -> str:
    return say("above error" if v.seen else "below error", language)


def _limit(v: StationView, language: Language) -> str:
    return f"{float(f'{v.limit:.3g}'):,g}" if math.isfinite(v.limit) else say("p_never", language)


def _png(
    options: PlannedTable, found: list[Visibility], network: NetworkView | None, language: Language
) -> bytes:
    buffer = io.BytesIO()
    planned_figure(options, found, network, language).savefig(buffer, format="png", dpi=130)
    return buffer.getvalue()


def planned_figure(
    options: PlannedTable, found: list[Visibility], network: NetworkView | None, language: Language
) -> Any:
    """Return the figure; its words are English where no font has Chinese."""
    from matplotlib.figure import Figure

    language = language if use_fonts() else "en"
    figure = Figure(figsize=(9.6 if network else 5.4, 3.8), layout="constrained")
    axes = figure.subplots(1, 2 if network else 1, squeeze=False)[0]
    at = np.arange(len(found))
    bars = axes[0].bar(
        at, [v.largest for v in found], color=_BLUE, width=0.6, label=say("p_largest", language)
    )
    axes[0].bar_label(bars, [f"{v.limit:.0f}" for v in found], fontsize=8)
    axes[0].axhline(found[0].error, color=_ORANGE, label=say("p_error", language))
    axes[0].set_xticks(at, [f"{v.wind:g}" for v in found])
    axes[0].set_xlabel(say("p_wind", language))
    axes[0].set_ylabel("ppm")
    axes[0].set_title(say("p_images", language), fontsize=10)
    axes[0].legend(fontsize=8, frameon=False)
    if network is not None:
        best = [v for v in network.stations if math.isfinite(v.limit)][:_MOST][::-1]
        names = [*(v.source for v in best), say("p_all", language)]
        limits = [*(v.limit for v in best), network.together.limit]
        use = np.isfinite(limits)
        axes[1].plot(np.array(limits)[use], np.arange(len(names))[use], "o", color=_BLUE)
        axes[1].grid(axis="y", color="0.9")
        axes[1].axvline(options.emission, color=_ORANGE, label=say("p_emission", language))
        axes[1].set_yticks(np.arange(len(names)), names)
        axes[1].set_xscale("log")
        axes[1].set_xlabel(say("p_limit", language))
        axes[1].set_title(say("p_stations", language), fontsize=10)
        axes[1].legend(fontsize=8, frameon=False)
    for ax in axes:
        ax.spines[["top", "right"]].set_visible(False)
    return figure
