"""What the research notes ask of an inventory tool on real data, where no other test has it.

The rest of their list: balances against CEADs and their identities in test_account and test_balance, known anomalies in
test_sources, partition of regions in tests/obsnet/test_zonal, Approach 1 and 2 and key categories in test_uncertainty,
a planted error found and grey where nothing is seen in tests/obsnet/demo/test_calibration and scripts/walk_inventory.
"""

import numpy as np
import pandas as pd

from obsnet.inventory.sources.ceads import read_ceads_books
from obsnet.regions import provinces, read_regions
from obsnet.zonal import assign_points


def test_sectors_of_ceads_close_to_rounding(sample_data):
    data = read_ceads_books(sorted((sample_data / "inventory/ceads/provinces").glob("*.xlsx")))
    assert len(data.regions) == 450
    total = data.columns.index("scope 1 total")
    stated, summed = data.values[:, 0, total], data.values[:, 1:, total].sum(axis=1)
    assert np.abs(summed / stated - 1.0).max() < 1e-12


def test_plants_stand_in_the_right_province_after_snapping(sample_data):
    base = sample_data / "inventory"
    plants = pd.read_csv(base / "powerplants/wri_gppd_china_coal.csv").dropna(subset=["lat", "lon"])
    coarse = read_regions(base / "boundaries/ne_50m_china_provinces.geojson", "adcode")
    lat, lon = plants["lat"].to_numpy(float), plants["lon"].to_numpy(float)
    fine, _ = assign_points(lat, lon, provinces())
    found, distance = assign_points(lat, lon, coarse)
    capacity = plants["capacity_mw"].to_numpy(float)
    known = np.isfinite(capacity)
    same = found.astype(str) == fine.astype(str)
    assert (distance > 0).mean() > 0.05  # the coarse coast leaves out one plant in ten
    assert same.mean() > 0.99
    assert capacity[known & same].sum() / capacity[known].sum() > 0.99
