"""Uncertainty of a mean: against dense covariances, limits, and the trap of negative weights."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from obsnet.errors import ConfigError, RangeError
from obsnet.grid import Grid
from retrieval.superobs.errors import (
    PRESETS,
    ErrorModel,
    error_model,
    exponential_weights,
    thinning_coefficient,
)
from retrieval.superobs.groups import area_groups


def group(seed, n):
    rng = np.random.default_rng(seed)
    weight = rng.uniform(0, 1, n) + 1e-3
    return rng.uniform(0.3, 2, n), weight / weight.sum(), rng.uniform(0, 100, (n, 3)), np.array([0, n])


@given(st.integers(0, 10**6), st.integers(1, 30), st.floats(0, 1))
def test_constant_correlation_is_the_quadratic_form(seed, n, r):
    s, w, _, offsets = group(seed, n)
    covariance = np.outer(s, s) * (r + (1 - r) * np.eye(n))
    assert ErrorModel(r=r).uncertainty(s, w, offsets)[0] == pytest.approx(
        np.sqrt(w @ covariance @ w), rel=1e-12
    )


@given(st.integers(0, 10**6), st.integers(1, 30), st.floats(0.5, 500))
def test_exponential_correlation_is_the_quadratic_form(seed, n, length):
    s, w, x, offsets = group(seed, n)
    distance = np.linalg.norm(x[:, None] - x[None], axis=2)
    covariance = (w @ s**2) * np.exp(-distance / length)
    found = ErrorModel("exponential", length_km=length).uncertainty(s, w, offsets, position_km=x)
    assert found[0] == pytest.approx(np.sqrt(w @ covariance @ w), rel=1e-12)


@given(st.integers(0, 10**6), st.integers(1, 40), st.floats(1, 200))
def test_best_exponential_weights_against_the_dense_inverse(seed, n, length):
    gaps = np.random.default_rng(seed).uniform(0.2, 60, n - 1)
    x = np.concatenate([[0], np.cumsum(gaps)])
    inverse = np.linalg.inv(np.exp(-np.abs(x[:, None] - x[None]) / length))
    weight, (number,) = exponential_weights(gaps, np.array([0, n]), length)
    np.testing.assert_allclose(weight, inverse.sum(axis=1) / inverse.sum(), rtol=1e-8, atol=1e-12)
    assert number == pytest.approx(inverse.sum(), rel=1e-10)
    assert (weight > 0).all()
    assert weight.sum() == pytest.approx(1, abs=1e-13)
    assert 1 - 1e-12 <= number <= n + 1e-9
    place = np.column_stack([x, 0 * x, 0 * x])
    found = ErrorModel("exponential", length_km=length).uncertainty(
        np.full(n, 0.7), weight, np.array([0, n]), position_km=place
    )
    assert found[0] == pytest.approx(0.7 / np.sqrt(number), rel=1e-10)


@given(st.integers(0, 10**6), st.lists(st.integers(1, 6), min_size=1, max_size=8))
def test_weights_of_many_lines_are_those_of_each(seed, sizes):
    offsets = np.append(0, np.cumsum(sizes))
    gaps = np.random.default_rng(seed).uniform(0, 60, offsets[-1] - 1)
    weight, number = exponential_weights(gaps, offsets, 20)
    for k, (first, last) in enumerate(pairwise(offsets)):
        alone, (one,) = exponential_weights(gaps[first : last - 1], np.array([0, last - first]), 20)
        np.testing.assert_allclose(weight[first:last], alone, rtol=1e-13)
        assert number[k] == pytest.approx(one, rel=1e-13)


def effective_number(distance, length):
    return float(exponential_weights(distance, np.array([0, len(distance) + 1]), length)[1][0])


def test_effective_number_limits():
    assert effective_number([], 20) == 1
    assert effective_number(np.full(9, 1e4), 20) == pytest.approx(10, rel=1e-12)
    assert effective_number(np.full(9, 1e-9), 20) == pytest.approx(1, rel=1e-9)
    rho = np.exp(-6.75 / 20)
    assert effective_number(np.full(9, 6.75), 20) == pytest.approx(1 + 9 * (1 - rho) / (1 + rho), rel=1e-14)


def test_unequal_uncertainties_would_make_weights_negative():
    """The trap: 40 soundings 0.5 km apart, s from 0.4 to 0.9; our mean keeps every weight positive."""
    rng = np.random.default_rng(1)
    s, x = rng.uniform(0.4, 0.9, 40), np.arange(40) * 0.5
    inverse = np.linalg.inv(np.outer(s, s) * np.exp(-np.abs(x[:, None] - x[None]) / 20))
    dangerous = inverse.sum(axis=1) / inverse.sum()
    assert (dangerous < 0).sum() > 10
    assert 1 / np.sqrt(inverse.sum()) < 0.15
    weight, _ = exponential_weights(np.diff(x), np.array([0, 40]), 20)
    place = np.column_stack([x, 0 * x, 0 * x])
    ours = ErrorModel("exponential").uncertainty(s, weight, np.array([0, 40]), position_km=place)
    assert (weight > 0).all()
    assert 0.45 < ours[0] < 0.7


def test_limits_of_constant_correlation():
    s, w, offsets = np.full(100, 0.8), np.full(100, 0.01), np.array([0, 100])
    assert ErrorModel(r=0).uncertainty(s, w, offsets)[0] == pytest.approx(0.08)
    assert ErrorModel(r=1).uncertainty(s, w, offsets)[0] == pytest.approx(0.8)
    # s^2 [(1 - r) / n + r]
    assert ErrorModel(r=0.3).uncertainty(s, w, offsets)[0] == pytest.approx(0.8 * np.sqrt(0.7 / 100 + 0.3))


@pytest.mark.parametrize("precision", [2.0, 10.0, np.nan])
@pytest.mark.parametrize("n", [1, 25, 400])
def test_chen_preset_by_hand(n, precision):
    """15 ppb a sounding as its source has it, whatever the product's precision: 15^2 (0.45 / n + 0.55) + 4.5^2."""
    found = PRESETS["chen2023_ch4"].uncertainty(np.full(n, precision), np.full(n, 1 / n), np.array([0, n]))
    assert found[0] == pytest.approx(np.sqrt(15**2 * (0.45 / n + 0.55) + 4.5**2), rel=1e-14)


