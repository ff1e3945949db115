"""Lines, bias and limits of agreement: published numbers, limits, and draws of truths."""

import numpy as np
import pytest
from scipy import stats

from obsnet.errors import RangeError
from retrieval.plants.compare.agreement import bland_altman, coverage, deming, e_n, york

# Pearson's data with York's weights; York et al. 2004, doi:10.1119/1.1632486, Table II, and the standard errors of the
# same solution that other implementations agree on.
X = np.array([0.0, 0.9, 1.8, 2.6, 3.3, 4.4, 5.2, 6.1, 6.5, 7.4])
Y = np.array([5.9, 5.4, 4.4, 4.6, 3.5, 3.7, 2.8, 2.8, 2.4, 1.5])
SX = 1 / np.sqrt([1000.0, 1000, 500, 800, 200, 80, 60, 20, 1.8, 1])
SY = 1 / np.sqrt([1.0, 1.8, 4, 8, 20, 20, 70, 70, 100, 500])


def test_york_of_pearsons_data():
    line = york(X, Y, SX, SY)
    assert line.slope == pytest.approx(-0.480533407, abs=5e-10)
    assert line.intercept == pytest.approx(5.479910224, abs=5e-10)
    assert line.chi_square == pytest.approx(1.483294149, abs=5e-10)
    wide = stats.t.ppf(0.975, 8) * np.sqrt(line.chi_square)
    assert (line.slope_interval[1] - line.slope) / wide == pytest.approx(0.0579850090, abs=5e-11)
    assert (line.intercept_interval[1] - line.intercept) / wide == pytest.approx(0.294970735, abs=5e-10)


def test_deming_of_a_published_example():
    """Ten pairs of the vignette of SimplyAgree, variance of x four times that of y: -0.08974 with 1.7220."""
    x = np.array([7, 8.3, 10.5, 9, 5.1, 8.2, 10.2, 10.3, 7.1, 5.9])
    y = np.array([7.9, 8.2, 9.6, 9, 6.5, 7.3, 10.2, 10.6, 6.3, 5.2])
    line = deming(x, y, 0.25)
    assert line.intercept == pytest.approx(-0.08974, abs=5e-6)
    half = line.intercept_interval[1] - line.intercept
    assert half / stats.t.ppf(0.975, 8) == pytest.approx(1.7220, abs=5e-5)


def test_limits_of_the_ratio_are_ordinary_regressions():
    rng = np.random.default_rng(1)
    x = rng.uniform(0, 10, 40)
    y = 1.5 * x + 2 + rng.standard_normal(40)
    assert deming(x, y, 1e9).slope == pytest.approx(np.polyfit(x, y, 1)[0], rel=1e-6)
    assert deming(x, y, 1e-9).slope == pytest.approx(1 / np.polyfit(y, x, 1)[0], rel=1e-6)
    assert deming(x, y, np.inf).slope == pytest.approx(np.polyfit(x, y, 1)[0])
    principal = np.linalg.svd(np.stack([x - x.mean(), y - y.mean()]))[0][:, 0]
    assert deming(x, y, 1.0).slope == pytest.approx(principal[1] / principal[0])
    # with the same errors everywhere York is Deming
    same = york(x, y, np.full(40, 0.5), np.full(40, 1.0))
    assert same.slope == pytest.approx(deming(x, y, 4.0).slope, rel=1e-9)


def test_swapping_the_axes_inverts_the_line():
    line, back = deming(X, Y, 2.0), deming(Y, X, 0.5)
    assert back.slope == pytest.approx(1 / line.slope)
    both = york(Y, X, SY, SX)
    assert both.slope == pytest.approx(1 / york(X, Y, SX, SY).slope)


def drawn(n, count, seed=3):
    """Return truths between 100 and 500 seen twice: stacks with 40, rates with 30 and a fifth of the truth."""
    rng = np.random.default_rng(seed)
    for _ in range(count):
        truth = rng.uniform(100, 500, n)
        x = truth + 40 * rng.standard_normal(n)
        y = truth * (1 + 0.2 * rng.standard_normal(n)) + 30 * rng.standard_normal(n)
        yield truth, x, y


