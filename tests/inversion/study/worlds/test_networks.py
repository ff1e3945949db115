"""Networks as data: known orbits, swaths and daylight, stations spread out, sources for every number."""

from __future__ import annotations

from functools import lru_cache

import numpy as np
import pytest
import shapely
from hypothesis import given
from hypothesis import strategies as st

from inversion.study.worlds.network import presets, read_network
from inversion.study.worlds.orbits import Orbit, across_track, ground_track, sun_elevation
from inversion.study.worlds.sampling import Sampling, sample, spread_sites, station_positions
from inversion.study.worlds.virtual import virtual_tables, write_virtual
from obsnet.errors import ConfigError, RangeError
from obsnet.schema import profile_array
from obsnet.store import ObservationStore

START = np.datetime64("2023-03-01", "us")
AREA = shapely.box(80.0, 20.0, 125.0, 50.0)
BOUNDS = (16.0, 54.0, 72.0, 136.0)


@lru_cache
def seen(name, days=8, species=None, seed=0) -> Sampling:
    network = read_network(name)
    return sample(
        network,
        name,
        species=species or next(iter(network.random)),
        start=START,
        stop=START + np.timedelta64(days, "D"),
        area=AREA,
        bounds=BOUNDS,
        seed=seed,
    )


# --- orbits ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("altitude", "inclination"),
    [(705.0, 98.2), (824.0, 98.7), (613.0, 97.84)],  # published: DQ-1, Sentinel-5P, GOSAT-2
)
def test_sun_synchronous_orbits_have_their_published_inclination(altitude, inclination):
    assert np.rad2deg(Orbit(altitude).tilt) == pytest.approx(inclination, abs=0.05)
    assert Orbit(altitude).node_drift == 0.0


def test_periods():
    assert Orbit(705.0).period_minutes == pytest.approx(99.0, abs=0.3)  # published: 99 minutes
    assert Orbit(613.0).period_minutes == pytest.approx(97.0, abs=0.3)  # published: 97.0 minutes
    assert Orbit(408.0, 51.6).period_minutes == pytest.approx(92.6, abs=0.3)


def test_the_station_in_space_drifts_through_all_hours():
    drift = np.rad2deg(Orbit(408.0, 51.6).node_drift) * 86400
    assert drift == pytest.approx(-6.0, abs=0.1)  # degrees a day: a day's hours in about two months


def test_a_sun_synchronous_satellite_keeps_its_hour():
    orbit = Orbit(705.0)
    seconds = np.arange(0.0, 5 * 86400, 2.0)
    lat, lon, _, number, ascending = ground_track(orbit, START, seconds, ascending_hour=13.5)
    at = np.flatnonzero((lat[:-1] < 0) & (lat[1:] >= 0))
    assert ascending[at].all()
    hours = np.mod(seconds[at] / 3600 + lon[at] / 15, 24)
    np.testing.assert_allclose(hours, 13.5, atol=0.01)
    assert len(at) == pytest.approx(5 * 1440 / orbit.period_minutes, abs=1)
    assert np.abs(lat).max() == pytest.approx(180 - 98.2, abs=0.1)
    assert (np.diff(number) >= 0).all()


def test_the_heading_is_that_of_the_track():
    lat, lon, heading, _, _ = ground_track(
        Orbit(500.0, 60.0), START, np.arange(0.0, 6000, 1.0), ascending_hour=3.0
    )
    north = np.gradient(np.deg2rad(lat))
    east = np.gradient(np.unwrap(np.deg2rad(lon))) * np.cos(np.deg2rad(lat))
    numeric = np.mod(np.rad2deg(np.arctan2(east, north)), 360)
    apart = np.mod(heading - numeric + 180, 360) - 180
    assert np.abs(apart[2:-2]).max() < 0.05


