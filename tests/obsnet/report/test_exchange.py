"""A posterior in the layouts of others: read back the same, opened by fluxie, fluxes that keep their totals."""

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import xarray as xr

from obsnet.cf import flux_dataset, read_flux
from obsnet.constants import SECONDS_PER_YEAR, species
from obsnet.crosscheck.systems.estimate import mean_over
from obsnet.crosscheck.systems.options import ComparisonOptions
from obsnet.crosscheck.systems.own import read_own
from obsnet.crosscheck.systems.paris import read_paris
from obsnet.crosscheck.systems.run import compare_systems
from obsnet.errors import FormatError, RangeError, SchemaError
from obsnet.field import grid_of
from obsnet.grid import Grid
from obsnet.inventory.period import read_period
from obsnet.regions import PROVINCES
from obsnet.report.exchange.means import mean_fluxes, months_of, time_weights
from obsnet.report.exchange.monthly import one_degree, write_monthly
from obsnet.report.exchange.paris import paris_dataset, sector_names, write_paris
from obsnet.report.exchange.paris_inventory import inventory_name, write_paris_inventory
from tests.obsnet.test_cf import check_with_compliance_checker

GRID = Grid.regular(20.0, 24.0, 100.0, 105.0, 0.5, 0.5)
MONTHS = np.arange("2019-01", "2019-06", dtype="datetime64[M]").astype("datetime64[us]")
YEAR = np.array(["2019-01-01", "2020-01-01"], dtype="datetime64[us]")
SECTORS = ["fossil", "land use"]


def posterior(edges=MONTHS, times=None, regions=(*PROVINCES, "outside"), seed=0):
    """Return a posterior of the contract whose totals are drawn, with errors correlated in space, time and sector."""
    rng = np.random.default_rng(seed)
    times = edges if times is None else times
    shape = (len(times) - 1, len(SECTORS), *GRID.shape)
    flux, prior = rng.normal(1e-7, 2e-7, shape), rng.uniform(0.0, 2e-7, shape)
    data = flux_dataset(
        flux, GRID, times, substance="CO2", sectors=SECTORS, title="t", summary="s", source="made", license="none",
        uncertainty=rng.uniform(0.0, 1e-7, shape),
    )  # fmt: skip
    data["flux_prior"] = (data["flux"].dims, prior)
    data["flux_prior_uncertainty"] = (data["flux"].dims, 0.5 * prior)
    three = (len(SECTORS), len(regions), len(edges) - 1)
    count = int(np.prod(three))
    sector, region, period = (a.ravel() for a in np.indices(three))
    root = rng.normal(size=(count, 2 * count)) * 300.0
    data = data.assign_coords(sector=SECTORS, region=list(regions), period=edges[:-1])
    dims = ("sector", "region", "period")
    after = root @ root.T / (2 * count)
    before = 4.0 * np.diag(np.diagonal(after))
    data["region_total"] = (dims, rng.normal(1e5, 3e4, three))
    data["region_total_prior"] = (dims, rng.uniform(5e4, 2e5, three))
    data["region_total_uncertainty"] = (dims, np.sqrt(np.diagonal(after)).reshape(three))
    data["region_total_prior_uncertainty"] = (dims, np.sqrt(np.diagonal(before)).reshape(three))
    square = ("total", "total_2")
    for name, matrix in (("covariance", after), ("prior_covariance", before), ("test_covariance", after)):
        data[f"total_{name}"] = (square, matrix)
    data["total_averaging_kernel"] = (square, 0.5 * np.eye(count))
    data["total_sector"] = ("total", np.array(SECTORS, dtype=object)[sector])
    data["total_region"] = ("total", np.array(regions, dtype=object)[region])
    data["total_period"] = ("total", period)
    data["region_label"] = ("region", np.array(regions, dtype=object))
    data["period_bnds"] = (("period", "bnds"), np.stack([edges[:-1], edges[1:]], axis=1))
    data.attrs |= {"obsnet_contract": "posterior 1", "prior_name": "made", "regions_source": "none"}
    return data


@pytest.fixture(scope="module")
def data():
    return posterior()


@pytest.fixture(scope="module")
def ours(data, tmp_path_factory):
    path = tmp_path_factory.mktemp("own") / "posterior.nc"
    stored = data.assign_attrs(data.attrs)
    stored.to_netcdf(path, engine="netcdf4")
    return path


