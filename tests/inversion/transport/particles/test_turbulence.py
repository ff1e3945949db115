"""Hanna's scales, the Langevin walk and the kernel with resolved turbulence, against known answers."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from inversion.transport.check.answers import convergence, reciprocity, rotation, uniform_flux
from inversion.transport.check.mixing import REGIMES, stilt_well_mixed, taylor, well_mixed
from inversion.transport.check.worlds import START, plain_world, release
from inversion.transport.kernels.random import normal, philox, uniform
from inversion.transport.particles.free_air import (
    FREE_TL,
    free_levels,
    free_scales,
    level_below,
    new_known,
    stability,
)
from inversion.transport.particles.settings import ParticleSettings
from inversion.transport.particles.simulate import simulate
from inversion.transport.particles.turbulence import (
    NEUTRAL,
    STABLE,
    UNSTABLE,
    horizontal_scales,
    ou_coefficients,
    regime,
    stilt_scales,
    vertical_scales,
)
from inversion.transport.particles.walk import STILT_LEVELS, fade, stepped_walk, vertical_walk
from obsnet.config import validate
from obsnet.constants import CP_DRY_AIR, MOLAR_MASS_DRY_AIR, R_DRY_AIR
from obsnet.errors import ConfigError
from obsnet.grid import Grid
from obsnet.met import open_met
from obsnet.met.vertical import level_heights
from obsnet.times import to_epoch
from tests.inversion.transport.worlds import bins, receptors, world

AIR = (1200.0, 0.4, -0.02, 2.0, -1e-4)
GRID = Grid.regular(22, 38, 102, 128, 1, 1)
T0 = float(to_epoch(START))


def edges(hours=72, step=6):
    return START + np.arange(0, hours + 1, step).astype("timedelta64[h]")


def test_regimes():
    assert regime(1000.0, 0.0005) == NEUTRAL
    assert regime(1000.0, -0.02) == UNSTABLE
    assert regime(100.0, 0.02) == STABLE


def test_unstable_scales_follow_hanna():
    """Stohl et al. 2005, eqs. 29-33, at a quarter of the layer."""
    h, ustar, inverse, wstar = 1500.0, 0.45, -0.03, 2.2
    sigma, _, length = vertical_scales(375.0, h, ustar, inverse, wstar, UNSTABLE, 1.0)
    variance = 1.2 * wstar**2 * (1 - 0.9 * 0.25) * 0.25 ** (2 / 3) + (1.8 - 1.4 * 0.25) * ustar**2
    assert sigma == pytest.approx(np.sqrt(variance) + 0.01, rel=1e-4)
    assert length == pytest.approx(0.15 * h * (1 - np.exp(-5 * 0.25)), rel=1e-4)
    su, sv, tu, tv = horizontal_scales(375.0, h, ustar, inverse, UNSTABLE)
    assert su == sv == pytest.approx(0.01 + ustar * (12 + h * 0.03 / 2) ** (1 / 3))
    assert tu == tv == pytest.approx(0.15 * h / su)


def test_unstable_time_scale_near_the_ground():
    """Below the Obukhov length and below a tenth of the layer it has forms of its own."""
    low = vertical_scales(20.0, 1500.0, 0.45, -0.03, 2.2, UNSTABLE, 0.1)
    assert low[2] == pytest.approx(0.1 * 20.0 / (0.55 - 0.38 * 0.6))
    middle = vertical_scales(100.0, 1500.0, 0.45, -0.03, 2.2, UNSTABLE, 0.1)
    assert middle[2] == pytest.approx(0.59 * 100.0)
    sigma, _, length = vertical_scales(0.5, 1500.0, 0.45, -0.03, 2.2, UNSTABLE, 3.0)
    assert length == 3.0 * sigma


def test_stable_and_neutral_scales():
    sigma, slope, length = vertical_scales(50.0, 200.0, 0.2, 0.02, 0.0, STABLE, 1.0)
    assert sigma == pytest.approx(1.3 * 0.2 * 0.75 + 0.01)
    assert slope == pytest.approx(-1.3 * 0.2 / 200.0)
    assert length == pytest.approx(0.1 * 200.0 * 0.25**0.8, rel=1e-3)
    su, sv, tu, tv = horizontal_scales(50.0, 200.0, 0.2, 0.02, STABLE)
    assert (su, sv) == pytest.approx((0.01 + 0.4 * 0.75, 0.01 + 0.26 * 0.75))
    assert (tu, tv) == pytest.approx((0.15 * 200 / su * 0.5, 0.07 * 200 / sv * 0.5))
    sigma, slope, length = vertical_scales(100.0, 600.0, 0.5, 0.0, 0.0, NEUTRAL, 1.0)
    assert sigma == pytest.approx(1.3 * 0.5 * np.exp(-2e-4 * 200) + 0.01)
    assert length == pytest.approx(0.5 * 100 / (1 + 1.5e-3 * 200))


@settings(max_examples=60)
@given(st.sampled_from(sorted(REGIMES)), st.floats(0.02, 0.98))
def test_the_slope_is_the_derivative_of_sigma(name, share):
    h, ustar, inverse, wstar = REGIMES[name]
    kind = regime(h, inverse)
    z, dz = share * h, 1e-4 * h
    low, high = (vertical_scales(z + s * dz, h, ustar, inverse, wstar, kind, 1.0)[0] for s in (-1, 1))
    slope = vertical_scales(z, h, ustar, inverse, wstar, kind, 1.0)[1]
    # Between two nodes of the table sigma is a straight line, its tabled slope is not.
    assert slope == pytest.approx((high - low) / (2 * dz), rel=0.02, abs=2e-2 * ustar / h)


@given(st.floats(0.0, 5.0))
def test_memory_fades_and_keeps_its_variance(x):
    keep, noise = fade(x)
    assert keep**2 + noise**2 == pytest.approx(1.0, abs=1e-14)
    assert keep == pytest.approx(np.exp(-x), abs=1e-14 + (x**3 / 12 if x <= 0.5 else 0.0))


@pytest.mark.parametrize("dt", [1.0, 50.0, 400.0])
def test_ornstein_uhlenbeck_moments_are_exact_for_any_step(dt):
    """Velocity stays standard; displacement has Taylor's variance and the right covariance with velocity."""
    sigma, tl = 0.8, 100.0
    decay_, noise, way, shared, rest = ou_coefficients(tl, dt)
    r = np.exp(-dt / tl)
    # Velocity 1, first, second are independent standard numbers: moments are sums of squares and products.
    assert decay_**2 + noise**2 == pytest.approx(1.0)
    exact = 2 * sigma**2 * tl * (dt - tl * (1 - r))
    assert sigma**2 * (way**2 + shared**2 + rest**2) == pytest.approx(exact, rel=2e-2 if dt < 2 else 1e-9)
    assert sigma * (decay_ * way + noise * shared) == pytest.approx(sigma * tl * (1 - r))


