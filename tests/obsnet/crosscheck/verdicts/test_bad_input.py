"""What people hand in: each bad input is one clear line, each strange one is taken for what it is."""

import geopandas as gpd
import numpy as np
import pytest
import xarray as xr
from shapely.geometry import box

from obsnet.commands.compare import compare as systems
from obsnet.commands.crosscheck import crosscheck
from obsnet.commands.report import report
from obsnet.crosscheck.verdicts.table import compare, read_totals
from obsnet.errors import ConfigError, FormatError, RegionError
from obsnet.grid import Grid
from obsnet.zonal import zonal_weights
from tests.commands import call
from tests.obsnet.crosscheck.systems.made import MIDDLE, flux_file
from tests.obsnet.crosscheck.verdicts.test_table import REGIONS, inventory, posterior

NASTY = "<script>alert(1)</script> $\\frac{"


def changed(tmp_path, **variables):
    data = xr.load_dataset(posterior(tmp_path / "p.nc"), engine="netcdf4")
    for name, values in variables.items():
        data = data.drop_vars(name) if values is None else data.assign({name: (data[name].dims, values)})
    data.to_netcdf(tmp_path / "q.nc")
    return tmp_path / "q.nc"


def test_a_posterior_without_kernel(tmp_path):
    path = changed(tmp_path, total_averaging_kernel=None)
    with pytest.raises(FormatError, match="q.nc: a posterior without total_averaging_kernel: what"):
        read_totals(path)


@pytest.mark.parametrize("name", ["total_covariance", "total_test_covariance", "total_prior_covariance"])
def test_a_covariance_that_is_none(tmp_path, name):
    """Errors correlated by 1.2; a triangle only; a hole."""
    wrong = np.array([[1.0, 1.2, 0], [1.2, 1.0, 0], [0, 0, 1.0]])
    with pytest.raises(FormatError, match=f"{name} is not positive semi-definite .least eigenvalue -"):
        read_totals(changed(tmp_path, **{name: wrong}))
    with pytest.raises(FormatError, match=f"{name} is not symmetric"):
        read_totals(changed(tmp_path, **{name: np.array([[1.0, 0.5, 0], [0, 1, 0], [0, 0, 1]])}))
    with pytest.raises(FormatError, match=f"{name} has values that are not finite"):
        read_totals(changed(tmp_path, **{name: np.diag([1.0, np.nan, 1.0])}))


@pytest.mark.parametrize("name", ["total_covariance", "total_test_covariance", "total_prior_covariance"])
def test_a_small_regions_negative_variance_does_not_hide_behind_a_large_one(tmp_path, name):
    """A millionth of the largest entry is nothing to the matrix and everything to the region."""
    small = np.diag([-1e-7, 1.0, 1e-6])
    with pytest.raises(FormatError, match=f"{name} is not positive semi-definite .*smallest variance -"):
        read_totals(changed(tmp_path, **{name: small}))
    pair = np.array([[1e-7, 2e-7, 0], [2e-7, 1e-7, 0], [0, 0, 1.0]])
    with pytest.raises(FormatError, match=f"{name} is not positive semi-definite .*-1 as correlations"):
        read_totals(changed(tmp_path, **{name: pair}))


def test_a_kernel_is_read_by_the_names_of_its_dimensions(tmp_path):
    """Rows are what is estimated; a file that was turned says the same, and a kernel of another shape nothing."""
    kernel = np.array([[0.9, 0.3, 0.0], [0.0, 0.5, 0.0], [0.0, 0.0, 0.9]])
    data = xr.load_dataset(posterior(tmp_path / "p.nc"), engine="netcdf4")
    found = []
    for dims, values in ((("total", "total_2"), kernel), (("total_2", "total"), kernel.T)):
        data.assign(total_averaging_kernel=(dims, values)).to_netcdf(tmp_path / "q.nc")
        found.append(read_totals(tmp_path / "q.nc").averaging_kernel)
    np.testing.assert_array_equal(found, [kernel, kernel])
    data.assign(total_averaging_kernel=(("region", "other"), np.eye(3)[:, :2])).to_netcdf(tmp_path / "q.nc")
    with pytest.raises(
        FormatError, match=r"kernel has dimensions region \(3\), other \(2\); total and total_2"
    ):
        read_totals(tmp_path / "q.nc")


def test_totals_that_are_missing_or_of_two_regions_of_one_name(tmp_path):
    with pytest.raises(FormatError, match="region_total_prior has values that are not finite"):
        read_totals(changed(tmp_path, region_total_prior=np.full((1, 3, 1), np.nan)))
    twice = xr.load_dataset(posterior(tmp_path / "p.nc"), engine="netcdf4")
    names = [REGIONS[0], REGIONS[0], REGIONS[2]]
    twice.assign_coords(region=names).assign(total_region=("total", names)).to_netcdf(tmp_path / "q.nc")
    with pytest.raises(FormatError, match="region 110000 stands twice"):
        read_totals(tmp_path / "q.nc")