@given(st.floats(-80, 80), st.floats(-180, 180), st.floats(0, 360), st.floats(-1300, 1300))
def test_points_across_the_track_are_as_far_as_asked(lat, lon, heading, offset):
    y, x = across_track(np.array([lat]), np.array([lon]), np.array([heading]), np.array([0.0, offset]))
    assert y[0, 0] == pytest.approx(lat, abs=1e-9)
    a, b, d = np.deg2rad(lat), np.deg2rad(y[0, 1]), np.deg2rad(x[0, 1] - lon)
    h = np.sin((b - a) / 2) ** 2 + np.cos(a) * np.cos(b) * np.sin(d / 2) ** 2
    assert 2 * 6371.0088 * np.arcsin(np.sqrt(h)) == pytest.approx(abs(offset), abs=1e-3)


def test_right_of_a_northward_track_is_east():
    y, x = across_track(np.array([30.0]), np.array([100.0]), np.array([0.0]), np.array([-100.0, 100.0]))
    assert x[0, 0] < 100.0 < x[0, 1]
    np.testing.assert_allclose(y, 30.0, atol=0.01)


def test_the_sun():
    noon = np.array(
        ["2023-06-21T12:00", "2023-12-21T12:00", "2023-03-21T12:00", "2023-06-21T00:00"], "datetime64[us]"
    )
    height = sun_elevation(noon, np.array([23.44, 40.0, 0.0, 40.0]), np.zeros(4))
    np.testing.assert_allclose(height, [90.0, 26.56, 90.0, -26.56], atol=1.0)
    assert sun_elevation(noon[:1], np.array([30.0]), np.array([120.0]))[0] < 0  # 20 h local time


def test_impossible_orbits():
    with pytest.raises(RangeError, match="200 to 2000 km, found 35786"):
        Orbit(35786.0)


# --- presets ---------------------------------------------------------------------------------------------


def test_every_preset_names_its_sources():
    assert {"existing", "stations_39", "stations_60", "stations_120", "oco2", "oco3", "gosat2", "tropomi",
            "dq1_day", "dq1_night", "fy3h", "co2m_1", "co2m_2", "co2m_3"} <= set(presets())  # fmt: skip
    numbers = {
        "stations": ("random",),
        "orbit": ("altitude_km", "local_time", "swath_km", "pixel_km2", "random", "clear"),
    }
    for name in presets():
        network = read_network(name)
        for key in numbers[network.kind]:
            assert key in network.sources or key in network.assumed, f"{name}: {key}"


def test_what_is_based_on_another_takes_its_numbers():
    one, three = read_network("co2m_1"), read_network("co2m_3")
    assert three.satellites == 3
    assert three.swath_km == one.swath_km == 250.0
    assert three.random["CO2"] == 0.7
    assert three.systematic["CO2"] == 0.5
    assert "swath_km" in three.sources
    assert "satellites" in three.assumed
    assert read_network("dq1_night").light == "night"
    assert [read_network(f"stations_{n}").count for n in (39, 60, 120)] == [39, 60, 120]
    assert read_network("oco3").inclination == 51.6


def test_a_number_of_the_user_leaves_no_old_source(tmp_path):
    (tmp_path / "mine.toml").write_text('base = "fy3h"\ntitle = "mine"\npixel_km2 = 5.0\n')
    mine = read_network("mine.toml", tmp_path)
    assert mine.pixel_km2 == 5.0
    assert "pixel_km2" not in mine.assumed
    assert "swath_km" in mine.sources


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("title = 'a'\nkind = 'orbit'\nrandom = {CO2 = 1}", "an orbit needs altitude_km"),
        ("title = 'a'\nkind = 'stations'\nrandom = {CO2 = 1}", "stations need sites or a count"),
        ("title = 'a'\nkind = 'station'\nrandom = {CO2 = 1}", "kind = 'station'"),
        ("base = 'existing'\ncount = 3", "count = 3 is less than the 8 sites"),
        ("base = 'oco2'\nswaths_km = 3", "unknown key 'swaths_km'; nearest: 'swath_km'"),
        ("base = 'oco2'\n[sources]\nswath = 'x'", "sources and assumed name keys of this file, not 'swath'"),
        ("base = 'mine.toml'", "based on each other"),
        ("title = ", "not a TOML file"),
    ],
)
def test_faulty_networks(tmp_path, text, message):
    (tmp_path / "mine.toml").write_text(text)
    with pytest.raises(ConfigError, match=message):
        read_network("mine.toml", tmp_path)


