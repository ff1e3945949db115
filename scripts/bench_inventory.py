"""Speed of inventories, with floors in one run.

    python scripts/bench_inventory.py [--draws 100000] [--prior] [--books]

Monte Carlo of 31 provinces x 20 fuels with shared factors, against drawing the same count of normal numbers and
nothing else; the workbooks of CEADs in the sample data ($OBSNET_SAMPLE_DATA); a 0.1 degree prior of China with ten
sectors. Processor time, since other jobs on the machine do not count in it.
"""

from __future__ import annotations

import argparse
import json
import os
import time
from pathlib import Path

import numpy as np

ROOT = Path(__file__).resolve().parents[1]
DATA = Path(os.environ.get("OBSNET_SAMPLE_DATA", ROOT.parent / "shared" / "data"))


def timed(function):
    """Return the result, processor and wall time of a call, s."""
    wall, start = time.perf_counter(), time.process_time()
    result = function()
    return result, round(time.process_time() - start, 2), round(time.perf_counter() - wall, 2)


def draws(n):
    from obsnet.inventory.uncertainty.montecarlo import province_covariance, province_draws

    emission = np.random.default_rng(0).lognormal(1, 1, (31, 20))
    province_draws(emission, 0.05, 0.1, draws=1000)  # compile

    def floor():
        for k in range(n // 1000):
            np.random.Generator(np.random.Philox(key=[0, k])).standard_normal(
                (1000, 31, 20), dtype=np.float32
            )

    _, least, _ = timed(floor)
    found, cpu, wall = timed(lambda: province_draws(emission, 0.05, 0.1, draws=n))
    exact = float(np.sqrt(province_covariance(emission, 0.05, 0.1).sum()))
    return {
        "draws": n,
        "cpu_s": cpu,
        "wall_s": wall,
        "floor_cpu_s": least,
        "national_sd_over_exact": found.national_sd / exact,
    }


def books():
    from obsnet.inventory.sources.ceads import read_ceads_books

    paths = sorted((DATA / "inventory/ceads/provinces").glob("*.xlsx"))
    found, cpu, wall = timed(lambda: read_ceads_books(paths))
    return {"books": len(paths), "province_years": len(found.regions), "cpu_s": cpu, "wall_s": wall}


def prior(folder):
    import pandas as pd

    from obsnet.grid import Grid
    from obsnet.inventory.prior.build import gridded_prior
    from obsnet.inventory.prior.files import prior_dataset
    from obsnet.regions import PROVINCES, provinces

    regions = provinces()
    sectors = [f"sector {k}" for k in range(10)]
    rows = [(r, s, 1e10, 0.1) for r in PROVINCES for s in sectors if r != "820000"]
    totals = pd.DataFrame(rows, columns=["region", "sector", "value", "sd"])
    grid = Grid.regular(3.0, 55.0, 73.0, 136.0, 0.1, 0.1)
    year = np.array([[np.datetime64("2019-01-01"), np.datetime64("2020-01-01")]])

    def make():
        from obsnet.cf import write_netcdf

        made = gridded_prior(totals, regions, grid)
        data = prior_dataset(
            made,
            gas="CO2",
            times=year,
            factors=np.ones((1, 10)),
            title="t",
            source="s",
            license="none",
            correlation=1.0,
        )
        write_netcdf(data, folder / "prior.nc")
        return made

    os.environ["OBSNET_CACHE"] = str(folder)
    _, first, wall = timed(make)
    _, again, _ = timed(make)
    return {"cells": grid.size, "sectors": 10, "cpu_s": first, "wall_s": wall, "cpu_s_weights_kept": again}


def main() -> None:
    import tempfile

    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--draws", type=int, default=100_000)
    parser.add_argument("--books", action="store_true")
    parser.add_argument("--prior", action="store_true")
    arguments = parser.parse_args()
    every = not (arguments.books or arguments.prior)
    out = {}
    if every:
        out["monte_carlo"] = draws(arguments.draws)
    if arguments.books or every:
        out["workbooks"] = books() if DATA.is_dir() else f"left out: no sample data in {DATA}"
    if arguments.prior or every:
        with tempfile.TemporaryDirectory() as folder:
            out["prior"] = prior(Path(folder))
    print(json.dumps(out, indent=1))


if __name__ == "__main__":
    main()
