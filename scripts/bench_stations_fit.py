"""Time the station curve fits, and the memory of many of them in parallel.

    python scripts/bench_stations_fit.py                         # one fit, then 1,000 stations of 30 years hourly
    python scripts/bench_stations_fit.py --stations 100 --workers 2 --scheduler dask
    python scripts/bench_stations_fit.py --stations 0 --noaa ../ccg/ccg_filter.py   # beside NOAA's own program

NOAA's program is public (github.com/noaa-gml/ccg_dataProcessing); give the path of your copy of ccg_filter.py.
Prints milliseconds a fit of Waliguan's flasks (1,369 pair means; needs the sample data), rows/s of many hourly
records, and the peak memory of each worker after its first and after its last record.
"""

from __future__ import annotations

import argparse
import importlib
import os
import resource
import statistics
import sys
import time
import warnings
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np

from obsnet.work.parallel import cpu_count, map_unordered
from obsnet.work.work import Work
from stations.curve.fit import CurveWarning, fit_curve
from stations.curve.many import summarise

HOURS_A_YEAR = 8766


@dataclass(frozen=True)
class Done:
    """What one record cost."""

    worker: int
    seconds: float
    rows: int
    peak_mb: float
    slope: float


def synthetic(number: int, years: int) -> tuple[np.ndarray, np.ndarray]:
    """Return decimal years and values of an hourly record with trend, season, diurnal cycle and noise."""
    rng = np.random.default_rng(number)
    hours = np.arange(years * HOURS_A_YEAR)
    x = 1990.0 + hours / HOURS_A_YEAR
    y = (
        350.0
        + 2.0 * (x - 1990.0)
        + 4.0 * np.sin(2 * np.pi * x)
        + 5.0 * np.cos(2 * np.pi * (hours % 24) / 24.0)
    )
    y += rng.standard_normal(hours.size)
    keep = rng.random(hours.size) > 0.1
    return x[keep], y[keep]


def task(number: int, years: int) -> Done:
    x, y = synthetic(number, years)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", CurveWarning)
        start = time.perf_counter()
        numbers = summarise(fit_curve(x, y))
        seconds = time.perf_counter() - start
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024.0
    return Done(os.getpid(), seconds, x.size, peak, numbers["coefficients"][1])


def one_fit(noaa: Path | None) -> None:
    root = Path(os.environ.get("OBSNET_SAMPLE_DATA", Path(__file__).resolve().parents[2] / "shared" / "data"))
    path = root / "stations/noaa_flask/co2_wlg_surface-flask_1_ccgg_event.txt"
    if not path.exists():
        print("Waliguan: sample data absent, skipped")
        return
    import stations
    from stations.record.series import series

    data = series(stations.read(path))
    programs = {"obsnet": fit_curve} | ({"NOAA": _class_of(noaa)} if noaa else {})
    times: dict[str, list[float]] = {name: [] for name in programs}
    for _ in range(50):  # in turns, so that all meet the same load
        for name, fit in programs.items():
            start = time.perf_counter()
            fit(data.year, data.value)
            times[name].append(1e3 * (time.perf_counter() - start))
    for name, found in times.items():
        print(
            f"Waliguan, {name}: {data.value.size} values, best {min(found):.2f} ms, median "
            f"{statistics.median(found):.2f} ms"
        )


def _class_of(path: Path):
    """Return the class ``ccgFilter`` of a file of NOAA's."""
    sys.path.insert(0, str(path.parent))  # its own imports
    return importlib.import_module(path.stem).ccgFilter


def many(stations: int, years: int, workers: int, scheduler: str) -> None:
    by_worker: dict[int, list[Done]] = {}
    slopes = []
    start = time.perf_counter()
    for _, done in map_unordered(
        partial(task, years=years), range(stations), work=Work(scheduler=scheduler, workers=workers)
    ):
        by_worker.setdefault(done.worker, []).append(done)
        slopes.append(done.slope)
    wall = time.perf_counter() - start
    rows = sum(d.rows for all_done in by_worker.values() for d in all_done)
    fits = [d.seconds for all_done in by_worker.values() for d in all_done]
    print(
        f"{stations} stations x {years} years hourly: {rows} rows in {wall:.1f} s with {len(by_worker)} workers "
        f"({scheduler}), {rows / wall / 1e6:.2f} million rows/s; a fit takes {statistics.median(fits):.3f} s"
    )
    print(f"mean slope {np.mean(slopes):.5f} +- {np.std(slopes):.5f} (made with 2)")
    for worker, all_done in by_worker.items():
        print(
            f"worker {worker}: {len(all_done)} records, peak memory {all_done[0].peak_mb:.0f} MB after the first, "
            f"{all_done[-1].peak_mb:.0f} MB after the last"
        )


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--stations", type=int, default=1000)
    parser.add_argument("--years", type=int, default=30)
    parser.add_argument("--workers", type=int, default=cpu_count())
    parser.add_argument("--scheduler", choices=("serial", "processes", "dask"), default="processes")
    parser.add_argument("--noaa", type=Path, help="NOAA's ccg_filter.py, to be timed beside ours")
    arguments = parser.parse_args()
    one_fit(arguments.noaa)
    if arguments.stations:
        many(arguments.stations, arguments.years, arguments.workers, arguments.scheduler)


if __name__ == "__main__":
    main()
