"""ObsPack netCDF: where the two dialects look alike and differ."""

from __future__ import annotations

import netCDF4
import numpy as np
import pytest

from obsnet.errors import ConfigError, FormatError
from obsnet.schema import Quality
from stations import read
from stations.readers.netcdf import File
from stations.record.summary import summary
from tests.stations.dialects import simple
from tests.stations.dialects_netcdf import obspack


def test_cabauw_207_m(sample_data):
    record = read(sample_data / "stations/obspack_icos/co2_cbw_tower-insitu_445_allvalid-207magl.nc")
    found = summary(record)
    assert (found["rows"], found["format"], found["interval"]) == (198_752, "obspack_icos", "middle")
    assert (found["unit"], found["scale"], found["site"]) == ("ppm", "WMO CO2 X2019", "CBW")
    assert found["flags"] == {"O": 194_829, "U": 3_923}
    # the stamp is the midpoint, start_time the start
    assert record["time"].values[0] == np.datetime64("1992-10-23T13:30")
    assert record["time_start"].values[0] == np.datetime64("1992-10-23T13:00")
    assert record["time_end"].values[0] == np.datetime64("1992-10-23T14:00")
    assert (
        "6103 values of sd exactly 0 set to missing (a placeholder, not a perfect measurement)"
        in found["changes"]
    )
    assert "184817 counts of 0 set to missing (nobody counted; the values stand)" in found["changes"]
    assert np.nanmin(record["sd"].values) > 0
    # obs_flag declares its only meaningful value, 1, as the fill
    assert (record["obs_flag"].values == 1).all()
    assert found["quality"] == {"use": 198_752}
    levels, counts = np.unique(record["icos_datalevel"].values, return_counts=True)
    assert dict(zip(levels.tolist(), counts.tolist(), strict=True)) == {0: 184_817, 1: 3_923, 2: 10_012}


def test_cabauw_27_m_repeats_one_hour(sample_data):
    record = read(sample_data / "stations/obspack_icos/co2_cbw_tower-insitu_445_allvalid-27magl.nc")
    twice = np.flatnonzero(record["quality"].values & np.uint32(Quality.DUPLICATE))
    assert record["time"].values[twice].tolist() == [np.datetime64("2022-09-09T00:30", "ns").astype(int)]
    assert summary(record)["mean_good"] == pytest.approx(411.39, abs=0.005)


def test_estevan_point_mole_fractions_and_fills(sample_data):
    record = read(sample_data / "stations/obspack/ch4_esp_surface-flask_2_representative.nc")
    found = summary(record)
    assert (found["rows"], found["format"], found["interval"], found["unit"]) == (
        109,
        "obspack_noaa",
        "instant",
        "ppb",
    )
    assert (
        1760 < np.nanmin(record["value"].values) < np.nanmax(record["value"].values) < 1870
    )  # stored in mol mol-1
    assert np.isnan(record["sd"].values).sum() == 13  # -99.99 in a mol mol-1 variable
    assert np.nanmin(record["sd"].values) > 0.05
    assert found["changes"] == []


def test_boulder_tower_hours_begin_at_their_stamp(sample_data):
    record = read(sample_data / "stations/obspack/ch4_bao_tower-insitu_1_ccgg_all.nc")
    found = summary(record)
    assert (found["interval"], found["interval_seconds"], found["scale"]) == (
        "start",
        3600.0,
        "WMO CH4 X2004A",
    )
    assert record["time"].values[0] == np.datetime64("2012-05-04T00:30")
    assert sorted(set(record["intake_height_m"].values)) == [22.0, 100.0, 300.0]
    assert not (record["quality"].values & np.uint32(Quality.DUPLICATE)).any()  # three heights an hour
    # value_unc of this file is documented as a standard deviation where nvalue exceeds 1
    single = record["n"].values == 1
    assert np.isnan(record["sd"].values[single]).all()
    assert np.isnan(record["uncertainty"].values[~single]).all()
    assert "4190 rows are preliminary (third flag character P)" in found["warnings"]


def test_strings_are_never_read(sample_data, monkeypatch):
    asked = []
    for name in ("raw", "numbers", "texts"):
        original = getattr(File, name)
        monkeypatch.setattr(File, name, lambda self, v, _o=original: (asked.append(v), _o(self, v))[1])
    read(sample_data / "stations/obspack_icos/co2_cbw_tower-insitu_445_allvalid-207magl.nc")
    assert "value" in asked
    assert not {"obspack_id", "datetime"} & set(asked)


