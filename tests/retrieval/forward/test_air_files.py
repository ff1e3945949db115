"""Air above soundings: the same through every layout, that of ACOS in the real file, and what cannot be air."""

from __future__ import annotations

import h5py
import numpy as np
import pytest
import xarray as xr

from obsnet.errors import FormatError, ObsnetError, RangeError, UnitError
from retrieval.forward.air_files import layers_of, open_air, read_air
from retrieval.forward.sun_motion import solar_doppler
from retrieval.spectra.opus import read_run_log

P = np.geomspace(1.0, 1000.0, 40)  # top first, hPa
T = np.linspace(215.0, 290.0, 40)
Q = 0.01 * (P / 1000.0) ** 3


def acos(path, pressure=P * 100.0, surface=1.0e5, rows=2):
    with h5py.File(path, "w") as file:
        full = {"temperature": T, "specific_humidity": Q, "temperature_pressures": pressure}
        full["specific_humidity_pressures"] = pressure
        for name, values in full.items():
            file[f"ecmwf/{name}"] = np.broadcast_to(values, (rows, 3, 2, 40))
        file["ecmwf/surface_pressure"] = np.full((rows, 3, 2), surface)
    return path


def oco(path):
    with h5py.File(path, "w") as file:
        for name, values in (
            ("vector_pressure_levels", P * 100.0),
            ("temperature_profile", T),
            ("specific_humidity_profile", Q),
        ):
            file[f"Meteorology/{name}_met"] = np.broadcast_to(values, (1, 2, 40))
        file["Meteorology/surface_pressure_met"] = np.full((1, 2), 1.0e5)
        file["SoundingGeometry/sounding_id"] = np.array([[11, 12]])
    return path


def own(path, unit="Pa"):
    two = ("sounding", "level")
    xr.Dataset(
        {
            "pressure": (two, np.tile(P * 100.0, (2, 1)), {"units": unit}),
            "temperature": (two, np.tile(T, (2, 1)), {"units": "K"}),
            "specific_humidity": (two, np.tile(Q * 1e3, (2, 1)), {"units": "g kg-1"}),
            "surface_pressure": ("sounding", [1000.0, 1000.0], {"units": "hPa"}),
            "sounding_id": ("sounding", np.array([11, 12])),
        }
    ).to_netcdf(path, engine="netcdf4")
    return path


def table(path):
    water = Q / (1.0 - Q) * 28.9652 / 18.01528
    rows = "\n".join(
        f"{p:.12g},{t:.12g},{w:.12g}" for p, t, w in zip(P[::-1], T[::-1], water[::-1], strict=True)
    )
    path.write_text("pressure_hpa,temperature_k,water\n" + rows + "\n")
    return path


def test_every_layout_gives_the_same_air(tmp_path):
    files = [
        acos(tmp_path / "a.h5"),
        oco(tmp_path / "o.h5"),
        own(tmp_path / "n.nc"),
        table(tmp_path / "t.csv"),
    ]
    found = [read_air(open_air(path), [1 if path.suffix != ".csv" else 0])[0] for path in files]
    for air in found:
        np.testing.assert_allclose(air.pressure, P[::-1], rtol=1e-6)
        np.testing.assert_allclose(air.temperature, T[::-1], rtol=1e-6)
        np.testing.assert_allclose(air.humidity, Q[::-1], rtol=2e-4)
        assert air.surface_pressure == pytest.approx(1000.0)
    layers = layers_of(found[0], 12, latitude=30.0, altitude=100.0)
    assert layers.pressure_edges[[0, -1]] == pytest.approx([1000.0, 0.1])
    assert len(layers.pressure) == 12


def test_soundings_are_found_by_name_or_in_order(tmp_path):
    named = open_air(oco(tmp_path / "o.h5"))
    assert named.rows_of(["12", "11"]) == [1, 0]
    with pytest.raises(FormatError, match="no sounding 13"):
        named.rows_of(["12", "13"])
    nameless = open_air(acos(tmp_path / "a.h5"))
    assert nameless.rows_of(["13", "14"]) == [0, 1]
    with pytest.raises(FormatError, match="2 soundings, the spectra 3"):
        nameless.rows_of(["13", "14", "15"])


def test_what_cannot_be_air_is_refused(tmp_path):
    for match, error, make in (
        (r"pressure \(hPa\)", RangeError, lambda p: acos(p, P * 1e4)),
        ("do not fall", RangeError, lambda p: acos(p, np.full(40, 5e4))),
        (r"surface pressure \(hPa\)", RangeError, lambda p: acos(p, surface=1000.0)),
        ("highest level", RangeError, lambda p: acos(p, np.geomspace(1e4, 1e5, 40))),
        ("stated|unit", ObsnetError, lambda p: own(p, unit="furlong")),
    ):
        with pytest.raises(error, match=match):
            read_air(open_air(make(tmp_path / "x.h5")), [0])
    air = read_air(open_air(acos(tmp_path / "a.h5")), [0])[0]
    with pytest.raises(RangeError, match="701 hPa is usual"):
        layers_of(air, 10, latitude=30.0, altitude=3000.0)
    without = tmp_path / "u.nc"
    with xr.open_dataset(own(tmp_path / "o.nc"), engine="netcdf4") as data:
        bare = data.load()
    del bare["pressure"].attrs["units"]
    bare.to_netcdf(without, engine="netcdf4")
    with pytest.raises(UnitError, match="pressure states no unit"):
        read_air(open_air(without), [0])


def test_dry_air_of_a_real_sounding_is_that_of_acos(sample_data):
    folder = sample_data / "retrieval/acos_gosat"
    file = open_air(folder / "acos_EcmB2900_tccon_5_good_qual.h5")
    layers = layers_of(read_air(file, [0])[0], 30, latitude=36.2788, altitude=95.94)
    with h5py.File(folder / "expected/l2_20100223034944.h5") as known:
        r = known["RetrievalResults"]
        oxygen = float(r["apriori_o2_column"][0]) / 0.20935  # of the weather's surface pressure, m-2
        water = float(r["retrieved_h2o_column"][0] / r["h2o_scale_factor"][0])
    assert layers.dry_air.sum() * 1e4 == pytest.approx(oxygen, rel=2e-4)
    assert (layers.dry_air * layers.water).sum() * 1e4 == pytest.approx(water, rel=0.015)


def test_doppler_is_that_of_a_run_log(sample_data):
    """The log states how much the Sun recedes, parts per million, over a day."""
    path = sample_data / "retrieval/fts_acos/tccon_runlog.grl"
    rows = [line.split() for line in path.read_text(encoding="latin-1").splitlines()]
    names = [row[0] for row in rows if len(row) == 37 and row[0].startswith("pa2009")]
    apart = []
    for name in names[::40]:
        log = read_run_log(path, name)
        time = np.datetime64(f"{log.year}-01-01") + np.timedelta64(
            round((log.day - 1) * 86400 + log.hour * 3600), "s"
        )
        shift = solar_doppler(time, log.latitude, log.solar_zenith, log.azimuth)
        apart.append(1e6 * shift + log.doppler)
    assert len(apart) > 5
    assert np.abs(apart).max() < 0.006
