"""Releases from observation tables: weights, heights, the part that the prior carries, reasons for skipping."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from inversion.transport.particles.mixed_layer import release_point
from inversion.transport.receptors.releases import RELEASE, from_observations, line, slant
from obsnet.errors import SchemaError
from obsnet.schema import observation_table
from tests.inversion.transport.worlds import START, seconds, world

AT = {name: k for k, name in enumerate(RELEASE)}


def points(**columns):
    n = len(columns.get("latitude", [30.0]))
    base = {
        "obs_id": [f"p{k}" for k in range(n)],
        "platform": ["x"] * n,
        "time": np.array([START + np.timedelta64(60, "h")] * n),
        "latitude": np.full(n, 30.0),
        "longitude": np.full(n, 115.0),
        "value": np.full(n, 410.0),
        "uncertainty": np.ones(n),
        "intake_height_m": np.full(n, 50.0),
    }
    return observation_table({**base, **columns}, species="CO2", kind="point", source="s", file_id="f" * 16)


def column(kernel, share, axis, *, layered=False, prior=400.0, n=1, **more):
    kernel, share, axis = (np.asarray(a, float) for a in (kernel, share, axis))
    name = "pressure_edges" if layered else "pressure_levels"
    columns = {
        "obs_id": [f"c{k}" for k in range(n)],
        "platform": ["x"] * n,
        "time": np.array([START + np.timedelta64(60, "h")] * n),
        "latitude": np.full(n, 30.0),
        "longitude": np.full(n, 115.0),
        "value": np.full(n, 410.0),
        "uncertainty": np.ones(n),
        name: np.tile(axis, (n, 1)),
        "pressure_weight": np.tile(share, (n, 1)),
        "averaging_kernel": np.tile(kernel, (n, 1)),
        "prior_profile": np.full((n, kernel.size), prior),
        "prior_column": np.full(n, prior),
        "vertical": ["layer" if layered else "level"] * n,
        **more,
    }
    return observation_table(columns, species="CO2", kind="column", source="s", file_id="f" * 16)


def test_a_point_releases_at_its_intake():
    found = from_observations(points(), world(), particles=80, hours=24)
    assert found.releases.shape == (1, 12)
    row = dict(zip(RELEASE, found.releases[0], strict=True))
    assert (row["z0"], row["z1"], row["count"]) == (50.0, 50.0, 80.0)
    assert row["w0"] + row["w1"] == 1.0
    assert row["t0"] == row["t1"] == seconds(60)
    assert found.known[0] == 0.0


def test_an_hourly_mean_releases_over_its_hour():
    times = {
        "time_start": np.array([START + np.timedelta64(59, "h")]),
        "time_end": np.array([START + np.timedelta64(60, "h")]),
    }
    found = from_observations(points(**times), world(), particles=80, hours=24)
    assert tuple(found.releases[0, :2]) == (seconds(59), seconds(60))


def test_mountain_stations_can_hang_on_the_sea_level():
    met = world()
    met.terrain[:] = 2200.0
    table = points(altitude_m=[3816.0], intake_height_m=[6.0])
    assert from_observations(table, met, particles=5, hours=24).releases[0, AT["z0"]] == 6.0
    assert from_observations(table, met, particles=5, hours=24, height="sea").releases[
        0, AT["z0"]
    ] == pytest.approx(1616.0)
    below = points(altitude_m=[1000.0], intake_height_m=[6.0])
    assert from_observations(below, met, particles=5, hours=24, height="sea").releases[0, AT["z0"]] == 6.0
    with pytest.raises(SchemaError, match="not one of ground, sea"):
        from_observations(table, met, particles=5, hours=24, height="moon")


@pytest.mark.parametrize(
    ("columns", "reason"),
    [
        ({"latitude": [60.0]}, r"outside the meteorology \(60.00 N 115.00 E\)"),
        ({"latitude": [20.5]}, "outside the grid of fluxes"),
        ({"intake_height_m": [-5.0]}, r"below ground \(-5 m\)"),
        ({"intake_height_m": [9000.0]}, "above the meteorology"),
        ({"intake_height_m": [None]}, "no intake height above ground"),
        ({"time": np.array([START + np.timedelta64(10, "h")])}, r"needs meteorology from 2020-05-31T10"),
        ({"time": np.array([START + np.timedelta64(80, "h")])}, "which covers 2020-06-01"),
    ],
)
def test_what_cannot_be_modelled_is_skipped_with_its_reason(columns, reason):
    found = from_observations(
        points(**columns), world(), particles=5, hours=24, domain=(22.0, 38.0, 102.0, 128.0)
    )
    assert len(found) == 0
    assert found.releases.shape == (0, 12)
    (text,) = found.skipped.values()
    import re

    assert re.search(reason, text), text


LEVELS = np.linspace(1013.25, 0.1, 20)
HATS = np.r_[0.5, np.ones(18), 0.5] / 19.0


def test_a_column_under_a_kernel_of_one_weighs_the_air_it_sees():
    met = world()
    found = from_observations(column(np.ones(20), HATS, LEVELS), met, particles=500, hours=24)
    weight = found.releases[:, AT["w0"]] + found.releases[:, AT["w1"]]
    top = met.state[0, 0, 0, -1, 0] / met.state[0, 0, 0, 0, 0]
    assert weight.sum() == pytest.approx(1.0 - top, rel=1e-3)
    # Above the meteorology the prior carries what is left.
    assert found.known[0] == pytest.approx(400.0 * top, rel=1e-2)
    assert found.releases[:, AT["count"]].sum() == pytest.approx(500, abs=20)
    assert np.all(np.diff(found.releases[:, AT["z0"]]) > 0)
    np.testing.assert_allclose(found.releases[1:, AT["z0"]], found.releases[:-1, AT["z1"]], rtol=1e-9)
    assert found.releases[0, AT["z0"]] == pytest.approx(0.0, abs=1e-6)


def test_the_known_part_and_the_weights_complete_the_column():
    """Prior weights: known + sum(weights) * prior = prior column, whatever the kernel."""
    kernel = np.linspace(1.1, 0.2, 20)
    found = from_observations(column(kernel, HATS, LEVELS), world(), particles=500, hours=24)
    weight = (found.releases[:, AT["w0"]] + found.releases[:, AT["w1"]]).sum()
    assert found.known[0] + 400.0 * weight == pytest.approx(400.0, rel=1e-6)  # tables keep float32


@settings(max_examples=25)
@given(st.lists(st.floats(0.05, 1.3), min_size=20, max_size=20))
def test_every_release_samples_its_share_of_the_interpolated_kernel(kernel):
    """Mean of weights over many points of the releases is the sum of kernel times pressure weight below the top."""
    found = from_observations(
        column(kernel, HATS, LEVELS, prior=0.0 + 400.0), world(), particles=100, hours=24
    )
    total = 0.0
    for row in found.releases:
        drawn = [
            release_point(row, q, np.uint64(q * 10**8 % 2**32), np.uint64(7))
            for q in range(int(row[AT["count"]]))
        ]
        total += np.mean([weight for *_, weight in drawn])
        z = [height for *_, height, _ in drawn]
        assert row[AT["z0"]] - 1e-6 <= min(z) <= max(z) <= row[AT["z1"]] + 1e-6
    weights = (found.releases[:, AT["w0"]] + found.releases[:, AT["w1"]]).sum()
    assert total == pytest.approx(weights, rel=1e-9)


def test_layers_are_integrated_and_levels_interpolated():
    """A kernel that sees one layer only releases within that layer, evenly in pressure."""
    edges = np.array([1000.0, 800.0, 600.0, 400.0, 200.0, 0.1])
    share = np.full(5, 0.2)
    layer = from_observations(
        column([0, 1, 0, 0, 0], share, edges, layered=True), world(), particles=100, hours=24
    )
    rows = layer.releases[layer.releases[:, AT["w0"]] > 0]
    assert len(rows) == 1
    assert rows[0, AT["w0"]] == rows[0, AT["w1"]] == pytest.approx(0.1)
    assert rows[0, AT["ratio"]] == pytest.approx(0.75)
    level = from_observations(
        column([0, 1, 0, 0, 0], share, edges[:-1], layered=False), world(), particles=100, hours=24
    )
    rows = level.releases[(level.releases[:, AT["w0"]] + level.releases[:, AT["w1"]]) > 0]
    assert len(rows) == 2  # half in each neighbouring layer
    np.testing.assert_allclose(rows[:, [AT["w0"], AT["w1"]]], [[0.0, 0.1], [0.1, 0.0]], atol=1e-12)


def test_columns_without_their_profiles_are_skipped():
    table = column(np.ones(20), HATS, LEVELS)
    for name in ("averaging_kernel", "prior_profile"):
        bare = table.set_column(
            table.column_names.index(name), name, [[None]]
        ).cast(table.schema)  # fmt: skip
        found = from_observations(bare, world(), particles=5, hours=24)
        assert list(found.skipped.values()) == ["no averaging kernel, pressure weights and prior profile"]
    upside = column(np.ones(20), HATS, LEVELS[::-1])
    assert "pressures do not fall" in from_observations(upside, world(), particles=5, hours=24).skipped["c0"]


def test_lines_share_particles_by_time():
    times = START + np.array([0, 10, 40]).astype("timedelta64[m]")
    found = line(
        "leg", times, [30.0, 30.5, 31.0], [115.0, 115.5, 116.0], [500.0, 600.0, 600.0], particles=100
    )
    np.testing.assert_allclose(found.releases[:, AT["count"]], [25, 75])
    np.testing.assert_allclose(found.releases[:, AT["w0"]] * 2, [0.25, 0.75])
    t, x, y, z, _ = release_point(found.releases[0], 12, np.uint64(2**31), np.uint64(2**31))
    assert (x, y, z) == pytest.approx((115.25, 30.25, 550.0), rel=1e-6)
    assert seconds(0) < t < seconds(1)
    with pytest.raises(SchemaError, match="two corners or more"):
        line("leg", times[::-1], [30, 31, 32], [115, 116, 117], [1, 2, 3], particles=10)


def test_slant_columns_lean_towards_the_sun():
    straight = from_observations(column(np.ones(20), HATS, LEVELS), world(), particles=100, hours=24)
    leaning = slant(straight, 45.0, 90.0)
    metres = np.deg2rad(1.0) * 6371008.8
    away = (
        (leaning.releases[:, AT["x1"]] - straight.releases[:, AT["x1"]]) * metres * np.cos(np.deg2rad(30.0))
    )
    np.testing.assert_allclose(away, straight.releases[:, AT["z1"]], rtol=1e-6)
    np.testing.assert_allclose(leaning.releases[:, AT["y1"]], 30.0, atol=1e-9)
    north = slant(straight, 60.0, 0.0)
    np.testing.assert_allclose(
        (north.releases[:, AT["y0"]] - 30.0) * metres,
        straight.releases[:, AT["z0"]] * np.sqrt(3),
        rtol=1e-6,
        atol=1e-6,
    )
    with pytest.raises(SchemaError, match="within 0 and 85 degrees"):
        slant(straight, 89.0, 0.0)


def test_a_kernel_that_sees_nothing_is_told():
    found = from_observations(column(np.zeros(20), HATS, LEVELS), world(), particles=100, hours=24)
    assert found.skipped == {"c0": "the averaging kernel is zero below the top of the meteorology"}
