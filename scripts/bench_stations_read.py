"""Time and memory of reading station files, against a bare pandas parse of the same file.

Makes its own inputs in a temporary folder: a year of one-minute means of a laser analyser (525,600 rows, 39 MB),
raw analyser logs, NOAA hourly means, and an hourly ObsPack of 198,752 rows with its identification strings.
Peak memory is that of a process that reads the file once; times are the best of turns taken in one process.

    python scripts/bench_stations_read.py [--repeat 5]
"""

from __future__ import annotations

import argparse
import multiprocessing
import resource
import tempfile
import time
from pathlib import Path

import numpy as np

MINUTES, HOURS = 525_600, 198_752
LOG = (
    "DATE TIME FRAC_DAYS_SINCE_JAN1 FRAC_HRS_SINCE_JAN1 JULIAN_DAYS EPOCH_TIME ALARM_STATUS INST_STATUS species "
    "MPVPosition solenoid_valves CH4 CH4_dry CO2 CO2_dry H2O h2o_reported"
)


def minute_file(folder: Path) -> Path:
    """GCWerks export of a laser analyser, two species."""
    path = folder / "sdz.picarro.1minute.80m.min.dat"
    random = np.random.default_rng(1)
    text = np.datetime_as_string(
        np.datetime64("2019-01-01T00:00:30") + np.arange(MINUTES) * np.timedelta64(1, "m")
    )
    methane, carbon = random.normal(1950, 10, MINUTES), random.normal(410, 5, MINUTES)
    with path.open("w") as out:
        out.write("Created: synthetic\n")
        out.write("     -      -         -    -       ch4     ch4   ch4       co2     co2   co2 \n")
        out.write("  date   time      type port         C   stdev     N         C   stdev     N \n")
        for t, a, b in zip(text, methane, carbon, strict=True):
            day, clock = t[2:4] + t[5:7] + t[8:10], t[11:13] + t[14:16] + t[17:19]
            out.write(f"{day} {clock}       air    9   {a:7.2f}   0.790    26    {b:6.2f}   0.055    26 \n")
    return path


def noaa_file(folder: Path) -> Path:
    """NOAA hourly means."""
    path = folder / "co2_mlo_surface-insitu_1_ccgg_hourly.txt"
    times = np.datetime64("2000-01-01T00") + np.arange(HOURS) * np.timedelta64(1, "h")
    values = 370 + np.arange(HOURS) / 10_000
    names = (
        "site_code year month day hour minute second datetime time_decimal value value_std_dev nvalue latitude "
        "longitude altitude elevation intake_height qcflag"
    )
    with path.open("w") as out:
        out.write(
            "# header_lines : 4\n# dataset_parameter : co2\n# value:units : micromol mol-1\n" + names + "\n"
        )
        for t, v in zip(np.datetime_as_string(times, unit="s"), values, strict=True):
            parts = f"{t[:4]} {int(t[5:7])} {int(t[8:10])} {int(t[11:13])} 0 0 {t}Z 2000.0"
            out.write(f"MLO {parts} {v:.2f} 0.25 10 19.536 -155.576 3437.0 3397.0 40.0 ...\n")
    return path


def obspack_file(folder: Path) -> Path:
    """European ObsPack with its 200-character identities."""
    import netCDF4

    path = folder / "co2_cbw_tower-insitu_445_allvalid-207magl.nc"
    seconds = np.arange(HOURS) * 3600 + 720_000_000
    with netCDF4.Dataset(path, "w") as nc:
        for name, size in (("time", HOURS), ("string_of_200chars", 200), ("string_of_20chars", 20)):
            nc.createDimension(name, size)
        for name, kind, values, unit in (
            ("time", "i4", seconds, "seconds since 1970-01-01T00:00:00Z"),
            ("start_time", "i4", seconds - 1800, "seconds since 1970-01-01T00:00:00Z"),
            ("value", "f4", np.full(HOURS, 4e-4), "mol mol-1"),
            ("value_std_dev", "f4", np.full(HOURS, 2e-7), "mol mol-1"),
            ("nvalue", "i4", np.full(HOURS, 30), "1"),
            ("latitude", "f4", np.full(HOURS, 51.97), "degrees_north"),
            ("longitude", "f4", np.full(HOURS, 4.93), "degrees_east"),
            ("intake_height", "f4", np.full(HOURS, 207.0), "m"),
        ):
            variable = nc.createVariable(name, kind, ("time",), zlib=True, complevel=4)
            variable[:] = values
            variable.units = unit
        flag = nc.createVariable("qc_flag", "S1", ("time",), zlib=True)
        flag[:] = np.full(HOURS, b"O", dtype="S1")
        for name, width in (("obspack_id", 200), ("datetime", 20)):
            texts = np.array(
                [f"{name}~synthetic~{i}".ljust(width)[:width] for i in range(HOURS)], dtype=f"S{width}"
            )
            variable = nc.createVariable(
                name, "S1", ("time", f"string_of_{width}chars"), zlib=True, complevel=4
            )
            variable[:] = texts.view("S1").reshape(HOURS, width)
        nc.setncatts({"dataset_parameter": "co2", "dataset_name": path.stem, "site_code": "CBW"})
    return path


