"""Try the whole way from radiances to rates on made-up cubes with a plume of known rate; a table of docs/plumes.md.

    python scripts/calibrate_filtered_rates.py [--draws 40] [--processes 2]

Cubes of 60 m pixels and 40 bands go through `obsnet plume filter` and `obsnet plume rate`. The plume is a steady
Gaussian whose mass is laid out here by molar masses alone, in a wind that is told with an error of 0.5 m s-1. Error is
(estimate - truth) / truth; coverage is how often the stated 95 % interval holds the truth.
"""

from __future__ import annotations

import argparse
import os
import tempfile
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

import netCDF4
import numpy as np
from scipy.special import erf

from obsnet.work.work import Work
from retrieval.matched_filter.bands import Bands
from retrieval.matched_filter.options import FilterTable
from retrieval.matched_filter.run import run_filter
from retrieval.matched_filter.target import ColumnAir, UnitAbsorption, write_unit_absorption
from retrieval.matched_filter.twin import CubeWorld, comb, make_cube
from retrieval.plume.options import METHODS, RateTable
from retrieval.plume.run import run_rate

PIXEL, ROWS, COLUMNS, BANDS = 60.0, 400, 120, 40
AIR = ColumnAir(42.0, 355000.0, 101325.0, 11.0, 1900.0)
CH4 = 16.0425e-3  # kg mol-1
LENGTHS = {
    "detect": {"smoothing_km": 0.06, "background_km": 3.0, "margin_km": 0.2},
    "rate": {"min_length_km": 0.4, "max_length_km": 3.0, "section_km": 0.2, "wind_error": 0.5},
}


def gaussian(rate: float, wind: float, towards: float, row: float, column: float) -> np.ndarray:
    """Return the enhancement of a steady plume, ppm m: means across the wind exact, along in steps of 5 m."""
    r, c = np.mgrid[:ROWS, :COLUMNS]
    east, north = (c - column) * PIXEL, (row - r) * PIXEL
    mass = np.zeros(r.shape)
    # many thin pieces of plume, each a Gaussian across the wind in its own place; along the wind as broad as a pixel
    steps = (np.arange(5) - 2.0) / 5.0 * PIXEL
    for de in steps:
        for dn in steps:
            x = (east + de) * np.sin(towards) + (north + dn) * np.cos(towards)
            y = (east + de) * np.cos(towards) - (north + dn) * np.sin(towards)
            sd = np.sqrt(2.0 * (10.0 + 5.0 * wind) * np.maximum(x, 1.0) / wind)
            narrow = 0.1 * PIXEL  # each of the places stands for its fifth of a pixel
            share = 0.5 * (erf((y + narrow) / (np.sqrt(2.0) * sd)) - erf((y - narrow) / (np.sqrt(2.0) * sd)))
            mass += np.where(x > 0, rate / wind * share / (2.0 * narrow), 0.0) / 25.0
    return mass / (CH4 * AIR.density * 1e-6)


def write_cube(path: Path, radiance: np.ndarray, bands: Bands) -> tuple[np.ndarray, np.ndarray]:
    """Write radiances as EMIT's L1B does, rows towards south; return latitude and longitude."""
    row, column = np.mgrid[:ROWS, :COLUMNS] * PIXEL
    latitude = 38.0 - row / 111195.0
    longitude = 100.0 + column / (111195.0 * np.cos(np.deg2rad(38.0)))
    with netCDF4.Dataset(path, "w") as file:
        file.time_coverage_start = "2026-07-01T05:30:00"
        dims = ("downtrack", "crosstrack", "bands")
        for name, size in zip(dims, radiance.shape, strict=True):
            file.createDimension(name, size)
        cube = file.createVariable("radiance", "f4", dims)
        cube.units = "uW/cm^2/SR/nm"
        cube[:] = radiance
        group = file.createGroup("sensor_band_parameters")
        group.createVariable("wavelengths", "f4", ("bands",))[:] = bands.centre
        group.createVariable("fwhm", "f4", ("bands",))[:] = bands.fwhm
        group = file.createGroup("location")
        group.createVariable("lat", "f8", dims[:2])[:] = latitude
        group.createVariable("lon", "f8", dims[:2])[:] = longitude
    return latitude, longitude