def test_every_model_names_its_equation_its_inputs_and_its_source():
    for name, model in PRESETS.items():
        said = model.describe()
        assert said["name"] == name
        assert said["equation"].startswith("sigma^2 = ")
        assert said["inputs"]
        assert said["source"]
    assert error_model("chen2023_ch4").equation == "sigma^2 = 15^2 [0.55 + (1 - 0.55) / n] + 4.5^2"
    assert error_model("chen2023_ch4").describe()["inputs"] == "number of soundings"
    assert error_model("independent").equation == "sigma^2 = sum (w s)^2"
    assert error_model("correlated", floor=0.3).equation == "sigma^2 = (sum w s)^2, sigma >= 0.3"
    assert "exp(-d_kl / 20 km)" in error_model("baker2022_co2").equation
    assert "variability" not in error_model(None, variability=0.0, r=0.2).equation
    full = error_model(None, variability=2.0, r=0.2).equation
    assert full == "sigma^2 = 0.2 (sum w s)^2 + (1 - 0.2) sum (w s)^2 + 1 (1 - coverage) 2^2 sum w^2"


def test_what_nobody_chose_is_said():
    assert error_model(None).source.startswith("nothing was chosen")
    assert error_model("independent").source != error_model(None).source
    assert error_model(None, r=0.3).source == "chosen by the user; with r = 0.3"


def test_numbers_that_say_nothing_are_refused():
    with pytest.raises(ConfigError, match="length_km says nothing in error model independent"):
        error_model(None, length_km=20.0)
    with pytest.raises(ConfigError, match="r says nothing in error model baker2022_co2"):
        error_model("baker2022_co2", r=0.5)


