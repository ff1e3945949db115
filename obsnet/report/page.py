"""The report: one self-contained HTML page with maps, a chart, the province table and what it rests on."""

from __future__ import annotations

import base64
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from obsnet.atomic import write_text
from obsnet.report.maps import VERDICT_COLOURS, figure_png, grid_map, map_axes, region_map
from obsnet.report.sections.section import Section, number, percent, plain, signed

__all__ = ["draw", "write_report"]

# In the order of the table.
_VERDICTS_ZH = {
    "inconsistent": "不一致",
    "consistent": "一致",
    "not decided": "未能判定",
    "not testable": "无法检验",
}
_DARK = ("not decided", "not testable")  # text on their colours


def _share(value: float) -> str:
    """Return a share of the rule, exact as given."""
    return f"{round(100 * value, 6):g}%"


def _row(entry: Mapping[str, Any]) -> dict[str, Any]:
    verdict = str(entry["verdict"])
    known = math.isfinite(entry["inventory"])
    share = entry["minimum_detectable"] / abs(entry["inventory"]) if entry["inventory"] else math.nan
    return {
        "name_en": entry["name_en"],
        "name_zh": entry["name_zh"],
        "inventory": number(entry["inventory"]),
        "posterior": number(entry["posterior"]),
        "posterior_sd": number(entry["posterior_sd"]),
        "difference": signed(entry["difference"]) if known else "–",
        "difference_sd": number(entry["difference_sd"]),
        "response": percent(entry["response"]),
        "detectable": percent(share),
        "p": f"{entry['p_adjusted']:.2g}" if math.isfinite(entry["p_adjusted"]) else "–",
        "verdict": verdict,
        "verdict_zh": _VERDICTS_ZH[verdict],
        "colour": VERDICT_COLOURS[verdict],
        "dark": verdict in _DARK,
        "why": [" ".join(t for t in (entry[f"reason{x}"], entry[f"remark{x}"]) if t) for x in ("", "_zh")],
    }


def _verdict_map(table: Any, stations: Sequence[tuple[float, float]]) -> bytes:
    import matplotlib.pyplot as plt
    from matplotlib.patches import Patch

    figure = plt.figure(figsize=(8.5, 6.2))
    axes = map_axes(figure)
    verdicts = dict(zip(table["region"], table["verdict"], strict=True))
    # what cannot be tested by itself, and can with others
    summed = {k: verdicts[j] for k, j in zip(table["region"], table["joint"], strict=True) if j in verdicts}
    summed = {
        k: VERDICT_COLOURS[v]
        for k, v in summed.items()
        if verdicts[k] == "not testable" and v != "not testable"
    }
    region_map(axes, {k: VERDICT_COLOURS[v] for k, v in verdicts.items() if k not in summed})
    handles: list[Any] = [Patch(color=c, label=v) for v, c in VERDICT_COLOURS.items()]
    if summed:
        region_map(axes, summed, hatch="////")
        handles.append(Patch(facecolor="w", edgecolor="0.25", hatch="////", label="as a sum with others"))
    if stations:
        import cartopy.crs as ccrs

        lat, lon = zip(*stations, strict=True)
        style = {"marker": "^", "s": 14, "color": "k", "transform": ccrs.PlateCarree(), "zorder": 5}
        handles.append(axes.scatter(lon, lat, label="station", **style))
    axes.legend(handles=handles, loc="lower left", frameon=True, fontsize=9)
    return figure_png(figure)


def _chart(table: Any, unit: str) -> bytes:
    import matplotlib.pyplot as plt
    import numpy as np

    # sums of many regions would leave the regions no room
    shown = table[np.isfinite(table["inventory"]) & (table["kind"] != "group")].copy()
    shown["rank"] = (shown["verdict"] == "not testable").astype(int)
    shown = shown.sort_values(["rank", "inventory"], ascending=[True, False])
    y = np.arange(len(shown))[::-1]
    figure, axes = plt.subplots(figsize=(8.5, 0.21 * len(shown) + 1.0))
    axes.errorbar(
        shown["inventory"],
        y + 0.15,
        xerr=1.96 * shown["inventory_sd"],
        fmt="s",
        ms=4,
        color="0.35",
        lw=1,
        label="inventory",
    )
    for verdict, colour in VERDICT_COLOURS.items():
        part = (shown["verdict"] == verdict).to_numpy()
        style: dict[str, Any] = {
            "fmt": "o",
            "ms": 5,
            "lw": 1.4,
            "color": "0.7" if verdict == "not testable" else colour,
        }
        axes.errorbar(
            shown["posterior"][part],
            y[part] - 0.15,
            xerr=1.96 * shown["posterior_sd"][part],
            label=f"inversion, {verdict}",
            **style,
        )
    axes.set_yticks(y, [plain(n) for n in shown["name_en"]], fontsize=8)
    axes.set_ylim(-1, len(shown))
    axes.set_xlim(left=min(0.0, float((shown["posterior"] - 1.96 * shown["posterior_sd"]).min())))
    axes.set_xlabel(f"{unit} a year")
    axes.grid(axis="x", lw=0.4)
    axes.legend(fontsize=8, loc="lower right")
    return figure_png(figure)


