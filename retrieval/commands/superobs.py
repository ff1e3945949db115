"""The command ``obsnet superobs``."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from obsnet.command import Shown, command

if TYPE_CHECKING:
    from obsnet.work.work import Work
    from retrieval.superobs.options import SuperobsTable
    from retrieval.superobs.store import SuperobsSummary

__all__ = ["superobs"]


@command("retrieval.superobs.options:SuperobsTable", work=True)
def superobs(options: SuperobsTable, work: Work) -> Shown:
    """Combine soundings into super-observations with honest errors.

    Good soundings are averaged over windows along the track, or over grid cells by the area that their
    pixels share with them; kernels and priors with the same weights. Never across land and sea, modes,
    platforms or gaps. Days that are done already are left alone.
    """
    from retrieval.superobs.store import run_superobs

    summary = run_superobs(options, Path(), work)
    data = {
        "sources": summary.by_source(),
        "days": summary.days,
        "bad": len(summary.bad),
        "errors": summary.errors,
        "unfinished_inputs": summary.without,
    }
    notes = [f"went on with {summary.without}"] if summary.without else []
    return Shown(data, _lines(summary, options.species), notes, failed=len(summary.bad))


def _lines(summary: SuperobsSummary, species: str) -> Iterator[str]:
    from obsnet.constants import species as species_of

    unit = species_of(species).unit_name
    how = summary.errors
    yield f"errors: {how['equation']}, {unit}, from {how['inputs']}; {how['source']}"
    for name, total in summary.by_source().items():
        yield f"{name}: {total['days']} days, {total['soundings']} soundings, {total['good']} good"
        if total["superobs"] == 0:
            yield "  no super-observation"
        else:
            yield (
                f"  {total['superobs']} super-observations, mean {total['value']:.3f} {unit}, "
                f"mean uncertainty {total['uncertainty']:.3f} {unit}"
            )
            if total["slivers"]:
                yield (
                    f"  {total['slivers']} of them hold less than one whole sounding: their uncertainty is that "
                    "of a part of one, true of means over neighbours; alone they are better"
                )
            yield (
                f"  averaging the operator changes it by at most {total['residual_prior_max']:.3f} {unit} "
                f"on the mean prior, {total['residual_plume_max']:.3f} {unit} with 2.5 % more near the ground"
            )
        for reason, number in total["problems"].items():
            yield f"  left out: {number} {reason}"
    skipped = sum(d["skipped"] for d in summary.days if d["status"] == "done")
    yield f"{len(summary.days)} days, {skipped} of them done before"
    for day in summary.bad:
        yield f"{day['source']} {day['day']}: {day['status']}"
    if summary.bad:
        yield f"{len(summary.bad)} of {len(summary.days)} days bad"