def test_an_unknown_network():
    with pytest.raises(ConfigError, match=r"no network 'co2m'; nearest: .*'co2m_"):
        read_network("co2m")


# --- stations --------------------------------------------------------------------------------------------


def test_spread_sites_are_nested_and_far_apart():
    few, many = (spread_sites(AREA, n, [(30.0, 100.0)]) for n in (10, 40))
    assert many[:10] == few
    points = np.array([(30.0, 100.0), *many])
    apart = np.hypot(
        points[:, None, 0] - points[:, 0], (points[:, None, 1] - points[:, 1]) * np.cos(np.deg2rad(35))
    )
    np.fill_diagonal(apart, 99)
    assert apart.min() > 2.5
    assert all(shapely.contains_xy(AREA, lon, lat) for lat, lon in many)
    assert len(spread_sites(AREA, 3)) == 3
    assert spread_sites(AREA, 3) == spread_sites(AREA, 5)[:3]
    with pytest.raises(ConfigError, match="holds 9 points of a lattice of half a degree, 50 were asked for"):
        spread_sites(shapely.box(100.2, 30.2, 101.7, 31.7), 50)


def test_station_networks_grow_from_those_that_exist():
    thirty, sixty = (station_positions(read_network(f"stations_{n}"), AREA) for n in (30, 60))
    assert len(thirty) == 30
    assert len(sixty) == 60
    assert set(thirty) < set(sixty)
    assert thirty["WLG"] == (36.2879, 100.8964)


def test_stations_observe_in_the_afternoon_of_their_place():
    made = seen("existing", days=4)
    local = np.mod(made.time.astype("datetime64[s]").astype(np.int64) / 3600 + made.longitude / 15, 24)
    np.testing.assert_allclose(local, 14.0, atol=0.001)
    assert set(made.platform) == {s.code for s in read_network("existing").site}
    assert len(made) == 8 * 4
    assert not made.column.any()
    np.testing.assert_allclose(made.random, 0.1)
    assert (np.diff(made.time.astype(np.int64)) >= 0).all()


# --- satellites ------------------------------------------------------------------------------------------


def test_swaths_cover_what_their_width_says():
    network = read_network("co2m_1").model_copy(update={"clear": 1.0})
    made = sample(
        network,
        "x",
        species="CO2",
        start=START,
        stop=START + np.timedelta64(11, "D"),
        area=AREA,
        bounds=BOUNDS,
    )
    # in 11 days a track comes within its swath of nearly every place once
    cells = {(int(y), int(x)) for y, x in zip(np.floor(made.latitude), np.floor(made.longitude), strict=True)}
    assert len(cells) > 0.93 * 45 * 30
    area = made.soundings.sum() * network.pixel_km2
    whole = 6371.0**2 * np.deg2rad(45) * (np.sin(np.deg2rad(50)) - np.sin(np.deg2rad(20)))
    daily = 250.0 / (40030 / (1440 / Orbit(735.0).period_minutes))  # share of the equator seen by day
    assert area / whole / 11 == pytest.approx(daily / np.cos(np.deg2rad(36)), rel=0.2)
    np.testing.assert_allclose(made.random, 0.7 / np.sqrt(made.soundings))
    np.testing.assert_allclose(made.systematic, 0.5)


def test_three_satellites_see_three_times_as_much():
    one, two, three = (seen(f"co2m_{n}") for n in (1, 2, 3))
    assert len(two) == pytest.approx(2 * len(one), rel=0.2)
    assert len(three) == pytest.approx(3 * len(one), rel=0.2)
    assert len(set(three.platform)) == 3
    assert len(set(three.orbit)) > 2.5 * len(set(one.orbit))


