"""Properties that every run with resolved turbulence must have, whatever the weather and the receptor."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from inversion.transport.particles.settings import TURBULENCE, ParticleSettings
from inversion.transport.particles.simulate import simulate
from inversion.transport.receptors.releases import Receptors
from obsnet.constants import MOLAR_MASS_DRY_AIR
from obsnet.grid import Grid
from tests.inversion.transport.worlds import bins, receptors, world

WIDE = Grid.regular(22, 38, 102, 128, 2, 2)
RESOLVED = [name for name in TURBULENCE if name != "mixed-layer"]
weather = st.fixed_dictionaries(
    {
        "u": st.floats(-15, 15),
        "v": st.floats(-15, 15),
        "h": st.floats(120, 2500),
        "ustar": st.floats(0.1, 0.8),
        "heat": st.floats(-30, 250),
    }
)


def run(met, place, turbulence="hanna", grid=WIDE, **options):
    given_ = {"hours": 6.0, "particles": 10, **options}
    return simulate(met, place, grid, bins(), ParticleSettings(turbulence=turbulence, **given_))


@settings(max_examples=12)
@given(weather, st.sampled_from(RESOLVED), st.floats(0.0, 3000.0), st.sampled_from([-1, 1]))
def test_every_second_is_accounted_for(wind, turbulence, z, direction):
    """Shares of exits sum to the weight, no one stays longer than the run, and nothing is negative or infinite."""
    at = 70.0 if direction < 0 else 10.0
    found = run(world(**wind), receptors(z=z, at=at, count=10), turbulence, direction=direction)
    shares = found.background["share"].to_numpy()
    assert shares.sum() == pytest.approx(1.0, abs=1e-12)
    row = found.receptors.to_pylist()[0]
    assert 0.0 < row["residence_hours"] <= 6.0 + 1e-9
    values = found.sensitivity["sensitivity"].to_numpy()
    assert np.isfinite(values).all()
    assert (values >= 0.0).all()
    assert values.sum() == pytest.approx(row["total"], rel=1e-5)
    ends = found.endpoints.to_pandas()
    assert ((ends["height_m"] >= 0.0) & (ends["height_m"] <= 8000.0)).all()
    assert ends["latitude"].between(22.0, 38.0).all()
    stayed = ends["side"] == "inside"
    assert row["residence_hours"] == pytest.approx(6.0) or not stayed.all()


@settings(max_examples=8)
@given(st.sampled_from(RESOLVED), st.floats(0.01, 50.0))
def test_footprints_are_linear_in_weight(turbulence, weight):
    met = world(heat=120.0)
    one = run(met, receptors(count=10), turbulence)
    more = run(met, receptors(count=10, weight=weight), turbulence)
    rounding = 1e-6 * weight * float(np.max(one.sensitivity["sensitivity"].to_numpy()))
    for name in ("sensitivity", "stderr"):
        expected = weight * one.sensitivity[name].to_numpy()
        np.testing.assert_allclose(more.sensitivity[name].to_numpy(), expected, rtol=1e-5, atol=rounding)
    np.testing.assert_allclose(
        more.background["share"].to_numpy(), weight * one.background["share"].to_numpy(), rtol=1e-12
    )


@settings(max_examples=8)
@given(weather, st.sampled_from(["hanna", "stilt"]))
def test_a_column_is_the_sum_of_its_levels(wind, turbulence):
    """Releases of one receptor are strata: their sensitivities add, and so do their variances."""
    met = world(**wind)
    low, high = receptors(z=50.0, count=10, weight=0.7), receptors(z=900.0, count=10, weight=0.3)
    both = Receptors(
        low.obs_id, np.array([0, 2]), np.concatenate([low.releases, high.releases]), np.zeros(1), {}
    )
    together = run(met, both, turbulence, particles=20).receptors.to_pylist()[0]
    first = run(met, low, turbulence).receptors.to_pylist()[0]
    # The first release has the same particles; the second continues their numbers.
    assert together["residence_hours"] <= 6.0 + 1e-9
    assert together["total"] >= first["total"] * (1.0 - 1e-12)
    assert together["total_stderr"] >= first["total_stderr"] * (1.0 - 1e-12)
    assert together["particles"] == 20


@settings(max_examples=8)
@given(st.sampled_from(RESOLVED), st.integers(0, 2**31))
def test_the_seed_decides_and_nothing_else(turbulence, seed):
    met = world(heat=120.0)
    a, b, c = (run(met, receptors(count=10), turbulence, seed=s) for s in (seed, seed, seed + 1))
    assert a.sensitivity.equals(b.sensitivity)
    assert a.endpoints.equals(b.endpoints)
    if turbulence != "none":
        assert not a.endpoints.equals(c.endpoints)


@settings(max_examples=6)
@given(st.sampled_from(RESOLVED), st.integers(2, 4))
def test_coarser_cells_hold_the_sum(turbulence, times):
    """The domain's edges being the same, particles take the same ways: coarse cells are sums of fine ones."""
    met = world(heat=120.0, u=8.0)
    fine = Grid.regular(24, 36, 104, 116, 0.25, 0.25)
    coarse = Grid(fine.lat_edges[:: times * 4], fine.lon_edges[:: times * 4])
    made = []
    for grid in (fine, coarse):
        found = run(met, receptors(at=60.0, lon=114.0, count=20), turbulence, grid=grid, hours=12.0)
        dense = np.zeros((12, *grid.shape))
        table = found.sensitivity
        dense.reshape(12, -1)[table["time_bin"].to_numpy(), table["cell"].to_numpy()] = table[
            "sensitivity"
        ].to_numpy()
        made.append((dense, found))
    assert made[0][1].endpoints.equals(made[1][1].endpoints)
    step = times * 4
    shape = (12, coarse.shape[0], step, coarse.shape[1], step)
    if fine.shape[0] % step == 0 and fine.shape[1] % step == 0:
        summed = made[0][0].reshape(shape).sum(axis=(2, 4))
        # A piece of path across an edge is shared out in pieces of half a cell.
        np.testing.assert_allclose(summed, made[1][0], atol=0.12 * made[1][0].max())
        assert summed.sum() == pytest.approx(made[1][0].sum(), rel=1e-6)