def test_slopes_are_right_where_ordinary_regression_is_too_flat():
    flat, demings, yorks, circular, hold = [], [], [], [], []
    for _, x, y in drawn(30, 400):
        flat.append(np.polyfit(x, y, 1)[0])
        at_stack = np.hypot(30, 0.2 * x)
        demings.append(deming(x, y, float(np.mean(at_stack**2)) / 1600).slope)
        line = york(x, y, np.full(x.size, 40.0), at_stack)
        yorks.append(line.slope)
        hold.append(line.slope_interval[0] <= 1 <= line.slope_interval[1])
        circular.append(york(x, y, np.full(x.size, 40.0), np.hypot(30, 0.2 * np.abs(y))).slope)
    expected = 1 / (1 + 1600 / (400**2 / 12))  # attenuation: var(truth) / (var(truth) + var(error))
    assert np.mean(flat) == pytest.approx(expected, abs=0.02)
    assert np.median(demings) == pytest.approx(1.0, abs=0.03)
    assert np.median(yorks) == pytest.approx(1.0, abs=0.03)
    assert np.mean(hold) > 0.92
    # errors computed from the rates themselves make low rates weigh more: a slope that is too small
    assert np.median(circular) < np.median(yorks) - 0.05


def test_deming_intervals_hold_the_true_slope():
    rng = np.random.default_rng(5)
    hold = []
    for _ in range(400):
        truth = rng.uniform(100, 500, 25)
        line = deming(truth + 30 * rng.standard_normal(25), truth + 60 * rng.standard_normal(25), 4.0)
        hold.append(line.slope_interval[0] <= 1 <= line.slope_interval[1])
    assert 0.91 < np.mean(hold) < 0.99


@pytest.mark.parametrize("n", [4, 8, 30])
def test_limits_of_agreement_hold_as_often_as_they_say(n):
    rng = np.random.default_rng(7)
    bias, low, high, classic = [], [], [], []
    z = stats.norm.ppf(0.975)
    for _ in range(1000):
        d = 5 + 2 * rng.standard_normal(n)
        found = bland_altman(np.zeros(n), d)
        bias.append(found.bias_interval[0] <= 5 <= found.bias_interval[1])
        low.append(found.low_interval[0] <= 5 - z * 2 <= found.low_interval[1])
        high.append(found.high_interval[0] <= 5 + z * 2 <= found.high_interval[1])
        half = stats.t.ppf(0.975, n - 1) * found.sd * np.sqrt(1 / n + z**2 / (2 * (n - 1)))
        classic.append(abs(found.high - (5 + 2 * z)) <= half)
    for counted in (bias, low, high):
        assert np.mean(counted) == pytest.approx(0.95, abs=0.02)
    if n == 4:
        assert np.mean(classic) < np.mean(high) - 0.02


def test_e_n_is_within_one_as_often_as_two_standard_deviations_are():
    inside = []
    for truth, x, y in drawn(50, 60, seed=11):
        inside.append(np.abs(e_n(x, y, np.full(50, 40.0), np.hypot(30, 0.2 * truth))) <= 1)
    assert np.mean(inside) == pytest.approx(0.9545, abs=0.01)
    assert float(e_n(100.0, 140.0, 12.0, 16.0)) == pytest.approx(1.0)


def test_coverage_has_the_interval_of_clopper_and_pearson():
    found = coverage(np.arange(20) < 18)
    assert (found.inside, found.n) == (18, 20)
    low, high = stats.binomtest(18, 20).proportion_ci(method="exact")
    assert found.interval == pytest.approx((low, high))
    assert coverage(np.zeros(3, bool)).interval[0] == 0.0
    assert coverage(np.ones(3, bool)).interval[1] == 1.0


def test_what_has_no_line_is_refused():
    one = np.ones(5)
    with pytest.raises(RangeError, match="all values of a series are the same"):
        deming(one, np.arange(5.0), 1.0)
    with pytest.raises(RangeError, match="2 pairs"):
        york(one[:2], one[:2], one[:2], one[:2])
    with pytest.raises(RangeError, match="not both 0"):
        york(np.arange(5.0), np.arange(5.0), 0 * one, 0 * one)
    with pytest.raises(RangeError, match="must be positive"):
        deming(np.arange(5.0), np.arange(5.0), 0.0)
    with pytest.raises(RangeError, match="need 3 at least"):
        bland_altman(one[:2], one[:2])
    with pytest.raises(RangeError, match="not finite"):
        deming(np.array([1.0, 2, np.nan]), np.arange(3.0), 1.0)