@pytest.mark.parametrize("unit", ["mol mol-1", "nanomol mol-1", "micromol mol-1"])
@pytest.mark.parametrize("european", [False, True])
def test_round_trip_in_every_unit(tmp_path, unit, european):
    rows = simple(5, flag=["O"] * 5 if european else ["..."] * 5)
    record = read(obspack(tmp_path / "a.nc", rows, european=european, unit=unit))
    np.testing.assert_allclose(record["value"].values, rows.value, rtol=1e-12)
    np.testing.assert_allclose(record["sd"].values, rows.sd, rtol=1e-12)
    np.testing.assert_array_equal(record["time_start"].values.astype("datetime64[s]"), rows.time)
    np.testing.assert_array_equal(
        record["time"].values.astype("datetime64[s]"), rows.time + np.timedelta64(1800, "s")
    )
    assert (record.attrs["interval"] == "middle") == european
    assert record.attrs["warnings"] == []


def test_fills_differ_by_variable(tmp_path):
    rows = simple(4)
    rows.value[1], rows.sd[2] = np.nan, np.nan
    record = read(obspack(tmp_path / "a.nc", rows))
    assert np.isnan(record["value"].values).tolist() == [False, True, False, False]
    assert np.isnan(record["sd"].values).tolist() == [False, False, True, False]


def test_a_local_influence_is_a_selection_not_a_rejection(tmp_path):
    record = read(obspack(tmp_path / "a.nc", simple(4, extra={"obs_flag": [1, 0, 1, -9]})))
    assert record["quality"].values.tolist() == [0, int(Quality.SELECTION), 0, 0]


@pytest.mark.parametrize(("shift", "warned"), [(0.0, False), (0.25, False), (-8.0, True), (3.0, True)])
def test_local_time_labelled_utc_shows_against_solar_time(tmp_path, shift, warned):
    record = read(obspack(tmp_path / "a.nc", simple(10), solar_shift=shift))
    said = [w for w in record.attrs["warnings"] if "may be local, not UTC" in w]
    assert bool(said) == warned
    if warned:
        assert said[0].startswith(
            f"10 rows have a time {-shift:+.1f} h from what solar time and longitude give"
        )


def test_all_times_off_the_headers_range_by_the_same_hours(tmp_path):
    attrs = {"dataset_start_date": "2019-12-31T16:00:00Z", "dataset_stop_date": "2019-12-31T19:00:00Z"}
    record = read(obspack(tmp_path / "a.nc", simple(4), attrs=attrs))
    assert (
        "4 rows have times +8 h from the header's start and stop: they may be local, not UTC"
        in record.attrs["warnings"]
    )


def test_an_interval_that_no_attribute_gives_is_taken_from_the_usual_step(tmp_path):
    path = obspack(tmp_path / "a.nc", simple(10))
    with netCDF4.Dataset(path, "a") as nc:
        nc.delncattr("dataset_data_frequency")
    record = read(path)
    assert record.attrs["interval_seconds"] == 3600.0
    assert (
        "1 averaging interval that the file does not give taken from the usual step, 3600 s"
        in record.attrs["changes"]
    )


def test_unknown_letters_and_another_species(tmp_path):
    path = obspack(tmp_path / "a.nc", simple(2, flag=["O", "?"]), european=True)
    assert "1 rows have the unknown flag '?'; taken as rejected" in read(path).attrs["warnings"]
    with pytest.raises(ConfigError, match="no CH4 in this file"):
        read(path, "CH4")


def test_a_broken_file_is_a_format_error(tmp_path):
    path = obspack(tmp_path / "a.nc", simple(4))
    path.write_bytes(path.read_bytes()[:3000])
    with pytest.raises(FormatError, match=r"a\.nc: cannot be opened as netCDF"):
        read(path)


def test_variables_that_do_not_fit_together_are_a_format_error(tmp_path):
    path = obspack(tmp_path / "a.nc", simple(4))
    with netCDF4.Dataset(path, "a") as nc:
        nc.createDimension("other", 3)
        nc.createVariable("value_unc", "f4", ("other",))[:] = 1.0
    with pytest.raises(FormatError, match=r"a\.nc: its variables do not fit together"):
        read(path)