def picarro_folder(folder: Path) -> Path:
    """Hourly raw logs of a day, 26 characters a column."""
    place = folder / "picarro"
    place.mkdir()
    for hour in range(24):
        lines = ["".join(f"{n:<26}" for n in LOG.split())]
        for i in range(2400):
            second = hour * 3600 + i * 1.5
            clock = f"{hour:02d}:{int(second % 3600) // 60:02d}:{second % 60:06.3f}"
            cells = [
                "2019-01-01",
                clock,
                "0.1",
                "1.0",
                "1.0",
                f"{1546300800 + second:.3f}",
                "0",
                "963",
                f"{i % 3 + 1:.10E}",
            ]
            cells += [f"{v:.10E}" for v in (16, 0, 1.9, 1.91, 405, 410 + (i // 3) * 1e-3, 1.5, 1.8)]
            lines.append("".join(f"{c:<26}" for c in cells))
        (place / f"CFADS-20190101-{hour:02d}0000Z-DataLog_User.dat").write_text("\n".join(lines) + "\n")
    return place


def bare_text(path: Path) -> int:
    import pandas as pd

    with path.open() as file:
        skip = next(i for i, line in enumerate(file, 1) if line.split()[:1] in (["date"], ["site_code"]))
    return len(pd.read_csv(path, sep=r"\s+", skiprows=skip, header=None))


def bare_folder(path: Path) -> int:
    import pandas as pd

    return sum(len(pd.read_csv(p, sep=r"\s+")) for p in path.iterdir())


def bare_netcdf(path: Path) -> int:
    import xarray as xr

    with xr.open_dataset(path, engine="netcdf4") as data:
        return data.load().sizes["time"]


def ours(path: Path) -> int:
    import stations

    return stations.read(path).sizes["time"]


def interleaved(queue: multiprocessing.Queue, bare, path: Path, repeat: int) -> None:
    """Put (rows, our best seconds, bare best seconds); the two take turns, so that both meet the same load."""
    rows, best = ours(path), {bare: float("inf"), ours: float("inf")}
    bare(path)  # imports, and the disk's cache
    for _ in range(repeat):
        for function in (bare, ours):
            start = time.perf_counter()
            function(path)
            best[function] = min(best[function], time.perf_counter() - start)
    queue.put((rows, best[ours], best[bare]))


def peak(queue: multiprocessing.Queue, function, path: Path, _repeat: int) -> None:
    """Put the peak memory of a process that calls a function on a file once, in MB."""
    function(path)
    queue.put(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024)


def alone(measure, function, path: Path, repeat: int):
    """Run a measurement in a process of its own."""
    context = multiprocessing.get_context("spawn")
    queue = context.Queue()
    process = context.Process(target=measure, args=(queue, function, path, repeat))
    process.start()
    result = queue.get()
    process.join()
    return result


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--repeat", type=int, default=5, help="readings of which the fastest counts")
    repeat = parser.parse_args().repeat
    columns = (
        ("MB", 5),
        ("rows", 8),
        ("s", 6),
        ("rows/s", 10),
        ("bare s", 7),
        ("ratio", 6),
        ("peak MB", 8),
        ("bare MB", 8),
    )
    print(f"{'file':34} " + " ".join(f"{name:>{width}}" for name, width in columns))
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        for what, make, bare in (
            ("one-minute analyser export", minute_file, bare_text),
            ("NOAA hourly text", noaa_file, bare_text),
            ("raw Picarro, 24 hourly files", picarro_folder, bare_folder),
            ("ObsPack netCDF (bare: xarray, all)", obspack_file, bare_netcdf),
        ):
            path = make(folder)
            size = sum(p.stat().st_size for p in ([path] if path.is_file() else path.iterdir())) / 1e6
            rows, seconds, bare_seconds = alone(interleaved, bare, path, repeat)
            memory, bare_memory = (alone(peak, f, path, 1) for f in (ours, bare))
            print(
                f"{what:34} {size:5.0f} {rows:8d} {seconds:6.2f} {rows / seconds:10.0f} {bare_seconds:7.2f} "
                f"{seconds / bare_seconds:6.2f} {memory:8.0f} {bare_memory:8.0f}"
            )


if __name__ == "__main__":
    main()
