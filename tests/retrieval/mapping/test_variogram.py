"""Variograms: the model is a covariance, the estimate is robust and free of measurement error."""

from __future__ import annotations

import numpy as np
import pyarrow.compute as pc
import pytest
from hypothesis import given
from hypothesis import strategies as st

from obsnet.errors import RangeError
from retrieval.mapping.trend import fit_trend
from retrieval.mapping.variogram import (
    EmpiricalVariogram,
    ProductSum,
    _resolved,
    empirical_variogram,
    fit_product_sum,
)
from retrieval.products.read import read_granule
from tests.retrieval.mapping.fields import MODEL, covariance, draw, places


@st.composite
def models(draw_from):
    a, b = draw_from(st.floats(0.01, 5)), draw_from(st.floats(0.01, 5))
    share = draw_from(st.floats(0, 1))
    return ProductSum(
        a, draw_from(st.floats(20, 3000)), b, draw_from(st.floats(0.1, 30)), share / max(a, b), 0.1
    )


@given(models(), st.integers(0, 10**6))
def test_every_allowed_model_is_a_covariance(model, seed):
    points = places(40, seed, lat=(-80, 80), lon=(-180, 180))
    eigenvalues = np.linalg.eigvalsh(covariance(model, points))
    assert eigenvalues.min() > -1e-9 * eigenvalues.max()


@given(models(), st.floats(0, 3000), st.floats(0, 30))
def test_gamma_is_the_product_sum_of_its_margins(model, h, t):
    gs = model.sill_space * (1 - np.exp(-h / model.range_km))
    gt = model.sill_time * (1 - np.exp(-t / model.range_days))
    assert model.gamma(h, t) == pytest.approx(gs + gt - model.k * gs * gt + model.nugget, rel=1e-9, abs=1e-12)


def test_limits_of_the_model():
    assert MODEL.covariance(0, 0) == pytest.approx(MODEL.sill)
    assert MODEL.gamma(1e9, 1e9) == pytest.approx(MODEL.sill + MODEL.nugget)
    assert MODEL.covariance(0, -2) == MODEL.covariance(0, 2)
    assert MODEL.parameters[:3].sum() == pytest.approx(MODEL.sill)


def test_estimate_against_a_plain_loop():
    lat, lon, time = places(60, 0)
    value, sigma = np.random.default_rng(0).normal(size=(2, 60))
    sigma = 0.5 + 0.1 * np.abs(sigma)
    found = empirical_variogram(
        lat, lon, time, value, sigma, distance_edges=(0, 500, 2500), day_edges=(0, 3, 11)
    )
    assert found.pairs.sum() == 60 * 59 // 2
    i, j = np.tril_indices(60, -1)
    d = np.abs(value[i] - value[j])
    lag = np.abs(time[i] - time[j]) / np.timedelta64(1, "D")
    from pyproj import Geod

    km = Geod(a=6371008.8, b=6371008.8).inv(lon[i], lat[i], lon[j], lat[j])[2] / 1e3
    near = (km < 500) & (lag < 3)
    n = near.sum()
    assert found.pairs[0, 0] == n
    robust = 0.5 * np.mean(np.sqrt(d[near])) ** 4 / (0.457 + 0.494 / n + 0.045 / n**2)
    error = np.mean(0.5 * (sigma[i] ** 2 + sigma[j] ** 2)[near])
    assert found.gamma[0, 0] == pytest.approx(robust - error, rel=1e-10)
    assert found.distance_km[0, 0] == pytest.approx(km[near].mean(), rel=1e-9)


def test_gaussian_field_gives_its_own_semivariances():
    """Averaged over draws the estimate meets the model, with the measurement errors taken off."""
    points = places(400, 1)
    kept = []
    for seed in range(6):
        samples, _ = draw(MODEL, points, seed)
        kept.append(empirical_variogram(*points, samples.value, samples.uncertainty))
    gamma = np.mean([k.gamma for k in kept], axis=0)
    used = kept[0].pairs > 300
    expected = MODEL.gamma(kept[0].distance_km, kept[0].days)
    assert used.sum() > 30
    np.testing.assert_allclose(np.median(gamma[used] / expected[used]), 1, atol=0.12)


def test_outliers_move_it_less_than_a_variance():
    points = places(400, 2)
    samples, _ = draw(MODEL, points, 0)
    spoilt = samples.value.copy()
    spoilt[::40] += 15
    clean, dirty = (empirical_variogram(*points, v, samples.uncertainty) for v in (samples.value, spoilt))
    used = clean.pairs > 100
    assert np.median(dirty.gamma[used] / clean.gamma[used]) < 2
    assert spoilt.var() / samples.value.var() > 4


def test_fit_finds_the_model_back():
    h, t = np.meshgrid(np.linspace(25, 1400, 12), np.linspace(0.2, 14, 9), indexing="ij")
    pairs = np.full(h.shape, 500)
    exact = EmpiricalVariogram(h, t, MODEL.gamma(h, t), pairs, np.zeros(h.shape))
    found = fit_product_sum(exact)
    np.testing.assert_allclose(found.gamma(h, t), MODEL.gamma(h, t), rtol=0.02)
    assert found.range_km == pytest.approx(MODEL.range_km, rel=0.2)
    noisy = MODEL.gamma(h, t) * (1 + 0.1 * np.random.default_rng(0).normal(size=h.shape))
    noisy[3, 4] *= 8
    fitted = fit_product_sum(EmpiricalVariogram(h, t, noisy, pairs, np.zeros(h.shape)))
    assert np.median(np.abs(fitted.gamma(h, t) / MODEL.gamma(h, t) - 1)) < 0.1


