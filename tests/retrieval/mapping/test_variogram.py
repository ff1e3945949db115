"""The product-sum model is a covariance."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from obsnet.errors import RangeError
from retrieval.mapping.variogram import ProductSum
from tests.retrieval.mapping.fields import MODEL, covariance, places


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


@pytest.mark.parametrize(
    ("call", "text"),
    [
        (lambda: ProductSum(1, 0, 1, 1, 0), "range_km must be positive"),
        (lambda: ProductSum(1, 1, 1, 1, -1), "k must not be negative"),
        (lambda: ProductSum(2, 1, 1, 1, 0.6), "is no covariance"),
        (lambda: ProductSum(1, 1, 1, 1, 0, -1), "nugget must not be negative"),
    ],
)
def test_refusals(call, text):
    with pytest.raises(RangeError, match=text):
        call()
