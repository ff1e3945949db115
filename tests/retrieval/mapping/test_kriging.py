"""Kriging: against dense algebra, exact where it must be, and its standard deviation is honest."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from obsnet.errors import RangeError
from obsnet.grid import Grid
from obsnet.sphere import great_circle_km
from retrieval.mapping.block_integrals import cell_sizes_km, mean_within
from retrieval.mapping.kriging import Samples, krige_cells, krige_means, krige_points
from retrieval.mapping.variogram import ProductSum
from tests.retrieval.mapping.fields import MODEL, START, covariance, draw, places

DAY = np.timedelta64(1, "D")
GRID = Grid.regular(26, 38, 102, 118, 4, 4)


def dense(samples, model, target, target_nugget=0.0):
    """Ordinary kriging of the mean of target points by the textbook's bordered system."""
    n = len(samples)
    places_ = (samples.latitude, samples.longitude, samples.time)
    matrix = np.ones((n + 1, n + 1))
    matrix[:n, :n] = covariance(model, places_) + np.diag(model.nugget + samples.uncertainty**2)
    matrix[n, n] = 0
    right = np.append(covariance(model, places_, target).mean(axis=1), 1)
    solved = np.linalg.solve(matrix, right)
    block = covariance(model, target).mean() + target_nugget
    return solved[:n] @ samples.value, np.sqrt(block - solved @ right), solved[:n]


@given(st.integers(0, 10**6))
@settings(max_examples=15)
def test_points_against_the_bordered_system(seed):
    samples, _ = draw(MODEL, places(40, seed), seed)
    lat, lon, time = places(3, seed + 1)
    found = krige_points(samples, MODEL, lat, lon, time, neighbours=40)
    for m in range(3):
        mean, sd, weight = dense(
            samples, MODEL, (lat[m : m + 1], lon[m : m + 1], time[m : m + 1]), MODEL.nugget
        )
        assert found.mean[m] == pytest.approx(mean, abs=1e-5)
        assert found.sd[m] == pytest.approx(sd, abs=1e-5)
        assert weight.sum() == pytest.approx(1)


def inside(grid, n, start, days, moments):
    """Return n by n points of a cell and so many moments of a time, evenly spread."""
    fraction = (np.arange(n) + 0.5) / n
    south, north, west, east = grid.bounds
    lat = np.rad2deg(
        np.arcsin(
            np.sin(np.deg2rad(south)) + fraction * (np.sin(np.deg2rad(north)) - np.sin(np.deg2rad(south)))
        )
    )
    when = start + np.round((np.arange(moments) + 0.5) / moments * days * 86400e6).astype("timedelta64[us]")
    parts = np.meshgrid(lat, west + fraction * (east - west), np.arange(moments), indexing="ij")
    return parts[0].ravel(), parts[1].ravel(), when[parts[2].ravel()]


@pytest.mark.parametrize("size", [0.02, 1.0, 4.0])
@pytest.mark.parametrize("length", [60.0, 400.0])
def test_blocks_against_the_bordered_system(size, length):
    """A cell's mean over a time is the mean of many of its points and moments."""
    model = ProductSum(1.0, length, 0.5, 4.0, 0.6, 0.0)
    samples, _ = draw(model, places(50, 0), 0)
    cell = Grid.regular(30, 30 + size, 110, 110 + size, size, size)
    found = krige_cells(samples, model, cell, START, START + 4 * DAY, neighbours=50)
    mean, sd, _ = dense(samples, model, inside(cell, 15, START, 4, 10))
    assert found.mean[0, 0] == pytest.approx(mean, abs=3e-3)
    assert found.sd[0, 0] == pytest.approx(sd, rel=1e-2 if size > 1 else 3e-3)
    # an instant, where that is asked for
    at_once = krige_cells(samples, model, cell, START + 2 * DAY, START + 2 * DAY, neighbours=50)
    mean, sd, _ = dense(samples, model, inside(cell, 15, START, 4, 1))
    assert at_once.mean[0, 0] == pytest.approx(mean, abs=2e-3)
    assert at_once.sd[0, 0] == pytest.approx(sd, rel=1e-2 if size > 1 else 3e-3)


