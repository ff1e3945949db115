"""Cross-validation: scores by hand, folds that keep neighbours together, honesty of a known predictor."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from obsnet.errors import RangeError
from retrieval.mapping.crossvalidation import cross_validate, fold_numbers, scores
from retrieval.mapping.kriging import krige_points
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

    def predict(training, held):
        found = krige_points(samples.take(training), MODEL, *(p[held] for p in points), neighbours=40)
        return found.mean, found.sd

    found, mean = cross_validate(predict, samples.value, samples.uncertainty, fold_numbers(*points, folds=5))
    assert found.n == 500
    assert np.isfinite(mean).all()
    assert found.coverage95 == pytest.approx(0.95, abs=0.03)
    assert found.rmse < samples.value.std()
    claims_too_much, _ = cross_validate(
        lambda t, h: tuple(x / (1 if i == 0 else 10) for i, x in enumerate(predict(t, h))),
        samples.value,
        0.1 * samples.uncertainty,
        fold_numbers(*points, folds=5),
    )
    assert claims_too_much.coverage95 < 0.5


def test_one_block_cannot_be_predicted_from_itself():
    found, mean = cross_validate(lambda t, h: 1 / 0, [1.0, 2.0], [1.0, 1.0], np.zeros(2, dtype=np.int64))
    assert found.n == 0
    assert np.isnan(mean).all()


def test_refusals():
    with pytest.raises(RangeError, match="at least two folds"):
        fold_numbers([1.0], [1.0], [START], folds=1)
