"""From files to fields: completion, the same answer from any layout, and errors that say what is wrong."""

from __future__ import annotations

import re

import netCDF4
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from obsnet.constants import GRAVITY, R_DRY_AIR
from obsnet.errors import FormatError, GridError, MissingVariableError, RangeError, UnitError
from obsnet.met import Met, build_met, open_met
from tests.obsnet.met.worlds import ISOTHERMAL, LEVELS, era5

SCALE = R_DRY_AIR * ISOTHERMAL / GRAVITY


def test_an_isothermal_world_comes_out_as_it_is(tmp_path):
    met = open_met([era5(tmp_path / "a.nc")], vertical="file")
    assert (met.start, met.stop, met.step) == (
        np.datetime64("2020-06-01T00"),
        np.datetime64("2020-06-01T02"),
        3600.0,
    )
    assert met.bounds == (21.0, 30.0, 100.0, 111.0)
    np.testing.assert_allclose(
        met.state[..., 0],
        np.broadcast_to(101325 * np.exp(-met.height / SCALE), met.state.shape[:4]),
        rtol=2e-4,
    )
    np.testing.assert_allclose(met.state[..., 1], ISOTHERMAL, rtol=1e-5)
    np.testing.assert_allclose(met.wind[..., 3], met.state[..., 0] / (R_DRY_AIR * ISOTHERMAL), rtol=1e-4)
    aloft = met.height > 400.0
    np.testing.assert_allclose(met.wind[..., aloft, 0], 10.0, rtol=1e-5)
    np.testing.assert_allclose(met.wind[..., aloft, 1], -5.0, rtol=1e-5)
    np.testing.assert_allclose(met.wind[..., 2], 0.0, atol=1e-5)
    np.testing.assert_allclose(met.surface[..., 0], 800.0)
    np.testing.assert_allclose(met.surface[..., 2], 0.3)
    assert np.all(met.surface[..., 3] < 0)  # ECMWF's -120 W m-2 is upward: unstable
    np.testing.assert_allclose(met.terrain, 0.0, atol=0.5)


def test_pressure_velocity_becomes_height_velocity(tmp_path):
    path = era5(tmp_path / "a.nc", change=lambda n, v: v - 0.5 if n == "w" else v)
    met = open_met([path], vertical="file")
    aloft = met.height > 500.0
    expected = 0.5 / (met.wind[..., aloft, 3] * GRAVITY)
    np.testing.assert_allclose(met.wind[..., aloft, 2], expected, rtol=0.07)  # 100 hPa between levels aloft


def test_latitude_order_longitude_convention_and_file_splits_do_not_matter(tmp_path):
    def vary(name, values):
        if name != "u":
            return values
        return values + np.arange(values.shape[-2])[:, None] + 0.1 * np.arange(values.shape[-1])

    whole = open_met([era5(tmp_path / "a.nc", change=vary)])
    lat = np.arange(30.0, 20.0, -1.0)
    up = era5(
        tmp_path / "b.nc", lat=lat[::-1], change=lambda n, v: vary(n, v)[..., ::-1, :] if n == "u" else v
    )
    for other in (
        open_met([up]),
        open_met([era5(tmp_path / "c.nc", lon=np.arange(100.0, 112.0) - 360.0, change=vary)]),
        open_met([era5(tmp_path / "d.nc", levels=LEVELS[::-1], change=vary)]),
        open_met([era5(tmp_path / f"e{h}.nc", hours=(h,), change=vary) for h in (2, 0, 1)]),
        open_met(
            [
                era5(tmp_path / "f.nc", only={"u", "v", "w", "t", "q", "z"}, change=vary),
                era5(tmp_path / "g.nc", only={"sp", "t2m", "u10", "v10", "blh", "zust", "ishf"}),
            ]
        ),
    ):
        np.testing.assert_array_equal(other.lat, whole.lat)
        np.testing.assert_allclose(other.lon, whole.lon)
        np.testing.assert_allclose(other.wind, whole.wind, rtol=1e-5, atol=1e-5)
        np.testing.assert_allclose(other.surface, whole.surface, rtol=1e-5)


