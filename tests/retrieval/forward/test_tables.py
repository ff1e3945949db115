"""Interpolation in tables of cross sections."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from retrieval.forward.tables import UNIT, CrossSections

LOG_P, T, X = np.linspace(0.0, 7.0, 8), np.linspace(180.0, 330.0, 6), np.array([0.0, 0.04])
COEFFICIENT = np.random.default_rng(0).normal(
    size=(4, 4, 2, 3)
)  # of powers of ln p, T and fraction, by point


def polynomial(u, t, x):
    """Return the values (…, points) and both derivatives of what cubic interpolation reproduces."""
    v = (np.asarray(t) - 250.0) / 50.0
    p, q, f = (np.asarray(a)[..., None] ** np.arange(n) for a, n in ((u, 4), (v, 4), (x, 2)))
    dp, dq = (
        np.arange(4) * np.asarray(a)[..., None] ** np.maximum(np.arange(4) - 1, 0) / by
        for a, by in ((u, 1.0), (v, 50.0))
    )
    return tuple(
        np.einsum("...i,...j,...k,ijkn->...n", a, b, f, COEFFICIENT) for a, b in ((p, q), (dp, q), (p, dq))
    )


TABLE = CrossSections(
    "H2O",
    6000.0 + 0.01 * np.arange(3),
    LOG_P,
    T,
    X,
    polynomial(*np.meshgrid(LOG_P, T, X, indexing="ij"))[0].astype(np.float32),
)
layers = st.lists(
    st.tuples(st.floats(0.0, 7.0), st.floats(180.0, 330.0), st.floats(0.0, 0.04)), min_size=1, max_size=12
)


@given(layers)
def test_cubic_polynomials_and_their_slopes_are_found_again(at):
    u, t, x = np.array(at).T
    for found, right in zip(TABLE.at(np.exp(u), t, x), polynomial(u, t, x), strict=True):
        np.testing.assert_allclose(found / UNIT, right, rtol=1e-6, atol=1e-6 * np.abs(TABLE.values).max())


@given(layers, st.integers(0, 99))
def test_sums_over_layers_are_those_of_the_layers_cross_sections(at, seed):
    u, t, x = np.array(at).T
    weight = np.random.default_rng(seed).normal(size=(3, len(at)))
    nodes = TABLE.nodes(np.exp(u), t, x)
    weights = nodes.value, nodes.by_log_pressure, nodes.by_temperature
    for found, of_layers in zip(
        (nodes.sums(weight @ w) for w in weights), TABLE.at(np.exp(u), t, x), strict=True
    ):
        scale = (np.abs(weight) @ np.abs(of_layers)).max() + np.abs(TABLE.values).max() * UNIT
        np.testing.assert_allclose(found, weight @ of_layers, rtol=1e-9, atol=1e-9 * scale)
