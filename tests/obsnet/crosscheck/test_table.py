"""From a posterior file and an inventory to one row a region."""

import numpy as np
import pandas as pd
import pytest
import xarray as xr

from obsnet.commands.crosscheck_stage import CrosscheckOptions, crosscheck_files
from obsnet.constants import SECONDS_PER_YEAR
from obsnet.crosscheck.table import compare, read_totals
from obsnet.errors import ConfigError, FormatError, RegionError

MT = 0.0440095 * SECONDS_PER_YEAR * 1e-9  # Mt a year of one mol s-1 of CO2
REGIONS = ["110000", "120000", "outside"]


def posterior(path, sectors=("fossil",), response=0.9, sd=5.0, periods=1):
    """Write a posterior file of the contract with totals of 100, 200 and 10 Mt."""
    n = len(REGIONS)
    shape = (len(sectors), n, periods)
    size = int(np.prod(shape))
    base = np.array([100.0, 200.0, 10.0]) / MT
    prior = np.broadcast_to(base[None, :, None], shape)
    sector, region, period = (a.ravel() for a in np.indices(shape))
    square = ("total", "total_2")
    three = ("sector", "region", "period")
    edges = np.datetime64("2019-01-01", "ns") + np.arange(periods + 1) * np.timedelta64(30, "D")
    data = xr.Dataset(
        {
            "region_total": (three, prior * 1.1),
            "region_total_uncertainty": (three, np.full(shape, sd / MT)),
            "region_total_prior": (three, prior),
            "region_total_prior_uncertainty": (three, 0.3 * prior),
            "total_averaging_kernel": (square, response * np.eye(size)),
            "total_test_covariance": (square, (sd / MT) ** 2 * np.eye(size)),
            "total_prior_covariance": (square, np.diag((0.3 * prior.ravel()) ** 2)),
            "region_label": ("region", ["Beijing", "Tianjin", "outside"]),
            "period_bnds": (("period", "bnds"), np.stack([edges[:-1], edges[1:]], 1)),
            "flux": ((), 0.0, {"substance": "CO2"}),
        },
        coords={
            "sector": list(sectors),
            "region": REGIONS,
            "period": edges[:-1],
            "total_sector": ("total", np.array(sectors)[sector]),
            "total_region": ("total", np.array(REGIONS)[region]),
            "total_period": ("total", period),
        },
        attrs={"obsnet_contract": "posterior 1", "prior_name": "test"},
    )
    data.to_netcdf(path)
    return path


def inventory(**changes):
    base = {
        "region": ["110000", "120000"],
        "period": ["2019", "2019"],
        "gas": ["CO2", "CO2"],
        "category": ["total", "total"],
        "value": [100.0, 100.0],
        "unit": ["Mt", "Mt"],
        "uncertainty": [0.05, 0.05],
    }
    return pd.DataFrame(base | changes)


@pytest.fixture
def file(tmp_path):
    return posterior(tmp_path / "posterior.nc")


def test_totals_in_megatonnes(file):
    totals = read_totals(file)
    np.testing.assert_allclose(totals.prior, [100, 200, 10])
    np.testing.assert_allclose(totals.posterior, [110, 220, 11])
    np.testing.assert_allclose(np.sqrt(np.diag(totals.noise_covariance)), 5.0)
    np.testing.assert_allclose(np.sqrt(np.diag(totals.prior_covariance)), [30, 60, 3])
    assert totals.names["110000"] == "Beijing"
    assert totals.start == np.datetime64("2019-01-01")


def test_compare(file):
    table = compare(read_totals(file), inventory()).set_index("region")
    assert list(table.index) == ["110000", "120000"]
    # Beijing: d = 10, inventory equals prior; Tianjin: d = 20 + 0.9 * 100
    np.testing.assert_allclose(table["difference"], [10.0, 110.0], atol=1e-6)
    np.testing.assert_allclose(table["difference_sd"], np.hypot(5.0, 0.9 * 5.0))
    assert table["verdict"].tolist() == ["consistent", "inconsistent"]
    assert [n[:2] for n in table["name_zh"]] == ["北京", "天津"]


def test_units_do_not_matter(file):
    totals = read_totals(file)
    one = compare(totals, inventory())
    other = compare(totals, inventory(value=[10000.0, 10000.0], unit=["万吨", "万吨"]))
    np.testing.assert_allclose(one["p_value"], other["p_value"])


def test_carbon_is_not_carbon_dioxide(file):
    totals = read_totals(file)
    carbon = compare(totals, inventory(gas=["C", "C"], value=[100 * 12.0107 / 44.0095] * 2))
    np.testing.assert_allclose(carbon["inventory"], 100.0)


def test_a_region_without_an_inventory(file):
    rows = inventory().iloc[:1]
    table = compare(read_totals(file), rows)
    assert table["verdict"].tolist()[1] == "not testable"
    assert table["reason"].tolist()[1] == "no inventory"
    assert np.isnan(table["inventory"].iloc[1])


@pytest.mark.parametrize(
    ("changes", "error", "text"),
    [
        ({"uncertainty": [np.nan, 0.05]}, ConfigError, "states no uncertainty for 110000"),
        ({"gas": ["CH4", "CH4"]}, ConfigError, "no row for CO2; it has CH4"),
        (
            {"region": ["110000", "120001"]},
            RegionError,
            "'120001' is not in the inversion; nearest: '120000'",
        ),
        ({"category": ["energy", "waste"]}, ConfigError, "no row 'total'"),
        ({"period": ["2018", "2019"]}, ConfigError, "choose a year: 2018, 2019"),
    ],
)
def test_inventories_that_cannot_be_compared(file, changes, error, text):
    with pytest.raises(error, match=text):
        compare(read_totals(file), inventory(**changes))


def test_one_uncertainty_for_all(file):
    table = compare(read_totals(file), inventory(uncertainty=[np.nan, 0.05]), uncertainty=0.2)
    np.testing.assert_allclose(table["inventory_sd"], [20.0, 5.0])


def test_choices(tmp_path):
    path = posterior(tmp_path / "p.nc", sectors=("fossil", "land"), periods=2)
    with pytest.raises(ConfigError, match="choose a sector: fossil, land"):
        read_totals(path)
    with pytest.raises(ConfigError, match="choose a period: 0, 1"):
        read_totals(path, "fossil")
    with pytest.raises(ConfigError, match="no sector 'fosil'; nearest: 'fossil'"):
        read_totals(path, "fosil", 0)
    totals = read_totals(path, "land", 1)
    assert totals.averaging_kernel.shape == (3, 3)
    assert totals.start == np.datetime64("2019-01-31")


def test_files_that_are_no_posterior(tmp_path):
    (tmp_path / "x.nc").write_text("hello")
    with pytest.raises(FormatError, match="cannot be read as netCDF"):
        read_totals(tmp_path / "x.nc")
    xr.Dataset({"a": 1}).to_netcdf(tmp_path / "y.nc")
    with pytest.raises(FormatError, match="not a posterior file; make one with `obsnet invert`"):
        read_totals(tmp_path / "y.nc")


def test_written_table_reads_back(file, tmp_path):
    source = tmp_path / "inventory.csv"
    inventory().to_csv(source, index=False)
    out = tmp_path / "out" / "provinces.csv"
    table = crosscheck_files(file, source, CrosscheckOptions(inventory="x"), out)
    back = pd.read_csv(out, dtype={"region": str})
    np.testing.assert_allclose(back["difference"], table["difference"], rtol=1e-5)
    assert back["verdict"].tolist() == table["verdict"].tolist()
