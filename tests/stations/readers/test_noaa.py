"""NOAA text: known answers of real files, round trips, and every way a header can lie."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given

from obsnet.errors import ConfigError, FormatError, UnitError
from obsnet.schema import Quality
from stations import read
from stations.readers import read_all
from stations.record.series import series
from stations.record.summary import summary
from tests.stations.dialects import (
    coccon,
    gcwerks_c,
    gcwerks_crds,
    icos_dat,
    icos_l2,
    iso,
    noaa_old,
    noaa_text,
    read_text,
    rem_monthly,
    simple,
    wdcgg,
)
from tests.stations.strategies import rows


@pytest.mark.parametrize(
    ("name", "flags"),
    [
        ("co2_wlg", {"...": 2676, "C..": 572, ".S.": 145, "M..": 4}),
        ("co2_lln", {"...": 1237, "C..": 419, ".S.": 29, "M..": 3}),
        ("co2_mlo", {"...": 9599, "C..": 692, ".S.": 221, "M..": 73}),
    ],
)
def test_flags_of_real_event_files_are_counted_as_published(sample_data, name, flags):
    record = read(sample_data / f"stations/noaa_flask/{name}_surface-flask_1_ccgg_event.txt")
    assert summary(record)["flags"] == flags
    assert summary(record)["quality"]["use"] == flags["..."]


def test_waliguan_event_file_gives_the_known_numbers(sample_data):
    record = read(sample_data / "stations/noaa_flask/co2_wlg_surface-flask_1_ccgg_event.txt")
    found = summary(record)
    assert found["rows"] == 3397
    assert found["header_lines"] == 158
    assert (found["first_time"], found["last_time"]) == ("1990-08-05T08:57:00Z", "2022-12-28T00:15:00Z")
    assert (found["species"], found["unit"], found["scale"], found["site"]) == (
        "CO2",
        "ppm",
        "WMO CO2 X2019",
        "WLG",
    )
    assert found["interval"] == "instant"
    assert found["quality"] == {"use": 2676, "producer": 576, "range": 4, "selection": 145}
    # The header declares -999.999 and the rows hold -999.99.
    assert found["changes"] == ["4 fill values of value that the header does not declare set to missing"]
    assert found["warnings"] == []
    assert record["longitude"].values[0] == 100.92  # the flask's own position, not the site's nominal one


def test_waliguan_pairs(sample_data):
    record = read(sample_data / "stations/noaa_flask/co2_wlg_surface-flask_1_ccgg_event.txt")
    pairs = series(record)
    assert pairs.value.size == 1369
    assert pairs.members.sum() == 2676
    single = series(record, pairs=False)
    of = np.searchsorted(pairs.time, single.time)
    two = pairs.members[of] == 2
    assert (
        np.abs(single.value - pairs.value[of])[two].max() <= 0.505 / 2
    )  # NOAA rejects pairs that differ by more


def test_repeated_analyses_of_one_flask_are_not_duplicates(sample_data):
    record = read(sample_data / "stations/noaa_flask/ch4_mlo_surface-flask_1_ccgg_event.txt")
    keys = [f"{t}{s}" for t, s in zip(record["time"].values, record["sample_id"].values, strict=True)]
    assert len(set(keys)) < len(keys)
    assert not (record["quality"].values & np.uint32(Quality.DUPLICATE)).any()


def test_methane_is_in_ppb_by_the_units_line(sample_data):
    record = read(sample_data / "stations/noaa_flask/ch4_wlg_surface-flask_1_ccgg_event.txt")
    assert (record.attrs["unit"], record["value"].attrs["units"]) == ("ppb", "1e-9")
    assert 1700 < summary(record)["mean_good"] < 2000


def test_old_layout_of_a_real_file(sample_data):
    record = read(sample_data / "stations/noaa_flask_old/ch4_scsn06_surface-flask_1_ccgg_event.txt")
    assert record.attrs["format"] == "noaa_text_old"
    assert (record.sizes["time"], record.attrs["site"], record.attrs["species"]) == (10, "SCS", "CH4")
    assert record["value"].values[0] == 1713.21
    assert record["uncertainty"].values[0] == 2.4
    assert record["time"].values[0] == np.datetime64("1991-07-05T17:00")
    assert record["longitude"].values[0] == 107.98
    assert record.attrs["scale"] == "unknown"


@pytest.mark.parametrize(("part", "minutes"), [("beginning", 0), ("middle", -30), ("end", -60)])
def test_text_files_say_what_their_stamps_name_too(part, minutes):
    """NOAA's hourly text and ICOS' Level 2, whose headers have the sentence of ObsPack's time."""
    words = f"Time-averaged values are reported at the {part} of the averaging interval."
    rows = simple(3)
    hourly = noaa_text(rows, "HourlyData").replace(
        "# value:units", f"# datetime:comment : UTC. {words}\n# value:units"
    )
    rows = simple(3, species="co2", flag=["O"] * 3)
    for text in (hourly, icos_l2(rows, scale="115: WMO CO2 X2019", comment=f"Times are UTC\n#   - {words}")):
        record = read_text(text)
        shift = record["time_start"].values.astype("datetime64[s]") - rows.time
        assert (shift == np.timedelta64(minutes, "m")).all()
        assert record.attrs["interval_seconds"] == 3600.0


