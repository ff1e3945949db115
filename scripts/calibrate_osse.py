"""Stated against true errors of every network, where observations have errors in common that nobody told of.

    python scripts/calibrate_osse.py [--networks oco2 co2m_1] [--twins 300] [--docs]
    python scripts/calibrate_osse.py --shares [--docs]    # how much the assumed share of an overpass matters

For each network: China's error as stated, what is true of it where the assumptions hold and under five kinds of common
error (true over stated; in brackets the share of provincial truths inside their 95 % intervals), and the same for an
inversion that takes all errors for independent. With `--shares` for each network of columns: China's error as stated
where a share of 0.1, 0.3 (the default) or 0.5 of the columns' model variance is common to an overpass, and true over
stated where 0.3 is assumed and 0.1 or 0.5 is true. `--docs` writes the table into docs/design.md.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np

from inversion.problem.posterior import Posterior
from inversion.study.options import WorldOptions
from inversion.study.osse.osse import run_twins
from inversion.study.study import Study
from inversion.study.worlds.network import presets, read_network
from inversion.study.worlds.world import StudyWorld
from obsnet.config import validate

DOCS = Path(__file__).resolve().parents[1] / "docs" / "design.md"
START, END = "<!-- errors in common: made by scripts/calibrate_osse.py -->", "<!-- /errors in common -->"
SHARES = 0.1, 0.3, 0.5
SHARE_START, SHARE_END = (
    "<!-- overpass share: made by scripts/calibrate_osse.py -->",
    "<!-- /overpass share -->",
)
INDEPENDENT = (
    "error.correlation_hours=0",
    "error.along_track_km=0",
    "error.overpass_share=0",
    "offset.systematic=false",
)


def truths(network: str, column: bool) -> dict[str, list[str]]:
    """Return what is otherwise in each kind of truth, of the size of the model error (ppm)."""
    size = 0.7 if column else 3.0
    pattern = (
        f"offset.pattern={{{network}={size}}}"
        if column
        else f"offset={{sigma={{{network}={size}}},by='platform'}}"
    )
    return {
        "as assumed": [],
        "errors last two weeks; 60 % of an overpass": [
            "error.correlation_hours=336",
            "error.overpass_share=0.6",
        ],
        "a pattern over 300 km; an offset a station": [pattern, "offset.pattern_km=300"]
        if column
        else [pattern],
        "an offset a day": [f"offset={{sigma={{{network}={size}}},by='day'}}"],
        "another wind": ["transport.seed=5"],
        "prior errors over 150 km": ["correlation_km=150"],
    }


def against(study: Study, posterior: Posterior, true: Study, twins: int) -> tuple[float, float, float]:
    """Return China's error as stated and as true, and the share of provinces' truths inside their 95 % intervals."""
    found = run_twins(
        study.problem,
        study.weights,
        twins=twins,
        posterior=posterior,
        truth=true.problem,
        true_weights=true.weights,
    )
    inside = float(np.mean([c.inside_95 for c in found.coverage()[:-1]]))
    return float(found.posterior_deviation[-1]), float(found.true_deviation[-1]), inside


def share_line(world: StudyWorld, network: str, twins: int) -> str:
    """Return a row of the table of shares."""
    worlds = {share: world.changed([f"error.overpass_share={share}"]) for share in SHARES}
    studies = {share: other.study([network], Path()) for share, other in worlds.items()}
    stated, cells = [], []
    for share, study in studies.items():
        posterior = study.solve(study.problem)
        stated.append(f"{np.sqrt(posterior.aggregate(study.weights[[-1]]).covariance[0, 0]):,.0f}")
        if share == 0.3:
            for other in (0.1, 0.5):
                said, real, inside = against(study, posterior, studies[other], twins)
                cells.append(f"{real / said:.2f} ({inside:.0%})")
    return f"| {network} | " + " | ".join([*stated, *cells]) + " |"


def line(world: StudyWorld, network: str, twins: int) -> str:
    """Return a row of the table."""
    column = read_network(network).kind == "orbit"
    cells = []
    for assumed in ((), INDEPENDENT):
        base = world.changed(assumed)
        study = base.study([network], Path())
        posterior = study.solve(study.problem)
        for name, changes in truths(network, column).items():
            if assumed and name == "as assumed":
                other = world  # the errors that the first half of the line assumes are true
            elif assumed:
                continue
            else:
                other = base.changed(changes)
            stated, real, inside = against(study, posterior, other.study([network], Path()), twins)
            if name == "as assumed":
                cells.append(f"{stated:,.0f}")
            cells.append(f"{real / stated:.2f} ({inside:.0%})")
    return f"| {network} | " + " | ".join(cells) + " |"


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    known = [n for n in presets() if "CO2" in read_network(n).random]
    parser.add_argument("--networks", nargs="+", default=known, choices=known)
    parser.add_argument("--twins", type=int, default=300)
    parser.add_argument("--cell", type=float, default=4.0, help="degrees")
    parser.add_argument("--shares", action="store_true", help="of the share of an overpass")
    parser.add_argument("--docs", action="store_true", help="write the table into docs/design.md")
    chosen = parser.parse_args()
    options = {
        "start": "2023-01-01",
        "stop": "2023-02-01",
        "cell_deg": chosen.cell,
        "south": 14.0,
        "north": 54.0,
    }
    world = StudyWorld(validate(WorldOptions, options))
    head = ["network", "China stated", *truths("x", True), "independent: stated", "true"]
    networks, make, marks = chosen.networks, line, (START, END)
    if chosen.shares:
        networks = [n for n in networks if read_network(n).kind == "orbit"]
        make, marks = share_line, (SHARE_START, SHARE_END)
        head = [
            "network",
            *(f"{s:g} assumed" for s in SHARES),
            "0.3 assumed, 0.1 true",
            "0.3 assumed, 0.5 true",
        ]
    rows = [f"| {' | '.join(head)} |", "|---" * len(head) + "|"]
    print("\n".join(rows), flush=True)
    for network in networks:
        rows.append(make(world, network, chosen.twins))
        print(rows[-1], flush=True)
    if chosen.docs:
        text = DOCS.read_text(encoding="utf-8")
        before, after = text.split(marks[0])[0], text.split(marks[1])[1]
        DOCS.write_text(f"{before}{marks[0]}\n" + "\n".join(rows) + f"\n{marks[1]}{after}", encoding="utf-8")


if __name__ == "__main__":
    main()
