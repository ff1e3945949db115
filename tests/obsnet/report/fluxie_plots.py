"""Run by an interpreter that has fluxie: open our files, plot regions beside their inventory, print the numbers."""

import json
import sys

import matplotlib as mpl

mpl.use("Agg")

from fluxie.io import read_model_output
from fluxie.operators.select import slice_flux
from fluxie.plots.flux_timeseries import plot_country_flux

folder, species, sector, region, group, year, picture = sys.argv[1:]
SPECIES = {"molar_mass": 44.0095, "species_print": species.upper(), "gwp": 1}
config = {
    "species_info": {species: SPECIES},
    "regions_info": {"country_codes": {}, "regions": {"GROUP": group}},
}
data = read_model_output(
    folder,
    "flux",
    species,
    ["obsnet"],
    config,
    "yearly",
    model_filepath_dict={"obsnet": {"model_dir": ".", "species_dir": ".", "model_name": "paris"}},
)
scaled = slice_flux(data, config, "2000-01-01", "2100-01-01", species, country_flux_units_print="Tg yr-1")
columns = ["type", "country", "mean_val", "min_unc", "max_unc"]
rows = []
for name, what in ((region, sector), ("GROUP", "total")):  # of groups it has the covariance of "total" alone
    tested = what == sector
    figure, plotted = plot_country_flux(
        scaled,
        species,
        [name],
        config,
        model_colors={"obsnet": ["blue", "skyblue"]},
        model_labels={"obsnet": "obsnet"},
        start_date="2000-01-01",
        end_date="2100-01-01",
        plot_inventory=tested,
        plot_inventory_uncertainty=tested,
        inventory_years=[year],
        inventory_filename="obsnet_inventory",
        data_dir=folder,
        sector=what,
        return_res=True,
    )
    figure.savefig(f"{picture}_{name}.png")
    rows += plotted[columns].astype(str).to_dict("records")
print("RESULT", json.dumps(rows))
