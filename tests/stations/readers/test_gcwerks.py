"""GCWerks exports: .C with precisions, and the .dat of laser analysers."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given

from obsnet.errors import ConfigError, FormatError
from obsnet.schema import Quality
from stations import read
from stations.readers import read_all
from stations.record.summary import summary
from tests.stations.dialects import gcwerks_c, gcwerks_crds, gcwerks_precisions, read_text, simple
from tests.stations.strategies import rows


def test_shangdianzi_medusa(sample_data):
    path = sample_data / "stations/gcwerks/shangdianzi-medusa.18.C"
    record = read(path)
    found = summary(record)
    assert (found["species"], found["unit"], found["scale"], found["site"]) == ("SF6", "ppt", "SIO-05", "SDZ")
    assert found["rows"] == 7
    assert found["flags"] == {"--P-": 4, "--B-": 2, "F-B-": 1}
    assert len(found["species_available"]) == 61
    # the sample's time, not the run's (07:39)
    assert record["time"].values[0] == np.datetime64("2018-01-16T07:10")
    assert record.attrs["interval"] == "middle"
    # day 16's repeatability from the .precisions.C beside it
    assert set(record["uncertainty"].values) == {0.04499}
    assert record["latitude"].values[0] == 40.65
    assert "7 positions taken from the station table (SDZ, Shangdianzi)" in record.attrs["changes"]


def test_every_species_of_a_file_and_one_by_name(sample_data):
    path = sample_data / "stations/gcwerks/shangdianzi-medusa.18.C"
    assert [r.attrs["species"] for r in read_all(path)][:3] == ["NF3", "CF4", "PFC-116"]
    assert read(path, "cfc-11").attrs["species"] == "CFC-11"
    with pytest.raises(ConfigError, match="no CFC-99 in this file; nearest: 'CFC-1"):
        read(path, "CFC-99")


def test_precisions_alone_point_to_their_file(sample_data):
    with pytest.raises(FormatError, match=r"holds precisions only; read the file beside it, .*medusa\.18\.C"):
        read(sample_data / "stations/gcwerks/shangdianzi-medusa.18.precisions.C")


def test_flags_of_four_characters():
    record = read_text(gcwerks_c(simple(), gases=("SF6",), flags=["F-B-", "--P-", "-HB-", "ZZZZ"]), "x.C")
    assert record["quality"].values.tolist()[:3] == [
        int(Quality.PRODUCER), int(Quality.SELECTION), 0,
    ]  # fmt: skip
    assert record["quality"].values[3] & np.uint32(Quality.PRODUCER)
    assert "1 rows have the unknown flag 'ZZZZ'; taken as rejected" in record.attrs["warnings"]


def test_precisions_of_the_day_or_the_last_day_before(tmp_path):
    rows = simple(4, start="2018-01-16T00:00:00", step=86400)
    (tmp_path / "a.18.C").write_text(gcwerks_c(rows))
    (tmp_path / "a.18.precisions.C").write_text(gcwerks_precisions(["180117", "180119"], [0.02, 0.04]))
    record = read(tmp_path / "a.18.C", "SF6")
    np.testing.assert_array_equal(record["uncertainty"].values, [np.nan, 0.02, 0.02, 0.04])
    with pytest.raises(FormatError, match="no such file of precisions"):
        read(tmp_path / "a.18.C", "SF6", precisions=tmp_path / "none.C")
    with pytest.raises(FormatError, match="not a GCWerks file of precisions"):
        read(tmp_path / "a.18.C", "SF6", precisions=tmp_path / "a.18.C")


def test_inlet_heights_from_inlet_names():
    record = read_text(gcwerks_c(simple(), inlet="70m"), "x.C")
    assert set(record["intake_height_m"].values) == {70.0}
    assert np.isnan(read_text(gcwerks_c(simple(), inlet="ASM"), "x.C")["intake_height_m"].values).all()


def test_header_rows_of_different_length_are_an_error():
    text = gcwerks_c(simple()).replace("SIO-05", "", 1)
    with pytest.raises(
        FormatError, match=r"rows of scales .16., units .17. and columns .17. differ in length"
    ):
        read_text(text, "x.C")


def test_bilsdale_minutes(sample_data):
    path = sample_data / "stations/crds/bsd.picarro.1minute.108m.min.dat"
    record = read(path)
    assert (record.attrs["species"], record.attrs["site"]) == ("CO2", "BSD")
    assert record.attrs["species_available"] == ["CH4", "CO2", "CO"]
    assert record.sizes["time"] == 161
    assert record["intake_height_m"].values[0] == 108.0
    assert record["value"].values[3] == 409.55
    assert (record["sd"].values[3], record["n"].values[3]) == (0.055, 26)
    assert np.isnan(record["value"].values[0])
    assert (record["time_start"].values[0], record["time"].values[0]) == (
        np.datetime64("2014-01-30T11:09:30"), np.datetime64("2014-01-30T11:10:00"),
    )  # fmt: skip
    assert "1 step(s) back in time; rows were sorted" in record.attrs["warnings"]
    methane = read(path, "CH4")
    assert (methane.attrs["unit"], methane["value"].values[3]) == ("ppb", 1959.55)


@pytest.mark.parametrize(("stamp", "offset"), [("start", 30), ("middle", 0), ("end", -30)])
def test_the_stamp_of_an_analyser_export_is_an_option(sample_data, stamp, offset):
    record = read(sample_data / "stations/crds/bsd.picarro.1minute.108m.min.dat", stamp=stamp)
    assert record["time"].values[0] == np.datetime64("2014-01-30T11:09:30") + np.timedelta64(offset, "s")
    assert record.attrs["interval"] == stamp


@given(rows=rows(step=60, max_size=8, latest=3_000_000_000))
def test_crds_round_trip(rows):
    record = read_text(gcwerks_crds(rows), "sdz.picarro.1minute.80m.dat")
    np.testing.assert_array_equal(record["time_start"].values.astype("datetime64[s]"), rows.time)
    np.testing.assert_array_equal(record["value"].values, rows.value)
    np.testing.assert_array_equal(record["sd"].values, rows.sd)
    np.testing.assert_array_equal(record["n"].values, rows.n)
    assert record["latitude"].values[0] == 40.65  # SDZ is in the station table


@given(rows=rows(step=60, max_size=8))
def test_c_round_trip(rows):
    record = read_text(gcwerks_c(rows), "x.C", species="CFC-11")
    np.testing.assert_array_equal(record["time"].values.astype("datetime64[s]"), rows.time)
    np.testing.assert_array_equal(record["value"].values, rows.value)


def test_two_digit_years_belong_to_two_centuries():
    from stations.readers.gcwerks import yymmdd

    assert yymmdd(np.array([991231.0, 700101.0, 691231.0, 140130.0])).astype("datetime64[D]").tolist() == [
        np.datetime64(d).item() for d in ("1999-12-31", "1970-01-01", "2069-12-31", "2014-01-30")
    ]
    assert np.isnat(yymmdd(np.array([141301.0, np.nan]))).all()


def test_rows_that_are_not_air_are_flagged():
    record = read_text(gcwerks_crds(simple(), types=["air", "std", "air", "air"]), "a.dat")
    assert (record["quality"].values & np.uint32(Quality.PRODUCER) != 0).tolist() == [
        False,
        True,
        False,
        False,
    ]
    assert "1 rows are not of type 'air' (flagged 'producer')" in record.attrs["warnings"]


def test_fixed_width_and_ragged_files_read_alike():
    text = gcwerks_crds(simple(50))
    top, rows = text.split("\n")[:3], text.split("\n")[3:]
    ragged = "\n".join([*top, *(" ".join(line.split()) + " " * (i % 3) for i, line in enumerate(rows))])
    one, two = (read_text(t, "a.picarro.hourly.9m.dat") for t in (text, ragged))
    np.testing.assert_array_equal(one["value"].values, two["value"].values)
    np.testing.assert_array_equal(one["time"].values, two["time"].values)


def test_an_hour_of_unknown_length_is_told(sample_data):
    """The file's name says that its rows are hours; without it they are stamps, half an hour early."""
    text = (sample_data / "stations/crds/bsd.picarro.hourly.108m.min.dat").read_text()
    assert read_text(text, "bsd.picarro.hourly.108m.dat").attrs["interval_seconds"] == 3600.0
    (warning,) = [w for w in read_text(text, "bsd.dat").attrs["warnings"] if "length" in w]
    assert warning.endswith(
        "stamped at the start of intervals whose length the file does not say: taken as instants"
    )