def test_the_walk_stays_in_the_layer_and_counts_its_time():
    key, z, memory = np.uint64(5), 300.0, 0.3
    heights, below = [], 0.0
    for step in range(400):
        z, memory, mean, low, sigma, tl, steps = vertical_walk(
            z, memory, 60.0, AIR, 10.0, 3.0, 600.0, (key, np.uint64(0), np.uint64(step))
        )
        assert 0.0 <= z <= 1200.0
        assert 0.0 <= mean <= 1200.0
        assert 0.0 <= low <= 60.0 + 1e-9
        assert steps >= 60.0 / (tl / 10.0) * 0.2
        assert sigma > 0.3
        heights.append(z)
        below += low
    # Half the layer by height holds about half of the time.
    assert 0.35 < below / (400 * 60.0) < 0.65
    assert max(heights) > 900.0
    assert min(heights) < 200.0


def test_well_mixed_in_every_regime():
    rows = list(well_mixed(2000))
    assert len(rows) == len(REGIMES)
    for row in rows:
        assert row.passed, row


def test_half_as_many_steps_still_keep_air_even():
    """What docs/transport.md says of ``--ctl 5``: well mixed, and the same totals within their sampling error."""
    half = ParticleSettings(turbulence="hanna", ctl=5.0)
    assert all(row.passed for row in well_mixed(2000, half))
    start = T0 + 40 * 3600.0
    for weather in ({"h": 150.0, "heat": -25.0, "ustar": 0.15}, {"h": 1500.0, "heat": 200.0}):
        met = plain_world(**weather)
        rows = [
            simulate(
                met,
                release("p", start, 30.0, 115.0, 10.0, 3000),
                GRID,
                edges(),
                ParticleSettings(turbulence="hanna", hours=2.0, particles=3000, ctl=ctl),
            ).receptors.to_pylist()[0]
            for ctl in (5.0, 20.0)
        ]
        noise = np.hypot(rows[0]["total_stderr"], rows[1]["total_stderr"])
        assert abs(rows[0]["total"] - rows[1]["total"]) < 4.0 * noise


