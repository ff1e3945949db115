"""The commands ``obsnet plume card``, ``planned`` and ``provinces``."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from obsnet.command import Shown, command

if TYPE_CHECKING:
    from obsnet.work.work import Work
    from retrieval.plants.options import CardTable, PlannedTable, ProvincesTable
    from retrieval.plants.run import PlantFiles

__all__ = ["card", "planned", "provinces"]


@command("retrieval.plants.options:CardTable")
def card(options: CardTable) -> Shown:
    """Put a plant's rates beside its stack monitors and its fuel, on one page.

    Each overpass is compared with what the stacks emitted while its air passed them. Where nothing could be seen no
    rate is told, only the limit.
    """
    from retrieval.plants.page import summary_lines
    from retrieval.plants.run import run_card

    made = run_card(options)
    assert made.card is not None
    notes = [n.said(options.language) for n in made.card.notes]
    return Shown(_data(made), _lines(summary_lines(made.card, options.language), made), notes)


@command("retrieval.plants.options:PlannedTable", work=True)
def planned(options: PlannedTable, work: Work) -> Shown:
    """Tell what a plant that is not built yet would add to XCO2, and whether it could be seen.

    A steady plume gives the increment and the limit; made-up scenes with restless air are searched as measured ones
    are. With footprints of stations their increments and limits stand beside it.
    """
    from retrieval.plants.run import run_planned

    made = run_planned(options, work)
    return Shown(_data(made), _lines(made.data["summary"], made), made.data["notes"])


@command("retrieval.plants.options:ProvincesTable")
def provinces(options: ProvincesTable) -> Shown:
    """Add the cards of plants up by province, and compare all their overpasses together.

    What all rates have alike is kept common: it does not become smaller by adding plants.
    """
    from retrieval.plants.run import run_provinces

    made = run_provinces(options)
    return Shown(_data(made), _lines(_provinces(made.data), made), made.data["notes"])


def _data(made: PlantFiles) -> dict[str, Any]:
    return made.data | {"files": [str(f) for f in made.files]}


def _lines(lines: list[str] | Iterator[str], made: PlantFiles) -> Iterator[str]:
    yield from lines
    for name in made.files:
        yield f"wrote {name}"


def _provinces(data: dict[str, Any]) -> Iterator[str]:
    for r in data["provinces"]:
        without = f", {r['without_total']} without a total" if r["without_total"] else ""
        yield (
            f"{r['region'] or '(no province)'} {r['year']}: {r['total_mt']:.3g} Mt of {r['plants']} plants{without}; "
            f"95 % {r['low95_mt']:.3g} to {r['high95_mt']:.3g} (common {r['common_mt']:.2g}, rates "
            f"{r['random_mt']:.2g}, "
            f"snapshots {r['sampling_mt']:.2g})"
        )
    a = data["agreement"]
    if a is None:
        return
    d, w = a["difference"], a["e_n_within"]
    yield (
        f"{a['n']} overpasses beside stacks: mean difference {d['bias']:+.0f} kg s-1 "
        f"({d['bias_interval'][0]:+.0f} to "
        f"{d['bias_interval'][1]:+.0f}), |E_n| <= 1 in {w['inside']}"
    )
    if a["york"] is not None:
        low, high = a["york"]["slope_interval"]
        yield f"slope (York) {a['york']['slope']:.2f}, 95 % {low:.2f} to {high:.2f}"
