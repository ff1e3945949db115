"""Mole fractions of incoming air from numbers, baselines, fields and curtains."""

from __future__ import annotations

import netCDF4
import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from inversion.transport.background.particle_ends import open_background
from obsnet.errors import ConfigError, FormatError, MissingVariableError, RangeError, UnitError
from obsnet.times import from_epoch
from tests.inversion.transport.worlds import START, seconds, world


def ends(lat, lon, height, *, at=30.0, weight=None, names=None, side=None):
    n = len(lat)
    return pa.table(
        {
            "obs_id": names or ["a"] * n,
            "time": from_epoch(np.full(n, seconds(at))),
            "latitude": np.asarray(lat, float),
            "longitude": np.asarray(lon, float),
            "height_m": np.asarray(height, float),
            "side": pa.array(side or ["north"] * n).dictionary_encode(),
            "weight": np.full(n, 1.0 / n) if weight is None else np.asarray(weight, float),
        }
    )


def fields(path, function, *, times=(0, 72), unit="mol mol-1", level=(1000.0, 800.0, 500.0, 200.0), level_unit="hPa",
           name="co2", lon=None):  # fmt: skip
    lat, lon = np.arange(15.0, 46.0, 3.0), np.arange(95.0, 136.0, 4.0) if lon is None else lon
    with netCDF4.Dataset(path, "w") as data:
        axes = {"time": np.asarray(times, float), "level": np.asarray(level), "lat": lat[::-1], "lon": lon}
        units = {"time": f"hours since {START.astype('datetime64[D]')}", "level": level_unit}
        for axis, values in axes.items():
            data.createDimension(axis, len(values))
            variable = data.createVariable(axis, "f8", (axis,))
            variable[:], variable.units = values, units.get(axis, "degrees")
        variable = data.createVariable(name, "f8", tuple(axes))
        variable.units = unit
        t, p, y, x = np.meshgrid(*axes.values(), indexing="ij")
        variable[:] = function(t, p, y, x)
    return path


def test_a_number():
    background = open_background(412.0, "CO2", uncertainty=0.5)
    names, value, error = background.of(ends([25, 26], [110, 111], [100, 200]), world())
    assert names.tolist() == ["a"]
    assert (value[0], error[0]) == pytest.approx((412.0, 0.5))
    with pytest.raises(RangeError, match="check the unit"):
        open_background(4.12e-4, "CO2")


@given(st.lists(st.floats(-0.2, 1.0), min_size=1, max_size=8).filter(lambda w: sum(w) > 0.1))
def test_weights_are_kept(weights):
    """Observations' shares need not sum to 1, as those of columns do not."""
    n = len(weights)
    _, value, _ = open_background(400.0, "CO2").of(
        ends([25.0] * n, [110.0] * n, [100.0] * n, weight=weights), MET
    )
    assert value[0] == pytest.approx(400.0 * sum(weights))


MET = world()


def test_observations_keep_their_order():
    table = ends([25] * 4, [110] * 4, [100] * 4, names=["z", "a", "z", "a"], weight=[0.5, 0.25, 0.5, 0.25])
    names, value, _ = open_background("400", "CO2").of(table, MET)
    assert names.tolist() == ["z", "a"]
    assert value.tolist() == pytest.approx([400.0, 200.0])


def test_a_baseline(tmp_path):
    path = tmp_path / "b.csv"
    path.write_text("# Waliguan, smooth curve\ntime,value\n2020-06-03,412\n2020-06-01,410\n2020-06-05,\n")
    _, value, _ = open_background("b.csv", "CO2", tmp_path).of(ends([25], [110], [100], at=24.0), MET)
    assert value[0] == pytest.approx(411.0)
    path.write_text("date,value\n2020-06-03,412\n")
    with pytest.raises(MissingVariableError, match="needs columns time and value, found date, value"):
        open_background("b.csv", "CO2", tmp_path)
    path.write_text("time,value\n2010-06-03,390\n")
    with pytest.raises(RangeError, match="the baseline covers 2010-06-03"):
        open_background("b.csv", "CO2", tmp_path).of(ends([25], [110], [100]), MET)


