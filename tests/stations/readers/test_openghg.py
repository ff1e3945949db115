"""openghg's layout: what it writes is read, what is written is read back, and what it cannot hold is said."""

from __future__ import annotations

import numpy as np
import pytest
import xarray as xr

import stations
from obsnet.errors import ConfigError, FormatError, SchemaError
from obsnet.schema import Quality
from stations.record.file import write_record
from stations.record.openghg_file import write_openghg
from tests.stations.made import make_record

ATTRS = {
    "species": "co2",
    "site": "tac",
    "network": "decc",
    "inlet": "185m",
    "inlet_height_magl": "185",
    "instrument": "picarro",
    "sampling_period": "60.0",
    "sampling_period_unit": "s",
    "calibration_scale": "WMO-X2019",
    "station_longitude": 1.13872,
    "station_latitude": 52.51775,
    "station_height_masl": 50.0,
    "station_long_name": "Tacolneston Tower, UK",
    "data_owner": "Somebody",
    "data_owner_email": "somebody@example.org",
}
STAMP = {"label": "left", "comment": "Time stamp corresponds to beginning of sampling period."}
SERIES = [
    "value",
    "uncertainty",
    "sd",
    "n",
    "time_start",
    "time_end",
    "intake_height_m",
    "latitude",
    "altitude_m",
]
COLUMN = [
    "value",
    "uncertainty",
    "averaging_kernel",
    "prior_profile",
    "pressure_weight",
    "pressure_levels",
    "prior_column",
    "latitude",
]


def station_file(path, change=None, **attrs):
    """Write what openghg's own standardising leaves, after its sources."""
    time = np.datetime64("2013-01-31", "ns") + np.arange(3) * np.timedelta64(1, "h")
    data = xr.Dataset(
        {
            "co2": ("time", [401.1, 402.2, 403.3], {"units": "1e-6"}),
            "co2_variability": ("time", [0.1, 0.2, 0.3], {"units": "1e-6"}),
            "co2_repeatability": ("time", [0.01, 0.02, 0.03], {"units": "1e-6"}),
            "co2_number_of_observations": ("time", [19.0, 20.0, np.nan]),
            "co2_status_flag": ("time", [0, 1, 0]),
        },
        coords={"time": ("time", time, STAMP)},
        attrs={**ATTRS, **attrs},
    )
    (change(data) if change else data).to_netcdf(path)
    return path


def test_a_station_file(tmp_path):
    record = stations.read(station_file(tmp_path / "DECC-picarro_TAC_co2-185m.nc"))
    np.testing.assert_allclose(record["value"].values, [401.1, 402.2, 403.3])
    np.testing.assert_allclose(record["sd"].values, [0.1, 0.2, 0.3])
    np.testing.assert_allclose(record["uncertainty"].values, [0.01, 0.02, 0.03])
    assert record["n"].values.tolist() == [19, 20, -1]
    assert record["quality"].values.tolist() == [0, int(Quality.PRODUCER), 0]
    assert str(record["time_start"].values[0])[:19] == "2013-01-31T00:00:00"
    assert (record["time_end"] - record["time_start"]).values[0] == np.timedelta64(60, "s")
    assert (record["intake_height_m"].values[0], record["altitude_m"].values[0]) == (185.0, 235.0)
    assert (record.attrs["site"], record.attrs["scale"], record.attrs["unit"]) == (
        "TAC",
        "WMO CO2 X2019",
        "ppm",
    )


def test_units_as_openghg_writes_them_and_methane_in_ppb(tmp_path):
    def methane(data):
        data = data.rename({n: n.replace("co2", "ch4") for n in data.data_vars})
        for name in ("ch4", "ch4_variability", "ch4_repeatability"):
            data[name] = data[name] * 5e-9
            data[name].attrs["units"] = "1"
        return data

    record = stations.read(
        station_file(tmp_path / "a.nc", methane, species="ch4", calibration_scale="WMO-X2004A")
    )
    np.testing.assert_allclose(record["value"].values, [2005.5, 2011.0, 2016.5])
    np.testing.assert_allclose(record["sd"].values, [0.5, 1.0, 1.5])
    assert record.attrs["scale"] == "WMO CH4 X2004A"


def test_a_file_without_attributes_is_read_and_says_what_is_missing(tmp_path):
    def bare(data):
        data.attrs = {}
        return data

    record = stations.read(station_file(tmp_path / "a.nc", bare), site="TAC", scale="X2019")
    assert (record.attrs["site"], record.attrs["scale"]) == ("TAC", "WMO CO2 X2019")
    assert any("without a sampling period: taken as instants" in w for w in record.attrs["warnings"])


@pytest.mark.parametrize(("period", "seconds"), [("3600", 3600), ("1h", 3600), ("1H", 3600), ("NOT_SET", 0)])
def test_sampling_periods_as_people_write_them(tmp_path, period, seconds):
    record = stations.read(station_file(tmp_path / "a.nc", sampling_period=period))
    length = (record["time_end"] - record["time_start"]).values
    assert (length == np.timedelta64(seconds, "s")).all()


