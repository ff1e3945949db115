"""Products by Fourier transform are those of the full matrix, and are found where they are."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from inversion import KroneckerCovariance, Problem, solve
from inversion.operators.kernels import KERNELS, grid_correlation, space_correlation, time_correlation
from inversion.operators.toeplitz import SMALLEST, GridCorrelation, as_grid_correlation
from obsnet.errors import ConfigError

LAT, LON = np.linspace(20.0, 50.0, 20), np.linspace(75.0, 130.0, 31)


def full(lat=LAT, lon=LON, length=500.0, kernel="exponential"):
    y, x = (a.ravel() for a in np.meshgrid(lat, lon, indexing="ij"))
    return space_correlation(y, x, length, kernel)


@settings(max_examples=20)
@given(
    st.integers(1, 6),
    st.integers(2, 17),
    st.integers(1, 4),
    st.sampled_from(sorted(KERNELS)),
    st.floats(50, 5000),
)
def test_a_product_is_that_of_the_full_matrix(rows, columns, k, kernel, length):
    lat, lon = np.linspace(-60, 70, rows), np.linspace(-20, 100, columns)
    dense = full(lat, lon, length, kernel)
    lags = dense[::columns].reshape(rows, rows, columns)
    made = GridCorrelation(lags)
    np.testing.assert_allclose(made.toarray(), dense, atol=1e-12)
    rng = np.random.default_rng(0)
    for x in (rng.standard_normal(rows * columns), rng.standard_normal((rows * columns, k))):
        np.testing.assert_allclose(made @ x, dense @ x, atol=1e-11)


@pytest.mark.parametrize("kernel", sorted(KERNELS))
def test_the_correlation_of_a_grid_is_made_without_its_matrix(kernel):
    made = grid_correlation(LAT, LON, 500.0, kernel)
    assert isinstance(made, GridCorrelation)
    np.testing.assert_allclose(made.toarray(), full(kernel=kernel), atol=1e-12)


@pytest.mark.parametrize(
    ("lat", "lon", "length"),
    [(LAT[:5], LON[:5], 500.0), (LAT, np.append(LON[:-1], 131.0), 500.0), (LAT[:5], LON, 0.0)],
)
def test_small_and_uneven_grids_have_full_matrices(lat, lon, length):
    made = grid_correlation(lat, lon, length)
    assert isinstance(made, np.ndarray)
    np.testing.assert_array_equal(made, full(lat, lon, length))


def test_a_large_grid_without_correlation_is_the_identity():
    x = np.random.default_rng(0).standard_normal((620, 2))
    made = grid_correlation(LAT, LON, 0.0)
    assert isinstance(made, GridCorrelation)
    np.testing.assert_allclose(made @ x, x, atol=1e-14)


def test_around_the_globe():
    lon = np.arange(-180.0, 180.0, 10.0)
    made = grid_correlation(LAT, lon, 2000.0)
    np.testing.assert_allclose(made.toarray(), full(LAT, lon, 2000.0), atol=1e-12)


def test_structure_is_found_where_it_is_and_nowhere_else():
    dense = full()
    found = as_grid_correlation(dense)
    assert found.lags.shape == (20, 20, 31)
    np.testing.assert_allclose(found.toarray(), dense, atol=1e-13)
    rng = np.random.default_rng(0)
    order = rng.permutation(len(dense))
    assert as_grid_correlation(dense[np.ix_(order, order)]) is None
    one = dense.copy()
    one[-1, -40] += 1e-6
    one[-40, -1] += 1e-6
    assert as_grid_correlation(one) is None
    assert as_grid_correlation(dense[: SMALLEST - 1, : SMALLEST - 1]) is None


def test_every_method_gives_the_answer_of_the_full_matrix():
    rng = np.random.default_rng(0)
    time, dense = time_correlation(np.arange(2.0), 3.0), full()
    sigma = rng.random(2 * len(dense)) + 0.5
    one = KroneckerCovariance(sigma, time, dense)
    assert isinstance(one.space, GridCorrelation)
    x = rng.standard_normal((sigma.size, 3))
    known = sigma[:, None] * (np.kron(time, dense) @ (sigma[:, None] * x))
    np.testing.assert_allclose(one.matmul(x), known, atol=1e-10)
    np.testing.assert_allclose(one.matmul(one.solve(x)), x, atol=1e-7)
    np.testing.assert_allclose(one.factor(one.factor_transposed(x)), known, atol=1e-9)
    assert one.scaled(4.0).space is one.space
    h = rng.random((80, sigma.size)) * (rng.random((80, sigma.size)) < 0.05)
    p = Problem(h, rng.standard_normal(80), np.full(80, 0.3), np.zeros(sigma.size), one)
    answers = {
        m: solve(p, m, **({"tolerance": 1e-12} if m == "cg" else {})) for m in ("dual", "primal", "cg")
    }
    for name in ("primal", "cg"):
        np.testing.assert_allclose(answers[name].mean, answers["dual"].mean, atol=1e-8)


def test_faults_are_named():
    with pytest.raises(ConfigError, match="unknown correlation kernel 'gaussian'"):
        grid_correlation(LAT, LON, 500.0, "gaussian")
