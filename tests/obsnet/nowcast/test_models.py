"""The kernels against known answers and drawn truths."""

import numpy as np
import pytest

from obsnet.errors import FormatError
from obsnet.nowcast.models.nation import statistical_difference, tied
from obsnet.nowcast.models.regression import _autoregression, fit_regression, regression_paths
from obsnet.nowcast.models.trends import (
    DAMPED,
    DRIFT,
    LAST_GROWTH,
    PERSISTENCE,
    GrowthTrend,
    draw_shocks,
    trend_paths,
)


def quiet(steps, regions, draws=8):
    """Return shocks that are nothing."""
    shocks = draw_shocks(steps, draws, regions, (1,))
    return type(shocks)(0 * shocks.common, 0 * shocks.own, shocks.pick, shocks.seed)


LEVELS = np.cumsum(np.array([[0.0, 0.0], [0.10, 0.02], [0.06, 0.04], [0.08, 0.00]]), axis=0)


@pytest.mark.parametrize(
    ("trend", "growth"),
    [
        (PERSISTENCE, np.zeros((3, 2))),
        (LAST_GROWTH, np.outer([1, 2, 3], [0.08, 0.0])),
        (DRIFT, np.outer([1, 2, 3], [0.08, 0.02])),
        (GrowthTrend(0.8, (1.0,)), np.outer([0.8, 1.44, 1.952], [0.08, 0.0])),
    ],
)
def test_without_shocks_growth_is_what_its_name_says(trend, growth):
    paths = trend_paths(LEVELS, trend, quiet(3, 2))
    assert paths == pytest.approx(np.broadcast_to((LEVELS[-1] + growth)[:, None], paths.shape))


def test_the_damped_trend_averages_gains_by_their_likelihood():
    paths = trend_paths(LEVELS, DAMPED, quiet(1, 2, 400))
    growth = paths[0] - LEVELS[-1]
    assert np.ptp(growth[:, 0]) > 0.0  # several gains
    assert (growth[:, 0] > 0.0).all()


def test_the_median_of_persistence_is_the_last_value():
    levels = np.cumsum(0.04 * np.random.default_rng(0).standard_normal((10, 4)), axis=0)
    paths = trend_paths(levels, PERSISTENCE, draw_shocks(3, 200, 4, (1,)))
    assert np.median(paths, axis=1) == pytest.approx(np.broadcast_to(levels[-1], (3, 4)), abs=1e-12)


def test_all_members_share_their_luck():
    shocks = draw_shocks(2, 500, 5, (3, 1))
    levels = np.cumsum(0.03 * np.random.default_rng(0).standard_normal((12, 5)), axis=0)
    a, b = (trend_paths(levels, t, shocks)[1] for t in (PERSISTENCE, DRIFT))
    assert all(np.corrcoef(a[:, j], b[:, j])[0, 1] > 0.95 for j in range(5))
    assert (draw_shocks(2, 500, 5, (3, 1)).own == shocks.own).all()
    assert (draw_shocks(2, 500, 5, (3, 2)).own != shocks.own).any()


def test_regions_may_be_permuted():
    rng = np.random.default_rng(2)
    levels = np.cumsum(0.03 * rng.standard_normal((10, 6)), axis=0)
    order = rng.permutation(6)
    for trend in (PERSISTENCE, DAMPED, DRIFT):
        shocks = draw_shocks(3, 50, 6, (1,))
        moved = type(shocks)(shocks.common, shocks.own[..., order], shocks.pick, shocks.seed)
        assert trend_paths(levels[:, order], trend, moved) == pytest.approx(
            trend_paths(levels, trend, shocks)[..., order]
        )