@pytest.mark.parametrize("length", [1.0, 5.7, 60.0, 1500.0])
@pytest.mark.parametrize("size", [1.0, 2.0, 5.0])
def test_a_cell_is_as_uncertain_however_finely_it_is_cut(length, size):
    model = ProductSum(1.05, length, 0.02, 7.0, 0.6, 0.01)
    samples, _ = draw(MODEL, places(80, 2), 2, error=(0.9, 1.1))
    grid = Grid.regular(25, 35, 100, 110, size, size)
    found = [krige_cells(samples, model, grid, START, START + DAY, points=points) for points in (1, 3, 6, 12)]
    for other in found[1:]:
        np.testing.assert_allclose(other.sd, found[0].sd, rtol=1e-4)
        np.testing.assert_allclose(other.mean, found[0].mean, atol=1e-4)


def test_what_a_cell_adds_to_the_error_of_the_mean_is_the_field_inside_it():
    """Range far below the cell and no datum near: error of the mean, and 2 pi L^2 / area of the sill."""
    model = ProductSum(1.0, 5.0, 1e-9, 5.0, 0.0, 0.0)
    lat, lon, time = places(100, 0, lat=(0, 10), lon=(0, 10))
    samples = Samples(lat, lon, time, np.zeros(100), np.ones(100))
    cell = Grid.regular(30, 32, 30, 32, 2, 2)
    (sd,) = krige_cells(samples, model, cell, START, START + DAY, neighbours=100).sd.ravel()
    width, height = 111.195 * 2 * np.cos(np.deg2rad(31)), 111.195 * 2
    inside_it = 2 * np.pi * 25 / (width * height)
    mean = krige_points(samples, model, [31.0], [31.0], [START], neighbours=100).sd[0] ** 2 - 1.0
    assert sd**2 == pytest.approx(mean + inside_it, rel=0.02)
    assert inside_it == pytest.approx(0.0037, abs=1e-4)


@pytest.mark.parametrize("size", [0.1, 2.0, 10.0])
def test_a_nugget_averages_out_as_far_as_the_columns_can_tell(size):
    """Below the spacing it is a field of that length: all of it in a small cell, little of it in a large one."""
    lat, lon = (x.ravel() for x in np.meshgrid(np.arange(10.0), np.arange(10.0), indexing="ij"))
    samples = Samples(lat, lon, np.full(100, START), np.zeros(100), np.ones(100))
    cell = Grid.regular(40, 40 + size, 40, 40 + size, size, size)
    full = krige_cells(samples, ProductSum(1.0, 300.0, 1e-9, 5.0, 0.0, 1.0), cell, START, START)
    # the same data covariance for both: what differs is the cell
    noisy = Samples(lat, lon, samples.time, samples.value, np.full(100, 2.0**0.5))
    bare = krige_cells(noisy, ProductSum(1.0, 300.0, 1e-9, 5.0, 0.0, 0.0), cell, START, START)
    (share,) = mean_within(*cell_sizes_km(cell).T, np.median(spacing(lat, lon)))
    assert full.sd[0, 0] ** 2 - bare.sd[0, 0] ** 2 == pytest.approx(share, rel=1e-4)
    assert share == pytest.approx({0.1: 0.95, 2.0: 0.46, 10.0: 0.07}[size], abs=0.05)


def spacing(lat, lon):
    km = great_circle_km(lat[:, None], lon[:, None], lat[None], lon[None]) + np.diag(np.full(len(lat), 1e9))
    return km.min(axis=1)


def test_means_of_groups_against_the_bordered_system():
    samples, _ = draw(MODEL, places(50, 0), 0)
    lat, lon, time = places(9, 5)
    found = krige_means(samples, MODEL, lat, lon, time, [0, 1, 4, 9], neighbours=50)
    for m, part in enumerate((slice(0, 1), slice(1, 4), slice(4, 9))):
        n = part.stop - part.start
        mean, sd, _ = dense(samples, MODEL, (lat[part], lon[part], time[part]), MODEL.nugget / n)
        assert found.mean[m] == pytest.approx(mean, abs=1e-5)
        assert found.sd[m] == pytest.approx(sd, abs=1e-5)


