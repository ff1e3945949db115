"""Time the detection of plumes on an image of 811 x 123 pixels beside a yardstick of the same run.

    python scripts/bench_plumes.py [--repeats 3] [--ddeq PYTHON]

The yardstick is one Gaussian filter over the image (width of the local mean), the least that any local test does. With
``--ddeq`` the detection of that package runs on the same columns, for the same source, under the interpreter given, and
how much of its plume ours has, and the other way round, is printed. Seconds are of the processor.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import tempfile
import time
from pathlib import Path

import numpy as np
import xarray as xr
from scipy import ndimage

from retrieval.plume.images.detect import detect
from retrieval.plume.options import DetectSettings
from retrieval.plume.twin import PlumeWorld, make_twin

DDEQ = """
import json, sys, time, warnings
warnings.filterwarnings("ignore")
import cartopy.crs, ddeq.dplume, ddeq.plume_coords, xarray as xr
data, sources = (xr.open_dataset(p, engine="netcdf4").load() for p in sys.argv[1:3])
start = time.process_time()
crs = cartopy.crs.TransverseMercator(100, 40)
out = ddeq.dplume.detect_plumes(data, sources, "CO2", "CO2_std", crs=crs)
seconds = time.process_time() - start
mask = out["detected_plume"].values.any(axis=-1)
print(json.dumps({"seconds": seconds, "pixels": mask.ravel().nonzero()[0].tolist()}))
"""


def seconds_of(function, repeats):
    """Return the least processor time of some calls."""
    taken = []
    for _ in range(repeats):
        start = time.process_time()
        function()
        taken.append(time.process_time() - start)
    return min(taken)


def theirs(twin, python):
    """Return what ddeq finds, in how many seconds."""
    scene, dims = twin.scene, ("nobs", "nrows")
    arrays = {"lon": scene.longitude, "lat": scene.latitude, "CO2": scene.value, "CO2_std": scene.uncertainty}
    image = xr.Dataset({name: (dims, values) for name, values in arrays.items()})
    half = [0.5 * np.gradient(a, axis=k) for a in (scene.longitude, scene.latitude) for k in (0, 1)]
    for name, middle, a, b in (("lonc", scene.longitude, *half[:2]), ("latc", scene.latitude, *half[2:])):
        image[name] = (
            (*dims, "corner"),
            np.stack([middle - a - b, middle - a + b, middle + a + b, middle + a - b], -1),
        )
    one = {"lon": twin.source.longitude, "lat": twin.source.latitude, "diameter": 1000.0}
    sources = xr.Dataset({k: ("source", [v]) for k, v in one.items()}, coords={"source": ["source"]})
    sources["label"] = ("source", ["source"])
    with tempfile.TemporaryDirectory() as folder:
        files = [Path(folder) / n for n in ("image.nc", "sources.nc")]
        image.to_netcdf(files[0])
        sources.to_netcdf(files[1])
        done = subprocess.run(
            [python, "-c", DDEQ, *map(str, files)], capture_output=True, text=True, check=False
        )
    if done.returncode:
        print(f"ddeq failed: {done.stderr.strip().splitlines()[-1]}")
        return None
    return json.loads(done.stdout.splitlines()[-1])


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--ddeq", metavar="PYTHON")
    asked = parser.parse_args()
    twin = make_twin(PlumeWorld(rate=2000.0, rows=811, columns=123, direction=70.0, clouds=0.2), 1)
    image = twin.scene
    field = np.nan_to_num(image.value)
    floor = seconds_of(lambda: ndimage.gaussian_filter(field, 1.0, truncate=3.0), asked.repeats)

    def find():
        return detect(image.value, image.uncertainty, image.spacing_km, DetectSettings())

    ours = seconds_of(find, asked.repeats)
    print(f"detection {ours:.2f} s, {ours / floor:.0f} times one Gaussian filter ({floor * 1e3:.1f} ms)")
    other = theirs(twin, asked.ddeq) if asked.ddeq else None
    if other:
        mine = np.flatnonzero((find().labels > 0).ravel())
        both = np.intersect1d(mine, other["pixels"]).size
        print(f"ddeq {other['seconds']:.2f} s, {other['seconds'] / ours:.1f} times as long")
        print(f"of its {len(other['pixels'])} pixels {both} are among our {mine.size}")


if __name__ == "__main__":
    main()