def test_real_daily_means_are_stamped_at_their_start(sample_data):
    record = read(sample_data / "stations/noaa_insitu/co2_mlo_surface-insitu_1_ccgg_DailyData.txt")
    assert record.sizes["time"] == 17166
    assert record.attrs["interval"] == "start"
    assert record["time"].values[0] == np.datetime64("1973-01-01T12:00")
    assert record["time_start"].values[0] == np.datetime64("1973-01-01")
    assert record["time_end"].values[0] == np.datetime64("1973-01-02")
    missing = np.isnan(record["value"].values)
    assert missing.sum() == 3220
    assert (record["quality"].values[missing] & np.uint32(Quality.PRODUCER) != 0).all()
    assert (record["n"].values[missing] == 0).all()


@given(rows=rows())
def test_event_round_trip(rows):
    record = read_text(noaa_text(rows))
    np.testing.assert_array_equal(record["time"].values.astype("datetime64[s]"), rows.time)
    np.testing.assert_array_equal(record["value"].values, rows.value)
    np.testing.assert_array_equal(record["uncertainty"].values, rows.uncertainty)
    assert record["quality_original"].values.tolist() == rows.flag
    rejected = record["quality"].values & np.uint32(Quality.PRODUCER) != 0
    assert rejected.tolist() == [f[0] != "." for f in rows.flag]
    selected = record["quality"].values & np.uint32(Quality.SELECTION) != 0
    assert selected.tolist() == [f[1] != "." for f in rows.flag]
    assert [s.split("/")[0] for s in record["sample_id"].values] == rows.sample


@given(rows=rows(step=1))
def test_old_event_round_trip(rows):
    record = read_text(noaa_old(rows))
    np.testing.assert_array_equal(record["time"].values.astype("datetime64[s]"), rows.time)
    np.testing.assert_array_equal(record["value"].values, rows.value)
    assert record["quality_original"].values.tolist() == rows.flag


@given(rows=rows(step=3600))
def test_hourly_round_trip_moves_the_stamp_to_the_middle(rows):
    record = read_text(noaa_text(rows, tag="hourly"), "co2_wlg_surface-insitu_1_ccgg_hourly.txt")
    np.testing.assert_array_equal(record["time_start"].values.astype("datetime64[s]"), rows.time)
    np.testing.assert_array_equal(
        record["time"].values.astype("datetime64[s]"), rows.time + np.timedelta64(1800, "s")
    )
    np.testing.assert_array_equal(
        record["time_end"].values.astype("datetime64[s]"), rows.time + np.timedelta64(3600, "s")
    )
    np.testing.assert_array_equal(record["sd"].values, rows.sd)
    np.testing.assert_array_equal(record["n"].values, rows.n)
    assert np.isnan(record["uncertainty"].values).all()


def test_months_have_their_true_length():
    rows = simple(3, start="2020-01-01T00:00:00")
    rows.time = np.array(["2020-01-01", "2020-02-01", "2021-02-01"], "datetime64[s]")
    record = read_text(noaa_text(rows, tag="monthly"))
    days = (record["time_end"] - record["time_start"]).values / np.timedelta64(1, "D")
    assert days.tolist() == [31, 29, 28]
    assert "interval_seconds" not in record.attrs


