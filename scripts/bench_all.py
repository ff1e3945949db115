"""How time and memory grow as work grows: each row over a factor of 16, with its exponent.

    python scripts/bench_all.py [--small] [--repeat 3] [--only unknowns cells …] [--out TABLE.md]

An exponent of 1 doubles with the work, 2 quadruples; it is the slope of the logarithm over three sizes. Time is
processor time of one process, the least of some turns; memory is the peak beyond what was resident before (Linux counts
it). The yardstick beside it is a product of two matrices of 500 × 500. ``--small`` is small enough for every test run:
fixed costs flatten its exponents.
"""

from __future__ import annotations

import argparse
import math
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np

SIZES = (1, 4, 16)
Work = Callable[[], object]
Made = Callable[[int, Path], Work]


def granules(n: int, folder: Path) -> Work:
    """Ingest of n granules, with all profiles."""
    from make_synthetic_granules import write_granule

    from obsnet.work.work import Work as How
    from retrieval.ingest.run import ingest

    files = []
    for k in range(n):
        day = np.datetime64("2020-07-01", "D") + k
        files.append(folder / f"oco2_LtCO2_{str(day)[2:].replace('-', '')}_B11100Ar_230603000000s.nc4")
        write_granule(files[-1], 500, day, k)
    turns = iter(range(1000))

    def run() -> None:
        assert not ingest(files, folder / f"store{next(turns)}", work=How(scheduler="serial")).bad

    return run


def soundings(n: int, folder: Path) -> Work:
    """One granule of n soundings read and averaged to super-observations."""
    from make_synthetic_granules import write_granule

    from retrieval.products.read import read_granule
    from retrieval.superobs.average import super_observe
    from retrieval.superobs.options import Superobs

    path = folder / "oco2_LtCO2_200701_B11100Ar_230603000000s.nc4"
    write_granule(path, n, np.datetime64("2020-07-01", "D"), 0)
    return lambda: super_observe(read_granule(path, profiles="good", digest="0" * 64).table, Superobs())


def stored(n: int, folder: Path) -> Work:
    """N observations written to a store and read again."""
    from obsnet.schema import observation_table
    from obsnet.store import ObservationStore

    rng = np.random.default_rng(0)
    columns = {
        "obs_id": np.char.add("made:", np.arange(n).astype(str)),
        "platform": ["MADE"] * n,
        "time": np.datetime64("2020-01-01", "us") + np.arange(n) * np.timedelta64(1, "s"),
        "latitude": rng.uniform(20, 50, n),
        "longitude": rng.uniform(75, 130, n),
        "value": rng.normal(410, 2, n),
        "uncertainty": np.full(n, 0.5),
    }
    table = observation_table(columns, species="CO2", kind="point", source="made", file_id="0" * 16)
    store = ObservationStore(folder / "store")

    def run() -> None:
        store.write(table)
        assert len(store.read("CO2")) == n

    return run