def test_without_errors_the_data_are_met():
    exact = ProductSum(1, 400, 0.5, 4, 0.6, 0)
    points = places(30, 1)
    samples, truth = draw(exact, points, 1, error=(1e-6, 2e-6))
    found = krige_points(samples, exact, *points, neighbours=30)
    np.testing.assert_allclose(found.mean, truth, atol=1e-4)
    assert found.sd.max() < 1e-3


def test_measurement_error_is_on_the_data_and_not_on_the_prediction():
    """One datum: weight 1, variance C00 - 2 c + C0 + nugget + error; the field's own sd where c = C0."""
    one = Samples([30.0], [110.0], [START], [2.0], [0.7])
    found = krige_points(one, MODEL, [30.0], [110.0], [START])
    assert found.mean[0] == 2.0
    assert found.sd[0] ** 2 == pytest.approx(2 * MODEL.nugget + 0.7**2, rel=1e-9)


@given(st.integers(0, 10**6), st.floats(-50, 50), st.floats(-3, 3))
@settings(max_examples=15)
def test_linear_and_faithful_to_a_constant(seed, constant, factor):
    samples, _ = draw(MODEL, places(30, seed), seed)
    other = Samples(
        samples.latitude,
        samples.longitude,
        samples.time,
        factor * samples.value + constant,
        samples.uncertainty,
    )
    one, two = (krige_cells(s, MODEL, GRID, START, START + DAY, neighbours=12) for s in (samples, other))
    np.testing.assert_allclose(two.mean, factor * one.mean + constant, atol=1e-9)
    np.testing.assert_array_equal(two.sd, one.sd)


def test_order_does_not_matter():
    samples, _ = draw(MODEL, places(60, 3), 3)
    order = np.random.default_rng(0).permutation(60)
    one, two = (
        krige_cells(s, MODEL, GRID, START, START + DAY, neighbours=20) for s in (samples, samples.take(order))
    )
    np.testing.assert_allclose(one.mean, two.mean, rtol=1e-10)
    np.testing.assert_allclose(one.sd, two.sd, rtol=1e-10)


def test_standard_deviations_are_honest():
    """Held-out truth of a field that has the model: errors are as large as said."""
    points = places(1200, 4)
    _, truth = draw(MODEL, points, 4)
    rng = np.random.default_rng(5)
    sigma = rng.uniform(0.2, 0.6, 1200)
    seen = np.arange(1200) < 800
    samples = Samples(*(p[seen] for p in points), (truth + sigma * rng.normal(size=1200))[seen], sigma[seen])
    found = krige_points(samples, MODEL, *(p[~seen] for p in points), neighbours=48)
    z = (found.mean - truth[~seen]) / found.sd
    assert np.mean(np.abs(z) < 1.96) == pytest.approx(0.95, abs=0.03)
    assert z.std() == pytest.approx(1, abs=0.1)
    assert abs(z.mean()) < 0.15


def test_few_neighbours_are_nearly_as_good_as_all():
    samples, _ = draw(MODEL, places(300, 6), 6)
    few, many = (krige_cells(samples, MODEL, GRID, START, START + DAY, neighbours=k) for k in (48, 300))
    assert np.abs(few.mean - many.mean).max() < 0.5 * many.sd.max()
    assert (few.sd >= many.sd - 1e-9).all()


def test_far_from_all_data_the_field_is_unknown():
    samples, _ = draw(MODEL, places(40, 7), 7)
    far = krige_points(samples, MODEL, [-40.0], [-60.0], [START], neighbours=40)
    assert far.sd[0] ** 2 > MODEL.sill + MODEL.nugget


