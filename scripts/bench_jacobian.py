"""Speed and memory of the sparse Jacobian on disk, beside a bare pyarrow read of the same files.

python scripts/bench_jacobian.py [--observations 2000] [--cells 10000] [--parts 20] [--folder DIR]
"""

from __future__ import annotations

import argparse
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from inversion.jacobian.store import JacobianStore
from obsnet.grid import Grid

GRID = Grid.regular(15, 55, 70, 140, 0.25, 0.25)  # China, 160 x 280
N_TIME = 24 * 31


def make(folder: Path, observations: int, cells: int, parts: int) -> float:
    """Write footprints of `cells` cells each in a window of 72 hours; return seconds."""
    rng = np.random.default_rng(0)
    edges = np.datetime64("2024-04-01", "us") + np.arange(N_TIME + 1) * np.timedelta64(1, "h")
    store = JacobianStore(folder).create(
        {"grid": GRID, "time_edges": edges, "kind": "computed", "model": "bench"}
    )
    spent = 0.0
    for number, ids in enumerate(np.array_split(np.arange(observations), parts)):
        flat = np.concatenate(
            [
                rng.integers(0, N_TIME - 72) * GRID.size
                + np.sort(rng.choice(72 * GRID.size, cells, replace=False))
                for _ in ids
            ]
        )
        table = pa.table(
            {
                "obs_id": np.repeat([f"bench:{i:08d}" for i in ids], cells),
                "time_bin": (flat // GRID.size).astype(np.int32),
                "cell": (flat % GRID.size).astype(np.int32),
                "sensitivity": rng.exponential(1e-3, flat.size).astype(np.float32),
            }
        )
        start = time.perf_counter()
        store.write_part(f"p{number:04d}", table)
        spent += time.perf_counter() - start
    return spent


def bare(folder: Path, columns: list[str]) -> None:
    """Read the columns of all parts with pyarrow, one thread, one row group at a time as the store does."""
    for path in sorted((folder / "sensitivity").glob("*.parquet")):
        reader = pq.ParquetFile(path, read_dictionary=["obs_id"])
        for group in range(reader.num_row_groups):
            reader.read_row_group(group, columns=columns, use_threads=False)


def matrix(folder: Path) -> None:
    """Read the whole Jacobian."""
    JacobianStore(folder).read()


def few(folder: Path) -> None:
    """Read every hundredth observation."""
    store = JacobianStore(folder)
    store.read(store.obs_ids()[::100])


def stream(folder: Path) -> None:
    """Go through all observations a hundred at a time."""
    for part in JacobianStore(folder).batches(100):
        part.matrix.sum()


TASKS = {
    "pyarrow, 3 columns": lambda f: bare(f, ["time_bin", "cell", "sensitivity"]),
    "pyarrow, 5 columns": lambda f: bare(f, ["obs_id", "time_bin", "cell", "sensitivity", "stderr"]),
    "Jacobian, whole": matrix,
    "Jacobian, 1 % of rows": few,
    "Jacobian, batches of 100": stream,
}


def child(task: str, folder: Path) -> None:
    """Run one task three times and print its best time, CPU time and what it added to peak memory."""
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    best = float("inf")
    for _ in range(3):
        wall, cpu = time.perf_counter(), time.process_time()
        TASKS[task](folder)
        if time.perf_counter() - wall < best:
            best, used = time.perf_counter() - wall, time.process_time() - cpu
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before
    print(f"{best} {used} {peak * 1024}")


def main() -> None:
    """Make the store, run each task in a process of its own, print a table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--observations", type=int, default=2000)
    parser.add_argument("--cells", type=int, default=10_000)
    parser.add_argument("--parts", type=int, default=20)
    parser.add_argument("--folder", type=Path)
    parser.add_argument("--task", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.task == "make":
        print(make(options.folder, options.observations, options.cells, options.parts))
        return
    if options.task:
        child(options.task, options.folder)
        return
    with tempfile.TemporaryDirectory() as scratch:
        folder = options.folder or Path(scratch) / "jacobian"
        # Every task in a process of its own, the making too: a child starts with its parent's peak memory.
        sizes = {"observations": options.observations, "cells": options.cells, "parts": options.parts}
        (spent,) = run("make", folder, *(f"--{k}={v}" for k, v in sizes.items()))
        rows = options.observations * options.cells
        size = sum(p.stat().st_size for p in folder.rglob("*.parquet"))
        print(f"{rows / 1e6:.1f} M rows, {size / 1e6:.0f} MB on disk, CSR in memory {rows * 8 / 1e6:.0f} MB")
        print(f"written at {rows / spent / 1e6:.1f} M rows/s")
        head = ("wall s", "CPU s", "M rows/s", "of 5 columns", "peak MB")
        print("{:26s} {:>8s} {:>8s} {:>9s} {:>12s} {:>8s}".format("task", *head))
        base = None
        for task in TASKS:
            wall, cpu, peak = run(task, folder)
            base = cpu if task == "pyarrow, 5 columns" else base
            ratio = f"{cpu / base:.2f}" if base else ""
            print(
                f"{task:26s} {wall:8.2f} {cpu:8.2f} {rows / wall / 1e6:9.1f} {ratio:>12s} {peak / 1e6:8.0f}"
            )


def run(task: str, folder: Path, *more: str) -> list[float]:
    """Run a task in a child process and return the numbers it prints."""
    command = [sys.executable, __file__, "--folder", str(folder), "--task", task, *more]
    out = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    return [float(v) for v in out.split()]


if __name__ == "__main__":
    main()
