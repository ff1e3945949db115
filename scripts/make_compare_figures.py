"""Make the pictures of docs/compare.md from the sample data.

    python scripts/make_compare_figures.py                    # writes docs/compare.png and docs/compare_resolution.png
    python scripts/make_compare_figures.py --out somewhere

The first is `obsnet compare` on three real inversions of methane in Europe. The second asks how sure provinces of
China are for want of knowing where in a cell the flux is: coal power of China on grids of 0.25 to 2.5 degrees.
"""

from __future__ import annotations

import argparse
import os
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np

from obsnet.crosscheck.systems.figure import spread_figure
from obsnet.crosscheck.systems.options import ComparisonOptions
from obsnet.crosscheck.systems.run import compare_systems
from obsnet.grid import Grid
from obsnet.inventory.prior.plants import read_plants
from obsnet.regions import PROVINCES, provinces
from obsnet.splitting import flux_shares

ROOT = Path(__file__).resolve().parents[1]
DATA = Path(os.environ.get("OBSNET_SAMPLE_DATA", ROOT.parent / "shared" / "data"))
EUROPE = {
    "ELRIS": "ELRIS_NAME_EUROPE_EDGAR_old_format_CH4_monthly.nc",
    "InTEM": "InTEM_NAME_EUROPE_EDGAR_old_format_ch4_monthly.nc",
    "RHIME": "RHIME_NAME_EUROPE_EDGAR_old_format_ch4_monthly.nc",
}
COUNTRIES = ["DEU", "FRA", "GBR", "ITA", "POL", "ESP+PRT", "BEL+LUX+NLD", "IRL", "CHE", "AUT"]
SIZES = (0.25, 0.5, 1.0, 2.0, 2.5)


def europe(folder):
    """Draw three inversions of Europe and print their spreads."""
    base = DATA / "posteriors/paris_posteriors"
    found = compare_systems(
        ComparisonOptions(
            systems=[f"{n}={base / f}" for n, f in EUROPE.items()], period=["2023"], region=COUNTRIES
        )
    )
    print(found.spread[["region", "mean", "within_sd", "between_sd", "gap_in_sd"]].round(3).to_string())
    figure = spread_figure(found.systems, found.spread)
    figure.savefig(folder / "compare.png", dpi=90)
    plt.close(figure)


def resolution(folder):
    """Draw which provinces grids of several sizes resolve, for the flux of coal power."""
    frame = provinces()
    plants, _, _ = read_plants(DATA / "inventory/powerplants/wri_gppd_China_raw.csv", fuels=["Coal"])
    lat, lon = plants["latitude"].to_numpy(float), plants["longitude"].to_numpy(float)
    amount = plants["value"].to_numpy(float)
    inside = (lat > 15) & (lat < 55) & (lon > 70) & (lon < 140) & np.isfinite(amount)
    relative = {}
    for size in SIZES:
        grid = Grid.regular(15.0, 55.0, 70.0, 140.0, size, size)
        flux = np.zeros(grid.size)
        np.add.at(flux, grid.index(lat[inside], lon[inside]), amount[inside])
        flux = flux / grid.cell_area.ravel()
        shares = flux_shares(frame, grid, {"flux": flux.reshape(grid.shape)})
        own = [shares.labels.index(r) for r in frame.index]
        total = (shares.area("flux") @ flux)[own]
        spread = np.sqrt(np.maximum(np.diagonal(shares.doubt["flux"])[own], 0.0))
        relative[size] = 100 * spread / np.where(total > 0, total, np.nan)
        few = [PROVINCES[r][0] for r, x in zip(frame.index, relative[size], strict=True) if x > 30]
        print(f"{size:g} degree: {len(few)} not resolved: {', '.join(few)}")
    order = np.argsort(np.nan_to_num(relative[1.0], nan=-1.0))[::-1]
    order = [k for k in order if np.isfinite(relative[1.0][k])]
    figure, axes = plt.subplots(figsize=(10, 4.4), layout="constrained")
    for size, mark, colour in zip(
        SIZES, "v^osD", ("#56B4E9", "#009E73", "#000000", "#E69F00", "#D55E00"), strict=True
    ):
        values = np.clip(relative[size][order], 0.5, None)
        axes.semilogy(range(len(order)), values, mark, color=colour, ms=5, label=f"{size:g}°")
    axes.axhline(30, color="0.5", lw=0.8, ls="--")
    axes.text(len(order) - 0.5, 32, "30 %", ha="right", fontsize=8)
    names = [PROVINCES[str(frame.index[k])][0] for k in order]
    axes.set_xticks(range(len(order)), names, rotation=60, ha="right", fontsize=8)
    axes.set_ylabel("sd of the total for want of places in cells, %")
    axes.legend(title="cell", fontsize=8, ncol=5, loc="upper right")
    axes.grid(axis="y", color="0.9")
    figure.savefig(folder / "compare_resolution.png", dpi=90)
    plt.close(figure)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--out", type=Path, default=ROOT / "docs")
    folder = parser.parse_args().out
    folder.mkdir(parents=True, exist_ok=True)
    europe(folder)
    resolution(folder)


if __name__ == "__main__":
    main()
