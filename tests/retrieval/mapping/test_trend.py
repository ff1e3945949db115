"""The mean: exact where it can be, steady against outliers, modest where data are few."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from obsnet.errors import ConfigError, RangeError
from retrieval.mapping.trend import TERMS, choose_terms, design, fit_trend

START = np.datetime64("2018-01-01", "us")


def years(n, seed, span=3.0):
    rng = np.random.default_rng(seed)
    time = START + np.round(rng.uniform(0, span * 365.2425, n) * 86400e6).astype("timedelta64[us]")
    return rng.uniform(15, 55, n), time


@given(st.integers(0, 10**6))
def test_a_noiseless_mean_is_found_exactly(seed):
    lat, time = years(200, seed)
    rng = np.random.default_rng(seed)
    truth = rng.normal(size=design(tuple(TERMS), lat, time, START).shape[1])
    value = design(tuple(TERMS), lat, time, time.min()) @ truth
    trend = fit_trend(lat, time, value, terms=tuple(TERMS))
    np.testing.assert_allclose(trend.at(lat, time), value, atol=1e-8)


def test_growth_and_season_have_the_sizes_put_in():
    lat, time = years(3000, 1)
    t = (time - START) / np.timedelta64(1, "D") / 365.2425
    value = 405 + 2.4 * t + 3.0 * np.sin(2 * np.pi * t + 0.3) + np.random.default_rng(0).normal(0, 1, 3000)
    trend = fit_trend(lat, time, value)
    assert trend.terms == ("constant", "latitude", "time", "annual", "semiannual")
    assert trend.coefficients[2] == pytest.approx(2.4, abs=0.1)
    assert np.hypot(*trend.coefficients[3:5]) == pytest.approx(3.0, abs=0.1)


def test_outliers_hardly_move_it():
    lat, time = years(500, 2, span=0.1)
    value = 410 + 0.5 * lat / 10 + np.random.default_rng(0).normal(0, 0.5, 500)
    clean = fit_trend(lat, time, value)
    value[:25] += 40
    np.testing.assert_allclose(fit_trend(lat, time, value).at(lat, time), clean.at(lat, time), atol=0.15)
    plain = np.linalg.lstsq(design(clean.terms, lat, time, clean.origin), value, rcond=None)[0]
    assert np.abs(design(clean.terms, lat, time, clean.origin) @ plain - clean.at(lat, time)).max() > 1.5


def test_terms_follow_the_spread_of_the_data():
    lat, time = years(100, 3, span=0.02)
    assert choose_terms(lat, time) == ("constant", "latitude")
    assert choose_terms(lat * 0.01, time) == ("constant",)
    assert "annual" in choose_terms(lat, years(100, 3, span=1)[1])
    assert choose_terms([], time[:0]) == ("constant",)


def test_broadcasts_over_a_grid():
    lat, time = years(50, 4)
    trend = fit_trend(lat, time, lat)
    assert trend.at(np.linspace(20, 50, 7)[:, None], time[None, :3]).shape == (7, 3)


def test_one_value_is_its_own_mean():
    trend = fit_trend([30.0], [START], [412.0])
    assert trend.at(50.0, START) == pytest.approx(412.0)


@pytest.mark.parametrize(
    ("call", "error", "text"),
    [
        (
            lambda: fit_trend([30.0], [START], [1.0], terms=("season",)),
            ConfigError,
            "unknown trend term 'season'",
        ),
        (lambda: fit_trend([], [], []), RangeError, "at least one value"),
        (lambda: fit_trend([30.0], [START], [np.nan]), RangeError, "finite"),
        (
            lambda: fit_trend([30.0], [START], [1.0], terms=("annual",)),
            RangeError,
            "cannot fit the 2 coefficients",
        ),
    ],
)
def test_refusals(call, error, text):
    with pytest.raises(error, match=text):
        call()
