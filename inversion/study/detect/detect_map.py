"""The map of `obsnet design detect`: one panel a system, provinces by the smallest discrepancy that would be found."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from inversion.study.words import NATIONAL, draw_in, say
from obsnet.language import Language

__all__ = ["classes", "detect_picture"]

_BEYOND = {0.5: "#7A7A7A", 1.0: "#A8A8A8", float("inf"): "#DEDEDE"}  # what is not tested, by how far it is


def classes(rows: Sequence[Mapping[str, Any]], discrepancies: Sequence[float]) -> dict[str, float]:
    """Return the class of each province that has an inventory.

    It is the smallest of the discrepancies that is reached; where none is, the first of 0.5, 1 and infinity that the
    smallest detectable one does not exceed.
    """
    found = {}
    for row in rows:
        if row["region"] != NATIONAL and row["inventory"] is not None:
            reached, smallest = row["reached"], row["minimum_detectable"]
            steps = sorted(discrepancies) if reached is not None else list(_BEYOND)
            size = reached if reached is not None else float("inf") if smallest is None else smallest
            found[row["region"]] = next(step for step in steps if size <= step)
    return found


def detect_picture(summary: Mapping[str, Any], language: Language = "en") -> bytes:
    """Draw which discrepancies are found where, a map for each system.

    Parameters
    ----------
    summary : mapping
        See `inversion.study.detect.run_detect.run_detect`.
    language : {"en", "zh"}

    Returns
    -------
    bytes
        PNG.
    """
    import matplotlib as mpl
    from matplotlib.colors import to_hex
    from matplotlib.patches import Patch

    from obsnet.drawing.figures import figure_png, new_figure
    from obsnet.drawing.maps import map_axes, region_map

    draw_in(language)
    wanted = sorted(summary["discrepancies"])
    shade = mpl.colormaps["viridis"]
    colours = {d: to_hex(shade(0.15 + 0.8 * i / max(len(wanted) - 1, 1))) for i, d in enumerate(wanted)}
    systems = summary["systems"]
    columns = min(len(systems), 4)
    lines = -(-len(systems) // columns)
    figure = new_figure((3.4 * columns, 3.0 * lines + 0.9), layout="constrained")
    places = figure.add_gridspec(lines, columns)
    for number, system in enumerate(systems):
        rows = [r for r in summary["rows"] if r["system"] == system]
        axes = map_axes(figure, places[number // columns, number % columns], tolerance=0.05)
        found = classes(rows, wanted)
        tested = {r["region"]: r["reached"] is not None for r in rows}
        shades = {k: colours[d] if tested[k] else _BEYOND[d] for k, d in found.items()}
        region_map(axes, shades)
        china = next(r["minimum_detectable"] for r in rows if r["region"] == NATIONAL)
        whole = "–" if china is None else f"{china:.0%}"
        axes.set_title(f"{rows[0]['title'][language]}\n{say(NATIONAL, language)}: {whole}", fontsize=9)
    legend = [Patch(color=colours[d], label=say("detect class", language, share=f"{d:.0%}")) for d in wanted]
    for step, colour in _BEYOND.items():
        key, share = ("detect beyond", step) if step < 10.0 else ("detect more", 1.0)
        legend.append(Patch(color=colour, label=say(key, language, share=f"{share:.0%}")))
    legend.append(Patch(facecolor="white", edgecolor="0.4", label=say("detect no inventory", language)))
    figure.legend(handles=legend, loc="outside lower center", ncols=4, fontsize=9)
    start, stop = (text[:10] for text in summary["period"])
    power = f"{summary['options']['power']:.0%}"
    figure.suptitle(say("detect title", language, power=power, period=f"{start} – {stop}"), fontsize=11)
    return figure_png(figure)