def test_a_header_cut_off_before_the_columns_is_an_error():
    text = noaa_text(simple())
    cut = text[: text.index("site_code year")]
    with pytest.raises(FormatError, match="no reader knows this format .it begins '# header_lines"):
        read_text(cut)
    with pytest.raises(FormatError, match="header ends before the line of column names; the file is cut off"):
        read_text(cut, format="noaa_text")


@pytest.mark.parametrize("lie", ["3", "9999", "many"])
def test_a_header_count_that_lies_is_counted_and_the_column_line_believed(lie):
    honest = noaa_text(simple())
    count = honest.split("\n")[0].split(": ")[1]
    record = read_text(honest.replace(f"# header_lines : {count}", f"# header_lines : {lie}", 1))
    assert record.sizes["time"] == 4
    assert (
        f"1 header count is wrong: it says {lie} lines, the column names are in line {count}"
        in record.attrs["warnings"]
    )


def test_mixed_units_in_one_file_are_found_flagged_and_left_alone():
    rows = simple(10)
    rows.value[3:5] *= 1e-6  # mol/mol beside ppm
    record = read_text(noaa_text(rows))
    wrong = record["quality"].values & np.uint32(Quality.RANGE) != 0
    assert np.flatnonzero(wrong).tolist() == [3, 4]
    assert record["value"].values[3] == rows.value[3]
    assert any(w.startswith("2 rows look as if in another unit") for w in record.attrs["warnings"])
    assert any(
        "2 values of CO2 in ppm outside 150 to 5000, the first in row 4" in w
        for w in record.attrs["warnings"]
    )


def test_a_file_all_in_another_unit_is_refused():
    rows = simple(10)
    rows.value *= 1e-6
    with pytest.raises(
        UnitError, match="10 of 10 values of CO2 in ppm are outside 150 to 5000, the first in row 1"
    ):
        read_text(noaa_text(rows))


def test_an_unknown_unit_names_file_species_and_unit():
    with pytest.raises(UnitError, match=r"file\.txt: CO2: unit 'blub' is not known"):
        read_text(noaa_text(simple(unit="blub")))


def test_duplicate_and_backward_times_are_counted():
    rows = simple(6)
    rows.time = rows.time[[0, 1, 1, 4, 3, 5]]
    record = read_text(noaa_text(rows, tag="hourly"))
    assert (np.diff(record["time"].values) >= np.timedelta64(0, "s")).all()
    assert "1 step(s) back in time; rows were sorted" in record.attrs["warnings"]
    assert (
        "1 rows repeat the time, intake and sample of another row (flagged 'duplicate')"
        in record.attrs["warnings"]
    )
    assert np.flatnonzero(record["quality"].values & np.uint32(Quality.DUPLICATE)).tolist() == [2]
    assert record["value"].values.tolist() == [400.0, 400.5, 401.0, 402.0, 401.5, 402.5]


def test_the_two_flasks_of_a_pair_are_not_duplicates():
    rows = simple(2)
    rows.time[1] = rows.time[0]
    record = read_text(noaa_text(rows))
    assert (record["quality"].values == 0).all()
    assert series(record).value.tolist() == [400.25]


@pytest.mark.parametrize("fill", [-999.99, -999.999, -99.99, -9999.0, -99999.9, -999.0])
def test_a_fill_under_another_name_is_missing(fill):
    rows = simple(5)
    rows.value[2] = fill
    record = read_text(noaa_text(rows))
    assert np.isnan(record["value"].values[2])
    assert record["quality"].values[2] == np.uint32(Quality.RANGE)
    expected = (
        [] if fill == -999.999 else ["1 fill values of value that the header does not declare set to missing"]
    )
    assert record.attrs["changes"] == expected


def test_standard_deviations_of_exactly_zero_are_placeholders():
    rows = simple(5)
    rows.sd[1:3] = 0.0
    record = read_text(noaa_text(rows, tag="hourly"))
    assert np.isnan(record["sd"].values).tolist() == [False, True, True, False, False]
    assert (
        "2 values of sd exactly 0 set to missing (a placeholder, not a perfect measurement)"
        in record.attrs["changes"]
    )


