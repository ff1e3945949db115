"""The particle kernel against answers known beforehand, with the well-mixed layer option."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from inversion.transport.kernels.interpolation import wind_at
from inversion.transport.kernels.random import key_of, normal, philox
from inversion.transport.particles.hash_table import add, finish, grow, new_table
from inversion.transport.particles.paths import crossing
from inversion.transport.particles.settings import ParticleSettings
from inversion.transport.particles.simulate import simulate
from obsnet.config import validate
from obsnet.constants import MOLAR_MASS_DRY_AIR
from obsnet.errors import ConfigError, GridError, RangeError
from obsnet.grid import Grid
from tests.inversion.transport.worlds import bins, receptors, seconds, world

GRID = Grid.regular(22, 38, 102, 128, 1, 1)


def stirred(**options):
    return ParticleSettings(turbulence="mixed-layer", **options)


def total(found, name="r0"):
    table = found.receptors.to_pandas().set_index("obs_id")
    return table.loc[name]


def test_philox_gives_the_published_words():
    """Known answers of the Random123 library, philox4x32-10."""
    zero = np.uint64(0)
    assert philox(zero, zero, zero, zero, zero) == (0x6627E8D5, 0xE169C58D, 0xBC57AC4C, 0x9B00DBD8)
    words = [np.uint64(w) for w in (0x243F6A88, 0x85A308D3, 0x13198A2E, 0x03707344)]
    assert philox(np.uint64(0x299F31D0A4093822), *words) == (0xD16CFE09, 0x94FDCCEB, 0x5001E420, 0x24126EA1)
    ones = [np.uint64(0xFFFFFFFF)] * 4
    assert philox(np.uint64(2**64 - 1), *ones) == (0x408F276D, 0x41C83B0E, 0xA20BC7C6, 0x6D5451FD)


def test_normal_numbers_are_normal():
    from scipy import stats

    key = np.uint64(5)
    zero, other = np.uint64(0), np.uint64(9)
    values = np.array(
        [
            normal(np.uint64(word), key, np.uint64(i), zero, other)
            for i in range(10000)
            for word in philox(key, np.uint64(i), zero, zero, zero)
        ]
    )
    assert stats.kstest(values, "norm").pvalue > 1e-3
    assert abs(values.mean()) < 4 / np.sqrt(values.size)
    assert abs(np.mean(values**4) - 3.0) < 5 * np.sqrt(96 / values.size)
    beyond = np.mean(np.abs(values) > 3.0) / (2 * stats.norm.sf(3.0))
    assert abs(beyond - 1.0) < 5 / np.sqrt(values.size * 0.0027)


def test_keys_differ_by_seed_and_name():
    assert len({key_of(seed, name) for seed in range(20) for name in "abc"}) == 60


def test_hash_table_adds_and_finds_the_variance_of_the_mean():
    rng = np.random.default_rng(1)
    counts = np.array([40.0, 10.0])
    keys, sums, owners = new_table(8)
    used = 0
    share = np.zeros((50, 30))
    for particle in range(50):
        for _ in range(12):  # particles come back to a cell
            key, value = int(rng.integers(30)), float(rng.random())
            share[particle, key] += value
            used += add(keys, sums, owners, counts, key, value, particle, int(particle >= 40))
            if 2 * used > keys.size:
                keys, sums, owners = grow(keys, sums, owners)
    found, value, error = finish(keys, sums, owners, counts)
    first, second = share[:40, found], share[40:, found]
    np.testing.assert_allclose(value, first.mean(axis=0) + second.mean(axis=0), rtol=1e-12)
    expected = first.var(axis=0, ddof=1) / 40 + second.var(axis=0, ddof=1) / 10
    np.testing.assert_allclose(error**2, expected, rtol=1e-9)
    assert np.all(np.diff(found) > 0)


def test_wind_is_linear_in_time_and_space():
    met = world()
    lat, lon, z = np.meshgrid(met.lat, met.lon, met.height, indexing="ij")
    for n in range(met.times.size):
        met.wind[n, ..., 0] = 0.1 * lat + 0.2 * lon + 0.5 * n
        met.wind[n, ..., 1] = z / 1000.0
    axes = np.array([met.times[0], 1 / met.step, 20.0, 1.0, 100.0, 1.0, 1 / met.top, met.top / 39**2])
    flat, shape = met.wind.reshape(-1), met.wind.shape[:4]
    u, v, _, density, slope = wind_at(flat, shape, axes, met.times[0] + 4000.0, 7.3, 2.6, met.height[7])
    assert u == pytest.approx(0.1 * 22.6 + 0.2 * 107.3 + 0.5 * 4000 / 10800, abs=2e-5)
    assert v == pytest.approx(met.height[7] / 1000.0, abs=1e-5)
    middle = 0.3 * met.height[11] + 0.7 * met.height[12]
    assert wind_at(flat, shape, axes, met.times[0], 7.3, 2.6, middle)[1] == pytest.approx(
        middle / 1000.0, abs=1e-5
    )
    assert density == pytest.approx(1.2 * np.exp(-met.height[7] / 9500.0), rel=1e-5)
    assert slope == pytest.approx(-density / 9500.0, rel=0.02)


@pytest.mark.parametrize(
    ("x", "y", "z", "side"),
    [(12, 5, 1, 1), (-2, 5, 1, 3), (5, 12, 1, 0), (5, -1, 1, 2), (5, 5, 30, 4), (6, 6, 2, 5), (12, 30, 1, 0)],
)
def test_a_path_leaves_through_the_first_side_it_meets(x, y, z, side):
    edges = np.array([0.0, 10.0])
    fraction, found = crossing(5.0, 5.0, 1.0, float(x), float(y), float(z), edges, edges, 20.0)
    assert found == side
    end = np.array([5, 5, 1]) + fraction * (np.array([x, y, z]) - [5, 5, 1])
    assert np.all(end <= [10 + 1e-9, 10 + 1e-9, 20 + 1e-9])
    assert np.all(end >= -1e-9)


def test_uniform_flux_gives_the_analytic_enhancement():
    """In a well-mixed layer a uniform flux F adds M F t / (mass of the layer), for as long as the air is inside."""
    met = world(u=2.0, v=1.0, h=900.0)
    found = simulate(
        met,
        receptors(count=400),
        GRID,
        bins(),
        stirred(hours=60, timestep=1800.0),
    )
    mass = 1.2 * 9500.0 * (1 - np.exp(-900.0 / 9500.0))
    row = total(found)
    # 2 m/s carries nothing out of the domain within 60 h, so every path is inside throughout.
    assert row["residence_hours"] == pytest.approx(60.0, abs=1e-6)
    assert row["total"] == pytest.approx(MOLAR_MASS_DRY_AIR * 60 * 3600 / mass, rel=1e-5)
    assert np.sum(found.sensitivity["sensitivity"].to_numpy()) == pytest.approx(row["total"], rel=1e-5)
    each = found.sensitivity.to_pandas().groupby("time_bin")["sensitivity"].sum()
    np.testing.assert_allclose(each.loc[2:10], MOLAR_MASS_DRY_AIR * 6 * 3600 / mass, rtol=1e-5)


def test_uniform_flux_with_a_daily_boundary_layer_within_one_percent():
    """Mass under a varying layer: foot of time t is M dt / mass times the share of air inside the layer."""
    met = world(u=1.0, v=0.5)
    depth = 600.0 + 500.0 * np.sin(2 * np.pi * np.arange(met.times.size) * 3 / 24)
    met.surface[..., 0] = depth[:, None, None]
    met.surface[..., 1] = (1.2 * 9500.0 * (1 - np.exp(-depth / 9500.0)))[:, None, None]
    found = simulate(
        met,
        receptors(count=4000),
        GRID,
        bins(),
        stirred(hours=12, timestep=300.0),
    )
    # Backward from the largest depth the layer only shrinks: particles left aloft never come back in 12 h.
    seconds_back = np.arange(150.0, 12 * 3600, 300.0)
    now = np.interp(seconds(70) - seconds_back, met.times, depth)
    deepest = np.minimum.accumulate(now)
    assert (np.diff(now) > 0).any()  # the layer does grow again within the run

    def mass(h):
        return 9500.0 * 1.2 * (1 - np.exp(-np.asarray(h) / 9500.0))

    inside, expected, before = 1.0, 0.0, now[0]
    for h in now:
        # Air between the old and the new top leaves or joins; above the old top there is what was left there.
        if h < before:
            inside *= mass(h) / mass(before)
        expected += inside * MOLAR_MASS_DRY_AIR * 300.0 / mass(h)
        if h > before:
            break
        before = h
    steps = int(np.argmax(np.diff(now) > 0)) + 1
    shrinking = simulate(
        met,
        receptors(count=4000),
        GRID,
        bins(),
        stirred(hours=steps * 300 / 3600, timestep=300.0),
    )
    row = total(shrinking)
    assert deepest[steps - 1] == now[steps - 1]
    assert row["total"] == pytest.approx(expected, rel=0.01, abs=3 * row["total_stderr"])
    assert total(found)["residence_hours"] == pytest.approx(12.0, abs=1e-6)


def test_residence_time_and_shares_are_exact():
    met = world(u=12.0, v=-8.0)
    found = simulate(met, receptors(count=300), GRID, bins(), stirred(hours=60))
    beside = found.background.to_pandas()
    assert beside["share"].sum() == pytest.approx(1.0, abs=1e-12)
    assert set(beside["side"]) <= {"north", "west"}  # back along a south-eastward wind
    mass = 1.2 * 9500.0 * (1 - np.exp(-1000.0 / 9500.0))
    row = total(found)
    assert row["residence_hours"] < 60.0
    # Every second inside the domain, and no other, is on the account of some cell.
    assert row["total"] == pytest.approx(MOLAR_MASS_DRY_AIR * row["residence_hours"] * 3600 / mass, rel=1e-5)


def test_mean_path_follows_the_wind():
    met = world(u=6.0, v=-4.0)
    grid = Grid.regular(28, 33, 110, 117, 0.05, 0.05)
    found = simulate(met, receptors(count=2000), grid, bins(step=1), stirred(hours=12))
    table = found.sensitivity.to_pandas()
    last = table[table["time_bin"] == 58]  # 58 h to 59 h: 11.5 h before 70 h on average
    weight = last["sensitivity"].to_numpy()
    lat = grid.lat[last["cell"] // grid.shape[1]]
    lon = grid.lon[last["cell"] % grid.shape[1]]
    metres = np.deg2rad(1.0) * 6371008.8
    assert np.average(lat, weights=weight) == pytest.approx(30.0 + 4.0 * 11.5 * 3600 / metres, abs=0.02)
    middle = np.cos(np.deg2rad(30.0 + 2.0 * 11.5 * 3600 / metres))
    assert np.average(lon, weights=weight) == pytest.approx(
        115.0 - 6.0 * 11.5 * 3600 / metres / middle, abs=0.02
    )


def test_horizontal_spread_is_the_random_walks():
    """Variance of 2 K t, seen where the paths end on a fine grid of exits: here through the end positions' cells."""
    met = world(u=0.0, v=0.0)
    grid = Grid.regular(28, 32, 113, 117, 0.05, 0.05)
    found = simulate(
        met,
        receptors(count=4000),
        grid,
        bins(step=1),
        stirred(hours=10, diffusivity=3000.0),
    )
    table = found.sensitivity.to_pandas()
    last = table[table["time_bin"] == 60]
    lat = grid.lat[last["cell"] // grid.shape[1]]
    spread = np.average((lat - 30.0) ** 2, weights=last["sensitivity"]) * (np.deg2rad(1.0) * 6371008.8) ** 2
    assert spread == pytest.approx(2 * 3000.0 * 9.5 * 3600, rel=0.08)


@settings(max_examples=10)
@given(st.permutations(["a", "b", "c", "d"]), st.integers(1, 4), st.integers(1, 3))
def test_results_do_not_depend_on_order_threads_or_batches(names, threads, cut):
    met = world()
    run = stirred(hours=24, particles=20)
    alone = {n: simulate(met, receptors(names=[n], count=20), GRID, bins(), run) for n in names}
    for part in (names[:cut], names[cut:]):
        together = simulate(
            met, receptors(len(part), names=part, count=20), GRID, bins(), run, threads=threads
        )
        for name in part:
            for table in ("sensitivity", "background", "receptors"):
                mine = getattr(together, table).to_pandas().query("obs_id == @name").reset_index(drop=True)
                assert mine.equals(getattr(alone[name], table).to_pandas())


@settings(max_examples=10)
@given(st.floats(0.01, 50.0))
def test_footprints_are_linear_in_weight(weight):
    met = world()
    run = stirred(hours=12)
    one = simulate(met, receptors(), GRID, bins(), run)
    more = simulate(met, receptors(weight=weight), GRID, bins(), run)
    for name in ("sensitivity", "stderr"):
        np.testing.assert_allclose(
            more.sensitivity[name].to_numpy(),
            weight * one.sensitivity[name].to_numpy(),
            rtol=1e-5,
            atol=1e-12,
        )


def test_standard_errors_are_true():
    """Scatter of many seeds against the error that each run claims."""
    met = world(h=300.0)
    met.wind[..., 0] += np.linspace(0, 8, met.height.size, dtype=np.float32)  # shear makes paths differ
    found = [
        simulate(
            met,
            receptors(count=100),
            GRID,
            bins(step=72),
            stirred(hours=48, seed=seed),
        )
        for seed in range(60)
    ]
    frames = [f.sensitivity.to_pandas().set_index("cell") for f in found]
    cells = set.intersection(*(set(f.index) for f in frames))
    values = np.array([f.loc[sorted(cells), "sensitivity"] for f in frames])
    claimed = np.array([f.loc[sorted(cells), "stderr"] for f in frames])
    keep = values.mean(axis=0) > 5 * claimed.mean(axis=0) / 2
    ratio = values[:, keep].var(axis=0, ddof=1).sum() / (claimed[:, keep] ** 2).mean(axis=0).sum()
    assert keep.sum() >= 5
    assert 0.75 < ratio < 1.3


def test_settings_say_what_is_wrong():
    with pytest.raises(ConfigError, match=r"turbulence = 'mixed': Input should be 'mixed-layer', 'hanna'"):
        validate(ParticleSettings, {"turbulence": "mixed"})
    with pytest.raises(ConfigError, match=r"hours = 0.0: .*greater than 0"):
        validate(ParticleSettings, {"hours": 0.0})


def test_meteorology_that_ends_too_early_and_grids_that_are_too_large():
    met = world()
    with pytest.raises(RangeError, match="the particles need more"):
        simulate(met, receptors(at=10.0), GRID, bins(), stirred(hours=24))
    with pytest.raises(RangeError, match="time bins"):
        simulate(met, receptors(), GRID, bins()[5:], stirred(hours=60))
    with pytest.raises(GridError, match="runs beyond the meteorology"):
        simulate(
            met,
            receptors(),
            Grid.regular(10, 38, 102, 128, 1, 1),
            bins(),
            stirred(hours=24),
        )


def test_grids_are_the_same_in_any_longitude_convention():
    met = world()
    run = stirred(hours=12)
    shifted = Grid(GRID.lat_edges, GRID.lon_edges + 360.0)
    assert simulate(met, receptors(), GRID, bins(), run).sensitivity.equals(
        simulate(met, receptors(), shifted, bins(), run).sensitivity
    )