def test_rounding_is_no_fault(tmp_path):
    """Wholly correlated errors in single precision have eigenvalues a little below zero."""
    root = np.array([3.0, 1.0, 7.0]) / 3.0
    single = np.outer(root, root).astype(np.float32).astype(float)
    assert np.linalg.eigvalsh(single)[0] < 0
    sd = root.reshape(1, 3, 1)
    read_totals(changed(tmp_path, total_covariance=single, region_total_uncertainty=sd))


@pytest.mark.parametrize(
    ("name", "stated"),
    [
        ("total_covariance", "region_total_uncertainty"),
        ("total_prior_covariance", "region_total_prior_uncertainty"),
    ],
)
def test_two_statements_of_one_deviation_that_disagree(tmp_path, name, stated):
    """Rounded to three digits they are one; 5 % apart, of the smallest region only, they are two."""
    true = np.array([100.0, 200.0, 1.0])
    for sd, good in (([100.4, 199.2, 1.0], True), ([100.0, 200.0, 1.05], False)):
        path = changed(tmp_path, **{name: np.diag(true**2), stated: np.reshape(sd, (1, 3, 1))})
        if good:
            read_totals(path)
        else:
            with pytest.raises(FormatError, match=f"{name} and {stated} disagree: of region outside"):
                read_totals(path)


def test_a_year_that_is_not_the_inversions(tmp_path):
    totals = read_totals(posterior(tmp_path / "p.nc"))
    with pytest.raises(ConfigError, match="inventory is of 2015, the inversion of 2019: .* --other-year"):
        compare(totals, inventory(period="2015"))


def test_polygons_that_overlap():
    frame = gpd.GeoDataFrame(
        index=["a", "b"], geometry=[box(100, 30, 110, 40), box(105, 30, 115, 40)], crs="EPSG:4326"
    )
    with pytest.raises(RegionError, match="overlap"):
        zonal_weights(frame, Grid.regular(25, 45, 95, 120, 1, 1), cache=False)


def test_through_the_commands(tmp_path):
    """What readers and functions refuse the commands refuse too: one line, and no output."""
    good, inv = posterior(tmp_path / "g.nc"), tmp_path / "inventory.csv"
    inventory().to_csv(inv, index=False)
    with pytest.raises(FormatError, match="a posterior without total_averaging_kernel"):
        call(crosscheck, changed(tmp_path, total_averaging_kernel=None), inv, "--out", tmp_path / "out")
    inventory(period="2015").to_csv(inv, index=False)
    with pytest.raises(ConfigError, match="inventory is of 2015, the inversion of 2019"):
        call(crosscheck, good, inv, "--out", tmp_path / "out")
    boxes = [box(100, 30, 110, 40), box(105, 30, 115, 40)]
    areas = gpd.GeoDataFrame({"name": ["a", "b"]}, geometry=boxes, crs="EPSG:4326")
    areas.to_file(tmp_path / "areas.geojson")
    lat, lon = np.arange(25.5, 45), np.arange(95.5, 120)
    flux = flux_file(tmp_path / "f.nc", np.ones((1, lat.size, lon.size)), lat, lon, MIDDLE[:1])
    polygons = ("--regions", tmp_path / "areas.geojson", "--key", "name", "--out", tmp_path / "out")
    with pytest.raises(RegionError, match="overlap"):
        call(systems, f"f=grid:{flux};gas=CO2;period=2023", *polygons)
    assert not (tmp_path / "out").exists()


def test_a_region_named_like_a_script(tmp_path):
    """Its name is drawn and written letter for letter, through both commands."""
    path = tmp_path / "posterior.nc"
    data = xr.load_dataset(posterior(tmp_path / "p.nc"), engine="netcdf4")
    keys = [NASTY, *REGIONS[1:]]
    names = np.array([NASTY, "Tianjin", "outside"])
    grid = Grid.regular(20, 50, 80, 130, 10, 10)
    flux = xr.DataArray(
        np.full((1, 1, *grid.shape), 1e-7), dims=("time", "sector", "lat", "lon"), attrs={"substance": "CO2"}
    )
    data = data.drop_vars("flux").assign_coords(region=keys)
    data["total_region"] = ("total", keys)
    data["region_label"] = ("region", names)
    data = data.assign(flux=flux, flux_prior=flux, time_bnds=(("time", "bnds"), data["period_bnds"].values))
    data = data.assign_coords(
        lat=grid.lat,
        lon=grid.lon % 360.0,  # and longitudes from 0 to 360
        time=data["period"].values,
    )
    data["lon"].attrs["units"], data["lat"].attrs["units"] = "degrees_east", "degrees_north"
    data.attrs |= dict.fromkeys(("solver", "solver_state", "observations_counts"), "x") | dict.fromkeys(
        ("n_state", "n_state_unobserved", "degrees_of_freedom_for_signal"), 1
    )
    data.to_netcdf(path)
    inventory(region=[NASTY, "120000"]).to_csv(tmp_path / "inventory.csv", index=False)
    call(crosscheck, path, tmp_path / "inventory.csv")
    for language in ("en", "zh"):
        call(report, tmp_path, "--language", language)
        page = (tmp_path / "report.html").read_text(encoding="utf-8")
        assert "<script>alert" not in page
        assert page.count("<script") == 1  # the page's own, which its policy names by hash
        assert page.count("&lt;script&gt;alert(1)") >= 3
