"""Figures that are drawn and gone: without pyplot, which keeps every figure and asks for a screen."""

from __future__ import annotations

import io
from typing import Any

__all__ = ["above_the_axes", "figure_png", "new_figure", "subplots"]

_ROOM = 1.0  # inches on each side of a figure, for labels that reach beyond it
_MARGIN = 0.1  # inches that a picture keeps of it


def new_figure(size: tuple[float, float], layout: Any = None) -> Any:
    """Return an empty figure of a width and a height in inches; `layout` as of `matplotlib.figure.Figure`.

    Without a layout there is room around it; `figure_png` cuts away what stays empty.
    """
    from matplotlib.figure import Figure

    figure = Figure(figsize=size, layout=layout)
    if layout is None:
        _surround(figure)
    return figure


def _surround(figure: Any) -> None:
    """Make a figure larger on all sides; what is drawn in it stays as large as it was."""
    width, height = figure.get_size_inches()
    wider, higher = width + 2 * _ROOM, height + 2 * _ROOM
    at = figure.subplotpars
    figure.subplots_adjust(
        left=(_ROOM + at.left * width) / wider,
        right=(_ROOM + at.right * width) / wider,
        bottom=(_ROOM + at.bottom * height) / higher,
        top=(_ROOM + at.top * height) / higher,
    )
    figure.set_size_inches(wider, higher)


def subplots(
    rows: int = 1, columns: int = 1, *, figsize: tuple[float, float], layout: Any = None, **how: Any
) -> tuple[Any, Any]:
    """Return a figure and its axes, as `matplotlib.figure.Figure.subplots` makes them."""
    figure = new_figure(figsize, layout)
    return figure, figure.subplots(rows, columns, **how)


def above_the_axes(axes: Any, columns: int = 2, title: str | None = None) -> None:
    """Put the legend above the axes, where it hides nothing however few rows there are."""
    how = {"loc": "lower left", "bbox_to_anchor": (0.0, 1.0), "frameon": False, "borderpad": 0.3}
    axes.legend(fontsize=8, ncols=columns, title=title, title_fontsize=8, alignment="left", **how)


def figure_png(figure: Any, dpi: int = 110) -> bytes:
    """Return a figure as PNG bytes, cut to what is drawn on it.

    ``savefig(bbox_inches="tight")`` lays out every text three times and draws twice to learn where to cut; here the
    figure is drawn once and what is white around it cut. It is asked only where something is drawn at the very edge,
    and may reach beyond it.
    """
    import numpy as np
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from PIL import Image

    buffer = io.BytesIO()
    figure.set_dpi(dpi)
    canvas = FigureCanvasAgg(figure)  # a figure has one that only saves
    canvas.draw()
    drawn = np.asarray(canvas.buffer_rgba())
    inked = drawn.view(np.uint32)[..., 0] != np.iinfo(np.uint32).max
    rows, columns = np.flatnonzero(inked.any(axis=1)), np.flatnonzero(inked.any(axis=0))
    edge = inked[[0, -1]].any() or inked[:, [0, -1]].any()
    if edge or not rows.size:
        figure.savefig(buffer, format="png", dpi=dpi, bbox_inches="tight", pad_inches=_MARGIN)
        return buffer.getvalue()
    margin = round(_MARGIN * dpi)
    top, bottom = max(rows[0] - margin, 0), rows[-1] + 1 + margin
    left, right = max(columns[0] - margin, 0), columns[-1] + 1 + margin
    Image.fromarray(drawn[top:bottom, left:right, :3]).save(buffer, format="png", dpi=(dpi, dpi))
    return buffer.getvalue()
