"""Maps from a store: three methods, their files, and what they refuse."""

from __future__ import annotations

import json

import numpy as np
import pytest
import typer
import xarray as xr
from typer.testing import CliRunner

from obsnet.cf import write_netcdf
from obsnet.errors import ConfigError, RangeError, ScaleError, SchemaError
from obsnet.grid import Grid
from obsnet.pipeline import Case, RunOptions
from obsnet.sphere import great_circle_km
from obsnet.store import ObservationStore
from obsnet.times import time_bins
from retrieval.commands.grid import grid
from retrieval.commands.grid_stage import STAGE
from retrieval.mapping.block_integrals import cell_sizes_km
from retrieval.mapping.dataset import (
    column_map,
    periods_without_columns,
    periods_without_value,
    stamp_of,
    variable_of,
    write_geotiffs,
)
from retrieval.mapping.figures import map_figure, write_pictures
from retrieval.mapping.mappers import FixedRankMapper
from retrieval.mapping.maps import make_map, read_columns
from retrieval.mapping.scattered import Columns
from retrieval.mapping.settings import GridTable, MapSettings
from retrieval.mapping.words import told
from tests.retrieval.mapping.fields import MODEL, draw, places
from tests.retrieval.soundings import make_table

GRID = Grid.regular(26, 40, 100, 120, 2, 2)
DAYS = time_bins("2020-06-04", "2020-06-06", "1D")
FOLDS = 3


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    """400 columns of a known field over ten days."""
    made = ObservationStore(tmp_path_factory.mktemp("maps") / "store")
    points = places(400, 0)
    samples, _ = draw(MODEL, points, 0)
    order = np.argsort(points[2])
    table = make_table(
        400,
        profiles=False,
        corners=False,
        latitude=points[0][order],
        longitude=points[1][order],
        time=points[2][order],
        value=412 - 0.05 * points[0][order] + samples.value[order],
        uncertainty=samples.uncertainty[order],
    )
    made.write(table)
    return made


def asked(**change):
    """Two days of CO2 on the grid of these tests, otherwise as said."""
    usual = {"species": "CO2", "grid": GRID, "start": "2020-06-04", "stop": "2020-06-06"}
    return MapSettings(**usual | change)


@pytest.fixture(scope="module")
def maps(store):
    return {
        method: make_map(
            store,
            asked(method=method, folds=FOLDS, spacing_km=(1500.0, 700.0), neighbours=40),
        )
        for method in ("bin", "kriging", "frk")
    }


@pytest.mark.parametrize("method", ["bin", "kriging", "frk"])
def test_every_map_has_values_errors_and_counts(maps, method):
    data = maps[method].data
    assert data["xco2"].dims == ("time", "lat", "lon")
    assert data["xco2"].attrs["units"] == "1e-6"
    assert data["xco2"].attrs["standard_name"] == "dry_atmosphere_mole_fraction_of_carbon_dioxide"
    assert data["xco2_uncertainty"].attrs["standard_name"].endswith(" standard_error")
    value, sd = data["xco2"].values, data["xco2_uncertainty"].values
    known = np.isfinite(value)
    assert (known == np.isfinite(sd)).all()
    assert (sd[known] > 0).all()
    assert ((value[known] > 405) & (value[known] < 416)).all()
    assert known.all() == (method != "bin")
    assert maps[method].report["cells"] == known.sum()


def test_counts_are_those_of_the_bins(maps):
    count = maps["bin"].data["xco2_count"].values
    assert count.sum() == maps["bin"].report["observations"]
    np.testing.assert_array_equal(maps["kriging"].data["xco2_count"], count)
    np.testing.assert_array_equal(maps["frk"].data["xco2_count"], count)


@pytest.mark.parametrize("method", ["kriging", "frk"])
def test_held_out_check_is_honest(maps, method):
    found = maps[method].report["cross_validation"]
    assert found["n"] == 278  # means of the blocks that 400 columns lie in
    assert found["block_degrees"] == 2.5
    assert abs(found["bias"]) < 0.2
    assert 0.3 < found["rmse"] < 0.95
    assert found["coverage95"] == pytest.approx(0.95, abs=0.03)
    wide = maps[method].report["cross_validation_wide"]
    assert wide["block_degrees"] == 5
    assert wide["coverage95"] == pytest.approx(0.95, abs=0.04)


