"""Errors of weighted sums of pixels, and intervals."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import ndimage

from retrieval.plume.rates.budget import PixelSum, RateBudget, interval, place_elsewhere


def box(size=6, at=(10, 12), weight=2.0):
    rows, columns = np.meshgrid(np.arange(size) + at[0], np.arange(size) + at[1], indexing="ij")
    return PixelSum(rows.ravel(), columns.ravel(), np.full(size * size, weight))


def test_sum_and_noise_by_hand():
    field = np.arange(900.0).reshape(30, 30)
    pixels = box()
    assert pixels.of(field) == 2.0 * field[10:16, 12:18].sum()
    assert pixels.noise(np.full((30, 30), 0.5)) == pytest.approx(2.0 * 0.5 * 6)
    assert (pixels + pixels.times(2.0)).of(field) == pytest.approx(3.0 * pixels.of(field))


def test_white_noise_leaves_no_background_error_and_structure_does():
    rng = np.random.default_rng(0)
    error = np.full((80, 80), 1.0)
    clear = np.ones((80, 80), dtype=bool)
    noise = rng.standard_normal((80, 80))
    small, places = place_elsewhere(box(), noise, error, clear, 9.0)
    assert places >= 20
    assert small < box().noise(error)
    structure = ndimage.gaussian_filter(rng.standard_normal((80, 80)), 5)
    structure /= structure.std()
    large, _ = place_elsewhere(box(), noise + structure, error, clear, 9.0)
    assert large == pytest.approx(2.0 * 36 * 0.9, rel=0.5)  # nearly the same everywhere in the box


def test_without_room_the_detection_says_what_structure_there_is():
    error = np.full((20, 20), 1.0)
    clear = np.zeros((20, 20), dtype=bool)
    found, places = place_elsewhere(box(), np.zeros((20, 20)), error, clear, 0.5)
    assert (found, places) == (pytest.approx(0.5 * 2.0 * 36), 0)


@given(st.floats(1, 1e4), st.floats(0, 0.4), st.floats(0, 3000))
def test_an_interval_holds_exactly_what_it_promises(rate, relative, additive):
    budget = RateBudget(wind=relative * rate, background=additive, noise=0.0, method=0.0, conversion=0.0)
    low, high = interval(rate, budget)
    z = 1.959963984540054
    for end in (low, high):
        assert (rate - end) ** 2 == pytest.approx(
            z**2 * (additive**2 + (relative * end) ** 2), rel=1e-6, abs=1e-6
        )
    assert low <= rate <= high


def test_intervals_cover_when_the_wind_is_wrong():
    rng = np.random.default_rng(1)
    truth, u, error = 500.0, 5.0, 1.2
    inside = 0
    for _ in range(4000):
        wind = u + error * rng.standard_normal()
        rate = truth / u * wind + 60.0 * rng.standard_normal()
        low, high = interval(rate, RateBudget(abs(rate) * error / wind, 0.0, 60.0, 0.0, 0.0))
        inside += low <= truth <= high
    assert 0.93 < inside / 4000 < 0.97


def test_an_error_as_large_as_the_rate_has_no_upper_bound():
    assert interval(100.0, RateBudget(60.0, 0.0, 0.0, 0.0, 0.0)) == (-np.inf, np.inf)
