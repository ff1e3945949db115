"""The invented world: what it must be for the twin experiment to mean anything."""

import numpy as np
import pandas as pd
import pytest

from obsnet.demo.lines import planted_lines
from obsnet.demo.network import existing, idealised, satellite_days
from obsnet.demo.twin import BIN_DAYS, GRID, START
from obsnet.demo.weather import EARTH_RADIUS, make_weather
from obsnet.demo.world import BACKGROUND_PPM, SETTINGS, make_world
from obsnet.errors import ConfigError
from obsnet.inventory.table import mole_rate
from obsnet.regions import provinces
from obsnet.splitting import flux_shares
from obsnet.zonal import zonal_weights


@pytest.fixture(scope="module")
def frame():
    return provinces()


@pytest.fixture(scope="module")
def zones(frame):
    """What turns fossil fluxes into totals, and fractions of areas."""
    shares = flux_shares(frame, GRID, {"fossil": np.ones(GRID.shape)})
    return shares.area("fossil")[: len(frame)], zonal_weights(frame, GRID).fraction


def made(frame, zones, seed=1, planted="410000"):
    return make_world(GRID, list(frame.index), *zones, 5, BIN_DAYS, seed=seed, planted=planted)


@pytest.fixture(scope="module")
def world(frame, zones):
    return made(frame, zones)


def test_prior_totals_are_the_reported_ones(world):
    there = np.isfinite(world.reported)
    np.testing.assert_allclose((world.weights @ world.prior_fossil)[there], world.reported[there], rtol=1e-8)
    assert there.sum() == 30


def test_only_the_planted_province_is_off_by_a_quarter(world):
    truth = world.weights @ world.true_fossil
    there = np.flatnonzero(np.isfinite(world.reported))
    ratio = {world.regions[r]: world.reported[r] / truth[r] for r in there}
    planted = ratio.pop("410000")
    assert planted == pytest.approx(0.75, abs=0.15)
    spread = np.std(list(ratio.values()))
    assert spread == pytest.approx(SETTINGS.inventory_sd, rel=0.5)
    assert max(abs(np.array(list(ratio.values())) - 1)) < 0.2


def test_fluxes_are_plausible(world):
    assert (world.true_fossil >= 0).all()
    # Shanghai's cell is the densest; tens of umol m-2 s-1
    assert 10e-6 < world.true_fossil.max() < 100e-6
    assert abs(world.true_biosphere).max() < 3e-6
    assert world.inflow.shape == (6, 5)
    assert abs(world.inflow - BACKGROUND_PPM).max() < 8


def test_biosphere_error_has_the_stated_size_and_memory(frame, zones):
    worlds = [made(frame, zones, seed=s) for s in range(3)]
    land = np.clip(np.asarray(zones[1].sum(0)).ravel(), 0, 1) > 0.9
    error = np.stack([1e6 * (w.true_biosphere - w.prior_biosphere)[:, land] for w in worlds])
    assert error.std() == pytest.approx(SETTINGS.biosphere_sigma, rel=0.25)
    lag = (error[:, 1:] * error[:, :-1]).mean() / (error**2).mean()
    assert lag == pytest.approx(np.exp(-BIN_DAYS / SETTINGS.biosphere_days), abs=0.25)


def test_seed_decides(frame, zones, world):
    again = made(frame, zones)
    np.testing.assert_array_equal(again.true_fossil, world.true_fossil)
    assert not np.array_equal(made(frame, zones, seed=2).true_fossil, world.true_fossil)


def test_planted_province_needs_an_inventory(frame, zones):
    with pytest.raises(ConfigError, match="'540000' has no inventory"):
        made(frame, zones, planted="540000")


def test_inventory_rate_is_mass_of_co2(world):
    shandong = world.reported[world.regions.index("370000")]
    assert shandong / mole_rate(1.0, "Mt", "CO2") == pytest.approx(937)