def test_the_two_fields_agree_within_their_errors(maps):
    a, b = maps["kriging"].data, maps["frk"].data
    z = (a["xco2"] - b["xco2"]) / np.hypot(a["xco2_uncertainty"], b["xco2_uncertainty"])
    assert float(np.abs(z).mean()) < 0.8


def test_leave_one_out_of_bins_by_hand(store):
    one = Grid.regular(20, 50, 90, 130, 30, 40)
    report = make_map(store, asked(grid=one, start="2020-06-01", stop="2020-06-30", step="29D")).report
    value = read_columns(store, "CO2", "test_lite", None, None)[0].value
    others = (value.sum() - value) / (len(value) - 1)
    found = report["cross_validation"]
    assert found["rmse"] == pytest.approx(np.sqrt(np.mean((value - others) ** 2)), rel=1e-9)
    assert found["bias"] == pytest.approx(0, abs=1e-9)
    assert (found["n"], found["missing"]) == (400, 0)
    assert report["spread_in_cells"] == pytest.approx(value.std(ddof=1), rel=1e-9)


def test_files(maps, tmp_path):
    data = maps["kriging"].data
    path = write_netcdf(data, tmp_path / "map.nc")
    with xr.open_dataset(path, engine="netcdf4") as again:
        np.testing.assert_array_equal(again["xco2"].values, data["xco2"].values)
        assert again.attrs["variogram_range_km"] > 0
        assert again.attrs["cross_validation_coverage95"] <= 1
    tiffs = write_geotiffs(data, GRID, "CO2", tmp_path / "tif")
    assert len(tiffs) == 2
    import rasterio

    with rasterio.open(tiffs[0]) as image:
        assert image.crs.to_epsg() == 4326
        np.testing.assert_array_equal(image.read(1)[::-1], data["xco2"].values[0])
        np.testing.assert_array_equal(image.read(2)[::-1], data["xco2_uncertainty"].values[0])
        assert image.descriptions[1].startswith("standard deviation of ")
        assert image.bounds == (100, 26, 120, 40)


def test_periods_without_a_value_are_listed_and_not_drawn(maps, tmp_path):
    data = maps["kriging"].data.copy(deep=True)
    assert periods_without_value(data, "CO2") == []
    data["xco2"][0] = np.nan
    assert periods_without_value(data, "CO2") == ["2020-06-04"]
    for write in (write_geotiffs, write_pictures):
        assert [p.stem for p in write(data, GRID, "CO2", tmp_path)] == ["xco2_2020-06-05"]
    report = {
        **maps["kriging"].report,
        "periods_without_columns": [],
        "periods_without_value": ["2020-06-04"],
    }
    assert "  no value anywhere, nothing drawn: 1 of the periods: 2020-06-04" in told(report, "CO2")
    for kind in ("bin", "kriging", "frk"):
        report = maps[kind].report | {"periods_without_columns": [], "periods_without_value": ["2020-06-04"]}
        lines = told(report, "CO2", "zh")
        assert "  全无数值、未作图的时段 1 个：2020-06-04" in lines
        assert len(lines) == len(told(report, "CO2"))


def test_a_day_of_other_days_columns_alone_is_listed_and_not_drawn(maps, tmp_path):
    import rasterio

    data = maps["kriging"].data.copy(deep=True)
    assert periods_without_columns(data, "CO2") == []
    data["xco2_count"][0] = 0
    assert periods_without_columns(data, "CO2") == ["2020-06-04"]
    assert [p.stem for p in write_pictures(data, GRID, "CO2", tmp_path)] == ["xco2_2020-06-05"]
    said = []
    for path in write_geotiffs(data, GRID, "CO2", tmp_path):
        with rasterio.open(path) as image:
            said.append("mapped from the days around" in image.descriptions[0])
    assert said == [True, False]
    report = {**maps["kriging"].report, "periods_without_value": []}
    lines = told(report | {"periods_without_columns": ["2020-06-04"]}, "CO2")
    assert any("no picture: 1 of the periods: 2020-06-04" in line for line in lines)