def one(seed: int) -> list[dict]:
    """Return a row a method for one drawn cube."""
    os.environ["OMP_NUM_THREADS"] = "1"
    rng = np.random.default_rng([seed, 20260401])
    wind, towards = float(rng.uniform(2.5, 8.0)), float(rng.uniform(0.0, 2.0 * np.pi))
    rate = float(np.exp(rng.uniform(np.log(0.1), np.log(3.0))))
    row, column = ROWS / 2 - 25 * -np.cos(towards), COLUMNS / 2 - 25 * np.sin(towards)
    planted = gaussian(rate, wind, towards, row, column)
    world = CubeWorld(
        rows=ROWS,
        columns=COLUMNS,
        noise=float(rng.uniform(0.002, 0.004)),
        contrast=float(rng.uniform(0.1, 0.4)),
    )
    bands = Bands(2200.0 + 6.0 * np.arange(BANDS), np.full(BANDS, 7.0))
    twin = make_cube(world, comb(BANDS), seed, planted)
    serial = Work(scheduler="serial")
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        latitude, longitude = write_cube(folder / "cube.nc", twin.radiance, bands)
        write_unit_absorption(UnitAbsorption("CH4", bands, comb(BANDS), AIR), folder / "ch4.csv")
        run_filter(
            FilterTable(
                cubes=[str(folder / "cube.nc")],
                absorption=[folder / "ch4.csv"],
                out=folder / "e",
                pictures=False,
            ),
            serial,
        )
        place = (
            latitude[0, 0] - row * PIXEL / 111195.0,
            longitude[0, 0] + column * (longitude[0, 1] - longitude[0, 0]),
        )
        (folder / "sources.csv").write_text(
            f"source,latitude,longitude\nwell,{place[0]:.6f},{place[1]:.6f}\n"
        )
        known = wind + 0.5 * rng.standard_normal()
        told = towards + np.deg2rad(5.0) * rng.standard_normal()
        u, v = known * np.sin(told), known * np.cos(told)
        summary = run_rate(
            RateTable(
                scenes=[str(folder / "e" / "cube_ch4.nc")],
                species="CH4",
                sources=folder / "sources.csv",
                wind=f"{u:.4f},{v:.4f}",
                out=folder / "p",
                pictures=False,
                **LENGTHS,
            ),
            serial,
        )
    assert not summary.bad, summary.bad
    return [r | {"truth": rate, "known": known / wind} for r in summary.rates]


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--draws", type=int, default=40)
    parser.add_argument("--processes", type=int, default=2)
    asked = parser.parse_args()
    with ProcessPoolExecutor(asked.processes) as pool:
        rows = [r for part in pool.map(one, range(asked.draws)) for r in part]
    print(f"{asked.draws} cubes, 0.1 to 3 kg s-1 of CH4")
    print(
        "| method | accepted | median | 25 % | 75 % | truth inside 95 % | median with the true wind | ten times off |"
    )
    print("| --- " * 8 + "|")
    for method in METHODS:
        mine = [r for r in rows if r["method"] == method]
        good = [r for r in mine if not r["quality"]]
        off = np.array([r["rate_kg_s"] / r["truth"] - 1.0 for r in good])
        still = np.array([r["rate_kg_s"] / r["truth"] / r["known"] - 1.0 for r in good])
        inside = np.mean([r["low95_kg_s"] <= r["truth"] <= r["high95_kg_s"] for r in good])
        low, middle, high = np.percentile(off, (25, 50, 75))
        far = sum(not 0.1 < r["rate_kg_s"] / r["truth"] < 10.0 for r in good)
        print(
            f"| `{method}` | {len(good)} of {len(mine)} | {middle:+.0%} | {low:+.0%} | {high:+.0%} | {inside:.2f} | "
            f"{np.median(still):+.0%} | {far} |"
        )
    why: dict[str, int] = {}
    for r in rows:
        for reason in filter(None, r["reasons"].split("; ")):
            why[reason] = why.get(reason, 0) + 1
    print("rejected:", ", ".join(f"{k} {n}" for k, n in sorted(why.items(), key=lambda item: -item[1])))


if __name__ == "__main__":
    main()
