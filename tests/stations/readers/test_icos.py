"""ICOS ATC text in its four shapes."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given

from obsnet.errors import FormatError
from obsnet.schema import Quality
from stations import read
from stations.record.summary import summary
from tests.stations.dialects import icos_dat, icos_integrated, icos_l2, read_text, simple
from tests.stations.strategies import icos_flags, rows

USABLE = {"O", "U", "R"}


def test_ridge_hill_level_2(sample_data):
    record = read(sample_data / "stations/icos/ICOS_ATC_L2_L2-2024.1_RGL_90.0_CTS.CH4")
    found = summary(record)
    assert (found["rows"], found["header_lines"], found["site"], found["unit"]) == (49, 45, "RGL", "ppb")
    assert found["flags"] == {"K": 29, "O": 13, "N": 7}
    assert found["quality"]["use"] == 13
    # "530: Unknown; 115: WMO X2004A", and every row is of instrument 115
    assert found["scale"] == "WMO CH4 X2004A"
    assert (found["interval"], found["interval_seconds"]) == ("start", 3600.0)
    assert record["time"].values[0] == np.datetime64("2021-02-25T00:30")
    assert record["altitude_m"].values[0] == 207 + 90
    # LTR 0.000 on bad rows is a placeholder
    assert np.nanmin(record["icos_ltr"].values) > 0
    assert record["value_without_spikes"].values[-1] == 2001.63
    assert found["warnings"] == ["27095 lines fewer than the header promises: the file is cut off"]


def test_cabauw_flasks(sample_data):
    record = read(sample_data / "stations/icos/ICOS_ATC_L2_L2-2024.1_CBW_207.0_1480_FLASK.14C")
    assert record.sizes["time"] == 104
    assert (record.attrs["species"], record.attrs["unit"]) == ("14C", "per mil")
    assert record["value"].values[0] == -59.87  # an isotope ratio below -9.99 is no fill
    # sampling is an hour, integrated; stamps end in Z although the header says UTC +1
    assert record["time_start"].values[0] == np.datetime64("2022-01-13T13:00")
    assert record["time_end"].values[0] == np.datetime64("2022-01-13T14:00")
    assert (
        "104 stamps end in Z and were taken as UTC although the header's TIME ZONE says 'UTC +1'"
        in record.attrs["changes"]
    )
    assert record["sample_id"].values[0] == "F02532"
    assert record["uncertainty"].values[0] == 1.89  # MeasUnc, as CombUnc is a fill
    assert np.isnan(record["scale_link_uncertainty"].values).all()


def test_older_dat_with_ragged_ends(sample_data):
    record = read(sample_data / "stations/icos/tta.co2.1minute.222m.min.dat")
    assert summary(record)["flags"] == {"U": 52, "N": 4}
    assert (record.sizes["time"], record.attrs["site"]) == (56, "TTA")
    assert record["intake_height_m"].values[0] == 222.0
    assert record.attrs["interval_seconds"] == 60.0
    assert record["n"].values[1] == 13


def test_portal_csv(sample_data):
    record = read(sample_data / "stations/icos/svb_co2.csv")
    assert (record.sizes["time"], record.attrs["site"]) == (15640, "SVB")
    assert record["value"].values[0] == 413.194
    assert record.attrs["interval_seconds"] == 3600.0
    assert (
        "1 averaging interval that the file does not give taken from the usual step, 3600 s"
        in record.attrs["changes"]
    )


@given(rows=rows(step=3600, flags=icos_flags, scale="", unit="µmol.mol-¹"))
def test_level_2_round_trip(rows):
    record = read_text(icos_l2(rows))
    np.testing.assert_array_equal(record["time_start"].values.astype("datetime64[s]"), rows.time)
    np.testing.assert_array_equal(record["value"].values, rows.value)
    np.testing.assert_array_equal(record["sd"].values, rows.sd)
    np.testing.assert_array_equal(record["n"].values, rows.n)
    assert record["quality_original"].values.tolist() == rows.flag
    assert (record["quality"].values == 0).tolist() == [f in USABLE for f in rows.flag]


@given(rows=rows(step=60, flags=icos_flags))
def test_older_dat_round_trip(rows):
    record = read_text(icos_dat(rows), "sdz.co2.1minute.80m.min.dat")
    np.testing.assert_array_equal(record["time_start"].values.astype("datetime64[s]"), rows.time)
    np.testing.assert_array_equal(record["value"].values, rows.value)
    assert (record["quality"].values == 0).tolist() == [f in USABLE for f in rows.flag]


def test_an_unknown_letter_is_rejected_and_counted():
    record = read_text(icos_l2(simple(flag=["O", "X", "X", "R"])))
    assert (record["quality"].values & np.uint32(Quality.PRODUCER) != 0).tolist() == [
        False,
        True,
        True,
        False,
    ]
    assert "2 rows have the unknown flag 'X'; taken as rejected" in record.attrs["warnings"]


def test_scale_by_instrument_may_change_within_the_file():
    scale = "115: WMO X2007; 530: WMO X2019"
    record = read_text(icos_l2(simple(flag=["O"] * 4), scale=scale, instruments=["115", "115", "530", "530"]))
    assert record.attrs["scale"] == "mixed"
    assert record["scale_row"].values.tolist() == ["WMO CO2 X2007"] * 2 + ["WMO CO2 X2019"] * 2
    only = read_text(icos_l2(simple(flag=["O"] * 4), scale=scale, instruments=["530"] * 4))
    assert only.attrs["scale"] == "WMO CO2 X2019"


def test_a_header_in_local_time_is_shifted_unless_its_comment_says_utc():
    rows = simple(flag=["O"] * 4)
    shifted = read_text(icos_l2(rows, zone="UTC +8", comment="synthetic"))
    np.testing.assert_array_equal(
        shifted["time_start"].values.astype("datetime64[s]"), rows.time - np.timedelta64(8, "h")
    )
    assert "4 times brought from UTC +8 to UTC (-8 h)" in shifted.attrs["changes"]
    kept = read_text(icos_l2(rows, zone="UTC +8"))
    np.testing.assert_array_equal(kept["time_start"].values.astype("datetime64[s]"), rows.time)
    assert (
        "4 rows are UTC by the header's comment and 'UTC +8' by its TIME ZONE; taken as UTC"
        in kept.attrs["warnings"]
    )


def test_header_counts_that_lie():
    text = icos_l2(simple(flag=["O"] * 4))
    record = read_text(text.replace("# HEADER LINES: ", "# HEADER LINES: 9", 1))
    assert any("header count is wrong" in w for w in record.attrs["warnings"])
    cut = read_text(icos_l2(simple(flag=["O"] * 4), total=1000))
    assert any(
        w.endswith("lines fewer than the header promises: the file is cut off") for w in cut.attrs["warnings"]
    )


def test_a_cut_header_is_an_error():
    text = icos_l2(simple(flag=["O"] * 4))
    with pytest.raises(FormatError, match="header ends before the line of column names"):
        read_text(text[: text.index("#Site;")], format="icos")


def test_a_stamp_option_moves_the_plain_csv():
    text = "DateTime,#Site,SamplingHeight,InstrumentId,co2\n" + "".join(
        f"2020-01-01 0{h}:00:00,XXX,10,1,{400 + h}\n" for h in range(5)
    )
    assert read_text(text)["time"].values[0] == np.datetime64("2020-01-01T00:30")
    assert read_text(text, stamp="end")["time"].values[0] == np.datetime64("2019-12-31T23:30")
    assert read_text(text, stamp="middle")["time"].values[0] == np.datetime64("2020-01-01T00:00")


def test_fills_of_values_spreads_and_the_dummy_instrument():
    rows = simple(4, flag=["O", "O", "K", "O"])
    rows.value[2], rows.sd[2], rows.n[2] = -999.990, -9.990, 0
    text = icos_l2(rows, scale="82: Unknown; 115: WMO X2004A", instruments=["115", "115", "82", "115"])
    record = read_text(text)
    assert np.isnan(record["value"].values).tolist() == [False, False, True, False]
    assert np.isnan(record["sd"].values).tolist() == [False, False, True, False]
    assert (
        record.attrs["scale"] == "WMO CO2 X2004A"
    )  # the dummy measured nothing, so its scale does not count
    assert "scale_row" not in record


@pytest.mark.parametrize(("unit", "length"), [("days", 14.0), ("hours", 336.0)])
def test_integrated_samples_of_radiocarbon(unit, length):
    rows = simple()
    rows.value = np.array([-12.3, -999.99, -20.0, -30.5])
    record = read_text(icos_integrated(rows, unit, length), "x.14C")
    np.testing.assert_array_equal(record["value"].values, [-12.3, np.nan, -20.0, -30.5])
    assert ((record["time_end"] - record["time_start"]).values == np.timedelta64(14, "D")).all()
    assert record["uncertainty"].values[0] > 0
    assert (record.attrs["species"], record.attrs["unit"]) == ("14C", "per mil")
    assert record.attrs["format"] == "icos_integrated"


def test_an_integration_time_without_unit_is_not_guessed():
    with pytest.raises(FormatError, match="IntegrationTime is in days or hours"):
        read_text(icos_integrated(simple(), "units"), "x.14C")


def test_west_and_south_may_be_letters():
    text = icos_l2(simple(3, species="co2", flag=["O"] * 3))
    west = read_text(text.replace("# LONGITUDE: ", "# LONGITUDE: 12.5 W\n# WAS: "))
    assert west["longitude"].values.tolist() == [-12.5] * 3
    south = read_text(text.replace("# LATITUDE: ", "# LATITUDE: -12.5 S\n# WAS: "))
    assert south["latitude"].values.tolist() == [-12.5] * 3


def test_a_zone_without_an_offset_is_no_utc():
    text = icos_l2(simple(3, species="co2", flag=["O"] * 3), zone="CET", comment="local")
    with pytest.raises(FormatError, match="time zone 'CET' is no offset from UTC"):
        read_text(text)


def test_the_column_of_the_species_is_known_by_its_name():
    text = icos_l2(simple(3, species="co2", flag=["O"] * 3)).replace(
        "co2;Stdev;NbPoints;", "co2;NbPoints;Stdev;"
    )
    assert read_text(text).attrs["species"] == "CO2"