def test_labels_are_in_the_language_that_is_asked_for(maps):
    import matplotlib.pyplot as plt

    from obsnet.drawing.fonts import drawn_in

    values = [maps["kriging"].data[n].values[0] for n in ("xco2", "xco2_uncertainty")]
    words = {"en": "standard error", "zh": "标准误差"}
    for language in ("en", "zh"):
        figure = map_figure(GRID, *values, "CO2", title="t", language=language)
        assert words[drawn_in(language)] in [axes.get_title() for axes in figure.axes]
        plt.close(figure)


def test_pictures_need_no_network(maps, tmp_path):
    """The whole test run has its sockets closed."""
    pictures = write_pictures(maps["kriging"].data, GRID, "CO2", tmp_path, dpi=40)
    assert [p.name for p in pictures] == ["xco2_2020-06-04.png", "xco2_2020-06-05.png"]
    assert all(p.read_bytes().startswith(b"\x89PNG") for p in pictures)
    globe = Grid.regular(-90, 90, -180, 180, 30, 30)
    field = np.full((1, *globe.shape), 410.0)
    data = column_map(
        globe,
        DAYS[:2],
        "CO2",
        {"value": field, "uncertainty": field * 0 + 1},
        method="t",
        attrs={"source": "s"},
    )
    assert len(write_pictures(data, globe, "CO2", tmp_path / "globe", dpi=40)) == 1
    data["xco2"][:] = np.nan
    assert write_pictures(data, globe, "CO2", tmp_path / "none", dpi=40) == []


@pytest.mark.parametrize("method", ["kriging", "frk"])
def test_cells_far_from_all_columns_stay_empty(store, method):
    """By default 200 km from a cell's edge; by option at any distance, or where the error is too large."""
    wide = Grid.regular(20, 45, 90, 130, 2.5, 2.5)
    near, all_of_it, sure = (
        make_map(store, asked(grid=wide, method=method, folds=0, spacing_km=(1500.0, 700.0), **change))
        for change in ({}, {"reach_km": np.inf}, {"reach_km": np.inf, "max_sd": 0.5})
    )
    assert all_of_it.report["cells"] == all_of_it.report["cells_of"]
    assert all_of_it.report["left_empty"] == {"beyond_reach": 0, "above_max_sd": 0}
    value, sd = (near.data[n].values for n in ("xco2", "xco2_uncertainty"))
    columns = read_columns(store, "CO2", "test_lite", None, None)[0]
    lat, lon = (x.ravel() for x in np.meshgrid(wide.lat, wide.lon, indexing="ij"))
    distance = great_circle_km(lat[:, None], lon[:, None], columns.latitude[None], columns.longitude[None])
    half = 0.5 * np.hypot(*cell_sizes_km(wide).T)
    within = (distance.min(axis=1) - half < 200.0).reshape(wide.shape)
    np.testing.assert_array_equal(np.isfinite(value[0]), within)
    np.testing.assert_array_equal(np.isfinite(sd[0]), within)
    assert near.report["left_empty"]["beyond_reach"] == 2 * (~within).sum()
    assert near.data.attrs["reach_km"] == 200.0
    known = np.isfinite(sure.data["xco2_uncertainty"].values)
    assert 0 < known.sum() < known.size
    np.testing.assert_array_equal(known, all_of_it.data["xco2_uncertainty"].values <= 0.5)
    assert sure.report["left_empty"]["above_max_sd"] == (~known).sum()
    assert "cross_validation" not in near.report


def store_of(path, latitude, longitude, time, seed=0):
    """A store of columns of 412 ppm with the error of the test's product."""
    made, n = ObservationStore(path), len(latitude)
    order = np.argsort(time)
    value = 412 + np.random.default_rng(seed).normal(0, 0.5, n)
    place = {"latitude": latitude[order], "longitude": longitude[order], "time": time[order]}
    made.write(
        make_table(n, profiles=False, corners=False, value=value, uncertainty=np.full(n, 0.5), **place)
    )
    return made


def test_the_check_is_made_where_columns_are(tmp_path):
    """Days at both ends of a month: the middle window is empty, the one with more columns is taken."""
    lat, lon, time = places(240, 1)
    day = np.datetime64("2020-06-01") + np.where(np.arange(240) < 80, 0, 28).astype("m8[D]")
    time = day + (time - time.astype("M8[D]"))
    store = store_of(tmp_path / "s", lat, lon, time)
    month = {"start": "2020-06-01", "stop": "2020-06-30", "window_days": 2.0, "folds": FOLDS}
    found = make_map(store, asked(**month, method="frk", spacing_km=(1500.0, 700.0))).report[
        "cross_validation"
    ]
    late = lat[80:], lon[80:]
    assert found["n"] == len({tuple(np.floor(np.array(x) / 2.5)) for x in zip(*late, strict=True)})
    assert 0.85 < found["coverage95"] <= 1


