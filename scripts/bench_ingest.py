"""Speed and memory of reading and ingesting granules of OCO-2 size, with ratios in one run.

    python scripts/make_synthetic_granules.py granules --days 6
    python scripts/bench_ingest.py granules [--json]

The floor is a bare h5py read of the variables an inversion needs: opening and decompressing, nothing else. All
times of one process are processor time, the least of several runs, because the machine may have neighbours;
the comparison of two workers with one is wall-clock time and says so. Figures of a year are these times 365.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import h5py

NEEDED = (
    "sounding_id",
    "time",
    "latitude",
    "longitude",
    "vertex_latitude",
    "vertex_longitude",
    "xco2",
    "xco2_uncertainty",
    "xco2_apriori",
    "xco2_quality_flag",
    "xco2_qf_bitflag",
    "pressure_levels",
    "pressure_weight",
    "xco2_averaging_kernel",
    "co2_profile_apriori",
    "Sounding/operation_mode",
    "Sounding/land_fraction",
    "Sounding/altitude",
)


def best(function, repeats):
    """Return the least processor time of some runs, s."""
    times = []
    for _ in range(repeats):
        start = time.process_time()
        function()
        times.append(time.process_time() - start)
    return min(times)


def bare(path):
    """Read the needed variables and nothing else."""
    with h5py.File(path, "r") as file:
        return [file[name][()] for name in NEEDED]


def measure_one(path, repeats):
    """Return processor seconds of the steps of one granule."""
    from obsnet.store import ObservationStore, sha256
    from retrieval.read import read_granule
    from retrieval.superobs import Superobs, super_observe

    result = {"bare_read": best(lambda: bare(path), repeats), "sha256": best(lambda: sha256(path), repeats)}
    for choice in ("all", "good", "none"):
        result[f"read_{choice}"] = best(
            lambda c=choice: read_granule(path, profiles=c, digest="0" * 64), repeats
        )
    with tempfile.TemporaryDirectory() as folder:
        store = ObservationStore(folder)
        for choice in ("all", "good"):
            table = read_granule(path, profiles=choice, digest="0" * 64).table
            result[f"write_{choice}"] = best(lambda t=table: store.write(t), repeats)
            size = sum(p.stat().st_size for p in Path(folder).rglob("*.parquet"))
            result[f"store_{choice}_MiB"] = size / 2**20
        good = read_granule(path, profiles="good", digest="0" * 64).table
        settings = Superobs()
        super_observe(good, settings)  # compiles
        result["superobs"] = best(lambda: super_observe(good, settings), repeats)
        small = super_observe(good, settings).table
        result["write_superobs"] = best(lambda: store.write(small), repeats)
    result["superobservations"] = len(small)
    result["soundings"] = len(good)
    return result


WORKER = """
import json, resource, sys, time
from retrieval.ingest import IngestOptions, ingest
if __name__ == "__main__":
    files, store, workers, profiles = json.loads(sys.argv[1])
    start = time.monotonic()
    how = {"scheduler": "processes", "workers": workers} if workers > 1 else {"scheduler": "serial"}
    summary = ingest(files, store, IngestOptions(profiles=profiles), **how)
    assert not summary.bad
    own, children = (resource.getrusage(w).ru_maxrss / 1024 for w in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
    print(json.dumps({"wall": time.monotonic() - start, "MiB": max(own, children)}))
"""


def run_ingest(files, workers, profiles):
    """Ingest all files in processes of their own and return wall seconds and peak memory of one process."""
    with tempfile.TemporaryDirectory() as folder:
        script = Path(folder) / "worker.py"
        script.write_text(WORKER)
        argument = json.dumps([[str(f) for f in files], folder + "/store", workers, profiles])
        environment = {**os.environ, "OMP_NUM_THREADS": "1"}
        done = subprocess.run(
            [sys.executable, str(script), argument],
            capture_output=True,
            text=True,
            check=True,
            env=environment,
        )
    return json.loads(done.stdout.splitlines()[-1])


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("folder", type=Path, help="granules of make_synthetic_granules.py")
    parser.add_argument("--repeats", type=int, default=7)
    parser.add_argument("--skip-workers", action="store_true", help="only the steps of one granule")
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    files = sorted(options.folder.glob("*.nc4"))
    one = measure_one(files[0], options.repeats)
    floor = one["bare_read"]
    to_store = {c: one["sha256"] + one[f"read_{c}"] + one[f"write_{c}"] for c in ("all", "good")}
    direct = one["read_good"] + one["superobs"] + one["write_superobs"]
    ratios = {
        "reading / bare read (aim 1.3)": one["read_all"] / floor,
        "ingest, all profiles kept / floor": to_store["all"] / floor,
        "ingest, profiles of good rows / floor": to_store["good"] / floor,
        "granule to super-observations in memory / floor (aim 2)": direct / floor,
    }
    year = {
        "floor, minutes": 365 * floor / 60,
        "ingest (good profiles), minutes of one core": 365 * to_store["good"] / 60,
        "to super-observations, minutes of one core": 365 * direct / 60,
    }
    report = {"one granule, processor s": one, "ratios": ratios, "a year (x 365)": year}
    if not options.skip_workers:
        alone = run_ingest(files, 1, "good")
        both = run_ingest(files, 2, "good")
        report["workers, wall s"] = {
            "granules": len(files),
            "one worker": alone["wall"],
            "two workers": both["wall"],
            "two / one (aim 1.7)": alone["wall"] / both["wall"],
            "peak MiB of a process (aim 2048)": max(alone["MiB"], both["MiB"]),
            "cores here": len(os.sched_getaffinity(0)),
            "load before": os.getloadavg()[0],
        }
    if options.json:
        print(json.dumps(report, indent=1))
        return
    for title, entries in report.items():
        print(title)
        for name, value in entries.items():
            print(f"  {name:58s} {value:.3f}" if isinstance(value, float) else f"  {name:58s} {value}")


if __name__ == "__main__":
    main()
