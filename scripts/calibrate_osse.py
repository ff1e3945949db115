"""Stated against true errors of every network, where observations have errors in common that nobody told of.

    python scripts/calibrate_osse.py [--networks oco2 co2m_1] [--twins 300] [--docs]

For each network: China's error as stated, what is true of it where the assumptions hold and under five kinds of common
error (true over stated; in brackets the share of provincial truths inside their 95 % intervals), and the same for an
inversion that takes all errors for independent. `--docs` writes the table into docs/design.md.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np

from inversion.study.network import presets, read_network
from inversion.study.options import WorldOptions
from inversion.study.osse import run_twins
from inversion.study.world import StudyWorld
from obsnet.config import validate

DOCS = Path(__file__).resolve().parents[1] / "docs" / "design.md"
START, END = "<!-- errors in common: made by scripts/calibrate_osse.py -->", "<!-- /errors in common -->"
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
            true = other.study([network], Path())
            found = run_twins(
                study.problem,
                study.weights,
                twins=twins,
                posterior=posterior,
                truth=true.problem,
                true_weights=true.weights,
            )
            stated, real = found.posterior_deviation[-1], found.true_deviation[-1]
            inside = np.mean([c.inside_95 for c in found.coverage()[:-1]])
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
    rows = [f"| {' | '.join(head)} |", "|---" * len(head) + "|"]
    print("\n".join(rows), flush=True)
    for network in chosen.networks:
        rows.append(line(world, network, chosen.twins))
        print(rows[-1], flush=True)
    if chosen.docs:
        text = DOCS.read_text(encoding="utf-8")
        before, after = text.split(START)[0], text.split(END)[1]
        DOCS.write_text(f"{before}{START}\n" + "\n".join(rows) + f"\n{END}{after}", encoding="utf-8")


if __name__ == "__main__":
    main()
