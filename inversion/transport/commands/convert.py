"""``obsnet footprints convert`` and ``info``."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from obsnet.command import Shown, command

if TYPE_CHECKING:
    from inversion.transport.conversion.options import ConvertOptions
    from inversion.transport.readers.options import InfoOptions
    from obsnet.work.work import Work

__all__ = ["convert", "info", "told"]


@command("inversion.transport.readers.options:InfoOptions")
def info(options: InfoOptions) -> Shown:
    """Say what a footprint file holds: kind, unit, receptor, total sensitivity, hours, grid."""
    from inversion.transport.files.summary import in_words
    from inversion.transport.readers.info import summary_of

    found = summary_of(options.file, options)
    rows = [f"{name:18s} {text}" for name, text in in_words(found).items()]
    return Shown(found, [*rows, *(f"note: {note}" for note in found["notes"])])


@command("inversion.transport.conversion.options:ConvertOptions", work=True)
def convert(options: ConvertOptions, work: Work) -> Shown:
    """Convert footprints of any make into the sparse Jacobian, CF netCDF or the PARIS layout."""
    from inversion.transport.conversion.convert import run_convert

    report = run_convert(options, work)
    data = {"out": options.out, **report}
    if options.to != "store":
        lines = [f"{options.out}: {report['receptors']} footprints"]
        return Shown(data, lines, [f"note: {note}" for note in report["notes"]])
    lines, notes = told(report, options.out)
    return Shown(data, lines, notes, failed=len(report["failed"]))


def told(report: dict[str, Any], out: Path) -> tuple[list[str], list[str]]:
    """Return what a conversion came to, in lines, and what is to be known of it."""
    notes = [f"failed: {bad['error']}" for bad in report["failed"]]
    notes += [f"note ({count} files): {note}" for note, count in report["notes"].items()]
    return list(_lines(report, out)), notes


def _lines(report: dict[str, Any], out: Path) -> Iterator[str]:
    from inversion.transport.conversion.convert import LOST

    for reason, amount in report["lost"].items():
        if abs(amount) > 1e-6 * abs(report["total"]):
            share = 100 * amount / report["total"]
            yield f"left out: {share:.1f} % of all sensitivity is {LOST[reason]}"
    extra = f", {report['unmatched']} observations without a receptor" if report["unmatched"] else ""
    yield (
        f"{out}: {report['observations']} observations from {report['done']} files, {report['skipped']} "
        f"files were there already, {report['missing']} receptors without a footprint{extra}; "
        f"{len(report['failed'])} files failed"
    )
