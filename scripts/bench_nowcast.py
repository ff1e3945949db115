"""Speed of a rapid estimate and of a forecast with all their hindcasts, beside drawing the random numbers alone.

    python scripts/bench_nowcast.py [--draws 1000]

31 provinces x 25 years, two indicators by month. Processor time, since other jobs on the machine do not count in it.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

ROOT = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(ROOT)]


def timed(function):
    start = time.process_time()
    result = function()
    return result, round(time.process_time() - start, 2)


def main():
    from obsnet.nowcast.forecast import forecast
    from obsnet.nowcast.inputs.history import read_history
    from obsnet.nowcast.inputs.indicator_file import read_indicators
    from obsnet.nowcast.models.trends import draw_shocks
    from obsnet.nowcast.rapid import rapid_estimate
    from tests.obsnet.nowcast.made import indicator_frame, inventory_frame, world, write

    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--draws", type=int, default=1000)
    draws = parser.parse_args().draws
    years = np.arange(1995, 2020)
    made = world(0, years=years)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        write(inventory_frame(made), folder / "v.csv")
        write(indicator_frame(made), folder / "i.csv")
        history, read = timed(lambda: read_history([str(folder / "v.csv")]))
        indicators, months = timed(lambda: read_indicators(folder / "i.csv"))
    _, floor = timed(lambda: [draw_shocks(5, draws, 31, (k,)) for k in range(len(years) - 4)])
    rapid, first = timed(lambda: rapid_estimate(history, indicators, year=2019, draws=draws))
    ahead, second = timed(lambda: forecast(history, draws=draws))
    print(json.dumps({
        "provinces": 31, "years": len(years), "draws": draws, "read_inventory_cpu_s": read,
        "read_indicators_cpu_s": months, "rapid_cpu_s": first, "rapid_hindcasts": int(rapid.scores["years"].max()),
        "forecast_cpu_s": second, "forecast_origins": int(ahead.hindcast.table["origin"].nunique()),
        "random_numbers_alone_cpu_s": floor,
    }, indent=1))  # fmt: skip


if __name__ == "__main__":
    main()
