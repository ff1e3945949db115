"""The command ``obsnet grid``."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from obsnet.command import Shown, command

if TYPE_CHECKING:
    from obsnet.work.work import Work
    from retrieval.mapping.settings import GridTable

__all__ = ["grid"]


@command("retrieval.mapping.settings:GridTable", work=True)
def grid(options: GridTable, work: Work) -> Shown:
    """Map columns: bin means, local kriging or fixed-rank kriging, each with its standard error.

    Every map comes with a check on held-out blocks: bias, RMSE, and how often the observations lie within
    the 95 % range that the map claims.
    """
    from obsnet.language import WRITTEN
    from retrieval.mapping.maps import run_grid
    from retrieval.mapping.words import told

    report = run_grid(options, Path(), work)
    without = report.get("unfinished_inputs")
    lines = told(report, options.species, options.language)
    lines += [WRITTEN.said(options.language).format(path=name) for name in report["files"]]
    return Shown(report, lines, [f"went on with {without}"] if without else [])
