"""Gridded priors: mass kept per province, plants where they stand, profiles that keep the year, and bad plants."""

import geopandas
import numpy as np
import pandas as pd
import pytest
import scipy.sparse as sp
import shapely
import xarray as xr
from hypothesis import given
from hypothesis import strategies as st

from obsnet.cf import check_flux, read_netcdf
from obsnet.config import validate
from obsnet.constants import SECONDS_PER_YEAR
from obsnet.errors import ConfigError, FormatError, RangeError, RegionError, UnitError
from obsnet.grid import Grid
from obsnet.inventory.prior.build import gridded_prior
from obsnet.inventory.prior.files import prior_dataset
from obsnet.inventory.prior.options import GridOptions
from obsnet.inventory.prior.plants import place_plants, read_plants
from obsnet.inventory.prior.profiles import Profile, period_factors, read_profiles
from obsnet.inventory.prior.run import run_prior
from obsnet.inventory.prior.totals import sector_totals
from obsnet.inventory.table import builtin
from obsnet.inventory.words import find_region
from obsnet.regions import provinces
from obsnet.shares import shares_of
from tests.obsnet.inventory.made import contract

GRID = Grid.regular(20, 26, 100, 108, 0.5, 0.5)
MOL = 0.0440095


def two_provinces():
    """Return two made provinces that share a border inside cells, the second with a coast."""
    west = shapely.Polygon([(100.2, 20.3), (103.7, 20.3), (104.1, 25.2), (100.2, 25.8)])
    east = shapely.Polygon([(103.7, 20.3), (106.6, 20.8), (106.9, 25.3), (104.1, 25.2)])
    frame = geopandas.GeoDataFrame(
        {"name_en": ["West", "East"]}, index=["440000", "450000"], geometry=[west, east], crs="EPSG:4326"
    )
    frame.attrs["source"] = "made"
    return frame


def totals(rows):
    return pd.DataFrame(rows, columns=["region", "sector", "value", "sd"])


def plants(rows, tmp_path, header="name,latitude,longitude,value,unit"):
    path = tmp_path / "plants.csv"
    path.write_text(header + "\n" + "\n".join(rows) + "\n")
    return path


def placed(prior, sector=0):
    """Return kg a year of each label."""
    return np.asarray(prior.amounts[sector].sum(axis=1)).ravel() * MOL * SECONDS_PER_YEAR


@given(st.floats(1e9, 1e12), st.floats(1e9, 1e12), st.integers(0, 1000))
def test_mass_is_kept_per_province(a, b, seed):
    rng = np.random.default_rng(seed)
    proxy = rng.uniform(0.1, 5, GRID.shape)
    table = totals(
        [("440000", "power", a, np.nan), ("450000", "power", b, np.nan), ("450000", "transport", a, np.nan)]
    )
    prior = gridded_prior(table, two_provinces(), GRID, proxies={"power": proxy})
    np.testing.assert_allclose(placed(prior)[:2], [a, b], rtol=1e-9)
    np.testing.assert_allclose(placed(prior, 1)[:2], [0, a], rtol=1e-9)
    flux = prior.flux()
    assert (flux >= 0).all()
    np.testing.assert_allclose((flux * GRID.cell_area).sum() * MOL * SECONDS_PER_YEAR, 2 * a + b, rtol=1e-9)


def test_plants_stand_in_their_cells_and_provinces(tmp_path):
    # the second stands at sea, 0.1 degree off the coast of the east; the third where both provinces share a cell
    rows = ["A,22.1,101.1,3,Mt", "B,23.0,106.85,5,Mt", "C,22.9,103.95,2,Mt", "D,21.0,107.9,1,Mt"]
    frame, is_mass, _ = read_plants(plants(rows, tmp_path))
    found = place_plants(frame, is_mass, two_provinces())
    assert found.region.tolist() == ["440000", "450000", "450000", "offshore"]
    assert any("1 plants lie off every province" in n for n in found.notes)
    assert any("offshore: D (21 N 107.9 E)" in n for n in found.notes)
    table = totals([("440000", "power", 10e9, np.nan), ("450000", "power", 20e9, np.nan)])
    prior = gridded_prior(table, two_provinces(), GRID, plants=found)
    np.testing.assert_allclose(placed(prior)[:3], [10e9, 20e9, 1e9], rtol=1e-9)
    amounts = prior.amounts[0].toarray() * MOL * SECONDS_PER_YEAR
    assert amounts[0, GRID.index(22.1, 101.1)] > 3e9
    assert amounts[1, GRID.index(23.0, 106.85)] >= 5e9
    assert amounts[1, GRID.index(22.9, 103.95)] > 2e9
    assert any("offshore plants emit 1 Mt" in n for n in prior.notes)


