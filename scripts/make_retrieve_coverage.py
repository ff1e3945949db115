"""How often the intervals of `obsnet retrieve` hold: made-up soundings with and without a thin layer, counted.

    PYTHONPATH=. python scripts/make_retrieve_coverage.py --work /tmp/intervals

Truths are drawn from the priors of the fit. 80 soundings and five runs take minutes.
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

import numpy as np

from obsnet.config import validate
from obsnet.work.work import Work
from retrieval.fits.options import RetrieveTable
from retrieval.fits.run import run_retrieve
from tests.retrieval.fits.world import LIGHT, granule


def show(title: str, truths: list[tuple[float, float, float]], **options: Any) -> None:
    """Fit a granule and print one row."""
    made = run_retrieve(validate(RetrieveTable, options), Work(scheduler="serial"))
    gas: list[tuple[float, float]] = []
    surface: list[tuple[float, float]] = []
    for s, (scale, pressure, _) in zip(made.soundings, truths, strict=True):
        x = s["xco2"]
        ppm = x["value"] - 400.0 * scale
        gas.append((ppm, ppm / x["uncertainty"]))
        hpa = s["surface_pressure"] - s["surface_pressure_met"] * pressure
        surface.append((hpa, hpa / s["surface_pressure_uncertainty"]))
    flagged = sum("suspect" in s["xco2"]["quality"] for s in made.soundings)
    cells = []
    for pairs in (gas, surface):
        off, share = np.transpose(pairs)
        cells.append(f"{off.mean():+.1f} | {off.std():.1f} | {100 * np.mean(np.abs(share) < 1.96):.0f} %")
    print(f"| {title} | {' | '.join(cells)} | {flagged} of {len(truths)} |", flush=True)


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--work", type=Path, default=Path("retrieve_coverage"))
    parser.add_argument("--soundings", type=int, default=40)
    parser.add_argument("--seed", type=int, default=3)
    options = parser.parse_args()
    rng = np.random.default_rng(options.seed)
    drawn = rng.normal(size=(options.soundings, 6))
    truths = [(1.0 + 0.1 * a, 1.0 + 0.02 * b, 5.0 * c) for a, b, c in drawn[:, :3]]
    hazes = [(float(np.clip(0.8 + 0.2 * a, 0.2, 0.98)), abs(0.1 * b), 1.0 + c) for a, b, c in drawn[:, 3:]]
    print(
        "| air | fit | XCO2, ppm: bias | spread | 95 % holds | surface, hPa: bias | spread | 95 % holds | suspect |"
    )
    print("| --- | --- | --- | --- | --- | --- | --- | --- | --- |")
    for air, thin in (("clear", None), ("hazy", hazes)):
        folder = options.work / air
        folder.mkdir(parents=True, exist_ok=True)
        given = granule(folder, truths, seed=options.seed, hazes=thin)
        layer = {"fit": given["fit"] | {"layer": True, "max_iterations": 30}}
        show(f"{air} | clear sky", truths, **(given | {"out": folder / "without"}))
        show(f"{air} | layer", truths, **(given | layer | {"irradiance": LIGHT, "out": folder / "layer"}))
        if thin:
            half = {name: 0.5 * value for name, value in LIGHT.items()}
            wrong = {"irradiance": half, "out": folder / "half"}
            show(f"{air} | layer, half the irradiance", truths, **(given | layer | wrong))


if __name__ == "__main__":
    main()
