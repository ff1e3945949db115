"""A picture of one fit: measured and modelled spectrum of each window, and what is left over by the noise."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from obsnet.atomic import atomic_path
from obsnet.constants import SPECIES
from obsnet.drawing.fonts import use_fonts
from retrieval.fits.plan import FitPlan
from retrieval.fits.results import FittedSounding

__all__ = ["draw_sounding", "sounding_figure"]

_WORDS = {
    "en": {
        "radiance": "radiance / continuum",
        "left": "measured − modelled, % of continuum",
        "wavenumber": "wavenumber, cm$^{-1}$",
        "measured": "measured",
        "modelled": "modelled",
        "noise": "± noise",
        "out": "left out",
        "clear": "clear-sky model, no scattering",
        "layer": "model with one thin layer that scatters",
    },
    "zh": {
        "radiance": "辐亮度 / 连续谱",
        "left": "观测 − 模拟，占连续谱 %",
        "wavenumber": "波数，cm$^{-1}$",
        "measured": "观测",
        "modelled": "模拟",
        "noise": "± 噪声",
        "out": "剔除",
        "clear": "晴空模型，无散射",
        "layer": "含一个散射薄层的模型",
    },
}


def sounding_figure(plan: FitPlan, fitted: FittedSounding, language: str = "en") -> Any:
    """Return a figure of a fitted sounding.

    Parameters
    ----------
    plan : FitPlan
        Of the run.
    fitted : FittedSounding
        With arrays.
    language : {"en", "zh"}
        Of its words; English where no font has Chinese.
    """
    import matplotlib as mpl

    mpl.use("Agg")
    import matplotlib.pyplot as plt

    words = _WORDS[language if use_fonts() else "en"]
    arrays = fitted.arrays
    figure, panels = plt.subplots(
        2,
        len(plan.windows),
        figsize=(5.5 * max(len(plan.windows), 1.6), 5.4),
        height_ratios=[2, 1],
        sharex="col",
        squeeze=False,
        layout="constrained",
    )
    for number, window in enumerate(plan.windows):
        inside = arrays["window"] == number
        nu = arrays["wavenumber"][inside]
        used = arrays["used"][inside]
        y, model, noise = (arrays[n][inside] for n in ("radiance", "modelled", "noise"))
        level = float(np.percentile(y[used], 95.0)) if used.any() else 1.0
        left = 100.0 * (y - model) / level
        above, below = panels[:, number]
        above.plot(nu, y / level, color="black", linewidth=0.7, label=words["measured"])
        above.plot(nu, model / level, color="#D55E00", linewidth=0.6, label=words["modelled"])
        said = f"{window.name}: χ² {arrays['chi2'][number]:.2f}"
        above.set_title(f"{said}, {', '.join(gas for gas, _ in window.tables)}", fontsize=9)
        band = 100.0 * np.where(used, noise, np.nan) / level
        below.fill_between(nu, -band, band, color="0.85", linewidth=0, label=words["noise"])
        below.plot(nu, np.where(used, left, np.nan), color="#0072B2", linewidth=0.6)
        below.plot(
            nu[~used], np.zeros(int((~used).sum())), "x", color="#CC79A7", label=words["out"], markersize=4
        )
        reach = float(np.nanpercentile(np.abs(left[used]), 99.7)) if used.any() else 1.0
        below.set_ylim(-1.3 * reach, 1.3 * reach)
        below.set_xlim(nu[0], nu[-1])
        below.locator_params(axis="x", nbins=5)  # five figures each
        below.set_xlabel(words["wavenumber"])
        if number == 0:
            above.set_ylabel(words["radiance"])
            below.set_ylabel(words["left"], fontsize=8)
            above.legend(fontsize=7, loc="lower right")
            below.legend(fontsize=7, loc="lower right", ncols=2)
    model = words["layer" if plan.options.fit.layer else "clear"]
    figure.suptitle(f"{_title(fitted)}   ({model})", fontsize=10)
    return figure


def _title(fitted: FittedSounding) -> str:
    at = dict(zip(fitted.arrays["names"].tolist(), fitted.arrays["value"].tolist(), strict=True))
    parts = [str(fitted.place["identity"])]
    parts += [f"{gas} × {at[f'{gas}_scale']:.4f}" for gas in SPECIES if f"{gas}_scale" in at]
    if "surface_pressure" in at:
        surface, met = fitted.arrays["surface_pressure"]
        parts.append(f"{surface:.1f} hPa ({surface - met:+.1f})")
    return ", ".join([*parts, fitted.outcome.name.lower().replace("_", " ")])


def draw_sounding(plan: FitPlan, fitted: FittedSounding, path: Path, language: str) -> Path:
    """Write `sounding_figure` as PNG."""
    import matplotlib.pyplot as plt

    figure = sounding_figure(plan, fitted, language)
    with atomic_path(path) as temporary:
        figure.savefig(temporary, dpi=100, format="png")
    plt.close(figure)
    return path