@pytest.mark.parametrize(("excess", "east"), [("scale", 20e9), ("raise", 26e9)])
def test_plants_beyond_the_total_follow_a_stated_rule(tmp_path, excess, east):
    frame, is_mass, _ = read_plants(plants(["A,23.0,105.0,26,Mt", "B,22,101,1,Mt"], tmp_path))
    found = place_plants(frame, is_mass, two_provinces())
    table = totals([("440000", "power", 10e9, np.nan), ("450000", "power", 20e9, np.nan)])
    prior = gridded_prior(table, two_provinces(), GRID, plants=found, excess=excess)
    np.testing.assert_allclose(placed(prior)[:2], [10e9, east], rtol=1e-9)
    assert any("plants of Guangxi are 1.30 times its total" in n for n in prior.notes)
    with pytest.raises(RegionError, match="say what goes before: --excess scale"):
        gridded_prior(table, two_provinces(), GRID, plants=found, excess="refuse")


def test_capacities_share_a_total(tmp_path):
    path = plants(
        ["A,22,101,300", "B,23,102,100", "C,22,103,", "D,21.0,107.9,50"],
        tmp_path,
        "name,latitude,longitude,capacity",
    )
    frame, is_mass, notes = read_plants(path)
    assert any("1 plants without a capacity are left out: C" in n for n in notes)
    table = totals([("440000", "power", 8e9, np.nan), ("450000", "power", 4e9, np.nan)])
    prior = gridded_prior(table, two_provinces(), GRID, plants=place_plants(frame, is_mass, two_provinces()))
    amounts = prior.amounts[0].toarray() * MOL * SECONDS_PER_YEAR
    np.testing.assert_allclose(amounts[0, GRID.index([22.0, 23.0], [101.0, 102.0])], [6e9, 2e9], rtol=1e-9)
    np.testing.assert_allclose(placed(prior)[:2], [8e9, 4e9], rtol=1e-9)
    assert any("no plant in Guangxi" in n for n in prior.notes)
    assert any("offshore plants have no province" in n for n in prior.notes)


@pytest.mark.parametrize(
    ("rows", "error", "said"),
    [
        (["A,0,0,3,Mt"], RangeError, r"1 of 1 plants have coordinates 0 N 0 E.*row 2 \(A\)"),
        (["A,,101,3,Mt"], RangeError, "no coordinates"),
        (["A,101,22,3,Mt"], RangeError, "latitude and longitude swapped"),
        (["A,22,101,-3,Mt"], RangeError, "value is -3000000000.0, not a positive number"),
        (["A,22,101,3,bushels"], UnitError, "row 2: unit 'bushels' is no mass"),
        (["A,22 N,101,3,Mt"], RangeError, "'22 N' is not a number"),
    ],
)
def test_faulty_plants(tmp_path, rows, error, said):
    with pytest.raises(error, match=said):
        read_plants(plants(rows, tmp_path))


def test_a_plant_in_another_province_than_its_table_says(tmp_path):
    path = plants(["A,22,101,3,Mt,广西"], tmp_path, "name,latitude,longitude,value,unit,region")
    frame, is_mass, _ = read_plants(path)
    note = place_plants(frame, is_mass, two_provinces()).notes[0]
    assert "1 plants stand in another province" in note
    assert "first: A, 广西 in " in note


def test_swapped_places_and_places_near_the_origin(tmp_path):
    """Where both figures could be a latitude only the provinces tell; a plant at sea either way is offshore."""
    head = "name,latitude,longitude,value,unit"
    frame, is_mass, _ = read_plants(plants(["A,43.8,87.6,3,Mt", "B,88.1,42,3,Mt"], tmp_path, head))
    with pytest.raises(RangeError, match=r"swapped; the first is row 3 \(B\): 88.1 N 42 E"):
        place_plants(frame, is_mass, provinces())
    frame, is_mass, _ = read_plants(plants(["A,43.8,87.6,3,Mt", "B,38.5,120.5,3,Mt"], tmp_path, head))
    assert place_plants(frame, is_mass, provinces()).region.tolist() == ["650000", "offshore"]
    with pytest.raises(RangeError, match="0 N 0 E"):
        read_plants(plants(["A,0.01,0.02,3,Mt"], tmp_path, head))


