"""Gridded posteriors: totals by the splitting of cells, what their deviations allow, what a grid cannot resolve."""

import geopandas
import numpy as np
import pytest
import xarray as xr
from shapely.geometry import box

from obsnet.constants import SECONDS_PER_YEAR
from obsnet.crosscheck.systems.estimate import mean_over
from obsnet.crosscheck.systems.grids import read_grids
from obsnet.crosscheck.systems.layouts import LAYOUTS
from obsnet.crosscheck.systems.options import read_word
from obsnet.errors import ConfigError, FormatError, RangeError, RegionError, UnitError
from obsnet.grid import Grid
from obsnet.inventory.period import read_period
from obsnet.regions import provinces
from tests.obsnet.crosscheck.systems.made import MIDDLE, MONTHS, flux_file

LAT, LON = np.arange(30.5, 40), np.arange(100.5, 110)  # 10 x 10 cells of a degree, all on land
TG = 0.0440095 * SECONDS_PER_YEAR * 1e-9


def regions(**boxes):
    boxes = boxes or {"west": box(101, 31, 104.5, 39), "east": box(104.5, 31, 109, 39)}
    return geopandas.GeoDataFrame(geometry=list(boxes.values()), index=list(boxes), crs="EPSG:4326")


def field(seed=0):
    return np.exp(np.random.default_rng(seed).normal(0, 0.5, (12, LAT.size, LON.size))) * 1e-7


def read(path, more="", frame=None, preset="grid"):
    word = f"a={preset}:{path};time_is=middle{more}" + (";gas=CO2" if preset == "grid" else "")
    return read_grids(read_word(word), regions() if frame is None else frame)[0]


def test_totals_add_up_and_half_a_cell_is_half_of_it(tmp_path):
    flux = field()
    found = read(flux_file(tmp_path / "a.nc", flux, LAT, LON))
    area = Grid.from_centres(LAT, LON).cell_area
    weight = np.zeros((LAT.size, LON.size))
    weight[1:9, 1:4], weight[1:9, 4] = 1.0, 0.5
    np.testing.assert_allclose(found.total[:, 0], TG * (flux * weight * area).sum(axis=(1, 2)), rtol=1e-6)
    assert np.isnan(found.sd).all()
    assert "states no deviation" in found.notes
    days = np.array([31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31])
    np.testing.assert_allclose(mean_over(found, read_period("2023")).total, days @ found.total / 365)


@pytest.mark.parametrize(
    ("lat", "lon"),
    [(LAT[::-1], LON), (LAT, LON + 360), (LAT, LON - 360), (LAT[::-1], np.r_[LON[:5], LON[5:] - 360])],
)
def test_any_order_and_convention_of_longitudes(tmp_path, lat, lon):
    flux = field()
    right = read(flux_file(tmp_path / "a.nc", flux, LAT, LON)).total
    turned = flux[:, ::-1] if lat[0] > lat[-1] else flux
    np.testing.assert_allclose(read(flux_file(tmp_path / "b.nc", turned, lat, lon)).total, right, rtol=1e-9)


def test_an_ensemble_knows_its_error_in_space_and_time(tmp_path):
    rng = np.random.default_rng(1)
    common = 1 + 0.1 * rng.standard_normal((40, 1, 1, 1))
    members = field() * common
    path = flux_file(tmp_path / "a.nc", members, LAT, LON, dims=("member", "time", "lat", "lon"))
    found = read(path, ";members=member")
    mean = mean_over(found, read_period("2023"))
    # one factor for all cells and months: it does not average out
    np.testing.assert_allclose(mean.sd / mean.total, np.std(common, ddof=1) / np.mean(common), rtol=1e-6)
    r = mean.covariance[0, 1] / np.prod(mean.sd)
    assert r == pytest.approx(1.0)
    with pytest.raises(FormatError, match="no dimension 'ensemble'"):
        read(path, ";members=ensemble")


