"""Processor time until a small result: starting up is what a user waits for where files are small.

    python scripts/bench_start.py [--before OTHER/CHECKOUT] [--repeat 5]

Each command runs in a process of its own and counts with its workers; with ``--before`` the same commands are run in
turn with another checkout of this repository. The yardstick is ``python -c "import xarray"``.
"""

from __future__ import annotations

import argparse
import os
import resource
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np

HERE = Path(__file__).resolve().parents[1]
YARDSTICK = "import xarray"
OUT = "{out}"  # a store of its own for each run
WORKER = """
import sys
from threadpoolctl import threadpool_limits
from retrieval.ingest.one import GranuleTask, ingest_one
from retrieval.ingest.options import IngestOptions
threadpool_limits(1)
row = ingest_one(GranuleTask(sys.argv[1], sys.argv[2], IngestOptions()))
assert row["status"] == "done", row
"""


def station_file(folder: Path, rows: int = 100) -> Path:
    """Hourly means as NOAA writes them."""
    path = folder / "co2_mlo_surface-insitu_1_ccgg_hourly.txt"
    times = np.datetime_as_string(np.datetime64("2020-01-01T00") + np.arange(rows), unit="s")
    names = "site_code year month day hour minute second datetime value latitude longitude qcflag"
    lines = ["# header_lines : 4", "# dataset_parameter : co2", "# value:units : micromol mol-1", names]
    lines += [
        f"MLO {t[:4]} {int(t[5:7])} {int(t[8:10])} {int(t[11:13])} 0 0 {t}Z {400 + i % 7}.25 19.536 -155.576 ..."
        for i, t in enumerate(times)
    ]
    path.write_text("\n".join(lines) + "\n")
    return path


def children_seconds() -> float:
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def seconds_of(command: list[str], tree: Path, folder: Path) -> float:
    """Return the processor time of a command and of its children."""
    before = children_seconds()
    subprocess.run(
        [sys.executable, *command],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": str(tree), "OMP_NUM_THREADS": "1"},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        check=True,
    )
    return children_seconds() - before


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--before", type=Path, help="another checkout to compare with")
    parser.add_argument("--repeat", type=int, default=5)
    arguments = parser.parse_args()
    trees = [t.resolve() for t in (arguments.before, HERE) if t]
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        granules = folder / "granules"
        make = [
            str(HERE / "scripts" / "make_synthetic_granules.py"),
            str(granules),
            "--days",
            "1",
            "--soundings",
            "2000",
        ]
        seconds_of(make, HERE, folder)
        (granule,) = granules.iterdir()
        commands = {
            "station read, 100 rows": ["-m", "obsnet", "station", "read", str(station_file(folder))],
            "ingest, 2,000 soundings": ["-m", "obsnet", "ingest", str(granule), "--out", OUT],
            "its worker alone": ["-c", WORKER, str(granule), OUT],
        }
        found: dict[tuple[str, Path], list[float]] = {}
        yardstick = []
        for turn in range(arguments.repeat + 1):
            yardstick.append(seconds_of(["-c", YARDSTICK], HERE, folder))
            for label, command in commands.items():
                for tree in trees:
                    out = f"store-{turn}-{trees.index(tree)}-{len(command)}"
                    taken = seconds_of([out if word == OUT else word for word in command], tree, folder)
                    if turn:  # the first fills caches
                        found.setdefault((label, tree), []).append(taken)
    unit = min(yardstick[1:])
    print(f"{YARDSTICK!r}: {unit:.2f} processor s")
    for label in commands:
        times = [min(found[label, tree]) for tree in trees]
        last = f"{times[-1]:.2f} s, {times[-1] / unit:.2f} yardsticks"
        before = f", {times[-1] / times[0]:.2f} of before ({times[0]:.2f} s)" if len(times) > 1 else ""
        print(f"{label}: {last}{before}")


if __name__ == "__main__":
    main()