def test_fields_on_pressure_levels_are_interpolated(tmp_path):
    path = fields(
        tmp_path / "f.nc", lambda t, p, y, x: 1e-6 * (400 + 0.1 * t + np.log(1000 / p) + 0.2 * y + 0.05 * x)
    )
    table = ends([26.0], [111.0], [2000.0])
    _, value, _ = open_background(str(path), "CO2").of(table, MET)
    pressure = 1013.25 * np.exp(-2000.0 / 8000.0)
    assert value[0] == pytest.approx(400 + 3.0 + np.log(1000 / pressure) + 5.2 + 5.55, abs=0.01)


def test_spread_of_the_ends_is_in_the_error(tmp_path):
    path = fields(tmp_path / "f.nc", lambda t, p, y, x: 1e-6 * (400 + y + 0 * x))
    n = 400
    lat = np.random.default_rng(2).normal(30.0, 2.0, n)
    _, value, error = open_background(str(path), "CO2").of(ends(lat, [110.0] * n, [500.0] * n), MET)
    assert value[0] == pytest.approx(400 + lat.mean(), abs=1e-6)
    assert error[0] == pytest.approx(lat.std() / np.sqrt(n), rel=0.05)


def test_fields_in_height_one_time_and_ppb(tmp_path):
    path = fields(
        tmp_path / "f.nc",
        lambda t, z, y, x: 1800 + z / 100 + 0 * x,
        times=(0,),
        unit="ppb",
        level=(0.0, 1000.0, 5000.0),
        level_unit="m",
        name="ch4",
    )
    _, value, _ = open_background(str(path), "CH4").of(ends([26.0], [111.0], [2000.0]), MET)
    assert value[0] == pytest.approx(1820.0)


def test_fields_that_do_not_serve(tmp_path):
    def one(t, p, y, x):
        return 4e-4 + 0 * (t + p + y + x)

    with pytest.raises(MissingVariableError, match=r"no mole fraction of CH4 \(ch4\); found co2"):
        open_background(str(fields(tmp_path / "a.nc", one)), "CH4")
    with pytest.raises(RangeError, match="CO2 spans 0.0004 to 0.0004 ppm"):
        open_background(str(fields(tmp_path / "b.nc", one, unit="ppm")), "CO2")
    with pytest.raises(UnitError, match="kg"):
        open_background(str(fields(tmp_path / "c.nc", one, unit="kg")), "CO2")
    early = open_background(str(fields(tmp_path / "d.nc", one, times=(0, 10))), "CO2")
    with pytest.raises(RangeError, match="fields cover 2020-06-01T00"):
        early.of(ends([26.0], [111.0], [2000.0]), MET)
    west = open_background(str(fields(tmp_path / "e.nc", one, lon=np.arange(60.0, 100.0, 4.0))), "CO2")
    with pytest.raises(RangeError, match="particles end outside its longitudes"):
        west.of(ends([26.0], [111.0], [2000.0]), MET)
    (tmp_path / "f.nc").write_text("no netCDF")
    with pytest.raises(FormatError, match="cannot be read as netCDF"):
        open_background(str(tmp_path / "f.nc"), "CO2")
    with pytest.raises(ConfigError, match="neither a number nor a file"):
        open_background("nowhere.nc", "CO2")


def test_curtains_of_the_sample(sample_data):
    """openghg's boundary file: every side has its own curtain, by height and along the side."""
    path = sample_data / "transport" / "openghg" / "bc_co2_EUROPE_201407.nc"
    background = open_background(str(path), "CO2")
    with netCDF4.Dataset(path) as data:
        north, east = data["vmr_n"][:], data["vmr_e"][:]
        lon, lat = data["lon"][:], data["lat"][:]
    at = np.zeros(3)
    found = background.at(
        at,
        np.array([79.0, float(lat[150]), 50.0]),
        np.array([float(lon[200]), 39.0, 0.0]),
        np.array([1500.0, 2500.0, 1500.0]),
        at + 8e4,
        np.array(["north", "east", "inside"]),
    )
    scale = 1e6 if north.max() < 1 else 1.0
    assert found[0] == pytest.approx(float(north[1, 200]) * scale, rel=1e-6)
    assert found[1] == pytest.approx(float(east[2, 150]) * scale, rel=1e-6)
    assert north[1].min() * scale - 15 < found[2] < north[1].max() * scale + 15
