"""Pictures: a scene with its plumes, and each plume with where its rate comes from."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from obsnet.atomic import atomic_path
from obsnet.constants import species as species_of
from obsnet.drawing.fonts import use_fonts
from retrieval.plume.images.detect import Detection
from retrieval.plume.images.scene import Scene, local_plane
from retrieval.plume.rates.estimate import PlumeRates
from retrieval.plume.rates.reasons import words_of
from retrieval.plume.sources import PointSource

__all__ = ["draw_plume", "draw_scene", "plume_figure", "scene_figure"]

_COLOURS = {"ime": "#0072B2", "csf": "#D55E00", "gauss": "#009E73", "lcsf": "#CC79A7"}  # Okabe & Ito
_WORDS = {
    "en": {
        "above": "above background",
        "z": "z of the local mean",
        "east": "km east of {}",
        "north": "km north",
        "along": "km along the plume",
        "density": "line density, kg m⁻¹",
        "rate": "rate, kg s⁻¹",
        "wind": "wind {:.1f} ± {:.1f} m s⁻¹",
        "rejected": "rejected",
        "limit": "detection limit",
        "interval": "95 % interval",
        "plumes": "plumes found in {1}: {0}",
        "unknown": "no known source",
        "gas": "X{}",
        "no2": "NO₂",
    },
    "zh": {
        "above": "高于背景",
        "z": "局部均值的 z 值",
        "east": "{} 以东，km",
        "north": "以北，km",
        "along": "沿羽流距离，km",
        "density": "线密度，kg m⁻¹",
        "rate": "排放速率，kg s⁻¹",
        "wind": "风速 {:.1f} ± {:.1f} m s⁻¹",
        "rejected": "剔除",
        "limit": "检出限",
        "interval": "95 % 区间",
        "plumes": "由 {1} 检出 {0} 个羽流",
        "unknown": "无已知源",
        "gas": "X{}",
        "no2": "NO₂",
    },
}


def _setup(language: str) -> tuple[Any, dict[str, str]]:
    import matplotlib as mpl

    mpl.use("Agg")
    import matplotlib.pyplot as plt

    chinese = use_fonts()
    return plt, _WORDS[language if chinese else "en"]


def scene_figure(scene: Scene, found: Detection, sources: Sequence[PointSource], language: str = "en") -> Any:
    """Return a figure of a scene: enhancement and z, with plumes outlined and known sources named.

    Parameters
    ----------
    scene : Scene
        Image.
    found : Detection
        Its plumes.
    sources : sequence of PointSource
        Those outside are left out.
    language : {"en", "zh"}
        Of its words; English where no font has Chinese.
    """
    plt, words = _setup(language)
    valid = np.isfinite(found.z) | scene.valid
    rows = np.flatnonzero(valid.any(axis=1))
    part = slice(int(rows[0]), int(rows[-1]) + 1) if rows.size else slice(None)
    lat, lon = scene.latitude[part], scene.longitude[part]
    aspect = 1.0 / np.cos(np.deg2rad(float(np.nanmean(lat))))
    height = (np.nanmax(lat) - np.nanmin(lat)) * aspect / max(float(np.nanmax(lon) - np.nanmin(lon)), 1e-6)
    figure, panels = plt.subplots(
        1, 2, figsize=(11, float(np.clip(5.0 * height, 4, 12))), layout="constrained"
    )
    above = (scene.value - found.gas.background)[part]
    entry = species_of(scene.species)
    top = float(np.nanpercentile(np.abs(above), 99.5))
    fields = (
        (above, f"X{entry.name} {words['above']}, {entry.unit_name}", (-0.3 * top, top)),
        (found.z[part], words["z"], (0.0, 10.0)),
    )
    for axes, (field, label, limits) in zip(panels, fields, strict=True):
        mesh = axes.pcolormesh(
            lon,
            lat,
            field,
            cmap="viridis",
            vmin=limits[0],
            vmax=limits[1],
            rasterized=True,
            shading="nearest",
        )
        figure.colorbar(mesh, ax=axes, label=label, orientation="horizontal", shrink=0.8, extend="both")
        if found.count:
            axes.contour(lon, lat, found.labels[part] > 0, [0.5], colors="#D55E00", linewidths=0.9)
        for source in sources:
            _mark(axes, scene, source)
        axes.set_aspect(aspect)
        axes.set_xlim(np.nanmin(lon), np.nanmax(lon))
        axes.set_ylim(np.nanmin(lat), np.nanmax(lat))
        axes.xaxis.set_major_locator(plt.MaxNLocator(4))
        axes.set_xlabel("°E")
    panels[0].set_ylabel("°N")
    image = words["no2"] if found.image == "no2" else words["gas"].format(entry.name)
    figure.suptitle(
        f"{scene.name}, {str(scene.time)[:16]} UTC: {words['plumes'].format(found.count, image)}", fontsize=10
    )
    return figure


def _mark(axes: Any, scene: Scene, source: PointSource) -> None:
    x, y = local_plane(scene.latitude, scene.longitude, source.place)
    if float(np.nanmin(np.hypot(x, y))) > 3.0 * scene.pixel_km:
        return
    from matplotlib.patheffects import withStroke

    axes.plot(source.longitude, source.latitude, "+", color="white", markersize=7)
    axes.annotate(
        source.name,
        (source.longitude, source.latitude),
        xytext=(4, 3),
        textcoords="offset points",
        color="white",
        fontsize=8,
        path_effects=[withStroke(linewidth=2.0, foreground="black")],  # it stands on the plume
    )


def plume_figure(scene: Scene, found: Detection, rates: PlumeRates, language: str = "en") -> Any:
    """Return a figure of one plume: image with centre line and sections, line densities, rates side by side.

    Parameters
    ----------
    scene : Scene
        Image.
    found : Detection
        Its plumes.
    rates : PlumeRates
        Of the source.
    language : {"en", "zh"}
        Of its words.
    """
    plt, words = _setup(language)
    figure, (left, middle, right) = plt.subplots(
        1, 3, figsize=(13, 4.4), layout="constrained", width_ratios=(1.25, 1, 1)
    )
    _draw_image(figure, left, scene, found, rates, words)
    _draw_sections(middle, rates, words)
    _draw_rates(right, rates, words, language)
    entry = species_of(scene.species)
    wind = words["wind"].format(rates.wind.speed, rates.wind.error)
    figure.suptitle(f"{rates.source.name}, X{entry.name}, {str(scene.time)[:16]} UTC, {wind}", fontsize=10)
    return figure


def _draw_image(
    figure: Any, axes: Any, scene: Scene, found: Detection, rates: PlumeRates, words: dict[str, str]
) -> None:
    layout = rates.layout
    x, y = local_plane(scene.latitude, scene.longitude, rates.source.place)
    above = scene.value - found.gas.background
    reach = max(layout.end + layout.side, 25.0)
    near = (np.abs(x) < 1.3 * reach) & (np.abs(y) < 1.3 * reach)
    inside = np.abs(above[near & np.isfinite(above)])
    top = float(np.percentile(inside, 99.5)) if inside.size else 1.0
    rows, columns = np.flatnonzero(near.any(axis=1)), np.flatnonzero(near.any(axis=0))
    entry = species_of(scene.species)
    if rows.size > 1 and columns.size > 1:
        part = np.ix_(rows, columns)
        mesh = axes.pcolormesh(
            x[part],
            y[part],
            above[part],
            cmap="viridis",
            vmin=-0.3 * top,
            vmax=top,
            shading="nearest",
            rasterized=True,
        )
        figure.colorbar(
            mesh, ax=axes, label=f"X{entry.name} {words['above']}, {entry.unit_name}", shrink=0.85
        )
        if layout.plume:
            axes.contour(
                x[part], y[part], found.labels[part] == layout.plume, [0.5], colors="#D55E00", linewidths=0.8
            )
    line = layout.axis.points(np.linspace(0.0, layout.end, 50))
    axes.plot(line[:, 0], line[:, 1], color="white", linewidth=1.2)
    for s in (layout.start, layout.end):
        node = layout.axis.points(np.array([s, s + 0.5]))
        tangent = (node[1] - node[0]) / np.linalg.norm(node[1] - node[0])
        ends = node[0] + np.outer([-layout.half_width, layout.half_width], [-tangent[1], tangent[0]])
        axes.plot(ends[:, 0], ends[:, 1], color="white", linewidth=0.8)
    if rates.wind.speed > 0:
        arrow = 0.35 * reach / rates.wind.speed
        axes.annotate(
            "",
            (rates.wind.u * arrow, rates.wind.v * arrow),
            (0, 0),
            arrowprops={"arrowstyle": "->", "color": "black", "linewidth": 1.4},
        )
    axes.plot(0, 0, "k+", markersize=9)
    axes.set_xlim(-reach, reach)
    axes.set_ylim(-reach, reach)
    axes.set_aspect("equal")
    axes.set_xlabel(words["east"].format(rates.source.name))
    axes.set_ylabel(words["north"])


def _draw_sections(axes: Any, rates: PlumeRates, words: dict[str, str]) -> None:
    for e in rates.estimates:
        if len(e.line_density):
            s, q, sd = e.line_density.T
            axes.errorbar(
                s, q, sd, fmt="o-", color=_COLOURS.get(e.method), label=e.method, markersize=3, linewidth=0.8
            )
        elif np.isfinite(e.rate) and rates.wind.speed > 0:
            axes.axhline(
                e.rate / rates.wind.speed, color=_COLOURS.get(e.method), linewidth=1.0, label=e.method
            )
    axes.axhline(0.0, color="0.7", linewidth=0.6)
    axes.set_xlabel(words["along"])
    axes.set_ylabel(words["density"])
    if axes.get_legend_handles_labels()[0]:
        axes.legend(fontsize=7, frameon=False)


def _draw_rates(axes: Any, rates: PlumeRates, words: dict[str, str], language: str) -> None:
    names = [e.method for e in rates.estimates]
    shown = [e for e in rates.estimates if np.isfinite(e.rate)]
    largest = max((abs(e.rate) for e in shown), default=1.0)
    for k, e in enumerate(rates.estimates):
        if not np.isfinite(e.rate):
            continue
        low, high = (float(np.clip(v, -2.0 * largest, 4.0 * largest)) for v in (e.low, e.high))
        alpha = 0.35 if e.reasons else 1.0
        colour = _COLOURS.get(e.method)
        axes.plot([low, high], [k, k], color=colour, linewidth=2.0, alpha=alpha)
        axes.plot(e.rate, k, "o", color=colour, markersize=6, alpha=alpha)
        axes.plot(e.limit, k, "|", color="0.4", markersize=12)
        if e.reasons:
            axes.annotate(
                words["rejected"],
                (e.rate, k),
                xytext=(0, 6),
                textcoords="offset points",
                fontsize=7,
                ha="center",
            )
    axes.set_yticks(range(len(names)), names)
    axes.set_ylim(len(names) - 0.4, -0.6)
    axes.axvline(0.0, color="0.7", linewidth=0.6)
    axes.set_xlabel(f"{words['rate']} ({words['interval']}; | {words['limit']})", fontsize=8)
    every = 0
    for e in rates.estimates:
        every |= int(e.reasons)
    text = words_of(every, language if words is _WORDS["zh"] else "en")
    if text:
        axes.set_title(_folded(text), fontsize=7, color="#D55E00")


def _folded(text: str) -> str:
    import textwrap

    return "\n".join(textwrap.wrap(text, 62))


def draw_scene(
    scene: Scene, found: Detection, sources: Sequence[PointSource], path: Path, language: str
) -> Path:
    """Write `scene_figure` as PNG."""
    return _write(scene_figure(scene, found, sources, language), path)


def draw_plume(scene: Scene, found: Detection, rates: PlumeRates, path: Path, language: str) -> Path:
    """Write `plume_figure` as PNG."""
    return _write(plume_figure(scene, found, rates, language), path)


def _write(figure: Any, path: Path) -> Path:
    import matplotlib.pyplot as plt

    with atomic_path(path) as temporary:
        figure.savefig(temporary, dpi=100)
    plt.close(figure)
    return path
