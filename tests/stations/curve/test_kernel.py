"""The kernels of the curve fit, each against an independent way to the same number."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from stations.curve import kernel


def test_design_is_the_plain_formula():
    t = np.linspace(-3.3, 47.7, 300)
    powers, waves = kernel.design(t, 4, 6)
    np.testing.assert_allclose(powers, np.stack([t**k for k in range(4)], axis=1), rtol=1e-14)
    for k in range(1, 7):
        np.testing.assert_allclose(waves[:, 2 * k - 2], np.sin(2 * np.pi * k * t), atol=1e-12)
        np.testing.assert_allclose(waves[:, 2 * k - 1], np.cos(2 * np.pi * k * t), atol=1e-12)


@given(
    coefficients=st.lists(st.floats(-5, 5), min_size=1, max_size=5),
    centre=st.floats(-30, 30),
    half=st.floats(0.1, 40),
)
def test_change_of_variable_is_the_same_polynomial(coefficients, centre, half):
    a = np.array(coefficients)
    b = kernel.polynomial_change_of_variable(a.size, centre, half) @ a
    t = np.linspace(centre - half, centre + half, 7)
    u = (t - centre) / half
    size = np.abs(b) @ (np.abs(t).max() ** np.arange(b.size))
    np.testing.assert_allclose(
        np.polynomial.polynomial.polyval(t, b),
        np.polynomial.polynomial.polyval(u, a),
        atol=1e-12 * max(size, 1),
    )


def test_least_squares_equals_qr_on_a_hard_problem():
    """t up to 53 years with a cubic: the normal equations in t itself would lose eight digits."""
    rng = np.random.default_rng(0)
    t = np.sort(rng.uniform(0, 53, 3000))
    y = rng.standard_normal(t.size) + 0.02 * t**2
    powers, waves = kernel.design(t, 4, 4)
    expected, *_ = np.linalg.lstsq(np.hstack([powers, waves]), y)
    ours, inverse, residual = kernel.least_squares(t, y, 4, 4)
    np.testing.assert_allclose(ours, expected, rtol=1e-9, atol=1e-12)
    matrix = np.hstack([powers, waves])
    np.testing.assert_allclose(residual, y - matrix @ expected, atol=1e-9)
    np.testing.assert_allclose(inverse, np.linalg.inv(matrix.T @ matrix), rtol=1e-6)


def test_replicates_are_columns():
    rng = np.random.default_rng(1)
    t = np.sort(rng.uniform(0, 20, 400))
    y = rng.standard_normal((t.size, 3))
    together, _, _ = kernel.least_squares(t, y, 3, 2)
    for k in range(3):
        np.testing.assert_allclose(together[:, k], kernel.least_squares(t, y[:, k], 3, 2)[0], atol=1e-12)
    grid, values = kernel.resample(t, y, 0.02, 30.0, False)
    short, long = kernel.lowpass(values, 0.02, (80.0, 667.0))
    for k in range(3):
        _, one = kernel.resample(t, y[:, k], 0.02, 30.0, False)
        np.testing.assert_allclose(values[:, k], one, atol=1e-14)
        np.testing.assert_allclose(short[:, k], kernel.lowpass(one, 0.02, (80.0,))[0], atol=1e-12)
    assert long.shape == (grid.size, 3)


def test_dependent_columns_are_refused():
    with pytest.raises(np.linalg.LinAlgError, match="cannot be told apart"):
        kernel.least_squares(np.arange(20.0), np.ones(20), 2, 1)  # whole years: sine is zero


def test_noaa_interval_counts_only_steps_over_a_day():
    x = np.cumsum(np.array([0, 7, 0.01, 7, 0.5, 14.0])) / 365.0
    assert kernel.noaa_interval(x) == round((7 + 7 + 14) / 3)
    assert np.isnan(kernel.noaa_interval(np.arange(20) / 24 / 365))


def test_samples_per_day():
    hours = np.arange(24 * 30) / 24.0
    assert kernel.samples_per_day(2000 + hours / 365.25) == (pytest.approx(24, abs=1), 1.0)
    weekly = 2000 + np.repeat(np.arange(0, 300, 7), 2) / 365.25  # pairs at equal times count once
    assert kernel.samples_per_day(weekly) == (1.0, 7.0)


def test_end_line_is_a_regression_of_the_ends():
    t = np.linspace(0, 20, 500)
    y = 0.3 + 0.1 * t
    y[(t > 1) & (t < 19)] += 50.0
    intercept, slope = kernel.end_line(t, y, 667.0)
    assert intercept == pytest.approx(0.3)
    assert slope == pytest.approx(0.1)
    assert kernel.end_line(t[:20], y[:20], 667.0) == (0.0, 0.0)


@given(st.lists(st.tuples(st.integers(0, 8), st.floats(-10, 10)), min_size=1, max_size=40))
def test_mean_of_ties_is_a_group_mean(pairs):
    pairs = sorted(pairs)
    t = np.array([p[0] for p in pairs], dtype=float)
    y = np.array([p[1] for p in pairs])
    x, mean = kernel.mean_of_ties(t, t, y)
    np.testing.assert_array_equal(x, np.unique(t))
    np.testing.assert_allclose(mean, [y[t == one].mean() for one in np.unique(t)], atol=1e-12)


def test_resample_equals_interp_and_ends_with_the_record():
    rng = np.random.default_rng(3)
    t = np.sort(rng.uniform(0, 3, 50))
    y = rng.standard_normal(50)
    grid, values = kernel.resample(t, y, 0.02, 0.0, False)
    assert (grid[0], grid[-1]) == (t[0], t[-1])
    np.testing.assert_allclose(values, np.interp(grid, t, y), atol=1e-12)


def test_daily_averaging_keeps_the_mean_of_a_dense_record():
    t = np.arange(0, 1, 1 / 365 / 24)
    fast = np.sin(2 * np.pi * 365 * t)  # one cycle a step: must vanish
    _, values = kernel.resample(t, 5.0 + fast, 1 / 365, 0.0, True)
    np.testing.assert_allclose(values, 5.0, atol=1e-6)


def test_gap_is_zero_inside_only():
    t = np.concatenate([np.arange(0, 1, 0.02), np.arange(2, 3, 0.02)])
    grid, values = kernel.resample(t, np.ones(t.size), 0.02, 60.0, False)
    inside = (grid >= 0.98 - 1e-9) & (grid < 2 - 1e-9)
    assert (values[inside] == 0).all()
    np.testing.assert_allclose(values[~inside], 1.0)


def test_response_halves_at_the_cutoff_and_is_monotonic():
    for days in (80.0, 667.0):
        assert kernel.response(np.array([365.0 / days]), days)[0] == pytest.approx(0.5)
        assert kernel.response(np.array([0.0]), days)[0] == 1.0
        assert (np.diff(kernel.response(np.linspace(0, 10, 200), days)) <= 0).all()
    assert kernel.response(np.array([1e6]), 80.0)[0] == 2.0**-20  # clipped as NOAA clips it


@given(st.integers(5, 300))
def test_lowpass_of_a_constant_inside_zeros_keeps_the_middle(size):
    """The filter has unit gain at zero frequency: the sum over the padded grid is kept."""
    values = np.random.default_rng(size).standard_normal(size)
    padded = np.zeros(1024)
    padded[400 : 400 + size] = values
    (filtered,) = kernel.lowpass(padded, 9 / 365, (80.0,))
    assert filtered.sum() == pytest.approx(values.sum(), abs=1e-9)