def test_unknown_flags_are_taken_as_rejected_and_counted():
    record = read_text(noaa_text(simple(flag=["...", "ok", "ok", ".."])))
    assert (record["quality"].values & np.uint32(Quality.PRODUCER) != 0).tolist() == [False, True, True, True]
    assert "2 rows have the unknown flag 'ok'; taken as rejected" in record.attrs["warnings"]
    assert record["quality_original"].values.tolist() == ["...", "ok", "ok", ".."]


def test_preliminary_rows_may_be_used_and_are_counted():
    record = read_text(noaa_text(simple(flag=["..P"] * 4)))
    assert (record["quality"].values == 0).all()
    assert "4 rows are preliminary (third flag character P)" in record.attrs["warnings"]


def test_an_unknown_scale_is_kept_and_said():
    record = read_text(noaa_text(simple(scale="Home-made 7")))
    assert record.attrs["scale"] == record.attrs["scale_original"] == "Home-made 7"
    assert (
        "1 unknown scale 'Home-made 7'; kept as given, no conversion will accept it"
        in record.attrs["warnings"]
    )


def test_local_time_labelled_utc_shows_against_the_header():
    rows = simple(6)
    text = noaa_text(rows)
    for name, time in (("start", rows.time.min()), ("stop", rows.time.max())):
        text = text.replace(
            f"dataset_{name}_date : {iso(time)}",
            f"dataset_{name}_date : {iso(time - np.timedelta64(8, 'h'))}",
        )
    record = read_text(text)
    assert (
        "6 rows have times +8 h from the header's start and stop: they may be local, not UTC"
        in record.attrs["warnings"]
    )


def test_calendar_columns_that_disagree_with_datetime_are_counted():
    rows = simple(4)
    text = noaa_text(rows)
    for time in rows.time:
        text = text.replace(f"{iso(time)} 2020.5", f"{iso(time - np.timedelta64(8, 'h'))} 2020.5")
    record = read_text(text)
    assert any(
        w.startswith("4 rows have year…second and datetime that differ by +8 h: one is not UTC")
        for w in record.attrs["warnings"]
    )


def test_impossible_dates_are_flagged_not_dropped():
    text = noaa_text(simple()).replace("WLG 2020 1 1 1 0 0", "WLG 2020 13 45 1 0 0", 1)
    record = read_text(text)
    assert record.sizes["time"] == 4
    assert np.isnat(record["time"].values[-1])
    assert record["quality"].values[-1] & np.uint32(Quality.TIME)
    assert "1 rows have no possible time (flagged 'time')" in record.attrs["warnings"]


def test_a_cut_last_line_is_left_out_and_counted():
    text = noaa_text(simple())
    record = read_text(text[: text.rindex("402") if "402" in text else len(text) - 60])
    assert record.sizes["time"] == 3
    assert any(
        w.startswith("1 lines do not have 22 columns and were left out, e.g. 'WLG 2020")
        for w in record.attrs["warnings"]
    )


def test_text_where_a_number_belongs_is_missing_and_counted():
    record = read_text(noaa_text(simple()).replace(" 400.5 ", " n/k ", 1))
    assert np.isnan(record["value"].values[1])
    assert "1 cells hold text where a number belongs; set to missing" in record.attrs["warnings"]


def test_no_rows_at_all_is_an_empty_record():
    record = read_text(noaa_text(simple(0)))
    assert record.sizes["time"] == 0
    assert summary(record)["first_time"] is None


def test_windows_line_ends_a_byte_order_mark_and_latin1_are_read():
    text = noaa_text(simple()).replace("Station WLG", "Stätion WLG")
    assert read_text(b"\xef\xbb\xbf" + text.replace("\n", "\r\n").encode()).sizes["time"] == 4
    record = read_text(text.encode("latin-1"))
    assert record.attrs["site_name"] == "Stätion WLG"
    assert "1 file is not UTF-8 and was read as Latin-1" in record.attrs["changes"]


def test_another_species_than_the_files_is_refused():
    with pytest.raises(ConfigError, match="no CH4 in this file; there is: 'CO2'"):
        read_text(noaa_text(simple()), species="CH4")


