"""AGAGE archive netCDF."""

from __future__ import annotations

import netCDF4
import numpy as np
import pytest

from obsnet.schema import Quality
from stations import read
from stations.record.summary import summary
from tests.stations.dialects import simple
from tests.stations.dialects_netcdf import agage


def test_cape_grim_trichloroethane(sample_data):
    record = read(sample_data / "stations/agage/AGAGE-GCMD_CGO_ch3ccl3.nc")
    found = summary(record)
    assert (found["rows"], found["site"], found["unit"], found["scale"]) == (11_811, "CGO", "ppt", "SIO-05")
    assert found["interval"] == "instant"  # "the sampling time", not a start
    assert found["quality"]["producer"] == 278 + 323 + 20  # F, and the undocumented T and *
    assert found["quality"]["selection"] == 560
    assert "323 rows have the unknown flag 'T'; taken as rejected" in found["warnings"]
    assert sorted(set(record["intake_height_m"].values)) == [0.0, 10.0, 70.0]
    assert record["uncertainty"].values[0] == pytest.approx(0.37208)


def test_tacolneston_minutes_begin_at_half_past(sample_data):
    record = read(sample_data / "stations/agage/AGAGE-Picarro_TAC_ch4.nc")
    found = summary(record)
    assert (found["rows"], found["unit"], found["scale"]) == (4_276, "ppb", "WMO CH4 X2004A")
    assert record["time_start"].values[0] == np.datetime64("2020-01-01T00:00:30")
    assert (found["interval"], found["interval_seconds"]) == ("start", 60.0)
    assert found["flags"] == {"-P-": 2157, "-B-": 1581, "xB-": 538}
    assert record["altitude_m"].values[0] == 64 + 185
    assert record["n"].values[0] == 17


def test_round_trip_in_units_of_1e_9(tmp_path):
    rows = simple(6, step=60)
    rows.value += 1500.0
    record = read(agage(tmp_path / "a.nc", rows))
    np.testing.assert_array_equal(record["value"].values, rows.value)
    np.testing.assert_array_equal(record["sd"].values, rows.sd)
    np.testing.assert_array_equal(record["time_start"].values.astype("datetime64[s]"), rows.time)
    assert record.attrs["unit"] == "ppb"


def test_flags_are_ascii_codes(tmp_path):
    rows = simple(4)
    rows.value += 1500.0
    record = read(agage(tmp_path / "a.nc", rows, flags=["-B", "-P", "FB", "QP"]))
    assert record["quality_original"].values.tolist() == ["-B", "-P", "FB", "QP"]
    bits = [0, Quality.SELECTION, Quality.PRODUCER, Quality.PRODUCER | Quality.SELECTION]
    assert record["quality"].values.tolist() == [int(b) for b in bits]
    assert "1 rows have the unknown flag 'Q'; taken as rejected" in record.attrs["warnings"]


def test_a_sampling_time_that_is_no_start_stays_an_instant_unless_said(tmp_path):
    rows = simple(4)
    rows.value += 1500.0
    path = agage(tmp_path / "a.nc", rows, comment="Time stamp corresponds to the samping time.", period=1200)
    record = read(path)
    assert record["time"].values[0] == rows.time[0]
    assert any("taken as instants; say it with --stamp" in w for w in record.attrs["warnings"])
    assert not any("--stamp" in w for w in read(path, stamp="instant").attrs["warnings"])
    assert read(path, stamp="middle")["time_start"].values[0] == rows.time[0] - np.timedelta64(600, "s")


def test_a_sampling_period_of_each_row_goes_before_the_attribute(tmp_path):
    rows = simple(4)
    rows.value += 1500.0
    path = agage(tmp_path / "a.nc", rows)
    with netCDF4.Dataset(path, "a") as nc:
        nc.createVariable("sampling_period", "i4", ("time",))[:] = [60, 120, 60, 1200]
    record = read(path)
    length = (record["time_end"].values - record["time_start"].values) / np.timedelta64(1, "s")
    assert length.tolist() == [60.0, 120.0, 60.0, 1200.0]
    np.testing.assert_array_equal(record["time_start"].values.astype("datetime64[s]"), rows.time)
