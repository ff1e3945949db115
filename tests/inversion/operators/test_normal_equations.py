"""The normal matrix four rows at a time, and rows of a sparse Jacobian without a copy."""

import numpy as np
import scipy.sparse as sp
from hypothesis import given, settings
from hypothesis import strategies as st

from inversion.operators.matrix_products import adjoint, forward, rows_of
from inversion.operators.normal_equations import add_normal


@settings(max_examples=40, deadline=None)
@given(st.integers(1, 70), st.integers(1, 40), st.floats(0.05, 1.0), st.integers(0, 99))
def test_every_entry_is_the_same_sum_in_the_same_order(m, n, density, seed):
    rng = np.random.default_rng(seed)
    h = sp.csr_array(sp.random_array((n, m), density=density, rng=rng, format="csr"))
    h.sort_indices()
    weight = rng.random(n)
    found, expected = np.zeros((m, m)), np.zeros((m, m))
    add_normal(h.data, h.indices, h.indptr, weight, found)
    for row, w in zip(h.toarray(), weight, strict=True):
        expected += np.tril((w * row)[:, None] * row)
    np.testing.assert_array_equal(np.tril(found), expected)


def test_rows_of_a_jacobian_are_views():
    rng = np.random.default_rng(0)
    h = sp.csr_array(sp.random_array((30, 20), density=0.3, rng=rng, format="csr"))
    part = rows_of(h, slice(7, 19))
    assert np.shares_memory(part.data, h.data)
    np.testing.assert_array_equal(part.toarray(), h.toarray()[7:19])
    x, v = rng.standard_normal((20, 3)), rng.standard_normal((12, 3))
    np.testing.assert_allclose(forward(part, x), h.toarray()[7:19] @ x, atol=1e-12)
    np.testing.assert_allclose(adjoint(part, v), h.toarray()[7:19].T @ v, atol=1e-12)
    assert rows_of(h, slice(5, 5)).shape == (0, 20)