def test_day_and_night_lines():
    day, night = seen("dq1_day"), seen("dq1_night")
    for made, light in ((day, True), (night, False)):
        sun = sun_elevation(made.time, made.latitude, made.longitude)
        assert ((sun > 10) == light).all()
    local = np.mod(night.time.astype("datetime64[s]").astype(np.int64) / 3600 + night.longitude / 15, 24)
    assert np.abs(local - 1.0).max() < 2.0
    hours = np.mod(day.time.astype("datetime64[s]").astype(np.int64) / 3600 + day.longitude / 15, 24)
    assert np.abs(hours - 13.0).max() < 2.0


def test_clouds_take_their_share_and_are_the_same_each_time():
    network = read_network("oco2")
    key = {
        "species": "CO2",
        "start": START,
        "stop": START + np.timedelta64(16, "D"),
        "area": AREA,
        "bounds": BOUNDS,
    }
    clear = sample(network.model_copy(update={"clear": 1.0}), "oco2", **key)
    cloudy = sample(network, "oco2", **key)
    assert len(cloudy) == pytest.approx(0.18 * len(clear), rel=0.15)
    np.testing.assert_array_equal(cloudy.time, sample(network, "oco2", **key).time)
    assert len(sample(network, "oco2", **key, seed=1)) != len(cloudy)
    assert (clear.column & (clear.soundings >= 1)).all()


def test_points_of_a_sparse_instrument_are_single_soundings():
    made = seen("gosat2")
    assert made.soundings.max() < 3
    area = 6371.0**2 * np.deg2rad(45) * (np.sin(np.deg2rad(50)) - np.sin(np.deg2rad(20)))
    daily = 858.0 / (40030 / (1440 / Orbit(613.0).period_minutes)) / np.cos(np.deg2rad(36))
    assert len(made) == pytest.approx(8 * daily * area / 28000 * 0.18, rel=0.25)
    assert seen("tropomi").soundings.mean() > 50


def test_overpasses_are_named_by_satellite_and_time():
    made = seen("oco2")
    for orbit in set(made.orbit):
        name, stamp = orbit.split(":", 1)
        rows = made.orbit == orbit
        assert name == "oco2"
        first = np.datetime64(stamp, "us")
        span = made.time[rows] - first
        assert (span >= np.timedelta64(-1, "m")).all()
        assert (span < np.timedelta64(20, "m")).all()


def test_what_cannot_be_sampled():
    with pytest.raises(ConfigError, match="OCO-2 does not measure CH4; it measures CO2"):
        seen("oco2", species="CH4")
    with pytest.raises(ConfigError, match="sees nothing inside the area"):
        sample(
            read_network("oco2"),
            "oco2",
            species="CO2",
            start=START,
            stop=START + np.timedelta64(1, "h"),
            area=AREA,
            bounds=BOUNDS,
        )


# --- virtual observations --------------------------------------------------------------------------------


def test_virtual_observations_pass_the_contract(tmp_path):
    made = Sampling.join([seen("existing"), seen("co2m_1")])
    point, column = sorted(
        virtual_tables(made, "CO2", 50.0), key=lambda t: t["kind"][0].as_py(), reverse=True
    )
    assert point["source"][0].as_py() == "virtual_existing"
    assert column["source"][0].as_py() == "virtual_co2m_1"
    assert len(point) + len(column) == len(made)
    for table in (point, column):
        assert len(set(table["obs_id"].to_pylist())) == len(table)
        assert not np.any(table["quality"].to_numpy())
    np.testing.assert_allclose(profile_array(column["pressure_weight"]).sum(axis=1), 1.0, rtol=1e-6)
    np.testing.assert_allclose(profile_array(column["averaging_kernel"]), 1.0)
    assert point["intake_height_m"][0].as_py() == 50.0
    counts = write_virtual(made, "CO2", tmp_path / "store")
    assert counts == {"virtual_existing": len(point), "virtual_co2m_1": len(column)}
    back = ObservationStore(tmp_path / "store").read("CO2")
    assert len(back) == len(made)
    with pytest.raises(ConfigError, match="apart from real ones"):
        write_virtual(made, "CO2", tmp_path / "store")
