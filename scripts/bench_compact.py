"""What compacting a station store brings: files, bytes, and processor time to list and read it, before and after.

usage: python scripts/bench_compact.py [--stations 50] [--years 10]
"""

from __future__ import annotations

import argparse
import resource
import tempfile
import time
from pathlib import Path

import numpy as np

from obsnet.compact import compact
from obsnet.schema import observation_table
from obsnet.store import ObservationStore, read_part

HOUR = np.timedelta64(1, "h")


def station(number: int, years: int):
    """Return hourly values of a station as a table of one input file."""
    time_ = np.arange(np.datetime64("2010-01-01", "us"), np.datetime64(f"{2010 + years}-01-01", "us"), HOUR)
    rng = np.random.default_rng(number)
    rows = time_.size
    name = f"S{number:04d}"
    columns = {
        "obs_id": np.char.add(f"made:{name}:", np.datetime_as_string(time_, "m")),
        "platform": [name] * rows,
        "time": time_,
        "time_start": time_ - HOUR / 2,
        "time_end": time_ + HOUR / 2,
        "latitude": np.full(rows, rng.uniform(20, 50)),
        "longitude": np.full(rows, rng.uniform(75, 130)),
        "value": 400 + rng.normal(0, 5, rows).round(2),
        "uncertainty": np.full(rows, 0.1),
        "scale": ["WMO CO2 X2019"] * rows,
    }
    return observation_table(columns, species="CO2", kind="point", source="made", file_id=f"{number:016x}")


def ten_days(store: ObservationStore) -> None:
    """Read, day by day, the parts that reach into the day."""
    parts = list(store.parts("CO2", "made"))
    for day in np.arange("2015-06-01", "2015-06-11", dtype="datetime64[D]"):
        for part in parts:
            if part.first < day + 1 and part.last >= day:
                read_part(part.path, ["time", "value", "uncertainty", "latitude", "longitude", "quality"])


def measured(store: ObservationStore) -> dict[str, float]:
    """Return files, MB, and processor seconds of listing and of reading a month, all, and single days."""
    files = store.files()
    out = {"files": len(files), "MB": sum(p.stat().st_size for p in files) / 1e6}
    for name, work in (
        ("list", store.files),
        ("month", lambda: store.read("CO2", start="2015-06-01", stop="2015-07-01")),
        ("all", lambda: store.read("CO2", columns=["time", "value", "platform"])),
        ("ten days as superobs reads them", lambda: ten_days(store)),
    ):
        before = time.process_time()
        work()
        out[f"{name}_s"] = time.process_time() - before
    return out


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--stations", type=int, default=50)
    parser.add_argument("--years", type=int, default=10)
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        store = ObservationStore(Path(folder) / "store")
        before = time.process_time()
        for number in range(given.stations):
            store.write(station(number, given.years))
        print(f"written in {time.process_time() - before:.1f} s of processor time")
        rows = [("before", measured(store))]
        whole = store.read("CO2")
        before = time.process_time()
        counts = compact(store, "CO2", "made")
        print(f"compacted in {time.process_time() - before:.1f} s: {counts}")
        rows.append(("after", measured(store)))
        assert store.read("CO2").equals(whole)
        print("the same table before and after")
        for name, found in rows:
            print(name, {k: round(v, 2) for k, v in found.items()})
        print(f"highest memory {resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20:.2f} GiB")


if __name__ == "__main__":
    main()