@settings(max_examples=4)
@given(st.floats(30.0, 900.0))
def test_a_counting_layer_dilutes_over_itself(layer):
    """In a boundary layer that is evenly mixed, time below a lid is its share of mass: the dilution cancels it."""
    met = world(h=1000.0, heat=150.0)
    place = receptors(z=0.0, count=150)
    place.releases[0, 7] = 1000.0  # from the ground to the top
    place.releases[0, 8] = np.exp(-1000.0 / 9500.0)
    found = run(met, place, particles=150, layer=layer, near_field="none", hours=12.0)
    row = found.receptors.to_pylist()[0]
    mass = 1.2 * 9500.0 * (1 - np.exp(-1000.0 / 9500.0))
    exact = MOLAR_MASS_DRY_AIR * row["residence_hours"] * 3600.0 / mass
    assert row["total"] == pytest.approx(exact, rel=0.02, abs=4 * row["total_stderr"])


def test_smoothing_needs_the_clouds_size_and_keeps_exits():
    met = world(heat=120.0)
    plain, smooth = (run(met, receptors(count=20), smooth=s, timestep=120.0) for s in (0.0, 1.0))
    assert plain.endpoints.equals(smooth.endpoints)
    assert plain.background.equals(smooth.background)
    assert len(smooth.sensitivity) >= len(plain.sensitivity)


def test_mean_wind_alone_takes_up_while_it_is_low():
    """Without turbulence a parcel at 20 m stays there: M t over the mass of half the boundary layer."""
    met = world(u=3.0, h=1000.0)
    found = run(met, receptors(z=20.0, count=1), "none", hours=10.0)
    half = 1.2 * 500.0 * (1.0 - 0.25 * 1000.0 / 9500.0)
    row = found.receptors.to_pylist()[0]
    assert row["total"] == pytest.approx(MOLAR_MASS_DRY_AIR * 10 * 3600 / half, rel=0.01)
    aloft = run(met, receptors(z=600.0, count=1), "none", hours=10.0)
    assert aloft.receptors["total"][0].as_py() == 0.0