def test_totals_that_cannot_be_spread():
    regions = two_provinces()
    with pytest.raises(FormatError, match="below 0; leave sinks out"):
        gridded_prior(totals([("440000", "land", -1e9, np.nan)]), regions, GRID)
    with pytest.raises(RegionError, match="'110000' of the inventory is not among the boundaries"):
        gridded_prior(totals([("110000", "power", 1e9, np.nan)]), regions, GRID)
    small = Grid.regular(20, 26, 100, 102, 0.5, 0.5)
    with pytest.raises(RegionError, match="the grid covers .* of 440000"):
        gridded_prior(totals([("440000", "power", 1e9, np.nan)]), regions, small)
    with pytest.raises(RegionError, match="the proxy of power is 0 all over 440000"):
        gridded_prior(
            totals([("440000", "power", 1e9, np.nan)]), regions, GRID, proxies={"all": np.zeros(GRID.shape)}
        )
    with pytest.raises(FormatError, match="missing or negative"):
        gridded_prior(
            totals([("440000", "power", 1e9, np.nan)]), regions, GRID, proxies={"all": -np.ones(GRID.shape)}
        )


def test_the_file_holds_the_contract_the_shares_and_the_covariance():
    table = totals(
        [("440000", "power", 8e9, 0.1), ("450000", "power", 4e9, 0.2), ("450000", "transport", 2e9, 0.3)]
    )
    prior = gridded_prior(table, two_provinces(), GRID)
    bounds = np.array([[np.datetime64("2019-01-01"), np.datetime64("2020-01-01")]])
    made = {
        "gas": "CO2",
        "times": bounds,
        "factors": np.ones((1, 2)),
        "title": "t",
        "source": "s",
        "license": "l",
    }
    data = check_flux(prior_dataset(prior, **made, correlation=0.5))
    shares = shares_of(data)  # what a reader of the file has
    assert shares.labels == ("440000", "450000", "offshore", "outside")
    for s, sector in enumerate(prior.sectors):
        found = shares.totals(data["flux"].values[0, s], sector)
        np.testing.assert_allclose(found, data["region_total"][s], rtol=1e-9, atol=1e-9)
    sd = data["region_total_uncertainty"].values
    np.testing.assert_allclose(sd[0, :2] / data["region_total"].values[0, :2], [0.1, 0.2])
    covariance = data["region_covariance"].values[0]
    assert covariance[0, 1] == pytest.approx(0.5 * sd[0, 0] * sd[0, 1])
    assert np.linalg.eigvalsh(covariance).min() > -1e-9 * covariance.max()
    inside = data["flux"].values[0, 0] > 0
    ratio = data["flux_uncertainty"].values[0, 0][inside] / data["flux"].values[0, 0][inside]
    assert ratio.min() >= 0.1 - 1e-12
    assert ratio.max() <= 0.2 + 1e-12
    unknown = gridded_prior(totals([("440000", "power", 8e9, np.nan)]), two_provinces(), GRID)
    made["factors"] = np.ones((1, 1))
    assert "flux_uncertainty" not in prior_dataset(unknown, **made)


# --- totals from tables


def test_sectors_of_categories():
    rows = [
        ("1.A.1.a.i", 3.0),
        ("1.A.1.a.iii", 1.0),
        ("1.A.2.a", 2.0),
        ("1.A.3", 1.5),
        ("2.A.1", 0.5),
        ("total", 8.0),
    ]
    table = contract([("440000", "2019", "CO2", c, "IPCC2006", v, "Mt") for c, v in rows])
    found, _ = sector_totals(table)
    assert found.set_index("sector")["value"].to_dict() == {
        "power": 4e9,
        "steel": 2e9,
        "transport": 1.5e9,
        "building materials": 0.5e9,
    }
    table.loc[5, "value"] = 9.0
    with pytest.raises(FormatError, match="add up to 8 Mt, its total is 9: rows overlap or are missing"):
        sector_totals(table)
    odd = contract([("440000", "2019", "CO2", "9.Z", "", 1.0, "Mt")])
    with pytest.raises(FormatError, match="--sector '9.Z=NAME'"):
        sector_totals(odd)
    assert sector_totals(odd, mapping={"9.Z": "odd"})[0]["sector"].tolist() == ["odd"]


