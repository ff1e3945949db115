"""The command ``obsnet ingest``."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from obsnet.command import Shown, command

if TYPE_CHECKING:
    from obsnet.work.work import Work
    from retrieval.ingest.options import IngestTable
    from retrieval.ingest.run import IngestSummary

__all__ = ["ingest"]


@command("retrieval.ingest.options:IngestTable", work=True)
def ingest(options: IngestTable, work: Work) -> Shown:
    """Read satellite granules into an observation store.

    Flagged soundings are kept with their reasons; bad files are listed with theirs and the run goes on.
    Files that are done already are left alone, so a killed run is simply started again.
    """
    from retrieval.ingest.run import run_ingest

    summary = run_ingest(options, Path(), Path(), work)
    return Shown(summary.to_dict(), _lines(summary), failed=len(summary.bad))


def _lines(summary: IngestSummary) -> Iterator[str]:
    """Say one line a file, the filters' counts, and what failed in the last line."""
    from obsnet.constants import species as species_of

    width = max((len(Path(r["path"]).name) for r in summary.files), default=4)
    yield f"{'file':{width}s} {'soundings':>9s} {'good':>7s} {'mean good':>10s} unit status"
    for row in summary.files:
        mean = "-" if row.get("mean_good") is None else f"{row['mean_good']:.4f}"
        unit = species_of(row["species"]).unit_name if row.get("species") else "-"
        name = Path(row["path"]).name
        yield f"{name:{width}s} {row['soundings']:9d} {row['good']:7d} {mean:>10s} {unit:4s} {row['status']}"
        for note in filter(None, (row.get("notes") or "").split("; ")):
            yield f"  note: {note}"
    for kind, title in (("producer", "set in the producer's flags"), ("screen", "rejected by the screen")):
        totals = summary.totals(kind)
        if totals:
            yield f"{title}: " + ", ".join(f"{name} {number}" for name, number in totals.items())
    before = f", {summary.skipped} done before" if summary.skipped else ""
    yield f"{len(summary.files)} files{before}: {summary.soundings} soundings, {summary.good} good"
    if summary.copies:
        yield f"{len(summary.copies)} of {len(summary.files)} files are copies and were not read twice"
    if summary.bad:
        yield f"{len(summary.bad)} of {len(summary.files)} files bad"
