"""A file that cannot be what its format asks: the error names the file and what is wrong with it."""

from __future__ import annotations

import netCDF4
import numpy as np
import pytest

from obsnet.errors import ConfigError, FormatError, MissingVariableError, ObsnetError
from stations import read
from stations.readers.netcdf import opened
from stations.record.source import Source
from tests.stations.dialects import gcwerks_c, gcwerks_crds, noaa_text, picarro, simple
from tests.stations.dialects_netcdf import agage

LOG = picarro([1.5e9, 1.5e9 + 2], [400.0, 401.0])
EVENT = (
    noaa_text(simple())
    .replace("# value:units : ppm\n", "")
    .replace("# header_lines : 19", "# header_lines : 18")
)


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        (
            "shangdianzi-medusa.18.C",
            gcwerks_c(simple(), gases=()),
            "no species with a Flag column after it",
        ),
        (
            "x.hourly.10m.dat",
            gcwerks_crds(simple(), gases=("xyz",)),
            "gives no unit and XYZ has no customary one",
        ),
        (
            "xyz_wlg_surface-flask_1_ccgg_event.txt",
            EVENT.replace("dataset_parameter : co2", "dataset_parameter : xyz"),
            "gives no value:units and 'xyz' has no customary unit",
        ),
        (
            "flasks.txt",
            EVENT.replace("# dataset_parameter : co2\n", "").replace("dataset_name: co2_", "dataset_name: "),
            "neither header nor file name says which species",
        ),
        (
            "X-DataLog_User.dat",
            LOG.replace("CO2", "XO2").replace("CH4", "XH4"),
            "no column of a known gas; found DATE",
        ),
    ],
)
def test_texts(tmp_path, name, text, message):
    (tmp_path / name).write_text(text)
    with pytest.raises(FormatError, match=message) as fault:
        read(tmp_path / name)
    assert name in str(fault.value)


def test_a_folder_without_a_log_and_a_log_without_a_header(tmp_path):
    with pytest.raises(ObsnetError, match=str(tmp_path)):
        read(tmp_path, format="picarro")
    (tmp_path / "a.dat").write_text("1 2 3\n")
    with pytest.raises(FormatError, match="a.dat does not begin with the header line of a Picarro data log"):
        read(tmp_path, format="picarro")


def test_a_log_may_have_no_rows_and_clocks_that_are_no_clocks(tmp_path):
    path = tmp_path / "X-DataLog_User.dat"
    path.write_text(LOG.splitlines(keepends=True)[0])
    assert read(path).sizes["time"] == 0
    path.write_text(LOG.replace("2017-07-14", "14.07.2017"))
    assert not any("EPOCH_TIME" in c for c in read(path).attrs["changes"])


# --- netCDF


@pytest.fixture
def methane(tmp_path):
    """An AGAGE file, to be spoilt."""
    rows = simple(4)
    rows.value += 1500.0
    return agage(tmp_path / "a.nc", rows)


def spoil(path, change):
    with netCDF4.Dataset(path, "a") as nc:
        change(nc)
    return path


@pytest.mark.parametrize(
    ("change", "error", "message"),
    [
        (
            lambda nc: nc.renameVariable("time", "times"),
            MissingVariableError,
            "no variable 'time'; nearest: 'times'",
        ),
        (
            lambda nc: nc["time"].setncattr("units", "seconds since the flood"),
            FormatError,
            "time has units 'seconds since the flood', not '<unit> since <date>'",
        ),
        (
            lambda nc: nc["time"].setncattr("units", "s"),
            FormatError,
            "time has units 's', not '<unit> since <date>'",
        ),
    ],
)
def test_netcdf(methane, change, error, message):
    with pytest.raises(error, match=message) as fault:
        read(spoil(methane, change), format="agage")
    assert methane.name in str(fault.value)


def test_netcdf_words_where_numbers_belong(methane):
    spoil(
        methane,
        lambda nc: nc.createVariable("words", str, ("time",)).__setitem__(slice(None), np.array(["a"] * 4)),
    )
    with (
        opened(Source(methane)) as file,
        pytest.raises(FormatError, match="variable 'words' holds .*, not numbers"),
    ):
        file.numbers("words")
    with opened(Source(methane)) as file:
        assert file.kind("words") == "S"
        assert file.texts("words").tolist() == ["a"] * 4
        assert file.texts("mf_count").tolist() == ["10"] * 4
    with (
        pytest.raises(FormatError, match="its variables do not fit together"),
        opened(Source(methane)) as file,
    ):
        np.zeros(3) + file.numbers("mf")


def test_netcdf_numbers_are_scaled_after_their_fill(methane):
    def pack(nc):
        packed = nc.createVariable("packed", "i2", ("time",), fill_value=-9)
        packed.setncatts({"scale_factor": 0.5, "add_offset": 10.0})
        packed.set_auto_maskandscale(False)
        packed[:] = [-9, 0, 2, 4]

    with opened(Source(spoil(methane, pack))) as file:
        np.testing.assert_array_equal(file.numbers("packed"), [np.nan, 10.0, 11.0, 12.0])


def test_a_packed_record_is_its_unpacked_twin_and_what_is_not_valid_is_said(methane, tmp_path):
    def spoilt(name, tight):
        other = tmp_path / f"{name}_{methane.name}"
        other.write_bytes(methane.read_bytes())
        with netCDF4.Dataset(other, "a") as nc:
            for old, factor, offset in (("mf", 0.01, 1800.0), ("mf_repeatability", 0.01, 0.0)):
                values = np.round((np.array([1850.0, 1851.25, 1990.0, 1852.5]) - offset) / factor)
                values = values if old == "mf" else np.array([120.0, 150.0, 110.0, 130.0])
                unit = nc[old].units if "units" in nc[old].ncattrs() else nc["mf"].units
                nc.renameVariable(old, f"old_{old}")
                made = nc.createVariable(old, ("i1" if old != "mf" else "i2") if tight else "f8", ("time",))
                made.set_auto_maskandscale(False)
                for key in nc[f"old_{old}"].ncattrs():
                    if key != "_FillValue":
                        made.setncattr(key, nc[f"old_{old}"].getncattr(key))
                made.units = unit
                if tight:
                    made.setncatts({"scale_factor": factor, "add_offset": offset})
                    if old != "mf":
                        made.setncattr("_Unsigned", "true")
                        made[:] = values.astype("u1").view("i1")
                    else:
                        made[:] = values.astype("i2")
                else:
                    made[:] = values * factor + offset
                if old == "mf":
                    made.valid_max = 10000 if tight else 1900.0
        return read(other, format="agage")

    plain, tight = spoilt("plain", False), spoilt("tight", True)
    for name in ("value", "uncertainty", "quality"):
        np.testing.assert_array_equal(plain[name].values, tight[name].values)
    np.testing.assert_allclose(tight["value"].values, [1850.0, 1851.25, np.nan, 1852.5])
    np.testing.assert_allclose(tight["uncertainty"].values, [1.2, 1.5, 1.1, 1.3])
    for record in (plain, tight):
        assert (
            "1 values of mf are outside of the range that the file calls valid (at most 1900): not used"
            in record.attrs["warnings"]
        )
        assert record["quality"].values[2] != 0


# --- requests that a good file cannot meet


def test_a_gas_the_log_does_not_hold(tmp_path):
    path = tmp_path / "X-DataLog_User.dat"
    path.write_text(LOG)
    with pytest.raises(ConfigError, match="no SF6 in this file; there is: 'CH4', 'CO2'"):
        read(path, "SF6")