def test_pressures_in_pascal_and_percent_humidity(tmp_path):
    path = era5(tmp_path / "a.nc", drop=("q",))
    with netCDF4.Dataset(path, "a") as data:
        data["level"][:] = 100.0 * data["level"][:]
        data["level"].units = "Pa"
        variable = data.createVariable("r", "f4", ("time", "level", "latitude", "longitude"))
        variable.units = "%"
        variable[:] = 50.0
    met = open_met([path])
    # Saturation over water at 270 K is 4.9 hPa (Bolton): half of it at the ground.
    assert met.state[0, 0, 0, 5, 2] == pytest.approx(0.622 * 2.43 / 1013, rel=0.03)


def test_the_dateline_is_no_edge(tmp_path):
    met = open_met(
        [era5(tmp_path / "a.nc", lon=np.concatenate([np.arange(175.0, 180.0), np.arange(-180.0, -174.0)]))]
    )
    assert met.bounds[2:] == (175.0, 185.0)
    assert met.inside(25.0, -178.0)
    assert not met.inside(25.0, 170.0)
    assert met.profile("2020-06-01T00:30", 25.0, -178.5)["u"].shape == (1, met.height.size)


@settings(max_examples=20)
@given(st.floats(21.0, 30.0), st.floats(100.0, 111.0), st.floats(0.0, 7200.0))
def test_profiles_are_linear_between_nodes(lat, lon, second):
    met = world()
    moment = np.datetime64("2020-06-01", "us") + np.timedelta64(round(second * 1e6), "us")
    found = met.profile(moment, lat, lon)["u"][0]
    np.testing.assert_allclose(
        found, 0.5 * lat + 0.2 * lon + second / 3600.0 + met.height / 1000.0, rtol=1e-5
    )


def world():
    from obsnet.met.vertical import level_heights
    from obsnet.times import to_epoch

    lat, lon, z = np.arange(21.0, 31.0), np.arange(100.0, 112.0), level_heights(8000.0, 12)
    times = float(to_epoch(np.datetime64("2020-06-01"))) + 3600.0 * np.arange(3)
    wind = np.zeros((3, 10, 12, 12, 4), np.float32)
    wind[..., 0] = (
        0.5 * lat[:, None, None] + 0.2 * lon[:, None] + z / 1000.0 + np.arange(3)[:, None, None, None]
    )
    shape = wind.shape[:4]
    return Met(
        times,
        lat,
        lon,
        z,
        wind,
        np.ones((*shape, 3), np.float32),
        np.ones((*shape[:3], 6), np.float32),
        np.zeros((10, 12), np.float32),
    )


def test_points_and_times_outside_are_named():
    met = world()
    with pytest.raises(RangeError, match=r"1 of 2 points are outside the meteorology, the first at 40.000 N"):
        met.profile("2020-06-01T01", [25.0, 40.0], 105.0)
    with pytest.raises(RangeError, match=r"times are outside the meteorology, the first 2020-06-02"):
        met.profile("2020-06-02", 25.0, 105.0)


def test_fields_of_the_wrong_shape_are_refused():
    met = world()
    with pytest.raises(FormatError, match=r"Met.wind must have shape"):
        Met(met.times, met.lat, met.lon, met.height, met.wind[:2], met.state, met.surface, met.terrain)


def test_saved_fields_come_back_and_are_not_prepared_twice(tmp_path, monkeypatch):
    from contextlib import contextmanager

    from obsnet.met import build

    told = []

    @contextmanager
    def counted(total, _what):
        yield lambda n: told.append((n, total))

    monkeypatch.setattr(build, "progress", counted)
    path = era5(tmp_path / "a.nc")
    first = build_met([path], tmp_path / "met")
    again = build_met([path], tmp_path / "met")
    assert told == [(1, 3)] * 3
    np.testing.assert_array_equal(first.wind, again.wind)
    assert not isinstance(again.wind, np.memmap)
    assert again.wind.base is not None  # still a map of the file
    build_met([path], tmp_path / "met", levels=20)
    assert len(told) == 6
    np.testing.assert_allclose(open_met([path]).surface, first.surface)