def test_totals_alone_and_several_periods():
    found, notes = sector_totals(builtin("ceads-2019"))
    assert set(found["sector"]) == {"total"}
    assert "totals alone" in notes[0]
    two = contract([("440000", y, "CO2", "total", "", 1.0, "Mt") for y in ("2018", "2019")])
    with pytest.raises(FormatError, match="several periods, say which: 2018, 2019"):
        sector_totals(two)
    with pytest.raises(FormatError, match="no row of CH4"):
        sector_totals(two, gas="CH4")


# --- profiles


@given(st.integers(0, 500), st.sampled_from(["MS", "1D"]))
def test_the_mass_of_the_year_is_kept(seed, step):
    rng = np.random.default_rng(seed)
    profile = Profile(
        tuple(rng.uniform(0.2, 2, 12)), tuple(rng.uniform(0.5, 1.5, 7)), tuple(rng.uniform(0, 2, 24))
    )
    edges = pd.date_range("2019-01-01", "2020-01-01", freq=step).to_numpy()
    bounds = np.stack([edges[:-1], edges[1:]], axis=1)
    factors = period_factors({"power": profile}, ["power", "transport"], bounds, 2019)
    length = (bounds[:, 1] - bounds[:, 0]) / np.timedelta64(1, "h")
    np.testing.assert_allclose((factors * length[:, None]).sum(axis=0), 8760.0, rtol=1e-12)
    np.testing.assert_allclose(factors[:, 1], 1.0)


def test_hours_are_of_china_and_weekdays_begin_on_monday():
    hour = [0.0] * 24
    hour[9] = 24.0
    bounds = np.array(
        [
            [np.datetime64("2019-07-01T01"), np.datetime64("2019-07-01T02")],
            [np.datetime64("2019-07-01T09"), np.datetime64("2019-07-01T10")],
        ]
    )
    factors = period_factors({"a": Profile(hour=tuple(hour))}, ["a"], bounds, 2019)
    assert factors[:, 0].tolist() == pytest.approx([24.0, 0.0])
    week = [7.0, 0, 0, 0, 0, 0, 0]
    monday = np.array(
        [[np.datetime64("2019-06-30T16"), np.datetime64("2019-07-01T16")]]
    )  # 1 July 2019 in China
    assert period_factors({"a": Profile(weekday=tuple(week))}, ["a"], monday, 2019)[0, 0] == pytest.approx(
        7.0, rel=0.02
    )


@pytest.mark.parametrize(
    ("rows", "said"),
    [
        ("power,month,1,1\n", "needs 12 entries, found 1"),
        ("power,moon,1,1\n", "no kind of profile 'moon'; nearest: 'month'"),
        ("powder,month,1,1\n", "no sector 'powder'; nearest: 'power'"),
        ("power,month,1,-1\n", "not a positive number"),
    ],
)
def test_faulty_profiles(tmp_path, rows, said):
    path = tmp_path / "p.csv"
    path.write_text("category,kind,item,value\n" + rows)
    with pytest.raises((FormatError, RangeError), match=said):
        read_profiles(path, ["power"])


# --- end to end


@pytest.mark.parametrize("excess", ["scale", "raise"])
def test_plants_that_exceed_their_sector_in_nine_provinces(sample_data, tmp_path, excess):
    """Published plants against CEADs 2018: 9 of 30 provinces, up to 1.30 times; others have no total at all."""
    case = sample_data.parent / "cases/inventory/plants_vs_ceads_2018.csv"
    if not case.is_file():
        pytest.skip("the published totals of plants are absent")
    table = pd.read_csv(case, index_col=0)
    places = provinces()
    lines = []
    for name, mt in table["coco2_plants"].items():
        at = places.geometry[find_region(str(name))].representative_point()
        lines.append(f"{name},{at.y},{at.x},{mt},Mt")
    options = validate(
        GridOptions,
        {
            "inventory": str(next((sample_data / "inventory/ceads/provinces").glob("*2018.xlsx"))),
            "out": tmp_path / "prior.nc",
            "grid": "3,55,70,140,2,2.5",
            "plants": plants(lines, tmp_path),
            "excess": excess,
        },
    )
    rows, notes = run_prior(options)
    over = [float(n.split(" are ")[1].split()[0]) for n in notes if "times its total" in n]
    ratio = table["p/power"][table["p/power"] > 1]
    assert sorted(over) == pytest.approx(sorted(ratio), abs=0.005)
    assert (len(over), max(over)) == (9, 1.30)
    assert (
        sum("nothing of the sector there" in n for n in notes) == 3
    )  # no CEADs there: Tibet, Hong Kong, Macao
    frame = pd.DataFrame(rows)
    np.testing.assert_allclose(frame["placed"], frame["total"], rtol=1e-9)
    power = frame[frame["sector"] == "power"].set_index("region")["total"]
    raised = sum(
        table.at[n, "coco2_plants"] - table.at[n, "ceads_power"] for n in ratio.index
    ) + table["coco2_plants"][table["ceads_power"].isna()].sum()  # fmt: skip
    assert power.sum() == pytest.approx(
        table["ceads_power"].sum() + (raised if excess == "raise" else 0), rel=1e-6
    )