@given(st.integers(0, 10**6), st.integers(1, 40), st.floats(0, 1))
def test_shares_of_pixels_count_as_shares(seed, n, r):
    """With equal s and shares a: s^2 [(1 - r) / sum a + r], as IMI counts its fractional observations."""
    share = np.random.default_rng(seed).uniform(0.01, 1, n)
    found = ErrorModel(r=r).uncertainty(
        np.full(n, 2.0), share / share.sum(), np.array([0, n]), soundings=np.array([share.sum()])
    )
    assert found[0] ** 2 == pytest.approx(4 * ((1 - r) / share.sum() + r), rel=1e-9)


def test_a_sliver_holds_a_sliver_of_the_information():
    one, offsets = np.ones(1), np.array([0, 1])
    for model in (ErrorModel(), ErrorModel("exponential")):
        sliver = model.uncertainty(
            one, one, offsets, position_km=np.zeros((1, 3)), soundings=np.array([0.01])
        )
        whole = model.uncertainty(one, one, offsets, position_km=np.zeros((1, 3)), soundings=np.array([1.0]))
        assert sliver[0] == pytest.approx(10)
        assert whole[0] == 1
        # information of a pixel cut in two adds up to the pixel's
        parts = [
            model.uncertainty(one, one, offsets, position_km=np.zeros((1, 3)), soundings=np.array([a]))[0]
            for a in (0.3, 0.7)
        ]
        assert sum(p**-2 for p in parts) == pytest.approx(1)


@pytest.mark.parametrize("degrees", [0.1, 0.3])
def test_stated_errors_are_true_of_means_over_cells_that_share_pixels(degrees):
    """Drawn errors of 7 km pixels; see scripts/check_superobs_errors.py for more."""
    rng = np.random.default_rng(0)
    middle = np.stack(np.meshgrid(np.arange(-2, 2, 0.07), np.arange(-2, 2, 0.07)))
    lat, lon = (
        m.ravel()[:, None] + 0.035 * np.array(side)
        for m, side in zip(middle, ([-1, 1, 1, -1], [-1, -1, 1, 1]), strict=True)
    )
    lat, lon = lat + 0.2 * lon, lon - 0.2 * lat
    some = rng.random(len(lat)) < 0.3
    lat, lon = lat[some], lon[some]
    grid = Grid.regular(-1.5, 1.5, -1.5, 1.5, degrees, degrees)
    time = np.full(len(lat), np.datetime64("2020-06-01T06:00", "us"))
    groups = area_groups(lat, lon, time, np.zeros(len(lat), int), grid)
    stated = ErrorModel().uncertainty(
        np.ones(len(groups.row)), groups.weight, groups.offsets, soundings=groups.soundings
    )
    drawn = rng.standard_normal((400, len(lat)))
    error = np.add.reduceat(drawn[:, groups.row] * groups.weight, groups.offsets[:-1], axis=1)
    weight = stated**-2.0
    assert np.std(error @ weight / weight.sum()) == pytest.approx(weight.sum() ** -0.5, rel=0.12)
    whole = groups.soundings >= 1
    ratio = stated[whole] / error[:, whole].std(axis=0)
    assert 1.0 < ratio.mean() < 1.5
    sliver = groups.soundings < 0.1
    assert (stated[sliver] > 2 * error[:, sliver].std(axis=0)).all()


def test_floor_transport_and_representativity():
    s, w, offsets = np.full(4, 1.0), np.full(4, 0.25), np.array([0, 4])
    assert ErrorModel(floor=2.0).uncertainty(s, w, offsets)[0] == 2.0
    assert ErrorModel(transport=3.0).uncertainty(s, w, offsets)[0] == pytest.approx(np.sqrt(0.25 + 9))
    model = ErrorModel(variability=2.0, representativity=3.0)
    assert model.uncertainty(s, w, offsets)[0] == 0.5
    assert model.uncertainty(s, w, offsets, coverage=np.array([1.2]))[0] == 0.5
    expected = np.sqrt(0.25 + 3 * (1 - 0.4) * 4 / 4)
    assert model.uncertainty(s, w, offsets, coverage=np.array([0.4]))[0] == pytest.approx(expected)


