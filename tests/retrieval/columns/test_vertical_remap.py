"""Vertical remapping: columns conserved, adjoints exact, edges handled as said."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from obsnet.errors import ConfigError, RangeError, SchemaError
from retrieval.columns.vertical_remap import (
    average_levels,
    average_levels_adjoint,
    edges_between,
    interpolate_levels,
    overlap_layers,
    overlap_layers_adjoint,
)


@st.composite
def cases(draw):
    seed, m, n = draw(st.integers(0, 10**6)), draw(st.integers(1, 40)), draw(st.integers(1, 25))
    rng = np.random.default_rng(seed)
    rows = 3
    model = np.sort(rng.uniform(1, 1000, (rows, m + 1)), axis=1)[:, ::-1]
    product = np.sort(rng.uniform(1, 1000, (rows, n + 1)), axis=1)[:, ::-1]
    model[:, 0], product[:, 0] = rng.uniform(1001, 1030, rows), rng.uniform(1001, 1030, rows)
    top = draw(st.sampled_from(["same", "model higher", "model lower"]))
    model[:, -1], product[:, -1] = {
        "same": (0.1, 0.1),
        "model higher": (0.1, 0.5),
        "model lower": (0.5, 0.1),
    }[top]
    if (m > 1 and (np.diff(model) >= 0).any()) or (n > 1 and (np.diff(product) >= 0).any()):
        model, product = (
            np.linspace([1010] * 3, [0.1] * 3, m + 1).T,
            np.linspace([1000] * 3, [0.1] * 3, n + 1).T,
        )
        top = "same"
    return model, product, rng.normal(400, 20, (rows, m)), rng.normal(size=(rows, n)), top


@given(cases())
def test_scaled_overlap_conserves_the_column(case):
    model, product, x, _, top = case
    if top != "same":
        return
    out = overlap_layers(x, model, product)
    before = np.sum(-np.diff(model) * x, axis=1) / (model[:, 0] - model[:, -1])
    after = np.sum(-np.diff(product) * out, axis=1) / (product[:, 0] - product[:, -1])
    np.testing.assert_allclose(after, before, rtol=1e-12)


@given(cases(), st.sampled_from(["scale", "clip"]))
def test_overlap_weights_are_a_mean(case, surface):
    model, product, x, _, _ = case
    np.testing.assert_allclose(
        overlap_layers(np.ones_like(x), model, product, surface=surface), 1, rtol=1e-11
    )
    out = overlap_layers(x, model, product, surface=surface)
    assert (out <= x.max(axis=1, keepdims=True) + 1e-9).all()
    assert (out >= x.min(axis=1, keepdims=True) - 1e-9).all()


@given(cases(), st.sampled_from(["scale", "clip"]))
def test_overlap_adjoint(case, surface):
    model, product, x, s, _ = case
    forward = np.sum(overlap_layers(x, model, product, surface=surface) * s)
    backward = np.sum(overlap_layers_adjoint(s, model, product, surface=surface) * x)
    scale = np.sum(np.abs(overlap_layers(np.abs(x), model, product, surface=surface) * s))
    assert abs(forward - backward) <= 1e-13 * scale


@given(cases(), st.sampled_from(["scale", "clip"]))
def test_level_means_and_their_adjoint(case, surface):
    model, levels, x, s, _ = case
    s = np.concatenate([s, s[:, :1]], axis=1)
    part, covered = average_levels(x, model, levels, surface=surface)
    backward = average_levels_adjoint(s, model, levels, surface=surface)
    scale = np.sum(np.abs(average_levels(np.abs(x), model, levels, surface=surface)[0] * s))
    assert abs(np.sum(part * s) - np.sum(backward * x)) <= 1e-13 * scale
    assert ((covered >= -1e-12) & (covered <= 1 + 1e-9)).all()
    same, _ = average_levels(np.ones_like(x), model, levels, surface=surface)
    np.testing.assert_allclose(same, covered, atol=1e-12)


def test_level_means_by_hand():
    """Levels 1000, 800, 0 stand for 1000-900, 900-400, 400-0; the model ends at 200."""
    part, covered = average_levels([[10.0, 20.0]], [1000.0, 600.0, 200.0], [1000.0, 800.0, 0.0])
    np.testing.assert_allclose(covered, [[1.0, 1.0, 0.5]], atol=1e-14)
    np.testing.assert_allclose(part, [[10.0, (300 * 10 + 200 * 20) / 500, 10.0]], atol=1e-13)


def test_edges_lie_half_way_and_do_not_pass_zero():
    np.testing.assert_allclose(edges_between([990.0, 970.0, 900.0]), [1000, 980, 935, 865])
    np.testing.assert_allclose(edges_between([[30.0, 5.0]]), [[42.5, 17.5, 0.0]])


@given(cases())
def test_interpolation_reproduces_a_line(case):
    model, product, _, _, _ = case
    out, known = interpolate_levels(3 * model + 5, model, product)
    inside = known & (product <= model[:, :1])
    np.testing.assert_allclose(out[inside], (3 * product + 5)[inside], rtol=1e-10)
    log, _ = interpolate_levels(np.log(model), model, product, linear_in="log_pressure")
    np.testing.assert_allclose(log[inside], np.log(product)[inside], rtol=1e-9, atol=1e-9)


def test_same_grid_is_identity():
    edges = np.array([[1000.0, 600.0, 200.0, 0.0]])
    x = np.array([[1.0, 2.0, 4.0]])
    np.testing.assert_allclose(overlap_layers(x, edges, edges), x, atol=1e-15)
    out, known = interpolate_levels([[1.0, 2.0, 4.0, 3.0]], edges, edges)
    np.testing.assert_allclose(out, [[1.0, 2.0, 4.0, 3.0]], atol=1e-15)
    assert known.all()


def test_overlap_by_hand():
    out = overlap_layers([[10.0, 20.0]], [1000.0, 500.0, 0.0], [1000.0, 750.0, 250.0, 0.0])
    np.testing.assert_allclose(out, [[10.0, 15.0, 20.0]], atol=1e-14)


def test_surface_scaled_or_clipped():
    """Product ground 100 hPa above the model's: scale squeezes, clip cuts the lowest air off."""
    model, product, x = [1000.0, 900.0, 0.0], [900.0, 810.0, 0.0], [[500.0, 400.0]]
    np.testing.assert_allclose(overlap_layers(x, model, product), [[500.0, 400.0]], atol=1e-12)
    np.testing.assert_allclose(
        overlap_layers(x, model, product, surface="clip"), [[400.0, 400.0]], atol=1e-12
    )