@pytest.fixture(scope="module")
def paris(data, tmp_path_factory):
    return write_paris(data, tmp_path_factory.mktemp("paris") / "paris.nc")


def test_one_sector_is_read_back(ours, paris):
    """Totals, deviations, covariances in space and time, the nation: all as our own reader has them."""
    other, own = read_paris(paris, "x", sector="fossil"), read_own(ours, "x", sector="fossil")
    assert other.regions == own.regions
    assert other.regions[-1] == "CHN"
    assert other.periods == own.periods
    assert (other.gas, other.notes) == (own.gas, ())
    np.testing.assert_allclose(other.total, own.total, rtol=1e-12)
    np.testing.assert_allclose(other.sd, own.sd, rtol=1e-10)
    np.testing.assert_allclose(other.joint, own.joint, rtol=1e-10, atol=1e-12 * own.joint.max())
    whole = [mean_over(e, read_period("2019-01/2019-04")) for e in (other, own)]
    np.testing.assert_allclose(whole[0].sd, whole[1].sd, rtol=1e-10)
    np.testing.assert_allclose(whole[0].covariance, whole[1].covariance, rtol=1e-9, atol=1e-12)


def test_errors_of_months_are_not_taken_as_independent(ours, paris):
    """Without the joint covariance, which the template does not have, a year would be too sure."""
    from dataclasses import replace

    other = read_paris(paris, "x", sector="fossil")
    template = mean_over(replace(other, joint=None), read_period("2019-01/2019-04"))
    joint = mean_over(other, read_period("2019-01/2019-04"))
    assert not np.allclose(template.sd, joint.sd, rtol=0.01)


def test_the_total_is_the_sum_of_sectors_with_its_covariance(data, paris):
    found = read_paris(paris, "x")
    kg = species("CO2").molar_mass * SECONDS_PER_YEAR * 1e-9
    total = kg * data["region_total"].sum("sector").sel(region=list(PROVINCES)).values.T
    np.testing.assert_allclose(found.total[:, :-1], total, rtol=1e-12)
    np.testing.assert_allclose(found.total[:, -1], total.sum(axis=1), rtol=1e-12)
    at = (data["total_region"].values == "110000") & (data["total_period"].values == 3)
    variance = kg**2 * data["total_covariance"].values[np.ix_(at, at)].sum()
    assert found.sd[3, found.regions.index("110000")] == pytest.approx(variance**0.5, rel=1e-10)


def test_compare_sees_no_difference(ours, paris):
    options = ComparisonOptions(
        systems=[f"own=own:{ours};sector=fossil;quantity=fossil", f"paris={paris};sector=fossil"],
        period=["2019-01/2019-04", "2019-03"],
        region=["China", "河北"],
    )
    found = compare_systems(options)
    assert len(found.spread) == 4
    assert (found.spread["systems"] == 2).all()
    np.testing.assert_allclose(found.spread["between_sd"] / found.spread["mean"].abs(), 0.0, atol=1e-9)
    pairs = found.systems.pivot(index=["region", "period"], columns="system", values="sd")
    np.testing.assert_allclose(pairs["own"], pairs["paris"], rtol=1e-9)


def test_the_file_follows_the_template_and_cf(paris, tmp_path):
    with xr.open_dataset(paris, engine="netcdf4") as data:
        for name in (
            "flux_total_prior", "flux_total_posterior", "stdev_flux_total_posterior", "flux_total_prior_country",
            "flux_total_posterior_country", "stdev_flux_total_posterior_country", "time_bnds", "cell_area",
            "flux_landuse_posterior_country", "covariance_flux_fossil_posterior_country",
        ):  # fmt: skip
            assert name in data
        assert data["flux_total_posterior_country"].attrs["units"] == "kg yr-1"
        assert data.attrs["frequency"] == "monthly"
        assert data.attrs["species"] == "co2"
        spread = data["stdev_flux_total_posterior_country"]
        diagonal = np.einsum("kaa->ka", data["covariance_flux_total_posterior_country"].values)
        np.testing.assert_allclose(diagonal, spread.values**2, rtol=1e-12)
    # one of its checks cannot do with names along a dimension, which the template has
    found, _ = check_with_compliance_checker(paris, "cf:1.8", tmp_path / "report.json")
    assert found["high_priorities"] == []
    assert all("recommended order T, Z, Y, X" in m for m in found["medium_priorities"])