@pytest.mark.parametrize("method", ["kriging", "frk"])
def test_columns_of_one_block_have_no_check(tmp_path, method):
    """Nothing is left to foretell the block with: the map is made, the check says that it could not be."""
    rng = np.random.default_rng(3)
    time = np.datetime64("2020-06-04T05:00") + rng.integers(0, 600, 90).astype("m8[s]")
    store = store_of(tmp_path / "s", rng.uniform(30.1, 32.4, 90), rng.uniform(110.1, 112.4, 90), time)
    fine = Grid.regular(30, 33, 110, 113, 0.5, 0.5)
    report = make_map(store, asked(grid=fine, method=method, folds=FOLDS, spacing_km=(1500.0, 700.0))).report
    found = report["cross_validation"]
    assert found["n"] == 0
    assert found["missing"] > 0


def test_a_fixed_rank_model_needs_ten_cells(tmp_path):
    """Ninety columns of two cells make no model: the period stays empty but for its count."""
    rng = np.random.default_rng(3)
    time = np.datetime64("2020-06-04T05:00") + rng.integers(0, 600, 90).astype("m8[s]")
    store = store_of(tmp_path / "s", rng.uniform(30.1, 31.9, 90), rng.uniform(110.1, 113.9, 90), time)
    made = make_map(store, asked(method="frk", folds=FOLDS, spacing_km=(1500.0, 700.0)))
    assert np.isnan(made.data["xco2"].values).all()
    assert made.data["xco2_count"].values.sum() == 90
    assert made.report["cross_validation"]["n"] == 0


def test_periods_without_data_stay_empty(store):
    late = {"start": "2020-06-09", "stop": "2020-07-20", "step": "20D"}
    made = make_map(store, asked(**late, method="kriging", folds=0, window_days=2.0))
    assert np.isfinite(made.data["xco2"].values[0]).all()
    assert np.isnan(made.data["xco2"].values[-1]).all()


def test_what_a_store_must_hold(tmp_path):
    store = ObservationStore(tmp_path / "s")
    store.write(make_table(20, source="a", profiles=False))
    box = Grid.regular(29, 35, 109, 112, 1, 1)
    day = {"start": "2020-06-01", "stop": "2020-06-02"}
    with pytest.raises(RangeError, match="no good CO2 column of a lies on the grid"):
        make_map(store, asked(grid=box, start="2021-06-01", stop="2021-06-02"))
    with pytest.raises(RangeError, match="a field needs at least 10"):
        make_map(store, asked(grid="-30,-20,0,10,1", **day, method="kriging"))
    with pytest.raises(ConfigError, match="holds no CH4; there is: CO2"):
        make_map(store, asked(species="CH4", grid=box, **day))
    store.write(make_table(20, source="b", seed=1, profiles=False))
    with pytest.raises(ConfigError, match="name one: a, b"):
        make_map(store, asked(grid=box, **day))
    with pytest.raises(ConfigError, match="no CO2 source 'c'"):
        make_map(store, asked(grid=box, **day, source="c"))
    store.write(make_table(20, source="a", seed=2, profiles=False, scale=["WMO-CO2-X2019"] * 20))
    for method in ("bin", "kriging"):
        with pytest.raises(
            ScaleError, match=r"several calibration scales: X2007 \(20 rows\), X2019 \(20 rows\)"
        ):
            make_map(store, asked(grid=box, **day, method=method, source="a"))


def test_settings_are_checked():
    for change, match in (
        ({"method": "idw"}, "'bin', 'kriging' or 'frk'"),
        ({"stop": "2020-06-01"}, "stop after start"),
        ({"window_days": 0.0}, "window_days"),
        ({"folds": 1}, "folds must be 0 or at least 2"),
    ):
        with pytest.raises(ValueError, match=match):
            asked(**change)


