"""The card's picture: overpasses and stacks in time, one against the other, totals of the year."""

from __future__ import annotations

import io
from typing import Any

import numpy as np

from obsnet.drawing.fonts import use_fonts
from obsnet.language import Language
from retrieval.plants.card import PlantCard
from retrieval.plants.words import BY, say

__all__ = ["card_figure", "card_png"]

_Z = 1.959963984540054
_BLUE, _ORANGE, _GREEN, _GREY = "#0072B2", "#D55E00", "#009E73", "#767676"  # Okabe & Ito
_BARS = {"satellite": _BLUE, "stack": _ORANGE, "fuel": _GREEN}


def card_png(card: PlantCard, language: Language) -> bytes:
    """Return the picture as PNG."""
    figure = card_figure(card, language)
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", dpi=130)
    return buffer.getvalue()


def card_figure(card: PlantCard, language: Language) -> Any:
    """Return the figure; its words are English where no font has Chinese."""
    from matplotlib.figure import Figure

    language = language if use_fonts() else "en"
    figure = Figure(figsize=(9.6, 6.6), layout="constrained")
    paired = card.agreement is not None
    mosaic: Any = (
        [["time", "time"], ["pairs", "totals"]]
        if paired and card.totals
        else [["time"], ["pairs" if paired else "totals"]]
    )
    if not paired and not card.totals:
        mosaic = [["time"]]
        figure.set_size_inches(9.6, 3.6)
    axes = figure.subplot_mosaic(mosaic)
    _in_time(axes["time"], card, language)
    if "pairs" in axes:
        _pairs(axes["pairs"], card, language)
    if "totals" in axes:
        _totals(axes["totals"], card, language)
    for ax in axes.values():
        ax.spines[["top", "right"]].set_visible(False)
    return figure


def _in_time(ax: Any, card: PlantCard, language: Language) -> None:
    at = np.arange(len(card.overpasses))
    rate, low, high = (np.array([getattr(o, n) for o in card.overpasses]) for n in ("rate", "low", "high"))
    told = np.isfinite(rate)
    top = np.where(np.isfinite(high), high, rate)
    ax.errorbar(
        at[told] - 0.12, rate[told], yerr=[rate[told] - low[told], (top - rate)[told]], fmt="o", color=_BLUE, capsize=2,
        label=say("key_sat", language),
    )  # fmt: skip
    limits = [
        (k, o.limit) for k, o in enumerate(card.overpasses) if o.status == "below" and np.isfinite(o.limit)
    ]
    if limits:
        where, limit = np.array(limits).T
        ax.errorbar(
            where - 0.12,
            limit,
            yerr=0.12 * limit,
            uplims=True,
            fmt="_",
            color=_GREY,
            ms=12,
            label=say("key_limit", language),
        )
    stack, error = (np.array([getattr(o, n) for o in card.overpasses]) for n in ("stack", "stack_error"))
    there = np.isfinite(stack)
    if there.any():
        ax.errorbar(
            at[there] + 0.12, stack[there], yerr=_Z * error[there], fmt="s", color=_ORANGE, ms=4, capsize=2,
            label=say("key_stack", language),
        )  # fmt: skip
    step = max(1, -(-len(at) // 8))
    ax.set_xticks(at[::step], [str(o.time)[:10] for o in card.overpasses][::step], fontsize=8)
    ax.set_xlim(-0.6, len(at) - 0.4)
    ax.set_ylim(bottom=0)
    ax.set_ylabel(say("axis_rate", language))
    ax.legend(frameon=False, fontsize=8, ncols=3, loc="lower left", bbox_to_anchor=(0.0, 1.0))


def _pairs(ax: Any, card: PlantCard, language: Language) -> None:
    both = [o for o in card.overpasses if o.status == "rate" and np.isfinite(o.stack)]
    x, y = np.array([o.stack for o in both]), np.array([o.rate for o in both])
    ax.errorbar(
        x, y, xerr=[_Z * o.stack_error for o in both], yerr=[_Z * o.error_at(o.stack) for o in both], fmt="o", ms=4,
        color=_BLUE, elinewidth=0.8,
    )  # fmt: skip
    ends = np.array([0.0, 1.1 * max(float(x.max()), float(y.max()))])
    ax.plot(ends, ends, color=_GREY, lw=0.8, ls="--", label=say("key_one", language))
    line = (card.agreement or {}).get("york")
    if line is not None:
        span = np.array([x.min(), x.max()])
        ax.plot(
            span,
            line["intercept"] + line["slope"] * span,
            color=_ORANGE,
            lw=1.5,
            label=say("key_line", language),
        )
    ax.set_xlim(*ends)
    ax.set_ylim(bottom=0)
    ax.set_xlabel(say("axis_stack", language))
    ax.set_ylabel(say("axis_rate", language))
    ax.legend(frameon=False, fontsize=8, loc="upper left")


def _totals(ax: Any, card: PlantCard, language: Language) -> None:
    for k, (name, value, _, low, high) in enumerate(card.totals):
        ax.errorbar(
            k, value, yerr=[[value - low], [high - value]], fmt="o", color=_BARS[name], capsize=4, ms=7
        )
    ax.set_xticks(range(len(card.totals)), [BY[t[0]].said(language) for t in card.totals])
    ax.set_xlim(-0.6, len(card.totals) - 0.4)
    ax.set_ylim(0, 1.08 * max(t[4] for t in card.totals))
    ax.set_ylabel(say("axis_mt", language, year=card.year))