def _flux_map(prior: Any, posterior: Any, grid: Any) -> bytes:
    import matplotlib.pyplot as plt
    import numpy as np

    figure = plt.figure(figsize=(13, 4.8))
    grid_map(
        map_axes(figure, 121),
        grid,
        1e6 * posterior,
        label="posterior, µmol m$^{-2}$ s$^{-1}$",
        cmap="YlOrRd",
        limits=(0.0, float(np.nanpercentile(1e6 * posterior, 99))),
    )
    change = 1e6 * (posterior - prior)
    bound = float(np.nanpercentile(np.abs(change), 99)) or 1.0
    grid_map(
        map_axes(figure, 122),
        grid,
        change,
        label="posterior − prior, µmol m$^{-2}$ s$^{-1}$",
        cmap="RdBu_r",
        limits=(-bound, bound),
    )
    return figure_png(figure)


def draw(
    table: Any, prior: Any, posterior: Any, grid: Any, stations: Sequence[tuple[float, float]] = ()
) -> dict[str, bytes]:
    """Draw the three pictures of a report.

    Parameters
    ----------
    table : pandas.DataFrame
        As in ``provinces.csv``, see `obsnet.crosscheck.verdicts.table`.
    prior, posterior : ndarray, shape (lat, lon)
        Mean flux of the sector, mol m-2 s-1.
    grid : obsnet.grid.Grid
        Their cells.
    stations : sequence of (latitude, longitude)
        Marked on the map.

    Returns
    -------
    dict of str to bytes
        PNG by name: ``verdicts``, ``totals``, ``flux``.
    """
    unit = str(table["unit"].iloc[0])
    return {
        "verdicts": _verdict_map(table, stations),
        "totals": _chart(table, unit),
        "flux": _flux_map(prior, posterior, grid),
    }


def write_report(
    path: Path,
    table: Any,
    pictures: Mapping[str, bytes],
    *,
    title: str,
    title_zh: str,
    notes: Sequence[str],
    facts: Sequence[tuple[str, str]],
    period: str,
    sections: Sequence[Section] = (),
) -> None:
    """Write the page.

    Parameters
    ----------
    path : Path
        ``report.html``; written whole or not at all.
    table : pandas.DataFrame
        As in `draw`; the page says its rule and what was compared.
    pictures : mapping of str to bytes
        From `draw`.
    title, title_zh : str
        Heading.
    notes : sequence of str
        Shown in boxes at the top.
    facts : sequence of (str, str)
        Shown at the end.
    period : str
        Named under the map.
    sections : sequence of Section
        Between the table and the map of the flux.
    """
    from jinja2 import Environment, PackageLoader, select_autoescape

    single = table[table["kind"] == "region"]
    counts = [
        {
            "number": int((single["verdict"] == v).sum()),
            "en": v,
            "zh": _VERDICTS_ZH[v],
            "colour": VERDICT_COLOURS[v],
            "dark": v in _DARK,
        }
        for v in _VERDICTS_ZH
    ]
    order = table.assign(rank=table["verdict"].map({v: i for i, v in enumerate(_VERDICTS_ZH)}))
    made = table.iloc[0]
    rows = [
        _row(r) for r in order.sort_values(["rank", "inventory"], ascending=[True, False]).to_dict("records")
    ]
    environment = Environment(
        loader=PackageLoader("obsnet.report"),
        autoescape=select_autoescape(default=True, default_for_string=True),
    )
    html = environment.get_template("report.html.j2").render(
        title=title,
        title_zh=title_zh,
        notes=notes,
        facts=facts,
        counts=counts,
        rows=rows,
        made={str(k): str(v) for k, v in made.items()},
        period=period,
        sections=sections,
        rule={k: _share(made[k]) for k in ("alpha", "power", "detectable", "margin_share")},
        tested=int((single["verdict"] != "not testable").sum()),
        pictures={name: base64.b64encode(image).decode("ascii") for name, image in pictures.items()},
    )
    write_text(path, html)