def test_what_cannot_be_written_is_refused(data):
    with pytest.raises(FormatError, match="no total_covariance"):
        paris_dataset(data.drop_vars("total_covariance"))
    with pytest.raises(SchemaError, match="land 1, land 2 are not told apart"):
        sector_names(["land 1", "land 2"])
    with pytest.raises(SchemaError, match="'total'"):
        sector_names(["total", "fossil"])
    assert sector_names(["total"]) == {"total": ["total"]}


def test_a_prescribed_sector_is_said(data):
    exact = data["region_total_prior_uncertainty"].copy()
    exact.loc[{"sector": "land use"}] = 0.0
    made = paris_dataset(data.assign(region_total_prior_uncertainty=exact))
    assert "land use was prescribed" in made.attrs["comment"]


def verdicts():
    """Return a table of verdicts of two regions and the nation."""
    return pd.DataFrame(
        {
            "region": ["110000", "120000", "nation"],
            "kind": ["region", "region", "group"],
            "members": ["110000", "120000", " ".join(PROVINCES)],
            "gas": "CO2",
            "sector": "fossil",
            "inventory": [100.0, np.nan, 9000.0],
            "inventory_sd": [10.0, np.nan, 500.0],
            "inventory_period": "2019",
            "category": "total",
            "terminology": "CEADs",
            "inventory_source": "book",
        }
    )


def test_the_inventory_stands_under_its_sector(tmp_path):
    path = write_paris_inventory(verdicts(), SECTORS, tmp_path / "i.nc")
    with xr.open_dataset(path, engine="netcdf4") as data:
        values = data["flux_fossil_inventory_country"]
        assert values.sel(country=["110000", "CHN"]).values.ravel().tolist() == [1e11, 9e12]
        assert "flux_total_inventory_country" not in data  # of a sum of sectors it is no inventory
        assert json.loads(data.attrs["missing_data"]) == ["120000"]
    found, _ = check_with_compliance_checker(path, "cf:1.8", tmp_path / "report.json")
    assert found["high_priorities"] == []
    alone = write_paris_inventory(verdicts(), ["fossil"], tmp_path / "j.nc")
    with xr.open_dataset(alone, engine="netcdf4") as data:
        assert "flux_total_inventory_country" in data
    assert inventory_name(verdicts()) == "obsnet_inventory_co2_2019.nc"


def fluxie_python():
    """Return an interpreter with fluxie: ours, or the one named by OBSNET_FLUXIE_PYTHON."""
    for python in (os.environ.get("OBSNET_FLUXIE_PYTHON"), sys.executable):
        if python and subprocess.run([python, "-c", "import fluxie"], capture_output=True).returncode == 0:
            return python
    return None