def test_deviations_of_cells_are_not_those_of_regions_until_said(tmp_path):
    flux = field()
    path = flux_file(tmp_path / "a.nc", flux, LAT, LON, sd=(0.2 * flux, ("time", "lat", "lon")))
    how = ";variables=flux;spread=sd"
    assert np.isnan(read(path, how).sd).all()
    assert "not how they hang together" in read(path, how).notes[-1]
    common, alone = read(path, how + ";cells=common"), read(path, how + ";cells=independent")
    np.testing.assert_allclose(common.sd, 0.2 * common.total, rtol=1e-6)
    assert (alone.sd < 0.3 * common.sd).all()
    for one in (common, alone):  # all of them together too
        np.testing.assert_allclose(np.diagonal(one.covariance, axis1=1, axis2=2), one.sd**2)
    np.testing.assert_allclose(common.covariance.sum(axis=(1, 2)), common.sd.sum(axis=1) ** 2)
    with pytest.raises(ConfigError, match="cells"):
        read(path, how + ";cells=none")
    other = xr.load_dataset(path, engine="netcdf4")
    other["sd"] = (1e6 * other["sd"]).assign_attrs(units="umol m-2 s-1")
    other.to_netcdf(tmp_path / "b.nc")
    np.testing.assert_allclose(read(tmp_path / "b.nc", how + ";cells=common").sd, common.sd, rtol=1e-6)
    other.rename(sd="flux_uncertainty").to_netcdf(tmp_path / "c.nc")
    with_own = read(tmp_path / "c.nc", ";variables=flux;cells=common")
    np.testing.assert_allclose(with_own.sd, common.sd, rtol=1e-6)
    for text, good in (("standard deviation (square root of the variance)", True), ("variance", False)):
        other["sd"].attrs["long_name"] = text
        other.to_netcdf(tmp_path / "e.nc")
        other.rename(sd="flux_uncertainty").to_netcdf(tmp_path / "f.nc")
        for name, said in (("e.nc", how), ("f.nc", ";variables=flux")):
            if good:
                found = read(tmp_path / name, said + ";cells=common")
                np.testing.assert_allclose(found.sd, common.sd, rtol=1e-6)
                continue
            with pytest.raises(RangeError, match="says of itself 'variance'"):
                read(tmp_path / name, said + ";cells=common")
    for worst, text in ((-1e-9, "goes down to"), (np.inf, "the standard deviation of .* is inf")):
        bad = other.assign(sd=other["sd"].copy())
        bad["sd"].attrs.pop("long_name")
        bad["sd"][0, 4, 4] = worst
        bad.to_netcdf(tmp_path / "g.nc")
        bad.rename(sd="flux_uncertainty").to_netcdf(tmp_path / "h.nc")
        for name, said in (("g.nc", how), ("h.nc", ";variables=flux")):
            with pytest.raises(RangeError, match=text):
                read(tmp_path / name, said + ";cells=common")
    other["sd"].attrs = {"units": "percent"}
    other.to_netcdf(tmp_path / "d.nc")
    with pytest.raises(
        UnitError, match=r"sd is in 'percent', and what it is the deviation of in 'mol m-2 s-1'"
    ):
        read(tmp_path / "d.nc", how + ";cells=common")


def test_a_coarse_grid_does_not_resolve_a_small_region(tmp_path):
    small = regions(city=box(104.2, 34.2, 104.6, 34.6), half=box(101, 31, 104.5, 39))
    coarse = regions(
        half=small.geometry["half"].difference(small.geometry["city"]), city=small.geometry["city"]
    )
    found = read(flux_file(tmp_path / "a.nc", field(), LAT, LON), frame=coarse)
    relative = found.resolution.split_sd / found.resolution.magnitude
    assert found.resolution.cell == "1 x 1 degree"
    assert relative[0] < 0.2
    assert (
        relative[1] > 1.0
    )  # if the cell's flux stood at one place, the city would have all of it or nothing
    assert found.resolution.shared[1] == pytest.approx(1.0)
    fine_lat, fine_lon = np.arange(30.05, 40, 0.1), np.arange(100.05, 110, 0.1)
    fine = np.repeat(np.repeat(field(), 10, axis=1), 10, axis=2)
    better = read(flux_file(tmp_path / "b.nc", fine, fine_lat, fine_lon), frame=coarse).resolution
    assert better.split_sd[1] / better.magnitude[1] < 0.05


