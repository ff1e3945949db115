"""Totals of all 34 provinces on a grid of 0.1 degrees, and their report with the files beside it: time and size.

    python scripts/bench_report.py [--before OTHER/CHECKOUT] [--repeat 3] [--degrees 0.1] [--totals]

Totals: the part of each cell in each province (nothing read from a cache), then 365 daily fields with the covariance of
all provinces on each day, as errors of cells that are independent leave it on shared cells; ``--totals`` does no more.
`obsnet report` runs in a process of its own on a made-up run; with ``--before`` another checkout of this repository is
run in turn. The first turn fills caches, compiles, and does not count.
"""

from __future__ import annotations

import argparse
import os
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import pandas as pd

HERE = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(HERE)]


def run_folder(folder: Path, degrees: float) -> None:
    """Fill a folder as a run of all provinces leaves it."""
    from obsnet.crosscheck.verdicts.run import beside
    from obsnet.grid import Grid
    from obsnet.regions import PROVINCES
    from tests.obsnet.report import synthetic

    synthetic.GRID = Grid.regular(18, 54, 73, 135, degrees, degrees)
    folder.mkdir()
    synthetic.folder(folder)
    few = synthetic.verdicts()
    rng = np.random.default_rng(0)
    rows = []
    for k, (code, names) in enumerate(sorted(PROVINCES.items())):
        row = few.iloc[k % len(few)].to_dict()
        rows.append(
            row | {"region": code, "name_en": names[0], "name_zh": names[2], "inventory": 50.0 + 20.0 * k}
        )
    table = pd.DataFrame(rows).assign(correlation_with="", reason="", reason_zh="")
    table.to_csv(folder / "provinces.csv", index=False)
    spread = rng.normal(size=(len(table), 2 * len(table)))
    size = table["posterior_sd"].to_numpy()
    covariance = np.corrcoef(spread) * np.outer(size, size)
    codes = list(table["region"])
    pd.DataFrame(covariance, index=pd.Index(codes, name="region"), columns=codes).to_csv(
        beside(folder / "provinces.csv", "covariance")
    )


def totals(degrees: float, days: int = 365) -> tuple[float, float]:
    """Return processor seconds of the weights of all provinces, and of totals and covariances of daily fields."""
    from obsnet.grid import Grid
    from obsnet.regions import provinces
    from obsnet.zonal import sum_covariance, zonal_weights

    grid, regions = Grid.regular(18, 54, 73, 135, degrees, degrees), provinces()
    begin = time.process_time()
    weights = zonal_weights(regions, grid, cache=False)
    matrix = weights.matrix
    once, busy = time.process_time() - begin, 0.0
    rng = np.random.default_rng(0)
    for first in range(0, days, 30):  # a month in memory
        flux = rng.gamma(0.5, 1e-7, (min(30, days - first), *grid.shape))
        spread = 0.3 * flux.reshape(len(flux), -1)
        begin = time.process_time()
        found = weights.totals(flux)
        covariance = sum_covariance(matrix, spread)
        assert covariance.shape == (*found.shape, found.shape[-1])
        busy += time.process_time() - begin
    return once, busy


def taken(tree: Path, folder: Path) -> tuple[float, float]:
    """Return processor and wall seconds of a report."""
    used, start = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
    environment = {**os.environ, "PYTHONPATH": str(tree), "OMP_NUM_THREADS": "1"}
    formats = [w for kind in ("docx", "xlsx", "csv", "monthly") for w in ("--format", kind)]
    command = [sys.executable, "-m", "obsnet", "report", str(folder), *formats]
    subprocess.run(command, cwd=folder, env=environment, stdout=subprocess.DEVNULL, check=True)
    now = resource.getrusage(resource.RUSAGE_CHILDREN)
    return now.ru_utime + now.ru_stime - used.ru_utime - used.ru_stime, time.perf_counter() - start


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--before", type=Path, help="another checkout to compare with")
    parser.add_argument("--repeat", type=int, default=3)
    parser.add_argument("--degrees", type=float, default=0.1, help="width of a cell")
    parser.add_argument("--totals", action="store_true", help="totals only, no report")
    arguments = parser.parse_args()
    totals(2.0, 1)  # compiles
    once, more = (
        min(x) for x in zip(*(totals(arguments.degrees) for _ in range(arguments.repeat)), strict=True)
    )
    print(
        f"34 provinces at {arguments.degrees:g}°: weights once {once:.2f} processor s (goal 1), "
        f"365 daily fields with covariance {more:.2f} s more (goal 2)"
    )
    if arguments.totals:
        return
    trees = [t.resolve() for t in (arguments.before, HERE) if t]
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name) / "run"
        run_folder(folder, arguments.degrees)
        found: dict[Path, list[tuple[float, float]]] = {}
        for turn in range(arguments.repeat + 1):
            for tree in trees:
                one = taken(tree, folder)
                if turn:
                    found.setdefault(tree, []).append(one)
        for tree in trees:
            busy, wall = (min(x) for x in zip(*found[tree], strict=True))
            size = (folder / "report.html").stat().st_size / 2**20
            print(f"{tree.name}: {busy:.2f} processor s, {wall:.2f} s, report.html {size:.2f} MiB")


if __name__ == "__main__":
    main()
