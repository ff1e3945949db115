"""The pictures of the page: maps of verdicts and differences, totals, the flux; no colour where nothing is known."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from obsnet.drawing.figures import above_the_axes, figure_png, new_figure, subplots
from obsnet.drawing.fonts import drawn_in
from obsnet.drawing.maps import VERDICT_COLOURS, grid_map, map_axes, region_map
from obsnet.language import Language
from obsnet.report.sections.section import named, plain
from obsnet.report.words import VERDICTS, say, term
from obsnet.work.progress import counted

__all__ = ["DPI", "difference_map", "draw", "flux_map", "totals_chart", "verdict_map"]

DPI = 140
UNCHANGED = 0.01  # share of its standard deviation by which a cell's error must fall to count as observed
_UNKNOWN = VERDICT_COLOURS["not testable"]


def draw(
    table: Any,
    flux: Mapping[str, Any],
    grid: Any,
    stations: Sequence[tuple[float, float]] = (),
    *,
    language: Language = "en",
    shapes: Any = None,
) -> dict[str, bytes]:
    """Draw the pictures of a report.

    Parameters
    ----------
    table : pandas.DataFrame
        As in ``provinces.csv``, see `obsnet.crosscheck.verdicts.table`.
    flux : mapping of str to ndarray, shape (lat, lon)
        ``prior``, ``posterior``: mean flux of the sector, mol m-2 s-1; ``reduction``: share by which observations
        made a cell's error smaller, NaN where not known.
    grid : obsnet.grid.Grid
        Their cells.
    stations : sequence of (latitude, longitude)
        Marked on the map.
    language : {"en", "zh"}
        Of all labels.
    shapes : geopandas.GeoDataFrame, optional
        Polygons of the regions by key; by default China's provinces.

    Returns
    -------
    dict of str to bytes
        PNG by name: ``verdicts``, ``differences``, ``totals``, ``flux``.
    """
    place, language = {"grid": grid, "shapes": shapes}, drawn_in(language)
    wanted = {
        "verdicts": lambda: verdict_map(table, stations, language, **place),
        "differences": lambda: difference_map(table, language, **place),
        "totals": lambda: totals_chart(table, language),
        "flux": lambda: flux_map(flux, language, **place),
    }
    return {name: picture() for name, picture in counted(wanted.items(), "pictures")}


def verdict_map(
    table: Any, stations: Sequence[tuple[float, float]], language: Language = "en", **place: Any
) -> bytes:
    """Draw each region in the colour of its verdict."""
    from matplotlib.patches import Patch

    figure = new_figure((8.5, 6.2))
    axes = map_axes(figure, **place)
    verdicts = dict(zip(table["region"], table["verdict"], strict=True))
    # what cannot be tested by itself, and can with others
    summed = {k: verdicts[j] for k, j in zip(table["region"], table["joint"], strict=True) if j in verdicts}
    summed = {
        k: VERDICT_COLOURS[v]
        for k, v in summed.items()
        if verdicts[k] == "not testable" and v != "not testable"
    }
    region_map(axes, {k: VERDICT_COLOURS[v] for k, v in verdicts.items() if k not in summed})
    handles: list[Any] = [
        Patch(color=VERDICT_COLOURS[v], label=VERDICTS[v][0].said(language)) for v in VERDICTS
    ]
    if summed:
        region_map(axes, summed, hatch="////")
        label = term("summed").said(language)
        handles.append(Patch(facecolor="w", edgecolor="0.25", hatch="////", label=label))
    if stations:
        import cartopy.crs as ccrs

        lat, lon = zip(*stations, strict=True)
        style = {"marker": "^", "s": 14, "color": "k", "transform": ccrs.PlateCarree(), "zorder": 5}
        handles.append(axes.scatter(lon, lat, label=term("station").said(language), **style))
    axes.legend(handles=handles, loc="lower left", frameon=True, fontsize=9)
    return figure_png(figure, DPI)


def difference_map(table: Any, language: Language = "en", **place: Any) -> bytes:
    """Draw difference over inventory where it could be tested; grey where it could not."""
    from matplotlib import colormaps
    from matplotlib.cm import ScalarMappable
    from matplotlib.colors import Normalize, to_hex
    from matplotlib.patches import Patch

    tested = table[(table["verdict"] != "not testable") & (table["kind"] == "region")]
    share = 100.0 * tested["difference"] / tested["inventory"].abs()
    bound = max(math.ceil(float(share.abs().max()) / 10) * 10, 10) if len(share) else 30
    norm, colours = Normalize(-bound, bound), colormaps["PuOr_r"]  # told apart without red and green
    figure = new_figure((8.5, 6.2))
    axes = map_axes(figure, **place)
    shown = dict.fromkeys(table["region"], _UNKNOWN)
    shown |= {k: to_hex(colours(norm(v))) for k, v in zip(tested["region"], share, strict=True)}
    region_map(axes, shown)
    figure.colorbar(
        ScalarMappable(norm, colours), ax=axes, shrink=0.75, pad=0.02, label=say("difference axis", language)
    )
    label = VERDICTS["not testable"][0].said(language)
    axes.legend(handles=[Patch(color=_UNKNOWN, label=label)], loc="lower left", fontsize=9)
    return figure_png(figure, DPI)


def totals_chart(table: Any, language: Language = "en") -> bytes:
    """Draw inventory and inversion of each region with 95 % intervals."""
    # sums of many regions would leave the regions no room
    shown = table[np.isfinite(table["inventory"]) & (table["kind"] != "group")].copy()
    shown["rank"] = (shown["verdict"] == "not testable").astype(int)
    shown = shown.sort_values(["rank", "inventory"], ascending=[True, False])
    y = np.arange(len(shown))[::-1]
    figure, axes = subplots(figsize=(8.5, 0.21 * len(shown) + 1.0))
    axes.errorbar(
        shown["inventory"],
        y + 0.15,
        xerr=1.96 * shown["inventory_sd"],
        fmt="s",
        ms=4,
        color="0.35",
        lw=1,
        label=term("inventory").said(language).lower(),
    )
    for verdict, colour in VERDICT_COLOURS.items():
        part = (shown["verdict"] == verdict).to_numpy()
        word = term("inversion, verdict", verdict=VERDICTS[verdict][0]).said(language)
        axes.errorbar(
            shown["posterior"][part],
            y[part] - 0.15,
            xerr=1.96 * shown["posterior_sd"][part],
            label=word,
            fmt="o",
            ms=5,
            lw=1.4,
            color="0.6" if verdict == "not testable" else colour,
        )
    axes.set_yticks(y, [plain(named(r, language)) for r in shown.to_dict("records")], fontsize=8)
    axes.set_ylim(-1, len(shown))
    low = float((shown["posterior"] - 1.96 * shown["posterior_sd"]).min()) if len(shown) else 0.0
    axes.set_xlim(left=min(0.0, low))
    axes.set_xlabel(term("a year", unit=table["unit"].iloc[0]).said(language))
    axes.grid(axis="x", lw=0.4)
    above_the_axes(axes, columns=3)
    return figure_png(figure, DPI)


def flux_map(flux: Mapping[str, Any], language: Language = "en", **place: Any) -> bytes:
    """Draw the posterior flux and its change; cells that no observation changed stay white."""
    grid = place["grid"]
    posterior, prior = 1e6 * flux["posterior"], 1e6 * flux["prior"]
    # of a file without errors of cells nothing says which were observed
    unseen = flux["reduction"] < UNCHANGED
    posterior, change = (np.where(unseen, np.nan, v) for v in (posterior, posterior - prior))
    unit = "µmol m⁻² s⁻¹"  # as text: a formula would be set in a font without Chinese
    figure = new_figure((13, 4.8))
    known = bool(np.isfinite(posterior).any())
    top = float(np.nanpercentile(posterior, 99)) if known else 1.0
    low = min(0.0, float(np.nanpercentile(posterior, 1))) if known else 0.0
    bound = (float(np.nanpercentile(np.abs(change), 99)) if known else 0.0) or 1.0
    grid_map(
        map_axes(figure, 121, **place),
        grid,
        posterior,
        label=say("flux axis", language, unit=unit),
        cmap="YlOrBr" if low == 0.0 else "cividis",
        limits=(low, top),
    )
    grid_map(
        map_axes(figure, 122, **place),
        grid,
        change,
        label=say("change axis", language, unit=unit),
        cmap="RdBu_r",
        limits=(-bound, bound),
    )
    if not known:
        figure.suptitle(say("no cell seen", language), fontsize=10)
    return figure_png(figure, DPI)