def test_jobs_that_prepare_the_same_fields_at_once(tmp_path, monkeypatch):
    """Another job ends first: its fields are taken, nothing of ours is left beside them."""
    from obsnet.met import build

    path, folder = era5(tmp_path / "a.nc"), tmp_path / "out" / "met"
    inner, made = build._build, []

    def slower(*arguments):
        monkeypatch.setattr(build, "_build", inner)
        build_met([path], folder)
        made.append((folder / "wind.npy").stat().st_ino)
        return inner(*arguments)

    monkeypatch.setattr(build, "_build", slower)
    found = build_met([path], folder)
    assert found.times.size == 3
    assert (folder / "wind.npy").stat().st_ino == made[0]
    assert [p.name for p in folder.parent.iterdir()] == ["met"]
    assert build_met([path], folder, levels=20).height.size == 20


def test_nothing_is_left_of_fields_that_failed(tmp_path):
    path = era5(tmp_path / "a.nc", change=lambda name, v: v - 300 if name == "t" else v)
    with pytest.raises(RangeError):
        build_met([path], tmp_path / "out" / "met")
    assert list((tmp_path / "out").iterdir()) == []


def test_a_folder_that_holds_nothing_or_another_version(tmp_path):
    with pytest.raises(FormatError, match="no prepared meteorology"):
        Met.load(tmp_path)
    (tmp_path / "met.json").write_text('{"version": 0}')
    with pytest.raises(FormatError, match="another version"):
        Met.load(tmp_path)


def test_bounds_and_period_are_cut_with_a_margin(tmp_path):
    path = era5(tmp_path / "a.nc", hours=range(10))
    met = open_met(
        [path], bounds=(23.5, 26.0, 103.0, 106.5), start="2020-06-01T03:30", stop="2020-06-01T05:00"
    )
    assert met.lat[0] <= 23.5 < met.lat[1]
    assert met.lon[-2] < 106.5 <= met.lon[-1]
    assert (met.start, met.stop) == (np.datetime64("2020-06-01T03"), np.datetime64("2020-06-01T05"))


@pytest.mark.parametrize(
    ("drop", "text"),
    [
        (("u",), r"no wind on levels|without eastward wind"),
        (("w",), r"without pressure vertical velocity or vertical velocity \(omega/w\); found"),
        (("t",), "without temperature"),
        (("sp",), "surface pressure"),
        (("z",), "without terrain"),
    ],
)
def test_missing_variables_are_named(tmp_path, drop, text):
    with pytest.raises(MissingVariableError, match=text):
        open_met([era5(tmp_path / "a.nc", drop=drop)])


def test_what_is_assumed_is_noted(tmp_path):
    met = open_met([era5(tmp_path / "a.nc", drop=("zust", "ishf", "blh", "u10", "v10", "t2m", "q"))])
    notes = "\n".join(met.meta["notes"])
    for word in (
        "friction velocity",
        "heat flux",
        "boundary-layer height",
        "10 m wind",
        "2 m temperature",
        "humidity",
    ):
        assert word in notes
    assert met.surface[..., 2].min() > 0.1  # a friction velocity from the lowest wind


def test_missing_hours_name_the_gap(tmp_path):
    with pytest.raises(
        FormatError, match=r"every 1 h but 2020-06-01T02:00:00.000000 is followed by 2020-06-01T04"
    ):
        open_met([era5(tmp_path / "a.nc", hours=(0, 1, 2, 4, 5))])


def test_more_files_than_may_be_open(tmp_path, monkeypatch):
    from obsnet.met.readers import netcdf

    monkeypatch.setattr(netcdf.Datasets.__init__, "__defaults__", (2,))
    files = [era5(tmp_path / f"{h}.nc", hours=(h,)) for h in range(5)]
    assert open_met(files).times.size == 5


def test_a_variable_missing_at_one_time(tmp_path):
    files = [era5(tmp_path / "a.nc", hours=(0, 1)), era5(tmp_path / "b.nc", hours=(2,), drop=("t",))]
    with pytest.raises(
        FormatError, match=r"temperature is missing at 2020-06-01T02:00:00; it is there at 2 of 3 times"
    ):
        open_met(files)


def test_a_level_missing_from_one_variable(tmp_path):
    winds = era5(tmp_path / "a.nc", drop=("t",))
    fewer = era5(tmp_path / "b.nc", only=("t",), levels=LEVELS[1:])
    with pytest.raises(
        FormatError, match=r"b.nc: the vertical levels of 't' \(12\) differ from .*a.nc \(13\)"
    ):
        open_met([winds, fewer])
    import xarray as xr

    with xr.open_dataset(winds, engine="netcdf4") as a, xr.open_dataset(fewer, engine="netcdf4") as b:
        xr.merge([a, b[["t"]].rename(level="plev2")]).to_netcdf(tmp_path / "c.nc")
    with pytest.raises(FormatError, match=r"c.nc: variable 't' stands on 'plev2' with 12 entries"):
        open_met([tmp_path / "c.nc"])