def test_a_scale_may_be_given_where_the_file_has_none_but_not_against_it():
    text = "\n".join(line for line in noaa_text(simple()).split("\n") if "calibration_scale" not in line)
    assert read_text(text).attrs["scale"] == "unknown"
    assert read_text(text, scale="WMO CO2 X2007").attrs["scale"] == "WMO CO2 X2007"
    with pytest.raises(ConfigError, match="scale 'WMO CO2 X2007' was given, but the file says 'CO2_X2019'"):
        read_text(noaa_text(simple()), scale="WMO CO2 X2007")


def test_east_longitudes_beyond_180_are_brought_into_the_house_convention():
    record = read_text(noaa_text(simple(longitude=259.1)))
    assert record["longitude"].values[0] == pytest.approx(-100.9)


def test_impossible_positions_are_flagged():
    record = read_text(noaa_text(simple(latitude=136.29)))
    assert (record["quality"].values & np.uint32(Quality.GEOLOCATION) != 0).all()
    assert "4 rows have an impossible position (flagged 'geolocation')" in record.attrs["warnings"]


def test_two_species_in_one_old_file_are_two_records(tmp_path):
    rows = simple(4)
    rows.value = rows.value + 1500.0
    text = noaa_old(simple(4)) + "".join(
        line + "\n"
        for line in noaa_old(rows).replace("     co2     CCGG", "     ch4     CCGG").splitlines()[4:]
    )
    (tmp_path / "both.txt").write_text(text)
    found = read_all(tmp_path / "both.txt")
    assert [(r.attrs["species"], r.attrs["unit"], r.sizes["time"]) for r in found] == [
        ("CO2", "ppm", 4),
        ("CH4", "ppb", 4),
    ]
    assert read(tmp_path / "both.txt", "CH4")["value"].values[0] == 1900.0


@pytest.mark.parametrize("old", [False, True])
def test_two_sites_in_one_file_are_two_records(tmp_path, old):
    write = noaa_old if old else noaa_text
    mlo, wlg = simple(3, site="MLO"), simple(5, site="WLG")
    mlo.latitude, mlo.longitude = 19.536, -155.576
    body = write(mlo).splitlines()[4 if old else -3 :]
    path = tmp_path / "co2_both.txt"
    path.write_text(write(wlg) + "\n".join(body) + "\n")
    found = read_all(path)
    assert [(r.attrs["site"], r.sizes["time"]) for r in found] == [("WLG", 5), ("MLO", 3)]
    assert found[1]["latitude"].values.tolist() == [19.536] * 3
    assert (found[1].attrs["site_name"], found[0].attrs["site_name"]) == ("", "" if old else "Station WLG")
    with pytest.raises(ConfigError, match=r"holds 2 records \(WLG CO2, MLO CO2\); say which with --site"):
        read(path)
    assert read(path, site="MLO").sizes["time"] == 3
    with pytest.raises(ConfigError, match="no site 'LLN' in it"):
        read(path, site="lln")


@pytest.mark.parametrize(
    "write", [noaa_text, noaa_old, wdcgg, icos_l2, icos_dat, gcwerks_c, gcwerks_crds, rem_monthly, coccon]
)
def test_two_files_one_after_the_other_are_refused(tmp_path, write):
    """Their rows have the same columns: methane would pass for carbon dioxide."""
    path = tmp_path / "co2_two.txt"
    path.write_text(write(simple(3)) + write(simple(3, site="MLO")))
    with pytest.raises(
        FormatError, match="holds a second header: several files one after the other; split it"
    ):
        read(path)


def test_what_a_flask_file_says_beside_the_values_is_kept(waliguan):
    record = read(waliguan)
    letters, counts = np.unique(record["method"].values, return_counts=True)
    assert set(letters) == {"P", "N"}  # portable pump, nothing of the in-situ intake
    assert counts.sum() == 3397
    assert record.attrs["utc_to_local_hours"] == "8.0"
    assert record["instrument"].values[0] != ""


def test_the_laboratory_s_local_clock_never_becomes_a_time():
    text = noaa_text(simple())
    late = text.replace("2020-02-01T", "2031-02-01T")
    assert late != text
    np.testing.assert_array_equal(read_text(late)["time"].values, read_text(text)["time"].values)