@pytest.mark.parametrize("shared", [0.0, 0.03])
def test_intervals_of_a_random_walk_hold_what_they_say(shared):
    """Also of the sum: what regions share does not average out."""
    rng = np.random.default_rng(4)
    held, held_sum, worlds = [], [], 60
    for k in range(worlds):
        growth = shared * rng.standard_normal((18, 1)) + 0.04 * rng.standard_normal((18, 20))
        levels = np.cumsum(growth, axis=0)
        paths = trend_paths(levels[:16], PERSISTENCE, draw_shocks(2, 400, 20, (k,)))[1]
        for values, truth, into in (
            (paths, levels[17], held),
            (paths.mean(axis=1, keepdims=True), levels[17].mean(keepdims=True), held_sum),
        ):
            low, high = np.quantile(values, [0.1, 0.9], axis=0)
            into.append(((low <= truth) & (truth <= high)).mean())
    assert np.mean(held) == pytest.approx(0.80, abs=0.04)
    # the prior of what is shared (3 %) weighs two years of 15: without any, intervals of a sum are too wide
    assert np.mean(held_sum) > 0.70 if shared else np.mean(held_sum) > 0.9


def world(seed, years=16, regions=25, slopes=(0.5, 0.2), own=0.03, shared=0.01, swing=0.06):
    rng = np.random.default_rng(seed)
    x = 0.03 + swing * rng.standard_normal((years, regions, 2))
    growth = (
        x @ np.array(slopes)
        + shared * rng.standard_normal((years, 1))
        + own * rng.standard_normal((years, regions))
    )
    return growth, x


def test_the_regression_finds_the_slopes_and_knows_how_well():
    off = []
    for seed in range(30):
        fit = fit_regression(*world(seed))
        off.append((fit.pooled[1:] - [0.5, 0.2]) / fit.pooled_sd[1:])
    off = np.array(off)
    assert abs(off.mean()) < 0.4
    assert off.std() == pytest.approx(1.0, abs=0.3)
    assert fit.own_sd.mean() == pytest.approx(0.03, rel=0.15)


def test_the_prediction_of_the_regression_holds_what_it_says():
    held, errors, oracle = [], [], []
    for seed in range(40):
        growth, x = world(seed, years=13)
        levels = np.concatenate([np.zeros((1, 25)), np.cumsum(growth, axis=0)])
        path = regression_paths(levels[:-1], x, draw_shocks(1, 500, 25, (seed,)))[0]
        low, mid, high = np.quantile(path, [0.05, 0.5, 0.95], axis=0)
        held.append(((low <= levels[-1]) & (levels[-1] <= high)).mean())
        errors.append(np.abs(mid - levels[-1]).mean())
        oracle.append(np.abs(levels[-2] + x[-1] @ [0.5, 0.2] - levels[-1]).mean())
    assert np.mean(held) == pytest.approx(0.90, abs=0.03)
    assert np.mean(errors) < 1.06 * np.mean(oracle)


def test_few_years_leave_open_how_much_is_shared():
    """Seven years, shared shocks of 3 %: the mean is off by what was said; by 1.2 times it where one prior is taken."""
    off = []
    for seed in range(60):
        growth, x = world(seed, years=7, shared=0.03)
        levels = np.concatenate([np.zeros((1, 25)), np.cumsum(growth, axis=0)])
        mean = regression_paths(levels[:-1], x, draw_shocks(1, 500, 25, (seed,)))[0].mean(axis=1)
        off.append((levels[-1].mean() - mean.mean()) / mean.std())
    assert np.std(off) == pytest.approx(1.0, abs=0.15)
    fit = fit_regression(growth, x)
    assert len(fit.evidence) > 1
    assert fit.evidence.sum() == pytest.approx(1.0)
    assert (np.diff(fit.evidence) <= 0).all()


def test_slopes_of_a_region_are_shrunk_and_not_ignored():
    rng = np.random.default_rng(5)
    x = 0.06 * rng.standard_normal((20, 30, 1))
    slopes = np.where(np.arange(30) < 15, 0.2, 0.8)
    fit = fit_regression(x[..., 0] * slopes + 0.01 * rng.standard_normal((20, 30)), x)
    assert fit.mean[:15, 1].mean() == pytest.approx(0.2, abs=0.08)
    assert fit.mean[15:, 1].mean() == pytest.approx(0.8, abs=0.08)
    same = fit_regression(x[..., 0] * 0.5 + 0.05 * rng.standard_normal((20, 30)), x)
    assert same.mean[:, 1].std() < 0.06