def test_euler_steps_would_fail_the_same_test():
    """The test can tell: three steps a time scale are too few."""
    coarse = ParticleSettings(turbulence="hanna", ctl=0.5, timestep=600.0, least_tl=200.0)
    assert any(not row.passed for row in well_mixed(1000, coarse))


@pytest.mark.parametrize("test", [lambda: taylor(20000), rotation, lambda: uniform_flux(100), lambda: reciprocity(2000),
                                  lambda: convergence(500)])  # fmt: skip
def test_known_answers(test):
    for row in test():
        assert row.passed, row


def test_shear_turbulence_and_floor_shape_the_footprint():
    met = plain_world(h=40.0)
    start = T0 + 40 * 3600.0

    def total(**options):
        run = ParticleSettings(turbulence="hanna", hours=5.0, particles=200, near_field="none", **options)
        return (
            simulate(met, release("p", start, 30.0, 115.0, 10.0, 200), GRID, edges(), run)
            .receptors["total"][0]
            .as_py()
        )

    shallow, floored = total(floor=40.0), total(floor=200.0)
    assert shallow == pytest.approx(MOLAR_MASS_DRY_AIR * 5 * 3600 / (1.2 * 40.0), rel=0.1)
    assert floored == pytest.approx(shallow / 5.0, rel=0.15)


def test_near_field_raises_the_first_minutes_only():
    met = plain_world(h=1500.0, heat=200.0)
    start = T0 + 40 * 3600.0
    grid = Grid.regular(29.9, 30.1, 114.9, 115.1, 0.1, 0.1)

    def curve(near):
        run = ParticleSettings(turbulence="hanna", hours=2.0, particles=500, near_field=near, timestep=60.0)
        wide = simulate(met, release("p", start, 30.0, 115.0, 10.0, 500), GRID, edges(step=1), run)
        close = simulate(met, release("p", start, 30.0, 115.0, 10.0, 500), grid, edges(step=1), run)
        hour = wide.sensitivity.to_pandas().groupby("time_bin")["sensitivity"].sum()
        return hour.loc[39], hour.loc[38], close.receptors["total"][0].as_py()

    none, right, stilt = (curve(n) for n in ("none", "taylor", "stilt"))
    assert right[0] > 2.0 * none[0]
    assert stilt[0] > 1.3 * none[0]
    assert right[1] == pytest.approx(none[1], rel=0.1)
    assert right[2] > none[2]


def test_the_near_field_of_the_first_step_is_the_plumes_own_depth():
    """After one short step the dilution depth is z0 + sqrt(2 s^2 T (t - T (1 - e^-t/T)))."""
    met = plain_world(h=1500.0, heat=200.0)
    start = T0 + 40 * 3600.0
    run = ParticleSettings(turbulence="hanna", hours=5.0 / 3600, particles=4000)
    row = simulate(
        met, release("p", start, 30.0, 115.0, 50.0, 4000), GRID, edges(), run
    ).receptors.to_pylist()[0]
    scales = met.surface[0, 0, 0].astype(float)
    sigma, _, length = vertical_scales(50.0, 1500.0, scales[2], scales[3], scales[4], UNSTABLE, 3.0)
    tl = length / sigma
    t = 2.5
    depth = 50.0 + np.sqrt(2 * sigma**2 * tl * (t - tl * (1 - np.exp(-t / tl))))
    assert row["total"] == pytest.approx(MOLAR_MASS_DRY_AIR * 5.0 / (depth * 1.2), rel=0.03)


