"""Try the rates of plumes on scenes of known truth and print the tables of docs/plumes.md.

    python scripts/calibrate_plumes.py [--draws 200] [--processes 2] [--data DIR]

First method errors alone (wind, background and detector perfect), then made-up plumes over wind, place, strength, pixel
and clouds, then scenes without any source, then the synthetic CO2M granule of DIR/retrieval/smartcarb, which has one
weather only. Error is (estimate - truth) / truth; coverage is how often the stated 95 % interval holds the truth.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import warnings
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

import numpy as np

from retrieval.plume.images.detect import detect
from retrieval.plume.options import METHODS, DetectSettings, RateSettings
from retrieval.plume.rates.estimate import source_rates
from retrieval.plume.rates.reasons import REASONS
from retrieval.plume.twin import TwinSettings, make_twin

COLUMNS = "n accepted median   25 %   75 %  coverage  10x"


def one_twin(task):
    """Return a row a method for one drawn scene."""
    settings, seed, group = task
    os.environ["OMP_NUM_THREADS"] = "1"
    twin = make_twin(settings, seed)
    scene = twin.scene
    found = detect(
        scene.value, scene.uncertainty, scene.spacing_km, DetectSettings(), scene.no2, scene.no2_uncertainty
    )
    rates = source_rates(scene, found, twin.source, twin.others, twin.wind, RateSettings())
    return [
        {
            "group": group,
            "method": e.method,
            "truth": twin.rate,
            "rate": e.rate,
            "low": e.low,
            "high": e.high,
            "reasons": int(e.reasons),
            "unsteady": e.budget.method,
            "plumes": found.count,
            "wind": twin.wind.speed / settings.wind,
        }
        for e in rates.estimates
    ]


def quiet_tasks(draws):
    """Scenes in which only the air is unsteady."""
    rng = np.random.default_rng(1)
    for k in range(draws):
        settings = TwinSettings(
            rate=2000,
            wind=float(rng.uniform(3, 8)),
            direction=float(rng.uniform(0, 360)),
            noise=0.05,
            structure=0.0,
            slope=0.0,
            clouds=0.0,
            wind_error=0.0,
            wind_turn=float(rng.choice([0.0, 8.0])),
            rows=60,
            columns=60,
            no2=bool(k % 2),
        )
        yield settings, 10_000 + k, "quiet"


def drawn_tasks(draws, *, rate=None):
    """Scenes as satellites have them."""
    rng = np.random.default_rng(2 if rate is None else 3)
    for k in range(draws):
        pixel, noise = ((1.0, 1.0), (2.0, 0.7), (4.0, 0.5))[k % 3]
        no2 = bool(k // 3 % 2)
        settings = TwinSettings(
            rate=float(np.exp(rng.uniform(np.log(150), np.log(3000)))) if rate is None else rate,
            wind=float(np.exp(rng.uniform(np.log(1.5), np.log(10)))),
            direction=float(rng.uniform(0, 360)),
            pixel_km=pixel,
            rows=int(120 / pixel),
            columns=int(120 / pixel),
            latitude=float(rng.uniform(-60, 60)),
            noise=noise,
            structure=float(rng.uniform(0.1, 0.5)),
            clouds=float(rng.uniform(0, 0.4)),
            no2=no2,
            neighbour=500.0 if rate is None and k % 10 == 9 else None,
        )
        yield settings, (20_000 if rate is None else 30_000) + k, f"{pixel:g} km" + (", NO2" if no2 else "")


def table(rows, title):
    """Print a line a method."""
    print(f"\n{title}\n{'':8s} {COLUMNS}")
    for method in METHODS:
        mine = [r for r in rows if r["method"] == method]
        used = [r for r in mine if not r["reasons"]]
        print(f"{method:8s} {line(mine, used)}")


def line(mine, used):
    """Return the numbers of accepted estimates."""
    if not used:
        return f"{len(mine):3d} {0:8.0%}"
    error = np.array([(r["rate"] - r["truth"]) / r["truth"] for r in used])
    covered = np.mean([r["low"] <= r["truth"] <= r["high"] for r in used])
    off = sum(not 0.1 < r["rate"] / r["truth"] < 10 for r in used)
    quarter, middle, three = np.percentile(error, (25, 50, 75))
    spread = f"{middle:+6.0%} {quarter:+6.0%} {three:+6.0%}"
    return f"{len(mine):3d} {len(used) / len(mine):8.0%} {spread} {covered:9.2f} {off:4d}"


def rejected(rows, title):
    """Print why estimates were rejected, and how far off they would have been."""
    print(f"\n{title}")
    bad = [r for r in rows if r["reasons"]]
    for bit, words in REASONS.items():
        n = sum(bool(r["reasons"] & bit) for r in bad)
        if n:
            print(f"  {n / len(rows):5.1%} {words[0]}")
    off = sum(not 0.1 < r["rate"] / r["truth"] < 10 for r in bad)
    print(f"  of {len(bad)} rejected estimates {off} are ten times off or none")


def method_errors(rows):
    """Print the scatter that unsteady air makes, and what sections themselves say of it."""
    print("\nerror of the method alone, over truth; stated: root mean square of what the budget has for it")
    for method in METHODS:
        mine = [r for r in rows if r["method"] == method and np.isfinite(r["rate"]) and not r["reasons"]]
        error = np.array([r["rate"] / r["truth"] - 1 for r in mine])
        stated = np.array([r["unsteady"] / r["rate"] for r in mine])
        numbers = (error.mean(), np.sqrt(np.mean(error**2)), np.sqrt(np.mean(stated**2)))
        print(
            f"{method:8s} n {len(mine):3d} mean {numbers[0]:+.3f} rms {numbers[1]:.3f} stated {numbers[2]:.3f}"
        )


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--draws", type=int, default=200)
    parser.add_argument("--rows", type=Path, help="keep every estimate in this file (JSON)")
    parser.add_argument("--processes", type=int, default=2)
    parser.add_argument(
        "--data", type=Path, default=Path(os.environ.get("OBSNET_SAMPLE_DATA", "../shared/data"))
    )
    asked = parser.parse_args()
    with ProcessPoolExecutor(asked.processes) as pool:
        tasks = [
            *quiet_tasks(asked.draws // 4),
            *drawn_tasks(asked.draws),
            *((s, n, "empty " + g) for s, n, g in drawn_tasks(asked.draws // 6, rate=0.0)),
        ]
        every = []
        for k, rows in enumerate(pool.map(one_twin, tasks)):
            every += rows
            print(f"\r{k + 1} of {len(tasks)} scenes", end="", file=sys.stderr, flush=True)
            if asked.rows:
                asked.rows.write_text(json.dumps(every))
    quiet = [r for r in every if r["group"] == "quiet"]
    method_errors(quiet)
    empty = [r for r in every if r["group"].startswith("empty")]
    drawn = [r for r in every if r not in quiet and r not in empty]
    table(drawn, "made-up plumes")
    for group in sorted({r["group"] for r in drawn}):
        table([r for r in drawn if r["group"] == group], f"pixels of {group}")
    rejected(drawn, "why rejected (shares of all estimates)")
    scenes = len(empty) // len(METHODS)
    alarms = sum(r["plumes"] for r in empty) / len(METHODS)
    told = sum(not r["reasons"] for r in empty)
    print(f"\nwithout a source: {alarms / scenes:.2f} plumes a scene, {told} rates accepted")


if __name__ == "__main__":
    warnings.simplefilter("error")
    main()