def test_one_degree_over_china(tmp_path):
    lat, lon = np.arange(3.5, 55), np.arange(70.5, 140)
    flux = np.full((1, lat.size, lon.size), 1e-7)
    path = flux_file(tmp_path / "a.nc", flux, lat, lon, MIDDLE[:1])
    found = read_grids(read_word(f"a=grid:{path};gas=CO2;period=2023"), provinces())[0]
    assert found.regions[-1] == "CHN"
    np.testing.assert_allclose(found.total[0, -1], found.total[0, :-1].sum())
    relative = dict(zip(found.regions, found.resolution.split_sd / found.resolution.magnitude, strict=True))
    unresolved = {r for r, x in relative.items() if x > 0.3}
    assert {"820000", "810000", "120000", "110000"} <= unresolved
    assert not {"130000", "370000", "150000", "650000", "CHN"} & unresolved


def test_months_of_a_system_in_files_of_their_own(tmp_path):
    flux = field()
    for k in range(12):
        path = tmp_path / f"m{k:02d}.nc"
        data = xr.Dataset(
            {n: (("time", "lat", "lon"), v[k : k + 1], {"units": "kgC m-2 month-1"})
             for n, v in (("flux_apos_bio", flux), ("flux_foss", 2 * flux))},
            {"time": [MONTHS[k]], "lat": LAT, "lon": LON, "edge": ("n", [0, 1])},
        )  # fmt: skip
        stop = MONTHS[k] + (MONTHS[1] - MONTHS[0]) if k == 11 else MONTHS[k + 1]
        data["time_bnds"] = (("time", "n"), np.array([[MONTHS[k], stop]], "datetime64[ns]"))
        data["time"].attrs["bounds"] = "time_bnds"
        data["time"].encoding["units"] = "days since 1970-01-01"
        data.to_netcdf(path)
    found = read_grids(read_word(f"c=cams:{tmp_path}/m*.nc"), regions())[0]
    assert found.quantity == "NCE"
    assert any("never tried on a file of its makers" in n for n in found.notes)
    per_second = (
        3
        * flux
        / 0.0120107
        / (np.array([31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31]) * 86400)[:, None, None]
    )
    right = read(flux_file(tmp_path / "right.nc", per_second, LAT, LON)).total
    np.testing.assert_allclose(found.total, right, rtol=1e-6)
    (tmp_path / "m12.nc").write_bytes((tmp_path / "m03.nc").read_bytes())
    with pytest.raises(FormatError, match="two fluxes of 2023-04"):
        read_grids(read_word(f"c=cams:{tmp_path}/m*.nc"), regions())


def test_the_units_that_a_file_states_go_before_the_published_ones(tmp_path):
    flux = field()
    dims = ("time", "lat", "lon")
    fields = {n: (dims, flux, {"units": "kgC m-2 s-1"}) for n in LAYOUTS["cams"].variables}
    xr.Dataset(fields, {"time": MIDDLE, "lat": LAT, "lon": LON}).to_netcdf(tmp_path / "c.nc")
    found = read_grids(read_word(f"c=cams:{tmp_path / 'c.nc'};time_is=middle"), regions())[0]
    right = read(flux_file(tmp_path / "r.nc", 2 * flux / 0.0120107, LAT, LON)).total
    np.testing.assert_allclose(found.total, right, rtol=1e-6)
    assert any("states kgC m-2 s-1, the published layout kgC m-2 month-1" in n for n in found.notes)


def test_one_member_has_no_spread(tmp_path):
    path = flux_file(tmp_path / "a.nc", field()[None], LAT, LON, dims=("member", "time", "lat", "lon"))
    with pytest.raises(FormatError, match="one member along member has no spread"):
        read(path, ";members=member")


