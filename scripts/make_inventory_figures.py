"""Make the picture of docs/inventory.md from the sample data.

    python scripts/make_inventory_figures.py                  # writes docs/inventory.png
    python scripts/make_inventory_figures.py --out somewhere

Four panels: what one real balance becomes, twenty-five provinces against CEADs, breaks and zeroes of fifteen years,
and the gridded prior of one province. The numbers are printed too.
"""

from __future__ import annotations

import argparse
import os
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.colors import LogNorm

from obsnet.grid import Grid
from obsnet.inventory.account.categories import category_name
from obsnet.inventory.account.compile import compile_inventory
from obsnet.inventory.balance.read import read_balance
from obsnet.inventory.factors.choose import FactorBook
from obsnet.inventory.prior.build import gridded_prior
from obsnet.inventory.prior.plants import place_plants, read_plants
from obsnet.inventory.prior.totals import sector_totals
from obsnet.inventory.sources.ceads import read_ceads, read_ceads_books
from obsnet.inventory.sources.quality import flag_series
from obsnet.regions import PROVINCES, provinces

ROOT = Path(__file__).resolve().parents[1]
DATA = Path(os.environ.get("OBSNET_SAMPLE_DATA", ROOT.parent / "shared" / "data")) / "inventory"
HEBEI = "130000"


def one_province(axis):
    """Draw the inventory of Hebei 2007 with twice its standard deviations."""
    balance = read_balance(DATA / "energy_balance_2007/3.xls")
    made = compile_inventory([balance], FactorBook(), activity_sd=0.05, factor_sd=0.05)
    rows = made.inventory[made.inventory["category"] != "total"].iloc[::-1]
    names = [category_name(c, "IPCC2006") for c in rows["category"]]
    axis.barh(
        names,
        rows["value"],
        xerr=1.96 * rows["uncertainty"] * rows["value"],
        color="#4477aa",
        ecolor="0.3",
        capsize=2,
    )
    total = made.inventory.set_index("category").loc["total"]
    axis.set_title(f"Hebei 2007: {total['value']:.0f} Mt ± {196 * total['uncertainty']:.0f} %")
    axis.set_xlabel("Mt CO2, bars of 95 %")
    print(f"Hebei 2007: {total['value']:.3f} Mt, sd {total['uncertainty']:.3f}")
    return made


def against_ceads(axis):
    """Draw combustion of 25 provinces against CEADs."""
    book = FactorBook()
    data = read_ceads(next((DATA / "ceads/provinces").glob("*2007.xlsx")))
    total = data.series().loc[2007] - data.series(column="process").loc[2007]
    ours, theirs, names = [], [], []
    for number in range(1, 26):
        balance = read_balance(DATA / f"energy_balance_2007/{number}.xls")
        made = compile_inventory([balance], book).inventory.set_index("category")
        ours.append(made.at["total", "value"])
        theirs.append(total[balance.region])
        names.append(PROVINCES[balance.region][0])
    off = 100 * (np.array(ours) / np.array(theirs) - 1)
    order = np.argsort(off)
    axis.barh(np.arange(25), off[order][::-1], color="#4477aa")
    axis.set_yticks(np.arange(25), [names[k] for k in order[::-1]], fontsize=8)
    axis.set_ylim(-0.7, 24.7)
    axis.axvline(0, color="0.3", lw=0.8)
    axis.set_xlabel("combustion less CEADs, %")
    nation = 100 * (sum(ours) / sum(theirs) - 1)
    axis.set_title(f"25 balances of 2007 against CEADs: sum {nation:+.2f} %")
    print(f"25 provinces: {nation:+.3f} %, {off.min():+.2f} to {off.max():+.2f} %")