def receptors(n: int, folder: Path) -> Work:
    """Footprints of n receptors written to a Jacobian store and read again."""
    from scipy import sparse

    from inversion.jacobian.store import Jacobian, JacobianStore
    from obsnet.grid import Grid

    grid = Grid.regular(20.0, 50.0, 75.0, 130.0, 1.0, 1.0)
    edges = np.datetime64("2020-01-01", "us") + np.arange(5) * np.timedelta64(1, "D")
    rng = np.random.default_rng(0)
    cells = np.sort(rng.integers(0, 4 * grid.size // 200, (n, 200)), axis=1) + np.arange(200) * (
        4 * grid.size // 200
    )
    values = rng.exponential(1e-3, n * 200).astype(np.float32)
    matrix = sparse.csr_array(
        (values, np.sort(cells, axis=1).ravel(), np.arange(n + 1) * 200), shape=(n, 4 * grid.size)
    )
    jacobian = Jacobian(matrix, np.char.add("made:", np.arange(n).astype(str)), grid, edges)
    meta = {"grid": grid, "time_edges": edges, "kind": "computed", "model": "made"}
    store = JacobianStore(folder / "footprints").create(meta)

    def run() -> None:
        store.write("one", jacobian)
        assert store.read().matrix.nnz == n * 200

    return run


def _inversion(n_obs: int, n_state: int, method: str) -> Work:
    import scipy.sparse as sp

    from inversion import Problem, solve

    rng = np.random.default_rng(0)
    h = sp.random_array((n_obs, n_state), density=min(1.0, 20.0 / n_state), rng=rng, format="csr")
    problem = Problem(h, rng.normal(size=n_obs), np.full(n_obs, 0.5), np.ones(n_state), np.full(n_state, 1.0))

    def run() -> None:
        posterior = solve(problem, method)
        posterior.variance()

    return run


def unknowns(n: int, _folder: Path) -> Work:
    """Mean and all variances in the space of n unknowns (`primal`), 2,000 observations."""
    return _inversion(2000, n, "primal")


def observations(n: int, _folder: Path) -> Work:
    """Mean and all variances in the space of n observations (`dual`), 2,000 unknowns."""
    return _inversion(n, 2000, "dual")


def cells(n: int, _folder: Path) -> Work:
    """20,000 soundings binned on a grid of n cells."""
    from obsnet.grid import Grid
    from retrieval.mapping.gridding import accumulate, empty_bins

    rng = np.random.default_rng(0)
    rows = 20_000
    side = 40.0 / math.sqrt(n)
    grid = Grid.regular(10.0, 50.0, 80.0, 120.0, side, side)
    time_ = np.datetime64("2020-01-01", "us") + np.arange(rows) * np.timedelta64(1, "s")
    latitude, longitude = rng.uniform(10, 50, rows), rng.uniform(80, 120, rows)
    value = rng.normal(410, 1, rows)
    edges = np.array(["2020-01-01", "2020-01-02"], "datetime64[us]")
    return lambda: accumulate(
        empty_bins(grid, edges, species="CO2"),
        time=time_,
        latitude=latitude,
        longitude=longitude,
        value=value,
    )


# Name, what is done, smallest size, smallest size with --small.
CASES: dict[str, tuple[Made, int, int]] = {
    "granules": (granules, 8, 1),
    "soundings": (soundings, 10_000, 1_000),
    "stored observations": (stored, 50_000, 500),
    "receptors": (receptors, 200, 10),
    "unknowns": (unknowns, 250, 25),
    "observations": (observations, 250, 25),
    "cells": (cells, 100_000, 100),
}


def resident() -> tuple[float, float]:
    """Return resident memory and its peak since it was last reset, MiB."""
    words = Path("/proc/self/status").read_text(encoding="ascii").split()
    rss, peak = (int(words[words.index(name) + 1]) / 1024 for name in ("VmRSS:", "VmHWM:"))
    return rss, peak


def measured(work: Work, repeat: int) -> tuple[float, float]:
    """Return the least processor time of some turns, s, and the peak of memory beyond what was there before, MiB."""
    seconds, beyond = [], []
    for _ in range(repeat):
        Path("/proc/self/clear_refs").write_text("5", encoding="ascii")  # the peak begins anew
        before, _ = resident()
        start = time.process_time()
        work()
        seconds.append(time.process_time() - start)
        beyond.append(max(resident()[1] - before, 0.0))  # the kernel counts in batches
    return min(seconds), max(beyond)


def slope(sizes: list[int], values: list[float], least: float) -> float | None:
    """Return the exponent of growth, or None where the largest is within what cannot be told from nothing."""
    if values[-1] <= least:
        return None
    floor = [max(v, least / 10) for v in values]
    return float(np.polyfit(np.log(sizes), np.log(floor), 1)[0])


def row(name: str, small: bool, repeat: int) -> str:
    """Return a line of the table."""
    make, full_size, small_size = CASES[name]
    sizes = [k * (small_size if small else full_size) for k in SIZES]
    seconds, memory = [], []
    for number, size in enumerate([sizes[0], *sizes]):
        with tempfile.TemporaryDirectory() as folder:
            one, beyond = measured(make(size, Path(folder)), repeat)
        if number:  # the first compiles and fills caches
            seconds.append(one)
            memory.append(beyond)
    time_grows, memory_grows = slope(sizes, seconds, 1e-3), slope(sizes, memory, 2.0)
    about = str(make.__doc__).split(".")[0]
    shown = ["–" if g is None else f"{g:.2f}" for g in (time_grows, memory_grows)]
    return (
        f"| {name} | {about} | {sizes[0]:,} – {sizes[-1]:,} | {seconds[-1]:.3g} | {shown[0]} | {memory[-1]:.0f} | "
        f"{shown[1]} |"
    )


def table(names: list[str], small: bool, repeat: int) -> str:
    """Return the whole as Markdown."""
    square = np.random.default_rng(0).normal(size=(500, 500))
    yardstick, _ = measured(lambda: square @ square, 5)
    head = [
        f"Yardstick: a product of 500 × 500 matrices, {1000 * yardstick:.2g} ms.",
        "",
        "| against | what | sizes | s at the largest | time grows as n^ | MiB at the largest | memory grows as n^ |",
        "| --- | --- | --- | --- | --- | --- | --- |",
    ]
    return "\n".join([*head, *(row(name, small, repeat) for name in names)]) + "\n"


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--small", action="store_true", help="sizes for a test run")
    parser.add_argument("--repeat", type=int, default=3, help="turns of each size")
    parser.add_argument("--only", nargs="+", choices=list(CASES), default=list(CASES), metavar="NAME")
    parser.add_argument("--out", type=Path, help="also write the table here")
    arguments = parser.parse_args()
    text = table(arguments.only, arguments.small, 1 if arguments.small else arguments.repeat)
    print(text, end="")
    if arguments.out:
        arguments.out.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
