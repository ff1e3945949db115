"""STILT, X-STILT and PYSTILT files."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from inversion.transport.conversion.levels import weigh_levels
from inversion.transport.files.footprint import UNIT
from inversion.transport.files.summary import summary
from inversion.transport.readers import ReaderOptions, Receptor, open_footprints, read
from inversion.transport.readers.stilt import parse_name
from obsnet.errors import ConfigError, FormatError, GridError, UnitError
from obsnet.grid import Grid
from tests.inversion.transport import formats
from tests.inversion.transport.formats import GRID, LAT, LON, RECEPTOR, T0

NAME = "202404020600_113.3_33.4_25_foot.nc"
HOUR = np.timedelta64(1, "h")


@pytest.mark.parametrize(
    ("name", "total"),
    [("100", 1.88), ("100_rep2", 1.56), ("1000", 1.58), ("2000", 1.528), ("2000_nosmooth", 1.528)],
)
def test_real_pystilt_totals(sample_data, name, total):
    # The data's README: 1.56-1.88 (100 particles), 1.58 (1000), 1.528 (2000).
    data = read(sample_data / f"transport/stilt_synthetic/synt_surf_{name}_foot.nc")
    assert float(data.sensitivity.sum()) == pytest.approx(total, abs=0.006)
    assert data.sizes["step"] == 24
    assert data.receptor_lat.item() == 39.9
    assert data.receptor_time.values[0] == np.datetime64("2024-04-02T06")
    assert data.step_start.values.min() == np.datetime64("2024-04-01T06")
    assert data.step_end.values.max() == np.datetime64("2024-04-02T06")


def test_stilt_hours_begin_and_receptor_comes_from_the_name(tmp_path):
    values = formats.field(1, 6)
    data = read(formats.stilt(tmp_path / NAME, values))
    np.testing.assert_array_equal(data.sensitivity.values[0], values)
    assert data.sensitivity.attrs["units"] == UNIT
    assert data.step_end.values[0, -1] == T0
    assert data.step_start.values[0, 0] == T0 - 6 * HOUR
    assert (data.receptor_lat.item(), data.receptor_lon.item(), data.receptor_height.item()) == (
        33.4,
        113.3,
        25.0,
    )
    assert data.attrs["weighting"] == "none"
    np.testing.assert_allclose(data.lat, LAT)


@given(st.booleans(), st.booleans(), st.booleans())
def test_any_order_of_rows_and_columns_is_the_same_footprint(tmp_path_factory, north_first, swap, wrapped):
    values = formats.field(2, 3)
    lat, lon = (LAT[::-1] if north_first else LAT), (LON + 360 if wrapped else LON)
    stored = values[:, ::-1] if north_first else values
    path = formats.stilt(tmp_path_factory.mktemp("s") / NAME, stored, lat=lat, lon=lon, swap=swap)
    np.testing.assert_array_equal(read(path).sensitivity.values[0], values)


@pytest.mark.parametrize("unit", ["ppm (umol-1 m2 s)", "ppm m2 s umol-1", "ppm / (umol m-2 s-1)"])
def test_both_spellings_of_the_unit(tmp_path, unit):
    values = formats.field(3, 2)
    np.testing.assert_array_equal(
        read(formats.stilt(tmp_path / NAME, values, unit=unit)).sensitivity.values[0], values
    )


def test_another_unit_is_converted(tmp_path):
    values = formats.field(3, 2)
    data = read(formats.stilt(tmp_path / NAME, values, unit="ppb / (umol m-2 s-1)"))
    np.testing.assert_allclose(data.sensitivity.values[0], values * 1e-3, rtol=1e-6)


@pytest.mark.parametrize(
    ("unit", "text"),
    [
        (None, r"'foot' has no unit; if you know it, say so .*--unit"),
        ("furlong", "furlong"),
        ("mol m-2 s-1", "dimensions differ"),
    ],
)
def test_unknown_units_are_refused(tmp_path, unit, text):
    path = formats.stilt(tmp_path / NAME, formats.field(3, 2), unit=unit)
    with pytest.raises(UnitError, match=text):
        read(path)
    assert read(path, ReaderOptions(unit="ppm m2 s umol-1")).sensitivity.sum() > 0


def test_a_single_layer_at_the_receptors_time_is_integrated(tmp_path):
    values = formats.field(4, 1)
    data = read(formats.stilt(tmp_path / NAME, values, times=np.array([T0])))
    assert data.resolved.values.tolist() == [False]
    assert np.isnat(data.step_start.values).all()
    hour = read(formats.stilt(tmp_path / NAME, values))
    assert hour.resolved.values.tolist() == [True]


def test_latitude_first_in_the_name_is_understood(tmp_path):
    data = read(formats.stilt(tmp_path / "202404020600_33.4_113.3_25_foot.nc", formats.field(5, 2)))
    assert (data.receptor_lat.item(), data.receptor_lon.item()) == (33.4, 113.3)


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("foot.nc", r"stands only in its name.*--receptor TIME,LAT,LON,HEIGHT"),
        ("202404020600_13.3_3.4_25_foot.nc", r"\(13.3, 3.4\) lies outside the footprint's Grid"),
        ("202413020600_113.3_33.4_25_foot.nc", "202413020600 in the name is no time"),
        ("202404020300_113.3_33.4_25_foot.nc", "not after the beginning of the last hour"),
    ],
)
def test_names_that_do_not_fit(tmp_path, name, text):
    with pytest.raises(FormatError, match=text):
        read(formats.stilt(tmp_path / name, formats.field(5, 3)))


def test_a_given_receptor_stands_in_for_the_name(tmp_path):
    path = formats.stilt(tmp_path / "foot.nc", formats.field(5, 2))
    data = read(path, ReaderOptions(receptor=Receptor(T0, 33.0, 113.0, 10.0)))
    assert data.receptor_height.item() == 10.0


def test_a_leap_second_is_no_receptor_time(tmp_path):
    path = formats.stilt(tmp_path / "foot.nc", formats.field(5, 2))
    with pytest.raises(ConfigError, match=r"23:59:60. is not a time"):
        read(path, ReaderOptions(receptor=Receptor("2016-12-31T23:59:60", 33.0, 113.0, 10.0)))


def test_missing_values_are_an_error_and_an_absent_footprint_is_counted(tmp_path):
    values = formats.field(6, 2)
    values[1, 3, 4] = -1.0
    with pytest.raises(FormatError, match=r"has 1 of 336 sensitivities missing"):
        read(formats.stilt(tmp_path / NAME, values))
    data = read(formats.stilt(tmp_path / NAME, np.full_like(values, -1.0)))
    assert data.sizes["receptor"] == 0
    assert data.attrs["missing_receptors"] == 1


def test_negative_sensitivities_of_a_point_are_refused(tmp_path):
    values = formats.field(6, 2)
    values[0, 0, 0] = -0.5
    with pytest.raises(FormatError, match=r"go down to -0.5; only a kernel-weighted column"):
        read(formats.stilt(tmp_path / NAME, values))


def test_uneven_hours_are_refused(tmp_path):
    times = T0 - HOUR * np.array([5.0, 3.5, 1.0]).astype("timedelta64[h]").astype(int)
    times[1] += np.timedelta64(1800, "s")
    with pytest.raises(FormatError, match="whole hours"):
        read(formats.stilt(tmp_path / NAME, formats.field(6, 3), times=times))


def test_a_cut_file_is_a_clear_error(tmp_path):
    path = formats.stilt(tmp_path / NAME, formats.field(6, 3))
    path.write_bytes(path.read_bytes()[:5000])
    with pytest.raises(FormatError, match="is the file cut off"):
        read(path)
    with pytest.raises(FormatError, match="cannot be read .No such file"):
        read(tmp_path / "nowhere.nc")


def test_a_column_of_x_stilt_must_be_declared_and_is_never_weighted_twice(tmp_path):
    path = formats.stilt(tmp_path / "202404020600_113.3_33.4_X_foot.nc", formats.field(7, 2))
    opened = open_footprints(path)
    assert opened.column
    assert opened.weighting == "unknown"
    assert "does not say whether averaging kernel" in opened.notes[0]
    assert np.isnan(opened.receptors["height_m"][0])
    for said, text in (
        (None, "not known whether it is"),
        ("kernel", r"it is already \(kernel\)"),
        ("pressure", "already"),
    ):
        with pytest.raises(FormatError, match=text):
            weigh_levels(read(path, ReaderOptions(weighting=said)), [1.0], ["a"])


def test_levels_become_a_column_once(tmp_path):
    data = read(formats.stilt(tmp_path / NAME, formats.field(8, 3)))
    import xarray as xr

    three = xr.concat([data.assign_coords(obs_id=("receptor", [f"l{k}"])) for k in range(3)], "receptor")
    three["sensitivity"] = three.sensitivity * xr.DataArray([1.0, 2.0, 4.0], dims="receptor").astype("f4")
    column = weigh_levels(three, [0.5, 0.25, 0.125], ["x", "x", "y"])
    assert column.obs_id.values.tolist() == ["x", "y"]
    np.testing.assert_allclose(column.sensitivity.values[0], data.sensitivity.values[0] * 1.0, rtol=1e-6)
    np.testing.assert_allclose(column.sensitivity.values[1], data.sensitivity.values[0] * 0.5, rtol=1e-6)
    assert column.attrs["weighting"] == "kernel"
    with pytest.raises(FormatError, match="already"):
        weigh_levels(column, [1, 1], ["x", "y"])
    with pytest.raises(GridError, match="one value a receptor"):
        weigh_levels(three, [1.0], ["x"])


LAEA = "+proj=laea +lat_0=33 +lon_0=113.5 +datum=WGS84 +units=m"
METRES = np.arange(-100_000.0, 100_001, 20_000)


def test_a_projected_footprint_keeps_its_sum_and_place(tmp_path):
    values = formats.field(9, 2, (METRES.size, METRES.size))
    path = formats.stilt(tmp_path / NAME, values, lat=METRES, lon=METRES, crs=LAEA)
    grid = Grid.regular(31, 35, 111, 116, 0.1, 0.1)
    data = read(path, ReaderOptions(grid=grid))
    np.testing.assert_allclose(data.sensitivity.sum(("lat", "lon")).values[0], values.sum((1, 2)), rtol=1e-5)
    # A single cell in the middle of the projection stays around 33 N, 113.5 E.
    one = np.zeros_like(values)
    one[:, 5, 5] = 1.0
    data = read(
        formats.stilt(tmp_path / NAME, one, lat=METRES, lon=METRES, crs=LAEA), ReaderOptions(grid=grid)
    )
    weight = data.sensitivity.values[0, 0]
    assert np.average(data.lat.values, weights=weight.sum(1)) == pytest.approx(33.0, abs=0.02)
    assert np.average(data.lon.values, weights=weight.sum(0)) == pytest.approx(113.5, abs=0.02)


def test_projected_grids_without_a_projection_or_a_target(tmp_path):
    values = formats.field(9, 2, (METRES.size, METRES.size))
    path = formats.stilt(tmp_path / NAME, values, lat=METRES, lon=METRES)
    with pytest.raises(GridError, match="projected grid.*but the file has no projection"):
        read(path)
    path = formats.stilt(tmp_path / NAME, values, lat=METRES, lon=METRES, crs=LAEA)
    with pytest.raises(GridError, match="give the latitude-longitude grid"):
        read(path)
    with pytest.raises(GridError, match="projected cells reach outside"):
        read(path, ReaderOptions(grid=Grid.regular(33, 35, 111, 116, 1, 1)))
    path = formats.stilt(tmp_path / NAME, values, lat=METRES, lon=METRES, crs="+proj=nonsense")
    with pytest.raises(GridError, match="cannot be read"):
        read(path, ReaderOptions(grid=Grid.regular(31, 35, 111, 116, 1, 1)))


def test_pystilt_parquet_is_the_same_footprint(tmp_path):
    values = formats.field(10, 5)
    data = read(formats.pystilt_parquet(tmp_path / "a.parquet", values))
    np.testing.assert_array_equal(data.sensitivity.values[0], values)
    assert data.step_end.values[0, -1] == T0
    assert data.receptor_height.item() == 25.0
    stilt = read(formats.stilt(tmp_path / NAME, values))
    for name in ("step_start", "step_end", "receptor_time", "obs_id"):
        assert (data[name].values == stilt[name].values).all(), name


@pytest.mark.parametrize(
    ("transforms", "weighting"),
    [
        ((), "none"),
        (("pressure_weighting",), "pressure"),
        (("pressure_weighting", "averaging_kernel"), "kernel"),
    ],
)
def test_pystilt_says_what_was_weighted(tmp_path, transforms, weighting):
    column = RECEPTOR | {"kind": "column", "bottom": 0.0, "top": 3000.0}
    opened = open_footprints(
        formats.pystilt_parquet(
            tmp_path / "a.parquet", formats.field(1, 2), receptor=column, transforms=transforms
        )
    )
    assert opened.column
    assert opened.weighting == weighting


def test_pystilt_integrated_empty_and_transformed(tmp_path):
    one = read(formats.pystilt_parquet(tmp_path / "a.parquet", formats.field(1, 1), integrate=True))
    assert one.resolved.values.tolist() == [False]
    none = read(formats.pystilt_parquet(tmp_path / "b.parquet", np.zeros((1, 12, 14)), empty=True))
    assert float(none.sensitivity.sum()) == 0.0
    assert "no particle reached the grid" in none.attrs["notes"]
    loss = open_footprints(
        formats.pystilt_parquet(tmp_path / "c.parquet", formats.field(1, 1), transforms=("lifetime",))
    )
    assert "transformed before gridding: lifetime" in loss.notes[0]


@pytest.mark.parametrize(
    ("kwargs", "error", "text"),
    [
        ({"receptor": RECEPTOR | {"kind": "ship"}}, FormatError, "receptor kind 'ship' is not known"),
        ({"grid": GRID | {"crs": "EPSG:32650"}}, GridError, "write it as netCDF"),
        (
            {"grid": {k: v for k, v in GRID.items() if k != "xres"}},
            FormatError,
            "grid in its settings lacks 'xres'",
        ),
        ({"grid": GRID | {"xmax": 112.0}}, FormatError, "outside the hours or the grid"),
        ({"receptor": RECEPTOR | {"altitude": -5.0}}, FormatError, "-5 m is below ground"),
        ({"receptor": RECEPTOR | {"latitude": 95.0}}, FormatError, "is nowhere"),
    ],
)
def test_pystilt_that_contradicts_itself(tmp_path, kwargs, error, text):
    path = formats.pystilt_parquet(tmp_path / "a.parquet", formats.field(1, 2), **kwargs)
    with pytest.raises(error, match=text):
        read(path)


def test_emulated_footprints_come_through_the_same_door(tmp_path):
    path = formats.stilt(tmp_path / NAME, formats.field(1, 2))
    assert summary(open_footprints(path, ReaderOptions(emulated=True)))["kind"] == "emulated"
    assert read(path, ReaderOptions(emulated=True)).attrs["kind"] == "emulated"


def test_parse_name_takes_longitude_first_where_both_fit(tmp_path):
    grid = Grid.regular(0, 90, 0, 90, 1, 1)
    receptor, column = parse_name(tmp_path / "2024040206_40_30_X_foot.nc", grid)
    assert (receptor.longitude, receptor.latitude, column) == (40.0, 30.0, True)


def test_a_file_of_no_known_make(tmp_path):
    (tmp_path / "a.txt").write_text("no footprint")
    with pytest.raises(FormatError, match=r"no footprint format known here \(other\); formats: store, cf"):
        read(tmp_path / "a.txt")
    with pytest.raises(ConfigError, match="no footprint format 'stlt'; nearest: 'stilt'"):
        read(tmp_path / "a.txt", ReaderOptions(format="stlt"))