def test_fluxie_plots_it_beside_the_inventory(tmp_path):
    """What fluxie draws is what we wrote: a province by its deviation, a sum of provinces by the covariance."""
    python = fluxie_python()
    if python is None:
        pytest.skip("fluxie is not installed; name an interpreter that has it in OBSNET_FLUXIE_PYTHON")
    data = posterior(YEAR)
    write_paris(data, tmp_path / "paris_co2_yearly.nc")
    write_paris_inventory(verdicts(), SECTORS, tmp_path / "inventory" / inventory_name(verdicts()))
    own = read_paris(tmp_path / "paris_co2_yearly.nc", "x", sector="fossil")
    net = read_paris(tmp_path / "paris_co2_yearly.nc", "x")
    script = Path(__file__).with_name("fluxie_plots.py")
    arguments = [
        str(tmp_path),
        "co2",
        "fossil",
        "110000",
        "110000-120000-130000",
        "2019",
        str(tmp_path / "p"),
    ]
    done = subprocess.run([python, str(script), *arguments], capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr
    rows = json.loads(done.stdout.split("RESULT")[1])
    drawn = {
        (r["type"], r["country"]): [float(r[k]) for k in ("mean_val", "min_unc", "max_unc")] for r in rows
    }
    at = own.regions.index("110000")
    mean, sd = own.total[0, at], own.sd[0, at]
    assert drawn["posterior", "110000"] == pytest.approx([mean, max(mean - sd, 0.0), mean + sd], rel=1e-9)
    assert drawn["inventory", "110000"][0] == pytest.approx(100.0)
    group = [net.regions.index(r) for r in ("110000", "120000", "130000")]
    mean, sd = net.total[0, group].sum(), net.covariance[0][np.ix_(group, group)].sum() ** 0.5
    assert drawn["posterior", "GROUP"] == pytest.approx([mean, max(mean - sd, 0.0), mean + sd], rel=1e-9)
    for name in ("110000", "GROUP"):
        assert (tmp_path / f"p_{name}.png").read_bytes().startswith(b"\x89PNG")


def test_months_are_those_of_the_periods():
    edges = np.array(["2019-01-28", "2019-01-31", "2019-02-03", "2019-02-06"], dtype="datetime64[us]")
    bounds = np.stack([edges[:-1], edges[1:]], axis=1)
    months = months_of(bounds)
    assert months.astype("datetime64[D]").astype(str).tolist() == [
        ["2019-01-28", "2019-02-01"],
        ["2019-02-01", "2019-02-06"],
    ]
    np.testing.assert_allclose(time_weights(bounds, months, "x"), [[0.75, 0.25, 0], [0, 0.4, 0.6]])
    with pytest.raises(RangeError, match="do not cover 2019-01-01T00:00 to 2019-02-01T00:00 once and whole"):
        time_weights(bounds, np.array([["2019-01-01", "2019-02-01"]], dtype="datetime64[us]"), "x")


@pytest.mark.parametrize("step", [3, 10, 31])
def test_monthly_fluxes_keep_their_totals(tmp_path, step):
    """Mass of the whole time, sector by sector, whatever the steps of the posterior; the file is sound CF."""
    days = np.arange("2019-01-05", "2019-04-01", step, dtype="datetime64[D]").astype("datetime64[us]")
    data = posterior(YEAR, times=days, regions=("110000", "outside"))
    path = write_monthly(data, tmp_path / "m.nc")
    made = read_flux(path)
    length = (made["time_bnds"][:, 1] - made["time_bnds"][:, 0]) / np.timedelta64(1, "s")
    mass = (made["flux"] * made["cell_area"] * length).sum(("time", "lat", "lon"))
    before = (data["time_bnds"][:, 1] - data["time_bnds"][:, 0]) / np.timedelta64(1, "s")
    expected = (data["flux"] * data["cell_area"] * before).sum(("time", "lat", "lon"))
    scale = float(np.abs(data["flux"] * data["cell_area"] * before).sum())
    np.testing.assert_allclose(mass, expected, rtol=0, atol=1e-11 * scale)
    assert set(np.diff(made["lat_bnds"]).ravel()) == {1.0}
    with xr.open_dataset(path, engine="netcdf4") as stored:
        assert "2019-01" in stored.attrs["months_in_part"]
        assert (stored["flux_uncertainty"] >= 0).all()
    found, broke = check_with_compliance_checker(path, "cf:1.11", tmp_path / "report.json")
    assert not broke
    assert found["high_priorities"] == []
    assert all(
        "recommended order T, Z, Y, X" in m for m in found["medium_priorities"]
    )  # as the contract has it


@pytest.mark.parametrize("common", [0.0, 0.5, 1.0])
def test_deviations_are_never_too_small(common):
    """Errors of a common correlation: the true deviation of a mean over months and sectors is below what is stated."""
    data = posterior(YEAR, times=MONTHS, regions=("110000", "outside"))
    bounds = data["time_bnds"].values.astype("datetime64[us]")
    wanted = np.array([[bounds[0, 0], bounds[-1, 1]]])
    stated = mean_fluxes(data, wanted, "x", sectors=False)["flux_uncertainty"][0]
    weight = (bounds[:, 1] - bounds[:, 0]) / (wanted[0, 1] - wanted[0, 0])
    parts = weight[:, None, None, None] * data["flux_uncertainty"].values
    true = np.sqrt((1 - common) * (parts**2).sum(axis=(0, 1)) + common * parts.sum(axis=(0, 1)) ** 2)
    assert (true <= stated * (1 + 1e-12)).all()
    if common == 1.0:
        np.testing.assert_allclose(true, stated, rtol=1e-12)


def test_one_degree_covers_the_grid():
    grid = one_degree(Grid.regular(17.5, 54.0, 73.25, 135.5, 0.25, 0.25))
    assert grid.bounds == (17.0, 54.0, 73.0, 136.0)
    assert grid_of(posterior(YEAR, regions=("110000", "outside"))).bounds == GRID.bounds