def test_stations_stand_in_their_provinces(frame):
    from shapely import contains_xy

    network = idealised(frame, np.random.default_rng(4))
    codes = [s.code for s in network.sites]
    assert len(set(codes)) == len(codes) > 100
    union = frame.union_all()
    assert all(contains_xy(union, s.longitude, s.latitude) for s in network.sites)
    unseen = frame.geometry[["540000", "650000", "630000", "460000"]].union_all()
    assert not any(contains_xy(unseen, s.longitude, s.latitude) for s in network.sites)


def test_existing_network_is_sparse():
    assert len(existing().sites) == 6
    assert existing().soundings_per_day < 30


def test_soundings_are_on_land_in_the_early_afternoon(frame):
    from shapely import contains_xy

    from obsnet.times import solar_hour

    land = frame.union_all().simplify(0.05)
    days = START + np.arange(2)
    made = satellite_days(existing(), days, land, np.random.default_rng(0))
    assert [len(d["time"]) for d in made] == [25, 25]
    for day in made:
        assert contains_xy(land, day["longitude"], day["latitude"]).all()
        np.testing.assert_allclose(solar_hour(day["time"], day["longitude"]), 13.5, atol=0.001)
        assert (np.diff(day["time"]) >= np.timedelta64(0, "s")).all()


def test_weather_has_no_divergence_and_blows_like_winter():
    times = START.astype("datetime64[h]") + np.arange(0, 48, 6)
    weather = make_weather(times, (17, 54, 73, 136), np.random.default_rng(1), step=1.0)
    lat, lon = np.deg2rad(weather.latitude.values), np.deg2rad(weather.longitude.values)
    u, v = weather.u.values[0, 0].astype(float), weather.v.values[0, 0].astype(float)
    # the part without the uniform winds must be free of divergence on the sphere
    u0, v0 = 2.0 + 22.0 * 0.0, -2.5
    cos = np.cos(lat)[:, None]
    divergence = (np.gradient(u - u0, lon, axis=1) + np.gradient((v - v0) * cos, lat, axis=0)) / (
        EARTH_RADIUS * cos
    )
    vorticity = (np.gradient(v - v0, lon, axis=1) - np.gradient((u - u0) * cos, lat, axis=0)) / (
        EARTH_RADIUS * cos
    )
    inner = (slice(2, -2), slice(2, -2))
    assert np.abs(divergence[inner]).mean() < 0.05 * np.abs(vorticity[inner]).mean()
    assert 4 < np.hypot(weather.u, weather.v).sel(level=850).mean() < 15
    assert weather.u.sel(level=300).mean() > weather.u.sel(level=850).mean()
    assert 200 <= weather.blh.min() < 300
    assert 1000 < weather.blh.max() < 2000
    noon = weather.blh.sel(time="2019-01-08T06:00").sel(longitude=116, method="nearest").mean()
    night = weather.blh.sel(time="2019-01-08T18:00").sel(longitude=116, method="nearest").mean()
    assert noon > 3 * night


def test_what_became_of_the_planted_error_is_said(world):
    truth = world.true_total("410000")
    assert truth == pytest.approx(461, rel=0.2)
    row = {"region": "410000", "name_en": "Henan", "inventory": 345.75, "minimum_detectable": 135.0}
    other = {"region": "370000", "name_en": "Shandong", "inventory": 937.0, "minimum_detectable": 260.0}
    why = {"reason": "smallest detectable discrepancy 39% exceeds 30%", "verdict": "not testable"}
    table = pd.DataFrame([{**row, **why}, {**other, "reason": "", "verdict": "consistent"}])
    said = " ".join(planted_lines(table, "410000", truth))
    assert "346 Mt for Henan, CEADs 461" in said
    assert "135 Mt would be found" in said
    assert "Testable in this run: Shandong" in said
    table.loc[0, ["verdict", "reason"]] = ["inconsistent", ""]
    assert len(list(planted_lines(table, "410000", truth))) == 1
    table.loc[0, "verdict"] = "not decided"
    assert "not found" in " ".join(planted_lines(table, "410000", truth))
