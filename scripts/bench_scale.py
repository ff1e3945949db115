#!/usr/bin/env python
"""What the adapter of work costs and how it scales, as JSON: python scripts/bench_scale.py [--quick] [--out FILE].

Tasks that sleep need no processor, so that what they take beyond their sleep is what handing them out costs, whoever
else uses the machine; tasks that compute are compared on one and two workers. Where others use the machine, ratios of
wall-clock times are given and not claimed: ``claimed`` is false and ``said`` says why. Each part has what is asked
of it beside what was found.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from contextlib import ExitStack
from pathlib import Path

import numpy as np

from obsnet.compact import ROWS as COMPACT_ROWS
from obsnet.provenance import peak_memory
from obsnet.work.cluster import session
from obsnet.work.parallel import map_unordered
from obsnet.work.shards import require_finished, taking_part
from obsnet.work.work import Work

SCHEDULERS = ("processes", "dask")
IDLE = 0.25  # load a core that others may make for a ratio of times to be claimed


def machine():
    """Return cores, the load that others make, and whether ratios of times mean anything."""
    cores, load = len(os.sched_getaffinity(0)), os.getloadavg()[0]
    busy = load > IDLE * cores
    return {
        "cores": cores,
        "load": round(load, 2),
        "claimed": not busy,
        "said": f"machine busy: load {load:.1f} on {cores} cores before the measurement"
        if busy
        else "machine idle",
    }


def judged(found, **limits):
    """Return what was found with what is asked of it, and whether it is met.

    Parameters
    ----------
    found : dict
    **limits : (str, float)
        By name in `found`: ``("at least", 1.7)`` or ``("at most", 0.05)``.
    """
    asked = {}
    for name, (how, limit) in limits.items():
        met = found[name] >= limit if how == "at least" else found[name] <= limit
        asked[name] = {"asked": f"{how} {limit:g}", "met": bool(met)}
    return {**found, "asked": asked}


def sleep(seconds):
    time.sleep(seconds)


def compute(n):
    """Take about a second of one core, in Python."""
    return sum(k * k for k in range(n))


def resident(path):
    """Read a granule and return the resident memory of this process after it, MiB."""
    from retrieval.products.read import read_granule

    read_granule(Path(path))
    pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1])
    return os.getpid(), pages * os.sysconf("SC_PAGE_SIZE") / 2**20


def wall(function, items, work):
    """Return the wall-clock time of a piece of work on workers that are there already, s."""
    with session():
        list(map_unordered(sleep, [0.0] * 2 * work.workers, work))  # they start
        start = time.perf_counter()
        list(map_unordered(function, items, work))
        return time.perf_counter() - start


def overhead(tasks):
    """Return by scheduler how much longer sleeping a second each takes than it should, on two workers.

    The time of few tasks is taken off that of many, so that starting workers does not count; it is told beside.
    """
    found = {"machine": machine()}
    for scheduler in SCHEDULERS:
        work = Work(scheduler=scheduler, workers=2)
        few, many = (wall(sleep, [1.0] * n, work) for n in (2, 2 + tasks))
        over = {
            "tasks": tasks,
            "start_seconds": round(few - 1.0, 2),
            "overhead": round((many - few) / (tasks / 2) - 1, 4),
        }
        found[scheduler] = judged(over, overhead=("at most", 0.05))
    return found


def bare(tasks, n, workers):
    """Return the wall-clock time of the same work in processes that share nothing, s: what the machine gives."""
    program = f"for _ in range({tasks // workers}): sum(k * k for k in range({n}))"
    start = time.perf_counter()
    with ExitStack() as running:
        for _ in range(workers):
            running.enter_context(subprocess.Popen([sys.executable, "-c", program]))
    return time.perf_counter() - start


def scaling(tasks, n, tries=3):
    """Return how much faster two workers compute than one: the same work, and twice the work; the best of tries.

    Beside it stands what two processes without any adapter gain at the same time: two cores of a machine that others
    use too, or of one chip, are often less than two.
    """
    found = {"machine": machine()}
    measured = {
        "bare": bare,
        **{
            s: lambda count, n, workers, s=s: wall(compute, [n] * count, Work(scheduler=s, workers=workers))
            for s in SCHEDULERS
        },
    }
    took = {name: np.full((tries, 3), np.inf) for name in measured}
    for k in range(tries):  # in turn, so that all see the same machine
        for name, work in measured.items():
            took[name][k] = work(tasks, n, 1), work(tasks, n, 2), work(2 * tasks, n, 2)
    gained = {}
    for name, times in took.items():
        alone, strong, weak = times.min(axis=0)
        gained[name] = {"strong": round(alone / strong, 2), "weak": round(2 * alone / weak, 2)}
    found["bare"] = gained.pop("bare")
    for name, by in gained.items():
        of = {f"{kind}_of_bare": round(value / found["bare"][kind], 2) for kind, value in by.items()}
        least = dict.fromkeys(of, ("at least", 0.85))  # 1.7 of two whole cores
        found[name] = judged(by | of, strong=("at least", 1.7), weak=("at least", 1.7), **least)
    return found


def memory(reads):
    """Return the resident memory of each worker after a tenth of its reads and after all, MiB."""
    from make_synthetic_granules import write_granule

    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "oco2_LtCO2_200701_B11100Ar_230603000000s.nc4"
        write_granule(path, 20_000, np.datetime64("2020-07-01"), seed=0)
        seen: dict[int, list[float]] = {}
        work = Work(scheduler="processes", workers=2)
        for _, (pid, mib) in map_unordered(resident, [str(path)] * reads, work):
            seen.setdefault(pid, []).append(mib)
    found = []
    for sizes in seen.values():
        tenth, last = round(sizes[len(sizes) // 10], 1), round(sizes[-1], 1)
        about = {
            "reads": len(sizes),
            "tenth_mib": tenth,
            "all_mib": last,
            "grown": round(last / tenth - 1.0, 4),
        }
        found.append(judged(about, grown=("at most", 0.05)))
    return found


def station_store(stations, years):
    """Return how many files a store of stations has, one input file a station, before and after it is compacted."""
    from obsnet.compact import compact
    from obsnet.schema import observation_table
    from obsnet.store import ObservationStore

    first = np.datetime64("1990-01-01", "us")
    time_ = np.arange(first, np.datetime64(f"{1990 + years}-01-01", "us"), np.timedelta64(7, "D"))
    with tempfile.TemporaryDirectory() as folder:
        store, start = ObservationStore(Path(folder)), time.process_time()
        for k in range(stations):
            name = f"S{k:04d}"
            columns = {
                "obs_id": np.char.add(f"made:{name}:", np.datetime_as_string(time_, "D")),
                "platform": [name] * time_.size,
                "time": time_,
                "time_start": time_,
                "time_end": time_,
                "latitude": np.full(time_.size, 35.0),
                "longitude": np.full(time_.size, 100.0),
                "value": np.full(time_.size, 400.0),
                "uncertainty": np.full(time_.size, 0.1),
                "scale": ["WMO CO2 X2019"] * time_.size,
            }
            made = {"species": "CO2", "kind": "point", "source": "made", "file_id": f"{k:016x}"}
            store.write(observation_table(columns, **made))
        written = time.process_time() - start
        before = len(store.files())
        compact(store, "CO2", "made")
        rows = len(store.read("CO2", columns=["time"]))
        inodes = sum(1 for p in Path(folder).rglob("*") if p.is_file())
    hours = 1000 * 8766  # rows of a year of hourly values at 1,000 stations
    found = {
        "stations": stations,
        "years": years,
        "rows": rows,
        "lost_or_doubled": rows - stations * time_.size,
        "files_before": before,
        "files_after": inodes,
        # a year's rows decide, not its stations
        "files_of_1000_stations_of_hours": years * -(-hours // COMPACT_ROWS),
        "processor_seconds": {
            "write": round(written, 1),
            "compact": round(time.process_time() - start - written, 1),
        },
    }
    most = ("at most", 10_000)
    return judged(
        found, files_after=most, files_of_1000_stations_of_hours=most, lost_or_doubled=("at most", 0)
    )


def planning(files):
    """Return processor time and peak memory of planning files that are done, and of the plan of their shards."""
    from obsnet.content import file_id
    from obsnet.store import ObservationStore
    from retrieval.ingest.options import IngestOptions
    from retrieval.ingest.plan import make_plan

    with tempfile.TemporaryDirectory() as folder:
        store, options = ObservationStore(Path(folder) / "store"), IngestOptions()
        print_ = options.fingerprint("oco2_lite")
        rows, paths = [], []
        for k in range(files):
            path = Path(folder) / "in" / f"{k % 365:03d}" / f"{k:06d}.nc4"
            path.parent.mkdir(parents=True, exist_ok=True)
            path.touch()
            os.truncate(path, k + 1)  # no two of one size
            digest = f"{k:064x}"
            about = {"size": k + 1, "sha256": digest, "file_id": file_id(digest), "soundings": 1, "good": 1}
            kind = {
                "sensor": "oco2_lite",
                "version": "v9",
                "species": "CO2",
                "unit": "1e-6",
                "options": print_,
            }
            rows.append({"path": str(path), **about, **kind, "status": "done"})
            paths.append(str(path))
        store.index.write(rows, "all")
        del rows
        before, start = peak_memory(), time.process_time()
        index = store.standing(store.index.read().to_pylist())
        make_plan(paths, index, options, mixed=False)
        with taking_part(store.path, "ingest", paths, print_, Work(shard="1/40")):
            pass
        require_finished(store.path, allow=True)
        took = time.process_time() - start
    found = {
        "files": files,
        "processor_seconds": round(took, 1),
        "peak_mib": round(peak_memory() / 2**20),
        "before_mib": round(before / 2**20),
    }
    return judged(found, processor_seconds=("at most", 20), peak_mib=("at most", 500))


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="a tenth of everything")
    parser.add_argument(
        "--only", action="append", help="planning, store, overhead, memory or scaling; may be repeated"
    )
    parser.add_argument("--out", type=Path, help="JSON file; printed otherwise")
    asked = parser.parse_args()
    size = 10 if asked.quick else 1
    parts = {
        "planning": lambda: planning(100_000 // size),
        "store": lambda: station_store(1000 // size, 30),
        "overhead": lambda: overhead(40 // size),
        "memory": lambda: memory(200 // size),
        "scaling": lambda: scaling(8, 10_000_000 // size),
    }
    result = {"machine": machine()} | {
        name: part() for name, part in parts.items() if asked.only is None or name in asked.only
    }
    text = json.dumps(result, indent=1)
    if asked.out is None:
        print(text)
    else:
        asked.out.write_text(text + "\n", encoding="utf-8")
