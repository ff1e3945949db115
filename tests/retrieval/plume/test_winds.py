"""Winds from files, tables and values."""

import netCDF4
import numpy as np
import pytest

from obsnet.errors import ConfigError, FormatError, MissingVariableError, RangeError
from retrieval.plume.winds import MetWinds, PlumeWind, read_wind_table

TIMES = np.array([0, 3600])
LEVELS = np.array([700, 850, 925, 975, 1000])
HEIGHTS = np.array([3000.0, 1400.0, 700.0, 260.0, 40.0])


def write_met(path, *, blh=True, geopotential=True):
    """Winds u = 2 + z / 500 m, v = -1, twice as fast an hour later; ground at 20 m above the sea."""
    with netCDF4.Dataset(path, "w") as data:
        axes = {
            "time": TIMES,
            "level": LEVELS,
            "latitude": np.array([36.0, 35.0, 34.0]),
            "longitude": np.array([109.0, 110.0, 111.0]),
        }
        units = {
            "time": "seconds since 2026-05-01 04:00:00",
            "level": "millibars",
            "latitude": "degrees_north",
            "longitude": "degrees_east",
        }
        for name, values in axes.items():
            data.createDimension(name, len(values))
            data.createVariable(name, "f8", (name,))[:] = values
            data[name].units = units[name]
        shape = tuple(len(v) for v in axes.values())

        def put(name, unit, values, dims=tuple(axes)):
            variable = data.createVariable(name, "f4", dims)
            variable.units = unit
            variable[:] = np.broadcast_to(values, tuple(len(axes[d]) for d in dims))

        factor = np.array([1.0, 2.0])[:, None, None, None]
        put("u", "m s**-1", factor * (2.0 + HEIGHTS / 500.0)[None, :, None, None])
        put("v", "m s**-1", factor * np.full(shape, -1.0))
        put("t", "K", 288.0)
        flat = ("time", "latitude", "longitude")
        put("sp", "Pa", 100480.0, flat)
        if geopotential:
            put("z", "m**2 s**-2", 9.80665 * (HEIGHTS + 20.0)[None, :, None, None])
            put("orog", "m", 20.0, flat)
        if blh:
            put("blh", "m", 600.0, flat)
    return path


def at(winds):
    return winds.at(np.datetime64("2026-05-01T04:30"), 35.3, 110.2)


def test_mean_over_the_boundary_layer_half_way_between_two_times(tmp_path):
    wind = at(MetWinds([write_met(tmp_path / "met.nc")], None, 0.3))
    # between 40 and 600 m linear, held below the lowest level; then times 1.5
    z = np.clip(np.linspace(0, 600, 10001), 40, None)
    assert wind.u == pytest.approx(1.5 * (2 + z / 500).mean(), rel=2e-3)
    assert wind.v == pytest.approx(-1.5, rel=1e-6)
    assert wind.error > 0.3
    assert "0 to 600 m" in wind.basis
    assert wind.coming_from == pytest.approx(np.rad2deg(np.arctan2(-wind.u, -wind.v)) % 360)


def test_a_layer_that_is_asked_for_and_heights_from_pressure(tmp_path):
    path = write_met(tmp_path / "met.nc", geopotential=False)
    wind = at(MetWinds([path], (100.0, 200.0), 0.0))
    thin = 8.314462618 / 0.0289647 * 288.0 / 9.80665
    heights = thin * np.log(100480.0 / (LEVELS * 100.0))
    z = np.linspace(100, 200, 101)
    assert wind.u == pytest.approx(
        1.5 * np.interp(z, heights[::-1], (2 + HEIGHTS / 500)[::-1]).mean(), rel=1e-3
    )


def test_two_readings_are_asked_about_and_places_outside_refused(tmp_path):
    path = write_met(tmp_path / "met.nc", blh=False)
    with pytest.raises(ConfigError, match="--layer"):
        MetWinds([path], None, 0.5)
    with pytest.raises(ConfigError, match="LOW,HIGH"):
        MetWinds([path], (500.0, 100.0), 0.5)
    winds = MetWinds([path], (0.0, 500.0), 0.5)
    with pytest.raises(RangeError, match="outside the winds"):
        winds.at(np.datetime64("2026-05-02T04:30"), 35.3, 110.2)
    with pytest.raises(RangeError, match="latitude"):
        winds.at(np.datetime64("2026-05-01T04:30"), 39.0, 110.2)
    assert at(winds).u == pytest.approx(winds.at(np.datetime64("2026-05-01T04:30"), 35.3, 110.2 - 360.0).u)


def test_wind_tables(tmp_path):
    path = tmp_path / "wind.csv"
    path.write_text("# from a mast\nsource,u,v,error\nstack,3,-4,0.7\n")
    wind = read_wind_table(path, 1.0)["stack"]
    assert (wind.speed, wind.error) == (5.0, 0.7)
    path.write_text("scene,u,v\na,3,-4\n")
    assert read_wind_table(path, 1.0)["a"].error == 1.0
    path.write_text("source,u\na,3\n")
    with pytest.raises(MissingVariableError, match="'v'"):
        read_wind_table(path, 1.0)
    path.write_text("source,u,v\na,3,1\na,3,1\n")
    with pytest.raises(FormatError, match="twice"):
        read_wind_table(path, 1.0)


def test_winds_that_are_none():
    with pytest.raises(RangeError, match="m s-1"):
        PlumeWind(300.0, 0.0, 1.0)
    with pytest.raises(RangeError):
        PlumeWind(np.nan, 0.0, 1.0)
    with pytest.raises(RangeError, match="error"):
        PlumeWind(3.0, 0.0, -1.0)
