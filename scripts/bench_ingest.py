"""Speed and memory of reading and ingesting granules of OCO-2 size, with ratios in one run.

    python scripts/make_synthetic_granules.py granules --days 6
    python scripts/bench_ingest.py granules [--days 365] [--json]

The floor is a bare h5py read of the variables an inversion needs: opening and decompressing, nothing else. All
times of one process are processor time, the least of several runs taken in turn with the floor, because the
machine may have neighbours; the comparison of two workers with one is wall-clock time and says so.

With ``--days N`` the granules are given N dates in turn, ingested a dozen at a time and removed, so that a year
needs little disk; what is reported is the processor time of ingest alone, and the memory after each dozen.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import h5py
import numpy as np

from obsnet.work.work import Work

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
    from obsnet.content import sha256
    from obsnet.store import ObservationStore
    from retrieval.products.read import read_granule
    from retrieval.superobs.average import super_observe
    from retrieval.superobs.options import Superobs

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


def chains(files, repeats):
    """Return processor seconds a granule of the floor and of both ways to super-observations, in turn."""
    from retrieval.ingest.options import IngestOptions
    from retrieval.ingest.run import ingest
    from retrieval.superobs.options import Selection, Superobs
    from retrieval.superobs.store import combine_store

    settings = Superobs(errors="baker2022_co2")

    def at_once(folder):
        assert not ingest(
            files, folder + "/s", IngestOptions(superobs=settings), work=Work(scheduler="serial")
        ).bad

    def into_store(folder):
        assert not ingest(
            files, folder + "/s", IngestOptions(profiles="good"), work=Work(scheduler="serial")
        ).bad

    def from_store(folder):
        assert not combine_store(folder + "/s", folder + "/o", Selection(species="CO2"), settings).bad

    seconds = {"floor": [], "at once": [], "into a store": [], "from the store": []}
    for turn in range(repeats + 1):
        with tempfile.TemporaryDirectory() as one, tempfile.TemporaryDirectory() as two:
            runs = (
                lambda: [bare(f) for f in files],
                lambda folder=one: at_once(folder),
                lambda folder=two: into_store(folder),
                lambda folder=two: from_store(folder),
            )
            for name, function in zip(seconds, runs, strict=True):
                taken = best(function, 1) / len(files)
                if turn:  # the first compiles
                    seconds[name].append(taken)
    return {name: min(values) for name, values in seconds.items()}


def redate(path, target, day):
    """Copy a granule with its soundings moved to another day."""
    shutil.copy(path, target)
    with h5py.File(target, "r+") as file:
        time, identity = file["time"][()], file["sounding_id"][()]
        first = np.datetime64(int(time[0] // 86400), "D")
        file["time"][...] = time + (day - first).astype(float) * 86400.0
        stamp = int(str(day).replace("-", ""))
        file["sounding_id"][...] = identity + (stamp - int(str(first).replace("-", ""))) * 10**8


def year(files, days, dozen=12):
    """Ingest many days to super-observations; return processor s and the course of this process's memory."""
    from retrieval.ingest.options import IngestOptions
    from retrieval.ingest.run import ingest
    from retrieval.superobs.options import Superobs

    options = IngestOptions(superobs=Superobs(errors="baker2022_co2"))
    first = np.datetime64("2020-01-01", "D")
    ours, floor, memory, wall, rows = 0.0, 0.0, [], 0.0, 0
    with tempfile.TemporaryDirectory() as folder:
        for k in range(0, days, dozen):
            made = []
            for d in range(k, min(k + dozen, days)):
                stamp = str(first + d).replace("-", "")[2:]
                made.append(Path(folder) / f"oco2_LtCO2_{stamp}_B11100Ar_230603000000s.nc4")
                redate(files[d % len(files)], made[-1], first + d)
            started, clock = time.process_time(), time.monotonic()
            summary = ingest(made, folder + "/store", options, work=Work(scheduler="serial"))
            ours, wall = ours + time.process_time() - started, wall + time.monotonic() - clock
            assert not summary.bad
            rows += summary.soundings
            floor += best(lambda path=made[0]: bare(path), 1) * len(made)
            memory.append(
                int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE") / 2**20
            )
            for path in made:
                path.unlink()
        size = sum(p.stat().st_size for p in Path(folder, "store").rglob("*.parquet")) / 2**20
    status = Path("/proc/self/status").read_text().split()
    return {
        "days": days,
        "soundings": rows,
        "processor s": ours,
        "wall s": wall,
        "over the floor, one granule of each dozen": ours / floor,
        "store MiB": size,
        "MiB after each dozen": [round(m) for m in memory],
        "peak MiB (aim 2048)": int(status[status.index("VmHWM:") + 1]) / 1024,
    }


WORKER = """
import json, resource, sys, time
from retrieval.ingest.run import IngestOptions, ingest
if __name__ == "__main__":
    files, store, workers, profiles = json.loads(sys.argv[1])
    start = time.monotonic()
    how = Work(scheduler="processes" if workers > 1 else "serial", workers=workers)
    summary = ingest(files, store, IngestOptions(profiles=profiles), work=how)
    assert not summary.bad
    used = [resource.getrusage(w) for w in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    processor = sum(u.ru_utime + u.ru_stime for u in used)
    peak = max(u.ru_maxrss for u in used) / 1024
    print(json.dumps({"wall": time.monotonic() - start, "processor": processor, "MiB": peak}))
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
    parser.add_argument("--days", type=int, default=0, help="ingest so many days of made-up dates")
    parser.add_argument("--skip-workers", action="store_true", help="only one process")
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    files = sorted(options.folder.glob("*.nc4"))
    one = measure_one(files[0], options.repeats)
    floor = one["bare_read"]
    chain = chains(files[:3], options.repeats)
    both = chain["into a store"] + chain["from the store"]
    ratios = {
        "reading / bare read (aim 1.3)": one["read_all"] / floor,
        "to super-observations at once / floor (aim 2)": chain["at once"] / chain["floor"],
        "ingest into a store / floor": chain["into a store"] / chain["floor"],
        "ingest, then superobs / floor": both / chain["floor"],
    }
    a_year = {f"{name}, minutes of one core": 365 / 60 * s for name, s in chain.items()}
    report = {"one granule, processor s": one, "chains, processor s a granule": chain}
    report |= {"ratios": ratios, "a year (x 365)": a_year}
    if options.days:
        report["many days"] = year(files, options.days)
    if not options.skip_workers:
        alone = run_ingest(files, 1, "good")
        both = run_ingest(files, 2, "good")
        report["workers, wall s"] = {
            "granules": len(files),
            "one worker": alone["wall"],
            "two workers": both["wall"],
            "two / one (aim 1.7)": alone["wall"] / both["wall"],
            "processor s of one worker": alone["processor"],
            "processor s of two workers": both["processor"],
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