def test_datasets_are_checked():
    field = np.full((2, *GRID.shape), 410.0)
    good = {"value": field, "uncertainty": field * 0}
    keywords = {"method": "t", "attrs": {}}
    with pytest.raises(RangeError, match="spans 0.41 to 0.41 ppm"):
        column_map(GRID, DAYS, "CO2", {**good, "value": field * 1e-3}, **keywords)
    with pytest.raises(RangeError, match="must not be negative"):
        column_map(GRID, DAYS, "CO2", {**good, "uncertainty": -field}, **keywords)
    with pytest.raises(SchemaError, match="must have shape"):
        column_map(GRID, DAYS, "CO2", {**good, "value": field[0]}, **keywords)
    with pytest.raises(SchemaError, match="needs value and uncertainty"):
        column_map(GRID, DAYS, "CO2", {"value": field}, **keywords)
    assert variable_of("CH4", "uncertainty") == "xch4_uncertainty"


def test_periods_shorter_than_a_day_have_their_own_files():
    assert stamp_of(np.datetime64("2020-06-04T00:00", "us")) == "2020-06-04"
    assert stamp_of(np.datetime64("2020-06-04T06:30", "us")) == "2020-06-04T0630"


def run(*args):
    app = typer.Typer()
    app.command()(grid.function())
    return CliRunner().invoke(app, [str(a) for a in args])


def test_command(store, tmp_path):
    common = (
        "--species",
        "CO2",
        "--grid",
        "26,40,100,120,2",
        "--start",
        "2020-06-04",
        "--stop",
        "2020-06-06",
    )
    done = run(store.path, "--out", tmp_path / "a.nc", *common, "--geotiff", tmp_path / "t")
    assert done.exit_code == 0, done.output
    assert "columns against the others of their cell" in done.output
    assert done.output.count("written: ") == 3
    data = run(
        store.path, "--out", tmp_path / "b.nc", *common, "--method", "kriging", "--folds", "3", "--json"
    )
    report = json.loads(data.output)
    assert report["variogram"]["fitted_to"].endswith("held-out block means")
    assert 0.5 < report["variogram"]["error_scale"] < 2
    assert 0.8 < report["widened"] < 1.3
    assert report["cross_validation"]["n"] == 278
    assert report["files"] == [str(tmp_path / "b.nc")]
    wrong = run(store.path, "--out", tmp_path / "c.nc", *common, "--method", "idw")
    assert isinstance(wrong.exception, ConfigError)
    assert not (tmp_path / "c.nc").exists()


def test_stage(store, tmp_path):
    case = Case(tmp_path, tmp_path, RunOptions(name="t", out="."))
    options = GridTable(
        store=str(store.path),
        out="m/x.nc",
        species="CO2",
        grid="26,40,100,120,2",
        start="2020-06-04",
        stop="2020-06-05",
        geotiff=True,
    )
    result = STAGE.run(options, case)
    assert result.outputs == (tmp_path / "m/x.nc",)
    assert result.summary["observations"] > 10
    assert sorted(p.suffix for p in (tmp_path / "m").iterdir()) == [".nc", ".tif"]


def test_what_neighbours_share_is_found_by_held_out_blocks():
    """Noise of one number a square of 3 degrees, which the columns state as their own, and noise that is."""
    rng = np.random.default_rng(1)
    lat, lon = rng.uniform(15, 45, 500), rng.uniform(80, 120, 500)
    square = np.unique(np.floor([lat / 3, lon / 3]), axis=1, return_inverse=True)[1].ravel()
    given = MapSettings(
        species="CO2",
        grid="15,45,80,120,0.5",
        start="2020-06-01",
        stop="2020-06-02",
        method="frk",
        spacing_km=(2400.0, 1500.0),
        folds=3,
    )
    when = np.full(500, np.datetime64("2020-06-01T12", "us"))
    share = {}
    for name, noise in (("shared", rng.normal(size=square.max() + 1)[square]), ("own", rng.normal(size=500))):
        columns = Columns(lat, lon, when, 400.0 + noise, np.ones(500))
        mapper = FixedRankMapper(columns, given)
        scores = mapper.validate(columns)
        assert all(0.9 <= s.coverage95 <= 1.0 for s in scores)
        share[name] = mapper.shared[0]
    assert share["shared"] >= 0.4
    assert share["own"] <= 0.1