def test_round_trip_of_a_record(tmp_path):
    rng = np.random.default_rng(0)
    quality = np.zeros(48, np.uint32)
    quality[5] = Quality.SPIKE
    record = make_record(
        400 + rng.standard_normal(48),
        uncertainty=0.05,
        sd=rng.random(48) + 0.1,
        n=np.arange(48) - 1,
        quality=quality,
    )
    path = write_record(record, tmp_path / "wlg.openghg.nc")
    back = stations.read(path)
    for name in (
        "value",
        "uncertainty",
        "sd",
        "n",
        "time_start",
        "time_end",
        "intake_height_m",
        "latitude",
        "altitude_m",
    ):
        np.testing.assert_allclose(
            back[name].values.astype(float), record[name].values.astype(float), rtol=1e-6, err_msg=name
        )
    np.testing.assert_array_equal(back["quality"].values > 0, quality > 0)
    for name in ("site", "scale", "unit", "species"):
        assert back.attrs[name] == record.attrs[name]
    with xr.open_dataset(path, engine="netcdf4") as data:  # what openghg's reader of its own layout asks for
        assert {*ATTRS} <= set(data.attrs)
        assert data["co2"].attrs["units"] == "1e-6"
        assert data.attrs["calibration_scale"] == "WMO-X2019"
        assert data.attrs["data_owner"] == "NOT_SET"


def test_round_trip_of_columns(sample_data, tmp_path):
    record = stations.read(sample_data / "satellite/tccon/hw20230402_20230402.public.qc.nc", "CO2")
    back = stations.read(write_openghg(record, tmp_path / "hw.nc"))
    assert back.attrs["kind"] == "column"
    for name in COLUMN:
        np.testing.assert_allclose(back[name].values, record[name].values, rtol=1e-6, err_msg=name)
    np.testing.assert_array_equal(back["time"].values, record["time"].values)
    assert back.attrs["scale"] == record.attrs["scale"]


def columns(path, flip=False, weight=0.25, unit="ppb"):
    levels = np.array([1000.0, 700.0, 400.0, 100.0])
    rows = {"xch4": [1850.0, 1860.0], "xch4_uncertainty": [5.0, 6.0], "xch4_quality_flag": [0, 1]}
    profiles = {
        "xch4_averaging_kernel": np.tile([0.9, 1.0, 1.1, 1.2], (2, 1)),
        "ch4_profile_apriori": np.tile([1900.0, 1880.0, 1850.0, 1700.0], (2, 1)),
        "pressure_weights": np.full((2, 4), weight),
    }
    data = xr.Dataset(
        {
            **{n: ("time", v, {"units": unit} if n == "xch4" else {}) for n, v in rows.items()},
            **{n: (("time", "lev"), v[:, ::-1] if flip else v) for n, v in profiles.items()},
            "pressure_levels": ("lev", levels[::-1] if flip else levels, {"units": "hPa"}),
            "latitude": ("time", [30.0, 31.0]),
            "longitude": ("time", [110.0, 111.0]),
        },
        coords={"time": np.array(["2016-01-01T04:00", "2016-01-01T05:00"], "datetime64[ns]")},
        attrs={"species": "ch4", "network": "gosat", "satellite": "GOSAT"},
    )
    data["ch4_profile_apriori"].attrs["units"] = unit
    data.to_netcdf(path)
    return path


@pytest.mark.parametrize("flip", [False, True])
def test_columns_come_surface_first(tmp_path, flip):
    record = stations.read(columns(tmp_path / "c.nc", flip))
    assert record["pressure_levels"].values[0].tolist() == [1000.0, 700.0, 400.0, 100.0]
    assert record["averaging_kernel"].values[0].tolist() == [0.9, 1.0, 1.1, 1.2]
    np.testing.assert_allclose(record["prior_column"].values, (1900 + 1880 + 1850 + 1700) / 4)
    assert record["quality"].values.tolist() == [0, int(Quality.PRODUCER)]
    assert any("surface first" in c for c in record.attrs["changes"]) == flip


def test_weights_that_are_none_are_flagged(tmp_path):
    record = stations.read(columns(tmp_path / "c.nc", weight=0.2))
    assert (record["quality"].values & Quality.OPERATOR).all()


def test_what_cannot_be_written_or_read_says_why(tmp_path):
    record = make_record([400.0, 401.0])
    with pytest.raises(SchemaError, match="lacks sd"):
        write_openghg(record.drop_vars("sd"), tmp_path / "a.nc")
    two = record.copy()
    two["intake_height_m"] = ("time", [10.0, 80.0])
    with pytest.raises(ConfigError, match="one inlet, this record 2"):
        write_openghg(two, tmp_path / "a.nc")
    two.attrs["kind"] = "column"
    with pytest.raises((SchemaError, ConfigError)):
        write_openghg(two, tmp_path / "a.nc")
    assert not (tmp_path / "a.nc").exists()
    write_record(record, tmp_path / "own.nc")
    with pytest.raises(FormatError, match="no variable named after a species"):
        stations.read(tmp_path / "own.nc", format="openghg")


def test_files_of_acrg_say_some_things_with_capitals_or_in_their_name(tmp_path):
    def older(data):
        data.attrs = {
            k: v for k, v in data.attrs.items() if k not in ("site", "network", "calibration_scale", "inlet")
        }
        del data.attrs["inlet_height_magl"]
        data.attrs |= {"Calibration_scale": "TU1987", "inlet_magl": "10m"}
        return data

    record = stations.read(station_file(tmp_path / "AGAGE-GCFID_MHD_20140201_co2-20140401.nc", older))
    assert (record.attrs["site"], record.attrs["network"]) == ("MHD", "AGAGE")
    assert record.attrs["scale"] == "TU-87"
    assert record.attrs["source"] == "openghg_agage_co2"
    assert set(record["intake_height_m"].values.tolist()) == {10.0}
    assert any("site MHD is from its name" in note for note in record.attrs["warnings"])