def breaks(axis):
    """Draw process emissions of all provinces with what is flagged."""
    data = read_ceads_books(sorted((DATA / "ceads/provinces").glob("*.xlsx")))
    process, total = data.series(column="process"), data.series()
    found = flag_series(process, "process", minor=total)
    shown = process.clip(lower=1e-3)
    axis.semilogy(shown.index, shown.to_numpy(), color="0.8", lw=0.8)
    for kind, colour, mark in (
        ("zero", "#ee6677", "o"),
        ("break", "#4477aa", "s"),
        ("spike", "#aa3377", "^"),
    ):
        rows = found[found["kind"] == kind]
        values = [shown.at[r["period"], r["region"]] for r in rows.to_dict("records")]
        axis.scatter(
            rows["period"], values, color=colour, marker=mark, s=30, zorder=3, label=f"{kind} ({len(rows)})"
        )
        for year, low in {
            (r["period"], round(v, 3)) for r, v in zip(rows.to_dict("records"), values, strict=True)
        }:
            here = [
                r["region"]
                for r, v in zip(rows.to_dict("records"), values, strict=True)
                if (r["period"], round(v, 3)) == (year, low)
            ]
            text = ", ".join(PROVINCES[r][0] for r in here)
            axis.annotate(
                text,
                (year, low),
                fontsize=8,
                xytext=(-6, -3),
                textcoords="offset points",
                ha="right",
                bbox={"facecolor": "white", "edgecolor": "none", "alpha": 0.8, "pad": 0.5},
            )
    axis.set_xticks(range(2005, 2020, 2))
    axis.legend(fontsize=8, loc="lower left")
    axis.set_ylabel("process emissions of 30 provinces, Mt CO2 (0 at 0.001)")
    axis.set_title(f"CEADs 2005-2019: {len(found)} of {found.attrs['changes']} changes flagged")
    print(found.to_string())


def gridded(axis, made):
    """Draw the prior of Hebei: plants at their places, the rest even."""
    regions = provinces()
    totals, _ = sector_totals(made.inventory)
    frame, is_mass, _ = read_plants(DATA / "powerplants/wri_gppd_China_raw.csv", fuels=["Coal"])
    plants = place_plants(frame, is_mass, regions)
    grid = Grid.regular(35.5, 43.0, 113.0, 120.5, 0.1, 0.1)
    prior = gridded_prior(totals, regions, grid, plants=plants)
    area = prior.by_area()[:, prior.labels.index(HEBEI)].sum() / prior.totals.sum() - 1
    flux = prior.flux().sum(axis=0) * 1e6
    picture = axis.pcolormesh(
        grid.lon_edges,
        grid.lat_edges,
        np.where(flux > 0, flux, np.nan),
        norm=LogNorm(0.1, 100),
        cmap="viridis",
    )
    # Cells on the border hold little of the province's even part.
    regions.boundary.plot(ax=axis, color="0.4", lw=0.6)
    axis.set_xlim(113, 120.5)
    axis.set_ylim(35.5, 43)
    axis.set_aspect(1.3)
    axis.set_xlabel("°E")
    axis.set_ylabel("°N")
    plt.colorbar(picture, ax=axis, label="µmol m⁻² s⁻¹", shrink=0.8)
    axis.set_title(f"prior of Hebei, 0.1°; added up by area {100 * area:+.1f} %")
    placed = sum(float(a[[prior.labels.index(HEBEI)]].sum()) for a in prior.amounts) / prior.totals.sum() - 1
    print(f"prior: mass kept to {abs(placed):.1e}, by area {100 * area:+.2f} %")


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--out", type=Path, default=ROOT / "docs")
    arguments = parser.parse_args()
    plt.rcParams |= {"font.size": 9, "axes.titlesize": 10}
    figure, axes = plt.subplots(2, 2, figsize=(11, 9.5), layout="constrained")
    made = one_province(axes[0, 0])
    against_ceads(axes[0, 1])
    breaks(axes[1, 0])
    gridded(axes[1, 1], made)
    arguments.out.mkdir(parents=True, exist_ok=True)
    target = arguments.out / "inventory.png"
    figure.savefig(target, dpi=90)
    print(f"{target}: {target.stat().st_size / 1024:.0f} kB")


if __name__ == "__main__":
    main()
