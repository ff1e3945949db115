"""WDCGG: 2021 and present text, and the old monthly files."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given

from obsnet.errors import FormatError
from obsnet.schema import Quality
from stations import read
from stations.readers.text import local_to_utc
from stations.record.checks import Notes
from stations.record.summary import summary
from tests.stations.dialects import read_text, rem_monthly, simple, wdcgg
from tests.stations.strategies import rows


def test_syowa_events(sample_data):
    record = read(sample_data / "stations/wdcgg/ch4_syo_surface-flask_2_3001-9999_event.txt")
    found = summary(record)
    assert (found["rows"], found["header_lines"], found["site"], found["species"]) == (
        1565,
        226,
        "SYO",
        "CH4",
    )
    assert (found["unit"], found["scale"], found["format"]) == ("ppb", "WMO CH4 X2004A", "wdcgg_2021")
    assert (found["first_time"], found["last_time"]) == (
        "1986-01-25T18:00:00Z",
        "2020-12-23T06:15:00Z",
    )  # as the header says
    assert found["flags"]["..."] == 1457  # the contributor's own flag is the original
    assert found["quality"] == {"use": 1458, "producer": 105, "range": 2, "selection": 2}
    assert record["value"].values[0] == 1618.24
    # 2021: value_unc is a standard deviation by the header's own words.
    assert record["sd"].values[0] == 4.59
    assert np.isnan(record["uncertainty"].values).all()
    assert set(record["instrument"].values) == {"Unknown"}
    assert record["sample_id"].values[0] == "470-82"
    assert found["warnings"] == []


def test_syowa_monthly_means_are_of_calendar_months(sample_data):
    record = read(sample_data / "stations/wdcgg/ch4_syo_surface-flask_2_3001-9999_monthly.txt")
    assert record.sizes["time"] == 404
    assert record["time_start"].values[0] == np.datetime64("1986-04-01")
    assert record["time_end"].values[0] == np.datetime64("1986-05-01")
    assert record["time"].values[0] == np.datetime64("1986-04-16")


def test_a_species_nobody_keeps_a_range_for_keeps_its_unit(sample_data):
    record = read(sample_data / "stations/wdcgg/hfc134a_mhd_surface-insitu_4_2023-2021_monthly.txt")
    assert (record.attrs["species"], record.attrs["unit"], record.attrs["scale"]) == (
        "hfc134a",
        "ppt",
        "SIO-05",
    )
    assert record["value"].values[0] == 32.587
    assert record["n"].values[0] == 129
    assert np.isnan(record["altitude_m"].values).all()  # -999.999 in the file
    assert np.isnan(record["intake_height_m"].values).all()


@given(rows=rows())
def test_2021_round_trip_tells_start_from_end(rows):
    rows.extra = {"end": rows.time + np.timedelta64(1200, "s")}
    record = read_text(wdcgg(rows))
    np.testing.assert_array_equal(record["time_start"].values.astype("datetime64[s]"), rows.time)
    np.testing.assert_array_equal(
        record["time_end"].values.astype("datetime64[s]"), rows.time + np.timedelta64(1200, "s")
    )
    np.testing.assert_array_equal(
        record["time"].values.astype("datetime64[s]"), rows.time + np.timedelta64(600, "s")
    )
    np.testing.assert_array_equal(record["value"].values, rows.value)
    single = rows.n == 1
    np.testing.assert_array_equal(record["sd"].values, np.where(single, np.nan, rows.sd))
    np.testing.assert_array_equal(record["uncertainty"].values, np.where(single, rows.sd, np.nan))
    assert record.attrs["interval"] == "start"


@given(rows=rows())
def test_present_round_trip_keeps_sd_and_uncertainty_apart(rows):
    record = read_text(wdcgg(rows, layout="now"))
    assert record.attrs["format"] == "wdcgg"
    np.testing.assert_array_equal(record["value"].values, rows.value)
    np.testing.assert_array_equal(record["value_wmo_scale"].values, rows.value)
    np.testing.assert_array_equal(record["sd"].values, rows.sd)
    np.testing.assert_array_equal(record["uncertainty"].values, rows.uncertainty)
    np.testing.assert_array_equal(record["n"].values, rows.n)
    assert record["quality_original"].values.tolist() == rows.flag


@pytest.mark.parametrize(("tag", "hours"), [("hourly", 1), ("daily", 24)])
def test_means_without_an_end_last_as_long_as_their_name_says(tag, hours):
    record = read_text(wdcgg(simple(step=86400), tag=tag))
    assert record.attrs["interval_seconds"] == hours * 3600.0


def test_quality_codes():
    record = read_text(wdcgg(simple(5, flag=["-999.999"] * 5, extra={"qc": [1, 2, 3, -9, 7]})))
    assert record["quality"].values.tolist() == [
        0,
        int(Quality.SELECTION),
        int(Quality.PRODUCER),
        0,
        int(Quality.PRODUCER),
    ]
    assert record["quality_original"].values.tolist() == ["1", "2", "3", "", "7"]
    assert "1 rows have the unknown flag '7'; taken as rejected" in record.attrs["warnings"]


@pytest.mark.parametrize(("zone", "hours"), [("UTC", 0), ("UTC+08:00", -8), ("LST", -8), ("UTC-03:30", 3.5)])
def test_sets_in_local_time_are_brought_to_utc_and_counted(zone, hours):
    rows = simple()
    record = read_text(wdcgg(rows, zone=zone))
    shift = np.timedelta64(round(hours * 60), "m")
    np.testing.assert_array_equal(record["time"].values.astype("datetime64[s]"), rows.time + shift)
    said = [c for c in record.attrs["changes"] if "to UTC" in c]
    assert len(said) == (hours != 0)
    assert all(c.startswith("4 times brought from UTC") for c in said)


@pytest.mark.parametrize("zone", ["UTC+25:00", "+99", "UTC+08:75"])
def test_no_clock_is_so_far_from_utc(zone):
    with pytest.raises(FormatError, match="no clock is so far from UTC"):
        local_to_utc(np.array(["2020-01-01"], "datetime64[ns]"), zone, Notes())


def test_a_time_zone_that_is_none_is_an_error():
    with pytest.raises(
        FormatError, match=r"time zone 'Beijing' is no offset from UTC; write it as UTC\+08:00"
    ):
        read_text(wdcgg(simple(), zone="Beijing"))


def test_scales_by_code_and_a_change_of_scale_inside_a_file():
    one = read_text(wdcgg(simple(scale="WMO CO2 X2007")))
    assert one.attrs["scale"] == "WMO CO2 X2007"
    two = read_text(
        wdcgg(simple(extra={"scale": [7, 7, 19, 19]}), scales=[(7, "WMO CO2 X2007"), (19, "WMO CO2 X2019")])
    )
    assert two.attrs["scale"] == "mixed"
    assert two["scale_row"].values.tolist() == ["WMO CO2 X2007"] * 2 + ["WMO CO2 X2019"] * 2
    assert (
        "2 scales in one record (WMO CO2 X2007, WMO CO2 X2019); convert before use" in two.attrs["warnings"]
    )


def test_a_code_the_header_does_not_decode_is_unknown():
    record = read_text(wdcgg(simple(extra={"scale": [99] * 4})))
    assert record.attrs["scale"] == "unknown"


def test_repeated_keys_collect_their_lines_and_a_lying_count_is_noted():
    text = wdcgg(simple())
    record = read_text(text.replace("# header_lines : ", "# header_lines : 1", 1))
    assert any(w.startswith("1 header count is wrong") for w in record.attrs["warnings"])


def test_a_cut_header_and_a_header_without_its_species_are_errors():
    text = wdcgg(simple())
    with pytest.raises(FormatError, match="header ends before the line of column names"):
        read_text(text[: text.index("# site_gaw_id year")], format="wdcgg")
    with pytest.raises(FormatError, match="header lacks dataset_parameter or value:units"):
        read_text(text.replace("# dataset_parameter : co2", "#"))


# --- the old monthly files ---------------------------------------------------------------------------------


def test_waliguan_monthly_with_rem_header(sample_data):
    record = read(sample_data / "stations/wdcgg/wlg236n0.dat")
    found = summary(record)
    assert (found["rows"], found["site"], found["scale"], found["unit"]) == (
        329,
        "WLG",
        "WMO CO2 X2007",
        "ppm",
    )
    assert record["value"].values[[0, -1]].tolist() == [348.93, 409.52]
    assert record["time_start"].values[0] == np.datetime64("1990-08-01")
    # 36 17' N, 100 54' E is degrees and minutes
    assert record["latitude"].values[0] == pytest.approx(36.2833, abs=1e-4)
    assert record["longitude"].values[0] == pytest.approx(100.9)
    assert np.isnan(record["sd"].values[0])  # -999999
    assert record["n"].values[0] == -1


@pytest.mark.parametrize("lines", [25, 32])
def test_monthly_round_trip_with_either_header(lines):
    rows = simple(3)
    rows.time = np.array(["2001-01-01", "2001-02-01", "2001-03-01"], "datetime64[s]")
    record = read_text(rem_monthly(rows, lines))
    np.testing.assert_array_equal(record["value"].values, rows.value)
    np.testing.assert_array_equal(record["sd"].values, rows.sd)
    np.testing.assert_array_equal(record["n"].values, rows.n)
    np.testing.assert_array_equal(record["time_start"].values.astype("datetime64[s]"), rows.time)
    assert record.attrs["header_lines"] == lines


@pytest.mark.parametrize(
    ("text", "degrees"),
    [
        ("36 17' N", 36 + 17 / 60),
        ("36 17 30 S", -(36 + 17.5 / 60)),
        ("100 54' W", -100.9),
        ("", np.nan),
        ("12.5 N", 12.5),
    ],
)
def test_degrees_and_minutes(text, degrees):
    from stations.readers.wdcgg_monthly import _degrees

    assert _degrees(text) == pytest.approx(degrees, nan_ok=True)


def test_fills_of_the_old_files_are_missing_and_counted():
    rows = simple(2)
    rows.value[1] = -999999
    record = read_text(rem_monthly(rows))
    assert np.isnan(record["value"].values[1])
    assert "1 fill values set to missing" in record.attrs["changes"]


def test_several_calibrations_in_one_old_file_are_mixed():
    record = read_text(
        rem_monthly(simple(2), calibration="WMO CO2 X2007(1990 - 2010) WMO CO2 X2019(2011 - 2017)")
    )
    assert record.attrs["scale"] == "mixed"
    assert any(w.startswith("2 scales in one record") for w in record.attrs["warnings"])


def test_an_old_header_without_unit_or_columns_is_an_error():
    with pytest.raises(FormatError, match="the REM header lacks UNIT"):
        read_text(rem_monthly(simple(2)).replace("UNIT: ppm", ""))
    with pytest.raises(FormatError, match="does not name the columns"):
        read_text(rem_monthly(simple(2)).replace("    ND ", "    XX "))


@pytest.mark.parametrize("fill", ["-999", "-9999", "-999.999", "-999999.999", "-999.999999999"])
@pytest.mark.parametrize("layout", ["2021", "now"])
def test_every_fill_of_the_data_centre_is_missing(layout, fill):
    rows = simple(3)
    rows.value = rows.value.astype(object)
    rows.value[1] = fill
    rows.sd = rows.sd.astype(object)
    rows.sd[2] = fill
    record = read_text(wdcgg(rows, layout))
    assert np.isnan(record["value"].values).tolist() == [False, True, False]
    assert np.isnan(record["sd"].values).tolist() == [False, False, True]
    assert not record["sample_id"].values[0]  # flask_no is a fill too


def test_the_interval_s_end_shares_the_names_of_its_start(sample_data):
    path = sample_data / "stations/wdcgg/ch4_syo_surface-flask_2_3001-9999_event.txt"
    line = next(
        x for x in path.read_text(encoding="utf-8").splitlines() if x.startswith("# site_gaw_id year")
    )
    assert line.split().count("year") == 2
    assert (read(path)["time_end"].values >= read(path)["time_start"].values).all()