def test_across_the_dateline():
    lat, lon, time = places(40, 8, lon=(-10, 10))
    samples, _ = draw(MODEL, (lat, lon, time), 8)
    turned = Samples(lat, np.mod(lon + 360, 360) - 180, time, samples.value, samples.uncertainty)
    grid, pacific = Grid.regular(26, 38, -8, 8, 4, 4), Grid.regular(26, 38, 172, -172, 4, 4)
    one = krige_cells(samples, MODEL, grid, START, START + DAY)
    two = krige_cells(turned, MODEL, pacific, START, START + DAY)
    np.testing.assert_allclose(one.mean, two.mean, rtol=1e-8)


def test_blocks_are_better_known_than_points():
    samples, _ = draw(MODEL, places(60, 9), 9)
    blocks = krige_cells(samples, MODEL, GRID, START, START + 10 * DAY)
    points = krige_points(
        samples, MODEL, GRID.lat.repeat(4), np.tile(GRID.lon, 3), np.full(12, START + 5 * DAY)
    )
    assert (blocks.sd.ravel() < points.sd).all()


def test_some_cells_are_as_in_the_whole():
    samples, _ = draw(MODEL, places(60, 9), 9)
    whole = krige_cells(samples, MODEL, GRID, START, START + DAY)
    where = np.arange(GRID.size).reshape(GRID.shape) % 3 == 1
    part = krige_cells(samples, MODEL, GRID, START, START + DAY, where=where)
    np.testing.assert_array_equal(np.isfinite(part.sd), where)
    np.testing.assert_array_equal(part.mean[where], whole.mean[where])
    np.testing.assert_array_equal(part.sd[where], whole.sd[where])
    none = krige_cells(samples, MODEL, GRID, START, START + DAY, where=np.zeros(GRID.shape, bool))
    assert np.isnan(none.mean).all()


def test_no_samples():
    none = Samples(*(np.zeros(0) for _ in range(2)), np.zeros(0, "datetime64[us]"), np.zeros(0), np.zeros(0))
    assert np.isnan(krige_cells(none, MODEL, GRID, START, START + DAY).mean).all()


@pytest.mark.parametrize(
    ("call", "text"),
    [
        (lambda: Samples([1.0], [1.0], [START], [np.nan], [1.0]), "finite value"),
        (lambda: Samples([1.0], [1.0], [START], [1.0], [0.0]), "1 samples have no positive uncertainty"),
        (lambda: Samples([1.0, 2], [1.0, 2], [START, START], [1.0], [1.0]), "finite latitude"),
        (lambda: Samples([1.0], [1.0], [np.datetime64("NaT", "ns")], [1.0], [1.0]), "need a time"),
        (
            lambda: krige_points(
                Samples([1.0], [1.0], [START], [1.0], [1.0]), MODEL, [1.0], [1.0], [START], neighbours=0
            ),
            "at least one neighbour",
        ),
        (
            lambda: krige_points(
                Samples([1.0] * 2, [1.0] * 2, [START] * 2, [1.0, 2], [1e-12] * 2),
                ProductSum(1, 1, 1, 1, 0),
                [1.0],
                [1.0],
                [START],
            ),
            "not positive definite",
        ),
    ],
)
def test_refusals(call, text):
    with pytest.raises(RangeError, match=text):
        call()


def test_cells_together_are_cells_alone():
    """What neighbouring cells share of their samples' covariances is carried over; nothing else is."""
    samples, _ = draw(MODEL, places(300, 4), 4)
    grid = Grid.regular(30.0, 32.0, 110.0, 113.0, 0.5, 0.5)
    start = samples.time.min()
    stop = start + np.timedelta64(3, "D")
    whole = krige_cells(samples, MODEL, grid, start, stop, neighbours=24)
    for m in range(0, grid.size, 5):
        only = np.zeros(grid.size, bool)
        only[m] = True
        alone = krige_cells(samples, MODEL, grid, start, stop, neighbours=24, where=only.reshape(grid.shape))
        for name in ("mean", "sd", "local"):
            assert getattr(alone, name).ravel()[m] == pytest.approx(getattr(whole, name).ravel()[m], rel=1e-9)