def test_a_prior_of_real_provinces(sample_data, tmp_path):
    """CEADs 2018 by industry, WRI's coal plants: every province to 1e-9, by area many are not."""
    base = sample_data / "inventory"
    options = validate(
        GridOptions,
        {
            "inventory": str(next((base / "ceads/provinces").glob("*2018.xlsx"))),
            "out": tmp_path / "prior.nc",
            "grid": "3,55,73,136,0.5",
            "plants": base / "powerplants/wri_gppd_China_raw.csv",
            "plant_fuels": ["Coal"],
        },
    )
    rows, notes = run_prior(options)
    for row in rows:
        assert row["placed"] == pytest.approx(row["total"], rel=1e-9)
    frame = pd.DataFrame(rows).groupby("region")[["total", "by_area"]].sum()
    assert frame.at["440000", "by_area"] < 0.8 * frame.at["440000", "total"]
    with read_netcdf(options.out) as data:
        check_flux(data)
        assert {"power", "steel", "transport", "construction"} <= set(data["sector"].values.astype(str))
        mass = (
            float((data["flux"].sum("sector")[0] * data["cell_area"]).sum()) * MOL * SECONDS_PER_YEAR * 1e-9
        )
        assert mass == pytest.approx(frame["total"].sum(), rel=1e-9)
    assert any("coal" in n.lower() for n in notes)


def test_months_of_a_small_prior_and_a_proxy_file(tmp_path):
    path = tmp_path / "i.csv"
    path.write_text(
        "region,period,gas,category,terminology,value,unit,uncertainty\n440000,2019,CO2,1.A.1.a,IPCC2006,10,Mt,0.1\n"
    )
    two_provinces().reset_index(names="code").to_file(tmp_path / "r.geojson")
    proxy = xr.Dataset(
        {"people": (("lat", "lon"), np.ones((52, 64)))},
        {"lat": np.arange(20.05, 25.2, 0.1), "lon": np.arange(100.05, 106.4, 0.1)},
    )
    proxy.to_netcdf(tmp_path / "people.nc")
    profiles = tmp_path / "p.csv"
    profiles.write_text(
        "category,kind,item,value\n" + "".join(f"power,month,{m},{m}\n" for m in range(1, 13))
    )
    options = validate(
        GridOptions,
        {
            "inventory": str(path),
            "out": tmp_path / "p.nc",
            "grid": "20,26,100,108,0.5",
            "regions": tmp_path / "r.geojson",
            "region_key": "code",
            "proxy": {"power": str(tmp_path / "people.nc") + ":people"},
            "profiles": profiles,
            "step": "month",
            "correlation": 1.0,
        },
    )
    rows, _ = run_prior(options)
    assert rows[0]["placed"] == pytest.approx(10.0, rel=1e-9)
    with xr.open_dataset(options.out, engine="netcdf4") as data:
        assert data.sizes["time"] == 12
        assert float(data["flux"][11].sum()) > 10 * float(data["flux"][0].sum())
        assert "region_covariance" in data
    row = "440000,2019,CO2,{},IPCC2006,160,Mt,0.1\n"
    path.write_text(path.read_text().splitlines()[0] + "\n" + row.format("total") + row.format("1.A.1.a"))
    assert any("first 440000 2019 (160 Mt): is it carbon" in n for n in run_prior(options)[1])
    with pytest.raises(FormatError, match="periods must lie within 2019"):
        run_prior(options.model_copy(update={"start": "2018-01-01"}))
    with pytest.raises(ConfigError, match="no sector 'power' for the plants|--plant-sector"):
        run_prior(
            options.model_copy(
                update={"plants": plants(["A,22,101,3,Mt"], tmp_path), "plant_sector": "steel"}
            )
        )


def test_sparse_amounts_are_what_they_say():
    prior = gridded_prior(totals([("440000", "power", 1e9, np.nan)]), two_provinces(), GRID)
    assert all(isinstance(a, sp.csr_array) for a in prior.amounts)
    assert prior.labels[-2:] == ("offshore", "outside")
