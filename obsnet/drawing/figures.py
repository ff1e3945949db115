"""Figures that are drawn and gone: without pyplot, which keeps every figure and asks for a screen."""

from __future__ import annotations

import io
from typing import Any

__all__ = ["figure_png", "new_figure", "subplots"]


def new_figure(size: tuple[float, float], layout: Any = None) -> Any:
    """Return an empty figure of a width and a height in inches; `layout` as of `matplotlib.figure.Figure`."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=size, layout=layout)
    FigureCanvasAgg(figure)
    return figure


def subplots(
    rows: int = 1, columns: int = 1, *, figsize: tuple[float, float], layout: Any = None, **how: Any
) -> tuple[Any, Any]:
    """Return a figure and its axes, as `matplotlib.figure.Figure.subplots` makes them."""
    figure = new_figure(figsize, layout)
    return figure, figure.subplots(rows, columns, **how)


def figure_png(figure: Any, dpi: int = 110) -> bytes:
    """Return a figure as PNG bytes."""
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", dpi=dpi, bbox_inches="tight")
    return buffer.getvalue()