def test_sampling_without_replacement_is_what_representativity_says():
    """Means of n of N pixels scatter about the cell's mean by the term, with noise-free pixels."""
    rng = np.random.default_rng(0)
    field = rng.normal(size=200)
    means = [rng.choice(field, 50, replace=False).mean() for _ in range(4000)]
    model = ErrorModel(variability=float(field.std(ddof=1)))
    found = model.uncertainty(
        np.full(50, 1e-9), np.full(50, 0.02), np.array([0, 50]), coverage=np.array([0.25])
    )
    assert found[0] == pytest.approx(np.sqrt(np.mean((np.array(means) - field.mean()) ** 2)), rel=0.05)


def test_thinning_random_pixels_gives_one_and_cloud_edges_more():
    rng = np.random.default_rng(2)
    n, groups = 60, 40
    place = rng.uniform(0, 100, (n * groups, 3))
    offsets = np.arange(0, n * groups + 1, n)
    white = rng.normal(size=n * groups)
    assert thinning_coefficient(white, place, offsets, pattern="random") == pytest.approx(1, abs=0.15)
    assert thinning_coefficient(white, place, offsets, pattern="edge") == pytest.approx(1, abs=0.2)
    gradient = place[:, 0] / 30
    assert thinning_coefficient(gradient, place, offsets, pattern="random") == pytest.approx(1, abs=0.15)
    assert thinning_coefficient(gradient, place, offsets, pattern="edge") > 5


@given(st.integers(0, 10**6), st.lists(st.integers(1, 8), min_size=1, max_size=6))
def test_groups_do_not_see_each_other(seed, sizes):
    rng = np.random.default_rng(seed)
    offsets = np.concatenate([[0], np.cumsum(sizes)])
    n = offsets[-1]
    s, w, x = rng.uniform(0.3, 2, n), rng.uniform(0, 1, n), rng.uniform(0, 50, (n, 3))
    coverage = rng.uniform(0, 1, len(sizes))
    for model in (ErrorModel(r=0.4, variability=1), ErrorModel("exponential", variability=1)):
        together = model.uncertainty(s, w, offsets, position_km=x, coverage=coverage)
        for g, (a, b) in enumerate(pairwise(offsets)):
            alone = model.uncertainty(
                s[a:b], w[a:b], np.array([0, b - a]), position_km=x[a:b], coverage=coverage[g : g + 1]
            )
            assert together[g] == pytest.approx(alone[0], rel=1e-12)


def test_no_groups():
    none = np.zeros(0)
    assert len(ErrorModel(variability=1).uncertainty(none, none, np.array([0]), coverage=none)) == 0


def test_presets_and_changes():
    assert all(p.source for p in PRESETS.values())
    assert error_model("baker2022_co2", r=None) is PRESETS["baker2022_co2"]
    changed = error_model("chen2023_ch4", transport=6.0, floor=None)
    assert (changed.r, changed.transport) == (0.55, 6.0)
    assert "with transport = 6" in changed.source


@pytest.mark.parametrize(
    ("call", "error", "text"),
    [
        (lambda: ErrorModel("gaussian"), ConfigError, "'gaussian'"),
        (lambda: ErrorModel(r=1.2), ConfigError, "within 0 and 1"),
        (lambda: ErrorModel(length_km=0), ConfigError, "length_km must be positive"),
        (lambda: ErrorModel(floor=-1), ConfigError, "floor must not be negative"),
        (lambda: ErrorModel(transport=float("nan")), ConfigError, "transport must not be negative"),
        (lambda: error_model("chen"), ConfigError, "nearest: 'chen2023_ch4'"),
        (
            lambda: ErrorModel().uncertainty(np.array([1.0, np.nan]), np.array([0.5, 0.5]), np.array([0, 2])),
            RangeError,
            "1 soundings have no positive uncertainty",
        ),
        (
            lambda: ErrorModel("exponential").uncertainty(np.ones(1), np.ones(1), np.array([0, 1])),
            ConfigError,
            "needs the members' positions",
        ),
        (lambda: thinning_coefficient([1.0], [[0.0, 0, 0]], [0, 1]), RangeError, "at least 10"),
        (
            lambda: thinning_coefficient([1.0], [[0.0, 0, 0]], [0, 1], pattern="x"),
            ConfigError,
            "'edge' or 'random'",
        ),
    ],
)
def test_refusals(call, error, text):
    with pytest.raises(error, match=text):
        call()