def test_fit_of_one_time_is_a_field_in_space():
    """Samples of a single overpass say nothing about time; the model still stands."""
    lat, lon, time = places(300, 3, days=0.001)
    samples, _ = draw(MODEL, (lat, lon, time), 0)
    model = fit_product_sum(empirical_variogram(lat, lon, time, samples.value, samples.uncertainty))
    assert 0.3 < model.sill + model.nugget < 4


def test_negative_semivariances_near_the_origin_are_survived():
    h, t = np.meshgrid(np.linspace(25, 1400, 8), np.linspace(0.2, 14, 5), indexing="ij")
    gamma = MODEL.gamma(h, t) - 0.4
    model = fit_product_sum(EmpiricalVariogram(h, t, gamma, np.full(h.shape, 99), np.full(h.shape, 0.5)))
    assert model.gamma(25, 0.2) < 0.35
    assert model.gamma(1400, 14) == pytest.approx(gamma[-1, -1], rel=0.1)


def test_very_uncertain_values_do_not_spoil_it():
    """Taking the mean error off would drive the semivariance below zero where a few errors are huge."""
    points = places(300, 8)
    samples, _ = draw(MODEL, points, 8)
    sigma, value = samples.uncertainty.copy(), samples.value.copy()
    sigma[::20] = 30.0
    value[::20] += 30 * np.random.default_rng(0).normal(size=15)
    found = empirical_variogram(*points, value, sigma)
    kept = np.arange(300) % 20 > 0
    alone = empirical_variogram(*(p[kept] for p in points), value[kept], sigma[kept])
    np.testing.assert_array_equal(found.gamma, alone.gamma)


def test_thinning_is_reproducible():
    lat, lon, time = places(300, 5)
    value = np.random.default_rng(1).normal(size=300)
    one, two = (empirical_variogram(lat, lon, time, value, most=100) for _ in range(2))
    np.testing.assert_array_equal(one.gamma, two.gamma)
    assert one.pairs.sum() <= 100 * 99 // 2


@pytest.mark.parametrize(
    ("call", "text"),
    [
        (lambda: ProductSum(1, 0, 1, 1, 0), "range_km must be positive"),
        (lambda: ProductSum(1, 1, 1, 1, -1), "k must not be negative"),
        (lambda: ProductSum(2, 1, 1, 1, 0.6), "is no covariance"),
        (lambda: ProductSum(1, 1, 1, 1, 0, -1), "nugget must not be negative"),
        (
            lambda: empirical_variogram([1.0], [1.0], [np.datetime64("2020-01-01")], [1.0]),
            "at least two values",
        ),
        (
            lambda: fit_product_sum(empirical_variogram(*places(4, 0), np.arange(4.0))),
            "four bins of at least 20 pairs",
        ),
    ],
)
def test_refusals(call, text):
    with pytest.raises(RangeError, match=text):
        call()


def test_a_range_below_the_shortest_lag_is_no_range():
    """What ends at the lower bound is nugget, and says so: 4 and 3 e-folds above it nothing changes."""
    found = ProductSum(2.0, 10.0, 0.5, 4.0, 0.3, 0.1)
    x, low, high = np.log([2.0, 10.0, 0.5, 4.0, 0.1]), np.full(5, -30.0), np.full(5, 30.0)
    assert _resolved(found, x, low, high) == found
    low[1] = np.log(9.9)
    told = _resolved(found, x, low, high)
    assert told.at_bounds == ("range_km lowest",)
    assert told.nugget == pytest.approx(2.1)
    assert told.sill_space < 1e-5
    # what stays is what all places have in common
    assert told.sill_time == pytest.approx(0.5 * (1 - 0.3 * 2.0))
    high[3] = np.log(4.01)
    assert "range_days highest" in _resolved(found, x, low, high).at_bounds


@pytest.mark.parametrize("name", ["20120101", "20141205"])
def test_real_days_have_no_range_below_their_columns(sample_data, name):
    """GOSAT at 200 km and more: a range of 3 km was read out of such days, and nobody told."""
    (path,) = (sample_data / "satellite" / "gosat_ocpr").glob(f"*{name}*")
    table = read_granule(path, profiles="none").table
    good = table.filter(pc.equal(table["quality"], 0))
    lat, lon, time, value, sigma = (
        good[n].to_numpy() for n in ("latitude", "longitude", "time", "value", "uncertainty")
    )
    pairs = empirical_variogram(lat, lon, time, value - fit_trend(lat, time, value).at(lat, time), sigma)
    found = fit_product_sum(pairs)
    shortest = np.nanmin(pairs.distance_km[pairs.pairs >= 20])
    assert found.range_km > 0.5 * shortest
    assert found.sill_space < 1 or found.range_km > 0.6 * shortest
