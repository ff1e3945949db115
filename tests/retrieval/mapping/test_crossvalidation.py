"""Cross-validation: scores by hand, folds that keep neighbours together, honesty of a known predictor."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from obsnet.errors import RangeError
from retrieval.mapping.crossvalidation import (
    HeldOut,
    block_numbers,
    cross_validate,
    fold_numbers,
    in_parts,
    judge,
    likeliest,
    scores,
    stretch,
)
from retrieval.mapping.kriging import krige_means
from tests.retrieval.mapping.fields import MODEL, START, draw, places


def test_scores_by_hand():
    found = scores([1.0, 2, 3, np.nan], [2.0, 2, 5, 1], [1.0, 1, 1, 1])
    assert (found.n, found.missing) == (3, 1)
    assert found.bias == pytest.approx(1)
    assert found.rmse == pytest.approx(np.sqrt(5 / 3))
    assert found.mae == pytest.approx(1)
    assert found.coverage95 == pytest.approx(2 / 3)
    assert found.r2 == pytest.approx(np.corrcoef([1, 2, 3], [2, 2, 5])[0, 1] ** 2)
    assert found.score_sd == pytest.approx(np.std([1, 0, 2]))
    assert set(found.to_dict()) >= {"bias", "rmse", "coverage95"}


def test_scores_of_nothing_and_of_a_constant():
    assert scores([], [], []).n == 0
    assert np.isnan(scores([np.nan], [1.0], [1.0]).bias)
    assert np.isnan(scores([1.0, 1, 1], [1.0, 2, 3], [1.0, 1, 1]).r2)


@given(st.integers(0, 10**6))
def test_right_errors_are_covered(seed):
    rng = np.random.default_rng(seed)
    s = rng.uniform(0.5, 2, 4000)
    found = scores(np.zeros(4000), s * rng.normal(size=4000), s)
    assert found.coverage95 == pytest.approx(0.95, abs=0.02)
    assert found.score_sd == pytest.approx(1, abs=0.06)


@given(st.integers(0, 10**6), st.integers(2, 12))
def test_folds_depend_on_the_block_alone(seed, folds):
    lat, lon, time = places(300, seed)
    fold = fold_numbers(lat, lon, time, folds=folds)
    assert fold.min() >= 0
    assert fold.max() < folds
    order = np.random.default_rng(seed).permutation(300)
    np.testing.assert_array_equal(fold_numbers(lat[order], lon[order], time[order], folds=folds), fold[order])
    np.testing.assert_array_equal(fold_numbers(lat[:50], lon[:50] + 360, time[:50], folds=folds), fold[:50])
    block = np.stack([lat // 2, lon // 2, (time - START) // np.timedelta64(1, "D")])
    for one in np.unique(block, axis=1).T:
        assert len(set(fold[(block == one[:, None]).all(axis=0)])) == 1


def test_folds_are_of_like_size_and_change_with_the_seed():
    lat, lon, time = places(20000, 0, lat=(-60, 60), lon=(-180, 180), days=30)
    one, two = (fold_numbers(lat, lon, time, seed=s) for s in (0, 1))
    assert np.bincount(one).min() > 1700
    assert np.mean(one == two) == pytest.approx(0.1, abs=0.02)


def test_kriging_held_out_by_blocks_is_honest():
    points = places(500, 3)
    samples, _ = draw(MODEL, points, 3)

    def predict(training, held, offsets):
        asked = (p[held] for p in points)
        found = krige_means(samples.take(training), MODEL, *asked, offsets, neighbours=40)
        noise = np.add.reduceat(samples.uncertainty[held] ** 2, offsets[:-1]) / np.diff(offsets) ** 2
        return found.mean, np.sqrt(found.sd**2 + noise)

    fold, block = fold_numbers(*points, folds=5), block_numbers(*points, 2.0)
    held = cross_validate(predict, samples.value, fold, block)
    widened, (found,) = judge(held)
    assert found.n == block.max() + 1
    assert np.isfinite(held.predicted).all()
    assert np.mean(held.z <= 1.96) == pytest.approx(0.95, abs=0.03)
    assert widened == pytest.approx(1, abs=0.1)
    assert found.coverage95 == pytest.approx(0.95, abs=0.03)
    assert found.rmse < samples.value.std()


def test_means_of_blocks_are_what_is_compared():
    """Two blocks by hand: the rows of a block come together."""
    value = np.array([1.0, 10.0, 3.0, 20.0])
    block, fold = np.array([0, 1, 0, 1]), np.array([0, 1, 0, 1])

    def predict(training, held, offsets):
        assert set(training) | set(held) == {0, 1, 2, 3}
        np.testing.assert_array_equal(offsets, [0, 2])
        return np.array([value[held].mean() + 1]), np.array([3.0])

    found = cross_validate(predict, value, fold, block)
    np.testing.assert_allclose(found.observed, [2, 15])
    np.testing.assert_allclose(found.spread, 3)
    np.testing.assert_allclose(found.z, 1 / 3)


def made_up(z, folds=5):
    fold = np.arange(len(z)) % folds
    return HeldOut(np.zeros(len(z)), np.asarray(z, float), np.ones(len(z)), fold)


@given(st.integers(0, 10**6), st.floats(0.5, 3))
def test_what_claims_too_much_or_too_little_is_widened_by_as_much(seed, factor):
    z = factor * np.random.default_rng(seed).normal(size=3000)
    widened, (found,) = judge(made_up(z))
    assert widened == pytest.approx(factor, rel=0.12)
    assert found.coverage95 == pytest.approx(0.95, abs=0.02)
    assert found.score_sd == pytest.approx(z.std() / widened, rel=1e-9)


def test_the_size_of_blocks_that_is_worst_foretold_decides():
    small, large = (f * np.random.default_rng(0).normal(size=2000) for f in (1.0, 1.5))
    widened, found = judge(made_up(small), made_up(large))
    assert widened == pytest.approx(1.5, rel=0.1)
    assert found[0].coverage95 > 0.98
    assert found[1].coverage95 == pytest.approx(0.95, abs=0.02)


def test_each_block_is_foretold_by_what_never_saw_it():
    part, block = np.array([0, 0, 1, 1, 0]), np.array([0, 0, 1, 1, 2])
    seen = []

    def predictor(k):
        def predict(training, held, offsets):
            assert set(part[held]) == {k}
            seen.append((k, held.tolist(), offsets.tolist()))
            return np.full(len(offsets) - 1, float(k)), np.ones(len(offsets) - 1)

        return predict

    held = cross_validate(
        in_parts(part, [predictor(0), predictor(1)]), np.zeros(5), np.array([0, 0, 0, 0, 1]), block
    )
    assert held.predicted.tolist() == [0.0, 1.0, 0.0]
    assert seen == [(0, [0, 1], [0, 2]), (1, [2, 3], [0, 2]), (0, [4], [0, 1])]


def test_a_fold_has_no_say_in_its_own_coverage():
    """One fold far off in a hundred blocks of five: the others do not widen for it."""
    z = np.where(np.arange(500) % 5 == 0, 50.0, 0.5)
    _, (found,) = judge(made_up(z))
    assert found.coverage95 <= 0.81


def test_a_handful_of_blocks_does_not_decide():
    assert stretch([9.0]) < 3.0
    assert stretch([]) == pytest.approx(1, abs=0.03)
    assert stretch(np.full(2000, 0.1)) < 0.1
    assert stretch(np.full(2000, np.nan)) == stretch([])


@pytest.mark.parametrize("size", [0.6, 1.0, 1.3, 1.8])
@pytest.mark.parametrize("number", [50, 100])
def test_errors_that_had_no_say_are_covered_whatever_their_size_and_shape(size, number):
    """Fifty blocks with errors of 1.3 were widened by 1.2, as twenty with errors of 1 were believed beside them."""
    rng = np.random.default_rng(4)
    for drawn, share in (
        (rng.normal, lambda x: 2 * stats.norm.cdf(x) - 1),
        (rng.laplace, lambda x: 1 - np.exp(-x)),
    ):
        covered = [share(1.96 * stretch(np.abs(size * drawn(size=number))) / size) for _ in range(600)]
        assert np.mean(covered) == pytest.approx(0.95, abs=0.005)


def test_one_block_cannot_be_predicted_from_itself():
    nothing = np.zeros(2, dtype=np.int64)
    held = cross_validate(lambda t, h, o: 1 / 0, [1.0, 2.0], nothing, nothing)
    assert np.isnan(held.predicted).all()
    widened, (found,) = judge(held)
    assert found.n == 0
    assert widened == stretch([])


@given(st.integers(0, 10**6), st.floats(0.3, 20))
def test_blocks_lie_in_one_fold_and_are_of_their_size(seed, degrees):
    points = places(200, seed)
    block, fold = block_numbers(*points, degrees), fold_numbers(*points, degrees=degrees)
    for one in range(block.max() + 1):
        mine = block == one
        assert len(set(fold[mine])) == 1
        assert np.ptp(points[0][mine]) <= degrees
        assert np.ptp(points[1][mine]) <= degrees


def test_refusals():
    with pytest.raises(RangeError, match="at least two folds"):
        fold_numbers([1.0], [1.0], [START], folds=1)


def test_the_fold_that_is_judged_has_no_say_in_what_is_added():
    """Errors of one fold ask for a variance of 100 more, which hides them from a choice that they take part in."""
    rng = np.random.default_rng(5)
    fold = np.repeat(np.arange(5), 40)
    error = rng.normal(size=200) * np.where(fold == 0, 10.0, 1.0)
    held = HeldOut(np.zeros(200), error, np.ones(200), fold)
    more = [np.stack([np.zeros(200), np.where(fold == 0, 99.0, 0.0), np.full(200, 99.0)])]
    assert likeliest([held], more) == 1
    assert likeliest([held], more, without=0) == 0
    assert judge(replace(held, spread=np.where(fold == 0, 10.0, 1.0)))[1][0].coverage95 > 0.93
    assert judge(held, more=more)[1][0].coverage95 < 0.86
