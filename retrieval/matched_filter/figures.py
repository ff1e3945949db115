"""A picture of one filtered cube: enhancement, limit of detection, and which pixels are not believed."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Literal

import numpy as np

from obsnet.atomic import atomic_path
from obsnet.drawing.fonts import use_fonts
from retrieval.matched_filter.block import PIXEL_REASONS, FilteredBlock
from retrieval.matched_filter.target import UnitAbsorption

__all__ = ["draw_filtered", "filtered_figure"]

_WORDS = {
    "en": {
        "enhancement": "{} enhancement, ppm m",
        "limit": "limit of detection, ppm m",
        "reason": "pixels not believed",
        "absorption": "unit absorption\n% per 1000 ppm m",
        "wavelength": "wavelength, nm",
        "row": "row (along track)",
        "column": "detector column",
        "used": "used",
    },
    "zh": {
        "enhancement": "{} 增强，ppm m",
        "limit": "检出限，ppm m",
        "reason": "剔除像元",
        "absorption": "单位吸收\n% 每 1000 ppm m",
        "wavelength": "波长，nm",
        "row": "行（沿轨）",
        "column": "探测器列",
        "used": "采用",
    },
}
_SHADES = ("#f2f2f2", "#999999", "#E69F00", "#CC79A7", "#0072B2", "#56B4E9", "#D55E00", "#009E73")


def filtered_figure(name: str, target: UnitAbsorption, image: FilteredBlock, language: str = "en") -> Any:
    """Return a figure of a filtered cube.

    Parameters
    ----------
    name : str
        Of the cube.
    target : UnitAbsorption
        Of the gas.
    image : FilteredBlock
        Whole.
    language : {"en", "zh"}
        Of its words; English where no font has Chinese.
    """
    import matplotlib as mpl

    mpl.use("Agg")
    import matplotlib.pyplot as plt
    from matplotlib.colors import BoundaryNorm, ListedColormap

    chinese = use_fonts()
    code = language if chinese else "en"
    words = _WORDS[code]
    rows, columns = image.enhancement.shape
    height = float(np.clip(3.6 * rows / columns, 3.0, 9.0))
    figure = plt.figure(figsize=(11, height + 1.8), layout="constrained")
    grid = figure.add_gridspec(2, 3, height_ratios=(height, 1.2))
    panels = [figure.add_subplot(grid[0, k]) for k in range(3)]
    good = np.where(image.reason == 0, image.enhancement, np.nan)
    seen = good[np.isfinite(good)]
    top = float(np.percentile(seen, 99.8)) if seen.size else 1.0
    limits = image.limit[(image.reason == 0) & np.isfinite(image.limit)]
    bounds = np.percentile(limits, (2, 98)) if limits.size else (0.0, 1.0)
    aspect: Literal["equal", "auto"] = "equal" if 0.25 < rows / columns < 4.0 else "auto"
    for axes, values, label, low, high in (
        (panels[0], good, words["enhancement"].format(target.gas), -0.3 * top, top),
        (panels[1], image.limit, words["limit"], *bounds),
    ):
        mesh = axes.imshow(
            values, cmap="viridis", vmin=low, vmax=high, aspect=aspect, interpolation="nearest"
        )
        figure.colorbar(mesh, ax=axes, label=label, orientation="horizontal", extend="both")
    first = np.zeros(image.reason.shape, dtype=np.int64)
    for k, bit in enumerate(PIXEL_REASONS, start=1):
        first[(first == 0) & ((image.reason & bit) > 0)] = k
    shades = ListedColormap(_SHADES)
    ticks = np.arange(len(_SHADES))
    mesh = panels[2].imshow(
        first, cmap=shades, norm=BoundaryNorm(np.arange(len(_SHADES) + 1) - 0.5, len(_SHADES)), aspect=aspect,
        interpolation="nearest",
    )  # fmt: skip
    bar = figure.colorbar(mesh, ax=panels[2], ticks=ticks, label=words["reason"], orientation="horizontal")
    named = [w[code == "zh"].replace("_", " ") for w in PIXEL_REASONS.values()]
    bar.ax.set_xticklabels([words["used"], *named], fontsize=6, rotation=30, ha="right")
    for axes in panels:
        axes.set_xlabel(words["column"])
    panels[0].set_ylabel(words["row"])
    below = figure.add_subplot(grid[1, :])
    below.plot(target.bands.centre, 1e5 * target.value, ".-", color="#0072B2", linewidth=0.8, markersize=4)
    below.axhline(0.0, color="0.7", linewidth=0.6)
    below.set_xlabel(words["wavelength"])
    below.set_ylabel(words["absorption"], fontsize=8)
    figure.suptitle(name, fontsize=10)
    return figure


def draw_filtered(name: str, target: UnitAbsorption, image: FilteredBlock, path: Path, language: str) -> Path:
    """Write `filtered_figure` as PNG."""
    import matplotlib.pyplot as plt

    figure = filtered_figure(name, target, image, language)
    with atomic_path(path) as temporary:
        figure.savefig(temporary, dpi=100)
    plt.close(figure)
    return path