def test_a_time_without_an_epoch_is_a_format_error(tmp_path):
    path = obspack(tmp_path / "a.nc", simple(4))
    with netCDF4.Dataset(path, "a") as nc:
        nc["time"].units = "fortnights"
    with pytest.raises(FormatError, match="time has units 'fortnights', not '<unit> since <date>'"):
        read(path)


def test_what_other_builds_add_is_kept(tmp_path):
    path = obspack(tmp_path / "a.nc", simple(3))
    with netCDF4.Dataset(path, "a") as nc:
        nc["assimilation_concerns"][1, 2] = 1
        error = nc.createVariable("CT_MDM", "f4", ("obs",), fill_value=-1e34)
        error.units = "mol mol-1"
        error[:] = [1e-6, 2e-6, -1e34]
    record = read(path)
    assert record["assimilation_concern"].values.tolist() == [False, True, False]
    np.testing.assert_allclose(record["ct_mdm"].values, [1.0, 2.0, np.nan], rtol=1e-6)  # ppm, as the value
    assert record["ct_mdm"].attrs["units"] == "1e-6"


@pytest.mark.parametrize(("unit", "size"), [("mol mol-1", 1e-6), ("nanomol mol-1", 1e3), ("", 1.0)])
@pytest.mark.parametrize("value_unit", ["mol mol-1", "micromol mol-1"])
def test_every_column_comes_in_the_unit_of_the_value(tmp_path, unit, size, value_unit):
    """Repeatability of 0.5 ppm, whatever it is written in; without a unit it is in the value's."""
    path = obspack(tmp_path / "a.nc", simple(3, flag=["O"] * 3), european=True, unit=value_unit)
    own = 0.5 * (size if unit else {"mol mol-1": 1e-6}.get(value_unit, 1.0))
    with netCDF4.Dataset(path, "a") as nc:
        for name in ("icos_SMR", "icos_LTR", "icos_STTB"):
            variable = nc.createVariable(name, "f8", ("time",))
            variable[:] = own
            if unit:
                variable.units = unit
    record = read(path)
    for name in ("icos_smr", "icos_ltr", "icos_sttb"):
        np.testing.assert_allclose(record[name].values, 0.5, rtol=1e-12)


@pytest.mark.parametrize(
    ("words", "minutes"),
    [
        ("Time-averaged values are reported at the beginning of the averaging interval.", 30),
        ("Time-averaged values are reported at the middle of the averaging interval.", 0),
        ("time is the midpoint of the hour", 0),
        ("The center of the averaging period is reported", 0),
        ("values are reported at the end of the averaging interval", -30),
        ("sample_midtime, in seconds since 1970", 0),
        ("interval_end", -30),
        ("seconds since the beginning of 1970; reported at the middle of the averaging interval", 0),
        ("right-labelled means", -30),
        ("values right after a calibration were left empty; middle of the interval", 0),
        ("means at their left edge", 30),
        ("POSIX time.", 30),
    ],
)
def test_what_the_stamp_names_is_read_from_its_comment(tmp_path, words, minutes):
    rows = simple(4)
    path = obspack(tmp_path / "a.nc", rows)
    with netCDF4.Dataset(path, "a") as nc:
        nc["time"].comment = words
    record = read(path)
    np.testing.assert_array_equal(
        record["time"].values.astype("datetime64[s]"), rows.time + np.timedelta64(60 * minutes, "s")
    )
    assert record.attrs["interval"] == {30: "start", 0: "middle", -30: "end"}[minutes]


def test_what_the_caller_says_of_the_stamp_counts_where_the_file_says_nothing(tmp_path):
    path = obspack(tmp_path / "a.nc", simple(4))
    with pytest.raises(ConfigError, match="the file says that its times name the start"):
        read(path, stamp="end")
    with netCDF4.Dataset(path, "a") as nc:
        nc["time"].comment = "UTC"
    assert read(path, stamp="end")["time_end"].values[0] == simple(4).time[0]


@pytest.mark.parametrize("fill", [-999.0, 9.969209968386869e36])
def test_a_fill_of_a_repeatability_that_is_not_declared_is_none(tmp_path, fill):
    path = obspack(tmp_path / "a.nc", simple(3, flag=["O"] * 3), european=True)
    with netCDF4.Dataset(path, "a") as nc:
        variable = nc.createVariable("icos_SMR", "f8", ("time",), fill_value=False)
        variable.units = "mol mol-1"
        variable[:] = [2e-8, fill, fill]
    record = read(path)
    np.testing.assert_allclose(record["icos_smr"].values, [0.02, np.nan, np.nan])
    assert (
        "2 fill values of icos_smr that the header does not declare set to missing" in record.attrs["changes"]
    )


