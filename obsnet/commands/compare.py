"""``obsnet compare SYSTEM…``: others' inversions through the same regions."""

from __future__ import annotations

from obsnet.command import Shown, command
from obsnet.crosscheck.systems.options import ComparisonOptions
from obsnet.language import WRITTEN

__all__ = ["compare"]


@command("obsnet.crosscheck.systems.options:ComparisonOptions")
def compare(options: ComparisonOptions) -> Shown:
    """Set several inversions side by side: each with its own error, and how far they differ from each other."""
    from obsnet.crosscheck.systems.lines import compared_data, compared_lines, write_compared
    from obsnet.crosscheck.systems.run import compare_systems

    found = compare_systems(options)
    notes = list(found.notes)
    if options.out is not None:
        from obsnet.crosscheck.systems.figure import write_spread_figures
        from obsnet.drawing.fonts import drawn_in, missing

        notes += missing(options.language)
        written = write_compared(found, options.out, options.language)
        written += write_spread_figures(found.systems, found.spread, options.out, drawn_in(options.language))
        notes += [WRITTEN.said(options.language).format(path=p) for p in written]
    return Shown(compared_data(found), compared_lines(found, options.language), notes)
