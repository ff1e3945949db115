"""Honesty test against MPTRAC: the mean wind alone, on real ERA5."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np

from inversion.transport.check.worlds import Row
from inversion.transport.particles.settings import ParticleSettings
from inversion.transport.particles.simulate import simulate
from inversion.transport.receptors.releases import Receptors
from obsnet.grid import Grid
from obsnet.met import open_met
from obsnet.times import from_epoch, to_epoch
from obsnet.typing import Floats

__all__ = ["mptrac"]


def mptrac(reference: Path) -> Iterator[Row]:
    """Mean wind alone against MPTRAC on real ERA5: where 1000 parcels are on average after 2 h."""
    from pyproj import CRS, Transformer

    folder = reference / "mptrac_era5"
    # MPTRAC moves parcels along the axes of the projection, as if the winds were along them.
    met = open_met(sorted(folder.glob("era5_*.nc")), trim=True, winds="grid")
    crs = CRS.from_epsg(32632)
    to_degrees = Transformer.from_crs(crs, "EPSG:4326", always_xy=True)
    to_metres = Transformer.from_crs("EPSG:4326", crs, always_xy=True)
    first, last = (_parcels(folder / "data.ref" / f"atm_2025_05_01_0{h}_00_00.tab") for h in (0, 2))
    start = first[0, 0] + float(to_epoch(np.datetime64("2000-01-01")))
    lon, lat = to_degrees.transform(first[:, 2], first[:, 3])
    profile = met.profile(from_epoch(np.full(lon.size, start)), lat, lon)
    # Altitude in these files is log-pressure: 7 km ln(1013.25 hPa / p).
    pressure = 101325.0 * np.exp(-first[:, 1] / 7.0)
    columns = zip(pressure, profile["pressure"], strict=True)
    z = np.array([np.interp(-np.log(p), -np.log(c), met.height) for p, c in columns])
    times, ones = np.full(z.size, start), np.ones(z.size)
    rows = np.stack([times, times, lon, lon, lat, lat, z, z, ones, 0.5 * ones, 0.5 * ones, ones], axis=1)
    receptor = Receptors(np.array(["m"]), np.array([0, z.size]), rows, np.zeros(1), {})
    south, north, west, east = met.bounds
    grid = Grid(np.linspace(south, north, 5), np.linspace(west, east, 5))
    edges = from_epoch(np.array([start, start + 7200.0]))
    run = ParticleSettings(turbulence="none", hours=2.0, particles=1, direction=1)
    ends = simulate(met, receptor, grid, edges, run).endpoints.to_pandas()
    x, y = to_metres.transform(ends["longitude"].to_numpy(), ends["latitude"].to_numpy())
    inside = (ends["side"] == "inside").to_numpy()
    off = np.array([np.mean((x - last[:, 2])[inside]), np.mean((y - last[:, 3])[inside])]) / 1000
    moved = np.hypot(*(np.mean((last[:, k] - first[:, k])[inside]) for k in (2, 3))) / 1000
    each = np.hypot(x - last[:, 2], y - last[:, 3])[inside] / 1000
    yield Row(
        "MPTRAC: centroid after 2 h",
        float(np.hypot(*off)),
        1.0,
        "km",
        f"{int(inside.sum())} parcels moved {moved:.1f} km on average; median distance {np.median(each):.2f} km",
        {"kind": "parcels", "x": x, "y": y, "rx": last[:, 2], "ry": last[:, 3]},
    )


def _parcels(path: Path) -> Floats:
    return np.loadtxt(path, comments="#")
