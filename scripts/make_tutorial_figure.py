"""The picture of the real case of docs/tutorial.md: what the towers feel, and what they saw, before and after.

python scripts/make_tutorial_figure.py uk-ch4/run docs/tutorial_ch4.png
"""

import argparse
from pathlib import Path

import matplotlib as mpl
import numpy as np
import pandas as pd
import xarray as xr

mpl.use("Agg")

import cartopy.crs as ccrs
import matplotlib.pyplot as plt
from frykit.shp import get_land

from inversion.jacobian.store import JacobianStore


def main() -> None:
    """Draw."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("run", type=Path, help="folder of the run")
    parser.add_argument("out", type=Path, help="picture")
    asked = parser.parse_args()
    jacobian = JacobianStore(asked.run / "footprints").read()
    felt = np.asarray(abs(jacobian.matrix).mean(axis=0)).reshape(-1, *jacobian.grid.shape).sum(axis=0)
    fit = pd.read_parquet(asked.run / "fit.parquet").sort_values("time")
    with xr.open_dataset(asked.run / "posterior.nc", engine="netcdf4") as data:
        change = (data["flux"] - data["flux_prior"]).mean("time").sum("sector").load() * 1e9
    plate = ccrs.PlateCarree()
    figure = plt.figure(figsize=(12, 3.6), layout="constrained")
    grid = figure.add_gridspec(1, 3, width_ratios=[1, 1, 1.1])
    box = [-15, 15, 43, 62]
    limit = float(np.abs(change.sel(lat=slice(43, 62), lon=slice(-15, 15))).max())
    panels = (
        (
            "footprints, log10 ppb per nmol m$^{-2}$ s$^{-1}$",
            np.log10(np.maximum(felt, 1e-4)),
            "cividis",
            -4,
            None,
        ),
        ("change of the flux, nmol m$^{-2}$ s$^{-1}$", change.values, "PuOr_r", -limit, limit),
    )
    for k, (title, field, colours, low, high) in enumerate(panels):
        axis = figure.add_subplot(grid[k], projection=plate)
        axis.set_extent(box, plate)
        edges = jacobian.grid.lon_edges, jacobian.grid.lat_edges
        drawn = axis.pcolormesh(*edges, field, cmap=colours, vmin=low, vmax=high, transform=plate)
        axis.add_geometries([get_land()], plate, facecolor="none", edgecolor="0.6", linewidth=0.6)
        for (_, lat, lon), _ in fit.groupby(["platform", "latitude", "longitude"]):
            axis.plot(lon, lat, "^", color="white", markeredgecolor="black", transform=plate)
        axis.set_title(title, fontsize=9)
        figure.colorbar(drawn, ax=axis, shrink=0.8)
        axis.gridlines(draw_labels=["left", "bottom"], linewidth=0.3)
    axis = figure.add_subplot(grid[2])
    order = np.arange(len(fit))
    axis.plot(order, fit["value"], "k.", markersize=4, label="observed")
    axis.plot(order, fit["prior"], "_", color="#0072b2", label="before")
    axis.plot(order, fit["posterior"], "_", color="#d55e00", label="after")
    axis.set_xlabel("observations in order of time")
    axis.set_ylabel("CH4, ppb")
    axis.legend(fontsize=8)
    figure.savefig(asked.out, dpi=110)
    print(
        f"{len(fit)} observations; misfit before {np.std(fit['value'] - fit['prior']):.1f} ppb about a mean of "
        f"{(fit['value'] - fit['prior']).mean():.0f}, after {np.std(fit['value'] - fit['posterior']):.1f} about "
        f"{(fit['value'] - fit['posterior']).mean():.1f}"
    )


if __name__ == "__main__":
    main()