def test_the_systems_of_a_budget_file_are_systems(tmp_path):
    flux = 0.0120107e-12 * SECONDS_PER_YEAR * np.stack([field(s) for s in range(3)], axis=-1)
    flux[..., 2] = np.nan
    path = flux_file(
        tmp_path / "g.nc", flux, LAT, LON, name=LAYOUTS["gcb"].variables[0], units="PgC m-2 yr-1",
        dims=("time", "lat", "lon", "ensemble_member"),
    )  # fmt: skip
    with xr.open_dataset(path, engine="netcdf4") as data:
        loaded = data.load()
    names = np.array([list("CAMS  "), list("GCASv2"), list("GONGGA")], "S1")
    loaded["ensemble_member_name"] = (("ensemble_member", "k"), names)
    loaded.to_netcdf(path)
    found = read_grids(read_word(f"gcb=gcb:{path};time_is=middle"), regions())
    assert [e.system for e in found] == ["gcb CAMS", "gcb GCASv2"]  # GONGGA has no year here
    assert found[0].quantity == "NBE"
    expected = read(flux_file(tmp_path / "a.nc", field(), LAT, LON))
    np.testing.assert_allclose(found[0].total, expected.total, rtol=1e-6)


@pytest.mark.parametrize("preset", [p for p in LAYOUTS if p not in {"gcb", "cams", "imi", "cheereio"}])
def test_published_layouts_add_their_variables(tmp_path, preset):
    layout = LAYOUTS[preset]
    flux = field()
    data = xr.Dataset(
        {n: (("time", "latitude", "longitude"), (k + 1) * flux) for k, n in enumerate(layout.variables)},
        {"time": MIDDLE, "latitude": LAT, "longitude": LON},
    )
    data.to_netcdf(tmp_path / "a.nc")
    found = read_grids(read_word(f"a={preset}:{tmp_path / 'a.nc'};time_is=middle"), regions())[0]
    n = len(layout.variables)
    right = read(flux_file(tmp_path / "b.nc", n * (n + 1) / 2 * flux, LAT, LON)).total
    np.testing.assert_allclose(found.total, right, rtol=1e-6)


KG_CH4 = 0.01604246
FACTOR = np.random.default_rng(2).uniform(0.5, 2, (LAT.size, LON.size))


def factor_files(folder, flux):
    """Write factors and the prior that they are of, as the Integrated Methane Inversion does."""
    dims = ("time", "lat", "lon")
    both = {
        "EmisCH4_Total": (dims, KG_CH4 * flux[:1]),
        "EmisCH4_SoilAbsorb": (dims, -0.1 * KG_CH4 * flux[:1]),
    }
    prior = xr.Dataset(both, {"time": MIDDLE[:1], "lat": LAT, "lon": LON})
    for name in prior.data_vars:
        prior[name].attrs["units"] = "kg/m2/s"
    prior.to_netcdf(folder / "hemco.nc")
    upside_down = {"lat": LAT[::-1], "lon": LON}
    xr.Dataset({"ScaleFactor": (("lat", "lon"), FACTOR[::-1])}, upside_down).to_netcdf(folder / "sf.nc")
    return folder / "sf.nc", folder / "hemco.nc"


def test_scale_factors_times_their_prior_but_for_the_soil(tmp_path):
    flux = field()
    factor_files(tmp_path, flux)
    word = f"i=imi:{tmp_path / 'sf.nc'};prior={tmp_path / 'hemco.nc'};period=2023"
    found = read_grids(read_word(word), regions())[0]
    assert (found.gas, found.quantity) == ("CH4", "total")
    right = (1.1 * FACTOR - 0.1) * flux[:1]
    expected = read(flux_file(tmp_path / "a.nc", right, LAT, LON, MIDDLE[:1]), ";period=2023").total
    np.testing.assert_allclose(found.total, expected * KG_CH4 / 0.0440095, rtol=1e-6)
    with pytest.raises(ConfigError, match="say prior=FILE"):
        read_grids(read_word(f"i=imi:{tmp_path / 'sf.nc'};period=2023"), regions())