def test_the_same_time_twice(tmp_path):
    with pytest.raises(FormatError, match=r"is also in .*a.nc; give each time once"):
        open_met([era5(tmp_path / "a.nc"), era5(tmp_path / "b.nc", hours=(2,))])


def test_two_resolutions(tmp_path):
    files = [era5(tmp_path / "a.nc"), era5(tmp_path / "b.nc", hours=(3,), lat=np.arange(30, 20, -0.5))]
    with pytest.raises(GridError, match=r"b.nc: grid of 20 x 12 differs from .*a.nc \(10 x 12\)"):
        open_met(files)


def test_periods_and_domains_that_are_too_small(tmp_path):
    path = era5(tmp_path / "a.nc")
    with pytest.raises(
        RangeError,
        match=r"covers 2020-06-01T00.* to 2020-06-01T02.*; asked for 2020-06-01T00.* to 2020-06-02",
    ):
        open_met([path], start="2020-06-01", stop="2020-06-02")
    with pytest.raises(GridError, match=r"too small: south 10 is beyond 21, east 130 is beyond 111"):
        open_met([path], bounds=(10.0, 30.0, 100.0, 130.0))


def edge_nan(name, values):
    values[..., 0, :] = np.nan
    values[..., :, -1] = np.nan
    return values


def test_nan_edges_are_refused_or_cut_when_asked(tmp_path):
    path = era5(tmp_path / "a.nc", change=edge_nan)
    with pytest.raises(RangeError, match=r"nodes at the edge .* are NaN; to cut off 1 rows at the start"):
        open_met([path])
    met = open_met([path], trim=True)
    assert met.bounds == (21.0, 29.0, 100.0, 110.0)
    assert any("NaN edges cut off" in note for note in met.meta["notes"])


def test_nan_inside_is_refused_even_when_trimming(tmp_path):
    def hole(_name, values):
        values[..., 5, 5] = np.nan
        return values

    with pytest.raises(RangeError, match="1 of .* nodes inside the meteorological domain are NaN"):
        open_met([era5(tmp_path / "a.nc", change=hole)], trim=True)


def test_values_outside_physics_name_variable_time_and_range(tmp_path):
    path = era5(tmp_path / "a.nc", change=lambda n, v: v - 273.15 if n == "t" else v)
    with pytest.raises(RangeError, match=r"temperature at 2020-06-01T00.* spans -3.15.* outside 130 to 350"):
        open_met([path])


def test_units_that_are_missing_or_wrong(tmp_path):
    with pytest.raises(UnitError, match=r"a.nc: variable 'u' \(eastward wind\) has no units attribute"):
        open_met([era5(tmp_path / "a.nc", units={"u": None})])
    with pytest.raises(UnitError, match=r"variable 'sp': surface pressure in 'K': expected Pa"):
        open_met([era5(tmp_path / "b.nc", units={"sp": "K"})])


def test_other_units_are_converted(tmp_path):
    path = era5(tmp_path / "a.nc", units={"u": "km/h"}, change=lambda n, v: v * 3.6 if n == "u" else v)
    met = open_met([path])
    np.testing.assert_allclose(met.wind[..., 30, 0], 10.0, rtol=1e-4)