def test_a_fill_among_the_parts_of_a_time_leaves_no_time():
    record = read_text(noaa_text(simple()).replace("WLG 2020 1 1 1 0 0", "WLG 2020 1 1 -9 -9 -9", 1))
    assert np.isnat(record["time"].values).sum() == 1
    assert "1 rows have no possible time (flagged 'time')" in record.attrs["warnings"]


def test_the_old_layout_counts_its_header_under_another_name():
    text = noaa_old(simple())
    assert read_text(text).attrs["warnings"] == []
    record = read_text(text.replace("number_of_header_lines: 4", "number_of_header_lines: 40"))
    assert (
        "1 header count is wrong: it says 40 lines, the column names are in line 4"
        in record.attrs["warnings"]
    )


def test_in_situ_means_of_2020_have_no_datetime_and_fills_of_two_lengths(sample_data):
    path = sample_data / "stations/noaa_insitu/co2_mlo_surface-insitu_1_ccgg_DailyData.txt"
    assert "datetime" not in path.read_text().split("\n", 1)[0].split()
    record = read(path)
    lost = np.isnan(record["value"].values)
    assert set(record["quality_original"].values[lost]) == {"*.."}
    assert np.isnan(record["sd"].values[lost]).all()


@pytest.mark.parametrize("name", ["intake_height", "sampling_height", "inlet"])
def test_several_intakes_under_another_name_stay_apart(name):
    lines = noaa_text(simple(6), tag="hourly").replace(" intake_height ", f" {name} ").splitlines()
    first = next(i for i, line in enumerate(lines) if line.startswith("site_code")) + 1
    place = lines[first - 1].split().index(name)
    for i in range(first, len(lines)):
        words = lines[i].split()
        words[place] = ("10", "80")[i % 2]
        lines[i] = " ".join(words)
    assert set(read_text("\n".join(lines))["intake_height_m"].values) == {10.0, 80.0}


@pytest.mark.parametrize(
    ("name", "cells", "match"),
    [("gas", ("CO2", "CH4"), "several substances"), ("station", ("WLG", "MLO"), "several sites")],
)
def test_a_column_more_that_tells_rows_apart_is_asked_about(name, cells, match):
    """Rows of two gases, or sites, would become one record, the second gas as numbers of the first."""
    lines = noaa_text(simple(4)).splitlines()
    told = [*lines[:-5], f"{lines[-5]} {name}", *(f"{x} {cells[i % 2]}" for i, x in enumerate(lines[-4:]))]
    with pytest.raises(ConfigError, match=f"column '{name}' names {match}"):
        read_text("\n".join(told))


def test_a_stamp_that_can_be_read_two_ways_is_asked_about_and_an_option_that_contradicts_refused():
    words = "Hours begin at 0; values are reported at the end of the averaging interval."
    hourly = noaa_text(simple(3), "HourlyData").replace(
        "# value:units", f"# time_components:comment : {words}\n# value:units"
    )
    with pytest.raises(ConfigError, match="as their start or end .* say which with --stamp"):
        read_text(hourly)
    assert read_text(hourly, stamp="end").attrs["interval"] == "end"
    with pytest.raises(ConfigError, match="--stamp middle was given, but the file says .* the start or end"):
        read_text(hourly, stamp="middle")
    with pytest.raises(ConfigError, match="--stamp end was given, but times of this file name the start"):
        read_text(wdcgg(simple(3), tag="hourly"), stamp="end")
    warnings = read_text(noaa_text(simple(3)), stamp="end").attrs["warnings"]
    assert warnings == ["3 rows have times without a length: --stamp end moves none"]


def test_times_that_the_header_calls_local_are_refused():
    def said(words):
        comment = f"# time_components:comment : {words}\n# value:units"
        return noaa_text(simple(3)).replace("# value:units", comment)

    for words in ("In LST.", "local standard time (UTC+8).", "local time, UTC -7"):
        with pytest.raises(FormatError, match="its times are local by its header"):
            read_text(said(words))
    assert read_text(said("UTC; add site_utc2lst for local time")).sizes["time"] == 3