def test_one_broken_year_does_not_decide():
    growth, x = world(7)
    growth[3, 0] += 2.0
    fit = fit_regression(growth, x)
    assert fit.pooled[1:] == pytest.approx([0.5, 0.2], abs=0.06)


def test_what_indicators_missed_of_late_is_expected_again():
    growth, x = world(8, shared=0.0, own=0.01)
    growth[8:] -= 0.04
    path = regression_paths(
        np.concatenate([np.zeros((1, 25)), np.cumsum(growth[:-1], axis=0)]), x, draw_shocks(1, 400, 25, (1,))
    )
    missed = np.median(path[0], axis=0) - (np.cumsum(growth[:-1], axis=0)[-1] + x[-1] @ [0.5, 0.2])
    assert -0.06 < missed.mean() < -0.02


def test_an_indicator_that_one_region_lacks_widens_its_interval_alone():
    growth, x = world(9)
    levels = np.concatenate([np.zeros((1, 25)), np.cumsum(growth[:-1], axis=0)])
    shocks = draw_shocks(1, 800, 25, (2,))
    full = regression_paths(levels, x, shocks)[0].std(axis=0)
    x[-1, 3, 0] = np.nan
    lacking = regression_paths(levels, x, shocks)[0].std(axis=0)
    assert lacking[3] > 1.2 * full[3]
    assert np.delete(lacking, 3) == pytest.approx(np.delete(full, 3))
    x[-1, :, 0] = np.nan
    with pytest.raises(FormatError, match="known of no region"):
        regression_paths(levels, x, shocks)
    with pytest.raises(FormatError, match="a regression needs more"):
        fit_regression(growth[:2], x[:2])


def test_the_autoregression_is_the_inverse_of_its_covariance():
    precision, size = _autoregression(5, 0.3, 0.8)
    lags = np.abs(np.subtract.outer(np.arange(5), np.arange(5)))
    covariance = 0.09 * 0.8**lags
    assert precision @ covariance == pytest.approx(np.eye(5), abs=1e-12)
    assert size == pytest.approx(np.linalg.slogdet(covariance)[1])


def test_provinces_move_with_a_nation_that_is_known_well():
    rng = np.random.default_rng(1)
    levels = np.log(100.0) + 0.03 * rng.standard_normal((4000, 1)) + 0.05 * rng.standard_normal((4000, 6))
    sure = tied(levels, 600.0, np.full(4000, 0.04), 0.0, rng)
    total = np.log(np.exp(sure).sum(axis=1))
    assert total.mean() == pytest.approx(np.log(600.0) + 0.04, abs=2e-3)
    assert total.std() < 0.2 * np.log(np.exp(levels).sum(axis=1)).std()
    unsure = tied(levels, 600.0, 0.04 + 10.0 * rng.standard_normal(4000), 0.0, rng)
    assert unsure.mean(axis=0) == pytest.approx(levels.mean(axis=0), abs=0.01)


def test_the_constraint_is_the_dense_formula():
    """Gaussian draws: mean and covariance of ``x + P c (c P c + v)^-1 (n - s)``."""
    rng = np.random.default_rng(3)
    cov = 1e-4 * (0.5 + np.eye(3))
    levels = rng.multivariate_normal(np.log([1.0, 1.0, 1.0]), cov, 200_000)
    got = tied(levels, 3.0, 0.01 + 0.005 * rng.standard_normal(200_000), 0.004, rng)
    c = np.full(3, 1 / 3)  # of the logarithm of the sum, for equal parts
    gain = cov @ c / (c @ cov @ c + 0.005**2 + 0.004**2)
    assert got.mean(axis=0) == pytest.approx(gain * 0.01, abs=1e-4)
    assert np.cov(got, rowvar=False) == pytest.approx(cov - np.outer(gain, c @ cov), abs=3e-6)


def test_the_statistical_difference_is_that_of_growth():
    nation = np.array([100.0, 110.0, 121.0])
    assert statistical_difference(nation * 1.1, nation) == pytest.approx(0.0, abs=1e-12)
    assert statistical_difference(nation * np.exp([0, 0.03, 0.0]), nation) == pytest.approx(0.03)
