"""Speed of super-observations by area overlap and along the track, with ratios in one run.

    python scripts/bench_superobs.py [--pixels 200000] [--shapely 2000]

Pixels are those of a TROPOMI-like swath made up here (7 km by 7 km, oblique). The figure is per core: one
process, one thread.
"""

from __future__ import annotations

import argparse
import json
import time

import numpy as np

from obsnet.grid import Grid
from retrieval.superobs.along_track import along_track_groups
from retrieval.superobs.groups import area_groups, group_mean
from retrieval.superobs.polygon_overlap import cell_areas, overlap


def swath(pixels, seed=0):
    """Return corners and times of an oblique swath of 7 km pixels, 215 across."""
    rng = np.random.default_rng(seed)
    across, along = np.arange(pixels) % 215, np.arange(pixels) // 215
    angle = np.deg2rad(12)
    u, v = (across - 107) * 0.063, along % 800 * 0.063
    lat = 18 + v * np.cos(angle) + u * np.sin(angle) * 0.2
    lon = 105 + u / np.cos(np.deg2rad(lat)) - v * np.sin(angle)
    half = 0.0315 * rng.uniform(0.98, 1.02, (pixels, 1))
    dy = half * np.array([-1, -0.7, 1, 0.7])
    dx = half * np.array([-0.9, 1, 0.9, -1]) / np.cos(np.deg2rad(lat))[:, None]
    when = np.datetime64("2020-06-01T05:00", "us") + (along * 840_000).astype("timedelta64[us]")
    return lat[:, None] + dy, lon[:, None] + dx, when


def best(function, repeats=5):
    """Return the least processor time of some runs, s, and the last result."""
    times, result = [], None
    for _ in range(repeats):
        start = time.process_time()
        result = function()
        times.append(time.process_time() - start)
    return min(times), result


def shapely_loop(lat, lon, grid):
    """Return the pieces as a plain loop over shapely finds them."""
    from shapely import Polygon, box

    pieces = []
    nlon = grid.shape[1]
    for k in range(len(lat)):
        pixel = Polygon(np.column_stack([lon[k], lat[k]]))
        west, south, east, north = pixel.bounds
        rows = range(
            *np.clip(np.searchsorted(grid.lat_edges, [south, north], "right") - [1, 0], 0, grid.shape[0])
        )
        columns = range(*np.clip(np.searchsorted(grid.lon_edges, [west, east], "right") - [1, 0], 0, nlon))
        for i in rows:
            for j in columns:
                cell = box(grid.lon_edges[j], grid.lat_edges[i], grid.lon_edges[j + 1], grid.lat_edges[i + 1])
                area = pixel.intersection(cell).area
                if area > 0:
                    pieces.append((k, i * nlon + j, area))
    return pieces


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--pixels", type=int, default=200_000)
    parser.add_argument("--shapely", type=int, default=2_000, help="pixels of the comparison loop")
    options = parser.parse_args()
    lat, lon, when = swath(options.pixels)
    n = len(lat)
    kind = np.zeros(n, dtype=np.int64)
    profile = np.random.default_rng(1).normal(size=(n, 12))
    report = {"pixels": n}
    for step in (0.1, 0.25, 0.5, 2.0):
        grid = Grid.regular(0, 80, 60, 150, step, step)
        overlap(lat[:9], lon[:9], grid)
        seconds, pieces = best(lambda grid=grid: overlap(lat, lon, grid))
        report[f"overlap at {step} deg, pixels/s"] = round(n / seconds)
        report[f"overlap at {step} deg, pieces a pixel"] = round(len(pieces.pixel) / n, 2)
    grid = Grid.regular(0, 80, 60, 150, 0.25, 0.25)
    few = options.shapely
    slow, loop = best(lambda: shapely_loop(lat[:few], lon[:few], grid), 1)
    fast, _ = best(lambda: overlap(lat, lon, grid))
    report["shapely loop at 0.25 deg, pixels/s"] = round(few / slow)
    report["times faster than the loop"] = round((n / fast) / (few / slow))
    ours = overlap(lat[:few], lon[:few], grid)
    report["pieces found by both"] = [len(loop), len(ours.pixel)]
    inside = overlap(lat, lon, grid)
    lost = np.abs(np.bincount(inside.pixel, inside.area, n) / inside.pixel_area - 1)
    report["largest relative error of a pixel's summed pieces"] = float(lost.max())
    report["covered cells"] = int(
        np.sum(np.bincount(inside.cell, inside.area, grid.size) > 0.99 * cell_areas(grid))
    )

    seconds, groups = best(lambda: area_groups(lat, lon, when, kind, grid))
    report["grouping by area at 0.25 deg, pixels/s"] = round(n / seconds)
    group_mean(profile[:9], area_groups(lat[:9], lon[:9], when[:9], kind[:9], grid))
    seconds, _ = best(lambda: group_mean(profile, groups))
    report["mean of 12-layer profiles, pixels/s"] = round(n / seconds)
    centre_lat, centre_lon = lat.mean(axis=1), lon.mean(axis=1)
    seconds, _ = best(lambda: along_track_groups(when, centre_lat, centre_lon, kind, length_km=20.0))
    report["grouping along the track, soundings/s"] = round(n / seconds)
    print(json.dumps(report, indent=1))


if __name__ == "__main__":
    main()
