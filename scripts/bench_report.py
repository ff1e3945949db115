"""Processor time, wall time and size of a report of all 34 provinces on a grid of 0.1 degrees, files beside it too.

    python scripts/bench_report.py [--before OTHER/CHECKOUT] [--repeat 3] [--degrees 0.1]

`obsnet report` runs in a process of its own on a made-up run; with ``--before`` another checkout of this repository is
run in turn. The first turn fills caches and does not count.
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
    arguments = parser.parse_args()
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
