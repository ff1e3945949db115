"""Reading a month of soundings from a store: a small box and the whole, beside bare pyarrow.

    python scripts/bench_store.py [--days 10] [--soundings 50000] [--before OTHER/CHECKOUT]

With ``--before`` another checkout of this repository writes and reads a store of its own. Processor seconds of one
process, the least of some turns; peak memory is that of a process that reads everything once.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path

HERE = Path(__file__).resolve().parents[1]
WRITE = """
import json, sys, time
import numpy as np, pyarrow as pa
from obsnet.store import ObservationStore
from retrieval.products.read import read_granule
granule, folder, days = sys.argv[1], sys.argv[2], int(sys.argv[3])
table = read_granule(granule, profiles="all", digest="0" * 64).table
store = ObservationStore(folder)
day = np.timedelta64(86_400_000_000, "us")
taken = 0.0
for k in range(days):
    one = table
    for name in ("time", "time_start", "time_end"):
        if one[name].null_count < len(one):
            one = one.set_column(one.column_names.index(name), name, pa.array(one[name].to_numpy() + k * day))
    longitude = (one["longitude"].to_numpy() + 3.1 * k + 180) % 360 - 180
    one = one.set_column(one.column_names.index("longitude"), "longitude", pa.array(longitude))
    one = one.set_column(one.column_names.index("file_id"), "file_id", pa.array([f"{k:016x}"] * len(one)))
    before = time.process_time()
    store.write(one)
    taken += time.process_time() - before
print(json.dumps({"written in": taken}))
"""
READ = """
import json, resource, sys, time
from pathlib import Path
import pyarrow.dataset as ds
from obsnet.seal import _verified
from obsnet.store import ObservationStore
store, what, repeat = ObservationStore(sys.argv[1]), sys.argv[2], int(sys.argv[3])
box = (30.0, 32.0, 110.0, 112.0)
five = ["time", "latitude", "longitude", "value", "uncertainty"]
month = {"start": "2020-07-01", "stop": "2020-08-01"}
def bare():
    field = ds.field
    here = (field("latitude") >= box[0]) & (field("latitude") <= box[1])
    here &= (field("longitude") >= box[2]) & (field("longitude") <= box[3])
    return ds.dataset([str(p) for p in store.files()]).to_table(columns=five, filter=here)
ways = {
    "box, all columns": lambda: store.read("CO2", bounds=box, **month),
    "box, five columns": lambda: store.read("CO2", bounds=box, columns=five, **month),
    "whole, five columns": lambda: store.read("CO2", columns=five),
    "whole": lambda: store.read("CO2"),
    "bare pyarrow, box, five columns": bare,
}
least = None
for _ in range(repeat):
    _verified.clear()  # as in a process that reads for the first time
    before = time.process_time()
    rows = ways[what]()
    taken = time.process_time() - before
    least = taken if least is None else min(least, taken)
peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
print(json.dumps({"s": least, "rows": len(rows), "MiB": rows.nbytes / 2**20, "peak MiB": peak}))
"""
WAYS = (
    ("box, all columns", 4),
    ("box, five columns", 4),
    ("whole, five columns", 2),
    ("whole", 1),
    ("bare pyarrow, box, five columns", 4),
)


def said(code: str, tree: Path, *arguments: object) -> dict:
    """Run a program with a checkout and return what it says."""
    done = subprocess.run(
        [sys.executable, "-c", code, *map(str, arguments)],
        env={**os.environ, "PYTHONPATH": str(tree), "OMP_NUM_THREADS": "1", "OBSNET_DEBUG": "1"},
        cwd=tempfile.gettempdir(),  # python -c imports from where it is run first
        stdout=subprocess.PIPE,
        text=True,
        check=True,
    )
    return json.loads(done.stdout.splitlines()[-1])


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--days", type=int, default=10)
    parser.add_argument("--soundings", type=int, default=50_000)
    parser.add_argument("--before", type=Path, help="another checkout to compare with")
    arguments = parser.parse_args()
    trees = [t.resolve() for t in (arguments.before, HERE) if t]
    with tempfile.TemporaryDirectory() as folder:
        make = HERE / "scripts" / "make_synthetic_granules.py"
        subprocess.run(
            [
                sys.executable,
                str(make),
                f"{folder}/g",
                "--days",
                "1",
                "--soundings",
                str(arguments.soundings),
            ],
            env={**os.environ, "PYTHONPATH": str(HERE)},
            stdout=subprocess.DEVNULL,
            check=True,
        )
        (granule,) = Path(folder, "g").iterdir()
        stores = [Path(folder, f"store{k}") for k in range(len(trees))]
        for tree, store in zip(trees, stores, strict=True):
            taken = said(WRITE, tree, granule, store, arguments.days)["written in"]
            size = sum(p.stat().st_size for p in store.rglob("*.parquet")) / 2**20
            print(f"{tree.name}: {arguments.days} days written in {taken:.2f} s, {size:.0f} MiB")
        for way, repeat in WAYS:
            for tree, store in zip(trees, stores, strict=True):
                print(tree.name, way, said(READ, tree, store, way, repeat))


if __name__ == "__main__":
    main()