def test_members_of_cheereio_are_an_ensemble(tmp_path):
    """Emissions of its members, as its postprocessing puts HEMCO's diagnostics together."""
    members = np.stack([field(seed) for seed in range(4)])
    dims = ("Ensemble", "time", "lat", "lon")
    emitted = xr.Dataset(
        {"EmisCH4_Total": (dims, KG_CH4 * members, {"units": "kg/m2/s"})},
        {"time": MIDDLE, "lat": LAT, "lon": LON},
    )
    emitted.to_netcdf(tmp_path / "combined_HEMCO_diagnostics.nc")
    word = f"c=cheereio:{tmp_path / 'combined_HEMCO_diagnostics.nc'};time_is=middle"
    (found,) = read_grids(read_word(word), regions())
    assert (found.gas, found.quantity, len(found.members)) == ("CH4", "total", 4)
    each = [read(flux_file(tmp_path / f"{k}.nc", m, LAT, LON)).total for k, m in enumerate(members)]
    right = np.stack(each) * KG_CH4 / 0.0440095
    np.testing.assert_allclose(found.total, right.mean(axis=0), rtol=1e-6)
    np.testing.assert_allclose(found.sd, right.std(axis=0, ddof=1), rtol=1e-6)
    assert any("never tried on a file of its makers: CHEEREIO" in n for n in found.notes)
    emitted.isel(Ensemble=[0]).to_netcdf(tmp_path / "one.nc")
    with pytest.raises(FormatError, match="one member along Ensemble has no spread"):
        read_grids(read_word(f"c=cheereio:{tmp_path / 'one.nc'};time_is=middle"), regions())


def test_files_and_polygons_that_cannot_be(tmp_path):
    flux = field()
    path = flux_file(tmp_path / "a.nc", flux, LAT, LON)
    with pytest.raises(RegionError, match="overlap"):
        read(path, frame=regions(a=box(101, 31, 105, 39), b=box(103, 31, 108, 39)))
    with pytest.raises(RegionError, match="reaches none of the regions"):
        read(path, frame=regions(a=box(0, 40, 10, 50)))
    with pytest.raises(RegionError, match="covers none of the regions whole"):
        read(path, frame=regions(a=box(108, 30, 130, 40)))
    with pytest.raises(FormatError, match="time_is="):
        read_grids(read_word(f"a=grid:{path};gas=CO2"), regions())
    with pytest.raises(UnitError, match="substance"):
        read_grids(read_word(f"a=grid:{path};time_is=middle"), regions())
    flux[3, 4, 5] = np.nan
    holed = flux_file(tmp_path / "b.nc", flux, LAT, LON)
    with pytest.raises(RangeError, match="missing values in some cells; nan=zero"):
        read(holed)
    assert np.isfinite(read(holed, ";nan=zero").total).all()
    with pytest.raises(FormatError, match="no file fits"):
        read(tmp_path / "none*.nc")
    with pytest.raises(ConfigError, match="no preset 'carbontraker'; nearest: 'carbontracker'"):
        read_word(f"a=carbontraker:{path}")
    with pytest.raises(ConfigError, match="is no option=value"):
        read_word(f"a=grid:{path};gas")
    with pytest.raises(ConfigError, match="unit"):
        read_word(f"a=grid:{path};unit=kg")


def test_a_part_of_a_region_is_said(tmp_path):
    path = flux_file(tmp_path / "a.nc", field(), LAT, LON)
    found = read(path, frame=regions(a=box(101, 31, 104, 40.5), b=box(105, 30, 130, 40)))
    said = " ".join(found.notes)
    assert "only a part of a 9" in said
    assert "less than 80% of b: no totals" in said
    assert np.isnan(found.total[:, 1]).all()