def test_smoothing_moves_nothing_but_spreads():
    met = plain_world(heat=100.0)
    start = T0 + 40 * 3600.0
    grid = Grid.regular(25, 35, 105, 120, 0.1, 0.1)
    plain, smooth = (
        simulate(
            met,
            release("p", start, 30.0, 115.0, 10.0, 300),
            grid,
            edges(),
            ParticleSettings(turbulence="hanna", hours=18.0, particles=300, smooth=s, timestep=120.0),
        )
        for s in (0.0, 1.0)
    )
    a, b = (f.sensitivity.to_pandas() for f in (plain, smooth))
    assert b["sensitivity"].sum() == pytest.approx(a["sensitivity"].sum(), rel=1e-3)
    assert len(b) > 1.3 * len(a)
    for values, weights in (
        (grid.lat, lambda f: f["cell"] // grid.shape[1]),
        (grid.lon, lambda f: f["cell"] % grid.shape[1]),
    ):
        means = [np.average(values[weights(f)], weights=f["sensitivity"]) for f in (a, b)]
        assert means[0] == pytest.approx(means[1], abs=0.02)


@settings(max_examples=6)
@given(st.integers(1, 3), st.permutations(["a", "b", "c"]))
def test_turbulent_results_do_not_depend_on_threads_or_order(threads, names):
    met = world(heat=120.0)
    run = ParticleSettings(turbulence="hanna", hours=4.0, particles=20)
    together = simulate(met, receptors(3, names=names, count=20), GRID, bins(), run, threads=threads)
    for name in names:
        alone = simulate(met, receptors(names=[name], count=20), GRID, bins(), run)
        for table in ("sensitivity", "background", "receptors", "endpoints"):
            mine = getattr(together, table).to_pandas().query("obs_id == @name").reset_index(drop=True)
            assert mine.equals(getattr(alone, table).to_pandas())


def test_forward_and_backward_mean_wind_retrace_the_path():
    met = plain_world(u=7.0, v=4.0)
    there = ParticleSettings(turbulence="none", hours=12.0, direction=1)
    back = ParticleSettings(turbulence="none", hours=12.0)
    end = simulate(
        met, release("p", T0 + 3600, 28.0, 106.0, 500.0, 1), GRID, edges(), there
    ).endpoints.to_pylist()[0]
    assert end["longitude"] > 108.5
    start = float(to_epoch(np.datetime64(end["time"])))
    home = simulate(
        met, release("p", start, end["latitude"], end["longitude"], end["height_m"], 1), GRID, edges(), back
    ).endpoints.to_pylist()[0]
    assert home["latitude"] == pytest.approx(28.0, abs=1e-4)
    assert home["longitude"] == pytest.approx(106.0, abs=1e-4)


@pytest.mark.parametrize(
    ("given", "said"),
    [
        (
            {"turbulence": "mixed-layer", "smooth": 1.0},
            "smooth = 1.0 does nothing with turbulence 'mixed-layer'",
        ),
        ({"turbulence": "mixed-layer", "direction": 1}, "direction = 1 does nothing"),
        ({"turbulence": "hanna", "diffusivity": 100.0}, "diffusivity = 100.0 does nothing"),
        ({"turbulence": "stilt", "least_tl": 1.0}, "least_tl = 1.0 does nothing"),
        (
            {"turbulence": "hanna", "near_field": "taylr"},
            "near_field = 'taylr': Input should be 'none', 'taylor'",
        ),
        ({"turbulence": "hanna", "veght": 1.5}, "veght = 1.5: .*less than or equal to 1"),
        ({"turbulence": "hanna", "direction": 2}, "direction = 2: Input should be -1 or 1"),
        (
            {"turbulence": "none", "near_field": "taylor"},
            "near_field = taylor does nothing with turbulence 'none'",
        ),
        ({"turbulence": "stilt", "horizontal_tl": 0.0}, "horizontal_tl must be positive"),
    ],
)
def test_settings_that_do_not_fit_together(given, said):
    with pytest.raises(ConfigError, match=said):
        validate(ParticleSettings, given)


def test_what_is_not_said_is_what_suits_the_turbulence():
    stilt = ParticleSettings(turbulence="stilt", floor=None)
    assert (stilt.near_field, stilt.floor, stilt.horizontal_tl) == ("stilt", 150.0, 10800.0)
    assert stilt.but(floor=20.0).floor == 20.0
    with pytest.raises(ValueError, match="greater than 0"):
        stilt.but(floor=0.0)


def test_stilts_own_scales_are_in_its_particle_files(sample_data):
    """sigma_w and T_Lw that STILT wrote beside its particles, by HYSPLIT's levels; w* from one of them."""
    path = sample_data / "transport" / "stilt_synthetic" / "synt_surf_100_particles.parquet"
    table = pd.read_parquet(path, columns=["age", "zagl", "sigw", "tlgr", "mlht"])
    for age in (-30, -60, -90):
        now = table[table["age"] == age]
        h = float(now["mlht"].mean())
        level = STILT_LEVELS.searchsorted(now["zagl"].clip(lower=10.0), side="right") - 1
        means = now.groupby(level)[["sigw", "tlgr"]].mean()
        inverse = -1.0 / 30.0  # beyond STILT's bound of 2 / 75 m
        wstar = means.loc[2, "sigw"] / stilt_scales(200.0, h, 0.45, inverse, 1.0)[0]
        for k, row in means.iterrows():
            z = float(STILT_LEVELS[k])
            if z < 0.9 * h:
                sigma, tl = stilt_scales(z, h, 0.45, inverse, wstar)
                assert sigma == pytest.approx(row["sigw"], rel=0.01)
                assert tl == pytest.approx(row["tlgr"], rel=0.03)
    night = table[(table["age"] == -600) & (table["zagl"] < 75.0)]
    sigma, tl = stilt_scales(10.0, 150.0, 0.18, 0.03, 0.0)
    assert sigma == pytest.approx(night["sigw"].mean(), rel=0.01)
    assert tl == pytest.approx(night["tlgr"].mean(), rel=0.01)


@pytest.mark.parametrize("name", ["convective", "stable night"])
def test_steps_of_the_scales_keep_even_air_even(name):
    (row,) = stilt_well_mixed(3000, [name])
    assert row.passed, row


def _walked(z, memory, span, air, ctl, layer, sigmas, tls, draws):
    """Walk with all scales given beforehand, one rule after the other."""
    key, particle, step = draws
    k, left, steps, gate = max(int(np.searchsorted(STILT_LEVELS, z, side="right")) - 1, 0), span, 0, 0
    sums = np.zeros(4)

    def through(z, memory, dt, k, gate):
        while True:
            way = sigmas[k] * memory * dt
            bottom, top = STILT_LEVELS[k] if k else 0.0, STILT_LEVELS[k + 1]
            if not (z + way < bottom if way < 0.0 else way > 0.0 and z + way >= top):
                return z + way, memory, k, gate
            edge, other = (bottom, k - 1) if way < 0.0 else (top, k + 1)
            dt, z, gate = dt * (1.0 - (edge - z) / way), edge, gate + 1
            chance = uniform(philox(key, particle, step, np.uint64(gate), np.uint64(16))[0])
            if other >= 0 and chance * sigmas[k] < sigmas[other]:
                k = other
            else:
                memory = -memory

    while left > 1e-9:
        dt, speed = tls[k] / ctl, sigmas[k] * abs(memory)
        if memory < 0.0 and k > 0 and z - speed * dt < STILT_LEVELS[k]:
            dt = min(dt, max(tls[k - 1] / ctl, (z - STILT_LEVELS[k]) / speed))
        elif memory > 0.0 and z + speed * dt > STILT_LEVELS[k + 1]:
            dt = min(dt, max(tls[k + 1] / ctl, (STILT_LEVELS[k + 1] - z) / speed))
        dt = min(max(dt, 0.1), left)
        word = philox(key, particle, step, np.uint64(steps // 4), np.uint64(13))[steps % 4]
        before = z
        z, memory, k, gate = through(z, memory, 0.5 * dt, k, gate)
        at, kick = z, 0.5 * dt * sigmas[k] * air[4]
        keep, noise = fade(dt / tls[k])
        memory = (
            keep * (memory + kick)
            + noise * normal(np.uint64(word), key, particle, step, np.uint64(15))
            + kick
        )
        scales = sigmas[k], tls[k]
        z, memory, k, gate = through(z, memory, 0.5 * dt, k, gate)
        low, high = min(before, z), max(before, z)
        share = 1.0 if high <= layer else (layer - low) / (high - low) if low < layer else 0.0
        sums += dt * np.array([at, share * span, *scales])
        left, steps = left - dt, steps + 1
    return (z, memory, *(sums / span), steps)


@settings(max_examples=60)
@given(
    st.sampled_from(sorted(REGIMES)),
    st.floats(0.0, 1.4),
    st.floats(-3.0, 3.0),
    st.floats(0.02, 0.5),
    st.integers(0, 2**32),
)
def test_scales_taken_as_they_are_met_are_those_taken_beforehand(name, share, memory, free, seed):
    """And so are the random numbers: what chance need not decide is not drawn, and no other moves up for it."""
    h, ustar, inverse, wstar = REGIMES[name]
    air, z = (h, ustar, inverse, wstar, -1e-4), share * h
    n = STILT_LEVELS.size
    aloft = free * (1.0 + 0.5 * np.sin(np.arange(n)))
    first = int((h >= STILT_LEVELS).sum())
    here = int((z >= STILT_LEVELS).sum()) - 1
    low, high = max(here - 1, first), max(here + 1, first)
    scales = [
        stilt_scales(level, *air[:4]) if level <= h else (aloft[min(max(i, low), high)], FREE_TL)
        for i, level in enumerate(STILT_LEVELS)
    ]
    draws = (np.uint64(seed), np.uint64(3), np.uint64(5))
    ladder = (STILT_LEVELS, np.full(n, np.nan), np.full(n, 1e9))
    found = stepped_walk(z, memory, 60.0, air, 5.0, 0.5 * h, ladder, (aloft, low, high), draws)
    wanted = _walked(z, memory, 60.0, air, 5.0, 0.5 * h, *np.array(scales).T, draws)
    assert found == pytest.approx(wanted, rel=1e-9, abs=1e-9)


def test_the_level_below_is_one_of_the_levels_wherever_it_is_looked_for():
    """A boundary layer above them all leaves a hint beyond the last, where an array's neighbour is."""
    levels = np.append(STILT_LEVELS, -1.0)[:-1]
    for hint in (0, levels.size - 1, levels.size):
        assert [level_below(levels, z, hint) for z in (1.0, 10.0, 2e4)] == [0, 0, levels.size - 1]


@settings(max_examples=20)
@given(
    st.lists(st.tuples(st.floats(0, 3), st.floats(0, 3), st.floats(0, 9000), st.integers(0, 25)), min_size=2)
)
def test_scales_aloft_do_not_depend_on_who_was_there_before(places):
    """Kept by node and hour: the same as worked out anew, at the levels next to the particle."""
    draw = np.random.default_rng(5)
    shape = (4, 4, 4, 30)
    wind = draw.normal(0, 5, (*shape, 4)).astype(np.float32).reshape(-1)
    state = np.broadcast_to([8e4, 280.0, 0.0], (*shape, 3)).astype(np.float32)
    state = (state * draw.uniform(0.98, 1.0, (*shape, 3)).astype(np.float32)).reshape(-1)
    axes = np.array([0.0, 1.0, 0.0, 1.0, 0.0, 1.0, 1.0 / 16000.0, 16000.0 / 29**2])
    known = new_known(STILT_LEVELS.size)
    for t, x, z, hint in places:
        sigmas, low, high = free_levels(
            wind, state, shape, axes, (t, x, 1.0), z, 800.0, STILT_LEVELS, known, hint
        )
        first, here = int((STILT_LEVELS <= 800.0).sum()), int((z >= STILT_LEVELS).sum()) - 1
        assert (low, high) == (max(here - 1, first), max(here + 1, first))
        for i in range(low, high + 1):
            assert sigmas[i] == free_scales(wind, state, shape, axes, t, x, 1.0, STILT_LEVELS[i])[0]


def test_air_above_the_layer_spreads_as_its_scales_say():
    """sigma_w^2 T_Lw t of the scales aloft, for air that never meets the layer's top."""
    heights = []
    ladder = (STILT_LEVELS, np.empty(STILT_LEVELS.size), np.empty(STILT_LEVELS.size))
    aloft = (np.full(STILT_LEVELS.size, 0.09), 0, STILT_LEVELS.size - 1)
    for particle in range(300):
        z, memory = 3000.0, 0.0
        for step in range(60):
            draws = (np.uint64(1), np.uint64(particle), np.uint64(step))
            air = (150.0, 0.2, 0.03, 0.0, 0.0)
            z, memory, *_ = stepped_walk(z, memory, 60.0, air, 10.0, 75.0, ladder, aloft, draws)
        heights.append(z)
    sigma, tl = 0.09, 100.0
    assert np.mean(heights) == pytest.approx(3000.0, abs=20.0)
    assert np.std(heights) == pytest.approx(np.sqrt(2 * sigma**2 * tl * (3600 - 1.5 * tl)), rel=0.15)


def test_stirring_aloft_by_shear_and_stratification():
    """F of the Richardson number at its known points, and K of a neutral, a stable and a still column."""
    assert stability(0.0) == 1.0
    assert stability(1.0) == pytest.approx(1.0 / (1.0 + 10.0 * np.sqrt(2.0)))
    assert stability(-0.5) == pytest.approx(np.sqrt(10.0))
    z = level_heights(8000.0, 60)
    pressure = 101325.0 * np.exp(-z / 8000.0)
    for lapse, shear in ((0.0, 0.01), (0.01, 0.01), (0.01, 0.0)):
        theta = 300.0 + lapse * z
        wind, state = np.zeros((2, 2, 2, 60, 4), np.float32), np.zeros((2, 2, 2, 60, 3), np.float32)
        wind[..., 0], state[..., 0] = shear * z, pressure
        state[..., 1] = theta * (pressure / 1e5) ** (R_DRY_AIR / CP_DRY_AIR)
        axes = np.array([0.0, 1.0, 0.0, 1.0, 0.0, 1.0, 1.0 / 8000.0, 8000.0 / 59**2])
        sigma, tl = free_scales(
            wind.reshape(-1), state.reshape(-1), (2, 2, 2, 60), axes, 0.0, 0.0, 0.0, 1000.0
        )
        k = int(np.sqrt(1000.0 / 8000.0) * 59)
        middle = 0.5 * (z[k] + z[k + 1])
        length = 0.4 * middle / (1.0 + 0.4 * middle / 150.0)
        richardson = 9.80665 * lapse / (300.0 + lapse * z[k]) / max(shear**2, 1e-12)
        expected = max(length**2 * shear * stability(richardson), 0.01)
        assert sigma**2 * tl == pytest.approx(expected, rel=0.02)


def test_stirring_aloft_is_of_the_size_that_stilt_has(sample_data):
    """Above the layer of the sample: STILT's particles have sigma_w of 0.06 to 0.13 m/s, growing with height."""
    folder = sample_data / "transport"
    columns = ["age", "lon", "lat", "zagl", "sigw", "mlht"]
    table = pd.read_parquet(folder / "stilt_synthetic" / "synt_surf_100_particles.parquet", columns=columns)
    table = table[(table["age"] == -600) & (table["zagl"] > table["mlht"] + 100.0)]
    end = np.datetime64("2024-04-02T06:00")
    met = open_met(
        [folder / "met" / "synt.nc"], start=end - np.timedelta64(11, "h"), stop=end - np.timedelta64(9, "h")
    )
    axes = np.array(
        [met.times[0], 1 / met.step, met.lat[0], 0.25, met.lon[0], 0.25, 1 / met.top, met.top / 47**2]
    )
    time = float(to_epoch(end)) - 36000.0
    flat = (met.wind.reshape(-1), met.state.reshape(-1), met.wind.shape[:4], axes, time)
    ours = [
        free_scales(*flat, (row.lon - met.lon[0]) / 0.25, (row.lat - met.lat[0]) / 0.25, row.zagl)[0]
        for row in table.itertuples()
    ]
    ratio = np.array(ours) / table["sigw"].to_numpy()
    assert len(ratio) > 50
    assert np.median(ratio) == pytest.approx(1.0, abs=0.25)
    assert np.percentile(ratio, [10, 90]) == pytest.approx([1.0, 1.0], abs=0.4)
