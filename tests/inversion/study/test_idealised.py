"""Idealised transport: mass, units, direction, memory of the wind."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from inversion.study.idealised import TransportOptions, Wind, idealised_footprints
from obsnet.errors import ConfigError
from obsnet.grid import Grid

START = np.datetime64("2023-03-10", "us")
DAY = np.timedelta64(1, "D")
WORLD = Grid.regular(-40.0, 85.0, 0.0, 200.0, 1.0, 1.0)
EDGES = START - 6 * DAY + np.arange(10) * 2 * DAY


def footprints(options=None, n=20, grid=WORLD, edges=EDGES, column=None, seed=0, days=5):
    rng = np.random.default_rng(seed)
    wind = Wind(options or TransportOptions(), START, START + 12 * DAY)
    times = START + (rng.random(n) * days * 86400e6).astype("timedelta64[us]")
    column = np.arange(n) % 2 == 0 if column is None else np.full(n, column)
    h = idealised_footprints(
        rng.uniform(30, 40, n), rng.uniform(95, 110, n), times, column, grid=grid, time_edges=edges, wind=wind
    )
    return h, column, times


def test_mass_is_conserved_and_units_are_right():
    """A flux everywhere for five days: what five days of it do to the air above."""
    h, column, _ = footprints()
    total = np.asarray(h.sum(axis=1)).ravel()
    # 1 umol m-2 s-1 into all the air above a square metre, 101325 / (g M) mol
    whole = 5 * 86400 / (101325 / (9.80665 * 0.0289647))
    np.testing.assert_allclose(total[column], whole, rtol=1e-4)
    layer = 101325 / (8.314462618 * 288.15) * 1000.0
    lasting = 3.0 * 86400 * (1 - np.exp(-5 / 3.0))
    np.testing.assert_allclose(total[~column], lasting / layer, rtol=2e-3)
    assert (h.data > 0).all()


def test_time_bins_share_the_rows_total():
    h, _, times = footprints()
    one = footprints(edges=EDGES[[0, -1]])[0]
    np.testing.assert_allclose(np.asarray(h.sum(axis=1)), np.asarray(one.sum(axis=1)), rtol=1e-4)
    bins = h.indices // WORLD.size
    row = np.repeat(np.arange(20), np.diff(h.indptr))
    latest = np.searchsorted(EDGES, times[row], side="right") - 1
    assert (bins <= latest).all()  # nothing from the future
    assert (latest - bins <= 3).all()  # and nothing older than five days


def test_air_comes_from_where_the_wind_blows():
    steady = TransportOptions(gust=0.0, eastward=10.0, northward=0.0)
    wind = Wind(steady, START, START + DAY)
    h = idealised_footprints(
        np.array([35.0]),
        np.array([105.0]),
        np.array([START]),
        np.array([True]),
        grid=WORLD,
        time_edges=EDGES,
        wind=wind,
    )
    lat, lon = np.divmod(h.indices % WORLD.size, WORLD.shape[1])
    centre = np.average(WORLD.lon[lon], weights=h.data)
    # 10 m/s for 2.5 days on average, westward of the observation
    expected = 105.0 - 10 * 2.5 * 86.4 / (111.195 * np.cos(np.deg2rad(35)))
    assert centre == pytest.approx(expected, abs=0.3)
    assert np.average(WORLD.lat[lat], weights=h.data) == pytest.approx(35.0, abs=0.1)


def test_the_puff_widens():
    still = TransportOptions(gust=0.0, eastward=0.0, diffusivity=5e4, puff_km=20.0)
    wind = Wind(still, START, START + DAY)
    h = idealised_footprints(
        np.array([0.5]),
        np.array([100.5]),
        np.array([START]),
        np.array([True]),
        grid=WORLD,
        time_edges=EDGES,
        wind=wind,
    )
    lat = np.divmod(h.indices % WORLD.size, WORLD.shape[1])[0]
    spread = np.sqrt(np.average((WORLD.lat[lat] - 0.5) ** 2, weights=h.data)) * 111.195
    age = (np.arange(40) + 0.5) * 3 * 3600
    expected = np.sqrt(np.mean(20.0**2 + 2 * 5e4 * age * 1e-6) + 111.195**2 / 12)  # cells of one degree
    assert spread == pytest.approx(expected, rel=0.03)


def test_the_wind_has_its_mean_spread_and_memory():
    options = TransportOptions(gust=4.0, eastward=3.0, northward=-1.0, memory_hours=24.0)
    w = Wind(options, START, START + 4000 * DAY).components
    np.testing.assert_allclose(w.mean(axis=1), [3.0, -1.0], atol=0.3)
    np.testing.assert_allclose(w.std(axis=1), 4.0, rtol=0.05)
    z = w[0] - w[0].mean()
    assert np.mean(z[8:] * z[:-8]) / z.var() == pytest.approx(np.exp(-1), abs=0.05)  # 8 steps of 3 h


def test_the_same_seed_gives_the_same_wind():
    a, b, c = (Wind(TransportOptions(), START, START + 5 * DAY, seed).components for seed in (1, 1, 2))
    np.testing.assert_array_equal(a, b)
    assert not np.allclose(a, c)


@given(st.integers(0, 1000))
def test_the_order_of_observations_does_not_matter(seed):
    n = 7
    rng = np.random.default_rng(seed)
    wind = Wind(TransportOptions(), START, START + 12 * DAY)
    lat, lon = rng.uniform(20, 50, n), rng.uniform(80, 120, n)
    times = START + (rng.random(n) * 5 * 86400e6).astype("timedelta64[us]")
    column = rng.random(n) < 0.5
    small = Grid.regular(15.0, 55.0, 70.0, 140.0, 5.0, 5.0)
    key = {"grid": small, "time_edges": EDGES, "wind": wind}
    h = idealised_footprints(lat, lon, times, column, **key)
    order = rng.permutation(n)
    mixed = idealised_footprints(lat[order], lon[order], times[order], column[order], **key)
    np.testing.assert_allclose(mixed.toarray(), h.toarray()[order], atol=1e-15)


def test_coarser_cells_hold_the_same_sum():
    coarse = Grid.regular(-40.0, 85.0, 0.0, 200.0, 5.0, 5.0)
    a, b = footprints()[0], footprints(grid=coarse)[0]
    np.testing.assert_allclose(np.asarray(a.sum(axis=1)), np.asarray(b.sum(axis=1)), rtol=1e-3)


def test_observations_outside_the_wind_are_refused():
    wind = Wind(TransportOptions(), START, START + DAY)
    with pytest.raises(ConfigError, match="outside the time for which the wind was made"):
        idealised_footprints(
            np.zeros(1), np.zeros(1), np.array([START + 9 * DAY]), np.ones(1, bool),
            grid=WORLD, time_edges=EDGES, wind=wind,
        )  # fmt: skip


def test_no_observations():
    wind = Wind(TransportOptions(), START, START + DAY)
    h = idealised_footprints(
        np.zeros(0),
        np.zeros(0),
        np.zeros(0, "datetime64[us]"),
        np.zeros(0, bool),
        grid=WORLD,
        time_edges=EDGES,
        wind=wind,
    )
    assert h.shape == (0, 9 * WORLD.size)