@pytest.mark.parametrize(
    ("units", "first"),
    [
        ("seconds since 1970-1-1 0:0:0", "1970-01-01T01:00"),
        ("seconds since 1970-01-01T00:00:00Z", "1970-01-01T01:00"),
        ("secs since 1970-01-01 08:00:00 +08:00", "1970-01-01T01:00"),
        ("hours since 1900-1-1 00:00:0.0", "1900-05-31T00:00"),
        ("days since 2000-01-01 00:00 UTC", "2009-11-09T00:00"),
        ("msec since 1970-01-01", "1970-01-01T00:00:03.600"),
    ],
)
def test_times_in_units_as_people_write_them(tmp_path, units, first):
    path = obspack(tmp_path / "a.nc", simple(2))
    with netCDF4.Dataset(path, "a") as nc:
        nc["time"].units = units
        nc["time"][:] = [3600, 7200]
    record = read(path)
    assert record["time_start"].values[0] == np.datetime64(first)


def test_a_calendar_without_leap_years_is_refused(tmp_path):
    path = obspack(tmp_path / "a.nc", simple(2))
    with netCDF4.Dataset(path, "a") as nc:
        nc["time"].calendar = "noleap"
    with pytest.raises(FormatError, match="time is in the calendar 'noleap', not the civil one"):
        read(path)


def test_a_european_record_of_the_file_s_own_statistics(sample_data):
    record = read(sample_data / "stations/obspack_icos/co2_cbw_tower-insitu_445_allvalid-207magl.nc")
    by_hand = record["icos_datalevel"].values == 0
    assert np.isnan(record["icos_ltr"].values[by_hand]).all()  # masked, not 0
    assert np.nanmin(record["icos_ltr"].values) > 0


def test_a_file_without_flags_is_taken_as_it_stands(tmp_path):
    path = obspack(tmp_path / "x.nc", simple(4))
    with netCDF4.Dataset(path, "a") as nc:
        nc.renameVariable("qcflag", "other")
    record = read(path)
    assert record["quality_original"].values.tolist() == [""] * 4
    assert (record["quality"].values == 0).all()


def test_heights_and_spreads_come_in_their_own_unit(tmp_path):
    path = obspack(tmp_path / "co2.nc", simple(3))
    plain = read(path)
    with netCDF4.Dataset(path, "a") as nc:
        nc["latitude"].units = nc["longitude"].units = "degrees"
        for name, unit, factor in (("altitude", "km", 1e-3), ("intake_height", "feet", 1 / 0.3048)):
            nc[name].units = unit
            nc[name][:] = nc[name][:] * factor
    for name in ("latitude", "longitude", "altitude_m", "intake_height_m"):
        np.testing.assert_allclose(read(path)[name], plain[name], rtol=1e-6)
    with netCDF4.Dataset(path, "a") as nc:
        nc["value_std_dev"].units = "%"
    with pytest.raises(FormatError, match="value_std_dev is in '%', of the value or of what nobody says"):
        read(path)


def test_an_intake_above_the_sea_shows_against_the_ground(tmp_path):
    path = obspack(tmp_path / "co2.nc", simple(3))
    with netCDF4.Dataset(path, "a") as nc:
        nc.createVariable("elevation", "f4", ("obs",))[:] = nc["altitude"][:] - nc["intake_height"][:]
    assert read(path).attrs["warnings"] == []
    with netCDF4.Dataset(path, "a") as nc:
        nc["intake_height"][:] = nc["altitude"][:]
    assert "one of the three is not what it says" in read(path).attrs["warnings"][0]


def test_an_epoch_that_the_header_contradicts_is_told(tmp_path):
    said = {"dataset_start_date": "2020-01-01T00:00:00Z", "dataset_stop_date": "2020-01-01T02:00:00Z"}
    path = obspack(tmp_path / "co2.nc", simple(3), attrs=said)
    with netCDF4.Dataset(path, "a") as nc:
        nc["time"].units = "seconds since 1990-01-01"
    warnings = read(path).attrs["warnings"]
    assert any("from the header's start and stop: is their unit right?" in w for w in warnings)
    assert any(
        w == "3 rows are of a time to come: is the unit of time, or the order of a date, right?"
        for w in warnings
    )