def test_surface_below_the_model_extends_its_lowest_layer():
    out = overlap_layers([[500.0, 400.0]], [900.0, 800.0, 0.0], [1000.0, 900.0, 800.0, 0.0], surface="clip")
    np.testing.assert_allclose(out, [[500.0, 500.0, 400.0]], atol=1e-12)


def test_above_a_low_model_top_levels_are_unknown_and_layers_extended():
    out, known = interpolate_levels([[1.0, 2.0]], [1000.0, 100.0], [1000.0, 100.0, 50.0, 1.0])
    np.testing.assert_array_equal(known, [[True, True, False, False]])
    np.testing.assert_array_equal(out[0, 2:], 0)
    layers = overlap_layers([[1.0, 2.0]], [1000.0, 500.0, 100.0], [1000.0, 500.0, 0.0])
    np.testing.assert_allclose(layers, [[1.0, 2.0]], atol=1e-14)


def test_below_the_lowest_level_its_value_stands():
    out, _ = interpolate_levels([[7.0, 2.0]], [900.0, 100.0], [1000.0, 950.0, 900.0, 500.0])
    np.testing.assert_allclose(out, [[7.0, 7.0, 7.0, 4.5]], atol=1e-13)


def test_one_model_grid_serves_many_soundings():
    out = overlap_layers(np.ones((4, 2)), [1000.0, 500.0, 0.0], np.tile([990.0, 100.0, 0.0], (4, 1)))
    assert out.shape == (4, 2)


@pytest.mark.parametrize(
    ("call", "error", "text"),
    [
        (
            lambda: overlap_layers([[1.0]], [0.0, 1000.0], [1000.0, 0.0]),
            RangeError,
            "model pressure must decrease",
        ),
        (
            lambda: overlap_layers([[1.0]], [1000.0, 0.0], [0.0, 1000.0]),
            RangeError,
            "product pressure must decrease",
        ),
        (lambda: overlap_layers([[1.0]], [1000.0, np.nan], [1000.0, 0.0]), RangeError, "model pressure"),
        (
            lambda: overlap_layers([[1.0, 2.0]], [1000.0, 0.0], [1000.0, 0.0]),
            SchemaError,
            "model values must have",
        ),
        (lambda: overlap_layers([[1.0]], [1000.0, 0.0], [1000.0, 0.0], surface="cut"), ConfigError, "'cut'"),
        (
            lambda: overlap_layers([[1.0]], [101325.0, 0.0], [1000.0, 0.0]),
            RangeError,
            "Pa must be divided by 100",
        ),
        (lambda: interpolate_levels([[1.0, 1.0]], [9.0, 1.0], [9.0, 1.0], linear_in="z"), ConfigError, "'z'"),
    ],
)
def test_refusals(call, error, text):
    with pytest.raises(error, match=text):
        call()