@pytest.mark.parametrize("turbulence", TURBULENCE)
def test_decay_takes_its_share_of_every_age_and_of_what_comes_in(turbulence):
    """Paths do not change; what is felt and what is left is that without decay times 2^(-age / half)."""
    met, half = world(u=1.0, v=0.0, heat=120.0), 3.0
    edges = bins(72, 1)
    here = receptors(count=20, at=70.0)
    plain, decayed = (
        simulate(
            met,
            here,
            WIDE,
            edges,
            ParticleSettings(turbulence=turbulence, hours=6.0, particles=20, half_life=h),
        )
        for h in (None, half)
    )
    by_hour = [
        found.sensitivity.to_pandas().groupby("time_bin")["sensitivity"].sum() for found in (plain, decayed)
    ]
    age = 69 - by_hour[0].index.to_numpy()  # hours from the receptor to the later edge of the bin
    ratio = (by_hour[1] / by_hour[0]).to_numpy()
    assert (ratio <= 2.0 ** (-age / half) * (1 + 1e-5)).all()
    assert (ratio >= 2.0 ** (-(age + 1) / half) * (1 - 1e-5)).all()
    ends = [found.endpoints.to_pandas() for found in (plain, decayed)]
    np.testing.assert_array_equal(
        ends[0][["latitude", "longitude", "height_m"]], ends[1][["latitude", "longitude", "height_m"]]
    )
    assert decayed.background["share"].to_numpy().sum() == pytest.approx(2.0 ** (-6.0 / half), rel=1e-9)
    if turbulence == "mixed-layer":
        # Stirred at every step, the air feels as much at every age: the integral of 2^(-t / half) over six hours.
        total = [found.receptors["total"][0].as_py() for found in (plain, decayed)]
        rate = np.log(2.0) / half
        assert total[1] / total[0] == pytest.approx((1.0 - 2.0 ** (-6.0 / half)) / (rate * 6.0), rel=1e-6)


@pytest.mark.parametrize("turbulence", TURBULENCE)
def test_paths_are_those_of_the_ends_and_hold_all_that_was_taken_up(turbulence):
    """Every 25 min, which divides neither the steps nor the run: at each age all particles inside; sums are totals."""
    met, here = world(u=9.0, v=-4.0, heat=80.0), receptors(2, count=15, at=70.0)
    grid = Grid.regular(28, 32, 113, 117, 1, 1)
    plain, found = (
        simulate(
            met, here, grid, bins(), ParticleSettings(turbulence=turbulence, hours=8.0, particles=15, paths=p)
        )
        for p in (0.0, 25.0)
    )
    assert len(plain.paths) == 0
    assert found.sensitivity.equals(plain.sensitivity)
    assert found.endpoints.equals(plain.endpoints)
    rows = found.paths.to_pandas()
    total = rows.groupby("obs_id", observed=True)["sensitivity"].sum().to_numpy()
    np.testing.assert_allclose(total, found.receptors["total"].to_numpy(), rtol=1e-4)
    ends = found.endpoints.to_pandas()
    last = (
        rows.sort_values("age", ascending=False)
        .groupby(["obs_id", "particle"], observed=True)
        .last()
        .reset_index()
    )
    assert len(last) == 30
    left = (ends["side"] != "inside").to_numpy()
    assert left.any()
    for column in ("latitude", "longitude", "height_m"):
        np.testing.assert_allclose(last[column][left], ends[column][left], rtol=1e-5, atol=1e-2)
    seconds = (70.0 * 3600.0 + last["age"].to_numpy() * 60.0)[left]
    when = (ends["time"].to_numpy() - np.datetime64("2020-06-01")) / np.timedelta64(1, "s")
    np.testing.assert_allclose(seconds, when[left], atol=0.1)
    inside = rows[rows["age"] % 25 == 0]
    assert (inside["age"] >= -480).all()
    if turbulence == "none":
        # Even wind: latitude goes with age.
        np.testing.assert_allclose(
            inside["latitude"], 30.0 - 4.0 * 60.0 * inside["age"] / 111194.9, atol=2e-3
        )


def test_paths_of_a_run_that_ends_inside_stop_at_its_last_age():
    met = world(u=0.0, v=0.0)
    found = run(met, receptors(count=5), "hanna", hours=2.0, paths=30.0)
    ages = found.paths["age"].to_numpy()
    assert sorted(set(ages.tolist())) == [-120.0, -90.0, -60.0, -30.0]
    assert len(ages) == 20
    ends = found.endpoints.to_pandas()["height_m"].to_numpy()
    rows = found.paths.to_pandas()
    np.testing.assert_allclose(rows[rows["age"] == -120]["height_m"], ends, rtol=1e-5)
