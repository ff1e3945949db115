"""Records on disk: what was written is what is read."""

from __future__ import annotations

import numpy as np
import pytest
import xarray as xr

import stations
from obsnet.errors import ConfigError, FormatError, SchemaError
from obsnet.schema import Quality
from stations.record.file import read_record, write_record
from tests.stations.made import make_record

FILES = [
    "noaa_flask/co2_wlg_surface-flask_1_ccgg_event.txt",
    "icos/ICOS_ATC_L2_L2-2024.1_RGL_90.0_CTS.CH4",
    "picarro_raw",
]


def same(a: xr.Dataset, b: xr.Dataset) -> None:
    assert set(a.variables) == set(b.variables)
    for name in a.variables:
        assert a[name].dtype == b[name].dtype or a[name].dtype.kind == b[name].dtype.kind == "U", name
        np.testing.assert_array_equal(a[name].values, b[name].values, err_msg=str(name))
    assert {k: v for k, v in a.attrs.items() if k != "path"} == {
        k: v for k, v in b.attrs.items() if k != "path"
    }


@pytest.mark.parametrize("name", FILES)
def test_real_records_go_round(sample_data, tmp_path, name):
    record = stations.read(sample_data / "stations" / name)
    write_record(record, tmp_path / "a.nc")
    again = stations.read(tmp_path / "a.nc")
    same(record, again)
    assert again.attrs["path"] == str(tmp_path / "a.nc")


def test_missing_values_and_odd_text_go_round(tmp_path):
    record = make_record(
        [400.0, np.nan, 401.0], quality_original=["", "C..", "汉"], quality=[0, Quality.PAIR, 0]
    )
    record["time_end"].values[1] = np.datetime64("NaT", "ns")
    record.attrs["changes"] = ["一 thing", "two"]
    write_record(record, tmp_path / "a.nc")
    same(record, read_record(tmp_path / "a.nc"))


def test_flags_are_documented_as_cf_says(tmp_path):
    write_record(make_record([400.0]), tmp_path / "a.nc")
    with xr.open_dataset(tmp_path / "a.nc", engine="netcdf4") as data:
        meanings = data["quality"].attrs["flag_meanings"].split()
        assert meanings[:2] == ["producer", "range"]
        assert len(meanings) == data["quality"].attrs["flag_masks"].size == len(list(Quality))
        assert data["value"].attrs["long_name"] == "dry air mole fraction"


def test_the_input_is_left_alone(tmp_path):
    record = make_record([400.0])
    before = record.copy(deep=True)
    write_record(record, tmp_path / "a.nc")
    xr.testing.assert_identical(record, before)


def test_nothing_is_left_when_writing_fails(tmp_path):
    with pytest.raises(SchemaError, match="it lacks quality"):
        write_record(make_record([400.0]).drop_vars("quality"), tmp_path / "a.nc")
    assert list(tmp_path.iterdir()) == []


def test_other_files_are_refused(tmp_path):
    (tmp_path / "a.nc").write_text("no netCDF")
    with pytest.raises(FormatError, match="cannot be read as netCDF"):
        read_record(tmp_path / "a.nc")
    xr.Dataset({"a": 1}).to_netcdf(tmp_path / "b.nc")
    with pytest.raises(FormatError, match="not a station record of this package"):
        read_record(tmp_path / "b.nc")


def test_another_species_is_not_there(tmp_path):
    write_record(make_record([400.0]), tmp_path / "a.nc")
    with pytest.raises(ConfigError, match="holds CO2, not CH4"):
        stations.read(tmp_path / "a.nc", "CH4")