def test_files_that_are_not_meteorology(tmp_path):
    (tmp_path / "a.nc").write_text("not a netCDF file, only named like one")
    with pytest.raises(FormatError, match="neither netCDF, GRIB nor ARL; it begins with"):
        open_met([tmp_path / "a.nc"])
    with pytest.raises(FormatError, match=r"cannot be opened \(No such file"):
        open_met([tmp_path / "absent.nc"])
    with pytest.raises(FormatError, match="no meteorological file"):
        open_met([])
    whole = era5(tmp_path / "b.nc").read_bytes()
    (tmp_path / "c.nc").write_bytes(whole[: len(whole) // 3])
    with pytest.raises(FormatError, match=r"c.nc: cannot be read as netCDF"):
        open_met([tmp_path / "c.nc"])


def test_a_leap_second_is_no_time(tmp_path):
    path = era5(tmp_path / "a.nc")
    with netCDF4.Dataset(path, "a") as data:
        data["time"].units = "hours since 2016-12-31 23:59:60"
    with pytest.raises(FormatError, match=r"time 'hours since 2016-12-31 23:59:60' .* cannot be read"):
        open_met([path])


def test_fields_that_end_too_low(tmp_path):
    with pytest.raises(RangeError, match="3000 m are needed at least"):
        open_met([era5(tmp_path / "a.nc", levels=LEVELS[:5])])


@pytest.mark.parametrize(
    ("names", "units", "seconds", "note"),
    [
        (("sshf", "ewss", "nsss"), ("J m**-2", "N m**-2 s"), 3600.0, r"windows that were said \(hour\)"),
        (("avg_ishf", "avg_iews", "avg_inss"), ("W m**-2", "N m**-2"), 1.0, "over the interval before"),
        (("msshf", "metss", "mntss"), ("W m**-2", "N m**-2"), 1.0, "over the interval before"),
    ],
)
def test_fluxes_of_the_hour_before_are_divided_and_centred(tmp_path, names, units, seconds, note):
    """ERA5: sums or means over the hour before; a time takes the mean of the hour before and the hour after."""
    path = era5(tmp_path / "a.nc", drop=("ishf", "zust"))
    sums = np.array([100.0, 200.0, 400.0])
    with netCDF4.Dataset(path, "a") as data:
        values = (-seconds * sums, seconds * 0.1 * np.ones(3), np.zeros(3))
        for name, unit, value in zip(names, (units[0], units[1], units[1]), values, strict=True):
            variable = data.createVariable(name, "f4", ("time", "latitude", "longitude"))
            variable.units = unit
            variable[:] = value[:, None, None]
    met = open_met([path], accumulated="hour")
    ustar = met.surface[:, 0, 0, 2]
    np.testing.assert_allclose(ustar, np.sqrt(0.1 / (101325 / (R_DRY_AIR * ISOTHERMAL))), rtol=1e-3)
    # 1/L is linear in the flux.
    flux = -met.surface[:, 0, 0, 3] * ustar**3
    np.testing.assert_allclose(flux / flux[0], np.array([150.0, 300.0, 400.0]) / 150.0, rtol=1e-4)
    assert any(re.search(note, n) for n in met.meta["notes"])


def test_real_era5_of_the_sample(sample_data):
    files = sorted((sample_data / "transport" / "mptrac_era5").glob("era5_*.nc"))
    with pytest.raises(RangeError, match="72 nodes at the edge"):
        open_met(files)
    met = open_met(files, trim=True)
    assert met.lat.size == 26
    assert met.times.size == 3
    assert 45.0 < met.lat[0] < met.lat[-1] < 50.0
    column = met.profile("2025-05-01T01:00", 47.5, 11.0)
    # Surface pressure, humidity and boundary layer of an Alpine night.
    assert 86000 < column["pressure"][0, 0] < 90000
    assert 0.003 < column["humidity"][0, 0] < 0.007
    assert 10.0 <= column["blh"][0] < 100.0
    rise = -np.gradient(np.log(column["pressure"][0]), met.height)
    tv = column["temperature"][0] * (1 + 0.608 * column["humidity"][0])
    np.testing.assert_allclose(rise[5:35], GRAVITY / (R_DRY_AIR * tv[5:35]), rtol=0.05)  # hydrostatic


def test_arl_named_netcdf_without_units(sample_data):
    met = open_met(
        [sample_data / "transport" / "met" / "synt.nc"], start="2024-04-02T05:00", stop="2024-04-02T06:00"
    )
    column = met.profile("2024-04-02T06:00", 39.9, 116.4)
    assert column["pressure"][0, 0] == pytest.approx(100300.0, rel=1e-4)
    assert column["blh"][0] == pytest.approx(1787.97, rel=1e-4)
    assert column["ustar"][0] == pytest.approx(0.45)
    assert column["inverse_obukhov"][0] < 0  # SHTF is upward


def test_a_sample_without_surface_fields(sample_data):
    with pytest.raises(MissingVariableError, match=r"without .*surface pressure .*; found"):
        open_met([sample_data / "transport" / "grib" / "era5_pl_9lev_3times.nc"])
